//! What one decision takes: the benchmark of `leno-traffic`, run and read.

use crate::bench::{
    Measured, Options,
    report::{Figures, Row, Table},
    setting::Setting,
};
use crate::rig::process::{self, Core};

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

/// Runs the benchmark, which has been built.
pub(super) fn measure(_setting: &Setting, _options: &Options) -> Measured {
    let said = process::cargo(Core::Proxy, &BUILD.replace("--no-run", "--offline"))?;
    Ok(figures(&read(&said)))
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
    let rows = lines.filter_map(|line| {
        let mut figures = line.split_whitespace();
        let routes = figures.clone().next()?.parse().ok()?;
        let nanos = figures.nth(column?)?.parse().ok()?;
        Some(Decision { routes, nanos })
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read() {
        let said = "medians, in nanoseconds\n routes  admit  route  pick  all make table\n   1000    314    235   151  766        507\n";
        let expected = Decision {
            routes: 1000,
            nanos: 766.0,
        };
        assert_eq!(read(said), [expected]);
        assert_eq!(read("no table\n"), []);
    }
}
