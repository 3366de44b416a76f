//! Why there is no cluster, or why it does not do what was asked.

use std::io;
use std::time::Duration;

/// What went wrong, in words for whoever asked for a cluster.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// This host, or its user, lacks something.
    #[error("missing for a cluster: {what}; {remedy}")]
    Missing {
        /// What it lacks.
        what: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The cluster, or its folder, cannot be set up.
    #[error("{what}: {error}")]
    SetUp {
        /// What was tried.
        what: String,
        /// Why it failed.
        error: io::Error,
    },
    /// A component has ended, and none should.
    #[error("{component} has ended ({status}); its last lines:\n{tail}")]
    Ended {
        /// Its name.
        component: String,
        /// How it ended.
        status: String,
        /// The end of its log.
        tail: String,
    },
    /// Something did not come true in time.
    #[error("waited for {patience:?} in vain: {what}\n{tail}")]
    InVain {
        /// What was waited for.
        what: String,
        /// For how long.
        patience: Duration,
        /// What was said last by whoever should have done it.
        tail: String,
    },
    /// A command about the cluster has failed.
    #[error("`{command}` failed ({status}): {said}")]
    Command {
        /// The command.
        command: String,
        /// How it ended.
        status: String,
        /// What it complained of.
        said: String,
    },
}

impl Failure {
    /// A function that tells of an error of input or output what was tried.
    pub(crate) fn of(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self::SetUp { what, error }
    }
}
