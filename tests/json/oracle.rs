//! What the tokenizer must agree with: `serde_json`, document by document. The property tests and
//! the fuzzer share it.

use barnacle::base::limits::{JSON_DEPTH_MAX, JSON_NUMBER_BYTES_MAX};
use barnacle::proto::json::{Fault, Sink, Token, Tokenizer};
use serde_json::{Map, Value};

/// Builds a `Value` of the tokens, and checks that they come in an order that makes sense.
#[derive(Default)]
struct Builder {
    /// What is open: the object or array so far, and the key that it will have where it lies.
    open: Vec<(Value, String)>,
    /// The key of the next value.
    key: String,
    /// The string or key so far, while one is being told.
    text: String,
    done: Option<Value>,
}

impl Builder {
    fn value(&mut self, value: Value) {
        assert_eq!(self.text, "", "a value amid a string");
        match self.open.last_mut() {
            Some((Value::Object(object), _)) => {
                object.insert(std::mem::take(&mut self.key), value);
            }
            Some((Value::Array(array), _)) => array.push(value),
            Some(_) => unreachable!("only objects and arrays are opened"),
            None => assert!(self.done.replace(value).is_none(), "a second document"),
        }
    }

    fn begin(&mut self, value: Value) {
        self.open.push((value, std::mem::take(&mut self.key)));
    }

    fn end(&mut self, object: bool) {
        let (value, key) = self.open.pop().expect("nothing is open");
        assert_eq!(value.is_object(), object);
        self.key = key;
        self.value(value);
    }
}

impl Sink for Builder {
    fn token(&mut self, token: Token<'_>) {
        match token {
            Token::ObjectBegin => self.begin(Value::Object(Map::new())),
            Token::ArrayBegin => self.begin(Value::Array(Vec::new())),
            Token::ObjectEnd => self.end(true),
            Token::ArrayEnd => self.end(false),
            Token::Key { part, last } => {
                self.text += part;
                if last {
                    self.key = std::mem::take(&mut self.text);
                }
            }
            Token::Text { part, last } => {
                self.text += part;
                if last {
                    let text = std::mem::take(&mut self.text);
                    self.value(Value::String(text));
                }
            }
            Token::Number(text) => {
                self.value(Value::Number(serde_json::from_str(text).expect("a number")));
            }
            Token::Bool(value) => self.value(Value::Bool(value)),
            Token::Null => self.value(Value::Null),
        }
    }
}

/// Reads `document` in windows of the given sizes, over and over; sizes of 0 are read as 1.
pub(crate) fn tokenize(document: &[u8], windows: &[u8]) -> Result<Value, Fault> {
    let (mut tokenizer, mut builder) = (Tokenizer::new(), Builder::default());
    let mut rest = document;
    for &size in windows.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (window, after) = rest.split_at(usize::from(size.max(1)).min(rest.len()));
        tokenizer.feed(window, &mut builder)?;
        rest = after;
    }
    tokenizer.feed(rest, &mut builder)?;
    tokenizer.finish(&mut builder)?;
    Ok(builder.done.expect("an accepted document has a value"))
}

/// Panics if we and `serde_json` disagree about `document`: about whether it is JSON, or about what
/// it says. Documents beyond our own limits are only tried.
pub(crate) fn compare(document: &[u8], windows: &[u8]) {
    let ours = tokenize(document, windows);
    assert_eq!(ours, tokenize(document, &[]), "cuts matter");
    if is_beyond_limits(document) {
        return;
    }
    match (ours, serde_json::from_slice::<Value>(&paired(document))) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours, theirs),
        (Err(_), Err(_)) => {}
        (ours, theirs) => panic!("we say {ours:?}, serde_json says {theirs:?}"),
    }
}

/// Whether nesting or the length of a number might be over a limit: ours, or `serde_json`'s 127
/// levels.
fn is_beyond_limits(document: &[u8]) -> bool {
    let (mut in_string, mut escaped) = (false, false);
    let (mut depth, mut scalar) = (0, 0);
    for &byte in document {
        let quote = byte == b'"' && !escaped;
        escaped = in_string && byte == b'\\' && !escaped;
        in_string ^= quote;
        let in_scalar = !in_string && (byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        scalar = if in_scalar { scalar + 1 } else { 0 };
        // Closing brackets are left out: this may err, on the side of trying only.
        depth += usize::from(!in_string && b"[{".contains(&byte));
        if depth >= JSON_DEPTH_MAX || scalar > JSON_NUMBER_BYTES_MAX {
            return true;
        }
    }
    false
}

/// `document` with U+FFFD for each unpaired surrogate escape, where `serde_json` gives up.
fn paired(document: &[u8]) -> Vec<u8> {
    let mut paired = document.to_vec();
    let mut at = 0;
    while at < paired.len() {
        let next = match (code_unit(&paired, at), code_unit(&paired, at + 6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                paired[at + 2..at + 6].copy_from_slice(b"fffd");
                6
            }
            _ if paired[at] == b'\\' => 2,
            _ => 1,
        };
        at += next;
    }
    paired
}

/// The code unit that an escape at `at` names, if there is one.
fn code_unit(document: &[u8], at: usize) -> Option<u16> {
    let digits = document.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let all_hex = digits.iter().all(u8::is_ascii_hexdigit);
    u16::from_str_radix(str::from_utf8(digits).ok().filter(|_| all_hex)?, 16).ok()
}
