//! The chat completions API from the other side (`OpenAI`'s documentation, "Chat"): what clients
//! ask us, and how they are answered.

use serde::Deserialize;
use serde_json::{Value, json};

use super::llm::Usage;
use crate::base::base64;
use crate::base::limits::{COMPLETION_MESSAGES_MAX, COMPLETION_TEXT_BYTES_MAX, PICTURES_MAX};

/// What a client asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// The model that it names.
    pub model: String,
    /// What the agent is asked: the last words, and what leads up to them.
    pub text: String,
    /// Pictures among the last words: what each is, and its bytes.
    pub pictures: Vec<(String, Vec<u8>)>,
    /// Whether the answer is to come piece by piece …
    pub is_stream: bool,
    /// … with what it took at the end.
    pub wants_usage: bool,
    /// By what the client tells its users apart.
    pub user: Option<String>,
}

/// An error, as it is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// `OpenAI`'s word for the kind of error.
    pub kind: &'static str,
    /// Its code, if there is one.
    pub code: Option<&'static str>,
    /// What is wrong, and what helps.
    pub text: String,
}

impl Refused {
    /// What the client has written is wrong.
    #[must_use]
    pub fn invalid(text: impl Into<String>) -> Refused {
        let (kind, code) = ("invalid_request_error", None);
        Refused { status: 400, kind, code, text: text.into() }
    }

    /// As a body.
    #[must_use]
    pub fn json(&self) -> Value {
        let Refused { kind, code, text, .. } = self;
        json!({"error": {"message": text, "type": kind, "param": null, "code": code}})
    }
}

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    model: Option<String>,
    messages: Vec<Message>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    n: Option<u64>,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Option<Content>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    image_url: Option<Image>,
}

#[derive(Deserialize)]
struct Image {
    url: String,
}

impl Message {
    fn text(&self) -> String {
        match &self.content {
            None => String::new(),
            Some(Content::Text(text)) => text.trim().to_owned(),
            Some(Content::Parts(parts)) => {
                let texts = parts.iter().filter_map(|part| part.text.as_deref());
                texts.map(str::trim).collect::<Vec<_>>().join("\n").trim().to_owned()
            }
        }
    }

    fn is_system(&self) -> bool {
        matches!(self.role.as_str(), "system" | "developer")
    }
}

impl Asked {
    /// Reads a request's body. What was said before is part of the question, unless the client
    /// names its user: then the conversation is kept here, and only what is new counts.
    ///
    /// # Errors
    /// It cannot be answered.
    pub fn read(body: &[u8]) -> Result<Asked, Refused> {
        let raw: Raw = serde_json::from_slice(body)
            .map_err(|error| Refused::invalid(format!("the body is not understood: {error}")))?;
        if raw.n.is_some_and(|n| n != 1) {
            return Err(Refused::invalid("n: there is one answer, never several"));
        }
        if raw.messages.len() > COMPLETION_MESSAGES_MAX {
            let text = format!("messages: there are more than {COMPLETION_MESSAGES_MAX}");
            return Err(Refused::invalid(text));
        }
        let user = raw.user.map(|user| user.trim().to_owned()).filter(|user| !user.is_empty());
        let Some(last) = raw.messages.iter().rposition(|message| message.role == "user") else {
            return Err(Refused::invalid("messages: there is none of the role user"));
        };
        let asked = raw.messages.get(last).map(Message::text).unwrap_or_default();
        if asked.is_empty() {
            return Err(Refused::invalid("messages: the last one of the role user has no text"));
        }
        let text = composed(&raw.messages, last, &asked, user.is_none())?;
        let pictures = raw.messages.get(last).map_or(Ok(Vec::new()), pictures)?;
        let wants_usage = raw.stream_options.and_then(|options| options.include_usage);
        Ok(Asked {
            model: raw.model.unwrap_or_default(),
            text,
            pictures,
            is_stream: raw.stream.unwrap_or(false),
            wants_usage: wants_usage.unwrap_or(false),
            user,
        })
    }
}

