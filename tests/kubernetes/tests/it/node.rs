//! A node that runs pods.

use leno_cluster::{Cluster, POD, Tier};

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
