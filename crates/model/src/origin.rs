//! Where a thing was said: the object, the field inside it, and the line a person can open.

use alloc::sync::Arc;
use core::fmt;

use crate::name::{Name, Namespace};

/// An object, as people name it: `HTTPRoute shop/cart`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// The kind, as it is written in YAML. Kinds are unique among the groups Leno reads.
    pub kind: Arc<str>,
    /// Absent for objects of the whole mesh (`Mesh`, `Namespace`).
    pub namespace: Option<Namespace>,
    /// Its name there.
    pub name: Name,
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

impl fmt::Debug for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who said something: an object, the field (RFC 6901 JSON pointer), and the place in a file if
/// it came from one. A default that nobody wrote has no origin.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Origin {
    /// The object that says it.
    pub object: Arc<ObjectRef>,
    /// The field inside the object, `/spec/rules/0`; empty for the object as a whole.
    pub pointer: Arc<str>,
    /// Where to open it. It travels with views, so that a proxy can name the line in its refusal.
    pub place: Option<Place>,
}

/// The shortest way for a person to find it: the file and line, else the object and field.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(place) => fmt::Display::fmt(place, f),
            None => write!(
                f,
                "{}{}{}",
                self.object,
                if self.pointer.is_empty() { "" } else { " " },
                self.pointer
            ),
        }
    }
}

/// A position in a file: `routes/cart.yaml:18:15`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// The path as it was given on the command line, or relative to the applied folder.
    pub file: Arc<str>,
    /// Counted from 1.
    pub line: u32,
    /// Counted from 1, in characters.
    pub column: u32,
}

/// File and line; the column only matters to the picture of the line.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// A rule as people name it, counted from 1: `HTTPRoute shop/cart rule 2`.
pub struct RouteName<'a>(pub &'a Origin);

impl fmt::Display for RouteName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin {
            object, pointer, ..
        } = self.0;
        let index = pointer.strip_prefix("/spec/rules/");
        match index.and_then(|index| index.parse::<u32>().ok()) {
            Some(index) => write!(f, "{object} rule {}", u64::from(index) + 1),
            None if pointer.is_empty() => write!(f, "{object}"),
            None => write!(f, "{object} {pointer}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    #[test]
    fn a_rule_is_named_as_people_count() {
        let check = |pointer: &str, expect| {
            let origin = Origin {
                object: Arc::new(ObjectRef {
                    kind: "HTTPRoute".into(),
                    namespace: Some(Namespace::new("shop").unwrap()),
                    name: Name::new("cart").unwrap(),
                }),
                pointer: pointer.into(),
                place: None,
            };
            assert_eq!(RouteName(&origin).to_string(), expect);
        };
        check("/spec/rules/0", "HTTPRoute shop/cart rule 1");
        check("/spec/rules/11", "HTTPRoute shop/cart rule 12");
        check(
            "/spec/rules/1/matches/0",
            "HTTPRoute shop/cart /spec/rules/1/matches/0",
        );
        check("", "HTTPRoute shop/cart");
    }
}
