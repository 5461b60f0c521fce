//! The turns among many chats, in virtual time, by seed.
//!
//! People write in bursts, each chat by a rule of its own; agents answer, fail, hear what is said
//! meanwhile or do not, hang until their deadline, and are told to stop. What must hold is checked
//! as it happens; that the checks bite is shown by planting bugs between the machine and the world.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::time::Duration;

use super::*;
use crate::base::limits::{TURN_BURST_PAUSES_MAX, TURN_INTERRUPTS_MAX, TURNS_RUNNING_MAX};
use crate::base::{Instant, Rng};
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
    /// What was broken off answers all the same.
    AnswersBroken,
    /// The youngest message is answered first.
    Reverses,
    /// What a turn was told counts as heard, whether or not it was.
    DeafCounts,
    /// What was not heard is answered twice: with that turn, and by its own.
    HeardTwice,
    /// A burst is never over.
    BurstForEver,
    /// What goes into another's turn is not told.
    JoinsSilently,
    /// A turn is broken off as often as somebody writes.
    NeverDone,
    /// More wait than may.
    Overflows,
}

const BUGS: [Bug; 17] = [
    Bug::TwoAtOnce,
    Bug::Loses,
    Bug::NoApology,
    Bug::NeverOver,
    Bug::Starves,
    Bug::ForgetsAfterStop,
    Bug::StopsSilently,
    Bug::StopsOthers,
    Bug::AnswersStopped,
    Bug::AnswersBroken,
    Bug::Reverses,
    Bug::DeafCounts,
    Bug::HeardTwice,
    Bug::BurstForEver,
    Bug::JoinsSilently,
    Bug::NeverDone,
    Bug::Overflows,
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
    /// A burst may be over.
    Due,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum End {
    Answered,
    TooSlow,
    Refused,
    Stopped,
    Joined,
}

/// A turn under way, as the world sees it.
struct Work {
    message: u64,
    /// What was told to it.
    told: VecDeque<u64>,
}

struct Run {
    bug: Option<Bug>,
    now: u64,
    turns: Turns<u64>,
    rng: Rng,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    pushed: u64,
    rules: BTreeMap<u64, Rule>,
    /// The chat of each message, and who wrote it when.
    chats: BTreeMap<u64, (u64, u64, u64)>,
    /// What was taken in and not begun, by chat.
    waiting: BTreeMap<u64, BTreeSet<u64>>,
    /// What is being worked on, by chat.
    running: BTreeMap<u64, Work>,
    /// How often in a row a chat's turn was broken off.
    breaks: BTreeMap<u64, u8>,
    /// Since when no turn of a chat runs.
    idle: BTreeMap<u64, u64>,
    /// Turns of others that began since a chat could have begun.
    passed_over: BTreeMap<u64, usize>,
    told: BTreeMap<u64, End>,
    was_stopped: BTreeSet<u64>,
    /// With a bug: turns that are kept from their chat.
    withheld: Vec<(u64, Vec<Part<u64>>)>,
}

fn room(chat: u64) -> Room {
    Room { account: "default".into(), chat: ChatId { channel: ChannelKind::Discord, id: chat } }
}

fn rule(rng: &mut Rng) -> Rule {
    let mode = [Mode::Queue, Mode::Collect, Mode::Interrupt, Mode::Steer];
    let make = [Make::None, Make::Old, Make::Summary];
    let any = |rng: &mut Rng, count: u64| usize::try_from(rng.below(count)).unwrap_or(0);
    Rule {
        mode: mode[any(rng, 4)],
        make: make[any(rng, 3)],
        cap: 1 + any(rng, 12),
        pause: Duration::from_millis(if rng.one_in(2) { 0 } else { 1 + rng.below(30) }),
    }
}

fn run(seed: u64, bug: Option<Bug>) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let rules = (0..CHATS).map(|chat| (chat, rule(&mut rng))).collect();
    let mut run = Run {
        bug,
        now: 0,
        turns: Turns::default(),
        rng,
        events: BinaryHeap::new(),
        pushed: 0,
        rules,
        chats: BTreeMap::new(),
        waiting: BTreeMap::new(),
        running: BTreeMap::new(),
        breaks: BTreeMap::new(),
        idle: BTreeMap::new(),
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
        let (chat, author) = (run.rng.below(chats), run.rng.below(3));
        run.chats.insert(message, (chat, author, at));
        run.push(at, Event::Asked(message));
        if run.rng.one_in(15) {
            run.push(at, Event::Stop(chat));
        }
    }
    while let Some(Reverse((at, _, event))) = run.events.pop() {
        run.now = at;
        run.happen(event)?;
        if !run.has(Bug::BurstForEver) {
            run.turns.expire(run.instant());
        }
        run.follow()?;
        if let Some(due) = run.turns.deadline()
            && !run.has(Bug::BurstForEver)
        {
            let at = due.0 / 1_000_000;
            if at < run.now {
                return Err("a burst is over and nobody noticed".into());
            }
            run.push(at.max(run.now + 1), Event::Due);
        }
    }
    run.judge()
}

