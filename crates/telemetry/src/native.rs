//! Durations in the buckets of native histograms, whose edges are powers of one base: what Prometheus
//! calls schema 3, and OpenTelemetry scale 3, eight buckets for each doubling.
//!
//! Each of our buckets is counted in the one that its middle lies in, always the same, so that counts
//! never go back. No two of ours share one, and a duration is told at most a quarter off.

use std::sync::LazyLock;
use std::time::Duration;

use leno_model::Histogram;

/// The schema: the base is 2 to the power of 2 to the power of minus this.
pub(crate) const SCHEMA: i32 = 3;

/// A histogram in native buckets, of which only those that are not empty are there.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Native {
    /// How many took no longer than [`Self::zero_threshold`].
    pub(crate) zero: u64,
    /// How many each bucket holds, by its number, ascending. Bucket `n` ends with base to the power
    /// of `n` seconds, and holds that.
    pub(crate) buckets: Vec<(i32, u64)>,
}

impl Native {
    pub(crate) fn of(histogram: &Histogram) -> Self {
        let mut native = Self {
            zero: 0,
            buckets: Vec::new(),
        };
        for (bucket, count) in histogram.filled() {
            match bucket.checked_sub(1) {
                None => native.zero = count,
                Some(index) => native.buckets.push((NUMBERS[index], count)),
            }
        }
        native
    }

    /// The longest duration that counts as none.
    pub(crate) fn zero_threshold() -> Duration {
        Histogram::edge(0).unwrap_or_default()
    }
}

/// The native bucket of each of ours but the first.
static NUMBERS: LazyLock<Vec<i32>> = LazyLock::new(|| {
    let edges: Vec<_> = (0..Histogram::BUCKETS)
        .filter_map(Histogram::edge)
        .map(|edge| edge.as_secs_f64())
        .collect();
    let middles = edges
        .windows(2)
        .map(|ends| number((ends[0] * ends[1]).sqrt()));
    // What took longer than the longest is told as little longer than that.
    let beyond = edges.last().map(|longest| number(*longest) + 1);
    middles.chain(beyond).collect()
});

/// The bucket that a number of seconds lies in.
fn number(seconds: f64) -> i32 {
    let steps = f64::from(1 << SCHEMA);
    (seconds.log2() * steps).ceil() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_buckets_become_one() {
        assert_eq!(NUMBERS.len(), Histogram::BUCKETS - 1);
        assert!(NUMBERS.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn what_is_told_is_at_most_a_quarter_off() {
        for (index, number) in NUMBERS.iter().enumerate().take(Histogram::BUCKETS - 2) {
            let ends =
                [index, index + 1].map(|index| Histogram::edge(index).unwrap().as_secs_f64());
            let told = [number - 1, *number].map(|number| (f64::from(number) / 8.0).exp2());
            assert!(told[1] / ends[0] < 1.25, "{ends:?} as {told:?}");
            assert!(told[0] / ends[1] > 0.8, "{ends:?} as {told:?}");
        }
    }
}
