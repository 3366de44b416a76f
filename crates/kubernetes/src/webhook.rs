//! How the API server knows whom it asks about pods, and by what that one is proven.

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations, ServiceReference,
    WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    LabelSelector, LabelSelectorRequirement, ObjectMeta,
};
use kube::Error;
use kube::api::{Api, Patch, PatchParams};
use leno_model::view::WhileAway;
use leno_resources::pod::{MODE, NODE, SIDECAR};
use serde_json::json;

use crate::cluster::Cluster;
use crate::injection::Placement;

/// The name of the configuration.
pub const WEBHOOK: &str = "leno";

/// The API server is not told by what we are proven, or what becomes of pods without us.
#[derive(Debug, thiserror::Error)]
pub enum NotProven {
    /// It refused or did not answer.
    #[error("mutatingwebhookconfiguration {WEBHOOK}, by which pods get their proxies: {0}")]
    Refused(Box<Error>),
}

impl Cluster {
    /// Tells the API server the roots, in PEM, that prove whom it asks about pods, and what becomes of pods while nobody
    /// answers, unless it knows both.
    pub async fn keep_webhook(&self, roots: &[u8], away: WhileAway) -> Result<(), NotProven> {
        let refused = |why| NotProven::Refused(Box::new(why));
        let api = Api::<MutatingWebhookConfiguration>::all(self.client.clone());
        let now = api.get(WEBHOOK).await.map_err(refused)?;
        let hooks = now.webhooks.unwrap_or_default();
        let policy = failure_policy(away);
        let is_kept = |hook: &MutatingWebhook| {
            let bundle = hook.client_config.ca_bundle.as_ref();
            bundle.is_some_and(|ByteString(bundle)| bundle == roots)
                && hook.failure_policy.as_deref() == Some(policy)
        };
        if hooks.iter().all(is_kept) {
            return Ok(());
        }
        let kept = hooks.iter().map(|hook| {
            let roots = ByteString(roots.to_vec());
            json!({"name": hook.name, "clientConfig": {"caBundle": roots}, "failurePolicy": policy})
        });
        let patch = Patch::Strategic(json!({"webhooks": kept.collect::<Vec<_>>()}));
        let patched = api.patch(WEBHOOK, &PatchParams::default(), &patch).await;
        patched.map(drop).map_err(refused)
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
/// Until somebody says what becomes of them while nobody answers ([`Cluster::keep_webhook`]), no such pod is made then:
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
                says("In", &[SIDECAR]),
                says("NotIn", &[NODE, "none"]),
            ),
            asked(
                "pod.sidecar.leno.dev",
                sidecar,
                says("NotIn", &[SIDECAR]),
                says("In", &[SIDECAR]),
            ),
            asked(
                "namespace.node.leno.dev",
                node,
                says("In", &[NODE]),
                says("NotIn", &[SIDECAR, "none"]),
            ),
            asked(
                "pod.node.leno.dev",
                node,
                says("NotIn", &[NODE]),
                says("In", &[NODE]),
            ),
        ]),
    }
}

/// What says one of these, or none of these, of how it takes part in the mesh.
fn says(operator: &str, values: &[&str]) -> LabelSelector {
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
}
