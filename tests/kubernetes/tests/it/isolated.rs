//! Pods of a node that have a process of their own each at its proxy.

use leno_cluster::{Cluster, Placement};
use leno_e2e::ended;

use crate::chaos::{Asking, proxies};
use crate::sidecar::{check, get, shop, until_ready};

/// The mesh gives each pod a process of its own.
const MESH: &str = "\
apiVersion: leno.dev/v1alpha1
kind: Mesh
metadata: {name: default}
spec: {kubernetes: {isolation: Pod, podProcess: {memoryMiB: 96, cpuMilli: 800}}}
";

/// How often somebody asks a second who may.
const LOAD: u32 = 200;

/// What a shell says on the node.
fn on_the_node(cluster: &Cluster, script: &str) -> String {
    let said = cluster.inside("sh").args(["-c", script]).output().unwrap();
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

/// The number of the process of the pod that a Deployment has one of.
pub(crate) fn process(cluster: &Cluster, namespace: &str, deployment: &str) -> String {
    let script = format!("pgrep -f -- '[-]-pod-process.*--workload {namespace}/{deployment}-'");
    let found = || {
        let found = on_the_node(cluster, &script);
        let is_one = !found.is_empty() && !found.contains('\n');
        is_one.then_some(found)
    };
    cluster.until("a pod has its one process", found).unwrap()
}

/// A line of `/proc/PROCESS/task/TASK/status`.
fn status(cluster: &Cluster, process: &str, thread: &str, line: &str) -> String {
    let script = format!(
        "for task in /proc/{process}/task/*; do \
           grep -q '^{thread}$' $task/comm && sed -n 's/^{line}:[[:space:]]*//p' $task/status; \
         done | sort -u"
    );
    on_the_node(cluster, &script)
}

#[test]
#[ignore = "takes a Kubernetes that is built: cargo xtask kubernetes --test"]
fn what_ends_the_process_of_one_pod_touches_no_other() {
    let cluster = Cluster::for_leno().unwrap();
    cluster.install_leno(Placement::Node).unwrap();
    cluster.apply(MESH).unwrap();
    let written = shop(Placement::Node).replace("replicas: 2", "replicas: 1");
    cluster.apply(&written).unwrap();
    for deployment in ["cart", "web", "mail"] {
        until_ready(&cluster, "shop", deployment);
    }
    let asked = |words: &str| cluster.ask(&words.split(' ').collect::<Vec<_>>()).unwrap();
    let allowed = || {
        let told = get(&cluster, "shop", "web", "http://cart:80/items");
        told.starts_with("cart-").then_some(())
    };
    let refused = || {
        let told = get(&cluster, "shop", "mail", "http://cart:80/items");
        let is_by_policy = told.contains("shop/mail may not GET /items");
        is_by_policy.then_some(())
    };
    cluster.until("web gets what it may get", allowed).unwrap();
    cluster.until("mail is known and refused", refused).unwrap();
    // Who tries a call there has the same rights as who makes one.
    let web = asked("get pods -n shop -l app=web -o jsonpath={.items[0].metadata.name}");
    let probe = ["probe", &format!("shop/{web}"), "http://cart:80/items"];
    let probed = ended(&mut cluster.leno(&probe)).unwrap();
    assert!(probed.out.contains("✓ TCP"), "{probed:?}");

    // What a process has: a group of its own, another user, the pod's network, and no right but to mark sockets.
    for deployment in ["cart", "web", "mail"] {
        let process = process(&cluster, "shop", deployment);
        let uid =
            format!("get pods -n shop -l app={deployment} -o jsonpath={{.items[0].metadata.uid}}");
        let (uid, groups) = (
            asked(&uid),
            on_the_node(&cluster, &format!("cat /proc/{process}/cgroup")),
        );
        assert!(groups.contains(&format!("/leno-pod-{uid}")), "{groups}");
        let own = |thread: &str, line: &str| status(&cluster, &process, thread, line);
        assert_eq!(own("leno", "CapPrm"), "0000000000000000");
        assert_eq!(own("leno-worker", "CapPrm"), "0000000000002000");
        assert_eq!(own("leno-worker", "Uid"), "15008\t15008\t15008\t15008");
        assert_eq!(own("leno-worker", "NoNewPrivs"), "1");
        let root = format!("/proc/{process}/root");
        let keys = format!(
            "ls {root}/run/leno/node/*/proxy-pods {root}/var/run/secrets/leno.dev -1 | grep -v '^/'"
        );
        let keys = on_the_node(&cluster, &keys);
        assert_eq!(keys, uid, "it sees the keys of others");
        let memory = on_the_node(
            &cluster,
            &format!("grep -E '^(Rss|Pss|Pss_Anon):' /proc/{process}/smaps_rollup"),
        );
        println!("{deployment}: {}", memory.replace('\n', ", "));
    }
    let node = on_the_node(
        &cluster,
        "grep -h -E '^(Rss|Pss|Pss_Anon):' /proc/$(pgrep -f -- '[-]-node ')/smaps_rollup",
    );
    println!("the node's proxy: {}", node.replace('\n', ", "));

    // One is killed, and has no memory left: it is named and comes back, and who calls by others notices nothing.
    for (how, why) in [
        ("kill -9 PROCESS", "signal 9 ended the process"),
        (
            "setpriv --reuid 15008 --regid 15008 --clear-groups prlimit --pid PROCESS --data=4096",
            "had no memory left",
        ),
    ] {
        let load = Asking::begin(&cluster, "shop", "web", "http://cart:80/items", LOAD);
        let before = process(&cluster, "shop", "mail");
        on_the_node(&cluster, &how.replace("PROCESS", &before));
        // Whoever has no memory ends when it needs some.
        let busy = Asking::begin(&cluster, "shop", "mail", "http://cart:80/items", LOAD);
        let another = || (process(&cluster, "shop", "mail") != before).then_some(());
        cluster
            .until("another process is started", another)
            .unwrap();
        cluster.until("mail is served again", refused).unwrap();
        busy.end();
        let (count, failed, told) = load.end();
        println!("{how}: {count} calls of another pod, {failed} failed");
        assert_eq!(failed, 0, "{told:#?}");
        let named = || {
            let said = check(&cluster);
            (said.contains("H024 pod-process-ended") && said.contains(why)).then_some(())
        };
        cluster.until("it is named", named).unwrap();
    }
    let pod = asked("get pods -n shop -l app=mail -o jsonpath={.items[0].metadata.name}");
    let event = || {
        let described = asked(&format!("describe pod -n shop {pod}"));
        described.contains("PodProcessEnded").then_some(())
    };
    cluster.until("an event tells of it", event).unwrap();

    // The DaemonSet is updated: a newer process of each pod takes the older one's place.
    let load = Asking::begin(&cluster, "shop", "web", "http://cart:80/items", LOAD);
    let older = process(&cluster, "shop", "web");
    asked("rollout restart -n leno-system daemonset/leno-node");
    asked("rollout status -n leno-system daemonset/leno-node --timeout=240s");
    let alone = || (proxies(&cluster).len() == 1).then_some(());
    cluster.until("the older proxy has gone", alone).unwrap();
    assert_ne!(process(&cluster, "shop", "web"), older);
    let (count, failed, told) = load.end();
    println!("the DaemonSet is updated: {count} allowed calls, {failed} failed");
    assert_eq!(failed, 0, "{told:#?}");

    // It ends with its pod.
    let ends = process(&cluster, "shop", "mail");
    asked("scale -n shop deployment/mail --replicas=0");
    let gone = || on_the_node(&cluster, &format!("ls -d /proc/{ends}")).is_empty();
    cluster
        .until("the process has gone with its pod", || gone().then_some(()))
        .unwrap();
}
