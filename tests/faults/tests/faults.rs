//! Plays the table: `cargo test -p leno-faults -- WORDS` plays the faults that have these words.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "it says what it plays, and how long that took"
)]

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use std::{env, fs, thread};

use leno_faults::{Played, play, read};

/// How many meshes run side by side.
const MESHES: usize = 3;

fn main() -> ExitCode {
    let words: Vec<_> = env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let wanted = |name: &str| words.iter().all(|word| name.contains(word.as_str()));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("table");
    let files = fs::read_dir(folder).expect("the table is beside the tests");
    let mut files: Vec<_> = files
        .map(|file| file.expect("it can be listed").path())
        .collect();
    files.sort();
    let files = Mutex::new(files);
    let count = Mutex::new((0, 0));
    // Built before anything is timed.
    leno_e2e::binary();
    let begin = Instant::now();
    thread::scope(|scope| {
        for _ in 0..MESHES {
            scope.spawn(|| {
                while let Some(file) = locked(&files).pop() {
                    one(&file, &wanted, &count);
                }
            });
        }
    });
    let (told, missed) = *locked(&count);
    let took = begin.elapsed().as_secs();
    println!("\n{told} of {} faults told, in {took} s", told + missed);
    match missed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Plays one file.
fn one(file: &Path, wanted: &impl Fn(&str) -> bool, count: &Mutex<(usize, usize)>) {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let failed = |why: String| {
        println!("✗ {name}: {why}");
        locked(count).1 += 1;
    };
    let text = match fs::read(file) {
        Ok(text) => text,
        Err(error) => return failed(error.to_string()),
    };
    let table = match read(&text) {
        Ok(table) => table,
        Err(flawed) => return failed(flawed.to_string()),
    };
    let mut last = Instant::now();
    let done = play(&table, wanted, |Played { fault, misses }| {
        let took = last.elapsed().as_millis();
        last = Instant::now();
        let mut count = locked(count);
        let mark = match misses.is_empty() {
            true => "✓",
            false => "✗",
        };
        println!(
            "{mark} {name}:{}  {}  {took} ms\n{misses}",
            fault.line, fault.name
        );
        match misses.is_empty() {
            true => count.0 += 1,
            false => count.1 += 1,
        }
    });
    if let Err(miss) = done {
        failed(format!("the mesh does not start\n{miss}"));
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
