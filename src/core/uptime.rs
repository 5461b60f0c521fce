//! How long an account was up and how long it was not, and why: a day in slots of minutes, a month
//! in days (UTC).
//!
//! Told at every change and at a slow beat how things are, it books the time since the last look
//! to what was so then. What it was not told about it does not invent: a stretch that the clock
//! jumped over stays unknown. A clock that was set back is given time to be set right before what
//! it puts into the future is thrown away, and nothing is ever booked twice.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::base::limits::{
    CLOCK_MIN, UPTIME_CAUSE_BYTES_MAX, UPTIME_CAUSES_MAX, UPTIME_CLOCK_PATIENCE,
    UPTIME_CLOCK_SLACK, UPTIME_DAYS_MAX, UPTIME_SLOT, UPTIME_SLOTS_MAX,
};
use crate::base::text::{Plain, truncate};
use crate::base::{Instant, Wall};

/// Milliseconds of a slot.
const SLOT_MS: u64 = UPTIME_SLOT.as_secs() * 1000;
/// Milliseconds of a day.
pub const DAY_MS: u64 = 24 * 3600 * 1000;
/// Slots of a day: today is never longer than what the slots reach back.
const DAY_SLOTS: u64 = DAY_MS / SLOT_MS;
/// What further causes are called when a day has had too many to name.
const OTHERS: &str = "other causes";
/// Why there is nothing from before this process, back to where the last one's record ends.
const NO_PROCESS: &str = "the gateway was not running";

/// What an account can be, for the record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It has proof that it is connected.
    Up,
    /// It should be, and is not.
    Down,
    /// It is not meant to be.
    Off,
}

/// Milliseconds of each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Up.
    pub up: u32,
    /// Down.
    pub down: u32,
    /// Not meant to be up, or there was no process.
    pub off: u32,
}

impl Tally {
    fn add(&mut self, state: State, ms: u32) {
        let sum = match state {
            State::Up => &mut self.up,
            State::Down => &mut self.down,
            State::Off => &mut self.off,
        };
        *sum = sum.saturating_add(ms);
    }

    /// All that is known.
    #[must_use]
    pub fn sum(&self) -> u64 {
        u64::from(self.up) + u64::from(self.down) + u64::from(self.off)
    }
}

/// Some minutes of which the record is the same: one slot, or several in a row.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Slots {
    /// The number of the first, counted from 1970.
    at: u64,
    /// How many.
    pub count: u32,
    /// What each of them was.
    pub tally: Tally,
    /// Why it was not up for the longest stretch of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Box<str>>,
}

impl Slots {
    /// When the first begins.
    #[must_use]
    pub fn begin(&self) -> Wall {
        Wall(self.at.saturating_mul(SLOT_MS))
    }
}

/// A day.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Day {
    /// Its number, counted from 1970.
    at: u64,
    /// What it was.
    pub tally: Tally,
    /// Why it was not up, with the milliseconds of each.
    pub causes: Vec<(Box<str>, u32)>,
}

impl Day {
    /// When it begins.
    #[must_use]
    pub fn begin(&self) -> Wall {
        Wall(self.at.saturating_mul(DAY_MS))
    }

    fn add(&mut self, state: State, cause: &str, ms: u32) {
        self.tally.add(state, ms);
        if state == State::Up || ms == 0 {
            return;
        }
        let is_known = self.causes.iter().any(|(known, _)| **known == *cause);
        let is_named = is_known || self.causes.len() + 1 < UPTIME_CAUSES_MAX;
        let cause = if is_named { cause } else { OTHERS };
        match self.causes.iter_mut().find(|(known, _)| **known == *cause) {
            Some((_, sum)) => *sum = sum.saturating_add(ms),
            None => self.causes.push((cause.into(), ms)),
        }
    }
}

/// One slot, as it is being filled.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Slot {
    at: u64,
    tally: Tally,
    /// The cause of the longest stretch, and how long that was.
    cause: Option<(Box<str>, u32)>,
}

/// What was so at the last look.
#[derive(Clone, Debug)]
struct Seen {
    now: Instant,
    state: State,
    cause: Box<str>,
}

