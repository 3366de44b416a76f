//! A server of another trust domain that is to prove one identity, whatever form its path has. It calls nobody
//! and is told nothing: all that follows from this proof is that what it says came from there.

use alloc::{borrow::ToOwned, string::String};

use leno_model::{TrustDomain, Wall};

use crate::certificate::{BadIdentity, Certificate, Unfit};
use crate::distrust::Link;
use crate::trust::Trust;
use crate::verify::{Flaw, LONGEST_CHAIN, judge};

/// Judges the chain of a server, leaf first, that must be `id`, a SPIFFE ID, as `trust` stands at `now`.
pub fn verify_endpoint(
    chain: &[impl AsRef<[u8]>],
    id: &str,
    trust: &Trust,
    now: Wall,
) -> Result<(), NotEndpoint> {
    let leaf = chain.first().ok_or(NotEndpoint::NoCertificate)?;
    if chain.len() > LONGEST_CHAIN {
        return Err(NotEndpoint::ChainTooLong { came: chain.len() });
    }
    let leaf = Certificate::read(leaf.as_ref()).map_err(|why| NotEndpoint::NotFit {
        whose: Link::Leaf.noun(),
        why,
    })?;
    let came = leaf.uri().map_err(NotEndpoint::Unnamed)?;
    if came != id {
        return Err(NotEndpoint::Other {
            expected: id.to_owned(),
            came: came.chars().take(MOST_SHOWN).collect(),
        });
    }
    let domain = TrustDomain::of_id(id);
    let bundle = domain.and_then(|domain| trust.bundle(&domain));
    let bundle = bundle.ok_or(NotEndpoint::UnknownAuthority)?;
    let judged = judge(&leaf, chain, bundle, now);
    judged.map(|_| ()).map_err(|flaw| match flaw {
        Flaw::Expired { link, ended } => NotEndpoint::Expired {
            whose: link.noun(),
            ended,
        },
        Flaw::NotYetValid { link, begins } => NotEndpoint::NotYetValid {
            whose: link.noun(),
            begins,
        },
        Flaw::NotFit { link, why } => NotEndpoint::NotFit {
            whose: link.noun(),
            why,
        },
        Flaw::UnknownAuthority => NotEndpoint::UnknownAuthority,
    })
}

/// How much of what came is told.
const MOST_SHOWN: usize = 256;

/// Why a server is not the one that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each says what it is in words")]
pub enum NotEndpoint {
    #[error("it shows no certificate")]
    NoCertificate,
    #[error("at most {LONGEST_CHAIN} certificates were expected, and {came} came")]
    ChainTooLong { came: usize },
    #[error(transparent)]
    Unnamed(BadIdentity),
    #[error("{expected} was expected, and {came:?} came")]
    Other { expected: String, came: String },
    #[error("{whose} ended at {ended}")]
    Expired { whose: &'static str, ended: Wall },
    #[error("{whose} begins at {begins}: too early, or a clock is wrong")]
    NotYetValid { whose: &'static str, begins: Wall },
    #[error("{whose} is not fit: {why}")]
    NotFit { whose: &'static str, why: Unfit },
    #[error("its certificate leads to no root of the bundle that is held of its trust domain")]
    UnknownAuthority,
}
