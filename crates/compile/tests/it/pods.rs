//! What pods of a cluster are to a mesh.

use std::fmt::Write as _;
use std::sync::Arc;

use leno_compile::{Destination, Mesh, ViewOf, compile};
use leno_model::view::{self, Access, Check, Locality, NameServers, PortRef, Resolver, State};
use leno_model::{Name, Namespace, Network, Notes};
use leno_resources::Resources;
use leno_resources::pod::{Pod, PodProbe, Pods};

const SERVICES: &str = "
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec:
  clusterIP: 10.96.0.7
  selector: {app: cart}
  ports: [{name: http, port: 80, targetPort: web}]
---
apiVersion: v1
kind: Service
metadata: {name: cart-peers, namespace: shop}
spec:
  clusterIP: None
  publishNotReadyAddresses: true
  selector: {app: cart}
  ports: [{name: gossip, port: 7000}]
";

/// A pod of the shop, which has the last number of its address in its name.
fn pod(workload: &str, last: u8, account: &str, port: u16) -> Pod {
    let name = Name::new(&format!("{workload}-{last}")).unwrap();
    let namespace = Namespace::new("shop").unwrap();
    let mut pod = Pod {
        uid: format!("uid-{last}").into(),
        workload: Name::new(workload).unwrap(),
        service_account: Name::new(account).unwrap(),
        ports: [(port, vec!["web".into()])].into(),
        addresses: vec![
            [10, 1, 0, last].into(),
            [0xfd00, 0, 0, 0, 0, 0, 0, u16::from(last)].into(),
        ],
        locality: Locality {
            zone: Some(format!("zone-{last}").into()),
            ..Locality::default()
        },
        state: Some(State::Ready),
        ..Pod::named(namespace, name)
    };
    pod.meta.labels = [("app".into(), workload.into())].into();
    pod
}

fn unready(pod: Pod) -> Pod {
    Pod { state: None, ..pod }
}

/// Pods of two templates, as while a Deployment is rolled out, and one that calls.
fn shop() -> [Pod; 4] {
    [
        unready(pod("cart", 1, "cart", 8080)),
        pod("cart", 2, "cart", 8080),
        pod("cart", 3, "cart", 9090),
        pod("web", 4, "web", 8080),
    ]
}

fn mesh(written: &str, pods: impl IntoIterator<Item = Pod>) -> (Mesh, Notes) {
    let file = (Arc::from("mesh.yaml"), written.as_bytes().to_vec());
    let (mut resources, _) = Resources::read([file], &Namespace::default_namespace());
    let named = |pod: Pod| {
        let namespace = pod.meta.namespace.clone().unwrap();
        ((namespace, pod.meta.name.clone()), Arc::new(pod))
    };
    resources.pods = Arc::new(pods.into_iter().map(named).collect::<Pods>());
    compile(&resources)
}

/// Who answers for each port of a service.
fn answers(mesh: &Mesh) -> String {
    let mut told = String::new();
    for (port, answers) in mesh.answers.iter() {
        let answers = answers
            .iter()
            .map(|it| format!(" {}:{}", it.instance, it.port));
        writeln!(told, "{port}:{}", answers.collect::<String>()).unwrap();
    }
    told
}

#[test]
fn a_port_has_every_name_by_which_a_container_declares_it() {
    let twice = Pod {
        ports: [(8080, vec!["metrics".into(), "web".into()])].into(),
        ..pod("cart", 2, "cart", 8080)
    };
    let (mesh, _) = mesh(SERVICES, [twice]);
    assert_eq!(
        answers(&mesh).lines().next(),
        Some("shop/cart:80: shop/cart-2:8080")
    );
}

