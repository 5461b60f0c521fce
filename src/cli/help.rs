//! Help, rendered from the tables: commands and flags, configuration keys, variables, exit codes.

use std::fmt::Write as _;

use super::appliance::MANUAL;
use super::parse::second_words;
use super::table::{Command, Flag, GLOBAL, GROUPS, command, commands, is_group, members};
use crate::app::appliance::explained;
use crate::base::spell;
use crate::ops::config::{KEYS, Stand, VARIABLES};
use crate::ops::exit::{EXITS, Exit, Failure};

/// Columns that a line of help may fill.
const COLUMNS: usize = 96;

/// The topics besides commands.
const TOPICS: [(&str, Render); 4] =
    [("config", keys), ("environment", variables), ("exit-codes", exits), ("appliance", appliance)];
type Render = fn() -> String;

/// What `barnacle help TOPIC` prints; without a topic, the overview.
///
/// # Errors
/// There is no such topic.
pub(crate) fn render(topic: Option<&str>) -> Result<String, Failure> {
    let Some(topic) = topic else { return Ok(overview()) };
    let more = TOPICS.iter().find(|(name, _)| *name == topic);
    if is_group(topic) {
        let mut out = command(topic).map_or_else(String::new, |command| of_command(command) + "\n");
        out.push_str(&of_group(topic));
        // A topic may have a group's name: both are told.
        out.extend(more.map(|(_, render)| format!("\n{}", render())));
        return Ok(out);
    }
    if let Some(command) = command(topic) {
        return Ok(of_command(command));
    }
    if let Some((_, render)) = more {
        return Ok(render());
    }
    let meant = spell::nearest(topic, topics());
    let cure = meant.map_or_else(|| "see `barnacle help`".into(), |n| format!("did you mean {n}?"));
    Err(Failure::new(Exit::Usage, format!("there is no help on \"{topic}\""), cure))
}

fn topics() -> impl Iterator<Item = &'static str> {
    let groups = GROUPS.iter().map(|(name, _)| *name);
    let names = commands().flat_map(Command::names);
    names.chain(groups).chain(TOPICS.map(|(name, _)| name))
}

/// What there is, in the order of the table, a line or two for each.
fn overview() -> String {
    let mut out = String::from(
        "barnacle keeps an AI agent reachable on Discord, day and night.\n\n\
         Usage: barnacle COMMAND [FLAGS]          More: barnacle help COMMAND\n\n",
    );
    let mut lines: Vec<(String, String)> = Vec::new();
    for command in commands() {
        let first = command.name.split(' ').next().unwrap_or(command.name);
        if lines.iter().any(|(name, _)| name == first) {
            continue;
        }
        let group = GROUPS.iter().find(|(group, _)| *group == first);
        let about = group.map_or(command.summary, |(_, about)| *about);
        let members: Vec<&str> = second_words(first).filter(|word| *word != "run").collect();
        let more =
            if members.is_empty() { String::new() } else { format!(": {}", members.join(" ")) };
        lines.push((first.to_owned(), format!("{about}{more}")));
    }
    columns(&mut out, lines.iter().map(|(name, about)| (name.clone(), about.as_str())));
    let flags: Vec<String> =
        GLOBAL.iter().map(|flag| spelling(flag).trim_start().to_owned()).collect();
    out.push_str("\nFlags of every command:\n");
    paragraph(&mut out, "  ", &flags.join(" | "));
    let topics: Vec<&str> = TOPICS.iter().map(|(name, _)| *name).collect();
    let _ = writeln!(out, "\nTopics of help: {}. Try it: barnacle demo", topics.join(", "));
    out
}

fn of_group(name: &str) -> String {
    let about = GROUPS.iter().find(|(group, _)| *group == name).map_or("", |(_, about)| *about);
    let mut out = format!("barnacle {name} ...: {about}\n\nCommands:\n");
    columns(&mut out, members(name).map(|command| (usage(command), command.summary)));
    out
}

fn of_command(command: &Command) -> String {
    let mut out = String::new();
    paragraph(&mut out, "", &format!("barnacle {}: {}", usage(command), command.summary));
    if !command.about.is_empty() {
        out.push('\n');
        paragraph(&mut out, "", command.about);
    }
    if !command.also.is_empty() {
        out.push('\n');
        paragraph(&mut out, "", &format!("The same: {}", command.also.join(", ")));
    }
    if command.own_flags().next().is_some() {
        out.push_str("\nFlags:\n");
        columns(&mut out, command.own_flags().map(|flag| (spelling(flag), flag.summary)));
    }
    out.push_str("\nFlags of every command:\n");
    columns(&mut out, GLOBAL.iter().map(|flag| (spelling(flag), flag.summary)));
    out
}

