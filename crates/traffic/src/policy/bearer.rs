//! The token that a request carries: found, proven by its issuer's keys, and what of it an application is
//! told.

use alloc::{
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use leno_condition::{Scalar, listed};
use leno_jwt::{Audiences, Expected, Keys, Proven, Purpose, Token, Value, WhyNot, verify};
use leno_model::view::HeaderChanges;
use leno_model::view::access::{Jwt, JwtIssuer, KeyPlace, TokenPlace};
use leno_model::{Code, ObjectRef, Origin, Wall};
use leno_protocol::{Header, Request};

use crate::caller::{self, ISSUER, KnownClaims, Missing};
use crate::policy::cookies;
use crate::policy::meets::is_named;
use crate::policy::tokens::Tokens;

/// What is to be thought of the token of a request. Only [`crate::Policy::bearer`] finds that out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bearer(Found);

#[derive(Clone, PartialEq, Eq, Debug, Default)]
enum Found {
    /// Nobody has looked.
    #[default]
    NotLooked,
    None,
    /// Proven by an issuer, the one at this place among those who are believed.
    Proven(Arc<Proven>, usize),
    Refused(RefusedToken),
}

impl Bearer {
    /// What is said of it to rules.
    pub fn token(&self) -> caller::Token<'_> {
        match &self.0 {
            Found::NotLooked => caller::Token::NotLooked,
            Found::None => caller::Token::Absent,
            Found::Proven(proven, _) => caller::Token::Of(proven),
            Found::Refused(why) => caller::Token::Refused(why),
        }
    }

    pub(crate) fn proven(&self) -> Option<&Arc<Proven>> {
        match &self.0 {
            Found::Proven(proven, _) => Some(proven),
            Found::NotLooked | Found::None | Found::Refused(_) => None,
        }
    }
}

/// Why the token of a request is not accepted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefusedToken {
    /// Who believes its issuer; `None` if nobody does.
    pub origin: Option<Origin>,
    /// Why.
    pub why: WhyRefused,
}

/// Why the token of a request is not accepted.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WhyRefused {
    /// It proves nothing to us.
    #[error("{0}")]
    Token(WhyNot),
    /// The request has more than one.
    #[error("the request carries more than one token")]
    Several,
    /// It proves something, and a policy asks for one of its own issuers.
    #[error("it is of none of the issuers whose tokens {0} requires")]
    OfAnother(Arc<ObjectRef>),
    /// Nobody has looked what is to be thought of it.
    #[error("nobody has looked at the token of the request")]
    NotLooked,
    /// Its issuer's keys have not been got, or are no longer good.
    #[error("no keys of the token's issuer are good: they come from {0}, and could not be got")]
    KeysMissing(KeyPlace),
}

impl WhyRefused {
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Token(_) | Self::Several | Self::OfAnother(_) | Self::NotLooked => Code::R061,
            Self::KeysMissing(_) => Code::R063,
        }
    }

    /// A client whose token may be good is not to throw it away.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Token(_) | Self::OfAnother(_) | Self::NotLooked => 401,
            Self::Several => 400,
            Self::KeysMissing(_) => 503,
        }
    }
}

/// Whose tokens are believed at a port, ready to prove them.
#[derive(Debug)]
pub(crate) struct Believed {
    jwt: Arc<Jwt>,
    /// The keys of each issuer, in their order.
    keys: Vec<Keys>,
    /// Every place of tokens, once.
    places: Vec<TokenPlace>,
}

impl Believed {
    pub(crate) fn new(jwt: Arc<Jwt>) -> Self {
        let keys = |issuer: &JwtIssuer| {
            let jwks = issuer.keys.jwks.as_deref().unwrap_or_default();
            let read = Keys::read(jwks.as_bytes(), Purpose::Tokens);
            read.map(|(keys, _)| keys).unwrap_or_default()
        };
        let mut places = Vec::<TokenPlace>::new();
        for place in jwt.issuers.iter().flat_map(|issuer| &issuer.from) {
            if !places.contains(place) {
                places.push(place.clone());
            }
        }
        Self {
            keys: jwt.issuers.iter().map(keys).collect(),
            places,
            jwt,
        }
    }

    /// A policy that wants every call to have a token.
    pub(crate) fn required(&self) -> Option<&Origin> {
        self.jwt.required.first()
    }

    /// A policy that wants a token of its own issuers, and this is none.
    pub(crate) fn wants_another(&self, proven: &Proven) -> Option<&Origin> {
        let mut required = self.jwt.required.iter();
        required.find(|origin| !self.holds_for(&origin.object, proven))
    }

    /// The same of a token that nobody proved; `Err` if that cannot be told.
    pub(crate) fn wants_another_than(
        &self,
        known: &KnownClaims,
    ) -> Result<Option<&Origin>, Missing> {
        for origin in &self.jwt.required {
            if !self.is_for(&origin.object, known)? {
                return Ok(Some(origin));
            }
        }
        Ok(None)
    }

