//! What went between services, for a while or step by step.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use leno_admin::{By, Carried, Edge, Failure as Refusal, FailureCount, Traffic, TrafficOf};
use leno_model::Wall;
use leno_model::flow::{Failure, Kind, Sum, What};
use leno_store::flows::KeptFlows;

use crate::administer::{status, store_failed};
use crate::center::Center;
use crate::clock;
use crate::flows::moment::Steps;
use crate::flows::once::each_once;
use crate::flows::parties::{Names, refuse_nobody};
use crate::flows::{kept, pause};

/// How many rows an answer may have, all steps together.
const MOST_ROWS: usize = 200_000;

/// For how long a glance looks back.
const LATE: Duration = Duration::from_secs(60);

/// Answers what went between services.
pub(crate) fn traffic(center: &Center, ask: &TrafficOf) -> Result<Carried, Refusal> {
    let now = clock::wall();
    let until = match &ask.until {
        None => now,
        Some(text) => leno_resources::rfc3339(text)
            .ok_or_else(|| Refusal::plain(format_args!("{text:?} is no time in RFC 3339")))?,
    };
    let length = Duration::from_secs(ask.seconds.max(1));
    let steps = match ask.step {
        None => Steps::one(until, length),
        Some(step) => Steps::of(until, length, Duration::from_secs(step), now)?,
    };
    let of = ask.of.as_ref().map(|of| service(of, &ask.namespace));
    let asked = Asked {
        by: ask.by,
        of: of.as_deref(),
    };
    let steps = asked.steps(center, steps, now)?;
    let rows: usize = steps.iter().map(|step| step.edges.len()).sum();
    if let (Some(of), 0) = (&of, rows) {
        refuse_nobody(center.edition().mesh(), of)?;
    }
    if rows > MOST_ROWS {
        let message = format!("that is {rows} rows, and {MOST_ROWS} are told at once");
        return Err(Refusal {
            advice: Some("ask for fewer steps, or for one service".to_owned()),
            ..Refusal::plain(message)
        });
    }
    Ok(Carried {
        status: status(center),
        kept: kept(center),
        steps,
    })
}

/// What went of late, edge by edge; nothing where it cannot be read.
pub(crate) fn of_late(center: &Center) -> Option<Traffic> {
    let now = clock::wall();
    let asked = Asked {
        by: By::Edge,
        of: None,
    };
    let steps = asked.steps(center, Steps::one(now, LATE), now).ok()?;
    steps.into_iter().next()
}

/// `cart` or `shop/cart` as a service.
pub(super) fn service(name: &str, namespace: &str) -> String {
    match name.contains('/') || namespace.is_empty() {
        true => name.to_owned(),
        false => format!("{namespace}/{name}"),
    }
}

/// What is told apart, and of whom.
struct Asked<'a> {
    by: By,
    of: Option<&'a str>,
}

impl Asked<'_> {
    fn steps(&self, center: &Center, steps: Steps, now: Wall) -> Result<Vec<Traffic>, Refusal> {
        let names = Names::of(center.edition().mesh());
        let known = center.ledger.with(leno_store::flows::Flows::kept);
        let known = known.map_err(store_failed)?;
        // What happened a moment ago is on its way.
        let reported = now - (pause(center.fleet.len()) * 2 + Duration::from_secs(1));
        let told = center.ledger.with(|flows| {
            let mut told: Vec<_> = (0..steps.count)
                .map(|index| empty(steps.span(index), &known, reported))
                .collect();
            flows.totals(
                steps.from,
                steps.step,
                steps.count,
                |kind| self.narrowed(names.tell(kind)),
                |index, sums| {
                    if let Some(traffic) = told.get_mut(index) {
                        traffic.edges = self.edges(each_once(sums), steps.step);
                    }
                },
            )?;
            Ok(told)
        });
        told.map_err(store_failed)
    }

    /// A kind without what is not told apart, or nothing if it is not asked about.
    fn narrowed(&self, mut kind: Kind) -> Option<Kind> {
        if self
            .of
            .is_some_and(|of| *kind.from != *of && *kind.to != *of)
        {
            return None;
        }
        kind.port = 0;
        kind.peer = None;
        if self.by != By::Route {
            kind.route = None;
        }
        if self.by != By::Backend {
            kind.backend = None;
        }
        if self.by != By::Request {
            kind = kind.without_request();
        }
        if let Some(failure) = &mut kind.failure {
            failure.culprit = None;
        }
        Some(kind)
    }

    fn edges(&self, once: BTreeMap<Kind, Sum>, step: Duration) -> Vec<Edge> {
        let mut rows = BTreeMap::<Row, Counted>::new();
        for (kind, sum) in &once {
            // Bytes of requests that go on have been asked for nothing yet.
            let is_open = matches!(&kind.what, What::Requests { shape, .. } if shape.is_empty());
            if self.by == By::Request && is_open {
                continue;
            }
            rows.entry(self.row(kind)).or_default().add(kind, sum);
        }
        rows.into_iter()
            .map(|(row, counted)| counted.edge(row, step))
            .collect()
    }

    fn row(&self, kind: &Kind) -> Row {
        let nothing = || Arc::<str>::from("");
        let (from, to) = match self.by {
            By::Mesh => (nothing(), nothing()),
            By::Service | By::Route | By::Backend => (nothing(), Arc::clone(&kind.to)),
            By::Edge | By::Request => (Arc::clone(&kind.from), Arc::clone(&kind.to)),
        };
        Row {
            from,
            to,
            route: kind.route.clone(),
            backend: kind.backend.clone(),
            request: (self.by == By::Request).then(|| kind.what.to_string()),
        }
    }
}

