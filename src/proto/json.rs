//! A resumable push tokenizer for JSON (RFC 8259).
//!
//! A document is fed in windows that may be cut anywhere, within a character or an escape too. What
//! is read is told at once, in pieces that borrow from the window, so nothing is allocated and
//! memory depends on neither the document nor its strings. It accepts what `serde_json` accepts as
//! a `Value`, but for this:
//! - an unpaired surrogate escape is read as U+FFFD, where `serde_json` refuses the document;
//! - nesting and the text of a number have limits of their own ([`limits`]).
//!
//! Of a key that comes twice both are told: which one counts is for the listener to say.
//!
//! Speed comes from runs: plain bytes of a string are scanned eight at a time and validated as
//! UTF-8 by the standard library, a whole window at once.

use crate::base::{limits, text};
use heapless::String;
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
    /// A number is longer than [`limits::JSON_NUMBER_BYTES_MAX`] or larger than an f64 can hold.
    Number,
    /// Nested deeper than [`limits::JSON_DEPTH_MAX`].
    Depth,
    /// The document was over before its end.
    Unfinished,
}

/// What may come next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// A value.
    Value,
    /// A value, or the end of an array that has just begun.
    ValueOrEnd,
    /// A key.
    Key,
    /// A key, or the end of an object that has just begun.
    KeyOrEnd,
    /// The colon between a key and its value.
    Colon,
    /// What follows a value: a comma, the end of what holds it, or at the top nothing.
    After,
    /// The rest of a string.
    Text,
    /// The rest of an escape: the character after the backslash.
    Escape,
    /// The rest of an escape: so many hexadecimal digits.
    Hex(u8),
    /// The rest of a number, of `true`, `false` or `null`.
    Scalar,
    /// Nothing: the document was refused.
    Refused(Fault),
}

/// Reads one document at a time. Its size is fixed, and it allocates nothing.
#[derive(Debug)]
pub struct Tokenizer {
    state: State,
    /// What is open, the innermost in the lowest bit: 1 is an object, 0 an array.
    open: u128,
    depth: usize,
    /// Whether the string at hand is a key.
    in_key: bool,
    /// The beginning of a character that a cut has split.
    begun: [u8; 4],
    begun_len: usize,
    /// The beginning of a scalar that a cut has split.
    held: String<{ limits::JSON_NUMBER_BYTES_MAX }>,
    /// The digits of a `\u` escape so far.
    code: u16,
    /// A leading surrogate that waits for its other half, or 0.
    leading: u16,
}

const _: () = assert!(limits::JSON_DEPTH_MAX <= u128::BITS as usize);

impl Default for Tokenizer {
    fn default() -> Self {
        Self::new()
    }
}

impl Tokenizer {
    /// A tokenizer that awaits a document.
    #[must_use]
    pub const fn new() -> Self {
        Tokenizer {
            state: State::Value,
            open: 0,
            depth: 0,
            in_key: false,
            begun: [0; 4],
            begun_len: 0,
            held: String::new(),
            code: 0,
            leading: 0,
        }
    }

    /// Forgets everything and awaits the next document.
    pub fn reset(&mut self) {
        self.state = State::Value;
        self.open = 0;
        self.depth = 0;
        self.begun_len = 0;
        self.held.clear();
        self.leading = 0;
    }

    /// Reads the next part of the document. A fault is final: it is told again until
    /// [`reset`](Self::reset).
    pub fn feed(&mut self, window: &[u8], sink: &mut impl Sink) -> Result<(), Fault> {
        match self.state {
            State::Refused(fault) => Err(fault),
            _ => self.decode(window, sink).map_err(|fault| self.refuse(fault)),
        }
    }

    /// The document is over: was it whole?
    pub fn finish(&mut self, sink: &mut impl Sink) -> Result<(), Fault> {
        // A number at the top level has no other end than this.
        let closed = match self.state {
            State::Refused(fault) => Err(fault),
            State::Scalar if self.depth == 0 => self.held_scalar(sink),
            _ => Ok(()),
        };
        let whole = self.state == State::After && self.depth == 0 && self.begun_len == 0;
        closed
            .and(if whole { Ok(()) } else { Err(Fault::Unfinished) })
            .map_err(|fault| self.refuse(fault))
    }

