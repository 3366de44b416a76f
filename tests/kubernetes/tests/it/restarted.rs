//! What policy refuses stays refused while a node loses its power and starts again.

use std::time::Instant;

use leno_cluster::{Cluster, Node, POD, Placement, Tier};

use crate::chaos::Asking;
use crate::sidecar::{check, get, placed, shop, until_ready};

#[test]
#[ignore = "takes two nodes of Kubernetes: cargo xtask kubernetes --test"]
fn what_is_refused_stays_refused_while_a_node_starts_again() {
    let mut cluster = meshed();
    for (restarts, meanwhile) in (1..).zip([
        Meanwhile::Nothing,
        Meanwhile::Missed,
        Meanwhile::Uncontrolled,
    ]) {
        until_served(&cluster);
        let strangers = [
            ("outside", "stranger", "http://each.shop:8080/items"),
            ("shop", "mail", "http://each:8080/items"),
            ("shop", "mail", "http://cart:80/items"),
        ];
        let strangers = strangers
            .map(|(namespace, from, url)| Asking::begin_in_vain(&cluster, namespace, from, url));
        if meanwhile == Meanwhile::Uncontrolled {
            control(&cluster, 0);
        }
        let cut = now();
        cluster.cut_second().unwrap();
        if meanwhile == Meanwhile::Missed {
            let said = || check(&cluster).contains("D005 proxy-away").then_some(());
            cluster.until("it is said", said).unwrap();
            println!("said {:.1?} after the power is cut", cut.elapsed());
        }
        let start = now();
        cluster.start_second().unwrap();
        if meanwhile == Meanwhile::Uncontrolled {
            until_waits(&cluster);
            println!("waiting is said {:.1?} after the start", start.elapsed());
            control(&cluster, 1);
        }
        until_served(&cluster);
        println!("allowed calls {:.1?} after the start", start.elapsed());
        for (namespace, deployment) in ON_THE_SECOND {
            until_began_again(&cluster, namespace, deployment, restarts);
            until_ready(&cluster, namespace, deployment);
        }
        for namespace in ["outside", "shop"] {
            asked_in_vain(&cluster, namespace);
        }
        for one in strangers {
            one.passed_never(&format!("a node starts again ({meanwhile:?})"));
        }
        let well = || check(&cluster).contains("no problem").then_some(());
        cluster.until("nothing is wrong any more", well).unwrap();
    }
}

/// What there is beside the power that is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Meanwhile {
    /// It comes back at once.
    Nothing,
    /// It stays away until somebody has said so.
    Missed,
    /// The control plane is away until it was said that pods wait for it.
    Uncontrolled,
}

/// Lets so many control planes run, and waits until they do.
pub(crate) fn control(cluster: &Cluster, count: u32) {
    let scale = format!("scale -n leno-system deployment/leno-control --replicas={count}");
    cluster.ask(&scale.split(' ').collect::<Vec<_>>()).unwrap();
    let pods = ["get", "pods", "-n", "leno-system", "-o", "name"];
    let gone = || {
        let told = cluster.ask(&pods).ok()?;
        (!told.contains("leno-control")).then_some(())
    };
    match count {
        0 => cluster.until("the control plane has gone", gone).unwrap(),
        _ => until_ready(cluster, "leno-system", "leno-control"),
    }
}

/// Waits until an event tells of a pod of cart that it waits, and why.
fn until_waits(cluster: &Cluster) {
    let events = "jsonpath={range .items[*]}{.involvedObject.name} {.message}{'\\n'}{end}";
    let waits = || {
        let told = cluster.ask(&["get", "events", "-n", "shop", "-o", events]);
        let told = told.ok()?;
        // The proxy of the node is not there yet, or nobody tells it whose pod that is.
        let why = |line: &str| line.contains("H013") || line.contains("H017");
        let waits = |line: &str| line.starts_with("cart-") && why(line);
        told.lines().any(waits).then_some(())
    };
    cluster.until("it is said that pods wait", waits).unwrap();
}

/// A shop whose cart is on the second node. There ask, from their first step, one who proves nothing and one whom no rule
/// names.
fn meshed() -> Cluster {
    let cluster = Cluster::for_leno_on(Tier::TwoNodes).unwrap();
    cluster.install_leno(Placement::Node).unwrap();
    let written = placed(&shop(Placement::Node), "cart", Node::Second);
    let written = ["web", "mail", "stranger"]
        .iter()
        .fold(written, |written, name| placed(&written, name, Node::First));
    cluster.apply(&written).unwrap();
    cluster.apply(EACH).unwrap();
    for (namespace, account, url) in [
        ("outside", "stranger", "http://each.shop:8080/items"),
        ("shop", "mail", "http://cart:80/items"),
    ] {
        cluster.apply(&early(namespace, account, url)).unwrap();
    }
    let on_the_first = [("shop", "web"), ("shop", "mail"), ("outside", "stranger")];
    for (namespace, deployment) in on_the_first.into_iter().chain(ON_THE_SECOND) {
        until_ready(&cluster, namespace, deployment);
    }
    cluster
}

const ON_THE_SECOND: [(&str, &str); 3] =
    [("shop", "cart"), ("shop", "early"), ("outside", "early")];

/// What leads to each pod of cart at its own address, be it ready or not.
const EACH: &str = "\
apiVersion: v1
kind: Service
metadata: {name: each, namespace: shop}
spec: {clusterIP: None, publishNotReadyAddresses: true, selector: {app: cart}, ports: [{name: http, port: 8080}]}
";

/// Somebody on the second node who asks again and again, and begins with it.
fn early(namespace: &str, account: &str, url: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: early, namespace: {namespace}}}\n\
         spec:\n  selector: {{matchLabels: {{app: early}}}}\n  template:\n    \
         metadata: {{labels: {{app: early}}}}\n    spec:\n      serviceAccountName: {account}\n      \
         nodeSelector: {{kubernetes.io/hostname: {}}}\n      terminationGracePeriodSeconds: 0\n      \
         containers: [{{name: app, image: '{POD}', args: [watch, '{url}', '200']}}]\n",
        Node::Second.name()
    )
}

/// Waits until each container of a Deployment's pods was started so often again.
fn until_began_again(cluster: &Cluster, namespace: &str, deployment: &str, restarts: u32) {
    let app = format!("app={deployment}");
    let counts = "jsonpath={.items[*].status.containerStatuses[*].restartCount}";
    let began = || {
        let asked = ["get", "pods", "-n", namespace, "-l", &app, "-o", counts];
        let told = cluster.ask(&asked).ok()?;
        let restarts = restarts.to_string();
        told.split(' ').all(|told| told == restarts).then_some(())
    };
    let what = format!("{namespace}/{deployment} begins again");
    cluster.until(&what, began).unwrap();
}

/// Whoever asked from its first step on was refused by cart's proxy, and never answered.
fn asked_in_vain(cluster: &Cluster, namespace: &str) {
    let logs = ["logs", "-n", namespace, "deploy/early", "-c", "app"];
    let refused = || {
        let said = cluster.ask(&logs).ok()?;
        said.contains(" 403").then_some(said)
    };
    let said = cluster.until("it is refused", refused).unwrap();
    assert!(said.contains(" began") && !said.contains(" 200"), "{said}");
}

fn until_served(cluster: &Cluster) {
    let allowed = || {
        let told = get(cluster, "shop", "web", "http://cart:80/items");
        told.starts_with("cart-").then_some(())
    };
    cluster.until("web gets what it may get", allowed).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "a figure is read off the clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
