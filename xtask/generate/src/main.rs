//! `cargo xtask generate`: Gateway API's structs, from the CRDs of its Go module and our own words;
//! what reads Leno's metrics, from the table of them; the reference of policies, from what decides; that of
//! versions side by side, from the table that is played.
//!
//! The release stands in `gateway-api/go.mod`, the words in `table.yaml`. What it writes is checked in;
//! `--check` writes nothing and says whether it is current. It reads YAML as `leno-resources` does,
//! so it is a program of its own: the other chores need nothing of Leno to be built.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a chore talks to whoever runs it"
)]

mod crds;
mod definitions;
mod monitoring;
mod policy;
mod rust;
mod table;

use std::{env, error::Error, fs, path::Path, process::ExitCode};

/// What it ends with: nothing, or one sentence about what went wrong.
type Outcome = Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("generate: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Outcome {
    let check = match arguments {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => return Err("it takes nothing, or --check".into()),
    };
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2).ok_or("it lies in xtask/generate")?;
    let files = monitoring::files()?.into_iter();
    let skew = ("docs/reference/skew.md", leno_versions::page());
    let files = files.chain([policy::file(), definitions::file()?, skew]);
    for (path, text) in files {
        put(&root.join(path), &text, check)?;
    }
    let Some(module) = crds::module(&here.join("gateway-api"))? else {
        println!("generate: Go is not installed, so the CRDs cannot be fetched; skipped");
        return Ok(());
    };
    let table = table::read(include_bytes!("table.yaml"))?;
    let crds = crds::read(&module)?;
    for (index, file) in table.files.iter().enumerate() {
        let earlier = &table.files[..index];
        let text = rust::file(file, earlier, &crds, &module.version)?;
        let path = root.join(format!("crates/resources/src/gateway/{}.rs", file.name));
        put(&path, &text, check)?;
    }
    Ok(())
}

/// Writes a file, or says that it is not current.
fn put(path: &Path, text: &str, check: bool) -> Outcome {
    if check {
        return is_current(path, text);
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)?;
    println!("generate: wrote {}", path.display());
    Ok(())
}

fn is_current(path: &Path, text: &str) -> Outcome {
    if fs::read_to_string(path).is_ok_and(|found| found == text) {
        return Ok(());
    }
    Err(format!(
        "{} is not current: run cargo xtask generate",
        path.display()
    )
    .into())
}
