//! The access rules of one workload port, ready to be asked: a verdict from an index over them,
//! and the same from a plain scan.

use alloc::{collections::BTreeMap, collections::BTreeSet, sync::Arc, vec::Vec};
use core::net::IpAddr;

use leno_condition::Failure;
use leno_model::SpiffeId;
use leno_model::view::access::IpBlock;
use leno_model::view::{
    Access, AccessRule, CallerMatch, Effect, Mtls, PathMatch, RequestMatch, Stance,
};

use crate::caller::{Claim, Fact, Missing, Token};
use crate::index::{First, Index, Key};
use crate::paths::{Filing, Group, PathIndex};
use crate::policy::bearer::Believed;
use crate::policy::external::Authorizer;
use crate::policy::meets::{Asked, Call, Mismatch, Open, Ready, Unclear};
use crate::policy::{Allowed, Denied, RefusedToken, Verdict, WhyRefused};
use crate::route::asks::Asks;

/// The rules over one workload port.
#[derive(Debug)]
pub(crate) struct Gate {
    access: Arc<Access>,
    believed: Option<Believed>,
    authorizers: Vec<Authorizer>,
    deny: Rules,
    allow: Rules,
    closes: Closes,
    audit: Vec<Ready>,
    asks: Asks,
}

impl Gate {
    pub(crate) fn new(access: Arc<Access>) -> Self {
        let of = |denies: bool| {
            let rules = access.rules.iter().filter(|rule| match rule.effect {
                Effect::Deny | Effect::Ring | Effect::NotUnderstood => denies,
                Effect::Allow | Effect::AllowAlso => !denies,
                Effect::Audit => false,
            });
            Rules::new(rules.cloned().map(Ready::new).collect())
        };
        let (deny, allow) = (of(true), of(false));
        let audit = access
            .audits
            .iter()
            .cloned()
            .map(Ready::new)
            .collect::<Vec<_>>();
        let external = access.external.iter().cloned();
        let authorizers = external.map(Authorizer::new).collect::<Vec<_>>();
        let about = || authorizers.iter().map(Authorizer::about);
        let all = || {
            deny.rules
                .iter()
                .chain(&allow.rules)
                .chain(&audit)
                .chain(about())
        };
        let asks = Asks::of_headers(all().flat_map(Ready::headers), all().any(Ready::asks_host));
        let asks = match access.jwt {
            Some(_) => asks.and_claims(all().flat_map(Ready::claims)),
            None => asks,
        };
        Self {
            asks,
            deny,
            closes: Closes::new(&allow.rules),
            allow,
            audit,
            believed: access.jwt.clone().map(Believed::new),
            authorizers,
            access,
        }
    }

    pub(crate) fn access(&self) -> &Arc<Access> {
        &self.access
    }

    /// Whose tokens are believed.
    pub(crate) fn believed(&self) -> Option<&Believed> {
        self.believed.as_ref()
    }

    /// Who is asked about requests that the rules let in, in this order.
    pub(crate) fn authorizers(&self) -> &[Authorizer] {
        &self.authorizers
    }

    /// What rules ask about beside method and path.
    pub(crate) fn asks(&self) -> &Asks {
        &self.asks
    }

    /// Whether a rule that allows looks at what a request asks, or somebody is asked about requests.
    pub(crate) fn asks_requests(&self) -> bool {
        !self.authorizers.is_empty() || self.allow.rules.iter().any(Ready::reads_requests)
    }

    /// All rules: those that deny, those that allow, those that only tell.
    pub(crate) fn rules(&self) -> impl Iterator<Item = &Ready> {
        self.deny
            .rules
            .iter()
            .chain(&self.allow.rules)
            .chain(&self.audit)
    }

    /// The rules that tell of a call. One of which it cannot be told whether it matches does so too.
    pub(crate) fn audits(&self, call: Call<'_>) -> impl Iterator<Item = &Arc<AccessRule>> {
        let tells = move |ready: &&Ready| match ready.mismatch(call) {
            None | Some(Mismatch::Open(_)) => true,
            Some(_) => false,
        };
        self.audit.iter().filter(tells).map(Ready::rule)
    }

