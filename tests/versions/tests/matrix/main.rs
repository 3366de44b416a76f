//! Plays the table with real processes: `cargo xtask matrix WORDS` plays the rows whose feature has these words. It takes
//! a Leno that plays an older one (`LENO_OLDER_PROGRAM`); without it nothing is played but what needs none.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it is told where the older one is, says what it plays, and how long that took"
)]

mod cell;
mod peers;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::time::Instant;
use std::{env, thread};

use leno_versions::{Older, TABLE, Used};

/// How many meshes run side by side.
const MESHES: usize = 2;

fn main() -> ExitCode {
    let older = env::var_os("LENO_OLDER_PROGRAM").map(PathBuf::from);
    let traces = [Some(leno_e2e::binary()), older.as_deref()];
    let traces = traces.map(|program| program.is_some_and(can_be_older));
    if traces != [false, older.is_some()] {
        println!("✗ the leno that people get can play an older one, or the other one cannot");
        return ExitCode::FAILURE;
    }
    println!("✓ the leno that people get cannot play an older one");
    let Some(older) = older else {
        println!("nothing else is played without an older one: cargo xtask matrix");
        return ExitCode::SUCCESS;
    };
    let words: Vec<_> = env::args().skip(1).collect();
    let words: Vec<_> = words.iter().filter(|it| !it.starts_with('-')).collect();
    let wanted = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(*word));
    let mut plays = plays(&older);
    plays.retain(|(name, _)| name.split(':').next().is_some_and(wanted));
    let count = plays.len();
    if count == 0 {
        let features: Vec<_> = TABLE.iter().map(|row| row.feature).collect();
        println!("✗ nothing has these words: {}, all", features.join(", "));
        return ExitCode::FAILURE;
    }
    let begin = Instant::now();
    let plays = Mutex::new(plays.into_iter());
    let missed = thread::scope(|scope| {
        let meshes = (0..MESHES).map(|_| scope.spawn(|| play(&plays)));
        let meshes: Vec<_> = meshes.collect();
        let missed = meshes.into_iter().map(|mesh| mesh.join().unwrap_or(1));
        missed.sum::<usize>()
    });
    let took = begin.elapsed().as_secs();
    println!(
        "\n{} of {count} came out as the table says, in {took} s",
        count - missed
    );
    match missed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Whether a program knows the name by which it is told what to lack.
fn can_be_older(program: &Path) -> bool {
    let mut grep = Command::new("grep");
    grep.args(["--quiet", "--fixed-strings", "LENO_OLDER"])
        .arg(program);
    grep.status().expect("grep is there").success()
}

type Play<'p> = (String, Box<dyn FnOnce() + Send + 'p>);

/// Everything that can be played.
fn plays(older: &Path) -> Vec<Play<'_>> {
    let mut plays: Vec<Play<'_>> = Vec::new();
    for row in TABLE {
        for role in [Older::Caller, Older::Called] {
            let name = format!("{}: {}", row.feature, whose(role));
            match row.used {
                Used::Here { .. } => {
                    plays.push((name, Box::new(move || cell::play(row, role, older))));
                }
                Used::Abroad(ref call) => {
                    plays.push((name, Box::new(move || peers::play(call, role, older))));
                }
                Used::ByValues(_) => {}
            }
        }
    }
    let name = "all: proxies that lack every feature, and nothing uses one";
    plays.push((name.to_owned(), Box::new(move || cell::play_proxies(older))));
    let name = "all: a control plane that knows none, and newer proxies";
    plays.push((name.to_owned(), Box::new(move || cell::play_control(older))));
    plays
}

fn whose(role: Older) -> &'static str {
    match role {
        Older::Caller => "the proxy of who calls is older",
        Older::Called => "the proxy of who is called is older",
    }
}

/// Plays one after the other; how many came out otherwise.
fn play<'p>(plays: &Mutex<impl Iterator<Item = Play<'p>>>) -> usize {
    let mut missed = 0;
    let next = || plays.lock().expect("nobody panics with it").next();
    while let Some((name, play)) = next() {
        let begin = Instant::now();
        let came_out = catch_unwind(AssertUnwindSafe(play)).is_ok();
        let took = begin.elapsed().as_millis();
        let mark = if came_out { "✓" } else { "✗" };
        println!("{mark} {name}  {took} ms");
        missed += usize::from(!came_out);
    }
    missed
}
