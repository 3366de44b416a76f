//! From files to [`Resources`]: what each document is, what it is called, and whether it is the
//! first of its name.

mod object;

use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use leno_model::{BadName, Code, Name, Namespace, Note, Notes, ObjectRef, Origin, Severity, near};

use crate::kinds::{self, GROUP, KINDS, Kind, Resources};
use crate::object::{Source, Written, span};
use crate::yaml::{self, At, Node, Value};

impl Resources {
    /// Reads files: each a path, as notes will name it, and its bytes. What cannot be used is noted
    /// and costs only itself. Objects that name no namespace get `namespace`.
    ///
    /// Of two objects of one name the first one holds. Linear in the size of the files, but for
    /// finding each object's name among the others.
    pub fn read<P: Into<Arc<str>>>(
        files: impl IntoIterator<Item = (P, Vec<u8>)>,
        namespace: &Namespace,
    ) -> (Self, Notes) {
        Self::read_each(
            files
                .into_iter()
                .map(|(path, bytes)| (path, bytes, namespace)),
        )
    }

    /// The same for files that have each a namespace of their own for objects that name none.
    pub fn read_each<'n, P: Into<Arc<str>>>(
        files: impl IntoIterator<Item = (P, Vec<u8>, &'n Namespace)>,
    ) -> (Self, Notes) {
        let mut all = Self::default();
        let mut notes = Notes::default();
        for (path, bytes, namespace) in files {
            let source = Source {
                path: path.into(),
                bytes: bytes.into(),
            };
            all.read_file(&Arc::new(source), namespace, &mut notes);
        }
        (all, notes)
    }

    /// What files say together, of which each was read by itself. The same as if they were read one after
    /// the other.
    pub fn of_files<'f>(files: impl IntoIterator<Item = &'f ReadFile>) -> (Self, Notes) {
        let mut all = Self::default();
        let mut notes = Notes::default();
        for file in files {
            if all.is_taken(&file.resources) {
                all.read_file(&file.source, &file.namespace, &mut notes);
            } else {
                all.join(&file.resources);
                notes.extend(file.notes.clone());
            }
        }
        (all, notes)
    }

    fn read_file(&mut self, source: &Arc<Source>, namespace: &Namespace, notes: &mut Notes) {
        let mut reading = Reading {
            source,
            namespace,
            resources: self,
            notes,
            is_item: false,
        };
        for document in yaml::documents(&source.bytes) {
            match document {
                Ok(root) => reading.document(root),
                Err(broken) => reading.tell(broken.into()),
            }
        }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A file, read by itself: what stays the same need not be read again.
#[derive(Debug)]
pub struct ReadFile {
    source: Arc<Source>,
    namespace: Namespace,
    resources: Resources,
    notes: Notes,
}

impl ReadFile {
    /// Reads one; objects that name no namespace get `namespace`.
    pub fn new(source: Source, namespace: Namespace) -> Self {
        let mut file = Self {
            source: Arc::new(source),
            namespace,
            resources: Resources::default(),
            notes: Notes::default(),
        };
        let (source, namespace) = (&file.source, &file.namespace);
        file.resources.read_file(source, namespace, &mut file.notes);
        file
    }

    /// The file as it was given.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The namespace of objects that name none.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }
}

/// One file on its way into [`Resources`].
pub(crate) struct Reading<'a> {
    source: &'a Arc<Source>,
    namespace: &'a Namespace,
    resources: &'a mut Resources,
    notes: &'a mut Notes,
    /// Whether what is read is one of a list.
    is_item: bool,
}

/// What keeps a document from being an object.
pub(crate) struct Problem {
    code: Code,
    severity: Severity,
    at: At,
    message: String,
    hint: Option<String>,
}

impl Reading<'_> {
    /// Reads a document: an object, or a list of them such as `kubectl get -o yaml` prints.
    fn document(&mut self, root: Node) {
        if !is_list(&root) {
            let read = identify(&root).and_then(|kind| kinds::read(&kind, self, root));
            return read.unwrap_or_else(|problem| self.tell(problem));
        }
        let Value::Map(entries) = root.value else {
            return;
        };
        for entry in entries {
            if let ("items", Value::List(items)) = (&*entry.key, entry.value.value) {
                self.is_item = true;
                items.into_iter().for_each(|item| self.document(item));
            }
        }
        self.is_item = false;
    }

    /// Reads an object and puts it where it belongs, unless it has no name or one that is taken.
    pub(crate) fn object<T: Kind>(&mut self, root: Node) -> Result<(), Problem> {
        let reference = reference::<T>(&root, self.namespace)?;
        let written = Written {
            reference: Arc::new(reference),
            root: Arc::new(root),
            source: self.source.clone(),
            is_item: self.is_item,
        };
        let (namespace, name) = (&written.reference.namespace, &written.reference.name);
        match T::shelf(self.resources).get(namespace.as_ref(), name) {
            Some(first) => {
                let first = first.origin("");
                self.notes.push(duplicate(&written, &first));
            }
            None => {
                let object = object::read(written, self.notes);
                T::shelf(self.resources).insert(object);
            }
        }
        Ok(())
    }

    fn tell(&mut self, problem: Problem) {
        self.notes.push(Note {
            code: problem.code,
            severity: problem.severity,
            origin: None,
            span: Some(span(&self.source.path, problem.at)),
            message: problem.message,
            suggestion: problem.hint,
            in_force: "nothing of this document holds".to_owned(),
        });
    }
}

