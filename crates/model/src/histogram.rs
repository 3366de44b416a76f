//! How long calls took, counted in buckets of at most a quarter of their value: exact to add up,
//! small enough to keep for thousands of series.
//!
//! Each power of ten from 10 µs to 100 s is cut into 16 steps, so that every duration of two digits
//! that people write in a rule (2.5 ms, 10 ms, 1 s) is the edge of a bucket.

use alloc::boxed::Box;
use core::time::Duration;

/// How many calls took how long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Histogram {
    buckets: Box<[u64; Histogram::BUCKETS]>,
    sum_us: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: Box::new([0; Self::BUCKETS]),
            sum_us: 0,
        }
    }
}

impl Histogram {
    /// One bucket up to 10 µs, 16 in each of the seven powers of ten above, one for the rest.
    pub const BUCKETS: usize = 1 + 16 * 7 + 1;

    /// The bucket of a duration. A bucket holds its upper edge, as Prometheus counts.
    pub fn bucket(took: Duration) -> usize {
        bucket(took)
    }

    /// The longest duration that a bucket holds; the last one has none.
    pub fn edge(bucket: usize) -> Option<Duration> {
        edge(bucket)
    }

    /// Counts one that took so long.
    pub fn record(&mut self, took: Duration) {
        self.add_to(bucket(took), 1);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.add_sum(micros);
    }

    /// Counts so many in a bucket; their sum is added by [`Self::add_sum`]. There is nothing beyond
    /// the last bucket.
    pub fn add_to(&mut self, bucket: usize, count: u64) {
        if let Some(inside) = self.buckets.get_mut(bucket) {
            *inside = inside.saturating_add(count);
        }
    }

    /// Adds to how long all took together, in microseconds.
    pub fn add_sum(&mut self, micros: u64) {
        self.sum_us = self.sum_us.wrapping_add(micros);
    }

    /// The buckets that hold something, each with how many.
    pub fn filled(&self) -> impl Iterator<Item = (usize, u64)> {
        let buckets = self.buckets.iter().copied().enumerate();
        buckets.filter(|(_, inside)| *inside > 0)
    }

    /// How long all took together, in microseconds.
    pub fn sum_us(&self) -> u64 {
        self.sum_us
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        let buckets = self.buckets.iter();
        buckets.fold(0, |sum, inside| sum.saturating_add(*inside))
    }

    /// How long they took together, in whole microseconds each.
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_us)
    }

    /// How many certainly took at most `limit`: all that did, if `limit` is the edge of a bucket.
    pub fn at_most(&self, limit: Duration) -> u64 {
        let last = bucket(limit);
        let within = match edge(last) == Some(limit) {
            true => &self.buckets[..=last],
            false => &self.buckets[..last],
        };
        within.iter().sum()
    }

    /// The duration that a `share` (0 to 1) of the calls did not exceed, as near as the buckets tell;
    /// nothing if nothing was counted. What took more than 100 s is taken for 100 s.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = (share.clamp(0.0, 1.0) * count as f64).max(1.0);
        let mut below = 0;
        for (index, inside) in self.buckets.iter().enumerate() {
            let upto = u64::saturating_add(below, *inside);
            if *inside > 0 && upto as f64 >= rank {
                let floor = index.checked_sub(1).and_then(edge).unwrap_or_default();
                let width = edge(index).map_or(Duration::ZERO, |edge| edge - floor);
                let part = (rank - below as f64) / *inside as f64;
                return Some(floor + width.mul_f64(part.clamp(0.0, 1.0)));
            }
            below = upto;
        }
        Some(LONGEST)
    }

    /// Counts what `other` counted, too.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets.iter()) {
            *mine = mine.saturating_add(*theirs);
        }
        self.sum_us = self.sum_us.wrapping_add(other.sum_us);
    }

    /// What was counted after `earlier`, a former state of the same histogram.
    pub fn since(&self, earlier: &Self) -> Self {
        let mut rest = self.clone();
        for (mine, theirs) in rest.buckets.iter_mut().zip(earlier.buckets.iter()) {
            *mine = mine.saturating_sub(*theirs);
        }
        rest.sum_us = rest.sum_us.saturating_sub(earlier.sum_us);
        rest
    }
}

/// Where a power of ten is cut, in tenths of it.
const STEPS: [u64; 16] = [
    12, 14, 16, 18, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 90, 100,
];
const SHORTEST: Duration = Duration::from_micros(10);
const LONGEST: Duration = Duration::from_secs(100);

/// The bucket of a duration. A bucket holds its upper edge, as Prometheus counts.
fn bucket(took: Duration) -> usize {
    if took <= SHORTEST {
        return 0;
    }
    if took > LONGEST {
        return Histogram::BUCKETS - 1;
    }
    // Whole microseconds that are over; the one that has begun is the bucket's.
    let over = (took - Duration::from_nanos(1)).as_micros() as u64;
    let power = over.ilog10() - 1;
    let tenths = (over / 10_u64.pow(power)) as usize;
    let step = match tenths {
        ..20 => (tenths - 10) / 2,
        20..50 => 5 + (tenths - 20) / 5,
        50.. => 11 + (tenths - 50) / 10,
    };
    1 + power as usize * STEPS.len() + step
}

