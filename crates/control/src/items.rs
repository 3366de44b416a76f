//! The values of a view as people read them, each with who said so.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use leno_admin::Item;
use leno_jwt::{Keys, Purpose};
use leno_model::view::{
    Access, AccessLog, Action, Backend, Collector, Effect, Endpoint, EndpointSlice, HostMatch,
    HttpMatch, Isolation, Mtls, OtlpProtocol, Outbound, PathMatch, PortRef, Retry, Routes, Rule,
    Service, ServicePort, Settings, Split, Stance, State, Telemetry, TextMatch, Tuning, Unknown,
    WhileAway, Workload,
};
use leno_model::{Origin, ServiceName};
use leno_wire::Part;

use crate::present::MADE_UP;

/// What nobody wrote.
const DEFAULT: &str = "default";

/// What stands in these parts of a view.
pub fn items_of(parts: Vec<Part>) -> Vec<Item> {
    let mut sorted = Sorted::default();
    for part in parts {
        sorted.add(part);
    }
    let mut items = sorted.everywhere;
    items.extend(sorted.workloads.iter().map(|one| workload(one)));
    let services = sorted.services.values();
    items.extend(services.map(|one| service(one, &sorted.endpoints)));
    items
}

/// Parts in the order in which they are read.
#[derive(Default)]
struct Sorted {
    everywhere: Vec<Item>,
    workloads: Vec<Arc<Workload>>,
    services: BTreeMap<ServiceName, Arc<Service>>,
    endpoints: BTreeMap<PortRef, BTreeMap<u32, Arc<EndpointSlice>>>,
}

impl Sorted {
    fn add(&mut self, part: Part) {
        match part {
            // It comes first, whatever it comes behind.
            Part::Settings(said) => self.everywhere.insert(0, settings(&said)),
            Part::Revoked(ids) if ids.is_empty() => {}
            Part::Revoked(ids) => {
                let ids = ids.iter().map(|id| Item::new(id.to_string(), "refused"));
                let refused = Item::new("revoked identities", "").with(ids.collect());
                self.everywhere.push(refused);
            }
            Part::Bundle(domain, roots) | Part::PeerBundle(domain, roots) => {
                let name = format!("roots of {domain}");
                self.everywhere
                    .push(Item::new(name, roots.len().to_string()));
            }
            Part::TokenKeys(domain, keys) => {
                let read = Keys::read(keys.as_bytes(), Purpose::JwtSvids);
                let count = read.map_or(0, |(keys, _)| keys.len());
                let name = format!("keys of tokens of {domain}");
                self.everywhere.push(Item::new(name, count.to_string()));
            }
            Part::Workload(workload) => self.workloads.push(workload),
            Part::Sidecar(id, _) => {
                let item = Item::new(format!("capture of {id}"), "kept");
                self.everywhere.push(item);
            }
            Part::Service(service) => drop(self.services.insert(service.name.clone(), service)),
            Part::Endpoints { port, index, slice } => {
                self.endpoints.entry(port).or_default().insert(index, slice);
            }
        }
    }
}

fn settings(settings: &Settings) -> Item {
    let unknown = match settings.unknown_destinations {
        Unknown::Pass => "pass, in plain",
        Unknown::Refuse => "refused",
    };
    let by = |field: &str| origin(settings.origins.get(field));
    let mut items = vec![
        Item::new("trust domain", settings.trust_domain.to_string()).by(by("trustDomain")),
        Item::new("unknown destinations", unknown).by(origin(settings.origin_of_unknown())),
    ];
    items.extend(settings.probes.iter().map(|probe| {
        let from = probe.from.iter().map(ToString::to_string);
        let from = from.collect::<Vec<_>>().join(", ");
        let asked = format!("{} on port {}, from {from}", probe.check, probe.port);
        Item::new("probe", asked).by(origin(Some(&probe.origin)))
    }));
    if settings.while_away == WhileAway::Open {
        let away = Item::new("pods while nobody answers", "run without a proxy");
        items.push(away.by(by("kubernetes.whileAway")));
    }
    if !settings.unasked.is_empty() {
        let namespaces = settings.unasked.iter().map(ToString::to_string);
        let namespaces = namespaces.collect::<Vec<_>>().join(", ");
        let unasked = Item::new("pods that start unasked", format!("those of {namespaces}"));
        items.push(unasked.by(by("kubernetes.excludeNamespaces")));
    }
    if let Some(to) = &settings.collector {
        items.push(collector(to).by(by("telemetry.collector")));
    }
    items.extend(telemetry(&settings.telemetry));
    Item::new("settings", "").with(items)
}

