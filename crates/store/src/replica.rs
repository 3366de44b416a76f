//! One of several stores that hold the same: one of them leads, and is the only one that is changed;
//! the others follow. The file is as in a store that stands alone; beside it there is a log outside.
//!
//! What a transaction of the leader changed becomes an entry of the log before it is committed: the
//! statements, with what they were given. Who follows runs them again. An entry is sealed for the place
//! that it has behind all entries before it: nobody but a replica can make one, leave one out or
//! change their order. Should the leader end between entry and commit, it follows that entry later.

mod place;
mod sealing;
mod statements;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use leno_model::Code;
use rusqlite::Connection;

use crate::failed::Failed;
use crate::file;
use crate::order::{Away, Kept, NotAppended, Order};
use crate::replica::sealing::Sealing;
use crate::store::{Head, Store, lock};
use crate::writing::Writing;

pub(crate) use place::Place;

/// How a store is one of several.
#[derive(Clone)]
pub struct Replication {
    /// What the log is called that they agree by. A store that followed one log follows no other.
    pub log: String,
    /// The log.
    pub order: Arc<dyn Order>,
    /// What all of them seal by. Whoever has it can write whatever they believe.
    pub key: [u8; 32],
}

impl fmt::Debug for Replication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Replication({})", self.log)
    }
}

/// What a store needs beside its file to be one of several.
pub(crate) struct Replica {
    log: String,
    order: Arc<dyn Order>,
    sealing: Sealing,
    state: Mutex<State>,
}

#[derive(Clone, Default)]
struct State {
    leads: bool,
    /// Why nobody said whether the last entry that was put there was taken. Until that is known, no
    /// other follows.
    doubt: Option<String>,
    standing: Standing,
}

/// How far a replica has followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// The number of the last entry that it holds.
    pub number: u64,
    /// The number of the last one that it knows of.
    pub last: u64,
    /// The number of the last one that is in the copy.
    pub copied: u64,
    /// Whether there is a log.
    pub begun: bool,
}

impl Standing {
    /// How many entries it lacks.
    pub fn behind(self) -> u64 {
        self.last.saturating_sub(self.number)
    }
}

/// After how many entries everything is copied, so that those before may go.
const COPY_AFTER: u64 = 1000;

impl Store {
    /// Follows what others have written, up to the end of the log; says where that is. Who leads has
    /// nothing to follow. Nothing has changed but by entries before the one that is told of.
    pub fn catch_up(&self) -> Result<Standing, NotFollowed> {
        let Some(replica) = &self.replica else {
            return Ok(Standing::default());
        };
        while !self.leads() {
            let place = self.place(replica)?;
            let kept = replica
                .order
                .read(place.as_ref().map_or(0, |it| it.number))?;
            replica.note(place.as_ref(), &kept);
            if self.step(replica, place, kept)? {
                break;
            }
        }
        Ok(replica.state().standing)
    }

    /// Leads from here on, for as long as the log lets it: what is written from here on is put there
    /// first. It begins the log if there is none, with a copy of everything.
    pub fn lead(&self) -> Result<(), NotLed> {
        let Some(replica) = &self.replica else {
            return Ok(());
        };
        let standing = self.catch_up()?;
        if !standing.begun {
            let begun = Place::first(&replica.log, lineage());
            begun.write(&lock(&self.writer))?;
            self.copy_out(replica)?;
        }
        let state = &mut *replica.state();
        state.leads = true;
        state.doubt = None;
        Ok(())
    }

    /// Whether it leads, for all that it knows. A store that stands alone does.
    pub fn leads(&self) -> bool {
        let replica = self.replica.as_ref();
        replica.is_none_or(|replica| replica.state().leads)
    }

    /// Leads no more: whatever is written from here on is refused.
    pub fn stop_leading(&self) {
        if let Some(replica) = &self.replica {
            replica.state().leads = false;
        }
    }

    /// How far it has followed; `None` if it stands alone.
    pub fn standing(&self) -> Option<Standing> {
        Some(self.replica.as_ref()?.state().standing)
    }

