//! What routes take, as it arrives at who answers: a policy about a route is asked there.

use alloc::{
    collections::{BTreeMap, btree_map::Entry},
    format,
    string::String,
    sync::Arc,
    vec::Vec,
};

use leno_model::view::route::Part;
use leno_model::view::{
    Action, Backend, FieldMatch, FieldValue, HeaderChanges, HostMatch, HttpMatch, PathMatch,
    PathRewrite, PortRef, RequestMatch, Route, Routes, Rule, TextMatch, Within,
};
use leno_model::{Name, Namespace, ObjectRef};

use super::read::why_not_asked;
use crate::routes::Attached;
use crate::targets::Target;

/// What is attached to each port for one group of callers, and where in it a route stands.
type Places<'a> = Vec<(&'a Routes, usize)>;

/// Where the matches of each route stand among those of all.
pub(crate) struct Taken<'a>(BTreeMap<&'a ObjectRef, Places<'a>>);

/// What a route sends to ports of services.
pub(super) type Sent = BTreeMap<PortRef, Vec<Within>>;

impl<'a> Taken<'a> {
    pub(crate) fn new(attached: &'a Attached) -> Self {
        let mut taken = BTreeMap::<_, Places<'_>>::new();
        for routes in attached.values().flat_map(BTreeMap::values) {
            for (place, route) in routes.routes.iter().enumerate() {
                let of_route = taken.entry(&*route.origin.object).or_default();
                of_route.push((routes, place));
            }
        }
        Self(taken)
    }

    /// What the route that is `target` sends to services of its own namespace; if one of its matches cannot
    /// be told from others where it arrives, why. Grows with the matches that stand before each of them.
    pub(super) fn sent_by(&self, target: &Target) -> Result<Sent, String> {
        let mut sent = Sent::new();
        let Some((kind, namespace, name)) = route(target) else {
            return Ok(sent);
        };
        let object = ObjectRef {
            kind: kind.into(),
            namespace: Some(namespace.clone()),
            name: name.clone(),
        };
        for (routes, place) in self.0.get(&object).into_iter().flatten() {
            for (port, takes) in arriving(routes, *place)? {
                if port.service.namespace != *namespace {
                    continue;
                }
                let leaves = taken_before(routes, *place, port, &takes)?;
                let within = Within { takes, leaves };
                match sent.entry(port.clone()) {
                    Entry::Vacant(free) => drop(free.insert([within].into())),
                    Entry::Occupied(known) if known.get().contains(&within) => {}
                    Entry::Occupied(mut known) => known.get_mut().push(within),
                }
            }
        }
        Ok(sent)
    }
}

/// What a match sends to each backend, as that gets it.
fn arriving(routes: &Routes, place: usize) -> Result<Vec<(&PortRef, RequestMatch)>, String> {
    let route = &routes.routes[place];
    let rule = &routes.rules[route.rule];
    let Action::Forward(split) = &rule.action else {
        return Ok(Vec::new());
    };
    let mut sent = Vec::new();
    for part in split.parts() {
        if let Backend::Service(port) = &part.backend {
            sent.push((port, arrives(route, rule, part)?));
        }
    }
    Ok(sent)
}

/// What other routes, whose matches stand before this one, send to the same backend of what this one would
/// take.
//= HTTPRouteRule matches: "If ties still exist across multiple Routes, matching precedence MUST be determined
//= in order of the following criteria"
fn taken_before(
    routes: &Routes,
    place: usize,
    to: &PortRef,
    takes: &RequestMatch,
) -> Result<Vec<RequestMatch>, String> {
    let object = &routes.routes[place].origin.object;
    let mut leaves = Vec::new();
    for (before, route) in routes.routes.iter().enumerate().take(place) {
        if route.origin.object == *object {
            continue;
        }
        let arriving = arriving(routes, before);
        let arriving = arriving.map_err(|why| {
            let other = &route.origin.object;
            format!("{other} takes some of what it would take, and {why}")
        })?;
        for (port, request) in arriving {
            if port == to && may_meet(takes, &request) && !leaves.contains(&request) {
                leaves.push(request);
            }
        }
    }
    Ok(leaves)
}

