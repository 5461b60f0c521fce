//! Whether the intent filter finds what is meant for us, measured by conversations that it was not
//! trained on; and whether its table is what training makes of the others.
//!
//! `cargo test --test intent -- --ignored` writes the table anew, which is right after a change of
//! the conversations, the cues or the training; `--nocapture` shows the figures.
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "small counts"
)]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests, and their figures")]

mod corpus;
mod train;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use barnacle::core::intent::{Bar, Cue, Features, score, weights};

use corpus::{Conversation, Part};
use train::Sample;

/// What a set of messages comes to.
#[derive(Clone, Copy, Default)]
struct Tally {
    found: u32,
    missed: u32,
    needless: u32,
    spared: u32,
}

impl Tally {
    fn add(&mut self, for_us: bool, is_answered: bool) {
        *match (for_us, is_answered) {
            (true, true) => &mut self.found,
            (true, false) => &mut self.missed,
            (false, true) => &mut self.needless,
            (false, false) => &mut self.spared,
        } += 1;
    }

    fn recall(self) -> f64 {
        f64::from(self.found) / f64::from(self.found + self.missed)
    }

    fn precision(self) -> f64 {
        f64::from(self.found) / f64::from(self.found + self.needless)
    }

    /// What recall is at least, where chance alone would show so much in one of forty samples
    /// (Wilson's interval of 95 %).
    fn recall_at_least(self) -> f64 {
        interval(self.found, self.found + self.missed).0
    }

    /// The share of messages that no agent is asked about.
    fn cut(self) -> f64 {
        let all = self.found + self.missed + self.needless + self.spared;
        f64::from(self.missed + self.spared) / f64::from(all)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { found, missed, needless, spared } = self;
        write!(
            f,
            "{found} found, {missed} missed, {needless} answered needlessly, {spared} spared: \
             recall {:.3} {}, precision {:.3} {}, calls cut {:.3} {}",
            self.recall(),
            Span(interval(*found, found + missed)),
            self.precision(),
            Span(interval(*found, found + needless)),
            self.cut(),
            Span(interval(missed + spared, found + missed + needless + spared)),
        )
    }
}

/// From here to there.
struct Span((f64, f64));

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({:.3} to {:.3})", self.0.0, self.0.1)
    }
}

/// Wilson's interval of 95 % for `hits` of `all`.
fn interval(hits: u32, all: u32) -> (f64, f64) {
    const Z: f64 = 1.96;
    let (hits, all) = (f64::from(hits), f64::from(all.max(1)));
    let (share, part) = (hits / all, Z * Z / all);
    let middle = (share + part / 2.0) / (1.0 + part);
    let half = Z * (share * (1.0 - share) / all + part / (4.0 * all)).sqrt() / (1.0 + part);
    (middle - half, middle + half)
}

/// Judges the facts about a message.
type Judge = fn(Features) -> bool;

/// As the filter does by its usual settings.
fn usual(features: Features) -> bool {
    score(features, 0).permille >= Bar::default().threshold
}

/// What `judge` makes of `conversations`. What it lets through is what is remembered, not what the
/// labels say.
fn measure<'c>(
    conversations: impl IntoIterator<Item = &'c Conversation>,
    judge: Judge,
    show: bool,
) -> Tally {
    let mut tally = Tally::default();
    for conversation in conversations {
        conversation.play(|message, features| {
            let is_answered = message.mentions_us || judge(features);
            let for_us = message.for_us.expect("ours are not judged");
            tally.add(for_us, is_answered);
            if show && for_us != is_answered {
                println!("  {}: {for_us}: {:?}", conversation.name, message.text);
            }
            is_answered
        });
    }
    tally
}

/// Whether `judge` does what is promised, by conversations that nothing was chosen by: in busy
/// channels, which the filter is made for, and over all.
fn keeps_the_promise(all: &[Conversation], judge: Judge, show: bool) -> bool {
    let of = |part: Part, busy: bool| {
        let is_it = move |it: &&Conversation| it.part == part && (it.is_busy || !busy);
        measure(all.iter().filter(is_it), judge, false)
    };
    if show {
        // Whoever changes cues or training looks at the last only when that is done.
        let is_final = std::env::var_os("BLIND").is_none();
        let last = is_final.then_some(Part::Test);
        for part in [Part::Train, Part::Check].into_iter().chain(last) {
            println!("{part:?}: {}\n{part:?}, busy: {}", of(part, false), of(part, true));
        }
    }
    let is_kept =
        |tally: Tally, recall: f64, cut: f64| tally.recall() >= recall && tally.cut() >= cut;
    let (whole, busy) = (of(Part::Test, false), of(Part::Test, true));
    let is_whole_kept = is_kept(whole, 0.96, 0.6) && whole.precision() >= 0.5;
    is_whole_kept && is_kept(busy, 0.95, 0.6) && busy.recall_at_least() >= 0.88
}

