//! Who may call: each `AccessPolicy` read, and all of them gathered over each port of a workload.

mod external;
mod findings;
mod gather;
mod jwt;
mod outbound;
mod port;
mod read;
mod rings;
mod special;
mod taken;

use alloc::{collections::BTreeMap, string::String, sync::Arc, vec::Vec};

use leno_model::Origin;
use leno_model::view::access::{ExternalAuth, Jwt};
use leno_model::view::{AccessRule, Effect, Mtls, PortRef, Stance, Within};
use leno_resources::Object;
use leno_resources::policy::AccessPolicySpec;

use crate::targets::Target;

pub(crate) use findings::Blind;
pub(crate) use gather::{Policies, Targeted};
pub(crate) use read::{Means, read};
pub use special::Special;
pub(crate) use taken::Taken;

/// An `AccessPolicy` with its meaning.
pub(crate) struct Policy<'a> {
    object: &'a Object<AccessPolicySpec>,
    targets: Vec<Target>,
    /// What routes that it is about send to ports of services: there it is about these requests.
    within: BTreeMap<PortRef, Vec<Within>>,
    mtls: Option<(Mtls, Origin)>,
    stance: Option<(Stance, Origin)>,
    jwt: Option<Jwt>,
    external: Option<ExternalAuth>,
    rules: Vec<Rule>,
    /// What it says of the calls that its targets make, if it says something of them.
    calls: Option<outbound::Calls>,
}

/// One of its rules.
struct Rule {
    /// Where it stands in the object.
    pointer: String,
    rule: Arc<AccessRule>,
    /// Whether it was meant to allow somebody and could not be read: whoever is meant, everybody
    /// else is not allowed.
    closes: bool,
}

impl<'a> Policy<'a> {
    pub(crate) fn object(&self) -> &'a Object<AccessPolicySpec> {
        self.object
    }

    /// Lets it refuse nobody from here on: what it denies is told, and whom it allows it leaves
    /// others beside.
    pub(crate) fn only_audits(&mut self) {
        self.mtls = self
            .mtls
            .take()
            .filter(|(mtls, _)| *mtls == Mtls::Permissive);
        self.stance = self
            .stance
            .take()
            .filter(|(stance, _)| *stance == Stance::Allow);
        self.calls.iter_mut().for_each(outbound::Calls::only_audits);
        self.external = None;
        for Rule { rule, closes, .. } in &mut self.rules {
            *closes = false;
            let rule = Arc::make_mut(rule);
            rule.effect = match rule.effect {
                Effect::Allow | Effect::AllowAlso => Effect::AllowAlso,
                Effect::Deny | Effect::Ring | Effect::NotUnderstood | Effect::Audit => {
                    Effect::Audit
                }
            };
        }
    }
}
