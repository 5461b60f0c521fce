//! One thread for everything, in three tiers, with a meter on every poll.
//!
//! A lower tier is polled when those above it are idle, and in any case once per [`TIER_SHARE`]:
//! priority without starvation. Between polls the root gives the reactor its turn every so often,
//! so that a flood of work delays neither timers nor sockets.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::time::Duration;

use smol::future::{or, yield_now};
use smol::{LocalExecutor, Task};

use super::{clock, log};
use crate::base::Instant;
use crate::base::limits::{
    REACTOR_AFTER, REACTOR_POLLS, SLOW_POLL, TIER_SHARE, YIELD_AFTER, YIELD_EVENTS,
};

/// How urgent a task is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Tier {
    /// Each channel's whole drive: socket, heartbeat, machine.
    Pulse,
    /// REST calls, the control API, the sandbox.
    Wire,
    /// Agent turns and housekeeping.
    Work,
}

impl Tier {
    /// The name that status pages and metrics show.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Tier::Pulse => "pulse",
            Tier::Wire => "wire",
            Tier::Work => "work",
        }
    }
}

/// Runs `main` (in [`Tier::Wire`]), and all that it spawns, on this thread until `main` is done.
/// What is still running then is dropped.
pub fn run<T, F>(main: impl FnOnce(Spawner) -> F) -> T
where
    T: 'static,
    F: Future<Output = T> + 'static,
{
    let home = Rc::new(Home { tiers: Default::default(), meter: Meter::new() });
    let meter = home.meter.clone();
    let spawner = Spawner { home: Rc::downgrade(&home), meter, label: None };
    let main = spawner.spawn(Tier::Wire, "main", main(spawner.clone()));
    smol::block_on(or(main, home.turn()))
}

/// Starts tasks. Cheap to clone; it does not keep the executor alive.
#[derive(Clone, Debug)]
pub struct Spawner {
    home: Weak<Home>,
    meter: Meter,
    label: Option<Rc<str>>,
}

impl Spawner {
    /// Starts `future` in `tier`, metered under `name`. Dropping the task ends it.
    pub fn spawn<T: 'static>(
        &self,
        tier: Tier,
        name: &'static str,
        future: impl Future<Output = T> + 'static,
    ) -> Task<T> {
        let (meter, gauge) = (self.meter.clone(), self.meter.gauge(tier, name));
        let label = self.label.clone();
        let metered = async move {
            let mut future = pin!(future);
            poll_fn(|cx| {
                let poll = match &label {
                    Some(label) => log::speak_for(label, || future.as_mut().poll(cx)),
                    None => future.as_mut().poll(cx),
                };
                meter.polled(&gauge);
                poll
            })
            .await
        };
        match self.home.upgrade() {
            Some(home) => home.tiers[tier as usize].spawn(metered),
            // The thread is shutting down: the task begins and ends as a dropped one.
            None => LocalExecutor::new().spawn(metered),
        }
    }

    /// A spawner whose tasks, and those that they spawn by it, put `label` behind the target of
    /// what they log: `discord/work`.
    #[must_use]
    pub fn labelled(&self, label: &str) -> Spawner {
        Spawner { label: Some(label.into()), ..self.clone() }
    }

    /// The meter of this thread.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// A budget for one loop; see [`Pace`].
    #[must_use]
    pub fn pace(&self) -> Pace {
        Pace { meter: self.meter.clone(), poll: 0, events: 0 }
    }
}

/// The tiers themselves.
#[derive(Debug)]
struct Home {
    tiers: [LocalExecutor<'static>; 3],
    meter: Meter,
}

impl Home {
    /// Turns for ever.
    async fn turn<T>(&self) -> T {
        let mut reacted = self.meter.tick();
        let (mut polls, mut turn) = (0, Turn { looked: [reacted; 3], repaid: false });
        loop {
            let now = self.meter.0.poll_start.get();
            if polls >= REACTOR_POLLS || now.since(reacted) >= REACTOR_AFTER {
                // The reactor looks at timers and sockets, without waiting.
                yield_now().await;
                (polls, reacted) = (0, self.meter.turned());
            } else if self.poll_one(now, &mut turn) {
                polls += 1;
            } else {
                self.idle().await;
                (polls, reacted) = (0, self.meter.turned());
                turn.looked = [reacted; 3];
            }
        }
    }

