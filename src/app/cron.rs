//! Scheduled jobs: they are kept, begun when they are due, and what they say is delivered.
//!
//! The roster decides (see [`roster`](crate::core::schedule::roster)), the book keeps, and this is
//! the loop between them. It lives in the work tier: heartbeats go first.

pub(super) mod book;
mod deliver;
mod run;
pub(super) mod tell;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use smol::channel::{Receiver, Sender, bounded};
use smol::future::or;
use smol::lock::Mutex;

use self::book::{Book, Kept, Past, Sent, Status, Tally};
use super::house::House;
use crate::base::Wall;
use crate::base::limits::{
    CRON_JOBS_MAX, CRON_RUNNING, SCHEDULE_BOOT_PATIENCE, SCHEDULE_COUNT_MAX,
};
use crate::base::text::{Plain, truncate};
use crate::channels::discord::Target;
use crate::core::schedule::When;
use crate::core::schedule::job::{Delivery, Job, Mode};
use crate::core::schedule::roster::{
    Lost, Missed, Order, Overlap, Push, Refused, Roster, Run, Time, Timing,
};
use crate::ops::config::Dirs;
use crate::rt::{clock, os_seed, zones};

/// See the module.
pub(super) struct Cron {
    inner: RefCell<Inner>,
    /// Wakes the loop, without a word.
    woken: (Sender<()>, Receiver<()>),
    /// Held while the file is made short: a sync would say nothing meanwhile.
    file: Mutex<()>,
    /// Whether it was said that the clock is not believed.
    said: Cell<bool>,
}

/// What is known of the jobs.
pub(super) struct Inner {
    pub(super) book: Book,
    pub(super) roster: Roster,
}

/// Why a job could not be changed.
pub(super) enum Fault {
    /// There is none of that id.
    Unknown,
    /// It makes no sense.
    Invalid(String),
    /// It could not be kept; it is as it was.
    Unkept(String),
}

impl Cron {
    /// The jobs that the state directory knows.
    pub(super) fn open(dirs: &Dirs) -> Cron {
        let (book, progress) = Book::open(&dirs.state);
        let mut roster = Roster::new(CRON_RUNNING, true);
        for (id, progress) in progress {
            let Some(kept) = book.jobs.get(&id) else { continue };
            match timing(&kept.job) {
                Ok(timing) => roster.take_up(&id, timing, progress),
                Err(why) => log::error!(
                    target: "cron",
                    "the job {id} cannot run any more: {why}; correct it with `barnacle cron edit`"
                ),
            }
        }
        Cron {
            inner: RefCell::new(Inner { book, roster }),
            woken: bounded(1),
            file: Mutex::new(()),
            said: Cell::new(false),
        }
    }