    fn refuse(&mut self, fault: Fault) -> Fault {
        self.state = State::Refused(fault);
        fault
    }

    /// Finds the characters in the window, and reads them up to the first that is none.
    fn decode(&mut self, window: &[u8], sink: &mut impl Sink) -> Result<(), Fault> {
        let mut window = window;
        while let (1.., Some((&byte, rest))) = (self.begun_len, window.split_first()) {
            self.complete(byte, sink)?;
            window = rest;
        }
        match str::from_utf8(window) {
            Ok(text) => self.read(text, sink),
            Err(error) => {
                let (whole, rest) = window.split_at(error.valid_up_to());
                self.read(str::from_utf8(whole).unwrap_or_default(), sink)?;
                if error.error_len().is_some() {
                    return Err(Fault::Utf8);
                }
                rest.iter().try_for_each(|&byte| self.complete(byte, sink))
            }
        }
    }

    /// Adds a byte to the character that a cut has split, and reads it if that makes it whole.
    fn complete(&mut self, byte: u8, sink: &mut impl Sink) -> Result<(), Fault> {
        let mut begun = self.begun;
        *begun.get_mut(self.begun_len).ok_or(Fault::Utf8)? = byte;
        self.begun = begun;
        self.begun_len += 1;
        match str::from_utf8(begun.get(..self.begun_len).unwrap_or_default()) {
            Ok(character) => {
                self.begun_len = 0;
                self.read(character, sink)
            }
            Err(error) if error.error_len().is_none() => Ok(()),
            Err(_) => Err(Fault::Utf8),
        }
    }

    fn read(&mut self, text: &str, sink: &mut impl Sink) -> Result<(), Fault> {
        let mut at = 0;
        while let Some(&byte) = text.as_bytes().get(at) {
            at = match self.state {
                State::Text => self.text(text, at, sink)?,
                State::Scalar => self.scalar(text, at, sink)?,
                _ => {
                    self.byte(byte, sink)?;
                    // A scalar's first byte is its own.
                    at + usize::from(self.state != State::Scalar)
                }
            }
        }
        Ok(())
    }

    /// Reads one byte outside of scalars and of the plain parts of strings.
    fn byte(&mut self, byte: u8, sink: &mut impl Sink) -> Result<(), Fault> {
        match (byte, self.state) {
            (_, State::Escape) => self.escape(byte, sink)?,
            (_, State::Hex(left)) => self.hex(byte, left, sink)?,
            (b' ' | b'\t' | b'\n' | b'\r', _) => {}
            (b'"', State::Value | State::ValueOrEnd | State::Key | State::KeyOrEnd) => {
                self.in_key = matches!(self.state, State::Key | State::KeyOrEnd);
                self.state = State::Text;
            }
            (b':', State::Colon) => self.state = State::Value,
            (b',', State::After) if self.in_object() => self.state = State::Key,
            (b',', State::After) if self.in_array() => self.state = State::Value,
            (b'-' | b'0'..=b'9' | b't' | b'f' | b'n', State::Value | State::ValueOrEnd) => {
                self.state = State::Scalar;
            }
            (b'{', State::Value | State::ValueOrEnd) => {
                self.begin(true)?;
                sink.token(Token::ObjectBegin);
            }
            (b'[', State::Value | State::ValueOrEnd) => {
                self.begin(false)?;
                sink.token(Token::ArrayBegin);
            }
            (b'}', State::After | State::KeyOrEnd) if self.in_object() => {
                self.end();
                sink.token(Token::ObjectEnd);
            }
            (b']', State::After | State::ValueOrEnd) if self.in_array() => {
                self.end();
                sink.token(Token::ArrayEnd);
            }
            _ => return Err(Fault::Syntax),
        }
        Ok(())
    }

    fn in_object(&self) -> bool {
        self.depth > 0 && self.open & 1 == 1
    }

    fn in_array(&self) -> bool {
        self.depth > 0 && self.open & 1 == 0
    }

