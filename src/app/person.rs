//! All that is kept about a person: told in one document, or forgotten in one order.
//!
//! Accounts leave for the moment in which their files are written anew, and come back by RESUME.
//! What is begun is written down first, so that a start after a crash ends it.

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;

use serde_json::{Value, json};

use super::fleet::Verb;
use super::house::House;
use crate::base::limits::{FORGETTING_BYTES_MAX, FORGETTING_MAX, PERSON_PAGE_BYTES};
use crate::channels::discord::{PERSON_FILES, PersonFiles, stem};
use crate::core::chat::ChannelKind;
use crate::core::person::Person;
use crate::core::session::Key;
use crate::core::transcript::{Line, Role};
use crate::core::turn::Room;
use crate::rt::blocking;
use crate::rt::store::{Cell, Content, Durability};

/// The file in the state directory that says who is being forgotten.
const FILE: &str = "forgetting";
/// What this order cannot reach.
const OUT_OF_REACH: [&str; 4] = [
    "backups made by `barnacle backup`, and copies of the state directory",
    "log files (logging.file, the journal of systemd)",
    "what agents of the kinds exec and http keep themselves, and what model providers keep",
    "the messages in the chat service itself",
];

/// What of the sessions is about a person.
struct Theirs {
    keys: Vec<Key>,
    rooms: Vec<Room>,
    /// The numbers of their chats.
    chats: BTreeSet<u64>,
}

async fn theirs(house: &House, person: Person) -> Theirs {
    let store = house.fleet.borrow().store().clone();
    let all = store.list().await.into_iter().filter(|known| known.header.is_of(person));
    let all: Vec<_> = all.map(|known| (known.header.key.clone(), known.header.room())).collect();
    // A part of a channel is not a chat with them alone.
    let own = all.iter().filter(|(key, room)| {
        room.chat.channel == person.channel && Key::room(key).chat != room.chat
    });
    let chats = own.map(|(_, room)| room.chat.id).collect();
    let (keys, rooms) = all.into_iter().unzip();
    Theirs { keys, rooms, chats }
}

fn files(house: &House) -> Vec<(String, PersonFiles)> {
    let dirs = &house.source.dirs;
    let mut stems: BTreeSet<String> =
        house.config().accounts.iter().map(|account| stem(&account.id)).collect();
    // Also of accounts that the configuration no longer has.
    let names = std::fs::read_dir(&dirs.state).into_iter().flatten().flatten();
    for name in names.filter_map(|entry| entry.file_name().into_string().ok()) {
        let known = PERSON_FILES.iter().find_map(|ending| {
            name.strip_suffix(ending)?.strip_suffix('.').filter(|stem| stem.starts_with("discord"))
        });
        stems.extend(known.map(str::to_owned));
    }
    let of = |stem: String| {
        let files = PersonFiles::new(dirs.hot.as_deref(), &dirs.state, &stem);
        (stem, files)
    };
    stems.into_iter().map(of).collect()
}

/// Tells what is kept about `person`: with `from` 0 all that is small, and the first lines; then
/// lines only, as long as there is a `next`.
pub(super) async fn export(house: Rc<House>, person: Person, from: u64) -> Value {
    let store = house.fleet.borrow().store().clone();
    let part = store.of_person(person, from, PERSON_PAGE_BYTES).await;
    let line = |(key, line): &(Key, Line)| {
        json!({
            "session": key.as_str(),
            "at": line.at.to_string(),
            "role": role(line.role),
            "name": line.name,
            "text": line.text,
        })
    };
    let lines: Vec<Value> = part.lines.iter().map(line).collect();
    let mut told = json!({ "person": person.to_string(), "lines": lines, "next": part.next });
    if from > 0 {
        return told;
    }
    let theirs = theirs(&house, person).await;
    let mut accounts = json!({});
    for (stem, files) in files(&house) {
        let (chats, id) = (theirs.chats.clone(), person.id);
        if let Ok(about) = blocking::run(move || files.about(id, &chats)).await {
            accounts[stem] = about;
        }
    }
    told["sessions"] = theirs.keys.iter().map(Key::as_str).collect();
    told["accounts"] = accounts;
    let notes = house.fleet.borrow().outside().notes().clone();
    let notes = notes.of_person(person.channel, person.id).into_iter();
    told["notes"] = notes.filter_map(|note| serde_json::to_value(note).ok()).collect();
    told["jobs"] = house.cron.of(&mentions(person)).into();
    told["spentToday"] = theirs.rooms.iter().map(|room| spent(&house, room)).collect();
    told["configuration"] = in_configuration(&house, person).into();
    told["notHere"] = OUT_OF_REACH.into();
    told
}

fn spent(house: &House, room: &Room) -> Value {
    let spent = house.fleet.borrow().purse().today(room).0;
    json!({ "account": room.account, "chat": room.chat.id.to_string(), "tokens": spent.tokens })
}

fn role(role: Role) -> &'static str {
    match role {
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Failed => "failed",
        Role::Stopped => "stopped",
        Role::Summary => "summary",
    }
}

/// Whether a text names the person by their number.
fn mentions(person: Person) -> impl Fn(&str) -> bool {
    let id = person.id.to_string();
    move |text: &str| {
        text.match_indices(&id).any(|(at, _)| {
            let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
            let before = text.get(..at).and_then(|text| text.chars().next_back());
            let after = text.get(at + id.len()..).and_then(|text| text.chars().next());
            !is_digit(before) && !is_digit(after)
        })
    }
}

