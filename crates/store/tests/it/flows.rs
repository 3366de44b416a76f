//! What went between services: each report counts once, time takes detail and no calls, and the file
//! keeps its bounds.

use std::collections::BTreeMap;
use std::fs;
use std::mem;
use std::path::Path;
use std::time::Duration;

use leno_model::flow::{Facts, Flow, Kind, Side, Sum, What};
use leno_model::{CallId, Dice, Wall};
use leno_store::Failed;
use leno_store::flows::{Bounds, Flows, Reported, Sender};
use leno_wire::flows::{Boot, Outbox, Report, Taken};

use crate::folder::Folder;

/// Some day at noon.
const NOON: u64 = 1_795_176_000;

fn at(seconds: u64) -> Wall {
    Wall::since_epoch(Duration::from_secs(NOON + seconds))
}

fn kind(to: &str, shape: &str) -> Kind {
    Kind {
        side: Side::Source,
        from: "shop/web".into(),
        to: to.into(),
        port: 80,
        peer: None,
        route: None,
        backend: None,
        security: Kind::MTLS.into(),
        what: What::Requests {
            method: "GET".into(),
            shape: shape.into(),
            status: 200,
        },
        facts: None,
        failure: None,
    }
}

fn flow(to: &str, shape: &str, count: u64, at: Wall) -> Flow {
    let mut sum = Sum {
        sent: 3 * count,
        open_ms: count,
        ..Sum::default()
    };
    let id = CallId::roll(&mut Dice::new(count));
    sum.add_calls(count, at, at, Some(id));
    for _ in 0..count {
        sum.took.record(Duration::from_millis(count));
    }
    Flow {
        kind: kind(to, shape),
        sum,
    }
}

fn report(sequence: u64, until: Wall, flows: Vec<Flow>) -> Reported {
    Reported {
        sender: Sender {
            identity: "spiffe://shop.local/ns/shop/sa/web".into(),
            proxy: "web".into(),
            boot: [1; 16],
        },
        sequence,
        from: until - Duration::from_secs(5),
        until,
        lost: 0,
        folded: 0,
        flows,
    }
}

fn open(folder: &Folder) -> Flows {
    Flows::open(folder.path(), Bounds::default(), at(0)).unwrap()
}

/// Everything that is kept, by what was called.
fn all(flows: &Flows) -> BTreeMap<String, Sum> {
    let day = Duration::from_secs(86_400);
    let from = at(0) - day * 10;
    let group = |kind: &Kind| Some(kind.to.to_string());
    let mut all = BTreeMap::new();
    let show = |_, sums| all = sums;
    flows.totals(from, day * 20, 1, group, show).unwrap();
    all
}

fn calls(flows: &Flows) -> u64 {
    all(flows).values().map(|sum| sum.count).sum()
}

fn tidy(flows: &Flows, now: Wall) {
    while flows.tidy(now).unwrap() {}
}

#[test]
fn a_repeat_does_not_count_and_a_restart_forgets_nothing() {
    let folder = Folder::new();
    let first = report(1, at(5), vec![flow("shop/cart", "/", 3, at(4))]);
    let second = report(2, at(10), vec![flow("shop/cart", "/", 4, at(9))]);
    let flows = open(&folder);
    assert!(flows.take(&first, at(5)).unwrap());
    assert!(!flows.take(&first, at(6)).unwrap());
    assert!(flows.take(&second, at(10)).unwrap());
    drop(flows);
    let flows = open(&folder);
    assert!(!flows.take(&first, at(11)).unwrap());
    assert!(!flows.take(&second, at(11)).unwrap());
    let mut other = first.clone();
    other.sender.boot = [2; 16];
    assert!(flows.take(&other, at(11)).unwrap());
    assert_eq!(calls(&flows), 10);
    let kept = flows.kept().unwrap();
    assert_eq!((kept.from, kept.until), (at(0), Some(at(10))));
}

/// The definition: a list of what was taken. Whatever is added up meanwhile, sums stay what they were,
/// and whoever asks by minutes gets what was in each.
#[test]
fn what_is_kept_is_what_was_taken_however_it_is_added_up() {
    let folder = Folder::new();
    let flows = open(&folder);
    let mut dice = Dice::new(5);
    let mut twin = BTreeMap::<(u64, String), Sum>::new();
    let mut sequence = 0;
    for second in (0..4 * 3600).step_by(10) {
        let mut told = Vec::new();
        for service in 0..3 {
            let count = dice.next_u64() % 4;
            let to = format!("shop/s{service}");
            let flow = flow(&to, "/", count, at(second + 3));
            twin.entry((second / 60, to)).or_default().add(&flow.sum);
            told.push(flow);
        }
        sequence += 1;
        flows
            .take(&report(sequence, at(second + 8), told), at(second + 8))
            .unwrap();
        if dice.next_u64().is_multiple_of(40) {
            tidy(&flows, at(second + 10));
        }
    }
    tidy(&flows, at(4 * 3600));
    let mut sums = BTreeMap::<String, Sum>::new();
    for ((_, to), sum) in &twin {
        sums.entry(to.clone()).or_default().add(sum);
    }
    assert_eq!(all(&flows), sums);
    // Minutes are told apart where nothing is older than three hours.
    let from = 2 * 3600;
    let group = |kind: &Kind| Some(kind.to.to_string());
    let mut seen = 0;
    let show = |minute, found: BTreeMap<String, Sum>| {
        for (to, sum) in found {
            let key = (from / 60 + minute as u64, to);
            assert_eq!(Some(&sum), twin.get(&key), "{key:?}");
            seen += sum.count;
        }
    };
    let minute = Duration::from_secs(60);
    flows.totals(at(from), minute, 120, group, show).unwrap();
    let expect = twin.iter().filter(|((minute, _), _)| *minute >= from / 60);
    assert_eq!(seen, expect.map(|(_, sum)| sum.count).sum::<u64>());
}

