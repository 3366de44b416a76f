//! Views and requests, written as a few words.
//!
//! A rule of a route: `host=*.shop path=/items method=GET header:x-user=beta -> cart-v1:9 cart-v2:1`.
//! A rule of access: `allow from=shop/web method=GET path=/items`.
//! A request: `GET http://cart/items?x=1 x-user:beta`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use leno_model::view::access::IpBlock;
use leno_model::view::route::Part;
use leno_model::view::{
    Access, AccessRule, Action, Backend, CallerMatch, ClaimMatch, Cors, Effect, Endpoint,
    EndpointSlice, Except, FieldMatch, FieldValue, Generation, HeaderChanges, HeaderMatch,
    HostMatch, HttpMatch, Mirror, Mtls, Named, PathMatch, PathRewrite, PortRef, Protocol, Redirect,
    RequestMatch, Retry, Rewrite, Route, Routes, Rule, Service, ServicePort, Settings, SiteMatch,
    Split, Stance, State, TextMatch, Tuning, View, Within, Workload, WorkloadId, WorkloadPort,
};
use leno_model::{
    Code, Mono, Name, Namespace, Network, ObjectRef, Origin, PathTemplate, Pattern, Place,
    ServiceName, SpiffeId, TrustDomain,
};
use leno_protocol::{Fields, HeadReader, Limits, Request};
use leno_traffic::{Channel, Peer, WhyPlain};

pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn namespace(text: &str) -> Namespace {
    Namespace::new(text).unwrap()
}

pub(crate) fn network() -> Network {
    Network::new("default").unwrap()
}

/// `cart` is in `shop`; `bank/cart` is not.
pub(crate) fn service_name(text: &str) -> ServiceName {
    let (namespace, name) = text.split_once('/').unwrap_or(("shop", text));
    ServiceName::new(self::namespace(namespace), self::name(name))
}

pub(crate) fn port(text: &str) -> PortRef {
    PortRef {
        service: service_name(text),
        port: 80,
    }
}

pub(crate) fn workload_id(text: &str) -> WorkloadId {
    let ServiceName { namespace, name } = service_name(text);
    WorkloadId { namespace, name }
}

pub(crate) fn spiffe_id(text: &str) -> SpiffeId {
    let ServiceName { namespace, name } = service_name(text);
    SpiffeId::parse(&format!("spiffe://shop.local/ns/{namespace}/sa/{name}")).unwrap()
}

pub(crate) fn origin(kind: &str, name: &str, pointer: &str, line: u32) -> Origin {
    Origin {
        object: Arc::new(ObjectRef {
            kind: kind.into(),
            namespace: Some(namespace("shop")),
            name: self::name(name),
        }),
        pointer: pointer.into(),
        place: Some(Place {
            file: format!("{name}.yaml").into(),
            line,
            column: 1,
        }),
    }
}

pub(crate) fn at(millis: u64) -> Mono {
    Mono::since_start(Duration::from_millis(millis))
}

/// A peer of this proxy's own.
pub(crate) fn local(workload: &str) -> Peer {
    Peer {
        channel: Channel::Local(workload_id(workload)),
        address: "10.0.0.1".parse().unwrap(),
    }
}

pub(crate) fn plain(address: &str) -> Peer {
    Peer {
        channel: Channel::Plain(WhyPlain::CallerNotInMesh),
        address: address.parse().unwrap(),
    }
}

/// A view that grows by what it is told.
pub(crate) struct World(pub(crate) View);

