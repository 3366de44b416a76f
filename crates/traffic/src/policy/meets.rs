//! Whether a rule speaks of a call. The answer may be open: a fact that was not recorded, a header that
//! can be read in several ways, a condition without a value.

use alloc::{
    borrow::Cow,
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::fmt;

use leno_condition::{Answer, ClaimSaid, Condition, Fact as Of, Failure, Reads};
use leno_jwt::{Claims, Value};
use leno_model::view::{
    AccessRule, CallerMatch, ClaimMatch, Effect, Except, FieldMatch, FieldValue, RequestMatch,
    Within,
};
use leno_model::{ObjectRef, SpiffeId, TrustDomain};
use leno_protocol::{Header, Request};

use crate::caller::{Claim, Fact, ISSUER, KnownClaims, Missing, Token};
use crate::policy::bearer::{Believed, said};
use crate::recorded::{Kept, Reading, host_meets, method_meets};
use crate::route;

/// What of a request access rules look at, under one reading of its path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'r> {
    pub(crate) method: Fact<&'r str>,
    pub(crate) host: Fact<&'r str>,
    pub(crate) path: Reading<'r>,
    pub(crate) headers: &'r [Header<'r>],
    pub(crate) kept: Kept<'r>,
}

impl<'r> Asked<'r> {
    /// What `request` asks, with its path read as `path`.
    pub(crate) fn of(request: &'r Request<'r>, path: &'r str) -> Self {
        Self::known(request.method, request.host, path, request.headers)
    }

    /// What is asked by a request of which everything is known.
    pub(crate) fn known(
        method: &'r str,
        host: &'r str,
        path: &'r str,
        headers: &'r [Header<'r>],
    ) -> Self {
        Self {
            method: Fact::Known(method),
            host: Fact::Known(host),
            path: Reading::Is(path),
            headers,
            kept: Kept::All,
        }
    }

    /// Its path, if all of it is known.
    pub(crate) fn whole(self) -> Option<&'r str> {
        match self {
            Self {
                method: Fact::Known(_),
                host: Fact::Known(_),
                path: Reading::Is(path),
                headers: _,
                kept: Kept::All,
            } => Some(path),
            _ => None,
        }
    }

    fn keeps(&self, header: &str) -> bool {
        self.kept.holds(route::asks::Asked::Header(header))
    }
}

/// One call to a port: by whom, and for a request what it asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'r> {
    pub(crate) claim: &'r Claim<'r>,
    pub(crate) port: u16,
    pub(crate) asked: Option<Asked<'r>>,
    /// Whose tokens are believed there.
    pub(crate) believed: Option<&'r Believed>,
    /// Our own trust domain.
    pub(crate) own: &'r TrustDomain,
}

