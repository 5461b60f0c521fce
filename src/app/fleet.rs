//! All accounts: each starts, stops and restarts by itself, and none of them waits for another.
//!
//! Stopped means stopped: an account's place is `Leaving` until its socket is gone, and only from
//! `Absent` can it be started. There is no state with two sockets, whoever asks how often: the
//! configuration, a signal, the control port and the health monitor all come the same way.

mod senses;

use std::rc::Rc;
mod waits;

use std::time::Duration;

use smol::Task;
use smol::channel::{Receiver, Sender, bounded};
use smol::future::zip;

use super::account::{self, Plan, Refused, Started};
use super::history::History;
use super::outside::Outside;
use super::staff::{Guard, Workplace};
use super::uptime::Record;
use crate::agent::purse::Purse;
use crate::agent::sessions::{self, Sessions};
use crate::agent::{Desk, store::Store};
use crate::base::{Instant, Wall, limits};
use crate::channels::discord::{Board, View, stem};
use crate::core::chat::ChannelKind;
use crate::core::health::{self, Vital};
use crate::core::permit::Permits;
use crate::core::router::Rules;
use crate::core::supervise::{self, Act, Ended, Monitor};
use crate::core::uptime::State;
use crate::ops::config::{self, Config, Dirs, Env};
use crate::proto::discord::gateway::Ask;
use crate::rt::clock;
use crate::rt::executor::{Spawner, Tier};
use senses::Senses;

/// See the module.
pub(super) struct Fleet {
    spawner: Spawner,
    dirs: Dirs,
    desk: Desk,
    store: Store,
    workplace: Workplace,
    /// What the accounts share.
    pub(super) board: Board,
    router: Rules,
    agents: Vec<config::Agent>,
    /// And the ways to what comes with messages, and what listens and speaks.
    senses: Senses,
    permits: Permits,
    /// Told, without a word, when an account's state has changed, or when one has gone.
    changed: Sender<()>,
    left: (Sender<Box<str>>, Receiver<Box<str>>),
    slots: Vec<Slot>,
    /// Whether the process is on its way out, and nothing is to be started any more.
    is_closing: bool,
}

/// One account.
struct Slot {
    plan: Plan,
    /// Whether it is to run: as the configuration says, until somebody says otherwise.
    is_wanted: bool,
    place: supervise::Account,
    body: Body,
    /// What was last said of why it does not run.
    said: Option<(health::Status, String)>,
    monitor: Monitor,
    history: History,
    record: Record,
    /// Who waits until it is where it was told to go.
    waiters: Vec<Sender<()>>,
}

enum Body {
    Absent,
    Running(Box<Started>),
    Leaving { task: Task<()>, then: Then },
}

/// What follows when an account has left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Stay,
    Start,
    Remove,
}

/// What can be asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verb {
    /// Run, if it does not.
    Start,
    /// Leave with close code 1000, and stay away until started.
    Stop,
    /// Leave, and stay away until started; then come back by RESUME.
    Pause,
    /// Leave, and come back by RESUME.
    Restart,
    /// End the session with close code 1000, and come back by IDENTIFY.
    Renew,
}

/// What became of a new configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Changes {
    /// Accounts that are new.
    pub(super) added: Vec<String>,
    /// Accounts whose connection is made anew.
    pub(super) restarted: Vec<String>,
    /// Accounts whose connection stays, with other settings.
    pub(super) applied: Vec<String>,
    /// Accounts that are no longer wanted.
    pub(super) removed: Vec<String>,
}

/// What there is to see of one account.
pub(super) struct Seat<'a> {
    pub(super) name: &'a str,
    pub(super) enabled: bool,
    pub(super) configured: bool,
    pub(super) view: Option<View>,
    pub(super) status: health::Status,
    /// Why it does not run.
    pub(super) why: Option<&'a str>,
    pub(super) history: &'a History,
    pub(super) record: &'a Record,
}

