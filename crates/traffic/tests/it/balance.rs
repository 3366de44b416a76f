//! Which endpoint takes a call, as stories with the time passed in.

use std::collections::BTreeMap;
use std::time::Duration;

use leno_model::{Code, Dice, Mono};
use leno_traffic::{Balancer, Ended, Picked, Refusal, Scope, Table, Tried};

use crate::world::{World, at, port};

/// A worker that calls `cart`.
struct Worker {
    table: Table,
    balancer: Balancer,
    dice: Dice,
    now: Mono,
}

impl Worker {
    fn new(endpoints: &[&str]) -> Self {
        let table = table(endpoints);
        Self {
            balancer: Balancer::new(&table),
            table,
            dice: Dice::new(5),
            now: at(1_000_000),
        }
    }

    fn pick(&mut self, tried: &Tried) -> Result<Picked, Refusal> {
        let cart = self.table.port(&port("cart")).unwrap();
        self.balancer
            .pick(cart, tried, self.now, &mut self.dice, None)
    }

    fn wait(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
    }

    /// One call after another, each answered as `answers` says; how many each endpoint got.
    fn calls(
        &mut self,
        count: u32,
        answers: impl Fn(&str) -> (Ended, u64),
    ) -> BTreeMap<String, u32> {
        let mut got = BTreeMap::new();
        for _ in 0..count {
            let picked = self.pick(&Tried::default()).unwrap();
            let name = name(&picked);
            let (ended, millis) = answers(&name);
            self.wait(millis);
            picked.finish(ended, self.now);
            *got.entry(name).or_default() += 1;
        }
        got
    }
}

fn table(endpoints: &[&str]) -> Table {
    let world = World::new()
        .service("cart", &[])
        .endpoints("cart", endpoints);
    Table::new(world.view(), Scope::Whole)
}

fn name(picked: &Picked) -> String {
    picked.endpoint().workload.name.to_string()
}

const THREE: [&str; 3] = ["a 10.0.0.1:80", "b 10.0.0.2:80", "c 10.0.0.3:80"];
const TWO: [&str; 2] = ["a 10.0.0.1:80", "b 10.0.0.2:80"];

#[test]
fn equal_endpoints_share_equally() {
    let got = Worker::new(&THREE).calls(3000, |_| (Ended::Answered, 10));
    assert!(
        got.values().all(|count| count.abs_diff(1000) < 150),
        "{got:?}"
    );
}

#[test]
fn weights_hold_between_equal_endpoints() {
    let mut worker = Worker::new(&["a 10.0.0.1:80 *3", "b 10.0.0.2:80"]);
    let got = worker.calls(4000, |_| (Ended::Answered, 10));
    assert!(got["a"].abs_diff(3000) < 150, "{got:?}");
}

#[test]
fn weights_hold_under_load_too() {
    let mut worker = Worker::new(&["a 10.0.0.1:80 *3", "b 10.0.0.2:80"]);
    let open: Vec<_> = (0..400)
        .map(|_| worker.pick(&Tried::default()).unwrap())
        .collect();
    let to_a = open.iter().filter(|picked| name(picked) == "a").count();
    assert!(to_a.abs_diff(300) < 25, "{to_a}");
}

#[test]
fn a_slow_endpoint_gets_less_at_once_and_more_again_when_it_recovers() {
    let mut worker = Worker::new(&TWO);
    let slow = worker.calls(1000, |name| {
        (Ended::Answered, if name == "a" { 500 } else { 10 })
    });
    assert!(slow["a"] < 60, "{slow:?}");
    worker.wait(60_000);
    let well = worker.calls(1000, |_| (Ended::Answered, 10));
    assert!(well["a"] > 400, "{well:?}");
}

#[test]
fn one_slow_answer_counts_at_once_and_is_forgotten_slowly() {
    let mut worker = Worker::new(&["a 10.0.0.1:80"]);
    let mut latency_after = |millis: u64, wait: u64| {
        worker.calls(1, |_| (Ended::Answered, millis));
        worker.wait(wait);
        let picked = worker.pick(&Tried::default()).unwrap();
        picked.draw().chosen.latency.unwrap().as_millis()
    };
    assert_eq!(latency_after(10, 0), 10);
    assert_eq!(latency_after(400, 0), 400);
    assert!((380..400).contains(&latency_after(10, 0)));
    assert!((150..220).contains(&latency_after(10, 10_000)));
    assert!((90..120).contains(&latency_after(10, 10_000)));
}