impl World {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self(View {
            generation: Generation::default(),
            settings: Arc::new(Settings::new(TrustDomain::new("shop.local").unwrap())),
            workloads: BTreeMap::new(),
            services: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            revoked: Arc::default(),
            bundles: BTreeMap::new(),
            sidecars: BTreeMap::new(),
            token_keys: BTreeMap::new(),
        })
    }

    pub(crate) fn view(&self) -> Arc<View> {
        Arc::new(self.0.clone())
    }

    /// A service at `address`, port 80, without routes.
    pub(crate) fn service(mut self, text: &str, addresses: &[&str]) -> Self {
        let port = ServicePort {
            name: None,
            protocol: Protocol::Http,
            producer: None,
            consumers: BTreeMap::new(),
            tuning: Arc::new(Tuning::default()),
            telemetry: Arc::default(),
        };
        let service = Service {
            name: service_name(text),
            origin: None,
            addresses: addresses
                .iter()
                .map(|ip| (network(), ip.parse().unwrap()))
                .collect(),
            ports: [(80, port)].into(),
        };
        self.0
            .services
            .insert(service_name(text), Arc::new(service));
        self
    }

    /// Services without addresses.
    pub(crate) fn services(self, names: &[&str]) -> Self {
        names
            .iter()
            .fold(self, |world, name| world.service(name, &[]))
    }

    pub(crate) fn change_port(
        mut self,
        service: &str,
        change: impl FnOnce(&mut ServicePort),
    ) -> Self {
        let service = self.0.services.get_mut(&service_name(service)).unwrap();
        change(Arc::make_mut(service).ports.get_mut(&80).unwrap());
        self
    }

    /// Routes for callers from everywhere.
    pub(crate) fn routes(self, service: &str, text: &str) -> Self {
        let routes = Arc::new(routes(service, text));
        self.change_port(service, |port| port.producer = Some(routes))
    }

    /// Routes for callers from one namespace.
    pub(crate) fn consumer_routes(self, service: &str, from: &str, text: &str) -> Self {
        let routes = Arc::new(routes(service, text));
        self.change_port(service, |port| {
            port.consumers.insert(namespace(from), routes);
        })
    }

    /// Endpoints that are all ready: `cart-1 10.0.1.1:8080`; then perhaps `*3` for the weight,
    /// `draining` or `unknown`, `tunnel`.
    pub(crate) fn endpoints(mut self, service: &str, text: &[&str]) -> Self {
        let endpoints = text.iter().map(|line| endpoint(line)).collect::<Vec<_>>();
        let slices = endpoints
            .chunks(EndpointSlice::MOST)
            .map(|chunk| Arc::new(EndpointSlice::new(chunk.to_vec()).unwrap()))
            .collect();
        self.0.endpoints.insert(port(service), slices);
        self
    }

    /// A workload of this proxy, with access over its port 8080.
    pub(crate) fn workload(mut self, text: &str, address: &str, access: Access) -> Self {
        let access = Arc::new(access);
        let workload = Workload {
            id: workload_id(text),
            identity: spiffe_id(text),
            network: network(),
            addresses: [address.parse().unwrap()].into(),
            ports: [(
                8080,
                WorkloadPort {
                    protocol: Protocol::Http,
                    access: access.clone(),
                    telemetry: Arc::default(),
                    proxied: Arc::default(),
                },
            )]
            .into(),
            other_ports: Arc::new(Access::open()),
            isolation: None,
            outbound: Arc::default(),
            telemetry: Arc::default(),
            processes: Arc::default(),
            pod: None,
            probes: Arc::default(),
        };
        self.0
            .workloads
            .insert(workload_id(text), Arc::new(workload));
        self
    }

    pub(crate) fn revoke(mut self, identity: &str) -> Self {
        self.0.revoked = Arc::new(BTreeSet::from([spiffe_id(identity)]));
        self
    }
}

fn endpoint(text: &str) -> Endpoint {
    let mut words = text.split(' ');
    let workload = words.next().unwrap();
    let address: SocketAddr = words.next().unwrap().parse().unwrap();
    let mut endpoint = Endpoint {
        workload: workload_id(workload),
        cluster: name("local"),
        network: network(),
        address,
        tunnel: None,
        identities: vec![],
        locality: Default::default(),
        weight: NonZeroU32::MIN,
        state: State::Ready,
    };
    for word in words {
        match word {
            "draining" => endpoint.state = State::Draining,
            "unknown" => endpoint.state = State::Unknown,
            "tunnel" => endpoint.tunnel = Some(SocketAddr::new(address.ip(), 15008)),
            weight => endpoint.weight = weight.strip_prefix('*').unwrap().parse().unwrap(),
        }
    }
    endpoint
}

/// One rule a line, in order of precedence; all of the HTTPRoute that is named like the service.
pub(crate) fn routes(service: &str, text: &str) -> Routes {
    let mut routes = Routes::default();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    for (place, line) in lines.enumerate() {
        let said = |part: &str| {
            let line = u32::try_from(place).unwrap() * 10 + 10;
            origin(
                "HTTPRoute",
                service,
                &format!("/spec/rules/{place}{part}"),
                line,
            )
        };
        let (matches, action) = line.split_once("->").unwrap();
        for one in matches.split(" or ") {
            let (host, matches) = http_match(one);
            let origin = said("/matches/0");
            routes.routes.push(Route {
                host,
                matches,
                rule: place,
                origin,
            });
        }
        routes.rules.push(Arc::new(rule(action, &said)));
    }
    routes
}

