//! What language models are asked and what they answer, in words that belong to no provider, and
//! the two dialects in which nearly all of them are spoken to.
//!
//! [`anthropic`] is the Messages API (Anthropic's documentation, "Messages" and "Streaming
//! messages"); [`openai`] is the chat completions API (its documentation, "Chat" and
//! "Streaming"), which most other services, and the servers that run models at home, speak as well.
//! Both have an encoder of requests, and a decoder of the stream of events that comes back, which
//! may be cut anywhere.

pub mod anthropic;
pub mod openai;
pub mod schema;

use std::fmt;
use std::time::Duration;

use crate::base::limits::{
    LLM_CALL_BYTES_MAX, LLM_CALLS_MAX, LLM_EVENT_BYTES_MAX, LLM_STREAM_BYTES_MAX,
    LLM_TEXT_BYTES_MAX,
};
use crate::proto::sse::Events;

/// Who said something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The people, and the tools that the model has called.
    User,
    /// The model.
    Assistant,
}

/// One turn of a conversation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Who said it.
    pub role: Role,
    /// What was said.
    pub parts: Vec<Part>,
}

/// A part of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// Words.
    Text(Box<str>),
    /// A picture.
    Image {
        /// Such as `image/png`.
        kind: Box<str>,
        /// Its bytes, in base64.
        base64: Box<str>,
    },
    /// The model calls a tool; in messages of the model only.
    Call(Call),
    /// What a tool gave back; in messages of the user only.
    Outcome {
        /// The call that it belongs to.
        call: Box<str>,
        /// What is given back.
        text: Box<str>,
        /// Whether the tool has failed.
        is_error: bool,
    },
}

/// A call of a tool.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Call {
    /// The provider's name for the call.
    pub id: String,
    /// The tool.
    pub name: String,
    /// Its arguments, as JSON; what the model made of it need not be that.
    pub input: String,
    /// Whether they were longer than is read; then nothing of them is kept.
    pub is_overlong: bool,
}

/// A tool that the model may call.
#[derive(Clone, PartialEq, Debug)]
pub struct Tool {
    /// Its name: letters, digits, `_` and `-`.
    pub name: Box<str>,
    /// What it is for, in words for the model.
    pub about: Box<str>,
    /// The JSON schema of its arguments.
    pub schema: serde_json::Value,
}

/// What a model is asked.
#[derive(Clone, PartialEq, Debug)]
pub struct Prompt<'a> {
    /// The provider's name of the model.
    pub model: &'a str,
    /// Who the model is to be; may be empty.
    pub system: &'a str,
    /// The conversation, the oldest message first.
    pub messages: &'a [Message],
    /// What the model may call. Those that it has called before have to be among them.
    pub tools: &'a [Tool],
    /// Whether it may call them now, too.
    pub may_call: bool,
    /// How long the answer may become, in the model's tokens.
    pub tokens_max: u32,
    /// How free its choice of words is, if it should not be the provider's own idea.
    pub temperature: Option<f32>,
}

/// How much was read and written, in the model's tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Of the question, without what came out of the provider's cache.
    pub input: u64,
    /// Of the question, out of the cache.
    pub cached: u64,
    /// Of the answer.
    pub output: u64,
}

impl Usage {
    /// All of it.
    #[must_use]
    pub fn total(self) -> u64 {
        self.input.saturating_add(self.cached).saturating_add(self.output)
    }
}

/// Why an answer ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// It is complete.
    Done,
    /// The model waits for the tools that it has called.
    Calls,
    /// It has reached the longest length that was allowed.
    Length,
    /// The model, or its provider's filter, would not say it.
    Refused,
}

/// An answer, when it is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// What was said.
    pub text: String,
    /// The tools that were called, in order.
    pub calls: Vec<Call>,
    /// Why it ended.
    pub stop: Stop,
    /// What it took, as far as the provider says.
    pub usage: Usage,
    /// The model that answered, if the provider names it.
    pub model: Option<String>,
}

