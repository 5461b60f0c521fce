//! The one table of commands and flags: parsing, `--help` and guesses at typos follow from it.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::Arg;

use crate::base::spell;
use crate::ops::exit::{Exit, Failure};

/// A command.
#[derive(Debug)]
pub(crate) struct Command {
    /// What is typed.
    pub(crate) name: &'static str,
    /// The word that may follow it, as help shows it; empty if none may.
    pub(crate) word: &'static str,
    /// One line.
    pub(crate) summary: &'static str,
    /// More, in sentences.
    pub(crate) about: &'static str,
    /// Its own flags; those of [`GLOBAL`] are everybody's.
    pub(crate) flags: &'static [Flag],
}

/// A flag.
#[derive(Debug)]
pub(crate) struct Flag {
    /// Its name after `--`.
    pub(crate) long: &'static str,
    /// Its letter after `-`.
    pub(crate) short: Option<char>,
    /// What its value is called; empty if it takes none.
    pub(crate) value: &'static str,
    /// One line.
    pub(crate) summary: &'static str,
}

const PORT: Flag = flag("port", "N", "the gateway's control port, if not the configured one");
const TIMEOUT: Flag = flag("timeout", "MS", "how long to wait for the answer (10000)");

/// The flags of every command.
pub(crate) const GLOBAL: &[Flag] = &[
    flag("config", "FILE", "the configuration file"),
    flag("log-level", "LEVEL", "error, warn, info, debug, connection-debug or trace"),
    switch("json", None, "print JSON for programs"),
    switch("no-color", None, "print without colours, as if NO_COLOR were set"),
    switch("help", Some('h'), "explain the command"),
    switch("version", Some('V'), "print version and commit"),
];

/// Every command, in the order of help.
pub(crate) const COMMANDS: &[Command] = &[
    Command {
        name: "gateway",
        word: "[run]",
        summary: "keep the bot connected, in the foreground",
        about: "Runs until SIGTERM or Ctrl-C. It needs a bot token in DISCORD_BOT_TOKEN or in the \
                configuration. `gateway status`, `gateway health` and `gateway logs` are the \
                commands of those names.",
        flags: &[
            flag("port", "N", "listen on this control port, whatever is configured"),
            switch("verbose", Some('v'), "the same as --log-level debug"),
        ],
    },
    Command {
        name: "status",
        word: "",
        summary: "show what the running gateway does",
        about: "Asks the gateway on this host by its control port, with the token that it keeps \
                in its state directory.",
        flags: &[PORT, TIMEOUT],
    },
    Command {
        name: "health",
        word: "",
        summary: "show how healthy each channel is, by its last proof of life",
        about: "Succeeds whenever the gateway answers: an outage of a chat service is no fault of \
                the gateway's. How well things are is in the answer's words.",
        flags: &[PORT, TIMEOUT],
    },
    Command {
        name: "logs",
        word: "",
        summary: "show the gateway's latest log lines",
        about: "They come from a ring in the gateway's memory. With --json each line is an object \
                with seq, at, level, target and text.",
        flags: &[
            switch("follow", Some('f'), "go on with new lines as they come"),
            valued("limit", Some('n'), "N", "how many of the latest lines (200)"),
            flag("level", "LEVEL", "only lines as grave as error, warn, info, debug or trace"),
            switch("plain", None, "the same as --no-color"),
            PORT,
            TIMEOUT,
        ],
    },
    Command {
        name: "demo",
        word: "",
        summary: "try everything against an embedded Discord, with faults to inject",
        about: "Needs no account, no network and no configuration. Keys inject faults; each is \
                healed before your eyes, with the time it took.",
        flags: &[],
    },
    Command {
        name: "drill",
        word: "[NAME]",
        summary: "inject one fault, or each in turn, and time the recovery",
        about: "Runs against the embedded Discord. Fails if a recovery took longer than promised.",
        flags: &[switch("list", None, "name the drills")],
    },
    Command {
        name: "sandbox",
        word: "",
        summary: "run the embedded Discord alone, for tests of any client",
        about: "Prints DISCORD_API_URL for the client. Faults are named on standard input, or \
                posted over HTTP to /_sandbox/fault.",
        flags: &[
            flag("port", "N", "the REST port (0: any that is free)"),
            flag("gateway-port", "N", "the gateway's port (0: any that is free)"),
            flag("host", "NAME", "the host that its URLs name (127.0.0.1, where it listens)"),
            flag("heartbeat", "MS", "the heartbeat interval that HELLO names (41250)"),
            flag("cert", "FILE", "serve TLS with this certificate chain (PEM)"),
            flag("key", "FILE", "and this private key (PEM)"),
        ],
    },
    Command {
        name: "invite-url",
        word: "",
        summary: "print the link that invites the bot into a server",
        about: "The application's id is asked of Discord with the bot's token, unless it is given.",
        flags: &[
            flag("permissions", "N", "permission bits instead of the recommended ones"),
            flag("application", "ID", "the application's id"),
        ],
    },
    Command {
        name: "help",
        word: "[TOPIC]",
        summary: "explain a command, or: config, environment, exit-codes",
        about: "`help config` lists every configuration key.",
        flags: &[],
    },
];