/// What is told of calls, where somebody says it.
fn telemetry(telemetry: &Telemetry) -> Vec<Item> {
    let Telemetry {
        access_log,
        tracing,
        redaction,
        records,
        origins,
    } = telemetry;
    let mut items = Vec::new();
    let mut say = |field: &str, name: &str, value: String| {
        if let Some(said) = origins.get(field) {
            items.push(Item::new(name, value).by(origin(Some(said))));
        }
    };
    say("accessLog", "access log", logged(access_log));
    let percent = f64::from(tracing.sample) / 10_000.0;
    let failures = if tracing.errors { ", and failures" } else { "" };
    say("tracing", "traced", format!("{percent} %{failures}"));
    let hidden = redaction.patterns.iter().map(ToString::to_string);
    let hidden = match redaction.all {
        true => "everything: what is meant cannot be read".to_owned(),
        false => hidden.collect::<Vec<_>>().join(", "),
    };
    say("redact", "hidden", hidden);
    items.extend(
        records
            .iter()
            .map(|(fact, by)| Item::new("recorded", fact.to_string()).by(origin(Some(by)))),
    );
    items
}

fn logged(log: &AccessLog) -> String {
    if !log.is_on {
        return "no lines".to_owned();
    }
    let mut words = vec![match &log.when {
        Some(when) => format!("lines when {when}"),
        None => "a line for each call".to_owned(),
    }];
    if let Some(fields) = log.fields {
        words.push(fields.names().collect::<Vec<_>>().join(" "));
    }
    if !log.request_headers.is_empty() {
        words.push(format!("headers {}", log.request_headers.join(" ")));
    }
    if !log.response_headers.is_empty() {
        let names = log.response_headers.join(" ");
        words.push(format!("headers of answers {names}"));
    }
    words.join("; ")
}

fn collector(collector: &Collector) -> Item {
    let signals = collector.signals;
    let sent = [
        ("metrics", signals.metrics),
        ("traces", signals.traces),
        ("logs", signals.logs),
    ];
    let sent = sent.iter().filter(|(_, sent)| *sent);
    let sent: Vec<_> = sent.map(|(name, _)| *name).collect();
    let protocol = match collector.protocol {
        OtlpProtocol::Grpc => "OTLP over gRPC",
        OtlpProtocol::Http => "OTLP over HTTP",
    };
    let value = format!("{}, {protocol}: {}", collector.endpoint, sent.join(", "));
    Item::new("collector", value)
}

fn workload(workload: &Workload) -> Item {
    let ports = workload.ports.iter().map(|(number, port)| {
        let name = format!("port {number}");
        let said = access(&port.access).into_iter();
        let said = said.chain(telemetry(&port.telemetry)).collect();
        Item::new(name, port.protocol.to_string()).with(said)
    });
    let mut items: Vec<_> = ports.collect();
    let others = access(&workload.other_ports).into_iter();
    let others = others.chain(telemetry(&workload.telemetry)).collect();
    items.push(Item::new("other ports", "").with(others));
    if let Some(isolation) = &workload.isolation {
        items.push(Item::new("calls by the mesh", "").with(self::isolation(isolation)));
    }
    if !workload.outbound.is_unsaid() {
        items.push(Item::new("calls outside", "").with(outbound(&workload.outbound)));
    }
    if let Some(own) = workload
        .pod
        .as_ref()
        .and_then(|pod| pod.own_process.as_ref())
    {
        items.push(Item::new("carried by", own.to_string()).by(&own.origin));
    }
    if let Some(resolver) = workload.pod.as_ref().and_then(|pod| pod.resolver.as_ref()) {
        items.push(Item::new("other names asked of", resolver.to_string()));
    }
    Item::new(
        format!("workload {}", workload.id),
        format!("acts as {}", workload.identity),
    )
    .with(items)
}

