//! What an agent says, as it comes out of a program or an endpoint, read as acts.
//!
//! - **A program** prints a text, or JSON: one object, or one object on each line. It is JSON if
//!   it begins with `{` and every line, or all of it together, is an object with at least one of
//!   the keys below; else all of it is the text.
//! - **An endpoint** answers with `application/json` (an object, an array of them, or a string),
//!   with lines of JSON (`application/x-ndjson`), with `text/plain`, or with `text/event-stream`.
//!
//! The keys: `text` (or `reply`, `content`, `message`, `output`, `response`, `answer`, `result`),
//! `file` and `files` (`{"name", "path" | "base64"}`), `react` (an emoji), `thread` (a name),
//! `acts` (an array of such objects), `typing` (nothing: a chat shows it anyway), and `error`.
//! Others mean nothing. A key with a value of another kind makes the answer unreadable, so that
//! its author hears of it.

mod words;

use serde::{Deserialize, Deserializer};

use super::answer::{Act, Answer, File};
use super::turn::Fault;
use crate::base::base64;
use crate::base::limits::{AGENT_ACTS_MAX, AGENT_FILES_MAX, AGENT_REPLY_CHARS_MAX};
use words::{Complaint, Words};

/// One thing that an agent wants done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wish {
    /// To say this.
    Say(String),
    /// To attach a file.
    Attach(Attachment),
    /// To react to the message that is answered.
    React(String),
    /// To open a thread.
    Thread(String),
}

/// A file as an agent names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attachment {
    /// Its name; may be empty.
    pub name: String,
    /// Its bytes, or where they are.
    pub from: Source,
}

/// Where a file's bytes are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// Here.
    Bytes(Vec<u8>),
    /// In this file.
    Path(String),
}

/// What cannot be read, and why, in words for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unread {
    /// The fault that it is.
    pub fault: Fault,
    /// What exactly; may hold words of the agent's, so it is to be escaped.
    pub why: String,
}

impl Unread {
    fn garbled(why: impl Into<String>) -> Unread {
        Unread { fault: Fault::Garbled, why: why.into() }
    }
}

