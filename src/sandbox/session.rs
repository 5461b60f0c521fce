//! Sessions: what each bot may see, what it has yet to be sent, and what a RESUME can replay.
//!
//! A session keeps its last events, and a connection is a cursor into them. So replay after a
//! RESUME and delivery while live are one and the same walk.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use crate::base::{Instant, limits};

/// The intents that the sandbox heeds (Discord's documentation, "Gateway Intents").
pub mod intents {
    /// Guilds, channels and threads.
    pub const GUILDS: u64 = 1 << 0;
    /// Privileged: members.
    pub const GUILD_MEMBERS: u64 = 1 << 1;
    /// Privileged: presences.
    pub const GUILD_PRESENCES: u64 = 1 << 8;
    /// Messages in guilds.
    pub const GUILD_MESSAGES: u64 = 1 << 9;
    /// Reactions in guilds.
    pub const GUILD_REACTIONS: u64 = 1 << 10;
    /// Typing in guilds.
    pub const GUILD_TYPING: u64 = 1 << 11;
    /// Direct messages.
    pub const DIRECT_MESSAGES: u64 = 1 << 12;
    /// Reactions in direct messages.
    pub const DIRECT_REACTIONS: u64 = 1 << 13;
    /// Typing in direct messages.
    pub const DIRECT_TYPING: u64 = 1 << 14;
    /// Privileged: what messages say.
    pub const MESSAGE_CONTENT: u64 = 1 << 15;
    /// All that exist; others are 4013.
    pub const ALL: u64 = 0x1ff_ffff;
}

/// One event, as it is sent but for its sequence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dispatch {
    /// Its kind: `t`.
    pub kind: &'static str,
    /// Its data in JSON: `d`.
    pub data: Rc<str>,
}

/// One session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    /// The bot that it belongs to.
    pub bot: u64,
    /// What it asked for.
    pub intents: u64,
    /// Its shard: which, and of how many.
    pub shard: (u64, u64),
    /// The sequence of its newest event.
    pub seq: u64,
    /// The connection that serves it; `None` while it is offline.
    pub connection: Option<u64>,
    /// The sequence that was sent last on that connection.
    sent: u64,
    /// Everything up to this sequence can no longer be replayed.
    forgotten: u64,
    since: Instant,
    events: VecDeque<(u64, Dispatch)>,
}

/// Why a session is not resumed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// There is no such session of this bot, or what it missed is forgotten: op 9.
    Unknown,
    /// The sequence lies ahead of the session: 4007.
    BadSequence,
}

/// What a connection is to do next for its session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// Send this, with this sequence.
    Send(u64, Dispatch),
    /// Wait.
    Wait,
    /// The session is over, or served by another connection, or its events went by too fast.
    Gone,
}

/// All sessions.
#[derive(Debug, Default)]
pub struct Sessions {
    all: BTreeMap<u64, Session>,
    /// Connections that have something to do.
    wakes: Vec<u64>,
}

impl Sessions {
    /// Opens the session `id` on `connection`. The one that has been offline longest makes room.
    pub fn open(&mut self, now: Instant, id: u64, bot: u64, intents: u64, shard: (u64, u64)) {
        if self.all.len() >= limits::SANDBOX_SESSIONS_MAX {
            let offline = self.all.iter().filter(|(_, session)| session.connection.is_none());
            let oldest = offline.min_by_key(|(_, session)| session.since).map(|(&id, _)| id);
            if let Some(id) = oldest.or_else(|| self.all.keys().next().copied()) {
                self.end(id);
            }
        }
        let (connection, events) = (None, VecDeque::new());
        let (seq, sent, forgotten) = (0, 0, 0);
        let session =
            Session { bot, intents, shard, seq, connection, sent, forgotten, since: now, events };
        self.all.insert(id, session);
    }

    /// Puts the fresh session `id` on `connection`.
    pub fn attach(&mut self, id: u64, connection: u64) {
        if let Some(session) = self.all.get_mut(&id) {
            session.connection = Some(connection);
        }
        self.wakes.push(connection);
    }

