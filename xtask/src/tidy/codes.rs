//! Each code of `crates/model/src/code.rs` is unique and has a page in `docs/errors/`, which agrees
//! with it and answers the same four questions.

use std::collections::BTreeMap;

use super::{
    finding::Finding,
    source::code_lines,
    tree::{File, Tree},
};

const TABLE: &str = "crates/model/src/code.rs";
const PAGES: &str = "docs/errors/";
const HEADINGS: [&str; 4] = ["## Cause", "## Fault", "## In force", "## What to do"];

/// A row of the table: `R003 "no-allow-rule" Caller "No access policy allows the call.";`
#[derive(Clone, Copy)]
struct Code<'a> {
    line: usize,
    name: &'a str,
    slug: &'a str,
    fault: &'a str,
    title: &'a str,
}

pub(crate) fn find(tree: &Tree) -> Vec<Finding> {
    let Some(table) = tree.file(TABLE) else {
        return Vec::new();
    };
    let codes: Vec<Code<'_>> = rows(&table.text).collect();
    let mut findings = twins(&codes);
    for code in &codes {
        let path = format!("{PAGES}{}.md", code.name);
        match tree.file(&path) {
            Some(page) => findings.extend(differences(*code, page)),
            None => findings.push(Finding {
                file: TABLE.to_owned(),
                line: Some(code.line),
                what: format!("{} {} has no page", code.name, code.slug),
                help: format!("write {path}, by the example of its neighbours"),
            }),
        }
        if !tree.sources().any(|file| gives(file, code.name)) {
            findings.push(Finding {
                file: TABLE.to_owned(),
                line: Some(code.line),
                what: format!("nobody meets {} {}", code.name, code.slug),
                help: format!(
                    "say Code::{} where that goes wrong, or remove it with its page",
                    code.name
                ),
            });
        }
    }
    findings.extend(orphans(tree, &codes));
    findings
}

/// Whether a file of the product, outside its tests, makes the code: it stands there as a value, and not
/// as something to compare with.
fn gives(file: &File, code: &str) -> bool {
    let is_product = file.path.starts_with("crates/") && !file.path.contains("/tests");
    if !is_product || file.path == TABLE {
        return false;
    }
    let word = format!("Code::{code}");
    let lines = code_lines(&file.text);
    let mut product = lines.iter().take_while(|line| *line != "#[cfg(test)]");
    product.any(|line| {
        line.split_once(&word).is_some_and(|(before, after)| {
            let compares = ["==", "!=", "|"]
                .iter()
                .any(|end| before.trim_end().ends_with(end));
            let is_pattern = ["=>", "|"]
                .iter()
                .any(|begin| after.trim_start().starts_with(begin));
            !compares && !is_pattern
        })
    })
}

fn rows(table: &str) -> impl Iterator<Item = Code<'_>> {
    table.lines().enumerate().filter_map(|(index, line)| {
        let (head, title) = line.trim().strip_suffix("\";")?.split_once("\" ")?;
        let (name, slug) = head.split_once(" \"")?;
        let (fault, title) = title.split_once(" \"")?;
        let line = index + 1;
        is_code(name).then_some(Code {
            line,
            name,
            slug,
            fault,
            title,
        })
    })
}

fn is_code(text: &str) -> bool {
    text.len() == 4
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.chars().skip(1).all(|c| c.is_ascii_digit())
}

