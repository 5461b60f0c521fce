//! The running program: the control port, the accounts with their agents, and what is to be done
//! when something happens to them.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use smol::future::{or, zip};

use super::contact;
use super::cron;
use super::fleet::Verb;
use super::ground;
use super::house::{Ending, House, Source, Standing};
use super::ports::Ports;
use crate::base::{Instant, limits};
use crate::ops::exit::{Exit, Failure};
use crate::proto::discord::gateway::Ask;
use crate::rt::clock;
use crate::rt::executor::Spawner;
use crate::rt::log::Lines;
use crate::rt::net::kept::Kept;
use crate::rt::notify::Notifier;
use crate::rt::signal::{Signal, Signals};

/// The running program.
pub(super) struct Engine {
    spawner: Spawner,
    house: Rc<House>,
    notifier: Notifier,
    signals: Signals,
    /// Listening sockets that an earlier process has left.
    kept: Kept,
    /// When systemd wants to hear from us, if it watches.
    watchdog_due: Option<Instant>,
}

/// How it ended, and what is left for the next process.
pub(super) struct Left {
    pub(super) ending: Ending,
    /// The sockets that listen still.
    pub(super) sockets: Vec<OwnedFd>,
}

/// What happened.
enum Event {
    Signal(Signal),
    /// An account's state has changed, or somebody asked for something.
    Changed,
    /// An account wants looking after, or systemd wants to hear from us.
    Due,
}

impl Engine {
    pub(super) fn new(
        spawner: &Spawner,
        source: Source,
        standing: Standing,
        lines: Lines,
        kept: Kept,
    ) -> Result<Engine, Failure> {
        let internal = |error: std::io::Error| {
            Failure::new(Exit::Software, format!("signals cannot be listened for: {error}"), "")
        };
        let notifier = Notifier::open(source.env.path("NOTIFY_SOCKET").as_deref())
            .or_else(|_| Notifier::open(None))
            .map_err(internal)?;
        let mut engine = Engine {
            spawner: spawner.clone(),
            house: House::new(spawner, source, standing, lines),
            notifier,
            signals: Signals::listen().map_err(internal)?,
            kept,
            watchdog_due: None,
        };
        engine.schedule_watchdog();
        Ok(engine)
    }

    /// Runs until a signal, or somebody at the control port, ends it.
    pub(super) async fn run(mut self) -> Result<Left, Failure> {
        // The ports come first: READY means that they listen, and never that a channel is up.
        let kept = std::mem::take(&mut self.kept);
        let ports = Ports::open(&self.spawner, &self.house, kept, &self.notifier)?;
        super::person::finish(&self.house).await;
        self.house.fleet.borrow_mut().start_all();
        self.look_for_others()?;
        self.house.work("first contact", contact::drive(self.house.clone()));
        self.house.work("cron", cron::drive(self.house.clone()));
        self.house.work("ground", ground::drive(self.house.clone()));
        self.notifier.ready();
        let ending = loop {
            self.notifier.status(&self.house.line());
            if let Some(ending) = self.house.ending.get() {
                break ending;
            }
            match self.event().await {
                Event::Signal(Signal::Term | Signal::Int) => break Ending::Stop,
                Event::Signal(Signal::Usr1) => self.restart_channels(),
                // What is wrong with the file was said.
                Event::Signal(Signal::Hup) => drop(self.house.reload()),
                Event::Changed => {
                    self.house.fleet.borrow_mut().look();
                    self.house.tell_changes();
                }
                Event::Due => self.due(),
            }
            self.feed_watchdog();
        };
        let sockets = self.drain(ports, ending).await;
        Ok(Left { ending, sockets })
    }

    /// Fails if other processes run every account.
    fn look_for_others(&self) -> Result<(), Failure> {
        let fleet = self.house.fleet.borrow();
        if fleet.is_superfluous() { Err(busy(fleet.other_process())) } else { Ok(()) }
    }

