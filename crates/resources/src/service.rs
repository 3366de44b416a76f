//! What Leno reads of Kubernetes' own kinds (core v1): `Service` and `Namespace`.

use alloc::{collections::BTreeMap, sync::Arc};
use core::net::IpAddr;

use crate::decode::{Decode, Reader, Rules, choice, object};
use crate::form;
use crate::part::List;
use crate::schema::Shape;
use crate::yaml::{Meaning, Node, Value};

object! {
    /// A name under which workloads are called.
    pub struct ServiceSpec {
        /// The labels that its workloads have, all of them. Without it, nobody is selected.
        pub selector: BTreeMap<Arc<str>, Arc<str>> = "selector" [whole()];
        /// The ports on which it is called.
        pub ports: List<ServicePort> = "ports" [items(0, 1000)];
        /// Its address, or `None` for a Service whose name means its endpoints.
        pub cluster_ip: Option<ClusterIp> = "clusterIP";
        /// All its addresses, of both families.
        pub cluster_ips: List<ClusterIp> = "clusterIPs" [items(0, 2)];
        /// How it is reached.
        pub type_: ServiceType = "type" or ServiceType::ClusterIp, as "ClusterIP";
        /// Whether a caller stays with an endpoint.
        pub session_affinity: SessionAffinity = "sessionAffinity" or SessionAffinity::None, as "None";
        /// The name an `ExternalName` Service stands for.
        pub external_name: Option<Arc<str>> = "externalName";
        /// Addresses outside the cluster that mean it; Leno does not answer for them.
        pub external_ips: Option<Ignored> = "externalIPs";
        /// How calls from outside are spread; Leno takes no calls from outside.
        pub external_traffic_policy: Option<Ignored> = "externalTrafficPolicy";
        /// How calls from inside are spread.
        pub internal_traffic_policy: Option<InternalTrafficPolicy> = "internalTrafficPolicy";
        /// Which address families it has.
        pub ip_families: Option<Ignored> = "ipFamilies";
        /// How many address families it has.
        pub ip_family_policy: Option<Ignored> = "ipFamilyPolicy";
        /// The port on nodes at which load balancers ask for health.
        pub health_check_node_port: Option<Ignored> = "healthCheckNodePort";
        /// Whether a load balancer gets node ports.
        pub allocate_load_balancer_node_ports: Option<Ignored> = "allocateLoadBalancerNodePorts";
        /// Who provides the load balancer.
        pub load_balancer_class: Option<Ignored> = "loadBalancerClass";
        /// The load balancer's address.
        pub load_balancer_ip: Option<Ignored> = "loadBalancerIP";
        /// Whom the load balancer lets in.
        pub load_balancer_source_ranges: Option<Ignored> = "loadBalancerSourceRanges";
        /// Whether endpoints that are not ready count.
        pub publish_not_ready_addresses: Option<bool> = "publishNotReadyAddresses";
        /// How session affinity works.
        pub session_affinity_config: Option<Ignored> = "sessionAffinityConfig";
        /// Which endpoints are preferred.
        pub traffic_distribution: Option<Arc<str>> = "trafficDistribution";
    }

    /// A port on which a Service is called.
    pub struct ServicePort {
        /// Its name; must be there if the Service has several.
        pub name: Option<Arc<str>> = "name" [length(1, 63), form(form::label)];
        /// Its number, as callers use it.
        pub port: u16 = "port" [range(1, 65_535)];
        /// The workloads' port behind it. Without it, the same number.
        pub target_port: Option<TargetPort> = "targetPort";
        /// What carries it.
        pub protocol: TransportProtocol = "protocol" or TransportProtocol::Tcp, as "TCP";
        /// What is spoken on it.
        pub app_protocol: Option<Arc<str>> = "appProtocol" [length(1, 253)];
        /// Its port on nodes; Leno does not open it.
        pub node_port: Option<Ignored> = "nodePort";
    }

    /// A group of names with an owner.
    pub struct NamespaceSpec {
        /// What must be gone before the namespace is.
        pub finalizers: Option<Ignored> = "finalizers";
    }
}

choice! {
    /// How a Service is reached.
    pub enum ServiceType {
        /// By an address inside the cluster.
        ClusterIp = "ClusterIP",
        /// Also by a port on every node.
        NodePort = "NodePort",
        /// Also by a load balancer.
        LoadBalancer = "LoadBalancer",
        /// It is another name for a host outside.
        ExternalName = "ExternalName",
    }

    /// Whether a caller stays with an endpoint.
    pub enum SessionAffinity {
        /// Every call is picked anew.
        None = "None",
        /// Calls from one address go to one endpoint.
        ClientIp = "ClientIP",
    }

    /// How calls from inside are spread.
    pub enum InternalTrafficPolicy {
        /// Over all endpoints.
        Cluster = "Cluster",
        /// Over the endpoints on the caller's node.
        Local = "Local",
    }

    /// What carries a port's bytes.
    pub enum TransportProtocol {
        /// TCP.
        Tcp = "TCP",
        /// UDP.
        Udp = "UDP",
        /// SCTP.
        Sctp = "SCTP",
    }
}

/// A Service's address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClusterIp {
    /// It has none: its name means its endpoints (`None`).
    Headless,
    /// It is given one (empty text).
    Unset,
    /// This one.
    Address(IpAddr),
}

impl Decode for ClusterIp {
    const SHAPE: Shape = Shape::Value("IP address, or None");

    fn decode(node: &Node, rules: &Rules, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar(text, Meaning::Plain | Meaning::Quoted) if &**text == "None" => {
                Some(Self::Headless)
            }
            Value::Scalar(text, Meaning::Quoted) if text.is_empty() => Some(Self::Unset),
            Value::Scalar(..) | Value::List(_) | Value::Map(_) => {
                reader.value(node, rules).map(Self::Address)
            }
        }
    }
}

/// Which port of a workload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TargetPort {
    /// The one with this number.
    Number(u16),
    /// The one with this name.
    Name(Arc<str>),
}

impl Decode for TargetPort {
    const SHAPE: Shape = Shape::Value("whole number, or a port's name");

    fn decode(node: &Node, _: &Rules, reader: &mut Reader<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar(_, Meaning::Integer(_)) => reader
                .value(node, &Rules::NONE.range(1, 65_535))
                .map(Self::Number),
            Value::Scalar(..) | Value::List(_) | Value::Map(_) => reader
                .value(node, &Rules::NONE.length(1, 15).form(form::label))
                .map(Self::Name),
        }
    }
}

/// A field that is part of the API and changes nothing that Leno promises.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ignored;

impl Decode for Ignored {
    const SHAPE: Shape = Shape::Value("not used by Leno");

    fn decode(_: &Node, _: &Rules, _: &mut Reader<'_>) -> Option<Self> {
        Some(Self)
    }
}
