//! Replies on their way out: cut into parts, in order within a chat, bounded, and never silently
//! lost.
//!
//! One part per chat is under way at a time, and it is always the oldest. So there is no timer
//! here: the deadline that goes out with a part ends it, and the next is looked at then.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use super::chat::ChatId;
use crate::base::hash::fnv1a;
use crate::base::limits::{NONCE_CHARS_MAX, OUTBOX_PARTS_MAX, OUTBOX_PER_CHAT_MAX, OUTBOX_TTL};
use crate::base::{Instant, split};

/// How much may wait, and what happens to what finds no room (`rateLimit`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// `strategy`: whether replies wait for their turn at all; `false` is `drop`, which sends what
    /// can be sent at once and drops, counted and told, what would have to wait.
    pub queues: bool,
    /// `maxQueueSize`: parts that wait in one chat.
    pub queue_max: usize,
    /// `burstProtection`: whether chats take turns fairly when all of them have much to say.
    pub burst_protection: bool,
    /// For how long a reply is worth sending.
    pub ttl: Duration,
}

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            queues: true,
            queue_max: OUTBOX_PER_CHAT_MAX,
            burst_protection: true,
            ttl: OUTBOX_TTL,
        }
    }
}

/// Whether answers point at the message that they answer (`replyToMode`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReplyTo {
    /// None does.
    Off,
    /// The first part does.
    #[default]
    First,
    /// Every part does.
    All,
}

/// The outbox of one account.
#[derive(Debug)]
pub struct Outbox {
    chars_max: usize,
    chats: BTreeMap<ChatId, Queue>,
    /// Parts that wait, over all chats; those under way are not among them.
    waiting: usize,
    outputs: VecDeque<Output>,
    delivered: u64,
    dropped: [u64; Why::ALL.len()],
}

#[derive(Debug)]
struct Queue {
    /// The reply of which a part is under way, and whether that part is its last.
    sending: Option<(u64, bool)>,
    parts: VecDeque<Part>,
}

#[derive(Debug)]
struct Part {
    answers: u64,
    index: u16,
    is_last: bool,
    text: Box<str>,
    deadline: Instant,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send this, and report it [`delivered`](Outbox::delivered) or [`failed`](Outbox::failed).
    Send {
        /// Where to.
        chat: ChatId,
        /// The message that is answered.
        answers: u64,
        /// Which part of the reply it is, from 0.
        index: u16,
        /// What to say.
        text: Box<str>,
        /// By what the service knows a second copy.
        nonce: Nonce,
        /// When it becomes stale.
        deadline: Instant,
    },
    /// A reply is over, well or not: its message is never to be answered again.
    Settled {
        /// Where.
        chat: ChatId,
        /// The message that was answered.
        answers: u64,
        /// How it ended.
        fate: Fate,
    },
}

/// How a reply ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// All of it was delivered.
    Delivered,
    /// There was nothing to say.
    Silent,
    /// Some or all of it was dropped.
    Dropped(Why),
}

/// Why a part of a reply was dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// Too many parts were waiting.
    Full,
    /// It could not be sent before it was stale.
    Expired,
    /// The chat is gone.
    Gone,
    /// We may not write there.
    Forbidden,
    /// The service took it for wrong.
    Rejected,
    /// Our token was refused.
    Unauthorized,
    /// Whether it arrived is not known, and it could not be tried again.
    Lost,
}

impl Why {
    /// All of them.
    pub const ALL: [Why; 7] = [
        Why::Full,
        Why::Expired,
        Why::Gone,
        Why::Forbidden,
        Why::Rejected,
        Why::Unauthorized,
        Why::Lost,
    ];

    /// The word for counters and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Why::Full => "queue_full",
            Why::Expired => "expired",
            Why::Gone => "chat_gone",
            Why::Forbidden => "forbidden",
            Why::Rejected => "rejected",
            Why::Unauthorized => "unauthorized",
            Why::Lost => "lost",
        }
    }
}

/// The sentence for people.
impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::Full => "too many replies were waiting",
            Why::Expired => "it could not be sent before it was stale",
            Why::Gone => "the chat or the message is gone",
            Why::Forbidden => "we may not write there: look at the bot's permissions",
            Why::Rejected => "the service took the message for wrong",
            Why::Unauthorized => "our token was refused",
            Why::Lost => "the connection broke, and it may or may not have arrived",
        })
    }
}

