//! One connection to the control plane, and the time between two.

use std::sync::Arc;
use std::time::Duration;

use leno_channel::Keyring;
use leno_channel::grpc::{Incoming, Line, Sender, StatusCode, open_line};
use leno_identity::Validity;
use leno_model::view::{View, Workload};
use leno_model::{Pause, SpiffeId};
use leno_traffic::Scope;
use leno_wire::certificates::control_plane;
use leno_wire::flows::Taken;
use leno_wire::{Known, Received, Response, call};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::follow::answer;
use crate::follow::ask::Order;
use crate::follow::event::Event;
use crate::follow::readmit::readmit;
use crate::follow::{Follower, Unanswered, looks, time, troubles};
use crate::reports::{NotTaken, Reports, Told};

/// How many subscriptions a proxy may have.
const MOST_SUBSCRIPTIONS: usize = 50_000;

impl Follower {
    /// Follows one connection from its beginning to its end, and says why it ended.
    pub(super) async fn connected(
        &mut self,
        adopt: &mut impl FnMut(Arc<View>, Scope),
        tell: &mut impl FnMut(&Event),
        pause: &mut Pause,
    ) -> String {
        let (line, stands, run) = match self.open_line(tell).await {
            Ok(opened) => opened,
            Err(why) => {
                self.ask_for_time_as_nobody(tell).await;
                self.take_up_join(tell);
                return why;
            }
        };
        let _run = EndWith(run);
        let respondent = self.respondent.clone();
        let answering = respondent.map(|way| tokio::spawn(answer::serve(line.clone(), way)));
        let _answering = answering.map(EndWith);
        let (mut sender, mut incoming) = match line.call(call::DISTRIBUTE).await {
            Ok(call) => call,
            Err(status) => return status.to_string(),
        };
        if let Err(status) = incoming.begun().await {
            return status.to_string();
        }
        let clocks = self.timekeeper.wrong();
        let telling = troubles::tell(line.clone(), self.telemetry.clone(), clocks);
        let _telling = EndWith(tokio::spawn(telling));
        let looks = looks::tell(line.clone(), self.looks.clone(), self.clocks.clone());
        let _looks = EndWith(tokio::spawn(looks));
        tell(&Event::Connected);
        self.line.send_replace(Some(line.clone()));
        pause.reset();
        self.client.reconnect();
        self.need_certificates();
        self.timekeeper.begin(self.clocks.mono());
        if let Some(reports) = &mut self.reports {
            reports.begin_anew();
        }
        loop {
            self.timekeeper.look(&self.clocks, tell);
            self.ask_for_certificates(Some(&line), tell);
            self.timekeeper.ask(&line, stands, &self.clocks);
            self.send_report(&line);
            if let Err(why) = self.speak(&mut sender).await {
                return why;
            }
            if let Err(why) = self.turn(&mut incoming, adopt, tell).await {
                return why;
            }
        }
    }

    /// Begins with the next address from here on, if there are several.
    pub(super) fn turn_to_the_next(&mut self) {
        if let Some((first, rest)) = self.address.split_once(',') {
            self.address = format!("{rest},{first}");
        }
    }

    /// Waits before the next connection; whoever asks meanwhile waits too.
    pub(super) async fn rest(&mut self, rest: Duration, tell: &mut impl FnMut(&Event)) {
        let until = Instant::now() + rest;
        loop {
            self.timekeeper.look(&self.clocks, tell);
            self.ask_for_certificates(None, tell);
            let due = self.next_certificate().min(until);
            tokio::select! {
                () = sleep_until(due) => {}
                Some(order) = self.orders.recv() => {
                    self.obey(order);
                }
                Some(asked) = self.certificates.asked() => self.take_certificate(asked, tell),
                told = next_of(&mut self.reports) => {
                    if let Some(told) = told {
                        tell(&Event::Report(told));
                    }
                }
            }
            if Instant::now() >= until {
                return;
            }
        }
    }

    /// Asks for another certificate in the place of its own, if that has ended; one that somebody got by
    /// joining again is taken.
    async fn be_readmitted(&mut self, tell: &mut impl FnMut(&Event)) -> Result<(), String> {
        let own = self.holder.identity.clone();
        if !self.certificates.has_ended(&own, self.clocks.now()) {
            return Ok(());
        }
        let kept = self.folder.credentials().map_err(|why| why.to_string())?;
        let mut kept = kept.into_iter();
        let kept = kept.find(|credential| *credential.id() == own);
        let kept = kept.ok_or("its certificate is not on disk any more")?;
        let fresh = match kept.validity().is_over(self.clocks.now().wall) {
            true => {
                let trust = self.keyring.trust();
                readmit(&kept, &trust, &self.clocks, &self.address).await?
            }
            false => kept,
        };
        self.take_certificate((own, Ok(fresh)), tell);
        Ok(())
    }

