//! The shortest code that says what the words mean.

use std::sync::Arc;

use leno_model::view::{
    Access, AccessRule, CallerMatch, Effect, Except, FieldMatch, FieldValue, HostMatch, Mtls,
    PathMatch, RequestMatch, Routes, Stance, TextMatch, Within,
};
use leno_model::{Code, SpiffeId};
use leno_protocol::Request;

/// A pattern of [`Words`] as somebody would say it.
pub(super) fn naive_pattern(pattern: &str, text: &str) -> bool {
    let after_slash = text.strip_prefix('/');
    match pattern {
        "/[a-c]+" => after_slash
            .is_some_and(|rest| !rest.is_empty() && rest.chars().all(|c| matches!(c, 'a'..='c'))),
        "/.*" => after_slash.is_some(),
        "/a/.*" => text.starts_with("/a/"),
        ".*1" => text.ends_with('1'),
        "b.*" => text.starts_with('b'),
        "[0-9]" => text.len() == 1 && text.chars().all(|c| c.is_ascii_digit()),
        other => panic!("what is {other}?"),
    }
}

pub(super) fn naive_path(expected: &PathMatch, path: &str) -> bool {
    match expected {
        PathMatch::Exact(exact) => path == &**exact,
        PathMatch::Prefix(prefix) => {
            let wanted: Vec<_> = prefix.split('/').collect();
            let have: Vec<_> = path.split('/').collect();
            prefix.is_empty() || have.starts_with(&wanted)
        }
        PathMatch::Regex(pattern) => naive_pattern(pattern.as_str(), path),
        PathMatch::Template(template) => {
            let have: Vec<_> = path.split('/').collect();
            let wanted: Vec<_> = template.as_str().split('/').collect();
            let fits = |(want, have): (&&str, &&str)| {
                want == have || want.starts_with('{') && !have.is_empty()
            };
            match wanted.split_last() {
                Some((&"**", wanted)) => {
                    have.len() >= wanted.len() && wanted.iter().zip(&have).all(fits)
                }
                _ => have.len() == wanted.len() && wanted.iter().zip(&have).all(fits),
            }
        }
    }
}

pub(super) fn naive_host(expected: &HostMatch, host: &str) -> bool {
    let host = host.to_lowercase();
    match expected {
        HostMatch::Any => true,
        HostMatch::Exact(name) => host == **name,
        HostMatch::Suffix(suffix) => host.len() > suffix.len() && host.ends_with(&**suffix),
    }
}

pub(super) fn naive_value(expected: &TextMatch, value: Option<String>) -> bool {
    match (expected, value) {
        (TextMatch::Exact(text), Some(value)) => **text == *value,
        (TextMatch::Regex(pattern), Some(value)) => naive_pattern(pattern.as_str(), &value),
        (_, None) => false,
    }
}

/// The rule of the first route that matches, by the words of the definition.
pub(super) fn naive_route(routes: &Routes, request: &Request<'_>, path: &str) -> Option<usize> {
    let header = |name: &str| {
        let values: Vec<_> = request.header(name).map(String::from_utf8_lossy).collect();
        (!values.is_empty()).then(|| values.join(", "))
    };
    let query = |name: &str| {
        let mut entries = request.query.unwrap_or_default().split('&');
        let value = entries.find_map(|entry| entry.strip_prefix(name)?.strip_prefix('='));
        value.map(|value| value.replace("%32", "2"))
    };
    let found = routes.routes.iter().find(|route| {
        let matches = &route.matches;
        naive_host(&route.host, request.host)
            && naive_path(&matches.path, path)
            && matches
                .method
                .as_ref()
                .is_none_or(|method| **method == *request.method)
            && matches
                .headers
                .iter()
                .all(|m| naive_value(&m.value, header(&m.name)))
            && matches
                .query
                .iter()
                .all(|m| naive_value(&m.value, query(&m.name)))
    });
    found.map(|route| route.rule)
}