impl Fleet {
    /// The accounts of `config`, none of them started.
    pub(super) fn new(
        spawner: &Spawner,
        dirs: Dirs,
        env: &Env,
        config: &Config,
        guard: Guard,
        changed: Sender<()>,
    ) -> Fleet {
        let slots = Plan::all(config).into_iter();
        let slots = slots.map(|plan| Slot::new(spawner, plan, &dirs)).collect();
        let left = bounded(limits::ACCOUNTS_MAX);
        let workplace = Workplace::new(spawner, &dirs, env, guard);
        let (store, sessions) = (Store::open(spawner, &dirs.state), Sessions::open(&dirs.state));
        let staff = workplace.staff(config);
        let board = Board::open(&dirs.state);
        board.apply(config.router.clone(), config.accounts.iter().map(|a| a.id.as_str()));
        let desk = Desk::keeping(spawner, staff, sessions, Some(store.clone()));
        desk.rule(rules(&config.session));
        desk.apply(config.turns.clone());
        Fleet {
            spawner: spawner.clone(),
            dirs,
            desk,
            store,
            workplace,
            board,
            router: config.router.clone(),
            agents: config.agents.clone(),
            senses: Senses::of(config),
            permits: config.permits(),
            changed,
            left,
            slots,
            is_closing: false,
        }
    }

    /// Starts all that are enabled.
    pub(super) fn start_all(&mut self) {
        for at in 0..self.slots.len() {
            self.start(at);
        }
    }

    /// Does `verb` to `account`, or to all. The future is ready when it is done, and it does not
    /// keep the fleet borrowed.
    ///
    /// # Errors
    /// There is no account of that name.
    pub(super) fn command(
        &mut self,
        verb: Verb,
        account: Option<&str>,
    ) -> Result<impl Future<Output = ()> + use<>, NoSuchAccount> {
        let is_meant = |slot: &Slot| account.is_none_or(|name| slot.plan.discord.id == name);
        let meant: Vec<usize> =
            (0..self.slots.len()).filter(|&at| is_meant(&self.slots[at])).collect();
        if meant.is_empty() && account.is_some() {
            return Err(NoSuchAccount);
        }
        let mut waits = Vec::new();
        for at in meant {
            let (done, wait) = bounded(1);
            self.slots[at].waiters.push(done);
            waits.push(wait);
            self.act(at, verb);
        }
        self.settle();
        Ok(async move {
            for wait in waits {
                // A slot that was removed has gone where it was told to, too.
                let _ = wait.recv().await;
            }
        })
    }

    fn act(&mut self, at: usize, verb: Verb) {
        let ask = if matches!(verb, Verb::Stop | Verb::Renew) { Ask::Stop } else { Ask::Leave };
        let stays = matches!(verb, Verb::Stop | Verb::Pause);
        let then = if stays { Then::Stay } else { Then::Start };
        let slot = &mut self.slots[at];
        slot.is_wanted = !stays;
        match (&mut slot.body, verb) {
            (Body::Running(_), Verb::Start) => slot.wake(),
            (Body::Absent, Verb::Stop | Verb::Pause) => {
                slot.place.ended(clock::now(), Ended::Asked);
            }
            (Body::Absent, _) => self.start(at),
            (Body::Running(_), _) => self.leave(at, ask, then),
            (Body::Leaving { then: next, .. }, _) if *next != Then::Remove => *next = then,
            (Body::Leaving { .. }, _) => {}
        }
    }

    /// Starts the account, or says why not.
    fn start(&mut self, at: usize) {
        let slot = &mut self.slots[at];
        if !matches!(slot.body, Body::Absent) || !slot.is_wanted || self.is_closing {
            return;
        }
        let spawner = match slot.plan.label() {
            Some(label) => self.spawner.labelled(label),
            None => self.spawner.clone(),
        };
        match account::start(
            &spawner,
            &self.dirs,
            &slot.plan,
            (&self.desk, &self.board),
            &self.changed,
        ) {
            Ok(started) => {
                slot.place.start();
                slot.said = None;
                slot.monitor.begin();
                slot.history.begin();
                slot.body = Body::Running(Box::new(started));
            }
            Err(Refused { ended, status, text }) => {
                slot.place.ended(clock::now(), ended);
                // It is tried again every few seconds, and said once. What keeps the process from
                // starting at all is said at its exit.
                let is_first = slot.said.is_none();
                let is_told = slot.said.as_ref().is_some_and(|(_, before)| *before == text);
                let is_left_to_the_exit = is_first && slot.place.is_locked();
                if !is_told && !is_left_to_the_exit {
                    log::error!(target: "discord", "{}{text}", slot.plan.prefix());
                }
                slot.said = Some((status, text));
            }
        }
    }

