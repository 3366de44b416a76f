//! Whether what workloads send comes to the proxy in front of them, as it was tried last: for the metrics, for
//! whoever asks whether the proxy is ready, and for its control plane.

use std::collections::BTreeMap;

use leno_model::view::WorkloadId;
use leno_model::{Code, Wall};
use tokio::sync::watch;

/// What is known of the capture of each workload that is to be captured. One that is none of them is not there.
#[derive(Default, Debug)]
pub struct Capture(watch::Sender<Captures>);

/// What is known of each workload that is to be captured.
pub type Captures = BTreeMap<WorkloadId, Captured>;

/// What is known of one.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Captured {
    /// What came of the last try.
    pub tried: Tried,
    /// How often the capture was lost.
    pub losses: u64,
}

/// What came of the last try.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub enum Tried {
    /// There was none yet.
    #[default]
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
    pub fn expect(&self, workload: WorkloadId) {
        self.0.send_modify(|all| {
            all.entry(workload).or_default();
        });
    }

    /// What `workload` sent has come.
    pub fn proven(&self, workload: &WorkloadId) {
        self.0.send_if_modified(|all| {
            let captured = all.get_mut(workload);
            let news = captured.filter(|captured| captured.tried != Tried::Proven);
            news.map(|captured| captured.tried = Tried::Proven)
                .is_some()
        });
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
        all.iter().find_map(|(workload, captured)| {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

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

        capture.expect(web.clone());
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
        let tried = Tried::Lost { why, since };
        assert_eq!(
            capture.each(),
            [(web.clone(), Captured { tried, losses: 1 })]
        );
        capture.proven(&web);
        lost("nothing came", 4);
        assert_eq!(capture.each()[0].1.losses, 2);
    }
}
