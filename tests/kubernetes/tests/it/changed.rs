//! A cluster that is changed by `leno`, by the rights of whoever asks.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;

use leno_cluster::{Cluster, Tier};
use leno_e2e::{Process, World, run, until};

use crate::control::{POLICY, SHOP, route, shop, start, told, told_by, until_told};

/// What nothing else of it needs is last in this file, and first to be written.
const OFFICE: &str = "\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: mail, namespace: office}
spec:
  parentRefs: [{group: '', kind: Service, name: mail, port: 80}]
  rules: [{backendRefs: [{name: mail, port: 80}]}]
---
apiVersion: v1
kind: Service
metadata: {name: mail, namespace: office}
spec: {selector: {app: mail}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Namespace
metadata: {name: office}
";

/// Lets routes be tried, and not written.
const LATE: &str = "\
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: late}
spec:
  matchConstraints:
    resourceRules:
      - {apiGroups: [gateway.networking.k8s.io], apiVersions: ['*'], operations: [CREATE], resources: [httproutes]}
  validations: [{expression: has(request.dryRun) && request.dryRun, message: too late}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: late}
spec: {policyName: late, validationActions: [Deny]}
";

/// A cluster whose control plane is asked by its socket, and whoever asks has its kubeconfig.
struct Changed {
    cluster: Cluster,
    world: World,
    _control: Process,
}

impl Changed {
    fn new() -> Self {
        let cluster = shop();
        let world = World::new("");
        let kubeconfig = cluster.kubeconfig().display().to_string();
        let control = start(&world, &kubeconfig, &[]);
        control.until_says(&["listening on"]);
        until_told(&world, &["history"], &["revision 1 "]);
        fs::create_dir(world.folder().join("mesh")).unwrap();
        Self {
            cluster,
            world,
            _control: control,
        }
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.world.folder().join("mesh").join(file), text).unwrap();
    }

    fn leno(&self, arguments: &[&str]) -> String {
        told_by(&self.world, self.cluster.kubeconfig(), arguments)
    }

    /// What `leno` says, in which these words stand.
    #[track_caller]
    fn says(&self, arguments: &[&str], words: &[&str]) -> String {
        let told = self.leno(arguments);
        for word in words {
            assert!(told.contains(word), "{word} of {arguments:?}: {told}");
        }
        told
    }

    /// A field of an object, as the cluster has it.
    fn field(&self, object: &str, path: &str) -> String {
        let path = format!("jsonpath={{{path}}}");
        self.cluster
            .ask(&["get", object, "-n", "shop", "-o", &path])
            .unwrap_or_else(|why| why.to_string())
    }
}

#[test]
fn what_is_applied_is_written_to_the_cluster_and_is_a_revision() {
    let mesh = Changed::new();
    let set = r".metadata.labels.leno\.dev/set";
    mesh.write("policy.yaml", POLICY);
    mesh.says(
        &["apply", "-f", "mesh", "--dry-run"],
        &["nothing was changed", "+ AccessPolicy shop/cart"],
    );
    assert!(
        mesh.field("accesspolicy/cart", ".spec")
            .contains("NotFound")
    );
    mesh.says(
        &["apply", "-f", "mesh", "-m", "only items"],
        &[
            "revision 2 ",
            "+ AccessPolicy shop/cart  mesh/policy.yaml:1",
            "leno rollback 1",
        ],
    );
    assert_eq!(mesh.field("accesspolicy/cart", set), "mesh");
    mesh.says(
        &["why", "shop/web-1", "http://cart.shop/secret"],
        &["revision 2 ", "R003"],
    );
    mesh.says(
        &["history", "--limit", "1"],
        &["leno", "+1 ~0 -0", "only items"],
    );
    mesh.says(
        &["apply", "-f", "mesh"],
        &["revision 2 ", "nothing to change"],
    );

    // Nothing is written of what somebody may not, what is of another set, older, or brings an error.
    mesh.write("route.yaml", &route());
    mesh.says(
        &["apply", "-f", "mesh", "--set", "other"],
        &[
            "S006",
            "AccessPolicy shop/cart belongs to the set mesh, and not to other",
        ],
    );
    mesh.says(&["apply", "-f", "mesh", "--if-revision", "1"], &["S004"]);
    mesh.says(
        &["apply", "-f", "mesh", "--watch", "5m"],
        &["nothing was changed", "--hold 1h"],
    );
    mesh.says(&["apply", "-f", "mesh", "--set", "a b"], &["leno.dev/set"]);
    mesh.write(
        "broken.yaml",
        &POLICY
            .replace("name: cart, namespace", "name: b, namespace")
            .replace("[{callers", "[] #"),
    );
    mesh.says(&["apply", "-f", "mesh"], &["S005", "C132"]);
    fs::remove_file(mesh.world.folder().join("mesh/broken.yaml")).unwrap();
    assert!(mesh.field("httproute/cart", ".spec").contains("NotFound"));

    // A namespace is written before what is in it.
    mesh.write("office.yaml", OFFICE);
    let told = mesh.says(
        &["apply", "-f", "mesh"],
        &["+ HTTPRoute office/mail", "+ HTTPRoute shop/cart"],
    );
    let order = [
        "made Namespace office",
        "made Service office/mail",
        "made HTTPRoute office/mail",
    ];
    let order = order.map(|line| told.find(line).unwrap_or_else(|| panic!("{line}: {told}")));
    assert!(order.is_sorted(), "{told}");

    // What the set applied before goes, and nothing else of the cluster.
    fs::remove_file(mesh.world.folder().join("mesh/route.yaml")).unwrap();
    let kept = mesh.says(&["apply", "-f", "mesh"], &["nothing to change"]);
    assert!(!kept.contains("HTTPRoute shop/cart"), "{kept}");
    mesh.says(
        &["apply", "-f", "mesh", "--prune", "--dry-run"],
        &["- HTTPRoute shop/cart"],
    );
    let pruned = mesh.says(
        &["apply", "-f", "mesh", "--prune"],
        &["- HTTPRoute shop/cart"],
    );
    assert!(!pruned.contains("Service shop/cart"), "{pruned}");
    assert!(mesh.field("httproute/cart", ".spec").contains("NotFound"));
    assert_eq!(mesh.field("service/cart", ".metadata.name"), "cart");

    // One object of it goes by name.
    mesh.says(
        &["delete", "AccessPolicy/cart", "-n", "shop", "-m", "no"],
        &["without -m"],
    );
    mesh.says(
        &["delete", "AccessPolicy/cart", "-n", "shop"],
        &["- AccessPolicy shop/cart"],
    );
    let why = mesh.leno(&["why", "shop/web-1", "http://cart.shop/secret"]);
    assert!(!why.contains("R003"), "{why}");
    mesh.says(
        &["delete", "AccessPolicy/cart", "-n", "shop"],
        &["is not there"],
    );
}

