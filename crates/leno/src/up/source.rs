//! What is written about the mesh of a folder: `leno.yaml`, else a `Procfile`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use leno_model::{Code, Name, Namespace};
use serde_json::json;

use super::procfile;

/// The files with their texts, as objects.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// Which file, as a person would name it.
    pub(crate) file: Option<&'static str>,
    /// The folder it is in, where commands start.
    pub(crate) folder: PathBuf,
    /// What the mesh is called if nobody says.
    pub(crate) mesh: Name,
    texts: Vec<(String, Vec<u8>)>,
}

impl Source {
    /// What is written in `folder`.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        let mut source = Self::empty(folder);
        if let Some(text) = read(&folder.join(OBJECTS))? {
            source.file = Some(OBJECTS);
            source.texts.push((OBJECTS.into(), text));
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
        let processes = procfile::read(&String::from_utf8_lossy(&text))?;
        let objects = procfile::as_objects(&processes);
        source.file = Some(PROCFILE);
        source.texts.push((PROCFILE.into(), objects.into_bytes()));
        Ok(source)
    }

    /// A folder in which nothing is written.
    pub(crate) fn empty(folder: &Path) -> Self {
        Self {
            file: None,
            folder: folder.to_owned(),
            mesh: name_of(folder),
            texts: Vec::new(),
        }
    }

    /// The files and their texts.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (String, Vec<u8>)> {
        self.texts.iter().cloned()
    }

    /// Where objects without a namespace are.
    pub(crate) fn namespace(&self) -> Namespace {
        Namespace::default_namespace()
    }

    /// The `Mesh` that holds if none is written: strict from the start, and open.
    pub(crate) fn mesh_object(&self) -> (String, Vec<u8>) {
        let object = json!({
            "apiVersion": "leno.dev/v1alpha1",
            "kind": "Mesh",
            "metadata": { "name": self.mesh.as_str() },
            "spec": { "mtls": "Strict", "default": "Allow", "unknownDestinations": "Allow" },
        });
        (MADE_UP.into(), object.to_string().into_bytes())
    }

    /// A `MeshWorkload` of which nothing is written but its name.
    pub(crate) fn workload_object(name: &Name) -> (String, Vec<u8>) {
        let object = json!({
            "apiVersion": "leno.dev/v1alpha1",
            "kind": "MeshWorkload",
            "metadata": { "name": name.as_str() },
        });
        (MADE_UP.into(), object.to_string().into_bytes())
    }
}

/// The file of objects that a folder may have, and the one that is read if it has none.
pub(crate) const OBJECTS: &str = "leno.yaml";
pub(crate) const PROCFILE: &str = "Procfile";

/// Where objects stand that nobody wrote.
const MADE_UP: &str = "<leno up>";

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

fn read(path: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}
