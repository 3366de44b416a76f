//! The ledger: what each client was told, beside what the server did. Nothing may be lost, nothing done
//! twice, and what was told as done is done.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::soak::errand::{ClientDoes, Errand, Over, ServerDoes};

/// Everything that was begun, by its id.
#[derive(Default)]
pub(super) struct Ledger(Mutex<BTreeMap<u64, Entry>>);

/// What became of one errand.
#[derive(Clone, Default, Debug)]
pub(super) struct Entry {
    errand: Option<Errand>,
    told: Option<Told>,
    /// How often the server got the request whole.
    done: u32,
    /// Whether the server got a body that was not sent.
    garbled: bool,
}

/// What a client was told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Told {
    /// The answer, whole and as it was sent.
    Done,
    /// An answer that was whole, but not what was sent.
    Other(String),
    /// By the proxy that the call failed, with what it says of it.
    Failed(String),
    /// An answer that broke off, with what the client saw of it.
    Broken(String),
    /// Nothing: the connection was closed before an answer began.
    Nothing(String),
    /// Nothing, for as long as one waits.
    Hung,
    /// It did not stay to hear it.
    Left,
}

/// What the ledger says of all.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Verdict {
    /// How many were begun.
    pub(super) all: usize,
    /// How many clients were told that theirs is done.
    pub(super) done: usize,
    /// How many were told that it failed, for the server's doing.
    pub(super) failed: usize,
    /// How many failed although the server meant well: it had closed the connection that was chosen.
    pub(super) unlucky: usize,
    /// What these were told, and how many of them.
    pub(super) causes: BTreeMap<String, usize>,
    /// How many clients did not stay.
    pub(super) left: usize,
    /// What must not be, in words.
    pub(super) wrong: Vec<String>,
}

impl Ledger {
    /// A client is about to ask.
    pub(super) fn begin(&self, errand: Errand) {
        self.entries().entry(errand.id).or_default().errand = Some(errand);
    }

    /// A client was told something.
    pub(super) fn told(&self, id: u64, told: Told) {
        self.entries().entry(id).or_default().told = Some(told);
    }

    /// The server has got a request whole; whether with the body that was sent.
    pub(super) fn done(&self, id: u64, intact: bool) {
        let mut entries = self.entries();
        let entry = entries.entry(id).or_default();
        entry.done += 1;
        entry.garbled |= !intact;
    }

    /// How many errands have begun, and how many clients still wait to be told.
    pub(super) fn count(&self) -> (usize, usize) {
        let entries = self.entries();
        let open = entries.values().filter(|entry| entry.told.is_none());
        (entries.len(), open.count())
    }

