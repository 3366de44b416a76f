//! About which pods the API server asks which control plane: those that are to have a sidecar and name it, and, of the
//! default one, those that name none, those that name one that is perhaps not there, and those of nodes' proxies. The
//! default one is asked about containers that any captured pod gets while it runs, too.

use k8s_openapi::api::admissionregistration::v1::{
    MatchCondition, MutatingWebhook, MutatingWebhookConfiguration, RuleWithOperations,
    ServiceReference, WebhookClientConfig,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{
    LabelSelector, LabelSelectorRequirement, ObjectMeta,
};
use leno_model::ControlName;
use leno_model::control_name::DEFAULT_CONTROL;
use leno_resources::pod::{CONTROL, MODE, NODE, SIDECAR};

use super::configuration;
use crate::injection::{EPHEMERAL, OTHER, PROXY, Placement};
use crate::install::{NAMESPACE, called};

/// The configuration by which the API server asks a control plane about pods that are to have a sidecar, or, of the default
/// one, to be served by their node's proxy: those of a namespace that says so, and those that say so themselves.
/// Until somebody says what becomes of them while nobody answers ([`crate::Cluster::keep_webhooks`]), no such pod is made
/// then: that is Kubernetes' default, and nothing here says it, so that who installs again takes nothing back.
pub fn webhook(name: Option<&ControlName>, port: u16) -> MutatingWebhookConfiguration {
    let asked = |told: &[&str], path: &str, selected: &[&Selected]| {
        let of =
            |side: fn(&Selected) -> &Requirements| selector(selected.iter().copied().map(side));
        MutatingWebhook {
            name: format!("{}.leno.dev", told.join(".")),
            admission_review_versions: vec!["v1".to_owned()],
            side_effects: "None".to_owned(),
            reinvocation_policy: Some("IfNeeded".to_owned()),
            timeout_seconds: Some(10),
            client_config: WebhookClientConfig {
                service: Some(ServiceReference {
                    name: called(name),
                    namespace: NAMESPACE.to_owned(),
                    path: Some(path.to_owned()),
                    port: Some(i32::from(port)),
                }),
                ..WebhookClientConfig::default()
            },
            namespace_selector: Some(of(|selected| &selected.namespaces)),
            object_selector: Some(of(|selected| &selected.pods)),
            rules: Some(vec![made_pods()]),
            ..MutatingWebhook::default()
        }
    };
    let mut webhooks = Vec::new();
    for mode in &of_sidecars() {
        for who in &naming(name) {
            let told: Vec<_> = [mode.told, "sidecar", who.told].into();
            let told: Vec<_> = told.into_iter().filter(|word| !word.is_empty()).collect();
            webhooks.push(asked(&told, Placement::Sidecar.path(), &[mode, who]));
        }
    }
    if name.is_none() {
        for mode in &of_nodes() {
            webhooks.push(MutatingWebhook {
                rules: Some(vec![made_pods(), containers_of_running_pods()]),
                ..asked(&[mode.told, "node"], Placement::Node.path(), &[mode])
            });
        }
        // By the proxy that is there: labels may have been changed since it came.
        webhooks.push(MutatingWebhook {
            rules: Some(vec![containers_of_running_pods()]),
            match_conditions: Some(vec![has_a_sidecar()]),
            ..asked(&["running", "sidecar"], Placement::Sidecar.path(), &[])
        });
        for mode in &of_sidecars() {
            for who in &naming_others() {
                webhooks.push(MutatingWebhook {
                    // Whoever is there is asked itself.
                    failure_policy: Some("Ignore".to_owned()),
                    ..asked(&[mode.told, "sidecar", who.told], OTHER, &[mode, who])
                });
            }
        }
    }
    MutatingWebhookConfiguration {
        metadata: ObjectMeta {
            name: Some(configuration(name)),
            ..ObjectMeta::default()
        },
        // Of a pod and its namespace at most one of each configuration is true.
        webhooks: Some(webhooks),
    }
}

type Requirements = Vec<LabelSelectorRequirement>;

/// What a namespace, and what a pod in it, says for the pod to be meant.
struct Selected {
    told: &'static str,
    namespaces: Requirements,
    pods: Requirements,
}

/// Of a sidecar, by its namespace or by itself.
fn of_sidecars() -> [Selected; 2] {
    of_mode(SIDECAR, &[NODE, "none"])
}

/// Of its node's proxy.
fn of_nodes() -> [Selected; 2] {
    of_mode(NODE, &[SIDECAR, "none"])
}

fn of_mode(mode: &str, others: &[&str]) -> [Selected; 2] {
    [
        Selected {
            told: "namespace",
            namespaces: vec![one_of(MODE, &[mode])],
            pods: vec![none_of(MODE, others)],
        },
        Selected {
            told: "pod",
            namespaces: vec![none_of(MODE, &[mode])],
            pods: vec![one_of(MODE, &[mode])],
        },
    ]
}

/// Who names this control plane: by its namespace, or by itself.
fn naming(name: Option<&ControlName>) -> Vec<Selected> {
    let word = name.map_or(DEFAULT_CONTROL, ControlName::as_str);
    let mut naming = vec![
        Selected {
            told: "named-by-namespace",
            namespaces: vec![one_of(CONTROL, &[word])],
            pods: vec![without(CONTROL)],
        },
        Selected {
            told: "named-by-pod",
            namespaces: Vec::new(),
            pods: vec![one_of(CONTROL, &[word])],
        },
    ];
    if name.is_none() {
        naming.push(Selected {
            told: "",
            namespaces: vec![without(CONTROL)],
            pods: vec![without(CONTROL)],
        });
    }
    naming
}

/// Who names another than the default one.
fn naming_others() -> [Selected; 2] {
    let other = || vec![with(CONTROL), none_of(CONTROL, &[DEFAULT_CONTROL])];
    [
        Selected {
            told: "other-named-by-namespace",
            namespaces: other(),
            pods: vec![without(CONTROL)],
        },
        Selected {
            told: "other-named-by-pod",
            namespaces: Vec::new(),
            pods: other(),
        },
    ]
}

/// What meets all of these.
fn selector<'a>(all: impl Iterator<Item = &'a Requirements>) -> LabelSelector {
    let all: Vec<_> = all.flatten().cloned().collect();
    LabelSelector {
        match_expressions: (!all.is_empty()).then_some(all),
        match_labels: None,
    }
}

