//! Whose turn it is: one at a time in each chat, several chats at once, first come first served
//! among chats.
//!
//! What comes while a turn of its chat runs waits, by default for a turn of its own. By the rule of
//! its chat all that waited becomes one turn, or what runs is broken off and begun anew with it, or
//! it is handed to the turn that runs; what such a turn has not heard by its end waits like
//! anything else. A burst of the same author is one message. Whatever is taken in is begun, goes
//! into another's turn, is refused or is stopped: one of these, once, and in the order in which it
//! came.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use super::Room;
use crate::base::Instant;
use crate::base::limits::{
    TURN_BURST_PAUSES_MAX, TURN_INTERRUPTS_MAX, TURNS_QUEUED_PER_CHAT_MAX, TURNS_RUNNING_MAX,
};
use crate::core::chat::ChannelKind;

/// What becomes of a message that comes while a turn of its chat runs (`messages.queue.mode`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// It waits for a turn of its own.
    #[default]
    Queue,
    /// It waits, and all that waited is one turn.
    Collect,
    /// The turn is broken off, and begins anew with it.
    Interrupt,
    /// The turn may hear it; if it ends before, it waits for one of its own.
    Steer,
}

/// How room is made where too many wait (`messages.queue.drop`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Make {
    /// It is not: the new one is refused.
    #[default]
    None,
    /// The oldest is refused.
    Old,
    /// The oldest goes, cut short, into the next turn.
    Summary,
}

/// The rule of a chat.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// What becomes of what comes during a turn.
    pub mode: Mode,
    /// How many may wait.
    pub cap: usize,
    /// How room is made.
    pub make: Make,
    /// A message waits for so long for the next of its author; the two are one.
    pub pause: Duration,
}

impl Default for Rule {
    fn default() -> Rule {
        Rule {
            mode: Mode::default(),
            cap: TURNS_QUEUED_PER_CHAT_MAX,
            make: Make::default(),
            pause: Duration::ZERO,
        }
    }
}

/// The rules of all chats.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rules {
    /// What holds where nothing else does.
    pub usual: Rule,
    /// The modes of single services …
    pub modes: Vec<(ChannelKind, Mode)>,
    /// … and their pauses.
    pub pauses: Vec<(ChannelKind, Duration)>,
}

impl Rules {
    /// What holds for a chat of `channel`.
    #[must_use]
    pub fn of(&self, channel: ChannelKind) -> Rule {
        let mode = self.modes.iter().find(|(of, _)| *of == channel).map(|(_, mode)| *mode);
        let pause = self.pauses.iter().find(|(of, _)| *of == channel).map(|(_, pause)| *pause);
        let Rule { mode: usual, pause: usually, .. } = self.usual;
        Rule { mode: mode.unwrap_or(usual), pause: pause.unwrap_or(usually), ..self.usual }
    }
}

/// Who answers in which conversation: only what has this in common can share a turn.
pub type Party = (Box<str>, u32);

/// A message, and what is to be known of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked<T> {
    /// Where it was said.
    pub room: Room,
    /// The message.
    pub message: T,
    /// Who said it.
    pub author: u64,
    /// Who answers; `None` if it must have a turn to itself, at once: somebody waits for just that.
    pub party: Option<Party>,
    /// What holds for it.
    pub rule: Rule,
}

/// Why a message is in a turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// It is answered.
    Own,
    /// Its author went on at once.
    Burst,
    /// It had waited together with others.
    Collected,
    /// Its own turn was broken off by the next message.
    Interrupted,
    /// It was told to the turn that ran.
    Steered,
    /// It had to make room, and goes along cut short.
    Cut,
}

impl How {
    /// The reasons for which a message has no turn of its own.
    pub const ALL: [How; 5] =
        [How::Burst, How::Collected, How::Interrupted, How::Steered, How::Cut];

    /// The word for the trail.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            How::Own => "own",
            How::Burst => "burst",
            How::Collected => "collected",
            How::Interrupted => "interrupted",
            How::Steered => "steered",
            How::Cut => "summarized",
        }
    }
}

