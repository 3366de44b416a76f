//! Services, their endpoints, and the workloads a proxy stands in front of.

use alloc::{collections::BTreeMap, string::String, string::ToString, sync::Arc, vec::Vec};
use core::net::{IpAddr, SocketAddr};
use core::num::NonZeroU32;
use core::time::Duration;

use leno_model::view::{
    Access, Budget, Endpoint, EndpointSlice, Locality, Protocol, Proxied, ProxyVersion, Retry,
    Routes, Service, ServicePort, State, Tuning, Workload, WorkloadId, WorkloadPort,
};
use leno_model::{Name, Namespace, Network, Origin, ProcessMatch, SpiffeId};
use prost::Message;

use crate::carried::{
    Carried, Misfit, carried_enum, from_list, from_option, port, required, to_list,
};
use crate::part::access::{AccessMessage, IpBlockMessage, OutboundMessage};
use crate::part::isolation::{self, IsolationMessage};
use crate::part::lacks;
use crate::part::mesh::ProbeMessage;
use crate::part::pod::PodMessage;
use crate::part::route::{RetryMessage, RoutesMessage};
use crate::part::telemetry::{self, TelemetryMessage};
use crate::part::word::{FieldMessage, NamedMessage, OriginMessage, SocketMessage, SpanMessage};

carried_enum!(ProtocolMessage for Protocol, "protocol" {
    Http = 1, Tcp = 2, Http1 = 3, Http2 = 4, Grpc = 5, Tls = 6, Detect = 7,
});
carried_enum!(ProxyVersionMessage for ProxyVersion, "version of the PROXY protocol" {
    V1 = 1, V2 = 2,
});
carried_enum!(StateMessage for State, "endpoint state" { Ready = 1, Draining = 2, Unknown = 3 });

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ServiceMessage {
    #[prost(message, optional, tag = "1")]
    name: Option<NamedMessage>,
    #[prost(message, optional, tag = "2")]
    origin: Option<OriginMessage>,
    #[prost(message, repeated, tag = "3")]
    addresses: Vec<AddressMessage>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) ports: Vec<ServicePortMessage>,
}

impl ServiceMessage {
    /// The features that its routes need.
    pub(crate) fn needs(&self) -> impl Iterator<Item = &String> {
        let producers = self.ports.iter().flat_map(|port| &port.producer);
        let consumers = self.ports.iter().flat_map(|port| &port.consumers);
        let consumers = consumers.flat_map(|consumer| &consumer.routes);
        producers.chain(consumers).flat_map(RoutesMessage::needs)
    }
}

impl Carried for Service {
    type Message = ServiceMessage;

    fn to_message(&self) -> ServiceMessage {
        ServiceMessage {
            name: Some(self.name.to_message()),
            origin: self.origin.as_ref().map(Origin::to_message),
            addresses: to_list(&self.addresses),
            ports: self
                .ports
                .iter()
                .map(|(number, port)| ServicePortMessage {
                    number: (*number).into(),
                    ..port.to_message()
                })
                .collect(),
        }
    }

