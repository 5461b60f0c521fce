//! How a stranger is let in: they write, get a code, and somebody who looks after the bot approves
//! that code.
//!
//! What must outlive the process comes out as a [`Record`] for the owner's log, and
//! [`replay`](Pairing::replay) takes it in again. There are few: a record is made when a code is
//! given, and of these only so many can wait; and when somebody is approved or sent away.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::chat::ChatId;
use crate::base::limits::{
    PAIRED_MAX, PAIRING_AGAIN, PAIRING_CODE_CHARS, PAIRING_GUESSES_MAX, PAIRING_GUESSES_PERIOD,
    PAIRING_PENDING_MAX, PAIRING_TTL, TRACE_NAME_BYTES_MAX,
};
use crate::base::{Wall, text};

/// Digits and capital letters without those that are taken for others (I, O, 0, 1).
const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// What a stranger is asked to pass on.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Code(heapless::String<PAIRING_CODE_CHARS>);

impl Code {
    /// The code that `chance` gives: 40 bits of it are used.
    #[must_use]
    pub fn of(chance: u64) -> Code {
        let five = |at: usize| u8::try_from((chance >> (at * 5)) & 31).unwrap_or(0);
        let letter = |at| char::from(ALPHABET[usize::from(five(at))]);
        Code((0..PAIRING_CODE_CHARS).map(letter).collect())
    }

    /// What somebody typed, if it has the form of a code: case, spaces and dashes do not matter.
    #[must_use]
    pub fn typed(text: &str) -> Option<Code> {
        let mut code = heapless::String::new();
        for c in text.chars().filter(|c| !c.is_whitespace() && *c != '-') {
            let c = c.to_ascii_uppercase();
            let is_one = u8::try_from(c).is_ok_and(|byte| ALPHABET.contains(&byte));
            is_one.then_some(())?;
            code.push(c).ok()?;
        }
        (code.len() == PAIRING_CODE_CHARS).then_some(Code(code))
    }

    /// Its letters, for those who compare them in their own way.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Somebody who waits to be let in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pending {
    /// The code.
    pub code: Code,
    /// Who.
    pub author: u64,
    /// What they are called.
    pub name: Box<str>,
    /// Where they wrote.
    pub chat: ChatId,
    /// Since when.
    pub since: Wall,
}

/// Somebody who was let in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Paired {
    /// Who.
    pub author: u64,
    /// What they were called.
    pub name: Box<str>,
    /// Where they wrote.
    pub chat: ChatId,
    /// Since when.
    pub since: Wall,
}

/// What must outlive the process.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Record {
    /// A code was given.
    Asked(Pending),
    /// Somebody was let in.
    Approved(Paired),
    /// Somebody was sent away.
    Revoked {
        /// Who.
        author: u64,
    },
}

/// What to tell somebody who is not on the list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// A code.
    Code {
        /// It.
        code: Code,
        /// To be kept, if it is a new one.
        record: Option<Record>,
    },
    /// That too many others are waiting.
    Full,
    /// Nothing: they were told a moment ago.
    Nothing,
}

/// Why a code was not approved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrong {
    /// It has not the form of one.
    Malformed,
    /// Nobody has it.
    Unknown,
    /// It was right, but is too old.
    Expired,
    /// Too many wrong ones came.
    TooMany,
    /// So many people are paired that there is no room.
    Full,
}

/// The sentence for people.
impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wrong::Malformed => {
                "that is no code: it has 8 letters and digits, without I, O, 0 and 1"
            }
            Wrong::Unknown => {
                "nobody waits with that code: codes hold for an hour, see `barnacle pairing list`"
            }
            Wrong::Expired => {
                "that code is more than an hour old: whoever has it gets another by writing again"
            }
            Wrong::TooMany => "too many wrong codes: try again in ten minutes",
            Wrong::Full => {
                "too many people are paired: send one away with `barnacle pairing revoke`"
            }
        })
    }
}

/// Who was let in, and who waits, in one account.
#[derive(Clone, Debug, Default)]
pub struct Pairing {
    paired: BTreeMap<u64, Paired>,
    pending: Vec<Waiting>,
    /// When a stranger was last told that there is no room.
    full_told: Option<Wall>,
    /// When the first of the wrong codes came that count, and how many.
    wrong: (Wall, u32),
    counts: Counts,
}

/// What was counted since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Codes given.
    pub codes: u64,
    /// Strangers' messages for whom no code was left.
    pub full: u64,
    /// Codes that were wrong.
    pub wrong: u64,
}

#[derive(Clone, Debug)]
struct Waiting {
    pending: Pending,
    told: Option<Wall>,
}

impl Pairing {
    /// Whether `author` was let in.
    #[must_use]
    pub fn is_paired(&self, author: u64) -> bool {
        self.paired.contains_key(&author)
    }

