//! Leno's own kinds, as a cluster is told of them.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::ApiResource;
use serde_json::{Value, json};

use super::{Object, labels};

/// What `cargo xtask generate` makes of the kinds' Rust types.
const FILE: &str = include_str!("../../../../deploy/kubernetes/crds.yaml");

/// A definition for each kind.
pub(super) fn all() -> impl Iterator<Item = Object> {
    // Comments come before the first.
    let documents = FILE.split("---\n").skip(1);
    documents.map(|document| {
        let mut body: Value =
            serde_json::from_str(document).expect("each document of that file is JSON");
        body["metadata"]["labels"] = json!(labels());
        Object {
            resource: ApiResource::erase::<CustomResourceDefinition>(&()),
            body,
        }
    })
}

#[cfg(test)]
mod tests {
    use leno_resources::{GROUP, spellings};

    use super::*;

    #[test]
    fn there_is_one_for_each_kind_of_ours() {
        let mut defined: Vec<_> = all().map(|object| object.name().to_owned()).collect();
        let own = spellings().filter(|kind| kind.api_version.starts_with(GROUP));
        let mut own: Vec<_> = own.map(|kind| format!("{}.{GROUP}", kind.plural)).collect();
        defined.sort();
        own.sort();
        assert_eq!(defined, own);
    }
}
