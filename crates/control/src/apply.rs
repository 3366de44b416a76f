//! Changes of the configuration: read, checked against what stands, committed whole or not at all.

use std::sync::Arc;
use std::time::Duration;

use leno_admin::{
    AddOverride, Applied, Apply, Delete, Failure, File, Finding, Held, Rollback, WatchFor,
    read_object,
};
use leno_model::{Code, Measure, Note, Notes, ObjectRef, Origin, Place, Severity};
use leno_resources::{Resources, Source, Text};
use leno_store::{Change, Deed, Draft, Label, ObjectChange, Refused, Revision, SOURCE, Upsert};

use crate::administer::{
    findings, label, message, namespace, not_read, status, store_failed, told,
};
use crate::center::{Basis, Center};
use crate::clock;
use crate::meaning::Meaning;
use crate::overrides;
use crate::sight::Sight;
use crate::watching;

/// Makes files part of the configuration.
pub(crate) fn apply(
    center: &Center,
    sight: &Sight,
    who: Label,
    ask: Apply,
) -> Result<Applied, Failure> {
    if center.follows_cluster() {
        return Err(Failure {
            advice: Some(
                "leno apply where a kubeconfig leads to the cluster, or kubectl apply".to_owned(),
            ),
            ..Failure::coded(
                Code::K026,
                "nothing was changed: the mesh is what a cluster says, and what is kept here nobody sees there",
            )
        });
    }
    let upserts = read_files(ask.files, &ask.namespace)?;
    for upsert in &upserts {
        sight.may_change(&upsert.key)?;
    }
    let deed = Deed::Apply {
        set: label("set", &ask.set)?,
        upserts,
        prune: ask.prune,
    };
    let terms = Terms {
        who,
        message: ask.message,
        if_revision: ask.if_revision,
        allow_errors: ask.allow_errors,
        dry_run: ask.dry_run,
        watch: ask.watch,
    };
    change(center, sight, deed, terms)
}

/// The objects in files, each with its own text. A document that cannot be one refuses them all.
pub(crate) fn read_files(files: Vec<File>, namespace: &str) -> Result<Vec<Upsert>, Failure> {
    let namespace = self::namespace(namespace)?;
    let files = files
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
    upserts(&resources)
}

/// Takes objects out of the configuration.
pub(crate) fn delete(
    center: &Center,
    sight: &Sight,
    who: Label,
    ask: Delete,
) -> Result<Applied, Failure> {
    let objects = ask
        .objects
        .iter()
        .map(|text| read_object(text).map_err(Failure::plain));
    let objects = objects.collect::<Result<Vec<_>, _>>()?;
    for object in &objects {
        // Whether it is there is no answer for who may not change it.
        sight.may_change(object)?;
    }
    let deed = Deed::Delete { objects };
    let terms = Terms {
        who,
        message: ask.message,
        if_revision: ask.if_revision,
        allow_errors: ask.allow_errors,
        dry_run: ask.dry_run,
        watch: ask.watch,
    };
    change(center, sight, deed, terms)
}

/// Makes the configuration what it was.
pub(crate) fn rollback(
    center: &Center,
    sight: &Sight,
    who: Label,
    ask: Rollback,
) -> Result<Applied, Failure> {
    let to = Revision(ask.to);
    let hold = ask.hold.map(|seconds| AddOverride {
        measure: Measure::Hold(ask.to).to_string(),
        seconds,
        message: ask.message.clone(),
        force: false,
    });
    match &hold {
        // It is looked at also where another is held already: what the cluster is to be told is asked then.
        Some(hold) if ask.dry_run => drop(overrides::may_ask(sight, hold)?),
        // All is done, or nothing.
        Some(hold) => drop(overrides::may_add(center, sight, hold)?),
        None => {}
    }
    let deed = Deed::Rollback { to };
    let terms = Terms {
        who: who.clone(),
        message: ask.message,
        if_revision: ask.if_revision,
        allow_errors: ask.allow_errors,
        dry_run: ask.dry_run,
        watch: ask.watch,
    };
    let dry_run = terms.dry_run;
    let mut applied = change(center, sight, deed, terms)?;
    match hold {
        None => {
            if !center.not_own(to).map_err(not_read)?.is_empty() {
                let to = ask.to;
                applied.advice = Some(format!(
                    "leno rollback {to} --hold 1h serves what others own as it was, until they have mended it"
                ));
            }
            Ok(applied)
        }
        Some(hold) => holding(center, sight, who, &hold, to, dry_run, applied),
    }
}

