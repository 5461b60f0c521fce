//! Keeps what was asked and answered, by one task that owns the log: what it is told and asked
//! happens in the order in which it was said, and so whoever reads finds what they wrote.
//!
//! Writing costs an append, and a write to the card every few seconds in which somebody spoke.
//! Whatever is wrong with the disk costs lines of the transcript, said once, and never a message.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use smol::channel::{Receiver, Sender, bounded};
use smol::future::or;

use crate::base::Wall;
use crate::base::limits;
use crate::core::person::Person;
use crate::core::session::Key;
use crate::core::transcript::{Begun, Header, Index, Line, Open, Record, Role, Session, Sieve};
use crate::rt::executor::{Spawner, Tier};
use crate::rt::store::{Bounds, Found, LOG_START, Log, Reader, Short, StoreError, length_of};
use crate::rt::{blocking, clock};

/// The file in the state directory.
const FILE: &str = "transcripts";

const BOUNDS: Bounds = Bounds {
    record_bytes_max: limits::TRANSCRIPT_RECORD_BYTES_MAX,
    file_bytes_max: limits::TRANSCRIPTS_BYTES_MAX,
};

/// The transcripts. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    orders: Sender<Order>,
    /// Whether the last line found no room.
    is_losing: Rc<Cell<bool>>,
    /// Told of each session in which something is said.
    ears: Ears,
}

/// Who is told.
#[derive(Clone, Default)]
struct Ears(Rc<RefCell<Option<Ear>>>);

type Ear = Box<dyn Fn(&Key)>;

impl fmt::Debug for Ears {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ears")
    }
}

/// One thing said, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said {
    /// The session, as it is written down if it is new.
    pub header: Header,
    /// What was said.
    pub line: Line,
}

/// What a session is now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Summary {
    /// What was written down of it.
    pub header: Header,
    /// When something was last said in it.
    pub updated: Wall,
    /// The conversation that this was of.
    pub conversation: u32,
    /// How its conversation began, if that was written down.
    pub begun: Option<Begun>,
}

/// The end of a session.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tail {
    /// The lines, the oldest first.
    pub lines: Vec<Line>,
    /// Whether there are older ones.
    pub has_more: bool,
    /// What stands for the older ones, where that is asked for.
    pub summary: Option<Line>,
}

/// How much of a session is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Most {
    /// Of this conversation only.
    pub conversation: u32,
    /// So many lines.
    pub lines: usize,
    /// Of so many bytes, and one line in any case.
    pub bytes: usize,
}

/// A run that the end of an earlier process cut short.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Left {
    /// Its session.
    pub header: Header,
    /// Its question.
    pub line: Line,
    /// How often its turn was begun once more already.
    pub again: u8,
}

/// Some of what is kept about a person.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OfPerson {
    /// Lines, each with its session, the oldest first.
    pub lines: Vec<(Key, Line)>,
    /// From where the next are told, if there are any.
    pub next: Option<u64>,
}

#[derive(Debug)]
enum Order {
    Append(Said, Option<Sender<bool>>),
    Again(Key, Box<str>),
    Begin(Box<Header>, Begun),
    Tail(Key, Most, bool, Sender<Tail>),
    Of(Person, u64, usize, Sender<OfPerson>),
    Without(Person, Sender<u64>),
    Find(Key, Sender<Option<Summary>>),
    List(Sender<Vec<Summary>>),
    Left(Sender<Vec<Left>>),
    IsDone(Box<str>, Sender<bool>),
    Forget(Key, Sender<bool>),
    Close(Sender<()>),
}

impl Store {
    /// Keeps them in `state`. Reading what is there begins at once, on another thread.
    #[must_use]
    pub fn open(spawner: &Spawner, state: &Path) -> Store {
        let (orders, asked) = bounded(limits::TRANSCRIPT_ORDERS_MAX);
        let state = state.to_owned();
        let work = async move {
            match Keeper::open(state).await {
                Some(keeper) => keeper.run(asked).await,
                // Whoever asks is told at once that there is nothing.
                None => while asked.recv().await.is_ok() {},
            }
        };
        spawner.spawn(Tier::Work, "transcripts", work).detach();
        Store { orders, is_losing: Rc::default(), ears: Ears::default() }
    }

    /// From now on `tell` is called for each session in which something is said.
    pub fn listen(&self, tell: impl Fn(&Key) + 'static) {
        self.ears.0.replace(Some(Box::new(tell)));
    }

    fn hear(&self, said: &Said) {
        if let Some(tell) = &*self.ears.0.borrow() {
            tell(&said.header.key);
        }
    }

