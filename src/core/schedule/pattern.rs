//! Expressions of cron, and the clock of the place that they speak of.
//!
//! The search goes from one change of the clock to the next. Between two of them the clock on the
//! wall and time itself run side by side, so what the wall shows is found by looking at its fields,
//! and becomes an instant by a subtraction. What a change of the clock does is decided there alone.

use std::fmt;

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

use crate::base::Wall;
use crate::base::text::{Plain, truncate};

/// Bytes of an expression: six fields, each of a long list.
const BYTES_MAX: usize = 512;
/// The rarest day that comes at all is a leap day on one day of the week: once in forty years.
const YEARS_MAX: i16 = 41;
/// Changes of a clock that are looked at: some places had four in a year.
const CHANGES_MAX: usize = 4 * YEARS_MAX as usize;

/// An expression and the place whose clock it speaks of.
#[derive(Clone, PartialEq, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a sign of its own in what is written")]
pub struct Pattern {
    seconds: u64,
    minutes: u64,
    hours: u64,
    days: u64,
    /// `L`: the last of the month.
    is_last_day: bool,
    /// `15W`: the weekday nearest to a day.
    nearest: u64,
    months: u64,
    weekdays: u64,
    /// `5#2`: the second Friday. A bit for each of five, for each day of the week.
    nth: [u8; 7],
    /// `5L`: the last Friday.
    last_weekdays: u64,
    /// Whether the days are all the same to it, by their number or by the week.
    is_any_day: bool,
    is_any_weekday: bool,
    /// `+` before the day of the week: both must be right, where else one is enough.
    is_both: bool,
    /// Whether it repeats within the day, and so has no times of its own.
    repeats: bool,
    zone: TimeZone,
}

/// Why an expression cannot be used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadExpression(String);

impl fmt::Display for BadExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One field of an expression.
struct Field {
    name: &'static str,
    least: u8,
    most: u8,
    names: &'static [&'static str],
    /// What else may be in it.
    letters: &'static str,
}

const MONTHS: &[&str] =
    &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const FIELDS: [Field; 6] = [
    Field { name: "second", least: 0, most: 59, names: &[], letters: "" },
    Field { name: "minute", least: 0, most: 59, names: &[], letters: "" },
    Field { name: "hour", least: 0, most: 23, names: &[], letters: "" },
    Field { name: "day of the month", least: 1, most: 31, names: &[], letters: ", L or 15W" },
    Field { name: "month", least: 1, most: 12, names: MONTHS, letters: " or JAN-DEC" },
    Field {
        name: "day of the week",
        least: 0,
        most: 7,
        names: WEEKDAYS,
        letters: " or SUN-SAT (0 and 7 are Sunday), 5L or 5#2",
    },
];

/// What the short words stand for.
const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// What one field says.
#[derive(Default)]
struct Said {
    plain: u64,
    last: bool,
    nearest: u64,
    nth: [u8; 7],
    last_weekdays: u64,
}

impl Pattern {
    /// Reads an expression of five fields, or of six with the seconds first, or a word such as
    /// `@daily`.
    ///
    /// # Errors
    /// It is none, or names no time that ever comes.
    pub fn parse(expression: &str, zone: TimeZone) -> Result<Pattern, BadExpression> {
        let text = expression.trim();
        if text.len() > BYTES_MAX {
            return Err(BadExpression(format!("it is longer than {BYTES_MAX} bytes")));
        }
        let text = if text.starts_with('@') {
            let known = NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
            known.map(|(_, means)| *means).ok_or_else(|| {
                let known = "@hourly, @daily, @weekly, @monthly and @yearly are known";
                BadExpression(known.to_owned())
            })?
        } else {
            text
        };
        let mut fields: Vec<&str> = text.split_whitespace().collect();
        match fields.len() {
            5 => fields.insert(0, "0"),
            6 => {}
            count => {
                return Err(BadExpression(format!(
                    "it has {count} fields, not 5 (minute, hour, day of the month, month, day of \
                     the week) or 6 (the second before them)"
                )));
            }
        }
        let is_both = fields[5].starts_with('+');
        fields[5] = fields[5].trim_start_matches('+');
        let mut said = Vec::new();
        for (field, text) in FIELDS.iter().zip(&fields) {
            said.push(field.read(text)?);
        }
        let is_any = |text: &str| matches!(text, "*" | "?");
        // 0 and 7 are the same day.
        let week = &said[5];
        let weekdays = (week.plain | week.plain >> 7) & 0x7f;
        let pattern = Pattern {
            seconds: said[0].plain,
            minutes: said[1].plain,
            hours: said[2].plain,
            days: said[3].plain,
            is_last_day: said[3].last,
            nearest: said[3].nearest,
            months: said[4].plain,
            weekdays,
            nth: week.nth,
            last_weekdays: week.last_weekdays,
            is_any_day: is_any(fields[3]),
            is_any_weekday: is_any(fields[5]),
            is_both,
            repeats: fields[..3].iter().any(|field| field.contains(['*', '?'])),
            zone,
        };
        match pattern.civil_from(DateTime::constant(2000, 1, 1, 0, 0, 0, 0)) {
            Some(_) => Ok(pattern),
            None => Err(BadExpression("no such day ever comes".to_owned())),
        }
    }

