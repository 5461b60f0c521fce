//! Answers that are shown before they are complete: their beginning becomes a message as soon as
//! there is something to read, and is brought up to date until the answer is there. That is the
//! outbox's ([`Outbox::complete`](super::outbox::Outbox::complete)): it makes the same message say
//! all of it, or its first part.
//!
//! That a beginning will be shown is written down first, and which message it became after that: a
//! life that ends in between leaves a message behind that the next one finds by its nonce, or by
//! its number. Edits are spare: one that cannot be made at once is not made.

use std::collections::{BTreeMap, VecDeque};

use super::chat::ChatId;
use super::outbox::{ItemId, Sketch};
use crate::base::limits::{
    DRAFT_EDIT_EVERY, DRAFT_FIRST_CHARS, DRAFT_FIRST_MAX, DRAFT_FIRST_MIN, OUTBOX_NONCE_SURE,
    OUTBOX_RETRY,
};
use crate::base::{Instant, Wall, split};

#[cfg(test)]
mod sim;

/// What an answer ends with that is not complete.
pub const MORE: &str = " \u{2026}";

/// The beginnings that are shown by one account.
#[derive(Debug)]
pub struct Drafts {
    chars_max: usize,
    open: BTreeMap<ItemId, Draft>,
    outputs: VecDeque<Output>,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Write down that it will be shown, and say so by [`kept`](Drafts::kept).
    Keep(ItemId, Sketch),
    /// Say this as the first part of the item, and report it [`posted`](Drafts::posted).
    Post(ItemId, String),
    /// Write down that this is known of it, when there is time.
    Found(ItemId, Sketch),
    /// Have this message say that, if there is room for it now, and report it
    /// [`edited`](Drafts::edited).
    Edit(ItemId, u64, String),
}

/// How an answer stood when it was complete, or when there was to be none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Left {
    /// What is shown of it.
    pub sketch: Sketch,
    /// What there was of it, or its beginning; may be empty.
    pub said: Box<str>,
}

#[derive(Debug)]
struct Draft {
    /// What there is so far.
    said: Box<str>,
    /// Since when there is anything.
    since: Instant,
    sketch: Sketch,
    stand: Stand,
    /// The same as it would be shown; empty if there is nothing to show.
    text: String,
    /// What was shown last.
    shown: String,
    /// When more may be shown.
    next: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stand {
    /// Nothing is shown.
    Bare,
    /// That it will be is being written down.
    Keeping,
    /// A call is under way.
    Busy,
    /// A message shows it.
    Shown,
    /// Nothing more is done about it until the answer is complete.
    Left,
}

impl Drafts {
    /// None, for a service that takes `chars_max` characters in a message.
    #[must_use]
    pub fn new(chars_max: usize) -> Drafts {
        Drafts { chars_max, open: BTreeMap::new(), outputs: VecDeque::new() }
    }

    /// Lets this hold for what is shown from now on.
    pub fn apply(&mut self, chars_max: usize) {
        self.chars_max = chars_max;
    }

    /// Takes in what an earlier life had written down.
    pub fn restore(&mut self, now: Instant, wall: Wall, id: ItemId, sketch: Sketch) {
        // A message that was perhaps posted can be posted again as long as its nonce is known.
        let is_sure = sketch.at <= wall && wall.since(sketch.at) < OUTBOX_NONCE_SURE;
        let stand = match sketch.message {
            0 if is_sure => Stand::Bare,
            0 => Stand::Left,
            _ => Stand::Shown,
        };
        self.open.insert(id, Draft { sketch, stand, ..Draft::new(now) });
    }

    /// This is what there is of the answer so far. Of one that begins anew, what was said before
    /// stands until there are other words: there may be none.
    pub fn said(&mut self, now: Instant, id: ItemId, said: Box<str>) {
        if said.trim().is_empty() {
            return;
        }
        let draft = self.open.entry(id).or_insert_with(|| Draft::new(now));
        if draft.text.is_empty() {
            draft.since = now;
        }
        draft.text = text(&said, self.chars_max);
        draft.said = said;
    }