/// The record of one account.
#[derive(Clone, Debug, Default)]
pub struct Uptime {
    /// The oldest first; slots of which nothing is known are not there.
    slots: VecDeque<Slot>,
    /// The same.
    days: VecDeque<Day>,
    /// Where the record ends.
    until: Option<Wall>,
    seen: Option<Seen>,
    /// Since when the clock has been behind the record.
    behind: Option<Instant>,
}

/// The record as it outlives the process.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Kept {
    until: Wall,
    slots: Vec<Slots>,
    days: Vec<Day>,
}

impl Uptime {
    /// Goes on from what an earlier process kept; the time since then had no process.
    #[must_use]
    pub fn restore(kept: Kept) -> Uptime {
        let Kept { until, slots, days } = kept;
        let longest = |tally: &Tally| tally.down.max(tally.off);
        let slots = slots.into_iter().flat_map(|run| {
            let cause = run.cause.clone().map(|cause| (cause, longest(&run.tally)));
            let count = u64::from(run.count).min(UPTIME_SLOTS_MAX as u64);
            (0..count).map(move |n| Slot {
                at: run.at.saturating_add(n),
                tally: run.tally,
                cause: cause.clone(),
            })
        });
        let mut uptime = Uptime {
            slots: slots.take(UPTIME_SLOTS_MAX).collect(),
            days: days.into_iter().take(UPTIME_DAYS_MAX).collect(),
            until: Some(until),
            ..Uptime::default()
        };
        // A file of another's making must not bring disorder.
        let is_sound = uptime.slots.iter().is_sorted_by(|a, b| a.at < b.at)
            && uptime.days.iter().is_sorted_by(|a, b| a.at < b.at);
        if !is_sound {
            (uptime.slots, uptime.days) = Default::default();
        }
        uptime
    }

    /// What is to outlive the process; `None` before anything is known.
    #[must_use]
    pub fn kept(&self) -> Option<Kept> {
        let days = self.days.iter().cloned().collect();
        Some(Kept { until: self.until?, slots: runs(self.slots.iter()), days })
    }

    /// Things are so now, and stay so until the next look.
    pub fn look(&mut self, now: Instant, wall: Wall, state: State, cause: &str) {
        let shown = Plain(cause).to_string();
        let cause = truncate(&shown, UPTIME_CAUSE_BYTES_MAX).into();
        let before = self.seen.replace(Seen { now, state, cause });
        // A clock that was never set says nothing about when.
        if wall < CLOCK_MIN || !self.is_believed(now, wall) {
            return;
        }
        let end = self.until.replace(wall);
        match (before, end) {
            (Some(seen), end) => {
                let ran = u64::try_from(now.since(seen.now).as_millis()).unwrap_or(u64::MAX);
                let from = begin_of(Wall(wall.0.saturating_sub(ran)), end);
                self.book(from, wall, seen.state, &seen.cause);
            }
            (None, Some(end)) => self.book(end, wall, State::Off, NO_PROCESS),
            (None, None) => {}
        }
    }

    /// Whether the clock is not behind the record, or has been for long enough.
    fn is_believed(&mut self, now: Instant, wall: Wall) -> bool {
        let Some(until) = self.until.filter(|until| wall < *until) else {
            self.behind = None;
            return true;
        };
        if until.since(wall) <= UPTIME_CLOCK_SLACK {
            return false;
        }
        let since = *self.behind.get_or_insert(now);
        if now.since(since) >= UPTIME_CLOCK_PATIENCE {
            self.set_back(wall);
        }
        // Nothing is booked by this look: where the record ends was only found out now.
        false
    }