fn one_of(label: &str, values: &[&str]) -> LabelSelectorRequirement {
    requirement(label, "In", values)
}

/// Also where the label is not there.
fn none_of(label: &str, values: &[&str]) -> LabelSelectorRequirement {
    requirement(label, "NotIn", values)
}

fn with(label: &str) -> LabelSelectorRequirement {
    requirement(label, "Exists", &[])
}

fn without(label: &str) -> LabelSelectorRequirement {
    requirement(label, "DoesNotExist", &[])
}

fn requirement(label: &str, operator: &str, values: &[&str]) -> LabelSelectorRequirement {
    let values = values.iter().map(|value| (*value).to_owned());
    LabelSelectorRequirement {
        key: label.to_owned(),
        operator: operator.to_owned(),
        values: (values.len() > 0).then(|| values.collect()),
    }
}

fn made_pods() -> RuleWithOperations {
    rule("CREATE", "pods".to_owned())
}

/// A pod is never made with such containers: they come by an update of this part of it.
fn containers_of_running_pods() -> RuleWithOperations {
    rule("UPDATE", format!("pods/{EPHEMERAL}"))
}

fn rule(operation: &str, resource: String) -> RuleWithOperations {
    RuleWithOperations {
        api_groups: Some(vec![String::new()]),
        api_versions: Some(vec!["v1".to_owned()]),
        operations: Some(vec![operation.to_owned()]),
        resources: Some(vec![resource]),
        scope: Some("Namespaced".to_owned()),
    }
}

fn has_a_sidecar() -> MatchCondition {
    let init = "object.spec.initContainers";
    MatchCondition {
        name: "has-a-sidecar".to_owned(),
        expression: format!("has({init}) && {init}.exists(one, one.name == '{PROXY}')"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an object says of how it takes part, and by which control plane.
    type Says<'a> = [(&'static str, Option<&'a str>); 2];

    fn takes(selector: &LabelSelector, says: &Says<'_>) -> bool {
        let mut all = selector.match_expressions.iter().flatten();
        all.all(|required| {
            let said = says.iter().find(|(label, _)| *label == required.key);
            let said = said.and_then(|(_, said)| *said);
            let mut values = required.values.iter().flatten();
            let is_named = said.is_some_and(|said| values.any(|value| value == said));
            match &*required.operator {
                "In" => is_named,
                "NotIn" => !is_named,
                "Exists" => said.is_some(),
                _ => said.is_none(),
            }
        })
    }

    /// Where who is asked about a pod: `leno-control/inject`.
    fn asked(namespace: &Says<'_>, pod: &Says<'_>) -> Vec<String> {
        let canary = ControlName::new("canary").unwrap();
        let both = [webhook(None, 15012), webhook(Some(&canary), 15012)];
        let hooks = both.into_iter().filter_map(|it| it.webhooks).flatten();
        let asked = hooks.filter(|hook| {
            let rules = hook.rules.as_ref().unwrap();
            rules.contains(&made_pods())
                && takes(hook.namespace_selector.as_ref().unwrap(), namespace)
                && takes(hook.object_selector.as_ref().unwrap(), pod)
        });
        let place = |hook: MutatingWebhook| {
            let service = hook.client_config.service.unwrap();
            format!("{}{}", service.name, service.path.unwrap())
        };
        asked.map(place).collect()
    }

    #[test]
    fn a_pods_own_labels_count_and_else_its_namespaces() {
        let modes = [None, Some(SIDECAR), Some(NODE), Some("none")];
        let names = [None, Some("default"), Some("canary"), Some("nosuch")];
        let all: Vec<_> = modes
            .iter()
            .flat_map(|mode| names.map(|name| [(MODE, *mode), (CONTROL, name)]))
            .collect();
        for namespace in &all {
            for pod in &all {
                let said = |at: usize| pod[at].1.or(namespace[at].1);
                let expect: &[&str] = match (said(0), said(1)) {
                    (Some(NODE), _) => &["leno-control/inject/node"],
                    (Some(SIDECAR), None | Some("default")) => &["leno-control/inject"],
                    (Some(SIDECAR), Some("canary")) => {
                        &["leno-control/inject/other", "leno-control-canary/inject"]
                    }
                    (Some(SIDECAR), Some(_)) => &["leno-control/inject/other"],
                    _ => &[],
                };
                assert_eq!(asked(namespace, pod), expect, "{namespace:?} {pod:?}");
            }
        }
    }

    #[test]
    fn each_has_a_name_of_its_own() {
        let hooks = webhook(None, 15012).webhooks.unwrap();
        let names: std::collections::BTreeSet<_> = hooks.iter().map(|hook| &hook.name).collect();
        assert_eq!(names.len(), hooks.len());
        assert!(names.contains(&"namespace.sidecar.leno.dev".to_owned()));
    }
}
