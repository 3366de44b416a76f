//! What a proxy holds and uses while nothing happens, and what an idle connection costs it.

use std::{net::TcpStream, time::Duration};

use crate::bench::{
    contestant::Contestant,
    process::{ask, pause},
    setting::Setting,
};

/// What one contestant costs while it is idle; the figures are of its first process.
pub(super) struct Idle {
    /// Who.
    pub(super) name: String,
    /// Memory after its start, in bytes.
    pub(super) resident: u64,
    /// CPU time in [`REST`], after its start.
    pub(super) cpu: Duration,
    /// Bytes of memory per connection that has served one request.
    pub(super) connection: f64,
    /// CPU time in [`REST`] with all the connections open.
    pub(super) cpu_with_connections: Duration,
}

/// Measures the first proxies of pairs: they have keys, certificates and a policy.
pub(super) fn measure(setting: &Setting) -> Result<Vec<Idle>, Box<dyn std::error::Error>> {
    setting.pair()?.iter().map(measure_one).collect()
}

fn measure_one(contestant: &Contestant) -> Result<Idle, Box<dyn std::error::Error>> {
    let proxy = contestant
        .proxies
        .first()
        .ok_or("a contestant has a proxy")?;
    pause(SETTLE);
    let resident = proxy.resident()?;
    let cpu = rest(contestant)?;
    let mut first = TcpStream::connect(contestant.address)?;
    ask(&mut first)?;
    pause(SETTLE);
    let before = proxy.private_dirty()?;
    let mut connections = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let mut connection = TcpStream::connect(contestant.address)?;
        ask(&mut connection)?;
        connections.push(connection);
    }
    pause(SETTLE);
    let grown = proxy.private_dirty()?.saturating_sub(before);
    let cpu_with_connections = rest(contestant)?;
    Ok(Idle {
        name: contestant.name.clone(),
        resident,
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
pub(super) const CONNECTIONS: usize = 1000;

/// How long idleness is watched.
pub(super) const REST: Duration = Duration::from_secs(10);

/// How long it takes until what has begun is done.
const SETTLE: Duration = Duration::from_secs(1);
