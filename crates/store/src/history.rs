//! What is told of revisions.

use leno_model::{Code, Wall};

use crate::failed::Failed;
use crate::object::{ObjectChange, Revision};
use crate::text::{Label, Message};

/// One revision, as history tells it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Which.
    pub revision: Revision,
    /// When it was made.
    pub at: Wall,
    /// By whom.
    pub who: Label,
    /// Why, in their words.
    pub message: Message,
    /// On behalf of which source.
    pub source: Label,
    /// What they did.
    pub cause: Cause,
    /// How much changed; [`crate::Store::diff`] says what.
    pub tally: Tally,
    /// The first position whose views show it: see [`crate::Head::position`].
    pub position: u64,
}

/// What made a revision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cause {
    /// An apply of this set.
    Apply(Label),
    /// What was seen at the source.
    Observe,
    /// A deletion.
    Delete,
    /// A rollback to this revision.
    Rollback(Revision),
    /// What this revision changed was undone.
    Undo(Revision),
}

/// How many objects a revision changed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tally {
    /// Objects that its predecessor lacks.
    pub added: u32,
    /// Objects that both have.
    pub changed: u32,
    /// Objects that it lacks.
    pub removed: u32,
}

impl Tally {
    pub(crate) fn of(changes: &[ObjectChange]) -> Self {
        let mut tally = Self::default();
        for change in changes {
            match change {
                ObjectChange::Added(_) => tally.added += 1,
                ObjectChange::Changed { .. } => tally.changed += 1,
                ObjectChange::Removed(_) => tally.removed += 1,
            }
        }
        tally
    }
}

/// The revision was never made, or is older than what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no revision {asked}: {oldest} to {head} are kept")]
pub struct NoSuchRevision {
    /// What was asked for.
    pub asked: Revision,
    /// The oldest that is known.
    pub oldest: Revision,
    /// The newest.
    pub head: Revision,
}

/// Why a revision could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotRead {
    /// It is not there.
    #[error(transparent)]
    NoSuchRevision(#[from] NoSuchRevision),
    /// The file could not be read.
    #[error(transparent)]
    Failed(#[from] Failed),
}

impl NotRead {
    /// The code under which people find it.
    pub fn code(&self) -> Code {
        match self {
            Self::NoSuchRevision(_) => Code::S007,
            Self::Failed(failed) => failed.code(),
        }
    }
}
