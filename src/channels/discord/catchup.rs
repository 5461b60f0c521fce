//! What was said while a session was lost. No RESUME brings it, so the chats that were active are
//! read from the newest message on that we had seen; what is found passes the same doors, late.
//!
//! Bounded and courteous: chats one after the other, a page at a time, and never more messages
//! than there is room for. Meanwhile newer messages of a chat wait, so that its order is kept.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde::Deserialize;
use smol::channel::{Receiver, Sender};
use smol::future::or;

use super::doors::Ledger;
use super::rest::Calls;
use super::send::{History, history, snowflake, snowflake_span};
use super::settings::Settings;
use crate::base::limits;
use crate::base::text::truncate;
use crate::core::chat::{Attachment, ChannelKind, ChatId, Inbound};
use crate::proto::discord::rest::{Failure, Route};
use crate::proto::discord::said::{Attached, Said};
use crate::rt::clock;

/// What is found on the way.
pub(super) enum Late {
    /// A message.
    Message(Box<Found>),
    /// That was all of this chat.
    Done(ChatId),
}

/// A message that was fetched.
pub(super) struct Found {
    chat: ChatId,
    around: Around,
    said: Said,
    attachments: Vec<Attachment>,
    /// Whom it mentions.
    mentions: Vec<u64>,
}

/// Where a chat is.
#[derive(Clone, Copy, Default)]
struct Around {
    guild: Option<u64>,
    /// Of a thread, the channel around it.
    parent: Option<u64>,
}

/// What catching up is done with.
pub(super) struct CatchUp {
    pub(super) ledger: Rc<RefCell<Ledger>>,
    pub(super) settings: Rc<RefCell<Settings>>,
    pub(super) calls: Calls,
    /// Our number; 0 before it is known.
    pub(super) me: Rc<Cell<u64>>,
    /// Told, without a word, when a connection is live and something is to be caught up on.
    pub(super) wake: Receiver<()>,
    pub(super) late: Sender<Late>,
    /// Told, without a word, when there is room for another message.
    pub(super) room: Receiver<()>,
}

impl Found {
    fn new(chat: ChatId, around: Around, said: Said) -> Found {
        let attachments = attachments(&said);
        let mentions = said.mentioned();
        Found { chat, around, said, attachments, mentions }
    }

    /// The message as the doors see it, to whom we are `me`. Its text is without a mention of us
    /// at its beginning.
    pub(super) fn inbound(&self, me: u64, text: impl Fn(&str) -> &str) -> Inbound<'_> {
        let Found { chat, around, said, attachments, mentions } = self;
        let kept = truncate(&said.content, limits::TEXT_BYTES_MAX);
        let own = text(kept);
        Inbound {
            chat: *chat,
            id: said.id,
            seq: 0,
            guild: around.guild,
            parent: around.parent,
            author: said.author.id,
            author_name: said.author.name(),
            // REST does not tell them: where they matter, the doors ask for them.
            roles: &[],
            from_bot: said.from_bot(),
            from_self: said.author.id == me,
            mentions_us: said.mentions(me),
            mentions,
            called: (own.len() < kept.trim_start().len()).then_some(me),
            reply_to: said.reference(),
            reply_author: said.reply_author(),
            late: true,
            text: own,
            text_cut: kept.len() < said.content.len(),
            has_more: said.has_more(),
            attachments,
        }
    }

    /// Where it was said.
    pub(super) fn chat(&self) -> ChatId {
        self.chat
    }

    /// Its number.
    pub(super) fn id(&self) -> u64 {
        self.said.id
    }

    /// Its type ("Message Types").
    pub(super) fn kind(&self) -> u32 {
        self.said.kind
    }
}

