//! Bots that answer each other for ever, and how we leave such a loop.
//!
//! Three things are counted, each of them until a person speaks: how many messages of bots stand
//! one behind the other, each an answer to the one before (the chain: quick loops, of however many
//! bots); how many exchanges a pair has within a window (`maxEventsPerWindow`, as in OpenClaw); and
//! how many it has over hours (slow loops, which no window of a minute sees). At any of these we
//! leave the pair alone until a person speaks, or for a while that grows with each time.
//!
//! Threads count as the channel around them, or a bot that opens one for each answer would have a
//! fresh count every time. Times are those at which messages were said: what comes late, or is
//! heard by several accounts, counts once and where it belongs.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::base::Wall;
use crate::base::limits::{
    LOOP_CHAIN, LOOP_COOLDOWN, LOOP_COOLDOWN_GROWTH, LOOP_COOLDOWN_MAX, LOOP_GAP, LOOP_PAIRS_MAX,
    LOOP_PLACES_MAX, LOOP_SLOW_TURNS, LOOP_SLOW_WINDOW, LOOP_TURNS_MAX, LOOP_WINDOW,
    LOOP_WINDOW_TURNS,
};

/// `botLoopProtection`: how much is allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// `enabled`.
    pub enabled: bool,
    /// `maxEventsPerWindow`.
    pub window_turns: u32,
    /// `windowSeconds`.
    pub window: Duration,
    /// `cooldownSeconds`: how long the first rest is.
    pub cooldown: Duration,
    /// `maxChainDepth`.
    pub chain: u32,
    /// `maxSlowTurns`.
    pub slow_turns: u32,
    /// `slowWindow`.
    pub slow_window: Duration,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            enabled: true,
            window_turns: LOOP_WINDOW_TURNS,
            window: LOOP_WINDOW,
            cooldown: LOOP_COOLDOWN,
            chain: LOOP_CHAIN,
            slow_turns: LOOP_SLOW_TURNS,
            slow_window: LOOP_SLOW_WINDOW,
        }
    }
}

/// A message, as far as it matters here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heard {
    /// The channel, of a thread the one around it.
    pub place: u64,
    /// The service's number for the message.
    pub id: u64,
    /// When it was said.
    pub said: Wall,
    /// Who said it.
    pub author: u64,
    /// Whether that is a program, ourselves included.
    pub is_bot: bool,
    /// The author of the message that it answers, if that is known.
    pub answers: Option<u64>,
}

/// What was counted too high.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Messages of bots that answer each other.
    Chain,
    /// Exchanges within a window.
    Window,
    /// Exchanges over hours.
    Slow,
}

impl Kind {
    /// Every one there is.
    pub const ALL: [Kind; 3] = [Kind::Chain, Kind::Window, Kind::Slow];

    /// The word for counters.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Chain => "loop_chain",
            Kind::Window => "loop_window",
            Kind::Slow => "loop_slow",
        }
    }

    /// The key of [`Policy`] that allows more.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Kind::Chain => "maxChainDepth",
            Kind::Window => "maxEventsPerWindow",
            Kind::Slow => "maxSlowTurns",
        }
    }
}

/// The sentence for people.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Chain => "bots answer each other here, one behind the other",
            Kind::Window => "the two of us answer each other very often",
            Kind::Slow => "the two of us have answered each other for hours",
        })
    }
}

/// A bot that is not answered any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stop {
    /// Why.
    pub kind: Kind,
    /// Whether this is the message at which we stopped: it is said once.
    pub is_first: bool,
    /// Until when, if no person speaks before.
    pub until: Wall,
}

/// What is known of the bots of all channels.
#[derive(Clone, Debug, Default)]
pub struct Loops {
    places: Vec<Place>,
    /// What was heard: the age of places.
    count: u64,
}

#[derive(Clone, Debug)]
struct Place {
    id: u64,
    used: u64,
    /// The newest message, and when and by whom it was said.
    newest: u64,
    last: Option<(u64, Wall)>,
    /// How many messages of bots stand one behind the other.
    depth: u32,
    /// The newest message of a person.
    person: u64,
    pairs: Vec<Pair>,
}

/// Two bots, of which one at least is ours.
#[derive(Clone, Debug)]
struct Pair {
    of: (u64, u64),
    /// When they were let answer each other, the oldest first.
    turns: VecDeque<Wall>,
    /// How often they were stopped.
    stops: u32,
    stopped: Option<(Kind, Wall)>,
}

impl Loops {
    /// Takes in that something was said, whoever heard it, and whether or not it is answered. What
    /// was heard already, or is older than what was heard, changes nothing.
    pub fn heard(&mut self, heard: &Heard) {
        // Where only people speak, nothing is kept.
        let is_known = self.places.iter().any(|place| place.id == heard.place);
        if !heard.is_bot && !is_known {
            return;
        }
        let place = self.place(heard.place);
        if heard.id <= place.newest {
            return;
        }
        place.newest = heard.id;
        if heard.is_bot {
            place.link(heard);
        } else {
            (place.depth, place.last, place.person) = (0, None, heard.id);
            place.pairs.clear();
        }
    }

