//! Messages that must not reach the agent yet: those of a chat of which older ones are still being
//! fetched, and those that came in a crowd.
//!
//! Within a chat all are handed on in the order in which they were said, and what waited here one
//! at a time, so that the crowd after an outage fills no queue that refuses the rest.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::chat::{ChatId, Request};

/// What waits, by chat.
#[derive(Debug, Default)]
pub struct Backlog {
    held: BTreeSet<ChatId>,
    waiting: BTreeMap<ChatId, VecDeque<Request>>,
    /// How many of each chat are with the agent.
    out: BTreeMap<ChatId, usize>,
}

impl Backlog {
    /// Holds what comes of `chat` from now on.
    pub fn hold(&mut self, chat: ChatId) {
        self.held.insert(chat);
    }

    /// Lets what was held of `chat` go: the first of it, now.
    pub fn release(&mut self, chat: ChatId) -> Option<Request> {
        self.held.remove(&chat);
        self.next(chat)
    }

    /// The chats that are held.
    #[must_use]
    pub fn held(&self) -> Vec<ChatId> {
        self.held.iter().copied().collect()
    }

    /// Takes in a message, and gives it back if the agent may have it now.
    pub fn ask(&mut self, request: Request) -> Option<Request> {
        let chat = request.chat;
        let is_crowd = request.late || request.attempt > 0;
        let is_busy = is_crowd && self.out.contains_key(&chat);
        if self.held.contains(&chat) || self.waiting.contains_key(&chat) || is_busy {
            let queue = self.waiting.entry(chat).or_default();
            let at = queue.partition_point(|other| other.id < request.id);
            queue.insert(at, request);
            return None;
        }
        *self.out.entry(chat).or_insert(0) += 1;
        Some(request)
    }

    /// The agent is done with a message of `chat`; the next that it may have, if one waits.
    pub fn finished(&mut self, chat: ChatId) -> Option<Request> {
        if let Some(out) = self.out.get_mut(&chat) {
            *out = out.saturating_sub(1);
            if *out == 0 {
                self.out.remove(&chat);
            }
        }
        self.next(chat)
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }

    /// Whether none does.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn next(&mut self, chat: ChatId) -> Option<Request> {
        if self.held.contains(&chat) || self.out.contains_key(&chat) {
            return None;
        }
        let queue = self.waiting.get_mut(&chat)?;
        let request = queue.pop_front();
        if queue.is_empty() {
            self.waiting.remove(&chat);
        }
        self.out.insert(chat, 1);
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::chat::sample::{self, chat};

    fn request(to: u64, id: u64, late: bool) -> Request {
        Request { late, ..sample::request(to, id) }
    }

    fn id(request: Option<Request>) -> Option<u64> {
        request.map(|request| request.id)
    }

    #[test]
    fn what_is_newer_waits_for_what_is_fetched_and_goes_one_by_one() {
        let mut backlog = Backlog::default();
        backlog.hold(chat(1));
        assert_eq!(id(backlog.ask(request(1, 30, false))), None);
        assert_eq!(id(backlog.ask(request(1, 10, true))), None);
        assert_eq!(id(backlog.ask(request(1, 20, true))), None);
        assert_eq!(id(backlog.ask(request(2, 5, false))), Some(5), "other chats go on");
        assert_eq!(id(backlog.release(chat(1))), Some(10));
        assert_eq!(id(backlog.ask(request(1, 40, false))), None, "behind the others");
        let order = std::iter::from_fn(|| backlog.finished(chat(1)));
        assert_eq!(order.map(|request| request.id).collect::<Vec<_>>(), [20, 30, 40]);
        assert!(backlog.is_empty());
        assert_eq!(id(backlog.ask(request(1, 50, false))), Some(50));
    }

    #[test]
    fn without_a_crowd_everything_goes_through() {
        let mut backlog = Backlog::default();
        assert!((1..9).all(|n| backlog.ask(request(1, n, false)).is_some()));
        assert_eq!(id(backlog.ask(request(1, 10, true))), None, "the agent has enough to do");
        assert!((1..8).all(|_| backlog.finished(chat(1)).is_none()));
        assert_eq!(id(backlog.finished(chat(1))), Some(10));
    }

    #[test]
    fn a_release_while_the_agent_is_busy_waits_for_it() {
        let mut backlog = Backlog::default();
        assert_eq!(id(backlog.ask(request(1, 1, false))), Some(1));
        backlog.hold(chat(1));
        assert_eq!(id(backlog.ask(request(1, 2, true))), None);
        assert_eq!(id(backlog.finished(chat(1))), None);
        assert_eq!(id(backlog.release(chat(1))), Some(2));
    }
}