/// The sentence for people, with what holds in `messages`.
impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            How::Own => "it has a turn of its own",
            How::Burst => "its author went on at once (messages.inbound.debounceMs)",
            How::Collected => "it waited with others (messages.queue.mode: \"collect\")",
            How::Interrupted => {
                "its turn was broken off by the next message (messages.queue.mode: \"interrupt\")"
            }
            How::Steered => "the turn that ran has heard it (messages.queue.mode: \"steer\")",
            How::Cut => {
                "too many waited, and it goes along cut short (messages.queue.drop: \"summarize\")"
            }
        })
    }
}

/// A message in a turn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part<T> {
    /// The message.
    pub message: T,
    /// Why it is there.
    pub how: How,
}

/// What happens next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next<T> {
    /// The turn that runs there is to be broken off; for the machine it is over, and its messages
    /// are in one that begins later.
    Break(Room),
    /// The turn that runs there may hear this.
    Steer(Room, T),
    /// It will not be answered: too many wait.
    Refuse(Room, T),
    /// A turn begins, to answer the last of these. Every one must be
    /// [`finished`](Turns::finished), unless it is broken off or [`stopped`](Turns::stop).
    Begin(Room, Vec<Part<T>>),
}

/// What an order to stop has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stopped<T> {
    /// Whether a turn was running. It is to be broken off; for the machine it is over.
    pub was_running: bool,
    /// What was waiting, the oldest first.
    pub waiting: VecDeque<T>,
}

/// The messages that wait for an agent.
#[derive(Debug)]
pub struct Turns<T> {
    /// Each room of which a turn is running or waits.
    rooms: BTreeMap<Room, Line<T>>,
    /// The rooms whose turn can begin.
    ready: VecDeque<Room>,
    running: usize,
    refused: u64,
    outputs: VecDeque<Next<T>>,
}

/// What there is of one room, in the order in which it came: cut, running, steered, waiting,
/// gathering.
#[derive(Debug)]
struct Line<T> {
    /// What had to make room and goes along with the next turn of its party.
    cut: Vec<(T, Option<Party>)>,
    running: Option<Running<T>>,
    waiting: VecDeque<Group<T>>,
    burst: Option<Burst<T>>,
}

/// What will be one turn.
#[derive(Debug)]
struct Group<T> {
    parts: Vec<Part<T>>,
    party: Option<Party>,
    mode: Mode,
    /// How often it was broken off …
    breaks: u8,
    /// … and how many of its messages were in it then: the last of these was to be answered, and
    /// of the others it is told already that they go along with it.
    begun: usize,
    /// Whether it is older than whatever was cut: a turn was told of it.
    is_old: bool,
}

#[derive(Debug)]
struct Running<T> {
    group: Group<T>,
    /// Whether it can hear more.
    can_hear: bool,
    /// What it was told, and has perhaps not heard.
    told: VecDeque<T>,
}

/// Messages of one author that came in quick succession.
#[derive(Debug)]
struct Burst<T> {
    author: u64,
    messages: Vec<T>,
    party: Option<Party>,
    rule: Rule,
    /// When it is over, if nothing more comes …
    until: Instant,
    /// … and in any case.
    end: Instant,
}

impl<T> Default for Turns<T> {
    fn default() -> Turns<T> {
        let (rooms, ready, outputs) = (BTreeMap::new(), VecDeque::new(), VecDeque::new());
        Turns { rooms, ready, running: 0, refused: 0, outputs }
    }
}

impl<T> Default for Line<T> {
    fn default() -> Line<T> {
        let (cut, waiting) = (Vec::new(), VecDeque::new());
        Line { cut, running: None, waiting, burst: None }
    }
}

impl<T: Clone> Turns<T> {
    /// Takes in a message.
    pub fn ask(&mut self, now: Instant, asked: Asked<T>) {
        let Asked { room, message, author, party, rule } = asked;
        let line = self.rooms.entry(room.clone()).or_default();
        // What comes in between ends a burst, and comes after it.
        let goes_on = line.burst.as_ref().is_some_and(|burst| {
            burst.author == author && burst.party == party && !rule.pause.is_zero()
        });
        // However much of it has to make room, it ends when it was to end.
        let end = line.burst.as_ref().filter(|_| goes_on).map(|burst| burst.end);
        if !goes_on {
            self.end_burst(&room);
        }
        if let Err(message) = self.make_room(&room, rule, party.as_ref(), message.clone()) {
            return self.refuse(room, message);
        }
        let line = self.rooms.entry(room.clone()).or_default();
        if let Some(burst) = &mut line.burst {
            burst.messages.push(message);
            burst.until = burst.end.min(now + rule.pause);
            burst.rule = rule;
        } else if party.is_some() && !rule.pause.is_zero() {
            let end = end.unwrap_or(now + rule.pause.saturating_mul(TURN_BURST_PAUSES_MAX));
            let (messages, until) = (vec![message], end.min(now + rule.pause));
            line.burst = Some(Burst { author, messages, party, rule, until, end });
        } else {
            let parts = vec![Part { message, how: How::Own }];
            self.enter(
                &room,
                Group { parts, party, mode: rule.mode, breaks: 0, begun: 0, is_old: false },
            );
        }
    }

