//! The trail as bytes, to be kept over a restart.
//!
//! A version (1 had numbers of two bytes in its steps), and then what there is of each kind,
//! counted; numbers are little-endian. A step is the hash of its name in the source: whatever
//! another version called otherwise is passed over, and costs that line alone.

use std::collections::BTreeMap;

use super::{Knock, Line, Step, Trace};
use crate::base::hash::fnv1a;
use crate::base::limits::{TRACE_AGENTS_MAX, TRACE_NAME_BYTES_MAX};
use crate::base::{Wall, text};
use crate::core::chat::{ChannelKind, ChatId};

const VERSION: u8 = 2;

impl Trace {
    /// All of it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let codes: Vec<(Step, u64)> = Step::all().map(|step| (step, code(step))).collect();
        let mut out = Out { bytes: vec![VERSION], codes };
        out.count(self.agents.len());
        self.agents.iter().for_each(|agent| out.text(agent));
        out.count(self.drops.len());
        for (&(channel, name), &count) in &self.drops {
            out.bytes.push(channel.code());
            out.text(name);
            out.number(count);
        }
        out.count(self.turned.len() + self.admitted.len());
        self.knocks().for_each(|knock| out.knock(knock));
        out.count(self.lines.len());
        self.lines.iter().for_each(|line| out.line(line));
        out.bytes
    }

    /// Takes in what [`encode`](Trace::encode) gave, as far as it can be read: before anything
    /// else, since places of agents are counted from the first. True if all could be read.
    pub fn restore(&mut self, bytes: &[u8]) -> bool {
        let codes = Step::all().map(|step| (code(step), step)).collect();
        // Perhaps it is not on the disk yet: it came from memory, after a crash.
        self.changes += 1;
        self.weighty += 1;
        self.agents.is_empty() && self.read(&mut In { bytes, codes, version: 0 }).is_some()
    }

    fn read(&mut self, input: &mut In<'_>) -> Option<()> {
        input.version = input.byte()?;
        matches!(input.version, 1 | VERSION).then_some(())?;
        for _ in 0..input.count()?.min(TRACE_AGENTS_MAX) {
            self.agents.push(input.text()?.into());
        }
        let names: Vec<&'static str> = Step::all().filter_map(Step::drop_name).collect();
        for _ in 0..input.count()? {
            let channel = ChannelKind::of_code(input.byte()?);
            let name = input.text()?;
            let count = input.number()?;
            let known = names.iter().find(|known| **known == name);
            if let (Some(channel), Some(&name)) = (channel, known) {
                let total = self.drops.entry((channel, name)).or_insert(0);
                *total = total.saturating_add(count);
            }
        }
        for _ in 0..input.count()? {
            match input.knock()? {
                Some(knock) if knock.line.step == Step::Admitted => drop(self.admitted.push(knock)),
                Some(knock) => drop(self.turned.push(knock)),
                None => {}
            }
        }
        for _ in 0..input.count()? {
            if let Some(line) = input.line()? {
                self.lines.push(line);
            }
        }
        input.bytes.is_empty().then_some(())
    }
}

/// The number that stands for a step, whatever numbers it holds itself.
pub(super) fn code(step: Step) -> u64 {
    fnv1a(format!("{:?}", bare(step)).into_bytes())
}

fn bare(step: Step) -> Step {
    step.with_number(0)
}

struct Out {
    bytes: Vec<u8>,
    codes: Vec<(Step, u64)>,
}

impl Out {
    fn number(&mut self, number: u64) {
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    fn count(&mut self, count: usize) {
        self.bytes.extend_from_slice(&u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes());
    }

    fn text(&mut self, text: &str) {
        let text = text::truncate(text, usize::from(u8::MAX));
        self.bytes.push(u8::try_from(text.len()).unwrap_or(0));
        self.bytes.extend_from_slice(text.as_bytes());
    }

    fn line(&mut self, line: &Line) {
        let step = bare(line.step);
        let code = self.codes.iter().find(|(known, _)| *known == step).map_or(0, |&(_, code)| code);
        self.bytes.push(line.chat.channel.code());
        for number in [line.at.0, line.chat.id, line.id, code] {
            self.number(number);
        }
        self.number(line.step.number());
    }

    fn knock(&mut self, knock: &Knock) {
        self.line(&knock.line);
        self.number(knock.guild.unwrap_or(0));
        self.number(knock.ruled_by);
        self.number(knock.author);
        self.text(&knock.name);
        self.text(&knock.place);
        self.bytes.extend_from_slice(&knock.bytes.to_le_bytes());
        self.bytes.extend_from_slice(&[knock.is_late.into(), knock.agent]);
    }
}

struct In<'a> {
    bytes: &'a [u8],
    codes: BTreeMap<u64, Step>,
    version: u8,
}

impl In<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(*taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take().map(|[byte]| byte)
    }

    fn number(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn count(&mut self) -> Option<usize> {
        self.take().map(|bytes| u16::from_le_bytes(bytes).into())
    }

    fn text(&mut self) -> Option<String> {
        let length = self.byte()?;
        let (taken, rest) = self.bytes.split_at_checked(length.into())?;
        self.bytes = rest;
        String::from_utf8(taken.to_vec()).ok()
    }

    /// `Some(None)` is a line that this version does not understand.
    #[allow(clippy::option_option, reason = "the end of the bytes is no unknown line")]
    fn line(&mut self) -> Option<Option<Line>> {
        let channel = ChannelKind::of_code(self.byte()?);
        let [at, chat, id, code] = [self.number()?, self.number()?, self.number()?, self.number()?];
        let number = if self.version == 1 { self.count()? as u64 } else { self.number()? };
        let step = self.codes.get(&code).map(|step| step.with_number(number));
        Some(channel.zip(step).map(|(channel, step)| {
            let chat = ChatId { channel, id: chat };
            Line { at: Wall(at), chat, id, step }
        }))
    }

    #[allow(clippy::option_option, reason = "the end of the bytes is no unknown line")]
    fn knock(&mut self) -> Option<Option<Knock>> {
        let line = self.line()?;
        let (guild, ruled_by, author) = (self.number()?, self.number()?, self.number()?);
        let (name, place) = (self.text()?, self.text()?);
        let bytes = u32::from_le_bytes(self.take()?);
        let [is_late, agent] = self.take()?;
        Some(line.map(|line| Knock {
            line,
            guild: Some(guild).filter(|&guild| guild != 0),
            ruled_by,
            author,
            name: text::truncate(&name, TRACE_NAME_BYTES_MAX).try_into().unwrap_or_default(),
            bytes,
            is_late: is_late != 0,
            place: place.as_str().try_into().unwrap_or_default(),
            agent,
        }))
    }
}
