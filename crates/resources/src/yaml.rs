//! YAML 1.2 as trees of nodes that know where they stand. JSON is YAML.
//!
//! A file is cut at its document markers before anything is parsed, so a broken document costs
//! only itself. Hostile input is bounded: bytes, nodes (after aliases are expanded) and depth.

mod build;
mod scalar;
mod split;

use alloc::{string::String, sync::Arc, vec::Vec};

use leno_model::Code;

pub(crate) use split::{Piece, lines, pieces};

/// The largest document that is read, in bytes. An object in Kubernetes is at most 1.5 MiB.
pub const MOST_BYTES: usize = 4 << 20;
/// The most nodes a document may have, each alias counted as what it stands for.
pub const MOST_NODES: usize = 200_000;
/// How deep lists and mappings may be nested.
pub const MOST_DEPTH: usize = 64;

/// The documents of a file, in order; those without content (only comments) are left out.
///
/// Linear in the size of `file`.
pub fn documents(file: &[u8]) -> impl Iterator<Item = Result<Node, Broken>> {
    pieces(file).flat_map(|piece| build::documents(&piece))
}

/// Why a document could not be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    /// `C001` for what is not YAML, `C009` for what is too much.
    pub code: Code,
    /// What is wrong, as half a sentence.
    pub message: String,
    /// Where it was noticed.
    pub at: At,
}

/// One node of a document.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// What it holds.
    pub value: Value,
    /// Where it stands. For a list or mapping over several lines: its first entry.
    pub at: At,
}

/// What a node holds.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// A single value: its text, and what that text means.
    Scalar(Arc<str>, Meaning),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order it was written, repeated keys included.
    Map(Vec<Entry>),
}

/// What a scalar means by the core schema of YAML 1.2, where `yes` and `on` are text.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Meaning {
    /// `null`, `~` or nothing at all.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A fraction, an infinity, or a whole number beyond 64 bits.
    Number,
    /// Text in quotes, in a block, or tagged as text.
    Quoted,
    /// Text that stands plain.
    Plain,
}

/// One key of a mapping and what it leads to.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// The key, as text.
    pub key: Arc<str>,
    /// Where the key stands.
    pub key_at: At,
    /// Whether the same mapping has this key further up; the first one counts.
    pub repeated: bool,
    /// What it leads to.
    pub value: Node,
}

/// A stretch of one line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct At {
    /// Counted from 1.
    pub line: u32,
    /// Counted from 1, in characters.
    pub column: u32,
    /// In characters; at least one.
    pub width: u32,
}

impl At {
    /// The beginning of a file.
    pub const START: Self = Self {
        line: 1,
        column: 1,
        width: 1,
    };
}

impl Node {
    /// The entries of a mapping.
    pub fn as_map(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Map(entries) => Some(entries),
            Value::Scalar(..) | Value::List(_) => None,
        }
    }

    /// The items of a list.
    pub fn as_list(&self) -> Option<&[Self]> {
        match &self.value {
            Value::List(items) => Some(items),
            Value::Scalar(..) | Value::Map(_) => None,
        }
    }

    /// The text of a scalar that means text.
    pub fn as_text(&self) -> Option<&Arc<str>> {
        match &self.value {
            Value::Scalar(text, Meaning::Quoted | Meaning::Plain) => Some(text),
            Value::Scalar(..) | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Whether it is null, which counts as absent.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Scalar(_, Meaning::Null))
    }

    /// What stands under `key`, if this is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The first entry with this key, if this is a mapping that has it.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.as_map()?.iter().find(|entry| &*entry.key == key)
    }

    /// The deepest node on the way to `pointer` (RFC 6901) that exists: the node itself, or what
    /// should hold it.
    pub fn nearest(&self, pointer: &str) -> &Self {
        let mut node = self;
        for step in pointer.split('/').skip(1) {
            let Some(next) = node.step(step) else { break };
            node = next;
        }
        node
    }

    /// The node at `pointer` (RFC 6901), if there is one.
    pub(crate) fn find(&self, pointer: &str) -> Option<&Self> {
        let mut steps = pointer.split('/').skip(1);
        steps.try_fold(self, |node, step| node.step(step))
    }

    fn step(&self, step: &str) -> Option<&Self> {
        match &self.value {
            Value::Map(_) => self.get(&unescape(step)),
            Value::List(items) => step.parse().ok().and_then(|at: usize| items.get(at)),
            Value::Scalar(..) => None,
        }
    }
}

/// A key as a step of a JSON pointer.
//= RFC 6901 section 3: "'~' needs to be encoded as '~0' and '/' needs to be encoded as '~1'"
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn unescape(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}
