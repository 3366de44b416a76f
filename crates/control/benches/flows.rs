//! How large a day of flows is, and how long answers from it take, for meshes of several sizes. Run it
//! by `cargo bench -p leno-control --bench flows`. Times are medians.
#![expect(clippy::print_stdout, reason = "a benchmark's output is its purpose")]
#![expect(dead_code, reason = "nothing is applied here, and nobody joins")]

use std::path::Path;
use std::time::{Duration, Instant};

use leno_admin::{By, FailuresOf, TrafficOf};
use leno_channel::wall;
use leno_model::flow::{Failure, Flow, Kind, Side, Sum, What};
use leno_model::{CallId, Code, Dice, Fault, Wall};
use leno_store::flows::{Bounds, Flows, Reported, Sender, TIERS};

use crate::plane::{measured, start};

#[path = "plane/plane.rs"]
mod plane;

/// How many services there are; each calls three others.
const SERVICES: [usize; 3] = [50, 200, 400];

/// How far back they have been called.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How often each question is asked.
const TIMES: usize = 7;

fn main() {
    println!("services  edges  kinds  MB  ms by service  ms by edge  ms by request  ms why");
    for services in SERVICES {
        let (kinds, megabytes, times) = measured(2, async |place| {
            let store = place.join("store");
            std::fs::create_dir_all(&store).expect("the temporary folder can be written");
            let kinds = fill(&store, services);
            let (megabytes, times) = ask(place).await;
            (kinds, megabytes, times)
        });
        let edges = 3 * services;
        let [service, edge, request, why] = times.map(|time| time.as_secs_f64() * 1e3);
        println!(
            "{services}  {edges}  {kinds}  {megabytes:.1}  {service:.0}  {edge:.0}  {request:.0}  {why:.0}"
        );
    }
}

/// Writes a day into the file, by reports as long as what is kept of their age; says of how many kinds.
fn fill(store: &Path, services: usize) -> usize {
    let now = wall();
    let flows = Flows::open(store, Bounds::default(), now - DAY).expect("it opens");
    let kinds = kinds(services);
    let mut dice = Dice::new(7);
    let (mut sequence, mut at) = (0, now - DAY);
    while at < now {
        let age = now.since(at);
        let tier = TIERS.iter().rev().find(|(older, _)| age >= *older);
        let (_, length) = tier.unwrap_or(&TIERS[0]);
        // At the borders of what it will be added up to.
        let over = at.elapsed_since_epoch().as_secs() % length.as_secs();
        let until = at + (*length - Duration::from_secs(over));
        let told = kinds.iter().map(|kind| flow(kind, at, *length, &mut dice));
        sequence += 1;
        let report = Reported {
            sender: Sender {
                identity: "bench".into(),
                proxy: "bench".into(),
                boot: [1; 16],
            },
            sequence,
            from: at,
            until,
            lost: 0,
            folded: 0,
            flows: told.collect(),
        };
        flows.take(&report, until).expect("it is kept");
        at = until;
    }
    while flows.tidy(now).expect("it is tidied") {}
    kinds.len()
}

/// What each service is asked by three others: four requests, of which one fails now and then, told by
/// both proxies.
fn kinds(services: usize) -> Vec<Kind> {
    let mut kinds = Vec::new();
    for from in 0..services {
        for to in [from + 1, from + 7, from + 31].map(|to| to % services) {
            for side in [Side::Source, Side::Destination] {
                let asked = [
                    ("GET", "/items", 200),
                    ("GET", "/items/{id}", 200),
                    ("POST", "/orders", 201),
                    ("GET", "/items/{id}", 404),
                    ("POST", "/orders", 503),
                ];
                kinds.extend(asked.map(|(method, shape, status)| Kind {
                    side,
                    from: format!("shop/service-{from}").into(),
                    to: format!("shop/service-{to}").into(),
                    port: 8080,
                    peer: None,
                    route: Some(format!("HTTPRoute shop/service-{to} rule 1").into()),
                    backend: None,
                    security: Kind::MTLS.into(),
                    what: What::Requests {
                        method: method.into(),
                        shape: shape.into(),
                        status,
                    },
                    facts: None,
                    failure: (status == 503).then_some(Failure {
                        fault: Fault::Mesh,
                        code: Some(Code::R014),
                        culprit: None,
                    }),
                }));
            }
        }
    }
    kinds
}

/// Some calls of a kind: about five a second, and a few that fail, some slower than others.
fn flow(kind: &Kind, at: Wall, length: Duration, dice: &mut Dice) -> Flow {
    let failed = kind.failure.is_some();
    let seconds = length.as_secs();
    let count = match failed {
        true => dice.next_u64() % 3,
        false => seconds * (3 + dice.next_u64() % 5),
    };
    let mut sum = Sum {
        sent: 120 * count,
        received: 900 * count,
        ..Sum::default()
    };
    let example = failed.then(|| CallId::roll(dice));
    sum.add_calls(count, at, at + length, example);
    let buckets = 30 + dice.next_u64() % 10;
    for bucket in buckets..buckets + 12 {
        let bucket = usize::try_from(bucket).expect("it is small");
        sum.took
            .add_to(bucket, count / 12 + u64::from(bucket == 36));
    }
    sum.took.add_sum(3_000 * count);
    Flow {
        kind: kind.clone(),
        sum,
    }
}

/// How many megabytes the file uses, and how long each question takes.
async fn ask(place: &Path) -> (f64, [Duration; 4]) {
    let admin = start(place);
    let traffic = |by| TrafficOf {
        seconds: DAY.as_secs(),
        until: None,
        step: None,
        by,
        of: None,
        namespace: "shop".into(),
    };
    let mut bytes = 0;
    let mut times = [const { Vec::new() }; 4];
    for _ in 0..TIMES {
        for (place, by) in [By::Service, By::Edge, By::Request].into_iter().enumerate() {
            #[expect(clippy::disallowed_methods, reason = "this measures")]
            let begin = Instant::now();
            let told = admin.ask(traffic(by)).await.expect("it answers");
            times[place].push(begin.elapsed());
            assert!(told.steps[0].calls() > 0);
            bytes = told.kept.bytes;
        }
        let why = FailuresOf {
            service: Some("service-7".into()),
            namespace: "shop".into(),
            seconds: DAY.as_secs(),
        };
        #[expect(clippy::disallowed_methods, reason = "this measures")]
        let begin = Instant::now();
        let told = admin.ask(why).await.expect("it answers");
        times[3].push(begin.elapsed());
        assert!(!told.groups.is_empty());
    }
    let median = |mut times: Vec<Duration>| {
        times.sort();
        times[TIMES / 2]
    };
    (bytes as f64 / 1e6, times.map(median))
}
