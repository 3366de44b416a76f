//! What Leno reads of Kubernetes' `NetworkPolicy` (networking.k8s.io/v1): from where callers come to which ports of
//! which pods.

use alloc::{collections::BTreeMap, format, sync::Arc};

use leno_model::Code;
use leno_model::view::access::IpBlock;

use crate::decode::{Reader, choice, object};
use crate::part::List;
use crate::service::{TargetPort, TransportProtocol};

object! {
    /// From where callers come to which ports of which pods, as a cluster's own network holds it too.
    pub struct NetworkPolicySpec {
        /// The pods of its namespace that it is about. Without it, all of them.
        pub pod_selector: Option<LabelSelector> = "podSelector";
        /// Which calls of these pods only its rules let through. Unsaid, those that come in; and those that go out, if
        /// there is a rule about such.
        pub policy_types: List<PolicyType> = "policyTypes" [items(0, 2)];
        /// Who comes in. Without a rule, nobody does.
        pub ingress: List<IngressRule> = "ingress" [items(0, 1000)];
        /// Whom these pods call. Without a rule, nobody.
        pub egress: List<EgressRule> = "egress" [items(0, 1000)];
    }

    /// Callers who come in.
    pub struct IngressRule {
        /// Who they are: any of these. Without an entry, everybody.
        pub from: List<NetworkPeer> = "from" [items(0, 10_000)];
        /// The ports to which they come: any of these. Without an entry, every port.
        pub ports: List<NetworkPort> = "ports" [items(0, 10_000)];
    }

    /// Whom pods call.
    pub struct EgressRule {
        /// Who that is: any of these. Without an entry, everybody.
        pub to: List<NetworkPeer> = "to" [items(0, 10_000)];
        /// The ports that they call: any of these. Without an entry, every port.
        pub ports: List<NetworkPort> = "ports" [items(0, 10_000)];
    }

    /// Ports.
    pub struct NetworkPort checked by range_fits {
        /// What carries calls to it.
        pub protocol: TransportProtocol = "protocol" or TransportProtocol::Tcp, as "TCP";
        /// The port of the pod, or the name that its containers give it. Without it, every port.
        pub port: Option<TargetPort> = "port";
        /// The last of several ports, the first of which is `port`.
        pub end_port: Option<u16> = "endPort" [range(1, 65_535)];
    }

    /// Somebody at the other end: pods, or addresses.
    pub struct NetworkPeer checked by only_one {
        /// Pods with these labels: of the namespaces that `namespaceSelector` names, else of the policy's own.
        pub pod_selector: Option<LabelSelector> = "podSelector";
        /// The namespaces with these labels: all pods in them, or those that `podSelector` names.
        pub namespace_selector: Option<LabelSelector> = "namespaceSelector";
        /// Addresses.
        pub ip_block: Option<AddressBlock> = "ipBlock";
    }

    /// A block of addresses, without some of them.
    pub struct AddressBlock {
        /// The block.
        pub cidr: IpBlock = "cidr";
        /// What of it is not meant.
        pub except: List<IpBlock> = "except" [items(0, 10_000)];
    }

    /// What labels there must be: all of it. Nothing said means everything.
    pub struct LabelSelector {
        /// Labels and their values.
        pub match_labels: BTreeMap<Arc<str>, Arc<str>> = "matchLabels" [whole()];
        /// What else must hold of labels.
        pub match_expressions: List<Requirement> = "matchExpressions" [items(0, 1000)];
    }

    /// What must hold of a label.
    pub struct Requirement checked by has_values {
        /// The label.
        pub key: Arc<str> = "key" [length(1, 317)];
        /// How it is looked at.
        pub operator: Operator = "operator";
        /// The values, for `In` and `NotIn`.
        pub values: List<Arc<str>> = "values" [items(0, 10_000)];
    }
}