    fn begin(&mut self, object: bool) -> Result<(), Fault> {
        if self.depth == limits::JSON_DEPTH_MAX {
            return Err(Fault::Depth);
        }
        self.depth += 1;
        self.open = self.open << 1 | u128::from(object);
        self.state = if object { State::KeyOrEnd } else { State::ValueOrEnd };
        Ok(())
    }

    fn end(&mut self) {
        self.depth -= 1;
        self.open >>= 1;
        self.state = State::After;
    }

    /// Reads a string from `from` to its end, an escape, or the end of the window.
    fn text(&mut self, text: &str, from: usize, sink: &mut impl Sink) -> Result<usize, Fault> {
        let bytes = text.as_bytes();
        let end = from + plain_run(bytes.get(from..).unwrap_or_default());
        let special = bytes.get(end);
        if self.leading != 0 && (special != Some(&b'\\') || end > from) {
            self.unpaired(sink);
        }
        match special {
            Some(b'"') => self.state = if self.in_key { State::Colon } else { State::After },
            Some(b'\\') => self.state = State::Escape,
            Some(_) => return Err(Fault::Control),
            None => {}
        }
        self.tell(text.get(from..end).unwrap_or_default(), special == Some(&b'"'), sink);
        Ok(end + 1)
    }

    /// Reads the byte after a backslash.
    fn escape(&mut self, byte: u8, sink: &mut impl Sink) -> Result<(), Fault> {
        let meant = match byte {
            b'"' => "\"",
            b'\\' => "\\",
            b'/' => "/",
            b'b' => "\u{8}",
            b'f' => "\u{c}",
            b'n' => "\n",
            b'r' => "\r",
            b't' => "\t",
            b'u' => {
                self.code = 0;
                self.state = State::Hex(4);
                return Ok(());
            }
            _ => return Err(Fault::Escape),
        };
        self.unpaired(sink);
        self.tell(meant, false, sink);
        self.state = State::Text;
        Ok(())
    }

    /// Reads the first of the `left` hexadecimal digits that are still to come of a `\u` escape.
    fn hex(&mut self, byte: u8, left: u8, sink: &mut impl Sink) -> Result<(), Fault> {
        let digit = char::from(byte).to_digit(16).ok_or(Fault::Escape)?;
        self.code = self.code << 4 | u16::try_from(digit).unwrap_or_default();
        self.state = State::Hex(left - 1);
        if left == 1 {
            self.state = State::Text;
            self.code_unit(sink);
        }
        Ok(())
    }

    /// Tells the UTF-16 code unit that an escape has named, or keeps it for its other half.
    fn code_unit(&mut self, sink: &mut impl Sink) {
        if let (0xd800..=0xdbff, 0xdc00..=0xdfff) = (self.leading, self.code) {
            let pair = [std::mem::take(&mut self.leading), self.code];
            char::decode_utf16(pair).flatten().for_each(|c| self.tell_char(c, sink));
            return;
        }
        self.unpaired(sink);
        match self.code {
            0xd800..=0xdbff => self.leading = self.code,
            code => self.tell_char(
                char::from_u32(u32::from(code)).unwrap_or(char::REPLACEMENT_CHARACTER),
                sink,
            ),
        }
    }

    /// A leading surrogate without its other half becomes U+FFFD.
    fn unpaired(&mut self, sink: &mut impl Sink) {
        if self.leading != 0 {
            self.leading = 0;
            self.tell_char(char::REPLACEMENT_CHARACTER, sink);
        }
    }

    fn tell_char(&self, c: char, sink: &mut impl Sink) {
        self.tell(c.encode_utf8(&mut [0; 4]), false, sink);
    }

    fn tell(&self, part: &str, last: bool, sink: &mut impl Sink) {
        if self.in_key {
            sink.token(Token::Key { part, last });
        } else {
            sink.token(Token::Text { part, last });
        }
    }

