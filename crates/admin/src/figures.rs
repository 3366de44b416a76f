//! Figures as people say them, wherever they read them.

use std::time::Duration;

/// A share as people say it, exact at both ends: never nothing of what is something, never all of what is not all.
pub fn percent(part: u64, of: u64) -> String {
    match part {
        0 => return "0 %".to_owned(),
        _ if part >= of => return "100 %".to_owned(),
        _ => {}
    }
    let share = part as f64 / of as f64 * 100.0;
    match share {
        ..0.1 => "<0.1 %".to_owned(),
        9.95..99.0 => format!("{share:.0} %"),
        _ => format!("{:.1} %", share.min(99.9)),
    }
}

/// A count with its thousands told apart: `1,204`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut told = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            told.push(',');
        }
        told.push(digit);
    }
    told
}

/// A duration by two or three digits: `840 µs`, `3.1 ms`, `21 ms`, `1.2 s`.
pub fn duration(time: Duration) -> String {
    let micros = time.as_secs_f64() * 1e6;
    match micros {
        ..999.5 => format!("{micros:.0} µs"),
        ..9_950.0 => format!("{:.1} ms", micros / 1e3),
        ..999_500.0 => format!("{:.0} ms", micros / 1e3),
        _ => format!("{:.1} s", micros / 1e6),
    }
}

/// A while by its largest unit, given in seconds: `10 s`, `4 min`, `3 h`.
pub fn span(seconds: f64) -> String {
    match seconds {
        ..120.0 => format!("{seconds:.0} s"),
        ..7200.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.0} h", seconds / 3600.0),
    }
}

/// Bytes by two or three digits: `840 B`, `3.1 kB`, `21 MB`.
pub fn bytes(count: f64) -> String {
    match count {
        ..999.5 => format!("{count:.0} B"),
        ..9_950.0 => format!("{:.1} kB", count / 1e3),
        ..999_500.0 => format!("{:.0} kB", count / 1e3),
        ..9_950_000.0 => format!("{:.1} MB", count / 1e6),
        ..999_500_000.0 => format!("{:.0} MB", count / 1e6),
        _ => format!("{:.1} GB", count / 1e9),
    }
}

/// A moment in RFC 3339: `02:38 UTC`, with its day unless that is the day of `now`.
pub fn moment(at: &str, now: &str) -> String {
    let parts = at
        .split_once('T')
        .and_then(|(day, time)| Some((day, time.get(..5)?)));
    match parts {
        None => at.to_owned(),
        Some((day, time)) if now.starts_with(day) => format!("{time} UTC"),
        Some((day, time)) => format!("{day} {time} UTC"),
    }
}

/// A name without the namespace that all share where nobody chose one.
pub fn short(name: &str) -> &str {
    name.strip_prefix("default/").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_of_the_same_day_is_told_without_it() {
        let now = "2026-11-20T03:01:10.000Z";
        assert_eq!(moment("2026-11-20T02:38:59.250Z", now), "02:38 UTC");
        assert_eq!(
            moment("2026-11-19T23:59:59.250Z", now),
            "2026-11-19 23:59 UTC"
        );
        assert_eq!(moment("yesterday", now), "yesterday");
    }

    #[test]
    fn shares_durations_and_bytes_as_people_say_them() {
        let told = [(0, 7), (7, 7), (1, 2000), (1, 30), (999, 1000)];
        let told = told.map(|(part, of)| percent(part, of));
        assert_eq!(told, ["0 %", "100 %", "<0.1 %", "3.3 %", "99.9 %"]);
        let told = [840, 999, 3_140, 9_949, 9_951, 21_400, 999_600]
            .map(|micros| duration(Duration::from_micros(micros)));
        let counts = [7, 999, 1_204, 62_731, 1_900_000].map(count);
        assert_eq!(counts, ["7", "999", "1,204", "62,731", "1,900,000"]);
        let expect = [
            "840 µs", "999 µs", "3.1 ms", "9.9 ms", "10 ms", "21 ms", "1.0 s",
        ];
        assert_eq!(told, expect);
        let told = [0.0, 840.0, 3_140.0, 21_400.0, 999_600.0, 3.4e7, 1.26e9].map(bytes);
        let expect = [
            "0 B", "840 B", "3.1 kB", "21 kB", "1.0 MB", "34 MB", "1.3 GB",
        ];
        assert_eq!(told, expect);
    }
}
