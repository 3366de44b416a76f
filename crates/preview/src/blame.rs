//! Which rule keeps a call out that no rule allows, and in which words: the one that stands there since
//! the change, or that stood there before it.

use std::collections::BTreeSet;
use std::iter::zip;
use std::ptr;
use std::sync::Arc;

use leno_model::view::{Access, AccessRule, CallerMatch, Effect};
use leno_model::{Origin, SpiffeId};

use crate::same::same_rule;

/// How many callers are named.
const MOST_CALLERS: usize = 4;

/// Who keeps calls of one caller out: found once for all that the same keeps out.
pub(crate) struct Blame<'g> {
    caller: Option<&'g SpiffeId>,
    named: Vec<(Between<'g>, Option<Named>)>,
}

/// The words, and who said so.
type Named = (String, Origin);

/// What stands over a port, what stood over those that a call got to before, and the rule that let it in.
struct Between<'g> {
    access: &'g Access,
    before: Vec<&'g Access>,
    allowed_by: Option<&'g AccessRule>,
}

impl<'g> Blame<'g> {
    pub(crate) fn new(caller: Option<&'g SpiffeId>) -> Self {
        Self {
            caller,
            named: Vec::new(),
        }
    }

    /// Who keeps it out. `before` stood over the ports before, and let the call in by `allowed_by` if a
    /// rule had to.
    pub(crate) fn name(
        &mut self,
        access: &'g Access,
        before: &[&'g Access],
        allowed_by: Option<&'g AccessRule>,
    ) -> Option<&Named> {
        let is_it = |(known, _): &(Between<'_>, _)| {
            ptr::eq(known.access, access)
                && known.before.len() == before.len()
                && zip(&known.before, before).all(|(one, other)| ptr::eq(*one, *other))
                && known.allowed_by.map(ptr::from_ref) == allowed_by.map(ptr::from_ref)
        };
        let place = self.named.iter().position(is_it).unwrap_or_else(|| {
            let between = Between {
                access,
                before: before.to_vec(),
                allowed_by,
            };
            let named = name(access, before, allowed_by, self.caller);
            self.named.push((between, named));
            self.named.len() - 1
        });
        self.named.get(place)?.1.as_ref()
    }
}

fn name(
    access: &Access,
    before: &[&Access],
    allowed_by: Option<&AccessRule>,
    caller: Option<&SpiffeId>,
) -> Option<Named> {
    let allows = || {
        access
            .rules
            .iter()
            .filter(|rule| rule.effect == Effect::Allow)
    };
    let stands = |rule: &AccessRule, over: &Access| {
        let mut rules = over.rules.iter();
        rules.any(|other| same_rule(rule, other))
    };
    let said = match allowed_by.filter(|gone| !stands(gone, access)) {
        Some(gone) => {
            let is_it = |rule: &&Arc<AccessRule>| rule.origin.object == gone.origin.object;
            let Some(still) = allows().find(is_it) else {
                let words = format!("{} allowed it, and does no more", gone.origin.object);
                return Some((words, gone.origin.clone()));
            };
            still
        }
        None => allows()
            .find(|rule| !before.iter().any(|over| stands(rule, over)))
            .or_else(|| allows().next())?,
    };
    let speaks_of_caller = |rule: &&Arc<AccessRule>| {
        let callers = &rule.callers;
        callers.is_empty() || callers.iter().any(|expected| is_meant(expected, caller))
    };
    if let Some(rule) = allows().find(speaks_of_caller) {
        let requests: Vec<_> = rule.requests.iter().map(ToString::to_string).collect();
        let words = match requests.is_empty() {
            true => format!("allows it only under conditions: {rule}"),
            false => format!("allows it only {}", requests.join(" or ")),
        };
        return Some((words, rule.origin.clone()));
    }
    let callers = allows().flat_map(|rule| &rule.callers);
    let callers: BTreeSet<_> = callers.map(ToString::to_string).collect();
    let named: Vec<_> = callers
        .iter()
        .map(String::as_str)
        .take(MOST_CALLERS)
        .collect();
    let more = match callers.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let words = format!("allows only {}{more}", named.join(", "));
    Some((words, said.origin.clone()))
}

/// Whether a caller is one of those that are meant, wherever it calls from.
fn is_meant(expected: &CallerMatch, caller: Option<&SpiffeId>) -> bool {
    let CallerMatch {
        trust_domain,
        namespace,
        service_account,
        block: _,
    } = expected;
    let Some(caller) = caller else {
        return trust_domain.is_none() && namespace.is_none() && service_account.is_none();
    };
    trust_domain
        .as_ref()
        .is_none_or(|it| *it == caller.trust_domain)
        && namespace.as_ref().is_none_or(|it| *it == caller.namespace)
        && service_account
            .as_ref()
            .is_none_or(|it| *it == caller.service_account)
}
