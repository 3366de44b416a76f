//! Requests that say themselves where they go: of clients that are told to use a proxy, and by
//! published names. What a request names is found out before anything is decided about it; from
//! there on it is as if its connection had been on its way there.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use leno_model::view::WorkloadId;
use leno_model::{HostName, Subscription};
use leno_protocol::{HeadReader, Limits, RequestHead};
use leno_traffic::{Naming, Refusal, Wanted};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::incoming::{Incoming, Toward, Way, find_out};
use crate::worker::Worker;

/// How many names a worker has open at the host's resolver at most, each of which holds a thread.
const MOST_LOOKUPS: usize = 32;

/// How long the host's resolver has for one.
const PATIENCE: Duration = Duration::from_secs(5);

/// What bounds the look-ups of one worker.
pub(crate) struct Lookups(Arc<Semaphore>);

impl Default for Lookups {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_LOOKUPS)))
    }
}

impl Incoming {
    /// Reads the heads of its requests.
    pub(crate) fn head_reader(&self) -> HeadReader {
        match self.names() {
            Some(_) => HeadReader::of_proxy(Limits::default()),
            None => HeadReader::new(Limits::default()),
        }
    }

    /// The same connection, on its way to where one of its requests says; `None` if it is on its
    /// way somewhere itself.
    pub(crate) async fn named_by(&self, worker: &Worker, head: &RequestHead<'_>) -> Option<Self> {
        let (workload, naming, here) = self.names()?;
        let to = find(worker, workload, naming, here, head).await;
        let named = Self {
            peer: self.peer.clone(),
            from: self.from,
            netns: self.netns.clone(),
            way: Way::Outbound {
                workload: workload.clone(),
                to: to.unwrap_or_else(|refusal| Toward::Nowhere(Box::new(refusal))),
            },
        };
        find_out(worker, || named.question(worker)).await;
        Some(named)
    }

    /// Whose requests name where they go, and how, at which address.
    fn names(&self) -> Option<(&WorkloadId, Naming, SocketAddr)> {
        match &self.way {
            Way::Outbound {
                workload,
                to: Toward::Named(naming, here),
            } => Some((workload, *naming, *here)),
            Way::Outbound { .. } | Way::Inbound { .. } => None,
        }
    }
}

async fn find(
    worker: &Worker,
    workload: &WorkloadId,
    naming: Naming,
    here: SocketAddr,
    head: &RequestHead<'_>,
) -> Result<Toward, Refusal> {
    let wanted = || worker.table().wanted(head, naming, workload);
    find_out(worker, || question(&wanted())).await;
    let address = match wanted()? {
        Wanted::Port(port) => return Ok(Toward::Port(port)),
        Wanted::Needs(question) => return Err(Refusal::NotKnownYet(question)),
        Wanted::Address(address) => address,
        Wanted::Name(name, port) => {
            let address = resolve(worker, &name, port).await?;
            remember(worker, workload, &name, address);
            address
        }
    };
    if let Some(port) = worker.upstream(workload, address) {
        return Ok(Toward::Port(port));
    }
    let is_here = address.ip().is_loopback() || address.ip() == here.ip();
    if is_here && address.port() == here.port() {
        return Err(Refusal::Loop(address));
    }
    Ok(Toward::Address(address))
}

fn question(wanted: &Result<Wanted, Refusal>) -> Option<Subscription> {
    match wanted {
        Ok(Wanted::Needs(question)) => Some(question.clone()),
        Ok(Wanted::Port(_) | Wanted::Address(_) | Wanted::Name(..)) | Err(_) => None,
    }
}

/// Remembers what a name that was asked for here means to `workload`, if rules about its calls ask for names.
fn remember(worker: &Worker, workload: &WorkloadId, name: &str, address: SocketAddr) {
    if worker.table().asks_names_of(workload)
        && let Some(name) = HostName::new(name)
    {
        // The host's resolver does not say for how long.
        worker.was_told(workload, &name, (address.ip(), Duration::ZERO));
    }
}

/// The first address that the host's resolver has for `name`.
async fn resolve(worker: &Worker, name: &str, port: u16) -> Result<SocketAddr, Refusal> {
    let not_resolved = || Refusal::NotResolved(name.into());
    let permit = worker.lookups.0.clone().try_acquire_owned();
    let permit = permit.map_err(|_| not_resolved())?;
    let owned = name.to_owned();
    let look_up = tokio::task::spawn_blocking(move || {
        // Until it is done, however long somebody waits for it.
        let _permit = permit;
        (owned, port).to_socket_addrs()
    });
    let found = timeout(PATIENCE, look_up).await;
    let found = found.ok().and_then(Result::ok).and_then(Result::ok);
    found
        .and_then(|mut addresses| addresses.next())
        .ok_or_else(not_resolved)
}
