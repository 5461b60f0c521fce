//! As much of YAML as Raspberry Pi Imager writes: mappings and lists by their indentation, and
//! scalars of one line. What is not understood is told with its line, and read past.
//!
//! What comes out is flat: each line of the file that holds something, with the names above it.

use super::lines::Line;
use crate::base::limits::CARD_DEPTH_MAX;

/// A name in a mapping, or a place in a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// A mapping's name.
    Name(String),
    /// A list's item, counted from 0.
    Item(usize),
}

/// What stands in one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Leaf {
    /// The names that lead to it.
    pub(super) path: Vec<Step>,
    /// Its value; empty where others stand below it.
    pub(super) text: String,
    /// Its line, counted from 1.
    pub(super) line: usize,
}

/// What could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fault {
    /// Its line, counted from 1.
    pub(super) line: usize,
    /// What is wrong there.
    pub(super) text: &'static str,
}

/// A mapping or a list that is being read.
struct Level {
    indent: usize,
    step: Step,
    /// Whether what was read last had no value, so that one may stand below it.
    is_open: bool,
}

/// Reads a document.
#[must_use]
pub(super) fn read(lines: &[Line<'_>]) -> (Vec<Leaf>, Vec<Fault>) {
    let mut reader = Reader::default();
    for line in lines {
        let read = match line.text {
            Some(text) => reader.line(text, line.number),
            None => Err("this is not UTF-8 text"),
        };
        if let Err(text) = read {
            reader.faults.push(Fault { line: line.number, text });
        }
    }
    (reader.leaves, reader.faults)
}

#[derive(Default)]
struct Reader {
    levels: Vec<Level>,
    /// The indentation of the line that began a text of many lines, while that lasts.
    block: Option<usize>,
    leaves: Vec<Leaf>,
    faults: Vec<Fault>,
}

impl Reader {
    fn line(&mut self, text: &str, line: usize) -> Result<(), &'static str> {
        let content = text.trim_start_matches(' ');
        let indent = text.len() - content.len();
        let content = content.trim_end();
        if content.is_empty() || self.block.is_some_and(|above| indent > above) {
            return Ok(());
        }
        self.block = None;
        if content.starts_with('#') || matches!(content, "---" | "...") {
            return Ok(());
        }
        if content.starts_with('\t') {
            return Err("a tab where YAML wants spaces");
        }
        self.content(content, indent, line)
    }

    /// A line's content, and what follows `- ` in it as if that stood on a line of its own.
    fn content(
        &mut self,
        mut content: &str,
        mut indent: usize,
        line: usize,
    ) -> Result<(), &'static str> {
        while let Some(rest) = item(content) {
            self.enter_item(indent)?;
            let inner = rest.trim_start_matches(' ');
            indent += content.len() - inner.len();
            content = inner;
            if content.is_empty() || content.starts_with('#') {
                return Ok(());
            }
            if name(content).is_none() && item(content).is_none() {
                self.value(scalar(content)?, indent, line);
                return Ok(());
            }
        }
        let (key, rest) = name(content).ok_or("this is neither `name: value` nor `- item`")?;
        self.enter_name(key?, indent)?;
        self.value(scalar(rest)?, indent, line);
        Ok(())
    }

    /// Goes to the next item of the list at `indent`, or begins it.
    fn enter_item(&mut self, indent: usize) -> Result<(), &'static str> {
        while self.levels.last().is_some_and(|level| level.indent > indent) {
            self.levels.pop();
        }
        if let Some(Level { indent: at, step: Step::Item(number), is_open }) =
            self.levels.last_mut()
            && *at == indent
        {
            *number += 1;
            *is_open = true;
            return Ok(());
        }
        self.begin(indent, Step::Item(0))
    }

    /// Goes to the name `key` in the mapping at `indent`, or begins it.
    fn enter_name(&mut self, key: String, indent: usize) -> Result<(), &'static str> {
        let is_past = |level: &Level| {
            level.indent > indent || level.indent == indent && matches!(level.step, Step::Item(_))
        };
        while self.levels.last().is_some_and(is_past) {
            self.levels.pop();
        }
        if let Some(level) = self.levels.last_mut()
            && level.indent == indent
        {
            level.step = Step::Name(key);
            level.is_open = true;
            return Ok(());
        }
        self.begin(indent, Step::Name(key))
    }

    fn begin(&mut self, indent: usize, step: Step) -> Result<(), &'static str> {
        if self.levels.last().is_some_and(|above| !above.is_open) {
            return Err("nothing can stand below the line above it; look at the indentation");
        }
        if self.levels.len() >= CARD_DEPTH_MAX {
            return Err("nested too deeply");
        }
        self.levels.push(Level { indent, step, is_open: true });
        Ok(())
    }

    fn value(&mut self, value: Scalar, indent: usize, line: usize) {
        let path: Vec<Step> = self.levels.iter().map(|level| level.step.clone()).collect();
        if let Some(level) = self.levels.last_mut() {
            level.is_open = matches!(value, Scalar::None);
        }
        match value {
            Scalar::None => self.leaves.push(Leaf { path, text: String::new(), line }),
            Scalar::Text(text) => self.leaves.push(Leaf { path, text, line }),
            Scalar::List(items) => {
                for (number, text) in items.into_iter().enumerate() {
                    let path = path.iter().cloned().chain([Step::Item(number)]).collect();
                    self.leaves.push(Leaf { path, text, line });
                }
            }
            Scalar::Block => {
                self.block = Some(indent);
                self.leaves.push(Leaf { path, text: String::new(), line });
            }
        }
    }
}

