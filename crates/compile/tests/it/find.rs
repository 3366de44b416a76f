//! Names as people and applications use them.

use leno_compile::{Destination, Mesh};
use leno_model::{Namespace, Network};

use crate::cases::compiled;

const MESH: &str = r#"
{apiVersion: v1, kind: Service, metadata: {name: cart}, spec: {clusterIP: 10.96.0.1, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: other}, spec: {clusterIP: "fd00::1", ports: [{port: 80}]}}
---
{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: web}, spec: {ports: [{port: 3000}], instances: [{address: 10.0.0.1}]}}
---
{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: api}, spec: {ports: [{port: 4000}], instances: [{address: 10.0.0.1}, {address: 10.0.0.2, network: east}]}}
---
{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: db, namespace: other}}
"#;

fn mesh() -> Mesh {
    let (_, mesh, notes) = compiled("mesh.yaml", MESH.as_bytes());
    assert!(notes.is_empty(), "{notes:?}");
    mesh
}

#[test]
fn a_workload_is_found_by_its_name() {
    let mesh = mesh();
    for (text, expect) in [
        ("web", "shop/web"),
        ("shop/web", "shop/web"),
        ("other/db", "other/db"),
        ("api", "shop/api-10-0-0-1"),
        ("api-10-0-0-2", "shop/api-10-0-0-2"),
        ("wbe", "no workload wbe in shop; did you mean web?"),
        ("db", "no workload db in shop; did you mean other/db?"),
        ("other/x", "no workload x in other"),
        ("Not a name", "no workload Not a name in shop"),
    ] {
        let found = match mesh.workload(text, &Namespace::new("shop").unwrap()) {
            Ok(instance) => instance.workload.id.to_string(),
            Err(missing) => told(&missing),
        };
        assert_eq!(found, expect, "{text}");
    }
}

#[test]
fn a_host_is_found_as_kubernetes_finds_it() {
    let mesh = mesh();
    for (from, host, expect) in [
        ("shop", "cart", "shop/cart"),
        ("other", "cart", "other/cart"),
        ("shop", "CART", "shop/cart"),
        ("shop", "cart.other", "other/cart"),
        ("shop", "cart.other.svc", "other/cart"),
        ("shop", "cart.other.svc.cluster.local", "other/cart"),
        ("shop", "cart.other.svc.cluster.local.", "other/cart"),
        ("shop", "web", "shop/web"),
        (
            "shop",
            "cart.",
            "no Service cart. in shop; did you mean cart?",
        ),
        (
            "shop",
            "cart.other.",
            "no Service cart.other. in shop; did you mean cart.other?",
        ),
        (
            "shop",
            "cart.other.pod",
            "no Service cart.other.pod in shop",
        ),
        (
            "shop",
            "crat",
            "no Service crat in shop; did you mean cart?",
        ),
        (
            "third",
            "web",
            "no Service web in third; did you mean web.shop?",
        ),
        ("shop", "shop.example", "no Service shop in example"),
        ("shop", "", "no Service  in shop"),
        ("shop", "10.96.0.1", "shop/cart"),
        ("shop", "[fd00::1]", "other/cart"),
        ("shop", "fd00::1", "other/cart"),
        ("shop", "::ffff:10.96.0.1", "shop/cart"),
        ("shop", "10.96.0.2", "no address 10.96.0.2 in default"),
    ] {
        assert_eq!(
            destination(&mesh, from, host, 80, "default"),
            expect,
            "{host} from {from}"
        );
    }
}

#[test]
fn instances_on_one_address_are_told_apart_by_their_ports() {
    let mesh = mesh();
    for (host, port, network, expect) in [
        ("10.0.0.1", 3000, "default", "instance shop/web"),
        ("10.0.0.1", 4000, "default", "instance shop/api-10-0-0-1"),
        ("10.0.0.1", 5000, "default", "instance shop/api-10-0-0-1"),
        ("10.0.0.2", 4000, "east", "instance shop/api-10-0-0-2"),
        (
            "10.0.0.2",
            4000,
            "default",
            "no address 10.0.0.2 in default",
        ),
    ] {
        assert_eq!(
            destination(&mesh, "shop", host, port, network),
            expect,
            "{host}:{port}"
        );
    }
}

fn destination(mesh: &Mesh, from: &str, host: &str, port: u16, network: &str) -> String {
    let (from, network) = (
        Namespace::new(from).unwrap(),
        Network::new(network).unwrap(),
    );
    match mesh.destination(host, port, &from, &network) {
        Ok(Destination::Service(service)) => service.name.to_string(),
        Ok(Destination::Instance(instance)) => format!("instance {}", instance.workload.id),
        Err(missing) => told(&missing),
    }
}

fn told(missing: &leno_compile::NotFound) -> String {
    match &missing.suggestion {
        Some(suggestion) => format!("{missing}; {suggestion}"),
        None => missing.to_string(),
    }
}
