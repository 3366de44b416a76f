//! What goes between services, by kind of call: whatever comes in is counted once, and what is told
//! apart is bounded.

use std::collections::BTreeMap;
use std::time::Duration;

use leno_model::flow::{Flow, Kind, Side, What};
use leno_model::{CallId, Dice, Wall};
use leno_telemetry::{
    Call, Decided, Event, FactOf, FactValue, Facts, Flows, Gathered, Settings, Telemetry, TokenFact,
};

use crate::world::{self, Story, call, record};

/// Flows as people would tell them.
fn told(flow: &Flow) -> String {
    let Flow { kind, sum } = flow;
    let mut told = format!("{} -> {} {}", kind.from, kind.to, kind.what);
    if let What::Requests { status, .. } = kind.what {
        told += &format!(" {status}");
    }
    if kind.side == Side::Destination {
        told += " inbound";
    }
    told += &format!(" {}", kind.security);
    if let Some(route) = &kind.route {
        told += &format!(" {route}");
    }
    if let Some(failure) = &kind.failure {
        let code = failure.code.map_or("answered", |code| code.as_str());
        told += &format!(" {} {code}", failure.fault);
    }
    told += &format!(" x{}", sum.count);
    for (name, value) in [
        ("sent", sum.sent),
        ("received", sum.received),
        ("open_ms", sum.open_ms),
    ] {
        if value > 0 {
            told += &format!(" {name}={value}");
        }
    }
    if sum.example.is_some() {
        told += " example";
    }
    told
}

fn gather(stories: &[Story]) -> Gathered {
    let telemetry = Telemetry::new(Settings::default());
    let flows = telemetry.flows();
    record(&mut telemetry.recorder(), stories);
    flows.gather()
}

fn check(stories: &[&str], expect: &[&str]) {
    let stories: Vec<_> = stories.iter().map(|story| call(story)).collect();
    let gathered = gather(&stories);
    let flows: Vec<_> = gathered.flows.iter().map(told).collect();
    assert_eq!(flows, expect);
    assert_eq!((gathered.folded, gathered.lost), (0, 0));
}

#[test]
fn calls_of_a_kind_are_counted_together() {
    check(
        &[
            "shop/web -> shop/cart GET cart/items/7 200 3ms rule=1 sent=10 received=20",
            "shop/web -> shop/cart GET cart/items/8 200 4ms rule=1 sent=1 received=2 counted=1/1",
            "shop/web -> shop/cart GET cart/items 200 4ms rule=1",
            "shop/web -> shop/cart BREW cart/items 200 4ms",
            "shop/web -> shop/cart GET cart/items/8 503 4ms R014 unsecured",
            "shop/web -> shop/cart GET cart/items/8 500 4ms",
            "shop/web -> shop/cart GET cart/items/8 404 4ms plain=endpoint-not-in-mesh",
            "shop/web -> shop/cart GET cart/items/8 200 4ms copy",
            "unknown -> shop/cart GET cart/items/8 403 0ms R002 inbound plain=caller-not-in-mesh",
            "handshake T005 \"web was revoked\"",
        ],
        &[
            "shop/web -> shop/cart GET /items/{id} 404 endpoint-not-in-mesh x1",
            "shop/web -> shop/cart GET /items/{id} 500 mtls service answered x1 example",
            "shop/web -> shop/cart other /items 200 mtls x1",
            "shop/web -> shop/cart GET /items/{id} 503 none mesh R014 x1 example",
            "shop/web -> shop/cart GET /items 200 mtls HTTPRoute shop/cart rule 1 x1",
            "shop/web -> shop/cart GET /items/{id} 200 mtls HTTPRoute shop/cart rule 1 x2 sent=10 received=21",
            "unknown -> shop/cart GET /items/{id} 403 inbound caller-not-in-mesh caller R002 x1 example",
        ],
    );
}