/// What follows a name or a dash.
enum Scalar {
    None,
    Text(String),
    List(Vec<String>),
    /// A text of many lines, which nothing that we take over has.
    Block,
}

/// What follows `- `, if it is an item.
fn item(content: &str) -> Option<&str> {
    if content == "-" { Some("") } else { content.strip_prefix("- ") }
}

/// The name before a colon, which may be in quotes, and what follows.
fn name(content: &str) -> Option<(Result<String, &'static str>, &str)> {
    let (key, rest) = if content.starts_with(['"', '\'']) {
        let (key, rest) = quoted(content).ok()?;
        (Ok(key), rest.trim_start().strip_prefix(':')?)
    } else {
        let colon = content.find(": ").or_else(|| content.strip_suffix(':').map(str::len))?;
        let key = content.get(..colon)?.trim_end();
        let is_plain = !key.starts_with(['{', '[', '&', '*', '!', '|', '>', '%', '@', '`', '?']);
        let key = if is_plain { Ok(key.to_owned()) } else { Err("this kind of name is not read") };
        (key, content.get(colon + 1..)?)
    };
    (rest.is_empty() || rest.starts_with(' ')).then_some((key, rest))
}

fn scalar(rest: &str) -> Result<Scalar, &'static str> {
    let rest = rest.trim();
    let is_end = |rest: &str| rest.trim_start().is_empty() || rest.trim_start().starts_with('#');
    match rest.chars().next() {
        None | Some('#') => Ok(Scalar::None),
        Some('"' | '\'') => {
            let (text, rest) = quoted(rest)?;
            if is_end(rest) { Ok(Scalar::Text(text)) } else { Err("text behind the quotes") }
        }
        Some('|' | '>') => Ok(Scalar::Block),
        Some('{') if rest.trim_start_matches(['{', ' ']).starts_with('}') => Ok(Scalar::None),
        Some('[') => {
            let inner = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            list(inner.ok_or("a list that does not end on its line")?).map(Scalar::List)
        }
        Some('{' | '&' | '*' | '!' | '%' | '@' | '`') => Err("this kind of value is not read"),
        Some(_) => Ok(Scalar::Text(plain(rest).to_owned())),
    }
}

/// A value without quotes ends where a comment begins.
fn plain(text: &str) -> &str {
    text.find(" #").and_then(|end| text.get(..end)).unwrap_or(text).trim_end()
}

/// The items of a list on one line.
fn list(mut inner: &str) -> Result<Vec<String>, &'static str> {
    let mut items = Vec::new();
    loop {
        inner = inner.trim_start();
        if inner.is_empty() {
            return Ok(items);
        }
        let (text, rest) = if inner.starts_with(['"', '\'']) {
            quoted(inner)?
        } else {
            let end = inner.find(',').unwrap_or(inner.len());
            let (text, rest) = inner.split_at(end);
            (text.trim_end().to_owned(), rest)
        };
        items.push(text);
        let rest = rest.trim_start();
        match rest.strip_prefix(',') {
            Some(rest) => inner = rest,
            None if rest.is_empty() => return Ok(items),
            None => return Err("a comma is missing in the list"),
        }
    }
}

