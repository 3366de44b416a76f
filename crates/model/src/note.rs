//! Findings about input. Understanding never fails as a whole: what cannot be used is left out and noted.

use alloc::{string::String, vec::Vec};

use crate::code::{Code, Fault};
use crate::origin::{ObjectRef, Origin, Place};

/// One finding: at once a line of `leno check`, a condition in an object's status and a row on the page.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// What kind of finding.
    pub code: Code,
    /// How bad.
    pub severity: Severity,
    /// The object and field it is about; absent where no object could be read.
    pub origin: Option<Origin>,
    /// The exact text it is about, for the picture of the line.
    pub span: Option<Span>,
    /// What is wrong with this one, beginning in lower case, without a full stop:
    /// `no Service cart-v3 in shop`.
    pub message: String,
    /// What the writer probably meant: `did you mean cart-v2?`.
    pub suggestion: Option<String>,
    /// What holds while it stays like this, in whole words: `10 % of calls to cart answer 500`.
    pub in_force: String,
}

impl Note {
    /// Whose fault it is: by the code.
    pub fn fault(&self) -> Fault {
        self.code.fault()
    }

    /// The object it is about, where one could be read.
    pub fn object(&self) -> Option<&ObjectRef> {
        self.origin.as_ref().map(|origin| &*origin.object)
    }
}

/// A stretch of one line in a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Span {
    /// Where it begins.
    pub start: Place,
    /// How many characters of that line it covers; at least one.
    pub width: u32,
}

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// Worth knowing; nothing is wrong.
    Info,
    /// It works, but probably not as meant.
    Warning,
    /// Something that was written does not hold.
    Error,
}

/// The findings of one reading, in the order they were made.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Notes(Vec<Note>);

impl Notes {
    /// Adds a finding.
    pub fn push(&mut self, note: Note) {
        self.0.push(note);
    }

    /// Adds another reading's findings behind these.
    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// The findings, in order.
    pub fn iter(&self) -> core::slice::Iter<'_, Note> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether something that was written does not hold.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|note| note.severity == Severity::Error)
    }
}

impl<'a> IntoIterator for &'a Notes {
    type Item = &'a Note;
    type IntoIter = core::slice::Iter<'a, Note>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Notes {
    type Item = Note;
    type IntoIter = alloc::vec::IntoIter<Note>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
