//! The audit log: who asked what from where, and what came of it. What changes nothing is written down at
//! a bounded rate: whoever looks, fails or knocks all day must not push the rest out.

use std::net::IpAddr;

use leno_admin::{Asker, Audit, AuditOf, Audited, AuditedOf, Failure, Outcome, Pace, Question};
use leno_model::Code;
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

    /// A user of this host asks by a socket that is not for it.
    pub(crate) fn of_stranger(user: u32) -> Self {
        Self::new(&Asker::User(user), "ask", "")
    }

    /// Whoever asked has proven nothing, by a browser or program at the page's address.
    pub(crate) fn of_page(attempt: &str) -> Self {
        Self {
            asker: None,
            from: label("dashboard"),
            what: label("look"),
            about: message(attempt),
        }
    }
}

impl Asked {
    /// Who it is. Reads the users of this host.
    fn who(&self, center: &Center) -> Label {
        let asker = self.asker.as_ref();
        asker.map_or_else(|| label("nobody"), |asker| who(center, asker))
    }

    /// With whose other attempts this one is counted: who proves nothing at one door does not keep others
    /// from being heard of at another.
    fn counted_with(&self, who: &Label) -> Label {
        match self.asker {
            Some(_) => who.clone(),
            None => self.what.clone(),
        }
    }
}

/// How much is written down of what is refused in a minute, in all; those whose looks and failures
/// are written down have roles, and are no more than the mesh names.
const MOST_REFUSALS: u32 = 60;

/// How often of late something was written down that changed nothing, by what came of it.
#[derive(Debug)]
pub(crate) struct Paces {
    refusals: Pace<Label>,
    looks: Pace<Label>,
    failures: Pace<Label>,
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
fn paced(center: &Center, pace: &Pace<Label>, asked: &Asked, came: Came) -> Result<(), Failure> {
    let with = asked.counted_with(&asked.who(center));
    pace.keep(&with, clock::wall(), |passed| {
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

    #[test]
    fn what_people_write_cannot_steer_a_terminal() {
        assert_eq!(message("a\u{1b}[2Jb").as_str(), "a\u{fffd}[2Jb");
        assert_eq!(label("").as_str(), "?");
        assert_eq!(label(&"ä".repeat(300)).as_str().len(), 254);
    }
}
