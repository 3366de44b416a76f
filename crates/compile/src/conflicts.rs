//! Routes of several kinds at one port: only those of the most special kind are used there.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::ToString,
    sync::Arc,
    vec::Vec,
};

use leno_model::view::PortRef;
use leno_model::{Code, Namespace, Note, Notes, ObjectRef};

use crate::finding::{self, Complete};
use crate::parents::{self, Place, Role};
use crate::route::{Kind, Route};

/// The routes by which others are measured, at each port for each group of callers.
pub(crate) struct Settled(BTreeMap<(PortRef, Option<Namespace>), (Kind, Arc<ObjectRef>)>);

impl Settled {
    /// Looks at where all routes are attached: of the most special kind the first by name is remembered.
    //= GEP-1294: "If multiple routes with different types both bind to the same Service and Port pair,
    //= only a single route type should be applied."
    pub(crate) fn new(attached: &[(Route<'_>, BTreeMap<PortRef, Place>)]) -> Self {
        let mut settled = BTreeMap::new();
        for (route, places) in attached {
            let this = (route.kind(), route.object.reference().clone());
            for (port, place) in places {
                let key = (port.clone(), callers(*route, place.role));
                let first = settled.entry(key).or_insert_with(|| this.clone());
                if this < *first {
                    *first = this.clone();
                }
            }
        }
        Self(settled)
    }

    /// Takes away the places where routes of another kind go first, and notes them.
    pub(crate) fn detach(
        &self,
        route: Route<'_>,
        places: &mut BTreeMap<PortRef, Place>,
        notes: &mut Notes,
    ) {
        let mut lost = BTreeMap::<usize, Vec<(PortRef, &Arc<ObjectRef>)>>::new();
        places.retain(|port, place| {
            let first = self.0.get(&(port.clone(), callers(route, place.role)));
            let first = first.filter(|(kind, _)| *kind != route.kind());
            if let Some((_, other)) = first {
                let lost = lost.entry(place.parent).or_default();
                lost.push((port.clone(), other));
            }
            first.is_none()
        });
        let kept = places.values().map(|place| place.parent);
        let kept = kept.collect::<BTreeSet<_>>();
        for (parent, lost) in lost {
            if let Some(note) = note(route, parent, &lost, kept.contains(&parent)) {
                notes.push(note);
            }
        }
    }
}

/// Whose calls the route steers; `None` is everybody's.
pub(crate) fn callers(route: Route<'_>, role: Role) -> Option<Namespace> {
    match role {
        Role::Producer => None,
        Role::Consumer => route.object.meta.namespace.clone(),
    }
}

/// What is lost of a parent; it is an error only if that is all of it.
fn note(
    route: Route<'_>,
    parent: usize,
    lost: &[(PortRef, &Arc<ObjectRef>)],
    is_in_part: bool,
) -> Option<Note> {
    let (_, other) = lost.first()?;
    let ports = lost.iter().map(|(port, _)| port.to_string());
    let ports = ports.collect::<Vec<_>>().join(", ");
    let kind = route.kind();
    let first = Kind::named(&other.kind).unwrap_or(kind);
    let message = format!("{other} steers {ports}, and {first} goes before {kind}");
    let finding = if is_in_part {
        finding::warning
    } else {
        finding::error
    };
    let pointer = parents::pointer(parent);
    let note = finding(route.object, &pointer, Code::C116, message);
    Some(note.in_force(format!("the route is not attached to {ports}")))
}
