//! How the API server knows whom it asks about pods and about changes, and by what that one is proven.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations, ServiceReference,
    ValidatingWebhook, ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    LabelSelector, LabelSelectorRequirement, ObjectMeta,
};
use kube::Error;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, Resource};
use leno_model::view::WhileAway;
use leno_resources::pod::{MODE, NODE, SIDECAR};
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::injection::Placement;
use crate::{document, proposed};

/// The name of both configurations.
pub const WEBHOOK: &str = "leno";

/// The API server is not told by what we are proven, where it asks about changes, or what becomes of pods without us.
#[derive(Debug, thiserror::Error)]
pub enum NotProven {
    /// It refused or did not answer about pods.
    #[error("mutatingwebhookconfiguration {WEBHOOK}, by which pods get their proxies: {0}")]
    Pods(Box<Error>),
    /// It refused or did not answer about changes.
    #[error(
        "validatingwebhookconfiguration {WEBHOOK}, by which changes are looked at before they are made: {0}"
    )]
    Changes(Box<Error>),
}

/// What the API server is told of us.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The roots, in PEM, that prove whom it asks.
    pub roots: &'a [u8],
    /// What becomes of pods while nobody answers.
    pub away: WhileAway,
    /// The path at which it asks about changes.
    pub validate: &'a str,
}

impl Cluster {
    /// Tells the API server what it is to know of us, unless it knows it.
    pub async fn keep_webhooks(&self, known: &Known<'_>) -> Result<(), NotProven> {
        let roots = json!(ByteString(known.roots.to_vec()));
        let policy = failure_policy(known.away);
        let of_pods =
            |_: &Value| json!({"clientConfig": {"caBundle": roots}, "failurePolicy": policy});
        let kept = self.keep::<MutatingWebhookConfiguration>(of_pods).await;
        kept.map_err(|why| NotProven::Pods(why.into()))?;
        let of_changes = |hook: &Value| {
            let mut asked = asked_at(&hook["clientConfig"], known.validate);
            asked["caBundle"] = roots.clone();
            json!({"clientConfig": asked})
        };
        let kept = self
            .keep::<ValidatingWebhookConfiguration>(of_changes)
            .await;
        kept.map_err(|why| NotProven::Changes(why.into()))
    }

    /// Makes each webhook of the configuration of this kind say what `wanted` does.
    async fn keep<K>(&self, wanted: impl Fn(&Value) -> Value) -> Result<(), Error>
    where
        K: Resource<DynamicType = ()>,
    {
        let kind = ApiResource::erase::<K>(&());
        let api = Api::<DynamicObject>::all_with(self.client.clone(), &kind);
        let now = api.get(WEBHOOK).await?.data;
        let hooks = now["webhooks"].as_array().map_or(&[][..], Vec::as_slice);
        let mut changes = Vec::new();
        for hook in hooks {
            let mut change = wanted(hook);
            if !says(hook, &change) {
                change["name"] = hook["name"].clone();
                changes.push(change);
            }
        }
        if changes.is_empty() {
            return Ok(());
        }
        let patch = Patch::Strategic(json!({"webhooks": changes}));
        let patched = api.patch(WEBHOOK, &PatchParams::default(), &patch).await;
        patched.map(drop)
    }
}

/// Where an API server asks that asks there by now, at another path: it knows us by a Service, or by a URL.
fn asked_at(now: &Value, path: &str) -> Value {
    let by_url = now["url"].as_str().and_then(|url| {
        let (scheme, rest) = url.split_once("://")?;
        let host = rest.split('/').next()?;
        Some(json!({"url": format!("{scheme}://{host}{path}")}))
    });
    by_url.unwrap_or_else(|| json!({"service": {"path": path}}))
}

/// Whether a value says all that another one does.
pub(crate) fn says(one: &Value, other: &Value) -> bool {
    match other {
        Value::Object(fields) => fields.iter().all(|(name, field)| says(&one[name], field)),
        other => one == other,
    }
}

/// What the API server does with a pod about which nobody answers.
fn failure_policy(away: WhileAway) -> &'static str {
    match away {
        WhileAway::Closed => "Fail",
        WhileAway::Open => "Ignore",
    }
}

