//! Edges between our crates go strictly down, and some are forbidden by name.

use super::{
    finding::Finding,
    tree::{Crate, Dependency, Tree},
};

/// Who may not know whom, directly or through others, and what follows from it.
const FORBIDDEN: &[(&str, &[&str], &str)] = &[(
    "proxy",
    &["compile", "resources", "store", "kubernetes"],
    "a proxy knows a mesh only by its view; what must be compiled is compiled by `leno`",
)];

pub(crate) fn find(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for krate in tree.crates.iter().filter(|krate| krate.is_product()) {
        for edge in krate.dependencies.iter().filter(|edge| edge.ours) {
            let problem = upward(tree, krate, edge).or_else(|| forbidden(tree, krate, edge));
            if let Some((what, help)) = problem {
                findings.push(Finding {
                    file: krate.manifest(),
                    line: krate.line_of(tree, edge),
                    what,
                    help,
                });
            }
        }
    }
    findings
}

/// An edge that does not go down. Tests may also reach a neighbour: two ends of one wire are
/// tested as a pair.
fn upward(tree: &Tree, from: &Crate, edge: &Dependency) -> Option<(String, String)> {
    let to = tree.crate_named(&edge.name)?;
    let (low, high) = (to.layer?, from.layer?);
    if low < high || (edge.dev && low == high) {
        return None;
    }
    let what = format!(
        "`{}` (layer {high}) depends on `{}` (layer {low})",
        from.name, to.name
    );
    let help = "an edge goes to a lower layer: move what both need below them, or let a higher \
                crate hand it in";
    Some((what, help.to_owned()))
}

fn forbidden(tree: &Tree, from: &Crate, edge: &Dependency) -> Option<(String, String)> {
    let (_, unknown, why) = FORBIDDEN.iter().find(|(name, ..)| *name == from.name)?;
    if edge.dev {
        return None;
    }
    let path = path_to(tree, &edge.name, unknown)?;
    let what = format!("`{}` may not know `{}`", from.name, path.last()?);
    let through = match path.as_slice() {
        [_] => String::new(),
        path => format!(" (it is reached by {})", path.join(" -> ")),
    };
    Some((what, format!("{why}{through}")))
}

/// The crates on a way from `start` to one of `ends`, both included. Edges go down, so it ends.
fn path_to<'a>(tree: &'a Tree, start: &'a str, ends: &[&str]) -> Option<Vec<&'a str>> {
    if ends.contains(&start) {
        return Some(vec![start]);
    }
    let edges = &tree.crate_named(start)?.dependencies;
    let below = edges.iter().filter(|edge| edge.ours && !edge.dev);
    let rest = below
        .into_iter()
        .find_map(|edge| path_to(tree, &edge.name, ends))?;
    Some([vec![start], rest].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(crates: Vec<Crate>, expect: &[&str]) {
        let tree = Tree {
            crates,
            files: vec![],
        };
        let whats: Vec<_> = find(&tree)
            .into_iter()
            .map(|finding| finding.what)
            .collect();
        assert_eq!(whats, expect);
    }

    fn two(from: u64, to: u64, edge: Dependency) -> Vec<Crate> {
        vec![
            Crate::of("high", from, vec![edge]),
            Crate::of("low", to, vec![]),
        ]
    }

    #[test]
    fn edges_go_strictly_down() {
        check(two(2, 1, Dependency::ours("low")), &[]);
        check(
            two(2, 2, Dependency::ours("low")),
            &["`high` (layer 2) depends on `low` (layer 2)"],
        );
        check(
            two(1, 2, Dependency::ours("low")),
            &["`high` (layer 1) depends on `low` (layer 2)"],
        );
    }

    #[test]
    fn tests_may_reach_a_neighbour() {
        check(two(2, 2, Dependency::ours("low").for_tests()), &[]);
        check(
            two(2, 3, Dependency::ours("low").for_tests()),
            &["`high` (layer 2) depends on `low` (layer 3)"],
        );
    }

    #[test]
    fn a_proxy_never_meets_the_compiler() {
        let crates = |edge| {
            vec![
                Crate::of("proxy", 5, vec![edge]),
                Crate::of("admin", 4, vec![Dependency::ours("compile")]),
                Crate::of("compile", 2, vec![]),
            ]
        };
        let expect = ["`proxy` may not know `compile`"];
        check(crates(Dependency::ours("compile")), &expect);
        check(crates(Dependency::ours("admin")), &expect);
        check(crates(Dependency::ours("compile").for_tests()), &[]);
    }
}
