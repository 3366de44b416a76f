//! What is said about calls: their golden signals, and each as it happens.

use std::collections::VecDeque;
use std::time::Duration;

use leno_admin::{Recorded, figures};
use leno_model::{CallId, Code};
use leno_telemetry::{Event, Filter, Format, Reporter, Tap, Telemetry};
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::signals::{self, By, Edge, Edges};

/// The longest time for which calls are counted at once.
const LONGEST: Duration = Duration::from_secs(60);

pub(super) fn stat_question(by: By, time: Duration) -> Value {
    json!({
        "ask": "stat",
        "edges": by == By::Edge,
        "timeMs": u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
    })
}

pub(super) fn read_stat_question(asked: &Value) -> Option<(By, Duration)> {
    let by = match asked["edges"].as_bool()? {
        true => By::Edge,
        false => By::Service,
    };
    let time = Duration::from_millis(asked["timeMs"].as_u64()?);
    Some((by, time.min(LONGEST)))
}

/// Counts for as long as is wanted.
pub(super) async fn stat(telemetry: &Telemetry, (by, time): (By, Duration)) -> Value {
    let before = telemetry.snapshot();
    tokio::time::sleep(time).await;
    let edges = signals::edges(&before, &telemetry.snapshot(), by);
    let rows = edges.iter().map(edge).collect::<Vec<_>>();
    json!({ "stat": rows, "timeMs": u64::try_from(time.as_millis()).unwrap_or(u64::MAX) })
}

pub(super) fn read_stat(answer: &Value) -> Option<(Edges, Duration)> {
    let edges = answer["stat"].as_array()?.iter();
    let time = Duration::from_millis(answer["timeMs"].as_u64()?);
    Some((edges.map(read_edge).collect::<Option<_>>()?, time))
}

fn edge(((from, to), edge): (&(String, String), &Edge)) -> Value {
    let micros =
        |took: Option<Duration>| took.and_then(|took| u64::try_from(took.as_micros()).ok());
    json!({
        "from": from,
        "to": to,
        "calls": edge.calls,
        "failed": edge.failed,
        "mtls": edge.mtls,
        "plain": edge.plain,
        "openMtls": edge.open_mtls,
        "openPlain": edge.open_plain,
        "sent": edge.sent,
        "received": edge.received,
        "p50Us": micros(edge.p50),
        "p99Us": micros(edge.p99),
    })
}

fn read_edge(value: &Value) -> Option<((String, String), Edge)> {
    let text = |key: &str| Some(value[key].as_str()?.to_owned());
    let number = |key: &str| value[key].as_u64();
    let edge = Edge {
        calls: number("calls")?,
        failed: number("failed")?,
        mtls: number("mtls")?,
        plain: number("plain")?,
        open_mtls: number("openMtls")?,
        open_plain: number("openPlain")?,
        sent: number("sent")?,
        received: number("received")?,
        p50: number("p50Us").map(Duration::from_micros),
        p99: number("p99Us").map(Duration::from_micros),
    };
    Some(((text("from")?, text("to")?), edge))
}

pub(super) fn tap_question(filter: &Filter) -> Value {
    json!({ "ask": "tap", "filter": filter_told(filter) })
}

pub(super) fn read_tap_question(asked: &Value) -> Option<Filter> {
    read_filter(&asked["filter"])
}

pub(super) fn filter_told(filter: &Filter) -> Value {
    json!({
        "failed": filter.failed,
        "party": filter.party,
        "from": filter.from,
        "to": filter.to,
        "method": filter.method,
        "path": filter.path,
        "status": filter.status,
        "code": filter.code.map(Code::as_str),
    })
}

pub(super) fn read_filter(told: &Value) -> Option<Filter> {
    let text = |key: &str| told[key].as_str().map(str::to_owned);
    let status = |place: usize| u16::try_from(told["status"][place].as_u64()?).ok();
    Some(Filter {
        failed: told["failed"].as_bool()?,
        party: text("party"),
        from: text("from"),
        to: text("to"),
        method: text("method"),
        path: text("path"),
        status: status(0).zip(status(1)),
        code: match told["code"].as_str() {
            Some(code) => Some(code.parse().ok()?),
            None => None,
        },
    })
}

/// What a tap shows, each call once: by the proxy that knows more of it.
pub(crate) struct Seen {
    tap: Tap,
    /// Calls that one of their two proxies refused or cut: the other will tell of them, too.
    refused: VecDeque<CallId>,
    /// How many that were not shown have been told of.
    dropped: u64,
}

/// How many refused calls are remembered until their callers' proxies tell of them.
const MOST_REFUSED: usize = 1024;

impl Seen {
    pub(crate) fn new(tap: Tap) -> Self {
        Self {
            tap,
            refused: VecDeque::new(),
            dropped: 0,
        }
    }

    /// The next call, or how many more were not shown. It may be cancelled without losing one.
    pub(crate) async fn next(&mut self) -> Watched {
        loop {
            let dropped = self.tap.dropped();
            if dropped > self.dropped {
                let more = dropped - self.dropped;
                self.dropped = dropped;
                return Watched(json!({ "event": "dropped", "dropped": more }));
            }
            let record = self.tap.next().await;
            let event = record.event();
            if self.is_first(&event) {
                let line = Format::Json.line(&event);
                return Watched(serde_json::from_slice(&line).unwrap_or_default());
            }
        }
    }

