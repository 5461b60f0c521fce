//! The chats that are closed to us: where one call was answered by "gone" or "forbidden", the next
//! would be too, and each costs an invalid request. They are left alone for a while, which grows
//! as long as nothing succeeds there.

use std::time::Duration;

use super::Failure;
use crate::base::Instant;
use crate::base::limits::{REST_CLOSED_FIRST, REST_CLOSED_MAX, REST_CLOSED_PLACES};

/// The closed chats; the one longest unheard of is forgotten.
#[derive(Debug, Default)]
pub(super) struct Closed(heapless::Deque<Entry, REST_CLOSED_PLACES>);

#[derive(Clone, Copy, Debug)]
struct Entry {
    channel: u64,
    why: Failure,
    until: Instant,
    /// How long it was closed the last time.
    span: Duration,
}

impl Closed {
    /// Closes `channel`; for how long.
    pub(super) fn close(&mut self, now: Instant, channel: u64, why: Failure) -> Duration {
        let last = self.open(channel);
        let span = last.map_or(REST_CLOSED_FIRST, |span| (span * 2).min(REST_CLOSED_MAX));
        if self.0.is_full() {
            self.0.pop_front();
        }
        // Room was just made, so this cannot fail.
        let _ = self.0.push_back(Entry { channel, why, until: now + span, span });
        span
    }

    /// Why nothing can be said in `channel` for now.
    pub(super) fn why(&self, now: Instant, channel: u64) -> Option<Failure> {
        let entry = self.0.iter().find(|entry| entry.channel == channel)?;
        (entry.until > now).then_some(entry.why)
    }

    /// Something succeeded in `channel`. How long it was closed, if it was.
    pub(super) fn open(&mut self, channel: u64) -> Option<Duration> {
        let span = self.0.iter().find(|entry| entry.channel == channel)?.span;
        for _ in 0..self.0.len() {
            let Some(entry) = self.0.pop_front() else { break };
            if entry.channel != channel {
                let _ = self.0.push_back(entry);
            }
        }
        Some(span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_until_something_succeeds() {
        let (mut closed, mut now) = (Closed::default(), Instant(0));
        let why = Failure::Forbidden(50_013);
        for _ in 0..20 {
            let span = closed.close(now, 1, why);
            assert_eq!(closed.why(now, 1), Some(why));
            now += span;
            assert_eq!(closed.why(now, 1), None);
        }
        assert_eq!(closed.close(now, 1, why), REST_CLOSED_MAX);
        assert_eq!(closed.open(1), Some(REST_CLOSED_MAX));
        assert_eq!((closed.why(now, 1), closed.open(1)), (None, None));
        assert_eq!(closed.close(now, 1, why), REST_CLOSED_FIRST);
    }

    #[test]
    fn the_chat_longest_unheard_of_is_forgotten() {
        let (mut closed, now) = (Closed::default(), Instant(0));
        for channel in 0..=REST_CLOSED_PLACES as u64 {
            closed.close(now, channel, Failure::Gone(0));
        }
        assert_eq!(closed.why(now, 0), None);
        assert!((1..=REST_CLOSED_PLACES as u64).all(|id| closed.why(now, id).is_some()));
    }
}
