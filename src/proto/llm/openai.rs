//! The chat completions API. What is here follows its documentation, "Chat" and "Streaming";
//! where other servers differ from it, the reason is beside it.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Draft, Message, Part, Prompt, Role, Stop, Told, Trouble, Usage, name};

/// The body of a request.
pub(super) fn request(prompt: &Prompt<'_>) -> Value {
    let mut messages = Vec::new();
    if !prompt.system.is_empty() {
        messages.push(json!({ "role": "system", "content": prompt.system }));
    }
    for message in prompt.messages {
        match message.role {
            Role::User => user(message, &mut messages),
            Role::Assistant => messages.push(assistant(message)),
        }
    }
    let mut body = json!({
        "model": prompt.model,
        "messages": messages,
        // Newer models of OpenAI's own want another name for it, which other servers do not know.
        "max_tokens": prompt.tokens_max,
        "stream": true,
        "stream_options": { "include_usage": true },
    });
    if !prompt.tools.is_empty() {
        let tools = prompt.tools.iter().map(|tool| {
            let function = json!({
                "name": tool.name, "description": tool.about, "parameters": tool.schema,
            });
            json!({ "type": "function", "function": function })
        });
        body["tools"] = tools.collect();
        if !prompt.may_call {
            body["tool_choice"] = json!("none");
        }
    }
    if let Some(temperature) = prompt.temperature {
        body["temperature"] = json!(temperature);
    }
    body
}

/// What tools gave back are messages of their own, and have to follow the calls at once.
fn user(message: &Message, messages: &mut Vec<Value>) {
    let mut parts = Vec::new();
    for part in &message.parts {
        match part {
            Part::Text(text) => parts.push(json!({ "type": "text", "text": text })),
            Part::Image { kind, base64 } => {
                let url = format!("data:{kind};base64,{base64}");
                parts.push(json!({ "type": "image_url", "image_url": { "url": url } }));
            }
            Part::Outcome { call, text, is_error } => {
                let text = if *is_error { format!("error: {text}") } else { text.to_string() };
                messages.push(json!({ "role": "tool", "tool_call_id": call, "content": text }));
            }
            Part::Call(_) => {}
        }
    }
    // Small servers know texts only, so that lists are sent where they have to be.
    let content = match parts.as_slice() {
        [] => return,
        [only] if only["type"] == "text" => only["text"].clone(),
        _ => Value::Array(parts),
    };
    messages.push(json!({ "role": "user", "content": content }));
}

fn assistant(message: &Message) -> Value {
    let mut said = String::new();
    let mut calls = Vec::new();
    for part in &message.parts {
        match part {
            Part::Text(text) => said.push_str(text),
            Part::Call(call) => calls.push(json!({
                "id": call.id,
                "type": "function",
                "function": { "name": call.name, "arguments": call.arguments().to_string() },
            })),
            Part::Image { .. } | Part::Outcome { .. } => {}
        }
    }
    let content = if said.is_empty() && !calls.is_empty() { Value::Null } else { said.into() };
    let mut message = json!({ "role": "assistant", "content": content });
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    message
}