#[test]
fn a_stream_is_open_until_it_ends_and_counted_then() {
    let telemetry = Telemetry::new(Settings::default());
    let flows = telemetry.flows();
    let mut recorder = telemetry.recorder();
    let opened = call("shop/web -> shop/redis opened 0s rule=1");
    let mut ended =
        call("shop/web -> shop/redis tcp 5s rule=1 sent=10 received=7 counted=4/0 live");
    recorder.record(&opened.event());
    recorder.flow(&ended.flow());
    let mut cut = |seconds| {
        recorder.hand_over(opened.began + Duration::from_secs(seconds));
        flows.gather().flows.iter().map(told).collect::<Vec<_>>()
    };
    let part = "shop/web -> shop/redis tcp mtls HTTPRoute shop/redis rule 1 x0 sent=4 open_ms=2000";
    assert_eq!(cut(2), [part]);
    assert_eq!(
        cut(3),
        ["shop/web -> shop/redis tcp mtls HTTPRoute shop/redis rule 1 x0 open_ms=1000"]
    );
    recorder.record(&ended.event());
    let rest = "shop/web -> shop/redis tcp mtls HTTPRoute shop/redis rule 1 x1 sent=6 received=7 open_ms=2000";
    ended.opened = false;
    recorder.hand_over(opened.began + Duration::from_secs(9));
    assert_eq!(
        flows.gather().flows.iter().map(told).collect::<Vec<_>>(),
        [rest]
    );
    assert!(!recorder.holds_flows());
}

#[test]
fn nothing_is_counted_before_somebody_wants_it_or_twice() {
    let telemetry = Telemetry::new(Settings::default());
    let mut recorder = telemetry.recorder();
    let story = call("shop/web -> shop/cart GET cart/ 200 1ms");
    recorder.record(&story.event());
    assert!(!recorder.holds_flows());
    let flows = telemetry.flows();
    recorder.record(&story.event());
    recorder.hand_over(Wall::default());
    assert_eq!(flows.gather().flows.len(), 1);
    assert_eq!(flows.gather().flows.len(), 0);
}

/// What rules ask about one request.
#[derive(Debug)]
struct Told(String);

