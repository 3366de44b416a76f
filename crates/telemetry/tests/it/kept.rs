//! What failed is kept, and the slowest, and some of the rest: within a room that has a bound.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use allocation_counter::measure;
use leno_model::{CallId, Code, Dice, Wall};
use leno_telemetry::{
    Call, Decided, Endpoints, Event, FactOf, FactValue, Facts, FailedTry, Kept, Record, Reporter,
    Settings, Telemetry, Unusable,
};

use crate::world::{Story, What, call, record};

const SERVED: &str = "shop/web -> shop/cart GET cart/items 200 3ms";
const FAILED: &str = "shop/web -> shop/cart GET cart/items 503 3ms R014";

/// The same story so many milliseconds after the beginning.
fn after(millis: u64, story: &str) -> Story {
    Story {
        began: Wall::since_epoch(Duration::from_millis(1_000_000 + millis)),
        ..call(story)
    }
}

fn kept(stories: &[Story]) -> Kept {
    let telemetry = Telemetry::new(Settings::default());
    record(&mut telemetry.recorder(), stories);
    telemetry.kept()
}

fn failed(record: &Record) -> bool {
    record.event().fault().is_some()
}

#[test]
fn a_quiet_process_keeps_everything_that_ended() {
    let stories = [
        after(0, SERVED),
        after(300, FAILED),
        after(600, "shop/web -> shop/redis opened 0s"),
        after(900, "shop/web -> shop/redis tcp 1s"),
        after(2_000, "handshake T005 \"revoked\""),
    ];
    let expect = [&stories[0], &stories[1], &stories[3], &stories[4]];
    let kept = kept(&stories);
    let records: Vec<_> = kept
        .records
        .iter()
        .map(|record| (**record).clone())
        .collect();
    assert_eq!(records, expect.map(|story| Record::of(&story.event())));
    assert_eq!(kept.dropped, 0);
}

#[test]
fn what_fails_is_kept_up_to_a_rate() {
    // A thousand a second for ten seconds, and one that is served between each two.
    let stories: Vec<_> = (0..10_000)
        .flat_map(|millis| [after(millis, FAILED), after(millis, SERVED)])
        .collect();
    let kept = kept(&stories);
    let (bad, good): (Vec<_>, Vec<_>) = kept.records.iter().partition(|record| failed(record));
    assert_eq!(bad.len(), 1_099);
    assert_eq!(bad.len() as u64 + kept.dropped, 10_000);
    let most = 11 * (Kept::SLOWEST + Kept::SAMPLED);
    assert!(good.len() <= most, "{}", good.len());
}

/// The slowest of each second, by their definition.
fn naive(stories: &[Story]) -> BTreeSet<CallId> {
    let mut seconds = BTreeMap::<u64, Vec<&Story>>::new();
    for story in stories {
        let second = story.event().ended().elapsed_since_epoch().as_secs();
        seconds.entry(second).or_default().push(story);
    }
    let slowest = seconds.into_values().flat_map(|mut of_second| {
        of_second.sort_by_key(|story| story.took);
        of_second.into_iter().rev().take(Kept::SLOWEST)
    });
    slowest.map(|story| story.id).collect()
}

#[test]
fn the_slowest_of_each_second_are_kept() {
    let dice = &mut Dice::new(7);
    let mut stories: Vec<_> = (0..20_000)
        .map(|number| Story {
            id: CallId::roll(dice),
            took: Duration::from_nanos(dice.next_u64() % 1_000_000_000),
            ..after(number / 2, SERVED)
        })
        .collect();
    stories.sort_by_key(|story| story.event().ended());
    let ids = kept(&stories)
        .records
        .iter()
        .map(|record| id(record))
        .collect::<BTreeSet<_>>();
    let slowest = naive(&stories);
    let lost: Vec<_> = slowest.difference(&ids).collect();
    assert!(lost.is_empty(), "{lost:?}");
    let seconds = 12;
    assert!(ids.len() <= seconds * (Kept::SLOWEST + Kept::SAMPLED));
}

