//! What a decision costs: admitting by 100 rules, routing by many, picking one of 100 endpoints; and
//! admitting by many rules, of which one may ask a condition. Prints medians in nanoseconds; run with
//! `cargo bench -p leno-traffic`.
#![expect(clippy::print_stdout, reason = "a benchmark's output is its purpose")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on has failed"
)]
#![expect(
    dead_code,
    reason = "the tests' world has more words than are needed here"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use leno_model::{Dice, Mono};
use leno_protocol::{Fields, HeadReader, Limits, Request};
use leno_traffic::{Balancer, Ended, Peer, Port, Routed, Scope, Table, Tried};

#[path = "../tests/it/world.rs"]
mod world;

use world::{World, access, head, local, plain, port, workload_id};

fn main() {
    decide();
    println!();
    admit();
}

/// All of a decision, by how many routes there are.
fn decide() {
    println!("medians of {SAMPLES}, in nanoseconds; making the table once, in microseconds");
    println!(
        "{:>7} {:>8} {:>8} {:>8} {:>8} {:>10}",
        "routes", "admit", "route", "pick", "all", "make table"
    );
    for routes in [10, 100, 1_000, 10_000] {
        let view = shop(routes).view();
        let began = Instant::now();
        let table = Table::new(view, Scope::Whole);
        let made = began.elapsed().as_micros();
        let heads: Vec<_> = (0..REQUESTS).map(|n| head(&request(n, routes))).collect();
        let mut fields: Vec<_> = heads.iter().map(|_| Fields::new()).collect();
        let requests = heads.iter().zip(&mut fields);
        let requests = requests.map(|(head, fields)| read(head, fields)).collect();
        let [admit, route, pick, all] = Bench::new(&table, requests).medians();
        println!("{routes:>7} {admit:>8.0} {route:>8.0} {pick:>8.0} {all:>8.0} {made:>10}");
    }
}

/// Being let in, by how many rules there are; then also where the rule that decides has a condition.
fn admit() {
    println!("{:>7} {:>8} {:>14}", "rules", "admit", "with condition");
    for rules in [100, 1_000, 10_000] {
        let told = [DECIDES.to_owned(), format!("{DECIDES} {CONDITION}")];
        let [plain, conditional] = told.map(|decides| {
            let rules = (0..rules).map(not_decisive).chain([decides]);
            let rules = rules.collect::<Vec<_>>().join("\n");
            let world = shop(10).workload("cart", "10.0.1.1", access(&rules));
            let table = Table::new(world.view(), Scope::Whole);
            let heads: Vec<_> = (0..REQUESTS).map(|n| head(&request(n, 10))).collect();
            let mut fields: Vec<_> = heads.iter().map(|_| Fields::new()).collect();
            let requests = heads.iter().zip(&mut fields);
            let requests = requests.map(|(head, fields)| read(head, fields)).collect();
            let bench = Bench::new(&table, requests);
            let own = workload_id("cart");
            bench.median(|request, _| {
                let policy = table.inbound(&own, 8080).unwrap();
                let admitted = policy.admit(&bench.receiver_sees, request.clone());
                assert!(black_box(admitted).is_ok());
            })
        });
        println!("{rules:>7} {plain:>8.0} {conditional:>14.0}");
    }
}

/// The one rule that lets the caller in.
const DECIDES: &str = "allow ip=10.99.0.0/16";

/// What it may ask of each request: all of them fulfil it.
const CONDITION: &str = r#"when has(request.headers.accept) && request.headers.accept.startsWith("*/") && request.method != "TRACE""#;

/// A rule that does not speak of the caller, or not of its requests.
fn not_decisive(n: usize) -> String {
    match n % 5 {
        0 => format!("deny path=/shop/secret-{n}"),
        1 => format!("deny from=bank/thief-{n}"),
        2 => format!("allow from=shop/caller-{n} method=GET"),
        3 => format!("allow namespace=team-{n}"),
        _ => format!("allow ip=172.{}.0.0/16 path=/shop", n % 256),
    }
}

const REQUESTS: usize = 256;
const SAMPLES: usize = 401;

/// A service with so many routes of every kind, 100 rules of access, 100 endpoints.
fn shop(routes: usize) -> World {
    let lines: Vec<_> = (0..routes).map(|n| route(n) + " -> cart").collect();
    let rules: Vec<_> = (0..100).map(rule).collect();
    let endpoints: Vec<_> = (0..100)
        .map(|n| format!("cart-{n} 10.0.1.{n}:8080"))
        .collect();
    let endpoints: Vec<_> = endpoints.iter().map(String::as_str).collect();
    World::new()
        .services(&["cart"])
        .routes("cart", &lines.join("\n"))
        .endpoints("cart", &endpoints)
        .workload("cart", "10.0.1.1", access(&rules.join("\n")))
}

