//! What a configuration does with a call, decided by the functions that decide real ones.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use leno_jwt::Claims;
use leno_model::flow::{FactOf, FactValue, Facts, Kind};
use leno_model::origin::RouteName;
use leno_model::view::route::Part;
use leno_model::view::{
    Access, AccessRule, Action, Backend, PathMatch, PathRewrite, PortRef, Route, Rule, Unknown,
};
use leno_model::{Code, Origin, Shaped, SpiffeId};
use leno_protocol::{Header, NewPath, Path};
use leno_traffic::{
    Allowed, Asked, Claim, Consent, Denied, Fact, Kept, KnownClaims, Led, Missing, Port, Recorded,
    RecordedPath, Refusal, Token, Verdict,
};

use crate::call::Call;
use crate::ground::{Ground, Receiver};
use crate::met::{Called, Met};
use crate::same::Alike;

/// What becomes of a call.
#[derive(Clone, Debug)]
pub enum Fate<'g> {
    /// It gets to whom it is for.
    Carried(Way<'g>),
    /// A proxy refuses it.
    Refused(Refused<'g>),
    /// It hangs on something that was not recorded.
    Open(String),
}

/// The way of a call that is carried.
#[derive(Clone, Debug, Default)]
pub struct Way<'g> {
    /// The rule of a route that takes it.
    pub rule: Option<&'g Rule>,
    /// To whom it goes, each with its share of the whole; nothing where it leaves the mesh.
    pub shares: Vec<(To, f64)>,
    /// The access rule that lets it in, if one had to.
    pub allowed_by: Option<&'g AccessRule>,
    /// What stands over the ports that it gets to.
    pub(crate) over: Vec<&'g Access>,
}

/// To whom calls go.
#[derive(Clone, PartialEq, Debug)]
pub enum To {
    /// A port of a service.
    Port(PortRef),
    /// What a route names and nobody can use.
    Invalid(Code),
    /// A workload, as flows name its identity.
    Workload(Arc<str>),
}

impl fmt::Display for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => port.fmt(f),
            Self::Invalid(code) => write!(f, "{code} {}", code.slug()),
            Self::Workload(identity) => identity.fmt(f),
        }
    }
}

/// Why a call is not carried.
#[derive(Clone, Debug)]
pub struct Refused<'g> {
    /// What kind of refusal.
    pub code: Code,
    /// The status of the answer; a stream of bytes is cut without one.
    pub status: u16,
    /// It in half a sentence: `allows only shop/checkout`.
    pub words: String,
    /// Who said so.
    pub origin: Option<Origin>,
    /// Who answers what share of the calls so, where not all of them.
    pub part: Option<(usize, usize)>,
    /// What stands over the port, where that refuses it.
    pub(crate) access: Option<&'g Access>,
}

impl From<&Refusal> for Refused<'_> {
    fn from(refusal: &Refusal) -> Self {
        Self {
            code: refusal.code(),
            status: refusal.status(),
            words: refusal.to_string(),
            origin: refusal.origin().cloned(),
            part: None,
            access: None,
        }
    }
}

/// How calls of a kind were judged, as it was recorded: it settles what hangs on what was not, where what
/// judged them stands the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Precedent {
    /// What came of their tokens.
    token: Token<'static>,
    /// Whether the rules let them in.
    let_in: Option<bool>,
    /// Whether what was kept of their tokens is so still.
    keeps_tokens: bool,
}

impl Precedent {
    /// Nothing is known.
    const NONE: Self = Self {
        token: Token::Unknown,
        let_in: None,
        keeps_tokens: false,
    };

