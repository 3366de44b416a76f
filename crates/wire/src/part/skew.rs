//! A control plane that knows a feature which the proxy lacks, as a pair: what needs the feature fails
//! closed, the rest stands, and the control plane is told.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use leno_model::view::access::{
    AuthProtocol, ExternalAuth, IssuerKeys, Jwt, JwtIssuer, OnFailure, TokenPlace,
};
use leno_model::view::{
    Access, AccessRule, Action, Backend, CallerMatch, ClaimMatch, Cors, Effect, Egress, Except,
    FieldMatch, FieldValue, Generation, HeaderChanges, HostMatch, Isolation, LeftOut, Mirror,
    Named, OutboundRule, PathMatch, Pod, PortRef, Protocol, Redirect, RequestMatch, Retry, Rewrite,
    Routes, Rule, Service, ServicePort, Settings, Split, Stance, Unknown, View, Within, Workload,
    WorkloadId, WorkloadPort, route,
};
use leno_model::{
    Code, Name, Namespace, Network, Origin, PathTemplate, ProcessMatch, ServiceName, SpiffeId,
    TrustDomain,
};
use prost::Message as _;

use super::word::some_origin;
use super::{Encoded, FEATURES, Kind, Part, PartMessage, needed, older, parts_of};
use crate::carried::Carried;
use crate::{Client, Received, Server, Target};

fn origin() -> Origin {
    Origin::from_message(some_origin()).unwrap()
}

/// A cart behind two rules of access, which is either of two processes, and a service with two rules of routing.
fn view() -> View {
    let namespace = Namespace::new("shop").unwrap();
    let id = WorkloadId {
        namespace: namespace.clone(),
        name: Name::new("cart").unwrap(),
    };
    let allow = || {
        Arc::new(AccessRule {
            origin: origin(),
            effect: Effect::Allow,
            callers: Vec::new(),
            within: Vec::new(),
            requests: Vec::new(),
            except: Except::default(),
            when: None,
        })
    };
    let access = Access {
        rules: vec![allow(), allow()],
        ..Access::open()
    };
    let port = WorkloadPort {
        protocol: Protocol::Http,
        access: Arc::new(access),
        telemetry: Arc::default(),
        proxied: Arc::default(),
    };
    let workload = Workload {
        id: id.clone(),
        identity: SpiffeId::parse("spiffe://shop.local/ns/shop/sa/cart").unwrap(),
        network: Network::default_network(),
        addresses: Vec::new(),
        ports: BTreeMap::from([(8080, port)]),
        other_ports: Arc::new(Access::open()),
        isolation: None,
        outbound: Arc::default(),
        telemetry: Arc::default(),
        pod: None,
        probes: Arc::default(),
        processes: [1001, 1002]
            .map(|user| ProcessMatch {
                user: Some(user),
                ..ProcessMatch::default()
            })
            .into(),
    };
    let rule = || {
        Arc::new(Rule {
            origin: origin(),
            name: None,
            action: Action::Redirect(Redirect {
                scheme: None,
                host: None,
                port: None,
                path: None,
                status: 302,
            }),
            request_headers: HeaderChanges::default(),
            response_headers: HeaderChanges::default(),
            rewrite: None,
            mirrors: Vec::new(),
            cors: None,
            request_timeout: None,
            attempt_timeout: None,
            retry: None,
        })
    };
    let routes = Routes {
        routes: Vec::new(),
        rules: vec![rule(), rule()],
        telemetry: Default::default(),
    };
    let port = ServicePort {
        name: None,
        protocol: Protocol::Http,
        producer: Some(Arc::new(routes)),
        consumers: BTreeMap::new(),
        tuning: Arc::default(),
        telemetry: Arc::default(),
    };
    let name = ServiceName::new(namespace, Name::new("cart").unwrap());
    let service = Service {
        name: name.clone(),
        origin: None,
        addresses: Vec::new(),
        ports: BTreeMap::from([(80, port)]),
    };
    View {
        generation: Generation {
            epoch: 1,
            positions: BTreeMap::from([("store".into(), 1)]),
        },
        settings: Arc::new(Settings::new(TrustDomain::new("shop.local").unwrap())),
        workloads: BTreeMap::from([(id, Arc::new(workload))]),
        services: BTreeMap::from([(name, Arc::new(service))]),
        endpoints: BTreeMap::new(),
        revoked: Arc::default(),
        bundles: BTreeMap::new(),
        sidecars: BTreeMap::new(),
        token_keys: BTreeMap::new(),
    }
}