/// The files of `said`, as the gateway would have told them.
fn attachments(said: &Said) -> Vec<Attachment> {
    let short = |text: &str, bytes_max| Some(text.into()).filter(|_| text.len() <= bytes_max);
    let attachment = |file: &Attached| Attachment {
        name: truncate(&file.filename, limits::ATTACHMENT_NAME_BYTES_MAX).into(),
        kind: short(
            file.content_type.as_deref().unwrap_or_default(),
            limits::ATTACHMENT_KIND_BYTES_MAX,
        )
        .unwrap_or_default(),
        bytes: file.size,
        url: short(&file.url, limits::ATTACHMENT_URL_BYTES_MAX).unwrap_or_default(),
        seconds: file.seconds(),
        ..Attachment::default()
    };
    said.attachments.iter().take(limits::ATTACHMENTS_MAX).map(attachment).collect()
}

impl CatchUp {
    /// Catches up whenever it is woken, until nobody can wake it any more.
    pub(super) async fn run(self) {
        let mut again = false;
        while again || self.wake.recv().await.is_ok() {
            again = false;
            let work = async {
                self.all().await;
                true
            };
            let end = async {
                while self.wake.recv().await.is_ok() {
                    again = true;
                }
                false
            };
            if !or(work, end).await {
                return;
            }
            if !again {
                self.ledger.borrow_mut().gap = None;
            }
        }
    }

    async fn all(&self) {
        let (gap, chats) = {
            let ledger = self.ledger.borrow();
            (ledger.gap, ledger.backlog.held())
        };
        let (span, count_max) = self.settings.borrow().catch_up;
        let floor = clock::wall().0.saturating_sub(u64::try_from(span.as_millis()).unwrap_or(0));
        let floor = snowflake(crate::base::Wall(floor));
        let after = gap.map(|gap| gap.saturating_sub(snowflake_span(limits::CATCH_UP_SLACK)));
        let (mut looked, mut found) = (0, 0);
        for chat in chats {
            if let Some(after) = after.filter(|_| !span.is_zero()) {
                match self.chat(chat, after.max(floor), count_max).await {
                    Ok(count) => found += count,
                    Err(failure) => log::warn!(
                        target: "discord",
                        "what was said in chat {} meanwhile is not known: {failure}",
                        chat.id
                    ),
                }
                looked += 1;
            }
            if self.late.send(Late::Done(chat)).await.is_err() {
                return;
            }
        }
        if looked > 0 {
            log::info!(
                target: "discord",
                "the session was lost: {found} messages were said meanwhile in {looked} chats"
            );
        }
    }

    /// Fetches what was said in `chat`, the oldest first; how many messages that were.
    async fn chat(&self, chat: ChatId, after: u64, count_max: usize) -> Result<usize, Failure> {
        let around = self.around(chat).await?;
        let (mut after, mut count) = (after, 0);
        loop {
            let deadline = clock::now() + limits::CATCH_UP_DEADLINE;
            let History { said, more_after } =
                history(&self.calls, chat.id, after, deadline).await?;
            for said in said {
                // What we had before, from the moments of slack, and what we said ourselves take
                // no place of what is new.
                let is_new =
                    said.author.id != self.me.get() && self.ledger.borrow().is_new(chat, said.id);
                if is_new && count >= count_max {
                    log::warn!(
                        target: "discord",
                        "more than {count_max} messages were said meanwhile in chat {}; the rest \
                         is not looked at (catchUp)",
                        chat.id
                    );
                    return Ok(count);
                }
                count += usize::from(is_new);
                self.await_room().await;
                let found = Late::Message(Box::new(Found::new(chat, around, said)));
                if self.late.send(found).await.is_err() {
                    return Ok(count);
                }
            }
            let Some(newest) = more_after else { return Ok(count) };
            after = newest;
        }
    }

