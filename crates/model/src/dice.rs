//! Chance as a value: seeded, passed in, and what was rolled is kept with the decision.

use core::num::NonZeroU32;

/// A seeded source of rolls (SplitMix64: Steele, Lea, Flood 2014). Not for secrets.
#[derive(Clone, Debug)]
pub struct Dice(State);

#[derive(Clone, Debug)]
enum State {
    Seeded(u64),
    Loaded(u32),
}

/// One roll below a limit, kept so that the decision it made can be told and made again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Roll {
    /// What came up: less than `of`.
    pub value: u32,
    /// How many sides the die had.
    pub of: NonZeroU32,
}

impl Dice {
    /// Dice that roll the same sequence for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(State::Seeded(seed))
    }

    /// Dice that always show `value`, or the highest side where there are fewer: for asking what
    /// would follow from a roll.
    pub fn loaded(value: u32) -> Self {
        Self(State::Loaded(value))
    }

    /// Rolls a die of `of` sides, each side as likely as the others to within one in four billion.
    pub fn roll(&mut self, of: NonZeroU32) -> Roll {
        if let State::Loaded(value) = self.0 {
            let value = value.min(of.get() - 1);
            return Roll { value, of };
        }
        let high = self.next_u64() >> 32;
        let value = (high * u64::from(of.get())) >> 32;
        Roll {
            value: u32::try_from(value).expect("less than `of`, which is a u32"),
            of,
        }
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        let mut bits = match &mut self.0 {
            State::Seeded(seed) => {
                *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
                *seed
            }
            State::Loaded(value) => return u64::from(*value),
        };
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_rolls_the_same() {
        let six = NonZeroU32::new(6).unwrap();
        let rolls = |seed| {
            let mut dice = Dice::new(seed);
            (0..20).map(|_| dice.roll(six).value).collect::<Vec<_>>()
        };
        assert_eq!(rolls(7), rolls(7));
        assert_ne!(rolls(7), rolls(8));
    }

    #[test]
    fn loaded_dice_show_what_they_are_told() {
        let three = NonZeroU32::new(3).unwrap();
        let rolled = |value| Dice::loaded(value).roll(three).value;
        assert_eq!([rolled(0), rolled(2), rolled(9)], [0, 2, 2]);
    }

    #[test]
    fn every_side_comes_up_about_as_often() {
        let mut dice = Dice::new(1);
        let mut seen = [0u32; 10];
        for _ in 0..10_000 {
            seen[dice.roll(NonZeroU32::new(10).unwrap()).value as usize] += 1;
        }
        assert!(
            seen.iter().all(|count| (850..1150).contains(count)),
            "{seen:?}"
        );
    }
}
