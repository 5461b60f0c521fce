//! What the loop, the signals and the callers of the control port act on: the configuration, the
//! accounts, and whether the process is to end. Everything here happens at once; what takes time
//! is a task of somebody's.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::rc::Rc;

use serde_json::{Value, json};
use smol::channel::{Receiver, Sender, bounded};

use super::account;
use super::contact::Contact;
use super::cron::Cron;
use super::desk::health;
use super::fleet::{Changes, Fleet, Seat};
use super::hands::Errands;
use super::staff::Guard;
use super::webchat::WebChat;
use crate::agent::tools::Blot;
use crate::base::Instant;
use crate::control::{Facts, Hub, Reception};
use crate::core::ground::Ground;
use crate::core::health::Report;
use crate::ops::config::{self, Broken, Change, Config, Dirs, Env, Loaded, Mistake};
use crate::rt::clock;
use crate::rt::executor::{Snapshot, Spawner, Tier};
use crate::rt::log::{self as logging, Lines};

/// Where the configuration comes from, to read it again.
pub(super) struct Source {
    pub(super) env: Env,
    /// `--config`.
    pub(super) file: Option<PathBuf>,
    pub(super) dirs: Dirs,
    /// `--port`, which beats the file.
    pub(super) port: Option<u16>,
    /// Whether the command line says what is logged.
    pub(super) is_level_fixed: bool,
}

/// The configuration that holds, and what is to be said about it.
pub(super) struct Standing {
    pub(super) config: Config,
    /// The file it came from.
    pub(super) file: Option<PathBuf>,
    pub(super) mistakes: Vec<Mistake>,
    /// What is wrong with the file: then an earlier one holds.
    pub(super) broken: Option<Broken>,
    /// What it says that holds after the next start only.
    pub(super) later: Vec<Change>,
}

/// How the process is to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    /// For good.
    Stop,
    /// And begin again, by RESUME unless `fresh`.
    Restart {
        /// By IDENTIFY.
        fresh: bool,
    },
}

/// See the module.
pub(super) struct House {
    pub(super) source: Source,
    pub(super) lines: Lines,
    pub(super) started: Instant,
    pub(super) draining: Cell<bool>,
    pub(super) ending: Cell<Option<Ending>>,
    /// Wakes the loop, without a word.
    pub(super) changed: (Sender<()>, Receiver<()>),
    standing: RefCell<Standing>,
    pub(super) fleet: RefCell<Fleet>,
    /// Everybody who is connected to the control protocol.
    pub(super) hub: Rc<Hub>,
    /// Lets browsers in.
    pub(super) reception: Rc<Reception>,
    /// Takes the first token.
    pub(super) contact: Rc<Contact>,
    /// Our own chat.
    pub(super) webchat: Rc<WebChat>,
    /// The scheduled jobs.
    pub(super) cron: Cron,
    /// What tools have done.
    pub(super) errands: Rc<Errands>,
    spawner: Spawner,
    /// The conversations, as they were when they were last looked at.
    pub(super) recent: RefCell<health::Recent>,
    /// What this host lacks.
    pub(super) ground: RefCell<Ground>,
    /// The states that were last told.
    told: RefCell<BTreeMap<String, &'static str>>,
}

impl House {
    pub(super) fn new(
        spawner: &Spawner,
        source: Source,
        standing: Standing,
        lines: Lines,
    ) -> Rc<House> {
        let changed = bounded(1);
        let dirs = source.dirs.clone();
        let cron = Cron::open(&dirs);
        let hides = lines.clone();
        let blot: Blot = Rc::new(move |text| hides.blot(text));
        let (env, settings) = (&source.env, &standing.config);
        let errands = Rc::<Errands>::default();
        let hidden = config::hidden(env, source.file.as_deref());
        let guard = Guard { blot, hidden, errands: errands.clone() };
        let fleet = Fleet::new(spawner, dirs, env, settings, guard, changed.0.clone());
        let hub = Rc::new(Hub::new(crate::rt::os_seed().to_be_bytes()));
        let webchat = WebChat::open(spawner, fleet.desk(), fleet.store(), &hub);
        let contact = Contact::new(spawner, &source.dirs);
        let house = Rc::new(House {
            source,
            lines,
            started: clock::now(),
            draining: Cell::new(false),
            ending: Cell::new(None),
            changed,
            standing: RefCell::new(standing),
            fleet: RefCell::new(fleet),
            hub,
            reception: Rc::default(),
            contact,
            webchat,
            cron,
            spawner: spawner.clone(),
            recent: RefCell::default(),
            ground: RefCell::new(Ground::new(crate::ops::made())),
            told: RefCell::default(),
            errands: errands.clone(),
        });
        errands.of(&house);
        house
    }

