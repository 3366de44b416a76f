//! Two control planes of one mesh: the default one, and one beside it that has its trust from there.

use std::fs;
use std::path::PathBuf;

use leno_cluster::{Cluster, LENO, Placement, Tier};
use leno_e2e::{World, ended, run_within, until};

use crate::control::{start, told, until_told};
use crate::install::{PATIENCE, inside, inside_of};
use crate::sidecar::{get, shop, until_ready};

const OBJECTS: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: leno-system}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: leno-mesh, namespace: leno-system}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: leno-control-canary, namespace: leno-system}
---
apiVersion: v1
kind: Pod
metadata:
  name: canary-1
  namespace: leno-system
  labels: {app.kubernetes.io/component: control-beside, leno.dev/control: canary}
spec: {serviceAccountName: leno-control-canary, containers: [{name: control, image: leno}]}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: cart, namespace: shop}
---
apiVersion: v1
kind: Pod
metadata: {name: cart-1, namespace: shop}
spec: {serviceAccountName: cart, containers: [{name: cart, image: cart}]}
---
apiVersion: leno.dev/v1alpha1
kind: Mesh
metadata: {name: shop}
spec: {trustDomain: shop.local}
";

/// A token of an account that is bound to a pod, in a file.
fn token(cluster: &Cluster, world: &World, account: &str, pod: &str) -> PathBuf {
    let (namespace, account) = account.split_once('/').unwrap();
    let made = ["create", "token", account, "-n", namespace];
    let bound = ["--bound-object-kind", "Pod", "--bound-object-name", pod];
    let audience = ["--audience", "leno"];
    let token = cluster.ask(&[&made[..], &bound, &audience].concat());
    let file = world.folder().join(format!("token-{pod}"));
    fs::write(&file, token.unwrap()).unwrap();
    file
}

/// The root that signs, as a control plane tells it.
pub(crate) fn root(world: &World) -> Option<String> {
    let told = told(world, &["certs", "list"]);
    let line = told.lines().find(|line| line.contains("signs, until"))?;
    let words = line.split_whitespace();
    words.max_by_key(|word| word.len()).map(str::to_owned)
}

#[test]
fn a_control_plane_beside_the_default_one_is_of_its_trust() {
    let cluster = Cluster::start(Tier::Api).unwrap();
    cluster.define_all().unwrap();
    cluster.apply(OBJECTS).unwrap();
    let kubeconfig = cluster.kubeconfig().display().to_string();
    let (world, other) = (World::new(""), World::new(""));
    let account = "leno-system/leno-control-canary";
    let shown = token(&cluster, &other, account, "canary-1");
    let shown = shown.display().to_string();
    let beside = ["--name", "canary", "--oidc-token", &shown];
    let image = ["--sidecar", "leno.test/leno:1"];
    let canary = start(&other, &kubeconfig, &[&beside[..], &image].concat());

    // It founds no CA: it waits for the default one, and says so.
    let waits = [
        "T026",
        "default-control-plane-away",
        "leno-system/leno-mesh",
    ];
    until_told(&other, &["check"], &waits);
    canary.until_says(&["T026"]);
    assert_eq!(root(&other), None);

    let default = start(&world, &kubeconfig, &image);
    default.until_says(&["gave the control plane canary an intermediate"]);
    until("both are of one root", || {
        let roots = (root(&world)?, root(&other)?);
        (roots.0 == roots.1).then_some(())
    });
    until("nothing is found any more", || {
        (!told(&other, &["check"]).contains("T026")).then_some(())
    });

    // The next root is announced at the default one, heard of by the other, and signs once that one says that it is.
    let before = root(&world).unwrap();
    told(&world, &["certs", "rotate"]);
    let after = until("the next root signs", || {
        root(&world).filter(|now| *now != before)
    });
    until("it signs there, too", || {
        (root(&other)? == after).then_some(())
    });

    // Whom the default one has revoked gets nothing from the other one.
    let refused = told(&other, &["certs", "revoke", "shop/cart", "-m", "lost"]);
    assert!(refused.contains("T027"), "{refused}");
    told(&world, &["certs", "revoke", "shop/cart", "-m", "lost"]);
    let pod = token(&cluster, &other, "shop/cart", "cart-1");
    let pod = pod.display().to_string();
    let mesh = until("the canary says where it is", || {
        let told = told(&other, &["token", "list"]);
        let mut words = told.split_whitespace();
        let mesh = words.find(|word| word.starts_with("leno-mesh:"));
        mesh.map(str::to_owned)
    });
    let join = |state: &str| {
        let arguments = ["join", &mesh, "--oidc-token", &pod, "--state", state];
        let mut command = other.command(&arguments);
        ended(&mut command).expect("it ends in time").out
    };
    until("the revoked one is refused", || {
        join("revoked").contains("revoked").then_some(())
    });

    // It goes on while the default one is away, also over a restart, and lets nobody in again.
    drop((default, canary));
    let canary = start(&other, &kubeconfig, &[&beside[..], &image].concat());
    until_told(&other, &["check"], &["T026", "roots and revocations"]);
    assert_eq!(root(&other).as_ref(), Some(&after));
    until("the revoked one is refused still", || {
        join("still").contains("is revoked").then_some(())
    });
    let default = start(&world, &kubeconfig, &image);
    until("it is heard again", || {
        (!told(&other, &["check"]).contains("T026")).then_some(())
    });
    told(&world, &["certs", "reinstate", "shop/cart"]);
    until("who is let in again is let in there", || {
        let joined = join("joined");
        joined
            .contains("as spiffe://shop.local/ns/shop/sa/cart")
            .then_some(())
    });
    drop((default, canary));
}

