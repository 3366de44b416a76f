//! Index against definition: generated views and requests, decided by the crate and by the
//! shortest code that says what the words mean.

use std::num::NonZeroU32;
use std::sync::Arc;

use leno_model::view::{
    Access, AccessRule, CallerMatch, Effect, Except, FieldMatch, FieldValue, HostMatch, Mtls,
    PathMatch, RequestMatch, Routes, Stance, TextMatch, Within,
};
use leno_model::{Code, Dice, Shape, Shaped, SpiffeId};
use leno_protocol::Request;
use leno_traffic::{
    Asked, Claim, Consent, Fact, Kept, Led, Recorded, RecordedPath, Routed, Scope, Story, Table,
    Verdict,
};

use crate::world::{
    self, World, local, namespace, origin, port, spiffe_id, with_request, workload_id,
};

/// Words to make things of, few enough that things meet.
struct Words(Dice);

impl Words {
    fn below(&mut self, of: usize) -> usize {
        let of = NonZeroU32::new(u32::try_from(of).unwrap()).unwrap();
        self.0.roll(of).value as usize
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    /// Zero to three segments, with a slash at the end now and then.
    fn path(&mut self) -> String {
        let mut path = String::new();
        for _ in 0..self.below(4) {
            path = path + "/" + self.one(&["a", "b", "ab", "c1", "items", "A"]);
        }
        if path.is_empty() || self.chance(6) {
            path.push('/');
        }
        path
    }

    fn host(&mut self) -> &'static str {
        self.one(&[
            "cart",
            "shop.example",
            "www.shop.example",
            "a.b.shop.example",
            "example",
            "cart.shop",
        ])
    }

    /// Paths that servers read differently.
    fn odd_path(&mut self) -> String {
        let mut path = String::new();
        for _ in 0..1 + self.below(4) {
            path += self.one(&["/", "//", "/./", "/../", "%2f", "%2F..", "/..;/", "\\"]);
            path += self.one(&["a", "b", "%61", "items", "c1;x=1", "", "%2e%2e"]);
        }
        if path.starts_with('/') {
            path
        } else {
            format!("/{path}")
        }
    }

    fn path_match(&mut self) -> String {
        match self.below(8) {
            0 | 1 => format!("exact={}", self.path()),
            2 => format!("regex={}", self.one(&["/[a-c]+", "/.*", "/a/.*", ".*1"])),
            _ => format!("path={}", self.path()),
        }
    }

    /// What a rule of access says of requests.
    fn access_request(&mut self) -> String {
        let mut words = String::new();
        if self.chance(2) {
            words = match self.below(5) {
                0 => format!(
                    " template={}",
                    self.one(&["/{a}", "/a/{b}", "/a/**", "/{a}/items/**"])
                ),
                _ => format!(" {}", self.path_match()),
            };
        }
        if self.chance(4) {
            words += self.one(&[" method=GET", " method=POST method=PUT"]);
        }
        if self.chance(5) {
            words += self.one(&[" port=8080", " port=9090", " host=cart", " host=*.example"]);
        }
        if self.chance(4) {
            words += self.one(&[
                " header:x-user=beta",
                " header:x-user=b*",
                " header:x-user=~b.*",
                " header:x-user=?",
                " header:x-user=? header:x-b=1",
            ]);
        }
        words
    }

    fn route(&mut self) -> String {
        let mut words = self.path_match();
        if self.chance(2) {
            let host = self.one(&[
                "host=cart",
                "host=shop.example",
                "host=*.example",
                "host=*.shop.example",
            ]);
            words = format!("{words} {host}");
        }
        if self.chance(4) {
            words += self.one(&[" method=GET", " method=POST"]);
        }
        if self.chance(4) {
            words += self.one(&[
                " header:x-user=beta",
                " header:x-user=~b.*",
                " header:x-b=1",
            ]);
        }
        if self.chance(5) {
            words += self.one(&[" query:v=2", " query:v=~[0-9]"]);
        }
        words
    }

