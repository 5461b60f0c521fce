//! What must hold, whatever happens. The world reports; the first breach is kept.

use std::collections::VecDeque;
use std::time::Duration;

use barnacle::base::Instant;
use barnacle::base::limits;

/// How soon after all is well the bot must be live. The longest way there: a dial that hangs to
/// its end (30 s), the longest wait (60 s), an unanswered REST call (10 s), and a second each for
/// the dial, HELLO and READY, with the spacing of IDENTIFYs (5.5 s) somewhere among them.
const WELL_TO_LIVE: Duration = Duration::from_secs(120);
/// Dials in any minute: what the backoffs allow at their luckiest.
const DIALS_PER_MINUTE: usize = 40;
/// Wake-ups in any minute on our own account.
const WAKES_PER_MINUTE: u32 = 300;

const MINUTE: Duration = Duration::from_secs(60);
const TICK: Duration = Duration::from_millis(1);

#[derive(Default)]
pub struct Check {
    pub breach: Option<String>,
    dials: VecDeque<Instant>,
    wakes: (u64, u32),
    /// Since when all is well, but for the bot itself.
    well_since: Instant,
    pub live_since: Option<Instant>,
    /// When the next heartbeat must have been sent.
    beat_limit: Option<Instant>,
    unacked_since: Option<Instant>,
    hello_at: Instant,
    beats: u64,
    asked_beats: u64,
    sends: VecDeque<Instant>,
    interval: Duration,
    /// What the session may be blamed for, against `strikes_max`.
    blame: u32,
    unproven: u32,
    pub has_session: bool,
    failed_resumes: u32,
    /// Since when the host was stalled, and until when.
    stall: (Instant, Instant),
}

/// Enough blame for any reason to give a session up.
pub const ALL: u32 = 1000;

impl Check {
    pub fn breach(&mut self, what: impl Into<String>) {
        self.breach.get_or_insert(what.into());
    }

    fn demand(&mut self, holds: bool, what: &str) {
        if !holds {
            self.breach(what);
        }
    }

    /// At every step of the world.
    pub fn step(&mut self, now: Instant, excused: bool) {
        if self.live_since.is_some_and(|since| now.since(since) > self.proof()) {
            (self.blame, self.unproven) = (0, 0);
        }
        if excused {
            self.unsettled(now);
        } else if self.live_since.is_none() && now.since(self.well_since) > WELL_TO_LIVE {
            self.breach("all has been well for 120 s, and the bot is not live");
        }
        if self.beat_limit.is_some_and(|limit| now > limit) {
            self.breach("a heartbeat is overdue");
        }
        let patience = limits::ACK_DEADLINE_MAX.min(self.interval * 3 / 4) + TICK;
        if self.unacked_since.is_some_and(|at| now > self.awake(at + patience)) {
            self.breach("a connection without ACKs is kept");
        }
    }

    /// After this long a connection is proven for certain.
    fn proof(&self) -> Duration {
        MINUTE + self.interval * 2
    }

    /// A deadline at `at`, for a host that was asleep meanwhile.
    fn awake(&self, at: Instant) -> Instant {
        let (from, to) = self.stall;
        if at >= from && at <= to { to + TICK } else { at }
    }

    /// Up to `now` something was wrong.
    pub fn unsettled(&mut self, now: Instant) {
        self.well_since = self.well_since.max(now);
    }

    pub fn well_since(&self) -> Instant {
        self.well_since
    }

    pub fn stalled(&mut self, now: Instant, until: Instant) {
        self.stall = (now, until);
        self.unsettled(until);
        // Sleep proves nothing.
        self.live_since = self.live_since.map(|since| since.max(until));
        if let Some(limit) = &mut self.beat_limit
            && *limit < until + TICK
        {
            *limit = until + TICK;
        }
    }

    pub fn woke(&mut self, now: Instant) {
        let minute = now.0 / 60_000_000_000;
        let count = if self.wakes.0 == minute { self.wakes.1 + 1 } else { 1 };
        self.wakes = (minute, count);
        self.demand(count <= WAKES_PER_MINUTE, "a busy loop of wake-ups");
    }

