//! What a model is told: what was said in the conversation before, and what is asked now.

use super::files::shown;
use crate::agent::store::{Most, Store, Tail};
use crate::base::limits::{LLM_HISTORY_BYTES_MAX, LLM_HISTORY_LINES_MAX};
use crate::base::text::Plain;
use crate::core::chat::{ChannelKind, Request};
use crate::core::router::overheard;
use crate::core::session::Key;
use crate::core::transcript::{self, Line};
use crate::proto::llm::{Message, Part, Role};

/// What was said in the conversation of `request`, as far as `store` has it, and the question.
pub(super) async fn conversation(request: &Request, store: Option<&Store>) -> Vec<Message> {
    let names = has_names(request);
    let mut messages = messages(&read(request, store).await, names);
    messages.push(question(request, names));
    messages
}

/// Whether several people may speak, so that the model has to know who says what.
fn has_names(request: &Request) -> bool {
    let is_shared = Key::of(request).person().is_none();
    request.guild.is_some() || (is_shared && request.chat.channel != ChannelKind::WebChat)
}

/// What is asked now.
fn question(request: &Request, names: bool) -> Message {
    let text = said(&request.author_name, &request.text, names);
    let text = match overheard::preface(&request.context) {
        before if before.is_empty() => text,
        before => format!("{before}{text}").into(),
    };
    let files = request.attachments.iter().filter(|file| !file.is_heard).flat_map(shown);
    let files: Vec<Part> = files.collect();
    // Of a picture alone nothing is said.
    let is_silent = !files.is_empty() && request.text.trim().is_empty();
    let said = Some(Part::Text(text)).filter(|_| !is_silent || !request.context.is_empty());
    Message { role: Role::User, parts: said.into_iter().chain(files).collect() }
}

/// Words, with the name of who says them.
fn said(name: &str, text: &str, names: bool) -> Box<str> {
    if names && !name.is_empty() { format!("{}: {text}", Plain(name)).into() } else { text.into() }
}

/// What was said in this conversation before.
async fn read(request: &Request, store: Option<&Store>) -> Tail {
    let Some(store) = store else { return Tail::default() };
    let most = Most {
        conversation: request.session,
        lines: LLM_HISTORY_LINES_MAX,
        bytes: LLM_HISTORY_BYTES_MAX,
    };
    let mut tail = store.context(Key::of(request), most).await;
    // Whoever keeps the transcript itself has written down the question already.
    let is_question = |line: &Line| {
        line.role == transcript::Role::User && line.at >= request.at && line.text == request.text
    };
    if tail.lines.last().is_some_and(is_question) {
        tail.lines.pop();
    }
    tail
}

/// The same as messages; those of one side that follow one another are one.
fn messages(tail: &Tail, names: bool) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    for line in &tail.lines {
        let role = match line.role {
            transcript::Role::User => Role::User,
            transcript::Role::Assistant => Role::Assistant,
            transcript::Role::Failed | transcript::Role::Stopped | transcript::Role::Summary => {
                continue;
            }
        };
        let text = match role {
            Role::User => said(&line.name, &line.text, names),
            Role::Assistant => line.text.clone(),
        };
        match messages.last_mut() {
            Some(last) if last.role == role => last.parts.push(Part::Text(text)),
            // A conversation begins with the people.
            None if role == Role::Assistant => {}
            _ => messages.push(Message { role, parts: vec![Part::Text(text)] }),
        }
    }
    messages
}

#[cfg(test)]
mod tests;