    /// Polls one task of the tier whose turn it is. False if all tiers are idle.
    fn poll_one(&self, now: Instant, turn: &mut Turn) -> bool {
        // A tier that was passed over for too long goes first, but never two such in a row:
        // between them the most urgent one has its chance.
        let overdue = (1..3).filter(|&tier| now.since(turn.looked[tier]) >= TIER_SHARE);
        let first = overdue.min_by_key(|&tier| turn.looked[tier]).filter(|_| !turn.repaid);
        turn.repaid = first.is_some();
        for tier in first.into_iter().chain(0..3) {
            let waited = now.since(turn.looked[tier]);
            turn.looked[tier] = now;
            if self.tiers[tier].try_tick() {
                self.meter.tier_waited(tier, waited);
                return true;
            }
        }
        false
    }

    /// Sleeps until a task can run, and polls it.
    async fn idle(&self) {
        let [pulse, wire, work] = &self.tiers;
        let mut any = pin!(or(pulse.tick(), or(wire.tick(), work.tick())));
        poll_fn(|cx| {
            self.meter.tick();
            any.as_mut().poll(cx)
        })
        .await;
    }
}

/// Whose turn it is.
struct Turn {
    /// When each tier was last looked at: found idle, or polled.
    looked: [Instant; 3],
    /// Whether the last poll went to a tier that was overdue.
    repaid: bool,
}

/// Measures the thread: how long polls take, how late heartbeats are, how long a tier with work
/// to do had to wait. Cheap to clone, always on.
#[derive(Clone, Debug)]
pub struct Meter(Rc<Readings>);

#[derive(Debug)]
struct Readings {
    /// When the running poll began. Polls follow one another, so one ends where the next begins.
    poll_start: Cell<Instant>,
    polls: Cell<u64>,
    turns: Cell<u64>,
    gauges: RefCell<Vec<Rc<Gauge>>>,
    starved: [Cell<Duration>; 3],
    beats: RefCell<Lateness>,
}

#[derive(Debug)]
struct Gauge {
    tier: Tier,
    name: &'static str,
    polls: Cell<u64>,
    slow: Cell<u64>,
    longest: Cell<Duration>,
}

/// What the meter says of all tasks of one name in one tier.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaskReading {
    /// Their tier.
    pub tier: Tier,
    /// The name that they were spawned with.
    pub name: &'static str,
    /// How many times they were polled.
    pub polls: u64,
    /// How many of those polls held the thread longer than [`SLOW_POLL`].
    pub slow: u64,
    /// The longest of them.
    pub longest: Duration,
}

/// How late heartbeats were sent, as a histogram.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lateness {
    /// How many were at most as late as the bound of the same place in [`Lateness::BOUNDS_MS`],
    /// and later than the bound before; the last counts those beyond all bounds.
    pub counts: [u64; Self::BOUNDS_MS.len() + 1],
    /// The latest.
    pub max: Duration,
    /// All of them added up.
    pub sum: Duration,
}

impl Lateness {
    /// Upper bounds, in milliseconds.
    pub const BOUNDS_MS: [u64; 10] = [1, 2, 5, 10, 20, 50, 100, 250, 1000, 5000];

    fn add(&mut self, late: Duration) {
        let place = Self::BOUNDS_MS.iter().position(|&ms| late <= Duration::from_millis(ms));
        self.counts[place.unwrap_or(Self::BOUNDS_MS.len())] += 1;
        self.max = self.max.max(late);
        self.sum = self.sum.saturating_add(late);
    }
}

/// The meter's readings at one moment, since the start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// By tier and name.
    pub tasks: Vec<TaskReading>,
    /// For each tier the longest that it waited for the thread with a task ready to run: an upper
    /// bound, counted from when it was last looked at.
    pub starved: [Duration; 3],
    /// How many times the loop has turned: the reactor looked at timers and sockets.
    pub turns: u64,
    /// Lateness of heartbeats.
    pub beats: Lateness,
}

impl Meter {
    fn new() -> Meter {
        Meter(Rc::new(Readings {
            poll_start: Cell::new(clock::now()),
            polls: Cell::new(0),
            turns: Cell::new(0),
            gauges: RefCell::default(),
            starved: Default::default(),
            beats: RefCell::default(),
        }))
    }

