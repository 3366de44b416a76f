//! The sending end: looks wait here, oldest first, until they are known to be written down.

use alloc::{collections::VecDeque, string::String};
use core::time::Duration;

use leno_model::Mono;

use crate::looks::Look;

/// Looks that wait to be told: at most [`Outbox::MOST`]. Beyond that the oldest are only counted, in the
/// one after them.
#[derive(Default, Debug)]
pub struct Outbox {
    waiting: VecDeque<Look>,
    /// The one that is on its way.
    told: Option<Look>,
    /// When those of the last [`Outbox::WHILE`] were taken.
    lately: VecDeque<Mono>,
}

/// What is next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// This is to be told, again and again until it is taken.
    Tell(Look),
    /// There is more to tell, after so long.
    Wait(Duration),
    /// There is nothing to tell.
    Nothing,
}

impl Outbox {
    /// How many wait at most.
    pub const MOST: usize = 64;

    /// How many are told in each [`Self::WHILE`]: as many as a control plane writes down of one who looks.
    pub const PACE: usize = 10;

    /// See [`Self::PACE`].
    pub const WHILE: Duration = Duration::from_secs(60);

    /// Puts one in. What is too long of it is cut off.
    pub fn put(&mut self, mut look: Look) {
        cut(&mut look.what);
        cut(&mut look.about);
        self.waiting.push_back(look);
        if self.waiting.len() > Self::MOST
            && let Some(oldest) = self.waiting.pop_front()
            && let Some(next) = self.waiting.front_mut()
        {
            let counted = oldest.before.saturating_add(1);
            next.before = next.before.saturating_add(counted);
        }
    }

    /// What is to be done now.
    pub fn next(&mut self, now: Mono) -> Next {
        if let Some(told) = &self.told {
            return Next::Tell(told.clone());
        }
        while let Some(first) = self.lately.front()
            && now.since(*first) >= Self::WHILE
        {
            self.lately.pop_front();
        }
        if self.waiting.is_empty() {
            return Next::Nothing;
        }
        if self.lately.len() >= Self::PACE
            && let Some(first) = self.lately.front()
        {
            return Next::Wait(Self::WHILE.saturating_sub(now.since(*first)));
        }
        self.told = self.waiting.pop_front();
        self.told.clone().map_or(Next::Nothing, Next::Tell)
    }

    /// What was to be told is written down, or never will be.
    pub fn taken(&mut self, now: Mono) {
        if self.told.take().is_some() {
            self.lately.push_back(now);
        }
    }
}

fn cut(text: &mut String) {
    text.truncate(text.floor_char_boundary(Look::LONGEST_TEXT));
}

#[cfg(test)]
mod tests {
    use alloc::{format, vec::Vec};

    use leno_model::Wall;

    use super::*;

    fn look(number: usize) -> Look {
        Look {
            at: Wall::default(),
            user: 0,
            what: format!("tap {number}"),
            about: String::new(),
            is_refused: false,
            before: 0,
        }
    }

    fn at(seconds: u64) -> Mono {
        Mono::since_start(Duration::from_secs(seconds))
    }

    /// What is told at this moment, each with how many before it were only counted.
    fn told(outbox: &mut Outbox, now: Mono) -> Vec<(String, u64)> {
        let mut told = Vec::new();
        while let Next::Tell(look) = outbox.next(now) {
            assert_eq!(
                outbox.next(now),
                Next::Tell(look.clone()),
                "until it is taken"
            );
            outbox.taken(now);
            told.push((look.what, look.before));
        }
        told
    }

    #[test]
    fn what_waited_is_told_at_a_pace_at_which_all_is_written_down() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.next(at(0)), Next::Nothing);
        (0..15).for_each(|number| outbox.put(look(number)));
        let first = told(&mut outbox, at(5));
        assert_eq!(first.len(), Outbox::PACE);
        let wait = |seconds| Next::Wait(Duration::from_secs(seconds));
        assert_eq!(outbox.next(at(5)), wait(60));
        assert_eq!(outbox.next(at(64)), wait(1));
        let rest = told(&mut outbox, at(65));
        let names: Vec<_> = rest.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["tap 10", "tap 11", "tap 12", "tap 13", "tap 14"]);
        assert_eq!(outbox.next(at(65)), Next::Nothing);
    }

    #[test]
    fn of_too_many_the_oldest_are_counted_by_the_one_after_them() {
        let mut outbox = Outbox::default();
        outbox.put(look(0));
        assert!(matches!(outbox.next(at(0)), Next::Tell(_)), "on its way");
        (1..=Outbox::MOST + 5).for_each(|number| outbox.put(look(number)));
        let mut told = told(&mut outbox, at(0));
        told.truncate(3);
        let expect = [("tap 0", 0), ("tap 6", 5), ("tap 7", 0)];
        assert_eq!(told, expect.map(|(name, before)| (name.into(), before)));
    }

    #[test]
    fn what_somebody_types_has_a_bound() {
        let mut outbox = Outbox::default();
        outbox.put(Look {
            about: "ä".repeat(Look::LONGEST_TEXT),
            ..look(0)
        });
        let Next::Tell(told) = outbox.next(at(0)) else {
            panic!("it is told");
        };
        assert_eq!(Look::decode(&told.encode()), Ok(told));
    }
}
