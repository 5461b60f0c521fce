//! Which job begins when: each due instant is run once, or accounted for with its reason.
//!
//! Of each job is kept up to which instant everything is settled (`done`). What is due after that
//! and not in the future is settled at the next look: the newest of it is run if it is not late,
//! or if the job wants what was missed; the rest is told, counted, and never run. What has begun is
//! kept before it begins, so that a power cut in the middle of a run is known at the next start,
//! and the run is begun again, as a turn of an agent is: [`TURN_ATTEMPTS_MAX`] times in all.
//!
//! The clock may jump. Forwards, what was leapt over is missed. Backwards, nothing that is settled
//! comes again; but if it goes back by more than [`SCHEDULE_BACK_MAX`] it had been wrong before,
//! and what it had leapt over then is due at its time after all.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::When;
use crate::base::limits::{
    SCHEDULE_BACK_MAX, SCHEDULE_COUNT_MAX, SCHEDULE_INSANE_LOOK, SCHEDULE_LATE, SCHEDULE_LOOK,
    SCHEDULE_SPENT_MAX, TURN_ATTEMPTS_MAX,
};
use crate::base::{Instant, Wall};

/// What the clocks show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Time {
    /// The monotonic one.
    pub now: Instant,
    /// The one on the wall.
    pub wall: Wall,
    /// Whether that one is to be believed.
    pub is_sane: bool,
}

/// What becomes of due instants at which nobody was there to run them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missed {
    /// One run for all of them.
    #[default]
    Run,
    /// None.
    Skip,
    /// One run, if the newest is not older than this.
    Window(Duration),
}

/// What becomes of a due instant while the run before it still goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// It is left out.
    #[default]
    Skip,
    /// It is run afterwards; of several only the newest.
    Queue,
}

/// What the roster knows of a job.
#[derive(Clone, Debug)]
pub struct Timing {
    /// When it is due.
    pub when: When,
    /// Whether it is run when it is due.
    pub enabled: bool,
    /// What becomes of what was missed.
    pub missed: Missed,
    /// What becomes of what is due during a run.
    pub overlap: Overlap,
}

/// How far a job is; kept over restarts.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Progress {
    /// All that was due up to here is settled, …
    pub done: Wall,
    /// … and what was due after this and up to there was looked at one by one.
    pub since: Wall,
    /// Such spans of a clock that was put back: what was due in them is not due again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spent: Vec<(Wall, Wall)>,
    /// The run that has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<Run>,
    /// The run that is to begin next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<Run>,
    /// Runs that a person asked for, counted to tell them apart.
    #[serde(default)]
    pub manual: u32,
}

/// One run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Run {
    /// The instant that it is for; none if a person asked for it.
    pub due: Option<Wall>,
    /// Of the runs that a person asked for, which.
    #[serde(default)]
    pub manual: u32,
    /// The how manieth try it is, from 1; 0 before it begins.
    pub attempt: u8,
    /// When it began.
    pub begun: Wall,
}

impl Run {
    /// What tells it from all others of its job: the same for each try.
    #[must_use]
    pub fn id(&self, job: &str) -> String {
        match self.due {
            Some(due) => format!("cron:{job}:{}", due.0),
            None => format!("manual:{job}:{}", self.manual),
        }
    }
}

impl Progress {
    /// Of a job that begins at `wall`.
    #[must_use]
    pub fn from(wall: Wall) -> Progress {
        Progress { done: wall, since: wall, ..Progress::default() }
    }
}

/// Why due instants were not run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lost {
    /// Nobody was there at the time, and the job does not want them afterwards.
    Missed,
    /// Nobody was there at the time; one run stands for them and another one.
    Coalesced,
    /// The run before them still went on.
    Overlapped,
    /// Our process ended in each of the run's tries.
    Interrupted,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Order {
    /// The run of a job begins: when its [`Progress`] is on the disk, and not before.
    Begin {
        /// The job.
        job: Box<str>,
        /// The run.
        run: Run,
    },
    /// Due instants will not be run. That is kept together with the job's [`Progress`], which an
    /// order to keep it follows: a power cut between the two would lose them without a word.
    Lose {
        /// The job.
        job: Box<str>,
        /// Why.
        why: Lost,
        /// How many; [`SCHEDULE_COUNT_MAX`] stands for as many or more.
        count: u32,
        /// The newest of them.
        last: Wall,
    },
    /// A job that was due once is over, without a run.
    Retire {
        /// The job.
        job: Box<str>,
    },
    /// The job's [`Progress`] has changed, and is to be kept.
    Keep {
        /// The job.
        job: Box<str>,
    },
}

