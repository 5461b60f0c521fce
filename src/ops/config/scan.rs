//! Where everything stands in a JSON5 text that is known to be right: for changing parts of it
//! without touching the rest.

use std::ops::Range;

use super::raw;

/// A value, and what stands in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Tree {
    /// From its first character to behind its last.
    pub(super) span: Range<usize>,
    /// What it is.
    pub(super) kind: Shape,
    /// Of an object or a list.
    pub(super) entries: Vec<Entry>,
}

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// `{…}`.
    Map,
    /// `[…]`.
    List,
    /// Anything else.
    Leaf,
}

/// An entry of an object or a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    /// Its key, as written and as meant; `None` in a list.
    pub(super) key: Option<(Range<usize>, String)>,
    /// Its value.
    pub(super) value: Tree,
    /// The comma after it.
    pub(super) comma: Option<usize>,
}

impl Entry {
    /// Where it begins.
    pub(super) fn start(&self) -> usize {
        self.key.as_ref().map_or(self.value.span.start, |(span, _)| span.start)
    }
}

/// The tree of `text`; `None` if it is not what [`raw::parse`] takes for one.
pub(super) fn scan(text: &str) -> Option<Tree> {
    let mut scan = Scan { text, at: 0 };
    scan.blank();
    let tree = scan.value()?;
    scan.blank();
    (scan.at == text.len()).then_some(tree)
}

/// The comments in `text` outside of strings, in order.
pub(super) fn comments(text: &str) -> Vec<Range<usize>> {
    let mut scan = Scan { text, at: 0 };
    let mut found = Vec::new();
    while let Some(c) = scan.peek() {
        let start = scan.at;
        if scan.comment() {
            found.push(start..scan.at);
        } else if matches!(c, '"' | '\'') {
            scan.string();
        } else {
            scan.at += c.len_utf8();
        }
    }
    found
}

/// Behind what belongs to the line of `at`: spaces, and comments that end on it. `None` if there
/// is more on that line.
pub(super) fn rest_of_line(text: &str, at: usize) -> Option<usize> {
    let mut scan = Scan { text, at };
    loop {
        let start = scan.at;
        match scan.peek() {
            None | Some('\n' | '\r') => return Some(start),
            Some(' ' | '\t') => scan.at += 1,
            Some('/') if scan.comment() => {
                if text.get(start..scan.at)?.contains(['\n', '\r']) {
                    return None;
                }
            }
            Some(_) => return None,
        }
    }
}

struct Scan<'t> {
    text: &'t str,
    at: usize,
}

impl Scan<'_> {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at..)?.chars().next()
    }

    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Skips white space and comments.
    fn blank(&mut self) {
        while let Some(c) = self.peek() {
            if c.is_whitespace() || c == '\u{feff}' {
                self.at += c.len_utf8();
            } else if !self.comment() {
                return;
            }
        }
    }

    /// Skips a comment, if one begins here.
    fn comment(&mut self) -> bool {
        let is_line_end = |c: char| matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}');
        let rest = self.rest();
        let length = if rest.starts_with("//") {
            rest.find(is_line_end).unwrap_or(rest.len())
        } else if let Some(inside) = rest.strip_prefix("/*") {
            inside.find("*/").map_or(rest.len(), |end| end + 4)
        } else {
            return false;
        };
        self.at += length;
        true
    }

    fn value(&mut self) -> Option<Tree> {
        let start = self.at;
        let (kind, entries) = match self.peek()? {
            '{' => (Shape::Map, self.entries('}')?),
            '[' => (Shape::List, self.entries(']')?),
            '"' | '\'' => {
                self.string();
                (Shape::Leaf, Vec::new())
            }
            _ => {
                self.word();
                (Shape::Leaf, Vec::new())
            }
        };
        (self.at > start).then_some(Tree { span: start..self.at, kind, entries })
    }

    fn entries(&mut self, close: char) -> Option<Vec<Entry>> {
        let mut entries = Vec::new();
        self.at += 1;
        loop {
            self.blank();
            if self.peek()? == close {
                self.at += 1;
                return Some(entries);
            }
            let key = if close == '}' { Some(self.key()?) } else { None };
            let value = self.value()?;
            self.blank();
            let comma = (self.peek()? == ',').then_some(self.at);
            self.at += usize::from(comma.is_some());
            entries.push(Entry { key, value, comma });
        }
    }

    fn key(&mut self) -> Option<(Range<usize>, String)> {
        let start = self.at;
        if matches!(self.peek()?, '"' | '\'') {
            self.string();
        } else {
            self.word();
        }
        let span = start..self.at;
        let written = self.text.get(span.clone())?;
        let name = if written.contains('\\') {
            let alone = format!("{{{written}:0}}");
            let raw::Node::Map(map) = raw::parse(&alone).ok()? else { return None };
            map.first()?.0.as_str().to_owned()
        } else {
            let quote = written.chars().next().filter(|c| matches!(c, '"' | '\''));
            let inside = quote.and_then(|q| written.strip_prefix(q)?.strip_suffix(q));
            inside.unwrap_or(written).to_owned()
        };
        self.blank();
        if self.peek()? != ':' {
            return None;
        }
        self.at += 1;
        self.blank();
        Some((span, name))
    }

    fn string(&mut self) {
        let mut chars = self.rest().char_indices();
        let quote = chars.next().map(|(_, quote)| quote);
        let mut length = self.rest().len();
        while let Some((at, c)) = chars.next() {
            if c == '\\' {
                chars.next();
            } else if Some(c) == quote {
                length = at + c.len_utf8();
                break;
            }
        }
        self.at += length;
    }

    /// A number, a word, or a bare key.
    fn word(&mut self) {
        let is_end = |c: char| {
            c.is_whitespace() || matches!(c, ',' | ':' | '{' | '}' | '[' | ']' | '/' | '\u{feff}')
        };
        self.at += self.rest().find(is_end).unwrap_or(self.rest().len());
    }
}
