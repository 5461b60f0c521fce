//! Answers that are shown before they are complete, against a model of a service, a disk and a
//! process that is killed, in virtual time, by seed.
//!
//! Turns say their words bit by bit, end in an answer, an apology or a stop, and begin anew in the
//! next life where one ended under them. In the end each message is answered by one message, which
//! says all of the answer, and no beginning stands alone. That the checks bite is shown by planting
//! bugs between the machines and the world.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::base::Rng;
use crate::core::answer::Answer;
use crate::core::chat::ChannelKind;
use crate::core::journal::{Entry, Memory};
use crate::core::outbox::{self, Fate, Nonce, Origin, Outbox, Policy, Unit, Why};

/// What is put between machines and world to break a promise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bug {
    /// It is shown before that is written down.
    Hasty,
    /// Each life has nonces of its own.
    FreshNonces,
    /// What was shown is forgotten at a restart.
    Forgets,
    /// What the nonce finds is taken for the answer.
    BelievesTheNonce,
    /// The answer is sent beside what is shown.
    TwoMessages,
    /// A turn that is stopped leaves its beginning.
    LeavesIt,
    /// Words are shown as often as they come.
    NoPause,
}

const BUGS: [Bug; 7] = [
    Bug::Hasty,
    Bug::FreshNonces,
    Bug::Forgets,
    Bug::BelievesTheNonce,
    Bug::TwoMessages,
    Bug::LeavesIt,
    Bug::NoPause,
];

const MESSAGES: u64 = 6;
/// For how long the service knows a nonce.
const NONCES: Duration = Duration::from_secs(150);
const MORNING: u64 = 1_700_000_000_000;
/// From here on nothing breaks any more.
const TROUBLE: u64 = 400_000;
const STEP: u64 = 50;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A message that the service shows.
struct Shown {
    number: u64,
    nonce: String,
    text: String,
    at: Instant,
    edits: Vec<Instant>,
}

/// A call on its way.
struct Call {
    /// When it reaches the service, and when its answer comes.
    arrives: Instant,
    returns: Instant,
    what: What,
    life: u64,
    came: Option<Came>,
}

#[derive(Clone)]
enum What {
    Post(ItemId, String),
    Edit(ItemId, u64, String),
    Send(Box<outbox::Send>),
    Look(Box<outbox::Send>),
}

#[derive(Clone, Copy)]
enum Came {
    Message(u64),
    Stale(u64),
    Nothing,
    Absent,
}

struct World {
    bug: Option<Bug>,
    rng: Rng,
    now: Instant,
    life: u64,
    drafts: Drafts,
    outbox: Outbox,
    disk: Vec<Vec<u8>>,
    synced: usize,
    /// Who waits for which record.
    waits: Vec<(usize, Result<u64, ItemId>)>,
    calls: Vec<Call>,
    shown: Vec<Shown>,
    numbers: u64,
    /// Each message's turn: how many words it has said, of how many.
    turns: BTreeMap<u64, (u64, u64)>,
    over: BTreeMap<u64, Fate>,
    /// What each was to say in the end.
    meant: BTreeMap<u64, String>,
    /// When the process is back.
    away: Option<Instant>,
}

fn id(message: u64) -> ItemId {
    let chat = ChatId { channel: ChannelKind::Discord, id: message + 1 };
    ItemId { chat, origin: Origin::Reply(message + 1) }
}

fn words(message: u64, count: u64) -> String {
    (0..count).map(|word| format!("m{message}w{word}")).collect::<Vec<_>>().join(" ")
}

fn run(seed: u64, bug: Option<Bug>) -> Result<(), String> {
    let mut world = World {
        bug,
        rng: Rng::new(seed),
        now: Instant(0) + ms(1),
        life: 0,
        drafts: Drafts::new(200),
        outbox: Outbox::new(200, Policy::default()),
        disk: Vec::new(),
        synced: 0,
        waits: Vec::new(),
        calls: Vec::new(),
        shown: Vec::new(),
        numbers: 100,
        turns: BTreeMap::new(),
        over: BTreeMap::new(),
        meant: BTreeMap::new(),
        away: None,
    };
    for message in 0..MESSAGES {
        let length = 1 + world.rng.below(80);
        world.turns.insert(message, (0, length));
    }
    for _ in 0..60_000 {
        world.now += ms(STEP);
        world.step()?;
        if world.over.len() as u64 == MESSAGES && world.calls.is_empty() {
            return world.judge();
        }
    }
    Err(format!("it never came to rest: {:?}", world.over))
}

