//! Discord's REST API: which call may be made when, and what an answer means for the next.
//!
//! Limits are learned, never assumed ("Rate Limits"): a bucket is named by the hash in a header
//! together with the top-level resource of the route, holds so many calls, and is full again when
//! its window ends. One call per bucket is under way at a time, so that the count which an answer
//! brings is exact and calls of one chat keep their order; 5 per 5 s, Discord's usual bucket, need
//! no more. Where an answer got lost the window is taken to have begun as late as it can have.
//!
//! A call is made again after a lost answer or a 5xx, up to its deadline. That is safe since a
//! message carries a nonce which Discord enforces; only a copy that comes later than the few
//! minutes for which it remembers the nonce would be shown twice, and that is the lesser evil.

mod body;
mod bucket;
mod closed;
pub mod failure;
#[cfg(test)]
mod flood;
mod head;
mod route;
#[cfg(test)]
mod sim;

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

pub use body::{
    Complaint, Form, TooLarge, defer_body, direct_body, edit_body, flags_body, message_body,
    thread_body,
};
pub use failure::Failure;
pub use head::{RateHead, Scope};
pub use route::{Page, Route};

use self::bucket::Buckets;
use self::closed::Closed;
use crate::base::backoff::{Backoff, Policy};
use crate::base::limit::SlidingWindow;
use crate::base::limits::{
    REST_BAN_WAIT, REST_GLOBAL_PER_SECOND, REST_INVALID_MAX, REST_INVALID_PERIOD, REST_JOBS_MAX,
    REST_LANES, REST_LANES_INTERACTION, REST_RETRY_FIRST, REST_RETRY_MAX, REST_TRIES_MAX,
};
use crate::base::{Instant, Machine, Rng};

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Input {
    /// A call is wanted.
    Ask {
        /// The caller's name for it; unique among calls that are not over.
        job: u64,
        /// What is called.
        route: Route,
        /// Whether it goes out although the token was refused: the pre-flight, which finds out.
        exempt: bool,
        /// From when on it is not worth making.
        deadline: Instant,
    },
    /// The server answered.
    Answer {
        /// Which call.
        job: u64,
        /// HTTP status.
        status: u16,
        /// What the headers said about limits.
        head: RateHead,
        /// Discord's own word for an error ("JSON Error Codes"); 0 if there was none.
        code: u32,
        /// Whether the body was HTML: then Cloudflare spoke, not Discord.
        html: bool,
    },
    /// No answer came: no connection, or it broke, or the call's own deadline went by.
    Lost {
        /// Which call.
        job: u64,
        /// Whether the server may have acted on it all the same.
        maybe_processed: bool,
    },
    /// The caller wants it no more, and will report nothing about it.
    Cancel {
        /// Which call.
        job: u64,
    },
    /// The token or the configuration has changed.
    Unblock,
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// Make the HTTP call now, and report one `Answer` or `Lost` about it.
    Go {
        /// Which call.
        job: u64,
    },
    /// It succeeded (2xx), or what was wanted is the case already: then the answer's body is the
    /// server's word for that.
    Done {
        /// Which call.
        job: u64,
    },
    /// It will not be made again.
    Failed {
        /// Which call.
        job: u64,
        /// What that means for its caller.
        why: Failure,
    },
    /// A line of the story.
    Tell(Tell),
}

/// What a person may want to read about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tell {
    /// A 429 asked us to wait.
    Limited {
        /// What was called.
        route: Route,
        /// Whose limit it was.
        scope: Scope,
        /// How long.
        wait: Duration,
    },
    /// Cloudflare refused our address.
    Banned {
        /// How long we keep quiet.
        wait: Duration,
    },
    /// So many calls were invalid that we keep quiet, before Discord bans our address.
    TooManyInvalid {
        /// How long.
        wait: Duration,
    },
    /// The token was refused; calls wait for another.
    Unauthorized,
    /// Calls go out again.
    Unblocked,
    /// Nothing can be said in a chat, and it is left alone for a while.
    Closed {
        /// The channel, thread or DM.
        channel: u64,
        /// What the server said.
        why: Failure,
        /// For how long.
        wait: Duration,
    },
    /// A call failed and will be made again.
    Retry {
        /// What was called.
        route: Route,
        /// HTTP status; `None` if no answer came.
        status: Option<u16>,
        /// In how long.
        wait: Duration,
    },
}

