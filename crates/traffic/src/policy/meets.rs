//! Whether a rule speaks of a call. The answer may be open: a fact that was not recorded, a header that
//! can be read in several ways, a condition without a value.

use alloc::{borrow::Cow, format, string::ToString, sync::Arc, vec::Vec};
use core::fmt;

use leno_condition::{Answer, Condition, Fact as Of, Failure};
use leno_model::SpiffeId;
use leno_model::view::{AccessRule, CallerMatch, Except, FieldMatch, FieldValue, RequestMatch};
use leno_protocol::Header;

use crate::caller::{Claim, Fact, Missing};
use crate::matching::{host_matches, path_matches};

/// What of a request access rules look at, under one reading of its path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'r> {
    pub(crate) method: &'r str,
    pub(crate) host: &'r str,
    pub(crate) path: &'r str,
    pub(crate) headers: &'r [Header<'r>],
}

/// One call to a port: by whom, and for a request what it asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'r> {
    pub(crate) claim: &'r Claim<'r>,
    pub(crate) port: u16,
    pub(crate) asked: Option<Asked<'r>>,
}

/// The part of a rule that a call does not meet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Mismatch<'t> {
    Caller(&'t [CallerMatch]),
    Request(&'t [RequestMatch]),
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

    /// The headers that it reads.
    pub(crate) fn headers(&self) -> impl Iterator<Item = &Arc<str>> {
        let Except { requests, .. } = &self.rule.except;
        let requests = self.rule.requests.iter().chain(requests);
        let named = requests.flat_map(|request| request.headers.iter().map(|header| &header.name));
        let condition = match &self.when {
            When::If(condition) => Some(condition),
            When::Always | When::NotRead => None,
        };
        named.chain(condition.into_iter().flat_map(|it| &it.reads().headers))
    }

    /// Whether it looks at what a stream of bytes has not.
    pub(crate) fn reads_requests(&self) -> bool {
        let Except { requests, .. } = &self.rule.except;
        let mut requests = self.rule.requests.iter().chain(requests);
        requests.any(RequestMatch::reads_requests)
            || match &self.when {
                When::Always | When::NotRead => false,
                When::If(condition) => condition.reads().facts.iter().any(|it| it.is_of_request()),
            }
    }

    /// What of it the call does not meet. What surely fails stands before what is open, and a fact that
    /// was not recorded before what no record could tell.
    pub(crate) fn mismatch(&self, call: Call<'_>) -> Option<Mismatch<'_>> {
        let AccessRule {
            origin: _,
            effect: _,
            callers,
            requests,
            except,
            when: _,
        } = &*self.rule;
        let mut doubts = Doubts::default();
        let caller = any(callers, |caller| caller_meets(caller, call.claim));
        if !callers.is_empty() && !doubts.weigh(caller) {
            return Some(Mismatch::Caller(callers));
        }
        let request = any(requests, |request| request_meets(request, call));
        if !requests.is_empty() && !doubts.weigh(request) {
            return Some(Mismatch::Request(requests));
        }
        for caller in &except.callers {
            if doubts.excludes(caller_meets(caller, call.claim)) {
                return Some(Mismatch::ExceptCaller(caller));
            }
        }
        for request in &except.requests {
            let meets = match request_meets(request, call) {
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
            When::If(condition) => holds(condition, call),
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
            Meets::Open(Open::Lacks(missing)) => self.lacks = self.lacks.or(Some(missing)),
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

fn request_meets(expected: &RequestMatch, call: Call<'_>) -> Meets {
    let RequestMatch {
        ports,
        methods,
        hosts,
        paths,
        headers,
    } = expected;
    if !ports.is_empty() && !ports.contains(&call.port) {
        return Meets::No;
    }
    let Some(asked) = call.asked else {
        return Meets::from(!expected.reads_requests());
    };
    let plainly = (methods.is_empty() || methods.iter().any(|method| **method == *asked.method))
        && (hosts.is_empty() || hosts.iter().any(|host| host_matches(host, asked.host)))
        && (paths.is_empty() || paths.iter().any(|path| path_matches(path, asked.path)));
    if !plainly {
        return Meets::No;
    }
    let mut doubts = Doubts::default();
    for header in headers {
        if !doubts.weigh(field_meets(header, asked.headers)) {
            return Meets::No;
        }
    }
    doubts.first().map_or(Meets::Yes, Meets::Open)
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
    let every = named().all(|header| is_spelled_so(header) && value_meets(expected, header.value));
    let joined = || {
        let values = named().map(|header| header.value).collect::<Vec<_>>();
        value_meets(expected, &values.join(&b", "[..]))
    };
    if every && (!others || joined()) {
        return Meets::Yes;
    }
    let holds = |header: &Header<'_>| {
        let mut elements = header.value.split(|byte| *byte == b',');
        value_meets(expected, header.value)
            || elements.any(|element| value_meets(expected, element.trim_ascii()))
    };
    if holds(first) || others && (named().any(holds) || joined()) {
        return Meets::unclear(Unclear::Header(expected.name.clone()));
    }
    Meets::No
}

fn value_meets(expected: &FieldMatch, value: &[u8]) -> bool {
    match &expected.value {
        FieldValue::Present => true,
        FieldValue::Exact(text) => text.as_bytes() == value,
        FieldValue::Prefix(text) => value.starts_with(text.as_bytes()),
        FieldValue::Regex(pattern) => pattern.matches(value.iter().copied()),
    }
}

/// Whether a header has this name, or one that some servers take for it: those that make variables
/// of headers know no `-`.
fn is_named(name: &str, expected: &str) -> bool {
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

fn holds(condition: &Condition, call: Call<'_>) -> Meets {
    let unknown = match condition.of(&Facts(call)) {
        Answer::Yes => return Meets::Yes,
        Answer::No => return Meets::No,
        Answer::Failed(why) => return Meets::unclear(Unclear::Failed(why)),
        Answer::Unknown(fact) => fact,
    };
    match unknown {
        Of::SourceIdentity | Of::SourceNamespace | Of::SourceService => {
            Meets::Open(Open::Lacks(Missing::CallerIdentity))
        }
        Of::SourceAddress => Meets::Open(Open::Lacks(Missing::CallerAddress)),
        fact if fact.is_of_request() && call.asked.is_none() => Meets::unclear(Unclear::NoRequest),
        Of::Headers => {
            let headers = call.asked.map(|asked| asked.headers).unwrap_or_default();
            let mut read = condition.reads().headers.iter();
            let unclear = read.find(|name| single(headers, name).is_none());
            Meets::unclear(unclear.map_or(Unclear::NotAsked, |it| Unclear::Header(it.clone())))
        }
        Of::Method
        | Of::Path
        | Of::Host
        | Of::RequestSize
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
struct Facts<'r>(Call<'r>);

impl leno_condition::Facts for Facts<'_> {
    fn value(&self, fact: leno_condition::Fact) -> Option<leno_condition::Value<'_>> {
        let Call { claim, asked, .. } = self.0;
        let text = |text| Some(leno_condition::Value::Text(Cow::Borrowed(text)));
        let own = |text| Some(leno_condition::Value::Text(Cow::Owned(text)));
        let of_caller = |read: fn(&SpiffeId) -> &str| match claim.caller {
            Fact::Known(caller) => text(caller.map_or("", read)),
            Fact::Unknown => None,
        };
        match fact {
            Of::Method => text(asked?.method),
            Of::Path => text(asked?.path),
            // As it is compared everywhere: without regard to case.
            Of::Host => own(asked?.host.to_ascii_lowercase()),
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
            | Of::Headers => None,
        }
    }

    fn header(&self, name: &str) -> Option<Option<Cow<'_, str>>> {
        let value = single(self.0.asked?.headers, name)?;
        // What is no text has no value: whether it is what is asked for cannot be told.
        Some(value.map(Cow::Borrowed))
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

/// Half a sentence: `the caller is not shop/checkout`.
impl fmt::Display for Mismatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caller([one]) => write!(f, "the caller is not {one}"),
            Self::Caller(several) => write!(f, "the caller is none of {}", several.len()),
            Self::Request([one]) => write!(f, "the request is not {one}"),
            Self::Request(several) => write!(f, "the request is none of {}", several.len()),
            Self::ExceptCaller(one) => write!(f, "it excepts the caller: {one}"),
            Self::ExceptRequest(one) => write!(f, "it excepts the request: {one}"),
            Self::When(condition) => write!(f, "it is not so that {condition}"),
            Self::Open(Open::Lacks(missing)) => write!(f, "it depends on {missing}"),
            Self::Open(Open::Unclear(why)) => write!(f, "{why}"),
        }
    }
}