    /// Throws away what lies in the future.
    fn set_back(&mut self, wall: Wall) {
        self.slots.retain(|slot| slot.at < wall.0 / SLOT_MS);
        let today = wall.0 / DAY_MS;
        self.days.retain(|day| day.at < today);
        // The slots reach back over the whole of today.
        let mut day = Day { at: today, tally: Tally::default(), causes: Vec::new() };
        for slot in self.slots.iter().filter(|slot| slot.at / DAY_SLOTS == today) {
            let Tally { up, down, off } = slot.tally;
            let cause = slot.cause.as_ref().map_or(OTHERS, |(cause, _)| cause);
            day.add(State::Up, "", up);
            day.add(State::Down, cause, down);
            day.add(State::Off, cause, off);
        }
        self.days.push_back(day);
        (self.until, self.behind) = (Some(wall), None);
    }

    fn book(&mut self, from: Wall, until: Wall, state: State, cause: &str) {
        // What is older than the record reaches is not worth the way.
        let reach = DAY_MS * UPTIME_DAYS_MAX as u64;
        let mut at = from.0.max(until.0.saturating_sub(reach));
        while at < until.0 {
            let end = (at / SLOT_MS + 1).saturating_mul(SLOT_MS).min(until.0);
            let ms = u32::try_from(end - at).unwrap_or(u32::MAX);
            self.slot(at / SLOT_MS).add(state, cause, ms);
            self.day(at / DAY_MS).add(state, cause, ms);
            at = end;
        }
    }

    fn slot(&mut self, at: u64) -> &mut Slot {
        if self.slots.back().is_none_or(|last| last.at < at) {
            if self.slots.len() >= UPTIME_SLOTS_MAX {
                self.slots.pop_front();
            }
            self.slots.push_back(Slot { at, tally: Tally::default(), cause: None });
        }
        let last = self.slots.len() - 1;
        &mut self.slots[last]
    }

    fn day(&mut self, at: u64) -> &mut Day {
        if self.days.back().is_none_or(|last| last.at < at) {
            if self.days.len() >= UPTIME_DAYS_MAX {
                self.days.pop_front();
            }
            self.days.push_back(Day { at, tally: Tally::default(), causes: Vec::new() });
        }
        let last = self.days.len() - 1;
        &mut self.days[last]
    }

    /// The last 24 hours, slots that are the same put together.
    #[must_use]
    pub fn last_day(&self, wall: Wall) -> Vec<Slots> {
        let last = wall.0 / SLOT_MS;
        let is_meant = |slot: &&Slot| slot.at.saturating_add(DAY_SLOTS) > last && slot.at <= last;
        runs(self.slots.iter().filter(is_meant))
    }

    /// The last days, the oldest first; those of which nothing is known are not there.
    pub fn last_days(&self, wall: Wall) -> impl Iterator<Item = &Day> {
        let today = wall.0 / DAY_MS;
        let days = UPTIME_DAYS_MAX as u64;
        self.days.iter().filter(move |day| day.at.saturating_add(days) > today && day.at <= today)
    }
}

impl Slot {
    fn add(&mut self, state: State, cause: &str, ms: u32) {
        self.tally.add(state, ms);
        if state == State::Up || self.cause.as_ref().is_some_and(|(_, longest)| *longest > ms) {
            return;
        }
        match &mut self.cause {
            Some((known, longest)) if **known == *cause => *longest = longest.saturating_add(ms),
            other => *other = Some((cause.into(), ms)),
        }
    }
}

/// A stretch begins where the record ends, if that is about where it should; what lies between
/// otherwise was jumped over.
fn begin_of(from: Wall, end: Option<Wall>) -> Wall {
    match end {
        Some(end) if from <= end || from.since(end) <= UPTIME_CLOCK_SLACK => end,
        _ => from,
    }
}

/// Slots in a row that are the same, as one.
fn runs<'s>(slots: impl Iterator<Item = &'s Slot>) -> Vec<Slots> {
    let mut runs: Vec<Slots> = Vec::new();
    for slot in slots {
        let cause = slot.cause.as_ref().map(|(cause, _)| cause.clone());
        match runs.last_mut() {
            Some(run)
                if run.at.saturating_add(run.count.into()) == slot.at
                    && run.tally == slot.tally
                    && run.cause == cause =>
            {
                run.count += 1;
            }
            _ => runs.push(Slots { at: slot.at, count: 1, tally: slot.tally, cause }),
        }
    }
    runs
}