    /// Takes in a line, without waiting. What finds no room is lost, and that is said.
    pub fn append(&self, said: Said) {
        // A question comes with its answer: one word is enough for both.
        if said.line.role != Role::User {
            self.hear(&said);
        }
        let is_lost = self.orders.try_send(Order::Append(said, None)).is_err();
        if is_lost && !self.is_losing.replace(is_lost) {
            log::warn!(
                target: "agent",
                "what is said comes faster than the disk takes it: lines of transcripts are lost"
            );
        }
        self.is_losing.set(is_lost);
    }

    /// Takes in a line, and waits until the end of this process cannot lose it. False if that
    /// failed.
    pub async fn keep(&self, said: Said) -> bool {
        self.hear(&said);
        self.ask(|answer| Order::Append(said, Some(answer))).await.unwrap_or(false)
    }

    /// Writes down that the turn of `run` is begun once more.
    pub async fn again(&self, key: Key, run: Box<str>) {
        let _ = self.orders.send(Order::Again(key, run)).await;
    }

    /// The end of the session `key`.
    pub async fn tail(&self, key: Key, most: Most) -> Tail {
        self.ask(|answer| Order::Tail(key, most, false, answer)).await.unwrap_or_default()
    }

    /// The same for whoever is to go on with it: what a summary stands for is not among the lines.
    pub async fn context(&self, key: Key, most: Most) -> Tail {
        self.ask(|answer| Order::Tail(key, most, true, answer)).await.unwrap_or_default()
    }

    /// Another conversation begins in a session.
    pub async fn begin(&self, header: Header, begun: Begun) {
        let _ = self.orders.send(Order::Begin(Box::new(header), begun)).await;
    }

    /// What is kept about `person` from the place `from` on (0 is the beginning), some `bytes` of
    /// it.
    pub async fn of_person(&self, person: Person, from: u64, bytes: usize) -> OfPerson {
        self.ask(|answer| Order::Of(person, from, bytes, answer)).await.unwrap_or_default()
    }

    /// Forgets all that is kept about `person`, and waits until it is gone from the file. How many
    /// bytes the file has lost; `None` if it could not be done.
    pub async fn without(&self, person: Person) -> Option<u64> {
        self.ask(|answer| Order::Without(person, answer)).await
    }

    /// The session `key`, if something was ever said in it.
    pub async fn find(&self, key: Key) -> Option<Summary> {
        self.ask(|answer| Order::Find(key, answer)).await.flatten()
    }

    /// All sessions, the one that spoke last first.
    pub async fn list(&self) -> Vec<Summary> {
        self.ask(Order::List).await.unwrap_or_default()
    }

    /// The runs that have no end.
    pub async fn left(&self) -> Vec<Left> {
        self.ask(Order::Left).await.unwrap_or_default()
    }

    /// Whether a run of this name has ended, as far as is remembered.
    pub async fn is_done(&self, run: &str) -> bool {
        self.ask(|answer| Order::IsDone(run.into(), answer)).await.unwrap_or(false)
    }

    /// Forgets a session, and rewrites the file without its words. False if there is none.
    pub async fn forget(&self, key: Key) -> bool {
        self.ask(|answer| Order::Forget(key, answer)).await.unwrap_or(false)
    }

    /// Waits until all is on the disk that was said so far.
    pub async fn close(&self) {
        self.ask(Order::Close).await.unwrap_or_default();
    }

    async fn ask<T>(&self, order: impl FnOnce(Sender<T>) -> Order) -> Option<T> {
        let (answer, answered) = bounded(1);
        self.orders.send(order(answer)).await.ok()?;
        answered.recv().await.ok()
    }
}

/// What owns the log.
struct Keeper {
    log: Log,
    index: Index,
    is_dirty: bool,
    /// At which length it is made short.
    long: u64,
    is_failing: bool,
}

impl Keeper {
    async fn open(state: PathBuf) -> Option<Keeper> {
        let open = move || {
            let (mut index, mut place) = (Index::default(), LOG_START);
            let opened = Log::open(&state, FILE, BOUNDS, |record| {
                index.take(place, record);
                place += length_of(record);
            });
            opened.map(|(log, found)| (log, found, index))
        };
        let opened = match blocking::run(open).await {
            Ok(opened) => opened,
            Err(full) => Err(StoreError::Io(std::io::Error::other(full))),
        };
        match opened {
            Ok((log, found, index)) => {
                tell_found(&found, index.strange);
                Some(Keeper {
                    log,
                    index,
                    is_dirty: false,
                    long: limits::TRANSCRIPTS_SHORT_BYTES,
                    is_failing: false,
                })
            }
            Err(error) => {
                log::warn!(
                    target: "agent",
                    "transcripts cannot be kept ({error}): what is said is answered all the same"
                );
                None
            }
        }
    }

