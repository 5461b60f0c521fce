//! What the files of an account have of a person, to be told or to be left out.
//!
//! Files are written anew only while the account does not run: it has what is in them in memory.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{journal, pairing};
use crate::base::{Wall, limits};
use crate::core::chat::ChatId;
use crate::core::intent::Memory;
use crate::core::journal::Entry;
use crate::core::outbox::{ItemId, Origin};
use crate::core::trace::Trace;
use crate::rt::store::{Cell, Content, Durability, StoreError, look, rewrite};

/// The endings of an account's files that have anything of a person.
pub(crate) const FILES: [&str; 5] = ["messages", "paired", "trail", "answered", "intent"];

/// Where an account's files are.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    hot: Option<PathBuf>,
    state: PathBuf,
    stem: String,
}

/// How much of an account's files was left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Gone {
    /// Records of messages on their way, and of what was answered.
    pub(crate) messages: u64,
    /// Lines of the list of the paired.
    pub(crate) pairing: u64,
    /// Messages of the decision trail.
    pub(crate) trail: u64,
}

/// What of a journal is about a person.
#[derive(Default)]
struct Theirs {
    messages: BTreeSet<(ChatId, u64)>,
    /// The chats with them alone.
    chats: BTreeSet<u64>,
}

impl Files {
    /// In these directories, the names beginning with `stem`.
    pub(crate) fn new(hot: Option<&Path>, state: &Path, stem: &str) -> Files {
        Files { hot: hot.map(Path::to_owned), state: state.to_owned(), stem: stem.to_owned() }
    }

    /// What they have of the person with this number; `chats` are known to be with them alone.
    pub(crate) fn about(&self, person: u64, chats: &BTreeSet<u64>) -> Value {
        let theirs = self.theirs(person, chats);
        let mut waiting = Vec::new();
        let _ =
            look(
                &self.state,
                &self.name("messages"),
                journal::BOUNDS,
                |record| match Entry::decode(record) {
                    Some(Entry::Admitted(request)) if request.author == person => {
                        waiting.push(json!({ "said": &*request }));
                    }
                    Some(Entry::Out(item)) if theirs.has(item.id) => {
                        let (chat, message) = (item.id.chat.id, item.id.answers());
                        let units: Vec<String> =
                            item.units.iter().map(|unit| format!("{unit:?}")).collect();
                        waiting.push(json!({
                            "chat": chat.to_string(),
                            "answers": message.map(|id| id.to_string()),
                            "parts": units,
                        }));
                    }
                    _ => {}
                },
            );
        let mut pairing = Vec::new();
        let _ = look(&self.state, &self.name("paired"), pairing::BOUNDS, |record| {
            let record: Option<Value> = serde_json::from_slice(record).ok();
            pairing.extend(record.filter(|record| has_author(record, person)));
        });
        let mut trail = Vec::new();
        for cell in self.trails() {
            let Some((_, trace)) = read(&cell) else { continue };
            trail = trace.knocks().filter(|knock| knock.author == person).map(knock).collect();
            if !trail.is_empty() {
                break;
            }
        }
        json!({ "messages": waiting, "pairing": pairing, "trail": trail })
    }

    /// Writes them anew without the person. It blocks.
    ///
    /// # Errors
    /// Something of them may still be there.
    pub(crate) fn forget(&self, person: u64, chats: &BTreeSet<u64>) -> Result<Gone, StoreError> {
        let theirs = self.theirs(person, chats);
        let name = self.name("messages");
        let messages = rewrite(&self.state, &name, journal::BOUNDS, |record| {
            match Entry::decode(record) {
                // That it is over stays: it must not be answered once more.
                Some(Entry::Admitted(request)) if request.author == person => {
                    let origin = Origin::Reply(request.id);
                    Some(Entry::Settled(ItemId { chat: request.chat, origin }).encode())
                }
                Some(Entry::Admitted(mut request))
                    if !request.context.is_empty() || !request.along.is_empty() =>
                {
                    // What was overheard is known by the names of people, which change.
                    request.context.clear();
                    request.along.retain(|along| along.author != person);
                    Some(Entry::Admitted(request).encode())
                }
                Some(Entry::Begun(chat, id) | Entry::Refused(chat, id)) => {
                    (!theirs.has_message(chat, id)).then(|| record.to_vec())
                }
                Some(Entry::Out(item)) => (!theirs.has(item.id)).then(|| record.to_vec()),
                Some(Entry::Arrived { id, .. }) => (!theirs.has(id)).then(|| record.to_vec()),
                _ => Some(record.to_vec()),
            }
        })?;
        let name = self.name("paired");
        let pairing = rewrite(&self.state, &name, pairing::BOUNDS, |record| {
            let read: Option<Value> = serde_json::from_slice(record).ok();
            // One that nobody can read may be theirs.
            let is_other = read.is_some_and(|record| !has_author(&record, person));
            is_other.then(|| record.to_vec())
        })?;
        let mut trail = 0;
        for cell in self.trails() {
            let Some((stamp, mut trace)) = read(&cell) else { continue };
            let gone = trace.forget(person);
            if gone > 0 {
                let bytes = [&stamp[..], &trace.encode()].concat();
                cell.write(&bytes, Durability::Disk)?;
            }
            trail = trail.max(gone);
        }
        self.forget_talk(person)?;
        Ok(Gone { messages, pairing, trail })
    }

