//! The few words that are orders to us and not questions to an agent: `/status`, `/why`, `/new` (or
//! `/reset`), `/compact`, `/stop`. One table, from which what a channel deploys and what it
//! understands both come.

/// An order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// How the connection is.
    Status,
    /// Why a message was answered, or was not: this one, or the last one here.
    Why(Option<u64>),
    /// Begin another conversation: what was said before is not looked at any more.
    New,
    /// Put what was said before in short.
    Compact,
    /// End what runs and what waits here.
    Stop,
}

/// What there is to say of an order before it is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// Its name, without the slash.
    pub name: &'static str,
    /// What it does, for people.
    pub what: &'static str,
    /// What may follow it, for people; empty if nothing may.
    pub option: &'static str,
}

/// All orders.
pub const COMMANDS: &[Row] = &[
    Row { name: "status", what: "How I am connected, and what this conversation is", option: "" },
    Row {
        name: "why",
        what: "Why a message was answered, or was not",
        option: "The message's id or link; the last one here if left out",
    },
    Row { name: "new", what: "Begin a new conversation here", option: "" },
    Row { name: "reset", what: "The same as /new", option: "" },
    Row { name: "compact", what: "Put what was said before in short", option: "" },
    Row { name: "stop", what: "Stop what I am doing here", option: "" },
];

impl Command {
    /// The order called `name`, with what follows it. `None` if there is none, or if what follows
    /// makes no sense: then it is a question like any other.
    #[must_use]
    pub fn of(name: &str, option: &str) -> Option<Command> {
        let option = option.trim();
        match name {
            "why" if option.is_empty() => Some(Command::Why(None)),
            "why" => message_id(option).map(|id| Command::Why(Some(id))),
            _ if !option.is_empty() => None,
            "status" => Some(Command::Status),
            "new" | "reset" => Some(Command::New),
            "compact" => Some(Command::Compact),
            "stop" => Some(Command::Stop),
            _ => None,
        }
    }

    /// The order that a message is, if it is nothing else: `/why 123`, say.
    #[must_use]
    pub fn said(text: &str) -> Option<Command> {
        let text = text.trim().strip_prefix('/')?;
        let (name, option) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        Command::of(name, option)
    }

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Command::Status => "status",
            Command::Why(_) => "why",
            Command::New => "new",
            Command::Compact => "compact",
            Command::Stop => "stop",
        }
    }
}

/// The id in a message's id or link, whose last part it is.
fn message_id(text: &str) -> Option<u64> {
    let last = text.trim_matches(['<', '>']).trim_end_matches('/').rsplit('/').next()?;
    last.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_an_order_only_if_it_is_nothing_else() {
        for (text, command) in [
            ("/status", Some(Command::Status)),
            (" /stop\n", Some(Command::Stop)),
            ("/new", Some(Command::New)),
            ("/reset", Some(Command::New)),
            ("/compact", Some(Command::Compact)),
            ("/why", Some(Command::Why(None))),
            ("/why 42", Some(Command::Why(Some(42)))),
            ("/why https://discord.com/channels/1/2/42", Some(Command::Why(Some(42)))),
            ("/why <https://discord.com/channels/1/2/42>", Some(Command::Why(Some(42)))),
            ("/why not", None),
            ("/new moon rises", None),
            ("/Status", None),
            ("status", None),
            ("what does /status do?", None),
            ("/", None),
            ("/etc/passwd", None),
            ("", None),
        ] {
            assert_eq!(Command::said(text), command, "{text:?}");
        }
    }

    #[test]
    fn the_table_has_every_order_and_discord_takes_its_words() {
        for row in COMMANDS {
            let command = Command::of(row.name, "").expect("it is understood");
            assert!(command.name() == row.name || (row.name, command) == ("reset", Command::New));
            assert!((1..=32).contains(&row.name.len()) && row.name.is_ascii());
            assert!((1..=100).contains(&row.what.len()) && row.option.len() <= 100);
        }
    }
}
