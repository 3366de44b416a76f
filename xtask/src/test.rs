//! `cargo xtask test`: every test of the workspace, with what they need.

use crate::{
    Outcome,
    packages::{self, Purpose},
    shell,
};

/// Installs the packages that the tests talk to, then runs `cargo test` with `arguments` added.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    packages::install(Purpose::Test)?;
    let mut words = vec!["test", "--workspace", "--locked"];
    words.extend(arguments.iter().map(String::as_str));
    shell::run("cargo", &words, &[])
}
