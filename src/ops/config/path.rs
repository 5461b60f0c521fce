//! Where a value stands in the tree: a path as people read and write it.
//!
//! `channels.discord.guilds.81384788765712384.users[0]`; a name that would be misread stands in
//! brackets and quotes: `agents.entries["my.agent"]`.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use crate::base::{limits, text};

/// One step down the tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Step<'a> {
    /// To the value of a key.
    Name(Cow<'a, str>),
    /// To the entry of a list, counted from 0.
    Index(usize),
}

impl<'a> Step<'a> {
    /// The step to a key.
    pub(crate) fn name(name: &'a str) -> Step<'a> {
        Step::Name(Cow::Borrowed(name))
    }

    /// The same step without ties to a text.
    pub(crate) fn owned(&self) -> Step<'static> {
        match self {
            Step::Name(name) => Step::Name(Cow::Owned(name.clone().into_owned())),
            Step::Index(index) => Step::Index(*index),
        }
    }
}

/// The steps of a pattern such as `channels.discord.token`, which holds no brackets.
pub(crate) fn plain(path: &str) -> Vec<Step<'_>> {
    path.split('.').filter(|name| !name.is_empty()).map(Step::name).collect()
}

/// Reads a path that a person wrote.
///
/// # Errors
/// What cannot be understood, in a sentence.
pub(crate) fn parse(written: &str) -> Result<Vec<Step<'static>>, String> {
    let mut steps = Vec::new();
    let mut rest = written.trim();
    while !rest.is_empty() {
        let (step, after) = if let Some(inside) = rest.strip_prefix('[') {
            bracket(inside)?
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            let (name, after) = rest.split_at(end);
            if name.is_empty() {
                return Err("a name is missing between two dots".into());
            }
            (Step::Name(Cow::Owned(name.to_owned())), after)
        };
        steps.push(step);
        if steps.len() > limits::CONFIG_DEPTH_MAX {
            return Err(format!("it is more than {} steps deep", limits::CONFIG_DEPTH_MAX));
        }
        rest = match after.strip_prefix('.') {
            Some("") => return Err("a name is missing after the last dot".into()),
            Some(more) => more,
            None if after.is_empty() || after.starts_with('[') => after,
            None => return Err("a dot is missing after a ]".into()),
        };
    }
    if steps.is_empty() { Err("the path is empty".into()) } else { Ok(steps) }
}

/// Reads what follows a `[`: an index, or a quoted name.
fn bracket(inside: &str) -> Result<(Step<'static>, &str), String> {
    let quote = inside.chars().next().filter(|c| matches!(c, '"' | '\''));
    let Some(quote) = quote else {
        let (index, after) = inside.split_once(']').ok_or("a [ is never closed")?;
        let index = index.trim().parse().map_err(|_| {
            format!("[{index}] is no place in a list; a name in brackets needs quotes")
        })?;
        return Ok((Step::Index(index), after));
    };
    let mut name = String::new();
    let mut chars = inside.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => name.extend(chars.next().map(|(_, c)| c)),
            c if c == quote => {
                let after = inside.get(at + 1..).and_then(|after| after.strip_prefix(']'));
                let after = after.ok_or("a ] is missing after the quoted name")?;
                return Ok((Step::Name(Cow::Owned(name)), after));
            }
            c => name.push(c),
        }
    }
    Err("a quoted name is never closed".into())
}

/// The path as a person reads it, escaped for a terminal.
pub(crate) fn show(steps: &[Step<'_>]) -> String {
    let mut out = String::new();
    for step in steps {
        let _ = match step {
            Step::Index(index) => write!(out, "[{index}]"),
            Step::Name(name) if is_plain(name) => {
                let dot = if out.is_empty() { "" } else { "." };
                write!(out, "{dot}{}", text::Plain(name))
            }
            Step::Name(name) => write!(out, "[\"{}\"]", Quoted(name)),
        };
    }
    out
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.contains(|c: char| {
            matches!(c, '.' | '[' | ']' | '"' | '\\') || c.is_whitespace() || c.is_control()
        })
}

struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(['"', '\\']) {
            let (plain, last) = match part.strip_suffix(['"', '\\']) {
                Some(plain) => (plain, part.get(plain.len()..)),
                None => (part, None),
            };
            write!(f, "{}", text::Plain(plain))?;
            if let Some(last) = last {
                write!(f, "\\{last}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_read_as_people_write_them() {
        let name = |name: &str| Step::Name(Cow::Owned(name.to_owned()));
        assert_eq!(
            parse(" agents.list[2].env[\"a.b\\\"\"].x['y'] "),
            Ok(vec![
                name("agents"),
                name("list"),
                Step::Index(2),
                name("env"),
                name("a.b\""),
                name("x"),
                name("y"),
            ])
        );
        for wrong in ["", ".", "a..b", "a.", "a[", "a[x]", "a[\"x", "a[\"x\"", "a[1]b"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse(&"a.".repeat(100)).is_err());
    }

    #[test]
    fn what_is_shown_is_safe_for_a_terminal() {
        assert_eq!(show(&[Step::name("a\u{1b}[2J"), Step::Index(0)]), "[\"a\\u{1b}[2J\"][0]");
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read_again(
            names in prop::collection::vec(
                prop_oneof![
                    "[ -~äß]{0,6}".prop_map(|name| Step::Name(Cow::Owned(name))),
                    (0_usize..50).prop_map(Step::Index),
                ],
                1..6,
            )
        ) {
            let shown = show(&names);
            prop_assert_eq!(parse(&shown), Ok(names), "{}", shown);
        }

        #[test]
        fn no_text_as_a_path_panics(text in ".{0,60}") {
            let _ = parse(&text);
        }
    }
}
