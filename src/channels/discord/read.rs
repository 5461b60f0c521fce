//! Reading a chat when somebody asks for it: its newest messages, and where it is.

use serde::Deserialize;
use serde_json::Value;

use super::rest::Calls;
use super::send::snowflake;
use crate::base::{Instant, Wall, limits};
use crate::core::chat::ChannelKind;
use crate::proto::discord::rest::{Failure, Page, Route};
use crate::proto::discord::said::Said;

/// "Channel Types": threads, whose parent is a channel and no category.
const THREADS: [u32; 3] = [10, 11, 12];

/// What was read.
pub(crate) struct Read {
    /// The messages, the oldest first.
    pub(crate) said: Vec<Heard>,
    /// Whether there are older ones that were wanted as well.
    pub(crate) has_older: bool,
}

/// A message.
pub(crate) struct Heard {
    pub(crate) id: u64,
    pub(crate) at: Wall,
    pub(crate) author: String,
    pub(crate) text: String,
    pub(crate) has_more: bool,
}

/// Up to `count` of the newest messages of `chat`, none from before `since`.
pub(super) async fn read(
    calls: Calls,
    chat: u64,
    (count, since): (usize, Option<Wall>),
    deadline: Instant,
) -> Result<Read, String> {
    let floor = since.map_or(0, snowflake);
    let (mut said, mut page, mut has_older): (Vec<Heard>, _, _) = (Vec::new(), Page::Latest, true);
    while has_older && said.len() < count {
        let wanted = (count - said.len()).min(limits::CATCH_UP_PAGE);
        let limit = u8::try_from(wanted).unwrap_or(u8::MAX);
        let route = Route::Messages { channel: chat, page, limit };
        let body = calls.call(route, Vec::new(), deadline).await.map_err(|why| told(chat, why))?;
        let all: Vec<Value> = serde_json::from_slice(&body)
            .map_err(|_| "Discord's answer cannot be read".to_owned())?;
        let is_full = all.len() >= wanted;
        // One odd message does not hide the others.
        let mut found: Vec<Said> =
            all.into_iter().filter_map(|value| serde_json::from_value(value).ok()).collect();
        found.sort_by_key(|message| std::cmp::Reverse(message.id));
        let oldest = found.last().map(|message| message.id);
        let is_beyond = oldest.is_none_or(|oldest| oldest < floor);
        said.extend(found.into_iter().filter(|message| message.id >= floor).map(heard));
        has_older = is_full && !is_beyond;
        page = oldest.map_or(Page::Latest, Page::Before);
    }
    said.reverse();
    Ok(Read { said, has_older })
}

fn heard(said: Said) -> Heard {
    Heard {
        id: said.id,
        at: ChannelKind::Discord.said_at(said.id),
        author: said.author.name().to_owned(),
        has_more: said.has_more(),
        text: said.content,
    }
}

/// The server around `chat`, and if it is a thread the channel.
pub(super) async fn around(
    calls: Calls,
    chat: u64,
    deadline: Instant,
) -> Result<(Option<u64>, Option<u64>), String> {
    #[derive(Deserialize)]
    struct Raw {
        #[serde(rename = "type")]
        kind: u32,
        #[serde(default)]
        guild_id: Option<String>,
        #[serde(default)]
        parent_id: Option<String>,
    }
    let route = Route::Channel { channel: chat };
    let body = calls.call(route, Vec::new(), deadline).await.map_err(|why| told(chat, why))?;
    let raw: Raw =
        serde_json::from_slice(&body).map_err(|_| "Discord's answer cannot be read".to_owned())?;
    let number = |text: Option<String>| text.and_then(|text| text.parse().ok());
    let parent = number(raw.parent_id).filter(|_| THREADS.contains(&raw.kind));
    Ok((number(raw.guild_id), parent))
}

fn told(chat: u64, failure: Failure) -> String {
    match failure {
        Failure::Bad { .. } | Failure::Gone(_) | Failure::Forbidden(_) => {
            format!("there is no chat {chat} that the bot may read")
        }
        failure => format!("chat {chat} cannot be read now: {failure}"),
    }
}
