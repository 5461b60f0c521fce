//! The commands of the connections to chat services.

use super::{Command, DOOR, ONE, TIMEOUT, flag, switch, valued};
use crate::cli::{accounts, ask, channels, uptime};

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
    Command {
        name: "channels logs",
        also: &[],
        words: "",
        summary: "show the latest log lines of one chat service",
        about: "",
        flags: &[
            &[
                flag("channel", "NAME", "only of this one; all for every one (all)"),
                valued("lines", Some('n'), "N", "how many of the latest lines (200)"),
            ],
            DOOR,
            TIMEOUT,
        ],
        run: ask::channel_logs,
    },
    Command {
        name: "channels add",
        also: &[],
        words: "[CHANNEL]",
        summary: "add an account to the configuration, or give it another token",
        about: "The file keeps its comments, and a running gateway takes the account up at once. \
                The token is never shown. Example: `barnacle channels add --channel discord \
                --account work --token-file /etc/barnacle/work.token`.",
        flags: &[
            &[
                flag("token", "TOKEN", "the bot's token; - to type it, where no list shows it"),
                flag("token-file", "FILE", "a file that holds it"),
                switch("use-env", None, "it comes from the environment, where the gateway starts"),
                flag("name", "TEXT", "what the account is called, for OpenClaw's sake"),
            ],
            ONE,
        ],
        run: accounts::add,
    },
    Command {
        name: "channels remove",
        also: &[],
        words: "[CHANNEL]",
        summary: "switch an account off in the configuration, or delete it there",
        about: "The version of the file before is kept as .bak.",
        flags: &[&[switch("delete", None, "remove its settings, and its token")], ONE],
        run: accounts::remove,
    },
    Command {
        name: "channels login",
        also: &[],
        words: "[CHANNEL]",
        summary: "say how an account of a chat service is connected",
        about: "",
        flags: &[&[switch("verbose", None, "accepted for OpenClaw's sake")], ONE],
        run: accounts::login,
    },
    Command {
        name: "channels logout",
        also: &[],
        words: "[CHANNEL]",
        summary: "end an account's session for good",
        about: "",
        flags: &[ONE, DOOR, TIMEOUT],
        run: accounts::logout,
    },
    Command {
        name: "channels capabilities",
        also: &[],
        words: "[CHANNEL]",
        summary: "show each bot's intents and permissions",
        about: "Asks Discord with the bot's token; a gateway need not run.",
        flags: &[
            &[
                flag("target", "ID", "accepted for OpenClaw's sake"),
                flag("timeout", "MS", "accepted for OpenClaw's sake"),
            ],
            ONE,
        ],
        run: accounts::capabilities,
    },
    Command {
        name: "channels resolve",
        also: &[],
        words: "NAME...",
        summary: "find the ids of channels and people by their names",
        about: "Looks in the servers that the bot is in. Fails with 65 if one is not found. \
                Example: `barnacle channels resolve '#general' @ann`.",
        flags: &[&[flag("kind", "auto|user|group|channel", "what is looked for (auto)")], ONE],
        run: accounts::resolve,
    },
    Command {
        name: "channels dead-letters",
        also: &[],
        words: "[list|resubmit] [ID]",
        summary: "list what was not answered or not sent, and why",
        about: "The same as `why --dropped`. The words of what is over are not kept, so nothing \
                can be submitted again.",
        flags: &[&[flag("limit", "N", "how many of the latest (100)")], ONE, DOOR, TIMEOUT],
        run: accounts::dead_letters,
    },
];