    /// Reads a number or a word from `from` to its end or the end of the window.
    fn scalar(&mut self, text: &str, from: usize, sink: &mut impl Sink) -> Result<usize, Fault> {
        let within = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'z' | b'+' | b'-' | b'.' | b'E');
        let rest = text.as_bytes().get(from..).unwrap_or_default();
        let end = from + rest.iter().take_while(|b| within(b)).count();
        let part = text.get(from..end).unwrap_or_default();
        if self.held.is_empty() && end < text.len() {
            sink.token(scalar(part)?);
            self.state = State::After;
            return Ok(end);
        }
        self.held.push_str(part).map_err(|_| Fault::Number)?;
        if end < text.len() {
            self.held_scalar(sink)?;
        }
        Ok(end)
    }

    /// Tells the scalar whose pieces were held.
    fn held_scalar(&mut self, sink: &mut impl Sink) -> Result<(), Fault> {
        sink.token(scalar(&self.held)?);
        self.held.clear();
        self.state = State::After;
        Ok(())
    }
}

/// How many bytes at the beginning of `bytes` stand for themselves in a string.
///
/// Eight at a time: of the bytes that a word of flags marks, the first is marked rightly (later
/// ones may be marked by a borrow), and only the first is used.
fn plain_run(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 0xff;
    const HIGHS: u64 = ONES << 7;
    let (words, tail) = bytes.as_chunks::<8>();
    for (at, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = word ^ (ONES * u64::from(b'"'));
        let backslash = word ^ (ONES * u64::from(b'\\'));
        let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGHS;
        let special = below(word, 0x20) | below(quote, 1) | below(backslash, 1);
        if special != 0 {
            return at * 8 + (special.trailing_zeros() / 8) as usize;
        }
    }
    let plain = |&b: &u8| b >= 0x20 && b != b'"' && b != b'\\';
    bytes.len() - tail.len() + tail.iter().position(|b| !plain(b)).unwrap_or(tail.len())
}

/// What a run of letters, digits and signs means.
fn scalar(text: &str) -> Result<Token<'_>, Fault> {
    match text {
        "true" => Ok(Token::Bool(true)),
        "false" => Ok(Token::Bool(false)),
        "null" => Ok(Token::Null),
        _ if text.len() > limits::JSON_NUMBER_BYTES_MAX => Err(Fault::Number),
        _ if !is_number(text) => Err(Fault::Syntax),
        // Without an exponent, no number within the limit of length is too large.
        _ if text.contains(['e', 'E']) && !text.parse().is_ok_and(f64::is_finite) => {
            Err(Fault::Number)
        }
        _ => Ok(Token::Number(text)),
    }
}

/// RFC 8259 6.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (text, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let whole = whole.strip_prefix('-').unwrap_or(whole);
    let power = power.strip_prefix(['+', '-']).unwrap_or(power);
    digits(whole) && (whole == "0" || !whole.starts_with('0')) && digits(fraction) && digits(power)
}

/// Keeps the beginning of a text that comes in pieces: at most `N` bytes, cut between characters.
#[derive(Clone, Debug)]
pub struct Capture<const N: usize> {
    bytes: [u8; N],
    len: usize,
    cut: bool,
    begun: bool,
}

impl<const N: usize> Default for Capture<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Capture<N> {
    /// Holds nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Capture { bytes: [0; N], len: 0, cut: false, begun: false }
    }

    /// Forgets the text.
    pub fn clear(&mut self) {
        self.len = 0;
        self.cut = false;
        self.begun = false;
    }

    /// Takes the next piece. The one after the `last` begins a new text, which replaces this one.
    pub fn push(&mut self, part: &str, last: bool) {
        if !self.begun {
            self.clear();
        }
        self.begun = !last;
        if self.cut {
            return;
        }
        let fits = text::truncate(part, N - self.len);
        self.cut = fits.len() < part.len();
        let end = self.len + fits.len();
        if let Some(room) = self.bytes.get_mut(self.len..end) {
            room.copy_from_slice(fits.as_bytes());
            self.len = end;
        }
    }

    /// Takes the next piece and, if it is the `last`, gives the text, cut to `N` bytes: straight
    /// from the piece when there was but one.
    pub fn join<'a>(&'a mut self, part: &'a str, last: bool) -> Option<&'a str> {
        if last && !self.begun {
            return Some(text::truncate(part, N));
        }
        self.push(part, last);
        last.then_some(self.as_str())
    }

    /// What is kept.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only whole characters went in.
        self.bytes.get(..self.len).and_then(|bytes| str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// Whether there was more than is kept.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut
    }
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

