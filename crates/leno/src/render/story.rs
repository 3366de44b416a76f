//! The steps of a decision as people read them, and as programs do.

use std::io;

use leno_model::Origin;
use leno_traffic::{Outcome, Story};
use serde_json::{Value, json};

use crate::imagine::{Branch, End, Imagined, Reason, Thought};
use crate::terminal::{Line, Terminal};

/// Where the words of a step begin, where its origin does, and where how it is known does.
const WORDS: usize = 14;
const ORIGIN: usize = 62;
const KNOWN: usize = 84;

/// Prints a call that nobody made: the headline, then each proxy's steps.
pub(crate) fn print(imagined: &Imagined, terminal: &mut Terminal) -> io::Result<()> {
    let headline = Line::new().strong(&imagined.asked).plain("   ");
    terminal.line(match &imagined.end {
        End::Refused(reason) => headline.bad(refused(reason)),
        End::Redirected { status, location } => {
            headline.plain(format_args!("{status} to {location}"))
        }
        End::Reached(branches) => verdict(headline, branches),
    })?;
    if let Some(thought) = &imagined.sender {
        print_thought(thought, terminal)?;
    }
    match &imagined.end {
        End::Refused(reason) => print_refused(reason, terminal)?,
        End::Redirected { .. } => {}
        End::Reached(branches) => {
            for branch in branches {
                print_branch(branch, branches.len() > 1, terminal)?;
            }
        }
    }
    let codes = codes(&imagined.end);
    if let Some(code) = codes.first() {
        terminal.line(
            Line::new()
                .dim("  Next  ")
                .plain(format_args!("leno explain {code}")),
        )?;
    }
    Ok(())
}

fn verdict(headline: Line, branches: &[Branch]) -> Line {
    let reasons: Vec<&Reason> = branches.iter().flat_map(reasons).collect();
    let all = branches.iter().all(|branch| match &branch.receivers {
        Err(_) => true,
        Ok(receivers) => receivers.iter().all(|receiver| receiver.verdict.is_err()),
    });
    match reasons.first() {
        None => headline.good("allowed"),
        Some(reason) if all => headline.bad(refused(reason)),
        Some(reason) => headline.doubtful(format_args!("partly {}", refused(reason))),
    }
}

fn refused(reason: &Reason) -> String {
    format!("{} {} {}", reason.status, reason.code, reason.code.slug())
}

fn print_branch(branch: &Branch, split: bool, terminal: &mut Terminal) -> io::Result<()> {
    if split {
        let (weight, total) = branch.share;
        let share = format!("{weight} of {total}");
        terminal.line(
            Line::new()
                .plain("  → ")
                .strong(&branch.backend)
                .plain("  ")
                .dim(share),
        )?;
    }
    match &branch.receivers {
        Err(reason) => print_refused(reason, terminal),
        Ok(receivers) => receivers
            .iter()
            .try_for_each(|receiver| print_thought(&receiver.thought, terminal)),
    }
}

fn print_refused(reason: &Reason, terminal: &mut Terminal) -> io::Result<()> {
    let line = Line::new().bad("  ✗ ").plain(&reason.words);
    terminal.line(with_origin(line, reason.origin.as_ref()))
}

fn print_thought(thought: &Thought, terminal: &mut Terminal) -> io::Result<()> {
    terminal.line(Line::new().dim(format_args!("  proxy of {}", thought.proxy_of)))?;
    for step in &thought.story.steps {
        let mark = Line::new().plain("  ");
        let line = match step.outcome {
            Outcome::Yes => mark.good("✓ "),
            Outcome::No => mark.bad("✗ "),
            Outcome::NotReached => mark.dim("- "),
            Outcome::Undecided => mark.doubtful("? "),
        };
        let line = line.plain(step.kind).column(WORDS, 1).plain(&step.text);
        let line = with_origin(line, step.origin.as_ref());
        terminal.line(match step.outcome {
            Outcome::NotReached => line,
            Outcome::Yes | Outcome::No | Outcome::Undecided => {
                line.column(KNOWN, 2).dim(step.known)
            }
        })?;
        for detail in &step.details {
            let line = Line::new().column(WORDS, 1).dim(&detail.text);
            terminal.line(with_origin(line, detail.origin.as_ref()))?;
        }
    }
    Ok(())
}

fn with_origin(line: Line, origin: Option<&Origin>) -> Line {
    match origin {
        Some(origin) => line.column(ORIGIN, 2).dim(origin),
        None => line,
    }
}

/// The codes with which a call would be refused, in the order of the story.
pub(crate) fn codes(end: &End) -> Vec<leno_model::Code> {
    match end {
        End::Refused(reason) => vec![reason.code],
        End::Redirected { .. } => Vec::new(),
        End::Reached(branches) => branches
            .iter()
            .flat_map(reasons)
            .map(|reason| reason.code)
            .collect(),
    }
}

/// Why calls that fall to this branch would be refused.
pub(crate) fn reasons(branch: &Branch) -> Vec<&Reason> {
    match &branch.receivers {
        Err(reason) => vec![reason],
        Ok(receivers) => receivers
            .iter()
            .filter_map(|receiver| receiver.verdict.as_ref().err())
            .collect(),
    }
}

/// The call for programs.
pub(crate) fn json(imagined: &Imagined) -> Value {
    let end = match &imagined.end {
        End::Refused(reason) => json!({ "refused": reason_json(reason) }),
        End::Redirected { status, location } => {
            json!({ "redirected": { "status": status, "location": location } })
        }
        End::Reached(branches) => json!({
            "reached": branches.iter().map(branch_json).collect::<Vec<_>>(),
        }),
    };
    json!({
        "call": imagined.asked,
        "sender": imagined.sender.as_ref().map(thought_json),
        "end": end,
    })
}

fn branch_json(branch: &Branch) -> Value {
    let (weight, total) = branch.share;
    let (refused, receivers) = match &branch.receivers {
        Err(reason) => (reason_json(reason), Vec::new()),
        Ok(receivers) => {
            let receivers = receivers.iter().map(|receiver| {
                json!({
                    "thought": thought_json(&receiver.thought),
                    "refused": receiver.verdict.as_ref().err().map(reason_json),
                })
            });
            (Value::Null, receivers.collect())
        }
    };
    json!({
        "backend": branch.backend,
        "weight": weight,
        "of": total,
        "refused": refused,
        "receivers": receivers,
    })
}

fn reason_json(reason: &Reason) -> Value {
    json!({
        "code": reason.code.as_str(),
        "slug": reason.code.slug(),
        "fault": reason.code.fault().as_str(),
        "status": reason.status,
        "words": reason.words,
        "origin": reason.origin.as_ref().map(ToString::to_string),
    })
}

fn thought_json(thought: &Thought) -> Value {
    json!({
        "proxyOf": thought.proxy_of,
        "steps": story_json(&thought.story),
    })
}

fn story_json(story: &Story) -> Vec<Value> {
    let steps = story.steps.iter().map(|step| {
        let details = step.details.iter().map(|detail| {
            json!({
                "text": detail.text,
                "origin": detail.origin.as_ref().map(ToString::to_string),
            })
        });
        json!({
            "step": step.kind.as_str(),
            "outcome": match step.outcome {
                Outcome::Yes => "yes",
                Outcome::No => "no",
                Outcome::NotReached => "not-reached",
                Outcome::Undecided => "undecided",
            },
            "known": step.known.as_str(),
            "text": step.text,
            "origin": step.origin.as_ref().map(ToString::to_string),
            "details": details.collect::<Vec<_>>(),
        })
    });
    steps.collect()
}