/// The view as a control plane sends it whose first rules need `feature`.
fn offered(view: &View, position: u64, feature: Option<&str>) -> Arc<Target> {
    let parts = parts_of(view).into_iter().map(|part| {
        let mut message = PartMessage::decode(&*part.encode()).unwrap();
        match (&mut message.kind, feature) {
            (Some(Kind::Workload(workload)), Some(feature)) => {
                let access = workload.ports.first_mut().unwrap().access.as_mut();
                let rule = access.unwrap().rules.first_mut().unwrap();
                rule.needs.push(feature.to_owned());
                let process = workload.processes.first_mut().unwrap();
                process.needs.push(feature.to_owned());
            }
            (Some(Kind::Service(service)), Some(feature)) => {
                let routes = service.ports.first_mut().unwrap().producer.as_mut();
                let rule = routes.unwrap().rules.first_mut().unwrap();
                rule.needs.push(feature.to_owned());
            }
            _ => {}
        }
        (part.name(), Encoded::new(message.encode_to_vec()))
    });
    let mut generation = view.generation.clone();
    generation.positions.insert("store".into(), position);
    let target = Target::of_parts(generation, parts.collect(), BTreeMap::new());
    Arc::new(target)
}

/// Carries what is said to and fro until there is no more; gives the views that were adopted.
fn settle(client: &mut Client, server: &mut Server) -> Vec<View> {
    let mut adopted = Vec::new();
    loop {
        let request = client.poll_request();
        let is_over = request.is_none();
        if let Some(request) = request {
            server.handle_request(request).unwrap();
        }
        match server.poll_response() {
            None if is_over => return adopted,
            None => {}
            Some(response) => match client.handle_response(response) {
                Received::Adopt(view) => adopted.push(view),
                Received::Staged | Received::Renew(_) => {}
                Received::Refused(why) => panic!("{why}"),
            },
        }
    }
}

fn effects(view: &View) -> Vec<Effect> {
    let ports = view
        .workloads
        .values()
        .flat_map(|workload| workload.ports.values());
    ports
        .flat_map(|port| &port.access.rules)
        .map(|rule| rule.effect)
        .collect()
}

/// Which users' processes may act as somebody.
fn users(view: &View) -> Vec<u32> {
    let processes = view.workloads.values().flat_map(|it| it.processes.iter());
    processes.filter_map(|process| process.user).collect()
}

fn answers(view: &View) -> Vec<Option<Code>> {
    let ports = view
        .services
        .values()
        .flat_map(|service| service.ports.values());
    let rules = ports
        .flat_map(|port| &port.producer)
        .flat_map(|routes| &routes.rules);
    rules
        .map(|rule| match &rule.action {
            Action::Refuse(code, _) => Some(*code),
            Action::Forward(_) | Action::Redirect(_) => None,
        })
        .collect()
}

#[test]
fn what_needs_an_unknown_feature_fails_closed_and_the_control_plane_is_told() {
    let (mut client, mut server) = (Client::new("web"), Server::default());
    let lacks = |server: &Server| server.lacks().into_iter().collect::<Vec<_>>();
    server.offer(offered(&view(), 1, Some("moon-phase")));
    let adopted = settle(&mut client, &mut server);
    let held = adopted.last().unwrap();
    assert_eq!(effects(held), [Effect::NotUnderstood, Effect::Allow]);
    assert_eq!(answers(held), [Some(Code::R011), None]);
    assert_eq!(users(held), [1002]);
    assert_eq!(lacks(&server), ["moon-phase"]);

    // Another replica is told in the first words.
    let mut server = Server::default();
    client.reconnect();
    server.offer(offered(&view(), 1, Some("moon-phase")));
    assert!(settle(&mut client, &mut server).is_empty());
    assert_eq!(lacks(&server), ["moon-phase"]);

    server.offer(offered(&view(), 2, None));
    let adopted = settle(&mut client, &mut server);
    assert_eq!(effects(adopted.last().unwrap()), [Effect::Allow; 2]);
    assert_eq!(users(adopted.last().unwrap()), [1001, 1002]);
    assert!(lacks(&server).is_empty());
}

