//! From files to [`Resources`]: what each document is, what it is called, and whether it is the first of its name.

use alloc::{
    borrow::ToOwned,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use leno_model::{Code, Name, Namespace, Note, Notes, ObjectRef, Origin, Severity};

use crate::decode::{Reader, Rules, Subject};
use crate::kinds::{self, GROUP, KINDS, Kind, Resources};
use crate::near;
use crate::object::{Metadata, Object, Source, Written, WrittenMetadata, span};
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
        let mut resources = Self::default();
        let mut notes = Notes::default();
        for (path, bytes) in files {
            let source = Arc::new(Source {
                path: path.into(),
                bytes,
            });
            let mut reading = Reading {
                source: &source,
                namespace,
                resources: &mut resources,
                notes: &mut notes,
            };
            for document in yaml::documents(&source.bytes) {
                match document {
                    Ok(root) => reading.document(root),
                    Err(broken) => reading.broken(broken),
                }
            }
        }
        (resources, notes)
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One file on its way into [`Resources`].
pub(crate) struct Reading<'a> {
    source: &'a Arc<Source>,
    namespace: &'a Namespace,
    resources: &'a mut Resources,
    notes: &'a mut Notes,
}

impl Reading<'_> {
    fn broken(&mut self, broken: yaml::Broken) {
        self.note(
            broken.code,
            Severity::Error,
            broken.at,
            broken.message,
            None,
        );
    }

    /// Reads a document: an object, or a list of them.
    fn document(&mut self, root: Node) {
        if root.as_map().is_none() {
            let message = "an object is expected, with apiVersion, kind and metadata".to_owned();
            return self.note(Code::C004, Severity::Error, root.at, message, None);
        }
        let Some(kind) = root.get("kind").and_then(Node::as_text).cloned() else {
            let at = root.get("kind").map_or(root.at, |kind| kind.at);
            let message = "it does not say its kind".to_owned();
            return self.note(Code::C005, Severity::Error, at, message, None);
        };
        if kind.ends_with("List")
            && root
                .get("items")
                .is_some_and(|items| items.as_list().is_some())
        {
            return self.items(root);
        }
        match kinds::versions(&kind) {
            Some(versions) => self.of_kind(&kind, versions, root),
            None => self.unknown(&kind, &root),
        }
    }

    /// Reads each object of a list such as `kubectl get -o yaml` prints.
    fn items(&mut self, root: Node) {
        let Value::Map(entries) = root.value else {
            return;
        };
        for entry in entries {
            if let ("items", Value::List(items)) = (&*entry.key, entry.value.value) {
                for item in items {
                    self.document(item);
                }
            }
        }
    }

    fn of_kind(&mut self, kind: &str, versions: &[&str], root: Node) {
        let written = root.get("apiVersion").filter(|version| !version.is_null());
        let first = versions.first().copied().unwrap_or_default();
        let Some(version) = written else {
            let message = format!("{kind} without apiVersion");
            let hint = Some(format!("write apiVersion: {first}"));
            return self.note(Code::C005, Severity::Error, root.at, message, hint);
        };
        match version.as_text() {
            Some(text) if versions.contains(&&**text) => kinds::read(kind, self, root),
            Some(text) => {
                let message = format!("{kind} of {text} is not read");
                let hint = Some(format!("write apiVersion: {first}"));
                self.note(Code::C002, Severity::Error, version.at, message, hint);
            }
            None => {
                let message = "text is expected in apiVersion".to_owned();
                self.note(Code::C004, Severity::Error, version.at, message, None);
            }
        }
    }

    fn unknown(&mut self, kind: &str, root: &Node) {
        let at = root.get("kind").map_or(root.at, |kind| kind.at);
        let group = root
            .get("apiVersion")
            .and_then(Node::as_text)
            .map(|version| &**version);
        if OTHERS_KINDS.contains(&kind) {
            let message = format!("{kind} is not a kind that Leno reads");
            return self.note(Code::C002, Severity::Info, at, message, None);
        }
        let ours = group.is_some_and(|version| version.starts_with(GROUP));
        let hint =
            near::nearest(kind, KINDS.iter().copied()).map(|kind| format!("did you mean {kind}?"));
        let severity = if ours || hint.is_some() {
            Severity::Error
        } else {
            Severity::Warning
        };
        self.note(
            Code::C002,
            severity,
            at,
            format!("{kind} is not a kind that Leno reads"),
            hint,
        );
    }

    /// Reads an object and puts it where it belongs, unless it has no name or one that is taken.
    pub(crate) fn object<T: Kind>(&mut self, root: Node) {
        let Some(reference) = self.reference::<T>(&root) else {
            return;
        };
        let root = Arc::new(root);
        let written = Written {
            reference: Arc::new(reference),
            root,
            source: self.source.clone(),
        };
        let (namespace, name) = (
            written.reference.namespace.as_ref(),
            &written.reference.name,
        );
        if let Some(first) = T::shelf(self.resources).get(namespace, name) {
            let first = first.origin("");
            return self.duplicate(&written, &first);
        }
        let object = read_object::<T>(written, self.notes);
        T::shelf(self.resources).insert(object);
    }

    /// What the object is called.
    fn reference<T: Kind>(&mut self, root: &Node) -> Option<ObjectRef> {
        let metadata = root.get("metadata").unwrap_or(root);
        let name = match metadata
            .get("name")
            .filter(|name| !name.is_null() && metadata.at != root.at)
        {
            None => {
                let message = format!("{} without metadata.name", T::NAME);
                self.note(Code::C005, Severity::Error, metadata.at, message, None);
                return None;
            }
            Some(name) => self.name(name, Name::new)?,
        };
        let namespace = match metadata
            .get("namespace")
            .filter(|namespace| !namespace.is_null())
        {
            _ if !T::NAMESPACED => None,
            None => Some(self.namespace.clone()),
            Some(namespace) => Some(self.name(namespace, Namespace::new)?),
        };
        Some(ObjectRef {
            kind: T::NAME.into(),
            namespace,
            name,
        })
    }

    fn name<N, E: ToString>(
        &mut self,
        node: &Node,
        read: impl Fn(&str) -> Result<N, E>,
    ) -> Option<N> {
        let Some(text) = node.as_text() else {
            let message = "a name is expected here, as text".to_owned();
            self.note(Code::C004, Severity::Error, node.at, message, None);
            return None;
        };
        match read(text) {
            Ok(name) => Some(name),
            Err(error) => {
                self.note(
                    Code::C007,
                    Severity::Error,
                    node.at,
                    error.to_string(),
                    None,
                );
                None
            }
        }
    }

    fn duplicate(&mut self, written: &Written, first: &Origin) {
        let span = written.span("/metadata/name");
        self.notes.push(Note {
            code: Code::C008,
            severity: Severity::Error,
            origin: Some(written.origin("/metadata/name")),
            span: Some(span),
            message: format!("{} stands already at {first}", written.reference),
            suggestion: None,
            in_force: format!("the one at {first} holds, this one does not"),
        });
    }

    /// Notes what keeps a document from being an object.
    fn note(
        &mut self,
        code: Code,
        severity: Severity,
        at: At,
        message: String,
        hint: Option<String>,
    ) {
        self.notes.push(Note {
            code,
            severity,
            origin: None,
            span: Some(span(&self.source.path, at)),
            message,
            suggestion: hint,
            in_force: "nothing of this document holds".to_owned(),
        });
    }
}

