//! The commands of conversations, and of who answers in them.

use super::{Command, DOOR, TIMEOUT, flag, switch};
use crate::cli::{agents, sessions};

/// Those of sessions, and the list of agents.
pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "sessions",
        also: &["sessions list"],
        words: "",
        summary: "show the conversations with the agents",
        about: "The one that spoke last comes first. A session's key names it everywhere: \
                agent:AGENT:main is an agent's main one, agent:AGENT:discord:channel:ID a channel, \
                agent:AGENT:discord:direct:USER direct messages.",
        flags: &[
            &[
                flag("active", "MIN", "only those that spoke in the last MIN minutes"),
                flag("agent", "ID", "only those of this agent"),
                flag("limit", "N", "show the latest N (100), or `all`"),
                switch("all-agents", None, "accepted for OpenClaw's sake: they are all shown"),
            ],
            DOOR,
            TIMEOUT,
        ],
        run: sessions::list,
    },
    Command {
        name: "sessions reset",
        also: &[],
        words: "KEY",
        summary: "begin a new conversation there, as /new does it in the chat",
        about: "The agent is told another session; what was said before is kept until the \
                transcripts are made short.",
        flags: &[DOOR, TIMEOUT],
        run: sessions::reset,
    },
    Command {
        name: "sessions delete",
        also: &[],
        words: "KEY...",
        summary: "forget conversations with all that was said in them",
        about: "The file of transcripts is written anew without them. A flash card may keep the \
                old bytes for a while, as it does of every deleted file.",
        flags: &[
            &[switch("yes", None, "accepted for OpenClaw's sake: nothing is asked")],
            DOOR,
            TIMEOUT,
        ],
        run: sessions::delete,
    },
    Command {
        name: "agents",
        also: &["agents list"],
        words: "",
        summary: "show the agents that the configuration names",
        about: "It reads the file and asks no gateway.",
        flags: &[&[switch("bindings", None, "show where each of them answers")]],
        run: agents::list,
    },
];
