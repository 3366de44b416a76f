//! Pods that are to be in the mesh and have no proxy. Nobody speaks for them, so that the control plane alone can tell.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use leno_compile::{uncaptured, unfit};
use leno_model::view::WorkloadId;
use leno_model::{Code, Wall};
use leno_resources::pod::{MODE, Pods, SIDECAR};
use leno_wire::troubles::Trouble;

use crate::center::Center;

/// Pods that are to be in the mesh and have no proxy.
#[derive(Default, Debug)]
pub(crate) struct Missing {
    /// Those that were made without the one that is to be in them.
    pub(crate) bare: Vec<WorkloadId>,
    /// Those that the proxy of their node does not take up, and why.
    pub(crate) unfit: Vec<(WorkloadId, Arc<str>)>,
    /// Those that run and that the proxy of their node is to serve and does not, by their nodes.
    pub(crate) unserved: BTreeMap<Arc<str>, Vec<WorkloadId>>,
}

/// Since when each is seen to be missing.
#[derive(Default, Debug)]
pub(crate) struct Lasting(BTreeMap<(WorkloadId, Code), Wall>);

/// How long a pod may be missing before it is told of: proxies take up by themselves what has just begun.
const PATIENCE: Duration = Duration::from_secs(5);

impl Missing {
    pub(crate) fn of(center: &Center) -> Self {
        let edition = center.edition();
        let written = edition.meaning.compiled_from();
        Self {
            bare: uncaptured(written),
            unfit: unfit(written),
            unserved: unserved(center),
        }
    }

    /// How many there are of each kind.
    pub(crate) fn counts(&self) -> [(Code, usize); 3] {
        let unserved = self.unserved.values().map(Vec::len).sum();
        [
            (Code::C195, self.bare.len()),
            (Code::C196, self.unfit.len()),
            (Code::D025, unserved),
        ]
    }

    /// What there is to tell of each.
    fn told(&self) -> BTreeMap<(WorkloadId, Code), String> {
        let bare = self.bare.iter().map(|id| {
            let why = format!(
                "it is to have a proxy ({MODE}: {SIDECAR}) and was made without one: what it calls and is called by goes \
                 in plain, until it is made anew"
            );
            ((id.clone(), Code::C195), why)
        });
        let unserved = self.unserved.iter().flat_map(|(node, ids)| {
            let told = move |id: &WorkloadId| {
                let why = format!(
                    "the proxy of {node} is to serve it and does not: what it calls and is called by goes in plain"
                );
                ((id.clone(), Code::D025), why)
            };
            ids.iter().map(told)
        });
        let unfit = self.unfit.iter().map(|(id, why)| {
            let why = format!(
                "the proxy of its node does not take it up, and what it calls and is called by goes in plain: {why}"
            );
            ((id.clone(), Code::C196), why)
        });
        bare.chain(unfit).chain(unserved).collect()
    }
}

impl Lasting {
    /// Takes note of what is missing by `now`, and gives what is for longer than a moment. How a pod was made it was from
    /// its beginning.
    pub(crate) fn look(
        &mut self,
        missing: &Missing,
        pods: &Pods,
        now: Wall,
    ) -> BTreeMap<(WorkloadId, Code), Trouble> {
        let told = missing.told();
        self.0.retain(|about, _| told.contains_key(about));
        let mut lasting = BTreeMap::new();
        for (about, why) in told {
            let seen = *self.0.entry(about.clone()).or_insert(now);
            if now.since(seen) < PATIENCE {
                continue;
            }
            let (WorkloadId { namespace, name }, code) = &about;
            let pod = pods.get(&(namespace.clone(), name.clone()));
            let created = pod.and_then(|pod| pod.meta.created);
            let trouble = Trouble {
                code: *code,
                about: about.0.to_string().into(),
                why,
                since: created.filter(|_| *code == Code::C195).unwrap_or(seen),
            };
            lasting.insert(about, trouble);
        }
        lasting
    }
}

/// Pods that run and that the proxy of their node is to serve and does not, by their nodes.
fn unserved(center: &Center) -> BTreeMap<Arc<str>, Vec<WorkloadId>> {
    let (edition, pods) = (center.edition(), center.presence.reported().pods);
    let is_unserved = |id: &&WorkloadId| {
        let pod = pods.get(&(id.namespace.clone(), id.name.clone()));
        let instance = edition.mesh.instances.get(id);
        pod.is_some_and(|pod| pod.is_ready()) && instance.is_some_and(|it| it.tunnel.is_none())
    };
    let nodes = edition.mesh.nodes.iter();
    let nodes = nodes.map(|(node, ids)| {
        let unserved = ids.iter().filter(is_unserved).cloned();
        (node.clone(), unserved.collect::<Vec<_>>())
    });
    nodes.filter(|(_, ids)| !ids.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use leno_model::{Name, Namespace};
    use leno_resources::pod::Pod;

    use super::*;

    fn id(name: &str) -> WorkloadId {
        WorkloadId {
            namespace: Namespace::new("shop").unwrap(),
            name: Name::new(name).unwrap(),
        }
    }

    #[test]
    fn a_pod_that_lacks_its_proxy_is_told_of_after_a_moment_until_it_has_one() {
        let at = |second| Wall::since_epoch(Duration::from_secs(second));
        let WorkloadId { namespace, name } = id("web-1");
        let mut web = Pod::named(namespace.clone(), name.clone());
        web.meta.created = Some(at(3));
        let pods = Pods::from([((namespace, name), Arc::new(web))]);
        let all_kinds = || Missing {
            bare: vec![id("web-1")],
            unfit: vec![(id("mail-1"), "it may get around its proxy".into())],
            unserved: [("n1".into(), vec![id("cart-1")])].into(),
        };
        let mut lasting = Lasting::default();
        let mut check = |missing: Missing, now, expect: &[&str]| {
            let told = lasting.look(&missing, &pods, at(now));
            let told = told.into_iter().map(|((id, code), trouble)| {
                let since = trouble.since.elapsed_since_epoch().as_secs();
                format!("{code} {id} since {since}")
            });
            assert_eq!(told.collect::<Vec<_>>(), expect, "at {now}");
        };
        let unserved = "D025 shop/cart-1 since 100";
        check(all_kinds(), 100, &[]);
        check(all_kinds(), 104, &[]);
        let all = [
            unserved,
            "C196 shop/mail-1 since 100",
            "C195 shop/web-1 since 3",
        ];
        check(all_kinds(), 105, &all);
        check(all_kinds(), 900, &all);
        check(Missing::default(), 901, &[]);
        check(all_kinds(), 902, &[]);
        let counts = [(Code::C195, 1), (Code::C196, 1), (Code::D025, 1)];
        assert_eq!(all_kinds().counts(), counts);
    }
}