/// Codes or slugs that stand twice.
fn twins(codes: &[Code<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen = BTreeMap::new();
    for code in codes {
        for word in [code.name, code.slug] {
            if let Some(first) = seen.insert(word, code.line) {
                findings.push(Finding {
                    file: TABLE.to_owned(),
                    line: Some(code.line),
                    what: format!("{word} stands twice, first in line {first}"),
                    help: "a code never changes its meaning: take the next free number".to_owned(),
                });
            }
        }
    }
    findings
}

/// Where a page is not what the table promises.
fn differences(code: Code<'_>, page: &File) -> Vec<Finding> {
    let lines: Vec<&str> = page.text.lines().collect();
    [heading, sentence, sections, fault]
        .into_iter()
        .filter_map(|check| check(code, &lines))
        .map(|(line, what, help)| Finding {
            file: page.path.clone(),
            line: Some(line),
            what: what.to_owned(),
            help,
        })
        .collect()
}

/// A line of a page, what is wrong there, and what to write.
type Difference = (usize, &'static str, String);

fn heading(code: Code<'_>, lines: &[&str]) -> Option<Difference> {
    let heading = format!("# {} {}", code.name, code.slug);
    (lines.first() != Some(&heading.as_str())).then(|| {
        let what = "the page has another heading than its code";
        (1, what, format!("write {heading:?}"))
    })
}

fn sentence(code: Code<'_>, lines: &[&str]) -> Option<Difference> {
    (lines.get(2) != Some(&code.title)).then(|| {
        let what = "the page opens with another sentence than its code";
        (
            3,
            what,
            format!("write {:?}, as {TABLE}:{} does", code.title, code.line),
        )
    })
}

fn sections(_: Code<'_>, lines: &[&str]) -> Option<Difference> {
    let found = lines.iter().filter(|line| line.starts_with("## "));
    (!found.eq(&HEADINGS)).then(|| {
        let what = "the page has other sections than its neighbours";
        (
            1,
            what,
            format!("write {}, in this order", HEADINGS.join(", ")),
        )
    })
}

fn fault(code: Code<'_>, lines: &[&str]) -> Option<Difference> {
    let at = lines.iter().position(|line| *line == HEADINGS[1])? + 2;
    let opening = format!("{}: ", code.fault);
    let said = lines.get(at).copied().unwrap_or_default();
    (!said.starts_with(&opening)).then(|| {
        let what = "the page blames somebody else than its code";
        (
            at + 1,
            what,
            format!("open the section with {opening:?} and say why"),
        )
    })
}

/// Pages without a code.
fn orphans(tree: &Tree, codes: &[Code<'_>]) -> Vec<Finding> {
    let pages = tree.files.iter().filter_map(|file| {
        let name = file.path.strip_prefix(PAGES)?.strip_suffix(".md")?;
        is_code(name).then_some((file, name))
    });
    pages
        .filter(|(_, name)| codes.iter().all(|code| code.name != *name))
        .map(|(file, name)| Finding {
            file: file.path.clone(),
            line: None,
            what: format!("there is no code {name}"),
            help: format!("add it to {TABLE}, or remove the page"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = r#"    R003 "no-allow-rule" Caller "No policy allows the call.";"#;
    const PAGE: &str = "# R003 no-allow-rule\n\nNo policy allows the call.\n\n## Cause\n\nx\n\n\
        ## Fault\n\nCaller: it lacks leave.\n\n## In force\n\nx\n\n## What to do\n\nx\n";

    fn check(table: &str, pages: &[(&str, &str)], expect: &[&str]) {
        let given = (
            "crates/x/src/lib.rs",
            "fn f() -> Code {\n    Code::R003\n}\n",
        );
        let tree = Tree::of(&[&[(TABLE, table), given], pages].concat());
        let whats: Vec<_> = find(&tree)
            .into_iter()
            .map(|finding| finding.what)
            .collect();
        assert_eq!(whats, expect);
    }

    #[test]
    fn every_code_has_its_page() {
        check(ROW, &[("docs/errors/R003.md", PAGE)], &[]);
        check(ROW, &[], &["R003 no-allow-rule has no page"]);
        check(
            "",
            &[("docs/errors/R003.md", PAGE)],
            &["there is no code R003"],
        );
        check("", &[("docs/errors/README.md", "# Codes\n")], &[]);
    }

    #[test]
    fn every_code_is_given_outside_tests() {
        for (text, expect) in [
            ("let code = Code::R003;", true),
            ("Self::Denied => Code::R003,", true),
            ("Code::R003 => 403,", false),
            ("Code::R002 | Code::R003 => 403,", false),
            ("if code == Code::R003 {", false),
            ("// Code::R003", false),
            ("#[cfg(test)]\nlet code = Code::R003;", false),
        ] {
            let tree = Tree::of(&[("crates/x/src/lib.rs", text)]);
            assert_eq!(gives(&tree.files[0], "R003"), expect, "{text}");
        }
    }

    #[test]
    fn a_code_stands_once() {
        let twice = format!("{ROW}\n{}", ROW.replace("no-allow-rule", "other"));
        let pages = [("docs/errors/R003.md", PAGE)];
        let found = "R003 stands twice, first in line 1";
        let heading = "the page has another heading than its code";
        check(&twice, &pages, &[found, heading]);
    }

    #[test]
    fn a_page_agrees_with_its_code() {
        let other = |from: &str, to: &str, expect: &str| {
            check(
                ROW,
                &[("docs/errors/R003.md", &PAGE.replace(from, to))],
                &[expect],
            );
        };
        other(
            "# R003 no",
            "# R003 an",
            "the page has another heading than its code",
        );
        other(
            "No policy",
            "A policy",
            "the page opens with another sentence than its code",
        );
        other(
            "## In force",
            "## Meanwhile",
            "the page has other sections than its neighbours",
        );
        other(
            "Caller:",
            "Mesh:",
            "the page blames somebody else than its code",
        );
    }
}