    /// What is known of the jobs, to look at.
    pub(super) fn look(&self) -> std::cell::Ref<'_, Inner> {
        self.inner.borrow()
    }

    fn wake(&self) {
        // One that waits is enough.
        let _ = self.woken.0.try_send(());
    }

    /// Adds a job; its id, and whether it is new. Under a key that is known, the job which is there
    /// becomes this one.
    pub(super) async fn add(
        &self,
        house: &House,
        params: &Value,
    ) -> Result<(Box<str>, bool), Fault> {
        let now = clock::wall();
        let (job, when) = Job::read(params, now, &zones::find).map_err(Fault::Invalid)?;
        check_targets(house, &job).map_err(Fault::Invalid)?;
        let known = job.declaration_key.as_deref().and_then(|key| {
            let inner = self.look();
            let is_it = |kept: &Kept| kept.job.declaration_key.as_deref() == Some(key);
            inner.book.jobs.iter().find(|(_, kept)| is_it(kept)).map(|(id, _)| id.clone())
        });
        if let Some(id) = known {
            self.change(&id, job, Some(when)).await?;
            return Ok((id, false));
        }
        let id: Box<str> = new_id().into();
        {
            let mut inner = self.inner.borrow_mut();
            let Inner { book, roster } = &mut *inner;
            if book.jobs.len() >= CRON_JOBS_MAX {
                let text = format!("there are {CRON_JOBS_MAX} jobs, and no more are kept");
                return Err(Fault::Invalid(text));
            }
            let timing = timing_of(&job, when);
            let kept = Kept { job, created: now, updated: now, tally: Tally::default() };
            book.put(&id, kept).map_err(Fault::Unkept)?;
            roster.put(&id, timing, now);
            inner.keep(&id);
        }
        if let Err(why) = self.sync().await {
            let mut inner = self.inner.borrow_mut();
            inner.roster.remove(&id);
            inner.book.jobs.remove(&id);
            let _ = inner.book.forget(&id);
            return Err(Fault::Unkept(why));
        }
        self.wake();
        Ok((id, true))
    }

    /// Changes a job as `patch` says.
    pub(super) async fn update(&self, house: &House, id: &str, patch: &Value) -> Result<(), Fault> {
        let now = clock::wall();
        let before = self.look().book.jobs.get(id).map(|kept| kept.job.clone());
        let before = before.ok_or(Fault::Unknown)?;
        let (job, when) = before.patched(patch, now, &zones::find).map_err(Fault::Invalid)?;
        check_targets(house, &job).map_err(Fault::Invalid)?;
        self.change(id, job, when).await
    }

    /// Puts `job` in the place of another one; `when` if it is due at other times.
    async fn change(&self, id: &str, job: Job, when: Option<When>) -> Result<(), Fault> {
        let now = clock::wall();
        let (kept_before, was_enabled) = {
            let mut inner = self.inner.borrow_mut();
            let Inner { book, roster } = &mut *inner;
            let before = book.jobs.get(id).cloned().ok_or(Fault::Unknown)?;
            let was_enabled = before.job.enabled;
            let mut kept = Kept { job, updated: now, ..before.clone() };
            if kept.job.enabled && !was_enabled {
                (kept.tally.errors, kept.tally.skipped) = (0, 0);
            }
            let job = kept.job.clone();
            let is_known = roster.when(id).is_some();
            let when = match when {
                None if !is_known => Some(job.schedule.clone().settle(now, &zones::find))
                    .transpose()
                    .map_err(Fault::Invalid)?,
                when => when,
            };
            book.put(id, kept).map_err(Fault::Unkept)?;
            let (missed, overlap) = policy(&job);
            if let Some(when) = when {
                roster.put(id, timing_of(&job, when), now);
            } else {
                roster.adjust(id, missed, overlap);
                roster.enable(id, job.enabled, now);
            }
            inner.keep(id);
            (before, was_enabled)
        };
        let synced = self.sync().await;
        self.wake();
        if let Err(why) = synced {
            let mut inner = self.inner.borrow_mut();
            let Inner { book, roster } = &mut *inner;
            if let Ok(timing) = timing(&kept_before.job) {
                roster.put(id, Timing { enabled: was_enabled, ..timing }, now);
            }
            let _ = book.put(id, kept_before.clone());
            book.jobs.insert(id.into(), kept_before);
            return Err(Fault::Unkept(why));
        }
        Ok(())
    }

    /// Removes a job.
    pub(super) async fn remove(&self, id: &str) -> Result<Kept, Fault> {
        let gone = {
            let mut inner = self.inner.borrow_mut();
            let gone = inner.book.forget(id).map_err(Fault::Unkept)?.ok_or(Fault::Unknown)?;
            inner.roster.remove(id);
            gone
        };
        // It is gone for this process in any case.
        self.sync().await.map_err(Fault::Unkept)?;
        self.wake();
        Ok(gone)
    }

    /// The jobs that are `meant`, by what is written of them.
    pub(super) fn of(&self, meant: &dyn Fn(&str) -> bool) -> Vec<Value> {
        let inner = self.look();
        let jobs = inner.book.jobs.iter().map(|(id, kept)| {
            let mut job = serde_json::to_value(&kept.job).unwrap_or_default();
            job["id"] = (**id).into();
            job
        });
        jobs.filter(|job| meant(&job.to_string())).collect()
    }

    /// Removes the jobs that are `meant`, with what became of them, and waits until they are gone
    /// from the file; how many there were.
    ///
    /// # Errors
    /// Something of them may still be there.
    pub(super) async fn forget(&self, meant: &dyn Fn(&str) -> bool) -> Result<usize, String> {
        let gone: Vec<Box<str>> = {
            let jobs = self.of(meant);
            jobs.iter().filter_map(|job| Some(job["id"].as_str()?.into())).collect()
        };
        for id in &gone {
            if let Err(Fault::Unkept(why)) = self.remove(id).await {
                return Err(why);
            }
        }
        let _file = self.file.lock().await;
        let short = {
            let mut inner = self.inner.borrow_mut();
            let Inner { book, roster } = &mut *inner;
            book.leave_out(|past| {
                let text = serde_json::to_string(past).unwrap_or_default();
                gone.contains(&past.job) || meant(&text)
            });
            book.shorten(roster)
        };
        if let Some(short) = short {
            let short = short.await;
            let is_short = short.is_ok();
            self.inner.borrow_mut().book.take_over(short);
            if !is_short {
                return Err("the file of scheduled jobs could not be written anew".to_owned());
            }
        }
        Ok(gone.len())
    }

    /// A person wants a job run; the run.
    pub(super) fn push(&self, house: &House, id: &str, push: Push) -> Result<Run, Refused> {
        let run = self.inner.borrow_mut().roster.push(id, push, time(house))?;
        self.wake();
        Ok(run)
    }

    async fn sync(&self) -> Result<(), String> {
        let _file = self.file.lock().await;
        let sync = self.look().book.sync();
        sync.await
    }
}

