//! Services, who answers for them, and the workloads a proxy stands in front of.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use core::{fmt, net::IpAddr, net::SocketAddr, num::NonZeroU32, time::Duration};

use crate::name::{Name, Namespace, Network, ServiceName};
use crate::origin::Origin;
use crate::process::ProcessMatch;
use crate::spiffe::SpiffeId;
use crate::view::access::{Access, IpBlock};
use crate::view::isolation::Isolation;
use crate::view::outbound::Outbound;
use crate::view::pod::Pod;
use crate::view::probe::Probe;
use crate::view::route::{Retry, Routes};
use crate::view::telemetry::Telemetry;

/// One port of one service.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PortRef {
    /// The service.
    pub service: ServiceName,
    /// Its port, as callers name it.
    pub port: u16,
}

impl fmt::Display for PortRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.service, self.port)
    }
}

/// What callers call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// Its name, the same in every cluster.
    pub name: ServiceName,
    /// Where it was said.
    pub origin: Option<Origin>,
    /// The addresses that mean it. Empty for a headless service, whose names resolve to endpoints.
    pub addresses: Vec<(Network, IpAddr)>,
    /// Its ports, by number.
    pub ports: BTreeMap<u16, ServicePort>,
}

/// One port of a service, and what happens to calls to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServicePort {
    /// Its name, if it has one.
    pub name: Option<Arc<str>>,
    /// What callers speak on it.
    pub protocol: Protocol,
    /// The routes of the service's own namespace, for callers from everywhere. `None`: no route is
    /// attached, every call goes to the service's own endpoints.
    pub producer: Option<Arc<Routes>>,
    /// The routes of callers' namespaces: for a caller from one of these, they stand in the place
    /// of the producer's.
    pub consumers: BTreeMap<Namespace, Arc<Routes>>,
    /// How endpoints of this port are picked, tried and given up.
    pub tuning: Arc<Tuning>,
    /// What callers' proxies tell of calls to it.
    pub telemetry: Arc<Telemetry>,
}

impl ServicePort {
    /// The routes that a call from `namespace` meets.
    pub fn routes_for(&self, namespace: &Namespace) -> Option<&Arc<Routes>> {
        self.consumers.get(namespace).or(self.producer.as_ref())
    }
}

/// What is spoken on a port. On one of HTTP, a client shows by its first bytes in which version it
/// speaks: only what the backend understands is declared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Protocol {
    /// HTTP of either version: a backend is spoken to as its client speaks.
    Http,
    /// HTTP/1.1 and nothing later.
    Http1,
    /// HTTP/2 with prior knowledge (RFC 9113 section 3.3).
    Http2,
    /// gRPC, which is HTTP/2 with prior knowledge.
    Grpc,
    /// TLS of the application's own: carried, not ended. Its server name may choose a route.
    Tls,
    /// Bytes that are carried and not read.
    Tcp,
    /// Nobody has said.
    Detect,
}

impl Protocol {
    /// Whether requests are read, judged and routed one by one.
    pub fn is_http(self) -> bool {
        match self {
            Self::Http | Self::Http1 | Self::Http2 | Self::Grpc => true,
            Self::Tls | Self::Tcp | Self::Detect => false,
        }
    }
}

/// As people say it.
impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "HTTP",
            Self::Http1 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
            Self::Grpc => "gRPC",
            Self::Tls => "TLS",
            Self::Tcp => "TCP",
            Self::Detect => "undeclared",
        })
    }
}

/// The `TrafficPolicy` of a service port, with defaults filled in. Each field says who wrote it
/// through [`Tuning::origins`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tuning {
    /// How long one attempt to connect may take.
    pub connect_timeout: Duration,
    /// How long a request may take, if its route says nothing.
    pub request_timeout: Option<Duration>,
    /// What is tried again, if the route says nothing.
    pub retry: Retry,
    /// How many retries there may be beside first tries.
    pub budget: Budget,
    /// Who wrote each field that is not a default, by its path in `TrafficPolicy.spec`.
    pub origins: BTreeMap<Arc<str>, Origin>,
}

impl Default for Tuning {
    /// What holds where no `TrafficPolicy` says otherwise.
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_timeout: None,
            retry: Retry::default(),
            budget: Budget::default(),
            origins: BTreeMap::new(),
        }
    }
}

/// How many retries there may be beside first tries, over a sliding ten seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// Of the requests, this share may be retries.
    pub percent: u8,
    /// And always this many a second, so that quiet services can retry too.
    pub at_least_per_second: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            percent: 20,
            at_least_per_second: 10,
        }
    }
}