#[test]
fn calls_go_to_pods_that_are_ready_each_at_its_own_port() {
    let (mesh, notes) = mesh(SERVICES, shop());
    assert_eq!(
        answers(&mesh),
        "shop/cart:80: shop/cart-2:8080 shop/cart-3:9090\n\
         shop/cart-peers:7000: shop/cart-1:7000 shop/cart-2:7000 shop/cart-3:7000\n"
    );
    let places = mesh.instances.values().map(|instance| {
        let workload = &instance.workload;
        let zone = instance.locality.zone.as_deref().unwrap_or_default();
        format!("{} {} {}", workload.id, workload.addresses.len(), zone)
    });
    assert_eq!(places.collect::<Vec<_>>()[0], "shop/cart-1 2 zone-1");
    // No name in a cluster but a Service's leads anywhere.
    let services = mesh.services.keys().map(ToString::to_string);
    assert_eq!(
        services.collect::<Vec<_>>(),
        ["shop/cart", "shop/cart-peers"]
    );
    let codes = notes.iter().map(|note| note.code.as_str());
    assert_eq!(
        codes.collect::<Vec<_>>(),
        ["C121"],
        "7000 is declared by nobody"
    );
}

#[test]
fn who_may_take_calls_is_told_so_to_who_calls_unless_the_service_does_not_mind() {
    let doubtful = |pod| Pod {
        state: Some(State::Unknown),
        ..pod
    };
    let [gone, first, second, _] = shop();
    let (mesh, _) = mesh(SERVICES, [gone, doubtful(first), second]);
    let states = |port: &str| {
        let named = |(it, _): &(&PortRef, _)| it.to_string() == port;
        let (port, _) = mesh.answers.iter().find(named).unwrap();
        let slices = mesh.slices(port);
        let endpoints = slices.iter().flat_map(|slice| slice.endpoints());
        let mut told: Vec<_> = endpoints
            .map(|it| format!("{} {:?}", it.workload, it.state))
            .collect();
        told.dedup();
        told
    };
    let expect = ["shop/cart-2 Unknown", "shop/cart-3 Ready"];
    assert_eq!(states("shop/cart:80"), expect);
    let all = [
        "shop/cart-1 Ready",
        "shop/cart-2 Ready",
        "shop/cart-3 Ready",
    ];
    assert_eq!(states("shop/cart-peers:7000"), all);
}

#[test]
fn whoever_names_what_controls_pods_means_the_first_of_them() {
    let (mesh, _) = mesh(SERVICES, shop());
    let meant = |text: &str| {
        let found = mesh.workload(text, &Namespace::default_namespace());
        found.map(|instance| instance.workload.id.to_string())
    };
    assert_eq!(meant("shop/cart-3").unwrap(), "shop/cart-3");
    assert_eq!(meant("shop/cart").unwrap(), "shop/cart-1");
    assert_eq!(
        meant("shop/carts").unwrap_err().to_string(),
        "no workload carts in shop"
    );
}

#[test]
fn a_service_whose_pods_are_all_unready_has_nobody_behind_it() {
    let (mesh, _) = mesh(SERVICES, [unready(pod("cart", 1, "cart", 8080))]);
    assert_eq!(answers(&mesh), "shop/cart-peers:7000: shop/cart-1:7000\n");
}

#[test]
fn policies_hold_at_every_pod_of_what_they_are_about() {
    let policies = "
---
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: by-service, namespace: shop}
spec:
  targetRefs: [{kind: Service, name: cart}]
  default: Deny
---
apiVersion: leno.dev/v1alpha1
kind: AccessPolicy
metadata: {name: by-workload, namespace: shop}
spec:
  targetRefs: [{kind: MeshWorkload, name: web}]
  default: Deny
";
    let (mesh, notes) = mesh(&format!("{SERVICES}{policies}"), shop());
    let open = Access::open().stance;
    for (id, instance) in mesh.instances.iter() {
        let denied = instance.workload.ports.iter();
        let denied = denied.filter(|(_, port)| port.access.stance != open);
        assert_eq!(denied.count(), 1, "{id}");
    }
    assert!(notes.iter().all(|note| note.code.as_str() != "C130"));
}