fn http_match(text: &str) -> (HostMatch, HttpMatch) {
    let mut host = HostMatch::Any;
    let mut matches = HttpMatch {
        path: PathMatch::Prefix("".into()),
        method: None,
        headers: vec![],
        query: vec![],
    };
    for word in text.split_whitespace() {
        let (key, value) = word.split_once('=').unwrap();
        match key {
            "host" => host = self::host(value),
            "method" => matches.method = Some(value.into()),
            _ if key.starts_with("header:") => matches.headers.push(value_match(&key[7..], value)),
            _ if key.starts_with("query:") => matches.query.push(value_match(&key[6..], value)),
            _ => matches.path = path(key, value),
        }
    }
    (host, matches)
}

fn host(text: &str) -> HostMatch {
    match text.strip_prefix('*') {
        Some(suffix) => HostMatch::Suffix(suffix.into()),
        None => HostMatch::Exact(text.into()),
    }
}

fn path(kind: &str, value: &str) -> PathMatch {
    match kind {
        "path" => PathMatch::Prefix(value.trim_end_matches('/').into()),
        "exact" => PathMatch::Exact(value.into()),
        "regex" => PathMatch::Regex(Pattern::new(value).unwrap()),
        other => panic!("what is {other}?"),
    }
}

fn value_match(name: &str, value: &str) -> HeaderMatch {
    HeaderMatch {
        name: name.into(),
        value: match value.strip_prefix('~') {
            Some(pattern) => TextMatch::Regex(Pattern::new(pattern).unwrap()),
            None => TextMatch::Exact(value.into()),
        },
    }
}

fn rule(text: &str, said: &dyn Fn(&str) -> Origin) -> Rule {
    let mut rule = Rule {
        origin: said(""),
        name: None,
        action: Action::Refuse(Code::C114, said("/filters/0")),
        request_headers: HeaderChanges::default(),
        response_headers: HeaderChanges::default(),
        rewrite: None,
        mirrors: vec![],
        cors: None,
        request_timeout: None,
        attempt_timeout: None,
        retry: None,
    };
    let mut parts = vec![];
    let mut redirect = None;
    for word in text.split_whitespace() {
        match word.split_once('=') {
            Some(("name", name)) => rule.name = Some(name.into()),
            Some(("set", value)) => {
                let (name, value) = value.split_once(':').unwrap();
                rule.request_headers.set.push((name.into(), value.into()));
            }
            Some(("timeout", millis)) => {
                rule.request_timeout = Some(Duration::from_millis(millis.parse().unwrap()));
            }
            Some(("try", millis)) => {
                rule.attempt_timeout = Some(Duration::from_millis(millis.parse().unwrap()));
            }
            Some(("again", value)) => rule.retry = Some(retry(value)),
            Some(("copy", value)) => {
                let origin = said(&format!("/filters/{}", rule.mirrors.len()));
                rule.mirrors.push(mirror(value, origin));
            }
            Some(("cors", value)) => rule.cors = Some(cors(value, said("/filters/0/cors"))),
            Some((key, value)) => match (&mut redirect, key) {
                (Some(redirect), _) => change_redirect(redirect, key, value),
                (None, "rewrite-host") => rewrite(&mut rule).host = Some(value.into()),
                (None, _) => rewrite(&mut rule).path = Some(path_rewrite(key, value)),
            },
            None if word == "redirect" => redirect = Some(no_redirect()),
            None if word == "refuse" => {}
            None => parts.push(part(word, parts.len(), said)),
        }
    }
    if let Some(redirect) = redirect {
        rule.action = Action::Redirect(redirect);
    } else if let Some(split) = Split::new(parts) {
        rule.action = Action::Forward(split);
    }
    rule
}

/// `3:503,500`: so many tries more, and on which answers.
fn retry(text: &str) -> Retry {
    let (attempts, codes) = text.split_once(':').unwrap_or((text, ""));
    let codes = codes.split(',').filter(|code| !code.is_empty());
    Retry {
        attempts: attempts.parse().unwrap(),
        codes: codes.map(|code| code.parse().unwrap()).collect(),
        unanswered: true,
        backoff: Duration::from_millis(100),
    }
}

/// `cart-v2`, or `cart-v2:20/100`.
fn mirror(text: &str, origin: Origin) -> Mirror {
    let (to, share) = text.split_once(':').unwrap_or((text, "1/1"));
    let (share, of) = share.split_once('/').unwrap();
    Mirror {
        to: port(to),
        share: share.parse().unwrap(),
        of: of.parse().unwrap(),
        origin,
    }
}