    /// Asks for the time where no connection could be opened, if this host's clocks leave it in doubt.
    async fn ask_for_time_as_nobody(&mut self, tell: &mut impl FnMut(&Event)) {
        let off = self.clocks.wall_clock_off();
        if !off.is_some_and(|off| off.is_ahead) {
            return;
        }
        let trust = self.keyring.trust();
        let expected = control_plane(&self.holder.identity.trust_domain);
        let asked = time::ask_as_nobody(&trust, &self.clocks, &self.address, &expected);
        if let Some(answer) = asked.await {
            self.timekeeper
                .take(answer, &self.clocks, &self.folder, tell);
        }
    }

    /// Opens a connection, with another certificate if its own has ended, and says when the proof of its
    /// other end stands.
    async fn open_line(
        &mut self,
        tell: &mut impl FnMut(&Event),
    ) -> Result<(Line, Validity, JoinHandle<()>), String> {
        self.join_as_itself(tell).await?;
        self.be_readmitted(tell).await?;
        open_line(&self.keyring, &self.holder.identity, &self.address).await
    }

    /// Sends what there is to say.
    async fn speak(&mut self, sender: &mut Sender) -> Result<(), String> {
        while let Some(request) = self.client.poll_request() {
            let sent = sender.send(&request.encode()).await;
            sent.map_err(|status| status.to_string())?;
        }
        Ok(())
    }

    /// Takes the next thing that happens.
    async fn turn(
        &mut self,
        incoming: &mut Incoming,
        adopt: &mut impl FnMut(Arc<View>, Scope),
        tell: &mut impl FnMut(&Event),
    ) -> Result<(), String> {
        let due = self
            .next_certificate()
            .min(self.timekeeper.due(&self.clocks));
        tokio::select! {
            message = incoming.next() => {
                let message = message.map_err(|status| status.to_string())?;
                let message = message.ok_or("the control plane ended the stream")?;
                let response = Response::decode(&message).map_err(|misfit| misfit.to_string())?;
                self.handle(response, adopt, tell);
            }
            Some(order) = self.orders.recv() => self.obey(order),
            () = sleep_until(due) => {}
            Some(asked) = self.certificates.asked() => {
                let failed = asked.1.as_ref().err().cloned();
                self.take_certificate(asked, tell);
                // One that signs nothing may be one in whose place another acts.
                if let Some(why) = failed.filter(|_| self.address.contains(',')) {
                    return Err(why);
                }
            }
            Some(answer) = self.timekeeper.answered() => {
                self.timekeeper.take(answer, &self.clocks, &self.folder, tell);
            }
            told = next_of(&mut self.reports) => {
                if let Some(told) = told {
                    tell(&Event::Report(told));
                }
            }
        }
        Ok(())
    }

    /// Sends what went through the proxy, if some of it is to be sent.
    fn send_report(&mut self, line: &Line) {
        if let Some(reports) = &mut self.reports {
            let line = line.clone();
            reports.send(|message| async move { report(&line, &message).await });
        }
    }

    fn handle(
        &mut self,
        response: Response,
        adopt: &mut impl FnMut(Arc<View>, Scope),
        tell: &mut impl FnMut(&Event),
    ) {
        match self.client.handle_response(response) {
            Received::Staged => {}
            Received::Refused(why) => tell(&Event::Refused(why)),
            Received::Renew(identities) => self.certificates.hasten(&identities),
            Received::Adopt(view) => {
                tell(&Event::Adopted {
                    generation: view.generation.clone(),
                    workloads: view.workloads.len(),
                    services: view.services.len(),
                });
                let view = Arc::new(view);
                self.view = Some(Arc::clone(&view));
                // The control plane counts on it once the view is acknowledged.
                self.keep_roots(&view, tell);
                adopt(view, self.scope());
                let client = &self.client;
                self.waiting
                    .tell(|question| client.known(question) != Known::NotYet);
                if let Some(saved) = self.client.save(&self.holder) {
                    self.save.send_replace(Some(saved));
                }
                self.need_certificates();
            }
        }
    }

