//! Turns: where they take place, how they end, and what is told about them. [`Turns`] says whose
//! turn it is.

use std::fmt;

use super::answer::Answer;
use super::chat::{ChatId, Request};
use super::media::Note;
use super::reset::Why;

mod line;
#[cfg(test)]
mod sim;

pub use line::{Asked, How, Make, Mode, Next, Part, Party, Rule, Rules, Stopped, Turns};

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
    /// It comes on: this is what there is of the answer so far, or its beginning.
    Says {
        /// Where.
        chat: ChatId,
        /// The message that will be answered.
        id: u64,
        /// What is said so far.
        text: Box<str>,
    },
    /// It goes into the turn of another one, whose answer is its own.
    Joined {
        /// Where.
        chat: ChatId,
        /// The message that has no turn of its own.
        id: u64,
        /// The message that is answered.
        into: u64,
        /// Why.
        how: How,
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
