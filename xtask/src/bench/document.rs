//! The document: the part between its marks belongs to this program. What is measured anew takes
//! the place of what was measured before; all else stays, each section with the commit it is of.

use std::{fmt::Write as _, fs, path::Path};

use crate::{
    Outcome,
    bench::{CASES, Options, first_line, report::Figures},
    packages, shell,
};

/// What one case has brought, and when.
pub(super) struct Section {
    /// How one asks for the case.
    pub(super) case: &'static str,
    pub(super) title: &'static str,
    pub(super) how: &'static str,
    /// Commit, day, load and rounds.
    pub(super) of: String,
    pub(super) figures: Figures,
}

impl Section {
    /// The section in Markdown.
    fn text(&self) -> String {
        let Self {
            title,
            how,
            of,
            figures,
            ..
        } = self;
        let mut text = format!("## {title}\n\n{how}\n\n*{of}*\n\n");
        for plot in &figures.plots {
            let (what, file) = (&plot.title, &plot.file);
            writeln!(text, "![{what}]({PICTURES}/{file}.svg)\n").expect("a string takes all");
        }
        text + figures.table.text()
    }

    /// Its lines of the table of all targets.
    fn rows(&self) -> String {
        let rows = self.figures.rows.iter();
        rows.map(|row| row.line(self.case)).collect()
    }
}

/// The same part of the document with these sections in it, where `old` is what stands there.
pub(super) fn renewed(old: &str, place: &str, sections: &[Section]) -> String {
    let new = |name| sections.iter().find(|section| section.case == name);
    let mut rows = String::new();
    let mut texts = String::new();
    for case in CASES {
        match new(case.name) {
            Some(section) => {
                rows += &section.rows();
                texts += &format!("\n{}", section.text());
            }
            None => {
                rows += &old_rows(old, case.name);
                texts += &old_section(old, case.title);
            }
        }
    }
    format!("{place}\n{TARGETS}\n\n{HEADINGS}\n{rows}{texts}")
}

/// Writes the sections and their pictures into the document.
pub(super) fn write(path: &Path, place: &str, sections: &[Section]) -> Outcome {
    let document = fs::read_to_string(path)?;
    let (before, old, after) = parts(&document)
        .ok_or_else(|| format!("{} has no place for figures: {BEGIN}", path.display()))?;
    let figures = renewed(old, place, sections);
    fs::write(path, format!("{before}{BEGIN}\n\n{figures}\n{END}{after}"))?;
    println!("written: {}", path.display());
    let folder = path.with_file_name(PICTURES);
    for plot in sections.iter().flat_map(|section| &section.figures.plots) {
        let picture = folder.join(format!("{}.svg", plot.file));
        fs::write(&picture, plot.svg())?;
        println!("written: {}", picture.display());
    }
    Ok(())
}

/// Machine and versions: of another `leno` than the one of this commit, what it says itself.
pub(super) fn place(target: &Path, leno: Option<&Path>) -> String {
    let own = concat!("leno ", env!("CARGO_PKG_VERSION")).to_owned();
    let leno = leno.map(|leno| first_line(&leno.display().to_string(), &["--version"]));
    let mut text = format!("- Leno: {}\n", leno.unwrap_or(own));
    let envoy = packages::envoy(target).display().to_string();
    for (what, program, words) in [
        ("Compiler", "rustc", &["--version"][..]),
        ("HAProxy", "/usr/sbin/haproxy", &["-v"]),
        ("nginx, also the origin", "/usr/sbin/nginx", &["-v"]),
        ("Envoy", &envoy, &["--version"]),
        ("Clients", "wrk", &["-v"]),
        ("Clients", "h2load", &["--version"]),
        ("Kernel", "uname", &["-sr"]),
    ] {
        writeln!(text, "- {what}: {}", version(&first_line(program, words)))
            .expect("a string takes all");
    }
    text + &format!("- Machine: {}\n", machine())
}

/// When and how a section is measured.
pub(super) fn of(options: &Options) -> String {
    let mut commit = first_line("git", &["rev-parse", "--short", "HEAD"]);
    // The document itself changes while it is measured.
    let sources = "diff --quiet HEAD -- :/Cargo.lock :/Cargo.toml :/crates :/xtask";
    if !shell::succeeds("git", &sources.split(' ').collect::<Vec<_>>()) {
        commit += " with changes";
    }
    let day = first_line("date", &["--utc", "+%F"]);
    let loads = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = loads.split(' ').next().unwrap_or("unknown");
    let Options {
        rounds, seconds, ..
    } = options;
    format!("Commit {commit}, {day}; {rounds} rounds of {seconds} s; load {load}")
}