    fn request(&mut self) -> String {
        let method = self.one(&["GET", "POST", "PUT"]);
        let (host, path) = (self.host(), self.path());
        let mut words = format!("{method} http://{host}{path}");
        if self.chance(3) {
            words += self.one(&["?v=2", "?v=%32", "?w=1&v=3", "?v=x", "?"]);
        }
        if self.chance(2) {
            words += self.one(&[
                " x-user:beta",
                " X-User:alpha",
                " x-user:bet x-user:a",
                " x_user:beta",
                " x-user:beta x-user:beta",
                " x-user:a,beta",
            ]);
        }
        if self.chance(4) {
            words += " x-b:1";
        }
        words
    }

    fn access_rule(&mut self) -> String {
        let mut words = self
            .one(&["allow", "allow", "also", "deny", "strange", "ring"])
            .to_owned();
        for _ in 0..self.below(3) {
            words += " ";
            words += self.one(&[
                "from=shop/web",
                "from=shop/cart",
                "from=bank/teller",
                "namespace=shop",
                "namespace=bank",
                "domain=shop.local",
                "domain=other.local",
                "ip=10.0.0.0/8",
                "ip=10.0.0.7/32",
                "ip=10.0.0.8/31",
                "ip=::ffff:10.0.0.8/104",
                "ip=0.0.0.0/0",
                "ip=fd00::/8",
                "ip=::/0",
            ]);
        }
        for _ in 0..self.below(3).saturating_sub(1) {
            words += self.one(&[
                " in:path=/a",
                " in:path=/a/b",
                " in:method=GET",
                " in:header:x-user=beta",
                " in:port=8080",
                " in:path=/a out:path=/a/b",
                " in:method=GET out:header:x-user=beta",
            ]);
        }
        words += &self.access_request();
        match self.below(8) {
            0 => words = words + " except namespace=shop" + &self.access_request(),
            1 => words = words + " except port=8080" + &self.access_request(),
            2 => {
                words += self.one(&[
                    " when source.namespace == 'shop'",
                    " when request.method == 'GET' || source.namespace == 'shop'",
                    " when request.headers['x-user'] == 'beta'",
                ]);
            }
            _ => {}
        }
        words
    }
}

