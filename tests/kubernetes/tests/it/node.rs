//! A node that runs pods.

use leno_cluster::{Cluster, Node, POD, Tier};

use crate::rest;

#[test]
#[ignore = "takes a node of Kubernetes: cargo xtask kubernetes --test"]
fn pods_are_reached_by_their_service_by_exec_and_by_logs_and_nothing_is_left() {
    let settings = rest::settings();
    let cluster = Cluster::start(Tier::Node).unwrap();
    let folder = cluster.folder().to_owned();
    cluster.apply(&shop()).unwrap();
    for pod in ["pod/web", "pod/cart"] {
        let wait = ["wait", "--for=condition=Ready", "--timeout=60s", pod];
        cluster.ask(&wait).unwrap();
    }
    let service = cluster.ask(&["get", "service", "cart", "-o", "jsonpath={.spec.clusterIP}"]);
    let url = format!("http://{}:80/items", service.unwrap());
    let asked = cluster.until("the Service leads to its pod", || {
        cluster
            .ask(&["exec", "web", "--", "/pod", "get", &url])
            .ok()
    });
    assert_eq!(asked.unwrap(), "cart\n");
    let named = ["exec", "web", "--", "/pod", "get", "http://cart:80/named"];
    assert_eq!(cluster.ask(&named).unwrap(), "cart\n");
    let mut from_node = cluster.inside("curl");
    let from_node = from_node
        .args(["--silent", "--fail", &url])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&from_node.stdout), "cart\n");
    let logs = cluster.ask(&["logs", "cart"]).unwrap();
    assert!(logs.contains("serving 8080\n"), "{logs}");
    assert!(logs.contains("GET /items HTTP/1.1\n"), "{logs}");
    cluster.check().unwrap();
    assert!(rest::of(&folder).len() > 20);
    drop(cluster);
    assert_eq!(rest::of(&folder), [""; 0]);
    assert_eq!(rest::settings(), settings);
}

#[test]
#[ignore = "takes two nodes of Kubernetes: cargo xtask kubernetes --test"]
fn pods_of_two_nodes_reach_each_other_and_nothing_is_left() {
    let cluster = Cluster::start(Tier::TwoNodes).unwrap();
    let folders = cluster.folders();
    assert_eq!(folders.len(), 2);
    cluster.apply(&shop_on_two_nodes()).unwrap();
    for pod in ["pod/web", "pod/cart"] {
        let wait = ["wait", "--for=condition=Ready", "--timeout=60s", pod];
        cluster.ask(&wait).unwrap();
    }
    let addresses = "jsonpath={.status.podIPs[*].ip}";
    let addresses = cluster.ask(&["get", "pod", "cart", "-o", addresses]);
    let addresses = addresses.unwrap();
    let [ip, ip6] = addresses.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{addresses}");
    };
    assert!(ip.starts_with("10.244.1."), "{ip}");
    assert!(ip6.starts_with("fd00:244:0:1:"), "{ip6}");
    for host in ["cart:80", &format!("{ip}:8080"), &format!("[{ip6}]:8080")] {
        let url = format!("http://{host}/items");
        let asked = || {
            cluster
                .ask(&["exec", "web", "--", "/pod", "get", &url])
                .ok()
        };
        assert_eq!(cluster.until(&url, asked).unwrap(), "cart\n");
    }
    // The other way round, through what asks a kubelet elsewhere.
    let named = ["exec", "cart", "--", "/pod", "get", "http://web:80/"];
    assert_eq!(cluster.ask(&named).unwrap(), "web\n");
    cluster.check().unwrap();
    drop(cluster);
    for folder in folders {
        assert_eq!(rest::of(&folder), [""; 0]);
    }
}

/// Two pods that serve behind Services, one on each node.
fn shop_on_two_nodes() -> String {
    let pod = |name: &str, node: Node| {
        format!(
            "
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  nodeSelector: {{kubernetes.io/hostname: {}}}
  terminationGracePeriodSeconds: 0
  containers: [{{name: app, image: '{POD}', args: [serve, '8080']}}]
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{selector: {{app: {name}}}, ports: [{{port: 80, targetPort: 8080}}]}}
",
            node.name()
        )
    };
    [pod("web", Node::First), pod("cart", Node::Second)].concat()
}

/// A pod that asks, and one that serves behind a Service, on a port that a kubelet looks at.
fn shop() -> String {
    format!(
        "
apiVersion: v1
kind: Pod
metadata: {{name: web}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{{name: web, image: '{POD}', args: [pause]}}]
---
apiVersion: v1
kind: Pod
metadata: {{name: cart, labels: {{app: cart}}}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: cart
    image: '{POD}'
    args: [serve, '8080']
    readinessProbe: {{httpGet: {{path: /ready, port: 8080}}, periodSeconds: 1}}
    resources: {{limits: {{cpu: 500m, memory: 64Mi}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: cart}}
spec:
  selector: {{app: cart}}
  ports: [{{port: 80, targetPort: 8080}}]
"
    )
}
