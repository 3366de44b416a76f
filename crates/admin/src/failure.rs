//! Why there is no answer.

use std::io;

use leno_model::Code;
use serde::{Deserialize, Serialize};

use crate::answer::{Finding, Status};

/// The control plane understood the question and refused.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The code of the reason, if it has one.
    pub code: Option<String>,
    /// The reason in words.
    pub message: String,
    /// What to do about it.
    #[serde(default)]
    pub advice: Option<String>,
    /// What was found wrong.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// How the control plane is that refused.
    #[serde(default)]
    pub status: Option<Box<Status>>,
}

impl Failure {
    /// A refusal with a code.
    pub fn coded(code: Code, message: impl ToString) -> Self {
        Self {
            code: Some(code.as_str().to_owned()),
            ..Self::plain(message)
        }
    }

    /// A refusal whose words say it all: the question makes no sense.
    pub fn plain(message: impl ToString) -> Self {
        Self {
            code: None,
            message: message.to_string(),
            advice: None,
            findings: Vec::new(),
            status: None,
        }
    }
}

/// Why an asker has no answer.
#[derive(Debug, thiserror::Error)]
pub enum NotAsked {
    /// Nobody is there.
    #[error("no control plane answers at {path}: {why}")]
    Away {
        /// The socket.
        path: String,
        /// What the system says.
        why: io::Error,
    },
    /// What came back is no answer.
    #[error("the control plane's answer is not understood: {0}")]
    Misfit(String),
    /// It was refused.
    #[error(transparent)]
    Refused(#[from] Failure),
}