#[test]
fn findings_about_a_pod_name_it() {
    let mut twin = pod("cart", 1, "cart", 8080);
    twin.addresses = vec![[10, 96, 0, 7].into()];
    let (_, notes) = mesh(SERVICES, [twin]);
    let note = notes
        .iter()
        .find(|note| note.code.as_str() == "C122")
        .unwrap();
    assert_eq!(note.object().unwrap().to_string(), "Pod shop/cart-1");
    assert_eq!(note.span, None);
}

#[test]
fn the_control_planes_own_pod_is_no_workload() {
    let mut own = pod("leno-control", 1, "leno-control", 15012);
    let system = Namespace::new("leno-system").unwrap();
    own.meta.namespace = Some(system);
    let service = "
apiVersion: v1
kind: Service
metadata: {name: leno-control, namespace: leno-system}
spec: {selector: {app: leno-control}, ports: [{port: 15012}]}
";
    let (mesh, notes) = mesh(service, [own]);
    assert!(mesh.instances.is_empty());
    assert!(notes.is_empty(), "{notes:?}");
}

#[test]
fn a_node_may_check_its_own_pods_and_nobody_elses() {
    let probe = PodProbe {
        port: 8080,
        check: Check::Request("/live".into()),
        pointer: "/spec/containers/0/livenessProbe".into(),
    };
    let on = |last: u8| Pod {
        probes: vec![probe.clone()],
        hosts: vec![[192, 168, 0, last].into(), [10, 1, last, 1].into()],
        ..pod("cart", last, "cart", 8080)
    };
    let nowhere = Pod {
        hosts: Vec::new(),
        ..on(3)
    };
    let (mesh, _) = mesh(SERVICES, [on(1), on(2), nowhere]);
    let told = mesh.instances.values().map(|instance| {
        let probes = instance.workload.probes.iter().map(|probe| {
            let from = probe.from.iter().map(|block| format!(" {block}"));
            let from = from.collect::<String>();
            format!(" {} {}{from}, {}", probe.port, probe.check, probe.origin)
        });
        format!("{}:{}", instance.workload.id, probes.collect::<String>())
    });
    let expect = [
        "shop/cart-1: 8080 /live 192.168.0.1/32 10.1.1.1/32, Pod shop/cart-1 /spec/containers/0/livenessProbe",
        "shop/cart-2: 8080 /live 192.168.0.2/32 10.1.2.1/32, Pod shop/cart-2 /spec/containers/0/livenessProbe",
        "shop/cart-3:",
    ];
    assert_eq!(told.collect::<Vec<_>>(), expect);
}

