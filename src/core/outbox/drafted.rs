//! Answers of which the beginning was shown before they were complete.
//!
//! Such a beginning is a message with the nonce of the answer's first part. If its number is known,
//! that message is edited; if not, the first part is sent as any other, and the service gives the
//! message that it knows by the nonce: then that one is edited. Either way there is one.

use super::{Item, Outbox, Pending, Unit};
use crate::base::limits::OUTBOX_NONCE_SURE;
use crate::base::{Instant, Wall};
use crate::core::chat::ChatId;

impl Item {
    /// Whether a message by the name of the unit that is next may say something else than that.
    pub(super) fn is_drafted(&self) -> bool {
        self.is_drafted && self.index == 0
    }
}

/// From when on the nonces of what may have been sent of `item` are not to be relied on.
pub(super) fn old_from(now: Instant, wall: Wall, item: &Item) -> Instant {
    let age = if wall < item.added { OUTBOX_NONCE_SURE } else { wall.since(item.added) };
    now + OUTBOX_NONCE_SURE.saturating_sub(age)
}

impl Pending {
    /// Says the next unit as a message of its own, by another name: the one that it was to complete
    /// is gone.
    pub(super) fn say_anew(&mut self) {
        let item = &mut self.item;
        if let Some(Unit::Edit { text, .. }) = item.units.pop_front() {
            item.units.push_front(Unit::Say { text, files: [].into() });
            item.index = item.index.saturating_add(1);
            (self.first_try, self.needs_look, self.is_absent) = (None, false, true);
        }
    }
}

impl Outbox {
    /// What is under way in `chat` is there as this message, and says something else: what was
    /// shown of it before it was complete.
    pub fn stale(&mut self, now: Instant, chat: ChatId, message: u64) {
        if !self.land(chat) {
            return;
        }
        if let Some(first) = self.first(chat)
            && let Some(Unit::Say { text, files }) = first.item.units.pop_front()
        {
            // An answer that was begun says its files by themselves.
            debug_assert!(files.is_empty());
            first.item.units.push_front(Unit::Edit { message, text });
            (first.first_try, first.needs_look, first.hindrance) = (None, false, None);
        }
        self.requeue(chat);
        self.pump(now);
    }

    /// Whether anything waits to be said in `chat`, or is under way there.
    #[must_use]
    pub fn has_work(&self, chat: ChatId) -> bool {
        self.chats.contains_key(&chat)
    }
}