/// Part of those who answer for a service port: the unit in which endpoints are distributed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndpointSlice(Vec<Endpoint>);

impl EndpointSlice {
    /// How many endpoints a slice holds at most.
    pub const MOST: usize = 100;

    /// A slice of these; `None` if they are more than [`Self::MOST`].
    pub fn new(endpoints: Vec<Endpoint>) -> Option<Self> {
        (endpoints.len() <= Self::MOST).then_some(Self(endpoints))
    }

    /// The endpoints, in the order they were given.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.0
    }
}

/// One that answers for a service port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// The workload behind it.
    pub workload: WorkloadId,
    /// The cluster it runs in.
    pub cluster: Name,
    /// The network its address means something in.
    pub network: Network,
    /// Where the application listens.
    pub address: SocketAddr,
    /// Where its proxy takes mesh calls; set when that proxy reports that it listens. An endpoint
    /// with a tunnel is never called in plain.
    pub tunnel: Option<SocketAddr>,
    /// Who it may prove to be. Empty only where there is no tunnel.
    pub identities: Vec<SpiffeId>,
    /// Where it runs.
    pub locality: Locality,
    /// Its share beside the others'.
    pub weight: NonZeroU32,
    /// Whether it wants traffic.
    pub state: State,
}

/// Whether an endpoint wants traffic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum State {
    /// It does.
    Ready,
    /// It finishes what it has and takes nothing new.
    Draining,
    /// Nobody says that it does, nor that it does not: it ends and still serves, or nobody hears of its node. It is used
    /// only when nobody is ready.
    Unknown,
}

/// Where something runs; each part may be unknown.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Locality {
    /// Widest.
    pub region: Option<Arc<str>>,
    /// Inside the region.
    pub zone: Option<Arc<str>>,
    /// The machine.
    pub node: Option<Arc<str>>,
}

/// One running instance of something: `default/cart` run as a process, a pod, a machine.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WorkloadId {
    /// The namespace it acts in.
    pub namespace: Namespace,
    /// Its own name there, unique among instances: a pod's name, `cart`, `cart-2`.
    pub name: Name,
}

impl fmt::Display for WorkloadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A workload that this proxy stands in front of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Workload {
    /// Which one.
    pub id: WorkloadId,
    /// Who it is to others.
    pub identity: SpiffeId,
    /// The network it is in.
    pub network: Network,
    /// Its own addresses.
    pub addresses: Vec<IpAddr>,
    /// The ports of which something is known: those it declares, those to which a service leads, and
    /// those that a policy names. Numbers as it listens on them.
    pub ports: BTreeMap<u16, WorkloadPort>,
    /// Who may reach any other port.
    pub other_ports: Arc<Access>,
    /// From where calls of the mesh come to which of its ports; `None`: from everywhere to all.
    pub isolation: Option<Arc<Isolation>>,
    /// Which hosts outside the mesh it may call.
    pub outbound: Arc<Outbound>,
    /// What its own proxy tells of calls to any other port.
    pub telemetry: Arc<Telemetry>,
    /// Health checks of this workload that are let in although they prove nothing, beside those of
    /// [`Settings::probes`](crate::view::Settings::probes).
    pub probes: Arc<[Probe]>,
    /// The processes of its host that may act as it, beside those that its proxy captures.
    pub processes: Arc<[ProcessMatch]>,
    /// The pod that it is, if the proxy of its node is to reach into the pod's network.
    pub pod: Option<Arc<Pod>>,
}

/// One port on which a workload listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WorkloadPort {
    /// What callers speak on it.
    pub protocol: Protocol,
    /// Who may call it.
    pub access: Arc<Access>,
    /// What its own proxy tells of calls to it.
    pub telemetry: Arc<Telemetry>,
    /// What is said of who makes a connection to it.
    pub proxied: Arc<Proxied>,
}

/// What is said of who makes a connection, before its first byte (the PROXY protocol, versions 1 and 2).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Proxied {
    /// The peers that must say for whom they connect: what they say counts as the caller's address.
    pub from: Vec<IpBlock>,
    /// In which version the workload is told who connects; `None`: it is not told.
    pub send: Option<ProxyVersion>,
    /// The policy that says so; `None` if nobody says anything.
    pub origin: Option<Origin>,
}

/// How it is said who makes a connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ProxyVersion {
    /// As a line of text.
    V1,
    /// In binary.
    V2,
}
