//! The commands of agents and of their sessions.

use super::{Command, flag, switch};
use crate::cli::crew;

/// Those of agents and sessions.
pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "agents add",
        also: &[],
        words: "NAME",
        summary: "add an agent to the configuration",
        about: "Example: `barnacle agents add ops --command '/usr/local/bin/ops --quiet' --bind \
                discord:work`.",
        flags: &[
            &[
                flag("command", "TEXT", "the program that answers, and its arguments"),
                flag("url", "URL", "the endpoint that answers"),
                flag("workspace", "DIR", "the directory that its program runs in"),
                flag("model", "ID", "kept for OpenClaw's sake"),
                switch("non-interactive", None, "accepted for OpenClaw's sake: it always is"),
            ],
            BIND,
        ],
        run: crew::add,
    },
    Command {
        name: "agents delete",
        also: &[],
        words: "NAME",
        summary: "remove an agent and its bindings from the configuration",
        about: "The version of the file before is kept as .bak.",
        flags: &[&[switch("force", None, "accepted for OpenClaw's sake: nothing is asked")]],
        run: crew::delete,
    },
    Command {
        name: "agents bind",
        also: &[],
        words: "",
        summary: "let an agent answer at a chat service, or for one account",
        about: "Example: `barnacle agents bind --agent ops --bind discord:work`. Servers, \
                channels and roles are bound in the file (`barnacle help config`).",
        flags: &[&[flag("agent", "NAME", "which agent (the first)")], BIND],
        run: crew::bind,
    },
    Command {
        name: "agents unbind",
        also: &[],
        words: "",
        summary: "let an agent answer there no more",
        about: "",
        flags: &[
            &[
                flag("agent", "NAME", "which agent (the first)"),
                switch("all", None, "all of its bindings"),
            ],
            BIND,
        ],
        run: crew::unbind,
    },
    Command {
        name: "agents bindings",
        also: &[],
        words: "",
        summary: "show which agent answers where",
        about: "The most specific binding wins, then the first.",
        flags: &[&[flag("agent", "NAME", "only of this agent")]],
        run: crew::bindings,
    },
];

/// Where an agent answers.
const BIND: &[super::Flag] =
    &[flag("bind", "CHANNEL[:ACCOUNT]", "where it answers; may be given more than once")];
