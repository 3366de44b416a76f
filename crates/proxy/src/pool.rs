//! Connections that are open and have nothing to do. One is lent only for exactly that for which
//! it was opened: the same caller, the same expected peer, the same address.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::task::{Context, Waker};
use std::time::Duration;

use hashbrown::{Equivalent, HashMap};
use leno_model::{Mono, SpiffeId};
use rustc_hash::FxBuildHasher;

use crate::stream::Stream;
use crate::tunnel::client::TunnelKey;

/// How long a connection may lie idle.
const IDLE: Duration = Duration::from_secs(50);

/// How many idle connections a worker keeps to one target, and in all.
const MOST_EACH: usize = 256;
const MOST: usize = 4096;

/// What a connection is to: everything that is proven or chosen when it is opened.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Target {
    /// Through whose proxy; `None` is in plain.
    pub(crate) tunnel: Option<TunnelKey>,
    /// Where the application listens.
    pub(crate) address: SocketAddr,
    /// Whether it is an application of ours: one in an enclosure is reached inside of it.
    pub(crate) own: bool,
}

/// The same, borrowed: looking a connection up copies nothing.
#[derive(Clone, Copy, Hash, Debug)]
pub(crate) struct TargetRef<'a> {
    /// Through whose proxy; `None` is in plain.
    pub(crate) tunnel: Option<TunnelRef<'a>>,
    /// Where the application listens.
    pub(crate) address: SocketAddr,
    /// Whether it is an application of ours: one in an enclosure is reached inside of it.
    pub(crate) own: bool,
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
}

impl TargetRef<'_> {
    /// In plain, to this address.
    pub(crate) fn plain(address: SocketAddr) -> Self {
        Self {
            tunnel: None,
            address,
            own: false,
        }
    }

    /// To our own application, which listens at this address.
    pub(crate) fn application(address: SocketAddr) -> Self {
        Self {
            own: true,
            ..Self::plain(address)
        }
    }

    /// The same, kept.
    pub(crate) fn keep(self) -> Target {
        let tunnel = self.tunnel.map(|tunnel| TunnelKey {
            own: tunnel.own.clone(),
            expected: tunnel.expected.to_vec(),
            address: tunnel.address,
        });
        Target {
            tunnel,
            address: self.address,
            own: self.own,
        }
    }
}

impl Equivalent<Target> for TargetRef<'_> {
    fn equivalent(&self, other: &Target) -> bool {
        self.address == other.address
            && self.own == other.own
            && match (&self.tunnel, &other.tunnel) {
                (None, None) => true,
                (Some(ours), Some(theirs)) => {
                    ours.address == theirs.address
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
    since: Mono,
}

impl Pool {
    /// Lends the connection to `target` that was used last and is still good. One of which there
    /// is something to read is not: its server has closed it, or spoken out of turn.
    pub(crate) fn take(&self, target: &TargetRef<'_>) -> Option<Stream> {
        let mut idle = self.idle.borrow_mut();
        let list = idle.get_mut(target)?;
        let mut context = Context::from_waker(Waker::noop());
        while let Some(Idle { mut stream, .. }) = list.pop() {
            self.count.set(self.count.get() - 1);
            if stream.poll_read_ready(&mut context).is_pending() {
                return Some(stream);
            }
        }
        None
    }

    /// Keeps a connection for the next call to the same target; over the bounds it is closed.
    pub(crate) fn give(&self, target: &TargetRef<'_>, stream: Stream, now: Mono) {
        if self.count.get() >= MOST {
            return;
        }
        let mut idle = self.idle.borrow_mut();
        let idle_one = Idle { stream, since: now };
        match idle.get_mut(target) {
            Some(list) if list.len() >= MOST_EACH => return,
            Some(list) => list.push(idle_one),
            None => drop(idle.insert(target.keep(), vec![idle_one])),
        }
        self.count.set(self.count.get() + 1);
    }

    /// Closes what has been idle for too long.
    pub(crate) fn sweep(&self, now: Mono) {
        self.retain(|_, idle| now.since(idle.since) < IDLE);
    }

    /// Closes everything that was proven to somebody: trust has changed.
    pub(crate) fn retire(&self) {
        self.retain(|target, _| target.tunnel.is_none());
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