    /// That of calls which ended with `code`, or were carried.
    pub(crate) fn new(gates: Alike, code: Option<Code>) -> Self {
        let (token, let_in) = match code {
            None => (Token::Passed, Some(true)),
            Some(
                Code::R003
                | Code::R004
                | Code::R005
                | Code::R060
                | Code::R064
                | Code::R065
                | Code::R070,
            ) => (Token::Passed, Some(false)),
            Some(Code::R061 | Code::R063) => (Token::NotLooked, None),
            Some(Code::R062) => (Token::Absent, None),
            Some(_) => (Token::Unknown, None),
        };
        match gates {
            Alike::Nothing => Self::NONE,
            Alike::Issuers => Self {
                keeps_tokens: true,
                ..Self::NONE
            },
            Alike::Tokens => Self {
                let_in: None,
                token,
                keeps_tokens: true,
            },
            Alike::Rules => Self {
                token,
                let_in,
                keeps_tokens: true,
            },
        }
    }

    /// A verdict, settled. Of callers that prove nothing more than rules is asked: mTLS, health checks.
    fn settle<'t>(self, verdict: Verdict<'t>, caller: Option<&SpiffeId>) -> Verdict<'t> {
        match (verdict, self.let_in) {
            (Verdict::Undecided(_), Some(true)) if caller.is_some() => {
                Verdict::Allow(Allowed::ByDefault)
            }
            (Verdict::Undecided(_), Some(false)) if caller.is_some() => {
                Verdict::Deny(Denied::NoAllowRule)
            }
            (verdict, _) => verdict,
        }
    }
}

impl Ground<'_> {
    /// What becomes of the calls that are counted together as `kind`.
    pub fn decide(&self, kind: &Kind) -> Fate<'_> {
        let call = Call::of(kind);
        let met = self.meet(&call);
        self.fate_of(&call, &met)
    }

    /// The same of a call that meets `met`.
    pub(crate) fn fate_of<'g>(&'g self, call: &Call, met: &Met<'g>) -> Fate<'g> {
        self.fate(call, met, met.taken(call), Precedent::NONE)
    }

    /// What becomes of a call. Where it hangs on what was not recorded which rule takes it, that one does
    /// that was `taken`; and where that leaves it open whether it is let in, the `precedent` settles it.
    pub(crate) fn fate<'g>(
        &'g self,
        call: &Call,
        met: &Met<'g>,
        taken: Option<usize>,
        precedent: Precedent,
    ) -> Fate<'g> {
        let shape = call.asked.as_ref().map(|(_, shape)| Shaped::new(shape));
        let whole = shape
            .and_then(Shaped::only)
            .and_then(|path| Path::new(path).ok());
        let told = Told::of(call.facts.as_ref());
        let request = call.asked.as_ref().map(|(method, shape)| {
            let is_known = |text: &str| text != Kind::OTHER && !text.is_empty();
            Recorded {
                method: match is_known(method) {
                    true => Fact::Known(&**method),
                    false => Fact::Unknown,
                },
                host: told.host,
                path: match &whole {
                    Some(path) => RecordedPath::Is(path),
                    None if is_known(shape) => RecordedPath::Like(Shaped::new(shape)),
                    None => RecordedPath::Unknown,
                },
                query: told.query.as_deref(),
                headers: &told.headers,
                kept: Kept::Only(&told.kept),
            }
        });
        let asking = Asking {
            ground: self,
            call,
            met,
            taken,
            precedent,
            token: match &told.token {
                Some(Carried::Token(known)) if precedent.keeps_tokens => Token::Known(known),
                Some(Carried::None) if precedent.keeps_tokens => Token::Absent,
                Some(_) | None => precedent.token,
            },
        };
        asking.told(request.as_ref())
    }
}

/// The facts that were kept of a request, as rules are asked about them.
struct Told<'f> {
    host: Fact<&'f str>,
    headers: Vec<Header<'f>>,
    query: Option<String>,
    /// Also those that were not there.
    kept: Vec<Asked<'f>>,
    token: Option<Carried>,
}

/// What was kept of a token.
enum Carried {
    /// There was none.
    None,
    /// There was one that was accepted.
    Token(KnownClaims),
}

