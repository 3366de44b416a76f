//! `leno-fuzz [TARGET] [--seed N] [--runs N]`: tries changed inputs, and shows what it found. With `--seeds FOLDER` it
//! writes down what they are made of, for cargo-fuzz to begin with.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it talks to whoever runs it"
)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use leno_fuzz::{Finding, TARGETS, Target, find, run};

/// What was asked for.
struct Asked {
    targets: Vec<&'static Target>,
    seed: u64,
    runs: u64,
    /// Where seeds are written to, and nothing is tried.
    seeds: Option<PathBuf>,
}

fn main() -> ExitCode {
    let asked = match asked(std::env::args().skip(1)) {
        Ok(asked) => asked,
        Err(why) => {
            eprintln!("{why}\n\n{}", help());
            return ExitCode::from(2);
        }
    };
    if let Some(folder) = asked.seeds {
        return match write_seeds(&asked.targets, &folder) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{}: {error}", folder.display());
                ExitCode::FAILURE
            }
        };
    }
    // What does not hold is shown once it is small.
    std::panic::set_hook(Box::new(|_| ()));
    let mut code = ExitCode::SUCCESS;
    for target in asked.targets {
        match run(target, asked.seed, asked.runs) {
            Ok(ran) => println!(
                "{:<14} {} inputs, {} understood",
                target.name, ran.inputs, ran.understood
            ),
            Err(Finding { input, said }) => {
                let escaped = input.escape_ascii();
                println!("{:<14} does not hold: {}", target.name, target.holds);
                println!("  for b\"{escaped}\"\n  {said}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

/// Writes each seed of each target to a file of its own, in a folder for each target.
fn write_seeds(targets: &[&Target], folder: &Path) -> io::Result<()> {
    for target in targets {
        let folder = folder.join(target.name);
        fs::create_dir_all(&folder)?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs::write(folder.join(format!("seed-{number}")), seed)?;
        }
    }
    Ok(())
}

fn asked(mut words: impl Iterator<Item = String>) -> Result<Asked, String> {
    let mut asked = Asked {
        targets: Vec::new(),
        seed: 1,
        runs: 200_000,
        seeds: None,
    };
    while let Some(word) = words.next() {
        let mut number = || {
            let number = words.next().and_then(|number| number.parse().ok());
            number.ok_or_else(|| format!("{word} needs a number"))
        };
        match word.as_str() {
            "--seed" => asked.seed = number()?,
            "--runs" => asked.runs = number()?,
            "--seeds" => asked.seeds = Some(words.next().ok_or("--seeds needs a folder")?.into()),
            name => {
                let target = find(name).ok_or_else(|| format!("there is no target `{name}`"))?;
                asked.targets.push(target);
            }
        }
    }
    if asked.targets.is_empty() {
        asked.targets.extend(TARGETS);
    }
    Ok(asked)
}

fn help() -> String {
    let lines = TARGETS
        .iter()
        .map(|target| format!("  {:<14} {}\n", target.name, target.holds));
    format!(
        "Usage: cargo xtask fuzz [TARGET] .. [--seed N] [--runs N] [--seeds FOLDER]\n\n{}",
        lines.collect::<String>()
    )
}