/// `https://a.example,http://*.b:8080;credentials;methods=PUT;headers=*;read=x-a,x-b`: sites, then
/// what is told.
pub(crate) fn cors(text: &str, origin: Origin) -> Cors {
    let mut words = text.split(';');
    let sites = words.next().unwrap().split(',');
    let mut cors = Cors {
        origin,
        sites: sites.filter(|it| !it.is_empty()).map(site).collect(),
        credentials: false,
        methods: Named::These(vec![]),
        headers: Named::These(vec![]),
        exposed: Named::These(vec![]),
        max_age: Duration::from_secs(5),
    };
    for word in words {
        match word.split_once('=') {
            Some(("methods", names)) => cors.methods = named(names),
            Some(("headers", names)) => cors.headers = named(names),
            Some(("read", names)) => cors.exposed = named(names),
            _ => cors.credentials = word == "credentials",
        }
    }
    cors
}

fn named(text: &str) -> Named {
    match text {
        "*" => Named::Any,
        names => Named::These(names.split(',').map(Arc::from).collect()),
    }
}

pub(crate) fn site(text: &str) -> SiteMatch {
    let Some((scheme, authority)) = text.split_once("://") else {
        return SiteMatch::Any;
    };
    let secure = scheme == "https";
    let usual = if secure { "443" } else { "80" };
    let (host, port) = authority.split_once(':').unwrap_or((authority, usual));
    SiteMatch::At {
        secure,
        host: match host {
            "*" => HostMatch::Any,
            host => self::host(host),
        },
        port: port.parse().unwrap(),
    }
}

fn rewrite(rule: &mut Rule) -> &mut Rewrite {
    rule.rewrite.get_or_insert(Rewrite {
        host: None,
        path: None,
    })
}

fn path_rewrite(key: &str, value: &str) -> PathRewrite {
    match key {
        "full" => PathRewrite::Full(value.into()),
        "prefix" => PathRewrite::Prefix(value.into()),
        other => panic!("what is {other}?"),
    }
}

fn no_redirect() -> Redirect {
    Redirect {
        scheme: None,
        host: None,
        port: None,
        path: None,
        status: 302,
    }
}

fn change_redirect(redirect: &mut Redirect, key: &str, value: &str) {
    match key {
        "scheme" => redirect.scheme = Some(value.into()),
        "host" => redirect.host = Some(value.into()),
        "port" => redirect.port = Some(value.parse().unwrap()),
        "status" => redirect.status = value.parse().unwrap(),
        _ => redirect.path = Some(path_rewrite(key, value)),
    }
}

/// `cart-v2:10`, and behind a `|` what holds for it only: `|host:v2.shop`, `|prefix:/v2`, `|copy:a`.
fn part(word: &str, place: usize, said: &dyn Fn(&str) -> Origin) -> Part {
    let (word, only) = word.split_once('|').unwrap_or((word, ""));
    let (backend, weight) = word.split_once(':').unwrap_or((word, "1"));
    let of_part = said(&format!("/backendRefs/{place}/filters/0"));
    let (mut rewrite, mut mirrors) = (None, vec![]);
    match only.split_once(':') {
        Some(("copy", to)) => mirrors.push(mirror(to, of_part)),
        Some(("host", host)) => {
            let host = Some(host.into());
            rewrite = Some(Rewrite { host, path: None });
        }
        Some((key, value)) => {
            let path = Some(path_rewrite(key, value));
            rewrite = Some(Rewrite { host: None, path });
        }
        None => {}
    }
    Part {
        backend: match backend {
            "invalid" => Backend::Invalid(Code::C113),
            service => Backend::Service(port(service)),
        },
        weight: weight.parse().unwrap(),
        origin: Some(said(&format!("/backendRefs/{place}"))),
        request_headers: HeaderChanges::default(),
        response_headers: HeaderChanges::default(),
        rewrite,
        mirrors,
    }
}

/// Rules a line; the lines `strict` and `default deny` do what they say.
pub(crate) fn access(text: &str) -> Access {
    let mut access = Access::open();
    let said = |what: &str, line: usize| {
        let line = u32::try_from(line).unwrap() + 1;
        origin("AccessPolicy", "cart", &format!("/spec/{what}"), line)
    };
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    for (line, words) in lines.enumerate() {
        match words {
            "strict" => {
                access.mtls = Mtls::Strict;
                access.mtls_origin = Some(said("mtls", line));
            }
            "default deny" => {
                access.stance = Stance::Deny;
                access.stance_origin = Some(said("default", line));
            }
            _ => {
                let origin = said(&format!("rules/{line}"), line);
                let rule = Arc::new(access_rule(words, origin));
                match rule.effect {
                    Effect::Audit => access.audits.push(rule),
                    _ => access.rules.push(rule),
                }
            }
        }
    }
    access
}

