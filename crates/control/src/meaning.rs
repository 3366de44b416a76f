//! What all sources say together: objects and files in, a mesh and its findings out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use leno_compile::{Mesh, compile, with_pods};
use leno_model::view::WorkloadId;
use leno_model::{Code, Name, Namespace, Note, Notes, Override, Severity, TrustDomain};
use leno_resources::pod::Pods;
use leno_resources::{ReadFile, Resources, Source};
use leno_store::Object;

use crate::found::Found;
use crate::layout::{Laid, lay};
use crate::present::{self, MADE_UP, Present};

/// What the sources say, as it was read.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) resources: Resources,
    notes: Notes,
    files: Vec<Arc<ReadFile>>,
}

/// What the sources say, and what it means.
#[derive(Debug)]
pub(crate) struct Meaning {
    pub(crate) written: Arc<Written>,
    /// The mesh, without what distant proxies report.
    pub(crate) mesh: Mesh,
    /// What does not hold as it was written. The same value for as long as it is the same.
    pub(crate) notes: Arc<Notes>,
    /// Whether a `Mesh` object names the mesh.
    pub(crate) is_named: bool,
    compiled: Compiled,
}

/// What a mesh was compiled from, where nothing that ran was added to it since, and what was noted.
#[derive(Debug)]
struct Compiled {
    resources: Resources,
    notes: Notes,
    /// The trust domain of the CA, and what the mesh is called where nobody has written one.
    known: (Option<TrustDomain>, Option<Name>),
    is_all: bool,
}

/// What is known beside what is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    /// The trust domain of the CA, once there is one.
    pub(crate) domain: Option<&'a TrustDomain>,
    /// What the mesh is called where nobody has written a `Mesh`.
    pub(crate) mesh: Option<&'a Name>,
    /// What runs.
    pub(crate) present: &'a BTreeMap<WorkloadId, Present>,
    /// The pods of the cluster.
    pub(crate) pods: &'a Arc<Pods>,
    /// The measures that hold over what is written.
    pub(crate) overrides: &'a [Override],
}

impl Written {
    /// Reads what `before` does not have already. Each object has one source: what another source holds, the
    /// store cannot hold too.
    pub(crate) fn read(objects: &[Object], sources: &[Found], before: &Self) -> Self {
        let mut files = Vec::new();
        for found in sources {
            files.extend(found.files.iter().map(|(path, text)| Laid {
                path: path.clone(),
                namespace: Namespace::default_namespace(),
                text: text.clone(),
            }));
        }
        files.extend(lay(objects));
        Self::of_files(files, before)
    }

    /// The same of files as [`Self::files`] gives them.
    pub(crate) fn of_files(files: Vec<Laid>, before: &Self) -> Self {
        let known = before.files.iter().map(|file| {
            let source = file.source();
            ((&source.path, file.namespace(), &source.bytes), file)
        });
        let known = known.collect::<BTreeMap<_, _>>();
        let read = |file: Laid| match known.get(&(&file.path, &file.namespace, &file.text)) {
            Some(file) => Arc::clone(file),
            None => {
                let Laid {
                    path,
                    namespace,
                    text: bytes,
                } = file;
                Arc::new(ReadFile::new(Source { path, bytes }, namespace))
            }
        };
        let files: Vec<_> = files.into_iter().map(read).collect();
        let (resources, notes) = Resources::of_files(files.iter().map(AsRef::as_ref));
        Self {
            resources,
            notes,
            files,
        }
    }

    /// The files it was read from.
    pub(crate) fn files(&self) -> impl Iterator<Item = &ReadFile> {
        self.files.iter().map(AsRef::as_ref)
    }

    /// How many objects there are.
    pub(crate) fn objects(&self) -> usize {
        self.resources.len()
    }

    /// What stands on the line that a finding is about.
    pub(crate) fn line(&self, note: &Note) -> Option<String> {
        let start = &note.span.as_ref()?.start;
        let index = usize::try_from(start.line.checked_sub(1)?).ok()?;
        let sources = self.files().map(ReadFile::source);
        let of_file = sources.filter(|source| source.path == start.file);
        let mut lines = of_file.filter_map(|source| {
            let text = std::str::from_utf8(&source.bytes).ok()?;
            text.lines()
                .nth(index)
                .filter(|line| !line.trim().is_empty())
        });
        lines.next().map(str::to_owned)
    }
}

impl Known<'_> {
    fn beside(&self) -> (Option<TrustDomain>, Option<Name>) {
        (self.domain.cloned(), self.mesh.cloned())
    }
}

