//! The machine against a model of Discord's limiter, in virtual time, by seed.
//!
//! The model counts fixed windows per bucket and resource and a global second, remembers nonces,
//! and fails in the ways that real servers and networks do. Afterwards the trouble ends, so that
//! everything can be delivered. What must hold is checked as it happens; that the checks bite is
//! shown by planting bugs between machine and model.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use super::*;
use crate::base::limits::OUTBOX_TTL;

/// What is put between machine and model to break a promise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bug {
    /// Headers are not read.
    BlindToHeaders,
    /// A page of Cloudflare's is taken for an answer.
    BlindToBans,
    /// Every try has a nonce of its own.
    FreshNonces,
    /// A 5xx is taken for success.
    TrustsErrors,
    /// All messages are taken to be for different chats.
    MixesChats,
    /// It wants to be woken although nothing is due.
    Restless,
    /// Messages are given up after the first lost answer.
    GivesUp,
}

const BUGS: [Bug; 7] = [
    Bug::BlindToHeaders,
    Bug::BlindToBans,
    Bug::FreshNonces,
    Bug::TrustsErrors,
    Bug::MixesChats,
    Bug::Restless,
    Bug::GivesUp,
];

/// Chats in a run, and messages in each. A sign of typing comes before each message.
const CHATS: u64 = 4;
const MESSAGES: u64 = 12;
/// From here on network and server are well.
const TROUBLE: Duration = Duration::from_secs(60);

/// How long Cloudflare refuses us.
const BAN: Duration = Duration::from_secs(20);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What travels, or is about to be asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Event {
    Asked(u64),
    Arrives(u64),
    Comes(u64, Reply),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Reply {
    Nothing,
    Status(u16),
    /// With what was true of the bucket when the server answered.
    Counted {
        status: u16,
        left: u32,
        reset_after: Duration,
    },
    Shared,
    Page,
}

/// The server: what it counts, and what it was given.
struct Server {
    rng: Rng,
    /// Calls in a window of the bucket, and how long it lasts.
    limit: u32,
    period: Duration,
    /// Per bucket and chat: how many calls, and the end of the window.
    windows: BTreeMap<(u64, u64), (u32, Instant)>,
    second: (u32, Instant),
    /// The messages of each chat, by nonce.
    shown: BTreeMap<u64, Vec<u64>>,
    banned_until: Instant,
}

struct Run {
    bug: Option<Bug>,
    now: Instant,
    rest: Rest,
    server: Server,
    events: BinaryHeap<Reverse<(Instant, u64, Event)>>,
    sent: u64,
    under_way: Vec<u64>,
    over: BTreeMap<u64, Result<(), Failure>>,
    /// Which buckets the client was told of.
    taught: Vec<(u64, u64)>,
    /// Calls that got no answer.
    lost: Vec<u64>,
}

/// Job `n` is for chat `n % CHATS`; odd rounds are messages, even ones signs of typing.
fn route(job: u64) -> Route {
    let channel = job % CHATS;
    match job / CHATS % 2 {
        0 => Route::Typing { channel },
        _ => Route::CreateMessage { channel },
    }
}

/// One run. It says what went wrong, if anything did.
fn run(seed: u64, bug: Option<Bug>) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let server = Server {
        limit: 1 + u32::try_from(rng.below(6)).unwrap_or(0),
        period: ms(1000 + rng.below(5000)),
        windows: BTreeMap::new(),
        second: (0, Instant(0)),
        shown: BTreeMap::new(),
        banned_until: Instant(0),
        rng: Rng::new(rng.bits()),
    };
    let mut run = Run {
        bug,
        now: Instant(0),
        rest: Rest::new(seed),
        server,
        events: BinaryHeap::new(),
        sent: 0,
        under_way: Vec::new(),
        over: BTreeMap::new(),
        taught: Vec::new(),
        lost: Vec::new(),
    };
    let mut at = Instant(0);
    for job in 0..CHATS * MESSAGES * 2 {
        at += ms(if rng.one_in(3) { rng.below(3000) } else { rng.below(30) });
        run.push(at, Event::Asked(job));
    }
    run.play()?;
    run.judge()
}

impl Run {
    fn push(&mut self, at: Instant, event: Event) {
        self.sent += 1;
        self.events.push(Reverse((at, self.sent, event)));
    }

