//! What is told to others of our own trust domain.

use alloc::{string::String, vec::Vec};
use core::time::Duration;

use leno_identity::{Anchor, Rotation, Stage};
use leno_jwt::{Authority, SpiffeBundle};
use leno_model::Wall;

/// Our bundle as text: `roots` in DER, and `token_keys`, a JWK Set.
pub fn publish(
    sequence: u64,
    refresh_hint: Duration,
    roots: &[Vec<u8>],
    token_keys: Option<&str>,
) -> String {
    // One that others could not use is told to nobody: nothing of ours would believe it either.
    let authorities = roots.iter().filter_map(|root| {
        let key = Anchor::of(root).ok()?.key;
        let certificate = root.clone();
        Some(Authority { certificate, key })
    });
    let authorities: Vec<_> = authorities.collect();
    SpiffeBundle::write(sequence, refresh_hint, &authorities, token_keys)
}

/// The sequence of a bundle that differs from the one with sequence `last`. It counts seconds since 1970, so that it
/// rises also where `last` was lost with a store.
pub fn next_sequence(last: Option<u64>, now: Wall) -> u64 {
    let seconds = now.elapsed_since_epoch().as_secs();
    last.map_or(seconds, |last| seconds.max(last.saturating_add(1)))
}

/// How often others are to look for another bundle, where roots live for `root`: five minutes, or less where roots
/// follow each other so fast that [`awaited_abroad`] would take long beside their lives.
pub fn refresh_hint(root: Duration) -> Duration {
    (root / 40).clamp(SHORTEST, LONGEST)
}

const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(300);

/// Until when an announced root must not sign because other trust domains may not have seen it yet; `None` if they
/// have, or none is announced. Nobody there confirms anything: they are given the time to look three times.
//= SPIFFE Federation section 4.1: "the recommended advance time is 3-5 times the bundle's `spiffe_refresh_hint`."
pub fn awaited_abroad(rotation: &Rotation, hint: Duration, now: Wall) -> Option<Wall> {
    let until = match rotation.announced()?.stage {
        Stage::Announced(since) => since + hint * LOOKS,
        Stage::Active(_) | Stage::Leaving(_) => return None,
    };
    (now < until).then_some(until)
}

const LOOKS: u32 = 3;