/// Reads what a program has printed. `was_cut` says that it printed more than that.
///
/// # Errors
/// It is not text, or JSON of another shape than the module says, or it reports an error.
pub fn of_program(bytes: &[u8], was_cut: bool) -> Result<Vec<Wish>, Unread> {
    let text = match str::from_utf8(bytes) {
        Ok(text) => text,
        // A character that was cut in two is no fault.
        Err(error) if was_cut && error.error_len().is_none() => {
            str::from_utf8(bytes.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
        Err(_) => return Err(Unread::garbled("it is not UTF-8")),
    };
    if text.contains('\0') {
        return Err(Unread::garbled("it is not text: there is a NUL in it"));
    }
    let text = text.trim();
    if text.starts_with('{')
        && let Some(wishes) = json_lines(text, was_cut)?
    {
        return Ok(wishes);
    }
    Ok(says(text).into_iter().collect())
}

/// Reads the body of an endpoint's answer; `kind` is its `Content-Type`.
///
/// # Errors
/// As [`of_program`]'s.
pub fn of_endpoint(kind: Option<&str>, bytes: &[u8]) -> Result<Vec<Wish>, Unread> {
    let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    let kind = kind.to_ascii_lowercase();
    match kind.as_str() {
        "" | "text/plain" | "text/markdown" => of_program(bytes, false),
        "application/x-ndjson" | "application/jsonl" | "application/json-lines" => {
            let text = str::from_utf8(bytes).map_err(|_| Unread::garbled("it is not UTF-8"))?;
            if text.trim().is_empty() {
                return Ok(Vec::new());
            }
            let lines = json_lines(text.trim(), false)?;
            lines.ok_or_else(|| Unread::garbled("not every line is an object with a known key"))
        }
        json if json == "application/json" || json.ends_with("+json") => of_json(bytes),
        other => Err(Unread::garbled(format!("it is of the type \"{other}\""))),
    }
}

fn of_json(bytes: &[u8]) -> Result<Vec<Wish>, Unread> {
    let text = str::from_utf8(bytes).map_err(|_| Unread::garbled("it is not UTF-8"))?.trim();
    let unread = |error: serde_json::Error| Unread::garbled(error.to_string());
    let mut wishes = Vec::new();
    match text.as_bytes().first() {
        None => {}
        Some(b'{') => {
            let line: Line = serde_json::from_str(text).map_err(unread)?;
            let is_empty = text.get(1..).is_some_and(|rest| rest.trim_start().starts_with('}'));
            if !line.is_known() && !is_empty {
                return Err(Unread::garbled("it has none of the keys that mean something"));
            }
            line.wishes(&mut wishes)?;
        }
        Some(b'[') => {
            let lines: Vec<Line> = serde_json::from_str(text).map_err(unread)?;
            for line in lines {
                line.wishes(&mut wishes)?;
            }
        }
        Some(_) => {
            let words: Words = serde_json::from_str(text).map_err(unread)?;
            wishes.extend(says(&words.0));
        }
    }
    Ok(wishes)
}

/// The acts of one object, or of an object on each line; `None` if it is none of the two.
fn json_lines(text: &str, was_cut: bool) -> Result<Option<Vec<Wish>>, Unread> {
    let mut wishes = Vec::new();
    if let Reading::Object(line) = Line::read(text)? {
        line.wishes(&mut wishes)?;
        return Ok(Some(wishes));
    }
    // The last line of what was cut is not whole.
    let text = if was_cut { text.rsplit_once('\n').map_or("", |(whole, _)| whole) } else { text };
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match Line::read(line) {
            Ok(Reading::Object(line)) => line.wishes(&mut wishes)?,
            Ok(Reading::Text) => return Ok(None),
            Err(unread) => return Err(unread),
        }
    }
    Ok((!text.is_empty()).then_some(wishes))
}

fn says(text: &str) -> Option<Wish> {
    (!text.trim().is_empty()).then(|| Wish::Say(text.trim_end().to_owned()))
}

fn named(thread: Option<Words>) -> Option<Wish> {
    let name = thread.unwrap_or_default().0;
    (!name.trim().is_empty()).then_some(Wish::Thread(name))
}

/// An object that an agent wrote.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Line {
    #[serde(deserialize_with = "some")]
    text: Option<Words>,
    #[serde(deserialize_with = "some")]
    reply: Option<Words>,
    #[serde(deserialize_with = "some")]
    content: Option<Words>,
    #[serde(deserialize_with = "some")]
    message: Option<Words>,
    #[serde(deserialize_with = "some")]
    output: Option<Words>,
    #[serde(deserialize_with = "some")]
    response: Option<Words>,
    #[serde(deserialize_with = "some")]
    answer: Option<Words>,
    #[serde(deserialize_with = "some")]
    result: Option<Words>,
    #[serde(deserialize_with = "some")]
    delta: Option<Words>,
    #[serde(deserialize_with = "some")]
    choices: Option<Words>,
    file: Option<Named>,
    files: Option<Vec<Named>>,
    react: Option<String>,
    #[serde(deserialize_with = "some")]
    thread: Option<Words>,
    typing: Option<serde::de::IgnoredAny>,
    acts: Option<Vec<Line>>,
    #[serde(deserialize_with = "some")]
    error: Option<Complaint>,
    is_error: Option<bool>,
}

/// A key that is there counts, also with a `null`.
fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

/// A file in it.
#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    name: Option<String>,
    path: Option<String>,
    base64: Option<String>,
}

/// What a line turned out to be.
enum Reading {
    /// An object that means something.
    Object(Box<Line>),
    /// A text.
    Text,
}

