//! The steps of a decision as people read them, and as programs do.

use std::io;
use std::sync::Arc;

use leno_admin::{Fate, Hop, HowKnown, Other, StepOutcome, Story as Told, StoryStep, grpc_name};
use leno_model::view::WorkloadId;
use serde_json::{Value, json};

use crate::happened::{steps, took};
use crate::imagine::{Branch, End, Imagined, Kind, Reason, Said, Thought};
use crate::live::Standing;
use crate::terminal::{Line, Terminal};

/// Where the words of a step begin.
const WORDS: usize = 14;

/// How wide the words of a step may be before what stands behind them gives way.
const WIDEST: usize = 64;

/// Tells how the proxy in front of a workload stands to what is in force.
pub(crate) type Standings<'a> = &'a dyn Fn(&WorkloadId) -> Standing;

/// Prints a call that nobody made: the headline, then each proxy's steps. Of a mesh that runs,
/// `standings` says which proxies would really decide like this.
pub(crate) fn print(
    imagined: &Imagined,
    standings: Option<Standings<'_>>,
    terminal: &mut Terminal,
) -> io::Result<()> {
    let headline = Line::new().strong(&imagined.asked).plain("   ");
    terminal.line(match &imagined.end {
        End::Refused(reason) => headline.bad(refused(reason, imagined.kind)),
        End::Redirected { status, location } => {
            headline.plain(format_args!("{status} to {location}"))
        }
        End::Told { status, .. } => headline.good(format_args!("{status}, its pages may call")),
        End::Left => headline.good("let out of the mesh, as it is"),
        End::Reached(branches) => verdict(headline, branches, imagined.kind),
    })?;
    let mut page = Page {
        rows: Vec::new(),
        standings,
    };
    if let Some(thought) = &imagined.sender {
        page.thought(thought);
    }
    match &imagined.end {
        End::Refused(reason) => page.refused(reason),
        End::Redirected { .. } | End::Left => {}
        End::Told { headers, .. } => page.told(headers),
        End::Reached(branches) => {
            for branch in branches {
                page.branch(branch, branches.len() > 1);
            }
        }
    }
    page.print(terminal)?;
    if let Some(reason) = all_reasons(&imagined.end).first() {
        let line = Line::new().dim("  Next  ");
        let line = match &reason.revoked {
            Some(id) => line.plain(format_args!(
                "leno certs reinstate {}/{} · ",
                id.namespace, id.service_account
            )),
            None => line,
        };
        terminal.line(line.plain(format_args!("leno explain {}", reason.code)))?;
    }
    Ok(())
}

/// Prints a call that happened: the headline, each proxy's steps, and what other revisions would do.
pub(crate) fn print_story(told: &Told, terminal: &mut Terminal) -> io::Result<()> {
    for line in story_lines(told) {
        terminal.line(line)?;
    }
    Ok(())
}

/// The same, line by line.
pub(crate) fn story_lines(told: &Told) -> Vec<Line> {
    let mut lines = vec![headline(told)];
    let mut page = Page {
        rows: Vec::new(),
        standings: None,
    };
    let home = home(told);
    for hop in &told.hops {
        page.hop(hop, home);
    }
    page.revisions(&told.revisions);
    lines.extend(page.lines());
    if let Some(why) = &told.not_compared {
        lines.push(Line::new().plain("  ").dim(why));
    }
    if !told.next.is_empty() {
        let next = told.next.join(" · ");
        lines.push(Line::new().dim("  Next  ").plain(next));
    }
    lines
}

