//! `cargo xtask bench`: what the proxy costs, measured beside HAProxy and written to
//! `docs/benchmarks.md`. Everything runs in a network namespace of its own, proxies on one core,
//! clients and origin on another; what is compared is measured in turns of one run.

mod call;
mod contestant;
mod decision;
mod idle;
mod namespace;
mod process;
mod report;
mod series;
mod setting;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    Outcome,
    bench::report::Report,
    packages::{self, Purpose},
    shell,
};

/// Measures everything and writes the document. `--only CASE` and `--against BINARY` print to the
/// terminal what they measure and leave the document as it is.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let options = Options::parse(arguments)?;
    if namespace::is_inside() {
        return measure(&options);
    }
    packages::install(Purpose::Bench)?;
    if options.leno.is_none() {
        build(&[
            "build",
            "--locked",
            "--profile",
            "dist",
            "--package",
            "leno",
        ])?;
    }
    if options.wants(Case::Decision) {
        build(&decision::with(&["--no-run"]))?;
    }
    namespace::enter(arguments)
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Case {
    Hop,
    Pair,
    Idle,
    Decision,
}

const CASES: [(&str, Case); 4] = [
    ("hop", Case::Hop),
    ("pair", Case::Pair),
    ("idle", Case::Idle),
    ("decision", Case::Decision),
];

/// What was asked for.
struct Options {
    /// Nothing means all.
    only: Vec<Case>,
    /// How often each contestant has its turn.
    rounds: usize,
    /// How long one turn lasts.
    seconds: u32,
    /// Another `leno` than the one that is built.
    leno: Option<PathBuf>,
    /// A second `leno` that takes part.
    against: Option<PathBuf>,
}

impl Options {
    fn parse(arguments: &[String]) -> Result<Self, String> {
        let mut options = Self {
            only: Vec::new(),
            rounds: 7,
            seconds: 2,
            leno: None,
            against: None,
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let value = words
                .next()
                .ok_or_else(|| format!("{word} needs a value"))?;
            let number = || format!("{word} {value}: a number is needed");
            match word.as_str() {
                "--only" => {
                    let case = CASES.iter().find(|(name, _)| name == value);
                    let (_, case) = case.ok_or_else(|| {
                        format!("--only {value}: hop, pair, idle or decision are measured")
                    })?;
                    options.only.push(*case);
                }
                "--rounds" => options.rounds = value.parse().map_err(|_| number())?,
                "--seconds" => options.seconds = value.parse().map_err(|_| number())?,
                "--leno" => options.leno = Some(value.into()),
                "--against" => options.against = Some(value.into()),
                _ => {
                    return Err(format!(
                        "{word} is not known: --only --rounds --seconds --leno --against are"
                    ));
                }
            }
        }
        if options.rounds == 0 || options.seconds == 0 {
            return Err("at least one round of one second is needed".to_owned());
        }
        Ok(options)
    }

    fn wants(&self, case: Case) -> bool {
        self.only.is_empty() || self.only.contains(&case)
    }

    /// Whether the figures are those of the document.
    fn is_whole(&self) -> bool {
        self.only.is_empty() && self.against.is_none()
    }
}

/// Runs inside the namespace.
fn measure(options: &Options) -> Outcome {
    namespace::set_up()?;
    let target = target()?;
    let leno = options.leno.clone();
    let setting = setting::Setting::new(
        &target.join("bench"),
        leno.unwrap_or_else(|| target.join("dist/leno")),
        options.against.clone(),
    )?;
    let mut report = Report::new(&setting, options);
    if options.wants(Case::Hop) {
        report.hop = Some(call::measure(setting.hop()?, options)?);
    }
    if options.wants(Case::Pair) {
        report.pair = Some(call::measure(setting.pair()?, options)?);
    }
    if options.wants(Case::Idle) {
        report.idle = Some(idle::measure(&setting)?);
    }
    if options.wants(Case::Decision) {
        report.decisions = decision::measure()?;
    }
    println!("\n{}", report.text());
    if options.is_whole() {
        report.write(&shell::root().join("docs/benchmarks.md"))?;
    }
    Ok(())
}

/// Runs cargo with the profile's own words.
fn build(words: &[&str]) -> Outcome {
    shell::run("cargo", words, &[])
}

/// Where cargo builds: this program lies in `debug/` there.
fn target() -> Result<PathBuf, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let target = program.ancestors().nth(2).map(Path::to_owned);
    target.ok_or_else(|| format!("{} lies in no target folder", program.display()))
}

/// What `program` prints when asked with `words`, its first line.
fn first_line(program: &str, words: &[&str]) -> String {
    let said = Command::new(program)
        .args(words)
        .current_dir(shell::root())
        .output();
    let said = said
        .map(|said| [said.stdout, said.stderr].concat())
        .unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    said.lines().next().unwrap_or("unknown").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(
            &line
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn everything_is_measured_unless_one_says_what() {
        let all = parse("").unwrap();
        assert!(all.is_whole() && all.wants(Case::Pair));
        let some = parse("--only hop --only idle --rounds 3").unwrap();
        assert!(some.wants(Case::Idle) && !some.wants(Case::Pair) && !some.is_whole());
        assert_eq!(some.rounds, 3);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for line in [
            "--only hops",
            "--rounds many",
            "--rounds 0",
            "--rounds",
            "--fast 1",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
