//! What is remembered of chats as bytes, to be kept over a restart: a version, and then what there
//! is of each kind, counted; numbers are little-endian. Not a word of what was said is in it.

use super::memory::Memory;
use crate::base::Wall;
use crate::core::chat::{ChannelKind, ChatId};

const VERSION: u8 = 1;

impl Memory {
    /// All of it that still tells something at `now`.
    #[must_use]
    pub fn encode(&self, now: Wall) -> Vec<u8> {
        let mut out = Out(vec![VERSION]);
        self.opinions.encode(now, &mut out);
        self.encode_talk(now, &mut out);
        out.0
    }

    /// Takes in what [`encode`](Memory::encode) gave, as far as it can be read. True if that was
    /// all of it.
    pub fn restore(&mut self, bytes: &[u8]) -> bool {
        let Some((&VERSION, rest)) = bytes.split_first() else { return false };
        let mut input = In(rest);
        let is_read = self.opinions.read(&mut input).and_then(|()| self.read_talk(&mut input));
        is_read.is_some() && input.0.is_empty()
    }
}

#[derive(Default)]
pub(super) struct Out(Vec<u8>);

impl Out {
    #[cfg(test)]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(super) fn count(&mut self, count: usize) {
        self.0.extend_from_slice(&u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes());
    }

    pub(super) fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    pub(super) fn chat(&mut self, chat: ChatId) {
        self.byte(chat.channel.code());
        self.number(chat.id);
    }
}

pub(super) struct In<'a>(&'a [u8]);

impl In<'_> {
    #[cfg(test)]
    pub(super) fn of(bytes: &[u8]) -> In<'_> {
        In(bytes)
    }
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    pub(super) fn count(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    /// The inner `None` is a chat of a service that this version does not know.
    #[allow(clippy::option_option, reason = "the end of the bytes is no unknown service")]
    pub(super) fn chat(&mut self) -> Option<Option<ChatId>> {
        let channel = ChannelKind::of_code(self.byte()?);
        let id = self.number()?;
        Some(channel.map(|channel| ChatId { channel, id }))
    }
}
