//! The door: one writer at a time, readers beside it, and whoever wants to know of a new head.

use std::fmt;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use leno_model::view::Generation;
use rusqlite::{Connection, params};

use crate::authority::Batches;
use crate::change::{self, Change, Decided, Deed, Outcome, Refused};
use crate::draft::Draft;
use crate::failed::Failed;
use crate::file::{self, Lock, NotBackedUp, NotOpened};
use crate::history::{Cause, Entry, NotRead, Tally};
use crate::log::{self, Span};
use crate::object::{Object, ObjectChange, Owner, Revision};
use crate::replica::{Place, Replica, Replication};
use crate::text::Label;
use crate::watches::{self, End, Ended};
use crate::writing::{Writing, run};

/// The name of the store among the sources of a [`Generation`], and the source of what people apply.
pub const SOURCE: &str = "store";

/// How a store is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// How many of the newest revisions can be told, compared and gone back to. The head is always
    /// one of them.
    pub keep: NonZeroU64,
}

impl Default for Settings {
    /// A thousand revisions.
    fn default() -> Self {
        Self {
            keep: NonZeroU64::new(1000).expect("not zero"),
        }
    }
}

/// What stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// The newest revision; [`Revision::EMPTY`] if nothing was ever applied.
    pub revision: Revision,
    /// Rises when a lost store is replaced.
    pub epoch: u64,
    /// Rises with every change that a proxy's view can show: revisions, the CA's keys and chains,
    /// revocations.
    pub position: u64,
}

impl Head {
    /// The generation of a view that is made of the store alone.
    pub fn generation(self) -> Generation {
        Generation {
            epoch: self.epoch,
            positions: [(SOURCE.into(), self.position)].into(),
        }
    }

    /// Whether a store that stood here can stand at `later` now.
    pub(crate) fn is_within(self, later: Self) -> bool {
        self.epoch < later.epoch
            || (self.epoch == later.epoch
                && self.position <= later.position
                && self.revision <= later.revision)
    }

