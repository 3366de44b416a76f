//! Objects whose text the rest of Leno reads: routes, policies, Services, namespaces.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ApiResource, DynamicObject};
use leno_resources::Spelling;
use serde_json::{Map, Value, json};

use crate::wanted::{MANAGER, WHY};
use crate::yaml;

/// Where the cluster has the objects of a kind.
pub(crate) fn resource(kind: &Spelling) -> ApiResource {
    let version = kind.api_version;
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: kind.api_version.to_owned(),
        kind: kind.kind.to_owned(),
        plural: kind.plural.to_owned(),
    }
}

/// The labels of those objects of a kind that are used. Of a Service that selects its pods, these are who is
/// behind it: its slices, one for each hundred of them, are not even told.
pub(crate) fn wanted(kind: &Spelling) -> &'static str {
    match kind.kind {
        "EndpointSlice" => {
            "endpointslice.kubernetes.io/managed-by!=endpointslice-controller.k8s.io"
        }
        _ => "",
    }
}

/// Whether objects of a kind say what somebody wants, and not who runs where.
pub(crate) fn is_wanted(kind: &Spelling) -> bool {
    kind.kind != "EndpointSlice"
}

/// Who has changed last what an object says, by the name that they give themselves: `kubectl-client-side-apply`.
pub(crate) fn author(metadata: &ObjectMeta) -> Option<&str> {
    let managers = metadata.managed_fields.iter().flatten();
    let of_all = managers.filter(|it| it.subresource.as_deref().unwrap_or_default().is_empty());
    let newest = of_all.max_by(|one, next| one.time.cmp(&next.time))?;
    newest.manager.as_deref()
}

/// Why it was changed last, if who changed it last said so by Leno: others leave standing what was said of a change before.
pub(crate) fn why(metadata: &ObjectMeta) -> Option<&str> {
    let why = metadata.annotations.as_ref()?.get(WHY)?;
    (author(metadata)? == MANAGER).then_some(why)
}

/// What somebody has written of an object of a cluster, by its text in a revision: without what the cluster counts by itself.
/// `None` for what is no object.
pub fn said(text: &str) -> Option<Value> {
    let mut said = yaml::read(text)?;
    let metadata = said.get_mut("metadata")?.as_object_mut()?;
    metadata.remove("creationTimestamp");
    metadata.remove("generation");
    Some(said)
}

/// What of an object says what was wanted: without its status, and without what others keep in its
/// metadata. In YAML, a field a line, since findings and differences show lines.
pub(crate) fn text(kind: &Spelling, object: DynamicObject) -> String {
    let DynamicObject { metadata, data, .. } = object;
    let mut kept = Map::new();
    kept.insert("name".to_owned(), json!(metadata.name));
    if let Some(namespace) = metadata.namespace {
        kept.insert("namespace".to_owned(), json!(namespace));
    }
    if let Some(labels) = metadata.labels.filter(|labels| !labels.is_empty()) {
        kept.insert("labels".to_owned(), json!(labels));
    }
    if let Some(created) = metadata.creation_timestamp {
        kept.insert("creationTimestamp".to_owned(), json!(created));
    }
    if let Some(generation) = metadata.generation {
        kept.insert("generation".to_owned(), json!(generation));
    }
    let mut root = Map::new();
    root.insert("apiVersion".to_owned(), json!(kind.api_version));
    root.insert("kind".to_owned(), json!(kind.kind));
    root.insert("metadata".to_owned(), Value::Object(kept));
    if let Value::Object(data) = data {
        let said = data.into_iter().filter(|(field, _)| field != "status");
        root.extend(said);
    }
    yaml::written(&Value::Object(root))
}
