//! `leno why ID`: what became of a call, and why.

use std::rc::Rc;

use leno_admin::{At, ConfigurationOf, KeptCalls, KeptOf, Recorded, Wanted, figures};

use crate::arguments::{Output, fleet};
use crate::command::Answer;
use crate::command::asking::Ground;
use crate::command::context::Context;
use crate::command::fleet::refused;
use crate::command::tap::silent;
use crate::happened::{Found, Past, Then, is_bad, story};
use crate::render;
use crate::stories::{not_kept, passed};
use crate::terminal::{Line, Terminal};

/// The exit code of what could not be found out.
const UNKNOWN: u8 = 3;

/// Tells of the call whose id begins so, as its proxies kept it.
pub(crate) fn run(
    id: &str,
    options: &fleet::Context,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    let wanted = Wanted::Named { id: id.to_owned() };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (ground, kept) = runtime.block_on(async {
        let ground = Ground::choose(options.context.as_deref()).await?;
        let kept = ground.kept(KeptOf { wanted }).await?;
        anyhow::Ok((ground, kept))
    })?;
    let json = options.output == Output::Json;
    let kept = match kept {
        Ok(kept) => kept,
        Err(failure) => return refused(&failure, json, terminal),
    };
    let found = Found::among(kept.calls.clone());
    if json && !matches!(found, Found::One(_)) {
        terminal.text(&serde_json::to_string_pretty(&kept)?)?;
        return Ok(Answer::Exit(UNKNOWN));
    }
    if !json {
        if let Ground::Host { .. } = ground {
            let mut lines = ground.head().into_iter();
            lines.try_for_each(|line| terminal.line(line))?;
        }
        if !matches!(found, Found::Nothing) {
            let mut lines = silent(&kept.silent);
            lines.try_for_each(|line| terminal.line(line))?;
        }
    }
    match found {
        Found::Nothing => unknown(id, &kept, terminal),
        Found::One(records) => tell(&records, &ground, options, terminal),
        Found::Several(calls) => ambiguous(id, &calls, terminal),
    }
}

/// What a control plane keeps of what was in force. Each is asked for once.
struct Revisions {
    control: Option<Context>,
    asked: Vec<(Option<At>, Option<Rc<Then>>)>,
}

impl Revisions {
    fn of(ground: &Ground, options: &fleet::Context) -> Self {
        let control = match ground {
            Ground::Control { .. } => Context::choose(options.context.as_deref()).ok(),
            Ground::Host { .. } => None,
        };
        Self {
            control,
            asked: Vec::new(),
        }
    }

    fn ask(&self, at: Option<At>) -> Option<Rc<Then>> {
        // What was recorded can be told without an answer.
        let told = self.control.as_ref()?.ask(ConfigurationOf { at }).ok()?;
        Then::of(told.ok()?).map(Rc::new)
    }
}

impl Past for Revisions {
    fn at(&mut self, at: Option<At>) -> Option<Rc<Then>> {
        if let Some((_, told)) = self.asked.iter().find(|(asked, _)| *asked == at) {
            return told.clone();
        }
        let told = self.ask(at.clone());
        self.asked.push((at, told.clone()));
        told
    }
}

fn tell(
    records: &[Recorded],
    ground: &Ground,
    options: &fleet::Context,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    let mut past = Revisions::of(ground, options);
    let Some(story) = story(records, &mut past) else {
        return Ok(Answer::Exit(UNKNOWN));
    };
    if options.output == Output::Json {
        terminal.text(&serde_json::to_string_pretty(&story)?)?;
    } else {
        if let Some(now) = past.at(None) {
            terminal.line(render::head(&now.told().status))?;
        }
        render::story::print_story(&story, terminal)?;
    }
    Ok(match is_bad(&story) {
        true => Answer::Bad,
        false => Answer::Fine,
    })
}

/// Nobody remembers it.
fn unknown(id: &str, kept: &KeptCalls, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let mut words = not_kept(id, kept).into_iter();
    terminal.line(words.next().unwrap_or_default())?;
    for line in words {
        terminal.line(Line::new().plain("  ").dim(line))?;
    }
    let next = Line::new().dim("  Next  ");
    terminal.line(match passed(kept) {
        Some(passed) => next.plain(format_args!(
            "leno stat {} --requests · leno tap --last 20",
            figures::short(&passed.to)
        )),
        None => next.plain("leno tap --last 20 · leno why SOURCE URL"),
    })?;
    Ok(Answer::Exit(UNKNOWN))
}

fn ambiguous(id: &str, calls: &[Recorded], terminal: &mut Terminal) -> anyhow::Result<Answer> {
    terminal
        .line(Line::new().doubtful(format_args!("{id} begins the id of more than one call:")))?;
    render::calls::print(calls, terminal)?;
    Ok(Answer::Exit(UNKNOWN))
}