#[test]
fn streams_that_are_still_open_have_been_seen() {
    let folder = Folder::new();
    let flows = open(&folder);
    let streams = |open_ms, ended: u64, until| {
        let mut sum = Sum {
            open_ms,
            ..Sum::default()
        };
        sum.add_calls(ended, until, until, None);
        let kind = Kind {
            what: What::Streams,
            ..kind("shop/store", "")
        };
        Flow { kind, sum }
    };
    // Three are open all the while; of five more each ends at once.
    for (sequence, ended) in (1..=20).zip([0, 0, 0, 0, 5].into_iter().cycle()) {
        let until = at(5 * sequence);
        let flows_of_it = vec![streams(3 * 5000, ended, until)];
        assert!(
            flows
                .take(&report(sequence, until, flows_of_it), until)
                .is_ok()
        );
    }
    let seen = |from, until| {
        let mut told = Vec::new();
        let show = |kind: &Kind, count, first, last| {
            told.push((kind.to.to_string(), count, first, last));
        };
        flows.seen(from, until, show).unwrap();
        told
    };
    let store = || "shop/store".to_owned();
    assert_eq!(seen(at(0), at(20)), [(store(), 3, at(0), at(20))]);
    assert_eq!(seen(at(0), at(100)), [(store(), 20, at(0), at(100))]);
    assert_eq!(seen(at(200), at(300)), []);
}

#[test]
fn time_takes_detail_and_then_all_of_it() {
    let folder = Folder::new();
    let flows = open(&folder);
    let hour = 3600;
    for sequence in 1..=360 {
        let until = at(sequence * 10);
        flows
            .take(
                &report(sequence, until, vec![flow("shop/cart", "/", 1, until)]),
                until,
            )
            .unwrap();
    }
    let mut sizes = Vec::new();
    for hours in [1, 2, 6, 72, 180] {
        tidy(&flows, at(hours * hour));
        assert_eq!(calls(&flows), 360, "{hours}");
        sizes.push(flows.kept().unwrap().bytes);
    }
    assert!(
        sizes.is_sorted_by(|before, after| before >= after),
        "{sizes:?}"
    );
    tidy(&flows, at(9 * 24 * hour + 7200));
    assert_eq!(calls(&flows), 0);
    assert_eq!(flows.kinds().len(), 0);
    assert_eq!(flows.kept().unwrap().from, at(24 * hour + 7200));
}

#[test]
fn the_oldest_goes_when_there_is_no_room() {
    let folder = Folder::new();
    let bounds = Bounds {
        bytes: 200 << 10,
        ..Bounds::default()
    };
    let flows = Flows::open(folder.path(), bounds, at(0)).unwrap();
    for sequence in 1..=200 {
        let until = at(sequence * 10);
        let told = (0..100).map(|service| flow(&format!("shop/s{service}"), "/", sequence, until));
        flows
            .take(&report(sequence, until, told.collect()), until)
            .unwrap();
        tidy(&flows, until);
        assert!(flows.kept().unwrap().bytes <= 200 << 10);
    }
    let kept = flows.kept().unwrap();
    assert!(
        kept.from > at(100) && kept.until == Some(at(2000)),
        "{kept:?}"
    );
}

#[test]
fn facts_are_told_apart_up_to_a_bound_and_then_the_request_is() {
    let folder = Folder::new();
    let flows = open(&folder);
    for sequence in 1..=40 {
        let mut one = flow("shop/cart", "/items", 1, at(1));
        one.kind.facts = Facts::read(&format!("hx-user={sequence}\n"));
        flows
            .take(&report(sequence, at(5), vec![one]), at(5))
            .unwrap();
    }
    assert_eq!(flows.kinds().len(), 16 + 1);
    assert_eq!(calls(&flows), 40);
    let other = |flows: &Flows| {
        let kinds = flows.kinds().into_iter();
        kinds
            .filter(|kind| kind.facts == Some(Facts::other()))
            .count()
    };
    assert_eq!(other(&flows), 1);
    drop(flows);
    let flows = open(&folder);
    assert_eq!((flows.kinds().len(), other(&flows)), (16 + 1, 1));
}

