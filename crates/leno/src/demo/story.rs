//! The demo's story: what runs, the first call, what to try, how to stop, and the traffic.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use leno_model::Mono;
use leno_model::view::WorkloadId;
use time::UtcOffset;

use super::traffic::{Total, Traffic};
use crate::render;
use crate::terminal::{Line, Terminal};
use crate::up::{Columns, News, Row, Up, first_call, introduce, revised};

/// Tells the story line by line, as things happen.
pub(crate) struct Story<'a> {
    terminal: &'a mut Terminal,
    words: Words,
    columns: Columns,
    /// The programs of which nothing has been told, in the order of the file.
    waiting: Vec<WorkloadId>,
    /// What became of those that stand behind others.
    settled: BTreeMap<WorkloadId, Row>,
    /// Whether what to try has been told: from then on there is traffic to look at.
    begun: bool,
    traffic: Traffic,
    began: Mono,
}

/// What the story cannot know by itself.
pub(crate) struct Words {
    /// The folder of the demo.
    pub(crate) folder: String,
    /// The line about the page.
    pub(crate) page: Line,
    /// How far the person's clock is from UTC.
    pub(crate) offset: UtcOffset,
}

impl<'a> Story<'a> {
    /// Begins with what is about to run.
    pub(crate) fn begin(
        up: &Up,
        words: Words,
        now: Mono,
        terminal: &'a mut Terminal,
    ) -> io::Result<Self> {
        let file = format!("{}/leno.yaml", words.folder);
        let columns = introduce(up, "shop", &file, &[], terminal)?;
        let programs = up.programs();
        let ids = programs.into_iter().map(|program| program.id);
        Ok(Self {
            terminal,
            words,
            columns,
            waiting: ids.collect(),
            settled: BTreeMap::new(),
            begun: false,
            traffic: Traffic::new(up.telemetry().clone()),
            began: now,
        })
    }

    /// Tells what has happened.
    pub(crate) fn handle(&mut self, news: News, now: Mono) -> io::Result<()> {
        self.traffic.hide(self.terminal)?;
        match news {
            News::Placed(id, address) => self.traffic.learn(address.into(), id.name.as_str()),
            News::Changed(row) => self.handle_changed(row)?,
            // Its programs know where to look.
            News::Told(..) => {}
            // That may be one for which it was too early.
            News::FirstCall(_) | News::FirstFailure(_) => {}
            News::Revised(told) => {
                let mut lines = revised(&told).into_iter();
                if let Some(head) = lines.next() {
                    self.terminal.line(self.after(now).then(&head))?;
                }
                for line in lines {
                    self.terminal.line(line)?;
                }
                render::failure::findings(&told.findings, "", self.terminal)?;
            }
            News::Same(revision) => {
                let line = self.after(now).plain(format_args!(
                    "  revision {revision} says what is written: nothing changes"
                ));
                self.terminal.line(line)?;
            }
            News::NotInForce { why, meanwhile } => {
                render::failure::print(&why, self.terminal)?;
                let line = self.after(now).dim("  In force  ");
                self.terminal
                    .line(line.plain(format_args!("revision {meanwhile}")))?;
            }
            News::Trouble(what) => {
                let line = Line::new().doubtful("  ! ").plain(what);
                self.terminal.line(line)?;
            }
        }
        Ok(())
    }

    /// How long after the beginning something happens.
    fn after(&self, now: Mono) -> Line {
        let after = now.since(self.began).as_secs_f64();
        Line::new().dim(format_args!("  {after:.0} s"))
    }

    /// Takes in what happened, and goes on when everything runs; to be called several times a second.
    pub(crate) fn look(&mut self, now: Mono) -> io::Result<()> {
        self.traffic.listen();
        if self.begun || !self.waiting.is_empty() {
            return Ok(());
        }
        let Some(first) = self.traffic.first() else {
            return Ok(());
        };
        let lines = first_call(&first.event(), self.words.offset);
        self.begun = true;
        self.traffic.mark(now);
        self.terminal.gap()?;
        for line in lines {
            self.terminal.line(line)?;
        }
        self.terminal.gap()?;
        self.terminal.line(self.words.page.clone())?;
        for line in what_to_try(&self.words.folder) {
            self.terminal.line(line)?;
        }
        Ok(())
    }

    /// Shows what the last seconds were like.
    pub(crate) fn show_traffic(&mut self, now: Mono) -> io::Result<()> {
        match self.begun {
            true => self.traffic.show(now, self.terminal),
            false => Ok(()),
        }
    }

    /// Ends with what was carried, while everything still runs.
    pub(crate) fn end(&mut self, now: Mono) -> io::Result<Total> {
        self.traffic.show(now, self.terminal)?;
        let total = self.traffic.total();
        self.terminal.gap()?;
        self.terminal.line(farewell(total, now.since(self.began)))?;
        Ok(total)
    }

    /// Rows stand in the order of the file: each waits for those before it.
    fn handle_changed(&mut self, row: Row) -> io::Result<()> {
        if !self.waiting.contains(&row.id) {
            return self.terminal.line(self.columns.workload(&row));
        }
        self.settled.insert(row.id.clone(), row);
        while let Some(first) = self.waiting.first() {
            let Some(row) = self.settled.remove(first) else {
                break;
            };
            self.waiting.remove(0);
            self.terminal.line(self.columns.workload(&row))?;
        }
        Ok(())
    }
}

/// Commands that work in the demo's folder while it runs, each with what it shows.
fn what_to_try(folder: &str) -> Vec<Line> {
    let tries = [
        ("./leno tap --failed", "what fails, and whose fault it is"),
        (
            "./leno why web http://payments:8080/ledger",
            "why that is refused, and by which lines",
        ),
        (
            "sed -i 's/weight: 10}/weight: 0}/' leno.yaml",
            "no more calls to cart-v2: see what stops failing",
        ),
        ("./leno rollback 1", "take it back; ./leno history has both"),
    ];
    let widest = tries.iter().map(|(command, _)| command.len()).max();
    let shows_at = 9 + widest.unwrap_or_default() + 3;
    let head = Line::new().dim("  Try").column(9, 1);
    let mut lines = vec![
        head.strong(format_args!("cd {folder}"))
            .dim("   (in another terminal)"),
    ];
    for (command, shows) in tries {
        let line = Line::new().column(9, 1).strong(command);
        lines.push(line.column(shows_at, 2).dim(shows));
    }
    lines.push(Line::new().dim("  Stop").column(9, 1).strong("Ctrl-C"));
    lines
}

/// What the mesh has carried.
fn farewell(total: Total, time: Duration) -> Line {
    let Total {
        calls,
        mtls,
        failed,
    } = total;
    let line = Line::new().plain(format_args!(
        "{calls} calls in {:.0} s · ",
        time.as_secs_f64()
    ));
    let secured = format!("{mtls} of them over mTLS");
    let line = match mtls {
        0 => line.bad(secured),
        _ => line.good(secured),
    };
    line.plain(format_args!(" · {failed} refused or failed"))
}
