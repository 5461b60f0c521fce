//! What is rendered from the table for other programs: the manual page for `man`, and completions
//! for shells.

use std::fmt::Write as _;

use super::parse::{choices_of, second_words};
use super::table::{Command, Flag, GLOBAL, GROUPS, commands};
use super::{Call, appliance, help};
use crate::app::appliance::explained;
use crate::ops::config::VARIABLES;
use crate::ops::exit::{EXITS, Failure};

/// `barnacle help`.
pub(crate) fn help(call: &mut Call<'_>) -> Result<(), Failure> {
    let topic = Some(call.parsed.words.join(" ")).filter(|topic| !topic.is_empty());
    let text = help::render(topic.as_deref())?;
    call.out.line(text.trim_end())
}

/// `barnacle man`.
pub(crate) fn man(call: &mut Call<'_>) -> Result<(), Failure> {
    call.out.line(roff().trim_end())
}

/// `barnacle completion`.
pub(crate) fn completion(call: &mut Call<'_>) -> Result<(), Failure> {
    let shell = call.parsed.text("shell");
    let text = match call.parsed.word(0).or(shell.as_deref()) {
        Some("zsh") => zsh(),
        Some("fish") => fish(),
        _ => bash(),
    };
    call.out.line(text.trim_end())
}

// ---- The manual page ---------------------------------------------------------------------------

/// The page barnacle(1), in the `man` macros.
fn roff() -> String {
    let mut out = String::new();
    let version = env!("CARGO_PKG_VERSION");
    let _ = writeln!(out, ".TH BARNACLE 1 \"\" \"barnacle {version}\" \"User Commands\"");
    out.push_str(".SH NAME\nbarnacle \\- keep an AI agent reachable on chat, day and night\n");
    out.push_str(".SH SYNOPSIS\n.B barnacle\n.I COMMAND\n.RI [ FLAGS ]\n.SH COMMANDS\n");
    for command in commands() {
        let _ = writeln!(out, ".SS \"{}\"", escape(&help::usage(command)));
        sentence(&mut out, command.summary);
        line(&mut out, command.about);
        if !command.also.is_empty() {
            let _ = writeln!(out, "(The same: {}.)", escape(&command.also.join(", ")));
        }
        flags(&mut out, command.own_flags());
    }
    out.push_str(".SH OPTIONS\nThese may follow every command.\n");
    flags(&mut out, GLOBAL.iter());
    out.push_str(".SH ENVIRONMENT\n");
    for (name, doc) in VARIABLES {
        let _ = writeln!(out, ".TP\n.B {}", escape(name));
        line(&mut out, doc);
    }
    out.push_str(".SH SD CARD IMAGE\n");
    for (title, text) in appliance::MANUAL {
        let _ = writeln!(out, ".SS \"{title}\"");
        line(&mut out, text);
    }
    for (key, about) in explained() {
        let _ = writeln!(out, ".TP\n.B {}", escape(key));
        line(&mut out, &about.replace('\n', " "));
    }
    out.push_str(".SH EXIT STATUS\nThe numbers are those of sysexits.h.\n");
    for (exit, doc) in EXITS {
        let _ = writeln!(out, ".TP\n.B {}", exit.code());
        line(&mut out, doc);
    }
    out.push_str(
        ".SH FILES\n.TP\n.I ~/.config/barnacle/barnacle.json5\n.TQ\n\
         .I /etc/barnacle/barnacle.json5\nThe configuration.\n\
         .TP\n.I /etc/default/barnacle\nVariables of the system's service, NAME=VALUE.\n\
         .TP\n.I /etc/credstore/discord-bot-token\nThe bot's token, for that service.\n\
         .TP\n.I /var/lib/barnacle\nWhat that service keeps.\n\
         .SH SEE ALSO\n.B barnacle help config\nlists every configuration key.\n",
    );
    out
}

fn flags<'a>(out: &mut String, flags: impl Iterator<Item = &'a Flag>) {
    for flag in flags {
        let _ = writeln!(out, ".TP\n.B {}", escape(help::spelling(flag).trim_start()));
        line(out, flag.summary);
    }
}

/// A summary as a sentence.
fn sentence(out: &mut String, summary: &str) {
    let mut chars = summary.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    line(out, &format!("{first}{}.", chars.as_str()));
}

fn line(out: &mut String, text: &str) {
    if !text.is_empty() {
        let _ = writeln!(out, "{}", escape(text));
    }
}

/// What roff would take for its own: backslashes, hyphens that are to be copied, and a dot or a
/// quote at the beginning of a line.
fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('"', "\\(dq");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

// ---- Completions -------------------------------------------------------------------------------

/// The names that a shell completes at first: commands of one word, and groups.
fn beginnings() -> Vec<(&'static str, &'static str)> {
    let single = commands().flat_map(|command| {
        let names = command.names().filter(|name| !name.contains(' '));
        names.map(|name| (name, command.summary))
    });
    let mut all: Vec<_> = single.collect();
    let groups = GROUPS.iter().filter(|(name, _)| commands().all(|c| c.name != *name));
    all.extend(groups.copied());
    all
}