/// The part of a rule that a call does not meet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Mismatch<'t> {
    Within(&'t [Within]),
    Caller(&'t [CallerMatch]),
    Request(&'t [RequestMatch]),
    /// It asks for claims, and the token is of nobody whom its policy believes.
    Token(&'t [RequestMatch]),
    ExceptCaller(&'t CallerMatch),
    ExceptRequest(&'t RequestMatch),
    When(&'t str),
    /// It cannot be told.
    Open(Open),
}

/// Why it cannot be told whether something matches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Open {
    /// It depends on this.
    Lacks(Missing),
    /// Nothing is missing, and there is no single answer.
    Unclear(Unclear),
}

/// Why a rule has no single answer for a call of which everything is known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unclear {
    /// A header that it reads came more than once, as a list or under a second spelling, and not
    /// every reading says the same.
    Header(Arc<str>),
    /// It asks something of a request, and the call is a stream of bytes.
    NoRequest,
    /// Its condition has no value for the call.
    Failed(Failure),
    /// It asks for claims, and its policy believes nobody's tokens.
    NobodyBelieved,
    /// It looks into claims, and the token is of nobody whom its policy believes.
    OfOthers,
    /// Its condition asks for what is not known when a call is let in, or cannot be read by this
    /// proxy.
    NotAsked,
}

/// Half a sentence: `header x-role can be read in several ways`.
impl fmt::Display for Unclear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header {name} can be read in several ways"),
            Self::NoRequest => f.write_str("it asks for a request, and this is a stream of bytes"),
            Self::Failed(failure) => write!(f, "its condition has no value: {failure}"),
            Self::NobodyBelieved => {
                f.write_str("it asks for claims, and its policy believes nobody's tokens")
            }
            Self::OfOthers => f.write_str(FOREIGN),
            Self::NotAsked => f.write_str("its condition cannot be asked here"),
        }
    }
}

/// A rule, ready to be asked.
#[derive(Debug)]
pub(crate) struct Ready {
    rule: Arc<AccessRule>,
    when: When,
}

#[derive(Debug)]
enum When {
    Always,
    If(Condition),
    /// It was written for a proxy that can read more.
    NotRead,
}

impl Ready {
    pub(crate) fn new(rule: Arc<AccessRule>) -> Self {
        let when = match rule.when.as_deref().map(Condition::new) {
            None => When::Always,
            Some(Ok(condition)) => When::If(condition),
            Some(Err(_)) => When::NotRead,
        };
        Self { rule, when }
    }

    pub(crate) fn rule(&self) -> &Arc<AccessRule> {
        &self.rule
    }

    /// Whether nobody is refused for it, also where it cannot be told whether it matches.
    pub(crate) fn refuses_nobody(&self) -> bool {
        self.rule.effect == Effect::AllowAlso
    }

    /// The headers that it reads.
    pub(crate) fn headers(&self) -> impl Iterator<Item = &Arc<str>> {
        let requests = self.requests();
        let named = requests.flat_map(|request| request.headers.iter().map(|header| &header.name));
        named.chain(self.reads().into_iter().flat_map(|it| &it.headers))
    }

    /// The claims that it reads.
    pub(crate) fn claims(&self) -> impl Iterator<Item = &Arc<str>> {
        let requests = self.requests();
        let named = requests.flat_map(|request| request.claims.iter().map(|claim| &claim.name));
        named.chain(self.reads().into_iter().flat_map(|it| &it.claims))
    }

    /// What its condition reads.
    fn reads(&self) -> Option<&Reads> {
        match &self.when {
            When::If(condition) => Some(condition.reads()),
            When::Always | When::NotRead => None,
        }
    }

    /// Whether it asks for the host.
    pub(crate) fn asks_host(&self) -> bool {
        let mut requests = self.requests();
        requests.any(|request| !request.hosts.is_empty())
            || self.reads().is_some_and(|it| it.facts.contains(&Of::Host))
    }

    /// All that it says of requests.
    fn requests(&self) -> impl Iterator<Item = &RequestMatch> {
        let Except { requests, .. } = &self.rule.except;
        let requests = self.rule.requests.iter().chain(requests);
        requests.chain(self.rule.within.iter().flat_map(Within::requests))
    }

    /// Whether it asks for claims before it lets anybody in.
    pub(crate) fn asks_claims(&self) -> bool {
        let requests = &self.rule.requests;
        !requests.is_empty() && requests.iter().all(|request| !request.claims.is_empty())
    }

    /// The same, or it looks into claims by its condition.
    pub(crate) fn reads_claims(&self) -> bool {
        self.asks_claims()
            || self
                .reads()
                .is_some_and(|it| it.facts.contains(&Of::Claims))
    }

    /// Whether it looks at what a stream of bytes has not.
    pub(crate) fn reads_requests(&self) -> bool {
        self.requests().any(RequestMatch::reads_requests)
            || self
                .reads()
                .is_some_and(|it| it.facts.iter().any(|fact| fact.is_of_request()))
    }

    /// Whether its policy is about the call, also where that is in doubt, or what would have to be known
    /// to tell.
    pub(crate) fn is_about(&self, call: Call<'_>) -> Result<bool, Missing> {
        match within_meets(&self.rule, call) {
            Meets::Yes | Meets::Open(Open::Unclear(_)) => Ok(true),
            Meets::No => Ok(false),
            Meets::Open(Open::Lacks(missing)) => Err(missing),
        }
    }

    /// What of it the call does not meet. What surely fails stands before what is open, and a fact that
    /// was not recorded before what no record could tell.
    pub(crate) fn mismatch(&self, call: Call<'_>) -> Option<Mismatch<'_>> {
        let AccessRule {
            origin,
            effect: _,
            callers,
            within,
            requests,
            except,
            when: _,
        } = &*self.rule;
        let mut doubts = Doubts::default();
        if !doubts.weigh(within_meets(&self.rule, call)) {
            return Some(Mismatch::Within(within));
        }
        let caller = any(callers, |caller| caller_meets(caller, call.claim));
        if !callers.is_empty() && !doubts.weigh(caller) {
            return Some(Mismatch::Caller(callers));
        }
        let policy = &*origin.object;
        let request = any(requests, |request| request_meets(request, policy, call));
        if !requests.is_empty() && !doubts.weigh(request) {
            return Some(match self.asks_claims() && is_of_others(policy, call) {
                true => Mismatch::Token(requests),
                false => Mismatch::Request(requests),
            });
        }
        for caller in &except.callers {
            if doubts.excludes(caller_meets(caller, call.claim)) {
                return Some(Mismatch::ExceptCaller(caller));
            }
        }
        for request in &except.requests {
            let meets = match request_meets(request, policy, call) {
                Meets::No if call.asked.is_none() && request.reads_requests() => {
                    Meets::unclear(Unclear::NoRequest)
                }
                meets @ (Meets::Yes | Meets::No | Meets::Open(_)) => meets,
            };
            if doubts.excludes(meets) {
                return Some(Mismatch::ExceptRequest(request));
            }
        }
        let holds = match &self.when {
            When::Always => Meets::Yes,
            When::NotRead => Meets::unclear(Unclear::NotAsked),
            When::If(condition) => holds(condition, policy, call),
        };
        if !doubts.weigh(holds) {
            return self.rule.when.as_deref().map(Mismatch::When);
        }
        doubts.first().map(Mismatch::Open)
    }
}

/// Whether something is met.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Meets {
    Yes,
    No,
    Open(Open),
}

impl Meets {
    fn unclear(why: Unclear) -> Self {
        Self::Open(Open::Unclear(why))
    }

    fn lacks(missing: Missing) -> Self {
        Self::Open(Open::Lacks(missing))
    }
}

impl From<bool> for Meets {
    fn from(meets: bool) -> Self {
        match meets {
            true => Self::Yes,
            false => Self::No,
        }
    }
}

/// What is open about a rule.
#[derive(Default)]
struct Doubts {
    lacks: Option<Missing>,
    unclear: Option<Unclear>,
}

impl Doubts {
    /// Whether the rule may still match if this is part of it.
    fn weigh(&mut self, meets: Meets) -> bool {
        match meets {
            Meets::Yes => {}
            Meets::No => return false,
            Meets::Open(Open::Lacks(missing)) => {
                self.lacks.get_or_insert(missing);
            }
            Meets::Open(Open::Unclear(why)) => {
                self.unclear.get_or_insert(why);
            }
        }
        true
    }

    /// Whether the rule surely does not match if it does not speak of this.
    fn excludes(&mut self, meets: Meets) -> bool {
        match meets {
            Meets::Yes => true,
            Meets::No => false,
            Meets::Open(_) => {
                self.weigh(meets);
                false
            }
        }
    }

    fn first(self) -> Option<Open> {
        let unclear = self.unclear.map(Open::Unclear);
        self.lacks.map(Open::Lacks).or(unclear)
    }
}

/// Whether one of `expected` is met: the first that surely is decides, then the first that is open.
fn any<T>(expected: &[T], meets: impl Fn(&T) -> Meets) -> Meets {
    let mut doubts = Doubts::default();
    for one in expected {
        match meets(one) {
            Meets::Yes => return Meets::Yes,
            meets @ (Meets::No | Meets::Open(_)) => {
                doubts.weigh(meets);
            }
        }
    }
    doubts.first().map_or(Meets::No, Meets::Open)
}

fn within_meets(rule: &AccessRule, call: Call<'_>) -> Meets {
    let policy = &*rule.origin.object;
    let one_meets = |Within { takes, leaves }: &Within| {
        let mut doubts = Doubts::default();
        if !doubts.weigh(request_meets(takes, policy, call)) {
            return Meets::No;
        }
        for other in leaves {
            if doubts.excludes(request_meets(other, policy, call)) {
                return Meets::No;
            }
        }
        doubts.first().map_or(Meets::Yes, Meets::Open)
    };
    match &*rule.within {
        [] => Meets::Yes,
        within => any(within, one_meets),
    }
}

fn request_meets(expected: &RequestMatch, policy: &ObjectRef, call: Call<'_>) -> Meets {
    let RequestMatch {
        ports,
        methods,
        hosts,
        paths,
        headers,
        claims,
    } = expected;
    if !ports.is_empty() && !ports.contains(&call.port) {
        return Meets::No;
    }
    let Some(asked) = call.asked else {
        return Meets::from(!expected.reads_requests());
    };
    let mut doubts = Doubts::default();
    let plainly = doubts.weigh(part(methods, Missing::Method, |it| {
        method_meets(it, asked.method)
    })) && doubts.weigh(part(hosts, Missing::Host, |it| host_meets(it, asked.host)))
        && doubts.weigh(part(paths, Missing::Path, |it| asked.path.meets(it)));
    if !plainly {
        return Meets::No;
    }
    for header in headers {
        let meets = match asked.keeps(&header.name) {
            true => field_meets(header, asked.headers),
            false => Meets::lacks(Missing::Header(header.name.clone())),
        };
        if !doubts.weigh(meets) {
            return Meets::No;
        }
    }
    for claim in claims {
        if !doubts.weigh(claim_meets(claim, policy, call)) {
            return Meets::No;
        }
    }
    doubts.first().map_or(Meets::Yes, Meets::Open)
}

/// Whether the token of a request makes a claim to a policy: of an issuer that only others believe, it
/// says nothing to it.
fn claim_meets(expected: &ClaimMatch, policy: &ObjectRef, call: Call<'_>) -> Meets {
    let value = match Heard::from(policy, call).get(&expected.name) {
        Ok(value) => value,
        Err(open) => return Meets::Open(open),
    };
    let Some(value) = value else {
        return Meets::No;
    };
    let fits = |text: String| value_meets(&expected.value, text.as_bytes());
    Meets::from(expected.value == FieldValue::Present || said(&expected.name, value).any(fits))
}

/// What a policy hears of the token of a request.
#[derive(Clone, Copy)]
enum Heard<'r> {
    /// It makes it no claims: there is none, or it is of somebody whom only others believe.
    Nothing,
    /// These.
    Claims(&'r Claims),
    /// Of a token that nobody proved, these.
    Known(&'r KnownClaims),
    /// It believes nobody's tokens, or nobody looked at this one.
    Deaf,
    /// Nobody can say of whom it is.
    OfWhom,
    /// Nobody can say.
    Unknown,
}

impl<'r> Heard<'r> {
    fn from(policy: &ObjectRef, call: Call<'r>) -> Self {
        let believed = call
            .believed
            .filter(|believed| believed.is_asked_by(policy));
        let Some(believed) = believed else {
            return Self::Deaf;
        };
        match call.claim.token {
            Token::Of(proven) if believed.holds_for(policy, proven) => {
                Self::Claims(proven.claims())
            }
            Token::Of(_) | Token::Absent => Self::Nothing,
            Token::Known(known) => match believed.is_for(policy, known) {
                Ok(true) => Self::Known(known),
                Ok(false) => Self::Nothing,
                Err(_) => Self::OfWhom,
            },
            Token::Passed | Token::Unknown => Self::Unknown,
            // It was refused before.
            Token::Refused(_) | Token::NotLooked => Self::Deaf,
        }
    }

    /// What it says under a name.
    fn get(self, name: &Arc<str>) -> Result<Option<&'r Value>, Open> {
        match self {
            Self::Nothing => Ok(None),
            Self::Claims(claims) => Ok(claims.get(name)),
            Self::Known(known) => {
                let said = known.get(name);
                said.ok_or_else(|| Open::Lacks(Missing::Claim(name.clone())))
            }
            Self::Deaf => Err(Open::Unclear(Unclear::NobodyBelieved)),
            Self::OfWhom => Err(Open::Lacks(Missing::Claim(ISSUER.into()))),
            Self::Unknown => Err(Open::Lacks(Missing::Claim(name.clone()))),
        }
    }

    /// The same for a condition.
    fn said(self, name: &str) -> Option<ClaimSaid<'r>> {
        let said = match self {
            Self::Nothing => return Some(ClaimSaid::NoToken),
            Self::Claims(claims) => claims.get(name),
            Self::Known(known) => known.get(name)?,
            Self::Deaf | Self::OfWhom | Self::Unknown => return None,
        };
        Some(said.map_or(ClaimSaid::Absent, ClaimSaid::Is))
    }

    /// Why it cannot be told what claims say that a condition reads.
    fn open(self, reads: &Reads) -> Open {
        let unknown = |name: &&Arc<str>| self.get(name).is_err();
        match reads.claims.iter().find(unknown) {
            Some(name) => self.get(name).err().unwrap_or(Open::Lacks(Missing::Token)),
            None => Open::Lacks(Missing::Token),
        }
    }
}

