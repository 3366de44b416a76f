//! The log of revisions in the file: how objects and revisions are written, read and compacted.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::sync::Arc;

use leno_model::{Name, Namespace, ObjectRef, Place};
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use crate::columns::{Millis, damaged, sha256};
use crate::failed::Failed;
use crate::history::{Cause, Entry, NoSuchRevision, Tally};
use crate::object::{Object, ObjectChange, Owner, Revision};
use crate::writing::{Writing, run};

/// The revisions that can be read: from `oldest` (before the first that history tells) to `head`.
#[derive(Clone, Copy)]
pub(crate) struct Span {
    pub(crate) oldest: Revision,
    pub(crate) head: Revision,
}

impl Span {
    pub(crate) fn read(connection: &Connection) -> Result<Self, Failed> {
        let sql = "SELECT min(number) - 1, max(number) FROM revision";
        let bounds = |row: &Row<'_>| {
            let oldest: Option<Revision> = row.get(0)?;
            let head: Option<Revision> = row.get(1)?;
            Ok(Self {
                oldest: oldest.unwrap_or_default(),
                head: head.unwrap_or_default(),
            })
        };
        Ok(connection.prepare_cached(sql)?.query_one([], bounds)?)
    }

    pub(crate) fn find(self, asked: Revision) -> Result<Revision, NoSuchRevision> {
        let Self { oldest, head } = self;
        match (oldest..=head).contains(&asked) {
            true => Ok(asked),
            false => Err(NoSuchRevision {
                asked,
                oldest,
                head,
            }),
        }
    }
}

/// The objects at the head among `keys`.
pub(crate) fn live_named<'a>(
    connection: &Connection,
    keys: impl IntoIterator<Item = &'a ObjectRef>,
) -> Result<BTreeMap<ObjectRef, Object>, Failed> {
    let mut statement = connection.prepare_cached(&select(
        "until IS NULL AND kind = ?1 AND namespace = ?2 AND name = ?3",
    ))?;
    let mut live = BTreeMap::new();
    for key in keys {
        let (kind, namespace, name) = key_columns(key);
        let mut rows = statement.query([kind, namespace, name])?;
        if let Some(row) = rows.next()? {
            live.insert(key.clone(), object(row)?);
        }
    }
    Ok(live)
}

/// The objects at the head that `owner` has.
pub(crate) fn live_of(
    connection: &Connection,
    owner: &Owner,
) -> Result<BTreeMap<ObjectRef, Object>, Failed> {
    let condition = "until IS NULL AND source = ?1 AND set_name = ?2";
    let found = objects(connection, condition, params![owner.source, owner.set])?;
    Ok(found
        .into_iter()
        .map(|object| (object.key.clone(), object))
        .collect())
}

/// How many objects the head has.
pub(crate) fn live_count(connection: &Connection) -> Result<usize, Failed> {
    let sql = "SELECT count(*) FROM object WHERE until IS NULL";
    Ok(connection
        .prepare_cached(sql)?
        .query_one([], |row| row.get(0))?)
}

/// The objects of a revision that can be read, ordered by key.
pub(crate) fn at(connection: &Connection, revision: Revision) -> Result<Vec<Object>, Failed> {
    let still = "until IS NULL AND since <= ?1";
    let mut found = objects(connection, still, params![revision])?;
    let no_more = "until > ?1 AND since <= ?1";
    found.extend(objects(connection, no_more, params![revision])?);
    found.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(found)
}

/// What leads from one revision to another, ordered by key. Both can be read.
pub(crate) fn differences(
    connection: &Connection,
    from: Revision,
    to: Revision,
) -> Result<Vec<ObjectChange>, Failed> {
    let (low, high) = (from.min(to), from.max(to));
    let only_low = "until > ?1 AND until <= ?2 AND since <= ?1";
    let only_high = "since > ?1 AND since <= ?2 AND (until IS NULL OR until > ?2)";
    let mut sides: BTreeMap<ObjectRef, (Option<Object>, Option<Object>)> = BTreeMap::new();
    for object in objects(connection, only_low, params![low, high])? {
        let key = object.key.clone();
        sides.entry(key).or_default().0 = Some(object);
    }
    for object in objects(connection, only_high, params![low, high])? {
        let key = object.key.clone();
        sides.entry(key).or_default().1 = Some(object);
    }
    let change = |(low, high)| match from <= to {
        true => ObjectChange::between(low, high),
        false => ObjectChange::between(high, low),
    };
    Ok(sides.into_values().filter_map(change).collect())
}

