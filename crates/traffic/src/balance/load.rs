//! What one worker knows of one endpoint: how fast it answers, how often it fails, how much it has
//! in flight.

use core::cell::Cell;
use core::time::Duration;

use leno_model::Mono;

use crate::balance::Ended;

/// After this long without news, half of what was known is forgotten: a slow endpoint looks half
/// as slow, a failing one half as bad, so that it is tried again.
const HALF_LIFE: Duration = Duration::from_secs(10);

/// In seconds: what differs below this is noise.
pub(super) const AS_FAST_AS_ANY: f64 = 0.001;

/// How much one call moves the share of failing calls.
const STEP: f64 = 1.0 / 8.0;
/// The same for a call that did not even reach the endpoint.
const STEP_UNREACHED: f64 = 1.0 / 2.0;

/// The state of one endpoint. Shared by the pool of a port, the one that follows it when the view
/// changes, and the calls that are in flight, all of one worker.
#[derive(Debug, Default)]
pub(super) struct Load {
    in_flight: Cell<u32>,
    /// Seconds until an answer, as of `at`; `None` if there was none yet.
    latency: Cell<Option<f64>>,
    /// The share of calls that fail, as of `at`.
    failing: Cell<f64>,
    at: Cell<Mono>,
}

/// What is known of an endpoint at one moment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Reading {
    pub(super) in_flight: u32,
    pub(super) latency: Option<f64>,
    pub(super) failing: f64,
}

impl Load {
    pub(super) fn read(&self, now: Mono) -> Reading {
        let kept = kept_after(now.since(self.at.get()));
        Reading {
            in_flight: self.in_flight.get(),
            latency: self.latency.get().map(|latency| latency * kept),
            failing: self.failing.get() * kept,
        }
    }

    pub(super) fn begin(&self) {
        self.in_flight.set(self.in_flight.get().saturating_add(1));
    }

    pub(super) fn end(&self) {
        self.in_flight.set(self.in_flight.get().saturating_sub(1));
    }

    /// Learns from a call that took this long.
    ///
    /// A slow answer counts at once and at its full length, and fades with time alone. A failure is
    /// never taken for speed: it makes an endpoint look slower or as before.
    pub(super) fn learn(&self, ended: Ended, took: Duration, now: Mono) {
        let kept = kept_after(now.since(self.at.get()));
        let took = took.as_secs_f64();
        let latency = match (self.latency.get(), ended) {
            (Some(known), _) => Some(took.max(known * kept)),
            (None, Ended::Answered) => Some(took),
            (None, Ended::Failed | Ended::Unreached) => None,
        };
        let failing = self.failing.get() * kept;
        let failing = match ended {
            Ended::Answered => failing * (1.0 - STEP),
            Ended::Failed => failing + (1.0 - failing) * STEP,
            Ended::Unreached => failing + (1.0 - failing) * STEP_UNREACHED,
        };
        self.latency.set(latency);
        self.failing.set(failing);
        self.at.set(now);
    }

    /// Learns that no answer had come after this long.
    pub(super) fn learn_waiting(&self, waited: Duration, now: Mono) {
        let kept = kept_after(now.since(self.at.get()));
        let waited = waited.as_secs_f64();
        let known = self.latency.get().unwrap_or_default() * kept;
        if waited > known.max(AS_FAST_AS_ANY) {
            self.latency.set(Some(waited));
            self.failing.set(self.failing.get() * kept);
            self.at.set(now);
        }
    }
}

/// The part of what was known that is left after a time: a half to the power of its half-lives,
/// with straight lines between the whole powers (6 % too much at most).
fn kept_after(idle: Duration) -> f64 {
    let half_lives = idle.as_secs_f64() / HALF_LIFE.as_secs_f64();
    let mut left = half_lives;
    let mut kept = 1.0;
    while left >= 1.0 {
        left -= 1.0;
        kept /= 2.0;
        if kept < 1e-9 {
            return 0.0;
        }
    }
    kept * (1.0 - left / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_is_forgotten_in_a_half_life() {
        let kept = |seconds| kept_after(Duration::from_secs(seconds));
        assert_eq!(kept(0), 1.0);
        assert_eq!(kept(5), 0.75);
        assert_eq!(kept(10), 0.5);
        assert_eq!(kept(20), 0.25);
        assert_eq!(kept(u64::MAX), 0.0);
    }
}
