//! Changes of the configuration: read, checked against what stands, committed whole or not at all.

use std::sync::Arc;

use leno_admin::{Applied, Apply, Delete, Failure, Finding, Rollback, read_object};
use leno_model::{Code, Note, Notes, Origin, Place, Severity};
use leno_resources::{Resources, Source, Text};
use leno_store::{Change, Deed, Draft, Label, Refused, Revision, SOURCE, Upsert};

use crate::administer::{findings, label, message, namespace, status, store_failed, told};
use crate::center::Center;
use crate::clock;
use crate::meaning::Meaning;

/// Makes files part of the configuration.
pub(crate) fn apply(center: &Center, who: Label, ask: Apply) -> Result<Applied, Failure> {
    let namespace = namespace(&ask.namespace)?;
    let files = ask
        .files
        .into_iter()
        .map(|file| (Arc::from(file.path), file.text.into_bytes()));
    let files: Vec<(Arc<str>, Vec<u8>)> = files.collect();
    let (resources, notes) = Resources::read(files.iter().cloned(), &namespace);
    let lost: Vec<_> = notes.iter().filter(|note| is_lost(note)).collect();
    if let Some(first) = lost.first() {
        let message = match lost.len() {
            1 => "a document of the files cannot be part of a configuration".to_owned(),
            count => format!("{count} documents of the files cannot be part of a configuration"),
        };
        return Err(Failure {
            findings: lost
                .iter()
                .map(|note| Finding::of(note, line(&files, note)))
                .collect(),
            ..Failure::coded(first.code, message)
        });
    }
    let deed = Deed::Apply {
        set: label("set", &ask.set)?,
        upserts: upserts(&resources)?,
        prune: ask.prune,
    };
    let terms = Terms {
        who,
        message: ask.message,
        if_revision: ask.if_revision,
        allow_errors: ask.allow_errors,
        dry_run: ask.dry_run,
    };
    change(center, deed, terms)
}

/// Takes objects out of the configuration.
pub(crate) fn delete(center: &Center, who: Label, ask: Delete) -> Result<Applied, Failure> {
    let objects = ask
        .objects
        .iter()
        .map(|text| read_object(text).map_err(Failure::plain));
    let deed = Deed::Delete {
        objects: objects.collect::<Result<_, _>>()?,
    };
    let terms = Terms {
        who,
        message: ask.message,
        if_revision: ask.if_revision,
        allow_errors: ask.allow_errors,
        dry_run: ask.dry_run,
    };
    change(center, deed, terms)
}

/// Makes the configuration what it was.
pub(crate) fn rollback(center: &Center, who: Label, ask: Rollback) -> Result<Applied, Failure> {
    let deed = Deed::Rollback {
        to: Revision(ask.to),
    };
    let terms = Terms {
        who,
        message: ask.message,
        if_revision: ask.if_revision,
        allow_errors: ask.allow_errors,
        dry_run: ask.dry_run,
    };
    change(center, deed, terms)
}

/// On which terms something is done.
struct Terms {
    who: Label,
    message: String,
    if_revision: Option<u64>,
    allow_errors: bool,
    dry_run: bool,
}