impl std::error::Error for Fault {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes the tokens down, with strings joined, so that cuts do not show.
    #[derive(Default)]
    struct Script(std::string::String);

    impl Sink for Script {
        fn token(&mut self, token: Token<'_>) {
            let (part, end) = match token {
                Token::ObjectBegin => ("{", ""),
                Token::ObjectEnd => ("}", ""),
                Token::ArrayBegin => ("[", ""),
                Token::ArrayEnd => ("]", ""),
                Token::Key { part, last } => (part, if last { ":" } else { "" }),
                Token::Text { part, last } => (part, if last { "," } else { "" }),
                Token::Number(text) => (text, ","),
                Token::Bool(true) => ("true", ","),
                Token::Bool(false) => ("false", ","),
                Token::Null => ("null", ","),
            };
            self.0 += part;
            self.0 += end;
        }
    }

    /// Reads `document` in windows of each size up to its own; all must agree.
    fn read(document: impl AsRef<[u8]>) -> Result<std::string::String, Fault> {
        let document = document.as_ref();
        let in_windows = |size: usize| {
            let (mut tokenizer, mut script) = (Tokenizer::new(), Script::default());
            for window in document.chunks(size) {
                tokenizer.feed(window, &mut script)?;
            }
            tokenizer.finish(&mut script).map(|()| script.0)
        };
        let whole = in_windows(document.len().max(1));
        for size in 1..document.len() {
            assert_eq!(in_windows(size), whole, "windows of {size} bytes");
        }
        whole
    }

    #[test]
    fn a_document_is_told_in_its_order() {
        let document = r#" {"a" : [1, -2.5e3, {}, []], "b": {"c": "d"}, "a": true, "": null } "#;
        assert_eq!(read(document).unwrap(), "{a:[1,-2.5e3,{}[]]b:{c:d,}a:true,:null,}");
        assert_eq!(read("17").unwrap(), "17,");
        assert_eq!(read("\"\"").unwrap(), ",");
    }