/// What is in quotes, and what follows them. Imager escapes quotes and nothing else, so that an
/// unknown escape is what it looks like.
fn quoted(text: &str) -> Result<(String, &str), &'static str> {
    let mut chars = text.char_indices();
    let quote = chars.next().map_or('"', |(_, quote)| quote);
    let mut out = String::new();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            let rest = text.get(at + 1..).unwrap_or_default();
            if quote == '\'' && rest.starts_with('\'') {
                chars.next();
                out.push(quote);
                continue;
            }
            return Ok((out, rest));
        }
        if c == '\\'
            && quote == '"'
            && let Some((_, next @ ('"' | '\\'))) = chars.clone().next()
        {
            chars.next();
            out.push(next);
            continue;
        }
        out.push(c);
    }
    Err("quotes that do not end on their line")
}

#[cfg(test)]
mod tests {
    use super::super::lines::{Text, lines};
    use super::*;

    fn shown(text: &str) -> (Vec<String>, Vec<(usize, &'static str)>) {
        let text = Text::of(text.as_bytes());
        let (leaves, faults) = read(&lines(&text));
        let show = |leaf: &Leaf| {
            let path: Vec<String> = leaf
                .path
                .iter()
                .map(|step| match step {
                    Step::Name(name) => name.clone(),
                    Step::Item(number) => number.to_string(),
                })
                .collect();
            format!("{}/{}={}", leaf.line, path.join("/"), leaf.text)
        };
        let faults = faults.iter().map(|fault| (fault.line, fault.text)).collect();
        (leaves.iter().map(show).collect(), faults)
    }

    #[test]
    fn mappings_lists_and_quotes_are_read() {
        let (leaves, faults) = shown(
            "#cloud-config\n---\na: b c # d\nusers:\n- name: x\n  keys:\n    - k 1\n    - \"k#2\"\n\
             - name: 'it''s'\nl: [a, 'b, c']\nb: |\n  x: y\n    z\n\n  w\nn:\n\
             \x20 \"S: \\\"I\\\\D\\z\":\n    p: \"\"\n  e: {}\n  -  f: 1\n",
        );
        let expected = [
            "3/a=b c",
            "4/users=",
            "5/users/0/name=x",
            "6/users/0/keys=",
            "7/users/0/keys/0=k 1",
            "8/users/0/keys/1=k#2",
            "9/users/1/name=it's",
            "10/l/0=a",
            "10/l/1=b, c",
            "11/b=",
            "16/n=",
            "17/n/S: \"I\\D\\z=",
            "18/n/S: \"I\\D\\z/p=",
            "19/n/e=",
        ];
        assert_eq!(leaves[..expected.len()], expected);
        assert_eq!(leaves.last().map(String::as_str), Some("20/n/e/0/f=1"), "as if below it");
        assert_eq!(faults, []);
    }

    #[test]
    fn what_is_not_understood_is_told_and_read_past() {
        let (leaves, faults) = shown(
            "a: &x 1\nwords\nb: \"open\n\tc: 1\nd: 1\n  e: 2\nf: [1\n? g\nh: *x\n*x : 1\nlast: 1\n",
        );
        assert_eq!(leaves, ["5/d=1", "11/last=1"]);
        let lines: Vec<usize> = faults.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 2, 3, 4, 6, 7, 8, 9, 10]);
    }

    #[test]
    fn depth_is_bounded() {
        let deep = (0..40).fold(String::new(), |deep, at| deep + &" ".repeat(at) + "a:\n");
        let (leaves, faults) = shown(&deep);
        assert_eq!(leaves.len(), CARD_DEPTH_MAX);
        assert_eq!(faults.len(), 40 - CARD_DEPTH_MAX);
        let dashes = "- ".repeat(10_000);
        assert_eq!(shown(&dashes).1.len(), 1);
    }
}
