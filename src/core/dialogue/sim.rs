//! Turns against models and tools that fail, fall silent, answer late and call too much; and
//! planted bugs, to see that this would be noticed.

use super::*;
use crate::base::Rng;

const ROUNDS_MAX: u32 = 3;

/// What is wrong between the machine and its port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bug {
    /// Time does not pass for it.
    ForgetsTime,
    /// A tool's outcome is lost.
    LosesOutcomes,
    /// A tool is run twice.
    RunsTwice,
    /// A request goes on that is to be broken off.
    BreaksNothing,
    /// The end is told twice.
    EndsTwice,
    /// What was said meanwhile is lost.
    LosesWords,
    /// Tools are offered for ever.
    OffersForEver,
    /// Outcomes are told to the model in the order in which they came.
    Disorders,
}

const BUGS: [Bug; 8] = [
    Bug::ForgetsTime,
    Bug::LosesOutcomes,
    Bug::RunsTwice,
    Bug::BreaksNothing,
    Bug::EndsTwice,
    Bug::LosesWords,
    Bug::OffersForEver,
    Bug::Disorders,
];

/// What will happen, and when.
#[derive(Debug)]
enum Event {
    Words(String),
    Reply(Reply),
    Fail(Reason),
    Outcome(usize, String),
    Join(String),
}

struct World {
    rng: Rng,
    bug: Option<Bug>,
    now: Instant,
    rules: Rules,
    models: Models,
    events: Vec<(Instant, Event)>,
    /// The request that is under way, and how often models were asked with tools.
    asked: Option<usize>,
    offers: u32,
    calls: u32,
    runs: Vec<usize>,
    joined: Vec<String>,
    heard: Vec<String>,
    end: Option<End>,
    /// Whether nothing went wrong but what the machine has to bear without a word.
    is_fair: bool,
}

impl World {
    fn chance(&mut self, of: u64) -> bool {
        self.rng.bits().is_multiple_of(of)
    }

    fn later(&mut self, most_ms: u64) -> Instant {
        self.now + Duration::from_millis(1 + self.rng.bits() % most_ms)
    }

    /// A model is asked: is what it is asked a conversation, and what will it do?
    fn ask(&mut self, place: usize, with_tools: bool, messages: &[Message]) -> Result<(), String> {
        if self.asked.is_some() {
            return Err("a second model is asked while one is at work".into());
        }
        well_formed(messages)?;
        self.asked = Some(place);
        self.offers += u32::from(with_tools);
        if self.offers > (ROUNDS_MAX + 1) * 3 {
            return Err("tools are offered for ever".into());
        }
        self.heard = messages.iter().flat_map(|message| &message.parts).filter_map(text).collect();
        let mut at = self.now;
        let mut said = String::new();
        for _ in 0..self.rng.bits() % 4 {
            at = at.max(self.later(2000)) + Duration::from_millis(1);
            let words = format!("w{} ", self.rng.bits() % 100);
            said.push_str(&words);
            self.events.push((at, Event::Words(words)));
        }
        at = at.max(self.later(3000)) + Duration::from_millis(1);
        if self.chance(5) {
            self.is_fair = false;
            return Ok(());
        }
        if self.chance(4) {
            let reason = if self.chance(3) { Reason::Key } else { Reason::Overloaded };
            self.is_fair = false;
            self.events.push((at, Event::Fail(reason)));
            return Ok(());
        }
        let mut calls = Vec::new();
        // A model that is offered no tools may call them all the same.
        if (with_tools && !self.chance(3)) || self.chance(20) {
            for number in 0..=self.rng.bits() % 3 {
                self.calls += 1;
                let id = format!("c{}", self.calls);
                let name = format!("t{number}");
                calls.push(Call { id, name, input: "{}".into(), ..Call::default() });
            }
        }
        self.is_fair &= with_tools || calls.is_empty();
        let stop = if calls.is_empty() { Stop::Done } else { Stop::Calls };
        let usage = Usage { input: 1, cached: 0, output: 1 };
        self.events.push((at, Event::Reply(Reply { text: said, calls, stop, usage, model: None })));
        Ok(())
    }

