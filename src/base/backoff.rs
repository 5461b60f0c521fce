//! How long to wait before the next try: full jitter under a growing ceiling, so that a crowd of
//! clients which lost the same server does not come back in step.

use std::time::Duration;

use super::Rng;

/// The rule by which waits grow.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Policy {
    /// The ceiling of the first wait.
    pub first: Duration,
    /// The ceiling of the second wait; later ceilings grow from it.
    pub second: Duration,
    /// By what the ceiling is multiplied from then on, in percent (200 doubles it).
    pub growth_percent: u32,
    /// No ceiling is higher.
    pub cap: Duration,
}

/// Where one account stands under its policy.
#[derive(Clone, Debug)]
pub struct Backoff {
    policy: Policy,
    tries: u32,
}

impl Backoff {
    /// Nothing has failed yet.
    #[must_use]
    pub fn new(policy: Policy) -> Backoff {
        Backoff { policy, tries: 0 }
    }

    /// How many waits were handed out since the last [`reset`](Backoff::reset).
    #[must_use]
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// The ceiling of the wait that [`next`](Backoff::next) would hand out.
    #[must_use]
    pub fn ceiling(&self) -> Duration {
        let Policy { first, second, growth_percent, cap } = self.policy;
        if self.tries == 0 {
            return first.min(cap);
        }
        let mut ceiling = second;
        // 64 doublings exceed any cap; a growth that is flatter than that may stop there too.
        for _ in 1..self.tries.min(64) {
            if ceiling >= cap {
                break;
            }
            ceiling = ceiling.saturating_mul(growth_percent) / 100;
        }
        ceiling.min(cap)
    }

    /// The wait before the next try, at random below the ceiling but never below a twentieth of
    /// it: a wait of nothing would be a busy loop by bad luck.
    pub fn next(&mut self, rng: &mut Rng) -> Duration {
        let ceiling = self.ceiling();
        self.tries = self.tries.saturating_add(1);
        rng.between(ceiling / 20, ceiling)
    }

    /// It was proven that things are well again.
    pub fn reset(&mut self) {
        self.tries = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        first: Duration::from_millis(200),
        second: Duration::from_secs(1),
        growth_percent: 200,
        cap: Duration::from_secs(60),
    };

    #[test]
    fn ceilings_grow_to_the_cap_and_reset() {
        let (mut backoff, mut rng) = (Backoff::new(POLICY), Rng::new(1));
        let mut ceilings = Vec::new();
        for _ in 0..9 {
            ceilings.push(backoff.ceiling().as_millis());
            let ceiling = backoff.ceiling();
            let wait = backoff.next(&mut rng);
            assert!(wait <= ceiling && wait >= ceiling / 20);
        }
        let expected = [200, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000];
        assert_eq!(ceilings, expected);
        backoff.reset();
        assert_eq!(backoff.ceiling(), POLICY.first);
    }

    #[test]
    fn a_huge_count_stays_at_the_cap() {
        let backoff = Backoff { policy: POLICY, tries: u32::MAX };
        assert_eq!(backoff.ceiling(), POLICY.cap);
        let flat = Policy { growth_percent: 100, ..POLICY };
        assert_eq!(Backoff { policy: flat, tries: 40 }.ceiling(), flat.second);
    }
}
