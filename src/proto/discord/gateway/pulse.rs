//! The heartbeat, the judgement of silence, and the proof that a connection is well.
//!
//! Deadlines of heartbeats are absolute: each is the last plus the interval, so that lateness does
//! not add up. A silence is judged only after the socket was emptied, since after a stall or a
//! suspend the answer may long have come.

use std::time::Duration;

use super::{Cause, Gateway, Output, Payload, Refusal, Stage, Tell, Urgency, Wake, say};
use crate::base::End;
use crate::base::end::Phase;
use crate::base::{Instant, limits};

impl Gateway {
    pub(super) fn beat_on_schedule(&mut self, now: Instant) {
        let late = now.since(self.link.beat_due);
        if let Err(room_at) = self.beat(now, 0, late) {
            self.timers.set(Wake::Beat, room_at);
            return;
        }
        let beats = &mut self.status.counters.beats;
        beats.late = late;
        beats.late_max = beats.late_max.max(late);
        // What was missed in sleep is not made up for.
        let missed = late.as_nanos() / self.link.interval.as_nanos().max(1);
        let steps = u32::try_from(missed + 1).unwrap_or(u32::MAX);
        self.link.beat_due += self.link.interval.saturating_mul(steps);
        self.timers.set(Wake::Beat, self.link.beat_due);
    }

    /// Op 1 wants an answer at once, and leaves the schedule as it is. One more often than the
    /// allowance permits gets none.
    pub(super) fn beat_on_demand(&mut self, now: Instant) {
        if !matches!(self.stage, Stage::Greeting(_)) {
            let _ = self.beat(now, self.beats_to_come(), Duration::ZERO);
        }
    }

    fn beat(&mut self, now: Instant, reserve: usize, late: Duration) -> Result<(), Instant> {
        self.link.sends.take(now, reserve)?;
        let seq = Some(self.received).filter(|&seq| seq > 0);
        if let Some(payload) = say::beat(seq) {
            self.put(Output::Send(payload));
        }
        if self.link.unacked.is_none() {
            self.link.unacked = Some(now);
            self.timers.set(Wake::Ack, now + self.ack_deadline());
        }
        self.status.counters.beats.sent += 1;
        self.tell(Tell::Beat { seq, late });
        Ok(())
    }

    /// How many places of the allowance the schedule itself may need.
    fn beats_to_come(&self) -> usize {
        let window = limits::GATEWAY_SENDS_PERIOD + limits::GATEWAY_SENDS_SLACK;
        let beats = window.as_millis() / self.link.interval.as_millis().max(1) + 1;
        usize::try_from(beats).unwrap_or(limits::GATEWAY_SENDS_MAX)
    }

    fn ack_deadline(&self) -> Duration {
        limits::ACK_DEADLINE_MAX.min(self.link.interval * 3 / 4)
    }

    /// An ACK answers the oldest heartbeat, and shows that the server heard us: it forgives the
    /// others.
    pub(super) fn acked(&mut self, now: Instant) {
        self.status.counters.beats.acked += 1;
        let Some(sent_at) = self.link.unacked.take() else { return };
        let rtt = now.since(sent_at);
        self.link.overdue.ack = false;
        self.timers.stop(Wake::Ack);
        self.status.proof = Some(now);
        self.status.rtt = Some(rtt);
        let wall = self.wall(now);
        if let Some(session) = &mut self.saved.session {
            session.at = wall;
        }
        self.tell(Tell::Ack { rtt });
        if self.stage == Stage::Live && sent_at >= self.link.live_at + self.link.interval {
            self.prove();
        }
    }

    /// The connection is well: what went wrong before is forgiven.
    pub(super) fn prove(&mut self) {
        if self.link.proven {
            return;
        }
        self.link.proven = true;
        self.timers.stop(Wake::Proof);
        self.stay.reset();
        self.tries.unproven = 0;
        self.tries.failed_resumes = 0;
        self.status.failures = 0;
        self.tell(Tell::Proven);
        if self.saved.strikes > 0 {
            self.set_strikes(0);
            self.save(Urgency::Soon);
        }
    }

    /// Something is overdue: what the socket holds must be heard before it is judged.
    pub(super) fn drain(&mut self) {
        if !self.link.draining {
            self.link.draining = true;
            self.put(Output::Drain);
        }
    }

    pub(super) fn drained(&mut self, now: Instant) {
        if !std::mem::take(&mut self.link.draining) || !self.stage.is_open() {
            return;
        }
        let phase = match self.stage {
            _ if self.link.overdue.ack => Phase::Live,
            Stage::Greeting(_) if self.link.overdue.answer => Phase::Hello,
            Stage::Resuming | Stage::Identifying if self.link.overdue.answer => Phase::Session,
            _ => return,
        };
        self.break_off(now, Cause::End(End::Silence(phase)));
    }

    /// [`Input::Send`](super::Input::Send): at once or not at all; heartbeats keep their places.
    pub(super) fn send_for_others(&mut self, now: Instant, bytes: &[u8]) {
        let reserve = self.beats_to_come() + limits::GATEWAY_SENDS_RESERVED;
        let refusal = match Payload::new(bytes) {
            _ if self.stage != Stage::Live => Refusal::NotConnected,
            None => Refusal::TooLong,
            Some(payload) => match self.link.sends.take(now, reserve) {
                Ok(()) => return self.put(Output::Send(payload)),
                Err(room_at) => Refusal::TooMany(now.until(room_at)),
            },
        };
        self.tell(Tell::SendRefused(refusal));
    }
}