const DATABASE: &str = "
apiVersion: v1
kind: Service
metadata: {name: kubernetes, namespace: default}
spec: {clusterIP: 10.96.0.1, ports: [{name: https, port: 443, targetPort: 6443}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: kubernetes, namespace: default, labels: {kubernetes.io/service-name: kubernetes}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1]}]
ports: [{name: https, port: 6443}]
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: shop}
spec: {clusterIP: 10.96.0.9, ports: [{port: 5432}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: db, namespace: shop, labels: {kubernetes.io/service-name: db}}
addressType: IPv4
endpoints: [{addresses: [10.1.0.2]}, {addresses: [10.1.0.3]}, {addresses: [10.1.0.9]}, {addresses: [10.9.0.1]}]
ports: [{port: 5432}]
---
";

#[test]
fn a_service_without_a_selector_leads_where_its_slices_say() {
    // The API server is a pod in its node's own network, as others of other namespaces are.
    let system = Namespace::new("kube-system").unwrap();
    let in_network_of_node = |mut pod: Pod| {
        pod.meta.namespace = Some(system.clone());
        pod.addresses = vec![[10, 0, 0, 1].into()];
        pod
    };
    let mut pods = vec![
        in_network_of_node(pod("kube-apiserver", 1, "default", 6443)),
        pod("db", 2, "db", 5432),
        unready(pod("db", 3, "db", 5432)),
    ];
    let mut other = pod("vault", 9, "vault", 5432);
    other.meta.namespace = Some(system.clone());
    pods.push(other);
    for pod in &mut pods {
        pod.hosts = vec![[10, 0, 0, 1].into()];
    }
    let (mesh, notes) = mesh(DATABASE, pods);
    assert_eq!(
        answers(&mesh),
        "default/kubernetes:443: default/kubernetes-10-0-0-1:6443\n\
         shop/db:5432: shop/db-10-9-0-1:5432 shop/db-2:5432\n"
    );
    let codes = notes.iter().map(|note| note.code.as_str());
    assert_eq!(codes.collect::<Vec<_>>(), ["C192"]);
    // Nobody may stand before what is known by its address alone, and nobody proves to be it.
    for (id, takes_proxy) in [("db-2", true), ("db-10-9-0-1", false)] {
        let instance = mesh.workload(id, &Namespace::new("shop").unwrap()).unwrap();
        assert_eq!(instance.takes_proxy, takes_proxy, "{id}");
    }
    let view = mesh.view(ViewOf {
        workloads: &[].into(),
    });
    let endpoints = view.endpoints.values().flatten();
    let proven = endpoints.flat_map(|slice| slice.endpoints());
    let proven = proven.map(|it| (it.address.to_string(), it.identities.len()));
    let expect = [
        ("10.0.0.1:6443", 0),
        ("10.9.0.1:5432", 0),
        ("10.1.0.2:5432", 1),
    ];
    for (address, count) in expect {
        let found = proven.clone().find(|(at, _)| at == address);
        assert_eq!(found, Some((address.to_owned(), count)));
    }
}

#[test]
fn members_and_addresses_of_pods_mean_the_pod_without_its_service() {
    let (mesh, _) = mesh(SERVICES, shop());
    let shop = Namespace::new("shop").unwrap();
    for (host, expect) in [
        ("cart-2.cart-peers", Some("shop/cart-2")),
        (
            "cart-2.cart-peers.shop.svc.cluster.local",
            Some("shop/cart-2"),
        ),
        ("CART-1.cart-peers.shop", Some("shop/cart-1")),
        ("10.1.0.2", Some("shop/cart-2")),
        ("[fd00::2]", Some("shop/cart-2")),
        // Only a headless Service has members, and only those that it selects.
        ("cart-2.cart", None),
        ("web-4.cart-peers", None),
        ("cart-9.cart-peers", None),
        ("cart.cart-peers", None),
    ] {
        let found = mesh.destination(host, 7000, &shop, &Network::default_network());
        let found = match found {
            Ok(Destination::Instance(instance)) => Some(instance.workload.id.to_string()),
            Ok(Destination::Service(service)) => Some(format!("Service {}", service.name)),
            Err(_) => None,
        };
        assert_eq!(found.as_deref(), expect, "{host}");
    }
}

#[test]
fn pods_that_are_to_have_a_proxy_and_have_none_are_told_by_workload() {
    let labelled = "
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {leno.dev/dataplane-mode: sidecar}}
";
    let proxied = Pod {
        has_proxy: true,
        ..pod("mail", 5, "mail", 80)
    };
    let mut left_out = pod("host", 6, "host", 80);
    let mode = "leno.dev/dataplane-mode";
    left_out.meta.labels.insert(mode.into(), "none".into());
    let on_host = Pod {
        is_on_host: true,
        ..pod("exporter", 7, "exporter", 80)
    };
    let many = (11..23).map(|last| pod("many", last, "many", 80));
    let written = format!("{SERVICES}{labelled}");
    let pods = shop().into_iter().chain([proxied, left_out, on_host]);
    let (_, notes) = mesh(&written, pods.chain(many));
    let told = notes.iter().filter(|note| note.code.as_str() == "C195");
    let told: Vec<_> = told
        .map(|note| format!("{:?}: {}", note.severity, note.message))
        .collect();
    let to_have = format!("to have a proxy ({mode}: sidecar)");
    let plain = "all that goes to and from there goes in plain, and no policy holds there";
    let many = "many-11, many-12, many-13, many-14, many-15, many-16, many-17, many-18, many-19, many-20 and 2 more";
    let expect = [
        format!(
            "Error: 3 pods of shop/cart are {to_have} and have none (cart-1, cart-2, cart-3): {plain}"
        ),
        format!(
            "Warning: pod exporter-7 of shop/exporter is {to_have} and has the network of its node: {plain}"
        ),
        format!("Error: 12 pods of shop/many are {to_have} and have none ({many}): {plain}"),
        format!("Error: pod web-4 of shop/web is {to_have} and has none: {plain}"),
    ];
    assert_eq!(told, expect);
    let (_, notes) = mesh(SERVICES, shop());
    assert!(notes.iter().all(|note| note.code.as_str() != "C195"));
}

