//! Nodes whose containers CRI-O runs, in containerd's place.

use leno_cluster::{Cluster, LENO, Placement, Runtime, Tier};
use leno_e2e::run_within;

use crate::ipv6::{
    PLACES, is_fit, is_proven, lay_out, leaves_nothing, lets_in_and_keeps_out, traces,
};
use crate::isolated::process;
use crate::nodes::{PATIENCE, on_node, pod, runs, waits_and_leaves_nothing};
use crate::sidecar::{get, until_ready};

fn node() -> Cluster {
    let cluster = Cluster::for_leno_with(Tier::Node, Runtime::CriO).unwrap();
    let runtime = "jsonpath={.status.nodeInfo.containerRuntimeVersion}";
    let nodes = ["get", "node", "node-1", "-o", runtime];
    assert_eq!(cluster.ask(&nodes).unwrap(), "cri-o://1.36.1");
    cluster
}

/// Puts what watches a container among the control groups of its pod, as CRI-O does where systemd has the groups: it is on the
/// network of the node, and began first. Says into which.
const WATCH_WITHIN: &str = "\
for watch in $(pgrep -x conmon); do
  of=$(pgrep -P $watch | head -1)
  group=/sys/fs/cgroup/systemd$(dirname $(sed -n 's/.*:name=systemd://p' /proc/$of/cgroup))/crio-conmon-$of
  mkdir $group && echo $watch > $group/cgroup.procs && sed -n 's/.*:name=systemd://p' /proc/$watch/cgroup
done";

/// Where nobody has said in which folder the node's runtime finds plugins, and it would not find ours.
fn starts_pods_all_the_same(cluster: &Cluster) {
    let install = ["install", "--yes", "--node", "--image", LENO];
    run_within(PATIENCE, &mut cluster.leno(&install));
    let logs = ["logs", "-n", "leno-system", "daemonset/leno-node"];
    let said = cluster.until("it is said what is missing", || {
        let told = cluster.ask(&logs).ok()?;
        told.contains("which is not in /host/opt/cni/bin")
            .then_some(told)
    });
    assert!(said.unwrap().contains("H015"));
    cluster.apply(&pod("default", "starts")).unwrap();
    runs(cluster, "default", "starts");
    cluster.ask(&["delete", "pod", "starts"]).unwrap();
    let nodes = ["uninstall", "--nodes", "--yes"];
    run_within(PATIENCE, &mut cluster.leno(&nodes));
}

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn a_mesh_holds_where_cri_o_runs_the_containers_and_leaves_nothing() {
    let cluster = node();
    let before = traces(&cluster);
    is_fit(&cluster);
    let [(by_sidecar, _), (by_node, _)] = PLACES;
    let secret = || get(&cluster, by_node, "web", "http://cart:80/secret");
    let is_in_no_mesh = || secret().starts_with("cart-").then_some(());

    // These run before their node has a proxy.
    cluster.define_all().unwrap();
    lay_out(&cluster, by_node, Placement::Node);
    assert_eq!(is_in_no_mesh(), Some(()));
    assert!(on_node(&cluster, WATCH_WITHIN).contains("crio-conmon"));
    starts_pods_all_the_same(&cluster);
    cluster.install_leno(Placement::Node).unwrap();
    let refused = || {
        let told = get(&cluster, by_node, "mail", "http://cart:80/items");
        told.contains("by-node/mail may not GET /items")
            .then_some(())
    };
    cluster.until("the pods are found", refused).unwrap();
    // The node's own network is nobody's to capture.
    let tables = on_node(&cluster, "nft list tables | grep leno");
    assert_eq!(tables.trim(), "table netdev leno_guard");

    lay_out(&cluster, by_sidecar, Placement::Sidecar);
    for [caller, called] in [
        [by_node, by_node],
        [by_sidecar, by_sidecar],
        [by_node, by_sidecar],
        [by_sidecar, by_node],
    ] {
        lets_in_and_keeps_out(&cluster, caller, called);
    }
    for (namespace, _) in PLACES {
        is_proven(&cluster, namespace);
    }

    // A pod that asks for a process of its own has one for as long as it is there.
    let asked = |words: &str| cluster.ask(&words.split(' ').collect::<Vec<_>>()).unwrap();
    let patch =
        r#"{"spec":{"template":{"metadata":{"annotations":{"leno.dev/isolation":"Pod"}}}}}"#;
    asked(&format!("patch deployment mail -n {by_node} -p {patch}"));
    until_ready(&cluster, by_node, "mail");
    let own = process(&cluster, by_node, "mail");
    cluster.until("mail is refused as before", refused).unwrap();
    asked(&format!("scale -n {by_node} deployment/mail --replicas=0"));
    let gone = || on_node(&cluster, &format!("ls -d /proc/{own} 2>&1 || true")).contains("No such");
    let what = "the process has gone with its pod";
    cluster.until(what, || gone().then_some(())).unwrap();

    // Pods of the node's proxy go on where Leno is no more.
    asked(&format!("delete namespace {by_sidecar}"));
    leaves_nothing(&cluster, &before);
    cluster
        .until("they are captured no more", is_in_no_mesh)
        .unwrap();
}

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn a_pod_that_cri_o_runs_waits_for_its_nodes_proxy() {
    waits_and_leaves_nothing(&node());
}
