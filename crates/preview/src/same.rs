//! Whether two configurations say the same, wherever it is written: a line that moved changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use leno_model::Origin;
use leno_model::flow::Side;
use leno_model::view::access::{ExternalAuth, Jwt, JwtIssuer};
use leno_model::view::route::Part;
use leno_model::view::{
    Access, AccessRule, Action, Backend, Egress, Ingress, Isolation, Leave, PortRef, Probe, Routes,
    Rule, ServicePort,
};

use crate::call::Call;
use crate::ground::{Ground, Receiver};

/// What of two configurations calls meet, compared once for each that is called.
pub(crate) struct Sameness<'g> {
    before: &'g Ground<'g>,
    after: &'g Ground<'g>,
    services: BTreeMap<PortRef, bool>,
    workloads: BTreeMap<(Arc<str>, u16), bool>,
    everywhere: bool,
    /// The ports of workloads at which not the same health checks are let in.
    probed: BTreeSet<u16>,
    /// Whether nothing differs at all.
    whole: Option<bool>,
    gates: BTreeMap<(Side, Arc<str>, u16), Alike>,
}

/// What stands the same before all ports that calls may end up at, in both configurations.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Alike {
    /// Nothing that could be told.
    Nothing,
    /// Whose tokens are believed, and where they stand; not who has to bring one.
    Issuers,
    /// All about tokens.
    Tokens,
    /// All but whether mTLS is strict.
    Rules,
}

impl<'g> Sameness<'g> {
    pub(crate) fn new(before: &'g Ground<'g>, after: &'g Ground<'g>) -> Self {
        let [one, other] = [before, after].map(|ground| &ground.mesh.settings);
        Self {
            before,
            after,
            services: BTreeMap::new(),
            workloads: BTreeMap::new(),
            whole: None,
            gates: BTreeMap::new(),
            probed: probed(&one.probes, &other.probes),
            everywhere: one.unknown_destinations == other.unknown_destinations
                && one.trust_domain == other.trust_domain
                && before.mesh.revoked == after.mesh.revoked,
        }
    }

    /// Whether nothing differs of all that a call meets.
    pub(crate) fn of(&mut self, call: &Call) -> bool {
        if call.is_folded() {
            let (before, after) = (self.before.mesh, self.after.mesh);
            return *self.whole.get_or_insert_with(|| before == after);
        }
        if !self.everywhere || self.may_be_probe(call) {
            return false;
        }
        let (before, after) = (self.before, self.after);
        if call.side == Side::Destination {
            let place = (call.to.clone(), call.port);
            return *self.workloads.entry(place).or_insert_with(|| {
                let [before, after] =
                    [before, after].map(|ground| ground.of_identity(&call.to, call.port));
                same_receivers(&before, &after)
            });
        }
        let Some(service) = call.service() else {
            return before.outbound_of(&call.from) == after.outbound_of(&call.from);
        };
        let port = PortRef {
            service,
            port: call.port,
        };
        if !self.same_in_plain(call) {
            return false;
        }
        if let Some(known) = self.services.get(&port) {
            return *known;
        }
        let is_same = same_port(before, after, &port);
        self.services.insert(port, is_same);
        is_same
    }

    /// Whether the same is said of calls in plain, to those who may be reached that have no proxy.
    fn same_in_plain(&self, call: &Call) -> bool {
        let (before, after) = (self.before, self.after);
        let has_plain = |ground| {
            let mut all = reached(ground, call).into_iter();
            all.any(|receiver| receiver.in_plain.is_some())
        };
        before.outbound_of(&call.from) == after.outbound_of(&call.from)
            || !has_plain(before) && !has_plain(after)
    }

    /// Whether it could be a health check that only one of them lets in.
    fn may_be_probe(&self, call: &Call) -> bool {
        let domain = &self.before.mesh.settings.trust_domain;
        // Of a service's port it is not known at which one its workloads listen.
        let is_there = match call.side {
            Side::Source => !self.probed.is_empty(),
            Side::Destination => self.probed.contains(&call.port),
        };
        is_there && call.asked.is_some() && call.caller(domain).is_none()
    }

