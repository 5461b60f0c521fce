//! The running program: the control port, the accounts with their agents, and what is to be done
//! when something happens to them.

use std::cell::{Cell, RefCell};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;
use smol::channel::{Receiver, Sender, bounded};
use smol::future::or;
use smol::net::TcpListener;

use super::account::{self, Refused, Started};
use crate::base::{Instant, limits};
use crate::channels::discord::View;
use crate::control::{Control, Facts, Gate};
use crate::core::chat::ChannelKind;
use crate::core::health::{self, Report, Vital};
use crate::core::supervise::{self, Act, Ended};
use crate::ops::config::{self, Broken, Config, Dirs, Env};
use crate::ops::exit::{Exit, Failure};
use crate::ops::state;
use crate::proto::discord::gateway::Ask;
use crate::rt::clock;
use crate::rt::executor::Spawner;
use crate::rt::log::Lines;
use crate::rt::net::server::{self, Door, Limits, Server};
use crate::rt::notify::Notifier;
use crate::rt::signal::{Signal, Signals};

/// Where the configuration comes from, to read it again.
pub(super) struct Source {
    pub(super) env: Env,
    /// `--config`.
    pub(super) file: Option<PathBuf>,
    pub(super) dirs: Dirs,
}

/// What the control port reads.
struct Board {
    started: Instant,
    draining: Cell<bool>,
    /// What there is to see of the account: a running one's own view, or why it does not run.
    account: RefCell<Shown>,
    spawner: Spawner,
}

enum Shown {
    /// There is none.
    Nothing,
    /// It does not run.
    Down(health::Status, String),
    /// It runs.
    Running(View),
}

/// The running program.
pub(super) struct Engine {
    spawner: Spawner,
    source: Source,
    config: Config,
    lines: Lines,
    notifier: Notifier,
    signals: Signals,
    board: Rc<Board>,
    changed: (Sender<()>, Receiver<()>),
    account: Option<Started>,
    place: supervise::Account,
    /// When systemd wants to hear from us, if it watches.
    watchdog_due: Option<Instant>,
    /// What was wrong with the configuration when it was last looked at.
    broken: Option<Broken>,
}

/// What happened.
enum Event {
    Signal(Signal),
    /// The account's state has changed.
    Changed,
    /// The account wants looking after, or systemd wants to hear from us.
    Due,
}

impl Engine {
    pub(super) fn new(
        spawner: &Spawner,
        source: Source,
        config: Config,
        lines: Lines,
    ) -> Result<Engine, Failure> {
        let internal = |error: std::io::Error| {
            Failure::new(Exit::Software, format!("signals cannot be listened for: {error}"), "")
        };
        let notifier = Notifier::open(source.env.path("NOTIFY_SOCKET").as_deref())
            .or_else(|_| Notifier::open(None))
            .map_err(internal)?;
        let board = Board {
            started: clock::now(),
            draining: Cell::new(false),
            account: RefCell::new(Shown::Nothing),
            spawner: spawner.clone(),
        };
        let mut engine = Engine {
            spawner: spawner.clone(),
            source,
            config,
            lines,
            notifier,
            signals: Signals::listen().map_err(internal)?,
            board: Rc::new(board),
            changed: bounded(1),
            account: None,
            place: supervise::Account::default(),
            watchdog_due: None,
            broken: None,
        };
        engine.schedule_watchdog();
        Ok(engine)
    }

    /// Runs until a signal ends it.
    pub(super) async fn run(mut self) -> Result<(), Failure> {
        let server = self.listen().await?;
        self.start();
        if supervise::is_superfluous(&[self.place]) {
            let supervise::Account::Down { why: Ended::Locked { pid }, .. } = self.place else {
                return Ok(());
            };
            return Err(busy(pid));
        }
        self.notifier.ready();
        loop {
            match self.event().await {
                Event::Signal(Signal::Term | Signal::Int) => break,
                Event::Signal(Signal::Usr1) => self.restart_channels(),
                Event::Signal(Signal::Hup) => self.reload().await,
                Event::Changed => self.look_at_account(),
                Event::Due => self.due().await,
            }
        }
        self.drain(server).await;
        Ok(())
    }

