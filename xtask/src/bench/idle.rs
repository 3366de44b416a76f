//! What a proxy holds and uses while nothing happens, what an idle connection costs it, and what one
//! costs a pair that goes through its tunnel.

use std::{error::Error, net::TcpStream, time::Duration};

use crate::bench::{
    Measured, Options,
    client::{ask, connect},
    report::{Figures, Row, Table, kilobytes, megabytes, millis},
    setting::Setting,
};
use crate::rig::{
    contestant::Contestant,
    course::{Course, Spoken, Way},
    make::Make,
    namespace,
    process::{Core, Memory, Running, pause},
};

/// Measures the first proxies of pairs: they have keys, certificates and a policy.
pub(super) fn measure(setting: &Setting, _options: &Options) -> Measured {
    let peers = [Make::HaProxy, setting.envoy()];
    for make in setting.lenos().chain(peers.iter().cloned()) {
        Setting::forget_program(make.program())?;
    }
    let course = Course::new(Spoken::Http1, Way::Pair(Spoken::Http2));
    let contestants = setting.start(&course, Core::Proxy, &peers)?;
    let mut all = rest(&contestants)?;
    // Half of its files are what a proxy gives to clients.
    let count = CONNECTIONS.min(namespace::files() as usize / 2 - SPARE);
    for (contestant, idle) in contestants.iter().zip(&mut all) {
        let _connections = open(contestant, count, |so_far| {
            if so_far == 1 {
                idle.before = first(contestant)?.memory()?.private;
            }
            Ok(())
        })?;
        let proxy = first(contestant)?;
        pause(SETTLE);
        idle.crowded = proxy.memory()?;
        idle.connections = count;
        idle.crowded_cpu = cpu_at_rest(&[proxy])?.into_iter().sum();
    }
    drop(contestants);
    let course = Course::new(Spoken::Tcp, Way::Pair(Spoken::Tcp));
    let contestants = setting.start(&course, Core::Proxy, &peers)?;
    for (contestant, idle) in contestants.iter().zip(&mut all) {
        let mut before = 0;
        let _connections = open(contestant, TUNNELLED, |so_far| {
            if so_far == 1 {
                before = contestant.private()?;
            }
            Ok(())
        })?;
        pause(SETTLE);
        let grown = contestant.private()?.saturating_sub(before);
        idle.tunnelled = grown as f64 / TUNNELLED as f64;
    }
    Ok(figures(&all))
}

/// What one contestant costs while it is idle; the figures are of its first process, those of a
/// tunnelled connection of both.
struct Idle {
    /// Who.
    name: String,
    /// Memory after its start.
    memory: Memory,
    /// CPU time in [`REST`], after its start.
    cpu: Duration,
    /// Private memory when it has served one call.
    before: u64,
    /// How many connections were opened then, each for one call.
    connections: usize,
    /// Memory with all of them.
    crowded: Memory,
    /// CPU time in [`REST`] with all of them open.
    crowded_cpu: Duration,
    /// Bytes of private memory for one connection that is carried and not read.
    tunnelled: f64,
}

impl Idle {
    /// Bytes of private memory for one connection.
    fn connection(&self) -> f64 {
        self.crowded.private.saturating_sub(self.before) as f64 / self.connections as f64
    }

    fn rows(&self) -> [Row; 6] {
        let row = |what, target: &str, measured, reached| Row {
            what,
            target: target.to_owned(),
            measured,
            reached,
        };
        let (resident, crowded) = (self.memory.resident, self.crowded.resident);
        let (cpu, connection) = (millis(self.cpu), self.connection());
        [
            row(
                "idle proxy, memory (RSS)",
                "at most 8 MB",
                megabytes(resident),
                resident <= 8_000_000,
            ),
            row(
                "idle proxy, CPU",
                "not measurable (under 1 ms in 10 s)",
                format!("{cpu:.2} ms in 10 s"),
                cpu < 1.0,
            ),
            row(
                "10,000 idle connections, memory (RSS)",
                "at most 30 MB",
                format!("{} with {}", megabytes(crowded), self.connections),
                crowded <= 30_000_000,
            ),
            row(
                "idle keep-alive connection, memory",
                "at most 4 kB",
                kilobytes(connection),
                connection <= 4096.0,
            ),
            row(
                "idle tunnelled connection, memory of both proxies",
                "is told",
                kilobytes(self.tunnelled),
                true,
            ),
            row(
                "CPU of a proxy with so many idle connections",
                "is told",
                format!("{:.2} ms in 10 s", millis(self.crowded_cpu)),
                true,
            ),
        ]
    }
}

