//! Metrics as OTLP has them: the names and units of OpenTelemetry, counts since the process began.

use std::time::Duration;

use leno_model::Wall;
use leno_telemetry::exposition::{self, Exposition, Family, Sample, Value};
use leno_telemetry::metric::{self, Kind};
use prost::Message;

use crate::batch::Batch;
use crate::message::{
    Data, Exemplar, Gauge, Histogram, HistogramPoint, KeyValue, Metric, MetricsRequest,
    NumberPoint, Resource, ResourceMetrics, Scope, ScopeMetrics, Sum, Temporality,
};

/// Between when points count, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) began: u64,
    pub(crate) now: u64,
}

/// How many points go into one request: some hundred kilobytes, well below the four megabytes that
/// servers of gRPC take.
const MOST: usize = 1_000;

/// The requests that tell all of it.
pub(crate) fn batches(
    resource: &Resource,
    scope: &Scope,
    exposition: &Exposition<'_>,
    span: Span,
) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut metrics = Vec::new();
    let mut room = MOST;
    for family in &exposition.0 {
        let mut rest = family.samples.as_slice();
        while !rest.is_empty() {
            let (samples, behind) = rest.split_at(rest.len().min(room));
            room -= samples.len();
            rest = behind;
            metrics.push(metric(family, samples, span));
            if room == 0 {
                batches.push(batch(resource, scope, std::mem::take(&mut metrics), MOST));
                room = MOST;
            }
        }
    }
    if !metrics.is_empty() {
        batches.push(batch(resource, scope, metrics, MOST - room));
    }
    batches
}

fn batch(resource: &Resource, scope: &Scope, metrics: Vec<Metric>, points: usize) -> Batch {
    let request = MetricsRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource.clone()),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope.clone()),
                metrics,
            }],
        }],
    };
    Batch {
        body: request.encode_to_vec(),
        items: points as u64,
    }
}

fn metric(family: &Family<'_>, samples: &[Sample<'_>], span: Span) -> Metric {
    let metric = family.metric;
    let temporality = Temporality::Cumulative.into();
    let numbers = || {
        let points = samples
            .iter()
            .map(|sample| number_point(metric, sample, span));
        points.collect()
    };
    Metric {
        name: metric.otel.to_owned(),
        description: metric.help.to_owned(),
        unit: metric.unit.to_owned(),
        data: Some(match metric.kind {
            Kind::Counter => Data::Sum(Sum {
                data_points: numbers(),
                temporality,
                is_monotonic: true,
            }),
            Kind::Gauge => Data::Gauge(Gauge {
                data_points: numbers(),
            }),
            Kind::Histogram => Data::Histogram(Histogram {
                data_points: samples
                    .iter()
                    .filter_map(|sample| histogram_point(metric, sample, span))
                    .collect(),
                temporality,
            }),
        }),
    }
}

fn number_point(metric: &metric::Metric, sample: &Sample<'_>, span: Span) -> NumberPoint {
    let value = match &sample.value {
        Value::Number(value) => *value,
        Value::Durations(took, _) => took.count(),
    };
    NumberPoint {
        start_time: span.began,
        time: span.now,
        as_int: Some(value.try_into().unwrap_or(i64::MAX)),
        attributes: attributes(metric, sample),
    }
}

fn histogram_point(
    metric: &metric::Metric,
    sample: &Sample<'_>,
    span: Span,
) -> Option<HistogramPoint> {
    let Value::Durations(took, exemplars) = &sample.value else {
        return None;
    };
    let mut below = 0;
    let limits = exposition::limits();
    let mut counts: Vec<_> = limits
        .clone()
        .map(|limit| {
            let upto = took.at_most(limit);
            let count = upto - below;
            below = upto;
            count
        })
        .collect();
    counts.push(took.count() - below);
    Some(HistogramPoint {
        start_time: span.began,
        time: span.now,
        count: took.count(),
        sum: Some(took.sum().as_secs_f64()),
        bucket_counts: counts,
        explicit_bounds: limits.map(|limit| limit.as_secs_f64()).collect(),
        exemplars: exposition::in_buckets(exemplars)
            .into_iter()
            .flatten()
            .map(exemplar)
            .collect(),
        attributes: attributes(metric, sample),
    })
}

fn exemplar(exemplar: &exposition::Exemplar) -> Exemplar {
    let trace = exemplar.trace.map(|trace| trace.get().to_be_bytes());
    Exemplar {
        time: nanos(exemplar.ended),
        as_double: Some(exemplar.took.as_secs_f64()),
        trace_id: trace.map(Vec::from).unwrap_or_default(),
        filtered_attributes: exemplar
            .labels()
            .map(|(name, value)| KeyValue::text(name, &value))
            .collect(),
    }
}

fn attributes(metric: &metric::Metric, sample: &Sample<'_>) -> Vec<KeyValue> {
    let pairs = metric.labels.iter().zip(sample.labels());
    pairs
        .map(|(label, value)| KeyValue::text(label.name, value))
        .collect()
}

/// Nanoseconds since 1970.
pub(crate) fn nanos(time: Wall) -> u64 {
    let elapsed: Duration = time.elapsed_since_epoch();
    elapsed.as_nanos().try_into().unwrap_or(u64::MAX)
}
