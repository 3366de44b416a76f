//! What went of late: counters as they were a while ago, to be compared with.

use std::collections::VecDeque;
use std::time::Duration;

use leno_model::Mono;

/// Counters at moments when somebody looked. While nobody does, nothing is kept up to date.
pub(super) struct Recent<T> {
    looks: VecDeque<(Mono, T)>,
}

/// How much of the past is shown to who looks often.
const WINDOW: Duration = Duration::from_secs(10);

/// Looks that are closer to each other are one.
const STEP: Duration = Duration::from_secs(1);

impl<T> Recent<T> {
    /// Counters began to count then, with `nothing`.
    pub(super) fn new(began: Mono, nothing: T) -> Self {
        Self {
            looks: [(began, nothing)].into(),
        }
    }

    /// The counters to compare those of `now` with, and how long ago they were so: as long as is
    /// shown, or since somebody looked last, if that is longer.
    pub(super) fn look(&mut self, now: Mono, counters: T) -> (&T, Duration) {
        let age = |look: Option<&(Mono, T)>| look.map_or(Duration::ZERO, |(at, _)| now.since(*at));
        while age(self.looks.get(1)) >= WINDOW {
            self.looks.pop_front();
        }
        if age(self.looks.back()) >= STEP {
            self.looks.push_back((now, counters));
        }
        let (at, counters) = self.looks.front().expect("the last look is never dropped");
        (counters, now.since(*at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at these seconds, and what each is compared with: the second whose counters, and for
    /// how long.
    fn check(looks: &[(u64, u64, u64)]) {
        let at = |seconds| Mono::since_start(Duration::from_secs(seconds));
        let mut recent = Recent::new(at(0), 0);
        for (now, with, span) in looks {
            let (counters, time) = recent.look(at(*now), *now);
            assert_eq!((*counters, time.as_secs()), (*with, *span), "at {now}");
            assert!(recent.looks.len() <= 12);
        }
    }

    #[test]
    fn the_first_look_is_at_all_there_was() {
        check(&[
            (0, 0, 0),
            (400, 0, 400),
            (400, 0, 400),
            (409, 0, 409),
            (410, 400, 10),
        ]);
    }

    #[test]
    fn who_looks_often_sees_the_last_seconds() {
        let often = (0..100).map(|now| {
            let with = now.max(10) - 10;
            (now, with, now - with)
        });
        check(&often.collect::<Vec<_>>());
    }

    #[test]
    fn who_looks_again_sees_what_went_meanwhile() {
        check(&[
            (2, 0, 2),
            (12, 2, 10),
            (100, 12, 88),
            (102, 12, 90),
            (110, 100, 10),
        ]);
    }
}
