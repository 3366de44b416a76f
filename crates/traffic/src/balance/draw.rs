//! Drawing by weight, without those that are not wanted.

use alloc::vec::Vec;
use core::num::NonZeroU32;

use leno_model::{Dice, Roll};

/// Weights, summed up so that a draw is one search.
#[derive(Debug)]
pub(super) struct Weights {
    /// Where each share ends: the sums of the weights up to it.
    ends: Vec<u32>,
}

impl Weights {
    /// Takes the weights as they are if their sum fits, else all of them halved often enough.
    pub(super) fn new(weights: &[NonZeroU32]) -> Self {
        let sum = weights
            .iter()
            .map(|weight| u64::from(weight.get()))
            .sum::<u64>();
        let shift = (0..32)
            .find(|shift| (sum >> shift) + weights.len() as u64 <= u64::from(u32::MAX))
            .unwrap_or(31);
        let ends = weights.iter().scan(0u32, |end, weight| {
            *end = end.saturating_add((weight.get() >> shift).max(1));
            Some(*end)
        });
        Self {
            ends: ends.collect(),
        }
    }

    /// The weight at `place` beside the average one.
    pub(super) fn share(&self, place: usize) -> f64 {
        let average = f64::from(self.total()) / self.ends.len() as f64;
        f64::from(self.weight(place)) / average
    }

    /// Draws a place that is not in `without`, which rises; `None` if there is no other.
    pub(super) fn draw(&self, without: &[usize], dice: &mut Dice) -> Option<(usize, Roll)> {
        let excluded = without.iter().map(|place| self.weight(*place)).sum::<u32>();
        let roll = dice.roll(NonZeroU32::new(self.total() - excluded)?);
        let mut point = roll.value;
        for place in without {
            if point < self.start(*place) {
                break;
            }
            point += self.weight(*place);
        }
        Some((self.ends.partition_point(|end| *end <= point), roll))
    }

    fn total(&self) -> u32 {
        self.ends.last().copied().unwrap_or_default()
    }

    fn start(&self, place: usize) -> u32 {
        match place.checked_sub(1) {
            Some(before) => self.ends[before],
            None => 0,
        }
    }

    fn weight(&self, place: usize) -> u32 {
        self.ends[place] - self.start(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(weights: &[u32]) -> Weights {
        let weights: Vec<_> = weights
            .iter()
            .map(|w| NonZeroU32::new(*w).unwrap())
            .collect();
        Weights::new(&weights)
    }

    fn counts(weights: &Weights, without: &[usize]) -> Vec<u32> {
        let mut dice = Dice::new(3);
        let mut counts = vec![0; weights.ends.len()];
        for _ in 0..10_000 {
            let (place, _) = weights.draw(without, &mut dice).unwrap();
            counts[place] += 1;
        }
        counts
    }

    #[test]
    fn each_is_drawn_by_its_weight_among_those_that_are_wanted() {
        let four = weights(&[1, 2, 3, 4]);
        let near = |counts: Vec<u32>, expect: [u32; 4]| {
            for (count, expect) in counts.iter().zip(expect) {
                assert!(count.abs_diff(expect) < 200, "{counts:?}");
            }
        };
        near(counts(&four, &[]), [1000, 2000, 3000, 4000]);
        near(counts(&four, &[0]), [0, 2222, 3333, 4444]);
        near(counts(&four, &[1, 3]), [2500, 0, 7500, 0]);
        near(counts(&four, &[0, 1, 2]), [0, 0, 0, 10_000]);
        assert_eq!(four.draw(&[0, 1, 2, 3], &mut Dice::new(1)), None);
        assert_eq!(weights(&[]).draw(&[], &mut Dice::new(1)), None);
    }

    #[test]
    fn weights_that_do_not_fit_keep_their_proportion() {
        let huge = weights(&[u32::MAX, u32::MAX, 1]);
        let counts = counts(&huge, &[]);
        assert!(
            counts[0].abs_diff(5000) < 200 && counts[1].abs_diff(5000) < 200,
            "{counts:?}"
        );
    }
}