/// Whether the token of a call is of nobody whom this policy believes, who does believe somebody.
fn is_of_others(policy: &ObjectRef, call: Call<'_>) -> bool {
    match (call.claim.token, call.believed) {
        (Token::Of(proven), Some(believed)) => {
            believed.is_asked_by(policy) && !believed.holds_for(policy, proven)
        }
        (Token::Known(known), Some(believed)) => {
            believed.is_asked_by(policy) && believed.is_for(policy, known) == Ok(false)
        }
        _ => false,
    }
}

/// Whether one of `expected` is met, or nothing is expected; what cannot be told hangs on what is
/// `missing`.
fn part<T>(expected: &[T], missing: Missing, meets: impl Fn(&T) -> Option<bool>) -> Meets {
    let mut is_open = false;
    for one in expected {
        match meets(one) {
            Some(true) => return Meets::Yes,
            Some(false) => {}
            None => is_open = true,
        }
    }
    match is_open {
        true => Meets::lacks(missing),
        false => Meets::from(expected.is_empty()),
    }
}

/// Whether the headers say what is expected, under each way in which a server may read them.
fn field_meets(expected: &FieldMatch, headers: &[Header<'_>]) -> Meets {
    let named = || {
        headers
            .iter()
            .filter(|header| is_named(header.name, &expected.name))
    };
    let mut fields = named();
    let Some(first) = fields.next() else {
        return Meets::No;
    };
    let others = fields.next().is_some();
    let is_spelled_so = |header: &Header<'_>| header.name.eq_ignore_ascii_case(&expected.name);
    let every =
        named().all(|header| is_spelled_so(header) && value_meets(&expected.value, header.value));
    let joined = || {
        let values = named().map(|header| header.value).collect::<Vec<_>>();
        value_meets(&expected.value, &values.join(&b", "[..]))
    };
    if every && (!others || joined()) {
        return Meets::Yes;
    }
    let holds = |header: &Header<'_>| {
        let mut elements = header.value.split(|byte| *byte == b',');
        value_meets(&expected.value, header.value)
            || elements.any(|element| value_meets(&expected.value, element.trim_ascii()))
    };
    if holds(first) || others && (named().any(holds) || joined()) {
        return Meets::unclear(Unclear::Header(expected.name.clone()));
    }
    Meets::No
}

