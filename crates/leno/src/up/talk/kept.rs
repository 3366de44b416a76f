//! What is said about calls that are over: what the proxies of a mesh keep of them.

use std::collections::BTreeMap;

use leno_admin::Recorded;
use leno_model::CallId;
use leno_telemetry::{Event, Filter, Kept, Record, Reporter};
use serde_json::{Value, json};

use super::Watched;
use super::watch::{filter_told, read_filter};

/// Which calls are asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    /// The last so many that a filter takes, each told by the proxy that knows more of it.
    Last(usize, Filter),
    /// Those whose id begins so, each as all proxies told of it.
    Named(String),
}

/// How many calls are told of at most.
const MOST: usize = 1000;

/// How many calls of one beginning are told of at most: enough to tell them apart.
const MOST_NAMED: usize = 64;

pub(super) fn question(wanted: &Wanted) -> Value {
    match wanted {
        Wanted::Last(count, filter) => {
            json!({ "ask": "kept", "last": count, "filter": filter_told(filter) })
        }
        Wanted::Named(id) => json!({ "ask": "kept", "id": id }),
    }
}

pub(super) fn read_question(asked: &Value) -> Option<Wanted> {
    if let Some(id) = asked["id"].as_str() {
        return Some(Wanted::Named(id.to_owned()));
    }
    let count = usize::try_from(asked["last"].as_u64()?).ok()?;
    let filter = read_filter(&asked["filter"])?;
    Some(Wanted::Last(count.min(MOST), filter))
}

/// What is kept of the calls that are asked for, oldest first.
pub(super) fn find(kept: &Kept, wanted: &Wanted) -> Vec<Watched> {
    match wanted {
        Wanted::Last(count, filter) => last(kept, *count, filter),
        Wanted::Named(id) => {
            let records = kept.records.iter();
            let named =
                records.filter(|record| format!("{:?}", record.event().id()).starts_with(id));
            named.take(MOST_NAMED).map(|record| told(record)).collect()
        }
    }
}

fn last(kept: &Kept, count: usize, filter: &Filter) -> Vec<Watched> {
    let mut best = BTreeMap::<CallId, usize>::new();
    for (place, record) in kept.records.iter().enumerate() {
        let event = record.event();
        if !filter.takes(&event) {
            continue;
        }
        let knows = |place: usize| knows(&kept.records[place].event());
        let held = best.entry(event.id()).or_insert(place);
        if knows(place) > knows(*held) {
            *held = place;
        }
    }
    let mut places = best.into_values().collect::<Vec<_>>();
    places.sort_unstable();
    let first = places.len().saturating_sub(count);
    let places = places.into_iter().skip(first);
    places.map(|place| told(&kept.records[place])).collect()
}

/// How much whoever tells of a call knows of it: who refused it most, then its caller's proxy.
fn knows(event: &Event<'_>) -> (bool, bool) {
    (event.code().is_some(), event.reporter() == Reporter::Source)
}

fn told(record: &Record) -> Watched {
    let told = serde_json::to_value(Recorded::of(&record.event()));
    Watched::of(told.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use leno_model::{Code, Wall};
    use leno_telemetry::{Bytes, Call, Decided, Edge, Party, Security, Settings, Telemetry};

    use super::*;

    const ONE: &str = "7c1e4b02d41e8a7710aa3c9e0f52b6d8";
    const OTHER: &str = "7c1e4b9a000000000000000000000001";

    /// Two calls, of which the first was refused at the one that was called.
    fn kept() -> Kept {
        let telemetry = Telemetry::new(Settings::default());
        let mut recorder = telemetry.recorder();
        let refused = Some(Code::R003);
        for (id, reporter, status, refused, millis) in [
            (ONE, Reporter::Destination, 403, refused, 2),
            (ONE, Reporter::Source, 403, None, 3),
            (OTHER, Reporter::Source, 200, None, 9),
            (OTHER, Reporter::Destination, 200, None, 8),
        ] {
            recorder.record(&Event::Call(Call {
                id: CallId::parse(id.as_bytes()).unwrap(),
                edge: Edge {
                    reporter,
                    source: party("web"),
                    destination: party("pay"),
                    security: Security::Mtls,
                },
                route: None,
                peer: ([127, 0, 0, 1], 1).into(),
                endpoint: None,
                began: Wall::default(),
                took: Duration::from_millis(millis),
                method: "GET",
                host: "pay",
                path: "/ledger",
                status,
                refused,
                tries: 1,
                copy_of: None,
                sent: 0,
                received: 0,
                counted: Bytes::default(),
                traced: None,
                decided: Decided::default(),
            }));
        }
        telemetry.kept()
    }

    fn party(name: &str) -> Party<'_> {
        Party::Known {
            namespace: "shop",
            name,
        }
    }

    fn check(wanted: &Wanted, expect: &[&str]) {
        let wanted = read_question(&question(wanted)).unwrap();
        let found = find(&kept(), &wanted);
        let found = found.iter().map(|told| {
            let words = [told.short_id(), told.text("reporter"), told.text("code")];
            words.join(" ")
        });
        assert_eq!(found.collect::<Vec<_>>(), expect, "{wanted:?}");
    }

    #[test]
    fn each_call_is_told_once_by_who_knows_more_of_it() {
        let all = Filter::default();
        check(
            &Wanted::Last(9, all.clone()),
            &["7c1e4b02 destination R003", "7c1e4b9a source "],
        );
        check(&Wanted::Last(1, all), &["7c1e4b9a source "]);
        let refused = Filter {
            code: Some(Code::R003),
            ..Filter::default()
        };
        check(&Wanted::Last(9, refused), &["7c1e4b02 destination R003"]);
    }

    #[test]
    fn a_name_may_be_short_and_tells_both_sides() {
        let named = |id: &str| Wanted::Named(id.to_owned());
        let both = ["7c1e4b02 destination R003", "7c1e4b02 source "];
        check(&named("7c1e4b0"), &both);
        check(&named(ONE), &both);
        check(&named("8"), &[]);
        assert_eq!(find(&kept(), &named("7c1e")).len(), 4);
    }
}
