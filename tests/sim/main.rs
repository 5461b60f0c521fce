//! The gateway machine's life in virtual time: weeks of faults, from a seed.
//!
//! A model of Discord's server and a model of the network do what they can; the checks are what
//! the machine promises. A failure names its seed: `SIM_SEED=n cargo test --test sim` plays it
//! again, aloud, and `SIM_SEEDS=n` hunts longer. To know that the checks bite, bugs are planted,
//! and each must be caught.

#![allow(unreachable_pub, reason = "a test has no outside")]

mod check;
mod plant;
mod server;
mod tally;
mod weather;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use plant::{BUGS, Bug};
use tally::Tally;
use world::{Failure, World};

const SEEDS: u64 = 2000;
/// Seeds within which a planted bug must show.
const SEEDS_PER_BUG: u64 = 20;

/// Runs `seeds` on two threads; the first failure by number, or what was seen.
fn run(seeds: u64, bug: Bug) -> Result<Tally, Failure> {
    let next = AtomicU64::new(0);
    let worker = || {
        let mut sum = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return Ok(sum);
            }
            match World::new(seed, bug, false).run() {
                Ok(tally) => sum.add(&tally),
                Err(failure) => {
                    next.store(seeds, Ordering::Relaxed);
                    return Err(failure);
                }
            }
        }
    };
    thread::scope(|scope| {
        let threads = [scope.spawn(worker), scope.spawn(worker)];
        let [one, two] = threads.map(|thread| thread.join().expect("no panic"));
        match (one, two) {
            (Ok(mut one), Ok(two)) => {
                one.add(&two);
                Ok(one)
            }
            (Err(one), Err(two)) => Err(if one.seed < two.seed { one } else { two }),
            (Err(failure), Ok(_)) | (Ok(_), Err(failure)) => Err(failure),
        }
    })
}

fn report(Failure { seed, at, what }: &Failure) -> String {
    format!("seed {seed}, after {at:.3?}: {what} (SIM_SEED={seed} plays it again)")
}

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn it_keeps_every_promise_through_weeks_of_faults() {
    if let Some(seed) = number("SIM_SEED") {
        if let Err(failure) = World::new(seed, Bug::None, true).run() {
            panic!("{}", report(&failure));
        }
        return;
    }
    let seeds = number("SIM_SEEDS").unwrap_or(SEEDS);
    let seen = run(seeds, Bug::None).unwrap_or_else(|failure| panic!("{}", report(&failure)));
    println!("{seeds} weeks: {seen:#?}");
    for (count, what) in [
        (seen.resumed, "RESUMED"),
        (seen.ready, "READY"),
        (seen.abandoned, "a session given up after strikes"),
        (seen.unproven, "a session given up since connections do not last"),
        (seen.held, "a hold by the budget"),
        (seen.parked, "a park"),
        (seen.refused_sends, "a send refused"),
        (seen.silences, "a silence judged"),
        (seen.survived_stalls, "a stall that the connection survived"),
    ] {
        assert!(count >= seeds / 20, "{what} was seen only {count} times");
    }
}

#[test]
fn every_planted_bug_is_caught() {
    let missed: Vec<_> = BUGS
        .into_iter()
        .filter(|&bug| match run(SEEDS_PER_BUG, bug) {
            Ok(_) => true,
            Err(failure) => {
                println!("{bug:?}: {}", report(&failure));
                false
            }
        })
        .collect();
    assert!(missed.is_empty(), "not caught within {SEEDS_PER_BUG} seeds: {missed:?}");
}
