//! How long a peer is waited for that makes no progress. Whoever has something to give it says how much it
//! has taken so far; each sign of progress begins its time anew.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Sleep;

/// A time that progress renews.
pub(crate) struct Patience {
    over: Pin<Box<Sleep>>,
    span: Duration,
    /// How much had been taken when it began.
    moved: u64,
}

impl Patience {
    /// One that ends when nothing has been taken for `span`, at the latest after twice as long.
    pub(crate) fn new(span: Duration, moved: u64) -> Self {
        Self {
            over: Box::pin(tokio::time::sleep(span)),
            span,
            moved,
        }
    }

    /// Ready when it is over; `moved` is how much has been taken so far.
    pub(crate) fn poll_over(&mut self, context: &mut Context<'_>, moved: u64) -> Poll<Duration> {
        loop {
            ready!(self.over.as_mut().poll(context));
            if self.moved == moved {
                return Poll::Ready(self.span);
            }
            self.moved = moved;
            self.over.set(tokio::time::sleep(self.span));
        }
    }
}

/// Notices a peer that takes nothing of what is ready for it. It has no timer as long as nothing ever waits.
pub(crate) struct Stall {
    limit: Duration,
    patience: Option<Patience>,
}

impl Stall {
    /// With a peer that may take nothing for so long.
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            limit,
            patience: None,
        }
    }

    /// Ready, with how long it was, when a peer has taken nothing for too long. To be asked whenever
    /// something is ready for it that it did not take.
    pub(crate) fn poll_over(&mut self, context: &mut Context<'_>, moved: u64) -> Poll<Duration> {
        let begin = || Patience::new(self.limit, moved);
        let patience = self.patience.get_or_insert_with(begin);
        patience.poll_over(context, moved)
    }
}

/// Waits until a peer has taken what `writing` writes; `None` when it has not for `limit`.
pub(crate) async fn written_within<T>(
    limit: Duration,
    writing: impl Future<Output = T>,
) -> Option<T> {
    let (mut writing, mut stall) = (pin!(writing), Stall::new(limit));
    std::future::poll_fn(|context| {
        if let Poll::Ready(written) = writing.as_mut().poll(context) {
            return Poll::Ready(Some(written));
        }
        stall.poll_over(context, 0).map(|_limit| None)
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(300);

    #[tokio::test(start_paused = true)]
    async fn progress_begins_the_time_anew() {
        let mut context = Context::from_waker(Waker::noop());
        let mut patience = Patience::new(Duration::from_secs(30), 0);
        let mut is_over = async |seconds, moved| {
            tokio::time::advance(Duration::from_secs(seconds)).await;
            patience.poll_over(&mut context, moved).is_ready()
        };
        assert!(!is_over(0, 0).await);
        assert!(!is_over(29, 0).await);
        assert!(!is_over(2, 100).await, "something was taken meanwhile");
        assert!(!is_over(29, 100).await);
        assert!(is_over(2, 100).await);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_something_now_and_then_is_not_given_up() {
        let mut context = Context::from_waker(Waker::noop());
        let mut stall = Stall::new(LIMIT);
        for moved in 0..9 {
            assert!(stall.poll_over(&mut context, moved).is_pending());
            tokio::time::advance(LIMIT - Duration::from_secs(1)).await;
        }
        assert!(stall.poll_over(&mut context, 8).is_pending());
        tokio::time::advance(LIMIT).await;
        assert!(stall.poll_over(&mut context, 8).is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_that_nobody_takes_ends() {
        assert_eq!(written_within(LIMIT, async { 1 }).await, Some(1));
        let stuck = written_within(LIMIT, std::future::pending::<()>());
        assert_eq!(stuck.await, None);
    }
}
