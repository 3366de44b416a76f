//! A mesh in a cluster whose network holds NetworkPolicies, on a real node.

use leno_cluster::{Cluster, POD, Placement};
use leno_e2e::ended;

use crate::sidecar::{check, get, until_ready};

/// A server of two ports, two who call it, and one without a proxy. web may call the one, mail the other.
fn shop(placement: Placement) -> String {
    let deployment = |name: &str, namespace: &str, containers: &str| {
        format!(
            "---\n{{apiVersion: v1, kind: ServiceAccount, metadata: {{name: {name}, namespace: {namespace}}}}}\n\
             ---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
             spec:\n  replicas: 1\n  selector: {{matchLabels: {{app: {name}}}}}\n  template:\n    \
             metadata: {{labels: {{app: {name}}}}}\n    spec:\n      serviceAccountName: {name}\n      \
             terminationGracePeriodSeconds: 2\n      containers:\n{containers}"
        )
    };
    let serves = |name: &str, port: u16| {
        format!(
            "      - {{name: {name}, image: '{POD}', args: [serve, '{port}'], \
             ports: [{{name: {name}, containerPort: {port}}}], \
             readinessProbe: {{periodSeconds: 1, httpGet: {{path: /live, port: {name}}}}}}}\n"
        )
    };
    let mode = placement.name();
    let namespace = |name: &str, labels: &str| {
        format!(
            "---\n{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}, labels: {{{labels}}}}}}}\n"
        )
    };
    [
        namespace("shop", &format!("leno.dev/dataplane-mode: {mode}")),
        namespace("outside", "team: none"),
        deployment("cart", "shop", &(serves("app", 8080) + &serves("admin", 9090))),
        deployment("web", "shop", &serves("app", 8080)),
        deployment("mail", "shop", &serves("app", 8080)),
        deployment("stranger", "outside", &serves("app", 8080)),
        "---\napiVersion: v1\nkind: Service\nmetadata: {name: cart, namespace: shop}\n\
         spec:\n  selector: {app: cart}\n  \
         ports: [{name: http, port: 80, targetPort: app}, {name: http-admin, port: 81, targetPort: admin}]\n"
            .to_owned(),
        POLICIES.to_owned(),
    ]
    .concat()
}

/// As they were written before there was a mesh.
const POLICIES: &str = "\
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: nobody, namespace: shop}
spec: {podSelector: {}, policyTypes: [Ingress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: cart, namespace: shop}
spec:
  podSelector: {matchLabels: {app: cart}}
  ingress:
  - {from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: app}]}
  - {from: [{podSelector: {matchLabels: {app: mail}}}], ports: [{port: 9090}]}
";

/// What opens the mesh's port for those who are let in anyway, as the page of C205 has it.
const MESH: &str = "\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: mesh, namespace: shop}
spec:
  podSelector: {}
  policyTypes: [Ingress]
  ingress: [{ports: [{port: 15008}]}]
";

/// web and mail call one port of cart each, and nobody anything else but what asks for names, and the mesh.
const OUT: &str = "\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: out, namespace: shop}
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress:
  - {ports: [{port: 53, protocol: UDP}, {port: 53}]}
  - {to: [{podSelector: {}}], ports: [{port: 15008}]}
  - {to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: leno-system}}}], ports: [{port: 15012}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: out-web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {matchLabels: {app: cart}}}], ports: [{port: 8080}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: out-mail, namespace: shop}
spec:
  podSelector: {matchLabels: {app: mail}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {matchLabels: {app: cart}}}], ports: [{port: admin}]}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: cart, namespace: shop}
spec:
  podSelector: {matchLabels: {app: cart}}
  ingress:
  - {from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: app}, {port: 9090}]}
  - {from: [{podSelector: {matchLabels: {app: mail}}}], ports: [{port: 9090}]}
";

/// A client that waits for 10 s is told what became of its call.
const SOON: &str = "\
apiVersion: leno.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: cart, namespace: shop}
spec: {targetRefs: [{kind: Service, name: cart}], timeouts: {connect: 1s}}
";

const CART: &str = "http://cart.shop:80/items";
const ADMIN: &str = "http://cart.shop:81/items";