/// An endpoint that answers 500 in a millisecond must not look like the fastest one.
#[test]
fn failing_fast_attracts_nobody() {
    let mut worker = Worker::new(&THREE);
    let got = worker.calls(3000, |name| match name {
        "a" => (Ended::Failed, 1),
        _ => (Ended::Answered, 20),
    });
    assert!(got["a"] < 60, "{got:?}");
    worker.wait(120_000);
    let well = worker.calls(3000, |_| (Ended::Answered, 20));
    assert!(well["a"] > 800, "{well:?}");
}

#[test]
fn an_endpoint_that_cannot_be_reached_is_left_alone_after_a_call_or_two() {
    let mut worker = Worker::new(&THREE);
    let got = worker.calls(300, |name| match name {
        "a" => (Ended::Unreached, 1),
        _ => (Ended::Answered, 20),
    });
    assert!(got["a"] <= 3, "{got:?}");
}

#[test]
fn where_all_fail_alike_they_still_share() {
    let got = Worker::new(&THREE).calls(3000, |_| (Ended::Failed, 1));
    assert!(
        got.values().all(|count| count.abs_diff(1000) < 200),
        "{got:?}"
    );
}

#[test]
fn calls_in_flight_push_the_next_ones_aside() {
    let mut worker = Worker::new(&TWO);
    let open: Vec<_> = (0..20)
        .map(|_| worker.pick(&Tried::default()).unwrap())
        .collect();
    let to_a = open.iter().filter(|picked| name(picked) == "a").count();
    assert!((8..=12).contains(&to_a), "{to_a}");
}

#[test]
fn a_cold_endpoint_is_not_flooded() {
    let mut worker = Worker::new(&THREE[..2]);
    worker.calls(100, |_| (Ended::Answered, 20));
    worker.table = table(&THREE);
    worker.balancer.adopt(&worker.table);
    let open: Vec<_> = (0..30)
        .map(|_| worker.pick(&Tried::default()).unwrap())
        .collect();
    let to_c = open.iter().filter(|picked| name(picked) == "c").count();
    assert!((7..=13).contains(&to_c), "{to_c}");
}

#[test]
fn a_call_that_is_cancelled_is_no_longer_in_flight() {
    let mut worker = Worker::new(&["a 10.0.0.1:80"]);
    let open: Vec<_> = (0..5)
        .map(|_| worker.pick(&Tried::default()).unwrap())
        .collect();
    assert_eq!(open[4].draw().chosen.in_flight, 4);
    drop(open);
    let picked = worker.pick(&Tried::default()).unwrap();
    assert_eq!(picked.draw().chosen.in_flight, 0);
    assert_eq!(picked.draw().chosen.latency, None);
}

/// Whoever gives up after a second must not make a hung endpoint look as fast as the others.
#[test]
fn calls_that_are_given_up_teach_how_long_they_waited() {
    let mut worker = Worker::new(&TWO);
    let mut hung = 0;
    for _ in 0..300 {
        let picked = worker.pick(&Tried::default()).unwrap();
        if name(&picked) == "a" {
            hung += 1;
            worker.wait(1000);
            let meanwhile = worker.pick(&Tried::default()).unwrap();
            meanwhile.finish(Ended::Answered, worker.now);
            drop(picked);
        } else {
            worker.wait(20);
            picked.finish(Ended::Answered, worker.now);
        }
    }
    assert!(hung < 10, "{hung}");
}

