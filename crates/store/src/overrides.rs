//! Overrides: measures of an emergency, each until a moment of its own.

use leno_model::{Code, Name, Override, Wall};
use rusqlite::{Connection, Row, params};

use crate::columns::{Millis, damaged};
use crate::failed::Failed;
use crate::store::{Store, Written};
use crate::text::{Label, Message};
use crate::writing::run;

/// An override, with who made it and how long it holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptOverride {
    /// What it is.
    pub over: Override,
    /// Since when it holds.
    pub at: Wall,
    /// It holds no more from this moment on.
    pub until: Wall,
    /// Who made it.
    pub who: Label,
    /// Why, in their words.
    pub reason: Message,
}

/// Why an override was not kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOverridden {
    /// The same holds already.
    #[error("override {0} says the same already: leno override drop {0}")]
    Known(Name),
    /// As many hold as may.
    #[error("{MOST_OVERRIDES} overrides hold already: leno override list")]
    TooMany,
    /// The file could not be written.
    #[error(transparent)]
    Failed(#[from] Failed),
}

impl NotOverridden {
    /// The code under which people find it, if it has one.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Known(_) | Self::TooMany => None,
            Self::Failed(failed) => Some(failed.code()),
        }
    }
}

/// How many hold at once: a mesh that needs more of them needs another configuration.
const MOST_OVERRIDES: usize = 32;

impl Store {
    /// Keeps an override; views show it from here on.
    pub fn add_override(&self, kept: &KeptOverride) -> Result<(), NotOverridden> {
        self.write(|writing| {
            let known = all(writing)?;
            if let Some(same) = known
                .iter()
                .find(|known| known.over.measure == kept.over.measure)
            {
                return Err(NotOverridden::Known(same.over.id.clone()));
            }
            if known.len() >= MOST_OVERRIDES {
                return Err(NotOverridden::TooMany);
            }
            run(
                writing,
                "INSERT INTO override VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![
                    kept.over.id.as_str(),
                    kept.over.measure.to_string(),
                    Millis(kept.at),
                    Millis(kept.until),
                    kept.who,
                    kept.reason
                ],
            )?;
            Ok(Written::Visibly(()))
        })
    }

    /// The overrides, the oldest first.
    pub fn overrides(&self) -> Result<Vec<KeptOverride>, Failed> {
        self.read(all)
    }

    /// Takes an override back; says whether there was one.
    pub fn drop_override(&self, id: &Name) -> Result<bool, Failed> {
        self.write(|writing| {
            let sql = "DELETE FROM override WHERE id = ?1";
            let dropped = run(writing, sql, params![id.as_str()])?;
            Ok(Written::visibly_if(dropped > 0))
        })
    }

    /// Takes those back whose time is over; says whether there were any.
    pub fn end_overrides(&self, now: Wall) -> Result<bool, Failed> {
        self.write(|writing| {
            let sql = "DELETE FROM override WHERE until <= ?1";
            let ended = run(writing, sql, params![Millis(now)])?;
            Ok(Written::visibly_if(ended > 0))
        })
    }
}

fn all(connection: &Connection) -> Result<Vec<KeptOverride>, Failed> {
    let mut statement = connection.prepare_cached(
        "SELECT id, measure, at, until, who, reason FROM override ORDER BY at, id",
    )?;
    let mut rows = statement.query([])?;
    let mut kept = Vec::new();
    while let Some(row) = rows.next()? {
        kept.push(read(row)?);
    }
    Ok(kept)
}

fn read(row: &Row<'_>) -> Result<KeptOverride, Failed> {
    let (id, measure): (Box<str>, Box<str>) = (row.get(0)?, row.get(1)?);
    let (Millis(at), Millis(until)) = (row.get(2)?, row.get(3)?);
    Ok(KeptOverride {
        over: Override {
            id: Name::new(&id).map_err(damaged)?,
            measure: measure.parse().map_err(damaged)?,
        },
        at,
        until,
        who: row.get(4)?,
        reason: row.get(5)?,
    })
}
