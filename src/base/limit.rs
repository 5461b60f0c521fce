//! How much of something may be done in a span of time.

use std::time::Duration;

use super::Instant;

/// A bucket of `capacity` tokens that refills evenly over `period`.
#[derive(Clone, Debug)]
pub struct TokenBucket {
    capacity: u32,
    period: Duration,
    /// When the bucket was, or will be, completely full.
    full_at: Instant,
}

impl TokenBucket {
    /// A full bucket.
    #[must_use]
    pub fn new(capacity: u32, period: Duration) -> TokenBucket {
        TokenBucket { capacity: capacity.max(1), period, full_at: Instant(0) }
    }

    /// Takes one token, or says when there will be one.
    ///
    /// # Errors
    /// The instant from which on a call succeeds, if nobody else takes the token.
    pub fn take(&mut self, now: Instant) -> Result<(), Instant> {
        let step = self.period / self.capacity;
        let base = self.full_at.max(now);
        // With the bucket empty, `full_at` is one whole period ahead.
        let room_from = Instant(base.0.saturating_sub(nanos(self.period.saturating_sub(step))));
        if room_from > now {
            return Err(room_from);
        }
        self.full_at = base + step;
        Ok(())
    }
}

/// At most `N` events in any span of `period`, counted exactly.
#[derive(Clone, Debug)]
pub struct SlidingWindow<const N: usize> {
    period: Duration,
    at: heapless::Deque<Instant, N>,
}

impl<const N: usize> SlidingWindow<N> {
    /// A window in which nothing has happened.
    #[must_use]
    pub fn new(period: Duration) -> SlidingWindow<N> {
        SlidingWindow { period, at: heapless::Deque::new() }
    }

    /// How many events lie within the period before `now`.
    pub fn count(&mut self, now: Instant) -> usize {
        while self.at.front().is_some_and(|&oldest| oldest + self.period <= now) {
            self.at.pop_front();
        }
        self.at.len()
    }

    /// Records an event at `now`, unless fewer than `reserve + 1` places are free.
    ///
    /// # Errors
    /// The instant at which there will be room.
    pub fn take(&mut self, now: Instant, reserve: usize) -> Result<(), Instant> {
        if let Some(room_from) = self.full_until(now, reserve) {
            return Err(room_from);
        }
        // Room was just shown, so this cannot fail.
        let _ = self.at.push_back(now);
        Ok(())
    }

    /// If [`take`](SlidingWindow::take) would fail: the instant at which there will be room.
    pub fn full_until(&mut self, now: Instant, reserve: usize) -> Option<Instant> {
        let used = self.count(now);
        if used + reserve < N {
            return None;
        }
        // The place that must fall free: with r reserved, the (r + 1)-th newest from the end.
        let blocking = (used + reserve - N).min(used.saturating_sub(1));
        let oldest = self.at.iter().nth(blocking).copied().unwrap_or(now);
        Some(oldest + self.period)
    }

    /// Forgets everything: a new connection has a new allowance.
    pub fn clear(&mut self) {
        self.at.clear();
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(millis: u64) -> Instant {
        Instant(0) + Duration::from_millis(millis)
    }

    #[test]
    fn a_bucket_gives_its_burst_and_then_its_rate() {
        let mut bucket = TokenBucket::new(5, SECOND);
        for _ in 0..5 {
            assert_eq!(bucket.take(at(1000)), Ok(()));
        }
        assert_eq!(bucket.take(at(1000)), Err(at(1200)));
        assert_eq!(bucket.take(at(1200)), Ok(()));
        assert_eq!(bucket.take(at(1200)), Err(at(1400)));
        for _ in 0..5 {
            assert_eq!(bucket.take(at(9000)), Ok(()), "full again, and no fuller");
        }
        assert!(bucket.take(at(9000)).is_err());
    }

    #[test]
    fn a_window_counts_exactly() {
        let mut window = SlidingWindow::<3>::new(SECOND);
        for millis in [0, 100, 200] {
            assert_eq!(window.take(at(millis), 0), Ok(()));
        }
        assert_eq!(window.take(at(300), 0), Err(at(1000)));
        assert_eq!(window.take(at(1000), 0), Ok(()));
        assert_eq!(window.count(at(1150)), 2);
    }

    #[test]
    fn a_reserve_is_kept_free() {
        let mut window = SlidingWindow::<3>::new(SECOND);
        assert_eq!(window.take(at(0), 1), Ok(()));
        assert_eq!(window.take(at(10), 1), Ok(()));
        assert_eq!(window.take(at(20), 1), Err(at(1000)), "the last place is reserved");
        assert_eq!(window.take(at(20), 0), Ok(()), "and is there for those it is kept for");
        assert_eq!(window.take(at(30), 1), Err(at(1010)), "two must fall free now");
    }
}
