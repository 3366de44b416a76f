//! What the CA remembers: its roots, each certificate that it signed, and which bundle those hold who
//! have one. What a root is, `identity` knows.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use leno_identity::{BundleHash, Fingerprint, Stage};
use leno_model::{SpiffeId, Wall};
use rusqlite::{OptionalExtension, Row, params};

use crate::columns::{Millis, damaged};
use crate::failed::Failed;
use crate::store::{Store, Written, lock};
use crate::text::Label;
use crate::trust::{Secret, put_secrets};
use crate::writing::{Writing, run};

/// A root as it is kept. Its key is a [`Secret`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptRoot {
    /// Which.
    pub fingerprint: Fingerprint,
    /// The certificate in DER.
    pub certificate: Vec<u8>,
    /// How one comes to it from the root before, if one came before.
    pub bridge: Option<Bridge>,
    /// Where it is in its life.
    pub stage: Stage,
    /// The last second of all that leads to it.
    pub needed_until: Wall,
}

/// How one comes from a root to the one that follows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bridge {
    /// The certificate in DER by which the earlier one vouches for the later one.
    pub certificate: Vec<u8>,
    /// The earlier one in DER.
    pub before: Vec<u8>,
}

/// A certificate that was signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issued {
    /// The certificate.
    pub leaf: Fingerprint,
    /// The first certificate of whoever it is for.
    pub holder: Fingerprint,
    /// Whom it proves.
    pub identity: SpiffeId,
    /// When it was signed.
    pub at: Wall,
    /// Its last second.
    pub ends: Wall,
    /// The root that it leads to.
    pub root: Fingerprint,
    /// What it was signed for: a token, a renewal.
    pub why: Label,
    /// The pod that the evidence was bound to for which its holder got its first one.
    pub pod: Option<Label>,
}

/// Somebody who has certificates that have not ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    /// Its first certificate.
    pub holder: Fingerprint,
    /// Those of its certificates that have not ended, each with its last second.
    pub leaves: Vec<(Fingerprint, Wall)>,
    /// The last second of the last of them.
    pub ends: Wall,
    /// Whom the first of them proves.
    pub identity: SpiffeId,
    /// What it calls itself; empty where it never said.
    pub name: String,
    /// The bundle that it was last known to hold.
    pub bundle: Option<BundleHash>,
    /// When it last said so, or else when it got a certificate.
    pub seen: Wall,
    /// The pod that its first evidence was bound to.
    pub pod: Option<Label>,
}

/// What a holder says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HolderState {
    /// Its first certificate.
    pub holder: Fingerprint,
    /// What it calls itself.
    pub name: String,
    /// The bundle that it holds.
    pub bundle: Option<BundleHash>,
    /// When it said so.
    pub seen: Wall,
    /// Whether it went away for good.
    pub has_left: bool,
}

impl Store {
    /// The CA's roots, in the order in which they came.
    pub fn roots(&self) -> Result<Vec<KeptRoot>, Failed> {
        self.read(|connection| {
            let sql = "SELECT fingerprint, certificate, stage, since, needed_until, bridge, before
                       FROM root ORDER BY place";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query([])?;
            let mut roots = Vec::new();
            while let Some(row) = rows.next()? {
                roots.push(root(row)?);
            }
            Ok(roots)
        })
    }

    /// Keeps these roots in the place of all others, and secrets with them, in one step. What needs
    /// a root only ever grows.
    pub fn keep_roots(
        &self,
        roots: &[KeptRoot],
        secrets: &[(Label, Option<Secret>)],
    ) -> Result<(), Failed> {
        self.write(|writing| {
            run(writing, "UPDATE root SET place = -1", params![])?;
            for (place, root) in roots.iter().enumerate() {
                put_root(writing, i64::try_from(place).unwrap_or(i64::MAX), root)?;
            }
            run(writing, "DELETE FROM root WHERE place = -1", params![])?;
            put_secrets(writing, secrets)?;
            Ok(Written::Visibly(()))
        })
    }

