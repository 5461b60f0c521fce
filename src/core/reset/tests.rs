//! A host with a clock that leaps and a process that restarts, against a person who knows how much
//! time has really passed.

use super::*;
use crate::base::Rng;
use proptest::prelude::*;

fn wall(text: &str) -> Wall {
    let at: Timestamp = text.parse().expect("a time");
    Wall(u64::try_from(at.as_millisecond()).expect("after 1970"))
}

fn daily(zone: &str, hour: i8) -> Rule {
    let zone = TimeZone::get(zone).expect("it is bundled");
    Rule { at_hour: Some(hour), idle: None, zone }
}

fn heard(at: Wall) -> Before {
    Before { at, since: None }
}

#[test]
fn a_day_begins_at_its_hour_where_the_people_are() {
    let rule = daily("Europe/Berlin", 4);
    for (before, now, why) in [
        ("2026-07-01T01:59:59Z", "2026-07-01T02:00:00Z", Some(Why::Daily)),
        ("2026-07-01T02:00:00Z", "2026-07-02T01:59:59Z", None),
        ("2026-07-01T02:00:00Z", "2026-07-02T02:00:01Z", Some(Why::Daily)),
        ("2026-01-10T02:59:59Z", "2026-01-10T03:00:00Z", Some(Why::Daily)),
        ("2026-01-10T02:00:00Z", "2026-01-10T02:59:59Z", None),
        ("2025-01-01T00:00:00Z", "2026-01-10T02:59:59Z", Some(Why::Daily)),
    ] {
        assert_eq!(rule.judge(heard(wall(before)), wall(now)), why, "{before} {now}");
    }
}

#[test]
fn an_hour_that_is_left_out_or_comes_twice_begins_one_day() {
    // 2026-03-29: 02:00 becomes 03:00 in Berlin, at 01:00Z; 2026-10-25: 03:00 becomes 02:00.
    for (before, now, why) in [
        ("2026-03-29T00:30:00Z", "2026-03-29T00:59:59Z", None),
        ("2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", Some(Why::Daily)),
        ("2026-03-29T01:00:00Z", "2026-03-29T23:00:00Z", None),
        ("2026-10-24T23:59:59Z", "2026-10-25T00:00:00Z", Some(Why::Daily)),
        ("2026-10-25T00:10:00Z", "2026-10-25T01:10:00Z", None),
        ("2026-10-25T00:10:00Z", "2026-10-26T00:59:59Z", None),
        ("2026-10-25T00:10:00Z", "2026-10-26T01:00:00Z", Some(Why::Daily)),
    ] {
        let judged = daily("Europe/Berlin", 2).judge(heard(wall(before)), wall(now));
        assert_eq!(judged, why, "{before} {now}");
    }
    // Samoa had no 30th of December 2011.
    let rule = daily("Pacific/Apia", 4);
    let (before, now) = (wall("2011-12-30T09:00:00Z"), wall("2011-12-30T10:30:00Z"));
    assert_eq!(rule.judge(heard(before), now), None);
    assert_eq!(rule.judge(heard(before), wall("2011-12-30T14:00:00Z")), Some(Why::Daily));
}

#[test]
fn silence_ends_a_conversation_and_the_first_of_two_reasons_counts() {
    let idle = Rule { idle: Some(Duration::from_mins(30)), ..Rule::default() };
    let start = wall("2026-07-01T03:50:00Z");
    let after = |minutes| start + Duration::from_mins(minutes);
    assert_eq!(idle.judge(heard(start), after(29)), None);
    assert_eq!(idle.judge(heard(start), after(30)), Some(Why::Idle));
    let both = Rule { at_hour: Some(4), ..idle };
    assert_eq!(both.judge(heard(start), after(15)), Some(Why::Daily));
    assert_eq!(both.judge(heard(after(15)), after(45)), Some(Why::Idle));
    assert!(Rule::default().is_off() && !both.is_off());
    assert_eq!(Rule::default().judge(heard(Wall(0)), after(0)), None);
}

/// What is done wrong on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Plant {
    BelievesTheClock,
    NeverMeasures,
    CountsFromTheFirst,
    UsesGreenwich,
}

