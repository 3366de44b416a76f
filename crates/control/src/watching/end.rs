//! How a watched change goes back, and who is told of it.

use std::collections::BTreeSet;
use std::time::Duration;

use leno_admin::figures::moment;
use leno_admin::{Finding, Since};
use leno_model::{Code, Severity};
use leno_store::{
    Came, Change, Deed, End, Ended, KeptWatch, Label, Message, NotRead, Refused, Remembering,
    SOURCE,
};

use crate::center::Center;
use crate::clock;
use crate::event::Event;
use crate::watching::{changes, message};

/// How long it is told that a change went back.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// Undoes a change, as a revision of its own: of `who` took it back, or of its own accord in the name of
/// who made it. It is in force when this returns.
pub(super) fn go_back(
    center: &Center,
    watch: &KeptWatch,
    who: Option<&Label>,
    end: End,
    why: Message,
) -> Result<(), NotRead> {
    let own = || Label::new(&format!("watch of {}", watch.who)).unwrap_or(watch.who.clone());
    let change = Change {
        source: Label::new(SOURCE).expect("a constant that is a label"),
        who: who.cloned().unwrap_or_else(own),
        message: why.clone(),
        at: clock::wall(),
        expected: None,
        deed: Deed::Undo {
            of: watch.revision,
            end,
        },
        watch: None,
    };
    // What stood before may have had errors: it is what worked.
    match center.store.commit(change, |_| Ok(())) {
        Ok(outcome) => {
            if who.is_none() {
                note(center, watch, outcome.revision.0, &why);
                center.tell(&Event::WentBack {
                    revision: watch.revision,
                    by: outcome.revision,
                    why: why.to_string(),
                });
            }
            center.renew()
        }
        Err(Refused::NoSuchRevision(gone)) => {
            // It has left the log, and what came since stands on it.
            let ended = center
                .store
                .end_watch(watch.revision, End::Kept, &why, clock::wall());
            ended.map_err(NotRead::Failed)?;
            Err(NotRead::NoSuchRevision(gone))
        }
        Err(Refused::Failed(failed)) => Err(NotRead::Failed(failed)),
        Err(refused) => {
            let why = format!("{} {}: {refused}", refused.code(), refused.code().slug());
            center.trouble(refused.code(), refused);
            if who.is_some() || center.watching.refused(watch.revision) {
                return Ok(());
            }
            let why = message(&format!("it cannot be taken back: {why}"));
            let ended = center
                .store
                .end_watch(watch.revision, End::Stuck, &why, clock::wall());
            ended.map(drop).map_err(NotRead::Failed)
        }
    }
}

/// Writes down that a change went back by itself.
fn note(center: &Center, watch: &KeptWatch, by: u64, why: &Message) {
    let label = |text: &str| Label::new(text).expect("short words are a label");
    let about = format!("revision {} by {by}: {why}", watch.revision);
    let note = leno_store::Note {
        at: clock::wall(),
        who: watch.who.clone(),
        from: label("the watch"),
        what: label("went-back"),
        about: Message::new(&about).unwrap_or_default(),
        came: Came::Done,
        revision: center.store.head().revision,
    };
    if let Err(failed) = center.store.note(&note, Remembering::default()) {
        center.trouble(Code::S018, failed);
    }
}

/// The changes that are watched, and those that went back of late, as findings.
pub(crate) fn findings(center: &Center) -> Vec<Finding> {
    let watches = match center.store.watches() {
        Ok(watches) => watches,
        Err(failed) => {
            center.trouble(failed.code(), failed);
            return Vec::new();
        }
    };
    let now = clock::wall();
    let found = watches.into_iter().filter_map(|watch| {
        let of = changes(center, watch.revision).unwrap_or_default();
        // One that is about several namespaces is for those who see all of them.
        let namespaces: BTreeSet<_> = of.iter().map(|change| &change.key().namespace).collect();
        let object = of.first().filter(|_| namespaces.len() == 1);
        let object = object.map(|change| change.key().to_string());
        match &watch.ended {
            None => Some(runs(&watch, object)),
            Some(ended) if now.since(ended.at) < REMEMBERED => over(&watch, ended, object),
            Some(_) => None,
        }
    });
    found.collect()
}

fn since(watch: &KeptWatch) -> Option<Since> {
    Some(Since {
        at: watch.at.to_string(),
        revision: Some(watch.revision.0),
        who: Some(watch.who.to_string()),
    })
}

fn runs(watch: &KeptWatch, object: Option<String>) -> Finding {
    let (revision, until) = (watch.revision, watch.terms.until);
    Finding {
        since: since(watch),
        next: Some(format!(
            "leno watch {revision} · leno watch {revision} --keep · leno watch {revision} --back"
        )),
        ..Finding::running(
            Code::S012,
            Severity::Info,
            object,
            format!(
                "revision {revision} is watched until {}",
                moment(&until.to_string(), &clock::wall().to_string())
            ),
            "what it says; it goes back by itself if calls fail that it can have touched",
        )
    }
}

fn over(watch: &KeptWatch, ended: &Ended, object: Option<String>) -> Option<Finding> {
    let (revision, why) = (watch.revision, &ended.why);
    let before = revision.0.saturating_sub(1);
    let went_back = |code| {
        let text = format!("revision {revision} went back by itself: {why}");
        (code, Severity::Warning, text, "what stood before it")
    };
    let (code, severity, text, in_force) = match ended.end {
        End::WentBack => went_back(Code::S013),
        End::Unseen => went_back(Code::S014),
        End::Stuck => {
            let text = format!("revision {revision} should have gone back, and {why}");
            (Code::D011, Severity::Error, text, "what it says")
        }
        End::Stayed | End::Kept | End::TakenBack => return None,
    };
    Some(Finding {
        since: since(watch),
        next: Some(format!(
            "leno diff {before} {revision} · leno watch {revision}"
        )),
        ..Finding::running(code, severity, object, text, in_force)
    })
}
