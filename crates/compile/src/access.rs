//! Who may call: each `AccessPolicy` read, and all of them gathered over each port of a workload.

mod findings;
mod gather;
mod port;
mod read;
mod special;

use alloc::{string::String, sync::Arc, vec::Vec};

use leno_model::Origin;
use leno_model::view::{AccessRule, Mtls, Stance};
use leno_resources::Object;
use leno_resources::policy::AccessPolicySpec;

use crate::targets::Target;

pub(crate) use findings::Blind;
pub(crate) use gather::{Policies, Targeted};
pub(crate) use read::read;
pub use special::Special;

/// An `AccessPolicy` with its meaning.
pub(crate) struct Policy<'a> {
    object: &'a Object<AccessPolicySpec>,
    targets: Vec<Target>,
    mtls: Option<(Mtls, Origin)>,
    stance: Option<(Stance, Origin)>,
    rules: Vec<Rule>,
}

/// One of its rules.
struct Rule {
    /// Where it stands in the object.
    pointer: String,
    rule: Arc<AccessRule>,
    /// Whether it was meant to allow somebody and could not be read: whoever is meant, everybody
    /// else is not allowed.
    closes: bool,
}
