//! Durations as Gateway API writes them (GEP-2257): `250ms`, `10s`, `1h30m`.

use alloc::{format, string::String};
use core::time::Duration;

/// Reads one to four numbers of one to five digits, each with its unit: `h`, `m`, `s` or `ms`.
//= GEP-2257: "^([0-9]{1,5}(h|m|s|ms)){1,4}$"
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    let mut parts = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        parts += 1;
        if !(1..=5).contains(&digits) || parts > 4 {
            return None;
        }
        let (number, behind) = rest.split_at_checked(digits)?;
        let (unit, behind) = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)]
            .into_iter()
            .find_map(|(name, unit)| Some((unit, behind.strip_prefix(name)?)))?;
        total += Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(unit)?);
        rest = behind;
    }
    (parts > 0).then_some(total)
}

/// Says what a duration may be, where `least` and `most` are in milliseconds.
pub(crate) fn outside(text: &str, least: i64, most: i64) -> String {
    match most {
        i64::MAX => format!(
            "{text} is too short: at least {} s are expected",
            least / 1000
        ),
        _ => format!("{text} is not between {least} ms and {most} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_units() {
        for (text, millis) in [
            ("0s", 0),
            ("250ms", 250),
            ("10s", 10_000),
            ("1h30m", 5_400_000),
            ("1m1s1ms", 61_001),
            ("99999h", 359_996_400_000),
            ("30m1h", 5_400_000),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn nothing_else_is_a_duration() {
        for text in [
            "",
            "10",
            "s",
            "1.5s",
            "-1s",
            "100000s",
            "1d",
            "1 s",
            "1s1s1s1s1s",
            "1us",
            "1S",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
