//! Two years of jobs on a host that restarts, loses its power, and whose clock jumps: each due
//! instant is run once, or accounted for.
//!
//! The host has a disk of which a power cut takes what was not synced, and a loop like the real
//! one's. What it is held to is counted beside it, from the schedules alone.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;

use super::*;
use crate::base::Rng;
use crate::core::schedule::Pattern;

const DAY: u64 = 86_400_000;
/// 2026-01-01.
const START: u64 = 1_767_225_600_000;

/// What is planted, to see whether it is found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bug {
    None,
    /// A run begins before that is on the disk.
    BeginsTooEarly,
    /// How far a job is, is never kept.
    ForgetsProgress,
    /// A clock that is put back makes what was due come again.
    FollowsTheClockBack,
    /// What was left out is not told.
    LosesQuietly,
    /// It is told apart from how far its job is, and a power cut may come between.
    TellsApart,
    /// What a crash interrupted is taken for done.
    DropsInterrupted,
    /// What waits for its turn is forgotten by a restart.
    DropsWaiting,
    /// Every look begins what is due, whether or not it was begun.
    RunsTwice,
}

const BUGS: [Bug; 8] = [
    Bug::BeginsTooEarly,
    Bug::ForgetsProgress,
    Bug::FollowsTheClockBack,
    Bug::LosesQuietly,
    Bug::TellsApart,
    Bug::DropsInterrupted,
    Bug::DropsWaiting,
    Bug::RunsTwice,
];

/// One word in the file.
enum Record {
    /// How far a job is, and what of it was lost.
    State(Box<str>, Progress, Vec<(Lost, u32, Wall)>),
}

/// What has happened to a job, as the world saw it.
#[derive(Default)]
struct Seen {
    /// Runs that were begun to their end, how often, by the instant that they were for.
    done: BTreeMap<u64, u32>,
    /// Runs that have begun and were cut short, how often.
    cut: BTreeMap<u64, u32>,
}

struct Host {
    bug: Bug,
    rng: Rng,
    /// Real time, in milliseconds since the start, and what the clock shows beyond it.
    real: u64,
    skew: i64,
    roster: Roster,
    disk: Vec<Record>,
    synced: usize,
    /// What was lost and is to be kept with how far its job is.
    lost: Vec<(Box<str>, Lost, u32, Wall)>,
    jobs: Vec<(Box<str>, Timing)>,
    /// Runs under way, and when each is over.
    under_way: Vec<(u64, Box<str>, Run)>,
    seen: BTreeMap<Box<str>, Seen>,
    /// The latest that the clock has ever shown.
    latest: u64,
    has_gone_far_back: bool,
}

fn jobs(zone: &str) -> Vec<(Box<str>, Timing)> {
    let cron = |text: &str| {
        let zone = TimeZone::get(zone).expect("it is bundled");
        When::Cron(Box::new(Pattern::parse(text, zone).expect("an expression")))
    };
    let timing = |when, missed, overlap| Timing { when, enabled: true, missed, overlap };
    let window = Missed::Window(Duration::from_mins(90));
    let at = When::At(Wall(START + 200 * DAY + 12_345));
    let every = When::Every { every_ms: 5 * 3_600_000 + 1, anchor: Wall(START + 77) };
    [
        ("nightly", timing(cron("30 2 * * *"), Missed::Run, Overlap::Skip)),
        ("half", timing(cron("15,45 1-3 * * *"), Missed::Skip, Overlap::Queue)),
        ("hourly", timing(cron("20 * * * *"), window, Overlap::Queue)),
        ("weekly", timing(cron("0 9 * * MON"), Missed::Run, Overlap::Queue)),
        ("interval", timing(every, Missed::Run, Overlap::Skip)),
        ("once", timing(at, Missed::Run, Overlap::Skip)),
    ]
    .map(|(id, timing)| (Box::from(id), timing))
    .into()
}

impl Host {
    fn new(bug: Bug, seed: u64, zone: &str) -> Host {
        let mut host = Host {
            bug,
            rng: Rng::new(seed),
            real: 0,
            skew: 0,
            roster: Roster::new(2, true),
            disk: Vec::new(),
            synced: 0,
            lost: Vec::new(),
            jobs: jobs(zone),
            under_way: Vec::new(),
            seen: BTreeMap::new(),
            latest: START,
            has_gone_far_back: false,
        };
        for (id, timing) in host.jobs.clone() {
            host.roster.put(&id, timing, host.wall());
            host.keep(&id);
        }
        host.synced = host.disk.len();
        host
    }

    fn wall(&self) -> Wall {
        Wall((START + self.real).saturating_add_signed(self.skew))
    }

    fn time(&self, is_sane: bool) -> Time {
        Time { now: Instant(self.real * 1_000_000), wall: self.wall(), is_sane }
    }

