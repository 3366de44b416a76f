//! The log that replicas agree by, in etcd, and the lease of the one that acts. Below one prefix:
//!
//! | key | what it holds |
//! |---|---|
//! | `acting` | who acts; it is there for as long as the lease lasts |
//! | `last` | the number of the last entry |
//! | `entry/NUMBER` | an entry, or which pieces it is made of |
//! | `copy` | the number of the last entry in the copy, and which pieces that is made of |
//! | `piece/NUMBER/ID/AT` | a piece of an entry that is too long for one question |
//! | `copied/ID/AT` | a piece of the copy |
//! | `salt` | what the secret is stretched with |

use std::sync::{Mutex, MutexGuard, PoisonError};

use leno_store::{Away, Kept, NotAppended, Order};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock;
use crate::replicas::etcd::{Done, Etcd, Range, behind, from, one, text};

/// How long nobody else acts after who acts was heard last, in seconds.
pub(super) const LEASE: u64 = 10;

/// Longer things are put there in pieces of this length: etcd takes 1.5 MiB at once by default, which
/// is less in the text that is sent.
const PIECE: usize = 512 * 1024;

/// How many pieces one thing may have: 128 MiB.
const MOST_PIECES: usize = 256;

/// How often an entry is put there until somebody says what came of it.
const TRIES: usize = 3;

/// How many entries are read at once.
const AT_ONCE: usize = 16;

/// How many entries before the copy are kept, for those that are a little behind.
const KEPT_BEFORE: u64 = 500;

pub(super) struct EtcdLog {
    etcd: Etcd,
    prefix: String,
    tenure: Mutex<Option<Tenure>>,
    /// Held by who puts a copy there: each clears what others left.
    copying: Mutex<()>,
}

/// The right to act: a lease, and the revision at which it made the key.
#[derive(Clone)]
struct Tenure {
    lease: String,
    made_at: String,
}

/// Who acts, as it says itself. Whoever can write to etcd can say so, too.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Acting(pub(crate) String);

impl Acting {
    fn read(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let plain = text.chars().filter(|it| !it.is_control());
        Self(plain.take(LONGEST_NAME).collect())
    }
}

/// Letters of a name that are told on.
const LONGEST_NAME: usize = 200;

/// What came of wanting to act.
pub(super) enum Elected {
    Acts,
    Other(Acting),
    /// Nobody acts, and the log ends elsewhere than it was said to.
    Elsewhere,
}

/// Where the pieces of a thing are.
#[derive(Serialize, Deserialize)]
struct Pieces {
    /// What their keys begin with, below the prefix.
    at: String,
    count: usize,
}

/// What the key of a copy holds.
#[derive(Serialize, Deserialize)]
struct Copied {
    number: u64,
    pieces: Pieces,
}

const WHOLE: u8 = 0;
const IN_PIECES: u8 = 1;

impl EtcdLog {
    pub(super) fn new(etcd: Etcd, prefix: String) -> Self {
        Self {
            etcd,
            prefix,
            tenure: Mutex::default(),
            copying: Mutex::default(),
        }
    }

    /// What the secret is stretched with: 16 random bytes that all replicas share.
    pub(super) fn salt(&self) -> Result<Vec<u8>, Away> {
        let key = self.key("salt");
        let salt = clock::secret::<16>();
        let done = self.transact(&json!({
            "compare": [is_absent(&key)],
            "success": [put(&key, &salt)],
            "failure": [{"request_range": one(&key)}],
        }))?;
        if done.succeeded {
            return Ok(salt.to_vec());
        }
        let found = first_value(&done).unwrap_or_default();
        match found.len() == salt.len() {
            true => Ok(found),
            false => Err(Away(format!("what it holds at {key} is no salt"))),
        }
    }

    /// Who acts.
    pub(super) fn acting(&self) -> Result<Option<Acting>, Away> {
        let held = self.range(one(&self.key("acting")))?;
        Ok(held.value().map(|value| Acting::read(&value)))
    }