/// How often what happened since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// HTTP calls made.
    pub calls: u64,
    /// Jobs that succeeded.
    pub done: u64,
    /// Jobs that failed for good.
    pub failed: u64,
    /// Calls that got no answer or a 5xx and were put off.
    pub retried: u64,
    /// 429s of whatever kind.
    pub limited: u64,
    /// Calls that count against our address (401, 403, 429 but shared).
    pub invalid: u64,
}

/// The calls of one token.
#[derive(Debug)]
pub struct Rest {
    rng: Rng,
    /// In the order in which they were asked for.
    jobs: Vec<Job>,
    buckets: Buckets,
    second: Box<SlidingWindow<{ REST_GLOBAL_PER_SECOND as usize }>>,
    invalid: Box<SlidingWindow<REST_INVALID_MAX>>,
    closed: Closed,
    /// No call goes out before this, for Cloudflare refused our address …
    quiet_until: Instant,
    /// … nor before this, except to interactions: a global 429.
    global_until: Instant,
    /// Whether the token was refused.
    is_refused: bool,
    outputs: VecDeque<Output>,
    deadline: Option<Instant>,
    counts: Counts,
}

#[derive(Debug)]
struct Job {
    id: u64,
    route: Route,
    is_exempt: bool,
    deadline: Instant,
    is_under_way: bool,
    /// If it is not: when it may be at the earliest.
    not_before: Instant,
    backoff: Backoff,
}

/// What the server said.
struct Answer {
    status: u16,
    head: RateHead,
    code: u32,
    is_html: bool,
}

/// The connections that calls take.
#[derive(Clone, Copy, Default)]
struct Lanes {
    all: usize,
    but_interactions: usize,
}

impl Lanes {
    fn take(&mut self, route: Route) {
        self.all += 1;
        self.but_interactions += usize::from(!route.is_interaction());
    }

    /// A courtesy leaves half of the connections to what matters, and everything leaves one to
    /// those whom we owe an answer within 3 s.
    fn have_room(self, route: Route) -> bool {
        if route.is_interaction() {
            return self.all < REST_LANES + REST_LANES_INTERACTION;
        }
        self.but_interactions < if route.is_courtesy() { REST_LANES / 2 } else { REST_LANES }
    }
}

const RETRY: Policy = Policy {
    first: REST_RETRY_FIRST,
    second: Duration::from_secs(1),
    growth_percent: 200,
    cap: REST_RETRY_MAX,
};

