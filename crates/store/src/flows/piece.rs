//! A piece: the sums of all kinds of call for a while, as few bytes. Each is a row of the kinds'
//! numbers, rising, with what was counted of each in variable-length numbers.

use std::collections::BTreeMap;
use std::time::Duration;

use leno_model::flow::Sum;
use leno_model::{CallId, Wall};
use rusqlite::{Connection, params};

use crate::columns::{Millis, execute};
use crate::failed::Failed;
use crate::flows::{millis, small};

/// From when until when, in milliseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Span {
    pub(super) start: u64,
    pub(super) until: u64,
}

impl Span {
    pub(super) fn middle(self) -> u64 {
        self.start / 2 + self.until / 2 + (self.start % 2 + self.until % 2) / 2
    }

    pub(super) fn holds(self, moment: u64) -> bool {
        self.start <= moment && moment < self.until
    }
}

/// A piece as it stands in the file.
pub(super) struct Piece<'a> {
    pub(super) span: Span,
    pub(super) body: &'a [u8],
}

impl Piece<'_> {
    /// Shows what was counted of each kind.
    pub(super) fn each(&self, mut show: impl FnMut(u32, &Counted<'_>)) -> Result<(), Failed> {
        let mut rest = Rest(self.body);
        let mut id = 0_u32;
        while !rest.0.is_empty() {
            let (more, counted) = rest
                .counted(self.span.start)
                .ok_or_else(|| Failed::Damaged("a piece of the flows makes no sense".into()))?;
            id = id.wrapping_add(more);
            show(id, &counted);
        }
        Ok(())
    }
}

/// What was counted of one kind, not yet laid out as a [`Sum`].
pub(super) struct Counted<'a> {
    count: u64,
    first: Wall,
    last: Wall,
    open_ms: u64,
    sent: u64,
    received: u64,
    took_us: u64,
    example: Option<CallId>,
    /// Pairs of a bucket and how many are in it.
    buckets: Rest<'a>,
}

impl Counted<'_> {
    /// How many calls, and when the first and the last of them were over.
    pub(super) fn calls(&self) -> (u64, Wall, Wall) {
        (self.count, self.first, self.last)
    }

    /// How many streams were open at once in a piece of this span, at least.
    pub(super) fn open(&self, span: Span) -> u64 {
        let length = span.until.saturating_sub(span.start).max(1);
        self.open_ms.div_ceil(length)
    }

    pub(super) fn add_to(&self, sum: &mut Sum) {
        sum.add_calls(self.count, self.first, self.last, self.example);
        sum.open_ms = sum.open_ms.saturating_add(self.open_ms);
        sum.sent = sum.sent.saturating_add(self.sent);
        sum.received = sum.received.saturating_add(self.received);
        sum.took.add_sum(self.took_us);
        let mut buckets = self.buckets;
        let mut bucket = 0_usize;
        while let Some((more, count)) = buckets.number().zip(buckets.number()) {
            bucket = bucket.saturating_add(usize::try_from(more).unwrap_or(usize::MAX));
            sum.took.add_to(bucket, count);
        }
    }
}

/// Adds a piece to the file.
pub(super) fn add(
    connection: &Connection,
    span: Span,
    sums: &BTreeMap<u32, Sum>,
) -> Result<(), Failed> {
    let mut body = Vec::new();
    let mut before = 0;
    for (id, sum) in sums.iter().filter(|(_, sum)| !sum.is_empty()) {
        write(&mut body, u64::from(id - before));
        before = *id;
        write_sum(&mut body, span.start, sum);
    }
    if body.is_empty() {
        return Ok(());
    }
    let insert = "INSERT INTO piece (start, until, body) VALUES (?1, ?2, ?3)";
    execute(connection, insert, params![span.start, span.until, body])?;
    Ok(())
}

/// The pieces whose middle is within `span`, in the order of these.
pub(super) fn within(connection: &Connection, span: Span) -> Result<Vec<(i64, Span)>, Failed> {
    let select = "SELECT id, start, until FROM piece WHERE start < ?2 AND until > ?1";
    let mut statement = connection.prepare_cached(select)?;
    let mut rows = statement.query(params![span.start, span.until])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let own = Span {
            start: row.get(1)?,
            until: row.get(2)?,
        };
        if span.holds(own.middle()) {
            found.push((row.get(0)?, own));
        }
    }
    found.sort_by_key(|(id, span)| (span.middle(), *id));
    Ok(found)
}

/// At most so many spans of this length that are over at `limit` and in which there is something else
/// than one piece of that length, the oldest first.
pub(super) fn untidy(
    connection: &Connection,
    width: Duration,
    limit: Wall,
    most: usize,
) -> Result<Vec<Span>, Failed> {
    let width = millis(width);
    let select = "SELECT DISTINCT (start + until) / 2 / ?1 AS place FROM piece \
         WHERE until - start <= ?1 AND (place + 1) * ?1 <= ?2 \
         AND (start <> place * ?1 OR until <> (place + 1) * ?1) ORDER BY place LIMIT ?3";
    let most = u32::try_from(most).unwrap_or(u32::MAX);
    let mut statement = connection.prepare_cached(select)?;
    let places = statement.query_map(params![width, Millis(limit), most], |row| row.get(0))?;
    let spans = places.map(|place| {
        let place: u64 = place?;
        Ok(Span {
            start: place * width,
            until: (place + 1) * width,
        })
    });
    spans.collect()
}

