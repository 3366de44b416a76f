//! How a control plane's answers look to people.

use std::collections::BTreeMap;

use leno_admin::{
    Applied, Change, Diff, Failure, Finding, Forgotten, History, Link, Proxies, Revoked, Status,
    TokenMade, Tokens, Trust, Verb,
};
use leno_model::Code;

use crate::command::Answer;
use crate::offline::count;
use crate::render;
use crate::terminal::{Line, Terminal};

/// The first line of every answer: which mesh, which revision, how many proxies.
fn head(status: &Status) -> Line {
    let Status {
        context,
        revision,
        proxies,
        ..
    } = status;
    let proxies = count(usize::try_from(*proxies).unwrap_or(usize::MAX), "proxy");
    let proxies = proxies.replace("proxys", "proxies");
    let line = Line::new()
        .dim("context ")
        .plain(context)
        .dim(" · revision ");
    line.plain(revision).dim(format_args!(" · {proxies}"))
}

pub(super) fn applied(told: &Applied, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    terminal.line(head(&told.status))?;
    if !told.made {
        terminal.line("nothing to change")?;
    }
    changes(&told.changes, false, terminal)?;
    for left in &told.left {
        terminal.line(Line::new().doubtful("! ").plain(left))?;
    }
    findings(&told.findings, terminal)?;
    if told.made {
        let before = told.status.revision.saturating_sub(1);
        terminal.gap()?;
        terminal.line(format!("Next  leno proxies · leno rollback {before}"))?;
    }
    Ok(Answer::Fine)
}

pub(super) fn link(told: &Link, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    terminal.line(head(&told.status))?;
    terminal.line(Line::new().plain("  Page   ").strong(&told.url))?;
    terminal.line(Line::new().dim("         good once, for an hour, in a browser on this host"))?;
    Ok(Answer::Fine)
}

pub(super) fn history(told: &History, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    terminal.line(head(&told.status))?;
    let title = Line::new()
        .dim("REVISION")
        .column(10, 1)
        .dim("AT")
        .column(36, 1)
        .dim("WHO");
    terminal.line(
        title
            .column(46, 1)
            .dim("WHAT")
            .column(66, 1)
            .dim("CHANGED")
            .column(78, 1)
            .dim("WHY"),
    )?;
    for past in &told.revisions {
        let why = past.message.lines().next().unwrap_or_default();
        let line = Line::new()
            .strong(past.revision)
            .column(10, 1)
            .plain(&past.at);
        let line = line
            .column(36, 1)
            .plain(&past.who)
            .column(46, 1)
            .plain(&past.what);
        let changed = format!("+{} ~{} -{}", past.added, past.changed, past.removed);
        terminal.line(line.column(66, 1).plain(changed).column(78, 1).plain(why))?;
    }
    Ok(Answer::Fine)
}

pub(super) fn diff(told: &Diff, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    terminal.line(head(&told.status))?;
    terminal.line(format!("from revision {} to {}", told.from, told.to))?;
    changes(&told.changes, true, terminal)?;
    Ok(Answer::Fine)
}

pub(super) fn proxies(told: &Proxies, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    terminal.line(head(&told.status))?;
    let title = Line::new()
        .dim("PROXY")
        .column(20, 1)
        .dim("IDENTITY")
        .column(60, 1);
    terminal.line(title.dim("TUNNEL").column(82, 1).dim("HOLDS"))?;
    let mut behind = false;
    for proxy in &told.proxies {
        let line = Line::new()
            .strong(&proxy.name)
            .column(20, 1)
            .plain(&proxy.identity);
        let line = line
            .column(60, 1)
            .plain(proxy.tunnel.as_deref().unwrap_or("-"))
            .column(82, 1);
        let line = match (&proxy.refused, proxy.current) {
            (Some(why), _) => line.bad(format_args!("{} {why}", Code::D002)),
            (None, true) => line.good("the newest"),
            (None, false) => line.doubtful(format_args!("behind: {}", proxy.generation)),
        };
        behind |= proxy.refused.is_some();
        terminal.line(line)?;
        for workload in &proxy.not_entitled {
            let line = Line::new().plain("  ").doubtful("! ").plain(workload);
            terminal.line(
                line.plain(" is not told to it: it does not exist, or acts as somebody else"),
            )?;
        }
    }
    Ok(if behind { Answer::Bad } else { Answer::Fine })
}

pub(super) fn token_made(told: &TokenMade, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    terminal.line(head(&told.status))?;
    let line = Line::new()
        .good("token ")
        .strong(&told.token.id)
        .plain("  for ");
    let line = line.strong(&told.token.grants);
    let uses = count(
        usize::try_from(told.token.uses).unwrap_or(usize::MAX),
        "use",
    );
    terminal.line(line.plain(format_args!(", {uses}, until {}", told.token.expires)))?;
    terminal.gap()?;
    terminal.line(format!("leno join {}", told.text))?;
    Ok(Answer::Fine)
}

