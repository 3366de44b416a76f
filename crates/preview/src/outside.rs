//! Recorded calls to hosts outside the mesh: decided as far as it was recorded which host was called.

use leno_model::HostName;
use leno_model::view::{Effect, HostMatch, Outbound, Stance, Unknown, WorkloadId};
use leno_traffic::{Imagined, Refusal};

use crate::call::Call;
use crate::fate::{Fate, Refused, Way};
use crate::ground::Ground;

/// What was recorded of the host that was called.
enum Called<'c> {
    /// Its name, or the entry of a rule that it matched.
    Named(HostName, &'c str),
    /// Nothing.
    Unknown,
}

impl Called<'_> {
    fn of(call: &Call) -> Called<'_> {
        let is_entry = call.to.contains('.') && !call.to.contains('/');
        let entry = Some(&*call.to).filter(|_| is_entry);
        // Any name below a wildcard stands for all of them, where no rule tells them apart.
        let name = entry.and_then(|entry| HostName::new(entry.strip_prefix("*.").unwrap_or(entry)));
        let name = match (&name, entry.is_some_and(|entry| entry.starts_with("*."))) {
            (Some(name), true) => HostName::new(&format!("any.{name}")),
            (_, _) => name,
        };
        match (name, entry) {
            (Some(name), Some(entry)) => Called::Named(name, entry),
            (_, _) => Called::Unknown,
        }
    }
}

impl Ground<'_> {
    /// What becomes of a call to a host outside the mesh; `None` if no rule speaks of its caller's calls,
    /// and the mesh alone decides.
    pub(crate) fn outside(&self, call: &Call) -> Option<Fate<'_>> {
        let callers = self.instances_of(&call.from);
        let fates = callers.iter().map(|caller| self.outside_of(caller, call));
        // Instances of one identity may be of several workloads.
        let mut fates = fates.collect::<Option<Vec<_>>>()?.into_iter();
        let first = fates.next()?;
        let differs = fates.any(|fate| {
            let same = matches!(
                (&first, &fate),
                (Fate::Carried(_), Fate::Carried(_)) | (Fate::Refused(_), Fate::Refused(_))
            );
            !same
        });
        Some(match differs {
            true => Fate::Open("which workload called".to_owned()),
            false => first,
        })
    }

    /// What stands before the calls of an identity that leave the mesh.
    pub(crate) fn outbound_of(&self, from: &str) -> Vec<&Outbound> {
        let callers = self.instances_of(from).iter();
        let instances = callers.filter_map(|id| self.mesh.instances.get(id));
        instances
            .map(|instance| &*instance.workload.outbound)
            .collect()
    }

    fn outside_of(&self, caller: &WorkloadId, call: &Call) -> Option<Fate<'_>> {
        let outbound = &self.mesh.instances.get(caller)?.workload.outbound;
        if outbound.is_unsaid() {
            return None;
        }
        let open = |what: &str| Some(Fate::Open(what.to_owned()));
        let Called::Named(name, entry) = Called::of(call) else {
            return match self.whatever_host(outbound) {
                Some(Stance::Allow) => Some(Fate::Carried(Way::default())),
                Some(Stance::Deny) | None => open("the host outside the mesh that was called"),
            };
        };
        if call.port == 0 && outbound.rules.iter().any(|rule| !rule.ports.is_empty()) {
            return open("the port that was called");
        }
        if tells_apart(outbound, entry) {
            return Some(Fate::Open(format!("which host of {entry} was called")));
        }
        Some(match self.table.outside_named(caller, &name, call.port)? {
            Imagined::Leaves(_) => Fate::Carried(Way::default()),
            Imagined::Stays(not) => {
                let words = not.to_string();
                let words = words.replace(name.as_str(), entry);
                let refused = Refused::from(&Refusal::from(not));
                Fate::Refused(Refused { words, ..refused })
            }
            Imagined::HangsOnAddress(_) => return open("the address that was called"),
        })
    }

    /// What becomes of every host, whichever it is, if that is the same for all.
    fn whatever_host(&self, outbound: &Outbound) -> Option<Stance> {
        let allows = |effect| matches!(effect, Effect::Allow | Effect::AllowAlso);
        let otherwise = match (&outbound.default, self.mesh.settings.unknown_destinations) {
            (Some((stance, _)), _) => *stance,
            (None, Unknown::Pass) => Stance::Allow,
            (None, Unknown::Refuse) => Stance::Deny,
        };
        let mut rules = outbound.rules.iter();
        let agree = rules.all(|rule| allows(rule.effect) == (otherwise == Stance::Allow));
        agree.then_some(otherwise)
    }
}

/// Whether a rule is about some of the hosts below a wildcard and not about others.
fn tells_apart(outbound: &Outbound, entry: &str) -> bool {
    let Some(wildcard) = entry.strip_prefix('*') else {
        return false;
    };
    let mut entries = outbound.rules.iter().flat_map(|rule| &rule.hosts);
    entries.any(|known| match known {
        HostMatch::Any => false,
        HostMatch::Exact(name) => name.ends_with(wildcard),
        HostMatch::Suffix(suffix) => suffix.len() > wildcard.len() && suffix.ends_with(wildcard),
    })
}