impl Carried {
    /// What is known once it is also known what one claim said.
    fn and(told: Option<Self>, claim: &str, said: Option<&str>) -> Option<Self> {
        let value = match said {
            None => None,
            Some(said) => Some(Claims::read_value(said.as_bytes()).ok()?),
        };
        let mut known = match told {
            Some(Self::Token(KnownClaims::Some(known))) => known,
            Some(Self::None | Self::Token(KnownClaims::All(_))) | None => BTreeMap::new(),
        };
        known.insert(claim.into(), value);
        Some(Self::Token(KnownClaims::Some(known)))
    }
}

impl<'f> Told<'f> {
    fn of(facts: Option<&'f Facts>) -> Self {
        let mut told = Self {
            host: Fact::Unknown,
            headers: Vec::new(),
            query: None,
            kept: Vec::new(),
            token: None,
        };
        for (of, value) in facts.into_iter().flat_map(Facts::each) {
            match (of, value) {
                (FactOf::Host, FactValue::Is(host)) => told.host = Fact::Known(host),
                (FactOf::Host, FactValue::Absent) | (FactOf::Token, FactValue::Is(_)) => {}
                (FactOf::Token, FactValue::Absent) => told.token = Some(Carried::None),
                (FactOf::Claim(name), FactValue::Absent) => {
                    told.token = Carried::and(told.token.take(), name, None);
                }
                (FactOf::Claim(name), FactValue::Is(said)) => {
                    told.token = Carried::and(told.token.take(), name, Some(said));
                }
                (FactOf::Header(name), value) => {
                    told.kept.push(Asked::Header(name));
                    if let FactValue::Is(value) = value {
                        let value = value.as_bytes();
                        told.headers.push(Header { name, value });
                    }
                }
                (FactOf::Query(name), value) => {
                    told.kept.push(Asked::Parameter(name));
                    if let FactValue::Is(value) = value {
                        let query = told.query.get_or_insert_default();
                        let between = if query.is_empty() { "" } else { "&" };
                        query.push_str(&format!("{between}{}={}", escaped(name), escaped(value)));
                    }
                }
            }
        }
        told
    }
}

/// A part of a query in which nothing means anything else than itself.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        match byte.is_ascii_alphanumeric() {
            true => escaped.push(char::from(byte)),
            false => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

impl Met<'_> {
    /// The place of the rule that took a call, as it was recorded, among those that its caller meets.
    pub(crate) fn taken(&self, call: &Call) -> Option<usize> {
        let name = call.route.as_deref()?;
        let mut rules = self.routes?.rules.iter();
        rules.position(|rule| RouteName(&rule.origin).to_string() == name)
    }
}

/// A call, while a configuration is asked about it.
struct Asking<'a, 'g> {
    ground: &'g Ground<'g>,
    call: &'a Call,
    met: &'a Met<'g>,
    taken: Option<usize>,
    precedent: Precedent,
    token: Token<'a>,
}

