//! `cargo xtask matrix`: older proxies and control planes beside newer ones, by the table in `tests/versions`.

use std::fs;

use crate::{Outcome, shell};

/// Builds a Leno that plays an older one and the one that people get, and plays the table: all rows, or those whose
/// feature has one of these words.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let build = ["build", "--quiet", "--locked", "--package", "leno"];
    shell::run(
        "cargo",
        &[&build[..], &["--features", "older"]].concat(),
        &[],
    )?;
    let built = shell::target()?.join("debug/leno");
    let older = built.with_file_name("leno-older");
    // Beside its place first: one that runs cannot be written over.
    let unfinished = built.with_file_name("leno-older.new");
    fs::copy(&built, &unfinished)?;
    fs::rename(&unfinished, &older)?;
    let play = "test --quiet --locked --package leno-versions --test matrix --";
    let mut words: Vec<&str> = play.split(' ').collect();
    words.extend(arguments.iter().map(String::as_str));
    let older = older
        .to_str()
        .ok_or("the target folder's name is no text")?;
    shell::run("cargo", &words, &[("LENO_OLDER_PROGRAM", older)])
}
