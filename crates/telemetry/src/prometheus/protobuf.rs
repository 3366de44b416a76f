//! The format that is protobuf: `io.prometheus.client`, as far as something is said in it here.

use leno_model::Histogram;
use prost::Message;

use crate::exposition::{self, Exposition, Family, LIMITS, Sample, Value, in_buckets};
use crate::metric::{self, Kind};
use crate::native::{Native, SCHEMA};

pub(super) fn write(exposition: &Exposition<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for family in &exposition.0 {
        // One that says nothing is not understood by every reader.
        if family.samples.is_empty() {
            continue;
        }
        let message = MetricFamily::of(family);
        let written = message.encode_length_delimited(&mut bytes);
        written.expect("a Vec takes every byte");
    }
    bytes
}

#[derive(Clone, PartialEq, Message)]
struct MetricFamily {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    help: Option<String>,
    #[prost(enumeration = "MetricType", optional, tag = "3")]
    kind: Option<i32>,
    #[prost(message, repeated, tag = "4")]
    metric: Vec<Metric>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, prost::Enumeration)]
enum MetricType {
    Counter = 0,
    Gauge = 1,
    Histogram = 4,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<Number>,
    #[prost(message, optional, tag = "3")]
    counter: Option<Number>,
    #[prost(message, optional, tag = "7")]
    histogram: Option<Durations>,
}

#[derive(Clone, PartialEq, Message)]
struct LabelPair {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    value: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Number {
    #[prost(double, optional, tag = "1")]
    value: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
struct Durations {
    #[prost(uint64, optional, tag = "1")]
    sample_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    sample_sum: Option<f64>,
    #[prost(message, repeated, tag = "3")]
    bucket: Vec<Bucket>,
    #[prost(sint32, optional, tag = "5")]
    schema: Option<i32>,
    #[prost(double, optional, tag = "6")]
    zero_threshold: Option<f64>,
    #[prost(uint64, optional, tag = "7")]
    zero_count: Option<u64>,
    #[prost(message, repeated, tag = "12")]
    positive_span: Vec<BucketSpan>,
    /// Each count less the one before.
    #[prost(sint64, repeated, tag = "13")]
    positive_delta: Vec<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Bucket {
    #[prost(uint64, optional, tag = "1")]
    cumulative_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    upper_bound: Option<f64>,
    #[prost(message, optional, tag = "3")]
    exemplar: Option<Exemplar>,
}

/// Buckets that follow each other without a gap.
#[derive(Clone, Copy, PartialEq, Message)]
struct BucketSpan {
    /// How many buckets are left out before; of the first one the number of its first bucket.
    #[prost(sint32, optional, tag = "1")]
    offset: Option<i32>,
    #[prost(uint32, optional, tag = "2")]
    length: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(double, optional, tag = "2")]
    value: Option<f64>,
    #[prost(message, optional, tag = "3")]
    timestamp: Option<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Timestamp {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

impl MetricFamily {
    fn of(family: &Family<'_>) -> Self {
        let kind = match family.metric.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
        };
        let samples = family.samples.iter();
        Self {
            name: Some(family.metric.name.to_owned()),
            help: Some(family.metric.help.to_owned()),
            kind: Some(kind.into()),
            metric: samples
                .map(|sample| Metric::of(family.metric, sample))
                .collect(),
        }
    }
}

impl Metric {
    fn of(metric: &metric::Metric, sample: &Sample<'_>) -> Self {
        let labels = metric.labels.iter().zip(sample.labels());
        let mut told = Self {
            label: labels
                .map(|(label, value)| LabelPair::of(label.name, value))
                .collect(),
            ..Self::default()
        };
        match (&sample.value, metric.kind) {
            (Value::Durations(took, exemplars), _) => {
                told.histogram = Some(Durations::of(took, exemplars));
            }
            (Value::Number(value), Kind::Gauge) => told.gauge = Some(Number::of(*value)),
            (Value::Number(value), Kind::Counter | Kind::Histogram) => {
                told.counter = Some(Number::of(*value));
            }
        }
        told
    }
}

impl LabelPair {
    fn of(name: &str, value: &str) -> Self {
        Self {
            name: Some(name.to_owned()),
            value: Some(value.to_owned()),
        }
    }
}

impl Number {
    fn of(value: u64) -> Self {
        let value = Some(value as f64);
        Self { value }
    }
}

impl Durations {
    fn of(took: &Histogram, exemplars: &[exposition::Exemplar]) -> Self {
        let native = Native::of(took);
        let count = took.count();
        let limits = LIMITS.map(|(_, limit)| (limit.as_secs_f64(), took.at_most(limit)));
        let buckets = limits.into_iter().chain([(f64::INFINITY, count)]);
        let buckets = buckets.zip(in_buckets(exemplars));
        Self {
            sample_count: Some(count),
            sample_sum: Some(took.sum().as_secs_f64()),
            bucket: buckets
                .map(|((limit, count), exemplar)| Bucket {
                    cumulative_count: Some(count),
                    upper_bound: Some(limit),
                    exemplar: exemplar.map(Exemplar::of),
                })
                .collect(),
            schema: Some(SCHEMA),
            zero_threshold: Some(Native::zero_threshold().as_secs_f64()),
            zero_count: Some(native.zero),
            positive_span: spans(&native.buckets),
            positive_delta: deltas(&native.buckets),
        }
    }
}

impl Exemplar {
    fn of(exemplar: &exposition::Exemplar) -> Self {
        let ended = exemplar.ended.elapsed_since_epoch();
        Self {
            label: exemplar
                .labels()
                .map(|(name, value)| LabelPair::of(name, &value))
                .collect(),
            value: Some(exemplar.took.as_secs_f64()),
            timestamp: Some(Timestamp {
                seconds: ended.as_secs().try_into().unwrap_or(i64::MAX),
                nanos: ended.subsec_nanos().try_into().unwrap_or_default(),
            }),
        }
    }
}

fn spans(buckets: &[(i32, u64)]) -> Vec<BucketSpan> {
    let runs = buckets.chunk_by(|(one, _), (next, _)| one + 1 == *next);
    let mut end = 0;
    runs.filter_map(|run| {
        let ((first, _), (last, _)) = (run.first()?, run.last()?);
        let offset = first - end;
        end = last + 1;
        Some(BucketSpan {
            offset: Some(offset),
            length: u32::try_from(run.len()).ok(),
        })
    })
    .collect()
}

fn deltas(buckets: &[(i32, u64)]) -> Vec<i64> {
    let mut before = 0;
    let deltas = buckets.iter().map(|(_, count)| {
        let count = i64::try_from(*count).unwrap_or(i64::MAX);
        let delta = count - before;
        before = count;
        delta
    });
    deltas.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_told_by_runs_and_differences() {
        let check = |buckets: &[(i32, u64)], expect_spans: &[(i32, u32)], expect_deltas: &[i64]| {
            let spans = spans(buckets);
            let spans: Vec<_> = spans
                .iter()
                .map(|span| (span.offset.unwrap(), span.length.unwrap()))
                .collect();
            assert_eq!(spans, expect_spans);
            assert_eq!(deltas(buckets), expect_deltas);
        };
        check(&[], &[], &[]);
        check(
            &[(-80, 3), (-79, 1), (-77, 1)],
            &[(-80, 2), (1, 1)],
            &[3, -2, 0],
        );
        check(&[(0, 7), (5, 9)], &[(0, 1), (4, 1)], &[7, 2]);
    }
}