    fn keep(&mut self, id: &str) {
        if let Some(progress) =
            self.roster.progress(id).filter(|_| self.bug != Bug::ForgetsProgress)
        {
            let lost = self.lost.extract_if(.., |(job, ..)| **job == *id);
            let lost: Vec<_> = lost.map(|(_, why, count, last)| (why, count, last)).collect();
            if self.bug == Bug::TellsApart && !lost.is_empty() {
                self.disk.push(Record::State(id.into(), progress.clone(), Vec::new()));
            }
            self.disk.push(Record::State(id.into(), progress.clone(), lost));
        }
    }

    /// One turn of the loop.
    fn look(&mut self, is_sane: bool) {
        self.latest = self.latest.max(self.wall().0);
        if self.bug == Bug::FollowsTheClockBack {
            let wall = self.wall();
            for entry in self.roster.jobs.values_mut().filter(|entry| entry.progress.done > wall) {
                (entry.progress.done, entry.progress.since) = (wall, wall);
                entry.renew();
            }
        }
        self.roster.expire(self.time(is_sane));
        self.obey();
    }

    fn obey(&mut self) {
        while let Some(order) = self.roster.poll() {
            match order {
                Order::Keep { job } => self.keep(&job),
                Order::Retire { .. } => {}
                Order::Lose { .. } if self.bug == Bug::LosesQuietly => {}
                Order::Lose { job, why, count, last } => {
                    self.lost.push((job, why, count, last));
                }
                Order::Begin { job, run } => self.begin(job, run),
            }
        }
    }

    fn begin(&mut self, job: Box<str>, run: Run) {
        if self.bug != Bug::BeginsTooEarly {
            self.keep(&job);
            self.synced = self.disk.len();
        }
        // From seconds to longer than the time between two runs of the hourly job.
        let is_long = self.rng.one_in(30);
        let took = self.rng.below(if is_long { 9_000_000 } else { 60_000 });
        self.under_way.push((self.real + took, job.clone(), run));
        if self.bug == Bug::RunsTwice && self.rng.one_in(50) {
            self.under_way.push((self.real + took, job, run));
        }
    }

    /// Runs whose time has come are over.
    fn finish(&mut self) {
        let real = self.real;
        for (_, job, run) in
            self.under_way.extract_if(.., |(end, ..)| *end <= real).collect::<Vec<_>>()
        {
            if let Some(due) = run.due {
                *self.seen.entry(job.clone()).or_default().done.entry(due.0).or_default() += 1;
            }
            self.roster.finished(&job, self.time(true));
            self.obey();
            // That it is over is waited for, too.
            self.synced = self.disk.len();
        }
    }

    /// The process ends, in order or not, and is away for `away`.
    fn restart(&mut self, is_power_cut: bool, away: u64) {
        for (_, job, run) in self.under_way.drain(..) {
            if let Some(due) = run.due {
                *self.seen.entry(job).or_default().cut.entry(due.0).or_default() += 1;
            }
        }
        if is_power_cut {
            // Any part of what was not synced may be there, but never a hole.
            let rest = self.disk.len() - self.synced;
            let kept = self.rng.below(rest as u64 + 1);
            self.disk.truncate(self.synced + usize::try_from(kept).expect("small"));
        }
        self.synced = self.disk.len();
        self.real += away;
        self.roster = Roster::new(2, true);
        self.lost.clear();
        let mut states = BTreeMap::new();
        for record in &self.disk {
            let Record::State(id, progress, _) = record;
            states.insert(id.clone(), progress.clone());
        }
        for (id, timing) in self.jobs.clone() {
            let mut progress =
                states.get(&id).cloned().unwrap_or_else(|| Progress::from(Wall(START)));
            if self.bug == Bug::DropsInterrupted {
                progress.running = None;
            }
            if self.bug == Bug::DropsWaiting {
                progress.waiting = None;
            }
            self.roster.take_up(&id, timing, progress);
        }
        self.obey();
        // A board without a battery is not believed at first.
        if self.rng.one_in(4) {
            self.look(false);
            self.real += self.rng.below(180_000);
        }
    }

    /// The clock is set: mostly by little, sometimes by days.
    fn jump(&mut self, is_far_allowed: bool) {
        let by = match self.rng.below(10) {
            0 if is_far_allowed => 4 * DAY,
            1 | 2 => 3 * 3_600_000,
            _ => 50 * 60_000,
        };
        let by = i64::try_from(self.rng.below(by)).expect("small");
        // Mostly it is put right again; else anywhere.
        let before = self.skew;
        self.skew = if self.rng.one_in(2) { 0 } else { self.skew / 2 + by };
        if self.rng.one_in(3) {
            self.skew = before - i64::try_from(self.rng.below(50 * 60_000)).expect("small");
        }
        let back = before - self.skew;
        self.has_gone_far_back |=
            u128::try_from(back).is_ok_and(|back| back > SCHEDULE_BACK_MAX.as_millis() / 2);
    }

    /// When something happens next, and what is to be looked at before.
    fn step(&mut self, upto: u64) {
        let time = self.time(true);
        let due =
            self.roster.next_of_all().map(|next| self.real + next.0.saturating_sub(time.wall.0));
        let over = self.under_way.iter().map(|(end, ..)| *end).min();
        let next = [due, over].into_iter().flatten().min().unwrap_or(upto);
        // The thread is busy now and then.
        let late = if self.rng.one_in(10) { self.rng.below(2_000) } else { 0 };
        self.real = next.max(self.real + 1).min(upto) + late;
        self.finish();
        self.look(true);
    }

