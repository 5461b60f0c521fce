//! Whether another instance, somewhere else, runs the same bot: it answers what we answer, and
//! spends the day's IDENTIFYs that we count on. It is reported, not fought: which of the two is
//! wanted only a person can know.
//!
//! Two signs speak for it. A message of our own account that we did not send: its nonce is not one
//! of ours, or it has none. And a budget that falls by more than what we spent ourselves. One such
//! message proves nothing (somebody may have tried the token by hand), so a sign must be seen
//! twice, some while apart, before it is called a suspicion.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::base::Instant;
use crate::base::limits::{
    TWIN_APART, TWIN_MEMORY, TWIN_SAYS_MAX, TWIN_SPEND_SLACK, TWIN_TELL_AGAIN,
};

/// What the nonces of everything begin with that this program sends.
pub const NONCE_PREFIX: &str = "barnacle-";

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sign<'a> {
    /// A message of our own account came in.
    Own {
        /// Its nonce, which only its sender and we are told.
        nonce: Option<&'a str>,
        /// Whether it is the answer to a slash command, whose messages carry no nonce.
        is_interaction: bool,
    },
    /// We are about to spend an IDENTIFY.
    Identify,
    /// The server said how many IDENTIFYs remain of the day's.
    Budget {
        /// So many.
        remaining: u32,
    },
}

/// Why another instance is suspected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Suspicion {
    /// Messages of our account that we did not send.
    Messages {
        /// How many of late.
        count: usize,
    },
    /// IDENTIFYs that we did not spend.
    Identifies {
        /// How many more than ours were spent.
        count: u32,
    },
}

/// Looks out for another instance.
#[derive(Clone, Debug, Default)]
pub struct Twin {
    /// When strange messages came, the oldest first.
    strange: VecDeque<Instant>,
    /// Whether the service shows us our nonces: only then is a message without one strange.
    echoes: bool,
    /// What remained when we were told last, and what we have spent since.
    budget: Option<(u32, u32)>,
    /// IDENTIFYs of somebody else: when, and how many.
    spent: VecDeque<(Instant, u32)>,
    told_at: Option<Instant>,
    /// How often it was told.
    told: u64,
}

impl Twin {
    /// Takes in a sign. What is to be told aloud, at most once an hour.
    pub fn see(&mut self, now: Instant, sign: Sign<'_>) -> Option<Suspicion> {
        match sign {
            Sign::Own { nonce, is_interaction } => {
                let is_ours = nonce.is_some_and(|nonce| nonce.starts_with(NONCE_PREFIX));
                self.echoes |= is_ours;
                let is_strange = nonce.is_some() || self.echoes;
                if is_ours || is_interaction || !is_strange {
                    return None;
                }
                // A burst is one sign: it may be a single long answer in parts.
                let is_apart = self.strange.back().is_none_or(|&last| last + TWIN_APART <= now);
                if is_apart {
                    if self.strange.len() >= TWIN_SAYS_MAX {
                        self.strange.pop_front();
                    }
                    self.strange.push_back(now);
                }
            }
            Sign::Identify => {
                if let Some((_, ours)) = &mut self.budget {
                    *ours += 1;
                }
                return None;
            }
            Sign::Budget { remaining } => self.budget(now, remaining),
        }
        let suspicion = self.suspicion(now)?;
        let is_due = self.told_at.is_none_or(|at| at + TWIN_TELL_AGAIN <= now);
        if !is_due {
            return None;
        }
        self.told_at = Some(now);
        self.told += 1;
        Some(suspicion)
    }

    /// What is suspected now, if anything.
    #[must_use]
    pub fn suspicion(&self, now: Instant) -> Option<Suspicion> {
        let is_recent = |at: Instant| at + TWIN_MEMORY > now;
        let count = self.strange.iter().filter(|&&at| is_recent(at)).count();
        if count >= 2 {
            return Some(Suspicion::Messages { count });
        }
        let recent = || self.spent.iter().filter(|&&(at, _)| is_recent(at));
        let count = recent().map(|&(_, count)| count).sum();
        (recent().count() >= 2 && count > TWIN_SPEND_SLACK)
            .then_some(Suspicion::Identifies { count })
    }

    /// How often a suspicion was told.
    #[must_use]
    pub fn told(&self) -> u64 {
        self.told
    }

    /// The count that the server gives begins anew each day; then it is higher than it was.
    fn budget(&mut self, now: Instant, remaining: u32) {
        if let Some((before, ours)) = self.budget.replace((remaining, 0)) {
            let others = before.saturating_sub(remaining).saturating_sub(ours);
            if others > 0 {
                if self.spent.len() >= TWIN_SAYS_MAX {
                    self.spent.pop_front();
                }
                self.spent.push_back((now, others));
            }
        }
    }
}

/// How far back a sign counts, in words.
fn hours(span: Duration) -> u64 {
    span.as_secs() / 3600
}

impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within = hours(TWIN_MEMORY);
        match self {
            Suspicion::Messages { count } => write!(
                f,
                "another instance seems to run this bot elsewhere: {count} times in {within} h \
                 our account said something that we did not send"
            )?,
            Suspicion::Identifies { count } => write!(
                f,
                "another instance seems to run this bot elsewhere: {count} IDENTIFYs more than \
                 ours were spent in {within} h"
            )?,
        }
        f.write_str("; stop one of them, or reset the token in the developer portal")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;

    const STRANGE: Sign<'_> = Sign::Own { nonce: Some("elsewhere"), is_interaction: false };

    fn at(seconds: u64) -> Instant {
        Instant(0) + Duration::from_secs(seconds)
    }

    #[test]
    fn a_second_strange_message_is_told_once_an_hour() {
        let mut twin = Twin::default();
        assert_eq!(twin.see(at(0), STRANGE), None, "one proves nothing");
        assert_eq!(twin.see(at(1), STRANGE), None, "a burst is one sign");
        let told = twin.see(at(60), STRANGE);
        assert_eq!(told, Some(Suspicion::Messages { count: 2 }));
        assert!(told.unwrap().to_string().contains("reset the token"));
        assert_eq!(twin.see(at(600), STRANGE), None, "said");
        assert!(twin.suspicion(at(600)).is_some());
        assert!(twin.see(at(3700), STRANGE).is_some(), "an hour later again");
        assert_eq!(twin.told(), 2);
        assert_eq!(twin.suspicion(at(3700) + TWIN_MEMORY), None, "and forgotten in the end");
    }

    #[test]
    fn what_we_say_ourselves_is_no_sign() {
        let mut twin = Twin::default();
        for n in 0..100 {
            // An earlier life of ours, `message send`, and answers to slash commands.
            let nonce = format!("{NONCE_PREFIX}{n:016x}");
            let own = Sign::Own { nonce: Some(&nonce), is_interaction: false };
            assert_eq!(twin.see(at(n * 60), own), None);
            let answer = Sign::Own { nonce: None, is_interaction: true };
            assert_eq!(twin.see(at(n * 60), answer), None);
        }
        assert_eq!(twin.suspicion(at(6000)), None);
    }

    #[test]
    fn a_message_without_a_nonce_is_strange_only_where_nonces_are_shown() {
        let bare = Sign::Own { nonce: None, is_interaction: false };
        let ours = Sign::Own { nonce: Some("barnacle-1"), is_interaction: false };
        let mut twin = Twin::default();
        assert!((0..10).all(|n| twin.see(at(n * 60), bare).is_none()));
        twin.see(at(600), ours);
        assert_eq!(twin.see(at(700), bare), None);
        assert!(twin.see(at(800), bare).is_some());
    }

    #[test]
    fn a_budget_that_falls_faster_than_we_spend_is_a_sign() {
        let mut twin = Twin::default();
        let mut told = Vec::new();
        let mut remaining = 1000;
        for n in 0..10 {
            told.extend(twin.see(at(n * 100), Sign::Budget { remaining }));
            twin.see(at(n * 100), Sign::Identify);
            remaining -= 2;
        }
        assert_eq!(told.len(), 1);
        assert!(matches!(told[0], Suspicion::Identifies { .. }));
    }

    /// A life of one bot alone, with all that may look like two: whether it was suspected.
    fn alone(seed: u64, plant: Option<Plant>) -> bool {
        let (mut rng, mut twin, mut remaining) = (Rng::new(seed), Twin::default(), 1000_u32);
        let mut suspected = false;
        for n in 0..500 {
            let now = at(n * 120 + rng.below(100));
            match rng.below(5) {
                0 => {
                    suspected |= twin.see(now, Sign::Budget { remaining }).is_some();
                    if plant != Some(Plant::ForgetsItsOwnIdentifies) {
                        twin.see(now, Sign::Identify);
                    }
                    remaining -= 1;
                }
                1 => {
                    // A new day.
                    if rng.one_in(10) {
                        remaining = 1000;
                    }
                }
                2 => {
                    let is_interaction = plant != Some(Plant::TakesAnswersForMessages);
                    let own = Sign::Own { nonce: None, is_interaction };
                    suspected |= twin.see(now, own).is_some();
                }
                _ => {
                    let nonce = match plant {
                        Some(Plant::OtherNonces) => "elsewhere".to_owned(),
                        _ => format!("{NONCE_PREFIX}{:x}", rng.bits()),
                    };
                    let own = Sign::Own { nonce: Some(&nonce), is_interaction: false };
                    suspected |= twin.see(now, own).is_some();
                }
            }
        }
        suspected
    }

    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    enum Plant {
        ForgetsItsOwnIdentifies,
        TakesAnswersForMessages,
        OtherNonces,
    }

    #[test]
    fn who_is_alone_is_never_suspected_and_planted_bugs_are_noticed() {
        assert!((0..100).all(|seed| !alone(seed, None)));
        for plant in
            [Plant::ForgetsItsOwnIdentifies, Plant::TakesAnswersForMessages, Plant::OtherNonces]
        {
            assert!((0..20).any(|seed| alone(seed, Some(plant))), "{plant:?} went unnoticed");
        }
    }
}
