//! Which time is asked for, and how finely it is told.

use std::time::Duration;

use leno_admin::Failure;
use leno_model::Wall;
use leno_store::flows::TIERS;

/// A while, in steps of one length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Steps {
    pub(super) from: Wall,
    pub(super) step: Duration,
    pub(super) count: usize,
}

/// How many steps are told at once.
const MOST: usize = 1_000;

impl Steps {
    /// The while before `until`, as one step.
    pub(super) fn one(until: Wall, length: Duration) -> Self {
        Self {
            from: until - length,
            step: length,
            count: 1,
        }
    }

    /// The while before `until` in steps as fine as is asked for and kept at `now`; each begins at a
    /// multiple of its length, so that whoever asks again a little later is told the same of them.
    pub(super) fn of(
        until: Wall,
        length: Duration,
        step: Duration,
        now: Wall,
    ) -> Result<Self, Failure> {
        let age = now.since(until - length);
        let kept = TIERS.iter().rev().find(|(older, _)| age >= *older);
        let (_, finest) = kept.unwrap_or(&TIERS[0]);
        let step = step.max(*finest);
        let seconds = step.as_secs().max(1);
        let floor = |at: Wall| at.elapsed_since_epoch().as_secs() / seconds;
        let (first, last) = (floor(until - length), floor(until));
        let count = usize::try_from(last - first + 1).unwrap_or(usize::MAX);
        if count > MOST {
            let message = format!("that is {count} steps, and {MOST} are told at once");
            return Err(Failure::plain(message));
        }
        Ok(Self {
            from: Wall::since_epoch(Duration::from_secs(first * seconds)),
            step: Duration::from_secs(seconds),
            count,
        })
    }

    /// From when until when a step is.
    pub(super) fn span(&self, index: usize) -> (Wall, Wall) {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let from = self.from + self.step.saturating_mul(index);
        (from, from + self.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(until: u64, length: u64, step: u64, now: u64, expect: (u64, u64, usize)) {
        let at = |seconds| Wall::since_epoch(Duration::from_secs(seconds));
        let secs = Duration::from_secs;
        let steps = Steps::of(at(until), secs(length), secs(step), at(now)).unwrap();
        let from = steps.from.elapsed_since_epoch().as_secs();
        assert_eq!((from, steps.step.as_secs(), steps.count), expect);
    }

    #[test]
    fn steps_are_as_fine_as_what_is_kept() {
        let day = 86_400;
        check(day, 60, 10, day, (day - 60, 10, 7));
        check(day + 7, 60, 10, day + 7, (day - 60, 10, 7));
        check(day, 60, 1, day, (day - 60, 10, 7));
        check(day, 3600, 10, day, (day - 3600, 60, 61));
        check(day, 12 * 3600, 60, day, (day / 2, 600, 73));
        check(10 * day, day, 60, 20 * day, (9 * day, 3600, 25));
    }

    #[test]
    fn too_many_steps_are_refused() {
        let day = Duration::from_secs(86_400);
        let now = Wall::since_epoch(1000 * day);
        assert!(Steps::of(now, day, Duration::ZERO, now).is_ok());
        assert!(Steps::of(now, 100 * day, Duration::ZERO, now).is_err());
    }
}
