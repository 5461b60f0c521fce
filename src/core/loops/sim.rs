//! The guard among bots that never stop by themselves, in virtual time, by seed.
//!
//! Opponents answer whatever we say: at once, after many minutes, in several messages, in rings of
//! two, in a new thread each time; one only reports and does not listen. Now and then a person
//! speaks. Each message is heard by several accounts, late and out of order. What must hold is told
//! by a judge that keeps books of its own; that it bites is shown by planting bugs before the
//! guard.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::base::Rng;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bug {
    /// Only quick loops are counted.
    IgnoresSlow,
    /// Only pairs are counted.
    IgnoresChain,
    /// No window is looked at.
    IgnoresWindow,
    /// A third bot is taken for a person.
    BotIsPerson,
    /// Each thread is a channel of its own.
    ThreadsApart,
    /// What a person said before the loop, and is heard late, ends the rest.
    LatePersonEnds,
    /// A person ends nothing.
    NeverEnds,
    /// Every message that is not answered is told of.
    SaysEachTime,
    /// Whoever was stopped is let go on at once.
    NoRest,
    /// Each account that hears a message counts it.
    CountsThrice,
    /// The rest has no end.
    RestsForEver,
}

const BUGS: [Bug; 11] = [
    Bug::IgnoresSlow,
    Bug::IgnoresChain,
    Bug::IgnoresWindow,
    Bug::BotIsPerson,
    Bug::ThreadsApart,
    Bug::LatePersonEnds,
    Bug::NeverEnds,
    Bug::SaysEachTime,
    Bug::NoRest,
    Bug::CountsThrice,
    Bug::RestsForEver,
];

/// How the other side behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Foe {
    Quick,
    Slow,
    Several,
    Ring,
    Threads,
    Report,
}

const FOES: [Foe; 6] = [Foe::Quick, Foe::Slow, Foe::Several, Foe::Ring, Foe::Threads, Foe::Report];

const US: u64 = 1;
const FOE: u64 = 50;
const SECOND: u64 = 51;
const PERSON: u64 = 90;
const DAYS: u64 = 4;
const DAY_MS: u64 = 24 * 3_600_000;

/// The books of one channel, kept since a person spoke.
#[derive(Clone, Debug, Default)]
struct Books {
    /// When we answered whom.
    turns: Vec<(u64, Wall)>,
    /// Messages of bots since the last rest, each close behind another's.
    chain: u32,
    last: Option<(u64, Wall)>,
    /// Until when whom we are not to answer.
    rests: BTreeMap<u64, Wall>,
    /// Whom we answered since a person spoke.
    answered: BTreeSet<u64>,
}

struct Run {
    bug: Option<Bug>,
    policy: Policy,
    loops: Loops,
    rng: Rng,
    now: u64,
    id: u64,
    books: Books,
    /// What an account hears later.
    later: Vec<Heard>,
    /// Whether the last message asked about was answered.
    refused: u32,
}

fn run(seed: u64, foe: Foe, bug: Option<Bug>) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let policy = match rng.below(4) {
        0 => Policy::default(),
        // Where chains are let be, the windows must do.
        1 => Policy { chain: u32::MAX, ..Policy::default() },
        2 => Policy { chain: u32::MAX, window_turns: 3, slow_turns: 90, ..Policy::default() },
        _ => Policy { chain: 4, window_turns: 3, slow_turns: 9, ..Policy::default() },
    };
    let loops = Loops::default();
    let (books, later) = (Books::default(), Vec::new());
    let mut run =
        Run { bug, policy, loops, rng, now: 1_000_000, id: 1000, books, later, refused: 0 };
    // Some channels see a person now and then, some never.
    let people = if run.rng.one_in(3) { 0 } else { 1 + run.rng.below(30) };
    run.say(US, None, 5)?;
    while run.now < DAYS * DAY_MS {
        if people > 0 && run.rng.one_in(people * 4) {
            run.person()?;
        }
        run.round(foe)?;
    }
    run.ends()
}

impl Run {
    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn wait(&mut self, from_ms: u64, to_ms: u64) {
        self.now += from_ms + self.rng.below(to_ms - from_ms);
    }

    /// The other side speaks, and we answer if we may.
    fn round(&mut self, foe: Foe) -> Result<(), String> {
        match foe {
            Foe::Quick | Foe::Several | Foe::Ring | Foe::Threads => self.wait(500, 20_000),
            Foe::Slow => self.wait(6 * 60_000, 40 * 60_000),
            Foe::Report => self.wait(30 * 60_000, 31 * 60_000),
        }
        // Whoever is not answered goes on all the same, only more slowly.
        if self.refused > 3 {
            self.wait(60_000, 30 * 60_000);
        }
        let answers = if foe == Foe::Report { None } else { Some(US) };
        let thread = if foe == Foe::Threads { self.id } else { 5 };
        let heard = self.said(FOE, answers, thread)?;
        if foe == Foe::Several {
            self.wait(100, 900);
            self.said(FOE, None, thread)?;
        }
        self.answer(heard, thread)?;
        if foe == Foe::Ring {
            self.wait(500, 20_000);
            let heard = self.said(SECOND, Some(FOE), thread)?;
            self.answer(heard, thread)?;
        }
        Ok(())
    }