fn the_mesh_and_the_network_hold(placement: Placement) {
    let mut cluster = Cluster::for_leno().unwrap();
    cluster.hold_policies().unwrap();
    cluster.apply(&shop(placement)).unwrap();
    let until = |what: &str, from: (&str, &str), url: &str, expect: &str| {
        let mut told = String::new();
        let said = cluster.until(what, || {
            told = get(&cluster, from.0, from.1, url);
            told.contains(expect).then_some(())
        });
        assert!(said.is_ok(), "{what}: {told}\n{}", check(&cluster));
    };
    let ready = || {
        for deployment in ["cart", "web", "mail"] {
            until_ready(&cluster, "shop", deployment);
        }
    };
    let (web, mail, stranger) = (("shop", "web"), ("shop", "mail"), ("outside", "stranger"));
    let pre = || {
        let looked = ended(&mut cluster.leno(&["check", "--pre"])).unwrap();
        looked.out
    };

    // Without a mesh, the network holds them, and what would stand in its way is said before it comes.
    ready();
    until_ready(&cluster, "outside", "stranger");
    until("web is let in", web, CART, "cart-");
    until("mail is let in to the other port", mail, ADMIN, "cart-");
    until("web is not", web, ADMIN, "timed out");
    until("a stranger is not", stranger, CART, "timed out");
    let looked = pre();
    assert!(
        looked.contains("K013 tunnel-shut          NetworkPolicy shop/cart"),
        "{looked}"
    );
    assert!(
        looked.contains("it does not allow ingress to port 15008"),
        "{looked}"
    );

    // Its pods come up, for their nodes check them all the same; and it does not get through.
    cluster.install_leno(placement).unwrap();
    cluster.apply(SOON).unwrap();
    let anew = || {
        let restart = ["rollout", "restart", "-n", "shop", "deployment"];
        cluster.ask(&restart).unwrap();
        ready();
    };
    anew();
    until(
        "the network drops the tunnel",
        web,
        CART,
        ":15008 could not be reached",
    );
    let checked = check(&cluster);
    assert!(checked.contains("C205 network-shuts-tunnel"), "{checked}");

    // With its port open, the mesh holds who comes to which port, and the network what comes in plain.
    cluster.apply(MESH).unwrap();
    until("web gets in by the mesh", web, CART, "cart-");
    until("mail gets in to the other port", mail, ADMIN, "cart-");
    for (from, url) in [(web, ADMIN), (mail, CART)] {
        let told = get(&cluster, from.0, from.1, url);
        assert!(
            told.contains("NetworkPolicy shop/"),
            "{from:?} {url}: {told}"
        );
    }
    until("a stranger stays outside", stranger, CART, "timed out");
    let checked = check(&cluster);
    assert!(!checked.contains("C205"), "{checked}");
    let looked = pre();
    assert!(!looked.contains("K013"), "{looked}");

    let path = "jsonpath={.items[0].status.podIP}";
    let address = cluster.ask(&["get", "pods", "-n", "outside", "-o", path]);
    let past = format!("http://{}:8080/", address.unwrap());
    until("web gets out past the mesh", web, &past, "stranger-");

    // What goes out is held, too: new proxies get their certificates, and pods become ready.
    cluster.apply(OUT).unwrap();
    anew();
    until("web gets out by the mesh", web, CART, "cart-");
    until("mail gets out to the other port", mail, ADMIN, "cart-");
    // By cart web is let in there by now.
    until(
        "web is not let out to the other port",
        web,
        ADMIN,
        "NetworkPolicy shop/out",
    );
    let told = get(&cluster, "shop", "web", &past);
    assert!(!told.contains("stranger-"), "{told}");
    let (checked, looked) = (check(&cluster), pre());
    assert!(!checked.contains("C20"), "{checked}");
    assert!(!looked.contains("K013"), "{looked}");
}

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn a_network_holds_policies_beside_proxies_in_pods() {
    the_mesh_and_the_network_hold(Placement::Sidecar);
}

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn a_network_holds_policies_beside_proxies_of_nodes() {
    the_mesh_and_the_network_hold(Placement::Node);
}