    /// Finds out whether an entry was taken of which nobody said so; says whether it leads still. It
    /// does not if the entry was taken: that is followed like one of another.
    pub fn make_sure(&self) -> Result<bool, Away> {
        let Some(replica) = &self.replica else {
            return Ok(true);
        };
        if replica.state().doubt.is_none() {
            return Ok(self.leads());
        }
        let last = replica.order.read(u64::MAX)?.last;
        let state = &mut *replica.state();
        state.leads &= last == Some(state.standing.number);
        state.doubt = None;
        Ok(state.leads)
    }

    /// Copies everything into the log if enough was written since it was copied last, so that what is
    /// kept there does not grow for ever.
    pub fn copy_if_due(&self) -> Result<(), NotLed> {
        self.copy_after(COPY_AFTER)
    }

    /// Copies everything into the log if the copy there lacks anything.
    pub fn copy_all(&self) -> Result<(), NotLed> {
        self.copy_after(1)
    }

    fn copy_after(&self, entries: u64) -> Result<(), NotLed> {
        let Some(replica) = &self.replica else {
            return Ok(());
        };
        let State {
            leads, standing, ..
        } = replica.state().clone();
        match leads && standing.number.saturating_sub(standing.copied) >= entries {
            true => self.copy_out(replica),
            false => Ok(()),
        }
    }

    /// Where it stands in the log that it is to follow; `None` if it holds nothing yet.
    fn place(&self, replica: &Replica) -> Result<Option<Place>, NotFollowed> {
        let (place, head) = self.read(|connection| {
            Ok::<_, Failed>((Place::read(connection)?, Head::read(connection)?))
        })?;
        let is_untouched = head.position == 0;
        match place {
            Some(place) if place.log == replica.log && (place.begun || !is_untouched) => {
                Ok(Some(place))
            }
            _ if is_untouched => Ok(None),
            other => {
                let log = other.map(|place| place.log);
                match replica.order.read(u64::MAX)?.last {
                    None => Ok(None),
                    Some(_) => Err(NotFollowed::Foreign { log }),
                }
            }
        }
    }

    /// Takes what was read; says whether that is all there is.
    fn step(
        &self,
        replica: &Replica,
        place: Option<Place>,
        kept: Kept,
    ) -> Result<bool, NotFollowed> {
        let Some(last) = kept.last else {
            return match place {
                Some(Place { begun: true, .. }) => Err(NotFollowed::Gone),
                _ => Ok(true),
            };
        };
        let Some(place) = place else {
            self.copy_in(replica, None)?;
            return Ok(false);
        };
        if !place.begun {
            // Either it began the log and was not told, or another did.
            self.copy_in(replica, Some(&place))?;
            return Ok(false);
        }
        if last < place.number {
            let holds = place.number;
            return Err(NotFollowed::WentBack { holds, last });
        }
        if last == place.number {
            return Ok(true);
        }
        if kept.entries.is_empty() {
            self.copy_in(replica, Some(&place))?;
        }
        for entry in &kept.entries {
            match self.repeat(replica, entry) {
                Err(NotFollowed::Schema { .. }) if kept.copied > place.number => {
                    return self.copy_in(replica, Some(&place)).map(|()| false);
                }
                followed => followed?,
            }
        }
        Ok(false)
    }

    /// Does what the next entry says.
    fn repeat(&self, replica: &Replica, entry: &[u8]) -> Result<(), NotFollowed> {
        let mut writer = lock(&self.writer);
        let writing = Writing::begin(&mut writer, false)?;
        let place = Place::read(&writing)?.ok_or(NotFollowed::Gone)?;
        let number = place.number + 1;
        let unproven = || NotFollowed::Unproven { number };
        let said = replica.sealing.open_entry(&place, entry);
        let said = said.ok_or_else(unproven)?;
        let (found, said) = statements::schema(&said).ok_or_else(unproven)?;
        let known = file::schema();
        if found != known {
            return Err(NotFollowed::Schema {
                number,
                found,
                known,
            });
        }
        for statement in statements::decode(said).ok_or_else(unproven)? {
            statement.run(&writing)?;
        }
        place.after(entry).write(&writing)?;
        let head = Head::read(&writing)?;
        writing.commit()?;
        replica.state().standing.number = number;
        self.show(head);
        Ok(())
    }

