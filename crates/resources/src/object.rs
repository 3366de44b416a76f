//! One object: what it is called, what it says, and where each part of it stands.

use alloc::{collections::BTreeMap, string::String, sync::Arc};

use leno_model::note::Span;
use leno_model::{Name, Namespace, ObjectRef, Origin, Place, Wall};

use crate::decode::object;
use crate::part::Part;
use crate::pod::Pod;
use crate::service::Ignored;
use crate::text::{Text, text};
use crate::yaml::{At, Node, Piece, lines, pieces};

/// The objects of one kind, in order of namespace and name. A clone shares them.
#[derive(Clone, Debug)]
pub struct Objects<T>(Arc<ByName<T>>);

type ByName<T> = BTreeMap<(Option<Namespace>, Name), Arc<Object<T>>>;

impl<T> Objects<T> {
    /// The object of this name; `namespace` is `None` for kinds that have none.
    pub fn get(&self, namespace: Option<&Namespace>, name: &Name) -> Option<&Object<T>> {
        let object = self.0.get(&(namespace.cloned(), name.clone()));
        object.map(AsRef::as_ref)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Object<T>> {
        self.0.values().map(AsRef::as_ref)
    }

    /// All of them, for who knows more than was written: what runs, and where. Each is a copy from then on.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Object<T>>
    where
        T: Clone,
    {
        let objects = Arc::make_mut(&mut self.0);
        objects.values_mut().map(Arc::make_mut)
    }

    /// Those of which this says so.
    pub fn filtered<'a>(&'a self, mut is_wanted: impl FnMut(&'a Object<T>) -> bool) -> Self {
        let wanted = self.0.iter().filter(|(_, object)| is_wanted(object));
        let wanted = wanted.map(|(key, object)| (key.clone(), object.clone()));
        Self(Arc::new(wanted.collect()))
    }

    /// Whether one of `others` has the name of one of these.
    pub(crate) fn is_taken(&self, others: &Self) -> bool {
        others.0.keys().any(|key| self.0.contains_key(key))
    }

    /// Adds `others`, whose names are free.
    pub(crate) fn join(&mut self, others: &Self) {
        let others = others.0.iter();
        let others = others.map(|(key, object)| (key.clone(), object.clone()));
        Arc::make_mut(&mut self.0).extend(others);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an object, unless there is one of its name already.
    pub fn insert(&mut self, object: Object<T>) {
        let key = (object.meta.namespace.clone(), object.meta.name.clone());
        let objects = Arc::make_mut(&mut self.0);
        objects.entry(key).or_insert_with(|| Arc::new(object));
    }
}

impl<T> Default for Objects<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

/// One object of a kind whose `spec` is a `T`.
#[derive(Clone, Debug)]
pub struct Object<T> {
    /// Its name and what else every object has.
    pub meta: Metadata,
    /// What it says.
    pub spec: Part<T>,
    pub(crate) written: Written,
}

/// What every object has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Metadata {
    /// Its namespace; absent for the kinds that have none.
    pub namespace: Option<Namespace>,
    /// Its name.
    pub name: Name,
    /// What it may be selected by.
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
    /// What others have written on it.
    pub annotations: BTreeMap<Arc<str>, Arc<str>>,
    /// When it was created, if it says so: objects from files seldom do.
    pub created: Option<Wall>,
    /// How often its spec changed, if it is a cluster's and its kind counts that.
    pub generation: Option<i64>,
}

object! {
    /// What an object is called, and what is written on it.
    pub(crate) struct WrittenMetadata {
        /// Its name, once per kind and namespace.
        pub name: Name = "name";
        /// Its namespace; without it, the one that was asked for, else `default`.
        pub namespace: Option<Namespace> = "namespace";
        /// What it may be selected by.
        pub labels: BTreeMap<Arc<str>, Arc<str>> = "labels";
        /// What others write on it.
        pub annotations: BTreeMap<Arc<str>, Arc<str>> = "annotations";
        /// When it was created; the older of two routes wins where all else is equal.
        pub creation_timestamp: Option<Wall> = "creationTimestamp";
        /// Kubernetes' own number for it; not used.
        pub uid: Option<Ignored> = "uid";
        /// Kubernetes' own version of it; not used.
        pub resource_version: Option<Ignored> = "resourceVersion";
        /// How often its spec changed, as the cluster counts.
        pub generation: Option<i64> = "generation";
        /// Who wrote which field; not used.
        pub managed_fields: Option<Ignored> = "managedFields";
        /// What it belongs to; not used.
        pub owner_references: Option<Ignored> = "ownerReferences";
        /// What must be done before it goes; not used.
        pub finalizers: Option<Ignored> = "finalizers";
        /// The beginning of a name that Kubernetes completed; not used.
        pub generate_name: Option<Ignored> = "generateName";
        /// Where Kubernetes once served it; not used.
        pub self_link: Option<Ignored> = "selfLink";
        /// When its deletion was asked for; not used.
        pub deletion_timestamp: Option<Ignored> = "deletionTimestamp";
        /// How long its deletion may take; not used.
        pub deletion_grace_period_seconds: Option<Ignored> = "deletionGracePeriodSeconds";
    }
}

/// A file as it was given.
#[derive(PartialEq, Eq, Debug)]
pub struct Source {
    /// Its path, as it was given.
    pub path: Arc<str>,
    /// Its bytes. Of what was read they are UTF-8.
    pub bytes: Arc<[u8]>,
}

/// An object as it was written.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) reference: Arc<ObjectRef>,
    pub(crate) root: Arc<Node>,
    pub(crate) source: Arc<Source>,
    /// Whether it is one of a list.
    pub(crate) is_item: bool,
}

