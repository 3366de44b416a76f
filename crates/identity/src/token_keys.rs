//! When the keys that sign tokens replace each other. Whoever checks tokens learns of a key before it
//! signs, and knows it for as long as something that it signed is good.

use core::time::Duration;

use leno_model::Wall;

/// How long a token is good.
pub const TOKEN_LIFE: Duration = Duration::from_secs(5 * 60);

/// How long a key is published before it signs: those who ask for keys once an hour know it by then.
const AHEAD: Duration = Duration::from_secs(3600);

/// How long a key signs.
const SIGNING: Duration = Duration::from_secs(24 * 3600);

/// How long a key is known that signs no more: a token's life, and what clocks may differ by.
const KNOWN: Duration = TOKEN_LIFE.saturating_mul(3);

/// What is to be done about the keys.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KeyStep {
    /// One more is to be made.
    Make,
    /// The first one is to be forgotten.
    Forget,
}

/// Which of the keys signs, told by when each was made, in that order. The first key of all signs at
/// once.
pub fn signing_key(made: &[Wall], now: Wall) -> Option<usize> {
    let signs = |made: &Wall| *made + AHEAD <= now;
    let last = made.iter().rposition(signs);
    last.or_else(|| (!made.is_empty()).then_some(0))
}

/// What is to be done at `now`, if anything.
pub fn key_step(made: &[Wall], now: Wall) -> Option<KeyStep> {
    let newest = made.last().copied();
    if newest.is_none_or(|newest| newest + SIGNING <= now) {
        return Some(KeyStep::Make);
    }
    let signs = made.get(signing_key(made, now)?)?;
    let is_settled = *signs + AHEAD + KNOWN <= now;
    (is_settled && made.first() != Some(signs)).then_some(KeyStep::Forget)
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// Ten days, looked at every minute: whoever has read the keys within the hour before a token was
    /// made can check it, and so can whoever reads them while it is good.
    #[test]
    fn a_token_can_be_checked_by_all_who_read_the_keys_in_time() {
        let minute = Duration::from_secs(60);
        let begin = Wall::since_epoch(Duration::from_secs(1_800_000_000));
        let mut made: Vec<Wall> = Vec::new();
        let mut known: Vec<Vec<Wall>> = Vec::new();
        let mut signed: Vec<Wall> = Vec::new();
        let mut keys = 0;
        for minutes in 0..10 * 24 * 60 {
            let now = begin + minute * minutes;
            while let Some(step) = key_step(&made, now) {
                match step {
                    KeyStep::Make => made.push(now),
                    KeyStep::Forget => drop(made.remove(0)),
                }
                keys += usize::from(step == KeyStep::Make);
            }
            assert!((1..=2).contains(&made.len()), "{made:?}");
            signed.push(made[signing_key(&made, now).unwrap()]);
            known.push(made.clone());
            let at = known.len() - 1;
            assert!(known[at.saturating_sub(59)].contains(&signed[at]) || at < 60);
            let young = signed[at.saturating_sub(5)..].iter();
            assert!(young.clone().all(|key| known[at].contains(key)));
        }
        assert_eq!(keys, 10);
    }

    #[test]
    fn a_control_plane_that_was_away_for_long_has_a_key_at_once() {
        let made = Wall::since_epoch(Duration::from_secs(1_800_000_000));
        let later = made + SIGNING * 30;
        assert_eq!(key_step(&[made], later), Some(KeyStep::Make));
        assert_eq!(key_step(&[made, later], later), None);
        assert_eq!(signing_key(&[made, later], later), Some(0));
        assert_eq!(signing_key(&[], later), None);
    }
}
