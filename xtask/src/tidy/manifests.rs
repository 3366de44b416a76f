//! Every crate inherits from the workspace: the lints, and where its dependencies come from.

use super::{
    finding::Finding,
    tree::{Crate, Tree},
};

pub(crate) fn find(tree: &Tree) -> Vec<Finding> {
    tree.crates
        .iter()
        .flat_map(|krate| find_in(tree, krate))
        .collect()
}

fn find_in(tree: &Tree, krate: &Crate) -> Vec<Finding> {
    let Some(manifest) = tree.file(&krate.manifest()) else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    let mut found = |line: Option<usize>, what: String, help: &str| {
        findings.push(Finding {
            file: manifest.path.clone(),
            line,
            what,
            help: help.to_owned(),
        });
    };
    let mut section = "";
    let mut inherits_lints = false;
    for (index, line) in manifest.text.lines().enumerate() {
        if line.starts_with('[') {
            section = line;
        } else if section == "[lints]" && line == "workspace = true" {
            inherits_lints = true;
        } else if section.ends_with("dependencies]") && pins_itself(line) {
            let what = format!("`{}` says itself where a dependency comes from", krate.name);
            let help =
                "write it under [workspace.dependencies] of the root, here `workspace = true`";
            found(Some(index + 1), what, help);
        }
    }
    if !inherits_lints {
        let what = format!(
            "`{}` does not inherit the lints of the workspace",
            krate.name
        );
        found(None, what, "write [lints] and under it workspace = true");
    }
    findings
}

/// Whether a line of a table of dependencies begins one that is not inherited.
fn pins_itself(line: &str) -> bool {
    let begins_one = line.starts_with(|c: char| c.is_ascii_alphabetic());
    begins_one && !line.contains("workspace = true")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(manifest: &str, expect: &[&str]) {
        let mut tree = Tree::of(&[("crates/model/Cargo.toml", manifest)]);
        tree.crates = vec![Crate::of("model", 0, vec![])];
        let whats: Vec<_> = find(&tree)
            .into_iter()
            .map(|finding| finding.what)
            .collect();
        assert_eq!(whats, expect, "{manifest}");
    }

    #[test]
    fn a_crate_inherits_the_lints() {
        let missing = ["`model` does not inherit the lints of the workspace"];
        check("[lints]\nworkspace = true\n", &[]);
        check("[lints.rust]\nunsafe_code = \"allow\"\n", &missing);
        check("[package]\nname = \"leno-model\"\n", &missing);
    }

    #[test]
    fn versions_live_in_the_root() {
        let with = |line: &str| format!("[lints]\nworkspace = true\n[dev-dependencies]\n{line}\n");
        check(&with("thiserror.workspace = true"), &[]);
        check(
            &with("tokio = { workspace = true, features = [\n  \"net\",\n] }"),
            &[],
        );
        check(
            &with("tokio = \"1\""),
            &["`model` says itself where a dependency comes from"],
        );
    }
}
