//! A pair that has little to do: most calls find it asleep, which is where a proxy beside an application
//! spends its days.

use crate::bench::{
    Measured, Options,
    client::Pace,
    report::Figures,
    setting::{LENO, Setting},
    turns::{Aim, Column, Turns},
};
use crate::rig::{
    contestant::Contestant,
    course::{Course, Spoken, Way},
    make::{HAPROXY, Make},
    process::{Core, local},
};

/// CPU and latency of calls that come when they come.
pub(super) fn measure(setting: &Setting, options: &Options) -> Measured {
    let course = Course::new(Spoken::Http1, Way::Pair(Spoken::Http1));
    let peers = [Make::HaProxy, setting.envoy()];
    let mut contestants = setting.start(&course, Core::Proxy, &peers)?;
    contestants.push(Contestant {
        name: "no proxy".to_owned(),
        address: local(8080),
        proxies: Vec::new(),
    });
    let pace = pace(options.seconds);
    let turns = Turns::take(COLUMNS, &contestants, options.rounds, |contestant| {
        let before = contestant.cpu()?;
        let latencies = pace.calls(contestant.address)?;
        let used = contestant.cpu()? - before;
        // Each connection has asked once before its time.
        let calls = latencies.count() + pace.connections;
        Ok([
            used.as_secs_f64() * 1e6 / calls as f64,
            latencies.micros(0.5),
            latencies.micros(0.99),
        ])
    })?;
    let aims = [
        Aim {
            what: "CPU per request, pair at 1,000 requests/s",
            column: 0,
            over: HAPROXY,
            most: 0.8,
        },
        Aim {
            what: "p99, pair at 1,000 requests/s",
            column: 2,
            over: HAPROXY,
            most: 1.0,
        },
    ];
    let plots = [turns.plot("bench-rate", 0), turns.plot("bench-rate-p99", 2)];
    Ok(Figures {
        rows: aims.iter().filter_map(|aim| turns.row(LENO, aim)).collect(),
        table: turns.table(HAPROXY),
        plots: plots.into_iter().flatten().collect(),
    })
}

/// 1,000 calls a second over 64 connections.
pub(super) fn pace(seconds: u32) -> Pace {
    Pace {
        rate: 1000,
        connections: 64,
        seconds,
    }
}

const COLUMNS: &[Column; 3] = &[
    Column {
        what: "µs of CPU per request",
        digits: 1,
    },
    Column {
        what: "p50, µs",
        digits: 0,
    },
    Column {
        what: "p99, µs",
        digits: 0,
    },
];
