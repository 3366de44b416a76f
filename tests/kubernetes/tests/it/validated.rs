//! Changes that a control plane looks at before they are made.

use std::fs;

use leno_cluster::{Cluster, Tier};
use leno_e2e::{Ended, World, ended, until};
use serde_json::{Value, json};

use crate::control::{SHOP, start, until_told};

/// A policy about cart with these rules, and with this label.
fn policy(label: &str, rules: &str) -> String {
    format!(
        "apiVersion: leno.dev/v1alpha1\nkind: AccessPolicy\n\
         metadata: {{name: cart, namespace: shop, labels: {{a: {label}}}}}\n\
         spec: {{targetRefs: [{{kind: Service, name: cart}}], rules: {rules}}}\n"
    )
}

const GOOD: &str = "[{callers: [{identity: shop/web}]}]";
/// Two ways to read it.
const BROKEN: &str = "[]";

/// A route whose parent is of this kind, with a path of this form, and this backend.
fn route(parent: &str, form: &str, backend: &str) -> String {
    let group = match parent {
        "Service" => "''",
        _ => "gateway.networking.k8s.io",
    };
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n\
         metadata: {{name: cart, namespace: shop}}\n\
         spec:\n  parentRefs: [{{group: {group}, kind: {parent}, name: cart}}]\n  \
         rules: [{{matches: [{{path: {{type: RegularExpression, value: '{form}'}}}}], \
         backendRefs: [{{name: {backend}, port: 80}}]}}]\n"
    )
}

/// How `kubectl apply` ends for a document, with `more` arguments.
fn apply(cluster: &Cluster, document: &str, more: &[&str]) -> Ended {
    let file = cluster.folder().join("changed.yaml");
    fs::write(&file, document).unwrap();
    let file = file.display().to_string();
    let mut command = cluster.command("kubectl");
    command.args(["apply", "--server-side", "-f", &file]);
    ended(command.args(more)).expect("it ends in time")
}

fn made(cluster: &Cluster, document: &str) -> String {
    let ended = apply(cluster, document, &[]);
    assert!(ended.status.success(), "{}", ended.err);
    ended.err
}

fn refused(cluster: &Cluster, document: &str) -> String {
    let ended = apply(cluster, document, &[]);
    assert!(!ended.status.success(), "{}", ended.out);
    ended.err
}

#[test]
fn a_change_is_looked_at_before_it_is_made() {
    let cluster = Cluster::start(Tier::Api).unwrap();
    cluster.define_all().unwrap();
    cluster.apply(SHOP).unwrap();
    // It was there before anybody looked.
    cluster.apply(&policy("first", BROKEN)).unwrap();
    let world = World::new("");
    let kubeconfig = cluster.kubeconfig().display().to_string();
    let control = start(&world, &kubeconfig, &["--sidecar", "leno.test/leno:1"]);
    let at = world.at("control", 15012);
    let by_url = |mut configuration: Value| {
        for hook in configuration["webhooks"].as_array_mut().unwrap() {
            hook["clientConfig"] = json!({"url": format!("https://{at}/")});
        }
        cluster.apply(&configuration.to_string()).unwrap();
    };
    by_url(serde_json::to_value(leno_kubernetes::webhook(None, 1)).unwrap());
    by_url(serde_json::to_value(leno_kubernetes::validation(1)).unwrap());

    // Nothing is made by a dry run, and the API server takes a while to hear of a webhook.
    let dry = "--dry-run=server";
    let broken = route("Service", "(", "cart");
    let told = until("the API server asks", || {
        let ended = apply(&cluster, &broken, &[dry]);
        (!ended.status.success()).then_some(ended.err)
    });
    for word in [
        "denied",
        "C007 invalid-value",
        "fault: configuration",
        "/spec/rules/0/matches",
        "leno explain C007",
    ] {
        assert!(told.contains(word), "{word} of {told}");
    }
    let path = "jsonpath={.webhooks[*].clientConfig.url}";
    let place = cluster.ask(&["get", "validatingwebhookconfiguration", "leno", "-o", path]);
    let place = place.unwrap();
    let secret = place.trim().rsplit('/').next().unwrap();
    assert_eq!(secret.len(), 32, "{place}");

    assert!(refused(&cluster, &broken).contains("C007"));
    assert_eq!(made(&cluster, &route("Service", "/items", "cart")), "");
    let warned = made(&cluster, &route("Service", "/items", "kart"));
    for word in [
        "Warning: leno: C113 backend-not-found",
        "did you mean cart?",
    ] {
        assert!(warned.contains(word), "{word} of {warned}");
    }
    let status = r#"{"status": {"parents": []}}"#;
    let patch = [
        "patch",
        "httproute",
        "cart",
        "-n",
        "shop",
        "--subresource=status",
    ];
    cluster
        .ask(&[&patch[..], &["--type=merge", "-p", status]].concat())
        .unwrap();
    // What has no part in the mesh is for others to judge.
    assert_eq!(made(&cluster, &route("Gateway", "(", "kart")), "");

    // What is broken may stay so, be repaired and be taken away; what is right is not broken.
    let warned = made(&cluster, &policy("second", BROKEN));
    assert!(
        warned.contains("Warning: leno: C132 empty-rules"),
        "{warned}"
    );
    assert_eq!(made(&cluster, &policy("third", GOOD)), "");
    let told = refused(&cluster, &policy("fourth", BROKEN));
    assert!(told.contains("C132 empty-rules"), "{told}");
    cluster
        .ask(&["delete", "accesspolicy", "cart", "-n", "shop"])
        .unwrap();

    // While nobody answers, changes are made; what does not hold of them is told later.
    drop(control);
    assert_eq!(made(&cluster, &policy("fifth", BROKEN)), "");
    let _control = start(&world, &kubeconfig, &["--sidecar", "leno.test/leno:1"]);
    until_told(&world, &["check"], &["C132", "shop/cart"]);
    until("the next one is asked, at a place of its own", || {
        let ended = apply(&cluster, &broken, &[dry]);
        (!ended.status.success()).then_some(())
    });
    let now = cluster.ask(&["get", "validatingwebhookconfiguration", "leno", "-o", path]);
    assert_ne!(now.unwrap(), place);
}
