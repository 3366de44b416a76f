//! What a change reads of calls and nobody records: says so, and lets it be recorded from here on.

use std::cmp::Reverse;
use std::time::Duration;

use leno_admin::figures::{moment, short};
use leno_admin::{
    AddOverride, Failure, Foreseen, Means, OverrideChanged, OverrideTold, Planned, Unrecorded,
};

use crate::command::context::Context;
use crate::render::failure;
use crate::terminal::{Line, Terminal};

/// What came of letting things be recorded.
#[derive(Default)]
pub(super) struct Recording {
    /// The measures that hold from here on.
    pub(super) taken: Vec<OverrideTold>,
    /// Why no others were taken.
    pub(super) refused: Option<Failure>,
}

impl Recording {
    /// Lets what a change reads of calls be recorded for so long: those services first of which it leaves
    /// calls undecided.
    pub(super) fn begin(
        context: &Context,
        planned: &Planned,
        lasts: Duration,
        reason: &str,
    ) -> anyhow::Result<Self> {
        let traffic = &planned.traffic;
        let mut wanted: Vec<_> = traffic.unrecorded.iter().collect();
        wanted.retain(|one| !one.facts.is_empty());
        wanted.sort_by_key(|one| Reverse(undecided_to(traffic, &one.service)));
        let mut recording = Self::default();
        for Unrecorded { service, facts, .. } in wanted {
            let question = AddOverride {
                measure: format!("record {service} {}", facts.join(" ")),
                seconds: lasts.as_secs(),
                message: reason.to_owned(),
                force: false,
            };
            match context.ask(question)? {
                Ok(OverrideChanged { told, .. }) => recording.taken.extend(told),
                Err(refused) => {
                    recording.refused = Some(refused);
                    break;
                }
            }
        }
        Ok(recording)
    }

    pub(super) fn print(&self, now: &str, terminal: &mut Terminal) -> anyhow::Result<()> {
        for one in &self.taken {
            terminal.line(taken(one, now))?;
        }
        match &self.refused {
            Some(refused) => failure::print(refused, terminal)?,
            None if self.taken.is_empty() => {
                terminal
                    .line("There is nothing to record: what the change reads is kept already.")?;
            }
            None => {}
        }
        Ok(())
    }
}

/// `override 6a463e: record shop/cart header:x-role, from now on until 03:21 UTC`
fn taken(one: &OverrideTold, now: &str) -> Line {
    let line = Line::new().plain("override ").strong(&one.id);
    let until = moment(&one.until, now);
    let line = line.plain(format_args!(": {}, from now on until {until}", one.measure));
    line.dim("   Next  ")
        .plain("the same plan, when calls have come")
}

fn undecided_to(traffic: &Foreseen, service: &str) -> u64 {
    let rows = traffic.rows.iter();
    let rows = rows.filter(|row| row.means == Means::Undecided && row.to == service);
    rows.map(|row| row.count).sum()
}

/// What is said of calls that are undecided: what nobody records, and what is recorded since when.
pub(super) fn hints(traffic: &Foreseen, now: &str) -> Vec<Line> {
    if traffic.undecided == 0 {
        return Vec::new();
    }
    let mut lines = Vec::new();
    for one in &traffic.unrecorded {
        let to = short(&one.service);
        if !one.facts.is_empty() {
            let facts = one.facts.join(", ");
            lines.push(format!("nobody records {facts} of calls to {to}"));
        }
        if !one.secrets.is_empty() {
            let secrets = one.secrets.join(", ");
            lines.push(format!(
                "{secrets} of calls to {to} is never kept: it names a secret"
            ));
        }
    }
    for one in &traffic.recording {
        let (since, until) = (moment(&one.at, now), moment(&one.until, now));
        lines.push(format!(
            "override {} ({}) since {since}, until {until}: --since asks about later calls alone",
            one.id, one.measure
        ));
    }
    let line = |text: String| Line::new().plain("  ").dim(text);
    lines.into_iter().map(line).collect()
}

/// Whether something could be recorded on which calls hang.
pub(super) fn could_help(traffic: &Foreseen) -> bool {
    let mut unrecorded = traffic.unrecorded.iter();
    traffic.undecided > 0 && unrecorded.any(|one| !one.facts.is_empty())
}
