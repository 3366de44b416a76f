//! Whether two workers carry twice as much as one. Both cores belong to the proxy, and client and
//! origin have to share one of them: calls per second would tell of these. What a worker takes from
//! another shows in the CPU time of a call: locks, cache lines that wander, work done twice.

use std::error::Error;

use crate::bench::{
    Measured, Options,
    call::SMALL,
    report::{Figures, Row},
    setting::Setting,
    turns::{Column, Turns},
};
use crate::rig::{
    contestant::Contestant,
    course::{Course, Spoken, Way},
    make::Make,
    process::Core,
};

/// The plain hop by one worker and by two.
pub(super) fn measure(setting: &Setting, options: &Options) -> Measured {
    let makes: Vec<_> = setting
        .lenos()
        .take(1)
        .chain([Make::HaProxy, setting.envoy()])
        .collect();
    let mut contestants = Vec::new();
    for make in &makes {
        for workers in [1, 2] {
            let course = Course {
                workers,
                ..Course::new(Spoken::Http1, Way::Hop)
            };
            let seat = contestants.len();
            let started = make.start(setting.folder(), &course, Core::Both, seat)?;
            contestants.push(Contestant {
                name: name(make, workers),
                ..started
            });
        }
    }
    let turns = Turns::take(COLUMNS, &contestants, options.rounds, |contestant| {
        let before = cpu_by_thread(contestant)?;
        let calls = SMALL.calls(setting.folder(), contestant.address, options.seconds)?;
        let used = cpu_by_thread(contestant)?
            .into_iter()
            .zip(before)
            .map(|(after, before)| after - before);
        let used: Vec<_> = used.collect();
        let all: f64 = used.iter().sum();
        let busiest = used.iter().copied().fold(0.0, f64::max);
        Ok([all * 1e6 / calls as f64, busiest / all * 100.0])
    })?;
    let times = makes.first().and_then(|leno| {
        let times = turns.ratio(&name(leno, 1), 0, &name(leno, 2))?;
        Some(times.scaled(2.0))
    });
    let row = times.map(|times| Row {
        what: "calls per second of CPU: two workers, each with a core, over one",
        target: "at least 1.8 x".to_owned(),
        measured: format!("{times:.2} x"),
        reached: times.median() >= 1.8,
    });
    Ok(Figures {
        rows: row.into_iter().collect(),
        table: turns.table(&makes.first().map_or_else(String::new, |leno| name(leno, 1))),
        plots: Vec::new(),
    })
}

fn name(make: &Make, workers: usize) -> String {
    let s = if workers == 1 { "" } else { "s" };
    format!("{}, {workers} worker{s}", make.name())
}

/// Seconds of CPU that each thread has used.
fn cpu_by_thread(contestant: &Contestant) -> Result<Vec<f64>, Box<dyn Error>> {
    let proxy = contestant.proxies.first();
    let times = proxy.ok_or("a contestant has a proxy")?.cpu_by_thread()?;
    Ok(times.iter().map(|time| time.as_secs_f64()).collect())
}

const COLUMNS: &[Column; 2] = &[
    Column {
        what: "µs of CPU per request",
        digits: 1,
    },
    Column {
        what: "% of it by the busiest thread",
        digits: 0,
    },
];
