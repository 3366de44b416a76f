//! Ending: of a workload by itself, of one that is started again, of all of them.

use std::time::Duration;

use leno_host::{Event, Exit};
use leno_model::view::WorkloadId;
use rustix::process::Signal;
use tokio::sync::mpsc;

use super::member::{Starter, Then};
use super::{Happened, Program, Reporting, Up};
use crate::up::called;
use crate::up::news::{Ended, State};
use crate::up::process::Order;

/// How long workloads have to end by themselves after they were asked to.
const GRACE: Duration = Duration::from_secs(1);

impl Up {
    pub(super) fn handle_ended(
        &mut self,
        id: &WorkloadId,
        run: u32,
        event: &Event,
        last_line: String,
    ) -> anyhow::Result<()> {
        let now = self.clocks.now().mono;
        let Some(member) = self.current(id, run) else {
            return Ok(());
        };
        let how = match event {
            Event::NotStarted { errno } => Ended::NotStarted(*errno),
            Event::Exited(exit) => Ended::Exit(*exit),
            _ => Ended::Exit(Exit::Lost),
        };
        member.state = State::Ended {
            after: now.since(member.began),
            how,
            last_line,
        };
        member.inside = false;
        member.pid = None;
        member.orders = None;
        member.supply = None;
        member.listening.clear();
        let then = std::mem::replace(&mut member.then, Then::Stay);
        self.proxy.leave(id)?;
        self.update()?;
        match then {
            Then::Stay => self.tell_change(id),
            Then::Start(program) => self.start(program),
            Then::Leave => drop(self.members.remove(id)),
        }
        Ok(())
    }

    /// Ends a workload of ours and starts it again.
    pub(super) fn restart(&mut self, id: &WorkloadId) -> Result<(), String> {
        let name = called(id);
        let member = self.members.get_mut(id);
        let member = member.ok_or_else(|| format!("there is no workload {name}"))?;
        let Starter::Us(program) = &member.starter else {
            return Err(format!(
                "{name} was started by leno run, and not by leno up"
            ));
        };
        let program = program.clone();
        self.replace(id, program);
        Ok(())
    }

    /// Ends a workload and starts `program` in its place.
    pub(super) fn replace(&mut self, id: &WorkloadId, program: Program) {
        let Some(member) = self.members.get_mut(id) else {
            return;
        };
        member.state = State::Starting;
        match &member.orders {
            Some(orders) => {
                tokio::task::spawn_local(end_gently(orders.clone()));
                member.then = Then::Start(program);
            }
            None => self.start(program),
        }
    }

    /// Ends a workload, which is none of the mesh any more after that.
    pub(super) fn remove(&mut self, id: &WorkloadId) -> anyhow::Result<()> {
        let Some(member) = self.members.get_mut(id) else {
            return Ok(());
        };
        if let Some(orders) = &member.orders {
            tokio::task::spawn_local(end_gently(orders.clone()));
            member.then = Then::Leave;
            return Ok(());
        }
        // Its enclosure is open where the program was about to start in it.
        let inside = member.inside;
        self.members.remove(id);
        if inside {
            self.proxy.leave(id)?;
            self.update()?;
        }
        Ok(())
    }

    /// Asks every workload to end, waits a little, and ends whatever is left. The last calls are
    /// reported.
    pub(super) async fn end(mut self, reporting: Reporting) {
        let order = |up: &Self, order: Order| {
            let running = up.members.values();
            for orders in running.filter_map(|member| member.orders.as_ref()) {
                // One that has ended meanwhile needs no order.
                orders.send(order).ok();
            }
        };
        order(&self, Order::Signal(TERMINATE));
        let ended = async {
            while self.members.values().any(|member| member.orders.is_some()) {
                match self.happened.recv().await {
                    Some(Happened::Ended(id, run, ..)) => {
                        if let Some(member) = self.current(&id, run) {
                            member.orders = None;
                        }
                    }
                    Some(_) => {}
                    None => return,
                }
            }
        };
        drop(tokio::time::timeout(GRACE, ended).await);
        order(&self, Order::End);
        self.control.abort();
        // It was told to end.
        drop((&mut self.control).await);
        self.proxy.drain();
        let proxy = self.proxy;
        // What a worker still has to say is of no use to anybody.
        drop(tokio::task::spawn_blocking(move || proxy.join()).await);
        reporting.end().await;
    }
}

/// Asks a workload to end, and ends it if it does not.
async fn end_gently(orders: mpsc::UnboundedSender<Order>) {
    // One that has ended meanwhile needs no order.
    orders.send(Order::Signal(TERMINATE)).ok();
    tokio::select! {
        () = orders.closed() => {}
        () = tokio::time::sleep(GRACE) => {
            orders.send(Order::End).ok();
        }
    }
}

#[expect(
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    reason = "the number of a signal is small"
)]
const TERMINATE: u8 = Signal::TERM.as_raw() as u8;
