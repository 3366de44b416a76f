//! A control plane that `leno install` puts into a cluster.

use std::fs;
use std::process::Command;
use std::time::Duration;

use leno_cluster::{Cluster, LENO, Placement};
use leno_e2e::{Process, ended, run, run_within};

/// A route of a Service that is there, to one that is not.
const SHOP: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {ports: [{port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart, namespace: shop}
spec:
  parentRefs: [{group: '', kind: Service, name: cart, port: 80}]
  rules: [{backendRefs: [{name: kart, port: 80}]}]
";

/// What would stand in the way of proxies.
const SHUT: &str = "\
apiVersion: v1
kind: Namespace
metadata:
  name: bank
  labels: {leno.dev/dataplane-mode: sidecar, pod-security.kubernetes.io/enforce: baseline}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: teller, namespace: bank}
spec: {podSelector: {}, ingress: [{ports: [{port: 8080}]}]}
";

const POLICY: &str = "\
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: cart, namespace: shop}
spec: {targetRefs: [{kind: Service, name: cart}]}
";

/// So long a pod may take to come up beside other work.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// A node on which Leno can be installed.
fn node() -> Cluster {
    Cluster::for_leno().unwrap()
}

/// What `leno install` says, which has to succeed.
fn install(cluster: &Cluster) -> String {
    cluster.install_leno(Placement::Sidecar).unwrap()
}

/// What Leno says in the control plane's pod, as soon as there is one that answers.
pub(crate) fn inside(cluster: &Cluster, arguments: &[&str]) -> String {
    inside_of(cluster, "deploy/leno-control", arguments)
}

/// The same of one of several.
pub(crate) fn inside_of(cluster: &Cluster, control: &str, arguments: &[&str]) -> String {
    let exec = ["exec", "-n", "leno-system", control, "--"];
    let exec = [&exec[..], &["/leno"], arguments].concat();
    let answer = cluster.until("leno in the pod", || cluster.ask(&exec).ok());
    answer.unwrap()
}

fn pod(cluster: &Cluster) -> String {
    let pods = ["get", "pods", "-n", "leno-system", "-o", "name"];
    cluster.ask(&pods).unwrap()
}

/// Takes Leno away again, at first but for what somebody has written.
fn leaves_nothing(cluster: &Cluster) {
    cluster.apply(POLICY).unwrap();
    let rest = |options: &[&str]| {
        let uninstall = [&["uninstall", "--yes"], options].concat();
        let told = run_within(PATIENCE, &mut cluster.leno(&uninstall));
        let kinds = "crd,ns,clusterrole,clusterrolebinding,mutatingwebhookconfiguration,validatingwebhookconfiguration";
        let names = cluster.ask(&["get", kinds, "-o", "name"]).unwrap();
        let own: Vec<_> = names.lines().filter(|name| name.contains("leno")).collect();
        (told, own.join(" "))
    };
    let (told, left) = rest(&[]);
    assert!(told.contains("K011"), "{told}");
    let kind = "customresourcedefinition.apiextensions.k8s.io/accesspolicies.leno.dev";
    assert_eq!(left, kind);
    let (told, left) = rest(&["--with-objects"]);
    assert!(told.contains("with 1 object of it"), "{told}");
    assert_eq!(left, "");
    let parents = "jsonpath={.status.parents}";
    let status = ["get", "httproute", "cart", "-n", "shop", "-o", parents];
    assert_eq!(cluster.ask(&status).unwrap(), "[]");
}

/// Asks by the kubeconfig, as whoever may run a command in the control plane's pod.
fn is_asked_from_outside(cluster: &Cluster) {
    let outside = |arguments: &[&str]| ended(&mut cluster.leno(arguments)).unwrap();
    let checked = outside(&["check", "-n", "shop", "--context", "kubeconfig"]);
    assert!(checked.out.contains("C113"), "{checked:?}");
    assert_eq!(checked.status.code(), Some(1));
    let nobody = outside(&["status", "--context", "kubeconfig:nobody"]);
    let named = nobody
        .err
        .contains("the cluster nobody: the kubeconfig cannot be used");
    assert!(named, "{nobody:?}");
    assert_eq!(nobody.status.code(), Some(3));

    // It is changed as whoever asks, the Mesh that was installed, too: that is theirs, and with these labels it still goes
    // with the installation.
    let mesh = cluster.folder().join("mesh.yaml");
    let text = "{apiVersion: leno.dev/v1alpha1, kind: Mesh, metadata: {name: default, labels: \
                {app.kubernetes.io/part-of: leno, app.kubernetes.io/managed-by: leno}}, \
                spec: {trustDomain: cluster.local, mtls: Permissive, default: Allow, unknownDestinations: Deny}}";
    fs::write(&mesh, text).unwrap();
    let apply = ["apply", "--set", "mesh", "-m", "known hosts alone", "-f"];
    let file = mesh.display().to_string();
    let context = ["--context", "kubeconfig"];
    let applied = outside(&[&apply[..], &[&file], &context].concat());
    assert!(applied.out.contains("~ Mesh default"), "{applied:?}");
    let history = outside(&["history", "--limit", "1", "--context", "kubeconfig"]);
    assert!(history.out.contains("known hosts alone"), "{history:?}");

    // The page, by a link that opens once, through a port of this host.
    let log = cluster.folder().join("page.log");
    let mut dashboard = cluster.leno(&["dashboard", "--context", "kubeconfig"]);
    let page = Process::start(&mut dashboard, &log);
    page.until_says(&["until Ctrl-C"]);
    let told = page.log();
    let url = told
        .split_whitespace()
        .find(|word| word.starts_with("http"));
    let (url, jar) = (url.unwrap(), cluster.folder().join("cookies"));
    let mut curl = Command::new("curl");
    curl.args(["-sfL", "-c"])
        .arg(&jar)
        .arg("-b")
        .arg(&jar)
        .arg(url);
    let shown = run(&mut curl);
    assert!(shown.contains("<title>"), "{shown}");
}

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn a_control_plane_is_installed_and_keeps_its_ca_when_its_pod_goes() {
    let cluster = node();
    let told = install(&cluster);
    for line in [
        "✓ storage      PersistentVolume disk",
        "✓ Gateway API  v1.6.3",
        "+ Deployment leno-system/leno-control",
        "+ Mesh default",
        "ready  the control plane runs in leno-system",
    ] {
        assert!(told.contains(line), "{line:?} is not in:\n{told}");
    }
    let domain = [
        "get",
        "mesh",
        "default",
        "-o",
        "jsonpath={.spec.trustDomain}",
    ];
    assert_eq!(cluster.ask(&domain).unwrap(), "cluster.local");

    // It may do what it has to: it sees what is written, and says what it thinks of it.
    cluster.apply(SHOP).unwrap();
    let reason = "jsonpath={.status.parents[0].conditions[?(@.type=='ResolvedRefs')].reason}";
    let status = ["get", "httproute", "cart", "-n", "shop", "-o", reason];
    let what = "the route's status";
    let written = || {
        cluster
            .ask(&status)
            .ok()
            .filter(|told| told == "BackendNotFound")
    };
    cluster.until(what, written).unwrap();
    // And the API server knows by what it is proven, when it asks about pods.
    let bundle = "jsonpath={.webhooks[*].clientConfig.caBundle}";
    let webhook = ["get", "mutatingwebhookconfiguration", "leno", "-o", bundle];
    let proven = || cluster.ask(&webhook).ok().filter(|told| !told.is_empty());
    cluster.until("a CA bundle", proven).unwrap();
    let checked = inside(&cluster, &["check", "-n", "leno-system"]);
    let well = checked.contains("no problem") && !checked.contains("warning");
    assert!(well, "{checked}");

    is_asked_from_outside(&cluster);

    let again = install(&cluster);
    assert!(again.contains("nothing to change"), "{again}");
    assert!(again.contains("ready  the control plane"), "{again}");

    let (bundle, first) = (inside(&cluster, &["certs", "bundle"]), pod(&cluster));
    assert!(bundle.contains("x5c"), "{bundle}");
    let delete = ["delete", "-n", "leno-system", first.trim()];
    cluster.ask(&delete).unwrap();
    let another = || Some(pod(&cluster)).filter(|pod| !pod.is_empty() && *pod != first);
    cluster.until("another pod", another).unwrap();
    install(&cluster);
    assert_eq!(inside(&cluster, &["certs", "bundle"]), bundle);

    // What is printed is what is there.
    let print = ["install", "--image", LENO, "--print", "yaml"];
    let printed = run_within(PATIENCE, &mut cluster.leno(&print));
    let applied = cluster.apply(&printed).unwrap();
    assert!(applied.contains("leno-control"), "{applied}");
    let again = install(&cluster);
    assert!(again.contains("nothing to change"), "{again}");

    // Who names another trust domain gets no other mesh.
    let other = [
        "install",
        "--yes",
        "--image",
        LENO,
        "--trust-domain",
        "shop.local",
    ];
    let refused = ended(&mut cluster.leno(&other)).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.out.contains("K009"), "{}", refused.out);

    cluster.apply(SHUT).unwrap();
    let looked = ended(&mut cluster.leno(&["check", "--pre"])).unwrap();
    for line in [
        "✓ mesh         is there, of cluster.local",
        "K013 tunnel-shut          NetworkPolicy bank/teller",
        "K014 capture-forbidden    Namespace bank",
    ] {
        assert!(
            looked.out.contains(line),
            "{line:?} is not in:\n{}",
            looked.out
        );
    }

    leaves_nothing(&cluster);
}
