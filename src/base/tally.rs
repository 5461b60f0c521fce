//! Counting in bounded space: what happened how often, by a word of the program; and how long
//! things took, in buckets.

use std::time::Duration;

/// Counts by word, in order of first appearance. The words are the program's own, so that there
/// are few; should there be more than `N`, the rest go together.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tally<const N: usize> {
    rows: heapless::Vec<(&'static str, u64), N>,
    others: u64,
}

impl<const N: usize> Tally<N> {
    /// Counts one.
    pub fn count(&mut self, word: &'static str) {
        if let Some((_, count)) = self.rows.iter_mut().find(|(known, _)| *known == word) {
            *count += 1;
        } else if self.rows.push((word, 1)).is_err() {
            self.others += 1;
        }
    }

    /// Each word and how often it came; the words beyond the bound as `other`.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let others = Some(("other", self.others)).filter(|(_, count)| *count > 0);
        self.rows.iter().copied().chain(others)
    }
}

/// How long things took.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Spans<const N: usize> {
    bounds_ms: &'static [u64; N],
    counts: [u64; N],
    beyond: u64,
    sum: Duration,
}

/// What [`Spans`] hold at one moment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Buckets {
    /// Upper bounds in milliseconds, rising.
    pub bounds_ms: &'static [u64],
    /// How many were above the bound before and at most at the bound of the same place; the last
    /// place counts those above all bounds.
    pub counts: Vec<u64>,
    /// All of them added up.
    pub sum: Duration,
}

impl<const N: usize> Spans<N> {
    /// Nothing yet. The bounds rise.
    #[must_use]
    pub const fn new(bounds_ms: &'static [u64; N]) -> Spans<N> {
        Spans { bounds_ms, counts: [0; N], beyond: 0, sum: Duration::ZERO }
    }

    /// One more took so long.
    pub fn add(&mut self, span: Duration) {
        let mut places = self.bounds_ms.iter().zip(&mut self.counts);
        match places.find(|&(&ms, _)| span <= Duration::from_millis(ms)) {
            Some((_, count)) => *count += 1,
            None => self.beyond += 1,
        }
        self.sum = self.sum.saturating_add(span);
    }

    /// What they hold now.
    #[must_use]
    pub fn buckets(&self) -> Buckets {
        let counts = self.counts.iter().copied().chain([self.beyond]).collect();
        Buckets { bounds_ms: self.bounds_ms, counts, sum: self.sum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_in_bounded_space() {
        let mut tally = Tally::<2>::default();
        for word in ["a", "b", "a", "c", "d"] {
            tally.count(word);
        }
        assert_eq!(tally.iter().collect::<Vec<_>>(), [("a", 2), ("b", 1), ("other", 2)]);
        assert_eq!(Tally::<2>::default().iter().count(), 0);
    }

    #[test]
    fn a_span_falls_into_the_first_bucket_that_holds_it() {
        let mut spans = Spans::new(&[10, 100]);
        for ms in [0, 10, 11, 100, 101] {
            spans.add(Duration::from_millis(ms));
        }
        let buckets = spans.buckets();
        assert_eq!(
            (buckets.counts.as_slice(), buckets.bounds_ms),
            (&[2, 2, 1][..], &[10, 100][..])
        );
        assert_eq!(buckets.sum, Duration::from_millis(222));
    }
}
