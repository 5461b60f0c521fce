//! From nothing to an open WebSocket: when to try, whether an IDENTIFY may be spent, where to dial.

use std::time::Duration;

use super::link::Link;
use super::{
    After, Budget, Gateway, GatewayInfo, Hold, Output, Plan, Session, Stage, State, Tell, Url,
};
use super::{Wake, url};
use crate::base::limits;
use crate::base::text::truncate;
use crate::base::{Instant, Wall};

impl Gateway {
    pub(super) fn start(&mut self, now: Instant, wall: Wall) {
        self.set_clock(now, wall);
        self.come_back(now);
    }

    /// Ends a stop, be it still under way; does nothing else.
    pub(super) fn come_back(&mut self, now: Instant) {
        match self.stage {
            Stage::Off => self.begin(now),
            Stage::Closing(After::Off) => {
                self.status.down_since = Some(now);
                self.set_state(now, State::Connecting);
                self.stage = Stage::Closing(After::Retry(limits::RESTART_SPACING));
            }
            _ => {}
        }
    }

    /// Starts over from rest. Dials keep their distance even if somebody does this in a loop.
    pub(super) fn begin(&mut self, now: Instant) {
        if self.saved.strikes > 0 || !self.config.resume {
            // The last RESUME was refused: whoever restarts wants it to work at once.
            self.forget_session();
        }
        self.status.parked = None;
        self.status.down_since = Some(now);
        self.set_state(now, State::Connecting);
        let earliest = self.tries.dialed_at.map_or(now, |at| at + limits::RESTART_SPACING);
        if earliest > now {
            self.wait_until(earliest);
        } else {
            self.attempt(now);
        }
    }

    /// The clock was set. It may have stood in the future when something was written down.
    pub(super) fn set_clock(&mut self, now: Instant, wall: Wall) {
        self.clock = (now, wall);
        for at in &mut self.saved.identifies {
            *at = (*at).min(wall);
        }
        if let Some(session) = &mut self.saved.session {
            session.at = session.at.min(wall);
        }
        if let Some(budget) = &mut self.saved.budget {
            budget.reset_at = budget.reset_at.min(wall + limits::IDENTIFY_PERIOD);
        }
        if self.stage == Stage::Waiting && self.tries.held {
            self.attempt(now);
        }
    }

    /// Goes on by RESUME if there is a session, else by IDENTIFY if the budget allows.
    pub(super) fn attempt(&mut self, now: Instant) {
        self.timers.stop(Wake::Try);
        self.forget_if_old(now);
        if let Some(Session { resume_url, .. }) = &self.saved.session {
            let is_good = self.tries.resume_url_failures < limits::RESUME_URL_FAILURES_MAX;
            let by_resume_url = resume_url.is_some() && is_good;
            return self.dial(now, Plan::Resume { by_resume_url });
        }
        let spacing = self.spacing(now);
        if !spacing.is_zero() {
            return self.wait_until(now + spacing);
        }
        let age = self.tries.informed_at.map(|at| now.since(at));
        if age.is_some_and(|age| age < limits::GATEWAY_INFO_AGE_MAX) {
            self.attempt_identify(now);
        } else {
            self.stage = Stage::Fetching;
            self.timers.set(Wake::Fetch, now + limits::GATEWAY_INFO_DEADLINE);
            self.put(Output::Fetch);
        }
    }

    fn attempt_identify(&mut self, now: Instant) {
        if let Some((until, why)) = self.hold(now) {
            let wait = until.since(self.wall(now)).max(limits::IDENTIFY_HOLD_MIN);
            self.tell(Tell::Held { until: self.wall(now + wait), why });
            self.set_state(now, State::Reconnecting);
            // By then another answer may say otherwise.
            self.tries.informed_at = None;
            self.wait_until(now + wait);
            self.tries.held = true;
            return;
        }
        self.dial(now, Plan::Identify);
    }

