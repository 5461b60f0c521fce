//! Which conversation each session is in: `/new` begins another, and a restart does not go back to
//! an old one.
//!
//! What somebody asked for is kept here, at once. What begins by itself is kept with the
//! transcripts, which costs a few bytes; until something was said in it, it may begin again.

use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::limits::{SESSIONS_BYTES_MAX, SESSIONS_HEARD_MAX, SESSIONS_MAX};
use crate::base::{Instant, Wall};
use crate::core::chat::{ChatId, Request};
use crate::core::reset::Rule;
use crate::core::session::{Key, Kind, Scopes};
use crate::core::turn::Room;
use crate::rt::blocking;
use crate::rt::store::{Cell, Content, Durability, StoreError};

/// The file in the state directory.
const FILE: &str = "sessions";

/// What the configuration says of sessions.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Rules {
    /// What makes one session of several messages.
    pub scopes: Scopes,
    /// When a conversation is over, where nothing else holds.
    pub reset: Rule,
    /// The same of direct messages …
    pub direct: Option<Rule>,
    /// … of channels …
    pub group: Option<Rule>,
    /// … and of threads.
    pub thread: Option<Rule>,
    /// The same of a service, which beats the others.
    pub discord: Option<Rule>,
    /// The accounts in which a new thread begins with what was said around it.
    pub inherit: Vec<Box<str>>,
}

impl Rules {
    /// When the conversation of `request` is over, which is of the session `key`.
    pub(super) fn reset(&self, request: &Request, key: &Key) -> Option<&Rule> {
        if matches!(key.kind(), Kind::Cron { .. }) {
            return None;
        }
        let of_service = match request.chat.channel {
            crate::core::chat::ChannelKind::Discord => self.discord.as_ref(),
            crate::core::chat::ChannelKind::WebChat => None,
        };
        let of_type = match (request.guild, request.parent) {
            (Some(_), Some(_)) => self.thread.as_ref().or(self.group.as_ref()),
            (Some(_), None) => self.group.as_ref(),
            (None, _) => self.direct.as_ref(),
        };
        let rule = of_service.or(of_type).unwrap_or(&self.reset);
        (!rule.is_off()).then_some(rule)
    }
}

/// The number of each session's conversation.
#[derive(Debug, Default)]
pub struct Sessions {
    /// The sessions that were renewed at least once; the one renewed longest ago comes first, and
    /// is forgotten first.
    renewed: VecDeque<Entry>,
    /// When each was last heard of by this process, the one of long ago first.
    heard: VecDeque<(Key, Instant)>,
    /// What the configuration says.
    pub rules: Rules,
    cell: Option<Cell>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Entry {
    account: Box<str>,
    chat: ChatId,
    number: u32,
    /// Older versions knew the room alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Key>,
    /// When somebody asked for it; 0 if that is not known.
    #[serde(default)]
    at: Wall,
}

/// The conversation that somebody wanted last in a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wanted {
    /// Its number; 0 is the first, which nobody wanted.
    pub number: u32,
    /// When that was; 0 if it is not known.
    pub at: Wall,
}

impl Sessions {
    /// Reads what the state directory knows. What cannot be read is said, and begins anew.
    #[must_use]
    pub fn open(state: &Path) -> Sessions {
        let cell = Cell::new(state, FILE, SESSIONS_BYTES_MAX);
        let renewed = match cell.read() {
            Ok(Content::Whole(bytes)) => serde_json::from_slice(&bytes).unwrap_or_default(),
            Ok(Content::Empty) => VecDeque::new(),
            Ok(Content::Quarantined(aside)) => {
                log::warn!(
                    target: "agent",
                    "the list of conversations was damaged and put aside as {}: chats are back in \
                     their first conversation",
                    aside.display()
                );
                VecDeque::new()
            }
            Err(error) => {
                log::warn!(target: "agent", "the list of conversations cannot be read: {error}");
                VecDeque::new()
            }
        };
        Sessions { renewed, cell: Some(cell), ..Sessions::default() }
    }

    /// The conversation that was last wanted in the session `key`, whose turns are taken in `room`.
    #[must_use]
    pub fn of(&self, key: &Key, room: &Room) -> Wanted {
        let own = self.renewed.iter().find(|entry| entry.key.as_ref() == Some(key));
        let of_room = |entry: &&Entry| entry.key.is_none() && entry.is_in(room);
        let entry = own.or_else(|| self.renewed.iter().find(of_room));
        entry.map_or(Wanted::default(), |entry| Wanted { number: entry.number, at: entry.at })
    }

    /// Somebody wants another conversation in the session, which is in number `now_in`; its number,
    /// and the way to keep it.
    pub fn renew(
        &mut self,
        (key, room): (&Key, &Room),
        now_in: u32,
        at: Wall,
    ) -> (u32, impl Future<Output = Result<(), StoreError>> + use<>) {
        (self.advance((key, room), now_in, at), self.keep())
    }

    fn advance(&mut self, (key, room): (&Key, &Room), now_in: u32, at: Wall) -> u32 {
        let number = self.of(key, room).number.max(now_in).saturating_add(1);
        self.renewed.retain(|entry| match &entry.key {
            Some(known) => known != key,
            None => !entry.is_in(room),
        });
        while self.renewed.len() >= SESSIONS_MAX {
            self.renewed.pop_front();
        }
        let Room { account, chat } = room.clone();
        self.renewed.push_back(Entry { account, chat, number, key: Some(key.clone()), at });
        number
    }

    /// How long ago this process has heard of the session `key`.
    #[must_use]
    pub fn heard(&self, key: &Key, now: Instant) -> Option<Duration> {
        let (_, at) = self.heard.iter().rev().find(|(known, _)| known == key)?;
        Some(now.since(*at))
    }

