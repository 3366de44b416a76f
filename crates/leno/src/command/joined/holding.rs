//! What a proxy can say of itself when its control plane cannot be asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use leno_admin::{CertificateState, Follows, Holding, Tunnel};
use leno_model::view::{Generation, View, WorkloadId};
use leno_model::{SpiffeId, Wall};
use leno_proxy::follow::{Event, Follower};
use leno_proxy::{Clocks, Witness};
use leno_telemetry::Telemetry;

/// What a proxy holds, kept up to date by what happens to it. A clone is the same.
#[derive(Clone)]
pub(super) struct Held(Arc<Mutex<State>>);

struct State {
    proxy: String,
    identity: SpiffeId,
    workloads: Vec<WorkloadId>,
    generation: Option<Generation>,
    /// Since when it is connected, or is not.
    since: Wall,
    /// Why it is not connected.
    away: Option<String>,
    certificates: BTreeMap<SpiffeId, Certificate>,
    peers: Vec<Tunnel>,
    /// What is wrong with the host's clock.
    clock: Option<String>,
}

/// Of how many proxies of others is told where they are.
const MOST_PEERS: usize = 1000;

#[derive(Default)]
struct Certificate {
    ends: Option<Wall>,
    failed: Option<String>,
}

impl Held {
    /// What `follower` has taken up from its folder at `now`.
    pub(super) fn of(
        proxy: &str,
        workloads: &[WorkloadId],
        follower: &Follower,
        now: Wall,
    ) -> Self {
        let certificates = follower.certificates().into_iter().map(|(id, ends)| {
            let certificate = Certificate {
                ends: Some(ends),
                failed: None,
            };
            (id, certificate)
        });
        Self(Arc::new(Mutex::new(State {
            proxy: proxy.to_owned(),
            identity: follower.identity().clone(),
            workloads: workloads.to_vec(),
            generation: follower.view().map(|(view, _)| view.generation.clone()),
            since: now,
            away: Some("it has not been reached yet".to_owned()),
            certificates: certificates.collect(),
            peers: Vec::new(),
            clock: None,
        })))
    }

    /// Takes in what the view says of others.
    pub(super) fn see(&self, view: &View) {
        self.lock().peers = peers(view);
    }

    /// Takes in what happened at `now`.
    pub(super) fn hear(&self, event: &Event, now: Wall) {
        let mut state = self.lock();
        match event {
            Event::Connected => {
                state.away = None;
                state.since = now;
            }
            Event::Away { why } => {
                if state.away.is_none() {
                    state.since = now;
                }
                state.away = Some(why.clone());
            }
            Event::Adopted { generation, .. } => state.generation = Some(generation.clone()),
            Event::Certified { identity, ends } => {
                let certificate = Certificate {
                    ends: Some(*ends),
                    failed: None,
                };
                state.certificates.insert(identity.clone(), certificate);
            }
            Event::NotCertified { identity, why, .. } => {
                let certificate = state.certificates.entry(identity.clone()).or_default();
                certificate.failed = Some(why.clone());
            }
            Event::Forgotten { identity } => {
                state.certificates.remove(identity);
            }
            Event::ClockOff(_) => state.clock = Some(event.to_string()),
            Event::ClockRight => state.clock = None,
            // The control plane is told of one that stood still.
            Event::StoodStill(_)
            | Event::Refused { .. }
            | Event::Report(_)
            | Event::TimeNotBelieved(_)
            | Event::NotRestored { .. }
            | Event::BadRoot(_)
            | Event::NotSaved { .. } => {}
        }
    }

    /// Who answers questions about this proxy, and about the calls that `telemetry` records.
    pub(super) fn witness(&self, clocks: &Clocks, telemetry: &Telemetry) -> Witness {
        let (held, now) = (self.clone(), clocks.clone());
        let holding = move || held.told(now.now().wall);
        let name = self.lock().proxy.clone();
        Witness::new(name, clocks.clone(), telemetry.clone(), holding)
    }

    /// It as people may see it at `now`.
    fn told(&self, now: Wall) -> Holding {
        let state = self.lock();
        let certificates = state
            .certificates
            .iter()
            .map(|(id, held)| CertificateState {
                identity: id.to_string(),
                proxies: 1,
                ends: held.ends.map(|ends| ends.to_string()),
                renewed: None,
                failed: held.failed.clone(),
                failing: None,
            });
        Holding {
            proxy: state.proxy.clone(),
            identity: state.identity.to_string(),
            now: now.to_string(),
            workloads: state.workloads.iter().map(WorkloadId::to_string).collect(),
            generation: state.generation.as_ref().map(Generation::to_string),
            follows: match &state.away {
                None => Follows::ControlPlane,
                Some(why) => Follows::Away(why.clone()),
            },
            since: state.since.to_string(),
            certificates: certificates.collect(),
            peers: state.peers.clone(),
            clock: state.clock.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the proxies of other workloads take mesh calls.
pub(crate) fn peers(view: &View) -> Vec<Tunnel> {
    let slices = view.endpoints.values().flatten();
    let endpoints = slices.flat_map(|slice| slice.endpoints());
    let others = endpoints.filter(|one| !view.workloads.contains_key(&one.workload));
    let known = others.filter_map(|one| Some((one.workload.clone(), one.tunnel?)));
    let known: BTreeMap<_, _> = known.collect();
    let told = known.into_iter().take(MOST_PEERS);
    told.map(|(workload, tunnel)| Tunnel {
        workload: workload.to_string(),
        address: tunnel.to_string(),
    })
    .collect()
}