impl Line {
    fn read(text: &str) -> Result<Reading, Unread> {
        match serde_json::from_str::<Line>(text) {
            // Only an object: an array would be read by the places of its elements.
            Ok(line) if line.is_known() && text.trim_start().starts_with('{') => {
                Ok(Reading::Object(Box::new(line)))
            }
            Err(error) if error.is_data() && text.trim_start().starts_with('{') => {
                Err(Unread::garbled(error.to_string()))
            }
            _ => Ok(Reading::Text),
        }
    }

    fn is_known(&self) -> bool {
        self.words().is_some()
            || self.stream().is_some()
            || self.file.is_some()
            || self.files.is_some()
            || self.react.is_some()
            || self.thread.is_some()
            || self.typing.is_some()
            || self.acts.is_some()
            || self.error.is_some()
            || self.is_error == Some(true)
    }

    /// The first of the keys for what is to be said.
    fn words(&self) -> Option<&Words> {
        let Line { text, reply, content, message, output, response, answer, result, .. } = self;
        let all = [text, reply, content, message, output, response, answer, result];
        let mut there = all.into_iter().filter_map(Option::as_ref);
        let first = there.next()?;
        Some(if first.0.is_empty() {
            there.find(|w| !w.0.is_empty()).unwrap_or(first)
        } else {
            first
        })
    }

    /// The keys for a piece of it.
    fn stream(&self) -> Option<&Words> {
        self.delta.as_ref().or(self.choices.as_ref())
    }

    /// Adds what it wants done, but for what it says.
    fn other_wishes(&mut self, wishes: &mut Vec<Wish>) -> Result<(), Unread> {
        let failed = self.is_error == Some(true);
        if let Some(Complaint(Some(why))) = self.error.take() {
            return Err(Unread { fault: Fault::Declined, why });
        }
        if failed {
            let why = self.words().map(|words| words.0.clone()).unwrap_or_default();
            return Err(Unread { fault: Fault::Declined, why });
        }
        let named = self.file.take().into_iter().chain(self.files.take().unwrap_or_default());
        for file in named {
            wishes.push(Wish::Attach(file.attachment()?));
        }
        wishes.extend(self.react.take().map(Wish::React));
        for line in self.acts.take().unwrap_or_default() {
            line.wishes(wishes)?;
        }
        Ok(())
    }

    fn wishes(mut self, wishes: &mut Vec<Wish>) -> Result<(), Unread> {
        wishes.extend(named(self.thread.take()));
        let said = self.words().or(self.stream()).and_then(|words| says(&words.0));
        let before = wishes.len();
        self.other_wishes(wishes)?;
        if let Some(said) = said {
            wishes.insert(before, said);
        }
        Ok(())
    }
}

impl Named {
    fn attachment(self) -> Result<Attachment, Unread> {
        let from = match (self.base64, self.path) {
            (Some(text), None) => {
                let bytes = base64::decode(&text);
                Source::Bytes(bytes.ok_or_else(|| Unread::garbled("a file is not in base64"))?)
            }
            (None, Some(path)) => Source::Path(path),
            _ => return Err(Unread::garbled("a file has either \"path\" or \"base64\"")),
        };
        Ok(Attachment { name: self.name.unwrap_or_default(), from })
    }
}

/// What an endpoint says piece by piece.
#[derive(Debug, Default)]
pub struct Stream {
    said: String,
    /// Whether pieces came that call themselves pieces.
    in_pieces: bool,
    others: Vec<Wish>,
    is_over: bool,
}

