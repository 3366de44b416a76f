//! A file is named after what it holds.

use super::{finding::Finding, tree::Tree};

/// Names that hold anything, and so say nothing.
const EMPTY_WORDS: [&str; 9] = [
    "common", "core", "helper", "helpers", "imp", "manager", "misc", "util", "utils",
];

pub(crate) fn find(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with(".rs")) {
        let (what, help) = if file.path.ends_with("/mod.rs") {
            (
                "a module in `mod.rs`",
                "name it `foo.rs`, beside the folder `foo/`",
            )
        } else if file
            .path
            .split(['/', '.'])
            .any(|part| EMPTY_WORDS.contains(&part))
        {
            (
                "a name that says nothing",
                "name it after what it holds, or move that to its user",
            )
        } else {
            continue;
        };
        findings.push(Finding {
            file: file.path.clone(),
            line: None,
            what: what.to_owned(),
            help: help.to_owned(),
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_something() {
        let check = |path: &str, expect: usize| {
            assert_eq!(find(&Tree::of(&[(path, "")])).len(), expect, "{path}");
        };
        check("crates/model/src/view.rs", 0);
        check("crates/model/src/view/mod.rs", 1);
        check("crates/model/src/utils.rs", 1);
        check("crates/model/src/helpers/time.rs", 1);
    }
}
