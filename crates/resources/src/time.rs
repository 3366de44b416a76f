//! Times as Kubernetes writes them: RFC 3339.

use core::time::Duration;

use leno_model::Wall;

/// Reads `2026-11-20T10:31:58.250Z`, or with an offset in the place of `Z`. Fractions finer than
/// a nanosecond are cut; a leap second counts as the first of the next minute. Times before 1970 are not read.
pub fn rfc3339(text: &str) -> Option<Wall> {
    let (date, time) = text.split_once(['T', 't'])?;
    let (clock, offset) = match time.split_once(['Z', 'z']) {
        Some((clock, "")) => (clock, 0),
        Some(_) => return None,
        None => {
            let at = time.rfind(['+', '-'])?;
            (time.get(..at)?, offset(time.get(at..)?)?)
        }
    };
    let mut date = date.split('-');
    let (year, month, day) = (
        digits(date.next()?, 4)?,
        digits(date.next()?, 2)?,
        digits(date.next()?, 2)?,
    );
    let (clock, fraction) = match clock.split_once('.') {
        Some((clock, fraction)) => (clock, nanoseconds(fraction)?),
        None => (clock, 0),
    };
    let mut clock = clock.split(':');
    let (hour, minute, second) = (
        digits(clock.next()?, 2)?,
        digits(clock.next()?, 2)?,
        digits(clock.next()?, 2)?,
    );
    if date.next().is_some() || clock.next().is_some() {
        return None;
    }
    let fits = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour <= 23
        && minute <= 59
        && second <= 60;
    if !fits {
        return None;
    }
    let seconds =
        days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    let seconds = u64::try_from(seconds).ok()?;
    Some(Wall::since_epoch(Duration::new(seconds, fraction)))
}

fn digits(text: &str, count: usize) -> Option<i64> {
    let good = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    good.then(|| text.parse().ok())?
}

fn offset(text: &str) -> Option<i64> {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    (hours <= 23 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}

fn nanoseconds(fraction: &str) -> Option<u32> {
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.bytes().chain(core::iter::repeat(b'0')).take(9);
    Some(digits.fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01, counted in years that begin in March so that the leap day comes last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_and_printed_alike() {
        for text in [
            "1970-01-01T00:00:00.000Z",
            "2000-02-29T00:00:00.007Z",
            "2026-11-20T10:31:58.250Z",
            "2100-02-28T23:59:59.999Z",
        ] {
            assert_eq!(rfc3339(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_offset_is_taken_away() {
        let utc = rfc3339("2026-11-20T10:31:58Z").unwrap();
        assert_eq!(rfc3339("2026-11-20T11:31:58+01:00").unwrap(), utc);
        assert_eq!(rfc3339("2026-11-20T05:01:58-05:30").unwrap(), utc);
        assert_eq!(rfc3339("2026-11-20t10:31:58.0z").unwrap(), utc);
    }

    #[test]
    fn nothing_else_is_a_time() {
        for text in [
            "",
            "2026-11-20",
            "2026-11-20T10:31:58",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-11-20T24:00:00Z",
            "2026-11-20T10:31:58Z ",
            "2026-11-20T10:31:58.Z",
            "1969-12-31T23:59:59Z",
            "26-11-20T10:31:58Z",
            "2026-11-20 10:31:58Z",
            "2026-11-20T10:31:58+1:00",
            "2026-11-20T10:31Z",
        ] {
            assert_eq!(rfc3339(text), None, "{text}");
        }
    }
}
