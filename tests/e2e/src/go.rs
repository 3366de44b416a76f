//! Programs of the tests that are written in Go, because what they need is there.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::made::{OUTPUT, Recipe};

/// The program of a folder beside `src`. `None`, and it says so, where Go is not installed.
#[expect(
    clippy::print_stderr,
    reason = "what is left out is said to whoever runs the tests"
)]
pub(crate) fn program(folder: &str) -> Option<PathBuf> {
    let recipe = Recipe {
        name: folder,
        sources: &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
        command: &["go", "build", "-o", OUTPUT, "."],
    };
    match recipe.make() {
        Ok(program) => Some(program),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("left out: go is not installed, in which {folder} is written");
            None
        }
        Err(error) => panic!("{error}"),
    }
}
