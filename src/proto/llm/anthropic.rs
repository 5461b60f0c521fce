//! The Messages API. What is here follows Anthropic's documentation: "Messages", "Streaming
//! messages", "Tool use", "Vision", "Prompt caching" and "Errors".

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Draft, Message, Part, Prompt, Role, Stop, Told, Trouble, Usage, name};

/// The body of a request. What changes least comes first and is marked, so that the provider may
/// keep it: every turn of a conversation begins with all of those before it.
pub(super) fn request(prompt: &Prompt<'_>) -> Value {
    let mut messages: Vec<Value> = prompt.messages.iter().map(message).collect();
    let last = messages.last_mut().and_then(|message| message["content"].as_array_mut());
    if let Some(part) = last.and_then(|parts| parts.last_mut()) {
        mark(part);
    }
    let mut body = json!({
        "model": prompt.model,
        "max_tokens": prompt.tokens_max,
        "messages": messages,
        "stream": true,
    });
    if !prompt.system.is_empty() {
        let mut system = json!({ "type": "text", "text": prompt.system });
        mark(&mut system);
        body["system"] = json!([system]);
    }
    if !prompt.tools.is_empty() {
        let tools = prompt.tools.iter().map(|tool| {
            json!({ "name": tool.name, "description": tool.about, "input_schema": tool.schema })
        });
        body["tools"] = tools.collect();
        if !prompt.may_call {
            body["tool_choice"] = json!({ "type": "none" });
        }
    }
    if let Some(temperature) = prompt.temperature {
        body["temperature"] = json!(temperature);
    }
    body
}

fn mark(part: &mut Value) {
    part["cache_control"] = json!({ "type": "ephemeral" });
}

fn message(message: &Message) -> Value {
    let role = match message.role {
        Role::User => "user",
        Role::Assistant => "assistant",
    };
    let parts = message.parts.iter().map(|part| match part {
        Part::Text(text) => json!({ "type": "text", "text": text }),
        Part::Image { kind, base64 } => json!({
            "type": "image",
            "source": { "type": "base64", "media_type": kind, "data": base64 },
        }),
        Part::Call(call) => json!({
            "type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments(),
        }),
        Part::Outcome { call, text, is_error } => json!({
            "type": "tool_result", "tool_use_id": call, "content": text, "is_error": is_error,
        }),
    });
    json!({ "role": role, "content": parts.collect::<Vec<_>>() })
}

/// One event of the stream. The name that goes before it says the same as its `type`.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event {
    MessageStart {
        message: Start,
    },
    ContentBlockStart {
        index: u64,
        content_block: Block,
    },
    ContentBlockDelta {
        index: u64,
        delta: Delta,
    },
    MessageDelta {
        delta: End,
        usage: Option<Tokens>,
    },
    MessageStop,
    Error {
        error: Told,
    },
    /// Pings, ends of blocks, and what is new ("Versioning": clients must bear unknown events).
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Start {
    model: Option<String>,
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block {
    Text {
        text: Option<String>,
    },
    ToolUse {
        id: String,
        name: String,
        input: Option<Value>,
    },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Delta {
    #[serde(rename = "text_delta")]
    Text { text: String },
    #[serde(rename = "input_json_delta")]
    Input { partial_json: String },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct End {
    stop_reason: Option<String>,
}

#[derive(Deserialize)]
struct Tokens {
    #[serde(rename = "input_tokens")]
    input: Option<u64>,
    #[serde(rename = "cache_creation_input_tokens")]
    put_by: Option<u64>,
    #[serde(rename = "cache_read_input_tokens")]
    cached: Option<u64>,
    #[serde(rename = "output_tokens")]
    output: Option<u64>,
}

/// Takes in one event.
pub(super) fn hear(data: &str, draft: &mut Draft) -> Result<(), Trouble> {
    let event: Event = serde_json::from_str(data).map_err(|error| Trouble::garbled(&error))?;
    match event {
        Event::MessageStart { message } => {
            draft.model = message.model.as_deref().map(name).transpose()?;
            count(message.usage.as_ref(), &mut draft.usage);
        }
        Event::ContentBlockStart { index, content_block } => match content_block {
            Block::Text { text } => draft.say(text.as_deref().unwrap_or_default())?,
            Block::ToolUse { id, name: tool, .. } => {
                let call = draft.call(index)?;
                call.id = name(&id)?;
                call.name = name(&tool)?;
            }
            Block::Other => {}
        },
        Event::ContentBlockDelta { index, delta } => match delta {
            Delta::Text { text } => draft.say(&text)?,
            Delta::Input { partial_json } => draft.call(index)?.add(&partial_json),
            Delta::Other => {}
        },
        Event::MessageDelta { delta, usage } => {
            count(usage.as_ref(), &mut draft.usage);
            if let Some(reason) = delta.stop_reason {
                draft.stop = Some(stop(&reason));
            }
        }
        Event::MessageStop => {
            draft.is_over = true;
            draft.stop = draft.stop.or(Some(Stop::Done));
        }
        Event::Error { error } => return Err(error.trouble()),
        Event::Other => {}
    }
    Ok(())
}

/// The figures of a later event are of the whole answer, not of what is new.
fn count(tokens: Option<&Tokens>, usage: &mut Usage) {
    let Some(tokens) = tokens else { return };
    if let Some(read) = tokens.input {
        usage.input = read.saturating_add(tokens.put_by.unwrap_or(0));
    }
    usage.cached = tokens.cached.unwrap_or(usage.cached);
    usage.output = tokens.output.unwrap_or(usage.output);
}

fn stop(reason: &str) -> Stop {
    match reason {
        "tool_use" => Stop::Calls,
        "max_tokens" | "model_context_window_exceeded" => Stop::Length,
        "refusal" => Stop::Refused,
        _ => Stop::Done,
    }
}

#[derive(Deserialize)]
struct Document {
    model: Option<String>,
    content: Vec<Block>,
    stop_reason: Option<String>,
    usage: Option<Tokens>,
}

/// Takes in an answer that came as one document.
pub(super) fn document(body: &[u8], draft: &mut Draft) -> Result<(), Trouble> {
    let document: Document =
        serde_json::from_slice(body).map_err(|error| Trouble::garbled(&error))?;
    draft.model = document.model.as_deref().map(name).transpose()?;
    count(document.usage.as_ref(), &mut draft.usage);
    for (index, block) in (0..).zip(document.content) {
        match block {
            Block::Text { text } => draft.say(text.as_deref().unwrap_or_default())?,
            Block::ToolUse { id, name: tool, input } => {
                let call = draft.call(index)?;
                call.id = name(&id)?;
                call.name = name(&tool)?;
                call.add(&input.unwrap_or_else(|| json!({})).to_string());
            }
            Block::Other => {}
        }
    }
    draft.stop = Some(document.stop_reason.as_deref().map_or(Stop::Done, stop));
    Ok(())
}
