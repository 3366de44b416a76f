//! Layers 0 to 2 are `no_std`, and the compiler is strict where a mistake would decide wrongly.

use super::{
    finding::Finding,
    tree::{Crate, Tree},
};

const NO_STD: &str = "#![cfg_attr(not(test), no_std)]";

/// Rules about meaning forget no variant.
const EVERY_VARIANT: &str = "clippy::wildcard_enum_match_arm";

/// Whoever reads bytes from outside cannot panic on them by accident.
const HOSTILE_BYTES: [&str; 4] = [
    "clippy::indexing_slicing",
    "clippy::string_slice",
    "clippy::arithmetic_side_effects",
    "clippy::cast_possible_truncation",
];

pub(crate) fn find(tree: &Tree) -> Vec<Finding> {
    let below_layer_3 = |krate: &&Crate| matches!(krate.layer, Some(0..=2));
    let crates = tree.crates.iter().filter(below_layer_3);
    crates.flat_map(|krate| find_in(tree, krate)).collect()
}

fn find_in(tree: &Tree, krate: &Crate) -> Vec<Finding> {
    let Some(root) = tree.file(&format!("{}/src/lib.rs", krate.folder)) else {
        return Vec::new();
    };
    let missing = |what: &str, attribute: String| Finding {
        file: root.path.clone(),
        line: Some(1),
        what: format!("`{}` {what}", krate.name),
        help: format!("open the crate with {attribute}"),
    };
    let says = |lint: &str| root.line_where(|line| line.contains(lint)).is_some();
    let mut findings = Vec::new();
    if !says(NO_STD) {
        findings.push(missing(
            "can name a clock, a file and a socket",
            NO_STD.to_owned(),
        ));
    }
    if !says(EVERY_VARIANT) {
        findings.push(missing(
            "may forget a variant",
            format!("#![warn({EVERY_VARIANT})]"),
        ));
    }
    if ["protocol", "wire"].contains(&krate.name.as_str()) {
        let unsaid = HOSTILE_BYTES.iter().filter(|lint| !says(lint));
        let what = "reads bytes from outside and may panic on them";
        findings.extend(unsaid.map(|lint| missing(what, format!("#![deny({lint})]"))));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, layer: u64, text: &str, expect: usize) {
        let mut tree = Tree::of(&[(&format!("crates/{name}/src/lib.rs"), text)]);
        tree.crates = vec![Crate::of(name, layer, vec![])];
        assert_eq!(find(&tree).len(), expect, "{text}");
    }

    #[test]
    fn the_lower_layers_cannot_reach_out() {
        let strict = "#![cfg_attr(not(test), no_std)]\n#![warn(clippy::wildcard_enum_match_arm)]";
        check("model", 0, strict, 0);
        check("model", 0, "//! Words.", 2);
        check("wire", 2, strict, 4);
        check("proxy", 5, "//! Listens.", 0);
    }
}
