//! What the gateway says, reduced to the fields that we read.

use crate::proto::json::Fault;
use std::time::Duration;

/// What the gateway machine hears of one gateway message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal<'a> {
    /// Op 10.
    Hello {
        /// The time between two heartbeats.
        interval: Duration,
    },
    /// Op 11: the answer to a heartbeat.
    Ack,
    /// Op 1: the server asks for a heartbeat at once.
    Beat,
    /// Op 7: the server asks us to reconnect and RESUME.
    Reconnect,
    /// Op 9.
    InvalidSession {
        /// Whether a RESUME may be tried.
        resumable: bool,
    },
    /// Op 0: an event.
    Dispatch {
        /// Its number.
        seq: u64,
        /// What it says.
        event: Dispatch<'a>,
    },
    /// An operation that we do not know.
    Unknown {
        /// Its number.
        op: u64,
    },
    /// No gateway message at all.
    Unreadable,
}

/// The events that the gateway machine tells apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dispatch<'a> {
    /// A session has begun.
    Ready {
        /// What RESUME will name.
        session_id: &'a str,
        /// Where RESUME goes; empty if the server gave none that fits.
        resume_url: &'a str,
        /// Our own user id.
        user: u64,
        /// Our application's id; 0 if the server gave none.
        application: u64,
        /// Our application's flags; 0 if the server gave none.
        flags: u64,
    },
    /// A session goes on.
    Resumed,
    /// Anything else.
    Other,
}

/// The events that anybody here tells apart.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Kind {
    /// READY
    Ready,
    /// RESUMED
    Resumed,
    /// `MESSAGE_CREATE`
    MessageCreate,
    /// `GUILD_CREATE`
    GuildCreate,
    /// `GUILD_DELETE`
    GuildDelete,
    /// `INTERACTION_CREATE`
    InteractionCreate,
    /// Any other, or no dispatch.
    #[default]
    Other,
}

/// A message that somebody wrote.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    /// Its id.
    pub id: u64,
    /// Where it was written.
    pub channel: u64,
    /// The server (guild) of that channel; `None` in a direct message.
    pub guild: Option<u64>,
    /// Who wrote it: a user, or a webhook.
    pub author: u64,
    /// What the author is shown as.
    pub author_name: &'a str,
    /// Whether a program wrote it: a bot or a webhook.
    pub from_bot: bool,
    /// Whether it mentions us or answers a message of ours.
    pub mentions_us: bool,
    /// The message that it answers.
    pub reply_to: Option<u64>,
    /// The message type (Discord's documentation, "Message Types"): 0 is a plain message, 19 a
    /// reply.
    pub kind: u32,
    /// What it says, or the beginning of that.
    pub text: &'a str,
    /// Whether `text` is only the beginning.
    pub text_cut: bool,
    /// What its sender gave to know it by.
    pub nonce: Option<&'a str>,
    /// Whether there is more than text: attachments, embeds, stickers, components, a poll. Tells a
    /// picture without words from content that Discord withholds.
    pub has_more: bool,
}

/// Reads the gateway messages of one connection, one after the other, in windows.
#[derive(Debug)]
pub struct Decoder {
    me: u64,
}

impl Decoder {
    /// A decoder; the only allocation.
    #[must_use]
    pub fn new() -> Box<Self> {
        Box::new(Decoder { me: 0 })
    }

    /// Tells who we are, so that mentions can be seen.
    pub fn set_me(&mut self, user_id: u64) {
        self.me = user_id;
    }

    /// A new gateway message begins; the last one is forgotten.
    pub fn begin(&mut self) {}

    /// Takes in the next part of the message, cut anywhere.
    pub fn feed(&mut self, _inflated: &[u8]) {}

    /// The message is complete, or was given up; the answers below hold until the next begins.
    pub fn end(&mut self) {}

    /// What the gateway machine is to hear.
    #[must_use]
    pub fn signal(&self) -> Signal<'_> {
        Signal::Unreadable
    }

    /// The message that somebody wrote, if the event is one.
    #[must_use]
    pub fn message(&self) -> Option<Message<'_>> {
        None
    }

    /// Which event it was.
    #[must_use]
    pub fn kind(&self) -> Kind {
        Kind::Other
    }

    /// The event's number.
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        None
    }

    /// Why the JSON could not be read to its end, if so.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        None
    }
}
