//! A namespace may affect what it owns and its own clients' calls, and nothing else: whatever `mallory`
//! writes, the proxies of `shop` decide as if it were not there; or it brings an error to an object of
//! others, and with that no revision that mallory could make is accepted.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use leno_compile::{Mesh, ViewOf, compile};
use leno_model::view::{View, WorkloadId};
use leno_model::{Code, Dice, Name, Namespace, Network, Notes, Severity};
use leno_resources::Resources;
use leno_traffic::{Destination, Host, Scope, Table};

use crate::drawn::below;

/// What shop wrote, and bank, which lets shop in.
const SHOP: &str = r#"
{apiVersion: leno.dev/v1alpha1, kind: Mesh, metadata: {name: m}, spec: {mtls: Strict, default: Deny}}
---
{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: web, namespace: shop, labels: {app: web}}, spec: {instances: [{name: web, address: 10.0.0.1}]}}
---
{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: cart, namespace: shop, labels: {app: cart}}, spec: {ports: [{port: 8080, name: http}, {port: 9090, name: tcp}], instances: [{name: cart-1, address: 10.0.0.2}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: shop}, spec: {selector: {app: cart}, clusterIP: 10.1.0.1, ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp, port: 90, targetPort: 9090}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: vault, namespace: bank}, spec: {selector: {app: vault}, clusterIP: 10.1.0.2, ports: [{name: http, port: 80}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: cart, namespace: shop}
spec:
  parentRefs: [{group: "", kind: Service, name: cart, port: 80}]
  rules: [{matches: [{path: {value: /items}}], backendRefs: [{name: cart, port: 80}, {name: vault, namespace: bank, port: 80}]}]
---
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: cart, namespace: shop}
spec: {targetRefs: [{kind: Service, name: cart}], rules: [{callers: [{identity: shop/web}], requests: [{methods: [GET]}]}]}
---
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: out, namespace: shop}
spec: {outbound: {default: Deny, rules: [{hosts: [api.stripe.com], ports: [443]}]}}
---
apiVersion: leno.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: cart, namespace: shop}
spec: {targetRefs: [{kind: Service, name: cart}], timeouts: {request: 3s}}
---
apiVersion: leno.dev/v1alpha1
kind: TelemetryPolicy
metadata: {name: cart, namespace: shop}
spec: {targetRefs: [{kind: Service, name: cart}], redact: ["[0-9]+"]}
"#;

