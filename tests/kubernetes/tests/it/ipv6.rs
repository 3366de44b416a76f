//! A cluster of IPv6 alone, and one that has IPv4 second: pods in either placement, in one mesh.

use std::process::Stdio;

use leno_cluster::{Cluster, Families, LENO, Placement, Tier, before_port};
use leno_e2e::{ended_within, run, run_within};

use crate::install::{PATIENCE, inside};
use crate::nodes::{FILE, on_node};
use crate::sidecar::{get, on_the_node, shop, until_ready};

/// The namespaces of the mesh, by where their pods have their proxies.
pub(crate) const PLACES: [(&str, Placement); 2] = [
    ("by-sidecar", Placement::Sidecar),
    ("by-node", Placement::Node),
];

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn a_mesh_holds_where_there_is_no_ipv4_and_leaves_nothing() {
    let cluster = Cluster::for_leno_with(Tier::Node, Families::Six).unwrap();
    let of_ipv4 = on_node(&cluster, "ip -4 -oneline address show scope global");
    assert_eq!(of_ipv4, "");
    holds_and_leaves_nothing(&cluster);
}

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn a_mesh_holds_where_ipv4_comes_second_and_leaves_nothing() {
    let cluster = Cluster::for_leno_with(Tier::Node, Families::BothSixFirst).unwrap();
    holds_and_leaves_nothing(&cluster);
}

fn holds_and_leaves_nothing(cluster: &Cluster) {
    let before = traces(cluster);
    is_fit(cluster);
    let first = [
        "get",
        "service",
        "kubernetes",
        "-o",
        "jsonpath={.spec.clusterIP}",
    ];
    assert!(cluster.ask(&first).unwrap().contains(':'));
    // Pods of the one placement load their rules themselves, those of the other have them from their node.
    for (namespace, placement) in PLACES {
        cluster.install_leno(placement).unwrap();
        // They are ready, which their node's checks by HTTP have said though all but two callers are refused.
        lay_out(cluster, namespace, placement);
        lets_in_and_keeps_out(cluster, namespace, namespace);
    }
    for [(caller, _), (called, _)] in [PLACES, [PLACES[1], PLACES[0]]] {
        lets_in_and_keeps_out(cluster, caller, called);
    }
    // What is printed is what is there: nothing of it is of a family.
    let print = ["install", "--node", "--image", LENO, "--print", "yaml"];
    let printed = run_within(PATIENCE, &mut cluster.leno(&print));
    cluster.apply(&printed).unwrap();
    let again = cluster.install_leno(Placement::Node).unwrap();
    assert!(again.contains("nothing to change"), "{again}");
    for (namespace, _) in PLACES {
        is_proven(cluster, namespace);
    }

    for (namespace, _) in PLACES {
        cluster.ask(&["delete", "namespace", namespace]).unwrap();
    }
    leaves_nothing(cluster, &before);
}

/// What stands on a node that Leno may change.
pub(crate) fn traces(cluster: &Cluster) -> String {
    let plugins = cluster.plugins();
    let script = format!("cat {FILE}; ls {plugins}; nft list tables");
    on_node(cluster, &script)
}

/// Whether nodes are found fit for proxies.
pub(crate) fn is_fit(cluster: &Cluster) {
    let look = ["check", "--pre", "--node"];
    let looked = ended_within(PATIENCE, cluster.leno(&look).stdin(Stdio::null())).unwrap();
    assert!(looked.status.success(), "{looked:?}");
}

/// Makes a shop, and waits until its pods are ready.
pub(crate) fn lay_out(cluster: &Cluster, namespace: &str, placement: Placement) {
    cluster.apply(&written(namespace, placement)).unwrap();
    for deployment in ["cart", "web", "mail"] {
        until_ready(cluster, namespace, deployment);
    }
    until_ready(cluster, "outside", "stranger");
}

/// Takes Leno away, and with it all that was not there before.
pub(crate) fn leaves_nothing(cluster: &Cluster, before: &str) {
    let uninstall = ["uninstall", "--yes", "--with-objects"];
    let told = run_within(PATIENCE, &mut cluster.leno(&uninstall));
    assert!(told.contains("gone  all of that"), "{told}");
    let kinds = "crd,ns,clusterrole,clusterrolebinding,mutatingwebhookconfiguration,validatingwebhookconfiguration";
    let names = cluster.ask(&["get", kinds, "-o", "name"]).unwrap();
    assert!(!names.contains("leno"), "{names}");
    assert_eq!(traces(cluster), before);
}

