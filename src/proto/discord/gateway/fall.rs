//! How connections end, and what follows: strikes, waits, parks, and what people ask for.

use std::time::Duration;

use super::{After, Ask, Cause, Gateway, Output, Plan, Stage, State, Tell, Urgency, Wake};
use crate::base::end::{DialFault, Phase};
use crate::base::limits::CLOSE_KEEPING_SESSION;
use crate::base::{End, Instant, limits};
use crate::proto::discord::close::{self, Action, Close};

impl Stage {
    /// Whether the WebSocket is up and we mean to keep it.
    pub(super) fn is_open(self) -> bool {
        matches!(self, Stage::Greeting(_) | Stage::Resuming | Stage::Identifying | Stage::Live)
    }

    fn has_socket(self) -> bool {
        self.is_open() || matches!(self, Stage::Dialing(_) | Stage::Closing(_))
    }
}

impl Gateway {
    /// [`Input::Ended`](super::Input::Ended).
    pub(super) fn ended(&mut self, now: Instant, end: End) {
        match self.stage {
            Stage::Closing(after) => self.settle(now, after),
            stage if stage.has_socket() => {
                let cause = Cause::End(end);
                self.record(now, cause, cause.code());
                let after = self.judge(cause);
                self.settle(now, after);
            }
            _ => {}
        }
    }

    /// We end the connection for a reason that is not a person's wish.
    pub(super) fn break_off(&mut self, now: Instant, cause: Cause) {
        self.record(now, cause, CLOSE_KEEPING_SESSION);
        let after = self.judge(cause);
        self.close(now, CLOSE_KEEPING_SESSION, after);
    }

    /// REST was answered 401.
    pub(super) fn unauthorized(&mut self, now: Instant) {
        if !matches!(self.stage, Stage::Off | Stage::Parked) {
            self.park(now, close::of(4004));
        }
    }

    /// Gives up until somebody changes something, whatever the stage.
    pub(super) fn park(&mut self, now: Instant, row: &'static Close) {
        self.record(now, Cause::End(End::Asked), CLOSE_KEEPING_SESSION);
        self.forget_session();
        self.close(now, CLOSE_KEEPING_SESSION, After::Park(row));
    }

    /// [`Input::Ask`](super::Input::Ask).
    pub(super) fn asked(&mut self, now: Instant, ask: Ask) {
        self.tell(Tell::Asked(ask));
        match ask {
            Ask::Stop => {
                self.forget_session();
                self.leave(now, CLOSE_ENDING);
            }
            Ask::Leave => {
                self.touch_session(now);
                self.save(Urgency::Now);
                self.leave(now, CLOSE_KEEPING_SESSION);
            }
            Ask::Restart { fresh } => self.restart(now, fresh),
            Ask::Resume => self.retry_parked(now),
            Ask::Hurry => self.hurry(now),
        }
    }

    fn retry_parked(&mut self, now: Instant) {
        match self.stage {
            Stage::Parked => self.stage = Stage::Off,
            Stage::Closing(After::Park(_)) => self.stage = Stage::Closing(After::Off),
            _ => {}
        }
        self.come_back(now);
    }

    fn leave(&mut self, now: Instant, code: u16) {
        self.record(now, Cause::End(End::Asked), code);
        self.close(now, code, After::Off);
    }

    fn restart(&mut self, now: Instant, fresh: bool) {
        match self.stage {
            Stage::Parked | Stage::Closing(After::Park(_)) => return,
            _ => self.touch_session(now),
        }
        if fresh || self.saved.strikes > 0 {
            self.forget_session();
        }
        match self.stage {
            Stage::Off | Stage::Closing(After::Off) => self.come_back(now),
            Stage::Waiting => self.hurry(now),
            Stage::Dialing(_) => {
                let wait = self.reach.next(&mut self.rng);
                self.close(now, CLOSE_KEEPING_SESSION, After::Retry(wait));
            }
            stage if stage.is_open() => {
                self.record(now, Cause::End(End::Asked), CLOSE_KEEPING_SESSION);
                let wait = self.stay.next(&mut self.rng);
                self.close(now, CLOSE_KEEPING_SESSION, After::Retry(wait));
            }
            _ => {}
        }
    }

