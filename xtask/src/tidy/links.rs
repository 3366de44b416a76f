//! A relative link in Markdown leads to a file of the tree, and its anchor to a heading there; in Rust, to a
//! function of that name.

use super::{
    finding::Finding,
    tree::{File, Tree},
};

pub(crate) fn find(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with(".md")) {
        for (line, target) in targets(&file.text) {
            if let Some(what) = problem(tree, file, target) {
                findings.push(Finding {
                    file: file.path.clone(),
                    line: Some(line),
                    what,
                    help: "mend the link, or say it in words that cannot rot".to_owned(),
                });
            }
        }
    }
    findings
}

/// The targets of `[text](target)` outside code, with their lines.
fn targets(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        let prose = line.split('`').step_by(2);
        for part in prose.flat_map(|part| part.split("](").skip(1)) {
            if let Some((target, _)) = part.split_once(')') {
                found.push((index + 1, target));
            }
        }
    }
    found
}

fn problem(tree: &Tree, from: &File, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if path.is_empty() {
        from.path.clone()
    } else {
        resolve(&from.path, path)
    };
    let folder = format!("{}/", path.trim_end_matches('/'));
    if tree.files.iter().any(|file| file.path.starts_with(&folder)) {
        return None;
    }
    let Some(file) = tree.file(&path) else {
        return Some(format!("the link leads to {path}, which does not exist"));
    };
    if path.ends_with(".rs") {
        let reached = anchor.is_empty() || file.text.contains(&format!("fn {anchor}("));
        return (!reached).then(|| format!("{path} has no function {anchor}"));
    }
    let reached = anchor.is_empty() || headings(&file.text).any(|heading| heading == anchor);
    (!reached).then(|| format!("{path} has no heading #{anchor}"))
}

/// The path that `relative` means in the file at `from`.
fn resolve(from: &str, relative: &str) -> String {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in relative.split('/') {
        match part {
            "." | "" => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// The anchors of a text's headings.
fn headings(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter_map(|line| {
        let words = line
            .strip_prefix('#')?
            .trim_start_matches('#')
            .strip_prefix(' ')?;
        let kept = words.to_lowercase().replace(' ', "-");
        let in_anchor = |c: &char| c.is_alphanumeric() || "-_".contains(*c);
        Some(kept.chars().filter(in_anchor).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Option<&str>) {
        let tree = Tree::of(&[
            ("docs/guide.md", text),
            (
                "docs/errors/R003.md",
                "# R003 no-allow-rule\n\n## What to do\n",
            ),
            ("README.md", "# Leno\n"),
            ("tests/it/lab.rs", "#[test]\nfn hosts_join() {}\n"),
        ]);
        let whats: Vec<_> = find(&tree)
            .into_iter()
            .map(|finding| finding.what)
            .collect();
        assert_eq!(whats, Vec::from_iter(expect));
    }

    #[test]
    fn a_link_to_a_test_names_it() {
        check("see [it](../tests/it/lab.rs#hosts_join)", None);
        check(
            "see [it](../tests/it/lab.rs#hosts)",
            Some("tests/it/lab.rs has no function hosts"),
        );
    }

    #[test]
    fn a_link_leads_somewhere() {
        check(
            "see [it](errors/R003.md) and [home](../README.md#leno)",
            None,
        );
        check("see [all](errors/) and [more](https://example.org/x)", None);
        check("see [what](errors/R003.md#what-to-do)", None);
        check(
            "see [it](errors/R004.md)",
            Some("the link leads to docs/errors/R004.md, which does not exist"),
        );
        check(
            "see [it](errors/R003.md#why)",
            Some("docs/errors/R003.md has no heading #why"),
        );
    }

    #[test]
    fn code_holds_no_links() {
        check("`[a](b)` is code\n```\n[a](b)\n```\n", None);
    }
}
