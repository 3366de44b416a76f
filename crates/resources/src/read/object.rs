//! Reads one object whose name is known.

use alloc::{format, vec::Vec};

use leno_model::{Code, Notes};

use crate::decode::{Reader, Rules, Subject};
use crate::kinds::Kind;
use crate::object::{Metadata, Object, Written, WrittenMetadata};
use crate::yaml::{Node, Value};

pub(super) fn read<T: Kind>(written: Written, notes: &mut Notes) -> Object<T> {
    let root = written.root.clone();
    let subject = Subject {
        object: Some(&written.reference),
        kind: T::NAME,
        root: &root,
        path: &written.source.path,
    };
    let mut reader = Reader::new(subject, notes);
    let mut meta = None;
    let spec = reader.part(|reader| {
        reader.mapping(&root, T::ROOT, |reader| {
            meta = metadata::<T>(&root, reader);
            spec(&root, reader)
        })
    });
    reader.close();
    let (name, namespace) = (&written.reference.name, &written.reference.namespace);
    let meta = Metadata {
        namespace: namespace.clone(),
        name: name.clone(),
        labels: meta
            .as_ref()
            .map(|meta| meta.labels.clone())
            .unwrap_or_default(),
        annotations: meta
            .as_ref()
            .map(|meta| meta.annotations.clone())
            .unwrap_or_default(),
        created: meta.as_ref().and_then(|meta| meta.creation_timestamp),
        generation: meta.and_then(|meta| meta.generation),
    };
    Object {
        meta,
        spec,
        written,
    }
}

/// Reads the metadata. What is wrong in it leaves the object's spec as it is.
fn metadata<T: Kind>(root: &Node, reader: &mut Reader<'_>) -> Option<WrittenMetadata> {
    let part = reader.part(|reader| reader.field(root, "metadata", &Rules::NONE));
    let namespace = root.get("metadata")?.get("namespace");
    if let Some(namespace) = namespace.filter(|namespace| !T::NAMESPACED && !namespace.is_null()) {
        let message = format!("a {} has no namespace", T::NAME);
        reader.warn("/metadata/namespace", Code::C007, namespace, message);
    }
    part.partly().cloned()
}

/// Reads the spec. Without one, that of an object which says nothing.
fn spec<T: Kind>(root: &Node, reader: &mut Reader<'_>) -> Option<T> {
    if T::FLAT {
        return reader.value(&body::<T>(root), &Rules::NONE);
    }
    if root.get("spec").is_some_and(|spec| !spec.is_null()) {
        return reader.field(root, "spec", &Rules::NONE);
    }
    if T::ROOT.field("spec").is_some_and(|spec| spec.required) {
        reader.missing("spec");
        return None;
    }
    let nothing = Node {
        value: Value::Map(Vec::new()),
        at: root.at,
    };
    reader.below("spec", |reader| reader.value(&nothing, &Rules::NONE))
}

/// Of an object that has no spec the fields that say something. What is unknown is told with the object itself.
fn body<T: Kind>(root: &Node) -> Node {
    let says = |key: &str| T::SHAPE.schema().is_some_and(|it| it.field(key).is_some());
    let entries = root.as_map().unwrap_or_default().iter();
    let entries = entries.filter(|entry| says(&entry.key) && !entry.repeated);
    Node {
        value: Value::Map(entries.cloned().collect()),
        at: root.at,
    }
}