/// One event of the stream, or the whole answer as a document.
#[derive(Deserialize)]
struct Chunk {
    model: Option<String>,
    choices: Option<Vec<Choice>>,
    usage: Option<Tokens>,
    error: Option<Told>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    index: u64,
    delta: Option<Said>,
    /// In a document.
    message: Option<Said>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Said {
    content: Option<String>,
    refusal: Option<String>,
    tool_calls: Option<Vec<Called>>,
}

#[derive(Deserialize)]
struct Called {
    index: Option<u64>,
    id: Option<String>,
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    name: Option<String>,
    /// A text by the documentation; some servers send the object itself.
    arguments: Option<Value>,
}

#[derive(Deserialize)]
struct Tokens {
    #[serde(rename = "prompt_tokens")]
    input: Option<u64>,
    #[serde(rename = "prompt_tokens_details")]
    of_input: Option<Details>,
    #[serde(rename = "completion_tokens")]
    output: Option<u64>,
}

#[derive(Deserialize)]
struct Details {
    cached_tokens: Option<u64>,
}

/// What ends the stream.
const DONE: &str = "[DONE]";

/// Takes in one event.
pub(super) fn hear(data: &str, draft: &mut Draft) -> Result<(), Trouble> {
    if data.trim() == DONE {
        // Some servers never give a reason.
        draft.stop = draft.stop.or(Some(Stop::Done));
        draft.is_over = true;
        return Ok(());
    }
    let chunk = serde_json::from_str(data).map_err(|error| Trouble::garbled(&error))?;
    take_in(chunk, draft)
}

/// Takes in an answer that came as one document.
pub(super) fn document(body: &[u8], draft: &mut Draft) -> Result<(), Trouble> {
    let chunk = serde_json::from_slice(body).map_err(|error| Trouble::garbled(&error))?;
    take_in(chunk, draft)
}

fn take_in(chunk: Chunk, draft: &mut Draft) -> Result<(), Trouble> {
    if let Some(error) = chunk.error {
        return Err(error.trouble());
    }
    if draft.model.is_none() {
        draft.model = chunk.model.as_deref().map(name).transpose()?;
    }
    if let Some(tokens) = chunk.usage {
        draft.usage = usage(&tokens);
    }
    // One answer was asked for.
    let choices = chunk.choices.unwrap_or_default().into_iter();
    for choice in choices.filter(|choice| choice.index == 0) {
        if let Some(said) = choice.delta.or(choice.message) {
            let refused = said.refusal.filter(|words| !words.is_empty());
            if let Some(words) = &refused {
                draft.stop = Some(Stop::Refused);
                draft.say(words)?;
            }
            draft.say(said.content.as_deref().unwrap_or_default())?;
            for call in said.tool_calls.unwrap_or_default() {
                called(&call, draft)?;
            }
        }
        if let Some(reason) = choice.finish_reason.filter(|reason| !reason.is_empty()) {
            draft.stop = draft.stop.filter(|stop| *stop == Stop::Refused).or(Some(stop(&reason)));
        }
    }
    Ok(())
}

/// A call, or more of one. Servers that send each call whole may give all of them one number: a
/// new name of the call is a new call then.
fn called(called: &Called, draft: &mut Draft) -> Result<(), Trouble> {
    let id = called.id.as_deref().filter(|id| !id.is_empty());
    let tool = called.function.as_ref().and_then(|function| function.name.as_deref());
    let tool = tool.filter(|tool| !tool.is_empty());
    let number = called.index.unwrap_or(draft.calls.len() as u64);
    let known = draft.calls.iter().rev().find(|(known, _)| known & u64::from(u32::MAX) == number);
    let is_another = |call: &super::Call| match id {
        Some(id) => !call.id.is_empty() && call.id != id,
        None => tool.is_some() && !call.name.is_empty(),
    };
    let place = match known {
        Some((_, call)) if is_another(call) => {
            // Beyond what any server counts to, and still found by its number.
            (draft.calls.len() as u64) << 32 | number & u64::from(u32::MAX)
        }
        Some((place, _)) => *place,
        None => number & u64::from(u32::MAX),
    };
    let call = draft.call(place)?;
    if let Some(id) = id {
        call.id = name(id)?;
    }
    if let Some(tool) = tool {
        call.name = name(tool)?;
    }
    match called.function.as_ref().and_then(|function| function.arguments.as_ref()) {
        Some(Value::String(text)) => call.add(text),
        Some(Value::Null) | None => {}
        Some(value) => call.add(&value.to_string()),
    }
    Ok(())
}

fn usage(tokens: &Tokens) -> Usage {
    let cached = tokens.of_input.as_ref().and_then(|details| details.cached_tokens);
    let cached = cached.unwrap_or(0);
    Usage {
        input: tokens.input.unwrap_or(0).saturating_sub(cached),
        cached,
        output: tokens.output.unwrap_or(0),
    }
}

fn stop(reason: &str) -> Stop {
    match reason {
        "tool_calls" | "function_call" => Stop::Calls,
        "length" => Stop::Length,
        "content_filter" => Stop::Refused,
        _ => Stop::Done,
    }
}
