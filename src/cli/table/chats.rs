//! The commands of who is answered, and of what is said.

use super::{Command, DOOR, ONE, TIMEOUT, flag, switch, valued};
use crate::cli::{pairing, say, why};

/// Those of people and messages.
pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "why",
        also: &[],
        words: "[ID|LINK]",
        summary: "show what became of a message, and which setting would change it",
        about: "A message is named by its id, or by the link that the chat service copies. \
                Without one the latest messages are shown.",
        flags: &[
            &[
                flag("last", "N", "show the latest N messages (10)"),
                switch("dropped", None, "only messages that were not answered"),
            ],
            ONE,
            DOOR,
            TIMEOUT,
        ],
        run: why::why,
    },
    Command {
        name: "pairing list",
        also: &[],
        words: "[CHANNEL]",
        summary: "show who asks to write to the bot, and who may",
        about: "",
        flags: &[ONE, DOOR, TIMEOUT],
        run: pairing::list,
    },
    Command {
        name: "pairing approve",
        also: &[],
        words: "[CHANNEL] CODE",
        summary: "let the person with this code write to the bot",
        about: "The code is the one that the bot has told the person. Without a channel, discord \
                is meant.",
        flags: &[
            &[switch("notify", None, "accepted for OpenClaw's sake: the person is always told")],
            ONE,
            DOOR,
            TIMEOUT,
        ],
        run: pairing::approve,
    },
    Command {
        name: "pairing revoke",
        also: &[],
        words: "[CHANNEL] USER",
        summary: "let this person write to the bot no more",
        about: "USER is the id that `pairing list` shows.",
        flags: &[ONE, DOOR, TIMEOUT],
        run: pairing::revoke,
    },
    Command {
        name: "message send",
        also: &[],
        words: "",
        summary: "send a message to a chat, as the bot",
        about: "It goes through the gateway's outbox: kept on disk until the service has it, and \
                sent once, however often the connection breaks.",
        flags: &[
            &[
                valued("target", Some('t'), "ID", "the chat: a channel's id, or user:ID"),
                valued("message", Some('m'), "TEXT", "what to say"),
                flag("channel", "NAME", "the chat service (discord)"),
                flag("account", "ID", "the account to send as"),
                flag("media", "FILE", "a file to attach"),
                switch("dry-run", None, "only show what would be sent"),
                flag("idempotency-key", "KEY", "a repeated send with the same key is one send"),
            ],
            DOOR,
            TIMEOUT,
        ],
        run: say::send,
    },
    Command {
        name: "agent",
        also: &[],
        words: "",
        summary: "ask the agent, and print its answer",
        about: "",
        flags: &[
            &[
                valued("message", Some('m'), "TEXT", "what to ask"),
                flag("agent", "ID", "which agent, if there are several"),
                flag("session-key", "KEY", "in which conversation (the agent's main one)"),
                flag("session-id", "ID", "the same, for scripts that call it so"),
                switch("deliver", None, "also say the answer in the chat of the session"),
                flag("reply-to", "TARGET", "where to say it instead: channel:ID or user:ID"),
                flag("reply-account", "ID", "the account that says it"),
                flag("timeout", "S", "how many seconds the answer may take (600)"),
            ],
            DOOR,
        ],
        run: say::agent,
    },
];