/// `02:51:07.312  checkout → payments:8080  POST /charge   503 R014 after 2.1 ms   answered by: ..`
fn headline(told: &Told) -> Line {
    let home = home(told);
    let time = told.time.as_deref().unwrap_or_default();
    let source = within(&told.source, home);
    let destination = within(&told.destination, home);
    let line = Line::new()
        .dim(time.get(11..23).unwrap_or(time))
        .plain("  ");
    let line = line.strong(format_args!("{source} → {destination}"));
    let line = line.plain("  ").plain(&told.request).plain("   ");
    let Fate {
        status,
        code,
        slug,
        fault,
        words,
        took_ms,
        answered_by,
    } = &told.end;
    let status = status.map(|status| status.to_string());
    let parts = [&status, code, slug, words].into_iter().flatten();
    let outcome = parts.map(String::as_str).collect::<Vec<_>>().join(" ");
    let line = match fault {
        None => line.good(outcome),
        Some(_) => line.bad(outcome),
    };
    let line = match took_ms {
        Some(millis) => line.plain(" after ").plain(took(*millis)),
        None => line,
    };
    match answered_by {
        Some(who) => {
            let (proxy_of, who) = match who.strip_prefix("proxy of ") {
                Some(who) => ("proxy of ", who),
                None => ("", who.as_str()),
            };
            let line = line.plain("   answered by: ").plain(proxy_of);
            line.plain(within(who, home))
        }
        None => line,
    }
}

/// The namespace that needs not be said of a call that stays in it.
fn home(told: &Told) -> &str {
    let namespace = |name: &str| name.split_once('/').map(|(namespace, _)| namespace.len());
    let of_destination = namespace(&told.destination);
    match told.destination.get(..of_destination.unwrap_or_default()) {
        Some(home) if told.source.split('/').next() == Some(home) => home,
        _ => "default",
    }
}

/// A name as it is called at home.
fn within<'n>(name: &'n str, home: &str) -> &'n str {
    let rest = name.strip_prefix(home);
    rest.and_then(|rest| rest.strip_prefix('/')).unwrap_or(name)
}

/// Rows that are laid out together, so that what stands behind the words stands in columns.
struct Page<'a> {
    rows: Vec<Row>,
    standings: Option<Standings<'a>>,
}

struct Row {
    words: Line,
    origin: String,
    known: &'static str,
}

impl Page<'_> {
    fn heading(&mut self, words: Line) {
        self.row(words, None, "");
    }

    fn row(&mut self, words: Line, origin: Option<&str>, known: &'static str) {
        let origin = origin.unwrap_or_default().to_owned();
        self.rows.push(Row {
            words,
            origin,
            known,
        });
    }

    fn thought(&mut self, thought: &Thought) {
        let heading = Line::new().plain("  ").plain(&thought.proxy_of);
        self.heading(match self.standings {
            None => heading,
            Some(standings) => standing(heading.dim(" ("), thought, standings).dim(")"),
        });
        self.steps(&steps(&thought.story));
    }

    fn hop(&mut self, hop: &Hop, home: &str) {
        let name = within(&hop.name, home);
        let line = Line::new().plain("  ");
        if let Some(why) = &hop.not_reached {
            let line = line.plain(name).column(WORDS, 2);
            return self.heading(line.dim("not reached: ").dim(why));
        }
        let line = line.plain(name);
        self.heading(match &hop.about {
            Some(about) => line.dim(format_args!(" ({about})")),
            None => line,
        });
        self.steps(&hop.steps);
    }

    fn steps(&mut self, steps: &[StoryStep]) {
        for step in steps {
            let mark = Line::new().plain("  ");
            let (mark, known) = match step.outcome {
                StepOutcome::Yes => (mark.good("✓ "), step.known.as_str()),
                StepOutcome::No => (mark.bad("✗ "), step.known.as_str()),
                StepOutcome::NotReached => (mark.dim("- "), ""),
                StepOutcome::Undecided => (mark.doubtful("? "), step.known.as_str()),
            };
            let words = mark.plain(&step.step).column(WORDS, 1).plain(&step.text);
            self.row(words, step.origin.as_deref(), known);
            for detail in &step.details {
                let words = Line::new().column(WORDS, 1).dim(&detail.text);
                self.row(words, detail.origin.as_deref(), "");
            }
        }
    }

    /// What other revisions would do.
    fn revisions(&mut self, revisions: &[Other]) {
        let told = revisions.iter().map(|other| {
            let now = if other.now { " (now)" } else { "" };
            format!("Revision {}{now}: {}", other.revision, other.text)
        });
        let told = told.collect::<Vec<_>>().join(".   ");
        let differ = revisions.iter().filter(|other| !other.same);
        let known = differ.map(|other| other.known).max();
        if !told.is_empty() {
            let words = Line::new().plain("  ").plain(told);
            self.row(words, None, known.map_or("", HowKnown::as_str));
        }
    }

    fn branch(&mut self, branch: &Branch, split: bool) {
        if split {
            let (weight, total) = branch.share;
            let line = Line::new().plain("  → ").strong(&branch.backend);
            self.heading(line.dim(format_args!("  {weight} of {total}")));
        }
        match &branch.receivers {
            Err(reason) => self.refused(reason),
            Ok(receivers) => {
                for receiver in receivers {
                    self.thought(&receiver.thought);
                }
            }
        }
    }

    fn told(&mut self, headers: &[(Arc<str>, Arc<str>)]) {
        for (name, value) in headers {
            let words = Line::new().column(WORDS, 1);
            self.heading(words.dim(format_args!("{name}: {value}")));
        }
    }

    fn refused(&mut self, reason: &Reason) {
        let words = Line::new().bad("  ✗ ").plain(&reason.words);
        let origin = reason.origin.as_ref().map(ToString::to_string);
        self.row(words, origin.as_deref(), "");
    }

    fn print(self, terminal: &mut Terminal) -> io::Result<()> {
        for line in self.lines() {
            terminal.line(line)?;
        }
        Ok(())
    }

    fn lines(self) -> Vec<Line> {
        let widest = |widths: &mut dyn Iterator<Item = usize>| widths.max().unwrap_or_default();
        let described = |row: &&Row| !row.origin.is_empty() || !row.known.is_empty();
        let rows = || self.rows.iter().filter(described);
        let words = rows()
            .map(|row| row.words.width())
            .filter(|width| *width <= WORDS + WIDEST);
        let origin_at = widest(&mut words.into_iter()) + 2;
        let known_at = origin_at + widest(&mut rows().map(|row| row.origin.chars().count())) + 2;
        let laid = |row| {
            let Row {
                words,
                origin,
                known,
            } = row;
            let line = if origin.is_empty() {
                words
            } else {
                words.column(origin_at, 2).dim(origin)
            };
            match known {
                "" => line,
                known => line.column(known_at, 2).dim(known),
            }
        };
        self.rows.into_iter().map(laid).collect()
    }
}

