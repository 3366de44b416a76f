//! All that stands over each port of a workload, from every policy that is about it.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    sync::Arc,
    vec::Vec,
};

use leno_model::ServiceName;
use leno_model::view::{Access, Outbound, PortRef, Protocol, Within, WorkloadPort};

use super::outbound::{self, ByCaller};
use super::port::{Over, Standing, Which};
use super::{Blind, Policy, Special};
use crate::everywhere::Everywhere;
use crate::spoken;
use crate::targets::Target;
use crate::workloads::Workload;

/// All policies, by what they are about.
pub(crate) struct Policies<'a> {
    pub(super) everywhere: &'a Everywhere,
    pub(super) all: &'a [Policy<'a>],
    pub(super) by_target: BTreeMap<&'a Target, Vec<&'a Policy<'a>>>,
    /// What routes send to ports of services, and the policies about that.
    by_sent: BTreeMap<&'a PortRef, Vec<(&'a Policy<'a>, &'a [Within])>>,
    pub(super) by_caller: ByCaller<'a>,
}

/// What the services that lead to a workload's port say about it.
pub(crate) struct Targeted {
    pub(crate) services: BTreeSet<ServiceName>,
    /// Which ports of theirs lead there.
    pub(crate) ports: BTreeSet<PortRef>,
    pub(crate) protocol: Protocol,
    /// What a policy says, whatever the workload itself says.
    pub(crate) ruled: Option<Protocol>,
}

/// Who may call each port of a workload, and whom it may call outside.
pub(crate) struct Ports {
    pub(crate) ports: BTreeMap<u16, WorkloadPort>,
    pub(crate) others: Arc<Access>,
    pub(crate) outbound: Arc<Outbound>,
}

/// How many ports that nothing but policies speak of are told apart, for one workload. What
/// policies say of more of them stands over all others.
const MOST_NAMED: usize = 64;

