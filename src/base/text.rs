//! Text made fit: split for a service's limit, cut to a length, made safe for a terminal.

use std::fmt::{self, Write as _};

/// The end of the first part of `text` that has at most `chars_max` characters, as a byte index:
/// at a line's end if one lies in the last half, else at a word's end, else within a word.
fn split_point(text: &str, chars_max: usize) -> usize {
    let Some((limit, _)) = text.char_indices().nth(chars_max) else { return text.len() };
    let half = text.char_indices().nth(chars_max / 2).map_or(0, |(at, _)| at);
    let window = text.get(..limit).unwrap_or(text);
    let after = |at: usize| at + 1;
    window
        .rfind('\n')
        .filter(|&at| at >= half)
        .or_else(|| window.rfind(' ').filter(|&at| at >= half))
        .map_or(limit, after)
}

/// Cuts `text` into parts of at most `chars_max` characters. White space around a cut is dropped;
/// parts of white space alone are left out.
pub fn split(text: &str, chars_max: usize) -> impl Iterator<Item = &str> {
    let chars_max = chars_max.max(1);
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let (part, tail) = rest.split_at(split_point(rest, chars_max));
            rest = tail;
            let part = part.trim_end();
            if !part.trim().is_empty() {
                return Some(part);
            }
        }
    })
}

/// The longest beginning of `text` of at most `bytes_max` bytes that ends between characters.
#[must_use]
pub fn truncate(text: &str, bytes_max: usize) -> &str {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or("")
}

/// Shows a text from outside on one line of a terminal or log: control characters, line ends and
/// the characters that turn the direction of writing appear as escapes.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a>(pub &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if is_unsafe(c) {
                write!(f, "{}", c.escape_default())?;
            } else {
                f.write_char(c)?;
            }
        }
        Ok(())
    }
}

/// Bytes as hexadecimal digits.
#[derive(Clone, Copy, Debug)]
pub struct Hex<'a>(pub &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Control characters, the Unicode bidirectional marks and overrides, and the line separators.
fn is_unsafe(c: char) -> bool {
    let is_mark = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}');
    let is_override = matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || is_mark || is_override
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str, chars_max: usize) -> Vec<&str> {
        split(text, chars_max).collect()
    }

    #[test]
    fn parts_end_at_lines_and_words() {
        assert_eq!(parts("one two three", 8), ["one two", "three"]);
        assert_eq!(parts("first line\nsecond line", 15), ["first line", "second line"]);
        assert_eq!(parts("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(parts("", 4), [""; 0]);
        assert_eq!(parts("   \n  ", 4), [""; 0]);
        assert_eq!(parts("short", 2000), ["short"]);
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        let crabs = "🦀".repeat(5);
        assert_eq!(parts(&crabs, 2), ["🦀🦀", "🦀🦀", "🦀"]);
        assert_eq!(truncate(&crabs, 9), "🦀🦀");
        assert_eq!(truncate("abc", 9), "abc");
    }

    #[test]
    fn what_could_fool_a_terminal_is_escaped() {
        assert_eq!(Plain("a\nb\u{1b}[31m").to_string(), "a\\nb\\u{1b}[31m");
        assert_eq!(Plain("\u{202e}evil\u{2066}").to_string(), "\\u{202e}evil\\u{2066}");
        assert_eq!(Plain("grüße 🦀").to_string(), "grüße 🦀");
    }
}