fn value_meets(expected: &FieldValue, value: &[u8]) -> bool {
    match expected {
        FieldValue::Present => true,
        FieldValue::Exact(text) => text.as_bytes() == value,
        FieldValue::Prefix(text) => value.starts_with(text.as_bytes()),
        FieldValue::Regex(pattern) => pattern.matches(value.iter().copied()),
    }
}

/// Whether a header has this name, or one that some servers take for it: those that make variables
/// of headers know no `-`.
pub(crate) fn is_named(name: &str, expected: &str) -> bool {
    let same = |(one, other): (u8, u8)| {
        let is_joint = |byte: u8| byte == b'-' || byte == b'_';
        one.eq_ignore_ascii_case(&other) || is_joint(one) && is_joint(other)
    };
    name.len() == expected.len() && name.bytes().zip(expected.bytes()).all(same)
}

fn caller_meets(expected: &CallerMatch, claim: &Claim<'_>) -> Meets {
    let CallerMatch {
        trust_domain,
        namespace,
        service_account,
        block,
    } = expected;
    let names_one = trust_domain.is_some() || namespace.is_some() || service_account.is_some();
    let identity = match claim.caller {
        _ if !names_one => Meets::Yes,
        Fact::Known(None) => Meets::No,
        Fact::Known(Some(id)) => Meets::from(
            trust_domain
                .as_ref()
                .is_none_or(|domain| *domain == id.trust_domain)
                && namespace
                    .as_ref()
                    .is_none_or(|namespace| *namespace == id.namespace)
                && service_account
                    .as_ref()
                    .is_none_or(|account| *account == id.service_account),
        ),
        Fact::Unknown => Meets::Open(Open::Lacks(Missing::CallerIdentity)),
    };
    let address = match (block, claim.address) {
        (None, _) => Meets::Yes,
        (Some(block), Fact::Known(address)) => Meets::from(block.contains(address)),
        (Some(_), Fact::Unknown) => Meets::Open(Open::Lacks(Missing::CallerAddress)),
    };
    let mut doubts = Doubts::default();
    if !doubts.weigh(identity) || !doubts.weigh(address) {
        return Meets::No;
    }
    doubts.first().map_or(Meets::Yes, Meets::Open)
}

