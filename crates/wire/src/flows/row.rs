//! One flow as a message: its texts stand in a list that all flows of a report share.

use alloc::{collections::BTreeMap, string::String, string::ToString, sync::Arc, vec::Vec};
use core::net::IpAddr;

use leno_model::flow::{Culprit, Facts, Failure, Flow, Kind, Side, Sum, What};
use leno_model::{CallId, Code, Fault, Histogram};
use prost::Message;

use crate::carried::Misfit;
use crate::flows::{millis, wall};

/// The texts of a report, each once.
#[derive(Default)]
pub(super) struct Texts(BTreeMap<Arc<str>, u32>);

impl Texts {
    pub(super) fn write(&mut self, flow: &Flow) -> RowMessage {
        let Flow { kind, sum } = flow;
        let (method, shape, status) = match &kind.what {
            What::Requests {
                method,
                shape,
                status,
            } => (self.number(method), self.number(shape), u32::from(*status)),
            What::Streams => (0, 0, 0),
        };
        let failure = kind.failure.as_ref();
        let culprit = failure.and_then(|failure| failure.culprit.as_ref());
        let code = failure.and_then(|failure| failure.code);
        let place = culprit.and_then(|culprit| culprit.place.as_ref());
        let filled = sum.took.filled();
        let buckets =
            filled.filter_map(|(bucket, count)| Some((u32::try_from(bucket).ok()?, count)));
        let (buckets, counts) = buckets.unzip();
        RowMessage {
            side: match kind.side {
                Side::Source => 1,
                Side::Destination => 2,
            },
            from: self.number(&kind.from),
            to: self.number(&kind.to),
            port: kind.port.into(),
            peer: kind.peer.map_or_else(Vec::new, octets),
            route: self.number_of(kind.route.as_ref()),
            backend: self.number_of(kind.backend.as_ref()),
            security: self.number(&kind.security),
            method,
            shape,
            status,
            fault: failure.map_or(0, |failure| match failure.fault {
                Fault::Caller => 1,
                Fault::Service => 2,
                Fault::Configuration => 3,
                Fault::Mesh => 4,
            }),
            code: code.map_or(0, |code| self.number(&code.as_str().into())),
            culprit: self.number_of(culprit.map(|culprit| &culprit.object)),
            place: self.number_of(place),
            facts: kind
                .facts
                .as_ref()
                .map_or(0, |facts| self.number(&facts.as_str().into())),
            count: sum.count,
            open_ms: sum.open_ms,
            sent: sum.sent,
            received: sum.received,
            buckets,
            counts,
            took_us: sum.took.sum_us(),
            first_ms: millis(sum.first),
            last_ms: millis(sum.last),
            example: sum.example.map_or_else(Vec::new, |id| id.digits().to_vec()),
        }
    }

    pub(super) fn into_list(self) -> Vec<String> {
        let mut list: Vec<_> = self.0.into_iter().collect();
        list.sort_by_key(|(_, number)| *number);
        list.into_iter().map(|(text, _)| text.to_string()).collect()
    }

