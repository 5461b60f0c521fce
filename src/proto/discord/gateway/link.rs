//! One connection: HELLO, RESUME or IDENTIFY, RESUMED or READY, and the events after it.

use std::time::Duration;

use super::{
    Cause, Dispatch, Gateway, Me, Output, Payload, Plan, Session, SessionId, Signal, Stage, State,
    Tell, Urgency, Wake, say,
};
use crate::base::limit::SlidingWindow;
use crate::base::{Instant, limits};
use crate::proto::discord::close;

/// What belongs to one connection and ends with it.
#[derive(Debug)]
pub(super) struct Link {
    /// How often the server wants a heartbeat.
    pub(super) interval: Duration,
    /// When the next heartbeat is due by the schedule; [`Wake::Beat`] may be later, if the
    /// allowance of the minute is used up.
    pub(super) beat_due: Instant,
    /// When the oldest heartbeat was sent that no ACK has followed.
    pub(super) unacked: Option<Instant>,
    /// What we have sent of late.
    pub(super) sends: SlidingWindow<{ limits::GATEWAY_SENDS_MAX }>,
    /// When it became live.
    pub(super) live_at: Instant,
    /// Whether it has proven itself well.
    pub(super) proven: bool,
    /// What has not come in time, unless the socket holds it.
    pub(super) overdue: Overdue,
    /// The port was asked to empty the socket.
    pub(super) draining: bool,
    /// When RESUME or IDENTIFY was written.
    said_at: Instant,
    /// New events of the replay.
    replayed: u64,
    /// Whether anything was unreadable.
    garbled: bool,
}

/// What has not come in time.
#[derive(Debug, Default)]
pub(super) struct Overdue {
    /// HELLO, READY or RESUMED.
    pub(super) answer: bool,
    /// A heartbeat's ACK.
    pub(super) ack: bool,
}

impl Link {
    pub(super) fn new(now: Instant) -> Link {
        Link {
            interval: limits::HEARTBEAT_INTERVAL_MAX,
            beat_due: now,
            unacked: None,
            sends: SlidingWindow::new(limits::GATEWAY_SENDS_PERIOD + limits::GATEWAY_SENDS_SLACK),
            live_at: now,
            proven: false,
            overdue: Overdue::default(),
            draining: false,
            said_at: now,
            replayed: 0,
            garbled: false,
        }
    }
}

impl Gateway {
    /// [`Input::Heard`](super::Input::Heard). What comes while there is no connection, or while one
    /// is being closed, is a breach of the port's promise and does no harm.
    pub(super) fn heard(&mut self, now: Instant, signal: Signal<'_>) {
        if !self.stage.is_open() {
            return;
        }
        match signal {
            Signal::Hello { interval } => self.greeted(now, interval),
            Signal::Ack => self.acked(now),
            Signal::Beat => self.beat_on_demand(now),
            Signal::Reconnect => {
                self.status.counters.reconnects += 1;
                self.break_off(now, Cause::Reconnect);
            }
            Signal::InvalidSession { resumable } => {
                self.status.counters.invalid_sessions += 1;
                self.break_off(now, Cause::Invalid { resumable });
            }
            Signal::Dispatch { seq, event } => self.dispatched(now, seq, event),
            Signal::Unknown { .. } => self.status.counters.unknown_ops += 1,
            Signal::Unreadable => self.garbled(),
        }
    }

    fn garbled(&mut self) {
        self.status.counters.unreadable += 1;
        if !self.link.garbled {
            self.link.garbled = true;
            self.tell(Tell::Unreadable);
        }
    }

    fn greeted(&mut self, now: Instant, interval: Duration) {
        let Stage::Greeting(plan) = self.stage else { return self.garbled() };
        let bounds = (limits::HEARTBEAT_INTERVAL_MIN, limits::HEARTBEAT_INTERVAL_MAX);
        let interval = interval.clamp(bounds.0, bounds.1);
        self.reach.reset();
        self.status.interval = Some(interval);
        self.link.interval = interval;
        // At random within the first interval, so that a server's clients do not beat in step.
        self.link.beat_due = now + self.rng.between(Duration::ZERO, interval);
        self.timers.set(Wake::Beat, self.link.beat_due);
        self.tell(Tell::Hello { interval });
        self.link.overdue.answer = false;
        self.link.said_at = now;
        if plan == (Plan::Resume { by_resume_url: true }) {
            self.tries.resume_url_failures = 0;
        }
        match plan {
            Plan::Resume { .. } => self.resume(now),
            Plan::Identify => self.identify(now),
        }
    }