    /// What stands the same before all ports that a call may end up at.
    pub(crate) fn gates(&mut self, call: &Call) -> Alike {
        let (before, after) = (self.before, self.after);
        let place = (call.side, call.to.clone(), call.port);
        *self.gates.entry(place).or_insert_with(|| {
            let both = [before, after].map(|ground| reached(ground, call));
            let asked = both.iter().flatten().filter(|it| it.in_plain.is_none());
            let asked: Vec<_> = asked.collect();
            let mut pairs = asked.iter().zip(asked.iter().skip(1));
            match pairs.all(|(one, other)| same_isolation(one.isolation, other.isolation)) {
                true => alike(&asked.iter().map(|it| it.access).collect::<Vec<_>>()),
                false => Alike::Nothing,
            }
        })
    }
}

/// Those who may answer a call.
fn reached<'g>(ground: &Ground<'g>, call: &Call) -> Vec<Receiver<'g>> {
    if call.side == Side::Destination {
        return ground.of_identity(&call.to, call.port);
    }
    let Some(service) = call.service() else {
        return Vec::new();
    };
    let called = PortRef {
        service,
        port: call.port,
    };
    let service = ground.mesh.services.get(&called.service);
    let port = service.and_then(|service| service.ports.get(&called.port));
    let ports = port.map(|port| reachable(&called, port));
    let receivers = ports.iter().flatten();
    let receivers = receivers.flat_map(|port| ground.answering(port));
    receivers.cloned().collect()
}

fn alike(accesses: &[&Arc<Access>]) -> Alike {
    let Some((first, others)) = accesses.split_first() else {
        return Alike::Nothing;
    };
    let rules = |access: &Access| Access {
        mtls: first.mtls,
        mtls_origin: None,
        ..bare(access)
    };
    let differing: Vec<_> = others.iter().filter(|it| !Arc::ptr_eq(it, first)).collect();
    let all_rules = differing.is_empty() || {
        let expected = rules(first);
        differing.iter().all(|other| rules(other) == expected)
    };
    let jwt = |access: &Access| access.jwt.as_deref().map(bare_jwt);
    let issuers = |access: &Access| jwt(access).map(|jwt| jwt.issuers);
    let all = |same: &dyn Fn(&Access) -> bool| differing.iter().all(|other| same(other));
    match all_rules {
        true => Alike::Rules,
        false if all(&|other| jwt(other) == jwt(first)) => Alike::Tokens,
        false if all(&|other| issuers(other) == issuers(first)) => Alike::Issuers,
        false => Alike::Nothing,
    }
}

/// The ports at which one lets health checks in that the other does not.
fn probed(one: &[Arc<Probe>], other: &[Arc<Probe>]) -> BTreeSet<u16> {
    let lets_in = |probes: &[Arc<Probe>], wanted: &Probe| {
        let is_same = |probe: &Arc<Probe>| {
            (&probe.from, probe.port, &probe.check) == (&wanted.from, wanted.port, &wanted.check)
        };
        probes.iter().any(is_same)
    };
    let gone = one.iter().filter(|probe| !lets_in(other, probe));
    let come = other.iter().filter(|probe| !lets_in(one, probe));
    gone.chain(come).map(|probe| probe.port).collect()
}

fn same_port(before: &Ground<'_>, after: &Ground<'_>, called: &PortRef) -> bool {
    let [one, other] = [before, after].map(|ground| ground.mesh.services.get(&called.service));
    let ports = match (one, other) {
        (None, None) => return true,
        // Which of its ports was called is not known: all must be the same.
        (Some(one), Some(other)) if called.port == 0 => {
            let numbers: BTreeSet<_> = one.ports.keys().chain(other.ports.keys()).collect();
            return numbers.into_iter().all(|port| {
                let service = called.service.clone();
                same_port(
                    before,
                    after,
                    &PortRef {
                        service,
                        port: *port,
                    },
                )
            });
        }
        (Some(one), Some(other)) => [one, other].map(|service| service.ports.get(&called.port)),
        (Some(_), None) | (None, Some(_)) => return false,
    };
    match ports {
        [None, None] => true,
        [Some(one), Some(other)] => {
            one.protocol == other.protocol
                && same_routes_of(one, other)
                && reachable(called, one)
                    .iter()
                    .all(|port| same_receivers(before.answering(port), after.answering(port)))
        }
        [Some(_), None] | [None, Some(_)] => false,
    }
}