#[test]
fn what_others_have_written_is_left_to_them() {
    let mesh = Changed::new();
    mesh.write("policy.yaml", POLICY);
    mesh.says(&["apply", "-f", "mesh"], &["revision 2 "]);
    let patch = r#"{"spec": {"rules": [{"callers": [{"namespace": "shop"}]}]}}"#;
    let patched = [
        "patch",
        "accesspolicy",
        "cart",
        "-n",
        "shop",
        "--type=merge",
        "-p",
        patch,
    ];
    mesh.cluster.ask(&patched).unwrap();
    until_told(&mesh.world, &["history"], &["revision 3 "]);

    // All of it is refused, and said who owns what, and what would change it.
    mesh.write("route.yaml", &route());
    let refused = mesh.says(
        &["apply", "-f", "mesh"],
        &[
            "K005",
            "nothing was changed",
            "AccessPolicy shop/cart",
            ".spec.rules is set by kubectl-patch",
        ],
    );
    assert!(mesh.field("httproute/cart", ".spec").contains("NotFound"));
    let command = refused
        .split("Next  ")
        .find(|it| it.starts_with("kubectl patch"));
    let command = command.and_then(|it| it.lines().next()).unwrap();
    run(mesh.cluster.command("sh").args(["-ec", command]));
    until_told(&mesh.world, &["history"], &["revision 4 "]);
    let told = mesh.says(&["apply", "-f", "mesh"], &["+ HTTPRoute shop/cart"]);
    assert!(!told.contains("AccessPolicy"), "{told}");

    // It is neither taken away nor taken back.
    fs::remove_file(mesh.world.folder().join("mesh/policy.yaml")).unwrap();
    mesh.says(
        &["apply", "-f", "mesh", "--prune"],
        &[
            "nothing to change",
            "AccessPolicy shop/cart is left to kubectl-patch",
        ],
    );
    mesh.says(
        &["delete", "AccessPolicy/cart", "-n", "shop"],
        &[
            "K005",
            "kubectl delete accesspolicies.leno.dev cart -n shop",
        ],
    );
    mesh.says(
        &["rollback", "1"],
        &[
            "- HTTPRoute shop/cart",
            "AccessPolicy shop/cart is left to kubectl-patch",
            "leno rollback 1 --hold 1h",
        ],
    );
    assert!(mesh.field("httproute/cart", ".spec").contains("NotFound"));
    mesh.says(
        &["rollback", "1"],
        &[
            "nothing to change",
            "AccessPolicy shop/cart belongs to the cluster",
        ],
    );
}

