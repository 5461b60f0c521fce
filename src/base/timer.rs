//! Timers that have names. A machine keeps a handful; only the earliest leaves it.

use super::Instant;

/// The names of a machine's timers: a field-less enum whose variants count from 0.
pub trait Name: Copy {
    /// This name's place, below the `N` of the [`Timers`] it is used with.
    fn index(self) -> usize;
}

/// `N` timers, each set or not. Setting one again moves it.
#[derive(Clone, Debug)]
pub struct Timers<const N: usize> {
    due: [Option<Instant>; N],
}

impl<const N: usize> Default for Timers<N> {
    fn default() -> Self {
        Timers { due: [None; N] }
    }
}

impl<const N: usize> Timers<N> {
    /// Sets the timer `name` to go off at `due`.
    pub fn set(&mut self, name: impl Name, due: Instant) {
        self.due[name.index()] = Some(due);
    }

    /// Stops the timer `name`.
    pub fn stop(&mut self, name: impl Name) {
        self.due[name.index()] = None;
    }

    /// Stops them all.
    pub fn stop_all(&mut self) {
        self.due = [None; N];
    }

    /// When `name` goes off, if it is set.
    #[must_use]
    pub fn get(&self, name: impl Name) -> Option<Instant> {
        self.due[name.index()]
    }

    /// Whether `name` was due at `now`; if so, it is stopped.
    pub fn take(&mut self, name: impl Name, now: Instant) -> bool {
        let slot = &mut self.due[name.index()];
        let is_due = slot.is_some_and(|due| due <= now);
        if is_due {
            *slot = None;
        }
        is_due
    }

    /// The earliest of all, set or past.
    #[must_use]
    pub fn earliest(&self) -> Option<Instant> {
        self.due.iter().flatten().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy)]
    enum Wake {
        Beat,
        Ack,
    }

    impl Name for Wake {
        fn index(self) -> usize {
            self as usize
        }
    }

    #[test]
    fn the_earliest_leaves_and_taking_stops() {
        let mut timers = Timers::<2>::default();
        assert_eq!(timers.earliest(), None);
        timers.set(Wake::Beat, Instant(20));
        timers.set(Wake::Ack, Instant(10));
        assert_eq!(timers.earliest(), Some(Instant(10)));
        assert!(!timers.take(Wake::Ack, Instant(9)));
        assert!(timers.take(Wake::Ack, Instant(10)));
        assert!(!timers.take(Wake::Ack, Instant(11)), "taken once");
        assert_eq!(timers.get(Wake::Beat), Some(Instant(20)));
        timers.stop(Wake::Beat);
        assert_eq!(timers.earliest(), None);
    }
}
