//! The commands of what agents have noted, and of the servers of their tools.

use super::{Command, DOOR, Flag, TIMEOUT, flag, switch};
use crate::cli::outside;

/// Whose notes are meant.
const WHOSE: &[Flag] = &[
    flag("user", "ID", "those of this person, and those that they have had made in chats"),
    flag("chat", "ID", "those of this chat"),
    flag("channel", "NAME", "the chat service of the person or chat (discord)"),
];

/// All of them.
pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "memory list",
        also: &[],
        words: "",
        summary: "show what agents have noted about people and chats",
        about: "Agents that are language models note things by their tools memory_save, \
                memory_search and memory_forget. A person's notes are seen only in turns that this \
                person asks for, a chat's only in that chat and its threads, both only by the \
                agent that made them.",
        flags: &[WHOSE, DOOR, TIMEOUT],
        run: outside::list,
    },
    Command {
        name: "memory forget",
        also: &[],
        words: "[ID...]",
        summary: "forget notes for good",
        about: "The file of notes is written anew without them. A flash card may keep the old \
                bytes for a while, as it does of every deleted file.",
        flags: &[WHOSE, &[switch("all", None, "every note there is")], DOOR, TIMEOUT],
        run: outside::forget,
    },
    Command {
        name: "mcp list",
        also: &[],
        words: "",
        summary: "show the servers of tools, whether they are there, and what they offer",
        about: "They are named by mcp.servers in the configuration. One that is down costs its \
                own tools only, and is started again after a while.",
        flags: &[DOOR, TIMEOUT],
        run: outside::servers,
    },
];
