//! What a control plane is in a cluster: the objects that make it one, as values.
//!
//! [`Installation::objects`] says what there is to be. Whoever prints it, compares it with a cluster or puts it there
//! goes by the same objects.

mod apply;
mod beside;
mod chart;
mod check;
mod clear;
mod hook;
mod kinds;
mod node;
mod pod;
mod ready;
mod remove;
mod rights;
mod told;

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ApiResource, Resource};
use leno_model::role::{CONTROL_PLANE, SYSTEM};
use leno_model::{ControlName, TrustDomain};
use leno_resources::pod::MODE;
use leno_resources::{Spelling, spellings};
use serde::Serialize;
use serde_json::{Value, json};

pub(crate) use self::apply::wanted;
pub use self::apply::{Change, NotApplied};
pub use self::check::{Checked, Problem};
pub use self::clear::NotCleared;
pub use self::node::NetworkFolders;
pub use self::ready::NotReady;
pub use self::remove::Installed;
pub use self::told::NotTold;
use crate::document;
use crate::webhook::{validation, webhook};
use crate::yaml;

/// The namespace of all that is Leno's own.
pub const NAMESPACE: &str = SYSTEM;

/// What the control plane's objects are called.
pub const CONTROL: &str = CONTROL_PLANE;

/// Where a namespace says which pods it takes, and what takes all of them.
const LEVEL: &str = "pod-security.kubernetes.io/enforce";
const PRIVILEGED: &str = "privileged";

/// The port at which the control plane takes calls, of proxies and of the API server.
const PORT: u16 = 15012;

/// What is chosen of an installation.
#[derive(Clone, Debug)]
pub struct Installation {
    /// What it is called beside the default one; nothing for that one itself.
    pub name: Option<ControlName>,
    /// The image of the control plane, and of the proxies that pods get.
    pub image: String,
    /// The class of the volume for its state; without it, the cluster's default one.
    pub storage_class: Option<String>,
    /// Whether there is a proxy on each node, for pods that have none in them, which loads the packet rules of those that
    /// have. The default control plane brings them, and no other does.
    pub node: bool,
    /// Where nodes keep what connects their pods.
    pub network: NetworkFolders,
}

impl Installation {
    /// All objects of a control plane, in the order in which they can be made: what others need comes first. A
    /// [`mesh`] is not among them: it belongs to whoever runs the mesh. One that stands beside the default one reads by
    /// that one's kinds, and brings nothing that is there once.
    pub fn objects(&self) -> Vec<Object> {
        match &self.name {
            None => self.of_default(),
            Some(name) => self.beside(name),
        }
    }

    fn of_default(&self) -> Vec<Object> {
        let mut objects: Vec<_> = kinds::all().collect();
        objects.push(Object::of(&namespace(self.node)));
        objects.extend(rights::all(None));
        objects.push(told::map());
        objects.extend(told::rights(None));
        objects.extend(pod::all(self));
        if self.node {
            objects.extend(node::all(self));
        }
        objects.push(asking_about_changes());
        // Last: while nobody answers, no pod is made that is to have a sidecar.
        objects.push(asking(None));
        objects
    }

    fn beside(&self, name: &ControlName) -> Vec<Object> {
        let mut objects: Vec<_> = rights::all(Some(name)).into();
        objects.extend(told::rights(Some(name)));
        objects.extend(pod::all(self));
        objects.push(asking(Some(name)));
        objects
    }
}

/// The mesh of a cluster that has none: whoever is in it calls as before, by mTLS where both ends can, and nothing is
/// refused.
pub fn mesh(trust_domain: &TrustDomain) -> Object {
    let kind = spelling("Mesh");
    let spec = json!({
        "trustDomain": trust_domain.as_str(),
        "mtls": "Permissive",
        "default": "Allow",
        "unknownDestinations": "Allow",
    });
    Object {
        resource: document::resource(&kind),
        body: json!({
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": {"name": "default", "labels": labels()},
            "spec": spec,
        }),
    }
}

/// How a kind is spelt that Leno reads.
fn spelling(kind: &str) -> Spelling {
    let found = spellings().find(|spelling| spelling.kind == kind);
    found.expect("it is a kind that is read")
}

/// The objects as documents that `kubectl apply -f -` takes.
pub fn in_yaml(objects: &[Object]) -> String {
    let documents = objects.iter().map(|object| yaml::written(&object.body));
    documents.collect::<Vec<_>>().join("---\n")
}

/// An object that is to be in a cluster.
#[derive(Clone, PartialEq, Debug)]
pub struct Object {
    resource: ApiResource,
    body: Value,
}