    /// What happens next.
    pub fn poll(&mut self) -> Option<Next<T>> {
        if let Some(next) = self.outputs.pop_front() {
            return Some(next);
        }
        if self.running >= TURNS_RUNNING_MAX {
            return None;
        }
        loop {
            let room = self.ready.pop_front()?;
            // What waited there may have made room for others.
            let Some(line) = self.rooms.get_mut(&room) else { continue };
            let Some(group) = line.next_turn() else { continue };
            let parts = group.parts.clone();
            line.running = Some(Running { group, can_hear: false, told: VecDeque::new() });
            self.running += 1;
            return Some(Next::Begin(room, parts));
        }
    }

    /// The turn that has just begun in `room` can hear more while it runs.
    pub fn can_hear(&mut self, room: &Room) {
        if let Some(running) = self.rooms.get_mut(room).and_then(|line| line.running.as_mut()) {
            running.can_hear = true;
        }
    }

    /// The turn that runs in `room` has heard so many of what it was told and had not heard yet:
    /// these are answered with it.
    pub fn heard(&mut self, room: &Room, count: usize) -> Vec<T> {
        let running = self.rooms.get_mut(room).and_then(|line| line.running.as_mut());
        let Some(Running { told, .. }) = running else { return Vec::new() };
        told.drain(..count.min(told.len())).collect()
    }

    /// The turn that ran in `room` is over; what it was told and has not heard waits. Of a room in
    /// which none runs this means nothing.
    pub fn finished(&mut self, room: &Room) {
        let Some(line) = self.rooms.get_mut(room) else { return };
        let Some(running) = line.running.take() else { return };
        self.running -= 1;
        let Running { group: Group { party, .. }, told, .. } = running;
        for message in told.into_iter().rev() {
            line.waiting.push_front(Group {
                parts: vec![Part { message, how: How::Own }],
                party: party.clone(),
                mode: Mode::Steer,
                breaks: 0,
                begun: 0,
                is_old: true,
            });
        }
        self.settle(room);
    }

    /// Ends what runs and what waits in `room`.
    pub fn stop(&mut self, room: &Room) -> Stopped<T> {
        self.ready.retain(|other| other != room);
        let Some(mut line) = self.rooms.remove(room) else {
            return Stopped { was_running: false, waiting: VecDeque::new() };
        };
        let was_running = line.running.is_some();
        self.running -= usize::from(was_running);
        Stopped { was_running, waiting: line.drain().collect() }
    }

    /// Takes back what waits and is `meant`; what runs goes on.
    pub fn withdraw(&mut self, meant: impl Fn(&T) -> bool) {
        for line in self.rooms.values_mut() {
            line.cut.retain(|(message, _)| !meant(message));
            if let Some(running) = &mut line.running {
                running.told.retain(|message| !meant(message));
            }
            line.waiting.retain_mut(|group| {
                let begun = group.parts.iter().take(group.begun);
                group.begun = begun.filter(|part| !meant(&part.message)).count();
                group.parts.retain(|part| !meant(&part.message));
                group.close();
                !group.parts.is_empty()
            });
            if let Some(burst) = &mut line.burst {
                burst.messages.retain(|message| !meant(message));
            }
            line.burst.take_if(|burst| burst.messages.is_empty());
        }
        let rooms: Vec<Room> = self.rooms.keys().cloned().collect();
        for room in &rooms {
            self.settle(room);
        }
    }

    /// Ends the bursts that are over.
    pub fn expire(&mut self, now: Instant) {
        let is_over = |line: &Line<T>| line.burst.as_ref().is_some_and(|burst| burst.until <= now);
        let rooms = self.rooms.iter().filter(|(_, line)| is_over(line));
        let rooms: Vec<Room> = rooms.map(|(room, _)| room.clone()).collect();
        for room in &rooms {
            self.end_burst(room);
        }
    }