#[test]
fn what_was_applied_is_rolled_back_in_the_cluster() {
    let mesh = Changed::new();
    mesh.write("policy.yaml", POLICY);
    mesh.write("route.yaml", &route());
    mesh.says(&["apply", "-f", "mesh"], &["+ AccessPolicy shop/cart"]);
    let history = mesh.leno(&["history", "--limit", "1", "-o", "json"]);
    let history: serde_json::Value = serde_json::from_str(&history).unwrap();
    let before = history["revisions"][0]["revision"].to_string();
    mesh.write("policy.yaml", &POLICY.replace("/items", "/other"));
    fs::remove_file(mesh.world.folder().join("mesh/route.yaml")).unwrap();
    mesh.says(
        &["apply", "-f", "mesh", "--prune"],
        &["~ AccessPolicy shop/cart", "- HTTPRoute shop/cart"],
    );
    mesh.says(
        &["rollback", &before, "--dry-run"],
        &[
            "nothing was changed",
            "~ AccessPolicy shop/cart",
            "+ HTTPRoute shop/cart",
        ],
    );
    let path = ".spec.rules[0].requests[0].paths[0].value";
    assert_eq!(mesh.field("accesspolicy/cart", path), "/other");
    mesh.says(
        &["rollback", &before],
        &["~ AccessPolicy shop/cart", "+ HTTPRoute shop/cart"],
    );
    assert_eq!(mesh.field("accesspolicy/cart", path), "/items");
    mesh.says(
        &["history", "--limit", "1"],
        &["leno", &format!("leno rollback {before}")],
    );
    mesh.says(&["rollback", &before], &["nothing to change"]);
    // What it is by then is what is applied again without a conflict.
    mesh.says(&["apply", "-f", "mesh"], &["~ AccessPolicy shop/cart"]);
}

#[test]
fn what_fails_midway_says_what_is_done_and_goes_on_when_it_is_said_again() {
    let mesh = Changed::new();
    let cluster = &mesh.cluster;
    let is_taken = || {
        let taken =
            cluster.apply(&route().replace("name: cart, namespace", "name: try, namespace"));
        let gone = [
            "delete",
            "httproute",
            "try",
            "-n",
            "shop",
            "--ignore-not-found",
        ];
        cluster.ask(&gone).unwrap();
        taken.is_ok()
    };
    cluster.apply(LATE).unwrap();
    until("no route is written any more", || {
        (!is_taken()).then_some(())
    });
    mesh.write("policy.yaml", POLICY);
    mesh.write("route.yaml", &route());
    mesh.says(
        &["apply", "-f", "mesh", "--dry-run"],
        &["+ HTTPRoute shop/cart"],
    );
    mesh.says(
        &["apply", "-f", "mesh"],
        &[
            "K028",
            "too late",
            "It is done for AccessPolicy shop/cart; it is not for HTTPRoute shop/cart",
        ],
    );
    let path = ".spec.rules[0].requests[0].paths[0].value";
    assert_eq!(mesh.field("accesspolicy/cart", path), "/items");
    assert!(mesh.field("httproute/cart", ".spec").contains("NotFound"));

    let binding = ["delete", "validatingadmissionpolicybinding", "late"];
    cluster.ask(&binding).unwrap();
    until("routes are written again", || is_taken().then_some(()));
    let told = mesh.says(&["apply", "-f", "mesh"], &["+ HTTPRoute shop/cart"]);
    assert!(!told.contains("AccessPolicy"), "{told}");
}

#[test]
fn no_other_cluster_is_changed_than_the_one_that_is_followed() {
    let mesh = Changed::new();
    let other = Cluster::start(Tier::Api).unwrap();
    other.define_all().unwrap();
    other.apply(SHOP).unwrap();
    mesh.write("policy.yaml", POLICY);
    for arguments in [
        &["apply", "-f", "mesh"][..],
        &["delete", "Service/cart", "-n", "shop"],
    ] {
        let refused = told_by(&mesh.world, other.kubeconfig(), arguments);
        for word in ["K027", "nothing was changed", "another cluster"] {
            assert!(refused.contains(word), "{refused}");
        }
        let refused = told(&mesh.world, arguments);
        assert!(refused.contains("K026"), "{refused}");
    }
    // Nor does the control plane keep what nobody would see there.
    let question = serde_json::json!({
        "version": 1, "ask": "apply", "files": [{"path": "policy.yaml", "text": POLICY}], "namespace": "default", "set": "mesh", "prune": false,
    });
    let socket = mesh.world.folder().join("control.sock");
    let mut stream = UnixStream::connect(socket).unwrap();
    writeln!(stream, "{question}").unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    assert!(answer.contains("K026"), "{answer}");
    let listed = other.ask(&["get", "accesspolicies,services", "-n", "shop", "-o", "name"]);
    assert_eq!(listed.unwrap().trim(), "service/cart");
}
