//! A JSON5 text as a tree, before anybody asks what it means.
//!
//! The parser recurses without a bound, so the nesting is measured first, by a scan that knows
//! strings and comments. The tree keeps numbers whole (a user id does not fit into an `f64`),
//! keys in order (one may be written twice), and each key as a slice of the text where it can:
//! such a key knows its own place.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::path::Step;
use crate::base::limits;

/// A value as it was written.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Node<'t> {
    /// `null`: as if the key were not there.
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// A number without a fraction that fits.
    Whole(i64),
    /// A number without a fraction that is too large for that, as user ids may one day be.
    Large(u64),
    /// Any other number.
    Number(f64),
    /// A string.
    Text(Cow<'t, str>),
    /// An array.
    List(Vec<Node<'t>>),
    /// An object.
    Map(Vec<(Name<'t>, Node<'t>)>),
}

/// A key as it was written, borrowed from the text unless it holds escapes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Name<'t>(Cow<'t, str>);

/// Where the syntax is broken (line and column, counted from 1), and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    /// The place, if it has one.
    pub(crate) at: Option<(usize, usize)>,
    /// The fault.
    pub(crate) text: String,
}

/// Reads `text`. An empty file is an empty object.
///
/// # Errors
/// The first fault of syntax; that the whole is not an object is one, too.
pub(crate) fn parse(text: &str) -> Result<Node<'_>, Fault> {
    // Some editors begin a file with a byte order mark; it counts as white space in JSON5.
    if text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}').is_empty() {
        return Ok(Node::Map(Vec::new()));
    }
    if let Some(at) = too_deep(text) {
        let text = format!("nested more than {} deep", limits::CONFIG_DEPTH_MAX);
        return Err(Fault { at: Some(at), text });
    }
    match json5::from_str(text).map_err(|error| fault(&error, text))? {
        map @ Node::Map(_) => Ok(map),
        _ => Err(Fault { at: Some((1, 1)), text: "the whole file must be one { … }".into() }),
    }
}

impl Name<'_> {
    /// A key that stands in no text.
    pub(crate) fn of(name: &str) -> Name<'static> {
        Name(Cow::Owned(name.to_owned()))
    }

    /// The key's text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Where it begins in `text`, if it is a slice of it.
    pub(crate) fn offset(&self, text: &str) -> Option<usize> {
        let Cow::Borrowed(name) = self.0 else { return None };
        let offset = name.as_ptr().addr().checked_sub(text.as_ptr().addr())?;
        let before = text.get(..offset)?;
        // An editor shows a quoted key from its quote on.
        Some(before.strip_suffix(['"', '\'']).unwrap_or(before).len())
    }
}

impl<'t> Name<'t> {
    /// The step to what has this name.
    pub(crate) fn step(&self) -> Step<'t> {
        Step::Name(self.0.clone())
    }
}

impl Node<'_> {
    /// The same without ties to a text.
    pub(crate) fn owned(self) -> Node<'static> {
        match self {
            Node::Null => Node::Null,
            Node::Flag(flag) => Node::Flag(flag),
            Node::Whole(number) => Node::Whole(number),
            Node::Large(number) => Node::Large(number),
            Node::Number(number) => Node::Number(number),
            Node::Text(text) => Node::Text(Cow::Owned(text.into_owned())),
            Node::List(list) => Node::List(list.into_iter().map(Node::owned).collect()),
            Node::Map(map) => {
                let own =
                    |(name, value): (Name<'_>, Node<'_>)| (Name::of(name.as_str()), value.owned());
                Node::Map(map.into_iter().map(own).collect())
            }
        }
    }

    /// As JSON, for programs.
    pub(crate) fn json(&self) -> serde_json::Value {
        match self {
            Node::Null => serde_json::Value::Null,
            Node::Flag(flag) => (*flag).into(),
            Node::Whole(number) => (*number).into(),
            Node::Large(number) => (*number).into(),
            Node::Number(number) => (*number).into(),
            Node::Text(text) => text.as_ref().into(),
            Node::List(list) => list.iter().map(Node::json).collect(),
            Node::Map(map) => {
                map.iter().map(|(name, value)| (name.as_str().to_owned(), value.json())).collect()
            }
        }
    }

    /// What kind of value it is, to tell a person.
    pub(crate) fn what(&self) -> &'static str {
        match self {
            Node::Null => "null",
            Node::Flag(_) => "true or false",
            Node::Whole(_) | Node::Large(_) | Node::Number(_) => "a number",
            Node::Text(_) => "a text",
            Node::List(_) => "a list",
            Node::Map(_) => "an object",
        }
    }
}

