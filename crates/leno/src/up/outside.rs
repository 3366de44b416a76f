//! What runs beside a mesh and is no part of it: the ports that a compose file publishes here.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use leno_admin::{Workload, WorkloadState};
use leno_model::view::WorkloadId;
use leno_resources::compose::{self, Published};

use super::screen::Columns;
use crate::terminal::Line;

/// What a folder says about programs that others run.
#[derive(Default)]
pub(crate) struct Outside {
    found: Vec<Published>,
    /// What was left out, and why.
    left: Vec<String>,
}

impl Outside {
    /// Reads the compose file of `folder`, if it has one. What is called as one of `workloads` is
    /// that workload, and not shown.
    pub(crate) fn read(folder: &Path, workloads: &[WorkloadId]) -> Self {
        let files = compose::FILES.iter();
        let mut texts = files.filter_map(|name| Some((*name, fs::read(folder.join(name)).ok()?)));
        let Some((name, text)) = texts.next() else {
            return Self::default();
        };
        let set = variables(folder);
        let (mut found, notes) = compose::read(name, &text, &|name| set.get(name).cloned());
        found.retain(|found| {
            !workloads
                .iter()
                .any(|id| id.name.as_str() == &*found.service)
        });
        let left = notes.iter().map(|note| {
            let line = note.span.as_ref().map_or(0, |span| span.start.line);
            let (code, slug) = (note.code, note.code.slug());
            format!("{name}:{line}  {}  {code} {slug}", note.message)
        });
        Self {
            left: left.collect(),
            found,
        }
    }

    /// The names that stand in the first column.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.found.iter().map(|found| &*found.service)
    }

    /// Each as a workload that is no part of the mesh.
    pub(crate) fn workloads(&self) -> impl Iterator<Item = Workload> {
        self.found.iter().map(|found| Workload {
            name: found.service.to_string(),
            state: WorkloadState::Outside,
            what: "plain: it has no proxy".to_owned(),
            trouble: None,
            place: Some(found.place.to_string()),
            published: vec![found.to_string()],
            next: None,
        })
    }

    /// A line for each.
    pub(crate) fn lines(&self, columns: &Columns) -> Vec<Line> {
        let found = self.found.iter().map(|found| {
            let (file, line) = (&found.place.file, found.place.line);
            let what = format!("{found} ({file}:{line}), plain: it has no proxy");
            columns.outside(&found.service, &what)
        });
        let left = self.left.iter();
        let left = left.map(|left| Line::new().doubtful("  ! ").plain(left));
        found.chain(left).collect()
    }
}

/// The variables that a compose file may name: of the file `.env` beside it, and above all of our own
/// environment.
fn variables(folder: &Path) -> BTreeMap<String, String> {
    let file = fs::read_to_string(folder.join(".env")).unwrap_or_default();
    let written = file.lines().filter_map(|line| {
        let (name, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
        let value = value.trim().trim_matches(['"', '\'']);
        Some((name.trim().to_owned(), value.to_owned()))
    });
    let own = std::env::vars_os();
    let own =
        own.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    written.chain(own).collect()
}