/// The ports that calls to one may end up at.
fn reachable(called: &PortRef, port: &ServicePort) -> BTreeSet<PortRef> {
    let routes = port.consumers.values().chain(&port.producer);
    let rules = routes.flat_map(|routes| &routes.rules);
    let parts = rules.flat_map(|rule| match &rule.action {
        Action::Forward(split) => split.parts(),
        Action::Redirect(_) | Action::Refuse(..) => &[],
    });
    let backends = parts.filter_map(|part| match &part.backend {
        Backend::Service(port) => Some(port.clone()),
        Backend::Invalid(_) => None,
    });
    backends.chain([called.clone()]).collect()
}

fn same_receivers(one: &[Receiver<'_>], other: &[Receiver<'_>]) -> bool {
    let is_same = |(one, other): (&Receiver<'_>, &Receiver<'_>)| {
        one.port == other.port
            && one.in_plain == other.in_plain
            && same_access(one.access, other.access)
            && same_isolation(one.isolation, other.isolation)
    };
    one.len() == other.len() && one.iter().zip(other).all(is_same)
}

fn same_access(one: &Arc<Access>, other: &Arc<Access>) -> bool {
    Arc::ptr_eq(one, other) || one == other || bare(one) == bare(other)
}

fn same_isolation(one: Option<&Arc<Isolation>>, other: Option<&Arc<Isolation>>) -> bool {
    one == other || one.map(|it| bare_isolation(it)) == other.map(|it| bare_isolation(it))
}

fn bare_isolation(isolation: &Isolation) -> Isolation {
    let rules = isolation.rules.iter().map(|rule| Ingress {
        origin: unplaced(&rule.origin),
        ..rule.clone()
    });
    let egress = isolation.egress.iter().map(|egress| {
        let rules = egress.rules.iter().map(|rule| Leave {
            origin: unplaced(&rule.origin),
            ports: rule.ports.clone(),
            alike: rule.alike,
        });
        Arc::new(Egress {
            by: egress.by.iter().map(unplaced).collect(),
            have_others: egress.have_others,
            callers: egress.callers.clone(),
            rules: rules.collect(),
            is_rest: egress.is_rest,
        })
    });
    Isolation {
        by: isolation.by.iter().map(unplaced).collect(),
        rules: rules.collect(),
        egress: egress.collect(),
    }
}

/// Whether two rules say the same.
pub(crate) fn same_rule(one: &AccessRule, other: &AccessRule) -> bool {
    one == other || bare_rule(one) == bare_rule(other)
}

fn bare(access: &Access) -> Access {
    let rules = |rules: &[Arc<AccessRule>]| {
        let bare = rules.iter().map(|rule| Arc::new(bare_rule(rule)));
        bare.collect::<Vec<_>>()
    };
    Access {
        mtls_origin: access.mtls_origin.as_ref().map(unplaced),
        stance_origin: access.stance_origin.as_ref().map(unplaced),
        jwt: access.jwt.as_deref().map(|jwt| Arc::new(bare_jwt(jwt))),
        external: access
            .external
            .iter()
            .map(|asked| Arc::new(bare_external(asked)))
            .collect(),
        rules: rules(&access.rules),
        audits: rules(&access.audits),
        ..access.clone()
    }
}

fn bare_external(asked: &ExternalAuth) -> ExternalAuth {
    ExternalAuth {
        origin: unplaced(&asked.origin),
        ..asked.clone()
    }
}

fn bare_jwt(jwt: &Jwt) -> Jwt {
    let issuers = jwt.issuers.iter().map(|issuer| JwtIssuer {
        origin: unplaced(&issuer.origin),
        ..issuer.clone()
    });
    Jwt {
        required: jwt.required.iter().map(unplaced).collect(),
        issuers: issuers.collect(),
    }
}

fn bare_rule(rule: &AccessRule) -> AccessRule {
    AccessRule {
        origin: unplaced(&rule.origin),
        ..rule.clone()
    }
}

fn unplaced(origin: &Origin) -> Origin {
    Origin {
        place: None,
        ..origin.clone()
    }
}