    /// Sends the account away. Its place stays taken until its socket is gone, which takes
    /// [`limits::DRAIN`] at most.
    fn leave(&mut self, at: usize, ask: Ask, then: Then) {
        let slot = &mut self.slots[at];
        let body = std::mem::replace(&mut slot.body, Body::Absent);
        let Body::Running(started) = body else {
            slot.body = body;
            return;
        };
        slot.history.look(started.account.view().facts(clock::now()), clock::wall());
        slot.history.end(clock::wall());
        let (name, left, changed) =
            (slot.plan.discord.id.as_str().into(), self.left.0.clone(), self.changed.clone());
        let task = self.spawner.spawn(Tier::Work, "leaving", async move {
            started.leave(ask, limits::DRAIN).await;
            // There is room for each account, and each leaves once at a time.
            let _ = left.try_send(name);
            let _ = changed.try_send(());
        });
        slot.body = Body::Leaving { task, then };
    }

    /// Takes in who has gone, and lets happen what was to follow. Called whenever `changed` said
    /// something.
    pub(super) fn look(&mut self) {
        while let Ok(name) = self.left.1.try_recv() {
            self.gone(&name);
        }
        let (now, wall) = (clock::now(), clock::wall());
        for slot in &mut self.slots {
            slot.look(now, wall);
        }
        self.settle();
    }

    fn gone(&mut self, name: &str) {
        let is_meant = |slot: &Slot| slot.plan.discord.id == name;
        let Some(at) = self.slots.iter().position(is_meant) else { return };
        let Body::Leaving { then, .. } = self.slots[at].body else { return };
        self.slots[at].body = Body::Absent;
        match then {
            Then::Stay => self.slots[at].place.ended(clock::now(), Ended::Asked),
            Then::Start => self.start(at),
            Then::Remove => drop(self.slots.remove(at)),
        }
    }

    /// Tells those who wait for an account that is where it was told to go.
    fn settle(&mut self) {
        for slot in &mut self.slots {
            if !matches!(slot.body, Body::Leaving { .. }) {
                for waiter in slot.waiters.drain(..) {
                    let _ = waiter.try_send(());
                }
            }
        }
    }

    /// What the answers of all agents cost.
    pub(super) fn purse(&self) -> Rc<Purse> {
        self.workplace.purse()
    }

