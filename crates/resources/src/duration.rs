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

/// A number of milliseconds as one would write it, in its largest whole unit.
pub(crate) fn written(milliseconds: i64) -> String {
    let (unit, name) = [(3_600_000, "h"), (60_000, "m"), (1_000, "s")]
        .into_iter()
        .find(|(unit, _)| milliseconds != 0 && milliseconds % unit == 0)
        .unwrap_or((1, "ms"));
    format!("{}{name}", milliseconds / unit)
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
    fn a_bound_is_written_in_its_largest_unit() {
        for (milliseconds, expect) in [
            (1, "1ms"),
            (1_500, "1500ms"),
            (90_000, "90s"),
            (60_000, "1m"),
        ] {
            assert_eq!(written(milliseconds), expect);
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
