//! A control plane that follows a cluster.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;

pub(crate) use leno_cluster::outside::{start, told, told_by};
use leno_cluster::{Cluster, Tier};
use leno_e2e::{World, run, until};

pub(crate) const SHOP: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec:
  selector: {app: cart}
  ports: [{name: http, port: 80, targetPort: web}]
---
apiVersion: v1
kind: Pod
metadata: {name: cart-1, namespace: shop, labels: {app: cart}}
spec:
  serviceAccountName: cart
  containers: [{name: cart, image: cart, ports: [{name: web, containerPort: 8080}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop, labels: {app: web}}
spec: {serviceAccountName: web, containers: [{name: web, image: web}]}
---
apiVersion: leno.dev/v1alpha1
kind: Mesh
metadata: {name: shop}
spec: {trustDomain: shop.local}
";

/// A Service that selects nobody, and who is behind it.
const DATABASE: &str = "\
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {ports: [{name: sql, port: 5432}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db, namespace: shop, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
endpoints: [{addresses: [10.9.0.1]}]
ports: [{name: sql, port: 5433}]
";

pub(crate) const POLICY: &str = "\
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: cart, namespace: shop}
spec:
  targetRefs: [{kind: Service, name: cart}]
  rules: [{callers: [{identity: shop/web}], requests: [{paths: [{value: /items}]}]}]
";

/// It means cart.
const ROUTE: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart, namespace: shop}
spec:
  parentRefs: [{group: '', kind: Service, name: cart, port: 80}]
  rules: [{backendRefs: [{name: kart, port: 80}]}]
";

/// The same, which means it.
pub(crate) fn route() -> String {
    ROUTE.replace("kart", "cart")
}

/// The conditions of the route, a line each: `leno.dev/mesh Accepted=True Accepted 7`, which is of its seventh spec.
fn status(cluster: &Cluster) -> String {
    let told = cluster
        .ask(&["get", "httproute", "cart", "-n", "shop", "-o", "json"])
        .unwrap();
    let route: serde_json::Value = serde_json::from_str(&told).unwrap();
    let mut lines = String::new();
    for parent in route["status"]["parents"].as_array().into_iter().flatten() {
        for condition in parent["conditions"].as_array().into_iter().flatten() {
            let text = |field: &str| condition[field].as_str().unwrap();
            writeln!(
                lines,
                "{} {}={} {} {}",
                parent["controllerName"].as_str().unwrap(),
                text("type"),
                text("status"),
                text("reason"),
                condition["observedGeneration"].as_i64().unwrap_or_default(),
            )
            .unwrap();
        }
    }
    lines
}

/// What comes by here goes on to `to`, until it is cut; then nothing gets through.
struct Way {
    open: Arc<Mutex<Option<Vec<TcpStream>>>>,
}

impl Way {
    fn new(at: SocketAddr, to: SocketAddr) -> Self {
        let open = Arc::new(Mutex::new(Some(Vec::new())));
        let listener = TcpListener::bind(at).unwrap();
        let streams = Arc::clone(&open);
        thread::spawn(move || {
            for near in listener.incoming() {
                let near = near.unwrap();
                let mut open = streams.lock().unwrap();
                let (Some(open), Ok(far)) = (open.as_mut(), TcpStream::connect(to)) else {
                    continue;
                };
                for (from, into) in [(&near, &far), (&far, &near)] {
                    let (mut from, mut into) =
                        (from.try_clone().unwrap(), into.try_clone().unwrap());
                    thread::spawn(move || {
                        drop(io::copy(&mut from, &mut into));
                        drop(into.shutdown(Shutdown::Write));
                    });
                }
                open.extend([near, far]);
            }
        });
        Self { open }
    }

    fn cut(&self) {
        for stream in self.open.lock().unwrap().take().into_iter().flatten() {
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    fn mend(&self) {
        *self.open.lock().unwrap() = Some(Vec::new());
    }
}

/// How the API server is reached by another address than its own.
fn kubeconfig(cluster: &Cluster, world: &World, at: SocketAddr) -> (PathBuf, SocketAddr) {
    let text = fs::read(cluster.kubeconfig()).unwrap();
    let mut config: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let place = &mut config["clusters"][0]["cluster"];
    let url = place["server"].as_str().unwrap().to_owned();
    let own: SocketAddr = url.strip_prefix("https://").unwrap().parse().unwrap();
    place["server"] = format!("https://{at}").into();
    place["tls-server-name"] = own.ip().to_string().into();
    let path = world.folder().join("kubeconfig");
    fs::write(&path, config.to_string()).unwrap();
    (path, own)
}

pub(crate) fn until_told(world: &World, arguments: &[&str], words: &[&str]) -> String {
    until(&format!("{words:?} of {arguments:?}"), || {
        let told = told(world, arguments);
        words.iter().all(|word| told.contains(word)).then_some(told)
    })
}

/// Says of a pod what its node would say.
fn runs(cluster: &Cluster, pod: &str, address: &str, is_ready: bool) {
    let ready = if is_ready { "True" } else { "False" };
    let status = format!(
        r#"{{"status": {{"phase": "Running", "podIP": "{address}", "podIPs": [{{"ip": "{address}"}}],
            "conditions": [{{"type": "Ready", "status": "{ready}"}}]}}}}"#
    );
    let patch = [
        "patch",
        "pod",
        pod,
        "-n",
        "shop",
        "--subresource=status",
        "-p",
        &status,
    ];
    cluster.ask(&patch).unwrap();
}