impl Object {
    /// Of one of Kubernetes' own kinds.
    fn of<K: Resource<DynamicType = ()> + Serialize>(object: &K) -> Self {
        Self {
            resource: ApiResource::erase::<K>(&()),
            body: serde_json::to_value(object).expect("an object of Kubernetes is JSON"),
        }
    }

    /// Its kind: `Deployment`.
    pub fn kind(&self) -> &str {
        &self.resource.kind
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.metadata("name").unwrap_or_default()
    }

    /// Its namespace, if its kind has one.
    pub fn namespace(&self) -> Option<&str> {
        self.metadata("namespace")
    }

    fn metadata(&self, field: &str) -> Option<&str> {
        self.body["metadata"][field].as_str()
    }
}

/// `Deployment leno-system/leno-control`
impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace() {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind(), self.name()),
            None => write!(f, "{} {}", self.kind(), self.name()),
        }
    }
}

/// By what the API server asks the control plane about pods.
fn asking(name: Option<&ControlName>) -> Object {
    let mut webhook = webhook(name, PORT);
    webhook.metadata.labels = Some(labels());
    Object::of(&webhook)
}

/// By what it asks about changes.
fn asking_about_changes() -> Object {
    let mut webhook = validation(PORT);
    webhook.metadata.labels = Some(labels());
    Object::of(&webhook)
}

/// Leno's own namespace, which is in no mesh itself. Pods that may reach into others are made there, if nodes have
/// proxies.
fn namespace(node: bool) -> Namespace {
    let mut labels = labels();
    labels.insert(MODE.to_owned(), "none".to_owned());
    if node {
        labels.insert(LEVEL.to_owned(), PRIVILEGED.to_owned());
    }
    Namespace {
        metadata: ObjectMeta {
            name: Some(NAMESPACE.to_owned()),
            labels: Some(labels),
            ..ObjectMeta::default()
        },
        ..Namespace::default()
    }
}

/// By which everything that is installed is found.
fn labels() -> BTreeMap<String, String> {
    let label = |name: &str, value: &str| (format!("app.kubernetes.io/{name}"), value.to_owned());
    BTreeMap::from([label("part-of", "leno"), label("managed-by", "leno")])
}

/// By which the pods of a part of Leno are found, and nothing else is.
fn selector(part: &str) -> BTreeMap<String, String> {
    let label = |name: &str, value: &str| (format!("app.kubernetes.io/{name}"), value.to_owned());
    BTreeMap::from([label("name", "leno"), label("component", part)])
}

/// The labels by which the pods of the control plane of this name are found; without one, of the default one's.
pub(crate) fn pods_of_control(name: Option<&ControlName>) -> BTreeMap<String, String> {
    pod::own(name)
}

/// What the objects of a control plane are called: of the default one, or of the one that has this name.
pub fn called(name: Option<&ControlName>) -> String {
    name.map_or_else(|| CONTROL.to_owned(), |name| name.account().to_string())
}

/// What an object of Leno's own is called, where kinds have namespaces.
fn named(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: Some(NAMESPACE.to_owned()),
        labels: Some(labels()),
        ..ObjectMeta::default()
    }
}

/// The same, of kinds that have none.
fn named_everywhere(name: &str) -> ObjectMeta {
    ObjectMeta {
        namespace: None,
        ..named(name)
    }
}

#[cfg(test)]
mod tests {
    use leno_model::Namespace;
    use leno_resources::Resources;

    use super::*;

    fn installation() -> Installation {
        Installation {
            name: None,
            image: "leno.test/leno:1".to_owned(),
            storage_class: None,
            node: true,
            network: NetworkFolders::default(),
        }
    }

    #[test]
    fn what_others_need_comes_first() {
        let objects = installation().objects();
        let kinds: Vec<_> = objects.iter().map(Object::kind).collect();
        let at = |kind| kinds.iter().position(|it| *it == kind).unwrap();
        assert_eq!(at("CustomResourceDefinition"), 0);
        assert!(at("Namespace") < at("ServiceAccount"));
        assert!(at("ClusterRole") < at("ClusterRoleBinding"));
        assert!(at("ClusterRoleBinding") < at("Deployment"));
        assert!(at("PersistentVolumeClaim") < at("Deployment"));
        assert!(at("ConfigMap") < at("Deployment"));
        assert!(at("Deployment") < at("DaemonSet"));
        assert!(at("DaemonSet") < at("MutatingWebhookConfiguration"));
        for object in &objects {
            let part = &object.body["metadata"]["labels"]["app.kubernetes.io/part-of"];
            assert_eq!(part, "leno", "{object}");
        }
    }

