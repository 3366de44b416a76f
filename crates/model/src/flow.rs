//! What went one way for a while: calls that have everything in common but their moment, counted
//! together. Proxies report flows, the control plane keeps and adds them up.

mod facts;

use alloc::sync::Arc;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use crate::call::CallId;
use crate::code::{Code, Fault};
use crate::histogram::Histogram;
use crate::time::Wall;

pub use facts::{FactOf, FactValue, Facts};

/// Calls of one kind, counted together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flow {
    /// What they have in common.
    pub kind: Kind,
    /// How many, how long, how much.
    pub sum: Sum,
}

/// What calls have in common that are counted together. Texts come from configuration, or from a
/// request with its identifiers folded; their number is bounded by who counts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Kind {
    /// Which of the two proxies counted.
    pub side: Side,
    /// Who called: `shop/web`, `unknown`, `probe`, or `other` beyond the bound.
    pub from: Arc<str>,
    /// What was called, likewise.
    pub to: Arc<str>,
    /// The port that was called: of the service where the caller's proxy counted, else the one that the
    /// application listens on; 0 where nobody knows it.
    pub port: u16,
    /// Where they came from, if the caller proved nothing and the other proxy counted.
    pub peer: Option<IpAddr>,
    /// The rule that took them: `HTTPRoute shop/cart rule 2`.
    pub route: Option<Arc<str>>,
    /// The service whose endpoints were chosen, if that is not the one that was called.
    pub backend: Option<Arc<str>>,
    /// How the two proxies were connected: `mtls`, why it was plain, or `none`.
    pub security: Arc<str>,
    /// What they were.
    pub what: What,
    /// What rules ask about them beside that, as far as it was kept.
    pub facts: Option<Facts>,
    /// Why they failed, if they did.
    pub failure: Option<Failure>,
}

/// Which of the two proxies of a call counted it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Side {
    /// That of the caller.
    Source,
    /// That of the one who was called.
    Destination,
}

/// What calls were.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum What {
    /// Requests.
    Requests {
        /// The method; `other` where it is none that is widely known.
        method: Arc<str>,
        /// The path, identifiers folded: `/items/{id}`; [`Kind::OTHER`] beyond the bound; empty for
        /// bytes of requests that go on.
        shape: Arc<str>,
        /// The status of the answer; 0 if none could be sent.
        status: u16,
    },
    /// Streams of bytes.
    Streams,
}

/// Why calls failed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Failure {
    /// Whose fault it was.
    pub fault: Fault,
    /// The code, if a proxy refused them or cut them short.
    pub code: Option<Code>,
    /// The part of the configuration that kept them from going on, if one did.
    pub culprit: Option<Culprit>,
}

/// A part of the configuration.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Culprit {
    /// The object: `AccessPolicy shop/payments`.
    pub object: Arc<str>,
    /// Where it is written: `policies/payments.yaml:9`.
    pub place: Option<Arc<str>>,
}

impl Kind {
    /// What stands for a name or a path beyond the bound.
    pub const OTHER: &str = "other";
    /// What stands for somebody who is not known.
    pub const UNKNOWN: &str = "unknown";
    /// What stands for whoever makes health checks from outside.
    pub const PROBE: &str = "probe";
    /// What stands for the security of proxies that proved themselves to each other.
    pub const MTLS: &str = "mtls";
    /// What stands for the security where it did not come to a connection.
    pub const NONE: &str = "none";

    /// The same without what was asked, and from which address.
    pub fn without_request(mut self) -> Self {
        self.peer = None;
        self.facts = None;
        if let What::Requests { method, shape, .. } = &mut self.what {
            *method = Self::OTHER.into();
            *shape = Self::OTHER.into();
        }
        self
    }

    /// The same with facts that are not told apart.
    pub fn with_other_facts(self) -> Self {
        let facts = Some(Facts::other());
        Self { facts, ..self }
    }

    /// The same without anything of which there can be many: names, places, paths.
    pub fn folded(self) -> Self {
        let mut kind = self.without_request();
        kind.from = Self::OTHER.into();
        kind.to = Self::OTHER.into();
        kind.port = 0;
        kind.route = None;
        kind.backend = None;
        if let Some(failure) = &mut kind.failure {
            failure.culprit = None;
        }
        if let What::Requests { status, .. } = &mut kind.what {
            *status = *status / 100 * 100;
        }
        kind
    }

    /// Whether it is what [`Self::without_request`] gives.
    pub fn is_without_request(&self) -> bool {
        match &self.what {
            What::Requests { shape, .. } => &**shape == Self::OTHER,
            What::Streams => false,
        }
    }
}

