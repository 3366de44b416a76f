//! A way to try calls through a running proxy from tasks that are none of its workers.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use leno_channel::Keyring;
use leno_traffic::Table;
use tokio::sync::{mpsc, watch};

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
        let ended = || io::Error::other("the proxy has no worker");
        let worker = self.orders.first().ok_or_else(ended)?;
        tell(worker, Order::Take(connection, Vec::new(), door))
    }
}