    /// Acts from here on, if nobody else does and `last` is the number of the last entry: none if
    /// there is no log.
    pub(super) fn elect(&self, own: &Acting, last: Option<u64>) -> Result<Elected, Away> {
        #[derive(Deserialize)]
        struct Granted {
            #[serde(rename = "ID")]
            id: String,
        }
        let ttl = json!({"TTL": LEASE.to_string()});
        let Granted { id: lease } = self.etcd.ask("/v3/lease/grant", ttl)?;
        let key = self.key("acting");
        let put =
            json!({"request_put": {"key": text(&key), "value": text(&own.0), "lease": lease}});
        let done = self.transact(&json!({
            "compare": [is_absent(&key), self.ends_with(last)],
            "success": [put],
            "failure": [{"request_range": one(&key)}],
        }));
        match done {
            Ok(done) if done.succeeded => {
                let made_at = done.revision().to_owned();
                *self.tenure() = Some(Tenure { lease, made_at });
                Ok(Elected::Acts)
            }
            other => {
                self.give_up(&lease);
                let held = first_value(&other?);
                Ok(held.map_or(Elected::Elsewhere, |it| Elected::Other(Acting::read(&it))))
            }
        }
    }

    /// Keeps acting; says whether the lease still stands.
    pub(super) fn keep(&self) -> Result<bool, Away> {
        #[derive(Deserialize)]
        struct Alive {
            result: Life,
        }
        #[derive(Deserialize)]
        struct Life {
            #[serde(rename = "TTL")]
            ttl: Option<String>,
        }
        let Some(Tenure { lease, .. }) = self.tenure().clone() else {
            return Ok(false);
        };
        let alive: Alive = self.etcd.ask("/v3/lease/keepalive", json!({"ID": lease}))?;
        Ok(alive.result.ttl.is_some_and(|ttl| ttl != "0"))
    }

    /// Acts no more, so that another can at once.
    pub(super) fn resign(&self) {
        if let Some(Tenure { lease, .. }) = self.tenure().take() {
            self.give_up(&lease);
        }
    }

    /// A lease that nobody gives up ends by itself.
    fn give_up(&self, lease: &str) {
        drop(
            self.etcd
                .ask::<Value>("/v3/lease/revoke", json!({"ID": lease})),
        );
    }

    /// The right to act that this one has now. What begins by one goes on by no other: somebody else
    /// may have acted between the two.
    fn acts(&self) -> Result<Tenure, NotAppended> {
        self.tenure().clone().ok_or(NotAppended::Lost)
    }

    /// Puts something long there, below `folder`; says where.
    fn put_pieces(
        &self,
        tenure: &Tenure,
        folder: &str,
        bytes: &[u8],
    ) -> Result<Pieces, NotAppended> {
        let pieces = Pieces {
            at: format!("{folder}/{}", hex(&clock::secret::<16>())),
            count: bytes.len().div_ceil(PIECE),
        };
        if pieces.count > MOST_PIECES {
            let most = MOST_PIECES * PIECE / (1024 * 1024);
            return Err(Away(format!("more than {most} MiB are not put into etcd")).into());
        }
        for (at, piece) in bytes.chunks(PIECE).enumerate() {
            let put = put(&self.piece(&pieces, at), piece);
            self.act(tenure, vec![put])?;
        }
        Ok(pieces)
    }

    fn read_pieces(&self, pieces: &Pieces) -> Result<Vec<u8>, Away> {
        let mut bytes = Vec::new();
        for at in 0..pieces.count.min(MOST_PIECES) {
            let piece = self.range(one(&self.piece(pieces, at)))?.value();
            match piece.filter(|piece| piece.len() <= PIECE) {
                Some(piece) => bytes.extend(piece),
                // What is made of it is proven by nobody.
                None => break,
            }
        }
        Ok(bytes)
    }

    /// An entry, from what its key holds.
    fn whole(&self, held: &[u8]) -> Result<Vec<u8>, Away> {
        match held.split_first() {
            Some((&WHOLE, rest)) => Ok(rest.to_vec()),
            Some((&IN_PIECES, rest)) => match serde_json::from_slice(rest) {
                Ok(pieces) => self.read_pieces(&pieces),
                Err(_) => Ok(Vec::new()),
            },
            Some(_) | None => Ok(Vec::new()),
        }
    }

