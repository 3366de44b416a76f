//! The audit log: what was changed, asked and refused, by whom and from where. Records are only ever
//! added; beyond a number and an age the oldest are let go.

use std::time::Duration;

use leno_model::{Code, Wall};
use rusqlite::{Row, params};

use crate::columns::{Millis, damaged};
use crate::failed::Failed;
use crate::object::Revision;
use crate::store::{Store, Written};
use crate::text::{Label, Message};
use crate::writing::{Writing, run};

/// How many records are kept, and for how long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Remembering {
    /// At most so many.
    pub records: u64,
    /// None that is older.
    pub age: Duration,
}

impl Default for Remembering {
    /// 100,000 records, none of them older than 400 days.
    fn default() -> Self {
        Self {
            records: 100_000,
            age: Duration::from_secs(400 * 24 * 3600),
        }
    }
}

/// Something to be remembered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// When.
    pub at: Wall,
    /// Who.
    pub who: Label,
    /// From where.
    pub from: Label,
    /// What was asked: `apply`.
    pub what: Label,
    /// About what, in words.
    pub about: Message,
    /// What came of it.
    pub came: Came,
    /// The newest revision after it.
    pub revision: Revision,
}

/// What came of something that was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Came {
    /// It was done, or is about to be answered.
    Done,
    /// It was allowed, and not done.
    Failed(Option<Code>),
    /// It was not allowed.
    Refused(Code),
}

/// A record of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditRecord {
    /// Its number. Each has the next one: where one is missing before the newest, somebody took it.
    pub number: u64,
    /// What is remembered.
    pub note: Note,
}

/// After how many records it is looked which of the oldest are let go.
const SELDOM: u64 = 100;

impl Store {
    /// Adds a record, and lets go of what is beyond `remembering`, by and by. It is on disk when this
    /// returns.
    pub fn note(&self, note: &Note, remembering: Remembering) -> Result<u64, Failed> {
        self.write(|writing| {
            let (outcome, code) = match &note.came {
                Came::Done => ("done", None),
                Came::Failed(code) => ("failed", *code),
                Came::Refused(code) => ("refused", Some(*code)),
            };
            run(
                writing,
                "INSERT INTO audit (at, who, place, what, about, outcome, code, revision) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    Millis(note.at),
                    note.who,
                    note.from,
                    note.what,
                    note.about,
                    outcome,
                    code.map(Code::as_str),
                    note.revision
                ],
            )?;
            let number = u64::try_from(writing.last_insert_rowid()).unwrap_or_default();
            if number.is_multiple_of(SELDOM) {
                forget(writing, number, note.at, remembering)?;
            }
            Ok(Written::Quietly(number))
        })
    }

    /// At most `limit` records, newest first, beginning right before `before` or with the newest.
    pub fn audit(&self, limit: usize, before: Option<u64>) -> Result<Vec<AuditRecord>, Failed> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT number, at, who, place, what, about, outcome, code, revision FROM audit \
                 WHERE number < ?1 ORDER BY number DESC LIMIT ?2",
            )?;
            let before = before.and_then(|before| i64::try_from(before).ok());
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut rows = statement.query(params![before.unwrap_or(i64::MAX), limit])?;
            let mut records = Vec::new();
            while let Some(row) = rows.next()? {
                records.push(record(row)?);
            }
            Ok(records)
        })
    }
}

fn forget(
    writing: &Writing<'_>,
    newest: u64,
    now: Wall,
    remembering: Remembering,
) -> Result<(), Failed> {
    let oldest = newest.saturating_sub(remembering.records);
    let oldest = i64::try_from(oldest).unwrap_or(i64::MAX);
    let since = now - remembering.age;
    let sql = "DELETE FROM audit WHERE number <= ?1 OR at < ?2";
    run(writing, sql, params![oldest, Millis(since)])?;
    Ok(())
}

fn record(row: &Row<'_>) -> Result<AuditRecord, Failed> {
    let (outcome, code): (Box<str>, Option<Box<str>>) = (row.get(6)?, row.get(7)?);
    let code = code.as_deref().map(|code| {
        let unknown = || damaged(format_args!("{code:?} is no code"));
        code.parse().map_err(|_| unknown())
    });
    let code = code.transpose()?;
    let came = match (&*outcome, code) {
        ("done", _) => Came::Done,
        ("failed", code) => Came::Failed(code),
        ("refused", Some(code)) => Came::Refused(code),
        (other, _) => return Err(damaged(format_args!("{other:?} is no outcome"))),
    };
    let Millis(at) = row.get(1)?;
    Ok(AuditRecord {
        number: row.get(0)?,
        note: Note {
            at,
            who: row.get(2)?,
            from: row.get(3)?,
            what: row.get(4)?,
            about: row.get(5)?,
            came,
            revision: row.get(8)?,
        },
    })
}