/// Why there is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// The key is not accepted.
    Key,
    /// There is no money left, or no permission for the model.
    Forbidden,
    /// There is no such model, or no such address.
    Missing,
    /// The conversation is longer than the model can read.
    TooLong,
    /// The request is not understood.
    Invalid,
    /// Too much was asked in too short a time.
    Limited,
    /// The provider is overloaded, or fails within.
    Overloaded,
    /// What came is no answer.
    Garbled,
    /// The answer ended before it was over.
    Cut,
    /// The answer is longer than is read.
    Endless,
}

impl Reason {
    /// Whether the same question may well succeed elsewhere, or here a while later.
    #[must_use]
    pub fn is_passing(self) -> bool {
        match self {
            Reason::Limited
            | Reason::Overloaded
            | Reason::Garbled
            | Reason::Cut
            | Reason::Endless => true,
            Reason::Key
            | Reason::Forbidden
            | Reason::Missing
            | Reason::TooLong
            | Reason::Invalid => false,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Key => "the provider does not accept the key",
            Reason::Forbidden => "the provider does not allow it",
            Reason::Missing => "the provider knows no such model or address",
            Reason::TooLong => "the conversation is longer than the model can read",
            Reason::Invalid => "the provider does not understand the request",
            Reason::Limited => "the provider asks us to be slower",
            Reason::Overloaded => "the provider is overloaded",
            Reason::Garbled => "what the provider sent is no answer",
            Reason::Cut => "the answer ended before it was over",
            Reason::Endless => "the answer is longer than is read",
        })
    }
}

/// A failure, in the provider's own words as well.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// What it comes down to.
    pub reason: Reason,
    /// The provider's words, or what is wrong with them; to be escaped before they are shown.
    pub words: String,
    /// How long the provider wants to be left alone.
    pub wait: Option<Duration>,
}

/// Of a provider's words, this much is kept.
const WORDS_CHARS_MAX: usize = 300;

impl Trouble {
    fn new(reason: Reason, words: &str) -> Trouble {
        Trouble { reason, words: words.chars().take(WORDS_CHARS_MAX).collect(), wait: None }
    }

    fn garbled(error: &dyn fmt::Display) -> Trouble {
        Trouble::new(Reason::Garbled, &error.to_string())
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)?;
        if self.words.is_empty() { Ok(()) } else { write!(f, ": {}", self.words) }
    }
}

/// How a provider is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dialect {
    /// The Messages API.
    Anthropic,
    /// The chat completions API.
    OpenAi,
}

impl Dialect {
    /// The path, below the provider's base address, that is posted to.
    #[must_use]
    pub fn path(self) -> &'static str {
        match self {
            Dialect::Anthropic => "/messages",
            Dialect::OpenAi => "/chat/completions",
        }
    }

    /// The body of the request for `prompt`, whose answer comes as a stream.
    #[must_use]
    pub fn request(self, prompt: &Prompt<'_>) -> Vec<u8> {
        let body = match self {
            Dialect::Anthropic => anthropic::request(prompt),
            Dialect::OpenAi => openai::request(prompt),
        };
        body.to_string().into_bytes()
    }

    /// What an answer that is no success means. `wait` is its `retry-after`.
    #[must_use]
    pub fn trouble(self, status: u16, wait: Option<Duration>, body: &[u8]) -> Trouble {
        let body = String::from_utf8_lossy(body.get(..LLM_EVENT_BYTES_MAX).unwrap_or(body));
        // Both dialects wrap it alike, and servers that speak one often answer in the other.
        let told = serde_json::from_str::<Complaint>(&body).ok().and_then(|told| told.error);
        let (kind, words) = match &told {
            Some(told) => (told.kind(), told.words()),
            None => (String::new(), body.trim().to_owned()),
        };
        let reason = reason_of_kind(&kind, &words).unwrap_or_else(|| reason_of_status(status));
        Trouble { wait, ..Trouble::new(reason, &words) }
    }
}

/// An error as providers write it: an object, or a text alone.
#[derive(serde::Deserialize)]
struct Complaint {
    error: Option<Told>,
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Told {
    Object {
        #[serde(default, rename = "type")]
        kind: Option<serde_json::Value>,
        #[serde(default)]
        code: Option<serde_json::Value>,
        #[serde(default)]
        message: Option<serde_json::Value>,
    },
    Text(String),
}

impl Told {
    fn kind(&self) -> String {
        let Told::Object { kind, code, .. } = self else { return String::new() };
        let texts = [code, kind].into_iter().flatten().filter_map(serde_json::Value::as_str);
        texts.collect::<Vec<_>>().join(" ")
    }

