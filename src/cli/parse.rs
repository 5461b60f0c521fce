//! A command line, taken apart by the table.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::Arg;

use super::table::{Command, Flag, GLOBAL, GROUPS, command, commands, members};
use crate::base::spell;
use crate::ops::exit::{Exit, Failure};

/// What was typed.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    /// The command, if there was one.
    pub(crate) command: Option<&'static Command>,
    /// The group that was named, if the command is of one or still missing.
    pub(crate) group: Option<&'static str>,
    /// The words after it.
    pub(crate) words: Vec<String>,
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
                parsed.take_word(&word.to_string_lossy())?;
                continue;
            }
            Arg::Long(long) => {
                let found = parsed.known().find(|flag| flag.long == long);
                found.ok_or_else(|| parsed.stranger(&format!("--{long}")))?
            }
            Arg::Short(short) => {
                let found = parsed.known().find(|flag| flag.short == Some(short));
                found.ok_or_else(|| parsed.stranger(&format!("-{short}")))?
            }
        };
        let missing = |_| usage(format!("--{} needs a value: {}", flag.long, flag.value), "");
        let takes_value = !flag.value.is_empty();
        let value = if takes_value { parser.value().map_err(missing)? } else { OsString::new() };
        parsed.flags.push((flag.long, value));
    }
    parsed.check()?;
    Ok(parsed)
}

/// A failure of the command line.
pub(crate) fn usage(text: impl Into<String>, cure: &str) -> Failure {
    Failure::new(Exit::Usage, text, cure)
}

fn guess<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let meant = spell::nearest(word, names);
    meant.map_or_else(|| "see `barnacle help`".into(), |name| format!("did you mean {name}?"))
}

/// The first words of all names, and the groups'.
fn first_words() -> impl Iterator<Item = &'static str> {
    let names = commands().flat_map(Command::names).filter(|name| !name.contains(' '));
    names.chain(GROUPS.iter().map(|(name, _)| *name))
}

/// The second words of a group's names.
pub(crate) fn second_words(group: &str) -> impl Iterator<Item = &'static str> {
    let below = move |name: &'static str| name.strip_prefix(group)?.strip_prefix(' ');
    commands().flat_map(Command::names).filter_map(below)
}