#[test]
fn who_knows_no_rules_about_outbound_calls_lets_none_out_where_there_are_some() {
    for (is_ruled, expect) in [(false, Unknown::Pass), (true, Unknown::Refuse)] {
        let mut settings = Settings::new(TrustDomain::new("shop.local").unwrap());
        settings.outbound_is_ruled = is_ruled;
        let mut message = settings.to_message();
        let known = Settings::from_message(message.clone()).unwrap();
        assert_eq!(known, settings);
        message.forget_rules();
        let older = Settings::from_message(message).unwrap();
        assert_eq!(older.unknown_destinations, expect);
    }
}

#[test]
fn an_outbound_rule_that_needs_an_unknown_feature_denies_what_is_known_of_it() {
    let rule = OutboundRule {
        origin: origin(),
        effect: Effect::Allow,
        hosts: [HostMatch::Exact("api.example".into())].into(),
        blocks: Vec::new(),
        ports: [443].into(),
    };
    let mut message = rule.to_message();
    message.needs.push("moon-phase".to_owned());
    let expect = OutboundRule {
        effect: Effect::NotUnderstood,
        ..rule
    };
    assert_eq!(OutboundRule::from_message(message).unwrap(), expect);
}

#[test]
fn a_kind_of_part_that_a_proxy_does_not_know_is_not_offered() {
    let mut view = view();
    let (own, other) = ("shop.local", "bank.example");
    view.token_keys = BTreeMap::from([(TrustDomain::new(own).unwrap(), "{}".into())]);
    // An older proxy would take a default of Allow for one about callers of other trust domains.
    view.bundles = [own, other]
        .map(|domain| (TrustDomain::new(domain).unwrap(), Arc::default()))
        .into();
    let lacks = ["peers", "token-keys"];
    for (features, keys, bundles, lacks) in [
        (FEATURES, 1, &[other, own][..], &[][..]),
        (&[], 0, &[own], &lacks),
    ] {
        let (mut client, mut server) = (Client::new("web"), Server::default());
        let mut request = client.poll_request().unwrap();
        let hello = request.hello.as_mut().unwrap();
        hello.features = features.iter().map(ToString::to_string).collect();
        server.handle_request(request).unwrap();
        // What was left out is not sent with what follows.
        for position in [1, 2] {
            server.offer(offered(&view, position, None));
            let adopted = settle(&mut client, &mut server);
            let held = adopted.last().unwrap();
            assert_eq!(held.token_keys.len(), keys);
            let believed: Vec<_> = held.bundles.keys().map(TrustDomain::as_str).collect();
            assert_eq!(believed, bundles);
            assert_eq!(effects(held), [Effect::Allow; 2]);
            assert_eq!(server.lacks().iter().collect::<Vec<_>>(), lacks);
        }
    }
}

#[test]
fn who_knows_nothing_of_isolation_lets_nobody_in_where_there_is_some() {
    let mut view = view();
    for workload in view.workloads.values_mut() {
        Arc::make_mut(workload).isolation = Some(Arc::new(Isolation {
            by: vec![origin()],
            rules: Vec::new(),
            egress: Vec::new(),
        }));
    }
    let parts = parts_of(&view);
    let mut parts = parts.iter();
    let workload = parts.find(|part| matches!(part, Part::Workload(_)));
    let bytes = workload.unwrap().encode();
    let read = || {
        let Part::Workload(workload) = Part::decode(&bytes).unwrap() else {
            panic!("a workload")
        };
        workload
    };
    let known = read();
    let port = known.ports.values().next().unwrap();
    assert_eq!(
        port.access.rules.len(),
        2,
        "who knows it has no other rules"
    );
    assert_eq!(known.other_ports.stance, Stance::Allow);
    older::lack(["isolation"]).unwrap();
    let denied = read();
    let denies = |access: &Access| {
        let mut rules = access.rules.iter();
        let is_whole = |rule: &AccessRule| rule.callers.is_empty() && rule.requests.is_empty();
        rules.any(|rule| rule.effect == Effect::NotUnderstood && is_whole(rule))
    };
    assert!(denied.ports.values().all(|port| denies(&port.access)));
    assert!(denies(&denied.other_ports));
}

