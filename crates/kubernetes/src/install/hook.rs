//! What clears nodes for Helm, which would take their proxies away and leave what these have put there: a Job that says
//! `leno uninstall --nodes` in the cluster, as an account that may do that and nothing else. Of an installation that
//! `leno install` makes it is no part.

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{Container, PodSpec, PodTemplateSpec, ServiceAccount};
use k8s_openapi::api::rbac::v1::{PolicyRule, Role, RoleBinding};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::node::{CLEARING, NODE};
use super::pod::{as_nobody, on_linux, without_rights};
use super::rights::{role, rule, subject, texts};
use super::{Object, labels, named, selector};

/// What these objects are called.
const NAME: &str = "leno-uninstall";

/// For how long nodes are waited for.
const PATIENCE: &str = "4m";

/// For how many seconds the Job may take, with what its pod needs to begin. By then Helm has not yet had enough of it, which
/// waits for five minutes, and says why it failed.
const DEADLINE: i64 = 290;

/// Whom it acts as and what that account may, and the Job itself, which is run from this image.
pub(super) fn all(image: &str) -> [Object; 4] {
    let account = ServiceAccount {
        metadata: named(NAME),
        ..ServiceAccount::default()
    };
    let allowed = Role {
        metadata: named(NAME),
        rules: Some(rules()),
    };
    let binding = RoleBinding {
        metadata: named(NAME),
        role_ref: role("Role", NAME),
        subjects: Some(vec![subject(NAME)]),
    };
    [
        Object::of(&account),
        Object::of(&allowed),
        Object::of(&binding),
        Object::of(&job(image)),
    ]
}

fn rules() -> Vec<PolicyRule> {
    let of = |group: &str, resource: &str| (group.to_owned(), texts(&[resource]));
    let only = |names: &[&str], rule: PolicyRule| PolicyRule {
        resource_names: Some(texts(names)),
        ..rule
    };
    let sets = of("apps", "daemonsets");
    vec![
        only(&[NODE, CLEARING], rule(sets.clone(), &["get", "delete"])),
        only(&[CLEARING], rule(sets, &["create", "patch"])),
        only(&[NODE], rule(of("", "serviceaccounts"), &["get", "delete"])),
        // What is told of nodes that are not clear yet.
        rule(of("", "pods"), &["list"]),
    ]
}

fn job(image: &str) -> Job {
    let mut all = labels();
    all.extend(selector("uninstall"));
    Job {
        metadata: named(NAME),
        spec: Some(JobSpec {
            // What is tried again is all of it, by whoever reads why it failed.
            backoff_limit: Some(0),
            active_deadline_seconds: Some(DEADLINE),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(all),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod(image)),
            },
            ..JobSpec::default()
        }),
        ..Job::default()
    }
}

fn pod(image: &str) -> PodSpec {
    let arguments = ["uninstall", "--nodes", "--yes", "--wait", PATIENCE];
    PodSpec {
        service_account_name: Some(NAME.to_owned()),
        restart_policy: Some("Never".to_owned()),
        enable_service_links: Some(false),
        node_selector: Some(on_linux()),
        security_context: Some(as_nobody()),
        containers: vec![Container {
            name: "uninstall".to_owned(),
            image: Some(image.to_owned()),
            args: Some(texts(&arguments)),
            security_context: Some(without_rights()),
            termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
            ..Container::default()
        }],
        ..PodSpec::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_may_end_nodes_proxies_and_clear_nodes_and_nothing_else() {
        let told: Vec<_> = rules().iter().map(super::super::rights::told).collect();
        let expect = [
            r#"get delete: "apps" daemonsets only leno-node only leno-node-remove"#,
            r#"create patch: "apps" daemonsets only leno-node-remove"#,
            r#"get delete: "" serviceaccounts only leno-node"#,
            r#"list: "" pods"#,
        ];
        assert_eq!(told, expect);
    }

    #[test]
    fn all_that_it_names_is_there() {
        let [account, allowed, binding, job] = all("leno.test/leno:1");
        let pod = &job.body["spec"]["template"]["spec"];
        assert_eq!(pod["serviceAccountName"], account.name());
        assert_eq!(binding.body["roleRef"]["name"], allowed.name());
        assert_eq!(binding.body["subjects"][0]["name"], account.name());
        let known = [
            super::super::node::proxies_by_name(),
            super::super::node::clearing_by_name(),
        ];
        let known: Vec<_> = known.iter().map(Object::name).collect();
        assert_eq!(known, [NODE, CLEARING]);
    }
}