/// A cluster of an API server with the shop in it, whose pods run.
pub(crate) fn shop() -> Cluster {
    let cluster = Cluster::start(Tier::Api).unwrap();
    cluster.define_all().unwrap();
    cluster.apply(SHOP).unwrap();
    runs(&cluster, "cart-1", "10.1.0.7", true);
    runs(&cluster, "web-1", "10.1.0.8", true);
    cluster
}

/// Every state of a cluster has a number; one of them is held while the cluster says something else.
#[test]
fn a_cluster_has_revisions_and_is_held_at_one() {
    let cluster = shop();
    let world = World::new("");
    let kubeconfig = cluster.kubeconfig().display().to_string();
    let process = start(&world, &kubeconfig, &[]);
    process.until_says(&["listening on"]);
    let items = ["why", "shop/web-1", "http://cart.shop/items"];
    let secret = ["why", "shop/web-1", "http://cart.shop/secret"];
    until_told(&world, &items, &["revision 1 ", "shop/cart-1"]);
    let history = told(&world, &["history"]);
    assert!(
        history.contains("as the control plane found it"),
        "{history}"
    );

    // Who changed it, and what.
    cluster.apply(POLICY).unwrap();
    until_told(&world, &secret, &["revision 2 ", "R003"]);
    let history = told(&world, &["history", "--limit", "1"]);
    for word in ["kubectl", "seen in the cluster", "+1 ~0 -0"] {
        assert!(history.contains(word), "{history}");
    }
    let diff = told(&world, &["diff", "1", "2"]);
    assert!(diff.contains("AccessPolicy shop/cart"), "{diff}");

    // What is the cluster's is not changed here, nor taken back, by whom nothing leads to the cluster.
    let other = POLICY.replace("/items", "/other");
    fs::write(world.folder().join("policy.yaml"), other).unwrap();
    let refused = told(&world, &["apply", "-f", "policy.yaml"]);
    for word in ["K026", "nothing was changed", "--context kubeconfig"] {
        assert!(refused.contains(word), "{refused}");
    }
    let planned = told(&world, &["plan", "-f", "policy.yaml"]);
    assert!(planned.contains("~ AccessPolicy shop/cart"), "{planned}");
    let left = told(&world, &["rollback", "1"]);
    for word in [
        "nothing to change",
        "belongs to the cluster",
        "leno rollback 1 --hold 1h",
    ] {
        assert!(left.contains(word), "{left}");
    }
    until_told(&world, &secret, &["revision 2 ", "R003"]);

    // It is held as it was, through a restart, until that is taken back.
    let before = told(&world, &["rollback", "1", "--hold", "1h", "--dry-run"]);
    for word in [
        "nothing was changed",
        "- AccessPolicy shop/cart",
        "1 object would be served as before",
    ] {
        assert!(before.contains(word), "{before}");
    }
    let held = told(
        &world,
        &["rollback", "1", "--hold", "1h", "-m", "incident 7"],
    );
    for word in [
        "- AccessPolicy shop/cart",
        "1 object is served as before",
        "leno override drop",
    ] {
        assert!(held.contains(word), "{held}");
    }
    let is_let_in = |words: &[&str]| {
        let said = until_told(&world, &secret, words);
        assert!(!said.contains("R003"), "{said}");
    };
    is_let_in(&["1 override holds", "shop/cart-1"]);
    drop(process);
    let process = start(&world, &kubeconfig, &[]);
    process.until_says(&["listening on"]);
    is_let_in(&["1 override holds", "shop/cart-1"]);
    let checked = told(&world, &["check"]);
    for word in ["C170", "incident 7", "as it was in revision 1"] {
        assert!(checked.contains(word), "{checked}");
    }
    let again = told(&world, &["rollback", "0", "--hold", "1h"]);
    assert!(again.contains("says hold 1 already"), "{again}");
    let mends = told(&world, &["rollback", "1", "--print", "kubectl"]);
    assert!(
        mends.contains("kubectl delete"),
        "also while it is held: {mends}"
    );
    let listed = told(&world, &["override", "list"]);
    let id = listed.lines().find(|line| line.contains("hold 1")).unwrap();
    let id = id.split_whitespace().next().unwrap();
    told(&world, &["override", "drop", id]);
    until_told(&world, &secret, &["R003"]);

    // Whoever owns it makes it what it was, by what is printed.
    cluster.apply(&POLICY.replace("/items", "/other")).unwrap();
    until_told(&world, &items, &["revision 3 ", "R003"]);
    let mends = |revision: &str| {
        let commands = told(&world, &["rollback", revision, "--print", "kubectl"]);
        run(cluster.command("sh").args(["-ec", &commands]))
    };
    let patched = mends("2");
    assert!(
        patched.contains("accesspolicy.leno.dev/cart patched"),
        "{patched}"
    );
    until_told(&world, &items, &["revision 4 ", "shop/cart-1"]);
    let deleted = mends("1");
    assert!(deleted.contains("\"cart\" deleted"), "{deleted}");
    until_told(&world, &secret, &["revision 5 ", "shop/cart-1"]);
    let made = mends("4");
    assert!(
        made.contains("accesspolicy.leno.dev/cart created"),
        "{made}"
    );
    until_told(&world, &secret, &["revision 6 ", "R003"]);
}

