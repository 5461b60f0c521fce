//! A resumable push tokenizer for JSON (RFC 8259).

use std::fmt;

/// What a document is made of, in its order. Texts borrow from the window that they came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Token<'a> {
    /// `{`
    ObjectBegin,
    /// `}`
    ObjectEnd,
    /// `[`
    ArrayBegin,
    /// `]`
    ArrayEnd,
    /// A piece of a key, unescaped; after the `last` one comes its value.
    Key {
        /// The piece, maybe empty.
        part: &'a str,
        /// Whether the key ends with it.
        last: bool,
    },
    /// A piece of a string, unescaped.
    Text {
        /// The piece, maybe empty.
        part: &'a str,
        /// Whether the string ends with it.
        last: bool,
    },
    /// A number, as it was written.
    Number(&'a str),
    /// `true` or `false`
    Bool(bool),
    /// `null`
    Null,
}

/// Who hears the tokens.
pub trait Sink {
    /// Hears the next token.
    fn token(&mut self, token: Token<'_>);
}

/// Why a document was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Something else stands where the grammar wants a value, a key, a comma …
    Syntax,
    /// A control character stands unescaped in a string.
    Control,
    /// A backslash is followed by what is no escape.
    Escape,
    /// A string is not UTF-8.
    Utf8,
    /// A number is longer than [`JSON_NUMBER_BYTES_MAX`](crate::base::limits::JSON_NUMBER_BYTES_MAX)
    /// or larger than an f64 can hold.
    Number,
    /// Nested deeper than [`JSON_DEPTH_MAX`](crate::base::limits::JSON_DEPTH_MAX).
    Depth,
    /// The document was over before its end.
    Unfinished,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Syntax => "not JSON",
            Fault::Control => "control character in a string",
            Fault::Escape => "unknown escape in a string",
            Fault::Utf8 => "not UTF-8",
            Fault::Number => "number too long or too large",
            Fault::Depth => "nested too deeply",
            Fault::Unfinished => "ended too early",
        })
    }
}