fn is_list(root: &Node) -> bool {
    let kind = root.get("kind").and_then(Node::as_text);
    kind.is_some_and(|kind| kind.ends_with("List"))
        && root
            .get("items")
            .is_some_and(|items| items.as_list().is_some())
}

/// The object's kind, if it is one that is read in this version.
fn identify(root: &Node) -> Result<Arc<str>, Problem> {
    if root.as_map().is_none() {
        let message = "an object is expected, with apiVersion, kind and metadata".to_owned();
        return Err(Problem::error(Code::C004, root.at, message));
    }
    let kind = stated(root, "kind", "it does not say its kind")?;
    let Some(versions) = kinds::versions(kind.text) else {
        return Err(unknown(&kind, root));
    };
    let known = versions
        .first()
        .map(|version| format!("write apiVersion: {version}"));
    let without = format!("{} without apiVersion", kind.text);
    let version =
        stated(root, "apiVersion", &without).map_err(|problem| problem.hint(known.clone()))?;
    if !versions.contains(&version.text) {
        let message = format!("{} of {} is not read", kind.text, version.text);
        return Err(Problem::error(Code::C002, version.at, message).hint(known));
    }
    Ok(kind.text.into())
}

/// A text that an object says about itself.
struct Stated<'a> {
    text: &'a str,
    at: At,
}

fn stated<'a>(root: &'a Node, key: &str, missing: &str) -> Result<Stated<'a>, Problem> {
    let Some(node) = root.get(key).filter(|node| !node.is_null()) else {
        return Err(Problem::error(Code::C005, root.at, missing.to_owned()));
    };
    match node.as_text() {
        Some(text) => Ok(Stated { text, at: node.at }),
        None => Err(Problem::error(
            Code::C004,
            node.at,
            format!("text is expected in {key}"),
        )),
    }
}

/// A kind that is not read: an error where it was probably meant for Leno.
fn unknown(kind: &Stated<'_>, root: &Node) -> Problem {
    let version = root.get("apiVersion").and_then(Node::as_text);
    let ours = version.is_some_and(|version| version.split('/').next() == Some(GROUP));
    let meant = near::nearest(kind.text, KINDS.iter().copied());
    let severity = if OTHERS_KINDS.contains(&kind.text) {
        Severity::Info
    } else if ours || meant.is_some() {
        Severity::Error
    } else {
        Severity::Warning
    };
    let message = format!("{} is not a kind that Leno reads", kind.text);
    let hint = meant
        .filter(|_| severity == Severity::Error)
        .map(|kind| format!("did you mean {kind}?"));
    let problem = Problem::error(Code::C002, kind.at, message).hint(hint);
    Problem {
        severity,
        ..problem
    }
}

/// What the object is called.
fn reference<T: Kind>(root: &Node, default: &Namespace) -> Result<ObjectRef, Problem> {
    let without = || format!("{} without metadata.name", T::NAME);
    let metadata = root.get("metadata").filter(|metadata| !metadata.is_null());
    let metadata = metadata.ok_or_else(|| Problem::error(Code::C005, root.at, without()))?;
    let name = stated(metadata, "name", &without())?.read(Name::new)?;
    let namespace = match metadata
        .get("namespace")
        .filter(|namespace| !namespace.is_null())
    {
        _ if !T::NAMESPACED => None,
        None => Some(default.clone()),
        Some(_) => Some(stated(metadata, "namespace", "")?.read(Namespace::new)?),
    };
    Ok(ObjectRef {
        kind: T::NAME.into(),
        namespace,
        name,
    })
}

impl Stated<'_> {
    fn read<N>(&self, read: impl Fn(&str) -> Result<N, BadName>) -> Result<N, Problem> {
        read(self.text).map_err(|error| Problem::error(Code::C007, self.at, error.to_string()))
    }
}

fn duplicate(written: &Written, first: &Origin) -> Note {
    Note {
        code: Code::C008,
        severity: Severity::Error,
        origin: Some(written.origin("/metadata/name")),
        span: Some(written.span("/metadata/name")),
        message: format!("{} stands already at {first}", written.reference),
        suggestion: None,
        in_force: format!("the one at {first} holds, this one does not"),
    }
}

impl Problem {
    fn error(code: Code, at: At, message: String) -> Self {
        Self {
            code,
            severity: Severity::Error,
            at,
            message,
            hint: None,
        }
    }

    fn hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }
}

impl From<yaml::Broken> for Problem {
    fn from(broken: yaml::Broken) -> Self {
        Self::error(broken.code, broken.at, broken.message)
    }
}

/// Kinds that stand beside ours in people's folders and are somebody else's to carry out.
const OTHERS_KINDS: &[&str] = &[
    "ClusterRole",
    "ClusterRoleBinding",
    "ConfigMap",
    "CronJob",
    "CustomResourceDefinition",
    "DaemonSet",
    "Deployment",
    "Endpoints",
    "HorizontalPodAutoscaler",
    "Ingress",
    "IngressClass",
    "Job",
    "Kustomization",
    "LimitRange",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Pod",
    "PodDisruptionBudget",
    "PriorityClass",
    "ReplicaSet",
    "ResourceQuota",
    "Role",
    "RoleBinding",
    "Secret",
    "ServiceAccount",
    "StatefulSet",
    "StorageClass",
];
