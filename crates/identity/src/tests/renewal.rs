//! A certificate's life, told from the side of the one who must renew it.

use leno_model::{Mono, Now};

use super::*;
use crate::{Renewal, Validity};

/// Both clocks, `elapsed` after the certificate began.
fn after(elapsed: Duration) -> Now {
    Now {
        mono: Mono::since_start(elapsed),
        wall: NOW + elapsed,
    }
}

fn life(life: Duration) -> Validity {
    Validity {
        begins: NOW,
        ends: NOW + life,
    }
}

/// When the shell is called next, counted from the certificate's beginning.
fn next(renewal: &Renewal, now: Now) -> Duration {
    renewal.poll_timeout(now).since(Mono::default())
}

#[test]
fn renewed_at_half_of_life_give_or_take_a_tenth() {
    let mut due = Vec::new();
    for seed in 0..200 {
        let renewal = Renewal::new(life(DAY), &mut Dice::new(seed));
        due.push(next(&renewal, after(Duration::ZERO)));
    }
    due.sort();
    let (first, last) = (due[0], due[due.len() - 1]);
    assert!(first >= HOUR * 12 - DAY / 20, "{first:?}");
    assert!(last <= HOUR * 12 + DAY / 20, "{last:?}");
    assert!(last - first > 2 * HOUR, "{first:?} to {last:?}");
}

#[test]
fn asks_once_and_rests_when_renewed() {
    let dice = &mut Dice::new(1);
    let mut renewal = Renewal::new(life(DAY), dice);
    assert!(!renewal.handle_timeout(after(HOUR), dice));
    assert!(renewal.handle_timeout(after(14 * HOUR), dice));
    assert!(!renewal.handle_timeout(after(14 * HOUR), dice));
    let (begins, ends) = (NOW + 14 * HOUR, NOW + 38 * HOUR);
    renewal.handle_renewed(Validity { begins, ends }, dice);
    assert!(next(&renewal, after(14 * HOUR)) > 24 * HOUR);
    assert_eq!(renewal.trouble(), None);
}

#[test]
fn a_certificate_found_past_its_half_is_renewed_at_once() {
    let dice = &mut Dice::new(1);
    let mut renewal = Renewal::new(life(DAY), dice);
    let now = after(20 * HOUR);
    assert_eq!(next(&renewal, now), 20 * HOUR);
    assert!(renewal.handle_timeout(now, dice));
}

#[test]
fn a_jump_of_the_wall_clock_brings_the_moment_nearer() {
    let dice = &mut Dice::new(1);
    let mut renewal = Renewal::new(life(DAY), dice);
    let slept = Now {
        mono: Mono::since_start(HOUR),
        wall: NOW + 15 * HOUR,
    };
    assert!(renewal.handle_timeout(slept, dice));
}

#[test]
fn tries_ever_more_rarely_and_near_the_end_every_five_seconds() {
    let dice = &mut Dice::new(1);
    let mut renewal = Renewal::new(life(DAY), dice);
    let mut now = after(next(&renewal, after(Duration::ZERO)));
    let mut tries = Vec::new();
    while now.wall < NOW + DAY + HOUR {
        assert!(renewal.handle_timeout(now, dice));
        tries.push(now.mono.since(Mono::default()));
        renewal.handle_failed("Vault answered 403".to_owned(), now, dice);
        now = after(next(&renewal, now));
    }
    let gaps: Vec<_> = tries
        .windows(2)
        .map(|pair| (pair[0], pair[1] - pair[0]))
        .collect();
    let seconds: Vec<_> = gaps.iter().take(9).map(|(_, gap)| gap.as_secs()).collect();
    assert_eq!(seconds, [1, 2, 3, 7, 16, 34, 64, 122, 271]);
    for (at, gap) in gaps {
        assert!(gap <= Duration::from_secs(300), "{gap:?} at {at:?}");
        if at + Duration::from_secs(100) >= DAY {
            assert!(gap <= Duration::from_secs(5), "{gap:?} at {at:?}");
        }
    }
}

#[test]
fn trouble_is_told_until_it_is_over() {
    let dice = &mut Dice::new(1);
    let mut renewal = Renewal::new(life(DAY), dice);
    assert!(renewal.handle_timeout(after(14 * HOUR), dice));
    renewal.handle_failed("no route to host".to_owned(), after(14 * HOUR), dice);
    assert!(renewal.handle_timeout(after(15 * HOUR), dice));
    renewal.handle_failed("Vault answered 403".to_owned(), after(15 * HOUR), dice);
    let trouble = renewal.trouble().unwrap();
    assert_eq!(
        format!("{} ({}) {trouble}", trouble.code(), trouble.fault()),
        "T007 (configuration) 2 renewals failed since 2026-11-21T00:00:00.000Z: Vault answered 403; \
         it ends at 2026-11-21T10:00:00.000Z"
    );
    renewal.handle_renewed(life(2 * DAY), dice);
    assert_eq!(renewal.trouble(), None);
}

#[test]
fn silence_is_a_failure() {
    let dice = &mut Dice::new(1);
    let mut renewal = Renewal::new(life(DAY), dice);
    let asked = after(14 * HOUR);
    assert!(renewal.handle_timeout(asked, dice));
    let given_up = after(next(&renewal, asked));
    assert!(given_up.wall > asked.wall);
    assert!(!renewal.handle_timeout(given_up, dice));
    assert_eq!(renewal.trouble().unwrap().reason, "no answer came");
    let again = after(next(&renewal, given_up));
    assert!(renewal.handle_timeout(again, dice));
}

#[test]
fn a_certificate_of_a_minute_is_renewed_well_before_it_ends() {
    for seed in 0..50 {
        let dice = &mut Dice::new(seed);
        let mut renewal = Renewal::new(life(Duration::from_secs(66)), dice);
        let mut now = after(next(&renewal, after(Duration::ZERO)));
        let mut tries = 0;
        while now.wall <= NOW + Duration::from_secs(66) {
            assert!(renewal.handle_timeout(now, dice));
            tries += 1;
            renewal.handle_failed("away".to_owned(), now, dice);
            now = after(next(&renewal, now));
        }
        assert!(tries >= 6, "{tries} tries with seed {seed}");
    }
}