/// The name of one part of one reply: the same whenever and by whichever version it is sent, so
/// that the service recognises a second copy over retries, crashes and upgrades.
///
/// `barnacle-` and 16 hexadecimal digits of FNV-1a (64 bits) over channel code, chat, message and
/// part, the numbers little-endian. Not a secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nonce(u64);

impl Nonce {
    const PREFIX: &str = "barnacle-";

    /// The nonce of part `index` of the reply to message `answers` of `chat`.
    #[must_use]
    pub fn of(chat: ChatId, answers: u64, index: u16) -> Nonce {
        let bytes = std::iter::once(chat.channel.code())
            .chain(chat.id.to_le_bytes())
            .chain(answers.to_le_bytes())
            .chain(index.to_le_bytes());
        Nonce(fnv1a(bytes))
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:016x}", Nonce::PREFIX, self.0)
    }
}

const _: () = assert!(Nonce::PREFIX.len() + 16 <= NONCE_CHARS_MAX);

impl Outbox {
    /// An empty outbox for a service that takes `chars_max` characters in a message.
    #[must_use]
    pub fn new(chars_max: usize) -> Outbox {
        Outbox {
            chars_max,
            chats: BTreeMap::new(),
            waiting: 0,
            outputs: VecDeque::new(),
            delivered: 0,
            dropped: [0; Why::ALL.len()],
        }
    }

    /// Takes in the reply to message `answers` of `chat`. What finds no room is dropped from its
    /// end: those who wait keep their places.
    pub fn reply(&mut self, now: Instant, chat: ChatId, answers: u64, reply: &str) {
        let queue = self
            .chats
            .entry(chat)
            .or_insert_with(|| Queue { sending: None, parts: VecDeque::new() });
        let room = (OUTBOX_PER_CHAT_MAX.saturating_sub(queue.parts.len()))
            .min(OUTBOX_PARTS_MAX.saturating_sub(self.waiting));
        let mut pieces = split::split(reply, self.chars_max);
        let mut taken = 0;
        for (index, piece) in (0..=u16::MAX).zip(pieces.by_ref().take(room)) {
            let deadline = now + OUTBOX_TTL;
            let part =
                Part { answers, index, is_last: false, text: piece.into_boxed_str(), deadline };
            queue.parts.push_back(part);
            taken += 1;
        }
        if let Some(last) = queue.parts.back_mut().filter(|_| taken > 0) {
            last.is_last = true;
        }
        self.waiting += taken;
        let too_many = pieces.count();
        self.dropped[Why::Full as usize] += too_many as u64;
        if taken == 0 {
            let fate = if too_many == 0 { Fate::Silent } else { Fate::Dropped(Why::Full) };
            self.outputs.push_back(Output::Settled { chat, answers, fate });
        }
        self.send_next(now, chat);
    }

    /// The part that is under way in `chat` has arrived.
    pub fn delivered(&mut self, now: Instant, chat: ChatId) {
        let Some(queue) = self.chats.get_mut(&chat) else { return };
        let Some((answers, is_last)) = queue.sending.take() else { return };
        self.delivered += 1;
        if is_last {
            let fate = Fate::Delivered;
            self.outputs.push_back(Output::Settled { chat, answers, fate });
        }
        self.send_next(now, chat);
    }

    /// The part that is under way in `chat` will not arrive; what follows it of the same reply
    /// would make no sense without it.
    pub fn failed(&mut self, now: Instant, chat: ChatId, why: Why) {
        let Some(queue) = self.chats.get_mut(&chat) else { return };
        let Some((answers, _)) = queue.sending.take() else { return };
        self.dropped[why as usize] += 1;
        self.drop_reply(chat, answers, why);
        self.send_next(now, chat);
    }