    async fn run(mut self, orders: Receiver<Order>) {
        let mut sync_due = None;
        loop {
            if self.is_dirty {
                sync_due.get_or_insert_with(|| clock::now() + limits::TRANSCRIPT_SYNC);
            }
            let order = async { Some(orders.recv().await) };
            let due = async {
                match sync_due {
                    Some(due) => clock::sleep_until(due).await,
                    None => std::future::pending().await,
                }
                None
            };
            match or(order, due).await {
                Some(Ok(order)) => self.obey(order).await,
                Some(Err(_)) => break,
                None => {}
            }
            if sync_due.is_some_and(|due| due <= clock::now()) {
                self.sync().await;
                sync_due = None;
            }
            if self.log.bytes() >= self.long {
                self.shorten().await;
            }
        }
        self.sync().await;
    }

    /// Whoever asked may have left.
    async fn obey(&mut self, order: Order) {
        match order {
            Order::Append(said, answer) => {
                let kept = self.append(said);
                if let Some(answer) = answer {
                    let _ = answer.try_send(kept);
                }
            }
            Order::Again(key, run) => {
                if let Some((number, _)) = self.index.find(&key) {
                    self.write(&Record::Again(number, run));
                }
            }
            Order::Begin(header, begun) => {
                if let Some(number) = self.number(*header) {
                    self.write(&Record::Begun(number, begun));
                }
            }
            Order::Tail(key, most, to_summary, answer) => {
                let _ = answer.try_send(self.tail(&key, most, to_summary).await);
            }
            Order::Of(person, from, bytes, answer) => {
                let _ = answer.try_send(self.of_person(person, from, bytes).await);
            }
            Order::Without(person, answer) => {
                let before = self.log.bytes();
                if self.shorten_by(self.index.without(person)).await {
                    let _ = answer.try_send(before.saturating_sub(self.log.bytes()));
                }
            }
            Order::Find(key, answer) => {
                let found = self.index.find(&key).map(|(_, session)| summary(session));
                let _ = answer.try_send(found);
            }
            Order::List(answer) => {
                let all = self.index.sessions().into_iter().map(summary).collect();
                let _ = answer.try_send(all);
            }
            Order::Left(answer) => {
                let _ = answer.try_send(self.left());
            }
            Order::IsDone(run, answer) => {
                let _ = answer.try_send(self.index.is_done(&run));
            }
            Order::Forget(key, answer) => {
                let _ = answer.try_send(self.forget(&key).await);
            }
            Order::Close(answer) => {
                self.sync().await;
                let _ = answer.try_send(());
            }
        }
    }

    fn append(&mut self, said: Said) -> bool {
        let Said { header, mut line } = said;
        let Some(number) = self.number(header) else { return false };
        let (before, last) =
            self.index.get(number).map_or((0, 0), |session| (session.last, session.seq));
        line.seq = last.saturating_add(1);
        self.write(&Record::Line(number, before, line))
    }

    /// The number of a session, which is written down if it is new.
    fn number(&mut self, header: Header) -> Option<u32> {
        let known = self.index.find(&header.key).map(|(number, _)| number);
        if known.is_some() {
            return known;
        }
        let number = self.index.next_number();
        self.write(&Record::Session(number, header)).then_some(number)
    }

    fn write(&mut self, record: &Record) -> bool {
        let (bytes, place) = (record.encode(), self.log.bytes());
        let written = self.log.append(&bytes);
        let is_written = written.is_ok();
        if is_written {
            self.index.take(place, &bytes);
            self.is_dirty = true;
        }
        self.tell(written);
        is_written
    }

    async fn tail(&self, key: &Key, most: Most, to_summary: bool) -> Tail {
        let Some((number, session)) = self.index.find(key) else { return Tail::default() };
        let (from, reader) = ((number, session.last), self.log.reader());
        let read = move || read_back(&reader, from, most, to_summary);
        // With too much waiting for the disk it is read here and now: it is seldom.
        let reader = self.log.reader();
        blocking::run(read).await.unwrap_or_else(|_| read_back(&reader, from, most, to_summary))
    }

    async fn of_person(&self, person: Person, from: u64, bytes: usize) -> OfPerson {
        let headers: BTreeMap<u32, Header> = self.index.headers().collect();
        let (reader, end) = (self.log.reader(), self.log.bytes());
        let read = move || read_of(&reader, &headers, person, (from.max(LOG_START), end), bytes);
        blocking::run(read).await.unwrap_or_default()
    }

    fn left(&self) -> Vec<Left> {
        let reader = self.log.reader();
        let left = |(_, open): (&str, Open)| {
            let header = self.index.get(open.number)?.header.clone();
            match Record::decode(&reader.at(open.place)?)? {
                Record::Line(_, _, line) => Some((open.place, header, line, open.again)),
                _ => None,
            }
        };
        let mut all: Vec<_> = self.index.open().filter_map(left).collect();
        // As they were asked.
        all.sort_by_key(|(place, ..)| *place);
        all.into_iter().map(|(_, header, line, again)| Left { header, line, again }).collect()
    }

