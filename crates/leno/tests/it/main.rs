//! Sessions at a terminal: each file of `tests/sessions` is what a person types and sees, run from
//! the repository's root. `UPDATE_CASES=1 cargo test -p leno` writes them anew.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
#![expect(
    clippy::disallowed_methods,
    reason = "a test asks its environment whether to update"
)]

mod asking;
mod demo;
mod doors;
mod fleet;
mod said;
mod up;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn what_is_typed_shows_what_is_written() {
    let sessions = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sessions");
    let files = fs::read_dir(sessions).unwrap();
    let files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    check(files, replay);
}

/// Each file is what `replay` makes of it.
fn check(mut files: Vec<PathBuf>, mut replay: impl FnMut(&str) -> String) {
    files.sort();
    let update = std::env::var("UPDATE_CASES").is_ok();
    let mut wrong = Vec::new();
    for file in files {
        let written = fs::read_to_string(&file).unwrap();
        let shown = replay(&written);
        if written == shown {
            continue;
        }
        if update {
            fs::write(&file, &shown).unwrap();
        } else {
            wrong.push(format!("{}:\n{shown}", file.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "these sessions show something else:\n{}",
        wrong.join("\n")
    );
}

/// Runs each `$ leno ...` of a session and writes down what it shows. Other lines before the first
/// command stay: they say what the session is about.
fn replay(session: &str) -> String {
    let mut shown = String::new();
    for line in session.lines().take_while(|line| !line.starts_with("$ ")) {
        writeln!(shown, "{line}").unwrap();
    }
    for line in session.lines() {
        let Some(typed) = line.strip_prefix("$ ") else {
            continue;
        };
        let mut shell = shell(typed);
        shell.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."));
        shown.push_str(&run(typed, &mut shell));
    }
    shown
}

/// A shell that is about to run what was typed.
fn shell(typed: &str) -> Command {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", typed])
        .env("PATH", path_with_leno())
        .env("NO_COLOR", "1");
    shell
}

/// What was typed, what it shows, and its exit code if that is a bad one.
fn run(typed: &str, shell: &mut Command) -> String {
    let output = shell.output().unwrap();
    let mut shown = format!("$ {typed}\n");
    shown.push_str(&String::from_utf8(output.stdout).unwrap());
    shown.push_str(&String::from_utf8(output.stderr).unwrap());
    match output.status.code() {
        Some(0) => shown.push('\n'),
        code => writeln!(shown, "[exit code {}]\n", code.unwrap()).unwrap(),
    }
    shown
}

fn path_with_leno() -> String {
    let folder = Path::new(env!("CARGO_BIN_EXE_leno")).parent().unwrap();
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}
