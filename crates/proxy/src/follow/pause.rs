//! How long to wait before the control plane is tried again.

use std::num::NonZeroU32;
use std::time::Duration;

use leno_model::Dice;

/// Doubles from a tenth of a second to ten seconds, each time between half of that and all of it, so
/// that many proxies do not come back at once.
#[derive(Debug, Default)]
pub(super) struct Pause {
    failures: u32,
}

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

impl Pause {
    /// How long to wait after one more failure.
    pub(super) fn next(&mut self, dice: &mut Dice) -> Duration {
        const STEPS: NonZeroU32 = NonZeroU32::new(1001).expect("not zero");
        let whole = (SHORTEST * 2u32.saturating_pow(self.failures.min(16))).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        whole / 2 + whole / 2 * dice.roll(STEPS).value / 1000
    }

    /// It worked: the next failure is the first.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_begin_anew_after_a_success() {
        let mut dice = Dice::new(1);
        let mut pause = Pause::default();
        let mut whole = SHORTEST;
        for _ in 0..20 {
            let next = pause.next(&mut dice);
            assert!(whole / 2 <= next && next <= whole, "{next:?} of {whole:?}");
            whole = (whole * 2).min(LONGEST);
        }
        pause.reset();
        assert!(pause.next(&mut dice) <= SHORTEST);
    }
}
