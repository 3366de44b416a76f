//! A control plane that knows a feature which the proxy lacks, as a pair: what needs the feature fails
//! closed, the rest stands, and the control plane is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use leno_model::view::{
    Access, AccessRule, Action, Effect, Except, Generation, HeaderChanges, Protocol, Redirect,
    Routes, Rule, Service, ServicePort, Settings, View, Workload, WorkloadId, WorkloadPort,
};
use leno_model::{Code, Name, Namespace, Network, Origin, ServiceName, SpiffeId, TrustDomain};
use prost::Message as _;

use super::word::some_origin;
use super::{Encoded, Kind, PartMessage, parts_of};
use crate::carried::Carried;
use crate::{Client, Received, Server, Target};

fn origin() -> Origin {
    Origin::from_message(some_origin()).unwrap()
}

/// A cart behind two rules of access, and a service with two rules of routing.
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
        telemetry: Arc::default(),
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
    let lacks = |server: &Server| server.lacks().iter().cloned().collect::<Vec<_>>();
    server.offer(offered(&view(), 1, Some("moon-phase")));
    let adopted = settle(&mut client, &mut server);
    let held = adopted.last().unwrap();
    assert_eq!(effects(held), [Effect::NotUnderstood, Effect::Allow]);
    assert_eq!(answers(held), [Some(Code::R011), None]);
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
    assert!(lacks(&server).is_empty());
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
