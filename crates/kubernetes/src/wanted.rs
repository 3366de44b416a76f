//! Objects that people want in a cluster: tried there before anything is written, and written as server-side apply does, so
//! that a field which somebody else has set is never taken from them. All by the rights of whoever wants them.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::Error;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, Preconditions,
    ResourceExt as _,
};
use leno_model::ObjectRef;
use leno_resources::{Spelling, spellings};
use serde_json::{Map, Value};

use crate::cluster::Cluster;
use crate::document;
use crate::install::{NotApplied, wanted};
use crate::yaml;

/// As whom fields are set that people apply.
pub(crate) const MANAGER: &str = "leno";

/// The label that says with which set an object was applied.
pub const SET: &str = "leno.dev/set";

/// The annotation in which Kubernetes keeps why an object was changed last.
pub(crate) const WHY: &str = "kubernetes.io/change-cause";

/// An object as somebody wants it.
#[derive(Clone, PartialEq, Debug)]
pub struct Wanted {
    /// Which it is.
    pub object: ObjectRef,
    kind: Spelling,
    body: Value,
}

/// An object as the cluster has it.
#[derive(Clone, Debug)]
pub struct Live {
    /// What it says, as JSON, without what the cluster counts by itself.
    pub text: String,
    /// The set that it was applied with.
    pub set: Option<String>,
    /// Who else than Leno has written some of what it says, by the names that they give themselves.
    pub others: BTreeSet<String>,
    uid: Option<String>,
    said: Value,
}

/// What writing an object would come to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tried {
    /// What it would say, as [`Live::text`].
    pub text: String,
    /// Whether anything of it would be another than it is.
    pub differs: bool,
}

impl Wanted {
    /// What a document wants; `None` if it is none of an object that is read.
    pub fn read(object: &ObjectRef, document: &str) -> Option<Self> {
        let kind = spellings().find(|kind| *kind.kind == *object.kind)?;
        let mut body = document::said(document)?;
        if let Some(namespace) = &object.namespace {
            body["metadata"]["namespace"] = namespace.as_str().into();
        }
        Some(Self {
            object: object.clone(),
            kind,
            body,
        })
    }

    /// The same, as one of a set.
    pub fn of_set(self, set: &str) -> Self {
        self.with("labels", SET, set)
    }

    /// The same, with why it is changed; nothing is said of that if nobody says why.
    pub fn because(self, why: &str) -> Self {
        match why {
            "" => self,
            why => self.with("annotations", WHY, why),
        }
    }

    fn with(mut self, field: &str, name: &str, value: &str) -> Self {
        let named = &mut self.body["metadata"][field];
        if !named.is_object() {
            *named = Value::Object(Map::new());
        }
        named[name] = value.into();
        self
    }

    /// The set that it says it is of.
    pub fn set(&self) -> Option<&str> {
        self.body["metadata"]["labels"][SET].as_str()
    }

    /// What it says, in YAML.
    pub fn text(&self) -> String {
        yaml::written(&self.body)
    }

    /// Where its kind stands among what is written together: what others need comes first.
    pub fn rank(&self) -> u8 {
        rank(&self.object)
    }
}

/// Where an object of this kind stands among what is written together: namespaces first, who is called, who may call, and
/// last where calls go. What is taken away goes the other way.
pub fn rank(object: &ObjectRef) -> u8 {
    match &*object.kind {
        "Namespace" => 0,
        "Mesh" | "MeshPeer" => 1,
        "Service" | "EndpointSlice" | "MeshWorkload" => 2,
        kind if kind.ends_with("Route") => 4,
        _ => 3,
    }
}

impl Cluster {
    /// What tells this cluster from all others: the UID of its namespace `kube-system`.
    pub async fn uid(&self) -> Result<String, NotApplied> {
        let namespace = spellings().find(|kind| kind.kind == "Namespace");
        let namespace = namespace.expect("a kind that is read");
        let api: Api<DynamicObject> =
            Api::all_with(self.client.clone(), &document::resource(&namespace));
        let what = "Namespace kube-system";
        let found = api.get("kube-system").await;
        let found = found.map_err(|why| NotApplied::of(&what, &why))?;
        found.uid().ok_or_else(|| NotApplied::Refused {
            object: what.to_owned(),
            why: "it has no UID".to_owned(),
        })
    }

    /// An object as it stands; `None` if there is none.
    pub async fn live(&self, object: &ObjectRef) -> Result<Option<Live>, NotApplied> {
        let Some(kind) = spellings().find(|kind| *kind.kind == *object.kind) else {
            return Ok(None);
        };
        let api = self.api(object, &document::resource(&kind));
        match api.get(object.name.as_str()).await {
            Ok(found) => Ok(Some(Live::of(&kind, found))),
            // Neither is one of a kind that the cluster does not have.
            Err(Error::Api(status)) if status.code == 404 => Ok(None),
            Err(why) => Err(NotApplied::of(object, &why)),
        }
    }