/// Objects of mallory, one for each field that can name something elsewhere.
const HOSTILE: &[&str] = &[
    // Names that are shop's, in mallory's namespace.
    "{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: mallory}, spec: {selector: {app: cart}, ports: [{port: 80}]}}",
    "{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: cart, namespace: mallory, labels: {app: cart}}, spec: {ports: [{port: 8080}], instances: [{name: cart-1, address: 10.9.0.1}]}}",
    "{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: web, namespace: mallory, labels: {app: web}}, spec: {serviceAccount: web, ports: [{port: 80}], instances: [{name: web, address: 10.9.0.2}]}}",
    // Addresses that are shop's.
    "{apiVersion: v1, kind: Service, metadata: {name: thief, namespace: mallory}, spec: {clusterIP: 10.1.0.1, ports: [{port: 80}]}}",
    "{apiVersion: v1, kind: Service, metadata: {name: thief, namespace: mallory}, spec: {clusterIPs: [10.1.0.1], ports: [{port: 80}]}}",
    "{apiVersion: v1, kind: Service, metadata: {name: squatter, namespace: mallory}, spec: {clusterIP: 10.0.0.2, ports: [{port: 8080}]}}",
    "{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: twin, namespace: mallory}, spec: {ports: [{port: 8080, name: http}, {port: 9090, name: tcp}], instances: [{name: twin, address: 10.0.0.2}]}}",
    "{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: virtual, namespace: mallory}, spec: {ports: [{port: 80}], instances: [{name: virtual, address: 10.1.0.1}]}}",
    "{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: as-web, namespace: mallory}, spec: {instances: [{name: as-web, address: 10.0.0.1}]}}",
    "{apiVersion: v1, kind: Service, metadata: {name: alias, namespace: mallory}, spec: {type: ExternalName, externalName: cart.shop.svc.cluster.local}}",
    // Addresses outside the mesh.
    "{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: drop, namespace: mallory, labels: {app: drop}}, spec: {ports: [{port: 443, protocol: TCP}], instances: [{name: drop, address: 203.0.113.5}]}}",
    "{apiVersion: v1, kind: Service, metadata: {name: drop, namespace: mallory}, spec: {selector: {app: drop}, clusterIP: 203.0.113.6, ports: [{port: 443}]}}",
    "{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: mallory}, spec: {selector: {app: drop}, clusterIP: 203.0.113.5, ports: [{port: 443}, {port: 22}]}}",
    // Routes about shop's services.
    "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r, namespace: mallory}, spec: {parentRefs: [{group: '', kind: Service, name: cart, namespace: shop}], rules: [{backendRefs: [{name: cart, port: 80}]}]}}",
    "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: cart, namespace: mallory, creationTimestamp: '2020-01-01T00:00:00Z'}, spec: {parentRefs: [{group: '', kind: Service, name: cart, namespace: shop, port: 80}], rules: [{matches: [{path: {value: /items}}], filters: [{type: RequestMirror, requestMirror: {backendRef: {name: cart, port: 80}}}], backendRefs: [{name: cart, namespace: shop, port: 80}]}]}}",
    "{apiVersion: gateway.networking.k8s.io/v1, kind: GRPCRoute, metadata: {name: r, namespace: mallory}, spec: {parentRefs: [{group: '', kind: Service, name: cart, namespace: shop}], rules: [{backendRefs: [{name: cart, port: 80}]}]}}",
    "{apiVersion: gateway.networking.k8s.io/v1, kind: TCPRoute, metadata: {name: r, namespace: mallory}, spec: {parentRefs: [{group: '', kind: Service, name: cart, namespace: shop, port: 90}], rules: [{backendRefs: [{name: cart, port: 80}]}]}}",
    "{apiVersion: gateway.networking.k8s.io/v1, kind: TLSRoute, metadata: {name: r, namespace: mallory}, spec: {hostnames: [cart.shop], parentRefs: [{group: '', kind: Service, name: cart, namespace: shop, port: 90}], rules: [{backendRefs: [{name: cart, port: 80}]}]}}",
    "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: h, namespace: mallory}, spec: {hostnames: [cart.shop, '*.shop'], parentRefs: [{group: '', kind: Service, name: vault, namespace: bank}], rules: [{}]}}",
    // Grants that are not mallory's to give.
    "{apiVersion: gateway.networking.k8s.io/v1, kind: ReferenceGrant, metadata: {name: g, namespace: mallory}, spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop}], to: [{group: '', kind: Service, name: vault}]}}",
    "{apiVersion: gateway.networking.k8s.io/v1, kind: ReferenceGrant, metadata: {name: g, namespace: mallory}, spec: {from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: mallory}], to: [{group: '', kind: Service}]}}",
    // Policies about what is not mallory's.
    "{apiVersion: leno.dev/v1alpha1, kind: AccessPolicy, metadata: {name: p, namespace: mallory}, spec: {targetRefs: [{kind: Mesh, name: m}], default: Allow, mtls: Permissive}}",
    "{apiVersion: leno.dev/v1alpha1, kind: AccessPolicy, metadata: {name: p, namespace: mallory}, spec: {targetRefs: [{kind: Namespace, name: shop}], rules: [{callers: [{namespace: mallory}]}]}}",
    "{apiVersion: leno.dev/v1alpha1, kind: AccessPolicy, metadata: {name: p, namespace: mallory}, spec: {targetRefs: [{kind: Service, name: cart}, {kind: MeshWorkload, name: cart}, {kind: HTTPRoute, name: cart}], default: Allow, mtls: Permissive, rules: [{callers: [{namespace: mallory}]}]}}",
    "{apiVersion: leno.dev/v1alpha1, kind: AccessPolicy, metadata: {name: cart, namespace: mallory}, spec: {default: Allow, mtls: Permissive, rules: [{action: Deny}]}}",
    "{apiVersion: leno.dev/v1alpha1, kind: TrafficPolicy, metadata: {name: p, namespace: mallory}, spec: {targetRefs: [{kind: Mesh, name: m}, {kind: Namespace, name: shop}, {kind: Service, name: cart}], timeouts: {request: 1ms}, ports: [{port: 80, protocol: TCP}]}}",
    "{apiVersion: leno.dev/v1alpha1, kind: TrafficPolicy, metadata: {name: cart, namespace: mallory}, spec: {timeouts: {request: 1ms}, proxyProtocol: {send: V1}}}",
    "{apiVersion: leno.dev/v1alpha1, kind: TelemetryPolicy, metadata: {name: p, namespace: mallory}, spec: {targetRefs: [{kind: Mesh, name: m}, {kind: Namespace, name: shop}, {kind: Service, name: cart}, {kind: HTTPRoute, name: cart}], accessLog: {requestHeaders: [x-user]}, tracing: {sample: 100%}}}",
    "{apiVersion: leno.dev/v1alpha1, kind: TelemetryPolicy, metadata: {name: cart, namespace: mallory}, spec: {redact: ['.*'], tracing: {sample: 100%}}}",
    // Outbound calls of shop's workloads.
    "{apiVersion: leno.dev/v1alpha1, kind: AccessPolicy, metadata: {name: p, namespace: mallory}, spec: {targetRefs: [{kind: Mesh, name: m}, {kind: Namespace, name: shop}, {kind: Service, name: cart}, {kind: MeshWorkload, name: web}], outbound: {default: Allow, rules: [{hosts: ['*.mallory.example']}, {action: Deny, hosts: [api.stripe.com]}]}}}",
    "{apiVersion: leno.dev/v1alpha1, kind: AccessPolicy, metadata: {name: cart, namespace: mallory}, spec: {outbound: {default: Allow, rules: [{ipBlocks: [0.0.0.0/0]}]}}}",
    "{apiVersion: leno.dev/v1alpha1, kind: AccessPolicy, metadata: {name: cart, namespace: mallory}, spec: {outbound: {rules: [{hosts: [1]}]}}}",
    // People, whom nobody runs as.
    "{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: anna, namespace: leno-people}, spec: {instances: [{name: anna, address: 10.9.0.3}]}}",
    // Documents that cannot be read cost nobody else's.
    "{apiVersion: v1, kind: Service, metadata: {name: cart, namespace: mallory}, spec: {ports: [{port: x}]}}",
    "{apiVersion: leno.dev/v1alpha1, kind: AccessPolicy, metadata: {name: b, namespace: mallory}, spec: {targetRefs: [{kind: Service}], rules: []}}",
];

