//! Which model is asked: the first of an agent's list that is not resting.
//!
//! One that fails rests, a little longer each time, or as long as its provider wants; one that
//! answers is fresh again. A model that rests is not asked, however many people wait: a provider
//! that is overloaded recovers sooner, and one that blocks those who do not listen is not angered.

use std::time::Duration;

use crate::base::Instant;
use crate::base::limits::{
    LLM_REST_FIRST, LLM_REST_GROWTH, LLM_REST_MAX, LLM_REST_OF_REFUSAL, LLM_WAIT_MAX,
};
use crate::proto::llm::Reason;

/// The models of one agent, each by its place in the list.
#[derive(Clone, Debug)]
pub struct Models {
    models: Vec<Model>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Model {
    /// Until when it rests.
    until: Instant,
    /// How often in a row it has failed.
    failures: u32,
}

/// The models that were asked for one answer.
#[derive(Clone, Debug, Default)]
pub struct Tried(Vec<usize>);

impl Models {
    /// So many models, all fresh.
    #[must_use]
    pub fn new(count: usize) -> Models {
        Models { models: vec![Model::default(); count] }
    }

    /// The model that is asked next for an answer for which `tried` were asked already; it counts
    /// as asked now. Nothing if those that are left all rest.
    pub fn next(&self, now: Instant, tried: &mut Tried) -> Option<usize> {
        let is_free =
            |(place, model): &(usize, &Model)| model.until <= now && !tried.0.contains(place);
        let (place, _) = self.models.iter().enumerate().find(is_free)?;
        tried.0.push(place);
        Some(place)
    }

    /// When the first of those that rest is fresh again, if there is any that `tried` does not
    /// hold.
    #[must_use]
    pub fn fresh_at(&self, tried: &Tried) -> Option<Instant> {
        let left = self.models.iter().enumerate().filter(|(place, _)| !tried.0.contains(place));
        left.map(|(_, model)| model.until).min()
    }

    /// The model at `place` has answered.
    pub fn answered(&mut self, place: usize) {
        if let Some(model) = self.models.get_mut(place) {
            *model = Model::default();
        }
    }

