//! Every crate is on the map of `ARCHITECTURE.md`, in the layer its manifest says.

use super::{finding::Finding, tree::Tree};

const MAP: &str = "ARCHITECTURE.md";

pub(crate) fn find(tree: &Tree) -> Vec<Finding> {
    let map = map(tree);
    let mut findings = Vec::new();
    for krate in tree.crates.iter().filter(|krate| krate.is_product()) {
        let mapped = map.iter().find(|(name, _)| *name == krate.name);
        let (what, help) = match (mapped, krate.layer) {
            (None, _) => (
                format!("`{}` is not on the map of {MAP}", krate.name),
                format!(
                    "give it a row in the table of crates: | layer | `{}` | role |",
                    krate.name
                ),
            ),
            (Some((_, layer)), None) => (
                format!("`{}` does not say its layer", krate.name),
                format!("write `layer = {layer}` under [package.metadata.leno]"),
            ),
            (Some((_, mapped)), Some(own)) if *mapped != own => (
                format!("`{}` says layer {own}, {MAP} says {mapped}", krate.name),
                "change the one that is wrong; a crate moves in both at once".to_owned(),
            ),
            (Some(_), Some(_)) => continue,
        };
        let file = krate.manifest();
        let says_layer = |line: &str| line.starts_with("layer");
        findings.push(Finding {
            line: tree
                .file(&file)
                .and_then(|file| file.line_where(says_layer)),
            file,
            what,
            help,
        });
    }
    findings
}

/// The rows of the map: a crate's role and its layer.
fn map(tree: &Tree) -> Vec<(&str, u64)> {
    let text = tree.file(MAP).map_or("", |file| &file.text);
    text.lines().filter_map(row).collect()
}

/// Reads `` | 2 | `traffic` | .. ``.
fn row(line: &str) -> Option<(&str, u64)> {
    let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
    let layer = cells.next()?.parse().ok()?;
    let name = cells.next()?.strip_prefix('`')?.strip_suffix('`')?;
    Some((name, layer))
}

#[cfg(test)]
mod tests {
    use super::{super::tree::Crate, *};

    fn check(layer: Option<u64>, expect: Option<&str>) {
        let mut tree = Tree::of(&[(
            MAP,
            "| layer | crate | role |\n|---|---|---|\n| 2 | `traffic` | decides |\n",
        )]);
        tree.crates = vec![Crate {
            layer,
            ..Crate::of("traffic", 0, vec![])
        }];
        let whats: Vec<_> = find(&tree)
            .into_iter()
            .map(|finding| finding.what)
            .collect();
        assert_eq!(whats, Vec::from_iter(expect));
    }

    #[test]
    fn manifest_and_map_agree() {
        check(Some(2), None);
        check(
            Some(1),
            Some("`traffic` says layer 1, ARCHITECTURE.md says 2"),
        );
        check(None, Some("`traffic` does not say its layer"));
    }

    #[test]
    fn a_crate_is_on_the_map() {
        let mut tree = Tree {
            crates: vec![Crate::of("extra", 3, vec![])],
            ..Tree::default()
        };
        assert_eq!(find(&tree).len(), 1);
        tree.crates[0].folder = "xtask".to_owned();
        assert_eq!(find(&tree), []);
    }
}
