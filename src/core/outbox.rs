//! Replies on their way out: cut into parts, in order within a chat, bounded, written down before
//! they are sent, and never silently lost.
//!
//! One unit per chat is under way at a time, and it is always the oldest. Chats take turns: one
//! that has just spoken goes to the end of the line. An item is not sent before whoever keeps it
//! says that it is on the disk ([`kept`](Outbox::kept)).
//!
//! The service knows a second copy of a message by its nonce, but only for a few minutes. So a call
//! is given no longer than that, and where it is not known what came of an older one, the chat's
//! history is looked at first.

mod drafted;
mod item;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, VecDeque};

use drafted::old_from;
pub(in crate::core) use item::Reader;
pub use item::{Item, ItemId, Nonce, Origin, Sketch, Unit};
pub use words::{Added, Arrived, Counts, Fate, Output, Policy, ReplyTo, Send, Skipped, Why};

use super::answer::{Act, Answer};
use super::chat::ChatId;
use crate::base::limit::TokenBucket;
use crate::base::limits::{
    OUTBOX_BURST, OUTBOX_BURST_PERIOD, OUTBOX_BYTES_MAX, OUTBOX_CHAT_CLOSED, OUTBOX_CLOSED_MAX,
    OUTBOX_DRAFT_TTL, OUTBOX_DROP_PATIENCE, OUTBOX_NONCE_SURE, OUTBOX_OWN_REMEMBERED,
    OUTBOX_PARTS_MAX, OUTBOX_RETRY, OUTBOX_SLICE, OUTBOX_UNDER_WAY_MAX,
};
use crate::base::ring::Ring;
use crate::base::{Instant, Wall};

/// The outbox of one account.
#[derive(Debug)]
pub struct Outbox {
    chars_max: usize,
    policy: Policy,
    reply_to: ReplyTo,
    chats: BTreeMap<ChatId, Queue>,
    /// The chats that may speak, in the order of their turns.
    line: VecDeque<ChatId>,
    /// Those that may again from this moment on.
    later: Vec<(Instant, ChatId)>,
    /// Chats that turned us away, until when, and why.
    closed: BTreeMap<ChatId, (Instant, Why)>,
    /// What was said of our own accord last: whoever asks for it again has it.
    own: Box<Ring<ItemId, OUTBOX_OWN_REMEMBERED>>,
    burst: TokenBucket,
    /// When the next may go out, if bursts hold it back.
    room_at: Option<Instant>,
    under_way: usize,
    /// Units that wait, over all chats; those under way are not among them.
    waiting: usize,
    /// What all of it weighs.
    bytes: usize,
    /// The last number given to something to be kept, and the last that was.
    ticket: u64,
    kept: u64,
    outputs: VecDeque<Output>,
    delivered: u64,
    looked: u64,
    blind: u64,
    dropped: [u64; Why::ALL.len()],
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Pending>,
    stand: Stand,
}

/// Where a chat is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Stand {
    /// Its first item is not on the disk yet.
    #[default]
    Held,
    /// It stands in line.
    InLine,
    /// It waits for its time.
    Later,
    /// A call is under way.
    UnderWay,
}

#[derive(Debug)]
struct Pending {
    item: Item,
    deadline: Instant,
    /// It may go out when this is kept.
    ticket: u64,
    /// When its first unit was first sent.
    first_try: Option<Instant>,
    /// Whether that may have arrived so long ago that the nonce is forgotten.
    needs_look: bool,
    /// Of what an earlier life had kept: from when on the nonces of what it may have sent of it
    /// are not to be relied on.
    old_from: Option<Instant>,
    /// Whether its first unit was looked for, and is not there.
    is_absent: bool,
    /// The first unit has arrived: the service itself told us, by this message.
    proven: Option<u64>,
    /// Why it was not sent when it last could have been.
    hindrance: Option<Why>,
}