    /// Remembers a certificate; it is on disk when this returns. Those that ask at the same time are
    /// written together, so that a disk that is slow does not slow them one by one.
    pub fn remember(&self, issued: Issued) -> Result<(), Failed> {
        self.remembering.add(issued, |batch| {
            self.write(|writing| {
                for issued in batch {
                    let Issued {
                        leaf,
                        holder,
                        identity,
                        at,
                        ends,
                        root,
                        why,
                        pod,
                    } = issued;
                    let sql = "INSERT OR IGNORE INTO issued
                               (leaf, holder, identity, at, ends, root, why, pod)
                               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
                    let (identity, ends) = (identity.to_string(), Millis(*ends));
                    run(
                        writing,
                        sql,
                        params![
                            leaf.0,
                            holder.0,
                            identity,
                            Millis(*at),
                            ends,
                            root.0,
                            why,
                            pod
                        ],
                    )?;
                    let sql = "UPDATE root SET needed_until = max(needed_until, ?2)
                               WHERE fingerprint = ?1";
                    run(writing, sql, params![root.0, ends])?;
                }
                Ok(Written::Quietly(()))
            })
        })
    }

    /// The newest certificates that were signed, at most `limit`.
    pub fn issued(&self, limit: u32) -> Result<Vec<Issued>, Failed> {
        self.read(|connection| {
            let sql = "SELECT leaf, holder, identity, at, ends, root, why, pod FROM issued
                       ORDER BY place DESC LIMIT ?1";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query([limit])?;
            let mut all = Vec::new();
            while let Some(row) = rows.next()? {
                let identity: Box<str> = row.get(2)?;
                let (Millis(at), Millis(ends)) = (row.get(3)?, row.get(4)?);
                all.push(Issued {
                    leaf: Fingerprint(row.get(0)?),
                    holder: Fingerprint(row.get(1)?),
                    identity: SpiffeId::parse(&identity).map_err(damaged)?,
                    at,
                    ends,
                    root: Fingerprint(row.get(5)?),
                    why: row.get(6)?,
                    pod: row.get(7)?,
                });
            }
            Ok(all)
        })
    }

    /// Whose a certificate was, if it is remembered and its holder has not left, and the pod that its first
    /// evidence was bound to.
    pub fn holder_of(
        &self,
        leaf: Fingerprint,
    ) -> Result<Option<(Fingerprint, Option<Label>)>, Failed> {
        self.read(|connection| {
            let sql = "SELECT issued.holder, pod
                       FROM issued LEFT JOIN holder ON holder.holder = issued.holder
                       WHERE leaf = ?1 AND has_left IS NOT 1";
            let mut statement = connection.prepare_cached(sql)?;
            let holder = |row: &Row<'_>| Ok((Fingerprint(row.get(0)?), row.get(1)?));
            Ok(statement.query_one([leaf.0], holder).optional()?)
        })
    }

    /// Those who have certificates that have not ended at `now`, and have not left.
    pub fn holders(&self, now: Wall) -> Result<Vec<Holder>, Failed> {
        self.read(|connection| {
            let sql =
                "SELECT issued.holder, leaf, ends, identity, name, bundle, coalesce(seen, at), pod
                       FROM issued LEFT JOIN holder ON holder.holder = issued.holder
                       WHERE ends >= ?1 AND has_left IS NOT 1 ORDER BY issued.holder, place";
            let mut statement = connection.prepare_cached(sql)?;
            let mut rows = statement.query([Millis(now)])?;
            let mut all = Vec::<Holder>::new();
            while let Some(row) = rows.next()? {
                let (holder, leaf) = (Fingerprint(row.get(0)?), Fingerprint(row.get(1)?));
                let Millis(ends) = row.get(2)?;
                if let Some(last) = all.last_mut().filter(|last| last.holder == holder) {
                    last.leaves.push((leaf, ends));
                    last.ends = last.ends.max(ends);
                    continue;
                }
                let identity: Box<str> = row.get(3)?;
                let name: Option<String> = row.get(4)?;
                let bundle: Option<[u8; 16]> = row.get(5)?;
                let Millis(seen) = row.get(6)?;
                all.push(Holder {
                    holder,
                    leaves: vec![(leaf, ends)],
                    ends,
                    identity: SpiffeId::parse(&identity).map_err(damaged)?,
                    name: name.unwrap_or_default(),
                    bundle: bundle.map(BundleHash),
                    seen,
                    pod: row.get(7)?,
                });
            }
            Ok(all)
        })
    }

