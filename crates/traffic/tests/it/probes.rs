//! Health checks from outside, as examples.

use std::net::IpAddr;
use std::sync::Arc;

use leno_model::SpiffeId;
use leno_model::view::access::IpBlock;
use leno_model::view::{Check, Probe, Settings};
use leno_traffic::{Allowed, Claim, Consent, Fact, Missing, Scope, Story, Table, Verdict};

use crate::world::{World, access, origin, spiffe_id, with_request, workload_id};

const KUBELET: &str = "10.8.0.1";

/// `cart` lets nobody in who did not prove who he is, and none of these; hosts in 10.8.0.0/16 check its
/// health at port 8080: over HTTP as the mesh says, by gRPC as the workload itself says.
fn table() -> Table {
    let rules = "strict\ndefault deny\ndeny path=/";
    let mut world = World::new().workload("cart", "10.0.1.1", access(rules));
    let probe = |port, check| Probe {
        origin: origin("Mesh", "shop", "/spec/probes/0", 9),
        from: [IpBlock::new("10.8.0.0".parse().unwrap(), 16).unwrap()].into(),
        port,
        check,
    };
    let path = |path: &str| Check::Request(path.into());
    let cart = world.0.workloads.get_mut(&workload_id("cart")).unwrap();
    let cart = Arc::make_mut(cart);
    let port = cart.ports[&8080].clone();
    cart.ports.extend([8443, 5432].map(|it| (it, port.clone())));
    cart.probes = [
        probe(8080, path(Probe::GRPC_PATH)),
        probe(8443, Check::Connection),
        probe(8443, Check::Tls),
        probe(5432, Check::Connection),
    ]
    .into();
    world.0.settings = Arc::new(Settings {
        probes: [Arc::new(probe(8080, path("/healthz")))].into(),
        ..Settings::clone(&world.0.settings)
    });
    Table::new(world.view(), Scope::Whole)
}

fn claim<'a>(caller: Fact<Option<&'a SpiffeId>>, address: Fact<&str>) -> Claim<'a> {
    let read = |text: &str| text.parse::<IpAddr>().unwrap();
    let address = match address {
        Fact::Known(text) => Fact::Known(read(text)),
        Fact::Unknown => Fact::Unknown,
    };
    Claim {
        caller,
        address,
        token: leno_traffic::Token::Absent,
        consent: Consent::Given,
    }
}

fn in_words(claim: &Claim<'_>, port: u16, request: &str) -> String {
    let table = table();
    let policy = table.inbound(&workload_id("cart"), port).unwrap();
    let mut story = Story::default();
    let verdict = match request {
        "tcp" => policy.explain(claim, None, &mut story),
        _ => with_request(request, |request| {
            policy.explain(claim, Some(&request), &mut story)
        }),
    };
    match verdict {
        Verdict::Allow(Allowed::Probe(probe)) => match &probe.check {
            Check::Request(_) => "probe".to_owned(),
            check => format!("probe by {check}"),
        },
        Verdict::Allow(_) => "allow".to_owned(),
        Verdict::Deny(denied) => denied.code().to_string(),
        Verdict::Undecided(missing) => format!("undecided: {missing}"),
    }
}

#[test]
fn a_health_check_is_let_in_whatever_is_said_of_others() {
    let plain = |address| claim(Fact::Known(None), Fact::Known(address));
    for (address, port, request, expect) in [
        (KUBELET, 8080, "GET http://cart/healthz", "probe"),
        (KUBELET, 8080, "GET http://cart/healthz?full=1", "probe"),
        (KUBELET, 8080, "HEAD http://cart/healthz", "probe"),
        ("::ffff:10.8.0.1", 8080, "GET http://cart/healthz", "probe"),
        (
            KUBELET,
            8080,
            "POST http://cart/grpc.health.v1.Health/Check",
            "probe",
        ),
        (KUBELET, 8080, "POST http://cart/healthz", "R002"),
        (KUBELET, 8080, "GET http://cart/healthz/", "R002"),
        (
            KUBELET,
            8080,
            "GET http://cart/healthz connection:upgrade upgrade:websocket",
            "R002",
        ),
        (KUBELET, 8080, "GET http://cart/items", "R002"),
        (KUBELET, 8081, "GET http://cart/healthz", "allow"),
        (KUBELET, 8080, "tcp", "R002"),
        ("10.9.0.1", 8080, "GET http://cart/healthz", "R002"),
    ] {
        let told = in_words(&plain(address), port, request);
        assert_eq!(told, expect, "{address} {port} {request}");
    }
}

#[test]
fn a_health_check_that_hides_what_it_asks_is_let_in_as_a_stream_alone() {
    let plain = |address| claim(Fact::Known(None), Fact::Known(address));
    for (address, port, request, expect) in [
        (KUBELET, 8443, "tcp", "probe by TLS"),
        (KUBELET, 5432, "tcp", "probe by a connection"),
        // Whoever is let in anyway needs no leave to check.
        (KUBELET, 8081, "tcp", "allow"),
        (KUBELET, 8443, "GET http://cart/healthz", "R002"),
        (KUBELET, 8080, "tcp", "R002"),
        ("10.9.0.1", 8443, "tcp", "R002"),
    ] {
        let told = in_words(&plain(address), port, request);
        assert_eq!(told, expect, "{address} {port} {request}");
    }
    let table = table();
    let policy = table.inbound(&workload_id("cart"), 8443).unwrap();
    let denied = policy.judge_bytes(&plain(KUBELET));
    assert!(matches!(denied, Verdict::Deny(_)), "{denied:?}");
    assert!(!policy.asks_requests());
    let unknown = claim(Fact::Known(None), Fact::Unknown);
    let told = in_words(&unknown, 8443, "tcp");
    assert_eq!(told, "undecided: the caller's address");
    let web = spiffe_id("web");
    let proven = claim(Fact::Known(Some(&web)), Fact::Known(KUBELET));
    assert!(in_words(&proven, 8443, "tcp").starts_with('R'));
}

#[test]
fn a_path_that_may_be_read_otherwise_is_no_health_check() {
    let plain = claim(Fact::Known(None), Fact::Known(KUBELET));
    for path in ["/x/../healthz", "//healthz", "/healthz;a"] {
        let told = in_words(&plain, 8080, &format!("GET http://cart{path}"));
        assert!(["R002", "R035"].contains(&told.as_str()), "{path}: {told}");
    }
}

#[test]
fn who_proves_who_he_is_checks_no_health() {
    let web = spiffe_id("web");
    let proven = claim(Fact::Known(Some(&web)), Fact::Known(KUBELET));
    assert_eq!(in_words(&proven, 8080, "GET http://cart/healthz"), "R004");
}

#[test]
fn what_nobody_recorded_leaves_it_open() {
    for (caller, address, missing) in [
        (Fact::Unknown, Fact::Unknown, Missing::CallerIdentity),
        (Fact::Known(None), Fact::Unknown, Missing::CallerAddress),
    ] {
        let claim = claim(caller, address);
        let told = in_words(&claim, 8080, "GET http://cart/healthz");
        assert_eq!(told, format!("undecided: {missing}"));
        let other = in_words(&claim, 8080, "GET http://cart/items");
        assert!(!other.contains("address"), "{other}");
    }
}

#[test]
fn requests_are_heard_where_only_health_checks_get_in() {
    let table = table();
    let asks = |port| {
        table
            .inbound(&workload_id("cart"), port)
            .unwrap()
            .asks_requests()
    };
    assert!(asks(8080));
    assert!(!asks(8081));
}
