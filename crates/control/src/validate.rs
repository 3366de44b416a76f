//! Changes of a followed cluster's objects, looked at before they are made: what all its objects would mean with the one
//! that changes, compared with what they mean. Nothing is kept of it, so that a dry run is one.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use leno_compile::{Weighed, weigh};
use leno_kubernetes::{Document, Misfit, Proposed, Replaced, VALIDATE};
use leno_model::{Code, Namespace, Note, ObjectRef};
use leno_store::NotRead;
use tokio::time::timeout;

use crate::center::Center;
use crate::clock;
use crate::found::Found;
use crate::observed;

/// How many changes are looked at at a time; each takes as long as compiling the mesh twice.
pub(crate) const MOST: usize = 2;

/// How long one waits for its turn. The API server waits for five seconds in all.
const TURN: Duration = Duration::from_secs(2);

/// The longest question: what an object said and is to say, and etcd takes objects of one and a half MiB.
pub(crate) const LONGEST: usize = 4 << 20;

/// Where this process is asked, which nobody can guess: answers tell of what others have written.
pub(crate) struct Place(String);

impl Place {
    pub(crate) fn new() -> Self {
        let secret = u128::from_be_bytes(clock::secret());
        Self(format!("{VALIDATE}{secret:032x}"))
    }

    pub(crate) fn path(&self) -> &str {
        &self.0
    }

    pub(crate) fn is(&self, path: &str) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), path.as_bytes()).is_ok()
    }
}

/// Answers what the API server asks about a change: one `AdmissionReview` for another.
pub(crate) async fn review(center: &Arc<Center>, asked: &[u8]) -> Result<Vec<u8>, Misfit> {
    let proposed = Arc::new(Proposed::read(asked)?);
    if proposed.replaced().is_none() {
        return Ok(proposed.answer(&[], &[]));
    }
    let unseen = |why: &str| {
        let code = format!("{} {}", Code::K021.as_str(), Code::K021.slug());
        format!("{code}: it was not looked at what this would mean: {why}")
    };
    let sources = center.sources();
    let mut clusters = sources.iter().filter(|source| source.is_cluster());
    if let Some(why) = clusters.find_map(|cluster| cluster.trouble.clone()) {
        return Ok(proposed.answer(&[], &[unseen(&why)]));
    }
    let turn = timeout(TURN, Arc::clone(&center.changes).acquire_owned()).await;
    let Ok(Ok(turn)) = turn else {
        let why = "too many changes at once, leno check tells of them later";
        return Ok(proposed.answer(&[], &[unseen(why)]));
    };
    let (shared, question) = (Arc::clone(center), Arc::clone(&proposed));
    let look = move || {
        let told = question.replaced().map(|change| told(&shared, change));
        drop(turn);
        told.transpose()
    };
    let (refused, warned) = match tokio::task::spawn_blocking(look).await {
        Ok(Ok(told)) => told.unwrap_or_default(),
        Ok(Err(failed)) => (Vec::new(), vec![unseen(&failed.to_string())]),
        Err(_) => (Vec::new(), vec![unseen("the look failed")]),
    };
    Ok(proposed.answer(&refused, &warned))
}

/// Why a change is not to be made, and of what whoever makes it is warned.
fn told(center: &Center, change: &Replaced) -> Result<(Vec<String>, Vec<String>), NotRead> {
    let mut objects = center.store.at(center.store.head().revision)?;
    let cluster = observed::source();
    objects.retain(|object| object.key != change.object || object.owner.source != cluster);
    let sources = center.sources();
    let [before, after] = [&change.before, &change.after].map(|document| {
        let sources = replaced(&sources, change, document.as_ref());
        center.supposed(&objects, &sources)
    });
    let weighed = weigh(&change.object, &before.notes, &after.notes);
    Ok(in_words(&change.object, &weighed))
}

/// What sources say, but for one object of the cluster.
fn replaced(sources: &[Found], change: &Replaced, document: Option<&Document>) -> Vec<Found> {
    let own = [&change.before, &change.after];
    let name = own.into_iter().flatten().map(|it| it.name.clone()).next();
    let with = |found: &Found| {
        let mut found = found.clone();
        if found.is_cluster() {
            let files = Arc::make_mut(&mut found.files);
            files.retain(|(other, _)| Some(other) != name.as_ref());
            files.extend(document.map(observed::file));
        }
        found
    };
    sources.iter().map(with).collect()
}