    /// Judges a call, asking only rules that an index proposes.
    pub(crate) fn judge(&self, call: Call<'_>) -> Verdict<'_> {
        self.verdict(call, |rules, fires| rules.find(call, fires))
    }

    /// Judges a call, asking every rule.
    pub(crate) fn judge_by_scan(&self, call: Call<'_>) -> Verdict<'_> {
        self.verdict(call, |rules, fires| rules.scan(call, fires))
    }

    fn verdict<'t>(
        &'t self,
        call: Call<'_>,
        ask: impl Fn(&'t Rules, Fires) -> Answer<'t>,
    ) -> Verdict<'t> {
        if self.access.mtls == Mtls::Strict {
            match call.claim.caller {
                Fact::Known(Some(_)) => {}
                Fact::Known(None) => {
                    return Verdict::Deny(Denied::Plain(self.access.mtls_origin.clone()));
                }
                Fact::Unknown => return Verdict::Undecided(Missing::CallerIdentity),
            }
        }
        let hangs_on_token = match self.token(call) {
            Ok(missing) => missing,
            Err(denied) => return Verdict::Deny(denied),
        };
        let may_be_denied = match ask(&self.deny, Fires::InDoubt) {
            Answer::Yes(rule) => return Verdict::Deny(Denied::by(rule)),
            Answer::Unclear(rule, why) => return Verdict::Deny(in_doubt(rule, why)),
            Answer::No => hangs_on_token,
            Answer::Depends(missing) => Some(missing),
        };
        let allowed = match ask(&self.allow, Fires::Surely) {
            Answer::Yes(rule) => Allowed::ByRule(rule),
            Answer::Depends(missing) => return Verdict::Undecided(missing),
            Answer::Unclear(rule, why) => return Verdict::Deny(in_doubt(rule, why)),
            Answer::No => match (self.closes.to(call, &self.allow.rules), self.access.stance) {
                (Err(missing), _) => return Verdict::Undecided(missing),
                (Ok(true), _) => {
                    let lacks_token = self.wants_token(call);
                    let lacks_token = lacks_token.map(|rule| Denied::NoToken(rule.origin.clone()));
                    return Verdict::Deny(lacks_token.unwrap_or(Denied::NoAllowRule));
                }
                (Ok(false), Stance::Allow) => Allowed::ByDefault,
                (Ok(false), Stance::Deny) => {
                    let said = self.access.stance_origin.clone();
                    return Verdict::Deny(Denied::ByDefault(said));
                }
            },
        };
        match (self.consent(call), may_be_denied) {
            (Err(denied), _) => Verdict::Deny(denied),
            (Ok(_), Some(missing)) | (Ok(Some(missing)), None) => Verdict::Undecided(missing),
            (Ok(None), None) => Verdict::Allow(allowed),
        }
    }
}

impl Gate {
    /// Whether the token of a call, or that there is none, denies it; `Some` if that hangs on what is not
    /// known.
    fn token(&self, call: Call<'_>) -> Result<Option<Missing>, Denied> {
        let Some(believed) = &self.believed else {
            return Ok(None);
        };
        let required = || believed.required().cloned();
        if call.asked.is_none() {
            return required().map_or(Ok(None), |origin| Err(Denied::NoTokenInStream(origin)));
        }
        let refused = match call.claim.token {
            Token::Refused(refused) => refused.clone(),
            Token::Absent => return required().map_or(Ok(None), |it| Err(Denied::NoToken(it))),
            Token::Of(proven) => match believed.wants_another(proven) {
                Some(origin) => RefusedToken {
                    origin: Some(origin.clone()),
                    why: WhyRefused::OfAnother(Arc::clone(&origin.object)),
                },
                None => return Ok(None),
            },
            Token::Known(known) => match believed.wants_another_than(known) {
                Ok(Some(origin)) => RefusedToken {
                    origin: Some(origin.clone()),
                    why: WhyRefused::OfAnother(Arc::clone(&origin.object)),
                },
                Ok(None) => return Ok(None),
                Err(missing) => return Ok(Some(missing)),
            },
            Token::NotLooked => RefusedToken {
                origin: None,
                why: WhyRefused::NotLooked,
            },
            Token::Unknown => return Ok(Some(Missing::Token)),
            Token::Passed => return Ok(None),
        };
        Err(Denied::Token(refused))
    }