    fn act(&mut self, output: Output, dialogue: &Dialogue) -> Result<(), String> {
        if self.end.is_some() {
            return Err("something is to be done though the turn is over".into());
        }
        match output {
            Output::Ask { place, with_tools } => {
                self.ask(place, with_tools, dialogue.messages())?;
            }
            Output::Break => {
                if self.bug != Some(Bug::BreaksNothing) {
                    self.asked = None;
                    let is_model = |event: &Event| !matches!(event, Event::Join(_));
                    self.events.retain(|(_, event)| !is_model(event));
                }
            }
            Output::Run { number, call } => {
                if self.asked.is_some() || self.runs.contains(&number) {
                    return Err("a tool is run that was not called just now".into());
                }
                self.runs.push(number);
                let at = self.later(4000);
                self.events.push((at, Event::Outcome(number, format!("of {}", call.id))));
            }
            Output::Show(_) => {}
            Output::Spent { place, .. } => {
                if self.asked.take() != Some(place) {
                    return Err("a model was paid that did not answer".into());
                }
                self.runs.clear();
            }
            Output::Over(end) => self.end = Some(end),
        }
        Ok(())
    }
}

fn text(part: &Part) -> Option<String> {
    match part {
        Part::Text(text) => Some(text.to_string()),
        _ => None,
    }
}

/// Every call is followed, in the next message, by its outcome, in order.
fn well_formed(messages: &[Message]) -> Result<(), String> {
    for (at, message) in messages.iter().enumerate() {
        let calls: Vec<&str> = message.parts.iter().filter_map(call_of).collect();
        let next = messages.get(at + 1).map(|next| next.parts.as_slice()).unwrap_or_default();
        let outcomes: Vec<(&str, &str)> = next.iter().filter_map(outcome_of).collect();
        let expected: Vec<String> = calls.iter().map(|call| format!("of {call}")).collect();
        let is_answered = calls.len() == outcomes.len()
            && calls.iter().zip(&outcomes).all(|(call, (of, _))| call == of)
            && expected.iter().zip(&outcomes).all(|(words, (_, text))| words == text);
        if message.role == Role::Assistant && !is_answered {
            return Err(format!("calls {calls:?} have the outcomes {outcomes:?}"));
        }
    }
    Ok(())
}

fn call_of(part: &Part) -> Option<&str> {
    match part {
        Part::Call(call) => Some(&call.id),
        _ => None,
    }
}

fn outcome_of(part: &Part) -> Option<(&str, &str)> {
    match part {
        Part::Outcome { call, text, .. } => Some((call, text)),
        _ => None,
    }
}

/// Plays one turn; says what was wrong with it.
fn play(seed: u64, bug: Option<Bug>) -> Result<(), String> {
    let rules = Rules {
        by: Instant(0) + Duration::from_secs(60),
        silence: Duration::from_secs(5),
        patience: Duration::from_secs(10),
        rounds_max: if bug == Some(Bug::OffersForEver) { u32::MAX } else { ROUNDS_MAX },
    };
    let mut world = World {
        rng: Rng::new(seed),
        bug,
        now: Instant(0),
        rules,
        models: Models::new(3),
        events: Vec::new(),
        asked: None,
        offers: 0,
        calls: 0,
        runs: Vec::new(),
        joined: Vec::new(),
        heard: Vec::new(),
        end: None,
        is_fair: true,
    };
    for number in 0..world.rng.bits() % 4 {
        let at = world.later(20_000);
        world.events.push((at, Event::Join(format!("joined {number}"))));
    }
    let mut dialogue = Dialogue::new(rules, &world.models, world.now);
    for _ in 0..10_000 {
        while let Some(output) = dialogue.poll() {
            let twice = match (&output, bug) {
                (Output::Run { .. }, Some(Bug::RunsTwice))
                | (Output::Over(_), Some(Bug::EndsTwice)) => Some(output.clone()),
                _ => None,
            };
            world.act(output, &dialogue)?;
            if let Some(again) = twice {
                world.act(again, &dialogue)?;
            }
        }
        if world.end.is_some() {
            return judge(world);
        }
        step(&mut world, &mut dialogue)?;
    }
    Err("it never ends".into())
}

/// Whatever happens next.
fn step(world: &mut World, dialogue: &mut Dialogue) -> Result<(), String> {
    let due = dialogue.deadline().filter(|_| world.bug != Some(Bug::ForgetsTime));
    let next = (0..world.events.len()).min_by_key(|&at| world.events[at].0);
    let next = next.filter(|&at| due.is_none_or(|due| world.events[at].0 <= due));
    let Some(next) = next else {
        let Some(due) = due else { return Err("nothing will ever happen".into()) };
        if due < world.now {
            return Err("it is due in the past".into());
        }
        world.now = due;
        dialogue.expire(&mut world.models, due);
        return Ok(());
    };
    let (at, event) = world.events.swap_remove(next);
    world.now = world.now.max(at);
    let now = world.now;
    let input = match &event {
        Event::Join(text) => {
            if dialogue.join(text) {
                world.joined.push(text.clone());
                if world.bug == Some(Bug::LosesWords) {
                    dialogue.joined.clear();
                }
            }
            return Ok(());
        }
        Event::Outcome(..) if world.bug == Some(Bug::LosesOutcomes) && world.chance(3) => {
            return Ok(());
        }
        Event::Outcome(number, text) => {
            let number =
                if world.bug == Some(Bug::Disorders) { 2 - number.min(&2) } else { *number };
            Input::Outcome { number, text: text.as_str().into(), is_error: false }
        }
        Event::Words(words) => Input::Words(words),
        Event::Reply(reply) => Input::Replied(reply.clone()),
        Event::Fail(reason) => {
            world.asked = None;
            Input::Failed(Trouble { reason: *reason, words: String::new(), wait: None })
        }
    };
    dialogue.handle(&mut world.models, now, input);
    dialogue.expire(&mut world.models, now);
    Ok(())
}