impl Compiled {
    fn of(written: &Resources, known: Known<'_>) -> (Mesh, Self) {
        let mut resources = written.clone();
        if resources.meshes.is_empty() {
            make_up_mesh(&mut resources, known);
        }
        present::complete(&mut resources, known.present);
        resources.pods = Arc::clone(known.pods);
        resources.overrides = known.overrides.to_vec();
        let (mut mesh, notes) = compile(&resources);
        present::settle(&mut mesh, known.present);
        let compiled = Self {
            resources,
            notes,
            known: known.beside(),
            is_all: known.present.is_empty(),
        };
        (mesh, compiled)
    }
}

impl Meaning {
    /// Compiles what is written, with what is known beside it. Where nothing but pods is another than it was
    /// `before`, what it means is told from that.
    pub(crate) fn of(written: &Arc<Written>, known: Known<'_>, before: Option<&Self>) -> Self {
        let same = before.filter(|before| Arc::ptr_eq(&before.written, written));
        let turned = same.and_then(|before| before.with_pods(known));
        let (mesh, compiled) = turned.unwrap_or_else(|| {
            let (mut mesh, compiled) = Compiled::of(&written.resources, known);
            if let Some(before) = before {
                mesh.share(&before.mesh);
            }
            (mesh, compiled)
        });
        let mut notes = written.notes.clone();
        notes.extend(compiled.notes.clone());
        notes.extend(foreign(&mesh, &compiled.resources, known.domain));
        let same = before.filter(|before| *before.notes == notes);
        Self {
            written: Arc::clone(written),
            mesh,
            notes: same.map_or_else(|| Arc::new(notes), |same| Arc::clone(&same.notes)),
            is_named: !written.resources.meshes.is_empty(),
            compiled,
        }
    }

    fn with_pods(&self, known: Known<'_>) -> Option<(Mesh, Compiled)> {
        let before = &self.compiled;
        let is_known = before.known == known.beside();
        let is_alone = known.present.is_empty() && known.overrides.is_empty();
        if !(is_known && is_alone && before.is_all) {
            return None;
        }
        let (mesh, notes) = with_pods(&before.resources, &self.mesh, &before.notes, known.pods)?;
        let mut resources = before.resources.clone();
        resources.pods = Arc::clone(known.pods);
        let compiled = Compiled {
            resources,
            notes,
            known: known.beside(),
            is_all: true,
        };
        Some((mesh, compiled))
    }

    /// What it was compiled from: what is written, with the pods of the cluster.
    pub(crate) fn compiled_from(&self) -> &Resources {
        &self.compiled.resources
    }

    /// The findings that `before` lacks.
    pub(crate) fn news(&self, before: &Self) -> Vec<&Note> {
        let known = before.gists();
        self.notes
            .iter()
            .filter(|note| !known.contains(&Gist::of(note)))
            .collect()
    }

    /// What its findings come to.
    pub(crate) fn gists(&self) -> BTreeSet<Gist> {
        self.notes.iter().map(Gist::of).collect()
    }

    /// The objects that were written and in which nothing is wrong, a line each.
    pub(crate) fn sound(&self) -> Vec<String> {
        let flawed: BTreeSet<_> = self.notes.iter().filter_map(Note::object).collect();
        let names = self.written.resources.names();
        let sound = names.filter(|name| !flawed.contains(&***name));
        sound.map(ToString::to_string).collect()
    }

    /// How many errors there are.
    pub(crate) fn problems(&self) -> usize {
        self.notes
            .iter()
            .filter(|note| note.severity == Severity::Error)
            .count()
    }
}

/// Adds the mesh that holds where nobody has written one. It stays in the trust domain that its CA is
/// of; one that has a name is strict from the start, and open.
fn make_up_mesh(resources: &mut Resources, known: Known<'_>) {
    let name = known.mesh.map_or("mesh", Name::as_str);
    let stance = known
        .mesh
        .map(|_| "mtls: Strict, default: Allow, unknownDestinations: Allow");
    let domain = known.domain.map(|domain| format!("trustDomain: {domain}"));
    let spec = stance.map(str::to_owned).into_iter().chain(domain);
    let text = format!(
        "apiVersion: leno.dev/v1alpha1\nkind: Mesh\nmetadata: {{name: {name}}}\nspec: {{{}}}\n",
        spec.collect::<Vec<_>>().join(", ")
    );
    let file = (Arc::from(MADE_UP), text.into_bytes());
    let (made_up, _) = Resources::read([file], &Namespace::default_namespace());
    for object in made_up.meshes.iter() {
        resources.meshes.insert(object.clone());
    }
}

/// What makes two findings the same one, wherever the object stands.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Gist {
    pub(crate) code: Code,
    /// The object and the field in it.
    pub(crate) field: Option<String>,
    pub(crate) message: String,
    pub(crate) severity: Severity,
}

impl Gist {
    pub(crate) fn of(note: &Note) -> Self {
        let field = note
            .origin
            .as_ref()
            .map(|origin| format!("{} {}", origin.object, origin.pointer));
        Self {
            code: note.code,
            field,
            message: note.message.clone(),
            severity: note.severity,
        }
    }
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