impl Inner {
    fn switch_off(&mut self, id: &str) {
        let Some(mut kept) = self.book.jobs.get(id).cloned() else { return };
        kept.job.enabled = false;
        let _ = self.book.put(id, kept);
        self.roster.enable(id, false, clock::wall());
    }

    /// Keeps how far a job is. That it could not be is said once, by whoever waits for the disk.
    fn keep(&mut self, id: &str) {
        let Inner { book, roster } = self;
        if let Some(progress) = roster.progress(id) {
            let _ = book.keep(id, progress);
        }
    }
}

/// The loop: begins what is due, until the process ends.
pub(super) async fn drive(house: Rc<House>) {
    let cron = &house.cron;
    loop {
        cron.configure(&house);
        let time = time(&house);
        cron.tell_the_clock(time);
        if !house.draining.get() {
            cron.inner.borrow_mut().roster.expire(time);
            obey(&house);
        }
        cron.shorten().await;
        let due = cron.look().roster.deadline(time);
        let woken = async {
            let _ = cron.woken.1.recv().await;
        };
        let due = async {
            match due {
                Some(due) => clock::sleep_until(due).await,
                None => smol::future::pending().await,
            }
        };
        or(woken, due).await;
    }
}

/// Does what the roster wants done.
fn obey(house: &Rc<House>) {
    loop {
        let order = house.cron.inner.borrow_mut().roster.poll();
        match order {
            None => return,
            Some(Order::Keep { job }) => house.cron.inner.borrow_mut().keep(&job),
            Some(Order::Begin { job, run }) => {
                let house_too = house.clone();
                house.work("cron", async move { run::begin(house_too, job, run).await });
            }
            Some(Order::Lose { job, why, count, last }) => {
                house.cron.lose(house, &job, why, count, last);
            }
            Some(Order::Retire { job }) => house.cron.retire(house, &job),
        }
    }
}

impl Cron {
    /// Lets the configuration hold.
    fn configure(&self, house: &House) {
        let cron = house.config().cron.clone();
        let usual = if cron.skip_missed { Missed::Skip } else { Missed::Run };
        let mut inner = self.inner.borrow_mut();
        let Inner { book, roster } = &mut *inner;
        roster.set(cron.running_max, cron.enabled);
        for (id, kept) in &book.jobs {
            let policy = &kept.job.policy;
            roster.adjust(id, policy.missed(usual), policy.overlap.unwrap_or_default());
        }
    }

    /// Says once that jobs wait for a clock, and once that they do no longer.
    fn tell_the_clock(&self, time: Time) {
        let has_jobs = !self.look().book.jobs.is_empty();
        if !time.is_sane && has_jobs && !self.said.replace(true) {
            log::warn!(
                target: "cron",
                "the clock shows {} and was not set by the network since the boot: jobs wait until \
                 it is to be believed",
                time.wall
            );
        }
        if time.is_sane && self.said.replace(false) {
            log::info!(target: "cron", "the clock is to be believed: jobs run");
        }
    }

    /// Due instants are not run: that is kept with its reason.
    fn lose(&self, house: &Rc<House>, id: &str, why: Lost, count: u32, last: Wall) {
        let past = {
            let mut inner = self.inner.borrow_mut();
            let Some(kept) = inner.book.jobs.get_mut(id) else { return };
            let text = lost_text(why, count, last);
            log::warn!(target: "cron", "{} ({id}): {text}", Plain(&kept.job.name));
            let is_error = why == Lost::Interrupted;
            let past = Past {
                at: clock::wall(),
                job: id.into(),
                name: kept.job.name.clone(),
                status: if is_error { Status::Error } else { Status::Skipped },
                run: None,
                due: Some(last),
                begun: None,
                took_ms: None,
                lost: Some((why, count)),
                error: Some(text),
                summary: None,
                session: None,
                delivery: Sent::default(),
            };
            if why != Lost::Coalesced {
                kept.tally.skipped = kept.tally.skipped.saturating_add(1);
                kept.tally.last = Some(past.clone());
            }
            inner.book.lose(past.clone());
            past
        };
        tell::finished(house, &past);
        if why != Lost::Coalesced {
            let (house, id): (Rc<House>, Box<str>) = (house.clone(), id.into());
            house.clone().work("cron", async move { deliver::alert(&house, &id).await });
        }
    }

    /// A job that was due once is over: it is kept, switched off, for a person to see.
    fn retire(&self, house: &House, id: &str) {
        {
            let mut inner = self.inner.borrow_mut();
            inner.switch_off(id);
            inner.keep(id);
        }
        tell::changed(house, id, "updated");
    }

