//! Leno as `leno proxy --static` runs it: everything that it records and decides by default.

use crate::rig::course::Post;

/// What stands in its file.
pub(crate) fn text(post: &Post) -> String {
    let Post {
        listen,
        takes,
        next,
        gives,
        origin,
        workers,
        ..
    } = post;
    let who = if takes.secured { "cart" } else { "web" };
    let mut text =
        format!("resources: [mesh.yaml]\nworkers: {workers}\nworkloads:\n- name: shop/{who}\n");
    if takes.secured || gives.secured {
        text += &format!("  key: certs/{who}.key\n  chain: certs/{who}.pem\n");
    }
    if takes.secured {
        return text + &format!("bundle: certs/roots.pem\ntunnel: 127.0.0.1:{listen}\n");
    }
    text +=
        &format!("  upstreams: [{{service: cart, port: {origin}, listen: 127.0.0.1:{listen}}}]\n");
    if gives.secured {
        text += &format!(
            "bundle: certs/roots.pem\ntunnels: [{{workload: shop/cart, address: 127.0.0.1:{next}}}]\n"
        );
    }
    text
}

/// A strict mesh in which rules admit the calls.
pub(crate) const MESH: &str = "\
apiVersion: leno.dev/v1alpha1
kind: Mesh
metadata: {name: shop}
spec: {trustDomain: shop.local, mtls: Strict, default: Deny}
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: web, namespace: shop}
spec:
  ports: [{port: 3000, protocol: HTTP}]
  instances: [{address: 127.0.0.2}]
---
apiVersion: leno.dev/v1alpha1
kind: MeshWorkload
metadata: {name: cart, namespace: shop}
spec:
  ports:
  - {port: 8080, protocol: HTTP}
  - {port: 8083, protocol: HTTP2}
  - {port: 8084, protocol: TCP}
  - {port: 8085, protocol: GRPC}
  instances: [{address: 127.0.0.1}]
---
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: cart, namespace: shop}
spec:
  targetRefs: [{kind: Service, name: cart}]
  rules:
  - callers: [{identity: shop/web}]
    requests: [{methods: [GET, POST], ports: [8080, 8083, 8085]}, {ports: [8084]}]
";
