//! Text made fit: cut to a length, made safe for a terminal.

use std::fmt::{self, Write as _};

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

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(truncate(&"🦀".repeat(5), 9), "🦀🦀");
        assert_eq!(truncate("abc", 9), "abc");
    }

    #[test]
    fn what_could_fool_a_terminal_is_escaped() {
        assert_eq!(Plain("a\nb\u{1b}[31m").to_string(), "a\\nb\\u{1b}[31m");
        assert_eq!(Plain("\u{202e}evil\u{2066}").to_string(), "\\u{202e}evil\\u{2066}");
        assert_eq!(Plain("grüße 🦀").to_string(), "grüße 🦀");
    }
}
