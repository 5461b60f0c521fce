//! What has happened in the sandbox, with times: for those who listen, for `state`, and counted.

use std::collections::VecDeque;

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

/// The last events, and those who are told of new ones.
#[derive(Debug, Default)]
pub struct Journal {
    events: VecDeque<Event>,
    listeners: Vec<Sender<Event>>,
}

impl Journal {
    /// Writes `event` down and tells everybody. A listener that has fallen a whole ring behind
    /// misses events.
    pub fn note(&mut self, event: Event) {
        let tell = |listener: &Sender<Event>| {
            !matches!(listener.try_send(event.clone()), Err(TrySendError::Closed(_)))
        };
        self.listeners.retain(tell);
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

    /// The events that are kept, the oldest first.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.iter()
    }

    /// Forgets what was; listeners stay.
    pub fn clear(&mut self) {
        self.events.clear();
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
    fn what_is_kept_is_bounded() {
        let mut journal = Journal::default();
        for connection in 0..=limits::SANDBOX_EVENTS_MAX as u64 {
            journal.note(event(connection));
        }
        assert_eq!(journal.events().count(), limits::SANDBOX_EVENTS_MAX);
        assert_eq!(journal.events().next().map(|event| event.connection), Some(1));
    }
}