/// The lines of the configuration file that name the person: they are a person's to change.
fn in_configuration(house: &House, person: Person) -> Vec<String> {
    let Some(file) = house.file() else { return Vec::new() };
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let is_meant = mentions(person);
    let lines = text.lines().enumerate().filter(|(_, line)| is_meant(line));
    lines.map(|(at, _)| format!("{}:{}", file.display(), at + 1)).collect()
}

fn cell(state: &Path) -> Cell {
    Cell::new(state, FILE, FORGETTING_BYTES_MAX)
}

/// Who is being forgotten.
fn begun(state: &Path) -> Vec<Person> {
    match cell(state).read() {
        Ok(Content::Whole(bytes)) => serde_json::from_slice(&bytes).unwrap_or_default(),
        _ => Vec::new(),
    }
}

async fn write(state: &Path, people: Vec<Person>) -> Result<(), String> {
    let (cell, bytes) = (cell(state), serde_json::to_vec(&people).unwrap_or_default());
    let write = move || cell.write(&bytes, Durability::Disk);
    match blocking::run(write).await {
        Ok(written) => written.map_err(|error| error.to_string()),
        Err(full) => Err(full.to_string()),
    }
}

/// Ends what an earlier process has begun; before any account starts.
pub(super) async fn finish(house: &Rc<House>) {
    for person in begun(&house.source.dirs.state) {
        match forget(house.clone(), person).await {
            Ok(_) => log::info!(target: "gateway", "what was begun is done: a person is forgotten"),
            Err(why) => log::warn!(
                target: "gateway",
                "a person could not be forgotten as a whole ({why}): it is tried again at the next \
                 start, or by `barnacle person forget`"
            ),
        }
    }
}

/// Forgets all that is kept about `person`; how much that was.
///
/// # Errors
/// Something of it may still be there; the next start tries again.
pub(super) async fn forget(house: Rc<House>, person: Person) -> Result<Value, String> {
    let state = house.source.dirs.state.clone();
    let mut people = begun(&state);
    if !people.contains(&person) {
        people.truncate(FORGETTING_MAX - 1);
        people.push(person);
        write(&state, people.clone()).await?;
    }
    let theirs = theirs(&house, person).await;
    let running: Vec<String> = {
        let fleet = house.fleet.borrow();
        let seats = fleet.seats().filter(|seat| seat.view.is_some());
        seats.map(|seat| seat.name.to_owned()).collect()
    };
    let is_discord = person.channel == ChannelKind::Discord;
    for account in running.iter().filter(|_| is_discord) {
        command(&house, Verb::Pause, account).await;
    }
    let gone = everything(&house, person, &theirs).await;
    for account in running.iter().filter(|_| is_discord) {
        command(&house, Verb::Start, account).await;
    }
    let mut report = gone?;
    people.retain(|known| *known != person);
    write(&state, people).await?;
    report["person"] = person.to_string().into();
    report["sessions"] = theirs.keys.iter().map(Key::as_str).collect();
    report["configuration"] = in_configuration(&house, person).into();
    report["notHere"] = OUT_OF_REACH.into();
    Ok(report)
}

async fn command(house: &House, verb: Verb, account: &str) {
    let done = house.fleet.borrow_mut().command(verb, Some(account));
    if let Ok(done) = done {
        done.await;
    }
}

async fn everything(house: &House, person: Person, theirs: &Theirs) -> Result<Value, String> {
    let mut accounts = json!({});
    for (stem, files) in files(house) {
        let (chats, id) = (theirs.chats.clone(), person.id);
        let gone = blocking::run(move || files.forget(id, &chats)).await;
        let gone = gone.map_err(|full| full.to_string())?.map_err(|error| error.to_string())?;
        accounts[stem] = json!({
            "messages": gone.messages, "pairing": gone.pairing, "trail": gone.trail,
        });
    }
    let (store, desk, purse) = {
        let fleet = house.fleet.borrow();
        (fleet.store().clone(), fleet.desk().clone(), fleet.purse())
    };
    let bytes = store.without(person).await.ok_or("the transcripts could not be written anew")?;
    let is_theirs = |key: Option<&Key>, room: &Room| {
        key.is_some_and(|key| theirs.keys.contains(key))
            || (key.is_none() && theirs.chats.contains(&room.chat.id))
    };
    desk.forget(&is_theirs).await?;
    purse.forget(&theirs.chats).await;
    let notes = house.fleet.borrow().outside().notes().clone();
    let notes = notes.forget_person(person.channel, person.id).await;
    let notes = notes.map_err(|error| format!("the notes: {error}"))?;
    let overheard = house.fleet.borrow().board.forget(person);
    let jobs = house.cron.forget(&mentions(person)).await?;
    let dirs = house.source.dirs.clone();
    let damaged = blocking::run(move || {
        let dirs = [Some(dirs.state.clone()), dirs.hot.clone()].into_iter().flatten();
        dirs.map(|dir| remove_damaged(&dir)).sum::<usize>()
    });
    let damaged = damaged.await.map_err(|full| full.to_string())?;
    Ok(json!({
        "ok": true, "accounts": accounts, "transcriptBytes": bytes, "notes": notes, "jobs": jobs,
        "overheard": overheard, "damagedFiles": damaged,
    }))
}

/// Files that were put aside as damaged have what was in them; nobody reads them any more.
fn remove_damaged(dir: &Path) -> usize {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let is_aside = |path: &std::path::PathBuf| {
        path.extension().is_some_and(|ending| ending == "damaged" || ending == "tmp")
    };
    let paths = entries.map(|entry| entry.path()).filter(is_aside);
    paths.filter(|path| std::fs::remove_file(path).is_ok()).count()
}
