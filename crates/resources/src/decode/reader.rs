//! Walks down one object, and notes what is wrong where it stands.

use alloc::{borrow::ToOwned, format, string::String, sync::Arc, vec::Vec};
use core::fmt::Write as _;

use leno_model::{Code, Note, Notes, ObjectRef, Origin, Severity, near};

use super::{Decode, Rules};
use crate::in_force;
use crate::object::span;
use crate::part::Part;
use crate::schema::Schema;
use crate::yaml::{At, Entry, Meaning, Node, Value, escape};

/// What is being read: an object, or something in a file that is none.
pub(crate) struct Subject<'a> {
    pub(crate) object: Option<&'a Arc<ObjectRef>>,
    pub(crate) kind: &'a str,
    pub(crate) root: &'a Node,
    pub(crate) path: &'a Arc<str>,
}

/// The way from an object's root to the node that is being read.
pub(crate) struct Reader<'a> {
    subject: Subject<'a>,
    notes: &'a mut Notes,
    pointer: String,
    /// The mappings that are open, outermost first.
    open: Vec<Open>,
    /// Whether something was not understood in the part that is being read.
    flawed: bool,
    errors: usize,
    told: usize,
    /// What is beyond the most findings that are told: the worst of them, and how many there are.
    untold: Option<(Note, usize)>,
}

/// A mapping with named fields that is being read.
struct Open {
    schema: &'static Schema,
    at: At,
    /// How much of the pointer leads to it.
    pointer: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(subject: Subject<'a>, notes: &'a mut Notes) -> Self {
        Self {
            subject,
            notes,
            pointer: String::new(),
            open: Vec::new(),
            flawed: false,
            errors: 0,
            told: 0,
            untold: None,
        }
    }

    /// Ends the reading; says how many findings were too many to tell.
    pub(crate) fn close(self) {
        if let Some((worst, count)) = self.untold {
            let more = count - 1;
            let message = format!("{}, and {more} more findings in this object", worst.message);
            self.notes.push(Note { message, ..worst });
        }
    }

    /// Reads a part: what is wrong inside does not reach what is around it.
    pub(crate) fn part<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Part<T> {
        let around = core::mem::replace(&mut self.flawed, false);
        let value = read(self);
        let inside = core::mem::replace(&mut self.flawed, around);
        Part::read(value, inside)
    }

    /// Reads what stands under `step`.
    pub(crate) fn below<T>(&mut self, step: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.pointer.len();
        self.pointer.push('/');
        self.pointer.push_str(&escape(step));
        let value = read(self);
        self.pointer.truncate(length);
        value
    }

    /// Reads a mapping with named fields.
    pub(crate) fn mapping<T>(
        &mut self,
        node: &Node,
        schema: &'static Schema,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<T> {
        let Some(entries) = node.as_map() else {
            self.wrong_type(node, "a mapping");
            return None;
        };
        self.open.push(Open {
            schema,
            at: node.at,
            pointer: self.pointer.len(),
        });
        for entry in entries {
            if entry.repeated {
                self.repeated(entry);
            } else if schema.field(&entry.key).is_none() {
                self.unknown(entry, schema);
            }
        }
        let value = read(self);
        self.open.pop();
        value
    }

    /// Reads the field `key` of the mapping `node`. `None` if it must be there and is not, or if
    /// nothing of it can be used.
    pub(crate) fn field<T: Decode>(&mut self, node: &Node, key: &str, rules: &Rules) -> Option<T> {
        match node.get(key).filter(|value| !value.is_null()) {
            Some(value) => self.below(key, |reader| reader.value(value, rules)),
            None => T::absent(key, rules, self),
        }
    }

    /// Reads the field `key` of the mapping `node`, with what holds if nobody wrote it.
    pub(crate) fn field_or<T: Decode>(
        &mut self,
        node: &Node,
        key: &str,
        rules: &Rules,
        default: impl FnOnce() -> T,
    ) -> Option<T> {
        match node.get(key).filter(|value| !value.is_null()) {
            Some(value) => self.below(key, |reader| reader.value(value, rules)),
            None => Some(default()),
        }
    }

