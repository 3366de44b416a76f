//! From trees of nodes to structs. Every finding of a document is noted, not only the first, and
//! what could be understood is kept.

mod enums;
mod object;
mod reader;
mod rules;
mod values;

pub(crate) use enums::choice;
pub(crate) use object::object;
pub(crate) use reader::{Reader, Subject};
pub(crate) use rules::Rules;
pub(crate) use values::text;

use crate::schema::Shape;
use crate::yaml::Node;

/// A type that can be read from a node.
pub(crate) trait Decode: Sized {
    /// What it looks like in YAML.
    const SHAPE: Shape;

    /// Reads the node. `None` if nothing of it can be used; whatever is wrong is noted, and
    /// leaves the part of the object that is being read flawed.
    fn decode(node: &Node, rules: &Rules, reader: &mut Reader<'_>) -> Option<Self>;

    /// What holds if nobody wrote the field `key`; `None` if it must be there, which is noted.
    fn absent(key: &str, _: &Rules, reader: &mut Reader<'_>) -> Option<Self> {
        reader.missing(key);
        None
    }

    /// Whether the field must be there.
    const REQUIRED: bool = true;
}