/// Web takes calls, too: of cart's alone, which prove who makes them.
const WEB: &str = "\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: web, namespace: shop}
spec:
  targetRefs: [{kind: Service, name: web}]
  mtls: Strict
  default: Deny
  rules: [{callers: [{identity: shop/cart}]}]
";

/// Which pods of the shop follow a control plane.
fn follow(cluster: &Cluster, control: &str) -> String {
    let told = inside_of(cluster, control, &["proxies"]);
    let lines = told.lines().filter(|line| line.contains("shop/"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Both ways, each by who calls.
fn call_each_other(cluster: &Cluster) {
    for (from, to, path) in [("web", "cart", "/items"), ("cart", "web", "/")] {
        let url = format!("http://{to}:80{path}");
        let gets = || {
            let told = get(cluster, "shop", from, &url);
            told.starts_with(&format!("{to}-")).then_some(())
        };
        cluster.until(&format!("{from} gets {url}"), gets).unwrap();
    }
    let other = get(cluster, "shop", "mail", "http://web:80/");
    assert!(other.contains("shop/mail may not GET /"), "{other}");
}

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn pods_of_two_control_planes_are_of_one_mesh() {
    let cluster = Cluster::for_leno().unwrap();
    cluster.install_leno(Placement::Node).unwrap();
    cluster.add_volume("disk-canary").unwrap();
    let canary = ["install", "--yes", "--image", LENO, "--name", "canary"];
    let told = run_within(PATIENCE, &mut cluster.leno(&canary));
    for line in [
        "✓ default      is there, and canary beside it",
        "+ Deployment leno-system/leno-control-canary",
        "ready  the control plane canary runs beside the default one in leno-system",
    ] {
        assert!(told.contains(line), "{line:?} is not in:\n{told}");
    }
    assert!(!told.contains("CustomResourceDefinition"), "{told}");
    let again = run_within(PATIENCE, &mut cluster.leno(&canary));
    assert!(again.contains("nothing to change"), "{again}");

    let objects = shop(Placement::Sidecar);
    let (plain, labelled) = (
        "labels: {app: web}}",
        "labels: {app: web, leno.dev/control: canary}}",
    );
    assert!(objects.contains(plain));
    cluster.apply(&objects.replace(plain, labelled)).unwrap();
    cluster.apply(WEB).unwrap();
    for deployment in ["cart", "web", "mail"] {
        until_ready(&cluster, "shop", deployment);
    }
    // The proxy of their node loads the rules of the pods of both.
    let begin = "jsonpath={.items[*].spec.initContainers[*].name}";
    let begin = cluster.ask(&["get", "pods", "-n", "shop", "-o", begin]);
    assert!(!begin.unwrap().contains("leno-capture"));
    call_each_other(&cluster);
    let asked = ["proxies", "--context", "kubeconfig/canary"];
    let outside = run_within(PATIENCE, &mut cluster.leno(&asked));
    assert!(
        outside.contains("shop/web") && !outside.contains("shop/cart"),
        "{outside}"
    );
    let (own, other) = ("deploy/leno-control", "deploy/leno-control-canary");
    let (own, other) = (follow(&cluster, own), follow(&cluster, other));
    assert!(
        own.contains("shop/cart") && !own.contains("shop/web"),
        "{own}"
    );
    assert!(
        other.contains("shop/web") && !other.contains("shop/cart"),
        "{other}"
    );
    for control in ["deploy/leno-control", "deploy/leno-control-canary"] {
        let checked = inside_of(&cluster, control, &["check", "-n", "shop"]);
        assert!(checked.contains("no problem"), "{checked}");
    }
    // Nobody would give it a proxy.
    let nosuch = "{apiVersion: v1, kind: Pod, metadata: {name: lost, namespace: shop, labels: {leno.dev/control: nosuch}}, \
                  spec: {containers: [{name: app, image: none}]}}";
    let refused = cluster.apply(nosuch).unwrap_err().to_string();
    assert!(refused.contains("D026 no-such-control-plane"), "{refused}");

    // It goes, and its pods go on; those that are made anew are the default one's.
    let uninstall = ["uninstall", "--yes", "--name", "canary"];
    let told = run_within(PATIENCE, &mut cluster.leno(&uninstall));
    assert!(
        told.contains("- Deployment leno-system/leno-control-canary"),
        "{told}"
    );
    assert!(
        !told.contains("Deployment leno-system/leno-control\n"),
        "{told}"
    );
    assert!(told.contains("K012"), "{told}");
    let kinds = "clusterrole,clusterrolebinding,mutatingwebhookconfiguration,deploy,svc,sa,pvc,role,rolebinding";
    let left = cluster
        .ask(&["get", kinds, "-n", "leno-system", "-o", "name"])
        .unwrap();
    assert!(
        !left.contains("canary") && left.contains("leno-control"),
        "{left}"
    );
    call_each_other(&cluster);
    let patch = r#"{"spec": {"template": {"metadata": {"labels": {"leno.dev/control": null}}}}}"#;
    let patch = ["patch", "deployment", "web", "-n", "shop", "-p", patch];
    cluster.ask(&patch).unwrap();
    until_ready(&cluster, "shop", "web");
    call_each_other(&cluster);
    assert!(follow(&cluster, "deploy/leno-control").contains("shop/web"));
    cluster
        .until("nothing is found", || {
            let checked = inside(&cluster, &["check", "-n", "shop"]);
            checked.contains("no problem").then_some(())
        })
        .unwrap();
}
