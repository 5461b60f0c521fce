//! Changing one setting in the text of a file: comments, order, quotes, commas and indentation of
//! everything else stay as they are.
//!
//! The text is never written anew from a tree. What is to change is found in it and replaced, and
//! then the result is read again: unless it says exactly what was asked for, it is thrown away.
//! So no oversight here can break a file.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use super::path::{self, Step};
use super::raw::{self, Name, Node};
use super::scan::{self, Entry, Shape, Tree};
use crate::base::spell;

/// Replacements of parts of a text, none of which overlap.
type Edits = Vec<(Range<usize>, String)>;

/// The value that a person wrote on a command line: JSON5, or else a plain text.
pub(crate) fn value(written: &str) -> Node<'static> {
    let text = || Node::Text(Cow::Owned(written.to_owned()));
    let alone = format!("{{v:{written}\n}}");
    let Ok(Node::Map(mut map)) = raw::parse(&alone) else { return text() };
    match (map.pop(), map.is_empty()) {
        // A number with more digits than numbers have is somebody's id.
        (Some((_, Node::Number(_))), _) if written.bytes().all(|b| b.is_ascii_digit()) => text(),
        (Some((name, value)), true) if name.as_str() == "v" => value.owned(),
        _ => text(),
    }
}

/// The value at `path`, however its names are spelt.
pub(crate) fn get<'r, 't>(root: &'r Node<'t>, path: &[Step<'_>]) -> Option<&'r Node<'t>> {
    path.iter().try_fold(root, |node, step| match node {
        Node::Map(map) => {
            let at = position(map.iter().map(|(name, _)| name.as_str()), step)?;
            Some(&map.get(at)?.1)
        }
        Node::List(list) => list.get(index(step)?),
        _ => None,
    })
}

/// `text` with `value` at `path`; objects on the way there are made.
///
/// # Errors
/// Why that cannot be, in a sentence.
pub(crate) fn set(text: &str, path: &[Step<'_>], value: &Node<'_>) -> Result<String, String> {
    let text = if text.trim_matches(is_blank).is_empty() { "{\n}\n" } else { text };
    let mut expected = raw::parse(text).map_err(|fault| fault.text)?;
    put(&mut expected, path, value)?;
    let tree = scan::scan(text).ok_or(UNREADABLE)?;
    let style = Style::of(text, &tree);
    let edits = place(text, &style, &tree, path, value).ok_or(UNREADABLE)?;
    proven(apply(text, edits), &expected)
}

/// `text` without what is at `path`; `None` if nothing is.
///
/// # Errors
/// Why that cannot be, in a sentence.
pub(crate) fn unset(text: &str, path: &[Step<'_>]) -> Result<Option<String>, String> {
    let Some((last, parents)) = path.split_last() else { return Err("the path is empty".into()) };
    let mut text = Cow::Borrowed(text);
    let mut is_changed = false;
    // A key may be written twice, and then the first would come to count.
    loop {
        let mut expected = raw::parse(&text).map_err(|fault| fault.text)?.owned();
        if !take(&mut expected, path) {
            return Ok(is_changed.then(|| text.into_owned()));
        }
        let tree = scan::scan(&text).ok_or(UNREADABLE)?;
        let within = parents.iter().try_fold(&tree, |tree, step| child(tree, step));
        let within = within.ok_or(UNREADABLE)?;
        let at = place_of(within, last).ok_or(UNREADABLE)?;
        let edits = removal(&text, within, at).ok_or(UNREADABLE)?;
        let fresh = proven(apply(&text, edits), &expected)?;
        if within_list(&expected, parents) {
            return Ok(Some(fresh));
        }
        (text, is_changed) = (Cow::Owned(fresh), true);
    }
}

const UNREADABLE: &str =
    "the file is written in a way that cannot be changed here; edit it by hand";

/// A list's later entries move up, so that removing one again would remove another.
fn within_list(root: &Node<'_>, parents: &[Step<'_>]) -> bool {
    matches!(get(root, parents), Some(Node::List(_)))
}

/// The result, if it says what it should.
fn proven(text: String, expected: &Node<'_>) -> Result<String, String> {
    let is_right = raw::parse(&text).is_ok_and(|read| is_same(&read, expected));
    if is_right { Ok(text) } else { Err(UNREADABLE.to_owned()) }
}

/// Equality, but that what is no number is the same as itself.
fn is_same(a: &Node<'_>, b: &Node<'_>) -> bool {
    match (a, b) {
        (Node::Number(a), Node::Number(b)) => {
            a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
        }
        (Node::List(a), Node::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b))
        }
        (Node::Map(a), Node::Map(b)) => {
            let same = |((a, x), (b, y)): (&(Name<'_>, Node<'_>), &(Name<'_>, Node<'_>))| {
                a.as_str() == b.as_str() && is_same(x, y)
            };
            a.len() == b.len() && a.iter().zip(b).all(same)
        }
        (a, b) => a == b,
    }
}

