//! Months of an account's life, with ends of the process and jumps of the clock, against a plain
//! sum; and with bugs planted.

use std::time::Duration;

use super::*;
use crate::base::Rng;

/// A midnight, some years on.
const MIDNIGHT: Wall = Wall(20_600 * DAY_MS);

fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

/// An account and its two clocks.
struct Life {
    uptime: Uptime,
    now: Instant,
    wall: Wall,
}

impl Life {
    fn at(wall: Wall) -> Life {
        Life { uptime: Uptime::default(), now: Instant(0), wall }
    }

    fn pass(&mut self, span: Duration) {
        (self.now, self.wall) = (self.now + span, self.wall + span);
    }

    fn look(&mut self, state: State, cause: &str) {
        self.uptime.look(self.now, self.wall, state, cause);
    }

    /// It is so for a while.
    fn live(&mut self, state: State, cause: &str, span: Duration) {
        self.look(state, cause);
        self.pass(span);
        self.look(state, cause);
    }

    fn restart(&mut self, away: Duration) {
        let bytes = serde_json::to_vec(&self.uptime.kept().expect("something")).expect("JSON");
        self.uptime = Uptime::restore(serde_json::from_slice(&bytes).expect("its own"));
        self.now = Instant(0);
        self.wall = self.wall + away;
    }

    fn days(&self) -> Vec<Tally> {
        self.uptime.last_days(self.wall).map(|day| day.tally).collect()
    }

    fn last_causes(&self) -> Vec<(String, u32)> {
        let last = self.uptime.days.back().expect("a day");
        last.causes.iter().map(|(cause, ms)| (cause.to_string(), ms / 1000)).collect()
    }
}

fn tally(up: u64, down: u64, off: u64) -> Tally {
    let ms = |minutes: u64| u32::try_from(minutes * 60_000).expect("less than a day");
    Tally { up: ms(up), down: ms(down), off: ms(off) }
}

#[test]
fn time_is_booked_to_what_was_so_with_its_cause() {
    let mut life = Life::at(MIDNIGHT);
    life.live(State::Up, "", minutes(30));
    life.live(State::Down, "the wire was cut", minutes(3));
    life.live(State::Up, "", minutes(7));
    life.live(State::Off, "it was stopped", minutes(20));
    assert_eq!(life.days(), [tally(37, 3, 20)]);
    let causes = [("the wire was cut".to_owned(), 180), ("it was stopped".to_owned(), 1200)];
    assert_eq!(life.last_causes(), causes);
    let day = life.uptime.last_day(life.wall);
    let told: Vec<(u32, Option<&str>)> =
        day.iter().map(|run| (run.count, run.cause.as_deref())).collect();
    assert_eq!(
        told,
        [(6, None), (1, Some("the wire was cut")), (1, None), (4, Some("it was stopped"))]
    );
}

#[test]
fn a_day_ends_at_midnight() {
    let mut life = Life::at(Wall(MIDNIGHT.0 - 10 * 60_000));
    life.live(State::Up, "", minutes(25));
    assert_eq!(life.days(), [tally(10, 0, 0), tally(15, 0, 0)]);
    let begins: Vec<Wall> = life.uptime.last_days(life.wall).map(Day::begin).collect();
    assert_eq!(begins, [Wall(MIDNIGHT.0 - DAY_MS), MIDNIGHT]);
}

#[test]
fn a_process_that_was_not_there_is_told_as_such() {
    let mut life = Life::at(MIDNIGHT);
    life.live(State::Up, "", minutes(10));
    life.restart(minutes(45));
    life.live(State::Up, "", minutes(5));
    assert_eq!(life.days(), [tally(15, 0, 45)]);
    assert_eq!(life.last_causes(), [(NO_PROCESS.to_owned(), 2700)]);
}

#[test]
fn what_the_clock_jumped_over_is_unknown() {
    let mut life = Life::at(MIDNIGHT);
    life.live(State::Up, "", minutes(10));
    life.wall = life.wall + minutes(120);
    life.live(State::Up, "", minutes(10));
    assert_eq!(life.days(), [tally(20, 0, 0)]);
}

#[test]
fn a_clock_that_is_set_back_and_right_again_costs_that_time_and_no_more() {
    let mut life = Life::at(Wall(MIDNIGHT.0 + DAY_MS / 2));
    life.live(State::Up, "", minutes(10));
    let right = life.wall;
    life.wall = Wall(right.0 - 3 * DAY_MS);
    life.live(State::Up, "", minutes(5));
    life.wall = right + minutes(5);
    life.live(State::Up, "", minutes(10));
    assert_eq!(life.days(), [tally(20, 0, 0)], "and nothing was thrown away");
}

