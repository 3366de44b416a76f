//! Whether a token is an issuer's word, to us, at this moment.

use alloc::string::String;
use core::time::Duration;

use jsonwebtoken::crypto;
use leno_model::Wall;

use crate::claims::{Claims, Time};
use crate::json::shown;
use crate::key::{KeyHash, PublicKey};
use crate::keys::Keys;
use crate::token::Token;

/// By how much the clock of an issuer may differ from ours.
pub const LEEWAY: Duration = Duration::from_secs(60);

/// How many keys are tried for one token.
const MOST_TRIES: usize = 8;

/// What a token must say to be meant for us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expected<'e> {
    /// Whose it must be; `None` where the keys alone say that, as for SPIFFE's JWT-SVIDs.
    pub issuer: Option<&'e str>,
    /// For whom.
    pub audiences: Audiences<'e>,
}

/// For whom a token must be meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Audiences<'e> {
    /// For anyone. Whoever else receives such a token may use it here.
    Any,
    /// For one of these.
    OneOf(&'e [String]),
}

/// The claims of a token that was proven. Only [`verify`] makes one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proven {
    claims: Claims,
    key: KeyHash,
    start: Option<Wall>,
    end: Wall,
}

impl Proven {
    /// What the issuer says.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The key that proved it.
    pub fn key(&self) -> KeyHash {
        self.key
    }

    /// From when on it is not to be accepted; the leeway is not in it.
    pub fn end(&self) -> Wall {
        self.end
    }

    /// Whether it would be proven again, by these keys at this moment: without a signature, for the
    /// same key says the same of the same token.
    pub fn still(&self, keys: &Keys, expected: &Expected<'_>, now: Wall) -> Result<(), WhyNot> {
        self.holds(keys, expected)?;
        self.is_timely(now)
    }

    /// The same, whatever the time is: for what began when it was timely.
    pub fn holds(&self, keys: &Keys, expected: &Expected<'_>) -> Result<(), WhyNot> {
        if !keys.contains(self.key) {
            return Err(WhyNot::KeyGone);
        }
        is_meant(&self.claims, expected)
    }

    //= RFC 7519 section 4.1.4: "The "exp" (expiration time) claim identifies the expiration time on or after which the
    //= JWT MUST NOT be accepted for processing."
    fn is_timely(&self, now: Wall) -> Result<(), WhyNot> {
        let Self { start, end, .. } = self;
        if now.since(*end) >= LEEWAY {
            return Err(WhyNot::Ended {
                ago: now.since(*end),
            });
        }
        match start.filter(|start| start.since(now) > LEEWAY) {
            None => Ok(()),
            Some(start) => Err(WhyNot::NotYet {
                after: start.since(now),
            }),
        }
    }
}

/// Proves a token by an issuer's keys at a moment, or says why not.
pub fn verify(
    token: Token<'_>,
    keys: &Keys,
    expected: &Expected<'_>,
    now: Wall,
) -> Result<Proven, WhyNot> {
    is_of(&token.claims, expected)?;
    let key = prove(&token, keys)?.hash;
    let Token { claims, .. } = token;
    let end = match claims.end() {
        Time::At(end) => end,
        Time::Absent => return Err(WhyNot::Endless),
        Time::Unreadable => return Err(WhyNot::Malformed),
    };
    let start = match claims.start() {
        Time::At(start) => Some(start),
        Time::Absent => None,
        Time::Unreadable => return Err(WhyNot::Malformed),
    };
    is_meant(&claims, expected)?;
    let proven = Proven {
        claims,
        key,
        start,
        end,
    };
    proven.is_timely(now)?;
    Ok(proven)
}

