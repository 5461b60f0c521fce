//! What is counted, what is told, and what is there again after a restart.

use super::*;
use crate::base::Rng;
use crate::base::limits::TRACE_BYTES_MAX;
use crate::core::chat::sample;

pub(in crate::core) fn knock(at: u64, id: u64, step: Step) -> Knock {
    let inbound = Inbound { id, seq: id, mentions_us: true, ..sample::inbound() };
    Knock::of(&inbound, Wall(at), step)
}

pub(in crate::core) fn line(at: u64, id: u64, step: Step) -> Line {
    Line { at: Wall(at), ..knock(at, id, step).line }
}

fn not_mentioned() -> Step {
    Step::Refused(Refusal::NotMentioned(access::Spot::Account))
}

#[test]
fn the_first_drop_of_a_kind_stands_out_and_all_are_counted() {
    let mut trace = Trace::default();
    let mut first = |id, step| trace.knock(knock(id, id, step), None);
    assert!(!first(1, Step::Admitted));
    assert!(first(2, not_mentioned()));
    let elsewhere = Step::Refused(Refusal::NotMentioned(access::Spot::Guild(access::Found::Any)));
    assert!(!first(3, elsewhere), "the same reason by another rule");
    assert!(!first(4, Step::Refused(Refusal::Own)), "as it should be");
    assert!(!first(5, Step::Duplicate), "as it should be");
    assert!(trace.record(line(6, 1, Step::Busy)));
    let drops: Vec<_> = trace.drops().map(|(_, name, count)| (name, count)).collect();
    assert_eq!(drops, [("busy", 1), ("duplicate", 1), ("not_mentioned", 2), ("own", 1)]);
}

#[test]
fn talk_that_is_not_for_us_pushes_out_no_story_of_an_answer() {
    let mut trace = Trace::default();
    trace.knock(knock(1, 1, Step::Admitted), Some("main"));
    trace.record(line(2, 1, Step::Settled(Fate::Delivered)));
    (0..10 * TRACE_TURNED_MAX as u64).for_each(|id| {
        trace.knock(knock(3, 100 + id, not_mentioned()), Some("main"));
    });
    assert!(trace.knocks().any(|knock| knock.line.id == 1));
    assert_eq!(trace.knocks().count(), TRACE_TURNED_MAX + 1);
    assert_eq!(trace.lines().count(), 1);
    assert_eq!(trace.weighty(), 2, "refusals alone are no reason to write to a disk");
}

#[test]
fn names_and_agents_are_bounded() {
    let mut trace = Trace::default();
    let long = "ü".repeat(100);
    let inbound = Inbound { author_name: &long, ..some(1) };
    assert_eq!(Knock::of(&inbound, Wall(0), Step::Admitted).name, "ü".repeat(20).as_str());
    let named = |name: &str| knock(1, 1, Step::Admitted).called(Some(name)).place;
    assert_eq!(named("help"), "help");
    assert_eq!(named(&"x".repeat(PLACE_NAME_BYTES_MAX + 1)), "", "half a name is a wrong one");
    for agent in 0..2 * TRACE_AGENTS_MAX {
        trace.knock(knock(1, agent as u64, Step::Admitted), Some(&format!("agent-{agent}")));
    }
    assert_eq!(trace.agents.len(), TRACE_AGENTS_MAX);
}

fn some(id: u64) -> Inbound<'static> {
    let inbound = Inbound { id, seq: id, guild: None, parent: Some(4), ..sample::inbound() };
    Inbound { mentions_us: true, late: true, ..inbound }
}

fn full() -> Trace {
    let (mut trace, mut rng) = (Trace::default(), Rng::new(7));
    let steps: Vec<Step> = Step::all().collect();
    for id in 0..2000 {
        let step = steps[usize::try_from(rng.below(steps.len() as u64)).unwrap()];
        let step = if let Step::Queued { .. } = step { Step::Queued { parts: 513 } } else { step };
        let agent = format!("agent-{}", rng.below(3));
        let name = "n".repeat(TRACE_NAME_BYTES_MAX);
        let inbound =
            Inbound { author_name: &name, guild: Some(id).filter(|&g| g != 0), ..some(id) };
        let place = "p".repeat(PLACE_NAME_BYTES_MAX);
        let knock = Knock::of(&inbound, Wall(id), step).called(Some(&place));
        trace.knock(knock, Some(&agent));
        trace.knock(self::knock(id, id, Step::Admitted), Some(&agent));
        trace.record(line(id, id, step));
    }
    trace
}

type Kept = (Vec<Knock>, Vec<Line>, Vec<(ChannelKind, &'static str, u64)>, Vec<String>);

fn kept(trace: &Trace) -> Kept {
    let agents = trace.knocks().map(|knock| trace.agent(knock).unwrap_or("").to_owned());
    (
        trace.knocks().cloned().collect(),
        trace.lines().copied().collect(),
        trace.drops().collect(),
        agents.collect(),
    )
}

#[test]
fn a_full_trail_is_there_again_after_a_restart() {
    let before = full();
    let bytes = before.encode();
    assert!(bytes.len() < TRACE_BYTES_MAX as usize, "{}", bytes.len());
    let mut after = Trace::default();
    assert!(after.restore(&bytes));
    assert_eq!(kept(&after), kept(&before));
    assert!(after.knock(knock(1, 1, not_mentioned()), None), "each start tells each kind once");
}

#[test]
fn whatever_is_kept_instead_is_read_as_far_as_it_can_be() {
    let bytes = full().encode();
    for length in (0..bytes.len()).step_by(97) {
        let mut cut = Trace::default();
        assert!(!cut.restore(&bytes[..length]));
        assert!(cut.knocks().count() <= TRACE_TURNED_MAX + TRACE_ADMITTED_MAX);
    }
    let mut rng = Rng::new(1);
    for _ in 0..200 {
        let mut broken = bytes.clone();
        for _ in 0..4 {
            let at = usize::try_from(rng.below(broken.len() as u64)).unwrap();
            broken[at] = rng.bits().to_le_bytes()[0];
        }
        Trace::default().restore(&broken);
    }
    assert!(!Trace::default().restore(&[]) && !Trace::default().restore(&[99, 1, 2, 3]));
}

#[test]
fn a_step_has_a_number_of_its_own_and_a_word() {
    let mut codes: Vec<u64> = Step::all().map(keep::code).collect();
    let count = codes.len();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), count);
    assert!(Step::all().all(|step| step.name() != "?" && !step.to_string().is_empty()));
}
