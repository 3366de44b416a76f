//! What a proxy holds and uses while nothing happens, and what an idle connection costs it.

use std::{net::TcpStream, time::Duration};

use crate::bench::{
    Measured, Options,
    contestant::Contestant,
    process::{Memory, ask, pause},
    report::{Figures, Row, Table, kilobytes, megabytes, millis},
    setting::Setting,
};

/// Measures the first proxies of pairs: they have keys, certificates and a policy.
pub(super) fn measure(setting: &Setting, _options: &Options) -> Measured {
    setting.forget_programs()?;
    let pairs = setting.pair()?;
    let all: Vec<_> = pairs.iter().map(measure_one).collect::<Result<_, _>>()?;
    Ok(figures(&all))
}

fn figures(all: &[Idle]) -> Figures {
    let connection = format!("private memory per connection, of {CONNECTIONS}");
    let mut table = Table::new(&[
        "",
        "RSS after the start",
        "PSS",
        "private",
        "CPU in 10 s",
        &connection,
        "CPU in 10 s with them",
    ]);
    for idle in all {
        table.line(&[
            idle.name.clone(),
            megabytes(idle.memory.resident),
            megabytes(idle.memory.proportional),
            megabytes(idle.memory.private),
            format!("{:.2} ms", millis(idle.cpu)),
            kilobytes(idle.connection),
            format!("{:.2} ms", millis(idle.cpu_with_connections)),
        ]);
    }
    let rows = all.first().map(|leno| {
        [
            Row {
                what: "idle proxy, memory (RSS)",
                target: "at most 10 MB".to_owned(),
                measured: megabytes(leno.memory.resident),
                reached: leno.memory.resident <= 10_000_000,
            },
            Row {
                what: "idle proxy, CPU",
                target: "not measurable (under 1 ms in 10 s)".to_owned(),
                measured: format!("{:.2} ms in 10 s", millis(leno.cpu)),
                reached: millis(leno.cpu) < 1.0,
            },
            Row {
                what: "idle keep-alive connection, memory",
                target: "at most 4 kB".to_owned(),
                measured: kilobytes(leno.connection),
                reached: leno.connection <= 4096.0,
            },
        ]
    });
    Figures {
        rows: rows.into_iter().flatten().collect(),
        table,
    }
}

/// What one contestant costs while it is idle; the figures are of its first process.
struct Idle {
    /// Who.
    name: String,
    /// Memory after its start.
    memory: Memory,
    /// CPU time in [`REST`], after its start.
    cpu: Duration,
    /// Bytes of private memory per connection that has served one request.
    connection: f64,
    /// CPU time in [`REST`] with all the connections open.
    cpu_with_connections: Duration,
}

fn measure_one(contestant: &Contestant) -> Result<Idle, Box<dyn std::error::Error>> {
    let proxy = contestant
        .proxies
        .first()
        .ok_or("a contestant has a proxy")?;
    pause(SETTLE);
    let memory = proxy.memory()?;
    let cpu = rest(contestant)?;
    let mut first = TcpStream::connect(contestant.address)?;
    ask(&mut first)?;
    pause(SETTLE);
    let before = proxy.memory()?.private;
    let mut connections = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let mut connection = TcpStream::connect(contestant.address)?;
        ask(&mut connection)?;
        connections.push(connection);
    }
    pause(SETTLE);
    let grown = proxy.memory()?.private.saturating_sub(before);
    let cpu_with_connections = rest(contestant)?;
    Ok(Idle {
        name: contestant.name.clone(),
        memory,
        cpu,
        connection: grown as f64 / CONNECTIONS as f64,
        cpu_with_connections,
    })
}

fn rest(contestant: &Contestant) -> Result<Duration, Box<dyn std::error::Error>> {
    let proxy = contestant
        .proxies
        .first()
        .ok_or("a contestant has a proxy")?;
    let before = proxy.cpu()?;
    pause(REST);
    Ok(proxy.cpu()? - before)
}

/// How many connections lie idle.
const CONNECTIONS: usize = 1000;

/// How long idleness is watched.
const REST: Duration = Duration::from_secs(10);

/// How long it takes until what has begun is done.
const SETTLE: Duration = Duration::from_secs(1);
