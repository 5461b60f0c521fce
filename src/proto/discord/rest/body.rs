//! The bodies that go with our calls, and what is read of the answers.

use serde::{Deserialize, Serialize};

use crate::base::limits::{
    DISCORD_BODY_BYTES_MAX, DISCORD_FILE_BYTES_MAX, DISCORD_FILES_MAX, THREAD_NAME_CHARS_MAX,
};

/// The body of [`Route::CreateMessage`](super::Route::CreateMessage): `content` (at most 2,000
/// characters) as an answer to the message `reply_to`, if that still exists. Nobody is pinged by
/// it, and a copy that is sent again within the few minutes for which Discord remembers `nonce`
/// (at most 25 characters) is not shown twice.
#[must_use]
pub fn message_body(content: &str, nonce: &str, reply_to: Option<u64>) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        content: &'a str,
        nonce: &'a str,
        enforce_nonce: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        message_reference: Option<Reference>,
        allowed_mentions: Mentions,
    }
    #[derive(Serialize)]
    struct Reference {
        message_id: String,
        fail_if_not_exists: bool,
    }
    written(&Body {
        content,
        nonce,
        enforce_nonce: true,
        message_reference: reply_to
            .map(|id| Reference { message_id: id.to_string(), fail_if_not_exists: false }),
        allowed_mentions: Mentions::default(),
    })
}

/// The body of [`Route::EditMessage`](super::Route::EditMessage) and of
/// [`Route::EditAnswer`](super::Route::EditAnswer): nobody is pinged by it either.
#[must_use]
pub fn edit_body(content: &str) -> String {
    #[derive(Serialize)]
    struct Body<'a> {
        content: &'a str,
        allowed_mentions: Mentions,
    }
    written(&Body { content, allowed_mentions: Mentions::default() })
}

/// The body of [`Route::OpenThread`](super::Route::OpenThread). A name that is too long is cut,
/// and an empty one replaced: Discord would refuse both.
#[must_use]
pub fn thread_body(name: &str) -> String {
    #[derive(Serialize)]
    struct Body {
        name: String,
    }
    let mut name: String = name.trim().chars().take(THREAD_NAME_CHARS_MAX).collect();
    if name.is_empty() {
        name.push_str("thread");
    }
    written(&Body { name })
}

/// The body of [`Route::OpenDirect`](super::Route::OpenDirect).
#[must_use]
pub fn direct_body(person: u64) -> String {
    format!(r#"{{"recipient_id":"{person}"}}"#)
}

/// The body of [`Route::EditApplicationMe`](super::Route::EditApplicationMe).
#[must_use]
pub fn flags_body(flags: u64) -> String {
    format!(r#"{{"flags":{flags}}}"#)
}

/// The body of [`Route::AnswerInteraction`](super::Route::AnswerInteraction) that says "wait" to
/// the one who asked, and to nobody else: a deferred, ephemeral answer.
#[must_use]
pub fn defer_body() -> String {
    r#"{"type":5,"data":{"flags":64}}"#.to_owned()
}

#[derive(Default, Serialize)]
struct Mentions {
    parse: [&'static str; 0],
}

fn written(body: &impl Serialize) -> String {
    // Strings, booleans and lists: nothing in it can fail to be written.
    serde_json::to_string(body).unwrap_or_default()
}

/// A body with files (RFC 7578, and Discord's "Uploading Files").
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Form {
    /// What to send as `Content-Type`.
    pub content_type: String,
    /// The body itself.
    pub bytes: Vec<u8>,
}

/// Why files cannot be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TooLarge {
    /// There are more of them than a message may have.
    Files,
    /// The one with this index has more bytes than Discord takes.
    File(usize),
    /// All of them together have.
    Together,
}

impl Form {
    /// A message whose JSON is `payload`, with `files`: their names and bytes. `mark` must be drawn
    /// at random, so that no file can hold the boundary that is made of it.
    ///
    /// # Errors
    /// Discord would refuse it for its size.
    pub fn new<'a>(
        mark: u64,
        payload: &str,
        files: impl IntoIterator<Item = (&'a str, &'a [u8])> + Clone,
    ) -> Result<Form, TooLarge> {
        let mut size = payload.len() + PART_BYTES;
        for (index, (name, bytes)) in files.clone().into_iter().enumerate() {
            if index >= DISCORD_FILES_MAX {
                return Err(TooLarge::Files);
            }
            if bytes.len() > DISCORD_FILE_BYTES_MAX {
                return Err(TooLarge::File(index));
            }
            size += bytes.len() + name.len() * ESCAPED_BYTES_MAX + PART_BYTES;
        }
        if size > DISCORD_BODY_BYTES_MAX {
            return Err(TooLarge::Together);
        }
        let boundary = format!("barnacle-{mark:016x}");
        let mut bytes = Vec::with_capacity(size);
        let mut part = |head: &str, body: &[u8]| {
            let disposition = "Content-Disposition: form-data; ";
            let head = format!("--{boundary}\r\n{disposition}{head}\r\n\r\n");
            bytes.extend_from_slice(head.as_bytes());
            bytes.extend_from_slice(body);
            bytes.extend_from_slice(b"\r\n");
        };
        let json = "name=\"payload_json\"\r\nContent-Type: application/json";
        part(json, payload.as_bytes());
        for (index, (name, file)) in files.into_iter().enumerate() {
            let name = escaped(name);
            let head = format!("name=\"files[{index}]\"; filename=\"{name}\"");
            part(&format!("{head}\r\nContent-Type: application/octet-stream"), file);
        }
        bytes.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        Ok(Form { content_type: format!("multipart/form-data; boundary={boundary}"), bytes })
    }
}

/// What stands around the bytes of a part at most.
const PART_BYTES: usize = 256;
/// What a byte of a name becomes at most.
const ESCAPED_BYTES_MAX: usize = 3;

/// A file's name as a form writes it: nothing in it ends the line or the quotes, and it has no
/// path.
fn escaped(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut out = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '"' => out.push_str("%22"),
            '\r' => out.push_str("%0D"),
            '\n' => out.push_str("%0A"),
            c if c.is_control() => out.push('_'),
            c => out.push(c),
        }
    }
    if out.is_empty() { "file".to_owned() } else { out }
}