impl Outbox {
    /// An empty outbox for a service that takes `chars_max` characters in a message.
    #[must_use]
    pub fn new(chars_max: usize, policy: Policy) -> Outbox {
        Outbox {
            chars_max,
            policy,
            reply_to: ReplyTo::default(),
            chats: BTreeMap::new(),
            line: VecDeque::new(),
            later: Vec::new(),
            closed: BTreeMap::new(),
            own: Box::default(),
            burst: TokenBucket::new(OUTBOX_BURST, OUTBOX_BURST_PERIOD),
            room_at: None,
            under_way: 0,
            waiting: 0,
            bytes: 0,
            ticket: 0,
            kept: 0,
            outputs: VecDeque::new(),
            delivered: 0,
            looked: 0,
            blind: 0,
            dropped: [0; Why::ALL.len()],
        }
    }

    /// Lets these hold for what is taken in from now on.
    pub fn apply(&mut self, chars_max: usize, policy: Policy, reply_to: ReplyTo) {
        (self.chars_max, self.policy, self.reply_to) = (chars_max, policy, reply_to);
    }

    /// Takes in what is to be said as `id`, in a chat that has threads or not. What finds no room
    /// is dropped from its end: those who wait keep their places.
    pub fn add(
        &mut self,
        now: Instant,
        wall: Wall,
        id: ItemId,
        answer: Answer,
        has_threads: bool,
    ) -> Added {
        self.complete(now, wall, id, answer, has_threads, None)
    }

    /// The same of something of which the beginning was shown already, if it was.
    pub fn complete(
        &mut self,
        now: Instant,
        wall: Wall,
        id: ItemId,
        answer: Answer,
        has_threads: bool,
        sketch: Option<Sketch>,
    ) -> Added {
        let waits = self
            .chats
            .get(&id.chat)
            .is_some_and(|queue| queue.items.iter().any(|pending| pending.item.id == id));
        if waits || self.own.iter().any(|&own| own == id) {
            return Added::Known;
        }
        let acts = self.fitting(id, answer.acts, has_threads);
        let (mut units, too_large) = item::units(acts, self.chars_max);
        if too_large.files > 0 {
            let what = Skipped::Files(too_large.files);
            self.outputs.push_back(Output::Skipped { id, what });
        }
        if let Some(sketch) = sketch {
            item::complete(&mut units, sketch.message);
        }
        if units.is_empty() {
            self.settle(id, Fate::Silent, 0);
            return Added::New;
        }
        if let Some(why) = self.refusal(now, id.chat) {
            self.dropped[why as usize] += units.len() as u64;
            self.settle(id, Fate::Dropped(why), 0);
            return Added::New;
        }
        let is_cut = self.cut_to_room(id.chat, &mut units, sketch.is_some());
        if units.is_empty() {
            self.settle(id, Fate::Dropped(Why::Full), 0);
            return Added::New;
        }
        let newest = id.answers().unwrap_or(0);
        // What has begun is brought to its end.
        let ttl = sketch.map_or(self.policy.ttl, |_| self.policy.ttl.max(OUTBOX_DRAFT_TTL));
        let item = Item {
            id,
            units,
            index: 0,
            added: sketch.map_or(wall, |sketch| sketch.at.min(wall)),
            expires: wall + ttl,
            newest,
            in_thread: false,
            has_spoken: false,
            is_cut,
            is_drafted: sketch.is_some_and(|sketch| sketch.message == 0),
        };
        self.ticket += 1;
        let ticket = self.ticket;
        let old_from = item.is_drafted.then(|| old_from(now, wall, &item));
        self.outputs.push_back(Output::Keep { ticket, item: Box::new(item.clone()) });
        self.push(item, now + ttl, ticket, old_from);
        self.pump(now);
        Added::New
    }

    /// Takes in what an earlier life had kept; to be called in the order in which it was taken in.
    /// What it had sent is not known: if that may be too long ago, the history is looked at.
    ///
    /// The time that is left is what the clock on the wall says, but never more than a fresh item
    /// has: a clock that was set back must not make replies live for ever.
    pub fn restore(&mut self, now: Instant, wall: Wall, item: Item) {
        if item.units.is_empty() {
            // Its last unit arrived, and the power went before it was written that this was all.
            return self.settle_done(&item);
        }
        let life = item.expires.since(item.added);
        let deadline = now + item.expires.since(wall).min(life);
        let old_from = old_from(now, wall, &item);
        self.push(item, deadline, 0, Some(old_from));
        self.pump(now);
    }

