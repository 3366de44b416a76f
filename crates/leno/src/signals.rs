//! The golden signals of each edge, put together from what its two proxies counted.

use std::collections::BTreeMap;
use std::time::Duration;

use leno_model::Fault;
use leno_telemetry::{Histogram, Reporter, Security, Signals, Snapshot, What};

/// What went over one edge.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Edge {
    /// Requests, and streams of bytes that ended or could not be opened.
    pub(crate) calls: u64,
    /// How many of these failed.
    pub(crate) failed: u64,
    /// How many went between two proxies that proved themselves to each other.
    pub(crate) mtls: u64,
    /// How many went in plain.
    pub(crate) plain: u64,
    /// Streams of bytes that are open between two proxies that proved themselves to each other.
    pub(crate) open_mtls: u64,
    /// Streams of bytes that are open in plain.
    pub(crate) open_plain: u64,
    /// Bytes from who called, those of what goes on included.
    pub(crate) sent: u64,
    /// Bytes to who called, those of what goes on included.
    pub(crate) received: u64,
    /// How long half of the requests took at most, as the caller's proxy saw it if it told.
    pub(crate) p50: Option<Duration>,
    /// How long all but one in a hundred took at most.
    pub(crate) p99: Option<Duration>,
}

impl Edge {
    /// How many streams of bytes are open.
    pub(crate) fn open(&self) -> u64 {
        self.open_mtls + self.open_plain
    }

    /// Bytes both ways.
    pub(crate) fn bytes(&self) -> u64 {
        self.sent + self.received
    }

    /// Whether anything happened, or goes on.
    fn is_alive(&self) -> bool {
        self.calls > 0 || self.open() > 0 || self.bytes() > 0
    }
}

/// Edges by who called and what was called: `shop/web`, `shop/cart`.
pub(crate) type Edges = BTreeMap<(String, String), Edge>;

/// What calls are put together by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum By {
    /// By who called and what was called.
    Edge,
    /// By what was called; who called is left empty.
    Service,
}

/// What happened after `before`. Where nothing did, there is no edge.
pub(crate) fn edges(before: &Snapshot, now: &Snapshot, by: By) -> Edges {
    let (before, now) = (told(before), told(now));
    let mut sums = BTreeMap::<_, Sum>::new();
    for (key, signals) in &now {
        let signals = match before.get(key) {
            Some(before) => signals.since(before),
            None => signals.clone(),
        };
        let source_tells = now.contains_key(&Told {
            reporter: Reporter::Source,
            ..key.clone()
        });
        let from = match by {
            By::Edge => key.from.clone(),
            By::Service => String::new(),
        };
        let sum = sums.entry((from, key.to.clone())).or_default();
        match key.reporter {
            Reporter::Destination if source_tells => {
                // What the receiving proxy refused is an answer like others to the caller's proxy; that a
                // stream was refused it is told.
                if key.what == Kind::Calls {
                    sum.edge.failed += signals.failures.get(&Fault::Caller).unwrap_or(&0);
                }
            }
            Reporter::Source | Reporter::Destination => sum.add(&signals),
        }
    }
    let edges = sums.into_iter().map(|(key, sum)| (key, sum.edge()));
    edges.filter(|(_, edge)| edge.is_alive()).collect()
}

/// Of what one proxy told something.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    from: String,
    to: String,
    what: Kind,
    reporter: Reporter,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Calls,
    Streams,
}

fn told(snapshot: &Snapshot) -> BTreeMap<Told, Signals> {
    snapshot.signals(|labels| Told {
        from: labels.source.to_string(),
        to: labels.destination.to_string(),
        what: match labels.traits.what {
            What::Calls(_) | What::Copies(_) => Kind::Calls,
            What::Streams => Kind::Streams,
        },
        reporter: labels.traits.reporter,
    })
}

#[derive(Default)]
struct Sum {
    edge: Edge,
    took: Histogram,
}

impl Sum {
    fn add(&mut self, signals: &Signals) {
        self.edge.calls += signals.requests + signals.streams;
        self.edge.failed += signals.failed();
        self.edge.sent += signals.sent;
        self.edge.received += signals.received;
        let edge = &mut self.edge;
        for (counts, mtls, plain) in [
            (&signals.security, &mut edge.mtls, &mut edge.plain),
            (&signals.open, &mut edge.open_mtls, &mut edge.open_plain),
        ] {
            for (security, count) in counts {
                match security {
                    Security::Mtls => *mtls += count,
                    Security::Plain(_) => *plain += count,
                    Security::None => {}
                }
            }
        }
        self.took.add(&signals.took);
    }