    /// Until when an IDENTIFY must wait for the budget, and why.
    fn hold(&mut self, now: Instant) -> Option<(Wall, Hold)> {
        let wall = self.wall(now);
        let own = &mut self.saved.identifies;
        own.retain(|&at| at + limits::IDENTIFY_PERIOD > wall);
        if let (Some(&oldest), true) = (own.first(), own.len() >= limits::IDENTIFY_OWN_MAX) {
            let spent = u32::try_from(own.len()).unwrap_or(u32::MAX);
            return Some((oldest + limits::IDENTIFY_PERIOD, Hold::Own(spent)));
        }
        let budget = self.saved.budget.filter(|budget| budget.reset_at > wall)?;
        let is_low = budget.remaining <= limits::IDENTIFY_REMAINING_HOLD;
        is_low.then_some((budget.reset_at, Hold::Remaining(budget.remaining)))
    }

    /// How long until the next IDENTIFY keeps its distance from the last one, whichever process
    /// made that.
    fn spacing(&self, now: Instant) -> Duration {
        let wall = self.wall(now);
        let own = self.tries.identified_at.map(|at| now.since(at));
        let any = self.saved.identifies.last().map(|&at| wall.since(at));
        let since = own.into_iter().chain(any).min();
        since.map_or(Duration::ZERO, |since| limits::IDENTIFY_SPACING.saturating_sub(since))
    }

    fn forget_if_old(&mut self, now: Instant) {
        let wall = self.wall(now);
        let Some(session) = &self.saved.session else { return };
        let age = wall.since(session.at);
        if self.config.session_ttl.is_some_and(|ttl| age > ttl) {
            self.forget_session();
            self.tell(Tell::Expired { age });
        }
    }

    pub(super) fn wait_until(&mut self, at: Instant) {
        self.stage = Stage::Waiting;
        self.tries.held = false;
        self.status.next_try = Some(at);
        self.timers.set(Wake::Try, at);
    }

    /// `GET /gateway/bot` was answered, whether or not we wait for it.
    pub(super) fn informed(&mut self, now: Instant, info: GatewayInfo<'_>) {
        let reset_after =
            info.reset_after.clamp(limits::IDENTIFY_HOLD_MIN, limits::IDENTIFY_PERIOD);
        let reset_at = self.wall(now) + reset_after;
        let budget = Budget { remaining: info.remaining, total: info.total, reset_at };
        self.saved.budget = Some(budget);
        self.status.budget = Some(budget);
        self.tries.informed_at = Some(now);
        self.saved.url = self.allowed(info.url);
        if self.stage == Stage::Fetching {
            self.fetched(now);
        }
    }

    pub(super) fn uninformed(&mut self, now: Instant) {
        if self.stage == Stage::Fetching {
            self.fetched(now);
        }
    }

    fn fetched(&mut self, now: Instant) {
        self.timers.stop(Wake::Fetch);
        self.attempt_identify(now);
    }

    /// `text` as a URL, if we may go there; a person is told if not.
    pub(super) fn allowed(&mut self, text: &str) -> Option<Url> {
        let url = url::allowed(text, &self.config.base_url);
        if url.is_none() {
            self.tell(Tell::UrlRefused(truncate(text, limits::GATEWAY_URL_BYTES_MAX).into()));
        }
        url
    }

    fn dial(&mut self, now: Instant, plan: Plan) {
        let session = self.saved.session.as_ref();
        let resume_url = session.and_then(|session| session.resume_url.as_ref());
        let url = match plan {
            Plan::Resume { by_resume_url: true } => resume_url,
            _ => self.saved.url.as_ref(),
        };
        let url = url::with_query(url.unwrap_or(&self.config.base_url), self.config.compress);
        let deadline =
            limits::DIAL_DEADLINE_FIRST.saturating_mul(self.tries.timeouts.saturating_add(1));
        self.stage = Stage::Dialing(plan);
        self.tries.dialed_at = Some(now);
        self.status.next_try = None;
        self.status.counters.dials += 1;
        let resume = plan != Plan::Identify;
        self.tell(Tell::Dialing { resume, failures: self.status.failures });
        self.put(Output::Dial { url, deadline: deadline.min(limits::DIAL_DEADLINE_MAX) });
    }

    /// [`Input::Open`].
    pub(super) fn opened(&mut self, now: Instant) {
        let Stage::Dialing(plan) = self.stage else { return };
        self.stage = Stage::Greeting(plan);
        self.link = Link::new(now);
        self.tries.timeouts = 0;
        self.status.counters.opens += 1;
        self.timers.set(Wake::Answer, now + limits::HELLO_DEADLINE);
    }
}