/// What holds of a view: the effects of its rules about callers, what its routes answer by themselves, and what else
/// it knows of.
fn told(view: &View) -> String {
    let effects = effects(view).into_iter().map(|it| format!("{it:?} "));
    let answers = answers(view).into_iter();
    let answers = answers.map(|it| it.map_or(String::new(), |code| format!("{code} ")));
    let counts = [
        ("asks", external(view)),
        ("domains", view.bundles.len()),
        ("keys", view.token_keys.len()),
        ("pods", view.sidecars.len()),
    ];
    let counts = counts.iter().filter(|(_, count)| *count > 0);
    let counts = counts.map(|(name, count)| format!("{count} {name} "));
    let all: String = effects.chain(answers).chain(counts).collect();
    all.trim_end().to_owned()
}

fn external(view: &View) -> usize {
    let ports = view.workloads.values().flat_map(|it| it.ports.values());
    ports.map(|port| port.access.external.len()).sum()
}

/// Lets the first rule about callers, or all that is said of them, use something.
fn in_access(view: &mut View, change: impl FnOnce(&mut Access, &mut AccessRule)) {
    let workload = Arc::make_mut(view.workloads.values_mut().next().unwrap());
    let port = workload.ports.values_mut().next().unwrap();
    let access = Arc::make_mut(&mut port.access);
    let mut rule = AccessRule::clone(access.rules.first().unwrap());
    change(access, &mut rule);
    *access.rules.first_mut().unwrap() = Arc::new(rule);
}

/// Lets the first rule of the routes use something.
fn in_route(view: &mut View, change: impl FnOnce(&mut Rule)) {
    let service = Arc::make_mut(view.services.values_mut().next().unwrap());
    let port = service.ports.values_mut().next().unwrap();
    let routes = Arc::make_mut(port.producer.as_mut().unwrap());
    change(Arc::make_mut(routes.rules.first_mut().unwrap()));
}

