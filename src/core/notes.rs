//! What agents have noted, and who may see it: a person's notes only in turns that this person has
//! asked for, a chat's notes only in that chat and its threads, both only by the agent that made
//! them. What is said changes nothing about that: no question is looked at but for its words.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::chat::{ChannelKind, ChatId};
use crate::base::Wall;
use crate::base::limits::{
    NOTE_BYTES_MAX, NOTE_WORDS_MAX, NOTES_BYTES_MAX, NOTES_FOUND_MAX, NOTES_PER_OWNER_MAX,
};

/// Whose a note is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// A person's, on a chat service.
    Person(ChannelKind, u64),
    /// A chat's.
    Chat(ChatId),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::Person(channel, user) => write!(f, "{channel}:user:{user}"),
            Owner::Chat(chat) => write!(f, "{}:chat:{}", chat.channel, chat.id),
        }
    }
}

/// A note.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Note {
    /// Its number; a later one has a greater one.
    pub id: u64,
    /// The agent that made it.
    pub agent: Box<str>,
    /// Whose it is.
    pub owner: Owner,
    /// Who was being answered when it was made, on the service of its owner.
    pub by: u64,
    /// When.
    pub at: Wall,
    /// What it says.
    pub text: Box<str>,
}

/// What a log of notes is made of.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Record {
    Saved(Note),
    Forgotten(u64),
    /// Numbers up to this one were given, also to notes that are gone.
    Given(u64),
}

/// Who looks: an agent that answers somebody somewhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Eyes {
    /// The agent.
    pub agent: Box<str>,
    /// The chat; of a thread, the channel around it.
    pub chat: ChatId,
    /// The person, if it is one.
    pub person: Option<u64>,
}

impl Eyes {
    /// Whose notes they see.
    fn owners(&self) -> impl Iterator<Item = Owner> + use<> {
        let channel = self.chat.channel;
        let person = self.person.map(|user| Owner::Person(channel, user));
        person.into_iter().chain([Owner::Chat(self.chat)])
    }

    fn see(&self, note: &Note) -> bool {
        note.agent == self.agent && self.owners().any(|owner| owner == note.owner)
    }
}

/// Why something is not noted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// There is nothing in it.
    Empty,
    /// It is too long.
    Long,
    /// Its owner has as many notes as are kept.
    Many,
    /// All of them together are as large as is kept.
    Full,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Empty => f.write_str("there is nothing to be noted"),
            Refusal::Long => write!(f, "a note has {NOTE_BYTES_MAX} bytes at most"),
            Refusal::Many => {
                write!(
                    f,
                    "there are {NOTES_PER_OWNER_MAX} notes already: forget some of them first"
                )
            }
            Refusal::Full => f.write_str("there is no room for another note (`barnacle memory`)"),
        }
    }
}

/// All notes.
#[derive(Debug, Default)]
pub struct Notes {
    by_number: BTreeMap<u64, Note>,
    last: u64,
    bytes: usize,
    /// Records that another version has written.
    pub strange: u64,
}

impl Notes {
    /// Takes in a record of the log.
    pub fn take(&mut self, record: &[u8]) {
        match serde_json::from_slice(record) {
            Ok(Record::Saved(note)) => self.insert(note),
            Ok(Record::Forgotten(id)) => drop(self.remove(id)),
            Ok(Record::Given(id)) => self.last = self.last.max(id),
            Err(_) => self.strange += 1,
        }
    }

    fn insert(&mut self, note: Note) {
        self.remove(note.id);
        self.last = self.last.max(note.id);
        self.bytes += size(&note);
        self.by_number.insert(note.id, note);
    }

    fn remove(&mut self, id: u64) -> Option<Note> {
        let note = self.by_number.remove(&id)?;
        self.bytes -= size(&note);
        Some(note)
    }

    /// Notes `text` for `owner`, whom `eyes` see. The note, and its record if it is new: what is
    /// said twice is noted once.
    ///
    /// # Errors
    /// It is not noted.
    pub fn save(
        &mut self,
        eyes: &Eyes,
        owner: Owner,
        text: &str,
        at: Wall,
    ) -> Result<(Note, Option<Vec<u8>>), Refusal> {
        let text = text.trim();
        if text.is_empty() {
            return Err(Refusal::Empty);
        }
        if text.len() > NOTE_BYTES_MAX {
            return Err(Refusal::Long);
        }
        let own = || self.by_number.values().filter(|n| n.owner == owner && n.agent == eyes.agent);
        if let Some(known) = own().find(|note| *note.text == *text) {
            return Ok((known.clone(), None));
        }
        if own().count() >= NOTES_PER_OWNER_MAX {
            return Err(Refusal::Many);
        }
        let note = Note {
            id: self.last + 1,
            agent: eyes.agent.clone(),
            owner,
            by: eyes.person.unwrap_or_default(),
            at,
            text: text.into(),
        };
        if self.bytes + size(&note) > NOTES_BYTES_MAX {
            return Err(Refusal::Full);
        }
        let record = encode(&Record::Saved(note.clone()));
        self.insert(note.clone());
        Ok((note, Some(record)))
    }

