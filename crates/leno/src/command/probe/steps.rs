//! What a probe found, step by step: what went well, what failed and why, what was not reached.

use std::time::Duration;

use leno_admin::figures::{duration, short};
use leno_admin::{Happening, Probed, Reached, Recorded, Tried};
use leno_model::Code;
use serde::Serialize;
use serde_json::json;

use super::Target;
use crate::terminal::{Line, Terminal};

/// All that is known of a call that was made.
pub(super) struct Found {
    /// What its caller saw.
    pub(super) probed: Probed,
    /// What the proxy of its caller recorded.
    pub(super) sender: Option<Recorded>,
    /// What the proxy of the one that was called recorded.
    pub(super) receiver: Option<Recorded>,
    /// How its endpoint can be reached.
    pub(super) reached: Option<Reached>,
}

/// One step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Step {
    /// Which: `DNS`.
    step: &'static str,
    /// What came of it.
    pub(super) outcome: Outcome,
    /// How long it took, in microseconds.
    took_us: Option<u64>,
    /// What there is to say of it.
    text: String,
    /// The code of why it failed.
    code: Option<Code>,
}

/// What came of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    /// It went well.
    Well,
    /// It failed.
    Failed,
    /// Nothing tells how it went.
    Unknown,
    /// A step before it failed.
    NotReached,
}

/// The steps in their order. What follows a failure was not reached.
pub(super) fn of(found: &Found, target: &Target) -> Vec<Step> {
    let refusal = refusal(found);
    let mut steps = vec![
        name(found),
        capture(found, target),
        route(found, refusal.as_ref()),
        tcp(found, refusal.as_ref()),
        tls(found, refusal.as_ref()),
        policy(found, refusal.as_ref()),
        first_byte(found, target, refusal.as_ref()),
    ];
    let failed = steps
        .iter()
        .position(|step| step.outcome == Outcome::Failed);
    for step in steps
        .iter_mut()
        .skip(failed.map_or(usize::MAX, |failed| failed + 1))
    {
        *step = Step {
            text: "not reached".to_owned(),
            ..step_of(step.step, Outcome::NotReached)
        };
    }
    steps
}

/// Why a proxy refused the call or broke it off.
struct Refusal {
    code: Code,
    why: String,
}

/// At which step a code says that a call failed.
fn step_of_code(code: Code) -> &'static str {
    match code.as_str() {
        "R001" | "R002" | "R003" | "R004" | "R005" | "R006" => "policy",
        "R020" | "R021" | "R027" => "TCP",
        "R025" => "TLS",
        "R022" | "R023" | "R024" | "R026" | "R056" => "first byte",
        code if code.starts_with('T') => "TLS",
        _ => "route",
    }
}

fn refusal(found: &Found) -> Option<Refusal> {
    let recorded = [&found.receiver, &found.sender].into_iter().flatten();
    let told = recorded.filter_map(|told| {
        let code = told.code.as_deref()?.parse().ok()?;
        let why = told.decided.why.clone();
        Some(Refusal { code, why })
    });
    let said = found.probed.refused.as_deref();
    let said = said.and_then(|said| said.split(' ').next()?.parse().ok());
    let said = said.map(|code| Refusal {
        code,
        why: String::new(),
    });
    let mut told = told;
    told.next().or(said)
}

fn step_of(step: &'static str, outcome: Outcome) -> Step {
    Step {
        step,
        outcome,
        took_us: None,
        text: String::new(),
        code: None,
    }
}

/// A step that was timed.
fn tried(step: &'static str, tried: &Tried, text: String) -> Step {
    let outcome = match tried.failed {
        Some(_) => Outcome::Failed,
        None => Outcome::Well,
    };
    Step {
        took_us: Some(tried.took_us),
        text: tried.failed.clone().unwrap_or(text),
        code: tried.code.as_deref().and_then(|code| code.parse().ok()),
        ..step_of(step, outcome)
    }
}

/// A step at which the mesh refused the call, if this is the one.
fn refused(step: &'static str, refusal: Option<&Refusal>) -> Option<Step> {
    let refusal = refusal.filter(|refusal| step_of_code(refusal.code) == step)?;
    Some(Step {
        text: refusal.why.clone(),
        code: Some(refusal.code),
        ..step_of(step, Outcome::Failed)
    })
}

fn name(found: &Found) -> Step {
    match &found.probed.name {
        Some((addresses, took)) => tried("DNS", took, addresses.join(", ")),
        None => Step {
            text: "not asked: the call was made inside the proxy".to_owned(),
            ..step_of("DNS", Outcome::Unknown)
        },
    }
}

