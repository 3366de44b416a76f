//! Why nothing was fetched.

use std::fmt;
use std::time::Duration;

use leno_model::Fault;

/// Why a server's answer was not had. It is a clause about the server: `it answered 403`.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotFetched {
    /// What is said of the server cannot be used.
    #[error("{0}")]
    Unusable(String),
    /// Nobody is there, or not the one who is meant, or it broke off.
    #[error("{0}")]
    Away(String),
    /// It took too long.
    #[error("it did not answer within {0:?}")]
    Late(Duration),
    /// What it said is no answer of HTTP/1.1.
    #[error("what it answered cannot be read: {0}")]
    Garbled(String),
    /// It had more to say than is taken.
    #[error("it answered {status} with more than {most} bytes")]
    TooLong {
        /// The status of its answer.
        status: u16,
        /// How many bytes would have been taken.
        most: usize,
    },
    /// It said no, or pointed elsewhere.
    #[error("it answered {status}{}", Elsewhere(leads_to.as_deref()))]
    Refused {
        /// The status of its answer.
        status: u16,
        /// Where it pointed.
        leads_to: Option<String>,
    },
}

impl NotFetched {
    /// Whose move it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Unusable(_) => Fault::Configuration,
            Self::Away(_)
            | Self::Late(_)
            | Self::Garbled(_)
            | Self::TooLong { .. }
            | Self::Refused { .. } => Fault::Service,
        }
    }
}

struct Elsewhere<'a>(Option<&'a str>);

impl fmt::Display for Elsewhere<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(place) => {
                let place: String = place.chars().take(LONGEST_PLACE).collect();
                write!(f, " and points to {place}, where nobody is asked")
            }
            None => Ok(()),
        }
    }
}

/// Letters of a place that are told on.
const LONGEST_PLACE: usize = 200;
