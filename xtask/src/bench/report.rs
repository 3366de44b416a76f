//! The figures as the document shows them: first beside their targets, then one table for each case.

use std::{fmt::Write as _, fs, path::Path, time::Duration};

use crate::{
    Outcome,
    bench::{Options, first_line, setting::Setting},
};

/// What was measured, and where.
pub(super) struct Report {
    setting: String,
    sections: Vec<Section>,
}

/// What one case has brought.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) how: &'static str,
    /// The load average before it was measured.
    pub(super) load: String,
    pub(super) figures: Figures,
}

/// What was measured of one case.
pub(super) struct Figures {
    /// What stands beside a target.
    pub(super) rows: Vec<Row>,
    pub(super) table: Table,
}

/// A figure beside its target.
pub(super) struct Row {
    pub(super) what: &'static str,
    pub(super) target: String,
    pub(super) measured: String,
    /// Whether the figure is as good as the target.
    pub(super) reached: bool,
}

/// A table in Markdown, built line by line.
pub(super) struct Table(String);

impl Report {
    /// Nothing is measured yet; says where it will be.
    pub(super) fn new(setting: &Setting, options: &Options) -> Self {
        Self {
            setting: place(setting, options),
            sections: Vec::new(),
        }
    }

    /// Adds the next case.
    pub(super) fn add(&mut self, section: Section) {
        self.sections.push(section);
    }

    /// All of it, in Markdown.
    pub(super) fn text(&self) -> String {
        let mut rows = Table::new(&["what", "target", "measured", "", "load"]);
        for Section { load, figures, .. } in &self.sections {
            for row in &figures.rows {
                rows.line(&row.cells(load));
            }
        }
        let mut text = format!("{}\n## Beside the targets\n\n{}", self.setting, rows.0);
        for section in &self.sections {
            let Section {
                title,
                how,
                figures,
                ..
            } = section;
            write!(text, "\n## {title}\n\n{how}\n\n{}", figures.table.0)
                .expect("a string takes all");
        }
        text
    }

    /// Puts the text between its marks in the document.
    pub(super) fn write(&self, path: &Path) -> Outcome {
        let document = fs::read_to_string(path)?;
        let renewed = replaced(&document, &self.text());
        let renewed = renewed
            .ok_or_else(|| format!("{} has no place for figures: {BEGIN}", path.display()))?;
        fs::write(path, renewed)?;
        println!("written: {}", path.display());
        Ok(())
    }
}

impl Row {
    fn cells(&self, load: &str) -> [String; 5] {
        let met = match self.reached {
            true => "reached",
            false => "**missed**",
        };
        let Self {
            what,
            target,
            measured,
            ..
        } = self;
        let cells = [what, target.as_str(), measured.as_str(), met, load];
        cells.map(str::to_owned)
    }
}

impl Table {
    /// A table with these headings.
    pub(super) fn new(headings: &[&str]) -> Self {
        let mut table = Self(String::new());
        table.line(headings);
        table.0 += &"|---".repeat(headings.len());
        table.0 += "|\n";
        table
    }

    /// Adds a line.
    pub(super) fn line(&mut self, cells: &[impl AsRef<str>]) {
        for cell in cells {
            self.0 += "| ";
            self.0 += cell.as_ref();
            self.0 += " ";
        }
        self.0 += "|\n";
    }
}

/// Machine, versions, and how often it was measured.
fn place(setting: &Setting, options: &Options) -> String {
    let mut text = String::new();
    let leno = setting.leno().display().to_string();
    for (what, program, words) in [
        ("Measured on", "date", &["--utc", "+%F"][..]),
        ("Commit", "git", &["rev-parse", "--short", "HEAD"]),
        ("Leno", &leno, &["--version"]),
        ("Compiler", "rustc", &["--version"]),
        ("HAProxy", "/usr/sbin/haproxy", &["-v"]),
        ("Origin", "/usr/sbin/nginx", &["-v"]),
        ("Client", "wrk", &["-v"]),
        ("Kernel", "uname", &["-sr"]),
    ] {
        writeln!(text, "- {what}: {}", first_line(program, words)).expect("a string takes all");
    }
    let Options {
        rounds, seconds, ..
    } = options;
    text + &format!(
        "- Machine: {}\n- {rounds} rounds of {seconds} s each, 32 connections, answers of 1 KB\n",
        machine()
    )
}

fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<_> = cpus
        .lines()
        .filter_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map(|(_, model)| model)
        .collect();
    format!(
        "{} x {}",
        models.len(),
        models.first().unwrap_or(&"unknown")
    )
}

/// As memory is told.
pub(super) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// As little memory is told.
pub(super) fn kilobytes(bytes: f64) -> String {
    format!("{:.1} kB", bytes / 1024.0)
}

/// As times are told.
pub(super) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The document with `figures` between its marks.
fn replaced(document: &str, figures: &str) -> Option<String> {
    let (before, rest) = document.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{figures}\n{END}{after}"))
}

/// Between these the document belongs to this program.
const BEGIN: &str = "<!-- figures: cargo xtask bench -->";
const END: &str = "<!-- end of figures -->";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_miss_is_said_plainly() {
        let row = |reached| {
            let row = Row {
                what: "memory",
                target: "at most 1 MB".to_owned(),
                measured: "2 MB".to_owned(),
                reached,
            };
            let mut table = Table::new(&["what", "target", "measured", "", "load"]);
            table.line(&row.cells("0.5"));
            table.0.lines().last().unwrap().to_owned()
        };
        assert_eq!(
            row(true),
            "| memory | at most 1 MB | 2 MB | reached | 0.5 |"
        );
        assert_eq!(
            row(false),
            "| memory | at most 1 MB | 2 MB | **missed** | 0.5 |"
        );
    }

    #[test]
    fn figures_are_put_between_their_marks() {
        let document = format!("# Title\n{BEGIN}\nold\n{END}\n## Tried\n");
        let renewed = replaced(&document, "new").unwrap();
        assert_eq!(
            renewed,
            format!("# Title\n{BEGIN}\n\nnew\n{END}\n## Tried\n")
        );
        assert_eq!(replaced(&renewed, "new").unwrap(), renewed);
        assert_eq!(replaced("# Title\n", "new"), None);
    }
}
