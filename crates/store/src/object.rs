//! Objects as the store keeps them: their text, who owns them, and where they stood.

use std::fmt;
use std::sync::Arc;

use leno_model::{ObjectRef, Place};

use crate::text::Label;

/// A state of the configuration as a whole. Counted from 1; 0 is the empty configuration before
/// the first apply.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

impl Revision {
    /// The empty configuration before the first apply.
    pub const EMPTY: Self = Self(0);

    /// The revision that comes right after this one.
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "revision {}", self.0)
    }
}

/// Whose an object is: nobody else may change it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Owner {
    /// Where configuration comes from: [`crate::SOURCE`] for what people apply, another name for
    /// what is taken over from Git, a folder or a cluster.
    pub source: Label,
    /// What was applied together (`--set`; by default the folder's name).
    pub set: Label,
}

impl Owner {
    /// Who has what is seen at a source as a whole ([`crate::Deed::Observe`]).
    pub fn of_source(source: &Label) -> Self {
        Self {
            source: source.clone(),
            set: source.clone(),
        }
    }

    /// Whether it has what was seen at a source, where alone it can be changed.
    pub fn is_observed(&self) -> bool {
        self.source == self.set && self.source.as_str() != crate::SOURCE
    }
}

/// `set shop`, or with a source other than the store's own `set shop of git`; `the cluster` where a source is seen
/// as a whole.
impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_observed() {
            return write!(f, "the {}", self.source);
        }
        write!(f, "set {}", self.set)?;
        if self.source.as_str() != crate::SOURCE {
            write!(f, " of {}", self.source)?;
        }
        Ok(())
    }
}

/// One object of a revision. Two are equal if nothing that was recorded of them differs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object {
    /// Which object.
    pub key: ObjectRef,
    /// Whose it is.
    pub owner: Owner,
    /// Where its document began, as it was when it was applied.
    pub place: Option<Place>,
    /// The document.
    pub text: Arc<str>,
}

/// How one object differs between two revisions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ObjectChange {
    /// Only the later one has it.
    Added(Object),
    /// Both have it, and something that is recorded of it differs.
    Changed {
        /// As it was.
        before: Object,
        /// As it is.
        after: Object,
    },
    /// Only the earlier one has it.
    Removed(Object),
}

impl ObjectChange {
    /// What happened between the two, or `None` if nothing did.
    pub(crate) fn between(before: Option<Object>, after: Option<Object>) -> Option<Self> {
        match (before, after) {
            (None, None) => None,
            (None, Some(after)) => Some(Self::Added(after)),
            (Some(before), None) => Some(Self::Removed(before)),
            (Some(before), Some(after)) if before == after => None,
            (Some(before), Some(after)) => Some(Self::Changed { before, after }),
        }
    }

    /// The object as it was, if it was there.
    pub fn before(&self) -> Option<&Object> {
        match self {
            Self::Added(_) => None,
            Self::Changed { before, .. } | Self::Removed(before) => Some(before),
        }
    }

    /// The object as it is, if it is there.
    pub fn after(&self) -> Option<&Object> {
        match self {
            Self::Added(after) | Self::Changed { after, .. } => Some(after),
            Self::Removed(_) => None,
        }
    }

    /// Which object.
    pub fn key(&self) -> &ObjectRef {
        match self {
            Self::Added(object) | Self::Removed(object) => &object.key,
            Self::Changed { after, .. } => &after.key,
        }
    }

    /// Whether the text stayed as it was, and only its place or owner differ.
    pub fn only_moved(&self) -> bool {
        matches!(self, Self::Changed { before, after } if before.text == after.text)
    }
}

/// `+ HTTPRoute shop/cart`, with `~` for changed and `-` for removed.
impl fmt::Display for ObjectChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self {
            Self::Added(_) => '+',
            Self::Changed { .. } => '~',
            Self::Removed(_) => '-',
        };
        write!(f, "{sign} {}", self.key())
    }
}
