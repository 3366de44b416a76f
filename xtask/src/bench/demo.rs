//! How long `leno demo` takes to its first call, and to its end: until nothing of it is left.

use std::{
    collections::BTreeSet,
    error::Error,
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::bench::{
    Measured, Options,
    report::{Figures, Row, Table, millis},
    series::Series,
    setting::Setting,
};
use crate::rig::process::{Core, now, pause, said};

/// How cargo builds it for `cargo run --release -- demo`.
pub(super) const BUILD: &str = "build --locked --release --package leno";

/// Starts the demo and ends it, in turns by Ctrl-C and by `kill -9`.
pub(super) fn measure(setting: &Setting, options: &Options) -> Measured {
    let leno = setting.target().join("release/leno");
    let mut times: [Series; 3] = Default::default();
    let [first, interrupted, killed] = &mut times;
    for _ in 0..options.rounds {
        for (signal, series) in [("INT", &mut *interrupted), ("KILL", &mut *killed)] {
            let (to_first, to_nothing) = run(setting, &leno, signal)?;
            println!(
                "first call after {to_first:.0?}, nothing left {to_nothing:.0?} after {signal}"
            );
            first.push(millis(to_first));
            series.push(millis(to_nothing));
        }
    }
    let what = [
        ("`leno demo` to the first meshed call", 3),
        ("Ctrl-C to nothing left", 2),
        ("`kill -9` of the parent to nothing left", 2),
    ];
    let mut table = Table::new(&["", "ms"]);
    let mut rows = Vec::new();
    for ((what, seconds), times) in what.into_iter().zip(&times) {
        table.line(&[what.to_owned(), format!("{times:.0}")]);
        rows.push(Row {
            what,
            target: format!("under {seconds} s"),
            measured: format!("{times:.0} ms"),
            reached: times.median() < f64::from(seconds) * 1000.0,
        });
    }
    Ok(Figures {
        rows,
        table,
        plots: Vec::new(),
    })
}

/// How long it took to the first call, and from the signal to nothing left.
fn run(
    setting: &Setting,
    leno: &Path,
    signal: &str,
) -> Result<(Duration, Duration), Box<dyn Error>> {
    let before = There::look()?;
    let begin = now();
    let mut demo = Core::Both
        .command(leno)
        .arg("demo")
        .current_dir(setting.folder())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let told = until_first_call(&mut demo);
    let first = begin.elapsed();
    let told = told?;
    pause(WATCHED);
    let end = now();
    // As a terminal does it, and as nobody can catch it.
    let target = match signal {
        "INT" => format!("-{}", demo.id()),
        _ => demo.id().to_string(),
    };
    said(Command::new("kill").args([&format!("-{signal}"), "--", &target]))?;
    let gone = loop {
        let ended = demo.try_wait()?.is_some();
        let there = There::look()?;
        if ended && there == before {
            break end.elapsed();
        }
        if end.elapsed() > PATIENCE {
            return Err(format!("left after {signal}: {there:?}, before: {before:?}").into());
        }
        pause(STEP);
    };
    // What it has written stays after `kill -9`, for whoever wants to read it.
    if let Some(folder) = told
        .split(['(', ')'])
        .nth(1)
        .and_then(|file| Path::new(file).parent())
        && folder.exists()
    {
        fs::remove_dir_all(folder)?;
    }
    Ok((first, gone))
}

/// Reads what the demo tells up to its first call.
fn until_first_call(demo: &mut Child) -> Result<String, Box<dyn Error>> {
    let out = demo.stdout.take().ok_or("its output is piped")?;
    let mut told = String::new();
    let mut out = BufReader::new(out);
    let mut line = String::new();
    while out.read_line(&mut line)? > 0 {
        told += &line;
        if line.trim_start().starts_with("first call") {
            // It goes on to tell, and is not to end for want of a reader.
            demo.stdout = Some(out.into_inner());
            return Ok(told);
        }
        line.clear();
    }
    Err(format!("the demo told of no first call: {told}").into())
}

/// What is there of processes and of what they leave behind. A namespace ends with the last of its
/// processes and mounts.
#[derive(PartialEq, Eq, Debug)]
struct There {
    processes: BTreeSet<String>,
    mounts: BTreeSet<String>,
    sockets: BTreeSet<String>,
    rules: String,
}

impl There {
    fn look() -> Result<Self, Box<dyn Error>> {
        let mut processes = BTreeSet::new();
        for entry in fs::read_dir("/proc")? {
            let process = entry?.path();
            // One that ends while it is looked at is not there.
            let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
            let name = process.display().to_string();
            if is_process(&name) && lives(&stat) {
                processes.insert(name);
            }
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let mut sockets = BTreeSet::new();
        for family in ["tcp", "tcp6", "udp", "udp6", "unix"] {
            let told = fs::read_to_string(format!("/proc/net/{family}"))?;
            sockets.extend(told.lines().filter_map(|line| waits(family, line)));
        }
        Ok(Self {
            processes,
            mounts: mounts.lines().map(str::to_owned).collect(),
            sockets,
            rules: said(Command::new("nft").args(["list", "ruleset"]))?,
        })
    }
}

fn is_process(path: &str) -> bool {
    let number = path.strip_prefix("/proc/");
    number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether this is of a process that does anything; a zombie only waits to be asked how it ended.
fn lives(stat: &str) -> bool {
    let state = stat.rsplit_once(") ").map(|(_, state)| state);
    state.is_some_and(|state| !state.starts_with(['Z', 'X']))
}

/// The socket of a line of `/proc/net`, if somebody can reach it there.
fn waits(family: &str, line: &str) -> Option<String> {
    let words: Vec<_> = line.split_whitespace().collect();
    let (name, state) = match family {
        "unix" => (words.get(7)?, *words.get(5)? == "01"),
        _ => (words.get(1)?, ["0A", "07"].contains(words.get(3)?)),
    };
    state.then(|| format!("{family} {name}"))
}

/// How long the demo goes on after its first call.
const WATCHED: Duration = Duration::from_secs(1);

const STEP: Duration = Duration::from_millis(2);

const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_is_not_there() {
        assert!(is_process("/proc/17") && !is_process("/proc/stat"));
        assert!(lives("17 (a) b) S 1 2") && !lives("17 (a) Z 1 2") && !lives(""));
    }

    #[test]
    fn sockets_that_wait_are_told_by_their_addresses() {
        let listens = "0: 0100007F:1F90 00000000:0000 0A 00000000:00000000";
        let open = "0: 0100007F:1F90 0100007F:9000 01 00000000:00000000";
        assert_eq!(waits("tcp", listens).as_deref(), Some("tcp 0100007F:1F90"));
        assert_eq!(waits("tcp", open), None);
        let path = "0000000000000000: 00000002 00000000 00010000 0001 01 2801 /run/socket";
        assert_eq!(waits("unix", path).as_deref(), Some("unix /run/socket"));
        assert_eq!(waits("unix", "Num RefCount Protocol"), None);
    }
}
