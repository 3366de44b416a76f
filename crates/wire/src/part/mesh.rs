//! What holds everywhere: settings, revoked identities, bundles.

use alloc::{
    collections::BTreeMap, collections::BTreeSet, string::String, string::ToString, sync::Arc,
    vec::Vec,
};

use leno_model::view::{
    Check, Collector, OtlpProtocol, Probe, Settings, Signals, Unknown, WhileAway,
};
use leno_model::{Namespace, SpiffeId, TrustDomain};
use prost::Message;

use crate::carried::{
    Carried, Misfit, carried_enum, from_list, from_option, from_shared, port, required, to_list,
    to_shared,
};
use crate::part::access::IpBlockMessage;
use crate::part::telemetry::{self, TelemetryMessage};
use crate::part::word::{FieldMessage, OriginMessage, SpanMessage};

carried_enum!(UnknownMessage for Unknown, "unknown destinations" { Pass = 1, Refuse = 2 });

carried_enum!(WhileAwayMessage for WhileAway, "while away" { Closed = 1, Open = 2 });

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SettingsMessage {
    #[prost(string, tag = "1")]
    trust_domain: String,
    /// Of who knows no rules about outbound calls, where there are some: that none is let out.
    #[prost(enumeration = "UnknownMessage", tag = "2")]
    unknown_destinations: i32,
    #[prost(message, repeated, tag = "3")]
    origins: Vec<FieldMessage>,
    #[prost(message, optional, tag = "4")]
    collector: Option<CollectorMessage>,
    #[prost(message, optional, tag = "5")]
    telemetry: Option<TelemetryMessage>,
    /// Who does not know them lets in fewer.
    #[prost(message, repeated, tag = "6")]
    probes: Vec<ProbeMessage>,
    /// What holds for whoever knows rules about outbound calls, where there are some.
    #[prost(enumeration = "UnknownMessage", optional, tag = "7")]
    unknown_beside_rules: Option<i32>,
    /// Who does not know it, and whoever is not told, lets no pod start.
    #[prost(enumeration = "WhileAwayMessage", optional, tag = "8")]
    while_away: Option<i32>,
    /// Who does not know them asks about their pods, too.
    #[prost(string, repeated, tag = "9")]
    unasked: Vec<String>,
    /// Who does not know them lets no pod start by them.
    #[prost(message, optional, tag = "10")]
    taking_part: Option<NamespacesMessage>,
}

#[cfg(test)]
impl SettingsMessage {
    /// What is left of it for whoever knows no rules about outbound calls.
    pub(crate) fn forget_rules(&mut self) {
        self.unknown_beside_rules = None;
    }
}

impl Carried for Settings {
    type Message = SettingsMessage;

    fn to_message(&self) -> SettingsMessage {
        let unknown = self.unknown_destinations.to_message();
        SettingsMessage {
            trust_domain: self.trust_domain.to_message(),
            unknown_destinations: match self.outbound_is_ruled {
                true => Unknown::Refuse.to_message(),
                false => unknown,
            },
            unknown_beside_rules: self.outbound_is_ruled.then_some(unknown),
            while_away: Some(self.while_away.to_message()),
            unasked: self.unasked.iter().map(Namespace::to_message).collect(),
            taking_part: self.taking_part.as_deref().map(Carried::to_message),
            origins: self.origins.to_message(),
            probes: to_shared(&self.probes),
            telemetry: telemetry::to_message(&self.telemetry),
            collector: self.collector.as_deref().map(Collector::to_message),
        }
    }