/// Lets a view use a feature; what then holds for who lacks it.
fn with(view: &mut View, feature: &str) -> &'static str {
    let request = |change: &dyn Fn(&mut RequestMatch)| {
        let mut request = RequestMatch::default();
        change(&mut request);
        vec![request]
    };
    let value = FieldValue::Present;
    let rewrite = Rewrite {
        host: Some("cart".into()),
        path: None,
    };
    const RULE: &str = "NotUnderstood Allow";
    const WHOLE: &str = "NotUnderstood Allow Allow";
    const ROUTE: &str = "Allow Allow R011";
    const UNTOLD: &str = "Allow Allow";
    match feature {
        "access-claims" => {
            let name = "groups".into();
            let claims = vec![ClaimMatch { name, value }];
            let asks = request(&|it| it.claims = claims.clone());
            in_access(view, |_, rule| rule.requests = asks);
            RULE
        }
        "access-condition" => {
            in_access(view, |_, rule| rule.when = Some("true".into()));
            RULE
        }
        "access-condition-claims" => {
            let when = "'admins' in jwt.claims.groups";
            in_access(view, |_, rule| rule.when = Some(when.into()));
            RULE
        }
        "access-except" => {
            in_access(view, |_, rule| {
                rule.except.callers = vec![CallerMatch::default()]
            });
            RULE
        }
        "access-external" => {
            in_access(view, |access, rule| {
                access.external = vec![Arc::new(asked(&rule.origin))];
            });
            WHOLE
        }
        "access-headers" => {
            let name = "x-user".into();
            let headers = vec![FieldMatch { name, value }];
            let asks = request(&|it| it.headers = headers.clone());
            in_access(view, |_, rule| rule.requests = asks);
            RULE
        }
        "access-template" => {
            let template = PathMatch::Template(PathTemplate::new("/orders/{id}").unwrap());
            let asks = request(&|it| it.paths = vec![template.clone()]);
            in_access(view, |_, rule| rule.requests = asks);
            RULE
        }
        "access-token-cookies" => {
            in_access(view, |access, rule| {
                access.jwt = Some(Arc::new(in_cookies(&rule.origin)));
            });
            WHOLE
        }
        "access-within" => {
            in_access(view, |_, rule| rule.within = vec![Within::default()]);
            RULE
        }
        "isolation" => {
            let by = vec![origin()];
            isolate(view, by, Vec::new());
            "Allow Allow NotUnderstood"
        }
        "isolation-egress" => {
            let egress = Egress {
                by: vec![origin()],
                have_others: false,
                callers: Arc::default(),
                rules: Vec::new(),
                is_rest: false,
            };
            isolate(view, vec![origin()], vec![Arc::new(egress)]);
            "Allow Allow NotUnderstood"
        }
        "attempt-timeout" => {
            in_route(view, |rule| rule.attempt_timeout = Some(Duration::ZERO));
            ROUTE
        }
        "backend-rewrite" => {
            in_route(view, |rule| {
                let mut part = to_cart();
                part.rewrite = Some(rewrite);
                rule.action = Action::Forward(Split::new(vec![part]).unwrap());
            });
            ROUTE
        }
        "cors" => {
            in_route(view, |rule| {
                rule.cors = Some(Cors {
                    origin: rule.origin.clone(),
                    sites: Vec::new(),
                    credentials: false,
                    methods: Named::Any,
                    headers: Named::Any,
                    exposed: Named::Any,
                    max_age: Duration::ZERO,
                });
            });
            ROUTE
        }
        "mirror" => {
            in_route(view, |rule| {
                rule.mirrors = vec![Mirror {
                    to: cart_port(),
                    share: 1,
                    of: NonZeroU32::MIN,
                    origin: rule.origin.clone(),
                }];
            });
            ROUTE
        }
        "retry-unanswered" => {
            in_route(view, |rule| {
                rule.retry = Some(Retry {
                    unanswered: true,
                    ..Retry::default()
                });
            });
            ROUTE
        }
        "peers" => {
            let other = TrustDomain::new("bank.example").unwrap();
            view.bundles = BTreeMap::from([(other, Arc::default())]);
            UNTOLD
        }
        "sidecars" => {
            let id = view.workloads.keys().next().unwrap().clone();
            let pod = Pod {
                uid: "1".into(),
                left_out: LeftOut::default(),
                own_process: None,
                resolver: None,
            };
            view.sidecars = BTreeMap::from([(id, Arc::new(pod))]);
            UNTOLD
        }
        "token-keys" => {
            let own = view.settings.trust_domain.clone();
            view.token_keys = BTreeMap::from([(own, "{}".into())]);
            UNTOLD
        }
        other => panic!("what does an older proxy do where {other} is used?"),
    }
}

/// Lets the workload be isolated.
fn isolate(view: &mut View, by: Vec<Origin>, egress: Vec<Arc<Egress>>) {
    let workload = view.workloads.values_mut().next().unwrap();
    Arc::make_mut(workload).isolation = Some(Arc::new(Isolation {
        by,
        rules: Vec::new(),
        egress,
    }));
}

fn cart_port() -> PortRef {
    let namespace = Namespace::new("shop").unwrap();
    PortRef {
        service: ServiceName::new(namespace, Name::new("cart").unwrap()),
        port: 80,
    }
}

fn to_cart() -> route::Part {
    route::Part {
        backend: Backend::Service(cart_port()),
        weight: 1,
        origin: None,
        request_headers: HeaderChanges::default(),
        response_headers: HeaderChanges::default(),
        rewrite: None,
        mirrors: Vec::new(),
    }
}

fn asked(origin: &Origin) -> ExternalAuth {
    ExternalAuth {
        origin: origin.clone(),
        within: Vec::new(),
        requests: Vec::new(),
        except: Vec::new(),
        to: cart_port(),
        protocol: AuthProtocol::Grpc,
        timeout: Duration::from_secs(1),
        on_failure: OnFailure::Allow,
        tells: None,
        sets: Vec::new(),
        body: None,
    }
}

fn in_cookies(origin: &Origin) -> Jwt {
    let keys = IssuerKeys {
        source: None,
        jwks: None,
        until: None,
    };
    let issuer = JwtIssuer {
        origin: origin.clone(),
        issuer: "id".into(),
        audiences: None,
        from: vec![TokenPlace::Cookie("session".into())],
        forward: false,
        claims: Vec::new(),
        keys,
    };
    Jwt {
        required: Vec::new(),
        issuers: vec![issuer],
    }
}