    /// Finds and proves the token of a request.
    pub(crate) fn bearer(&self, request: &Request<'_>, tokens: &Tokens, now: Wall) -> Bearer {
        let mut found = self.find(request.headers);
        let Some((text, place)) = found.next() else {
            return Bearer(Found::None);
        };
        //= RFC 6750 section 2: "Clients MUST NOT use more than one method to transmit the token in each request."
        if found.next().is_some() {
            return refused(None, WhyRefused::Several);
        }
        let Ok(text) = str::from_utf8(text) else {
            return refused(None, WhyRefused::Token(WhyNot::NotAToken));
        };
        let known = tokens.get(text, now);
        if let Some(proven) = known
            && let Some(by) = self.still_by(&proven, place, now)
        {
            return Bearer(Found::Proven(proven, by));
        }
        match self.prove(text, place, now) {
            Ok((proven, by)) => {
                let proven = Arc::new(proven);
                tokens.put(text, &proven);
                Bearer(Found::Proven(proven, by))
            }
            Err(refused) => Bearer(Found::Refused(refused)),
        }
    }

    /// Whether something stands where tokens do.
    pub(crate) fn carries(&self, request: &Request<'_>) -> bool {
        self.find(request.headers).next().is_some()
    }

    /// What stands where tokens stand.
    fn find<'s>(
        &'s self,
        headers: &'s [Header<'s>],
    ) -> impl Iterator<Item = (&'s [u8], &'s TokenPlace)> {
        self.places.iter().flat_map(move |place| {
            let (header, cookie) = match place {
                TokenPlace::Header { name, prefix } => (Some(behind(headers, name, prefix)), None),
                TokenPlace::Cookie(name) => (None, Some(cookies::named(headers, name))),
            };
            let header = header.into_iter().flatten();
            let found = header.chain(cookie.into_iter().flatten());
            found.map(move |text| (text, place))
        })
    }

    /// The issuers who may have put a token there, each with its keys.
    fn issuers(
        &self,
        issuer: Option<&str>,
        place: &TokenPlace,
    ) -> impl Iterator<Item = (usize, &JwtIssuer, &Keys)> {
        let issuers = self.jwt.issuers.iter().zip(&self.keys).enumerate();
        issuers
            .filter(move |(_, (one, _))| Some(&*one.issuer) == issuer && one.from.contains(place))
            .map(|(position, (one, keys))| (position, one, keys))
    }

    fn prove(
        &self,
        text: &str,
        place: &TokenPlace,
        now: Wall,
    ) -> Result<(Proven, usize), RefusedToken> {
        let not = |origin, why| RefusedToken {
            origin,
            why: WhyRefused::Token(why),
        };
        let token = Token::read(text).map_err(|why| not(None, why))?;
        let mut refused = not(None, WhyNot::Issuer);
        for (position, issuer, keys) in self.issuers(token.claimed_issuer(), place) {
            let origin = Some(issuer.origin.clone());
            if let Some(place) = keys_missing(issuer, now) {
                let why = WhyRefused::KeysMissing(place.clone());
                refused = RefusedToken { origin, why };
                continue;
            }
            match verify(token.clone(), keys, &expected(issuer), now) {
                Ok(proven) => return Ok((proven, position)),
                Err(why) => refused = not(origin, why),
            }
        }
        Err(refused)
    }

    /// The issuer by whom what was proven before would be proven again.
    fn still_by(&self, proven: &Proven, place: &TokenPlace, now: Wall) -> Option<usize> {
        let mut issuers = self.issuers(proven.claims().issuer(), place);
        issuers.find_map(|(position, issuer, keys)| {
            let has_keys = keys_missing(issuer, now).is_none();
            let still = has_keys && proven.still(keys, &expected(issuer), now).is_ok();
            still.then_some(position)
        })
    }

    /// The same for a call that was let in by it and goes on: whatever the time is.
    pub(crate) fn holds(&self, proven: &Proven) -> bool {
        self.is_of(proven, |_| true)
    }

    /// Whether one policy believes anybody's tokens.
    pub(crate) fn is_asked_by(&self, policy: &ObjectRef) -> bool {
        self.jwt.issuers_of(policy).next().is_some()
    }

    /// Whether a token that was proven is of an issuer whom this policy believes, whoever else does.
    pub(crate) fn holds_for(&self, policy: &ObjectRef, proven: &Proven) -> bool {
        self.is_of(proven, |issuer| *issuer.origin.object == *policy)
    }

    /// The same of a token that nobody proved: by who made it, or whoever that is.
    pub(crate) fn is_for(&self, policy: &ObjectRef, known: &KnownClaims) -> Result<bool, Missing> {
        let mut believed = self.jwt.issuers_of(policy);
        let Some(issuer) = known.issuer() else {
            let is_else = |one: &JwtIssuer| *one.origin.object != *policy;
            return match self.jwt.issuers.iter().any(is_else) {
                true => Err(Missing::Claim(ISSUER.into())),
                false => Ok(true),
            };
        };
        Ok(believed.any(|one| *one.issuer == *issuer))
    }

    fn is_of(&self, proven: &Proven, of: impl Fn(&JwtIssuer) -> bool) -> bool {
        let issuers = self.jwt.issuers.iter().zip(&self.keys);
        let mut issuers = issuers.filter(|(issuer, _)| of(issuer));
        issuers.any(|(issuer, keys)| proven.holds(keys, &expected(issuer)).is_ok())
    }

    /// What becomes of the headers of a request on its way to the application: what clients may not say
    /// is left out, and so is the token, unless it is forwarded; claims are told.
    pub(crate) fn changes(&self, request: &Request<'_>, bearer: &Bearer) -> HeaderChanges {
        let mut changes = HeaderChanges::default();
        let by = match &bearer.0 {
            Found::Proven(proven, by) => {
                let issuer = self.jwt.issuers.get(*by);
                issuer.map(|issuer| (proven.claims(), issuer))
            }
            Found::NotLooked | Found::None | Found::Refused(_) => None,
        };
        for told in by.iter().flat_map(|(_, issuer)| &issuer.claims) {
            let value = by.and_then(|(claims, _)| claims.get(&told.claim));
            if let Some(value) = value.and_then(told_as) {
                changes.set.push((told.header.clone(), value.into()));
            }
        }
        let hidden = by.filter(|(_, issuer)| !issuer.forward);
        let hidden = || hidden.iter().flat_map(|(_, issuer)| &issuer.from);
        let in_cookies = hidden().filter_map(|place| match place {
            TokenPlace::Cookie(name) => Some(&**name),
            TokenPlace::Header { .. } => None,
        });
        let others = cookies::without(request.headers, &in_cookies.collect::<Vec<_>>());
        let no_others = others.as_ref().is_some_and(String::is_empty);
        if let Some(others) = others.filter(|others| !others.is_empty()) {
            changes.set.push((cookies::HEADER.into(), others.into()));
        }
        let told = || self.jwt.issuers.iter().flat_map(|issuer| &issuer.claims);
        for header in request.headers {
            // Whatever else stood there is replaced.
            let is_set = |(name, _): &(Arc<str>, Arc<str>)| header.name.eq_ignore_ascii_case(name);
            if changes.set.iter().any(is_set) {
                continue;
            }
            let is_told = told().any(|claim| is_named(header.name, &claim.header));
            let is_token = hidden().any(|place| match place {
                TokenPlace::Header { name, .. } => header.name.eq_ignore_ascii_case(name),
                TokenPlace::Cookie(_) => {
                    no_others && header.name.eq_ignore_ascii_case(cookies::HEADER)
                }
            });
            if is_told || is_token {
                changes.remove.push(header.name.to_ascii_lowercase().into());
            }
        }
        changes
    }
}