    fn from_message(message: SettingsMessage) -> Result<Self, Misfit> {
        Ok(Self {
            trust_domain: TrustDomain::from_message(message.trust_domain)?,
            unknown_destinations: Unknown::from_message(
                message
                    .unknown_beside_rules
                    .unwrap_or(message.unknown_destinations),
            )?,
            outbound_is_ruled: message.unknown_beside_rules.is_some(),
            while_away: from_option(message.while_away)?.unwrap_or(WhileAway::Closed),
            unasked: {
                let unasked = message.unasked.into_iter();
                unasked
                    .map(Namespace::from_message)
                    .collect::<Result<_, _>>()?
            },
            taking_part: from_option(message.taking_part)?.map(Arc::new),
            origins: BTreeMap::from_message(message.origins)?,
            probes: from_shared(message.probes)?,
            telemetry: telemetry::from_message(message.telemetry)?,
            collector: from_option(message.collector)?.map(Arc::new),
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct NamespacesMessage {
    #[prost(string, repeated, tag = "1")]
    names: Vec<String>,
}

impl Carried for BTreeSet<Namespace> {
    type Message = NamespacesMessage;

    fn to_message(&self) -> NamespacesMessage {
        NamespacesMessage {
            names: self.iter().map(Namespace::to_message).collect(),
        }
    }

    fn from_message(message: NamespacesMessage) -> Result<Self, Misfit> {
        let names = message.names.into_iter();
        names.map(Namespace::from_message).collect()
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ProbeMessage {
    #[prost(message, optional, tag = "1")]
    origin: Option<OriginMessage>,
    #[prost(message, repeated, tag = "2")]
    from: Vec<IpBlockMessage>,
    #[prost(uint32, tag = "3")]
    port: u32,
    /// Empty for one that asks for none: nothing that is asked is empty, so that who does not know what follows lets
    /// in nothing by it.
    #[prost(string, tag = "4")]
    path: String,
    /// How it asks, if not by a request.
    #[prost(enumeration = "StreamCheckMessage", optional, tag = "5")]
    stream: Option<i32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum StreamCheckMessage {
    Unset = 0,
    Tls = 1,
    Connection = 2,
}

impl Carried for Probe {
    type Message = ProbeMessage;

    fn to_message(&self) -> ProbeMessage {
        ProbeMessage {
            origin: Some(self.origin.to_message()),
            from: to_list(&self.from),
            port: self.port.into(),
            path: match &self.check {
                Check::Request(path) => path.to_string(),
                Check::Tls | Check::Connection => String::new(),
            },
            stream: match self.check {
                Check::Request(_) => None,
                Check::Tls => Some(StreamCheckMessage::Tls.into()),
                Check::Connection => Some(StreamCheckMessage::Connection.into()),
            },
        }
    }

    /// One that asks in a way that is not known lets in nothing, as one for an empty path.
    fn from_message(message: ProbeMessage) -> Result<Self, Misfit> {
        let stream = message.stream.map(StreamCheckMessage::try_from);
        Ok(Self {
            origin: required(message.origin, "origin of a probe")?,
            from: from_list(message.from)?,
            port: port(message.port)?,
            check: match stream {
                Some(Ok(StreamCheckMessage::Tls)) => Check::Tls,
                Some(Ok(StreamCheckMessage::Connection)) => Check::Connection,
                Some(Ok(StreamCheckMessage::Unset) | Err(_)) => Check::Request(Arc::default()),
                None => Check::Request(message.path.into()),
            },
        })
    }
}

carried_enum!(OtlpMessage for OtlpProtocol, "protocol of a collector" { Grpc = 1, Http = 2 });

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CollectorMessage {
    #[prost(string, tag = "1")]
    endpoint: String,
    #[prost(enumeration = "OtlpMessage", tag = "2")]
    protocol: i32,
    #[prost(string, optional, tag = "3")]
    headers_file: Option<String>,
    #[prost(string, optional, tag = "4")]
    roots_file: Option<String>,
    #[prost(bool, tag = "5")]
    metrics: bool,
    #[prost(bool, tag = "6")]
    traces: bool,
    #[prost(bool, tag = "7")]
    logs: bool,
    #[prost(message, optional, tag = "8")]
    interval: Option<SpanMessage>,
}

impl Carried for Collector {
    type Message = CollectorMessage;

    fn to_message(&self) -> CollectorMessage {
        let text = |text: &Option<Arc<str>>| text.as_ref().map(ToString::to_string);
        CollectorMessage {
            endpoint: self.endpoint.to_string(),
            protocol: self.protocol.to_message(),
            headers_file: text(&self.headers_file),
            roots_file: text(&self.roots_file),
            metrics: self.signals.metrics,
            traces: self.signals.traces,
            logs: self.signals.logs,
            interval: Some(self.interval.to_message()),
        }
    }

    fn from_message(message: CollectorMessage) -> Result<Self, Misfit> {
        Ok(Self {
            endpoint: message.endpoint.into(),
            protocol: OtlpProtocol::from_message(message.protocol)?,
            headers_file: message.headers_file.map(Into::into),
            roots_file: message.roots_file.map(Into::into),
            signals: Signals {
                metrics: message.metrics,
                traces: message.traces,
                logs: message.logs,
            },
            interval: required(message.interval, "interval of a collector")?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RevokedMessage {
    #[prost(string, repeated, tag = "1")]
    identities: Vec<String>,
}

impl Carried for BTreeSet<SpiffeId> {
    type Message = RevokedMessage;

    fn to_message(&self) -> RevokedMessage {
        RevokedMessage {
            identities: self.iter().map(SpiffeId::to_message).collect(),
        }
    }

    fn from_message(message: RevokedMessage) -> Result<Self, Misfit> {
        message
            .identities
            .into_iter()
            .map(SpiffeId::from_message)
            .collect()
    }
}

/// The keys of one trust domain that prove its tokens.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct TokenKeysMessage {
    #[prost(string, tag = "1")]
    pub(crate) trust_domain: String,
    #[prost(string, tag = "2")]
    pub(crate) keys: String,
}

/// Roots of a trust domain, as DER.
type Roots = Arc<Vec<Vec<u8>>>;

/// The roots of one trust domain.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct BundleMessage {
    #[prost(string, tag = "1")]
    trust_domain: String,
    #[prost(bytes = "vec", repeated, tag = "2")]
    roots: Vec<Vec<u8>>,
}

impl BundleMessage {
    pub(crate) fn of(domain: &TrustDomain, roots: &Roots) -> Self {
        Self {
            trust_domain: domain.to_message(),
            roots: roots.to_vec(),
        }
    }

    pub(crate) fn read(self) -> Result<(TrustDomain, Roots), Misfit> {
        let domain = TrustDomain::from_message(self.trust_domain)?;
        Ok((domain, Arc::new(self.roots)))
    }
}