/// Whether some request may be both.
fn may_meet(one: &RequestMatch, other: &RequestMatch) -> bool {
    let methods = one.methods.is_empty()
        || other.methods.is_empty()
        || one.methods.iter().any(|it| other.methods.contains(it));
    let below = |path: &str, prefix: &str| {
        let rest = path.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let paths = |one: &PathMatch, other: &PathMatch| match (one, other) {
        (PathMatch::Exact(one), PathMatch::Exact(other)) => one == other,
        (PathMatch::Exact(path), PathMatch::Prefix(prefix))
        | (PathMatch::Prefix(prefix), PathMatch::Exact(path)) => below(path, prefix),
        (PathMatch::Prefix(one), PathMatch::Prefix(other)) => {
            below(one, other) || below(other, one)
        }
        (PathMatch::Regex(_) | PathMatch::Template(_), _)
        | (_, PathMatch::Regex(_) | PathMatch::Template(_)) => true,
    };
    let all = one.paths.is_empty() || other.paths.is_empty();
    let mut pairs = one
        .paths
        .iter()
        .flat_map(|one| other.paths.iter().map(move |other| (one, other)));
    methods && (all || pairs.any(|(one, other)| paths(one, other)))
}

fn route(target: &Target) -> Option<(&'static str, &Namespace, &Name)> {
    match target {
        Target::HttpRoute(namespace, name) => Some(("HTTPRoute", namespace, name)),
        Target::GrpcRoute(namespace, name) => Some(("GRPCRoute", namespace, name)),
        Target::Mesh
        | Target::Namespace(_)
        | Target::Service(_)
        | Target::Workload(..)
        | Target::ServicePort(_)
        | Target::WorkloadPort(..) => None,
    }
}

/// What a match takes, as the backend gets it.
fn arrives(route: &Route, rule: &Rule, part: &Part) -> Result<RequestMatch, String> {
    let HttpMatch {
        path,
        method,
        headers,
        query,
    } = &route.matches;
    if let Some(parameter) = query.first() {
        return Err(format!(
            "the route asks for the parameter {}, and no policy is asked about parameters",
            parameter.name
        ));
    }
    let rewrite = part.rewrite.as_ref().or(rule.rewrite.as_ref());
    if rewrite.is_some_and(|rewrite| rewrite.host.is_some()) && route.host != HostMatch::Any {
        return Err("the route asks for a host and changes it".into());
    }
    let path = match rewrite.and_then(|rewrite| rewrite.path.as_ref()) {
        None => path.clone(),
        Some(PathRewrite::Full(path)) => PathMatch::Exact(path.clone()),
        Some(PathRewrite::Prefix(prefix)) => PathMatch::Prefix(prefix.trim_end_matches('/').into()),
    };
    let any = PathMatch::Prefix("".into());
    let host = (route.host != HostMatch::Any).then(|| route.host.clone());
    let changed = [&rule.request_headers, &part.request_headers];
    let fields = headers.iter().map(|header| {
        let name = &header.name;
        if changed.iter().any(|changes| touches(changes, name)) {
            return Err(format!(
                "the route asks for the header {name} and changes it"
            ));
        }
        if let Some(why) = why_not_asked(name) {
            return Err(format!("the route asks for {name}, which {why}"));
        }
        Ok(FieldMatch {
            name: name.clone(),
            value: match &header.value {
                TextMatch::Exact(text) => FieldValue::Exact(text.clone()),
                TextMatch::Regex(pattern) => FieldValue::Regex(pattern.clone()),
            },
        })
    });
    Ok(RequestMatch {
        ports: Vec::new(),
        methods: method.iter().map(Arc::clone).collect(),
        hosts: host.into_iter().collect(),
        headers: fields.collect::<Result<_, _>>()?,
        claims: Vec::new(),
        paths: (path != any).then_some(path).into_iter().collect(),
    })
}

fn touches(changes: &HeaderChanges, name: &str) -> bool {
    let HeaderChanges { set, add, remove } = changes;
    let mut named = set.iter().chain(add).map(|(name, _)| name).chain(remove);
    named.any(|changed| changed.eq_ignore_ascii_case(name))
}