    /// Compares what was told with what was done.
    pub(super) fn verdict(&self) -> Verdict {
        let entries = self.entries();
        let mut verdict = Verdict {
            all: entries.len(),
            ..Verdict::default()
        };
        for (id, entry) in entries.iter() {
            if let Some(Told::Failed(cause)) = &entry.told {
                *verdict.causes.entry(cause.clone()).or_default() += 1;
            }
            match entry.judge() {
                Ok(Fine::Done) => verdict.done += 1,
                Ok(Fine::Failed) => verdict.failed += 1,
                Ok(Fine::Unlucky) => verdict.unlucky += 1,
                Ok(Fine::Left) => verdict.left += 1,
                Err(what) => verdict.wrong.push(format!("{id}: {what}; {entry}")),
            }
        }
        verdict
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<u64, Entry>> {
        // A client that panics is told of elsewhere; what it wrote stands.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How an errand may end.
enum Fine {
    Done,
    Failed,
    Unlucky,
    Left,
}

impl Entry {
    fn judge(&self) -> Result<Fine, &'static str> {
        let Some(errand) = self.errand else {
            return Err("the server got what no client has sent");
        };
        if self.done > 1 {
            return Err("done more than once");
        }
        if self.garbled {
            return Err("the server got another body");
        }
        let done = self.done > 0;
        let well = matches!(
            errand.server,
            ServerDoes::Answer
                | ServerDoes::AnswerLast
                | ServerDoes::AnswerAndVanish
                | ServerDoes::Trickle
        );
        if errand.client == ClientDoes::Break && done {
            return Err("done, and it was never sent whole");
        }
        match self
            .told
            .as_ref()
            .ok_or("the client does not say what it was told")?
        {
            Told::Done if !done => Err("told as done, and the server never got it"),
            Told::Done if !well => Err("told as done, and the server broke off"),
            Told::Done => Ok(Fine::Done),
            Told::Failed(_) if !well && done => Ok(Fine::Failed),
            Told::Failed(_) if !done => Ok(Fine::Unlucky),
            Told::Failed(_) => Err("told as failed, and the server has answered it"),
            Told::Broken(_) if errand.server == ServerDoes::Break => Ok(Fine::Failed),
            Told::Nothing(_) if errand.server == ServerDoes::Break => Ok(Fine::Failed),
            // A stream of bytes has no other words for it, and one of HTTP/2 may be reset as it was.
            Told::Broken(_) | Told::Nothing(_) if errand.over != Over::Http && !well => {
                Ok(Fine::Failed)
            }
            Told::Broken(_) => Err("the answer broke off, and not by the server"),
            Told::Nothing(_) => Err("lost: the client was told nothing"),
            Told::Hung => Err("lost: the client still waits"),
            Told::Other(_) => Err("the client got another answer"),
            Told::Left => Ok(Fine::Left),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            errand,
            told,
            done,
            garbled: _,
        } = self;
        match errand {
            Some(errand) => write!(f, "{errand:?}")?,
            None => write!(f, "not begun")?,
        }
        write!(f, ", told {told:?}, done {done} times")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ERRAND: Errand = Errand {
        id: 1,
        over: Over::Http,
        up: 0,
        down: 9,
        chunked: false,
        server: ServerDoes::Answer,
        client: ClientDoes::Wait,
    };

    /// What the ledger says of one errand.
    fn check(errand: Errand, told: Told, done: usize, expect: &str) {
        let ledger = Ledger::default();
        ledger.begin(errand);
        ledger.told(errand.id, told);
        for _ in 0..done {
            ledger.done(errand.id, true);
        }
        let verdict = ledger.verdict();
        let kinds = [
            (verdict.done, "done"),
            (verdict.failed, "failed"),
            (verdict.unlucky, "unlucky"),
            (verdict.left, "left"),
        ];
        let kind = kinds.into_iter().find(|(count, _)| *count == 1);
        let said = kind.map(|(_, kind)| kind.to_owned());
        let said = said.or_else(|| verdict.wrong.first().cloned()).unwrap();
        assert!(said.contains(expect), "{said}");
    }

    #[test]
    fn what_is_told_is_what_was_done() {
        check(ERRAND, Told::Done, 1, "done");
        check(ERRAND, Told::Done, 0, "the server never got it");
        check(ERRAND, Told::Done, 2, "done more than once");
        check(
            ERRAND,
            Told::Nothing("closed".to_owned()),
            1,
            "lost: the client was told nothing",
        );
        check(ERRAND, Told::Hung, 0, "lost: the client still waits");
        check(
            ERRAND,
            Told::Failed("502".to_owned()),
            1,
            "the server has answered it",
        );
        check(ERRAND, Told::Failed("502".to_owned()), 0, "unlucky");
        check(
            ERRAND,
            Told::Broken("closed".to_owned()),
            1,
            "not by the server",
        );
    }

    #[test]
    fn a_server_that_breaks_off_is_told_of() {
        let vanishes = Errand {
            server: ServerDoes::Vanish,
            ..ERRAND
        };
        check(vanishes, Told::Failed("502".to_owned()), 1, "failed");
        check(
            vanishes,
            Told::Failed("502".to_owned()),
            2,
            "done more than once",
        );
        check(vanishes, Told::Done, 1, "the server broke off");
        let breaks = Errand {
            server: ServerDoes::Break,
            ..ERRAND
        };
        check(breaks, Told::Broken("closed".to_owned()), 1, "failed");
    }

    #[test]
    fn half_a_request_is_never_done() {
        let half = Errand {
            client: ClientDoes::Break,
            ..ERRAND
        };
        check(half, Told::Left, 0, "left");
        check(half, Told::Left, 1, "never sent whole");
    }
}
