//! What is told of the calls of tools: which, how they ended and how long they took; never what
//! they were called with, nor what they gave back.

use std::fmt;
use std::time::Duration;

/// The names that are told; every other tool belongs to a server of tools.
const NAMES: [&str; 13] = [
    "other",
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
    "http_fetch",
    "run",
];

/// One call of a tool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Used {
    /// Its place in [`NAMES`].
    tool: u8,
    /// How it ended.
    pub how: How,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
}

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// Well.
    Done,
    /// It failed, or made no sense.
    Failed,
    /// It was not permitted.
    Denied,
    /// There is no such tool.
    Unknown,
}

impl How {
    /// All of them.
    pub const ALL: [How; 4] = [How::Done, How::Failed, How::Denied, How::Unknown];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            How::Done => "done",
            How::Failed => "failed",
            How::Denied => "denied",
            How::Unknown => "unknown",
        }
    }

    /// The word for it in a trail.
    #[must_use]
    pub fn step(self) -> &'static str {
        match self {
            How::Done => "tool_used",
            How::Failed => "tool_failed",
            How::Denied => "tool_denied",
            How::Unknown => "tool_unknown",
        }
    }
}

impl Used {
    /// `tool` was called.
    #[must_use]
    pub fn new(tool: &str, how: How, span: Duration) -> Used {
        let place = NAMES.iter().position(|name| *name == tool).unwrap_or(0);
        let tool = u8::try_from(place).unwrap_or(0);
        Used { tool, how, took_ms: u32::try_from(span.as_millis()).unwrap_or(u32::MAX) }
    }

    /// The tool.
    #[must_use]
    pub fn tool(self) -> &'static str {
        NAMES.get(usize::from(self.tool)).copied().unwrap_or("other")
    }

    /// As one number.
    #[must_use]
    pub fn pack(self) -> u64 {
        let how = How::ALL.iter().position(|how| *how == self.how).unwrap_or(0) as u64;
        u64::from(self.took_ms) << 16 | how << 8 | u64::from(self.tool)
    }

    /// Out of that number.
    #[must_use]
    pub fn unpack(number: u64) -> Used {
        let [tool, how, ..] = number.to_le_bytes();
        let how = How::ALL.get(usize::from(how)).copied().unwrap_or(How::Failed);
        let took_ms = u32::try_from(number >> 16 & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        Used { tool, how, took_ms }
    }
}

impl fmt::Display for Used {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.tool() {
            "other" => f.write_str("a tool of a server")?,
            name => write!(f, "the tool {name}")?,
        }
        let took = Duration::from_millis(self.took_ms.into());
        match self.how {
            How::Done => write!(f, " was used, for {took:?}"),
            How::Failed => write!(f, " failed after {took:?}"),
            How::Denied => f.write_str(" is not permitted to who asked, and was not used"),
            How::Unknown => f.write_str(" was called, and is not there"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_one_number_and_back() {
        for tool in NAMES {
            for how in How::ALL {
                for took in [Duration::ZERO, Duration::from_millis(7), Duration::MAX] {
                    let used = Used::new(tool, how, took);
                    assert_eq!(Used::unpack(used.pack()), used);
                    assert_eq!(used.tool(), tool);
                }
            }
        }
        assert_eq!(Used::new("git__push", How::Done, Duration::ZERO).tool(), "other");
        assert!(!Used::unpack(u64::MAX).to_string().is_empty());
    }
}