    fn resume(&mut self, now: Instant) {
        // A dial for RESUME is made only with a session, and what drops sessions closes sockets.
        let Some(session) = &self.saved.session else { return self.identify(now) };
        let seq = session.seq;
        let payload = say::resume(&self.config, &session.id, seq);
        self.stage = Stage::Resuming;
        self.timers.set(Wake::Answer, now + limits::RESUMED_DEADLINE);
        self.status.counters.resumes.asked += 1;
        self.tell(Tell::Resuming { seq });
        self.introduce(now, payload);
    }

    fn identify(&mut self, now: Instant) {
        let wall = self.wall(now);
        let own = &mut self.saved.identifies;
        // The hold has made sure that there is room.
        let _ = own.push(wall);
        let of_day = u32::try_from(own.len()).unwrap_or(u32::MAX);
        if let Some(budget) = &mut self.saved.budget {
            budget.remaining = budget.remaining.saturating_sub(1);
        }
        self.status.budget = self.saved.budget;
        self.status.identifies_of_day = of_day;
        self.status.counters.identifies += 1;
        self.tries.identified_at = Some(now);
        self.stage = Stage::Identifying;
        self.timers.set(Wake::Answer, now + limits::READY_DEADLINE);
        // Kept first: a crash in between may waste a number but never overspends.
        self.save(Urgency::Now);
        self.tell(Tell::Identifying { of_day });
        let payload = say::identify(&self.config);
        self.introduce(now, payload);
    }

    /// Sends RESUME or IDENTIFY; if the token is too long to be one, that is what is wrong.
    fn introduce(&mut self, now: Instant, payload: Option<Payload>) {
        match payload {
            Some(payload) => {
                // The first message of a connection always has room.
                let _ = self.link.sends.take(now, 0);
                self.put(Output::Send(payload));
            }
            None => self.park(now, close::of(4004)),
        }
    }

    fn dispatched(&mut self, now: Instant, seq: u64, event: Dispatch<'_>) {
        match (self.stage, event) {
            (Stage::Identifying | Stage::Resuming, Dispatch::Ready { .. }) => {
                self.ready(now, seq, event);
            }
            (Stage::Resuming, _) => {
                let replayed = self.receive(seq) && event == Dispatch::Other;
                self.link.replayed += u64::from(replayed);
                let latest = self.link.said_at + limits::REPLAY_MAX;
                self.timers.set(Wake::Answer, latest.min(now + limits::RESUMED_DEADLINE));
                self.link.overdue.answer = false;
                if event == Dispatch::Resumed {
                    self.resumed(now);
                }
            }
            (Stage::Live, _) => {
                self.receive(seq);
            }
            _ => self.garbled(),
        }
    }

    /// Whether the event is new. Sequences may jump: events can come never, once or many times.
    fn receive(&mut self, seq: u64) -> bool {
        let is_new = seq > self.received;
        if is_new {
            self.received = seq;
            self.status.counters.delivered += 1;
            self.put(Output::Deliver);
        } else {
            self.status.counters.duplicates += 1;
        }
        is_new
    }

    fn ready(&mut self, now: Instant, seq: u64, event: Dispatch<'_>) {
        let Dispatch::Ready { session_id, resume_url, user, application, flags } = event else {
            return;
        };
        self.forget_session();
        let resume_url = self.allowed(resume_url);
        let id = SessionId::try_from(session_id).ok().filter(|id| !id.is_empty());
        let at = self.wall(now);
        let session = id.map(|id| Session { id, resume_url, seq, at });
        self.saved.session = session.filter(|_| self.config.resume);
        self.tries.resume_url_failures = 0;
        self.status.me = Some(Me { user, application, flags });
        self.save(Urgency::Now);
        self.receive(seq);
        self.live(now, false);
    }

    fn resumed(&mut self, now: Instant) {
        self.status.counters.resumes.accepted += 1;
        self.live(now, true);
    }

    fn live(&mut self, now: Instant, resumed: bool) {
        self.stage = Stage::Live;
        self.timers.stop(Wake::Answer);
        self.timers.set(Wake::Proof, now + limits::LIVE_PROOF);
        self.link.overdue.answer = false;
        self.link.live_at = now;
        let away = now.since(self.status.down_since.take().unwrap_or(now));
        self.status.recovered_in = Some(away);
        self.status.proof = Some(now);
        self.status.counters.connects += 1;
        self.tell(Tell::Live { resumed, replayed: self.link.replayed, away });
        self.set_state(now, State::Connected);
    }
}
