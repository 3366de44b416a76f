//! From the file to a revision: what is written in the folder is applied as the set named after it,
//! at the start and whenever it changes.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use leno_admin::{Applied, Apply, Asker, Failure, File, HistoryOf};
use leno_control::Desk;
use tokio::sync::mpsc;

use super::{Happened, News, Source, Up};
use crate::up::news::Revised;
use crate::up::place::Place;
use crate::up::watcher::Watcher;

impl Up {
    /// Applies what is written. Nothing happens where that is what was applied last.
    pub(super) fn handle_written(&mut self, written: Result<Source, String>) -> anyhow::Result<()> {
        let applied = match written {
            Ok(source) if source.text == self.source.text && !self.is_behind => return Ok(()),
            Ok(source) => {
                let why = format!("{} has changed", source.file.unwrap_or_default());
                let applied = apply(&self.desk, &source, &why, false);
                if applied.is_ok() {
                    keep(&self.place, &source)?;
                    self.source = source;
                }
                applied
            }
            Err(why) => Err(Failure::plain(why)),
        };
        self.is_behind = applied.is_err();
        match applied {
            Ok(applied) if applied.made => self.handle_edition(applied.findings)?,
            Ok(applied) => (self.tell)(News::Same(applied.status.revision)),
            Err(why) => (self.tell)(not_in_force(why, self.revision)),
        }
        Ok(())
    }
}

/// What people are advised to do about an answer to `leno apply` is not for a file that is looked at.
fn not_in_force(why: Failure, meanwhile: u64) -> News {
    let why = Failure {
        advice: None,
        status: None,
        ..why
    };
    News::NotInForce { why, meanwhile }
}

/// Applies what is written at the start, unless it was applied before: what somebody did since then,
/// as a rollback, holds until something else is written. Errors are accepted where nothing is in
/// force yet.
pub(super) fn begin(desk: &Desk, source: &Source, place: &Place) -> anyhow::Result<Option<News>> {
    let Some(file) = source.file else {
        return Ok(None);
    };
    let revision = desk.edition().revision();
    if is_kept(place, source) {
        return Ok(held(desk, file, source));
    }
    match apply(desk, source, "leno up", revision == 0) {
        Ok(_) => {
            keep(place, source)?;
            Ok(None)
        }
        Err(why) if revision == 0 => Err(why.into()),
        Err(why) => Ok(Some(not_in_force(why, revision))),
    }
}

/// Says that what is in force is not what was last applied, if so.
fn held(desk: &Desk, file: &'static str, source: &Source) -> Option<News> {
    let past = newest(desk)?;
    (past.what != cause(source)).then(|| {
        News::Revised(Revised {
            revision: past.revision,
            past: Some(past),
            changes: Vec::new(),
            findings: Vec::new(),
            programs: Vec::new(),
            until: Some(file),
        })
    })
}

/// How the newest revision came about.
pub(super) fn newest(desk: &Desk) -> Option<leno_admin::Past> {
    let question = HistoryOf {
        limit: 1,
        before: None,
    };
    desk.history(&question).ok()?.revisions.into_iter().next()
}

/// What the history says of a revision that is what is written.
pub(super) fn cause(source: &Source) -> String {
    format!("apply {}", source.mesh)
}

fn apply(desk: &Desk, source: &Source, why: &str, allow_errors: bool) -> Result<Applied, Failure> {
    let who = Asker {
        user: rustix::process::geteuid().as_raw(),
    };
    let file = File {
        path: source.file.unwrap_or_default().to_owned(),
        text: source.text.clone(),
    };
    let ask = Apply {
        files: vec![file],
        namespace: source.namespace().to_string(),
        set: source.mesh.to_string(),
        prune: true,
        if_revision: None,
        message: why.to_owned(),
        allow_errors,
    };
    desk.apply(who, ask)
}

/// Remembers what was applied, so that it is not applied again.
fn keep(place: &Place, source: &Source) -> anyhow::Result<()> {
    let file = place.applied();
    fs::write(&file, &source.text).with_context(|| format!("cannot write {}", file.display()))
}

fn is_kept(place: &Place, source: &Source) -> bool {
    let kept = fs::read_to_string(place.applied());
    kept.is_ok_and(|kept| kept == source.text)
}

/// Tells whenever something else is written.
pub(super) async fn watch(folder: PathBuf, happen: mpsc::UnboundedSender<Happened>) {
    let mut watcher = Watcher::new(&folder);
    loop {
        watcher.changed().await;
        let written = Source::read(&folder).map_err(|error| format!("{error:#}"));
        if happen.send(Happened::Written(written)).is_err() {
            return;
        }
    }
}