    /// When [`expire`](Turns::expire) is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.rooms.values().filter_map(|line| line.burst.as_ref()).map(|burst| burst.until).min()
    }

    /// How many turns are running.
    #[must_use]
    pub fn running(&self) -> usize {
        self.running
    }

    /// How many messages were refused.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// How many rooms there are of which anything is known.
    #[cfg(test)]
    pub(super) fn rooms(&self) -> usize {
        self.rooms.len()
    }

    fn refuse(&mut self, room: Room, message: T) {
        self.refused += 1;
        self.settle(&room);
        self.outputs.push_back(Next::Refuse(room, message));
    }

    fn end_burst(&mut self, room: &Room) {
        let burst = self.rooms.get_mut(room).and_then(|line| line.burst.take());
        let Some(Burst { messages, party, rule, .. }) = burst else { return };
        let parts = messages.into_iter().map(|message| Part { message, how: How::Burst });
        let parts = parts.collect();
        let mut group = Group { parts, party, mode: rule.mode, breaks: 0, begun: 0, is_old: false };
        group.close();
        self.enter(room, group);
    }

    /// Makes room for `message` in `room`, or gives it back.
    fn make_room(
        &mut self,
        room: &Room,
        rule: Rule,
        party: Option<&Party>,
        message: T,
    ) -> Result<(), T> {
        let Some(line) = self.rooms.get_mut(room) else { return Ok(()) };
        if line.depth() < rule.cap.max(1) {
            return Ok(());
        }
        if rule.make == Make::None {
            return Err(message);
        }
        let Some((oldest, of, is_old)) = line.pop_oldest() else { return Err(message) };
        // It goes along with the turn that is next, if that is of its party.
        let burst = line.burst.as_ref().map(|burst| &burst.party);
        let next = line.waiting.front().map(|group| &group.party).or(burst);
        let has_heir = match next {
            Some(next) => next.is_some() && *next == of,
            None => of.is_some() && party == of.as_ref(),
        };
        let mut gone = Vec::new();
        if rule.make == Make::Summary && has_heir && !is_old {
            line.cut.push((oldest, of));
            let more = line.cut.len().saturating_sub(rule.cap);
            gone.extend(line.cut.drain(..more).map(|(message, _)| message));
        } else {
            if rule.make == Make::Summary && !is_old {
                gone.extend(line.cut.drain(..).map(|(message, _)| message));
            }
            gone.push(oldest);
        }
        self.refused += gone.len() as u64;
        self.outputs.extend(gone.into_iter().map(|gone| Next::Refuse(room.clone(), gone)));
        Ok(())
    }

    /// `group` is complete, and comes to where it belongs.
    fn enter(&mut self, room: &Room, group: Group<T>) {
        let line = self.rooms.entry(room.clone()).or_default();
        let Some(running) = &mut line.running else {
            line.waiting.push_back(group);
            return self.settle(room);
        };
        let is_first = line.waiting.is_empty() && line.cut.is_empty();
        let others = line.waiting.iter().map(|waiting| &waiting.party);
        let is_kin = group.party.is_some() && group.party == running.group.party;
        let is_next = is_kin && others.into_iter().all(|other| *other == group.party);
        match group.mode {
            Mode::Steer if is_kin && running.can_hear && is_first => {
                for Part { message, .. } in group.parts {
                    running.told.push_back(message.clone());
                    self.outputs.push_back(Next::Steer(room.clone(), message));
                }
            }
            Mode::Interrupt if is_next && running.group.breaks < TURN_INTERRUPTS_MAX => {
                line.waiting.push_back(group);
                line.interrupt();
                self.running -= 1;
                self.outputs.push_back(Next::Break(room.clone()));
                self.settle(room);
            }
            _ => line.waiting.push_back(group),
        }
    }

    /// Puts `room` where it belongs after something has changed: into the line if its turn can
    /// begin, and out of sight if nothing is left of it.
    fn settle(&mut self, room: &Room) {
        let Some(line) = self.rooms.get_mut(room) else { return };
        if line.running.is_some() {
            return;
        }
        if !line.waiting.is_empty() {
            if !self.ready.contains(room) {
                self.ready.push_back(room.clone());
            }
            return;
        }
        self.ready.retain(|other| other != room);
        if line.burst.is_some() {
            return;
        }
        // Nobody comes who could take these along.
        let left = std::mem::take(&mut line.cut);
        self.rooms.remove(room);
        self.refused += left.len() as u64;
        let refuse = |(message, _)| Next::Refuse(room.clone(), message);
        self.outputs.extend(left.into_iter().map(refuse));
    }
}

