//! What goes out: a reply, or something said of our own accord, cut into units of which each is
//! one call, and how it is written down.

use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use crate::base::hash::fnv1a;
use crate::base::limits::{
    DISCORD_FILE_BYTES_MAX, DISCORD_FILES_MAX, NONCE_CHARS_MAX, OUTBOX_ITEM_BYTES_MAX,
};
use crate::base::{Wall, split};
use crate::core::answer::{Act, File};
use crate::core::chat::{ChannelKind, ChatId};

/// What something is said for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Origin {
    /// It answers the message with this number.
    Reply(u64),
    /// It is said of our own accord, under a key of which this is the hash: whoever asks again
    /// with the same key asks for nothing new.
    Own(u64),
}

impl Origin {
    /// Of our own accord, under `key`.
    #[must_use]
    pub fn own(key: &str) -> Origin {
        Origin::Own(fnv1a(key.bytes()))
    }
}

/// The name of one item, over restarts too.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ItemId {
    /// Where it is said.
    pub chat: ChatId,
    /// What for.
    pub origin: Origin,
}

impl ItemId {
    /// Bytes of an encoded name.
    pub const BYTES: usize = 18;

    /// The message that it answers, if it answers one.
    #[must_use]
    pub fn answers(self) -> Option<u64> {
        match self.origin {
            Origin::Reply(id) => Some(id),
            Origin::Own(_) => None,
        }
    }

    /// Channel code, chat, what for, and its number, the numbers little-endian.
    #[must_use]
    pub fn encode(self) -> [u8; ItemId::BYTES] {
        let (tag, number) = match self.origin {
            Origin::Reply(id) => (0, id),
            Origin::Own(key) => (1, key),
        };
        let mut bytes = [0; ItemId::BYTES];
        let [channel, kind, numbers @ ..] = &mut bytes;
        (*channel, *kind) = (self.chat.channel.code(), tag);
        let (chat, id) = numbers.split_at_mut(8);
        chat.copy_from_slice(&self.chat.id.to_le_bytes());
        id.copy_from_slice(&number.to_le_bytes());
        bytes
    }

    /// Reads what [`encode`](ItemId::encode) wrote; `None` if it is something else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<ItemId> {
        let mut reader = Reader(bytes);
        let id = reader.id()?;
        reader.0.is_empty().then_some(id)
    }
}

/// The name of one part of one item: the same whenever and by whichever version it is sent, so
/// that the service recognises a second copy over retries, crashes and upgrades.
///
/// `barnacle-` and 16 hexadecimal digits of FNV-1a (64 bits) over channel code (with its highest
/// bit set for what is said of our own accord), chat, message or key, and part, the numbers
/// little-endian. Not a secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Nonce(u64);

impl Nonce {
    const PREFIX: &str = "barnacle-";

    /// The nonce of part `index` of item `id`.
    #[must_use]
    pub fn of(id: ItemId, index: u16) -> Nonce {
        let code = id.chat.channel.code();
        let (code, number) = match id.origin {
            Origin::Reply(message) => (code, message),
            Origin::Own(key) => (code | 0x80, key),
        };
        let bytes = std::iter::once(code)
            .chain(id.chat.id.to_le_bytes())
            .chain(number.to_le_bytes())
            .chain(index.to_le_bytes());
        Nonce(fnv1a(bytes))
    }

    /// Reads a nonce that we once made; `None` if it is somebody else's.
    #[must_use]
    pub fn parse(text: &str) -> Option<Nonce> {
        let digits = text.strip_prefix(Nonce::PREFIX).filter(|digits| digits.len() == 16)?;
        u64::from_str_radix(digits, 16).ok().map(Nonce)
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:016x}", Nonce::PREFIX, self.0)
    }
}

const _: () = assert!(Nonce::PREFIX.len() + 16 <= NONCE_CHARS_MAX);

/// What one call does.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unit {
    /// Say this.
    Say {
        /// The text; may be empty if there are files.
        text: Box<str>,
        /// What goes with it.
        files: Rc<[File]>,
    },
    /// React to a message.
    React {
        /// To which; `None` is the one that is answered.
        to: Option<u64>,
        /// The emoji.
        emoji: Box<str>,
    },
    /// Open a thread on the message that is answered.
    Thread {
        /// Its name.
        name: Box<str>,
    },
    /// Have our own message, which shows the answer as far as it had come, say this.
    Edit {
        /// The message.
        message: u64,
        /// The text.
        text: Box<str>,
    },
    /// Take such a message away: the answer is said elsewhere.
    Erase {
        /// The message.
        message: u64,
    },
}

