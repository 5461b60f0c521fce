use proptest::prelude::*;

use super::*;

const MADE: Wall = Wall(1_790_000_000_000);
/// What a board without a battery shows.
const OLD: Wall = Wall(1_400_000_000_000);

fn at(seconds: u64) -> Instant {
    Instant(0) + Duration::from_secs(seconds)
}

fn waits(faults: Faults) -> Faults {
    Faults { any: true, ..faults }
}

fn fine(wall: Wall) -> Seen {
    Seen { wall, has_route: true, has_dns: None, faults: Faults::default() }
}

fn outputs(ground: &mut Ground) -> Vec<Output> {
    std::iter::from_fn(|| ground.poll()).collect()
}

fn look(ground: &mut Ground, now: Instant, seen: Seen) -> Vec<Output> {
    ground.handle(now, seen);
    assert!(ground.deadline().is_some_and(|due| due > now));
    outputs(ground)
}

#[test]
fn a_clock_before_the_program_is_named_and_whoever_waits_tries_at_once_when_it_is_set() {
    let mut ground = Ground::new(MADE);
    let faults = waits(Faults { clock: true, ..Faults::default() });
    let early = Seen { faults, ..fine(OLD) };
    assert_eq!(look(&mut ground, at(1), early), [Output::Lacks(Lack::Clock(OLD))]);
    let told = ground.lack().unwrap().to_string();
    assert!(told.starts_with("the clock is wrong: 2014-05-13T"), "{told}");
    assert!(told.ends_with("waiting for time sync") && !told.contains("TLS"), "{told}");
    let later = OLD + Duration::from_secs(3);
    assert_eq!(look(&mut ground, at(4), Seen { faults, ..fine(later) }), [], "told once");
    assert_eq!(ground.lack(), Some(Lack::Clock(later)), "with the time of now");
    assert_eq!(ground.deadline(), Some(at(4) + GROUND_LOOK));
    // Those who wait still have the old failure for their last one.
    let set = Seen { faults, ..fine(MADE + Duration::from_secs(60)) };
    let back = Output::Back(Lack::Clock(later), Duration::from_secs(6));
    assert_eq!(look(&mut ground, at(7), set), [back, Output::Hurry]);
    // Only one that fails with the clock as it is now says something of it.
    let later = MADE + Duration::from_secs(63) + CLOCK_DOUBT;
    let heard = look(&mut ground, at(10) + CLOCK_DOUBT, Seen { faults, ..fine(later) });
    assert_eq!(heard, [Output::Lacks(Lack::Doubt(later))]);
}

#[test]
fn a_wrong_clock_is_named_though_nobody_has_failed_yet() {
    let mut ground = Ground::new(MADE);
    assert_eq!(look(&mut ground, at(0), fine(OLD)), [Output::Lacks(Lack::Clock(OLD))]);
    let set = fine(MADE);
    let heard = look(&mut ground, at(3), set);
    assert_eq!(heard, [Output::Back(Lack::Clock(OLD), Duration::from_secs(3))]);
    assert_eq!(ground.deadline(), Some(at(3) + GROUND_LOOK_IDLE));
}

#[test]
fn a_clock_that_is_wrong_in_another_way_is_doubted_and_its_setting_noticed() {
    let mut ground = Ground::new(MADE);
    let ahead = MADE + Duration::from_hours(24 * 4000);
    let faults = waits(Faults { clock: true, ..Faults::default() });
    let heard = look(&mut ground, at(0), Seen { faults, ..fine(ahead) });
    assert_eq!(heard, [Output::Lacks(Lack::Doubt(ahead))]);
    // It goes on as a clock does …
    let later = ahead + GROUND_LOOK;
    let now = at(0) + GROUND_LOOK;
    assert_eq!(look(&mut ground, now, Seen { faults, ..fine(later) }), []);
    // … and is set back, while the last failure is what it was.
    let now = now + GROUND_LOOK;
    let set = Seen { faults, ..fine(MADE + Duration::from_secs(9)) };
    let heard = look(&mut ground, now, set);
    assert_eq!(heard, [Output::Back(Lack::Doubt(later), GROUND_LOOK * 2), Output::Hurry]);
}

#[test]
fn a_route_comes_before_names_and_both_are_waited_for_and_left_at_once() {
    let mut ground = Ground::new(MADE);
    let faults = waits(Faults { dns: true, ..Faults::default() });
    let seen = |has_route, has_dns, secs| Seen {
        has_route,
        has_dns,
        faults,
        ..fine(MADE + Duration::from_secs(secs))
    };
    assert_eq!(look(&mut ground, at(0), seen(false, None, 0)), [Output::Lacks(Lack::Route)]);
    let heard = look(&mut ground, at(3), seen(true, Some(false), 3));
    assert_eq!(
        heard,
        [
            Output::Back(Lack::Route, Duration::from_secs(3)),
            Output::Lacks(Lack::Dns),
            Output::Hurry
        ]
    );
    let heard = look(&mut ground, at(6), seen(true, Some(true), 6));
    assert_eq!(heard, [Output::Back(Lack::Dns, Duration::from_secs(3)), Output::Hurry]);
    assert_eq!(look(&mut ground, at(9), seen(true, Some(true), 9)), [], "not again and again");
}

#[test]
fn a_host_without_a_route_that_reaches_what_it_needs_lacks_nothing() {
    let mut ground = Ground::new(MADE);
    let alone = Seen { has_route: false, ..fine(MADE) };
    assert_eq!(look(&mut ground, at(0), alone), []);
    let refused = Seen { faults: waits(Faults::default()), ..alone };
    assert_eq!(look(&mut ground, at(1), refused), []);
    assert_eq!(ground.lack(), None);
}

proptest! {
    /// Whatever is seen: each lack is told once when it begins and once when it ends, nobody is
    /// hurried who does not wait, and nobody is without a lack having gone or the clock set.
    #[test]
    fn what_is_told_adds_up(
        looks in prop::collection::vec(
            (0_u64..40, any::<bool>(), any::<Option<bool>>(), any::<[bool; 4]>(), 0_u8..4),
            1..60,
        ),
    ) {
        let mut ground = Ground::new(MADE);
        let (mut now, mut wall) = (at(0), MADE);
        let mut lacking: Option<Lack> = None;
        for (seconds, has_route, has_dns, [route, dns, clock, any], jump) in looks {
            let span = Duration::from_secs(seconds);
            (now, wall) = (now + span, wall + span);
            match jump {
                0 => wall = OLD,
                1 => wall = MADE + Duration::from_hours(5),
                _ => {}
            }
            let any = any || route || dns || clock;
            let faults = Faults { route, dns, clock, any };
            let seen = Seen { wall, has_route, has_dns, faults };
            let before = lacking;
            let mut is_hurried = false;
            ground.handle(now, seen);
            for output in outputs(&mut ground) {
                match output {
                    Output::Lacks(lack) => {
                        prop_assert!(lacking.is_none());
                        lacking = Some(lack);
                    }
                    Output::Back(lack, _) => {
                        prop_assert!(lacking.is_some_and(|known| known.is_same(lack)));
                        lacking = None;
                    }
                    Output::Hurry => is_hurried = true,
                }
            }
            prop_assert_eq!(lacking.is_some(), ground.lack().is_some());
            prop_assert!(!is_hurried || (any && before.is_some()));
            prop_assert!(wall >= MADE || lacking.is_some());
            prop_assert!(ground.deadline().is_some_and(|due| due > now));
        }
    }
}