impl<T> Group<T> {
    /// The last of its messages is the one that is answered.
    fn close(&mut self) {
        if let Some(last) = self.parts.last_mut() {
            last.how = How::Own;
        }
    }
}

impl<T> Line<T> {
    /// How many wait, those left aside that were cut or had begun.
    fn depth(&self) -> usize {
        let told = self.running.as_ref().map_or(0, |running| running.told.len());
        let waiting: usize = self.waiting.iter().map(|group| group.parts.len() - group.begun).sum();
        told + waiting + self.burst.as_ref().map_or(0, |burst| burst.messages.len())
    }

    /// The oldest message of those that wait, out of its place, and whether a turn was told of it
    /// that did not hear it. What a turn was told is not ours
    /// any more, and what had begun is not given up.
    fn pop_oldest(&mut self) -> Option<(T, Option<Party>, bool)> {
        let is_fresh = |group: &Group<T>| group.parts.len() > group.begun;
        if let Some(at) = self.waiting.iter().position(is_fresh) {
            let group = self.waiting.get_mut(at)?;
            let oldest = group.parts.remove(group.begun).message;
            let (party, is_old) = (group.party.clone(), group.is_old);
            group.close();
            if group.parts.is_empty() {
                self.waiting.remove(at);
            }
            return Some((oldest, party, is_old));
        }
        let burst = self.burst.as_mut()?;
        let (oldest, party) = (burst.messages.remove(0), burst.party.clone());
        self.burst.take_if(|burst| burst.messages.is_empty());
        Some((oldest, party, false))
    }

    /// What runs waits again, together with what comes after it.
    fn interrupt(&mut self) {
        let Some(Running { group, told, .. }) = self.running.take() else { return };
        let (begun, breaks) = (group.parts.len(), group.breaks + 1);
        let told = told.into_iter().map(|message| Part { message, how: How::Own });
        let again = group.parts.into_iter().chain(told);
        let again = again.map(|part| match part.how {
            How::Own => Part { how: How::Interrupted, ..part },
            _ => part,
        });
        match self.waiting.front_mut() {
            Some(next) if next.party == group.party => {
                next.parts.splice(..0, again);
                (next.breaks, next.begun) = (breaks, begun);
            }
            _ => {
                let parts = again.collect();
                let mut group = Group { parts, breaks, begun, ..group };
                group.close();
                self.waiting.push_front(group);
            }
        }
    }

    /// What the next turn is made of.
    fn next_turn(&mut self) -> Option<Group<T>> {
        let mut group = self.waiting.pop_front()?;
        let gathers = |mode| matches!(mode, Mode::Collect | Mode::Interrupt);
        while group.party.is_some()
            && gathers(group.mode)
            && let Some(next) = self
                .waiting
                .pop_front_if(|next| next.party == group.party && next.mode == group.mode)
        {
            if let Some(last) = group.parts.last_mut() {
                last.how = How::Collected;
            }
            group.parts.extend(next.parts);
        }
        let party = &group.party;
        let is_old = group.is_old;
        let cut = self.cut.extract_if(.., |(_, of)| !is_old && of == party);
        let cut: Vec<Part<T>> = cut.map(|(message, _)| Part { message, how: How::Cut }).collect();
        // They came after what had begun.
        group.parts.splice(group.begun..group.begun, cut);
        Some(group)
    }

