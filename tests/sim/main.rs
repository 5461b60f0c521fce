//! The gateway machine's life in virtual time: weeks of faults, from a seed.
//!
//! A model of Discord's server and a model of the network do what they can; the checks are what
//! the machine promises. A failure names its seed: `SIM_SEED=n cargo test --test sim` plays it
//! again, aloud. To know that the checks bite, bugs are planted, and each must be caught.

mod check;
mod plant;
mod server;
mod weather;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use plant::{BUGS, Bug};
use world::{Failure, World};

const SEEDS: u64 = 2000;
/// Seeds within which a planted bug must show.
const SEEDS_PER_BUG: u64 = 20;

/// Runs `seeds` on two threads; the first failure by number, or how many steps it took.
fn run(seeds: u64, bug: Bug) -> Result<u64, Failure> {
    let (next, steps) = (AtomicU64::new(0), AtomicU64::new(0));
    let worker = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return None;
            }
            match World::new(seed, bug, false).run() {
                Ok(count) => steps.fetch_add(count, Ordering::Relaxed),
                Err(failure) => {
                    next.store(seeds, Ordering::Relaxed);
                    return Some(failure);
                }
            };
        }
    };
    let failures: Vec<_> = thread::scope(|scope| {
        let threads = [scope.spawn(worker), scope.spawn(worker)];
        threads.into_iter().filter_map(|thread| thread.join().expect("no panic")).collect()
    });
    match failures.into_iter().min_by_key(|failure| failure.seed) {
        Some(failure) => Err(failure),
        None => Ok(steps.into_inner()),
    }
}

fn report(Failure { seed, at, what }: &Failure) -> String {
    format!("seed {seed}, after {at:.3?}: {what} (SIM_SEED={seed} plays it again)")
}

#[test]
fn it_keeps_every_promise_through_weeks_of_faults() {
    if let Some(seed) = std::env::var("SIM_SEED").ok().and_then(|seed| seed.parse().ok()) {
        if let Err(failure) = World::new(seed, Bug::None, true).run() {
            panic!("{}", report(&failure));
        }
        return;
    }
    match run(SEEDS, Bug::None) {
        Ok(steps) => println!("{SEEDS} weeks, {steps} steps"),
        Err(failure) => panic!("{}", report(&failure)),
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