/// What an answer that is no success says of itself.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Complaint {
    /// Discord's word for it ("JSON Error Codes"); 0 if it gave none.
    pub code: u32,
    /// How many seconds a 429 asks us to wait.
    pub retry_after: Option<f64>,
    /// Whether the limit is the one over all routes.
    pub global: bool,
}

impl Complaint {
    /// Reads the body of an error. What is no such body says nothing.
    #[must_use]
    pub fn read(body: &[u8]) -> Complaint {
        #[derive(Deserialize)]
        struct Raw {
            #[serde(default)]
            code: Option<serde_json::Number>,
            #[serde(default)]
            retry_after: Option<f64>,
            #[serde(default)]
            global: Option<bool>,
        }
        let Ok(raw) = serde_json::from_slice::<Raw>(body) else { return Complaint::default() };
        let code = raw.code.and_then(|code| code.as_u64()).and_then(|code| code.try_into().ok());
        Complaint {
            code: code.unwrap_or_default(),
            retry_after: raw.retry_after,
            global: raw.global.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_reads_back_whatever_was_said() {
        let every_control: String = (0..0x20).filter_map(char::from_u32).collect();
        for text in ["plain", "\"quoted\\\"", "🦀\u{2028}\u{7f}", every_control.as_str()] {
            for body in [message_body(text, "n", Some(9)), edit_body(text)] {
                assert!(body.bytes().all(|byte| byte >= 0x20), "{body}");
                let value: serde_json::Value = serde_json::from_str(&body).unwrap();
                assert_eq!(value["content"], text);
                assert_eq!(value["allowed_mentions"]["parse"].as_array().map(Vec::len), Some(0));
            }
        }
    }

    #[test]
    fn a_body_pings_nobody_and_is_shown_once() {
        let body = message_body("hi", "barnacle-0123", Some(u64::MAX));
        let expected = concat!(
            r#"{"content":"hi","nonce":"barnacle-0123","enforce_nonce":true,"#,
            r#""message_reference":{"message_id":"18446744073709551615","#,
            r#""fail_if_not_exists":false},"allowed_mentions":{"parse":[]}}"#,
        );
        assert_eq!(body, expected);
        assert!(!message_body("hi", "n", None).contains("message_reference"));
    }

    #[test]
    fn a_thread_has_a_name_that_discord_takes() {
        assert_eq!(thread_body(" \n"), r#"{"name":"thread"}"#);
        let long: serde_json::Value = serde_json::from_str(&thread_body(&"ä".repeat(101))).unwrap();
        assert_eq!(long["name"].as_str().unwrap().chars().count(), 100);
    }

    #[test]
    fn files_go_as_a_form_and_their_names_stay_in_their_quotes() {
        let files: [(&str, &[u8]); 2] = [("a.txt", b"abc\r\n"), ("../\"x\"\r\ny\u{7}", b"")];
        let form = Form::new(0x1f, "{\"content\":\"hi\"}", files).unwrap();
        assert_eq!(form.content_type, "multipart/form-data; boundary=barnacle-000000000000001f");
        let text = String::from_utf8(form.bytes).unwrap();
        assert_eq!(text.matches("--barnacle-000000000000001f").count(), 4, "{text}");
        assert!(text.ends_with("--barnacle-000000000000001f--\r\n"));
        assert!(text.contains("name=\"payload_json\"\r\nContent-Type: application/json\r\n\r\n{"));
        assert!(text.contains("name=\"files[0]\"; filename=\"a.txt\"\r\n"));
        assert!(text.contains("\r\n\r\nabc\r\n\r\n--barnacle"));
        assert!(text.contains("name=\"files[1]\"; filename=\"%22x%22%0D%0Ay_\"\r\n"));
    }

    #[test]
    fn what_discord_would_refuse_for_its_size_is_not_built() {
        let large = vec![0; DISCORD_FILE_BYTES_MAX + 1];
        let (whole, over) = (&large[1..], &large[..]);
        assert_eq!(Form::new(1, "{}", [("a", whole), ("b", over)]), Err(TooLarge::File(1)));
        assert_eq!(Form::new(1, "{}", [("a", whole); 3]), Err(TooLarge::Together));
        assert_eq!(Form::new(1, "{}", [("a", &[][..]); 11]), Err(TooLarge::Files));
        let form = Form::new(1, "{}", [("a", whole); 2]).unwrap();
        assert!(form.bytes.len() <= DISCORD_BODY_BYTES_MAX && form.bytes.len() > 2 * whole.len());
    }

    #[test]
    fn an_error_says_its_code_and_how_long_to_wait() {
        let complaint = Complaint::read(br#"{"message":"Unknown Channel","code":10003}"#);
        assert_eq!(complaint, Complaint { code: 10_003, ..Complaint::default() });
        let limited = Complaint::read(br#"{"retry_after":0.25,"global":true,"message":"x"}"#);
        assert_eq!((limited.retry_after, limited.global, limited.code), (Some(0.25), true, 0));
        for odd in [&b""[..], b"<html>", b"{\"code\":-1}", b"{\"code\":1e99}", b"\xff"] {
            assert_eq!(Complaint::read(odd).code, 0);
        }
    }
}
