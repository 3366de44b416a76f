//! What a cluster says, as revisions: each state of it that was in force has a number, by which it can be told, compared
//! with others, and held.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use leno_kubernetes::Document;
use leno_model::{ObjectRef, Place, Wall};
use leno_store::{Change, Deed, Failed, Label, Message, Object, Refused, SOURCE, Store, Upsert};

use crate::auditing::label;
use crate::found::{CLUSTER, File, Found};

/// What a cluster says.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    /// Its objects.
    pub(crate) documents: Arc<Vec<Document>>,
    /// Who made it another than it was before, if that was seen.
    pub(crate) authors: Option<Authors>,
    /// Why what it says by now could not be read.
    pub(crate) trouble: Option<Arc<str>>,
}

/// Who made a cluster say something else, and why.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Authors {
    /// By the names that they give themselves.
    names: BTreeSet<Arc<str>>,
    /// In their words, of those who said so.
    reasons: BTreeSet<Arc<str>>,
}

impl Authors {
    /// All of those, too.
    pub(crate) fn extend(&mut self, others: Self) {
        self.names.extend(others.names);
        self.reasons.extend(others.reasons);
    }
}

/// What a cluster says, but for what a revision has of it.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) found: Found,
    /// Why no revision has anything of it.
    pub(crate) refused: Option<Refused>,
}

impl Said {
    /// Makes what is wanted there a revision, unless the newest one says so already. What is the store's own stays so.
    pub(crate) fn record(self, store: &Store, now: Wall) -> Result<Recorded, Failed> {
        let (wanted, others): (Vec<_>, Vec<_>) = self
            .documents
            .iter()
            .partition(|document| document.wanted.is_some());
        let upserts = wanted.iter().filter_map(|document| upsert(document));
        let change = Change {
            source: source(),
            who: who(self.authors.as_ref()),
            message: message(self.authors.as_ref()),
            at: now,
            expected: None,
            deed: Deed::Observe {
                objects: upserts.collect(),
            },
            watch: None,
        };
        let (left, refused) = match store.commit(change, |_| Ok(())) {
            Ok(outcome) => {
                let left = outcome.left.iter().filter_map(|left| left.owned());
                let left: BTreeSet<_> = left.cloned().collect();
                let is_left = |wanted: &Arc<ObjectRef>| left.contains(&**wanted);
                let mut left = wanted;
                left.retain(|document| document.wanted.as_ref().is_some_and(is_left));
                (left, None)
            }
            Err(Refused::Failed(failed)) => return Err(failed),
            Err(refused) => (wanted, Some(refused)),
        };
        let files = others.into_iter().chain(left).map(file);
        Ok(Recorded {
            found: Found {
                source: CLUSTER.into(),
                position: 0,
                files: Arc::new(files.collect()),
                trouble: self.trouble,
            },
            refused,
        })
    }
}

/// Who wrote what is wanted otherwise than before. Who deleted something is not known.
pub(crate) fn authors(before: &[Document], after: &[Document]) -> Authors {
    let known: BTreeMap<_, _> = before.iter().map(|it| (&it.name, &it.text)).collect();
    let is_news = |document: &&Document| known.get(&document.name) != Some(&&document.text);
    let wanted = after.iter().filter(|document| document.wanted.is_some());
    let mut authors = Authors::default();
    for document in wanted.filter(is_news) {
        authors.names.extend(document.author.clone());
        authors.reasons.extend(document.why.clone());
    }
    authors
}

/// What `now` is while what others than the store have is served as it was `then`.
pub(crate) fn hold(now: Vec<Object>, then: Vec<Object>) -> Vec<Object> {
    let is_ours = |object: &Object| object.owner.source.as_str() == SOURCE;
    let ours = now.into_iter().filter(is_ours);
    let mut held: BTreeMap<_, _> = ours.map(|object| (object.key.clone(), object)).collect();
    for object in then.into_iter().filter(|object| !is_ours(object)) {
        held.entry(object.key.clone()).or_insert(object);
    }
    held.into_values().collect()
}

/// The source whose objects are those of a cluster.
pub(crate) fn source() -> Label {
    Label::new("cluster").expect("a word is a label")
}

fn who(authors: Option<&Authors>) -> Label {
    let authors = authors.into_iter().flat_map(|it| &it.names);
    let authors: Vec<_> = authors.map(|it| &**it).collect();
    match authors.is_empty() {
        true => label(CLUSTER),
        false => label(&authors.join(", ")),
    }
}