/// An object without what it says: what it is called, and where its fields stand.
#[derive(Clone, Copy, Debug)]
pub struct Outline<'a> {
    /// Its name and what else every object has.
    pub meta: &'a Metadata,
    reference: &'a Arc<ObjectRef>,
    /// Absent for what a cluster tells and nobody wrote.
    written: Option<&'a Written>,
}

impl<'a, T> From<&'a Object<T>> for Outline<'a> {
    fn from(object: &'a Object<T>) -> Self {
        Self {
            meta: &object.meta,
            reference: &object.written.reference,
            written: Some(&object.written),
        }
    }
}

impl<'a> From<&'a Pod> for Outline<'a> {
    fn from(pod: &'a Pod) -> Self {
        Self {
            meta: &pod.meta,
            reference: &pod.reference,
            written: None,
        }
    }
}

impl<'a> Outline<'a> {
    /// [`Object::reference`].
    pub fn reference(&self) -> &'a Arc<ObjectRef> {
        self.reference
    }

    /// [`Object::origin`]. What nobody wrote stands at no place.
    pub fn origin(&self, pointer: &str) -> Origin {
        Origin {
            object: self.reference.clone(),
            pointer: pointer.into(),
            place: self.span(pointer).map(|span| span.start),
        }
    }

    /// [`Object::span`], of what was written.
    pub fn span(&self, pointer: &str) -> Option<Span> {
        Some(self.written?.span(pointer))
    }
}

impl<T> Object<T> {
    /// The object's name, as notes and origins carry it.
    pub fn reference(&self) -> &Arc<ObjectRef> {
        &self.written.reference
    }

    /// The origin of the field at `pointer` (RFC 6901, from the object's root: `/spec/rules/0`). A
    /// field that nobody wrote has the place of what would hold it.
    pub fn origin(&self, pointer: &str) -> Origin {
        self.written.origin(pointer)
    }

    /// The text of the field at `pointer`, for the picture of its line.
    pub fn span(&self, pointer: &str) -> Span {
        self.written.span(pointer)
    }

    /// Whether something is written at `pointer`, readable or not.
    pub fn is_written(&self, pointer: &str) -> bool {
        self.written.root.find(pointer).is_some()
    }

    /// Its own text; `None` for an item of a list that is nothing without the others.
    pub fn text(&self) -> Option<Text> {
        text(&self.written)
    }

    /// The file it was written in.
    pub fn source(&self) -> &Arc<Source> {
        &self.written.source
    }
}

impl Written {
    pub(crate) fn origin(&self, pointer: &str) -> Origin {
        Origin {
            object: self.reference.clone(),
            pointer: pointer.into(),
            place: Some(self.span(pointer).start),
        }
    }

    pub(crate) fn span(&self, pointer: &str) -> Span {
        span(&self.source.path, self.root.nearest(pointer).at)
    }
}

pub(crate) fn span(path: &Arc<str>, at: At) -> Span {
    let At {
        line,
        column,
        width,
    } = at;
    Span {
        start: Place {
            file: path.clone(),
            line,
            column,
        },
        width,
    }
}

impl Source {
    /// The document that the line with this number, counted from 1, belongs to, and the line it
    /// begins at. Comments above a document are part of it, and so are its markers.
    pub fn document(&self, number: u32) -> Option<(u32, &[u8])> {
        let begun = |piece: &Piece<'_>| piece.first_line <= number;
        let piece = pieces(&self.bytes).take_while(begun).last()?;
        Some((piece.first_line, piece.bytes))
    }

    /// The line with this number, counted from 1, without its end.
    pub fn line(&self, number: u32) -> Option<String> {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        let line = lines(&self.bytes).nth(at)?;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        Some(String::from_utf8_lossy(line).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_leads_to_the_document_it_stands_in() {
        let source = Source {
            path: "a.yaml".into(),
            bytes: b"# head\na: 1\n---\nb: 2\nc: 3\n"[..].into(),
        };
        let document = |line| {
            source
                .document(line)
                .map(|(first, text)| (first, text.to_vec()))
        };
        assert_eq!(document(2), Some((1, b"# head\na: 1\n".to_vec())));
        assert_eq!(document(3), Some((3, b"---\nb: 2\nc: 3\n".to_vec())));
        assert_eq!(document(5), document(3));
        assert_eq!(document(0), None);
    }
}
