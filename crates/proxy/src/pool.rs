//! Connections that are open and have nothing to do. One is lent only for exactly that for which
//! it was opened: the same caller, the same expected peer, the same address.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use hashbrown::{Equivalent, HashMap};
use leno_host::Netns;
use leno_model::view::{ProxyVersion, WorkloadId};
use leno_model::{Mono, SpiffeId};
use rustc_hash::FxBuildHasher;

use crate::stream::Stream;
use crate::tunnel::client::TunnelKey;

/// How long a connection may lie idle, whatever its server says.
pub(crate) const IDLE: Duration = Duration::from_secs(50);

/// How much sooner than its server a connection is given up: a request and the end of the connection must
/// not meet on the way.
const SOONER: Duration = Duration::from_secs(1);

/// How many idle connections a worker keeps to one target, and in all.
const MOST_EACH: usize = 256;
const MOST: usize = 4096;

/// What a connection is to: everything that is proven or chosen when it is opened.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Target {
    /// Through whose proxy; `None` is in plain.
    pub(crate) tunnel: Option<TunnelKey>,
    /// Who calls in plain: a connection of one workload carries no call of another. `None` through a
    /// tunnel, whose key says it, and to an application of ours.
    pub(crate) caller: Option<WorkloadId>,
    /// Where the application listens.
    pub(crate) address: SocketAddr,
    /// For whom it is, if the application was told: it is nobody else's.
    pub(crate) told: Option<Told>,
    /// In whose network it is made. `None` is ours, or that of a tunnel, whose key says it.
    pub(crate) netns: Option<Arc<Netns>>,
}

/// What an application is told, by the PROXY protocol, before the first byte of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Told {
    /// How.
    pub(crate) version: ProxyVersion,
    /// Who connects.
    pub(crate) source: SocketAddr,
}

impl Target {
    /// The same, borrowed.
    pub(crate) fn borrowed(&self) -> TargetRef<'_> {
        TargetRef {
            tunnel: self.tunnel.as_ref().map(TunnelKey::borrowed),
            caller: self.caller.as_ref(),
            address: self.address,
            told: self.told,
            netns: self.netns.as_ref(),
        }
    }

    /// Whether it is made in that network.
    pub(crate) fn is_within(&self, netns: &Netns) -> bool {
        let tunnel = self
            .tunnel
            .as_ref()
            .and_then(|tunnel| tunnel.netns.as_ref());
        let made = self.netns.as_ref().or(tunnel);
        made.is_some_and(|made| **made == *netns)
    }
}

/// The same, borrowed: looking a connection up copies nothing.
#[derive(Clone, Copy, Hash, Debug)]
pub(crate) struct TargetRef<'a> {
    /// Through whose proxy; `None` is in plain.
    pub(crate) tunnel: Option<TunnelRef<'a>>,
    /// Who calls in plain.
    pub(crate) caller: Option<&'a WorkloadId>,
    /// Where the application listens.
    pub(crate) address: SocketAddr,
    /// For whom it is, if the application is told.
    pub(crate) told: Option<Told>,
    /// In whose network it is made.
    pub(crate) netns: Option<&'a Arc<Netns>>,
}

/// A tunnel key, borrowed.
#[derive(Clone, Copy, Hash, Debug)]
pub(crate) struct TunnelRef<'a> {
    /// Who calls.
    pub(crate) own: &'a SpiffeId,
    /// Who may answer.
    pub(crate) expected: &'a [SpiffeId],
    /// Where its proxy listens.
    pub(crate) address: SocketAddr,
    /// In whose network it is made: it ends with it.
    pub(crate) netns: Option<&'a Arc<Netns>>,
}

impl<'a> TargetRef<'a> {
    /// Through the tunnel of an endpoint's proxy.
    pub(crate) fn tunnelled(tunnel: TunnelRef<'a>, address: SocketAddr) -> Self {
        Self {
            tunnel: Some(tunnel),
            caller: None,
            address,
            told: None,
            netns: None,
        }
    }