    fn words(&self) -> String {
        match self {
            Told::Text(text)
            | Told::Object { message: Some(serde_json::Value::String(text)), .. } => text.clone(),
            Told::Object { .. } => String::new(),
        }
    }

    fn trouble(&self) -> Trouble {
        let (kind, words) = (self.kind(), self.words());
        Trouble::new(reason_of_kind(&kind, &words).unwrap_or(Reason::Overloaded), &words)
    }
}

/// What the provider's own word for it means: more exact than the status.
fn reason_of_kind(kind: &str, words: &str) -> Option<Reason> {
    let has = |what: &str| kind.contains(what);
    let is_too_long = has("context_length_exceeded")
        || words.contains("prompt is too long")
        || words.contains("maximum context length")
        || words.contains("exceeds the available context size");
    Some(if is_too_long {
        Reason::TooLong
    } else if has("insufficient_quota") || has("billing") || has("permission") {
        Reason::Forbidden
    } else if has("rate_limit") {
        Reason::Limited
    } else if has("overloaded") || has("api_error") || has("server_error") || has("timeout") {
        Reason::Overloaded
    } else if has("authentication") || has("invalid_api_key") {
        Reason::Key
    } else if has("not_found") {
        Reason::Missing
    } else {
        return None;
    })
}

fn reason_of_status(status: u16) -> Reason {
    match status {
        401 => Reason::Key,
        402 | 403 => Reason::Forbidden,
        404 => Reason::Missing,
        413 => Reason::TooLong,
        429 => Reason::Limited,
        408 | 500.. => Reason::Overloaded,
        400..500 => Reason::Invalid,
        _ => Reason::Garbled,
    }
}

/// Reads the stream in which an answer comes.
#[derive(Debug)]
pub struct Decoder {
    events: Events,
    dialect: Dialect,
    draft: Draft,
    bytes: usize,
}

impl Decoder {
    /// Nothing was heard yet.
    #[must_use]
    pub fn new(dialect: Dialect) -> Decoder {
        let events = Events::new(LLM_EVENT_BYTES_MAX);
        Decoder { events, dialect, draft: Draft::default(), bytes: 0 }
    }

    /// Reads the next part of the stream; `each` hears new words as they come.
    ///
    /// # Errors
    /// There will be no answer; nothing more is read.
    pub fn feed(&mut self, part: &[u8], each: &mut impl FnMut(&str)) -> Result<(), Trouble> {
        let Decoder { events, dialect, draft, bytes } = self;
        *bytes = bytes.saturating_add(part.len());
        let fed = events.feed(part, &mut |_, data| draft.hear(*dialect, data, each));
        if let Some(trouble) = &draft.trouble {
            return Err(trouble.clone());
        }
        if fed.is_err() || (*bytes > LLM_STREAM_BYTES_MAX && !draft.is_over) {
            let trouble = Trouble::new(Reason::Endless, "");
            draft.trouble = Some(trouble.clone());
            return Err(trouble);
        }
        Ok(())
    }

    /// Whether the answer is complete: what may still come means nothing.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.draft.is_over
    }

    /// The stream has ended.
    ///
    /// # Errors
    /// The answer is not complete.
    pub fn finish(mut self, each: &mut impl FnMut(&str)) -> Result<Reply, Trouble> {
        let Decoder { events, dialect, draft, .. } = &mut self;
        events.finish(&mut |_, data| draft.hear(*dialect, data, each));
        // Some servers that speak it do not say that it is over, but only why.
        draft.is_over |= *dialect == Dialect::OpenAi && draft.stop.is_some();
        self.draft.reply()
    }

    /// The answer of a server that was asked for a stream and sent one document all the same.
    ///
    /// # Errors
    /// It is no answer.
    pub fn whole(dialect: Dialect, body: &[u8]) -> Result<Reply, Trouble> {
        let mut draft = Draft::default();
        let heard = match dialect {
            Dialect::Anthropic => anthropic::document(body, &mut draft),
            Dialect::OpenAi => openai::document(body, &mut draft),
        };
        heard?;
        draft.is_over = true;
        draft.reply()
    }
}

