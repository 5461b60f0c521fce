//! The commands of the configuration file.

use super::{Command, flag, switch};
use crate::cli::settings;

/// Those of the file.
pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "config get",
        also: &[],
        words: "[PATH]",
        summary: "print a setting of the file, or all of them",
        about: "PATH is a key's, such as channels.discord.groupPolicy or bindings[0].agentId. \
                Secrets are not shown unless they are asked for.",
        flags: &[&[switch("show-secrets", None, "print tokens and passwords too")]],
        run: settings::get,
    },
    Command {
        name: "config set",
        also: &[],
        words: "PATH VALUE",
        summary: "change a setting in the file, keeping its comments",
        about: "VALUE is JSON5; what is not is taken as text. A running gateway takes it up at \
                once. What would be a mistake is refused, and the file left alone; the version \
                before is kept as .bak.",
        flags: &[&[switch("force", None, "write it though it is a mistake")]],
        run: settings::set,
    },
    Command {
        name: "config unset",
        also: &[],
        words: "PATH",
        summary: "remove a setting from the file",
        about: "A running gateway takes it up at once. The version before is kept as .bak.",
        flags: &[&[switch("force", None, "write it though what is left is a mistake")]],
        run: settings::unset,
    },
    Command {
        name: "config check",
        also: &["config validate"],
        words: "[FILE]",
        summary: "tell every mistake in the file, each with its cure",
        about: "Each with its place, its path and its cure. Fails if anything in the file does not \
                mean what it says; a gateway runs with it nevertheless, unless its syntax is \
                broken.",
        flags: &[],
        run: settings::check,
    },
    Command {
        name: "config init",
        also: &[],
        words: "",
        summary: "write a first configuration file",
        about: "Goes to ~/.config/barnacle/barnacle.json5, or where --config says. It works as it \
                stands; all it needs is DISCORD_BOT_TOKEN in the environment.",
        flags: &[&[
            flag(
                "template",
                "single|multi|voice|local-ollama",
                "for one account (single), for several, with ears and a mouth, or with Ollama",
            ),
            switch("force", None, "replace the file that is there"),
        ]],
        run: settings::init,
    },
    Command {
        name: "config import",
        also: &[],
        words: "[FILE]",
        summary: "take over OpenClaw's configuration",
        about: "Without FILE it is looked for where OpenClaw keeps it. What works here is taken \
                over as it is written, what does not is named, and what OpenClaw does by default \
                is written down. OpenClaw's file stays as it is.",
        flags: &[&[
            switch("dry-run", None, "only say what would be written"),
            switch("force", None, "replace the file that is there"),
        ]],
        run: settings::import,
    },
    Command {
        name: "config schema",
        also: &[],
        words: "",
        summary: "print the file's JSON schema, for editors",
        about: "Name it in the file as $schema, or in the editor's settings.",
        flags: &[],
        run: settings::schema,
    },
    Command {
        name: "config path",
        also: &["config file"],
        words: "",
        summary: "print which file is read",
        about: "That is --config, else BARNACLE_CONFIG, else ~/.config/barnacle/barnacle.json5, \
                else /etc/barnacle/barnacle.json5, else OpenClaw's own file.",
        flags: &[],
        run: settings::path,
    },
];
