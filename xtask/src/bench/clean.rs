//! How long a build takes of which nothing is there yet.

use std::{error::Error, fs, time::Duration};

use crate::bench::{
    Measured, Options,
    report::{Figures, Row, Table},
    setting::Setting,
};
use crate::rig::process::{self, Core, now};

/// Builds `leno` as cargo does it when nobody says how.
pub(super) fn measure(setting: &Setting, _options: &Options) -> Measured {
    let folder = setting.folder().join("clean");
    let before = waited_for()?;
    let begin = now();
    let into = folder.display();
    process::cargo(
        Core::Both,
        &format!("build --locked --offline --target-dir {into}"),
    )?;
    let (took, cpu) = (begin.elapsed(), waited_for()? - before);
    fs::remove_dir_all(&folder)?;
    let mut table = Table::new(&["", "s"]);
    table.line(&["until it is built".to_owned(), seconds(took)]);
    table.line(&["CPU".to_owned(), seconds(cpu)]);
    let row = Row {
        what: "a clean dev build",
        target: "under 3 minutes".to_owned(),
        measured: format!("{} s", seconds(took)),
        reached: took < Duration::from_secs(180),
    };
    Ok(Figures {
        rows: vec![row],
        table,
        plots: Vec::new(),
    })
}

fn seconds(time: Duration) -> String {
    format!("{:.0}", time.as_secs_f64())
}

/// The CPU time of all programs that this one has started and that have ended, and of theirs.
fn waited_for() -> Result<Duration, Box<dyn Error>> {
    let told = fs::read_to_string("/proc/self/stat")?;
    read(&told).ok_or_else(|| format!("{told}: not as proc_pid_stat(5) says").into())
}

/// Fields 16 and 17 of proc_pid_stat(5), counted behind the name, which may hold spaces.
fn read(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut ticks = fields.split(' ').skip(13);
    let user: u64 = ticks.next()?.parse().ok()?;
    let system: u64 = ticks.next()?.parse().ok()?;
    Some(Duration::from_millis((user + system) * MILLIS_PER_TICK))
}

/// Linux tells such times in hundredths of a second on every architecture that Rust knows.
const MILLIS_PER_TICK: u64 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_children_is_read() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 2 3 4 11 12 250 50 20 0 1 0 5";
        assert_eq!(read(stat), Some(Duration::from_secs(3)));
        assert_eq!(read("nothing"), None);
    }
}
