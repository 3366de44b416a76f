//! Pods that get a proxy before they are made, and how that proxy proves whose it is.

use std::fs;

use leno_cluster::{Cluster, Tier};
use leno_e2e::{World, ended, until};

use crate::control::{start, told, until_told};

const SHOP: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {leno.dev/dataplane-mode: sidecar}}
---
apiVersion: v1
kind: Namespace
metadata: {name: bank}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: cart, namespace: shop}
---
apiVersion: leno.dev/v1alpha1
kind: Mesh
metadata: {name: shop}
spec: {trustDomain: shop.local}
";

/// A pod with more in its metadata, and more in its container.
fn pod(namespace: &str, name: &str, metadata: &str, container: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}{metadata}}}\n\
         spec: {{serviceAccountName: cart, containers: [{{name: cart, image: cart{container}}}]}}\n"
    )
}

/// The containers that a pod got, those first that begin first.
fn containers(cluster: &Cluster, namespace: &str, name: &str) -> String {
    let path = "{.spec.initContainers[*].name} {.spec.containers[*].name}";
    let output = format!("jsonpath={path}");
    let told = cluster.ask(&["get", "pod", name, "-n", namespace, "-o", &output]);
    told.unwrap().trim().to_owned()
}

/// A token of cart, bound to a pod or to nothing.
fn token(cluster: &Cluster, audience: &str, pod: Option<&str>) -> String {
    let made = [
        "create",
        "token",
        "cart",
        "-n",
        "shop",
        "--audience",
        audience,
    ];
    let bound = pod.map(|pod| ["--bound-object-kind", "Pod", "--bound-object-name", pod]);
    let bound = bound.as_ref().map_or(&[][..], |bound| bound);
    cluster.ask(&[&made[..], bound].concat()).unwrap()
}