fn holds(condition: &Condition, policy: &ObjectRef, call: Call<'_>) -> Meets {
    let heard = Heard::from(policy, call);
    let unknown = match condition.of(&Facts { call, heard }) {
        Answer::Yes => return Meets::Yes,
        Answer::No => return Meets::No,
        Answer::Failed(Failure::NoToken) if is_of_others(policy, call) => {
            return Meets::unclear(Unclear::OfOthers);
        }
        Answer::Failed(why) => return Meets::unclear(Unclear::Failed(why)),
        Answer::Unknown(fact) => fact,
    };
    match unknown {
        Of::SourceIdentity | Of::SourceNamespace | Of::SourceService => {
            Meets::Open(Open::Lacks(Missing::CallerIdentity))
        }
        Of::SourceAddress => Meets::Open(Open::Lacks(Missing::CallerAddress)),
        fact if fact.is_of_request() && call.asked.is_none() => Meets::unclear(Unclear::NoRequest),
        Of::Method => Meets::lacks(Missing::Method),
        Of::Path => Meets::lacks(Missing::Path),
        Of::Host => Meets::lacks(Missing::Host),
        Of::Headers => {
            let read = || condition.reads().headers.iter();
            let lacks = |asked: Asked<'_>| read().find(|name| !asked.keeps(name));
            if let Some(name) = call.asked.and_then(lacks) {
                return Meets::lacks(Missing::Header(name.clone()));
            }
            let headers = call.asked.map(|asked| asked.headers).unwrap_or_default();
            let unclear = read().find(|name| single(headers, name).is_none());
            Meets::unclear(unclear.map_or(Unclear::NotAsked, |it| Unclear::Header(it.clone())))
        }
        Of::Claims => Meets::Open(heard.open(condition.reads())),
        Of::RequestSize
        | Of::DestinationNamespace
        | Of::DestinationService
        | Of::DestinationAddress
        | Of::Status
        | Of::ResponseSize
        | Of::Code
        | Of::Fault
        | Of::Duration
        | Of::Tries => Meets::unclear(Unclear::NotAsked),
    }
}

