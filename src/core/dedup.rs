//! Nothing is taken in twice, and nothing is answered twice, over a crash neither.
//!
//! [`Seen`] forgets at exit and guards against a server that repeats itself; [`Answered`] is kept
//! on disk by its owner and guards against ourselves, who RESUME and are told again what was
//! answered already. [`Spoken`] guards against people, and clients, that send the same words twice.
//! Ids grow with time, within a chat strictly, and one turn of a chat runs at a
//! time; so one number per chat tells it all.

use std::collections::BTreeMap;
use std::time::Duration;

use super::chat::{ChannelKind, ChatId, Inbound};
use crate::base::Wall;
use crate::base::hash::fnv1a;
use crate::base::limits::{ANSWERED_CHATS_MAX, DEDUP_REMEMBERED_MAX, SEEN_IDS_MAX};
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
        if self.has(id) {
            return false;
        }
        self.newest = self.newest.max(id);
        self.ids.push(id);
        true
    }

    /// Whether `id` has come before, as far as is remembered.
    #[must_use]
    pub fn has(&self, id: u64) -> bool {
        // Almost every message is newer than all before it, and need not be looked for.
        id <= self.newest && self.ids.iter().rev().any(|&seen| seen == id)
    }
}

/// What was said last, to know it when it is said again a moment later.
#[derive(Clone, Debug, Default)]
pub struct Spoken {
    words: Box<Ring<Words, DEDUP_REMEMBERED_MAX>>,
}

/// Who said what where and when. The author and the chat are compared for themselves: nobody can
/// choose words that make those of another look repeated.
#[derive(Clone, Copy, Debug)]
struct Words {
    author: u64,
    chat: ChatId,
    hash: u64,
    said: Wall,
}

impl Spoken {
    /// Whether the same author said the same words in the same chat less than `window` before or
    /// after, by the times at which they were said: messages that come late or come again are not
    /// taken for others. Words that are new are remembered. A window of zero finds nothing.
    ///
    /// What has a picture, or no words at all, is never taken for another.
    pub fn is_repeated(&mut self, window: Duration, inbound: &Inbound<'_>) -> bool {
        let Inbound { author, chat, text, id, has_more, .. } = *inbound;
        if window.is_zero() || has_more || text.trim().is_empty() {
            return false;
        }
        let said = chat.channel.said_at(id);
        let hash = fnv1a(text.trim().bytes());
        let is_same =
            |words: &&Words| (words.author, words.chat, words.hash) == (author, chat, hash);
        let apart = |words: &Words| words.said.since(said).max(said.since(words.said));
        if self.words.iter().rev().filter(is_same).any(|words| apart(words) < window) {
            return true;
        }
        self.words.push(Words { author, chat, hash, said });
        false
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
    use crate::core::chat::sample;

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

    const WINDOW: Duration = Duration::from_secs(5);

    /// Said so many seconds after the beginning.
    fn said(at: u64, author: u64, text: &str) -> Inbound<'_> {
        let (chat, id) = (mark(1, 0).chat, (at * 1000) << 22);
        Inbound { chat, id, guild: None, author, text, ..sample::inbound() }
    }

    #[test]
    fn the_same_words_of_the_same_person_in_the_same_chat_are_one_message() {
        let mut spoken = Spoken::default();
        let mut again = |inbound: Inbound<'_>| spoken.is_repeated(WINDOW, &inbound);
        assert!(!again(said(100, 7, "hi")));
        assert!(again(said(104, 7, "hi ")));
        assert!(!again(said(104, 8, "hi")) && !again(said(104, 7, "hi!")));
        assert!(!again(Inbound { chat: mark(2, 0).chat, ..said(104, 7, "hi") }));
        assert!(!again(said(105, 7, "hi")), "every five seconds is often, but no slip");
        assert!(again(said(109, 7, "hi")), "the last that was let through counts");
    }

    #[test]
    fn it_is_the_time_of_speaking_that_counts() {
        let mut spoken = Spoken::default();
        let mut again = |inbound: Inbound<'_>| spoken.is_repeated(WINDOW, &inbound);
        // All of these arrive in one moment, after an outage.
        assert!(!again(said(100, 7, "hi")) && !again(said(160, 7, "hi")));
        assert!(!again(Inbound { late: true, ..said(40, 7, "hi") }), "fetched afterwards");
        assert!(again(Inbound { late: true, ..said(158, 7, "hi") }), "in whatever order they come");
    }

    #[test]
    fn pictures_silence_and_a_window_of_zero_are_no_repetition() {
        let mut spoken = Spoken::default();
        for _ in 0..2 {
            assert!(!spoken.is_repeated(Duration::ZERO, &said(100, 7, "hi")));
            assert!(!spoken.is_repeated(WINDOW, &said(100, 7, " ")));
            let picture = Inbound { has_more: true, ..said(100, 7, "look") };
            assert!(!spoken.is_repeated(WINDOW, &picture));
        }
    }

    #[test]
    fn the_memory_for_words_is_bounded() {
        let mut spoken = Spoken::default();
        for author in 0..10 * DEDUP_REMEMBERED_MAX as u64 {
            assert!(!spoken.is_repeated(WINDOW, &said(100, author, "hi")));
        }
        assert_eq!(spoken.words.len(), DEDUP_REMEMBERED_MAX);
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