#[test]
fn no_object_of_another_namespace_changes_how_the_proxies_of_shop_decide() {
    let alone = Seen::beside("");
    let mut refused = 0;
    for hostile in HOSTILE {
        refused += u32::from(alone.changes(&Seen::beside(hostile), hostile));
    }
    assert_eq!(refused, 4, "as many take an address of others");
}

#[test]
fn nor_do_many_of_them_together_with_ones_that_are_drawn() {
    let alone = Seen::beside("");
    for seed in 0..150 {
        let mut dice = Dice::new(seed);
        let count = 1 + below(&mut dice, 8);
        let objects: Vec<_> = (0..count)
            .map(|_| match below(&mut dice, 2) {
                0 => HOSTILE[below(&mut dice, HOSTILE.len())].to_owned(),
                _ => drawn(&mut dice),
            })
            .collect();
        let hostile = objects.join("\n---\n");
        alone.changes(&Seen::beside(&hostile), &format!("seed {seed}\n{hostile}"));
    }
}

/// What may be written in a namespace to make an address outside the mesh one of the mesh, or open.
const OPENING: [&str; 4] = [
    "{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: drop, namespace: NS, labels: {app: drop}}, spec: {ports: [{port: 443, protocol: TCP}], instances: [{name: drop, address: 203.0.113.5}]}}",
    "{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: drop, namespace: NS, labels: {app: drop}}, spec: {ports: [{port: 443, protocol: HTTP}], instances: [{name: drop, address: 203.0.113.5}]}}\n---\n{apiVersion: v1, kind: Service, metadata: {name: drop, namespace: NS}, spec: {selector: {app: drop}, clusterIP: 203.0.113.6, ports: [{port: 443}]}}",
    "{apiVersion: leno.dev/v1alpha1, kind: AccessPolicy, metadata: {name: open, namespace: NS}, spec: {outbound: {default: Allow, rules: [{ipBlocks: [0.0.0.0/0]}]}}}",
    "{apiVersion: leno.dev/v1alpha1, kind: AccessPolicy, metadata: {name: open, namespace: NS}, spec: {targetRefs: [{kind: MeshWorkload, name: web}], outbound: {default: Allow, rules: [{ipBlocks: [203.0.113.5/32], ports: [443]}]}}}",
];