/// The configuration by which the API server asks the control plane at this service about pods that are to have a
/// sidecar, or to be served by their node's proxy: those of a namespace that says so, and those that say so themselves.
/// Until somebody says what becomes of them while nobody answers ([`Cluster::keep_webhooks`]), no such pod is made then:
/// that is Kubernetes' default, and nothing here says it, so that who installs again takes nothing back.
pub fn webhook(service: &str, namespace: &str, port: u16) -> MutatingWebhookConfiguration {
    let asked = |name: &str, placement: Placement, namespaces, pods| MutatingWebhook {
        name: name.to_owned(),
        admission_review_versions: vec!["v1".to_owned()],
        side_effects: "None".to_owned(),
        reinvocation_policy: Some("IfNeeded".to_owned()),
        timeout_seconds: Some(10),
        client_config: WebhookClientConfig {
            service: Some(ServiceReference {
                name: service.to_owned(),
                namespace: namespace.to_owned(),
                path: Some(placement.path().to_owned()),
                port: Some(i32::from(port)),
            }),
            ..WebhookClientConfig::default()
        },
        namespace_selector: Some(namespaces),
        object_selector: Some(pods),
        rules: Some(vec![made_pods()]),
        ..MutatingWebhook::default()
    };
    let (sidecar, node) = (Placement::Sidecar, Placement::Node);
    MutatingWebhookConfiguration {
        metadata: ObjectMeta {
            name: Some(WEBHOOK.to_owned()),
            ..ObjectMeta::default()
        },
        // Of a pod and its namespace at most one is true.
        webhooks: Some(vec![
            asked(
                "namespace.sidecar.leno.dev",
                sidecar,
                mode("In", &[SIDECAR]),
                mode("NotIn", &[NODE, "none"]),
            ),
            asked(
                "pod.sidecar.leno.dev",
                sidecar,
                mode("NotIn", &[SIDECAR]),
                mode("In", &[SIDECAR]),
            ),
            asked(
                "namespace.node.leno.dev",
                node,
                mode("In", &[NODE]),
                mode("NotIn", &[SIDECAR, "none"]),
            ),
            asked(
                "pod.node.leno.dev",
                node,
                mode("NotIn", &[NODE]),
                mode("In", &[NODE]),
            ),
        ]),
    }
}

/// The configuration by which the API server asks the control plane at this service about changes of what a mesh is made
/// of. While nobody answers they are made without a look: what holds of them stands in their status anyway. At which
/// path it asks it is told by the control plane ([`Cluster::keep_webhooks`]).
pub fn validation(service: &str, namespace: &str, port: u16) -> ValidatingWebhookConfiguration {
    let asked = ValidatingWebhook {
        name: "changes.leno.dev".to_owned(),
        admission_review_versions: vec!["v1".to_owned()],
        side_effects: "None".to_owned(),
        failure_policy: Some("Ignore".to_owned()),
        timeout_seconds: Some(5),
        client_config: WebhookClientConfig {
            service: Some(ServiceReference {
                name: service.to_owned(),
                namespace: namespace.to_owned(),
                path: None,
                port: Some(i32::from(port)),
            }),
            ..WebhookClientConfig::default()
        },
        rules: Some(changes()),
        ..ValidatingWebhook::default()
    };
    ValidatingWebhookConfiguration {
        metadata: ObjectMeta {
            name: Some(WEBHOOK.to_owned()),
            ..ObjectMeta::default()
        },
        webhooks: Some(vec![asked]),
    }
}

/// What changes objects of a mesh, and not their status.
fn changes() -> Vec<RuleWithOperations> {
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for kind in proposed::kinds() {
        let resource = document::resource(&kind);
        let version = (resource.group, resource.version);
        groups.entry(version).or_default().push(resource.plural);
    }
    let rule = |((group, version), resources)| RuleWithOperations {
        api_groups: Some(vec![group]),
        api_versions: Some(vec![version]),
        operations: Some(["CREATE", "UPDATE", "DELETE"].map(str::to_owned).into()),
        resources: Some(resources),
        scope: Some("*".to_owned()),
    };
    groups.into_iter().map(rule).collect()
}