fn read_object<T: Kind>(written: Written, notes: &mut Notes) -> Object<T> {
    let root = written.root.clone();
    let subject = Subject {
        object: Some(&written.reference),
        kind: T::NAME,
        root: &written.root,
        path: &written.source.path,
    };
    let mut reader = Reader::new(subject, notes);
    let mut meta = None;
    let spec = reader.part(|reader| {
        reader.mapping(&root, T::ROOT, |reader| {
            meta = reader
                .part(|reader| reader.field::<WrittenMetadata>(&root, "metadata", &Rules::NONE))
                .partly()
                .cloned();
            match root.get("spec") {
                Some(_) => reader.field(&root, "spec", &Rules::NONE),
                None => {
                    if T::ROOT.field("spec").is_some_and(|spec| spec.required) {
                        reader.missing("spec");
                    }
                    let nothing = Node {
                        value: Value::Map(Vec::new()),
                        at: root.at,
                    };
                    reader.below("spec", |reader| reader.value(&nothing, &Rules::NONE))
                }
            }
        })
    });
    let (labels, annotations, created) = match meta {
        Some(meta) => (meta.labels, meta.annotations, meta.creation_timestamp),
        None => (BTreeMap::new(), BTreeMap::new(), None),
    };
    let ObjectRef {
        namespace, name, ..
    } = &*written.reference;
    let meta = Metadata {
        namespace: namespace.clone(),
        name: name.clone(),
        labels,
        annotations,
        created,
    };
    Object {
        meta,
        spec,
        written,
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
    "EndpointSlice",
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