/// A shop whose cart takes calls of web, from either namespace, and has a Service without an address, too.
fn written(namespace: &str, placement: Placement) -> String {
    let callers = PLACES.map(|(namespace, _)| format!("{{identity: {namespace}/web}}"));
    let headless = "---\napiVersion: v1\nkind: Service\nmetadata: {name: carts, namespace: shop}\n\
                    spec: {clusterIP: None, selector: {app: cart}, ports: [{name: http, port: 8080}]}\n";
    let shop = shop(placement).replace("  ipFamilyPolicy: RequireDualStack\n", "");
    let shop = shop.replace("{identity: shop/web}", &callers.join(", "));
    [&shop, headless].concat().replace("shop", namespace)
}

/// Of the pods of one namespace those get in to cart of the other, or the same, that may.
pub(crate) fn lets_in_and_keeps_out(cluster: &Cluster, caller: &str, called: &str) {
    for at in ways(cluster, called) {
        let url = |path: &str| format!("http://{at}{path}");
        let allowed = || {
            let told = get(cluster, caller, "web", &url("/items"));
            told.starts_with("cart-").then_some(())
        };
        let what = format!("web of {caller} gets {}", url("/items"));
        cluster.until(&what, allowed).unwrap();
        for (who, path) in [("web", "/secret"), ("mail", "/items")] {
            let told = get(cluster, caller, who, &url(path));
            let denied = format!("{caller}/{who} may not GET {path}");
            assert!(told.contains(&denied), "{}: {told}", url(path));
        }
        // Who asks about the call is told the same.
        let asked = inside(cluster, &["why", &format!("{caller}/web"), &url("/items")]);
        assert!(asked.contains("GET /items   allowed"), "{asked}");
        // Whoever is in no mesh proves nothing.
        let stranger = get(cluster, "outside", "stranger", &url("/items"));
        assert!(stranger.contains("the call came in plain"), "{stranger}");
    }
}

/// All that leads to cart: names, short and whole, of a Service and of one without an address, and addresses.
fn ways(cluster: &Cluster, namespace: &str) -> Vec<String> {
    let address = "jsonpath={.spec.clusterIP}";
    let service = ["get", "service", "cart", "-n", namespace, "-o", address];
    let service = before_port(&cluster.ask(&service).unwrap());
    let pod = before_port(&of_pod(cluster, namespace, "{.items[0].status.podIP}"));
    vec![
        format!("cart.{namespace}:80"),
        format!("cart.{namespace}.svc.cluster.local:80"),
        format!("carts.{namespace}:8080"),
        format!("{service}:80"),
        format!("{pod}:8080"),
    ]
}

/// What stands at a path of cart's pods.
fn of_pod(cluster: &Cluster, namespace: &str, path: &str) -> String {
    let path = format!("jsonpath={path}");
    let pods = [
        "get", "pods", "-n", namespace, "-l", "app=cart", "-o", &path,
    ];
    cluster.ask(&pods).unwrap()
}

/// Nothing is wrong, and it is seen when something is: rules that somebody takes away are missed, and put back.
pub(crate) fn is_proven(cluster: &Cluster, namespace: &str) {
    let check = || inside(cluster, &["check", "-n", namespace]);
    let well = || check().contains("no problem").then_some(());
    cluster.until("nothing is wrong", well).unwrap();
    let address = of_pod(cluster, namespace, "{.items[0].status.podIP}");
    on_the_node(cluster, &address, "nft flush ruleset");
    let name = of_pod(cluster, namespace, "{.items[0].metadata.name}");
    let told = || {
        let events = ["get", "events", "-n", namespace, "-o", EVENTS];
        let events = cluster.ask(&events).ok()?;
        let line = format!("RulesPutBack {name}");
        events.lines().any(|event| event == line).then_some(())
    };
    cluster.until("the rules are put back", told).unwrap();
    // From the node, past no proxy, as a check of health comes, and as none does.
    let ask = |path: &str| {
        let url = format!("http://{}:8080{path}", before_port(&address));
        run(cluster
            .inside("curl")
            .args(["-gs", "--max-time", "10", &url]))
    };
    assert!(ask("/live").starts_with("cart-"));
    assert!(ask("/items").contains("the call came in plain"));
}

/// The reason of each event and whom it is about.
const EVENTS: &str = "jsonpath={range .items[*]}{.reason} {.involvedObject.name}{\"\\n\"}{end}";