    /// What writing an object would come to; nothing is. `None` if its namespace is not there yet.
    pub async fn try_out(
        &self,
        wanted: &Wanted,
        live: Option<&Live>,
    ) -> Result<Option<Tried>, NotApplied> {
        let then = match self.patched(wanted, &as_leno().dry_run()).await {
            Ok(then) => then,
            Err(Error::Api(status)) if lacks_namespace(&status) => return Ok(None),
            Err(why) => return Err(NotApplied::of(&wanted.object, &why)),
        };
        let then = Live::of(&wanted.kind, then);
        Ok(Some(Tried {
            differs: live.is_none_or(|live| live.said != then.said),
            text: then.text,
        }))
    }

    /// What an object would say if fields were taken from others who have set them: for the words in which these are
    /// asked to.
    pub async fn imagine(&self, wanted: &Wanted) -> Result<String, NotApplied> {
        let then = self.patched(wanted, &as_leno().dry_run().force()).await;
        let then = then.map_err(|why| NotApplied::of(&wanted.object, &why))?;
        Ok(Live::of(&wanted.kind, then).text)
    }

    /// Writes an object, and says what a [`Watch`](crate::Watch) tells of it from then on.
    pub async fn write(&self, wanted: &Wanted) -> Result<String, NotApplied> {
        let written = self.patched(wanted, &as_leno()).await;
        let written = written.map_err(|why| NotApplied::of(&wanted.object, &why))?;
        Ok(document::text(&wanted.kind, written))
    }

    /// Takes an object away that stands as it was seen, or only says whether that may be.
    pub async fn take_away(
        &self,
        object: &ObjectRef,
        live: &Live,
        dry_run: bool,
    ) -> Result<(), NotApplied> {
        let Some(kind) = spellings().find(|kind| *kind.kind == *object.kind) else {
            return Ok(());
        };
        let how = DeleteParams {
            dry_run,
            preconditions: Some(Preconditions {
                uid: live.uid.clone(),
                resource_version: None,
            }),
            ..DeleteParams::default()
        };
        let api = self.api(object, &document::resource(&kind));
        match api.delete(object.name.as_str(), &how).await {
            Ok(_) => Ok(()),
            Err(Error::Api(status)) if status.code == 404 => Ok(()),
            Err(why) => Err(NotApplied::of(object, &why)),
        }
    }

    async fn patched(&self, wanted: &Wanted, how: &PatchParams) -> Result<DynamicObject, Error> {
        let mut resource = document::resource(&wanted.kind);
        if let Some(version) = wanted.body["apiVersion"].as_str() {
            version.clone_into(&mut resource.api_version);
            let version = version.rsplit('/').next().unwrap_or_default();
            version.clone_into(&mut resource.version);
        }
        let api = self.api(&wanted.object, &resource);
        let name = wanted.object.name.as_str();
        api.patch(name, how, &Patch::Apply(&wanted.body)).await
    }

    fn api(&self, object: &ObjectRef, resource: &ApiResource) -> Api<DynamicObject> {
        let client = self.client.clone();
        match &object.namespace {
            Some(namespace) => Api::namespaced_with(client, namespace.as_str(), resource),
            None => Api::all_with(client, resource),
        }
    }
}

fn as_leno() -> PatchParams {
    PatchParams::apply(MANAGER).validation_strict()
}

/// Whether it is the namespace that is not there, and not the kind.
fn lacks_namespace(status: &kube::core::Status) -> bool {
    let details = status.details.as_ref();
    status.code == 404 && details.is_some_and(|details| details.kind == "namespaces")
}

impl Live {
    fn of(kind: &Spelling, mut object: DynamicObject) -> Self {
        let metadata = &mut object.metadata;
        let managers = metadata.managed_fields.take().unwrap_or_default();
        let others = managers.iter().filter(|entry| says_something(entry));
        let others = others.filter_map(|entry| entry.manager.clone());
        let others = others.filter(|manager| manager != MANAGER).collect();
        metadata.creation_timestamp = None;
        metadata.generation = None;
        let set = metadata.labels.as_ref();
        let set = set.and_then(|labels| labels.get(SET)).cloned();
        let uid = metadata.uid.take();
        let mut said = wanted(object.clone());
        forget_why(&mut said);
        Self {
            text: document::text(kind, object),
            set,
            others,
            uid,
            said,
        }
    }
}