    /// The first due instant after `after`.
    pub(super) fn next(&self, after: Wall) -> Option<Wall> {
        let seconds = i64::try_from(after.0 / 1000).ok()?;
        let mut at = Timestamp::from_second(seconds.checked_add(1)?).ok()?;
        for _ in 0..CHANGES_MAX {
            let offset = self.zone.to_offset(at);
            let change = self.zone.preceding(at.checked_add(SECOND).ok()?).next();
            let change = change.map(|change| change.timestamp());
            let before = change.and_then(|change| change.checked_sub(SECOND).ok());
            let before = before.map_or(offset, |before| self.zone.to_offset(before));
            let mut from = offset.to_datetime(at);
            if let Some(change) = change.filter(|_| !self.repeats && before != offset) {
                let (old, new) = (before.to_datetime(change), offset.to_datetime(change));
                // The times that the clock has leapt over are due at the first moment after.
                if at == change && self.civil_from(old).is_some_and(|due| due < new) {
                    return wall(at);
                }
                // Those that it shows a second time are not due again.
                from = from.max(old);
            }
            let due = self.civil_from(from)?;
            let then = offset.to_timestamp(due).ok()?;
            match self.zone.following(at).next().map(|next| next.timestamp()) {
                // However far it is, no change in between lets anything come earlier.
                Some(next) if then >= next => at = next.max(then.checked_sub(DAYS).ok()?),
                _ => return wall(then),
            }
        }
        None
    }

    /// The first time on the wall from `from` on, were the clock never changed.
    fn civil_from(&self, from: DateTime) -> Option<DateTime> {
        let mut date = from.date();
        let last_year = from.year().checked_add(YEARS_MAX)?;
        let mut earliest = (from.hour(), from.minute(), from.second());
        while date.year() <= last_year {
            if has(self.months, date.month()) {
                let time = self.time_from(earliest).filter(|_| self.is_day(date));
                if let Some((hour, minute, second)) = time {
                    return Some(date.at(hour, minute, second, 0));
                }
                date = date.tomorrow().ok()?;
            } else {
                date = date.last_of_month().tomorrow().ok()?;
            }
            earliest = (0, 0, 0);
        }
        None
    }

    /// The first time of a day from this one on.
    fn time_from(&self, (hour, minute, second): (i8, i8, i8)) -> Option<(i8, i8, i8)> {
        let first = |set: u64| bit_from(set, 0);
        if has(self.hours, hour) {
            if has(self.minutes, minute)
                && let Some(second) = bit_from(self.seconds, second)
            {
                return Some((hour, minute, second));
            }
            if let Some(minute) = bit_from(self.minutes, minute + 1) {
                return Some((hour, minute, first(self.seconds)?));
            }
        }
        let hour = bit_from(self.hours, hour + 1)?;
        Some((hour, first(self.minutes)?, first(self.seconds)?))
    }

    fn is_day(&self, date: Date) -> bool {
        let weekday = date.weekday().to_sunday_zero_offset();
        let by_number = || {
            has(self.days, date.day())
                || self.is_last_day && date == date.last_of_month()
                || self.is_nearest(date)
        };
        let by_week = || {
            let nth = (date.day() - 1) / 7;
            has(self.weekdays, weekday)
                || usize::try_from(weekday).is_ok_and(|at| self.nth[at] >> nth & 1 == 1)
                || has(self.last_weekdays, weekday) && date.day() + 7 > date.days_in_month()
        };
        match (self.is_any_day, self.is_any_weekday) {
            (true, _) => by_week(),
            (false, true) => by_number(),
            (false, false) if self.is_both => by_number() && by_week(),
            (false, false) => by_number() || by_week(),
        }
    }

