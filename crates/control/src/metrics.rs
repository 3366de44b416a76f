//! What anyone may read of a control plane: its metrics, and that it runs. GET, and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use leno_model::{Code, Severity, Wall};
use leno_telemetry::control::ControlPlane;
use leno_telemetry::door::{Answer, Asked, Reader};
use leno_telemetry::prometheus::Format;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{self, JoinSet};
use tokio::time::{sleep, timeout};

use crate::administer;
use crate::center::Center;
use crate::missing::Missing;
use crate::replicas;

/// How long a reader may take for its question, and for taking the answer.
const LIMIT: Duration = Duration::from_secs(10);

/// How many may read at once.
const MOST_READERS: usize = 16;

/// How long accepting rests when no file descriptor is left.
const REST: Duration = Duration::from_millis(50);

/// An answer that is being made.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Answers readers by `answer`, for as long as it is polled.
pub(crate) async fn serve(
    listener: TcpListener,
    answer: impl Fn(Asked) -> Answering + Send + Sync + 'static,
) {
    let answer = Arc::new(answer);
    let room = Arc::new(Semaphore::new(MOST_READERS));
    let mut readers = JoinSet::new();
    loop {
        while readers.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            sleep(REST).await;
            continue;
        };
        let answer = Arc::clone(&answer);
        readers.spawn(async move {
            let _permit = permit;
            // A reader that is slow or has gone needs no answer.
            drop(timeout(LIMIT, converse(&*answer, stream)).await);
        });
    }
}

async fn converse(answer: &impl Fn(Asked) -> Answering, mut stream: TcpStream) {
    let mut bytes = Vec::new();
    let mut reader = Reader::default();
    let asked = loop {
        match reader.read(&bytes) {
            Ok(Some(asked)) => break asked,
            Ok(None) => {}
            Err(_) => return,
        }
        match stream.read_buf(&mut bytes).await {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
    };
    drop(stream.write_all(&answer(asked).await.bytes()).await);
}

/// Answers for a control plane that runs.
pub(crate) fn answer(center: &Arc<Center>, asked: Asked) -> Answering {
    let center = Arc::clone(center);
    Box::pin(async move {
        match asked.path.as_str() {
            "/metrics" => scrape(center, asked.format).await,
            "/ready" => match waits(&center) {
                None => Answer::ready(true, "ready"),
                Some(why) => Answer::ready(false, &why),
            },
            _ => Answer::nothing("there are /metrics and /ready"),
        }
    })
}

/// What one that stands beside the default control plane waits for before it can serve anybody.
fn waits(center: &Center) -> Option<String> {
    let principal = center.principal.as_ref()?;
    let waits = || {
        let why = principal.line().err().unwrap_or_default();
        format!("the default control plane has given no intermediate yet: {why}")
    };
    center.authority.told().is_none().then(waits)
}

async fn scrape(center: Arc<Center>, format: Format) -> Answer {
    let scraped = task::spawn_blocking(move || format.write(&told(&center).exposition()));
    Answer::scrape(format, scraped.await.unwrap_or_default())
}

/// What the control plane tells of itself.
pub(crate) fn told(center: &Center) -> ControlPlane {
    let proxies = administer::proxies(center);
    let current = proxies.proxies.iter().filter(|proxy| proxy.current).count();
    let findings = administer::check(center).findings;
    let severities = [Severity::Error, Severity::Warning, Severity::Info];
    ControlPlane {
        revision: center.edition().revision.0,
        current: number(current),
        behind: number(proxies.proxies.len() - current),
        away: number(proxies.away.len()),
        certificates: certificates(center),
        peers: peers(center),
        findings: severities
            .map(|severity| {
                let of = findings.iter().filter(|it| it.severity() == severity);
                (severity, number(of.count()))
            })
            .into(),
        without_proxy: Missing::of(center)
            .counts()
            .map(|(code, count)| (code, number(count)))
            .into(),
        troubles: center.troubles.told().into_iter().collect(),
        files: ["store", "flows"]
            .map(|name| (name, size(center.store.folder(), name)))
            .into(),
        exported: center.telemetry.export().exported(),
        following: center
            .store
            .standing()
            .map(|standing| replicas::following(center.store.leads(), standing)),
    }
}

fn certificates(center: &Center) -> Vec<(&'static str, Wall)> {
    let members = center.fleet.members();
    let certificates = members.iter().flat_map(|(_, member)| &member.certificates);
    let workload = certificates.filter_map(|(_, certificate)| certificate.ends);
    let mut ends: Vec<_> = workload
        .min()
        .map(|ends| ("workload", ends))
        .into_iter()
        .collect();
    if let Some(told) = center.authority.told() {
        ends.push(("intermediate", told.intermediate_validity.ends));
        ends.push(("root", told.rotation.active().validity.ends));
    }
    ends
}

/// Of whom nobody can be believed counts as having ended long ago.
fn peers(center: &Center) -> Vec<(String, Wall)> {
    let standings = center.peers.standings().into_iter();
    let ends = standings.map(|standing| {
        let ends = standing.believed.and_then(|believed| believed.ends);
        (standing.domain.to_string(), ends.unwrap_or_default())
    });
    ends.collect()
}

/// How many bytes a database takes, with its log.
fn size(folder: &Path, name: &str) -> u64 {
    let files = ["db", "db-wal"].map(|end| folder.join(format!("{name}.{end}")));
    let sizes = files.iter().filter_map(|file| fs::metadata(file).ok());
    sizes.map(|file| file.len()).sum()
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// How often something went wrong, by code.
#[derive(Debug, Default)]
pub(crate) struct Troubles(Mutex<BTreeMap<Code, u64>>);

impl Troubles {
    pub(crate) fn count(&self, code: Code) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(code).or_default() += 1;
    }

    fn told(&self) -> BTreeMap<Code, u64> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.clone()
    }
}