/// The newest revisions before `before`, newest first.
pub(crate) fn history(
    connection: &Connection,
    limit: usize,
    before: Option<Revision>,
) -> Result<Vec<Entry>, Failed> {
    let mut statement = connection.prepare_cached(
        "SELECT number, at, who, message, source, deed, set_name, target, added, changed, removed, \
         position FROM revision WHERE number < ?1 ORDER BY number DESC LIMIT ?2",
    )?;
    let before = before.unwrap_or(Revision(u64::MAX));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![before, limit])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push(entry(row)?);
    }
    Ok(entries)
}

/// The newest revision that views of `position` show.
pub(crate) fn shown_at(connection: &Connection, position: u64) -> Result<Option<Revision>, Failed> {
    let sql = "SELECT max(number) FROM revision WHERE position <= ?1";
    let newest = |row: &Row<'_>| row.get(0);
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_one([position], newest)?)
}

/// Writes a revision: its entry, and the objects it changes.
pub(crate) fn record(
    writing: &Writing<'_>,
    entry: &Entry,
    changes: &[ObjectChange],
) -> Result<(), Failed> {
    let (deed, set, target) = match &entry.cause {
        Cause::Apply(set) => ("apply", Some(set), None),
        Cause::Observe => ("observe", None, None),
        Cause::Delete => ("delete", None, None),
        Cause::Rollback(to) => ("rollback", None, Some(*to)),
        Cause::Undo(of) => ("undo", None, Some(*of)),
    };
    let Tally {
        added,
        changed,
        removed,
    } = entry.tally;
    run(
        writing,
        "INSERT INTO revision VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            entry.revision,
            Millis(entry.at),
            entry.who,
            entry.message,
            entry.source,
            deed,
            set,
            target,
            added,
            changed,
            removed,
            entry.position
        ],
    )?;
    for change in changes {
        if change.before().is_some() {
            end(writing, change.key(), entry.revision)?;
        }
        if let Some(after) = change.after() {
            begin(writing, after, entry.revision)?;
        }
    }
    Ok(())
}

fn end(writing: &Writing<'_>, key: &ObjectRef, until: Revision) -> Result<(), Failed> {
    let (kind, namespace, name) = key_columns(key);
    let ended = run(
        writing,
        "UPDATE object SET until = ?4 \
         WHERE until IS NULL AND kind = ?1 AND namespace = ?2 AND name = ?3",
        params![kind, namespace, name, until],
    )?;
    match ended {
        1 => Ok(()),
        _ => Err(Failed::Damaged(format!("{key} cannot be found again"))),
    }
}

fn begin(writing: &Writing<'_>, object: &Object, since: Revision) -> Result<(), Failed> {
    let (kind, namespace, name) = key_columns(&object.key);
    let place = object.place.as_ref();
    let text = keep_text(writing, &object.text)?;
    run(
        writing,
        "INSERT INTO object (kind, namespace, name, source, set_name, file, line, char, text, since) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            kind,
            namespace,
            name,
            object.owner.source,
            object.owner.set,
            place.map(|place| &*place.file),
            place.map(|place| place.line),
            place.map(|place| place.column),
            text,
            since
        ],
    )?;
    Ok(())
}

/// The row of a text, which is kept once however many objects and revisions have it.
fn keep_text(writing: &Writing<'_>, text: &str) -> Result<i64, Failed> {
    let hash = sha256(text.as_bytes());
    let known = writing
        .prepare_cached("SELECT id FROM text WHERE hash = ?1")?
        .query_one([&hash], |row| row.get(0))
        .optional()?;
    if let Some(id) = known {
        return Ok(id);
    }
    let insert = "INSERT INTO text (hash, body) VALUES (?1, ?2)";
    run(writing, insert, params![hash, text])?;
    Ok(writing.last_insert_rowid())
}