    /// A heartbeat was sent this long after it was due.
    pub fn beat_late(&self, late: Duration) {
        self.0.beats.borrow_mut().add(late);
    }

    /// All readings.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let reading = |gauge: &Rc<Gauge>| TaskReading {
            tier: gauge.tier,
            name: gauge.name,
            polls: gauge.polls.get(),
            slow: gauge.slow.get(),
            longest: gauge.longest.get(),
        };
        Snapshot {
            tasks: self.0.gauges.borrow().iter().map(reading).collect(),
            starved: self.0.starved.each_ref().map(Cell::get),
            turns: self.0.turns.get(),
            beats: self.0.beats.borrow().clone(),
        }
    }

    /// The gauge of `name`. Names are words of the program, so there are not many.
    fn gauge(&self, tier: Tier, name: &'static str) -> Rc<Gauge> {
        let mut gauges = self.0.gauges.borrow_mut();
        if let Some(gauge) = gauges.iter().find(|gauge| gauge.tier == tier && gauge.name == name) {
            return gauge.clone();
        }
        let (polls, slow, longest) = Default::default();
        let gauge = Rc::new(Gauge { tier, name, polls, slow, longest });
        gauges.push(gauge.clone());
        gauge
    }

    /// Time passed that belongs to no poll: the root slept, or the reactor had its turn.
    fn tick(&self) -> Instant {
        let now = clock::now();
        self.0.poll_start.set(now);
        now
    }

    fn turned(&self) -> Instant {
        self.0.turns.set(self.0.turns.get() + 1);
        self.tick()
    }

    fn polled(&self, gauge: &Gauge) {
        let begun = self.0.poll_start.get();
        let took = self.tick().since(begun);
        self.0.polls.set(self.0.polls.get() + 1);
        gauge.polls.set(gauge.polls.get() + 1);
        gauge.longest.set(gauge.longest.get().max(took));
        if took >= SLOW_POLL {
            gauge.slow.set(gauge.slow.get() + 1);
        }
    }

    fn tier_waited(&self, tier: usize, waited: Duration) {
        let starved = &self.0.starved[tier];
        starved.set(starved.get().max(waited));
    }
}

/// Keeps a loop from holding the thread: after [`YIELD_EVENTS`] events, or when the running poll
/// has lasted [`YIELD_AFTER`], it lets others go first.
#[derive(Clone, Debug)]
pub struct Pace {
    meter: Meter,
    poll: u64,
    events: u32,
}