#[test]
fn a_clock_that_stays_set_back_is_believed_after_a_while() {
    let mut life = Life::at(Wall(MIDNIGHT.0 + DAY_MS / 2));
    life.live(State::Up, "", minutes(60));
    // It was wrong before: an hour fast, and the slot that it comes back into is given up.
    life.wall = Wall(life.wall.0 - 30 * 60_000);
    life.live(State::Up, "", UPTIME_CLOCK_PATIENCE);
    let before = life.days()[0];
    assert_eq!(before, tally(40, 0, 0));
    life.live(State::Down, "later", minutes(10));
    assert_eq!(life.days(), [tally(40, 10, 0)]);
}

#[test]
fn a_clock_that_was_never_set_says_nothing() {
    let mut life = Life::at(Wall(0));
    life.live(State::Up, "", minutes(60));
    assert_eq!(life.uptime.kept(), None);
    life.wall = MIDNIGHT;
    life.look(State::Up, "");
    life.live(State::Up, "", minutes(5));
    assert_eq!(life.days(), [tally(5, 0, 0)]);
}

#[test]
fn it_is_bounded_and_fits_where_it_is_kept_whatever_happens() {
    let mut life = Life::at(MIDNIGHT);
    for n in 0..60 * 288_u64 {
        let cause = format!("{n}\u{1b}\"\\\u{1f980}").repeat(40);
        life.live(if n % 2 == 0 { State::Down } else { State::Off }, &cause, minutes(5));
    }
    let bytes = serde_json::to_vec(&life.uptime.kept()).expect("JSON");
    assert!(bytes.len() < crate::base::limits::UPTIME_BYTES_MAX as usize, "{}", bytes.len());
    assert_eq!(life.uptime.days.len(), UPTIME_DAYS_MAX);
    let slots: u32 = life.uptime.last_day(life.wall).iter().map(|run| run.count).sum();
    assert_eq!(slots, 287, "the next slot has only begun, and nothing is in it yet");
    assert!(life.uptime.days.iter().all(|day| day.causes.len() <= UPTIME_CAUSES_MAX));
    assert!(life.last_causes().iter().any(|(cause, _)| cause == OTHERS));
}

#[test]
fn a_file_that_makes_no_sense_is_no_record() {
    for text in [
        r#"{"until":5,"slots":[{"at":9,"count":4000000000,"tally":{"up":1,"down":0,"off":0}}],
            "days":[]}"#,
        r#"{"until":18446744073709551615,"slots":[{"at":18446744073709551615,"count":3,
            "tally":{"up":0,"down":1,"off":0}}],
            "days":[{"at":18446744073709551615,"tally":{"up":0,"down":1,"off":0},"causes":[]}]}"#,
    ] {
        let mut uptime = Uptime::restore(serde_json::from_str(text).expect("its form"));
        uptime.look(Instant(0), MIDNIGHT, State::Up, "");
        uptime.look(Instant(0) + minutes(20), MIDNIGHT + minutes(20), State::Up, "");
        let _ = (uptime.last_day(MIDNIGHT), uptime.last_days(MIDNIGHT).count(), uptime.kept());
    }
}

/// What may be planted.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Bug {
    None,
    BooksToWhatComes,
    BooksTwice,
    LosesTheEnd,
    ForgetsThatThereWasNoProcess,
    InventsWhatWasJumpedOver,
    LosesMidnight,
}

const BUGS: [Bug; 6] = [
    Bug::BooksToWhatComes,
    Bug::BooksTwice,
    Bug::LosesTheEnd,
    Bug::ForgetsThatThereWasNoProcess,
    Bug::InventsWhatWasJumpedOver,
    Bug::LosesMidnight,
];