fn route(n: usize) -> String {
    match n % 10 {
        0 => format!("exact=/shop/items/{n}"),
        1 => format!("path=/shop/team-{n} header:x-user=beta"),
        2 => format!("path=/shop/team-{n} method=POST"),
        3 => format!("host=team-{n}.shop.example path=/"),
        4 => format!("host=*.team-{n}.shop.example path=/api"),
        _ => format!("path=/shop/team-{n}/api"),
    }
}

fn rule(n: usize) -> String {
    match n % 5 {
        0 => format!("deny path=/shop/secret-{n}"),
        1 => format!("deny from=bank/thief-{n}"),
        2 => format!("allow from=shop/caller-{n} method=GET"),
        3 => format!("allow namespace=team-{n}"),
        _ => format!("allow ip=10.{n}.0.0/16 path=/shop"),
    }
}

/// Requests that meet some route, near the front and near the end alike.
fn request(n: usize, routes: usize) -> String {
    let n = n * 7919 % routes;
    match n % 10 {
        0 => format!("GET http://cart:80/shop/items/{n}?page=2 accept:*/* user-agent:curl"),
        1 => format!("GET http://cart:80/shop/team-{n}/x x-user:beta accept:*/*"),
        2 => format!("POST http://cart:80/shop/team-{n} accept:*/* content-length:0"),
        3 => format!("GET http://team-{n}.shop.example/shop/items accept:*/*"),
        4 => format!("GET http://eu.team-{n}.shop.example/api/items/7 accept:*/*"),
        _ => {
            format!("GET http://cart/shop/team-{n}/api/items/7/lines accept:*/* x-request-id:0af7")
        }
    }
}

fn read<'f, 'a: 'f>(head: &'a [u8], fields: &'f mut Fields<'a>) -> Request<'f> {
    let read = HeadReader::new(Limits::default()).request(head, fields);
    read.unwrap().unwrap().request
}

struct Bench<'a> {
    table: &'a Table,
    requests: Vec<Request<'a>>,
    port: &'a Port,
    balancer: Balancer,
    caller: Peer,
    receiver_sees: Peer,
}

impl<'a> Bench<'a> {
    fn new(table: &'a Table, requests: Vec<Request<'a>>) -> Self {
        Self {
            port: table.port(&port("cart")).unwrap(),
            balancer: Balancer::new(table),
            caller: local("web"),
            receiver_sees: plain("10.99.0.7"),
            table,
            requests,
        }
    }

    /// Of admitting, routing and picking, and of all three for one call.
    fn medians(&self) -> [f64; 4] {
        let (own, mut dice) = (workload_id("cart"), Dice::new(1));
        let admit = self.median(|request, _| {
            let policy = self.table.inbound(&own, 8080).unwrap();
            black_box(policy.admit(&self.receiver_sees, request.clone()).is_ok());
        });
        let mut route_dice = dice.clone();
        let route = self.median(|request, _| {
            let admitted = self
                .table
                .outbound()
                .admit(&self.caller, request.clone())
                .unwrap();
            let routed = self.table.route(admitted, self.port, &mut route_dice, None);
            assert!(matches!(black_box(routed), Ok(Routed::Forward(_))));
        });
        let mut pick_dice = dice.clone();
        let pick = self.median(|_, now| {
            let tried = Tried::default();
            let picked = self
                .balancer
                .pick(self.port, &tried, now, &mut pick_dice, None)
                .unwrap();
            black_box(picked).finish(Ended::Answered, now);
        });
        let all = self.median(|request, now| {
            let policy = self.table.inbound(&own, 8080).unwrap();
            black_box(policy.admit(&self.receiver_sees, request.clone()).is_ok());
            let admitted = self
                .table
                .outbound()
                .admit(&self.caller, request.clone())
                .unwrap();
            let Ok(Routed::Forward(forward)) =
                self.table.route(admitted, self.port, &mut dice, None)
            else {
                unreachable!("every request meets a route");
            };
            let attempts = forward.attempts(now);
            let picked = self
                .balancer
                .pick(forward.port(), attempts.tried(), now, &mut dice, None)
                .unwrap();
            black_box(picked).finish(Ended::Answered, now);
        });
        [admit, route, pick, all]
    }

    /// The median time of one `decide`, over samples of all requests.
    fn median(&self, mut decide: impl FnMut(&Request<'a>, Mono)) -> f64 {
        let mut now = Mono::since_start(Duration::from_secs(1000));
        let mut samples: Vec<_> = (0..SAMPLES)
            .map(|_| {
                let began = Instant::now();
                for request in &self.requests {
                    now = now + Duration::from_micros(50);
                    decide(black_box(request), now);
                }
                began.elapsed().as_nanos() as f64 / REQUESTS as f64
            })
            .collect();
        samples.sort_by(f64::total_cmp);
        samples[SAMPLES / 2]
    }
}