/// How the proxies stand that would think so: the worst of them, and how many stand like it.
fn standing(heading: Line, thought: &Thought, standings: Standings<'_>) -> Line {
    let each: Vec<_> = thought.workloads.iter().map(standings).collect();
    let worst = each.iter().max().copied().unwrap_or(Standing::None);
    let alike = each.iter().filter(|one| **one == worst).count();
    let (one, many) = match worst {
        Standing::Current => ("holds what is in force", "hold what is in force"),
        Standing::Lacking => (
            "is older than what is in force: it refuses what it does not understand (D007)",
            "are older than what is in force: they refuse what they do not understand (D007)",
        ),
        Standing::Behind => (
            "is behind: it decides by an older view",
            "are behind: they decide by an older view",
        ),
        Standing::Away => (
            "is not connected: if it runs, it decides by the view it had",
            "are not connected: those that run decide by the view they had",
        ),
        Standing::Left => (
            "has left: nobody calls it, and nothing enforces this",
            "have left: nobody calls them, and nothing enforces this",
        ),
        Standing::None => (
            "has never joined: nothing enforces this",
            "have never joined: nothing enforces this",
        ),
    };
    let words = match (alike, each.len()) {
        (_, 0 | 1) => one.to_owned(),
        (1, all) => format!("1 of {all} {one}"),
        (alike, all) if alike == all => format!("all {all} {many}"),
        (alike, all) => format!("{alike} of {all} {many}"),
    };
    match worst {
        Standing::Current => heading.dim(words),
        Standing::Lacking | Standing::Behind | Standing::Away => heading.doubtful(words),
        Standing::Left | Standing::None => heading.bad(words),
    }
}

