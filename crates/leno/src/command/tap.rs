//! `leno tap`: calls as they happen, and those that are kept.

use std::path::Path;

use leno_admin::{KeptCalls, KeptOf, Silent, TapOf, Tapped, Wanted, Watched, Which};
use serde_json::json;
use tokio::signal::ctrl_c;

use crate::arguments::{Output, Tap};
use crate::command::asking::{Ground, holdings, not_asked, not_asked_line};
use crate::command::{Answer, fleet};
use crate::render::calls::{self, Columns};
use crate::terminal::{Line, Terminal};

/// The exit code of what could not be found out.
const UNKNOWN: u8 = 3;

/// Prints a line for each call, until Ctrl-C or as many as were asked for; or for the last that are
/// kept.
pub(crate) fn run(options: &Tap, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let ground = Ground::choose(options.context.context.as_deref()).await?;
        let showing = Showing {
            options,
            ground,
            terminal,
        };
        match options.last {
            Some(count) => showing.last(count).await,
            None => showing.live().await,
        }
    })
}

struct Showing<'a> {
    options: &'a Tap,
    ground: Ground,
    terminal: &'a mut Terminal,
}

impl Showing<'_> {
    fn is_for_people(&self) -> bool {
        self.options.context.output == Output::Text
    }

    fn which(&self) -> Which {
        let options = self.options;
        let party = |target: &Option<String>| {
            target.as_ref().map(|target| match target.as_str() {
                // A host outside the mesh has dots.
                known if known.contains(['/', '.']) || ["probe", "unknown"].contains(&known) => {
                    known.to_owned()
                }
                name => format!("{}/{name}", options.namespace),
            })
        };
        Which {
            failed: options.failed,
            party: party(&options.target),
            from: party(&options.from),
            to: party(&options.to),
            method: options.method.clone(),
            path: options.path.clone(),
            status: options.status,
            code: options.code.map(|code| code.as_str().to_owned()),
        }
    }

    async fn last(self, count: u32) -> anyhow::Result<Answer> {
        let which = self.which();
        let wanted = Wanted::Last { count, which };
        let for_people = self.is_for_people();
        let kept = match self.ground.kept(KeptOf { wanted }).await? {
            Ok(kept) => kept,
            Err(failure) => return fleet::refused(&failure, !for_people, self.terminal),
        };
        if for_people {
            self.tell_last(&kept).await?;
        } else {
            for call in &kept.calls {
                self.terminal.text(&serde_json::to_string(call)?)?;
            }
            let KeptCalls {
                omitted,
                dropped,
                asked,
                silent,
                ..
            } = &kept;
            let told = json!({
                "event": "kept",
                "asked": asked,
                "silent": silent,
                "omitted": omitted,
                "dropped": dropped,
            });
            self.terminal.text(&told.to_string())?;
        }
        Ok(match kept.asked.is_empty() && !kept.silent.is_empty() {
            true => Answer::Exit(UNKNOWN),
            false => Answer::Fine,
        })
    }

    async fn tell_last(self, kept: &KeptCalls) -> anyhow::Result<()> {
        let Self {
            ground, terminal, ..
        } = self;
        for line in ground.head() {
            terminal.line(line)?;
        }
        for line in silent(&kept.silent) {
            terminal.line(line)?;
        }
        if kept.calls.is_empty() {
            terminal.line("no call is kept of which this is true")?;
            let next = "leno tap (as they happen) · leno tap --last 20";
            terminal.line(Line::new().dim("Next  ").plain(next))?;
        } else {
            calls::print(&kept.calls, terminal)?;
            terminal.line(calls::legend(&counted(kept)))?;
        }
        if let Ground::Host { .. } = ground {
            let (holdings, _) = holdings().await;
            if let Some(line) = not_asked_line(&not_asked(&holdings)) {
                terminal.line(line)?;
            }
        }
        Ok(())
    }

    async fn live(mut self) -> anyhow::Result<Answer> {
        let (which, limit) = (self.which(), self.options.limit);
        let mut tap = self
            .ground
            .tap(TapOf {
                which,
                limit,
                both: false,
            })
            .await?;
        let mut columns = Columns::default();
        if self.is_for_people() {
            for line in self.ground.head() {
                self.terminal.line(line)?;
            }
            self.terminal.line(columns.head())?;
        }
        let (mut shown, mut dropped) = (0_usize, 0);
        let mut interrupted = std::pin::pin!(ctrl_c());
        while self.options.count.is_none_or(|count| shown < count) {
            let tapped = tokio::select! {
                tapped = tap.next() => tapped?,
                _ = &mut interrupted => break,
            };
            match &tapped {
                None => break,
                Some(Tapped::Watching(_)) => {}
                Some(Tapped::Call(_)) => shown += 1,
                Some(Tapped::Dropped(more)) => dropped += more,
            }
            if let Some(tapped) = &tapped {
                self.tell(tapped, &mut columns).await?;
            }
        }
        if self.is_for_people() {
            let counted = format!("{shown} shown, {dropped} dropped (limit {limit}/s)");
            self.terminal.line(calls::legend(&counted))?;
        }
        Ok(Answer::Fine)
    }

    async fn tell(&mut self, tapped: &Tapped, columns: &mut Columns) -> anyhow::Result<()> {
        let for_people = self.is_for_people();
        match tapped {
            Tapped::Watching(watched) if for_people => self.tell_watched(watched).await,
            Tapped::Call(call) if for_people => Ok(self.terminal.line(columns.row(call))?),
            // They are told in the end.
            Tapped::Dropped(_) if for_people => Ok(()),
            tapped => Ok(self.terminal.text(&json_of(tapped)?)?),
        }
    }

    async fn tell_watched(&mut self, watched: &Watched) -> anyhow::Result<()> {
        for line in silent(&watched.silent) {
            self.terminal.line(line)?;
        }
        if watched.proxies.is_empty() {
            let line = Line::new().doubtful("! ").plain("no proxy is heard yet");
            self.terminal.line(line)?;
        }
        if let Ground::Host { .. } = self.ground {
            let (holdings, _) = holdings().await;
            if let Some(line) = not_asked_line(&not_asked(&holdings)) {
                self.terminal.line(line)?;
            }
        }
        Ok(())
    }
}