/// The part of a version's line that a person reads: without what a path or a copyright adds.
fn version(line: &str) -> &str {
    let line = line.rsplit_once(" - ").map_or(line, |(before, _)| before);
    let line = line.split_once(" [").map_or(line, |(before, _)| before);
    line.rsplit_once("  ").map_or(line, |(_, after)| after)
}

fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<_> = cpus
        .lines()
        .filter_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map(|(_, model)| model)
        .collect();
    let model = models.first().unwrap_or(&"unknown");
    format!("{} x {model}", models.len())
}

/// What stands before the figures, the figures, and what stands behind them.
fn parts(document: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (figures, after) = rest.split_once(END)?;
    Some((before, figures, after))
}

/// The lines of the table of all targets that are of this case.
fn old_rows(old: &str, case: &str) -> String {
    let begin = format!("| `{case}` |");
    let rows = old.lines().filter(|line| line.starts_with(&begin));
    rows.map(|row| format!("{row}\n")).collect()
}

/// The section with this title, with the empty line before it; nothing, if there is none.
fn old_section(old: &str, title: &str) -> String {
    let begin = format!("\n## {title}\n");
    let Some((_, rest)) = old.split_once(&begin) else {
        return String::new();
    };
    let end = rest.find("\n## ").unwrap_or(rest.len());
    let text = rest.get(..end).unwrap_or_default();
    format!("{begin}{}\n", text.trim_end())
}

/// Between these the document belongs to this program.
const BEGIN: &str = "<!-- figures: cargo xtask bench -->";
const END: &str = "<!-- end of figures -->";

/// The folder of pictures, beside the document.
const PICTURES: &str = "pictures";

const TARGETS: &str = "## Beside the targets";
const HEADINGS: &str = "| case | what | target | measured |  |\n|---|---|---|---|---|";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::report::{Row, Table};

    fn section(case: &'static str, title: &'static str, measured: &str) -> Section {
        let mut table = Table::new(&["figure"]);
        table.line(&[measured]);
        Section {
            case,
            title,
            how: "By looking.",
            of: "Commit abc".to_owned(),
            figures: Figures {
                rows: vec![Row {
                    what: "figure",
                    target: "1".to_owned(),
                    measured: measured.to_owned(),
                    reached: true,
                }],
                table,
                plots: Vec::new(),
            },
        }
    }

    #[test]
    fn what_is_not_measured_stays() {
        let (hop, idle) = ("One plain hop", "Idle");
        let both = [
            section("hop", hop, "first"),
            section("idle", idle, "second"),
        ];
        let all = renewed("", "- here\n", &both);
        assert_eq!(
            all,
            "- here\n\n## Beside the targets\n\n| case | what | target | measured |  |\n|---|---|---|---|---|\n\
             | `hop` | figure | 1 | first | reached |\n| `idle` | figure | 1 | second | reached |\n\
             \n## One plain hop\n\nBy looking.\n\n*Commit abc*\n\n| figure |\n|---|\n| first |\n\
             \n## Idle\n\nBy looking.\n\n*Commit abc*\n\n| figure |\n|---|\n| second |\n"
        );
        let again = renewed(&all, "- here\n", &[section("idle", idle, "third")]);
        assert_eq!(again, all.replace("second", "third"));
        assert_eq!(renewed(&again, "- here\n", &[]), again);
    }

    #[test]
    fn figures_stand_between_marks() {
        let document = format!("# Title\n{BEGIN}\nold\n{END}\n## Tried\n");
        let expect = ("# Title\n", "\nold\n", "\n## Tried\n");
        assert_eq!(parts(&document), Some(expect));
        assert_eq!(parts("# Title\n"), None);
    }

    #[test]
    fn a_version_is_told_without_ornament() {
        let line = "wrk debian/4.1.0-3+b2 [epoll] Copyright (C) 2012 Will Glozer";
        assert_eq!(version(line), "wrk debian/4.1.0-3+b2");
        assert_eq!(
            version("HAProxy version 2.6 2026/10/17 - https://x/"),
            "HAProxy version 2.6 2026/10/17"
        );
        assert_eq!(
            version("/a/b/envoy  version: 9e/1.40.0/Clean"),
            "version: 9e/1.40.0/Clean"
        );
    }
}
