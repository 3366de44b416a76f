//! Authorizers that would be asked about questions to each other: nobody is asked there, and nobody let in.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    sync::Arc,
    vec::Vec,
};

use leno_model::view::access::ExternalAuth;
use leno_model::view::{AccessRule, Effect, Except, PortRef, WorkloadId};
use leno_model::{Code, Notes, Origin};

use super::Policies;
use crate::finding::{self, Complete};
use crate::mesh::{Answer, Instance};

impl Policies<'_> {
    /// Notes each policy by which a question to one authorizer comes, over others, to that one again, and
    /// denies calls to that one instead.
    pub(crate) fn break_rings(
        &self,
        instances: &mut BTreeMap<WorkloadId, Arc<Instance>>,
        answers: &BTreeMap<PortRef, Vec<Answer>>,
        notes: &mut Notes,
    ) {
        for (from, origin) in self.rings(instances, answers, notes) {
            for answer in answers.get(&from).into_iter().flatten() {
                deny(instances, answer, &origin);
            }
        }
    }

    /// The authorizers that are in a ring, with who says whom else to ask about questions to them.
    fn rings(
        &self,
        instances: &BTreeMap<WorkloadId, Arc<Instance>>,
        answers: &BTreeMap<PortRef, Vec<Answer>>,
        notes: &mut Notes,
    ) -> Vec<(PortRef, Origin)> {
        let external = self.all.iter().filter_map(|it| it.external.as_ref());
        let authorizers = external.map(|external| &external.to);
        let asked = authorizers.collect::<BTreeSet<_>>();
        let asked = asked.into_iter().map(|to| {
            let behind = answers.get(to).into_iter().flatten();
            (to, behind.flat_map(|it| asked_at(it, instances)).collect())
        });
        let asked: BTreeMap<&PortRef, Vec<&ExternalAuth>> = asked.collect();
        let mut rings = Vec::new();
        for (from, questions) in &asked {
            for external in questions {
                if !leads_to(&asked, &external.to, from) {
                    continue;
                }
                let ring = ((*from).clone(), external.origin.clone());
                if rings.contains(&ring) {
                    continue;
                }
                rings.push(ring);
                let by = |policy: &&super::Policy<'_>| {
                    *policy.object.reference() == external.origin.object
                };
                let Some(policy) = self.all.iter().find(by) else {
                    continue;
                };
                let message = format!(
                    "about questions to {from} {} is asked, and about questions to that, in the end, {from}",
                    external.to
                );
                let note = finding::error(policy.object, "/spec/externalAuth", Code::C173, message);
                let instead =
                    format!("calls to {from} are denied, and with them all that it is asked about");
                notes.push(note.in_force(&instead));
            }
        }
        rings
    }
}

/// Denies all calls to one that answers, instead of asking about them whom this says.
fn deny(instances: &mut BTreeMap<WorkloadId, Arc<Instance>>, answer: &Answer, origin: &Origin) {
    let Some(instance) = instances.get_mut(&answer.instance) else {
        return;
    };
    let workload = Arc::make_mut(&mut Arc::make_mut(instance).workload);
    let Some(port) = workload.ports.get_mut(&answer.port) else {
        return;
    };
    let access = Arc::make_mut(&mut port.access);
    access
        .external
        .retain(|external| external.origin != *origin);
    access.rules.push(Arc::new(AccessRule {
        origin: origin.clone(),
        effect: Effect::Ring,
        callers: Vec::new(),
        within: Vec::new(),
        requests: Vec::new(),
        except: Except::default(),
        when: None,
    }));
}

/// Who is asked about calls to one that answers.
fn asked_at<'a>(
    answer: &Answer,
    instances: &'a BTreeMap<WorkloadId, Arc<Instance>>,
) -> impl Iterator<Item = &'a ExternalAuth> + use<'a> {
    let workload = instances.get(&answer.instance).map(|it| &*it.workload);
    let port = workload.and_then(|workload| workload.ports.get(&answer.port));
    let access = port.map(|port| &port.access);
    let external = access.into_iter().flat_map(|access| &access.external);
    external.map(|external| &**external)
}

/// Whether a question to `from` leads to one to `to`.
fn leads_to(asked: &BTreeMap<&PortRef, Vec<&ExternalAuth>>, from: &PortRef, to: &PortRef) -> bool {
    let mut known = BTreeSet::new();
    let mut left = [from].to_vec();
    while let Some(next) = left.pop() {
        if next == to {
            return true;
        }
        if known.insert(next) {
            let questions = asked.get(next).into_iter().flatten();
            left.extend(questions.map(|external| &external.to));
        }
    }
    false
}