/// What a policy of the mesh denies by address, which shop's proxies never call in plain.
const CLOSED: &str = "{apiVersion: leno.dev/v1alpha1, kind: AccessPolicy, metadata: {name: closed, namespace: leno-system}, spec: {targetRefs: [{kind: Mesh, name: m}], outbound: {rules: [{action: Deny, ipBlocks: [203.0.113.0/24]}]}}}";

#[test]
fn no_object_of_a_namespace_opens_what_the_mesh_denies_by_address() {
    for opening in OPENING {
        for namespace in ["shop", "mallory"] {
            let opened = opening.replace("NS", namespace);
            let web = Web::of(&format!("{SHOP}---\n{CLOSED}\n---\n{opened}"));
            for address in OUTSIDE {
                let at = match web.destination(address) {
                    Destination::Endpoint(direct) if direct.endpoint.tunnel.is_none() => {
                        vec![direct.address]
                    }
                    Destination::Service(port) => {
                        let endpoints = port.slices().iter().flat_map(|slice| slice.endpoints());
                        endpoints.map(|endpoint| endpoint.address).collect()
                    }
                    Destination::Unknown(_) => {
                        let outside = web.table.outside(&web.id, address).unwrap();
                        assert!(outside.judge(&Host::default()).is_err(), "{opening}");
                        continue;
                    }
                    other => panic!("{address} is {}: {opening}", means(&other)),
                };
                assert!(!at.is_empty(), "{opening}");
                for address in at {
                    let denied = web.table.lets_call_plain(&web.id, address).unwrap_err();
                    assert_eq!(denied.code(), Code::R067, "{opening}");
                }
            }
        }
    }
}

/// The addresses that are opened.
const OUTSIDE: [SocketAddr; 2] = [
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 5)), 443),
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 6)), 443),
];

/// The workload `web` of shop, the mesh that it is in, and what its proxy holds of that.
struct Web {
    id: WorkloadId,
    mesh: Mesh,
    notes: Notes,
    table: Table,
}

impl Web {
    /// In the mesh of these objects.
    fn of(objects: &str) -> Self {
        let files = [("all.yaml", objects.as_bytes().to_vec())];
        let (resources, _) = Resources::read(files, &Namespace::new("shop").unwrap());
        let (mesh, notes) = compile(&resources);
        let id = id("shop", "web");
        let view = mesh.view(ViewOf {
            workloads: &BTreeSet::from([id.clone()]),
        });
        Self {
            id,
            table: Table::new(Arc::new(view), Scope::Whole),
            mesh,
            notes,
        }
    }

    /// What an address is to its proxy.
    fn destination(&self, address: SocketAddr) -> Destination<'_> {
        let network = Network::default_network();
        self.table
            .destination(&self.id.namespace, &network, address)
    }

    /// Of what of the mesh it is where a call is imagined.
    fn imagined(&self, address: SocketAddr) -> Option<String> {
        let (ip, network) = (address.ip().to_string(), Network::default_network());
        let namespace = &self.id.namespace;
        let found = self
            .mesh
            .destination(&ip, address.port(), namespace, &network);
        Some(match found.ok()? {
            leno_compile::Destination::Service(service) => service.name.to_string(),
            leno_compile::Destination::Instance(instance) => instance.workload.id.to_string(),
        })
    }
}

#[test]
fn what_a_namespace_declares_outside_takes_the_calls_of_its_own_workloads() {
    let is_unknown = |namespace: &str| {
        let declared = OPENING[1].replace("NS", namespace);
        let web = Web::of(&format!("{SHOP}---\n{declared}"));
        OUTSIDE.map(|address| {
            let is_unknown = matches!(web.destination(address), Destination::Unknown(_));
            let imagined = web.imagined(address);
            assert_eq!(
                imagined.is_none(),
                is_unknown,
                "one is told what the other does"
            );
            is_unknown
        })
    };
    assert_eq!(is_unknown("shop"), [false; 2]);
    assert_eq!(is_unknown("leno-system"), [false; 2]);
    assert_eq!(is_unknown("mallory"), [true; 2]);
}

