//! Ending: of a workload by itself, of one that is started again, of all of them.

use std::io;
use std::time::Duration;

use leno_host::{Event, Exit};
use leno_model::Name;
use leno_model::view::WorkloadId;
use rustix::process::Signal;

use super::member::Starter;
use super::{Happened, Up};
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
            Event::NotStarted { errno } => {
                let why = io::Error::from_raw_os_error(*errno);
                Ended::NotStarted(why.to_string())
            }
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
        self.proxy.leave(id)?;
        self.update()?;
        self.tell_change(id);
        Ok(())
    }

    /// Ends a workload of ours and starts it again.
    pub(super) fn restart(&mut self, name: &Name) -> Result<(), String> {
        let id = WorkloadId {
            namespace: self.source.namespace(),
            name: name.clone(),
        };
        let member = self.members.get(&id);
        let member = member.ok_or_else(|| format!("there is no workload {name}"))?;
        let Starter::Us(program) = &member.starter else {
            return Err(format!(
                "{name} was started by leno run, and not by leno up"
            ));
        };
        let program = program.clone();
        // The enclosure ends when its orders end: with the member that holds their sender.
        self.proxy.leave(&id).map_err(|error| error.to_string())?;
        self.start(program);
        self.update().map_err(|error| format!("{error:#}"))
    }

    /// Asks every workload to end, waits a little, and ends whatever is left.
    pub(super) async fn end(mut self) {
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
        self.proxy.drain();
        let proxy = self.proxy;
        // What a worker still has to say is of no use to anybody.
        drop(tokio::task::spawn_blocking(move || proxy.join()).await);
    }
}

#[expect(
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    reason = "the number of a signal is small"
)]
const TERMINATE: u8 = Signal::TERM.as_raw() as u8;
