//! `leno watch`, and what `--watch` shows: what becomes of calls since a change. The control plane looks
//! and takes back; this only shows it, and may end at any time.

use std::time::Duration;

use leno_admin::{Applied, EndWatch, NotAsked, WatchEnd, WatchedChange, Watches, WatchesOf};
use tokio::signal::ctrl_c;
use tokio::time::sleep;

use crate::arguments::Output;
use crate::arguments::change;
use crate::command::Answer;
use crate::command::context::Context;
use crate::command::fleet::{ask, refused};
use crate::render::watched;
use crate::terminal::{Line, Terminal};

/// The exit code of what could not be found out.
const UNKNOWN: u8 = 3;

/// How often it is asked what there is to see.
const PACE: Duration = Duration::from_secs(1);

/// For how long a control plane may be away beyond the end of a watch.
const PATIENCE: Duration = Duration::from_secs(90);

/// Shows the change that is watched, or those that were; ends its watch if that is asked for.
pub(crate) fn run(options: &change::Watch, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let revision = options.revision;
    if options.keep || options.back {
        let keep = options.keep;
        let question = EndWatch { revision, keep };
        return ask(&options.context, question, terminal, |told, terminal| {
            watched::print(told, terminal)?;
            Ok(Answer::Fine)
        });
    }
    let output = options.context.output;
    let chosen = Context::choose(options.context.context.as_deref())?;
    let told = match chosen.ask(WatchesOf { revision })? {
        Ok(told) => told,
        Err(failure) => return refused(&failure, output == Output::Json, terminal),
    };
    let mut running = told.watches.iter().filter(|watch| watch.ended.is_none());
    let of = match (running.next(), running.next(), revision) {
        (Some(one), None, _) | (Some(one), Some(_), Some(_)) => Some(one.revision),
        (None, ..) | (Some(_), Some(_), None) => None,
    };
    match (of, output) {
        (Some(revision), Output::Text) => {
            terminal.line(crate::render::head(&told.status))?;
            live(&chosen, revision, output, terminal)
        }
        (Some(revision), Output::Json) => live(&chosen, revision, output, terminal),
        (None, Output::Json) => {
            terminal.text(&serde_json::to_string_pretty(&told)?)?;
            Ok(Answer::Fine)
        }
        (None, Output::Text) => {
            watched::print(&told, terminal)?;
            Ok(match (revision, told.watches.first()) {
                (Some(_), Some(one)) => answer(one),
                _ => Answer::Fine,
            })
        }
    }
}

/// Shows what comes of a change that was just made, if it is watched.
pub(crate) fn made(
    chosen: &Context,
    told: &Applied,
    output: Output,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    match &told.watch {
        Some(watch) => live(chosen, watch.revision, output, terminal),
        None => Ok(Answer::Fine),
    }
}

/// Shows a watch until it is over, or Ctrl-C.
fn live(
    chosen: &Context,
    revision: u64,
    output: Output,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut showing = Showing {
        chosen,
        revision,
        output,
        terminal,
        last: None,
        lines: 0,
    };
    runtime.block_on(async {
        tokio::select! {
            ended = showing.show_all() => return ended,
            _ = ctrl_c() => {}
        }
        showing.left()
    })
}

struct Showing<'s> {
    chosen: &'s Context,
    revision: u64,
    output: Output,
    terminal: &'s mut Terminal,
    last: Option<WatchedChange>,
    /// How many lines can be written over.
    lines: usize,
}

impl Showing<'_> {
    async fn show_all(&mut self) -> anyhow::Result<Answer> {
        let mut patience = PATIENCE;
        loop {
            let question = WatchesOf {
                revision: Some(self.revision),
            };
            match self.chosen.client().ask(question).await {
                Ok(told) => {
                    let Watches { status, watches } = told;
                    let Some(watch) = watches.into_iter().next() else {
                        anyhow::bail!("revision {} is not watched", self.revision);
                    };
                    patience = PATIENCE + Duration::from_secs(watch.left);
                    self.show(&watch, &status.now)?;
                    if watch.ended.is_some() {
                        return Ok(answer(&watch));
                    }
                }
                Err(NotAsked::Refused(failure)) => {
                    return refused(&failure, self.output == Output::Json, self.terminal);
                }
                // It goes on when it is back: what is watched is in its store.
                Err(NotAsked::Away { path, why }) => {
                    self.away(&format!("{path} does not answer ({why})"))?;
                    patience = patience.saturating_sub(PACE);
                    if patience.is_zero() {
                        self.left()?;
                        return Ok(Answer::Exit(UNKNOWN));
                    }
                }
                Err(misfit @ NotAsked::Misfit(_)) => return Err(misfit.into()),
            }
            sleep(PACE).await;
        }
    }

    fn show(&mut self, watch: &WatchedChange, now: &str) -> anyhow::Result<()> {
        let told = |watch: &WatchedChange| WatchedChange {
            left: 0,
            ..watch.clone()
        };
        let is_news = self.last.as_ref().map(told) != Some(told(watch));
        match self.output {
            Output::Json if is_news => self.terminal.text(&serde_json::to_string(watch)?)?,
            Output::Json => {}
            Output::Text if self.terminal.is_live() && watch.ended.is_none() => {
                let lines = watched::lines(watch, now);
                self.lines = self.terminal.rewrite(self.lines, &lines)?;
            }
            Output::Text => {
                let before = self.last.as_ref().map(watched::gist);
                if watch.ended.is_some() || before != Some(watched::gist(watch)) {
                    let lines = watched::lines(watch, now);
                    self.lines = self.terminal.rewrite(self.lines, &lines)?;
                }
            }
        }
        self.last = Some(watch.clone());
        Ok(())
    }

    fn away(&mut self, why: &str) -> anyhow::Result<()> {
        if self.output == Output::Text && self.terminal.is_live() {
            let line = Line::new().doubtful("! ").plain(why);
            let more = line.plain("; it goes on with the watch when it is back");
            self.lines = self.terminal.rewrite(self.lines, &[more])?;
        }
        Ok(())
    }

    /// Says what goes on without this.
    fn left(&mut self) -> anyhow::Result<Answer> {
        let revision = self.revision;
        if self.output == Output::Text {
            self.terminal.line(Line::new().strong(format_args!(
                "The watch of revision {revision} goes on without this: it goes back by itself if calls fail."
            )))?;
            self.terminal.line(Line::new().dim("Next  ").plain(format_args!(
                "leno watch {revision} · leno watch {revision} --keep · leno watch {revision} --back"
            )))?;
        }
        Ok(Answer::Exit(UNKNOWN))
    }
}

/// What a watch came to.
fn answer(watch: &WatchedChange) -> Answer {
    match watch.ended.as_ref().map(|ended| ended.end) {
        Some(WatchEnd::Stayed | WatchEnd::Kept) => Answer::Fine,
        Some(WatchEnd::WentBack | WatchEnd::TakenBack | WatchEnd::Stuck) => Answer::Bad,
        Some(WatchEnd::Unseen) | None => Answer::Exit(UNKNOWN),
    }
}
