//! Whose turn it is: one message per chat at a time, several chats at once, first come first
//! served among chats.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use super::answer::Answer;
use super::chat::{ChatId, Request};
use super::media::Note;
use super::reset::Why;
use crate::base::limits::{TURNS_QUEUED_PER_CHAT_MAX, TURNS_RUNNING_MAX};

#[cfg(test)]
mod sim;

/// Where one conversation takes place: a chat, as one of our accounts sees it. Two accounts may
/// sit in the same chat, and neither waits for the other.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Room {
    /// The account that listens there.
    pub account: Box<str>,
    /// The chat.
    pub chat: ChatId,
}

impl Room {
    /// Where `request` was said.
    #[must_use]
    pub fn of(request: &Request) -> Room {
        Room { account: request.account.clone(), chat: request.chat }
    }

    /// What its conversation of this number is called: the same text for as long as it is the same.
    #[must_use]
    pub fn session_id(&self, conversation: u32) -> String {
        let Room { account, chat } = self;
        format!("{}-{account}-{}-{conversation}", chat.channel, chat.id)
    }
}

/// The messages that wait for an agent.
#[derive(Debug)]
pub struct Turns<T> {
    /// What waits in each room of which a turn is running or waits.
    rooms: BTreeMap<Room, VecDeque<T>>,
    /// The rooms whose turn can begin.
    ready: VecDeque<Room>,
    running: BTreeSet<Room>,
    refused: u64,
}

/// What an order to stop has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stopped<T> {
    /// Whether a turn was running. It is to be broken off; for the machine it is over.
    pub was_running: bool,
    /// What was waiting, the oldest first.
    pub waiting: VecDeque<T>,
}

impl<T> Default for Turns<T> {
    fn default() -> Turns<T> {
        Turns {
            rooms: BTreeMap::new(),
            ready: VecDeque::new(),
            running: BTreeSet::new(),
            refused: 0,
        }
    }
}

impl<T> Turns<T> {
    /// Takes in a message of `room`.
    ///
    /// # Errors
    /// So many of its room are waiting that it is refused; it comes back, to be refused aloud.
    pub fn ask(&mut self, room: Room, message: T) -> Result<(), T> {
        let Some(queue) = self.rooms.get_mut(&room) else {
            self.rooms.insert(room.clone(), VecDeque::from([message]));
            self.ready.push_back(room);
            return Ok(());
        };
        if queue.len() >= TURNS_QUEUED_PER_CHAT_MAX {
            self.refused += 1;
            return Err(message);
        }
        queue.push_back(message);
        Ok(())
    }

    /// The next message whose turn begins now. Every one must be [`finished`](Turns::finished),
    /// unless it is [`stopped`](Turns::stop).
    pub fn poll(&mut self) -> Option<(Room, T)> {
        if self.running.len() >= TURNS_RUNNING_MAX {
            return None;
        }
        let room = self.ready.pop_front()?;
        let message = self.rooms.get_mut(&room)?.pop_front()?;
        self.running.insert(room.clone());
        Some((room, message))
    }

    /// The turn that ran in `room` is over. Of a room in which none runs this means nothing.
    pub fn finished(&mut self, room: &Room) {
        if !self.running.remove(room) {
            return;
        }
        if self.rooms.get(room).is_some_and(VecDeque::is_empty) {
            self.rooms.remove(room);
        } else {
            self.ready.push_back(room.clone());
        }
    }

    /// Ends what runs and what waits in `room`.
    pub fn stop(&mut self, room: &Room) -> Stopped<T> {
        self.ready.retain(|other| other != room);
        Stopped {
            was_running: self.running.remove(room),
            waiting: self.rooms.remove(room).unwrap_or_default(),
        }
    }

    /// Takes back what waits and is `meant`; what runs goes on.
    pub fn withdraw(&mut self, meant: impl Fn(&T) -> bool) {
        for queue in self.rooms.values_mut() {
            queue.retain(|message| !meant(message));
        }
        let Turns { rooms, ready, running, .. } = self;
        rooms.retain(|room, queue| !queue.is_empty() || running.contains(room));
        ready.retain(|room| rooms.contains_key(room));
    }

