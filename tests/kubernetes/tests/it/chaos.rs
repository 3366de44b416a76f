//! What policy refuses stays refused, whatever becomes of the packet rules and of the proxy of a node.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use leno_cluster::{Cluster, Placement};

use crate::sidecar::{check, get, on_the_node, shop, until_ready};

/// Somebody in a pod who asks so often a second, each time by a connection of its own.
pub(crate) struct Asking {
    client: Child,
    said: BufReader<ChildStdout>,
}

impl Asking {
    pub(crate) fn begin(
        cluster: &Cluster,
        namespace: &str,
        from: &str,
        url: &str,
        rate: u32,
    ) -> Self {
        Self::run(cluster, namespace, from, &format!("{url} {rate}"))
    }

    /// The same of one who may not call, and waits no longer than 200 ms for a connection before it tries another.
    pub(crate) fn begin_in_vain(cluster: &Cluster, namespace: &str, from: &str, url: &str) -> Self {
        Self::run(cluster, namespace, from, &format!("{url} {PROBES} 200"))
    }

    /// The same as in both, asked for at the node's runtime, and not by the API server.
    pub(crate) fn begin_by_runtime(
        cluster: &Cluster,
        namespace: &str,
        from: &str,
        load: &str,
    ) -> Self {
        let id = r#"jsonpath={.items[0].status.containerStatuses[?(@.name=="app")].containerID}"#;
        let label = format!("app={from}");
        let pod = ["get", "pods", "-n", namespace, "-l", &label, "-o", id];
        let id = cluster.ask(&pod).unwrap();
        let id = id.trim().trim_start_matches("containerd://");
        let exec = format!("-n k8s.io task exec --exec-id load-{from} {id} /pod load {load}");
        let mut command = cluster.inside("ctr");
        command.args(exec.split(' '));
        Self::of(command)
    }

    fn run(cluster: &Cluster, namespace: &str, from: &str, load: &str) -> Self {
        let exec = format!("exec -i -n {namespace} deploy/{from} -c app -- /pod load {load}");
        let mut command = cluster.command("kubectl");
        command.args(exec.split(' '));
        Self::of(command)
    }

