//! Time as plain numbers, so that a test can write `Instant(0)` and a machine never asks a clock.

use std::fmt;
use std::ops::{Add, AddAssign};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point on the monotonic time line, in nanoseconds since a start that means nothing.
///
/// Arithmetic saturates: a machine never panics over a duration that a server named.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Instant(pub u64);

impl Instant {
    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// How long until `later`; zero if it is past.
    #[must_use]
    pub fn until(self, later: Instant) -> Duration {
        later.since(self)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, span: Duration) -> Instant {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Instant(self.0.saturating_add(nanos))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, span: Duration) {
        *self = *self + span;
    }
}

/// The time of day, in milliseconds since 1970 (UTC). It may jump; only what must survive a
/// restart (budgets, ages of sessions) or be shown to a person is kept in it.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Wall(pub u64);

impl Wall {
    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Wall) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The time in a header such as `Date` (RFC 9110 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`. Its
    /// two older forms are no longer sent by anybody.
    #[must_use]
    pub fn of_http_date(text: &str) -> Option<Wall> {
        const MONTHS: &str = "JanFebMarAprMayJunJulAugSepOctNovDec";
        let mut words = text.split_once(", ")?.1.strip_suffix(" GMT")?.split(' ');
        let day: u64 = words.next()?.parse().ok()?;
        let month = words.next().filter(|month| month.len() == 3)?;
        let month = MONTHS.find(month).filter(|at| at % 3 == 0)? as u64 / 3 + 1;
        let year: u64 = words.next()?.parse().ok().filter(|year| (1970..=9999).contains(year))?;
        let mut time = words.next()?.split(':').map(|part| part.parse::<u64>().ok());
        let mut part = |below: u64| time.next().flatten().filter(|&part| part < below);
        let seconds = part(24)? * 3600 + part(60)? * 60 + part(61)?;
        if !(1..=31).contains(&day) {
            return None;
        }
        // Years begin with March, so that the leap day is the last day of one.
        let (years, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
        let leaps = years / 4 - years / 100 + years / 400;
        let days = years * 365 + leaps + (153 * months + 2) / 5 + day - 1;
        // From the first of March of the year 0 to the first day of 1970.
        Some(Wall((days.checked_sub(719_468)? * 86_400 + seconds) * 1000))
    }
}

impl Add<Duration> for Wall {
    type Output = Wall;

    fn add(self, span: Duration) -> Wall {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Wall(self.0.saturating_add(millis))
    }
}

/// RFC 3339 in UTC with milliseconds: `2026-03-21T09:26:53.589Z`.
impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0 / 1000, self.0 % 1000);
        let (days, second_of_day) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil(days);
        let (hour, minute, second) =
            (second_of_day / 3600, second_of_day / 60 % 60, second_of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

/// Year, month and day of a count of days since 1970-01-01, by the method of eras of 400 years
/// that begin on the first of March (so that the leap day is the last day of its year).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Instant(u64::MAX) + Duration::MAX, Instant(u64::MAX));
        assert_eq!(Instant(3).since(Instant(5)), Duration::ZERO);
        assert_eq!(Instant(3).until(Instant(5)), Duration::from_nanos(2));
    }

    #[test]
    fn wall_prints_known_dates() {
        assert_eq!(Wall(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Wall(951_782_399_999).to_string(), "2000-02-28T23:59:59.999Z");
        assert_eq!(Wall(951_782_400_000).to_string(), "2000-02-29T00:00:00.000Z");
        assert_eq!(Wall(1_774_085_213_589).to_string(), "2026-03-21T09:26:53.589Z");
        assert_eq!(Wall(4_107_542_400_000).to_string(), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn dates_of_headers_are_read_and_rubbish_is_not() {
        for (text, shown) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37.000Z"),
            ("Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00.000Z"),
            ("Thu, 29 Feb 2024 23:59:59 GMT", "2024-02-29T23:59:59.000Z"),
            ("Fri, 01 Mar 2024 00:00:00 GMT", "2024-03-01T00:00:00.000Z"),
            ("Wed, 31 Dec 2098 12:00:00 GMT", "2098-12-31T12:00:00.000Z"),
        ] {
            let read = Wall::of_http_date(text).map(|wall| wall.to_string());
            assert_eq!(read.as_deref(), Some(shown));
        }
        for text in [
            "",
            "now",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 ovD 1994 08:49:37 GMT",
            "Sun, 0 Jan 1970 00:00:00 GMT",
            "Sun, 06 Nov 1994 24:00:00 GMT",
            "Sun, 06 Nov 99999999999999999999 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
        ] {
            assert_eq!(Wall::of_http_date(text), None, "{text}");
        }
    }
}
