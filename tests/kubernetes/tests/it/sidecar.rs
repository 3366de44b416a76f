//! Pods with a proxy beside them, on a real node.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::time::Duration;

use leno_cluster::{Cluster, Node, POD, Placement};
use leno_e2e::within;

use crate::install::inside;

/// Two servers that are checked over HTTP and take calls that prove who makes them, and of these web's alone; one that
/// may call; one that may not; one without a proxy; a job.
pub(crate) fn shop(placement: Placement) -> String {
    let account = |name: &str| {
        format!(
            "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}, namespace: shop}}\n"
        )
    };
    let deployment = |name: &str, namespace: &str, more: &str| {
        format!(
            "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
             spec:\n  replicas: 1\n  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    \
             metadata: {{labels: {{app: {name}}}}}\n    spec:\n      serviceAccountName: {name}\n      \
             terminationGracePeriodSeconds: 5\n      \
             containers:\n      - {{name: app, image: '{POD}', args: [serve, '8080']{more}}}\n"
        )
    };
    let probe = ", ports: [{name: http, containerPort: 8080}], \
                 readinessProbe: {periodSeconds: 1, httpGet: {path: /live, port: http}}";
    let mode = placement.name();
    [
        &format!(
            "apiVersion: v1\nkind: Namespace\n\
             metadata: {{name: shop, labels: {{leno.dev/dataplane-mode: {mode}}}}}\n"
        ),
        "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: outside}\n\
         ---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: stranger, namespace: outside}\n",
        &account("cart"),
        &account("web"),
        &account("mail"),
        "---\napiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\n\
         spec:\n  ipFamilyPolicy: RequireDualStack\n  selector: {app: cart}\n  \
         ports: [{name: http, port: 80, targetPort: http}]\n",
        "---\napiVersion: leno.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {name: cart, namespace: shop}\n\
         spec:\n  targetRefs: [{kind: Service, name: cart}]\n  mtls: Strict\n  default: Deny\n  \
         rules: [{callers: [{identity: shop/web}], requests: [{paths: [{value: /items}]}]}]\n",
        &deployment("cart", "shop", probe).replace("replicas: 1", "replicas: 2"),
        &deployment("web", "shop", ""),
        &deployment("mail", "shop", ""),
        &deployment("stranger", "outside", ""),
    ]
    .concat()
}

/// The same with a Deployment's pods on this node.
pub(crate) fn placed(written: &str, name: &str, node: Node) -> String {
    let account = format!("serviceAccountName: {name}\n");
    let selector = format!("nodeSelector: {{kubernetes.io/hostname: {}}}", node.name());
    written.replace(&account, &format!("{selector}\n      {account}"))
}

const JOB: &str = "\
apiVersion: batch/v1
kind: Job
metadata: {name: report, namespace: shop}
spec:
  backoffLimit: 0
  template:
    spec:
      serviceAccountName: web
      restartPolicy: Never
      initContainers:
      - {name: first, image: POD, args: [get, 'http://cart:80/items']}
      containers:
      - {name: app, image: POD, args: [get, 'http://cart:80/items']}
";

/// What a pod of a Deployment gets for a call.
pub(crate) fn get(cluster: &Cluster, namespace: &str, from: &str, url: &str) -> String {
    let deployment = format!("deploy/{from}");
    let exec = ["exec", "-n", namespace, &deployment, "-c", "app", "--"];
    let told = cluster.ask(&[&exec[..], &["/pod", "get", url]].concat());
    told.unwrap_or_else(|failed| failed.to_string())
}

/// The two addresses of an object, one of each family, as they stand in a URL.
pub(crate) fn addresses(
    cluster: &Cluster,
    namespace: &str,
    kind: &str,
    name: &str,
    path: &str,
) -> Vec<String> {
    let path = format!("jsonpath={path}");
    let told = cluster
        .ask(&["get", kind, name, "-n", namespace, "-o", &path])
        .unwrap();
    let words = told
        .split(|it: char| " [],\"".contains(it))
        .filter(|word| !word.is_empty());
    let addresses: Vec<_> = words
        .map(|ip| match ip.contains(':') {
            true => format!("[{ip}]"),
            false => ip.to_owned(),
        })
        .collect();
    assert_eq!(addresses.len(), 2, "{told}");
    addresses
}

pub(crate) fn until_ready(cluster: &Cluster, namespace: &str, deployment: &str) {
    let name = format!("deployment/{deployment}");
    let rollout = [
        "rollout",
        "status",
        "-n",
        namespace,
        &name,
        "--timeout=120s",
    ];
    cluster.ask(&rollout).unwrap();
}

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn pods_with_a_proxy_call_each_other_by_who_they_are() {
    pods_call_each_other(Placement::Sidecar);
}

