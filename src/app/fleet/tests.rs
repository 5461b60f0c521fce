//! The fleet against the embedded Discord, in one process.

use serde_json::Value;

use super::*;
use crate::base::Secret;
use crate::core::health::Status;
use crate::rt::executor;
use crate::rt::store::tests::Scratch;
use crate::sandbox::{Args, Handle, Options};

/// A fleet of accounts with these names, and the Discord that they live on.
struct Rig {
    fleet: Fleet,
    changed: Receiver<()>,
    sandbox: Handle,
    config: Config,
    _dir: Scratch,
}

impl Rig {
    async fn new(spawner: &Spawner, names: &[&str]) -> Rig {
        let sandbox = super::super::sandbox::start(Options::default(), spawner).await.unwrap();
        let dir = Scratch::new();
        let dirs = Dirs { state: dir.path().into(), hot: None };
        let mut config = Config::usual();
        let usual = config.accounts.remove(0);
        for name in names {
            let mut account = usual.clone();
            account.id = (*name).to_owned();
            account.token = Some(Secret::new(&format!("{name}-{}", dir.path().display())));
            account.api_url = Some(format!("{}/v10", sandbox.urls().api));
            config.accounts.push(account);
        }
        let (change, changed) = bounded(1);
        let mut fleet =
            Fleet::new(spawner, dirs, &Env::default(), &config, Guard::default(), change);
        fleet.start_all();
        Rig { fleet, changed, sandbox, config, _dir: dir }
    }

    fn status(&self, name: &str) -> Status {
        self.fleet.seats().find(|seat| seat.name == name).unwrap().status
    }

    /// Does what the loop does, until `is_so`.
    async fn until(&mut self, what: &str, is_so: impl Fn(&Rig) -> bool) {
        let patience = clock::now() + Duration::from_secs(60);
        while !is_so(self) {
            assert!(clock::now() < patience, "waited in vain for {what}");
            let look = clock::now() + Duration::from_millis(5);
            let _ = clock::timeout(look, self.changed.recv()).await;
            self.fleet.look();
            self.fleet.due(clock::now());
        }
    }

    async fn all_are(&mut self, status: Status) {
        let names: Vec<String> = self.config.accounts.iter().map(|a| a.id.clone()).collect();
        self.until(status.name(), |rig| names.iter().all(|name| rig.status(name) == status)).await;
    }

    /// A number of every bot's, the smallest first.
    fn of_bots(&self, pointer: &str) -> Vec<u64> {
        let state = self.state();
        let bots = state["bots"].as_array().unwrap();
        let mut all: Vec<u64> =
            bots.iter().map(|bot| bot.pointer(pointer).unwrap().as_u64().unwrap()).collect();
        all.sort_unstable();
        all
    }

    fn state(&self) -> Value {
        serde_json::from_str(&self.sandbox.state()).unwrap()
    }
}

#[test]
fn an_account_that_is_parked_leaves_the_others_connected() {
    executor::run(|spawner| async move {
        let mut rig = Rig::new(&spawner, &["one", "two", "three"]).await;
        rig.all_are(Status::Connected).await;
        let bots = rig.state()["bots"].as_array().unwrap().clone();
        let id = bots[1]["id"].as_str().unwrap().parse().unwrap();
        rig.sandbox.inject("close-4004", Args { bot: Some(id), ..Args::default() }).unwrap();
        let is_parked = |rig: &Rig| {
            rig.fleet.seats().filter(|seat| seat.status == Status::AuthRequired).count() == 1
        };
        rig.until("one to be parked", is_parked).await;
        let connected = rig.fleet.seats().filter(|seat| seat.status == Status::Connected).count();
        assert_eq!(connected, 2);
        rig.until("its socket to go", |rig| rig.state()["sockets"]["open"] == 2).await;
        rig.fleet.close(Ask::Leave).await;
    });
}

