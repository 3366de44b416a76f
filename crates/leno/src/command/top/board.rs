//! What a live table shows and how keys change that: which rows, in which order, which one is chosen.

use leno_admin::figures::{bytes, count, duration, percent, short};
use leno_admin::{By, Edge, Traffic};
use std::time::Duration;

use crate::terminal::Line;

/// The table as it is set.
pub(super) struct Board {
    pub(super) by: By,
    sort: Sort,
    filter: String,
    /// Whether keys are letters of the filter.
    typing: bool,
    selected: usize,
}

/// What rows are sorted by, the most first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sort {
    Rate,
    Errors,
    Latency,
    Name,
}

/// A key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Key {
    Letter(char),
    Enter,
    Escape,
    Back,
    Up,
    Down,
    /// Ctrl-C.
    Interrupt,
}

/// What a key asks for beside another look of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Act {
    /// Nothing.
    Stay,
    /// Ask again: other rows are wanted.
    Ask,
    /// Why did a call of the chosen row fail?
    Why,
    /// Show the calls of the chosen row.
    Tap,
    /// The end.
    Quit,
}

impl Board {
    pub(super) fn new(by: By) -> Self {
        Self {
            by,
            sort: Sort::Rate,
            filter: String::new(),
            typing: false,
            selected: 0,
        }
    }

    /// Takes a key that was pressed while these rows were there.
    pub(super) fn handle_key(&mut self, key: Key, traffic: Option<&Traffic>) -> Act {
        if key == Key::Interrupt {
            return Act::Quit;
        }
        if self.typing {
            match key {
                Key::Letter(letter) => self.filter.push(letter),
                Key::Back => drop(self.filter.pop()),
                Key::Enter => self.typing = false,
                Key::Escape => {
                    self.typing = false;
                    self.filter.clear();
                }
                Key::Up | Key::Down | Key::Interrupt => {}
            }
            self.selected = 0;
            return Act::Stay;
        }
        match key {
            Key::Letter('q') | Key::Escape => return Act::Quit,
            Key::Letter('w') | Key::Enter => return Act::Why,
            Key::Letter('t') => return Act::Tap,
            Key::Letter('s') => {
                self.by = match self.by {
                    By::Service => By::Edge,
                    _ => By::Service,
                };
                self.selected = 0;
                return Act::Ask;
            }
            Key::Letter('r') => self.sort = Sort::Rate,
            Key::Letter('e') => self.sort = Sort::Errors,
            Key::Letter('l') => self.sort = Sort::Latency,
            Key::Letter('n') => self.sort = Sort::Name,
            Key::Letter('/') => self.typing = true,
            Key::Letter('j') | Key::Down => {
                let rows = traffic.map_or(0, |traffic| self.rows(traffic).len());
                self.selected = (self.selected + 1).min(rows.saturating_sub(1));
            }
            Key::Letter('k') | Key::Up => self.selected = self.selected.saturating_sub(1),
            Key::Letter(_) | Key::Back | Key::Interrupt => {}
        }
        Act::Stay
    }