/// Why a run that was asked for does not begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// There is no such job.
    Unknown,
    /// It runs, or waits to.
    Running,
    /// It is not due.
    NotDue,
    /// It is switched off.
    Disabled,
}

/// How a run is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Push {
    /// Now, whatever else.
    Force,
    /// Now, if it is enabled.
    IfEnabled,
    /// If it is due.
    Due,
}

#[derive(Debug)]
struct Entry {
    timing: Timing,
    progress: Progress,
    /// The next instant that is not settled.
    next: Option<Wall>,
}

/// See the module.
#[derive(Debug)]
pub struct Roster {
    jobs: BTreeMap<Box<str>, Entry>,
    running_max: usize,
    orders: VecDeque<Order>,
    /// Whether due jobs are run at all.
    is_on: bool,
}

impl Roster {
    /// Nobody yet; at most `running_max` runs at once.
    #[must_use]
    pub fn new(running_max: usize, is_on: bool) -> Roster {
        Roster { jobs: BTreeMap::new(), running_max, orders: VecDeque::new(), is_on }
    }

    /// Other bounds, from here on.
    pub fn set(&mut self, running_max: usize, is_on: bool) {
        (self.running_max, self.is_on) = (running_max, is_on);
    }

    /// A job as an earlier life has left it. A run that was under way then is begun again, or told
    /// to be broken.
    pub fn take_up(&mut self, id: &str, timing: Timing, progress: Progress) {
        let mut entry = Entry { timing, progress, next: None };
        if let Some(run) = entry.progress.running.take() {
            if run.attempt < TURN_ATTEMPTS_MAX && entry.timing.enabled {
                let later = entry.progress.waiting.replace(run);
                // What waited behind it gives way, as it would to a run that goes on.
                if let Some(due) = later.and_then(|run| run.due) {
                    self.lose(id, Lost::Coalesced, 1, due);
                }
            } else {
                let last = run.due.unwrap_or(run.begun);
                self.lose(id, Lost::Interrupted, 1, last);
                if entry.timing.when.is_once() {
                    self.orders.push_back(Order::Retire { job: id.into() });
                }
            }
            self.orders.push_back(Order::Keep { job: id.into() });
        }
        entry.renew();
        self.jobs.insert(id.into(), entry);
    }

    /// A new job, or other words for one: what is due from `wall` on counts. Whoever puts it keeps
    /// its [`Progress`], too.
    pub fn put(&mut self, id: &str, timing: Timing, wall: Wall) {
        let before = self.jobs.remove(id).map(|entry| entry.progress);
        let kept = before.unwrap_or_default();
        // What was settled after `wall`, by a clock that was put back, is not due again.
        let span = (kept.since, kept.done);
        let mut progress = Progress { done: wall, since: wall, ..kept };
        if span.1 > wall && span.0 < span.1 {
            progress.spend(span);
        }
        if !timing.enabled
            && let Some(due) = progress.waiting.take().and_then(|run| run.due)
        {
            self.lose(id, Lost::Missed, 1, due);
            self.orders.push_back(Order::Keep { job: id.into() });
        }
        let mut entry = Entry { timing, progress, next: None };
        entry.renew();
        self.jobs.insert(id.into(), entry);
    }

    /// The same times, with another policy.
    pub fn adjust(&mut self, id: &str, missed: Missed, overlap: Overlap) {
        if let Some(entry) = self.jobs.get_mut(id) {
            (entry.timing.missed, entry.timing.overlap) = (missed, overlap);
        }
    }

    /// Whether it is run when it is due; what was due while it was not is nobody's concern.
    pub fn enable(&mut self, id: &str, enabled: bool, wall: Wall) {
        let Some(entry) = self.jobs.get(id) else { return };
        if entry.timing.enabled != enabled {
            let timing = Timing { enabled, ..entry.timing.clone() };
            self.put(id, timing, wall);
        }
    }

    /// The job is gone; a run of it that has begun is still told when it is over.
    pub fn remove(&mut self, id: &str) {
        self.jobs.remove(id);
    }

