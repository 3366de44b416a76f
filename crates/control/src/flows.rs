//! What goes between services: taken from the proxies that carry it, kept in the replica's own file,
//! told to whoever asks.
//!
//! Nothing here may hinder the configuration. A file that cannot be read is set aside and begun anew;
//! one that cannot be written leaves the reports with the proxies, which send them again.

mod failures;
mod moment;
mod once;
mod parties;
mod traffic;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leno_admin::{Finding, Kept, Since};
use leno_model::flow::Flow;
use leno_model::{Code, Severity, SpiffeId, Wall};
use leno_store::Failed;
use leno_store::flows::{Bounds, Flows, Reported, Sender};
use leno_wire::flows::{Report, Taken};

pub(crate) use failures::{failed_of_late, failures};
pub(crate) use parties::{Names, refuse_nobody};
pub(crate) use traffic::{of_late, traffic};

use crate::center::Center;
use crate::clock;

/// The file, and how it is with it.
#[derive(Debug)]
pub(crate) struct Ledger {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    flows: Option<Arc<Flows>>,
    /// Why nothing is kept or added.
    trouble: Option<(Code, String)>,
    /// How many flows were refused whose proxy is no party in them.
    refused: u64,
    /// The last proxy that told of such.
    stranger: Option<Stranger>,
}

/// A proxy that told of calls that it is no party of.
#[derive(Clone, Debug)]
struct Stranger {
    identity: SpiffeId,
    what: String,
    at: Wall,
}

impl Stranger {
    fn finding(&self) -> Finding {
        let SpiffeId {
            namespace,
            service_account,
            ..
        } = &self.identity;
        Finding {
            since: Some(Since {
                at: self.at.to_string(),
                revision: None,
                who: None,
            }),
            next: Some(format!(
                "leno proxies · leno certs revoke {namespace}/{service_account} -m WHY · leno explain D008"
            )),
            ..Finding::running(
                Code::D008,
                Severity::Warning,
                Some(format!("{namespace}/{service_account}")),
                self.what.clone(),
                "what it tells of its own workloads counts, the rest does not",
            )
        }
    }
}

/// How long a proxy is named that told of calls of others.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// How often the file is tidied, and tried again if it failed.
const TIDY: Duration = Duration::from_secs(10);

/// How many reports a second are asked for, all proxies together.
const REPORTS: usize = 20;

/// How long a proxy waits at least and at most between two reports.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];

/// How far ahead of this clock a report's may be, and how far behind, before the time it came counts.
const AHEAD: Duration = Duration::from_secs(60);
const BEHIND: Duration = Duration::from_secs(24 * 3600);

impl Ledger {
    /// The ledger of the store in `folder`. Should it not open, the reason is told, and it is tried
    /// again.
    pub(crate) fn open(folder: &Path) -> Self {
        let ledger = Self {
            folder: folder.into(),
            state: Mutex::new(State {
                flows: None,
                trouble: None,
                refused: 0,
                stranger: None,
            }),
        };
        // What went wrong is in its state.
        drop(ledger.flows());
        ledger
    }

    /// Why nothing is kept or added, and who told of calls of others, as findings.
    pub(crate) fn findings(&self, now: Wall) -> Vec<Finding> {
        let stranger = self.lock().stranger.clone();
        let of_late = |one: &Stranger| now.since(one.at) < REMEMBERED;
        let stranger = stranger.filter(of_late).map(|one| one.finding());
        self.finding().into_iter().chain(stranger).collect()
    }

    fn finding(&self) -> Option<Finding> {
        let (code, why) = self.lock().trouble.clone()?;
        let in_force = "traffic and configuration; what proxies count waits with them";
        Some(Finding {
            next: Some(format!("leno explain {code}")),
            ..Finding::running(
                code,
                Severity::Warning,
                Some("what goes between services".to_owned()),
                why,
                in_force,
            )
        })
    }

    /// Works with the file. One that turns out to be damaged is set aside and begun anew.
    pub(crate) fn with<T>(&self, work: impl Fn(&Flows) -> Result<T, Failed>) -> Result<T, Failed> {
        let flows = self.flows()?;
        let done = match work(&flows) {
            Err(Failed::Damaged(why)) => {
                self.set_aside(&why)?;
                work(&*self.flows()?)
            }
            done => done,
        };
        self.note(done)
    }

    fn flows(&self) -> Result<Arc<Flows>, Failed> {
        let mut state = self.lock();
        if let Some(flows) = &state.flows {
            return Ok(Arc::clone(flows));
        }
        let opened = match Flows::open(&self.folder, Bounds::default(), clock::wall()) {
            Err(Failed::Damaged(why)) => {
                let aside = Flows::set_aside(&self.folder);
                state.trouble = Some((Code::S011, begun_anew(&why)));
                aside.and_then(|_| Flows::open(&self.folder, Bounds::default(), clock::wall()))
            }
            opened => opened,
        };
        match opened {
            Ok(flows) => {
                let flows = Arc::new(flows);
                state.flows = Some(Arc::clone(&flows));
                Ok(flows)
            }
            Err(failed) => {
                state.trouble = Some((Code::S010, failed.to_string()));
                Err(failed)
            }
        }
    }