    /// The answer is complete, or there will be none: what is shown of it, if anything may be.
    pub fn take(&mut self, id: ItemId) -> Option<Left> {
        let Draft { said, sketch, .. } = self.open.remove(&id)?;
        (sketch.at != Wall(0)).then_some(Left { sketch, said })
    }

    /// It is written down that it will be shown.
    pub fn kept(&mut self, id: ItemId) {
        let draft = self.open.get_mut(&id).filter(|draft| draft.stand == Stand::Keeping);
        let Some(draft) = draft else { return };
        if draft.text.is_empty() {
            draft.stand = Stand::Bare;
            return;
        }
        let text = draft.show();
        self.outputs.push_back(Output::Post(id, text));
    }

    /// It has become this message; `None` if it has not, or if that is not known.
    pub fn posted(&mut self, now: Instant, id: ItemId, message: Option<u64>) {
        let Some(draft) = self.open.get_mut(&id) else { return };
        draft.next = now + DRAFT_EDIT_EVERY;
        match message {
            Some(message) => {
                draft.stand = Stand::Shown;
                draft.sketch.message = message;
                self.outputs.push_back(Output::Found(id, draft.sketch));
            }
            // The answer itself finds out.
            None => draft.stand = Stand::Left,
        }
    }

    /// The edit is made; or it is not, and may be `again`.
    pub fn edited(&mut self, now: Instant, id: ItemId, is_made: bool, again: bool) {
        let Some(draft) = self.open.get_mut(&id) else { return };
        draft.next = now + DRAFT_EDIT_EVERY;
        draft.stand = if is_made || again { Stand::Shown } else { Stand::Left };
        if !is_made {
            draft.shown.clear();
        }
    }

    /// Shows what is due, in chats that are `free`: where nothing older is still to be said.
    pub fn expire(&mut self, now: Instant, wall: Wall, free: impl Fn(ChatId) -> bool) {
        for (&id, draft) in &mut self.open {
            if draft.due().is_none_or(|due| due > now) {
                continue;
            }
            if draft.stand == Stand::Shown {
                let text = draft.show();
                self.outputs.push_back(Output::Edit(id, draft.sketch.message, text));
            } else if free(id.chat) {
                draft.stand = Stand::Keeping;
                if draft.sketch.at == Wall(0) {
                    draft.sketch.at = wall;
                }
                self.outputs.push_back(Output::Keep(id, draft.sketch));
            } else {
                draft.next = now + OUTBOX_RETRY;
            }
        }
    }

    /// When [`expire`](Drafts::expire) is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.open.values().filter_map(Draft::due).min()
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// All of which something may be shown.
    pub fn sketches(&self) -> impl Iterator<Item = (ItemId, Sketch)> {
        let known = self.open.iter().filter(|(_, draft)| draft.sketch.at != Wall(0));
        known.map(|(&id, draft)| (id, draft.sketch))
    }
}

impl Draft {
    fn new(now: Instant) -> Draft {
        Draft {
            said: "".into(),
            since: now,
            sketch: Sketch { at: Wall(0), message: 0 },
            stand: Stand::Bare,
            text: String::new(),
            shown: String::new(),
            next: now,
        }
    }

    /// What there is now is on its way.
    fn show(&mut self) -> String {
        self.stand = Stand::Busy;
        self.shown.clone_from(&self.text);
        self.text.clone()
    }

    /// When more of it is to be shown.
    fn due(&self) -> Option<Instant> {
        match self.stand {
            _ if self.text.is_empty() => None,
            Stand::Bare => {
                let is_much = self.text.chars().nth(DRAFT_FIRST_CHARS).is_some();
                let first = if is_much { DRAFT_FIRST_MIN } else { DRAFT_FIRST_MAX };
                Some((self.since + first).max(self.next))
            }
            Stand::Shown => (self.text != self.shown).then_some(self.next),
            _ => None,
        }
    }
}

/// What is shown of an answer that goes on; empty if that is nothing.
fn text(said: &str, chars_max: usize) -> String {
    let said = said.trim();
    if said.is_empty() {
        return String::new();
    }
    split::split(&[said, MORE].concat(), chars_max).next().unwrap_or_default()
}
