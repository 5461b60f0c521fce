//! How a unit of the outbox becomes a call, and how it is looked for in a chat's history.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use super::rest::{Calls, Content};
use crate::base::{Instant, Secret, Wall, limits};
use crate::core::outbox::{Send, Unit, Why};
use crate::proto::discord::rest::{
    Failure, Form, Page, Route, edit_body, message_body, thread_body,
};
use crate::proto::discord::said::Said;
use crate::rt::{clock, os_seed};

/// What came of a call or a look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// It is there, as this message if it is one.
    Delivered(u64),
    /// It will not arrive by this call.
    Failed(Why),
    /// It is there as this message, and says something else.
    Stale(u64),
    /// It is not there.
    Absent,
    /// Whether it is there could not be found out, now or ever.
    Unseen {
        /// Whether we may not read there.
        for_ever: bool,
    },
}

/// Something under way.
pub(super) type Doing = Pin<Box<dyn Future<Output = Outcome>>>;

/// Pages of a history that are read to find one message.
const PAGES_MAX: usize = 5;

/// Makes the call for `send`.
pub(super) async fn send(calls: Calls, send: Box<Send>) -> Outcome {
    let Send { to: channel, unit, id, nonce, reply_to, deadline, is_drafted, .. } = *send;
    let answers = id.answers().unwrap_or(0);
    let answer = match unit {
        Unit::Say { text, files } => {
            let body = message_body(&text, &nonce.to_string(), reply_to);
            let content = if files.is_empty() {
                Content::from(body)
            } else {
                let files = files.iter().map(|file| (&*file.name, &*file.bytes));
                match Form::new(os_seed(), &body, files) {
                    Ok(form) => form.into(),
                    Err(_) => return Outcome::Failed(Why::Rejected),
                }
            };
            let answer = calls.call(Route::CreateMessage { channel }, content, deadline).await;
            if is_drafted
                && let Ok(body) = &answer
                && let Some(message) = other_words(body, &text)
            {
                return Outcome::Stale(message);
            }
            answer
        }
        Unit::Edit { message, text } => {
            let route = Route::EditMessage { channel, message };
            let answer = calls.call(route, edit_body(&text), deadline).await;
            if answer.is_ok() {
                return Outcome::Delivered(message);
            }
            answer
        }
        Unit::Erase { message } => {
            calls.call(Route::DeleteMessage { channel, message }, Vec::new(), deadline).await
        }
        Unit::React { to, emoji } => {
            let route = Route::React { channel, message: to.unwrap_or(answers) };
            calls.call_with(route, Secret::new(&emoji), Vec::new(), deadline).await
        }
        Unit::Thread { name } => {
            let route = Route::OpenThread { channel, message: answers };
            calls.call(route, thread_body(&name), deadline).await
        }
    };
    match answer {
        Ok(body) => Outcome::Delivered(message_id(&body)),
        Err(failure) => Outcome::Failed(why(failure)),
    }
}

/// Looks for the message of `send` among those of its chat that came `after`. It is ours if it
/// has our nonce, or our words as an answer to the same message.
pub(super) async fn look(
    calls: Calls,
    send: Box<Send>,
    (mut after, added): (u64, Wall),
    me: u64,
) -> Outcome {
    if after == 0 {
        after = snowflake(added).saturating_sub(snowflake_span(limits::CATCH_UP_SLACK));
    }
    let Unit::Say { text, .. } = &send.unit else { return Outcome::Absent };
    let nonce = send.nonce.to_string();
    for _ in 0..PAGES_MAX {
        let History { said, more_after } =
            match history(&calls, send.to, after, send.deadline).await {
                Ok(said) => said,
                Err(Failure::Gone(_) | Failure::Forbidden(_) | Failure::Bad { .. }) => {
                    return Outcome::Unseen { for_ever: true };
                }
                Err(_) => return Outcome::Unseen { for_ever: false },
            };
        let is_ours = |message: &&Said| {
            let same = message.content.trim() == text.trim();
            let points = message.reference() == send.reply_to;
            // What was begun says something else, and answers the same message.
            let same = same || (send.is_drafted && send.reply_to.is_some());
            message.nonce() == Some(&nonce) || (message.author.id == me && same && points)
        };
        if let Some(message) = said.iter().find(is_ours) {
            let is_stale = send.is_drafted && message.content.trim() != text.trim();
            let id = message.id;
            return if is_stale { Outcome::Stale(id) } else { Outcome::Delivered(id) };
        }
        let Some(newest) = more_after else { break };
        after = newest;
    }
    Outcome::Absent
}