    /// The rows in their order, those that the filter leaves.
    pub(super) fn rows<'t>(&self, traffic: &'t Traffic) -> Vec<&'t Edge> {
        let holds = |name: &str| name.contains(&self.filter);
        let rows = traffic.edges.iter();
        let mut rows: Vec<_> = rows
            .filter(|row| holds(&row.from) || holds(&row.to))
            .collect();
        let names = |row: &'t Edge| (row.from.as_str(), row.to.as_str());
        rows.sort_by(|one, other| {
            let order = match self.sort {
                Sort::Rate => other.calls.cmp(&one.calls),
                Sort::Errors => other.failed.cmp(&one.failed),
                Sort::Latency => other.p99_us.cmp(&one.p99_us),
                Sort::Name => std::cmp::Ordering::Equal,
            };
            order.then_with(|| names(one).cmp(&names(other)))
        });
        rows
    }

    /// The row that is chosen.
    pub(super) fn chosen<'t>(&self, traffic: &'t Traffic) -> Option<&'t Edge> {
        let rows = self.rows(traffic);
        rows.get(self.selected.min(rows.len().saturating_sub(1)))
            .copied()
    }

    /// The table in so many lines at most; the chosen row is among them.
    pub(super) fn lines(&self, traffic: &Traffic, most: usize, live: bool) -> Vec<Line> {
        let rows = self.rows(traffic);
        let selected = self.selected.min(rows.len().saturating_sub(1));
        let titles = ["RATE", "FAILED", "P50", "P99", "BYTES/S", "mTLS"];
        let mark = |sort: Sort| if live && self.sort == sort { "▾" } else { "" };
        let named = match self.by {
            By::Service => "SERVICE",
            _ => "CALLS",
        };
        let head = Line::new().dim(format_args!("  {named}{}", mark(Sort::Name)));
        let head = head.column(NAME, 1).dim(format_args!(
            "{:>9}{:>8}{:>9}{:>9}{:>10}{:>6}",
            format!("{}{}", titles[0], mark(Sort::Rate)),
            format!("{}{}", titles[1], mark(Sort::Errors)),
            titles[2],
            format!("{}{}", titles[3], mark(Sort::Latency)),
            titles[4],
            titles[5],
        ));
        let mut lines = vec![head];
        let first = (selected + 1).saturating_sub(most.max(1));
        for (place, row) in rows.iter().enumerate().skip(first).take(most.max(1)) {
            lines.push(line(row, traffic.seconds, live && place == selected));
        }
        if rows.is_empty() {
            lines.push(Line::new().plain(match self.filter.is_empty() {
                true => "  no call".to_owned(),
                false => format!("  nothing is named like {:?}", self.filter),
            }));
        }
        lines
    }

    /// What keys do, or what is being typed.
    pub(super) fn foot(&self) -> Line {
        if self.typing {
            let line = Line::new().plain("filter: ").strong(&self.filter);
            return line.dim("_   Enter keeps it, Esc drops it");
        }
        let line = match self.filter.is_empty() {
            true => Line::new(),
            false => Line::new().doubtful(format_args!("/{}  ", self.filter)),
        };
        line.dim("sort r e l n · s services/edges · / filter · Enter why · t tap · q quit")
    }
}

/// Where rates begin: what stands left of them is cut there.
const NAME: usize = 28;

