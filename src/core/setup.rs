//! First contact: who may hand the first token to a gateway that has none.
//!
//! A code is shown where only who is at the host can read it. Typed into the page, it opens one
//! session, which leads from the token to the first message that is answered. The code is good
//! once and for ten minutes, and then there is another; all that guess share its few tries.
//!
//! Whoever guesses on the network can use up the tries of the network, and so keep others off for
//! as long as he goes on; he cannot touch those of this host, so that the way by it (`ssh -L`, or
//! a screen) is always open to its owner. Of the network's tries no address has them all: it takes
//! more than one machine to keep anybody off. What a year of guessing finds is bounded in
//! `limits`.
//!
//! The machine is given the time, and the chance that codes are made of.

use std::collections::VecDeque;
use std::fmt;
use std::hint::black_box;
use std::net::IpAddr;
use std::time::Duration;

use crate::base::Instant;
use crate::base::limits::{
    SETUP_CODE_TTL, SETUP_CODES_BY_HAND_MAX, SETUP_HOUR, SETUP_SESSION_TTL, SETUP_TOKENS_MAX,
    SETUP_TRIES, SETUP_TRIES_PER_PEER,
};

use super::pairing::Code;

#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;

/// The digest of what a browser keeps.
pub type Mark = [u8; 32];

/// Where one is on the way, in its order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Step {
    /// The token is to be handed over.
    Token,
    /// What the portal has to allow.
    Intents,
    /// The bot is to be let into a server.
    Invite,
    /// A message is to be answered.
    Test,
}

impl Step {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Step::Token => "token",
            Step::Intents => "intents",
            Step::Invite => "invite",
            Step::Test => "test",
        }
    }

    /// The step that is called `name`.
    #[must_use]
    pub fn named(name: &str) -> Option<Step> {
        let all = [Step::Token, Step::Intents, Step::Invite, Step::Test];
        all.into_iter().find(|step| step.name() == name)
    }

    fn next(self) -> Option<Step> {
        match self {
            Step::Token => Some(Step::Intents),
            Step::Intents => Some(Step::Invite),
            Step::Invite => Some(Step::Test),
            Step::Test => None,
        }
    }
}

/// What comes of typing a code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tried {
    /// It was right: the session is open.
    Right,
    /// It was wrong; so many more are looked at that come from there.
    Wrong {
        /// How many.
        left: u8,
    },
    /// That is no code, and it does not count.
    Malformed,
    /// None is looked at that comes from there, until there is another code.
    Spent {
        /// When that is.
        until: Instant,
    },
    /// Somebody is at it already.
    Taken,
    /// There is nothing to set up.
    Closed,
}

/// What comes of asking for a code at the host itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asked {
    /// There is one to be shown.
    Good,
    /// So many were made that the next has to wait.
    Later(Duration),
    /// There is nothing to set up.
    Closed,
    /// Somebody is about to finish.
    Finishing,
}

/// What is told to whoever has opened nothing yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// There is nothing to set up.
    Closed,
    /// A code is waited for.
    Open,
    /// Somebody is at it.
    Taken,
    /// The rest is only somebody's who has begun it.
    Finishing,
}

/// See the module.
#[derive(Default)]
pub struct Setup {
    /// Whether no account has a token.
    is_needed: bool,
    /// Whether somebody at the host wants to replace a token that is there: for one code.
    again: bool,
    offer: Option<Offer>,
    session: Option<Session>,
    /// When codes were made because somebody asked.
    by_hand: VecDeque<Instant>,
}

/// A code, and who has tried it.
#[derive(Clone)]
struct Offer {
    code: Code,
    until: Instant,
    /// Wrong ones from the network and from this host.
    wrong: [u8; 2],
    /// Who has sent them, each as often as they did.
    peers: Vec<(IpAddr, u8)>,
}

struct Session {
    mark: Mark,
    until: Instant,
    step: Step,
    /// Tokens that were tried.
    tokens: u8,
}

impl Offer {
    fn new(now: Instant, chance: u64) -> Offer {
        let until = now + SETUP_CODE_TTL;
        Offer { code: Code::of(chance), until, wrong: [0; 2], peers: Vec::new() }
    }

