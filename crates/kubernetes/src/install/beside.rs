//! Several control planes in one cluster: which are there, and who names which.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ApiResource, ListParams, Resource};
use leno_model::ControlName;
use leno_model::control_name::DEFAULT_CONTROL;
use leno_resources::pod::CONTROL as LABEL;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{CONTROL, NAMESPACE, NotApplied, Object};
use crate::cluster::Cluster;

/// What namespaces say of the control plane that is to serve the proxies in their pods.
pub(super) struct Named(BTreeMap<String, String>);

impl Named {
    /// Whether a pod of a namespace is served by the one of this name.
    pub(super) fn is_served_by(
        &self,
        name: Option<&ControlName>,
        namespace: &str,
        labels: Option<&BTreeMap<String, String>>,
    ) -> bool {
        let own = labels.and_then(|labels| labels.get(LABEL));
        let said = own.or_else(|| self.0.get(namespace));
        let said = said.map_or(DEFAULT_CONTROL, String::as_str);
        said == name.map_or(DEFAULT_CONTROL, ControlName::as_str)
    }

    /// The namespaces that name this one.
    pub(super) fn naming(&self, name: &ControlName) -> Vec<String> {
        let naming = self.0.iter().filter(|(_, said)| *said == name.as_str());
        naming.map(|(namespace, _)| namespace.clone()).collect()
    }
}

impl Cluster {
    /// The control planes that are there, by their names; the default one has none.
    pub async fn control_planes(&self) -> Result<BTreeSet<Option<ControlName>>, NotApplied> {
        let deployments = Api::<Deployment>::namespaced(self.client.clone(), NAMESPACE);
        let deployments = listed(&deployments, "deployments").await?;
        let names = deployments
            .iter()
            .filter_map(|it| it.metadata.name.as_deref());
        let control = names.filter_map(|name| match name.strip_prefix(CONTROL)? {
            "" => Some(None),
            rest => ControlName::new(rest.strip_prefix('-')?).ok().map(Some),
        });
        Ok(control.collect())
    }

    /// What namespaces say.
    pub(super) async fn named_by_namespaces(&self) -> Result<Named, NotApplied> {
        let namespaces = Api::<Namespace>::all(self.client.clone());
        let namespaces = listed(&namespaces, "namespaces").await?;
        let said = namespaces.into_iter().filter_map(|namespace| {
            let label = namespace.metadata.labels?.remove(LABEL)?;
            Some((namespace.metadata.name?, label))
        });
        Ok(Named(said.collect()))
    }
}

/// All objects, or why they cannot be looked at.
pub(super) async fn listed<K>(api: &Api<K>, plural: &str) -> Result<Vec<K>, NotApplied>
where
    K: Resource<DynamicType = ()> + Clone + Serialize + DeserializeOwned + std::fmt::Debug,
{
    let listed = api.list(&ListParams::default()).await;
    let listed = listed.map_err(|why| {
        let resource = ApiResource::erase::<K>(&());
        let body = json!({"metadata": {"name": plural}});
        NotApplied::of(&Object { resource, body }, &why)
    })?;
    Ok(listed.items)
}
