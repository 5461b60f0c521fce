//! The one table of commands and flags: parsing, help, the man page, completions and guesses at
//! typos follow from it.

mod agents;
mod appliance;
mod channels;
mod chats;
mod config;
mod cron;
mod gateway;
mod outside;
mod person;
mod sessions;
mod tools;

use super::Run;

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
    flag("profile", "NAME", "the gateway whose directories end with -NAME"),
    switch("dev", None, "the same as --profile dev, on port 19001"),
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
    ("cron", "scheduled jobs"),
    ("automations", "the same, as OpenClaw calls them"),
    ("sessions", "the conversations with the agents"),
    ("person", "all that is kept about somebody"),
    ("agents", "who answers, and where"),
    ("memory", "what agents have noted"),
    ("mcp", "servers of tools"),
    ("security", "what others could get at"),
    ("system", "who and what is connected"),
    ("update", "how this installation is updated"),
    ("backup", "all that a gateway knows, in one file"),
    ("appliance", "an image's first start"),
];

/// Every command, in the order of help.
const GROUPED: &[&[Command]] = &[
    gateway::COMMANDS,
    channels::COMMANDS,
    chats::COMMANDS,
    sessions::COMMANDS,
    person::COMMANDS,
    agents::COMMANDS,
    outside::COMMANDS,
    cron::COMMANDS,
    config::COMMANDS,
    tools::COMMANDS,
    appliance::COMMANDS,
];

/// Every command, in the order of help.
pub(crate) fn commands() -> impl Iterator<Item = &'static Command> + Clone {
    GROUPED.iter().copied().flatten()
}

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
    commands().find(|command| command.names().any(|known| known == name))
}

/// The commands of the group `name`.
pub(crate) fn members(name: &str) -> impl Iterator<Item = &'static Command> + Clone {
    let is_below = move |known: &str| known.strip_prefix(name).is_some_and(|r| r.starts_with(' '));
    commands().filter(move |command| command.names().any(is_below))
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
        let names: Vec<&str> = commands().flat_map(Command::names).collect();
        for (at, name) in names.iter().enumerate() {
            let words: Vec<&str> = name.split(' ').collect();
            assert!(words.iter().all(|word| is_kebab(word)) && words.len() < 3, "{name}");
            assert!(!names[..at].contains(name), "{name} is there twice");
            assert!(words.len() == 1 || is_group(words[0]), "{name} is of no group");
        }
    }

    #[test]
    fn every_command_and_flag_is_documented() {
        for command in commands() {
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