/// Forgets all but the newest `keep` revisions, and the state right before them.
pub(crate) fn compact(writing: &Writing<'_>, keep: NonZeroU64) -> Result<(), Failed> {
    let Span { oldest, head } = Span::read(writing)?;
    let keep_from = Revision(head.0.saturating_sub(keep.get()));
    if keep_from <= oldest {
        return Ok(());
    }
    run(
        writing,
        "DELETE FROM revision WHERE number <= ?1",
        params![keep_from],
    )?;
    run(
        writing,
        "DELETE FROM watch WHERE revision <= ?1 AND ended IS NOT NULL",
        params![keep_from],
    )?;
    let ended = "SELECT DISTINCT text FROM object WHERE until <= ?1";
    let texts: Vec<i64> = writing
        .prepare_cached(ended)?
        .query_map([keep_from], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    run(
        writing,
        "DELETE FROM object WHERE until <= ?1",
        params![keep_from],
    )?;
    for text in texts {
        let unused = "DELETE FROM text \
                      WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM object WHERE text = ?1)";
        run(writing, unused, params![text])?;
    }
    Ok(())
}

/// Whether every text is the one that was written, and every object and revision can be read.
pub(crate) fn verify(connection: &Connection) -> Result<(), Failed> {
    let mut texts = connection.prepare("SELECT hash, body FROM text")?;
    let mut rows = texts.query([])?;
    while let Some(row) = rows.next()? {
        let hash: [u8; 32] = row.get(0)?;
        if hash != sha256(row.get_ref(1)?.as_bytes().map_err(rusqlite::Error::from)?) {
            return Err(damaged("a document has changed by itself"));
        }
    }
    let mut objects = connection.prepare(&select("true"))?;
    let mut rows = objects.query([])?;
    while let Some(row) = rows.next()? {
        object(row)?;
    }
    history(connection, usize::MAX, None)?;
    Ok(())
}

/// A statement that reads objects, in the columns that [`object`] expects.
fn select(condition: &str) -> String {
    format!(
        "SELECT kind, namespace, name, source, set_name, file, line, char, body \
         FROM object JOIN text ON text.id = object.text WHERE {condition}"
    )
}

fn objects(
    connection: &Connection,
    condition: &str,
    params: impl Params,
) -> Result<Vec<Object>, Failed> {
    let mut statement = connection.prepare_cached(&select(condition))?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(object(row)?);
    }
    Ok(found)
}

fn object(row: &Row<'_>) -> Result<Object, Failed> {
    let namespace = match row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)? {
        "" => None,
        text => Some(Namespace::new(text).map_err(damaged)?),
    };
    let name = row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?;
    let file: Option<Arc<str>> = row.get(5)?;
    let place = match file {
        None => None,
        Some(file) => Some(Place {
            file,
            line: row.get(6)?,
            column: row.get(7)?,
        }),
    };
    Ok(Object {
        key: ObjectRef {
            kind: row.get(0)?,
            namespace,
            name: Name::new(name).map_err(damaged)?,
        },
        owner: Owner {
            source: row.get(3)?,
            set: row.get(4)?,
        },
        place,
        text: row.get(8)?,
    })
}

fn entry(row: &Row<'_>) -> Result<Entry, Failed> {
    let deed: Box<str> = row.get(5)?;
    let cause = match &*deed {
        "apply" => Cause::Apply(row.get(6)?),
        "observe" => Cause::Observe,
        "delete" => Cause::Delete,
        "rollback" => Cause::Rollback(row.get(7)?),
        "undo" => Cause::Undo(row.get(7)?),
        other => return Err(Failed::Damaged(format!("{other:?} makes no revision"))),
    };
    let Millis(at) = row.get(1)?;
    Ok(Entry {
        revision: row.get(0)?,
        at,
        who: row.get(2)?,
        message: row.get(3)?,
        source: row.get(4)?,
        cause,
        tally: Tally {
            added: row.get(8)?,
            changed: row.get(9)?,
            removed: row.get(10)?,
        },
        position: row.get(11)?,
    })
}

/// Kind, namespace (empty for objects of the whole mesh) and name.
fn key_columns(key: &ObjectRef) -> (&str, &str, &str) {
    let namespace = key.namespace.as_ref().map_or("", Namespace::as_str);
    (&key.kind, namespace, key.name.as_str())
}