/// Commands that OpenClaw has below `gateway` too.
const BELOW_GATEWAY: [&str; 3] = ["status", "health", "logs"];

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

/// The command named `name`.
pub(crate) fn command(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// The flags that may be written after `command`, or before any.
fn flags_of(command: Option<&Command>) -> impl Iterator<Item = &'static Flag> + Clone {
    command.map_or(&[][..], |command| command.flags).iter().chain(GLOBAL)
}

/// A command line, taken apart by the table.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    /// The command, if there was one.
    pub(crate) command: Option<&'static Command>,
    /// The word after it.
    pub(crate) word: Option<String>,
    flags: Vec<(&'static str, OsString)>,
}

/// Takes a command line apart.
///
/// # Errors
/// What the table does not know, with a guess at what was meant.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Parsed, Failure> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let mut parsed = Parsed::default();
    while let Some(argument) = parser.next().map_err(|error| usage(error.to_string(), ""))? {
        let flag = match argument {
            Arg::Value(word) => {
                take_word(&mut parsed, &word.to_string_lossy())?;
                continue;
            }
            Arg::Long(long) => {
                let found = flags_of(parsed.command).find(|flag| flag.long == long);
                found.ok_or_else(|| stranger(&parsed, &format!("--{long}")))?
            }
            Arg::Short(short) => {
                let found = flags_of(parsed.command).find(|flag| flag.short == Some(short));
                found.ok_or_else(|| stranger(&parsed, &format!("-{short}")))?
            }
        };
        let missing = |_| usage(format!("--{} needs a value: {}", flag.long, flag.value), "");
        let takes_value = !flag.value.is_empty();
        let value = if takes_value { parser.value().map_err(missing)? } else { OsString::new() };
        parsed.flags.push((flag.long, value));
    }
    Ok(parsed)
}

fn take_word(parsed: &mut Parsed, word: &str) -> Result<(), Failure> {
    let Some(current) = parsed.command else {
        let names = || COMMANDS.iter().map(|command| command.name);
        let stranger = || usage(format!("there is no command \"{word}\""), &guess(word, names()));
        parsed.command = Some(command(word).ok_or_else(stranger)?);
        return Ok(());
    };
    if current.word.is_empty() || parsed.word.is_some() {
        return Err(usage(format!("\"{word}\" is one word too many"), &see(current)));
    }
    if current.name != "gateway" || word == "run" {
        parsed.word = Some(word.to_owned());
        return Ok(());
    }
    if !BELOW_GATEWAY.contains(&word) {
        let cure = guess(word, BELOW_GATEWAY.into_iter().chain(["run"]));
        return Err(usage(format!("there is no command \"gateway {word}\""), &cure));
    }
    parsed.command = command(word);
    Ok(())
}

fn stranger(parsed: &Parsed, written: &str) -> Failure {
    let known = flags_of(parsed.command).map(|flag| flag.long);
    let cure = match (spell::nearest(written, known), parsed.command) {
        (Some(long), _) => format!("did you mean --{long}?"),
        (None, Some(command)) => see(command),
        (None, None) => "a command's flags follow the command".to_owned(),
    };
    usage(format!("there is no flag {written} here"), &cure)
}

fn guess<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let meant = spell::nearest(word, names);
    meant.map_or_else(|| "see `barnacle help`".into(), |name| format!("did you mean {name}?"))
}