    /// What was said of our own accord before, so that asking for it again brings nothing new.
    pub fn remember_own(&mut self, id: ItemId) {
        if matches!(id.origin, Origin::Own(_)) && !self.own.iter().any(|&own| own == id) {
            self.own.push(id);
        }
    }

    /// What is remembered of that, the oldest first.
    pub fn own(&self) -> impl Iterator<Item = ItemId> {
        self.own.iter().copied()
    }

    /// All that is not over, in order within each chat: what has to be kept of it.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        self.chats.values().flat_map(|queue| queue.items.iter().map(|pending| &pending.item))
    }

    /// What has a number up to `ticket` is on the disk, or never will be; it may go out.
    pub fn kept(&mut self, now: Instant, ticket: u64) {
        self.kept = self.kept.max(ticket);
        for (&chat, queue) in &mut self.chats {
            let first = queue.items.front();
            if queue.stand == Stand::Held && first.is_some_and(|first| first.ticket <= self.kept) {
                queue.stand = Stand::InLine;
                self.line.push_back(chat);
            }
        }
        self.pump(now);
    }

    /// What is under way in `chat` has arrived, as this message if it is one.
    pub fn delivered(&mut self, now: Instant, chat: ChatId, message: u64) {
        if self.land(chat) {
            self.advance(chat, message, true);
            self.requeue(chat);
            self.pump(now);
        }
    }

    /// What is under way in `chat` did not arrive, or nobody knows.
    pub fn failed(&mut self, now: Instant, chat: ChatId, why: Why) {
        if !self.land(chat) {
            return;
        }
        if let Some(message) = self.first(chat).and_then(|first| first.proven) {
            self.advance(chat, message, true);
            self.requeue(chat);
        } else {
            self.judge(now, chat, why);
        }
        self.pump(now);
    }

    /// What was looked for in `chat` is not there: it can be sent again.
    pub fn absent(&mut self, now: Instant, chat: ChatId) {
        self.looked_at(now, chat, false);
    }

    /// Whether it is there could not be found out: for now, or if `for_ever`, since we may not
    /// read there. Then it is sent all the same: twice is better than never.
    pub fn unseen(&mut self, now: Instant, chat: ChatId, for_ever: bool) {
        if for_ever {
            self.blind += 1;
            self.looked_at(now, chat, false);
        } else {
            self.looked_at(now, chat, true);
        }
    }

    /// The service told everybody of our message with `nonce`: it has arrived, whatever comes of
    /// the call. True if that was waited for.
    pub fn confirmed(&mut self, nonce: Nonce, message: u64) -> bool {
        let mut first = self.chats.values_mut().filter_map(|queue| queue.items.front_mut());
        let meant = first.find(|first| {
            let item = &first.item;
            // It may have been told of what was there before.
            matches!(item.units.front(), Some(Unit::Say { .. }))
                && !item.is_drafted()
                && Nonce::of(item.id, item.index) == nonce
        });
        meant.map(|first| first.proven = Some(message)).is_some()
    }

    /// Lets what is due happen.
    pub fn expire(&mut self, now: Instant) {
        let chats = &mut self.chats;
        let line = &mut self.line;
        self.later.retain(|&(at, chat)| {
            if at <= now
                && let Some(queue) = chats.get_mut(&chat)
            {
                queue.stand = Stand::InLine;
                line.push_back(chat);
            }
            at > now
        });
        self.pump(now);
    }

    /// When [`expire`](Outbox::expire) is wanted next.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let later = self.later.iter().map(|&(at, _)| at);
        later.chain(self.room_at).min()
    }

    /// The next thing to do, or `None` when all is said.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether all is delivered or dropped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chats.is_empty()
    }

    /// How much of what.
    #[must_use]
    pub fn counts(&self) -> Counts {
        Counts {
            depth: self.waiting + self.under_way,
            delivered: self.delivered,
            looked: self.looked,
            blind: self.blind,
        }
    }

    /// How many units were dropped, by reason.
    pub fn dropped_total(&self) -> impl Iterator<Item = (Why, u64)> {
        Why::ALL.into_iter().zip(self.dropped)
    }
}