    /// Makes a wait short, unless it is for the IDENTIFY budget. Dials keep their distance.
    fn hurry(&mut self, now: Instant) {
        if self.stage != Stage::Waiting || self.tries.held {
            return;
        }
        let earliest = self.tries.dialed_at.map_or(now, |at| at + limits::RESTART_SPACING);
        let planned = self.status.next_try.unwrap_or(earliest);
        self.wait_until(planned.min(earliest));
    }

    /// Closes the socket if there is one; `after` follows once it is gone.
    fn close(&mut self, now: Instant, code: u16, after: After) {
        if !self.stage.has_socket() {
            return self.settle(now, after);
        }
        if !matches!(self.stage, Stage::Closing(_)) {
            self.put(Output::Close { code });
        }
        self.stop_timers();
        self.stage = Stage::Closing(after);
    }

    /// All but the one that keeps the cursor: what is on its way to the disk goes on.
    fn stop_timers(&mut self) {
        for wake in [Wake::Try, Wake::Fetch, Wake::Answer, Wake::Beat, Wake::Ack, Wake::Proof] {
            self.timers.stop(wake);
        }
    }

    /// There is no socket any more.
    fn settle(&mut self, now: Instant, after: After) {
        self.stop_timers();
        self.status.next_try = None;
        self.status.interval = None;
        match after {
            After::Off => {
                self.stage = Stage::Off;
                self.status.down_since = None;
                self.set_state(now, State::Disconnected);
            }
            After::Park(row) => {
                self.stage = Stage::Parked;
                self.status.parked = Some(row.code);
                self.tell(Tell::Parked(row));
                let state = if let Action::Park(state) = row.action { state } else { State::Error };
                self.set_state(now, state);
            }
            After::Retry(wait) => {
                let wait = wait.max(WAIT_MIN);
                self.wait_until(now + wait);
                self.tell(Tell::Attempt { resume: self.saved.session.is_some(), wait });
            }
        }
    }

    /// Writes down that a connection or a dial ended.
    fn record(&mut self, now: Instant, cause: Cause, code: u16) {
        if self.stage.is_open() {
            self.status.last_end = Some(cause);
            self.status.counters.closes.count(code);
            self.tell(Tell::Closed { code });
            self.tell(Tell::Disconnected(cause));
        } else if let (Stage::Dialing(_), Cause::End(end)) = (self.stage, cause) {
            self.status.last_end = Some(cause);
            self.tell(Tell::DialFailed(end));
        }
        if self.stage == Stage::Live {
            self.status.down_since = Some(now);
            self.touch_session(now);
            self.set_state(now, State::Reconnecting);
        }
    }

    fn touch_session(&mut self, now: Instant) {
        let wall = self.wall(now);
        if let (Stage::Live, Some(session)) = (self.stage, &mut self.saved.session) {
            session.at = wall;
        }
    }

    /// What an end means for the session and for the next try. The stage is still that in which
    /// it happened.
    fn judge(&mut self, cause: Cause) -> After {
        let action = self.action(cause);
        if let Action::Park(_) = action {
            self.forget_session();
            return After::Park(close::of(cause.code()));
        }
        self.status.failures = self.status.failures.saturating_add(1);
        if action == Action::ResumeOnce && self.saved.session.is_some() {
            let one_left = self.config.strikes_max.saturating_sub(1);
            self.set_strikes(self.saved.strikes.max(one_left));
        }
        self.count_reach(cause);
        self.count_strikes(cause);
        self.count_unproven();
        if action == Action::Identify {
            self.forget_session();
        }
        if self.saved.strikes > 0 {
            self.save(Urgency::Soon);
        }
        After::Retry(self.wait_after(cause, action))
    }

    /// What the end calls for. Before RESUME or IDENTIFY was written the server cannot know whose
    /// connection it was: then its words are no judgement of the session, but a park is a park.
    fn action(&mut self, cause: Cause) -> Action {
        let action = match cause {
            Cause::Invalid { resumable: false } => Action::Identify,
            Cause::End(End::Server(code)) => {
                let row = close::of(code);
                if !row.advice.is_empty() && !matches!(row.action, Action::Park(_)) {
                    self.tell(Tell::Alarm(row));
                }
                row.action
            }
            _ => Action::Resume,
        };
        match (self.stage, action) {
            (Stage::Greeting(_), Action::Identify | Action::ResumeOnce) => Action::Resume,
            _ => action,
        }
    }