/// The question with what leads up to it; of that the oldest is left out where it is too much.
fn composed(
    messages: &[Message],
    last: usize,
    asked: &str,
    with_history: bool,
) -> Result<String, Refused> {
    let too_long = || Refused {
        code: Some("context_length_exceeded"),
        ..Refused::invalid(format!(
            "messages: the last one, with the system's, is longer than \
             {COMPLETION_TEXT_BYTES_MAX} bytes"
        ))
    };
    let systems = messages.iter().filter(|message| message.is_system()).map(Message::text);
    let systems: Vec<String> = systems.filter(|text| !text.is_empty()).collect();
    let mut head = String::new();
    if !systems.is_empty() {
        head = format!("[Instructions of the application]\n{}\n\n", systems.join("\n\n"));
    }
    let mut left = COMPLETION_TEXT_BYTES_MAX
        .checked_sub(head.len() + asked.len() + MARKS_BYTES)
        .ok_or_else(too_long)?;
    let mut before = Vec::new();
    let earlier = messages.iter().take(last).filter(|message| !message.is_system());
    for message in earlier.rev().take_while(|_| with_history) {
        let text = message.text();
        if text.is_empty() {
            continue;
        }
        let line = format!("{}: {text}", message.role);
        let Some(rest) = left.checked_sub(line.len() + 2) else { break };
        left = rest;
        before.push(line);
    }
    if before.is_empty() {
        return Ok(format!("{head}{asked}"));
    }
    before.reverse();
    Ok(format!("{head}[Said before]\n{}\n\n[Now]\n{asked}", before.join("\n")))
}

/// Room for the words in brackets.
const MARKS_BYTES: usize = 64;

/// The pictures of a message, which stand in it as `data:` addresses: nothing is fetched for a
/// client.
fn pictures(message: &Message) -> Result<Vec<(String, Vec<u8>)>, Refused> {
    let Some(Content::Parts(parts)) = &message.content else { return Ok(Vec::new()) };
    let mut pictures = Vec::new();
    for part in parts {
        match (part.kind.as_str(), &part.image_url) {
            ("text", _) => {}
            ("image_url", Some(Image { url })) if pictures.len() < PICTURES_MAX => {
                let data = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
                let data = data.and_then(|(kind, data)| Some((kind, base64::decode(data)?)));
                let Some((kind, bytes)) = data else {
                    let text = "messages: a picture is written as data:image/…;base64,…";
                    return Err(Refused::invalid(text));
                };
                pictures.push((kind.to_owned(), bytes));
            }
            ("image_url", _) => {
                return Err(Refused::invalid(format!("messages: at most {PICTURES_MAX} pictures")));
            }
            (other, _) => {
                let shown: String = other.chars().filter(|c| !c.is_control()).take(40).collect();
                let text = format!("messages: parts of the type {shown} are not understood");
                return Err(Refused::invalid(text));
            }
        }
    }
    Ok(pictures)
}

/// Writes the answer to one request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Writer {
    /// What the answer is called.
    pub id: String,
    /// When it was begun, in seconds since 1970.
    pub created: u64,
    /// The model, as the client named it.
    pub model: String,
}

fn usage(usage: Usage) -> Value {
    json!({
        "prompt_tokens": usage.input.saturating_add(usage.cached),
        "completion_tokens": usage.output,
        "total_tokens": usage.total(),
        "prompt_tokens_details": {"cached_tokens": usage.cached},
    })
}

impl Writer {
    /// The whole answer.
    #[must_use]
    pub fn whole(&self, text: &str, took: Usage) -> Value {
        let Writer { id, created, model } = self;
        json!({
            "id": id, "object": "chat.completion", "created": created, "model": model,
            "choices": [{
                "index": 0, "finish_reason": "stop", "logprobs": null,
                "message": {"role": "assistant", "content": text, "refusal": null},
            }],
            "usage": usage(took),
        })
    }

    fn chunk(&self, choices: &Value, took: Option<Usage>) -> Vec<u8> {
        let Writer { id, created, model } = self;
        let mut chunk = json!({
            "id": id, "object": "chat.completion.chunk", "created": created, "model": model,
            "choices": choices,
        });
        if let Some(took) = took {
            chunk["usage"] = usage(took);
        }
        event(&chunk)
    }

    /// The first piece of a stream: who speaks.
    #[must_use]
    pub fn begin(&self) -> Vec<u8> {
        let delta = json!({"role": "assistant", "content": ""});
        self.chunk(&json!([{"index": 0, "delta": delta, "finish_reason": null}]), None)
    }

    /// Some words.
    #[must_use]
    pub fn words(&self, words: &str) -> Vec<u8> {
        let delta = json!({"content": words});
        self.chunk(&json!([{"index": 0, "delta": delta, "finish_reason": null}]), None)
    }

    /// The end, with what the answer took if that is wished for.
    #[must_use]
    pub fn end(&self, took: Option<Usage>) -> Vec<u8> {
        let choices = json!([{"index": 0, "delta": {}, "finish_reason": "stop"}]);
        let mut end = self.chunk(&choices, None);
        if took.is_some() {
            end.extend(self.chunk(&json!([]), took));
        }
        end.extend_from_slice(DONE);
        end
    }
}

/// An error in the middle of a stream, and its end.
#[must_use]
pub fn broken(refused: &Refused) -> Vec<u8> {
    let mut end = event(&refused.json());
    end.extend_from_slice(DONE);
    end
}

/// What keeps a stream open on which nothing is said.
pub const STILL: &[u8] = b": still at it\n\n";
const DONE: &[u8] = b"data: [DONE]\n\n";

