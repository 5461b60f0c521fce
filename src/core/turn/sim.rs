//! The turns among many chats, in virtual time, by seed.
//!
//! People write in bursts, agents answer, fail, hang until their deadline, and are told to stop.
//! What must hold is checked as it happens; that the checks bite is shown by planting bugs between
//! the machine and the world.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::*;
use crate::base::Rng;
use crate::core::chat::ChannelKind;

/// What is put between machine and world to break a promise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bug {
    /// Two messages of one chat are worked on at once.
    TwoAtOnce,
    /// Some messages are never heard of again.
    Loses,
    /// A turn that took too long is not excused.
    NoApology,
    /// A turn that took too long is never over.
    NeverOver,
    /// One chat waits for as long as any other has something to say.
    Starves,
    /// A chat that was once stopped is never served again.
    ForgetsAfterStop,
    /// What waited when the order came is dropped without a word.
    StopsSilently,
    /// The order ends another chat's turn too.
    StopsOthers,
    /// What was stopped answers all the same.
    AnswersStopped,
    /// The youngest message is answered first.
    Reverses,
}

const BUGS: [Bug; 10] = [
    Bug::TwoAtOnce,
    Bug::Loses,
    Bug::NoApology,
    Bug::NeverOver,
    Bug::Starves,
    Bug::ForgetsAfterStop,
    Bug::StopsSilently,
    Bug::StopsOthers,
    Bug::AnswersStopped,
    Bug::Reverses,
];