    /// Makes the file short, if it has grown.
    async fn shorten(&self) {
        let file = self.file.lock().await;
        let work = {
            let mut inner = self.inner.borrow_mut();
            let Inner { book, roster } = &mut *inner;
            book.shorten(roster)
        };
        if let Some(work) = work {
            let short = work.await;
            self.inner.borrow_mut().book.take_over(short);
        }
        drop(file);
    }
}

/// Whether jobs run when they are due.
pub(super) fn is_on(house: &House) -> bool {
    house.config().cron.enabled
}

/// What becomes of missed runs where a job says nothing.
pub(super) fn usual_missed(house: &House) -> &'static str {
    if house.config().cron.skip_missed { "skip" } else { "run" }
}

/// Whether due jobs wait until the clock can be believed.
pub(super) fn waits_for_clock() -> bool {
    !is_sane(clock::wall(), clock::uptime(), clock::is_synced())
}

fn lost_text(why: Lost, count: u32, last: Wall) -> String {
    let many = match count {
        1 => format!("1 run, due {last},"),
        SCHEDULE_COUNT_MAX.. => format!("{count} runs or more, the last due {last},"),
        _ => format!("{count} runs, the last due {last},"),
    };
    match why {
        Lost::Missed => format!("{many} missed: nobody was there at the time"),
        Lost::Coalesced => format!("{many} coalesced: one run stands for all that was missed"),
        Lost::Overlapped => format!("{many} left out: the run before still goes on"),
        Lost::Interrupted => {
            format!("{many} interrupted: the process ended in the middle of each try")
        }
    }
}

fn time(_house: &House) -> Time {
    let wall = clock::wall();
    let is_sane = is_sane(wall, clock::uptime(), clock::is_synced());
    Time { now: clock::now(), wall, is_sane }
}

/// Whether the clock on the wall is to be believed: it is not before the program itself, and
/// either the network has set it since the host was booted, or there was time enough for that.
fn is_sane(wall: Wall, uptime: Duration, is_synced: bool) -> bool {
    wall >= crate::ops::made() && (is_synced || uptime >= SCHEDULE_BOOT_PATIENCE)
}

fn policy(job: &Job) -> (Missed, Overlap) {
    (job.policy.missed(Missed::Run), job.policy.overlap.unwrap_or_default())
}

fn timing_of(job: &Job, when: When) -> Timing {
    let (missed, overlap) = policy(job);
    Timing { when, enabled: job.enabled, missed, overlap }
}

fn timing(job: &Job) -> Result<Timing, String> {
    let when = job.schedule.clone().settle(Wall(0), &zones::find)?;
    Ok(timing_of(job, when))
}

/// In the form of OpenClaw's ids (RFC 9562, version 4).
fn new_id() -> String {
    let (a, b) = (os_seed(), os_seed());
    let (a, b) = (a & !0xf000 | 0x4000, b & !(3 << 62) | 2 << 62);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xffff,
        b >> 48,
        b & 0xffff_ffff_ffff
    )
}

/// Agents, accounts and services that are not there are better said when a job is made than when
/// it is due.
fn check_targets(house: &House, job: &Job) -> Result<(), String> {
    let agents: Vec<String> = house.config().agents.iter().map(|agent| agent.id.clone()).collect();
    if job.agent_id.as_ref().is_some_and(|agent| !agents.contains(agent)) {
        return Err(format!("there is no such agent; there is: {}", agents.join(", ")));
    }
    let Some(delivery) = &job.delivery else { return Ok(()) };
    check_delivery(house, delivery)
}

fn check_delivery(house: &House, delivery: &Delivery) -> Result<(), String> {
    let known = |account: &str| house.fleet.borrow().seats().any(|seat| seat.name == account);
    match delivery.mode {
        Mode::None => Ok(()),
        Mode::Webhook => deliver::check_address(delivery.to.as_deref().unwrap_or_default()),
        Mode::Announce => {
            let channel = delivery.channel.as_deref().unwrap_or("last");
            if !["last", "discord"].contains(&channel) {
                return Err("delivery.channel must be one of: discord, last".to_owned());
            }
            if let Some(account) = delivery.account_id.as_deref().filter(|account| !known(account))
            {
                let shown = Plain(truncate(account, 40)).to_string();
                return Err(format!("delivery.accountId: there is no account \"{shown}\""));
            }
            match &delivery.to {
                Some(to) if Target::parse(to).is_none() => Err(
                    "delivery.to names no chat: write channel:ID or user:ID, with the number that \
                     Discord's developer mode copies"
                        .to_owned(),
                ),
                _ => Ok(()),
            }
        }
    }
}
