//! Training: logistic regression by plain gradient descent, by nothing but sums, products and
//! quotients of f64, which come out the same on every machine.

use std::fmt::Write;

use barnacle::core::intent::{Cue, Features};

/// Rounds, and how far each goes.
const ROUNDS: usize = 1500;
const RATE: f64 = 2.0;
/// What weights cost, so that a cue that was seen a few times says little.
const DECAY: f64 = 0.002;
/// How much more it costs to pass over what is for us than to answer what is not.
const MISSED: f64 = 3.0;
/// The threshold at which most is to be found, as a sum of weights in hundredths: that is 0.7.
const THRESHOLD: i32 = 86;
/// How much of what is for us is to be found at the threshold, in conversations that were not
/// trained on: some more than is promised, since no two sets of conversations are alike.
const FOUND: f64 = 0.98;
/// Parts into which the conversations are put for that.
const FOLDS: usize = 8;

/// A message, whether it is for us, and whether it mentions us and so is answered anyway.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    pub(crate) features: Features,
    pub(crate) for_us: bool,
    pub(crate) mentions_us: bool,
}

/// Hundredths for each cue, learned from the messages of these conversations.
pub(crate) fn train(conversations: &[Vec<Sample>]) -> Vec<i16> {
    let all: Vec<Sample> = conversations.concat();
    let mut table = fit(&all);
    table[Cue::Base as usize] += lean(conversations);
    table
}

/// By how much all sums must be raised for enough to be found at the threshold. The threshold that
/// people set is a round number; it is the table's part to make it mean something.
fn lean(conversations: &[Vec<Sample>]) -> i16 {
    let mut sums = Vec::new();
    for fold in 0..FOLDS {
        let is_in = |at: usize| at % FOLDS == fold;
        let others = conversations.iter().enumerate().filter(|&(at, _)| !is_in(at));
        let table = fit(&others.flat_map(|(_, samples)| samples.clone()).collect::<Vec<_>>());
        let own = conversations.iter().enumerate().filter(|&(at, _)| is_in(at));
        let wanted = own.flat_map(|(_, samples)| samples).filter(|sample| sample.for_us);
        sums.extend(wanted.map(|sample| {
            if sample.mentions_us { i32::MAX } else { sum(&table, sample.features) }
        }));
    }
    sums.sort_unstable();
    let may_miss = (sums.len() as f64 * (1.0 - FOUND)) as usize;
    i16::try_from(THRESHOLD - sums[may_miss]).expect("a small number")
}

fn sum(table: &[i16], features: Features) -> i32 {
    features.iter().map(|cue| i32::from(table[cue as usize])).sum()
}

fn fit(samples: &[Sample]) -> Vec<i16> {
    let cues = |sample: &Sample| sample.features.iter().map(|cue| cue as usize).collect();
    let rows: Vec<(Vec<usize>, bool)> =
        samples.iter().map(|sample| (cues(sample), sample.for_us)).collect();
    let mut weights = vec![0.0_f64; Cue::ALL.len()];
    for _ in 0..ROUNDS {
        let mut slope = vec![0.0_f64; weights.len()];
        for (cues, for_us) in &rows {
            let sum: f64 = cues.iter().map(|&cue| weights[cue]).sum();
            let (label, cost) = if *for_us { (1.0, MISSED) } else { (0.0, 1.0) };
            let error = cost * (logistic(sum) - label);
            for &cue in cues {
                slope[cue] += error;
            }
        }
        for (cue, weight) in weights.iter_mut().enumerate() {
            let decay = if cue == Cue::Base as usize { 0.0 } else { DECAY * *weight };
            *weight -= RATE * (slope[cue] / rows.len() as f64 + decay);
        }
        // To be named never counts against anybody.
        for cue in [Cue::Mention, Cue::ReplyUs] {
            weights[cue as usize] = weights[cue as usize].max(0.0);
        }
    }
    weights.into_iter().map(|weight| (weight * 100.0).round() as i16).collect()
}

fn logistic(sum: f64) -> f64 {
    1.0 / (1.0 + exponential(-sum))
}

/// e to this power, by the series of a small part of it, squared up again: the standard library's
/// differs from one system to another in the last place.
fn exponential(power: f64) -> f64 {
    let small = power.clamp(-40.0, 40.0) / 64.0;
    let (mut term, mut sum) = (1.0, 1.0);
    for at in 1..16 {
        term *= small / f64::from(at);
        sum += term;
    }
    (0..6).fold(sum, |sum, _| sum * sum)
}

/// The file that holds `table`.
pub(crate) fn file(table: &[i16]) -> String {
    let mut text = String::from(
        "//! What each cue weighs, in hundredths. Made by training (`tests/intent`), not by hand.\n\
         \n\
         use super::Cue;\n\
         \n\
         /// The weight of `cue`.\n\
         #[must_use]\n\
         pub fn of(cue: Cue) -> i16 {\n    \
             WEIGHTS.get(cue as usize).copied().unwrap_or(0)\n\
         }\n\
         \n\
         /// By the numbers of the cues.\n\
         pub const WEIGHTS: &[i16] = &[\n",
    );
    for (&cue, weight) in Cue::ALL.iter().zip(table) {
        // Into a text it cannot fail.
        let _ = writeln!(text, "    {weight}, // {cue:?}");
    }
    text + "];\n"
}