    /// How many turns are running.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running.len()
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
    /// Its program could not be started.
    Absent,
    /// Its program ended without success.
    Failed(Ending),
    /// Its endpoint could not be reached, or broke off.
    Unreachable,
    /// Its endpoint refused with this HTTP status.
    Refused(u16),
    /// What it said cannot be read.
    Garbled,
    /// What it said is longer than anything that is read.
    TooLong,
    /// What was said before is more than it can read, even in short.
    Overlong,
    /// It says itself that it failed.
    Declined,
    /// What its answers may cost today is used up.
    Spent,
    /// Who asks may not ask this agent.
    NotPermitted,
    /// A person has ended the turn. Nothing is said about it in the chat.
    Stopped,
}

/// How a program ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// With this exit status.
    Code(i32),
    /// By this signal.
    Signal(i32),
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
    /// This became of something that came with it, or of its answer.
    Noted {
        /// Where.
        chat: ChatId,
        /// The message.
        id: u64,
        /// What.
        note: Note,
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
    /// With it another conversation begins, which nobody has asked for.
    Renewed {
        /// Where.
        chat: ChatId,
        /// The message.
        id: u64,
        /// Why.
        why: Why,
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
    /// Every one there is but the one that was wished for; of numbers, 0.
    pub fn all() -> impl Iterator<Item = Fault> {
        [
            Fault::TooSlow,
            Fault::Busy,
            Fault::Absent,
            Fault::Failed(Ending::Code(0)),
            Fault::Unreachable,
            Fault::Refused(0),
            Fault::Garbled,
            Fault::TooLong,
            Fault::Overlong,
            Fault::Declined,
            Fault::Spent,
            Fault::NotPermitted,
        ]
        .into_iter()
    }

    /// The word for counters and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Fault::TooSlow => "agent_too_slow",
            Fault::Busy => "agent_busy",
            Fault::Absent => "agent_absent",
            Fault::Failed(_) => "agent_failed",
            Fault::Unreachable => "agent_unreachable",
            Fault::Refused(_) => "agent_refused",
            Fault::Garbled => "agent_garbled",
            Fault::TooLong => "agent_too_long",
            Fault::Overlong => "agent_overlong",
            Fault::Declined => "agent_declined",
            Fault::Spent => "agent_spent",
            Fault::NotPermitted => "agent_not_permitted",
            Fault::Stopped => "stopped",
        }
    }

    /// What the person reads who wrote to us; empty if they know.
    #[must_use]
    pub fn apology(self) -> &'static str {
        match self {
            Fault::TooSlow => "Sorry, that took me too long, and I gave up. Please try again.",
            Fault::Busy => "Sorry, I have too much to do just now. Please try again in a while.",
            Fault::Absent => "Sorry, I cannot think just now: my program does not start.",
            Fault::Failed(_) => "Sorry, something went wrong while I was working on that.",
            Fault::Unreachable => {
                "Sorry, I cannot reach what I think with. Please try again in a while."
            }
            Fault::Refused(_) => "Sorry, what I think with refused to answer. Please try again.",
            Fault::Garbled => "Sorry, I had an answer, but could not make sense of it.",
            Fault::TooLong => "Sorry, I had far too much to say about that.",
            Fault::Overlong => {
                "Sorry, that is more than I can read at once. Write `/new` to begin a new \
                 conversation, or say it in fewer words."
            }
            Fault::Declined => "Sorry, I was not able to do that.",
            Fault::NotPermitted => "Sorry, you are not permitted to ask me here.",
            Fault::Spent => "Sorry, I have used up what I may spend today. Please ask tomorrow.",
            Fault::Stopped => "",
        }
    }
}