impl<'a> Policies<'a> {
    pub(crate) fn new(everywhere: &'a Everywhere, all: &'a [Policy<'a>]) -> Self {
        let (mut by_target, mut by_sent) =
            (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
        for policy in all {
            for target in &policy.targets {
                by_target.entry(target).or_default().push(policy);
            }
            for (port, requests) in &policy.within {
                let known = by_sent.entry(port).or_default();
                known.push((policy, requests.as_slice()));
            }
        }
        Self {
            everywhere,
            all,
            by_target,
            by_sent,
            by_caller: outbound::by_caller(all),
        }
    }

    /// What stands over the ports that `workload` declares, that services lead to, or that a policy
    /// names; and over all others. Equal values are one value.
    pub(crate) fn over(
        &self,
        workload: &Workload<'_>,
        targeted: &BTreeMap<u16, Targeted>,
        blind: &mut Blind,
    ) -> Ports {
        let (namespace, name) = workload.name();
        let general = [
            Target::Mesh,
            Target::Namespace(namespace.clone()),
            Target::Workload(namespace.clone(), name.clone()),
        ];
        let general = general
            .iter()
            .flat_map(|target| self.about(target))
            .collect::<Vec<_>>();
        let known = workload
            .ports
            .keys()
            .chain(targeted.keys())
            .copied()
            .collect::<BTreeSet<_>>();
        let mut told_apart = known.clone();
        told_apart.extend(self.ports_in_targets(workload));
        told_apart.extend(
            ports_in_rules(&general)
                .filter(|port| !known.contains(port))
                .take(MOST_NAMED),
        );

        let others = Over {
            policies: &general,
            which: Which::AllBut(&told_apart),
            protocol: Protocol::Detect,
            led_to_by: None,
        };
        let mut distinct = [Arc::new(others.access(self.everywhere))].to_vec();
        let mut ports = BTreeMap::new();
        for number in &told_apart {
            let targeted = targeted.get(number);
            let mut policies = self.with_those_of_services(&general, targeted);
            let own = Target::WorkloadPort(namespace.clone(), name.clone(), *number);
            policies.extend(self.about(&own));
            policies.extend(self.about_what_routes_send(targeted));
            let protocol = protocol(workload, *number, targeted);
            let over = Over {
                policies: &policies,
                which: Which::One(*number),
                protocol,
                led_to_by: targeted.map(|targeted| &targeted.ports),
            };
            let access = one_of(&mut distinct, over.access(self.everywhere));
            if known.contains(number) {
                let name = format!("{namespace}/{name}:{number}");
                if !protocol.is_http() {
                    over.tell_blind_rules(&name, blind);
                    over.tell_unasked(&access, &name, blind);
                }
                over.tell_unbelieved(&access, &name, blind);
            }
            let port = WorkloadPort {
                protocol,
                access,
                telemetry: Arc::default(),
                proxied: Arc::default(),
            };
            ports.insert(*number, port);
        }
        Ports {
            ports,
            others: distinct.swap_remove(0),
            outbound: Arc::new(self.outbound(
                workload,
                targeted,
                &mut blind.idle,
                &mut blind.loosened,
            )),
        }
    }

    fn with_those_of_services(
        &self,
        general: &[Standing<'a>],
        targeted: Option<&Targeted>,
    ) -> Vec<Standing<'a>> {
        let services = targeted.into_iter().flat_map(|targeted| &targeted.services);
        let special = services.flat_map(|service| self.about(&Target::Service(service.clone())));
        let ports = targeted.into_iter().flat_map(|targeted| &targeted.ports);
        let ports = ports.flat_map(|port| self.about(&Target::ServicePort(port.clone())));
        general
            .iter()
            .cloned()
            .chain(special)
            .chain(ports)
            .collect()
    }

    /// The ports of a workload that policies are about.
    fn ports_in_targets(&self, workload: &Workload<'_>) -> impl Iterator<Item = u16> {
        let (namespace, name) = workload.name();
        let port = |number| Target::WorkloadPort(namespace.clone(), name.clone(), number);
        let targets = self.by_target.range::<Target, _>(port(0)..=port(u16::MAX));
        let ports = targets.filter_map(|(target, _)| match target {
            Target::WorkloadPort(_, _, number) => Some(*number),
            Target::Mesh
            | Target::Namespace(_)
            | Target::Service(_)
            | Target::Workload(..)
            | Target::ServicePort(_)
            | Target::HttpRoute(..)
            | Target::GrpcRoute(..) => None,
        });
        ports.collect::<Vec<_>>().into_iter()
    }

    /// The policies about `target`, each with how special that is.
    fn about(&self, target: &Target) -> Vec<Standing<'a>> {
        let policies = self.by_target.get(target).into_iter().flatten();
        let standing = |policy: &&'a Policy<'a>| Standing {
            special: Special::of(target),
            policy,
            within: Vec::new(),
        };
        policies.map(standing).collect()
    }

    /// The policies about routes that send something to ports of services which lead here, each once.
    fn about_what_routes_send(&self, targeted: Option<&Targeted>) -> Vec<Standing<'a>> {
        let mut standing = Vec::<Standing<'_>>::new();
        for port in targeted.into_iter().flat_map(|targeted| &targeted.ports) {
            for (policy, sent) in self.by_sent.get(port).into_iter().flatten() {
                let mut known = standing.iter_mut();
                if let Some(known) = known.find(|it| core::ptr::eq(it.policy, *policy)) {
                    known.within.extend_from_slice(sent);
                    continue;
                }
                standing.push(Standing {
                    special: Special::ServicePort,
                    policy,
                    within: sent.to_vec(),
                });
            }
        }
        standing
    }
}

/// The ports that rules name, in order.
fn ports_in_rules(policies: &[Standing<'_>]) -> impl Iterator<Item = u16> + use<> {
    let rules = policies.iter().flat_map(|standing| &standing.policy.rules);
    let requests = rules.flat_map(|rule| &rule.rule.requests);
    let ports = requests.flat_map(|request| &request.ports).copied();
    ports.collect::<BTreeSet<_>>().into_iter()
}

/// What is spoken on a port: what the workload says, else what services that lead there say.
fn protocol(workload: &Workload<'_>, number: u16, targeted: Option<&Targeted>) -> Protocol {
    let port = workload.ports.get(&number);
    let declared = port.and_then(|port| port.spoken);
    let by_services = || targeted.map(|targeted| targeted.protocol);
    let by_services = || by_services().filter(|protocol| *protocol != Protocol::Detect);
    let ruled = targeted.and_then(|targeted| targeted.ruled);
    let said = ruled.or(declared).or_else(by_services);
    said.or_else(|| spoken::by_number(number))
        .unwrap_or(Protocol::Detect)
}

/// The value itself if it is among `distinct`, else as one more of them.
fn one_of(distinct: &mut Vec<Arc<Access>>, access: Access) -> Arc<Access> {
    if let Some(known) = distinct.iter().find(|known| ***known == access) {
        return known.clone();
    }
    let access = Arc::new(access);
    distinct.push(access.clone());
    access
}