/// What says one of these, or none of these, of how it takes part in the mesh.
fn mode(operator: &str, values: &[&str]) -> LabelSelector {
    LabelSelector {
        match_expressions: Some(vec![LabelSelectorRequirement {
            key: MODE.to_owned(),
            operator: operator.to_owned(),
            values: Some(values.iter().map(|value| (*value).to_owned()).collect()),
        }]),
        match_labels: None,
    }
}

fn made_pods() -> RuleWithOperations {
    RuleWithOperations {
        api_groups: Some(vec![String::new()]),
        api_versions: Some(vec!["v1".to_owned()]),
        operations: Some(vec!["CREATE".to_owned()]),
        resources: Some(vec!["pods".to_owned()]),
        scope: Some("Namespaced".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a selector takes an object that says this.
    fn takes(selector: &LabelSelector, mode: Option<&str>) -> bool {
        let said = &selector.match_expressions.as_ref().unwrap()[0];
        let mut values = said.values.as_ref().unwrap().iter();
        let is_named = mode.is_some_and(|mode| values.any(|value| value == mode));
        is_named == (said.operator == "In")
    }

    #[test]
    fn a_pods_own_label_counts_and_else_its_namespaces() {
        let webhooks = webhook("leno-control", "leno-system", 15012)
            .webhooks
            .unwrap();
        let modes = [None, Some(SIDECAR), Some(NODE), Some("none")];
        for (namespace, pod) in modes
            .iter()
            .flat_map(|one| modes.map(|other| (*one, other)))
        {
            let asked = webhooks.iter().filter(|webhook| {
                let [namespaces, pods] = [&webhook.namespace_selector, &webhook.object_selector];
                takes(namespaces.as_ref().unwrap(), namespace) && takes(pods.as_ref().unwrap(), pod)
            });
            let path = |webhook: &MutatingWebhook| webhook.client_config.service.clone()?.path;
            let paths: Vec<_> = asked.map(|webhook| path(webhook).unwrap()).collect();
            let expect: &[&str] = match pod.or(namespace) {
                Some(SIDECAR) => &["/inject"],
                Some(NODE) => &["/inject/node"],
                _ => &[],
            };
            assert_eq!(paths, expect, "{namespace:?} {pod:?}");
        }
    }

    #[test]
    fn changes_are_asked_about_of_routes_grants_and_our_own_kinds() {
        let [hook] = &validation("leno-control", "leno-system", 15012)
            .webhooks
            .unwrap()[..]
        else {
            panic!("there is one");
        };
        let told = hook.rules.as_ref().unwrap().iter().map(|rule| {
            let words = |words: &Option<Vec<String>>| words.as_ref().unwrap().join(" ");
            let (group, version) = (words(&rule.api_groups), words(&rule.api_versions));
            format!("{group}/{version}: {}", words(&rule.resources))
        });
        let expect = [
            "gateway.networking.k8s.io/v1: httproutes grpcroutes tlsroutes tcproutes referencegrants",
            "leno.dev/v1alpha1: meshes meshpeers meshworkloads accesspolicies trafficpolicies telemetrypolicies",
        ];
        assert_eq!(told.collect::<Vec<_>>(), expect);
    }

    #[test]
    fn who_is_asked_by_a_url_is_asked_by_one_at_another_path() {
        let service = json!({"service": {"name": "leno-control"}, "caBundle": "x"});
        let expect = json!({"service": {"path": "/validate/1"}});
        assert_eq!(asked_at(&service, "/validate/1"), expect);
        let url = json!({"url": "https://10.0.0.1:15012/validate/0"});
        let expect = json!({"url": "https://10.0.0.1:15012/validate/1"});
        assert_eq!(asked_at(&url, "/validate/1"), expect);
    }

    #[test]
    fn what_is_said_already_is_not_said_again() {
        let now = json!({"name": "a", "clientConfig": {"caBundle": "x", "service": {"path": "/", "port": 1}}});
        assert!(says(
            &now,
            &json!({"clientConfig": {"caBundle": "x", "service": {"path": "/"}}})
        ));
        assert!(!says(&now, &json!({"clientConfig": {"caBundle": "y"}})));
        assert!(!says(&now, &json!({"failurePolicy": "Fail"})));
    }
}