/// What [`set`] does to a tree.
fn put(node: &mut Node<'_>, path: &[Step<'_>], value: &Node<'_>) -> Result<(), String> {
    let Some((step, rest)) = path.split_first() else {
        *node = value.clone().owned();
        return Ok(());
    };
    if *node == Node::Null {
        *node = empty(step);
    }
    match node {
        Node::Map(map) => {
            let at = position(map.iter().map(|(name, _)| name.as_str()), step);
            if let Some((_, inner)) = at.and_then(|at| map.get_mut(at)) {
                return put(inner, rest, value);
            }
            let mut inner = Node::Null;
            put(&mut inner, rest, value)?;
            map.push((Name::of(&name_of(step)), inner));
            Ok(())
        }
        Node::List(list) => {
            let length = list.len();
            let at = index(step).ok_or_else(|| format!("a list has places, such as [{length}]"))?;
            if at > length {
                return Err(format!("the list has {length} entries; the next is [{length}]"));
            }
            if at == length {
                list.push(Node::Null);
            }
            list.get_mut(at).map_or(Ok(()), |inner| put(inner, rest, value))
        }
        other => {
            let below = path::show(std::slice::from_ref(step));
            Err(format!("there is {} already, so {below} cannot stand in it", other.what()))
        }
    }
}

/// What [`unset`] does to a tree; false if there is nothing to remove.
fn take(node: &mut Node<'_>, path: &[Step<'_>]) -> bool {
    let Some((step, rest)) = path.split_first() else { return false };
    match node {
        Node::Map(map) => {
            let at = position(map.iter().map(|(name, _)| name.as_str()), step);
            match at {
                Some(at) if rest.is_empty() => {
                    map.remove(at);
                    true
                }
                Some(at) => map.get_mut(at).is_some_and(|(_, inner)| take(inner, rest)),
                None => false,
            }
        }
        Node::List(list) => match index(step).filter(|at| *at < list.len()) {
            Some(at) if rest.is_empty() => {
                list.remove(at);
                true
            }
            Some(at) => list.get_mut(at).is_some_and(|inner| take(inner, rest)),
            None => false,
        },
        _ => false,
    }
}

fn empty(step: &Step<'_>) -> Node<'static> {
    match step {
        Step::Name(_) => Node::Map(Vec::new()),
        Step::Index(_) => Node::List(Vec::new()),
    }
}

/// Of keys that are spelt differently, the one that is exactly so; of several, the last, which
/// counts.
fn position<'a>(names: impl DoubleEndedIterator<Item = &'a str>, step: &Step<'_>) -> Option<usize> {
    let wanted = name_of(step);
    let names: Vec<&str> = names.collect();
    let exact = names.iter().rposition(|name| *name == wanted);
    exact.or_else(|| names.iter().rposition(|name| spell::same(name, &wanted)))
}

fn name_of<'a>(step: &'a Step<'_>) -> Cow<'a, str> {
    match step {
        Step::Name(name) => Cow::Borrowed(name),
        Step::Index(index) => Cow::Owned(index.to_string()),
    }
}