/// Shows people the calls that `which` takes, until the future is dropped.
pub(super) async fn show(
    which: Which,
    context: Option<&Path>,
    terminal: &mut Terminal,
) -> anyhow::Result<()> {
    let ground = Ground::choose(context).await?;
    let ask = TapOf {
        which,
        limit: Which::LIMIT,
        both: false,
    };
    let mut tap = ground.tap(ask).await?;
    let mut columns = Columns::default();
    terminal.line(columns.head())?;
    while let Some(tapped) = tap.next().await? {
        if let Tapped::Call(call) = tapped {
            terminal.line(columns.row(&call))?;
        }
    }
    Ok(())
}

/// One thing that a tap shows, for programs: a call has the fields of the access log.
fn json_of(tapped: &Tapped) -> serde_json::Result<String> {
    match tapped {
        Tapped::Call(call) => serde_json::to_string(call),
        Tapped::Dropped(more) => Ok(json!({ "event": "dropped", "dropped": more }).to_string()),
        Tapped::Watching(watched) => {
            let mut told = serde_json::to_value(watched)?;
            told["event"] = "watching".into();
            Ok(told.to_string())
        }
    }
}

/// Those that were asked and have not answered, a line each.
pub(super) fn silent(silent: &[Silent]) -> impl Iterator<Item = Line> {
    silent.iter().map(|Silent { proxy, why }| {
        let line = Line::new().doubtful("! not heard: ").strong(proxy);
        line.plain(format_args!(": {why}"))
    })
}

fn counted(kept: &KeptCalls) -> String {
    let shown = format!("{} shown", kept.calls.len());
    let omitted = match kept.omitted {
        0 => String::new(),
        omitted => format!(", {omitted} older ones left out"),
    };
    let dropped = match kept.dropped {
        0 => String::new(),
        dropped => format!(", {dropped} that failed were not kept"),
    };
    format!("{shown}{omitted}{dropped}")
}