impl Parsed {
    /// The flags that may be written at this place. Between a group's word and its member's any
    /// member's may; whether they fit is seen at the end.
    fn known(&self) -> impl Iterator<Item = &'static Flag> {
        let of_group = self.group.into_iter().flat_map(members).flat_map(Command::own_flags);
        let of_command = self.command.into_iter().flat_map(Command::own_flags);
        of_command.chain(of_group).chain(GLOBAL)
    }

    fn take_word(&mut self, word: &str) -> Result<(), Failure> {
        if self.command.is_none() && self.group.is_none() {
            self.group = GROUPS.iter().map(|(name, _)| *name).find(|name| *name == word);
            self.command = command(word);
            if self.command.is_none() && self.group.is_none() {
                let cure = guess(word, first_words());
                return Err(usage(format!("there is no command \"{word}\""), &cure));
            }
            return Ok(());
        }
        if let Some(group) = self.group.filter(|_| self.words.is_empty()) {
            let is_complete = self.command.is_some_and(|command| command.name != group);
            if !is_complete {
                let full = format!("{group} {word}");
                let stranger = || {
                    let cure = guess(word, second_words(group));
                    usage(format!("there is no command \"{full}\""), &cure)
                };
                self.command = Some(command(&full).ok_or_else(stranger)?);
                // `gateway run` is complete, though its first name is the group's.
                self.group = self.group.filter(|_| self.command.is_none_or(|c| c.name != group));
                return Ok(());
            }
        }
        let most = self.command.map_or(0, |command| command.words_span().1);
        if self.words.len() >= most {
            let cure = self.command.map_or_else(String::new, see);
            return Err(usage(format!("\"{word}\" is one word too many"), &cure));
        }
        self.words.push(word.to_owned());
        Ok(())
    }

    /// What can only be seen once all is read.
    fn check(&self) -> Result<(), Failure> {
        if self.has("help") || self.has("version") {
            return Ok(());
        }
        let Some(command) = self.command else {
            let Some(group) = self.group else { return Ok(()) };
            let verbs: Vec<&str> = second_words(group).collect();
            let text = format!("`{group}` needs another word: {}", verbs.join(", "));
            return Err(usage(text, &format!("see `barnacle help {group}`")));
        };
        if let Some((long, _)) = self.flags.iter().find(|(long, _)| !has_flag(command, long)) {
            return Err(self.stranger(&format!("--{long}")));
        }
        if self.words.len() < command.words_span().0 {
            let text = format!("`{}` needs more words: {}", command.name, command.words);
            return Err(usage(text, &see(command)));
        }
        self.check_choices(command)
    }

    fn check_choices(&self, command: &Command) -> Result<(), Failure> {
        let given = command.all_flags().filter(|flag| flag.value.contains('|'));
        let given = given.filter_map(|flag| Some((flag.value, self.text(flag.long)?)));
        let words = command.words.split_whitespace().zip(self.words.iter().cloned());
        for (choices, word) in given.chain(words) {
            if let Some(choices) = choices_of(choices)
                && !choices.clone().any(|choice| choice == word)
            {
                let cure = guess(&word, choices.clone());
                let choices: Vec<&str> = choices.collect();
                let text = format!("\"{word}\" is none of {}", choices.join(", "));
                return Err(usage(text, &cure));
            }
        }
        Ok(())
    }

    fn stranger(&self, written: &str) -> Failure {
        let known = self.command.map_or_else(
            || self.known().map(|flag| flag.long).collect(),
            |command| command.all_flags().map(|flag| flag.long).collect::<Vec<_>>(),
        );
        let cure = match (spell::nearest(written, known), self.command, self.group) {
            (Some(long), ..) => format!("did you mean --{long}?"),
            (None, Some(command), _) => see(command),
            (None, None, Some(group)) => format!("see `barnacle help {group}`"),
            (None, None, None) => "a command's flags follow the command".to_owned(),
        };
        usage(format!("there is no flag {written} here"), &cure)
    }

    /// The word at `at` after the command.
    pub(crate) fn word(&self, at: usize) -> Option<&str> {
        self.words.get(at).map(String::as_str)
    }

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

    /// All values of `long`, which may be given more than once.
    pub(crate) fn texts(&self, long: &str) -> Vec<String> {
        let values = self.flags.iter().filter(|(name, _)| *name == long);
        values.map(|(_, value)| value.to_string_lossy().into_owned()).collect()
    }

    /// The value of `long` as text, which must be given.
    ///
    /// # Errors
    /// It is not.
    pub(crate) fn needed(&self, long: &str) -> Result<String, Failure> {
        let missing =
            || usage(format!("--{long} is needed"), &self.command.map_or_else(String::new, see));
        self.text(long).ok_or_else(missing)
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

    /// The value of `long` as a span of time: `500ms`, `30s`, `2m`.
    ///
    /// # Errors
    /// It is not one.
    pub(crate) fn span(&self, long: &str) -> Result<Option<Duration>, Failure> {
        let Some(text) = self.text(long) else { return Ok(None) };
        let fault =
            || usage(format!("--{long} does not take \"{text}\""), "write 500ms, 30s or 2m");
        let (number, unit) = text.split_at(text.trim_end_matches(char::is_alphabetic).len());
        let number: u32 = number.parse().map_err(|_| fault())?;
        let unit = match unit {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" | "min" => Duration::from_secs(60),
            _ => return Err(fault()),
        };
        Ok(Some(unit * number))
    }

    /// The last one counts, so that a shell's alias can be overridden.
    fn value(&self, long: &str) -> Option<&OsString> {
        self.flags.iter().rev().find(|(name, _)| *name == long).map(|(_, value)| value)
    }
}