/// A step in which nothing went: of its time that counts in which something could have been kept.
fn empty((from, until): (Wall, Wall), known: &KeptFlows, reported: Wall) -> Traffic {
    let begin = known.from.clamp(from, until);
    let end = reported
        .max(known.until.unwrap_or_default())
        .clamp(begin, until);
    Traffic {
        from: from.to_string(),
        until: until.to_string(),
        seconds: end.since(begin).as_secs_f64().max(1.0),
        edges: Vec::new(),
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    from: Arc<str>,
    to: Arc<str>,
    route: Option<Arc<str>>,
    backend: Option<Arc<str>>,
    request: Option<String>,
}

/// What was counted in one row.
#[derive(Default)]
struct Counted {
    sum: Sum,
    open: [u64; 2],
    edge: Edge,
    failures: BTreeMap<Failure, Sum>,
}

impl Counted {
    fn add(&mut self, kind: &Kind, sum: &Sum) {
        let edge = &mut self.edge;
        if let What::Requests { status, .. } = kind.what
            && sum.count > 0
        {
            *edge.statuses.entry(class(status).to_owned()).or_default() += sum.count;
        }
        match &*kind.security {
            Kind::MTLS => {
                edge.mtls += sum.count;
                self.open[0] += sum.open_ms;
            }
            Kind::NONE => {}
            why => {
                edge.plain += sum.count;
                self.open[1] += sum.open_ms;
                *edge.why_plain.entry(why.to_owned()).or_default() += sum.count;
            }
        }
        if let Some(failure) = &kind.failure {
            edge.failed += sum.count;
            let fault = failure.fault.as_str().to_owned();
            *edge.faults.entry(fault).or_default() += sum.count;
            self.failures.entry(failure.clone()).or_default().add(sum);
        }
        self.sum.add(sum);
    }

    fn edge(self, row: Row, step: Duration) -> Edge {
        let step = u64::try_from(step.as_millis()).unwrap_or(u64::MAX).max(1);
        let [mtls, plain] = self.open.map(|open_ms| open_ms.div_ceil(step));
        let took = |share| {
            let took = self.sum.took.quantile(share)?;
            u64::try_from(took.as_micros()).ok()
        };
        let text = |text: Arc<str>| text.to_string();
        Edge {
            from: row.from.to_string(),
            to: row.to.to_string(),
            route: row.route.map(text),
            backend: row.backend.map(text),
            request: row.request,
            calls: self.sum.count,
            mtls: self.edge.mtls + mtls,
            plain: self.edge.plain + plain,
            open: mtls + plain,
            sent: self.sum.sent,
            received: self.sum.received,
            p50_us: took(0.5),
            p90_us: took(0.9),
            p99_us: took(0.99),
            failures: failure_counts(self.failures),
            ..self.edge
        }
    }
}

/// The ways in which calls failed, the most frequent first.
fn failure_counts(failures: BTreeMap<Failure, Sum>) -> Vec<FailureCount> {
    let counts = failures.iter().map(|(failure, sum)| counted(failure, sum));
    let mut counts: Vec<_> = counts.collect();
    counts.sort_by_key(|count| std::cmp::Reverse(count.count));
    counts
}

/// One way in which calls failed.
pub(super) fn counted(failure: &Failure, sum: &Sum) -> FailureCount {
    FailureCount {
        code: failure.code.map(|code| code.as_str().to_owned()),
        why: failure
            .code
            .map_or("the service answered", |code| code.slug())
            .to_owned(),
        fault: failure.fault.as_str().to_owned(),
        count: sum.count,
        first: sum.first.to_string(),
        last: sum.last.to_string(),
        example: sum.example.map(|id| id.to_string()),
    }
}

fn class(status: u16) -> &'static str {
    match status {
        100..200 => "1xx",
        200..300 => "2xx",
        300..400 => "3xx",
        400..500 => "4xx",
        500..600 => "5xx",
        _ => Kind::NONE,
    }
}
