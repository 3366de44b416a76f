//! The golden signals of each edge of a process's own counters, put together from what its two proxies
//! counted.

use std::collections::BTreeMap;
use std::time::Duration;

use leno_admin::Edge;
use leno_model::Fault;
use leno_telemetry::{Histogram, Reporter, Security, Signals, Snapshot, What};

/// What happened after `before`, by who called and what was called. Where nothing did, there is no edge.
pub(crate) fn edges(before: &Snapshot, now: &Snapshot) -> Vec<Edge> {
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
        let sum = sums.entry((key.from.clone(), key.to.clone())).or_default();
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
    let edges = sums.into_iter().map(|((from, to), sum)| sum.edge(from, to));
    edges.filter(is_alive).collect()
}

/// Whether anything happened, or goes on.
fn is_alive(edge: &Edge) -> bool {
    edge.calls > 0 || edge.open > 0 || edge.bytes() > 0
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
        for (security, count) in signals.security.iter().chain(&signals.open) {
            match security {
                Security::Mtls => edge.mtls += count,
                Security::Plain(_) => edge.plain += count,
                Security::None => {}
            }
        }
        edge.open += signals.open.values().sum::<u64>();
        self.took.add(&signals.took);
    }

    fn edge(self, from: String, to: String) -> Edge {
        let took = |share| {
            let took: Duration = self.took.quantile(share)?;
            u64::try_from(took.as_micros()).ok()
        };
        Edge {
            from,
            to,
            // What both proxies call the caller's fault is one failure.
            failed: self.edge.failed.min(self.edge.calls),
            p50_us: took(0.5),
            p90_us: took(0.9),
            p99_us: took(0.99),
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
                grpc: None,
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
        let [edge] = edges(&Snapshot::default(), &telemetry.snapshot())
            .try_into()
            .unwrap();
        assert!(
            [edge.p50_us, edge.p90_us, edge.p99_us]
                .iter()
                .all(Option::is_some)
        );
        let counted = Edge {
            p50_us: None,
            p90_us: None,
            p99_us: None,
            ..edge
        };
        assert_eq!(counted, expect, "{told:?}");
        let now = telemetry.snapshot();
        assert!(edges(&now, &now).is_empty());
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
                route: None,
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
        let open = Edge {
            from: "shop/cart".to_owned(),
            to: "shop/store".to_owned(),
            mtls: 1,
            open: 1,
            ..Edge::default()
        };
        let carried = Edge {
            sent: 10,
            received: 300,
            ..open.clone()
        };
        let now = telemetry.snapshot();
        assert_eq!(edges(&Snapshot::default(), &now), [carried]);
        // Nothing flows, and it is open still.
        assert_eq!(edges(&now, &now), [open]);
    }

    #[test]
    fn a_call_counts_once_whoever_tells_of_it() {
        use Reporter::{Destination, Source};
        let counted = |calls, failed| Edge {
            from: "shop/web".to_owned(),
            to: "shop/cart".to_owned(),
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
