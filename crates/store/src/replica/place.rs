//! Where a store stands in a log: after which entry, and after which entries before it.

use rusqlite::{Connection, OptionalExtension, params};

use crate::columns::{execute, sha256};
use crate::failed::Failed;

/// The place after an entry of a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Place {
    /// What the log is called.
    pub(crate) log: String,
    /// What its first entry follows: nobody else's log has the same.
    pub(crate) lineage: [u8; 32],
    /// The number of the entry; 0 before the first.
    pub(crate) number: u64,
    /// Stands for all entries up to that one.
    pub(crate) chain: [u8; 32],
    /// Whether anybody else can have seen the log.
    pub(crate) begun: bool,
}

impl Place {
    /// Where a log begins.
    pub(crate) fn first(log: &str, lineage: [u8; 32]) -> Self {
        Self {
            log: log.to_owned(),
            lineage,
            number: 0,
            chain: sha256(&lineage),
            begun: false,
        }
    }

    /// The place after the next entry, if that one is `sealed`.
    pub(crate) fn after(&self, sealed: &[u8]) -> Self {
        Self {
            number: self.number + 1,
            chain: sha256(&[&self.chain[..], sealed].concat()),
            begun: true,
            ..self.clone()
        }
    }

    pub(crate) fn read(connection: &Connection) -> Result<Option<Self>, Failed> {
        let sql = "SELECT log, lineage, number, chain, begun FROM ordered";
        let mut statement = connection.prepare_cached(sql)?;
        let place = statement.query_one([], |row| {
            Ok(Self {
                log: row.get(0)?,
                lineage: row.get(1)?,
                number: row.get(2)?,
                chain: row.get(3)?,
                begun: row.get(4)?,
            })
        });
        Ok(place.optional()?)
    }

    pub(crate) fn write(&self, connection: &Connection) -> Result<(), Failed> {
        let sql = "INSERT OR REPLACE INTO ordered VALUES (1, ?1, ?2, ?3, ?4, ?5)";
        let Self {
            log,
            lineage,
            number,
            chain,
            begun,
        } = self;
        execute(connection, sql, params![log, lineage, number, chain, begun])?;
        Ok(())
    }

    /// Lets a store that belongs to no log any more forget the place.
    pub(crate) fn forget(connection: &Connection) -> Result<(), Failed> {
        execute(connection, "DELETE FROM ordered", [])?;
        Ok(())
    }
}