    /// In plain, from `caller`, whose network that is, to this address.
    pub(crate) fn plain(
        caller: &'a WorkloadId,
        netns: Option<&'a Arc<Netns>>,
        address: SocketAddr,
    ) -> Self {
        Self {
            tunnel: None,
            caller: Some(caller),
            address,
            told: None,
            netns,
        }
    }

    /// To our own application, whose network that is, which listens at this address and may be told who
    /// connects.
    pub(crate) fn application(
        netns: Option<&'a Arc<Netns>>,
        address: SocketAddr,
        told: Option<Told>,
    ) -> Self {
        Self {
            tunnel: None,
            caller: None,
            address,
            told,
            netns,
        }
    }

    /// Whether it is an application of ours: one in an enclosure is reached inside of it.
    pub(crate) fn is_own(&self) -> bool {
        self.tunnel.is_none() && self.caller.is_none()
    }

    /// The same, kept.
    pub(crate) fn keep(self) -> Target {
        let tunnel = self.tunnel.map(|tunnel| TunnelKey {
            own: tunnel.own.clone(),
            expected: tunnel.expected.to_vec(),
            address: tunnel.address,
            netns: tunnel.netns.cloned(),
        });
        Target {
            tunnel,
            caller: self.caller.cloned(),
            address: self.address,
            told: self.told,
            netns: self.netns.cloned(),
        }
    }
}

impl Equivalent<Target> for TargetRef<'_> {
    fn equivalent(&self, other: &Target) -> bool {
        self.address == other.address
            && self.told == other.told
            && self.caller == other.caller.as_ref()
            && self.netns == other.netns.as_ref()
            && match (&self.tunnel, &other.tunnel) {
                (None, None) => true,
                (Some(ours), Some(theirs)) => {
                    ours.address == theirs.address
                        && ours.netns == theirs.netns.as_ref()
                        && *ours.own == theirs.own
                        && *ours.expected == *theirs.expected
                }
                (None, Some(_)) | (Some(_), None) => false,
            }
    }
}

/// A worker's idle connections.
#[derive(Default)]
pub(crate) struct Pool {
    idle: RefCell<HashMap<Target, Vec<Idle>, FxBuildHasher>>,
    count: Cell<usize>,
}

struct Idle {
    stream: Stream,
    /// From when on it is not used.
    until: Mono,
}

impl Pool {
    /// Lends the connection to `target` that was used last and is still good. One of which there
    /// is something to read is not: its server has closed it, or spoken out of turn; nor is one that its
    /// server is about to close.
    pub(crate) fn take(&self, target: &TargetRef<'_>, now: Mono) -> Option<Stream> {
        let mut idle = self.idle.borrow_mut();
        let list = idle.get_mut(target)?;
        let mut context = Context::from_waker(Waker::noop());
        while let Some(Idle { mut stream, until }) = list.pop() {
            self.count.set(self.count.get() - 1);
            if now < until && stream.poll_read_ready(&mut context).is_pending() {
                return Some(stream);
            }
        }
        None
    }

    /// Keeps a connection for the next call to the same target; over the bounds, or when its tunnel
    /// is about to end, it is closed. `kept` is how long its server keeps it.
    pub(crate) fn give(&self, target: &TargetRef<'_>, stream: Stream, kept: Duration, now: Mono) {
        let until = now + idle_for(kept);
        if self.count.get() >= MOST || stream.is_closing(now) || until <= now {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let idle_one = Idle { stream, until };
        match idle.get_mut(target) {
            Some(list) if list.len() >= MOST_EACH => return,
            Some(list) => list.push(idle_one),
            None => drop(idle.insert(target.keep(), vec![idle_one])),
        }
        self.count.set(self.count.get() + 1);
    }

    /// Closes what has been idle for too long.
    pub(crate) fn sweep(&self, now: Mono) {
        self.retain(|_, idle| now < idle.until);
    }

    /// Closes everything that was proven to somebody: trust has changed.
    pub(crate) fn retire(&self) {
        self.retain(|target, _| target.tunnel.is_none());
    }

    /// Closes what was made in that network, of which its owner has gone.
    pub(crate) fn forget(&self, netns: &Netns) {
        self.retain(|target, _| !target.is_within(netns));
    }

    /// Closes everything.
    pub(crate) fn clear(&self) {
        self.retain(|_, _| false);
    }

    fn retain(&self, keep: impl Fn(&Target, &Idle) -> bool) {
        let mut count = 0;
        self.idle.borrow_mut().retain(|target, list| {
            list.retain(|idle| keep(target, idle));
            count += list.len();
            !list.is_empty()
        });
        self.count.set(count);
    }
}

/// For how long a connection may lie idle that its server keeps for so long.
fn idle_for(kept: Duration) -> Duration {
    kept.saturating_sub(SOONER).min(IDLE)
}

#[cfg(test)]
mod tests {
    use leno_model::{Name, Namespace};