    /// What was said lately, as far as it tells for whom the next message is, is forgotten as a
    /// whole where the person has a part in it; what people think of our judging stays.
    fn forget_talk(&self, person: u64) -> Result<(), StoreError> {
        let name = self.name("intent");
        for dir in self.hot.iter().chain([&self.state]) {
            let cell = Cell::new(dir, &name, limits::INTENT_KEPT_BYTES_MAX);
            let Ok(Content::Whole(bytes)) = cell.read() else { continue };
            let has_them = |bytes: &[u8]| {
                let number = person.to_le_bytes();
                bytes.windows(number.len()).any(|part| part == number)
            };
            if !has_them(&bytes) {
                continue;
            }
            let mut memory = Memory::default();
            let (stamp, rest) = bytes.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
            memory.restore(rest);
            memory.forget_talk();
            let left = memory.encode(Wall(u64::from_le_bytes(*stamp)));
            // Whatever else they have a part in goes as a whole, too.
            let left = if has_them(&left) { &[][..] } else { &left };
            cell.write(&[&stamp[..], left].concat(), Durability::Disk)?;
        }
        Ok(())
    }

    fn name(&self, ending: &str) -> String {
        format!("{}.{ending}", self.stem)
    }

    fn trails(&self) -> impl Iterator<Item = Cell> {
        let dirs = self.hot.iter().chain([&self.state]);
        let name = self.name("trail");
        dirs.map(move |dir| Cell::new(dir, &name, limits::TRACE_BYTES_MAX))
    }

    fn theirs(&self, person: u64, chats: &BTreeSet<u64>) -> Theirs {
        let mut theirs = Theirs { chats: chats.clone(), ..Theirs::default() };
        let _ = look(&self.state, &self.name("messages"), journal::BOUNDS, |record| {
            if let Some(Entry::Admitted(request)) = Entry::decode(record)
                && request.author == person
            {
                theirs.messages.insert((request.chat, request.id));
                if request.guild.is_none() {
                    theirs.chats.insert(request.chat.id);
                }
            }
        });
        theirs
    }
}

impl Theirs {
    fn has_message(&self, chat: ChatId, id: u64) -> bool {
        self.chats.contains(&chat.id) || self.messages.contains(&(chat, id))
    }

    fn has(&self, id: ItemId) -> bool {
        self.has_message(id.chat, id.answers().unwrap_or(0))
    }
}

/// A trail and the time at which it was written.
fn read(cell: &Cell) -> Option<([u8; 8], Trace)> {
    let Ok(Content::Whole(bytes)) = cell.read() else { return None };
    let (stamp, rest) = bytes.split_first_chunk::<8>()?;
    let mut trace = Trace::default();
    trace.restore(rest);
    Some((*stamp, trace))
}

fn knock(knock: &crate::core::trace::Knock) -> Value {
    json!({
        "at": knock.line.at.to_string(),
        "chat": knock.line.chat.id.to_string(),
        "message": knock.line.id.to_string(),
        "authorName": knock.name.as_str(),
        "bytes": knock.bytes,
        "decision": knock.line.step.to_string(),
    })
}

/// Whether a record of the paired is about the person.
fn has_author(record: &Value, person: u64) -> bool {
    match record {
        Value::Object(map) => map.iter().any(|(key, value)| {
            (key == "author" && value.as_u64() == Some(person)) || has_author(value, person)
        }),
        Value::Array(list) => list.iter().any(|value| has_author(value, person)),
        // The record of one who was sent away is their number alone.
        Value::Number(number) => number.as_u64() == Some(person),
        _ => false,
    }
}
