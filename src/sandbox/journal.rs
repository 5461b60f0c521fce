//! What has happened in the sandbox, with times: for those who listen, for `state`, and counted.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use smol::channel::{Receiver, Sender, TrySendError, bounded};

use crate::base::{Instant, limits};

/// One thing that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// When.
    pub at: Instant,
    /// The bot's user id, once the connection has said which it is.
    pub bot: Option<u64>,
    /// The gateway connection, counted from 1; 0 for what belongs to none.
    pub connection: u64,
    /// What it was.
    pub what: What,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// A TCP connection to the gateway was accepted.
    Connected,
    /// HELLO was sent.
    Hello,
    /// IDENTIFY came.
    Identify,
    /// READY was sent.
    Ready,
    /// RESUME came.
    Resume,
    /// RESUMED was sent.
    Resumed,
    /// Op 9 was sent, resumable or not.
    Invalid(bool),
    /// The sandbox ended the connection: with this close code, or 1006 for none.
    Closed(u16),
    /// The client ended it: with this close code, or 1006 for none.
    Left(u16),
    /// A message was posted.
    Posted {
        /// The channel.
        channel: u64,
        /// The message.
        id: u64,
        /// Its author.
        author: u64,
        /// Whether a bot wrote it.
        by_bot: bool,
        /// The message that it answers.
        reference: Option<u64>,
        /// Its nonce.
        nonce: Option<String>,
    },
    /// A nonce was seen before: the first message was returned again.
    Deduplicated {
        /// The first message.
        id: u64,
    },
    /// A fault was armed.
    Armed(&'static str),
    /// A fault was played.
    Played(&'static str),
    /// The client broke a rule of Discord's.
    Violation(&'static str),
}

impl What {
    /// The word for it in `state` and on the terminal.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            What::Connected => "connected",
            What::Hello => "hello",
            What::Identify => "identify",
            What::Ready => "ready",
            What::Resume => "resume",
            What::Resumed => "resumed",
            What::Invalid(_) => "op9",
            What::Closed(_) => "closed",
            What::Left(_) => "left",
            What::Posted { .. } => "posted",
            What::Deduplicated { .. } => "deduplicated",
            What::Armed(_) => "armed",
            What::Played(_) => "played",
            What::Violation(_) => "violation",
        }
    }
}

/// How many connections there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sockets {
    /// Accepted since the start.
    pub accepted: u64,
    /// Open now, seen from here: until the other side has closed, too.
    pub open: u32,
    /// The most that were open at a time.
    pub open_max: u32,
}

impl Sockets {
    /// One more is open.
    pub fn opened(&mut self) {
        self.accepted += 1;
        self.open += 1;
        self.open_max = self.open_max.max(self.open);
    }

    /// One less is.
    pub fn closed(&mut self) {
        self.open = self.open.saturating_sub(1);
    }
}

/// What one bot has done.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Its connections, from IDENTIFY or RESUME on.
    pub sockets: Sockets,
    /// IDENTIFYs received.
    pub identifies: u64,
    /// When the last of them came.
    pub identified_at: Option<Instant>,
    /// READYs sent.
    pub readies: u64,
    /// RESUMEs received.
    pub resumes: u64,
    /// RESUMEDs sent.
    pub resumeds: u64,
    /// Op 9 sent.
    pub invalids: u64,
    /// Codes with which the sandbox closed.
    pub closed: BTreeMap<u16, u64>,
    /// Codes with which the client left.
    pub left: BTreeMap<u16, u64>,
    /// Heartbeats received.
    pub beats: u64,
    /// How late the last of them were, in milliseconds.
    late_ms: VecDeque<u32>,
    /// The latest of all.
    pub late_ms_max: u32,
}

impl Tally {
    /// A heartbeat came, so long after it was due.
    pub fn beat(&mut self, late: Duration) {
        let late_ms = u32::try_from(late.as_millis()).unwrap_or(u32::MAX);
        self.beats += 1;
        self.late_ms_max = self.late_ms_max.max(late_ms);
        if self.late_ms.len() >= limits::SANDBOX_BEATS_MAX {
            self.late_ms.pop_front();
        }
        self.late_ms.push_back(late_ms);
    }