    /// How many of what `peer` sends are still looked at.
    fn left(&self, peer: IpAddr) -> u8 {
        let of_all = SETUP_TRIES.saturating_sub(self.wrong[side(peer)]);
        if is_here(peer) {
            return of_all;
        }
        let own = self.peers.iter().find(|(known, _)| *known == peer).map_or(0, |(_, own)| *own);
        of_all.min(SETUP_TRIES_PER_PEER.saturating_sub(own))
    }

    fn count(&mut self, peer: IpAddr) {
        self.wrong[side(peer)] += 1;
        // There are no more entries than tries.
        match self.peers.iter_mut().find(|(known, _)| *known == peer) {
            Some((_, own)) => *own += 1,
            None => self.peers.push((peer, 1)),
        }
    }
}

/// Whether it comes from this host itself.
fn is_here(peer: IpAddr) -> bool {
    peer.to_canonical().is_loopback()
}

fn side(peer: IpAddr) -> usize {
    usize::from(is_here(peer))
}

/// Compares all of it, however much is right.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    let differ = one.iter().zip(other).fold(0, |all, (a, b)| black_box(all | (a ^ b)));
    one.len() == other.len() && differ == 0
}

impl Setup {
    /// Whether no account has a token, which is found out elsewhere; and whatever is due.
    pub fn look(&mut self, now: Instant, is_needed: bool, chance: u64) {
        // A token that came from elsewhere leaves nothing to hand over.
        let is_moot = self.is_needed && !is_needed;
        self.is_needed = is_needed;
        let holds = |session: &Session| {
            let is_token = session.step == Step::Token;
            // And without the token that was handed over nothing follows.
            now < session.until && !(is_token && is_moot) && (is_token || !is_needed)
        };
        if self.session.as_ref().is_some_and(|session| !holds(session)) {
            self.session = None;
            self.again = false;
        }
        if self.offer.as_ref().is_some_and(|offer| offer.until <= now) {
            self.offer = None;
            self.again = false;
        }
        if !self.is_open() || self.session.is_some() {
            self.offer = None;
        } else if self.offer.is_none() {
            self.offer = Some(Offer::new(now, chance));
        }
    }

    /// Somebody at the host wants the code; with `again`, although there is a token. A code is
    /// replaced if its tries are used up, and so is whoever has begun and handed over nothing.
    pub fn ask(&mut self, now: Instant, again: bool, chance: u64) -> Asked {
        if self.session.as_ref().is_some_and(|session| session.step > Step::Token) && !again {
            return Asked::Finishing;
        }
        if !self.is_open() && !again {
            return Asked::Closed;
        }
        let is_good = self.offer.as_ref().is_some_and(|offer| now < offer.until);
        if self.session.is_none() && is_good && self.is_spent() == [false; 2] {
            return Asked::Good;
        }
        while self.by_hand.front().is_some_and(|&at| at + SETUP_HOUR <= now) {
            self.by_hand.pop_front();
        }
        if self.by_hand.len() >= SETUP_CODES_BY_HAND_MAX {
            let first = self.by_hand.front().copied().unwrap_or(now);
            return Asked::Later(now.until(first + SETUP_HOUR));
        }
        self.by_hand.push_back(now);
        self.session = None;
        self.again |= !self.is_needed;
        self.offer = Some(Offer::new(now, chance));
        Asked::Good
    }

    /// `peer` has typed a code. If it is right, `mark` is the session's.
    pub fn attempt(&mut self, now: Instant, peer: IpAddr, typed: &str, mark: Mark) -> Tried {
        match self.standing(now) {
            Standing::Closed | Standing::Finishing => return Tried::Closed,
            Standing::Taken => return Tried::Taken,
            Standing::Open => {}
        }
        let Some(offer) = &mut self.offer else { return Tried::Closed };
        let left = offer.left(peer);
        if left == 0 || offer.until <= now {
            return Tried::Spent { until: offer.until };
        }
        let Some(typed) = Code::typed(typed) else { return Tried::Malformed };
        if !is_same(offer.code.bytes(), typed.bytes()) {
            offer.count(peer);
            return Tried::Wrong { left: offer.left(peer) };
        }
        self.offer = None;
        let until = now + SETUP_SESSION_TTL;
        self.session = Some(Session { mark, until, step: Step::Token, tokens: 0 });
        Tried::Right
    }