fn in_words(object: &ObjectRef, weighed: &Weighed<'_>) -> (Vec<String>, Vec<String>) {
    let refused = weighed.refused.iter().map(|note| reason(note)).collect();
    let mut warned: Vec<_> = weighed.warned.iter().map(|note| reason(note)).collect();
    let (seen, hidden): (Vec<&Note>, Vec<_>) = weighed
        .of_others
        .iter()
        .copied()
        .partition(|note| is_shown(object.namespace.as_ref(), note));
    warned.extend(seen.into_iter().map(|note| {
        let whose = note.object().map_or_else(String::new, ToString::to_string);
        format!("{whose} would not hold as it is written: {}", reason(note))
    }));
    if !hidden.is_empty() {
        let many = hidden.len();
        warned.push(format!(
            "{many} more would not hold as it is written in other namespaces: leno check"
        ));
    }
    (refused, warned)
}

/// Whether who writes in a namespace, or for the whole mesh, is told of this by its name.
fn is_shown(own: Option<&Namespace>, note: &Note) -> bool {
    let whose = note.object().and_then(|object| object.namespace.as_ref());
    own.is_none() || own == whose
}

/// `C113 backend-not-found (fault: configuration) /spec/rules/0/backendRefs/0/name: no Service kart in shop; did you mean
/// cart? Meanwhile all calls answer 500. leno explain C113`
fn reason(note: &Note) -> String {
    let code = note.code;
    let pointer = note.origin.as_ref().map_or("", |origin| &*origin.pointer);
    let field = if pointer.is_empty() {
        "the object"
    } else {
        pointer
    };
    let mut words = format!(
        "{} {} (fault: {}) {field}: {}",
        code.as_str(),
        code.slug(),
        code.fault(),
        note.message
    );
    if let Some(suggestion) = &note.suggestion {
        words.push_str("; ");
        words.push_str(suggestion);
    }
    if !note.in_force.is_empty() {
        words.push_str("; in force: ");
        words.push_str(&note.in_force);
    }
    words.push_str("; leno explain ");
    words.push_str(code.as_str());
    words
}

#[cfg(test)]
mod tests {
    use leno_compile::compile;
    use leno_model::Notes;
    use leno_resources::Resources;

    use super::*;

    /// What a route of `namespace` needs that leads to a Service of shop.
    fn route(namespace: &str) -> String {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: pay, namespace: {namespace}}}, spec: {{ports: [{{port: 80, appProtocol: http}}]}}}}\n---\n\
             {{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {{name: pay, namespace: {namespace}}}, \
             spec: {{parentRefs: [{{group: '', kind: Service, name: pay}}], rules: [{{backendRefs: [{{name: cart, namespace: shop, port: 80}}]}}]}}}}\n---\n"
        )
    }

    fn found(text: &str) -> Notes {
        let file = ("it.yaml", text.as_bytes().to_vec());
        let (resources, _) = Resources::read([file], &Namespace::default_namespace());
        compile(&resources).1
    }

    #[test]
    fn what_a_change_breaks_of_other_namespaces_is_counted_and_not_named() {
        let cart = "{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {ports: [{port: 80, appProtocol: http}]}}\n---\n";
        let grant = "{apiVersion: gateway.networking.k8s.io/v1, kind: ReferenceGrant, metadata: {name: bank, namespace: shop}, \
                     spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: bank}], to: [{group: '', kind: Service}]}}";
        let all = format!("{}{cart}", route("bank"));
        let (before, after) = (found(&format!("{all}{grant}")), found(&all));
        let told = |namespace: Option<&str>| {
            let object = ObjectRef {
                kind: "ReferenceGrant".into(),
                namespace: namespace.map(|it| Namespace::new(it).unwrap()),
                name: leno_model::Name::new("bank").unwrap(),
            };
            let (refused, warned) = in_words(&object, &weigh(&object, &before, &after));
            assert_eq!(refused, [""; 0]);
            warned.join("\n")
        };
        let counted = "1 more would not hold as it is written in other namespaces: leno check";
        assert_eq!(told(Some("shop")), counted);
        let named = "HTTPRoute bank/pay would not hold as it is written: C103 reference-not-permitted (fault: configuration) \
                     /spec/rules/0/backendRefs/0/namespace: no ReferenceGrant in shop lets HTTPRoutes of bank use Service cart";
        for whole in [told(Some("bank")), told(None)] {
            assert!(whole.starts_with(named), "{whole}");
            assert!(whole.ends_with("; leno explain C103"), "{whole}");
        }
    }

    #[test]
    fn where_it_is_asked_nobody_can_guess() {
        let (one, other) = (Place::new(), Place::new());
        assert!(one.is(one.path()));
        let end = &one.path()[..one.path().len() - 1];
        for path in [other.path(), VALIDATE, end, "/validate", ""] {
            assert!(!one.is(path), "{path}");
        }
    }
}
