//! What was asked and answered, as records of one log for all sessions, and the little that is
//! remembered of each session in memory.
//!
//! The words stay on the disk. Each line of a session knows the place of the line before it, so
//! that the end of a session is read backwards without an index of lines. A record that cannot be
//! read, or a place that holds something else, ends the reading there: what is told is short then,
//! and never another's.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::answer::{Act, Answer};
use super::session::Key;
use super::turn::Room;
use crate::base::hash::fnv1a;
use crate::base::limits::{
    TRANSCRIPT_NAME_BYTES_MAX, TRANSCRIPT_OPEN_MAX, TRANSCRIPT_RUN_BYTES_MAX,
    TRANSCRIPT_RUNS_DONE_MAX, TRANSCRIPT_SESSION_BYTES, TRANSCRIPT_SESSIONS_MAX,
    TRANSCRIPT_TEXT_BYTES_MAX,
};
use crate::base::ring::Ring;
use crate::base::{Wall, text};

const VERSION: u8 = 1;

/// Who says a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The person, or the program, that asks.
    User,
    /// The agent.
    Assistant,
    /// The agent gave no answer; the line says why.
    Failed,
    /// Somebody has ended the turn.
    Stopped,
}

impl Role {
    const ALL: [Role; 4] = [Role::User, Role::Assistant, Role::Failed, Role::Stopped];

    fn code(self) -> u8 {
        match self {
            Role::User => 1,
            Role::Assistant => 2,
            Role::Failed => 3,
            Role::Stopped => 4,
        }
    }
}

/// One line of a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// When it was said.
    pub at: Wall,
    /// By whom.
    pub role: Role,
    /// In which of the chat's conversations.
    pub conversation: u32,
    /// The run that it is of; empty for what came by a chat service.
    pub run: Box<str>,
    /// The words.
    pub text: Box<str>,
    /// Whether there were more.
    pub is_cut: bool,
}

impl Line {
    /// A line of these words, as many as are kept.
    #[must_use]
    pub fn new(at: Wall, role: Role, conversation: u32, words: &str) -> Line {
        let kept = text::truncate(words, TRANSCRIPT_TEXT_BYTES_MAX);
        let is_cut = kept.len() < words.len();
        Line { at, role, conversation, run: "".into(), text: kept.into(), is_cut }
    }

    /// The same, of this run.
    #[must_use]
    pub fn of_run(self, run: &str) -> Line {
        Line { run: text::truncate(run, TRANSCRIPT_RUN_BYTES_MAX).into(), ..self }
    }
}

/// What an answer says, with the names of its files.
#[must_use]
pub fn words(answer: &Answer) -> String {
    let mut words = answer.words();
    for act in &answer.acts {
        let Act::Say { files, .. } = act else { continue };
        for file in files {
            let line_end = if words.is_empty() { "" } else { "\n" };
            let _ = write!(words, "{line_end}[{}]", file.name);
        }
    }
    words
}

/// What a session is, as it is written down once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Header {
    /// Its key.
    pub key: Key,
    /// The account of its room.
    pub account: Box<str>,
    /// The chat.
    pub chat: super::chat::ChatId,
    /// What people call it; may be empty.
    pub name: Box<str>,
}

impl Header {
    /// Of the session `key`, which takes its turns in `room`.
    #[must_use]
    pub fn new(key: Key, room: &Room, name: &str) -> Header {
        let name = text::truncate(name, TRANSCRIPT_NAME_BYTES_MAX).into();
        Header { key, account: room.account.clone(), chat: room.chat, name }
    }

    /// Where its turns are taken.
    #[must_use]
    pub fn room(&self) -> Room {
        Room { account: self.account.clone(), chat: self.chat }
    }
}

/// One record of the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Record {
    /// This number means this session from here on.
    Session(u32, Header),
    /// A line of it, and the place of the line before; 0 if there is none.
    Line(u32, u64, Line),
    /// It is forgotten, with all its lines.
    Forgotten(u32),
    /// The turn of this run, which was cut short, was begun once more.
    Again(u32, Box<str>),
}

/// Where the place of the line before stands in a line's record.
const BEFORE: std::ops::Range<usize> = 6..14;

