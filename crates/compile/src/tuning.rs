//! How calls to a service are made: each `TrafficPolicy` read, and merged field by field.

use alloc::{format, sync::Arc};

use leno_model::ServiceName;
use leno_model::view::Tuning;
use leno_resources::policy::{TargetKind, TargetRef, TrafficPolicySpec};
use leno_resources::{List, Object};

use crate::layers::{Layered, Layers};
use crate::targets::Target;

impl Layered for TrafficPolicySpec {
    const FIELDS: &'static [&'static str] = &[TIMEOUTS, RETRY, RETRY_BUDGET];

    fn says(&self, field: &str) -> bool {
        match field {
            TIMEOUTS => self.timeouts.is_some(),
            RETRY => self.retry.is_some(),
            RETRY_BUDGET => self.retry_budget.is_some(),
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
            TargetKind::HttpRoute
            | TargetKind::GrpcRoute
            | TargetKind::TlsRoute
            | TargetKind::TcpRoute => {
                Some("a TrafficPolicy governs calls to Services; a route says itself")
            }
            TargetKind::Mesh | TargetKind::Namespace | TargetKind::Service => None,
        }
    }
}

const TIMEOUTS: &str = "timeouts";
const RETRY: &str = "retry";
const RETRY_BUDGET: &str = "retryBudget";

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