#[test]
fn a_stream_stays_in_flight_until_it_ends() {
    let mut worker = Worker::new(&["a 10.0.0.1:80"]);
    let mut stream = worker.pick(&Tried::default()).unwrap();
    worker.wait(30);
    stream.connected(worker.now);
    worker.wait(500_000);
    let seen = *worker.pick(&Tried::default()).unwrap().draw();
    assert_eq!(seen.chosen.in_flight, 1);
    assert!(seen.chosen.latency.unwrap() < Duration::from_millis(30));
    drop(stream);
    assert_eq!(
        worker
            .pick(&Tried::default())
            .unwrap()
            .draw()
            .chosen
            .in_flight,
        0
    );
}

#[test]
fn only_the_ready_are_picked_then_the_unknown_never_the_draining() {
    let picks = |endpoints: &[&str]| {
        let got = Worker::new(endpoints).calls(50, |_| (Ended::Answered, 1));
        got.into_keys().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        picks(&[
            "a 10.0.0.1:80",
            "b 10.0.0.2:80 unknown",
            "c 10.0.0.3:80 draining"
        ]),
        "a"
    );
    assert_eq!(
        picks(&["b 10.0.0.2:80 unknown", "c 10.0.0.3:80 draining"]),
        "b"
    );
    let refused = |endpoints: &[&str]| {
        Worker::new(endpoints)
            .pick(&Tried::default())
            .unwrap_err()
            .code()
    };
    assert_eq!(refused(&["c 10.0.0.3:80 draining"]), Code::R014);
    assert_eq!(refused(&[]), Code::R013);
}

#[test]
fn a_retry_goes_elsewhere_while_there_is_an_elsewhere() {
    for seed in 0..50 {
        let mut worker = Worker::new(&THREE);
        worker.dice = Dice::new(seed);
        let mut tried = Tried::default();
        let mut order = vec![];
        for _ in 0..3 {
            let picked = worker.pick(&tried).unwrap();
            tried.add(&picked);
            order.push(name(&picked));
            picked.finish(Ended::Unreached, worker.now);
        }
        order.sort();
        assert_eq!(order, ["a", "b", "c"]);
        drop(worker.pick(&tried).unwrap());
    }
}

#[test]
fn what_is_known_of_an_endpoint_outlives_a_view_and_what_left_is_forgotten() {
    let mut worker = Worker::new(&TWO);
    worker.calls(20, |_| (Ended::Answered, 20));
    let held = worker.pick(&Tried::default()).unwrap();
    let name_held = name(&held);
    worker.table = table(&["b 10.0.0.2:80", "a 10.0.0.1:80", "c 10.0.0.3:80"]);
    worker.balancer.adopt(&worker.table);
    for _ in 0..50 {
        let picked = worker.pick(&Tried::default()).unwrap();
        let seen = picked.draw().chosen;
        assert_eq!(seen.latency.is_some(), name(&picked) != "c");
        assert_eq!(seen.in_flight, u32::from(name(&picked) == name_held));
    }
    assert_eq!(name(&held), name_held);
}

#[test]
fn the_draw_tells_who_was_compared_and_how() {
    let mut worker = Worker::new(&THREE);
    let picked = worker.pick(&Tried::default()).unwrap();
    let draw = *picked.draw();
    assert_eq!((draw.known, draw.usable), (3, 3));
    let other = draw.other.unwrap();
    assert_ne!(draw.chosen.index, other.index);
    let rolls = (draw.chosen.roll.unwrap(), other.roll.unwrap());
    assert!(rolls.0.value < rolls.0.of.get() && rolls.1.value < rolls.1.of.get());
}

#[test]
fn a_port_of_an_older_table_still_finds_its_endpoints() {
    let mut worker = Worker::new(&TWO);
    let newer = World::new()
        .services(&["aardvark", "cart"])
        .endpoints("cart", &TWO)
        .endpoints("aardvark", &["x 10.0.0.9:80"]);
    worker
        .balancer
        .adopt(&Table::new(newer.view(), Scope::Whole));
    let got = worker.calls(100, |_| (Ended::Answered, 5));
    assert_eq!(got.into_keys().collect::<Vec<_>>(), ["a", "b"]);
    worker
        .balancer
        .adopt(&Table::new(World::new().view(), Scope::Whole));
    assert_eq!(
        worker.pick(&Tried::default()).unwrap_err().code(),
        Code::R013
    );
}
