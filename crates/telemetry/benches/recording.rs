//! What one recorded call costs its worker, and what a scrape costs.
//! Prints medians in nanoseconds; run with `cargo bench -p leno-telemetry`.
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

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use leno_telemetry::{AccessLog, Filter, Format, Settings, Tap, Telemetry, prometheus};

#[path = "../tests/it/world.rs"]
mod world;

use world::{Story, call};

fn main() {
    let edges: Vec<_> = (0..EDGES)
        .map(|edge| {
            call(&format!(
                "shop/web-{edge} -> shop/cart-{edge} GET cart/items/{edge} 200 3ms"
            ))
        })
        .collect();
    println!("ns a call, medians of {SAMPLES}, {EDGES} edges");
    report("counted", &edges, None, None);
    flows(&edges);
    report(
        "and one watches nothing of it",
        &edges,
        None,
        Some(nothing()),
    );
    report(
        "and one watches, over the limit",
        &edges,
        None,
        Some(Filter::default()),
    );
    report("and logged as text", &edges, log(Format::Text), None);
    report("and logged as JSON", &edges, log(Format::Json), None);
    scrape();
}

const EDGES: usize = 64;
const SAMPLES: usize = 101;
/// So few that the page of a log holds all lines of a sample.
const ROUNDS: usize = 10;
/// So long that the log is written before the next sample.
const PAUSE: Duration = Duration::from_millis(30);

fn report(name: &str, stories: &[Story], log: Option<AccessLog>, filter: Option<Filter>) {
    let telemetry = Telemetry::new(Settings {
        access_log: log,
        ..Settings::default()
    });
    let tap = filter.map(|filter| telemetry.tap(filter, Tap::LIMIT));
    let mut recorder = telemetry.recorder();
    let mut events: Vec<_> = stories.iter().map(Story::event).collect();
    let mut sample = || {
        thread::park_timeout(PAUSE);
        let begin = Instant::now();
        for _ in 0..ROUNDS {
            for event in &mut events {
                recorder.record(event);
            }
        }
        begin.elapsed()
    };
    let each = median(&mut sample).as_nanos() as f64 / (ROUNDS * EDGES) as f64;
    println!("{each:>8.0}   {name}");
    assert_eq!(
        telemetry.snapshot().log_dropped,
        0,
        "a dropped line is cheap"
    );
    drop(tap);
}

fn flows(stories: &[Story]) {
    let telemetry = Telemetry::new(Settings::default());
    let flows = telemetry.flows();
    let mut recorder = telemetry.recorder();
    let events: Vec<_> = stories.iter().map(Story::event).collect();
    let mut sample = || {
        let begin = Instant::now();
        for event in events.iter().cycle().take(ROUNDS * EDGES) {
            recorder.record(event);
        }
        begin.elapsed()
    };
    let each = median(&mut sample).as_nanos() as f64 / (ROUNDS * EDGES) as f64;
    println!("{each:>8.0}   and by kind of call, for whoever reports it");
    drop(recorder);
    assert_eq!(flows.gather().flows.len(), EDGES);
}

fn scrape() {
    let telemetry = Telemetry::new(Settings::default());
    for worker in 0..2 {
        let mut recorder = telemetry.recorder();
        for edge in 0..10_000 {
            let story = format!(
                "shop/web-{edge} -> shop/cart GET cart/ 200 {}ms",
                worker + 1
            );
            recorder.record(&call(&story).event());
        }
    }
    let mut length = 0;
    let took = median(&mut || {
        let begin = Instant::now();
        length = telemetry.scrape(prometheus::Format::Text).len();
        begin.elapsed()
    });
    println!(
        "{:>8.1}   ms a scrape of 10,000 series of 2 workers, {length} bytes",
        took.as_secs_f64() * 1e3
    );
}

fn median(sample: &mut impl FnMut() -> Duration) -> Duration {
    let mut samples: Vec<_> = (0..SAMPLES).map(|_| sample()).collect();
    samples.sort();
    samples[SAMPLES / 2]
}

fn log(format: Format) -> Option<AccessLog> {
    Some(AccessLog::start(format, io::sink()).unwrap())
}

fn nothing() -> Filter {
    Filter {
        party: Some("shop/nobody".to_owned()),
        ..Filter::default()
    }
}
