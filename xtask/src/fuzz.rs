//! `cargo xtask fuzz`: every parser of bytes from outside, with inputs that nobody wrote.

use crate::{Outcome, shell};

/// Builds the targets with the optimiser, and tries them: all, or those that `arguments` name.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let mut words = vec![
        "run",
        "--quiet",
        "--locked",
        "--release",
        "--package",
        "leno-fuzz",
        "--",
    ];
    words.extend(arguments.iter().map(String::as_str));
    shell::run("cargo", &words, &[])
}