/// What stands behind a prefix in headers of this name.
fn behind<'h>(
    headers: &'h [Header<'h>],
    name: &'h str,
    prefix: &'h str,
) -> impl Iterator<Item = &'h [u8]> {
    let named = headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name));
    named.filter_map(move |header| {
        let (begin, rest) = header.value.split_at_checked(prefix.len())?;
        let begins_so = begin.eq_ignore_ascii_case(prefix.as_bytes());
        begins_so.then(|| rest.trim_ascii())
    })
}

fn refused(origin: Option<Origin>, why: WhyRefused) -> Bearer {
    Bearer(Found::Refused(RefusedToken { origin, why }))
}

/// Where keys should have come from, if there are none that are good.
fn keys_missing(issuer: &JwtIssuer, now: Wall) -> Option<&KeyPlace> {
    let keys = &issuer.keys;
    let good = keys.jwks.is_some() && keys.until.is_none_or(|until| now < until);
    let source = keys.source.as_ref().filter(|_| !good)?;
    Some(&source.place)
}

fn expected(issuer: &JwtIssuer) -> Expected<'_> {
    Expected {
        issuer: Some(&issuer.issuer),
        audiences: match &issuer.audiences {
            Some(audiences) => Audiences::OneOf(audiences),
            None => Audiences::Any,
        },
    }
}

/// The texts that a claim says: of a list each item, of `scope` and `scp` each word. Objects and what
/// is empty say none.
pub(crate) fn said(name: &str, value: &Value) -> impl Iterator<Item = String> {
    listed(name, value).flatten().map(|item| item.to_string())
}

/// How an application is told a claim: what could end a header, or be taken for two items, is not told.
fn told_as(value: &Value) -> Option<String> {
    let text = match value {
        Value::Array(items) => {
            let items = items.iter().map(Scalar::of);
            let items = items.map(|item| Some(item?.to_string()));
            let items = items.collect::<Option<Vec<_>>>()?;
            if items.iter().any(|item| item.contains(',')) {
                return None;
            }
            items.join(",")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            Scalar::of(value)?.to_string()
        }
    };
    (!text.chars().any(char::is_control) && text.trim() == text).then_some(text)
}