    /// Before HELLO it is the place or the way there that failed.
    fn count_reach(&mut self, cause: Cause) {
        let (Stage::Dialing(plan) | Stage::Greeting(plan)) = self.stage else { return };
        let is_timeout = matches!(cause, Cause::End(End::Silence(_)));
        if is_timeout && matches!(self.stage, Stage::Dialing(_)) {
            self.tries.timeouts = self.tries.timeouts.saturating_add(1);
        }
        match plan {
            // A place that does not even answer has cost enough time for two.
            Plan::Resume { by_resume_url: true } => {
                self.tries.resume_url_failures += if is_timeout { 2 } else { 1 };
            }
            // Neither place answers: it is not the resume URL that is at fault.
            Plan::Resume { by_resume_url: false } => self.tries.resume_url_failures = 0,
            Plan::Identify => {}
        }
    }

    /// Between RESUME written and RESUMED every end is a strike: a refusal and a cut look alike.
    fn count_strikes(&mut self, cause: Cause) {
        let is_swallowed = cause == Cause::End(End::Silence(Phase::Session));
        let strikes = match self.stage {
            Stage::Resuming if is_swallowed => {
                self.status.counters.resumes.swallowed += 1;
                2
            }
            Stage::Resuming => {
                self.status.counters.resumes.refused += 1;
                1
            }
            Stage::Live if cause == (Cause::Invalid { resumable: true }) => 1,
            _ => return,
        };
        if self.saved.session.is_none() {
            return;
        }
        if self.stage == Stage::Resuming {
            self.tries.failed_resumes += 1;
        }
        self.set_strikes(self.saved.strikes.saturating_add(strikes));
        if self.saved.strikes >= self.config.strikes_max {
            let failed = self.tries.failed_resumes;
            self.forget_session();
            self.tell(Tell::Abandoned { failed });
        }
    }

    /// Connections that come up but do not last: in the end the session may be at fault.
    fn count_unproven(&mut self) {
        if self.stage != Stage::Live || self.link.proven {
            return;
        }
        self.tries.unproven = self.tries.unproven.saturating_add(1);
        let connections = self.tries.unproven;
        let is_time = connections >= limits::UNPROVEN_MIN && connections.is_power_of_two();
        if is_time && self.saved.session.is_some() {
            self.forget_session();
            self.tell(Tell::Unproven { connections });
        }
    }

    fn wait_after(&mut self, cause: Cause, action: Action) -> Duration {
        let (least, most) = limits::INVALID_SESSION_WAIT;
        let a_while = self.rng.between(least, most);
        if let Some(max) = self.config.retries_max
            && self.status.failures >= max
        {
            if self.status.failures == max {
                self.tell(Tell::Slow { failures: max });
            }
            return limits::SLOW_RETRY;
        }
        // A clear word against the session came from a server that is well: IDENTIFY soon. It
        // cannot loop, since there is no more session to refuse.
        if self.stage == Stage::Resuming && action == Action::Identify {
            let is_op_9 = cause == (Cause::Invalid { resumable: false });
            let first = self.config.backoff.first;
            return if is_op_9 { a_while } else { self.rng.between(first / 20, first) };
        }
        let is_unreached = matches!(self.stage, Stage::Dialing(_) | Stage::Greeting(_));
        let backoff = if is_unreached { &mut self.reach } else { &mut self.stay };
        let wait = backoff.next(&mut self.rng);
        match cause {
            Cause::Invalid { .. } => wait.max(a_while),
            Cause::End(End::Dial(DialFault::Status(_, seconds))) => {
                wait.max(Duration::from_secs(seconds.into()).min(limits::RETRY_AFTER_MAX))
            }
            _ if action == Action::ResumeLater => wait.max(a_while),
            _ => wait,
        }
    }
}

/// Ends the session: the bot goes offline at once.
const CLOSE_ENDING: u16 = 1000;
/// However small a configured backoff is.
const WAIT_MIN: Duration = Duration::from_millis(1);