    /// Reads a value; if nothing of it can be used, the part that is being read is flawed.
    pub(crate) fn value<T: Decode>(&mut self, node: &Node, rules: &Rules) -> Option<T> {
        let value = T::decode(node, rules, self);
        self.flawed |= value.is_none();
        value
    }

    /// Reads one of several words. Of others it says why they are none, and what to write.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        node: &Node,
        words: &[(&str, T)],
        others: &[(&str, &str, &str)],
    ) -> Option<T> {
        let Value::Scalar(text, _) = &node.value else {
            self.wrong_type(node, "one word");
            return None;
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == &**text) {
            return Some(*value);
        }
        if let Some((_, why, write)) = others.iter().find(|(word, ..)| *word == &**text) {
            self.invalid_with(node, (*why).into(), Some((*write).into()));
            return None;
        }
        let all = words.iter().map(|(word, _)| *word).collect::<Vec<_>>();
        let meant = near::nearest(text, all.iter().copied());
        let message = format!("{text} is not one of {}", all.join(", "));
        self.invalid_with(node, message, meant.map(did_you_mean));
        None
    }

    /// How many errors there were so far.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// Notes that the field `key` is not there.
    pub(crate) fn missing(&mut self, key: &str) {
        self.flawed = true;
        let at = self.open.last().map_or(At::START, |open| open.at);
        self.note(
            Code::C005,
            Severity::Error,
            at,
            format!("{key} is missing"),
            None,
        );
    }

    /// Notes that the node holds something else than what the field takes.
    pub(crate) fn wrong_type(&mut self, node: &Node, expected: &str) {
        self.wrong_type_with(node, expected, None);
    }

    /// The same, with what to write.
    pub(crate) fn wrong_type_with(&mut self, node: &Node, expected: &str, hint: Option<String>) {
        self.flawed = true;
        let message = format!("{expected} is expected, and this is {}", described(node));
        self.note(Code::C004, Severity::Error, node.at, message, hint);
    }

    /// Notes that the node's value is not one the field takes.
    pub(crate) fn invalid(&mut self, node: &Node, message: String) {
        self.invalid_with(node, message, None);
    }

    /// The same, with what was probably meant.
    pub(crate) fn invalid_with(&mut self, node: &Node, message: String, hint: Option<String>) {
        self.flawed = true;
        self.note(Code::C007, Severity::Error, node.at, message, hint);
    }

    /// Notes that fields of the mapping that is being read contradict each other, at the field
    /// `below` it.
    pub(crate) fn contradiction(&mut self, code: Code, below: &str, message: String) {
        self.flawed = true;
        let length = self.pointer.len();
        self.pointer.push_str(below);
        let at = self.subject.root.nearest(&self.pointer).at;
        self.note(code, Severity::Error, at, message, None);
        self.pointer.truncate(length);
    }

    /// Tells something that is worth knowing of the node that is being read.
    pub(crate) fn inform(
        &mut self,
        code: Code,
        node: &Node,
        message: String,
        hint: Option<String>,
    ) {
        self.note(code, Severity::Info, node.at, message, hint);
    }

    /// Tells that the node `below` the one that is being read probably does not do what was meant.
    pub(crate) fn warn(&mut self, below: &str, code: Code, node: &Node, message: String) {
        let length = self.pointer.len();
        self.pointer.push_str(below);
        self.note(code, Severity::Warning, node.at, message, None);
        self.pointer.truncate(length);
    }

    /// Notes that the key stands further up in the same mapping.
    pub(crate) fn repeated(&mut self, entry: &Entry) {
        self.flawed = true;
        let message = format!("{} stands twice in this mapping", entry.key);
        self.below(&entry.key, |reader| {
            reader.note(Code::C006, Severity::Error, entry.key_at, message, None);
        });
    }

    fn unknown(&mut self, entry: &Entry, schema: &'static Schema) {
        self.flawed = true;
        let hint = self.hint(&entry.key, schema);
        let message = format!(
            "there is no field {} in {}",
            entry.key,
            self.words(&self.pointer)
        );
        self.below(&entry.key, |reader| {
            reader.note(Code::C003, Severity::Error, entry.key_at, message, hint);
        });
    }

    /// What the writer of an unknown key probably meant.
    fn hint(&self, key: &str, schema: &'static Schema) -> Option<String> {
        if key == "<<" {
            return Some("merge keys are not YAML 1.2: write the fields out".to_owned());
        }
        if let Some(meant) = near::nearest(key, schema.fields.iter().map(|field| field.key)) {
            return Some(did_you_mean(meant));
        }
        let outer = self.open.iter().rev().skip(1);
        if let Some(outer) = outer
            .into_iter()
            .find(|outer| outer.schema.field(key).is_some())
        {
            let above = self.words(self.pointer.get(..outer.pointer).unwrap_or_default());
            return Some(format!(
                "{key} is a field of {above}: check how far it is indented"
            ));
        }
        let has_key = |schema: &'static Schema| schema.field(key).is_some();
        let inner = schema
            .fields
            .iter()
            .find(|field| field.shape.schema().is_some_and(has_key))?;
        Some(format!("{key} is a field of {}", inner.key))
    }

    /// A pointer in words: `rules[0].matches[1]`.
    fn words(&self, pointer: &str) -> String {
        let mut words = String::new();
        for step in pointer.split('/').skip(1) {
            let written = if step.parse::<usize>().is_ok() {
                write!(words, "[{step}]")
            } else {
                write!(words, "{}{step}", if words.is_empty() { "" } else { "." })
            };
            written.expect("a String takes everything");
        }
        if words.is_empty() {
            self.subject.kind.to_owned()
        } else {
            words
        }
    }

    fn note(
        &mut self,
        code: Code,
        severity: Severity,
        at: At,
        message: String,
        hint: Option<String>,
    ) {
        self.errors += usize::from(severity == Severity::Error);
        let span = span(self.subject.path, at);
        let in_force = match severity {
            Severity::Info => "it holds as it is".to_owned(),
            Severity::Warning | Severity::Error => {
                in_force::sentence(self.subject.kind, &self.pointer).to_owned()
            }
        };
        let note = Note {
            code,
            severity,
            origin: self.subject.object.map(|object| Origin {
                object: object.clone(),
                pointer: self.pointer.as_str().into(),
                place: Some(span.start.clone()),
            }),
            span: Some(span),
            message,
            suggestion: hint,
            in_force,
        };
        self.told += 1;
        match &mut self.untold {
            Some((worst, count)) => {
                *count += 1;
                if note.severity > worst.severity {
                    *worst = note;
                }
            }
            None if self.told > MOST_NOTES => self.untold = Some((note, 1)),
            None => self.notes.push(note),
        }
    }
}

/// The most findings that are told of one object, each by itself.
const MOST_NOTES: usize = 50;

fn did_you_mean(word: &str) -> String {
    format!("did you mean {word}?")
}

/// A node in words: `a list`, `the number 1.10`.
pub(crate) fn described(node: &Node) -> String {
    match &node.value {
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
        Value::Scalar(_, Meaning::Null) => "nothing".to_owned(),
        Value::Scalar(text, Meaning::Bool(_)) => format!("the boolean {text}"),
        Value::Scalar(text, Meaning::Integer(_) | Meaning::Number) => format!("the number {text}"),
        Value::Scalar(text, Meaning::Quoted | Meaning::Plain) => {
            format!("the text {}", quoted(text))
        }
    }
}

/// A text in quotes, cut where it becomes long.
pub(crate) fn quoted(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        None => format!("{text:?}"),
        Some((at, _)) => format!("{:?} ...", text.get(..at).unwrap_or_default()),
    }
}
