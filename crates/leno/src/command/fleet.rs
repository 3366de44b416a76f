//! The commands that ask a control plane, one function for each; what they print begins with context and
//! revision.

mod proxies;
mod tell;

use std::path::Path;

use anyhow::{Context as _, bail};
use leno_admin::{
    Applied, Apply, Ask, CreateToken, Delete, DiffOf, DropToken, Failure, File, HistoryOf,
    ListTokens, OpenDashboard, ReadmitProxies, Recover, Reinstate, RenewCertificate, Revoke,
    Rollback, RotateRoot, TrustOf,
};
use serde::Serialize;

use crate::arguments::Output;
use crate::arguments::fleet::{self, Certificates, Context, ControlCommand, Fleet, TokenCommand};
use crate::command::context::Context as Chosen;
use crate::command::{Answer, control, join, leave, status, view};
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
        Fleet::Apply(options) => apply(options, terminal),
        Fleet::Delete(options) => delete(options, terminal),
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
        Fleet::Rollback(options) => {
            let question = Rollback {
                to: options.to,
                if_revision: options.terms.if_revision,
                message: options.terms.message.clone(),
                allow_errors: options.terms.allow_errors,
                dry_run: options.terms.dry_run,
            };
            take_back(&options.context, question, terminal)
        }
        Fleet::Token(options) => token(&options.command, terminal),
        Fleet::Status(options) => status::run(options, terminal),
        Fleet::Proxies(options) => proxies::run(&options.context, terminal),
        Fleet::View(options) => view::run(options, terminal),
        Fleet::Dashboard(options) => ask(&options.context, OpenDashboard {}, terminal, tell::link),
    }
}

/// Runs a command about whom the mesh trusts.
pub(crate) fn run_certificates(
    command: &Certificates,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    match command {
        Certificates::List(context) => ask(context, TrustOf {}, terminal, tell::trust),
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

fn apply(options: &fleet::Apply, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let files = Files::read(&options.input.files)?;
    if files.resources.is_empty() {
        bail!("there is no .yaml, .yml or .json file in what -f names");
    }
    let set = match &options.set {
        Some(set) => set.clone(),
        None => set_of(&options.input.files)?,
    };
    let mut asked = Vec::new();
    for (path, text) in files.resources {
        let text = String::from_utf8(text);
        let text = text.with_context(|| format!("{path} is not UTF-8 text"))?;
        asked.push(File { path, text });
    }
    let question = Apply {
        files: asked,
        namespace: options.input.namespace.clone(),
        set,
        prune: options.prune,
        if_revision: options.terms.if_revision,
        message: options.terms.message.clone(),
        allow_errors: options.terms.allow_errors,
        dry_run: options.terms.dry_run,
    };
    ask(&options.context, question, terminal, |told, terminal| {
        tell::applied(told, None, terminal)
    })
}

/// The name of the folder that is applied, or in which the file is that is; of several, a name must
/// be given.
fn set_of(paths: &[std::path::PathBuf]) -> anyhow::Result<String> {
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

fn delete(options: &fleet::Delete, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    let object = |text: &String| match text.split('/').collect::<Vec<_>>().as_slice() {
        [kind @ ("Mesh" | "Namespace"), name] => Ok(format!("{kind} {name}")),
        [kind, name] => Ok(format!("{kind} {}/{name}", options.namespace)),
        [kind, namespace, name] => Ok(format!("{kind} {namespace}/{name}")),
        _ => bail!("{text:?} names no object: write KIND/NAME"),
    };
    let question = Delete {
        objects: options
            .objects
            .iter()
            .map(object)
            .collect::<anyhow::Result<_>>()?,
        if_revision: options.terms.if_revision,
        message: options.terms.message.clone(),
        allow_errors: options.terms.allow_errors,
        dry_run: options.terms.dry_run,
    };
    take_back(&options.context, question, terminal)
}

/// Asks for a change that takes back what was applied: where a file is looked at, until it changes.
fn take_back(
    context: &Context,
    question: impl Ask<Answer = Applied>,
    terminal: &mut Terminal,
) -> anyhow::Result<Answer> {
    let chosen = Chosen::choose(context.context.as_deref())?;
    ask_of(
        &chosen,
        context.output,
        question,
        terminal,
        |told, terminal| tell::applied(told, chosen.file(), terminal),
    )
}

fn token(command: &TokenCommand, terminal: &mut Terminal) -> anyhow::Result<Answer> {
    match command {
        TokenCommand::Create(options) => {
            let (namespace, account) = match options.who.split_once('/') {
                Some((namespace, account)) => (namespace, Some(account.to_owned())),
                None => (options.who.as_str(), None),
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
fn ask<Q>(
    context: &Context,
    question: Q,
    terminal: &mut Terminal,
    tell: impl FnOnce(&Q::Answer, &mut Terminal) -> anyhow::Result<Answer>,
) -> anyhow::Result<Answer>
where
    Q: Ask<Answer: Serialize>,
{
    let chosen = Chosen::choose(context.context.as_deref())?;
    ask_of(&chosen, context.output, question, terminal, tell)
}

fn ask_of<Q>(
    chosen: &Chosen,
    output: Output,
    question: Q,
    terminal: &mut Terminal,
    tell: impl FnOnce(&Q::Answer, &mut Terminal) -> anyhow::Result<Answer>,
) -> anyhow::Result<Answer>
where
    Q: Ask<Answer: Serialize>,
{
    let json = output == Output::Json;
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
