//! `cargo xtask tidy`: the rules that reviewers would otherwise have to remember.
//!
//! A rule is a module here with a function from the [`Tree`] to [`Finding`]s; it reads nothing else.
//! The test at the foot of this file runs them all, so `cargo test` proves them.

mod absences;
mod codes;
mod docs;
mod edges;
mod externals;
mod finding;
mod layers;
mod leftovers;
mod links;
mod manifests;
mod mirror;
mod names;
mod page;
mod pure;
mod source;
pub(crate) mod tree;

use crate::{Outcome, generate, shell};
use finding::Finding;
use tree::Tree;

const RULES: &[fn(&Tree) -> Vec<Finding>] = &[
    absences::find,
    codes::find,
    docs::find,
    edges::find,
    externals::find,
    layers::find,
    leftovers::find,
    links::find,
    manifests::find,
    names::find,
    page::find,
    pure::find,
];

/// Prints every finding and fails if there is one, or if a generated file is not current; else
/// prints the mirror.
pub(crate) fn run(_arguments: &[String]) -> Outcome {
    let tree = Tree::read(&shell::root())?;
    let findings = findings(&tree);
    for finding in &findings {
        println!("{finding}\n");
    }
    if !findings.is_empty() {
        return Err(format!("tidy found {}", count(findings.len(), "thing")).into());
    }
    generate::run(&["--check".to_owned()])?;
    print!("{}", mirror::show(&tree));
    Ok(())
}

fn findings(tree: &Tree) -> Vec<Finding> {
    RULES.iter().flat_map(|rule| rule(tree)).collect()
}

fn count(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        let tree = Tree::read(&shell::root()).unwrap();
        let findings = findings(&tree);
        let report: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert!(findings.is_empty(), "\n\n{}\n", report.join("\n\n"));
    }
}