/// Who may call a port.
pub(crate) fn access(access: &Access) -> Vec<Item> {
    let mtls = match access.mtls {
        Mtls::Strict => "strict",
        Mtls::Permissive => "permissive",
    };
    let mut items = vec![Item::new("mTLS", mtls).by(origin(access.mtls_origin.as_ref()))];
    let mut allows = false;
    for (number, rule) in (1..).zip(access.rules.iter().chain(&access.audits)) {
        allows |= rule.effect == Effect::Allow;
        let effect = effect(rule.effect);
        items.push(
            Item::new(format!("rule {number}"), format!("{effect} {rule:#}")).by(&rule.origin),
        );
    }
    let rest = Item::new("all others", "");
    items.push(match access.stance {
        _ if allows => Item {
            value: "denied: a rule allows some".to_owned(),
            ..rest
        },
        Stance::Allow => Item {
            value: "allowed".to_owned(),
            ..rest
        }
        .by(origin(access.stance_origin.as_ref())),
        Stance::Deny => Item {
            value: "denied".to_owned(),
            ..rest
        }
        .by(origin(access.stance_origin.as_ref())),
    });
    items
}

/// From where calls come to which ports, where a `NetworkPolicy` says it.
fn isolation(isolation: &Isolation) -> Vec<Item> {
    let rules = (1..).zip(&isolation.rules).map(|(number, rule)| {
        Item::new(format!("rule {number}"), rule.to_string()).by(&rule.origin)
    });
    let rest = (!isolation.by.is_empty())
        .then(|| Item::new("all others", "denied").by(origin(isolation.by.first())));
    let egress = (1..).zip(&isolation.egress).map(|(number, egress)| {
        let rules = (1..).zip(&egress.rules).map(|(number, rule)| {
            Item::new(format!("rule {number}"), format!("to {rule}")).by(&rule.origin)
        });
        let rest = Item::new("all other ports", "denied").by(origin(egress.by.first()));
        let apart = match egress.is_rest && number > 1 {
            true => ", but those above",
            false => "",
        };
        Item::new(
            format!("callers {number}"),
            format!("{}{apart}", egress.callers),
        )
        .with(rules.chain([rest]).collect())
    });
    rules.chain(rest).chain(egress).collect()
}

/// Which hosts outside the mesh may be called.
pub(crate) fn outbound(outbound: &Outbound) -> Vec<Item> {
    let rules = outbound.rules.iter().chain(&outbound.audits);
    let rules = (1..).zip(rules).map(|(number, rule)| {
        let told = format!("{} {rule}", effect(rule.effect));
        Item::new(format!("rule {number}"), told).by(&rule.origin)
    });
    let mut items = rules.collect::<Vec<_>>();
    let rest = "all other hosts";
    items.push(match &outbound.default {
        Some((Stance::Allow, origin)) => Item::new(rest, "allowed").by(origin),
        Some((Stance::Deny, origin)) => Item::new(rest, "denied").by(origin),
        None => Item::new(rest, "as unknown destinations"),
    });
    items
}

fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Allow => "allow",
        Effect::AllowAlso => "allow too",
        Effect::Deny => "deny",
        Effect::Audit => "audit",
        Effect::NotUnderstood => "deny, not understood:",
        Effect::Ring => "deny, authorizers in a ring:",
    }
}

