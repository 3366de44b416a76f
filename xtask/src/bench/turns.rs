//! Contestants in turns: each has one in each round, in an order that is turned around from round to
//! round, so that what else the machine does falls on all alike.

use std::error::Error;

use crate::bench::{
    plot::Plot,
    report::{Row, Table},
    series::Series,
};
use crate::rig::contestant::Contestant;

/// What was measured of each contestant, a series of figures for each of the columns.
pub(super) struct Turns {
    columns: &'static [Column],
    /// In the order of the contestants.
    lines: Vec<(String, Vec<Series>)>,
}

/// One thing that is measured in a turn.
pub(super) struct Column {
    /// As the document names it, with its unit.
    pub(super) what: &'static str,
    /// How many digits behind the point are told.
    pub(super) digits: usize,
}

/// A target that is a ratio.
pub(super) struct Aim {
    /// As the document names what is measured.
    pub(super) what: &'static str,
    /// The place of the column.
    pub(super) column: usize,
    /// Beside whom.
    pub(super) over: &'static str,
    /// At most so many times as much.
    pub(super) most: f64,
}

impl Turns {
    /// Gives each of `contestants` so many turns; `turn` gives a figure for each column.
    pub(super) fn take<const N: usize>(
        columns: &'static [Column; N],
        contestants: &[Contestant],
        rounds: usize,
        turn: impl Fn(&Contestant) -> Result<[f64; N], Box<dyn Error>>,
    ) -> Result<Self, Box<dyn Error>> {
        let lines = contestants.iter().map(|contestant| {
            let series = vec![Series::default(); N];
            (contestant.name.clone(), series)
        });
        let mut lines: Vec<_> = lines.collect();
        for round in 0..rounds {
            let mut turns: Vec<_> = contestants.iter().zip(&mut lines).collect();
            if round % 2 == 1 {
                turns.reverse();
            }
            for (contestant, (name, series)) in turns {
                let figures = turn(contestant).map_err(|error| format!("{name}: {error}"))?;
                let mut told = format!("round {round}  {name}");
                for ((series, figure), column) in series.iter_mut().zip(figures).zip(columns) {
                    series.push(figure);
                    let Column { what, digits } = column;
                    told += &format!("  {figure:.digits$} {what}");
                }
                println!("{told}");
            }
        }
        Ok(Self { columns, lines })
    }

    /// The figures of one column over those of another contestant, round by round.
    pub(super) fn ratio(&self, name: &str, column: usize, over: &str) -> Option<Series> {
        Some(self.series(name, column)?.over(self.series(over, column)?))
    }

    /// The figures of one column of a contestant over those of another of its columns, round by round.
    pub(super) fn over(&self, name: &str, column: usize, other: usize) -> Option<Series> {
        Some(self.series(name, column)?.over(self.series(name, other)?))
    }

    /// The figures of one contestant.
    pub(super) fn series(&self, name: &str, column: usize) -> Option<&Series> {
        let (_, series) = self.lines.iter().find(|(found, _)| found == name)?;
        series.get(column)
    }

    /// All of it, and each figure of the first column over that of `measure`.
    pub(super) fn table(&self, measure: &str) -> Table {
        let ratio = format!("x {measure} of the same round");
        let mut headings = vec![""];
        headings.extend(self.columns.iter().map(|column| column.what));
        headings.insert(2, &ratio);
        let mut table = Table::new(&headings);
        for (name, series) in &self.lines {
            let figures = series.iter().zip(self.columns);
            let figures = figures.map(|(series, column)| format!("{series:.*}", column.digits));
            let mut cells = vec![name.clone()];
            cells.extend(figures);
            let ratio = self.ratio(name, 0, measure);
            cells.insert(
                2,
                ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}")),
            );
            table.line(&cells);
        }
        table
    }

    /// One column as a picture that will lie in a file of this name.
    pub(super) fn plot(&self, file: &str, column: usize) -> Option<Plot> {
        let what = self.columns.get(column)?.what;
        let bars = self
            .lines
            .iter()
            .filter_map(|(name, series)| Some((name.clone(), series.get(column)?.clone())));
        Some(Plot {
            file: file.to_owned(),
            title: what.to_owned(),
            bars: bars.filter(|(_, series)| series.median() > 0.0).collect(),
        })
    }

    /// What `name` has reached of an aim.
    pub(super) fn row(&self, name: &str, aim: &Aim) -> Option<Row> {
        let Aim {
            what,
            column,
            over,
            most,
        } = *aim;
        let ratio = self.ratio(name, column, over)?;
        Some(Row {
            what,
            target: format!("at most {most} x {over}"),
            measured: format!("{ratio:.2} x"),
            reached: ratio.median() <= most,
        })
    }
}
