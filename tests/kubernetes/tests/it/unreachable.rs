//! An API server that does not answer for a while, on a real node: what it told last holds, and certificates are renewed.

use std::time::Duration;

use leno_cluster::{Cluster, Placement};

use crate::chaos::{Asking, LOAD, PROBES};
use crate::sidecar::{check, get, shop, until_ready};

/// Certificates end several times while the API server is away.
const MESH: &str = "\
apiVersion: leno.dev/v1alpha1
kind: Mesh
metadata: {name: default}
spec: {certificates: {lifetime: 1m}}
";

/// How long it is away.
const AWAY: Duration = Duration::from_secs(150);

#[expect(
    clippy::disallowed_methods,
    reason = "certificates end by the clock, in processes of their own"
)]
fn rest() {
    std::thread::sleep(AWAY);
}

/// Stops the API server, or lets it go on: who asks meanwhile waits.
fn signal(cluster: &Cluster, signal: &str) {
    let script = format!("pkill -{signal} -f '[k]ube-apiserver --'");
    let done = cluster.inside("sh").args(["-c", &script]).status().unwrap();
    assert!(done.success(), "{signal}: {done}");
}

fn calls_go_on(placement: Placement) {
    let cluster = Cluster::for_leno().unwrap();
    cluster.install_leno(placement).unwrap();
    cluster.apply(MESH).unwrap();
    cluster.apply(&shop(placement)).unwrap();
    for deployment in ["cart", "web", "mail"] {
        until_ready(&cluster, "shop", deployment);
    }
    let allowed = || {
        let told = get(&cluster, "shop", "web", "http://cart:80/items");
        told.starts_with("cart-").then_some(())
    };
    cluster.until("web gets what it may get", allowed).unwrap();
    let path = "jsonpath={.items[0].status.podIP}";
    let cart = ["get", "pods", "-n", "shop", "-l", "app=cart", "-o", path];
    let address = cluster.ask(&cart).unwrap();

    // Nobody asks by way of the API server.
    let asking = |namespace: &str, from: &str, load: &str| {
        Asking::begin_by_runtime(&cluster, namespace, from, load)
    };
    let web = asking("shop", "web", &format!("http://cart:80/items {LOAD}"));
    let in_vain = format!("{PROBES} 200");
    let refused = [
        asking("shop", "mail", &format!("http://cart:80/items {in_vain}")),
        asking(
            "outside",
            "stranger",
            &format!("http://{address}:8080/items {in_vain}"),
        ),
    ];
    signal(&cluster, "STOP");
    rest();
    signal(&cluster, "CONT");
    let (asked, failed, told) = web.end();
    println!("while the API server is away: {asked} calls, {failed} failed");
    assert!(asked > 0 && failed == 0, "{told:#?}");
    for one in refused {
        one.passed_never("while the API server is away");
    }

    // It goes on by itself.
    let mail = "[{identity: shop/web}, {identity: shop/mail}]";
    let written = shop(placement).replace("[{identity: shop/web}]", mail);
    let applied = || cluster.apply(&written).ok();
    cluster.until("what is changed is taken", applied).unwrap();
    let allowed = || {
        let told = get(&cluster, "shop", "mail", "http://cart:80/items");
        told.starts_with("cart-").then_some(())
    };
    cluster
        .until("mail gets what it may get now", allowed)
        .unwrap();
    let sound = || (!check(&cluster).contains("D012")).then_some(());
    cluster
        .until("nothing is said of the cluster any more", sound)
        .unwrap();
}

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn calls_go_on_with_a_proxy_in_each_pod_while_the_api_server_is_away() {
    calls_go_on(Placement::Sidecar);
}

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn calls_go_on_with_the_proxy_of_a_node_while_the_api_server_is_away() {
    calls_go_on(Placement::Node);
}
