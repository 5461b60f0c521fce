//! The machine against a server that refuses, by seed: whatever it says, and however much is asked
//! for, the invalid budget holds, closed chats are left alone, and once the server is well again
//! so are we. Planted bugs show that the checks bite.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use super::*;
use crate::base::limits::{OUTBOX_TTL, REST_CLOSED_FIRST};

/// What is put between machine and server to break a promise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bug {
    /// A 429 is not seen to be invalid.
    BlindTo429,
    /// Nor is a 403, which is tried again.
    Insists,
    /// A page of Cloudflare's is taken for a word of Discord's.
    BlindToPages,
    /// What is asked for is asked for in a chat of its own, so that no chat stays closed.
    MixesChats,
}

const BUGS: [Bug; 4] = [Bug::BlindTo429, Bug::Insists, Bug::BlindToPages, Bug::MixesChats];

const CHATS: u64 = 300;
/// From here on the server is well; that late the budget is whole again.
const TROUBLE: Duration = Duration::from_secs(1800);
const END: Duration = Duration::from_secs(3600);
/// How long Cloudflare refuses us each time.
const BAN: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Reply {
    Well,
    Limited { shared: bool },
    Forbidden,
    Gone,
    Page(u16),
    Broken,
}

/// How often of a hundred the server says what, while it is not well.
struct Mood {
    limited: u64,
    forbidden: u64,
    page: u64,
    broken: u64,
}

struct Run {
    bug: Option<Bug>,
    rng: Rng,
    mood: Mood,
    now: Instant,
    rest: Rest,
    /// What comes back when: the job, and what the server says.
    replies: BinaryHeap<Reverse<(Instant, u64, Reply)>>,
    chats: BTreeMap<u64, u64>,
    /// Answers of the last ten minutes that count against our address.
    invalid: VecDeque<Instant>,
    closed: BTreeMap<u64, Instant>,
    banned_until: Instant,
    /// When something last succeeded.
    done_at: Instant,
}

fn run(seed: u64, bug: Option<Bug>) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let mood = Mood {
        limited: rng.below(60),
        forbidden: rng.below(40),
        page: rng.below(2),
        broken: rng.below(20),
    };
    let mut run = Run {
        bug,
        mood,
        now: Instant(0),
        rest: Rest::new(seed),
        replies: BinaryHeap::new(),
        chats: BTreeMap::new(),
        invalid: VecDeque::new(),
        closed: BTreeMap::new(),
        banned_until: Instant(0),
        done_at: Instant(0),
        rng,
    };
    let (mut job, mut ask_at) = (0, Instant(0));
    while run.now < Instant(0) + END {
        let reply_at = run.replies.peek().map(|Reverse((at, ..))| *at);
        let next = [reply_at, run.rest.deadline()].into_iter().flatten().fold(ask_at, Ord::min);
        run.now = next.max(run.now);
        if reply_at.is_some_and(|at| at <= run.now) {
            run.come()?;
        } else if ask_at <= run.now {
            job += 1;
            run.ask(job);
            ask_at = run.now + Duration::from_millis(100 + run.rng.below(900));
        } else {
            run.rest.expire(run.now);
        }
        run.drain()?;
    }
    if run.done_at.until(run.now) > Duration::from_secs(60) {
        return Err("the server is well, and nothing is sent".into());
    }
    Ok(())
}

impl Run {
    fn ask(&mut self, job: u64) {
        let chat = self.rng.below(CHATS);
        self.chats.insert(job, chat);
        let channel = if self.bug == Some(Bug::MixesChats) { 1000 + job } else { chat };
        let (route, deadline) = (Route::CreateMessage { channel }, self.now + OUTBOX_TTL);
        self.rest.handle(self.now, Input::Ask { job, route, exempt: false, deadline });
    }

    fn drain(&mut self) -> Result<(), String> {
        while let Some(output) = self.rest.poll() {
            match output {
                Output::Go { job } => self.go(job)?,
                Output::Done { .. } => self.done_at = self.now,
                _ => {}
            }
        }
        Ok(())
    }

    fn go(&mut self, job: u64) -> Result<(), String> {
        let chat = self.chats.get(&job).copied().unwrap_or(0);
        if self.now < self.banned_until {
            return Err("a call went out although our address was refused".into());
        }
        if self.closed.get(&chat).is_some_and(|&until| self.now < until) {
            return Err(format!("chat {chat} is closed, and was asked again"));
        }
        let at = self.now + Duration::from_millis(5 + self.rng.below(1500));
        let reply = self.judge(chat);
        self.replies.push(Reverse((at, job, reply)));
        Ok(())
    }

    fn judge(&mut self, chat: u64) -> Reply {
        let Mood { limited, forbidden, page, broken } = self.mood;
        if self.now > Instant(0) + TROUBLE {
            return Reply::Well;
        }
        let die = self.rng.below(100);
        if die < limited {
            Reply::Limited { shared: self.rng.one_in(4) }
        } else if chat % 100 < forbidden {
            if chat.is_multiple_of(5) { Reply::Gone } else { Reply::Forbidden }
        } else if self.rng.below(1000) < page {
            Reply::Page(if self.rng.one_in(2) { 403 } else { 429 })
        } else if die > 100 - broken {
            Reply::Broken
        } else {
            Reply::Well
        }
    }

    fn come(&mut self) -> Result<(), String> {
        let Some(Reverse((_, job, reply))) = self.replies.pop() else { return Ok(()) };
        let chat = self.chats.get(&job).copied().unwrap_or(0);
        let mut head = RateHead::default();
        let (mut status, mut html) = (200, false);
        match reply {
            Reply::Well => {}
            Reply::Broken => status = 503,
            Reply::Gone => status = 404,
            Reply::Forbidden => status = 403,
            // Without a word about how long to wait, as careless servers do.
            Reply::Limited { shared } => {
                status = 429;
                head.scope = if shared { Scope::Shared } else { Scope::User };
            }
            Reply::Page(by) => {
                (status, html) = (by, true);
                head.retry_after = Some(BAN);
                self.banned_until = self.banned_until.max(self.now + BAN);
            }
        }
        if matches!(reply, Reply::Gone | Reply::Forbidden) {
            self.closed.insert(chat, self.now + REST_CLOSED_FIRST);
        }
        if matches!(reply, Reply::Forbidden | Reply::Page(_) | Reply::Limited { shared: false }) {
            self.invalid.push_back(self.now);
        }
        while self.invalid.front().is_some_and(|&at| at + REST_INVALID_PERIOD <= self.now) {
            self.invalid.pop_front();
        }
        if self.invalid.len() > REST_INVALID_MAX {
            return Err("the invalid budget is overdrawn".into());
        }
        match self.bug {
            Some(Bug::BlindTo429) if status == 429 && !html => status = 503,
            Some(Bug::Insists) if status == 403 && !html => status = 503,
            Some(Bug::BlindToPages) => html = false,
            _ => {}
        }
        self.rest.handle(self.now, Input::Answer { job, status, head, code: 0, html });
        Ok(())
    }
}

#[test]
fn whatever_is_refused_the_invalid_budget_holds_and_closed_chats_are_left_alone() {
    for seed in 0..16 {
        if let Err(what) = run(seed, None) {
            panic!("seed {seed}: {what}");
        }
    }
}

#[test]
fn planted_bugs_are_caught() {
    for bug in BUGS {
        let caught = (0..40).find_map(|seed| run(seed, Some(bug)).err());
        assert!(caught.is_some(), "{bug:?} went unnoticed");
    }
}