/// A pod that runs on this node.
fn on(node: &str, pod: Pod) -> Pod {
    Pod {
        locality: Locality {
            node: Some(node.into()),
            ..Locality::default()
        },
        ..pod
    }
}

#[test]
fn a_namespace_takes_part_by_its_label_or_by_a_pod() {
    let labelled = |(name, mode): (&str, &str)| {
        format!(
            "
---
apiVersion: v1
kind: Namespace
metadata: {{name: {name}, labels: {{leno.dev/dataplane-mode: {mode}}}}}
"
        )
    };
    let written = [("bank", "sidecar"), ("empty", "node"), ("none", "none")].map(labelled);
    let pod = |namespace: &str, mode: Option<&str>, has_proxy| {
        let (namespace, name) = (Namespace::new(namespace), Name::new("web"));
        let mut pod = Pod {
            has_proxy,
            ..Pod::named(namespace.unwrap(), name.unwrap())
        };
        let mode = mode.map(|mode| ("leno.dev/dataplane-mode".into(), mode.into()));
        pod.meta.labels.extend(mode);
        pod
    };
    let pods = [
        pod("bank", Some("none"), false),
        pod("own", Some("node"), false),
        pod("made", None, true),
        pod("none", None, false),
        pod("other", Some("moon"), false),
        pod("apart", None, false),
    ];
    let (mesh, _) = mesh(&written.concat(), pods);
    let told: Vec<_> = mesh.taking_part.iter().map(Namespace::as_str).collect();
    assert_eq!(told, ["bank", "empty", "made", "own"]);
}

