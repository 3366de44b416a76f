//! Time as a value. A shell reads the clocks once per turn and passes [`Now`] in; nothing below
//! layer 3 can reach a clock, so every decision can be made again later.

use core::time::Duration;
use core::{fmt, ops};

/// Both clocks, read at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// For measuring: never goes back.
    pub mono: Mono,
    /// For judging and showing: mesh time where it is known (certificates), else the host's.
    pub wall: Wall,
}

/// A point on a clock that never goes back, counted from a start that means nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Mono(Duration);

impl Mono {
    /// The point this long after the clock's start.
    pub const fn since_start(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// The time from `earlier` to this point; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl ops::Add<Duration> for Mono {
    type Output = Self;

    fn add(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }
}

/// A point in civil time: how long after 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Wall(Duration);

impl Wall {
    /// The point this long after 1970-01-01T00:00:00Z.
    pub const fn since_epoch(elapsed: Duration) -> Self {
        Self(elapsed)
    }

    /// How long after 1970-01-01T00:00:00Z this is.
    pub const fn elapsed_since_epoch(self) -> Duration {
        self.0
    }

    /// The time from `earlier` to this point; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl ops::Add<Duration> for Wall {
    type Output = Self;

    fn add(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }
}

impl ops::Sub<Duration> for Wall {
    type Output = Self;

    fn sub(self, back: Duration) -> Self {
        Self(self.0.saturating_sub(back))
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-11-20T10:31:58.250Z`.
impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil(days);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:03}Z",
            second / 3600,
            second / 60 % 60,
            second % 60,
            self.0.subsec_millis()
        )
    }
}

impl fmt::Debug for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
///
/// Counts in eras of 400 years whose years begin in March, so that the leap day comes last.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wall(seconds: u64, millis: u64) -> String {
        Wall::since_epoch(Duration::from_millis(seconds * 1000 + millis)).to_string()
    }

    #[test]
    fn civil_time_is_printed_with_its_zone() {
        assert_eq!(wall(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(wall(951_782_400, 7), "2000-02-29T00:00:00.007Z");
        assert_eq!(wall(951_868_800, 0), "2000-03-01T00:00:00.000Z");
        assert_eq!(wall(1_795_170_718, 250), "2026-11-20T10:31:58.250Z");
        assert_eq!(wall(4_107_542_399, 999), "2100-02-28T23:59:59.999Z");
    }

    #[test]
    fn time_never_runs_backwards_by_arithmetic() {
        let (early, late) = (Mono::default(), Mono::default() + Duration::from_secs(1));
        assert_eq!(late.since(early), Duration::from_secs(1));
        assert_eq!(early.since(late), Duration::ZERO);
    }
}