fn change(center: &Center, deed: Deed, terms: Terms) -> Result<Applied, Failure> {
    let change = Change {
        source: Label::new(SOURCE).expect("a constant that is a label"),
        who: terms.who,
        message: message(&terms.message)?,
        at: clock::wall(),
        expected: terms.if_revision.map(Revision),
        deed,
    };
    let mut meant = None;
    let mut news = Vec::new();
    let check = |draft: &Draft<'_>| {
        let (before, after) = read(center, draft)?;
        news = after.news(&before).into_iter().cloned().collect();
        meant = Some(after);
        let mut errors = Notes::default();
        for note in news.iter().filter(|note| note.severity == Severity::Error) {
            errors.push(note.clone());
        }
        match errors.is_empty() || terms.allow_errors {
            true => Ok(()),
            false => Err(Refused::HasErrors(errors)),
        }
    };
    let done = match terms.dry_run {
        true => center.store.rehearse(change, check),
        false => center.store.commit(change, check),
    };
    let found = |notes: &[Note]| {
        meant
            .as_deref()
            .map(|meant| findings(meant, notes))
            .unwrap_or_default()
    };
    match done {
        Ok(outcome) => {
            let mut proxies = Vec::new();
            if terms.dry_run {
                proxies.extend(meant.as_ref().map(|meant| center.affected(meant)));
            } else if let Err(error) = center.renew() {
                // It is committed, and the task that renews tries again.
                center.trouble(error.code(), error);
            }
            let changes = outcome.changes.iter();
            Ok(Applied {
                status: status(center),
                dry_run: terms.dry_run,
                made: !outcome.changes.is_empty() && !terms.dry_run,
                changes: changes.map(|change| told(change, terms.dry_run)).collect(),
                proxies: proxies.into_iter().flatten().collect(),
                left: outcome.left.iter().map(ToString::to_string).collect(),
                findings: found(&news),
            })
        }
        Err(Refused::HasErrors(errors)) => {
            let refused = Refused::HasErrors(errors.clone());
            let errors: Vec<_> = errors.into_iter().collect();
            Err(Failure {
                findings: found(&errors),
                advice: Some("correct it, or accept it by --allow-errors".to_owned()),
                ..Failure::coded(Code::S005, format_args!("nothing was changed: {refused}"))
            })
        }
        Err(Refused::Failed(failed)) => Err(store_failed(failed)),
        Err(Refused::MovedOn { expected, head }) => Err(Failure {
            advice: Some(format!("leno diff {expected} {head}, then apply again")),
            ..Failure::coded(Code::S004, Refused::MovedOn { expected, head })
        }),
        Err(refused) => Err(Failure {
            advice: (refused.code() == Code::S007).then(|| "leno history".to_owned()),
            ..Failure::coded(refused.code(), refused)
        }),
    }
}

/// What the configuration means before a change, and after it.
fn read(center: &Center, draft: &Draft<'_>) -> Result<(Arc<Meaning>, Arc<Meaning>), Refused> {
    let folders = center.folders();
    let edition = center.edition();
    let before = match edition.revision == draft.base() {
        true => Arc::clone(&edition.meaning),
        false => center.meaning(draft.base(), &draft.before()?, &folders),
    };
    let after = center.meaning(draft.base().next(), &draft.after()?, &folders);
    Ok((before, after))
}

/// Whether a finding costs the whole document: then there is no object to keep.
fn is_lost(note: &Note) -> bool {
    note.severity == Severity::Error && (note.origin.is_none() || note.code == Code::C008)
}

/// What stands on the line that a finding is about.
fn line(files: &[(Arc<str>, Vec<u8>)], note: &Note) -> Option<String> {
    let start = &note.span.as_ref()?.start;
    let (path, bytes) = files.iter().find(|(path, _)| *path == start.file)?;
    let source = Source {
        path: path.clone(),
        bytes: bytes.clone(),
    };
    source.line(start.line)
}

/// The objects, each with its own text.
fn upserts(resources: &Resources) -> Result<Vec<Upsert>, Failure> {
    let upsert = |(origin, text): (Origin, Option<Text>)| {
        let entangled = || {
            let message = format!(
                "{origin}: {} is nothing without the rest of its list: write it as a document of its own",
                origin.object
            );
            Failure::coded(Code::C004, message)
        };
        let text = text.ok_or_else(entangled)?;
        let file = origin.place.as_ref().map(|place| place.file.clone());
        Ok(Upsert {
            key: (*origin.object).clone(),
            place: file.map(|file| Place {
                file,
                line: text.line,
                column: 1,
            }),
            text: text.document.into(),
        })
    };
    resources.texts().map(upsert).collect()
}
