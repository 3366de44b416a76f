//! The processes that carry the calls of one pod each, as whoever keeps them going sees them: for the metrics and for the
//! control plane.

use std::collections::BTreeMap;
use std::time::Duration;

use leno_model::Wall;
use leno_model::view::WorkloadId;
use tokio::sync::watch;

/// What is known of each process, and of what bounds them.
#[derive(Default, Debug)]
pub struct Processes(watch::Sender<Known>);

/// What is known.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Known {
    /// Of the process of each pod that has one.
    pub each: BTreeMap<WorkloadId, Process>,
    /// Why they run without control groups of their own, if they do.
    pub unbounded: Option<Told>,
}

/// What is known of one.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Process {
    /// How often it ended by itself.
    pub ends: u64,
    /// Its last end, if that was lately.
    pub ended: Option<Told>,
}

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// What, in words.
    pub why: String,
    /// When.
    pub at: Wall,
}

/// How long an end is told.
const NEWS: Duration = Duration::from_secs(600);

impl Processes {
    /// `workload` has a process of its own.
    pub fn expect(&self, workload: WorkloadId) {
        self.0.send_modify(|known| {
            known.each.entry(workload).or_default();
        });
    }

    /// `workload` has none any more.
    pub fn forget(&self, workload: &WorkloadId) {
        self.0
            .send_if_modified(|known| known.each.remove(workload).is_some());
    }

    /// That of `workload` has ended by itself.
    pub fn ended(&self, workload: &WorkloadId, why: String, now: Wall) {
        self.0.send_if_modified(|known| {
            let Some(process) = known.each.get_mut(workload) else {
                return false;
            };
            process.ends = process.ends.saturating_add(1);
            process.ended = Some(Told { why, at: now });
            true
        });
    }

    /// Why they run without control groups of their own, or that they do not.
    pub fn unbounded(&self, why: Option<String>, now: Wall) {
        self.0.send_if_modified(|known| {
            let is_news = known.unbounded.as_ref().map(|told| &told.why) != why.as_ref();
            if is_news {
                known.unbounded = why.map(|why| Told { why, at: now });
            }
            is_news
        });
    }

    /// Tells no more of what was long before `now`.
    pub fn look(&self, now: Wall) {
        let is_past = |told: &mut Told| now.since(told.at) >= NEWS;
        self.0.send_if_modified(|known| {
            let each = known.each.values_mut();
            let past = each.filter_map(|process| process.ended.take_if(is_past));
            past.count() > 0
        });
    }

    /// What is known, as it changes.
    pub fn known(&self) -> watch::Receiver<Known> {
        self.0.subscribe()
    }

    /// How often each ended by itself.
    pub(crate) fn ends(&self) -> Vec<(WorkloadId, u64)> {
        let known = self.0.borrow();
        let each = known.each.iter();
        each.map(|(workload, process)| (workload.clone(), process.ends))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use leno_model::{Name, Namespace};

    use super::*;

    #[test]
    fn an_end_is_counted_and_told_for_a_while() {
        let processes = Processes::default();
        let web = WorkloadId {
            namespace: Namespace::new("shop").unwrap(),
            name: Name::new("web-1").unwrap(),
        };
        let at = |second| Wall::since_epoch(Duration::from_secs(second));
        let told = || processes.known().borrow().each[&web].ended.clone();
        processes.ended(&web, "signal 9".to_owned(), at(1));
        assert_eq!(processes.ends(), [], "it had none");
        processes.expect(web.clone());
        processes.ended(&web, "signal 9".to_owned(), at(1));
        processes.ended(&web, "signal 6".to_owned(), at(3));
        processes.expect(web.clone());
        assert_eq!(processes.ends(), [(web.clone(), 2)]);
        processes.look(at(602));
        assert_eq!(told().map(|told| told.why).as_deref(), Some("signal 6"));
        processes.look(at(603));
        assert_eq!(told(), None);
        assert_eq!(processes.ends(), [(web.clone(), 2)]);
        processes.forget(&web);
        assert_eq!(processes.ends(), []);
    }

    #[test]
    fn why_nothing_bounds_them_is_told_since_it_began() {
        let processes = Processes::default();
        let at = |second| Wall::since_epoch(Duration::from_secs(second));
        let known = processes.known();
        processes.unbounded(None, at(1));
        assert!(!known.has_changed().unwrap());
        for second in [2, 3] {
            processes.unbounded(Some("no cgroup2".to_owned()), at(second));
        }
        let since = known.borrow().unbounded.as_ref().map(|told| told.at);
        assert_eq!(since, Some(at(2)));
        processes.unbounded(None, at(4));
        assert_eq!(known.borrow().unbounded, None);
    }
}
