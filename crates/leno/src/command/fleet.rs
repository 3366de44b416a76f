//! The commands that ask a control plane, one function for each; what they print begins with context and
//! revision.

mod clustered;
mod dashboard;
mod kubectl;
mod proxies;
mod tell;

use std::path::Path;

use anyhow::{Context as _, bail};
use leno_admin::{
    AddOverride, Applied, Apply, Ask, AuditOf, BundleOf, CreateToken, Delete, DiffOf, DropOverride,
    DropToken, Failure, File, HistoryOf, ListOverrides, ListTokens, ReadmitProxies, Recover,
    Reinstate, RenewCertificate, Revoke, Rollback, RotateRoot, TrustOf, WatchFor,
};
use leno_model::role::PEOPLE;
use serde::Serialize;

use crate::arguments::Output;
use crate::arguments::change::{self, OverrideAdd, OverrideCommand, OverrideTerms, Terms};
use crate::arguments::fleet::{Context, ControlCommand, Fleet};
use crate::arguments::trust::{Certificates, TokenCommand};
use crate::command::context::Context as Chosen;
use crate::command::{Answer, contexts, control, join, leave, plan, policy, status, view, watch};
use crate::folder::Files;
use crate::render;
use crate::terminal::Terminal;

/// Runs a command about the fleet.
pub(crate) fn run(command: &Fleet, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    match command {
        Fleet::Control(options) => match &options.command {
            None => control::run(&options.run, terminal),
            Some(ControlCommand::Recover(context)) => {
                ask(context, Recover {}, terminal, tell::recovered)
            }
        },
        Fleet::Join(options) => join::run(options, terminal),
        Fleet::Leave(options) => leave::run(options, terminal),
        Fleet::Plan(options) => plan::run(options, terminal),
        Fleet::Policy(options) => policy::run(&options.command, terminal),
        Fleet::Apply(options) => {
            let done = apply(options, terminal);
            clustered::told(done, options.context.output, terminal)
        }
        Fleet::Delete(options) => {
            let done = delete(options, terminal);
            clustered::told(done, options.context.output, terminal)
        }
        Fleet::Context(options) => contexts::run(&options.command, terminal),
        Fleet::History(options) if options.audit => {
            let (limit, before) = (options.limit, options.before);
            let question = AuditOf { limit, before };
            ask(&options.context, question, terminal, tell::audited)
        }
        Fleet::History(options) => {
            let (limit, before) = (options.limit, options.before);
            let question = HistoryOf { limit, before };
            ask(&options.context, question, terminal, tell::history)
        }
        Fleet::Diff(options) => {
            let question = DiffOf {
                from: options.from,
                to: options.to,
            };
            ask(&options.context, question, terminal, tell::diff)
        }
        Fleet::Rollback(options) if options.print.is_some() => {
            kubectl::rollback(&options.context, options.to, terminal)
        }
        Fleet::Rollback(options) => {
            let done = roll_back(options, terminal);
            clustered::told(done, options.context.output, terminal)
        }
        Fleet::Watch(options) => watch::run(options, terminal),
        Fleet::Override(options) => overrides(&options.command, terminal),
        Fleet::Token(options) => token(&options.command, terminal),
        Fleet::Status(options) => status::run(options, terminal),
        Fleet::Proxies(options) => proxies::run(&options.context, terminal),
        Fleet::View(options) => view::run(options, terminal),
        Fleet::Dashboard(options) => dashboard::run(options, terminal),
    }
}

/// Runs a command about whom the mesh trusts.
pub(crate) fn run_certificates(
    command: &Certificates,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    match command {
        Certificates::List(context) => ask(context, TrustOf {}, terminal, tell::trust),
        Certificates::Bundle(options) => {
            let name = options.peer.as_ref();
            ask(&options.context, BundleOf {}, terminal, |told, terminal| {
                tell::own_bundle(told, name, terminal)
            })
        }
        Certificates::Renew(options) => {
            let question = RenewCertificate {
                identity: options.identity.clone(),
                dry_run: options.dry_run,
            };
            ask(&options.context, question, terminal, tell::renewed)
        }
        Certificates::Readmit(options) => {
            let seconds = options.lasts.as_secs();
            let question = ReadmitProxies { seconds };
            ask(&options.context, question, terminal, tell::readmitting)
        }
        Certificates::Rotate(options) => {
            let question = RotateRoot {
                force: options.force,
                dry_run: options.dry_run,
            };
            ask(&options.context, question, terminal, tell::rotated)
        }
        Certificates::Revoke(options) => {
            let (identity, reason) = (options.identity.clone(), options.message.clone());
            let question = Revoke { identity, reason };
            ask(&options.context, question, terminal, |told, terminal| {
                tell::revoked(
                    told,
                    "refused from here on, also where it is connected",
                    "refused already",
                    terminal,
                )
            })
        }
        Certificates::Reinstate(options) => {
            let question = Reinstate {
                identity: options.identity.clone(),
            };
            ask(&options.context, question, terminal, |told, terminal| {
                tell::revoked(told, "refused no longer", "not refused", terminal)
            })
        }
    }
}