pub(crate) fn pods_call_each_other(placement: Placement) {
    let cluster = Cluster::for_leno().unwrap();
    cluster.install_leno(placement).unwrap();
    cluster.apply(&shop(placement)).unwrap();
    for deployment in ["cart", "web", "mail"] {
        until_ready(&cluster, "shop", deployment);
    }
    until_ready(&cluster, "outside", "stranger");

    let allowed = || {
        let told = get(&cluster, "shop", "web", "http://cart:80/items");
        told.starts_with("cart-").then_some(())
    };
    cluster.until("web gets what it may get", allowed).unwrap();
    let path = get(&cluster, "shop", "web", "http://cart:80/secret");
    assert!(path.contains("shop/web may not GET /secret"), "{path}");
    let other = get(&cluster, "shop", "mail", "http://cart:80/items");
    assert!(other.contains("shop/mail may not GET /items"), "{other}");
    // Whoever has no proxy proves nothing.
    let stranger = get(&cluster, "outside", "stranger", "http://cart.shop:80/items");
    assert!(stranger.contains("the call came in plain"), "{stranger}");
    for address in addresses(&cluster, "shop", "service", "cart", "{.spec.clusterIPs}") {
        let by_address = |who: &str, path: &str| {
            get(&cluster, "shop", who, &format!("http://{address}:80{path}"))
        };
        let may = || {
            by_address("web", "/items")
                .starts_with("cart-")
                .then_some(())
        };
        cluster
            .until("web gets it over either family", may)
            .unwrap();
        let path = by_address("web", "/secret");
        assert!(
            path.contains("shop/web may not GET /secret"),
            "{address}: {path}"
        );
    }
    let pod = ["get", "pod", "-n", "shop", "-l", "app=cart", "-o", "name"];
    let pods = cluster.ask(&pod).unwrap();
    let pod = pods.lines().next().unwrap().trim_start_matches("pod/");
    for address in addresses(&cluster, "shop", "pod", pod, "{.status.podIPs[*].ip}") {
        // Past the Service, and past all proxies but its own.
        let url = format!("http://{address}:8080/items");
        let other = get(&cluster, "shop", "mail", &url);
        assert!(
            other.contains("shop/mail may not GET /items"),
            "{address}: {other}"
        );
        let stranger = get(&cluster, "outside", "stranger", &url);
        assert!(
            stranger.contains("the call came in plain"),
            "{address}: {stranger}"
        );
    }
    // A pod's own node checks its health, though it proves nothing: the Deployment became ready.
    let probes = inside(&cluster, &["check", "-n", "shop"]);
    assert!(probes.contains("no problem"), "{probes}");

    // A job ends with its work, and its first step has the mesh too.
    cluster.apply(&JOB.replace("POD", POD)).unwrap();
    let wait = [
        "wait",
        "-n",
        "shop",
        "--for=condition=Complete",
        "job/report",
        "--timeout=120s",
    ];
    cluster.ask(&wait).unwrap();
    let logs = cluster
        .ask(&["logs", "-n", "shop", "job/report", "-c", "app"])
        .unwrap();
    assert!(logs.starts_with("cart-"), "{logs}");
}

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn no_request_is_lost_while_pods_are_replaced() {
    no_request_is_lost(Placement::Sidecar);
}

pub(crate) fn no_request_is_lost(placement: Placement) {
    let cluster = Cluster::for_leno().unwrap();
    cluster.install_leno(placement).unwrap();
    // One that does not hear of its end, and one that ends at once, with what it is about to answer.
    let abrupt = "      shareProcessNamespace: true\n      containers:";
    let written = shop(placement).replace("replicas: 2", "replicas: 3");
    for written in [
        written.clone(),
        written.replace("      containers:", abrupt),
    ] {
        cluster.apply(&written).unwrap();
        for deployment in ["cart", "web"] {
            until_ready(&cluster, "shop", deployment);
        }
        let load = "exec -i -n shop deploy/web -c app -- /pod load http://cart:80/items 500";
        let mut command = cluster.command("kubectl");
        command
            .args(load.split(' '))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut load = command.spawn().unwrap();
        let mut said = BufReader::new(load.stdout.take().unwrap()).lines();
        assert_eq!(said.next().unwrap().unwrap(), "asking");
        for _ in 0..RESTARTS {
            cluster
                .ask(&["rollout", "restart", "-n", "shop", "deployment/cart"])
                .unwrap();
            until_ready(&cluster, "shop", "cart");
        }
        drop(load.stdin.take());
        let told: Vec<_> = said.map(Result::unwrap).collect();
        load.wait().unwrap();
        println!("{}", told.join("\n"));
        assert!(told[0].ends_with("failed 0"), "{}", why(&cluster, &told));
    }
}

/// What is known of the first call that failed, and what happened to the pods.
fn why(cluster: &Cluster, told: &[String]) -> String {
    let asked = |line: &String| Some(line.split_once("leno why ")?.1.to_owned());
    let why = told.iter().find_map(asked).map(|id| {
        let exec = "exec -n leno-system deploy/leno-control -- /leno why";
        let mut kubectl = cluster.command("kubectl");
        let said = kubectl.args(exec.split(' ')).arg(id).output().unwrap();
        format!("{said:?}")
    });
    let events = ["get", "events", "-A", "--sort-by=.lastTimestamp"];
    let events = cluster.ask(&events).unwrap_or_default();
    format!("{}\n{events}", why.unwrap_or_default())
}

