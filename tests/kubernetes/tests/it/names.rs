//! Whom pods ask for names that the mesh does not know, where their node's proxy answers them.

use leno_cluster::{Cluster, POD, Placement};

use crate::chaos::proxies;
use crate::nodes::on_node;
use crate::sidecar::{addresses, shop, until_ready};

/// A server that alone knows a name, which nobody finds by the cluster's servers.
fn server() -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: names, namespace: default}}\nspec:\n  \
         terminationGracePeriodSeconds: 0\n  \
         containers: [{{name: app, image: '{POD}', args: [names, {NAME}, {ADDRESS}], securityContext: {{runAsUser: 0}}}}]\n"
    )
}

const NAME: &str = "accounts.bank.example";
const ADDRESS: &str = "192.0.2.7";

/// A pod of the shop that asks whom its spec says, with what its annotations say.
fn asking(name: &str, annotations: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: shop}}\n\
         spec:\n  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    \
         metadata: {{labels: {{app: {name}}}, annotations: {{{annotations}}}}}\n    spec:\n      \
         terminationGracePeriodSeconds: 0\n      {spec}\n      \
         containers: [{{name: app, image: '{POD}', args: [pause]{WRONG}}}]\n"
    )
}

/// What is in its container names nobody who answers: that is anybody's to write who is there.
const WRONG: &str =
    ", volumeMounts: [{name: wrong, mountPath: /etc/resolv.conf, subPath: resolv.conf}]";
const FILE: &str = "\
---
apiVersion: v1
kind: ConfigMap
metadata: {name: wrong, namespace: shop}
data: {resolv.conf: 'nameserver 192.0.2.53'}
";

/// The addresses that a pod of a Deployment finds for a name, or why it finds none.
fn look(cluster: &Cluster, from: &str, name: &str) -> String {
    let deployment = format!("deploy/{from}");
    let exec = [
        "exec",
        "-n",
        "shop",
        &deployment,
        "-c",
        "app",
        "--",
        "/pod",
        "look",
        name,
    ];
    cluster
        .ask(&exec)
        .unwrap_or_else(|failed| failed.to_string())
}

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn names_are_asked_of_whom_a_pod_says() {
    let cluster = Cluster::for_leno().unwrap();
    cluster.apply(&server()).unwrap();
    let wait = "wait --for=condition=Ready --timeout=120s pod/names";
    let asked = |words: &str| cluster.ask(&words.split(' ').collect::<Vec<_>>()).unwrap();
    asked(wait);
    let server = asked("get pod names -o jsonpath={.status.podIP}");
    // What pods of `dnsPolicy: Default` ask, the node does.
    on_node(
        &cluster,
        &format!("echo nameserver {server} > /etc/resolv.conf"),
    );
    cluster.install_leno(Placement::Node).unwrap();
    cluster.apply(&shop(Placement::Node)).unwrap();
    let named = format!("dnsPolicy: None, dnsConfig: {{nameservers: ['{server}']}}");
    let wrong = "volumes: [{name: wrong, configMap: {name: wrong}}]";
    let spec = |names: &str| {
        format!(
            "{wrong}\n      {}",
            names.replace(", dnsConfig", "\n      dnsConfig")
        )
    };
    let all = [
        FILE,
        &asking("own", "", &spec(&named)),
        &asking("alone", "leno.dev/isolation: Pod", &spec(&named)),
        &asking("nodes", "", &spec("dnsPolicy: Default")),
        &asking("plain", "", &spec("dnsPolicy: ClusterFirst")),
    ];
    cluster.apply(&all.concat()).unwrap();
    for deployment in ["cart", "own", "alone", "nodes", "plain"] {
        until_ready(&cluster, "shop", deployment);
    }
    let expect = format!("{ADDRESS}\n");
    for from in ["own", "alone", "nodes"] {
        let found = || {
            let told = look(&cluster, from, NAME);
            (told == expect).then_some(())
        };
        cluster
            .until(&format!("{from} finds the name"), found)
            .unwrap();
        // It is asked from the pod's own network.
        let address = asked(&format!(
            "get pods -n shop -l app={from} -o jsonpath={{.items[0].status.podIP}}"
        ));
        let said = asked("logs names");
        assert!(
            said.contains(&format!("asked by {address}\n")),
            "{address}: {said}"
        );
    }
    for proxy in proxies(&cluster) {
        let path = "-o jsonpath={.status.podIP}";
        let address = asked(&format!("get -n leno-system {proxy} {path}"));
        let said = asked("logs names");
        assert!(!said.contains(&format!("asked by {address}\n")), "{said}");
    }
    // What is the mesh's is answered first, whoever else is asked; and who names nobody asks the cluster's servers.
    let virtual_addresses = addresses(&cluster, "shop", "service", "cart", "{.spec.clusterIPs}");
    for from in ["own", "alone", "nodes", "plain"] {
        let told = look(&cluster, from, "cart.shop.svc.cluster.local");
        let first = virtual_addresses[0].trim_matches(['[', ']']);
        assert!(told.contains(first), "{from}: {told} {virtual_addresses:?}");
    }
    let plain = look(&cluster, "plain", NAME);
    assert!(!plain.contains(ADDRESS), "{plain}");
    let shown = cluster.leno(&["view", "node/node-1"]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    let is_shown = |line: &str| line.contains("other names asked of") && line.contains(&server);
    assert!(shown.lines().any(is_shown), "{shown}");
}
