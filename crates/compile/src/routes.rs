//! What is attached to each service port: the matches of all routes, in order of precedence.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};

use leno_model::view::{PortRef, Routes};
use leno_model::{Namespace, Notes};
use leno_resources::Resources;

use crate::conflicts::{self, Settled};
use crate::finding::Complete;
use crate::parents;
use crate::precedence::{self, Candidate};
use crate::route::{self, Route};
use crate::rules::{self, Surroundings};
use crate::shadow::Shadows;

/// What is attached to each port: by the service's own namespace (`None`), and by those of callers.
pub(crate) type Attached = BTreeMap<PortRef, BTreeMap<Option<Namespace>, Arc<Routes>>>;

//= GEP-1294: "The merging of routes occurs only within groups of the same type of routes (Gateway
//= bound, producer, or consumer), and follows the standard route merging behavior already defined."
pub(crate) fn routes(
    resources: &Resources,
    surroundings: Surroundings<'_>,
    notes: &mut Notes,
) -> Attached {
    let Surroundings { routed, .. } = surroundings;
    let attached = route::routes(resources).map(|route| {
        let to = parents::attached(route, routed, notes);
        (route, to)
    });
    let attached = attached.collect::<Vec<_>>();
    let settled = Settled::new(&attached);
    let mut candidates = BTreeMap::<_, Vec<Candidate<'_>>>::new();
    for (route, mut to) in attached {
        settled.detach(route, &mut to, notes);
        for (place, matches) in attach(route, to, surroundings, notes) {
            candidates.entry(place).or_default().extend(matches);
        }
    }
    let mut shadows = Shadows::default();
    let mut attached = Attached::new();
    for ((port, callers), mut candidates) in candidates {
        precedence::sort(&mut candidates);
        shadows.look(&candidates);
        let routes = Arc::new(precedence::routes(&candidates));
        attached.entry(port).or_default().insert(callers, routes);
    }
    notes.extend(shadows.notes());
    attached
}

/// A port, and the namespace of the callers if only these are meant.
type Place = (PortRef, Option<Namespace>);

/// The matches of one route at each place it is attached to.
fn attach<'a>(
    route: Route<'a>,
    attached: BTreeMap<PortRef, parents::Place>,
    surroundings: Surroundings<'_>,
    notes: &mut Notes,
) -> Vec<(Place, Vec<Candidate<'a>>)> {
    let calls = calls_to(route, attached.keys());
    let candidates = |role| {
        let mut notes = Notes::default();
        (
            rules::candidates(route, role, &calls, surroundings, &mut notes),
            notes,
        )
    };
    if attached.is_empty() {
        let (_, told) = candidates(parents::meant(route));
        notes.extend(without_effect(told));
        return Vec::new();
    }
    let roles = attached.values().map(|place| place.role);
    let roles = roles.collect::<BTreeSet<_>>();
    let by_role = roles.into_iter().map(|role| (role, candidates(role)));
    let by_role = by_role.collect::<BTreeMap<_, _>>();
    notes.extend(each_once(by_role.values().map(|(_, told)| told)));
    let place = |(port, place): (PortRef, parents::Place)| {
        let callers = conflicts::callers(route, place.role);
        Some(((port, callers), by_role.get(&place.role)?.0.clone()))
    };
    attached.into_iter().filter_map(place).collect()
}

/// Findings about a route that is attached to nothing.
fn without_effect(told: Notes) -> Notes {
    let mut notes = Notes::default();
    for note in told {
        notes.push(note.in_force("nothing: the route is not attached"));
    }
    notes
}

/// What holds in every role is told once.
fn each_once<'a>(told: impl Iterator<Item = &'a Notes>) -> Notes {
    let mut notes = Notes::default();
    for note in told.flatten() {
        if !notes.iter().any(|other| other == note) {
            notes.push(note.clone());
        }
    }
    notes
}

/// `calls to cart and other/web`
fn calls_to<'a>(route: Route<'_>, ports: impl Iterator<Item = &'a PortRef>) -> String {
    let names = ports.map(|port| &port.service).collect::<BTreeSet<_>>();
    let names = names
        .into_iter()
        .map(|service| match route.object.meta.namespace.as_ref() {
            Some(own) if *own == service.namespace => service.name.to_string(),
            Some(_) | None => service.to_string(),
        });
    let takes = route.kind().takes();
    format!("{takes} to {}", names.collect::<Vec<_>>().join(" and "))
}