#[test]
fn the_proxy_of_a_node_carries_the_calls_of_pods_that_say_so() {
    let labelled = "
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {leno.dev/dataplane-mode: node}}
";
    let mut cart = on("n1", pod("cart", 1, "cart", 80));
    for (what, value) in [
        ("skip-inbound-ports", "22, 8000-8010"),
        ("skip-outbound-cidrs", "10.0.0.0/8,fd00::/8"),
        ("skip-outbound-ports", "http"),
    ] {
        let annotations = &mut cart.meta.annotations;
        annotations.insert(format!("leno.dev/{what}").into(), value.into());
    }
    let unscheduled = pod("cart", 2, "cart", 80);
    let proxied = Pod {
        has_proxy: true,
        ..on("n1", pod("mail", 3, "mail", 80))
    };
    let on_host = Pod {
        is_on_host: true,
        has_proxy: true,
        ..on("n1", pod("host", 4, "host", 80))
    };
    let mut left_out = on("n2", pod("out", 5, "out", 80));
    let mode = "leno.dev/dataplane-mode";
    left_out.meta.labels.insert(mode.into(), "none".into());
    let web = on("n2", pod("web", 6, "web", 80));
    let written = format!("{SERVICES}{labelled}");
    let (mesh, notes) = mesh(
        &written,
        [cart, unscheduled, proxied, on_host, left_out, web],
    );
    let nodes = mesh.nodes.iter().map(|(node, workloads)| {
        let workloads: Vec<_> = workloads.iter().map(ToString::to_string).collect();
        format!("{node}: {}", workloads.join(" "))
    });
    assert_eq!(
        nodes.collect::<Vec<_>>(),
        ["n1: shop/cart-1", "n2: shop/web-6"]
    );
    // Of those that have their own it keeps the capture; a pod on its node's network has none of its own.
    let sidecars = mesh.sidecars.iter().map(|(node, pods)| {
        let pods = pods.iter().map(|(id, pod)| format!("{id} {}", pod.uid));
        format!("{node}: {}", pods.collect::<Vec<_>>().join(" "))
    });
    assert_eq!(sidecars.collect::<Vec<_>>(), ["n1: shop/mail-3 uid-3"]);

    let cart = mesh.nodes["n1"].first().unwrap();
    // Its node's proxy says nothing of where it is.
    let own = "[::]:15008".parse().unwrap();
    let taken = mesh.instances[cart].taken_at(own);
    assert_eq!(taken, Some("10.1.0.1:15008".parse().unwrap()));
    let cart = mesh.instances[cart].workload.pod.as_ref().unwrap();
    assert_eq!(&*cart.uid, "uid-1");
    let inbound = cart.left_out.inbound.iter().map(ToString::to_string);
    assert_eq!(inbound.collect::<Vec<_>>(), ["22", "8000-8010"]);
    assert_eq!(cart.left_out.outbound_blocks.len(), 2);
    assert_eq!(cart.left_out.outbound, []);
    let told = notes.iter().filter(|note| note.code.as_str() == "C200");
    let told: Vec<_> = told.map(|note| note.message.as_str()).collect();
    let expect = "leno.dev/skip-outbound-ports: \"http\" is neither a port like 22 nor a range like 8000-8010";
    assert_eq!(told, [expect]);
    assert!(notes.iter().all(|note| note.code.as_str() != "C195"));
}

#[test]
fn pods_that_would_not_have_been_made_are_not_taken_up_by_their_nodes_proxy() {
    let told = |ambient: &str, pods: [Pod; 5]| {
        let labelled = format!(
            "---\napiVersion: v1\nkind: Namespace\n\
             metadata: {{name: shop, labels: {{leno.dev/dataplane-mode: node{ambient}}}}}\n"
        );
        let (mesh, notes) = mesh(&format!("{SERVICES}{labelled}"), pods);
        let served = mesh.nodes.values().flatten().map(ToString::to_string);
        let notes = notes.iter().filter(|note| note.code.as_str() == "C196");
        let notes = notes.map(|note| (note.message.clone(), note.in_force.clone()));
        (
            served.collect::<Vec<_>>().join(" "),
            notes.collect::<Vec<_>>(),
        )
    };
    let why = "container cart has NET_ADMIN";
    let unfit = |pod| Pod {
        unfit: Some(why.into()),
        ..pod
    };
    let proxied = Pod {
        has_proxy: true,
        ..on("n1", pod("mail", 3, "mail", 80))
    };
    let mode = |key: &str, value: &str, mut pod: Pod| {
        pod.meta.labels.insert(key.into(), value.into());
        pod
    };
    let pods = || {
        [
            unfit(on("n1", pod("cart", 1, "cart", 80))),
            unfit(on("n2", pod("cart", 2, "cart", 80))),
            unfit(proxied.clone()),
            mode(
                "istio.io/dataplane-mode",
                "none",
                on("n1", pod("web", 4, "web", 80)),
            ),
            unfit(mode(
                "leno.dev/dataplane-mode",
                "none",
                on("n1", pod("out", 5, "out", 80)),
            )),
        ]
    };
    let (served, notes) = told("", pods());
    assert_eq!(served, "shop/web-4");
    let mode = "leno.dev/dataplane-mode: node";
    let plain = "all that goes to and from there goes in plain, and no policy holds there";
    let of_cart = format!(
        "2 pods, cart-1 among them, of shop/cart are to be served by the proxy of their node ({mode}) and are not: {why}"
    );
    let of_mail =
        format!("pod mail-3 of shop/mail has a proxy that does not hold all of its calls: {why}");
    let past = "what goes past its proxy goes in plain, and no policy holds there";
    let expect = [(of_cart, plain.to_owned()), (of_mail, past.to_owned())];
    assert_eq!(notes, expect);

    // Istio takes up pods that run by what their namespace says, unless they say something else.
    let fit = pods().map(|pod| Pod { unfit: None, ..pod });
    let (served, notes) = told(", istio.io/dataplane-mode: ambient", fit);
    assert_eq!(served, "shop/web-4");
    let by = "Istio is asked to carry this pod's calls too (istio.io/dataplane-mode: ambient of namespace shop), and two \
              proxies cannot capture one pod: take that away, or say leno.dev/dataplane-mode: none";
    let of_cart = format!(
        "2 pods, cart-1 among them, of shop/cart are to be served by the proxy of their node ({mode}) and are not: {by}"
    );
    let of_mail =
        format!("pod mail-3 of shop/mail has a proxy that does not hold all of its calls: {by}");
    let expect = [(of_cart, plain.to_owned()), (of_mail, past.to_owned())];
    assert_eq!(notes, expect);
}

