//! How long it takes until all is well again after `kill -9`, while calls go on.

use std::{
    error::Error,
    io::ErrorKind,
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::bench::{
    Measured, Options,
    client::ask,
    fleet::{self, Fleet, Version},
    report::{Figures, Row, Table, millis},
    series::Series,
    setting::Setting,
};
use crate::rig::process::{now, pause};

/// Kills a proxy and a control plane in turns.
pub(super) fn measure(setting: &Setting, options: &Options) -> Measured {
    let mut fleet = Fleet::start(setting, "recovery", 1)?;
    let (mut proxy, mut control) = (Killed::default(), Killed::default());
    for round in 1..=options.rounds {
        proxy.add(kill_proxy(&mut fleet)?);
        control.add(kill_control(&mut fleet, Version::after(round))?);
    }
    let mut table = Table::new(&[
        "killed",
        "well again after, ms",
        "calls",
        "not answered",
        "answered wrongly",
    ]);
    let mut rows = Vec::new();
    for (name, what, killed) in [
        (
            "a proxy",
            "recovery after `kill -9` of a proxy under load",
            &proxy,
        ),
        (
            "the control plane",
            "recovery after `kill -9` of the control plane under load",
            &control,
        ),
    ] {
        let Killed {
            times,
            calls,
            not_answered,
            wrong,
        } = killed;
        table.line(&[
            name.to_owned(),
            format!("{times:.0}"),
            calls.to_string(),
            not_answered.to_string(),
            wrong.to_string(),
        ]);
        rows.push(Row {
            what,
            target: "aim 2 s".to_owned(),
            measured: format!("{times:.0} ms"),
            reached: times.median() < 2000.0,
        });
    }
    Ok(Figures {
        rows,
        table,
        plots: Vec::new(),
    })
}

/// What came of killing one process again and again.
#[derive(Default)]
struct Killed {
    /// How long it took until all was well, in milliseconds.
    times: Series,
    calls: usize,
    not_answered: usize,
    wrong: usize,
}

impl Killed {
    fn add(&mut self, (took, calls): (Duration, Vec<Call>)) {
        println!("well again after {took:.0?}, {} calls", calls.len());
        self.times.push(millis(took));
        self.calls += calls.len();
        let count = |outcome| calls.iter().filter(|call| call.outcome == outcome).count();
        self.not_answered += count(Outcome::NotAnswered);
        self.wrong += count(Outcome::Wrong);
    }
}

/// Until each client has been answered again.
fn kill_proxy(fleet: &mut Fleet) -> Result<(Duration, Vec<Call>), Box<dyn Error>> {
    let load = Load::on(fleet::address(0));
    pause(BEFORE);
    let killed = now();
    if let Some(proxy) = fleet.proxies.first_mut() {
        proxy.kill()?;
    }
    fleet.restart_proxy(0)?;
    pause(AFTER);
    let clients = load.stop();
    let mut last = killed;
    for calls in &clients {
        let well = calls
            .iter()
            .find(|call| call.outcome == Outcome::Answered && call.begun > killed);
        last = last.max(well.ok_or("a client was not answered again")?.ended);
    }
    Ok((last - killed, clients.into_iter().flatten().collect()))
}

/// Until a change that is asked for again and again is in force.
fn kill_control(
    fleet: &mut Fleet,
    version: Version,
) -> Result<(Duration, Vec<Call>), Box<dyn Error>> {
    let load = Load::on(fleet::address(0));
    pause(BEFORE);
    let killed = now();
    fleet.kill_control()?;
    fleet.restart_control()?;
    while fleet.weigh(version).is_err() {
        if killed.elapsed() > AFTER * 10 {
            return Err("the control plane takes no change".into());
        }
    }
    let mut client = TcpStream::connect(fleet::address(0))?;
    while ask(&mut client)? != version.answer() {
        pause(STEP);
    }
    let took = killed.elapsed();
    Ok((took, load.stop().into_iter().flatten().collect()))
}

/// Clients that call without a pause, each over one connection for as long as it holds.
struct Load {
    over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Vec<Call>>>,
}

/// One call of a client.
#[derive(Clone, Copy)]
struct Call {
    begun: Instant,
    ended: Instant,
    outcome: Outcome,
}

/// What came of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Answered,
    /// Nobody listens, or the connection is cut.
    NotAnswered,
    Wrong,
}

impl Load {
    fn on(address: SocketAddr) -> Self {
        let over = Arc::<AtomicBool>::default();
        let client = |_| {
            let over = Arc::clone(&over);
            thread::spawn(move || call_until(&over, address))
        };
        Self {
            clients: (0..CLIENTS).map(client).collect(),
            over,
        }
    }

    /// The calls of each client.
    fn stop(self) -> Vec<Vec<Call>> {
        self.over.store(true, Ordering::Relaxed);
        let ended = self.clients.into_iter().map(JoinHandle::join);
        ended
            .map(|calls| calls.expect("a client does not panic"))
            .collect()
    }
}

fn call_until(over: &AtomicBool, address: SocketAddr) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut connection = None;
    while !over.load(Ordering::Relaxed) {
        let begun = now();
        let mut to = match connection.take() {
            Some(open) => Ok(open),
            None => TcpStream::connect(address),
        };
        let outcome = to.as_mut().map_or(Outcome::NotAnswered, call);
        calls.push(Call {
            begun,
            ended: now(),
            outcome,
        });
        match outcome {
            Outcome::Answered => connection = to.ok(),
            Outcome::NotAnswered | Outcome::Wrong => pause(STEP),
        }
    }
    calls
}

fn call(to: &mut TcpStream) -> Outcome {
    let versions = [Version::One, Version::Two].map(Version::answer);
    match ask(to) {
        Ok(answer) if versions.contains(&answer.as_str()) => Outcome::Answered,
        // An answer that came whole, and is none of a version.
        Err(error) if error.kind() != ErrorKind::Other => Outcome::NotAnswered,
        Ok(_) | Err(_) => Outcome::Wrong,
    }
}

const CLIENTS: usize = 8;

/// How long calls go on before something is killed, and after it.
const BEFORE: Duration = Duration::from_millis(300);
const AFTER: Duration = Duration::from_secs(3);

/// How long a client rests that was not answered.
const STEP: Duration = Duration::from_millis(1);