    fn of(mut command: Command) -> Self {
        let mut client = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(client.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert_eq!(line, "asking\n");
        Self { client, said }
    }

    /// How often it asked, how often it got no answer of 200, and what it got in its place.
    pub(crate) fn end(mut self) -> (u32, u32, Vec<String>) {
        drop(self.client.stdin.take());
        let told: Vec<_> = self.said.lines().map(Result::unwrap).collect();
        self.client.wait().unwrap();
        let words: Vec<_> = told[0].split(' ').collect();
        let ["asked", asked, "failed", failed] = words[..] else {
            panic!("{told:#?}");
        };
        (asked.parse().unwrap(), failed.parse().unwrap(), told)
    }

    /// Ends it; nothing that it asked was answered by the application.
    pub(crate) fn passed_never(self, while_what: &str) {
        let (asked, failed, told) = self.end();
        println!(
            "{while_what}: {asked} refused calls, {} passed",
            asked - failed
        );
        assert!(asked > 0 && asked == failed, "{while_what}: {told:#?}");
    }
}

/// Those who may not call: one in the mesh, and one who proves nothing and goes to a pod's own address.
pub(crate) fn strangers(cluster: &Cluster, address: &str) -> [Asking; 2] {
    let direct = format!("http://{address}:8080/items");
    [
        Asking::begin_in_vain(cluster, "outside", "stranger", &direct),
        Asking::begin_in_vain(cluster, "shop", "mail", "http://cart:80/items"),
    ]
}

/// How often each of them asks a second, and how often those do who may.
pub(crate) const PROBES: u32 = 100;
pub(crate) const LOAD: u32 = 500;

/// How often a pod's rules are flushed, and after what pause in seconds.
const FLUSHES: u32 = 300;
const PAUSE: &str = "0.1";

/// How often the node's proxy is killed.
const KILLS: usize = 5;

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn what_is_refused_stays_refused_while_rules_and_proxies_come_and_go() {
    let cluster = meshed();
    until_ready(&cluster, "outside", "stranger");
    let asked = |words: &[&str]| cluster.ask(words).unwrap();
    let (pod, address) = cart(&cluster);
    let (pod, address) = (pod.as_str(), address.as_str());
    let allowed = || {
        let told = get(&cluster, "shop", "web", "http://cart:80/items");
        told.starts_with("cart-").then_some(())
    };
    cluster.until("web gets what it may get", allowed).unwrap();
    let guarded = || {
        let mut list = cluster.inside("nft");
        let list = list
            .args(["list", "table", "netdev", "leno_guard"])
            .output();
        list.unwrap().status.success().then_some(())
    };
    cluster.until("the node guards its pods", guarded).unwrap();

    let strangers_now = strangers(&cluster, address);
    flush_often(&cluster, address);
    for one in strangers_now {
        one.passed_never("the pod's rules are flushed again and again");
    }
    until_told(&cluster, pod);

    let strangers_now = strangers(&cluster, address);
    let back = "rollout status -n leno-system daemonset/leno-node --timeout=240s";
    let back: Vec<_> = back.split(' ').collect();
    for _ in 0..KILLS {
        let before = proxies(&cluster);
        assert_eq!(before.len(), 1);
        asked(&[
            "delete",
            "-n",
            "leno-system",
            "--grace-period=0",
            "--force",
            &before[0],
        ]);
        let another = || (proxies(&cluster) != before).then_some(());
        cluster.until("another proxy is made", another).unwrap();
        asked(&back);
        cluster
            .until("web gets what it may get again", allowed)
            .unwrap();
    }
    for one in strangers_now {
        one.passed_never("the node's proxy is killed and comes back");
    }

    let strangers_now = strangers(&cluster, address);
    let load = Asking::begin(&cluster, "shop", "web", "http://cart:80/items", LOAD);
    asked(&[
        "rollout",
        "restart",
        "-n",
        "leno-system",
        "daemonset/leno-node",
    ]);
    asked(&back);
    // The older one ends once all that it carried has.
    let alone = || (proxies(&cluster).len() == 1).then_some(());
    cluster.until("the older proxy has gone", alone).unwrap();
    let (count, failed, told) = load.end();
    println!("the DaemonSet is updated: {count} allowed calls, {failed} failed");
    assert_eq!(failed, 0, "{told:#?}");
    for one in strangers_now {
        one.passed_never("the DaemonSet is updated");
    }
}

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn what_was_put_back_is_said() {
    let cluster = meshed();
    let (pod, address) = cart(&cluster);
    let (pod, address) = (pod.as_str(), address.as_str());
    let guarded = || is_guarded(&cluster).then_some(());
    cluster.until("the node guards its pods", guarded).unwrap();
    let delete = ["delete", "table", "netdev", "leno_guard"];
    assert!(
        cluster
            .inside("nft")
            .args(delete)
            .status()
            .unwrap()
            .success()
    );
    on_the_node(&cluster, address, "nft flush ruleset");
    cluster.until("the guard is back", guarded).unwrap();
    let told = || {
        let said = check(&cluster);
        (said.contains("H019 rules-put-back") && said.contains(pod)).then_some(())
    };
    cluster.until("it is said", told).unwrap();
    until_told(&cluster, pod);
}

/// Takes a pod's rules away again and again.
pub(crate) fn flush_often(cluster: &Cluster, address: &str) {
    let flush = format!(
        "i=0; while [ $i -lt {FLUSHES} ]; do nft flush ruleset; sleep {PAUSE}; i=$((i+1)); done"
    );
    on_the_node(cluster, address, &format!("sh -c '{flush}'"));
}

/// Waits for the event beside a pod that its rules were put back.
pub(crate) fn until_told(cluster: &Cluster, pod: &str) {
    let event = || {
        let described = cluster.ask(&["describe", "pod", "-n", "shop", pod]);
        described.unwrap().contains("RulesPutBack").then_some(())
    };
    cluster.until("an event tells of it", event).unwrap();
}

/// The pods of nodes' proxies.
pub(crate) fn proxies(cluster: &Cluster) -> Vec<String> {
    let pods = "get pods -n leno-system -l app.kubernetes.io/component=node -o name";
    let pods = cluster.ask(&pods.split(' ').collect::<Vec<_>>()).unwrap();
    pods.lines().map(str::to_owned).collect()
}

/// A cluster with a shop that its node's proxy serves.
fn meshed() -> Cluster {
    let cluster = Cluster::for_leno().unwrap();
    cluster.install_leno(Placement::Node).unwrap();
    cluster.apply(&shop(Placement::Node)).unwrap();
    for deployment in ["cart", "web", "mail"] {
        until_ready(&cluster, "shop", deployment);
    }
    cluster
}

/// The name of a pod of cart, and its address.
pub(crate) fn cart(cluster: &Cluster) -> (String, String) {
    let of_cart = ["get", "pods", "-n", "shop", "-l", "app=cart", "-o"];
    let name_and_address = "jsonpath={.items[0].metadata.name} {.items[0].status.podIP}";
    let told = cluster.ask(&[&of_cart[..], &[name_and_address]].concat());
    let told = told.unwrap();
    let (name, address) = told.split_once(' ').unwrap();
    (name.to_owned(), address.to_owned())
}

/// Whether the guard is on the node.
fn is_guarded(cluster: &Cluster) -> bool {
    let mut list = cluster.inside("nft");
    let list = list
        .args(["list", "table", "netdev", "leno_guard"])
        .output();
    list.unwrap().status.success()
}