    fn person(&mut self) -> Result<(), String> {
        self.wait(1000, 60_000);
        self.books = Books::default();
        let heard = self.message(PERSON, false, None, 5);
        if !self.has(Bug::NeverEnds) {
            self.loops.heard(&heard);
        }
        self.later.push(heard);
        if self.loops.ask(&self.policy, &heard, US).is_err() {
            return Err("a person is not answered".into());
        }
        self.wait(500, 3000);
        self.say(US, Some(PERSON), 5)
    }

    fn message(&mut self, author: u64, is_bot: bool, answers: Option<u64>, thread: u64) -> Heard {
        self.id += 1;
        let place = if self.has(Bug::ThreadsApart) { thread } else { 5 };
        let is_bot = is_bot && !(self.has(Bug::BotIsPerson) && author == SECOND);
        Heard { place, id: self.id, said: Wall(self.now), author, is_bot, answers }
    }

    fn said(&mut self, author: u64, answers: Option<u64>, thread: u64) -> Result<Heard, String> {
        let heard = self.message(author, true, answers, thread);
        self.note(author);
        self.hear(heard)?;
        Ok(heard)
    }

    fn say(&mut self, author: u64, answers: Option<u64>, thread: u64) -> Result<(), String> {
        self.said(author, answers.filter(|&author| author != PERSON), thread).map(drop)
    }

    /// The judge's own count of a chain.
    fn note(&mut self, author: u64) {
        let now = Wall(self.now);
        let books = &mut self.books;
        books.chain = match books.last {
            Some((last, at)) if last != author && now.since(at) < LOOP_GAP => books.chain + 1,
            Some((last, _)) if last == author => books.chain.max(1),
            _ => 1,
        };
        books.last = Some((author, now));
    }

    /// Several accounts hear it, some of them later and in another order.
    fn hear(&mut self, heard: Heard) -> Result<(), String> {
        self.loops.heard(&heard);
        self.loops.heard(&heard);
        self.later.push(heard);
        while self.later.len() > 12 || (!self.later.is_empty() && self.rng.one_in(3)) {
            let which = self.rng.below(self.later.len() as u64);
            let mut late = self.later.swap_remove(usize::try_from(which).unwrap_or(0));
            if self.has(Bug::LatePersonEnds) && !late.is_bot {
                self.id += 1;
                late.id = self.id;
            }
            self.loops.heard(&late);
        }
        if self.loops.len() > LOOP_PLACES_MAX {
            return Err("too many channels are kept".into());
        }
        let pairs = self.loops.places.iter().map(|place| place.pairs.len()).max();
        if pairs > Some(LOOP_PAIRS_MAX) {
            return Err("too many pairs are kept".into());
        }
        Ok(())
    }

    fn ask(&mut self, heard: Heard) -> Result<(), Stop> {
        let mut policy = self.policy;
        match self.bug {
            Some(Bug::IgnoresSlow) => policy.slow_turns = u32::MAX,
            Some(Bug::IgnoresChain) => policy.chain = u32::MAX,
            Some(Bug::IgnoresWindow) => policy.window_turns = u32::MAX,
            Some(Bug::NoRest) => policy.cooldown = Duration::ZERO,
            _ => {}
        }
        let mut asked = self.loops.ask(&policy, &heard, US);
        if self.has(Bug::CountsThrice) {
            let _ = self.loops.ask(&policy, &heard, US);
            let _ = self.loops.ask(&policy, &heard, US);
        }
        if self.has(Bug::RestsForEver) && self.books.rests.contains_key(&heard.author) {
            asked = Err(Stop { kind: Kind::Chain, is_first: false, until: Wall(u64::MAX) });
        }
        if let Err(stop) = &mut asked {
            stop.is_first |= self.has(Bug::SaysEachTime);
        }
        asked
    }

    fn answer(&mut self, heard: Heard, thread: u64) -> Result<(), String> {
        let asked = self.ask(heard);
        let (now, foe) = (heard.said, heard.author);
        match asked {
            Ok(()) => {
                self.refused = 0;
                self.may(foe, now)?;
                self.books.turns.push((foe, now));
                self.books.answered.insert(foe);
                self.wait(300, 4000);
                self.say(US, Some(foe), thread)
            }
            Err(stop) => {
                self.refused += 1;
                self.must(foe, now, stop)
            }
        }
    }

