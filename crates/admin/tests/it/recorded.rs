//! How records look as JSON: fields are added, never renamed. `UPDATE_CASES=1` writes them anew.
#![expect(
    clippy::disallowed_methods,
    reason = "a test asks its environment whether to update"
)]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use leno_admin::Recorded;
use leno_model::view::{Generation, PortRef, WorkloadId};
use leno_model::{
    CallId, Code, Name, Namespace, ObjectRef, Origin, Place, Roll, ServiceName, SpiffeId, Wall,
};
use leno_telemetry::{
    Bytes, Call, Decided, Edge, Endpoints, Event, FactOf, FactValue, Facts, FailedTry, Handshake,
    Late, Load, Party, Reporter, Security, Unusable,
};

#[derive(Debug)]
struct Everything;

impl Facts for Everything {
    fn each(&self, tell: &mut dyn FnMut(FactOf, &str, FactValue<'_>)) {
        tell(FactOf::Header, "authorization", FactValue::Secret);
        tell(FactOf::Header, "x-canary", FactValue::Absent);
        tell(FactOf::Header, "x-user", FactValue::Is("beta"));
        tell(FactOf::Query, "tier", FactValue::Begins("gold"));
    }
}

fn origin(kind: &str, pointer: &str, line: u32) -> Origin {
    Origin {
        object: Arc::new(ObjectRef {
            kind: kind.into(),
            namespace: Some(Namespace::new("shop").unwrap()),
            name: Name::new("payments").unwrap(),
        }),
        pointer: pointer.into(),
        place: Some(Place {
            file: "payments.yaml".into(),
            line,
            column: 5,
        }),
    }
}

/// As JSON, and read again as the same.
fn check(event: &Event<'_>, file: &str) {
    let told = Recorded::of(event);
    let json = serde_json::to_string_pretty(&told).unwrap() + "\n";
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it")
        .join(file);
    if std::env::var("UPDATE_CASES").is_ok() {
        fs::write(&file, &json).unwrap();
    }
    assert_eq!(json, fs::read_to_string(&file).unwrap());
    assert_eq!(serde_json::from_str::<Recorded>(&json).unwrap(), told);
}

#[test]
fn a_call_with_all_that_can_be_recorded_of_it() {
    let (rule, timeout) = (
        origin("HTTPRoute", "/spec/rules/1", 14),
        origin("TrafficPolicy", "/spec/timeouts/request", 9),
    );
    let port = |name: &str| PortRef {
        service: ServiceName::new(Namespace::new("shop").unwrap(), Name::new(name).unwrap()),
        port: 8080,
    };
    let (called, backend) = (port("payments"), port("payments-v2"));
    let workload = WorkloadId {
        namespace: Namespace::new("shop").unwrap(),
        name: Name::new("checkout-6d5f").unwrap(),
    };
    let caller = SpiffeId::parse("spiffe://shop.local/ns/shop/sa/checkout").unwrap();
    let generation = Generation {
        epoch: 1,
        positions: [("store".into(), 417)].into(),
    };
    let load = Load {
        in_flight: 3,
        latency: Some(Duration::from_millis(20)),
        failing: 12,
    };
    let endpoint = |text: &str| text.parse().unwrap();
    check(
        &Event::Call(Call {
            id: CallId::parse(b"7c1e4b02d41e8a7710aa3c9e0f52b6d8").unwrap(),
            edge: Edge {
                reporter: Reporter::Source,
                source: Party::Known {
                    namespace: "shop",
                    name: "checkout",
                },
                destination: Party::Known {
                    namespace: "shop",
                    name: "payments",
                },
                security: Security::Mtls,
            },
            route: Some(&rule),
            peer: endpoint("10.2.0.3:41234"),
            endpoint: Some(endpoint("10.2.1.7:8080")),
            began: Wall::since_epoch(Duration::from_millis(1_795_170_718_250)),
            took: Duration::from_micros(2_040),
            method: "POST",
            host: "payments",
            path: "/charge",
            status: 504,
            grpc: None,
            refused: Some(Code::R023),
            tries: 2,
            copy_of: None,
            traced: None,
            sent: 10,
            received: 0,
            counted: Bytes::default(),
            logged: None,
            decided: Decided {
                workload: Some(&workload),
                application: None,
                generation: Some(&generation),
                caller: Some(&caller),
                audited: &[],
                consulted: &[],
                said_by: Some(&timeout),
                called: Some(&called),
                backend: Some(&backend),
                roll: Some(Roll {
                    value: 41,
                    of: 100.try_into().unwrap(),
                }),
                endpoints: Some(Endpoints {
                    known: 6,
                    usable: 5,
                    taken: Some(load),
                    beside: Some((
                        endpoint("10.2.4.9:8080"),
                        Load {
                            latency: None,
                            failing: 0,
                            ..load
                        },
                    )),
                    unusable: &[Unusable {
                        endpoint: endpoint("10.2.5.1:8080"),
                        why: "draining",
                    }],
                }),
                failed: &[FailedTry {
                    endpoint: endpoint("10.2.1.7:8080"),
                    code: Code::R023,
                    after: Duration::from_millis(2),
                }],
                not_retried: Some("the deadline would pass first"),
                late: Some(Late {
                    of: "request",
                    limit: Duration::from_secs(3),
                    said_by: Some(&timeout),
                }),
                facts: Some(&Everything),
                why: "no answer came within 3s",
            },
        }),
        "recorded_call.json",
    );
}

#[test]
fn a_handshake_has_a_name_too() {
    check(
        &Event::Handshake(Handshake {
            id: CallId::parse(b"91f0c2aa000000000000000000000001").unwrap(),
            edge: Edge {
                reporter: Reporter::Destination,
                source: Party::Known {
                    namespace: "shop",
                    name: "web",
                },
                destination: Party::Unknown,
                security: Security::None,
            },
            peer: "10.2.0.3:41234".parse().unwrap(),
            at: Wall::since_epoch(Duration::from_millis(1_795_170_718_250)),
            code: Code::T005,
            why: "web was revoked",
        }),
        "recorded_handshake.json",
    );
}
