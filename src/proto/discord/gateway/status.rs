//! What there is to know about a connection, for status pages, metrics and doctors.

use std::fmt;
use std::time::Duration;

use super::{Budget, Cause};
use crate::base::Instant;

/// The words by which people know how a channel is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum State {
    /// Stopped, or not started.
    #[default]
    Disconnected,
    /// On its way to its first connection.
    Connecting,
    /// READY or RESUMED.
    Connected,
    /// It was connected and is on its way back, or held by the IDENTIFY budget.
    Reconnecting,
    /// Parked: the token is refused.
    AuthRequired,
    /// Parked: something else must be changed first.
    Error,
}

impl State {
    /// The word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            State::Disconnected => "disconnected",
            State::Connecting => "connecting",
            State::Connected => "connected",
            State::Reconnecting => "reconnecting",
            State::AuthRequired => "auth_required",
            State::Error => "error",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a person can do about an account that is parked by this close code.
#[must_use]
pub fn cure(code: u16) -> Option<&'static str> {
    Some(match code {
        4004 => {
            "make a new token in the developer portal (Bot, Reset Token), and put it where the old \
             one is; it is looked for every few seconds"
        }
        4010 | 4011 => {
            "Discord wants this bot in several shards, as it is in very many servers; barnacle \
             has one connection for each bot"
        }
        4012 => "this version is too old for Discord: update barnacle",
        4013 => "name intents that there are in channels.discord.intents, or none",
        4014 => {
            "switch the intents on in the developer portal (Bot, Privileged Gateway Intents); \
             `barnacle doctor` names them, and `barnacle doctor --fix` asks for them"
        }
        _ => return None,
    })
}

/// The facts of this moment, and the counts since the machine was made.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Status {
    /// How it is.
    pub state: State,
    /// Since when.
    pub since: Instant,
    /// When it last proved that it lives: a heartbeat's ACK, READY or RESUMED.
    pub proof: Option<Instant>,
    /// The last heartbeat's way there and back.
    pub rtt: Option<Duration>,
    /// How often the server wants a heartbeat, while there is a connection.
    pub interval: Option<Duration>,
    /// Who we are, since the last READY.
    pub me: Option<Me>,
    /// What the server last said of the IDENTIFY budget, less what we have spent since.
    pub budget: Option<Budget>,
    /// Our own IDENTIFYs of the last 24 hours, as of the last one.
    pub identifies_of_day: u32,
    /// Strikes against the session.
    pub strikes: u32,
    /// Failures since a connection last proved itself well.
    pub failures: u32,
    /// When we dial next, while we wait.
    pub next_try: Option<Instant>,
    /// Why the last connection, or try, ended.
    pub last_end: Option<Cause>,
    /// The close code by which an account is parked (4004 also for a 401 by REST).
    pub parked: Option<u16>,
    /// Since when there was no connection, while there is none and one is wanted.
    pub down_since: Option<Instant>,
    /// How long the last outage lasted.
    pub recovered_in: Option<Duration>,
    /// What happened how often.
    pub counters: Counters,
}

/// Who we are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Me {
    /// Our user's id.
    pub user: u64,
    /// Our application's id.
    pub application: u64,
    /// Our application's flags: bits 18 and 19 tell whether `MESSAGE_CONTENT` is allowed.
    pub flags: u64,
}

/// What happened how often.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Counters {
    /// Dials.
    pub dials: u64,
    /// WebSockets that came up.
    pub opens: u64,
    /// Connections that became READY or RESUMED.
    pub connects: u64,
    /// RESUMEs and what came of them.
    pub resumes: Resumes,
    /// IDENTIFYs written.
    pub identifies: u64,
    /// Op 7 received.
    pub reconnects: u64,
    /// Op 9 received.
    pub invalid_sessions: u64,
    /// WebSockets that ended, by close code.
    pub closes: Closes,
    /// Heartbeats.
    pub beats: Beats,
    /// Dispatches delivered.
    pub delivered: u64,
    /// Dispatches that we had already.
    pub duplicates: u64,
    /// Messages that could not be read, or came out of place.
    pub unreadable: u64,
    /// Messages with an op that we do not know.
    pub unknown_ops: u64,
    /// Outputs that found no room: always 0, or there is a bug.
    pub outputs_lost: u64,
}

/// RESUMEs and what came of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Resumes {
    /// Written.
    pub asked: u64,
    /// Answered by RESUMED.
    pub accepted: u64,
    /// Ended by a close, a cut or an op before RESUMED.
    pub refused: u64,
    /// Not answered at all.
    pub swallowed: u64,
}

/// Heartbeats.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Beats {
    /// Sent.
    pub sent: u64,
    /// ACKs that came back.
    pub acked: u64,
    /// By how much the latest one was late.
    pub late: Duration,
    /// By how much any one was late at most.
    pub late_max: Duration,
}

/// How many codes are counted apart; the rest go together.
const CODES_MAX: usize = 24;

/// Ends by close code: a bounded table, in order of first appearance.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Closes {
    rows: heapless::Vec<(u16, u64), CODES_MAX>,
    others: u64,
}

impl Closes {
    /// Counts one end by `code`.
    pub(super) fn count(&mut self, code: u16) {
        if let Some((_, count)) = self.rows.iter_mut().find(|(known, _)| *known == code) {
            *count += 1;
        } else if self.rows.push((code, 1)).is_err() {
            self.others += 1;
        }
    }

    /// Each code and how often it came.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u64)> + '_ {
        self.rows.iter().copied()
    }

    /// Ends by codes for which there was no row left.
    #[must_use]
    pub fn others(&self) -> u64 {
        self.others
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.iter().map(|(_, count)| count).sum::<u64>() + self.others
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_parks_an_account_has_a_cure() {
        assert!([4004, 4010, 4011, 4012, 4013, 4014].into_iter().all(|code| cure(code).is_some()));
        assert_eq!(cure(4000), None);
    }

    #[test]
    fn closes_are_counted_in_bounded_space() {
        let mut closes = Closes::default();
        for code in 4000..4100 {
            closes.count(code);
            closes.count(1006);
        }
        assert_eq!(closes.total(), 200);
        assert!(closes.iter().any(|row| row == (1006, 100)));
        assert_eq!(closes.others(), 100 - (CODES_MAX as u64 - 1));
    }
}
