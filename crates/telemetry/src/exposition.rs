//! Everything there is to tell at one moment, metric by metric: what every format says in its way.

use std::borrow::Cow;
use std::collections::HashMap;
use std::iter;
use std::num::NonZeroU128;
use std::rc::Rc;
use std::time::Duration;

use leno_model::view::WorkloadId;
use leno_model::{CallId, Fault, Histogram, SpiffeId, Wall};

use crate::capture::{Captured, Tried, Whose};
use crate::certificates::Standing;
use crate::event::Event;
use crate::export::Exported;
use crate::kept::Kept;
use crate::limit::Limit;
use crate::metric::{self, Metric};
use crate::registry::{CodeCounts, Total};
use crate::series::{Key, Labels, NONE, What};
use crate::snapshot::Snapshot;

/// Metrics with their samples, in the order of their table. Those that counted nothing are there too.
#[derive(Clone, Debug)]
pub struct Exposition<'a>(pub Vec<Family<'a>>);

/// One metric and its samples.
#[derive(Clone, Debug)]
pub struct Family<'a> {
    /// What is told.
    pub metric: &'static Metric,
    /// What there is to tell.
    pub samples: Vec<Sample<'a>>,
}

/// A value, and what it is about.
#[derive(Clone, Debug)]
pub struct Sample<'a> {
    labels: Values<'a>,
    last: Option<&'static str>,
    /// The value.
    pub value: Value<'a>,
}

/// The values of labels, which the samples of a series share.
type Values<'a> = Rc<[Cow<'a, str>]>;

/// What a sample tells.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// So many.
    Number(u64),
    /// How long so many took, and some of them by name.
    Durations(&'a Histogram, Vec<Exemplar>),
}

/// A call that is kept, for whoever asks of a duration why it was so long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exemplar {
    /// Its name: `leno why` takes it.
    pub id: CallId,
    /// The trace that it is part of, if it is traced.
    pub trace: Option<NonZeroU128>,
    /// How long it took.
    pub took: Duration,
    /// When it was over.
    pub ended: Wall,
}

impl Exemplar {
    /// The labels that name it, each with its value.
    pub fn labels(&self) -> impl Iterator<Item = (&'static str, String)> {
        let id = String::from_utf8_lossy(&self.id.digits()).into_owned();
        let trace = self
            .trace
            .map(|trace| ("trace_id", format!("{trace:032x}")));
        iter::once(("call_id", id)).chain(trace)
    }
}

impl<'a> Sample<'a> {
    /// A value that is about what these labels say.
    pub fn new(labels: impl IntoIterator<Item = Cow<'a, str>>, value: u64) -> Self {
        Self {
            labels: labels.into_iter().collect(),
            last: None,
            value: Value::Number(value),
        }
    }

    fn about(labels: &Values<'a>, value: Value<'a>) -> Self {
        Self {
            labels: Rc::clone(labels),
            last: None,
            value,
        }
    }

    /// The values of its labels, in the order of its metric's labels.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().map(|value| &**value).chain(self.last)
    }
}

impl<'a> Family<'a> {
    /// A metric with its samples.
    pub fn new(metric: &'static Metric, samples: impl IntoIterator<Item = Sample<'a>>) -> Self {
        Self {
            metric,
            samples: samples.into_iter().collect(),
        }
    }

    /// A metric that has one value.
    pub fn alone(metric: &'static Metric, value: u64) -> Self {
        Self::new(metric, [Sample::new([], value)])
    }

    fn of_codes(metric: &'static Metric, counts: &CodeCounts) -> Self {
        let samples = counts.iter().map(|(reporter, code, count)| {
            let fault = code.fault().as_str();
            let labels = [reporter.as_str(), code.as_str(), code.slug(), fault];
            Sample::new(labels.map(Cow::Borrowed), *count)
        });
        Self::new(metric, samples)
    }
}