/// A page of a history.
pub(super) struct History {
    /// The messages that can be read, the oldest first.
    pub(super) said: Vec<Said>,
    /// The newest of all, if there is more to be asked for behind it.
    pub(super) more_after: Option<u64>,
}

/// A page of the messages of `channel` that came after `after`.
pub(super) async fn history(
    calls: &Calls,
    channel: u64,
    after: u64,
    deadline: Instant,
) -> Result<History, Failure> {
    let limit = u8::try_from(limits::CATCH_UP_PAGE).unwrap_or(u8::MAX);
    let route = Route::Messages { channel, page: Page::After(after), limit };
    let body = calls.call(route, Vec::new(), deadline).await?;
    // What is no list is no answer; one odd message does not hide the others.
    let all: Vec<Value> = serde_json::from_slice(&body).map_err(|_| Failure::Lost)?;
    let is_full = all.len() >= limits::CATCH_UP_PAGE;
    let read = |value| serde_json::from_value::<Said>(value).ok();
    let mut said: Vec<Said> = all.into_iter().filter_map(read).collect();
    said.sort_by_key(|message| message.id);
    let more_after = said.last().map(|message| message.id).filter(|_| is_full);
    Ok(History { said, more_after })
}

/// The number that a message of this moment has at least ("Snowflakes").
pub(super) fn snowflake(at: Wall) -> u64 {
    /// The first moment of 2015.
    const EPOCH: Wall = Wall(1_420_070_400_000);
    let span = u64::try_from(at.since(EPOCH).as_millis()).unwrap_or(u64::MAX);
    span.min(u64::MAX >> 22) << 22
}

/// By how much a number of a message grows in `span`.
pub(super) fn snowflake_span(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).min(u64::MAX >> 22) << 22
}

/// Shows `text` as what there is so far of the item with `nonce`; the message that it has become.
pub(super) async fn post_draft(
    calls: Calls,
    channel: u64,
    text: String,
    nonce: String,
    reply_to: Option<u64>,
) -> Option<u64> {
    let deadline = clock::now() + limits::DRAFT_POST_DEADLINE;
    let body = message_body(&text, &nonce, reply_to);
    let answer = calls.call(Route::CreateMessage { channel }, body, deadline).await;
    answer.ok().map(|body| message_id(&body)).filter(|&message| message != 0)
}

/// Has a message show what there is now, if that can be done at once: whether it does, and whether
/// it is worth trying again.
pub(super) async fn edit_draft(
    calls: Calls,
    channel: u64,
    message: u64,
    text: String,
) -> (bool, bool) {
    let deadline = clock::now() + limits::DRAFT_EDIT_DEADLINE;
    let route = Route::EditDraft { channel, message };
    match calls.call(route, edit_body(&text), deadline).await {
        Ok(_) => (true, true),
        Err(failure) => (false, why(failure).may_pass()),
    }
}

#[derive(Deserialize)]
struct Created {
    id: String,
    #[serde(default)]
    content: String,
}

fn message_id(body: &[u8]) -> u64 {
    let created = serde_json::from_slice::<Created>(body).ok();
    created.and_then(|created| created.id.parse().ok()).unwrap_or(0)
}

/// The message in `body`, if it says something else than `text`.
fn other_words(body: &[u8], text: &str) -> Option<u64> {
    let created = serde_json::from_slice::<Created>(body).ok()?;
    let is_other = created.content.trim() != text.trim();
    created.id.parse().ok().filter(|_| is_other)
}

fn why(failure: Failure) -> Why {
    match failure {
        Failure::Gone(_) => Why::Gone,
        Failure::Forbidden(_) => Why::Forbidden,
        Failure::Bad { .. } => Why::Rejected,
        Failure::Unauthorized => Why::Unauthorized,
        Failure::Expired | Failure::TooManyInvalid => Why::Expired,
        Failure::Lost => Why::Lost,
        Failure::Full => Why::Full,
    }
}
