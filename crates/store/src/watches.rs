//! Changes that are watched: each is kept until its time is over, or goes back. What is watched stands
//! still meanwhile: nobody else changes the objects of a watched revision but by going back.

use std::fmt;

use leno_model::Wall;
use rusqlite::{Connection, Row, params};

use crate::change::Refused;
use crate::columns::{Millis, damaged};
use crate::failed::Failed;
use crate::log;
use crate::object::{ObjectChange, Revision};
use crate::store::{Store, Written};
use crate::text::{Label, Message};
use crate::writing::{Writing, run};

/// How a change is to be watched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// It stays if nothing has gone wrong by then.
    pub until: Wall,
    /// How many calls of a million may fail more than before.
    pub tolerated: u32,
    /// The proxies that were not well before, by name, a line each.
    pub unwell: Message,
}

/// A revision that is or was watched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptWatch {
    /// Which.
    pub revision: Revision,
    /// Since when.
    pub at: Wall,
    /// Who made it.
    pub who: Label,
    /// On which terms.
    pub terms: Terms,
    /// What came of it, once it is over.
    pub ended: Option<Ended>,
}

/// What came of a watch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// When.
    pub at: Wall,
    /// What.
    pub end: End,
    /// Why, in words.
    pub why: Message,
    /// The revision that took the change back, if one did.
    pub by: Option<Revision>,
}

/// How a watch ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Its time was over, and nothing had gone wrong.
    Stayed,
    /// Somebody let the change stay before its time was over.
    Kept,
    /// Something went wrong, and the change went back by itself.
    WentBack,
    /// Nobody could tell whether something went wrong, and the change went back by itself.
    Unseen,
    /// Somebody took the change back.
    TakenBack,
    /// Something went wrong, and what stood before cannot be put in force again: the change stays.
    Stuck,
}

impl End {
    const ALL: [Self; 6] = [
        Self::Stayed,
        Self::Kept,
        Self::WentBack,
        Self::Unseen,
        Self::TakenBack,
        Self::Stuck,
    ];

    /// The word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stayed => "stayed",
            Self::Kept => "kept",
            Self::WentBack => "went-back",
            Self::Unseen => "unseen",
            Self::TakenBack => "taken-back",
            Self::Stuck => "stuck",
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How many run at once: whoever changes more at once does not know what came of what.
const MOST_WATCHES: usize = 8;

/// How many of these one may have made, so that others find room.
const MOST_OF_ONE: usize = 4;

impl Store {
    /// The watches that run, and those of the revisions that are kept; the newest first.
    pub fn watches(&self) -> Result<Vec<KeptWatch>, Failed> {
        self.read(|connection| all(connection, "true"))
    }

    /// Lets a change stay that is watched; says whether its watch still ran.
    pub fn end_watch(
        &self,
        revision: Revision,
        end: End,
        why: &Message,
        at: Wall,
    ) -> Result<bool, Failed> {
        self.write(|writing| {
            let ended = Ended {
                at,
                end,
                why: why.clone(),
                by: None,
            };
            Ok(match finish(writing, revision, &ended)? {
                true => Written::Quietly(true),
                false => Written::Nothing(false),
            })
        })
    }
}

/// Keeps that a revision is watched which is being made.
pub(crate) fn begin(
    writing: &Writing<'_>,
    revision: Revision,
    at: Wall,
    who: &Label,
    terms: &Terms,
) -> Result<(), Refused> {
    let running = running(writing)?;
    let own = running.iter().filter(|watch| watch.who == *who).count();
    for (count, most, is_own) in [
        (own, MOST_OF_ONE, true),
        (running.len(), MOST_WATCHES, false),
    ] {
        if count >= most {
            return Err(Refused::TooManyWatches { most, is_own });
        }
    }
    run(
        writing,
        "INSERT INTO watch (revision, at, until, who, tolerated, unwell) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![
            revision,
            Millis(at),
            Millis(terms.until),
            who,
            terms.tolerated,
            terms.unwell
        ],
    )?;
    Ok(())
}

/// Those that run.
pub(crate) fn running(connection: &Connection) -> Result<Vec<KeptWatch>, Failed> {
    all(connection, "ended IS NULL")
}

/// Those that run over an object that is changed. That it stands elsewhere in its file changes nothing.
pub(crate) fn over(
    connection: &Connection,
    changes: &[ObjectChange],
) -> Result<Vec<(KeptWatch, ObjectChange)>, Failed> {
    let mut over = Vec::new();
    for watch in running(connection)? {
        let watched = made_by(connection, watch.revision)?;
        let is_watched = |change: &&ObjectChange| {
            let mut keys = watched.iter().map(ObjectChange::key);
            !change.only_moved() && keys.any(|key| key == change.key())
        };
        if let Some(change) = changes.iter().find(is_watched) {
            over.push((watch, change.clone()));
        }
    }
    Ok(over)
}

/// What a revision changed.
pub(crate) fn made_by(
    connection: &Connection,
    revision: Revision,
) -> Result<Vec<ObjectChange>, Failed> {
    let before = Revision(revision.0.saturating_sub(1));
    log::differences(connection, before, revision)
}

/// Says what came of a watch; and whether it still ran.
pub(crate) fn finish(
    writing: &Writing<'_>,
    revision: Revision,
    ended: &Ended,
) -> Result<bool, Failed> {
    let sql = "UPDATE watch SET ended = ?2, outcome = ?3, why = ?4, back = ?5 \
               WHERE revision = ?1 AND ended IS NULL";
    let Ended { at, end, why, by } = ended;
    let row = params![revision, Millis(*at), end.as_str(), why, by];
    Ok(run(writing, sql, row)? > 0)
}

fn all(connection: &Connection, condition: &str) -> Result<Vec<KeptWatch>, Failed> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT revision, at, until, who, tolerated, unwell, ended, outcome, why, back FROM watch \
         WHERE {condition} ORDER BY revision DESC"
    ))?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

fn read(row: &Row<'_>) -> Result<KeptWatch, Failed> {
    let (Millis(at), Millis(until)) = (row.get(1)?, row.get(2)?);
    let ended: Option<Millis> = row.get(6)?;
    let ended = match ended {
        None => None,
        Some(Millis(at)) => {
            let word: Box<str> = row.get(7)?;
            let end = End::ALL.into_iter().find(|end| end.as_str() == &*word);
            Some(Ended {
                at,
                end: end.ok_or_else(|| damaged(format_args!("no watch ends by {word:?}")))?,
                why: row.get(8)?,
                by: row.get(9)?,
            })
        }
    };
    Ok(KeptWatch {
        revision: row.get(0)?,
        at,
        who: row.get(3)?,
        terms: Terms {
            until,
            tolerated: row.get(4)?,
            unwell: row.get(5)?,
        },
        ended,
    })
}
