//! What of an installation is in a cluster, and taking it away.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Error;
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, ListParams};
use leno_model::ControlName;
use serde_json::{Value, json};

use super::beside::{Named, listed};
use super::{Installation, NetworkFolders, NotApplied, Object, hook, labels, node, spelling};
use crate::cluster::Cluster;
use crate::injection::PROXY;
use crate::{document, status};

/// What of an installation is there.
#[derive(Debug, Default)]
pub struct Installed {
    /// What goes, in this order: nobody is asked about pods by then who is not there any more, and what holds others
    /// goes last.
    pub goes: Vec<Object>,
    /// Kinds that go with so many objects of people's own.
    pub lost: Vec<(Object, usize)>,
    /// Kinds that stay, since there are so many objects of people's own.
    pub stays: Vec<(Object, usize)>,
    /// Routes whose status says something of ours: how many.
    pub reported: usize,
    /// How many of its pods have a proxy, by namespace.
    pub proxies: BTreeMap<String, usize>,
    /// The control planes that are there beside it; the default one has no name.
    pub others: BTreeSet<Option<ControlName>>,
    /// The namespaces that name it.
    pub naming: Vec<String>,
}

impl Cluster {
    /// Looks what of the installation of this name is there; with `objects`, the kinds of which there are objects go
    /// too, and these with them. What several have in common goes with the last of them.
    pub async fn installed(
        &self,
        name: Option<&ControlName>,
        objects: bool,
    ) -> Result<Installed, NotApplied> {
        let mut others = self.control_planes().await?;
        others.remove(&name.cloned());
        let is_last = others.is_empty();
        let mut installed = Installed {
            others,
            ..Installed::default()
        };
        let mut kinds = Vec::new();
        for object in all(name, is_last).into_iter().rev() {
            if !self.is_there(&object).await? {
                continue;
            }
            match object.kind() {
                "CustomResourceDefinition" => kinds.push(object),
                _ => installed.goes.push(object),
            }
        }
        for kind in kinds {
            let (own, others) = self.count(&kind).await?;
            installed.goes.extend(own);
            match others {
                0 => installed.goes.push(kind),
                _ if objects => {
                    installed.lost.push((kind.clone(), others));
                    installed.goes.push(kind);
                }
                _ => installed.stays.push((kind, others)),
            }
        }
        // The default one writes it.
        if name.is_none() || is_last {
            installed.reported = self.told_routes().await?.len();
        }
        let named = self.named_by_namespaces().await?;
        installed.proxies = self.proxies(name, &named).await?;
        installed.naming = name.map_or_else(Vec::new, |name| named.naming(name));
        Ok(installed)
    }

    /// Looks what of nodes' proxies is there, and of nothing else.
    pub async fn installed_on_nodes(&self) -> Result<Installed, NotApplied> {
        let mut installed = Installed::default();
        let [account, proxies] = node::all(&of_default());
        for object in [node::clearing_by_name(), proxies, account] {
            if self.is_there(&object).await? {
                installed.goes.push(object);
            }
        }
        Ok(installed)
    }

    /// Takes an object away, and waits until it is gone.
    pub async fn remove(&self, object: &Object, patience: Duration) -> Result<(), NotApplied> {
        self.ask_to_go(object).await?;
        let gone = async {
            while self.is_there(object).await? {
                tokio::time::sleep(LOOK).await;
            }
            Ok(())
        };
        let waited = tokio::time::timeout(patience, gone).await;
        waited.unwrap_or_else(|_| {
            Err(NotApplied::Refused {
                object: object.to_string(),
                why: "it is being deleted, and something holds it: its finalizers".to_owned(),
            })
        })
    }

    /// Asks for the end of an object and of what it has made, if it is there.
    pub(super) async fn ask_to_go(&self, object: &Object) -> Result<(), NotApplied> {
        let api = self.api_of(object);
        let asked = api.delete(object.name(), &DeleteParams::foreground()).await;
        match asked {
            Ok(_) => Ok(()),
            Err(Error::Api(status)) if status.code == 404 => Ok(()),
            Err(why) => Err(NotApplied::of(object, &why)),
        }
    }

    /// Takes what is reported of routes out of their status; what others say there stays. Says of how many routes.
    pub async fn unreport(&self) -> Result<usize, NotApplied> {
        let mut cleared = 0;
        // Whoever else writes the status of a route in between has it looked at again.
        for _ in 0..MOST_LOOKS {
            let told = self.told_routes().await?;
            if told.is_empty() {
                return Ok(cleared);
            }
            cleared += self.silence(&told).await?;
        }
        match self.told_routes().await?.first() {
            None => Ok(cleared),
            Some((route, _)) => Err(NotApplied::Refused {
                object: route.to_string(),
                why: "somebody else writes its status all the time".to_owned(),
            }),
        }
    }

    /// Takes it out of the status of these, and says of how many: not of those that others have written since.
    async fn silence(&self, told: &[(Object, Vec<Value>)]) -> Result<usize, NotApplied> {
        let mut cleared = 0;
        for (object, others) in told {
            let api = self.api_of(object);
            let change = json!({
                "metadata": {"resourceVersion": object.body["metadata"]["resourceVersion"]},
                "status": {"parents": others},
            });
            let written = status::write(&api, object.name(), &change).await;
            let is_written = written.map_err(|why| NotApplied::of(object, &why))?;
            cleared += usize::from(is_written);
        }
        Ok(cleared)
    }