    /// Keeps the roots of the own trust domain, if they have changed.
    fn keep_roots(&mut self, view: &View, tell: &mut impl FnMut(&Event)) {
        let Some(roots) = view.bundles.get(&self.holder.identity.trust_domain) else {
            return;
        };
        if *roots == self.roots {
            return;
        }
        match self.folder.keep_bundle(roots) {
            Ok(()) => self.roots = Arc::clone(roots),
            Err(error) => tell(&Event::NotSaved {
                why: error.to_string(),
            }),
        }
    }

    /// Does what it is told.
    fn obey(&mut self, order: Order) {
        match order {
            Order::Announce(workloads, tunnel) => {
                // Should this fail, who lets the proxy leave names those before.
                drop(self.folder.keep_workloads(&workloads));
                self.client.announce(workloads, tunnel);
            }
            Order::Ask(question, answer) => {
                let told = match self.client.known(&question) {
                    Known::Exists | Known::Absent => Ok(()),
                    Known::NotYet if self.client.subscriptions() >= MOST_SUBSCRIPTIONS => {
                        Err(Unanswered::TooMany)
                    }
                    Known::NotYet => {
                        self.client.subscribe(question.clone());
                        self.waiting.add(question, answer);
                        return;
                    }
                };
                // Who asked has gone if this is not heard.
                answer.send(told).ok();
            }
        }
    }

    /// A node acts as each workload that it stands in front of, and as itself; not as those whose pods are to have a
    /// process of their own, unless it serves them already.
    fn need_certificates(&mut self) {
        let now = self.clocks.now();
        if let Some(view) = &self.view {
            let served = self.client.announced();
            let is_own = |workload: &Workload| {
                let pod = workload.pod.as_ref();
                pod.is_none_or(|pod| pod.own_process.is_none()) || served.contains(&workload.id)
            };
            let workloads = view.workloads.values().filter(|workload| is_own(workload));
            let ids = workloads.map(|workload| &workload.identity);
            let ids = ids.chain([&self.holder.identity]).cloned().collect();
            self.certificates.need(&ids, now);
        }
    }

    fn ask_for_certificates(&mut self, line: Option<&Line>, tell: &mut impl FnMut(&Event)) {
        let now = self.clocks.now();
        let keeping = (&*self.keyring, &self.folder);
        self.certificates.forget_ended(keeping, now, tell);
        self.certificates.ask(line, now, &mut self.dice, tell);
    }

    pub(super) fn take_certificate(
        &mut self,
        asked: (SpiffeId, Result<leno_identity::Credential, String>),
        tell: &mut impl FnMut(&Event),
    ) {
        let now = self.clocks.now();
        let keeping = (&*self.keyring, &self.folder);
        self.certificates
            .take(asked, keeping, now, &mut self.dice, tell);
    }

    fn next_certificate(&self) -> Instant {
        let now = self.clocks.now();
        let due = self.certificates.poll_timeout(now);
        let due = due.map_or(now.mono + LOOK, |due| due.min(now.mono + LOOK));
        self.clocks.instant(due.max(now.mono + LEAST))
    }
}

/// The most time between two looks at the certificates: timers stand still while the machine sleeps.
const LOOK: Duration = Duration::from_secs(10);

/// The least time between two looks at the certificates.
const LEAST: Duration = Duration::from_millis(10);

/// Sends what is left of `reports`, over a connection of its own.
pub(super) async fn tell_the_last(
    reports: &mut Reports,
    keyring: &Keyring,
    own: &SpiffeId,
    address: &str,
) -> Result<(), String> {
    let (line, _, run) = open_line(keyring, own, address).await?;
    let _run = EndWith(run);
    reports
        .finish(async |message| report(&line, &message).await)
        .await;
    Ok(())
}

/// Sends one report.
async fn report(line: &Line, message: &[u8]) -> Result<Taken, NotTaken> {
    let answer = line.ask(call::REPORT, message).await;
    let answer = answer.map_err(|status| match status.code == StatusCode::InvalidArgument {
        true => NotTaken::Never(status.message),
        false => NotTaken::Yet,
    })?;
    Taken::decode(&answer).map_err(|_| NotTaken::Yet)
}

/// What happens next to the reports, if there are any; pending otherwise.
async fn next_of(reports: &mut Option<Reports>) -> Option<Told> {
    match reports {
        Some(reports) => reports.turn().await,
        None => std::future::pending().await,
    }
}

/// A task that ends with whoever holds this.
#[derive(Debug)]
pub(super) struct EndWith(pub(super) JoinHandle<()>);

impl Drop for EndWith {
    fn drop(&mut self) {
        self.0.abort();
    }
}