    /// Somebody who is not on the list wrote at `now`. `chance` makes the code.
    pub fn knock(&mut self, now: Wall, who: (u64, &str), chat: ChatId, chance: u64) -> Told {
        let (author, name) = who;
        self.forget_expired(now);
        if let Some(waiting) = self.pending.iter_mut().find(|w| w.pending.author == author) {
            if !is_due(waiting.told, now) {
                return Told::Nothing;
            }
            waiting.told = Some(now);
            return Told::Code { code: waiting.pending.code.clone(), record: None };
        }
        if self.pending.len() >= PAIRING_PENDING_MAX {
            self.counts.full += 1;
            if !is_due(self.full_told, now) {
                return Told::Nothing;
            }
            self.full_told = Some(now);
            return Told::Full;
        }
        let mut chance = chance;
        let mut code = Code::of(chance);
        while self.pending.iter().any(|waiting| waiting.pending.code == code) {
            chance = chance.wrapping_add(1);
            code = Code::of(chance);
        }
        self.counts.codes += 1;
        let name = text::truncate(name, TRACE_NAME_BYTES_MAX).into();
        let pending = Pending { code: code.clone(), author, name, chat, since: now };
        self.pending.push(Waiting { pending: pending.clone(), told: Some(now) });
        Told::Code { code, record: Some(Record::Asked(pending)) }
    }

    /// Lets in whoever has the code that somebody typed.
    ///
    /// # Errors
    /// Nobody is let in.
    pub fn approve(&mut self, now: Wall, typed: &str) -> Result<Paired, Wrong> {
        let (since, count) = self.wrong;
        // A clock that was set back forgives them as well.
        if now < since || now.since(since) >= PAIRING_GUESSES_PERIOD {
            self.wrong = (now, 0);
        } else if count >= PAIRING_GUESSES_MAX {
            return Err(Wrong::TooMany);
        }
        let code = Code::typed(typed);
        let at =
            self.pending.iter().position(|waiting| Some(&waiting.pending.code) == code.as_ref());
        let found = at.map(|at| &self.pending[at].pending);
        let wrong = match found {
            None if code.is_none() => Wrong::Malformed,
            None => Wrong::Unknown,
            Some(pending) if is_expired(pending, now) => Wrong::Expired,
            Some(pending) if self.paired.len() >= PAIRED_MAX && !self.is_paired(pending.author) => {
                return Err(Wrong::Full);
            }
            Some(_) => {
                let Pending { author, name, chat, .. } =
                    self.pending.swap_remove(at.unwrap_or_default()).pending;
                let paired = Paired { author, name, chat, since: now };
                self.paired.insert(author, paired.clone());
                return Ok(paired);
            }
        };
        self.counts.wrong += 1;
        self.wrong.1 += 1;
        Err(wrong)
    }

    /// Sends `author` away: paired or waiting. `None` if they were neither.
    pub fn revoke(&mut self, author: u64) -> Option<Record> {
        let was_paired = self.paired.remove(&author).is_some();
        let waited = self.pending.len();
        self.pending.retain(|waiting| waiting.pending.author != author);
        (was_paired || self.pending.len() < waited).then_some(Record::Revoked { author })
    }

    /// Takes in what an earlier life kept, the oldest first.
    pub fn replay(&mut self, record: Record) {
        match record {
            Record::Asked(pending) => {
                self.pending.retain(|waiting| waiting.pending.author != pending.author);
                // The oldest has run out, or there would not have been room.
                if self.pending.len() >= PAIRING_PENDING_MAX {
                    self.pending.remove(0);
                }
                self.pending.push(Waiting { pending, told: None });
            }
            Record::Approved(paired) => {
                self.pending.retain(|waiting| waiting.pending.author != paired.author);
                if self.paired.len() < PAIRED_MAX || self.is_paired(paired.author) {
                    self.paired.insert(paired.author, paired);
                }
            }
            Record::Revoked { author } => drop(self.revoke(author)),
        }
    }

    /// All that must be kept: what a log made short again holds.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        let paired = self.paired.values().cloned().map(Record::Approved);
        let pending = self.pending.iter().map(|waiting| Record::Asked(waiting.pending.clone()));
        paired.chain(pending).collect()
    }

    /// Who waits, the first first.
    pub fn pending(&self, now: Wall) -> impl Iterator<Item = &Pending> {
        let all = self.pending.iter().map(|waiting| &waiting.pending);
        all.filter(move |pending| !is_expired(pending, now))
    }

    /// Who was let in.
    pub fn paired(&self) -> impl Iterator<Item = &Paired> {
        self.paired.values()
    }

    /// What was counted since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Codes that have run out make room for others.
    fn forget_expired(&mut self, now: Wall) {
        self.pending.retain(|waiting| !is_expired(&waiting.pending, now));
    }
}

/// Whether it has run out. One from the future was given before the clock was set back; it runs
/// out too.
fn is_expired(pending: &Pending, now: Wall) -> bool {
    now.since(pending.since) >= PAIRING_TTL || pending.since.since(now) >= PAIRING_TTL
}

/// Whether somebody may be told again.
fn is_due(told: Option<Wall>, now: Wall) -> bool {
    told.is_none_or(|told| now < told || now.since(told) >= PAIRING_AGAIN)
}

#[cfg(test)]
mod tests;