    /// Whether it is the weekday nearest to one of the days, in the same month.
    fn is_nearest(&self, date: Date) -> bool {
        let (day, last) = (date.day(), date.days_in_month());
        let is = |day: i8| has(self.nearest, day);
        match date.weekday() {
            Weekday::Saturday | Weekday::Sunday => false,
            // The Saturday after, or a Sunday that has no other neighbour in its month.
            Weekday::Friday => is(day) || is(day + 1) || day + 2 == last && is(last),
            // The Sunday before, or a Saturday likewise.
            Weekday::Monday => is(day) || is(day - 1) || day == 3 && is(1),
            _ => is(day),
        }
    }
}

const SECOND: SignedDuration = SignedDuration::from_secs(1);
/// More than any clock is ever put forward or back.
const DAYS: SignedDuration = SignedDuration::from_hours(48);

fn wall(at: Timestamp) -> Option<Wall> {
    u64::try_from(at.as_millisecond()).ok().map(Wall)
}

fn has(set: u64, bit: i8) -> bool {
    u32::try_from(bit).is_ok_and(|bit| set.checked_shr(bit).is_some_and(|rest| rest & 1 == 1))
}

/// The first of `set` from `from` on.
fn bit_from(set: u64, from: i8) -> Option<i8> {
    let rest = set.checked_shr(u32::try_from(from).ok()?)?;
    (rest != 0).then(|| from + i8::try_from(rest.trailing_zeros()).unwrap_or(0))
}

impl Field {
    /// What `text` says in this field.
    fn read(&self, text: &str) -> Result<Said, BadExpression> {
        let mut said = Said::default();
        for part in text.split(',') {
            self.part(part, &mut said).ok_or_else(|| {
                BadExpression(format!(
                    "the {} \"{}\" cannot be read: {}-{}{}; lists (1,2), ranges (1-5) and steps \
                     (*/5) are understood",
                    self.name,
                    Plain(truncate(text, 40)),
                    self.least,
                    self.most,
                    self.letters
                ))
            })?;
        }
        Ok(said)
    }

    fn part(&self, part: &str, said: &mut Said) -> Option<()> {
        let is_day = self.letters.contains("15W");
        let is_week = self.letters.contains("5#2");
        let upper = part.to_ascii_uppercase();
        if is_day && upper == "L" {
            said.last = true;
            return Some(());
        }
        if let Some(day) = upper.strip_suffix('W').filter(|_| is_day) {
            said.nearest |= 1 << self.number(day)?;
            return Some(());
        }
        if let Some((day, nth)) = upper.split_once('#').filter(|_| is_week) {
            let nth: u8 = nth.parse().ok().filter(|nth| (1..=5).contains(nth))?;
            said.nth[usize::from(self.number(day)? % 7)] |= 1 << (nth - 1);
            return Some(());
        }
        if let Some(day) = upper.strip_suffix('L').filter(|day| is_week && !day.is_empty()) {
            said.last_weekdays |= 1 << (self.number(day)? % 7);
            return Some(());
        }
        let (range, step) = match upper.split_once('/') {
            Some((range, step)) => (range, step.parse::<u8>().ok().filter(|&step| step > 0)?),
            None => (upper.as_str(), 1),
        };
        let (first, last) = match range.split_once('-') {
            _ if matches!(range, "*" | "?") => (self.least, self.most),
            Some((first, last)) => (self.number(first)?, self.number(last)?),
            // `5/10` begins at 5, as it does with others.
            None if step > 1 => (self.number(range)?, self.most),
            None => (self.number(range)?, self.number(range)?),
        };
        // A week may be written from Friday to Monday.
        let last = if last < first && is_week { last + 7 } else { last };
        if last < first {
            return None;
        }
        for value in (first..=last).step_by(usize::from(step)) {
            said.plain |= 1 << if value > self.most { value % 7 } else { value };
        }
        Some(())
    }

    fn number(&self, text: &str) -> Option<u8> {
        if let Some(at) = self.names.iter().position(|name| *name == text) {
            return Some(self.least + u8::try_from(at).ok()?);
        }
        let is_digits = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_digits)?;
        (self.least..=self.most).contains(&number).then_some(number)
    }
}

/// How far the clock of `zone` is ahead of Greenwich at `wall`, for those who show times.
#[must_use]
pub fn offset(zone: &TimeZone, wall: Wall) -> Offset {
    let at = i64::try_from(wall.0).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
    at.map_or(Offset::UTC, |at| zone.to_offset(at))
}

#[cfg(test)]
mod tests;