fn same_routes_of(one: &ServicePort, other: &ServicePort) -> bool {
    let same = |one: &Option<Arc<Routes>>, other: &Option<Arc<Routes>>| match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => same_routes(one, other),
        (Some(_), None) | (None, Some(_)) => false,
    };
    let consumers = || one.consumers.iter().zip(&other.consumers);
    same(&one.producer, &other.producer)
        && one.consumers.len() == other.consumers.len()
        && consumers()
            .all(|((by, one), (other_by, other))| by == other_by && same_routes(one, other))
}

/// Whether what one takes by a rule, the other takes by the rule in the same place.
pub(crate) fn same_matches(one: &Arc<Routes>, other: &Arc<Routes>) -> bool {
    let mut matches = one.routes.iter().zip(&other.routes);
    Arc::ptr_eq(one, other)
        || one.routes.len() == other.routes.len()
            && matches.all(|(one, other)| {
                one.host == other.host && one.matches == other.matches && one.rule == other.rule
            })
}

fn same_routes(one: &Arc<Routes>, other: &Arc<Routes>) -> bool {
    let rules = || one.rules.iter().zip(&other.rules);
    Arc::ptr_eq(one, other)
        || same_matches(one, other)
            && one.rules.len() == other.rules.len()
            && rules().all(|(one, other)| {
                unplaced(&one.origin) == unplaced(&other.origin) && same_effect(one, other)
            })
}

/// Whether two rules of routes do the same with what they take.
pub(crate) fn same_effect(one: &Rule, other: &Rule) -> bool {
    let Rule {
        origin: _,
        name: _,
        action,
        request_headers,
        response_headers,
        rewrite,
        mirrors,
        cors,
        request_timeout,
        attempt_timeout,
        retry,
    } = one;
    let mirrors = mirrors.len() == other.mirrors.len()
        && mirrors.iter().zip(&other.mirrors).all(|(one, other)| {
            one.to == other.to && one.share == other.share && one.of == other.of
        });
    let cors = match (cors, &other.cors) {
        (None, None) => true,
        (Some(one), Some(other)) => {
            one.sites == other.sites
                && one.credentials == other.credentials
                && one.methods == other.methods
                && one.headers == other.headers
                && one.exposed == other.exposed
                && one.max_age == other.max_age
        }
        (Some(_), None) | (None, Some(_)) => false,
    };
    mirrors
        && cors
        && same_action(action, &other.action)
        && *request_headers == other.request_headers
        && *response_headers == other.response_headers
        && *rewrite == other.rewrite
        && *request_timeout == other.request_timeout
        && *attempt_timeout == other.attempt_timeout
        && *retry == other.retry
}

/// Whether a rule does nothing with what it takes but forward it.
pub(crate) fn only_forwards(rule: &Rule) -> bool {
    let is_plain = |part: &Part| {
        part.request_headers.is_empty()
            && part.response_headers.is_empty()
            && part.rewrite.is_none()
            && part.mirrors.is_empty()
    };
    let forwards = match &rule.action {
        Action::Forward(split) => split.parts().iter().all(is_plain),
        Action::Redirect(_) | Action::Refuse(..) => false,
    };
    forwards
        && rule.request_headers.is_empty()
        && rule.response_headers.is_empty()
        && rule.rewrite.is_none()
        && rule.mirrors.is_empty()
        && rule.cors.is_none()
        && rule.request_timeout.is_none()
        && rule.attempt_timeout.is_none()
        && rule.retry.is_none()
}

fn same_action(one: &Action, other: &Action) -> bool {
    match (one, other) {
        (Action::Forward(one), Action::Forward(other)) => {
            let parts = one.parts().iter().zip(other.parts());
            one.parts().len() == other.parts().len()
                && parts.into_iter().all(|(one, other)| {
                    one.backend == other.backend
                        && one.weight == other.weight
                        && one.request_headers == other.request_headers
                        && one.response_headers == other.response_headers
                        && one.rewrite == other.rewrite
                })
        }
        (Action::Redirect(one), Action::Redirect(other)) => one == other,
        (Action::Refuse(one, _), Action::Refuse(other, _)) => one == other,
        (Action::Forward(_) | Action::Redirect(_) | Action::Refuse(..), _) => false,
    }
}