fn samples(conversations: &[Conversation]) -> Vec<Vec<Sample>> {
    // What training is chosen by is trained on in the end.
    let train = conversations.iter().filter(|conversation| conversation.part != Part::Test);
    let samples = train.map(|conversation| {
        let mut samples = Vec::new();
        conversation.play(|message, features| {
            let for_us = message.for_us.expect("ours are not judged");
            samples.push(Sample { features, for_us, mentions_us: message.mentions_us });
            for_us
        });
        samples
    });
    samples.collect()
}

#[test]
fn most_of_what_is_meant_for_us_is_found_and_most_of_the_rest_costs_nothing() {
    assert!(keeps_the_promise(&corpus::read(), usual, true), "see the figures above");
}

#[test]
#[ignore = "shows what is judged wrongly of the conversations that cues are made by"]
fn show_errors() {
    let all = corpus::read();
    let part = if std::env::var_os("CHECK").is_some() { Part::Check } else { Part::Train };
    measure(all.iter().filter(|it| it.part == part), usual, true);
}

#[test]
fn a_filter_that_is_worse_does_not_pass() {
    /// The same without some of the facts.
    fn without(features: Features, cues: &[Cue]) -> Features {
        let others = features.iter().filter(|cue| !cues.contains(cue));
        others.fold(Features::default(), |features, cue| features.with(cue, true))
    }
    const NAMES: &[Cue] = &[Cue::Named, Cue::NamedSays];
    const OURS: &[Cue] = &[
        Cue::FollowSame,
        Cue::FollowAsk,
        Cue::FollowDo,
        Cue::FollowNot,
        Cue::FollowMore,
        Cue::NearSame,
        Cue::NearAsk,
        Cue::NearDo,
        Cue::BotAsked,
        Cue::SelfRun,
    ];
    const THEIRS: &[Cue] = &[Cue::AfterHuman, Cue::Chatter, Cue::Short, Cue::Brief];
    let planted: [(&str, Judge); 6] = [
        ("answers all", |_| true),
        ("answers nothing", |_| false),
        ("does not know its name", |features| usual(without(features, NAMES))),
        ("forgets what it said", |features| usual(without(features, OURS))),
        ("does not hear others", |features| usual(without(features, THEIRS))),
        ("takes questions alone", |features| features.has(Cue::QuestionEnd)),
    ];
    let all = corpus::read();
    for (what, judge) in planted {
        assert!(!keeps_the_promise(&all, judge, false), "{what}");
    }
}

#[test]
fn the_table_is_what_training_makes_of_the_conversations() {
    let table = train::train(&samples(&corpus::read()));
    assert_eq!(table, weights::WEIGHTS, "see the head of this file for how it is written anew");
}

#[test]
#[ignore = "writes the table into the source"]
fn write_the_table() {
    let table = train::train(&samples(&corpus::read()));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/core/intent/weights.rs");
    std::fs::write(file, train::file(&table)).unwrap();
}

#[test]
fn the_conversations_are_many_and_no_two_messages_are_alike() {
    let all = corpus::read();
    let words = |text: &str| -> BTreeSet<String> {
        let words = text.split(|letter: char| !letter.is_alphanumeric());
        words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
    };
    let messages = all.iter().flat_map(|conversation| &conversation.messages);
    let labelled: Vec<_> = messages.filter(|message| message.for_us.is_some()).collect();
    assert!(labelled.len() >= 1000, "{}", labelled.len());
    let wanted = labelled.iter().filter(|message| message.for_us == Some(true)).count();
    let held = all.iter().filter(|it| it.part == Part::Test && it.is_busy);
    let held = held.flat_map(|it| &it.messages).filter(|message| message.for_us == Some(true));
    assert!(held.count() >= 100, "so that one that is missed is less than one of a hundred");
    println!("{} conversations, {} messages, {wanted} for us", all.len(), labelled.len());
    // What is shorter is said again and again by everybody.
    let long: Vec<_> = labelled.iter().map(|message| words(&message.text)).collect();
    let long: Vec<_> = long.into_iter().filter(|words| words.len() >= 5).collect();
    for (at, one) in long.iter().enumerate() {
        for other in &long[at + 1..] {
            let (both, either) = (one.intersection(other).count(), one.union(other).count());
            assert!(both * 4 < either * 3, "{one:?} is much like {other:?}");
        }
    }
    let names: BTreeSet<&str> = all.iter().map(|conversation| conversation.name.as_str()).collect();
    assert_eq!(names.len(), all.len(), "each conversation has a name of its own");
}