#[test]
fn a_control_plane_follows_what_a_cluster_says() {
    let cluster = shop();

    let world = World::new("");
    let at = world.at("way", 6443);
    let (kubeconfig, own) = kubeconfig(&cluster, &world, at);
    let way = Way::new(at, own);
    let kubeconfig = kubeconfig.display().to_string();
    let process = start(&world, &kubeconfig, &[]);
    process.until_says(&["listening on"]);
    let url = "http://cart.shop/items";
    let why = ["why", "shop/web-1", url];
    until_told(&world, &why, &["shop/cart-1", "10.1.0.7:8080"]);

    // A Service that selects nobody leads where its slices say.
    let database = ["why", "shop/web-1", "tcp://db.shop:5432"];
    for address in ["10.9.0.1", "10.9.0.2"] {
        let said = DATABASE.replace("10.9.0.1", address);
        cluster.apply(&said).unwrap();
        until_told(&world, &database, &[&format!("{address}:5433")]);
    }

    // A change in the cluster is a change of the mesh.
    cluster.apply(POLICY).unwrap();
    let other = ["why", "shop/web-1", "http://cart.shop/secret"];
    until_told(&world, &other, &["R003"]);
    runs(&cluster, "cart-1", "10.1.0.7", false);
    until_told(&world, &why, &["R013"]);
    runs(&cluster, "cart-1", "10.1.0.7", true);
    until_told(&world, &why, &["shop/cart-1"]);

    // What holds of a route stands in its status, beside what others say there.
    cluster.apply(ROUTE).unwrap();
    let others = r#"{"status": {"parents": [{"controllerName": "other.example/x", "parentRef": {"name": "gate"},
        "conditions": [{"type": "Accepted", "status": "True", "reason": "Accepted", "message": "",
                        "lastTransitionTime": "2026-11-20T10:00:00Z"}]}]}}"#;
    let patch = [
        "patch",
        "httproute",
        "cart",
        "-n",
        "shop",
        "--subresource=status",
    ];
    cluster
        .ask(&[&patch[..], &["--type=merge", "-p", others]].concat())
        .unwrap();
    let expect = "\
        other.example/x Accepted=True Accepted 0\n\
        leno.dev/mesh Accepted=True Accepted 1\n\
        leno.dev/mesh ResolvedRefs=False BackendNotFound 1\n\
        leno.dev/mesh Programmed=True Programmed 1\n";
    until("the route's status", || {
        (status(&cluster) == expect).then_some(())
    });
    let mended = route();
    cluster.apply(&mended).unwrap();
    let expect = expect
        .replace("False BackendNotFound", "True ResolvedRefs")
        .replace(" 1\n", " 2\n");
    until("the status of what was mended", || {
        (status(&cluster) == expect).then_some(())
    });

    // While the cluster is away, what it said last holds; a restart waits for it.
    way.cut();
    until_told(&world, &["check"], &["D012", "the cluster"]);
    assert!(told(&world, &why).contains("shop/cart-1"));
    cluster
        .ask(&["delete", "accesspolicy", "cart", "-n", "shop"])
        .unwrap();
    way.mend();
    until("what was changed meanwhile", || {
        (!told(&world, &other).contains("R003")).then_some(())
    });
    until("nothing is found", || {
        (!told(&world, &["check"]).contains("D012")).then_some(())
    });

    // Who begins while the cluster is away waits for it: what proxies hold is not taken away.
    way.cut();
    drop(process);
    let process = start(&world, &kubeconfig, &[]);
    process.until_says(&["D012", " more: "]);
    assert!(!process.log().contains("listening on"), "{}", process.log());
    way.mend();
    process.until_says(&["listening on"]);
    assert!(told(&world, &why).contains("shop/cart-1"));
}