    /// Lets `config` hold: what is new is started, what is gone leaves, what has changed so that
    /// its connection cannot stay is restarted, and the rest goes on with other settings.
    pub(super) fn reconcile(&mut self, config: &Config) -> Changes {
        let mut changes = Changes::default();
        self.desk.rule(rules(&config.session));
        let (senses, permits) = (Senses::of(config), config.permits());
        let is_news = self.agents != config.agents || self.permits != permits;
        if is_news || self.senses != senses {
            self.desk.hire(self.workplace.staff(config));
            if is_news || self.senses.media != senses.media {
                changes.applied.push("agents".to_owned());
            }
            if self.senses.outside != senses.outside {
                changes.applied.push("tools".to_owned());
            }
            self.agents.clone_from(&config.agents);
            self.senses = senses;
            self.permits = permits;
        }
        if self.router != config.router {
            self.router = config.router.clone();
            changes.applied.push("router".to_owned());
        }
        self.board.apply(self.router.clone(), config.accounts.iter().map(|a| a.id.as_str()));
        if self.desk.apply(config.turns.clone()) {
            changes.applied.push("messages".to_owned());
        }
        let wanted = Plan::all(config);
        for at in (0..self.slots.len()).rev() {
            let id = &self.slots[at].plan.discord.id;
            if wanted.iter().all(|plan| plan.discord.id != *id) {
                changes.removed.push(id.clone());
                self.remove(at);
            }
        }
        for plan in wanted {
            let id = plan.discord.id.clone();
            let is_meant = |slot: &Slot| slot.plan.discord.id == id;
            match self.slots.iter().position(is_meant) {
                None => {
                    self.slots.push(Slot::new(&self.spawner, plan, &self.dirs));
                    self.start(self.slots.len() - 1);
                    changes.added.push(id);
                }
                Some(at) if self.slots[at].plan == plan => {}
                Some(at) => {
                    let is_restarted = self.change(at, plan);
                    let list =
                        if is_restarted { &mut changes.restarted } else { &mut changes.applied };
                    list.push(id);
                }
            }
        }
        self.settle();
        changes
    }

    /// True if the account's connection does not stay.
    fn change(&mut self, at: usize, plan: Plan) -> bool {
        let slot = &mut self.slots[at];
        let stays = slot.plan.keeps_connection(&plan);
        // Whoever was stopped by hand stays stopped, whatever else changes.
        if slot.plan.discord.enabled != plan.discord.enabled {
            slot.is_wanted = plan.discord.enabled;
        }
        slot.plan = plan;
        let is_wanted = slot.is_wanted;
        match &mut slot.body {
            Body::Running(started) if stays => {
                started.apply(&slot.plan);
                return false;
            }
            Body::Running(_) if is_wanted => self.leave(at, Ask::Leave, Then::Start),
            Body::Running(_) => self.leave(at, Ask::Stop, Then::Stay),
            Body::Leaving { then, .. } => {
                *then = if is_wanted { Then::Start } else { Then::Stay };
            }
            Body::Absent => self.start(at),
        }
        true
    }

    fn remove(&mut self, at: usize) {
        match &mut self.slots[at].body {
            Body::Absent => drop(self.slots.remove(at)),
            Body::Leaving { then, .. } => *then = Then::Remove,
            Body::Running(_) => self.leave(at, Ask::Stop, Then::Remove),
        }
    }

    /// Does what is due. True if an account waits for other files, which are to be read now.
    pub(super) fn due(&mut self, now: Instant) -> bool {
        let mut wants_files = false;
        for at in 0..self.slots.len() {
            match self.slots[at].place.poll(now) {
                Some(Act::Start) => {
                    wants_files = true;
                    self.start(at);
                }
                Some(Act::Look) => wants_files = true,
                None => {}
            }
            self.watch(at, now);
            self.slots[at].note(now, clock::wall());
        }
        wants_files
    }

    /// The health monitor: an account that no longer keeps its own schedule is restarted, by the
    /// way that everybody takes.
    fn watch(&mut self, at: usize, now: Instant) {
        let slot = &mut self.slots[at];
        let Body::Running(started) = &slot.body else { return };
        let is_well = started.account.view().is_well(now);
        if !slot.plan.discord.health_monitor {
            return;
        }
        if let Some(ill) = slot.monitor.look(now, is_well) {
            log::warn!(
                target: "gateway",
                "health-monitor: restarting {}discord (reason: stuck for {} s)",
                slot.plan.prefix(),
                ill.as_secs()
            );
            self.leave(at, Ask::Leave, Then::Start);
        }
    }

