//! What went between services, as proxies reported it, in a file of its own beside the store: lost
//! without harm, bounded by size and age, and never in the way of a change.
//!
//! `flows.db` holds *pieces*: the sums of all kinds of call for a while. Recent pieces are as short
//! as reports come; [`Flows::tidy`] adds older ones up to longer ones ([`TIERS`]) and lets the oldest
//! go. Each report counts once: its sequence is committed with it.

mod dictionary;
mod file;
mod piece;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leno_model::Wall;
use leno_model::flow::{Flow, Kind, Sum};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::columns::{Millis, execute};
use crate::failed::Failed;
use crate::flows::dictionary::Dictionary;
use crate::flows::piece::{Piece, Span};

/// How old a piece is at least that is added up to one of this length.
pub const TIERS: [(Duration, Duration); 4] = [
    (Duration::from_secs(30), Duration::from_secs(10)),
    (Duration::from_secs(30 * 60), Duration::from_secs(60)),
    (Duration::from_secs(3 * 3600), Duration::from_secs(600)),
    (Duration::from_secs(48 * 3600), Duration::from_secs(3600)),
];

/// How much is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// How many bytes the file may use. Beyond that the oldest pieces go.
    pub bytes: u64,
    /// How old a piece may become.
    pub age: Duration,
}

impl Default for Bounds {
    /// 200 MiB and eight days.
    fn default() -> Self {
        Self {
            bytes: 200 << 20,
            age: Duration::from_secs(8 * 24 * 3600),
        }
    }
}

/// Who sent a report: one life of one proxy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Sender {
    /// Who it proved to be.
    pub identity: String,
    /// What it calls itself.
    pub proxy: String,
    /// Which life.
    pub boot: [u8; 16],
}

/// One report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reported {
    /// Who sent it.
    pub sender: Sender,
    /// Which of the sender's: each is higher than the one before.
    pub sequence: u64,
    /// Since when.
    pub from: Wall,
    /// Until when.
    pub until: Wall,
    /// How many calls of the sender are in no report of it.
    pub lost: u64,
    /// How many are in reports of it without what was asked.
    pub folded: u64,
    /// What went.
    pub flows: Vec<Flow>,
}

/// What is kept.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct KeptFlows {
    /// Since when whatever was reported is kept.
    pub from: Wall,
    /// Until when something was reported; nothing if nothing was.
    pub until: Option<Wall>,
    /// How many bytes of the file are in use.
    pub bytes: u64,
    /// How many calls are in no report of the proxies that reported meanwhile.
    pub lost: u64,
    /// How many are kept without what was asked.
    pub folded: u64,
}

/// The file.
#[derive(Debug)]
pub struct Flows {
    writer: Mutex<Writer>,
    reader: Mutex<Connection>,
    bounds: Bounds,
    folder: PathBuf,
}

#[derive(Debug)]
struct Writer {
    connection: Connection,
    dictionary: Dictionary,
    /// How many calls were folded here.
    folded: u64,
}

impl Flows {
    /// Opens the file in `folder`, making it where there is none, of what happens from `now` on. It is
    /// for whoever has the store of that folder open.
    pub fn open(folder: &Path, bounds: Bounds, now: Wall) -> Result<Self, Failed> {
        let connection = file::open(folder, now)?;
        let dictionary = Dictionary::read(&connection)?;
        let reader = file::connect(folder)?;
        Ok(Self {
            writer: Mutex::new(Writer {
                connection,
                dictionary,
                folded: 0,
            }),
            reader: Mutex::new(reader),
            bounds,
            folder: folder.into(),
        })
    }

    /// Lays a damaged file aside, in the place of an earlier one, so that the next one begins empty.
    pub fn set_aside(folder: &Path) -> Result<PathBuf, Failed> {
        file::set_aside(folder)
    }

    /// Counts a report, unless it or a later one of the same sender was counted before; says whether
    /// it did.
    pub fn take(&self, report: &Reported, now: Wall) -> Result<bool, Failed> {
        let mut writer = self.writer();
        let Writer {
            connection,
            dictionary,
            folded,
        } = &mut *writer;
        let transaction = begin(connection)?;
        let taken = counted(&transaction, dictionary, report, now).and_then(|taken| {
            transaction.commit()?;
            Ok(taken)
        });
        match taken {
            Ok(None) => Ok(false),
            Ok(Some(more)) => {
                *folded += more;
                Ok(true)
            }
            Err(failed) => {
                // What it learned of kinds was rolled back.
                *dictionary = Dictionary::read(connection)?;
                Err(failed)
            }
        }
    }