#[test]
fn requests_of_too_many_kinds_are_counted_without_what_was_asked() {
    let folder = Folder::new();
    let flows = open(&folder);
    for sequence in 1..=40 {
        let told = (0..20).map(|path| flow("shop/cart", &format!("/{sequence}-{path}"), 1, at(1)));
        flows
            .take(&report(sequence, at(5), told.collect()), at(5))
            .unwrap();
    }
    assert_eq!(flows.kinds().len(), 256 + 1);
    assert_eq!(calls(&flows), 800);
    assert_eq!(flows.kept().unwrap().folded, 800 - 256);
    drop(flows);
    assert_eq!(open(&folder).kinds().len(), 256 + 1);
}

#[test]
fn a_damaged_file_is_said_to_be_and_can_be_laid_aside() {
    let folder = Folder::new();
    let flows = open(&folder);
    flows
        .take(
            &report(1, at(5), vec![flow("shop/cart", "/", 1, at(4))]),
            at(5),
        )
        .unwrap();
    drop(flows);
    for damage in [&b"not a database, but long enough to have a header of a hundred bytes, which is what SQLite looks at first of all"[..], b"LENO"] {
        damaged(folder.path(), damage);
        assert_eq!(calls(&open(&folder)), 0);
    }
}

fn damaged(folder: &Path, damage: &[u8]) {
    fs::write(folder.join("flows.db"), damage).unwrap();
    let failed = Flows::open(folder, Bounds::default(), at(0)).unwrap_err();
    assert!(matches!(failed, Failed::Damaged(_)), "{failed:?}");
    Flows::set_aside(folder).unwrap();
    assert!(folder.join("flows.db.damaged").exists());
}

/// A proxy and a control plane over a link that loses, repeats and delays, while either end starts
/// again: every report that gets through counts once, and what one life of the proxy counted is kept
/// or told as lost.
#[test]
fn each_report_counts_once_whatever_the_link_does() {
    let mut lost = 0;
    for seed in 0..10 {
        let mut dice = Dice::new(seed);
        let room = if seed < 5 { Outbox::ROOM } else { 300 };
        let folder = Folder::new();
        let mut flows = open(&folder);
        let mut life = Life::new(&mut dice, room);
        let mut link = Vec::<Report>::new();
        let mut counted = BTreeMap::<(Boot, u64), u64>::new();
        for step in 0..600 {
            let is_calm = step >= 500;
            let mut happens = |one_in: u64| !is_calm && dice.next_u64().is_multiple_of(one_in);
            if happens(2) {
                life.count(1 + step % 7, at(step));
            }
            if happens(40) {
                drop(flows);
                flows = open(&folder);
            }
            if happens(100) {
                life = Life::new(&mut dice, room);
            }
            link.extend(life.next());
            for report in mem::take(&mut link) {
                let mut happens = |one_in: u64| !is_calm && dice.next_u64().is_multiple_of(one_in);
                if happens(4) {
                    continue;
                }
                if happens(4) {
                    link.push(report.clone());
                }
                if take(&flows, &report) {
                    let count = report.flows.iter().map(|flow| flow.sum.count).sum();
                    let before = counted.insert((report.boot, report.sequence), count);
                    assert_eq!(before, None, "seed {seed}: counted twice");
                }
                // An answer to an earlier life comes over a connection that is closed.
                if report.boot == life.boot && !happens(4) {
                    life.taken(report.sequence);
                }
            }
        }
        assert_eq!(calls(&flows), counted.values().sum::<u64>());
        let of_life = counted.iter().filter(|((boot, _), _)| *boot == life.boot);
        let kept: u64 = of_life.map(|(_, count)| count).sum();
        assert_eq!(kept + life.outbox.lost(), life.made, "seed {seed}");
        lost += life.outbox.lost();
        assert_eq!(lost > 0, seed >= 5, "seed {seed}");
    }
}

/// A proxy from its start to its end.
struct Life {
    boot: Boot,
    outbox: Outbox,
    made: u64,
}

impl Life {
    fn new(dice: &mut Dice, room: usize) -> Self {
        let boot = Boot::roll(dice);
        Self {
            boot,
            outbox: Outbox::new("web", boot, at(0), room),
            made: 0,
        }
    }

    fn count(&mut self, count: u64, at: Wall) {
        self.made += count;
        let told = vec![flow("shop/cart", "/", count, at)];
        self.outbox.put(told, 0, 0, at);
    }

    fn next(&self) -> Option<Report> {
        let message = self.outbox.next()?;
        Some(Report::decode(message).unwrap())
    }

    fn taken(&mut self, sequence: u64) {
        self.outbox.taken(&Taken {
            sequence,
            refused: 0,
            pause: Duration::ZERO,
        });
    }
}

/// Takes a report as a control plane does; says whether it is new.
fn take(flows: &Flows, report: &Report) -> bool {
    let reported = Reported {
        sender: Sender {
            identity: "spiffe://shop.local/ns/shop/sa/web".into(),
            proxy: report.proxy.clone(),
            boot: report.boot.0,
        },
        sequence: report.sequence,
        from: report.from,
        until: report.until,
        lost: report.lost,
        folded: report.folded,
        flows: report.flows.clone(),
    };
    flows.take(&reported, at(0)).unwrap()
}