/// What was asked: `GET /items/{id}`, `tcp`.
impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Requests { shape, .. } if &**shape == Kind::OTHER => f.write_str(Kind::OTHER),
            Self::Requests { method, shape, .. } => write!(f, "{method} {shape}"),
            Self::Streams => f.write_str("tcp"),
        }
    }
}

/// How many calls, how long, how much.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Sum {
    /// Requests, and streams of bytes that ended or could not be opened.
    pub count: u64,
    /// For how long streams were open, all together, in milliseconds: over a while, this by its length
    /// is how many were open.
    pub open_ms: u64,
    /// Bytes from who called.
    pub sent: u64,
    /// Bytes to who called.
    pub received: u64,
    /// How long the requests took; empty for streams.
    pub took: Histogram,
    /// When the first was over; meaningless while nothing is counted.
    pub first: Wall,
    /// When the last was over.
    pub last: Wall,
    /// The id of one of them, if they failed.
    pub example: Option<CallId>,
}

impl Sum {
    /// Counts what `other` counted, too. Of two examples the later one stands.
    pub fn add(&mut self, other: &Self) {
        self.add_calls(other.count, other.first, other.last, other.example);
        self.open_ms = self.open_ms.saturating_add(other.open_ms);
        self.sent = self.sent.saturating_add(other.sent);
        self.received = self.received.saturating_add(other.received);
        self.took.add(&other.took);
    }

    /// Counts so many calls more, that were over from `first` to `last`, with one of them if they
    /// failed.
    pub fn add_calls(&mut self, count: u64, first: Wall, last: Wall, example: Option<CallId>) {
        if count == 0 {
            return;
        }
        let is_later = self.count == 0 || last >= self.last;
        if is_later && example.is_some() || self.example.is_none() {
            self.example = example;
        }
        (self.first, self.last) = match self.count {
            0 => (first, last),
            _ => (self.first.min(first), self.last.max(last)),
        };
        self.count = self.count.saturating_add(count);
    }

    /// Counts that so many streams were open for so long.
    pub fn add_open(&mut self, streams: u64, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.open_ms = self.open_ms.saturating_add(streams.saturating_mul(millis));
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.count == 0 && self.open_ms == 0 && self.sent == 0 && self.received == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(seconds: u64, example: Option<u64>) -> Sum {
        let at = Wall::since_epoch(Duration::from_secs(seconds));
        let mut sum = Sum {
            count: 1,
            sent: seconds,
            first: at,
            last: at,
            example: example.map(|seed| CallId::roll(&mut crate::Dice::new(seed))),
            ..Sum::default()
        };
        sum.took.record(Duration::from_millis(seconds));
        sum
    }

    #[test]
    fn sums_add_up_in_any_order() {
        let parts = [
            one(7, Some(1)),
            one(3, None),
            one(9, Some(2)),
            Sum::default(),
        ];
        let add = |order: &[usize]| {
            let mut sum = Sum::default();
            order.iter().for_each(|part| sum.add(&parts[*part]));
            sum
        };
        let sum = add(&[0, 1, 2, 3]);
        assert_eq!((sum.count, sum.sent), (3, 19));
        assert_eq!((sum.first, sum.last), (parts[1].first, parts[2].last));
        assert_eq!(sum.example, parts[2].example);
        for order in [[3, 2, 1, 0], [1, 0, 3, 2], [2, 3, 0, 1]] {
            assert_eq!(add(&order), sum, "{order:?}");
        }
    }

    #[test]
    fn what_is_folded_keeps_what_is_few() {
        let kind = Kind {
            side: Side::Source,
            from: "shop/web".into(),
            to: "shop/cart".into(),
            port: 80,
            peer: None,
            route: Some("HTTPRoute shop/cart rule 1".into()),
            backend: None,
            security: Kind::MTLS.into(),
            what: What::Requests {
                method: "GET".into(),
                shape: "/items/{id}".into(),
                status: 503,
            },
            facts: None,
            failure: Some(Failure {
                fault: Fault::Service,
                code: None,
                culprit: None,
            }),
        };
        assert_eq!(kind.what.to_string(), "GET /items/{id}");
        let without = kind.clone().without_request();
        assert!(without.is_without_request() && !kind.is_without_request());
        assert_eq!(
            (&*without.from, without.what.to_string().as_str()),
            ("shop/web", "other")
        );
        let folded = kind.folded();
        assert_eq!(
            (&*folded.from, &*folded.to, folded.port),
            ("other", "other", 0)
        );
        assert!(matches!(folded.what, What::Requests { status: 500, .. }));
        assert!(folded.failure.is_some());
    }
}