#[test]
fn each_feature_fails_closed_where_it_is_used_and_nothing_of_it_is_known() {
    for feature in FEATURES {
        let mut used = view();
        let expect = with(&mut used, feature);
        let needs = needed(&used);
        assert!(needs.contains(*feature), "{feature}: {needs:?}");

        let parts = parts_of(&used).into_iter();
        let parts = parts.map(|part| (part.name(), Encoded::new(part.encode())));
        let parts: BTreeMap<_, _> = parts.collect();
        let target = |position| {
            let mut generation = used.generation.clone();
            generation.positions.insert("store".into(), position);
            let target = Target::of_parts(generation, parts.clone(), BTreeMap::new());
            Arc::new(target)
        };
        older::lack([*feature]).unwrap();
        let (mut client, mut server) = (Client::new("web"), Server::default());
        server.offer(target(1));
        let adopted = settle(&mut client, &mut server);
        assert_eq!(told(adopted.last().unwrap()), expect, "{feature}");
        assert!(server.lacks().iter().eq([*feature]), "{feature}");

        // Who has it finds all of it.
        older::lack([]).unwrap();
        let (mut client, mut server) = (Client::new("web"), Server::default());
        server.offer(target(1));
        let adopted = settle(&mut client, &mut server);
        assert_eq!(*adopted.last().unwrap(), used, "{feature}");
        assert!(server.lacks().is_empty());
    }
}

#[test]
fn an_older_control_plane_says_nothing_of_what_it_does_not_know() {
    for feature in FEATURES {
        let mut used = view();
        with(&mut used, feature);
        older::lack([*feature]).unwrap();
        let parts: Vec<_> = parts_of(&used).iter().map(Part::encode).collect();
        older::lack([]).unwrap();
        for bytes in parts {
            let message = PartMessage::decode(&*bytes).unwrap();
            assert!(!message.needed().contains(*feature), "{feature}");
            let part = Part::of(message).unwrap();
            assert_eq!(part.name().feature(), None);
        }
    }
    assert_eq!(older::lack(["moon-phase"]), Err("moon-phase"));
}

#[test]
fn what_a_view_needs_is_known_before_it_is_sent_and_what_a_proxy_understands_once_it_speaks() {
    let mut view = view();
    assert_eq!(needed(&view), BTreeSet::new());
    let services = view.services.values_mut();
    for service in services {
        let port = Arc::make_mut(service).ports.values_mut().next().unwrap();
        let routes = Arc::make_mut(port.producer.as_mut().unwrap());
        Arc::make_mut(routes.rules.first_mut().unwrap()).attempt_timeout =
            Some(Duration::from_secs(1));
    }
    let other = TrustDomain::new("bank.example").unwrap();
    view.bundles = BTreeMap::from([(other, Arc::default())]);
    assert!(needed(&view).iter().eq(["attempt-timeout", "peers"]));

    let (mut client, mut server) = (Client::new("web"), Server::default());
    assert_eq!(server.features(), BTreeSet::new());
    let mut request = client.poll_request().unwrap();
    let hello = request.hello.as_mut().unwrap();
    hello.features.push("\u{1b}[31m".to_owned());
    hello
        .features
        .extend((0..1_000).map(|each| format!("z-{each}")));
    let request = crate::Request::decode(&request.encode()).unwrap();
    server.handle_request(request).unwrap();
    let told = server.features();
    assert!(FEATURES.iter().all(|feature| told.contains(*feature)));
    assert!(told.iter().all(|name| !name.contains('\u{1b}')));
    assert_eq!(told.len(), 256, "one can say too much");
}

#[test]
fn names_of_features_that_nobody_could_read_are_not_shown() {
    let (mut client, mut server) = (Client::new("web"), Server::default());
    server.offer(offered(&view(), 1, Some("\u{1b}[31m")));
    settle(&mut client, &mut server);
    client.reconnect();
    let request = client.poll_request().unwrap().encode();
    let request = crate::Request::decode(&request).unwrap();
    assert_eq!(request.lacks, BTreeSet::new());
}