impl World {
    fn trouble(&mut self, one_in: u64) -> bool {
        self.rng.one_in(one_in) && self.now < Instant(0) + ms(TROUBLE)
    }

    fn wall(&self) -> Wall {
        Wall(MORNING) + self.now.since(Instant(0))
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn step(&mut self) -> Result<(), String> {
        self.serve()?;
        if let Some(back) = self.away {
            if back <= self.now {
                self.begin();
            }
            return Ok(());
        }
        if self.trouble(400) {
            self.die();
            return Ok(());
        }
        // The disk takes its time.
        if self.rng.one_in(2) {
            self.synced = self.disk.len();
        }
        self.let_go();
        self.talk();
        let (now, wall) = (self.now, self.wall());
        self.outbox.expire(now);
        let outbox = &self.outbox;
        self.drafts.expire(now, wall, |chat| !outbox.has_work(chat));
        self.follow();
        self.hear();
        self.follow();
        Ok(())
    }

    fn die(&mut self) {
        if self.rng.one_in(2) {
            let more = self.rng.below((self.disk.len() - self.synced) as u64 + 1);
            self.disk.truncate(self.synced + usize::try_from(more).unwrap_or(0));
        }
        self.synced = self.disk.len();
        let away = if self.rng.one_in(3) { 200_000 } else { 2000 };
        // What is on its way arrives before anybody begins again.
        self.away = Some(self.now + ms(2000 + self.rng.below(away)));
    }

    fn begin(&mut self) {
        self.away = None;
        self.life += 1;
        self.waits.clear();
        self.drafts = Drafts::new(200);
        self.outbox = Outbox::new(200, Policy::default());
        let mut memory = Memory::default();
        self.disk.iter().for_each(|record| memory.read(record));
        let (now, wall) = (self.now, self.wall());
        let items = memory.items();
        for message in 0..MESSAGES {
            let id = id(message);
            let is_over = memory.answered.already(id.chat, message + 1);
            let is_out = items.iter().any(|item| item.id == id);
            if !is_over {
                self.over.remove(&message);
            }
            match (is_over || is_out, self.turns.get_mut(&message)) {
                // The turn comes again.
                (false, Some((said, _))) => *said = 0,
                (false, None) => {
                    let length = 1 + self.rng.below(80);
                    self.turns.insert(message, (0, length));
                }
                (true, _) => drop(self.turns.remove(&message)),
            }
        }
        for item in items {
            self.outbox.restore(now, wall, item);
        }
        for (id, sketch) in memory.drafts {
            if !self.has(Bug::Forgets) {
                self.drafts.restore(now, wall, id, sketch);
            }
        }
    }

    /// The turns go on.
    fn talk(&mut self) {
        for message in 0..MESSAGES {
            let Some(&(said, length)) = self.turns.get(&message) else { continue };
            if said == 0 && self.rng.below(200) != 0 || self.rng.one_in(4) {
                continue;
            }
            if said < length {
                self.turns.insert(message, (said + 1, length));
                self.drafts.said(self.now, id(message), words(message, said + 1).into());
                continue;
            }
            self.turns.remove(&message);
            let whole = words(message, length);
            // Some are stopped in the midst of it.
            let is_stopped = self.rng.one_in(4);
            let left = self.drafts.take(id(message));
            let text = match (&left, is_stopped) {
                (Some(left), true) => format!("{} (stopped)", left.said),
                (None, true) => String::new(),
                (_, false) => whole,
            };
            let (now, wall) = (self.now, self.wall());
            let text = if is_stopped && self.has(Bug::LeavesIt) { String::new() } else { text };
            self.meant.insert(message, text.clone());
            let sketch = left.map(|left| left.sketch).filter(|_| !self.has(Bug::TwoMessages));
            let answer = Answer::text(text);
            self.outbox.complete(now, wall, id(message), answer, false, sketch);
        }
    }

    fn append(&mut self, entry: &Entry) {
        self.disk.push(entry.encode());
    }

    fn let_go(&mut self) {
        let synced = if self.has(Bug::Hasty) { usize::MAX } else { self.synced };
        for (at, who) in std::mem::take(&mut self.waits) {
            match who {
                _ if at > synced => self.waits.push((at, who)),
                Ok(ticket) => self.outbox.kept(self.now, ticket),
                Err(id) => self.drafts.kept(id),
            }
        }
    }

    /// Does what the machines say.
    fn follow(&mut self) {
        while let Some(output) = self.drafts.poll() {
            match output {
                Output::Keep(id, sketch) => {
                    self.append(&Entry::Draft { id, sketch });
                    self.waits.push((self.disk.len(), Err(id)));
                }
                Output::Found(id, sketch) => self.append(&Entry::Draft { id, sketch }),
                Output::Post(id, text) => self.call(What::Post(id, text)),
                Output::Edit(id, message, text) => self.call(What::Edit(id, message, text)),
            }
        }
        while let Some(output) = self.outbox.poll() {
            match output {
                outbox::Output::Keep { ticket, item } => {
                    self.append(&Entry::Out(item));
                    self.waits.push((self.disk.len(), Ok(ticket)));
                }
                outbox::Output::Send(send) => self.call(What::Send(send)),
                outbox::Output::Look { send, .. } => self.call(What::Look(send)),
                outbox::Output::Arrived { id, index, message, kind } => {
                    self.append(&Entry::Arrived { id, index, message, kind });
                }
                outbox::Output::Settled { id, fate, .. } => {
                    self.append(&Entry::Settled(id));
                    self.over.insert(id.chat.id - 1, fate);
                }
                outbox::Output::Skipped { .. } => {}
            }
        }
    }

    fn call(&mut self, what: What) {
        // Edits of one life go one after another: they share a bucket.
        let is_edit = |what: &What| match what {
            What::Edit(id, ..) => Some(id.chat),
            What::Send(send) if matches!(send.unit, Unit::Edit { .. }) => Some(send.chat),
            _ => None,
        };
        let before = self.calls.iter().filter(|call| {
            call.life == self.life
                && is_edit(&what).is_some()
                && is_edit(&call.what) == is_edit(&what)
        });
        let free = before.map(|call| call.returns).max().unwrap_or(self.now);
        let arrives = free.max(self.now) + ms(self.rng.below(400));
        let returns = arrives + ms(self.rng.below(400));
        self.calls.push(Call { arrives, returns, what, life: self.life, came: None });
    }

    /// The service takes in what has arrived.
    fn serve(&mut self) -> Result<(), String> {
        for at in 0..self.calls.len() {
            let Call { arrives, came, .. } = &self.calls[at];
            if *arrives > self.now || came.is_some() {
                continue;
            }
            let what = self.calls[at].what.clone();
            let is_lost = self.trouble(12);
            let came = if is_lost { Came::Nothing } else { self.take(&what)? };
            // Its answer may be lost, too.
            self.calls[at].came = Some(if self.trouble(12) { Came::Nothing } else { came });
        }
        Ok(())
    }

    fn take(&mut self, what: &What) -> Result<Came, String> {
        let (now, limit) = (self.now, DRAFT_EDIT_EVERY);
        match what {
            What::Post(id, text) => {
                let is_meant = |record: &Vec<u8>| match Entry::decode(record) {
                    Some(Entry::Draft { id: of, .. }) => of == *id,
                    _ => false,
                };
                if !self.disk.iter().take(self.synced).any(is_meant) {
                    return Err(format!("{id:?} is shown before that is written down"));
                }
                Ok(self.show(*id, 0, text))
            }
            What::Edit(_, message, text) => {
                let life = self.life;
                let shown = self.shown.iter_mut().find(|shown| shown.number == *message);
                let shown = shown.ok_or("what is edited is not there")?;
                let often =
                    shown.edits.last().is_some_and(|&last| now.since(last) + ms(800) < limit);
                if often && life == 0 {
                    return Err("it is edited too often".into());
                }
                shown.edits.push(now);
                text.clone_into(&mut shown.text);
                Ok(Came::Message(*message))
            }
            What::Send(send) => match &send.unit {
                Unit::Say { text, .. } => {
                    let came = self.show(send.id, send.index, text);
                    let Came::Message(message) = came else { return Ok(came) };
                    let shown = self.shown.iter().find(|shown| shown.number == message);
                    let is_other = shown.is_some_and(|shown| shown.text != **text);
                    let is_stale = send.is_drafted && is_other;
                    let believes = self.bug == Some(Bug::BelievesTheNonce);
                    Ok(if is_stale && !believes { Came::Stale(message) } else { came })
                }
                Unit::Edit { message, text } => {
                    let shown = self.shown.iter_mut().find(|shown| shown.number == *message);
                    shown.ok_or("what is completed is not there")?.text = text.to_string();
                    Ok(Came::Message(*message))
                }
                other => Err(format!("{other:?}?")),
            },
            What::Look(send) => {
                let Unit::Say { text, .. } = &send.unit else { return Ok(Came::Absent) };
                let nonce = self.nonce(send.id, send.index);
                let shown = self.shown.iter().find(|shown| shown.nonce == nonce);
                Ok(match shown {
                    None => Came::Absent,
                    Some(shown) if send.is_drafted && shown.text != **text => {
                        Came::Stale(shown.number)
                    }
                    Some(shown) => Came::Message(shown.number),
                })
            }
        }
    }

    fn nonce(&self, id: ItemId, index: u16) -> String {
        match self.bug {
            Some(Bug::FreshNonces) => format!("{} of life {}", Nonce::of(id, index), self.life),
            _ => Nonce::of(id, index).to_string(),
        }
    }

    fn show(&mut self, id: ItemId, index: u16, text: &str) -> Came {
        let (now, nonce) = (self.now, self.nonce(id, index));
        let known = self.shown.iter();
        let known = known.rev().find(|shown| shown.nonce == nonce && now.since(shown.at) < NONCES);
        if let Some(known) = known {
            return Came::Message(known.number);
        }
        self.numbers += 1;
        let number = self.numbers;
        self.shown.push(Shown { number, nonce, text: text.into(), at: now, edits: Vec::new() });
        Came::Message(number)
    }

    /// What came of calls is heard by the life that made them.
    fn hear(&mut self) {
        let now = self.now;
        let done: Vec<Call> =
            self.calls.extract_if(.., |call| call.came.is_some() && call.returns <= now).collect();
        for Call { what, life, came, .. } in done {
            if life != self.life {
                continue;
            }
            let came = came.unwrap_or(Came::Nothing);
            match (what, came) {
                (What::Post(id, _), Came::Message(message)) => {
                    self.drafts.posted(now, id, Some(message));
                }
                (What::Post(id, _), _) => self.drafts.posted(now, id, None),
                (What::Edit(id, ..), came) => {
                    let is_made = matches!(came, Came::Message(_));
                    self.drafts.edited(now, id, is_made, true);
                    if self.has(Bug::NoPause) {
                        let draft = self.drafts.open.get_mut(&id);
                        let _ = draft.map(|draft| draft.next = now);
                    }
                }
                (What::Send(send) | What::Look(send), Came::Message(message)) => {
                    self.outbox.delivered(now, send.chat, message);
                }
                (What::Send(send) | What::Look(send), Came::Stale(message)) => {
                    self.outbox.stale(now, send.chat, message);
                }
                (What::Send(send), _) => self.outbox.failed(now, send.chat, Why::Lost),
                (What::Look(send), Came::Absent) => self.outbox.absent(now, send.chat),
                (What::Look(send), _) => self.outbox.unseen(now, send.chat, false),
            }
        }
    }

    fn judge(&self) -> Result<(), String> {
        for (message, fate) in &self.over {
            let nonces: Vec<String> =
                (0..40).map(|index| Nonce::of(id(*message), index).to_string()).collect();
            let is_of = |shown: &&Shown| nonces.iter().any(|nonce| shown.nonce.starts_with(nonce));
            let shown: Vec<&str> =
                self.shown.iter().filter(is_of).map(|shown| &*shown.text).collect();
            let said = shown.join(" ");
            if said.ends_with(MORE.trim()) || shown.iter().any(|text| text.ends_with(MORE)) {
                return Err(format!("{message}: a beginning stands there: {shown:?}"));
            }
            let meant = &self.meant[message];
            if *fate == Fate::Delivered && said != *meant {
                return Err(format!("{message} says {shown:?} and means {meant:?}"));
            }
            if !matches!(fate, Fate::Delivered | Fate::Silent) {
                return Err(format!("{message} ended as {fate:?}"));
            }
            if *fate == Fate::Silent && !shown.is_empty() {
                return Err(format!("{message} has nothing to say, and says {shown:?}"));
            }
        }
        Ok(())
    }
}

#[test]
fn whatever_breaks_each_answer_is_one_and_whole() {
    for seed in 0..150 {
        if let Err(what) = run(seed, None) {
            panic!("seed {seed}: {what}");
        }
    }
}

#[test]
fn planted_bugs_are_caught() {
    for bug in BUGS {
        let caught = (0..60).find_map(|seed| run(seed, Some(bug)).err());
        assert!(caught.is_some(), "{bug:?} went unnoticed");
    }
}
