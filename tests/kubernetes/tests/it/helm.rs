//! Leno by its chart, and Helm as people have it: what it installs, changes and takes away.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use leno_cluster::{Cluster, LENO, Placement, helm};
use leno_e2e::{ended_within, run_within};

use crate::nodes::{CLEARING, FILE, on_node, pod, runs};
use crate::sidecar::{get, shop, until_ready};

/// So long Helm may take: it waits for five minutes itself, and for as long for a Job of its own.
const PATIENCE: Duration = Duration::from_secs(700);

/// A release of the chart, as one line of Helm has it.
struct Release<'a> {
    cluster: &'a Cluster,
    program: PathBuf,
    chart: String,
}

impl Release<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let program = self.program.display().to_string();
        let mut command = self.cluster.command(&program);
        // What it keeps for itself is gone with the cluster.
        let own = self.cluster.folder().join("helm");
        for folder in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(folder, &own);
        }
        command.args(arguments);
        command
    }

    fn says(&self, arguments: &[&str]) -> String {
        run_within(PATIENCE, &mut self.command(arguments))
    }

    /// Does that with the release, and waits until all of it is ready, or gone.
    fn does(&self, what: &str, more: &[&str]) -> String {
        let own = [what, "leno", "--namespace", "leno-system", "--wait"];
        self.says(&[&own, more].concat())
    }

    fn install(&self, values: &[&str]) -> String {
        let chart = ["--create-namespace", &self.chart];
        self.does("install", &[&chart, values].concat())
    }

    fn upgrade(&self, values: &[&str]) -> String {
        let chart = ["--reuse-values", &self.chart];
        self.does("upgrade", &[&chart, values].concat())
    }
}

/// What stands in a field of the control plane.
fn of_control(cluster: &Cluster, field: &str) -> String {
    let field = format!("jsonpath={{.spec.template.spec.containers[0].{field}}}");
    let asked = ["get", "deploy", "leno-control", "-n", "leno-system", "-o"];
    cluster.ask(&[&asked[..], &[&field]].concat()).unwrap()
}

/// What of Leno's own is there whose kinds have namespaces.
fn in_its_namespace(cluster: &Cluster) -> Vec<String> {
    let kinds = "all,configmap,serviceaccount,role,rolebinding,persistentvolumeclaim,secret";
    let asked = ["get", kinds, "-n", "leno-system", "-o", "name"];
    let told = cluster.ask(&asked).unwrap();
    // These two are in every namespace.
    let own = told
        .lines()
        .filter(|name| !["configmap/kube-root-ca.crt", "serviceaccount/default"].contains(name));
    own.map(str::to_owned).collect()
}

/// What is there whose kinds have none.
fn everywhere(cluster: &Cluster) -> Vec<String> {
    let kinds = "ns,clusterrole,clusterrolebinding,mutatingwebhookconfiguration,validatingwebhookconfiguration,crd";
    let told = cluster.ask(&["get", kinds, "-o", "name"]).unwrap();
    let own = told.lines().filter(|name| name.contains("leno"));
    own.map(str::to_owned).collect()
}

/// The node as its proxy has left it, with what starts there.
struct Node<'a> {
    cluster: &'a Cluster,
    before: String,
}

impl Node<'_> {
    fn has_a_proxy(&self) {
        let now = on_node(self.cluster, &format!("cat {FILE}"));
        assert!(now.contains("leno-cni"), "{now}");
    }

    /// It is as it was, and `name`, which nobody has seen before, starts.
    fn is_as_before(&self, name: &str) {
        let now = on_node(self.cluster, &format!("cat {FILE}"));
        assert_eq!(now, self.before);
        let plugins = on_node(self.cluster, "ls /opt/cni/bin | grep leno || true");
        assert_eq!(plugins, "");
        self.cluster.apply(&pod("default", name)).unwrap();
        runs(self.cluster, "default", name);
    }
}

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn helm_installs_changes_and_takes_away_and_leaves_nodes_as_they_were() {
    // They are built before anybody waits for them.
    let [newest, older] = ["v4", "v3"].map(|line| helm(line).unwrap());
    let cluster = Cluster::for_leno().unwrap();
    let chart = cluster.folder().join("leno.tgz").display().to_string();
    let print = [
        "install", "--image", LENO, "--print", "helm", "--to", &chart,
    ];
    run_within(PATIENCE, &mut cluster.leno(&print));
    let node = Node {
        cluster: &cluster,
        before: on_node(&cluster, &format!("cat {FILE}")),
    };
    let release = |program| Release {
        cluster: &cluster,
        program,
        chart: chart.clone(),
    };

    let newest = release(newest);
    takes_a_values_word(&newest);
    serves(&newest);
    changes(&newest, &node);
    takes_away(&newest, &node);

    // The other line of it does the same, in a cluster that Leno has left.
    run_within(
        PATIENCE,
        &mut cluster.leno(&["uninstall", "--yes", "--with-objects"]),
    );
    assert_eq!(everywhere(&cluster), [""; 0]);
    cluster.add_volume("another").unwrap();
    let older = release(older);
    takes_a_values_word(&older);
    older.install(&["--set", "node=true"]);
    node.has_a_proxy();
    older.upgrade(&["--set", "node=false"]);
    node.is_as_before("of-older-upgraded");
    older.does("rollback", &["1"]);
    node.has_a_proxy();
    older.does("uninstall", &[]);
    node.is_as_before("of-older");
    assert_eq!(in_its_namespace(&cluster), [""; 0]);

    // What never ran goes without having to.
    let nobodys = ["--set", "image=nobodys/leno:1"];
    let install = ["install", "leno", "--namespace", "leno-system", &chart];
    older.says(&[&install[..], &nobodys].concat());
    older.does("uninstall", &[]);
    assert_eq!(in_its_namespace(&cluster), [""; 0]);
}

