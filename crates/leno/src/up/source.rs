//! What is written about the mesh of a folder: `leno.yaml`, else a `Procfile`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use leno_model::{Code, Name, Namespace};

use super::procfile;

/// The file with its text, as objects.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Which file, as a person would name it.
    pub(crate) file: Option<&'static str>,
    /// The folder it is in, where commands start.
    pub(crate) folder: PathBuf,
    /// What the mesh is called if nobody says.
    pub(crate) mesh: Name,
    /// The set that its objects are.
    pub(crate) set: String,
    /// Its objects; none if there is no file.
    pub(crate) text: String,
}

impl Source {
    /// What is written in `folder`.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let mut source = Self::empty(folder);
        if let Some(text) = read(&folder.join(OBJECTS))? {
            source.file = Some(OBJECTS);
            source.text = text;
            return Ok(source);
        }
        let Some(text) = read(&folder.join(PROCFILE))? else {
            bail!(
                "{} {}: {} {}",
                Code::U003,
                Code::U003.slug(),
                Code::U003.title(),
                "Write a Procfile (`web: ./web` on a line of its own), or run one program: \
                 leno run -- ./web"
            );
        };
        source.file = Some(PROCFILE);
        source.text = procfile::as_objects(&procfile::read(&text)?);
        Ok(source)
    }

    /// The file of `folder` that is read, if there is one.
    pub(crate) fn file_of(folder: &Path) -> Option<&'static str> {
        [OBJECTS, PROCFILE]
            .into_iter()
            .find(|file| folder.join(file).exists())
    }

    /// A folder in which nothing is written.
    pub(crate) fn empty(folder: &Path) -> Self {
        let mesh = name_of(folder);
        Self {
            file: None,
            folder: folder.to_owned(),
            set: mesh.to_string(),
            mesh,
            text: String::new(),
        }
    }

    /// Where objects without a namespace are.
    pub(crate) fn namespace(&self) -> Namespace {
        Namespace::default_namespace()
    }
}

/// The file of objects that a folder may have, and the one that is read if it has none.
pub(crate) const OBJECTS: &str = "leno.yaml";
pub(crate) const PROCFILE: &str = "Procfile";

/// What a mesh is called after its folder.
pub(crate) fn name_of(folder: &Path) -> Name {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let label = name
        .to_ascii_lowercase()
        .replace(|char: char| !char.is_ascii_alphanumeric(), "-");
    let label = label
        .trim_matches('-')
        .get(..label.len().min(40))
        .unwrap_or(label.trim_matches('-'));
    Name::new(label.trim_matches('-'))
        .unwrap_or_else(|_| Name::new("mesh").expect("a constant that is a name"))
}

fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
