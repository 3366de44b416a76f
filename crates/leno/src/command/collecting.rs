//! Says when a collector does not get what a proxy sends, and when it does again.

use std::convert::Infallible;

use leno_telemetry::Telemetry;
use leno_telemetry::export::{News, Trouble};

use crate::terminal::{Line, Terminal};

/// What is known of a collector.
pub(super) struct Collecting {
    news: News,
    /// What was told last.
    told: Vec<String>,
}

impl Collecting {
    pub(super) fn of(telemetry: &Telemetry) -> Self {
        Self {
            news: telemetry.export().news(),
            told: Vec::new(),
        }
    }

    /// Waits for something to say that was not just said.
    pub(super) async fn next(&mut self) -> Vec<Line> {
        loop {
            let wrong: Vec<_> = self.news.next().await.iter().map(in_words).collect();
            let before = std::mem::replace(&mut self.told, wrong);
            if self.told.is_empty() && !before.is_empty() {
                return vec![Line::new().good("collector").plain("  takes what is sent")];
            }
            let told = self.told.iter().filter(|told| !before.contains(told));
            let lines: Vec<_> = told.map(|told| Line::from(told.as_str())).collect();
            if !lines.is_empty() {
                return lines;
            }
        }
    }

    /// Says what there is to say, for as long as it is polled.
    pub(super) async fn tell(&mut self, terminal: &mut Terminal) -> Infallible {
        loop {
            for line in self.next().await {
                terminal.tell(line);
            }
        }
    }
}

fn in_words(trouble: &Trouble) -> String {
    let Trouble {
        code,
        endpoint,
        why,
        ..
    } = trouble;
    let slug = code.slug();
    format!("{code} {slug}: {endpoint}: {why}; traffic is untouched")
}
