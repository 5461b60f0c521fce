//! The outbox against a model of a chat service, of a network and of a disk, in virtual time, by
//! seed. Our process is killed and the power cut at any moment; what the disk has decides how the
//! next life begins. What must hold is checked as it happens and at the end; that the checks bite
//! is shown by planting bugs between the outbox and the model.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use super::*;
use crate::base::Rng;
use crate::base::limits::{OUTBOX_CHAT_CLOSED, OUTBOX_TTL};
use crate::core::chat::ChannelKind;
use crate::core::journal::{Entry, Memory};

/// What is put between outbox and model to break a promise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bug {
    /// Things go out before they are on the disk.
    Hasty,
    /// Each life has nonces of its own.
    FreshNonces,
    /// What arrived is forgotten at a restart.
    Forgets,
    /// Whether something old has arrived is not looked at.
    NeverLooks,
    /// What was kept is taken up in another order.
    Reorders,
    /// That a chat is closed is taken for an accident.
    KeepsTrying,
    /// The time of day is not read at a restart.
    Timeless,
    /// What is given up is taken for delivered.
    Pretends,
}

const BUGS: [Bug; 8] = [
    Bug::Hasty,
    Bug::FreshNonces,
    Bug::Forgets,
    Bug::NeverLooks,
    Bug::Reorders,
    Bug::KeepsTrying,
    Bug::Timeless,
    Bug::Pretends,
];

const CHATS: u64 = 3;
const ITEMS: u64 = 40;
/// From here on network, server, disk and process are well.
const TROUBLE: Duration = Duration::from_secs(1200);
/// For how long the service knows a nonce.
const NONCES: Duration = Duration::from_secs(150);
/// What the clock on the wall says at the beginning.
const MORNING: u64 = 1_700_000_000_000;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Event {
    /// This answer is ready.
    Answered(u64),
    /// This call reaches the service.
    Arrives(usize),
    /// The same call is made once more, by the life that made it.
    Again(usize, u64),
    /// What came of it, for the life that waits for it.
    Returns(usize, u64, Came),
    /// The first so many records are on the disk.
    Synced(u64, usize),
    /// The process ends, by its own fault or with the power.
    Ends { power: bool },
    /// The next one begins.
    Begins,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Came {
    Message(u64),
    Forbidden,
    Nothing,
    Absent,
}

/// A message that the service shows.
struct Shown {
    message: u64,
    nonce: String,
    text: String,
    at: Instant,
}

struct World {
    bug: Option<Bug>,
    rng: Rng,
    now: Instant,
    /// By how much the clock on the wall was set back.
    set_back: Duration,
    outbox: Outbox,
    /// Which life of our process it is, and whether it lives.
    life: u64,
    lives: bool,
    disk: Vec<Vec<u8>>,
    synced: usize,
    syncing: bool,
    /// Which records are waited for.
    tickets: Vec<(usize, u64)>,
    /// What is under way, whether it is a look, and in which life it was begun.
    calls: Vec<(Send, bool, u64)>,
    events: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    count: u64,
    shown: BTreeMap<u64, Vec<Shown>>,
    /// The chat that is closed, and until when.
    closed: (u64, Instant),
    refused: Option<Instant>,
    /// Units whose arrival we wrote down, of those records that the disk still has.
    done: BTreeSet<(ItemId, u16)>,
    ready: BTreeMap<ItemId, Instant>,
    fates: BTreeMap<ItemId, Fate>,
}

fn id(item: u64) -> ItemId {
    let chat = ChatId { channel: ChannelKind::Discord, id: item % CHATS + 1 };
    ItemId { chat, origin: Origin::Reply(item + 1) }
}

/// Item `n` has one to three parts.
fn text(item: u64) -> String {
    (0..=item % 3).map(|part| format!("{item:03}.{part}")).collect::<Vec<_>>().join(" ")
}

fn run(seed: u64, bug: Option<Bug>) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let mut world = World {
        bug,
        now: Instant(0) + ms(1),
        set_back: Duration::ZERO,
        outbox: Outbox::new(5, Policy::default()),
        life: 0,
        lives: true,
        disk: Vec::new(),
        synced: 0,
        syncing: false,
        tickets: Vec::new(),
        calls: Vec::new(),
        events: BinaryHeap::new(),
        count: 0,
        shown: BTreeMap::new(),
        closed: (rng.below(CHATS * 3), Instant(0) + ms(rng.below(600_000))),
        refused: None,
        done: BTreeSet::new(),
        ready: BTreeMap::new(),
        fates: BTreeMap::new(),
        rng: Rng::new(rng.bits()),
    };
    let mut at = Instant(0);
    for item in 0..ITEMS {
        at += ms(if rng.one_in(3) { rng.below(60_000) } else { rng.below(300) });
        world.push(at, Event::Answered(item));
    }
    let mut at = Instant(0);
    while at < Instant(0) + TROUBLE {
        at += ms(rng.below(120_000));
        world.push(at, Event::Ends { power: rng.one_in(2) });
    }
    world.play()?;
    world.judge()
}