impl Rest {
    /// A machine that has nothing to do and knows no bucket yet; waits follow from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Rest {
        Rest {
            rng: Rng::new(seed),
            jobs: Vec::new(),
            buckets: Buckets::default(),
            second: Box::new(SlidingWindow::new(Duration::from_secs(1))),
            invalid: Box::new(SlidingWindow::new(REST_INVALID_PERIOD)),
            closed: Closed::default(),
            quiet_until: Instant(0),
            global_until: Instant(0),
            is_refused: false,
            outputs: VecDeque::new(),
            deadline: None,
            counts: Counts::default(),
        }
    }

    /// How often what happened.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many calls wait or are under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether none does or is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    fn ask(&mut self, now: Instant, id: u64, route: Route, is_exempt: bool, deadline: Instant) {
        if self.jobs.len() >= REST_JOBS_MAX {
            return self.tell_failed(id, Failure::Full);
        }
        if let Some(why) = route.channel().and_then(|channel| self.closed.why(now, channel)) {
            return self.tell_failed(id, why);
        }
        self.jobs.push(Job {
            id,
            route,
            is_exempt,
            deadline,
            is_under_way: false,
            not_before: now,
            backoff: Backoff::new(RETRY),
        });
    }

    fn answer(&mut self, now: Instant, id: u64, answer: &Answer) {
        let Some(at) = self.land(id) else { return };
        let Answer { status, ref head, code, is_html } = *answer;
        let route = self.jobs[at].route;
        if status != 429 {
            self.buckets.learn(now, route, head);
        }
        if matches!(status, 401 | 403) || (status == 429 && head.scope != Scope::Shared) {
            self.count_invalid(now);
        }
        match status {
            200..=299 => self.done(at),
            // A page of Cloudflare's, not a word of Discord's: it is our address that is unwanted.
            403 | 429 if is_html => self.banned(now, head),
            // An interaction is answered with its own token; that it is stale says nothing of ours.
            401 if !route.is_interaction() => self.refused(at),
            429 => self.limited(now, at, head),
            408 | 500..=599 => self.retry(now, at, Some(status)),
            _ if route.is_done_already(code) => self.done(at),
            _ => self.failed(now, at, Failure::of(route, status, code)),
        }
    }

    fn done(&mut self, at: usize) {
        let job = self.jobs.remove(at);
        if job.is_exempt {
            // Proof that the token is good, whatever was answered before.
            self.unblock();
        }
        // That we may look at a chat, or type there, is no proof that we may speak.
        if let Route::CreateMessage { channel } = job.route {
            self.closed.open(channel);
        }
        self.counts.done += 1;
        self.outputs.push_back(Output::Done { job: job.id });
    }

    /// The call was refused. If its chat is closed to us, so are those that wait to go there.
    fn failed(&mut self, now: Instant, at: usize, why: Failure) {
        let route = self.jobs[at].route;
        self.fail(at, why);
        let Some(channel) = route.channel().filter(|_| why.is_of_chat()) else { return };
        let wait = self.closed.close(now, channel, why);
        self.outputs.push_back(Output::Tell(Tell::Closed { channel, why, wait }));
        let waits = |job: &Job| !job.is_under_way && job.route.channel() == Some(channel);
        while let Some(at) = self.jobs.iter().position(waits) {
            self.fail(at, why);
        }
    }

    fn lost(&mut self, now: Instant, id: u64, maybe_processed: bool) {
        let Some(at) = self.land(id) else { return };
        if maybe_processed {
            self.buckets.doubt(now, self.jobs[at].route);
        }
        self.retry(now, at, None);
    }

    fn cancel(&mut self, now: Instant, id: u64) {
        let Some(at) = self.jobs.iter().position(|job| job.id == id) else { return };
        let job = self.jobs.remove(at);
        if job.is_under_way {
            self.buckets.doubt(now, job.route);
        }
    }

    /// The call `id` is no longer under way; where it stands in the queue. `None` if it was not,
    /// such as a call that was cancelled.
    fn land(&mut self, id: u64) -> Option<usize> {
        let at = self.jobs.iter().position(|job| job.id == id && job.is_under_way)?;
        self.jobs[at].is_under_way = false;
        Some(at)
    }

    fn refused(&mut self, at: usize) {
        if !self.is_refused {
            self.is_refused = true;
            self.outputs.push_back(Output::Tell(Tell::Unauthorized));
        }
        if self.jobs[at].is_exempt {
            self.fail(at, Failure::Unauthorized);
        }
    }

    fn unblock(&mut self) {
        if self.is_refused {
            self.is_refused = false;
            self.outputs.push_back(Output::Tell(Tell::Unblocked));
        }
    }

    fn banned(&mut self, now: Instant, head: &RateHead) {
        self.counts.limited += 1;
        let wait = head.retry_after.filter(|wait| !wait.is_zero()).unwrap_or(REST_BAN_WAIT);
        self.quiet_until = self.quiet_until.max(now + wait);
        self.outputs.push_back(Output::Tell(Tell::Banned { wait }));
    }

    /// The call was not made, so it keeps its place, and its tries are not counted. Our own wait
    /// is a floor for the server's, lest a server that says 0 be asked without pause.
    fn limited(&mut self, now: Instant, at: usize, head: &RateHead) {
        self.counts.limited += 1;
        let own = self.jobs[at].backoff.next(&mut self.rng);
        let wait = head.retry_after.or(head.reset_after).unwrap_or(own);
        let Job { route, ref mut not_before, .. } = self.jobs[at];
        *not_before = now + wait.max(own);
        if head.global {
            self.global_until = self.global_until.max(now + wait);
        } else {
            self.buckets.block(now, route, head, wait);
        }
        let scope = if head.global { Scope::Global } else { head.scope };
        self.outputs.push_back(Output::Tell(Tell::Limited { route, scope, wait }));
    }

    fn retry(&mut self, now: Instant, at: usize, status: Option<u16>) {
        let Job { route, deadline, ref mut backoff, ref mut not_before, .. } = self.jobs[at];
        if !route.is_repeatable() {
            return self.fail(at, Failure::Lost);
        }
        let wait = backoff.next(&mut self.rng);
        if backoff.tries() >= REST_TRIES_MAX || now + wait >= deadline {
            return self.fail(at, Failure::Expired);
        }
        *not_before = now + wait;
        self.counts.retried += 1;
        self.outputs.push_back(Output::Tell(Tell::Retry { route, status, wait }));
    }

    fn fail(&mut self, at: usize, why: Failure) {
        let job = self.jobs.remove(at);
        self.tell_failed(job.id, why);
    }

    fn tell_failed(&mut self, job: u64, why: Failure) {
        self.counts.failed += 1;
        self.outputs.push_back(Output::Failed { job, why });
    }

    fn count_invalid(&mut self, now: Instant) {
        self.counts.invalid += 1;
        // Full already: calls that were under way when it filled up.
        let Ok(()) = self.invalid.take(now, 0) else { return };
        if let Some(until) = self.invalid.full_until(now, 0) {
            self.outputs.push_back(Output::Tell(Tell::TooManyInvalid { wait: now.until(until) }));
        }
    }

    /// Gives up what is stale, lets go what may, and finds out when to look again.
    fn advance(&mut self, now: Instant) {
        self.give_up_stale(now);
        self.deadline = None;
        self.buckets.begin_round();
        let mut busy = Lanes::default();
        for job in self.jobs.iter().filter(|job| job.is_under_way) {
            busy.take(job.route);
            self.buckets.claim(now, job.route);
        }
        let mut too_many: heapless::Vec<u64, REST_JOBS_MAX> = heapless::Vec::new();
        for at in 0..self.jobs.len() {
            let Job { id, route, deadline, is_under_way, .. } = self.jobs[at];
            if is_under_way {
                continue;
            }
            if route.is_spare() && !self.has_spare(now, at, busy) {
                // Nobody may have to wait behind it.
                let _ = too_many.push(id);
                continue;
            }
            let mut look_at = deadline;
            if busy.have_room(route)
                && (self.jobs[at].is_exempt || route.is_interaction() || !self.is_refused)
                && self.buckets.claim(now, route)
            {
                let go_at = self.go_at(now, at, busy.all);
                let is_free = route.is_interaction();
                if go_at <= now && (is_free || self.second.take(now, 0).is_ok()) {
                    self.buckets.draw(now, route);
                    self.jobs[at].is_under_way = true;
                    busy.take(route);
                    self.counts.calls += 1;
                    self.outputs.push_back(Output::Go { job: id });
                    continue;
                }
                look_at = look_at.min(go_at);
            }
            self.deadline = Some(self.deadline.map_or(look_at, |other| other.min(look_at)));
        }
        for id in too_many {
            self.jobs.retain(|job| job.id != id);
            self.tell_failed(id, Failure::Full);
        }
    }

    /// Whether a spare job can be done now, with room left for others.
    fn has_spare(&mut self, now: Instant, at: usize, busy: Lanes) -> bool {
        let route = self.jobs[at].route;
        busy.have_room(route)
            && !self.is_refused
            && self.buckets.has_spare(now, route)
            && self.buckets.is_unclaimed(now, route)
            && self.go_at(now, at, busy.all) <= now
    }

    /// From when on a job may go, while `busy` calls are under way. Each of those may turn out to
    /// be invalid, so that there must be room for all of them.
    fn go_at(&mut self, now: Instant, at: usize, busy: usize) -> Instant {
        let Job { route, not_before, .. } = self.jobs[at];
        let sound_at = self.invalid.full_until(now, busy).unwrap_or(now);
        let go_at = self.buckets.free_at(now, route).max(not_before).max(self.quiet_until);
        let go_at = go_at.max(sound_at);
        if route.is_interaction() {
            return go_at;
        }
        let room_at = self.second.full_until(now, 0).unwrap_or(now);
        go_at.max(room_at).max(self.global_until)
    }

    fn give_up_stale(&mut self, now: Instant) {
        let is_stale = |job: &Job| !job.is_under_way && job.deadline <= now;
        while let Some(at) = self.jobs.iter().position(is_stale) {
            let why = if self.is_refused && !self.jobs[at].is_exempt {
                Failure::Unauthorized
            } else if self.invalid.full_until(now, 0).is_some() {
                Failure::TooManyInvalid
            } else {
                Failure::Expired
            };
            self.fail(at, why);
        }
    }
}