    /// Puts the session `id` on `connection`, to go on after `seq`. A connection that it had
    /// finds it gone.
    ///
    /// # Errors
    /// Why it is not to be had; one that cannot replay is ended.
    pub fn resume(&mut self, bot: u64, id: u64, seq: u64, connection: u64) -> Result<(), Refusal> {
        let session = self.all.get_mut(&id).filter(|session| session.bot == bot);
        let session = session.ok_or(Refusal::Unknown)?;
        if seq > session.seq {
            return Err(Refusal::BadSequence);
        }
        if seq < session.forgotten {
            self.end(id);
            return Err(Refusal::Unknown);
        }
        self.wakes.extend(session.connection.replace(connection));
        self.wakes.push(connection);
        session.sent = seq;
        // The RESUMED of an earlier time must not come again in the middle of the replay.
        session.events.retain(|(_, event)| event.kind != "RESUMED");
        push(session, Dispatch { kind: "RESUMED", data: r#"{"_trace":["sandbox"]}"#.into() });
        Ok(())
    }

    /// The connection is gone; its session waits for a RESUME.
    pub fn detach(&mut self, now: Instant, connection: u64) {
        for session in self.all.values_mut().filter(|s| s.connection == Some(connection)) {
            session.connection = None;
            session.since = now;
        }
    }

    /// Ends the session `id`; its connection finds it gone.
    pub fn end(&mut self, id: u64) {
        if let Some(session) = self.all.remove(&id) {
            self.wakes.extend(session.connection);
        }
    }

    /// Ends sessions that have been offline for `ttl`.
    pub fn expire(&mut self, now: Instant, ttl: Duration) {
        self.all.retain(|_, session| session.connection.is_some() || session.since + ttl > now);
    }

    /// What `connection` is to do for the session `id`. An event that is handed out counts as
    /// sent.
    pub fn next(&mut self, id: u64, connection: u64) -> Next {
        let session = self.all.get_mut(&id).filter(|s| s.connection == Some(connection));
        let Some(session) = session else { return Next::Gone };
        if session.sent < session.forgotten {
            self.all.remove(&id);
            return Next::Gone;
        }
        let at = session.events.partition_point(|(seq, _)| *seq <= session.sent);
        match session.events.get(at) {
            Some((seq, event)) => {
                session.sent = *seq;
                Next::Send(*seq, event.clone())
            }
            None => Next::Wait,
        }
    }

    /// Gives an event to each session that `data` has something for.
    pub fn dispatch(
        &mut self,
        kind: &'static str,
        mut data: impl FnMut(&Session) -> Option<Rc<str>>,
    ) {
        for session in self.all.values_mut() {
            if let Some(data) = data(session) {
                push(session, Dispatch { kind, data });
                self.wakes.extend(session.connection);
            }
        }
    }

    /// Gives an event to the session `id` alone.
    pub fn send(&mut self, id: u64, kind: &'static str, data: impl Into<Rc<str>>) {
        if let Some(session) = self.all.get_mut(&id) {
            push(session, Dispatch { kind, data: data.into() });
            self.wakes.extend(session.connection);
        }
    }

    /// Lets the sequence of `id` jump ahead by `by`; the events between never were.
    pub fn jump(&mut self, id: u64, by: u64) -> u64 {
        let Some(session) = self.all.get_mut(&id) else { return 0 };
        session.seq += by;
        session.seq
    }

    /// How many events wait for the connection that is furthest behind.
    #[must_use]
    pub fn backlog(&self) -> usize {
        let waiting = |session: &Session| {
            let sent = session.events.partition_point(|(seq, _)| *seq <= session.sent);
            session.events.len() - sent
        };
        let online = self.all.values().filter(|session| session.connection.is_some());
        online.map(waiting).max().unwrap_or(0)
    }

    /// The session `id`.
    #[must_use]
    #[cfg(test)]
    pub fn get(&self, id: u64) -> Option<&Session> {
        self.all.get(&id)
    }

    /// All of them with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Session)> {
        self.all.iter().map(|(&id, session)| (id, session))
    }

    /// The connections that have had something to do since the last call.
    pub fn take_wakes(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.wakes)
    }
}