/// The choices of `a|b`; placeholders are in capitals.
pub(crate) fn choices_of(spec: &'static str) -> Option<impl Iterator<Item = &'static str> + Clone> {
    let spec = spec.trim_matches(['[', ']']);
    let is_choice = spec.contains('|') && !spec.bytes().any(|b| b.is_ascii_uppercase());
    is_choice.then(|| spec.split('|'))
}

fn has_flag(command: &Command, long: &str) -> bool {
    command.all_flags().any(|flag| flag.long == long)
}

fn see(command: &Command) -> String {
    format!("see `barnacle help {}`", command.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Parsed, Failure> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn name(line: &str) -> &'static str {
        parsed(line).expect(line).command.expect(line).name
    }

    fn refused(line: &str) -> String {
        let failure = parsed(line).expect_err(line);
        assert_eq!(failure.exit, Exit::Usage);
        failure.to_string()
    }

    #[test]
    fn flags_stand_before_within_and_after_their_command() {
        let parsed = parsed("--json logs -fn 5 --level=warn --config /c -n6").expect("fine");
        assert_eq!(parsed.command.map(|command| command.name), Some("logs"));
        assert!(parsed.has("json") && parsed.has("follow") && !parsed.has("plain"));
        assert_eq!(parsed.number::<usize>("limit"), Ok(Some(6)));
        assert_eq!(parsed.text("level").as_deref(), Some("warn"));
        assert_eq!(parsed.path("config"), Some(PathBuf::from("/c")));
        assert_eq!(name("channels --account work restart discord"), "channels restart");
        assert_eq!(name("gateway --port 5 status"), "gateway status");
    }

    #[test]
    fn commands_have_one_word_or_two_and_other_names() {
        for (line, expected) in [
            ("gateway", "gateway"),
            ("gateway run", "gateway"),
            ("gateway logs -f", "logs"),
            ("gateway restart --wait 5s", "gateway restart"),
            ("restart", "gateway restart"),
            ("channels restart discord", "channels restart"),
            ("config validate", "config check"),
            ("completion zsh", "completion"),
        ] {
            assert_eq!(name(line), expected, "{line}");
        }
        let approve = parsed("pairing approve discord ABCD2345").expect("fine");
        assert_eq!(approve.words, ["discord", "ABCD2345"]);
        assert_eq!(parsed("help channels restart").expect("fine").words.len(), 2);
    }

    #[test]
    fn typos_are_answered_with_what_was_meant() {
        for (line, answer) in [
            ("gatway", "did you mean gateway?"),
            ("gateway stats", "did you mean status?"),
            ("chanels", "did you mean channels?"),
            ("channels restrat", "did you mean restart?"),
            ("channels", "needs another word: status, list, history"),
            ("logs --folow", "did you mean --follow?"),
            ("status --follow", "barnacle help status"),
            ("channels list --probe", "there is no flag --probe here"),
            ("gateway restart --verbose", "there is no flag --verbose here"),
            ("xyzzy", "barnacle help"),
            ("--port 5 gateway", "follow the command"),
            ("gateway --port", "needs a value: N"),
            ("status extra", "one word too many"),
            ("gateway run again", "one word too many"),
            ("gateway --verbose=yes", "unexpected"),
            ("pairing approve", "needs more words: [CHANNEL] CODE"),
            ("completion bsh", "did you mean bash?"),
            ("config init --template simple", "did you mean single?"),
        ] {
            let refusal = refused(line);
            assert!(refusal.contains(answer), "`{line}`: {refusal}");
        }
    }

    #[test]
    fn numbers_must_fit_and_spans_have_a_unit() {
        let far = parsed("gateway --port 70000").expect("taken apart");
        assert!(far.number::<u16>("port").is_err());
        assert_eq!(far.number::<u32>("port"), Ok(Some(70_000)));
        let span =
            |text: &str| parsed(&format!("restart --wait {text}")).expect("fine").span("wait");
        assert_eq!(span("30s"), Ok(Some(Duration::from_secs(30))));
        assert_eq!(span("2m"), Ok(Some(Duration::from_secs(120))));
        assert!(span("30").is_err() && span("s").is_err() && span("-1s").is_err());
    }

    #[test]
    fn whatever_is_typed_is_taken_apart_or_refused() {
        let words =
            ["gateway", "run", "channels", "--json", "--", "-", "-f", "=", "", "é", "--é=1"];
        for a in words {
            for b in words {
                for c in words {
                    let _ = parse([a, b, c].map(OsString::from));
                }
            }
        }
    }
}