    /// The next thing to do, or `None` when all is said.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// How many parts wait or are under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting + self.chats.values().filter(|queue| queue.sending.is_some()).count()
    }

    /// Whether all is delivered or dropped.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chats.is_empty()
    }

    /// How many parts were delivered.
    #[must_use]
    pub fn delivered_total(&self) -> u64 {
        self.delivered
    }

    /// How many parts were dropped, by reason.
    pub fn dropped_total(&self) -> impl Iterator<Item = (Why, u64)> {
        Why::ALL.into_iter().zip(self.dropped)
    }

    fn send_next(&mut self, now: Instant, chat: ChatId) {
        while let Some(queue) = self.chats.get_mut(&chat) {
            if queue.sending.is_some() {
                return;
            }
            let Some(part) = queue.parts.pop_front() else {
                self.chats.remove(&chat);
                return;
            };
            self.waiting -= 1;
            let Part { answers, index, is_last, text, deadline } = part;
            if deadline <= now {
                self.dropped[Why::Expired as usize] += 1;
                self.drop_reply(chat, answers, Why::Expired);
                continue;
            }
            queue.sending = Some((answers, is_last));
            let nonce = Nonce::of(chat, answers, index);
            self.outputs.push_back(Output::Send { chat, answers, index, text, nonce, deadline });
        }
    }

    /// Drops what waits of the reply to `answers`, and settles it.
    fn drop_reply(&mut self, chat: ChatId, answers: u64, why: Why) {
        let Some(queue) = self.chats.get_mut(&chat) else { return };
        while queue.parts.front().is_some_and(|part| part.answers == answers) {
            queue.parts.pop_front();
            self.waiting -= 1;
            self.dropped[why as usize] += 1;
        }
        self.outputs.push_back(Output::Settled { chat, answers, fate: Fate::Dropped(why) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;
    use crate::core::chat::ChannelKind;

    fn chat(id: u64) -> ChatId {
        ChatId { channel: ChannelKind::Discord, id }
    }

    fn texts(outbox: &mut Outbox) -> Vec<String> {
        std::iter::from_fn(|| outbox.poll())
            .filter_map(|output| match output {
                Output::Send { text, .. } => Some(text.into()),
                Output::Settled { .. } => None,
            })
            .collect()
    }

    fn settled(outbox: &mut Outbox) -> Vec<(u64, Fate)> {
        std::iter::from_fn(|| outbox.poll())
            .filter_map(|output| match output {
                Output::Settled { answers, fate, .. } => Some((answers, fate)),
                Output::Send { .. } => None,
            })
            .collect()
    }

    #[test]
    fn a_chat_gets_its_parts_one_by_one_and_is_settled_after_the_last() {
        let (mut outbox, now) = (Outbox::new(3), Instant(0));
        outbox.reply(now, chat(1), 10, "onetwosix");
        outbox.reply(now, chat(1), 11, "end");
        assert_eq!(texts(&mut outbox), ["one"]);
        outbox.delivered(now, chat(1));
        assert_eq!(texts(&mut outbox), ["two"]);
        outbox.delivered(now, chat(1));
        assert_eq!(texts(&mut outbox), ["six"]);
        outbox.delivered(now, chat(1));
        assert_eq!(
            outbox.poll(),
            Some(Output::Settled { chat: chat(1), answers: 10, fate: Fate::Delivered })
        );
        assert_eq!(texts(&mut outbox), ["end"]);
        outbox.delivered(now, chat(1));
        assert_eq!(settled(&mut outbox), [(11, Fate::Delivered)]);
        assert!(outbox.is_empty());
        assert_eq!(outbox.delivered_total(), 4);
    }

    #[test]
    fn chats_do_not_wait_for_one_another() {
        let (mut outbox, now) = (Outbox::new(2000), Instant(0));
        outbox.reply(now, chat(1), 1, "a");
        outbox.reply(now, chat(2), 2, "b");
        assert_eq!(texts(&mut outbox), ["a", "b"]);
    }

    #[test]
    fn a_failed_part_takes_the_rest_of_its_reply_along_and_no_other() {
        let (mut outbox, now) = (Outbox::new(3), Instant(0));
        outbox.reply(now, chat(1), 10, "onetwosix");
        outbox.reply(now, chat(1), 11, "end");
        assert_eq!(texts(&mut outbox), ["one"]);
        outbox.failed(now, chat(1), Why::Forbidden);
        assert_eq!(
            outbox.poll(),
            Some(Output::Settled {
                chat: chat(1),
                answers: 10,
                fate: Fate::Dropped(Why::Forbidden)
            })
        );
        assert_eq!(texts(&mut outbox), ["end"]);
        assert!(outbox.dropped_total().any(|count| count == (Why::Forbidden, 3)));
    }

    #[test]
    fn what_went_stale_behind_another_is_not_sent() {
        let mut outbox = Outbox::new(2000);
        outbox.reply(Instant(0), chat(1), 1, "slow");
        outbox.reply(Instant(1), chat(1), 2, "stale");
        outbox.reply(Instant(0) + OUTBOX_TTL, chat(1), 3, "fresh");
        assert_eq!(texts(&mut outbox), ["slow"]);
        outbox.delivered(Instant(1) + OUTBOX_TTL, chat(1));
        let outputs: Vec<Output> = std::iter::from_fn(|| outbox.poll()).collect();
        let fates = [(1, Fate::Delivered), (2, Fate::Dropped(Why::Expired))];
        for (output, (answers, fate)) in outputs.iter().zip(fates) {
            assert_eq!(*output, Output::Settled { chat: chat(1), answers, fate });
        }
        assert!(matches!(&outputs[2], Output::Send { answers: 3, .. }));
    }

    #[test]
    fn a_full_queue_drops_the_newest_and_says_so() {
        let (mut outbox, now) = (Outbox::new(1), Instant(0));
        outbox.reply(now, chat(1), 1, &"x".repeat(OUTBOX_PER_CHAT_MAX + 7));
        assert!(outbox.dropped_total().any(|count| count == (Why::Full, 7)));
        outbox.reply(now, chat(1), 2, "yz");
        outbox.reply(now, chat(1), 3, "q");
        assert_eq!(settled(&mut outbox), [(3, Fate::Dropped(Why::Full))], "2 got the one place");
        outbox.reply(now, chat(2), 4, "other chats have room");
        assert_eq!(texts(&mut outbox).len(), 1);
    }

    #[test]
    fn a_reply_of_nothing_is_settled_at_once() {
        let mut outbox = Outbox::new(2000);
        outbox.reply(Instant(0), chat(1), 1, " \n ");
        assert_eq!(settled(&mut outbox), [(1, Fate::Silent)]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_nonce_is_what_every_version_makes_of_it() {
        let nonce = Nonce::of(chat(41_771_983_423_143_937), 1_290_000_000_000_000_001, 2);
        assert_eq!(nonce.to_string(), "barnacle-efa8fdb6bf24c6ce");
        assert!(nonce.to_string().len() <= NONCE_CHARS_MAX);
        assert_ne!(nonce, Nonce::of(chat(41_771_983_423_143_937), 1_290_000_000_000_000_001, 3));
    }

    #[test]
    fn every_reply_is_settled_exactly_once_whatever_happens() {
        for seed in 0..100 {
            let (mut rng, mut outbox) = (Rng::new(seed), Outbox::new(2));
            let (mut open, mut under_way) = (Vec::new(), Vec::new());
            for step in 0..500_u64 {
                let now = Instant(step * 30_000_000_000);
                if step < 400 && rng.one_in(2) {
                    let length = usize::try_from(rng.below(9)).unwrap();
                    open.push(step);
                    outbox.reply(now, chat(rng.below(3)), step, &"abcdefghi"[..length]);
                } else if let Some(to) = under_way.pop() {
                    if rng.one_in(5) {
                        outbox.failed(now, to, Why::Gone);
                    } else {
                        outbox.delivered(now, to);
                    }
                }
                while let Some(output) = outbox.poll() {
                    match output {
                        Output::Send { chat, deadline, .. } => {
                            assert!(!under_way.contains(&chat), "seed {seed}: two under way");
                            assert!(deadline > now, "seed {seed}: stale");
                            under_way.push(chat);
                        }
                        Output::Settled { answers, .. } => {
                            let at = open.iter().position(|&id| id == answers);
                            open.swap_remove(at.expect("settled once"));
                        }
                    }
                }
            }
            while let Some(to) = under_way.pop() {
                outbox.delivered(Instant(u64::MAX), to);
                while let Some(output) = outbox.poll() {
                    if let Output::Settled { answers, .. } = output {
                        open.retain(|&id| id != answers);
                    }
                }
            }
            assert!(outbox.is_empty() && outbox.waiting == 0 && open.is_empty(), "seed {seed}");
        }
    }
}
