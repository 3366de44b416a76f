//! What is reported of each object, for its status in a cluster.

use alloc::{collections::BTreeMap, string::String, sync::Arc, vec::Vec};

use leno_model::{Note, Notes, ObjectRef, Severity};
use leno_resources::gateway::ParentReference;
use leno_resources::{Objects, Resources};

use crate::route::{self, Route};
use crate::status::{self, Condition, ConditionKind};

/// What is reported of one object.
#[derive(Clone, PartialEq, Debug)]
pub struct Report<'a> {
    /// Which one.
    pub object: &'a Arc<ObjectRef>,
    /// Which of its specs was judged, as the cluster counts them.
    pub generation: Option<i64>,
    /// What there is to say.
    pub says: Says<'a>,
}

/// What is reported of an object.
#[derive(Clone, PartialEq, Debug)]
pub enum Says<'a> {
    /// Of a route: its conditions for each parent that is ours.
    Parents(Vec<(&'a ParentReference, Vec<Condition>)>),
    /// Of one of Leno's own kinds.
    Itself(Vec<Condition>),
}

impl Report<'_> {
    /// Says of what is accepted that the proxies of `lacking` have not taken it yet, and all others have.
    pub fn programmed(&mut self, lacking: &[String]) {
        let lists: Vec<_> = match &mut self.says {
            Says::Parents(parents) => parents.iter_mut().map(|(_, list)| list).collect(),
            Says::Itself(list) => [list].into(),
        };
        for conditions in lists {
            let mut accepted = conditions.iter();
            let is_accepted = accepted.any(|it| it.kind == ConditionKind::Accepted && it.holds);
            conditions.push(Condition::programmed(is_accepted, lacking));
        }
    }
}

/// What is reported of every object that has a status of ours: read off the notes of reading and of
/// [`compile`](crate::compile()). Linear in objects and notes, but for finding the notes of each object.
pub fn reports<'a>(resources: &'a Resources, notes: &'a Notes) -> Vec<Report<'a>> {
    let mut told = BTreeMap::<&ObjectRef, Vec<&Note>>::new();
    for note in notes.iter().filter(|note| status::is_reported(note)) {
        if let Some(object) = note.object() {
            told.entry(object).or_default().push(note);
        }
    }
    let Resources {
        meshes,
        peers,
        workloads,
        access_policies,
        traffic_policies,
        telemetry_policies,
        ..
    } = resources;
    let routes = route::routes(resources).map(|route| of_route(route, &told));
    routes
        .chain(of_own(meshes, &told))
        .chain(of_own(peers, &told))
        .chain(of_own(workloads, &told))
        .chain(of_own(access_policies, &told))
        .chain(of_own(traffic_policies, &told))
        .chain(of_own(telemetry_policies, &told))
        .collect()
}

type Told<'a> = BTreeMap<&'a ObjectRef, Vec<&'a Note>>;

fn of_route<'a>(route: Route<'a>, told: &Told<'a>) -> Report<'a> {
    let object = route.object.reference();
    let notes = told.get(&**object).map_or(&[][..], Vec::as_slice);
    let written = route
        .parents()
        .into_iter()
        .flat_map(|parents| parents.iter());
    let parents = written.enumerate().filter_map(|(index, parent)| {
        let conditions = status::of_notes(route, index, notes.iter().copied());
        Some((parent.sound()?, conditions)).filter(|(_, conditions)| !conditions.is_empty())
    });
    Report {
        object,
        generation: route.object.meta.generation,
        says: Says::Parents(parents.collect()),
    }
}

fn of_own<'a, T>(objects: &'a Objects<T>, told: &Told<'a>) -> impl Iterator<Item = Report<'a>> {
    objects.iter().map(|object| {
        let mut notes = told.get(&**object.reference()).into_iter().flatten();
        let flaw = notes.find(|note| note.severity == Severity::Error);
        Report {
            object: object.reference(),
            generation: object.meta.generation,
            says: Says::Itself(
                [Condition {
                    kind: ConditionKind::Accepted,
                    holds: flaw.is_none(),
                    reason: if flaw.is_none() {
                        "Accepted"
                    } else {
                        "Invalid"
                    },
                    message: flaw.map_or_else(String::new, |note| status::message(note)),
                }]
                .into(),
            ),
        }
    })
}