fn fault(error: &json5::Error, text: &str) -> Fault {
    let at = error.position().map(|place| (place.line + 1, place.column + 1));
    let text_end = || {
        let last = text.rsplit('\n').next().unwrap_or("");
        (text.matches('\n').count() + 1, last.chars().count() + 1)
    };
    let said = error.code().map_or_else(|| error.to_string(), explain);
    Fault { at: Some(at.unwrap_or_else(text_end)), text: said }
}

/// The faults that hands make, in the words of hands.
fn explain(code: json5::ErrorCode) -> String {
    use json5::ErrorCode as Code;
    match code {
        Code::EofParsingObject => "the { opened here is never closed".into(),
        Code::EofParsingArray => "the [ opened here is never closed".into(),
        Code::EofParsingString => "a quoted text is never closed".into(),
        Code::EofParsingComment => "a /* comment is never closed".into(),
        Code::EofParsingValue => "the file ends where a value is expected".into(),
        Code::LineTerminatorInString => "a quoted text must end on its own line".into(),
        Code::ExpectedComma | Code::ExpectedClosingBrace | Code::ExpectedClosingBracket => {
            "a comma or a closing bracket is missing before this".into()
        }
        Code::ExpectedColon => "a colon is missing after the key".into(),
        Code::ExpectedIdentifier => "a key is expected here (quote it if it is unusual)".into(),
        Code::ExpectedValue => "a value is expected here (texts need quotes)".into(),
        Code::TrailingCharacters => "there is more after the end of the configuration".into(),
        other => other.to_string(),
    }
}

/// The line and column at which the nesting goes too deep, if it does. Whatever the parser takes
/// for a bracket is seen here: strings and comments begin and end by the same characters.
fn too_deep(text: &str) -> Option<(usize, usize)> {
    let is_line_end = |c: char| matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}');
    let (mut depth, mut line, mut column) = (0_usize, 1, 0);
    let (mut quote, mut in_line, mut in_block) = (None, false, false);
    let mut last = ' ';
    for c in text.chars() {
        (line, column) = if c == '\n' { (line + 1, 0) } else { (line, column + 1) };
        let mut seen = c;
        if in_line {
            in_line = !is_line_end(c);
        } else if in_block {
            if (last, c) == ('*', '/') {
                (in_block, seen) = (false, ' ');
            }
        } else if let Some(open) = quote {
            match (last, c) {
                // An escaped character ends nothing, and a second backslash escapes nothing more.
                ('\\', _) => seen = ' ',
                _ if c == open => quote = None,
                _ => {}
            }
        } else {
            match (last, c) {
                ('/', '/') => (in_line, seen) = (true, ' '),
                ('/', '*') => (in_block, seen) = (true, ' '),
                (_, '"' | '\'') => quote = Some(c),
                (_, '{' | '[') => depth += 1,
                (_, '}' | ']') => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        if depth > limits::CONFIG_DEPTH_MAX {
            return Some((line, column));
        }
        last = seen;
    }
    None
}

impl<'de> Deserialize<'de> for Node<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node<'de>, D::Error> {
        deserializer.deserialize_any(Tree)
    }
}

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name<'de>, D::Error> {
        deserializer.deserialize_str(Slice).map(Name)
    }
}

