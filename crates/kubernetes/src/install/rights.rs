//! What the control plane may do in a cluster: what it needs, and nothing else.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, RoleRef, Subject};
use leno_model::ControlName;
use leno_resources::spellings;

use super::{NAMESPACE, Object, called, named, named_everywhere};
use crate::webhook::configuration;
use crate::{document, pod, status};

/// Whom the control plane acts as, and what that account may.
pub(super) fn all(name: Option<&ControlName>) -> [Object; 3] {
    let own = called(name);
    let account = ServiceAccount {
        metadata: named(&own),
        ..ServiceAccount::default()
    };
    let allowed = ClusterRole {
        metadata: named_everywhere(&own),
        rules: Some(rules(name)),
        ..ClusterRole::default()
    };
    let binding = ClusterRoleBinding {
        metadata: named_everywhere(&own),
        role_ref: role("ClusterRole", &own),
        subjects: Some(vec![subject(&own)]),
    };
    [
        Object::of(&account),
        Object::of(&allowed),
        Object::of(&binding),
    ]
}

/// Who acts as this account of ours, and is allowed something.
pub(super) fn subject(own: &str) -> Subject {
    Subject {
        kind: "ServiceAccount".to_owned(),
        name: own.to_owned(),
        namespace: Some(NAMESPACE.to_owned()),
        ..Subject::default()
    }
}

/// Its own role, of this kind.
pub(super) fn role(kind: &str, own: &str) -> RoleRef {
    RoleRef {
        api_group: Some("rbac.authorization.k8s.io".to_owned()),
        kind: kind.to_owned(),
        name: own.to_owned(),
    }
}

/// One that stands beside the default one reads the same, and reports nothing.
fn rules(name: Option<&ControlName>) -> Vec<PolicyRule> {
    let mut seen = BTreeMap::<String, Vec<String>>::new();
    let mut reported = BTreeMap::<String, Vec<String>>::new();
    for kind in [pod::pods(), pod::nodes()] {
        seen.entry(kind.group).or_default().push(kind.plural);
    }
    for kind in spellings() {
        let resource = document::resource(&kind);
        if status::is_reported(&kind) {
            let status = format!("{}/status", resource.plural);
            let group = reported.entry(resource.group.clone());
            group.or_default().push(status);
        }
        seen.entry(resource.group)
            .or_default()
            .push(resource.plural);
    }
    let mut rules = Vec::new();
    rules.extend(seen.into_iter().map(|it| rule(it, &["list", "watch"])));
    if name.is_none() {
        rules.extend(reported.into_iter().map(|it| rule(it, &["patch"])));
        // What is wrong with a pod is told beside it.
        let events = (String::new(), texts(&["events"]));
        rules.push(rule(events, &["create"]));
    }
    // What proves the tokens of service accounts.
    rules.push(PolicyRule {
        non_resource_urls: Some(texts(&[
            "/.well-known/openid-configuration",
            "/openid/v1/jwks",
        ])),
        verbs: texts(&["get"]),
        ..PolicyRule::default()
    });
    let mut webhooks = texts(&["mutatingwebhookconfigurations"]);
    webhooks.extend(
        name.is_none()
            .then(|| "validatingwebhookconfigurations".to_owned()),
    );
    let webhooks = ("admissionregistration.k8s.io".to_owned(), webhooks);
    rules.push(PolicyRule {
        resource_names: Some(vec![configuration(name)]),
        ..rule(webhooks, &["get", "patch"])
    });
    rules
}

pub(super) fn rule((group, mut resources): (String, Vec<String>), verbs: &[&str]) -> PolicyRule {
    resources.sort();
    PolicyRule {
        api_groups: Some(vec![group]),
        resources: Some(resources),
        verbs: texts(verbs),
        ..PolicyRule::default()
    }
}

pub(super) fn texts(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A line a rule: `list watch: "" nodes pods`.
#[cfg(test)]
pub(super) fn told(rule: &PolicyRule) -> String {
    let verbs = rule.verbs.join(" ");
    let what = match &rule.non_resource_urls {
        Some(urls) => urls.join(" "),
        None => {
            let group = rule.api_groups.as_ref().unwrap().join(" ");
            let resources = rule.resources.as_ref().unwrap().join(" ");
            let names = rule.resource_names.clone().unwrap_or_default();
            let only = names.iter().map(|name| format!(" only {name}"));
            format!("{group:?} {resources}{}", only.collect::<String>())
        }
    };
    format!("{verbs}: {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_may_look_at_what_a_mesh_is_made_of_and_change_nothing_but_what_it_reports() {
        let told: Vec<_> = rules(None).iter().map(told).collect();
        let expect = [
            r#"list watch: "" namespaces nodes pods services"#,
            r#"list watch: "discovery.k8s.io" endpointslices"#,
            r#"list watch: "gateway.networking.k8s.io" grpcroutes httproutes referencegrants tcproutes tlsroutes"#,
            r#"list watch: "leno.dev" accesspolicies meshes meshpeers meshworkloads telemetrypolicies trafficpolicies"#,
            r#"list watch: "networking.k8s.io" networkpolicies"#,
            r#"patch: "gateway.networking.k8s.io" grpcroutes/status httproutes/status tcproutes/status tlsroutes/status"#,
            r#"patch: "leno.dev" accesspolicies/status meshes/status meshpeers/status meshworkloads/status telemetrypolicies/status trafficpolicies/status"#,
            r#"create: "" events"#,
            "get: /.well-known/openid-configuration /openid/v1/jwks",
            r#"get patch: "admissionregistration.k8s.io" mutatingwebhookconfigurations validatingwebhookconfigurations only leno"#,
        ];
        assert_eq!(told, expect);
    }

    #[test]
    fn one_beside_the_default_one_may_read_the_same_and_report_nothing() {
        let canary = ControlName::new("canary").unwrap();
        let all = |name| rules(name).iter().map(told).collect::<Vec<_>>();
        let (default, canary) = (all(None), all(Some(&canary)));
        let more: Vec<_> = canary.iter().filter(|it| !default.contains(it)).collect();
        let webhooks = r#"get patch: "admissionregistration.k8s.io" mutatingwebhookconfigurations only leno-canary"#;
        assert_eq!(more, [webhooks]);
        let changes = |told: &&String| told.starts_with("patch") || told.starts_with("create");
        assert_eq!(canary.iter().find(changes), None);
    }
}
