//! What a model is shown of the files that come with a message.

use crate::base::base64;
use crate::core::chat::{Attachment, Content};
use crate::core::media;
use crate::proto::llm::{Message, Part};

/// A file: a line that says which it is, and what is in it, if that can be shown.
pub(super) fn shown(file: &Attachment) -> Vec<Part> {
    let line = media::mark(file);
    match &file.content {
        None => vec![Part::Text(line.into())],
        Some(Content::Text(text)) => vec![Part::Text(format!("{line}\n{text}").into())],
        Some(Content::Picture { kind, bytes }) => {
            let base64 = base64::encode(bytes).into();
            vec![Part::Text(line.into()), Part::Image { kind: kind.clone(), base64 }]
        }
    }
}

/// The same messages without pictures, for a model that sees none: the lines before them stay.
/// `None` if there are no pictures.
pub(super) fn blind(messages: &[Message]) -> Option<Vec<Message>> {
    let is_picture = |part: &Part| matches!(part, Part::Image { .. });
    if !messages.iter().any(|message| message.parts.iter().any(is_picture)) {
        return None;
    }
    let without = |message: &Message| Message {
        role: message.role,
        parts: message.parts.iter().filter(|part| !is_picture(part)).cloned().collect(),
    };
    Some(messages.iter().map(without).collect())
}
