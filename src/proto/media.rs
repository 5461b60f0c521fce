//! Sound and pictures on the wire: what the first bytes of a file tell of it, and the two calls by
//! which sound becomes text and text sound.
//!
//! Both are `OpenAI`'s (its documentation, "Create transcription" and "Create speech"), which most
//! others speak as well; of whisper.cpp's server the answers are the same, with an error sometimes
//! in a body whose status is a success (its README, "whisper.cpp/examples/server").

use std::fmt::Write as _;

use crate::base::hash::fnv1a;
use crate::base::limits::{TRANSCRIPT_TEXT_BYTES_MAX, VOICE_BOUNDARY_TRIES_MAX};
use crate::base::text::truncate;

/// What a file is, by its first bytes. The names in comments are those of the formats' documents.
#[must_use]
pub fn sniff(bytes: &[u8]) -> Option<&'static str> {
    let at = |offset: usize, magic: &[u8]| {
        bytes.get(offset..).is_some_and(|rest| rest.starts_with(magic))
    };
    let is_frame = matches!(bytes, [0xff, second, ..] if second & 0xe0 == 0xe0);
    Some(match () {
        () if at(0, b"\x89PNG\r\n\x1a\n") => "image/png",
        () if at(0, b"\xff\xd8\xff") => "image/jpeg",
        () if at(0, b"GIF87a") || at(0, b"GIF89a") => "image/gif",
        () if at(0, b"RIFF") && at(8, b"WEBP") => "image/webp",
        () if at(0, b"RIFF") && at(8, b"WAVE") => "audio/wav",
        () if at(0, b"OggS") => "audio/ogg",
        () if at(0, b"fLaC") => "audio/flac",
        () if at(0, b"ID3") => "audio/mpeg",
        // ISO 14496-12; what is in it may be a film, whose sound can be listened to as well.
        () if at(4, b"ftyp") => "audio/mp4",
        // EBML: WebM, Matroska.
        () if at(0, b"\x1a\x45\xdf\xa3") => "audio/webm",
        // MPEG-1 audio, or AAC in ADTS.
        () if is_frame => "audio/mpeg",
        () => return None,
    })
}

/// How answers are spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sound {
    /// Ogg with Opus: small, and what Discord's own voice notes are.
    Opus,
    /// MP3: what plays everywhere.
    Mp3,
}

impl Sound {
    /// The word that the endpoint knows.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Sound::Opus => "opus",
            Sound::Mp3 => "mp3",
        }
    }
}

/// A body of several parts (RFC 7578).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Form {
    /// What to send as `Content-Type`.
    pub content_type: String,
    /// The body.
    pub bytes: Vec<u8>,
}

/// A recording that is to become text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Recording<'a> {
    /// What it is called; servers tell formats by its end.
    pub name: &'a str,
    /// Its type.
    pub kind: &'a str,
    /// What is in it.
    pub bytes: &'a [u8],
}

impl Recording<'_> {
    /// The form in which it is sent, to the model of this name (whisper.cpp's server asks for
    /// none) and in this language, if it is known.
    #[must_use]
    pub fn form(&self, model: &str, language: Option<&str>) -> Form {
        let boundary = boundary(self.bytes);
        let mut head = String::new();
        let mut field = |name: &str, value: &str| {
            let value = value.replace(['\r', '\n'], " ");
            let _ = write!(
                head,
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            );
        };
        if !model.is_empty() {
            field("model", model);
        }
        if let Some(language) = language {
            field("language", language);
        }
        field("response_format", "json");
        let _ = write!(
            head,
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{}\"\r\n\
             Content-Type: {}\r\n\r\n",
            self.file_name(),
            self.kind
        );
        let tail = format!("\r\n--{boundary}--\r\n");
        let mut bytes = Vec::with_capacity(head.len() + self.bytes.len() + tail.len());
        bytes.extend_from_slice(head.as_bytes());
        bytes.extend_from_slice(self.bytes);
        bytes.extend_from_slice(tail.as_bytes());
        Form { content_type: format!("multipart/form-data; boundary={boundary}"), bytes }
    }

    /// Its name without what has a meaning in a header, and with an end that says what it is.
    fn file_name(&self) -> String {
        let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let name: String = self.name.chars().filter(is_plain).collect();
        let end = match self.kind {
            "audio/ogg" => ".ogg",
            "audio/wav" => ".wav",
            "audio/flac" => ".flac",
            "audio/mp4" => ".m4a",
            "audio/webm" => ".webm",
            _ => ".mp3",
        };
        if name.to_ascii_lowercase().ends_with(end) { name } else { format!("{name}{end}") }
    }
}