    async fn forget(&mut self, key: &Key) -> bool {
        let Some((number, _)) = self.index.find(key) else { return false };
        self.write(&Record::Forgotten(number));
        self.shorten().await;
        true
    }

    async fn sync(&mut self) {
        if std::mem::take(&mut self.is_dirty) {
            let synced = self.log.sync().await;
            self.tell(synced);
        }
    }

    async fn shorten(&mut self) {
        self.shorten_by(self.index.sieve(limits::TRANSCRIPTS_SHORT_BYTES / 2)).await;
    }

    /// Makes the log short to what stays in `sieve`. False if that failed.
    async fn shorten_by(&mut self, sieve: Sieve) -> bool {
        let sieved = self.log.sieve(sieve, Sieve::stays).await;
        let outcome = match sieved {
            Ok((short, sieve)) => {
                self.index = sieve.index();
                self.log.take_over(Ok(short))
            }
            Err(error) => self.log.take_over(Err::<Short, _>(error)),
        };
        // If it cannot be made short now, it is tried again at twice the length.
        self.long = limits::TRANSCRIPTS_SHORT_BYTES.max(self.log.bytes().saturating_mul(2));
        let is_short = outcome.is_ok();
        self.tell(outcome);
        is_short
    }

    fn tell(&mut self, outcome: Result<(), StoreError>) {
        let was_failing = std::mem::replace(&mut self.is_failing, outcome.is_err());
        match outcome {
            Err(error) if !was_failing => log::warn!(
                target: "agent",
                "transcripts cannot be written ({error}): lines of them are lost, and no message is"
            ),
            Ok(()) if was_failing => {
                log::info!(target: "agent", "transcripts are written again");
            }
            _ => {}
        }
    }
}

fn summary(session: &Session) -> Summary {
    let Session { header, updated, conversation, begun, .. } = session;
    let (header, updated) = (header.clone(), *updated);
    Summary { header, updated, conversation: *conversation, begun: *begun }
}

/// The lines of session `number` that end at `last`; if it goes `to_summary`, only those that the
/// last summary does not stand for.
fn read_back(reader: &Reader, (number, last): (u32, u64), most: Most, to_summary: bool) -> Tail {
    let (mut tail, mut bytes, mut place) = (Tail::default(), 0, last);
    while place != 0 {
        let record = reader.at(place).and_then(|record| Record::decode(&record));
        // Whatever else stands there, it is none of ours.
        let Some(Record::Line(of, before, line)) = record else { break };
        if of != number || before >= place || line.conversation != most.conversation {
            break;
        }
        place = before;
        match &tail.summary {
            // All before it is older still.
            Some(summary) if line.seq <= summary.upto => break,
            None if to_summary && line.role == Role::Summary => {
                bytes += line.text.len();
                tail.summary = Some(line);
                continue;
            }
            _ if to_summary && line.role == Role::Summary => continue,
            _ => {}
        }
        bytes += line.text.len();
        if tail.lines.len() >= most.lines || (bytes > most.bytes && !tail.lines.is_empty()) {
            tail.has_more = true;
            break;
        }
        tail.lines.push(line);
    }
    tail.lines.reverse();
    tail
}

/// What is kept about `person` in a part of the log, some `bytes` of it.
fn read_of(
    reader: &Reader,
    headers: &BTreeMap<u32, Header>,
    person: Person,
    (from, end): (u64, u64),
    bytes: usize,
) -> OfPerson {
    let (mut found, mut place, mut taken) = (OfPerson::default(), from, 0);
    while place < end {
        // One that is not whole ends the log for every reader.
        let Some(record) = reader.at(place) else { break };
        if taken > bytes {
            found.next = Some(place);
            break;
        }
        place += length_of(&record);
        let Some(Record::Line(number, _, line)) = Record::decode(&record) else { continue };
        let Some(header) = headers.get(&number) else { continue };
        if header.is_of(person) || line.people.contains(&person) {
            taken += line.text.len();
            found.lines.push((header.key.clone(), line));
        }
    }
    found
}

fn tell_found(found: &Found, strange: u64) {
    if let Some(file) = &found.quarantined {
        log::warn!(
            target: "agent",
            "the transcripts were damaged; what was read of them is used, all of them were put \
             aside as {}",
            file.display()
        );
    }
    if found.torn_bytes > 0 {
        log::info!(
            target: "agent",
            "the transcripts ended in the middle of a record ({} bytes): the power was cut, or the \
             disk was full",
            found.torn_bytes
        );
    }
    if strange > 0 {
        log::warn!(
            target: "agent",
            "{strange} records of the transcripts are of another version, and passed over"
        );
    }
}

#[cfg(test)]
mod tests;