    /// Counted from 1, so that 0 is nothing.
    fn number(&mut self, text: &Arc<str>) -> u32 {
        if let Some(number) = self.0.get(text) {
            return *number;
        }
        let number = u32::try_from(self.0.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        self.0.insert(text.clone(), number);
        number
    }

    fn number_of(&mut self, text: Option<&Arc<str>>) -> u32 {
        text.map_or(0, |text| self.number(text))
    }
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct RowMessage {
    #[prost(uint32, tag = "1")]
    side: u32,
    #[prost(uint32, tag = "2")]
    from: u32,
    #[prost(uint32, tag = "3")]
    to: u32,
    #[prost(uint32, tag = "4")]
    port: u32,
    #[prost(uint32, tag = "5")]
    route: u32,
    #[prost(uint32, tag = "6")]
    backend: u32,
    #[prost(uint32, tag = "7")]
    security: u32,
    /// Without one it is about streams of bytes.
    #[prost(uint32, tag = "8")]
    method: u32,
    #[prost(uint32, tag = "9")]
    shape: u32,
    #[prost(uint32, tag = "10")]
    status: u32,
    #[prost(uint32, tag = "11")]
    fault: u32,
    #[prost(uint32, tag = "12")]
    code: u32,
    #[prost(uint32, tag = "13")]
    culprit: u32,
    #[prost(uint32, tag = "14")]
    place: u32,
    #[prost(uint64, tag = "15")]
    count: u64,
    #[prost(uint64, tag = "16")]
    open_ms: u64,
    #[prost(uint64, tag = "17")]
    sent: u64,
    #[prost(uint64, tag = "18")]
    received: u64,
    #[prost(uint32, repeated, tag = "19")]
    buckets: Vec<u32>,
    #[prost(uint64, repeated, tag = "20")]
    counts: Vec<u64>,
    #[prost(uint64, tag = "21")]
    took_us: u64,
    #[prost(uint64, tag = "22")]
    first_ms: u64,
    #[prost(uint64, tag = "23")]
    last_ms: u64,
    #[prost(bytes = "vec", tag = "24")]
    example: Vec<u8>,
    /// An address in network order; none is empty.
    #[prost(bytes = "vec", tag = "25")]
    peer: Vec<u8>,
    #[prost(uint32, tag = "26")]
    facts: u32,
}

impl RowMessage {
    pub(super) fn read(self, texts: &[Arc<str>]) -> Result<Flow, Misfit> {
        let bad = |why: &'static str| Misfit::new("flow", why);
        let text = |number: u32| match number.checked_sub(1) {
            None => Ok(None),
            Some(index) => {
                let index = usize::try_from(index).unwrap_or(usize::MAX);
                let text = texts.get(index).cloned();
                text.map(Some).ok_or_else(|| bad("a text is not there"))
            }
        };
        let required = |number: u32| text(number)?.ok_or_else(|| bad("a text is missing"));
        let small = |number: u32| u16::try_from(number).map_err(|_| bad("a number is too large"));
        let kind = Kind {
            side: match self.side {
                1 => Side::Source,
                2 => Side::Destination,
                _ => return Err(bad("it does not say who counted")),
            },
            from: required(self.from)?,
            to: required(self.to)?,
            port: small(self.port)?,
            peer: address(&self.peer).map_err(bad)?,
            route: text(self.route)?,
            backend: text(self.backend)?,
            security: required(self.security)?,
            what: match text(self.method)? {
                Some(method) => What::Requests {
                    method,
                    shape: required(self.shape)?,
                    status: small(self.status)?,
                },
                None => What::Streams,
            },
            // What a newer proxy tells of is not kept.
            facts: text(self.facts)?.and_then(|facts| Facts::read(&facts)),
            failure: match fault(self.fault)? {
                None => None,
                Some(fault) => Some(Failure {
                    fault,
                    // A code that this Leno does not know is one of a newer proxy.
                    code: text(self.code)?.and_then(|code| code.parse::<Code>().ok()),
                    culprit: match text(self.culprit)? {
                        None => None,
                        Some(object) => Some(Culprit {
                            object,
                            place: text(self.place)?,
                        }),
                    },
                }),
            },
        };
        let mut took = Histogram::default();
        for (bucket, count) in self.buckets.iter().zip(&self.counts) {
            took.add_to(usize::try_from(*bucket).unwrap_or(usize::MAX), *count);
        }
        took.add_sum(self.took_us);
        let sum = Sum {
            count: self.count,
            open_ms: self.open_ms,
            sent: self.sent,
            received: self.received,
            took,
            first: wall(self.first_ms),
            last: wall(self.last_ms),
            example: CallId::parse(&self.example),
        };
        Ok(Flow { kind, sum })
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().into(),
        IpAddr::V6(address) => address.octets().into(),
    }
}

fn address(octets: &[u8]) -> Result<Option<IpAddr>, &'static str> {
    let v4 = || <[u8; 4]>::try_from(octets).map(IpAddr::from);
    let v6 = || <[u8; 16]>::try_from(octets).map(IpAddr::from);
    match octets {
        [] => Ok(None),
        _ => v4()
            .or_else(|_| v6())
            .map(Some)
            .map_err(|_| "an address is none"),
    }
}

fn fault(number: u32) -> Result<Option<Fault>, Misfit> {
    Ok(match number {
        0 => None,
        1 => Some(Fault::Caller),
        2 => Some(Fault::Service),
        3 => Some(Fault::Configuration),
        4 => Some(Fault::Mesh),
        _ => return Err(Misfit::new("flow", "it does not say whose fault it was")),
    })
}
