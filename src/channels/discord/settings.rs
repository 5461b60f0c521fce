//! What of an account's configuration can change while its connection stays.

use std::time::Duration;

use crate::base::limits;
use crate::core::access::Access;
use crate::core::intent::Filter;
use crate::core::loops;
use crate::core::outbox::{Policy, ReplyTo};
use crate::core::route::Routes;

/// Read by doors and replies at each message, so that a change holds from the next one on.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Settings {
    /// Who is answered.
    pub(crate) access: Access,
    /// Whether what is said in servers must be meant for us; without it, access alone decides.
    pub(crate) intent: Option<Filter>,
    /// Which agent answers where.
    pub(crate) routes: Routes,
    /// Whether permissions depend on roles, and on the channel around a thread.
    pub(crate) permits_need: (bool, bool),
    /// The same words of the same person in the same chat within this span are one message.
    pub(crate) dedup: Duration,
    /// How long bots may answer each other.
    pub(crate) loops: loops::Policy,
    /// How many messages that an agent only heard it is told of when it answers; unless set, some
    /// where several agents share a server.
    pub(crate) overhears: Option<usize>,
    /// How replies wait.
    pub(crate) outbox: Policy,
    /// Whether answers point at the message that they answer.
    pub(crate) reply_to: ReplyTo,
    /// Characters of one message.
    pub(crate) chunk_chars: usize,
    /// How far back messages are fetched after a session was lost, and how many of each chat.
    pub(crate) catch_up: (Duration, usize),
    /// Whether slash commands are deployed.
    pub(crate) slash_commands: bool,
    /// Whether answers are shown before they are complete.
    pub(crate) streaming: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            access: Access::default(),
            intent: None,
            routes: Routes::default(),
            permits_need: (false, false),
            dedup: limits::DEDUP_WINDOW,
            loops: loops::Policy::default(),
            overhears: None,
            outbox: Policy::default(),
            reply_to: ReplyTo::default(),
            chunk_chars: limits::DISCORD_MESSAGE_CHARS_MAX,
            catch_up: (limits::CATCH_UP_SPAN, limits::CATCH_UP_PER_CHAT_MAX),
            slash_commands: true,
            streaming: true,
        }
    }
}