fn line(row: &Edge, seconds: f64, chosen: bool) -> Line {
    let name = match row.from.as_str() {
        "" => short(&row.to).to_owned(),
        from => format!("{} → {}", short(from), short(&row.to)),
    };
    let cut: String = match name.chars().count() > NAME - 3 {
        true => name.chars().take(NAME - 4).chain(['…']).collect(),
        false => name,
    };
    let line = match chosen {
        true => Line::new().strong(format_args!("▸ {cut}")),
        false => Line::new().plain(format_args!("  {cut}")),
    };
    let seconds = seconds.max(0.001);
    let rate = row.calls as f64 / seconds;
    let rate = match rate {
        ..99.95 => format!("{rate:.1}/s"),
        _ => format!("{}/s", count(rate as u64)),
    };
    let took = |took: Option<u64>| {
        took.map_or_else(
            || "-".to_owned(),
            |took| duration(Duration::from_micros(took)),
        )
    };
    let line = line.column(NAME, 1).plain(format_args!("{rate:>9}"));
    let failed = format!("{:>8}", percent(row.failed, row.calls.max(1)));
    let line = match row.failed {
        0 => line.dim(failed),
        _ => line.bad(failed),
    };
    let flow = bytes(row.bytes() as f64 / seconds);
    let (p50, p99) = (took(row.p50_us), took(row.p99_us));
    let line = line.plain(format_args!("{p50:>9}{p99:>9}{flow:>10}"));
    match (row.mtls, row.plain) {
        (0, 0) => line.plain(format_args!("{:>6}", "-")),
        (_, 0) => line.good(format_args!("{:>6}", "yes")),
        (0, _) => line.bad(format_args!("{:>6}", "no")),
        (mtls, plain) => line.bad(format_args!("{:>6}", percent(mtls, mtls + plain))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic() -> Traffic {
        let edge = |from: &str, to: &str, calls, failed, p99_us| Edge {
            from: from.to_owned(),
            to: to.to_owned(),
            calls,
            failed,
            mtls: calls,
            p50_us: Some(p99_us / 2),
            p99_us: Some(p99_us),
            ..Edge::default()
        };
        Traffic {
            seconds: 10.0,
            edges: vec![
                edge("default/web", "default/cart", 300, 3, 4_000),
                edge(
                    "default/cart",
                    "default/store-of-all-things-that-are",
                    90,
                    0,
                    900_000,
                ),
                edge("default/web", "default/mail", 20, 20, 1_000),
            ],
            ..Traffic::default()
        }
    }

    /// The names of the rows after these keys, the chosen one in brackets.
    fn check(keys: &str, expect: &str) {
        let (mut board, traffic) = (Board::new(By::Edge), traffic());
        for letter in keys.chars() {
            let key = match letter {
                '\n' => Key::Enter,
                '\x1b' => Key::Escape,
                '\x7f' => Key::Back,
                letter => Key::Letter(letter),
            };
            board.handle_key(key, Some(&traffic));
        }
        let chosen = board.chosen(&traffic).cloned();
        let rows = board.rows(&traffic).into_iter().map(|row| {
            let name = row
                .to
                .trim_start_matches("default/")
                .get(..4)
                .unwrap()
                .to_owned();
            match chosen.as_ref() == Some(row) {
                true => format!("[{name}]"),
                false => name,
            }
        });
        assert_eq!(rows.collect::<Vec<_>>().join(" "), expect, "{keys:?}");
    }

    #[test]
    fn keys_sort_choose_and_filter() {
        check("", "[cart] stor mail");
        check("e", "[mail] cart stor");
        check("l", "[stor] cart mail");
        check("n", "[stor] cart mail");
        check("jjjjk", "cart [stor] mail");
        check("/ma\n", "[mail]");
        check("/mq\x7fa\n", "[mail]");
        check("/ma\x1b", "[cart] stor mail");
        check("/nobody\n", "");
    }

    #[test]
    fn keys_jump_and_quit() {
        let mut board = Board::new(By::Edge);
        let mut press = |key| board.handle_key(key, None);
        assert_eq!(press(Key::Enter), Act::Why);
        assert_eq!(press(Key::Letter('t')), Act::Tap);
        assert_eq!(press(Key::Letter('s')), Act::Ask);
        press(Key::Letter('/'));
        assert_eq!(press(Key::Letter('q')), Act::Stay);
        assert_eq!(press(Key::Interrupt), Act::Quit);
        press(Key::Escape);
        assert_eq!(press(Key::Letter('q')), Act::Quit);
        assert_eq!(board.by, By::Service);
    }

    #[test]
    fn the_table_fits_into_eighty_columns() {
        let board = Board::new(By::Edge);
        let lines = board.lines(&traffic(), 2, true);
        assert_eq!(lines.len(), 3);
        assert!(
            lines
                .iter()
                .chain([&board.foot()])
                .all(|line| line.width() <= 80)
        );
        let plain = |line: &Line| anstream::adapter::strip_str(&line.to_string()).to_string();
        assert_eq!(
            lines.iter().map(plain).collect::<Vec<_>>(),
            [
                "  CALLS                         RATE▾  FAILED      P50      P99   BYTES/S  mTLS",
                "▸ web → cart                   30.0/s   1.0 %   2.0 ms   4.0 ms       0 B   yes",
                "  cart → store-of-all-thin…     9.0/s     0 %   450 ms   900 ms       0 B   yes",
            ]
        );
    }
}