fn keys() -> String {
    let mut out = String::new();
    paragraph(
        &mut out,
        "",
        "The configuration is a JSON5 file: --config, else BARNACLE_CONFIG, else \
         ~/.config/barnacle/barnacle.json5, else /etc/barnacle/barnacle.json5, else OpenClaw's \
         own. ${NAME} in a text is replaced from the environment. Only broken syntax is an error.",
    );
    for key in KEYS.iter().filter(|key| key.stand == Stand::Works) {
        let _ = writeln!(out, "\n{}", key.path);
        let default = match key.default {
            "" => String::new(),
            default => format!("; default: {default}"),
        };
        let text = format!("{} ({}{default})", key.doc, key.kind);
        paragraph(&mut out, "    ", &text);
    }
    let others =
        [("Accepted, not yet applied", Stand::Later), ("Accepted, not needed", Stand::Moot)];
    for (title, stand) in others {
        let of_stand = KEYS.iter().filter(|key| key.stand == stand);
        let names: Vec<&str> = of_stand.map(|key| key.path).collect();
        let _ = writeln!(out, "\n{title}:");
        paragraph(&mut out, "    ", &names.join(", "));
    }
    out
}

fn variables() -> String {
    let mut out = String::from("Environment variables:\n");
    columns(&mut out, VARIABLES.iter().map(|&(name, doc)| (name.to_owned(), doc)));
    out
}

fn appliance() -> String {
    let mut out = String::new();
    for (title, text) in MANUAL {
        let _ = writeln!(out, "{title}:");
        paragraph(&mut out, "    ", text);
    }
    out.push_str("Settings in barnacle.txt (`barnacle appliance template` prints one):\n");
    columns(&mut out, explained().map(|(key, about)| (key.to_owned(), about)));
    out
}

fn exits() -> String {
    let mut out = String::from("Exit codes:\n");
    columns(&mut out, EXITS.iter().map(|&(exit, doc)| (exit.code().to_string(), doc)));
    out
}

/// The command as it is typed.
pub(super) fn usage(command: &Command) -> String {
    format!("{} {}", command.name, command.words).trim_end().to_owned()
}

/// The flag as it is typed.
pub(super) fn spelling(flag: &Flag) -> String {
    let short = flag.short.map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
    format!("{short}--{} {}", flag.long, flag.value).trim_end().to_owned()
}

/// Two columns; the right one is wrapped.
fn columns<'a>(out: &mut String, lines: impl Iterator<Item = (String, &'a str)>) {
    let lines: Vec<(String, &str)> = lines.collect();
    let width = lines.iter().map(|(left, _)| left.chars().count()).max().unwrap_or(0);
    for (left, right) in lines {
        let mut text = String::new();
        paragraph(&mut text, &" ".repeat(width + 4), right);
        let _ = writeln!(out, "  {left:width$}  {}", text.trim());
    }
}

/// `text` with line breaks between words.
fn paragraph(out: &mut String, indent: &str, text: &str) {
    let mut line = String::new();
    for word in text.split_whitespace() {
        let width = indent.len() + line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && width > COLUMNS {
            let _ = writeln!(out, "{indent}{line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(out, "{indent}{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_topic_has_help_that_fits() {
        for topic in topics().map(Some).chain([None]) {
            let text = render(topic).expect("help");
            assert!(text.lines().count() > 3, "{topic:?}");
            for line in text.lines() {
                assert!(line.chars().count() <= 100, "{line}");
                assert_eq!(line, line.trim_end());
            }
        }
    }

    #[test]
    fn help_names_what_the_tables_hold() {
        let overview = render(None).expect("help");
        for command in commands() {
            assert!(
                command.names().any(|name| {
                    name.split(' ')
                        .all(|word| overview.split([' ', '\n']).any(|known| known == word))
                }),
                "{}",
                command.name
            );
            let help = render(Some(command.name)).expect("help");
            for flag in command.all_flags() {
                assert!(
                    help.contains(&format!("--{}", flag.long)),
                    "{} {}",
                    command.name,
                    flag.long
                );
            }
        }
        assert!(overview.lines().count() <= 60, "it fits a screen:\n{overview}");
        let config = render(Some("config")).expect("help");
        assert!(KEYS.iter().all(|key| config.contains(key.path)));
        assert!(render(Some("exit-codes")).expect("help").contains("  78  no usable"));
        assert!(render(Some("logs")).expect("help").contains("-f, --follow"));
        assert!(render(Some("channels")).expect("help").contains("channels restart [CHANNEL]"));
        assert!(render(Some("gateway")).expect("help").contains("gateway stop"));
    }

    #[test]
    fn a_topic_that_does_not_exist_is_guessed_at() {
        let failure = render(Some("gatway")).expect_err("no topic");
        assert!(failure.to_string().contains("did you mean gateway?"));
    }
}