/// What a rollback comes to while what others own is held as it was, too.
fn holding(
    center: &Center,
    sight: &Sight,
    who: Label,
    hold: &AddOverride,
    to: Revision,
    dry_run: bool,
    mut applied: Applied,
) -> Result<Applied, Failure> {
    let changes = center.not_own(to).map_err(not_read)?;
    let held = Held {
        id: None,
        until: (clock::wall() + Duration::from_secs(hold.seconds)).to_string(),
        changes: changes.iter().map(|one| told(one, dry_run)).collect(),
    };
    applied.left = Vec::new();
    if dry_run {
        let objects = center.store.at(to).map_err(not_read)?;
        let weighed = Weighed::against(
            center,
            Arc::new(center.supposed(&objects, &center.sources())),
        );
        let then = center.imagined(&weighed.after);
        applied.proxies = center.affected(&then);
        applied.findings = weighed.findings();
        applied.held = Some(Box::new(held));
        return Ok(applied);
    }
    let added = overrides::add(center, sight, who, hold)?;
    let (id, until) = added.told.map(|told| (told.id, told.until)).unzip();
    applied.status = added.status;
    applied.held = Some(Box::new(Held {
        id,
        until: until.unwrap_or(held.until),
        ..held
    }));
    Ok(applied)
}

/// On which terms something is done.
struct Terms {
    who: Label,
    message: String,
    if_revision: Option<u64>,
    allow_errors: bool,
    dry_run: bool,
    watch: Option<WatchFor>,
}

fn change(center: &Center, sight: &Sight, deed: Deed, terms: Terms) -> Result<Applied, Failure> {
    let now = clock::wall();
    let watch = terms
        .watch
        .as_ref()
        .map(|wanted| watching::terms(center, wanted, now));
    let change = Change {
        source: Label::new(SOURCE).expect("a constant that is a label"),
        who: terms.who,
        message: message(&terms.message)?,
        at: now,
        expected: terms.if_revision.map(Revision),
        deed,
        watch: watch.transpose()?,
    };
    let is_watched = change.watch.is_some() && !terms.dry_run;
    let mut weighed = None;
    let mut barred = None;
    let check = |draft: &Draft<'_>| {
        for key in draft.changes().iter().map(ObjectChange::key) {
            if let Err(failure) = sight.may_change(key) {
                barred = Some(failure);
                return Err(Refused::Barred(key.clone()));
            }
        }
        let found = Weighed::of(center, draft)?;
        for key in draft.changes().iter().map(ObjectChange::key) {
            if let Err(failure) = may_attest(center, sight, key, &found.after) {
                barred = Some(failure);
                return Err(Refused::Barred(key.clone()));
            }
        }
        let accepted = found.accepted(sight, terms.allow_errors);
        weighed = Some(found);
        accepted
    };
    let done = match terms.dry_run {
        true => center.store.rehearse(change, check),
        false => center.store.commit(change, check),
    };
    match done {
        Ok(outcome) => {
            let mut proxies = Vec::new();
            if terms.dry_run {
                let after = weighed.as_ref().map(|weighed| &weighed.after);
                let then = after.map(|after| center.imagined(after));
                proxies.extend(then.map(|then| center.affected(&then)));
            } else {
                if let Some(weighed) = &weighed {
                    weighed.came_true(center);
                }
                if let Err(error) = center.renew() {
                    // It is committed, and the task that renews tries again.
                    center.trouble(error.code(), error);
                }
            }
            let changes = outcome.changes.iter();
            let made = !outcome.changes.is_empty() && !terms.dry_run;
            let watch = (made && is_watched).then(|| watching::begun(center, outcome.revision));
            Ok(Applied {
                status: status(center),
                dry_run: terms.dry_run,
                made,
                watch: watch.flatten().map(Box::new),
                changes: changes.map(|change| told(change, terms.dry_run)).collect(),
                proxies: proxies.into_iter().flatten().collect(),
                advice: None,
                held: None,
                left: outcome.left.iter().map(ToString::to_string).collect(),
                findings: weighed
                    .map(|weighed| weighed.findings())
                    .unwrap_or_default(),
            })
        }
        Err(refused @ Refused::Barred(_)) => {
            Err(barred.unwrap_or_else(|| Failure::coded(refused.code(), refused)))
        }
        Err(refused) => Err(not_changed(refused, weighed.as_ref())),
    }
}

/// Whether a change of an object may be made that says, or said, who is let in by what he is.
pub(crate) fn may_attest(
    center: &Center,
    sight: &Sight,
    key: &ObjectRef,
    after: &Meaning,
) -> Result<(), Failure> {
    let says = |meaning: &Meaning| {
        let workloads = meaning.written.resources.workloads.iter();
        let mut named = workloads.filter(|it| **it.reference() == *key);
        named.any(|it| match it.spec.partly() {
            Some(spec) => spec.attestation.is_some(),
            None => true,
        })
    };
    let Some(namespace) = key
        .namespace
        .as_ref()
        .filter(|_| &*key.kind == "MeshWorkload")
    else {
        return Ok(());
    };
    match says(after) || says(&center.edition().meaning) {
        true => sight.may_let_in(namespace),
        false => Ok(()),
    }
}