/// A line that does not occur in `bytes`. Whoever made them cannot know it: it is made of all of
/// them.
fn boundary(bytes: &[u8]) -> String {
    let mut seed = fnv1a(bytes.iter().copied());
    for _ in 0..VOICE_BOUNDARY_TRIES_MAX {
        let boundary = format!("barnacle-{seed:016x}");
        let is_there = bytes.windows(boundary.len()).any(|window| window == boundary.as_bytes());
        if !is_there {
            return boundary;
        }
        seed = fnv1a(seed.to_le_bytes());
    }
    // Each try hits by a chance of less than one in a billion.
    format!("barnacle-{seed:016x}-")
}

/// Reads the answer to a [`Recording`]: the words, or in `Err` what it says instead.
///
/// # Errors
/// It is no transcript.
pub fn transcript(body: &[u8]) -> Result<String, String> {
    #[derive(serde::Deserialize)]
    struct Answer {
        text: Option<String>,
        error: Option<serde_json::Value>,
    }
    let text = std::str::from_utf8(body).map_err(|_| "it is no text".to_owned())?;
    if !text.trim_start().starts_with('{') {
        // Some answer with the text alone, whatever they are asked for.
        return Ok(truncate(text.trim(), TRANSCRIPT_TEXT_BYTES_MAX).to_owned());
    }
    let answer: Answer = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match (answer.text, answer.error) {
        (Some(text), None) => Ok(truncate(text.trim(), TRANSCRIPT_TEXT_BYTES_MAX).to_owned()),
        (_, Some(error)) => Err(complaint(&error)),
        (None, None) => Err("there is no text in it".to_owned()),
    }
}

/// What an endpoint says that refuses, cut to what is of interest.
#[must_use]
pub fn complaint_of(body: &[u8]) -> String {
    let told = serde_json::from_slice::<serde_json::Value>(body).ok();
    let error = told.as_ref().and_then(|told| told.get("error"));
    let text = error.map_or_else(|| String::from_utf8_lossy(body).into_owned(), complaint);
    text.trim().chars().take(COMPLAINT_CHARS_MAX).collect()
}

/// Of an endpoint's words, this much is of interest.
const COMPLAINT_CHARS_MAX: usize = 200;

fn complaint(error: &serde_json::Value) -> String {
    let words = error.get("message").unwrap_or(error);
    let text = words.as_str().map_or_else(|| words.to_string(), str::to_owned);
    text.chars().take(COMPLAINT_CHARS_MAX).collect()
}