    /// Takes the copy of everything in the place of what it holds.
    fn copy_in(&self, replica: &Replica, before: Option<&Place>) -> Result<(), NotFollowed> {
        let missing = NotFollowed::Missing {
            number: before.map_or(1, |place| place.number + 1),
        };
        let Some((number, sealed)) = replica.order.copy()? else {
            return Err(missing);
        };
        if before.is_some_and(|place| place.begun && number <= place.number) {
            return Err(missing);
        }
        let unproven = || NotFollowed::Unproven { number };
        let copy = replica.sealing.open_copy(number, &sealed);
        let copy = copy.ok_or_else(unproven)?;
        let mut writer = lock(&self.writer);
        let is_fit = |taken: &Connection| {
            let place = Place::read(taken)?.ok_or_else(unproven)?;
            if place.number != number || place.log != replica.log {
                return Err(unproven());
            }
            if let Some(before) = before {
                self.goes_on(before, &place, Head::read(taken)?)?;
            }
            Ok(Place {
                begun: true,
                ..place
            }
            .write(taken)?)
        };
        let known = file::schema();
        let taken = file::take_copy(&copy, &self.file(), &mut writer, is_fit)?;
        if let Err(found) = taken {
            return Err(NotFollowed::Schema {
                number,
                found,
                known,
            });
        }
        let head = Head::read(&writer)?;
        drop(writer);
        replica.state().standing.number = number;
        self.show(head);
        Ok(())
    }

    /// Whether a copy comes of what is held here, as far as that can be seen.
    fn goes_on(&self, before: &Place, copy: &Place, head: Head) -> Result<(), NotFollowed> {
        if copy.lineage != before.lineage {
            return Err(NotFollowed::Foreign { log: None });
        }
        match self.head().is_within(head) {
            true => Ok(()),
            false => Err(NotFollowed::Forked {
                number: copy.number,
            }),
        }
    }

    /// Puts a copy of everything into the log.
    fn copy_out(&self, replica: &Replica) -> Result<(), NotLed> {
        let (place, file) = self.read(|connection| {
            let place = Place::read(connection)?.ok_or(Failed::NotLeading)?;
            Ok::<_, Failed>((place, file::copied(connection, &self.file())?))
        })?;
        let sealed = replica.sealing.seal_copy(place.number, &file);
        replica.order.put_copy(place.number, &sealed)?;
        let number = place.number;
        if !place.begun {
            let begun = Place {
                begun: true,
                ..place
            };
            begun.write(&lock(&self.writer))?;
        }
        let standing = &mut replica.state().standing;
        standing.copied = number;
        standing.begun = true;
        Ok(())
    }

    fn file(&self) -> PathBuf {
        self.folder().join(file::FILE)
    }
}

impl Replica {
    pub(crate) fn new(replication: Replication) -> Self {
        Self {
            log: replication.log,
            order: replication.order,
            sealing: Sealing::new(&replication.key),
            state: Mutex::default(),
        }
    }

    /// Puts what was written into the log, then commits it.
    pub(crate) fn settle(&self, writing: Writing<'_>) -> Result<(), Failed> {
        let statements = writing.take_statements();
        if statements.is_empty() {
            return writing.commit();
        }
        let State { leads, doubt, .. } = self.state().clone();
        if !leads {
            return Err(Failed::NotLeading);
        }
        if let Some(why) = doubt {
            return Err(Failed::Unordered(why));
        }
        let place = Place::read(&writing)?.ok_or(Failed::NotLeading)?;
        let said = statements::encode(file::schema(), &statements);
        let entry = self.sealing.seal_entry(&place, &said);
        let after = place.after(&entry);
        after.write(&writing)?;
        match self.order.append(after.number, &entry) {
            Ok(()) => {}
            Err(NotAppended::Away(Away(why))) => {
                self.state().doubt = Some(why.clone());
                return Err(Failed::Unordered(why));
            }
            // An entry that is not in the file: its own, of which it was not told that it was taken,
            // or one of another. What this process holds in memory does not know of it.
            Err(NotAppended::Lost | NotAppended::Taken) => {
                self.state().leads = false;
                return Err(Failed::NotLeading);
            }
        }
        if let Err(failed) = writing.commit() {
            self.state().leads = false;
            return Err(failed);
        }
        let standing = &mut self.state().standing;
        standing.number = after.number;
        standing.last = after.number;
        Ok(())
    }

