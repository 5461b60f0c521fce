//! The decision trail: which doors a message passed, and at which it was turned away.

use std::collections::BTreeMap;
use std::fmt;

use super::access::Refusal;
use super::chat::{ChannelKind, ChatId};
use super::outbox::Fate;
use crate::base::Wall;
use crate::base::limits::TRACE_LINES_MAX;
use crate::base::ring::Ring;

/// One decision about one message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line {
    /// When.
    pub at: Wall,
    /// Where the message was said.
    pub chat: ChatId,
    /// The service's number for it.
    pub id: u64,
    /// What was decided.
    pub step: Step,
}

/// What can be decided about a message, in the order of its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Dropped: the server sent it a second time.
    Duplicate,
    /// Dropped: an earlier life of ours answered it.
    AlreadyAnswered,
    /// Dropped: who may be answered is a matter of configuration.
    Refused(Refusal),
    /// Dropped: too many messages are being dealt with.
    Busy,
    /// It will be answered.
    Admitted,
    /// The agent began.
    Started,
    /// The agent answered.
    Answered,
    /// The agent took too long; an apology is sent.
    TooSlow,
    /// The agent failed; an apology is sent.
    AgentFailed,
    /// The reply is over.
    Settled(Fate),
}

impl Step {
    /// The door at which it was decided.
    #[must_use]
    pub fn door(self) -> &'static str {
        match self {
            Step::Duplicate | Step::AlreadyAnswered => "dedup",
            Step::Refused(_) => "access",
            Step::Busy | Step::Admitted => "queue",
            Step::Started | Step::Answered | Step::TooSlow | Step::AgentFailed => "agent",
            Step::Settled(_) => "outbox",
        }
    }

    /// If the message or its reply ended here against the wish of its author: the word for it.
    #[must_use]
    pub fn drop_name(self) -> Option<&'static str> {
        match self {
            Step::Duplicate => Some("duplicate"),
            Step::AlreadyAnswered => Some("already_answered"),
            Step::Refused(refusal) => Some(refusal.name()),
            Step::Busy => Some("busy"),
            Step::TooSlow => Some("agent_too_slow"),
            Step::AgentFailed => Some("agent_failed"),
            Step::Settled(Fate::Dropped(why)) => Some(why.name()),
            Step::Admitted | Step::Started | Step::Answered | Step::Settled(_) => None,
        }
    }
}

/// The sentence for people, with the cure where there is one.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Duplicate => f.write_str("the service sent it before"),
            Step::AlreadyAnswered => f.write_str("it was answered before the last start"),
            Step::Refused(refusal) => match refusal.cure() {
                Some(cure) => write!(f, "{refusal}; to change that: {cure}"),
                None => refusal.fmt(f),
            },
            Step::Busy => f.write_str("too many messages are waiting to be answered"),
            Step::Admitted => f.write_str("it will be answered"),
            Step::Started => f.write_str("the agent is at work"),
            Step::Answered => f.write_str("the agent has answered"),
            Step::TooSlow => f.write_str("the agent took too long"),
            Step::AgentFailed => f.write_str("the agent failed"),
            Step::Settled(Fate::Delivered) => f.write_str("delivered"),
            Step::Settled(Fate::Silent) => f.write_str("the agent had nothing to say"),
            Step::Settled(Fate::Dropped(why)) => write!(f, "the reply was dropped: {why}"),
        }
    }
}

/// The last decisions, and how often each kind of drop was made since the start.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    lines: Box<Ring<Line, TRACE_LINES_MAX>>,
    drops: BTreeMap<(ChannelKind, &'static str), u64>,
}

impl Trace {
    /// Takes in a decision. True if it is the first drop of its kind in its channel, which a
    /// person should read of.
    pub fn record(&mut self, line: Line) -> bool {
        self.lines.push(line);
        let Some(name) = line.step.drop_name() else { return false };
        let count = self.drops.entry((line.chat.channel, name)).or_insert(0);
        *count = count.saturating_add(1);
        *count == 1
    }

    /// The last decisions, the oldest first.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &Line> {
        self.lines.iter()
    }

    /// What was decided about message `id`, as far as it is remembered.
    pub fn about(&self, id: u64) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| line.id == id)
    }

    /// How often each kind of drop was made in each channel since the start.
    pub fn drops(&self) -> impl Iterator<Item = (ChannelKind, &'static str, u64)> {
        self.drops.iter().map(|(&(channel, name), &count)| (channel, name, count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: u64, step: Step) -> Line {
        let chat = ChatId { channel: ChannelKind::Discord, id: 1 };
        Line { at: Wall(id), chat, id, step }
    }

    #[test]
    fn the_first_drop_of_a_kind_stands_out_and_all_are_counted() {
        let mut trace = Trace::default();
        let refused = Step::Refused(Refusal::NotMentioned);
        assert!(!trace.record(line(1, Step::Admitted)));
        assert!(trace.record(line(2, refused)));
        assert!(!trace.record(line(3, refused)));
        assert!(trace.record(line(4, Step::Busy)));
        let drops: Vec<_> = trace.drops().map(|(_, name, count)| (name, count)).collect();
        assert_eq!(drops, [("busy", 1), ("not_mentioned", 2)]);
    }

    #[test]
    fn a_message_can_be_asked_about_until_the_ring_has_gone_round() {
        let mut trace = Trace::default();
        for step in [Step::Admitted, Step::Started, Step::Settled(Fate::Delivered)] {
            trace.record(line(7, step));
        }
        let story: Vec<String> = trace.about(7).map(|line| line.step.to_string()).collect();
        assert_eq!(story, ["it will be answered", "the agent is at work", "delivered"]);
        (0..TRACE_LINES_MAX).for_each(|_| assert!(!trace.record(line(8, Step::Admitted))));
        assert_eq!(trace.about(7).count(), 0);
        assert_eq!(trace.lines().count(), TRACE_LINES_MAX);
    }

    #[test]
    fn a_refusal_prints_with_its_cure() {
        let step = Step::Refused(Refusal::PersonNotListed { author: 7 });
        let expected = "its author is not on the list; to change that: allowFrom: [\"7\"]";
        assert_eq!(step.to_string(), expected);
        assert_eq!(step.door(), "access");
    }
}