impl Record {
    /// Its bytes: version, kind, number, and what the kind has; numbers are little-endian.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let begin = |kind: u8, number: u32| {
            let mut bytes = vec![VERSION, kind];
            bytes.extend_from_slice(&number.to_le_bytes());
            bytes
        };
        match self {
            Record::Session(number, header) => {
                let mut bytes = begin(1, *number);
                // Texts and numbers can always be written.
                bytes.extend(serde_json::to_vec(header).unwrap_or_default());
                bytes
            }
            Record::Line(number, before, line) => {
                let mut bytes = begin(2, *number);
                bytes.extend_from_slice(&before.to_le_bytes());
                bytes.extend_from_slice(&line.at.0.to_le_bytes());
                bytes.extend_from_slice(&line.conversation.to_le_bytes());
                let run = text::truncate(&line.run, TRANSCRIPT_RUN_BYTES_MAX);
                let run_bytes = u16::try_from(run.len()).unwrap_or(0);
                bytes.extend_from_slice(&[line.role.code(), u8::from(line.is_cut)]);
                bytes.extend_from_slice(&run_bytes.to_le_bytes());
                bytes.extend_from_slice(run.as_bytes());
                bytes.extend_from_slice(line.text.as_bytes());
                bytes
            }
            Record::Forgotten(number) => begin(3, *number),
            Record::Again(number, run) => {
                let mut bytes = begin(4, *number);
                bytes.extend_from_slice(run.as_bytes());
                bytes
            }
        }
    }

    /// Reads what [`encode`](Record::encode) wrote; `None` if it is something else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Record> {
        let (&[version, kind], rest) = bytes.split_first_chunk()?;
        let (number, rest) = rest.split_first_chunk()?;
        let number = u32::from_le_bytes(*number);
        if version != VERSION {
            return None;
        }
        let text = |bytes| std::str::from_utf8(bytes).ok();
        Some(match kind {
            1 => Record::Session(number, serde_json::from_slice(rest).ok()?),
            2 => {
                let (before, rest) = rest.split_first_chunk()?;
                let (at, rest) = rest.split_first_chunk()?;
                let (conversation, rest) = rest.split_first_chunk()?;
                let (&[role, is_cut], rest) = rest.split_first_chunk()?;
                let (run_bytes, rest) = rest.split_first_chunk()?;
                let (run, words) =
                    rest.split_at_checked(usize::from(u16::from_le_bytes(*run_bytes)))?;
                let line = Line {
                    at: Wall(u64::from_le_bytes(*at)),
                    role: Role::ALL.into_iter().find(|known| known.code() == role)?,
                    conversation: u32::from_le_bytes(*conversation),
                    run: text(run)?.into(),
                    text: text(words)?.into(),
                    is_cut: is_cut != 0,
                };
                Record::Line(number, u64::from_le_bytes(*before), line)
            }
            3 if rest.is_empty() => Record::Forgotten(number),
            4 => Record::Again(number, text(rest)?.into()),
            _ => return None,
        })
    }
}

/// What is remembered of a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    /// What it is.
    pub header: Header,
    /// When the last line was said.
    pub updated: Wall,
    /// The conversation that the last line is of.
    pub conversation: u32,
    /// The place of the last line; 0 if there is none.
    pub last: u64,
    /// The bytes of its lines' records.
    bytes: u64,
    /// The place of what was last written of it: its age.
    touched: u64,
}

/// A run that has no end yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Open {
    /// Its session.
    pub number: u32,
    /// Where its question stands.
    pub place: u64,
    /// How often its turn was begun once more.
    pub again: u8,
}

/// All sessions; see the module.
#[derive(Clone, Debug, Default)]
pub struct Index {
    sessions: BTreeMap<u32, Session>,
    /// The number that the next session gets.
    next: u32,
    open: BTreeMap<Box<str>, Open>,
    /// The last runs that have ended, by their hash.
    done: Box<Ring<u64, TRANSCRIPT_RUNS_DONE_MAX>>,
    /// Records that could not be read.
    pub strange: u64,
}

impl Index {
    /// Takes in the record that stands at `place`.
    pub fn take(&mut self, place: u64, record: &[u8]) {
        let bytes = record.len() as u64;
        match Record::decode(record) {
            Some(Record::Session(number, header)) => self.session(place, number, header),
            Some(Record::Line(number, _, line)) => self.line(place, number, &line, bytes),
            Some(Record::Forgotten(number)) => self.forget(number),
            Some(Record::Again(_, run)) => {
                if let Some(open) = self.open.get_mut(&run) {
                    open.again = open.again.saturating_add(1);
                }
            }
            None => self.strange += 1,
        }
    }

