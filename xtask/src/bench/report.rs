//! The figures as the document shows them: first beside their targets, then one table for each case.

use std::{fmt::Write as _, fs, path::Path};

use crate::{
    Outcome,
    bench::{
        Options,
        call::Cost,
        contestant::MEASURE,
        decision::Decision,
        first_line,
        idle::{self, Idle},
        setting::Setting,
    },
};

/// What was measured, and where.
pub(super) struct Report {
    pub(super) hop: Option<Vec<Cost>>,
    pub(super) pair: Option<Vec<Cost>>,
    pub(super) idle: Option<Vec<Idle>>,
    pub(super) decisions: Vec<Decision>,
    setting: String,
}

impl Report {
    /// Nothing is measured yet; says where it will be.
    pub(super) fn new(setting: &Setting, options: &Options) -> Self {
        Self {
            hop: None,
            pair: None,
            idle: None,
            decisions: Vec::new(),
            setting: place(setting, options),
        }
    }

    /// All of it, in Markdown.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}\n## Beside the targets\n\n", self.setting);
        text += "| what | target | measured | |\n|---|---|---|---|\n";
        for row in self.rows() {
            text += &row.line();
        }
        let costs = [
            ("One plain hop", &self.hop),
            ("A pair with mutual TLS 1.3 between", &self.pair),
        ];
        for (title, costs) in costs {
            if let Some(costs) = costs {
                text += &table_of_costs(title, costs);
            }
        }
        if let Some(idle) = &self.idle {
            text += &table_of_idle(idle);
        }
        if !self.decisions.is_empty() {
            text += &table_of_decisions(&self.decisions);
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

    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (what, target, costs) in [
            ("CPU per request, plain HTTP/1.1 hop", 1.1, &self.hop),
            ("CPU per request, mutual TLS pair", 1.2, &self.pair),
        ] {
            let ratio = costs
                .as_ref()
                .and_then(|costs| costs.first())
                .map(|cost| &cost.ratio);
            rows.push(Row {
                what,
                target: format!("at most {target:.1} x HAProxy"),
                measured: ratio.map(|ratio| (format!("{ratio:.2} x"), ratio.median() <= target)),
            });
        }
        let idle = self.idle.as_ref().and_then(|idle| idle.first());
        rows.push(Row {
            what: "idle proxy, memory (RSS)",
            target: "at most 10 MB".to_owned(),
            measured: idle.map(|idle| (megabytes(idle.resident), idle.resident <= 10_000_000)),
        });
        rows.push(Row {
            what: "idle proxy, CPU",
            target: "not measurable (under 1 ms in 10 s)".to_owned(),
            measured: idle.map(|idle| {
                (
                    format!("{:.2} ms in 10 s", millis(idle.cpu)),
                    millis(idle.cpu) < 1.0,
                )
            }),
        });
        rows.push(Row {
            what: "idle keep-alive connection, memory",
            target: "at most 4 kB".to_owned(),
            measured: idle.map(|idle| (kilobytes(idle.connection), idle.connection <= 4096.0)),
        });
        let among = |routes| {
            self.decisions
                .iter()
                .find(|decision| decision.routes == routes)
        };
        let (decision, few) = (among(1000), among(10));
        rows.push(Row {
            what: "one decision (1,000 routes, 100 policies, 100 endpoints)",
            target: "at most 1 µs".to_owned(),
            measured: decision.map(|decision| {
                (
                    format!("{:.2} µs", decision.nanos / 1000.0),
                    decision.nanos <= 1000.0,
                )
            }),
        });
        let growth = decision.zip(few).map(|(many, few)| many.nanos / few.nanos);
        rows.push(Row {
            what: "growth of a decision with 100 times the routes",
            target: "below linear".to_owned(),
            measured: growth.map(|growth| (format!("{growth:.1} x"), growth < 100.0)),
        });
        let later = [
            ("`leno demo` to the first meshed call", "under 3 s"),
            (
                "Ctrl-C or `kill -9` of the parent to nothing left",
                "under 2 s",
            ),
            ("a changed weight enforced in 100 proxies", "under 200 ms"),
            ("recovery after `kill -9` of a process under load", "2 s"),
        ];
        rows.extend(later.map(|(what, target)| Row {
            what,
            target: target.to_owned(),
            measured: None,
        }));
        rows
    }
}

/// A figure beside its target.
struct Row {
    what: &'static str,
    target: String,
    /// The figure, and whether it is as good as the target.
    measured: Option<(String, bool)>,
}

impl Row {
    fn line(&self) -> String {
        let Self {
            what,
            target,
            measured,
        } = self;
        let (figure, met) = match measured {
            None => ("not measured yet", ""),
            Some((figure, true)) => (figure.as_str(), "reached"),
            Some((figure, false)) => (figure.as_str(), "**missed**"),
        };
        format!("| {what} | {target} | {figure} | {met} |\n")
    }
}

fn table_of_costs(title: &str, costs: &[Cost]) -> String {
    let mut text = format!(
        "\n## {title}\n\n| | µs of CPU per request | x {MEASURE} of the same round |\n|---|---|---|\n"
    );
    for Cost {
        name,
        micros,
        ratio,
    } in costs
    {
        text += &format!("| {name} | {micros:.1} | {ratio:.2} |\n");
    }
    text
}

fn table_of_idle(all: &[Idle]) -> String {
    let connections = idle::CONNECTIONS;
    let mut text = "\n## Idle\n\n".to_owned();
    text += &format!(
        "| | RSS after the start | CPU in 10 s | memory per connection, of {connections} | CPU in 10 s with them |\n|---|---|---|---|---|\n"
    );
    for idle in all {
        text += &format!(
            "| {} | {} | {:.2} ms | {} | {:.2} ms |\n",
            idle.name,
            megabytes(idle.resident),
            millis(idle.cpu),
            kilobytes(idle.connection),
            millis(idle.cpu_with_connections)
        );
    }
    text
}

fn table_of_decisions(decisions: &[Decision]) -> String {
    let mut text =
        "\n## Decisions\n\n| routes | ns for admit, route and pick |\n|---|---|\n".to_owned();
    for Decision { routes, nanos } in decisions {
        text += &format!("| {routes} | {nanos:.0} |\n");
    }
    text
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
    let loads = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = loads.split(' ').next().unwrap_or("unknown").to_owned();
    format!(
        "{} x {}; load average {load} at the start",
        models.len(),
        models.first().unwrap_or(&"unknown")
    )
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn kilobytes(bytes: f64) -> String {
    format!("{:.1} kB", bytes / 1024.0)
}

fn millis(time: std::time::Duration) -> f64 {
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
        let row = |measured| {
            Row {
                what: "memory",
                target: "at most 1 MB".to_owned(),
                measured,
            }
            .line()
        };
        assert_eq!(
            row(None),
            "| memory | at most 1 MB | not measured yet |  |\n"
        );
        assert_eq!(
            row(Some(("2 MB".to_owned(), false))),
            "| memory | at most 1 MB | 2 MB | **missed** |\n"
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