    /// Where the session stands that `mark` opens, if it opens one.
    #[must_use]
    pub fn enter(&self, now: Instant, mark: &Mark) -> Option<Step> {
        self.session_of(now, mark).map(|session| session.step)
    }

    /// Whether the session may have another token tried; each is counted.
    pub fn try_token(&mut self, now: Instant, mark: &Mark) -> bool {
        let is_open = self.session_of(now, mark).is_some_and(|session| {
            session.step == Step::Token && session.tokens < SETUP_TOKENS_MAX
        });
        if let Some(session) = self.session.as_mut().filter(|_| is_open) {
            session.tokens += 1;
        }
        is_open
    }

    /// The session's token is in use from now on. False if there is no such session any more.
    pub fn settled(&mut self, now: Instant, mark: &Mark) -> bool {
        let holds = self.enter(now, mark) == Some(Step::Token);
        if let Some(session) = self.session.as_mut().filter(|_| holds) {
            session.step = Step::Intents;
            (self.is_needed, self.again) = (false, false);
        }
        holds
    }

    /// The session is through with `from`; asked twice, it is once. After the last step it is
    /// over. The token is not passed by.
    pub fn passed(&mut self, now: Instant, mark: &Mark, from: Step) -> bool {
        if self.enter(now, mark) != Some(from) || from == Step::Token {
            return false;
        }
        match (from.next(), &mut self.session) {
            (Some(next), Some(session)) => session.step = next,
            _ => self.session = None,
        }
        true
    }

    /// What is told to whoever has opened nothing.
    #[must_use]
    pub fn standing(&self, now: Instant) -> Standing {
        match self.session.as_ref().filter(|session| now < session.until) {
            Some(session) if session.step > Step::Token => Standing::Finishing,
            Some(_) => Standing::Taken,
            None if self.is_open() => Standing::Open,
            None => Standing::Closed,
        }
    }

    /// Whether there is anything to be served.
    #[must_use]
    pub fn is_live(&self, now: Instant) -> bool {
        self.standing(now) != Standing::Closed
    }

    /// The code that is to be shown at the host, and until when it holds.
    #[must_use]
    pub fn code(&self) -> Option<(&Code, Instant)> {
        self.offer.as_ref().map(|offer| (&offer.code, offer.until))
    }

    /// Whether no code is looked at any more that comes from the network, or from this host.
    #[must_use]
    pub fn is_spent(&self) -> [bool; 2] {
        self.offer.as_ref().map_or([false; 2], |offer| offer.wrong.map(|n| n >= SETUP_TRIES))
    }

    /// Who has sent wrong codes, and how many.
    pub fn guessers(&self) -> impl Iterator<Item = (IpAddr, u8)> {
        self.offer.iter().flat_map(|offer| offer.peers.iter().copied())
    }

    /// Until when the session holds, if there is one.
    #[must_use]
    pub fn session_until(&self) -> Option<Instant> {
        self.session.as_ref().map(|session| session.until)
    }

    /// When [`look`](Setup::look) is wanted next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let offer = self.offer.as_ref().map(|offer| offer.until);
        [offer, self.session_until()].into_iter().flatten().min()
    }

    fn is_open(&self) -> bool {
        self.is_needed || self.again
    }

    fn session_of(&self, now: Instant, mark: &Mark) -> Option<&Session> {
        let session = self.session.as_ref().filter(|session| now < session.until)?;
        is_same(&session.mark, mark).then_some(session)
    }
}

/// Never the code.
impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup")
            .field("is_needed", &self.is_needed)
            .field("again", &self.again)
            .field("until", &self.offer.as_ref().map(|offer| offer.until))
            .field("step", &self.session.as_ref().map(|session| session.step))
            .finish_non_exhaustive()
    }
}