    pub(super) async fn is_there(&self, object: &Object) -> Result<bool, NotApplied> {
        match self.api_of(object).get_metadata(object.name()).await {
            Ok(_) => Ok(true),
            Err(Error::Api(status)) if status.code == 404 => Ok(false),
            Err(why) => Err(NotApplied::of(object, &why)),
        }
    }

    /// The objects of a kind that were installed, and how many others there are.
    async fn count(&self, kind: &Object) -> Result<(Vec<Object>, usize), NotApplied> {
        let names = &kind.body["spec"]["names"];
        let named = |field: &str| names[field].as_str().unwrap_or_default();
        let spelling = spelling(named("kind"));
        let resource = document::resource(&spelling);
        let (mut own, mut others) = (Vec::new(), 0);
        for object in self
            .list(&resource)
            .await
            .map_err(|why| NotApplied::of(kind, &why))?
        {
            let labelled = object.metadata.labels.unwrap_or_default();
            let is_own = labels()
                .iter()
                .all(|(name, value)| labelled.get(name) == Some(value));
            match is_own {
                true => own.push(Object {
                    resource: resource.clone(),
                    body: json!({"metadata": {"name": object.metadata.name}}),
                }),
                false => others += 1,
            }
        }
        Ok((own, others))
    }

    /// The routes whose status says something of ours, and what others say there.
    async fn told_routes(&self) -> Result<Vec<(Object, Vec<Value>)>, NotApplied> {
        let mut told = Vec::new();
        for kind in status::routes() {
            let resource = document::resource(&kind);
            let routes = match self.list(&resource).await {
                Ok(routes) => routes,
                Err(Error::Api(status)) if status.code == 404 => continue,
                Err(why) => {
                    let body = json!({"metadata": {"name": kind.plural}});
                    return Err(NotApplied::of(&Object { resource, body }, &why));
                }
            };
            for route in routes {
                if let Some(others) = status::others(&route.data["status"]) {
                    let body = json!({"metadata": route.metadata});
                    let resource = resource.clone();
                    told.push((Object { resource, body }, others));
                }
            }
        }
        Ok(told)
    }

    async fn proxies(
        &self,
        name: Option<&ControlName>,
        named: &Named,
    ) -> Result<BTreeMap<String, usize>, NotApplied> {
        let pods = listed(&Api::<Pod>::all(self.client.clone()), "pods").await?;
        let mut proxies = BTreeMap::new();
        for pod in pods.iter().filter(|pod| has_proxy(pod)) {
            let namespace = pod.metadata.namespace.clone().unwrap_or_default();
            if named.is_served_by(name, &namespace, pod.metadata.labels.as_ref()) {
                *proxies.entry(namespace).or_default() += 1;
            }
        }
        Ok(proxies)
    }

    async fn list(&self, resource: &ApiResource) -> Result<Vec<DynamicObject>, Error> {
        let api = Api::<DynamicObject>::all_with(self.client.clone(), resource);
        Ok(api.list(&ListParams::default()).await?.items)
    }
}

/// All that may be there of the installation of this name, with what several have in common if it is the last.
fn all(name: Option<&ControlName>, is_last: bool) -> Vec<Object> {
    let default = of_default();
    let mut objects = default.objects();
    objects.push(node::clearing_by_name());
    // What Helm has left of a hook that failed.
    objects.extend(hook::all(&default.image));
    match name {
        None => objects.retain(|object| is_last || !object.is_of_all()),
        Some(name) => {
            objects.retain(|object| is_last && object.is_of_all());
            let name = Some(name.clone());
            objects.extend(Installation { name, ..default }.objects());
        }
    }
    objects
}

/// An installation with all that one can have.
fn of_default() -> Installation {
    Installation {
        name: None,
        image: String::new(),
        storage_class: None,
        node: true,
        network: NetworkFolders::default(),
    }
}

impl Object {
    /// Whether several control planes have it in common.
    fn is_of_all(&self) -> bool {
        matches!(self.kind(), "CustomResourceDefinition" | "Namespace")
    }
}

/// How often it is looked whether something is gone.
const LOOK: Duration = Duration::from_millis(200);

/// How often the status of routes is looked at anew that others write meanwhile.
const MOST_LOOKS: usize = 5;

fn has_proxy(pod: &Pod) -> bool {
    let spec = pod.spec.as_ref();
    let first = spec.and_then(|spec| spec.init_containers.as_deref());
    let all = spec.map(|spec| spec.containers.as_slice());
    let mut containers = first.into_iter().chain(all).flatten();
    containers.any(|container| container.name == PROXY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_have_in_common_goes_with_the_last() {
        let canary = ControlName::new("canary").unwrap();
        let told = |name: Option<&ControlName>, is_last| {
            let all = all(name, is_last);
            let is_of_all = |object: &&Object| object.is_of_all();
            (all.iter().filter(is_of_all).count(), all.len())
        };
        let (common, all) = told(None, true);
        assert!(common > 1);
        assert_eq!(told(None, false), (0, all - common));
        let (none, own) = told(Some(&canary), false);
        assert_eq!(none, 0);
        assert_eq!(told(Some(&canary), true), (common, own + common));
    }

    #[test]
    fn a_pod_has_a_proxy_before_its_containers_or_beside_them() {
        let pod = |spec: Value| has_proxy(&serde_json::from_value(json!({"spec": spec})).unwrap());
        assert!(pod(
            json!({"initContainers": [{"name": PROXY}], "containers": [{"name": "a"}]})
        ));
        assert!(pod(json!({"containers": [{"name": PROXY}]})));
        assert!(!pod(json!({"containers": [{"name": "a"}]})));
    }
}
