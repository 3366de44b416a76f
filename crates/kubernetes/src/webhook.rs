//! How the API server knows whom it asks about pods and about changes, and by what that one is proven.

mod pods;

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::admissionregistration::v1::{
    MutatingWebhookConfiguration, RuleWithOperations, ServiceReference, ValidatingWebhook,
    ValidatingWebhookConfiguration, WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Error;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams, Resource};
use leno_model::ControlName;
use leno_model::view::WhileAway;
use serde_json::{Value, json};

pub use self::pods::webhook;
use crate::cluster::Cluster;
use crate::injection::OTHER;
use crate::install::{CONTROL, NAMESPACE};
use crate::{document, proposed};

/// What the configurations of a control plane are called: of the default one, or of the one that has this name.
pub(crate) fn configuration(name: Option<&ControlName>) -> String {
    match name {
        None => "leno".to_owned(),
        Some(name) => format!("leno-{name}"),
    }
}

/// The API server is not told by what we are proven, where it asks about changes, or what becomes of pods without us.
#[derive(Debug, thiserror::Error)]
pub enum NotProven {
    /// It refused or did not answer about pods.
    #[error("mutatingwebhookconfiguration {0}, by which pods get their proxies: {1}")]
    Pods(String, Box<Error>),
    /// It refused or did not answer about changes.
    #[error(
        "validatingwebhookconfiguration {0}, by which changes are looked at before they are made: {1}"
    )]
    Changes(String, Box<Error>),
}

/// What the API server is told of us.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// What we are called, if we stand beside the default control plane: that one alone is asked about changes.
    pub name: Option<&'a ControlName>,
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
        let configuration = configuration(known.name);
        let of_pods = |hook: &Value| {
            let mut change = json!({"clientConfig": {"caBundle": roots}});
            // One that only looks for who is not there never stands in the way.
            if !is_asked_at(&hook["clientConfig"], OTHER) {
                change["failurePolicy"] = failure_policy(known.away).into();
            }
            change
        };
        let kept = self.keep::<MutatingWebhookConfiguration>(&configuration, of_pods);
        kept.await
            .map_err(|why| NotProven::Pods(configuration.clone(), why.into()))?;
        if known.name.is_some() {
            return Ok(());
        }
        let of_changes = |hook: &Value| {
            let mut asked = asked_at(&hook["clientConfig"], known.validate);
            asked["caBundle"] = roots.clone();
            json!({"clientConfig": asked})
        };
        let kept = self.keep::<ValidatingWebhookConfiguration>(&configuration, of_changes);
        kept.await
            .map_err(|why| NotProven::Changes(configuration.clone(), why.into()))
    }

    /// Makes each webhook of the configuration of this kind and name say what `wanted` does.
    async fn keep<K>(&self, name: &str, wanted: impl Fn(&Value) -> Value) -> Result<(), Error>
    where
        K: Resource<DynamicType = ()>,
    {
        let kind = ApiResource::erase::<K>(&());
        let api = Api::<DynamicObject>::all_with(self.client.clone(), &kind);
        let now = api.get(name).await?.data;
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
        let patched = api.patch(name, &PatchParams::default(), &patch).await;
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

/// Whether an API server asks at this path.
fn is_asked_at(now: &Value, path: &str) -> bool {
    let url = now["url"].as_str();
    now["service"]["path"] == path || url.is_some_and(|url| url.ends_with(path))
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

/// The configuration by which the API server asks the default control plane about changes of what a mesh is made of. While nobody answers they are made without a look: what holds of them stands in their status anyway. At which
/// path it asks it is told by the control plane ([`Cluster::keep_webhooks`]).
pub fn validation(port: u16) -> ValidatingWebhookConfiguration {
    let asked = ValidatingWebhook {
        name: "changes.leno.dev".to_owned(),
        admission_review_versions: vec!["v1".to_owned()],
        side_effects: "None".to_owned(),
        failure_policy: Some("Ignore".to_owned()),
        timeout_seconds: Some(5),
        client_config: WebhookClientConfig {
            service: Some(ServiceReference {
                name: CONTROL.to_owned(),
                namespace: NAMESPACE.to_owned(),
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
            name: Some(configuration(None)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_asked_about_of_routes_grants_and_our_own_kinds() {
        let [hook] = &validation(15012).webhooks.unwrap()[..] else {
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
