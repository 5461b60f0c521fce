//! What is written down of each message on its way through us, and what is to be done with it
//! when a new life reads it.
//!
//! One log holds all of it, so that one write to the disk serves many: a message that was admitted,
//! a turn that began, what is to be said, which part of it has arrived, and what is over. Each
//! record begins with a version and a kind; one that a later version wrote is passed over, and
//! counted.

use std::collections::BTreeMap;

use super::chat::{ChatId, Request};
use super::dedup::{Answered, Mark};
use super::outbox::{Arrived, Item, ItemId, Origin, Reader, Sketch};
use crate::base::Wall;
use crate::base::limits::TURN_ATTEMPTS_MAX;

/// The version of all records.
const VERSION: u8 = 1;

/// One record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Entry {
    /// This message will be answered.
    Admitted(Box<Request>),
    /// The turn for it began: of chat and message.
    Begun(ChatId, u64),
    /// It will not be answered after all: too many were waiting.
    Refused(ChatId, u64),
    /// This is to be said, as far as it was not yet.
    Out(Box<Item>),
    /// A unit of an item has arrived.
    Arrived {
        /// Which item.
        id: ItemId,
        /// Which unit.
        index: u16,
        /// The message that it became, or 0.
        message: u64,
        /// What kind it was.
        kind: Arrived,
    },
    /// An item is over. If it answered a message, so is everything before that in its chat.
    Settled(ItemId),
    /// A message goes into the turn of another one, and is over when that one is.
    Joined {
        /// Where.
        chat: ChatId,
        /// The message.
        id: u64,
        /// The one that is answered.
        into: u64,
    },
    /// The beginning of an item is shown, or is about to be.
    Draft {
        /// Which item.
        id: ItemId,
        /// What is known of it.
        sketch: Sketch,
    },
}

impl Entry {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let of = |kind: u8, parts: &[&[u8]]| {
            let mut bytes = vec![VERSION, kind];
            for part in parts {
                bytes.extend_from_slice(part);
            }
            bytes
        };
        let reply = |chat: ChatId, id: u64| ItemId { chat, origin: Origin::Reply(id) }.encode();
        match self {
            // Numbers and texts: nothing in it can fail to be written.
            Entry::Admitted(request) => of(1, &[&serde_json::to_vec(request).unwrap_or_default()]),
            Entry::Begun(chat, id) => of(2, &[&reply(*chat, *id)]),
            Entry::Refused(chat, id) => of(3, &[&reply(*chat, *id)]),
            Entry::Out(item) => of(4, &[&item.encode()]),
            Entry::Arrived { id, index, message, kind } => {
                let kind = match kind {
                    Arrived::Said => 1,
                    Arrived::Thread => 2,
                    Arrived::Other => 3,
                };
                let (index, message) = (index.to_le_bytes(), message.to_le_bytes());
                of(5, &[&id.encode(), &index, &message, &[kind]])
            }
            Entry::Settled(id) => of(6, &[&id.encode()]),
            Entry::Draft { id, sketch: Sketch { at, message } } => {
                of(8, &[&id.encode(), &at.0.to_le_bytes(), &message.to_le_bytes()])
            }
            Entry::Joined { chat, id, into } => of(7, &[&reply(*chat, *id), &into.to_le_bytes()]),
        }
    }

    /// Reads what [`encode`](Entry::encode) wrote; `None` if it is something else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Entry> {
        let mut reader = Reader(bytes);
        let [version, kind] = *reader.take()?;
        if version != VERSION {
            return None;
        }
        let message = |bytes| {
            let id = ItemId::decode(bytes)?;
            Some((id.chat, id.answers()?))
        };
        Some(match kind {
            1 => Entry::Admitted(serde_json::from_slice(reader.0).ok()?),
            2 => message(reader.0).map(|(chat, id)| Entry::Begun(chat, id))?,
            3 => message(reader.0).map(|(chat, id)| Entry::Refused(chat, id))?,
            4 => Entry::Out(Box::new(Item::decode(reader.0)?)),
            5 => {
                let id = reader.id()?;
                let index = u16::from_le_bytes(*reader.take()?);
                let message = reader.u64()?;
                let kind = match *reader.take()? {
                    [1] => Arrived::Said,
                    [2] => Arrived::Thread,
                    [3] => Arrived::Other,
                    _ => return None,
                };
                Entry::Arrived { id, index, message, kind }
            }
            6 => Entry::Settled(ItemId::decode(reader.0)?),
            7 => {
                let id = reader.id()?;
                Entry::Joined { chat: id.chat, id: id.answers()?, into: reader.u64()? }
            }
            8 => {
                let id = reader.id()?;
                let sketch = Sketch { at: Wall(reader.u64()?), message: reader.u64()? };
                Entry::Draft { id, sketch }
            }
            _ => return None,
        })
    }
}