pub(super) fn naive_caller(
    expected: &CallerMatch,
    caller: Option<&SpiffeId>,
    address: std::net::IpAddr,
) -> bool {
    let proven = |matches: &dyn Fn(&SpiffeId) -> bool| caller.is_some_and(matches);
    expected
        .trust_domain
        .as_ref()
        .is_none_or(|want| proven(&|id| id.trust_domain == *want))
        && expected
            .namespace
            .as_ref()
            .is_none_or(|want| proven(&|id| id.namespace == *want))
        && expected
            .service_account
            .as_ref()
            .is_none_or(|want| proven(&|id| id.service_account == *want))
        && expected.block.is_none_or(|block| block.contains(address))
}

/// What can be told of a match: whether it surely is one, and whether it may be.
#[derive(Clone, Copy)]
pub(super) struct Match {
    surely: bool,
    maybe: bool,
}

impl From<bool> for Match {
    fn from(is: bool) -> Self {
        Self {
            surely: is,
            maybe: is,
        }
    }
}

impl Match {
    fn and(self, other: Self) -> Self {
        Self {
            surely: self.surely && other.surely,
            maybe: self.maybe && other.maybe,
        }
    }

    fn or(self, other: Self) -> Self {
        Self {
            surely: self.surely || other.surely,
            maybe: self.maybe || other.maybe,
        }
    }

    fn not(self) -> Self {
        Self {
            surely: !self.maybe,
            maybe: !self.surely,
        }
    }

    fn any(all: impl Iterator<Item = Self>) -> Self {
        all.fold(Self::from(false), Self::or)
    }
}

pub(super) fn naive_field(expected: &FieldMatch, request: &Request<'_>) -> Match {
    let dashed = |name: &str| name.to_ascii_lowercase().replace('_', "-");
    let all: Vec<_> = request.headers.iter().collect();
    let named = all
        .iter()
        .filter(|h| dashed(h.name) == dashed(&expected.name));
    let named: Vec<_> = named
        .map(|h| (h.name, std::str::from_utf8(h.value).unwrap()))
        .collect();
    let says = |value: &str| match &expected.value {
        FieldValue::Present => true,
        FieldValue::Exact(text) => value == &**text,
        FieldValue::Prefix(text) => value.starts_with(&**text),
        FieldValue::Regex(pattern) => naive_pattern(pattern.as_str(), value),
    };
    let values: Vec<_> = named.iter().map(|(_, value)| *value).collect();
    let joined = values.join(", ");
    let whole: Vec<_> = values.iter().copied().chain([&*joined]).collect();
    let elements = values.iter().flat_map(|value| value.split(','));
    let is_spelled_so = named
        .iter()
        .all(|(name, _)| name.eq_ignore_ascii_case(&expected.name));
    Match {
        surely: !values.is_empty() && is_spelled_so && whole.iter().all(|value| says(value)),
        maybe: !values.is_empty()
            && whole
                .iter()
                .copied()
                .chain(elements.map(str::trim))
                .any(says),
    }
}

/// A condition of [`Words`] as somebody would say it.
pub(super) fn naive_condition(
    condition: &str,
    caller: Option<&SpiffeId>,
    request: Option<&Request<'_>>,
) -> Match {
    let open = Match {
        surely: false,
        maybe: true,
    };
    let from_shop = Match::from(caller.is_some_and(|id| id.namespace.as_str() == "shop"));
    match condition {
        "source.namespace == 'shop'" => from_shop,
        "request.method == 'GET' || source.namespace == 'shop'" => request
            .map_or(open, |request| Match::from(request.method == "GET"))
            .or(from_shop),
        "request.headers['x-user'] == 'beta'" => {
            let Some(request) = request else { return open };
            let values: Vec<_> = request.header("x-user").collect();
            match *values {
                [value] => Match::from(value == b"beta"),
                _ => open,
            }
        }
        other => panic!("what is {other}?"),
    }
}