/// More than may run at once.
const CHATS: u64 = TURNS_RUNNING_MAX as u64 + 8;
const MESSAGES: u64 = 600;
const DEADLINE: u64 = 500;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Event {
    /// A person writes; the message's number.
    Asked(u64),
    /// A person orders a stop in this chat.
    Stop(u64),
    /// The turn of this chat and message has an answer, or reaches its deadline.
    Ends(u64, u64, End),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum End {
    Answered,
    TooSlow,
    Refused,
    Stopped,
}

struct Run {
    bug: Option<Bug>,
    now: u64,
    turns: Turns<u64>,
    rng: Rng,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    pushed: u64,
    /// The chat of each message.
    chats: BTreeMap<u64, u64>,
    /// What was taken in and not begun, by chat.
    waiting: BTreeMap<u64, VecDeque<u64>>,
    /// What is being worked on, by chat.
    running: BTreeMap<u64, u64>,
    /// Turns of others that began since a chat could have begun.
    passed_over: BTreeMap<u64, usize>,
    told: BTreeMap<u64, End>,
    was_stopped: BTreeSet<u64>,
    /// With a bug: turns that are kept from their chat.
    withheld: Vec<u64>,
}

fn room(chat: u64) -> Room {
    Room { account: "default".into(), chat: ChatId { channel: ChannelKind::Discord, id: chat } }
}

fn run(seed: u64, bug: Option<Bug>) -> Result<(), String> {
    let mut run = Run {
        bug,
        now: 0,
        turns: Turns::default(),
        rng: Rng::new(seed),
        events: BinaryHeap::new(),
        pushed: 0,
        chats: BTreeMap::new(),
        waiting: BTreeMap::new(),
        running: BTreeMap::new(),
        passed_over: BTreeMap::new(),
        told: BTreeMap::new(),
        was_stopped: BTreeSet::new(),
        withheld: Vec::new(),
    };
    let mut at = 0;
    // Some write much, so that now and then one is refused.
    let busy = 1 + run.rng.below(CHATS);
    for message in 0..MESSAGES {
        at += if run.rng.one_in(20) { run.rng.below(800) } else { run.rng.below(12) };
        let chats = if run.rng.one_in(2) { CHATS } else { busy };
        let chat = run.rng.below(chats);
        run.chats.insert(message, chat);
        run.push(at, Event::Asked(message));
        if run.rng.one_in(15) {
            run.push(at, Event::Stop(chat));
        }
    }
    while let Some(Reverse((at, _, event))) = run.events.pop() {
        run.now = at;
        run.happen(event)?;
        run.begin()?;
    }
    run.judge()
}

impl Run {
    fn push(&mut self, at: u64, event: Event) {
        self.pushed += 1;
        self.events.push(Reverse((at, self.pushed, event)));
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Asked(message) => self.ask(message),
            Event::Stop(chat) => {
                let meant = if self.has(Bug::StopsOthers) && self.rng.one_in(3) {
                    (chat + 1) % CHATS
                } else {
                    chat
                };
                self.stop(chat, meant)
            }
            Event::Ends(chat, message, end) => {
                if self.running.get(&chat) != Some(&message) {
                    // It was stopped; in the real world its task is gone.
                    let answers_yet = self.has(Bug::AnswersStopped);
                    return if answers_yet { self.tell(message, end) } else { Ok(()) };
                }
                self.running.remove(&chat);
                if !(self.has(Bug::NoApology) && end == End::TooSlow) {
                    self.tell(message, end)?;
                }
                if !(self.has(Bug::NeverOver) && end == End::TooSlow) {
                    self.turns.finished(&room(chat));
                }
                self.note_ready(chat);
                Ok(())
            }
        }
    }

    fn ask(&mut self, message: u64) -> Result<(), String> {
        let chat = self.chats[&message];
        let lost = self.has(Bug::Loses) && self.rng.one_in(50)
            || self.has(Bug::ForgetsAfterStop) && self.was_stopped.contains(&chat);
        if lost {
            self.waiting.entry(chat).or_default().push_back(message);
            return Ok(());
        }
        let place = if self.has(Bug::TwoAtOnce) { room(chat + 1000 * message) } else { room(chat) };
        match self.turns.ask(place, message) {
            Ok(()) => {
                let queue = self.waiting.entry(chat).or_default();
                queue.push_back(message);
                if queue.len() > TURNS_QUEUED_PER_CHAT_MAX && !self.is_ready(chat) {
                    return Err(format!("chat {chat} has more waiting than there is room for"));
                }
                if self.waiting[&chat].len() == 1 {
                    self.note_ready(chat);
                }
                Ok(())
            }
            Err(back) => {
                let waits = self.waiting.get(&chat).map_or(0, VecDeque::len);
                if waits < TURNS_QUEUED_PER_CHAT_MAX {
                    return Err(format!("{back} was refused although only {waits} waited"));
                }
                self.tell(back, End::Refused)
            }
        }
    }

    fn stop(&mut self, chat: u64, meant: u64) -> Result<(), String> {
        self.was_stopped.insert(chat);
        let stopped = self.turns.stop(&room(meant));
        self.passed_over.remove(&meant);
        let ran = self.running.get(&meant).copied();
        if stopped.was_running != ran.is_some() {
            return Err(format!("chat {meant}: what runs is not what is stopped"));
        }
        if let Some(message) = ran {
            self.running.remove(&meant);
            self.tell(message, End::Stopped)?;
        }
        for message in stopped.waiting {
            self.waiting.entry(meant).or_default().retain(|&other| other != message);
            if !self.has(Bug::StopsSilently) {
                self.tell(message, End::Stopped)?;
            }
        }
        // Whatever was said before the order is over now.
        match (self.running.get(&chat), self.waiting.get(&chat).and_then(VecDeque::front)) {
            (Some(message), _) => Err(format!("{message} still runs after a stop in {chat}")),
            (_, Some(message)) => Err(format!("{message} still waits after a stop in {chat}")),
            (None, None) => Ok(()),
        }
    }

    fn is_ready(&self, chat: u64) -> bool {
        !self.running.contains_key(&chat)
    }

    fn note_ready(&mut self, chat: u64) {
        if self.is_ready(chat) && self.waiting.get(&chat).is_some_and(|queue| !queue.is_empty()) {
            self.passed_over.insert(chat, 0);
        }
    }

    /// Begins all turns that the machine lets begin.
    fn begin(&mut self) -> Result<(), String> {
        while let Some((place, message)) = self.turns.poll() {
            if self.has(Bug::Starves) && place == room(0) {
                self.withheld.push(message);
                continue;
            }
            self.begin_one(message)?;
        }
        // Its place is taken meanwhile, so that those that pass it over are what is noticed.
        if self.running.is_empty() {
            for message in std::mem::take(&mut self.withheld) {
                self.begin_one(message)?;
            }
        }
        let could = |chat: &u64| self.is_ready(*chat) && !self.waiting[chat].is_empty();
        if self.running.len() < TURNS_RUNNING_MAX
            && let Some(idle) = self.waiting.keys().find(|chat| could(chat))
            && !self.has(Bug::Starves)
        {
            return Err(format!("chat {idle} waits although there is a place"));
        }
        Ok(())
    }

    fn begin_one(&mut self, message: u64) -> Result<(), String> {
        let chat = self.chats[&message];
        if self.told.contains_key(&message) {
            return Err(format!("{message} begins although it is over"));
        }
        let queue = self.waiting.entry(chat).or_default();
        let message = match queue.back() {
            Some(&last) if self.bug == Some(Bug::Reverses) => last,
            _ => message,
        };
        let turn = queue.pop_front();
        if turn != Some(message) {
            return Err(format!("{message} begins, but it is the turn of {turn:?}"));
        }
        if let Some(other) = self.running.insert(chat, message) {
            return Err(format!("{other} and {message} run at once in chat {chat}"));
        }
        if self.running.len() > TURNS_RUNNING_MAX {
            return Err("more turns than may run at once".into());
        }
        self.passed_over.remove(&chat);
        for (other, count) in &mut self.passed_over {
            *count += 1;
            if *count > usize::try_from(CHATS).unwrap_or(usize::MAX) {
                return Err(format!("chat {other} was passed over {count} times"));
            }
        }
        let hangs = self.rng.one_in(10);
        let (after, end) = if hangs {
            (DEADLINE, End::TooSlow)
        } else {
            (self.rng.below(DEADLINE), End::Answered)
        };
        self.push(self.now + after, Event::Ends(chat, message, end));
        Ok(())
    }

    fn tell(&mut self, message: u64, end: End) -> Result<(), String> {
        match self.told.insert(message, end) {
            Some(before) => Err(format!("{message} was told as {before:?} and as {end:?}")),
            None => Ok(()),
        }
    }

    fn judge(&self) -> Result<(), String> {
        match (0..MESSAGES).find(|message| !self.told.contains_key(message)) {
            Some(message) => Err(format!("nothing was ever told of {message}")),
            None if self.turns.running() > 0 => Err("a turn is never over".into()),
            None => Ok(()),
        }
    }
}

#[test]
fn every_message_has_one_end_in_order_and_no_chat_waits_for_ever() {
    for seed in 0..300 {
        if let Err(what) = run(seed, None) {
            panic!("seed {seed}: {what}");
        }
    }
}

#[test]
fn planted_bugs_are_caught() {
    for bug in BUGS {
        let caught = (0..30).find_map(|seed| run(seed, Some(bug)).err());
        assert!(caught.is_some(), "{bug:?} went unnoticed");
    }
}