/// The messages that were admitted and have no answer yet.
#[derive(Debug, Default)]
pub struct Inbox {
    open: BTreeMap<(ChatId, u64), Open>,
    /// What went into the turn of a message, until that one is over.
    joined: BTreeMap<(ChatId, u64), Vec<u64>>,
    count: u64,
}

#[derive(Debug)]
struct Open {
    request: Request,
    /// How often a turn was begun for it.
    begun: u8,
    /// Its place among all.
    order: u64,
}

impl Inbox {
    /// Takes in an admitted message.
    pub fn admit(&mut self, request: Request) {
        self.count += 1;
        let order = self.count;
        let begun = request.attempt;
        self.open.insert((request.chat, request.id), Open { request, begun, order });
    }

    /// A turn for message `id` began.
    pub fn begun(&mut self, chat: ChatId, id: u64) {
        if let Some(open) = self.open.get_mut(&(chat, id)) {
            open.begun = open.begun.saturating_add(1);
        }
    }

    /// Message `id` goes into the turn of another one, with all that went into its own. True if it
    /// was to have one of its own until now.
    pub fn join(&mut self, chat: ChatId, id: u64, into: u64) -> bool {
        let was_own = self.open.contains_key(&(chat, id)) && self.host(chat, id).is_none();
        // What goes along goes along with the last of them all.
        let into = self.host(chat, into).unwrap_or(into);
        let mut all = self.joined.remove(&(chat, id)).unwrap_or_default();
        all.push(id);
        all.retain(|&id| id != into);
        for (_, joined) in self.joined.range_mut((chat, 0)..=(chat, u64::MAX)) {
            joined.retain(|id| !all.contains(id));
        }
        self.joined.entry((chat, into)).or_default().append(&mut all);
        self.joined.retain(|_, joined| !joined.is_empty());
        was_own
    }

    /// The message into whose turn message `id` went.
    fn host(&self, chat: ChatId, id: u64) -> Option<u64> {
        let mut joined = self.joined.range((chat, 0)..=(chat, u64::MAX));
        joined.find(|(_, all)| all.contains(&id)).map(|(&(_, into), _)| into)
    }

    /// Message `id` has an answer, or will have none, and so has what went into its turn. What was
    /// asked, if it was open.
    pub fn close(&mut self, chat: ChatId, id: u64) -> Option<Request> {
        for other in self.joined.get(&(chat, id)).into_iter().flatten() {
            self.open.remove(&(chat, *other));
        }
        if self.host(chat, id).is_some() {
            // What goes along with another is open for as long as that one.
            return None;
        }
        self.open.remove(&(chat, id)).map(|open| open.request)
    }

    /// Message `id` is over: what went into its turn, and is so too.
    pub fn settle(&mut self, chat: ChatId, id: u64) -> Vec<u64> {
        self.joined.remove(&(chat, id)).unwrap_or_default()
    }

    /// What was asked by message `id`, if it is open.
    #[must_use]
    pub fn get(&self, chat: ChatId, id: u64) -> Option<&Request> {
        self.open.get(&(chat, id)).map(|open| &open.request)
    }

