//! A mesh out of files, without anything running: what `check`, `why` and `test` look at.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use leno_admin::Finding;
use leno_compile::{Mesh, compile};
use leno_model::{Namespace, Notes};
use leno_resources::Resources;

use crate::arguments::Input;
use crate::folder::Files;
use crate::render;
use crate::terminal::Line;

/// What the files say.
pub(crate) struct Offline {
    /// What it means.
    pub(crate) mesh: Mesh,
    /// What does not hold as it was written.
    pub(crate) notes: Notes,
    /// How many objects there are.
    pub(crate) objects: usize,
    /// The namespace of names that state none.
    pub(crate) namespace: Namespace,
    /// The files, for pictures of their lines.
    pub(crate) files: Files,
    place: String,
}

impl Offline {
    /// Reads and compiles what `input` names.
    pub(crate) fn read(input: &Input) -> anyhow::Result<Self> {
        let namespace = Namespace::new(&input.namespace).context("-n")?;
        let files = Files::read(&input.files)?;
        let texts = files
            .resources
            .iter()
            .map(|(path, text)| (path.as_str(), text.clone()));
        let (resources, mut notes) = Resources::read(texts, &namespace);
        let (mesh, meaning) = compile(&resources);
        notes.extend(meaning);
        let place = input.files.iter().map(|path| path.display().to_string());
        let place = place.collect::<Vec<_>>().join(" ");
        if files.resources.is_empty() && files.tests.is_empty() {
            bail!("there is no .yaml, .yml or .json file in {place}");
        }
        Ok(Self {
            mesh,
            notes,
            objects: resources.len(),
            namespace,
            files,
            place,
        })
    }

    /// The first line of every answer: where it comes from.
    pub(crate) fn context(&self) -> Line {
        let objects = count(self.objects, "object");
        Line::new().dim(format_args!("offline · {} · {objects}", self.place))
    }

    /// What was found.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let texts = self.texts();
        let found = self.notes.iter();
        found
            .map(|note| render::note::finding(note, &texts))
            .collect()
    }

    /// The texts that findings may point into.
    pub(crate) fn texts(&self) -> BTreeMap<&str, &[u8]> {
        let all = self.files.resources.iter().chain(&self.files.tests);
        all.map(|(path, text)| (path.as_str(), text.as_slice()))
            .collect()
    }
}

/// `1 problem`, `2 problems`.
pub(crate) fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}
