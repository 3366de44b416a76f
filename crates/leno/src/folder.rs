//! Reading what `-f` names: files, folders (with everything below them) and standard input.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// The texts that were found, by the path a person would type.
#[derive(Default)]
pub(crate) struct Files {
    /// Objects: `.yaml`, `.yml` and `.json`.
    pub(crate) resources: BTreeMap<String, Vec<u8>>,
    /// Tests: `.test.yaml`.
    pub(crate) tests: BTreeMap<String, Vec<u8>>,
}

/// The most that one file may hold; a Kubernetes object has at most 1.5 MiB.
const LARGEST_FILE: u64 = 32 << 20;

/// The most files that are read.
const MOST_FILES: usize = 100_000;

impl Files {
    /// Reads each of `paths`; `-` is standard input. What is named but cannot be read is an error;
    /// below a folder, hidden files and files of other kinds are passed over.
    pub(crate) fn read(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let mut files = Self::default();
        for path in paths {
            if path.as_os_str() == "-" {
                let text = bounded(io::stdin().lock()).context("cannot read standard input")?;
                files.resources.insert("<stdin>".to_owned(), text);
                continue;
            }
            let kind =
                fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
            if kind.is_dir() {
                files.read_folder(path)?;
            } else {
                files.read_file(path)?;
            }
        }
        Ok(files)
    }

    fn read_folder(&mut self, folder: &Path) -> anyhow::Result<()> {
        let context = || format!("cannot read {}", folder.display());
        for entry in fs::read_dir(folder).with_context(context)? {
            let entry = entry.with_context(context)?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = entry.path();
            // A link to a folder is not followed: it may lead in a circle.
            if entry.file_type().with_context(context)?.is_dir() {
                self.read_folder(&path)?;
            } else if is_read(&path) && path.is_file() {
                self.read_file(&path)?;
            }
        }
        Ok(())
    }

    fn read_file(&mut self, path: &Path) -> anyhow::Result<()> {
        if self.resources.len() + self.tests.len() >= MOST_FILES {
            bail!("more than {MOST_FILES} files: name a smaller folder with -f");
        }
        let text = fs::File::open(path)
            .map_err(anyhow::Error::from)
            .and_then(bounded)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.display().to_string();
        let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
        let group = if is_test(path) {
            &mut self.tests
        } else {
            &mut self.resources
        };
        group.insert(name, text);
        Ok(())
    }
}

fn bounded(reader: impl io::Read) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    let read = reader.take(LARGEST_FILE + 1).read_to_end(&mut text)?;
    if u64::try_from(read)? > LARGEST_FILE {
        bail!("it is larger than {} MiB", LARGEST_FILE >> 20);
    }
    Ok(text)
}

fn is_read(path: &Path) -> bool {
    path.extension()
        .is_some_and(|kind| kind == "yaml" || kind == "yml" || kind == "json")
}

fn is_test(path: &Path) -> bool {
    let name = path
        .file_name()
        .map(|name| name.as_encoded_bytes())
        .unwrap_or_default();
    name.ends_with(b".test.yaml") || name.ends_with(b".test.yml")
}