/// What happens inside. None of these lets the next chat speak; that is [`Outbox::pump`]'s.
impl Outbox {
    /// The acts that make sense in this chat; of the others it is told.
    fn fitting(&mut self, id: ItemId, mut acts: Vec<Act>, has_threads: bool) -> Vec<Act> {
        let answers = id.answers().is_some();
        let has_threads = has_threads && answers;
        let count = acts.len();
        acts.retain(|act| has_threads || !matches!(act, Act::Thread { .. }));
        if acts.len() < count {
            self.outputs.push_back(Output::Skipped { id, what: Skipped::NoThreads });
        }
        acts.retain(|act| answers || !matches!(act, Act::React { to: None, .. }));
        acts
    }

    /// Why nothing more is taken in for `chat`, if nothing is.
    fn refusal(&mut self, now: Instant, chat: ChatId) -> Option<Why> {
        if let Some(why) = self.closed_for(now, chat) {
            return Some(why);
        }
        let must_wait = !self.policy.queues && self.chats.contains_key(&chat);
        must_wait.then_some(Why::Limited)
    }

    fn closed_for(&mut self, now: Instant, chat: ChatId) -> Option<Why> {
        let &(until, why) = self.closed.get(&chat)?;
        if until > now {
            return Some(why);
        }
        self.closed.remove(&chat);
        None
    }

    /// Drops what of `units` finds no room, from the end. True if something was.
    fn cut_to_room(&mut self, chat: ChatId, units: &mut VecDeque<Unit>, has_begun: bool) -> bool {
        let waiting = self.chats.get(&chat).map_or(0, |queue| {
            let units = queue.items.iter().map(|pending| pending.item.units.len()).sum::<usize>();
            units - usize::from(queue.stand == Stand::UnderWay)
        });
        let room = (self.policy.queue_max.saturating_sub(waiting))
            .min(OUTBOX_PARTS_MAX.saturating_sub(self.waiting))
            .min(usize::from(u16::MAX))
            .max(usize::from(has_begun));
        let count = units.len();
        units.truncate(room);
        let mut weight: usize = units.iter().map(Unit::bytes).sum();
        while self.bytes + weight > OUTBOX_BYTES_MAX
            && let Some(unit) = units.pop_back()
        {
            weight -= unit.bytes();
        }
        self.dropped[Why::Full as usize] += (count - units.len()) as u64;
        units.len() < count
    }

    fn push(&mut self, item: Item, deadline: Instant, ticket: u64, old_from: Option<Instant>) {
        self.waiting += item.units.len();
        self.bytes += item.units.iter().map(Unit::bytes).sum::<usize>();
        let chat = item.id.chat;
        let queue = self.chats.entry(chat).or_default();
        queue.items.push_back(Pending {
            item,
            deadline,
            ticket,
            first_try: None,
            needs_look: false,
            old_from,
            is_absent: false,
            proven: None,
            hindrance: None,
        });
        if queue.stand == Stand::Held && queue.items.len() == 1 && ticket <= self.kept {
            queue.stand = Stand::InLine;
            self.line.push_back(chat);
        }
    }

    fn first(&mut self, chat: ChatId) -> Option<&mut Pending> {
        self.chats.get_mut(&chat)?.items.front_mut()
    }

    /// The call of `chat` is over; what the chat does next is still to be said. False if no call
    /// was under way.
    fn land(&mut self, chat: ChatId) -> bool {
        let queue = self.chats.get_mut(&chat);
        let Some(queue) = queue.filter(|queue| queue.stand == Stand::UnderWay) else {
            return false;
        };
        queue.stand = Stand::Held;
        self.under_way -= 1;
        self.waiting += 1;
        true
    }

    /// Puts `chat` where it belongs now: at the end of the line, if it has something to say.
    fn requeue(&mut self, chat: ChatId) {
        let kept = self.kept;
        let Some(queue) = self.chats.get_mut(&chat) else { return };
        match queue.items.front() {
            None => drop(self.chats.remove(&chat)),
            Some(first) if first.ticket > kept => queue.stand = Stand::Held,
            Some(_) => {
                queue.stand = Stand::InLine;
                self.line.push_back(chat);
            }
        }
    }

    fn wait(&mut self, now: Instant, chat: ChatId) {
        if let Some(queue) = self.chats.get_mut(&chat) {
            queue.stand = Stand::Later;
            self.later.push((now + OUTBOX_RETRY, chat));
        }
    }