    /// A transaction of the one that acts: what came of it, or nothing if `compare` did not hold, or
    /// this one does not act: then with what the key `otherwise` holds.
    fn transact_acting(
        &self,
        tenure: &Tenure,
        compare: &[Value],
        success: Vec<Value>,
        otherwise: Option<&str>,
    ) -> Result<Result<Done, Option<Vec<u8>>>, Away> {
        let acts = json!({
            "result": "EQUAL", "target": "CREATE",
            "key": text(self.key("acting")), "create_revision": tenure.made_at,
        });
        let compare: Vec<_> = [acts].into_iter().chain(compare.iter().cloned()).collect();
        let reads = otherwise.map(|key| json!({"request_range": one(key)}));
        let done = self.transact(&json!({
            "compare": compare, "success": success, "failure": reads.as_slice(),
        }))?;
        Ok(match done.succeeded {
            true => Ok(done),
            false => Err(first_value(&done)),
        })
    }

    /// A transaction that needs nothing else but that this one acts.
    fn act(&self, tenure: &Tenure, success: Vec<Value>) -> Result<(), NotAppended> {
        let done = self.transact_acting(tenure, &[], success, None)?;
        done.map(drop).map_err(|_| NotAppended::Lost)
    }

    /// Takes the pieces of all copies away but of one, and of those that were not finished.
    fn forget_copies(&self, tenure: &Tenure, but: Option<&Pieces>) -> Result<(), NotAppended> {
        let all = self.key("copied/");
        // Whoever can write to etcd has said where that one is.
        let gone = match but.filter(|but| but.at.starts_with("copied/")) {
            None => vec![delete(&all, behind(&all))],
            Some(Pieces { at, .. }) => {
                let own = self.key(&format!("{at}/"));
                vec![delete(&all, &own), delete(behind(&own), behind(&all))]
            }
        };
        self.act(tenure, gone)
    }

    /// Takes entries away that nobody needs who has the copy.
    fn forget_entries(&self, tenure: &Tenure, copied: u64) -> Result<(), NotAppended> {
        let forget = copied.saturating_sub(KEPT_BEFORE);
        let piece = self.key(&format!("piece/{forget:020}"));
        let gone = vec![
            delete(self.key("entry/"), self.entry(forget)),
            delete(self.key("piece/"), piece),
        ];
        self.act(tenure, gone)
    }

    /// That the log ends with this entry, or that there is none.
    fn ends_with(&self, last: Option<u64>) -> Value {
        let key = self.key("last");
        match last {
            None => is_absent(&key),
            Some(last) => json!({
                "result": "EQUAL", "target": "VALUE",
                "key": text(&key), "value": text(last.to_string()),
            }),
        }
    }

    /// What is copied, and where that is.
    fn copied(&self) -> Result<Option<Copied>, Away> {
        let held = self.range(one(&self.key("copy")))?.value();
        Ok(held.and_then(|held| serde_json::from_slice(&held).ok()))
    }

    fn transact(&self, question: &Value) -> Result<Done, Away> {
        self.etcd.ask("/v3/kv/txn", question.clone())
    }