/// The key that signed a token.
fn prove<'k>(token: &Token<'_>, keys: &'k Keys) -> Result<&'k PublicKey, WhyNot> {
    if keys.is_empty() {
        return Err(WhyNot::NoKeys);
    }
    let id = token.key_id();
    let fitting = || keys.0.iter().filter(|key| key.fits(token.algorithm, id));
    match (fitting().count(), id) {
        (0, Some(id)) => return Err(WhyNot::KeyUnknown(shown(id))),
        (0, None) => return Err(WhyNot::NoKeyFits),
        (many, _) if many > MOST_TRIES => return Err(WhyNot::KeyNotNamed(many)),
        _ => {}
    }
    let algorithm = token.algorithm.of_library();
    let proves = |key: &&PublicKey| {
        let message = token.message.as_bytes();
        crypto::verify(token.signature, message, &key.key, algorithm).unwrap_or(false)
    };
    fitting().find(proves).ok_or(WhyNot::Signature)
}

fn is_of(claims: &Claims, expected: &Expected<'_>) -> Result<(), WhyNot> {
    match expected.issuer {
        Some(issuer) if claims.issuer() != Some(issuer) => Err(WhyNot::Issuer),
        Some(_) | None => Ok(()),
    }
}

//= RFC 8725 section 3.9: "If the same issuer can issue JWTs that are intended for use by more than one relying party or
//= application, the JWT MUST contain an "aud" (audience) claim that can be used to determine whether the JWT is being
//= used by an intended party or was substituted by an attacker at an unintended party."
fn is_meant(claims: &Claims, expected: &Expected<'_>) -> Result<(), WhyNot> {
    is_of(claims, expected)?;
    let mut audiences = claims.audiences().ok_or(WhyNot::Malformed)?;
    let ours = match expected.audiences {
        Audiences::Any => return Ok(()),
        Audiences::OneOf(ours) => ours,
    };
    match audiences.any(|audience| ours.iter().any(|our| our == audience)) {
        true => Ok(()),
        false => Err(WhyNot::Audience),
    }
}

/// Why a token is not accepted. No claim stands in it: whose token it is, is nobody's business.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WhyNot {
    /// Longer than any that is read.
    #[error("the token has more than {} bytes", Token::MOST_BYTES)]
    TooLong,
    /// It has not the form of one.
    #[error("it is not a JSON Web Token")]
    NotAToken,
    /// Encrypted or compressed.
    #[error("the token is encrypted or compressed")]
    Encrypted,
    /// A part of it cannot be read, or names something twice.
    #[error("the token is malformed")]
    Malformed,
    /// Its algorithm is `none`.
    #[error("the token is not signed")]
    Unsigned,
    /// It is signed with a shared secret.
    #[error("the token is signed with a shared secret, which proves nothing here")]
    Symmetric,
    /// It is signed in a way that is not known here.
    #[error("the token is signed with algorithm {0}, which is not known here")]
    Algorithm(String),
    /// Its header asks for an extension.
    #[error("the token asks for an extension that is not known here (crit)")]
    Extension,
    /// It is a token of another kind, such as one for logging out.
    #[error("it is a token of another kind: {0}")]
    Kind(String),
    /// Nobody who is trusted says that it made it.
    #[error("the token's issuer is not trusted here")]
    Issuer,
    /// There are no keys of its issuer.
    #[error("there are no keys of the token's issuer")]
    NoKeys,
    /// It names a key that the issuer does not publish, or that is not for its algorithm.
    #[error("the token's issuer has no key {0} for the token's algorithm")]
    KeyUnknown(String),
    /// It names no key, and the issuer has none for its algorithm.
    #[error("the token's issuer has no key for the token's algorithm")]
    NoKeyFits,
    /// Too many keys fit.
    #[error("the token names no key, and {0} of its issuer's would have to be tried")]
    KeyNotNamed(usize),
    /// The key that proved it is no longer the issuer's.
    #[error("the key that signed the token has been taken back")]
    KeyGone,
    /// No key of its issuer made the signature.
    #[error("the token's signature is wrong")]
    Signature,
    /// It would be good for ever.
    #[error("the token has no end (exp)")]
    Endless,
    /// Its end has come.
    #[error("the token ended {} s ago", .ago.as_secs())]
    Ended {
        /// How long ago.
        ago: Duration,
    },
    /// It is for later.
    #[error("the token is not good before {} s from here (nbf)", .after.as_secs())]
    NotYet {
        /// In how long.
        after: Duration,
    },
    /// It is meant for others.
    #[error("the token is meant for somebody else (aud)")]
    Audience,
}