impl Unit {
    /// What it weighs in memory.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Unit::Say { text, files } => {
                text.len() + files.iter().map(|file| file.bytes.len()).sum::<usize>()
            }
            Unit::React { emoji: text, .. }
            | Unit::Thread { name: text }
            | Unit::Edit { text, .. } => text.len(),
            Unit::Erase { .. } => 0,
        }
    }
}

/// What is left to be done of one item, as it is kept on disk.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact about the item by itself")]
pub struct Item {
    /// Its name.
    pub id: ItemId,
    /// The units that are left.
    pub units: VecDeque<Unit>,
    /// The number of the first of these.
    pub index: u16,
    /// When it was taken in.
    pub added: Wall,
    /// When it becomes stale.
    pub expires: Wall,
    /// The newest message that we know of in its chat: what it answers, or our own last part.
    pub newest: u64,
    /// Whether its thread was opened: what follows is said there.
    pub in_thread: bool,
    /// Whether something was said of it: only the first message points at what it answers.
    pub has_spoken: bool,
    /// Whether some of it found no room.
    pub is_cut: bool,
    /// Whether a message by the name of its first part may be there that says something else: the
    /// answer as far as it had come.
    pub is_drafted: bool,
}

/// What is known of an answer that was shown before it was complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sketch {
    /// When it was first to be shown.
    pub at: Wall,
    /// The message that shows it; 0 if that is not known, or if there is none.
    pub message: u64,
}

/// Puts first what completes a message that shows the beginning of the answer: its words, or else
/// its end, if they are said elsewhere.
pub(super) fn complete(units: &mut VecDeque<Unit>, message: u64) {
    let is_words = |unit: &Unit| matches!(unit, Unit::Say { text, .. } if !text.trim().is_empty());
    let is_thread = |unit: &Unit| matches!(unit, Unit::Thread { .. });
    let (words, thread) = (units.iter().position(is_words), units.iter().position(is_thread));
    // What is not known can be found by the words only that are said in its place.
    let is_here = |at: usize| message == 0 || thread.is_none_or(|thread| thread > at);
    let Some(at) = words.filter(|&at| is_here(at)) else {
        if message != 0 {
            units.push_front(Unit::Erase { message });
        }
        return;
    };
    let Some(Unit::Say { text, files }) = units.remove(at) else { return };
    if !files.is_empty() {
        units.insert(at, Unit::Say { text: "".into(), files });
    }
    units.push_front(match message {
        0 => Unit::Say { text, files: Rc::from([]) },
        message => Unit::Edit { message, text },
    });
}

/// What of an answer could not become a unit, and is told: files that are too large.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct TooLarge {
    /// How many files.
    pub(super) files: usize,
}

/// Cuts `acts` into units, texts into parts of at most `chars_max` characters. Files that no
/// message can carry are left out, and counted.
pub(super) fn units(acts: Vec<Act>, chars_max: usize) -> (VecDeque<Unit>, TooLarge) {
    let (mut units, mut too_large) = (VecDeque::new(), TooLarge::default());
    let mut room = OUTBOX_ITEM_BYTES_MAX;
    for act in acts {
        match act {
            Act::Say { text, files } => {
                units.extend(
                    split::split(&text, chars_max)
                        .map(|part| Unit::Say { text: part.into(), files: Rc::from([]) }),
                );
                let count = files.len();
                let mut fitting = files.into_iter().filter(|file| {
                    let fits = file.bytes.len() <= room.min(DISCORD_FILE_BYTES_MAX);
                    room -= if fits { file.bytes.len() } else { 0 };
                    fits
                });
                let mut taken = 0;
                let has_text = !text.trim().is_empty();
                loop {
                    let some: Vec<File> = fitting.by_ref().take(DISCORD_FILES_MAX).collect();
                    if some.is_empty() {
                        break;
                    }
                    // The first of them go with the last part of the text.
                    let last = units.back_mut().filter(|_| has_text && taken == 0);
                    taken += some.len();
                    match last {
                        Some(Unit::Say { files, .. }) => *files = some.into(),
                        _ => units.push_back(Unit::Say { text: "".into(), files: some.into() }),
                    }
                }
                too_large.files += count - taken;
            }
            Act::React { to, emoji } => units.push_back(Unit::React { to, emoji }),
            Act::Thread { name } => units.push_back(Unit::Thread { name }),
        }
    }
    (units, too_large)
}