#[test]
fn what_two_namespaces_declare_outside_is_to_each_its_own() {
    let takes = |kind: &str, namespace: &str| {
        let what = match kind {
            "Service" => {
                "{apiVersion: v1, kind: Service, metadata: {name: thief, namespace: NS}, spec: {clusterIPs: [203.0.113.5, 203.0.113.6], ports: [{port: 443}]}}"
            }
            _ => {
                "{apiVersion: leno.dev/v1alpha1, kind: MeshWorkload, metadata: {name: thief, namespace: NS}, spec: {ports: [{port: 443}], instances: [{address: 203.0.113.5}, {address: 203.0.113.6}]}}"
            }
        };
        what.replace("NS", namespace)
    };
    let declared = format!("{SHOP}---\n{}", OPENING[1].replace("NS", "shop"));
    let seen = |beside: &str| {
        let web = Web::of(&format!("{declared}\n---\n{beside}"));
        let is_taken = web.notes.iter().any(|note| note.code == Code::C122);
        assert!(!is_taken, "each has its own callers: {beside}");
        OUTSIDE.map(|address| {
            let imagined = web.imagined(address).unwrap();
            format!("{}; imagined {imagined}", means(&web.destination(address)))
        })
    };
    let alone = seen("");
    assert_eq!(
        alone,
        [
            "shop/drop of shop/drop:443 by None; imagined shop/drop",
            "the service shop/drop:443; imagined shop/drop",
        ]
    );
    // Before and after it by name, and where it is said for all.
    for namespace in ["mallory", "zoe", "leno-system"] {
        for kind in ["Service", "MeshWorkload"] {
            assert_eq!(seen(&takes(kind, namespace)), alone, "{kind} {namespace}");
        }
    }
}

