//! What a caller's check is asked about.

use rusqlite::Connection;

use crate::failed::Failed;
use crate::log;
use crate::object::{Object, ObjectChange, Revision};

/// A revision that has been written but not committed, for the caller's check to judge.
#[derive(Debug)]
pub struct Draft<'a> {
    connection: &'a Connection,
    base: Revision,
    changes: &'a [ObjectChange],
}

impl<'a> Draft<'a> {
    pub(crate) fn new(
        connection: &'a Connection,
        base: Revision,
        changes: &'a [ObjectChange],
    ) -> Self {
        Self {
            connection,
            base,
            changes,
        }
    }

    /// The revision it was made from.
    pub fn base(&self) -> Revision {
        self.base
    }

    /// What it changes; at least one object.
    pub fn changes(&self) -> &[ObjectChange] {
        self.changes
    }

    /// The objects before it, ordered by key.
    pub fn before(&self) -> Result<Vec<Object>, Failed> {
        log::at(self.connection, self.base)
    }

    /// The objects as they would be committed, ordered by key.
    pub fn after(&self) -> Result<Vec<Object>, Failed> {
        log::at(self.connection, self.base.next())
    }
}