    fn note(&self, place: Option<&Place>, kept: &Kept) {
        self.state().standing = Standing {
            number: place.map_or(0, |place| place.number),
            last: kept.last.unwrap_or_default(),
            copied: kept.copied,
            begun: kept.last.is_some(),
        };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// What no other log has.
fn lineage() -> [u8; 32] {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

/// Why a store does not follow what others wrote. What it holds is as it was, after the entries before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFollowed {
    /// The log cannot be read.
    #[error(transparent)]
    Away(#[from] Away),
    /// Nobody who has the secret made this entry for this place.
    #[error(
        "entry {number} is not one that a control plane of this mesh, with this secret, put there"
    )]
    Unproven {
        /// Its number.
        number: u64,
    },
    /// It was written for another schema, by another release.
    #[error(
        "entry {number} is of a release with schema {found} of the store, and this one has {known}"
    )]
    Schema {
        /// Its number.
        number: u64,
        /// The schema that it was written for.
        found: u32,
        /// The schema that is known.
        known: u32,
    },
    /// Neither the next entry nor a later copy is kept.
    #[error("entry {number} is not kept any more, nor a copy of what came of it")]
    Missing {
        /// Its number.
        number: u64,
    },
    /// The log ends before what was followed already.
    #[error("the log ends with entry {last}, and this store holds entry {holds} of it already")]
    WentBack {
        /// What the store holds.
        holds: u64,
        /// Where the log ends.
        last: u64,
    },
    /// What the log holds comes of something else than what was followed.
    #[error("the copy of what came of entry {number} lacks what this store holds already")]
    Forked {
        /// The number of the last entry in the copy.
        number: u64,
    },
    /// The log is there no more.
    #[error("the log is gone that this store has followed")]
    Gone,
    /// The store holds something that is not of this log.
    #[error("this store was not made by this log, but {}", made(log.as_deref()))]
    Foreign {
        /// The log that it was made by, if it was.
        log: Option<String>,
    },
    /// The file could not be read or written.
    #[error(transparent)]
    Failed(#[from] Failed),
}

fn made(log: Option<&str>) -> String {
    log.map_or_else(|| "alone".to_owned(), |log| format!("by the log {log}"))
}

impl NotFollowed {
    /// The code under which people find it.
    pub fn code(&self) -> Code {
        match self {
            Self::Away(_) => Code::S019,
            Self::Unproven { .. } | Self::Schema { .. } => Code::S021,
            Self::Missing { .. }
            | Self::WentBack { .. }
            | Self::Forked { .. }
            | Self::Gone
            | Self::Foreign { .. } => Code::S022,
            Self::Failed(failed) => failed.code(),
        }
    }
}

/// Why a store does not lead, or has not copied what it holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotLed {
    /// It does not hold what others wrote.
    #[error(transparent)]
    NotFollowed(#[from] NotFollowed),
    /// The log did not take its copy.
    #[error(transparent)]
    NotAppended(#[from] NotAppended),
    /// The file could not be read or written.
    #[error(transparent)]
    Failed(#[from] Failed),
}

impl NotLed {
    /// The code under which people find it.
    pub fn code(&self) -> Code {
        match self {
            Self::NotFollowed(why) => why.code(),
            Self::NotAppended(NotAppended::Away(_)) => Code::S019,
            Self::NotAppended(NotAppended::Lost | NotAppended::Taken) => Code::S020,
            Self::Failed(failed) => failed.code(),
        }
    }
}