/// The body that asks for `text` to be spoken.
#[must_use]
pub fn speech(model: &str, voice: &str, sound: Sound, text: &str) -> Vec<u8> {
    let body = serde_json::json!({
        "model": model, "voice": voice, "response_format": sound.name(), "input": text,
    });
    body.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOTE: Recording<'_> =
        Recording { name: "no\"te\r\n.x", kind: "audio/ogg", bytes: b"OggS\r\n--barnacle" };

    #[test]
    fn files_are_known_by_their_first_bytes_and_nothing_else() {
        for (bytes, kind) in [
            (&b"\x89PNG\r\n\x1a\n...."[..], Some("image/png")),
            (b"\xff\xd8\xff\xe0", Some("image/jpeg")),
            (b"GIF89a", Some("image/gif")),
            (b"RIFF1234WEBPVP8 ", Some("image/webp")),
            (b"RIFF1234WAVEfmt ", Some("audio/wav")),
            (b"OggS\0", Some("audio/ogg")),
            (b"ID3\x04", Some("audio/mpeg")),
            (b"\xff\xfb\x90", Some("audio/mpeg")),
            (b"\0\0\0\x20ftypM4A ", Some("audio/mp4")),
            (b"\x1a\x45\xdf\xa3", Some("audio/webm")),
            (b"fLaC", Some("audio/flac")),
            (b"<svg xmlns", None),
            (b"<!doctype html>", None),
            (b"RIFF", None),
            (b"", None),
        ] {
            assert_eq!(sniff(bytes), kind, "{bytes:?}");
        }
    }

    #[test]
    fn a_form_has_its_fields_and_the_very_bytes() {
        let Form { content_type, bytes } = NOTE.form("whisper-1", Some("de\r\nX: y"));
        let boundary = content_type.split_once("boundary=").unwrap().1;
        let text = String::from_utf8(bytes).unwrap();
        let parts: Vec<&str> = text.split(&format!("--{boundary}")).collect();
        assert_eq!(parts.len(), 6, "{text}");
        assert_eq!((parts[0], parts[5]), ("", "--\r\n"));
        assert!(parts[1].contains("name=\"model\"\r\n\r\nwhisper-1\r\n"));
        assert!(parts[2].contains("name=\"language\"\r\n\r\nde  X: y\r\n"));
        assert!(parts[3].contains("name=\"response_format\"\r\n\r\njson\r\n"));
        let head = "name=\"file\"; filename=\"note.x.ogg\"\r\nContent-Type: audio/ogg\r\n\r\n";
        let file = parts[4].split_once(head).unwrap().1;
        assert_eq!(file.as_bytes(), [NOTE.bytes, b"\r\n"].concat());
    }

    #[test]
    fn a_transcript_is_read_from_whoever_answers() {
        assert_eq!(transcript(br#"{"text":" hello there\n"}"#), Ok("hello there".into()));
        assert_eq!(transcript(b" plain words \n"), Ok("plain words".into()));
        assert_eq!(transcript(br#"{"text":"","usage":{}}"#), Ok(String::new()));
        let refused = transcript(br#"{"error":"failed to read audio data"}"#);
        assert_eq!(refused, Err("failed to read audio data".into()));
        let wrapped = transcript(br#"{"error":{"message":"no such model","type":"x"}}"#);
        assert_eq!(wrapped, Err("no such model".into()));
        for odd in [&b"{}"[..], b"{", b"\xff\xfe", br#"{"text":7}"#] {
            assert!(transcript(odd).is_err(), "{odd:?}");
        }
        let endless = transcript("x".repeat(1_000_000).as_bytes()).unwrap();
        assert_eq!(endless.len(), TRANSCRIPT_TEXT_BYTES_MAX);
    }

    #[test]
    fn a_complaint_is_short_and_the_endpoints_own() {
        assert_eq!(complaint_of(br#"{"error":{"message":"no"}}"#), "no");
        assert_eq!(complaint_of(b" oops "), "oops");
        assert_eq!(complaint_of(&[b'x'; 9999]).len(), COMPLAINT_CHARS_MAX);
    }

    proptest! {
        #[test]
        fn whatever_is_in_a_recording_comes_out_of_the_form_again(
            bytes in proptest::collection::vec(any::<u8>(), 0..600),
        ) {
            let note = Recording { bytes: &bytes, ..NOTE };
            let Form { content_type, bytes: body } = note.form("m", None);
            let boundary = content_type.split_once("boundary=").unwrap().1;
            let mark = format!("--{boundary}").into_bytes();
            let places: Vec<usize> = body
                .windows(mark.len())
                .enumerate()
                .filter(|(_, window)| *window == mark)
                .map(|(at, _)| at)
                .collect();
            prop_assert_eq!(places.len(), 4);
            let part = &body[places[2]..places[3]];
            let head = part.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
            prop_assert_eq!(&part[head + 4..part.len() - 2], &bytes[..]);
        }

        #[test]
        fn no_answer_is_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = (transcript(&bytes), complaint_of(&bytes), sniff(&bytes));
        }
    }
}
