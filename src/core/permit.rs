//! Who may have which tools used. It depends on who asks and on the configuration, never on what
//! is said: no text can widen it.

use super::chat::Request;

/// Tools that act in the asker's own chat, or for the asker alone: everybody may have them used
/// who is answered at all.
const OWN: [&str; 10] = [
    "reply_in_thread",
    "react",
    "read_channel_history",
    "send_message",
    "remind",
    "reminders",
    "forget_reminder",
    "memory_save",
    "memory_search",
    "memory_forget",
];

/// What is permitted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Permits {}

/// What is said about a tool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It may be used.
    Allowed,
    /// It may not, and who asks is told so.
    Denied,
}

impl Permits {
    /// Whether `tool` may be used for the author of `request`.
    #[must_use]
    pub fn judge(&self, tool: &str, _request: &Request) -> Verdict {
        if OWN.contains(&tool) { Verdict::Allowed } else { Verdict::Denied }
    }
}
