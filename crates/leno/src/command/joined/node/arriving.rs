//! The pods that are captured and wait for their start, with the network plugin's questions about them.

use std::collections::BTreeMap;
use std::time::Duration;

use leno_cni::Answer;
use leno_model::Code;
use leno_model::view::WorkloadId;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::command::joined::node::plugin::refused;

/// For how long a pod that is captured waits to be served before it starts.
const STARTING: Duration = Duration::from_secs(3);

/// The pods that wait.
#[derive(Default)]
pub(super) struct Arrivals(BTreeMap<WorkloadId, Waiting>);

/// One of them.
struct Waiting {
    /// When it starts at the latest, though it is not served yet.
    until: Instant,
    /// Whoever asked about it: a runtime may ask again.
    answers: Vec<oneshot::Sender<Answer>>,
}

impl Arrivals {
    /// Lets `id` wait, and `answer` with whoever asked about it before.
    pub(super) fn wait(&mut self, id: WorkloadId, answer: oneshot::Sender<Answer>, now: Instant) {
        let waiting = self.0.entry(id).or_insert_with(|| Waiting {
            until: now + STARTING,
            answers: Vec::new(),
        });
        waiting.answers.push(answer);
    }

    /// Lets those start that are served, and those for which nobody could be expected to wait longer: what they send
    /// waits.
    pub(super) fn let_start(&mut self, is_served: impl Fn(&WorkloadId) -> bool, now: Instant) {
        let may_start =
            |id: &WorkloadId, waiting: &mut Waiting| is_served(id) || waiting.until <= now;
        for (_, waiting) in self.0.extract_if(.., may_start) {
            waiting.answer(&Answer::Served(true));
        }
    }

    /// Refuses `id`, if it waits: its network is captured no more.
    pub(super) fn refuse(&mut self, id: &WorkloadId) {
        if let Some(waiting) = self.0.remove(id) {
            waiting.answer(&refused(Code::H018, "this proxy let go of it meanwhile"));
        }
    }
}

impl Waiting {
    fn answer(self, given: &Answer) {
        for answer in self.answers {
            // One that hangs up asks again.
            answer.send(given.clone()).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use leno_model::{Name, Namespace};
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    fn cart() -> WorkloadId {
        WorkloadId {
            namespace: Namespace::new("shop").unwrap(),
            name: Name::new("cart-1").unwrap(),
        }
    }

    #[test]
    fn who_asks_again_waits_with_who_asked_first() {
        let began = Instant::now();
        let mut arrivals = Arrivals::default();
        let mut answers = [Duration::ZERO, STARTING / 2].map(|later| {
            let (answer, answered) = oneshot::channel();
            arrivals.wait(cart(), answer, began + later);
            arrivals.let_start(|_| false, began + later);
            answered
        });
        let nothing = Err(TryRecvError::Empty);
        assert_eq!(
            answers.each_mut().map(|one| one.try_recv()),
            [nothing.clone(), nothing]
        );
        // As soon as it is served, or when the first has waited long enough.
        arrivals.let_start(|_| false, began + STARTING);
        let started = Ok(Answer::Served(true));
        assert_eq!(
            answers.each_mut().map(|one| one.try_recv()),
            [started.clone(), started.clone()]
        );
        let (answer, mut answered) = oneshot::channel();
        arrivals.wait(cart(), answer, began);
        arrivals.let_start(|id| *id == cart(), began);
        assert_eq!(answered.try_recv(), started);
    }

    #[test]
    fn a_pod_that_is_let_go_of_does_not_start_as_if_it_were_captured() {
        let mut arrivals = Arrivals::default();
        let (answer, mut answered) = oneshot::channel();
        arrivals.wait(cart(), answer, Instant::now());
        arrivals.refuse(&cart());
        let told = answered.try_recv();
        assert!(matches!(told, Ok(Answer::Refused { .. })), "{told:?}");
    }
}
