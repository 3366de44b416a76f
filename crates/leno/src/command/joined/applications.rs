//! The applications that a proxy on this host gives identities to, by the SPIFFE Workload API.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use leno_agent::{Agent, Door, Event, Served};
use leno_model::TrustDomain;
use leno_model::view::View;
use leno_proxy::Clocks;
use leno_proxy::follow::Signer;
use tokio::sync::{mpsc, watch};

use crate::command::seed;

/// How many lines may wait to be printed.
const MOST_LINES: usize = 256;

/// What applications may be given, from the first view on.
pub(super) struct Applications {
    served: watch::Sender<Arc<Served>>,
    signer: Signer,
    clocks: Clocks,
}

impl Applications {
    /// Those of whoever holds no view yet: nobody.
    pub(super) fn new(domain: &TrustDomain, signer: Signer, clocks: Clocks) -> Self {
        let nothing = Served::nothing(domain.clone());
        Self {
            served: watch::Sender::new(Arc::new(nothing)),
            signer,
            clocks,
        }
    }

    /// Goes by what a view says from here on.
    pub(super) fn see(&self, view: &View) {
        // Nothing is captured here: no workload has a network of its own.
        let served = Served::of(view, &BTreeMap::new());
        self.served.send_if_modified(|before| {
            let differs = **before != served;
            if differs {
                *before = Arc::new(served);
            }
            differs
        });
    }

    /// Serves them at `socket`, in the place of another process `instead`. What happens is told to
    /// `tell`.
    pub(super) async fn serve(
        &self,
        socket: &Path,
        instead: bool,
        mut tell: impl FnMut(String),
    ) -> anyhow::Result<Infallible> {
        let door = match instead {
            true => Door::open_instead(socket),
            false => Door::open(socket),
        };
        let door = door.with_context(|| format!("cannot listen on {}", socket.display()))?;
        let (lines, mut heard) = mpsc::channel(MOST_LINES);
        // A line that finds no room is not worth waiting for.
        let hear = move |event: &Event| drop(lines.try_send(event.to_string()));
        let agent = Agent::new(
            door,
            self.served.subscribe(),
            Arc::new(self.signer.clone()),
            self.clocks.clone(),
            seed(),
            hear,
        );
        let mut running = std::pin::pin!(agent.run());
        loop {
            tokio::select! {
                () = &mut running => bail!("the SPIFFE Workload API ended"),
                Some(line) = heard.recv() => tell(line),
            }
        }
    }
}