/// A pattern of [`Words`] as somebody would say it.
fn naive_pattern(pattern: &str, text: &str) -> bool {
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

fn naive_path(expected: &PathMatch, path: &str) -> bool {
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

fn naive_host(expected: &HostMatch, host: &str) -> bool {
    let host = host.to_lowercase();
    match expected {
        HostMatch::Any => true,
        HostMatch::Exact(name) => host == **name,
        HostMatch::Suffix(suffix) => host.len() > suffix.len() && host.ends_with(&**suffix),
    }
}

fn naive_value(expected: &TextMatch, value: Option<String>) -> bool {
    match (expected, value) {
        (TextMatch::Exact(text), Some(value)) => **text == *value,
        (TextMatch::Regex(pattern), Some(value)) => naive_pattern(pattern.as_str(), &value),
        (_, None) => false,
    }
}

/// The rule of the first route that matches, by the words of the definition.
fn naive_route(routes: &Routes, request: &Request<'_>, path: &str) -> Option<usize> {
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

#[test]
fn the_index_finds_the_route_that_a_scan_finds() {
    let (peer, cart) = (local("web"), port("cart"));
    let mut taken = 0;
    for seed in 0..300 {
        let mut words = Words(Dice::new(seed));
        let count = 1 + words.below(60);
        let lines: Vec<_> = (0..count).map(|_| words.route() + " -> cart").collect();
        let world = World::new()
            .services(&["cart"])
            .routes("cart", &lines.join("\n"));
        let table = Table::new(world.view(), Scope::Whole);
        let routes = world::routes("cart", &lines.join("\n"));
        for _ in 0..60 {
            let request = words.request();
            with_request(&request, |request| {
                let expect = naive_route(&routes, &request, request.path.raw());
                let admitted = table.outbound().admit(&peer, request).unwrap();
                let mut story = Story::default();
                let port = table.port(&cart).unwrap();
                let routed = table.route(admitted, port, &mut Dice::new(1), Some(&mut story));
                let rule = match routed {
                    Ok(Routed::Forward(forward)) => Some(forward.route().unwrap().0.rule),
                    Ok(Routed::Redirect(_) | Routed::Preflight(_)) => {
                        unreachable!("no rule redirects")
                    }
                    Err(refusal) => {
                        assert_eq!(refusal.code(), Code::R010);
                        None
                    }
                };
                assert_eq!(rule, expect, "seed {seed}");
                taken += u32::from(rule.is_some());
                let details = story.steps.iter().flat_map(|step| &step.details);
                assert!(
                    !details
                        .into_iter()
                        .any(|detail| detail.text.contains("bug"))
                );
            });
        }
    }
    assert!(
        (6_000..15_000).contains(&taken),
        "{taken} of 18000 say something"
    );
}

fn naive_caller(
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
struct Match {
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

fn naive_field(expected: &FieldMatch, request: &Request<'_>) -> Match {
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
fn naive_condition(
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

fn naive_rule(
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
fn naive_verdict(
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

#[test]
fn the_verdict_is_the_one_of_the_definition() {
    let mut allowed = 0;
    for seed in 0..400 {
        let mut words = Words(Dice::new(seed));
        let mut access = Access::open();
        for line in 0..words.below(10) {
            let line = u32::try_from(line).unwrap();
            let origin = origin("AccessPolicy", "cart", "/spec/rules/0", line);
            access
                .rules
                .push(Arc::new(world::access_rule(&words.access_rule(), origin)));
        }
        if words.chance(4) {
            access.mtls = Mtls::Strict;
        }
        if words.chance(3) {
            access.stance = Stance::Deny;
        }
        let world = World::new().workload("cart", "10.0.1.1", access.clone());
        let table = Table::new(world.view(), Scope::Whole);
        let policy = table.inbound(&workload_id("cart"), 8080).unwrap();
        for _ in 0..40 {
            let caller = words.one(&["web", "shop/cart", "bank/teller", "bank/guard", ""]);
            let caller = (!caller.is_empty()).then(|| spiffe_id(caller));
            let address = words.one(&[
                "10.0.0.7",
                "10.0.0.8",
                "10.0.0.9",
                "::ffff:10.0.0.8",
                "192.168.0.1",
                "fd00::1",
            ]);
            let address = address.parse().unwrap();
            let claim = Claim {
                caller: Fact::Known(caller.as_ref()),
                address: Fact::Known(address),
                token: leno_traffic::Token::Absent,
                consent: Consent::Given,
            };
            let mut check = |request: Option<&Request<'_>>| {
                let verdict = match request {
                    Some(request) => policy.judge(&claim, request),
                    None => policy.judge_stream(&claim),
                };
                let code = match verdict {
                    Verdict::Allow(_) => None,
                    Verdict::Deny(denied) => Some(denied.code()),
                    Verdict::Undecided(missing) => panic!("{missing}"),
                };
                let asked = request.map(|request| (request, request.path.raw()));
                let expect = naive_verdict(&access, caller.as_ref(), address, asked);
                assert_eq!(code, expect, "seed {seed}");
                allowed += u32::from(code.is_none());
            };
            if words.chance(4) {
                check(None);
            } else {
                let request = words.request();
                with_request(&request, |request| check(Some(&request)));
            }
        }
    }
    assert!(
        (3_000..13_000).contains(&allowed),
        "{allowed} of 16000 say something"
    );
}

/// A claim that lacks facts gets a verdict only if every way to fill them in gets the same.
#[test]
fn what_is_decided_without_a_fact_holds_whatever_the_fact_is() {
    let callers = [
        None,
        Some(spiffe_id("web")),
        Some(spiffe_id("bank/teller")),
        Some(spiffe_id("bank/guard")),
    ];
    let addresses =
        ["10.0.0.7", "10.0.0.8", "192.168.0.1", "fd00::1"].map(|ip| ip.parse().unwrap());
    let (mut decided, mut undecided) = (0, 0);
    for seed in 0..1000 {
        let mut words = Words(Dice::new(seed));
        let rules: Vec<_> = (0..words.below(4)).map(|_| words.access_rule()).collect();
        let table = {
            let access = world::access(&rules.join("\n"));
            let world = World::new().workload("cart", "10.0.1.1", access);
            Table::new(world.view(), Scope::Whole)
        };
        let policy = table.inbound(&workload_id("cart"), 8080).unwrap();
        let request = words.request();
        with_request(&request, |request| {
            let allows = |verdict: Verdict<'_>| match verdict {
                Verdict::Allow(_) => Some(true),
                Verdict::Deny(_) => Some(false),
                Verdict::Undecided(_) => None,
            };
            let unknown = Claim {
                caller: Fact::Unknown,
                address: Fact::Unknown,
                token: leno_traffic::Token::Absent,
                consent: Consent::Given,
            };
            let Some(expect) = allows(policy.judge(&unknown, &request)) else {
                undecided += 1;
                return;
            };
            decided += 1;
            for caller in &callers {
                for address in addresses {
                    let claim = Claim {
                        caller: Fact::Known(caller.as_ref()),
                        address: Fact::Known(address),
                        token: leno_traffic::Token::Absent,
                        consent: Consent::Given,
                    };
                    assert_eq!(
                        allows(policy.judge(&claim, &request)),
                        Some(expect),
                        "seed {seed}"
                    );
                }
            }
        });
    }
    assert!(decided > 200 && undecided > 100, "{decided} {undecided}");
}

/// What is decided of a request of which little was kept holds for the request as it was.
#[test]
fn what_is_decided_of_a_record_holds_for_the_request() {
    let shop = namespace("shop");
    let (mut judged, mut led, mut open) = (0, 0, 0);
    for seed in 0..1500 {
        let mut words = Words(Dice::new(seed));
        let rules: Vec<_> = (0..words.below(4)).map(|_| words.access_rule()).collect();
        let routes: Vec<_> = (0..1 + words.below(6))
            .map(|_| format!("{} -> cart", words.route()))
            .collect();
        let said = world::routes("cart", &routes.join("\n"));
        let world = World::new()
            .services(&["cart"])
            .routes("cart", &routes.join("\n"))
            .workload("cart", "10.0.1.1", world::access(&rules.join("\n")));
        let table = Table::new(world.view(), Scope::Whole);
        let policy = table.inbound(&workload_id("cart"), 8080).unwrap();
        let cart = port("cart");
        let cart = table.port(&cart).unwrap();
        let caller = spiffe_id("web");
        let claim = Claim {
            caller: Fact::Known(Some(&caller)),
            address: Fact::Known("10.0.0.7".parse().unwrap()),
            token: leno_traffic::Token::Absent,
            consent: Consent::Given,
        };
        let request = words.request();
        with_request(&request, |request| {
            let whole = Recorded::of(&request, Kept::All);
            let verdict = policy.judge(&claim, &request);
            assert_eq!(
                policy.judge_recorded(&claim, &whole),
                verdict,
                "seed {seed}"
            );
            let rule = |led: Led<'_>| match led {
                Led::To(_, rule) => Some(Some(rule.origin.clone())),
                Led::Nowhere => Some(None),
                Led::Hangs(_) => None,
                other => panic!("{other:?}"),
            };
            let way = rule(cart.lead(Some(&shop), &whole));
            let expect = naive_route(&said, &request, request.path.raw());
            let expect = expect.map(|rule| said.rules[rule].origin.clone());
            assert_eq!(way, Some(expect), "seed {seed}");
            let shape = Shape::of(request.path.raw());
            let mut unknown = |fact| match words.chance(2) {
                true => Fact::Unknown,
                false => fact,
            };
            let (method, host) = (unknown(whole.method), unknown(whole.host));
            let part = Recorded {
                method,
                host,
                path: match words.below(3) {
                    0 => whole.path,
                    1 => RecordedPath::Like(Shaped::new(shape.as_str())),
                    _ => RecordedPath::Unknown,
                },
                kept: match words.below(3) {
                    0 => Kept::All,
                    1 => Kept::Only(&[Asked::Header("x-user")]),
                    _ => Kept::Only(&[]),
                },
                ..whole
            };
            match policy.judge_recorded(&claim, &part) {
                Verdict::Undecided(_) => open += 1,
                told => {
                    judged += 1;
                    let is_allowed = |verdict: &Verdict<'_>| matches!(verdict, Verdict::Allow(_));
                    assert_eq!(is_allowed(&told), is_allowed(&verdict), "seed {seed}");
                }
            }
            match rule(cart.lead(Some(&shop), &part)) {
                None => open += 1,
                told => {
                    led += 1;
                    assert_eq!(told, way, "seed {seed}");
                }
            }
        });
    }
    assert!(
        judged > 500 && led > 300 && open > 300,
        "{judged} {led} {open}"
    );
}

/// Whatever a server may take an odd path for, it is what was decided about.
#[test]
fn an_odd_path_is_carried_only_if_all_its_readings_agree() {
    let (peer, cart) = (local("web"), port("cart"));
    let (mut carried, mut refused, mut allowed) = (0, 0, 0);
    for seed in 0..600 {
        let mut words = Words(Dice::new(seed));
        let lines: Vec<_> = (0..1 + words.below(5))
            .map(|_| words.path_match() + " -> cart")
            .collect();
        let rules: Vec<_> = (0..words.below(4)).map(|_| words.access_rule()).collect();
        let access = world::access(&rules.join("\n"));
        let world = World::new()
            .services(&["cart"])
            .routes("cart", &lines.join("\n"))
            .workload("cart", "10.0.1.1", access.clone());
        let table = Table::new(world.view(), Scope::Whole);
        let routes = world::routes("cart", &lines.join("\n"));
        let policy = table.inbound(&workload_id("cart"), 8080).unwrap();
        let address = "10.0.0.7".parse().unwrap();
        let web = spiffe_id("web");
        for _ in 0..10 {
            let path = words.odd_path();
            let Ok(readings) = leno_protocol::Path::new(&path) else {
                continue;
            };
            let request = Request {
                method: "GET",
                host: "cart",
                port: None,
                path: readings,
                query: None,
                headers: &[],
            };
            let readings: Vec<_> = request.path.readings().collect();

            let mut rules = readings
                .iter()
                .map(|path| naive_route(&routes, &request, path));
            let first = rules.next().unwrap();
            let expect = if rules.all(|rule| rule == first) {
                first.ok_or(Code::R010)
            } else {
                Err(Code::R035)
            };
            let admitted = table.outbound().admit(&peer, request.clone()).unwrap();
            let port = table.port(&cart).unwrap();
            let routed = table.route(admitted, port, &mut Dice::new(1), None);
            let rule = match routed {
                Ok(Routed::Forward(forward)) => Ok(forward.route().unwrap().0.rule),
                Ok(Routed::Redirect(_) | Routed::Preflight(_)) => unreachable!("no rule redirects"),
                Err(refusal) => Err(refusal.code()),
            };
            assert_eq!(rule, expect, "{path}");
            carried += u32::from(rule.is_ok());
            refused += u32::from(rule == Err(Code::R035));

            let mut codes = readings
                .iter()
                .map(|path| naive_verdict(&access, Some(&web), address, Some((&request, path))));
            let first = codes.next().unwrap();
            let agree = codes.all(|code| code.is_none() == first.is_none());
            let expect = if agree { first } else { Some(Code::R035) };
            let claim = Claim {
                caller: Fact::Known(Some(&web)),
                address: Fact::Known(address),
                token: leno_traffic::Token::Absent,
                consent: Consent::Given,
            };
            let code = match policy.judge(&claim, &request) {
                Verdict::Allow(_) => None,
                Verdict::Deny(denied) => Some(denied.code()),
                Verdict::Undecided(missing) => panic!("{missing}"),
            };
            assert_eq!(code, expect, "{path}");
            allowed += u32::from(code.is_none());
        }
    }
    assert!(
        carried > 500 && refused > 500 && allowed > 500,
        "{carried} {refused} {allowed}"
    );
}
