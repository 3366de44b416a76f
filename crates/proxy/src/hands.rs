//! A way to try calls through a running proxy from tasks that are none of its workers.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use leno_channel::Keyring;
use leno_model::view::WorkloadId;
use leno_traffic::Table;
use tokio::net::TcpSocket;
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

    /// The socket by which `to` is connected to for a call of `workload`, in the network where its calls are made.
    pub(crate) async fn socket_for(
        &self,
        workload: &WorkloadId,
        to: SocketAddr,
    ) -> io::Result<TcpSocket> {
        let (give, given) = oneshot::channel();
        self.order(Order::GiveSocket(workload.clone(), to, give))?;
        given.await.map_err(|_| no_worker())?
    }

    /// Has the first worker carry it out: all have been told the same of workloads.
    fn order(&self, order: Order) -> io::Result<()> {
        tell(self.orders.first().ok_or_else(no_worker)?, order)
    }
}

fn no_worker() -> io::Error {
    io::Error::other("the proxy has no worker")
}
