//! `leno why ID`: what became of a call, and why.

use std::collections::BTreeMap;
use std::rc::Rc;

use leno_admin::{At, ConfigurationOf, Recorded};
use leno_telemetry::Kept;

use crate::arguments::Output;
use crate::command::context::Context;
use crate::command::{Answer, tap};
use crate::happened::{Past, Then, is_bad, story};
use crate::render;
use crate::terminal::{Line, Terminal};
use crate::up::{Client, Place, Wanted, Watched};

/// The exit code of what could not be found out.
const UNKNOWN: u8 = 3;

/// Tells of the call whose id begins so, as its proxies kept it.
pub(crate) fn run(id: &str, output: Output, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let place = Place::here()?;
    let mut client = Client::require(&place)?;
    client.kept(&Wanted::Named(id.to_owned()))?;
    let mut calls = BTreeMap::<String, Vec<Watched>>::new();
    while let Some(told) = client.watched()? {
        let id = told.text("id").to_owned();
        calls.entry(id).or_default().push(told);
    }
    let mut calls = calls.into_values();
    match (calls.next(), calls.next()) {
        (None, _) => not_kept(id, terminal),
        (Some(told), None) => tell(&told, &place, output, terminal),
        (Some(first), Some(second)) => {
            let rest = calls.collect::<Vec<_>>();
            ambiguous(id, [first, second].iter().chain(&rest), terminal)
        }
    }
}

/// What the control plane of a place keeps of what was in force. Each is asked for once.
struct Revisions {
    control: Option<Context>,
    asked: Vec<(Option<At>, Option<Rc<Then>>)>,
}

impl Revisions {
    fn of(place: &Place) -> Self {
        Self {
            control: Context::choose(Some(&place.control_socket())).ok(),
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
    told: &[Watched],
    place: &Place,
    output: Output,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    let records = told.iter().map(Watched::recorded);
    let records = records.collect::<Result<Vec<Recorded>, _>>()?;
    let mut past = Revisions::of(place);
    let Some(story) = story(&records, &mut past) else {
        return Ok(Answer::Exit(UNKNOWN));
    };
    if output == Output::Json {
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

fn not_kept(id: &str, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let line = Line::new().strong(id);
    terminal.line(line.plain(" is not kept: no proxy of this mesh remembers such a call"))?;
    let (failed, slowest, sampled) = (Kept::FAILED, Kept::SLOWEST, Kept::SAMPLED);
    for line in [
        format!(
            "Kept are, of each second and worker, {failed} calls that failed, the {slowest} slowest"
        ),
        format!("and {sampled} others, until newer ones take their place or the mesh ends."),
    ] {
        terminal.line(Line::new().plain("  ").dim(line))?;
    }
    let next = Line::new().dim("  Next  ").plain("leno tap --last 20");
    terminal.line(next.plain(" · leno why SOURCE URL"))?;
    Ok(Answer::Exit(UNKNOWN))
}

fn ambiguous<'a>(
    id: &str,
    calls: impl Iterator<Item = &'a Vec<Watched>>,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    terminal
        .line(Line::new().doubtful(format_args!("{id} begins the id of more than one call:")))?;
    terminal.line(tap::head())?;
    for told in calls.filter_map(|told| told.last()) {
        terminal.line(tap::row(told))?;
    }
    Ok(Answer::Exit(UNKNOWN))
}
