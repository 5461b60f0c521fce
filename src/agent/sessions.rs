//! Which conversation each chat is in: `/new` begins another, and a restart does not go back to an
//! old one.

use std::collections::VecDeque;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::base::limits::{SESSIONS_BYTES_MAX, SESSIONS_MAX};
use crate::core::chat::ChatId;
use crate::core::turn::Room;
use crate::rt::blocking;
use crate::rt::store::{Cell, Content, Durability, StoreError};

/// The file in the state directory.
const FILE: &str = "sessions";

/// The number of each chat's conversation.
#[derive(Debug, Default)]
pub struct Sessions {
    /// The chats that were renewed at least once; the one renewed longest ago comes first, and is
    /// forgotten first.
    renewed: VecDeque<Entry>,
    cell: Option<Cell>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Entry {
    account: Box<str>,
    chat: ChatId,
    number: u32,
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
        Sessions { renewed, cell: Some(cell) }
    }

    /// The conversation that `room` is in.
    #[must_use]
    pub fn of(&self, room: &Room) -> u32 {
        self.renewed.iter().find(|entry| entry.is_of(room)).map_or(0, |entry| entry.number)
    }

    /// Begins another conversation in `room`; its number, and the way to keep it.
    pub fn renew(
        &mut self,
        room: &Room,
    ) -> (u32, impl Future<Output = Result<(), StoreError>> + use<>) {
        (self.advance(room), self.keep())
    }

    fn advance(&mut self, room: &Room) -> u32 {
        let number = self.of(room).saturating_add(1);
        self.renewed.retain(|entry| !entry.is_of(room));
        while self.renewed.len() >= SESSIONS_MAX {
            self.renewed.pop_front();
        }
        let Room { account, chat } = room.clone();
        self.renewed.push_back(Entry { account, chat, number });
        number
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
    fn is_of(&self, room: &Room) -> bool {
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

    #[test]
    fn a_new_conversation_is_of_one_chat_and_outlives_a_restart() {
        let state = Scratch::new();
        let mut sessions = Sessions::open(state.path());
        assert_eq!(sessions.of(&room("a", 1)), 0);
        for expected in [1, 2] {
            let (number, keep) = sessions.renew(&room("a", 1));
            smol::block_on(keep).unwrap();
            assert_eq!(number, expected);
        }
        let sessions = Sessions::open(state.path());
        assert_eq!(sessions.of(&room("a", 1)), 2);
        assert_eq!((sessions.of(&room("b", 1)), sessions.of(&room("a", 2))), (0, 0));
    }

    #[test]
    fn only_so_many_are_kept_and_a_list_of_them_fits_its_file() {
        let mut sessions = Sessions::default();
        for id in 0..=SESSIONS_MAX as u64 {
            sessions.advance(&room("an account with a long name", u64::MAX - id));
        }
        assert_eq!(sessions.renewed.len(), SESSIONS_MAX);
        assert_eq!(sessions.of(&room("an account with a long name", u64::MAX)), 0);
        let text = serde_json::to_vec(&sessions.renewed).unwrap();
        assert!(text.len() < SESSIONS_BYTES_MAX as usize);
    }

    #[test]
    fn a_list_that_is_not_ours_is_done_without() {
        let state = Scratch::new();
        std::fs::write(state.path().join(FILE), b"{]").unwrap();
        assert_eq!(Sessions::open(state.path()).of(&room("a", 1)), 0);
    }
}
