//! `cargo xtask kubernetes`: a real cluster on this host, by the program in `tests/kubernetes`.

use crate::{
    Outcome,
    packages::{self, Purpose},
    shell,
};

/// Installs the packages that a cluster is made of and runs the program with these arguments, or its tests.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--help" | "-h"] => program(&words),
        ["--test", names @ ..] => {
            packages::install(Purpose::Cluster)?;
            test(names)
        }
        words => {
            packages::install(Purpose::Cluster)?;
            program(words)
        }
    }
}

/// Runs the conformance suite without a mesh, where it must fail.
pub(crate) fn run_conformance(arguments: &[String]) -> Outcome {
    packages::install(Purpose::Cluster)?;
    let mut words = vec!["conformance"];
    words.extend(arguments.iter().map(String::as_str));
    program(&words)
}

fn program(arguments: &[&str]) -> Outcome {
    let cargo = ["run", "--quiet", "--locked", "--package", "leno-cluster"];
    // Figures are of what people run.
    let profile: &[&str] = match arguments.first() {
        Some(&"--figures") => &["--release"],
        _ => &[],
    };
    shell::run(
        "cargo",
        &[&cargo, profile, &["--"], arguments].concat(),
        &[],
    )
}

fn test(names: &[&str]) -> Outcome {
    let cargo = ["test", "--locked", "--package", "leno-cluster", "--"];
    // One after the other: side by side, clusters are slow.
    let one = ["--include-ignored", "--test-threads", "1"];
    shell::run("cargo", &[&cargo[..], &one, names].concat(), &[])
}