impl World {
    fn push(&mut self, at: Instant, event: Event) {
        self.count += 1;
        self.events.push(Reverse((at, self.count, event)));
    }

    fn soon(&mut self, within: u64, event: Event) {
        let at = self.now + ms(1 + self.rng.below(within));
        self.push(at, event);
    }

    fn trouble(&mut self, one_in: u64) -> bool {
        self.rng.one_in(one_in) && self.now < Instant(0) + TROUBLE
    }

    fn wall(&self) -> Wall {
        let now = Wall(MORNING) + self.now.since(Instant(0));
        Wall(now.0 - u64::try_from(self.set_back.as_millis()).unwrap_or(0))
    }

    fn play(&mut self) -> Result<(), String> {
        for _ in 0..100_000 {
            let event_at = self.events.peek().map(|Reverse((at, ..))| *at);
            let wake_at = self.outbox.deadline().filter(|_| self.lives);
            match (event_at, wake_at) {
                (None, None) => return Ok(()),
                (Some(event_at), wake_at) if wake_at.is_none_or(|wake_at| event_at <= wake_at) => {
                    let Some(Reverse((at, _, event))) = self.events.pop() else { break };
                    self.now = at;
                    self.happen(event)?;
                }
                (_, wake_at) => {
                    self.now = self.now.max(wake_at.unwrap_or(self.now));
                    self.outbox.expire(self.now);
                }
            }
            self.act()?;
        }
        Err("it never came to rest".into())
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Answered(item) if self.lives => self.add(item),
            // It is asked again by the next life.
            Event::Answered(item) => drop(self.ready.insert(id(item), self.now)),
            Event::Arrives(call) => self.arrive(call)?,
            Event::Again(call, life) if life == self.life && self.lives => self.arrive(call)?,
            Event::Returns(call, life, came) if life == self.life && self.lives => {
                self.come(call, came);
            }
            Event::Synced(life, count) if life == self.life && self.lives => {
                (self.synced, self.syncing) = (self.synced.max(count), false);
                self.let_go();
            }
            Event::Ends { power } if self.lives => {
                self.lives = false;
                if power {
                    // Some of what was not waited for may be there all the same.
                    let more = self.rng.below((self.disk.len() - self.synced) as u64 + 1);
                    self.disk.truncate(self.synced + usize::try_from(more).unwrap_or(0));
                }
                self.synced = self.disk.len();
                let away = if self.rng.one_in(4) { 900_000 } else { 3000 };
                self.soon(away, Event::Begins);
            }
            Event::Begins => self.begin(),
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self) {
        (self.lives, self.syncing) = (true, false);
        // This life does not know it.
        self.refused = None;
        self.life += 1;
        self.tickets.clear();
        if self.trouble(10) {
            self.set_back += Duration::from_secs(3600);
        }
        self.outbox = Outbox::new(5, Policy::default());
        let (mut memory, mut done) = (Memory::default(), BTreeSet::new());
        for record in &self.disk {
            if let Some(Entry::Arrived { id, index, .. }) = Entry::decode(record) {
                done.insert((id, index));
                if self.bug == Some(Bug::Forgets) {
                    continue;
                }
            }
            memory.read(record);
        }
        self.done = done;
        let mut items = memory.items();
        if self.bug == Some(Bug::Reorders) {
            items.reverse();
        }
        let known: BTreeSet<ItemId> = items.iter().map(|item| item.id).collect();
        for item in items {
            let wall = if self.bug == Some(Bug::Timeless) { item.added } else { self.wall() };
            self.outbox.restore(self.now, wall, item);
        }
        // What had not reached the disk is answered again.
        for item in 0..ITEMS {
            let is_over = memory.answered.already(id(item).chat, item + 1);
            if self.ready.contains_key(&id(item)) && !known.contains(&id(item)) && !is_over {
                self.add(item);
            }
        }
    }

