//! What holds at a proxy that is older than what it is told.

use std::collections::BTreeSet;

use leno_wire::part::feature;

/// In words, what holds where these features are lacked, until the proxy is replaced. What nobody here knows changes what
/// a rule means: nothing else is told to who does not say that it understands it.
pub fn held_without(lacked: &BTreeSet<String>) -> String {
    let kinds = [
        (feature::PEERS, "it believes nobody of another trust domain"),
        (
            feature::SIDECARS,
            "pods of its node that have a proxy of their own wait for their packet rules",
        ),
        (
            feature::TOKEN_KEYS,
            "tokens of the mesh prove nothing to its applications",
        ),
    ];
    let is_kind = |lacked: &String| kinds.iter().any(|(feature, _)| lacked == feature);
    let rules = lacked.iter().any(|lacked| !is_kind(lacked));
    let rules = rules.then_some(
        "an access rule that needs it denies what it matches, a rule of a route answers 500",
    );
    let kinds = kinds.iter();
    let kinds = kinds.filter_map(|(feature, held)| lacked.contains(*feature).then_some(*held));
    let held: Vec<_> = rules.into_iter().chain(kinds).collect();
    format!("until it is replaced, {}", held.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lack_is_told_by_what_follows_from_it() {
        let held = |lacked: &[&str]| {
            let lacked = lacked.iter().map(ToString::to_string).collect();
            held_without(&lacked)
        };
        let rules = "until it is replaced, an access rule that needs it denies what it matches, a rule of a route answers 500";
        assert_eq!(held(&["cors"]), rules);
        assert_eq!(held(&["cors", "moon-phase"]), rules);
        let waits = "pods of its node that have a proxy of their own wait for their packet rules";
        assert_eq!(
            held(&["sidecars"]),
            format!("until it is replaced, {waits}")
        );
        assert_eq!(held(&["cors", "sidecars"]), format!("{rules}; {waits}"));
        assert_eq!(
            held(&["peers", "token-keys"]),
            "until it is replaced, it believes nobody of another trust domain; tokens of the mesh prove nothing to its applications"
        );
    }
}