fn path(path: &PathMatch) -> String {
    match path {
        PathMatch::Exact(path) => format!("={path}"),
        PathMatch::Prefix(prefix) => format!("{prefix}/*"),
        PathMatch::Regex(pattern) => format!("~{}", pattern.as_str()),
        PathMatch::Template(template) => template.to_string(),
    }
}

type Slices = BTreeMap<PortRef, BTreeMap<u32, Arc<EndpointSlice>>>;

fn service(service: &Service, endpoints: &Slices) -> Item {
    let ports = service.ports.iter().map(|(number, port)| {
        let at = PortRef {
            service: service.name.clone(),
            port: *number,
        };
        let slices = endpoints.get(&at).into_iter().flat_map(BTreeMap::values);
        let endpoints = slices.flat_map(|slice| slice.endpoints());
        let mut items = service_port(port);
        items.extend(endpoints.map(endpoint));
        Item::new(format!("port {number}"), port.protocol.to_string()).with(items)
    });
    let item = Item::new(format!("service {}", service.name), "").with(ports.collect());
    match &service.origin {
        Some(origin) => item.by(origin),
        None => item,
    }
}

fn service_port(port: &ServicePort) -> Vec<Item> {
    let mut items = Vec::new();
    if let Some(producer) = &port.producer {
        items.push(Item::new("routes", "").with(routes(producer)));
    }
    for (namespace, consumer) in &port.consumers {
        let name = format!("routes for callers in {namespace}");
        items.push(Item::new(name, "").with(routes(consumer)));
    }
    items.extend(tuning(&port.tuning));
    items.extend(telemetry(&port.telemetry));
    items
}

/// Each rule with what leads to it. The number of a match is its place in the order in which they
/// are tried.
fn routes(routes: &Routes) -> Vec<Item> {
    let rules = routes.rules.iter().enumerate().map(|(index, rule)| {
        let mut items = matches_of(routes, index);
        items.extend(limits(rule));
        let name = match &rule.name {
            Some(name) => format!("rule {} ({name})", index + 1),
            None => format!("rule {}", index + 1),
        };
        Item::new(name, action(&rule.action))
            .by(&rule.origin)
            .with(items)
    });
    rules.collect()
}

/// What leads to the rule at `index`.
pub(crate) fn matches_of(routes: &Routes, index: usize) -> Vec<Item> {
    let numbered = (1..).zip(&routes.routes);
    let leading = numbered.filter(|(_, route)| route.rule == index);
    let told = leading.map(|(number, route)| {
        let value = matches(&route.host, &route.matches);
        Item::new(format!("match {number}"), value).by(&route.origin)
    });
    told.collect()
}

fn matches(of_host: &HostMatch, matches: &HttpMatch) -> String {
    let mut words = Vec::new();
    if *of_host != HostMatch::Any {
        words.push(of_host.to_string());
    }
    words.extend(matches.method.iter().map(ToString::to_string));
    // Routes of streams are told by the server's name alone.
    if words.is_empty() || *of_host == HostMatch::Any {
        words.push(path(&matches.path));
    }
    for (kind, named) in [("header", &matches.headers), ("query", &matches.query)] {
        words.extend(named.iter().map(|one| match &one.value {
            TextMatch::Exact(value) => format!("{kind} {}={value}", one.name),
            TextMatch::Regex(pattern) => format!("{kind} {}~{}", one.name, pattern.as_str()),
        }));
    }
    words.join(" ")
}

/// What becomes of what a rule takes.
pub(crate) fn action(action: &Action) -> String {
    match action {
        Action::Forward(split) => forward(split),
        Action::Redirect(redirect) => format!("redirect {}", redirect.status),
        Action::Refuse(code, _) => format!("answers 500: {code} {}", code.slug()),
    }
}