    /// A rule that might allow the call if it had a token.
    fn wants_token(&self, call: Call<'_>) -> Option<&Arc<AccessRule>> {
        if call.claim.token != Token::Absent || call.asked.is_none() {
            return None;
        }
        let believed = call.believed?;
        let asks = |ready: &&Ready| {
            ready.reads_claims()
                && believed.is_asked_by(&ready.rule().origin.object)
                && !matches!(ready.mismatch(call), Some(Mismatch::Caller(_)))
        };
        self.allow.rules.iter().find(asks).map(Ready::rule)
    }
}

/// Why a call is denied of which it cannot be told whether a rule matches. Where only a token is missing,
/// a client may bring one.
fn in_doubt(rule: &Arc<AccessRule>, why: Unclear) -> Denied {
    match why == Unclear::Failed(Failure::NoToken) {
        true => Denied::NoToken(rule.origin.clone()),
        false => Denied::Unclear(rule.clone(), why),
    }
}

/// To which calls rules that allow some leave nobody else allowed.
#[derive(Debug)]
enum Closes {
    None,
    All,
    /// Those that one of the rules at these places is about, one for each thing to be about.
    Some(Vec<u32>),
}

impl Closes {
    fn new(rules: &[Ready]) -> Self {
        let closing = |ready: &Ready| ready.rule().effect == Effect::Allow;
        if !rules.iter().any(closing) {
            return Self::None;
        }
        let is_whole = |ready: &Ready| closing(ready) && ready.rule().within.is_empty();
        if rules.iter().any(is_whole) {
            return Self::All;
        }
        let within = |ready: &Ready| ready.rule().within.clone();
        let mut known = Vec::new();
        let is_first = |(_, ready): &(u32, &Ready)| {
            let within = within(ready);
            let is_known = known.contains(&within);
            known.push(within);
            !is_known
        };
        let closing = (0..).zip(rules).filter(|(_, ready)| closing(ready));
        let first = closing.filter(is_first);
        Self::Some(first.map(|(place, _)| place).collect())
    }

    fn to(&self, call: Call<'_>, rules: &[Ready]) -> Result<bool, Missing> {
        let Self::Some(places) = self else {
            return Ok(matches!(self, Self::All));
        };
        let mut missing = None;
        for place in places {
            match rules[*place as usize].is_about(call) {
                Ok(true) => return Ok(true),
                Ok(false) => {}
                Err(lacks) => missing = Some(lacks),
            }
        }
        missing.map_or(Ok(false), Err)
    }
}

/// When a rule of which it cannot be told whether it matches has its effect.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fires {
    /// It has: it denies.
    InDoubt,
    /// It has not: it allows.
    Surely,
}