impl Stream {
    /// Hears an event. What is text is added to what was said; what is JSON says so by `delta`,
    /// or by the keys of an answer, or is another act; `[DONE]` is the end.
    ///
    /// # Errors
    /// It reports an error, or has a known key of another kind.
    pub fn hear(&mut self, name: &str, data: &str) -> Result<(), Unread> {
        if self.is_over {
            return Ok(());
        }
        if name.eq_ignore_ascii_case("error") {
            return Err(Unread { fault: Fault::Declined, why: data.to_owned() });
        }
        if data.trim() == "[DONE]" {
            self.is_over = true;
            return Ok(());
        }
        match data.trim_start().as_bytes().first() {
            Some(b'{') => match serde_json::from_str::<Line>(data) {
                Ok(line) => return self.hear_line(line),
                Err(error) if error.is_data() => return Err(Unread::garbled(error.to_string())),
                Err(_) => {}
            },
            Some(b'"') => {
                if let Ok(text) = serde_json::from_str::<String>(data) {
                    self.said.push_str(&text);
                    return Ok(());
                }
            }
            _ => {}
        }
        self.said.push_str(data);
        Ok(())
    }

    fn hear_line(&mut self, mut line: Line) -> Result<(), Unread> {
        self.others.extend(named(line.thread.take()));
        line.other_wishes(&mut self.others)?;
        if let Some(piece) = line.stream() {
            self.in_pieces = true;
            self.said.push_str(&piece.0);
        } else if let Some(words) = line.words() {
            // Some say all of it again when they have said it in pieces.
            if !(self.in_pieces && words.0 == self.said) {
                self.said.push_str(&words.0);
            }
        }
        Ok(())
    }

    /// What it said so far.
    #[must_use]
    pub fn said(&self) -> &str {
        &self.said
    }

    /// Whether `[DONE]` was heard.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// What it wants done: to open threads, to say what it said, and the rest.
    #[must_use]
    pub fn finish(self) -> Vec<Wish> {
        let is_thread = |wish: &Wish| matches!(wish, Wish::Thread(_));
        let (mut wishes, rest): (Vec<Wish>, _) = self.others.into_iter().partition(is_thread);
        wishes.extend(says(&self.said));
        wishes.extend(rest);
        wishes
    }
}

/// What of an agent's wishes was left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LeftOut {
    /// Characters that were not said.
    pub chars: usize,
    /// Acts.
    pub acts: usize,
    /// Files.
    pub files: usize,
}

/// What it wants done, within the bounds of one answer. Files go with the text before them; those
/// that have no bytes yet are read by `load`.
pub fn answer(
    wishes: Vec<Wish>,
    mut load: impl FnMut(Attachment) -> Option<File>,
) -> (Answer, LeftOut) {
    let (mut answer, mut left_out) = (Answer::default(), LeftOut::default());
    let (mut chars_left, mut files_left) = (AGENT_REPLY_CHARS_MAX, AGENT_FILES_MAX);
    for wish in wishes {
        if answer.acts.len() >= AGENT_ACTS_MAX {
            left_out.acts += 1;
            continue;
        }
        match wish {
            Wish::Say(text) => {
                let chars = text.chars().count();
                let kept: String = text.chars().take(chars_left).collect();
                left_out.chars += chars.saturating_sub(chars_left);
                chars_left = chars_left.saturating_sub(chars);
                answer.acts.extend(Answer::text(kept).acts);
            }
            Wish::Attach(_) if files_left == 0 => left_out.files += 1,
            Wish::Attach(attachment) => {
                files_left -= 1;
                let Some(file) = load(attachment) else {
                    left_out.files += 1;
                    continue;
                };
                match answer.acts.last_mut() {
                    Some(Act::Say { files, .. }) => files.push(file),
                    _ => answer.acts.push(Act::Say { text: "".into(), files: vec![file] }),
                }
            }
            Wish::React(emoji) => answer.acts.push(Act::React { to: None, emoji: emoji.into() }),
            Wish::Thread(name) => answer.acts.push(Act::Thread { name: name.into() }),
        }
    }
    if left_out.chars > 0 {
        let note = format!("… (cut here: {} more characters)", left_out.chars);
        answer.acts.extend(Answer::text(note).acts);
    }
    (answer, left_out)
}

#[cfg(test)]
mod tests;