fn see(command: &Command) -> String {
    format!("see `barnacle help {}`", command.name)
}

fn usage(text: impl Into<String>, cure: &str) -> Failure {
    Failure::new(Exit::Usage, text, cure)
}

impl Parsed {
    /// Whether the flag `long` was given.
    pub(crate) fn has(&self, long: &str) -> bool {
        self.value(long).is_some()
    }

    /// The value of `long` as a path.
    pub(crate) fn path(&self, long: &str) -> Option<PathBuf> {
        self.value(long).map(PathBuf::from)
    }

    /// The value of `long` as text.
    pub(crate) fn text(&self, long: &str) -> Option<String> {
        self.value(long).map(|value| value.to_string_lossy().into_owned())
    }

    /// The value of `long` as a number.
    ///
    /// # Errors
    /// It is not one, or does not fit.
    pub(crate) fn number<N: std::str::FromStr>(&self, long: &str) -> Result<Option<N>, Failure> {
        let Some(text) = self.text(long) else { return Ok(None) };
        let fault = |_| usage(format!("--{long} needs a number that fits, not \"{text}\""), "");
        text.parse().map(Some).map_err(fault)
    }

    /// The last one counts, so that a shell's alias can be overridden.
    fn value(&self, long: &str) -> Option<&OsString> {
        self.flags.iter().rev().find(|(name, _)| *name == long).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Parsed, Failure> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn refused(line: &str) -> String {
        let failure = parsed(line).expect_err(line);
        assert_eq!(failure.exit, Exit::Usage);
        failure.to_string()
    }

    #[test]
    fn names_are_unique_and_in_kebab_case() {
        let is_kebab = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        for (at, command) in COMMANDS.iter().enumerate() {
            assert!(is_kebab(command.name) && !command.about.is_empty());
            assert!(COMMANDS[..at].iter().all(|other| other.name != command.name));
            let flags: Vec<&Flag> = flags_of(Some(command)).collect();
            for (at, flag) in flags.iter().enumerate() {
                assert!(is_kebab(flag.long) && !flag.summary.is_empty(), "{}", flag.long);
                let same = |other: &&Flag| {
                    other.long == flag.long || other.short.is_some() && other.short == flag.short
                };
                assert!(!flags[..at].iter().any(same), "{} --{}", command.name, flag.long);
            }
        }
    }

    #[test]
    fn flags_stand_before_and_after_their_command() {
        let parsed = parsed("--json logs -fn 5 --level=warn --config /c -n6").expect("fine");
        assert_eq!(parsed.command.map(|command| command.name), Some("logs"));
        assert!(parsed.has("json") && parsed.has("follow") && !parsed.has("plain"));
        assert_eq!(parsed.number::<usize>("limit"), Ok(Some(6)));
        assert_eq!(parsed.text("level").as_deref(), Some("warn"));
        assert_eq!(parsed.path("config"), Some(PathBuf::from("/c")));
    }

    #[test]
    fn openclaws_verbs_below_gateway_work() {
        for (line, name) in
            [("gateway", "gateway"), ("gateway run", "gateway"), ("gateway logs -f", "logs")]
        {
            let parsed = parsed(line).expect(line);
            assert_eq!(parsed.command.map(|command| command.name), Some(name));
        }
        assert!(refused("gateway stats").contains("did you mean status?"));
    }

    #[test]
    fn typos_are_answered_with_what_was_meant() {
        assert!(refused("gatway").contains("did you mean gateway?"));
        assert!(refused("logs --folow").contains("did you mean --follow?"));
        assert!(refused("status --follow").contains("barnacle help status"));
        assert!(refused("xyzzy").contains("barnacle help"));
        assert!(refused("--port 5 gateway").contains("follow the command"));
        assert!(refused("gateway --port").contains("needs a value: N"));
        assert!(refused("status extra").contains("one word too many"));
        assert!(refused("gateway --verbose=yes").contains("unexpected"));
    }

    #[test]
    fn numbers_must_fit() {
        let parsed = parsed("gateway --port 70000").expect("taken apart");
        assert!(parsed.number::<u16>("port").is_err());
        assert_eq!(parsed.number::<u32>("port"), Ok(Some(70_000)));
    }
}