    /// Wakes the loop, so that it looks at what has changed.
    pub(super) fn nudge(&self) {
        // One nudge that waits is enough.
        let _ = self.changed.0.try_send(());
    }

    /// Asks the process to end, once it has answered what it is being asked.
    pub(super) fn end(&self, ending: Ending) {
        self.ending.set(Some(ending));
        self.nudge();
    }

    /// Works on something that nobody waits for.
    pub(super) fn work(&self, name: &'static str, work: impl Future<Output = ()> + 'static) {
        self.spawner.spawn(Tier::Work, name, work).detach();
    }

    /// What runs tasks.
    pub(super) fn spawner(&self) -> &Spawner {
        &self.spawner
    }

    /// The file that it came from.
    pub(super) fn file(&self) -> Option<PathBuf> {
        self.standing.borrow().file.clone()
    }

    /// The configuration that holds.
    pub(super) fn config(&self) -> std::cell::Ref<'_, Config> {
        std::cell::Ref::map(self.standing.borrow(), |standing| &standing.config)
    }

    /// Reads the configuration and the token files again, and lets them hold as far as they have
    /// changed.
    ///
    /// # Errors
    /// The file cannot be used; what held before still holds.
    pub(super) fn reload(&self) -> Result<(Changes, Vec<Mistake>), Broken> {
        let loaded = match config::load(&self.source.env, self.source.file.as_deref()) {
            Ok(loaded) => loaded,
            Err(broken) => {
                let mut standing = self.standing.borrow_mut();
                // It is looked at every few seconds while an account is parked: said once.
                if standing.broken.as_ref() != Some(&broken) {
                    log::warn!(target: "config", "{broken}; nothing was changed");
                    standing.broken = Some(broken.clone());
                }
                return Err(broken);
            }
        };
        if !self.is_news(&loaded) {
            self.standing.borrow_mut().mistakes.clone_from(&loaded.mistakes);
            return Ok((Changes::default(), loaded.mistakes));
        }
        log::info!(target: "config", "the configuration has changed");
        super::tell_mistakes(&loaded.mistakes);
        super::remember(&self.source.dirs, &loaded);
        let mistakes = loaded.mistakes.clone();
        let changes = self.take_in(loaded);
        for (list, what) in [
            (&changes.added, "started"),
            (&changes.restarted, "starting anew with it"),
            (&changes.applied, "going on with it"),
            (&changes.removed, "leaving"),
        ] {
            if !list.is_empty() {
                log::info!(target: "config", "{what}: {}", list.join(", "));
            }
        }
        self.nudge();
        Ok((changes, mistakes))
    }

    /// Whether `loaded` says anything else than what holds; what holds only after the next start
    /// is told once.
    fn is_news(&self, loaded: &Loaded) -> bool {
        let mut standing = self.standing.borrow_mut();
        let changes = standing.config.changes(&loaded.config);
        let is_later = |change: &&Change| matches!(change, Change::NextStart(_));
        let later: Vec<_> = changes.iter().filter(is_later).cloned().collect();
        if let Some(Change::NextStart(keys)) = later.first()
            && standing.later != later
        {
            log::info!(target: "config", "after the next start: {}", keys.join(", "));
        }
        standing.later.clone_from(&later);
        changes.len() > later.len() || standing.broken.is_some()
    }

    fn take_in(&self, loaded: Loaded) -> Changes {
        let mut standing = self.standing.borrow_mut();
        loaded.config.secrets().iter().for_each(|secret| self.lines.hide(secret));
        let gateway = standing.config.gateway.clone();
        // What the command line says beats the file.
        let level = Some(&loaded.config.log_level)
            .filter(|level| !self.source.is_level_fixed && **level != standing.config.log_level)
            .cloned();
        *standing = Standing {
            config: Config { gateway, ..loaded.config },
            file: loaded.file,
            mistakes: loaded.mistakes,
            broken: None,
            later: std::mem::take(&mut standing.later),
        };
        super::log_into_file(&self.lines, &standing.config);
        if let Some(level) = &level
            && let Err(text) = logging::set_level(level)
        {
            log::warn!(target: "config", "logging.level: {text}");
        }
        self.contact.nudge();
        self.fleet.borrow_mut().reconcile(&standing.config)
    }

    /// Tells whoever is connected of each account whose state has changed since the last look.
    pub(super) fn tell_changes(&self) {
        let fleet = self.fleet.borrow();
        let states: BTreeMap<String, &'static str> =
            fleet.seats().map(|seat| (seat.name.to_owned(), seat.status.name())).collect();
        let before = self.told.replace(states.clone());
        drop(fleet);
        if before == states {
            return;
        }
        for (name, state) in states {
            if before.get(&name) != Some(&state) {
                let event = json!({ "channel": "discord", "accountId": name, "state": state });
                self.hub.tell("channel", &event);
            }
        }
        self.tell_health();
    }

    /// Tells whoever is connected how everything is.
    pub(super) fn tell_health(&self) {
        if self.hub.members() > 0 {
            self.hub.tell_health(&self.facts().health);
        }
    }

    /// What the meter of the thread reads.
    pub(super) fn meter(&self) -> Snapshot {
        self.spawner.meter().snapshot()
    }

    /// What monitors and `status` are told.
    pub(super) fn facts(&self) -> Facts {
        let now = clock::now();
        let fleet = self.fleet.borrow();
        let report = Report::of(fleet.vitals(), self.started, now);
        let accounts: serde_json::Map<String, Value> =
            fleet.seats().map(|seat| (seat.name.to_owned(), seat_json(&seat, now))).collect();
        let meter = self.spawner.meter().snapshot();
        let status = json!({
            "status": report.status.to_string(),
            "version": crate::ops::version(),
            "pid": std::process::id(),
            "bootId": self.hub.boot_id(),
            "uptime": now.since(self.started).as_secs(),
            "lacks": self.ground.borrow().lack().map(|lack| lack.to_string()),
            "config": self.config_json(),
            "channels": {
                "discord": {
                    "status": report.channels.get("discord").map(|status| status.name()),
                    "accounts": accounts,
                },
            },
            "thread": account::thread_json(&meter),
        });
        let channels = health::channels(fleet.seats());
        let health = health::snapshot(&self.config(), &report, &channels, &self.recent.borrow());
        Facts { report, uptime: now.since(self.started), status, health }
    }

    fn config_json(&self) -> Value {
        let standing = self.standing.borrow();
        // A token in the place of a key is told by its path.
        let blotted = |text: String| self.lines.blot(text);
        let mistakes: Vec<String> =
            standing.mistakes.iter().map(|mistake| blotted(mistake.to_string())).collect();
        json!({
            "file": standing.file.as_ref().map(|file| file.display().to_string()),
            "usingLastGood": standing.broken.is_some(),
            "why": standing.broken.as_ref().map(|broken| blotted(broken.to_string())),
            "mistakes": mistakes,
        })
    }

    /// One line for `systemctl status`.
    pub(super) fn line(&self) -> String {
        let report = Report::of(self.fleet.borrow().vitals(), self.started, clock::now());
        let mut line = report.status.to_string();
        for (channel, status) in &report.channels {
            let _ = write!(line, "; {channel} {status}");
        }
        if let Some(lack) = self.ground.borrow().lack() {
            let _ = write!(line, "; {lack}");
        }
        if self.standing.borrow().broken.is_some() {
            line.push_str("; the configuration cannot be used, an earlier one holds");
        }
        line
    }
}

/// All that `status` shows of an account.
fn seat_json(seat: &Seat<'_>, now: Instant) -> Value {
    match &seat.view {
        Some(view) => view.status(now),
        None => json!({ "status": seat.status.name(), "enabled": seat.enabled, "why": seat.why }),
    }
}
