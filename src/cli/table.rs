//! The one table of commands and flags: parsing, help, the man page, completions and guesses at
//! typos follow from it.

use super::{Run, ask, channels, doctor, local, pages, pairing, restart, say, settings, why};

/// A command.
#[derive(Debug)]
pub(crate) struct Command {
    /// What is typed: one word, or a group's and its own.
    pub(crate) name: &'static str,
    /// Other names of the same.
    pub(crate) also: &'static [&'static str],
    /// The words that may follow it, as help shows them: `[X]` may be left out, `a|b` is a choice,
    /// a last word with `...` may be repeated.
    pub(crate) words: &'static str,
    /// One line.
    pub(crate) summary: &'static str,
    /// More, in sentences.
    pub(crate) about: &'static str,
    /// Its own flags; those of [`GLOBAL`] are everybody's.
    pub(crate) flags: &'static [&'static [Flag]],
    /// What does it.
    pub(crate) run: Run,
}

/// A flag.
#[derive(Debug)]
pub(crate) struct Flag {
    /// Its name after `--`.
    pub(crate) long: &'static str,
    /// Its letter after `-`.
    pub(crate) short: Option<char>,
    /// What its value is called; empty if it takes none. `a|b` is a choice, `FILE` is a file.
    pub(crate) value: &'static str,
    /// One line.
    pub(crate) summary: &'static str,
}

/// Which gateway is asked.
const DOOR: &[Flag] = &[
    flag("port", "N", "ask on this port of this host, not by the gateway's socket"),
    flag("url", "URL", "ask the gateway at ws://HOST:PORT or unix:PATH"),
    flag("token", "TOKEN", "its token; who lists this host's processes sees it meanwhile"),
];

/// How long its answer is waited for.
const TIMEOUT: &[Flag] = &[flag("timeout", "MS", "how long to wait for the answer (10000)")];

/// Which connections are meant.
const ONE: &[Flag] = &[
    flag("channel", "NAME", "only this chat service, such as discord"),
    flag("account", "ID", "only this account"),
];

/// The flags of every command.
pub(crate) const GLOBAL: &[Flag] = &[
    flag("config", "FILE", "the configuration file"),
    flag("log-level", "LEVEL", "error, warn, info, debug, connection-debug or trace"),
    switch("json", None, "print JSON for programs"),
    switch("no-color", None, "print without colours, as if NO_COLOR were set"),
    switch("help", Some('h'), "explain the command"),
    switch("version", Some('V'), "print version and commit"),
];

/// The groups of commands, and what their members are about.
pub(crate) const GROUPS: &[(&str, &str)] = &[
    ("gateway", "the process that keeps the bot connected"),
    ("channels", "the connections to chat services"),
    ("pairing", "who may write to the bot directly"),
    ("config", "the configuration file"),
    ("message", "messages to chats"),
];