    /// All that is open and has a turn of its own, in the order in which it came, with the count of
    /// turns that were begun for it as its attempt, and with what went into its turn.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        let is_own = |open: &&Open| {
            let Request { chat, id, .. } = open.request;
            // What another was to take along that is not there has a turn of its own again.
            self.host(chat, id).is_none_or(|into| !self.open.contains_key(&(chat, into)))
        };
        let mut open: Vec<&Open> = self.open.values().filter(is_own).collect();
        open.sort_by_key(|open| open.order);
        let again = |open: &Open| {
            let Request { chat, id, .. } = open.request;
            let mut request = Request { attempt: open.begun, ..open.request.clone() };
            for other in self.joined.get(&(chat, id)).into_iter().flatten() {
                if let Some(other) = self.open.get(&(chat, *other)) {
                    request.take_along(&other.request);
                }
            }
            request
        };
        open.into_iter().map(again).collect()
    }

    /// The messages that went into the turn of another one that is not over.
    pub fn joined(&self) -> impl Iterator<Item = (ChatId, u64, u64)> {
        let joined = self.joined.iter();
        joined.flat_map(|(&(chat, into), all)| all.iter().map(move |&id| (chat, id, into)))
    }

    /// The records that say the same.
    fn records(&self) -> impl Iterator<Item = Entry> {
        let mut open: Vec<&Open> = self.open.values().collect();
        open.sort_by_key(|open| open.order);
        let admitted = open.into_iter().map(|open| {
            Entry::Admitted(Box::new(Request { attempt: open.begun, ..open.request.clone() }))
        });
        let joined = self.joined().map(|(chat, id, into)| Entry::Joined { chat, id, into });
        admitted.chain(joined)
    }
}

/// All that a log tells.
#[derive(Debug, Default)]
pub struct Memory {
    /// What waits for an answer.
    pub inbox: Inbox,
    /// What was answered last in each chat.
    pub answered: Answered,
    /// What was said of our own accord, the oldest first.
    pub own: Vec<ItemId>,
    /// Answers that are not complete, and whose beginning may be shown.
    pub drafts: BTreeMap<ItemId, Sketch>,
    /// What is still to be said.
    items: BTreeMap<ItemId, (u64, Item)>,
    count: u64,
    /// Records that could not be understood.
    pub strange: u64,
}

impl Memory {
    /// Takes in the next record.
    pub fn read(&mut self, record: &[u8]) {
        match Entry::decode(record) {
            Some(entry) => self.apply(entry),
            None => self.strange += 1,
        }
    }

    fn apply(&mut self, entry: Entry) {
        self.count += 1;
        match entry {
            Entry::Admitted(request) => {
                let host = self.inbox.host(request.chat, request.id);
                let is_out = |id: u64| {
                    self.items
                        .contains_key(&ItemId { chat: request.chat, origin: Origin::Reply(id) })
                };
                if !is_out(request.id) && !host.is_some_and(is_out) {
                    self.inbox.admit(*request);
                }
            }
            Entry::Begun(chat, id) => self.inbox.begun(chat, id),
            Entry::Refused(chat, id) => {
                self.inbox.close(chat, id);
                self.inbox.settle(chat, id);
                self.drafts.remove(&ItemId { chat, origin: Origin::Reply(id) });
            }
            // It is complete by now.
            Entry::Draft { id, .. } if self.items.contains_key(&id) => {}
            Entry::Draft { id, sketch } => {
                let known = self.drafts.entry(id).or_insert(sketch);
                known.message = known.message.max(sketch.message);
            }
            Entry::Joined { chat, id, into } => {
                self.inbox.join(chat, id, into);
                // What it went into, in the end.
                let host = self.inbox.host(chat, id).unwrap_or(into);
                if self.items.contains_key(&ItemId { chat, origin: Origin::Reply(host) }) {
                    self.inbox.close(chat, host);
                }
            }
            Entry::Out(item) => {
                if let Some(id) = item.id.answers() {
                    self.inbox.close(item.id.chat, id);
                }
                self.drafts.remove(&item.id);
                self.items.insert(item.id, (self.count, *item));
            }
            Entry::Arrived { id, index, message, kind } => {
                if let Some((_, item)) = self.items.get_mut(&id)
                    && item.index == index
                {
                    arrived(item, message, kind);
                }
            }
            Entry::Settled(id) => {
                self.items.remove(&id);
                self.drafts.remove(&id);
                let chat = id.chat;
                match id.origin {
                    Origin::Reply(message) => {
                        self.inbox.close(id.chat, message);
                        for id in self.inbox.settle(id.chat, message).into_iter().chain([message]) {
                            self.answered.mark(Mark { chat, id });
                        }
                    }
                    Origin::Own(_) => self.own.push(id),
                }
            }
        }
    }