choice! {
    /// Which calls a policy is about.
    pub enum PolicyType {
        /// Those that come in.
        Ingress = "Ingress",
        /// Those that go out.
        Egress = "Egress",
    }

    /// How a label is looked at.
    pub enum Operator {
        /// It is there, with one of the values.
        In = "In",
        /// It is not there, or has another value.
        NotIn = "NotIn",
        /// It is there.
        Exists = "Exists",
        /// It is not there.
        DoesNotExist = "DoesNotExist",
    }
}

impl NetworkPolicySpec {
    /// Whether only its rules let calls of this kind through. Where it cannot be read what it is about, they are.
    pub fn is_about(&self, kind: PolicyType) -> bool {
        let mut types = self.policy_types.iter();
        match self.policy_types.is_empty() {
            true => kind == PolicyType::Ingress || !self.egress.is_empty(),
            false => types.any(|it| it.sound().is_none_or(|it| *it == kind)),
        }
    }
}

impl LabelSelector {
    /// Whether `labels` are as it says; `None` where what it says cannot be read.
    pub fn matches(&self, labels: &BTreeMap<Arc<str>, Arc<str>>) -> Option<bool> {
        let requirements = self.match_expressions.sound()?;
        let mut holds = true;
        for requirement in requirements {
            holds &= requirement.holds(labels)?;
        }
        let mut said = self.match_labels.iter();
        Some(holds && said.all(|(key, value)| labels.get(key) == Some(value)))
    }

    /// Whether it says nothing, which means everything.
    pub fn is_empty(&self) -> bool {
        self.match_labels.is_empty() && self.match_expressions.is_empty()
    }
}

impl Requirement {
    fn holds(&self, labels: &BTreeMap<Arc<str>, Arc<str>>) -> Option<bool> {
        let value = labels.get(&self.key);
        let values = self.values.sound()?;
        let is_one = || value.is_some_and(|value| values.contains(&value));
        Some(match self.operator {
            Operator::In => is_one(),
            Operator::NotIn => !is_one(),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        })
    }
}

impl NetworkPort {
    /// Whether `port` is one of these, where no name is looked up.
    pub fn has(&self, port: u16) -> bool {
        let is_in = match (&self.port, self.end_port) {
            (None, _) => true,
            (Some(TargetPort::Number(first)), last) => {
                (*first..=last.unwrap_or(*first)).contains(&port)
            }
            (Some(TargetPort::Name(_)), _) => false,
        };
        self.protocol == TransportProtocol::Tcp && is_in
    }
}

//= NetworkPolicyPort endPort: "This field cannot be defined if the port field is not defined or if the port field is
//= defined as a named (string) port. The endPort must be equal or greater than port."
fn range_fits(ports: &NetworkPort, reader: &mut Reader<'_>) {
    let fits = match (&ports.port, ports.end_port) {
        (_, None) => true,
        (Some(TargetPort::Number(first)), Some(last)) => *first <= last,
        (None | Some(TargetPort::Name(_)), Some(_)) => false,
    };
    if !fits {
        let message = "a number that is not above it is expected as port";
        reader.contradiction(Code::C007, "/endPort", message.into());
    }
}

//= NetworkPolicyPeer: "ipBlock defines policy on a particular IPBlock. If this field is set then neither of the other
//= fields can be."
fn only_one(peer: &NetworkPeer, reader: &mut Reader<'_>) {
    let selects = peer.pod_selector.is_some() || peer.namespace_selector.is_some();
    if selects == peer.ip_block.is_some() {
        let message = "pods or namespaces are expected, or an ipBlock alone";
        reader.contradiction(Code::C007, "", message.into());
    }
}

//= LabelSelectorRequirement: "If the operator is In or NotIn, the values array must be non-empty. If the operator is
//= Exists or DoesNotExist, the values array must be empty."
fn has_values(requirement: &Requirement, reader: &mut Reader<'_>) {
    let wants = matches!(requirement.operator, Operator::In | Operator::NotIn);
    if wants == requirement.values.is_empty() {
        let operator = requirement.operator.as_str();
        let why = if wants {
            "needs values"
        } else {
            "takes no values"
        };
        reader.contradiction(Code::C007, "/values", format!("{operator} {why}"));
    }
}
