//! What is known of the server's rate limit buckets.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{RateHead, Route};
use crate::base::Instant;
use crate::base::limits::REST_BUCKETS_MAX;

/// The buckets used last.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    /// The server's name for the bucket of each kind of call, once it has said so.
    hashes: [Option<u64>; Route::KINDS],
    known: BTreeMap<Key, Bucket>,
    round: u64,
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
    /// What the server has told; before that there is nothing to keep count of.
    window: Option<Window>,
    /// When it was last asked for.
    used_at: Instant,
    /// The round in which a call last claimed it.
    claimed_in: u64,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    /// Calls in a whole window.
    limit: u32,
    /// Calls left in this one.
    left: u32,
    /// When it ends, by our clock at the latest.
    end: Instant,
    /// How long a whole window lasts, as far as was seen.
    period: Duration,
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

    /// From when on the bucket of `route` has room.
    pub(super) fn free_at(&mut self, now: Instant, route: Route) -> Instant {
        match self.bucket(now, route).window {
            Some(Window { left: 0, end, .. }) => end,
            _ => now,
        }
    }

    /// A call of `route` goes out.
    pub(super) fn draw(&mut self, now: Instant, route: Route) {
        let Some(window) = &mut self.bucket(now, route).window else { return };
        if window.end <= now {
            *window = Window { left: window.limit, end: now + window.period, ..*window };
        }
        window.left = window.left.saturating_sub(1);
    }

    /// A call of `route` was let through, or failed by itself.
    pub(super) fn learn(&mut self, now: Instant, route: Route, head: &RateHead) {
        self.name(route, head);
        let (Some(limit), Some(left), Some(reset_after)) =
            (head.limit, head.remaining, head.reset_after)
        else {
            return self.doubt(now, route);
        };
        let window = &mut self.bucket(now, route).window;
        // The first call of a window is told how long it is; later ones, how much is left of it.
        let is_whole = left.checked_add(1) == Some(limit);
        let longest = window.map_or(Duration::ZERO, |window| window.period).max(reset_after);
        let period = if is_whole { reset_after } else { longest };
        *window = Some(Window { limit: limit.max(1), left, end: now + reset_after, period });
    }

    /// A call of `route` may have been counted, and perhaps only just now, in a new window.
    pub(super) fn doubt(&mut self, now: Instant, route: Route) {
        if let Some(window) = &mut self.bucket(now, route).window {
            window.end = window.end.max(now + window.period);
        }
    }

    /// A 429 closed the bucket of `route` for as long as `wait`, which says nothing about how
    /// long its windows are.
    pub(super) fn block(&mut self, now: Instant, route: Route, head: &RateHead, wait: Duration) {
        self.name(route, head);
        let window = &mut self.bucket(now, route).window;
        // A bucket of which nothing else is known is drawn on one by one.
        let known =
            window.unwrap_or(Window { limit: 1, left: 0, end: now, period: Duration::ZERO });
        *window = Some(Window { left: 0, end: now + wait, ..known });
    }

    fn name(&mut self, route: Route, head: &RateHead) {
        if let Some(hash) = head.bucket {
            self.hashes[route.kind()] = Some(hash);
        }
    }

    /// The bucket that `route` draws on. For a new one the bucket longest unused is forgotten;
    /// its window has ended, since there are more places than windows can be open.
    fn bucket(&mut self, now: Instant, route: Route) -> &mut Bucket {
        let name = self.hashes[route.kind()].map_or(Name::Kind(route.kind()), Name::Hash);
        let key = (name, route.major());
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