impl Pace {
    /// To be awaited once per event.
    pub async fn breathe(&mut self) {
        let poll = self.meter.0.polls.get();
        if self.poll != poll {
            (self.poll, self.events) = (poll, 0);
        }
        self.events += 1;
        let held = clock::now().since(self.meter.0.poll_start.get());
        if self.events >= YIELD_EVENTS || held >= YIELD_AFTER {
            yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn polls(snapshot: &Snapshot, name: &str) -> u64 {
        snapshot.tasks.iter().find(|task| task.name == name).map_or(0, |task| task.polls)
    }

    /// Holds the thread.
    fn burn(span: Duration) {
        let until = clock::now() + span;
        while clock::now() < until {}
    }

    /// A loop that never ends by itself ends here, so that a broken executor fails the test.
    fn patience() -> Instant {
        clock::now() + Duration::from_secs(5)
    }

    #[test]
    fn every_tier_goes_on_while_others_never_rest() {
        let snapshot = run(|spawner| async move {
            let busy = |tier, name| {
                spawner.spawn(tier, name, async {
                    loop {
                        burn(MS / 10);
                        yield_now().await;
                    }
                })
            };
            let _lower = (busy(Tier::Wire, "w"), busy(Tier::Work, "k"));
            let (meter, end) = (spawner.meter().clone(), patience());
            let pulse = spawner.spawn(Tier::Pulse, "p", async move {
                loop {
                    burn(MS / 10);
                    yield_now().await;
                    let snapshot = meter.snapshot();
                    let served = polls(&snapshot, "w").min(polls(&snapshot, "k")) >= 3;
                    if served || clock::now() >= end {
                        break snapshot;
                    }
                }
            });
            pulse.await
        });
        let [pulse, wire, work] = ["p", "w", "k"].map(|name| polls(&snapshot, name));
        assert!(wire >= 3 && work >= 3, "a share for all: {snapshot:?}");
        assert!(pulse > wire + work, "priority for the most urgent: {snapshot:?}");
        assert!(snapshot.starved[2] >= TIER_SHARE, "the wait is measured: {snapshot:?}");
    }

    #[test]
    fn the_pulse_goes_between_two_hogs() {
        let between = run(|spawner| async move {
            let hog = |tier| {
                spawner.spawn(tier, "hog", async {
                    for _ in 0..10 {
                        burn(TIER_SHARE + MS);
                        yield_now().await;
                    }
                })
            };
            let _hogs = (hog(Tier::Wire), hog(Tier::Work));
            let meter = spawner.meter().clone();
            let pulse = spawner.spawn(Tier::Pulse, "pulse", async move {
                let hogs = || -> u64 {
                    let tasks = meter.snapshot().tasks;
                    tasks.iter().filter(|task| task.name == "hog").map(|task| task.polls).sum()
                };
                let (mut before, mut most) = (hogs(), 0);
                while before < 6 {
                    yield_now().await;
                    let now = hogs();
                    (before, most) = (now, most.max(now - before));
                }
                most
            });
            pulse.await
        });
        assert_eq!(between, 1, "hogs between two polls of the pulse");
    }

    #[test]
    fn timers_fire_under_a_flood() {
        let snapshot = run(|spawner| async move {
            let end = patience();
            let _flood = spawner.spawn(Tier::Work, "flood", async move {
                while clock::now() < end {
                    yield_now().await;
                }
            });
            let meter = spawner.meter().clone();
            let beats = spawner.spawn(Tier::Pulse, "beat", async move {
                let mut due = clock::now();
                for _ in 0..20 {
                    due += 5 * MS;
                    clock::sleep_until(due).await;
                    meter.beat_late(clock::now().since(due));
                }
            });
            beats.await;
            spawner.meter().snapshot()
        });
        assert_eq!(snapshot.beats.counts.iter().sum::<u64>(), 20);
        assert!(snapshot.beats.max < Duration::from_secs(2), "{snapshot:?}");
        let turns_min = polls(&snapshot, "flood") / u64::from(2 * REACTOR_POLLS);
        assert!(snapshot.turns >= turns_min, "timers are looked at between polls: {snapshot:?}");
    }

    #[test]
    fn a_slow_poll_is_named_and_sleep_is_not_a_poll() {
        let snapshot = run(|spawner| async move {
            clock::sleep(50 * MS).await;
            spawner.spawn(Tier::Work, "hog", async { burn(2 * MS) }).await;
            spawner.meter().snapshot()
        });
        let reading = |name| snapshot.tasks.iter().find(|task| task.name == name).unwrap();
        assert_eq!((reading("hog").polls, reading("hog").slow), (1, 1));
        assert!(reading("hog").longest >= 2 * MS);
        assert_eq!(reading("hog").tier, Tier::Work);
        // The main task slept; its polls together took no time to speak of.
        assert!(reading("main").polls >= 2);
        assert!(reading("main").longest < 50 * MS, "{snapshot:?}");
    }

    #[test]
    fn a_loop_that_never_waits_lets_others_go_first() {
        run(|spawner| async move {
            let turns = Rc::new(Cell::new(0));
            let seen = turns.clone();
            let mut pace = spawner.pace();
            let _other = spawner.spawn(Tier::Wire, "other", async move {
                loop {
                    turns.set(turns.get() + 1);
                    yield_now().await;
                }
            });
            for _ in 0..YIELD_EVENTS * 4 {
                pace.breathe().await;
            }
            assert!(seen.get() >= 3, "{}", seen.get());
        });
    }

    #[test]
    fn what_runs_at_the_end_is_dropped() {
        struct Flag(Rc<Cell<bool>>);
        impl Drop for Flag {
            fn drop(&mut self) {
                self.0.set(true);
            }
        }
        let dropped = Rc::new(Cell::new(false));
        let flag = Flag(dropped.clone());
        run(|spawner| async move {
            let own = spawner.clone();
            let forever = async move {
                let _both = (flag, own);
                std::future::pending::<()>().await;
            };
            spawner.spawn(Tier::Work, "forever", forever).detach();
            yield_now().await;
        });
        assert!(dropped.get());
    }
}