fn capture(found: &Found, target: &Target) -> Step {
    let id = match (&found.sender, &found.probed.id) {
        (Some(sender), _) => Some(sender.short_id().to_owned()),
        (None, id) => id.as_ref().map(|id| id.chars().take(8).collect()),
    };
    let connect = match &found.probed.connect {
        Some(connect) if connect.failed.is_some() => {
            return tried("capture", connect, String::new());
        }
        connect => connect.as_ref(),
    };
    match (id, connect, &found.probed.name) {
        (Some(id), Some(connect), Some(_)) => {
            tried("capture", connect, format!("its proxy has it: call {id}"))
        }
        (Some(id), _, _) => Step {
            text: format!("not tried: made inside the proxy, as call {id}"),
            ..step_of("capture", Outcome::Unknown)
        },
        (None, Some(_), None) => Step {
            text: "not tried: made inside the proxy, which has not told of it".to_owned(),
            ..step_of("capture", Outcome::Unknown)
        },
        (None, Some(connect), Some(_)) => Step {
            took_us: Some(connect.took_us),
            text: match target.request {
                Some(_) => "no proxy has recorded it: it may have gone around the mesh",
                None => "connected; nothing was sent, so that no call has come of it yet",
            }
            .to_owned(),
            ..step_of("capture", Outcome::Unknown)
        },
        (None, None, _) => step_of("capture", Outcome::Unknown),
    }
}

fn route(found: &Found, refusal: Option<&Refusal>) -> Step {
    if let Some(failed) = refused("route", refusal) {
        return failed;
    }
    let Some(sender) = &found.sender else {
        return step_of("route", Outcome::Unknown);
    };
    let rule = sender
        .decided
        .rule
        .as_ref()
        .map(|rule| format!(" by {}", rule.shown()));
    let to = sender
        .decided
        .backend
        .as_deref()
        .or(sender.decided.called.as_deref());
    let endpoint = sender.endpoint.as_deref().unwrap_or("no endpoint");
    let to = to.or(sender.destination.as_deref()).unwrap_or("unknown");
    Step {
        text: format!("{}{}, {endpoint}", short(to), rule.unwrap_or_default()),
        ..step_of("route", Outcome::Well)
    }
}

fn tcp(found: &Found, refusal: Option<&Refusal>) -> Step {
    match &found.reached {
        Some(reached) => {
            let to = match &reached.tunnel {
                Some(tunnel) => format!("{tunnel}, the proxy of the endpoint"),
                None => "the endpoint itself: it has no proxy".to_owned(),
            };
            let step = tried("TCP", &reached.tcp, to);
            match step.outcome {
                Outcome::Failed => step,
                _ => refused("TCP", refusal).unwrap_or(step),
            }
        }
        None => refused("TCP", refusal).unwrap_or_else(|| step_of("TCP", Outcome::Unknown)),
    }
}

fn tls(found: &Found, refusal: Option<&Refusal>) -> Step {
    let reached = found.reached.as_ref();
    let made = reached.and_then(|reached| Some((reached, reached.tls.as_ref()?)));
    match made {
        Some((reached, tls)) => {
            let how = if reached.resumed {
                "resumed"
            } else {
                "full handshake"
            };
            let peer = reached.peer.as_deref().unwrap_or_default();
            let step = tried("TLS", tls, format!("{how}, {peer} proven"));
            match step.outcome {
                Outcome::Failed => step,
                _ => refused("TLS", refusal).unwrap_or(step),
            }
        }
        None => refused("TLS", refusal).unwrap_or_else(|| Step {
            text: match reached {
                Some(_) => "in plain".to_owned(),
                None => String::new(),
            },
            ..step_of("TLS", Outcome::Unknown)
        }),
    }
}

fn policy(found: &Found, refusal: Option<&Refusal>) -> Step {
    if let Some(failed) = refused("policy", refusal) {
        return failed;
    }
    let by = found
        .receiver
        .as_ref()
        .and_then(|told| told.decided.said_by.as_ref());
    let text = match (by, found.probed.status) {
        (Some(by), _) => format!("let in by {}", by.shown()),
        (None, Some(_)) => "let in: the service has answered".to_owned(),
        (None, None) if has_opened(found) => "let in: the connection was opened".to_owned(),
        (None, None) => return step_of("policy", Outcome::Unknown),
    };
    Step {
        text,
        ..step_of("policy", Outcome::Well)
    }
}

/// Whether a proxy told of a connection to the endpoint: it is judged before it is opened.
fn has_opened(found: &Found) -> bool {
    let mut recorded = [&found.receiver, &found.sender].into_iter().flatten();
    recorded.any(|told| {
        let is_stream = matches!(told.event, Happening::Opened | Happening::Stream);
        is_stream && told.code.is_none() && told.endpoint.is_some()
    })
}

fn first_byte(found: &Found, target: &Target, refusal: Option<&Refusal>) -> Step {
    if let Some(failed) = refused("first byte", refusal) {
        return failed;
    }
    let status = found.probed.status;
    match (&found.probed.first_byte, status) {
        (Some(first), Some(status @ 500..)) if first.failed.is_none() => Step {
            outcome: Outcome::Failed,
            ..tried(
                "first byte",
                first,
                format!("{status}: the service answered so"),
            )
        },
        (Some(first), Some(status)) => tried("first byte", first, status.to_string()),
        (Some(first), None) => tried("first byte", first, "it speaks".to_owned()),
        (None, _) if target.request.is_none() => Step {
            text: "it waits to be spoken to".to_owned(),
            ..step_of("first byte", Outcome::Unknown)
        },
        (None, _) => step_of("first byte", Outcome::Unknown),
    }
}

