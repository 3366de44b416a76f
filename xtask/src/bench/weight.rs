//! How long it takes until a changed weight holds in every proxy, and what that costs.

use std::{error::Error, net::TcpStream, time::Duration};

use crate::bench::{
    Measured, Options,
    client::ask,
    fleet::{self, Fleet, Version},
    report::{Figures, Row, Table, megabytes, millis},
    series::Series,
    setting::Setting,
};
use crate::rig::process::{now, pause};

/// Changes the weight to and fro.
pub(super) fn measure(setting: &Setting, options: &Options) -> Measured {
    let fleet = Fleet::start(setting, "weight", PROXIES)?;
    let mut clients = (0..PROXIES)
        .map(|number| TcpStream::connect(fleet::address(number)))
        .collect::<Result<Vec<_>, _>>()?;
    until_all_answer(&mut clients, Version::One)?;
    let mut times = Times::default();
    for change in 1..=options.rounds * CHANGES {
        // The next change shall not meet what is left to do of the last.
        pause(REST);
        let version = Version::after(change);
        let [control, proxies] = fleet.cpu()?;
        let begin = now();
        fleet.weigh(version)?;
        let committed = begin.elapsed();
        until_all_answer(&mut clients, version)?;
        let all = begin.elapsed();
        let [control_after, proxies_after] = fleet.cpu()?;
        println!("change {change}  committed after {committed:.0?}, in force after {all:.0?}");
        times.committed.push(millis(committed));
        times.all.push(millis(all));
        times.control.push(millis(control_after - control));
        times
            .proxies
            .push(millis(proxies_after - proxies) / PROXIES as f64);
    }
    times.memory = fleet.memory()?;
    Ok(times.figures())
}

/// Asks one proxy after the other, each until it answers by the version.
fn until_all_answer(clients: &mut [TcpStream], version: Version) -> Result<(), Box<dyn Error>> {
    for client in clients {
        while ask(client)? != version.answer() {
            pause(STEP);
        }
    }
    Ok(())
}

/// Times, in milliseconds, and memory.
#[derive(Default)]
struct Times {
    committed: Series,
    all: Series,
    control: Series,
    /// Of one proxy.
    proxies: Series,
    /// What one proxy holds in bytes: RSS, PSS, private.
    memory: [u64; 3],
}

impl Times {
    fn figures(&self) -> Figures {
        let mut table = Table::new(&["", ""]);
        let mut line = |what: &str, figure: String| table.line(&[what.to_owned(), figure]);
        let millis = |series: &Series| format!("{series:.1} ms");
        line("`leno apply` has returned after", millis(&self.committed));
        line("the last proxy answers by it after", millis(&self.all));
        line("CPU of the control plane", millis(&self.control));
        let what = "CPU of each proxy, with the calls that ask it";
        line(what, millis(&self.proxies));
        let [resident, proportional, private] = self.memory.map(megabytes);
        line("memory of each proxy: RSS", resident);
        line("PSS, which divides what a hundred share", proportional);
        line("private", private);
        let row = Row {
            what: "a changed weight enforced in 100 proxies",
            target: format!("under {LIMIT:.0} ms"),
            measured: format!("{:.0} ms", self.all),
            reached: self.all.median() < LIMIT,
        };
        Figures {
            rows: vec![row],
            table,
            plots: Vec::new(),
        }
    }
}

const LIMIT: f64 = 200.0;

const PROXIES: usize = 100;

/// How often the weight changes in a round.
const CHANGES: usize = 3;

/// How long nothing happens between two changes.
const REST: Duration = Duration::from_millis(500);

/// How long a proxy is left alone that did not answer by the version.
const STEP: Duration = Duration::from_millis(1);