/// The longest duration in a bucket; the last one has none.
fn edge(bucket: usize) -> Option<Duration> {
    let Some(index) = bucket.checked_sub(1) else {
        return Some(SHORTEST);
    };
    let power = u32::try_from(index / STEPS.len()).ok()?;
    let micros = STEPS[index % STEPS.len()] * 10_u64.pow(power);
    (bucket < Histogram::BUCKETS - 1).then(|| Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use crate::dice::Dice;

    use super::*;

    fn of(durations: impl IntoIterator<Item = Duration>) -> Histogram {
        let mut histogram = Histogram::default();
        durations
            .into_iter()
            .for_each(|took| histogram.record(took));
        histogram
    }

    /// A duration somewhere between 1 ns and some minutes, each size as likely.
    fn some(dice: &mut Dice) -> Duration {
        let bits = dice.next_u64() % 38;
        Duration::from_nanos(1 + dice.next_u64() % (1 << (bits + 1)))
    }

    #[test]
    fn a_bucket_is_the_first_whose_edge_is_not_passed() {
        let naive = |took| {
            (0..Histogram::BUCKETS).find(|index| edge(*index).is_none_or(|edge| took <= edge))
        };
        let mut dice = Dice::new(1);
        for _ in 0..100_000 {
            let took = some(&mut dice);
            assert_eq!(Some(bucket(took)), naive(took), "{took:?}");
        }
        for took in (0..Histogram::BUCKETS).filter_map(edge) {
            assert_eq!(Some(bucket(took)), naive(took), "{took:?}");
            let more = took + Duration::from_nanos(1);
            assert_eq!(bucket(more), bucket(took) + 1, "{took:?}");
        }
        assert_eq!(bucket(Duration::ZERO), 0);
        assert_eq!(bucket(Duration::MAX), Histogram::BUCKETS - 1);
    }

    #[test]
    fn no_bucket_is_wider_than_a_quarter_of_its_floor() {
        let edges: Vec<_> = (0..Histogram::BUCKETS).filter_map(edge).collect();
        for pair in edges.windows(2) {
            assert!(pair[0] < pair[1], "{pair:?}");
            assert!(pair[1] - pair[0] <= pair[0] / 4, "{pair:?}");
        }
    }

    #[test]
    fn durations_that_people_write_are_edges() {
        for micros in [
            500, 1_000, 2_500, 5_000, 10_000, 250_000, 1_000_000, 30_000_000,
        ] {
            let took = Duration::from_micros(micros);
            assert!(
                (0..Histogram::BUCKETS).any(|index| edge(index) == Some(took)),
                "{took:?}"
            );
        }
    }

    #[test]
    fn quantiles_are_as_exact_as_the_buckets() {
        let mut dice = Dice::new(2);
        let mut all: Vec<_> = (0..10_000).map(|_| some(&mut dice)).collect();
        let histogram = of(all.iter().copied());
        all.sort();
        for (share, rank) in [(0.5, 5_000), (0.9, 9_000), (0.99, 9_900), (1.0, 10_000)] {
            let (exact, told) = (all[rank - 1], histogram.quantile(share).unwrap());
            let exact = exact.clamp(SHORTEST, LONGEST);
            let off = told.abs_diff(exact);
            assert!(off <= exact / 4, "{share}: {told:?}, exactly {exact:?}");
        }
    }

    #[test]
    fn nothing_counted_has_no_quantile() {
        assert_eq!(Histogram::default().quantile(0.5), None);
        let one = of([Duration::from_millis(1)]);
        assert_eq!(one.quantile(0.0), one.quantile(1.0));
        assert_eq!(of([Duration::MAX]).quantile(0.5), Some(LONGEST));
    }

    #[test]
    fn counts_add_up_and_come_apart_again() {
        let mut dice = Dice::new(3);
        let mut draw = || (0..1_000).map(|_| some(&mut dice)).collect::<Vec<_>>();
        let (before, after) = (draw(), draw());
        let mut both = of(before.iter().copied());
        both.add(&of(after.iter().copied()));
        assert_eq!(both, of(before.iter().chain(&after).copied()));
        assert_eq!(both.since(&of(before)), of(after));
    }

    #[test]
    fn what_was_within_a_limit_is_told_exactly() {
        let millis = [1, 2, 3, 10, 11].map(Duration::from_millis);
        let histogram = of(millis);
        assert_eq!(histogram.at_most(Duration::from_millis(10)), 4);
        assert_eq!(histogram.at_most(Duration::from_micros(10_500)), 4);
        assert_eq!(histogram.at_most(Duration::MAX), 5);
        assert_eq!(histogram.sum(), Duration::from_millis(27));
    }
}