    /// The first unit of `chat` failed for this reason.
    fn judge(&mut self, now: Instant, chat: ChatId, why: Why) {
        let queues = self.policy.queues;
        let Some(first) = self.first(chat) else { return };
        let is_message = matches!(first.item.units.front(), Some(Unit::Say { .. }));
        let has_begun = matches!(first.item.units.front(), Some(Unit::Edit { .. }));
        if why.may_pass() && (queues || has_begun) {
            first.hindrance = Some(why);
            let is_old = first.first_try.is_some_and(|at| now.since(at) >= OUTBOX_NONCE_SURE);
            first.needs_look |= is_message && is_old;
            return self.wait(now, chat);
        }
        let why = if matches!(why, Why::Full | Why::Expired) { Why::Limited } else { why };
        let (id, in_thread) = (first.item.id, first.item.in_thread);
        match first.item.units.front() {
            Some(Unit::React { .. }) => self.skip(chat, why, Skipped::Reaction(why), id),
            Some(Unit::Thread { .. }) => self.skip(chat, why, Skipped::Thread(why), id),
            Some(Unit::Erase { .. }) => self.skip(chat, why, Skipped::Draft(why), id),
            // Somebody has deleted it.
            Some(Unit::Edit { .. }) if why == Why::Rejected => first.say_anew(),
            _ if matches!(why, Why::Gone | Why::Forbidden) && !in_thread => {
                self.close(now, chat, why);
            }
            _ => self.drop_first(chat, why),
        }
        self.requeue(chat);
    }

    /// Leaves the first unit of `chat` out; the rest makes sense without it.
    fn skip(&mut self, chat: ChatId, why: Why, what: Skipped, id: ItemId) {
        self.dropped[why as usize] += 1;
        self.outputs.push_back(Output::Skipped { id, what });
        self.advance(chat, 0, false);
    }

    /// The first unit of `chat` is dealt with: it arrived, as this message if it is one.
    fn advance(&mut self, chat: ChatId, message: u64, arrived: bool) {
        let Some(first) = self.first(chat) else { return };
        let item = &mut first.item;
        let Some(unit) = item.units.pop_front() else { return };
        let (id, index) = (item.id, item.index);
        item.index = item.index.saturating_add(1);
        (first.first_try, first.needs_look, first.is_absent) = (None, false, false);
        (first.proven, first.hindrance) = (None, None);
        let kind = match unit {
            Unit::Say { .. } | Unit::Edit { .. } => {
                item.has_spoken = true;
                item.newest = item.newest.max(message);
                Arrived::Said
            }
            Unit::Thread { .. } if arrived => {
                item.in_thread = true;
                Arrived::Thread
            }
            _ => Arrived::Other,
        };
        self.waiting -= 1;
        self.bytes -= unit.bytes();
        self.delivered += u64::from(arrived);
        self.outputs.push_back(Output::Arrived { id, index, message, kind });
        self.end_if_done(chat);
    }

    /// Settles the first item of `chat` if nothing is left of it.
    fn end_if_done(&mut self, chat: ChatId) {
        let Some(queue) = self.chats.get_mut(&chat) else { return };
        if queue.items.front().is_some_and(|first| first.item.units.is_empty())
            && let Some(Pending { item, .. }) = queue.items.pop_front()
        {
            self.settle_done(&item);
        }
    }

    /// All that there was of `item` is dealt with.
    fn settle_done(&mut self, item: &Item) {
        let fate = if item.is_cut { Fate::Dropped(Why::Full) } else { Fate::Delivered };
        self.settle(item.id, fate, if item.has_spoken { item.newest } else { 0 });
    }

    /// Drops what is left of the first item of `chat`.
    fn drop_first(&mut self, chat: ChatId, why: Why) {
        let Some(queue) = self.chats.get_mut(&chat) else { return };
        let Some(Pending { item, .. }) = queue.items.pop_front() else { return };
        self.waiting -= item.units.len();
        self.bytes -= item.units.iter().map(Unit::bytes).sum::<usize>();
        self.dropped[why as usize] += item.units.len() as u64;
        let message = if item.has_spoken { item.newest } else { 0 };
        self.settle(item.id, Fate::Dropped(why), message);
    }