fn push(session: &mut Session, event: Dispatch) {
    session.seq += 1;
    session.events.push_back((session.seq, event));
    if session.events.len() > limits::SANDBOX_REPLAY_MAX
        && let Some((seq, _)) = session.events.pop_front()
    {
        session.forgotten = seq;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOT: u64 = 5;

    fn opened() -> Sessions {
        let mut sessions = Sessions::default();
        sessions.open(Instant(0), 1, BOT, intents::ALL, (0, 1));
        sessions.attach(1, 10);
        sessions
    }

    fn say(sessions: &mut Sessions, data: &str) {
        sessions.dispatch("MESSAGE_CREATE", |_| Some(data.into()));
    }

    fn drain(sessions: &mut Sessions, connection: u64) -> Vec<(u64, String)> {
        let mut sent = Vec::new();
        while let Next::Send(seq, event) = sessions.next(1, connection) {
            sent.push((seq, format!("{} {}", event.kind, event.data)));
        }
        sent
    }

    #[test]
    fn what_was_missed_is_replayed_and_resumed_follows() {
        let mut sessions = opened();
        say(&mut sessions, "a");
        say(&mut sessions, "b");
        assert_eq!(drain(&mut sessions, 10).len(), 2);
        sessions.detach(Instant(0), 10);
        say(&mut sessions, "c");
        assert_eq!(sessions.resume(BOT, 1, 1, 11), Ok(()));
        let replayed = drain(&mut sessions, 11);
        let expected =
            ["MESSAGE_CREATE b", "MESSAGE_CREATE c", "RESUMED {\"_trace\":[\"sandbox\"]}"];
        assert_eq!(replayed.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), expected);
        assert_eq!(replayed.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(sessions.next(1, 10), Next::Gone, "the old connection has lost it");
        // A second RESUME, from before the first: RESUMED comes once, at the end.
        assert_eq!(sessions.resume(BOT, 1, 2, 12), Ok(()));
        let seqs: Vec<_> = drain(&mut sessions, 12).iter().map(|(seq, _)| *seq).collect();
        assert_eq!(seqs, [3, 5]);
    }

    #[test]
    fn resume_is_refused_for_strangers_and_for_the_future() {
        let mut sessions = opened();
        say(&mut sessions, "a");
        assert_eq!(sessions.resume(BOT, 2, 0, 11), Err(Refusal::Unknown));
        assert_eq!(sessions.resume(6, 1, 0, 11), Err(Refusal::Unknown));
        assert_eq!(sessions.resume(BOT, 1, 2, 11), Err(Refusal::BadSequence));
    }

    #[test]
    fn what_is_forgotten_ends_the_session() {
        let mut sessions = opened();
        for _ in 0..=limits::SANDBOX_REPLAY_MAX {
            say(&mut sessions, "a");
        }
        assert_eq!(sessions.next(1, 10), Next::Gone, "it fell behind");
        let mut sessions = opened();
        sessions.detach(Instant(0), 10);
        for _ in 0..=limits::SANDBOX_REPLAY_MAX {
            say(&mut sessions, "a");
        }
        assert_eq!(sessions.resume(BOT, 1, 0, 11), Err(Refusal::Unknown));
    }

    #[test]
    fn sessions_expire_offline_only_and_are_bounded() {
        let mut sessions = opened();
        let (later, ttl) = (Instant(0) + Duration::from_secs(200), Duration::from_secs(180));
        sessions.expire(later, ttl);
        assert!(sessions.get(1).is_some());
        sessions.detach(Instant(0), 10);
        sessions.expire(later, ttl);
        assert!(sessions.get(1).is_none());
        for id in 0..=limits::SANDBOX_SESSIONS_MAX as u64 {
            sessions.open(Instant(id), id, BOT, 0, (0, 1));
        }
        assert!(sessions.get(0).is_none() && sessions.get(1).is_some());
    }

    #[test]
    fn a_jump_leaves_a_hole_and_nothing_else() {
        let mut sessions = opened();
        say(&mut sessions, "a");
        sessions.jump(1, 1000);
        say(&mut sessions, "b");
        let seqs: Vec<_> = drain(&mut sessions, 10).iter().map(|(seq, _)| *seq).collect();
        assert_eq!(seqs, [1, 1002]);
        assert_eq!(sessions.backlog(), 0);
    }
}
