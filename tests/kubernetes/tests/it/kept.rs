//! Pods with proxies of their own on nodes that have some, too: those load the packet rules and keep them, and nothing in a
//! pod needs the right to.

use leno_cluster::{Cluster, LENO, Placement};

use crate::chaos::{Asking, LOAD, cart, flush_often, proxies, strangers, until_told};
use crate::sidecar::{get, on_the_node, shop, until_ready};

/// The right that whoever loads packet rules has.
const RIGHT: &str = "NET_ADMIN";

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn nothing_in_a_pod_has_a_right_and_what_is_refused_stays_refused() {
    let cluster = Cluster::for_leno().unwrap();
    cluster.install_leno(Placement::Sidecar).unwrap();
    cluster.apply(&shop(Placement::Sidecar)).unwrap();
    let all_ready = || {
        for deployment in ["cart", "web", "mail"] {
            until_ready(&cluster, "shop", deployment);
        }
    };
    all_ready();
    until_ready(&cluster, "outside", "stranger");
    let pods = || cluster.ask(&["get", "pods", "-n", "shop", "-o", "json"]);
    assert!(pods().unwrap().contains(RIGHT));

    // Pods that ran before nodes had proxies, which have their rules from a container of their own.
    cluster.install_leno(Placement::Node).unwrap();
    let (pod, address) = cart(&cluster);
    let kept = || proxy_says(&cluster, &format!("keeps the capture of shop/{pod}"));
    cluster.until("its rules are kept", kept).unwrap();
    on_the_node(&cluster, &address, "nft flush ruleset");
    until_told(&cluster, &pod);
    until_held(&cluster, &address);

    let restart = ["rollout", "restart", "-n", "shop", "deployment"];
    cluster.ask(&restart).unwrap();
    all_ready();
    let without = || (!pods().unwrap().contains(RIGHT)).then_some(());
    cluster.until("nothing has the right", without).unwrap();
    let allowed = || {
        let told = get(&cluster, "shop", "web", "http://cart:80/items");
        told.starts_with("cart-").then_some(())
    };
    cluster.until("web gets what it may get", allowed).unwrap();
    let other = get(&cluster, "shop", "mail", "http://cart:80/items");
    assert!(other.contains("shop/mail may not GET /items"), "{other}");
    let stranger = get(&cluster, "outside", "stranger", "http://cart.shop:80/items");
    assert!(stranger.contains("the call came in plain"), "{stranger}");

    let (pod, address) = cart(&cluster);
    let strangers_now = strangers(&cluster, &address);
    flush_often(&cluster, &address);
    for one in strangers_now {
        one.passed_never("a pod's rules are flushed again and again");
    }
    until_told(&cluster, &pod);
    until_held(&cluster, &address);

    let strangers_now = strangers(&cluster, &address);
    let load = Asking::begin(&cluster, "shop", "web", "http://cart:80/items", LOAD);
    let update = "rollout restart -n leno-system daemonset/leno-node";
    let updated = "rollout status -n leno-system daemonset/leno-node --timeout=240s";
    for words in [update, updated] {
        cluster.ask(&words.split(' ').collect::<Vec<_>>()).unwrap();
    }
    let alone = || (proxies(&cluster).len() == 1).then_some(());
    cluster.until("the older proxy has gone", alone).unwrap();
    let (count, failed, told) = load.end();
    println!("the DaemonSet is updated: {count} allowed calls, {failed} failed");
    assert_eq!(failed, 0, "{told:#?}");
    for one in strangers_now {
        one.passed_never("the DaemonSet is updated");
    }
    // The newer one keeps what the older one did, and lets pods start.
    on_the_node(&cluster, &address, "nft flush ruleset");
    until_held(&cluster, &address);
    cluster.ask(&restart).unwrap();
    all_ready();
    cluster.until("web gets what it may get", allowed).unwrap();
}

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn checks_over_https_and_by_a_connection_get_in_where_nobody_may_call() {
    let cluster = Cluster::for_leno().unwrap();
    cluster.install_leno(Placement::Node).unwrap();
    for placement in [Placement::Sidecar, Placement::Node] {
        let namespace = format!("by-{}", placement.name());
        let checked = CHECKED.replace("MODE", placement.name());
        let checked = checked.replace("LENO", LENO);
        cluster
            .apply(&checked.replace("NAMESPACE", &namespace))
            .unwrap();
        until_ready(&cluster, &namespace, "vault");
    }
}

/// What speaks TLS itself, is checked by it and by a connection, and is to be called by nobody: somebody's control plane.
const CHECKED: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: NAMESPACE, labels: {leno.dev/dataplane-mode: MODE}}
---
apiVersion: v1
kind: Service
metadata: {name: vault, namespace: NAMESPACE}
spec: {selector: {app: vault}, ports: [{name: https, port: 443, targetPort: https}]}
---
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: vault, namespace: NAMESPACE}
spec: {targetRefs: [{kind: Service, name: vault}], mtls: Strict, default: Deny}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: mesh, namespace: NAMESPACE}
data:
  mesh.yaml: |
    {apiVersion: leno.dev/v1alpha1, kind: Mesh, metadata: {name: vault}, spec: {trustDomain: vault.local}}
    ---
    {apiVersion: leno.dev/v1alpha1, kind: MeshPeer, metadata: {name: bank},
     spec: {trustDomain: bank.local, endpoint: {url: 'https://bank.local/bundle', profile: Web}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: vault, namespace: NAMESPACE}
spec:
  selector: {matchLabels: {app: vault}}
  template:
    metadata: {labels: {app: vault}}
    spec:
      volumes: [{name: state, emptyDir: {}}, {name: mesh, configMap: {name: mesh}}]
      containers:
      - name: app
        image: LENO
        args: [control, --listen, '[::]:8443', --data, /state/control, --socket, /state/socket, --watch, /mesh,
               --metrics, '127.0.0.1:8080']
        ports: [{name: https, containerPort: 8443}]
        startupProbe: {periodSeconds: 1, failureThreshold: 60, tcpSocket: {port: https}}
        readinessProbe: {periodSeconds: 1, httpGet: {scheme: HTTPS, path: /bundle, port: https}}
        volumeMounts: [{name: state, mountPath: /state}, {name: mesh, mountPath: /mesh/mesh.yaml, subPath: mesh.yaml}]
";

/// Whether the proxy of the node has said so.
pub(crate) fn proxy_says(cluster: &Cluster, what: &str) -> Option<()> {
    let logs = ["logs", "-n", "leno-system", "daemonset/leno-node"];
    cluster.ask(&logs).unwrap().contains(what).then_some(())
}

/// Waits until the rules are in the pod with this address.
fn until_held(cluster: &Cluster, address: &str) {
    on_the_node(
        cluster,
        address,
        "sh -c 'until nft list table inet leno >/dev/null 2>&1; do sleep 0.1; done'",
    );
}