/// An object of mallory whose every reference is drawn from names and addresses of all.
fn drawn(dice: &mut Dice) -> String {
    let mut pick = |from: &[&'static str]| from[below(dice, from.len())];
    let name = pick(&["cart", "web", "vault", "evil", "cart-1"]);
    let other = pick(&["cart", "web", "vault", "evil"]);
    let of = pick(&["shop", "bank", "mallory", "leno-system"]);
    let port = pick(&["80", "90", "8080", "9090"]);
    let ip = pick(&["10.0.0.1", "10.0.0.2", "10.1.0.1", "10.1.0.2", "10.9.0.9"]);
    let kind = pick(&["Mesh", "Namespace", "Service", "MeshWorkload", "HTTPRoute"]);
    let target = match kind {
        "Mesh" => "m",
        "Namespace" => of,
        _ => other,
    };
    let meta = format!("metadata: {{name: {name}, namespace: mallory, labels: {{app: {other}}}}}");
    let route = pick(&["HTTPRoute", "GRPCRoute", "TCPRoute", "TLSRoute"]);
    let leno = "apiVersion: leno.dev/v1alpha1";
    let gateway = "apiVersion: gateway.networking.k8s.io/v1";
    match pick(&[
        "service",
        "workload",
        "route",
        "grant",
        "access",
        "traffic",
        "telemetry",
    ]) {
        "service" => format!(
            "{{apiVersion: v1, kind: Service, {meta}, spec: {{selector: {{app: {other}}}, clusterIP: {ip}, ports: [{{port: {port}}}]}}}}"
        ),
        "workload" => format!(
            "{{{leno}, kind: MeshWorkload, {meta}, spec: {{serviceAccount: {other}, ports: [{{port: {port}}}], instances: [{{name: {name}, address: {ip}}}]}}}}"
        ),
        "route" => format!(
            "{{{gateway}, kind: {route}, {meta}, spec: {{parentRefs: [{{group: '', kind: Service, name: {other}, namespace: {of}}}], rules: [{{backendRefs: [{{name: {name}, namespace: {of}, port: {port}}}]}}]}}}}"
        ),
        "grant" => format!(
            "{{{gateway}, kind: ReferenceGrant, {meta}, spec: {{from: [{{group: gateway.networking.k8s.io, kind: {route}, namespace: {of}}}], to: [{{group: '', kind: Service}}]}}}}"
        ),
        "access" => format!(
            "{{{leno}, kind: AccessPolicy, {meta}, spec: {{targetRefs: [{{kind: {kind}, name: {target}}}], default: Allow, mtls: Permissive, rules: [{{callers: [{{namespace: mallory}}]}}]}}}}"
        ),
        "traffic" => format!(
            "{{{leno}, kind: TrafficPolicy, {meta}, spec: {{targetRefs: [{{kind: {kind}, name: {target}}}], timeouts: {{request: 1ms}}}}}}"
        ),
        _ => format!(
            "{{{leno}, kind: TelemetryPolicy, {meta}, spec: {{targetRefs: [{{kind: {kind}, name: {target}}}], tracing: {{sample: 100%}}}}}}"
        ),
    }
}

/// How the proxies of shop decide: all that they hold of shop and bank, what addresses and names mean
/// to them.
struct Seen {
    told: String,
    /// The errors of objects that are not mallory's.
    errors: BTreeSet<String>,
}

impl Seen {
    /// With what mallory wrote beside it.
    fn beside(hostile: &str) -> Self {
        let files = [("shop.yaml", SHOP), ("hostile.yaml", hostile)];
        let files = files.map(|(path, text)| (path, text.as_bytes().to_vec()));
        let namespace = Namespace::new("mallory").unwrap();
        let (resources, mut notes) = Resources::read(files, &namespace);
        let (mut mesh, found) = compile(&resources);
        notes.extend(found);
        let errors = notes.iter().filter(|note| {
            let of = note.object().and_then(|object| object.namespace.as_ref());
            note.severity == Severity::Error && of.is_some_and(is_other)
        });
        Self {
            told: told(&mut mesh),
            errors: errors
                .map(|note| format!("{} {}", note.code, note.message))
                .collect(),
        }
    }

    /// Whether what shop sees is another beside mallory: then that is refused.
    fn changes(&self, beside: &Self, why: &str) -> bool {
        let mut lines = self.told.lines().zip(beside.told.lines());
        let Some((expect, found)) = lines.find(|(one, other)| one != other) else {
            assert_eq!(self.told.len(), beside.told.len(), "{why}");
            return false;
        };
        let is_refused = beside.errors.difference(&self.errors).next().is_some();
        assert!(
            is_refused,
            "{why}\nchanges what shop sees\nfrom {expect}\nto   {found}"
        );
        true
    }
}

fn told(mesh: &mut Mesh) -> String {
    reach_in_tunnels(mesh);
    let workloads: BTreeSet<_> = ["web", "cart-1"].map(|name| id("shop", name)).into();
    let mut view = mesh.view(ViewOf {
        workloads: &workloads,
    });
    let network = Network::default_network();
    let table = Table::new(Arc::new(view.clone()), Scope::Whole);
    let mut told = String::new();
    let shop = Namespace::new("shop").unwrap();
    for (ip, ports) in [
        ("10.0.0.1", &[22][..]),
        ("10.0.0.2", &[8080, 9090, 22]),
        ("10.1.0.1", &[80, 90, 22]),
        ("10.1.0.2", &[80, 22]),
        // Outside.
        ("203.0.113.5", &[443, 22]),
        ("203.0.113.6", &[443]),
    ] {
        for port in ports {
            let address = SocketAddr::new(ip.parse().unwrap(), *port);
            let means = means(&table.destination(&shop, &network, address));
            writeln!(told, "{address} is {means}").unwrap();
        }
    }
    for name in [
        "cart",
        "cart.shop",
        "cart.shop.svc.cluster.local",
        "vault.bank",
        "web",
    ] {
        writeln!(told, "{name} is {:?}", table.named(name, &shop)).unwrap();
    }
    without_mallory(&mut view);
    writeln!(told, "{view:#?}").unwrap();
    told
}

/// Every proxy has said where it takes calls: mallory's too.
fn reach_in_tunnels(mesh: &mut Mesh) {
    for id in mesh.instances.keys().cloned().collect::<Vec<_>>() {
        let host = if id.namespace.as_str() == "shop" {
            1
        } else {
            9
        };
        mesh.set_tunnel(&id, Some(SocketAddr::from(([10, host, 9, 9], 15008))));
    }
}

fn means(destination: &Destination<'_>) -> String {
    match destination {
        Destination::Service(port) => format!("the service {}", port.name()),
        Destination::Endpoint(direct) => {
            let (of, endpoint) = (direct.of.name(), direct.endpoint);
            format!("{} of {of} by {:?}", endpoint.workload, endpoint.tunnel)
        }
        Destination::Own(workload) => format!("{}", workload.id),
        Destination::NoSuchPort(service) => format!("no port of {}", service.name),
        Destination::Unknown(unknown) => format!("{unknown:?}"),
        Destination::Needs(question) => format!("{question:?}"),
    }
}

/// Without what is mallory's own.
fn without_mallory(view: &mut View) {
    view.services.retain(|name, _| is_other(&name.namespace));
    view.endpoints
        .retain(|port, _| is_other(&port.service.namespace));
}

fn is_other(namespace: &Namespace) -> bool {
    namespace.as_str() != "mallory"
}

fn id(namespace: &str, name: &str) -> WorkloadId {
    WorkloadId {
        namespace: Namespace::new(namespace).unwrap(),
        name: Name::new(name).unwrap(),
    }
}
