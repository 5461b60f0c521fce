//! A message as agents read it: one JSON document, the same for programs and endpoints.
//!
//! Ids are texts: they are longer than the numbers of many languages are exact.

use serde::Serialize;

use crate::core::chat::{Attachment, Request};
use crate::core::router::overheard::Words;
use crate::core::session::Key;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'r> {
    /// The message.
    id: String,
    /// The service.
    channel: &'static str,
    chat: String,
    /// `null` in a direct message.
    guild: Option<String>,
    author: Author<'r>,
    /// What was said, with what goes along with it, in lines.
    text: String,
    /// The files that came with it.
    attachments: Vec<Attached<'r>>,
    /// What was said in the chat before, to others; left out if there is nothing.
    #[serde(skip_serializing_if = "<[Words]>::is_empty")]
    context: &'r [Words],
    /// The message that it answers, or `null`.
    reply_to: Option<String>,
    account: &'r str,
    agent: &'r str,
    /// The conversation: the same text for as long as it is the same.
    session: String,
    /// Whether it was said while we were away.
    late: bool,
    /// How often a turn was begun for it before, and cut short.
    attempt: u8,
    /// When we received it (RFC 3339).
    at: String,
}

#[derive(Serialize)]
struct Author<'r> {
    id: String,
    name: &'r str,
}

/// A file, as its service describes it.
#[derive(Serialize)]
struct Attached<'r> {
    name: &'r str,
    /// Such as `image/png`; empty if the service does not say.
    r#type: &'r str,
    bytes: u64,
    /// Where it can be fetched, for a while.
    url: &'r str,
    /// How long it plays, if it is a voice note.
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<u32>,
}

impl Attached<'_> {
    fn of(attachment: &Attachment) -> Attached<'_> {
        let Attachment { name, kind, bytes, url, seconds, .. } = attachment;
        Attached { name, r#type: kind, bytes: *bytes, url, seconds: *seconds }
    }
}

/// The document of `request`.
pub(super) fn of(request: &Request) -> Vec<u8> {
    let Request { account, chat, .. } = request;
    let document = Document {
        id: request.id.to_string(),
        channel: chat.channel.name(),
        chat: chat.id.to_string(),
        guild: request.guild.map(|guild| guild.to_string()),
        author: Author { id: request.author.to_string(), name: &request.author_name },
        text: request.words(),
        attachments: request.attachments.iter().map(Attached::of).collect(),
        context: &request.context,
        reply_to: request.reply_to.map(|id| id.to_string()),
        account,
        agent: &request.agent,
        session: Key::of(request).session_id(request.session),
        late: request.late,
        attempt: request.attempt,
        at: request.at.to_string(),
    };
    // Texts and numbers can always be written.
    serde_json::to_vec(&document).unwrap_or_default()
}

/// By what an endpoint knows a message that it is asked about a second time.
pub(super) fn key(request: &Request) -> String {
    format!("{}:{}", request.chat, request.id)
}
