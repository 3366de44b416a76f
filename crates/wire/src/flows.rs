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
