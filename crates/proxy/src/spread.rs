//! Spreads connections over workers: the kernel gives them out by chance, and few that live for long
//! would stay where chance put them.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;

use crate::{Door, Order};

/// What each worker of a process carries.
#[derive(Debug)]
pub(crate) struct Loads(Box<[Load]>);

/// In a cache line of its own: one worker writes it again and again, the others read it when they
/// accept a connection.
#[derive(Default, Debug)]
#[repr(align(128))]
struct Load {
    /// Connections and streams that live.
    live: AtomicUsize,
    /// Connections that are on their way to it.
    coming: AtomicUsize,
}

impl Load {
    fn all(&self) -> usize {
        self.live.load(Ordering::Relaxed) + self.coming.load(Ordering::Relaxed)
    }
}

impl Loads {
    /// Those of so many workers.
    pub(crate) fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self((0..workers).map(|_| Load::default()).collect()))
    }
}

/// One worker's way to the others.
#[derive(Debug)]
pub(crate) struct Spread {
    loads: Arc<Loads>,
    own: usize,
    workers: Vec<mpsc::UnboundedSender<Order>>,
}

impl Spread {
    /// That of worker number `own` of those that are told what to do by `workers`.
    pub(crate) fn new(
        loads: Arc<Loads>,
        own: usize,
        workers: Vec<mpsc::UnboundedSender<Order>>,
    ) -> Self {
        Self {
            loads,
            own,
            workers,
        }
    }

    /// Says how much this worker carries.
    pub(crate) fn carries(&self, live: usize) {
        if let Some(load) = self.loads.0.get(self.own) {
            load.live.store(live, Ordering::Relaxed);
        }
    }

    /// Which other worker a connection that came by `door` had better go to.
    pub(crate) fn elsewhere(&self, door: &Door) -> Option<usize> {
        let loads = self.loads.0.iter().map(Load::all);
        lighter(loads, self.own, door.slack())
    }

    /// Hands a connection to worker number `to`; gives it back if that has ended.
    pub(crate) fn hand(
        &self,
        to: usize,
        connection: TcpStream,
        door: &Door,
    ) -> Result<(), TcpStream> {
        let (Some(load), Some(worker)) = (self.loads.0.get(to), self.workers.get(to)) else {
            return Err(connection);
        };
        load.coming.fetch_add(1, Ordering::Relaxed);
        let sent = worker.send(Order::Accept(connection, door.clone()));
        sent.map_err(|order| {
            load.coming.fetch_sub(1, Ordering::Relaxed);
            match order.0 {
                Order::Accept(connection, _) => connection,
                _ => unreachable!("it is what was sent"),
            }
        })
    }

    /// Takes note that a connection has come from another worker.
    pub(crate) fn has_come(&self) {
        if let Some(load) = self.loads.0.get(self.own) {
            load.coming.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Door {
    /// How much more a worker may carry than another before it passes on what comes by this door.
    fn slack(&self) -> usize {
        match self {
            // Each carries the streams of a whole proxy.
            Self::Tunnel | Self::TunnelTo(_) => 0,
            _ => 8,
        }
    }
}

/// The worker that carries least, if worker number `own` carries more by over `slack` and an eighth.
fn lighter(loads: impl Iterator<Item = usize> + Clone, own: usize, slack: usize) -> Option<usize> {
    let mine = loads.clone().nth(own)?;
    let (least, load) = loads.enumerate().min_by_key(|(_, load)| *load)?;
    let bearable = load + slack + if slack > 0 { load / 8 } else { 0 };
    (mine > bearable).then_some(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_goes_where_least_is_if_it_is_worth_the_way() {
        let check = |loads: &[usize], own, slack, expect| {
            let found = lighter(loads.iter().copied(), own, slack);
            assert_eq!(found, expect, "{loads:?} {own} {slack}");
        };
        check(&[0], 0, 0, None);
        check(&[1, 1], 0, 0, None);
        check(&[1, 0], 0, 0, Some(1));
        check(&[0, 1], 0, 0, None);
        check(&[3, 2, 1], 0, 0, Some(2));
        check(&[8, 0], 0, 8, None);
        check(&[9, 0], 0, 8, Some(1));
        check(&[98, 80], 0, 8, None);
        check(&[99, 80], 0, 8, Some(1));
        check(&[], 0, 0, None);
    }

    #[test]
    fn what_is_on_its_way_counts_until_it_has_come() {
        let loads = Loads::new(2);
        let (orders, mut taken): (Vec<_>, Vec<_>) = [(); 2]
            .map(|()| mpsc::unbounded_channel())
            .into_iter()
            .unzip();
        let [first, second] = [0, 1].map(|own| Spread::new(loads.clone(), own, orders.clone()));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let connection = || TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        first.carries(1);
        assert_eq!(first.elsewhere(&Door::Tunnel), Some(1));
        first.hand(1, connection(), &Door::Tunnel).unwrap();
        assert_eq!(first.elsewhere(&Door::Tunnel), None);
        assert!(matches!(taken[1].try_recv(), Ok(Order::Accept(..))));
        second.has_come();
        assert_eq!(first.elsewhere(&Door::Tunnel), Some(1));
        taken.pop();
        assert!(first.hand(1, connection(), &Door::Tunnel).is_err());
        assert_eq!(first.elsewhere(&Door::Tunnel), Some(1));
    }
}
