//! What is said about calls that were counted: their golden signals.

use std::time::Duration;

use leno_telemetry::Telemetry;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        let asked = stat_question(By::Service, Duration::from_secs(2));
        assert_eq!(
            read_stat_question(&asked),
            Some((By::Service, Duration::from_secs(2)))
        );
        let asked = stat_question(By::Edge, Duration::MAX);
        assert_eq!(read_stat_question(&asked), Some((By::Edge, LONGEST)));
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