fn index(step: &Step<'_>) -> Option<usize> {
    match step {
        Step::Index(index) => Some(*index),
        Step::Name(name) => name.parse().ok(),
    }
}

fn place_of(tree: &Tree, step: &Step<'_>) -> Option<usize> {
    match tree.kind {
        Shape::Map => {
            let names =
                tree.entries.iter().filter_map(|entry| Some(entry.key.as_ref()?.1.as_str()));
            position(names.collect::<Vec<_>>().into_iter(), step)
        }
        Shape::List => index(step).filter(|at| *at < tree.entries.len()),
        Shape::Leaf => None,
    }
}

fn child<'t>(tree: &'t Tree, step: &Step<'_>) -> Option<&'t Tree> {
    place_of(tree, step).and_then(|at| tree.entries.get(at)).map(|entry| &entry.value)
}

/// The replacements that put `value` at `path`.
fn place(
    text: &str,
    style: &Style,
    tree: &Tree,
    path: &[Step<'_>],
    value: &Node<'_>,
) -> Option<Edits> {
    let mut at = tree;
    for (done, step) in path.iter().enumerate() {
        let rest = path.get(done + 1..)?;
        if at.kind == Shape::Leaf {
            // A null: what is to stand in it takes its place.
            let indent = line_indent(text, at.span.start);
            let whole = style.nested(path.get(done..)?, value, indent);
            return Some(vec![(at.span.clone(), whole)]);
        }
        match child(at, step) {
            Some(inner) => at = inner,
            None => return insertion(text, style, at, step, rest, value),
        }
    }
    let indent = line_indent(text, at.span.start);
    Some(vec![(at.span.clone(), style.render(value, indent))])
}

/// The replacements that add an entry at the end of `tree`.
fn insertion(
    text: &str,
    style: &Style,
    tree: &Tree,
    step: &Step<'_>,
    rest: &[Step<'_>],
    value: &Node<'_>,
) -> Option<Edits> {
    let (open, close) = (tree.span.start, tree.span.end.checked_sub(1)?);
    let base = line_indent(text, open);
    let entry = |indent: &str| {
        let inner = style.nested(rest, value, indent);
        match tree.kind {
            Shape::Map => format!("{}: {inner}", style.key(&name_of(step))),
            _ => inner,
        }
    };
    let Some(last) = tree.entries.last() else {
        let child = format!("{base}{}", style.unit);
        let inner = text.get(open + 1..close)?;
        let comma = if style.trailing_commas { "," } else { "" };
        let (line, end) =
            (style.newline, open + 1 + scan::comments(inner).last().map_or(0, |c| c.end));
        return Some(vec![if inner.trim_matches(is_blank).is_empty() {
            match tree.kind {
                Shape::Map => {
                    let entry = entry(&child);
                    (open + 1..close, format!("{line}{child}{entry}{comma}{line}{base}"))
                }
                _ => (open + 1..close, entry(base)),
            }
        } else if inner.contains(['\n', '\r']) {
            (end..end, format!("{line}{child}{}{comma}", entry(&child)))
        } else {
            (end..end, format!(" {}", entry(base)))
        }]);
    };
    let first = tree.entries.first()?;
    let end = last.value.span.end;
    let behind = last.comma.map_or(end, |comma| comma + 1);
    if !text.get(open..first.start())?.contains(['\n', '\r']) {
        let entry = entry(base);
        return Some(vec![match last.comma {
            Some(_) => (behind..behind, format!(" {entry},")),
            None => (end..end, format!(", {entry}")),
        }]);
    }
    let own = [last, first].map(|entry| own_indent(text, entry.start()));
    let fallback = format!("{base}{}", style.unit);
    let indent = own.into_iter().flatten().next().unwrap_or(&fallback);
    let at = scan::rest_of_line(text, behind).unwrap_or(behind);
    let comma = if last.comma.is_some() { "," } else { "" };
    let line = format!("{}{indent}{}{comma}", style.newline, entry(indent));
    let missing = last.comma.is_none().then(|| (end..end, ",".to_owned()));
    Some(missing.into_iter().chain([(at..at, line)]).collect())
}

/// The replacements that take the entry at `at` out of `tree`. Comments stay.
fn removal(text: &str, tree: &Tree, at: usize) -> Option<Edits> {
    let entry: &Entry = tree.entries.get(at)?;
    let (start, end) = (entry.start(), entry.comma.map_or(entry.value.span.end, |c| c + 1));
    let mut edits = Edits::new();
    let mut range = start..end;
    // Where no comma was wanted at the end, none is left there.
    let before = at.checked_sub(1).and_then(|at| tree.entries.get(at)?.comma);
    if let (None, Some(comma)) = (entry.comma, before) {
        let gap = text.get(comma + 1..start)?;
        if gap.chars().all(|c| matches!(c, ' ' | '\t')) {
            range.start = comma;
        } else {
            edits.push((comma..comma + 1, String::new()));
        }
    }
    let kept = kept_comments(text, entry, end)?;
    if kept.is_empty() {
        let behind = text.get(end..)?;
        let spaces = behind.len() - behind.trim_start_matches([' ', '\t']).len();
        let line_end = end + spaces;
        let newline = ["\r\n", "\n"]
            .iter()
            .find(|n| text.get(line_end..).is_some_and(|rest| rest.starts_with(**n)));
        match (own_indent(text, start), newline) {
            (Some(indent), Some(newline)) if range.start == start => {
                range = start - indent.len()..line_end + newline.len();
            }
            _ if range.start == start => range.end = line_end,
            _ => {}
        }
    }
    edits.push((range, kept));
    Some(edits)
}

/// The comments that stand between the parts of `entry`, whose end is `end`.
fn kept_comments(text: &str, entry: &Entry, end: usize) -> Option<String> {
    let mut kept = String::new();
    let before = entry.key.as_ref().map(|(key, _)| key.end..entry.value.span.start);
    for gap in before.into_iter().chain(std::iter::once(entry.value.span.end..end)) {
        let gap = text.get(gap)?;
        for comment in scan::comments(gap) {
            let comment = gap.get(comment)?;
            kept.push_str(comment);
            kept.push(if comment.starts_with("//") { '\n' } else { ' ' });
        }
    }
    Some(kept)
}

fn apply(text: &str, mut edits: Edits) -> String {
    edits.sort_by_key(|(range, _)| (range.start, range.end));
    let mut out = String::with_capacity(text.len() + 256);
    let mut at = 0;
    for (range, fresh) in edits {
        out.push_str(text.get(at..range.start).unwrap_or_default());
        out.push_str(&fresh);
        at = range.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    out
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{feff}'
}

/// The white space that the line of `at` begins with.
fn line_indent(text: &str, at: usize) -> &str {
    let line =
        text.get(..at).map_or("", |before| before.rsplit(['\n', '\r']).next().unwrap_or(before));
    let blank = line.len() - line.trim_start_matches([' ', '\t']).len();
    line.get(..blank).unwrap_or_default()
}

/// The same, if there is nothing else before `at` on its line.
fn own_indent(text: &str, at: usize) -> Option<&str> {
    let before = text.get(..at)?;
    let line = before.rsplit(['\n', '\r']).next()?;
    let is_first = line.len() < before.len() && line.chars().all(|c| matches!(c, ' ' | '\t'));
    is_first.then_some(line)
}

/// How a file is written.
struct Style {
    newline: &'static str,
    unit: String,
    quote: char,
    quoted_keys: bool,
    trailing_commas: bool,
}

impl Style {
    fn of(text: &str, tree: &Tree) -> Style {
        let first = tree.entries.first();
        let indent = first.and_then(|entry| own_indent(text, entry.start()));
        let key = |entry: &Entry| {
            let (span, _) = entry.key.as_ref()?;
            text.get(span.clone())?.chars().next()
        };
        let quote_of_key = first.and_then(key).filter(|c| matches!(c, '"' | '\''));
        let quote_of_value = || first_quote(text, tree);
        Style {
            newline: if text.contains("\r\n") { "\r\n" } else { "\n" },
            unit: indent.filter(|indent| !indent.is_empty()).unwrap_or("  ").to_owned(),
            quote: quote_of_key.or_else(quote_of_value).unwrap_or('"'),
            quoted_keys: quote_of_key.is_some(),
            trailing_commas: tree.entries.last().is_none_or(|entry| entry.comma.is_some()),
        }
    }

    /// `value` in as many objects as `rest` has steps.
    fn nested(&self, rest: &[Step<'_>], value: &Node<'_>, indent: &str) -> String {
        let Some((step, below)) = rest.split_first() else { return self.render(value, indent) };
        match step {
            Step::Index(_) => format!("[{}]", self.nested(below, value, indent)),
            Step::Name(name) => {
                let child = format!("{indent}{}", self.unit);
                let inner = self.nested(below, value, &child);
                let comma = if self.trailing_commas { "," } else { "" };
                let (key, line) = (self.key(name), self.newline);
                format!("{{{line}{child}{key}: {inner}{comma}{line}{indent}}}")
            }
        }
    }

    /// `value`, over several lines if it is an object.
    fn render(&self, value: &Node<'_>, indent: &str) -> String {
        let mut out = String::new();
        self.write(&mut out, value, indent);
        out
    }

    fn write(&self, out: &mut String, value: &Node<'_>, indent: &str) {
        match value {
            Node::List(list) => {
                out.push('[');
                for (at, item) in list.iter().enumerate() {
                    out.push_str(if at == 0 { "" } else { ", " });
                    self.write(out, item, indent);
                }
                out.push(']');
            }
            Node::Map(map) if map.is_empty() => out.push_str("{}"),
            Node::Map(map) => {
                let child = format!("{indent}{}", self.unit);
                out.push('{');
                for (at, (name, item)) in map.iter().enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    let _ =
                        write!(out, "{comma}{}{child}{}: ", self.newline, self.key(name.as_str()));
                    self.write(out, item, &child);
                }
                let comma = if self.trailing_commas { "," } else { "" };
                let _ = write!(out, "{comma}{}{indent}}}", self.newline);
            }
            Node::Text(text) => out.push_str(&quoted(text, self.quote)),
            leaf => out.push_str(&leaf_text(leaf)),
        }
    }

    fn key(&self, name: &str) -> String {
        let mut chars = name.chars();
        let is_start = |c: char| c.is_ascii_alphabetic() || matches!(c, '_' | '$');
        let is_bare =
            chars.next().is_some_and(is_start) && chars.all(|c| is_start(c) || c.is_ascii_digit());
        if is_bare && !self.quoted_keys { name.to_owned() } else { quoted(name, self.quote) }
    }
}

/// What JSON5 writes for a value that is neither a text nor a list nor an object.
fn leaf_text(value: &Node<'_>) -> String {
    match value {
        Node::Flag(flag) => flag.to_string(),
        Node::Whole(number) => number.to_string(),
        Node::Large(number) => number.to_string(),
        Node::Number(number) if number.is_nan() => "NaN".to_owned(),
        Node::Number(number) if number.is_infinite() => {
            if *number > 0.0 {
                "Infinity".to_owned()
            } else {
                "-Infinity".to_owned()
            }
        }
        Node::Number(number) => format!("{number:?}"),
        _ => "null".to_owned(),
    }
}

/// `value` as JSON5, in the style of a file that has none yet.
pub(crate) fn render(value: &Node<'_>) -> String {
    let style = Style {
        newline: "\n",
        unit: "  ".to_owned(),
        quote: '"',
        quoted_keys: false,
        trailing_commas: true,
    };
    style.render(value, "")
}

fn quoted(text: &str, quote: char) -> String {
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// The quote of the first text in a tree.
fn first_quote(text: &str, tree: &Tree) -> Option<char> {
    let first = text.get(tree.span.clone())?.chars().next()?;
    match tree.kind {
        Shape::Leaf => Some(first).filter(|c| matches!(c, '"' | '\'')),
        _ => tree.entries.iter().find_map(|entry| first_quote(text, &entry.value)),
    }
}

#[cfg(test)]
mod tests;