/// What a condition may ask of a call that is not let in yet.
struct Facts<'r> {
    call: Call<'r>,
    heard: Heard<'r>,
}

impl leno_condition::Facts for Facts<'_> {
    fn value(&self, fact: leno_condition::Fact) -> Option<leno_condition::Value<'_>> {
        let Call {
            claim,
            asked,
            own: ours,
            ..
        } = self.call;
        let text = |text| Some(leno_condition::Value::Text(Cow::Borrowed(text)));
        let own = |text| Some(leno_condition::Value::Text(Cow::Owned(text)));
        let of_caller = |read: fn(&SpiffeId) -> &str| match claim.caller {
            // Names are those of this mesh: somebody of another one bears none of them.
            Fact::Known(caller) => {
                let caller = caller.filter(|id| id.trust_domain == *ours);
                text(caller.map_or("", read))
            }
            Fact::Unknown => None,
        };
        match fact {
            Of::Method => text(asked?.method.known()?),
            Of::Path => text(asked?.path.known()?),
            // As it is compared everywhere: without regard to case.
            Of::Host => own(asked?.host.known()?.to_ascii_lowercase()),
            Of::SourceIdentity => match claim.caller {
                Fact::Known(caller) => own(caller.map(ToString::to_string).unwrap_or_default()),
                Fact::Unknown => None,
            },
            Of::SourceNamespace => of_caller(|id| id.namespace.as_str()),
            Of::SourceService => of_caller(|id| id.service_account.as_str()),
            Of::SourceAddress => match claim.address {
                Fact::Known(address) => own(format!("{}", address.to_canonical())),
                Fact::Unknown => None,
            },
            Of::RequestSize
            | Of::DestinationNamespace
            | Of::DestinationService
            | Of::DestinationAddress
            | Of::Status
            | Of::ResponseSize
            | Of::Code
            | Of::Fault
            | Of::Duration
            | Of::Tries
            | Of::Headers
            | Of::Claims => None,
        }
    }

    fn header(&self, name: &str) -> Option<Option<Cow<'_, str>>> {
        let asked = self.call.asked.filter(|asked| asked.keeps(name))?;
        let value = single(asked.headers, name)?;
        // What is no text has no value: whether it is what is asked for cannot be told.
        Some(value.map(Cow::Borrowed))
    }

    fn claim(&self, name: &str) -> Option<ClaimSaid<'_>> {
        self.call.asked.and_then(|_| self.heard.said(name))
    }
}

