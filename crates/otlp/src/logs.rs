//! Lines of the access log as OTLP has them: the line for people, and each of its fields.

use leno_model::Fault;
use leno_telemetry::access_log::fields::{Said, fields};
use leno_telemetry::access_log::{FIELDS, Format};
use leno_telemetry::{Event, Record};
use prost::Message;

use crate::batch::Batch;
use crate::message::{
    AnyValue, KeyValue, LogRecord, LogsRequest, Resource, ResourceLogs, Scope, ScopeLogs, Severity,
    Value,
};
use crate::metrics::nanos;

/// The request that tells of `records`.
pub(crate) fn batch(resource: &Resource, scope: &Scope, records: &[Record]) -> Batch {
    let request = LogsRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource.clone()),
            scope_logs: vec![ScopeLogs {
                scope: Some(scope.clone()),
                log_records: records.iter().map(|record| told(&record.event())).collect(),
            }],
        }],
    };
    Batch {
        body: request.encode_to_vec(),
        items: records.len() as u64,
    }
}

fn told(event: &Event<'_>) -> LogRecord {
    let line = Format::Text.line(event);
    let line = String::from_utf8_lossy(&line).trim_end().to_owned();
    let mut record = LogRecord {
        observed_time: nanos(event.ended()),
        severity: severity(event.fault()).into(),
        body: Some(AnyValue {
            value: Some(Value::Text(line)),
        }),
        ..LogRecord::default()
    };
    fields(event, |name, said| match said {
        Said::Time(time) => record.time = nanos(time),
        Said::Trace(trace) => record.trace_id = trace.get().to_be_bytes().to_vec(),
        Said::Span(span) => record.span_id = span.get().to_be_bytes().to_vec(),
        Said::Headers(headers) => {
            let told = headers
                .iter()
                .map(|(header, value)| KeyValue::text(&format!("{}.{header}", key(name)), value));
            record.attributes.extend(told);
        }
        Said::Word(word) if name == "event" => record.event_name = format!("leno.{word}"),
        said => record.attributes.push(KeyValue::of(key(name), value(said))),
    });
    record
}

fn severity(fault: Option<Fault>) -> Severity {
    match fault {
        None => Severity::Info,
        Some(Fault::Caller) => Severity::Warn,
        Some(Fault::Service | Fault::Configuration | Fault::Mesh) => Severity::Error,
    }
}

fn key(name: &'static str) -> &'static str {
    let field = FIELDS.iter().find(|field| field.name == name);
    field.map_or(name, |field| field.otel)
}

fn value(said: Said<'_>) -> Value {
    match said {
        Said::Number(number) => Value::Int(number.try_into().unwrap_or(i64::MAX)),
        Said::Took(took) => Value::Double(took.as_secs_f64() * 1e3),
        said => Value::Text(said.to_string()),
    }
}
