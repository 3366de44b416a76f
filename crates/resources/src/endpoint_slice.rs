//! What Leno reads of Kubernetes' `EndpointSlice` (discovery.k8s.io/v1): where a Service leads that selects
//! nobody. An object of this kind has no `spec`.

use alloc::sync::Arc;

use leno_model::view::State;

use crate::decode::{choice, object};
use crate::part::List;
use crate::service::{Ignored, TransportProtocol};

object! {
    /// Who is behind a Service that selects nobody.
    pub struct EndpointSliceBody {
        /// What its addresses are.
        pub address_type: AddressType = "addressType";
        /// Who is there.
        pub endpoints: List<SliceEndpoint> = "endpoints" [items(0, 1000)];
        /// The ports that each of them has.
        pub ports: List<SlicePort> = "ports" [items(0, 20_000)];
    }

    /// Somebody who takes calls.
    pub struct SliceEndpoint {
        /// Its address. Of several the first one counts.
        pub addresses: List<Arc<str>> = "addresses" [items(1, 100)];
        /// How it is.
        pub conditions: Option<EndpointConditions> = "conditions";
        /// Its name below that of the Service; whoever answers for the cluster's names knows it.
        pub hostname: Option<Ignored> = "hostname";
        /// The node it runs on.
        pub node_name: Option<Arc<str>> = "nodeName";
        /// The zone it runs in.
        pub zone: Option<Arc<str>> = "zone";
        /// What it stands for; who is behind an address, the address says.
        pub target_ref: Option<Ignored> = "targetRef";
        /// Whom it should serve.
        pub hints: Option<Ignored> = "hints";
        /// Where it runs, as older releases said it.
        pub deprecated_topology: Option<Ignored> = "deprecatedTopology";
    }

    /// How an endpoint is.
    pub struct EndpointConditions {
        /// Whether it takes calls. Unsaid, it does.
        pub ready: Option<bool> = "ready";
        /// Whether it takes calls, also while it ends.
        pub serving: Option<bool> = "serving";
        /// Whether it ends.
        pub terminating: Option<bool> = "terminating";
    }

    /// A port of endpoints.
    pub struct SlicePort {
        /// The name of the Service's port that it is behind; unsaid or empty, of the one without a name.
        pub name: Option<Arc<str>> = "name" [length(0, 63)];
        /// Its number.
        pub port: Option<u16> = "port" [range(1, 65_535)];
        /// What carries it.
        pub protocol: TransportProtocol = "protocol" or TransportProtocol::Tcp, as "TCP";
        /// What is spoken on it.
        pub app_protocol: Option<Arc<str>> = "appProtocol" [length(1, 253)];
    }
}

choice! {
    /// What the addresses of endpoints are.
    pub enum AddressType {
        /// Addresses of IPv4.
        Ipv4 = "IPv4",
        /// Addresses of IPv6.
        Ipv6 = "IPv6",
        /// Names, which nobody takes calls by.
        Fqdn = "FQDN",
    }
}

impl SliceEndpoint {
    /// Whether it takes calls; `None`: it does not. One that ends and still serves may, where nobody else does.
    pub fn state(&self) -> Option<State> {
        let Some(said) = &self.conditions else {
            return Some(State::Ready);
        };
        let is_ready = said.ready != Some(false);
        let is_to_end = said.terminating == Some(true);
        match said.serving.unwrap_or(is_ready) {
            _ if is_ready && !is_to_end => Some(State::Ready),
            serves => (serves && is_to_end).then_some(State::Unknown),
        }
    }
}
