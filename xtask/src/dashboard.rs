//! `cargo xtask dashboard`: the dashboard's page, from its sources into what the crate embeds. What is
//! built is checked in, so that building Leno needs no Node.

use std::{env, fs, path::Path};

use sha2::{Digest as _, Sha256};

use crate::{
    Outcome,
    packages::{self, Purpose},
    shell,
    tidy::tree::Tree,
};

/// Where the sources lie.
pub(crate) const SOURCES: &str = "crates/dashboard/page/";

/// What is built of them.
const BUILT: &str = "crates/dashboard/built";

/// Its module, which says of which sources it was built.
pub(crate) const MODULE: &str = "crates/dashboard/built/built.rs";

/// Builds the page anew. With `--check`, fails where that differs from what is checked in; with
/// `--pictures`, draws those of the docs too.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    packages::install(Purpose::Page)?;
    install_modules()?;
    match words[..] {
        [] => build(),
        ["--check"] => check(),
        ["--pictures"] => build().and_then(|()| draw()),
        _ => Err("say `--check`, `--pictures` or nothing".into()),
    }
}

fn build() -> Outcome {
    bundle(BUILT)
}

/// Whether what is checked in is what its sources give.
fn check() -> Outcome {
    let made = env::temp_dir().join(format!("leno-page-{}", std::process::id()));
    let told =
        bundle(&made.to_string_lossy()).and_then(|()| compare(&shell::root().join(BUILT), &made));
    fs::remove_dir_all(&made)?;
    told
}

fn draw() -> Outcome {
    let script = format!("{SOURCES}tests/pictures.mjs");
    shell::run("node", &[&script], &[])
}

/// Installs what the page is built and tested with, as its lock file says, unless it is there.
pub(crate) fn install_modules() -> Outcome {
    let folder = shell::root().join(SOURCES);
    let (lock, installed) = (
        folder.join("package-lock.json"),
        folder.join("node_modules/.leno"),
    );
    let wanted = fs::read(&lock)?;
    if fs::read(&installed).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    // No program of a package runs while it is installed.
    let words = [
        "ci",
        "--ignore-scripts",
        "--no-audit",
        "--no-fund",
        "--prefix",
        SOURCES,
    ];
    shell::run("npm", &words, &[])?;
    fs::write(installed, wanted)?;
    Ok(())
}

/// The hash of the sources in a tree.
pub(crate) fn hash(tree: &Tree) -> String {
    let mut hash = Sha256::new();
    for file in tree.files.iter().filter(|file| is_source(&file.path)) {
        for part in [&file.path, &file.text] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
    }
    let hash = hash.finalize();
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether the page is made of it: not of its tests.
fn is_source(path: &str) -> bool {
    path.strip_prefix(SOURCES).is_some_and(|inside| {
        inside.starts_with("src/")
            || [
                "build.mjs",
                "index.html",
                "package-lock.json",
                "tsconfig.json",
            ]
            .contains(&inside)
    })
}

/// Checks the sources' types, and builds them into a folder.
fn bundle(into: &str) -> Outcome {
    let checker = format!("{SOURCES}node_modules/svelte-check/bin/svelte-check");
    let strictly = [
        "--workspace",
        SOURCES,
        "--fail-on-warnings",
        "--output",
        "human",
    ];
    shell::run("node", &[&[checker.as_str()], &strictly[..]].concat(), &[])?;
    let script = format!("{SOURCES}build.mjs");
    let hash = hash(&Tree::read(&shell::root())?);
    shell::run("node", &[&script, into, &hash], &[])
}

fn compare(there: &Path, made: &Path) -> Outcome {
    let advice = "run `cargo xtask dashboard`";
    for entry in fs::read_dir(made)? {
        let entry = entry?;
        let name = entry.file_name();
        if fs::read(there.join(&name)).ok() != Some(fs::read(entry.path())?) {
            let name = name.to_string_lossy();
            return Err(format!("{BUILT}/{name} is not what its sources give: {advice}").into());
        }
    }
    println!("The page is current.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sources_count() {
        let hash = |files: &[(&str, &str)]| hash(&Tree::of(files));
        let one = ("crates/dashboard/page/src/a.ts", "a");
        let two = ("crates/dashboard/page/src/b.ts", "b");
        let test = ("crates/dashboard/page/tests/a.mjs", "a");
        assert_eq!(hash(&[one, two]), hash(&[one, test, two]));
        assert_ne!(hash(&[one, two]), hash(&[one]));
        assert_ne!(hash(&[one, two]), hash(&[(one.0, "b"), (two.0, "a")]));
    }
}