    /// Whether `us` may answer `heard`, which another bot said; if so, that is counted.
    ///
    /// # Errors
    /// It may not.
    pub fn ask(&mut self, policy: &Policy, heard: &Heard, us: u64) -> Result<(), Stop> {
        if !policy.enabled || !heard.is_bot {
            return Ok(());
        }
        let place = self.place(heard.place);
        if heard.id < place.person {
            // A person has spoken since.
            return Ok(());
        }
        let depth = place.depth;
        let now = heard.said;
        let pair = place.pair((us.min(heard.author), us.max(heard.author)));
        let mut is_over = false;
        if let Some((kind, until)) = pair.stopped {
            if now < until {
                return Err(Stop { kind, is_first: false, until });
            }
            (pair.stopped, is_over) = (None, true);
        }
        match pair.excess(policy, now, if is_over { 1 } else { depth }) {
            None => {
                pair.turns.push_back(now);
                if is_over {
                    place.depth = 1;
                }
                Ok(())
            }
            Some(kind) => Err(pair.stop(policy, kind, now)),
        }
    }

    /// How many channels are watched.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The place; the one that was quiet for longest makes room for a new one, one in which we
    /// answer bots only if all are such, and one in which a loop was stopped last of all.
    fn place(&mut self, id: u64) -> &mut Place {
        self.count += 1;
        let at = self.places.iter().position(|place| place.id == id).unwrap_or_else(|| {
            let (newest, used, depth, person) = (0, 0, 0, 0);
            let fresh = Place { id, used, newest, last: None, depth, person, pairs: Vec::new() };
            if self.places.len() < LOOP_PLACES_MAX {
                self.places.push(fresh);
                return self.places.len() - 1;
            }
            let quiet = self.places.iter().enumerate();
            let quiet = quiet
                .min_by_key(|(_, place)| (place.is_stopped(), !place.pairs.is_empty(), place.used));
            let at = quiet.map_or(0, |(at, _)| at);
            self.places[at] = fresh;
            at
        });
        let place = &mut self.places[at];
        place.used = self.count;
        place
    }
}

impl Place {
    fn is_stopped(&self) -> bool {
        self.pairs.iter().any(|pair| pair.stopped.is_some())
    }

    /// A bot has spoken: behind another bot's message it is one more link.
    fn link(&mut self, heard: &Heard) {
        let behind = self.last.filter(|&(_, said)| heard.said.since(said) < LOOP_GAP);
        self.depth = match behind {
            // Several messages of one bot are one answer.
            Some((author, _)) if author == heard.author => self.depth.max(1),
            Some(_) => self.depth.saturating_add(1),
            // Behind a longer silence it goes on only if it says so itself.
            None if self.last.is_some() && heard.answers.is_some() => self.depth.saturating_add(1),
            None => 1,
        };
        self.last = Some((heard.author, heard.said));
    }

    fn pair(&mut self, of: (u64, u64)) -> &mut Pair {
        let at = self.pairs.iter().position(|pair| pair.of == of).unwrap_or_else(|| {
            if self.pairs.len() >= LOOP_PAIRS_MAX {
                let quiet = self.pairs.iter().enumerate();
                let last = |pair: &Pair| pair.turns.back().map_or(0, |at| at.0);
                let quiet = quiet.min_by_key(|(_, pair)| (pair.stopped.is_some(), last(pair)));
                self.pairs.swap_remove(quiet.map_or(0, |(at, _)| at));
            }
            self.pairs.push(Pair { of, turns: VecDeque::new(), stops: 0, stopped: None });
            self.pairs.len() - 1
        });
        &mut self.pairs[at]
    }
}

impl Pair {
    /// What would be too much if one more turn followed at `now`.
    fn excess(&mut self, policy: &Policy, now: Wall, depth: u32) -> Option<Kind> {
        let kept = policy.window.max(policy.slow_window);
        let most = usize::try_from(LOOP_TURNS_MAX).unwrap_or(usize::MAX);
        while self.turns.len() >= most
            || self.turns.front().is_some_and(|&at| now.since(at) >= kept)
        {
            self.turns.pop_front();
        }
        let within = |span: Duration| self.turns.iter().filter(|&&at| now.since(at) < span).count();
        if depth > policy.chain {
            Some(Kind::Chain)
        } else if within(policy.window) >= policy.window_turns as usize {
            Some(Kind::Window)
        } else if within(policy.slow_window) >= policy.slow_turns as usize {
            Some(Kind::Slow)
        } else {
            None
        }
    }

    fn stop(&mut self, policy: &Policy, kind: Kind, now: Wall) -> Stop {
        let growth = LOOP_COOLDOWN_GROWTH.saturating_pow(self.stops.min(16));
        self.stops = self.stops.saturating_add(1);
        let rest = policy.cooldown.saturating_mul(growth).min(LOOP_COOLDOWN_MAX);
        let until = now + rest;
        self.stopped = Some((kind, until));
        Stop { kind, is_first: true, until }
    }
}

#[cfg(test)]
mod sim;