fn verdict(headline: Line, branches: &[Branch], kind: Kind) -> Line {
    let reasons: Vec<&Reason> = branches.iter().flat_map(reasons).collect();
    let said = || {
        branches
            .iter()
            .flat_map(|branch| &branch.receivers)
            .flatten()
    };
    let all = said().all(|receiver| receiver.said.refusal().is_some());
    let asked = said().find_map(|receiver| match &receiver.said {
        Said::Asks(name) => Some(name),
        _ => None,
    });
    match (reasons.first(), asked) {
        (None, _) if is_known(branches) => headline.good("allowed"),
        (None, Some(name)) => {
            headline.doubtful(format_args!("undecided: authorizer {name} is asked"))
        }
        (None, None) => headline.doubtful("not known: who is called was not asked"),
        (Some(reason), _) if all => headline.bad(refused(reason, kind)),
        (Some(reason), _) => headline.doubtful(format_args!("partly {}", refused(reason, kind))),
    }
}

/// Whether all that could be called were asked.
pub(crate) fn is_known(branches: &[Branch]) -> bool {
    let mut said = branches
        .iter()
        .flat_map(|branch| &branch.receivers)
        .flatten();
    !said.any(|receiver| matches!(receiver.said, Said::Unasked | Said::Asks(_)))
}

/// What a caller is told of it, and why.
fn refused(reason: &Reason, kind: Kind) -> String {
    let Reason { status, code, .. } = reason;
    let told = match kind {
        Kind::Stream => "refused".to_owned(),
        Kind::Request => status.to_string(),
        Kind::Grpc => grpc_name(leno_traffic::grpc::status_of(*code, *status)),
    };
    format!("{told} {code} {}", code.slug())
}

/// The codes with which a call would be refused, in the order of the story.
pub(crate) fn codes(end: &End) -> Vec<leno_model::Code> {
    let reasons = all_reasons(end).into_iter();
    reasons.map(|reason| reason.code).collect()
}

fn all_reasons(end: &End) -> Vec<&Reason> {
    match end {
        End::Refused(reason) => vec![reason],
        End::Redirected { .. } | End::Told { .. } | End::Left => Vec::new(),
        End::Reached(branches) => branches.iter().flat_map(reasons).collect(),
    }
}

/// Why calls that fall to this branch would be refused.
pub(crate) fn reasons(branch: &Branch) -> Vec<&Reason> {
    match &branch.receivers {
        Err(reason) => vec![reason],
        Ok(receivers) => receivers
            .iter()
            .filter_map(|receiver| receiver.said.refusal())
            .collect(),
    }
}

/// The call for programs.
pub(crate) fn json(imagined: &Imagined, standings: Option<Standings<'_>>) -> Value {
    let end = match &imagined.end {
        End::Refused(reason) => json!({ "refused": reason_json(reason) }),
        End::Redirected { status, location } => {
            json!({ "redirected": { "status": status, "location": location } })
        }
        End::Told { status, headers } => {
            let headers = headers
                .iter()
                .map(|(name, value)| json!({ "name": **name, "value": **value }));
            let headers = headers.collect::<Vec<_>>();
            json!({ "told": { "status": status, "headers": headers } })
        }
        End::Left => json!({ "left": {} }),
        End::Reached(branches) => json!({
            "reached": branches
                .iter()
                .map(|branch| branch_json(branch, standings))
                .collect::<Vec<_>>(),
        }),
    };
    json!({
        "call": imagined.asked,
        "sender": imagined
            .sender
            .as_ref()
            .map(|thought| thought_json(thought, standings)),
        "end": end,
    })
}

fn branch_json(branch: &Branch, standings: Option<Standings<'_>>) -> Value {
    let (weight, total) = branch.share;
    let (refused, receivers) = match &branch.receivers {
        Err(reason) => (reason_json(reason), Vec::new()),
        Ok(receivers) => {
            let receivers = receivers.iter().map(|receiver| {
                json!({
                    "thought": thought_json(&receiver.thought, standings),
                    "refused": receiver.said.refusal().map(reason_json),
                    "asked": !matches!(receiver.said, Said::Unasked),
                    "authorizer": match &receiver.said {
                        Said::Asks(name) => Some(&**name),
                        _ => None,
                    },
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

fn thought_json(thought: &Thought, standings: Option<Standings<'_>>) -> Value {
    let workloads = thought.workloads.iter().map(|id| {
        json!({
            "workload": id.to_string(),
            "proxy": standings.map(|standings| standings(id).as_str()),
        })
    });
    json!({
        "proxyOf": thought.proxy_of,
        "workloads": workloads.collect::<Vec<_>>(),
        "steps": steps(&thought.story),
    })
}
