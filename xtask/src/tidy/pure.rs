//! Layers 0 to 2 are `no_std`, and the compiler is strict where a mistake would decide wrongly.

use super::{finding::Finding, tree::Tree};

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
    let mut findings = Vec::new();
    for krate in &tree.crates {
        let path = format!("{}/src/lib.rs", krate.folder);
        let (Some(0..=2), Some(root)) = (krate.layer, tree.file(&path)) else {
            continue;
        };
        let attributes: Vec<&str> = root.text.lines().map(str::trim).collect();
        let mut missing = |what: &str, help: String| {
            findings.push(Finding {
                file: path.clone(),
                line: Some(1),
                what: format!("`{}` {what}", krate.name),
                help,
            });
        };
        if !attributes.contains(&NO_STD) {
            missing(
                "can name a clock, a file and a socket",
                format!("open the crate with {NO_STD}"),
            );
        }
        let says = |lint: &str| attributes.iter().any(|line| line.contains(lint));
        if !says(EVERY_VARIANT) {
            missing(
                "may forget a variant",
                format!("open the crate with #![warn({EVERY_VARIANT})]"),
            );
        }
        let reads_bytes = ["protocol", "wire"].contains(&krate.name.as_str());
        for lint in HOSTILE_BYTES
            .iter()
            .filter(|lint| reads_bytes && !says(lint))
        {
            missing(
                "reads bytes from outside and may panic on them",
                format!("open the crate with #![deny({lint})]"),
            );
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::{super::tree::Crate, *};

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
