//! What is known of the server's rate limit buckets.
//!
//! A bucket lets so many calls through in a window, which begins with its first call. How many and
//! how long is the same for all resources of a kind of call, so that one answer teaches it for
//! all; how many are left is each bucket's own.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{RateHead, Route, Scope};
use crate::base::Instant;
use crate::base::limits::REST_BUCKETS_MAX;

/// The buckets used last.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    rules: [Rule; Route::KINDS],
    known: BTreeMap<Key, Bucket>,
    round: u64,
}

/// What the server has said of a kind of call.
#[derive(Clone, Copy, Debug, Default)]
struct Rule {
    /// Its name for the bucket.
    hash: Option<u64>,
    /// Calls in a window.
    limit: Option<u32>,
    /// How long a window lasts, as far as was seen.
    period: Duration,
}

/// The server's name for a bucket, or the kind of call until that is known; and the resource.
type Key = (Name, u64);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Name {
    Hash(u64),
    Kind(usize),
}

#[derive(Debug, Default)]
struct Bucket {
    /// Calls left in the window.
    left: u32,
    /// When it ends, by our clock at the latest.
    end: Instant,
    /// When it was last asked for.
    used_at: Instant,
    /// The round in which a call last claimed it.
    claimed_in: u64,
}

impl Buckets {
    /// A new look at all waiting calls begins: nothing is claimed.
    pub(super) fn begin_round(&mut self) {
        self.round += 1;
    }

    /// Whether `route` is the first call of its bucket in this round.
    pub(super) fn claim(&mut self, now: Instant, route: Route) -> bool {
        let round = self.round;
        let bucket = self.bucket(now, route);
        let is_first = bucket.claimed_in != round;
        bucket.claimed_in = round;
        is_first
    }

    /// Whether no call has claimed the bucket of `route` in this round.
    pub(super) fn is_unclaimed(&mut self, now: Instant, route: Route) -> bool {
        let round = self.round;
        self.bucket(now, route).claimed_in != round
    }

    /// From when on the bucket of `route` has room.
    pub(super) fn free_at(&mut self, now: Instant, route: Route) -> Instant {
        let bucket = self.bucket(now, route);
        if bucket.left == 0 { bucket.end } else { now }
    }

    /// Whether the bucket of `route` has a call left for others if one more goes out now.
    pub(super) fn has_spare(&mut self, now: Instant, route: Route) -> bool {
        let bucket = self.bucket(now, route);
        bucket.end <= now || bucket.left > 1
    }

    /// A call of `route` goes out.
    pub(super) fn draw(&mut self, now: Instant, route: Route) {
        let rule = self.rules[route.kind()];
        let bucket = self.bucket(now, route);
        if bucket.end <= now {
            bucket.left = rule.limit.unwrap_or(u32::MAX);
            bucket.end = now + rule.period;
        }
        bucket.left = bucket.left.saturating_sub(1);
    }

    /// A call of `route` was let through, or failed by itself.
    pub(super) fn learn(&mut self, now: Instant, route: Route, head: &RateHead) {
        self.learn_rule(route, head, true);
        let (Some(left), Some(reset_after)) = (head.remaining, head.reset_after) else {
            return self.doubt(now, route);
        };
        let bucket = self.bucket(now, route);
        bucket.left = left;
        bucket.end = now + reset_after;
    }

    /// A call of `route` may have been counted, and perhaps only just now, in a new window.
    pub(super) fn doubt(&mut self, now: Instant, route: Route) {
        let period = self.rules[route.kind()].period;
        let bucket = self.bucket(now, route);
        bucket.end = bucket.end.max(now + period);
    }

    /// A 429 closed the bucket of `route` for as long as `wait`.
    pub(super) fn block(&mut self, now: Instant, route: Route, head: &RateHead, wait: Duration) {
        if head.scope == Scope::User {
            self.learn_rule(route, head, false);
        }
        let bucket = self.bucket(now, route);
        bucket.left = 0;
        // Somebody else's 429 may be shorter than what is left of our own window.
        bucket.end = bucket.end.max(now + wait);
    }

    /// How many are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    fn learn_rule(&mut self, route: Route, head: &RateHead, was_let_through: bool) {
        let (Some(hash), Some(limit), Some(left), Some(reset_after)) =
            (head.bucket, head.limit, head.remaining, head.reset_after)
        else {
            return;
        };
        let rule = &mut self.rules[route.kind()];
        // The first call of a window is told how long it is; later ones, what is left of it.
        let is_first = was_let_through && left.checked_add(1) == Some(limit);
        let is_whole = is_first || rule.hash != Some(hash);
        let period = if is_whole { reset_after } else { rule.period.max(reset_after) };
        *rule = Rule { hash: Some(hash), limit: Some(limit.max(1)), period };
    }

    /// The bucket that `route` draws on. For a new one the bucket longest unused is forgotten;
    /// its window has ended, since there are more places than windows can be open.
    fn bucket(&mut self, now: Instant, route: Route) -> &mut Bucket {
        let kind = route.kind();
        let key = (self.rules[kind].hash.map_or(Name::Kind(kind), Name::Hash), route.major());
        if self.known.len() >= REST_BUCKETS_MAX && !self.known.contains_key(&key) {
            let oldest = self.known.iter().min_by_key(|(_, bucket)| bucket.used_at);
            if let Some(oldest) = oldest.map(|(&key, _)| key) {
                self.known.remove(&oldest);
            }
        }
        let bucket = self.known.entry(key).or_default();
        bucket.used_at = now;
        bucket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_window_that_a_429_tells_is_not_taken_for_a_whole_one() {
        let (mut buckets, now) = (Buckets::default(), Instant(0));
        let (here, there) = (Route::Typing { channel: 1 }, Route::Typing { channel: 2 });
        let head = |reset_after| RateHead {
            bucket: Some(1),
            limit: Some(1),
            remaining: Some(0),
            reset_after: Some(Duration::from_millis(reset_after)),
            ..RateHead::default()
        };
        buckets.draw(now, here);
        buckets.learn(now, here, &head(5000));
        buckets.block(now, there, &head(10), Duration::from_millis(10));
        let later = now + Duration::from_secs(5);
        assert_eq!(buckets.free_at(later, here), later);
        buckets.draw(later, here);
        buckets.doubt(later, here);
        assert_eq!(buckets.free_at(later, here), later + Duration::from_secs(5));
    }
}