    fn edge(self) -> Edge {
        Edge {
            // What both proxies call the caller's fault is one failure.
            failed: self.edge.failed.min(self.edge.calls),
            p50: self.took.quantile(0.5),
            p99: self.took.quantile(0.99),
            ..self.edge
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use leno_model::{CallId, Code, Dice, Wall};
    use leno_telemetry::{Bytes, Call, Event, Flow, Party, Settings, Stream, Telemetry};

    use super::*;

    /// What the proxies tell of calls from web to cart: who tells, the status, why it was refused.
    fn check(told: &[(Reporter, u16, Option<Code>)], expect: Edge) {
        let telemetry = Telemetry::new(Settings::default());
        let mut recorder = telemetry.recorder();
        let party = |name| Party::Known {
            namespace: "shop",
            name,
        };
        let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        for (reporter, status, refused) in told {
            recorder.record(&Event::Call(Call {
                id: CallId::roll(&mut Dice::new(1)),
                edge: leno_telemetry::Edge {
                    reporter: *reporter,
                    source: party("web"),
                    destination: party("cart"),
                    security: Security::Mtls,
                },
                route: None,
                peer: nowhere,
                endpoint: None,
                began: Wall::default(),
                took: Duration::from_millis(1),
                method: "GET",
                host: "cart",
                path: "/",
                status: *status,
                refused: *refused,
                tries: 1,
                copy_of: None,
                sent: 0,
                received: 0,
                counted: Bytes::default(),
                logged: None,
                traced: None,
                decided: leno_telemetry::Decided::default(),
            }));
        }
        for (by, from) in [(By::Edge, "shop/web"), (By::Service, "")] {
            let edges = edges(&Snapshot::default(), &telemetry.snapshot(), by);
            let [(key, edge)] = edges.into_iter().collect::<Vec<_>>().try_into().unwrap();
            assert_eq!(key, (from.to_owned(), "shop/cart".to_owned()));
            assert_eq!((edge.p50.is_some(), edge.p99.is_some()), (true, true));
            let counted = Edge {
                p50: None,
                p99: None,
                ..edge
            };
            assert_eq!(counted, expect, "{told:?}");
        }
        let now = telemetry.snapshot();
        assert!(edges(&now, &now, By::Edge).is_empty());
    }

    #[test]
    fn a_stream_that_lives_is_seen_and_its_bytes_count_once() {
        let telemetry = Telemetry::new(Settings::default());
        let mut recorder = telemetry.recorder();
        let party = |name| Party::Known {
            namespace: "shop",
            name,
        };
        let bytes = |sent, received| Bytes { sent, received };
        for reporter in [Reporter::Source, Reporter::Destination] {
            let edge = leno_telemetry::Edge {
                reporter,
                source: party("cart"),
                destination: party("store"),
                security: Security::Mtls,
            };
            recorder.record(&Event::Opened(Stream {
                id: CallId::roll(&mut Dice::new(1)),
                edge,
                peer: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
                endpoint: None,
                began: Wall::default(),
                took: Duration::ZERO,
                opened: true,
                refused: None,
                sent: 0,
                received: 0,
                counted: Bytes::default(),
                logged: None,
                decided: leno_telemetry::Decided::default(),
            }));
            recorder.flow(&Flow {
                edge,
                route: None,
                status: None,
                bytes: bytes(10, 300),
            });
        }
        let key = ("shop/cart".to_owned(), "shop/store".to_owned());
        let open = Edge {
            open_mtls: 1,
            ..Edge::default()
        };
        let carried = Edge {
            sent: 10,
            received: 300,
            ..open
        };
        let now = telemetry.snapshot();
        let seen = edges(&Snapshot::default(), &now, By::Edge);
        assert_eq!(seen, Edges::from([(key.clone(), carried)]));
        // Nothing flows, and it is open still.
        assert_eq!(edges(&now, &now, By::Edge), Edges::from([(key, open)]));
    }

    #[test]
    fn a_call_counts_once_whoever_tells_of_it() {
        use Reporter::{Destination, Source};
        let counted = |calls, failed| Edge {
            calls,
            failed,
            mtls: calls,
            ..Edge::default()
        };
        check(
            &[(Source, 200, None), (Destination, 200, None)],
            counted(1, 0),
        );
        check(
            &[(Source, 500, None), (Destination, 500, None)],
            counted(1, 1),
        );
        check(
            &[(Source, 403, None), (Destination, 403, Some(Code::R003))],
            counted(1, 1),
        );
        check(&[(Source, 503, Some(Code::R014))], counted(1, 1));
        check(
            &[
                (Destination, 200, None),
                (Destination, 403, Some(Code::R002)),
            ],
            counted(2, 1),
        );
    }
}