pub(super) fn naive_rule(
    rule: &AccessRule,
    caller: Option<&SpiffeId>,
    address: std::net::IpAddr,
    request: Option<(&Request<'_>, &str)>,
) -> Match {
    let asks = |expected: &RequestMatch| {
        let RequestMatch {
            ports,
            methods,
            hosts,
            paths,
            headers,
            claims,
        } = expected;
        assert!(claims.is_empty(), "nobody's tokens are believed here");
        let port = ports.is_empty() || ports.contains(&8080);
        let Some((asked, path)) = request else {
            let nothing = methods.is_empty() && hosts.is_empty() && paths.is_empty();
            return Match::from(port && nothing && headers.is_empty());
        };
        let plainly = port
            && (methods.is_empty() || methods.iter().any(|m| **m == *asked.method))
            && (hosts.is_empty() || hosts.iter().any(|h| naive_host(h, asked.host)))
            && (paths.is_empty() || paths.iter().any(|p| naive_path(p, path)));
        let headers = headers.iter().map(|header| naive_field(header, asked));
        headers.fold(Match::from(plainly), Match::and)
    };
    // A stream of bytes may be any request.
    let may_be = |expected: &RequestMatch| match request {
        None if expected.reads_requests() => Match {
            surely: false,
            maybe: true,
        },
        _ => asks(expected),
    };
    let calls = |callers: &[CallerMatch]| {
        Match::any(
            callers
                .iter()
                .map(|c| Match::from(naive_caller(c, caller, address))),
        )
    };
    let mut matches = Match::from(true);
    if !rule.within.is_empty() {
        let about = |Within { takes, leaves }: &Within| {
            let left = Match::any(leaves.iter().map(asks));
            asks(takes).and(left.not())
        };
        matches = matches.and(Match::any(rule.within.iter().map(about)));
    }
    if !rule.callers.is_empty() {
        matches = matches.and(calls(&rule.callers));
    }
    if !rule.requests.is_empty() {
        matches = matches.and(Match::any(rule.requests.iter().map(asks)));
    }
    let excepted = calls(&rule.except.callers);
    let excepted = excepted.or(Match::any(rule.except.requests.iter().map(may_be)));
    matches = matches.and(excepted.not());
    if let Some(condition) = &rule.when {
        let asked = request.map(|(request, _)| request);
        matches = matches.and(naive_condition(condition, caller, asked));
    }
    matches
}

/// The verdict, by the words of the definition: the code of the denial, or `None`.
pub(super) fn naive_verdict(
    access: &Access,
    caller: Option<&SpiffeId>,
    address: std::net::IpAddr,
    request: Option<(&Request<'_>, &str)>,
) -> Option<Code> {
    if access.mtls == Mtls::Strict && caller.is_none() {
        return Some(Code::R002);
    }
    let matched = |rule: &Arc<AccessRule>| naive_rule(rule, caller, address, request);
    for rule in access
        .rules
        .iter()
        .filter(|rule| !matches!(rule.effect, Effect::Allow | Effect::AllowAlso))
    {
        match matched(rule) {
            Match { surely: true, .. } => {
                return Some(match rule.effect {
                    Effect::Deny => Code::R004,
                    Effect::Ring => Code::R070,
                    _ => Code::R005,
                });
            }
            Match { maybe: true, .. } => return Some(Code::R060),
            Match { maybe: false, .. } => {}
        }
    }
    let allowing = access
        .rules
        .iter()
        .filter(|rule| matches!(rule.effect, Effect::Allow | Effect::AllowAlso));
    // Nobody is refused for a rule that only allows also.
    let weighed = |rule: &Arc<AccessRule>| match (rule.effect, matched(rule)) {
        (Effect::AllowAlso, Match { surely, .. }) => Match {
            surely,
            maybe: surely,
        },
        (_, matched) => matched,
    };
    let best = Match::any(allowing.clone().map(weighed));
    // One that is about something is about it also where that is in doubt.
    let about = |rule: &Arc<AccessRule>| {
        let only = AccessRule {
            callers: Vec::new(),
            requests: Vec::new(),
            except: Except::default(),
            when: None,
            ..AccessRule::clone(rule)
        };
        naive_rule(&only, caller, address, request).maybe
    };
    let mut closing = allowing.filter(|rule| rule.effect == Effect::Allow);
    let closed = closing.any(about) || access.stance == Stance::Deny;
    match best {
        Match { surely: true, .. } => None,
        Match { maybe: true, .. } => Some(Code::R060),
        Match { maybe: false, .. } => closed.then_some(Code::R003),
    }
}
