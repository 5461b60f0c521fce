//! Whose turn it is: one message per chat at a time, several chats at once, first come first
//! served among chats.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use super::answer::Answer;
use super::chat::{ChatId, Request};
use crate::base::limits::{TURNS_QUEUED_PER_CHAT_MAX, TURNS_RUNNING_MAX};

/// The messages that wait for an agent.
#[derive(Debug, Default)]
pub struct Turns {
    /// What waits in each chat of which a turn is running or waits.
    chats: BTreeMap<ChatId, VecDeque<Request>>,
    /// The chats whose turn can begin.
    ready: VecDeque<ChatId>,
    running: usize,
    refused: u64,
}

impl Turns {
    /// Takes in a message.
    ///
    /// # Errors
    /// So many of its chat are waiting that it is refused; it comes back, to be refused aloud.
    pub fn ask(&mut self, request: Request) -> Result<(), Request> {
        let chat = request.chat;
        let Some(queue) = self.chats.get_mut(&chat) else {
            self.chats.insert(chat, VecDeque::from([request]));
            self.ready.push_back(chat);
            return Ok(());
        };
        if queue.len() >= TURNS_QUEUED_PER_CHAT_MAX {
            self.refused += 1;
            return Err(request);
        }
        queue.push_back(request);
        Ok(())
    }

    /// The next message whose turn begins now. Every one must be [`finished`](Turns::finished).
    pub fn poll(&mut self) -> Option<Request> {
        if self.running >= TURNS_RUNNING_MAX {
            return None;
        }
        let chat = self.ready.pop_front()?;
        let request = self.chats.get_mut(&chat)?.pop_front()?;
        self.running += 1;
        Some(request)
    }

    /// The turn that ran in `chat` is over.
    pub fn finished(&mut self, chat: ChatId) {
        self.running = self.running.saturating_sub(1);
        if self.chats.get(&chat).is_some_and(VecDeque::is_empty) {
            self.chats.remove(&chat);
        } else {
            self.ready.push_back(chat);
        }
    }

    /// How many turns are running.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running
    }

    /// How many messages were refused.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

/// Why an agent gave no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It did not answer within its deadline.
    TooSlow,
    /// It had no room to work in.
    Busy,
}

/// What is told about a turn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// It begins: somebody is typing.
    Started {
        /// Where.
        chat: ChatId,
        /// The message that will be answered.
        id: u64,
    },
    /// It is over.
    Answered {
        /// Where.
        chat: ChatId,
        /// The message that is answered.
        id: u64,
        /// What to do: the answer, or else an apology. A fault never ends in silence.
        answer: Answer,
        /// What kept the agent from answering.
        fault: Option<Fault>,
    },
    /// It will not begin: too many messages of its chat are waiting.
    Refused {
        /// Where.
        chat: ChatId,
        /// The message that is not answered.
        id: u64,
    },
}

impl Fault {
    /// What the person reads who wrote to us.
    #[must_use]
    pub fn apology(self) -> &'static str {
        match self {
            Fault::TooSlow => "Sorry, that took me too long, and I gave up. Please try again.",
            Fault::Busy => "Sorry, I have too much to do just now. Please try again in a while.",
        }
    }
}

/// What the log says.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::TooSlow => "the agent did not answer within its deadline",
            Fault::Busy => "the agent had no room to work in",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Wall;
    use crate::core::chat::ChannelKind;

    fn request(chat: u64, id: u64) -> Request {
        Request {
            account: "default".into(),
            agent: "main".into(),
            chat: ChatId { channel: ChannelKind::Discord, id: chat },
            id,
            seq: id,
            guild: None,
            author: 1,
            author_name: "ann".into(),
            text: "hi".into(),
            reply_to: None,
            at: Wall(0),
            late: false,
            attempt: 0,
            session: 0,
        }
    }

    fn started(turns: &mut Turns) -> Vec<u64> {
        std::iter::from_fn(|| turns.poll()).map(|request| request.id).collect()
    }

    #[test]
    fn one_turn_per_chat_and_chats_side_by_side() {
        let mut turns = Turns::default();
        for (chat, id) in [(1, 10), (1, 11), (2, 20), (1, 12)] {
            turns.ask(request(chat, id)).unwrap();
        }
        assert_eq!(started(&mut turns), [10, 20]);
        turns.finished(request(2, 0).chat);
        assert_eq!(started(&mut turns), [0; 0]);
        turns.finished(request(1, 0).chat);
        assert_eq!(started(&mut turns), [11]);
        turns.finished(request(1, 0).chat);
        assert_eq!(started(&mut turns), [12]);
        turns.finished(request(1, 0).chat);
        assert_eq!((turns.running(), turns.chats.len()), (0, 0));
    }

    #[test]
    fn only_so_many_run_and_the_next_chat_in_line_follows() {
        let mut turns = Turns::default();
        let many = TURNS_RUNNING_MAX as u64;
        (0..=many).for_each(|chat| turns.ask(request(chat, chat)).unwrap());
        assert_eq!(started(&mut turns).len(), TURNS_RUNNING_MAX);
        turns.finished(request(3, 0).chat);
        assert_eq!(started(&mut turns), [many]);
    }

    #[test]
    fn a_chat_that_asks_too_much_is_refused_and_no_other() {
        let mut turns = Turns::default();
        turns.ask(request(1, 0)).unwrap();
        assert_eq!(started(&mut turns), [0]);
        let many = TURNS_QUEUED_PER_CHAT_MAX as u64;
        (1..=many).for_each(|id| turns.ask(request(1, id)).unwrap());
        assert_eq!(turns.ask(request(1, 99)), Err(request(1, 99)));
        assert_eq!(turns.refused(), 1);
        assert_eq!(turns.ask(request(2, 1)), Ok(()));
    }
}
