//! Pods whose node's proxy carries their calls, on a real node: what holds with a proxy in each pod holds there too.

use leno_cluster::{Cluster, Placement};

use crate::chaos::{Asking, LOAD, cart, strangers};
use crate::install::inside;
use crate::sidecar::{self, get, shop, until_ready};

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn pods_call_each_other_by_who_they_are() {
    sidecar::pods_call_each_other(Placement::Node);
}

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn no_request_is_lost_while_pods_are_replaced() {
    sidecar::no_request_is_lost(Placement::Node);
}

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn jobs_complete() {
    sidecar::jobs(Placement::Node);
}

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn what_is_said_of_placement_counts_at_the_next_start_of_a_pod() {
    let cluster = Cluster::for_leno().unwrap();
    cluster.install_leno(Placement::Node).unwrap();
    cluster.apply(&shop(Placement::Node)).unwrap();
    for deployment in ["cart", "web", "mail"] {
        until_ready(&cluster, "shop", deployment);
    }
    until_ready(&cluster, "outside", "stranger");
    let asked = |words: &str| cluster.ask(&words.split(' ').collect::<Vec<_>>()).unwrap();
    let allowed = || {
        let told = get(&cluster, "shop", "web", "http://cart:80/items");
        told.starts_with("cart-").then_some(())
    };
    cluster.until("web gets what it may get", allowed).unwrap();
    let has_proxies = |deployment: &str| {
        let label = format!("app={deployment}");
        let names = "jsonpath={.items[*].spec.initContainers[*].name}";
        let pods = ["get", "pods", "-n", "shop", "-l", &label, "-o", names];
        cluster.ask(&pods).unwrap().contains("leno-proxy")
    };

    let (_, address) = cart(&cluster);
    let strangers_now = strangers(&cluster, &address);
    let load = Asking::begin(&cluster, "shop", "web", "http://cart:80/items", LOAD);
    for mode in ["none", "sidecar"] {
        asked(&format!(
            "label namespace shop leno.dev/dataplane-mode={mode} --overwrite"
        ));
        let told = || {
            let said = inside(&cluster, &["check", "-v", "-n", "shop"]);
            let is_said = said.contains("C197 pod-still-served") && said.contains(mode);
            is_said.then_some(())
        };
        cluster.until("it is said", told).unwrap();
    }
    // Whoever tells proxies whom they serve, and the one that does, know it afterwards.
    for words in ["deployment/leno-control", "daemonset/leno-node"] {
        asked(&format!("rollout restart -n leno-system {words}"));
        asked(&format!(
            "rollout status -n leno-system {words} --timeout=240s"
        ));
    }
    assert!(!has_proxies("cart"));
    // The other end of the same calls.
    asked("rollout restart -n shop deployment/cart");
    until_ready(&cluster, "shop", "cart");
    let (count, failed, told) = load.end();
    println!("another placement is said: {count} allowed calls, {failed} failed");
    assert_eq!(failed, 0, "{told:#?}");
    for one in strangers_now {
        one.passed_never("another placement is said");
    }
    assert!(has_proxies("cart") && !has_proxies("web"));

    asked("rollout restart -n shop deployment");
    for deployment in ["cart", "web", "mail"] {
        until_ready(&cluster, "shop", deployment);
        let alone = || has_proxies(deployment).then_some(());
        cluster.until("it has a proxy in it", alone).unwrap();
    }
    cluster.until("web gets what it may get", allowed).unwrap();
    let other = get(&cluster, "shop", "mail", "http://cart:80/items");
    assert!(other.contains("shop/mail may not GET /items"), "{other}");
    let stranger = get(&cluster, "outside", "stranger", "http://cart.shop:80/items");
    assert!(stranger.contains("the call came in plain"), "{stranger}");
}
