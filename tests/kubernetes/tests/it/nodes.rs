//! What nodes' proxies put onto nodes: the plugin, as a real runtime calls it, and taking it away again.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use leno_cluster::{Cluster, LENO, POD, plugin};
use leno_e2e::{ended_within, run_within};

/// So long something may take beside other work.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// The network configuration of the node.
pub(crate) const FILE: &str = "/etc/cni/net.d/10-node.conflist";

/// What clears nodes, where it was begun and has not ended: no node has what it asks for.
pub(crate) const CLEARING: &str = "\
    {apiVersion: apps/v1, kind: DaemonSet, metadata: {name: leno-node-remove, namespace: leno-system}, \
     spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {\
     nodeSelector: {nobody: has}, containers: [{name: a, image: nobodys}]}}}}";

/// What a command says on the node.
pub(crate) fn on_node(cluster: &Cluster, command: &str) -> String {
    run_within(PATIENCE, cluster.inside("sh").args(["-c", command]))
}

/// Puts the plugin there as nodes' proxies do, with another socket.
fn put(cluster: &Cluster, socket: &Path) {
    let (plugin, socket) = (plugin().unwrap(), socket.display());
    let entry = format!(r#"{{"type":"leno-cni","socket":"{socket}"}}"#);
    let copied = format!("cp {} {}/leno-cni", plugin.display(), cluster.plugins());
    // The list of plugins ends the file.
    let listed = format!("sed -i 's#]}}$#,{entry}]}}#' {FILE}");
    on_node(cluster, &format!("{copied} && {listed}"));
}

/// A proxy that serves every pod, and gives what it is asked: CRI-O asks for a check behind each pod that is added.
fn serve(socket: &Path) -> Receiver<String> {
    let listener = UnixListener::bind(socket).unwrap();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            stream.write_all(b"{\"served\": true}\n").unwrap();
            // Whoever has heard enough listens no more.
            tell.send(line).ok();
        }
    });
    told
}

pub(crate) fn pod(namespace: &str, name: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: {namespace}}}, spec: {{\
         terminationGracePeriodSeconds: 0, containers: [{{name: a, image: '{POD}', args: [pause]}}]}}}}"
    )
}

/// What is said of a pod in a field.
fn said(cluster: &Cluster, namespace: &str, name: &str, field: &str) -> String {
    let field = format!("jsonpath={{{field}}}");
    let asked = ["get", "pod", name, "-n", namespace, "-o", &field];
    cluster.ask(&asked).unwrap()
}

pub(crate) fn runs(cluster: &Cluster, namespace: &str, name: &str) {
    let is_running = || said(cluster, namespace, name, ".status.phase") == "Running";
    let running = cluster.until(&format!("{name} runs"), || is_running().then_some(()));
    running.unwrap();
}

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn a_pod_waits_for_its_nodes_proxy_and_nodes_are_left_as_they_were() {
    waits_and_leaves_nothing(&Cluster::for_leno().unwrap());
}

pub(crate) fn waits_and_leaves_nothing(cluster: &Cluster) {
    let before = on_node(cluster, &format!("cat {FILE}"));
    let socket = cluster.folder().join("node.sock");
    put(cluster, &socket);
    cluster.apply(&pod("default", "cart")).unwrap();
    // A node comes up without its proxy.
    cluster.apply(&pod("kube-system", "names")).unwrap();
    runs(cluster, "kube-system", "names");
    let refused = cluster.until("it is said why the pod does not start", || {
        let events = cluster.ask(&["get", "events", "-o", "jsonpath={.items[*].message}"]);
        events.ok().filter(|events| events.contains("H013"))
    });
    let refused = refused.unwrap();
    assert!(refused.contains("nobody answers at"), "{refused}");

    let asked = serve(&socket);
    runs(cluster, "default", "cart");
    let asked = asked.recv().unwrap();
    let [uid, address] =
        [".metadata.uid", ".status.podIP"].map(|field| said(cluster, "default", "cart", field));
    for word in [
        "\"add\"",
        "\"default\"",
        "\"cart\"",
        "/netns/",
        &uid,
        &address,
    ] {
        assert!(asked.contains(word), "{word} is not in {asked}");
    }
    // Nobody is asked when it goes.
    fs::remove_file(&socket).unwrap();
    let delete = ["delete", "pod", "cart", "--timeout=120s"];
    cluster.ask(&delete).unwrap();

    // Whether proxies are ready by then or not.
    let install = ["install", "--yes", "--image", LENO, "--wait", "1s"];
    let install = [&install[..], &cluster.with_nodes()].concat();
    let installed = ended_within(PATIENCE, cluster.leno(&install).stdin(Stdio::null())).unwrap();
    for object in [
        "DaemonSet leno-system/leno-node",
        "ConfigMap leno-system/leno-mesh",
    ] {
        let made = format!("+ {object}");
        assert!(installed.out.contains(&made), "{}", installed.out);
    }
    let mesh = [
        "get",
        "configmap",
        "leno-mesh",
        "-n",
        "leno-system",
        "-o",
        "jsonpath={.data.mesh}",
    ];
    let told = cluster.until("nodes are told where the mesh is", || {
        cluster.ask(&mesh).ok().filter(|told| !told.is_empty())
    });
    assert!(told.unwrap().starts_with("leno-mesh:cluster.local:"));
    let is_as_before = |pod_of_then: &str| {
        assert_eq!(on_node(cluster, &format!("cat {FILE}")), before);
        let plugins = format!("ls {} | grep leno || true", cluster.plugins());
        assert_eq!(on_node(cluster, &plugins), "");
        assert_eq!(on_node(cluster, "ls /run/leno"), "");
        cluster.apply(&pod("default", pod_of_then)).unwrap();
        runs(cluster, "default", pod_of_then);
    };
    // The proxies of nodes alone, and then they come anew while something is still to clear nodes of them.
    let nodes = ["uninstall", "--nodes", "--yes"];
    let alone = run_within(PATIENCE, &mut cluster.leno(&nodes));
    assert!(alone.contains("Next   leno install"), "{alone}");
    is_as_before("alone");
    let there = ["get", "deploy,daemonset", "-n", "leno-system", "-o", "name"];
    let there = || cluster.ask(&there).unwrap();
    assert_eq!(there(), "deployment.apps/leno-control\n");
    let none = run_within(PATIENCE, &mut cluster.leno(&nodes));
    assert!(none.contains("there are no proxies of nodes"), "{none}");
    cluster.apply(CLEARING).unwrap();
    let again = ended_within(PATIENCE, cluster.leno(&install).stdin(Stdio::null())).unwrap();
    assert!(again.err.contains("not cleared any more"), "{again:?}");
    let both = "deployment.apps/leno-control\ndaemonset.apps/leno-node\n";
    assert_eq!(there(), both);

    let uninstalled = run_within(PATIENCE, &mut cluster.leno(&["uninstall", "--yes"]));
    assert!(uninstalled.contains("gone  all of that"), "{uninstalled}");
    is_as_before("web");
}