/// Every command, in the order of help.
pub(crate) const COMMANDS: &[Command] = &[
    Command {
        name: "gateway",
        also: &["gateway run"],
        words: "",
        summary: "keep the bot connected, in the foreground",
        about: "Runs until SIGTERM or Ctrl-C. It needs a bot token in DISCORD_BOT_TOKEN or in the \
                configuration.",
        flags: &[&[
            flag("port", "N", "listen on this control port, whatever is configured"),
            switch("verbose", Some('v'), "the same as --log-level debug"),
        ]],
        run: local::gateway,
    },
    Command {
        name: "status",
        also: &["gateway status"],
        words: "",
        summary: "show what the running gateway does",
        about: "Asks the gateway of this host by its socket, else by its control port with the \
                token that it keeps in its state directory. All that is known is always shown.",
        flags: &[
            &[
                switch("all", None, "accepted for OpenClaw's sake"),
                switch("deep", None, "accepted for OpenClaw's sake"),
            ],
            DOOR,
            TIMEOUT,
        ],
        run: ask::status,
    },
    Command {
        name: "health",
        also: &["gateway health"],
        words: "",
        summary: "show how healthy each channel is, by its last proof of life",
        about: "Succeeds whenever the gateway answers: an outage of a chat service is no fault of \
                the gateway's. How well things are is in the answer's words.",
        flags: &[DOOR, TIMEOUT],
        run: ask::health,
    },
    Command {
        name: "logs",
        also: &["gateway logs"],
        words: "",
        summary: "show the gateway's latest log lines",
        about: "They come from a ring in the gateway's memory. With --json each line is an object \
                with seq, at, level, target and text. --follow goes on over a restart of the \
                gateway, and says so on standard error.",
        flags: &[
            &[
                switch("follow", Some('f'), "go on with new lines as they come"),
                valued("limit", Some('n'), "N", "how many of the latest lines (200)"),
                flag("max-bytes", "N", "how many bytes of them at most (1000000)"),
                flag("interval", "MS", "how often --follow looks (500)"),
                flag("level", "LEVEL", "only lines as grave as error, warn, info, debug or trace"),
                switch("plain", None, "the same as --no-color"),
                switch("utc", None, "accepted for OpenClaw's sake: times are always in UTC"),
            ],
            DOOR,
            TIMEOUT,
        ],
        run: ask::logs,
    },
    Command {
        name: "gateway stop",
        also: &[],
        words: "",
        summary: "end the running gateway, in order",
        about: "Answers under way are finished first, in bounded time. A service manager that \
                keeps the gateway running would start it again: stop the service there.",
        flags: &[DOOR, TIMEOUT],
        run: restart::stop,
    },
    Command {
        name: "gateway restart",
        also: &["restart"],
        words: "",
        summary: "restart the running gateway, and see that it is back",
        about: "Waits until the gateway answers with a new boot id and is ready, and prints what \
                it took. The exit code is the truth: 0 only if it is back. Sessions are resumed, \
                so that no message is missed.",
        flags: &[
            &[
                flag("wait", "SPAN", "how long it may take, such as 30s or 2m (30s)"),
                switch("fresh", None, "begin new sessions instead of resuming the old ones"),
                flag("reason", "TEXT", "what the log shall say of it"),
                switch("safe", None, "accepted for OpenClaw's sake: it always is"),
                switch("force", None, "accepted for OpenClaw's sake"),
            ],
            DOOR,
            TIMEOUT,
        ],
        run: restart::restart,
    },
    Command {
        name: "gateway call",
        also: &[],
        words: "METHOD",
        summary: "call a method of the gateway's protocol, and print the answer",
        about: "The protocol is version 4 of OpenClaw's. The answer is printed as JSON.",
        flags: &[&[flag("params", "JSON", "the method's parameters ({})")], DOOR, TIMEOUT],
        run: restart::call,
    },
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
        flags: &[ONE, DOOR, TIMEOUT],
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
                switch("deliver", None, "accepted for OpenClaw's sake: the answer is printed here"),
                flag("timeout", "S", "how many seconds the answer may take (600)"),
            ],
            DOOR,
        ],
        run: say::agent,
    },
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
            flag("template", "single|multi", "for one account or several (single)"),
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
    Command {
        name: "doctor",
        also: &[],
        words: "",
        summary: "examine the set-up from end to end, and say what to mend",
        about: "Looks at the configuration, the token, intents and permissions, the way to Discord \
                by IPv4 and IPv6, the clock, the host and its disk, and at the running gateway if \
                there is one. Fails if something keeps the bot from working, by the exit code of \
                the first such thing. --fix asks Discord to switch on privileged intents that are \
                missing, by the limited flags that applications in few servers may set, and \
                closes files with secrets to everybody else; it says what it did.",
        flags: &[&[switch("fix", None, "mend what can be mended without harm")], DOOR, TIMEOUT],
        run: doctor::doctor,
    },
    Command {
        name: "invite-url",
        also: &[],
        words: "",
        summary: "print the link that invites the bot into a server",
        about: "The application's id is asked of Discord with the bot's token, unless it is given.",
        flags: &[&[
            flag("permissions", "WHICH", "minimal, recommended, bits, or NAME,NAME (recommended)"),
            flag("application", "ID", "the application's id"),
            flag("account", "ID", "whose application it is, if there are several accounts"),
            flag("guild", "ID", "the server that is chosen beforehand"),
        ]],
        run: local::invite_url,
    },
    Command {
        name: "demo",
        also: &[],
        words: "",
        summary: "try everything against an embedded Discord, with faults to inject",
        about: "Needs no account, no network and no configuration. Keys inject faults; each is \
                healed before your eyes, with the time it took.",
        flags: &[],
        run: local::demo,
    },
    Command {
        name: "drill",
        also: &[],
        words: "[NAME]",
        summary: "inject one fault, or each in turn, and time the recovery",
        about: "Runs against the embedded Discord. Fails if a recovery took longer than promised.",
        flags: &[&[switch("list", None, "name the drills")]],
        run: local::drill,
    },
    Command {
        name: "sandbox",
        also: &[],
        words: "",
        summary: "run the embedded Discord alone, for tests of any client",
        about: "Prints DISCORD_API_URL for the client. Faults are named on standard input, or \
                posted over HTTP to /_sandbox/fault.",
        flags: &[&[
            flag("port", "N", "the REST port (0: any that is free)"),
            flag("gateway-port", "N", "the gateway's port (0: any that is free)"),
            flag("host", "NAME", "the host that its URLs name (127.0.0.1, where it listens)"),
            flag("heartbeat", "MS", "the heartbeat interval that HELLO names (41250)"),
            flag("cert", "FILE", "serve TLS with this certificate chain (PEM)"),
            flag("key", "FILE", "and this private key (PEM)"),
        ]],
        run: local::sandbox,
    },
    Command {
        name: "completion",
        also: &[],
        words: "bash|zsh|fish",
        summary: "print what completes commands and flags in a shell",
        about: "For bash: `source <(barnacle completion bash)` in ~/.bashrc. For zsh: into a file \
                _barnacle in a directory of fpath. For fish: into \
                ~/.config/fish/completions/barnacle.fish.",
        flags: &[],
        run: pages::completion,
    },
    Command {
        name: "man",
        also: &[],
        words: "",
        summary: "print the manual page, in roff",
        about: "To read it: `barnacle man | man -l -`.",
        flags: &[],
        run: pages::man,
    },
    Command {
        name: "help",
        also: &[],
        words: "[TOPIC...]",
        summary: "explain a command, or: config, environment, exit-codes",
        about: "`help config` also lists every configuration key.",
        flags: &[],
        run: pages::help,
    },
];

