//! What a model is told: what was said in the conversation before, and what is asked now.

use std::fmt::Write as _;
use std::ops::Range;

use super::files::shown;
use crate::agent::store::{Most, Store, Tail};
use crate::base::limits::LLM_HISTORY_LINES_MAX;
use crate::base::text::{Plain, truncate};
use crate::core::chat::{ChannelKind, Request};
use crate::core::router::overheard;
use crate::core::session::Key;
use crate::core::transcript::{self, Line};
use crate::proto::llm::{Message, Part, Role};

/// What was said in a conversation before, as far as it is told.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The lines, and what stands for those before them.
    pub(super) tail: Tail,
    /// The summary that is being made.
    pub(super) so_far: Option<String>,
    /// Whether older lines are left out.
    pub(super) is_cut: bool,
    names: bool,
}

impl History {
    /// What `store` has of the conversation of `request`, at most so many bytes of it, and of one
    /// line at most `line` bytes.
    pub(super) async fn read(
        request: &Request,
        store: Option<&Store>,
        bytes: usize,
        line: usize,
    ) -> History {
        let names = has_names(request);
        let Some(store) = store else { return History { names, ..History::default() } };
        let most = Most { conversation: request.session, lines: LLM_HISTORY_LINES_MAX, bytes };
        let mut tail = store.context(Key::of(request), most).await;
        // Whoever keeps the transcript itself has written down the question already.
        let is_question = |line: &Line| {
            line.role == transcript::Role::User
                && line.at >= request.at
                && line.text == request.text
        };
        if tail.lines.last().is_some_and(is_question) {
            tail.lines.pop();
        }
        for kept in &mut tail.lines {
            if kept.text.len() > line {
                kept.text = format!("{} […]", truncate(&kept.text, line)).into();
            }
        }
        History { is_cut: tail.has_more, tail, so_far: None, names }
    }

    /// What stands for all before the lines.
    pub(super) fn in_short(&self) -> Option<&str> {
        let kept = self.tail.summary.as_ref().map(|line| &*line.text);
        self.so_far.as_deref().or(kept)
    }

    /// These lines as they are read by whoever puts them in short.
    pub(super) fn written(&self, lines: Range<usize>) -> String {
        let mut written = String::new();
        for line in self.tail.lines.get(lines).unwrap_or_default() {
            let _ = match line.role {
                transcript::Role::User if line.name.is_empty() => {
                    writeln!(written, "somebody: {}", line.text)
                }
                transcript::Role::User => {
                    writeln!(written, "{}: {}", Plain(&line.name), line.text)
                }
                transcript::Role::Assistant => writeln!(written, "the assistant: {}", line.text),
                transcript::Role::Failed
                | transcript::Role::Stopped
                | transcript::Role::Summary => Ok(()),
            };
        }
        written
    }

    /// All of it as messages; those of one side that follow one another are one.
    pub(super) fn messages(&self) -> Vec<Message> {
        let mut messages: Vec<Message> = Vec::new();
        let mut before = Vec::new();
        if let Some(summary) = &self.tail.summary {
            let text = format!("[What was said here before, in short: {}]", summary.text);
            before.push(Part::Text(text.into()));
        }
        if self.is_cut {
            let text = "[Here some older messages are left out: there was no room for them.]";
            before.push(Part::Text(text.into()));
        }
        if !before.is_empty() {
            messages.push(Message { role: Role::User, parts: before });
        }
        for line in &self.tail.lines {
            let role = match line.role {
                transcript::Role::User => Role::User,
                transcript::Role::Assistant => Role::Assistant,
                transcript::Role::Failed
                | transcript::Role::Stopped
                | transcript::Role::Summary => continue,
            };
            let text = match role {
                Role::User => said(&line.name, &line.text, self.names),
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
}

/// What is asked now.
pub(super) fn question(request: &Request) -> Message {
    let text: Box<str> = words(request).into();
    let text = match overheard::preface(&request.context) {
        before if before.is_empty() => text,
        before => format!("{before}{text}").into(),
    };
    let files = request.attachments.iter().filter(|file| !file.is_heard).flat_map(shown);
    let files: Vec<Part> = files.collect();
    // Of a picture alone nothing is said.
    let is_silent = !files.is_empty() && request.words().trim().is_empty();
    let said = Some(Part::Text(text)).filter(|_| !is_silent || !request.context.is_empty());
    Message { role: Role::User, parts: said.into_iter().chain(files).collect() }
}

/// Whether several people may speak, so that the model has to know who says what.
fn has_names(request: &Request) -> bool {
    let is_shared = Key::of(request).person().is_none();
    request.guild.is_some() || (is_shared && request.chat.channel != ChannelKind::WebChat)
}

/// All that is said by `request`, as it is told to a model.
pub(super) fn words(request: &Request) -> String {
    let names = has_names(request);
    let lines: Vec<Box<str>> =
        request.said().map(|spoken| said(spoken.name, spoken.text, names)).collect();
    // One text: small servers know no lists of them.
    lines.join("\n")
}

/// Words, with the name of who says them.
fn said(name: &str, text: &str, names: bool) -> Box<str> {
    if names && !name.is_empty() { format!("{}: {text}", Plain(name)).into() } else { text.into() }
}

#[cfg(test)]
mod tests;