/// Plays some weeks; the first promise that is broken.
fn play(seed: u64, plant: Option<Plant>) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let zone = ["America/St_Johns", "Europe/Berlin", "Australia/Lord_Howe"]
        [usize::try_from(seed % 3).expect("small")];
    let idle = Duration::from_mins(90);
    let rule = Rule { idle: Some(idle), ..daily(zone, 4) };
    let judge = match plant {
        Some(Plant::UsesGreenwich) => Rule { zone: TimeZone::UTC, ..rule.clone() },
        _ => rule.clone(),
    };
    // What has really passed, and by how much the clock is wrong.
    let (mut real, mut wrong) = (wall("2026-03-20T00:00:00Z"), 0_i64);
    let shown = |real: Wall, wrong: i64| Wall(real.0.saturating_add_signed(wrong));
    let mut before: Option<(Wall, Wall, bool)> = None;
    for step in 0..400 {
        real = real + Duration::from_secs(rng.below(if step % 9 == 0 { 100_000 } else { 4000 }));
        let leap = match rng.below(12) {
            0 => -i64::try_from(rng.below(4_000_000)).expect("small"),
            1 => i64::try_from(rng.below(400_000_000)).expect("small"),
            2 => -wrong,
            _ => 0,
        };
        wrong += leap;
        let restarts = rng.below(10) == 0;
        let now = shown(real, wrong);
        if let Some((at, real_at, same)) = before {
            let is_same = same && !restarts;
            let passed = real.since(real_at);
            let since = (is_same && plant != Some(Plant::NeverMeasures)).then_some(passed);
            let told = match plant {
                Some(Plant::BelievesTheClock) => {
                    judge.judge(Before { at, since: Some(now.since(at)) }, now)
                }
                Some(Plant::CountsFromTheFirst) => {
                    judge.judge(Before { at: wall("2026-03-20T00:00:00Z"), since: None }, now)
                }
                _ => judge.judge(Before { at, since }, now),
            };
            // Whoever has heard both knows what has passed; otherwise only a clock that is right.
            let known = is_same || (wrong == 0 && at == real_at);
            let day_began = (0..=passed.as_secs() / 60).any(|minute| {
                let at = Wall(now.0.saturating_sub(minute * 60_000));
                let of =
                    |at: Wall| timestamp(at).map(|at| at.to_zoned(rule.zone.clone()).datetime());
                let (at, prior) = (of(at), of(Wall(at.0.saturating_sub(60_000))));
                at.zip(prior).is_some_and(|(at, prior)| at.hour() >= 4 && prior.hour() < 4)
            });
            let edge = passed.as_secs() % 60 + 120;
            let must = passed >= idle || day_began;
            let is_close = passed.abs_diff(idle).as_secs() < edge;
            if known && told.is_some() != must && !is_close && !near_hour(&rule, now, passed) {
                return Err(format!("step {step}: {told:?} after {passed:?}, {day_began}"));
            }
        }
        before = Some((now, real, true));
    }
    Ok(())
}

/// Whether an end of the span up to `now` is within a few minutes of the hour, where a count by
/// minutes may err.
fn near_hour(rule: &Rule, now: Wall, passed: Duration) -> bool {
    let from = Wall(now.0.saturating_sub(millis(passed)));
    [now, from].into_iter().any(|at| {
        let at = timestamp(at).map(|at| at.to_zoned(rule.zone.clone()).datetime());
        at.is_some_and(|at| {
            (at.hour() == 4 && at.minute() < 3) || (at.hour() == 3 && at.minute() > 56)
        })
    })
}

#[test]
fn whatever_the_clock_does_a_conversation_ends_when_its_time_has_come() {
    for seed in 0..60 {
        assert_eq!(play(seed, None), Ok(()), "seed {seed}");
    }
}

#[test]
fn planted_bugs_are_noticed() {
    use Plant::{BelievesTheClock, CountsFromTheFirst, NeverMeasures, UsesGreenwich};
    for plant in [BelievesTheClock, NeverMeasures, CountsFromTheFirst, UsesGreenwich] {
        assert!((0..30).any(|seed| play(seed, Some(plant)).is_err()), "{plant:?} went unnoticed");
    }
}

proptest! {
    #[test]
    fn no_time_is_too_odd(at: u64, now: u64, since: Option<u64>, hour in 0_i8..24) {
        let rule = Rule { idle: Some(Duration::from_secs(60)), ..daily("Europe/Berlin", hour) };
        let before = Before { at: Wall(at), since: since.map(Duration::from_millis) };
        let judged = rule.judge(before, Wall(now));
        if since.is_none() && now <= at {
            prop_assert_eq!(judged, None, "a clock that was put back ends nothing");
        }
    }
}