fn judge(world: World) -> Result<(), String> {
    let Some(end) = world.end else { return Err("it has no end".into()) };
    if world.rules.by < world.now {
        return Err("it is over too late".into());
    }
    if end.answer.is_err() && world.is_fair {
        return Err(format!("everybody did what they should, and the end is {:?}", end.answer));
    }
    for words in &world.joined {
        let is_left = end.unheard.iter().any(|left| **left == **words);
        if world.heard.contains(words) == is_left {
            return Err(format!("{words:?} was lost, or is told twice"));
        }
    }
    Ok(())
}

#[test]
fn a_turn_ends_once_and_in_time_and_nothing_that_was_said_is_lost() {
    for seed in 0..5000 {
        play(seed, None).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    }
}

#[test]
fn the_simulation_notices_planted_bugs() {
    for bug in BUGS {
        let is_noticed = (0..2000).any(|seed| play(seed, Some(bug)).is_err());
        assert!(is_noticed, "{bug:?}");
    }
}

#[test]
fn the_words_of_a_model_that_fails_are_taken_back() {
    let mut models = Models::new(2);
    let rules = Rules {
        by: Instant(0) + Duration::from_secs(60),
        silence: Duration::from_secs(5),
        patience: Duration::from_secs(10),
        rounds_max: 1,
    };
    let mut dialogue = Dialogue::new(rules, &models, Instant(0));
    let drain =
        |dialogue: &mut Dialogue| std::iter::from_fn(|| dialogue.poll()).collect::<Vec<_>>();
    assert_eq!(drain(&mut dialogue), [Output::Ask { place: 0, with_tools: true }]);
    dialogue.handle(&mut models, Instant(1), Input::Words("Half"));
    dialogue.handle(&mut models, Instant(2), Input::Words(" of it"));
    assert_eq!(drain(&mut dialogue), [Output::Show("Half of it".into())]);
    let trouble = Trouble { reason: Reason::Cut, words: String::new(), wait: None };
    dialogue.handle(&mut models, Instant(3), Input::Failed(trouble.clone()));
    let again = [Output::Show(String::new()), Output::Ask { place: 1, with_tools: true }];
    assert_eq!(drain(&mut dialogue), again);
    dialogue.handle(&mut models, Instant(4), Input::Failed(trouble.clone()));
    let end = End { answer: Err(Fault::Unreachable), trouble: Some(trouble), unheard: Vec::new() };
    // Both rest for a moment, which is shorter than our patience: but each was asked.
    dialogue.expire(&mut models, Instant(5) + Duration::from_secs(3));
    assert_eq!(drain(&mut dialogue), [Output::Over(end)]);
}

#[test]
fn what_is_said_before_a_tool_is_called_is_part_of_the_answer() {
    let mut models = Models::new(1);
    let rules = Rules {
        by: Instant(0) + Duration::from_secs(60),
        silence: Duration::from_secs(5),
        patience: Duration::ZERO,
        rounds_max: 1,
    };
    let mut dialogue = Dialogue::new(rules, &models, Instant(0));
    let reply = |text: &str, calls: Vec<Call>| Reply {
        text: text.into(),
        stop: if calls.is_empty() { Stop::Done } else { Stop::Calls },
        calls,
        usage: Usage::default(),
        model: None,
    };
    let call = Call { id: "c".into(), name: "look".into(), ..Call::default() };
    dialogue.handle(&mut models, Instant(1), Input::Replied(reply("I look.", vec![call])));
    let outcome = Input::Outcome { number: 0, text: "rain".into(), is_error: false };
    dialogue.handle(&mut models, Instant(2), outcome);
    dialogue.handle(&mut models, Instant(3), Input::Replied(reply("It rains.", Vec::new())));
    let over = std::iter::from_fn(|| dialogue.poll()).last();
    let Some(Output::Over(end)) = over else { panic!("{over:?}") };
    assert_eq!(end.answer.as_deref(), Ok("I look.\n\nIt rains."));
}
