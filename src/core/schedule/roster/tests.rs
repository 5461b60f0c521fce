use super::*;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const T0: u64 = 1_767_225_600_000;

fn hourly() -> Timing {
    timing(When::Every { every_ms: HOUR, anchor: Wall(T0) })
}

fn timing(when: When) -> Timing {
    Timing { when, enabled: true, missed: Missed::Run, overlap: Overlap::Skip }
}

fn at(after: u64) -> Time {
    Time { now: Instant(after * 1_000_000), wall: Wall(T0 + after), is_sane: true }
}

fn orders(roster: &mut Roster) -> Vec<Order> {
    std::iter::from_fn(|| roster.poll()).filter(|o| !matches!(o, Order::Keep { .. })).collect()
}

/// The instants of the runs that begin, and of those that are lost.
fn looked(roster: &mut Roster, after: u64) -> (Vec<u64>, Vec<(Lost, u32, u64)>) {
    roster.expire(at(after));
    let (mut begun, mut lost) = (Vec::new(), Vec::new());
    for order in orders(roster) {
        match order {
            Order::Begin { run, .. } => begun.extend(run.due.map(|due| due.0 - T0)),
            Order::Lose { why, count, last, .. } => lost.push((why, count, last.0 - T0)),
            Order::Keep { .. } | Order::Retire { .. } => {}
        }
    }
    (begun, lost)
}

fn with(timing: Timing) -> Roster {
    let mut roster = Roster::new(4, true);
    roster.put("j", timing, Wall(T0));
    roster
}

#[test]
fn a_due_instant_begins_once_however_often_it_is_looked() {
    let mut roster = with(hourly());
    assert_eq!(looked(&mut roster, HOUR - 1), (vec![], vec![]));
    assert_eq!(looked(&mut roster, HOUR), (vec![HOUR], vec![]));
    assert_eq!(looked(&mut roster, HOUR + 1), (vec![], vec![]));
    roster.finished("j", at(HOUR + 2));
    assert_eq!(looked(&mut roster, HOUR + 3), (vec![], vec![]));
    assert_eq!(looked(&mut roster, 2 * HOUR), (vec![2 * HOUR], vec![]));
}

#[test]
fn what_was_missed_is_run_once_left_out_or_run_if_it_is_young_enough() {
    let slept = 5 * HOUR + 30 * MINUTE;
    for (missed, expected) in [
        (Missed::Run, (vec![5 * HOUR], vec![(Lost::Coalesced, 4, 5 * HOUR)])),
        (Missed::Skip, (vec![], vec![(Lost::Missed, 5, 5 * HOUR)])),
        (
            Missed::Window(Duration::from_mins(31)),
            (vec![5 * HOUR], vec![(Lost::Coalesced, 4, 5 * HOUR)]),
        ),
        (Missed::Window(Duration::from_mins(29)), (vec![], vec![(Lost::Missed, 5, 5 * HOUR)])),
    ] {
        let mut roster = with(Timing { missed, ..hourly() });
        assert_eq!(looked(&mut roster, slept), expected, "{missed:?}");
    }
    // Whoever comes a little late was there.
    let mut roster = with(Timing { missed: Missed::Skip, ..hourly() });
    assert_eq!(looked(&mut roster, HOUR + 59_000), (vec![HOUR], vec![]));
}

#[test]
fn a_run_that_goes_on_makes_the_next_one_wait_or_be_left_out() {
    for (overlap, lost, then) in [
        (Overlap::Skip, vec![(Lost::Overlapped, 1, 2 * HOUR)], vec![]),
        (Overlap::Queue, vec![], vec![3 * HOUR]),
    ] {
        let mut roster = with(Timing { overlap, ..hourly() });
        looked(&mut roster, HOUR);
        assert_eq!(looked(&mut roster, 2 * HOUR), (vec![], lost));
        // Of several that wait the newest stays.
        looked(&mut roster, 3 * HOUR);
        roster.finished("j", at(3 * HOUR + 1));
        let begun = orders(&mut roster).into_iter().filter_map(|order| match order {
            Order::Begin { run, .. } => run.due.map(|due| due.0 - T0),
            _ => None,
        });
        assert_eq!(begun.collect::<Vec<_>>(), then, "{overlap:?}");
    }
}

#[test]
fn an_interrupted_run_is_begun_again_once_and_then_told() {
    let mut roster = with(hourly());
    looked(&mut roster, HOUR);
    let mut seen = Vec::new();
    for _ in 0..2 {
        let progress = roster.progress("j").cloned().expect("it is there");
        roster = Roster::new(4, true);
        roster.take_up("j", hourly(), progress);
        roster.expire(at(HOUR + MINUTE));
        seen.push(orders(&mut roster));
    }
    let again =
        Run { due: Some(Wall(T0 + HOUR)), manual: 0, attempt: 2, begun: Wall(T0 + HOUR + MINUTE) };
    assert_eq!(seen[0], [Order::Begin { job: "j".into(), run: again }]);
    let told =
        Order::Lose { job: "j".into(), why: Lost::Interrupted, count: 1, last: Wall(T0 + HOUR) };
    assert_eq!(seen[1], [told]);
    assert_eq!(again.id("j"), format!("cron:j:{}", T0 + HOUR), "the key is that of the first try");
}

