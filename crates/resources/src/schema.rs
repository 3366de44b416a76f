//! What a kind's fields are, as data: what the decoder checks names against, `leno explain` prints, and the definitions
//! of an API server say.

use crate::decode::Rules;

/// A mapping with named fields.
#[derive(Debug)]
pub struct Schema {
    /// What it is, in our words.
    pub doc: &'static str,
    /// Its fields, in the order a person would write them.
    pub fields: &'static [Field],
    /// What else must hold of one in which nothing else is wrong, as an API server can be asked: in CEL, of `self`, with
    /// what is told where it does not.
    pub demands: &'static [(&'static str, &'static str)],
}

/// How many, how long and how large: what a field's type does not say. Of a list or a map, `length`, `range` and
/// `numbers` are those of each value.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// How many items a list may have.
    pub items: (usize, usize),
    /// How long a text may be, in characters.
    pub length: (usize, usize),
    /// How large a number may be; of a duration, in milliseconds.
    pub range: (i64, i64),
    /// Which numbers there are.
    pub numbers: Option<&'static [i64]>,
}

impl Bounds {
    /// No bounds.
    pub(crate) const NONE: Self = Rules::NONE.bounds();
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name in YAML.
    pub key: &'static str,
    /// What it says, in our words.
    pub doc: &'static str,
    /// What it holds.
    pub shape: Shape,
    /// What holds if it is absent, as it would be written; `None` if it may simply be absent.
    pub default: Option<&'static str>,
    /// Whether it must be there.
    pub required: bool,
    /// What its type does not say.
    pub bounds: Bounds,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// One value; in words: `text`, `whole number`, `duration`.
    Value(&'static str),
    /// One of these words, each with what it means.
    Choice(&'static [(&'static str, &'static str)]),
    /// A mapping with named fields.
    Object(&'static Schema),
    /// A list of these.
    List(&'static Self),
    /// A mapping with keys of the writer's choice.
    Map(&'static Self),
}

impl Shape {
    /// The fields of the mapping it is, or is a list or map of.
    pub fn schema(&self) -> Option<&'static Schema> {
        match self {
            Self::Object(schema) => Some(schema),
            Self::List(of) | Self::Map(of) => of.schema(),
            Self::Value(_) | Self::Choice(_) => None,
        }
    }
}

impl Schema {
    /// The field with this name.
    pub fn field(&self, key: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.key == key)
    }

    /// The field at a path as `leno explain` takes it, without the kind: `spec.rules.matches`.
    pub fn at(&self, path: &str) -> Option<&'static Field> {
        match path.split_once('.') {
            None => self.field(path),
            Some((key, rest)) => self.field(key)?.shape.schema()?.at(rest),
        }
    }
}
