//! Why an enclosure could not be opened, and how far it came.

use std::{fmt, io};

/// Why an enclosure could not be opened. [`Blocker`](crate::Blocker) says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The guard could not be started.
    #[error("could not start the guard of the enclosure")]
    Spawn(#[source] io::Error),
    /// The system refused a step.
    #[error("{step} was refused ({}){what}", io::Error::from_raw_os_error(*.errno))]
    Refused {
        /// What was being done.
        step: Step,
        /// The system's error number.
        errno: i32,
        /// What exactly, where the step has parts: the rule, the file. Empty, or begins with `: `.
        what: String,
    },
    /// The guard or the keeper ended without a word, or with one that makes no sense.
    #[error("the keeper of the enclosure was lost")]
    Lost(#[source] io::Error),
}

/// What is done on the way to an open enclosure, in this order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Step {
    /// Making the namespaces.
    Namespaces,
    /// Keeping the user's own user and group id in them.
    Identity,
    /// Starting the keeper as their first process.
    Keeper,
    /// Giving the keeper mounts of its own.
    Mounts,
    /// Giving it its own `/etc/resolv.conf` and `/etc/nsswitch.conf`.
    Resolver,
    /// Raising `lo` with the workload's own addresses.
    Network,
    /// Loading the capture rules.
    Rules,
    /// Opening the listeners.
    Sockets,
}

impl Step {
    pub(super) const ALL: [Self; 8] = [
        Self::Namespaces,
        Self::Identity,
        Self::Keeper,
        Self::Mounts,
        Self::Resolver,
        Self::Network,
        Self::Rules,
        Self::Sockets,
    ];
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Namespaces => "making namespaces",
            Self::Identity => "keeping the user id inside",
            Self::Keeper => "starting the keeper",
            Self::Mounts => "separating mounts",
            Self::Resolver => "mounting the resolver's files",
            Self::Network => "laying out the network",
            Self::Rules => "loading the capture rules",
            Self::Sockets => "opening the listeners",
        })
    }
}