#[test]
fn one_is_stopped_started_and_renewed_without_the_others_noticing() {
    executor::run(|spawner| async move {
        let mut rig = Rig::new(&spawner, &["one", "two"]).await;
        rig.all_are(Status::Connected).await;
        assert_eq!(rig.fleet.command(Verb::Stop, Some("three")).err(), Some(NoSuchAccount));
        drop(rig.fleet.command(Verb::Stop, Some("one")).unwrap());
        rig.until("one to stop", |rig| rig.status("one") == Status::Disconnected).await;
        rig.until("its socket to go", |rig| rig.state()["sockets"]["open"] == 1).await;
        // Stopped it stays, whatever the health monitor or a parked neighbour makes us look at.
        for _ in 0..20 {
            rig.fleet.look();
            rig.fleet.due(clock::now() + Duration::from_secs(3600));
            assert_eq!(rig.status("one"), Status::Disconnected);
        }
        let mut config = rig.config.clone();
        config.accounts[0].dedup = Duration::from_secs(9);
        config.accounts[0].compress = !config.accounts[0].compress;
        rig.fleet.reconcile(&config);
        assert_eq!(rig.status("one"), Status::Disconnected, "nor whatever else is configured");
        drop(rig.fleet.command(Verb::Start, Some("one")).unwrap());
        rig.all_are(Status::Connected).await;
        assert_eq!(rig.of_bots("/identifies"), [1, 2], "a stop ends the session");
        assert_eq!(rig.of_bots("/sockets/accepted"), [1, 2], "the other stayed as it was");
        drop(rig.fleet.command(Verb::Restart, Some("two")).unwrap());
        rig.until("two to be back", |rig| {
            rig.status("two") == Status::Connected && rig.of_bots("/resumes") == [0, 1]
        })
        .await;
        assert_eq!(rig.of_bots("/sockets/open_max"), [1, 1]);
        assert_eq!(rig.state()["violations"], Value::Array(Vec::new()));
        rig.fleet.close(Ask::Leave).await;
    });
}

#[test]
fn a_new_configuration_touches_only_whom_it_concerns() {
    executor::run(|spawner| async move {
        let mut rig = Rig::new(&spawner, &["one", "two", "three"]).await;
        rig.all_are(Status::Connected).await;
        let mut config = rig.config.clone();
        config.accounts[0].dedup = Duration::from_secs(9);
        config.accounts[1].compress = !config.accounts[1].compress;
        let mut fourth = config.accounts.remove(2);
        (fourth.id, fourth.token) = ("four".to_owned(), Some(Secret::new("the token of four")));
        config.accounts.push(fourth);
        let changes = rig.fleet.reconcile(&config);
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            changes,
            Changes {
                added: names(&["four"]),
                restarted: names(&["two"]),
                applied: names(&["one"]),
                removed: names(&["three"]),
            }
        );
        rig.config = config.clone();
        rig.all_are(Status::Connected).await;
        rig.until("three to go", |rig| rig.fleet.seats().count() == 3).await;
        assert_eq!(rig.of_bots("/sockets/accepted"), [1, 1, 1, 2]);
        assert_eq!(rig.fleet.reconcile(&config), Changes::default(), "nothing new");
        rig.fleet.close(Ask::Leave).await;
    });
}

#[test]
fn whoever_asks_for_restarts_while_it_leaves_gets_one_and_no_second_socket() {
    executor::run(|spawner| async move {
        let mut rig = Rig::new(&spawner, &["one"]).await;
        rig.all_are(Status::Connected).await;
        let mut asked = Vec::new();
        for _ in 0..100 {
            asked.push(spawner.spawn(Tier::Work, "asks", {
                rig.fleet.command(Verb::Restart, Some("one")).unwrap()
            }));
        }
        rig.until("the restart", |rig| rig.state()["bots"][0]["resumes"] == 1).await;
        for ask in asked {
            ask.await;
        }
        let sockets = rig.state()["bots"][0]["sockets"].clone();
        assert_eq!((&sockets["accepted"], &sockets["open_max"]), (&2.into(), &1.into()));
        // Stopped in the middle of a restart, it stays away.
        drop(rig.fleet.command(Verb::Restart, None).unwrap());
        drop(rig.fleet.command(Verb::Stop, None).unwrap());
        rig.until("it to be gone", |rig| rig.state()["sockets"]["open"] == 0).await;
        rig.until("it to have left", |rig| {
            rig.fleet.seats().all(|seat| seat.why == Some("it was stopped"))
        })
        .await;
        rig.fleet.close(Ask::Leave).await;
    });
}
