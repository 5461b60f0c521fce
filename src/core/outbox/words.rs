//! The words in which an outbox is told what to do and says what is to be done.

use std::fmt;
use std::time::Duration;

use super::{Item, ItemId, Nonce, Unit};
use crate::base::limits::{OUTBOX_PER_CHAT_MAX, OUTBOX_TTL};
use crate::base::{Instant, Wall};
use crate::core::chat::ChatId;

/// How much may wait, and what happens to what finds no room (`rateLimit`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// `strategy`: whether replies wait for their turn at all; `false` is `drop`, which sends what
    /// can be sent at once and drops, counted and told, what would have to wait.
    pub queues: bool,
    /// `maxQueueSize`: parts that wait in one chat.
    pub queue_max: usize,
    /// `burstProtection`: whether messages are spaced when many chats are spoken to at once, so
    /// that a burst leaves half of the service's global allowance to other calls. Chats take turns
    /// either way.
    pub burst_protection: bool,
    /// For how long a reply is worth sending.
    pub ttl: Duration,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            queues: true,
            queue_max: OUTBOX_PER_CHAT_MAX,
            burst_protection: true,
            ttl: OUTBOX_TTL,
        }
    }
}

/// Whether answers point at the message that they answer (`replyToMode`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReplyTo {
    /// None does.
    Off,
    /// The first part does.
    #[default]
    First,
    /// Every part does.
    All,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Write this down, and say so by [`kept`](super::Outbox::kept).
    Keep {
        /// Its number; later ones are larger.
        ticket: u64,
        /// The item as it is now.
        item: Box<Item>,
    },
    /// Do this, and report it [`delivered`](super::Outbox::delivered) or
    /// [`failed`](super::Outbox::failed).
    Send(Box<Send>),
    /// Look whether this is in the chat already, and report it
    /// [`delivered`](super::Outbox::delivered), [`absent`](super::Outbox::absent) or
    /// [`unseen`](super::Outbox::unseen).
    Look {
        /// What was perhaps sent.
        send: Box<Send>,
        /// The message after which it would have come, or 0 if none is known.
        after: u64,
        /// When it was taken in.
        added: Wall,
    },
    /// A unit has arrived; that may be written down when there is time.
    Arrived {
        /// Of which item.
        id: ItemId,
        /// Which one.
        index: u16,
        /// The message that it became, or 0.
        message: u64,
        /// What kind it was.
        kind: Arrived,
    },
    /// Something of an item was left out, and the rest goes on.
    Skipped {
        /// Of which item.
        id: ItemId,
        /// What and why.
        what: Skipped,
    },
    /// An item is over, well or not: it is never to be sent again.
    Settled {
        /// Which.
        id: ItemId,
        /// How it ended.
        fate: Fate,
        /// Our newest message in its chat, or 0.
        message: u64,
    },
}

/// One call to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Send {
    /// The item's chat, by which it is reported.
    pub chat: ChatId,
    /// Whose unit it is.
    pub id: ItemId,
    /// Which one.
    pub index: u16,
    /// The chat or thread that it goes to.
    pub to: u64,
    /// What to do.
    pub unit: Unit,
    /// The message to point at.
    pub reply_to: Option<u64>,
    /// By what the service knows a second copy.
    pub nonce: Nonce,
    /// Whether what it knows by that may say something else: then it is not delivered yet, but
    /// [`stale`](super::Outbox::stale).
    pub is_drafted: bool,
    /// When to give up.
    pub deadline: Instant,
}

/// What kind of unit arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrived {
    /// A message.
    Said,
    /// A thread: what follows is said there.
    Thread,
    /// Another one, or one that was skipped.
    Other,
}

/// What was left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Skipped {
    /// There are no threads in this chat.
    NoThreads,
    /// So many files are larger than the service takes.
    Files(usize),
    /// A thread was refused: what follows is said in the chat itself.
    Thread(Why),
    /// A reaction was refused.
    Reaction(Why),
    /// What was shown of the answer before it was complete could not be taken away.
    Draft(Why),
}

/// What became of something that was to be said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Added {
    /// It is on its way, or over already; either is told.
    New,
    /// It was taken in before.
    Known,
}

/// How an item ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// All of it was delivered.
    Delivered,
    /// There was nothing to say.
    Silent,
    /// Some or all of it was dropped.
    Dropped(Why),
}

/// Why something was dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// Too many parts were waiting.
    Full,
    /// It would have had to wait, and is not to.
    Limited,
    /// It could not be sent before it was stale.
    Expired,
    /// The chat is gone.
    Gone,
    /// We may not write there.
    Forbidden,
    /// The service took it for wrong.
    Rejected,
    /// Our token was refused.
    Unauthorized,
    /// Whether it arrived is not known, and it could not be tried again.
    Lost,
}

impl Why {
    /// All of them.
    pub const ALL: [Why; 8] = [
        Why::Full,
        Why::Limited,
        Why::Expired,
        Why::Gone,
        Why::Forbidden,
        Why::Rejected,
        Why::Unauthorized,
        Why::Lost,
    ];

    /// The word for counters and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Why::Full => "queue_full",
            Why::Limited => "rate_limited",
            Why::Expired => "expired",
            Why::Gone => "chat_gone",
            Why::Forbidden => "forbidden",
            Why::Rejected => "rejected",
            Why::Unauthorized => "unauthorized",
            Why::Lost => "lost",
        }
    }

    /// Whether the same call may succeed later.
    #[must_use]
    pub fn may_pass(self) -> bool {
        matches!(self, Why::Full | Why::Limited | Why::Expired | Why::Unauthorized | Why::Lost)
    }
}

/// The sentence for people.
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::Full => "too many replies were waiting",
            Why::Limited => {
                "it would have had to wait; to let it: rateLimit: { strategy: \"queue\" }"
            }
            Why::Expired => "it could not be sent before it was stale",
            Why::Gone => "the chat or the message is gone",
            Why::Forbidden => "we may not write there: look at the bot's permissions",
            Why::Rejected => "the service took the message for wrong",
            Why::Unauthorized => "our token was refused",
            Why::Lost => "the connection broke, and it may or may not have arrived",
        })
    }
}

impl Skipped {
    /// The word for counters and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Skipped::NoThreads => "no_threads",
            Skipped::Files(_) => "files_too_large",
            Skipped::Thread(_) => "thread_refused",
            Skipped::Reaction(_) => "reaction_refused",
            Skipped::Draft(_) => "draft_left",
        }
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Skipped::NoThreads => f.write_str("no thread: this chat has none"),
            Skipped::Files(count) => write!(f, "{count} files are too large to be sent"),
            Skipped::Thread(why) => write!(f, "no thread, said in the chat itself: {why}"),
            Skipped::Reaction(why) => write!(f, "no reaction: {why}"),
            Skipped::Draft(why) => write!(f, "its beginning still stands there: {why}"),
        }
    }
}

/// What stands in a queue, and what became of the rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counts {
    /// Units that wait or are under way.
    pub depth: usize,
    /// Units that were delivered.
    pub delivered: u64,
    /// Looks at a chat's history.
    pub looked: u64,
    /// Units sent again although the history could not be read.
    pub blind: u64,
}