    /// The control port comes first: READY means that it listens, and never that a channel is up.
    async fn listen(&self) -> Result<Server, Failure> {
        let token = match &self.config.gateway.token {
            Some(token) => token.clone(),
            None => state::gateway_token(&self.source.dirs)?,
        };
        self.lines.hide(&token);
        let host = if self.config.gateway.lan { "0.0.0.0" } else { "127.0.0.1" };
        let listener =
            TcpListener::bind((host, self.config.gateway.port)).await.map_err(|error| {
                let port = self.config.gateway.port;
                Failure::new(
                    Exit::Unavailable,
                    format!("the control port {host}:{port} cannot be used: {error}"),
                    "another gateway may be running (`barnacle status`); or choose another --port",
                )
            })?;
        if let Ok(address) = listener.local_addr() {
            log::info!(target: "gateway", "listening on http://{address}");
        }
        let (board, doorman, lines) = (self.board.clone(), self.board.clone(), self.lines.clone());
        let control = Rc::new(Control {
            gate: Gate::new(&token, !self.config.gateway.lan),
            facts: Rc::new(move || board.facts()),
            draining: Rc::new(move || doorman.draining.get()),
            lines,
        });
        Ok(server::serve(Door::Tcp(listener), &self.spawner, Limits::default(), move |request| {
            let answer = control.answer(&request);
            async move { answer }
        }))
    }

    async fn event(&mut self) -> Event {
        let due = self.next_due();
        let Engine { signals, changed: (_, changed), .. } = self;
        let signal = async { Event::Signal(signals.next().await) };
        let change = async {
            // The sender lives in the engine, so this cannot end.
            let _ = changed.recv().await;
            Event::Changed
        };
        let wake = async {
            match due {
                Some(due) => clock::sleep_until(due).await,
                None => smol::future::pending().await,
            }
            Event::Due
        };
        or(signal, or(change, wake)).await
    }

    fn next_due(&self) -> Option<Instant> {
        [self.place.deadline(), self.watchdog_due].into_iter().flatten().min()
    }

    /// The ping has a time of its own: an account that keeps us busy must not put it off.
    fn schedule_watchdog(&mut self) {
        let interval = self.source.env.watchdog();
        self.watchdog_due = interval.map(|interval| clock::now() + interval / 3);
    }

    /// Starts the account, or says why not.
    fn start(&mut self) {
        let now = clock::now();
        let discord = &self.config.accounts[0];
        if !discord.enabled {
            self.place.start();
            self.board.account.replace(Shown::Nothing);
            return;
        }
        match account::start(&self.spawner, &self.source.dirs, &self.config, &self.changed.0) {
            Ok(started) => {
                self.place.start();
                self.board.account.replace(Shown::Running(started.account.view()));
                self.account = Some(started);
            }
            Err(refused) => {
                self.place.ended(now, refused.ended);
                let Refused { status, text, .. } = refused;
                // It is tried again every few seconds, and said once. What keeps the process from
                // starting at all is said at its exit.
                let is_told = match self.board.account.replace(Shown::Down(status, text.clone())) {
                    Shown::Down(_, before) => before == text,
                    Shown::Nothing => self.place.is_locked(),
                    Shown::Running(_) => false,
                };
                if !is_told {
                    log::error!(target: "discord", "{text}");
                }
            }
        }
        self.notifier.status(&self.board.line());
    }

    /// A connection that mends itself is left alone; one that is parked waits for another file.
    fn look_at_account(&mut self) {
        let parked = self.account.as_ref().and_then(|started| started.account.parked());
        if let Some(code) = parked {
            let ended = match code {
                4004 => Ended::TokenRefused,
                4012 => Ended::Outdated,
                code => Ended::Refused(code),
            };
            if self.place == supervise::Account::Running {
                self.place.ended(clock::now(), ended);
            }
        } else if self.account.is_some() {
            // Parked no more: the files need not be looked at.
            self.place.start();
        }
        self.notifier.status(&self.board.line());
    }

    async fn due(&mut self) {
        let now = clock::now();
        if self.watchdog_due.is_some_and(|due| due <= now) {
            if self.board.keeps_schedule() {
                self.notifier.watchdog();
            }
            self.schedule_watchdog();
        }
        let act = self.place.poll(now);
        if act.is_some() {
            self.reload().await;
        }
        // Unless the files have changed and it was started with them just now.
        let waits = self.account.is_none() && self.place == supervise::Account::Running;
        if act == Some(Act::Start) && waits {
            self.start();
        }
    }

