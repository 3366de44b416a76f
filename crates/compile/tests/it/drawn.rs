//! Routes of one service that are drawn by dice, as they would be written.

use leno_model::Dice;

/// The service.
pub(crate) const CART: &str =
    "{apiVersion: v1, kind: Service, metadata: {name: cart}, spec: {ports: [{port: 80}]}}\n";

/// How a rule begins: its matches follow, one a line.
pub(crate) const RULE: &str = "  - backendRefs: [{name: cart, port: 80}]\n    matches:\n";

/// How a route begins that was created on this day, if anybody knows: its rules follow.
pub(crate) fn route(kind: &str, number: usize, created: Option<u8>) -> String {
    let created = created.map(|day| format!(", creationTimestamp: \"2026-01-{day:02}T00:00:00Z\""));
    let created = created.unwrap_or_default();
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: {kind}\n\
         metadata: {{name: route-{number}{created}}}\nspec:\n  \
         parentRefs: [{{group: \"\", kind: Service, name: cart}}]\n  rules:\n"
    )
}

/// A number below `bound`.
pub(crate) fn below(dice: &mut Dice, bound: usize) -> usize {
    let bound = u64::try_from(bound).unwrap();
    usize::try_from(dice.next_u64() % bound).unwrap()
}
