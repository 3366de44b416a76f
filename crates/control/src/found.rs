//! What a source says that is read and not written to: a watched folder, a cluster.

use std::sync::Arc;

use leno_resources::pod::Pods;

use crate::observed::Said;

/// What a source says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// Which one, as people are told of it: `watched folder mesh`, `the cluster`.
    pub(crate) source: Arc<str>,
    /// Rises with every change, also over restarts: see [`crate::positions`].
    pub(crate) position: u64,
    /// Names, as findings show them, and bytes: of a folder the paths, beginning with its own.
    pub(crate) files: Arc<Vec<File>>,
    /// Why what it says by now could not be read.
    pub(crate) trouble: Option<Arc<str>>,
}

/// A name, and bytes.
pub(crate) type File = (Arc<str>, Arc<[u8]>);

/// What the sources beside the store say when a control plane begins.
#[derive(Debug, Default)]
pub(crate) struct First {
    pub(crate) sources: Vec<Found>,
    /// What the cluster says, if there is one.
    pub(crate) said: Option<Said>,
    /// What tells the cluster from others, if there is one and it said so.
    pub(crate) cluster: Option<Arc<str>>,
    /// The pods of the cluster, if there is one.
    pub(crate) pods: Option<Arc<Pods>>,
}

impl Found {
    /// Whether it is what a cluster says.
    pub(crate) fn is_cluster(&self) -> bool {
        &*self.source == CLUSTER
    }
}

/// The source that is a cluster.
pub(crate) const CLUSTER: &str = "the cluster";