    fn session(&mut self, place: u64, number: u32, header: Header) {
        self.next = self.next.max(number.saturating_add(1));
        if let Some(session) = self.sessions.get_mut(&number) {
            session.header = header;
            return;
        }
        if self.sessions.len() >= TRANSCRIPT_SESSIONS_MAX {
            let oldest = self.sessions.iter().min_by_key(|(_, session)| session.touched);
            if let Some((&oldest, _)) = oldest {
                self.forget(oldest);
            }
        }
        let (updated, touched) = (Wall(0), place);
        let session = Session { header, updated, conversation: 0, last: 0, bytes: 0, touched };
        self.sessions.insert(number, session);
    }

    fn line(&mut self, place: u64, number: u32, line: &Line, bytes: u64) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        session.updated = line.at;
        session.conversation = line.conversation;
        session.bytes += bytes;
        (session.last, session.touched) = (place, place);
        if line.run.is_empty() {
            return;
        }
        if line.role == Role::User {
            if self.open.len() < TRANSCRIPT_OPEN_MAX {
                self.open.insert(line.run.clone(), Open { number, place, again: 0 });
            }
        } else {
            self.open.remove(&line.run);
            self.done.push(fnv1a(line.run.bytes()));
        }
    }

    fn forget(&mut self, number: u32) {
        self.sessions.remove(&number);
        self.open.retain(|_, open| open.number != number);
    }

    /// The session with this key, and its number.
    #[must_use]
    pub fn find(&self, key: &Key) -> Option<(u32, &Session)> {
        let found = self.sessions.iter().find(|(_, session)| session.header.key == *key);
        found.map(|(&number, session)| (number, session))
    }

    /// The session with this number.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<&Session> {
        self.sessions.get(&number)
    }

    /// All sessions, the one that spoke last first.
    #[must_use]
    pub fn sessions(&self) -> Vec<&Session> {
        let mut all: Vec<&Session> = self.sessions.values().collect();
        all.sort_by_key(|session| std::cmp::Reverse(session.touched));
        all
    }

    /// The number that a session gets which is not known yet.
    #[must_use]
    pub fn next_number(&self) -> u32 {
        self.next
    }

    /// The runs that have no end yet.
    pub fn open(&self) -> impl Iterator<Item = (&str, Open)> {
        self.open.iter().map(|(run, &open)| (&**run, open))
    }

    /// Whether a run of this name has ended, as far as is remembered.
    #[must_use]
    pub fn is_done(&self, run: &str) -> bool {
        let hash = fnv1a(run.bytes());
        self.done.iter().any(|&done| done == hash)
    }

    /// What makes the log short: of each session the last lines stay, and of all together at most
    /// `bytes_max` bytes. Who has said little loses nothing to those who say much.
    #[must_use]
    pub fn sieve(&self, bytes_max: u64) -> Sieve {
        let mut share = TRANSCRIPT_SESSION_BYTES;
        let all = |share: u64| -> u64 { self.sessions.values().map(|s| s.bytes.min(share)).sum() };
        while share > 1 && all(share) > bytes_max {
            share /= 2;
        }
        let skip = self.sessions.iter().map(|(&number, s)| (number, s.bytes.saturating_sub(share)));
        let known = self.sessions.keys().copied().collect();
        let done = self.done.clone();
        Sieve { skip: skip.collect(), known, done, next: Index::default() }
    }
}

/// Decides record by record what stays in a log that is made short.
#[derive(Debug)]
pub struct Sieve {
    /// Bytes of each session that are still to be left out.
    skip: BTreeMap<u32, u64>,
    known: BTreeSet<u32>,
    done: Box<Ring<u64, TRANSCRIPT_RUNS_DONE_MAX>>,
    next: Index,
}

impl Sieve {
    /// Whether `record` stays. If it does, it will stand at `place`, and says of the line before
    /// it where that stands now.
    pub fn stays(&mut self, place: u64, record: &mut [u8]) -> bool {
        let (number, is_line) = match Record::decode(record) {
            Some(Record::Session(number, _) | Record::Again(number, _)) => (number, false),
            Some(Record::Line(number, ..)) => (number, true),
            Some(Record::Forgotten(_)) | None => return false,
        };
        if !self.known.contains(&number) {
            return false;
        }
        if is_line {
            let skip = self.skip.entry(number).or_insert(0);
            if *skip > 0 {
                *skip = skip.saturating_sub(record.len() as u64);
                return false;
            }
            let last = self.next.get(number).map_or(0, |session| session.last);
            if let Some(before) = record.get_mut(BEFORE) {
                before.copy_from_slice(&last.to_le_bytes());
            }
        }
        self.next.take(place, record);
        true
    }

    /// The index of what stayed.
    #[must_use]
    pub fn index(self) -> Index {
        Index { done: self.done, ..self.next }
    }
}

#[cfg(test)]
mod tests;
