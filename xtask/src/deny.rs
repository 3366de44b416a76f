//! `cargo xtask deny`: the licences, bans and sources of every dependency, by `deny.toml`.

use crate::{Outcome, shell};

/// The release that CI uses; any other that is installed will do at home.
const CARGO_DENY: &str = "cargo-deny@0.20.2";

/// Installs cargo-deny where it is missing, then asks it about everything but advisories, which need a
/// database from the network.
pub(crate) fn run(_arguments: &[String]) -> Outcome {
    if !shell::succeeds("cargo", &["deny", "--version"]) {
        println!("cargo-deny is not installed: building it once, which takes some minutes");
        // Without optimisation: it builds in half the time and checks in the same second.
        shell::run(
            "cargo",
            &["install", "--locked", "--debug", CARGO_DENY],
            &[],
        )?;
    }
    let deny = "deny --locked --workspace check licenses bans sources";
    shell::run("cargo", &deny.split(' ').collect::<Vec<_>>(), &[])
}
