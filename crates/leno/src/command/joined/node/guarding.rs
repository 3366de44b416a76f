//! Keeps the guard on the node's side of its pods' networks, so that nothing goes past the proxy while rules inside are away.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use leno_host::nft::Netfilter;
use leno_host::{Guard, Netns, Veth, veths};
use leno_model::Code;
use leno_model::view::WorkloadId;
use tokio::time::Instant;

use crate::command::joined::node::Said;
use crate::command::joined::node::pod::Pod;

/// How often it is looked whether the guard is as it should be, while no pod comes or goes.
const LOOK: Duration = Duration::from_secs(3);

/// The process whose network is the node's.
pub(super) const FIRST_OF_NODE: u32 = 1;

/// Keeps the guard.
#[derive(Default)]
pub(super) struct Guarding {
    /// Whose devices were looked up last, and what of each is guarded.
    meant: BTreeMap<WorkloadId, Sides>,
    held: Guard,
    looked: Option<Instant>,
    /// What is not guarded, as was told last.
    told: BTreeSet<String>,
}

/// What of a pod is guarded: all but where its capture leaves something out.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sides {
    pub(super) inbound: bool,
    pub(super) outbound: bool,
}

/// What came of a look.
#[derive(Default)]
pub(super) struct Looked {
    /// What of the guard somebody had changed, in words, and was put back.
    pub(super) put_back: Option<String>,
    pub(super) said: Vec<Said>,
}

impl Guarding {
    /// Guards these pods and no others.
    pub(super) fn keep(&mut self, pods: &BTreeMap<WorkloadId, Pod>) -> Looked {
        let meant = pods.iter().map(|(id, pod)| (id.clone(), pod.sides()));
        let meant: BTreeMap<_, _> = meant.collect();
        let is_due = self.looked.is_none_or(|looked| looked.elapsed() >= LOOK);
        if meant == self.meant && (!is_due || meant.is_empty()) {
            return Looked::default();
        }
        self.looked = Some(Instant::now());
        let looked = Netns::of_process(FIRST_OF_NODE).and_then(|node| {
            node.within(|| {
                let (guard, without) = guard(pods, &veths()?);
                let put_back = self.hold(guard)?;
                Ok((put_back, without))
            })
        });
        self.meant = meant;
        let (put_back, missing) = match looked {
            Ok((put_back, without)) => {
                let missing = without.into_iter();
                let missing = missing.map(|(id, why)| format!("{id}: {why}"));
                (put_back, missing.collect())
            }
            Err(why) => (None, BTreeSet::from([why.to_string()])),
        };
        let (code, news) = (Code::H020, missing.difference(&self.told));
        let said = news.map(|why| Said::Bad(format!("{code} {}: {why}", code.slug())));
        let said = said.collect();
        self.told = missing;
        Looked { put_back, said }
    }

    /// What is not guarded, in words, if anything is not.
    pub(super) fn left_out(&self) -> Option<String> {
        let (first, others) = (self.told.first()?, self.told.len().saturating_sub(1));
        Some(match others {
            0 => first.clone(),
            more => format!("{first}; {more} more are not guarded"),
        })
    }

    /// Has the guard hold in this thread's network namespace; says what somebody else had changed of it.
    fn hold(&mut self, guard: Guard) -> io::Result<Option<String>> {
        let netfilter = Netfilter::open()?;
        let load = |guard: &Guard| netfilter.replace(&guard.rules()).map_err(io::Error::other);
        if guard != self.held {
            load(&guard)?;
            self.held = guard;
            return Ok(None);
        }
        let differences = netfilter.differences(&guard.rules())?;
        let Some(first) = differences.first() else {
            return Ok(None);
        };
        load(&guard)?;
        Ok(Some(format!("on the node's side: {first}")))
    }
}

/// The guard of these pods, of which the node has these devices, and the pods that it leaves out, with the reason.
fn guard(
    pods: &BTreeMap<WorkloadId, Pod>,
    devices: &[Veth],
) -> (Guard, BTreeMap<WorkloadId, &'static str>) {
    let (mut guard, mut without) = (Guard::default(), BTreeMap::new());
    for (id, pod) in pods {
        let is_other_end = |device: &&Veth| {
            let mut inside = pod.veths.iter();
            inside.any(|inside| (inside.peer, inside.index) == (device.index, device.peer))
        };
        let names = devices.iter().filter(is_other_end);
        let names: Vec<_> = names.map(|device| device.name.clone()).collect();
        if names.is_empty() {
            without.insert(id.clone(), "the node has no veth of it");
        }
        let Sides { inbound, outbound } = pod.sides();
        for (is_guarded, side) in [
            (inbound, &mut guard.inbound),
            (outbound, &mut guard.outbound),
        ] {
            if !is_guarded {
                continue;
            }
            match side.len() + names.len() <= Guard::MOST {
                true => side.extend(names.iter().cloned()),
                false => drop(without.insert(id.clone(), "as many pods are guarded as can be")),
            }
        }
    }
    (guard, without)
}