/// The chart is well, and refuses what it would not understand.
fn takes_a_values_word(release: &Release<'_>) {
    let linted = release.says(&["lint", &release.chart]);
    assert!(linted.contains("0 chart(s) failed"), "{linted}");
    for wrong in ["nodes=true", "node=often"] {
        let chart = ["template", "leno", "-n", "leno-system", &release.chart];
        let template = [&chart[..], &["--set", wrong]].concat();
        let refused = ended_within(PATIENCE, &mut release.command(&template)).unwrap();
        assert!(!refused.status.success(), "{}", refused.out);
        assert!(refused.err.contains("values don't meet"), "{}", refused.err);
    }
    let elsewhere = ["install", "leno", &release.chart];
    let refused = ended_within(PATIENCE, &mut release.command(&elsewhere)).unwrap();
    let asked_for = refused
        .err
        .contains("--namespace leno-system --create-namespace");
    assert!(asked_for, "{}", refused.err);
}

/// A pod calls another by its node's proxy.
fn serves(release: &Release<'_>) {
    let cluster = release.cluster;
    let told = release.install(&["--set", "node=true"]);
    assert!(told.contains("daemonset/leno-node"), "{told}");
    cluster.apply(&shop(Placement::Node)).unwrap();
    for deployment in ["cart", "web", "mail"] {
        until_ready(cluster, "shop", deployment);
    }
    is_served(cluster);
    let denied = get(cluster, "shop", "mail", "http://cart:80/items");
    assert!(denied.contains("shop/mail may not"), "{denied}");
}

fn is_served(cluster: &Cluster) {
    let url = "http://cart:80/items";
    let served = || {
        let told = get(cluster, "shop", "web", url);
        told.starts_with("cart-").then_some(())
    };
    cluster.until(url, served).unwrap();
}

fn changes(release: &Release<'_>, node: &Node<'_>) {
    let cluster = release.cluster;
    release.upgrade(&["--set", "resources.requests.memory=160Mi"]);
    assert_eq!(of_control(cluster, "resources.requests.memory"), "160Mi");
    is_served(cluster);
    node.has_a_proxy();

    // Who changes their mind about nodes, forth and back, by another value or by going back.
    release.upgrade(&["--set", "node=false"]);
    node.is_as_before("of-upgraded");
    assert!(of_control(cluster, "args").contains(r#""--captured-by","pod""#));
    release.does("rollback", &["2"]);
    node.has_a_proxy();
    is_served(cluster);
    release.does("rollback", &["3"]);
    node.is_as_before("of-rolled-back");

    // Nodes that are still being cleared get no proxies.
    cluster.apply(CLEARING).unwrap();
    let upgrade = ["upgrade", "leno", "-n", "leno-system", "--reuse-values"];
    let upgrade = [&upgrade[..], &["--set", "node=true", &release.chart]].concat();
    let refused = ended_within(PATIENCE, &mut release.command(&upgrade)).unwrap();
    assert!(refused.err.contains("K020"), "{}", refused.err);
    // What it names does it.
    let delete = [
        "delete",
        "daemonset",
        "leno-node-remove",
        "-n",
        "leno-system",
    ];
    cluster.ask(&delete).unwrap();
    release.upgrade(&["--set", "node=true"]);
    node.has_a_proxy();
    is_served(cluster);
}

fn takes_away(release: &Release<'_>, node: &Node<'_>) {
    let cluster = release.cluster;
    release.does("uninstall", &[]);
    node.is_as_before("of-uninstalled");
    assert_eq!(in_its_namespace(cluster), [""; 0]);
    // Helm takes away neither kinds nor the namespace that it has made.
    let mut left = everywhere(cluster);
    left.retain(|name| !name.starts_with("customresourcedefinition"));
    assert_eq!(left, ["namespace/leno-system"]);
    let released = release.says(&["list", "--all-namespaces", "--output", "json"]);
    assert_eq!(released.trim(), "[]");
}