fn figures(all: &[Idle]) -> Figures {
    let mut table = Table::new(&[
        "",
        "RSS after the start",
        "PSS",
        "private",
        "CPU in 10 s",
        "idle connections",
        "RSS with them",
        "private for each",
        "CPU in 10 s with them",
        "private of a pair for each tunnelled connection",
    ]);
    for idle in all {
        table.line(&[
            idle.name.clone(),
            megabytes(idle.memory.resident),
            megabytes(idle.memory.proportional),
            megabytes(idle.memory.private),
            format!("{:.2} ms", millis(idle.cpu)),
            idle.connections.to_string(),
            megabytes(idle.crowded.resident),
            kilobytes(idle.connection()),
            format!("{:.2} ms", millis(idle.crowded_cpu)),
            kilobytes(idle.tunnelled),
        ]);
    }
    Figures {
        rows: all.first().map(Idle::rows).into_iter().flatten().collect(),
        table,
        plots: Vec::new(),
    }
}

/// Lets all rest, and says what each used and held.
fn rest(contestants: &[Contestant]) -> Result<Vec<Idle>, Box<dyn Error>> {
    pause(SETTLE);
    let proxies = contestants
        .iter()
        .map(first)
        .collect::<Result<Vec<_>, _>>()?;
    let memories = proxies.iter().map(|proxy| proxy.memory());
    let memories = memories.collect::<Result<Vec<_>, _>>()?;
    let idle = contestants.iter().zip(memories).zip(cpu_at_rest(&proxies)?);
    let idle = idle.map(|((contestant, memory), cpu)| Idle {
        name: contestant.name.clone(),
        memory,
        cpu,
        before: 0,
        connections: 0,
        crowded: memory,
        crowded_cpu: Duration::ZERO,
        tunnelled: 0.0,
    });
    Ok(idle.collect())
}

/// The CPU time that each uses in [`REST`].
fn cpu_at_rest(proxies: &[&Running]) -> Result<Vec<Duration>, Box<dyn Error>> {
    let before = proxies.iter().map(|proxy| proxy.cpu());
    let before = before.collect::<Result<Vec<_>, _>>()?;
    pause(REST);
    let used = proxies
        .iter()
        .zip(before)
        .map(|(proxy, before)| Ok(proxy.cpu()? - before));
    used.collect()
}

/// Opens connections that are served one call each; `look` is told how many there are.
fn open(
    contestant: &Contestant,
    count: usize,
    mut look: impl FnMut(usize) -> Result<(), Box<dyn Error>>,
) -> Result<Vec<TcpStream>, Box<dyn Error>> {
    let mut connections = Vec::with_capacity(count);
    for _ in 0..count {
        let mut connection = connect(contestant.address)?;
        ask(&mut connection)?;
        connections.push(connection);
        look(connections.len())?;
    }
    Ok(connections)
}

fn first(contestant: &Contestant) -> Result<&Running, Box<dyn Error>> {
    let first = contestant.proxies.first();
    Ok(first.ok_or("a contestant has a proxy")?)
}

/// How many connections lie idle, if files allow it.
const CONNECTIONS: usize = 10_000;

/// How many files a proxy opens beside those of clients, at most.
const SPARE: usize = 200;

/// How many connections lie idle in tunnels.
const TUNNELLED: usize = 1000;

/// How long idleness is watched.
const REST: Duration = Duration::from_secs(10);

/// How long it takes until what has begun is done.
const SETTLE: Duration = Duration::from_secs(1);
