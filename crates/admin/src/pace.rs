//! How much is told of those who ask: whoever looks, fails or knocks all day must not push the rest out.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leno_model::Wall;

/// How much of one who asks is told of in each [`WHILE`].
const MOST_OF_ONE: u32 = 10;
const WHILE: Duration = Duration::from_secs(60);

/// How often of late something was told of, in all and of each who asked: at most 10 times a minute of one.
#[derive(Debug)]
pub struct Pace<Who> {
    most: u32,
    lately: Mutex<Lately<Who>>,
}

#[derive(Debug)]
struct Lately<Who> {
    began: Option<Wall>,
    written: u32,
    by: BTreeMap<Who, u32>,
    /// How many were not written down since the last one that was.
    passed: u64,
}

impl<Who: Ord + Clone> Pace<Who> {
    /// At most `most` in a minute, of all together.
    pub fn new(most: u32) -> Self {
        Self {
            most,
            lately: Mutex::new(Lately::from(None, 0)),
        }
    }

    /// Tells of another one of `who` by `write`, with how many were only counted before it, or counts it. So
    /// many `before` it were counted elsewhere. It is counted only where as many as may be are told of already.
    /// Fails as `write` does.
    pub fn keep<E>(
        &self,
        who: &Who,
        now: Wall,
        before: u64,
        write: impl FnOnce(u64) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut pace = self.lock();
        // A clock that was set back begins anew, too.
        if pace
            .began
            .is_none_or(|began| now < began || now.since(began) >= WHILE)
        {
            *pace = Lately::from(Some(now), pace.passed);
        }
        // There are no more keys than records in a while.
        let own = pace.by.get(who).copied().unwrap_or_default();
        if pace.written >= self.most || own >= MOST_OF_ONE {
            pace.passed = pace.passed.saturating_add(before).saturating_add(1);
            return Ok(());
        }
        write(pace.passed.saturating_add(before))?;
        pace.written = pace.written.saturating_add(1);
        pace.by.insert(who.clone(), own + 1);
        pace.passed = 0;
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Lately<Who>> {
        self.lately.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Who> Lately<Who> {
    fn from(began: Option<Wall>, passed: u64) -> Self {
        Self {
            began,
            written: 0,
            by: BTreeMap::new(),
            passed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many more came before one that is written down; `None` for one that is not.
    fn kept(pace: &Pace<&'static str>, who: &'static str, seconds: u64) -> Option<u64> {
        kept_with(pace, who, seconds, 0)
    }

    fn kept_with(
        pace: &Pace<&'static str>,
        who: &'static str,
        seconds: u64,
        before: u64,
    ) -> Option<u64> {
        let mut told = None;
        let now = Wall::since_epoch(Duration::from_secs(seconds));
        let kept = pace.keep(&who, now, before, |passed| {
            told = Some(passed);
            Ok(())
        });
        kept.map(|()| told)
            .unwrap_or_else(|never: std::convert::Infallible| match never {})
    }

    #[test]
    fn whoever_knocks_all_day_does_not_push_the_rest_out() {
        let refusals = Pace::new(60);
        let (one, other) = ("shop/web", "nobody");
        let written = (0..500).filter(|_| kept(&refusals, one, 1000).is_some());
        assert_eq!(written.count(), 10);
        let of_other = kept(&refusals, other, 1001);
        assert_eq!(of_other, Some(490), "others are heard");
        assert_eq!(kept(&refusals, one, 1059), None);
        assert_eq!(kept(&refusals, one, 1060), Some(1));
        let names = (0..100).map(|number| &*format!("shop/{number}").leak());
        let many = names.filter(|who| kept(&refusals, who, 1061).is_some());
        assert_eq!(many.count(), 59, "all together have a bound");
    }

    #[test]
    fn those_who_were_counted_elsewhere_count_too() {
        let looks = Pace::new(1);
        assert_eq!(kept_with(&looks, "shop/web", 1000, 3), Some(3));
        assert_eq!(kept_with(&looks, "shop/web", 1001, 5), None);
        assert_eq!(kept_with(&looks, "shop/web", 1060, 2), Some(8));
    }

    #[test]
    fn nothing_is_only_counted_while_nothing_can_be_written() {
        let looks = Pace::new(u32::MAX);
        let who = "leno-people/bo";
        let now = Wall::since_epoch(Duration::from_secs(1000));
        for _ in 0..20 {
            let full = || Err::<(), _>("the disk is full");
            looks.keep(&who, now, 0, |_| full()).unwrap_err();
        }
        assert_eq!(kept(&looks, who, 1000), Some(0));
    }
}