    pub fn dialed(&mut self, now: Instant) {
        while self.dials.front().is_some_and(|&at| at + MINUTE <= now) {
            self.dials.pop_front();
        }
        self.dials.push_back(now);
        self.demand(self.dials.len() <= DIALS_PER_MINUTE, "a busy loop of dials");
    }

    pub fn greeted(&mut self, now: Instant, interval: Duration) {
        self.interval = interval;
        self.beat_limit = Some(now + interval + TICK);
        self.hello_at = now;
        self.beats = 0;
        self.asked_beats = 0;
    }

    pub fn opened(&mut self) {
        self.sends.clear();
        self.asked_beats = 0;
    }

    pub fn sent(&mut self, now: Instant) {
        while self.sends.front().is_some_and(|&at| at + Duration::from_secs(66) <= now) {
            self.sends.pop_front();
        }
        self.sends.push_back(now);
    }

    pub fn beat(&mut self, now: Instant) {
        self.demand(self.beat_limit.is_some(), "a heartbeat before HELLO");
        self.beats += 1;
        let elapsed = now.since(self.hello_at).as_millis() / self.interval.as_millis().max(1);
        let due = u64::try_from(elapsed).unwrap_or(u64::MAX) + 1 + self.asked_beats;
        self.demand(self.beats <= due, "more heartbeats than are due");
        self.beat_limit = Some(now + self.interval + TICK);
        self.unacked_since.get_or_insert(now);
    }

    /// Op 1 was handed in, and `answered` tells whether a heartbeat came out.
    pub fn asked_to_beat(&mut self, answered: bool) {
        let window = limits::GATEWAY_SENDS_PERIOD + limits::GATEWAY_SENDS_SLACK;
        let reserved = window.as_millis() / self.interval.as_millis().max(1) + 2;
        let is_full = self.sends.len() + usize::try_from(reserved).unwrap_or(0) >= 119;
        self.demand(answered || is_full || self.beat_limit.is_none(), "op 1 without an answer");
    }

    /// Before op 1 is handed in: it may lead to a heartbeat out of turn.
    pub fn allow_beat(&mut self) {
        self.asked_beats += 1;
    }

    pub fn acked(&mut self) {
        self.unacked_since = None;
    }

    /// The socket is closed or gone.
    pub fn socket_gone(&mut self) {
        self.beat_limit = None;
        self.unacked_since = None;
    }

    /// READY was handed in.
    pub fn ready(&mut self, now: Instant) {
        self.has_session = true;
        self.blame = 0;
        self.failed_resumes = 0;
        self.live_since = Some(now);
    }

    pub fn resumed(&mut self, now: Instant) {
        self.failed_resumes = 0;
        self.live_since = Some(now);
    }

    pub fn blame(&mut self, amount: u32) {
        self.blame = self.blame.saturating_add(amount);
    }

    /// A connection on which RESUME was written is over without RESUMED.
    pub fn resume_failed(&mut self, strikes_max: u32) {
        self.blame(2);
        self.failed_resumes += 1;
        self.demand(self.failed_resumes <= strikes_max, "the same session is resumed for ever");
    }

    /// A live connection is over.
    pub fn fell(&mut self, now: Instant) {
        let Some(live_since) = self.live_since.take() else { return };
        if now.since(live_since) <= self.proof() {
            self.unproven += 1;
            if self.unproven >= limits::UNPROVEN_MIN {
                self.blame(ALL);
            }
        }
    }

    pub fn killed(&mut self, struck: bool) {
        self.failed_resumes = 0;
        if struck {
            self.blame(ALL);
        }
    }

    pub fn identifies(&mut self, strikes_max: u32) {
        let is_due = !self.has_session || self.blame >= strikes_max;
        self.demand(is_due, "a session was burnt that nobody had refused");
        self.has_session = false;
    }
}