    /// What is still to be said, in the order in which it was taken in.
    #[must_use]
    pub fn items(&mut self) -> Vec<Item> {
        let mut items: Vec<(u64, Item)> = std::mem::take(&mut self.items).into_values().collect();
        items.sort_by_key(|(order, _)| *order);
        items.into_iter().map(|(_, item)| item).collect()
    }
}

fn arrived(item: &mut Item, message: u64, kind: Arrived) {
    item.units.pop_front();
    item.index = item.index.saturating_add(1);
    match kind {
        Arrived::Said => {
            item.has_spoken = true;
            item.newest = item.newest.max(message);
        }
        Arrived::Thread => item.in_thread = true,
        Arrived::Other => {}
    }
}

/// The records that say the same as all that were written before: what a log is made short to.
pub fn summary<'a>(
    inbox: &'a Inbox,
    answered: &'a Answered,
    own: impl Iterator<Item = ItemId> + 'a,
    items: impl Iterator<Item = &'a Item> + 'a,
    drafts: impl Iterator<Item = (ItemId, Sketch)> + 'a,
) -> impl Iterator<Item = Vec<u8>> + 'a {
    let reply = |mark: Mark| ItemId { chat: mark.chat, origin: Origin::Reply(mark.id) };
    let marks = answered.marks().into_iter().map(reply);
    let settled = marks.chain(own).map(|id| Entry::Settled(id).encode());
    let open = inbox.records().map(|entry| entry.encode());
    let drafts = drafts.map(|(id, sketch)| Entry::Draft { id, sketch }.encode());
    settled
        .chain(open)
        .chain(drafts)
        .chain(items.map(|item| Entry::Out(item.clone().into()).encode()))
}

/// What is to be done about a message that an earlier life had admitted, and not answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Again {
    /// Its turn comes again.
    Turn,
    /// It may be the message itself that ends us: it is answered by an apology.
    Apology,
}

