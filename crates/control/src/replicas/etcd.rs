//! etcd, asked over HTTP by the JSON that it takes beside gRPC (its documentation: "gRPC gateway").
//! A question goes to the first of its members that answers.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use leno_channel::{Clock, files};
use leno_fetch::{Ask, Bounds, Client, Plain, Shown, Trusted, Url, Way};
use leno_store::Away;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// Where etcd is, and how it is reached.
#[derive(Clone, Debug)]
pub struct Members {
    /// A URL of each member: `http://127.0.0.1:2379`.
    pub urls: Vec<Url>,
    /// A file with the roots that prove them; else those that this host trusts.
    pub roots: Option<PathBuf>,
    /// Files with a certificate and its key, which are shown to them.
    pub shown: Option<(PathBuf, PathBuf)>,
}

/// Asks etcd.
pub(super) struct Etcd {
    asking: Arc<Asking>,
    /// Whoever asks may be a thread of any runtime, and waits.
    runtime: Option<Runtime>,
}

struct Asking {
    client: Client,
    urls: Vec<Url>,
    /// The one that answered last.
    first: AtomicUsize,
}

/// How much of the time and the words of one member is taken.
const BOUNDS: Bounds = Bounds {
    time: Duration::from_secs(3),
    body: 16 * 1024 * 1024,
};

impl Etcd {
    pub(super) fn new(members: &Members, clock: Clock) -> Result<Self, NotUsable> {
        let shown = members.shown.as_ref().map(|(certificate, key)| {
            Ok::<_, files::BadFile>(Shown {
                chain: files::read_certificates(certificate)?,
                key: files::read_key(key)?,
            })
        });
        let roots = members.roots.clone();
        let way = Way {
            clock,
            trusted: roots.map_or(Trusted::Host, Trusted::File),
            plain: Plain::Anywhere,
            shown: shown.transpose()?.map(Arc::new),
        };
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all();
        Ok(Self {
            asking: Arc::new(Asking {
                client: Client::new(way, BOUNDS),
                urls: members.urls.clone(),
                first: AtomicUsize::new(0),
            }),
            runtime: Some(runtime.build().map_err(NotUsable::Runtime)?),
        })
    }

    /// What etcd answers. Waits.
    pub(super) fn ask<T>(&self, path: &'static str, question: Value) -> Result<T, Away>
    where
        T: for<'a> Deserialize<'a> + Send + 'static,
    {
        let (told, answer) = mpsc::channel();
        let asking = Arc::clone(&self.asking);
        let runtime = self.runtime.as_ref();
        runtime
            .expect("it is there until it is dropped")
            .spawn(async move {
                // Nobody waits any more.
                drop(told.send(asking.ask(path, &question).await));
            });
        let answer = answer.recv();
        answer.unwrap_or_else(|_| Err(Away("asking it panicked".into())))
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Asking {
    async fn ask<T: for<'a> Deserialize<'a>>(
        &self,
        path: &'static str,
        question: &Value,
    ) -> Result<T, Away> {
        let body = question.to_string();
        let first = self.first.load(Ordering::Relaxed);
        let mut why = String::new();
        for turn in 0..self.urls.len() {
            let at = (first + turn) % self.urls.len();
            match self.ask_one(&self.urls[at], path, body.as_bytes()).await {
                Ok(answer) => {
                    self.first.store(at, Ordering::Relaxed);
                    return Ok(answer);
                }
                Err(failed) => why = format!("etcd at {}: {failed}", self.urls[at].authority()),
            }
        }
        Err(Away(why))
    }

    async fn ask_one<T: for<'a> Deserialize<'a>>(
        &self,
        url: &Url,
        path: &'static str,
        body: &[u8],
    ) -> Result<T, String> {
        let url = url.under(path).map_err(|why| why.to_string())?;
        let ask = Ask::post("application/json", body);
        let answer = self.client.ask(&url, ask).await;
        let answer = answer.map_err(|why| why.to_string())?;
        if !(200..300).contains(&answer.status) {
            return Err(refusal(answer.status, &answer.body));
        }
        let unread = |_| format!("it answered {path} otherwise than etcd does");
        serde_json::from_slice(&answer.body).map_err(unread)
    }
}

/// What etcd says where it says no, as far as that is for people.
fn refusal(status: u16, body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let read = serde_json::from_slice::<Refusal>(body);
    let said = read.map_or_else(|_| String::new(), |refusal| refusal.error);
    let said: String = said
        .chars()
        .filter(|it| !it.is_control())
        .take(200)
        .collect();
    format!("it answered {status} {said}")
}

/// Bytes as they stand in a question.
pub(super) fn text(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// Bytes of an answer; none if they are no bytes.
fn bytes(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap_or_default()
}

/// A key with what it holds.
#[derive(Clone, Deserialize, Debug)]
pub(super) struct Pair {
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: String,
}

impl Pair {
    pub(super) fn key(&self) -> Vec<u8> {
        bytes(&self.key)
    }

    pub(super) fn value(&self) -> Vec<u8> {
        bytes(&self.value)
    }
}

/// What keys hold.
#[derive(Clone, Default, Deserialize, Debug)]
pub(super) struct Range {
    #[serde(default)]
    kvs: Vec<Pair>,
}

impl Range {
    pub(super) fn pairs(&self) -> &[Pair] {
        &self.kvs
    }

    /// What the only one holds.
    pub(super) fn value(&self) -> Option<Vec<u8>> {
        self.kvs.first().map(Pair::value)
    }
}

/// What came of a transaction.
#[derive(Deserialize, Debug)]
pub(super) struct Done {
    header: Header,
    #[serde(default)]
    pub(super) succeeded: bool,
    #[serde(default)]
    responses: Vec<Response>,
}

impl Done {
    /// The revision of etcd that it made.
    pub(super) fn revision(&self) -> &str {
        &self.header.revision
    }

    /// What the reads of it say, in order.
    pub(super) fn ranges(&self) -> Vec<Range> {
        let ranges = self.responses.iter();
        ranges.filter_map(|it| it.response_range.clone()).collect()
    }
}

#[derive(Deserialize, Debug)]
struct Header {
    revision: String,
}

#[derive(Deserialize, Debug)]
struct Response {
    response_range: Option<Range>,
}

/// A question for one key.
pub(super) fn one(key: &str) -> Value {
    json!({"key": text(key)})
}

/// A question for all keys that begin so, from one of them on, at most so many.
pub(super) fn from(key: &str, prefix: &str, most: usize) -> Value {
    json!({"key": text(key), "range_end": text(behind(prefix)), "limit": most.to_string()})
}

/// The first key that does not begin so, behind those that do.
pub(super) fn behind(prefix: &str) -> Vec<u8> {
    let mut bytes = prefix.as_bytes().to_vec();
    // It ends with a character of ASCII.
    if let Some(last) = bytes.last_mut() {
        *last += 1;
    }
    bytes
}

/// Why etcd cannot be asked at all.
#[derive(Debug, thiserror::Error)]
pub enum NotUsable {
    /// The files of the certificate that it is shown cannot be used.
    #[error(transparent)]
    File(#[from] files::BadFile),
    /// The file with the secret cannot be used.
    #[error(transparent)]
    Secret(#[from] crate::keys::NotUnsealed),
    /// What asks cannot run.
    #[error("what asks etcd cannot run: {0}")]
    Runtime(std::io::Error),
}
