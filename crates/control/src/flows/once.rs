//! Each call once: what both of its proxies counted, put together.
//!
//! The caller's proxy tells of all of its calls. The other one is believed where no proxy of the
//! caller tells anything; and where it knows why it refused what to the caller's proxy is an answer
//! like others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use leno_model::flow::{Kind, Side, Sum, What};

/// What both sides told, each call once. A call that the receiving proxy refused has its reason; how
/// long it took and its bytes stay with the others of its kind.
pub(super) fn each_once(told: BTreeMap<Kind, Sum>) -> BTreeMap<Kind, Sum> {
    let sources = told.keys().filter(|kind| kind.side == Side::Source);
    let tell: BTreeSet<Arc<str>> = sources
        .filter(|kind| kind.from.contains('/'))
        .map(|kind| Arc::clone(&kind.from))
        .collect();
    let mut once = BTreeMap::<Kind, Sum>::new();
    let mut reasons = Vec::new();
    for (kind, sum) in told {
        match kind.side {
            Side::Destination if tell.contains(&kind.from) => {
                if is_reason(&kind) {
                    reasons.push((kind, sum));
                }
            }
            Side::Source | Side::Destination => once.entry(kind).or_default().add(&sum),
        }
    }
    for (kind, sum) in reasons {
        give_reason(&mut once, &kind, &sum);
    }
    once.retain(|_, sum| !sum.is_empty());
    once
}

/// Whether it is an answer that the receiving proxy gave itself: of a stream that was refused, or an
/// answer that was cut, the caller's proxy tells, too.
fn is_reason(kind: &Kind) -> bool {
    let coded = kind.failure.as_ref().and_then(|failure| failure.code);
    let answered = matches!(kind.what, What::Requests { status, .. } if status >= 400);
    coded.is_some() && answered
}

/// Gives the calls that `kind` tells of its reason, as far as the caller's proxy told of them: those
/// of the same edge and status that were answered to it, first of those that asked for the same.
fn give_reason(once: &mut BTreeMap<Kind, Sum>, kind: &Kind, reason: &Sum) {
    let is_alike = |other: &Kind| {
        let is_answer = other.failure.as_ref().is_none_or(|why| why.code.is_none());
        other.side == Side::Source
            && other.from == kind.from
            && other.to == kind.to
            && is_answer
            && status(other) == status(kind)
    };
    let mut alike: Vec<_> = once
        .keys()
        .filter(|other| is_alike(other))
        .cloned()
        .collect();
    alike.sort_by_key(|other| other.what != kind.what);
    let mut left = reason.count;
    for answered in alike {
        let Some(sum) = once.get_mut(&answered) else {
            continue;
        };
        let count = left.min(sum.count);
        left -= count;
        sum.count -= count;
        let mut moved = Sum::default();
        moved.add_calls(count, reason.first, reason.last, reason.example);
        let explained = Kind {
            failure: kind.failure.clone(),
            ..answered
        };
        once.entry(explained).or_default().add(&moved);
    }
}

fn status(kind: &Kind) -> Option<u16> {
    match kind.what {
        What::Requests { status, .. } => Some(status),
        What::Streams => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use leno_model::flow::Failure;
    use leno_model::{CallId, Code, Dice, Wall};

    use super::*;

    /// Flows as `SIDE FROM TO STATUS [CODE] xCOUNT`; `tcp` has no status.
    fn read(text: &str) -> (Kind, Sum) {
        let words: Vec<_> = text.split(' ').collect();
        let [side, from, to, status, rest @ .., count] = &*words else {
            panic!("{text}");
        };
        let code = rest.first().map(|code| code.parse::<Code>().unwrap());
        let status = status.parse().ok();
        let service = status.filter(|status| *status >= 500).map(|_| Failure {
            fault: leno_model::Fault::Service,
            code: None,
            culprit: None,
        });
        let coded = code.map(|code| Failure {
            fault: code.fault(),
            code: Some(code),
            culprit: None,
        });
        let kind = Kind {
            side: match *side {
                "source" => Side::Source,
                _ => Side::Destination,
            },
            from: (*from).into(),
            to: (*to).into(),
            port: 0,
            peer: None,
            route: None,
            backend: None,
            security: Kind::MTLS.into(),
            what: match status {
                Some(status) => What::Requests {
                    method: "GET".into(),
                    shape: "/".into(),
                    status,
                },
                None => What::Streams,
            },
            facts: None,
            failure: coded.or(service),
        };
        let at = Wall::since_epoch(Duration::from_secs(1));
        let mut sum = Sum::default();
        let id = kind
            .failure
            .as_ref()
            .map(|_| CallId::roll(&mut Dice::new(1)));
        let count = count.strip_prefix('x').unwrap().parse().unwrap();
        sum.add_calls(count, at, at, id);
        (kind, sum)
    }

    fn write((kind, sum): (&Kind, &Sum)) -> String {
        let status = status(kind).map_or("tcp".to_owned(), |status| status.to_string());
        let why = match &kind.failure {
            None => String::new(),
            Some(failure) => match failure.code {
                Some(code) => format!(" {code}"),
                None => " answered".to_owned(),
            },
        };
        format!("{} {} {status}{why} x{}", kind.from, kind.to, sum.count)
    }

    fn check(told: &[&str], expect: &[&str]) {
        let told = told.iter().map(|text| read(text)).collect();
        let once = each_once(told);
        assert_eq!(once.iter().map(write).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn a_call_counts_once_whoever_tells_of_it() {
        check(
            &["source web/a s/b 200 x3", "destination web/a s/b 200 x2"],
            &["web/a s/b 200 x3"],
        );
        check(
            &[
                "destination web/a s/b 200 x2",
                "destination unknown s/b 200 x1",
            ],
            &["unknown s/b 200 x1", "web/a s/b 200 x2"],
        );
        // A caller whose proxy tells of anything tells of everything.
        check(
            &["source web/a s/c 200 x3", "destination web/a s/b 200 x2"],
            &["web/a s/c 200 x3"],
        );
        check(
            &[
                "source web/a s/b tcp R041 x1",
                "destination web/a s/b tcp R006 x1",
            ],
            &["web/a s/b tcp R041 x1"],
        );
    }

    #[test]
    fn the_receiving_proxy_knows_why_it_refused() {
        check(
            &[
                "source web/a s/b 403 x3",
                "destination web/a s/b 403 R003 x2",
            ],
            &["web/a s/b 403 x1", "web/a s/b 403 R003 x2"],
        );
        check(
            &[
                "source web/a s/b 503 x3",
                "destination web/a s/b 503 R020 x3",
            ],
            &["web/a s/b 503 R020 x3"],
        );
        // What the caller's proxy refused never came there.
        check(
            &[
                "source web/a s/b 503 R014 x3",
                "destination web/a s/b 503 R020 x3",
            ],
            &["web/a s/b 503 R014 x3"],
        );
        check(
            &[
                "source web/a s/b 403 x1",
                "destination web/a s/b 403 R003 x9",
            ],
            &["web/a s/b 403 R003 x1"],
        );
        // It was cut: both know.
        check(
            &[
                "source web/a s/b 200 R041 x1",
                "destination web/a s/b 200 R041 x1",
            ],
            &["web/a s/b 200 R041 x1"],
        );
    }
}