    fn is_first(&mut self, event: &Event<'_>) -> bool {
        let (id, edge, refused) = match event {
            Event::Call(call) => (call.id, &call.edge, call.refused),
            Event::Opened(stream) | Event::Stream(stream) => {
                (stream.id, &stream.edge, stream.refused)
            }
            Event::Handshake(_) | Event::Accept(_) => return true,
        };
        // A caller that is not in the mesh has no proxy to tell of it.
        let alone = matches!(edge.source, leno_telemetry::Party::Unknown);
        if refused.is_none() && edge.reporter == Reporter::Destination {
            return alone;
        }
        let is_end = !matches!(event, Event::Opened(_));
        if let Some(known) = self.refused.iter().position(|known| is_end && *known == id) {
            self.refused.remove(known);
            return false;
        }
        if refused.is_some() && !alone {
            self.refused.truncate(MOST_REFUSED - 1);
            self.refused.push_front(id);
        }
        true
    }
}

/// A call that was watched, in the words of the access log.
pub(crate) struct Watched(Value);

impl Watched {
    pub(super) fn of(said: Value) -> Self {
        Self(said)
    }

    /// What a field says.
    pub(crate) fn text(&self, field: &str) -> &str {
        self.0[field].as_str().unwrap_or_default()
    }

    /// The number that a field has.
    pub(crate) fn number(&self, field: &str) -> Option<f64> {
        self.0[field].as_f64()
    }

    /// What was asked, if this tells of something that was: `GET /items`, `tcp opened`.
    pub(crate) fn request(&self) -> Option<String> {
        match self.text("event") {
            "call" => Some(format!("{} {}", self.text("method"), self.text("path"))),
            "opened" => Some("tcp opened".to_owned()),
            "stream" => {
                let bytes = |field| figures::bytes(self.number(field).unwrap_or_default());
                let (sent, received) = (bytes("sent"), bytes("received"));
                Some(format!("tcp {sent} up, {received} down"))
            }
            "accept" => Some(format!("connections to {}", self.text("listener"))),
            "dropped" => None,
            _ => Some(format!("handshake with {}", self.text("peer"))),
        }
    }

    /// Why it failed, in words; empty if it did not.
    pub(crate) fn why(&self) -> &str {
        match (self.text("code"), self.text("fault")) {
            ("", "") => "",
            ("", _) => "the service answered",
            _ => self.text("slug"),
        }
    }

    /// As much of its id as people are shown.
    pub(crate) fn short_id(&self) -> &str {
        let id = self.text("id");
        id.get(..8).unwrap_or(id)
    }

    /// All of it, as what a proxy recorded.
    pub(crate) fn recorded(&self) -> serde_json::Result<Recorded> {
        Recorded::deserialize(&self.0)
    }

    /// All of it, on one line.
    pub(crate) fn json(&self) -> String {
        self.0.to_string()
    }

    /// All of it, as a value.
    pub(crate) fn value(&self) -> &Value {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What two proxies tell of one stream from web, in order: what of it is shown.
    fn check(told: &[(Reporter, Option<Code>)], expect: &[bool]) {
        let telemetry = Telemetry::new(leno_telemetry::Settings::default());
        let mut seen = Seen::new(telemetry.tap(Filter::default(), Tap::LIMIT));
        let party = |name| leno_telemetry::Party::Known {
            namespace: "shop",
            name,
        };
        let shown = told.iter().map(|(reporter, refused)| {
            seen.is_first(&Event::Stream(leno_telemetry::Stream {
                id: CallId::parse(b"7c1e4b02d41e8a7710aa3c9e0f52b6d8").unwrap(),
                edge: leno_telemetry::Edge {
                    reporter: *reporter,
                    source: party("web"),
                    destination: party("cart"),
                    security: leno_telemetry::Security::Mtls,
                },
                peer: ([127, 0, 0, 1], 1).into(),
                endpoint: None,
                began: leno_model::Wall::default(),
                took: Duration::ZERO,
                opened: true,
                refused: *refused,
                sent: 0,
                received: 0,
                counted: leno_telemetry::Bytes::default(),
                decided: leno_telemetry::Decided::default(),
            }))
        });
        assert_eq!(shown.collect::<Vec<_>>(), expect, "{told:?}");
    }

    #[test]
    fn what_both_proxies_tell_is_shown_once() {
        use Reporter::{Destination, Source};
        let (cut, late) = (Some(Code::R006), Some(Code::R041));
        check(&[(Source, None), (Destination, None)], &[true, false]);
        check(&[(Destination, None), (Source, None)], &[false, true]);
        check(&[(Destination, cut), (Source, cut)], &[true, false]);
        check(&[(Source, late), (Destination, late)], &[true, false]);
        check(&[(Destination, cut), (Source, None)], &[true, false]);
    }

    #[test]
    fn what_is_said_is_understood() {
        let asked = stat_question(By::Service, Duration::from_secs(2));
        assert_eq!(
            read_stat_question(&asked),
            Some((By::Service, Duration::from_secs(2)))
        );
        let asked = stat_question(By::Edge, Duration::MAX);
        assert_eq!(read_stat_question(&asked), Some((By::Edge, LONGEST)));
        let filter = Filter {
            failed: true,
            party: Some("shop/cart".into()),
            from: Some("shop/web".into()),
            to: Some("shop/cart".into()),
            method: Some("GET".into()),
            path: Some("/items".into()),
            status: Some((500, 599)),
            code: Some(Code::R014),
        };
        assert_eq!(read_tap_question(&tap_question(&filter)), Some(filter));
        let counted = Edge {
            calls: 7,
            failed: 2,
            mtls: 4,
            plain: 1,
            open_mtls: 3,
            open_plain: 5,
            sent: 800,
            received: 9,
            p50: Some(Duration::from_millis(3)),
            p99: None,
        };
        let key = ("shop/web".to_owned(), "shop/cart".to_owned());
        assert_eq!(read_edge(&edge((&key, &counted))), Some((key, counted)));
        assert_eq!(read_edge(&json!({})), None);
    }
}