impl Facts for Told {
    fn each(&self, tell: &mut dyn FnMut(FactOf, &str, FactValue<'_>)) {
        tell(FactOf::Header, "x-user", FactValue::Is(&self.0));
        tell(FactOf::Header, "authorization", FactValue::Secret);
        tell(FactOf::Query, "v", FactValue::Absent);
    }

    fn token(&self, tell: &mut dyn FnMut(TokenFact<'_>)) {
        match &*self.0 {
            "0" => tell(TokenFact::None),
            _ => tell(TokenFact::Claim("role", FactValue::Is("\"admin\""))),
        }
        tell(TokenFact::Claim("card", FactValue::Secret));
    }

    fn host(&self) -> Option<&str> {
        Some("cart.shop")
    }
}

#[test]
fn what_rules_ask_is_told_apart_up_to_a_bound() {
    let telemetry = Telemetry::new(Settings::default());
    let flows = telemetry.flows();
    let mut recorder = telemetry.recorder();
    let story = call("shop/web -> shop/cart GET cart/items 200 1ms inbound");
    for number in 0..1_000 {
        let told = Told((number % 20).to_string());
        let Event::Call(call) = story.event() else {
            unreachable!("the story is one of a call");
        };
        recorder.record(&Event::Call(Call {
            decided: Decided {
                facts: Some(&told),
                ..call.decided
            },
            ..call
        }));
    }
    recorder.hand_over(Wall::default());
    let gathered = flows.gather();
    assert_eq!(size(&gathered), (1_000, 8 + 1));
    let facts = gathered.flows.iter();
    let mut facts = facts.map(|flow| flow.kind.facts.as_ref().map(|facts| facts.as_str()));
    assert_eq!(facts.next(), Some(Some("@=cart.shop\nhx-user=0\nqv\nt\n")));
    let with_token = "@=cart.shop\nhx-user=1\nqv\ncrole=\"admin\"\n";
    assert_eq!(facts.next(), Some(Some(with_token)));
    assert_eq!(facts.next_back(), Some(Some("other")));
}

/// How many calls are counted in all, and in how many flows.
fn size(gathered: &Gathered) -> (u64, usize) {
    let count = gathered.flows.iter().map(|flow| flow.sum.count).sum();
    (count, gathered.flows.len())
}

#[test]
fn what_a_client_asks_for_makes_few_kinds_and_totals_stay_exact() {
    let telemetry = Telemetry::new(Settings::default());
    let flows = telemetry.flows();
    let mut recorder = telemetry.recorder();
    let mut story = call("unknown -> shop/cart GET cart/ 404 1ms inbound rule=1 sent=2");
    for number in 0_u32..100_000 {
        if let world::What::Call { path, .. } = &mut story.what {
            // A word: nothing of it is folded.
            let letters = number.to_be_bytes().map(|byte| {
                let (high, low) = (b'g' + byte / 16, b'g' + byte % 16);
                [high.into(), low.into()]
            });
            *path = letters
                .concat()
                .into_iter()
                .collect::<Vec<char>>()
                .iter()
                .collect();
            path.insert(0, '/');
        }
        recorder.record(&story.event());
    }
    recorder.hand_over(Wall::default());
    let gathered = flows.gather();
    assert_eq!(size(&gathered), (100_000, 65));
    assert_eq!(gathered.folded, 100_000 - 64);
    let sent: u64 = gathered.flows.iter().map(|flow| flow.sum.sent).sum();
    assert_eq!(sent, 200_000);
}

#[test]
fn however_many_edges_there_are_kinds_are_bounded() {
    let telemetry = Telemetry::new(Settings::default());
    let flows = telemetry.flows();
    let mut recorder = telemetry.recorder();
    let mut story = call("shop/web -> shop/cart GET cart/ 200 1ms");
    for edge in 0..9_000 {
        story.source = format!("shop/web-{edge}");
        recorder.record(&story.event());
    }
    recorder.hand_over(Wall::default());
    let gathered = flows.gather();
    assert_eq!(size(&gathered), (9_000, 2_048 + 1));
    assert_eq!(&*gathered.flows[0].kind.from, Kind::OTHER);
}

#[test]
fn tables_that_nobody_gathers_are_counted_as_lost() {
    let telemetry = Telemetry::new(Settings::default());
    let flows = telemetry.flows();
    let mut recorder = telemetry.recorder();
    let story = call("shop/web -> shop/cart GET cart/ 200 1ms");
    for _ in 0..300 {
        recorder.record(&story.event());
        recorder.hand_over(Wall::default());
    }
    let gathered = flows.gather();
    assert_eq!((size(&gathered).0, gathered.lost), (256, 44));
}

/// The definition: a map, and no bounds.
#[test]
fn what_workers_count_is_what_a_map_would_hold() {
    let mut dice = Dice::new(11);
    let mut pick = |of: &[&'static str]| of[dice.next_u64() as usize % of.len()];
    let telemetry = Telemetry::new(Settings::default());
    let flows = telemetry.flows();
    let mut workers = [telemetry.recorder(), telemetry.recorder()];
    let mut naive = BTreeMap::<String, (u64, u64)>::new();
    let mut seen = BTreeMap::<String, (u64, u64)>::new();
    let gather = |flows: &Flows, seen: &mut BTreeMap<String, (u64, u64)>| {
        for Flow { kind, sum } in flows.gather().flows {
            let entry = seen.entry(format!("{kind:?}")).or_default();
            *entry = (entry.0 + sum.count, entry.1 + sum.sent);
            assert_eq!(sum.took.count(), sum.count);
        }
    };
    for round in 0..5_000 {
        let story = format!(
            "{} -> {} {} cart{} {} 1ms sent={round} {}",
            pick(&["shop/web", "shop/mail", "unknown"]),
            pick(&["shop/cart", "shop/pay"]),
            pick(&["GET", "POST"]),
            pick(&["/", "/a", "/b/7", "/b/8"]),
            pick(&["200", "404", "503"]),
            pick(&["inbound", "R014", "rule=1", "plain=why"]),
        );
        let story = call(&story);
        let worker = &mut workers[round % 2];
        worker.record(&story.event());
        if round % 97 == 0 {
            worker.hand_over(Wall::default());
            gather(&flows, &mut seen);
        }
        let entry = naive.entry(kind(&story)).or_default();
        *entry = (entry.0 + 1, entry.1 + round as u64);
    }
    drop(workers);
    gather(&flows, &mut seen);
    assert_eq!(seen, naive);
}

/// The kind of one call, as it is when it is counted alone.
fn kind(story: &Story) -> String {
    let Event::Call(_) = story.event() else {
        panic!("a call");
    };
    let gathered = gather(std::slice::from_ref(story));
    format!("{:?}", gathered.flows[0].kind)
}

/// What is remembered of calls, as people would tell it.
fn passed(telemetry: &Telemetry, digits: &str) -> Vec<String> {
    let passed = telemetry.passed(digits).into_iter();
    let passed = passed.map(|passed| {
        let (kind, at) = (passed.kind, passed.ended.elapsed_since_epoch().as_secs());
        let code = kind.failure.and_then(|failure| failure.code);
        let code = code.map_or("-", |code| code.as_str());
        let (alike, failed) = (passed.alike, passed.failed);
        let asked = format!("{} -> {} {}", kind.from, kind.to, kind.what);
        format!("{asked} {code} at {at}, {failed} of {alike} failed")
    });
    passed.collect()
}

/// A call that is over a second after the epoch, whose id begins with `id`.
fn named(story: &str, id: u32) -> Story {
    let mut story = call(story);
    story.id = CallId::of_number(u128::from(id) << 96 | 7);
    story.began = Wall::since_epoch(Duration::from_secs(1));
    story
}

#[test]
fn of_calls_that_are_not_kept_the_kind_is_remembered() {
    let telemetry = Telemetry::new(Settings::default());
    let flows = telemetry.flows();
    let mut recorder = telemetry.recorder();
    let stories = [
        named(
            "shop/web -> shop/cart GET cart/items/7 200 3ms",
            0x7c1e_4b02,
        ),
        named(
            "shop/web -> shop/cart GET cart/items/8 503 3ms R014",
            0x7c1e_4b03,
        ),
        named(
            "shop/web -> shop/cart GET cart/items/9 200 3ms inbound",
            0x7c1e_4b02,
        ),
        named("shop/web -> shop/redis tcp 0s", 0x7c1e_4b04),
    ];
    record(&mut recorder, &stories);
    assert!(passed(&telemetry, "7c1e4b02").is_empty());
    recorder.hand_over(Wall::default());
    flows.gather();
    check_passed(
        &telemetry,
        "7c1e4b02",
        &[
            "shop/web -> shop/cart GET /items/{id} - at 1, 1 of 2 failed",
            "shop/web -> shop/cart GET /items/{id} - at 1, 0 of 1 failed",
        ],
    );
    let failed = "shop/web -> shop/cart GET /items/{id} R014 at 1, 1 of 2 failed";
    check_passed(&telemetry, "7c1e4b03", &[failed]);
    check_passed(&telemetry, "7c1e4b0300000000", &[failed]);
    check_passed(&telemetry, "7c1e4b03000000000000000000000007", &[failed]);
    check_passed(&telemetry, "7c1e4b0300000001", &[]);
    check_passed(&telemetry, "7c1e4b0", &[]);
    check_passed(&telemetry, "7c1e4b99", &[]);
    check_passed(&telemetry, "no digits", &[]);
    let stream = "shop/web -> shop/redis tcp - at 1, 0 of 1 failed";
    check_passed(&telemetry, "7c1e4b04", &[stream]);
}

#[test]
fn kinds_that_a_client_makes_up_do_not_stay() {
    let telemetry = Telemetry::new(Settings::default());
    let _flows = telemetry.flows();
    let mut recorder = telemetry.recorder();
    for kind in 0..2_000 {
        let mut story = named("shop/web -> shop/cart GET cart/ 200 3ms", kind);
        story.source = format!("shop/web-{kind}");
        record(&mut recorder, &[story]);
        recorder.hand_over(Wall::default());
    }
    check_passed(&telemetry, "00000001", &[]);
    let last = "shop/web-1999 -> shop/cart GET / - at 1, 0 of 1 failed";
    check_passed(&telemetry, "000007cf", &[last]);
}

fn check_passed(telemetry: &Telemetry, digits: &str, expect: &[&str]) {
    assert_eq!(passed(telemetry, digits), expect, "{digits}");
}

#[test]
fn from_where_one_calls_is_kept_of_those_who_prove_nothing() {
    let calls = [
        "unknown -> shop/cart GET cart/items 200 1ms inbound plain=caller-not-in-mesh",
        "probe -> shop/cart GET cart/healthz 200 1ms inbound plain=probe",
        "shop/web -> shop/cart GET cart/items 200 1ms inbound",
    ];
    let gathered = gather(&calls.map(call));
    let kinds = gathered.flows.iter().map(|flow| &flow.kind);
    let kept: BTreeMap<_, _> = kinds
        .map(|kind| (&*kind.from, kind.peer.map(|at| at.to_string())))
        .collect();
    let address = Some("10.2.0.3".to_owned());
    let expect = [
        ("probe", address.clone()),
        ("shop/web", None),
        ("unknown", address),
    ];
    assert_eq!(kept, BTreeMap::from(expect));
}