    async fn event(&mut self) -> Event {
        let due = [self.house.fleet.borrow().deadline(), self.watchdog_due];
        let due = due.into_iter().flatten().min();
        let Engine { signals, house, .. } = self;
        let signal = async { Event::Signal(signals.next().await) };
        let change = async {
            // The sender lives in the house, so this cannot end.
            let _ = house.changed.1.recv().await;
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

    /// The ping has a time of its own: an account that keeps us busy must not put it off.
    fn schedule_watchdog(&mut self) {
        let interval = self.house.source.env.watchdog();
        self.watchdog_due =
            interval.map(|interval| clock::now() + interval / limits::WATCHDOG_FEEDS);
    }

    /// What systemd hears is that the loop turned and every channel kept its schedule; there is no
    /// timer that says so by itself. A channel that does not keep it is restarted by the health
    /// monitor first, and takes the process with it only if that did not help.
    fn feed_watchdog(&mut self) {
        let now = clock::now();
        if self.watchdog_due.is_some_and(|due| due <= now) {
            if self.house.fleet.borrow().keeps_schedule(now) {
                self.notifier.watchdog();
            }
            self.schedule_watchdog();
        }
    }

    fn due(&mut self) {
        let now = clock::now();
        let wants_files = self.house.fleet.borrow_mut().due(now);
        if wants_files {
            // What is wrong with the file was said.
            drop(self.house.reload());
        }
    }

    fn restart_channels(&mut self) {
        log::info!(target: "gateway", "restarting the channels, as asked by SIGUSR1");
        // Nobody waits for it, and with no name there is no account to be unknown.
        drop(self.house.fleet.borrow_mut().command(Verb::Restart, None));
    }

    /// Whether nobody will listen after us. A service manager that ends us by a signal may start
    /// us again, and closes by itself what it keeps if it does not.
    fn is_for_good(&self, ending: Ending) -> bool {
        let is_asked = self.house.ending.get().is_some();
        ending == Ending::Stop && (is_asked || !self.house.source.env.is_managed())
    }

    /// The connection left so that the next process can RESUME it, clients left to wait for it,
    /// what is being answered answered, and all of it in bounded time. A second signal ends it at
    /// once.
    async fn drain(mut self, ports: Ports, ending: Ending) -> Vec<OwnedFd> {
        let word = if ending == Ending::Stop { "stopping" } else { "restarting" };
        log::info!(target: "gateway", "{word}: finishing what is being answered");
        self.notifier.stopping();
        self.house.draining.set(true);
        self.house.contact.leave();
        ports.say_goodbye();
        let is_fresh = ending == Ending::Restart { fresh: true };
        let ask = if is_fresh { Ask::Stop } else { Ask::Leave };
        let gone = self.house.fleet.borrow_mut().close(ask);
        let is_for_good = self.is_for_good(ending);
        let notifier = &self.notifier;
        let orderly = async {
            if is_for_good {
                // Nobody else will answer: until the last moment probes are told that we drain.
                gone.await;
                ports.close(notifier).await;
                return Vec::new();
            }
            zip(gone, ports.leave()).await.1
        };
        let signals = &mut self.signals;
        let impatient = async {
            loop {
                if matches!(signals.next().await, Signal::Term | Signal::Int) {
                    log::warn!(target: "gateway", "asked again: ending at once");
                    return Vec::new();
                }
            }
        };
        let sockets = or(orderly, impatient).await;
        log::info!(target: "gateway", "stopped");
        sockets
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_units_have_the_watchdog_wait_as_long_as_the_health_monitor_may_need() {
        for unit in [
            include_str!("../../systemd/barnacle.service"),
            include_str!("../../systemd/barnacle-user.service"),
        ] {
            let wait = unit.lines().find_map(|line| line.strip_prefix("WatchdogSec="));
            assert_eq!(wait, Some(limits::WATCHDOG.as_secs().to_string().as_str()));
        }
    }
}
