//! The commands of the connections to chat services.

use super::{Command, DOOR, ONE, TIMEOUT, switch, valued};
use crate::cli::{channels, uptime};

/// Those of the connections.
pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "channels status",
        also: &[],
        words: "[CHANNEL]",
        summary: "show each account's connection, with cause and cure",
        about: "",
        flags: &[
            &[switch("probe", None, "ask the chat services too, not only what is known here")],
            ONE,
            DOOR,
            TIMEOUT,
        ],
        run: channels::status,
    },
    Command {
        name: "channels list",
        also: &[],
        words: "[CHANNEL]",
        summary: "name the accounts that are configured",
        about: "",
        flags: &[ONE, DOOR, TIMEOUT],
        run: channels::list,
    },
    Command {
        name: "channels history",
        also: &[],
        words: "[CHANNEL]",
        summary: "show when and why connections were lost and came back",
        about: "",
        flags: &[
            &[valued("limit", Some('n'), "N", "how many of the latest entries (50)")],
            ONE,
            DOOR,
            TIMEOUT,
        ],
        run: channels::history,
    },
    Command {
        name: "channels uptime",
        also: &[],
        words: "[CHANNEL]",
        summary: "show how long each account was up, in a day and a month, and why not",
        about: "Days are those of UTC. What was stopped on purpose, or had no gateway running, \
                counts as neither up nor down.",
        flags: &[ONE, DOOR, TIMEOUT],
        run: uptime::uptime,
    },
    Command {
        name: "channels start",
        also: &[],
        words: "[CHANNEL]",
        summary: "start accounts that were stopped",
        about: "Without a channel all are meant.",
        flags: &[ONE, DOOR, TIMEOUT],
        run: channels::start,
    },
    Command {
        name: "channels stop",
        also: &[],
        words: "[CHANNEL]",
        summary: "stop accounts: they stay stopped until they are started",
        about: "Without a channel all are meant.",
        flags: &[ONE, DOOR, TIMEOUT],
        run: channels::stop,
    },
    Command {
        name: "channels restart",
        also: &[],
        words: "[CHANNEL]",
        summary: "connect accounts anew, leaving the others alone",
        about: "Without a channel all are meant.",
        flags: &[ONE, DOOR, TIMEOUT],
        run: channels::restart,
    },
];