pub(super) fn tokens(told: &Tokens, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    terminal.line(head(&told.status))?;
    let title = Line::new()
        .dim("ID")
        .column(12, 1)
        .dim("FOR")
        .column(34, 1)
        .dim("USES");
    terminal.line(title.column(42, 1).dim("UNTIL").column(68, 1).dim("BY"))?;
    for token in &told.tokens {
        let line = Line::new()
            .strong(&token.id)
            .column(12, 1)
            .plain(&token.grants);
        let line = line
            .column(34, 1)
            .plain(token.uses)
            .column(42, 1)
            .plain(&token.expires);
        terminal.line(line.column(68, 1).plain(&token.made_by))?;
    }
    Ok(Answer::Fine)
}

pub(super) fn forgotten(told: &Forgotten, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    terminal.line(head(&told.status))?;
    terminal.line(if told.was_there {
        "the token is good for nothing"
    } else {
        "there is no such token"
    })?;
    Ok(if told.was_there {
        Answer::Fine
    } else {
        Answer::Bad
    })
}

pub(super) fn trust(told: &Trust, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    terminal.line(head(&told.status))?;
    let row = |name: &str, value: &dyn std::fmt::Display| {
        Line::new().dim(name).column(16, 1).plain(value)
    };
    terminal.line(row("trust domain", &told.trust_domain))?;
    terminal.line(row(
        "root",
        &format_args!("{}  until {}", told.root, told.root_ends),
    ))?;
    terminal.line(row(
        "intermediate",
        &format_args!("until {}", told.intermediate_ends),
    ))?;
    terminal.line(row(
        "certificates",
        &format_args!("of {} s", told.lifetime_seconds),
    ))?;
    for revoked in &told.revoked {
        let line = Line::new()
            .bad("refused")
            .column(16, 1)
            .strong(&revoked.identity);
        let line = line.plain(format_args!("  since {} by {}", revoked.at, revoked.who));
        terminal.line(line.plain("  ").plain(&revoked.reason))?;
    }
    Ok(Answer::Fine)
}

pub(super) fn revoked(
    told: &Revoked,
    done: &str,
    nothing: &str,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    terminal.line(head(&told.status))?;
    let line = Line::new().strong(&told.identity).plain("  ");
    terminal.line(line.plain(if told.changed { done } else { nothing }))?;
    Ok(Answer::Fine)
}

pub(super) fn failure(failure: &Failure, terminal: &mut Terminal) -> anyhow::Result<()> {
    let code = failure
        .code
        .as_deref()
        .and_then(|code| code.parse::<Code>().ok());
    let line = Line::new().bad("✗ ");
    let line = match code {
        Some(code) => line.strong(code).plain(" ").plain(code.slug()).plain("  "),
        None => line,
    };
    terminal.line(line.plain(&failure.message))?;
    findings(&failure.findings, terminal)?;
    if let Some(advice) = &failure.advice {
        terminal.line(Line::new().dim("Next  ").plain(advice))?;
    }
    Ok(())
}

fn findings(findings: &[Finding], terminal: &mut Terminal) -> anyhow::Result<()> {
    for finding in findings {
        let Some(note) = finding.note() else {
            continue;
        };
        let mut texts = BTreeMap::new();
        // A picture needs one line: those above it are left empty.
        let lines = finding.line.zip(finding.text.as_ref()).map(|(line, text)| {
            let above = usize::try_from(line).map_or(0, |line| line.saturating_sub(1));
            format!("{}{text}", "\n".repeat(above))
        });
        if let Some((file, lines)) = finding.file.as_deref().zip(lines.as_deref()) {
            texts.insert(file, lines.as_bytes());
        }
        terminal.gap()?;
        render::note::print(&note, &texts, terminal)?;
    }
    Ok(())
}

fn changes(changes: &[Change], texts: bool, terminal: &mut Terminal) -> anyhow::Result<()> {
    for change in changes {
        let line = match change.verb {
            Verb::Added => Line::new().good("+ "),
            Verb::Changed => Line::new().doubtful("~ "),
            Verb::Moved => Line::new().dim("≈ "),
            Verb::Removed => Line::new().bad("- "),
        };
        let line = line.strong(&change.object).plain("  ");
        terminal.line(line.dim(change.place.as_deref().unwrap_or_default()))?;
        if texts && change.verb != Verb::Moved {
            differing_lines(change, terminal)?;
        }
    }
    Ok(())
}

/// The lines that differ, between what both texts begin and end with.
fn differing_lines(change: &Change, terminal: &mut Terminal) -> anyhow::Result<()> {
    let lines = |text: &Option<String>| -> Vec<String> {
        text.iter()
            .flat_map(|text| text.lines())
            .map(str::to_owned)
            .collect()
    };
    let (before, after) = (lines(&change.before), lines(&change.after));
    let same = before
        .iter()
        .zip(&after)
        .take_while(|(one, other)| one == other)
        .count();
    let (old, new) = (
        before.get(same..).unwrap_or_default(),
        after.get(same..).unwrap_or_default(),
    );
    let tail = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take_while(|(one, other)| one == other)
        .count();
    for line in old.iter().take(old.len() - tail) {
        terminal.line(Line::new().plain("    ").bad("- ").plain(line))?;
    }
    for line in new.iter().take(new.len() - tail) {
        terminal.line(Line::new().plain("    ").good("+ ").plain(line))?;
    }
    Ok(())
}