/// The words that may follow a command, if they are a choice.
fn word_choices(command: &Command) -> Vec<&'static str> {
    command.words.split_whitespace().filter_map(choices_of).flatten().collect()
}

fn bash() -> String {
    let mut out = String::from(
        "# bash completion of barnacle, rendered from its table of commands.\n\
         _barnacle() {\n\
         \x20   local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n\
         \x20   local name=\"\" word all=\"\"\n\
         \x20   for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n\
         \x20       case $word in -*) ;; *) name=\"${name:+$name }$word\" ;; esac\n\
         \x20   done\n\
         \x20   case $prev in\n",
    );
    let mut seen: Vec<&str> = Vec::new();
    for flag in commands().flat_map(Command::all_flags).filter(|f| !f.value.is_empty()) {
        if seen.contains(&flag.long) {
            continue;
        }
        seen.push(flag.long);
        let answer = match choices_of(flag.value) {
            Some(choices) => {
                format!("-W \"{}\"", choices.collect::<Vec<_>>().join(" "))
            }
            None if flag.value == "FILE" => "-f".to_owned(),
            None => continue,
        };
        let _ = writeln!(
            out,
            "        --{}) COMPREPLY=($(compgen {answer} -- \"$cur\")); return ;;",
            flag.long
        );
    }
    out.push_str("    esac\n    case $name in\n");
    // Longer names first: a `case` takes the first pattern that fits.
    let mut named: Vec<(&str, &Command)> =
        commands().flat_map(|c| c.names().map(move |name| (name, c))).collect();
    named.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    for (name, command) in named {
        let mut words: Vec<String> =
            command.all_flags().map(|flag| format!("--{}", flag.long)).collect();
        words.extend(word_choices(command).into_iter().map(str::to_owned));
        words.extend(second_words(name).map(str::to_owned));
        let _ = writeln!(out, "        \"{name}\"*) all=\"{}\" ;;", words.join(" "));
    }
    for (group, _) in GROUPS.iter().filter(|(group, _)| commands().all(|c| c.name != *group)) {
        let words: Vec<&str> = second_words(group).collect();
        let _ = writeln!(out, "        \"{group}\"*) all=\"{}\" ;;", words.join(" "));
    }
    let first: Vec<&str> = beginnings().into_iter().map(|(name, _)| name).collect();
    let _ = writeln!(out, "        *) all=\"{}\" ;;", first.join(" "));
    out.push_str(
        "    esac\n    COMPREPLY=($(compgen -W \"$all\" -- \"$cur\"))\n}\n\
         complete -o default -F _barnacle barnacle\n",
    );
    out
}

fn zsh() -> String {
    let mut out = String::from(
        "#compdef barnacle\n# zsh completion of barnacle, rendered from its table of commands.\n\
         _barnacle() {\n    local -a words_ flags_\n    local name\n\
         \x20   name=\"${(j: :)${(@)words[2,CURRENT-1]:#-*}}\"\n    case $name in\n",
    );
    let quote = |text: &str| text.replace('\'', "'\\''").replace(':', "\\:");
    let mut named: Vec<(&str, &Command)> =
        commands().flat_map(|c| c.names().map(move |name| (name, c))).collect();
    named.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    for (name, command) in named {
        let _ = writeln!(out, "        \"{name}\"*)");
        for flag in command.all_flags() {
            let _ =
                writeln!(out, "            flags_+=('--{}:{}')", flag.long, quote(flag.summary));
        }
        for word in word_choices(command).into_iter().chain(second_words(name)) {
            let _ = writeln!(out, "            words_+=('{word}')");
        }
        out.push_str("            ;;\n");
    }
    for (group, _) in GROUPS.iter().filter(|(group, _)| commands().all(|c| c.name != *group)) {
        let words: Vec<String> = second_words(group).map(|word| format!("'{word}'")).collect();
        let _ = writeln!(out, "        \"{group}\"*) words_+=({}) ;;", words.join(" "));
    }
    out.push_str("        *)\n");
    for (name, summary) in beginnings() {
        let _ = writeln!(out, "            words_+=('{name}:{}')", quote(summary));
    }
    out.push_str(
        "            ;;\n    esac\n    if [[ $PREFIX == -* ]]; then\n\
         \x20       _describe -o 'flag' flags_\n    else\n\
         \x20       (( $#words_ )) && _describe 'command' words_ || _files\n    fi\n}\n\
         compdef _barnacle barnacle\n",
    );
    out
}

