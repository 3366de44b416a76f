//! When each source of keys is looked at: as often as its policies say, and sooner where it is doubted,
//! but never at anybody's pace.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use leno_model::Mono;
use leno_model::view::access::KeySource;

/// The turns of all sources. One that was never looked at is due.
#[derive(Debug, Default)]
pub(super) struct Turns(BTreeMap<KeySource, Turn>);

#[derive(Debug)]
struct Turn {
    looked: Mono,
    due: Mono,
}

impl Turns {
    /// How long after a look the next one comes at the soonest, if it comes because of a doubt.
    const PAUSE: Duration = Duration::from_secs(30);

    /// Forgets all others.
    pub(super) fn keep(&mut self, is_wanted: impl Fn(&KeySource) -> bool) {
        self.0.retain(|source, _| is_wanted(source));
    }

    pub(super) fn is_due(&self, source: &KeySource, now: Mono) -> bool {
        self.0.get(source).is_none_or(|turn| turn.due <= now)
    }

    /// A source was looked at now, and is looked at again after `wait`.
    pub(super) fn looked(&mut self, source: &KeySource, now: Mono, wait: Duration) {
        let turn = Turn {
            looked: now,
            due: now + wait,
        };
        self.0.insert(source.clone(), turn);
    }

    /// These may have other keys than when they were looked at last.
    pub(super) fn doubt(&mut self, sources: &BTreeSet<KeySource>) {
        for source in sources {
            if let Some(turn) = self.0.get_mut(source) {
                turn.due = turn.due.min(turn.looked + Self::PAUSE);
            }
        }
    }

    /// How long it is until one is due.
    pub(super) fn wait(&self, now: Mono) -> Duration {
        let waits = self.0.values().map(|turn| turn.due.since(now));
        waits.min().unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use leno_model::view::access::KeyPlace;

    use super::*;

    #[test]
    fn doubts_bring_a_look_forward_and_however_many_there_are_not_more_than_one_in_a_while() {
        let source = |every| KeySource {
            place: KeyPlace::Url("https://id.test/keys".into()),
            every: Duration::from_secs(every),
            keep: Duration::from_secs(86_400),
        };
        // Each second, whether it is doubted; told is at which seconds it is looked at.
        let looks = |every: u64, doubted: &dyn Fn(u64) -> bool| {
            let source = source(every);
            let mut turns = Turns::default();
            let mut looks = Vec::new();
            for second in 0..=300 {
                let now = Mono::since_start(Duration::from_secs(second));
                if doubted(second) {
                    turns.doubt(&[source.clone()].into());
                }
                if turns.is_due(&source, now) {
                    turns.looked(&source, now, source.every);
                    looks.push(second);
                }
            }
            looks
        };
        assert_eq!(looks(300, &|_| false), [0, 300]);
        assert_eq!(looks(300, &|second| second == 100), [0, 100]);
        assert_eq!(looks(300, &|second| second == 7), [0, 30]);
        let all_the_time: Vec<_> = (0..=300).step_by(30).collect();
        assert_eq!(looks(300, &|_| true), all_the_time);
        // Who is looked at more often anyway is not looked at less.
        let often: Vec<_> = (0..=300).step_by(20).collect();
        assert_eq!(looks(20, &|_| true), often);
    }
}
