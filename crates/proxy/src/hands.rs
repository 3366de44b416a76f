//! A way to try calls through a running proxy from tasks that are none of its workers.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use leno_channel::Keyring;
use leno_host::Netns;
use leno_model::view::WorkloadId;
use leno_traffic::Table;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{Door, Order, State, tell};

/// The way to one proxy, for as long as it runs. A clone is the same.
#[derive(Clone, Debug)]
pub(crate) struct Hands {
    keyring: Arc<Keyring>,
    state: watch::Receiver<State>,
    orders: Vec<mpsc::UnboundedSender<Order>>,
}

impl Hands {
    pub(crate) fn new(
        keyring: Arc<Keyring>,
        state: watch::Receiver<State>,
        orders: Vec<mpsc::UnboundedSender<Order>>,
    ) -> Self {
        Self {
            keyring,
            state,
            orders,
        }
    }

    /// What it proves itself by.
    pub(crate) fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// What it decides by at this moment.
    pub(crate) fn table(&self) -> Arc<Table> {
        self.state.borrow().table.clone()
    }

    /// Serves a connection as if it had come by `door`.
    pub(crate) fn take(&self, connection: TcpStream, door: Door) -> io::Result<()> {
        self.order(Order::Take(connection, Vec::new(), door))
    }

    /// In which network connections for calls of `workload` are made, if not in that of this process.
    pub(crate) async fn network_of(&self, workload: &WorkloadId) -> io::Result<Option<Arc<Netns>>> {
        let (say, said) = oneshot::channel();
        self.order(Order::SayNetwork(workload.clone(), say))?;
        said.await.map_err(|_| no_worker())
    }

    /// Has the first worker carry it out: all have been told the same of workloads.
    fn order(&self, order: Order) -> io::Result<()> {
        tell(self.orders.first().ok_or_else(no_worker)?, order)
    }
}

fn no_worker() -> io::Error {
    io::Error::other("the proxy has no worker")
}
