//! How a request waits for an answer of the control plane: for a bounded time, among a bounded
//! number of others.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use leno_model::view::WorkloadId;
use leno_model::{Code, Subscription};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many questions may be on their way to the follower.
const MOST_ORDERS: usize = 1024;

/// How many may wait for one answer, and for all answers together.
const MOST_FOR_ONE: usize = 1000;
const MOST_IN_ALL: usize = 10_000;

/// Asks the control plane on behalf of requests. A clone asks the same one.
#[derive(Clone, Debug)]
pub struct Asker(mpsc::Sender<Order>);

/// What a follower is told to do.
#[derive(Debug)]
pub(super) enum Order {
    /// Find out, and tell.
    Ask(Subscription, oneshot::Sender<Result<(), Unanswered>>),
    /// Stand in front of other workloads.
    Announce(BTreeSet<WorkloadId>, Option<SocketAddr>),
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// The control plane has not answered in time, or cannot be reached.
    #[error("the control plane has not said what this is")]
    NotYet,
    /// Too many wait already.
    #[error("too many requests wait for the control plane")]
    TooMany,
}

impl Unanswered {
    /// The code of the refusal that follows.
    pub fn code(self) -> Code {
        match self {
            Self::NotYet => Code::R015,
            Self::TooMany => Code::R043,
        }
    }
}

impl Asker {
    pub(super) fn new() -> (Self, mpsc::Receiver<Order>) {
        let (sender, receiver) = mpsc::channel(MOST_ORDERS);
        (Self(sender), receiver)
    }

    /// Waits until the view holds the answer to `question`, or the mesh is known not to have it: at
    /// most two seconds. When this returns, the view has been handed to
    /// [`Proxy::adopt`](crate::Proxy::adopt); a worker decides by it from its next turn on.
    pub async fn ask(&self, question: Subscription) -> Result<(), Unanswered> {
        let (answer, answered) = oneshot::channel();
        let order = Order::Ask(question, answer);
        self.0.try_send(order).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Unanswered::TooMany,
            mpsc::error::TrySendError::Closed(_) => Unanswered::NotYet,
        })?;
        let answered = timeout(PATIENCE, answered).await;
        answered.map_or(Err(Unanswered::NotYet), |answer| {
            answer.unwrap_or(Err(Unanswered::NotYet))
        })
    }

    /// Stands in front of `workloads` from here on, and takes mesh calls for them at `tunnel`.
    pub async fn announce(&self, workloads: BTreeSet<WorkloadId>, tunnel: Option<SocketAddr>) {
        // A follower that has ended follows nobody.
        drop(self.0.send(Order::Announce(workloads, tunnel)).await);
    }
}

/// Who waits for what.
#[derive(Debug, Default)]
pub(super) struct Waiting(BTreeMap<Subscription, Vec<oneshot::Sender<Result<(), Unanswered>>>>);

impl Waiting {
    /// Lets somebody wait, or says at once that there are too many.
    pub(super) fn add(
        &mut self,
        question: Subscription,
        answer: oneshot::Sender<Result<(), Unanswered>>,
    ) {
        self.forget_those_who_left();
        let in_all: usize = self.0.values().map(Vec::len).sum();
        let those = self.0.entry(question).or_default();
        if those.len() >= MOST_FOR_ONE || in_all >= MOST_IN_ALL {
            // Who asked has gone if this is not heard.
            answer.send(Err(Unanswered::TooMany)).ok();
            return;
        }
        those.push(answer);
    }

    /// Tells those whose answer is there.
    pub(super) fn tell(&mut self, is_known: impl Fn(&Subscription) -> bool) {
        self.forget_those_who_left();
        let known = self.0.extract_if(.., |question, _| is_known(question));
        for answer in known.flat_map(|(_, those)| those) {
            // As above.
            answer.send(Ok(())).ok();
        }
    }

    fn forget_those_who_left(&mut self) {
        self.0.retain(|_, those| {
            those.retain(|answer| !answer.is_closed());
            !those.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(name: &str) -> Subscription {
        Subscription::parse(&format!("service/shop/{name}")).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn who_gets_no_answer_waits_two_seconds() {
        let (asker, _orders) = Asker::new();
        let begin = tokio::time::Instant::now();
        assert_eq!(asker.ask(question("cart")).await, Err(Unanswered::NotYet));
        assert_eq!(begin.elapsed(), PATIENCE);
    }

    #[tokio::test]
    async fn all_who_wait_for_an_answer_are_told_at_once() {
        let mut waiting = Waiting::default();
        let mut answers = Vec::new();
        for name in ["cart", "cart", "mail"] {
            let (answer, answered) = oneshot::channel();
            waiting.add(question(name), answer);
            answers.push(answered);
        }
        waiting.tell(|known| *known == question("cart"));
        let told: Vec<_> = answers
            .iter_mut()
            .map(|answer| answer.try_recv().ok())
            .collect();
        assert_eq!(told, [Some(Ok(())), Some(Ok(())), None]);
    }

    #[tokio::test]
    async fn too_many_are_told_so_and_those_who_left_make_room() {
        let mut waiting = Waiting::default();
        let mut patient = Vec::new();
        for _ in 0..MOST_FOR_ONE {
            let (answer, answered) = oneshot::channel();
            waiting.add(question("cart"), answer);
            patient.push(answered);
        }
        let (answer, answered) = oneshot::channel();
        waiting.add(question("cart"), answer);
        assert_eq!(answered.await, Ok(Err(Unanswered::TooMany)));
        patient.pop();
        let (answer, mut answered) = oneshot::channel();
        waiting.add(question("cart"), answer);
        assert!(answered.try_recv().is_err(), "it waits");
    }
}