fn id(record: &Record) -> CallId {
    match record.event() {
        Event::Call(call) => call.id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn both_proxies_of_a_call_keep_the_same() {
    let dice = &mut Dice::new(8);
    // The slowest are none of these: what is left is chosen by id.
    let slow = (0..Kept::SLOWEST as u64).map(|number| Story {
        took: Duration::from_millis(900),
        ..after(number, SERVED)
    });
    let quick: Vec<_> = (0..500)
        .map(|number| Story {
            id: CallId::roll(dice),
            took: Duration::from_millis(1),
            ..after(number, SERVED)
        })
        .collect();
    let side = |reporter| {
        let quick = quick.iter().cloned();
        let all = slow
            .clone()
            .chain(quick)
            .map(|story| Story { reporter, ..story });
        let kept = kept(&all.collect::<Vec<_>>());
        kept.records
            .iter()
            .map(|record| id(record))
            .collect::<BTreeSet<_>>()
    };
    let sampled = side(Reporter::Source);
    assert_eq!(sampled, side(Reporter::Destination));
    let mut ids: Vec<_> = quick.iter().map(|story| story.id).collect();
    ids.sort();
    assert!(
        ids.iter()
            .take(Kept::SAMPLED)
            .all(|id| sampled.contains(id))
    );
}

#[test]
fn what_was_refused_elsewhere_is_kept_here_too() {
    let denied = "shop/web -> shop/pay GET pay/ledger 403 1ms";
    let busy = (0..2_000).map(|number| after(number / 2, SERVED));
    let stories: Vec<_> = busy.chain([after(500, denied)]).collect();
    let kept = kept(&stories);
    let told = Record::of(&stories[2_000].event());
    assert!(kept.records.iter().any(|record| **record == told));
}

#[test]
fn a_million_paths_stay_within_the_bound() {
    let bytes = Settings::default().kept;
    let telemetry = Telemetry::new(Settings::default());
    let mut recorders = [telemetry.recorder(), telemetry.recorder()];
    let mut story = after(0, FAILED);
    let mut number = 0_u64;
    // Until both are full, so that what is measured is all there is.
    let measured = measure(|| {
        while number < 1_000_000 {
            story.began = Wall::since_epoch(Duration::from_millis(1_000_000 + number));
            if let What::Call { path, status, .. } = &mut story.what {
                *path = format!("/{number}/{}", "x".repeat(number as usize % 700));
                *status = if number.is_multiple_of(3) { 200 } else { 503 };
            }
            recorders[number as usize % 2].record(&story.event());
            number += 1;
        }
    });
    let held = telemetry.kept().records;
    assert!(held.len() > 1_000, "{}", held.len());
    assert!(held.iter().any(|record| failed(record)));
    assert!(measured.bytes_max < bytes as u64, "{measured:?}");
}

#[test]
fn who_asks_holds_up_nobody_and_sees_all_workers() {
    let telemetry = Telemetry::new(Settings::default());
    let mut recorders = [telemetry.recorder(), telemetry.recorder()];
    recorders[1].record(&after(5, FAILED).event());
    recorders[0].record(&after(0, SERVED).event());
    let before = telemetry.kept();
    recorders[0].record(&after(9, SERVED).event());
    drop(recorders);
    let began = |kept: &Kept| {
        let records = kept.records.iter();
        records
            .map(|record| record.event().ended())
            .collect::<Vec<_>>()
    };
    assert!(began(&before).is_sorted());
    assert_eq!(
        (before.records.len(), telemetry.kept().records.len()),
        (2, 3)
    );
}

/// As many facts as a view can make rules ask for, and more.
#[derive(Debug)]
struct Many;

impl Facts for Many {
    fn each(&self, tell: &mut dyn FnMut(FactOf, &str, FactValue<'_>)) {
        let value = "v".repeat(1_000);
        for number in 0..100 {
            let name = format!("x-header-that-a-rule-asks-for-{number}");
            let value = FactValue::of(&name, Some(value.as_bytes()));
            tell(FactOf::Header, &name, value);
        }
    }
}

#[test]
fn what_was_decided_stays_within_the_bound_too() {
    let bytes = Settings::default().kept;
    let telemetry = Telemetry::new(Settings::default());
    let mut recorder = telemetry.recorder();
    let endpoint = "10.2.1.7:8080".parse().unwrap();
    let unusable = [Unusable {
        endpoint,
        why: "draining",
    }; 100];
    let failed = [FailedTry {
        endpoint,
        code: Code::R020,
        after: Duration::from_millis(1),
    }; 10];
    let mut story = after(0, FAILED);
    let measured = measure(|| {
        for number in 0..20_000 {
            story.began = Wall::since_epoch(Duration::from_millis(1_000_000 + 10 * number));
            let Event::Call(call) = story.event() else {
                unreachable!("the story is one of a call");
            };
            recorder.record(&Event::Call(Call {
                decided: Decided {
                    endpoints: Some(Endpoints {
                        known: 100,
                        usable: 0,
                        taken: None,
                        beside: None,
                        unusable: &unusable,
                    }),
                    failed: &failed,
                    facts: Some(&Many),
                    why: "none of the 100 endpoints can be used",
                    ..Decided::default()
                },
                ..call
            }));
        }
    });
    let held = telemetry.kept();
    assert!(held.records.len() > 100, "{}", held.records.len());
    assert!(held.gone.is_some());
    assert!(measured.bytes_max < bytes as u64, "{measured:?}");
}