    /// When [`due`](Fleet::due) is wanted next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let of = |slot: &Slot| {
            let watch = match slot.body {
                Body::Running(_) if slot.plan.discord.health_monitor => slot.monitor.deadline(),
                _ => None,
            };
            let record = Some(slot.record.deadline());
            [slot.place.deadline(), watch, record].into_iter().flatten().min()
        };
        self.slots.iter().filter_map(of).min()
    }

    /// Sends everybody away, and starts nobody any more. The future is ready when all have gone.
    pub(super) fn close(&mut self, ask: Ask) -> impl Future<Output = ()> + use<> {
        self.is_closing = true;
        let mut tasks = Vec::new();
        for at in 0..self.slots.len() {
            self.leave(at, ask, Then::Stay);
        }
        for mut slot in self.slots.drain(..) {
            slot.record.end(clock::now(), clock::wall());
            if let Body::Leaving { task, .. } = slot.body {
                tasks.push(task);
            }
        }
        let (desk, store) = (self.desk.clone(), self.store.clone());
        async move {
            let accounts = async {
                for task in tasks {
                    task.await;
                }
            };
            // What was asked through no account is answered, too.
            let idle = clock::timeout(clock::now() + limits::DRAIN, desk.idle());
            zip(accounts, idle).await;
            store.close().await;
        }
    }

    /// Whether the process has nothing to do here: other processes run every account.
    pub(super) fn is_superfluous(&self) -> bool {
        let wanted = self.slots.iter().filter(|slot| slot.is_wanted);
        supervise::is_superfluous(&wanted.map(|slot| slot.place).collect::<Vec<_>>())
    }

    /// A process that runs one of our accounts in our stead, if its number is known.
    pub(super) fn other_process(&self) -> Option<u32> {
        self.slots.iter().find_map(|slot| match slot.place {
            supervise::Account::Down { why: Ended::Locked { pid }, .. } => pid,
            _ => None,
        })
    }

    /// Where messages are answered.
    pub(super) fn desk(&self) -> &Desk {
        &self.desk
    }

    /// What agents reach outside.
    pub(super) fn outside(&self) -> &Outside {
        self.workplace.outside()
    }

    /// What was asked and answered.
    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// What there is to see of every account.
    pub(super) fn seats(&self) -> impl Iterator<Item = Seat<'_>> {
        self.slots.iter().map(Slot::seat)
    }

    /// The account of this name, if it runs; without a name, the first that runs.
    pub(super) fn running(&self, account: Option<&str>) -> Option<(&str, &Started)> {
        let is_meant = |slot: &&Slot| account.is_none_or(|name| slot.plan.discord.id == name);
        self.slots.iter().filter(is_meant).find_map(|slot| match &slot.body {
            Body::Running(started) => Some((slot.plan.discord.id.as_str(), &**started)),
            _ => None,
        })
    }

    /// A question to each service whose account runs, whether its token is good.
    pub(super) fn probes(
        &self,
    ) -> Vec<(String, impl Future<Output = Result<String, String>> + use<>)> {
        let running = self.slots.iter().filter_map(|slot| match &slot.body {
            Body::Running(started) => Some((slot.plan.discord.id.clone(), started.account.probe())),
            _ => None,
        });
        running.collect()
    }

    /// How every account that is wanted is, with its proof.
    pub(super) fn vitals(&self) -> Vec<(ChannelKind, Vital)> {
        let shown = self.slots.iter().filter(|slot| slot.is_shown());
        shown.map(|slot| (ChannelKind::Discord, slot.vital())).collect()
    }

    /// Whether every channel did what it was to do by now.
    pub(super) fn keeps_schedule(&self, now: Instant) -> bool {
        self.slots.iter().all(|slot| match &slot.body {
            Body::Running(started) => started.account.view().keeps_schedule(now),
            Body::Absent | Body::Leaving { .. } => true,
        })
    }
}

/// What the configuration says of sessions, for the desk.
fn rules(session: &config::Session) -> sessions::Rules {
    let config::Session { scopes, reset, direct, group, thread, discord, inherit } =
        session.clone();
    let inherit = inherit.iter().map(|account| account.as_str().into()).collect();
    sessions::Rules { scopes, reset, direct, group, thread, discord, inherit }
}

/// There is no account of that name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NoSuchAccount;