    /// A person wants it run.
    ///
    /// # Errors
    /// It does not begin.
    pub fn push(&mut self, id: &str, push: Push, time: Time) -> Result<Run, Refused> {
        let entry = self.jobs.get_mut(id).ok_or(Refused::Unknown)?;
        let progress = &mut entry.progress;
        if progress.running.is_some() || progress.waiting.is_some() {
            return Err(Refused::Running);
        }
        match push {
            Push::IfEnabled if !entry.timing.enabled => return Err(Refused::Disabled),
            // What is due is begun by each look, so nothing is left of it.
            Push::Due => return Err(Refused::NotDue),
            Push::Force | Push::IfEnabled => {}
        }
        progress.manual = progress.manual.wrapping_add(1);
        let run = Run { due: None, manual: progress.manual, attempt: 0, begun: time.wall };
        progress.waiting = Some(run);
        self.admit(time.wall);
        Ok(run)
    }

    /// A run is over.
    pub fn finished(&mut self, id: &str, time: Time) {
        if let Some(entry) = self.jobs.get_mut(id) {
            entry.progress.running = None;
            self.orders.push_back(Order::Keep { job: id.into() });
        }
        self.admit(time.wall);
    }

    /// Settles what is due.
    pub fn expire(&mut self, time: Time) {
        if !time.is_sane || !self.is_on {
            return;
        }
        let ids: Vec<Box<str>> = self.jobs.keys().cloned().collect();
        for id in ids {
            self.look(&id, time.wall);
        }
        self.admit(time.wall);
    }

    fn look(&mut self, id: &str, wall: Wall) {
        if self.settle(id, wall) {
            // Behind what is lost, so that both are kept together or not at all.
            self.orders.push_back(Order::Keep { job: id.into() });
        }
    }

    /// Whether something was due.
    fn settle(&mut self, id: &str, wall: Wall) -> bool {
        let Some(entry) = self.jobs.get_mut(id).filter(|entry| entry.timing.enabled) else {
            return false;
        };
        entry.mind_the_clock(wall);
        if entry.next.is_none_or(|next| next > wall) {
            return false;
        }
        let (count, last) = entry.settle(wall);
        let Some(last) = last else { return true };
        let (missed, overlap) = (entry.timing.missed, entry.timing.overlap);
        let late = wall.since(last);
        let is_wanted = late <= SCHEDULE_LATE
            || match missed {
                Missed::Run => true,
                Missed::Skip => false,
                Missed::Window(window) => late <= window,
            };
        let is_busy = entry.progress.running.is_some() || entry.progress.waiting.is_some();
        if !is_wanted {
            let is_once = entry.timing.when.is_once();
            self.lose(id, Lost::Missed, count, last);
            if is_once {
                self.orders.push_back(Order::Retire { job: id.into() });
            }
            return true;
        }
        if is_busy && overlap == Overlap::Skip {
            self.lose(id, Lost::Overlapped, count, last);
            return true;
        }
        // One that has begun before comes first, and stands for these too.
        if entry.progress.waiting.is_some_and(|run| run.attempt > 0) {
            self.lose(id, Lost::Coalesced, count, last);
            return true;
        }
        let run = Run { due: Some(last), manual: 0, attempt: 0, begun: wall };
        let replaced = self.jobs.get_mut(id).and_then(|entry| entry.progress.waiting.replace(run));
        if let Some(due) = replaced.and_then(|run| run.due) {
            self.lose(id, Lost::Coalesced, 1, due);
        }
        if count > 1 {
            self.lose(id, Lost::Coalesced, count - 1, last);
        }
        true
    }

    fn lose(&mut self, id: &str, why: Lost, count: u32, last: Wall) {
        self.orders.push_back(Order::Lose { job: id.into(), why, count, last });
    }