impl Run {
    fn push(&mut self, at: u64, event: Event) {
        self.pushed += 1;
        self.events.push(Reverse((at, self.pushed, event)));
    }

    fn instant(&self) -> Instant {
        Instant(self.now * 1_000_000)
    }

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Due => Ok(()),
            Event::Asked(message) => {
                self.ask(message);
                Ok(())
            }
            Event::Stop(chat) => {
                let meant = if self.has(Bug::StopsOthers) && self.rng.one_in(3) {
                    (chat + 1) % CHATS
                } else {
                    chat
                };
                self.stop(chat, meant)
            }
            Event::Ends(chat, message, end) => self.end(chat, message, end),
        }
    }

    fn end(&mut self, chat: u64, message: u64, end: End) -> Result<(), String> {
        if self.running.get(&chat).is_none_or(|work| work.message != message) {
            // It was stopped or broken off; in the real world its task is gone.
            let was_stopped = self.told.get(&message) == Some(&End::Stopped);
            let answers = if was_stopped { Bug::AnswersStopped } else { Bug::AnswersBroken };
            return if self.has(answers) { self.tell(message, end) } else { Ok(()) };
        }
        let Some(work) = self.running.remove(&chat) else { return Ok(()) };
        self.breaks.remove(&chat);
        self.idle.insert(chat, self.now);
        if !(self.has(Bug::NoApology) && end == End::TooSlow) {
            self.tell(message, end)?;
        }
        if self.has(Bug::NeverOver) && end == End::TooSlow {
            return Ok(());
        }
        let can_hear = end == End::Answered;
        let heard = if can_hear { self.rng.below(work.told.len() as u64 + 1) } else { 0 };
        let heard = usize::try_from(heard).unwrap_or(0);
        let said = if self.has(Bug::DeafCounts) { work.told.len() } else { heard };
        let told = self.turns.heard(&room(chat), said);
        self.turns.finished(&room(chat));
        if told.len() != heard || told.iter().ne(work.told.iter().take(heard)) {
            return Err(format!("chat {chat}: {told:?} count as heard, and {heard} were"));
        }
        for &message in work.told.iter().take(if self.has(Bug::HeardTwice) { 99 } else { heard }) {
            self.tell(message, End::Joined)?;
        }
        let unheard = work.told.into_iter().skip(heard);
        self.waiting.entry(chat).or_default().extend(unheard);
        self.note_ready(chat);
        Ok(())
    }

    fn ask(&mut self, message: u64) {
        let (chat, author, _) = self.chats[&message];
        self.waiting.entry(chat).or_default().insert(message);
        let lost = self.has(Bug::Loses) && self.rng.one_in(50)
            || self.has(Bug::ForgetsAfterStop) && self.was_stopped.contains(&chat);
        if lost {
            return;
        }
        let place = if self.has(Bug::TwoAtOnce) { room(chat + 1000 * message) } else { room(chat) };
        let mut rule = self.rules[&chat];
        if self.has(Bug::Overflows) {
            rule.cap *= 2;
        }
        let party = (!self.rng.one_in(10)).then(|| ("main".into(), 0));
        let was = self.waiting[&chat].len() - 1;
        let asked = Asked { room: place, message, author, party, rule };
        self.turns.ask(self.instant(), asked);
        if was == 0 {
            self.note_ready(chat);
        }
    }

    fn stop(&mut self, chat: u64, meant: u64) -> Result<(), String> {
        self.was_stopped.insert(chat);
        let stopped = self.turns.stop(&room(meant));
        self.passed_over.remove(&meant);
        self.breaks.remove(&meant);
        let ran = self.running.remove(&meant);
        if stopped.was_running != ran.is_some() {
            return Err(format!("chat {meant}: what runs is not what is stopped"));
        }
        if let Some(work) = ran {
            self.tell(work.message, End::Stopped)?;
            self.waiting.entry(meant).or_default().extend(work.told);
        }
        for message in stopped.waiting {
            self.waiting.entry(meant).or_default().remove(&message);
            if !self.has(Bug::StopsSilently) {
                self.tell(message, End::Stopped)?;
            }
        }
        // Whatever was said before the order is over now.
        match (self.running.get(&chat), self.waiting.get(&chat).and_then(BTreeSet::first)) {
            (Some(work), _) => Err(format!("{} still runs after a stop in {chat}", work.message)),
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

    /// Does all that the machine says.
    fn follow(&mut self) -> Result<(), String> {
        while let Some(next) = self.turns.poll() {
            match next {
                Next::Begin(place, parts) if self.has(Bug::Starves) && place == room(0) => {
                    self.withheld.push((0, parts));
                }
                Next::Begin(_, parts) => self.begin(parts)?,
                Next::Break(place) => self.broken(place.chat.id)?,
                Next::Steer(place, message) => {
                    let chat = place.chat.id;
                    self.waiting.entry(chat).or_default().remove(&message);
                    let work = self.running.get_mut(&chat).ok_or("nothing runs to be told")?;
                    work.told.push_back(message);
                }
                Next::Refuse(place, message) => {
                    let chat = place.chat.id;
                    self.waiting.entry(chat).or_default().remove(&message);
                    self.tell(message, End::Refused)?;
                }
            }
        }
        // Its place is taken meanwhile, so that those that pass it over are what is noticed.
        if self.running.is_empty() {
            for (_, parts) in std::mem::take(&mut self.withheld) {
                self.begin(parts)?;
            }
        }
        self.look_round()
    }

    /// That nobody waits who need not, and no more than may.
    fn look_round(&self) -> Result<(), String> {
        for (chat, waiting) in &self.waiting {
            let rule = self.rules[chat];
            // What interrupts may bring the broken off turn's messages with it, and what makes
            // room goes along cut.
            let most = 2 * rule.cap + 2;
            let most = if self.rules[chat].mode == Mode::Queue && rule.make != Make::Summary {
                rule.cap
            } else {
                most
            };
            if waiting.len() > most {
                return Err(format!("{} wait in chat {chat}", waiting.len()));
            }
            let Some(first) = waiting.first() else { continue };
            let longest = rule.pause * TURN_BURST_PAUSES_MAX + Duration::from_millis(2);
            let came = self.chats[first].2.max(self.idle.get(chat).copied().unwrap_or(0));
            let has_waited = u128::from(self.now - came) > longest.as_millis();
            let could = self.is_ready(*chat) && self.running.len() < TURNS_RUNNING_MAX;
            if could && has_waited && !self.has(Bug::Starves) {
                return Err(format!("{first} waits in chat {chat} although there is a place"));
            }
        }
        Ok(())
    }

    fn broken(&mut self, chat: u64) -> Result<(), String> {
        let work = self.running.remove(&chat).ok_or("nothing runs to be broken off")?;
        let breaks = self.breaks.entry(chat).or_default();
        *breaks += 1;
        let times = if self.bug == Some(Bug::NeverDone) { u8::MAX } else { *breaks };
        if times > TURN_INTERRUPTS_MAX {
            return Err(format!("chat {chat} was broken off {times} times in a row"));
        }
        let waiting = self.waiting.entry(chat).or_default();
        waiting.insert(work.message);
        waiting.extend(work.told);
        self.note_ready(chat);
        Ok(())
    }

    fn begin(&mut self, mut parts: Vec<Part<u64>>) -> Result<(), String> {
        if self.has(Bug::Reverses) {
            parts.reverse();
        }
        let message = parts.last().ok_or("a turn of nothing")?.message;
        let (chat, author, _) = self.chats[&message];
        if parts.windows(2).any(|pair| pair[0].message >= pair[1].message) {
            return Err(format!("{parts:?} are not in order"));
        }
        for part in &parts {
            if self.told.get(&part.message).is_some_and(|&end| end != End::Joined) {
                return Err(format!("{} begins although it is over", part.message));
            }
            if part.how == How::Burst
                && self.chats[&part.message].1 != author
                && parts.iter().all(|part| matches!(part.how, How::Burst | How::Own))
            {
                return Err(format!("{parts:?} are a burst of several people"));
            }
            self.waiting.entry(chat).or_default().remove(&part.message);
            let is_new = self.told.get(&part.message) != Some(&End::Joined);
            if part.message != message && is_new && !self.has(Bug::JoinsSilently) {
                self.tell(part.message, End::Joined)?;
            }
        }
        if let Some(older) = self.waiting[&chat].first().filter(|older| **older < message) {
            return Err(format!("{message} begins while {older} waits"));
        }
        let work = Work { message, told: VecDeque::new() };
        if let Some(other) = self.running.insert(chat, work) {
            return Err(format!("{} and {message} run at once in chat {chat}", other.message));
        }
        if self.running.len() > TURNS_RUNNING_MAX {
            return Err("more turns than may run at once".into());
        }
        self.passed_over.remove(&chat);
        for (other, count) in &mut self.passed_over {
            *count += 1;
            // A chat may be broken off again and again, and go to the end of the line each time.
            if *count > usize::try_from(CHATS).unwrap_or(0) * usize::from(TURN_INTERRUPTS_MAX) {
                return Err(format!("chat {other} was passed over {count} times"));
            }
        }
        if self.rng.one_in(2) {
            self.turns.can_hear(&room(chat));
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
            None if self.turns.rooms() > 0 => Err("a chat is never forgotten".into()),
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