    /// All that waits, the oldest first.
    fn drain(&mut self) -> impl Iterator<Item = T> {
        let cut = std::mem::take(&mut self.cut).into_iter().map(|(message, _)| message);
        let told = self.running.take().map(|running| running.told).into_iter().flatten();
        let waiting = std::mem::take(&mut self.waiting);
        let waiting = waiting
            .into_iter()
            .flat_map(|group| group.parts.into_iter().skip(group.begun.saturating_sub(1)))
            .map(|part| part.message);
        let burst = self.burst.take().map(|burst| burst.messages).into_iter().flatten();
        cut.chain(told).chain(waiting).chain(burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::chat::ChatId;

    const NOW: Instant = Instant(1_000_000_000);

    fn room(id: u64) -> Room {
        Room { account: "default".into(), chat: ChatId { channel: ChannelKind::Discord, id } }
    }

    fn rule(mode: Mode) -> Rule {
        Rule { mode, ..Rule::default() }
    }

    fn asked(chat: u64, message: u64, rule: Rule) -> Asked<u64> {
        let party = Some(("main".into(), 0));
        Asked { room: room(chat), message, author: 1, party, rule }
    }

    fn ask(turns: &mut Turns<u64>, chat: u64, message: u64, mode: Mode) {
        turns.ask(NOW, asked(chat, message, rule(mode)));
    }

    /// What happens, in a word each.
    fn told(turns: &mut Turns<u64>) -> Vec<String> {
        let word = |next| match next {
            Next::Break(_) => "break".to_owned(),
            Next::Steer(_, message) => format!("steer {message}"),
            Next::Refuse(_, message) => format!("refuse {message}"),
            Next::Begin(_, parts) => {
                let parts: Vec<String> =
                    parts.iter().map(|part| format!("{} {:?}", part.message, part.how)).collect();
                parts.join(", ")
            }
        };
        std::iter::from_fn(|| turns.poll()).map(word).collect()
    }

    #[test]
    fn one_turn_per_chat_and_chats_side_by_side() {
        let mut turns = Turns::default();
        for (chat, id) in [(1, 10), (1, 11), (2, 20), (1, 12)] {
            ask(&mut turns, chat, id, Mode::Queue);
        }
        let other = Room { account: "other".into(), ..room(1) };
        turns.ask(NOW, Asked { room: other.clone(), ..asked(1, 13, Rule::default()) });
        assert_eq!(told(&mut turns), ["10 Own", "20 Own", "13 Own"], "each account by itself");
        turns.finished(&room(2));
        turns.finished(&other);
        assert!(told(&mut turns).is_empty());
        turns.finished(&room(1));
        assert_eq!(told(&mut turns), ["11 Own"]);
        turns.finished(&room(1));
        assert_eq!(told(&mut turns), ["12 Own"]);
        turns.finished(&room(1));
        assert_eq!((turns.running(), turns.rooms()), (0, 0));
    }

    #[test]
    fn only_so_many_run_and_the_next_chat_in_line_follows() {
        let mut turns = Turns::default();
        let many = TURNS_RUNNING_MAX as u64;
        (0..=many).for_each(|chat| ask(&mut turns, chat, chat, Mode::Queue));
        assert_eq!(told(&mut turns).len(), TURNS_RUNNING_MAX);
        turns.finished(&room(3));
        assert_eq!(told(&mut turns), [format!("{many} Own")]);
    }

    #[test]
    fn where_too_many_wait_the_new_one_or_the_oldest_makes_room() {
        let with = |make| Rule { mode: Mode::Queue, cap: 2, make, pause: Duration::ZERO };
        for (make, said, next) in [
            (Make::None, "refuse 13", "11 Own"),
            (Make::Old, "refuse 11", "12 Own"),
            (Make::Summary, "", "11 Cut, 12 Own"),
        ] {
            let mut turns = Turns::default();
            turns.ask(NOW, asked(1, 10, with(make)));
            assert_eq!(told(&mut turns), ["10 Own"]);
            (11..=13).for_each(|id| turns.ask(NOW, asked(1, id, with(make))));
            assert_eq!(told(&mut turns).join(""), said);
            turns.finished(&room(1));
            assert_eq!(told(&mut turns), [next]);
        }
    }

    #[test]
    fn what_waited_is_one_turn_where_it_is_collected() {
        let mut turns = Turns::default();
        (10..=12).for_each(|id| ask(&mut turns, 1, id, Mode::Collect));
        assert_eq!(told(&mut turns), ["10 Collected, 11 Collected, 12 Own"]);
        ask(&mut turns, 1, 13, Mode::Collect);
        let elsewhere =
            Asked { party: Some(("other".into(), 0)), ..asked(1, 14, rule(Mode::Collect)) };
        turns.ask(NOW, elsewhere);
        turns.finished(&room(1));
        assert_eq!(told(&mut turns), ["13 Own"], "another agent's is another turn");
    }

    #[test]
    fn an_interrupted_turn_begins_anew_with_what_interrupted_it_and_not_for_ever() {
        let mut turns = Turns::default();
        ask(&mut turns, 1, 10, Mode::Interrupt);
        assert_eq!(told(&mut turns), ["10 Own"]);
        ask(&mut turns, 1, 11, Mode::Interrupt);
        assert_eq!(told(&mut turns), ["break", "10 Interrupted, 11 Own"]);
        let mut breaks = 1;
        for id in 12..30 {
            ask(&mut turns, 1, id, Mode::Interrupt);
            breaks += usize::from(told(&mut turns).contains(&"break".to_owned()));
        }
        assert_eq!(breaks, usize::from(TURN_INTERRUPTS_MAX));
        turns.finished(&room(1));
        assert_eq!(told(&mut turns).len(), 1, "the rest is one turn");
    }

    #[test]
    fn what_a_steered_turn_has_not_heard_waits_for_its_own() {
        let mut turns = Turns::default();
        ask(&mut turns, 1, 10, Mode::Steer);
        assert_eq!(told(&mut turns), ["10 Own"]);
        turns.can_hear(&room(1));
        (11..=13).for_each(|id| ask(&mut turns, 1, id, Mode::Steer));
        assert_eq!(told(&mut turns), ["steer 11", "steer 12", "steer 13"]);
        assert_eq!(turns.heard(&room(1), 1), [11]);
        turns.finished(&room(1));
        assert_eq!(told(&mut turns), ["12 Own"]);
        ask(&mut turns, 1, 14, Mode::Steer);
        assert!(told(&mut turns).is_empty(), "this agent hears nothing while it works");
        turns.finished(&room(1));
        assert_eq!(told(&mut turns), ["13 Own"]);
    }

    #[test]
    fn a_burst_of_one_author_is_one_message_and_is_over_at_some_time() {
        let pause = Duration::from_secs(1);
        let rule = Rule { pause, ..Rule::default() };
        let mut turns = Turns::default();
        for id in 10..20 {
            let now = NOW + pause.mul_f64(0.5) * u32::try_from(id - 10).unwrap();
            turns.expire(now);
            turns.ask(now, asked(1, id, rule));
        }
        let first = told(&mut turns);
        assert!(
            first[0].starts_with("10 Burst") && first[0].ends_with("18 Own")
                || first[0].ends_with("17 Own"),
            "{first:?}"
        );
        assert!(turns.deadline().is_some());
        turns.ask(NOW + pause * 9, Asked { author: 2, ..asked(1, 30, rule) });
        turns.finished(&room(1));
        assert!(told(&mut turns)[0].ends_with("19 Own"), "another's message ends it");
        let alone = Asked { party: None, ..asked(2, 40, rule) };
        turns.ask(NOW, alone);
        assert_eq!(told(&mut turns), ["40 Own"], "whoever waits for just that is not kept waiting");
    }

    #[test]
    fn stop_ends_what_runs_and_what_waits_in_that_chat_alone() {
        let mut turns = Turns::default();
        for (chat, id) in [(1, 10), (1, 11), (2, 20), (1, 12)] {
            ask(&mut turns, chat, id, Mode::Queue);
        }
        assert_eq!(told(&mut turns), ["10 Own", "20 Own"]);
        let stopped = turns.stop(&room(1));
        assert_eq!(stopped, Stopped { was_running: true, waiting: [11, 12].into() });
        turns.finished(&room(1));
        assert_eq!((turns.running(), told(&mut turns)), (1, vec![]));
        ask(&mut turns, 1, 13, Mode::Queue);
        assert_eq!(told(&mut turns), ["13 Own"], "the next message is welcome");
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_withdrawn() {
        let mut turns = Turns::default();
        for (chat, id) in [(1, 10), (1, 11), (2, 20), (3, 31)] {
            ask(&mut turns, chat, id, Mode::Queue);
        }
        assert!(matches!(turns.poll(), Some(Next::Begin(at, _)) if at == room(1)));
        turns.withdraw(|id| id % 10 == 0);
        turns.withdraw(|&id| id == 11);
        assert_eq!(told(&mut turns), ["31 Own"]);
        turns.finished(&room(1));
        turns.finished(&room(3));
        assert_eq!((turns.running(), turns.rooms(), turns.ready.len()), (0, 0, 0));
    }
}
