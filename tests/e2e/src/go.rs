//! Programs of the tests that are written in Go, because what they need is there.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::world::binary;

/// The program of a folder beside `src`, which is built first. `None`, and it says so, where Go is
/// not installed.
pub(crate) fn program(folder: &'static str) -> Option<PathBuf> {
    static BUILT: Mutex<Option<HashMap<&str, Option<PathBuf>>>> = Mutex::new(None);
    let mut built = BUILT.lock().expect("a build that fails fails all");
    let built = built.get_or_insert_default();
    built.entry(folder).or_insert_with(|| build(folder)).clone()
}

#[expect(
    clippy::print_stderr,
    reason = "what is left out is said to whoever runs the tests"
)]
fn build(folder: &str) -> Option<PathBuf> {
    let program = binary().with_file_name(format!("go-{folder}"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut go = Command::new("go");
    go.args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(source);
    match go.status() {
        Ok(status) => {
            assert!(status.success(), "{folder} does not build");
            Some(program)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("left out: go is not installed, in which {folder} is written");
            None
        }
        Err(error) => panic!("go: {error}"),
    }
}
