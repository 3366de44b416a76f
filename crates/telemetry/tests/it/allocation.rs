//! What is recorded again costs no allocation.

use allocation_counter::measure;
use leno_telemetry::{Filter, Settings, Tap, Telemetry};

use crate::scrape::EVERYTHING;
use crate::world::{Story, call, record};

fn check(telemetry: &Telemetry, stories: &[Story]) {
    let mut recorder = telemetry.recorder();
    record(&mut recorder, stories);
    let again = measure(|| record(&mut recorder, stories));
    assert_eq!(again.count_total, 0);
}

#[test]
fn a_series_that_was_seen_costs_nothing() {
    let stories: Vec<_> = EVERYTHING.iter().map(|story| call(story)).collect();
    check(&Telemetry::new(keeping_nothing()), &stories);
}

#[test]
fn a_kind_of_call_that_was_seen_costs_nothing() {
    let telemetry = Telemetry::new(keeping_nothing());
    let _flows = telemetry.flows();
    let stories: Vec<_> = EVERYTHING.iter().map(|story| call(story)).collect();
    check(&telemetry, &stories);
}

#[test]
fn what_is_folded_costs_nothing() {
    let telemetry = Telemetry::new(Settings {
        series: 2,
        ..keeping_nothing()
    });
    let stories: Vec<_> = (0..100)
        .map(|edge| call(&format!("shop/web-{edge} -> shop/cart GET cart/ 200 1ms")))
        .collect();
    check(&telemetry, &stories);
}

#[test]
fn what_a_tap_does_not_take_costs_nothing() {
    let telemetry = Telemetry::new(keeping_nothing());
    let nobody = Filter {
        party: Some("shop/nobody".to_owned()),
        ..Filter::default()
    };
    let _tap = telemetry.tap(nobody, Tap::LIMIT);
    let stories: Vec<_> = EVERYTHING.iter().map(|story| call(story)).collect();
    check(&telemetry, &stories);
}

#[test]
fn what_is_not_kept_costs_nothing() {
    let stories = vec![call("shop/web -> shop/cart GET cart/ 200 1ms"); 100];
    check(&Telemetry::new(Settings::default()), &stories);
}

fn keeping_nothing() -> Settings {
    Settings {
        kept: 0,
        ..Settings::default()
    }
}
