//! What one decision takes: the benchmark of `leno-traffic`, run and read.

use crate::bench::{
    Measured, beside,
    report::{Figures, Row, Table},
};
use crate::rig::process::Core;

/// How cargo builds the benchmark.
pub(super) const BUILD: &str =
    "bench --locked --profile dist --package leno-traffic --bench decisions --no-run";

/// What one decision takes among so many routes: admit by 100 rules, route, pick one of 100 endpoints.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Decision {
    /// How many routes there are.
    routes: u32,
    /// The median, in nanoseconds, of all three together.
    nanos: f64,
}

/// What letting a call in takes among so many rules of access.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Admission {
    /// How many rules stand over the port.
    rules: u32,
    /// The median, in nanoseconds.
    nanos: f64,
    /// The same where the rule that decides has a condition.
    conditional: f64,
}

/// Runs the benchmark, which has been built.
pub(super) fn measure() -> Measured {
    let said = beside::run(Core::Proxy, BUILD)?;
    let mut figures = figures(&read(&said));
    figures.rows.extend(rows(&read_admissions(&said)));
    Ok(figures)
}

/// What is aimed at in letting calls in.
fn rows(admissions: &[Admission]) -> Vec<Row> {
    let among = |rules| admissions.iter().find(|one| one.rules == rules);
    let Some((few, many)) = among(100).zip(among(10_000)) else {
        return Vec::new();
    };
    let more = many.conditional - many.nanos;
    let growth = many.nanos / few.nanos;
    vec![
        Row {
            what: "letting a call in (1,000 policies of 10 rules)",
            target: "at most 2 µs".to_owned(),
            measured: format!("{:.2} µs", many.nanos / 1000.0),
            reached: many.nanos <= 2000.0,
        },
        Row {
            what: "the same where a condition decides",
            target: "at most 3 µs more".to_owned(),
            measured: format!("{:.2} µs more", more / 1000.0),
            reached: more <= 3000.0,
        },
        Row {
            what: "growth of letting in with 100 times the rules, none of which speaks of the call",
            target: "below linear".to_owned(),
            measured: format!("{growth:.1} x"),
            reached: growth < 100.0,
        },
    ]
}

fn figures(decisions: &[Decision]) -> Figures {
    let mut table = Table::new(&["routes", "ns for admit, route and pick"]);
    for Decision { routes, nanos } in decisions {
        table.line(&[routes.to_string(), format!("{nanos:.0}")]);
    }
    let among = |routes| decisions.iter().find(|decision| decision.routes == routes);
    let mut rows = Vec::new();
    if let Some((few, many)) = among(10).zip(among(1000)) {
        rows.push(Row {
            what: "one decision (1,000 routes, 100 policies, 100 endpoints)",
            target: "at most 1 µs".to_owned(),
            measured: format!("{:.2} µs", many.nanos / 1000.0),
            reached: many.nanos <= 1000.0,
        });
        let growth = many.nanos / few.nanos;
        rows.push(Row {
            what: "growth of a decision with 100 times the routes",
            target: "below linear".to_owned(),
            measured: format!("{growth:.1} x"),
            reached: growth < 100.0,
        });
    }
    Figures {
        rows,
        table,
        plots: Vec::new(),
    }
}

/// Reads its table: the first column counts routes, the one that is headed `all` is all together.
fn read(said: &str) -> Vec<Decision> {
    let mut lines = said.lines();
    let column = lines.find_map(|line| line.split_whitespace().position(|word| word == "all"));
    let rows = lines.map_while(|line| {
        let mut figures = line.split_whitespace();
        let routes = figures.clone().next()?.parse().ok()?;
        let nanos = figures.nth(column?)?.parse().ok()?;
        Some(Decision { routes, nanos })
    });
    rows.collect()
}

/// Reads the table whose first column counts rules.
fn read_admissions(said: &str) -> Vec<Admission> {
    let lines = said.lines().skip_while(|line| !is_of_rules(line)).skip(1);
    let rows = lines.map_while(|line| {
        let mut figures = line.split_whitespace();
        Some(Admission {
            rules: figures.next()?.parse().ok()?,
            nanos: figures.next()?.parse().ok()?,
            conditional: figures.next()?.parse().ok()?,
        })
    });
    rows.collect()
}

fn is_of_rules(line: &str) -> bool {
    line.split_whitespace().next() == Some("rules")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read() {
        let said = "medians, in nanoseconds\n routes  admit  route  pick  all make table\n   1000    314    235   151  766        507\n\n  rules  admit with condition\n    100    200            900\n";
        let expected = Decision {
            routes: 1000,
            nanos: 766.0,
        };
        assert_eq!(read(said), [expected]);
        assert_eq!(read("no table\n"), []);
        let expected = Admission {
            rules: 100,
            nanos: 200.0,
            conditional: 900.0,
        };
        assert_eq!(read_admissions(said), [expected]);
    }
}