/// The value of a header, if there is one; `None` where it can be read in several ways: it came more
/// than once, under a second spelling, or is no text.
#[expect(
    clippy::option_option,
    reason = "not there, and not clear, are two answers"
)]
fn single<'r>(headers: &'r [Header<'r>], name: &str) -> Option<Option<&'r str>> {
    let mut named = headers.iter().filter(|header| is_named(header.name, name));
    match (named.next(), named.next()) {
        (None, _) => Some(None),
        (Some(only), None) if only.name.eq_ignore_ascii_case(name) => {
            str::from_utf8(only.value).ok().map(Some)
        }
        (Some(_), _) => None,
    }
}

/// Why a token does not count for a policy.
const FOREIGN: &str = "its token is of an issuer whom this policy does not believe";

/// Half a sentence: `the caller is not shop/checkout`.
impl fmt::Display for Mismatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Within([one]) => write!(f, "it is only about {one}"),
            Self::Within(several) => {
                write!(f, "it is only about {} kinds of requests", several.len())
            }
            Self::Caller([one]) => write!(f, "the caller is not {one}"),
            Self::Caller(several) => write!(f, "the caller is none of {}", several.len()),
            Self::Request([one]) => write!(f, "the request is not {one}"),
            Self::Request(several) => write!(f, "the request is none of {}", several.len()),
            Self::Token([one]) => write!(f, "the request is not {one}: {FOREIGN}"),
            Self::Token(several) => {
                write!(f, "the request is none of {}: {FOREIGN}", several.len())
            }
            Self::ExceptCaller(one) => write!(f, "it excepts the caller: {one}"),
            Self::ExceptRequest(one) => write!(f, "it excepts the request: {one}"),
            Self::When(condition) => write!(f, "it is not so that {condition}"),
            Self::Open(Open::Lacks(missing)) => write!(f, "it depends on {missing}"),
            Self::Open(Open::Unclear(why)) => write!(f, "{why}"),
        }
    }
}
