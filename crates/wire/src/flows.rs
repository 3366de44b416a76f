//! What a proxy reports of what went through it, and what it is answered.
//!
//! A report is named by the proxy, its boot and a sequence: whoever takes reports counts each once,
//! however often it comes. [`Outbox`] is the sending end.

mod outbox;
mod row;

use alloc::{string::String, sync::Arc, vec::Vec};
use core::time::Duration;

use leno_model::Wall;
use leno_model::flow::Flow;
use prost::Message;

pub use outbox::{Boot, Outbox};

use crate::carried::Misfit;
use crate::flows::row::{RowMessage, Texts};

/// What went through a proxy for a while.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// What the proxy calls itself; who it is was proven by its certificate.
    pub proxy: String,
    /// Which life of it.
    pub boot: Boot,
    /// Which report of that life: each is higher than the one before.
    pub sequence: u64,
    /// Since when.
    pub from: Wall,
    /// Until when.
    pub until: Wall,
    /// How many calls and streams of this life are in no report: there was no room for them.
    pub lost: u64,
    /// How many are in reports without what was asked: there were too many kinds.
    pub folded: u64,
    /// What went.
    pub flows: Vec<Flow>,
}

/// What is answered when a report is kept, or was before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    /// The highest sequence that is kept.
    pub sequence: u64,
    /// How many flows of it were refused: the proxy is no party in them.
    pub refused: u64,
    /// How long to wait before the next report.
    pub pause: Duration,
}

impl Report {
    /// How many flows a report may have.
    pub const MOST_FLOWS: usize = 8192;

    /// The longest text in a report, in bytes.
    pub const LONGEST_TEXT: usize = 1024;

    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut texts = Texts::default();
        let flows = self.flows.iter().map(|flow| texts.write(flow)).collect();
        ReportMessage {
            proxy: self.proxy.clone(),
            boot: self.boot.0.to_vec(),
            sequence: self.sequence,
            from_ms: millis(self.from),
            until_ms: millis(self.until),
            lost: self.lost,
            folded: self.folded,
            texts: texts.into_list(),
            flows,
        }
        .encode_to_vec()
    }

    /// Reads what a proxy sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        let bad = |why: &'static str| Misfit::new("flow report", why);
        let message =
            ReportMessage::decode(bytes).map_err(|error| Misfit::new("flow report", error))?;
        let boot = message.boot.try_into();
        let boot = Boot(boot.map_err(|_| bad("its boot is not 16 bytes"))?);
        if message.flows.len() > Self::MOST_FLOWS {
            return Err(bad("it has too many flows"));
        }
        let long = |text: &String| text.len() > Self::LONGEST_TEXT;
        if long(&message.proxy) || message.texts.iter().any(long) {
            return Err(bad("a text of it is too long"));
        }
        let (from, until) = (wall(message.from_ms), wall(message.until_ms));
        if from > until {
            return Err(bad("it ends before it begins"));
        }
        let texts: Vec<Arc<str>> = message.texts.into_iter().map(Arc::from).collect();
        let flows = message.flows.into_iter().map(|row| row.read(&texts));
        Ok(Self {
            proxy: message.proxy,
            boot,
            sequence: message.sequence,
            from,
            until,
            lost: message.lost,
            folded: message.folded,
            flows: flows.collect::<Result<_, _>>()?,
        })
    }
}

impl Taken {
    /// Its bytes.
    pub fn encode(self) -> Vec<u8> {
        TakenMessage {
            sequence: self.sequence,
            refused: self.refused,
            pause_ms: u32::try_from(self.pause.as_millis()).unwrap_or(u32::MAX),
        }
        .encode_to_vec()
    }

    /// Reads what a control plane sent.
    pub fn decode(bytes: &[u8]) -> Result<Self, Misfit> {
        let message = TakenMessage::decode(bytes).map_err(|error| Misfit::new("taken", error))?;
        Ok(Self {
            sequence: message.sequence,
            refused: message.refused,
            pause: Duration::from_millis(message.pause_ms.into()),
        })
    }
}

fn millis(wall: Wall) -> u64 {
    u64::try_from(wall.elapsed_since_epoch().as_millis()).unwrap_or(u64::MAX)
}

fn wall(millis: u64) -> Wall {
    Wall::since_epoch(Duration::from_millis(millis))
}

#[derive(Clone, PartialEq, Message)]
struct ReportMessage {
    #[prost(string, tag = "1")]
    proxy: String,
    #[prost(bytes = "vec", tag = "2")]
    boot: Vec<u8>,
    #[prost(uint64, tag = "3")]
    sequence: u64,
    #[prost(uint64, tag = "4")]
    from_ms: u64,
    #[prost(uint64, tag = "5")]
    until_ms: u64,
    #[prost(uint64, tag = "6")]
    lost: u64,
    #[prost(uint64, tag = "7")]
    folded: u64,
    #[prost(string, repeated, tag = "8")]
    texts: Vec<String>,
    #[prost(message, repeated, tag = "9")]
    flows: Vec<RowMessage>,
}

#[derive(Clone, PartialEq, Message)]
struct TakenMessage {
    #[prost(uint64, tag = "1")]
    sequence: u64,
    #[prost(uint64, tag = "2")]
    refused: u64,
    #[prost(uint32, tag = "3")]
    pause_ms: u32,
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use leno_model::flow::{Culprit, Failure, Kind, Side, Sum, What};
    use leno_model::{CallId, Code, Dice, Fault};

    use super::*;

    fn some(dice: &mut Dice) -> Report {
        let mut pick = |of: u64| dice.next_u64() % of;
        let flows = (0..pick(5)).map(|_| {
            let name = |number: u64| Arc::from(alloc::format!("shop/name-{number}"));
            let what = match pick(3) {
                0 => What::Streams,
                _ => What::Requests {
                    method: "GET".into(),
                    shape: alloc::format!("/{}", pick(3)).into(),
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
                first: wall(pick(1 << 40)),
                last: wall(pick(1 << 40)),
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
                    route: (pick(2) == 0).then(|| name(9)),
                    backend: (pick(2) == 0).then(|| name(8)),
                    security: Kind::MTLS.into(),
                    what,
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
            from: wall(from),
            until: wall(from + pick(9)),
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
            from: wall(9),
            until: wall(8),
            ..report.clone()
        }));
        let mut dice = Dice::new(3);
        let flow = core::iter::repeat_with(|| some(&mut dice))
            .find_map(|report| report.flows.into_iter().next());
        assert!(refused(&Report {
            flows: vec![flow.unwrap(); Report::MOST_FLOWS + 1],
            ..report
        }));
    }
}