/// What the log says.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::TooSlow => "the agent did not answer within its deadline",
            Fault::Busy => "the agent had no room to work in",
            Fault::Absent => "the agent's program could not be started",
            Fault::Failed(Ending::Code(code)) => {
                return write!(f, "the agent's program ended with exit status {code}");
            }
            Fault::Failed(Ending::Signal(signal)) => {
                return write!(f, "the agent's program was ended by signal {signal}");
            }
            Fault::Unreachable => "the agent's endpoint could not be reached, or broke off",
            Fault::Refused(status) => {
                return write!(f, "the agent's endpoint answered with HTTP {status}");
            }
            Fault::Garbled => "what the agent said cannot be read",
            Fault::TooLong => "what the agent said is too long to be read",
            Fault::Overlong => "what was said is more than the agent can read at once",
            Fault::Declined => "the agent reported an error",
            Fault::NotPermitted => "who asks is not among those who may ask the agent (allowFrom)",
            Fault::Spent => "what the agent's answers may cost today is used up",
            Fault::Stopped => "a person has stopped it",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::chat::ChannelKind;

    fn room(id: u64) -> Room {
        Room { account: "default".into(), chat: ChatId { channel: ChannelKind::Discord, id } }
    }

    fn started(turns: &mut Turns<u64>) -> Vec<u64> {
        std::iter::from_fn(|| turns.poll()).map(|(_, id)| id).collect()
    }

    #[test]
    fn one_turn_per_chat_and_chats_side_by_side() {
        let mut turns = Turns::default();
        for (chat, id) in [(1, 10), (1, 11), (2, 20), (1, 12)] {
            turns.ask(room(chat), id).unwrap();
        }
        let other = Room { account: "other".into(), ..room(1) };
        turns.ask(other.clone(), 13).unwrap();
        assert_eq!(started(&mut turns), [10, 20, 13], "another account's chat is another chat");
        turns.finished(&room(2));
        turns.finished(&other);
        assert_eq!(started(&mut turns), [0; 0]);
        turns.finished(&room(1));
        assert_eq!(started(&mut turns), [11]);
        turns.finished(&room(1));
        assert_eq!(started(&mut turns), [12]);
        turns.finished(&room(1));
        assert_eq!((turns.running(), turns.rooms.len()), (0, 0));
    }

    #[test]
    fn only_so_many_run_and_the_next_chat_in_line_follows() {
        let mut turns = Turns::default();
        let many = TURNS_RUNNING_MAX as u64;
        (0..=many).for_each(|chat| turns.ask(room(chat), chat).unwrap());
        assert_eq!(started(&mut turns).len(), TURNS_RUNNING_MAX);
        turns.finished(&room(3));
        assert_eq!(started(&mut turns), [many]);
    }

    #[test]
    fn a_chat_that_asks_too_much_is_refused_and_no_other() {
        let mut turns = Turns::default();
        turns.ask(room(1), 0).unwrap();
        assert_eq!(started(&mut turns), [0]);
        let many = TURNS_QUEUED_PER_CHAT_MAX as u64;
        (1..=many).for_each(|id| turns.ask(room(1), id).unwrap());
        assert_eq!(turns.ask(room(1), many + 1), Err(many + 1));
        assert_eq!(turns.refused(), 1);
        turns.ask(room(2), 0).unwrap();
    }

    #[test]
    fn stop_ends_what_runs_and_what_waits_in_that_chat_alone() {
        let mut turns = Turns::default();
        for (chat, id) in [(1, 10), (1, 11), (2, 20), (1, 12)] {
            turns.ask(room(chat), id).unwrap();
        }
        assert_eq!(started(&mut turns), [10, 20]);
        let stopped = turns.stop(&room(1));
        assert_eq!(stopped, Stopped { was_running: true, waiting: [11, 12].into() });
        turns.finished(&room(1));
        assert_eq!((turns.running(), started(&mut turns)), (1, vec![]));
        turns.ask(room(1), 13).unwrap();
        assert_eq!(started(&mut turns), [13], "the next message is welcome");
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_withdrawn() {
        let mut turns = Turns::default();
        for (chat, id) in [(1, 10), (1, 11), (2, 20), (3, 31)] {
            turns.ask(room(chat), id).unwrap();
        }
        assert_eq!(turns.poll(), Some((room(1), 10)));
        turns.withdraw(|id| id % 10 == 0);
        turns.withdraw(|&id| id == 11);
        assert_eq!(started(&mut turns), [31]);
        turns.finished(&room(1));
        turns.finished(&room(3));
        assert_eq!((turns.running(), turns.rooms.len(), turns.ready.len()), (0, 0, 0));
    }

    #[test]
    fn every_fault_is_excused_but_the_one_that_was_wished_for() {
        let faults = [
            Fault::TooSlow,
            Fault::Busy,
            Fault::Absent,
            Fault::Failed(Ending::Code(1)),
            Fault::Unreachable,
            Fault::Refused(500),
            Fault::Garbled,
            Fault::TooLong,
            Fault::Declined,
        ];
        assert!(faults.iter().all(|fault| fault.apology().starts_with("Sorry")));
        assert_eq!(Fault::Stopped.apology(), "");
        assert!(Fault::Failed(Ending::Signal(9)).to_string().ends_with("signal 9"));
    }
}
