//! Whether what workloads send comes to the proxy in front of them, as it was tried last: for the metrics, for
//! whoever asks whether the proxy is ready, and for its control plane.

use std::collections::BTreeMap;
use std::time::Duration;

use leno_model::view::WorkloadId;
use leno_model::{Code, Wall};
use tokio::sync::watch;

/// What is known of the capture of each workload that is to be captured. One that is none of them is not there.
#[derive(Default, Debug)]
pub struct Capture(watch::Sender<Captures>);

/// What is known of each workload that is to be captured.
pub type Captures = BTreeMap<WorkloadId, Captured>;

/// What is known of one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Captured {
    /// In front of what the proxy stands.
    pub whose: Whose,
    /// What came of the last try.
    pub tried: Tried,
    /// How often the capture was lost.
    pub losses: u64,
    /// How often packet rules that somebody changed were put back.
    pub repairs: u64,
    /// What was put back lately.
    pub repaired: Option<Repaired>,
}

impl Captured {
    fn of(whose: Whose) -> Self {
        Self {
            whose,
            tried: Tried::NotYet,
            losses: 0,
            repairs: 0,
            repaired: None,
        }
    }
}

/// In front of what a proxy stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    /// Of this workload alone: it is not ready while that is not captured.
    Own,
    /// Of the pods of its node, of which this is one.
    Pod,
    /// Of none of this one's calls: it keeps the packet rules of a pod of its node, in which another proxy sees whether they
    /// work.
    Sidecar,
}

/// Packet rules that were put back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Repaired {
    /// What was not as it should be, in words.
    pub what: String,
    /// When.
    pub at: Wall,
}

/// What came of the last try.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tried {
    /// There was none yet.
    NotYet,
    /// What was sent has come.
    Proven,
    /// It has not.
    Lost {
        /// Why, in words.
        why: String,
        /// Since when, as far as that is known.
        since: Wall,
    },
}

impl Capture {
    /// `workload` is to be captured, and nothing is known of that.
    pub fn expect(&self, workload: WorkloadId, whose: Whose) {
        self.0.send_modify(|all| {
            all.entry(workload).or_insert_with(|| Captured::of(whose));
        });
    }

    /// `workload` is to be captured no more.
    pub fn forget(&self, workload: &WorkloadId) {
        self.0
            .send_if_modified(|all| all.remove(workload).is_some());
    }

    /// What `workload` sent has come.
    pub fn proven(&self, workload: &WorkloadId) {
        self.0.send_if_modified(|all| {
            let Some(captured) = all.get_mut(workload) else {
                return false;
            };
            let was_lost = captured.tried != Tried::Proven;
            captured.tried = Tried::Proven;
            was_lost
        });
    }

    /// What was put back long before `now` is no news any more.
    pub fn forget_news(&self, now: Wall) {
        let is_past = |repaired: &mut Repaired| now.since(repaired.at) >= NEWS;
        self.0.send_if_modified(|all| {
            let over = all
                .values_mut()
                .filter_map(|it| it.repaired.take_if(is_past));
            over.count() > 0
        });
    }

    /// Packet rules of `workload` were put back. Whether that is told: of many in a row, some are, and all are counted.
    pub fn repaired(&self, workload: &WorkloadId, what: String, now: Wall) -> bool {
        self.0.send_if_modified(|all| {
            let Some(captured) = all.get_mut(workload) else {
                return false;
            };
            captured.repairs = captured.repairs.saturating_add(1);
            let last = captured.repaired.as_ref();
            if last.is_some_and(|last| now.since(last.at) < TOLD_AGAIN) {
                return false;
            }
            captured.repaired = Some(Repaired { what, at: now });
            true
        })
    }

    /// It has not, for this reason; `since` counts where it did before.
    pub fn lost(&self, workload: &WorkloadId, why: String, since: Wall) {
        self.0.send_if_modified(|all| {
            let Some(captured) = all.get_mut(workload) else {
                return false;
            };
            let since = match &captured.tried {
                Tried::Lost { since, .. } => *since,
                Tried::NotYet | Tried::Proven => {
                    captured.losses = captured.losses.saturating_add(1);
                    since
                }
            };
            let lost = Tried::Lost { why, since };
            let is_new = captured.tried != lost;
            captured.tried = lost;
            is_new
        });
    }

