//! The call on which a connected proxy says what is wrong that costs no call, and what is known of it.

use std::collections::btree_map::{BTreeMap, Entry};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use leno_channel::grpc::{Call, Messages, Status, StatusCode};
use leno_model::Code;
use leno_model::view::WorkloadId;
use leno_wire::troubles::{Trouble, Troubles};
use tokio::sync::Notify;

use crate::center::Center;

/// What connected proxies said last, by the other end of their connection.
#[derive(Clone, Default, Debug)]
pub(crate) struct Troubled {
    said: Arc<Mutex<BTreeMap<SocketAddr, Vec<Trouble>>>>,
    /// Told when one says something of a pod.
    of_pods: Arc<Notify>,
}

/// What one proxy says, until this is dropped.
struct Telling {
    troubled: Troubled,
    peer: SocketAddr,
}

/// Something that a collector does not get.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct NotExported {
    pub(crate) trouble: Trouble,
    /// The proxies that say so; without any it is the control plane's own.
    pub(crate) proxies: Vec<String>,
}

/// Something that a connected proxy says of the host, or the pod, that it runs on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct OfHost {
    pub(crate) proxy: String,
    pub(crate) trouble: Trouble,
}

/// What connected proxies say of their hosts, by their names.
pub(crate) fn of_hosts(center: &Center) -> Vec<OfHost> {
    let told = told(center).filter(|(trouble, _)| is_of_host(trouble));
    let told = told.map(|(trouble, proxy)| OfHost { proxy, trouble });
    told.collect()
}

fn is_of_host(trouble: &Trouble) -> bool {
    is_of_pod(trouble) || matches!(trouble.code, Code::H025 | Code::T013 | Code::T029)
}

/// Whether it is something about a pod: its packet rules, or the process that carries its calls.
fn is_of_pod(trouble: &Trouble) -> bool {
    matches!(trouble.code, Code::H007 | Code::H019 | Code::H024)
}

/// What connected proxies say, each thing with the name of the proxy.
fn told(center: &Center) -> impl Iterator<Item = (Trouble, String)> {
    let members = center.fleet.members().into_iter();
    members.flat_map(|(_, member)| {
        let troubles = center.troubled.of(member.peer).into_iter();
        troubles.map(move |trouble| (trouble, member.name.clone()))
    })
}

/// What collectors do not get from this process and from the connected proxies, each thing once and
/// since it began.
pub(crate) fn not_exported(center: &Center) -> Vec<NotExported> {
    let own = center.not_exported().into_iter().map(|own| Trouble {
        code: own.code,
        about: own.endpoint,
        why: own.why,
        since: own.since,
    });
    let own = own.map(|trouble| (trouble, None));
    let theirs = told(center).filter(|(trouble, _)| !is_of_host(trouble));
    let theirs = theirs.map(|(trouble, proxy)| (trouble, Some(proxy)));
    let mut once = BTreeMap::new();
    for (trouble, proxy) in own.chain(theirs) {
        let what = (trouble.code, trouble.about.clone(), trouble.why.clone());
        let told = match once.entry(what) {
            Entry::Occupied(told) => told.into_mut(),
            Entry::Vacant(nobody) => nobody.insert(NotExported {
                trouble: trouble.clone(),
                proxies: Vec::new(),
            }),
        };
        told.trouble.since = told.trouble.since.min(trouble.since);
        told.proxies.extend(proxy);
    }
    once.into_values().collect()
}

/// What proxies say of pods in front of which they stand, or whose capture they keep, by the workload and the kind of
/// trouble.
pub(crate) fn of_pods(center: &Center) -> BTreeMap<(WorkloadId, Code), Trouble> {
    let mut told = BTreeMap::new();
    let edition = center.edition();
    for (_, member) in center.fleet.members() {
        let node = member.node.as_deref();
        let sidecars = node.and_then(|node| edition.mesh.sidecars.get(node));
        let sidecars = sidecars.into_iter().flat_map(|all| all.keys());
        for trouble in center.troubled.of(member.peer) {
            let mut own = member.workloads.iter().chain(sidecars.clone());
            let about = own.find(|workload| workload.to_string() == *trouble.about);
            if let Some(workload) = about.filter(|_| is_of_pod(&trouble)) {
                told.insert((workload.clone(), trouble.code), trouble);
            }
        }
    }
    told
}

impl Troubled {
    /// Waits until a proxy says something of a pod.
    pub(crate) async fn says_of_pod(&self) {
        self.of_pods.notified().await;
    }

    /// What the proxy behind `peer` said last.
    fn of(&self, peer: SocketAddr) -> Vec<Trouble> {
        self.lock().get(&peer).cloned().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, Vec<Trouble>>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.troubled.lock().remove(&self.peer);
    }
}

/// Hears the proxy behind `peer` until the call ends.
pub(crate) async fn run(center: &Center, peer: SocketAddr, call: Call) {
    let Call {
        messages,
        mut answer,
        ..
    } = call;
    let telling = Telling {
        troubled: center.troubled.clone(),
        peer,
    };
    let end = match answer.begin() {
        Ok(()) => hear(messages, &telling).await,
        Err(status) => Err(status),
    };
    // A proxy that is gone needs no answer.
    drop(answer.finish(end));
}

async fn hear(mut messages: Messages, telling: &Telling) -> Result<(), Status> {
    while let Some(message) = messages.next().await? {
        let told = Troubles::decode(&message);
        let told = told.map_err(|misfit| Status::new(StatusCode::InvalidArgument, misfit))?;
        let is_of_pod = told.0.iter().any(is_of_pod);
        telling.troubled.lock().insert(telling.peer, told.0);
        if is_of_pod {
            telling.troubled.of_pods.notify_one();
        }
    }
    Ok(())
}
