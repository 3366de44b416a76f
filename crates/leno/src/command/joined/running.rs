//! A proxy that follows a control plane, from its first view to its end.

use std::cell::{OnceCell, RefCell};
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use anyhow::Context as _;
use leno_channel::Keyring;
use leno_host::Netns;
use leno_model::view::{View, WorkloadId};
use leno_model::{Subscription, Wall};
use leno_proxy::follow::Asker;
use leno_proxy::succession::Predecessor;
use leno_proxy::{Clocks, Cut, Prover, Proxy, Settings, Witness};
use leno_telemetry::Telemetry;
use leno_telemetry::capture::{Capture, Whose};
use leno_telemetry::obstacles::Obstacles;
use leno_telemetry::processes::Processes;
use leno_traffic::Scope;
use tokio::sync::watch;

use crate::command::ending::{EndSignals, end};
use crate::command::joined::inside::Inside;
use crate::command::joined::proving;
use crate::command::joined::wanted::Wanted;
use crate::command::seed;
use crate::terminal::Terminal;

/// What a proxy starts with, once there is a view.
pub(super) struct Start<'a> {
    pub(super) wanted: Wanted<'a>,
    /// What it was given, if it is the process of one pod.
    pub(super) inside: Option<Inside>,
    pub(super) keyring: Arc<Keyring>,
    pub(super) clocks: Clocks,
    pub(super) telemetry: Telemetry,
    pub(super) witness: Witness,
    pub(super) asker: Asker,
    /// Whose place it takes.
    pub(super) predecessor: RefCell<Option<Predecessor>>,
}

impl Start<'_> {
    fn with(&self, view: Arc<View>, scope: Scope) -> anyhow::Result<Proxy> {
        let settings = Settings {
            predecessor: self.predecessor.take(),
            ..self.wanted.settings()?
        };
        let (keyring, clocks) = (Arc::clone(&self.keyring), self.clocks.clone());
        let telemetry = self.telemetry.clone();
        let start =
            |settings| move || Proxy::start(settings, keyring, clocks, &telemetry, view, scope);
        let proxy = match &self.inside {
            Some(inside) => inside.carry_out(start(inside.bounded(settings)))??,
            None => start(settings)()?,
        };
        proxy.ask_by(&self.asker)?;
        self.witness.try_by(&proxy);
        Ok(proxy)
    }
}

/// The proxy, from its first view on.
pub(super) struct Running<'a> {
    start: Start<'a>,
    /// Empty while there has been no view.
    proxy: OnceCell<anyhow::Result<Proxy>>,
    started: watch::Sender<bool>,
    ending: watch::Sender<bool>,
}

impl<'a> Running<'a> {
    /// One that has not started. A workload that is to be captured counts as not captured until that is proven.
    pub(super) fn new(start: Start<'a>) -> Self {
        if let Some(workload) = start.wanted.captured() {
            let capture = start.telemetry.capture();
            capture.expect(workload.clone(), Whose::Own);
        }
        Self {
            start,
            proxy: OnceCell::new(),
            started: watch::Sender::new(false),
            ending: watch::Sender::new(false),
        }
    }

    /// Goes over to a view; the first one starts the proxy.
    pub(super) fn adopt(&self, view: Arc<View>, scope: Scope) {
        match self.proxy.get() {
            Some(Ok(proxy)) => drop(proxy.adopt(view, scope)),
            Some(Err(_)) => {}
            None => {
                self.proxy.get_or_init(|| self.start.with(view, scope));
                self.started.send_replace(true);
                // What cannot be let go of is held as before.
                leno_host::release_code().ok();
            }
        }
    }

    /// Asks for what the upstreams will need, before the first call does.
    pub(super) async fn see_in_advance(&self) -> Infallible {
        for (port, _) in &self.start.wanted.upstreams {
            let service = Subscription::Service(port.service.clone());
            // One that is not known yet is asked for again by the call that needs it.
            self.start.asker.ask(service).await.ok();
        }
        pending().await
    }