    /// Why the proxy cannot be called ready, if it cannot: the capture of a workload is not proven.
    pub fn unproven(&self) -> Option<String> {
        let (code, slug) = (Code::H007, Code::H007.slug());
        let all = self.0.borrow();
        let mut own = all
            .iter()
            .filter(|(_, captured)| captured.whose == Whose::Own);
        own.find_map(|(workload, captured)| {
            let why = match &captured.tried {
                Tried::Proven => return None,
                Tried::NotYet => "it was not tried yet",
                Tried::Lost { why, .. } => why,
            };
            Some(format!("{code} {slug}: {workload}: {why}"))
        })
    }

    /// What is known, as it changes.
    pub fn known(&self) -> watch::Receiver<Captures> {
        self.0.subscribe()
    }

    /// What is known of each.
    pub(crate) fn each(&self) -> Vec<(WorkloadId, Captured)> {
        let all = self.0.borrow();
        let each = all.iter();
        each.map(|(workload, captured)| (workload.clone(), captured.clone()))
            .collect()
    }
}

/// How long it is told that rules were put back.
const NEWS: Duration = Duration::from_secs(600);
/// How soon after one that was told the next is.
const TOLD_AGAIN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use leno_model::{Name, Namespace};

    use super::*;

    #[test]
    fn a_loss_begins_once_and_is_over_with_a_proof() {
        let capture = Capture::default();
        let web = WorkloadId {
            namespace: Namespace::new("shop").unwrap(),
            name: Name::new("web").unwrap(),
        };
        let lost = |why: &str, second| {
            capture.lost(
                &web,
                why.to_owned(),
                Wall::since_epoch(Duration::from_secs(second)),
            );
        };
        // Nobody asked about it.
        lost("nothing came", 1);
        capture.proven(&web);
        assert_eq!(capture.unproven(), None);
        assert_eq!(capture.each(), []);

        capture.expect(web.clone(), Whose::Own);
        let said = |why| Some(format!("H007 capture-lost: shop/web: {why}"));
        assert_eq!(capture.unproven(), said("it was not tried yet"));
        capture.proven(&web);
        assert_eq!(capture.unproven(), None);
        let known = capture.known();
        capture.proven(&web);
        assert!(!known.has_changed().unwrap());
        lost("nothing came", 2);
        lost("it was refused", 3);
        assert_eq!(capture.unproven(), said("it was refused"));
        assert!(known.has_changed().unwrap());
        let since = Wall::since_epoch(Duration::from_secs(2));
        let why = "it was refused".to_owned();
        let expect = Captured {
            tried: Tried::Lost { why, since },
            losses: 1,
            ..Captured::of(Whose::Own)
        };
        assert_eq!(capture.each(), [(web.clone(), expect)]);
        capture.proven(&web);
        lost("nothing came", 4);
        assert_eq!(capture.each()[0].1.losses, 2);
    }
    #[test]
    fn what_is_put_back_is_counted_and_told_for_a_while() {
        let capture = Capture::default();
        let web = WorkloadId {
            namespace: Namespace::new("shop").unwrap(),
            name: Name::new("web-1").unwrap(),
        };
        let at = |second| Wall::since_epoch(Duration::from_secs(second));
        let repaired = |second| capture.repaired(&web, "no table".to_owned(), at(second));
        assert!(!repaired(1), "nobody asked about it");
        capture.expect(web.clone(), Whose::Pod);
        // The proxy of a node is ready, whatever becomes of one of its pods.
        assert_eq!(capture.unproven(), None);
        assert!(repaired(1));
        assert!(!repaired(2));
        assert!(repaired(6));
        let known = || capture.each()[0].1.clone();
        assert_eq!(known().repairs, 3);
        assert_eq!(known().repaired.map(|it| it.at), Some(at(6)));
        capture.forget_news(at(600));
        assert!(known().repaired.is_some());
        capture.forget_news(at(606));
        assert_eq!(known().repaired, None);
        assert_eq!(known().repairs, 3);
        capture.forget(&web);
        assert_eq!(capture.each(), []);
    }
}
