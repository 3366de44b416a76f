//! A histogram that one thread counts in and others read.

use std::time::Duration;

use leno_model::Histogram;

use crate::counter::Counter;

/// How many calls took how long, counted by one worker.
#[derive(Debug)]
pub(crate) struct Tally {
    buckets: [Counter; Histogram::BUCKETS],
    sum_us: Counter,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self {
            buckets: [const { Counter::new() }; Histogram::BUCKETS],
            sum_us: Counter::new(),
        }
    }

    pub(crate) fn record(&self, took: Duration) {
        self.buckets[Histogram::bucket(took)].add(1);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.sum_us.add(micros);
    }

    pub(crate) fn add_to(&self, histogram: &mut Histogram) {
        for (bucket, counter) in self.buckets.iter().enumerate() {
            histogram.add_to(bucket, counter.get());
        }
        histogram.add_sum(self.sum_us.get());
    }
}
