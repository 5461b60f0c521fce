//! Nothing is taken in twice, and nothing is answered twice, over a crash neither.
//!
//! [`Seen`] forgets at exit and guards against a server that repeats itself; [`Answered`] is kept
//! on disk by its owner and guards against ourselves, who RESUME and are told again what was
//! answered already. Ids grow with time, within a chat strictly, and one turn of a chat runs at a
//! time; so one number per chat tells it all.

use std::collections::BTreeMap;

use super::chat::{ChannelKind, ChatId};
use crate::base::limits::{ANSWERED_CHATS_MAX, SEEN_IDS_MAX};
use crate::base::ring::Ring;

/// The last message ids of one account.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    newest: u64,
    ids: Box<Ring<u64, SEEN_IDS_MAX>>,
}

impl Seen {
    /// Whether `id` comes for the first time, as far as is remembered. It is remembered now.
    pub fn is_new(&mut self, id: u64) -> bool {
        // Almost every message is newer than all before it, and need not be looked for.
        if id <= self.newest && self.ids.iter().rev().any(|&seen| seen == id) {
            return false;
        }
        self.newest = self.newest.max(id);
        self.ids.push(id);
        true
    }
}

/// One line of what must outlive us: in `chat`, everything up to message `id` is dealt with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    /// The chat.
    pub chat: ChatId,
    /// The message.
    pub id: u64,
}

impl Mark {
    /// Bytes of an encoded mark.
    pub const BYTES: usize = 17;

    /// Channel code, chat and message, the numbers little-endian.
    #[must_use]
    pub fn encode(self) -> [u8; Mark::BYTES] {
        let mut bytes = [0; Mark::BYTES];
        let [channel, numbers @ ..] = &mut bytes;
        *channel = self.chat.channel.code();
        let (chat, id) = numbers.split_at_mut(8);
        chat.copy_from_slice(&self.chat.id.to_le_bytes());
        id.copy_from_slice(&self.id.to_le_bytes());
        bytes
    }

    /// Reads what [`encode`](Mark::encode) wrote; `None` if it is something else, or of a channel
    /// that this version does not know.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Mark> {
        let (&channel, numbers) = bytes.split_first()?;
        let (chat, id) = numbers.split_at_checked(8)?;
        let channel = ChannelKind::of_code(channel)?;
        let id = u64::from_le_bytes(id.try_into().ok()?);
        let chat = ChatId { channel, id: u64::from_le_bytes(chat.try_into().ok()?) };
        Some(Mark { chat, id })
    }
}

/// The last answered message of each chat; of the chats that spoke last, if they are many.
#[derive(Clone, Debug, Default)]
pub struct Answered {
    chats: BTreeMap<ChatId, Last>,
    marked: u64,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    id: u64,
    /// The count of marks at which this one was made: its age.
    order: u64,
}

impl Answered {
    /// Whether message `id` of `chat` was dealt with, in this life or an earlier one.
    #[must_use]
    pub fn already(&self, chat: ChatId, id: u64) -> bool {
        self.chats.get(&chat).is_some_and(|last| id <= last.id)
    }

    /// Takes in that `mark.id` was dealt with, from a turn that ended or from the log on disk.
    /// True if that is news, to be appended to the log.
    pub fn mark(&mut self, mark: Mark) -> bool {
        if self.already(mark.chat, mark.id) {
            return false;
        }
        if !self.chats.contains_key(&mark.chat) && self.chats.len() >= ANSWERED_CHATS_MAX {
            self.forget_oldest();
        }
        self.marked += 1;
        self.chats.insert(mark.chat, Last { id: mark.id, order: self.marked });
        true
    }

    /// All that is remembered, the oldest first: what a compacted log holds. Marking these in
    /// turn gives the same memory again.
    #[must_use]
    pub fn marks(&self) -> Vec<Mark> {
        let mut all: Vec<(u64, Mark)> = self
            .chats
            .iter()
            .map(|(&chat, last)| (last.order, Mark { chat, id: last.id }))
            .collect();
        all.sort_unstable_by_key(|&(order, _)| order);
        all.into_iter().map(|(_, mark)| mark).collect()
    }

    fn forget_oldest(&mut self) {
        let oldest = self.chats.iter().min_by_key(|(_, last)| last.order).map(|(&chat, _)| chat);
        if let Some(chat) = oldest {
            self.chats.remove(&chat);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(chat: u64, id: u64) -> Mark {
        Mark { chat: ChatId { channel: ChannelKind::Discord, id: chat }, id }
    }

    #[test]
    fn an_id_is_new_once_in_whatever_order_it_comes() {
        let mut seen = Seen::default();
        for id in [5, 9, 7, 8] {
            assert!(seen.is_new(id), "{id}");
        }
        for id in [5, 7, 8, 9] {
            assert!(!seen.is_new(id), "{id}");
        }
    }

    #[test]
    fn the_memory_for_ids_is_bounded() {
        let mut seen = Seen::default();
        let many = SEEN_IDS_MAX as u64 + 1;
        assert!((1..=many).all(|id| seen.is_new(id)));
        assert!(!seen.is_new(2), "the oldest that is still remembered");
        assert!(seen.is_new(1), "forgotten");
    }

    #[test]
    fn what_was_answered_stays_answered_over_a_restart() {
        let mut before = Answered::default();
        assert!(before.mark(mark(1, 10)) && before.mark(mark(2, 20)) && before.mark(mark(1, 11)));
        assert!(!before.mark(mark(1, 10)), "no news");
        let mut after = Answered::default();
        for record in before.marks().into_iter().map(Mark::encode) {
            assert!(after.mark(Mark::decode(&record).unwrap()));
        }
        assert_eq!(after.marks(), [mark(2, 20), mark(1, 11)]);
        let chat = mark(1, 0).chat;
        assert!(after.already(chat, 10) && after.already(chat, 11) && !after.already(chat, 12));
    }

    #[test]
    fn the_chat_longest_silent_is_forgotten() {
        let mut answered = Answered::default();
        let many = ANSWERED_CHATS_MAX as u64;
        assert!((0..many).all(|chat| answered.mark(mark(chat, 1))));
        assert!(answered.mark(mark(0, 2)), "chat 0 spoke again");
        assert!(answered.mark(mark(many, 1)));
        assert_eq!(answered.marks().len(), ANSWERED_CHATS_MAX);
        assert!(answered.already(mark(0, 0).chat, 2));
        assert!(!answered.already(mark(1, 0).chat, 1));
    }

    #[test]
    fn a_record_that_is_not_one_is_passed_over() {
        let good = mark(u64::MAX, 1 << 40);
        assert_eq!(Mark::decode(&good.encode()), Some(good));
        let mut unknown = good.encode();
        unknown[0] = 200;
        assert_eq!(Mark::decode(&unknown), None);
        assert_eq!(Mark::decode(&good.encode()[..16]), None);
        assert_eq!(Mark::decode(&[&good.encode()[..], &[0]].concat()), None);
        assert_eq!(Mark::decode(&[]), None);
    }
}