    /// The notes that `eyes` see, those first that have most of the words of `query`, and of them
    /// the newest; without words, the newest.
    #[must_use]
    pub fn search(&self, eyes: &Eyes, query: &str) -> Vec<&Note> {
        let wanted: Vec<String> = words(query).take(NOTE_WORDS_MAX).collect();
        let seen = self.by_number.values().filter(|note| eyes.see(note));
        let mut found: Vec<(u32, &Note)> = seen
            .map(|note| (score(&wanted, &note.text), note))
            .filter(|(score, _)| wanted.is_empty() || *score > 0)
            .collect();
        found.sort_by_key(|(score, note)| std::cmp::Reverse((*score, note.id)));
        found.into_iter().take(NOTES_FOUND_MAX).map(|(_, note)| note).collect()
    }

    /// Forgets the note `id` if `eyes` see it; its record.
    pub fn forget(&mut self, eyes: &Eyes, id: u64) -> Option<Vec<u8>> {
        self.by_number.get(&id).filter(|note| eyes.see(note))?;
        self.remove(id);
        Some(encode(&Record::Forgotten(id)))
    }

    /// Forgets all that `is_meant`; their records.
    pub fn forget_all(&mut self, is_meant: impl Fn(&Note) -> bool) -> Vec<Vec<u8>> {
        let ids: Vec<u64> = self.by_number.values().filter(|n| is_meant(n)).map(|n| n.id).collect();
        for &id in &ids {
            self.remove(id);
        }
        ids.into_iter().map(|id| encode(&Record::Forgotten(id))).collect()
    }

    /// All of them, the oldest first.
    pub fn all(&self) -> impl Iterator<Item = &Note> {
        self.by_number.values()
    }

    /// A log that says all of it.
    #[must_use]
    pub fn records(&self) -> Vec<Vec<u8>> {
        let given = encode(&Record::Given(self.last));
        let saved = self.by_number.values().map(|note| encode(&Record::Saved(note.clone())));
        std::iter::once(given).chain(saved).collect()
    }
}

fn encode(record: &Record) -> Vec<u8> {
    serde_json::to_vec(record).unwrap_or_default()
}

/// What a note takes in memory and on disk, about.
fn size(note: &Note) -> usize {
    note.text.len() + note.agent.len() + 128
}

/// Whether a note is about this person: theirs, or one that they have had made in a chat.
#[must_use]
pub fn is_of_person(note: &Note, channel: ChannelKind, user: u64) -> bool {
    match note.owner {
        Owner::Person(on, of) => (on, of) == (channel, user),
        Owner::Chat(chat) => (chat.channel, note.by) == (channel, user),
    }
}

/// How well a text has the words: those that are in it count more than those that begin one.
fn score(wanted: &[String], text: &str) -> u32 {
    let has: Vec<String> = words(text).collect();
    let worth = |word: &String| {
        if has.contains(word) {
            return 4;
        }
        let is_long = word.chars().count() > 2;
        u32::from(is_long && has.iter().any(|known| known.starts_with(word.as_str())))
    };
    wanted.iter().map(worth).sum()
}

/// The words of a text, in small letters and without their marks.
fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let parts = text.split(|c: char| !c.is_alphanumeric() && !is_mark(c));
    parts.map(fold).filter(|word| !word.is_empty())
}

fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// `text` as somebody types it who has not the letters: `Żółw` is `zolw`, `Straße` is `strasse`.
fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    for c in text.chars().filter(|&c| !is_mark(c)).flat_map(char::to_lowercase) {
        let plain = match c {
            'à'..='å' | 'ā' | 'ă' | 'ą' | 'ǎ' => "a",
            'ç' | 'ć' | 'ĉ' | 'ċ' | 'č' => "c",
            'ď' | 'đ' | 'ð' => "d",
            'è'..='ë' | 'ē' | 'ĕ' | 'ė' | 'ę' | 'ě' => "e",
            'ĝ' | 'ğ' | 'ġ' | 'ģ' => "g",
            'ĥ' | 'ħ' => "h",
            'ì'..='ï' | 'ĩ' | 'ī' | 'ĭ' | 'į' | 'ı' => "i",
            'ĵ' => "j",
            'ķ' => "k",
            'ĺ' | 'ļ' | 'ľ' | 'ŀ' | 'ł' => "l",
            'ñ' | 'ń' | 'ņ' | 'ň' => "n",
            'ò'..='ö' | 'ø' | 'ō' | 'ŏ' | 'ő' => "o",
            'ŕ' | 'ŗ' | 'ř' => "r",
            'ś' | 'ŝ' | 'ş' | 'š' | 'ș' => "s",
            'ţ' | 'ť' | 'ŧ' | 'ț' => "t",
            'ù'..='ü' | 'ũ' | 'ū' | 'ŭ' | 'ů' | 'ű' | 'ų' => "u",
            'ŵ' => "w",
            'ý' | 'ÿ' | 'ŷ' => "y",
            'ź' | 'ż' | 'ž' => "z",
            'ß' => "ss",
            'æ' => "ae",
            'œ' => "oe",
            'þ' => "th",
            c if is_mark(c) => "",
            c => {
                folded.push(c);
                continue;
            }
        };
        folded.push_str(plain);
    }
    folded
}

#[cfg(test)]
mod tests;
