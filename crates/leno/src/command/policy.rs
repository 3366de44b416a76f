//! `leno policy suggest`: policies that let in what was recorded, and nothing else, as YAML that can be
//! applied; what is told beside it are comments.

use leno_admin::figures::{count, moment, percent};
use leno_admin::{SuggestOf, Suggested, SuggestedPolicy};

use crate::arguments::Output;
use crate::arguments::change::{PolicyCommand, Suggest};
use crate::command::context::Context;
use crate::command::{Answer, fleet};
use crate::terminal::Terminal;

/// How much of what a policy leaves out is listed.
const MOST_LEFT: usize = 20;

/// Runs a command about policies.
pub(crate) fn run(command: &PolicyCommand, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    match command {
        PolicyCommand::Suggest(options) => suggest(options, terminal),
    }
}

fn suggest(options: &Suggest, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let question = SuggestOf {
        service: options.service.clone(),
        namespace: options.namespace.clone(),
        seconds: options.since.as_secs().max(1),
        at_least: options.at_least,
    };
    let asked = &options.context;
    let json = asked.output == Output::Json;
    let suggested = match Context::choose(asked.context.as_deref())?.ask(question)? {
        Ok(suggested) => suggested,
        Err(failure) => return fleet::refused(&failure, json, terminal),
    };
    match json {
        true => terminal.text(&serde_json::to_string_pretty(&suggested)?)?,
        false => terminal.text(&text(&suggested))?,
    }
    Ok(match suggested.unforeseen {
        0 => Answer::Fine,
        _ => Answer::Bad,
    })
}

fn text(told: &Suggested) -> String {
    let Suggested {
        status,
        from,
        until,
        policies,
        unforeseen,
        ..
    } = told;
    let now = &status.now;
    let (from, until) = (moment(from, now), moment(until, now));
    let mut lines = vec![format!(
        "# context {} · revision {} · by calls from {from} to {until}",
        status.context, status.revision
    )];
    match (policies.len(), unforeseen) {
        (0, _) => lines.push("# no call was recorded that a policy could be made of".to_owned()),
        (_, 0) => lines.push(
            "# checked as leno plan does: no recorded call would break but those left out".to_owned(),
        ),
        (_, calls) => lines.push(format!(
            "# CHECK FAILED: {} recorded calls would break that are not left out: leno plan -f FILE",
            count(*calls)
        )),
    }
    let policies: Vec<_> = policies
        .iter()
        .map(|policy| document(policy, now))
        .collect();
    lines.extend(policies.join("---\n").lines().map(str::to_owned));
    lines.join("\n")
}

/// One policy, with what is told of it.
fn document(policy: &SuggestedPolicy, now: &str) -> String {
    let SuggestedPolicy {
        service,
        yaml,
        calls,
        covered,
        callers,
        left,
        beside,
        ..
    } = policy;
    let callers = match callers.len() {
        1 => "1 caller".to_owned(),
        many => format!("{many} callers"),
    };
    let mut text = format!(
        "# {service}: lets in {} of {} calls ({}), of {callers}\n",
        count(*covered),
        count(*calls),
        percent(*covered, *calls)
    );
    for object in beside {
        text.push_str(&format!(
            "# {object} stands over it already: what that allows stays allowed\n"
        ));
    }
    for one in left.iter().take(MOST_LEFT) {
        let from = match &one.address {
            Some(address) => format!("{address} (without a proxy)"),
            None => one.from.clone(),
        };
        text.push_str(&format!(
            "# left out: {from}  {}  {} times, last {}: {}\n",
            one.request,
            count(one.count),
            moment(&one.last, now),
            one.why
        ));
    }
    if left.len() > MOST_LEFT {
        let more = left.len() - MOST_LEFT;
        text.push_str(&format!("# left out: {more} more (-o json)\n"));
    }
    text + yaml
}