/// Why an object was changed is no change of it.
fn forget_why(said: &mut Value) {
    let Some(metadata) = said.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    let annotations = metadata.get_mut("annotations");
    if let Some(annotations) = annotations.and_then(Value::as_object_mut) {
        annotations.remove(WHY);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
}

/// Whether somebody owns a field that says what is wanted: no name or label, and nothing that is reported.
fn says_something(entry: &ManagedFieldsEntry) -> bool {
    let fields = entry.fields_v1.as_ref();
    let fields = fields.and_then(|fields| fields.0.as_object());
    let mut names = fields.into_iter().flat_map(Map::keys);
    entry.subresource.as_deref().unwrap_or_default().is_empty()
        && names.any(|name| !matches!(name.as_str(), "f:metadata" | "f:status"))
}

#[cfg(test)]
mod tests {
    use leno_model::{Name, Namespace};
    use serde_json::json;

    use super::*;

    fn object(kind: &str) -> ObjectRef {
        ObjectRef {
            kind: kind.into(),
            namespace: Some(Namespace::new("shop").unwrap()),
            name: Name::new("cart").unwrap(),
        }
    }

    #[test]
    fn a_document_is_what_the_api_server_is_told() {
        let document = "\
# why
apiVersion: v1
kind: Service
metadata: {name: cart, generation: 7, labels: {a: 'yes'}}
spec: {ports: [{port: 80, targetPort: web}], x: 1.50, y: ~, publishNotReadyAddresses: true}
";
        let wanted = Wanted::read(&object("Service"), document).unwrap();
        let wanted = wanted.of_set("shop").because("").because("why not");
        let expect = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "name": "cart", "namespace": "shop", "labels": {"a": "yes", "leno.dev/set": "shop"},
                "annotations": {"kubernetes.io/change-cause": "why not"},
            },
            "spec": {"ports": [{"port": 80, "targetPort": "web"}], "x": 1.5, "y": null, "publishNotReadyAddresses": true},
        });
        assert_eq!(wanted.body, expect);
        assert_eq!(wanted.set(), Some("shop"));
        assert_eq!(Wanted::read(&object("Deployment"), document), None);
        assert_eq!(Wanted::read(&object("Service"), "a: ["), None);
    }

    #[test]
    fn what_others_need_is_written_first() {
        let kinds = [
            "HTTPRoute",
            "AccessPolicy",
            "Service",
            "Namespace",
            "Mesh",
            "ReferenceGrant",
        ];
        let mut kinds = kinds.map(|kind| (rank(&object(kind)), kind));
        kinds.sort();
        assert_eq!(
            kinds.map(|(_, kind)| kind),
            [
                "Namespace",
                "Mesh",
                "Service",
                "AccessPolicy",
                "ReferenceGrant",
                "HTTPRoute"
            ]
        );
    }

    /// A route of which these have written these fields.
    fn route(managers: &Value) -> Live {
        let object = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {
                "name": "cart", "namespace": "shop", "uid": "7", "generation": 3, "resourceVersion": "9",
                "labels": {"leno.dev/set": "shop"}, "annotations": {"kubernetes.io/change-cause": "so"},
                "managedFields": managers,
            },
            "spec": {"rules": []}, "status": {"parents": []},
        });
        let kind = spellings().find(|kind| kind.kind == "HTTPRoute").unwrap();
        Live::of(&kind, serde_json::from_value(object).unwrap())
    }

    #[test]
    fn who_has_written_something_is_told_from_who_reports_or_labels() {
        let entry = |manager: &str, subresource: &str, fields: &Value| {
            json!({
                "manager": manager, "subresource": subresource, "operation": "Apply",
                "apiVersion": "gateway.networking.k8s.io/v1", "fieldsType": "FieldsV1", "fieldsV1": fields,
            })
        };
        let spec = json!({"f:spec": {"f:rules": {}}});
        let live = route(&json!([
            entry("leno", "", &spec),
            entry("labels", "", &json!({"f:metadata": {"f:labels": {}}})),
            entry("gate", "status", &spec),
        ]));
        assert_eq!(live.others, BTreeSet::new());
        assert_eq!(live.set.as_deref(), Some("shop"));
        assert!(!live.text.contains("generation"), "{}", live.text);
        let expect = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"name": "cart", "namespace": "shop", "labels": {"leno.dev/set": "shop"}},
            "spec": {"rules": []},
        });
        assert_eq!(live.said, expect);
        let mut without = expect.clone();
        forget_why(&mut without);
        assert_eq!(without, expect);
        let live = route(&json!([
            entry("leno", "", &spec),
            entry("argocd", "", &spec)
        ]));
        assert_eq!(live.others, BTreeSet::from(["argocd".to_owned()]));
    }
}
