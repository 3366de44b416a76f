//! The dashboard's page is built of the sources that lie beside it. That these give just these bytes
//! is proven by `cargo xtask dashboard --check`, which needs Node.

use crate::dashboard;

use super::{finding::Finding, tree::Tree};

pub(crate) fn find(tree: &Tree) -> Vec<Finding> {
    let hash = dashboard::hash(tree);
    let built = tree.file(dashboard::MODULE);
    if built.is_none_or(|built| built.line_where(|line| line.ends_with(&hash)).is_some()) {
        return Vec::new();
    }
    vec![Finding {
        file: dashboard::MODULE.to_owned(),
        line: Some(2),
        what: "the page was built of other sources".to_owned(),
        help: "build it: cargo xtask dashboard".to_owned(),
    }]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_names_its_sources() {
        let source = ("crates/dashboard/page/src/main.ts", "mount();\n");
        let hash = dashboard::hash(&Tree::of(&[source]));
        let built = format!("// @generated\n// {hash}\n");
        let found = |source| find(&Tree::of(&[(dashboard::MODULE, &built), source])).len();
        assert_eq!(found(source), 0);
        assert_eq!(found((source.0, "mount(App);\n")), 1);
    }
}