/// Lives some weeks; in words, what the record says that was not so.
fn play(seed: u64, bug: Bug) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let mut life = Life::at(MIDNIGHT + Duration::from_millis(rng.below(DAY_MS)));
    let mut truth = Tally::default();
    let mut state = State::Off;
    life.look(state, "a cause");
    // The record is compared as long as nothing has fallen out of it.
    let end = life.wall + Duration::from_millis(DAY_MS * 25);
    while life.wall < end {
        let next = [State::Up, State::Down, State::Off][usize::try_from(rng.below(3)).expect("3")];
        let longest = [1000, 60_000, DAY_MS / 8][usize::try_from(rng.below(3)).expect("3")];
        let span = Duration::from_millis(rng.below(longest));
        match rng.below(12) {
            0 => {
                truth.add(State::Off, u32::try_from(span.as_millis()).expect("hours"));
                life.restart(span);
                if bug == Bug::ForgetsThatThereWasNoProcess {
                    life.uptime.until = Some(life.wall);
                }
            }
            1 => {
                // Forward, by more than could be an error of the two clocks.
                let jump = UPTIME_CLOCK_SLACK * 2 + span;
                life.wall = life.wall + jump;
                if bug == Bug::InventsWhatWasJumpedOver {
                    life.now += jump;
                }
            }
            _ => {
                truth.add(state, u32::try_from(span.as_millis()).expect("hours"));
                if bug == Bug::LosesTheEnd && rng.one_in(20) {
                    life.uptime.until = Some(life.wall + span);
                }
                let midnight = (life.wall + span).0 / DAY_MS != life.wall.0 / DAY_MS;
                life.pass(span);
                if bug == Bug::LosesMidnight && midnight {
                    life.uptime.until = Some(Wall(life.wall.0 / DAY_MS * DAY_MS));
                }
            }
        }
        if bug == Bug::BooksToWhatComes
            && let Some(seen) = &mut life.uptime.seen
        {
            seen.state = next;
        }
        let until = life.uptime.until;
        state = next;
        life.look(state, "a cause");
        if bug == Bug::BooksTwice && rng.one_in(20) {
            life.uptime.until = until;
            life.look(state, "a cause");
        }
        check(&life, truth)?;
    }
    Ok(())
}

fn check(life: &Life, truth: Tally) -> Result<(), String> {
    let mut sum = Tally::default();
    for day in life.uptime.last_days(life.wall) {
        let length = life.wall.since(day.begin()).as_millis().min(u128::from(DAY_MS));
        if u128::from(day.tally.sum()) > length {
            return Err(format!("more than there was of {}", day.begin()));
        }
        let Tally { up, down, off } = day.tally;
        for (state, ms) in [(State::Up, up), (State::Down, down), (State::Off, off)] {
            sum.add(state, ms);
        }
        let causes: u64 = day.causes.iter().map(|(_, ms)| u64::from(*ms)).sum();
        if causes != u64::from(day.tally.down) + u64::from(day.tally.off) {
            return Err(format!("causes that do not add up of {}", day.begin()));
        }
    }
    for run in life.uptime.last_day(life.wall) {
        if run.tally.sum() > SLOT_MS {
            return Err(format!("more than there was from {} on", run.begin()));
        }
    }
    if sum == truth { Ok(()) } else { Err(format!("{sum:?}, and it was {truth:?}")) }
}

#[test]
fn what_is_booked_is_what_was() {
    for seed in 0..15 {
        play(seed, Bug::None).unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
    }
}

#[test]
fn each_planted_bug_is_caught() {
    for bug in BUGS {
        assert!((0..15).any(|seed| play(seed, bug).is_err()), "{bug:?} was not caught");
    }
}

#[test]
fn whatever_the_clock_does_nothing_is_booked_twice() {
    for seed in 0..200 {
        let mut rng = Rng::new(seed);
        let mut life = Life::at(MIDNIGHT);
        for _ in 0..300 {
            let span = Duration::from_millis(rng.below(DAY_MS / 20));
            match rng.below(8) {
                0 => life.wall = Wall(life.wall.0.saturating_sub(rng.below(3 * DAY_MS))),
                1 => life.wall = life.wall + Duration::from_millis(rng.below(3 * DAY_MS)),
                2 if life.uptime.until.is_some() => life.restart(span),
                _ => life.pass(span),
            }
            let state = if rng.one_in(2) { State::Up } else { State::Down };
            life.look(state, "a cause");
            for day in &life.uptime.days {
                assert!(day.tally.sum() <= DAY_MS, "seed {seed}");
            }
            for slot in &life.uptime.slots {
                assert!(slot.tally.sum() <= SLOT_MS, "seed {seed}");
            }
            let is_rising = life.uptime.slots.iter().is_sorted_by(|a, b| a.at < b.at);
            assert!(is_rising && life.uptime.days.iter().is_sorted_by(|a, b| a.at < b.at));
        }
    }
}
