//! From the file to a revision: what is written in the folder is applied as the set named after it,
//! at the start and whenever it changes.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use leno_admin::{Applied, Apply, Asker, Failure, File, HistoryOf, Past};
use leno_control::Desk;
use tokio::sync::mpsc;

use super::{Happened, News, Source, Up};
use crate::up::news::Revised;
use crate::up::place::Place;
use crate::up::source::{OBJECTS, PROCFILE};
use crate::up::watcher::Watcher;

impl Up {
    /// Applies what is written. Nothing happens where that is what was applied last.
    pub(super) fn handle_written(&mut self, written: Result<Source, String>) -> anyhow::Result<()> {
        let applied = match written {
            Ok(source) if source.text == self.source.text && !self.is_behind => return Ok(()),
            Ok(mut source) => {
                source.set.clone_from(&self.source.set);
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
        withhold(&self.desk, &self.source.folder, applied.as_ref().err());
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
pub(super) fn begin(
    desk: &Desk,
    source: &mut Source,
    place: &Place,
) -> anyhow::Result<Option<News>> {
    let Some(file) = source.file else {
        return Ok(None);
    };
    let revision = desk.edition().revision();
    let kept = fs::read_to_string(place.applied()).unwrap_or_default();
    if let Some((set, text)) = kept.split_once('\n') {
        // A folder that has another name since then is the same set.
        source.set = set.to_owned();
        if text == source.text {
            return Ok(held(desk, file));
        }
    }
    match apply(desk, source, "leno up", revision == 0) {
        Ok(_) => {
            keep(place, source)?;
            Ok(None)
        }
        Err(why) if revision == 0 => Err(why.into()),
        Err(why) => {
            withhold(desk, &source.folder, Some(&why));
            Ok(Some(not_in_force(why, revision)))
        }
    }
}

/// Lets whoever asks how the mesh is know why what is written is not in force.
fn withhold(desk: &Desk, folder: &Path, why: Option<&Failure>) {
    let file = Source::file_of(folder).unwrap_or(OBJECTS);
    desk.withhold(file, why);
}

/// Says that somebody has taken back what is written, if so.
fn held(desk: &Desk, file: &'static str) -> Option<News> {
    let past = newest(desk)?;
    takes_back(&past).then(|| {
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
pub(super) fn newest(desk: &Desk) -> Option<Past> {
    let question = HistoryOf {
        limit: 1,
        before: None,
    };
    desk.history(&question).ok()?.revisions.into_iter().next()
}

/// Whether a revision takes back what was applied: what is written then is not what is in force.
pub(super) fn takes_back(past: &Past) -> bool {
    past.what == "delete" || past.what.starts_with("rollback to ") || past.what.starts_with("undo ")
}

fn apply(desk: &Desk, source: &Source, why: &str, allow_errors: bool) -> Result<Applied, Failure> {
    let who = Asker::User(rustix::process::geteuid().as_raw());
    let file = File {
        path: source.file.unwrap_or_default().to_owned(),
        text: source.text.clone(),
    };
    let ask = Apply {
        files: vec![file],
        namespace: source.namespace().to_string(),
        set: source.set.clone(),
        prune: true,
        if_revision: None,
        message: why.to_owned(),
        allow_errors,
        dry_run: false,
        watch: None,
    };
    desk.apply(who, ask)
}

/// Remembers what was applied, so that it is not applied again.
fn keep(place: &Place, source: &Source) -> anyhow::Result<()> {
    let file = place.applied();
    let kept = format!("{}\n{}", source.set, source.text);
    fs::write(&file, kept).with_context(|| format!("cannot write {}", file.display()))
}

/// Tells whenever something else is written.
pub(super) async fn watch(folder: PathBuf, happen: mpsc::UnboundedSender<Happened>) {
    let mut watcher = Watcher::new(&folder);
    loop {
        watcher.changed().await;
        let written = match Source::file_of(&folder) {
            None => Err(format!("{OBJECTS} and {PROCFILE} are gone")),
            Some(_) => Source::read(&folder).map_err(|error| format!("{error:#}")),
        };
        if happen.send(Happened::Written(written)).is_err() {
            return;
        }
    }
}
