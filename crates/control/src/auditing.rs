//! The audit log: who asked what from where, and what came of it. What changes nothing is written down at
//! a bounded rate: whoever looks, fails or knocks all day must not push the rest out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leno_admin::{Asker, Audit, AuditOf, Audited, AuditedOf, Failure, Outcome, Question};
use leno_model::{Code, Wall};
use leno_store::{AuditRecord, Came, Label, Message, Note, Remembering};

use crate::administer::{status, store_failed, who};
use crate::center::Center;
use crate::clock;

/// Something that is asked, as it is written down.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Nobody, where nothing was proven.
    asker: Option<Asker>,
    from: Label,
    what: Label,
    about: Message,
}

impl Asked {
    /// What `asker` asks, if that is to be written down.
    pub(crate) fn of(asker: &Asker, question: &Question) -> Self {
        let about = match question.needs().audit {
            Audit::No => String::new(),
            Audit::Before(about) | Audit::After(about) => about,
        };
        Self::new(asker, &question.word(), &about)
    }

    /// The same of something that has no question.
    pub(crate) fn new(asker: &Asker, what: &str, about: &str) -> Self {
        Self {
            asker: Some(asker.clone()),
            from: label(&asker.to_string()),
            what: label(what),
            about: message(about),
        }
    }

    /// Whoever asked has proven nothing.
    pub(crate) fn of_nobody(address: IpAddr) -> Self {
        Self {
            asker: None,
            from: label(&address.to_string()),
            what: label("ask"),
            about: Message::default(),
        }
    }
}

impl Asked {
    /// Who it is. Reads the users of this host.
    fn who(&self, center: &Center) -> Label {
        let asker = self.asker.as_ref();
        asker.map_or_else(|| label("nobody"), |asker| who(center, asker))
    }
}

/// How much is written down of what is refused in each [`WHILE`], in all; those whose looks and failures
/// are written down have roles, and are no more than the mesh names.
const MOST_REFUSALS: u32 = 60;
/// How much of each kind is written down of one who asks.
const MOST_OF_ONE: u32 = 10;
const WHILE: Duration = Duration::from_secs(60);

/// How often of late something was written down that changed nothing, by what came of it.
#[derive(Debug)]
pub(crate) struct Paces {
    refusals: Pace,
    looks: Pace,
    failures: Pace,
}

impl Default for Paces {
    fn default() -> Self {
        Self {
            refusals: Pace::new(MOST_REFUSALS),
            looks: Pace::new(u32::MAX),
            failures: Pace::new(u32::MAX),
        }
    }
}

#[derive(Debug)]
struct Pace {
    most: u32,
    lately: Mutex<Lately>,
}

#[derive(Default, Debug)]
struct Lately {
    began: Option<Wall>,
    written: u32,
    by: BTreeMap<Label, u32>,
    /// How many were not written down since the last one that was.
    passed: u64,
}

impl Pace {
    fn new(most: u32) -> Self {
        Self {
            most,
            lately: Mutex::default(),
        }
    }

