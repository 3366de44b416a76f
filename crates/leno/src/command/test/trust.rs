//! What tests ask of trust: which policy decided, which only told, and what the hop proved.

use leno_model::Origin;
use leno_resources::case::{ExpectedPolicy, Security};
use leno_resources::{List, Part};
use leno_traffic::{StepKind, Story};

use super::{miss, or_none};
use crate::imagine::{Branch, End, Imagined, Receiver};

/// A policy that spoke of a call, or another object that did: `shop/cart rule 2`, `Mesh shop`.
#[derive(Clone, PartialEq, Eq)]
struct Spoke<'a>(&'a Origin);

impl Spoke<'_> {
    /// The number of the rule, counted from 1.
    fn rule(&self) -> Option<u32> {
        let rest = self.0.pointer.strip_prefix("/spec/")?;
        let rest = rest.strip_prefix("outbound/").unwrap_or(rest);
        let index = rest.strip_prefix("rules/")?.split('/').next()?;
        index.parse::<u32>().ok()?.checked_add(1)
    }

    fn is(&self, expected: &ExpectedPolicy) -> bool {
        let ExpectedPolicy::Of {
            namespace,
            name,
            rule,
        } = expected
        else {
            return false;
        };
        let object = &self.0.object;
        &*object.kind == "AccessPolicy"
            && object.name == *name
            && (namespace.is_none() || object.namespace == *namespace)
            && (rule.is_none() || self.rule() == *rule)
    }

    fn told(&self) -> String {
        let object = &self.0.object;
        let name = match (&*object.kind, &object.namespace) {
            ("AccessPolicy", Some(namespace)) => format!("{namespace}/{}", object.name),
            (_, _) => object.to_string(),
        };
        match self.rule() {
            Some(rule) => format!("{name} rule {rule}"),
            None => name,
        }
    }
}

/// Misses one thing that is asked of trust after the other.
pub(super) struct Trust<'a> {
    /// Who said what became of the call, each once; `None` where nobody did.
    deciders: Vec<Option<Spoke<'a>>>,
    /// The rules that only told of it, each once.
    audits: Vec<Spoke<'a>>,
    /// What the hops proved, each once; nothing where it came to none.
    security: Vec<&'static str>,
}

impl<'a> Trust<'a> {
    pub(super) fn of(imagined: &'a Imagined) -> Self {
        let receivers = || match &imagined.end {
            End::Reached(branches) => branches.as_slice(),
            End::Refused(_) | End::Redirected { .. } | End::Told { .. } | End::Left => &[],
        };
        let receivers = || receivers().iter().flat_map(asked);
        let mut deciders: Vec<_> = receivers().map(|it| decider(it).map(Spoke)).collect();
        match &imagined.end {
            End::Refused(reason) => deciders.push(reason.origin.as_ref().map(Spoke)),
            End::Left => {
                let sender = imagined.sender.iter();
                deciders.extend(sender.map(|it| access(&it.story).map(Spoke)));
            }
            End::Redirected { .. } | End::Told { .. } | End::Reached(_) => {}
        }
        let audits = receivers().flat_map(|it| it.audited.iter().map(Spoke));
        let security = receivers().map(|it| match it.is_mtls {
            true => Security::Mtls.as_str(),
            false => Security::Plain.as_str(),
        });
        let left = matches!(imagined.end, End::Left).then_some(Security::Plain.as_str());
        Self {
            deciders: each_once(deciders),
            audits: each_once(audits),
            security: each_once(security.chain(left)),
        }
    }

    pub(super) fn miss_policy(&self, expected: &ExpectedPolicy) -> Option<String> {
        let is_meant = |decider: &Option<Spoke<'_>>| match decider {
            Some(spoke) => spoke.is(expected),
            None => *expected == ExpectedPolicy::None,
        };
        if !self.deciders.is_empty() && self.deciders.iter().all(is_meant) {
            return None;
        }
        let told = |decider: &Option<Spoke<'_>>| match decider {
            Some(spoke) => spoke.told(),
            None => "none".to_owned(),
        };
        let came = match self.deciders.as_slice() {
            [] => "a call of which none is asked".to_owned(),
            some => some.iter().map(told).collect::<Vec<_>>().join(" and "),
        };
        miss("policy", expected, &came)
    }

    pub(super) fn miss_audited(&self, expected: &List<ExpectedPolicy>) -> Option<String> {
        let expected: Vec<_> = expected.iter().filter_map(Part::sound).collect();
        let all_came = expected
            .iter()
            .all(|one| self.audits.iter().any(|spoke| spoke.is(one)));
        let all_meant = self
            .audits
            .iter()
            .all(|spoke| expected.iter().any(|one| spoke.is(one)));
        if all_came && all_meant {
            return None;
        }
        let wanted: Vec<_> = expected.iter().map(ToString::to_string).collect();
        let came: Vec<_> = self.audits.iter().map(Spoke::told).collect();
        miss("audited", &or_none(&wanted), &or_none(&came))
    }

    pub(super) fn miss_security(&self, expected: Security) -> Option<String> {
        let came = match self.security.as_slice() {
            [] => "no hop".to_owned(),
            some => some.join(" and "),
        };
        miss("security", &expected.as_str(), &came)
    }
}

/// Whose proxies are asked of those that it may go to.
fn asked(branch: &Branch) -> impl Iterator<Item = &Receiver> {
    let gets_some = branch.share.0 > 0;
    branch.receivers.iter().flatten().filter(move |_| gets_some)
}

fn decider(receiver: &Receiver) -> Option<&Origin> {
    match receiver.said.refusal() {
        Some(reason) => reason.origin.as_ref(),
        None => access(&receiver.thought.story),
    }
}

/// Who said so in the step that asks whether the caller may.
fn access(story: &Story) -> Option<&Origin> {
    let mut steps = story.steps.iter().rev();
    let step = steps.find(|step| step.kind == StepKind::Access);
    step?.origin.as_ref()
}

fn each_once<T: PartialEq>(all: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut once = Vec::new();
    for one in all {
        if !once.contains(&one) {
            once.push(one);
        }
    }
    once
}