    /// Adds up what is old enough, and lets go of what is too old or too much. One call does a
    /// bounded part of it; it says whether there is more to do.
    pub fn tidy(&self, now: Wall) -> Result<bool, Failed> {
        let mut writer = self.writer();
        let Writer {
            connection,
            dictionary,
            ..
        } = &mut *writer;
        let transaction = begin(connection)?;
        let mut left = MOST_MERGED;
        for (age, width) in TIERS {
            for span in piece::untidy(&transaction, width, now - age, left)? {
                piece::merge(&transaction, span)?;
                left -= 1;
            }
        }
        let oldest = now - self.bounds.age;
        piece::drop_before(&transaction, oldest)?;
        let began = "UPDATE state SET began = max(began, ?1)";
        execute(&transaction, began, [Millis(oldest)])?;
        while file::used(&transaction)? > self.bounds.bytes && piece::drop_oldest(&transaction)? {}
        let forget = "DELETE FROM sender WHERE seen < ?1";
        execute(&transaction, forget, [Millis(oldest)])?;
        dictionary.forget(&transaction, oldest)?;
        transaction.commit()?;
        Ok(left == 0)
    }

    /// What is kept.
    pub fn kept(&self) -> Result<KeptFlows, Failed> {
        let folded_here = self.writer().folded;
        let mut reader = lock(&self.reader);
        let transaction = reader.transaction()?;
        let span = "SELECT began, (SELECT max(until) FROM piece) FROM state";
        let (Millis(from), until): (_, Option<Millis>) = transaction
            .prepare_cached(span)?
            .query_one([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let sums = "SELECT coalesce(sum(lost), 0), coalesce(sum(folded), 0) FROM sender";
        let (lost, folded): (u64, u64) = transaction
            .prepare_cached(sums)?
            .query_one([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(KeptFlows {
            from,
            until: until.map(|Millis(until)| until),
            bytes: file::used(&transaction)?,
            lost,
            folded: folded.saturating_add(folded_here),
        })
    }

    /// The kinds that are known, also those of which nothing is kept any more.
    pub fn kinds(&self) -> Vec<Kind> {
        self.writer().dictionary.kinds().cloned().collect()
    }

    /// Shows what went in each of so many `steps` of this length, from `from` on, by the group that
    /// `group` puts a kind into; kinds that it puts nowhere are left out, and so are steps in which
    /// nothing went. A piece belongs to the step that its middle is in.
    pub fn totals<G: Ord + Clone>(
        &self,
        from: Wall,
        step: Duration,
        steps: usize,
        group: impl Fn(&Kind) -> Option<G>,
        mut show: impl FnMut(usize, BTreeMap<G, Sum>),
    ) -> Result<(), Failed> {
        let mut groups = BTreeMap::new();
        let mut place_of = HashMap::new();
        for (id, kind) in self.writer().dictionary.with_ids() {
            if let Some(group) = group(kind) {
                let next = groups.len();
                place_of.insert(id, *groups.entry(group).or_insert(next));
            }
        }
        let width = millis(step).max(1);
        let begin = millis(from.elapsed_since_epoch());
        let mut sums: Vec<Option<Sum>> = vec![None; groups.len()];
        let mut told = |index, sums: &mut [Option<Sum>]| {
            let named = groups.iter().filter_map(|(group, place)| {
                let sum = sums.get_mut(*place)?.take()?;
                Some((group.clone(), sum))
            });
            let named: BTreeMap<_, _> = named.collect();
            if !named.is_empty() {
                show(index, named);
            }
        };
        let mut open = 0;
        let count = u64::try_from(steps).unwrap_or(u64::MAX);
        let span = Span {
            start: begin,
            until: begin.saturating_add(width.saturating_mul(count)),
        };
        self.each_piece(span, |piece| {
            let index = (piece.span.middle() - begin) / width;
            let index = usize::try_from(index).unwrap_or(usize::MAX);
            if index != open {
                told(open, &mut sums);
                open = index;
            }
            piece.each(|id, counted| {
                if let Some(place) = place_of.get(&id) {
                    counted.add_to(sums[*place].get_or_insert_default());
                }
            })
        })?;
        told(open, &mut sums);
        Ok(())
    }

    /// Shows how many calls of each kind went from `from` until `until`, and when the first and the last
    /// of them were over. A piece counts whose middle is in that time. Streams that were open in it went,
    /// too, although they may not have ended: at least as many as were open at once.
    pub fn seen(
        &self,
        from: Wall,
        until: Wall,
        mut show: impl FnMut(&Kind, u64, Wall, Wall),
    ) -> Result<(), Failed> {
        let span = Span {
            start: millis(from.elapsed_since_epoch()),
            until: millis(until.elapsed_since_epoch()),
        };
        let mut seen = HashMap::<u32, Went>::new();
        self.each_piece(span, |piece| {
            let within = Span {
                start: piece.span.start.max(span.start),
                until: piece.span.until.min(span.until),
            };
            piece.each(|id, counted| {
                let (ended, first, last) = counted.calls();
                if ended > 0 {
                    let went = seen.entry(id).or_insert(Went::none(first, last));
                    went.ended = went.ended.saturating_add(ended);
                    went.stretch(first, last);
                }
                let open = counted.open(piece.span);
                if open > 0 {
                    let (first, last) = (wall(within.start), wall(within.until));
                    let went = seen.entry(id).or_insert(Went::none(first, last));
                    went.open = went.open.max(open);
                    went.stretch(first, last);
                }
            })
        })?;
        for (id, kind) in self.writer().dictionary.with_ids() {
            if let Some(went) = seen.get(&id) {
                show(kind, went.ended.max(went.open), went.first, went.last);
            }
        }
        Ok(())
    }

    /// The folder that the file is in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Shows every piece whose middle is within `span`, in the order of these.
    fn each_piece(
        &self,
        span: Span,
        mut show: impl FnMut(&Piece<'_>) -> Result<(), Failed>,
    ) -> Result<(), Failed> {
        let mut reader = lock(&self.reader);
        let transaction = reader.transaction()?;
        let mut select = transaction.prepare_cached("SELECT body FROM piece WHERE id = ?1")?;
        for (id, span) in piece::within(&transaction, span)? {
            let mut rows = select.query([id])?;
            if let Some(row) = rows.next()? {
                let body = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
                show(&Piece { span, body })?;
            }
        }
        Ok(())
    }

    /// A panic while it is held has rolled its transaction back.
    fn writer(&self) -> MutexGuard<'_, Writer> {
        lock(&self.writer)
    }
}

/// What went of one kind.
struct Went {
    /// How many were over.
    ended: u64,
    /// How many streams were open at once.
    open: u64,
    first: Wall,
    last: Wall,
}

impl Went {
    fn none(first: Wall, last: Wall) -> Self {
        Self {
            ended: 0,
            open: 0,
            first,
            last,
        }
    }

    fn stretch(&mut self, first: Wall, last: Wall) {
        self.first = self.first.min(first);
        self.last = self.last.max(last);
    }
}

/// How many pieces are made of others in one call of [`Flows::tidy`].
const MOST_MERGED: usize = 64;

/// Counts a report and says how many of its calls were folded; nothing if it was counted before.
fn counted(
    transaction: &Transaction<'_>,
    dictionary: &mut Dictionary,
    report: &Reported,
    now: Wall,
) -> Result<Option<u64>, Failed> {
    let Sender {
        identity,
        proxy,
        boot,
    } = &report.sender;
    let known = "SELECT sequence FROM sender WHERE identity = ?1 AND proxy = ?2 AND boot = ?3";
    let known: Option<u64> = transaction
        .prepare_cached(known)?
        .query_one(params![identity, proxy, boot], |row| row.get(0))
        .optional()?;
    if known.is_some_and(|known| report.sequence <= known) {
        return Ok(None);
    }
    let noted = "INSERT INTO sender (identity, proxy, boot, sequence, lost, folded, seen) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) \
                 ON CONFLICT DO UPDATE SET sequence = ?4, lost = ?5, folded = ?6, seen = ?7";
    let (sequence, lost, folded) = (report.sequence, small(report.lost), small(report.folded));
    let row = params![identity, proxy, boot, sequence, lost, folded, Millis(now)];
    execute(transaction, noted, row)?;
    let mut folded = 0;
    let mut sums = BTreeMap::<u32, Sum>::new();
    for Flow { kind, sum } in &report.flows {
        let found = dictionary.find_or_add(transaction, kind, now)?;
        if found.is_folded {
            folded += sum.count;
        }
        sums.entry(found.id).or_default().add(sum);
    }
    let span = Span {
        start: millis(report.from.elapsed_since_epoch()),
        until: millis(report.until.elapsed_since_epoch()),
    };
    piece::add(transaction, span, &sums)?;
    Ok(Some(folded))
}

fn begin(connection: &mut Connection) -> Result<Transaction<'_>, Failed> {
    Ok(connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

/// A number that a column can hold, as near as it can.
fn small(number: u64) -> u64 {
    number.min(1 << 48)
}

fn wall(millis: u64) -> Wall {
    Wall::since_epoch(Duration::from_millis(millis))
}

fn millis(time: Duration) -> u64 {
    small(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