    fn add(&mut self, item: u64) {
        self.ready.insert(id(item), self.now);
        let (now, wall) = (self.now, self.wall());
        self.outbox.add(now, wall, id(item), Answer::text(text(item)), false);
    }

    fn append(&mut self, entry: &Entry) {
        self.disk.push(entry.encode());
    }

    /// What is on the disk may go out.
    fn let_go(&mut self) {
        let synced = if self.bug == Some(Bug::Hasty) { usize::MAX } else { self.synced };
        let durable =
            self.tickets.iter().filter(|(at, _)| *at <= synced).map(|(_, ticket)| *ticket);
        if let Some(ticket) = durable.max() {
            self.outbox.kept(self.now, ticket);
        }
    }

    /// Does what the outbox says.
    fn act(&mut self) -> Result<(), String> {
        while self.lives
            && let Some(output) = self.outbox.poll()
        {
            match output {
                Output::Keep { ticket, item } => {
                    self.append(&Entry::Out(item));
                    self.tickets.push((self.disk.len(), ticket));
                    self.let_go();
                }
                Output::Send(send) => {
                    if self.done.contains(&(send.id, send.index)) {
                        return Err(format!("{:?} {} was known to be there", send.id, send.index));
                    }
                    self.calls.push((*send, false, self.life));
                    self.soon(200, Event::Arrives(self.calls.len() - 1));
                }
                Output::Look { send, .. } => {
                    self.calls.push((*send, true, self.life));
                    self.soon(200, Event::Arrives(self.calls.len() - 1));
                }
                Output::Arrived { id, index, message, kind } => {
                    self.append(&Entry::Arrived { id, index, message, kind });
                    self.done.insert((id, index));
                }
                Output::Settled { id, fate, .. } => {
                    self.append(&Entry::Settled(id));
                    self.fates.insert(id, fate);
                }
                Output::Skipped { what, .. } => return Err(format!("{what}")),
            }
        }
        if self.lives && !self.syncing && self.synced < self.disk.len() {
            self.syncing = true;
            self.soon(100, Event::Synced(self.life, self.disk.len()));
        }
        Ok(())
    }

    fn arrive(&mut self, call: usize) -> Result<(), String> {
        let (send, is_look, life) = self.calls[call].clone();
        if self.trouble(6) {
            // The way there is broken.
            self.soon(15_000, Event::Returns(call, life, Came::Nothing));
            return Ok(());
        }
        let came = if is_look { self.look(&send) } else { self.post(&send)? };
        let came = if self.trouble(6) { Came::Nothing } else { came };
        self.soon(200, Event::Returns(call, life, came));
        Ok(())
    }

    fn look(&self, send: &Send) -> Came {
        if self.bug == Some(Bug::NeverLooks) {
            return Came::Absent;
        }
        let Unit::Say { text, .. } = &send.unit else { return Came::Absent };
        let shown = self.shown.get(&send.to).into_iter().flatten();
        let mut same = shown.filter(|shown| *shown.text == **text);
        same.next().map_or(Came::Absent, |shown| Came::Message(shown.message))
    }

