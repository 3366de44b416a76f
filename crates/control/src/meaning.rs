//! What all sources say together: objects and files in, a mesh and its findings out.

use std::collections::BTreeSet;
use std::sync::Arc;

use leno_compile::{Mesh, compile};
use leno_model::{Code, Namespace, Note, Notes, Severity, TrustDomain};
use leno_resources::Resources;
use leno_store::Object;

use crate::folder::Found;
use crate::layout::lay;

/// What the sources say.
#[derive(Debug)]
pub(crate) struct Meaning {
    /// The mesh, without what proxies report.
    pub(crate) mesh: Mesh,
    /// What does not hold as it was written.
    pub(crate) notes: Notes,
    /// How many objects there are.
    pub(crate) objects: usize,
    /// Whether a `Mesh` object names the mesh.
    pub(crate) is_named: bool,
    texts: Vec<(Arc<str>, Vec<u8>)>,
}

impl Meaning {
    /// Reads and compiles. Each object has one source: what a folder holds, the store cannot hold too.
    /// `domain` is the CA's, once there is one.
    pub(crate) fn of(objects: &[Object], folders: &[Found], domain: Option<&TrustDomain>) -> Self {
        let default = Namespace::default_namespace();
        let mut files = Vec::new();
        for folder in folders {
            files.extend(
                folder
                    .files
                    .iter()
                    .map(|(path, text)| (path.clone(), text.clone(), default.clone())),
            );
        }
        files.extend(
            lay(objects)
                .into_iter()
                .map(|laid| (laid.path, laid.text, laid.namespace)),
        );
        let texts = files
            .iter()
            .map(|(path, text, _)| (path.clone(), text.clone()))
            .collect();
        let each = files
            .iter()
            .map(|(path, text, namespace)| (path.clone(), text.clone(), namespace));
        let (resources, mut notes) = Resources::read_each(each);
        let (mesh, more) = compile(&resources);
        notes.extend(more);
        for folder in folders {
            notes.extend(trouble(folder));
        }
        notes.extend(foreign(&mesh, &resources, domain));
        Self {
            mesh,
            notes,
            objects: resources.len(),
            is_named: !resources.meshes.is_empty(),
            texts,
        }
    }

    /// The findings that `before` lacks.
    pub(crate) fn news(&self, before: &Self) -> Vec<&Note> {
        let known: BTreeSet<_> = before.notes.iter().map(gist).collect();
        self.notes
            .iter()
            .filter(|note| !known.contains(&gist(note)))
            .collect()
    }

    /// What stands on the line that a finding is about.
    pub(crate) fn line(&self, note: &Note) -> Option<String> {
        let start = &note.span.as_ref()?.start;
        let index = usize::try_from(start.line.checked_sub(1)?).ok()?;
        let of_file = self.texts.iter().filter(|(path, _)| *path == start.file);
        let mut lines = of_file.filter_map(|(_, text)| {
            let text = std::str::from_utf8(text).ok()?;
            text.lines()
                .nth(index)
                .filter(|line| !line.trim().is_empty())
        });
        lines.next().map(str::to_owned)
    }

    /// How many errors there are.
    pub(crate) fn problems(&self) -> usize {
        self.notes
            .iter()
            .filter(|note| note.severity == Severity::Error)
            .count()
    }
}

/// What makes two findings the same one, wherever the object stands.
fn gist(note: &Note) -> (Code, Option<String>, &str, Severity) {
    let field = note
        .origin
        .as_ref()
        .map(|origin| format!("{} {}", origin.object, origin.pointer));
    (note.code, field, note.message.as_str(), note.severity)
}

fn trouble(folder: &Found) -> Notes {
    let mut notes = Notes::default();
    if let Some(trouble) = &folder.trouble {
        notes.push(Note {
            code: Code::C010,
            severity: Severity::Error,
            origin: None,
            span: None,
            message: format!(
                "the watched folder {} cannot be read: {trouble}",
                folder.folder
            ),
            suggestion: None,
            in_force: "what it held before".to_owned(),
        });
    }
    notes
}

/// A mesh that wants another trust domain than the CA's has no identities.
fn foreign(mesh: &Mesh, resources: &Resources, domain: Option<&TrustDomain>) -> Notes {
    let mut notes = Notes::default();
    let wanted = &mesh.settings.trust_domain;
    let Some(domain) = domain.filter(|domain| *domain != wanted) else {
        return notes;
    };
    let named = resources.meshes.iter().next();
    notes.push(Note {
        code: Code::C007,
        severity: Severity::Error,
        origin: named.map(|mesh| mesh.origin("/spec/trustDomain")),
        span: named.map(|mesh| mesh.span("/spec/trustDomain")),
        message: format!(
            "the mesh wants the trust domain {wanted}, and its CA is that of {domain}"
        ),
        suggestion: Some(format!("write trustDomain: {domain}")),
        in_force: "no workload gets a certificate".to_owned(),
    });
    notes
}
