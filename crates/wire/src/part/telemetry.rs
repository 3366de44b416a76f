//! What is told of calls. A default is not written at all.

use alloc::{collections::BTreeMap, string::String, string::ToString, sync::Arc, vec::Vec};

use leno_model::view::{AccessLog, LogFields, Redaction, Telemetry, Tracing};
use leno_model::{Origin, Pattern};
use prost::Message;

use crate::carried::{Carried, Misfit, from_list, to_list};
use crate::part::word::FieldMessage;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TelemetryMessage {
    #[prost(bool, tag = "1")]
    log_off: bool,
    #[prost(string, optional, tag = "2")]
    log_when: Option<String>,
    #[prost(message, optional, tag = "3")]
    log_fields: Option<TextsMessage>,
    #[prost(string, repeated, tag = "4")]
    log_request_headers: Vec<String>,
    #[prost(uint32, tag = "5")]
    sample: u32,
    #[prost(bool, tag = "6")]
    errors: bool,
    #[prost(bool, tag = "7")]
    redact_all: bool,
    #[prost(string, repeated, tag = "8")]
    redact: Vec<String>,
    #[prost(message, repeated, tag = "9")]
    origins: Vec<FieldMessage>,
    #[prost(string, repeated, tag = "10")]
    log_response_headers: Vec<String>,
    /// Who does not know them records what rules ask for, and no more.
    #[prost(message, repeated, tag = "11")]
    records: Vec<FieldMessage>,
}

/// Texts, where none is not the same as nothing said.
#[derive(Clone, PartialEq, Message)]
struct TextsMessage {
    #[prost(string, repeated, tag = "1")]
    texts: Vec<String>,
}

/// What is told where it is not the default.
pub(crate) fn to_message(telemetry: &Arc<Telemetry>) -> Option<TelemetryMessage> {
    (**telemetry != Telemetry::default()).then(|| telemetry.to_message())
}

/// The way back.
pub(crate) fn from_message(message: Option<TelemetryMessage>) -> Result<Arc<Telemetry>, Misfit> {
    let telemetry = message.map(Telemetry::from_message).transpose()?;
    Ok(Arc::new(telemetry.unwrap_or_default()))
}

impl Carried for Telemetry {
    type Message = TelemetryMessage;

    fn to_message(&self) -> TelemetryMessage {
        let Self {
            access_log,
            tracing,
            redaction,
            records,
            origins,
        } = self;
        let names = |names: &[Arc<str>]| names.iter().map(ToString::to_string).collect();
        let records: BTreeMap<Arc<str>, Origin> = records
            .iter()
            .map(|(fact, origin)| (fact.to_string().into(), origin.clone()))
            .collect();
        TelemetryMessage {
            log_off: !access_log.is_on,
            log_when: access_log.when.as_ref().map(ToString::to_string),
            log_fields: access_log.fields.map(|fields| TextsMessage {
                texts: fields.names().map(ToString::to_string).collect(),
            }),
            log_request_headers: names(&access_log.request_headers),
            log_response_headers: names(&access_log.response_headers),
            sample: tracing.sample,
            errors: tracing.errors,
            redact_all: redaction.all,
            redact: to_list(&redaction.patterns),
            origins: origins.to_message(),
            records: records.to_message(),
        }
    }

    fn from_message(message: TelemetryMessage) -> Result<Self, Misfit> {
        let shared = |texts: Vec<String>| texts.into_iter().map(Arc::from);
        // A pattern that this proxy cannot read may hide anything.
        let patterns: Result<Vec<Pattern>, Misfit> = from_list(message.redact);
        let records = BTreeMap::<Arc<str>, Origin>::from_message(message.records)?;
        // One that this proxy does not know is not recorded.
        let records = records
            .into_iter()
            .filter_map(|(fact, origin)| Some((fact.parse().ok()?, origin)));
        Ok(Self {
            access_log: AccessLog {
                is_on: !message.log_off,
                when: message.log_when.map(Into::into),
                fields: message
                    .log_fields
                    .map(|it| LogFields::of(it.texts.iter().map(String::as_str))),
                request_headers: shared(message.log_request_headers).collect(),
                response_headers: shared(message.log_response_headers).collect(),
            },
            tracing: Tracing {
                sample: message.sample.min(Tracing::EVERY),
                errors: message.errors,
            },
            redaction: Redaction {
                all: message.redact_all || patterns.is_err(),
                patterns: patterns.unwrap_or_default(),
            },
            records: records.collect(),
            origins: BTreeMap::from_message(message.origins)?,
        })
    }
}
