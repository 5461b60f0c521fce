//! When a session begins another conversation by itself: each day at an hour of a time zone, after
//! it was silent for a while, or never.
//!
//! It is judged when a message comes, by when the one before it came. That is told by a clock which
//! may have been wrong: where the same process has heard both, what has passed is measured, and the
//! time of day is counted back from now. A clock that is put forward while somebody talks does not
//! end their conversation then, and one that is put back ends none.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _, civil};
use serde::{Deserialize, Serialize};

use crate::base::Wall;

/// When a conversation is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Each day at this hour.
    pub at_hour: Option<i8>,
    /// After so long without a word.
    pub idle: Option<Duration>,
    /// Whose hour it is.
    pub zone: TimeZone,
}

/// Why a conversation began.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// Somebody wanted it.
    #[default]
    Asked,
    /// A day began.
    Daily,
    /// Nobody had said anything for long.
    Idle,
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Why::Asked => "somebody asked for it",
            Why::Daily => "a new day began",
            Why::Idle => "nobody had said anything for a while",
        })
    }
}

/// When the message before came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Before {
    /// As the clock said then.
    pub at: Wall,
    /// How long ago that is, if this process has heard it.
    pub since: Option<Duration>,
}

impl Default for Rule {
    fn default() -> Rule {
        Rule { at_hour: None, idle: None, zone: TimeZone::UTC }
    }
}

impl Rule {
    /// Whether it ever ends one.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.at_hour.is_none() && self.idle.is_none()
    }

    /// Whether a message that comes now begins another conversation, and why. When both are true
    /// the silence is named only if no day has begun.
    #[must_use]
    pub fn judge(&self, before: Before, now: Wall) -> Option<Why> {
        let passed = before.since.unwrap_or_else(|| now.since(before.at));
        let at = match before.since {
            // As the clock of now would have said it.
            Some(since) => Wall(now.0.saturating_sub(millis(since))),
            None => before.at,
        };
        if self.at_hour.and_then(|hour| self.boundary(hour, now)).is_some_and(|day| at < day) {
            return Some(Why::Daily);
        }
        self.idle.is_some_and(|idle| passed >= idle).then_some(Why::Idle)
    }

    /// The last moment up to `now` at which a day began: the first of that hour on a clock on the
    /// wall, or what follows at once where that is left out.
    fn boundary(&self, hour: i8, now: Wall) -> Option<Wall> {
        let now = timestamp(now)?;
        let today = now.to_zoned(self.zone.clone()).date();
        let begins = |day: civil::Date| {
            let at = day.at(hour.clamp(0, 23), 0, 0, 0);
            // Jiff takes the earlier of two, and of none goes on behind the gap.
            Some(self.zone.to_ambiguous_zoned(at).compatible().ok()?.timestamp())
        };
        let mut found = None;
        // A day may be left out as a whole where the date line moved.
        for back in [2_i64, 1, 0] {
            let day = today.checked_sub(back.days()).ok();
            found = day.and_then(begins).filter(|&begins| begins <= now).or(found);
        }
        found.and_then(|at| u64::try_from(at.as_millisecond()).ok()).map(Wall)
    }
}

fn timestamp(wall: Wall) -> Option<Timestamp> {
    let millis = i64::try_from(wall.0).ok()?;
    Timestamp::UNIX_EPOCH.checked_add(SignedDuration::from_millis(millis)).ok()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