fn forward(split: &Split) -> String {
    let parts = split.parts().iter().map(|part| {
        let to = match &part.backend {
            Backend::Service(port) => port.to_string(),
            Backend::Invalid(code) => format!("500 ({code} {})", code.slug()),
        };
        match split.parts() {
            [_] => to,
            _ => format!("{to} {} of {}", part.weight, split.total()),
        }
    });
    format!("→ {}", parts.collect::<Vec<_>>().join(", "))
}

/// What a rule says itself of how long and how often; the rest is the service's.
pub(crate) fn limits(rule: &Rule) -> Vec<Item> {
    let mut items = Vec::new();
    if let Some(time) = rule.request_timeout {
        items.push(Item::new("request timeout", limit(time)).by(&rule.origin));
    }
    if let Some(time) = rule.attempt_timeout {
        items.push(Item::new("timeout of a try", limit(time)).by(&rule.origin));
    }
    if let Some(again) = &rule.retry {
        items.extend(retry(again, |_| rule.origin.to_string()));
    }
    items
}

/// How long calls may take and what is tried again.
pub(crate) fn tuning(tuning: &Tuning) -> Vec<Item> {
    let by = |field: &str| origin(tuning.origins.get(field));
    let request = tuning.request_timeout.unwrap_or_default();
    let mut items = vec![
        Item::new("connect timeout", limit(tuning.connect_timeout)).by(by("timeouts.connect")),
        Item::new("request timeout", limit(request)).by(by("timeouts.request")),
    ];
    items.extend(retry(&tuning.retry, |field| by(&format!("retry.{field}"))));
    let budget = tuning.budget;
    let floor = format!("{} a second", budget.at_least_per_second);
    items.extend([
        Item::new("retry budget", format!("{} %", budget.percent)).by(by("retryBudget.percent")),
        Item::new("retry budget at least", floor).by(by("retryBudget.atLeastPerSecond")),
    ]);
    items
}

fn retry(retry: &Retry, by: impl Fn(&str) -> String) -> Vec<Item> {
    let codes = retry.codes.iter().map(u16::to_string);
    let codes = codes.collect::<Vec<_>>().join(", ");
    let unanswered = retry.unanswered.then(|| "no answer".to_owned());
    let also: Vec<_> = unanswered.into_iter().chain([codes]).collect();
    let also = also.join(", ");
    let what = match also.trim_matches([',', ' ']) {
        "" => "what was not processed",
        also => also,
    };
    vec![
        Item::new("retries", retry.attempts.to_string()).by(by("attempts")),
        Item::new("retries after", what).by(by("codes")),
        Item::new("retries wait", span(retry.backoff)).by(by("backoff")),
    ]
}

fn endpoint(endpoint: &Endpoint) -> Item {
    let mut value = endpoint.address.to_string();
    match endpoint.tunnel {
        Some(tunnel) => value.push_str(&format!(" by tunnel {tunnel}")),
        None => value.push_str(" in plain"),
    }
    value.push_str(match endpoint.state {
        State::Ready => ", ready",
        State::Draining => ", draining",
        State::Unknown => ", not known to be ready",
    });
    if endpoint.weight.get() != 1 {
        value.push_str(&format!(", weight {}", endpoint.weight));
    }
    Item::new(format!("endpoint {}", endpoint.workload), value)
}

/// Who said something; what a made-up object says, nobody wrote.
fn origin(origin: Option<&Origin>) -> String {
    let is_written = |origin: &&Origin| {
        let place = origin.place.as_ref();
        place.is_none_or(|place| &*place.file != MADE_UP)
    };
    let origin = origin.filter(is_written);
    origin.map_or_else(|| DEFAULT.to_owned(), Origin::to_string)
}

/// How long something may take; without end if that is no time at all.
fn limit(time: Duration) -> String {
    match time.is_zero() {
        true => "no limit".to_owned(),
        false => span(time),
    }
}

/// A time with its unit as people write it: `250ms`, `15s`.
fn span(time: Duration) -> String {
    match time.subsec_millis() {
        0 => format!("{}s", time.as_secs()),
        _ => format!("{}ms", time.as_millis()),
    }
}