    fn live(&mut self, days: u64, is_far_allowed: bool) {
        let end = days * DAY;
        while self.real < end {
            let quiet = self.rng.below(6 * DAY);
            let upto = self.real + quiet;
            while self.real < upto {
                self.step(upto);
            }
            match self.rng.below(6) {
                0 | 1 => {
                    let is_long = self.rng.one_in(5);
                    let away = self.rng.below(if is_long { 3 * DAY } else { 600_000 });
                    let is_power_cut = self.rng.one_in(2);
                    self.restart(is_power_cut, away);
                }
                // A cut in the middle of whatever is going on.
                2 => self.restart(true, 30_000),
                3 | 4 => {
                    self.jump(is_far_allowed);
                    self.real += self.rng.below(30_000);
                }
                _ => {}
            }
            self.look(true);
        }
        // All that has begun comes to its end.
        for _ in 0..100_000 {
            if self.under_way.is_empty() && self.roster.running() == 0 {
                break;
            }
            self.step(self.real + DAY);
        }
    }

    fn has_lost(&self, id: &str, is_it: impl Fn(&(Lost, u32, Wall)) -> bool) -> bool {
        let of_it = self.disk.iter().filter(|Record::State(job, ..)| **job == *id);
        of_it.flat_map(|Record::State(_, _, lost)| lost).any(is_it)
    }

    /// What is wrong, if something is.
    fn judge(&self) -> Result<(), String> {
        let mut lost: BTreeMap<&str, u64> = BTreeMap::new();
        for Record::State(id, _, gone) in &self.disk {
            // An interrupted run had begun.
            let gone = gone.iter().filter(|(why, ..)| *why != Lost::Interrupted);
            *lost.entry(id).or_default() +=
                gone.map(|(_, count, _)| u64::from(*count)).sum::<u64>();
        }
        let nothing = Seen::default();
        for (id, timing) in &self.jobs {
            let seen = self.seen.get(id).unwrap_or(&nothing);
            if let Some((due, times)) = seen.done.iter().find(|(_, times)| **times > 1) {
                return Err(format!("{id}: {} was run {times} times", Wall(*due)));
            }
            for (due, cut) in &seen.cut {
                let done = seen.done.get(due).copied().unwrap_or(0);
                let attempts = u32::from(TURN_ATTEMPTS_MAX);
                if cut + done > attempts {
                    return Err(format!("{id}: {} was begun {} times", Wall(*due), cut + done));
                }
                let is_told =
                    self.has_lost(id, |&(why, _, last)| why == Lost::Interrupted && last.0 == *due);
                if done == 0 && *cut < attempts && !is_told {
                    return Err(format!("{id}: {} was begun and given up", Wall(*due)));
                }
            }
            let run: BTreeSet<u64> = seen.done.keys().chain(seen.cut.keys()).copied().collect();
            if let Some(due) = run.iter().find(|due| !is_due(&timing.when, **due)) {
                return Err(format!("{id}: {} was run and not due", Wall(*due)));
            }
            let upto = Wall(self.latest.max(self.roster.progress(id).map_or(0, |p| p.done.0)));
            let due = u64::from(timing.when.count(Wall(START), upto, u32::MAX));
            let settled = run.len() as u64 + lost.get(&**id).copied().unwrap_or(0);
            // What a clock that went far back had leapt over may be settled a second time.
            let is_right = if self.has_gone_far_back { settled >= due } else { settled == due };
            // "So many or more" is counted no further.
            let is_capped = self.has_lost(id, |&(_, count, _)| count == SCHEDULE_COUNT_MAX);
            let is_right = is_right || is_capped;
            if !is_right {
                return Err(format!("{id}: {settled} of {due} due instants are accounted for"));
            }
        }
        Ok(())
    }
}

fn is_due(when: &When, due: u64) -> bool {
    when.next(Wall(due - 1)) == Some(Wall(due))
}

fn play(bug: Bug, seed: u64, zone: &str, days: u64) -> Result<(), String> {
    let mut host = Host::new(bug, seed, zone);
    host.live(days, seed % 2 == 1);
    host.judge()
}

const ZONES: [&str; 3] = ["Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe"];

#[test]
fn over_two_years_each_due_instant_is_run_once_or_accounted_for() {
    for (at, zone) in ZONES.into_iter().enumerate() {
        for seed in 0..4 {
            let seed = 100 * at as u64 + seed;
            let judged = play(Bug::None, seed, zone, 730);
            assert_eq!(judged, Ok(()), "seed {seed} in {zone}");
        }
    }
}

#[test]
fn every_planted_bug_is_found() {
    for bug in BUGS {
        let is_found = (0..80).any(|seed| play(bug, seed, "Europe/Berlin", 200).is_err());
        assert!(is_found, "{bug:?} was not noticed");
    }
}
