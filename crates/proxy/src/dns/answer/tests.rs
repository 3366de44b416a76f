use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use hickory_proto::rr::Name;
use leno_model::view::{
    Endpoint, EndpointSlice, Generation, Locality, PortRef, Protocol, Service, ServicePort,
    Settings, State, Tuning, View, WorkloadId,
};
use leno_model::{Dice, ServiceName, TrustDomain};
use leno_traffic::Scope;

use super::*;

/// `shop/cart` has virtual addresses, `shop/db` is headless with two endpoints.
fn table(scope: Scope) -> Table {
    let cart = ["240.1.2.3", "fd6c:656e:6f00::1"];
    let services = [service("cart", &cart), service("db", &[])];
    let db = PortRef {
        service: name("db"),
        port: 5432,
    };
    let endpoints = (1..=2).map(|n| endpoint(&format!("10.0.0.{n}:5432")));
    let endpoints = EndpointSlice::new(endpoints.collect()).unwrap();
    let view = View {
        generation: Generation::default(),
        settings: Arc::new(Settings::new(TrustDomain::new("shop.local").unwrap())),
        workloads: BTreeMap::new(),
        services: services.into(),
        endpoints: [(db, vec![Arc::new(endpoints)])].into(),
        revoked: Arc::default(),
        bundles: BTreeMap::new(),
        sidecars: BTreeMap::new(),
        token_keys: BTreeMap::new(),
    };
    Table::new(Arc::new(view), scope)
}

fn name(name: &str) -> ServiceName {
    let name = leno_model::Name::new(name).unwrap();
    ServiceName::new(Namespace::new("shop").unwrap(), name)
}

fn service(called: &str, addresses: &[&str]) -> (ServiceName, Arc<Service>) {
    let port = ServicePort {
        name: None,
        protocol: Protocol::Tcp,
        producer: None,
        consumers: BTreeMap::new(),
        tuning: Arc::new(Tuning::default()),
        telemetry: Arc::default(),
    };
    let addresses = addresses.iter().map(|ip| ip.parse().unwrap());
    let service = Service {
        name: name(called),
        origin: None,
        addresses: addresses
            .map(|ip| (Network::default_network(), ip))
            .collect(),
        ports: [(5432, port)].into(),
    };
    (name(called), Arc::new(service))
}

fn endpoint(address: &str) -> Endpoint {
    Endpoint {
        workload: WorkloadId {
            namespace: Namespace::new("shop").unwrap(),
            name: leno_model::Name::new("db").unwrap(),
        },
        cluster: leno_model::Name::new("local").unwrap(),
        network: Network::default_network(),
        address: address.parse().unwrap(),
        tunnel: None,
        identities: Vec::new(),
        locality: Locality::default(),
        weight: NonZeroU32::MIN,
        state: State::Ready,
    }
}

fn question(host: &str, kind: RecordType) -> Message {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(Name::from_ascii(host).unwrap(), kind));
    message
}

/// The answer in words: its code, then its addresses.
fn told(bytes: &[u8]) -> String {
    told_by(bytes, Scope::Whole)
}

/// The same, by a view that holds the answers to some questions.
fn told_by(bytes: &[u8], scope: Scope) -> String {
    let table = table(scope);
    let names = Names {
        table: &table,
        network: &Network::default_network(),
        from: &Namespace::new("shop").unwrap(),
    };
    let answered = match answer(bytes, &names, Transport::Udp) {
        Asked::Answered(answer) => answer,
        Asked::NoAddress(question) => question.no_address(),
        Asked::Nothing(question) => question.nothing(),
        Asked::NotKnownYet(_, subscription) => return format!("needs {subscription}"),
        Asked::OfOthers(question) => {
            assert_eq!(question.bytes, bytes);
            return "others know".to_owned();
        }
        Asked::Ignored => return "nothing".to_owned(),
    };
    let message = Message::from_vec(&answered).unwrap();
    assert_eq!(message.metadata.message_type, MessageType::Response);
    let records = message.answers.iter().map(|record| record.data.to_string());
    let code = format!("{:?}", message.metadata.response_code);
    [code]
        .into_iter()
        .chain(records)
        .collect::<Vec<_>>()
        .join(" ")
}

fn check(host: &str, kind: RecordType, expect: &str) {
    let bytes = question(host, kind).to_vec().unwrap();
    assert_eq!(told(&bytes), expect, "{host} {kind}");
}