impl Item {
    /// Its bytes on disk; [`decode`](Item::decode) reads them.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.units.iter().map(Unit::bytes).sum::<usize>());
        out.extend(self.id.encode());
        out.extend(self.index.to_le_bytes());
        for number in [self.added.0, self.expires.0, self.newest] {
            out.extend(number.to_le_bytes());
        }
        let flags = [self.in_thread, self.has_spoken, self.is_cut, self.is_drafted];
        out.push(flags.iter().rev().fold(0, |byte, &flag| byte << 1 | u8::from(flag)));
        for unit in &self.units {
            match unit {
                Unit::Say { text, files } => {
                    out.push(1);
                    push(&mut out, text.as_bytes());
                    push_number(&mut out, files.len());
                    for file in files.iter() {
                        push(&mut out, file.name.as_bytes());
                        push(&mut out, &file.bytes);
                    }
                }
                Unit::React { to, emoji } => {
                    out.push(2);
                    out.extend(to.unwrap_or(0).to_le_bytes());
                    push(&mut out, emoji.as_bytes());
                }
                Unit::Thread { name } => {
                    out.push(3);
                    push(&mut out, name.as_bytes());
                }
                Unit::Edit { message, text } => {
                    out.push(4);
                    out.extend(message.to_le_bytes());
                    push(&mut out, text.as_bytes());
                }
                Unit::Erase { message } => {
                    out.push(5);
                    out.extend(message.to_le_bytes());
                }
            }
        }
        out
    }

    /// Reads what [`encode`](Item::encode) wrote; `None` if it is something else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Item> {
        let mut reader = Reader(bytes);
        let id = reader.id()?;
        let index = u16::from_le_bytes(*reader.take()?);
        let (added, expires, newest) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let [flags] = *reader.take()?;
        let mut units = VecDeque::new();
        while !reader.0.is_empty() {
            let [kind] = *reader.take()?;
            units.push_back(match kind {
                1 => {
                    let text = reader.text()?;
                    let count = reader.number()?;
                    let file = || {
                        let name = reader.text()?;
                        Some(File { name, bytes: reader.bytes()?.to_vec() })
                    };
                    let files: Option<Vec<File>> =
                        std::iter::repeat_with(file).take(count).collect();
                    Unit::Say { text, files: files?.into() }
                }
                2 => {
                    let to = reader.u64()?;
                    Unit::React { to: (to != 0).then_some(to), emoji: reader.text()? }
                }
                3 => Unit::Thread { name: reader.text()? },
                4 => Unit::Edit { message: reader.u64()?, text: reader.text()? },
                5 => Unit::Erase { message: reader.u64()? },
                _ => return None,
            });
        }
        let flag = |bit: u8| flags >> bit & 1 == 1;
        Some(Item {
            id,
            units,
            index,
            added: Wall(added),
            expires: Wall(expires),
            newest,
            in_thread: flag(0),
            has_spoken: flag(1),
            is_cut: flag(2),
            is_drafted: flag(3),
        })
    }
}