    #[test]
    fn what_is_for_nodes_alone_is_there_with_them_alone() {
        let without = Installation {
            node: false,
            ..installation()
        };
        let told = |objects: &[Object]| objects.iter().map(Object::to_string).collect::<Vec<_>>();
        let (with, without) = (installation().objects(), without.objects());
        let mut more = told(&with);
        more.retain(|object| !told(&without).contains(object));
        let expect = [
            "ServiceAccount leno-system/leno-node",
            "DaemonSet leno-system/leno-node",
        ];
        assert_eq!(more, expect);
        let level = |objects: &[Object]| {
            let mut namespaces = objects.iter();
            let namespace = namespaces
                .find(|object| object.kind() == "Namespace")
                .unwrap();
            namespace.body["metadata"]["labels"][LEVEL].clone()
        };
        assert_eq!(
            (level(&with), level(&without)),
            ("privileged".into(), Value::Null)
        );
    }

    #[test]
    fn one_beside_the_default_one_shares_no_object_with_it() {
        let canary = Installation {
            name: Some(ControlName::new("canary").unwrap()),
            ..installation()
        };
        let told = |objects: &[Object]| objects.iter().map(Object::to_string).collect::<Vec<_>>();
        let canary = canary.objects();
        let expect = [
            "ServiceAccount leno-system/leno-control-canary",
            "ClusterRole leno-control-canary",
            "ClusterRoleBinding leno-control-canary",
            "Role leno-system/leno-control-canary",
            "RoleBinding leno-system/leno-control-canary",
            "PersistentVolumeClaim leno-system/leno-control-canary",
            "Service leno-system/leno-control-canary",
            "Deployment leno-system/leno-control-canary",
            "MutatingWebhookConfiguration leno-canary",
        ];
        assert_eq!(told(&canary), expect);
        // Nor does anything in them lead to the default one's but the object that says where the mesh is.
        for object in &canary {
            let text = object.body.to_string().replace("leno-control-canary", "");
            assert!(!text.contains("leno-control"), "{object}: {text}");
        }
    }

    /// The proxies of nodes are one, and keep the rules of all pods with sidecars.
    #[test]
    fn who_loads_packet_rules_is_the_same_for_pods_of_each() {
        let check = |name: Option<&str>, node: bool, expect: &str| {
            let chosen = Installation {
                name: name.map(|name| ControlName::new(name).unwrap()),
                node,
                ..installation()
            };
            let objects = chosen.objects();
            let deployment = objects.iter().find(|it| it.kind() == "Deployment").unwrap();
            let arguments = &deployment.body["spec"]["template"]["spec"]["containers"][0]["args"];
            let mut arguments = arguments.as_array().unwrap().iter();
            arguments.find(|it| *it == pod::CAPTURED_BY);
            assert_eq!(arguments.next().unwrap(), expect, "{name:?} {node}");
        };
        for name in [None, Some("canary")] {
            check(name, true, "node");
            check(name, false, "pod");
        }
    }

    /// The Service of either finds its own pods.
    #[test]
    fn pods_of_one_are_not_taken_for_those_of_the_other() {
        let default = Installation {
            node: false,
            ..installation()
        };
        let canary = Installation {
            name: Some(ControlName::new("canary").unwrap()),
            ..default.clone()
        };
        let of = |chosen: &Installation, kind: &str, pointer: &str| {
            let object = chosen.objects().into_iter().find(|it| it.kind() == kind);
            object.unwrap().body.pointer(pointer).unwrap().clone()
        };
        let takes = |one: &Installation, other: &Installation| {
            let selector = of(one, "Service", "/spec/selector");
            let labels = of(other, "Deployment", "/spec/template/metadata/labels");
            let mut asked = selector.as_object().unwrap().iter();
            asked.all(|(label, value)| labels[label] == *value)
        };
        for (one, other, expect) in [
            (&default, &default, true),
            (&canary, &canary, true),
            (&default, &canary, false),
            (&canary, &default, false),
        ] {
            assert_eq!(takes(one, other), expect, "{one:?} {other:?}");
        }
    }

    #[test]
    fn the_mesh_of_a_cluster_that_has_none_is_understood() {
        let mesh = mesh(&TrustDomain::new("cluster.local").unwrap());
        let file = (
            std::sync::Arc::from("mesh.yaml"),
            in_yaml(&[mesh]).into_bytes(),
        );
        let (resources, notes) = Resources::read([file], &Namespace::default_namespace());
        let (mesh, meaning) = leno_compile::compile(&resources);
        assert_eq!(notes.iter().chain(meaning.iter()).count(), 0, "{notes:?}");
        assert_eq!(mesh.settings.trust_domain.as_str(), "cluster.local");
    }
}