const fn flag(long: &'static str, value: &'static str, summary: &'static str) -> Flag {
    valued(long, None, value, summary)
}

const fn switch(long: &'static str, short: Option<char>, summary: &'static str) -> Flag {
    valued(long, short, "", summary)
}

const fn valued(
    long: &'static str,
    short: Option<char>,
    value: &'static str,
    summary: &'static str,
) -> Flag {
    Flag { long, short, value, summary }
}

/// The command that is called `name`, by that name or another.
pub(crate) fn command(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.names().any(|known| known == name))
}

/// The commands of the group `name`.
pub(crate) fn members(name: &str) -> impl Iterator<Item = &'static Command> + Clone {
    let is_below = move |known: &str| known.strip_prefix(name).is_some_and(|r| r.starts_with(' '));
    COMMANDS.iter().filter(move |command| command.names().any(is_below))
}

/// Whether `name` is a group's.
pub(crate) fn is_group(name: &str) -> bool {
    GROUPS.iter().any(|(group, _)| *group == name)
}

impl Command {
    /// Its name and its others.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> + Clone {
        std::iter::once(self.name).chain(self.also.iter().copied())
    }

    /// Its own flags, then everybody's.
    pub(crate) fn all_flags(&self) -> impl Iterator<Item = &'static Flag> + Clone {
        self.own_flags().chain(GLOBAL)
    }

    /// Its own flags.
    pub(crate) fn own_flags(&self) -> impl Iterator<Item = &'static Flag> + Clone {
        self.flags.iter().copied().flatten()
    }

    /// How many words may follow it: at least, and at most.
    pub(crate) fn words_span(&self) -> (usize, usize) {
        let words = self.words.split_whitespace();
        let needed = words.clone().filter(|word| !word.starts_with('[')).count();
        let most = if self.words.contains("...") { usize::MAX } else { words.count() };
        (needed, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_in_kebab_case() {
        let is_kebab = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        let names: Vec<&str> = COMMANDS.iter().flat_map(Command::names).collect();
        for (at, name) in names.iter().enumerate() {
            let words: Vec<&str> = name.split(' ').collect();
            assert!(words.iter().all(|word| is_kebab(word)) && words.len() < 3, "{name}");
            assert!(!names[..at].contains(name), "{name} is there twice");
            assert!(words.len() == 1 || is_group(words[0]), "{name} is of no group");
        }
    }

    #[test]
    fn every_command_and_flag_is_documented() {
        for command in COMMANDS {
            assert!(!command.summary.is_empty(), "{}", command.name);
            let flags: Vec<&Flag> = command.all_flags().collect();
            for (at, flag) in flags.iter().enumerate() {
                assert!(!flag.summary.is_empty(), "{} --{}", command.name, flag.long);
                let is_kebab = flag.long.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
                assert!(is_kebab, "--{}", flag.long);
                let same = |other: &&Flag| {
                    other.long == flag.long || other.short.is_some() && other.short == flag.short
                };
                assert!(!flags[..at].iter().any(same), "{} --{}", command.name, flag.long);
            }
        }
        assert!(GROUPS.iter().all(|(name, about)| members(name).count() > 0 && !about.is_empty()));
    }

    #[test]
    fn a_flag_takes_a_value_everywhere_or_nowhere() {
        // Flags are taken apart before the last word of the command's name is known.
        for group in GROUPS {
            let flags: Vec<&Flag> = members(group.0).flat_map(Command::all_flags).collect();
            for flag in &flags {
                let same = flags.iter().filter(|other| other.long == flag.long);
                let alike = |other: &&&Flag| other.value.is_empty() == flag.value.is_empty();
                assert!(same.clone().all(|other| alike(&other)), "{} --{}", group.0, flag.long);
            }
        }
    }
}