fn apply(options: &change::Apply, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let files = Files::read(&options.input.files)?;
    if files.resources.is_empty() {
        bail!("there is no .yaml, .yml or .json file in what -f names");
    }
    let set = match &options.set {
        Some(set) => set.clone(),
        None => set_of(&options.input.files)?,
    };
    let chosen = Chosen::choose(options.context.context.as_deref())?;
    let output = options.context.output;
    if let Some(mesh) = clustered::followed(&chosen, output)? {
        return mesh.apply(options, files, set, terminal);
    }
    let question = Apply {
        files: asked(files)?,
        namespace: options.input.namespace.clone(),
        set,
        prune: options.prune,
        if_revision: options.terms.if_revision,
        message: options.terms.message.clone(),
        allow_errors: options.terms.allow_errors,
        dry_run: options.terms.dry_run,
        watch: watched(&options.terms),
    };
    change(&chosen, output, question, |_| None, terminal)
}

/// How a change is to be watched.
fn watched(terms: &Terms) -> Option<WatchFor> {
    let length = terms.watch?;
    Some(WatchFor {
        seconds: length.as_secs(),
        tolerate: terms.tolerate,
    })
}

/// The objects of files, as they are asked about.
pub(crate) fn asked(files: Files) -> anyhow::Result<Vec<File>> {
    let mut asked = Vec::new();
    for (path, text) in files.resources {
        let text = String::from_utf8(text);
        let text = text.with_context(|| format!("{path} is not UTF-8 text"))?;
        asked.push(File { path, text });
    }
    Ok(asked)
}

/// The name of the folder that is applied, or in which the file is that is; of several, a name must
/// be given.
pub(crate) fn set_of(paths: &[std::path::PathBuf]) -> anyhow::Result<String> {
    let [path] = paths else {
        bail!("which set do they belong to? Name it by --set");
    };
    let whole = path.canonicalize().ok();
    let folder = match &whole {
        Some(whole) if whole.is_file() => whole.parent(),
        whole => whole.as_deref(),
    };
    let name = folder.and_then(Path::file_name);
    let name = name.and_then(|name| name.to_str()).map(str::to_owned);
    name.context("which set is it? Name it by --set")
}

fn delete(options: &change::Delete, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let object = |text: &String| match text.split('/').collect::<Vec<_>>().as_slice() {
        [kind @ ("Mesh" | "MeshPeer" | "Namespace"), name] => Ok(format!("{kind} {name}")),
        [kind, name] => Ok(format!("{kind} {}/{name}", options.namespace)),
        [kind, namespace, name] => Ok(format!("{kind} {namespace}/{name}")),
        _ => bail!("{text:?} names no object: write KIND/NAME"),
    };
    let objects = options.objects.iter().map(object);
    let objects = objects.collect::<anyhow::Result<Vec<_>>>()?;
    let chosen = Chosen::choose(options.context.context.as_deref())?;
    let output = options.context.output;
    if let Some(mesh) = clustered::followed(&chosen, output)?
        && let Some(answer) = mesh.delete(&objects, &options.terms, terminal)?
    {
        return Ok(answer);
    }
    let question = Delete {
        objects,
        if_revision: options.terms.if_revision,
        message: options.terms.message.clone(),
        allow_errors: options.terms.allow_errors,
        dry_run: options.terms.dry_run,
        watch: watched(&options.terms),
    };
    change(&chosen, output, question, Chosen::file, terminal)
}

/// Makes the configuration what it was: what a cluster says, too, as far as Leno has written that, unless it is only to be
/// held.
fn roll_back(options: &change::Rollback, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let terms = &options.terms;
    let chosen = Chosen::choose(options.context.context.as_deref())?;
    let output = options.context.output;
    let question = Rollback {
        to: options.to,
        if_revision: terms.if_revision,
        message: terms.message.clone(),
        allow_errors: terms.allow_errors,
        dry_run: terms.dry_run,
        watch: watched(terms),
        hold: options.hold.map(|lasts| lasts.as_secs()),
    };
    if options.hold.is_none()
        && let Some(mesh) = clustered::followed(&chosen, output)?
        && let Some(done) = mesh.roll_back(options.to, terms, terminal)?
    {
        if !done.keeps_more || done.answer != Answer::Fine {
            return Ok(done.answer);
        }
        // It was weighed against the revision that was named; a newer one came of what was done.
        let rest = Rollback {
            if_revision: None,
            ..question
        };
        return change(&chosen, output, rest, Chosen::file, terminal);
    }
    change(&chosen, output, question, Chosen::file, terminal)
}