    /// Writes another one of `who` down, with how many were only counted before it, or counts it. It is
    /// counted only where as many as may be are written down already.
    fn keep(
        &self,
        who: &Label,
        now: Wall,
        write: impl FnOnce(u64) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut pace = self.lock();
        // A clock that was set back begins anew, too.
        if pace
            .began
            .is_none_or(|began| now < began || now.since(began) >= WHILE)
        {
            *pace = Lately {
                began: Some(now),
                passed: pace.passed,
                ..Lately::default()
            };
        }
        // There are no more keys than records in a while.
        let own = pace.by.get(who).copied().unwrap_or_default();
        if pace.written >= self.most || own >= MOST_OF_ONE {
            pace.passed = pace.passed.saturating_add(1);
            return Ok(());
        }
        write(pace.passed)?;
        pace.written = pace.written.saturating_add(1);
        pace.by.insert(who.clone(), own + 1);
        pace.passed = 0;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Lately> {
        self.lately.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes down what is about to be answered. What cannot be written down is not.
pub(crate) fn before(center: &Center, asked: &Asked) -> Result<(), Failure> {
    let kept = paced(center, &center.paces.looks, asked, Came::Done);
    kept.map_err(|why| Failure {
        advice: Some("leno explain S018".to_owned()),
        ..Failure::coded(Code::S018, why.message)
    })
}

/// Writes down what came of something. That it cannot be is told; what was done stays done.
pub(crate) fn note(center: &Center, asked: &Asked, failure: Option<&Failure>) {
    let written = match failure {
        None => write(center, asked, Came::Done),
        Some(failure) => match code(failure) {
            Some(code @ (Code::S016 | Code::S017)) => return refused(center, asked, code),
            code => paced(center, &center.paces.failures, asked, Came::Failed(code)),
        },
    };
    if let Err(failure) = written {
        center.trouble(Code::S018, failure.message);
    }
}

/// Writes down that something was refused.
pub(crate) fn refused(center: &Center, asked: &Asked, code: Code) {
    let written = paced(center, &center.paces.refusals, asked, Came::Refused(code));
    if let Err(failure) = written {
        center.trouble(Code::S018, failure.message);
    }
}

/// Writes down what changed nothing, as far as there is room for it.
fn paced(center: &Center, pace: &Pace, asked: &Asked, came: Came) -> Result<(), Failure> {
    pace.keep(&asked.who(center), clock::wall(), |passed| {
        let mut asked = asked.clone();
        if passed > 0 {
            let beside = format!("{} (and {passed} more before, only counted)", asked.about);
            asked.about = message(beside.trim_start());
        }
        write(center, &asked, came)
    })
}

/// The records, newest first.
pub(crate) fn told(center: &Center, ask: &AuditOf) -> Result<AuditedOf, Failure> {
    let limit = usize::try_from(ask.limit).unwrap_or(usize::MAX);
    let records = center
        .store
        .audit(limit, ask.before)
        .map_err(store_failed)?;
    Ok(AuditedOf {
        status: status(center),
        records: records.into_iter().map(audited).collect(),
    })
}

fn audited(AuditRecord { number, note }: AuditRecord) -> Audited {
    let (outcome, code) = match note.came {
        Came::Done => (Outcome::Done, None),
        Came::Failed(code) => (Outcome::Failed, code),
        Came::Refused(code) => (Outcome::Refused, Some(code)),
    };
    Audited {
        number,
        at: note.at.to_string(),
        who: note.who.to_string(),
        from: note.from.to_string(),
        what: note.what.to_string(),
        about: note.about.to_string(),
        outcome,
        code: code.map(|code| code.as_str().to_owned()),
        revision: note.revision.0,
    }
}

fn write(center: &Center, asked: &Asked, came: Came) -> Result<(), Failure> {
    let note = Note {
        at: clock::wall(),
        who: asked.who(center),
        from: asked.from.clone(),
        what: asked.what.clone(),
        about: asked.about.clone(),
        came,
        revision: center.store.head().revision,
    };
    let written = center.store.note(&note, Remembering::default());
    written.map(drop).map_err(store_failed)
}

fn code(failure: &Failure) -> Option<Code> {
    failure.code.as_deref()?.parse().ok()
}

/// What people wrote, as far as it can be kept on a line.
fn label(text: &str) -> Label {
    let kept = cut(text, 255);
    Label::new(&kept).unwrap_or_else(|_| Label::new("?").expect("a character is a label"))
}

fn message(text: &str) -> Message {
    Message::new(&cut(text, 1024)).unwrap_or_default()
}

/// The text without what a terminal would obey, up to a number of bytes.
fn cut(text: &str, most: usize) -> String {
    let mut kept = String::new();
    let plain = text.chars().map(|char| match leno_admin::hides(char) {
        true => '\u{fffd}',
        false => char,
    });
    for char in plain {
        if kept.len() + char.len_utf8() > most {
            break;
        }
        kept.push(char);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many more came before one that is written down; `None` for one that is not.
    fn kept(pace: &Pace, who: &Label, seconds: u64) -> Option<u64> {
        let mut before = None;
        let now = Wall::since_epoch(Duration::from_secs(seconds));
        let kept = pace.keep(who, now, |passed| {
            before = Some(passed);
            Ok(())
        });
        kept.map(|()| before).unwrap()
    }

    #[test]
    fn whoever_knocks_all_day_does_not_push_the_rest_out() {
        let refusals = Pace::new(MOST_REFUSALS);
        let (one, other) = (label("shop/web"), label("nobody"));
        let written = (0..500).filter(|_| kept(&refusals, &one, 1000).is_some());
        assert_eq!(written.count(), 10);
        let of_other = kept(&refusals, &other, 1001);
        assert_eq!(of_other, Some(490), "others are heard");
        assert_eq!(kept(&refusals, &one, 1059), None);
        assert_eq!(kept(&refusals, &one, 1060), Some(1));
        let many = (0..100).filter(|number| {
            let who = label(&format!("shop/{number}"));
            kept(&refusals, &who, 1061).is_some()
        });
        assert_eq!(many.count(), 59, "all together have a bound");
    }

    #[test]
    fn nothing_is_only_counted_while_nothing_can_be_written() {
        let looks = Paces::default().looks;
        let who = label("leno-people/bo");
        let now = Wall::since_epoch(Duration::from_secs(1000));
        for _ in 0..20 {
            let full = || Err(Failure::plain("the disk is full"));
            looks.keep(&who, now, |_| full()).unwrap_err();
        }
        assert_eq!(kept(&looks, &who, 1000), Some(0));
    }

    #[test]
    fn what_people_write_cannot_steer_a_terminal() {
        assert_eq!(message("a\u{1b}[2Jb").as_str(), "a\u{fffd}[2Jb");
        assert_eq!(label("").as_str(), "?");
        assert_eq!(label(&"ä".repeat(300)).as_str().len(), 254);
    }
}
