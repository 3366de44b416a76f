//! Flow reports: what is written is read again, and what waits is bounded and told.

use std::sync::Arc;
use std::time::Duration;

use leno_model::flow::{Culprit, Facts, Failure, Flow, Kind, Side, Sum, What};
use leno_model::{CallId, Code, Dice, Fault, Wall};
use leno_wire::flows::{Boot, Outbox, Report, Taken};

fn millis(millis: u64) -> Wall {
    Wall::since_epoch(Duration::from_millis(millis))
}

fn some(dice: &mut Dice) -> Report {
    let mut pick = |of: u64| dice.next_u64() % of;
    let flows = (0..pick(5)).map(|_| {
        let name = |number: u64| Arc::from(format!("shop/name-{number}"));
        let what = match pick(3) {
            0 => What::Streams,
            _ => What::Requests {
                method: "GET".into(),
                shape: format!("/{}", pick(3)).into(),
                status: u16::try_from(pick(600)).unwrap(),
            },
        };
        let culprit = Culprit {
            object: name(pick(2)),
            place: (pick(2) == 0).then(|| "a.yaml:1".into()),
        };
        let failure = Failure {
            fault: [
                Fault::Caller,
                Fault::Service,
                Fault::Configuration,
                Fault::Mesh,
            ][usize::try_from(pick(4)).unwrap()],
            code: (pick(2) == 0).then_some(Code::R014),
            culprit: (pick(2) == 0).then_some(culprit),
        };
        let mut sum = Sum {
            count: pick(9),
            open_ms: pick(9),
            sent: pick(u64::MAX),
            received: pick(9),
            first: millis(pick(1 << 40)),
            last: millis(pick(1 << 40)),
            example: (pick(2) == 0).then(|| CallId::roll(&mut Dice::new(pick(9)))),
            ..Sum::default()
        };
        for _ in 0..pick(4) {
            sum.took.record(Duration::from_micros(pick(1 << 30)));
        }
        Flow {
            kind: Kind {
                side: [Side::Source, Side::Destination][usize::try_from(pick(2)).unwrap()],
                from: name(pick(3)),
                to: name(pick(3)),
                port: u16::try_from(pick(3)).unwrap(),
                peer: [None, Some([10, 0, 0, 9].into()), Some([7; 16].into())]
                    [usize::try_from(pick(3)).unwrap()],
                route: (pick(2) == 0).then(|| name(9)),
                backend: (pick(2) == 0).then(|| name(8)),
                security: Kind::MTLS.into(),
                what,
                facts: Facts::read(
                    ["", "@=cart\nhx-beta=1\n", "qv\n"][usize::try_from(pick(3)).unwrap()],
                ),
                failure: (pick(2) == 0).then_some(failure),
            },
            sum,
        }
    });
    let flows = flows.collect();
    let from = pick(1 << 40);
    Report {
        proxy: "web-1".into(),
        boot: Boot([7; 16]),
        sequence: pick(9),
        from: millis(from),
        until: millis(from + pick(9)),
        lost: pick(9),
        folded: pick(9),
        flows,
    }
}

#[test]
fn a_report_reads_as_it_was_written() {
    let mut dice = Dice::new(3);
    for _ in 0..500 {
        let report = some(&mut dice);
        assert_eq!(Report::decode(&report.encode()), Ok(report));
    }
    let taken = Taken {
        sequence: 7,
        refused: 1,
        pause: Duration::from_secs(5),
    };
    assert_eq!(Taken::decode(&taken.encode()), Ok(taken));
}

#[test]
fn whatever_comes_is_a_report_or_is_not_one() {
    let mut dice = Dice::new(5);
    for _ in 0..2_000 {
        let mut bytes = some(&mut dice).encode();
        for _ in 0..3 {
            let at = usize::try_from(dice.next_u64() % 200).unwrap();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = dice.next_u64().to_be_bytes()[0];
            }
        }
        drop(Report::decode(&bytes));
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let report = some(&mut Dice::new(3));
    let refused = |report: &Report| Report::decode(&report.encode()).is_err();
    assert!(refused(&Report {
        proxy: "p".repeat(2_000),
        ..report.clone()
    }));
    assert!(refused(&Report {
        from: millis(9),
        until: millis(8),
        ..report.clone()
    }));
    let mut dice = Dice::new(3);
    let flow = std::iter::repeat_with(|| some(&mut dice))
        .find_map(|report| report.flows.into_iter().next());
    assert!(refused(&Report {
        flows: vec![flow.unwrap(); Report::MOST_FLOWS + 1],
        ..report
    }));
}

fn counted(count: u64) -> Flow {
    Flow {
        kind: Kind {
            side: Side::Source,
            from: "shop/web".into(),
            to: "shop/cart".into(),
            port: 0,
            peer: None,
            route: None,
            backend: None,
            security: Kind::MTLS.into(),
            what: What::Streams,
            facts: None,
            failure: None,
        },
        sum: Sum {
            count,
            ..Sum::default()
        },
    }
}

fn at(seconds: u64) -> Wall {
    Wall::since_epoch(Duration::from_secs(seconds))
}

fn next(outbox: &Outbox) -> Option<Report> {
    outbox.next().map(|bytes| Report::decode(bytes).unwrap())
}

fn taken(sequence: u64) -> Taken {
    Taken {
        sequence,
        refused: 0,
        pause: Duration::ZERO,
    }
}

#[test]
fn a_report_waits_until_it_is_taken() {
    let mut outbox = Outbox::new("web", Boot([1; 16]), at(10), Outbox::ROOM);
    assert_eq!(next(&outbox), None);
    outbox.put(vec![counted(3)], 0, 0, at(20));
    outbox.put(Vec::new(), 0, 0, at(30));
    outbox.put(vec![counted(4)], 1, 2, at(40));
    for _ in 0..2 {
        let first = next(&outbox).unwrap();
        assert_eq!(
            (first.sequence, first.from, first.until),
            (1, at(10), at(20))
        );
    }
    outbox.taken(&taken(1));
    let second = next(&outbox).unwrap();
    assert_eq!(
        (second.sequence, second.from, second.until),
        (2, at(30), at(40))
    );
    assert_eq!((second.folded, second.lost), (1, 2));
    outbox.taken(&taken(1));
    assert!(next(&outbox).is_some(), "an old answer changes nothing");
    outbox.taken(&taken(7));
    assert_eq!(next(&outbox), None);
}

#[test]
fn what_has_no_room_is_counted() {
    let mut outbox = Outbox::new("web", Boot([1; 16]), at(0), 300);
    for second in 1..=100 {
        outbox.put(vec![counted(second)], 0, 0, at(second));
    }
    let kept: u64 = std::iter::from_fn(|| {
        let report = next(&outbox)?;
        outbox.taken(&taken(report.sequence));
        Some(report.flows[0].sum.count)
    })
    .sum();
    assert!(kept > 0);
    assert_eq!(kept + outbox.lost(), 5050);
    outbox.put(vec![counted(9)], 0, 0, at(101));
    assert_eq!(next(&outbox).unwrap().lost, 5050 - kept);
    outbox.refused();
    assert_eq!(outbox.lost(), 5050 - kept + 9);
}
