//! `cargo xtask test`: every test of the workspace, with what they need.

use crate::{
    Outcome, dashboard,
    packages::{self, Purpose},
    shell,
};

/// Installs the packages that the tests talk to, and what drives a browser, then runs `cargo test`: on the whole workspace, or
/// with `arguments` in its place.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    packages::install(Purpose::Test)?;
    dashboard::install_modules()?;
    let mut words = vec!["test", "--locked"];
    if arguments.is_empty() {
        // Whoever waits for all of it wants to know all that fails.
        words.extend(["--workspace", "--no-fail-fast"]);
    }
    words.extend(arguments.iter().map(String::as_str));
    shell::run("cargo", &words, &[])
}
