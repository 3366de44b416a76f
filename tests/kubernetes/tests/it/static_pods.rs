//! Pods that a node makes of files of its own, and that the cluster knows mirrors of.

use leno_cluster::{Cluster, POD, Placement};

use crate::kept::proxy_says;

const NAMESPACE: &str = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";

/// Gives the node a file of a pod that its proxy is to serve.
fn lay(cluster: &Cluster, namespace: &str, name: &str) {
    let file = serde_json::json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"leno.dev/dataplane-mode": "node"}},
        "spec": {"containers": [{"name": "app", "image": POD, "args": ["serve", "8080"]}]},
    });
    let folder = "/etc/kubernetes/manifests";
    let script = format!("echo '{file}' > {folder}/{name}.json");
    let laid = cluster.inside("sh").args(["-c", &script]).status();
    assert!(laid.unwrap().success());
}

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn static_pods_are_served_by_the_proxy_of_their_node() {
    let cluster = Cluster::for_leno().unwrap();
    cluster.apply(NAMESPACE).unwrap();
    let until_ready = |namespace: &str, pod: &str| {
        let path = "jsonpath={.status.containerStatuses[0].ready}";
        let asked = ["get", "pod", pod, "-n", namespace, "-o", path];
        let ready = || (cluster.ask(&asked).ok()? == "true").then_some(());
        cluster.until(&format!("{pod} runs"), ready).unwrap();
    };
    let until_served = |pod: &str| {
        let says = || proxy_says(&cluster, &format!("serves {pod}"));
        cluster.until(&format!("{pod} is served"), says).unwrap();
    };
    // One runs before its node has a proxy, and is found by its control groups.
    lay(&cluster, "kube-system", "early");
    until_ready("kube-system", "early-node-1");
    cluster.install_leno(Placement::Node).unwrap();
    until_served("kube-system/early-node-1");
    // Of the other one the plugin tells.
    lay(&cluster, "shop", "late");
    until_ready("shop", "late-node-1");
    until_served("shop/late-node-1");
}
