//! Many workers count as one.

use std::thread;

use leno_model::Dice;
use leno_telemetry::{Settings, Snapshot, Telemetry};

use crate::world::{Story, call, record};

const SERIES: u64 = 40;

/// Stories drawn from a few edges, with every kind of event.
fn some(count: usize, seed: u64) -> Vec<Story> {
    let mut dice = Dice::new(seed);
    let draw = |dice: &mut Dice| {
        let (edge, millis) = (dice.next_u64() % SERIES, dice.next_u64() % 2_000);
        let story = match dice.next_u64() % 8 {
            0 => format!("shop/web-{edge} -> shop/redis tcp {millis}ms sent=3 received=5"),
            1 => "handshake T005 \"revoked\"".to_owned(),
            2 => format!("shop/web-{edge} -> shop/cart GET cart/ 503 {millis}ms R014"),
            _ => format!("shop/web-{edge} -> shop/cart GET cart/ 200 {millis}ms sent=1 received=2"),
        };
        call(&story)
    };
    (0..count).map(|_| draw(&mut dice)).collect()
}

fn by_one_worker(stories: &[Story]) -> Snapshot {
    let telemetry = Telemetry::new(Settings::default());
    record(&mut telemetry.recorder(), stories);
    telemetry.snapshot()
}

#[test]
fn workers_add_up_to_one() {
    for seed in 0..20 {
        let stories = some(500, seed);
        let telemetry = Telemetry::new(Settings::default());
        let mut workers = [
            telemetry.recorder(),
            telemetry.recorder(),
            telemetry.recorder(),
        ];
        let mut dice = Dice::new(seed);
        for story in &stories {
            let worker = dice.next_u64() as usize % workers.len();
            workers[worker].record(&story.event());
        }
        assert_eq!(telemetry.snapshot(), by_one_worker(&stories), "seed {seed}");
    }
}

#[test]
fn what_a_worker_counted_outlives_it() {
    let stories = some(100, 1);
    let telemetry = Telemetry::new(Settings::default());
    for story in &stories {
        telemetry.recorder().record(&story.event());
    }
    assert_eq!(telemetry.snapshot(), by_one_worker(&stories));
}

#[test]
fn workers_at_once_lose_nothing_and_scrapes_never_go_back() {
    let stories: Vec<_> = (0..4).map(|seed| some(20_000, seed)).collect();
    let telemetry = Telemetry::new(Settings::default());
    thread::scope(|scope| {
        for stories in &stories {
            let telemetry = telemetry.clone();
            scope.spawn(move || record(&mut telemetry.recorder(), stories));
        }
        let mut last = 0;
        while last < 80_000 {
            let snapshot = telemetry.snapshot();
            let series: u64 = snapshot.series.iter().map(|total| total.count).sum();
            let handshakes: u64 = snapshot.handshakes.iter().map(|(_, _, count)| count).sum();
            let told = series + handshakes;
            assert!(told >= last, "{told} after {last}");
            last = told;
        }
    });
    assert_eq!(telemetry.snapshot(), by_one_worker(&stories.concat()));
}

#[test]
fn a_handle_goes_everywhere_and_a_recorder_to_its_worker() {
    fn is_handle<T: Clone + Send + Sync + std::fmt::Debug + 'static>() {}
    fn is_workers<T: Send + std::fmt::Debug + 'static>() {}
    is_handle::<Telemetry>();
    is_workers::<leno_telemetry::Recorder>();
}