impl Snapshot {
    /// All of it, with those of the `kept` calls that its durations count.
    pub fn exposition(&self, kept: &Kept) -> Exposition<'_> {
        let mut exemplars = exemplars(kept);
        let series: Vec<_> = self
            .series
            .iter()
            .map(|total| (of_traffic(&total.labels), total))
            .collect();
        let those = |is: fn(What) -> bool| {
            let those = series.iter();
            those.filter(move |(_, total)| is(total.labels.traits.what))
        };
        let calls = || those(|what| matches!(what, What::Calls(_)));
        let copies = those(|what| matches!(what, What::Copies(_)));
        let streams = || those(|what| what == What::Streams);
        let durations = calls().map(|(labels, total)| {
            let exemplars = exemplars.remove(&total.labels).unwrap_or_default();
            Sample::about(labels, Value::Durations(&total.took, exemplars))
        });
        let retries = calls().filter(|(_, total)| total.retries > 0);
        // Whose fault its end will be is not known of one that is open.
        let open = streams().filter(|(_, total)| total.labels.traits.fault.is_none());
        let bytes = those(|what| !matches!(what, What::Copies(_))).flat_map(|(labels, total)| {
            let both = [("sent", total.sent), ("received", total.received)];
            both.map(|(direction, bytes)| Sample {
                last: Some(direction),
                ..Sample::about(labels, Value::Number(bytes))
            })
        });
        let families = [
            Family::new(&metric::REQUESTS, calls().map(count_of)),
            Family::new(&metric::REQUEST_DURATION, durations),
            Family::new(
                &metric::RETRIES,
                retries.map(|(labels, total)| Sample::about(labels, Value::Number(total.retries))),
            ),
            Family::new(&metric::COPIES, copies.map(count_of)),
            Family::new(&metric::CONNECTIONS, streams().map(count_of)),
            Family::new(
                &metric::CONNECTIONS_OPEN,
                open.map(|(labels, total)| Sample::about(labels, Value::Number(total.open))),
            ),
            Family::new(&metric::BYTES, bytes),
            Family::of_codes(&metric::REFUSED, &self.refused),
            Family::alone(&metric::AUDITED, self.audited),
            Family::of_codes(&metric::HANDSHAKE_FAILURES, &self.handshakes),
            Family::of_codes(&metric::ACCEPT_FAILURES, &self.accepts),
            Family::new(
                &metric::CERTIFICATE_ENDS,
                self.certificates.iter().filter_map(ends),
            ),
            Family::new(
                &metric::CERTIFICATE_RENEWALS_FAILED,
                self.certificates.iter().map(renewals_failed),
            ),
            Family::new(
                &metric::CAPTURE_PROVEN,
                self.captured.iter().filter(is_tried).map(capture_proven),
            ),
            Family::new(
                &metric::CAPTURE_LOSSES,
                self.captured.iter().filter(is_tried).map(capture_losses),
            ),
            Family::new(
                &metric::CAPTURE_REPAIRS,
                self.captured.iter().map(capture_repairs),
            ),
            Family::new(
                &metric::POD_PROCESS_ENDS,
                self.pod_processes.iter().map(process_ends),
            ),
            Family::new(&metric::LIMITS, self.limits.iter().map(limit)),
            Family::alone(&metric::SERIES_FOLDED, self.folded),
            Family::alone(&metric::ACCESS_LOG_DROPPED, self.log_dropped),
            Family::alone(&metric::TAP_DROPPED, self.tap_dropped),
            Family::alone(&metric::ACCESS_LOG_UNFILTERED, self.log_unfiltered),
        ];
        let rest = of_export(&self.exported).into_iter().chain([build_info()]);
        Exposition(families.into_iter().chain(rest).collect())
    }
}

/// What became of what is sent to a collector.
pub(crate) fn of_export(exported: &[Exported]) -> [Family<'_>; 3] {
    [
        Family::new(&metric::EXPORT_TAKEN, exported.iter().map(taken)),
        Family::new(&metric::EXPORT_LOST, exported.iter().flat_map(lost)),
        Family::new(&metric::EXPORT_FAILURES, exported.iter().map(failures)),
    ]
}

/// Of one that never came there is no end to tell.
fn ends((id, standing): &(SpiffeId, Standing)) -> Option<Sample<'static>> {
    let ends = standing.ends?.elapsed_since_epoch().as_secs();
    Some(Sample::new([of_identity(id)], ends))
}

fn renewals_failed((id, standing): &(SpiffeId, Standing)) -> Sample<'static> {
    Sample::new([of_identity(id)], standing.failures)
}

/// Whether it is tried here whether the capture works.
fn is_tried((_, captured): &&(WorkloadId, Captured)) -> bool {
    captured.whose != Whose::Sidecar
}

fn capture_proven((workload, captured): &(WorkloadId, Captured)) -> Sample<'static> {
    let is_proven = captured.tried == Tried::Proven;
    Sample::new([workload.to_string().into()], u64::from(is_proven))
}

fn capture_losses((workload, captured): &(WorkloadId, Captured)) -> Sample<'static> {
    Sample::new([workload.to_string().into()], captured.losses)
}

fn capture_repairs((workload, captured): &(WorkloadId, Captured)) -> Sample<'static> {
    Sample::new([workload.to_string().into()], captured.repairs)
}

fn process_ends((workload, ends): &(WorkloadId, u64)) -> Sample<'static> {
    Sample::new([workload.to_string().into()], *ends)
}

