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
use super::chat::ChannelKind;
use super::person::Person;
use super::reset::Why;
use super::session::{Key, Kind};
use super::turn::Room;
use crate::base::hash::fnv1a;
use crate::base::limits::{
    TRANSCRIPT_NAME_BYTES_MAX, TRANSCRIPT_OPEN_MAX, TRANSCRIPT_PEOPLE_MAX,
    TRANSCRIPT_RUN_BYTES_MAX, TRANSCRIPT_RUNS_DONE_MAX, TRANSCRIPT_SESSION_BYTES,
    TRANSCRIPT_SESSIONS_MAX, TRANSCRIPT_TEXT_BYTES_MAX,
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
    /// What was said before, in short: the line stands for those up to its `upto`.
    Summary,
}

impl Role {
    const ALL: [Role; 5] =
        [Role::User, Role::Assistant, Role::Failed, Role::Stopped, Role::Summary];

    fn code(self) -> u8 {
        match self {
            Role::User => 1,
            Role::Assistant => 2,
            Role::Failed => 3,
            Role::Stopped => 4,
            Role::Summary => 5,
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
    /// Its number in the session, from 1 on; 0 in what an older version wrote.
    pub seq: u32,
    /// What its author is called; empty if that is not known, or nobody's concern.
    pub name: Box<str>,
    /// Whose words are in it: who said it, or who is answered; of a summary, all who spoke.
    pub people: Vec<Person>,
    /// Of a summary, the number of the last line that it stands for.
    pub upto: u32,
}

impl Line {
    /// A line of these words, as many as are kept.
    #[must_use]
    pub fn new(at: Wall, role: Role, conversation: u32, words: &str) -> Line {
        let kept = text::truncate(words, TRANSCRIPT_TEXT_BYTES_MAX);
        let is_cut = kept.len() < words.len();
        let (run, text, name) = ("".into(), kept.into(), "".into());
        let (seq, people, upto) = (0, Vec::new(), 0);
        Line { at, role, conversation, run, text, is_cut, seq, name, people, upto }
    }

    /// The same, said by `person`, whom people call `name`.
    #[must_use]
    pub fn by(self, person: Person, name: &str) -> Line {
        let name = text::truncate(name, TRANSCRIPT_NAME_BYTES_MAX).into();
        Line { name, people: vec![person], ..self }
    }

    /// Whether it may have anybody's words, and nobody knows whose: a summary of many people's.
    #[must_use]
    pub fn is_of_anybody(&self) -> bool {
        self.role == Role::Summary && self.people.iter().any(|person| person.id == 0)
    }

    /// The same, in which these people's words are.
    #[must_use]
    pub fn about(self, mut people: Vec<Person>) -> Line {
        people.sort_unstable();
        people.dedup();
        people.truncate(TRANSCRIPT_PEOPLE_MAX);
        Line { people, ..self }
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

    /// Whether it is a session with `person` alone.
    #[must_use]
    pub fn is_of(&self, person: Person) -> bool {
        match self.key.kind() {
            Kind::Direct { channel, user, .. } | Kind::Member { channel, user, .. } => {
                Person { channel, id: user } == person
            }
            // Of several services: the room tells which.
            Kind::Peer { user } => Person { channel: self.chat.channel, id: user } == person,
            Kind::Main | Kind::Group { .. } | Kind::Cron { .. } | Kind::Other => false,
        }
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
    /// Another conversation begins in it.
    Begun(u32, Begun),
}

/// The beginning of a conversation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Begun {
    /// Its number in the session.
    pub conversation: u32,
    /// When.
    pub at: Wall,
    /// Why.
    pub why: Why,
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
                // What no older version could write is of a kind of its own.
                let kind = if line.seq == 0 && line.people.is_empty() { 2 } else { 5 };
                let mut bytes = begin(kind, *number);
                bytes.extend_from_slice(&before.to_le_bytes());
                bytes.extend_from_slice(&line.at.0.to_le_bytes());
                bytes.extend_from_slice(&line.conversation.to_le_bytes());
                bytes.extend_from_slice(&[line.role.code(), u8::from(line.is_cut)]);
                if kind == 5 {
                    line.encode_people(&mut bytes);
                }
                let run = text::truncate(&line.run, TRANSCRIPT_RUN_BYTES_MAX);
                let run_bytes = u16::try_from(run.len()).unwrap_or(0);
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
            Record::Begun(number, conversation) => {
                let mut bytes = begin(6, *number);
                bytes.extend(serde_json::to_vec(conversation).unwrap_or_default());
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
        Some(match kind {
            1 => Record::Session(number, serde_json::from_slice(rest).ok()?),
            2 | 5 => {
                let (before, rest) = rest.split_first_chunk()?;
                Record::Line(number, u64::from_le_bytes(*before), Line::decode(kind, rest)?)
            }
            3 if rest.is_empty() => Record::Forgotten(number),
            4 => Record::Again(number, std::str::from_utf8(rest).ok()?.into()),
            6 => Record::Begun(number, serde_json::from_slice(rest).ok()?),
            _ => return None,
        })
    }
}

impl Line {
    /// Number, `upto`, people and the author's name.
    fn encode_people(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.seq.to_le_bytes());
        bytes.extend_from_slice(&self.upto.to_le_bytes());
        let people = self.people.get(..TRANSCRIPT_PEOPLE_MAX).unwrap_or(&self.people);
        bytes.push(u8::try_from(people.len()).unwrap_or(0));
        for person in people {
            bytes.push(person.channel.code());
            bytes.extend_from_slice(&person.id.to_le_bytes());
        }
        let name = text::truncate(&self.name, TRANSCRIPT_NAME_BYTES_MAX);
        bytes.push(u8::try_from(name.len()).unwrap_or(0));
        bytes.extend_from_slice(name.as_bytes());
    }

    /// What stands behind the place of the line before in a record of this kind.
    fn decode(kind: u8, rest: &[u8]) -> Option<Line> {
        let text = |bytes| std::str::from_utf8(bytes).ok();
        let (at, rest) = rest.split_first_chunk()?;
        let (conversation, rest) = rest.split_first_chunk()?;
        let (&[role, is_cut], mut rest) = rest.split_first_chunk()?;
        let (mut seq, mut upto, mut people, mut name) = (0, 0, Vec::new(), "");
        if kind == 5 {
            let (number, more) = rest.split_first_chunk()?;
            let (last, more) = more.split_first_chunk()?;
            (seq, upto) = (u32::from_le_bytes(*number), u32::from_le_bytes(*last));
            let (&[count], mut more) = more.split_first_chunk()?;
            for _ in 0..count {
                let (&[channel], next) = more.split_first_chunk()?;
                let (id, next) = next.split_first_chunk()?;
                // Of a service that this version does not know nobody can be asked for.
                if let Some(channel) = ChannelKind::of_code(channel) {
                    people.push(Person { channel, id: u64::from_le_bytes(*id) });
                }
                more = next;
            }
            let (&[name_bytes], more) = more.split_first_chunk()?;
            let (called, more) = more.split_at_checked(name_bytes.into())?;
            (name, rest) = (text(called)?, more);
        }
        let (run_bytes, rest) = rest.split_first_chunk()?;
        let (run, words) = rest.split_at_checked(usize::from(u16::from_le_bytes(*run_bytes)))?;
        Some(Line {
            at: Wall(u64::from_le_bytes(*at)),
            role: Role::ALL.into_iter().find(|known| known.code() == role)?,
            conversation: u32::from_le_bytes(*conversation),
            run: text(run)?.into(),
            text: text(words)?.into(),
            is_cut: is_cut != 0,
            seq,
            name: name.into(),
            people,
            upto,
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
    /// The number of the last line.
    pub seq: u32,
    /// When its conversation began and why, if that was written down.
    pub begun: Option<Begun>,
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
            Some(Record::Begun(number, begun)) => {
                if let Some(session) = self.sessions.get_mut(&number) {
                    session.conversation = begun.conversation;
                    session.begun = Some(begun);
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
        let (conversation, last, seq, begun) = (0, 0, 0, None);
        let session =
            Session { header, updated, conversation, last, seq, begun, bytes: 0, touched };
        self.sessions.insert(number, session);
    }

    fn line(&mut self, place: u64, number: u32, line: &Line, bytes: u64) {
        let Some(session) = self.sessions.get_mut(&number) else { return };
        session.updated = line.at;
        session.conversation = line.conversation;
        session.bytes += bytes;
        (session.last, session.touched) = (place, place);
        session.seq = session.seq.max(line.seq);
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

    /// What each session is, by its number.
    pub fn headers(&self) -> impl Iterator<Item = (u32, Header)> {
        self.sessions.iter().map(|(&number, session)| (number, session.header.clone()))
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
        let begun = self.sessions.iter().filter_map(|(&number, s)| Some((number, s.begun?)));
        let (begun, without, next) = (begun.collect(), None, Index::default());
        Sieve { skip: skip.collect(), known, done, next, begun, without }
    }

    /// What leaves out all that is about `person`: their own sessions, what they have said, what
    /// they were answered, and each summary that they have a part in.
    #[must_use]
    pub fn without(&self, person: Person) -> Sieve {
        let mut sieve = self.sieve(u64::MAX);
        sieve.skip.clear();
        sieve.known.retain(|number| {
            self.sessions.get(number).is_some_and(|session| !session.header.is_of(person))
        });
        sieve.without = Some(person);
        sieve
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
    /// The beginnings that still count.
    begun: BTreeMap<u32, Begun>,
    /// Nothing that is about them stays.
    without: Option<Person>,
}

impl Sieve {
    /// Whether `record` stays. If it does, it will stand at `place`, and says of the line before
    /// it where that stands now.
    pub fn stays(&mut self, place: u64, record: &mut [u8]) -> bool {
        let decoded = Record::decode(record);
        let (number, is_line) = match &decoded {
            Some(Record::Session(number, _) | Record::Again(number, _)) => (*number, false),
            Some(Record::Begun(number, begun)) if self.begun.get(number) == Some(begun) => {
                (*number, false)
            }
            Some(Record::Line(number, ..)) => (*number, true),
            Some(Record::Begun(..) | Record::Forgotten(_)) | None => return false,
        };
        if let (Some(Record::Line(.., line)), Some(person)) = (&decoded, self.without)
            && (line.people.contains(&person) || line.is_of_anybody())
        {
            return false;
        }
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
