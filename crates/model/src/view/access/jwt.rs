//! Tokens: whose are believed at a port, by which keys, and what becomes of them.

use alloc::{string::String, sync::Arc, vec::Vec};
use core::fmt;
use core::time::Duration;

use crate::origin::{ObjectRef, Origin};
use crate::time::Wall;

/// Whose tokens are believed at a port. A request with a token that is not accepted is refused, before
/// any rule is asked ([`crate::Code::R061`]); one without a token has no claims.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Jwt {
    /// Each policy that said that every call needs a token ([`crate::Code::R062`]): one of its own
    /// issuers, not of those whom another policy believes.
    pub required: Vec<Origin>,
    /// Those who make tokens; of one that is named twice, either may accept a token.
    pub issuers: Vec<JwtIssuer>,
}

impl Jwt {
    /// Those whom one policy believes: what rules of it ask of claims, only their tokens meet.
    pub fn issuers_of(&self, policy: &ObjectRef) -> impl Iterator<Item = &JwtIssuer> {
        let issuers = self.issuers.iter();
        issuers.filter(move |issuer| *issuer.origin.object == *policy)
    }
}

/// One whose tokens are believed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JwtIssuer {
    /// Where it is written: `AccessPolicy shop/payments /spec/jwt/issuers/0`.
    pub origin: Origin,
    /// What its tokens say in `iss`.
    pub issuer: Arc<str>,
    /// One of these stands in its tokens' `aud`; `None` takes tokens that are meant for anybody.
    pub audiences: Option<Vec<String>>,
    /// Where its tokens stand in a request.
    pub from: Vec<TokenPlace>,
    /// Whether the application sees the token.
    pub forward: bool,
    /// Which claims the application is told.
    pub claims: Vec<ClaimHeader>,
    /// What proves its tokens.
    pub keys: IssuerKeys,
}

/// What carries a token.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum TokenPlace {
    /// A header.
    Header {
        /// Its name, in lower case.
        name: Arc<str>,
        /// What stands before the token, in any case: `Bearer `. A value that does not begin so is no
        /// token.
        prefix: Arc<str>,
    },
    /// The cookie of this name (RFC 6265).
    Cookie(Arc<str>),
}

/// A header by which an application is told a claim. Clients cannot set it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClaimHeader {
    /// The claim: its name, or a JSON pointer to it.
    pub claim: Arc<str>,
    /// The header, in lower case.
    pub header: Arc<str>,
}

/// The keys of an issuer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IssuerKeys {
    /// Where they come from; `None` if they stand in the policy.
    pub source: Option<KeySource>,
    /// A JWK Set; `None` if there never was one ([`crate::Code::R063`]).
    pub jwks: Option<Arc<str>>,
    /// Until when they are good, if they are not good for ever.
    pub until: Option<Wall>,
}

/// Where the control plane gets keys.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeySource {
    /// The place.
    pub place: KeyPlace,
    /// How often it is looked at again.
    pub every: Duration,
    /// For how long keys are good that could not be looked at again.
    pub keep: Duration,
}

/// A place of keys.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum KeyPlace {
    /// A file of the control plane's host.
    File(Arc<str>),
    /// A URL.
    Url(Arc<str>),
}

impl fmt::Display for KeyPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(place) | Self::Url(place) => f.write_str(place),
        }
    }
}
