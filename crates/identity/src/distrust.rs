//! Why somebody was not believed: one variant for each reason, with what was expected and what came.

use alloc::{string::String, vec::Vec};
use core::fmt;

use leno_model::{Code, Fault, SpiffeId, TrustDomain, Wall};

use crate::{
    certificate::{BadIdentity, Unfit},
    verify::LONGEST_CHAIN,
};

/// Why a chain proves nobody, or not the one who was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// There is no certificate at all.
    #[error("a certificate was expected, and none came")]
    NoCertificate,
    /// More certificates than any honest chain has.
    #[error("at most {LONGEST_CHAIN} certificates were expected, and {came} came")]
    ChainTooLong {
        /// Who it says it is, if that could be read.
        id: Option<SpiffeId>,
        /// How many came.
        came: usize,
    },
    /// The leaf does not hold exactly one identity of our form.
    #[error("exactly one SPIFFE identity was expected: {why}{said}")]
    MalformedIdentity {
        /// What is wrong with it.
        why: BadIdentity,
        /// What it says instead, where that is not told by then.
        said: Said,
    },
    /// No roots are known for the identity's trust domain.
    #[error("{id} came, and what is trusted here is {}", List(trusted))]
    ForeignTrustDomain {
        /// Who it says it is.
        id: SpiffeId,
        /// The domains whose roots are known.
        trusted: Vec<TrustDomain>,
    },
    /// A certificate's time is over.
    #[error("{} of {id} ended at {ended}, and it is {now}", .link.noun())]
    Expired {
        /// Who it says it is.
        id: SpiffeId,
        /// Whose certificate.
        link: Link,
        /// Its last second.
        ended: Wall,
        /// The time it was judged by.
        now: Wall,
    },
    /// A certificate's time has not come.
    #[error("{} of {id} begins at {begins}, and it is {now}: too early, or a clock is wrong", .link.noun())]
    NotYetValid {
        /// Who it says it is.
        id: SpiffeId,
        /// Whose certificate.
        link: Link,
        /// Its first second.
        begins: Wall,
        /// The time it was judged by.
        now: Wall,
    },
    /// No path of good signatures leads to a root of the identity's trust domain.
    #[error(
        "the certificate of {id} was expected to lead to a root of {}, and does not", id.trust_domain
    )]
    UnknownAuthority {
        /// Who it says it is.
        id: SpiffeId,
    },
    /// A certificate that is not made for this use.
    #[error("{} is not fit: {why}", Subject(*link, id.as_ref()))]
    NotFit {
        /// Who it says it is, if that could be read.
        id: Option<SpiffeId>,
        /// Whose certificate.
        link: Link,
        /// What is wrong with it.
        why: Unfit,
    },
    /// It is who it says, and was revoked.
    #[error("{id} proved who it is, and has been revoked")]
    Revoked {
        /// Who it is.
        id: SpiffeId,
    },
    /// It is who it says, and people neither call services nor answer for them.
    #[error("{id} proved to be a person, and only workloads call and are called here")]
    Person {
        /// Who it is.
        id: SpiffeId,
    },
    /// It is who it says, and somebody else was expected.
    #[error("{} was expected, and {came} came", List(expected))]
    UnexpectedPeer {
        /// Who it is.
        came: SpiffeId,
        /// Who it should have been: one of these.
        expected: Vec<SpiffeId>,
    },
}

/// What a certificate calls whom it is for, where that is no identity: short, in printable ASCII, and proven by
/// nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said(String);

/// How many characters of it are told.
const MOST_SAID: usize = 200;

impl Said {
    pub(crate) fn of(text: &str) -> Self {
        let escaped = text.chars().flat_map(char::escape_default);
        Self(escaped.take(MOST_SAID).collect())
    }
}

/// `; it calls itself "CN=printer", which nothing proves`, or nothing.
impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text) = self;
        match text.is_empty() {
            true => Ok(()),
            false => write!(f, "; it calls itself \"{text}\", which nothing proves"),
        }
    }
}

/// Whose certificate in a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// The one that holds the identity.
    Leaf,
    /// An intermediate or root above it.
    Authority,
}

impl Link {
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Leaf => "the certificate",
            Self::Authority => "an authority above the certificate",
        }
    }
}

impl Distrust {
    /// The code of this reason.
    pub fn code(&self) -> Code {
        match self {
            Self::Expired { .. } => Code::T001,
            Self::NotYetValid { .. } => Code::T002,
            Self::ForeignTrustDomain { .. } => Code::T003,
            Self::UnknownAuthority { .. } => Code::T004,
            Self::Revoked { .. } => Code::T005,
            Self::UnexpectedPeer { .. } => Code::T006,
            Self::NoCertificate => Code::T008,
            Self::MalformedIdentity { .. } => Code::T009,
            Self::NotFit { .. } | Self::ChainTooLong { .. } => Code::T010,
            Self::Person { .. } => Code::T028,
        }
    }

    /// Whose move it is.
    pub fn fault(&self) -> Fault {
        self.code().fault()
    }

    /// Who the peer says it is. Only [`Self::Revoked`], [`Self::Person`] and
    /// [`Self::UnexpectedPeer`] are proven.
    pub fn claimed(&self) -> Option<&SpiffeId> {
        match self {
            Self::NoCertificate | Self::MalformedIdentity { .. } => None,
            Self::NotFit { id, .. } | Self::ChainTooLong { id, .. } => id.as_ref(),
            Self::ForeignTrustDomain { id, .. }
            | Self::Expired { id, .. }
            | Self::NotYetValid { id, .. }
            | Self::UnknownAuthority { id }
            | Self::Revoked { id }
            | Self::Person { id }
            | Self::UnexpectedPeer { came: id, .. } => Some(id),
        }
    }
}

/// `a`, `a or b`, `a, b or c`, and `nobody` for none.
struct List<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((last, others)) = self.0.split_last() else {
            return f.write_str("nobody");
        };
        for (at, other) in others.iter().enumerate() {
            let before = if at == 0 { "" } else { ", " };
            write!(f, "{before}{other}")?;
        }
        let before = if others.is_empty() { "" } else { " or " };
        write!(f, "{before}{last}")
    }
}

/// The certificate spoken of, with the identity where it is known.
struct Subject<'a>(Link, Option<&'a SpiffeId>);

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(link, id) = self;
        match id {
            Some(id) => write!(f, "{} of {id}", link.noun()),
            None => f.write_str(link.noun()),
        }
    }
}