    /// The model at `place` gave no answer, and its provider wants to be left alone for `wait`.
    pub fn failed(&mut self, place: usize, reason: Reason, wait: Option<Duration>, now: Instant) {
        let Some(model) = self.models.get_mut(place) else { return };
        let rest = match reason {
            // The question was at fault; the next one may be a better one.
            Reason::TooLong | Reason::Invalid => return,
            // Somebody must do something first, and until then asking is useless.
            Reason::Key | Reason::Forbidden | Reason::Missing => LLM_REST_OF_REFUSAL,
            Reason::Limited
            | Reason::Overloaded
            | Reason::Garbled
            | Reason::Cut
            | Reason::Endless => {
                let growth = LLM_REST_GROWTH.saturating_pow(model.failures);
                LLM_REST_FIRST.saturating_mul(growth).min(LLM_REST_MAX)
            }
        };
        model.failures = model.failures.saturating_add(1);
        let rest = rest.max(wait.unwrap_or_default().min(LLM_WAIT_MAX));
        // An earlier answer, which came late, does not shorten a rest.
        model.until = model.until.max(now + rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FAILURES: [Reason; 10] = [
        Reason::Key,
        Reason::Forbidden,
        Reason::Missing,
        Reason::TooLong,
        Reason::Invalid,
        Reason::Limited,
        Reason::Overloaded,
        Reason::Garbled,
        Reason::Cut,
        Reason::Endless,
    ];

    fn second(count: u64) -> Instant {
        Instant(0) + Duration::from_secs(count)
    }

    #[test]
    fn the_first_that_is_fresh_is_asked_and_each_once_for_an_answer() {
        let mut models = Models::new(3);
        let mut tried = Tried::default();
        assert_eq!(models.next(second(0), &mut tried), Some(0));
        models.failed(0, Reason::Overloaded, None, second(0));
        assert_eq!(models.next(second(0), &mut tried), Some(1));
        models.failed(1, Reason::TooLong, None, second(0));
        assert_eq!(models.next(second(0), &mut tried), Some(2));
        assert_eq!(models.next(second(0), &mut tried), None, "each was asked");
        let mut tried = Tried::default();
        let place = models.next(second(0), &mut tried);
        assert_eq!(place, Some(1), "the first rests, the second was not at fault");
        let after = second(0) + LLM_REST_FIRST;
        assert_eq!(models.next(after, &mut Tried::default()), Some(0), "the first is back");
    }

    #[test]
    fn a_provider_that_names_a_wait_gets_it_within_reason() {
        let mut models = Models::new(1);
        models.failed(0, Reason::Limited, Some(Duration::from_secs(30)), second(0));
        assert_eq!(models.next(second(29), &mut Tried::default()), None);
        assert_eq!(models.fresh_at(&Tried::default()), Some(second(30)));
        assert_eq!(models.next(second(30), &mut Tried::default()), Some(0));
        models.failed(0, Reason::Limited, Some(Duration::from_secs(u64::MAX)), second(30));
        assert_eq!(models.fresh_at(&Tried::default()), Some(second(30) + LLM_WAIT_MAX));
    }

    #[test]
    fn rests_grow_to_a_bound_and_an_answer_ends_them() {
        let mut models = Models::new(1);
        let mut rests = Vec::new();
        let mut now = second(0);
        for _ in 0..40 {
            models.failed(0, Reason::Cut, None, now);
            let fresh = models.fresh_at(&Tried::default()).unwrap();
            rests.push(fresh.since(now));
            now = fresh;
        }
        assert!(rests.is_sorted() && rests[0] == LLM_REST_FIRST && rests[39] == LLM_REST_MAX);
        models.answered(0);
        models.failed(0, Reason::Cut, None, now);
        assert_eq!(models.fresh_at(&Tried::default()), Some(now + LLM_REST_FIRST));
    }

    /// What may be wrong with a chooser, to see that the simulation notices.
    #[derive(Clone, Copy, PartialEq, Debug)]
    enum Bug {
        AsksTheResting,
        AsksTwice,
        IgnoresTheWait,
        NeverComesBack,
    }

    /// Asks for an answer each few seconds while models fail at random; says what is wrong.
    fn play(seed: &[(u8, u8, u8)], bug: Option<Bug>) -> Result<(), String> {
        const COUNT: usize = 3;
        let mut models = Models::new(COUNT);
        // What the models themselves know: until when each wants to be left alone, and is broken.
        let mut alone = [Instant(0); COUNT];
        let mut now = second(1);
        for &(pause, outcome, wait) in seed {
            now += Duration::from_secs(u64::from(pause));
            let mut tried = Tried::default();
            let mut asked = Vec::new();
            let mut draws = (0_u8..).map(|round| outcome.rotate_left(u32::from(round)));
            loop {
                let next = match bug {
                    Some(Bug::AsksTheResting) => models.next(second(u64::MAX / 2), &mut tried),
                    Some(Bug::AsksTwice) => models.next(now, &mut Tried::default()),
                    _ => models.next(now, &mut tried),
                };
                let Some(place) = next else { break };
                if asked.contains(&place) {
                    return Err("a model was asked twice for one answer".into());
                }
                asked.push(place);
                if now < alone[place] {
                    return Err("a model was asked that wanted to be left alone".into());
                }
                let draw = draws.next().unwrap_or_default();
                let Some(&reason) = FAILURES.get(usize::from(draw % 16)) else {
                    models.answered(place);
                    break;
                };
                let named = (draw & 64 != 0).then(|| Duration::from_secs(u64::from(wait)));
                if reason.is_passing() || !matches!(reason, Reason::TooLong | Reason::Invalid) {
                    alone[place] = now + named.unwrap_or_default();
                }
                let named = named.filter(|_| bug != Some(Bug::IgnoresTheWait));
                models.failed(place, reason, named, now);
            }
        }
        now += if bug == Some(Bug::NeverComesBack) { Duration::ZERO } else { LLM_WAIT_MAX };
        match models.next(now, &mut Tried::default()) {
            Some(0) => Ok(()),
            other => Err(format!("after the longest rest {other:?} is asked, not the first")),
        }
    }

    proptest! {
        #[test]
        fn nobody_is_asked_who_rests_and_the_first_always_comes_back(
            seed in prop::collection::vec(any::<(u8, u8, u8)>(), 0..80)
        ) {
            play(&seed, None).map_err(TestCaseError::fail)?;
        }
    }

    #[test]
    fn the_simulation_notices_planted_bugs() {
        for bug in [Bug::AsksTheResting, Bug::AsksTwice, Bug::IgnoresTheWait, Bug::NeverComesBack] {
            let mut rng = crate::base::Rng::new(7);
            let is_noticed = (0..200).any(|_| {
                let mut draw = || rng.bits().to_le_bytes();
                let seed: Vec<_> = (0..60)
                    .map(|_| {
                        let bytes = draw();
                        (bytes[0] % 8, bytes[1], bytes[2])
                    })
                    .collect();
                play(&seed, Some(bug)).is_err()
            });
            assert!(is_noticed, "{bug:?}");
        }
    }
}
