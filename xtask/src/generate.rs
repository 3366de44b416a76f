//! `cargo xtask generate`: Gateway API's structs, from the CRDs of its Go module and our own words.
//!
//! The release stands in `xtask/gateway-api/go.mod`, the words in `generate/table.yaml`. What it writes is
//! checked in; `--check` writes nothing and says whether it is current.

mod crds;
mod rust;
mod table;

use std::{fs, path::Path};

use crate::{Outcome, shell};

pub(crate) fn run(arguments: &[String]) -> Outcome {
    let check = match arguments {
        [] => false,
        [flag] if flag == "--check" => true,
        _ => return Err("it takes nothing, or --check".into()),
    };
    let root = shell::root();
    let Some(module) = crds::module(&root.join("xtask/gateway-api"))? else {
        println!("generate: Go is not installed, so the CRDs cannot be fetched; skipped");
        return Ok(());
    };
    let table = table::read(include_bytes!("generate/table.yaml"))?;
    let crds = crds::read(&module)?;
    for file in &table.files {
        let text = rust::file(file, &crds, &module.version)?;
        let path = root.join(format!("crates/resources/src/gateway/{}.rs", file.name));
        if check {
            is_current(&path, &text)?;
        } else {
            fs::write(&path, text)?;
            println!("generate: wrote {}", path.display());
        }
    }
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