fn push_number(out: &mut Vec<u8>, number: usize) {
    // Nothing that is kept is near this long.
    out.extend(u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
}

fn push(out: &mut Vec<u8>, bytes: &[u8]) {
    push_number(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Reads what was written, from its beginning.
pub(in crate::core) struct Reader<'a>(pub(in crate::core) &'a [u8]);

impl<'a> Reader<'a> {
    pub(in crate::core) fn take<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(taken)
    }

    pub(in crate::core) fn u64(&mut self) -> Option<u64> {
        self.take().map(|bytes| u64::from_le_bytes(*bytes))
    }

    fn number(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(*self.take()?)).ok()
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.number()?;
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn text(&mut self) -> Option<Box<str>> {
        std::str::from_utf8(self.bytes()?).ok().map(Box::from)
    }

    pub(in crate::core) fn id(&mut self) -> Option<ItemId> {
        let [channel, tag] = *self.take()?;
        let chat = ChatId { channel: ChannelKind::of_code(channel)?, id: self.u64()? };
        let number = self.u64()?;
        let origin = match tag {
            0 => Origin::Reply(number),
            1 => Origin::Own(number),
            _ => return None,
        };
        Some(ItemId { chat, origin })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chat(id: u64) -> ChatId {
        ChatId { channel: ChannelKind::Discord, id }
    }

    fn say(text: &str, files: &[(&str, usize)]) -> Act {
        let file = |&(name, size): &(&str, usize)| File { name: name.into(), bytes: vec![7; size] };
        Act::Say { text: text.into(), files: files.iter().map(file).collect() }
    }

    #[test]
    fn a_nonce_is_what_every_version_makes_of_it() {
        let chat = chat(41_771_983_423_143_937);
        let id = ItemId { chat, origin: Origin::Reply(1_290_000_000_000_000_001) };
        let nonce = Nonce::of(id, 2);
        assert_eq!(nonce.to_string(), "barnacle-efa8fdb6bf24c6ce");
        assert!(nonce.to_string().len() <= NONCE_CHARS_MAX);
        assert_eq!(Nonce::parse("barnacle-efa8fdb6bf24c6ce"), Some(nonce));
        assert_eq!(Nonce::parse("barnacle-efa8"), None);
        assert_ne!(nonce, Nonce::of(id, 3));
        let own = ItemId { chat, origin: Origin::Own(1_290_000_000_000_000_001) };
        assert_ne!(nonce, Nonce::of(own, 2), "a key is no message");
    }

    #[test]
    fn files_go_with_the_last_part_and_what_is_too_large_is_counted() {
        let large = DISCORD_FILE_BYTES_MAX + 1;
        let act = say("one two", &[("a", 1), ("large", large), ("b", 2)]);
        let (planned, too_large) = units(vec![act], 4);
        assert_eq!(too_large.files, 1);
        let files = |unit: &Unit| match unit {
            Unit::Say { files, .. } => files.iter().map(|file| file.name.to_string()).collect(),
            _ => vec![],
        };
        assert_eq!(planned.iter().map(files).collect::<Vec<_>>(), [vec![], vec!["a", "b"]]);
        let many: Vec<(&str, usize)> = (0..12).map(|_| ("f", 1)).collect();
        let (planned, too_large) = units(vec![say("", &many)], 4);
        assert_eq!(too_large.files, 0);
        assert_eq!(planned.iter().map(|unit| files(unit).len()).collect::<Vec<_>>(), [10, 2]);
    }

    #[test]
    fn what_is_shown_already_is_completed_first_or_taken_away() {
        let thread = || Act::Thread { name: "t".into() };
        let react = || Act::React { to: None, emoji: "x".into() };
        let word = |unit: &Unit| match unit {
            Unit::Say { text, files } => format!("say {text}{}", files.len()),
            Unit::React { .. } => "react".into(),
            Unit::Thread { .. } => "thread".into(),
            Unit::Edit { message, text } => format!("edit {message} {text}"),
            Unit::Erase { message } => format!("erase {message}"),
        };
        for (acts, message, planned) in [
            (vec![say("one two", &[])], 9, vec!["edit 9 one", "say two0"]),
            (vec![say("one two", &[])], 0, vec!["say one0", "say two0"]),
            (vec![react(), say("one", &[("f", 1)])], 9, vec!["edit 9 one", "react", "say 1"]),
            (vec![thread(), say("one", &[])], 9, vec!["erase 9", "thread", "say one0"]),
            (vec![thread(), say("one", &[])], 0, vec!["say one0", "thread"]),
            (vec![react()], 9, vec!["erase 9", "react"]),
        ] {
            let (mut units, _) = units(acts, 4);
            complete(&mut units, message);
            assert_eq!(units.iter().map(word).collect::<Vec<_>>(), planned);
        }
    }

    fn act() -> impl Strategy<Value = Act> {
        let file = (".{0,9}", prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(name, bytes)| File { name: name.into(), bytes });
        prop_oneof![
            (".{0,60}", prop::collection::vec(file, 0..3))
                .prop_map(|(text, files)| Act::Say { text: text.into(), files }),
            (prop::option::of(1..u64::MAX), ".{1,3}")
                .prop_map(|(to, emoji)| Act::React { to, emoji: emoji.into() }),
            ".{0,20}".prop_map(|name| Act::Thread { name: name.into() }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn an_item_reads_back_and_no_bytes_can_hurt(
            acts in prop::collection::vec(act(), 0..5),
            numbers in any::<[u64; 4]>(),
            flags in any::<[bool; 5]>(),
            draft in prop::option::of(any::<u64>()),
            cut in any::<prop::sample::Index>(),
            noise in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let (mut units, _) = units(acts, 20);
            if let Some(message) = draft {
                complete(&mut units, message);
            }
            let [number, added, expires, newest] = numbers;
            let [own, in_thread, has_spoken, is_cut, is_drafted] = flags;
            let origin = if own { Origin::Own(number) } else { Origin::Reply(number) };
            let (added, expires) = (Wall(added), Wall(expires));
            let id = ItemId { chat: chat(number), origin };
            let item = Item {
                id,
                units,
                index: 7,
                added,
                expires,
                newest,
                in_thread,
                has_spoken,
                is_cut,
                is_drafted,
            };
            let bytes = item.encode();
            prop_assert_eq!(Item::decode(&bytes), Some(item));
            // Anything may come of these but a panic, or memory without bound.
            let _ = Item::decode(&bytes[..cut.index(bytes.len())]);
            let _ = Item::decode(&noise);
        }
    }
}
