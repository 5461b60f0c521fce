//! Who has shown wrong credentials too often, and for how long nobody looks at theirs.
//!
//! Failures are counted for each peer in a sliding window; at the bound the peer is locked out, and
//! what it shows meanwhile is not even compared, so that guessing gains nothing. The table is
//! bounded. When it is full, room is made by whoever matters least: one whose time has passed,
//! else the one with the fewest failures, of those the one that failed longest ago; one that is
//! locked out never. If all are, strangers share one count, so that a crowd of addresses cannot
//! guess on, and cannot make us forget anybody. Peers of the Unix socket are not counted at all.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use crate::base::{Instant, limits};

/// How much is too much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rules {
    /// Failures that lead to a lockout.
    pub(crate) attempts: usize,
    /// The time in which they count.
    pub(crate) window: Duration,
    /// How long a lockout lasts.
    pub(crate) lockout: Duration,
}

/// A peer, as far as it can be told from others: who has one IPv6 address has the other 2^64 of its
/// network as well.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Peer {
    /// By its address.
    V4([u8; 4]),
    /// By its network.
    V6([u8; 8]),
}

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Peer {
        match address.to_canonical() {
            IpAddr::V4(address) => Peer::V4(address.octets()),
            IpAddr::V6(address) => {
                let mut network = [0; 8];
                network.copy_from_slice(&address.octets()[..8]);
                Peer::V6(network)
            }
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Entry {
    /// When it failed, of what still counts.
    failures: VecDeque<Instant>,
    /// Until when it is locked out.
    locked: Option<Instant>,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Lockout {
    rules: Rules,
    table: BTreeMap<Peer, Entry>,
    others: Entry,
}

impl Lockout {
    /// Nobody has failed yet.
    pub(crate) fn new(rules: Rules) -> Lockout {
        Lockout { rules, table: BTreeMap::new(), others: Entry::default() }
    }

    /// For how long nobody looks at what `peer` shows.
    pub(crate) fn locked(&self, now: Instant, peer: Peer) -> Option<Duration> {
        let own = self.table.get(&peer);
        // Strangers share the others' fate only while there is no room for one of their own.
        let entry = match own {
            Some(entry) => entry,
            None if self.is_crowded(now) => &self.others,
            None => return None,
        };
        entry.locked.filter(|&until| until > now).map(|until| until.since(now))
    }

    /// `peer` has shown a wrong credential; how long it is locked out, if it is from now on.
    pub(crate) fn failed(&mut self, now: Instant, peer: Peer) -> Option<Duration> {
        let Rules { attempts, window, lockout } = self.rules;
        let entry = self.entry(now, peer);
        entry.forget(now, window);
        entry.failures.push_back(now);
        if entry.failures.len() < attempts.max(1) || lockout.is_zero() {
            return None;
        }
        entry.failures.clear();
        entry.locked = Some(now + lockout);
        Some(lockout)
    }

    /// `peer` has shown the right one: what it did before counts no more.
    pub(crate) fn passed(&mut self, peer: Peer) {
        self.table.remove(&peer);
    }

    /// How many are remembered.
    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        self.table.len()
    }

    fn is_crowded(&self, now: Instant) -> bool {
        self.table.len() >= limits::AUTH_PEERS_MAX
            && self.table.values().all(|entry| entry.is_locked(now))
    }

    /// The place where `peer`'s failures are counted.
    fn entry(&mut self, now: Instant, peer: Peer) -> &mut Entry {
        let is_known = self.table.contains_key(&peer);
        if !is_known && self.table.len() >= limits::AUTH_PEERS_MAX {
            let window = self.rules.window;
            self.table.retain(|_, entry| !entry.is_over(now, window));
        }
        if !is_known && self.table.len() >= limits::AUTH_PEERS_MAX {
            let open = self.table.iter().filter(|(_, entry)| !entry.is_locked(now));
            let least = open.min_by_key(|(_, entry)| (entry.failures.len(), entry.failures.back()));
            match least.map(|(peer, _)| *peer) {
                Some(least) => drop(self.table.remove(&least)),
                None => return &mut self.others,
            }
        }
        self.table.entry(peer).or_default()
    }
}

impl Entry {
    fn forget(&mut self, now: Instant, window: Duration) {
        while self.failures.front().is_some_and(|&at| at + window <= now) {
            self.failures.pop_front();
        }
    }

    fn is_locked(&self, now: Instant) -> bool {
        self.locked.is_some_and(|until| until > now)
    }

    fn is_over(&self, now: Instant, window: Duration) -> bool {
        !self.is_locked(now) && self.failures.back().is_none_or(|&at| at + window <= now)
    }
}

#[cfg(test)]
mod tests;
