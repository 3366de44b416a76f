//! Spans as OTLP has them, each under the workload on whose behalf the proxy acted.

use std::collections::BTreeMap;

use leno_telemetry::{Span, SpanKind, Value};
use prost::Message;

use crate::batch::Batch;
use crate::message::{
    self, KeyValue, Resource, ResourceSpans, Scope, ScopeSpans, SpanCode, SpanStatus, TracesRequest,
};
use crate::metrics::nanos;

/// The request that tells of `spans`, made by the process that `proxy` describes.
pub(crate) fn batch(proxy: &Resource, scope: &Scope, spans: &[Span]) -> Batch {
    let mut groups = BTreeMap::<_, Vec<_>>::new();
    for span in spans {
        groups.entry(&span.of).or_default().push(told(span));
    }
    let resource_spans = groups.into_iter().map(|(of, spans)| ResourceSpans {
        resource: Some(resource(proxy, of.as_ref())),
        scope_spans: vec![ScopeSpans {
            scope: Some(scope.clone()),
            spans,
        }],
    });
    let request = TracesRequest {
        resource_spans: resource_spans.collect(),
    };
    Batch {
        body: request.encode_to_vec(),
        items: spans.len() as u64,
    }
}

/// A workload, told by its proxy; the proxy itself where nobody knows for whom it acted.
fn resource(proxy: &Resource, of: Option<&(Box<str>, Box<str>)>) -> Resource {
    let Some((namespace, name)) = of else {
        return proxy.clone();
    };
    let own = [
        KeyValue::text("service.name", name),
        KeyValue::text("service.namespace", namespace),
    ];
    let instance = proxy.attributes.iter();
    let instance = instance.filter(|attribute| attribute.key == "service.instance.id");
    Resource {
        attributes: own.into_iter().chain(instance.cloned()).collect(),
    }
}

fn told(span: &Span) -> message::Span {
    let began = nanos(span.began);
    let after = |took: std::time::Duration| {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        began.saturating_add(took)
    };
    let parent = span.traced.parent.map(|parent| parent.get().to_be_bytes());
    message::Span {
        trace_id: span.traced.trace.get().to_be_bytes().to_vec(),
        span_id: span.traced.span.get().to_be_bytes().to_vec(),
        trace_state: span.traced.state.to_string(),
        parent_span_id: parent.map(Vec::from).unwrap_or_default(),
        name: span.name.to_string(),
        kind: match span.kind {
            SpanKind::Client => message::SpanKind::Client,
            SpanKind::Server => message::SpanKind::Server,
        }
        .into(),
        start_time: began,
        end_time: after(span.took),
        attributes: attributes(&span.attributes),
        events: span
            .events
            .iter()
            .map(|event| message::SpanEvent {
                time: after(event.after),
                name: event.name.to_owned(),
                attributes: attributes(&event.attributes),
            })
            .collect(),
        status: span.error.as_ref().map(|error| SpanStatus {
            message: error.to_string(),
            code: SpanCode::Error.into(),
        }),
    }
}

fn attributes(pairs: &[(&'static str, Value)]) -> Vec<KeyValue> {
    let told = pairs.iter().map(|(name, value)| match value {
        Value::Text(text) => KeyValue::text(name, text),
        Value::Number(number) => KeyValue::of(name, message::Value::Int(*number)),
    });
    told.collect()
}