    use super::*;

    fn workload(name: &str) -> WorkloadId {
        WorkloadId {
            namespace: Namespace::default_namespace(),
            name: Name::new(name).unwrap(),
        }
    }

    fn id(name: &str) -> SpiffeId {
        SpiffeId::parse(&format!("spiffe://shop.local/ns/default/sa/{name}")).unwrap()
    }

    #[test]
    fn a_connection_is_kept_for_less_than_its_server_keeps_it() {
        let idle = |kept| idle_for(Duration::from_secs(kept)).as_secs();
        assert_eq!([3600, 5, 1, 0].map(idle), [50, 4, 0, 0]);
        assert_eq!(idle_for(Duration::MAX), IDLE);
    }

    #[test]
    fn a_connection_is_lent_only_for_what_it_was_opened_for() {
        let [web, admin] = ["web", "admin"].map(workload);
        let [as_web, as_admin] = ["web", "admin"].map(id);
        let carts = [id("cart")];
        let both = [id("cart"), id("bank")];
        let address = |port| SocketAddr::from(([10, 0, 0, 7], port));
        let tunnel = |own, expected, port| {
            let address = address(port);
            TunnelRef {
                own,
                expected,
                address,
                netns: None,
            }
        };
        let netns = Arc::new(Netns::own().unwrap());
        let within = |target| TargetRef {
            netns: Some(&netns),
            ..target
        };
        let for_whom = |port| Told {
            version: ProxyVersion::V2,
            source: address(port),
        };
        let targets = [
            TargetRef::application(None, address(80), None),
            TargetRef::application(None, address(80), Some(for_whom(1))),
            TargetRef::application(None, address(80), Some(for_whom(2))),
            TargetRef::application(None, address(81), None),
            TargetRef::plain(&web, None, address(80)),
            TargetRef::plain(&admin, None, address(80)),
            TargetRef::tunnelled(tunnel(&as_web, &carts, 15008), address(80)),
            TargetRef::tunnelled(tunnel(&as_admin, &carts, 15008), address(80)),
            TargetRef::tunnelled(tunnel(&as_web, &both, 15008), address(80)),
            TargetRef::tunnelled(tunnel(&as_web, &carts, 15009), address(80)),
            TargetRef::tunnelled(tunnel(&as_web, &carts, 15008), address(81)),
            within(TargetRef::application(None, address(80), None)),
            within(TargetRef::plain(&web, None, address(80))),
            TargetRef::tunnelled(
                TunnelRef {
                    netns: Some(&netns),
                    ..tunnel(&as_web, &carts, 15008)
                },
                address(80),
            ),
        ];
        let made_within = targets
            .iter()
            .filter(|target| target.keep().is_within(&netns));
        assert_eq!(made_within.count(), 3);
        let mut kept = HashMap::<Target, usize, FxBuildHasher>::default();
        for (number, target) in targets.iter().enumerate() {
            assert_eq!(kept.insert(target.keep(), number), None, "{target:?}");
        }
        for (number, target) in targets.iter().enumerate() {
            assert_eq!(kept.get(target), Some(&number), "{target:?}");
        }
    }
}