/// Asks for a change, which holds until the file changes that `until` names (of what takes back what was applied: a file
/// that is looked at), and shows what comes of it if it is watched.
fn change(
    chosen: &Chosen,
    output: Output,
    question: impl Ask<Answer = Applied>,
    until: impl FnOnce(&Chosen) -> Option<&'static str>,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    let told = match chosen.ask(question)? {
        Ok(told) => told,
        Err(failure) => return refused(&failure, output == Output::Json, terminal),
    };
    match output {
        // What goes on is a line for each thing.
        Output::Json if told.watch.is_some() => terminal.text(&serde_json::to_string(&told)?)?,
        Output::Json => terminal.text(&serde_json::to_string_pretty(&told)?)?,
        Output::Text => tell::applied(&told, until(chosen), terminal)?,
    }
    watch::made(chosen, &told, output, terminal)
}

fn overrides(command: &OverrideCommand, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let whole = |name: &str, terms: &OverrideTerms| match name.contains('/') {
        true => name.to_owned(),
        false => format!("{}/{name}", terms.namespace),
    };
    let (measure, terms) = match command {
        OverrideCommand::List(context) => {
            return ask(context, ListOverrides {}, terminal, tell::overrides);
        }
        OverrideCommand::Drop(options) => {
            let question = DropOverride {
                id: options.id.clone(),
            };
            return ask(&options.context, question, terminal, |told, terminal| {
                tell::override_changed(told, "holds no more", terminal)
            });
        }
        OverrideCommand::Add(OverrideAdd::Audit(options)) => {
            let policy = whole(&options.policy, &options.terms);
            (format!("audit {policy}"), &options.terms)
        }
        OverrideCommand::Add(OverrideAdd::Eject(options)) => {
            let instance = whole(&options.instance, &options.terms);
            (format!("eject {instance}"), &options.terms)
        }
        OverrideCommand::Add(OverrideAdd::AllTo(options)) => {
            let terms = &options.terms;
            let (service, backend) = (
                whole(&options.service, terms),
                whole(&options.backend, terms),
            );
            (format!("all-to {service} {backend}"), terms)
        }
        OverrideCommand::Add(OverrideAdd::Record(options)) => {
            let service = whole(&options.service, &options.terms);
            let facts = options.facts.join(" ");
            (format!("record {service} {facts}"), &options.terms)
        }
    };
    let question = AddOverride {
        measure,
        seconds: terms.lasts.as_secs(),
        message: terms.message.clone(),
        force: terms.force,
    };
    ask(&terms.context, question, terminal, |told, terminal| {
        tell::override_changed(told, "holds", terminal)
    })
}

fn token(command: &TokenCommand, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    match command {
        TokenCommand::Create(options) => {
            let who = options.who.as_deref().unwrap_or_default();
            let (namespace, account) = match (&options.person, who.split_once('/')) {
                (Some(person), _) => (PEOPLE, Some(person.clone())),
                (None, Some((namespace, account))) => (namespace, Some(account.to_owned())),
                (None, None) => (who, None),
            };
            let question = CreateToken {
                namespace: namespace.to_owned(),
                service_account: account,
                uses: options.uses,
                seconds: options.lasts.as_secs(),
            };
            ask(&options.context, question, terminal, tell::token_made)
        }
        TokenCommand::List(context) => ask(context, ListTokens {}, terminal, tell::tokens),
        TokenCommand::Drop(options) => {
            let question = DropToken {
                id: options.id.clone(),
            };
            ask(&options.context, question, terminal, tell::forgotten)
        }
    }
}

/// Asks, and tells the answer in the form that was wished for. A refusal is an answer too, a bad one.
pub(crate) fn ask<Q>(
    context: &Context,
    question: Q,
    terminal: &mut Terminal,
    tell: impl FnOnce(&Q::Answer, &mut Terminal) -> anyhow::Result<Answer>,
) -> anyhow::Result<Answer>
where
    Q: Ask<Answer: Serialize>,
{
    let chosen = Chosen::choose(context.context.as_deref())?;
    let json = context.output == Output::Json;
    match chosen.ask(question)? {
        Ok(answer) if json => {
            terminal.text(&serde_json::to_string_pretty(&answer)?)?;
            Ok(Answer::Fine)
        }
        Ok(answer) => tell(&answer, terminal),
        Err(failure) => refused(&failure, json, terminal),
    }
}

/// Tells a refusal: the answer is a bad one.
pub(crate) fn refused(
    failure: &Failure,
    json: bool,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    if json {
        terminal.text(&serde_json::to_string_pretty(failure)?)?;
        return Ok(Answer::Bad);
    }
    render::failure::print(failure, terminal)?;
    Ok(Answer::Bad)
}