fn fish() -> String {
    let mut out = String::from(
        "# fish completion of barnacle, rendered from its table of commands.\n\
         complete -c barnacle -f\n",
    );
    let quote = |text: &str| text.replace('\\', "\\\\").replace('\'', "\\'");
    for (name, summary) in beginnings() {
        let summary = quote(summary);
        let _ =
            writeln!(out, "complete -c barnacle -n __fish_use_subcommand -a {name} -d '{summary}'");
    }
    for command in commands() {
        for name in command.names() {
            // Every word of the name has been typed.
            let tests: Vec<String> =
                name.split(' ').map(|word| format!("__fish_seen_subcommand_from {word}")).collect();
            let on = format!("complete -c barnacle -n '{}'", tests.join("; and "));
            if let Some((group, word)) = name.split_once(' ') {
                let summary = quote(command.summary);
                let on_group = format!("__fish_seen_subcommand_from {group}");
                let _ =
                    writeln!(out, "complete -c barnacle -n '{on_group}' -a {word} -d '{summary}'");
            }
            for word in word_choices(command) {
                let _ = writeln!(out, "{on} -a {word}");
            }
            if command.words.contains("FILE") {
                let _ = writeln!(out, "{on} -F");
            }
            for flag in command.all_flags() {
                let short = flag.short.map_or_else(String::new, |short| format!(" -s {short}"));
                let value = match (flag.value, choices_of(flag.value)) {
                    ("", _) => String::new(),
                    ("FILE", _) => " -r -F".to_owned(),
                    (_, Some(choices)) => {
                        format!(" -x -a '{}'", choices.collect::<Vec<_>>().join(" "))
                    }
                    _ => " -x".to_owned(),
                };
                let summary = quote(flag.summary);
                let _ = writeln!(out, "{on} -l {}{short}{value} -d '{summary}'", flag.long);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command as Process, Stdio};

    use super::*;

    /// What `program` says to `input`; nothing if it is not installed.
    fn told(program: &str, arguments: &[&str], input: &str) -> Option<(bool, String)> {
        let mut child = Process::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .ok()?;
        child.stdin.take()?.write_all(input.as_bytes()).ok()?;
        let output = child.wait_with_output().ok()?;
        let said = [output.stdout, output.stderr].concat();
        Some((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
    }

    #[test]
    fn completions_hold_every_command_and_flag() {
        for text in [bash(), zsh(), fish()] {
            for command in commands() {
                for word in command.names().flat_map(|name| name.split(' ')) {
                    assert!(text.contains(word), "{word}");
                }
                for flag in command.all_flags() {
                    let forms = [format!("--{}", flag.long), format!("-l {}", flag.long)];
                    assert!(forms.iter().any(|form| text.contains(form)), "{}", flag.long);
                }
            }
        }
    }

    #[test]
    fn bash_completes_commands_members_choices_and_flags() {
        for (line, expected) in [
            ("barnacle chan", "channels"),
            ("barnacle channels rest", "restart"),
            ("barnacle channels restart --acc", "--account"),
            ("barnacle gateway re", "restart"),
            ("barnacle gateway restart --fr", "--fresh"),
            ("barnacle completion f", "fish"),
            ("barnacle config init --template m", "multi"),
            ("barnacle --json logs --fol", "--follow"),
        ] {
            let script = format!(
                "{}\nread -ra COMP_WORDS <<< '{line}'; COMP_CWORD=$((${{#COMP_WORDS[@]}}-1))\n\
                 _barnacle; echo \"${{COMPREPLY[@]}}\"",
                bash()
            );
            let Some((_, said)) = told("bash", &[], &script) else { return };
            assert_eq!(said.trim(), expected, "{line}");
        }
    }

    #[test]
    fn shells_can_read_their_completions() {
        for (shell, text) in [("bash", bash()), ("zsh", zsh()), ("fish", fish())] {
            if let Some((fine, said)) = told(shell, &["-n"], &text) {
                assert!(fine, "{shell}: {said}");
            }
        }
    }

    #[test]
    fn the_manual_page_holds_every_command_and_flag() {
        let page = roff();
        for command in commands() {
            assert!(page.contains(&format!(".SS \"{}", escape(command.name))), "{}", command.name);
            for flag in command.all_flags() {
                assert!(page.contains(&escape(&format!("--{}", flag.long))), "--{}", flag.long);
            }
        }
        assert!(VARIABLES.iter().all(|(name, _)| page.contains(&escape(name))));
    }

    #[test]
    fn roff_takes_nothing_of_the_text_for_its_own() {
        let macros = [".TH ", ".SH ", ".SS ", ".TP", ".TQ", ".B ", ".I ", ".RI "];
        for line in roff().lines() {
            let is_macro = macros.iter().any(|known| line.starts_with(known));
            assert!(is_macro || !line.starts_with(['.', '\'']), "{line}");
        }
        assert_eq!(escape(".x-\\\""), "\\&.x\\-\\e\\(dq");
        if let Some((fine, said)) = told("groff", &["-man", "-Tutf8", "-ww", "-z"], &roff()) {
            assert!(fine && said.is_empty(), "{said}");
        }
    }
}
