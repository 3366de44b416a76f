//! Whether this machine allows enclosures, and if not, what stands in the way.

use std::path::Path;

use crate::enclosure::{Enclosure, Layout, OpenError};

/// What stands in the way of an enclosure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Blocker {
    /// Other.
    Other,
}

/// Opens an enclosure and drops it.
pub fn probe(program: &Path) -> Result<(), OpenError> {
    let layout = Layout {
        v4: [10, 0, 0, 2].into(),
        v6: "fd00::2".parse().expect("an address"),
        resolver: [10, 0, 0, 1].into(),
        search: Vec::new(),
    };
    Enclosure::open(program, &layout).map(drop)
}
