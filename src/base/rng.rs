//! Chance from a seed: a machine is given its generator, so that a run can be played again.

use std::time::Duration;

/// xoshiro256++ of Blackman and Vigna, seeded by splitmix64. Not for secrets.
#[derive(Clone, Debug)]
pub struct Rng([u64; 4]);

impl Rng {
    /// A generator whose every number follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Rng {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        };
        Rng([next(), next(), next(), next()])
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.0;
        let out = a.wrapping_add(*d).rotate_left(23).wrapping_add(*a);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        out
    }

    /// A number in `0..bound`; 0 if `bound` is 0. The bias of the multiplication method is below
    /// anything that matters for jitter.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.bits()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// A span in `[from, to)`; `from` if the range is empty.
    pub fn between(&mut self, from: Duration, to: Duration) -> Duration {
        let width = to.saturating_sub(from);
        let nanos = u64::try_from(width.as_nanos()).unwrap_or(u64::MAX);
        from.saturating_add(Duration::from_nanos(self.below(nanos)))
    }

    /// True once in `n` calls, by chance; never if `n` is 0.
    pub fn one_in(&mut self, n: u64) -> bool {
        n != 0 && self.below(n) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_run() {
        let (mut a, mut b, mut c) = (Rng::new(7), Rng::new(7), Rng::new(8));
        let from = |rng: &mut Rng| -> Vec<u64> { (0..8).map(|_| rng.bits()).collect() };
        let first = from(&mut a);
        assert_eq!(first, from(&mut b));
        assert_ne!(first, from(&mut c));
    }

    #[test]
    fn bounds_hold() {
        let mut rng = Rng::new(1);
        assert_eq!(rng.below(0), 0);
        let mut seen = [0u32; 10];
        for _ in 0..10_000 {
            seen[usize::try_from(rng.below(10)).unwrap_or(usize::MAX)] += 1;
        }
        assert!(seen.iter().all(|&n| (800..1200).contains(&n)), "{seen:?}");
        let (from, to) = (Duration::from_secs(1), Duration::from_secs(5));
        assert!((0..1000).all(|_| (from..to).contains(&rng.between(from, to))));
        assert_eq!(rng.between(to, from), to);
    }
}