    /// Drops all that waits in `chat`, and takes nothing more for a while: asking again would
    /// only add to the calls for which the service bans an address.
    fn close(&mut self, now: Instant, chat: ChatId, why: Why) {
        while self.first(chat).is_some() {
            self.drop_first(chat, why);
        }
        if self.closed.len() >= OUTBOX_CLOSED_MAX
            && let Some((&oldest, _)) = self.closed.iter().min_by_key(|(_, (until, _))| *until)
        {
            self.closed.remove(&oldest);
        }
        self.closed.insert(chat, (now + OUTBOX_CHAT_CLOSED, why));
    }

    fn settle(&mut self, id: ItemId, fate: Fate, message: u64) {
        self.remember_own(id);
        self.outputs.push_back(Output::Settled { id, fate, message });
    }

    /// A look at the history is over, and did not find what it was for.
    fn looked_at(&mut self, now: Instant, chat: ChatId, again: bool) {
        if !self.land(chat) {
            return;
        }
        let Some(first) = self.first(chat) else { return };
        if let Some(message) = first.proven {
            self.advance(chat, message, true);
            self.requeue(chat);
        } else if again {
            self.wait(now, chat);
        } else {
            (first.first_try, first.needs_look, first.is_absent) = (None, false, true);
            self.requeue(chat);
        }
        self.pump(now);
    }

    /// Lets chats speak, as long as there is one that may.
    fn pump(&mut self, now: Instant) {
        self.room_at = None;
        while self.under_way < OUTBOX_UNDER_WAY_MAX
            && let Some(chat) = self.line.pop_front()
        {
            if !self.is_ready(now, chat) {
                continue;
            }
            if self.policy.burst_protection
                && let Err(at) = self.burst.take(now)
            {
                self.room_at = Some(at);
                return self.line.push_front(chat);
            }
            self.go(now, chat);
        }
    }

    /// Whether the first unit of `chat`, whose turn it is, is to be sent. If not, the chat is put
    /// where it belongs.
    fn is_ready(&mut self, now: Instant, chat: ChatId) -> bool {
        let closed = self.closed_for(now, chat);
        loop {
            let kept = self.kept;
            let first = self.first(chat).filter(|first| first.ticket <= kept);
            let Some(first) = first else {
                self.requeue(chat);
                return false;
            };
            let stale = first.hindrance.filter(|&why| why == Why::Unauthorized);
            if first.deadline <= now {
                self.drop_first(chat, stale.unwrap_or(Why::Expired));
            } else if let Some(message) = first.proven {
                self.advance(chat, message, true);
            } else if let Some(why) = closed {
                self.drop_first(chat, why);
            } else {
                return true;
            }
        }
    }

    /// Sends the first unit of `chat`, or looks for it.
    fn go(&mut self, now: Instant, chat: ChatId) {
        let patience = if self.policy.queues { OUTBOX_SLICE } else { OUTBOX_DROP_PATIENCE };
        let reply_to = self.reply_to;
        let Some(queue) = self.chats.get_mut(&chat) else { return };
        let Some(first) = queue.items.front_mut() else { return };
        let Some(unit) = first.item.units.front().cloned() else { return };
        queue.stand = Stand::UnderWay;
        let Item { id, index, in_thread, has_spoken, newest, added, .. } = first.item;
        let answers = id.answers();
        let points = match reply_to {
            ReplyTo::Off => false,
            ReplyTo::First => !has_spoken,
            ReplyTo::All => true,
        };
        let is_message = matches!(unit, Unit::Say { .. });
        let send = Box::new(Send {
            chat,
            id,
            index,
            // A thread has the number of the message that it was opened on.
            to: answers.filter(|_| in_thread && is_message).unwrap_or(chat.id),
            unit,
            reply_to: answers.filter(|_| points && !in_thread),
            nonce: Nonce::of(id, index),
            is_drafted: first.item.is_drafted(),
            deadline: first.deadline.min(now + patience),
        });
        self.under_way += 1;
        self.waiting -= 1;
        let is_old = first.old_from.is_some_and(|at| at <= now) && !first.is_absent;
        if (first.needs_look || is_old) && is_message {
            self.looked += 1;
            self.outputs.push_back(Output::Look { send, after: newest, added });
        } else {
            first.first_try.get_or_insert(now);
            self.outputs.push_back(Output::Send(send));
        }
    }
}
