//! Nothing in the tree waits for somebody to remember it: what is missing stands in an issue.

use super::{finding::Finding, source::has_word, tree::Tree};

/// Put together here, so that this file does not find itself.
const WORDS: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

pub(crate) fn find(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        for (index, line) in file.text.lines().enumerate() {
            for word in WORDS.into_iter().filter(|word| has_word(line, word)) {
                findings.push(Finding {
                    file: file.path.clone(),
                    line: Some(index + 1),
                    what: format!("a {word} was left"),
                    help: "do it, or open an issue and take the mark out".to_owned(),
                });
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_found_wherever_they_stand() {
        let [mark, _] = WORDS;
        let tree = Tree::of(&[
            ("docs/a.md", &format!("fine\n<!-- {mark}: later -->\n")),
            ("docs/b.md", &format!("{mark}S are fine\n")),
        ]);
        let findings = find(&tree);
        assert_eq!(findings.len(), 1);
        assert_eq!(
            (findings[0].file.as_str(), findings[0].line),
            ("docs/a.md", Some(2))
        );
    }
}
