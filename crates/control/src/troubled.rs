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
use crate::fleet::Member;

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
    /// The node of a cluster that it serves.
    pub(crate) node: Option<Arc<str>>,
    pub(crate) trouble: Trouble,
}

/// What connected proxies say of their hosts, by their names.
pub(crate) fn of_hosts(center: &Center) -> Vec<OfHost> {
    let told = told(center).filter(|(trouble, _)| is_of_host(trouble));
    let told = told.map(|(trouble, member)| OfHost {
        proxy: member.name.clone(),
        node: member.node.clone(),
        trouble,
    });
    told.collect()
}

fn is_of_host(trouble: &Trouble) -> bool {
    let of_clocks = matches!(trouble.code, Code::T013 | Code::T029);
    of_clocks || is_of_pod(trouble.code) || is_of_node(trouble.code) || trouble.code == Code::H025
}

/// Whether it is something about a pod: its packet rules, whether it is served, or the process that carries its calls.
pub(crate) fn is_of_pod(code: Code) -> bool {
    matches!(
        code,
        Code::H006 | Code::H007 | Code::H018 | Code::H019 | Code::H024
    )
}

/// Whether it is something about a node of a cluster: the network plugin there, or the guard of its pods.
pub(crate) fn is_of_node(code: Code) -> bool {
    matches!(code, Code::H015 | Code::H016 | Code::H020)
}

/// What connected proxies say, each thing with the proxy.
fn told(center: &Center) -> impl Iterator<Item = (Trouble, Arc<Member>)> {
    let members = center.fleet.members().into_iter();
    members.flat_map(|(_, member)| {
        let troubles = center.troubled.of(member.peer).into_iter();
        let member = Arc::new(member);
        troubles.map(move |trouble| (trouble, Arc::clone(&member)))
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
    let theirs = theirs.map(|(trouble, member)| (trouble, Some(member.name.clone())));
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

/// What proxies say of pods in front of which they stand, or are to, or whose capture they keep, by the workload and the kind of
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
            if let Some(workload) = about.filter(|_| is_of_pod(trouble.code)) {
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
        let is_of_pod = told.0.iter().any(|it| is_of_pod(it.code));
        telling.troubled.lock().insert(telling.peer, told.0);
        if is_of_pod {
            telling.troubled.of_pods.notify_one();
        }
    }
    Ok(())
}