    /// Keeps what holders say.
    pub fn keep_holders(&self, holders: &[HolderState]) -> Result<(), Failed> {
        self.write(|writing| {
            for one in holders {
                let (bundle, seen) = (one.bundle.map(|bundle| bundle.0), Millis(one.seen));
                let sql = "INSERT OR REPLACE INTO holder VALUES (?1, ?2, ?3, ?4, ?5)";
                run(
                    writing,
                    sql,
                    params![one.holder.0, one.name, bundle, seen, one.has_left],
                )?;
            }
            Ok(Written::Quietly(()))
        })
    }

    /// Forgets certificates that ended long ago, or have ended and are too many, and those who hold
    /// none that is remembered.
    pub fn forget_ended(&self, now: Wall) -> Result<(), Failed> {
        self.write(|writing| {
            let sql = "DELETE FROM issued WHERE ends < ?1 OR (ends < ?2 AND place <=
                       (SELECT max(place) FROM issued) - ?3)";
            let long_ago = Millis(now - KEPT);
            run(writing, sql, params![long_ago, Millis(now), MOST_KEPT])?;
            let sql = "DELETE FROM holder WHERE holder NOT IN (SELECT holder FROM issued)";
            run(writing, sql, params![])?;
            Ok(Written::Quietly(()))
        })
    }
}

/// How long a certificate is remembered that has ended.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// How many certificates are remembered, of which all but the newest have ended.
const MOST_KEPT: i64 = 200_000;

fn put_root(writing: &Writing<'_>, place: i64, root: &KeptRoot) -> Result<(), Failed> {
    let sql = "INSERT INTO root VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
               ON CONFLICT DO UPDATE SET place = ?2, stage = ?6, since = ?7,
               needed_until = max(needed_until, ?8)";
    let (stage, since) = words(root.stage);
    let bridge = root.bridge.as_ref();
    run(
        writing,
        sql,
        params![
            root.fingerprint.0,
            place,
            root.certificate,
            bridge.map(|bridge| &bridge.certificate),
            bridge.map(|bridge| &bridge.before),
            stage,
            Millis(since),
            Millis(root.needed_until)
        ],
    )?;
    Ok(())
}

fn root(row: &Row<'_>) -> Result<KeptRoot, Failed> {
    let stage: Box<str> = row.get(2)?;
    let (Millis(since), Millis(needed_until)) = (row.get(3)?, row.get(4)?);
    let bridge: Option<Vec<u8>> = row.get(5)?;
    let before: Option<Vec<u8>> = row.get(6)?;
    let stage = match &*stage {
        ANNOUNCED => Stage::Announced(since),
        ACTIVE => Stage::Active(since),
        LEAVING => Stage::Leaving(since),
        other => return Err(damaged(format_args!("a root is in no stage {other:?}"))),
    };
    Ok(KeptRoot {
        fingerprint: Fingerprint(row.get(0)?),
        certificate: row.get(1)?,
        bridge: bridge.zip(before).map(|(certificate, before)| Bridge {
            certificate,
            before,
        }),
        stage,
        needed_until,
    })
}

fn words(stage: Stage) -> (&'static str, Wall) {
    match stage {
        Stage::Announced(since) => (ANNOUNCED, since),
        Stage::Active(since) => (ACTIVE, since),
        Stage::Leaving(since) => (LEAVING, since),
    }
}

const ANNOUNCED: &str = "announced";
const ACTIVE: &str = "active";
const LEAVING: &str = "leaving";

/// Writes of many threads, a batch at a time: while one is on its way to the disk, the next gathers.
#[derive(Default)]
pub(crate) struct Batches {
    gathering: Mutex<Arc<Batch>>,
    writing: Mutex<()>,
}

#[derive(Default)]
struct Batch {
    all: Mutex<Vec<Issued>>,
    written: OnceLock<Result<(), Failed>>,
}

impl Batches {
    /// Adds one, and returns what came of writing the batch that it was part of.
    fn add(
        &self,
        one: Issued,
        write: impl FnOnce(&[Issued]) -> Result<(), Failed>,
    ) -> Result<(), Failed> {
        let batch = {
            let gathering = lock(&self.gathering);
            lock(&gathering.all).push(one);
            Arc::clone(&gathering)
        };
        let _writing = lock(&self.writing);
        if let Some(written) = batch.written.get() {
            return written.clone();
        }
        // Nobody adds to it from here on.
        *lock(&self.gathering) = Arc::default();
        let written = write(&lock(&batch.all));
        batch.written.get_or_init(|| written).clone()
    }
}