#[test]
fn a_pod_gets_a_proxy_that_proves_whose_it_is() {
    let cluster = Cluster::start(Tier::Api).unwrap();
    cluster.define_all().unwrap();
    cluster.apply(SHOP).unwrap();
    let world = World::new("");
    let kubeconfig = cluster.kubeconfig().display().to_string();
    let control = start(&world, &kubeconfig, &["--sidecar", "leno.test/leno:1"]);
    // Until somebody says whom to ask about pods, none gets anything.
    control.until_says(&["D014", "not found"]);
    let at = world.at("control", 15012);
    let mut webhook = serde_json::to_value(leno_kubernetes::webhook(None, 1)).unwrap();
    for hook in webhook["webhooks"].as_array_mut().unwrap() {
        let path = hook["clientConfig"]["service"]["path"].as_str().unwrap();
        hook["clientConfig"] = serde_json::json!({"url": format!("https://{at}{path}")});
    }
    cluster.apply(&webhook.to_string()).unwrap();
    until(
        "the API server knows by what the control plane is proven",
        || {
            let path = "jsonpath={.webhooks[*].clientConfig.caBundle}";
            let told = cluster.ask(&["get", "mutatingwebhookconfiguration", "leno", "-o", path]);
            let told = told.unwrap();
            (told.split_whitespace().count() == 13).then_some(())
        },
    );

    let ours = "leno-capture leno-proxy cart";
    until("a pod of the namespace gets a proxy", || {
        // The API server takes a while to hear of a webhook.
        cluster.apply(&pod("shop", "cart-1", "", "")).unwrap();
        let is_made = containers(&cluster, "shop", "cart-1") == ours;
        if !is_made {
            cluster
                .ask(&["delete", "pod", "cart-1", "-n", "shop", "--now"])
                .unwrap();
        }
        is_made.then_some(())
    });
    let none = ", labels: {leno.dev/dataplane-mode: none}";
    cluster.apply(&pod("shop", "cart-2", none, "")).unwrap();
    assert_eq!(containers(&cluster, "shop", "cart-2"), "cart");
    cluster.apply(&pod("bank", "cart-1", "", "")).unwrap();
    assert_eq!(containers(&cluster, "bank", "cart-1"), "cart");
    let asks = ", labels: {leno.dev/dataplane-mode: sidecar}";
    cluster.apply(&pod("bank", "cart-2", asks, "")).unwrap();
    assert_eq!(containers(&cluster, "bank", "cart-2"), ours);

    let raw = ", securityContext: {capabilities: {add: [NET_RAW]}}";
    let refused = cluster.apply(&pod("shop", "cart-3", "", raw)).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("leno: container cart has NET_RAW"),
        "{refused}"
    );

    // A pod whose node's proxy serves it gets none, and may go around that one no more than around its own.
    let by_node = ", labels: {leno.dev/dataplane-mode: node}";
    cluster.apply(&pod("shop", "cart-5", by_node, "")).unwrap();
    assert_eq!(containers(&cluster, "shop", "cart-5"), "cart");
    let refused = cluster.apply(&pod("shop", "cart-6", by_node, raw));
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("has NET_RAW"), "{refused}");

    // One about which nobody was asked is named once it is to be served.
    cluster.apply(&pod("bank", "cart-4", "", raw)).unwrap();
    let label = ["label", "pod", "cart-4", "-n", "bank"];
    let label = [&label[..], &["leno.dev/dataplane-mode=node"]].concat();
    cluster.ask(&label).unwrap();
    until_told(&world, &["check"], &["C196", "bank/cart-4", "has NET_RAW"]);

    // What a pod says of its proxy holds, and what nobody could wait for does not.
    let says = "leno.dev/proxy-memory-limit: 128Mi, leno.dev/wait-before-end-seconds: '9223372036854775807'";
    let says = format!("{asks}, annotations: {{{says}}}");
    cluster.apply(&pod("bank", "cart-3", &says, "")).unwrap();
    let limits = "jsonpath={.spec.initContainers[*].resources.limits.memory}";
    let limits = cluster.ask(&["get", "pod", "cart-3", "-n", "bank", "-o", limits]);
    assert_eq!(limits.unwrap().trim(), "128Mi 128Mi");

    // What is added to a pod while it runs may not go around its proxy either, whatever else that pod says by now.
    let debug = |namespace: &str, name: &str, security: &str| {
        let container =
            format!(r#"{{"name": "debugger", "image": "cart", "securityContext": {security}}}"#);
        let change = format!(r#"{{"spec": {{"ephemeralContainers": [{container}]}}}}"#);
        let patch = [
            "patch",
            "pod",
            name,
            "-n",
            namespace,
            "--subresource",
            "ephemeralcontainers",
            "-p",
            &change,
        ];
        cluster.ask(&patch).map_err(|why| why.to_string())
    };
    let label = [
        "label",
        "pod",
        "cart-1",
        "-n",
        "shop",
        "leno.dev/dataplane-mode=none",
    ];
    cluster.ask(&label).unwrap();
    let admin = r#"{"capabilities": {"add": ["NET_ADMIN"]}}"#;
    for name in ["cart-1", "cart-5"] {
        let refused = debug("shop", name, admin).unwrap_err();
        assert!(
            refused.contains("leno: container debugger has NET_ADMIN"),
            "{refused}"
        );
    }
    let refused = debug("bank", "cart-2", r#"{"runAsUser": 15008}"#).unwrap_err();
    assert!(
        refused.contains("container debugger runs as user 15008"),
        "{refused}"
    );
    for (namespace, name) in [("shop", "cart-1"), ("shop", "cart-5")] {
        debug(namespace, name, "{}").unwrap();
    }
    for (namespace, name) in [("shop", "cart-2"), ("bank", "cart-1")] {
        debug(namespace, name, admin).unwrap();
    }

    // The token of its pod lets a proxy join, as whom the pod acts as.
    let mesh = until("the control plane knows whose tokens prove pods", || {
        let told = told(&world, &["token", "list"]);
        let mut words = told.split_whitespace();
        words
            .find(|word| word.starts_with("leno-mesh:"))
            .map(str::to_owned)
    });
    let join = |token: &str, state: &str| {
        let file = world.folder().join("token");
        fs::write(&file, token).unwrap();
        let file = file.display().to_string();
        let arguments = ["join", &mesh, "--oidc-token", &file, "--state", state];
        let mut command = world.command(&arguments);
        ended(&mut command).expect("it ends in time").out
    };
    let good = token(&cluster, "leno", Some("cart-1"));
    until("its pod is seen", || {
        join(&good, "joined")
            .contains("as spiffe://shop.local/ns/shop/sa/cart")
            .then_some(())
    });
    assert!(join(&token(&cluster, "leno", None), "unbound").contains("T021"));
    assert!(join(&token(&cluster, "other", Some("cart-1")), "other").contains("T021"));
    cluster
        .ask(&["delete", "pod", "cart-1", "-n", "shop", "--now"])
        .unwrap();
    until("the token of a pod that is gone proves nobody", || {
        join(&good, "gone")
            .contains("no pod shop/cart-1")
            .then_some(())
    });

    // While nobody answers, no pod is made without its proxy, unless the mesh says so.
    // Who only looks for control planes that are not there never stands in the way.
    let closed = [&["Fail"; 9][..], &["Ignore"; 4]].concat().join(" ");
    let open_all = ["Ignore"; 13].join(" ");
    let policies = || {
        let path = "jsonpath={.webhooks[*].failurePolicy}";
        let told = cluster.ask(&["get", "mutatingwebhookconfiguration", "leno", "-o", path]);
        told.unwrap()
    };
    assert_eq!(policies(), closed);
    drop(control);
    let refused = cluster.apply(&pod("shop", "cart-4", "", "")).unwrap_err();
    assert!(
        refused.to_string().contains("sidecar.leno.dev"),
        "{refused}"
    );
    let control = start(&world, &kubeconfig, &["--sidecar", "leno.test/leno:1"]);
    let open = "spec: {trustDomain: shop.local, kubernetes: {whileAway: Open}}";
    let open = SHOP.replace("spec: {trustDomain: shop.local}", open);
    cluster.apply(&open).unwrap();
    until("the API server makes pods while nobody answers", || {
        (policies() == open_all).then_some(())
    });
    drop(control);
    until("the API server has heard of it", || {
        cluster.apply(&pod("shop", "cart-4", "", "")).ok()
    });
    assert_eq!(containers(&cluster, "shop", "cart-4"), "cart");
    let control = start(&world, &kubeconfig, &["--sidecar", "leno.test/leno:1"]);
    until_told(&world, &["check"], &["C195", "shop/cart-4"]);
    until("an event beside the pod says so", || {
        let reasons = "jsonpath={.items[?(@.involvedObject.name=='cart-4')].reason}";
        let told = cluster.ask(&["get", "events", "-n", "shop", "-o", reasons]);
        told.unwrap().contains("PodWithoutProxy").then_some(())
    });
    cluster.apply(SHOP).unwrap();
    until("the API server makes none again", || {
        (policies() == closed).then_some(())
    });
    drop(control);
}