    pub(crate) fn read(connection: &Connection) -> Result<Self, Failed> {
        let Span { head, .. } = Span::read(connection)?;
        let sql = "SELECT epoch, position FROM state";
        let (epoch, position) = connection
            .prepare_cached(sql)?
            .query_one([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(Self {
            revision: head,
            epoch,
            position,
        })
    }
}

type Watcher = Box<dyn Fn(Head) + Send>;

/// The log of revisions and the state of the CA, in a folder that no other process has open.
///
/// Changes wait for each other; reading waits for no change. All that is acknowledged is on disk.
pub struct Store {
    pub(crate) writer: Mutex<Connection>,
    reader: Mutex<Connection>,
    head: Mutex<Head>,
    watchers: Mutex<Vec<Watcher>>,
    settings: Settings,
    pub(crate) remembering: Batches,
    /// What makes it one of several that hold the same.
    pub(crate) replica: Option<Replica>,
    folder: PathBuf,
    // Given back last, when the connections are closed.
    _lock: Lock,
}

impl Store {
    /// Opens the store in `folder`, making folder and store where there are none. Says in
    /// [`NotOpened`] what is wrong with one that cannot be trusted or used, and leaves it as it is.
    pub fn open(folder: &Path, settings: Settings) -> Result<Self, NotOpened> {
        Self::open_as(folder, settings, None)
    }

    /// The same, as one of several that hold the same: it follows what others write, until it
    /// leads ([`Self::lead`]), and refuses to be changed meanwhile.
    pub fn open_replica(
        folder: &Path,
        settings: Settings,
        replication: Replication,
    ) -> Result<Self, NotOpened> {
        Self::open_as(folder, settings, Some(Replica::new(replication)))
    }

    fn open_as(
        folder: &Path,
        settings: Settings,
        replica: Option<Replica>,
    ) -> Result<Self, NotOpened> {
        let opened = file::open(folder, file::STEPS)?;
        let failed = |why| NotOpened::Failed {
            file: folder.join(file::FILE),
            why,
        };
        if replica.is_none() {
            // What is written from here on, no log knows of.
            Place::forget(&opened.writer).map_err(failed)?;
        }
        let head = Head::read(&opened.reader).map_err(failed)?;
        Ok(Self {
            writer: Mutex::new(opened.writer),
            reader: Mutex::new(opened.reader),
            head: Mutex::new(head),
            watchers: Mutex::default(),
            settings,
            remembering: Batches::default(),
            replica,
            folder: folder.into(),
            _lock: opened.lock,
        })
    }

    /// Makes a revision, whole or not at all; it is on disk when this returns. A change that
    /// changes nothing makes none.
    ///
    /// `check` sees what would be committed while nothing else can change, and commits it by
    /// `Ok`; it is not asked about a change that changes nothing. It may read the store, but must not
    /// change it.
    pub fn commit(
        &self,
        change: Change,
        check: impl FnOnce(&Draft<'_>) -> Result<(), Refused>,
    ) -> Result<Outcome, Refused> {
        self.make(change, check, [Written::Visibly, Written::Quietly])
    }

    /// What [`Self::commit`] would make of the change. Nothing changes.
    pub fn rehearse(
        &self,
        change: Change,
        check: impl FnOnce(&Draft<'_>) -> Result<(), Refused>,
    ) -> Result<Outcome, Refused> {
        self.make(change, check, [Written::Nothing; 2])
    }

    fn make(
        &self,
        change: Change,
        check: impl FnOnce(&Draft<'_>) -> Result<(), Refused>,
        [visibly, quietly]: [fn(Outcome) -> Written<Outcome>; 2],
    ) -> Result<Outcome, Refused> {
        change::bounded(&change.deed)?;
        self.write(|writing| {
            let span = Span::read(writing)?;
            let head = span.head;
            if let Some(expected) = change.expected.filter(|expected| *expected != head) {
                return Err(Refused::MovedOn { expected, head });
            }
            let cause = match &change.deed {
                Deed::Apply { set, .. } => Cause::Apply(set.clone()),
                Deed::Observe { .. } => Cause::Observe,
                Deed::Delete { .. } => Cause::Delete,
                Deed::Rollback { to } => Cause::Rollback(span.find(*to)?),
                Deed::Undo { of, .. } => Cause::Undo(undone(span, *of)?),
            };
            let end = match change.deed {
                Deed::Undo { of, end } => Some((of, end)),
                Deed::Apply { .. }
                | Deed::Observe { .. }
                | Deed::Delete { .. }
                | Deed::Rollback { .. } => None,
            };
            let Decided { changes, left } = decide(writing, &change.source, change.deed, head)?;
            let ended = |end, by| Ended {
                at: change.at,
                end,
                why: change.message.clone(),
                by,
            };
            if changes.is_empty() {
                let outcome = Outcome {
                    revision: head,
                    changes,
                    left,
                };
                if let Some((of, end)) = end {
                    watches::finish(writing, of, &ended(end, None))?;
                    return Ok(quietly(outcome));
                }
                return Ok(Written::Nothing(outcome));
            }
            let revision = head.next();
            if let Some((of, end)) = end {
                watches::finish(writing, of, &ended(end, Some(revision)))?;
            }
            for (watch, over) in watches::over(writing, &changes)? {
                if !matches!(cause, Cause::Rollback(_)) {
                    return Err(Refused::Watched {
                        object: over.key().clone(),
                        revision: watch.revision,
                        who: watch.who,
                        until: watch.terms.until,
                    });
                }
                let ended = ended(End::TakenBack, Some(revision));
                watches::finish(writing, watch.revision, &ended)?;
            }
            if let Some(terms) = &change.watch {
                watches::begin(writing, revision, change.at, &change.who, terms)?;
            }
            let entry = Entry {
                revision,
                at: change.at,
                who: change.who.clone(),
                message: change.message.clone(),
                source: change.source,
                cause,
                tally: Tally::of(&changes),
                position: Head::read(writing)?.position + 1,
            };
            log::record(writing, &entry, &changes)?;
            change::fits(log::live_count(writing)?)?;
            check(&Draft::new(writing, head, &changes))?;
            log::compact(writing, self.settings.keep)?;
            Ok(visibly(Outcome {
                revision,
                changes,
                left,
            }))
        })
    }

    /// The folder that it is in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What stands. Reads no file.
    pub fn head(&self) -> Head {
        *lock(&self.head)
    }

    /// Calls `tell` with each new head from here on, in order, after it is on disk and before
    /// the call that made it returns. `tell` should pass the news on and be done: others wait for it,
    /// and it must not change the store.
    pub fn on_new_head(&self, tell: impl Fn(Head) + Send + 'static) {
        lock(&self.watchers).push(Box::new(tell));
    }

    /// The objects as they were at `revision`, ordered by key.
    pub fn at(&self, revision: Revision) -> Result<Vec<Object>, NotRead> {
        self.read(|connection| {
            let revision = Span::read(connection)?.find(revision)?;
            Ok(log::at(connection, revision)?)
        })
    }

    /// What leads from one revision to another, which may be an earlier one; ordered by key.
    pub fn diff(&self, from: Revision, to: Revision) -> Result<Vec<ObjectChange>, NotRead> {
        self.read(|connection| {
            let span = Span::read(connection)?;
            let (from, to) = (span.find(from)?, span.find(to)?);
            Ok(log::differences(connection, from, to)?)
        })
    }

    /// At most `limit` revisions, newest first, beginning right before `before` or with the head.
    pub fn history(&self, limit: usize, before: Option<Revision>) -> Result<Vec<Entry>, Failed> {
        self.read(|connection| log::history(connection, limit, before))
    }

    /// The newest revision that views of `position` show; `None` if that is older than what is kept.
    pub fn shown_at(&self, position: u64) -> Result<Option<Revision>, Failed> {
        self.read(|connection| log::shown_at(connection, position))
    }

    /// Begins a new epoch, above the present one and above `seen`, the highest that any proxy
    /// holds: whatever is served from here on comes after all that was served before. For a store
    /// that was lost or put back from a backup (`leno control recover`).
    pub fn raise_epoch(&self, seen: u64) -> Result<u64, Failed> {
        self.write(|writing| {
            let epoch = Head::read(writing)?.epoch.max(seen).saturating_add(1);
            run(writing, "UPDATE state SET epoch = ?1", params![epoch])?;
            Ok(Written::Visibly(epoch))
        })
    }

    /// Writes a consistent copy, keys included and as private, while others go on changing the
    /// store; returns what it holds. It is a `store.db` like any other: put in that place, it opens.
    pub fn backup(&self, to: &Path) -> Result<Head, NotBackedUp> {
        if to.try_exists().map_err(Failed::from)? {
            return Err(NotBackedUp::Exists(to.into()));
        }
        self.read(|connection| {
            let head = Head::read(connection)?;
            file::copy(connection, to)?;
            Ok(head)
        })
    }

    /// Runs `work` on one state of the file.
    pub(crate) fn read<T, E: From<Failed>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut reader = lock(&self.reader);
        let transaction = reader.transaction().map_err(Failed::from)?;
        work(&transaction)
    }

    /// Runs `work` as the only one that writes. Nothing of it stays if it fails or panics; if it
    /// succeeds, all of it is on disk when this returns.
    pub(crate) fn write<T, E: From<Failed>>(
        &self,
        work: impl FnOnce(&Writing<'_>) -> Result<Written<T>, E>,
    ) -> Result<T, E> {
        let mut writer = lock(&self.writer);
        let writing = Writing::begin(&mut writer, self.replica.is_some())?;
        match work(&writing)? {
            Written::Nothing(answer) => Ok(answer),
            Written::Quietly(answer) => {
                self.settle(writing)?;
                Ok(answer)
            }
            Written::Visibly(answer) => {
                let next = "UPDATE state SET position = position + 1";
                run(&writing, next, params![])?;
                let head = Head::read(&writing)?;
                self.settle(writing)?;
                self.show(head);
                Ok(answer)
            }
        }
    }

    /// Commits, in its place among what all replicas write if there are others.
    fn settle(&self, writing: Writing<'_>) -> Result<(), Failed> {
        match &self.replica {
            None => writing.commit(),
            Some(replica) => replica.settle(writing),
        }
    }

    /// Tells those who want to know of a new head.
    pub(crate) fn show(&self, head: Head) {
        *lock(&self.head) = head;
        for tell in lock(&self.watchers).iter() {
            tell(head);
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({} at {:?})", self.folder.display(), self.head())
    }
}

/// What a write did, with its answer.
pub(crate) enum Written<T> {
    /// Nothing.
    Nothing(T),
    /// Something that no view shows.
    Quietly(T),
    /// Something that a view may show, so that the position rises.
    Visibly(T),
}

impl Written<bool> {
    pub(crate) fn visibly_if(changed: bool) -> Self {
        match changed {
            true => Self::Visibly(true),
            false => Self::Nothing(false),
        }
    }
}

/// A revision that can be undone: the state before it is kept, too.
fn undone(span: Span, of: Revision) -> Result<Revision, Refused> {
    span.find(Revision(of.0.saturating_sub(1)))?;
    Ok(span.find(of)?)
}

/// Reads what a change concerns, and asks the rules.
fn decide(
    connection: &Connection,
    source: &Label,
    deed: Deed,
    head: Revision,
) -> Result<Decided, Refused> {
    match deed {
        Deed::Apply {
            set,
            upserts,
            prune,
        } => {
            let source = source.clone();
            let owner = Owner { source, set };
            let keys = upserts.iter().map(|upsert| &upsert.key);
            let mut live = log::live_named(connection, keys)?;
            if prune {
                live.extend(log::live_of(connection, &owner)?);
            }
            change::apply(live, &owner, upserts, prune)
        }
        Deed::Observe { objects } => {
            let owner = Owner::of_source(source);
            let keys = objects.iter().map(|object| &object.key);
            let mut live = log::live_named(connection, keys)?;
            live.extend(log::live_of(connection, &owner)?);
            change::observe(live, &owner, objects)
        }
        Deed::Delete { objects } => {
            let live = log::live_named(connection, &objects)?;
            change::delete(live, source, objects)
        }
        Deed::Rollback { to } => {
            let differences = log::differences(connection, head, to)?;
            Ok(change::roll_back(differences, source))
        }
        Deed::Undo { of, .. } => {
            let made = watches::made_by(connection, of)?;
            let live = log::live_named(connection, made.iter().map(ObjectChange::key))?;
            Ok(change::undo(live, made))
        }
    }
}

/// A panic inside a check has rolled its transaction back: there is nothing half done to fear.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