/// Why nothing was changed.
pub(crate) fn not_changed(refused: Refused, weighed: Option<&Weighed>) -> Failure {
    match refused {
        Refused::HasErrors(errors) => {
            let refused = Refused::HasErrors(errors.clone());
            let errors: Vec<_> = errors.into_iter().collect();
            let findings = weighed.map(|weighed| findings(&weighed.after, &errors));
            Failure {
                findings: findings.unwrap_or_default(),
                advice: Some("correct it, or accept it by --allow-errors".to_owned()),
                ..Failure::coded(Code::S005, format_args!("nothing was changed: {refused}"))
            }
        }
        Refused::OwnedElsewhere(objects)
            if objects.iter().any(|(_, owner)| owner.is_observed()) =>
        {
            let refused = Refused::OwnedElsewhere(objects);
            let advice = "change it there: leno delete where a kubeconfig leads to the cluster, or kubectl; leno plan -f says before what that would mean";
            Failure {
                advice: Some(advice.to_owned()),
                ..Failure::coded(refused.code(), refused)
            }
        }
        Refused::Failed(failed) => store_failed(failed),
        Refused::Watched { revision, .. } => Failure {
            advice: Some(format!(
                "leno watch {revision} shows it; --keep lets it stay, --back takes it back; then apply again"
            )),
            ..Failure::coded(Code::S012, format_args!("nothing was changed: {refused}"))
        },
        Refused::MovedOn { expected, head } => Failure {
            advice: Some(format!("leno diff {expected} {head}, then apply again")),
            ..Failure::coded(Code::S004, Refused::MovedOn { expected, head })
        },
        refused => Failure {
            advice: (refused.code() == Code::S007).then(|| "leno history".to_owned()),
            ..Failure::coded(refused.code(), refused)
        },
    }
}

/// What a change means, and what of it would not hold as it is written.
pub(crate) struct Weighed {
    pub(crate) after: Arc<Meaning>,
    /// What it rests on, where it is that of a revision that may be committed.
    basis: Option<Basis>,
    /// The findings that the configuration before it lacks.
    news: Vec<Note>,
}

impl Weighed {
    /// Reads the configuration before a change, and after it.
    pub(crate) fn of(center: &Center, draft: &Draft<'_>) -> Result<Self, Refused> {
        let sources = center.sources();
        let edition = center.edition();
        let before = match edition.revision == draft.base() {
            true => Arc::clone(&edition.meaning),
            false => center.foreseen(draft.base(), draft.before()?, &sources)?.1,
        };
        let (basis, after) = center.foreseen(draft.base().next(), draft.after()?, &sources)?;
        Ok(Self {
            basis: Some(basis),
            ..Self::between(&before, after)
        })
    }

    /// What would hold in place of what does.
    fn against(center: &Center, after: Arc<Meaning>) -> Self {
        Self::between(&center.edition().meaning, after)
    }

    /// What would hold in place of something else.
    pub(crate) fn between(before: &Meaning, after: Arc<Meaning>) -> Self {
        let news = after.news(before).into_iter().cloned().collect();
        Self {
            after,
            basis: None,
            news,
        }
    }

    /// Whether it may be made by whoever may change so much, and accepts errors or not. What breaks something of
    /// others is not for whoever does so to accept.
    pub(crate) fn accepted(&self, sight: &Sight, allow_errors: bool) -> Result<(), Refused> {
        let errors = self.errors();
        let mut others = errors.iter().filter_map(Note::object);
        let breaks_others = others.any(|object| sight.may_change(object).is_err());
        match errors.is_empty() || (allow_errors && !breaks_others) {
            true => Ok(()),
            false => Err(Refused::HasErrors(errors)),
        }
    }

    /// What a change means that changes nothing.
    pub(crate) fn unchanged(center: &Center) -> Self {
        Self {
            after: Arc::clone(&center.edition().meaning),
            basis: None,
            news: Vec::new(),
        }
    }

    /// Spares the control plane reading once more what it means: the change is committed.
    fn came_true(&self, center: &Center) {
        if let Some(basis) = &self.basis {
            center.came_true(basis.clone(), Arc::clone(&self.after));
        }
    }

    /// The errors that the change brings.
    pub(crate) fn errors(&self) -> Notes {
        let mut errors = Notes::default();
        let of = self.news.iter();
        for note in of.filter(|note| note.severity == Severity::Error) {
            errors.push(note.clone());
        }
        errors
    }

    /// All that it brings and that would not hold.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        findings(&self.after, &self.news)
    }
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
        bytes: bytes.clone().into(),
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
