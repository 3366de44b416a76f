//! `cargo xtask generate`: Gateway API's structs, by the program in `xtask/generate`.

use crate::{Outcome, shell};

/// Builds the program and runs it with these arguments.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let mut words = vec!["run", "--quiet", "--locked", "--package", "xtask-generate"];
    words.push("--");
    words.extend(arguments.iter().map(String::as_str));
    shell::run("cargo", &words, &[])
}
