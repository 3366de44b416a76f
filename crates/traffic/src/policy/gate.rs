//! The access rules of one workload port, ready to be asked: a verdict from an index over them,
//! and the same from a plain scan.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};
use core::fmt;

use leno_model::SpiffeId;
use leno_model::view::{
    Access, AccessRule, CallerMatch, Effect, Mtls, PathMatch, RequestMatch, Stance,
};

use crate::caller::{Claim, Fact, Missing};
use crate::index::{First, Index, Key};
use crate::matching::{host_matches, path_matches};
use crate::paths::{Filing, Group, PathIndex};
use crate::policy::{Allowed, Denied, Verdict};

/// What of a request access rules look at, under one reading of its path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'r> {
    pub(crate) method: &'r str,
    pub(crate) host: &'r str,
    pub(crate) path: &'r str,
}

/// One call to a port: by whom, and for a request what it asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'r> {
    pub(crate) claim: &'r Claim<'r>,
    pub(crate) port: u16,
    pub(crate) asked: Option<Asked<'r>>,
}

/// The part of a rule that a call does not meet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mismatch<'t> {
    Caller(&'t [CallerMatch]),
    Request(&'t [RequestMatch]),
    /// It depends on this.
    Lacks(Missing),
}

/// The rules over one workload port.
#[derive(Debug)]
pub(crate) struct Gate {
    access: Arc<Access>,
    deny: Rules,
    allow: Rules,
}

impl Gate {
    pub(crate) fn new(access: Arc<Access>) -> Self {
        let of = |denies: bool| {
            let rules = access.rules.iter().filter(|rule| match rule.effect {
                Effect::Deny | Effect::NotUnderstood => denies,
                Effect::Allow => !denies,
            });
            Rules::new(rules.cloned().collect())
        };
        Self {
            deny: of(true),
            allow: of(false),
            access,
        }
    }

    pub(crate) fn access(&self) -> &Arc<Access> {
        &self.access
    }

    /// Whether a rule that allows looks at what a request asks.
    pub(crate) fn asks_requests(&self) -> bool {
        let looks = |request: &RequestMatch| {
            let RequestMatch {
                ports: _,
                methods,
                hosts,
                paths,
            } = request;
            !(methods.is_empty() && hosts.is_empty() && paths.is_empty())
        };
        let mut rules = self.allow.rules.iter();
        rules.any(|rule| rule.requests.iter().any(looks))
    }

    /// Judges a call, asking only rules that an index proposes.
    pub(crate) fn judge(&self, call: Call<'_>) -> Verdict<'_> {
        self.verdict(call, |rules| rules.find(call))
    }

    /// Judges a call, asking every rule.
    pub(crate) fn judge_by_scan(&self, call: Call<'_>) -> Verdict<'_> {
        self.verdict(call, |rules| rules.scan(call))
    }

    fn verdict<'t>(&'t self, call: Call<'_>, ask: impl Fn(&'t Rules) -> Answer<'t>) -> Verdict<'t> {
        if self.access.mtls == Mtls::Strict {
            match call.claim.caller {
                Fact::Known(Some(_)) => {}
                Fact::Known(None) => {
                    return Verdict::Deny(Denied::Plain(self.access.mtls_origin.clone()));
                }
                Fact::Unknown => return Verdict::Undecided(Missing::CallerIdentity),
            }
        }
        let may_be_denied = match ask(&self.deny) {
            Answer::Yes(rule) => return Verdict::Deny(Denied::by(rule)),
            Answer::No => None,
            Answer::Depends(missing) => Some(missing),
        };
        let allowed = match ask(&self.allow) {
            Answer::Yes(rule) => Allowed::ByRule(rule),
            Answer::Depends(missing) => return Verdict::Undecided(missing),
            Answer::No if !self.allow.rules.is_empty() => {
                return Verdict::Deny(Denied::NoAllowRule);
            }
            Answer::No => match self.access.stance {
                Stance::Allow => Allowed::ByDefault,
                Stance::Deny => {
                    let said = self.access.stance_origin.clone();
                    return Verdict::Deny(Denied::ByDefault(said));
                }
            },
        };
        may_be_denied.map_or(Verdict::Allow(allowed), Verdict::Undecided)
    }
}

/// Whether one of several rules matches.
enum Answer<'t> {
    Yes(&'t Arc<AccessRule>),
    No,
    Depends(Missing),
}

/// Rules of one effect, with an index over them. A rule is filed by its callers if it names all
/// of them, else by its paths if it names all of those, else it is always asked.
#[derive(Debug)]
struct Rules {
    rules: Vec<Arc<AccessRule>>,
    by_caller: Index,
    by_path: PathIndex,
    paths: Group,
}

impl Rules {
    fn new(rules: Vec<Arc<AccessRule>>) -> Self {
        let mut by_caller = BTreeMap::<Key, Vec<u32>>::new();
        let (mut filing, mut paths) = (Filing::default(), Group::new(Key::START));
        for (position, rule) in (0..).zip(&rules) {
            if let Some(keys) = caller_keys(rule) {
                for key in keys {
                    by_caller.entry(key).or_default().push(position);
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
            by_path: filing.finish(),
            paths,
            rules,
        }
    }

    fn find(&self, call: Call<'_>) -> Answer<'_> {
        if self.rules.is_empty() {
            return Answer::No;
        }
        let Claim {
            caller: Fact::Known(caller),
            address: Fact::Known(_),
        } = call.claim
        else {
            return self.scan(call);
        };
        let mut first = First::new(|position: u32| {
            rule_mismatch(&self.rules[position as usize], call).is_none()
        });
        if let Some(caller) = caller {
            for key in Callers::of(caller).keys() {
                first.try_all(self.by_caller.get(key));
            }
        }
        // A byte stream has no path: a rule that names one does not match it.
        let path = call.asked.map_or("", |asked| asked.path);
        self.by_path.propose(&self.paths, path, &mut first);
        match first.found() {
            Some(position) => Answer::Yes(&self.rules[position]),
            None => Answer::No,
        }
    }

    fn scan(&self, call: Call<'_>) -> Answer<'_> {
        let mut depends = None;
        for rule in &self.rules {
            match rule_mismatch(rule, call) {
                None => return Answer::Yes(rule),
                Some(Mismatch::Lacks(missing)) => depends = depends.or(Some(missing)),
                Some(Mismatch::Caller(_) | Mismatch::Request(_)) => {}
            }
        }
        depends.map_or(Answer::No, Answer::Depends)
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

/// Where to file a rule by its callers, if each of them names at least a trust domain.
fn caller_keys(rule: &AccessRule) -> Option<Vec<Key>> {
    let key = |caller: &CallerMatch| {
        let domain = caller.trust_domain.as_ref()?;
        let mut key = Key::START.then(domain.as_str().as_bytes());
        if let Some(namespace) = &caller.namespace {
            key = key.then(namespace.as_str().as_bytes());
            if let Some(account) = &caller.service_account {
                key = key.then(account.as_str().as_bytes());
            }
        }
        Some(key)
    };
    if rule.callers.is_empty() {
        return None;
    }
    rule.callers.iter().map(key).collect()
}

/// All paths a rule speaks of, if it speaks of no request without naming its path.
fn all_paths(rule: &AccessRule) -> Option<impl Iterator<Item = &PathMatch>> {
    let named = |request: &RequestMatch| !request.paths.is_empty();
    if rule.requests.is_empty() || !rule.requests.iter().all(named) {
        return None;
    }
    Some(rule.requests.iter().flat_map(|request| &request.paths))
}

/// What of `rule` the call does not meet.
pub(crate) fn rule_mismatch<'t>(rule: &'t AccessRule, call: Call<'_>) -> Option<Mismatch<'t>> {
    let caller = callers_meet(&rule.callers, call.claim);
    if caller == Fact::Known(false) {
        return Some(Mismatch::Caller(&rule.callers));
    }
    let meets = |request: &RequestMatch| request_meets(request, call);
    if !rule.requests.is_empty() && !rule.requests.iter().any(meets) {
        return Some(Mismatch::Request(&rule.requests));
    }
    match caller {
        Fact::Known(_) => None,
        Fact::Unknown => Some(Mismatch::Lacks(missing(&rule.callers, call.claim))),
    }
}

/// Whether the caller is one of those who are meant; unknown only if it hangs on a fact that the
/// claim lacks.
fn callers_meet(expected: &[CallerMatch], claim: &Claim<'_>) -> Fact<bool> {
    if expected.is_empty() {
        return Fact::Known(true);
    }
    let mut answer = Fact::Known(false);
    for caller in expected {
        match caller_meets(caller, claim) {
            Fact::Known(true) => return Fact::Known(true),
            Fact::Known(false) => {}
            Fact::Unknown => answer = Fact::Unknown,
        }
    }
    answer
}

fn request_meets(expected: &RequestMatch, call: Call<'_>) -> bool {
    let RequestMatch {
        ports,
        methods,
        hosts,
        paths,
    } = expected;
    let port = ports.is_empty() || ports.contains(&call.port);
    let Some(asked) = call.asked else {
        return port && methods.is_empty() && hosts.is_empty() && paths.is_empty();
    };
    port && (methods.is_empty() || methods.iter().any(|method| **method == *asked.method))
        && (hosts.is_empty() || hosts.iter().any(|host| host_matches(host, asked.host)))
        && (paths.is_empty() || paths.iter().any(|path| path_matches(path, asked.path)))
}

fn caller_meets(expected: &CallerMatch, claim: &Claim<'_>) -> Fact<bool> {
    let CallerMatch {
        trust_domain,
        namespace,
        service_account,
        block,
    } = expected;
    let identity = match claim.caller {
        _ if !names_one(expected) => Fact::Known(true),
        Fact::Known(None) => Fact::Known(false),
        Fact::Known(Some(id)) => Fact::Known(
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
        Fact::Unknown => Fact::Unknown,
    };
    let address = match (block, claim.address) {
        (None, _) => Fact::Known(true),
        (Some(block), Fact::Known(address)) => Fact::Known(block.contains(address)),
        (Some(_), Fact::Unknown) => Fact::Unknown,
    };
    match (identity, address) {
        (Fact::Known(false), _) | (_, Fact::Known(false)) => Fact::Known(false),
        (Fact::Known(true), Fact::Known(true)) => Fact::Known(true),
        (Fact::Unknown, _) | (_, Fact::Unknown) => Fact::Unknown,
    }
}

/// The fact on which it hangs whether the caller is meant: of several, the first.
fn missing(expected: &[CallerMatch], claim: &Claim<'_>) -> Missing {
    let open = expected
        .iter()
        .find(|caller| caller_meets(caller, claim) == Fact::Unknown);
    match open {
        Some(caller) if names_one(caller) && claim.caller == Fact::Unknown => {
            Missing::CallerIdentity
        }
        Some(_) | None => Missing::CallerAddress,
    }
}

/// Whether an identity is asked for, and not only an address.
fn names_one(caller: &CallerMatch) -> bool {
    caller.trust_domain.is_some() || caller.namespace.is_some() || caller.service_account.is_some()
}

/// Half a sentence: `the caller is not ns/shop/sa/checkout`.
impl fmt::Display for Mismatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Caller([one]) => write!(f, "the caller is not {}", Meant(one)),
            Self::Caller(several) => write!(f, "the caller is none of {}", several.len()),
            Self::Request([one]) => write!(f, "the request is not {}", Requests(one)),
            Self::Request(several) => write!(f, "the request is none of {}", several.len()),
            Self::Lacks(missing) => write!(f, "it depends on {missing}"),
        }
    }
}

/// The callers that are meant, in short.
struct Meant<'t>(&'t CallerMatch);

impl fmt::Display for Meant<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CallerMatch {
            trust_domain,
            namespace,
            service_account,
            block,
        } = self.0;
        match (namespace, service_account, trust_domain) {
            (Some(namespace), Some(account), _) => write!(f, "{namespace}/{account}")?,
            (None, Some(account), _) => write!(f, "service account {account}")?,
            (Some(namespace), None, _) => write!(f, "of namespace {namespace}")?,
            (None, None, Some(domain)) => write!(f, "of trust domain {domain}")?,
            (None, None, None) => {}
        }
        let named = names_one(self.0);
        match block {
            Some(block) if named => write!(f, " in {}/{}", block.address(), block.bits()),
            Some(block) => write!(f, "in {}/{}", block.address(), block.bits()),
            None if named => Ok(()),
            None => f.write_str("anyone"),
        }
    }
}

/// The requests that are meant, in short.
struct Requests<'t>(&'t RequestMatch);

impl fmt::Display for Requests<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RequestMatch {
            ports,
            methods,
            hosts,
            paths,
        } = self.0;
        let mut words = Words { out: f, any: false };
        for method in methods {
            words.word(format_args!("{method}"))?;
        }
        for host in hosts {
            match host {
                leno_model::view::HostMatch::Any => words.word(format_args!("any host"))?,
                leno_model::view::HostMatch::Exact(name) => words.word(format_args!("{name}"))?,
                leno_model::view::HostMatch::Suffix(suffix) => {
                    words.word(format_args!("*{suffix}"))?;
                }
            }
        }
        for path in paths {
            match path {
                PathMatch::Exact(path) => words.word(format_args!("{path}"))?,
                PathMatch::Prefix(prefix) => words.word(format_args!("{prefix}/*"))?,
                PathMatch::Regex(pattern) => words.word(format_args!("~{pattern}"))?,
            }
        }
        for port in ports {
            words.word(format_args!(":{port}"))?;
        }
        Ok(())
    }
}

/// Words with spaces between them.
struct Words<'f, 'g> {
    out: &'f mut fmt::Formatter<'g>,
    any: bool,
}

impl Words<'_, '_> {
    fn word(&mut self, word: fmt::Arguments<'_>) -> fmt::Result {
        if self.any {
            self.out.write_str(" ")?;
        }
        self.any = true;
        self.out.write_fmt(word)
    }
}