/// Builds a [`Node`].
struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Node<'de>, E> {
        Ok(Node::Flag(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Node<'de>, E> {
        Ok(Node::Whole(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Node<'de>, E> {
        Ok(i64::try_from(number).map_or(Node::Large(number), Node::Whole))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Node<'de>, E> {
        Ok(Node::Number(number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node<'de>, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Node::Map(map))
    }
}

/// Keeps a key as the slice that it is.
struct Slice;

impl<'de> Visitor<'de> for Slice {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fault_at(text: &str) -> ((usize, usize), String) {
        let fault = parse(text).expect_err(text);
        (fault.at.expect("every fault has a place"), fault.text)
    }

    #[test]
    fn keys_know_their_lines_and_ids_stay_whole() {
        let text = "// a comment\n{\n  a: 1,\n  'b': 9223372036854775808,\n \"\\u0063\": null}";
        let Ok(Node::Map(map)) = parse(text) else { panic!("an object") };
        let places: Vec<_> = map
            .iter()
            .map(|(name, _)| (name.as_str(), name.offset(text).map(|at| &text[at..=at])))
            .collect();
        assert_eq!(places, [("a", Some("a")), ("b", Some("'")), ("c", None)]);
        assert_eq!(map[1].1, Node::Large(9_223_372_036_854_775_808));
        assert_eq!(parse(" \n\u{feff}"), Ok(Node::Map(Vec::new())));
    }

    #[test]
    fn broken_syntax_names_its_place() {
        let (at, text) = fault_at("{\n  a: 1\n  b: 2\n}");
        assert_eq!((at, text.contains("comma")), ((3, 3), true), "{text}");
        let (at, text) = fault_at("{\n  a: {\n    b: 1,\n");
        assert_eq!((at, text.contains("never closed")), ((2, 6), true), "{text}");
        assert_eq!(fault_at("{a: \"x\ny\"}").0, (1, 7));
        assert_eq!(fault_at("{a: 1} b").0, (1, 8));
        assert_eq!(fault_at("// nothing\n// here").0, (2, 8));
        assert_eq!(fault_at("[1]").0, (1, 1));
    }

    #[test]
    fn deep_nesting_is_refused_before_the_parser_sees_it() {
        for (open, hide) in
            [("[", ""), ("{a:", ""), ("[", "// \u{2028}"), ("[", "/**//**/"), ("[", "'\\\\'")]
        {
            let (_, text) = fault_at(&format!("{{a:{hide}{}", open.repeat(200_000)));
            assert!(text.contains("deep"), "{hide} {text}");
        }
        let deep = limits::CONFIG_DEPTH_MAX - 1;
        assert!(parse(&format!("{{a:{}{}}}", "[".repeat(deep), "]".repeat(deep))).is_ok());
        let hidden = "[".repeat(200);
        assert!(parse(&format!("{{a: '{hidden}\\'{hidden}' /*{hidden}*/ //{hidden}\n}}")).is_ok());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,400}") {
            let _ = parse(&text);
        }

        #[test]
        fn no_jumble_of_syntax_panics_or_gets_deep(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "{", "}", "[", "]", "a", ":", ",", "'", "\"", "\\", "/", "*", "//", "/*", "*/",
                    "\n", "\r", "\u{2028}", "1", "-", "0x", ".", "e", "null", "\\u00", "\u{feff}",
                    "{a:[{b:[{c:[{d:[{e:[{f:[", " ",
                ]),
                0..120,
            )
        ) {
            let text = parts.concat();
            if let Ok(node) = parse(&text) {
                prop_assert!(depth(&node) <= limits::CONFIG_DEPTH_MAX);
            }
        }
    }

    fn depth(node: &Node<'_>) -> usize {
        match node {
            Node::List(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
            Node::Map(map) => 1 + map.iter().map(|(_, node)| depth(node)).max().unwrap_or(0),
            _ => 0,
        }
    }
}