/// The id of the call, as people type it.
fn id(found: &Found) -> Option<String> {
    let told = found.sender.as_ref().or(found.receiver.as_ref());
    let id = told.map(|told| told.id.clone()).or(found.probed.id.clone());
    id.map(|id| id.chars().take(8).collect())
}

/// The commands to go on with.
fn next(found: &Found, steps: &[Step]) -> Option<String> {
    let failed = steps.iter().find(|step| step.outcome == Outcome::Failed)?;
    let why = id(found).map(|id| format!("leno why {id}"));
    let explain = failed.code.map(|code| format!("leno explain {code}"));
    let commands: Vec<_> = why.into_iter().chain(explain).collect();
    Some(match commands.is_empty() {
        true => "leno check".to_owned(),
        false => commands.join(" · "),
    })
}

/// Prints the steps.
pub(super) fn print(
    found: &Found,
    steps: &[Step],
    source: &str,
    target: &Target,
    terminal: &mut Terminal,
) -> anyhow::Result<()> {
    let asked = match &target.request {
        Some(request) => format!("{} {}", request.method, request.path),
        None => "tcp".to_owned(),
    };
    let line = Line::new().strong(format_args!("{} → {}", short(source), target.authority()));
    terminal.line(line.plain(format_args!("  {asked}")))?;
    for step in steps {
        terminal.line(told(step))?;
    }
    if let Some(next) = next(found, steps) {
        terminal.line(Line::new().dim("  Next  ").plain(next))?;
    }
    Ok(())
}

fn told(step: &Step) -> Line {
    let line = match step.outcome {
        Outcome::Well => Line::new().good("  ✓ "),
        Outcome::Failed => Line::new().bad("  ✗ "),
        Outcome::Unknown | Outcome::NotReached => Line::new().dim("  - "),
    };
    let line = line.plain(step.step).column(16, 1);
    let took = step
        .took_us
        .map(|took| duration(Duration::from_micros(took)));
    let line = line.plain(took.unwrap_or_default()).column(25, 1);
    let text = match (step.outcome, step.text.is_empty()) {
        (Outcome::Unknown, true) => "not known",
        _ => step.text.as_str(),
    };
    match (step.outcome, step.code) {
        (Outcome::Failed, Some(code)) => {
            let line = line.bad(format_args!("{code} {}", code.slug())).plain("  ");
            line.plain(text)
                .dim(format_args!("  fault: {}", code.fault().as_str()))
        }
        (Outcome::Failed, None) => line.bad(text),
        (Outcome::Unknown | Outcome::NotReached, _) => line.dim(text),
        (Outcome::Well, _) => line.plain(text),
    }
}

/// The same for programs.
pub(super) fn json(
    found: &Found,
    steps: &[Step],
    source: &str,
    target: &Target,
) -> serde_json::Result<String> {
    let steps = steps.iter().map(|step| {
        json!({
            "step": step.step,
            "outcome": step.outcome,
            "took_us": step.took_us,
            "text": step.text,
            "code": step.code.map(Code::as_str),
            "fault": step.code.map(|code| code.fault().as_str()),
        })
    });
    serde_json::to_string_pretty(&json!({
        "source": source,
        "target": target.authority(),
        "id": id(found),
        "status": found.probed.status,
        "steps": steps.collect::<Vec<_>>(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of the policy, by what the proxy of the endpoint has recorded.
    fn check(receiver: serde_json::Value, expect: &str) {
        let found = Found {
            probed: Probed::default(),
            sender: None,
            receiver: serde_json::from_value(receiver).unwrap(),
            reached: None,
        };
        let step = policy(&found, refusal(&found).as_ref());
        assert_eq!(format!("{:?} {}", step.outcome, step.text), expect);
    }

    #[test]
    fn a_connection_that_was_opened_was_let_in() {
        let told = |event: &str, endpoint: Option<&str>, code: Option<&str>| {
            json!({
                "event": event,
                "id": "7c1e4b02d41e8a7710aa3c9e0f52b6d8",
                "time": "2026-11-20T02:51:07.000Z",
                "reporter": "destination",
                "endpoint": endpoint,
                "code": code,
            })
        };
        let endpoint = Some("198.19.0.1:6400");
        let open = "Well let in: the connection was opened";
        check(told("opened", endpoint, None), open);
        check(told("stream", endpoint, None), open);
        check(told("stream", None, None), "Unknown ");
        check(told("call", endpoint, None), "Unknown ");
        check(told("stream", endpoint, Some("R003")), "Failed ");
        check(serde_json::Value::Null, "Unknown ");
    }
}
