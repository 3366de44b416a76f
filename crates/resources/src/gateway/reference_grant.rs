//! `ReferenceGrant`: who may refer to objects of another namespace.
//!
//! Made by `cargo xtask generate` from Gateway API v1.6.3: not to be edited.

use alloc::sync::Arc;

use leno_model::{Name, Namespace};

use crate::decode::object;
use crate::form;
use crate::part::List;

object! {
    /// Who may refer to what in the grant's own namespace.
    pub struct ReferenceGrantSpec {
        /// Whose references are permitted. One of these must match.
        pub from: List<ReferenceGrantFrom> = "from" [items(1, 16), required()];
        /// What they may refer to. One of these must match.
        pub to: List<ReferenceGrantTo> = "to" [items(1, 16), required()];
    }
}

object! {
    /// Objects whose references are permitted.
    pub struct ReferenceGrantFrom {
        /// The API group of their kind.
        pub group: Arc<str> = "group" [length(0, 253), form(form::group)];
        /// Their kind.
        pub kind: Arc<str> = "kind" [length(1, 63), form(form::kind)];
        /// Their namespace.
        pub namespace: Namespace = "namespace";
    }
}

object! {
    /// What may be referred to.
    pub struct ReferenceGrantTo {
        /// The API group of its kind; empty for a Service.
        pub group: Arc<str> = "group" [length(0, 253), form(form::group)];
        /// Its kind.
        pub kind: Arc<str> = "kind" [length(1, 63), form(form::kind)];
        /// Its name; without it, every object of the kind.
        pub name: Option<Name> = "name";
    }
}