    /// Reads the configuration and the token files again; if the account's part has changed, the
    /// account is started anew with it.
    async fn reload(&mut self) {
        let loaded = match config::load(&self.source.env, self.source.file.as_deref()) {
            Ok(loaded) => loaded,
            Err(broken) => {
                // It is looked at every few seconds while the account is parked: said once.
                if self.broken.as_ref() != Some(&broken) {
                    log::warn!(target: "config", "{broken}; nothing was changed");
                    self.broken = Some(broken);
                }
                return;
            }
        };
        self.broken = None;
        let fresh = &loaded.config;
        let ours = |config: &Config| {
            (config.accounts[0].clone(), config.agents.clone(), config.ca_file.clone())
        };
        if ours(fresh) == ours(&self.config) {
            return;
        }
        log::info!(target: "config", "the configuration has changed; starting anew with it");
        super::tell_mistakes(&loaded.mistakes);
        super::remember(&self.source.dirs, &loaded);
        if let Some(token) = &fresh.accounts[0].token {
            self.lines.hide(token);
        }
        let port = self.config.gateway.clone();
        self.config = Config { gateway: port, ..loaded.config };
        if let Some(started) = self.account.take() {
            started.leave(Ask::Leave, limits::DRAIN).await;
        }
        self.start();
    }

    fn restart_channels(&mut self) {
        log::info!(target: "gateway", "restarting the channels, as asked by SIGUSR1");
        match &self.account {
            Some(started) => {
                let parked = started.account.parked().is_some();
                started.account.ask(if parked {
                    Ask::Resume
                } else {
                    Ask::Restart { fresh: false }
                });
                self.place.start();
            }
            None => self.start(),
        }
    }

    /// No more accepts, the connection left so that the next process can RESUME it, what is being
    /// answered answered, and all of it in bounded time. A second signal ends it at once.
    async fn drain(mut self, server: Server) {
        log::info!(target: "gateway", "stopping: finishing what is being answered");
        self.notifier.stopping();
        self.board.draining.set(true);
        let account = self.account.take();
        let orderly = async {
            if let Some(started) = account {
                started.leave(Ask::Leave, limits::DRAIN).await;
            }
            server.stop().await;
        };
        let impatient = async {
            loop {
                if matches!(self.signals.next().await, Signal::Term | Signal::Int) {
                    log::warn!(target: "gateway", "asked again: ending at once");
                    return;
                }
            }
        };
        or(orderly, impatient).await;
        log::info!(target: "gateway", "stopped");
    }
}

impl Board {
    fn vitals(&self) -> Option<(ChannelKind, Vital)> {
        let vital = match &*self.account.borrow() {
            Shown::Nothing => return None,
            Shown::Down(status, _) => Vital { status: *status, ..Vital::new(Duration::ZERO) },
            Shown::Running(view) => view.vital(),
        };
        Some((ChannelKind::Discord, vital))
    }

    /// Whether every channel did what it was to do by now. That the loop turned is plain.
    fn keeps_schedule(&self) -> bool {
        match &*self.account.borrow() {
            Shown::Running(view) => view.keeps_schedule(clock::now()),
            Shown::Nothing | Shown::Down(..) => true,
        }
    }

    fn facts(&self) -> Facts {
        let now = clock::now();
        let report = Report::of(self.vitals(), self.started, now);
        let discord = match &*self.account.borrow() {
            Shown::Nothing => json!(null),
            Shown::Down(status, word) => json!({ "status": status.name(), "why": word }),
            Shown::Running(view) => view.status(now),
        };
        let meter = self.spawner.meter().snapshot();
        let status = json!({
            "status": report.status.to_string(),
            "version": crate::ops::version(),
            "pid": std::process::id(),
            "uptime": now.since(self.started).as_secs(),
            "channels": { "discord": discord },
            "thread": account::thread_json(&meter),
        });
        Facts { report, uptime: now.since(self.started), status }
    }

    /// One line for `systemctl status`.
    fn line(&self) -> String {
        let report = Report::of(self.vitals(), self.started, clock::now());
        let mut line = report.status.to_string();
        for (channel, status) in &report.channels {
            let _ = write!(line, "; {channel} {status}");
        }
        line
    }
}

fn busy(pid: Option<u32>) -> Failure {
    let who = pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"));
    Failure::new(
        Exit::Busy,
        format!("{who} on this host already runs the bot with this token"),
        "stop that one first, or give this one another token",
    )
}