    /// Somebody says something in the session `key` now.
    pub fn hear(&mut self, key: &Key, now: Instant) {
        self.heard.retain(|(known, _)| known != key);
        while self.heard.len() >= SESSIONS_HEARD_MAX {
            self.heard.pop_front();
        }
        self.heard.push_back((key.clone(), now));
    }

    /// Forgets the sessions that are `gone`; the way to keep that, if there were any.
    pub fn forget(
        &mut self,
        gone: &dyn Fn(Option<&Key>, &Room) -> bool,
    ) -> Option<impl Future<Output = Result<(), StoreError>> + use<>> {
        self.heard.retain(|(key, _)| !gone(Some(key), &key.room()));
        let before = self.renewed.len();
        self.renewed.retain(|entry| {
            let room = Room { account: entry.account.clone(), chat: entry.chat };
            !gone(entry.key.as_ref(), &room)
        });
        (self.renewed.len() < before).then(|| self.keep())
    }

    fn keep(&self) -> impl Future<Output = Result<(), StoreError>> + use<> {
        let text = serde_json::to_vec(&self.renewed).unwrap_or_default();
        let cell = self.cell.clone();
        async move {
            let Some(cell) = cell else { return Ok(()) };
            // With too much waiting for the disk it is written here and now: it is seldom.
            let (there, content) = (cell.clone(), text.clone());
            let written = blocking::run(move || there.write(&content, Durability::Disk)).await;
            written.unwrap_or_else(|_| cell.write(&text, Durability::Disk))
        }
    }
}

impl Entry {
    fn is_in(&self, room: &Room) -> bool {
        self.account == room.account && self.chat == room.chat
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::chat::ChannelKind;
    use crate::rt::store::tests::Scratch;

    fn room(account: &str, id: u64) -> Room {
        Room { account: account.into(), chat: ChatId { channel: ChannelKind::Discord, id } }
    }

    fn key(name: &str) -> Key {
        Key::read(name, "main").unwrap()
    }

    #[test]
    fn a_new_conversation_is_of_one_session_and_outlives_a_restart() {
        let state = Scratch::new();
        let mut sessions = Sessions::open(state.path());
        let (ann, bob) = (key("discord:channel:1:user:1"), key("discord:channel:1:user:2"));
        assert_eq!(sessions.of(&ann, &room("a", 1)), Wanted::default());
        for expected in [1, 2] {
            let session = (&ann, &room("a", 1));
            let (number, keep) = sessions.renew(session, 0, Wall(expected.into()));
            smol::block_on(keep).unwrap();
            assert_eq!(number, expected);
        }
        let (number, _) = sessions.renew((&key("b"), &room("a", 2)), 7, Wall(5));
        assert_eq!(number, 8, "it had begun others by itself");
        let sessions = Sessions::open(state.path());
        let wanted = sessions.of(&ann, &room("a", 1));
        assert_eq!(wanted, Wanted { number: 2, at: Wall(2) });
        assert_eq!(sessions.of(&bob, &room("a", 1)).number, 0, "in the same room");
    }

    #[test]
    fn what_an_older_version_kept_of_a_room_holds_for_its_sessions() {
        let state = Scratch::new();
        let old = br#"[{"account":"a","chat":{"channel":"discord","id":1},"number":3}]"#;
        let cell = Cell::new(state.path(), FILE, SESSIONS_BYTES_MAX);
        cell.write(old, Durability::Disk).unwrap();
        let mut sessions = Sessions::open(state.path());
        assert_eq!(sessions.of(&key("discord:direct:9"), &room("a", 1)).number, 3);
        assert_eq!(sessions.of(&key("discord:direct:9"), &room("b", 1)).number, 0);
        let (number, keep) = sessions.renew((&key("discord:direct:9"), &room("a", 1)), 0, Wall(1));
        smol::block_on(keep).unwrap();
        assert_eq!((number, sessions.renewed.len()), (4, 1));
        let Ok(Content::Whole(bytes)) = cell.read() else { panic!("nothing was kept") };
        let kept: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let read_by_old = (&kept[0]["account"], &kept[0]["chat"]["id"], &kept[0]["number"]);
        assert_eq!(read_by_old, (&"a".into(), &1.into(), &4.into()));
    }

    #[test]
    fn only_so_many_are_kept_and_a_list_of_them_fits_its_file() {
        let mut sessions = Sessions::default();
        let long = "x".repeat(480);
        for id in 0..=SESSIONS_MAX as u64 {
            let key = key(&format!("{long}{id}"));
            sessions.advance((&key, &room("an account with a long name", id)), 0, Wall(u64::MAX));
            sessions.hear(&key, Instant(id));
        }
        assert_eq!(
            (sessions.renewed.len(), sessions.heard.len()),
            (SESSIONS_MAX, SESSIONS_HEARD_MAX)
        );
        let first = key(&format!("{long}0"));
        assert_eq!(sessions.of(&first, &room("an account with a long name", 0)).number, 0);
        assert_eq!(sessions.heard(&first, Instant(0)), None);
        let last = key(&format!("{long}{SESSIONS_MAX}"));
        let since = sessions.heard(&last, Instant(SESSIONS_MAX as u64 + 5));
        assert_eq!(since, Some(Duration::from_nanos(5)));
        let text = serde_json::to_vec(&sessions.renewed).unwrap();
        assert!(text.len() < SESSIONS_BYTES_MAX as usize);
    }

    #[test]
    fn a_list_that_is_not_ours_is_done_without() {
        let state = Scratch::new();
        std::fs::write(state.path().join(FILE), b"{]").unwrap();
        let sessions = Sessions::open(state.path());
        assert_eq!(sessions.of(&key("a"), &room("a", 1)), Wanted::default());
    }
}