fn of_identity(id: &SpiffeId) -> Cow<'static, str> {
    Cow::Owned(format!("{}/{}", id.namespace, id.service_account))
}

fn limit((limit, times): &(Limit, u64)) -> Sample<'static> {
    Sample::new([Cow::Borrowed(limit.as_str())], *times)
}

fn taken(exported: &Exported) -> Sample<'_> {
    let signal = Cow::Borrowed(exported.signal.as_str());
    Sample::new([signal], exported.taken)
}

fn lost(exported: &Exported) -> impl Iterator<Item = Sample<'_>> {
    exported.lost.iter().map(|(why, count)| {
        let labels = [exported.signal.as_str(), why.as_str()];
        Sample::new(labels.map(Cow::Borrowed), *count)
    })
}

fn failures(exported: &Exported) -> Sample<'_> {
    let signal = Cow::Borrowed(exported.signal.as_str());
    Sample::new([signal], exported.failures)
}

/// Which Leno this is.
pub(crate) fn build_info<'a>() -> Family<'a> {
    let version = Cow::Borrowed(env!("CARGO_PKG_VERSION"));
    Family::new(&metric::BUILD_INFO, [Sample::new([version], 1)])
}

fn count_of<'a>((labels, total): &(Values<'a>, &Total)) -> Sample<'a> {
    Sample::about(labels, Value::Number(total.count))
}

fn of_traffic(labels: &Labels) -> Values<'_> {
    let traits = labels.traits;
    let class = match traits.what {
        What::Calls(class) | What::Copies(class) => class.as_str(),
        What::Streams => NONE,
    };
    let values = [
        traits.reporter.as_str(),
        &labels.source,
        &labels.destination,
        &labels.route,
        class,
        traits.security.as_str(),
        traits.fault.map_or(NONE, Fault::as_str),
    ];
    values.map(Cow::Borrowed).into()
}

/// The kept calls that may stand for the series they were counted in, latest last.
fn exemplars(kept: &Kept) -> HashMap<Labels, Vec<Exemplar>> {
    let mut exemplars = HashMap::<_, Vec<_>>::new();
    for record in &kept.records {
        let event = record.event();
        if let Event::Call(call) = &event
            && call.copy_of.is_none()
        {
            let exemplar = Exemplar {
                id: call.id,
                trace: call.traced.map(|traced| traced.trace),
                took: call.took,
                ended: event.ended(),
            };
            let of = exemplars.entry(Key::of_call(call).labels());
            of.or_default().push(exemplar);
        }
    }
    exemplars
}

/// The limits that durations are told by where buckets are not native, each the edge of a bucket, as
/// Prometheus writes it and as what it is.
pub(crate) const LIMITS: [(&str, Duration); 14] = [
    ("0.0005", Duration::from_micros(500)),
    ("0.001", Duration::from_millis(1)),
    ("0.0025", Duration::from_micros(2_500)),
    ("0.005", Duration::from_millis(5)),
    ("0.01", Duration::from_millis(10)),
    ("0.025", Duration::from_millis(25)),
    ("0.05", Duration::from_millis(50)),
    ("0.1", Duration::from_millis(100)),
    ("0.25", Duration::from_millis(250)),
    ("0.5", Duration::from_millis(500)),
    ("1.0", Duration::from_secs(1)),
    ("2.5", Duration::from_millis(2_500)),
    ("5.0", Duration::from_secs(5)),
    ("10.0", Duration::from_secs(10)),
];

/// The limits that durations are told by.
pub fn limits() -> impl Iterator<Item = Duration> + Clone {
    LIMITS.into_iter().map(|(_, limit)| limit)
}

/// The latest of the exemplars in each bucket between limits, the one without a limit last.
pub fn in_buckets(exemplars: &[Exemplar]) -> [Option<&Exemplar>; BUCKETS] {
    let mut buckets = [None; BUCKETS];
    for exemplar in exemplars {
        let bucket = LIMITS.partition_point(|(_, limit)| *limit < exemplar.took);
        buckets[bucket] = Some(exemplar);
    }
    buckets
}

/// One for each limit, and one beyond.
const BUCKETS: usize = LIMITS.len() + 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::Tally;

    #[test]
    fn every_limit_is_the_edge_of_a_bucket() {
        for (text, limit) in LIMITS {
            assert_eq!(text.parse(), Ok(limit.as_secs_f64()));
            let tally = Tally::new();
            tally.record(limit);
            tally.record(limit + Duration::from_nanos(1));
            let mut histogram = Histogram::default();
            tally.add_to(&mut histogram);
            assert_eq!(histogram.at_most(limit), 1, "{limit:?}");
        }
    }
}