    /// Tries whether what the workload sends comes to the proxy, if it is to, and tells what changes.
    pub(super) async fn prove(&self, terminal: &RefCell<&mut Terminal>) -> Infallible {
        let Some(workload) = self.start.wanted.captured() else {
            return pending().await;
        };
        let telemetry = &self.start.telemetry;
        let proxy = self.started().await;
        let prover = self.prover(proxy, workload, None);
        if let Some(inside) = &self.start.inside {
            let try_there = || drop(tokio::spawn(prover.run()));
            // Without the thread there is no worker either, which ends the proxy.
            drop(inside.carry_out(try_there));
            return proving::tell(workload, telemetry.capture(), terminal).await;
        }
        tokio::select! {
            never = prover.run() => never,
            never = proving::tell(workload, telemetry.capture(), terminal) => never,
        }
    }

    /// What tries whether what `workload` sends comes to `proxy`, from within its network, if the proxy is not in it.
    pub(super) fn prover(
        &self,
        proxy: &Proxy,
        workload: &WorkloadId,
        netns: Option<Arc<Netns>>,
    ) -> Prover {
        let Start {
            telemetry, clocks, ..
        } = &self.start;
        proxy.prover(workload.clone(), netns, telemetry, clocks.clone(), seed())
    }

    /// Takes what arrives for the pod, if this is the process of one, until it is told to end.
    pub(super) async fn serve_pod(&self) -> anyhow::Result<()> {
        let Start { inside, wanted, .. } = &self.start;
        let (Some(inside), Some(id)) = (inside, wanted.workloads.first()) else {
            return pending().await;
        };
        let serving = async {
            inside.serve(id, self.started().await)?;
            pending().await
        };
        tokio::select! {
            never = serving => never,
            told = inside.told_to_end() => Ok(told?),
        }
    }

    /// What is known of processes that carry the calls of one pod each.
    pub(super) fn processes(&self) -> &Processes {
        self.start.telemetry.processes()
    }

    /// What is in the way of a node's proxy.
    pub(super) fn obstacles(&self) -> &Obstacles {
        self.start.telemetry.obstacles()
    }

    /// What is known of the capture of workloads.
    pub(super) fn capture(&self) -> &Capture {
        self.start.telemetry.capture()
    }

    /// What time it is.
    pub(super) fn wall(&self) -> Wall {
        self.start.clocks.now().wall
    }

    /// The proxy, if it has started.
    pub(super) fn proxy(&self) -> Option<&Proxy> {
        self.proxy.get()?.as_ref().ok()
    }

    /// The proxy, once it has started.
    pub(super) async fn started(&self) -> &Proxy {
        let mut started = self.started.subscribe();
        // Whoever says so lives as long as this.
        drop(started.wait_for(|started| *started).await);
        match self.proxy.get() {
            Some(Ok(proxy)) => proxy,
            Some(Err(_)) | None => pending().await,
        }
    }

    /// Waits until the proxy could not be started, or has ended by itself.
    pub(super) async fn has_failed(&self) {
        let mut started = self.started.subscribe();
        drop(started.wait_for(|started| *started).await);
        if let Some(Ok(proxy)) = self.proxy.get() {
            proxy.broken().await;
        }
    }

    /// Whether the proxy could not be started, or has ended by itself.
    pub(super) fn is_broken(&self) -> bool {
        let proxy = self.proxy.get();
        proxy.is_some_and(|proxy| proxy.as_ref().map_or(true, Proxy::is_broken))
    }

    /// Lets what lives end in peace, if a proxy runs.
    pub(super) async fn drain(&self, signals: &mut EndSignals) {
        self.ending.send_replace(true);
        if let Some(Ok(proxy)) = self.proxy.get() {
            end(proxy, signals).await;
        }
    }

    /// Waits until the proxy begins to end.
    pub(super) async fn begins_to_end(&self) {
        let mut ending = self.ending.subscribe();
        // Whoever says so lives as long as this.
        drop(ending.wait_for(|ending| *ending).await);
    }

    /// What had to be cut, once it has ended.
    pub(super) fn end(self) -> anyhow::Result<Cut> {
        let Some(proxy) = self.proxy.into_inner().transpose()? else {
            return Ok(Cut::default());
        };
        if proxy.is_broken() {
            return Err(proxy.failure()).context("a worker of the proxy has ended");
        }
        Ok(proxy.join()?)
    }
}
