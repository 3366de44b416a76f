//! `leno check`: is a folder valid, is the mesh that runs well? Problems first.

use std::cmp::Reverse;

use leno_admin::{Check as Question, Checked, Finding, Follows, Holding, NotAsked};
use leno_model::{Code, Severity};
use serde_json::json;

use crate::arguments::cluster::Reached;
use crate::arguments::{Check, Input, Output};
use crate::command::asking::{holdings, not_asked, not_asked_line};
use crate::command::context::Context;
use crate::command::tap::silent;
use crate::command::{Answer, fleet, install};
use crate::offline::{Offline, count};
use crate::render;
use crate::terminal::{Line, Terminal};

/// Checks what the files say, else the mesh that runs.
pub(crate) fn run(options: &Check, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    if options.pre {
        let reached = Reached {
            kubeconfig: options.kubeconfig.clone(),
            kube_context: options.kube_context.clone(),
        };
        return install::check(&reached, options.name.clone(), options.node, terminal);
    }
    let namespace = options.namespace.as_deref().unwrap_or("default");
    match options.subject.input(namespace) {
        Some(input) => check_files(&input, options, terminal),
        None => check_mesh(options, terminal),
    }
}

fn check_files(input: &Input, options: &Check, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let offline = Offline::read(input)?;
    let findings = in_order(offline.findings());
    let answer = answer(&findings);
    if options.subject.context.output == Output::Json {
        let told = json!({ "objects": offline.objects, "findings": findings });
        terminal.text(&serde_json::to_string_pretty(&told)?)?;
        return Ok(answer);
    }
    let hidden = if options.verbose {
        0
    } else {
        of(&findings, Severity::Info)
    };
    let line = sum(offline.context(), &findings);
    terminal.line(match hidden {
        0 => line,
        _ => line.dim(format_args!(", {} (-v)", count(hidden, "remark"))),
    })?;
    print(&findings, "", options.verbose, terminal)?;
    Ok(answer)
}

fn check_mesh(options: &Check, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let asked = &options.subject.context;
    let control = Context::choose(asked.context.as_deref())?;
    let json = asked.output == Output::Json;
    let mut told = match control.try_ask(Question {})? {
        Ok(told) => told,
        Err(NotAsked::Refused(failure)) => return fleet::refused(&failure, json, terminal),
        Err(NotAsked::Away { path, why }) => {
            let message = format!("no control plane answers at {path}: {why}");
            return without_control_plane(message, &control, json, terminal);
        }
        Err(misfit @ NotAsked::Misfit(_)) => return Err(misfit.into()),
    };
    if let Some(namespace) = &options.namespace {
        narrow(&mut told, namespace);
    }
    told.findings = in_order(told.findings);
    let answer = answer(&told.findings);
    if json {
        terminal.text(&serde_json::to_string_pretty(&told)?)?;
        return Ok(answer);
    }
    let line = sum(render::head(&told.status), &told.findings);
    let passed = format!(", {} passed", count(told.passed.len(), "check"));
    terminal.line(
        line.dim(passed)
            .dim(if options.verbose { "" } else { " (-v)" }),
    )?;
    if told.status.objects == 0 {
        terminal.line("nothing was applied yet: leno apply -f DIR")?;
    }
    print(&told.findings, &told.status.now, options.verbose, terminal)?;
    if options.verbose {
        terminal.gap()?;
        for passed in &told.passed {
            terminal.line(Line::new().good("✓ ").plain(passed))?;
        }
    }
    Ok(answer)
}

/// Says that nobody answers, and what the proxies of this host say of themselves.
fn without_control_plane(
    message: String,
    control: &Context,
    json: bool,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    let away = Finding {
        suggestion: Some(control.advice().to_owned()),
        ..Finding::running(
            Code::D001,
            Severity::Error,
            None,
            message,
            "what each proxy holds; changes do not arrive",
        )
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (told, not_heard) = runtime.block_on(holdings());
    let others = not_asked(&told);
    let alone = |one: &Holding| one.follows == Follows::Files;
    // Where every proxy goes by files alone and nobody named a control plane, none is missing.
    let is_missed = control.is_named() || told.is_empty() || !told.iter().all(alone);
    let away = Some(away).filter(|_| is_missed);
    let answer = match told.is_empty() {
        false if is_missed => Answer::Bad,
        false => Answer::Fine,
        // Nothing could be found out at all.
        true => Answer::Exit(3),
    };
    if json {
        let told = json!({
            "findings": Vec::from_iter(away),
            "proxies": told,
            "silent": not_heard,
            "not_asked": others,
        });
        terminal.text(&serde_json::to_string_pretty(&told)?)?;
        return Ok(answer);
    }
    if let Some(away) = away {
        render::note::print_finding(&away, "", terminal)?;
        terminal.gap()?;
    }
    for holding in &told {
        render::holding::print(holding, terminal)?;
    }
    if told.is_empty() {
        terminal.line("no proxy of this host answers either")?;
    }
    for line in silent(&not_heard).chain(not_asked_line(&others)) {
        terminal.line(line)?;
    }
    Ok(answer)
}

/// Leaves what is about `namespace`, among others too, or about no namespace at all.
fn narrow(told: &mut Checked, namespace: &str) {
    told.findings.retain(|finding| {
        let object = finding.object.as_deref();
        object.is_none_or(|object| is_near(object, namespace))
    });
    told.passed.retain(|passed| is_near(passed, namespace));
}

/// Whether what a line is about may be in `namespace`: one of its names is, none names a namespace, or not all are told.
fn is_near(about: &str, namespace: &str) -> bool {
    let words = about.split([' ', ',']);
    let mut named = words.filter_map(|word| word.split_once('/')).peekable();
    named.peek().is_none() || named.any(|(named, _)| named == namespace) || about.ends_with(" more")
}

/// The worst first, and what stands together in files together.
fn in_order(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by(|one, other| {
        let key = |finding: &Finding| {
            let place = (finding.file.clone(), finding.line, finding.column);
            (!finding.heads, Reverse(finding.severity()), place)
        };
        key(one).cmp(&key(other))
    });
    findings
}

fn of(findings: &[Finding], severity: Severity) -> usize {
    let alike = findings.iter().filter(|one| one.severity() == severity);
    alike.count()
}

/// The first line, with what it all comes to.
fn sum(context: Line, findings: &[Finding]) -> Line {
    let line = context.column(72, 6);
    let line = match of(findings, Severity::Error) {
        0 => line.good("no problem"),
        problems => line.bad(count(problems, "problem")),
    };
    match of(findings, Severity::Warning) {
        0 => line,
        warnings => line.plain(", ").doubtful(count(warnings, "warning")),
    }
}

fn print(
    findings: &[Finding],
    now: &str,
    verbose: bool,
    terminal: &mut Terminal,
) -> anyhow::Result<()> {
    for finding in findings {
        if finding.severity() > Severity::Info || verbose {
            terminal.gap()?;
            render::note::print_finding(finding, now, terminal)?;
        }
    }
    Ok(())
}

fn answer(findings: &[Finding]) -> Answer {
    match of(findings, Severity::Error) {
        0 => Answer::Fine,
        _ => Answer::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_is_told_what_is_about_it_among_others() {
        let both = "pods shop/cart, bank/ledger";
        assert!(is_near(both, "shop") && is_near(both, "bank") && !is_near(both, "web"));
        assert!(!is_near("HTTPRoute shop/cart", "bank"));
        // It may be one of those who are not named.
        assert!(is_near("pods shop/cart, shop/web and 3 more", "bank"));
        assert!(is_near("Mesh leno", "shop"));
    }
}
