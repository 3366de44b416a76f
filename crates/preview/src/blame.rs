//! Which rule keeps a call out that no rule allows, and in which words: the one that stands there since
//! the change, or that stood there before it.

use std::collections::BTreeSet;
use std::sync::Arc;

use leno_model::view::{Access, AccessRule, CallerMatch, Effect};
use leno_model::{Origin, SpiffeId};

use crate::same::same_rule;

/// How many callers are named.
const MOST_CALLERS: usize = 4;

/// The words, and who said so. `before` stood over the ports before, and let the call in by
/// `allowed_by` if a rule had to.
pub(crate) fn name(
    access: &Access,
    before: &[Arc<Access>],
    allowed_by: Option<&AccessRule>,
    caller: Option<&SpiffeId>,
) -> Option<(String, Origin)> {
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
