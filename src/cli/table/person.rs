//! The commands about a person.

use super::{Command, DOOR, TIMEOUT, flag, switch};
use crate::cli::person;

/// Those of a person.
pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "person export",
        also: &[],
        words: "PERSON",
        summary: "write down all that is kept about a person",
        about: "PERSON is discord:ID. It tells, as JSON, their lines in every conversation and the \
                answers to them, their sessions, their messages on the way, pairing, the decision \
                trail, their scheduled jobs, and where the configuration names them.",
        flags: &[
            &[flag("output", "FILE", "write it there, readable by its owner alone")],
            DOOR,
            TIMEOUT,
        ],
        run: person::export,
    },
    Command {
        name: "person forget",
        also: &[],
        words: "PERSON",
        summary: "forget all that is kept about a person",
        about: "PERSON is discord:ID. Each file of the state directory that has something of them \
                is written anew without it; accounts leave for a moment and resume. What an order \
                here cannot reach is named: backups, log files, the configuration.",
        flags: &[
            &[switch("yes", None, "do it: what is forgotten cannot be had back")],
            DOOR,
            TIMEOUT,
        ],
        run: person::forget,
    },
];