impl Machine for Rest {
    type Input<'a> = Input;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Ask { job, route, exempt, deadline } => {
                self.ask(now, job, route, exempt, deadline);
            }
            Input::Answer { job, status, head, code, html } => {
                self.answer(now, job, &Answer { status, head, code, is_html: html });
            }
            Input::Lost { job, maybe_processed } => self.lost(now, job, maybe_processed),
            Input::Cancel { job } => self.cancel(now, job),
            Input::Unblock => self.unblock(),
        }
        self.advance(now);
    }

    fn expire(&mut self, now: Instant) {
        self.advance(now);
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Scope::User => "user",
            Scope::Global => "global",
            Scope::Shared => "shared",
        })
    }
}

/// The sentence for people.
impl fmt::Display for Tell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Tell::Limited { route, scope, wait } => {
                write!(f, "rate limited ({scope}) on {route}: waiting {} ms", wait.as_millis())
            }
            Tell::Banned { wait } => write!(
                f,
                "Cloudflare refuses our address (HTML instead of an answer): quiet for {} s",
                wait.as_secs()
            ),
            Tell::TooManyInvalid { wait } => write!(
                f,
                "too many invalid requests: quiet for {} s, before Discord bans our address",
                wait.as_secs()
            ),
            Tell::Unauthorized => f.write_str("the token was refused (401): REST calls wait"),
            Tell::Unblocked => f.write_str("REST calls go out again"),
            Tell::Closed { channel, why, wait } => {
                write!(f, "channel {channel}: {why}: not tried again for {} s", wait.as_secs())
            }
            Tell::Retry { route, status: Some(status), wait } => {
                write!(f, "{route} answered {status}: again in {} ms", wait.as_millis())
            }
            Tell::Retry { route, status: None, wait } => {
                write!(f, "{route} got no answer: again in {} ms", wait.as_millis())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant(5_000_000_000);
    const LIFE: Duration = Duration::from_secs(600);

    /// A machine under test, and everything it said since last asked.
    struct Rig {
        rest: Rest,
        now: Instant,
    }

    impl Rig {
        fn new() -> Rig {
            Rig { rest: Rest::new(1), now: NOW }
        }

        fn feed(&mut self, input: Input) -> Vec<Output> {
            self.rest.handle(self.now, input);
            self.said()
        }

        fn said(&mut self) -> Vec<Output> {
            assert!(self.rest.deadline().is_none_or(|deadline| deadline > self.now));
            std::iter::from_fn(|| self.rest.poll()).collect()
        }

        fn ask(&mut self, job: u64, route: Route) -> Vec<Output> {
            self.feed(Input::Ask { job, route, exempt: false, deadline: self.now + LIFE })
        }

        fn message(&mut self, job: u64, channel: u64) -> Vec<Output> {
            self.ask(job, Route::CreateMessage { channel })
        }

        fn pre_flight(&mut self, job: u64) -> Vec<Output> {
            let deadline = self.now + LIFE;
            self.feed(Input::Ask { job, route: Route::ApplicationMe, exempt: true, deadline })
        }

        fn answer(&mut self, job: u64, status: u16, head: RateHead) -> Vec<Output> {
            self.feed(Input::Answer { job, status, head, code: 0, html: false })
        }

        fn plain(&mut self, job: u64, status: u16) -> Vec<Output> {
            self.answer(job, status, RateHead::default())
        }

        fn refused(&mut self, job: u64, status: u16, code: u32) -> Vec<Output> {
            let head = RateHead::default();
            self.feed(Input::Answer { job, status, head, code, html: false })
        }

        fn wait(&mut self, span: Duration) -> Vec<Output> {
            self.now += span;
            self.rest.expire(self.now);
            self.said()
        }

        /// Goes on to the next deadline.
        fn next(&mut self) -> Vec<Output> {
            self.now = self.rest.deadline().expect("something is due");
            self.wait(Duration::ZERO)
        }
    }

    fn head(scope: Scope, retry_after: Duration) -> RateHead {
        let global = scope == Scope::Global;
        RateHead { retry_after: Some(retry_after), scope, global, ..RateHead::default() }
    }

    fn go(job: u64) -> Output {
        Output::Go { job }
    }

    fn failed(job: u64, why: Failure) -> Output {
        Output::Failed { job, why }
    }

    #[test]
    fn a_final_answer_says_what_to_do() {
        for (status, why) in [
            (404, Failure::Gone(0)),
            (403, Failure::Forbidden(0)),
            (400, Failure::Bad { status: 400, code: 0 }),
            (302, Failure::Bad { status: 302, code: 0 }),
        ] {
            let mut rig = Rig::new();
            assert_eq!(rig.message(1, 7), [go(1)]);
            assert_eq!(rig.plain(1, status).first(), Some(&failed(1, why)));
            assert!(rig.rest.is_empty());
            assert_eq!(rig.plain(1, 200), [], "late words about a call that is over");
        }
    }

    #[test]
    fn after_a_401_only_the_pre_flight_goes_out_until_the_token_has_changed() {
        let mut rig = Rig::new();
        assert_eq!(rig.message(1, 7), [go(1)]);
        assert_eq!(rig.plain(1, 401), [Output::Tell(Tell::Unauthorized)]);
        assert_eq!(rig.message(2, 8), []);
        assert_eq!(rig.pre_flight(3), [go(3)]);
        assert_eq!(rig.plain(3, 401), [failed(3, Failure::Unauthorized)]);
        assert_eq!(rig.feed(Input::Unblock), [Output::Tell(Tell::Unblocked), go(1), go(2)]);
        assert_eq!(rig.plain(1, 401), [Output::Tell(Tell::Unauthorized)]);
        let expired = [1, 2].map(|job| failed(job, Failure::Unauthorized));
        rig.plain(2, 401);
        assert_eq!(rig.wait(LIFE), expired, "what waited too long says why");
    }

    #[test]
    fn a_pre_flight_that_succeeds_proves_the_token() {
        let mut rig = Rig::new();
        rig.message(1, 7);
        rig.plain(1, 401);
        rig.pre_flight(2);
        let proven = [Output::Tell(Tell::Unblocked), Output::Done { job: 2 }, go(1)];
        assert_eq!(rig.plain(2, 200), proven);
    }

    #[test]
    fn a_429_holds_up_its_own_chat_and_a_global_one_all() {
        let wait = Duration::from_secs(3);
        let mut rig = Rig::new();
        rig.message(1, 7);
        rig.answer(1, 429, head(Scope::User, wait));
        assert_eq!(rig.message(2, 7), [], "behind the one that was limited");
        assert_eq!(rig.message(3, 8), [go(3)]);
        assert_eq!(rig.next(), [go(1)]);
        assert_eq!(rig.now, NOW + wait);
        rig.answer(1, 429, head(Scope::Global, wait));
        rig.plain(3, 200);
        assert_eq!(rig.message(4, 9), []);
        assert_eq!(rig.next(), [go(1), go(4)]);
        assert_eq!(rig.now, NOW + wait * 2);
    }

    #[test]
    fn a_429_outlives_the_call_that_met_it() {
        let wait = Duration::from_secs(3);
        let mut rig = Rig::new();
        rig.message(1, 7);
        rig.answer(1, 429, head(Scope::Shared, wait));
        rig.feed(Input::Cancel { job: 1 });
        assert_eq!(rig.message(2, 7), []);
        assert_eq!((rig.next(), rig.now), (vec![go(2)], NOW + wait));
    }

    #[test]
    fn a_429_that_asks_for_no_wait_is_not_asked_again_at_once() {
        let mut rig = Rig::new();
        rig.message(1, 7);
        for _ in 0..20 {
            rig.answer(1, 429, head(Scope::Shared, Duration::ZERO));
            assert_eq!(rig.next(), [go(1)]);
        }
        assert!(NOW.until(rig.now) > Duration::from_secs(20));
    }

    #[test]
    fn what_waits_for_a_closed_chat_fails_without_a_call_and_others_go_on() {
        let why = Failure::Forbidden(50_013);
        let mut rig = Rig::new();
        rig.message(1, 7);
        assert_eq!((rig.message(2, 7), rig.message(3, 8)), (vec![], vec![go(3)]));
        let wait = crate::base::limits::REST_CLOSED_FIRST;
        let told = Output::Tell(Tell::Closed { channel: 7, why, wait });
        assert_eq!(rig.refused(1, 403, 50_013), [failed(1, why), told, failed(2, why)]);
        assert_eq!(rig.message(4, 7), [failed(4, why)], "for a while");
        assert_eq!(rig.rest.counts().invalid, 1);
        rig.wait(wait);
        assert_eq!(rig.message(5, 7), [go(5)], "then it is tried");
        let again = Output::Tell(Tell::Closed { channel: 7, why, wait: wait * 2 });
        assert_eq!(rig.refused(5, 403, 50_013), [failed(5, why), again]);
        rig.wait(wait * 2);
        rig.ask(50, Route::Typing { channel: 7 });
        rig.plain(50, 204);
        rig.message(51, 7);
        let again = Output::Tell(Tell::Closed { channel: 7, why, wait: wait * 4 });
        assert_eq!(rig.refused(51, 403, 50_013)[1], again, "a sign of typing is no word");
        rig.wait(wait * 4);
        rig.message(6, 7);
        assert_eq!(rig.plain(6, 200), [Output::Done { job: 6 }]);
        assert_eq!(rig.message(7, 7), [go(7)]);
    }

    #[test]
    fn a_refusal_of_one_message_does_not_close_its_chat() {
        let mut rig = Rig::new();
        rig.message(1, 7);
        rig.message(2, 7);
        let why = Failure::Bad { status: 400, code: 50_035 };
        assert_eq!(rig.refused(1, 400, 50_035), [failed(1, why), go(2)]);
        let (channel, message) = (7, 9);
        rig.ask(3, Route::React { channel, message });
        let why = Failure::Bad { status: 403, code: 50_013 };
        assert_eq!(rig.refused(3, 403, 50_013), [failed(3, why)]);
        rig.plain(2, 200);
        assert_eq!(rig.message(4, 7), [go(4)]);
    }

    #[test]
    fn what_is_the_case_already_is_done() {
        let (channel, message) = (7, 9);
        for (route, status, code) in [
            (Route::OpenThread { channel, message }, 400, failure::THREAD_EXISTS),
            (Route::DeleteMessage { channel, message }, 404, failure::UNKNOWN_MESSAGE),
            (Route::AnswerInteraction { interaction: 5 }, 400, failure::ALREADY_ANSWERED),
        ] {
            let mut rig = Rig::new();
            rig.ask(1, route);
            assert_eq!(rig.refused(1, status, code), [Output::Done { job: 1 }]);
        }
    }

    #[test]
    fn an_interaction_waits_for_neither_hanging_calls_nor_the_global_limit_nor_a_token() {
        let mut rig = Rig::new();
        for channel in 1..=REST_LANES as u64 {
            rig.message(channel, channel);
        }
        assert_eq!(rig.message(90, 90), [], "all lanes but one are busy");
        let answer = Route::AnswerInteraction { interaction: 5 };
        assert_eq!(rig.ask(91, answer), [go(91)]);
        assert_eq!(rig.plain(91, 204), [Output::Done { job: 91 }]);
        rig.answer(1, 429, head(Scope::Global, Duration::from_secs(60)));
        let edit = Route::EditAnswer { application: 3, interaction: 5 };
        assert_eq!(rig.ask(92, edit), [go(92)]);
        let why = Failure::Bad { status: 401, code: 0 };
        assert_eq!(rig.plain(92, 401), [failed(92, why)], "it says nothing of our token");
        rig.plain(2, 401);
        assert_eq!(rig.ask(93, edit), [go(93)]);
    }

    #[test]
    fn a_page_of_a_broken_proxy_is_only_tried_again() {
        for status in [500, 502, 503, 520, 530] {
            let mut rig = Rig::new();
            rig.message(1, 7);
            let head = RateHead::default();
            let told = rig.feed(Input::Answer { job: 1, status, head, code: 0, html: true });
            assert!(matches!(told[..], [Output::Tell(Tell::Retry { .. })]), "{told:?}");
            assert_eq!(rig.message(2, 8), [go(2)], "others go on");
        }
    }

    #[test]
    fn cloudflares_page_silences_everything() {
        for status in [403, 429] {
            let mut rig = Rig::new();
            rig.message(1, 7);
            let head = RateHead::default();
            let told = rig.feed(Input::Answer { job: 1, status, head, code: 0, html: true });
            assert_eq!(told, [Output::Tell(Tell::Banned { wait: REST_BAN_WAIT })]);
            assert_eq!(rig.message(2, 8), []);
            assert_eq!(rig.pre_flight(3), []);
            rig.now = NOW + REST_BAN_WAIT;
            assert_eq!(rig.message(4, 9).last(), Some(&go(4)));
        }
    }

    #[test]
    fn the_invalid_budget_is_never_overdrawn_and_shared_limits_do_not_count() {
        let mut rig = Rig::new();
        let mut job = 0;
        for _ in 0..REST_INVALID_MAX {
            job += 1;
            assert_eq!(rig.message(job, job).last(), Some(&go(job)));
            rig.plain(job, 403);
            rig.wait(Duration::from_millis(100));
        }
        assert_eq!(rig.message(9000, 1), [], "the budget is spent");
        assert_eq!(rig.rest.counts().invalid, REST_INVALID_MAX as u64);
        assert_eq!(rig.next(), [go(9000)], "until the oldest is out of the window");
        assert_eq!(rig.now, NOW + REST_INVALID_PERIOD);
        rig.answer(9000, 429, head(Scope::Shared, Duration::from_secs(1)));
        assert_eq!(rig.rest.counts().invalid, REST_INVALID_MAX as u64);
    }

    #[test]
    fn what_expires_while_we_keep_quiet_says_so() {
        let mut rig = Rig::new();
        (0..REST_INVALID_MAX).for_each(|_| rig.rest.count_invalid(NOW));
        assert_eq!(rig.said().len(), 1, "told once");
        let (job, route) = (1, Route::GatewayBot);
        let deadline = NOW + Duration::from_secs(5);
        rig.feed(Input::Ask { job, route, exempt: false, deadline });
        assert_eq!(rig.next(), [failed(1, Failure::TooManyInvalid)]);
    }

    #[test]
    fn a_second_has_no_more_calls_than_discord_allows() {
        let mut rig = Rig::new();
        let (mut calls, mut open) = (vec![], VecDeque::new());
        for job in 0..200 {
            open.extend(rig.message(job, job));
        }
        while let Some(output) = open.pop_front() {
            if let Output::Go { job } = output {
                calls.push(rig.now);
                open.extend(rig.plain(job, 200));
            }
            if open.is_empty() && !rig.rest.is_empty() {
                open.extend(rig.next());
            }
        }
        assert_eq!(calls.len(), 200);
        let rate = REST_GLOBAL_PER_SECOND as usize;
        let second = Duration::from_secs(1);
        assert!(calls.windows(rate + 1).all(|some| some[0].until(some[rate]) >= second));
        assert_eq!(NOW.until(rig.now), second * 3, "and no fewer either");
    }

    #[test]
    fn a_call_without_answer_is_made_again_until_its_deadline_but_typing_is_not() {
        let mut rig = Rig::new();
        rig.ask(1, Route::Typing { channel: 7 });
        let lost = |job| Input::Lost { job, maybe_processed: false };
        assert_eq!(rig.feed(lost(1)), [failed(1, Failure::Lost)]);
        rig.message(2, 7);
        let mut tries = 1;
        let why = loop {
            let said = rig.feed(lost(2));
            if let [Output::Failed { why, .. }] = said[..] {
                break why;
            }
            assert!(matches!(said[..], [Output::Tell(Tell::Retry { status: None, .. })]));
            assert_eq!(rig.next(), [go(2)]);
            tries += 1;
        };
        assert_eq!(why, Failure::Expired);
        assert!(rig.now + REST_RETRY_MAX > NOW + LIFE && rig.now < NOW + LIFE);
        assert!((100..REST_TRIES_MAX).contains(&tries), "{tries}");
    }

    #[test]
    fn signs_of_typing_leave_connections_to_messages() {
        let mut rig = Rig::new();
        for channel in 1..=3 {
            rig.ask(channel, Route::Typing { channel });
        }
        assert_eq!(rig.rest.counts().calls, 2);
        assert_eq!(rig.message(4, 1), [go(4)]);
        assert_eq!(rig.message(5, 2), [go(5)]);
        assert_eq!(rig.message(6, 3), [], "as many as there are connections");
        assert_eq!(rig.plain(4, 200), [Output::Done { job: 4 }, go(6)]);
    }

    #[test]
    fn what_is_cancelled_is_forgotten_and_makes_room() {
        let mut rig = Rig::new();
        rig.message(1, 7);
        rig.message(2, 7);
        rig.message(3, 7);
        assert_eq!(rig.feed(Input::Cancel { job: 2 }), []);
        assert_eq!(rig.feed(Input::Cancel { job: 1 }), [go(3)]);
        assert_eq!(rig.plain(1, 200), []);
        assert_eq!(rig.plain(3, 200), [Output::Done { job: 3 }]);
    }

    #[test]
    fn queue_and_memory_of_buckets_are_bounded() {
        let mut rig = Rig::new();
        for job in 0..REST_JOBS_MAX as u64 {
            rig.message(job, job);
        }
        assert_eq!(rig.message(9000, 9000), [failed(9000, Failure::Full)]);
        for job in 0..REST_JOBS_MAX as u64 {
            rig.feed(Input::Cancel { job });
        }
        for channel in 10_000..12_000 {
            rig.wait(Duration::from_secs(1));
            rig.message(channel, channel);
            rig.plain(channel, 200);
        }
        assert!(rig.rest.is_empty());
        assert_eq!(rig.rest.buckets.len(), crate::base::limits::REST_BUCKETS_MAX);
    }
}