    fn from_message(message: ServiceMessage) -> Result<Self, Misfit> {
        Ok(Self {
            name: required(message.name, "name of a service")?,
            origin: from_option(message.origin)?,
            addresses: from_list(message.addresses)?,
            ports: message
                .ports
                .into_iter()
                .map(|message| Ok((port(message.number)?, ServicePort::from_message(message)?)))
                .collect::<Result<_, _>>()?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AddressMessage {
    #[prost(string, tag = "1")]
    network: String,
    #[prost(bytes = "vec", tag = "2")]
    ip: Vec<u8>,
}

impl Carried for (Network, IpAddr) {
    type Message = AddressMessage;

    fn to_message(&self) -> AddressMessage {
        AddressMessage {
            network: self.0.to_message(),
            ip: self.1.to_message(),
        }
    }

    fn from_message(message: AddressMessage) -> Result<Self, Misfit> {
        Ok((
            Network::from_message(message.network)?,
            IpAddr::from_message(message.ip)?,
        ))
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ServicePortMessage {
    #[prost(uint32, tag = "1")]
    number: u32,
    #[prost(string, optional, tag = "2")]
    name: Option<String>,
    #[prost(enumeration = "ProtocolMessage", tag = "3")]
    protocol: i32,
    #[prost(message, optional, tag = "4")]
    pub(crate) producer: Option<RoutesMessage>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) consumers: Vec<ConsumerMessage>,
    #[prost(message, optional, tag = "6")]
    tuning: Option<TuningMessage>,
    #[prost(message, optional, tag = "7")]
    telemetry: Option<TelemetryMessage>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ConsumerMessage {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) routes: Option<RoutesMessage>,
}

impl Carried for ServicePort {
    type Message = ServicePortMessage;

    fn to_message(&self) -> ServicePortMessage {
        ServicePortMessage {
            number: 0,
            name: self.name.as_ref().map(ToString::to_string),
            protocol: self.protocol.to_message(),
            producer: self.producer.as_ref().map(|routes| routes.to_message()),
            consumers: self
                .consumers
                .iter()
                .map(|(namespace, routes)| ConsumerMessage {
                    namespace: namespace.to_message(),
                    routes: Some(routes.to_message()),
                })
                .collect(),
            tuning: Some(self.tuning.to_message()),
            telemetry: telemetry::to_message(&self.telemetry),
        }
    }

    fn from_message(message: ServicePortMessage) -> Result<Self, Misfit> {
        Ok(Self {
            name: message.name.map(Into::into),
            protocol: Protocol::from_message(message.protocol)?,
            producer: from_option::<Routes>(message.producer)?.map(Arc::new),
            consumers: message
                .consumers
                .into_iter()
                .map(|consumer| {
                    let routes: Routes = required(consumer.routes, "routes of a consumer")?;
                    Ok((
                        Namespace::from_message(consumer.namespace)?,
                        Arc::new(routes),
                    ))
                })
                .collect::<Result<_, _>>()?,
            tuning: Arc::new(required(message.tuning, "tuning of a port")?),
            telemetry: telemetry::from_message(message.telemetry)?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TuningMessage {
    #[prost(message, optional, tag = "1")]
    connect_timeout: Option<SpanMessage>,
    #[prost(message, optional, tag = "2")]
    request_timeout: Option<SpanMessage>,
    #[prost(message, optional, tag = "3")]
    retry: Option<RetryMessage>,
    #[prost(uint32, tag = "4")]
    budget_percent: u32,
    #[prost(uint32, tag = "5")]
    budget_at_least_per_second: u32,
    #[prost(message, repeated, tag = "6")]
    origins: Vec<FieldMessage>,
}

impl Carried for Tuning {
    type Message = TuningMessage;

    fn to_message(&self) -> TuningMessage {
        TuningMessage {
            connect_timeout: Some(self.connect_timeout.to_message()),
            request_timeout: self.request_timeout.as_ref().map(Duration::to_message),
            retry: Some(self.retry.to_message()),
            budget_percent: self.budget.percent.into(),
            budget_at_least_per_second: self.budget.at_least_per_second,
            origins: self.origins.to_message(),
        }
    }

    fn from_message(message: TuningMessage) -> Result<Self, Misfit> {
        let percent = u8::try_from(message.budget_percent)
            .ok()
            .filter(|percent| *percent <= 100);
        Ok(Self {
            connect_timeout: required(message.connect_timeout, "connect timeout")?,
            request_timeout: from_option(message.request_timeout)?,
            retry: required::<Retry>(message.retry, "retry")?,
            budget: Budget {
                percent: percent.ok_or_else(|| Misfit::new("budget", "it is above 100 percent"))?,
                at_least_per_second: message.budget_at_least_per_second,
            },
            origins: BTreeMap::from_message(message.origins)?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SliceMessage {
    #[prost(message, repeated, tag = "1")]
    endpoints: Vec<EndpointMessage>,
}

impl Carried for EndpointSlice {
    type Message = SliceMessage;

    fn to_message(&self) -> SliceMessage {
        SliceMessage {
            endpoints: to_list(self.endpoints()),
        }
    }

    fn from_message(message: SliceMessage) -> Result<Self, Misfit> {
        Self::new(from_list(message.endpoints)?)
            .ok_or_else(|| Misfit::new("endpoint slice", "it holds more than a slice may"))
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct EndpointMessage {
    #[prost(message, optional, tag = "1")]
    workload: Option<NamedMessage>,
    #[prost(string, tag = "2")]
    cluster: String,
    #[prost(string, tag = "3")]
    network: String,
    #[prost(message, optional, tag = "4")]
    address: Option<SocketMessage>,
    #[prost(message, optional, tag = "5")]
    tunnel: Option<SocketMessage>,
    #[prost(string, repeated, tag = "6")]
    identities: Vec<String>,
    #[prost(message, optional, tag = "7")]
    locality: Option<LocalityMessage>,
    #[prost(uint32, tag = "8")]
    weight: u32,
    #[prost(enumeration = "StateMessage", tag = "9")]
    state: i32,
}

impl Carried for Endpoint {
    type Message = EndpointMessage;

    fn to_message(&self) -> EndpointMessage {
        EndpointMessage {
            workload: Some(self.workload.to_message()),
            cluster: self.cluster.to_message(),
            network: self.network.to_message(),
            address: Some(self.address.to_message()),
            tunnel: self.tunnel.as_ref().map(SocketAddr::to_message),
            identities: to_list(&self.identities),
            locality: Some(self.locality.to_message()),
            weight: self.weight.get(),
            state: self.state.to_message(),
        }
    }

    fn from_message(message: EndpointMessage) -> Result<Self, Misfit> {
        let tunnel: Option<SocketAddr> = from_option(message.tunnel)?;
        let identities: Vec<SpiffeId> = from_list(message.identities)?;
        if tunnel.is_some() && identities.is_empty() {
            return Err(Misfit::new(
                "endpoint",
                "it has a tunnel and nobody to expect there",
            ));
        }
        Ok(Self {
            workload: required(message.workload, "workload of an endpoint")?,
            cluster: Name::from_message(message.cluster)?,
            network: Network::from_message(message.network)?,
            address: required(message.address, "address of an endpoint")?,
            tunnel,
            identities,
            locality: from_option(message.locality)?.unwrap_or_default(),
            weight: NonZeroU32::new(message.weight)
                .ok_or_else(|| Misfit::new("endpoint", "its weight is zero"))?,
            state: State::from_message(message.state)?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct LocalityMessage {
    #[prost(string, optional, tag = "1")]
    region: Option<String>,
    #[prost(string, optional, tag = "2")]
    zone: Option<String>,
    #[prost(string, optional, tag = "3")]
    node: Option<String>,
}

impl Carried for Locality {
    type Message = LocalityMessage;

    fn to_message(&self) -> LocalityMessage {
        let text = |part: &Option<Arc<str>>| part.as_ref().map(ToString::to_string);
        LocalityMessage {
            region: text(&self.region),
            zone: text(&self.zone),
            node: text(&self.node),
        }
    }

    fn from_message(message: LocalityMessage) -> Result<Self, Misfit> {
        let LocalityMessage { region, zone, node } = message;
        Ok(Self {
            region: region.map(Into::into),
            zone: zone.map(Into::into),
            node: node.map(Into::into),
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct WorkloadMessage {
    #[prost(message, optional, tag = "1")]
    id: Option<NamedMessage>,
    #[prost(string, tag = "2")]
    identity: String,
    #[prost(string, tag = "3")]
    network: String,
    #[prost(bytes = "vec", repeated, tag = "4")]
    addresses: Vec<Vec<u8>>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) ports: Vec<WorkloadPortMessage>,
    #[prost(message, optional, tag = "6")]
    pub(crate) other_ports: Option<AccessMessage>,
    #[prost(message, optional, tag = "7")]
    telemetry: Option<TelemetryMessage>,
    #[prost(message, repeated, tag = "8")]
    pub(crate) processes: Vec<ProcessMessage>,
    #[prost(message, optional, tag = "9")]
    pub(crate) outbound: Option<OutboundMessage>,
    /// Who does not know them lets in fewer.
    #[prost(message, repeated, tag = "10")]
    probes: Vec<ProbeMessage>,
    #[prost(message, optional, tag = "11")]
    pod: Option<PodMessage>,
    /// Who does not know it lets nobody in, by a rule of each port.
    #[prost(message, optional, tag = "12")]
    pub(crate) isolation: Option<IsolationMessage>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ProcessMessage {
    #[prost(uint32, optional, tag = "1")]
    user: Option<u32>,
    #[prost(uint32, optional, tag = "2")]
    group: Option<u32>,
    #[prost(string, optional, tag = "3")]
    path: Option<String>,
    #[prost(bytes = "vec", optional, tag = "4")]
    sha256: Option<Vec<u8>>,
    /// Features without which it demands less than it says.
    #[prost(string, repeated, tag = "15")]
    pub(crate) needs: Vec<String>,
}

impl Carried for ProcessMatch {
    type Message = ProcessMessage;

    fn to_message(&self) -> ProcessMessage {
        ProcessMessage {
            user: self.user,
            group: self.group,
            path: self.path.as_ref().map(ToString::to_string),
            sha256: self.sha256.map(Vec::from),
            needs: Vec::new(),
        }
    }

    fn from_message(message: ProcessMessage) -> Result<Self, Misfit> {
        let sha256 = message.sha256.map(<[u8; 32]>::try_from).transpose();
        Ok(Self {
            user: message.user,
            group: message.group,
            path: message.path.map(Into::into),
            sha256: sha256.map_err(|_| Misfit::new("SHA-256", "it does not have 32 bytes"))?,
        })
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct WorkloadPortMessage {
    #[prost(uint32, tag = "1")]
    number: u32,
    #[prost(enumeration = "ProtocolMessage", tag = "2")]
    protocol: i32,
    #[prost(message, optional, tag = "3")]
    pub(crate) access: Option<AccessMessage>,
    #[prost(message, optional, tag = "4")]
    telemetry: Option<TelemetryMessage>,
    #[prost(message, optional, tag = "5")]
    proxied: Option<ProxiedMessage>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ProxiedMessage {
    #[prost(message, repeated, tag = "1")]
    from: Vec<IpBlockMessage>,
    /// 0 where nothing is sent.
    #[prost(enumeration = "ProxyVersionMessage", tag = "2")]
    send: i32,
    #[prost(message, optional, tag = "3")]
    origin: Option<OriginMessage>,
}

impl Carried for Proxied {
    type Message = ProxiedMessage;

    fn to_message(&self) -> ProxiedMessage {
        ProxiedMessage {
            from: to_list(&self.from),
            send: self.send.as_ref().map_or(0, ProxyVersion::to_message),
            origin: self.origin.as_ref().map(Origin::to_message),
        }
    }

    fn from_message(message: ProxiedMessage) -> Result<Self, Misfit> {
        let send = Some(message.send).filter(|send| *send != 0);
        Ok(Self {
            from: from_list(message.from)?,
            send: from_option(send)?,
            origin: from_option(message.origin)?,
        })
    }
}

impl WorkloadMessage {
    /// The features that its rules need, and what it demands of processes.
    pub(crate) fn needs(&self) -> impl Iterator<Item = &String> {
        let ports = self.ports.iter().flat_map(|port| &port.access);
        let all = ports.chain(&self.other_ports);
        let processes = self.processes.iter().flat_map(|process| &process.needs);
        let outbound = self.outbound.iter().flat_map(OutboundMessage::needs);
        let access = all.flat_map(AccessMessage::needs);
        access.chain(outbound).chain(processes)
    }
}

impl Carried for Workload {
    type Message = WorkloadMessage;

    fn to_message(&self) -> WorkloadMessage {
        let guards = self.isolation.iter().flat_map(|it| isolation::guards(it));
        let guards: Vec<_> = guards.collect();
        let access = |access: &Access| {
            let mut message = access.to_message();
            message.rules.extend(guards.iter().cloned());
            message
        };
        WorkloadMessage {
            id: Some(self.id.to_message()),
            identity: self.identity.to_message(),
            network: self.network.to_message(),
            addresses: to_list(&self.addresses),
            ports: self
                .ports
                .iter()
                .map(|(number, port)| WorkloadPortMessage {
                    number: (*number).into(),
                    protocol: port.protocol.to_message(),
                    access: Some(access(&port.access)),
                    telemetry: telemetry::to_message(&port.telemetry),
                    proxied: Some(port.proxied.to_message()),
                })
                .collect(),
            other_ports: Some(access(&self.other_ports)),
            telemetry: telemetry::to_message(&self.telemetry),
            processes: to_list(&self.processes),
            probes: to_list(&self.probes),
            pod: self.pod.as_ref().map(|pod| pod.to_message()),
            isolation: self.isolation.as_ref().map(|it| it.to_message()),
            outbound: (!self.outbound.is_unsaid()).then(|| self.outbound.to_message()),
        }
    }

    /// A demand on processes that asks for more than we know lets none of them in.
    fn from_message(message: WorkloadMessage) -> Result<Self, Misfit> {
        let mut processes = message.processes;
        processes.retain(|process| !lacks(&process.needs));
        let access = |message: Option<AccessMessage>| -> Result<Arc<Access>, Misfit> {
            required(message, "access of a workload").map(Arc::new)
        };
        Ok(Self {
            id: required::<WorkloadId>(message.id, "name of a workload")?,
            identity: SpiffeId::from_message(message.identity)?,
            network: Network::from_message(message.network)?,
            addresses: from_list(message.addresses)?,
            ports: message
                .ports
                .into_iter()
                .map(|message| {
                    let workload_port = WorkloadPort {
                        protocol: Protocol::from_message(message.protocol)?,
                        access: access(message.access)?,
                        telemetry: telemetry::from_message(message.telemetry)?,
                        proxied: Arc::new(required(message.proxied, "what is said of callers")?),
                    };
                    Ok((port(message.number)?, workload_port))
                })
                .collect::<Result<_, _>>()?,
            other_ports: access(message.other_ports)?,
            telemetry: telemetry::from_message(message.telemetry)?,
            processes: from_list(processes)?.into(),
            probes: from_list(message.probes)?.into(),
            pod: from_option(message.pod)?.map(Arc::new),
            isolation: from_option(message.isolation)?.map(Arc::new),
            outbound: Arc::new(from_option(message.outbound)?.unwrap_or_default()),
        })
    }
}
