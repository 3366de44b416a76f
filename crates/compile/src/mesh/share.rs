//! What two states of one mesh have in common, kept once.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};

use leno_model::ServiceName;

use super::Mesh;
use crate::turnover::differing;

impl Mesh {
    /// Takes from `before` what is the same there, and gives the names of the services that callers know otherwise: by
    /// their routes, by who answers for them, or by where those are. Linear in both, with little for what they share
    /// already.
    pub fn share(&mut self, before: &Self) -> BTreeSet<ServiceName> {
        take_same(&before.services, &mut self.services);
        take_same(&before.instances, &mut self.instances);
        take_whole(&before.nodes, &mut self.nodes);
        take_whole(&before.sidecars, &mut self.sidecars);
        take_whole(&before.taking_part, &mut self.taking_part);
        take_whole(&before.answers, &mut self.answers);
        take_whole(&before.addresses, &mut self.addresses);
        let services = others(&before.services, &self.services);
        let mut changed: BTreeSet<_> = services.into_iter().cloned().collect();
        let ports = match Arc::ptr_eq(&before.answers, &self.answers) {
            true => Vec::new(),
            false => differing(&before.answers, &self.answers, |was, is| was == is),
        };
        changed.extend(ports.into_iter().map(|port| port.service.clone()));
        let moved = others(&before.instances, &self.instances);
        let moved: BTreeSet<_> = moved.into_iter().collect();
        if !moved.is_empty() {
            let reached = self.answers.iter().filter(|(_, answers)| {
                let mut answers = answers.iter();
                answers.any(|answer| moved.contains(&answer.instance))
            });
            changed.extend(reached.map(|(port, _)| port.service.clone()));
        }
        changed
    }
}

type Shared<K, V> = Arc<BTreeMap<K, Arc<V>>>;

/// The keys under which there are others, where what is the same is shared.
fn others<'a, K: Ord, V>(before: &'a Shared<K, V>, after: &'a Shared<K, V>) -> Vec<&'a K> {
    match Arc::ptr_eq(before, after) {
        true => Vec::new(),
        false => differing(before, after, Arc::ptr_eq),
    }
}

fn take_same<K: Ord + Clone, V: PartialEq>(before: &Shared<K, V>, after: &mut Shared<K, V>) {
    if Arc::ptr_eq(before, after) {
        return;
    }
    let mut before = before.iter().peekable();
    for (key, is) in Arc::make_mut(after) {
        while before.next_if(|(known, _)| *known < key).is_some() {}
        let was = before.next_if(|(known, _)| *known == key);
        if let Some((_, was)) = was.filter(|(_, was)| *was == is) {
            *is = Arc::clone(was);
        }
    }
}

fn take_whole<T: PartialEq>(before: &Arc<T>, after: &mut Arc<T>) {
    if !Arc::ptr_eq(before, after) && before == after {
        *after = Arc::clone(before);
    }
}