#[test]
fn a_pod_that_its_node_serves_goes_on_so_whatever_is_said_of_its_next_start() {
    let mode = "leno.dev/dataplane-mode";
    let served = |number| Pod {
        is_served: true,
        ..on("n1", pod("cart", number, "cart", 80))
    };
    let mut left_out = served(2);
    left_out.workload = Name::new("out").unwrap();
    left_out.meta.labels.insert(mode.into(), "none".into());
    let anew = Pod {
        has_proxy: true,
        ..on("n1", pod("cart", 3, "cart", 80))
    };
    let plain = on("n1", pod("cart", 4, "cart", 80));
    let go_on = "2 pods, cart-1 among them, of shop/cart go on with the proxy of their node";
    let goes_on = "pod cart-2 of shop/out goes on with the proxy of its node";
    let (once, once_all) = (
        "counts once it is made anew",
        "counts once they are made anew",
    );
    let out = format!("C197 {goes_on}, and {mode}: none {once}");
    let sidecar = [
        "C195 pod cart-4 of shop/cart".to_owned(),
        format!("C197 {go_on}, and {mode}: sidecar {once_all}"),
        out.clone(),
    ];
    let gone = [
        format!("C197 {go_on}, and that {mode} is gone {once_all}"),
        out.clone(),
    ];
    let node = [out];
    for (labels, own, expect) in [
        (
            Some("{leno.dev/dataplane-mode: sidecar}"),
            &["1", "2", "5"][..],
            &sidecar[..],
        ),
        (None, &["1", "2", "5"], &gone),
        (
            Some("{leno.dev/dataplane-mode: node}"),
            &["1", "2", "4", "5"],
            &node,
        ),
    ] {
        let labels = labels.unwrap_or("{}");
        let written = format!(
            "{SERVICES}---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: shop, labels: {labels}}}\n"
        );
        let pods = [
            served(1),
            left_out.clone(),
            anew.clone(),
            plain.clone(),
            served(5),
        ];
        let (mesh, notes) = mesh(&written, pods);
        let of_node = mesh.nodes["n1"].iter();
        let of_node = of_node.map(|id| id.name.as_str().trim_start_matches("cart-"));
        assert_eq!(of_node.collect::<Vec<_>>(), own, "{labels}");
        assert_eq!(mesh.sidecars["n1"].len(), 1);
        let placed = notes
            .iter()
            .filter(|note| ["C195", "C197"].contains(&note.code.as_str()));
        let told: Vec<_> = placed
            .map(|note| format!("{} {}", note.code, note.message))
            .collect();
        assert_eq!(told.len(), expect.len(), "{told:#?}");
        for (told, expect) in told.iter().zip(expect) {
            assert!(told.starts_with(expect), "{told}");
        }
    }
}