/// Makes one piece of all whose middle is within `span` and that are no longer.
pub(super) fn merge(connection: &Connection, span: Span) -> Result<(), Failed> {
    let length = span.until - span.start;
    let mut sums = BTreeMap::<u32, Sum>::new();
    let within = "until - start <= ?3 AND (start + until) / 2 >= ?1 AND (start + until) / 2 < ?2 \
                  AND start < ?2 AND start > ?1 - ?3";
    let select = format!("SELECT start, until, body FROM piece WHERE {within}");
    let bounds = params![span.start, span.until, length];
    let mut statement = connection.prepare_cached(&select)?;
    let mut rows = statement.query(bounds)?;
    while let Some(row) = rows.next()? {
        let piece = Piece {
            span: Span {
                start: row.get(0)?,
                until: row.get(1)?,
            },
            body: row.get_ref(2)?.as_blob().map_err(rusqlite::Error::from)?,
        };
        piece.each(|id, counted| counted.add_to(sums.entry(id).or_default()))?;
    }
    drop(rows);
    execute(
        connection,
        &format!("DELETE FROM piece WHERE {within}"),
        bounds,
    )?;
    add(connection, span, &sums)
}

/// Drops all that was over before `oldest`.
pub(super) fn drop_before(connection: &Connection, oldest: Wall) -> Result<(), Failed> {
    let delete = "DELETE FROM piece WHERE until < ?1";
    execute(connection, delete, [Millis(oldest)])?;
    Ok(())
}

/// Drops the oldest pieces; says whether there were any.
pub(super) fn drop_oldest(connection: &Connection) -> Result<bool, Failed> {
    let began = "UPDATE state SET began = max(began, coalesce(
                 (SELECT max(until) FROM (SELECT until FROM piece ORDER BY start LIMIT 4)), 0))";
    execute(connection, began, [])?;
    let delete = "DELETE FROM piece WHERE id IN (SELECT id FROM piece ORDER BY start LIMIT 4)";
    Ok(execute(connection, delete, [])? > 0)
}

fn write_sum(body: &mut Vec<u8>, start: u64, sum: &Sum) {
    let first = millis(sum.first.elapsed_since_epoch());
    let last = millis(sum.last.elapsed_since_epoch());
    write(body, small(sum.count));
    if sum.count > 0 {
        write(body, zigzag(first, start));
        write(body, zigzag(last, first));
    }
    for number in [sum.open_ms, sum.sent, sum.received, sum.took.sum_us()] {
        write(body, number);
    }
    match sum.example {
        None => body.push(0),
        Some(id) => {
            body.push(1);
            body.extend_from_slice(&id.number().to_be_bytes());
        }
    }
    let mut buckets = Vec::new();
    let mut before = 0;
    for (bucket, count) in sum.took.filled() {
        write(
            &mut buckets,
            u64::try_from(bucket - before).unwrap_or(u64::MAX),
        );
        write(&mut buckets, count);
        before = bucket;
    }
    write(body, u64::try_from(buckets.len()).unwrap_or(u64::MAX));
    body.append(&mut buckets);
}

/// LEB128: seven bits a byte, the lowest first.
fn write(body: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        body.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    body.push(number as u8);
}

/// A difference that may be negative as a number that is small where the difference is.
fn zigzag(number: u64, from: u64) -> u64 {
    match number.checked_sub(from) {
        Some(ahead) => ahead << 1,
        None => ((from - number) << 1) | 1,
    }
}

fn unzigzag(number: u64, from: u64) -> u64 {
    match number & 1 {
        0 => from.saturating_add(number >> 1),
        _ => from.saturating_sub(number >> 1),
    }
}

/// What is left to read.
#[derive(Clone, Copy)]
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// By how much the kind's number rises, and what was counted of it; nothing if it makes no sense.
    fn counted(&mut self, start: u64) -> Option<(u32, Counted<'a>)> {
        let more = u32::try_from(self.number()?).ok()?;
        let count = self.number()?;
        let (mut first, mut last) = (start, start);
        if count > 0 {
            first = unzigzag(self.number()?, start);
            last = unzigzag(self.number()?, first);
        }
        let open_ms = self.number()?;
        let sent = self.number()?;
        let received = self.number()?;
        let took_us = self.number()?;
        let example = match self.bytes(1)? {
            [0] => None,
            _ => Some(CallId::of_number(u128::from_be_bytes(
                self.bytes(16)?.try_into().ok()?,
            ))),
        };
        let length = usize::try_from(self.number()?).ok()?;
        let buckets = Rest(self.bytes(length)?);
        let counted = Counted {
            count,
            first: Wall::since_epoch(Duration::from_millis(first)),
            last: Wall::since_epoch(Duration::from_millis(last)),
            open_ms,
            sent,
            received,
            took_us,
            example,
            buckets,
        };
        Some((more, counted))
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for place in 0..10 {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f).checked_shl(7 * place)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}