impl<'g> Asking<'_, 'g> {
    fn told(&self, request: Option<&Recorded<'_>>) -> Fate<'g> {
        match &self.met.called {
            Called::Folded => Fate::Open("who called whom".to_owned()),
            Called::Outside => match self.ground.outside(self.call) {
                Some(fate) => fate,
                None => self.outside(),
            },
            Called::Somewhere => Fate::Open("the port that was called".to_owned()),
            Called::NoPort(PortRef { service, port }) => {
                let (service, port) = (service.clone(), *port);
                Fate::Refused(Refused::from(&Refusal::NoSuchPort { service, port }))
            }
            Called::Port(port, to) => self.sent(port, to, request),
            Called::Workloads(receivers) => self.received(receivers, request),
        }
    }

    /// What the proxy of the caller does, and the one that it leads to.
    fn sent(&self, port: &PortRef, to: &'g Port, request: Option<&Recorded<'_>>) -> Fate<'g> {
        let namespace = self.met.caller.as_ref().map(|caller| &caller.namespace);
        let led = match request {
            Some(request) if to.protocol().is_http() => to.lead(namespace, request),
            Some(_) | None => to.lead_stream(namespace),
        };
        match led {
            Led::Straight => {
                let way = Way {
                    shares: [(To::Port(port.clone()), 1.0)].into(),
                    ..Way::default()
                };
                self.reached(port, request, way)
            }
            Led::To(route, rule) => self.forwarded(route, rule, request),
            Led::Nowhere => {
                let refused = Refused::from(&Refusal::NoRoute(port.clone()));
                let first = self.met.routes.and_then(|routes| routes.rules.first());
                Fate::Refused(match first {
                    Some(rule) => Refused {
                        words: format!("no rule of {} takes it", rule.origin.object),
                        origin: Some(rule.origin.clone()),
                        ..refused
                    },
                    None => refused,
                })
            }
            Led::Ambiguous => Fate::Refused(Refused::from(&Refusal::AmbiguousPath)),
            Led::Hangs(hangs) => {
                let routes = self.met.routes.zip(self.taken);
                let taken = routes.and_then(|(routes, place)| {
                    let mut matches = routes.routes.iter();
                    let route = matches.find(|route| route.rule == place)?;
                    Some((route, routes.rules.get(place)?))
                });
                match taken {
                    Some((route, rule)) => self.forwarded(route, rule, request),
                    None => Fate::Open(hangs.to_string()),
                }
            }
        }
    }

    /// What the rule does with it that takes it.
    fn forwarded(
        &self,
        route: &'g Route,
        rule: &'g Rule,
        request: Option<&Recorded<'_>>,
    ) -> Fate<'g> {
        let mut way = Way {
            rule: Some(rule),
            ..Way::default()
        };
        let split = match &rule.action {
            Action::Forward(split) => split,
            Action::Redirect(_) => return Fate::Carried(way),
            Action::Refuse(code, origin) => {
                return Fate::Refused(Refused::from(&Refusal::RouteNotUsable {
                    code: *code,
                    origin: origin.clone(),
                    rule: rule.origin.clone(),
                }));
            }
        };
        let total = f64::from(split.total().get());
        let parts = || split.parts().iter().filter(|part| part.weight > 0);
        for part in parts() {
            let to = match &part.backend {
                Backend::Service(port) => To::Port(port.clone()),
                Backend::Invalid(code) => To::Invalid(*code),
            };
            way.shares.push((to, f64::from(part.weight) / total));
        }
        let mut open = None;
        for part in parts() {
            let Backend::Service(port) = &part.backend else {
                let Backend::Invalid(code) = part.backend else {
                    continue;
                };
                let mut refused = Refused::from(&Refusal::BackendNotUsable {
                    code,
                    origin: part.origin.clone(),
                    rule: rule.origin.clone(),
                });
                refused.part = share_of(part.weight, split.total().get());
                return Fate::Refused(refused);
            };
            match self.reached_changed((route, rule, part), port, request) {
                Fate::Carried(of_part) => {
                    way.allowed_by = way.allowed_by.or(of_part.allowed_by);
                    way.over.extend(of_part.over);
                }
                Fate::Open(why) => open = open.or(Some(why)),
                Fate::Refused(mut refused) => {
                    refused.part = refused.part.or(share_of(part.weight, split.total().get()));
                    return Fate::Refused(refused);
                }
            }
        }
        open.map_or(Fate::Carried(way), Fate::Open)
    }

    /// What those do who answer for a port, once a rule has changed what is sent to this part of its calls.
    fn reached_changed(
        &self,
        (route, rule, part): (&Route, &Rule, &Part),
        port: &PortRef,
        request: Option<&Recorded<'_>>,
    ) -> Fate<'g> {
        let rewrites = [part.rewrite.as_ref(), rule.rewrite.as_ref()];
        let changes = [&rule.request_headers, &part.request_headers];
        let Some(request) = request else {
            return self.reached(port, None, Way::default());
        };
        if rewrites == [None, None] && changes.iter().all(|changes| changes.is_empty()) {
            return self.reached(port, Some(request), Way::default());
        }
        let rewrites = || rewrites.into_iter().flatten();
        let host = rewrites().find_map(|rewrite| rewrite.host.as_deref());
        let path = rewrites().find_map(|rewrite| rewrite.path.as_ref());
        let path = path.and_then(|change| rewritten(route, change, request.path));
        let mut set: Vec<_> = changes
            .iter()
            .flat_map(|changes| &changes.set)
            .map(|(name, value)| Header {
                name,
                value: value.as_bytes(),
            })
            .collect();
        let removed = changes.iter().flat_map(|changes| &changes.remove);
        let kept = set.iter().map(|header| header.name);
        let kept = kept.chain(removed.map(|name| &**name)).map(Asked::Header);
        let mut kept: Vec<_> = kept.collect();
        // What is added to is known no more.
        let mut changed: Vec<_> = kept.clone();
        let added = changes.iter().flat_map(|changes| &changes.add);
        changed.extend(added.map(|(name, _)| Asked::Header(name)));
        let is_as_it_came = |asked: &Asked<'_>| !changed.contains(asked);
        if let Kept::Only(came) = request.kept {
            let as_it_came = request.headers.iter();
            set.extend(as_it_came.filter(|header| is_as_it_came(&Asked::Header(header.name))));
            kept.extend(came.iter().copied().filter(is_as_it_came));
        }
        let sent = Recorded {
            host: host.map_or(request.host, Fact::Known),
            path: match &path {
                Some(path) => RecordedPath::Like(Shaped::new(path)),
                None => request.path,
            },
            headers: &set,
            kept: Kept::Only(&kept),
            ..*request
        };
        self.reached(port, Some(&sent), Way::default())
    }

    /// What those do who answer for a port of a service.
    fn reached(&self, port: &PortRef, request: Option<&Recorded<'_>>, way: Way<'g>) -> Fate<'g> {
        match self.ground.answering(port) {
            [] => Fate::Refused(Refused::from(&Refusal::NoEndpoint(port.clone()))),
            receivers => match self.called_in_plain(receivers) {
                Some(fate) => fate,
                // Who calls one without a proxy finds nobody who asks.
                None => {
                    let asked = receivers.iter().filter(|it| it.in_plain.is_none());
                    self.let_in(asked, request, way)
                }
            },
        }
    }

    /// Why the caller's own proxy would not call some of these in plain, who have no proxies; `None` if it
    /// would.
    fn called_in_plain(&self, receivers: &[Receiver<'_>]) -> Option<Fate<'g>> {
        let callers = self.ground.instances_of(&self.call.from);
        let all: usize = receivers.iter().map(|receiver| receiver.alike).sum();
        receivers.iter().find_map(|receiver| {
            let address = receiver.in_plain?;
            let judged = |caller| self.ground.table.lets_call_plain(caller, address);
            let mut denied = callers.iter().filter_map(|caller| judged(caller).err());
            let not = denied.next()?;
            // Instances of one identity may be of several workloads.
            if denied.count() + 1 < callers.len() {
                return Some(Fate::Open("which workload called".to_owned()));
            }
            Some(Fate::Refused(Refused {
                part: (receiver.alike < all).then_some((receiver.alike, all)),
                ..Refused::from(&Refusal::from(not))
            }))
        })
    }

    /// What the proxies of the one that was called do, of whose caller no proxy tells.
    fn received(&self, receivers: &[Receiver<'g>], request: Option<&Recorded<'_>>) -> Fate<'g> {
        if receivers.is_empty() {
            return Fate::Open("which workload was called".to_owned());
        }
        let way = Way {
            shares: [(To::Workload(self.call.to.clone()), 1.0)].into(),
            ..Way::default()
        };
        self.let_in(receivers.iter(), request, way)
    }

    /// Whether all of these let it in.
    fn let_in<'r>(
        &self,
        receivers: impl Iterator<Item = &'r Receiver<'g>> + Clone,
        request: Option<&Recorded<'_>>,
        mut way: Way<'g>,
    ) -> Fate<'g>
    where
        'g: 'r,
    {
        let mut open = None;
        let all: usize = receivers.clone().map(|receiver| receiver.alike).sum();
        for receiver in receivers {
            let verdict = self.judge(receiver, request);
            match self.precedent.settle(verdict, self.met.caller.as_ref()) {
                Verdict::Allow(allowed) => {
                    way.over.push(receiver.access);
                    if let Allowed::ByRule(rule) = allowed {
                        way.allowed_by = Some(rule);
                    }
                }
                Verdict::Undecided(missing) => open = open.or(Some(missing.to_string())),
                Verdict::Deny(denied) => {
                    let part = (receiver.alike < all).then_some((receiver.alike, all));
                    return Fate::Refused(Refused {
                        part,
                        access: Some(receiver.access),
                        ..Refused::from(&Refusal::Denied(denied))
                    });
                }
            }
        }
        open.map_or(Fate::Carried(way), Fate::Open)
    }

    fn judge(&self, receiver: &Receiver<'_>, request: Option<&Recorded<'_>>) -> Verdict<'g> {
        let Some(policy) = self.ground.table.inbound(&receiver.workload, receiver.port) else {
            return Verdict::Deny(Denied::TargetGone(receiver.workload.clone()));
        };
        let ask = |address: Fact<IpAddr>| {
            let claim = Claim {
                caller: match (&self.met.caller, &*self.call.from) {
                    (Some(caller), _) => Fact::Known(Some(caller)),
                    (None, Kind::UNKNOWN | Kind::PROBE) => Fact::Known(None),
                    (None, _) => Fact::Unknown,
                },
                address,
                token: self.token,
                consent: Consent::Unknown,
            };
            match request {
                Some(request) => policy.judge_recorded(&claim, request),
                None => policy.judge_stream(&claim),
            }
        };
        let address = self.call.peer.map_or(Fact::Unknown, Fact::Known);
        let verdict = ask(address);
        if verdict != Verdict::Undecided(Missing::CallerAddress) {
            return verdict;
        }
        // It is one of those of the caller's instances.
        let caller = self.met.caller.iter();
        let addresses = caller.flat_map(|id| self.ground.addresses(id));
        let mut told = addresses.map(|address| ask(Fact::Known(address)));
        match told.next() {
            Some(first) if told.all(|other| other == first) => first,
            Some(_) | None => verdict,
        }
    }

    /// What becomes of a call to whom the mesh knows nothing of.
    fn outside(&self) -> Fate<'g> {
        let settings = &self.ground.mesh.settings;
        match settings.unknown_destinations {
            Unknown::Refuse => {
                let refusal = Refusal::UnknownDestination {
                    address: SocketAddr::from(([0, 0, 0, 0], self.call.port)),
                    origin: settings.origin_of_unknown().cloned(),
                };
                let to = match &*self.call.to {
                    Kind::UNKNOWN => "what it calls",
                    named => named,
                };
                Fate::Refused(Refused {
                    words: format!(
                        "{to} is not in the mesh, which lets no unknown destination pass"
                    ),
                    ..Refused::from(&refusal)
                })
            }
            Unknown::Pass => Fate::Carried(Way::default()),
        }
    }
}

/// How many of how many, where it is not all of them.
fn share_of(part: u32, of: u32) -> Option<(usize, usize)> {
    let both = usize::try_from(part).ok().zip(usize::try_from(of).ok());
    both.filter(|(part, of)| part < of)
}

/// What a change makes of a path that `route` matched, as far as that is known.
fn rewritten(route: &Route, change: &PathRewrite, path: RecordedPath<'_>) -> Option<String> {
    let path = match path {
        RecordedPath::Is(path) => path.raw(),
        RecordedPath::Like(shape) => shape.as_str(),
        RecordedPath::Unknown => return None,
    };
    match (change, &route.matches.path) {
        (PathRewrite::Full(full), _) => Some(full.to_string()),
        (PathRewrite::Prefix(with), PathMatch::Prefix(prefix)) => {
            Some(NewPath::prefix(path, prefix, with).to_string())
        }
        (PathRewrite::Prefix(_), _) => None,
    }
}
