//! The last `N` of something. What falls out is counted: nothing vanishes unseen.

use heapless::Deque;

/// A ring that always takes the newest and gives up the oldest.
#[derive(Clone, Debug)]
pub struct Ring<T, const N: usize> {
    items: Deque<T, N>,
    total: u64,
}

impl<T, const N: usize> Default for Ring<T, N> {
    fn default() -> Self {
        Ring { items: Deque::new(), total: 0 }
    }
}

impl<T, const N: usize> Ring<T, N> {
    /// Adds `item`; hands back the one that had to go.
    pub fn push(&mut self, item: T) -> Option<T> {
        const { assert!(N > 0) };
        let gone = if self.items.is_full() { self.items.pop_front() } else { None };
        self.total = self.total.saturating_add(1);
        // There is room: either there was, or the oldest has just left.
        let _ = self.items.push_back(item);
        gone
    }

    /// From the oldest to the newest.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &T> + ExactSizeIterator {
        self.items.iter()
    }

    /// The newest.
    #[must_use]
    pub fn last(&self) -> Option<&T> {
        self.items.back()
    }

    /// How many were ever pushed, those that fell out included.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many are kept now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether nothing was pushed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_and_is_counted() {
        let mut ring = Ring::<u32, 3>::default();
        assert!(ring.is_empty());
        assert_eq!((1..=3).map(|n| ring.push(n)).collect::<Vec<_>>(), [None; 3]);
        assert_eq!(ring.push(4), Some(1));
        assert_eq!(ring.iter().copied().collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!((ring.total(), ring.len(), ring.last()), (4, 3, Some(&4)));
    }
}
