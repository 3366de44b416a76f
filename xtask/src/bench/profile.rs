//! Where the CPU time of our proxies goes: perf looks at them a thousand times a second while they are
//! kept busy, and tells in which functions it found them.

use std::{error::Error, path::Path};

use crate::bench::{
    Measured, Options,
    call::SMALL,
    report::{Figures, Table},
    setting::Setting,
};
use crate::rig::{
    contestant::Contestant,
    course::{Course, Spoken, Way},
    process::{Core, said},
};

/// Looks at a hop and at a pair.
pub(super) fn measure(setting: &Setting, options: &Options) -> Measured {
    let mut table = Table::new(&["", "% of the samples", "in"]);
    for (what, way) in [
        ("plain hop", Way::Hop),
        ("mutual TLS pair", Way::Pair(Spoken::Http2)),
    ] {
        let course = Course::new(Spoken::Http1, way);
        let leno = setting.lenos().next().ok_or("leno takes part")?;
        let proxies = leno.start(setting.folder(), &course, Core::Proxy, 0)?;
        let own = leno.program().file_name().and_then(|name| name.to_str());
        let own = own.ok_or("leno is a file")?;
        let report = look(setting, &proxies, options.seconds)?;
        let samples: Vec<_> = report.lines().filter_map(read).collect();
        let mut line = |share: f64, place: &str| {
            table.line(&[what.to_owned(), format!("{share:.1}"), place.to_owned()]);
        };
        for (place, dso) in [
            ("the kernel", "[kernel.kallsyms]"),
            ("libc", "libc.so.6"),
            ("leno", own),
        ] {
            let shares = samples.iter().filter(|sample| sample.dso == dso);
            line(
                shares.map(|sample| sample.share).sum(),
                &format!("all of {place}"),
            );
        }
        for sample in samples
            .iter()
            .filter(|sample| sample.dso == own)
            .take(SHOWN)
        {
            line(sample.share, &format!("`{}`", sample.symbol));
        }
    }
    Ok(Figures {
        rows: Vec::new(),
        table,
        plots: Vec::new(),
    })
}

/// Keeps the proxies busy for so many seconds, and gives what perf saw meanwhile.
fn look(setting: &Setting, proxies: &Contestant, seconds: u32) -> Result<String, Box<dyn Error>> {
    SMALL.calls(setting.folder(), proxies.address, 1)?;
    let ids = proxies.proxies.iter().map(|proxy| proxy.id().to_string());
    let ids: Vec<_> = ids.collect();
    let mut record = Core::Other.command(Path::new("perf"));
    let record = record
        .args(["record", "--quiet", "--event", "cpu-clock", "--freq", "999"])
        .args(["--output", "perf.data", "--pid", &ids.join(",")])
        .args(["--", "sleep", &seconds.to_string()]);
    let mut record = record.current_dir(setting.folder()).spawn()?;
    SMALL.calls(setting.folder(), proxies.address, seconds + 1)?;
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
