//! The steps mTLS and access, told after they were taken.

use alloc::{borrow::ToOwned, format, string::String, vec::Vec};

use leno_model::TrustDomain;
use leno_model::view::{AccessRule, Mtls};
use leno_protocol::Request;

use crate::caller::{Claim, Fact, Missing};
use crate::policy::gate::Gate;
use crate::policy::isolation;
use crate::policy::meets::{Asked, Call};
use crate::policy::{Allowed, Before, Denied, Policy, Verdict};
use crate::story::{Detail, Known, Outcome, Step, StepKind, Story, first_details, numbered};

impl<'t> Policy<'t> {
    /// Judges like [`Self::judge`], or [`Self::judge_stream`] without a request, and tells what was
    /// seen: the steps mTLS and access. Asks every rule, and says so if the index had disagreed.
    pub fn explain(
        &self,
        claim: &Claim<'_>,
        request: Option<&Request<'_>>,
        story: &mut Story,
    ) -> Verdict<'t> {
        let verdict = match request {
            Some(request) => self.judge(claim, request),
            None => self.judge_stream(claim),
        };
        let Before::Port(target, gate) = self.before else {
            return verdict;
        };
        let stopped = matches!(
            verdict,
            Verdict::Deny(Denied::Plain(_) | Denied::Revoked(_) | Denied::Person(_))
        );
        let own = &self.table.view().settings.trust_domain;
        story.steps.push(mtls_step(gate, claim, own, &verdict));
        if stopped {
            story.steps.push(Step::not_reached(
                StepKind::Access,
                "the caller was refused before",
            ));
            return verdict;
        }
        let asked = request.map(|request| Asked::of(request, request.path.raw()));
        let mut step = access_step(&verdict);
        step.details = match (&verdict, request) {
            (Verdict::Deny(Denied::AmbiguousPath), Some(request)) => {
                self.by_reading(claim, request)
            }
            (Verdict::Allow(_) | Verdict::Deny(_) | Verdict::Undecided(_), _) => {
                let port = target.port;
                let believed = gate.believed();
                let call = Call {
                    claim,
                    port,
                    asked,
                    believed,
                    own: &self.table.view().settings.trust_domain,
                };
                let mut details = isolation::told(target, call);
                details.extend(passed_over(gate, call));
                details
            }
        };
        let is_let_in = match &verdict {
            Verdict::Allow(Allowed::Probe(_)) => false,
            Verdict::Allow(_)
            | Verdict::Undecided(Missing::Consent(_))
            | Verdict::Deny(Denied::ByAuthorizer(_)) => true,
            Verdict::Deny(_) | Verdict::Undecided(_) => false,
        };
        let authorizers = request
            .filter(|_| is_let_in)
            .map(|it| self.asked(claim, it));
        for auth in authorizers.into_iter().flatten() {
            step.details.push(Detail {
                text: format!("{auth} is asked about it"),
                origin: Some(auth.origin.clone()),
            });
        }
        for rule in self.audits(claim, request) {
            step.details.push(Detail {
                text: format!("{} tells of it", named(rule)),
                origin: Some(rule.origin.clone()),
            });
        }
        let scanned = self.judge_one(claim, asked, Gate::judge_by_scan);
        let indexed = self.judge_one(claim, asked, Gate::judge);
        if scanned != indexed {
            step.details.push(Detail::of_disagreement());
        }
        story.steps.push(step);
        verdict
    }

    /// The verdict under each reading of the path.
    fn by_reading(&self, claim: &Claim<'_>, request: &Request<'_>) -> Vec<Detail> {
        first_details(request.path.readings().map(|path| {
            let asked = Asked::of(request, path);
            let read = access_step(&self.judge_one(claim, Some(asked), Gate::judge));
            Detail {
                text: format!("read as {path}: {}", read.text),
                origin: read.origin,
            }
        }))
    }
}

/// The rules that do not speak of the call, and why.
fn passed_over(gate: &Gate, call: Call<'_>) -> Vec<Detail> {
    first_details(gate.rules().filter_map(|ready| {
        let mismatch = ready.mismatch(call)?;
        let rule = ready.rule();
        Some(Detail {
            text: format!("{} no: {mismatch}", named(rule)),
            origin: Some(rule.origin.clone()),
        })
    }))
}

/// `AccessPolicy shop/payments rule 2`.
pub(super) fn named(rule: &AccessRule) -> String {
    let origin = &rule.origin;
    format!("{} {}", origin.object, numbered(origin, None))
}

fn mtls_step(gate: &Gate, claim: &Claim<'_>, own: &TrustDomain, verdict: &Verdict<'_>) -> Step {
    let mode = match gate.access().mtls {
        Mtls::Strict => "strict",
        Mtls::Permissive => "permissive",
    };
    let caller = match claim.caller {
        Fact::Known(Some(id)) if id.trust_domain == *own => {
            format!(
                "the caller is {}/{}, proven",
                id.namespace, id.service_account
            )
        }
        Fact::Known(Some(id)) => format!("the caller is {id}, proven"),
        Fact::Known(None) => "the caller came in plain".to_owned(),
        Fact::Unknown => "who the caller is was not recorded".to_owned(),
    };
    let outcome = match verdict {
        Verdict::Deny(Denied::Plain(_) | Denied::Revoked(_) | Denied::Person(_)) => Outcome::No,
        Verdict::Undecided(Missing::CallerIdentity) if gate.access().mtls == Mtls::Strict => {
            Outcome::Undecided
        }
        Verdict::Allow(_) | Verdict::Deny(_) | Verdict::Undecided(_) => Outcome::Yes,
    };
    let text = match verdict {
        Verdict::Deny(denied @ (Denied::Revoked(_) | Denied::Person(_))) => {
            format!("{mode}: {denied}")
        }
        Verdict::Allow(_) | Verdict::Deny(_) | Verdict::Undecided(_) => format!("{mode}: {caller}"),
    };
    Step {
        kind: StepKind::Mtls,
        outcome,
        known: Known::Replayed,
        text,
        origin: gate.access().mtls_origin.clone(),
        details: Vec::new(),
    }
}

fn access_step(verdict: &Verdict<'_>) -> Step {
    let (outcome, text, origin) = match verdict {
        Verdict::Allow(Allowed::ByRule(rule)) => {
            let text = format!("allowed by {}", named(rule));
            (Outcome::Yes, text, Some(rule.origin.clone()))
        }
        Verdict::Allow(Allowed::Probe(probe)) => (
            Outcome::Yes,
            "not asked: it is a health check from outside".to_owned(),
            Some(probe.origin.clone()),
        ),
        Verdict::Allow(Allowed::ByDefault) => (
            Outcome::Yes,
            "no rule speaks of it, and the default is to allow".to_owned(),
            None,
        ),
        Verdict::Allow(Allowed::Outbound) => {
            (Outcome::Yes, "whoever is called decides".to_owned(), None)
        }
        // Who said so stands beside the words.
        Verdict::Deny(Denied::ByDefault(origin)) => (
            Outcome::No,
            format!("{}", Denied::ByDefault(None)),
            origin.clone(),
        ),
        Verdict::Deny(denied) => (Outcome::No, format!("{denied}"), denied.origin().cloned()),
        Verdict::Undecided(missing) => (Outcome::Undecided, format!("depends on {missing}"), None),
    };
    Step {
        kind: StepKind::Access,
        outcome,
        known: Known::Replayed,
        text,
        origin,
        details: Vec::new(),
    }
}