    #[test]
    fn escapes_are_undone() {
        assert_eq!(
            read(r#""\"\\\/\b\f\n\r\t\u00e4\uD83E\udd80""#).unwrap(),
            "\"\\/\u{8}\u{c}\n\r\tä🦀,"
        );
        assert_eq!(read(r#"{"\u006bey":0}"#).unwrap(), "{key:0,}");
        assert_eq!(read(r#""\x""#), Err(Fault::Escape));
        assert_eq!(read(r#""\u12g4""#), Err(Fault::Escape));
    }

    #[test]
    fn an_unpaired_surrogate_is_replaced() {
        for unpaired in [r"\ud83e", r"\udd80"] {
            for next in ["", "x", r"\n", "ä", r"\u0041"] {
                let after = read(format!("\"{next}\"")).unwrap();
                assert_eq!(
                    read(format!("\"{unpaired}{next}\"")).unwrap(),
                    format!("\u{fffd}{after}")
                );
            }
        }
        assert_eq!(read(r#""\ud83e\ud83e\udd80\udd80""#).unwrap(), "\u{fffd}🦀\u{fffd},");
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_reason() {
        let syntax = [
            "]",
            "}",
            "{]",
            "[}",
            "[1,]",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{1:2}",
            "01",
            "-",
            "1.",
            ".5",
            "+1",
            "1e",
            "1e+",
            "nul",
            "nulls",
            "tru e",
            "True",
            "1 2",
            "\"\" \"\"",
            "{}{}",
            "[1 2]",
            "a",
            ",",
            ":",
            "\u{feff}1",
            "\\u0041",
            "--1",
            "1.2.3",
            "ä",
        ];
        for document in syntax {
            assert_eq!(read(document), Err(Fault::Syntax), "{document}");
        }
        for document in
            ["", " ", "[", "{\"a\":[1", "\"abc", "\"abc\\", "\"\\ud83e", "[1", "[tru", "{\"a\""]
        {
            assert_eq!(read(document), Err(Fault::Unfinished), "{document}");
        }
        assert_eq!(read("\"a\nb\""), Err(Fault::Control));
        assert_eq!(read("\"a\u{7f}b\"").unwrap(), "a\u{7f}b,");
    }

    #[test]
    fn strings_are_utf8_across_every_cut() {
        assert_eq!(read("\"aä€🦀z\"").unwrap(), "aä€🦀z,");
        for wrong in
            [&b"\xff"[..], b"\xc3", b"\xe2\x82", b"\xf0\x9f\xa6", b"\xed\xa0\x80", b"\xc0\x80"]
        {
            let document = [b"\"a", wrong, b"\""].concat();
            assert_eq!(read(document), Err(Fault::Utf8), "{wrong:?}");
        }
    }

    #[test]
    fn nesting_is_followed_to_its_limit() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(nested(limits::JSON_DEPTH_MAX)).is_ok());
        assert_eq!(read(nested(limits::JSON_DEPTH_MAX + 1)), Err(Fault::Depth));
        let mixed = "{\"a\":[".repeat(limits::JSON_DEPTH_MAX / 2);
        assert_eq!(read(format!("{mixed}}}")), Err(Fault::Syntax));
    }

    #[test]
    fn numbers_have_a_limit_of_length_and_of_size() {
        let longest = "9".repeat(limits::JSON_NUMBER_BYTES_MAX);
        assert_eq!(read(&longest).unwrap(), format!("{longest},"));
        assert_eq!(read(format!("[{longest}9]")), Err(Fault::Number));
        assert_eq!(read("1e309"), Err(Fault::Number));
        assert_eq!(read("-1e308").unwrap(), "-1e308,");
        assert_eq!(read("0e999999").unwrap(), "0e999999,");
    }

    #[test]
    fn a_refusal_is_final_until_reset() {
        let (mut tokenizer, mut script) = (Tokenizer::new(), Script::default());
        assert_eq!(tokenizer.feed(b"[,", &mut script), Err(Fault::Syntax));
        assert_eq!(tokenizer.feed(b"1]", &mut script), Err(Fault::Syntax));
        assert_eq!(tokenizer.feed(b"\xff", &mut script), Err(Fault::Syntax));
        assert_eq!(tokenizer.finish(&mut script), Err(Fault::Syntax));
        tokenizer.reset();
        script.0.clear();
        assert_eq!(tokenizer.feed(b"[1]", &mut script), Ok(()));
        assert_eq!(tokenizer.finish(&mut script), Ok(()));
        assert_eq!(script.0, "[1,]");
    }

    #[test]
    fn a_run_ends_at_the_first_special_byte() {
        for special in [b'"', b'\\', 0, 0x1f] {
            for len in 0..40 {
                let mut bytes = [vec![b' '; len], vec![special, b'"', b'x']].concat();
                assert_eq!(plain_run(&bytes), len);
                bytes[..len].fill(0xff);
                assert_eq!(plain_run(&bytes), len);
                assert_eq!(plain_run(&bytes[..len]), len);
            }
        }
        assert!((0x20..=0xff).filter(|b| !b"\"\\".contains(b)).all(|b| plain_run(&[b; 9]) == 9));
    }

    #[test]
    fn a_capture_is_cut_between_characters_and_says_so() {
        let mut capture = Capture::<6>::new();
        capture.push("ab", false);
        capture.push("🦀", true);
        assert_eq!((capture.as_str(), capture.is_cut()), ("ab🦀", false));
        capture.push("abc", false);
        capture.push("🦀", false);
        capture.push("d", true);
        assert_eq!((capture.as_str(), capture.is_cut()), ("abc", true));
        capture.push("", true);
        assert_eq!((capture.as_str(), capture.is_cut()), ("", false));
        assert_eq!(capture.join("whole words", true), Some("whole "));
        assert_eq!(capture.join("who", false), None);
        assert_eq!(capture.join("le words", true), Some("whole "));
    }
}
