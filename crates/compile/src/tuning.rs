//! How calls to a service are made: each `TrafficPolicy` read, and merged field by field.

use alloc::{collections::BTreeMap, format, string::ToString, sync::Arc, vec::Vec};

use leno_model::view::Tuning;
use leno_model::{Code, Notes, ServiceName};
use leno_resources::Object;
use leno_resources::policy::{TargetKind, TrafficPolicySpec};

use crate::finding::{self, Complete};
use crate::targets::{self, Scope, Target};

/// All policies, by what they are about.
pub(crate) struct Policies<'a>(BTreeMap<Target, Vec<&'a Object<TrafficPolicySpec>>>);

/// Reads the targets of all policies, and notes what two say about the same.
pub(crate) fn read<'a>(
    policies: impl Iterator<Item = &'a Object<TrafficPolicySpec>>,
    scope: &Scope<'_>,
    notes: &mut Notes,
) -> Policies<'a> {
    let mut by_target = BTreeMap::<_, Vec<_>>::new();
    for policy in policies {
        for target in targets(policy, scope, notes) {
            by_target.entry(target).or_default().push(policy);
        }
    }
    for policies in by_target.values_mut() {
        policies.sort_by_key(|policy| (policy.meta.created.is_none(), policy.meta.created));
        note_overlaps(policies, notes);
    }
    Policies(by_target)
}

impl Policies<'_> {
    /// How calls to `service` are made: of the policies about it the most special that says
    /// something about a field says all about it.
    pub(crate) fn tuning(&self, service: &ServiceName) -> Tuning {
        let most_special_first = [
            Target::Service(service.clone()),
            Target::Namespace(service.namespace.clone()),
            Target::Mesh,
        ];
        let policies = most_special_first
            .iter()
            .filter_map(|target| self.0.get(target))
            .flatten();
        let policies = policies.copied().collect::<Vec<_>>();
        let mut tuning = Tuning::default();
        for field in Field::ALL {
            if let Some(policy) = policies.iter().find(|policy| field.is_said_by(policy)) {
                field.apply(policy, &mut tuning);
            }
        }
        tuning
    }
}

/// The targets of a policy. One of which it cannot be told whether it names any has none.
fn targets(
    policy: &Object<TrafficPolicySpec>,
    scope: &Scope<'_>,
    notes: &mut Notes,
) -> Vec<Target> {
    let written = policy
        .spec
        .partly()
        .and_then(|spec| spec.target_refs.as_ref());
    if written.is_none() && policy.spec.is_flawed() {
        return Vec::new();
    }
    let references = written
        .into_iter()
        .flat_map(|written| written.iter().enumerate());
    for (index, reference) in references {
        if reference
            .sound()
            .is_some_and(|reference| reference.kind == TargetKind::MeshWorkload)
        {
            let pointer = format!("/spec/targetRefs/{index}/kind");
            let message =
                "a TrafficPolicy governs calls to Services, not to a MeshWorkload".to_string();
            notes.push(
                finding::error(policy, &pointer, Code::C114, message)
                    .in_force("nothing: the policy holds without this target"),
            );
        }
    }
    let mut targets = targets::targets(policy, written, scope, notes);
    targets.retain(|target| !matches!(target, Target::Workload(..)));
    targets
}

/// Notes each field that an older policy says about the same target.
fn note_overlaps(oldest_first: &[&Object<TrafficPolicySpec>], notes: &mut Notes) {
    for field in Field::ALL {
        let mut said = oldest_first
            .iter()
            .filter(|policy| field.is_said_by(policy));
        let Some(first) = said.next() else { continue };
        for policy in said {
            let pointer = format!("/spec/{}", field.name());
            let message = format!("{} says {} about the same", first.reference(), field.name());
            notes.push(
                finding::warning(policy, &pointer, Code::C133, message).in_force(format!(
                    "what {} says: the older of two holds",
                    first.reference()
                )),
            );
        }
    }
}

/// The fields that policies say as a whole.
#[derive(Clone, Copy)]
enum Field {
    Timeouts,
    Retry,
    RetryBudget,
}

impl Field {
    const ALL: [Self; 3] = [Self::Timeouts, Self::Retry, Self::RetryBudget];

    fn name(self) -> &'static str {
        match self {
            Self::Timeouts => "timeouts",
            Self::Retry => "retry",
            Self::RetryBudget => "retryBudget",
        }
    }

    fn is_said_by(self, policy: &Object<TrafficPolicySpec>) -> bool {
        policy.spec.partly().is_some_and(|spec| match self {
            Self::Timeouts => spec.timeouts.is_some(),
            Self::Retry => spec.retry.is_some(),
            Self::RetryBudget => spec.retry_budget.is_some(),
        })
    }

    fn apply(self, policy: &Object<TrafficPolicySpec>, tuning: &mut Tuning) {
        let Some(spec) = policy.spec.partly() else {
            return;
        };
        let mut said = |field: &str| {
            let path = format!("{}.{field}", self.name());
            let origin = policy.origin(&format!("/spec/{}/{field}", self.name()));
            tuning.origins.insert(Arc::from(path), origin);
        };
        match self {
            Self::Timeouts => {
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
            Self::Retry => {
                let Some(retry) = &spec.retry else { return };
                if let Some(attempts) = retry.attempts {
                    said("attempts");
                    tuning.retry.attempts = attempts;
                }
                if !retry.codes.is_empty() {
                    said("codes");
                    tuning.retry.codes = retry
                        .codes
                        .iter()
                        .filter_map(|code| code.sound())
                        .copied()
                        .collect();
                }
                if let Some(backoff) = retry.backoff {
                    said("backoff");
                    tuning.retry.backoff = backoff;
                }
            }
            Self::RetryBudget => {
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
        }
    }
}
