//! How many instructions of its own a proxy needs for a call, counted by callgrind: they repeat, whatever
//! else the machine does. What the kernel does for it is not among them.

use std::{error::Error, fs};

use crate::bench::{
    Measured, Options,
    client::{ask, connect},
    report::{Figures, Table},
    setting::Setting,
};
use crate::rig::{
    course::{Course, Spoken, Way},
    make::Make,
    process::Core,
};

/// Counts for a hop and for a pair.
pub(super) fn measure(setting: &Setting, _options: &Options) -> Measured {
    let ways = [
        ("plain hop", Way::Hop),
        ("mutual TLS pair", Way::Pair(Spoken::Http2)),
    ];
    let mut table = Table::new(&[
        "",
        "instructions per request",
        "of the first",
        "of the second",
    ]);
    for (what, way) in ways {
        for make in setting.lenos().chain([Make::HaProxy]) {
            let few = count(setting, &make, way, FEW)?;
            let many = count(setting, &make, way, MANY)?;
            let each = many.iter().zip(&few);
            let each = each.map(|(many, few)| many.saturating_sub(*few) / (MANY - FEW));
            let each: Vec<_> = each.collect();
            println!("{what}, {}: {each:?} instructions per request", make.name());
            let cell = |place: usize| each.get(place).map_or_else(String::new, u64::to_string);
            let all: u64 = each.iter().sum();
            let who = format!("{what}, {}", make.name());
            table.line(&[who, all.to_string(), cell(0), cell(1)]);
        }
    }
    Ok(Figures {
        rows: Vec::new(),
        table,
        plots: Vec::new(),
    })
}

/// How many instructions each proxy needs from its start to its end, with so many calls one after the
/// other in between.
fn count(setting: &Setting, make: &Make, way: Way, calls: u64) -> Result<Vec<u64>, Box<dyn Error>> {
    let course = Course {
        counted: true,
        ..Course::new(Spoken::Http1, way)
    };
    let contestant = make.start(setting.folder(), &course, Core::Both, 0)?;
    let mut connection = connect(contestant.address)?;
    for _ in 0..calls {
        ask(&mut connection)?;
    }
    drop(connection);
    let counts = contestant.proxies.into_iter().map(|proxy| {
        let log = fs::read_to_string(proxy.end()?)?;
        collected(&log).ok_or_else(|| format!("callgrind tells no count: {log}").into())
    });
    counts.collect()
}

/// Reads what callgrind says at its end: `==7== Collected : 8640000`.
fn collected(log: &str) -> Option<u64> {
    let (_, rest) = log.rsplit_once("Collected : ")?;
    let count = rest.lines().next()?;
    count.trim().parse().ok()
}

/// With how many calls is counted, and with how many more: the difference is theirs alone.
const FEW: u64 = 500;
const MANY: u64 = 1500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read() {
        let log = "==7== For interactive control\n==7== \n==7== Events    : Ir\n==7== Collected : 8640000\n";
        assert_eq!(collected(log), Some(8_640_000));
        assert_eq!(collected("killed"), None);
    }
}
