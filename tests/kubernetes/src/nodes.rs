//! What all nodes of a cluster have in common.

use crate::{Families, Runtime};

/// What the nodes of a cluster are like.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Nodes {
    /// The families of their addresses, and of their pods'.
    pub families: Families,
    /// What runs their containers.
    pub runtime: Runtime,
}

impl From<Families> for Nodes {
    fn from(families: Families) -> Self {
        Self {
            families,
            ..Self::default()
        }
    }
}

impl From<Runtime> for Nodes {
    fn from(runtime: Runtime) -> Self {
        Self {
            runtime,
            ..Self::default()
        }
    }
}