/// An answer, as far as it was heard.
#[derive(Debug, Default)]
struct Draft {
    text: String,
    /// The calls, each with the number that the provider gives it.
    calls: Vec<(u64, Call)>,
    stop: Option<Stop>,
    usage: Usage,
    model: Option<String>,
    is_over: bool,
    trouble: Option<Trouble>,
}

impl Draft {
    fn hear(&mut self, dialect: Dialect, data: &str, each: &mut impl FnMut(&str)) {
        if self.is_over || self.trouble.is_some() {
            return;
        }
        let known = self.text.len();
        let heard = match dialect {
            Dialect::Anthropic => anthropic::hear(data, self),
            Dialect::OpenAi => openai::hear(data, self),
        };
        if let Some(new) = self.text.get(known..).filter(|new| !new.is_empty()) {
            each(new);
        }
        self.trouble = heard.err();
    }

    fn say(&mut self, words: &str) -> Result<(), Trouble> {
        if self.text.len() + words.len() > LLM_TEXT_BYTES_MAX {
            return Err(Trouble::new(Reason::Endless, ""));
        }
        self.text.push_str(words);
        Ok(())
    }

    /// The call with `number`, begun if it is new.
    fn call(&mut self, number: u64) -> Result<&mut Call, Trouble> {
        let at = match self.calls.iter().position(|(known, _)| *known == number) {
            Some(at) => at,
            None if self.calls.len() < LLM_CALLS_MAX => {
                self.calls.push((number, Call::default()));
                self.calls.len() - 1
            }
            None => return Err(Trouble::new(Reason::Endless, "too many calls of tools")),
        };
        match self.calls.get_mut(at) {
            Some((_, call)) => Ok(call),
            None => Err(Trouble::new(Reason::Garbled, "")),
        }
    }

    fn reply(self) -> Result<Reply, Trouble> {
        if let Some(trouble) = self.trouble {
            return Err(trouble);
        }
        let Some(stop) = self.stop.filter(|_| self.is_over) else {
            return Err(Trouble::new(Reason::Cut, ""));
        };
        let mut calls: Vec<Call> = self.calls.into_iter().map(|(_, call)| call).collect();
        if calls.iter().any(|call| call.name.is_empty()) {
            return Err(Trouble::new(Reason::Garbled, "a call of a tool without a name"));
        }
        for (at, call) in calls.iter_mut().enumerate() {
            // Small servers give none, and results are told apart by it.
            if call.id.is_empty() {
                call.id = format!("call_{at}");
            }
            if call.input.trim().is_empty() {
                "{}".clone_into(&mut call.input);
            }
        }
        // Some say that they are done and call tools all the same.
        let stop = if calls.is_empty() || stop == Stop::Refused { stop } else { Stop::Calls };
        Ok(Reply { text: self.text, calls, stop, usage: self.usage, model: self.model })
    }
}

impl Call {
    /// The arguments as they are told again: an object, whatever the model has made of it, since
    /// providers and small servers take nothing else.
    fn arguments(&self) -> serde_json::Value {
        match serde_json::from_str::<serde_json::Map<_, _>>(&self.input) {
            Ok(object) => serde_json::Value::Object(object),
            Err(_) if self.input.trim().is_empty() => serde_json::json!({}),
            Err(_) => serde_json::json!({ "unreadable": self.input }),
        }
    }

    fn add(&mut self, input: &str) {
        if self.is_overlong || self.input.len() + input.len() > LLM_CALL_BYTES_MAX {
            self.is_overlong = true;
            self.input = String::new();
        } else {
            self.input.push_str(input);
        }
    }
}

/// Of a provider's names of things, this much is kept.
const NAME_BYTES_MAX: usize = 256;

/// A name, if it is no longer than names are.
fn name(text: &str) -> Result<String, Trouble> {
    if text.len() > NAME_BYTES_MAX {
        return Err(Trouble::new(Reason::Garbled, "a name is too long"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests;
