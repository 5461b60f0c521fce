//! When jobs are due: at an instant, every so often, or as an expression of cron says.
//!
//! What DST does to an expression follows from whether it names its times. One that names them
//! (`30 2 * * *`) runs once a day: if the clock leaps over its time, then at the first moment after
//! the leap; if the clock is put back and the time comes twice, then the first time. One that
//! repeats within the day (`*/15 * * * *`, any `*` in the seconds, minutes or hours) runs whenever
//! a clock on the wall shows such a time: not in an hour that does not exist, and twice in one that
//! comes twice. This is what Vixie's cron and OpenClaw do.

use crate::base::Wall;

pub mod job;
pub mod pattern;
pub mod roster;

pub use pattern::{BadExpression, Pattern};

/// When something is due.
#[derive(Clone, Debug)]
pub enum When {
    /// Once.
    At(Wall),
    /// Every so many milliseconds, counted from the anchor: what a run takes moves nothing.
    Every {
        /// How often, in milliseconds; at least one.
        every_ms: u64,
        /// From when on.
        anchor: Wall,
    },
    /// As an expression says.
    Cron(Box<Pattern>),
}

impl When {
    /// The first due instant after `after`.
    #[must_use]
    pub fn next(&self, after: Wall) -> Option<Wall> {
        match self {
            When::At(at) => (*at > after).then_some(*at),
            When::Every { anchor, .. } if after < *anchor => Some(*anchor),
            When::Every { every_ms, anchor } => {
                let every = (*every_ms).max(1);
                let gone = (after.0 - anchor.0) / every;
                let next = gone.checked_add(1)?.checked_mul(every)?.checked_add(anchor.0)?;
                Some(Wall(next))
            }
            When::Cron(pattern) => pattern.next(after),
        }
    }

    /// The last due instant after `after` and not after `upto`.
    #[must_use]
    pub fn last(&self, after: Wall, upto: Wall) -> Option<Wall> {
        let mut found = self.next(after).filter(|&due| due <= upto)?;
        if let When::Every { every_ms, anchor } = self {
            let every = (*every_ms).max(1);
            return Some(Wall(upto.0 - (upto.0 - anchor.0) % every));
        }
        // Whether another one follows a moment is true up to the one before the last, and false
        // from there on: so it can be halved, however many there are.
        let mut end = upto.0;
        while found.0 < end {
            let middle = Wall(found.0 + (end - found.0) / 2);
            match self.next(middle).filter(|&due| due <= upto) {
                Some(later) => found = later,
                None if middle == found => break,
                None => end = middle.0,
            }
        }
        Some(found)
    }

    /// How many are due after `after` and not after `upto`; no more than `most` are counted.
    #[must_use]
    pub fn count(&self, after: Wall, upto: Wall, most: u32) -> u32 {
        let mut after = after;
        for count in 0..most {
            match self.next(after).filter(|&due| due <= upto) {
                Some(due) => after = due,
                None => return count,
            }
        }
        most
    }

    /// Whether it is due once only.
    #[must_use]
    pub fn is_once(&self) -> bool {
        matches!(self, When::At(_))
    }
}

#[cfg(test)]
mod tests;
