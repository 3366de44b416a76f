//! Where the CPU time of our proxies goes: perf looks at them a thousand times a second while they are
//! kept busy, and tells in which functions it found them.

use std::{error::Error, net::SocketAddr, path::Path, time::Duration};

use crate::bench::{
    Measured, Options,
    call::SMALL,
    rate, relay,
    report::{Figures, Table},
    setting::Setting,
};
use crate::rig::{
    contestant::Contestant,
    course::{Course, Spoken, Way},
    process::{Core, said},
};

/// Looks at our proxies while they do what they are measured by.
pub(super) fn measure(setting: &Setting, options: &Options) -> Measured {
    let mut table = Table::new(&["", "% of the samples", "in"]);
    let leno = setting.lenos().next().ok_or("leno takes part")?;
    let own = leno.program().file_name().and_then(|name| name.to_str());
    let own = own.ok_or("leno is a file")?;
    for (what, course, work) in WORK {
        let proxies = leno.start(setting.folder(), course, Core::Proxy, 0)?;
        let report = look(setting, &proxies, options.seconds, work)?;
        let samples: Vec<_> = report.lines().filter_map(read).collect();
        let mut line = |share: f64, place: &str| {
            table.line(&[(*what).to_owned(), format!("{share:.1}"), place.to_owned()]);
        };
        for (place, dso) in [
            ("the kernel", "[kernel.kallsyms]"),
            ("libc", "libc.so.6"),
            ("leno", own),
        ] {
            let shares = samples.iter().filter(|sample| sample.dso == dso);
            let all = shares.map(|sample| sample.share).sum();
            line(all, &format!("all of {place}"));
        }
        for sample in samples.iter().take(SHOWN) {
            line(sample.share, &format!("`{}`", sample.symbol));
        }
    }
    Ok(Figures {
        rows: Vec::new(),
        table,
        plots: Vec::new(),
    })
}

/// What gives the proxies work for so many seconds.
type Work = fn(&Setting, SocketAddr, u32) -> Result<(), Box<dyn Error>>;

const WORK: &[(&str, &Course, Work)] = &[
    ("plain hop", &Course::new(Spoken::Http1, Way::Hop), saturate),
    (
        "pair",
        &Course::new(Spoken::Http1, Way::Pair(Spoken::Http2)),
        saturate,
    ),
    (
        "pair, 1,000/s",
        &Course::new(Spoken::Http1, Way::Pair(Spoken::Http1)),
        |_, at, seconds| rate::pace(seconds).calls(at).map(drop),
    ),
    (
        "TCP pair",
        &Course::new(Spoken::Tcp, Way::Pair(Spoken::Tcp)),
        |_, at, seconds| relay::fetch(at, Duration::from_secs(seconds.into())).map(drop),
    ),
];

fn saturate(setting: &Setting, at: SocketAddr, seconds: u32) -> Result<(), Box<dyn Error>> {
    SMALL.calls(setting.folder(), at, seconds).map(drop)
}

/// Gives the proxies work for so many seconds, and tells what perf saw meanwhile.
fn look(
    setting: &Setting,
    proxies: &Contestant,
    seconds: u32,
    work: &Work,
) -> Result<String, Box<dyn Error>> {
    work(setting, proxies.address, 1)?;
    let ids = proxies.proxies.iter().map(|proxy| proxy.id().to_string());
    let ids: Vec<_> = ids.collect();
    let mut record = Core::Other.command(Path::new("perf"));
    let record = record
        .args(["record", "--quiet", "--event", "cpu-clock", "--freq", "999"])
        .args(["--output", "perf.data", "--pid", &ids.join(",")])
        .args(["--", "sleep", &seconds.to_string()]);
    let mut record = record.current_dir(setting.folder()).spawn()?;
    work(setting, proxies.address, seconds + 1)?;
    record.wait()?;
    let mut report = Core::Other.command(Path::new("perf"));
    let report = report
        .args(["report", "--input", "perf.data", "--stdio", "--quiet"])
        .args(["--fields", "overhead,dso,symbol"]);
    said(report.current_dir(setting.folder()))
}

/// A function in which perf found a proxy.
#[derive(Clone, PartialEq, Debug)]
struct Sample<'a> {
    /// In how many of a hundred samples.
    share: f64,
    /// The file that it is of.
    dso: &'a str,
    symbol: &'a str,
}

/// Reads what perf says: `    12.34%  leno  [.] carry`.
fn read(line: &str) -> Option<Sample<'_>> {
    let (share, rest) = line.trim().split_once('%')?;
    let (dso, rest) = rest.trim_start().split_once(' ')?;
    let (_, symbol) = rest.split_once("] ")?;
    Some(Sample {
        share: share.parse().ok()?,
        dso,
        symbol,
    })
}

/// How many functions are shown of each.
const SHOWN: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read() {
        let sample = read("    12.34%  leno               [.] carry::<Stream>   ").unwrap();
        assert_eq!((sample.share, sample.dso), (12.34, "leno"));
        assert_eq!(sample.symbol, "carry::<Stream>");
        assert_eq!(read("# Overhead  Shared Object"), None);
    }
}
