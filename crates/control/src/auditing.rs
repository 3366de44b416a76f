//! The audit log: who asked what from where, and what came of it. What changes nothing is written down at
//! a bounded rate: whoever looks, fails or knocks all day must not push the rest out.

use std::net::IpAddr;
use std::time::Duration;

use leno_admin::{Asker, Audit, AuditOf, Audited, AuditedOf, Failure, Outcome, Pace, Question};
use leno_model::{Code, SpiffeId};
use leno_store::{AuditRecord, Came, Label, Message, Note, Remembering};
use leno_wire::looks::Look;

use crate::administer::{identity_label, status, store_failed, who};
use crate::center::Center;
use crate::clock;

/// Something that is asked, as it is written down.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    by: By,
    from: Label,
    what: Label,
    about: String,
    /// How many more before it were only counted elsewhere.
    before: u64,
}

/// Who asks.
#[derive(Clone, Debug)]
enum By {
    Asker(Asker),
    /// Somebody who has proven nothing.
    Nobody,
    /// A user of a proxy's host, by the word of the proxy, which proved to be this.
    UserAt(u32, Label),
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
        Self::by(By::Asker(asker.clone()), &asker.to_string(), what, about)
    }

    /// Whoever asked has proven nothing.
    pub(crate) fn of_nobody(address: IpAddr) -> Self {
        Self::by(By::Nobody, &address.to_string(), "ask", "")
    }

    /// A user of this host asks by a socket that is not for it.
    pub(crate) fn of_stranger(user: u32) -> Self {
        Self::new(&Asker::User(user), "ask", "")
    }

    /// Whoever asked has proven nothing, by a browser or program at the page's address.
    pub(crate) fn of_page(attempt: &str) -> Self {
        Self::by(By::Nobody, "dashboard", "look", attempt)
    }

    /// A proxy that proved to be `proxy` says that a user of its host asked it.
    fn of_look(center: &Center, proxy: &SpiffeId, address: IpAddr, look: &Look) -> Self {
        let proxy = identity_label(proxy, &center.edition().mesh.settings.trust_domain);
        let from = format!("proxy of {proxy}, {}", address.to_canonical());
        let by = By::UserAt(look.user, proxy);
        let mut asked = Self::by(by, &from, &look.what, &look.about);
        if center.clocks.now().wall.since(look.at) >= LATE {
            let told = format!("{} (at {})", asked.about, look.at);
            told.trim_start().clone_into(&mut asked.about);
        }
        asked.before = look.before;
        asked
    }

    fn by(by: By, from: &str, what: &str, about: &str) -> Self {
        Self {
            by,
            from: label(from),
            what: label(what),
            about: cut(about, LONGEST_ABOUT),
            before: 0,
        }
    }

    /// Who it is. Reads the users of this host.
    fn who(&self, center: &Center) -> Label {
        match &self.by {
            By::Asker(asker) => who(center, asker),
            By::Nobody => label("nobody"),
            By::UserAt(user, _) => label(&format!("user {user}")),
        }
    }

    /// With whose other attempts this one is counted: who proves nothing at one door does not keep others
    /// from being heard of at another.
    fn counted_with(&self, who: &Label) -> Label {
        match &self.by {
            By::Asker(_) => who.clone(),
            By::Nobody => self.what.clone(),
            By::UserAt(_, proxy) => proxy.clone(),
        }
    }
}

/// How long ago a proxy was asked whose record tells when: it could not say so at once.
const LATE: Duration = Duration::from_secs(60);

/// How much of what was asked about is written down, in bytes: there is room for what is said beside it.
const LONGEST_ABOUT: usize = 896;

/// How much is written down in a minute of what is refused, in all, and of what all proxies tell; others
/// whose looks and failures are written down have roles, and are no more than the mesh names.
const MOST: u32 = 60;

/// How often of late something was written down that changed nothing, by what came of it.
#[derive(Debug)]
pub(crate) struct Paces {
    refusals: Pace<Label>,
    looks: Pace<Label>,
    failures: Pace<Label>,
    at_proxies: Pace<Label>,
}

impl Default for Paces {
    fn default() -> Self {
        Self {
            refusals: Pace::new(MOST),
            looks: Pace::new(u32::MAX),
            failures: Pace::new(u32::MAX),
            at_proxies: Pace::new(MOST),
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

/// Writes down that a proxy, which proved to be `proxy`, was asked by its own socket.
pub(crate) fn looked(
    center: &Center,
    proxy: &SpiffeId,
    address: IpAddr,
    look: &Look,
) -> Result<(), Failure> {
    let asked = Asked::of_look(center, proxy, address, look);
    let came = match look.is_refused {
        true => Came::Refused(Code::S016),
        false => Came::Done,
    };
    let written = paced(center, &center.paces.at_proxies, &asked, came);
    written.inspect_err(|failure| center.trouble(Code::S018, failure.message.clone()))
}

/// Writes down what changed nothing, as far as there is room for it.
fn paced(center: &Center, pace: &Pace<Label>, asked: &Asked, came: Came) -> Result<(), Failure> {
    let with = asked.counted_with(&asked.who(center));
    pace.keep(&with, clock::wall(), asked.before, |passed| {
        let mut asked = asked.clone();
        if passed > 0 {
            let beside = format!("{} (and {passed} more before, only counted)", asked.about);
            beside.trim_start().clone_into(&mut asked.about);
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
        about: message(&asked.about),
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
pub(crate) fn label(text: &str) -> Label {
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
