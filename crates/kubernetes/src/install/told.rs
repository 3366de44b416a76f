//! Where the mesh is and what proves it, for proxies that nobody tells: a ConfigMap that is made empty, and that the
//! control plane fills in.

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding};
use kube::Error;
use kube::api::{Api, Patch, PatchParams};
use leno_model::ControlName;
use serde_json::json;

use super::{NAMESPACE, Object, called, named, rights};
use crate::cluster::Cluster;

/// What it is called.
pub(super) const MESH: &str = "leno-mesh";
/// The field of it that says `leno-mesh:...`.
pub(super) const KEY: &str = "mesh";

/// The nodes are not told where the mesh is.
#[derive(Debug, thiserror::Error)]
#[error("configmap {NAMESPACE}/{MESH}, by which nodes' proxies find the mesh: {0}")]
pub struct NotTold(Box<Error>);

impl Cluster {
    /// Tells nodes' proxies where the mesh is, `leno-mesh:...`, unless they are told so already, or nothing was installed
    /// here that they could be told by.
    pub async fn tell_mesh(&self, mesh: &str) -> Result<(), NotTold> {
        let api = Api::<ConfigMap>::namespaced(self.client.clone(), NAMESPACE);
        let refused = |why| NotTold(Box::new(why));
        let Some(now) = api.get_opt(MESH).await.map_err(refused)? else {
            return Ok(());
        };
        let told = now.data.as_ref().and_then(|data| data.get(KEY));
        if told.is_some_and(|told| told == mesh) {
            return Ok(());
        }
        let change = Patch::Merge(json!({"data": {KEY: mesh}}));
        let patched = api.patch(MESH, &PatchParams::default(), &change).await;
        patched.map(drop).map_err(refused)
    }
}

impl Cluster {
    /// What nodes' proxies, and control planes beside the default one, are told: where the mesh is, if that was told.
    pub async fn mesh_told(&self) -> Result<Option<String>, NotTold> {
        let api = Api::<ConfigMap>::namespaced(self.client.clone(), NAMESPACE);
        let map = api.get_opt(MESH).await;
        let map = map.map_err(|why| NotTold(Box::new(why)))?;
        Ok(map.and_then(|map| map.data?.remove(KEY)))
    }
}

/// The object.
pub(super) fn map() -> Object {
    Object::of(&ConfigMap {
        metadata: named(MESH),
        ..ConfigMap::default()
    })
}

/// The right to fill it in, or, of one that stands beside the default one, to find that by it.
pub(super) fn rights(name: Option<&ControlName>) -> [Object; 2] {
    let own = called(name);
    let verbs = match name {
        None => vec!["get".to_owned(), "patch".to_owned()],
        Some(_) => vec!["get".to_owned()],
    };
    let role = Role {
        metadata: named(&own),
        rules: Some(vec![right(verbs)]),
    };
    let binding = RoleBinding {
        metadata: named(&own),
        role_ref: rights::role("Role", &own),
        subjects: Some(vec![rights::subject(&own)]),
    };
    [Object::of(&role), Object::of(&binding)]
}

/// To this one object, and to make none.
fn right(verbs: Vec<String>) -> PolicyRule {
    let one = |word: &str| Some(vec![word.to_owned()]);
    PolicyRule {
        api_groups: one(""),
        resources: one("configmaps"),
        resource_names: one(MESH),
        verbs,
        ..PolicyRule::default()
    }
}