    /// How late heartbeats are, at most, in `percent` of cases.
    #[must_use]
    pub fn late_ms(&self, percent: usize) -> u32 {
        let mut sorted: Vec<_> = self.late_ms.iter().copied().collect();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100);
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
    }

    fn count(&mut self, at: Instant, what: &What) {
        match what {
            What::Identify => {
                self.identifies += 1;
                self.identified_at = Some(at);
            }
            What::Ready => self.readies += 1,
            What::Resume => self.resumes += 1,
            What::Resumed => self.resumeds += 1,
            What::Invalid(_) => self.invalids += 1,
            What::Closed(code) => *self.closed.entry(*code).or_default() += 1,
            What::Left(code) => *self.left.entry(*code).or_default() += 1,
            _ => {}
        }
    }
}

/// The last events, those who are told of new ones, and what was counted.
#[derive(Debug, Default)]
pub struct Journal {
    events: VecDeque<Event>,
    listeners: Vec<Sender<Event>>,
    /// All connections to the gateway, those that never said whose they are among them.
    pub sockets: Sockets,
    /// REST calls received, by the status that they were answered with; 0 for none.
    pub rest: BTreeMap<u16, u64>,
    tallies: BTreeMap<u64, Tally>,
}

impl Journal {
    /// Writes `event` down and tells everybody. A listener that has fallen a whole ring behind
    /// misses events.
    pub fn note(&mut self, event: Event) {
        let tell = |listener: &Sender<Event>| {
            !matches!(listener.try_send(event.clone()), Err(TrySendError::Closed(_)))
        };
        self.listeners.retain(tell);
        if let Some(bot) = event.bot {
            self.tally(bot).count(event.at, &event.what);
        }
        if self.events.len() >= limits::SANDBOX_EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// All events from now on.
    pub fn listen(&mut self) -> Receiver<Event> {
        let (sender, receiver) = bounded(limits::SANDBOX_EVENTS_MAX);
        self.listeners.push(sender);
        receiver
    }

    /// What `bot` has done.
    pub fn tally(&mut self, bot: u64) -> &mut Tally {
        self.tallies.entry(bot).or_default()
    }

    /// What each bot has done.
    pub fn tallies(&self) -> impl Iterator<Item = (u64, &Tally)> {
        self.tallies.iter().map(|(&bot, tally)| (bot, tally))
    }

    /// The events that are kept, the oldest first.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(connection: u64) -> Event {
        Event { at: Instant(0), bot: None, connection, what: What::Hello }
    }

    #[test]
    fn listeners_hear_what_follows_and_leave_without_a_trace() {
        let mut journal = Journal::default();
        journal.note(event(1));
        let listener = journal.listen();
        journal.note(event(2));
        assert_eq!(listener.try_recv().map(|event| event.connection), Ok(2));
        drop(listener);
        journal.note(event(3));
        assert!(journal.listeners.is_empty());
        assert_eq!(journal.events().count(), 3);
    }

    #[test]
    fn events_are_counted_for_their_bot() {
        let mut journal = Journal::default();
        for what in [What::Identify, What::Ready, What::Closed(4000), What::Closed(4000)] {
            journal.note(Event { at: Instant(7), bot: Some(5), connection: 1, what });
        }
        let tally = journal.tally(5);
        assert_eq!((tally.identifies, tally.readies, tally.resumes), (1, 1, 0));
        assert_eq!(tally.closed.get(&4000), Some(&2));
        assert_eq!(tally.identified_at, Some(Instant(7)));
    }

    #[test]
    fn lateness_is_ranked() {
        let mut tally = Tally::default();
        assert_eq!(tally.late_ms(99), 0);
        (1..=100).for_each(|ms| tally.beat(Duration::from_millis(ms)));
        assert_eq!((tally.late_ms(50), tally.late_ms(99), tally.late_ms_max), (50, 99, 100));
    }

    #[test]
    fn the_most_that_were_open_is_remembered() {
        let mut sockets = Sockets::default();
        sockets.opened();
        sockets.opened();
        sockets.closed();
        sockets.opened();
        assert_eq!(sockets, Sockets { accepted: 3, open: 2, open_max: 2 });
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut journal = Journal::default();
        for connection in 0..=limits::SANDBOX_EVENTS_MAX as u64 {
            journal.note(event(connection));
        }
        assert_eq!(journal.events().count(), limits::SANDBOX_EVENTS_MAX);
        assert_eq!(journal.events().next().map(|event| event.connection), Some(1));
    }
}