#[test]
fn a_clock_that_is_put_back_brings_nothing_again_and_one_that_was_wrong_for_days_heals() {
    let mut roster = with(hourly());
    assert_eq!(looked(&mut roster, 2 * HOUR).0, [2 * HOUR]);
    roster.finished("j", at(2 * HOUR));
    // By half an hour: nothing that was settled is due again.
    assert_eq!(looked(&mut roster, 90 * MINUTE + 1), (vec![], vec![]));
    assert_eq!(looked(&mut roster, 2 * HOUR + 1), (vec![], vec![]));
    // A year ahead, and back: what it leapt over is due at its time after all.
    let year = 365 * 24 * HOUR;
    assert_eq!(looked(&mut roster, year).0, [year]);
    roster.finished("j", at(year));
    assert_eq!(looked(&mut roster, 2 * HOUR + 2), (vec![], vec![]));
    assert_eq!(roster.next("j"), Some(Wall(T0 + 3 * HOUR)));
    assert_eq!(looked(&mut roster, 3 * HOUR).0, [3 * HOUR]);
    roster.finished("j", at(3 * HOUR));
    // A year later the one that was run then is not run again.
    assert_eq!(looked(&mut roster, year - HOUR).0, [year - HOUR]);
    roster.finished("j", at(year - HOUR));
    assert_eq!(looked(&mut roster, year), (vec![], vec![]));
    assert_eq!(looked(&mut roster, year + HOUR).0, [year + HOUR]);
}

#[test]
fn nothing_begins_by_a_clock_that_is_not_believed() {
    let mut roster = with(hourly());
    let time = Time { is_sane: false, ..at(HOUR) };
    roster.expire(time);
    assert_eq!(orders(&mut roster), []);
    assert_eq!(roster.deadline(time), Some(time.now + SCHEDULE_INSANE_LOOK));
    assert_eq!(looked(&mut roster, HOUR + 1).0, [HOUR]);
}

#[test]
fn only_so_many_run_at_once_and_the_others_follow_in_their_order() {
    let mut roster = Roster::new(1, true);
    for id in ["a", "b", "c"] {
        roster.put(id, hourly(), Wall(T0));
    }
    let begun = |roster: &mut Roster| -> Vec<String> {
        let orders = orders(roster).into_iter();
        orders
            .filter_map(|o| if let Order::Begin { job, .. } = o { Some(job.into()) } else { None })
            .collect()
    };
    roster.expire(at(HOUR));
    assert_eq!(begun(&mut roster), ["a"]);
    for (over, next) in [("a", vec!["b"]), ("b", vec!["c"]), ("c", vec![])] {
        roster.finished(over, at(HOUR + 1));
        assert_eq!(begun(&mut roster), next);
    }
}

#[test]
fn a_person_can_run_a_job_that_does_not_run_and_switching_off_ends_what_waits() {
    let mut roster = with(Timing { enabled: false, ..hourly() });
    assert_eq!(roster.push("x", Push::Force, at(1)), Err(Refused::Unknown));
    assert_eq!(roster.push("j", Push::IfEnabled, at(1)), Err(Refused::Disabled));
    assert_eq!(roster.push("j", Push::Due, at(1)), Err(Refused::NotDue));
    assert!(roster.push("j", Push::Force, at(1)).is_ok());
    assert_eq!(roster.push("j", Push::Force, at(1)), Err(Refused::Running));
    assert_eq!(looked(&mut roster, 9 * HOUR), (vec![], vec![]), "it is switched off");
    let mut roster = with(Timing { overlap: Overlap::Queue, ..hourly() });
    looked(&mut roster, HOUR);
    looked(&mut roster, 2 * HOUR);
    roster.enable("j", false, Wall(T0 + 2 * HOUR + 1));
    let lost = orders(&mut roster);
    assert!(matches!(&lost[..], [Order::Lose { why: Lost::Missed, .. }]), "{lost:?}");
    roster.finished("j", at(2 * HOUR + 2));
    assert_eq!(orders(&mut roster), []);
}

#[test]
fn what_is_due_once_is_over_when_it_was_missed() {
    let when = When::At(Wall(T0 + HOUR));
    let mut roster = with(Timing { missed: Missed::Skip, ..timing(when) });
    roster.expire(at(3 * HOUR));
    let told = orders(&mut roster);
    assert!(matches!(told.last(), Some(Order::Retire { .. })), "{told:?}");
    assert_eq!(roster.next("j"), None);
    assert_eq!(roster.deadline(at(3 * HOUR)), None);
}