    fn post(&mut self, send: &Send) -> Result<Came, String> {
        let is_kept = self.disk.iter().take(self.synced).any(
            |record| matches!(Entry::decode(record), Some(Entry::Out(item)) if item.id == send.id),
        );
        if !is_kept {
            return Err(format!("{:?} went out before it was on the disk", send.id));
        }
        let ready = self.ready[&send.id];
        if self.set_back.is_zero() && self.now > ready + OUTBOX_TTL + ms(1000) {
            return Err(format!("{:?} went out although it was stale", send.id));
        }
        if send.to == self.closed.0 && self.now < self.closed.1 {
            let spared = ms(500)..OUTBOX_CHAT_CLOSED.saturating_sub(ms(500));
            if self.refused.is_some_and(|at| spared.contains(&self.now.since(at))) {
                return Err("a closed chat was asked again".into());
            }
            return Ok(Came::Forbidden);
        }
        let Unit::Say { text, .. } = &send.unit else { return Err("what is this?".into()) };
        let nonce = match self.bug {
            Some(Bug::FreshNonces) => format!("{} of life {}", send.nonce, self.life),
            _ => send.nonce.to_string(),
        };
        let (now, message) = (self.now, self.count + 1000);
        let shown = self.shown.entry(send.to).or_default();
        let known = shown.iter().find(|shown| shown.nonce == nonce && now.since(shown.at) < NONCES);
        if let Some(known) = known {
            return Ok(Came::Message(known.message));
        }
        shown.push(Shown { message, nonce, text: text.to_string(), at: now });
        Ok(Came::Message(message))
    }

    fn come(&mut self, call: usize, came: Came) {
        let send = &self.calls[call].0;
        let (chat, now, deadline) = (send.chat, self.now, send.deadline);
        if came == Came::Forbidden {
            // Each refusal closes it anew; those under way meanwhile do not.
            if self.refused.is_none_or(|at| now.since(at) > ms(500)) {
                self.refused = Some(now);
            }
        }
        if came != Came::Nothing && self.trouble(20) {
            // Between what is written of it and the disk.
            self.soon(60, Event::Ends { power: true });
        }
        match came {
            Came::Message(message) => self.outbox.delivered(now, chat, message),
            Came::Absent => self.outbox.absent(now, chat),
            Came::Forbidden if self.bug == Some(Bug::KeepsTrying) => {
                self.outbox.failed(now, chat, Why::Lost);
            }
            Came::Forbidden => self.outbox.failed(now, chat, Why::Forbidden),
            Came::Nothing if self.bug == Some(Bug::Pretends) => self.outbox.delivered(now, chat, 1),
            // The same call is made again as long as there is time.
            Came::Nothing if now + ms(3000) < deadline => {
                self.soon(3000, Event::Again(call, self.life));
            }
            Came::Nothing if self.calls[call].1 => self.outbox.unseen(now, chat, false),
            Came::Nothing => self.outbox.failed(now, chat, Why::Expired),
        }
    }

    fn judge(&self) -> Result<(), String> {
        for item in 0..ITEMS {
            let shown = self.shown.get(&id(item).chat.id).map_or(&[][..], Vec::as_slice);
            let parts = text(item);
            let count = |part: &str| shown.iter().filter(|shown| shown.text == part).count();
            let counts: Vec<usize> = parts.split(' ').map(count).collect();
            if counts.iter().any(|&count| count > 1) {
                return Err(format!("item {item} is shown twice: {counts:?}"));
            }
            match self.fates.get(&id(item)) {
                None => return Err(format!("item {item} was never settled")),
                Some(Fate::Delivered) if counts.contains(&0) => {
                    return Err(format!("item {item} is said to be there: {counts:?}"));
                }
                _ => {}
            }
        }
        for shown in self.shown.values() {
            if !shown.is_sorted_by_key(|shown| &shown.text) {
                let texts: Vec<&str> = shown.iter().map(|shown| &*shown.text).collect();
                return Err(format!("out of order: {texts:?}"));
            }
        }
        Ok(())
    }
}

#[test]
fn whatever_breaks_each_message_is_shown_once_and_in_order_or_accounted_for() {
    for seed in 0..400 {
        if let Err(what) = run(seed, None) {
            panic!("seed {seed}: {what}");
        }
    }
}

#[test]
fn planted_bugs_are_caught() {
    for bug in BUGS {
        let caught = (0..100).find_map(|seed| run(seed, Some(bug)).err());
        assert!(caught.is_some(), "{bug:?} went unnoticed");
    }
}
