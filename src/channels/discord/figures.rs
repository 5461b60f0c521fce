//! What an account's connection went through, counted for monitors.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::View;
use crate::base::ring::Ring;
use crate::base::tally::{Buckets, Spans, Tally};
use crate::base::{Instant, Wall, limits};
use crate::core::health;
use crate::proto::discord::gateway::{Cause, Counters, Tell};
use crate::proto::discord::rest::Counts;

/// Causes that are counted apart: more than there are words for.
const CAUSES_MAX: usize = 64;
/// A heartbeat's way there and back, from a server next door to a line that hardly holds.
const RTT_MS: [u64; 11] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];
/// An outage, from what nobody notices to a night.
const OUTAGE_MS: [u64; 12] =
    [100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 3_600_000, 28_800_000];

/// What is counted as it happens.
#[derive(Debug)]
pub(super) struct Tallies {
    /// The last heartbeats: when each was acknowledged, and its way there and back.
    pub(super) beats: Ring<(Wall, Duration), { limits::HEARTBEATS_KEPT }>,
    lost: Tally<CAUSES_MAX>,
    not_dialled: Tally<CAUSES_MAX>,
    rtt: Spans<{ RTT_MS.len() }>,
    recovery: Spans<{ OUTAGE_MS.len() }>,
    /// Whether there was a connection, so that the next one is a recovery.
    was_up: bool,
}

/// The same, for those who count and those who read.
pub(super) type Tallied = Rc<RefCell<Tallies>>;

impl Default for Tallies {
    fn default() -> Tallies {
        Tallies {
            beats: Ring::default(),
            lost: Tally::default(),
            not_dialled: Tally::default(),
            rtt: Spans::new(&RTT_MS),
            recovery: Spans::new(&OUTAGE_MS),
            was_up: false,
        }
    }
}

impl Tallies {
    /// This happened.
    pub(super) fn hear(&mut self, at: Wall, tell: &Tell) {
        match tell {
            Tell::Ack { rtt } => {
                self.beats.push((at, *rtt));
                self.rtt.add(*rtt);
            }
            Tell::Disconnected(cause) if !cause.is_asked() => self.lost.count(cause.word()),
            Tell::DialFailed(end) => self.not_dialled.count(Cause::End(*end).word()),
            Tell::Live { away, .. } => {
                if self.was_up {
                    self.recovery.add(*away);
                }
                self.was_up = true;
            }
            _ => {}
        }
    }
}

/// All that monitors are told of an account.
pub(crate) struct Figures {
    /// Whether it is connected, by a proof that is young enough.
    pub(crate) is_up: bool,
    /// How old its last proof is.
    pub(crate) proof_age: Option<Duration>,
    /// Connections that were lost, by cause.
    pub(crate) lost: Vec<(&'static str, u64)>,
    /// Dials that failed, by cause.
    pub(crate) not_dialled: Vec<(&'static str, u64)>,
    /// What the connection's machine counted.
    pub(crate) counters: Counters,
    /// What is left of the IDENTIFY budget, if the server has said so.
    pub(crate) identify_remaining: Option<u32>,
    /// A heartbeat's way there and back.
    pub(crate) rtt: Buckets,
    /// Outages, by their length.
    pub(crate) recovery: Buckets,
    /// Messages that were not answered, by reason.
    pub(crate) drops: Vec<(&'static str, u64)>,
    /// Messages that an agent works on.
    pub(crate) in_flight: usize,
    /// Messages that wait for an agent.
    pub(crate) waiting: usize,
    /// Parts of replies that wait or are under way.
    pub(crate) outbox_depth: usize,
    /// Parts of replies that arrived.
    pub(crate) outbox_delivered: u64,
    /// Parts of replies that did not, by reason.
    pub(crate) outbox_dropped: Vec<(&'static str, u64)>,
    /// Calls of the REST API.
    pub(crate) rest: Counts,
}

impl View {
    /// All that monitors are told of it.
    pub(crate) fn figures(&self, now: Instant) -> Figures {
        let (status, ledger) = (self.status.borrow(), self.ledger.borrow());
        let (outbox, tallies) = (self.said.outbox.borrow(), self.tallies.borrow());
        let sent = outbox.counts();
        Figures {
            is_up: self.vital().status(now) == health::Status::Connected,
            proof_age: status.proof.map(|proof| now.since(proof)),
            lost: tallies.lost.iter().collect(),
            not_dialled: tallies.not_dialled.iter().collect(),
            counters: status.counters.clone(),
            identify_remaining: status.budget.map(|budget| budget.remaining),
            rtt: tallies.rtt.buckets(),
            recovery: tallies.recovery.buckets(),
            drops: ledger.trace.drops().map(|(_, name, count)| (name, count)).collect(),
            in_flight: ledger.inflight.len(),
            waiting: ledger.backlog.len(),
            outbox_depth: sent.depth,
            outbox_delivered: sent.delivered,
            outbox_dropped: outbox
                .dropped_total()
                .map(|(why, count)| (why.name(), count))
                .filter(|(_, count)| *count > 0)
                .collect(),
            rest: self.rest.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::end::{DialFault, End};

    #[test]
    fn a_first_connection_is_no_recovery_and_an_end_that_was_asked_for_no_loss() {
        let mut tallies = Tallies::default();
        let live = |ms| Tell::Live { resumed: true, replayed: 0, away: Duration::from_millis(ms) };
        tallies.hear(Wall(0), &Tell::DialFailed(End::Dial(DialFault::Dns)));
        tallies.hear(Wall(0), &live(50));
        assert_eq!(tallies.recovery.buckets().counts.iter().sum::<u64>(), 0);
        tallies.hear(Wall(0), &Tell::Disconnected(Cause::End(End::Server(1005))));
        tallies.hear(Wall(0), &live(400));
        tallies.hear(Wall(0), &Tell::Disconnected(Cause::End(End::Asked)));
        let recovery = tallies.recovery.buckets();
        assert_eq!((recovery.counts[2], recovery.sum), (1, Duration::from_millis(400)));
        assert_eq!(tallies.lost.iter().collect::<Vec<_>>(), [("close_1005", 1)]);
        assert_eq!(tallies.not_dialled.iter().collect::<Vec<_>>(), [("dial_dns", 1)]);
    }
}
