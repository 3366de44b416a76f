//! How calls to a service are made: each `TrafficPolicy` read, and merged field by field.

use alloc::{collections::BTreeMap, format, sync::Arc, vec::Vec};

use leno_model::view::{Protocol, Proxied, ProxyVersion, Tuning};
use leno_model::{Namespace, ServiceName};
use leno_resources::policy::{self, TargetKind, TargetRef, TrafficPolicySpec};
use leno_resources::{List, Object};

use crate::layers::{Layered, Layers};
use crate::targets::Target;
use crate::workloads;

impl Layered for TrafficPolicySpec {
    const FIELDS: &'static [&'static str] = &[TIMEOUTS, RETRY, RETRY_BUDGET, PORTS, PROXY_PROTOCOL];

    fn says(&self, field: &str) -> bool {
        match field {
            TIMEOUTS => self.timeouts.is_some(),
            RETRY => self.retry.is_some(),
            RETRY_BUDGET => self.retry_budget.is_some(),
            PORTS => !self.ports.is_empty(),
            PROXY_PROTOCOL => self.proxy_protocol.is_some(),
            _ => false,
        }
    }

    fn targets(&self) -> Option<&List<TargetRef>> {
        self.target_refs.as_ref()
    }

    fn refuses(kind: TargetKind) -> Option<&'static str> {
        match kind {
            TargetKind::MeshWorkload => {
                Some("a TrafficPolicy governs calls to Services, not to a MeshWorkload")
            }
            TargetKind::HttpRoute | TargetKind::GrpcRoute => {
                Some("a TrafficPolicy governs calls to Services; a route says itself")
            }
            TargetKind::Mesh | TargetKind::Namespace | TargetKind::Service => None,
        }
    }
}

const TIMEOUTS: &str = "timeouts";
const RETRY: &str = "retry";
const RETRY_BUDGET: &str = "retryBudget";
const PORTS: &str = "ports";
const PROXY_PROTOCOL: &str = "proxyProtocol";

/// What policies say is spoken on the ports of `service`.
pub(crate) fn protocols(
    policies: &Layers<'_, TrafficPolicySpec>,
    service: &ServiceName,
) -> BTreeMap<u16, Protocol> {
    let sayings = policies.sayings(&Target::over_service(service));
    let said = sayings.into_iter().filter(|(field, _)| *field == PORTS);
    let said = said.filter_map(|(_, policy)| policy.spec.partly());
    let ports = said.flat_map(|spec| spec.ports.iter().filter_map(|port| port.sound()));
    ports
        .map(|port| (port.port, workloads::said(port.protocol)))
        .collect()
}

/// What is said of who connects to a port of a workload of this namespace to which these services lead:
/// of two of which policies say different things, the first by name counts.
pub(crate) fn proxied<'s>(
    policies: &Layers<'_, TrafficPolicySpec>,
    namespace: &Namespace,
    services: impl IntoIterator<Item = &'s ServiceName>,
) -> Proxied {
    let services = services.into_iter().cloned().map(Target::Service);
    let general = [Target::Namespace(namespace.clone()), Target::Mesh];
    let targets = services.chain(general).collect::<Vec<_>>();
    let mut sayings = policies.sayings(&targets).into_iter();
    let said = sayings.find(|(field, _)| *field == PROXY_PROTOCOL);
    let said = said.and_then(|(_, policy)| Some((policy, policy.spec.partly()?)));
    let Some((policy, Some(said))) = said.map(|(policy, it)| (policy, it.proxy_protocol.as_ref()))
    else {
        return Proxied::default();
    };
    Proxied {
        from: said
            .from
            .iter()
            .filter_map(|block| block.sound())
            .copied()
            .collect(),
        send: said.send.map(|version| match version {
            policy::ProxyVersion::V1 => ProxyVersion::V1,
            policy::ProxyVersion::V2 => ProxyVersion::V2,
        }),
        origin: Some(policy.origin(&format!("/spec/{PROXY_PROTOCOL}"))),
    }
}

/// How calls to `service` are made.
pub(crate) fn tuning(policies: &Layers<'_, TrafficPolicySpec>, service: &ServiceName) -> Tuning {
    let mut tuning = Tuning::default();
    for (field, policy) in policies.sayings(&Target::over_service(service)) {
        apply(field, policy, &mut tuning);
    }
    tuning
}

fn apply(field: &str, policy: &Object<TrafficPolicySpec>, tuning: &mut Tuning) {
    let Some(spec) = policy.spec.partly() else {
        return;
    };
    let mut said = |part: &str| {
        let origin = policy.origin(&format!("/spec/{field}/{part}"));
        let path = format!("{field}.{part}");
        tuning.origins.insert(Arc::from(path), origin);
    };
    match field {
        TIMEOUTS => {
            let Some(timeouts) = &spec.timeouts else {
                return;
            };
            if let Some(connect) = timeouts.connect {
                said("connect");
                tuning.connect_timeout = connect;
            }
            if let Some(request) = timeouts.request {
                said("request");
                tuning.request_timeout = (!request.is_zero()).then_some(request);
            }
        }
        RETRY => {
            let Some(retry) = &spec.retry else { return };
            if let Some(attempts) = retry.attempts {
                said("attempts");
                tuning.retry.attempts = attempts;
            }
            if !retry.codes.is_empty() {
                said("codes");
                let codes = retry.codes.iter().filter_map(|code| code.sound());
                tuning.retry.codes = codes.copied().collect();
            }
            if let Some(backoff) = retry.backoff {
                said("backoff");
                tuning.retry.backoff = backoff;
            }
        }
        RETRY_BUDGET => {
            let Some(budget) = &spec.retry_budget else {
                return;
            };
            if let Some(percent) = budget.percent {
                said("percent");
                tuning.budget.percent = percent;
            }
            if let Some(at_least) = budget.at_least_per_second {
                said("atLeastPerSecond");
                tuning.budget.at_least_per_second = at_least;
            }
        }
        _ => {}
    }
}