    fn range(&self, question: Value) -> Result<Range, Away> {
        self.etcd.ask("/v3/kv/range", question)
    }

    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.prefix)
    }

    fn entry(&self, number: u64) -> String {
        self.key(&format!("entry/{number:020}"))
    }

    fn piece(&self, Pieces { at: folder, .. }: &Pieces, at: usize) -> String {
        self.key(&format!("{folder}/{at:04}"))
    }

    fn tenure(&self) -> MutexGuard<'_, Option<Tenure>> {
        self.tenure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Order for EtcdLog {
    fn append(&self, number: u64, entry: &[u8]) -> Result<(), NotAppended> {
        let tenure = self.acts()?;
        let held = match entry.len() > PIECE {
            false => [&[WHOLE][..], entry].concat(),
            true => {
                let pieces = self.put_pieces(&tenure, &format!("piece/{number:020}"), entry)?;
                let pieces = serde_json::to_vec(&pieces).expect("a text and a number are JSON");
                [&[IN_PIECES][..], &pieces].concat()
            }
        };
        let (key, last) = (self.entry(number), self.key("last"));
        let compare = [self.ends_with(number.checked_sub(1))];
        let puts = vec![put(&key, &held), put(&last, number.to_string().as_bytes())];
        // A question of which nobody knows what came of it is asked again: it does its work once.
        let mut tries = 0..TRIES;
        loop {
            tries.next();
            let done = self.transact_acting(&tenure, &compare, puts.clone(), Some(&key));
            return match done {
                Err(Away(_)) if !tries.is_empty() => continue,
                Err(away) => Err(away.into()),
                Ok(Ok(_)) => Ok(()),
                Ok(Err(Some(there))) if there == held => Ok(()),
                Ok(Err(Some(_))) => Err(NotAppended::Taken),
                Ok(Err(None)) => Err(NotAppended::Lost),
            };
        }
    }

    fn read(&self, after: u64) -> Result<Kept, Away> {
        let (last, copy) = (self.key("last"), self.key("copy"));
        let done = self.transact(&json!({"success": [
            {"request_range": one(&last)},
            {"request_range": one(&copy)},
            {"request_range": from(&self.entry(after.saturating_add(1)), &self.key("entry/"), AT_ONCE)},
        ]}))?;
        let ranges = done.ranges();
        let [last, copy, entries] = ranges.as_slice() else {
            return Err(Away("etcd answered otherwise than it was asked".into()));
        };
        let copy = copy.value();
        let copy: Option<Copied> = copy.and_then(|held| serde_json::from_slice(&held).ok());
        let mut kept = Kept {
            last: last.value().and_then(|held| number(&held)),
            copied: copy.map_or(0, |copy| copy.number),
            entries: Vec::new(),
        };
        for (pair, number) in entries.pairs().iter().zip(after.saturating_add(1)..) {
            if pair.key() != self.entry(number).into_bytes() {
                break;
            }
            let held = pair.value();
            kept.entries.push(self.whole(&held)?);
            if held.first() == Some(&IN_PIECES) {
                // Nobody knows how long the next one is.
                break;
            }
        }
        Ok(kept)
    }

    fn put_copy(&self, number: u64, copy: &[u8]) -> Result<(), NotAppended> {
        let _one = self.copying.lock().unwrap_or_else(PoisonError::into_inner);
        let tenure = self.acts()?;
        let (key, last) = (self.key("copy"), self.key("last"));
        let before = self.copied()?.map(|copied| copied.pieces);
        self.forget_copies(&tenure, before.as_ref())?;
        let pieces = self.put_pieces(&tenure, "copied", copy)?;
        let copied = Copied { number, pieces };
        let held = serde_json::to_vec(&copied).expect("texts and numbers are JSON");
        // With the first one, or not at all.
        let begin = json!({"request_txn": {
            "compare": [is_absent(&last)],
            "success": [put(&last, number.to_string().as_bytes())],
        }});
        self.act(&tenure, vec![put(&key, &held), begin])?;
        self.forget_entries(&tenure, number)?;
        self.forget_copies(&tenure, Some(&copied.pieces))
    }

    fn copy(&self) -> Result<Option<(u64, Vec<u8>)>, Away> {
        let copied = self
            .copied()?
            .map(|copied| Ok((copied.number, self.read_pieces(&copied.pieces)?)));
        copied.transpose()
    }
}

fn is_absent(key: &str) -> Value {
    json!({"result": "EQUAL", "target": "CREATE", "key": text(key), "create_revision": "0"})
}

fn put(key: &str, value: &[u8]) -> Value {
    json!({"request_put": {"key": text(key), "value": text(value)}})
}

/// Deletes all keys from one on, up to before another.
fn delete(from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Value {
    json!({"request_delete_range": {"key": text(from), "range_end": text(to)}})
}

fn first_value(done: &Done) -> Option<Vec<u8>> {
    done.ranges().first().and_then(Range::value)
}

fn number(held: &[u8]) -> Option<u64> {
    str::from_utf8(held).ok()?.parse().ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
