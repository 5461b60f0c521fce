//! The runs that clients of the control protocol have asked for: which are under way, what is told
//! of each and with which number, and how the last ones ended.
//!
//! A run has the name that its client gave it, so that asking twice is asking once. Whatever
//! happens to it, it is told one end, and after that nothing.

use std::collections::{BTreeMap, VecDeque};

use super::session::Key;
use super::turn::Fault;
use crate::base::Wall;
use crate::base::limits::{
    RUNS_DONE_BYTES_MAX, RUNS_DONE_MAX, RUNS_LIVE_MAX, TURNS_QUEUED_PER_CHAT_MAX,
};

#[cfg(test)]
mod sim;

/// How a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// The agent said this.
    Answered(Box<str>),
    /// It gave no answer.
    Failed(Fault),
    /// It was not let in, for this reason.
    Refused(Box<str>),
    /// Somebody has ended it.
    Stopped,
}

/// A run that is over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Done {
    /// Its session.
    pub key: Key,
    /// How it ended.
    pub end: End,
    /// When its turn began, if it did.
    pub begun: Option<Wall>,
    /// When it ended.
    pub at: Wall,
}

/// A run under way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Live {
    /// Its session.
    pub key: Key,
    /// When it was asked for: its place in the order.
    order: u64,
    /// When its turn began; until then it waits for those before it.
    pub begun: Option<Wall>,
    /// All that it has said so far.
    pub said: String,
    chat_seq: u64,
    agent_seq: u64,
}

/// What comes of asking for a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Asked {
    /// It is taken on.
    New,
    /// It is under way already.
    InFlight,
    /// It was, and has ended so.
    Done(Box<Done>),
    /// So many are under way, of its session or of all, that it is not taken on.
    Full,
}

/// What is told of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// The run.
    pub run: Box<str>,
    /// Its session.
    pub key: Key,
    /// Counted from 1 for each run and each of the two kinds.
    pub seq: u64,
    /// What happened.
    pub what: What,
}

/// What happens to a run: to those who follow a chat, and to those who follow the agent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// Chat: it says this more, and then has said that in all.
    Delta {
        /// What is new.
        new: Box<str>,
        /// All of it.
        all: Box<str>,
    },
    /// Chat: it is over, and has ended so.
    Over(End),
    /// Agent: its turn begins.
    Began,
    /// Agent: it says this more, and then has said that in all.
    Says {
        /// What is new.
        new: Box<str>,
        /// All of it.
        all: Box<str>,
    },
    /// Agent: its turn is over, and has ended so.
    Ended(End),
}

/// All runs; see the module.
#[derive(Debug, Default)]
pub struct Runs {
    live: BTreeMap<Box<str>, Live>,
    done: VecDeque<(Box<str>, Done)>,
    count: u64,
}

impl Runs {
    /// Somebody asks for the run called `run` in the session `key`. An order to ourselves waits for
    /// nobody, and so it always has room.
    pub fn ask(&mut self, run: &str, key: &Key, is_order: bool) -> Asked {
        if self.live.contains_key(run) {
            return Asked::InFlight;
        }
        if let Some(done) = self.done(run) {
            return Asked::Done(Box::new(done.clone()));
        }
        let of_session = self.live.values().filter(|live| live.key == *key).count();
        // One runs, and so many wait.
        let is_full = self.live.len() >= RUNS_LIVE_MAX || of_session > TURNS_QUEUED_PER_CHAT_MAX;
        if is_full && !is_order {
            return Asked::Full;
        }
        self.count += 1;
        let live = Live {
            key: key.clone(),
            order: self.count,
            begun: None,
            said: String::new(),
            chat_seq: 0,
            agent_seq: 0,
        };
        self.live.insert(run.into(), live);
        Asked::New
    }

    /// Its turn begins.
    pub fn begun(&mut self, run: &str, now: Wall) -> Option<Event> {
        let live = self.live.get_mut(run).filter(|live| live.begun.is_none())?;
        live.begun = Some(now);
        Some(live.tell(run, What::Began))
    }

    /// It says more.
    pub fn said(&mut self, run: &str, new: &str) -> Vec<Event> {
        let Some(live) = self.live.get_mut(run).filter(|_| !new.is_empty()) else {
            return Vec::new();
        };
        live.said.push_str(new);
        let (new, all): (Box<str>, Box<str>) = (new.into(), live.said.as_str().into());
        let says = What::Says { new: new.clone(), all: all.clone() };
        vec![live.tell(run, says), live.tell(run, What::Delta { new, all })]
    }

    /// It is over. What it said at last is told before its end, as far as it was not.
    pub fn ended(&mut self, run: &str, now: Wall, end: End) -> Vec<Event> {
        let mut events = Vec::new();
        if let (End::Answered(text), Some(live)) = (&end, self.live.get(run)) {
            let rest = text.strip_prefix(live.said.as_str()).unwrap_or("").to_owned();
            events = self.said(run, &rest);
        }
        let Some(mut live) = self.live.remove(run) else { return Vec::new() };
        events.push(live.tell(run, What::Ended(end.clone())));
        events.push(live.tell(run, What::Over(end.clone())));
        let Live { key, begun, .. } = live;
        self.done.push_back((run.into(), Done { key, end, begun, at: now }));
        let is_too_much = |runs: &Runs| {
            runs.done.len() > RUNS_DONE_MAX || runs.done_bytes() > RUNS_DONE_BYTES_MAX
        };
        while self.done.len() > 1 && is_too_much(self) {
            self.done.pop_front();
        }
        events
    }

    /// The run called `run`, if it is under way.
    #[must_use]
    pub fn live(&self, run: &str) -> Option<&Live> {
        self.live.get(run)
    }

    /// How the run called `run` ended, as far as is remembered.
    #[must_use]
    pub fn done(&self, run: &str) -> Option<&Done> {
        self.done.iter().rev().find(|(name, _)| **name == *run).map(|(_, done)| done)
    }

    /// The runs under way in the session `key`, in the order in which they were asked for.
    #[must_use]
    pub fn of(&self, key: &Key) -> Vec<Box<str>> {
        let mut of: Vec<_> = self.live.iter().filter(|(_, live)| live.key == *key).collect();
        of.sort_by_key(|(_, live)| live.order);
        of.into_iter().map(|(run, _)| run.clone()).collect()
    }

    fn done_bytes(&self) -> usize {
        let text = |done: &Done| match &done.end {
            End::Answered(text) => text.len(),
            _ => 0,
        };
        self.done.iter().map(|(run, done)| run.len() + text(done)).sum()
    }
}

impl Live {
    fn tell(&mut self, run: &str, what: What) -> Event {
        let seq = match what {
            What::Delta { .. } | What::Over(_) => &mut self.chat_seq,
            What::Began | What::Says { .. } | What::Ended(_) => &mut self.agent_seq,
        };
        *seq += 1;
        Event { run: run.into(), key: self.key.clone(), seq: *seq, what }
    }
}