#[test]
fn a_pod_has_a_process_of_its_own_if_it_or_the_mesh_asks_for_one() {
    let labelled = "---\napiVersion: v1\nkind: Namespace\n\
        metadata: {name: shop, labels: {leno.dev/dataplane-mode: node}}\n";
    let spec = "---\napiVersion: leno.dev/v1alpha1\nkind: Mesh\nmetadata: {name: mesh}\n\
        spec: {kubernetes: {isolation: MODE, podProcess: {memoryMiB: 64, cpuMilli: 500}}}\n";
    let annotated = |number, value: &str| {
        let mut pod = on("n1", pod("cart", number, "cart", 80));
        let annotation = ("leno.dev/isolation".into(), value.into());
        pod.meta.annotations = [annotation].into();
        pod
    };
    let shared = "of all";
    let own = "a process of its own, of at most 64 MiB and 500 m of processors";
    let by_default = "a process of its own, of at most 128 MiB";
    for (mesh_says, expect) in [
        (None, [shared, by_default, shared]),
        (Some("Shared"), [shared, own, shared]),
        (Some("Pod"), [own, own, own]),
    ] {
        let said = mesh_says.map(|mode| spec.replace("MODE", mode));
        let written = format!("{SERVICES}{labelled}{}", said.unwrap_or_default());
        let pods = [
            on("n1", pod("cart", 1, "cart", 80)),
            annotated(2, "Pod"),
            annotated(3, "Shared"),
        ];
        let (mesh, notes) = mesh(&written, pods);
        let carried = mesh.nodes["n1"].iter().map(|id| {
            let pod = mesh.instances[id].workload.pod.as_ref().unwrap();
            let own = pod.own_process.as_ref().map(ToString::to_string);
            own.unwrap_or_else(|| shared.to_owned())
        });
        assert_eq!(carried.collect::<Vec<_>>(), expect, "{mesh_says:?}");
        let told = notes.iter().filter(|note| note.code.as_str() == "H026");
        let told: Vec<_> = told.map(|note| note.message.as_str()).collect();
        let why =
            "leno.dev/isolation: \"Shared\" is not \"Pod\", which is all that a pod can ask for";
        assert_eq!(told, [why]);
    }
}

#[test]
fn the_proxy_of_a_node_is_told_whom_its_pods_ask_for_names() {
    let labelled = "---\napiVersion: v1\nkind: Namespace\n\
        metadata: {name: shop, labels: {leno.dev/dataplane-mode: node}}\n";
    let named = Resolver {
        first: NameServers::Nobody,
        more: vec![[10, 0, 0, 53].into()],
    };
    let asking = |number, resolver| Pod {
        resolver,
        ..on("n1", pod("cart", number, "cart", 80))
    };
    let beside = Pod {
        has_proxy: true,
        ..asking(3, Some(named.clone()))
    };
    let pods = [asking(1, None), asking(2, Some(named)), beside];
    let (mesh, _) = mesh(&format!("{SERVICES}{labelled}"), pods);
    let told = |pod: &view::Pod| {
        let resolver = pod.resolver.as_ref().map(ToString::to_string);
        resolver.unwrap_or_else(|| "the cluster's".to_owned())
    };
    let served = mesh.nodes["n1"].iter();
    let served = served.map(|id| told(mesh.instances[id].workload.pod.as_ref().unwrap()));
    assert_eq!(served.collect::<Vec<_>>(), ["the cluster's", "10.0.0.53"]);
    // The proxy in a pod asks whom its container does.
    let beside = mesh.sidecars["n1"].values().map(|pod| told(pod));
    assert_eq!(beside.collect::<Vec<_>>(), ["the cluster's"]);
}
