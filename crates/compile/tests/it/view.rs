//! What one proxy gets of a mesh.

use std::collections::BTreeSet;
use std::sync::Arc;

use leno_compile::{Called, Known, ViewOf};
use leno_model::view::{EndpointSlice, State, View, WorkloadId};
use leno_model::{Name, Namespace, Network};

use crate::cases::compiled;

const MESH: &str = r#"
{apiVersion: leno.dev/v1alpha1, kind: Mesh, metadata: {name: m}, spec: {unknownDestinations: Deny}}
---
{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: web, namespace: front}, spec: {ports: [{port: 3000}], instances: [{address: 10.0.0.1}]}}
---
{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: cart}, spec: {locality: {zone: a}, ports: [{port: 80, name: http}], instances: [{address: 10.0.0.2}]}}
---
{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: started-later}, spec: {ports: [{port: 80}], run: {command: x}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: a, namespace: front}
spec:
  parentRefs: [{group: "", kind: Service, name: cart, namespace: shop}]
  rules: [{backendRefs: [{name: cart, namespace: shop, port: 80}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: b, namespace: back}
spec:
  parentRefs: [{group: "", kind: Service, name: cart, namespace: shop}]
  rules: [{backendRefs: [{name: cart, namespace: shop, port: 80}]}]
"#;

fn id(namespace: &str, name: &str) -> WorkloadId {
    WorkloadId {
        namespace: Namespace::new(namespace).unwrap(),
        name: Name::new(name).unwrap(),
    }
}

fn consumers(view: &View) -> Vec<String> {
    let cart = view
        .services
        .values()
        .find(|service| service.name.to_string() == "shop/cart");
    let consumers = cart.unwrap().ports[&80].consumers.keys();
    consumers.map(ToString::to_string).collect()
}

#[test]
fn a_proxy_sees_its_own_workloads_and_the_routes_of_their_namespaces() {
    let (_, mesh, _) = compiled("mesh.yaml", MESH.as_bytes());
    for (workloads, expect) in [
        (vec![id("front", "web")], vec!["front"]),
        (vec![id("shop", "cart")], vec![]),
        (
            vec![id("front", "web"), id("shop", "cart"), id("no", "body")],
            vec!["front"],
        ),
    ] {
        let workloads = workloads.into_iter().collect::<BTreeSet<_>>();
        let view = mesh.view(ViewOf {
            workloads: &workloads,
        });
        assert_eq!(consumers(&view), expect);
        assert!(view.workloads.keys().all(|id| workloads.contains(id)));
        assert_eq!(view.services.len(), 3);
        assert_eq!(view.settings, mesh.settings);
    }
}

#[test]
fn an_endpoint_has_an_address_and_a_tunnel_once_its_proxy_says_so() {
    let (_, mut mesh, _) = compiled("mesh.yaml", MESH.as_bytes());
    let tunnel = "192.0.2.1:15008".parse().unwrap();
    mesh.set_tunnel(&id("shop", "cart"), Some(tunnel));
    mesh.set_tunnel(&id("no", "body"), Some(tunnel));
    let view = mesh.view(ViewOf {
        workloads: &BTreeSet::new(),
    });
    let endpoints = view.endpoints.iter().flat_map(|(port, slices)| {
        let endpoints = slices.iter().flat_map(|slice| slice.endpoints());
        endpoints.map(move |endpoint| (port.to_string(), endpoint.clone()))
    });
    let endpoints = endpoints.collect::<Vec<_>>();
    let [(front, web), (shop, cart)] = endpoints.as_slice() else {
        panic!("what has no address is no endpoint: {endpoints:?}");
    };
    assert_eq!(
        (front.as_str(), shop.as_str()),
        ("front/web:3000", "shop/cart:80")
    );
    assert_eq!((web.tunnel, cart.tunnel), (None, Some(tunnel)));
    assert_eq!(cart.address, "10.0.0.2:80".parse().unwrap());
    assert_eq!(
        cart.identities[0].to_string(),
        "spiffe://m.local/ns/shop/sa/cart"
    );
    assert_eq!(cart.locality.zone.as_deref(), Some("a"));
    assert_eq!(cart.state, State::Ready);
}

#[test]
fn many_endpoints_come_in_slices() {
    let instances = (0..250).map(|n| format!("{{address: 10.0.{}.{}}}", n / 100, n % 100));
    let instances = instances.collect::<Vec<_>>().join(", ");
    let yaml = format!(
        "{{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {{name: cart}}, \
         spec: {{ports: [{{port: 80}}], instances: [{instances}]}}}}"
    );
    let (_, mesh, _) = compiled("mesh.yaml", yaml.as_bytes());
    let view = mesh.view(ViewOf {
        workloads: &BTreeSet::new(),
    });
    let slices = view.endpoints.values().next().unwrap();
    let sizes = slices
        .iter()
        .map(|slice| slice.endpoints().len())
        .collect::<Vec<_>>();
    assert_eq!(sizes, [EndpointSlice::MOST, EndpointSlice::MOST, 50]);
}

#[test]
fn proxies_know_together_what_each_decides_by() {
    let (_, mut mesh, _) = compiled("mesh.yaml", MESH.as_bytes());
    mesh.set_tunnel(&id("shop", "cart"), "192.0.2.1:15008".parse().ok());
    let of = |namespace: &str, name: &str| {
        mesh.view(ViewOf {
            workloads: &[id(namespace, name)].into(),
        })
    };
    let (web, cart) = (of("front", "web"), of("shop", "cart"));
    let own = BTreeSet::from([id("front", "web")]);
    let again = |known: &Known| known.mesh.view(ViewOf { workloads: &own });

    let both = Known::of(&web, &[Arc::new(cart)]);
    assert_eq!(again(&both), web);
    assert_eq!(both.unasked, BTreeSet::new());
    let other = both.mesh.workload("cart", &Namespace::new("shop").unwrap());
    let other = &other.unwrap().workload;
    assert_eq!(*other, mesh.instances[&id("shop", "cart")].workload);

    let alone = Known::of(&web, &[]);
    assert_eq!(again(&alone), web);
    assert_eq!(alone.unasked, [id("shop", "cart")].into());
    for place in ["10.0.0.1", "10.0.0.2"] {
        let called = Called {
            network: Network::default_network(),
            address: place.parse().unwrap(),
            by: None,
        };
        assert_eq!(alone.mesh.addresses[&called], mesh.addresses[&called]);
    }
}