    /// Begins what waits, the oldest first, as far as there is room.
    fn admit(&mut self, wall: Wall) {
        loop {
            let running = self.jobs.values().filter(|e| e.progress.running.is_some()).count();
            if running >= self.running_max {
                return;
            }
            let waits = self.jobs.iter_mut().filter(|(_, entry)| entry.progress.running.is_none());
            let waits = waits.filter_map(|(id, entry)| Some((entry.progress.waiting?, id, entry)));
            let Some((run, id, entry)) =
                waits.min_by_key(|(run, id, _)| (run.begun, (*id).clone()))
            else {
                return;
            };
            let run = Run { attempt: run.attempt + 1, begun: wall, ..run };
            (entry.progress.running, entry.progress.waiting) = (Some(run), None);
            self.orders.push_back(Order::Begin { job: id.clone(), run });
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Order> {
        self.orders.pop_front()
    }

    /// When to look again: at the next due instant, and now and then at the clock.
    #[must_use]
    pub fn deadline(&self, time: Time) -> Option<Instant> {
        if !self.is_on {
            return None;
        }
        if !time.is_sane {
            let is_wanted = self.next_of_all().is_some() || self.waits();
            return is_wanted.then(|| time.now + SCHEDULE_INSANE_LOOK);
        }
        let wait = self.next_of_all()?.since(time.wall).max(Duration::from_millis(1));
        Some(time.now + wait.min(SCHEDULE_LOOK))
    }

    /// How far a job is.
    #[must_use]
    pub fn progress(&self, id: &str) -> Option<&Progress> {
        self.jobs.get(id).map(|entry| &entry.progress)
    }

    /// When it is due next, as far as it is enabled.
    #[must_use]
    pub fn next(&self, id: &str) -> Option<Wall> {
        self.jobs.get(id).filter(|entry| entry.timing.enabled)?.next
    }

    /// When the next of all is due.
    #[must_use]
    pub fn next_of_all(&self) -> Option<Wall> {
        self.jobs.values().filter(|entry| entry.timing.enabled).filter_map(|e| e.next).min()
    }

    fn waits(&self) -> bool {
        self.jobs.values().any(|entry| entry.progress.waiting.is_some())
    }

    /// When a job is due.
    #[must_use]
    pub fn when(&self, id: &str) -> Option<&When> {
        self.jobs.get(id).map(|entry| &entry.timing.when)
    }

    /// How many runs are under way.
    #[must_use]
    pub fn running(&self) -> usize {
        self.jobs.values().filter(|entry| entry.progress.running.is_some()).count()
    }
}

impl Progress {
    fn spend(&mut self, span: (Wall, Wall)) {
        if self.spent.len() >= SCHEDULE_SPENT_MAX {
            // The one that is longest ago is the least likely to come again.
            let ends = self.spent.iter().enumerate().map(|(at, span)| (span.1, at));
            if let Some((_, at)) = ends.min() {
                self.spent.remove(at);
            }
        }
        self.spent.push(span);
    }

    /// Whether what was due at `due` was due once already, by a clock that was put back.
    fn is_spent(&self, due: Wall) -> bool {
        self.spent.iter().any(|&(since, upto)| since < due && due <= upto)
    }
}

impl Entry {
    /// Finds the next instant that is not settled.
    fn renew(&mut self) {
        let mut after = self.progress.done;
        self.next = loop {
            match self.timing.when.next(after) {
                Some(due) if self.progress.is_spent(due) => {
                    let spans = self.progress.spent.iter();
                    let of_it = spans.filter(|&&(since, upto)| since < due && due <= upto);
                    after = of_it.map(|&(_, upto)| upto).max().unwrap_or(due);
                }
                due => break due,
            }
        };
    }

    /// What a clock that went far back had leapt over is due after all.
    fn mind_the_clock(&mut self, wall: Wall) {
        let progress = &mut self.progress;
        if wall + SCHEDULE_BACK_MAX >= progress.done {
            return;
        }
        let span = (progress.since, progress.done);
        if span.0 < span.1 {
            progress.spend(span);
        }
        (progress.done, progress.since) = (wall, wall);
        self.renew();
    }

    /// Settles all that is due by `wall`: how many, and the newest.
    fn settle(&mut self, wall: Wall) -> (u32, Option<Wall>) {
        let (mut count, mut newest) = (0, None);
        // What is due between the spans that are spent.
        let mut from = self.progress.done;
        while from < wall {
            let span = self.progress.spent.iter().filter(|span| span.1 > from && span.0 < wall);
            let span = span.min().copied();
            let upto = span.map_or(wall, |(since, _)| since.max(from));
            if let Some(last) = self.timing.when.last(from, upto) {
                count += self.timing.when.count(from, last, SCHEDULE_COUNT_MAX);
                newest = Some(last);
            }
            from = span.map_or(wall, |(_, end)| end);
        }
        // Of several only the newest is looked at for itself.
        if let Some(last) = newest.filter(|_| count > 1) {
            let before = (self.progress.since, self.progress.done);
            if before.0 < before.1 {
                self.progress.spend(before);
            }
            self.progress.since = Wall(last.0 - 1);
        }
        self.progress.done = wall;
        self.renew();
        (count.min(SCHEDULE_COUNT_MAX), newest)
    }
}

#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;