    fn set_aside(&self, why: &str) -> Result<(), Failed> {
        let mut state = self.lock();
        state.flows = None;
        state.trouble = Some((Code::S011, begun_anew(why)));
        Flows::set_aside(&self.folder).map(drop)
    }

    /// Remembers what went wrong until it goes well. That the file was begun anew stays told.
    fn note<T>(&self, done: Result<T, Failed>) -> Result<T, Failed> {
        let mut state = self.lock();
        match &done {
            Ok(_) if matches!(&state.trouble, Some((Code::S010, _))) => state.trouble = None,
            Ok(_) => {}
            Err(failed) => state.trouble = Some((Code::S010, failed.to_string())),
        }
        done
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn begun_anew(why: &str) -> String {
    format!("the file was damaged ({why}); it is flows.db.damaged, and a new one was begun")
}

/// Why a report was not taken.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// It is none.
    #[error(transparent)]
    Misfit(#[from] leno_wire::Misfit),
    /// It cannot be kept at this time.
    #[error("what goes between services cannot be kept: {0}")]
    Failed(#[from] Failed),
}

/// Takes a report of whoever proved to be `proven`, unless it was taken before. Of it counts what the
/// workloads took part in that it `may_act_as`.
pub(crate) fn take(
    center: &Center,
    proven: &SpiffeId,
    may_act_as: impl Fn(&SpiffeId) -> bool,
    message: &[u8],
) -> Result<Taken, NotTaken> {
    let mut report = Report::decode(message)?;
    let told = report.flows.len();
    let domain = &proven.trust_domain;
    report
        .flows
        .retain(|flow| parties::is_party(&flow.kind, domain, &may_act_as));
    let refused = u64::try_from(told - report.flows.len()).unwrap_or(u64::MAX);
    let now = clock::wall();
    let until = match report.until > now + AHEAD || report.until < now - BEHIND {
        true => now,
        false => report.until,
    };
    let reported = Reported {
        sender: Sender {
            identity: proven.to_string(),
            proxy: report.proxy.clone(),
            boot: report.boot.0,
        },
        sequence: report.sequence,
        from: until - report.until.since(report.from),
        until,
        lost: report.lost,
        folded: report.folded,
        flows: report.flows,
    };
    let before = center.ledger.finding();
    let taken = center.ledger.with(|flows| flows.take(&reported, now));
    tell_trouble(center, before);
    taken?;
    center.jwks.doubt(&refusing_tokens(&reported.flows));
    if refused > 0 {
        note_refused(center, proven, &report.proxy, refused);
    }
    Ok(Taken {
        sequence: reported.sequence,
        refused,
        pause: pause(center.fleet.len()),
    })
}

/// The policies by whose words tokens were refused.
fn refusing_tokens(flows: &[Flow]) -> BTreeSet<&str> {
    let failures = flows.iter().filter_map(|flow| flow.kind.failure.as_ref());
    let refused = failures.filter(|failure| failure.code == Some(Code::R061));
    let culprits = refused.filter_map(|failure| failure.culprit.as_ref());
    culprits.map(|culprit| &*culprit.object).collect()
}

/// How long each of so many proxies waits between two reports.
pub(crate) fn pause(proxies: usize) -> Duration {
    let [least, most] = PAUSES;
    let proxies = u32::try_from(proxies).unwrap_or(u32::MAX);
    let each = Duration::from_secs(proxies.into()) / u32::try_from(REPORTS).unwrap_or(1);
    each.clamp(least, most)
}

/// Tells people once when something goes wrong that went well before.
fn tell_trouble(center: &Center, before: Option<Finding>) {
    let state = center.ledger.lock().trouble.clone();
    if let Some((code, why)) = state
        && before.is_none_or(|before| before.message != why)
    {
        center.trouble(code, why);
    }
}

fn note_refused(center: &Center, proven: &SpiffeId, proxy: &str, refused: u64) {
    let what = format!("proxy {proxy:?}, {proven}, reports calls that it is no party of");
    let is_first = {
        let mut state = center.ledger.lock();
        state.refused = state.refused.saturating_add(refused);
        state.stranger = Some(Stranger {
            identity: proven.clone(),
            what: what.clone(),
            at: clock::wall(),
        });
        state.refused == refused
    };
    if is_first {
        center.trouble(Code::D008, what);
    }
}

/// Tidies the file for as long as it is polled.
pub(crate) async fn tidy(center: Arc<Center>) {
    loop {
        tokio::time::sleep(TIDY).await;
        let shared = Arc::clone(&center);
        let tidied = tokio::task::spawn_blocking(move || {
            let before = shared.ledger.finding();
            let tidied = shared.ledger.with(|flows| flows.tidy(clock::wall()));
            tell_trouble(&shared, before);
            tidied
        });
        if tidied.await.is_err() {
            return;
        }
    }
}

/// What is kept, as people may see it.
pub(crate) fn kept(center: &Center) -> Kept {
    let known = center.ledger.with(Flows::kept);
    let is_known = known.is_ok();
    let told = known.unwrap_or_default();
    Kept {
        from: is_known.then(|| told.from.to_string()),
        until: told.until.map(|at| at.to_string()),
        bytes: told.bytes,
        lost: told.lost,
        folded: told.folded,
        trouble: center.ledger.finding(),
    }
}