    /// Where `chat` is: the messages do not say it, and nobody may be taken for one who writes a
    /// direct message.
    async fn around(&self, chat: ChatId) -> Result<Around, Failure> {
        #[derive(Deserialize)]
        struct Raw {
            #[serde(rename = "type")]
            kind: u32,
            #[serde(default)]
            guild_id: Option<String>,
            #[serde(default)]
            parent_id: Option<String>,
        }
        /// "Channel Types": threads, whose parent is a channel and no category.
        const THREADS: [u32; 3] = [10, 11, 12];
        /// A DM and a group of them.
        const DIRECT: [u32; 2] = [1, 3];
        let deadline = clock::now() + limits::CATCH_UP_DEADLINE;
        let route = Route::Channel { channel: chat.id };
        let body = self.calls.call(route, Vec::new(), deadline).await?;
        let raw: Raw = serde_json::from_slice(&body).map_err(|_| Failure::Lost)?;
        let number = |text: Option<String>| text.and_then(|text| text.parse().ok());
        let guild = number(raw.guild_id);
        if guild.is_none() && !DIRECT.contains(&raw.kind) {
            return Err(Failure::Lost);
        }
        let parent = number(raw.parent_id).filter(|_| THREADS.contains(&raw.kind));
        Ok(Around { guild, parent })
    }

    /// Waits until another message can be let in.
    async fn await_room(&self) {
        while self.ledger.borrow().inflight.len() >= limits::CATCH_UP_OPEN_MAX {
            if self.room.recv().await.is_err() {
                return;
            }
        }
    }
}

impl Ledger {
    /// A session begins that no RESUME connects with the one before: what was said in between is
    /// to be fetched, and newer messages of the chats that are looked at wait for it.
    pub(super) fn lose_session(&mut self) {
        let newest = self.inflight.newest();
        if self.gap.is_some() || newest > 0 {
            self.gap.get_or_insert(newest);
            self.hold_active();
        }
    }

    /// Goes on from what an earlier life knew: the newest message it had seen, and what it had
    /// still to catch up on.
    pub(super) fn remember(&mut self, newest: u64, gap: Option<u64>) {
        let answered = self.answered.marks().into_iter().map(|mark| mark.id).max().unwrap_or(0);
        self.inflight.saw(if newest > 0 { newest } else { answered });
        self.gap = gap;
        if gap.is_some() {
            self.hold_active();
        }
    }

    /// Holds the chats that were answered last.
    fn hold_active(&mut self) {
        let since = clock::wall()
            .0
            .saturating_sub(u64::try_from(limits::CATCH_UP_ACTIVE.as_millis()).unwrap_or(u64::MAX));
        let since = snowflake(crate::base::Wall(since));
        let marks = self.answered.marks();
        let active = marks.iter().rev().take(limits::CATCH_UP_CHATS_MAX);
        for mark in active.filter(|mark| mark.id >= since) {
            debug_assert_eq!(mark.chat.channel, ChannelKind::Discord);
            self.backlog.hold(mark.chat);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_as_the_gateway_tells_them() {
        let long = "x".repeat(limits::ATTACHMENT_URL_BYTES_MAX + 1);
        let text = format!(
            r#"{{"id":"1","author":{{"id":"2"}},"attachments":[
                {{"id":"3","filename":"v.ogg","content_type":"audio/ogg","size":7,
                  "url":"https://cdn/v.ogg","duration_secs":1.5}},
                {{"id":"4","filename":"{long}","url":"{long}"}}{}]}}"#,
            r#",{"id":"5"}"#.repeat(limits::ATTACHMENTS_MAX)
        );
        let files = attachments(&serde_json::from_str(&text).unwrap());
        assert_eq!(files.len(), limits::ATTACHMENTS_MAX);
        assert_eq!((&*files[0].name, files[0].bytes, files[0].seconds), ("v.ogg", 7, Some(2)));
        assert!(files[0].is_sound() && &*files[0].url == "https://cdn/v.ogg");
        assert_eq!(files[1].name.len(), limits::ATTACHMENT_NAME_BYTES_MAX);
        assert_eq!(&*files[1].url, "", "half an address leads nowhere");
    }
}
