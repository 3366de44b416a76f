//! Who watches sees what it asked for, up to its limit.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use leno_model::{Code, Wall};
use leno_telemetry::{Event, Filter, Record, Settings, Tap, Telemetry};

use crate::world::{Story, call, record};

const CALL: &str = "shop/web -> shop/cart GET cart/items 200 3ms rule=1";
const FAILED: &str = "shop/cart -> shop/pay GET pay/ 503 3ms R014";
const STREAM: &str = "shop/cart -> shop/redis tcp 3s";
const PLAIN: &str = "unknown -> shop/cart GET cart/ 403 0ms inbound R002";
const HANDSHAKE: &str = "handshake T005 \"revoked\"";

fn check(filter: Filter, expect: &[&str]) {
    let telemetry = Telemetry::new(Settings::default());
    let mut tap = telemetry.tap(filter.clone(), Tap::LIMIT);
    record(
        &mut telemetry.recorder(),
        &[CALL, FAILED, STREAM, PLAIN, HANDSHAKE].map(call),
    );
    let seen: Vec<_> = std::iter::from_fn(|| tap.try_next()).collect();
    let expect: Vec<_> = expect
        .iter()
        .map(|story| Record::of(&call(story).event()))
        .collect();
    assert_eq!(seen, expect, "{filter:?}");
}

fn party(name: &str) -> Option<String> {
    Some(name.to_owned())
}

#[test]
fn a_filter_is_asked_before_anything_is_copied() {
    let all = Filter::default;
    check(all(), &[CALL, FAILED, STREAM, PLAIN, HANDSHAKE]);
    check(
        Filter {
            failed: true,
            ..all()
        },
        &[FAILED, PLAIN, HANDSHAKE],
    );
    check(
        Filter {
            party: party("shop/cart"),
            ..all()
        },
        &[CALL, FAILED, STREAM, PLAIN],
    );
    check(
        Filter {
            party: party("shop/pay"),
            ..all()
        },
        &[FAILED],
    );
    check(
        Filter {
            from: party("shop/cart"),
            ..all()
        },
        &[FAILED, STREAM],
    );
    check(
        Filter {
            to: party("shop/cart"),
            ..all()
        },
        &[CALL, PLAIN],
    );
    check(
        Filter {
            from: party("unknown"),
            failed: true,
            ..all()
        },
        &[PLAIN, HANDSHAKE],
    );
    check(
        Filter {
            method: party("GET"),
            path: party("/items"),
            ..all()
        },
        &[CALL],
    );
    check(
        Filter {
            status: Some((500, 599)),
            ..all()
        },
        &[FAILED],
    );
    check(
        Filter {
            code: Some(Code::R002),
            ..all()
        },
        &[PLAIN],
    );
    check(
        Filter {
            code: Some(Code::T005),
            ..all()
        },
        &[HANDSHAKE],
    );
    check(
        Filter {
            party: party("shop/nobody"),
            ..all()
        },
        &[],
    );
}

#[test]
fn a_record_gives_back_the_event() {
    for story in [CALL, FAILED, STREAM, PLAIN, HANDSHAKE] {
        let story = call(story);
        let record = Record::of(&story.event());
        assert_eq!(
            format!("{:?}", record.event()),
            format!("{:?}", story.event())
        );
    }
}

#[test]
fn a_record_keeps_so_much_of_what_a_client_chose() {
    let path = "x".repeat(100_000);
    let story = call(&format!("shop/web -> shop/cart GET cart/{path} 200 3ms"));
    let record = Record::of(&story.event());
    let Event::Call(kept) = record.event() else {
        panic!("{record:?}");
    };
    assert_eq!(kept.path, format!("/{}...", "x".repeat(1023)));
}

/// Stories one after another, so many milliseconds apart.
fn every(millis: u64, count: u64) -> Vec<Story> {
    let at = |number| Wall::since_epoch(Duration::from_millis(1_000_000 + number * millis));
    let story = |number| Story {
        began: at(number),
        ..call(CALL)
    };
    (0..count).map(story).collect()
}

#[test]
fn over_the_limit_events_are_dropped_and_counted() {
    let telemetry = Telemetry::new(Settings::default());
    let mut tap = telemetry.tap(Filter::default(), 100);
    let mut recorder = telemetry.recorder();
    let mut seen = 0;
    // A thousand a second for three seconds.
    for story in every(1, 3_000) {
        recorder.record(&story.event());
        seen += usize::from(tap.try_next().is_some());
    }
    assert_eq!((seen, tap.dropped()), (399, 2_601));
    assert_eq!(telemetry.snapshot().tap_dropped, 2_601);
}

#[test]
fn who_does_not_read_costs_a_bounded_queue() {
    let telemetry = Telemetry::new(Settings::default());
    let mut tap = telemetry.tap(Filter::default(), u32::MAX);
    record(&mut telemetry.recorder(), &every(1, 1_000));
    let seen = std::iter::from_fn(|| tap.try_next()).count() as u64;
    assert!(seen > 0 && seen < 1_000, "{seen}");
    assert_eq!(seen + tap.dropped(), 1_000);
}

#[test]
fn taps_come_and_go() {
    let telemetry = Telemetry::new(Settings::default());
    let mut recorder = telemetry.recorder();
    let story = call(CALL);
    recorder.record(&story.event());
    let mut first = telemetry.tap(Filter::default(), Tap::LIMIT);
    assert!(first.try_next().is_none(), "what was before is not shown");
    let mut second = telemetry.tap(Filter::default(), Tap::LIMIT);
    recorder.record(&story.event());
    drop(second.try_next().unwrap());
    drop(second);
    recorder.record(&story.event());
    assert_eq!(std::iter::from_fn(|| first.try_next()).count(), 2);
    drop(first);
    recorder.record(&story.event());
    assert_eq!(telemetry.snapshot().tap_dropped, 0);
}

#[test]
fn a_reader_waits_for_the_next_event() {
    let telemetry = Telemetry::new(Settings::default());
    let mut tap = telemetry.tap(Filter::default(), Tap::LIMIT);
    let mut next = pin!(tap.next());
    let mut context = Context::from_waker(Waker::noop());
    assert!(next.as_mut().poll(&mut context).is_pending());
    telemetry.recorder().record(&call(CALL).event());
    assert!(matches!(next.as_mut().poll(&mut context), Poll::Ready(_)));
}