    fn play(&mut self) -> Result<(), String> {
        for _ in 0..100_000 {
            let event_at = self.events.peek().map(|Reverse((at, ..))| *at);
            let wake_at = match self.bug {
                Some(Bug::Restless) if !self.rest.is_empty() => Some(self.now),
                _ => self.rest.deadline(),
            };
            if wake_at.is_some_and(|wake_at| wake_at <= self.now) {
                return Err("it wants to be woken in the past: a busy loop".into());
            }
            match (event_at, wake_at) {
                (None, None) => return Ok(()),
                (Some(event_at), wake_at) if wake_at.is_none_or(|wake_at| event_at < wake_at) => {
                    let Some(Reverse((at, _, event))) = self.events.pop() else { break };
                    self.now = at;
                    self.happen(event)?;
                }
                (_, wake_at) => {
                    self.now = wake_at.unwrap_or(self.now);
                    self.rest.expire(self.now);
                }
            }
            self.drain()?;
        }
        Err("it never came to rest".into())
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Asked(job) => {
                let is_typing = route(job).is_courtesy();
                let route = match (self.bug, route(job)) {
                    (Some(Bug::MixesChats), Route::CreateMessage { .. }) => {
                        Route::CreateMessage { channel: 1000 + job }
                    }
                    (_, route) => route,
                };
                let life = if is_typing { ms(5000) } else { OUTBOX_TTL };
                let deadline = self.now + life;
                self.rest.handle(self.now, Input::Ask { job, route, exempt: false, deadline });
            }
            Event::Arrives(job) => {
                let reply = self.server.take(self.now, job, &self.taught)?;
                let back = ms(5 + self.server.rng.below(95));
                // A lost answer shows only when our own deadline for it goes by.
                let back = if reply == Reply::Nothing { ms(10_000) } else { back };
                self.push(self.now + back, Event::Comes(job, reply));
            }
            Event::Comes(job, reply) => self.come(job, reply),
        }
        Ok(())
    }

    fn come(&mut self, job: u64, reply: Reply) {
        self.under_way.retain(|&other| other != job);
        let mut head = RateHead::default();
        let (status, is_html) = match reply {
            Reply::Nothing => {
                self.lost.push(job);
                self.rest.handle(self.now, Input::Lost { job, maybe_processed: true });
                if self.bug == Some(Bug::GivesUp) {
                    self.rest.handle(self.now, Input::Cancel { job });
                }
                return;
            }
            Reply::Status(status) => (status, false),
            Reply::Counted { status, left, reset_after } => {
                self.taught.push(self.server.key(job));
                head.bucket = Some(self.server.key(job).0);
                head.limit = Some(self.server.limit);
                head.remaining = Some(left);
                head.reset_after = Some(reset_after);
                (status, false)
            }
            Reply::Shared => {
                head.scope = Scope::Shared;
                head.retry_after = Some(ms(1500));
                (429, false)
            }
            Reply::Page => {
                head.retry_after = Some(BAN);
                (429, true)
            }
        };
        if self.bug == Some(Bug::BlindToHeaders) {
            head = RateHead::default();
        }
        let html = is_html && self.bug != Some(Bug::BlindToBans);
        let status =
            if self.bug == Some(Bug::TrustsErrors) && status >= 500 { 200 } else { status };
        self.rest.handle(self.now, Input::Answer { job, status, head, code: 0, html });
    }

    /// Does what the machine says.
    fn drain(&mut self) -> Result<(), String> {
        while let Some(output) = self.rest.poll() {
            match output {
                Output::Go { job } => self.go(job)?,
                Output::Done { job } => self.end(job, Ok(()))?,
                Output::Failed { job, why } => self.end(job, Err(why))?,
                Output::Tell(_) => {}
            }
        }
        Ok(())
    }

    fn go(&mut self, job: u64) -> Result<(), String> {
        if self.over.contains_key(&job) || self.under_way.contains(&job) {
            return Err(format!("job {job} went out although it was over or under way"));
        }
        if self.under_way.iter().any(|&other| route(other) == route(job)) {
            return Err(format!("two calls {} under way at once", route(job)));
        }
        self.under_way.push(job);
        if self.under_way.len() > REST_LANES {
            return Err("more calls under way than connections".into());
        }
        if route(job).is_courtesy() && self.lost.contains(&job) {
            return Err(format!("a sign of typing went out again: job {job}"));
        }
        if self.server.trouble(self.now, 15) {
            // The way there is broken: it never arrives, and we cannot know.
            self.push(self.now + ms(10_000), Event::Comes(job, Reply::Nothing));
        } else {
            let there = ms(5 + self.server.rng.below(95));
            let job = if self.bug == Some(Bug::FreshNonces) { self.renamed(job) } else { job };
            self.push(self.now + there, Event::Arrives(job));
        }
        Ok(())
    }

    /// With this bug the model shows what comes a second time.
    fn renamed(&mut self, job: u64) -> u64 {
        let Some(shown) = self.server.shown.get_mut(&(job % CHATS)) else { return job };
        if let Some(same) = shown.iter_mut().find(|shown| **shown == job) {
            *same = u64::MAX;
        }
        job
    }

    fn end(&mut self, job: u64, how: Result<(), Failure>) -> Result<(), String> {
        match self.over.insert(job, how) {
            Some(_) => Err(format!("job {job} ended twice")),
            None => Ok(()),
        }
    }

    fn judge(&self) -> Result<(), String> {
        for job in 0..CHATS * MESSAGES * 2 {
            match (route(job).is_courtesy(), self.over.get(&job)) {
                (_, None) => return Err(format!("job {job} never ended")),
                (false, Some(Err(why))) => return Err(format!("message {job} failed: {why:?}")),
                _ => {}
            }
        }
        for chat in 0..CHATS {
            let asked = (0..CHATS * MESSAGES * 2)
                .filter(|&job| job % CHATS == chat && !route(job).is_courtesy());
            let shown = self.server.shown.get(&chat).map_or(&[][..], Vec::as_slice);
            if !asked.eq(shown.iter().copied()) {
                return Err(format!("chat {chat} shows {shown:?}"));
            }
        }
        Ok(())
    }
}