impl Slot {
    fn new(spawner: &Spawner, plan: Plan, dirs: &Dirs) -> Slot {
        let stem = stem(&plan.discord.id);
        let history = History::open(dirs, &stem);
        let record = Record::open(spawner, dirs, &stem);
        Slot {
            is_wanted: plan.discord.enabled,
            plan,
            place: supervise::Account::default(),
            body: Body::Absent,
            said: None,
            monitor: Monitor::default(),
            history,
            record,
            waiters: Vec::new(),
        }
    }

    /// A parked connection tries again.
    fn wake(&mut self) {
        if let Body::Running(started) = &self.body
            && started.account.parked().is_some()
        {
            started.account.ask(Ask::Resume);
            self.place.start();
        }
    }

    /// A connection that mends itself is left alone; one that is parked waits for another file.
    fn look(&mut self, now: Instant, wall: Wall) {
        self.note(now, wall);
        let Body::Running(started) = &self.body else { return };
        self.history.look(started.account.view().facts(now), wall);
        match started.account.parked() {
            Some(code) if self.place == supervise::Account::Running => {
                self.place.ended(
                    now,
                    match code {
                        4004 => Ended::TokenRefused,
                        4012 => Ended::Outdated,
                        code => Ended::Refused(code),
                    },
                );
            }
            Some(_) => {}
            // Parked no more: the files need not be looked at.
            None => self.place.start(),
        }
    }

    /// Notes whether it is up, and why not.
    fn note(&mut self, now: Instant, wall: Wall) {
        let facts = match &self.body {
            Body::Running(started) => Some(started.account.view().facts(now)),
            _ => None,
        };
        let (state, cause) = match (&self.body, &facts) {
            (_, Some(facts)) if facts.status == health::Status::Connected => (State::Up, ""),
            (Body::Running(_), Some(facts)) if facts.status == health::Status::Connecting => {
                (State::Down, facts.cause.as_deref().unwrap_or("it was starting"))
            }
            (Body::Running(_), facts) => {
                let cause = facts.as_ref().and_then(|facts| facts.cause.as_deref());
                (State::Down, cause.unwrap_or("there was no proof of life"))
            }
            (Body::Leaving { .. }, _) if self.is_wanted => (State::Down, "it was restarted"),
            (Body::Absent, _) if self.is_wanted => {
                let said = self.said.as_ref().map(|(_, text)| text.as_str());
                (State::Down, said.unwrap_or("it was starting"))
            }
            _ if self.plan.discord.enabled => (State::Off, "it was stopped"),
            _ => (State::Off, "it is not enabled"),
        };
        self.record.look(now, wall, state, cause);
    }

    /// One that is switched off in the configuration is nobody's concern.
    fn is_shown(&self) -> bool {
        self.plan.discord.enabled || self.is_wanted || !matches!(self.body, Body::Absent)
    }

    fn vital(&self) -> Vital {
        match (&self.body, &self.said) {
            (Body::Running(started), _) => started.account.view().vital(),
            (Body::Absent, Some((status, _))) => {
                Vital { status: *status, ..Vital::new(Duration::ZERO) }
            }
            (Body::Absent | Body::Leaving { .. }, _) => {
                let status = health::Status::Disconnected;
                Vital { status, ..Vital::new(Duration::ZERO) }
            }
        }
    }

    fn seat(&self) -> Seat<'_> {
        let why = match (&self.body, &self.said) {
            (Body::Running(_), _) => None,
            (Body::Leaving { .. }, _) => Some("it is leaving"),
            (Body::Absent, Some((_, text))) => Some(text.as_str()),
            (Body::Absent, None) if self.plan.discord.enabled => Some("it was stopped"),
            (Body::Absent, None) => Some("it is not enabled"),
        };
        Seat {
            name: &self.plan.discord.id,
            enabled: self.plan.discord.enabled,
            configured: self.plan.discord.token.is_some(),
            view: match &self.body {
                Body::Running(started) => Some(started.account.view()),
                _ => None,
            },
            status: self.vital().status(clock::now()),
            why,
            history: &self.history,
            record: &self.record,
        }
    }
}

#[cfg(test)]
mod tests;
