//! A rate that is kept by the time of events.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use leno_model::Wall;

/// A rate by the time that events carry: so many a second, all at once if nothing came before.
#[derive(Debug)]
pub(crate) struct Pace {
    /// The time that one event takes up, in nanoseconds.
    each: u64,
    /// Up to when time is taken up, in nanoseconds since 1970.
    taken: AtomicU64,
}

impl Pace {
    /// `limit` a second.
    pub(crate) fn new(limit: u32) -> Self {
        Self {
            each: SECOND / u64::from(limit.max(1)),
            taken: AtomicU64::new(0),
        }
    }

    /// Whether one more is within the rate at `time`.
    pub(crate) fn permits(&self, time: Wall) -> bool {
        let now = nanos(time.elapsed_since_epoch());
        let take = |taken: u64| {
            // Further ahead than events can take it: the clock went back.
            let taken = if taken > now + 2 * SECOND {
                now
            } else {
                taken.max(now)
            };
            let taken = taken + self.each;
            (taken <= now + SECOND).then_some(taken)
        };
        self.taken
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
    }
}

const SECOND: u64 = 1_000_000_000;

/// Until the year 2262, and never so much that adding seconds overflows.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).map_or(u64::MAX / 2, |nanos| nanos.min(u64::MAX / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_kept_by_the_time_of_events() {
        let pace = Pace::new(10);
        let permitted = |millis: &[u64]| {
            let at = |millis| Wall::since_epoch(Duration::from_millis(1_000_000 + millis));
            millis
                .iter()
                .filter(|millis| pace.permits(at(**millis)))
                .count()
        };
        assert_eq!(permitted(&[0; 50]), 10, "a burst of one second's events");
        assert_eq!(permitted(&[100; 50]), 1);
        assert_eq!(
            permitted(&[90, 80, 100]),
            0,
            "workers tell a little out of order"
        );
        assert_eq!(
            permitted(&[5_000; 50]),
            10,
            "what was saved up is one second's"
        );
        let every_ms: Vec<_> = (6_000..16_000).collect();
        assert_eq!(permitted(&every_ms), 110 - 1);
        assert_eq!(
            permitted(&[0; 50]),
            10,
            "a clock that goes back stops nothing"
        );
    }

    #[test]
    fn a_time_far_from_now_is_no_trouble() {
        let pace = Pace::new(u32::MAX);
        assert!(pace.permits(Wall::since_epoch(Duration::MAX)));
        assert!(pace.permits(Wall::default()));
        assert!(Pace::new(0).permits(Wall::default()));
    }
}