impl Server {
    fn trouble(&mut self, now: Instant, one_in: u64) -> bool {
        self.rng.one_in(one_in) && now < Instant(0) + TROUBLE
    }

    /// The bucket of a call: messages and signs of typing have one each.
    fn key(&self, job: u64) -> (u64, u64) {
        let kind = if route(job).is_courtesy() { 0x7111 } else { 0x5e4d };
        (kind + u64::from(self.limit), job % CHATS)
    }

    /// A call arrives.
    fn take(&mut self, now: Instant, job: u64, taught: &[(u64, u64)]) -> Result<Reply, String> {
        if now < self.banned_until {
            // What left within a round trip of the ban could not know of it.
            if now.until(self.banned_until) < BAN.saturating_sub(ms(200)) {
                return Err("a call came although our address was refused".into());
            }
            return Ok(Reply::Page);
        }
        if self.trouble(now, 300) {
            self.banned_until = now + BAN;
            return Ok(Reply::Page);
        }
        if self.trouble(now, 20) {
            return Ok(Reply::Status(if self.rng.one_in(2) { 502 } else { 500 }));
        }
        if self.trouble(now, 30) {
            return Ok(Reply::Shared);
        }
        if self.second.1 <= now {
            self.second = (0, now + ms(1000));
        }
        self.second.0 += 1;
        if self.second.0 > REST_GLOBAL_PER_SECOND {
            return Err("more than the global limit in a second".into());
        }
        let (key, limit, period) = (self.key(job), self.limit, self.period);
        let window = self.windows.entry(key).or_insert((0, now));
        if window.1 <= now {
            *window = (0, now + period);
        }
        let reset_after = now.until(window.1);
        if window.0 >= limit {
            if taught.contains(&key) {
                return Err("more than its bucket holds, although it knew".into());
            }
            return Ok(Reply::Counted { status: 429, left: 0, reset_after });
        }
        window.0 += 1;
        let left = limit - window.0;
        let shown = self.shown.entry(job % CHATS).or_default();
        if !route(job).is_courtesy() && !shown.contains(&job) {
            shown.push(job);
        }
        if self.trouble(now, 15) {
            return Ok(Reply::Nothing);
        }
        if self.trouble(now, 25) {
            return Ok(Reply::Status(500));
        }
        Ok(Reply::Counted { status: 200, left, reset_after })
    }
}

#[test]
fn everything_is_sent_exactly_once_in_order_within_the_limits_whatever_fails() {
    for seed in 0..1000 {
        if let Err(what) = run(seed, None) {
            panic!("seed {seed}: {what}");
        }
    }
}

#[test]
fn planted_bugs_are_caught() {
    for bug in BUGS {
        let caught = (0..100).find_map(|seed| run(seed, Some(bug)).err());
        assert!(caught.is_some(), "{bug:?} went unnoticed");
    }
}