fn message(authors: Option<&Authors>) -> Message {
    let Some(authors) = authors else {
        return Message::new("as the control plane found it").unwrap_or_default();
    };
    let reasons: Vec<_> = authors.reasons.iter().map(|it| &**it).collect();
    // What anybody can write there may be too long, or no text for a terminal.
    Message::new(&reasons.join("; ")).unwrap_or_default()
}

fn upsert(document: &Document) -> Option<Upsert> {
    Some(Upsert {
        key: ObjectRef::clone(document.wanted.as_ref()?),
        place: Some(Place {
            file: Arc::clone(&document.name),
            line: 1,
            column: 1,
        }),
        text: Arc::clone(&document.text),
    })
}

/// What a document is as a file of its own.
pub(crate) fn file(document: &Document) -> File {
    (
        Arc::clone(&document.name),
        Arc::from(Arc::clone(&document.text)),
    )
}

#[cfg(test)]
mod tests {
    use leno_model::{Name, Namespace};
    use leno_store::{Entry, Revision, Settings};

    use super::*;

    fn key(name: &str) -> ObjectRef {
        ObjectRef {
            kind: "Service".into(),
            namespace: Some(Namespace::new("shop").unwrap()),
            name: Name::new(name).unwrap(),
        }
    }

    /// `NAME=TEXT by AUTHOR`, or a slice that is called so.
    fn documents(objects: &[&str]) -> Vec<Document> {
        let document = |object: &&str| {
            let (said, author) = object.split_once(" by ").unwrap_or((object, "kubectl"));
            let (name, text) = said.split_once('=').unwrap();
            Document {
                name: format!("Service shop/{name}").into(),
                text: text.into(),
                wanted: (!name.starts_with("slice")).then(|| Arc::new(key(name))),
                author: Some(author.into()),
                why: (author == "leno").then(|| "so".into()),
            }
        };
        objects.iter().map(document).collect()
    }

    fn said(before: Option<&[&str]>, objects: &[&str]) -> Said {
        let documents = documents(objects);
        let since = |before: &[&str]| authors(&self::documents(before), &documents);
        Said {
            authors: before.map(since),
            documents: Arc::new(documents),
            trouble: None,
        }
    }

    fn named(objects: &[Object]) -> String {
        let named = objects
            .iter()
            .map(|it| format!("{}={}", it.key.name, it.text));
        named.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_state_of_a_cluster_is_a_revision_of_who_made_it() {
        let folder = format!("leno-observed-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        let store = Store::open(&folder, Settings::default()).unwrap();
        let own = Upsert {
            key: key("dns"),
            place: None,
            text: "own".into(),
        };
        let apply = Change {
            source: Label::new(SOURCE).unwrap(),
            who: label("ops"),
            message: Message::default(),
            at: Wall::default(),
            expected: None,
            deed: Deed::Apply {
                set: label("shop"),
                upserts: vec![own],
                prune: false,
            },
            watch: None,
        };
        store.commit(apply, |_| Ok(())).unwrap();

        let states: [&[&str]; 4] = [
            &["web=1", "cart=1", "slice-a=1"],
            &["web=1", "cart=2 by argocd", "slice-a=2"],
            &["web=2 by leno", "cart=2", "dns=theirs", "slice-a=2"],
            &["web=2", "dns=theirs", "slice-a=2"],
        ];
        let mut before = None;
        let mut rest = Vec::new();
        for state in states {
            let recorded = said(before, state).record(&store, Wall::default()).unwrap();
            assert!(recorded.refused.is_none());
            let names = recorded
                .found
                .files
                .iter()
                .map(|(name, _)| name.to_string());
            rest.push(names.collect::<Vec<_>>().join(" "));
            before = Some(state);
        }
        let slice = "Service shop/slice-a";
        let both = "Service shop/slice-a Service shop/dns";
        assert_eq!(rest, [slice, slice, both, both], "what no revision has");
        let told = |entry: &Entry| {
            let Entry {
                revision,
                who,
                message,
                ..
            } = entry;
            format!("{revision} {who} {message}").trim_end().to_owned()
        };
        let history = store.history(4, None).unwrap();
        assert_eq!(
            history.iter().map(told).collect::<Vec<_>>(),
            [
                "5 the cluster",
                "4 kubectl, leno so",
                "3 argocd",
                "2 the cluster as the control plane found it",
            ]
        );

        // What is held is what the cluster had, and not what was applied.
        let at = |revision| store.at(Revision(revision)).unwrap();
        assert_eq!(named(&at(5)), "dns=own web=2");
        assert_eq!(named(&hold(at(5), at(2))), "cart=1 dns=own web=1");
        assert_eq!(named(&hold(at(5), at(1))), "dns=own");
        drop(store);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