/// Whether one of several rules matches.
enum Answer<'t> {
    Yes(&'t Arc<AccessRule>),
    No,
    /// No rule surely matches, and of this one it cannot be told.
    Unclear(&'t Arc<AccessRule>, Unclear),
    Depends(Missing),
}

/// Rules of one effect, with an index over them. A rule is filed by its callers if it names all
/// of them or where they come from, else by its paths if it names all of those, else it is always asked.
/// Asking grows with the rules that are filed where the call is, and with the lengths of blocks.
#[derive(Debug)]
struct Rules {
    rules: Vec<Ready>,
    by_caller: Index,
    /// The rules that may speak of a caller by anything but what it proves.
    unproven: Vec<u32>,
    /// The lengths of blocks by which rules are filed.
    lengths: Vec<Length>,
    by_path: PathIndex,
    paths: Group,
}

impl Rules {
    fn new(rules: Vec<Ready>) -> Self {
        let mut by_caller = BTreeMap::<Key, Vec<u32>>::new();
        let mut lengths = BTreeSet::new();
        let (mut filing, mut paths) = (Filing::default(), Group::new(Key::START));
        let mut unproven = Vec::new();
        for (position, ready) in (0..).zip(&rules) {
            let rule = ready.rule();
            let filed = places(rule);
            let is_proven = |place: &Place| matches!(place, Place::Proven(_));
            if !filed.as_ref().is_some_and(|all| all.iter().all(is_proven)) {
                unproven.push(position);
            }
            if let Some(places) = filed {
                for place in places {
                    by_caller.entry(place.key()).or_default().push(position);
                    lengths.extend(place.length());
                }
            } else if let Some(each) = all_paths(rule) {
                for path in each {
                    paths.file(&mut filing, path, position);
                }
            } else {
                paths.file_for_all(position);
            }
        }
        Self {
            by_caller: Index::new(by_caller),
            unproven,
            lengths: lengths.into_iter().collect(),
            by_path: filing.finish(),
            paths,
            rules,
        }
    }

    fn find(&self, call: Call<'_>, fires: Fires) -> Answer<'_> {
        if self.rules.is_empty() {
            return Answer::No;
        }
        // A byte stream has no path: a rule that names one does not match it.
        let path = call.asked.map_or(Some(""), Asked::whole);
        let (
            Claim {
                caller: Fact::Known(caller),
                address: Fact::Known(address),
                token: Token::Absent | Token::Of(_) | Token::Refused(_) | Token::NotLooked,
                consent: _,
            },
            Some(path),
        ) = (call.claim, path)
        else {
            return self.scan_for(call, fires);
        };
        let mut unclear = None::<u32>;
        let mut first =
            First::new(
                |position: u32| match self.rules[position as usize].mismatch(call) {
                    None => true,
                    Some(Mismatch::Open(_)) if fires == Fires::InDoubt => true,
                    Some(Mismatch::Open(Open::Unclear(_)))
                        if self.rules[position as usize].refuses_nobody() =>
                    {
                        false
                    }
                    Some(Mismatch::Open(_)) => {
                        unclear = Some(unclear.map_or(position, |least| least.min(position)));
                        false
                    }
                    Some(_) => false,
                },
            );
        if let Some(caller) = caller {
            for key in Callers::of(caller).keys() {
                first.try_all(self.by_caller.get(key));
            }
        }
        for length in &self.lengths {
            if let Some(key) = length.key_of(*address) {
                first.try_all(self.by_caller.get(key));
            }
        }
        self.by_path.propose(&self.paths, path, &mut first);
        let Some(position) = first.found().or(unclear.map(|position| position as usize)) else {
            return Answer::No;
        };
        let ready = &self.rules[position];
        match ready.mismatch(call) {
            Some(Mismatch::Open(Open::Unclear(why))) => Answer::Unclear(ready.rule(), why),
            Some(Mismatch::Open(Open::Lacks(missing))) => Answer::Depends(missing),
            None | Some(_) => Answer::Yes(ready.rule()),
        }
    }

    /// Asks about a call of which not everything is known the rules that may speak of its caller.
    fn scan_for(&self, call: Call<'_>, fires: Fires) -> Answer<'_> {
        let Fact::Known(caller) = call.claim.caller else {
            return self.scan(call, fires);
        };
        let mut places = self.unproven.clone();
        for key in caller.into_iter().flat_map(|id| Callers::of(id).keys()) {
            places.extend(self.by_caller.get(key));
        }
        places.sort_unstable();
        places.dedup();
        let rules = places.iter().map(|place| &self.rules[*place as usize]);
        Self::ask_each(rules, call, fires)
    }

    fn scan(&self, call: Call<'_>, fires: Fires) -> Answer<'_> {
        Self::ask_each(self.rules.iter(), call, fires)
    }

    fn ask_each<'t>(
        rules: impl Iterator<Item = &'t Ready>,
        call: Call<'_>,
        fires: Fires,
    ) -> Answer<'t> {
        let (mut depends, mut unclear) = (None, None);
        for ready in rules {
            match ready.mismatch(call) {
                None => return Answer::Yes(ready.rule()),
                Some(Mismatch::Open(Open::Lacks(missing))) => depends = depends.or(Some(missing)),
                Some(Mismatch::Open(Open::Unclear(why))) if fires == Fires::InDoubt => {
                    return Answer::Unclear(ready.rule(), why);
                }
                Some(Mismatch::Open(Open::Unclear(_))) if ready.refuses_nobody() => {}
                Some(Mismatch::Open(Open::Unclear(why))) => {
                    unclear = unclear.or(Some(Answer::Unclear(ready.rule(), why)));
                }
                Some(_) => {}
            }
        }
        depends
            .map(Answer::Depends)
            .or(unclear)
            .unwrap_or(Answer::No)
    }
}

/// The keys of a trust domain, a namespace in it and a service account in that.
struct Callers {
    domain: Key,
    namespace: Key,
    account: Key,
}

impl Callers {
    fn of(id: &SpiffeId) -> Self {
        let domain = Key::START.then(id.trust_domain.as_str().as_bytes());
        let namespace = domain.then(id.namespace.as_str().as_bytes());
        let account = namespace.then(id.service_account.as_str().as_bytes());
        Self {
            domain,
            namespace,
            account,
        }
    }

    fn keys(&self) -> [Key; 3] {
        [self.domain, self.namespace, self.account]
    }
}

/// How many bits the addresses of a block share, and of which kind they are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Length {
    is_v4: bool,
    bits: u8,
}

impl Length {
    fn of(block: IpBlock) -> Self {
        Self {
            is_v4: block.address().is_ipv4(),
            bits: block.bits(),
        }
    }

    /// The key of the block of this length that has `address` in it; `None` for the other kind.
    fn key_of(self, address: IpAddr) -> Option<Key> {
        let (is_v4, address) = match address.to_canonical() {
            IpAddr::V4(address) => (true, u128::from(address.to_bits()) << 96),
            IpAddr::V6(address) => (false, address.to_bits()),
        };
        let Self { bits, .. } = self;
        let rest = u128::MAX.checked_shr(bits.into()).unwrap_or(0);
        let key = || {
            let key = Key::OTHER.then(&[u8::from(is_v4), bits]);
            key.then(&(address & !rest).to_be_bytes())
        };
        (is_v4 == self.is_v4).then(key)
    }
}

/// Where a rule is filed by one of its callers.
enum Place {
    /// By what the caller proves.
    Proven(Key),
    /// By where it comes from.
    Block(IpBlock),
}

impl Place {
    fn of(caller: &CallerMatch) -> Option<Self> {
        let Some(domain) = &caller.trust_domain else {
            return caller.block.map(Self::Block);
        };
        let mut key = Key::START.then(domain.as_str().as_bytes());
        if let Some(namespace) = &caller.namespace {
            key = key.then(namespace.as_str().as_bytes());
            if let Some(account) = &caller.service_account {
                key = key.then(account.as_str().as_bytes());
            }
        }
        Some(Self::Proven(key))
    }

    fn key(&self) -> Key {
        match self {
            Self::Proven(key) => *key,
            Self::Block(block) => {
                let key = Length::of(*block).key_of(block.address());
                key.expect("the address of a block is of its kind")
            }
        }
    }

    fn length(&self) -> Option<Length> {
        match self {
            Self::Proven(_) => None,
            Self::Block(block) => Some(Length::of(*block)),
        }
    }
}

/// Where to file a rule by its callers, if each of them names at least a trust domain or a block.
fn places(rule: &AccessRule) -> Option<Vec<Place>> {
    if rule.callers.is_empty() {
        return None;
    }
    rule.callers.iter().map(Place::of).collect()
}

/// All paths a rule speaks of, if it speaks of no request without naming its path.
fn all_paths(rule: &AccessRule) -> Option<impl Iterator<Item = &PathMatch>> {
    let named = |request: &RequestMatch| !request.paths.is_empty();
    if rule.requests.is_empty() || !rule.requests.iter().all(named) {
        return None;
    }
    Some(rule.requests.iter().flat_map(|request| &request.paths))
}
