//! Tells the control plane what is wrong and no call tells, on a call that this proxy holds open.

use leno_channel::grpc::{Line, Status};
use leno_model::Code;
use leno_model::view::WorkloadId;
use leno_telemetry::Telemetry;
use leno_telemetry::capture::{Captured, Tried};
use leno_telemetry::export::{News, Trouble};
use leno_telemetry::obstacles::{self, HOST};
use leno_telemetry::processes::{Known, Told};
use leno_wire::call;
use leno_wire::troubles::{self, Troubles};
use tokio::sync::watch;

use crate::follow::time::Wrong;

/// Tells what is wrong with the host's clocks, and what `telemetry` knows to be in a node's way, wrong with the capture, with pods'
/// processes and with what is sent to a collector, and each change of it, for as long as the connection lasts; an older control plane hears
/// none of it.
pub(super) async fn tell(line: Line, telemetry: Option<Telemetry>, clocks: watch::Receiver<Wrong>) {
    // Why it ended is told by the connection that ends with it.
    drop(tell_each(&line, telemetry.as_ref(), clocks).await);
}

async fn tell_each(
    line: &Line,
    telemetry: Option<&Telemetry>,
    mut clocks: watch::Receiver<Wrong>,
) -> Result<(), Status> {
    let mut news = telemetry.map(|telemetry| telemetry.export().news());
    let nothing = watch::Sender::default();
    let mut captures = match telemetry {
        Some(telemetry) => telemetry.capture().known(),
        None => nothing.subscribe(),
    };
    let none = watch::Sender::default();
    let mut processes = match telemetry {
        Some(telemetry) => telemetry.processes().known(),
        None => none.subscribe(),
    };
    let unhindered = watch::Sender::default();
    let mut obstacles = match telemetry {
        Some(telemetry) => telemetry.obstacles().known(),
        None => unhindered.subscribe(),
    };
    let (mut sender, mut incoming) = line.call(call::TROUBLES).await?;
    incoming.begun().await?;
    clocks.mark_changed();
    let mut not_sent = Vec::new();
    loop {
        tokio::select! {
            told = next_of(&mut news) => not_sent = told,
            Ok(()) = clocks.changed() => {}
            Ok(()) = captures.changed() => {}
            Ok(()) = processes.changed() => {}
            Ok(()) = obstacles.changed() => {}
        }
        let of_clocks: Vec<_> = clocks.borrow_and_update().troubles().collect();
        let lost: Vec<_> = captures
            .borrow_and_update()
            .iter()
            .flat_map(|(workload, captured)| of_capture(workload, captured))
            .collect();
        let ended = of_processes(&processes.borrow_and_update());
        let (of_host, of_pods) = of_obstacles(&obstacles.borrow_and_update());
        let wrong = of_clocks.into_iter().chain(of_host).chain(lost);
        let wrong = wrong.chain(of_pods).chain(ended);
        let wrong = wrong.chain(not_sent.iter().cloned().map(worded));
        let wrong = Troubles(wrong.take(Troubles::MOST).collect());
        sender.send(&wrong.encode()).await?;
    }
}

/// What a collector does not get, if there is anybody who sends to one; pending otherwise.
async fn next_of(news: &mut Option<News>) -> Vec<Trouble> {
    match news {
        Some(news) => news.next().await,
        None => std::future::pending().await,
    }
}

/// What is wrong with the capture of a workload, and what lately was.
fn of_capture(
    workload: &WorkloadId,
    captured: &Captured,
) -> impl Iterator<Item = troubles::Trouble> {
    let trouble = |code, why: &String, since| troubles::Trouble {
        code,
        about: workload.to_string().into(),
        why: bounded(why.clone()),
        since,
    };
    let lost = match &captured.tried {
        Tried::Lost { why, since } => Some(trouble(Code::H007, why, *since)),
        Tried::NotYet | Tried::Proven => None,
    };
    let repaired = captured.repaired.as_ref();
    let repaired = repaired.map(|repaired| trouble(Code::H019, &repaired.what, repaired.at));
    lost.into_iter().chain(repaired)
}

/// What is wrong with the processes of pods, and what lately was.
fn of_processes(known: &Known) -> Vec<troubles::Trouble> {
    let trouble = |code, about: String, told: &Told| troubles::Trouble {
        code,
        about: about.into(),
        why: bounded(told.why.clone()),
        since: told.at,
    };
    let unbounded = known.unbounded.iter();
    let unbounded = unbounded.map(|told| trouble(Code::H025, "host".to_owned(), told));
    let ended = known.each.iter().filter_map(|(workload, process)| {
        let told = process.ended.as_ref()?;
        Some(trouble(Code::H024, workload.to_string(), told))
    });
    unbounded.chain(ended).collect()
}

/// What is in the way at a node as a whole, and at its pods: many of these are not to hide the others.
fn of_obstacles(known: &obstacles::Known) -> (Vec<troubles::Trouble>, Vec<troubles::Trouble>) {
    let each = known.iter().map(|((code, about), told)| troubles::Trouble {
        code: *code,
        about: about.clone(),
        why: bounded(told.why.clone()),
        since: told.at,
    });
    each.partition(|trouble| *trouble.about == *HOST)
}

fn worded(trouble: Trouble) -> troubles::Trouble {
    let Trouble {
        code,
        endpoint,
        why,
        since,
    } = trouble;
    troubles::Trouble {
        code,
        about: endpoint,
        why: bounded(why),
        since,
    }
}

fn bounded(mut why: String) -> String {
    why.truncate(why.floor_char_boundary(Troubles::LONGEST_TEXT));
    why
}