fn event(value: &Value) -> Vec<u8> {
    format!("data: {value}\n\n").into_bytes()
}

/// A model, as it is listed.
#[must_use]
pub fn model(id: &str) -> Value {
    json!({"id": id, "object": "model", "created": 0, "owned_by": "barnacle"})
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(value: &Value) -> Result<Asked, Refused> {
        Asked::read(value.to_string().as_bytes())
    }

    #[test]
    fn a_question_is_its_last_words_and_what_leads_up_to_them() {
        let asked = read(&json!({"model": "barnacle", "stream": true, "stream_options":
            {"include_usage": true}, "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "1", "tool_calls": []},
            {"role": "user", "content": [{"type": "text", "text": "two"}]},
        ]}))
        .unwrap();
        assert_eq!(
            asked.text,
            "[Instructions of the application]\nBe brief.\n\n\
             [Said before]\nuser: one\nassistant: 1\n\n[Now]\ntwo"
        );
        assert!(asked.is_stream && asked.wants_usage && asked.user.is_none());
        let kept = read(&json!({"user": "ann", "messages": [
            {"role": "user", "content": "one"}, {"role": "assistant", "content": "1"},
            {"role": "user", "content": "two"},
        ]}))
        .unwrap();
        assert_eq!((kept.text.as_str(), kept.user.as_deref()), ("two", Some("ann")));
    }

    #[test]
    fn of_too_much_the_oldest_is_left_out_and_too_long_a_question_is_refused() {
        let long = "x".repeat(COMPLETION_TEXT_BYTES_MAX / 2);
        let messages = json!([
            {"role": "user", "content": long}, {"role": "assistant", "content": long},
            {"role": "user", "content": "short"}, {"role": "user", "content": "now"},
        ]);
        let text = read(&json!({"messages": messages})).unwrap().text;
        assert!(text.len() <= COMPLETION_TEXT_BYTES_MAX && text.ends_with("[Now]\nnow"));
        assert!(text.contains("assistant: x") && !text.contains("user: x"));
        let endless = "x".repeat(COMPLETION_TEXT_BYTES_MAX + 1);
        let refused = read(&json!({"messages": [{"role": "user", "content": endless}]}));
        assert_eq!(refused.unwrap_err().code, Some("context_length_exceeded"));
    }

    #[test]
    fn pictures_stand_in_the_message_and_are_fetched_from_nowhere() {
        let with = |url: &str| {
            read(&json!({"messages": [{"role": "user", "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": url}},
            ]}]}))
        };
        let asked = with("data:image/png;base64,AQI=").unwrap();
        assert_eq!(asked.pictures, [("image/png".to_owned(), vec![1, 2])]);
        for odd in ["http://127.0.0.1/a.png", "data:image/png;base64,?", "data:,x"] {
            assert_eq!(with(odd).unwrap_err().status, 400, "{odd}");
        }
    }

    #[test]
    fn nonsense_is_refused_in_words() {
        for odd in [
            json!({}),
            json!({"messages": []}),
            json!({"messages": [{"role": "system", "content": "x"}]}),
            json!({"messages": [{"role": "user", "content": " "}]}),
            json!({"messages": [{"role": "user", "content": "x"}], "n": 2}),
            json!({"messages": "x"}),
            json!({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}),
        ] {
            let refused = read(&odd).unwrap_err();
            assert_eq!((refused.status, refused.kind), (400, "invalid_request_error"), "{odd}");
            assert!(!refused.text.is_empty());
        }
    }

    #[test]
    fn a_stream_says_who_speaks_then_words_then_that_it_is_over() {
        let writer = Writer { id: "c1".into(), created: 7, model: "barnacle".into() };
        let took = Usage { input: 3, cached: 1, output: 2 };
        let all = [writer.begin(), writer.words("a\n"), writer.end(Some(took))].concat();
        let all = String::from_utf8(all).unwrap();
        let events: Vec<&str> =
            all.split("\n\n").filter_map(|event| event.strip_prefix("data: ")).collect();
        let value = |at: usize| serde_json::from_str::<Value>(events[at]).unwrap();
        assert_eq!(value(0)["choices"][0]["delta"]["role"], "assistant");
        assert_eq!(value(1)["choices"][0]["delta"]["content"], "a\n");
        assert_eq!(value(2)["choices"][0]["finish_reason"], "stop");
        assert_eq!(value(3)["usage"]["total_tokens"], 6);
        assert_eq!((events[4], events.len()), ("[DONE]", 5));
        assert_eq!(writer.whole("a", took)["usage"]["prompt_tokens"], 4);
    }

    proptest! {
        #[test]
        fn no_body_is_too_odd(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Asked::read(&bytes);
        }
    }
}