    /// Whether the judge would have let us answer.
    fn may(&mut self, foe: u64, now: Wall) -> Result<(), String> {
        let books = &mut self.books;
        match books.rests.get(&foe) {
            Some(&until) if now < until => return Err(format!("answered {foe} while it rests")),
            Some(_) => {
                books.rests.remove(&foe);
                books.chain = 1;
            }
            None => {}
        }
        let within = |span: Duration| {
            books.turns.iter().filter(|(to, at)| *to == foe && now.since(*at) < span).count()
        };
        if books.chain > self.policy.chain {
            return Err(format!("a chain of {}", books.chain));
        }
        if within(self.policy.window) >= self.policy.window_turns as usize {
            return Err("too many within the window".into());
        }
        if within(self.policy.slow_window) >= self.policy.slow_turns as usize {
            return Err("too many over hours".into());
        }
        Ok(())
    }

    /// Whether a stop is as it must be.
    fn must(&mut self, foe: u64, now: Wall, stop: Stop) -> Result<(), String> {
        let books = &mut self.books;
        if !books.answered.contains(&foe) && books.chain <= self.policy.chain {
            return Err("stopped before anything was answered since a person spoke".into());
        }
        let rests = books.rests.get(&foe).is_some_and(|&until| now < until);
        if rests == stop.is_first {
            return Err(format!("told wrongly whether it is the first: {stop:?}"));
        }
        if stop.until.since(now) > LOOP_COOLDOWN_MAX {
            return Err(format!("a rest without end: {stop:?}"));
        }
        if stop.is_first && stop.until.since(now) < self.policy.cooldown {
            return Err(format!("no rest: {stop:?}"));
        }
        if stop.is_first {
            books.rests.insert(foe, stop.until);
        }
        Ok(())
    }

    /// In the end everything is forgiven.
    fn ends(mut self) -> Result<(), String> {
        self.now += 2 * DAY_MS;
        let heard = self.message(FOE, true, None, 5);
        self.loops.heard(&heard);
        self.ask(heard).map_err(|stop| format!("not forgiven after two days: {stop:?}"))
    }
}

#[test]
fn no_loop_outlives_its_guard_and_no_guard_outlives_its_loop() {
    for foe in FOES {
        for seed in 0..40 {
            if let Err(why) = run(seed, foe, None) {
                panic!("{foe:?}, seed {seed}: {why}");
            }
        }
    }
}

#[test]
fn a_bot_that_only_reports_is_answered_for_days() {
    let (mut loops, policy) = (Loops::default(), Policy::default());
    for report in 1..400_u64 {
        let at = report * 30 * 60_000;
        let said = |id, author, at| Heard {
            place: 5,
            id,
            said: Wall(at),
            author,
            is_bot: true,
            answers: None,
        };
        let heard = said(report * 2, FOE, at);
        loops.heard(&heard);
        assert_eq!(loops.ask(&policy, &heard, US), Ok(()), "report {report}");
        loops.heard(&said(report * 2 + 1, US, at + 5000));
    }
}

#[test]
fn what_is_switched_off_stops_nobody_and_memory_is_bounded() {
    let policy = Policy { enabled: false, ..Policy::default() };
    let mut loops = Loops::default();
    for id in 1..2000 {
        let heard =
            Heard { place: 5, id, said: Wall(id), author: FOE, is_bot: true, answers: Some(US) };
        loops.heard(&heard);
        assert_eq!(loops.ask(&policy, &heard, US), Ok(()));
    }
    let policy = Policy::default();
    for id in 2000..20_000 {
        let (place, author) = (id % 997, FOE + id % 31);
        let heard =
            Heard { place, id, said: Wall(id * 10), author, is_bot: true, answers: Some(US) };
        loops.heard(&heard);
        let _ = loops.ask(&policy, &heard, US);
    }
    assert_eq!(loops.len(), LOOP_PLACES_MAX);
    assert!(loops.places.iter().all(|place| place.pairs.len() <= LOOP_PAIRS_MAX));
    let people = Heard { place: 1, id: 1, said: Wall(1), author: 7, is_bot: false, answers: None };
    let mut quiet = Loops::default();
    quiet.heard(&people);
    assert!(quiet.is_empty(), "where no bot speaks nothing is kept");
}

#[test]
fn a_channel_where_a_loop_was_stopped_is_forgotten_last() {
    let (mut loops, policy) = (Loops::default(), Policy { chain: 1, ..Policy::default() });
    let heard = |place, id| Heard {
        place,
        id,
        said: Wall(id),
        author: FOE + id % 2,
        is_bot: true,
        answers: None,
    };
    for id in 1..4 {
        loops.heard(&heard(1, id));
    }
    assert!(loops.ask(&policy, &heard(1, 3), US).is_err());
    for place in 2..1000 {
        loops.heard(&heard(place, place + 10));
    }
    assert!(loops.ask(&policy, &heard(1, 5), US).is_err_and(|stop| !stop.is_first));
}

#[test]
fn the_judge_catches_every_planted_bug() {
    for bug in BUGS {
        let is_caught = FOES.iter().any(|&foe| (0..40).any(|s| run(s, foe, Some(bug)).is_err()));
        assert!(is_caught, "nobody noticed: {bug:?}");
    }
}
