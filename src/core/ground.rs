//! What the host itself lacks for a connection, and when it is back: a route, a name server that
//! answers, the time of day.
//!
//! Dials find out by failing, and each failure makes the next try rarer. This machine looks at the
//! host meanwhile: it gives the lack its name, and has whoever waits try again as soon as it is
//! gone. It holds nobody back: what is wrong here is a reason, never a rule.
//!
//! The clock is wrong if it shows a time before this program was made. A board without a battery
//! starts like that; no certificate is valid then, and what would be told is an error of TLS. A
//! clock that is wrong otherwise is not known from within: it is doubted when a certificate is
//! not valid now.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::base::limits::{CLOCK_DOUBT, CLOCK_JUMP, GROUND_LOOK, GROUND_LOOK_IDLE};
use crate::base::{Instant, Machine, Wall};

/// What is lacking. The earlier ones come first: without a route nobody resolves a name or asks
/// for the time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Lack {
    /// There is no way out of this host.
    Route,
    /// No name server answers.
    Dns,
    /// The clock shows this, which is before the program was made.
    Clock(Wall),
    /// The clock shows this, and a certificate is not valid then.
    Doubt(Wall),
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lack::Route => {
                f.write_str("no route: the cable, the Wi-Fi or the router is out; waiting for it")
            }
            Lack::Dns => f.write_str("no name server answers (DNS); waiting for it"),
            Lack::Clock(shows) => {
                write!(f, "the clock is wrong: {shows}; waiting for time sync")
            }
            Lack::Doubt(shows) => write!(
                f,
                "the clock may be wrong: {shows}; a certificate is not valid then; waiting for \
                 time sync"
            ),
        }
    }
}

impl Lack {
    /// What is back when it ends.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Lack::Route => "the route",
            Lack::Dns => "the name server",
            Lack::Clock(_) | Lack::Doubt(_) => "the right time",
        }
    }

    fn is_same(self, other: Lack) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    fn is_of_clock(self) -> bool {
        matches!(self, Lack::Clock(_) | Lack::Doubt(_))
    }
}

/// Why those who wait for their next try could not connect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fault by itself")]
pub struct Faults {
    /// There was no route.
    pub route: bool,
    /// The name could not be resolved.
    pub dns: bool,
    /// A certificate was not valid now.
    pub clock: bool,
    /// Whatever it was: somebody waits.
    pub any: bool,
}

/// How the host looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    /// What the clock on the wall shows.
    pub wall: Wall,
    /// Whether there is a way out.
    pub has_route: bool,
    /// Whether a name server answers, if it was asked.
    pub has_dns: Option<bool>,
    /// What those who wait ran into.
    pub faults: Faults,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// Say that this is lacking.
    Lacks(Lack),
    /// Say that it is lacking no more, after so long.
    Back(Lack, Duration),
    /// Whoever waits for the next try tries now.
    Hurry,
}

/// See the module.
#[derive(Debug)]
pub struct Ground {
    /// When this program was made: no right clock shows less.
    made: Wall,
    /// When it was looked at last, and what the clock showed.
    looked: Option<(Instant, Wall)>,
    /// When the clock was set, as far as that was seen.
    set: Option<Instant>,
    is_idle: bool,
    lack: Option<(Lack, Instant)>,
    outputs: VecDeque<Output>,
}

impl Ground {
    /// For a program that was made at `made`.
    #[must_use]
    pub fn new(made: Wall) -> Ground {
        Ground {
            made,
            looked: None,
            set: None,
            is_idle: true,
            lack: None,
            outputs: VecDeque::new(),
        }
    }

    /// What is lacking.
    #[must_use]
    pub fn lack(&self) -> Option<Lack> {
        self.lack.map(|(lack, _)| lack)
    }

    /// Whether `wall` can be right.
    #[must_use]
    pub fn believes(&self, wall: Wall) -> bool {
        wall >= self.made
    }

    fn judge(&self, now: Instant, seen: &Seen) -> Option<Lack> {
        let Seen { wall, has_route, has_dns, faults } = *seen;
        // What a certificate was refused for before the clock was set says nothing of it now.
        let is_fresh = self.set.is_none_or(|set| now.since(set) > CLOCK_DOUBT);
        if !has_route && (faults.route || faults.dns) {
            Some(Lack::Route)
        } else if !self.believes(wall) {
            Some(Lack::Clock(wall))
        } else if faults.dns && has_dns == Some(false) {
            Some(Lack::Dns)
        } else if faults.clock && is_fresh {
            Some(Lack::Doubt(wall))
        } else {
            None
        }
    }

    /// Whether the clock was set since the last look.
    fn was_set(&self, now: Instant, wall: Wall) -> bool {
        self.looked.is_some_and(|(then, showed)| {
            let expected = showed + now.since(then);
            wall.since(expected).max(expected.since(wall)) > CLOCK_JUMP
        })
    }
}

impl Machine for Ground {
    type Input<'a> = Seen;
    type Output = Output;

    fn handle(&mut self, now: Instant, seen: Seen) {
        let was_set = self.was_set(now, seen.wall);
        self.looked = Some((now, seen.wall));
        if was_set {
            self.set = Some(now);
        }
        let before = self.lack;
        let lack = self.judge(now, &seen);
        let is_new = match (before, lack) {
            (Some((before, _)), Some(lack)) => !before.is_same(lack),
            (before, lack) => before.is_some() != lack.is_some(),
        };
        if is_new {
            if let Some((before, since)) = before {
                self.outputs.push_back(Output::Back(before, now.since(since)));
            }
            if let Some(lack) = lack {
                self.outputs.push_back(Output::Lacks(lack));
            }
        }
        let since = before.filter(|_| !is_new).map_or(now, |(_, since)| since);
        self.lack = lack.map(|lack| (lack, since));
        let is_better = before.is_some() && is_new;
        let is_set = was_set && before.is_some_and(|(before, _)| before.is_of_clock());
        if (is_better || is_set) && seen.faults.any {
            self.outputs.push_back(Output::Hurry);
        }
        self.is_idle = self.lack.is_none() && !seen.faults.any;
    }

    fn expire(&mut self, _now: Instant) {}

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        let (looked, _) = self.looked?;
        Some(looked + if self.is_idle { GROUND_LOOK_IDLE } else { GROUND_LOOK })
    }
}

#[cfg(test)]
mod tests;