pub(crate) fn access_rule(text: &str, origin: Origin) -> AccessRule {
    let mut words = text.split_whitespace();
    let effect = match words.next().unwrap() {
        "allow" => Effect::Allow,
        "also" => Effect::AllowAlso,
        "deny" => Effect::Deny,
        "audit" => Effect::Audit,
        "strange" => Effect::NotUnderstood,
        "ring" => Effect::Ring,
        other => panic!("what is {other}?"),
    };
    let ours = || Some(TrustDomain::new("shop.local").unwrap());
    let (mut callers, mut request) = (vec![], RequestMatch::default());
    let mut within: Vec<Within> = vec![];
    let (mut except, mut when) = (Except::default(), None);
    while let Some(word) = words.next() {
        if word == "except" {
            let rest = words.collect::<Vec<_>>().join(" ");
            let rule = access_rule(&format!("deny {rest}"), origin.clone());
            (except.callers, except.requests) = (rule.callers, rule.requests);
            break;
        }
        if word == "when" {
            when = Some(words.collect::<Vec<_>>().join(" ").into());
            break;
        }
        let (key, value) = word.split_once('=').unwrap();
        match key {
            _ if key.starts_with("out:") => {
                let rule = access_rule(&format!("deny {}", &word[4..]), origin.clone());
                within.last_mut().unwrap().leaves.extend(rule.requests);
            }
            _ if key.starts_with("in:") => {
                let rule = access_rule(&format!("deny {}", &word[3..]), origin.clone());
                let takes = rule.requests.into_iter();
                within.extend(takes.map(|takes| Within {
                    takes,
                    leaves: Vec::new(),
                }));
            }
            "from" => callers.push(CallerMatch {
                trust_domain: ours(),
                namespace: Some(service_name(value).namespace),
                service_account: Some(service_name(value).name),
                block: None,
            }),
            "namespace" => callers.push(CallerMatch {
                trust_domain: ours(),
                namespace: Some(namespace(value)),
                ..CallerMatch::default()
            }),
            "domain" => callers.push(CallerMatch {
                trust_domain: Some(TrustDomain::new(value).unwrap()),
                ..CallerMatch::default()
            }),
            "ip" => {
                let (address, bits) = value.split_once('/').unwrap();
                let address: IpAddr = address.parse().unwrap();
                let block = IpBlock::new(address, bits.parse().unwrap());
                callers.push(CallerMatch {
                    block,
                    ..CallerMatch::default()
                });
            }
            "port" => request.ports.push(value.parse().unwrap()),
            "method" => request.methods.push(value.into()),
            "host" => request.hosts.push(host(value)),
            "template" => {
                let template = PathTemplate::new(value).unwrap();
                request.paths.push(PathMatch::Template(template));
            }
            _ if key.starts_with("claim:") => {
                let FieldMatch { name, value } = field(&key[6..], value);
                request.claims.push(ClaimMatch { name, value });
            }
            _ if key.starts_with("header:") => request.headers.push(field(&key[7..], value)),
            _ => request.paths.push(path(key, value)),
        }
    }
    let requests = if request == RequestMatch::default() {
        vec![]
    } else {
        vec![request]
    };
    AccessRule {
        origin,
        effect,
        callers,
        within,
        requests,
        except,
        when,
    }
}

/// What a header must say: `?` anything, `admin`, `ad*`, `~ad.*`.
fn field(name: &str, value: &str) -> FieldMatch {
    let value = match (value, value.strip_prefix('~'), value.strip_suffix('*')) {
        ("?", _, _) => FieldValue::Present,
        (_, Some(pattern), _) => FieldValue::Regex(Pattern::new(pattern).unwrap()),
        (_, None, Some(prefix)) => FieldValue::Prefix(prefix.into()),
        (_, None, None) => FieldValue::Exact(value.into()),
    };
    FieldMatch {
        name: name.into(),
        value,
    }
}

/// Reads `GET http://cart:8080/items?x=1 x-user:beta` as the proxy reads it from a connection.
pub(crate) fn with_request<T>(text: &str, then: impl FnOnce(Request<'_>) -> T) -> T {
    let head = head(text);
    let mut fields = Fields::new();
    let mut reader = HeadReader::new(Limits::default());
    let read = reader.request(&head, &mut fields).unwrap().unwrap();
    then(read.request)
}

/// The bytes of such a request.
pub(crate) fn head(text: &str) -> Vec<u8> {
    let mut words = text.split(' ');
    let (method, url) = (words.next().unwrap(), words.next().unwrap());
    let rest = url.strip_prefix("http://").unwrap();
    let (host, target) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "*"),
    };
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\n");
    for header in words {
        let (name, value) = header.split_once(':').unwrap();
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    head.into_bytes()
}