impl Again {
    /// About a message for which `attempts` turns were begun.
    #[must_use]
    pub fn after(attempts: u8) -> Again {
        if attempts < TURN_ATTEMPTS_MAX { Again::Turn } else { Again::Apology }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Wall;
    use crate::core::chat::Attachment;
    use crate::core::chat::sample::{self, chat};
    use crate::core::outbox::Unit;
    use proptest::prelude::*;

    fn request(chat: ChatId, id: u64) -> Request {
        let text = "hi \u{1f980}".into();
        Request { guild: Some(3), text, at: Wall(5), ..sample::request(chat.id, id) }
    }

    fn item(id: ItemId, texts: &[&str]) -> Item {
        let say = |text: &&str| Unit::Say { text: (*text).into(), files: [].into() };
        let units = texts.iter().map(say).collect();
        Item {
            id,
            units,
            index: 0,
            added: Wall(1),
            expires: Wall(2),
            newest: 0,
            in_thread: false,
            has_spoken: false,
            is_cut: false,
            is_drafted: false,
        }
    }

    fn reply(chat: ChatId, id: u64) -> ItemId {
        ItemId { chat, origin: Origin::Reply(id) }
    }

    fn read(entries: &[Entry]) -> Memory {
        let mut memory = Memory::default();
        for entry in entries {
            assert_eq!(Entry::decode(&entry.encode()).as_ref(), Some(entry));
            memory.read(&entry.encode());
        }
        assert_eq!(memory.strange, 0);
        memory
    }

    fn open(memory: &Memory) -> Vec<(u64, u8)> {
        memory.inbox.requests().iter().map(|request| (request.id, request.attempt)).collect()
    }

    #[test]
    fn what_was_admitted_is_open_until_it_has_an_answer_or_is_refused() {
        let (here, there) = (chat(1), chat(2));
        let mut entries = vec![
            Entry::Admitted(request(there, 9).into()),
            Entry::Admitted(request(here, 10).into()),
            Entry::Admitted(request(here, 11).into()),
            Entry::Admitted(request(here, 12).into()),
            Entry::Begun(there, 9),
            Entry::Begun(here, 10),
        ];
        assert_eq!(open(&read(&entries)), [(9, 1), (10, 1), (11, 0), (12, 0)]);
        entries.push(Entry::Out(item(reply(here, 10), &["a", "b"]).into()));
        entries.push(Entry::Refused(here, 12));
        let mut memory = read(&entries);
        assert_eq!(open(&memory), [(9, 1), (11, 0)]);
        assert_eq!(memory.items().len(), 1);
        assert!(!memory.answered.already(here, 10), "it is not over yet");
        entries.push(Entry::Settled(reply(here, 10)));
        let mut memory = read(&entries);
        assert_eq!(open(&memory), [(9, 1), (11, 0)]);
        assert!(memory.items().is_empty() && memory.answered.already(here, 10));
    }

    #[test]
    fn the_files_of_a_message_are_kept_and_older_records_have_none() {
        let with = |attachments| Request { attachments, ..request(chat(1), 10) };
        let file = Attachment {
            name: "a.png".into(),
            kind: "image/png".into(),
            bytes: 7,
            url: "https://cdn/a.png".into(),
            ..Attachment::default()
        };
        let entry = Entry::Admitted(with(vec![file]).into());
        assert_eq!(Entry::decode(&entry.encode()), Some(entry));
        let bare = Entry::Admitted(with(Vec::new()).into());
        let bytes = bare.encode();
        assert!(!String::from_utf8_lossy(&bytes).contains("attachments"), "as it always was");
        assert_eq!(Entry::decode(&bytes), Some(bare));
    }

    #[test]
    fn a_part_that_arrived_is_not_sent_again() {
        let id = reply(chat(1), 10);
        let arrived = |index, message, kind| Entry::Arrived { id, index, message, kind };
        let mut memory = read(&[
            Entry::Out(item(id, &["a", "b", "c"]).into()),
            arrived(0, 77, Arrived::Said),
            // Told twice; once is enough.
            arrived(0, 77, Arrived::Said),
            arrived(1, 0, Arrived::Thread),
        ]);
        let left = memory.items().pop().unwrap();
        assert_eq!((left.index, left.units.len(), left.newest), (2, 1, 77));
        assert!(left.in_thread && left.has_spoken);
    }

    #[test]
    fn a_message_that_ends_us_is_tried_twice_and_then_excused() {
        let mut entries = vec![Entry::Admitted(request(chat(1), 10).into())];
        for again in [Again::Turn, Again::Turn, Again::Apology] {
            let memory = read(&entries);
            let attempt = memory.inbox.requests()[0].attempt;
            assert_eq!(Again::after(attempt), again);
            // The next life reads a log that was made short.
            let mut short =
                summary(&memory.inbox, &memory.answered, [].into_iter(), [].iter(), [].into_iter());
            entries = vec![Entry::decode(&short.next().unwrap()).unwrap()];
            entries.push(Entry::Begun(chat(1), 10));
        }
    }

    #[test]
    fn what_goes_into_another_turn_goes_along_with_it_over_any_number_of_starts() {
        let here = chat(1);
        let mut entries = vec![
            Entry::Admitted(request(here, 10).into()),
            Entry::Admitted(request(here, 11).into()),
            Entry::Admitted(request(here, 12).into()),
            Entry::Joined { chat: here, id: 10, into: 11 },
            Entry::Begun(here, 11),
            Entry::Joined { chat: here, id: 11, into: 12 },
        ];
        for _ in 0..2 {
            let memory = read(&entries);
            let requests = memory.inbox.requests();
            assert_eq!(open(&memory), [(12, 0)]);
            let along: Vec<u64> = requests[0].along.iter().map(|along| along.id).collect();
            assert_eq!(along, [10, 11]);
            let short =
                summary(&memory.inbox, &memory.answered, [].into_iter(), [].iter(), [].into_iter());
            entries = short.map(|record| Entry::decode(&record).unwrap()).collect();
        }
        entries.push(Entry::Out(item(reply(here, 12), &["a"]).into()));
        assert!(open(&read(&entries)).is_empty());
        entries.push(Entry::Settled(reply(here, 12)));
        let memory = read(&entries);
        assert!(open(&memory).is_empty() && memory.answered.already(here, 11));
        assert_eq!(memory.inbox.joined().count(), 0);
    }

    #[test]
    fn a_record_of_another_version_is_passed_over_and_counted() {
        let mut record = Entry::Begun(chat(1), 10).encode();
        record[0] = 2;
        let mut memory = Memory::default();
        memory.read(&record);
        memory.read(&[]);
        memory.read(&[VERSION, 99, 1, 2, 3]);
        assert_eq!(memory.strange, 3);
    }

    fn entry() -> impl Strategy<Value = Entry> {
        let id = (1..3_u64, 1..6_u64, any::<bool>()).prop_map(|(to, number, own)| ItemId {
            chat: chat(to),
            origin: if own { Origin::Own(number) } else { Origin::Reply(number) },
        });
        let kind = prop_oneof![Just(Arrived::Said), Just(Arrived::Thread), Just(Arrived::Other)];
        prop_oneof![
            (1..3_u64, 1..6_u64).prop_map(|(to, id)| Entry::Admitted(request(chat(to), id).into())),
            (1..3_u64, 1..6_u64).prop_map(|(to, id)| Entry::Begun(chat(to), id)),
            (1..3_u64, 1..6_u64).prop_map(|(to, id)| Entry::Refused(chat(to), id)),
            id.clone().prop_map(|id| Entry::Out(item(id, &["a", "b", "c"]).into())),
            (id.clone(), 0..3_u16, 1..9_u64, kind).prop_map(|(id, index, message, kind)| {
                Entry::Arrived { id, index, message, kind }
            }),
            id.prop_map(Entry::Settled),
            (1..3_u64, 1..6_u64, 1..6_u64).prop_map(|(to, id, into)| Entry::Joined {
                chat: chat(to),
                id,
                into,
            }),
            (1..3_u64, 1..6_u64, 0..9_u64).prop_map(|(to, id, message)| Entry::Draft {
                id: reply(chat(to), id),
                sketch: Sketch { at: Wall(3), message },
            }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn a_log_made_short_says_the_same(entries in prop::collection::vec(entry(), 0..60)) {
            let mut memory = read(&entries);
            let items = memory.items();
            let own = memory.own.clone();
            let drafts = memory.drafts.clone().into_iter();
            let Memory { inbox, answered, .. } = &memory;
            let records = summary(inbox, answered, own.into_iter(), items.iter(), drafts);
            let records: Vec<Vec<u8>> = records.collect();
            let mut short = Memory::default();
            for record in &records {
                short.read(record);
            }
            let sorted = |mut items: Vec<Item>| {
                items.sort_by_key(|item| item.id);
                items
            };
            prop_assert_eq!(short.inbox.requests(), memory.inbox.requests());
            prop_assert_eq!(short.answered.marks(), memory.answered.marks());
            prop_assert_eq!(&short.own, &memory.own);
            prop_assert_eq!(&short.drafts, &memory.drafts);
            prop_assert_eq!(sorted(short.items()), sorted(items));
        }

        #[test]
        fn no_bytes_can_hurt(noise in prop::collection::vec(any::<u8>(), 0..80)) {
            let mut memory = Memory::default();
            for kind in 0..10 {
                memory.read(&[&[VERSION, kind], &noise[..]].concat());
            }
        }
    }
}
