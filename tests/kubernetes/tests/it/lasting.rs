//! What a node's proxy keeps on its node, so that one that is made anew goes on while the control plane is away.

use leno_cluster::{Cluster, Placement};

use crate::chaos::{Asking, cart, proxies, strangers};
use crate::isolated::process;
use crate::kept::proxy_says;
use crate::nodes::on_node;
use crate::restarted::{control, now};
use crate::sidecar::{check, get, shop, until_ready};

/// Lets mail call cart, and web no more.
const CHANGED: &str =
    r#"[{"op":"replace","path":"/spec/rules/0/callers/0/identity","value":"shop/mail"}]"#;

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn a_nodes_proxy_that_is_made_anew_goes_on_while_the_control_plane_is_away() {
    let cluster = meshed(Placement::Node);
    let asked = |words: &str| cluster.ask(&words.split(' ').collect::<Vec<_>>()).unwrap();
    until_decided(&cluster);
    // It is root's alone, and in memory.
    assert_eq!(on_node(&cluster, "stat -c %a:%u /run/leno/node"), "700:0\n");
    assert_eq!(on_node(&cluster, "stat -fc %T /run/leno/node"), "tmpfs\n");
    let (pod, address) = cart(&cluster);
    let own_process = process(&cluster, "shop", "mail");

    control(&cluster, 0);
    let strangers_now = strangers(&cluster, &address);
    for how in ["--timeout=120s", "--force --grace-period=0"] {
        made_anew(&cluster, how);
    }
    assert_ne!(process(&cluster, "shop", "mail"), own_process);

    // A newer one that comes while the older runs leaves it alone, and goes on once that has ended.
    let before = proxies(&cluster);
    asked("rollout restart -n leno-system daemonset/leno-node");
    let beside = || (proxies(&cluster).len() == 2).then_some(());
    cluster.until("a newer one is there", beside).unwrap();
    until_decided(&cluster);
    asked(&format!(
        "delete -n leno-system --timeout=120s {}",
        before[0]
    ));
    asked("rollout status -n leno-system daemonset/leno-node --timeout=240s");
    until_decided(&cluster);

    // A pod that has ended is served by nothing that is kept. By that one starts that has nothing to do with the mesh.
    asked(&format!("delete pod -n shop --timeout=120s {pod}"));
    made_anew(&cluster, "--force --grace-period=0");
    asked("scale -n outside deployment/stranger --replicas=2");
    until_ready(&cluster, "outside", "stranger");
    for one in strangers_now {
        one.passed_never("proxies of the node are made anew while the control plane is away");
    }

    control(&cluster, 1);
    // Who makes pods waits ever longer until it asks again whether it may.
    asked("annotate replicasets -n shop --all tried=again");
    for deployment in ["cart", "web", "mail"] {
        until_ready(&cluster, "shop", deployment);
    }
    until_ready(&cluster, "outside", "stranger");
    until_decided(&cluster);
    let load = Asking::begin(&cluster, "shop", "web", "http://cart:80/items", LOAD);
    // That a process of its own has no bounds here (H025) is told before, too.
    let well = || {
        let said = check(&cluster);
        let is_told = |code: &&str| said.contains(*code);
        let wrong = ["D005", "D025", "H007", "H018", "H024", "T007"];
        (!wrong.iter().any(is_told)).then_some(said)
    };
    let ended = cluster.until("nothing is wrong any more", well);
    assert!(ended.is_ok(), "{}", check(&cluster));
    let (count, failed, told) = load.end();
    println!("the control plane is back: {count} allowed calls, {failed} failed");
    assert_eq!(failed, 0, "{told:#?}");
    asked(&format!(
        "patch accesspolicy cart -n shop --type=json -p={CHANGED}"
    ));
    let changed = || {
        let [web, mail] = ["web", "mail"].map(|from| get(&cluster, "shop", from, CART));
        (web.contains("shop/web may not GET /items") && mail.starts_with("cart-")).then_some(())
    };
    cluster.until("a change holds", changed).unwrap();
    let one = || (on_node(&cluster, "ls /run/leno/node | wc -l") == "1\n").then_some(());
    cluster.until("nothing is left of others", one).unwrap();

    let uninstall = ["uninstall", "--nodes", "--yes"];
    let ended = cluster.leno(&uninstall).output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(on_node(&cluster, "ls /run/leno"), "");
}

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn a_proxy_in_a_pod_that_is_killed_goes_on_while_the_control_plane_is_away() {
    let cluster = meshed(Placement::Sidecar);
    until_decided(&cluster);
    control(&cluster, 0);
    on_node(&cluster, "kill -9 $(pgrep -f -- '[-]-joined')");
    let counts =
        "jsonpath={.items[*].status.initContainerStatuses[?(@.name=='leno-proxy')].restartCount}";
    let began_again = || {
        let told = cluster
            .ask(&["get", "pods", "-n", "shop", "-o", counts])
            .ok()?;
        told.split(' ').all(|count| count == "1").then_some(())
    };
    cluster.until("all begin again", began_again).unwrap();
    until_decided(&cluster);
}

/// Deletes the node's proxy, and waits until another one serves.
fn made_anew(cluster: &Cluster, how: &str) {
    let asked = |words: &str| cluster.ask(&words.split(' ').collect::<Vec<_>>()).unwrap();
    let before = proxies(cluster);
    assert_eq!(before.len(), 1);
    asked(&format!("delete -n leno-system {how} {}", before[0]));
    let another = || {
        let now = proxies(cluster);
        (now.len() == 1 && now != before).then_some(())
    };
    cluster.until("another proxy is made", another).unwrap();
    let made = now();
    until_decided(cluster);
    println!(
        "calls are decided {:.1?} after another is made",
        made.elapsed()
    );
    asked("rollout status -n leno-system daemonset/leno-node --timeout=120s");
    let goes_on = || proxy_says(cluster, "what an earlier proxy of this node left");
    cluster.until("it says so", goes_on).unwrap();
}

const CART: &str = "http://cart:80/items";

/// How often somebody asks a second who may.
const LOAD: u32 = 100;

/// A cluster with a shop; where its node's proxy serves it, mail's pods have processes of their own.
fn meshed(placement: Placement) -> Cluster {
    let cluster = Cluster::for_leno().unwrap();
    cluster.install_leno(placement).unwrap();
    let written = shop(placement).replace(
        "labels: {app: mail}",
        "labels: {app: mail}, annotations: {leno.dev/isolation: Pod}",
    );
    cluster.apply(&written).unwrap();
    for deployment in ["cart", "web", "mail"] {
        until_ready(&cluster, "shop", deployment);
    }
    until_ready(&cluster, "outside", "stranger");
    cluster
}

/// Waits until web gets what it may get, and others are refused for who they are.
fn until_decided(cluster: &Cluster) {
    for (namespace, from, expect) in [
        ("shop", "web", "cart-"),
        ("shop", "mail", "shop/mail may not GET /items"),
        ("outside", "stranger", "the call came in plain"),
    ] {
        let decided = || {
            let told = get(cluster, namespace, from, &CART.replace("cart", "cart.shop"));
            told.contains(expect).then_some(())
        };
        cluster
            .until(&format!("{from}: {expect}"), decided)
            .unwrap();
    }
}
