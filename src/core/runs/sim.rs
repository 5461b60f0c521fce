//! Runs with clients that ask twice and agents that say everything twice, or late, or never.
//!
//! What every client may count on is checked from outside; runs that are wrong on purpose show
//! that it would be noticed.

use std::collections::BTreeMap;

use super::*;
use crate::base::Rng;

fn key(n: u64) -> Key {
    Key::read(&format!("s{n}"), "main").expect("a key")
}

/// What is changed for the worse.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Plant {
    TakesTheSameOnTwice,
    ForgetsWhatEnded,
    EndsTwice,
    CountsAllRunsTogether,
    SaysAgainWhatWasSaid,
    TakesOnAnyNumber,
}

const PLANTS: [Plant; 6] = [
    Plant::TakesTheSameOnTwice,
    Plant::ForgetsWhatEnded,
    Plant::EndsTwice,
    Plant::CountsAllRunsTogether,
    Plant::SaysAgainWhatWasSaid,
    Plant::TakesOnAnyNumber,
];

/// What was told of one run.
#[derive(Default)]
struct Heard {
    chat_seq: u64,
    agent_seq: u64,
    text: String,
    is_over: bool,
}

struct World {
    runs: Runs,
    plant: Option<Plant>,
    heard: BTreeMap<Box<str>, Heard>,
    /// How often each was taken on.
    taken: BTreeMap<Box<str>, u32>,
    global: u64,
}

impl World {
    /// The first promise that is broken.
    fn hear(&mut self, events: Vec<Event>) -> Result<(), String> {
        for mut event in events {
            if self.plant == Some(Plant::CountsAllRunsTogether) {
                self.global += 1;
                event.seq = self.global;
            }
            let heard = self.heard.entry(event.run.clone()).or_default();
            if heard.is_over {
                return Err(format!("{event:?} after the end"));
            }
            let last = match event.what {
                What::Delta { .. } | What::Over(_) => &mut heard.chat_seq,
                _ => &mut heard.agent_seq,
            };
            if event.seq != *last + 1 {
                return Err(format!("{event:?} after number {last}"));
            }
            *last = event.seq;
            match event.what {
                What::Delta { new, all } => {
                    heard.text.push_str(&new);
                    if heard.text != *all {
                        return Err(format!("heard {:?} of {all:?}", heard.text));
                    }
                }
                What::Over(End::Answered(text)) if heard.text != *text => {
                    return Err(format!("heard {:?}, and it was {text:?}", heard.text));
                }
                What::Over(_) => heard.is_over = true,
                _ => {}
            }
        }
        Ok(())
    }

    fn ask(&mut self, run: &str, key: &Key) -> Result<(), String> {
        match self.plant {
            Some(Plant::TakesTheSameOnTwice) => _ = self.runs.live.remove(run),
            Some(Plant::ForgetsWhatEnded) => self.runs.done.clear(),
            Some(Plant::TakesOnAnyNumber) => {
                let other = Key::read("elsewhere", "main").expect("a key");
                let of = self.runs.of(key);
                for run in &of {
                    self.runs.live.get_mut(run).expect("it is live").key = other.clone();
                }
            }
            _ => {}
        }
        let waiting = self.heard.values().filter(|heard| !heard.is_over).count();
        match self.runs.ask(run, key, false) {
            Asked::New => {
                let taken = self.taken.entry(run.into()).or_insert(0);
                *taken += 1;
                if *taken > 1 {
                    return Err(format!("{run} was taken on twice"));
                }
                self.heard.insert(run.into(), Heard::default());
                let of_session = self
                    .heard
                    .iter()
                    .filter(|(run, heard)| !heard.is_over && run.starts_with(key.as_str()));
                let of_session = of_session.count();
                if of_session > TURNS_QUEUED_PER_CHAT_MAX + 1 {
                    return Err(format!("{of_session} in one session"));
                }
            }
            Asked::Full if waiting == 0 => return Err("refused with nothing to do".into()),
            Asked::InFlight | Asked::Done(_) | Asked::Full => {}
        }
        Ok(())
    }

