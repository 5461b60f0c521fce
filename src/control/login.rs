//! Who may come in by the page: codes that are good once, and the sessions that they become.
//!
//! Only digests are held here, so that what is read out of our memory or our files opens nothing.
//! The machine is given the time, and the digests of what chance made elsewhere.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::limits::{
    LOGIN_CODE_TTL, LOGIN_CODES_MAX, LOGIN_SESSION_IDLE, LOGIN_SESSIONS_MAX,
};
use crate::base::{Instant, Wall};

/// The SHA-256 of a code or of what a browser keeps.
pub(crate) type Mark = [u8; 32];

/// A session's number, never given twice by one process.
pub(crate) type Number = u64;

/// Codes that wait to be redeemed, and sessions.
#[derive(Debug, Default)]
pub(crate) struct Logins {
    /// The oldest first.
    codes: Vec<(Mark, Instant)>,
    sessions: Vec<Session>,
    count: Number,
}

#[derive(Debug)]
struct Session {
    mark: Mark,
    number: Number,
    /// Until when it holds if nobody uses it.
    until: Instant,
    /// How many connections are open by it; while one is, it is in use.
    open: u32,
}

/// A session as it outlives the process: it, and when it was last used.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    mark: Mark,
    used: Wall,
}

impl Logins {
    /// A code that may be redeemed once, and soon. Of too many the oldest falls.
    pub(crate) fn offer(&mut self, code: Mark, now: Instant) {
        self.sweep(now);
        if self.codes.len() >= LOGIN_CODES_MAX {
            self.codes.remove(0);
        }
        self.codes.push((code, now));
    }

    /// Makes a session for a code; false if there is no such code, or no more. Of too many
    /// sessions the one falls that was not used for longest.
    pub(crate) fn redeem(&mut self, code: &Mark, session: Mark, now: Instant) -> bool {
        self.sweep(now);
        let Some(at) = self.codes.iter().position(|(known, _)| known == code) else { return false };
        self.codes.remove(at);
        while self.sessions.len() >= LOGIN_SESSIONS_MAX {
            let idlest = (0..self.sessions.len())
                .min_by_key(|&at| (self.sessions[at].open > 0, self.sessions[at].until));
            self.sessions.remove(idlest.unwrap_or(0));
        }
        self.add(session, now + LOGIN_SESSION_IDLE);
        true
    }

    fn add(&mut self, mark: Mark, until: Instant) {
        self.count += 1;
        self.sessions.push(Session { mark, number: self.count, until, open: 0 });
    }

    /// Somebody connects by a session: its number, if there is one. Whoever enters
    /// [leaves](Logins::leave).
    pub(crate) fn enter(&mut self, mark: &Mark, now: Instant) -> Option<Number> {
        self.sweep(now);
        let session = self.sessions.iter_mut().find(|session| session.mark == *mark)?;
        session.until = now + LOGIN_SESSION_IDLE;
        session.open += 1;
        Some(session.number)
    }

    /// A connection by this session is over. The session may be, too.
    pub(crate) fn leave(&mut self, number: Number, now: Instant) {
        if let Some(session) = self.sessions.iter_mut().find(|s| s.number == number) {
            session.until = now + LOGIN_SESSION_IDLE;
            session.open = session.open.saturating_sub(1);
        }
    }

    /// Ends a session.
    pub(crate) fn end(&mut self, mark: &Mark) {
        self.sessions.retain(|session| session.mark != *mark);
    }

    /// Whether the session with this number still holds.
    pub(crate) fn holds(&self, number: Number) -> bool {
        self.sessions.iter().any(|session| session.number == number)
    }

    fn sweep(&mut self, now: Instant) {
        self.codes.retain(|(_, since)| now.since(*since) < LOGIN_CODE_TTL);
        self.sessions.retain(|session| session.is_good(now));
    }

    /// What is to outlive the process. Codes are not: they are young, and made again at no cost.
    pub(crate) fn kept(&self, now: Instant, wall: Wall) -> Vec<Kept> {
        let kept = |session: &Session| {
            let left = now.until(session.until);
            let idle = match session.open {
                0 => LOGIN_SESSION_IDLE.saturating_sub(left),
                _ => Duration::ZERO,
            };
            let idle_ms = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
            Kept { mark: session.mark, used: Wall(wall.0.saturating_sub(idle_ms)) }
        };
        self.sessions.iter().filter(|session| session.is_good(now)).map(kept).collect()
    }

    /// Goes on from what an earlier process kept.
    pub(crate) fn restore(&mut self, kept: Vec<Kept>, now: Instant, wall: Wall) {
        for Kept { mark, used } in kept.into_iter().take(LOGIN_SESSIONS_MAX) {
            let left = LOGIN_SESSION_IDLE.saturating_sub(wall.since(used));
            if !left.is_zero() {
                self.add(mark, now + left);
            }
        }
    }
}

impl Session {
    fn is_good(&self, now: Instant) -> bool {
        self.open > 0 || now < self.until
    }
}
