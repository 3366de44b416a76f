//! What a kind's fields are, as data: what the decoder checks names against and `leno explain` prints.

/// A mapping with named fields.
#[derive(Debug)]
pub struct Schema {
    /// What it is, in our words.
    pub doc: &'static str,
    /// Its fields, in the order a person would write them.
    pub fields: &'static [Field],
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