    fn step(&mut self, rng: &mut Rng, now: Wall) -> Result<(), String> {
        let session = key(rng.below(3));
        let run = format!("{session}/{}", rng.below(40));
        match rng.below(8) {
            0..=3 => self.ask(&run, &session),
            4 => {
                let begun = self.runs.begun(&run, now);
                self.hear(begun.into_iter().collect())
            }
            5 => {
                let mut events = self.runs.said(&run, &format!("{} ", rng.below(100)));
                if self.plant == Some(Plant::SaysAgainWhatWasSaid)
                    && let Some(live) = self.runs.live.get(&*run)
                {
                    let all = live.said.clone();
                    events.extend(self.runs.said(&run, &all));
                    if let Some(live) = self.runs.live.get_mut(&*run) {
                        live.said = all;
                    }
                }
                self.hear(events)
            }
            _ => {
                let said = self.runs.live(&run).map(|live| live.said.clone()).unwrap_or_default();
                let end = match rng.below(4) {
                    0 => End::Failed(Fault::TooSlow),
                    1 => End::Stopped,
                    _ => End::Answered(format!("{said}and that is all").into()),
                };
                let again = self.plant == Some(Plant::EndsTwice);
                let live = self.runs.live.get(&*run).filter(|_| again).cloned();
                let events = self.runs.ended(&run, now, end.clone());
                self.hear(events)?;
                if let Some(live) = live {
                    self.runs.live.insert(run.as_str().into(), live);
                    let events = self.runs.ended(&run, now, end);
                    self.hear(events)?;
                }
                Ok(())
            }
        }
    }
}

fn play(seed: u64, plant: Option<Plant>) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let runs = Runs::default();
    let (heard, taken) = (BTreeMap::new(), BTreeMap::new());
    let mut world = World { runs, plant, heard, taken, global: 0 };
    (0..600).try_for_each(|n| world.step(&mut rng, Wall(n)))
}

#[test]
fn each_run_is_taken_on_once_told_in_order_and_ended_once() {
    for seed in 0..200 {
        assert_eq!(play(seed, None), Ok(()), "seed {seed}");
    }
}

#[test]
fn planted_bugs_are_noticed() {
    for plant in PLANTS {
        assert!((0..50).any(|seed| play(seed, Some(plant)).is_err()), "{plant:?} went unnoticed");
    }
}

#[test]
fn what_ended_is_remembered_within_bounds_and_told_to_who_asks_again() {
    let (mut runs, key) = (Runs::default(), key(1));
    let text: Box<str> = "x".repeat(RUNS_DONE_BYTES_MAX / 8).into();
    for n in 0..2 * RUNS_DONE_MAX {
        let run = format!("run {n}");
        assert_eq!(runs.ask(&run, &key, false), Asked::New);
        let text = if n % 4 == 0 { text.clone() } else { "short".into() };
        runs.ended(&run, Wall(5), End::Answered(text));
        assert!(matches!(runs.ask(&run, &key, false), Asked::Done(done) if done.at == Wall(5)));
    }
    assert!(runs.done.len() <= RUNS_DONE_MAX && runs.done_bytes() <= RUNS_DONE_BYTES_MAX);
    assert_eq!(runs.ask("run 0", &key, false), Asked::New, "that is long ago");
}

#[test]
fn a_session_has_so_many_and_others_have_room() {
    let mut runs = Runs::default();
    let names: Vec<String> = (0..=TURNS_QUEUED_PER_CHAT_MAX).map(|n| format!("{n:02}")).collect();
    assert!(names.iter().all(|run| runs.ask(run, &key(1), false) == Asked::New));
    assert_eq!(runs.ask("more", &key(1), false), Asked::Full);
    assert_eq!(runs.ask("stop", &key(1), true), Asked::New, "it is an order");
    assert_eq!(runs.ended("stop", Wall(1), End::Stopped).len(), 2);
    assert_eq!(runs.ask("00", &key(1), false), Asked::InFlight);
    assert_eq!(runs.ask("more", &key(2), false), Asked::New);
    assert_eq!(
        runs.of(&key(1)),
        names.iter().map(|run| run.as_str().into()).collect::<Vec<Box<str>>>()
    );
    let events = runs.ended("00", Wall(1), End::Stopped);
    assert_eq!(events.len(), 2, "one for each who follows");
    assert_eq!(runs.ended("00", Wall(2), End::Answered("late".into())), []);
}