#[test]
fn names_of_the_mesh_are_answered_and_others_are_passed_on() {
    use RecordType::{A, AAAA, MX};
    for host in [
        "cart.",
        "CART.",
        "cart.shop.",
        "cart.shop.svc.",
        "cart.shop.svc.cluster.local.",
    ] {
        check(host, A, "NoError 240.1.2.3");
        check(host, AAAA, "NoError fd6c:656e:6f00::1");
        check(host, MX, "NoError");
    }
    check("db.shop.svc.cluster.local.", A, "NoError 10.0.0.1 10.0.0.2");
    check("db.shop.svc.cluster.local.", AAAA, "NoError");
    check("nobody.shop.svc.cluster.local.", A, "NXDomain");
    check("www.example.com.shop.svc.cluster.local.", A, "NXDomain");
    check("localhost.", A, "NoError 127.0.0.1");
    check("cart.localhost.", AAAA, "NoError ::1");
    check("notlocalhost.", A, "others know");
    check("cart.other.", A, "others know");
    check("www.example.com.", A, "others know");
    check(".", A, "others know");
}

#[test]
fn what_the_view_was_never_asked_to_hold_is_asked_of_the_control_plane() {
    let gone = Subscription::Service(name("gone"));
    let scope = Scope::Answered(Arc::new([gone].into()));
    for (host, expect) in [
        ("cart.shop.svc.cluster.local.", "NoError 240.1.2.3"),
        (
            "orders.shop.svc.cluster.local.",
            "needs service/shop/orders",
        ),
        ("gone.shop.svc.cluster.local.", "NXDomain"),
        ("cart-0.cart.shop.svc.cluster.local.", "NXDomain"),
        ("orders.shop.", "others know"),
    ] {
        let bytes = question(host, RecordType::A).to_vec().unwrap();
        assert_eq!(told_by(&bytes, scope.clone()), expect, "{host}");
    }
}

#[test]
fn what_is_no_question_gets_no_address() {
    assert_eq!(told(b""), "nothing");
    assert_eq!(told(b"\x01"), "nothing");
    assert_eq!(told(b"\x00\x07nonsense"), "FormErr");
    let whole = question("cart.", RecordType::A).to_vec().unwrap();
    for end in 2..whole.len() {
        assert_eq!(told(&whole[..end]), "FormErr", "{end}");
    }

    let mut two = question("cart.", RecordType::A);
    two.add_query(Query::query(Name::root(), RecordType::A));
    assert_eq!(told(&two.to_vec().unwrap()), "FormErr");
    let mut update = question("cart.", RecordType::A);
    update.metadata.op_code = OpCode::Update;
    assert_eq!(told(&update.to_vec().unwrap()), "NotImp");
    let mut answer = question("cart.", RecordType::A);
    answer.metadata.message_type = MessageType::Response;
    assert_eq!(told(&answer.to_vec().unwrap()), "nothing");
    let mut other_class = question("cart.", RecordType::A);
    other_class.queries[0].set_query_class(DNSClass::CH);
    assert_eq!(told(&other_class.to_vec().unwrap()), "others know");
}

#[test]
fn an_answer_too_long_for_a_datagram_says_so() {
    let many = (0..100u8)
        .map(|n| IpAddr::from([10, 0, 0, n]))
        .collect::<Vec<_>>();
    let bytes = question("cart.", RecordType::A).to_vec().unwrap();
    let asked = Question {
        message: Message::from_vec(&bytes).unwrap(),
        bytes,
    };
    let read = |transport| Message::from_vec(&asked.answered(&many, transport)).unwrap();
    assert!(read(Transport::Udp).metadata.truncation);
    assert!(!read(Transport::Tcp).metadata.truncation);
    assert_eq!(read(Transport::Tcp).answers.len(), 100);
}

#[test]
fn a_question_that_nobody_wrote_is_answered_or_passed_on_whole() {
    let mut dice = Dice::new(1);
    let mut roll = |sides: usize| {
        let sides = u32::try_from(sides).ok().and_then(NonZeroU32::new);
        dice.roll(sides.unwrap()).value as usize
    };
    for _ in 0..20_000 {
        let host = ["cart.", "db.shop.svc.cluster.local.", "www.example.com."][roll(3)];
        let mut bytes = question(host, RecordType::A).to_vec().unwrap();
        for _ in 0..=roll(3) {
            let at = roll(bytes.len());
            match roll(3) {
                0 => bytes[at] = roll(256) as u8,
                1 => bytes.truncate(at.max(1)),
                _ => bytes.extend_from_within(at..),
            }
        }
        told(&bytes);
    }
}