/// How often all pods are replaced under load.
const RESTARTS: usize = 5;

/// What `leno check` says. It ends with 1 where something is wrong, and says so all the same.
pub(crate) fn check(cluster: &Cluster) -> String {
    let exec = "exec -n leno-system deploy/leno-control -- /leno check -n shop";
    let mut kubectl = cluster.command("kubectl");
    let said = kubectl.args(exec.split(' ')).output().unwrap();
    String::from_utf8_lossy(&said.stdout).into_owned()
}

/// Does this in the network namespace of the pod with this address, from its node.
pub(crate) fn on_the_node(cluster: &Cluster, address: &str, what: &str) {
    let script = format!(
        "for netns in /run/netns/*; do \
           if nsenter --net=$netns ip -o addr show | grep -q ' {address}/'; then \
             exec nsenter --net=$netns {what}; \
           fi; \
         done; exit 1"
    );
    let done = cluster.inside("sh").args(["-c", &script]).output().unwrap();
    assert!(done.status.success(), "{what} at {address}: {done:?}");
}

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn a_pod_that_is_no_longer_captured_is_called_no_more_and_named() {
    let cluster = Cluster::for_leno().unwrap();
    cluster.install_leno(Placement::Sidecar).unwrap();
    cluster.apply(&shop(Placement::Sidecar)).unwrap();
    for deployment in ["cart", "web", "mail"] {
        until_ready(&cluster, "shop", deployment);
    }
    let asked = |words: &[&str]| cluster.ask(words).unwrap();
    let of_cart = ["get", "pods", "-n", "shop", "-l", "app=cart", "-o"];
    let name_and_address = "jsonpath={.items[0].metadata.name} {.items[0].status.podIP}";
    let pod = asked(&[&of_cart[..], &[name_and_address]].concat());
    let (pod, address) = pod.split_once(' ').unwrap();
    let slices = "get endpointslices -n shop -l kubernetes.io/service-name=cart -o";
    let ready =
        "jsonpath={range .items[*].endpoints[?(@.conditions.ready==true)]}{.addresses[0]} {end}";
    let is_called = || {
        let slices: Vec<_> = slices.split(' ').chain([ready]).collect();
        asked(&slices).split(' ').any(|one| one == address)
    };
    let check = || check(&cluster);
    let named = format!("proxy shop/{pod}");
    assert!(is_called());
    let well = || check().contains("no problem").then_some(());
    cluster.until("nothing is wrong", well).unwrap();

    for rules in ["nft flush ruleset", "nft delete chain inet leno inbound"] {
        on_the_node(&cluster, address, rules);
        let left = || (!is_called()).then_some(());
        cluster.until("nobody is led there", left).unwrap();
        if rules.contains("flush") {
            let told = || {
                let said = check();
                (said.contains("H007 capture-lost") && said.contains(&named)).then_some(())
            };
            cluster.until("it is named", told).unwrap();
            let event = || {
                let described = asked(&["describe", "pod", "-n", "shop", pod]);
                described.contains("CaptureLost").then_some(())
            };
            cluster.until("an event tells of it", event).unwrap();
        }
        // Calls go on, elsewhere.
        let served = || {
            let told = get(&cluster, "shop", "web", "http://cart:80/items");
            told.starts_with("cart-").then_some(())
        };
        cluster.until("another pod serves", served).unwrap();
        let leno = leno_e2e::binary().display().to_string();
        on_the_node(&cluster, address, &format!("{leno} capture"));
        let back = || is_called().then_some(());
        cluster.until("it is called again", back).unwrap();
        cluster.until("nothing is wrong any more", well).unwrap();
    }
}

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn jobs_complete() {
    jobs(Placement::Sidecar);
}

pub(crate) fn jobs(placement: Placement) {
    let cluster = Cluster::for_leno().unwrap();
    cluster.install_leno(placement).unwrap();
    cluster.apply(&shop(placement)).unwrap();
    until_ready(&cluster, "shop", "cart");
    let job = |number: usize| {
        let named = JOB.replace("name: report,", &format!("name: report-{number},"));
        format!("---\n{}", named.replace("POD", POD))
    };
    for first in (0..JOBS).step_by(AT_ONCE) {
        let jobs: String = (first..first + AT_ONCE).map(job).collect();
        cluster.apply(&jobs).unwrap();
        let ended = || {
            let path = "jsonpath={range .items[*]}{.status.succeeded}{.status.failed}{end}";
            let told = cluster
                .ask(&["get", "jobs", "-n", "shop", "-o", path])
                .unwrap();
            (told.len() >= first + AT_ONCE).then_some(told)
        };
        let told = within(PATIENCE, ended);
        assert_eq!(told, Some("1".repeat(first + AT_ONCE)));
    }
}

/// How many jobs there are, and how many of them begin side by side: more than a small host runs at once.
const JOBS: usize = 200;
const AT_ONCE: usize = 10;
const PATIENCE: Duration = Duration::from_secs(120);
