//! One Discord account: a gateway connection, its REST calls, and the messages between them.

mod board;
mod catchup;
mod commands;
mod directory;
mod doors;
mod figures;
mod gateway;
mod journal;
mod lobby;
mod nods;
mod opinions;
mod pairing;
mod person;
mod preflight;
mod read;
mod replies;
mod rest;
mod send;
mod session;
mod settings;
mod speak;
mod talk;
mod trail;
mod wire;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use smol::Task;
use smol::channel::{Receiver, Sender, bounded};

use self::catchup::CatchUp;
use self::commands::Commands;
use self::directory::Shelf;
use self::doors::{Doors, Ledger};
use self::figures::Tallied;
use self::gateway::{GatewayPort, Tools};
use self::journal::Journal;
use self::lobby::Lobby;
use self::opinions::Judging;
use self::pairing::Desk;
use self::rest::{Calls, RestPort};
use self::session::{Keeper, Keeping, Kept};
use self::talk::{Said, Shared, Talk};
use super::drive;
use crate::base::hash::fnv1a;
use crate::base::{End, Instant, Machine as _, Rng, Wall, limits};
use crate::core::answer::Answer;
use crate::core::chat::{ChatId, Request};
use crate::core::health::{self, Vital};
use crate::core::pairing::{Paired, Wrong};
use crate::core::trace::Trace;
use crate::core::turn::Told;
use crate::core::twin::Twin;
use crate::core::why::{self, Drops, Query, Story};
use crate::proto::discord::gateway::{
    Ask, Cause, Config, Gateway, Input, Saved, State, Status, cure,
};
use crate::proto::discord::intents::Intents;
use crate::proto::discord::rest::{Counts, Rest};
use crate::rt::executor::{Pace, Spawner, Tier};
use crate::rt::net::Net;
use crate::rt::net::http::Client;
use crate::rt::store::StoreError;
use crate::rt::{clock, os_seed};

pub(crate) use self::board::Board;
pub(crate) use self::commands::Clerk;
pub(crate) use self::directory::Directory;
pub(crate) use self::figures::Figures;
pub(crate) use self::opinions::Opinions;
pub(crate) use self::person::{FILES as PERSON_FILES, Files as PersonFiles};
use self::replies::{Posting, Replies};
pub(crate) use self::rest::authorized;
pub(crate) use self::session::Cells;
pub(crate) use self::settings::Settings;
pub(crate) use self::speak::{Spoken, Target};
pub(crate) use self::trail::Trail;

/// What the names of an account's files begin with. A name that a file cannot well have is
/// told apart by its hash.
pub(crate) fn stem(account: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    match account {
        "default" => "discord".to_owned(),
        name if name.len() <= limits::ACCOUNT_NAME_BYTES_MAX && name.bytes().all(is_plain) => {
            format!("discord.{name}")
        }
        name => format!("discord.{:016x}", fnv1a(name.bytes())),
    }
}

/// What an account is started with.
pub(crate) struct Setup {
    /// What the gateway machine is told.
    pub(crate) gateway: Config,
    /// Whether those of its privileged intents are left out that are not switched on.
    pub(crate) only_allowed_intents: bool,
    /// The REST API, without a final slash: `https://discord.com/api/v10`.
    pub(crate) api: String,
    /// The account's name, for configuration lines, logs and file names.
    pub(crate) name: Box<str>,
    /// What the accounts of this process share.
    pub(crate) board: Board,
    /// What can change later, by [`Account::apply`].
    pub(crate) settings: Settings,
    /// The way to the network.
    pub(crate) net: Net,
    /// Where the session is kept.
    pub(crate) cells: Cells,
    /// Where the decision trail is kept.
    pub(crate) trail: Trail,
    /// Where what is known of channels is kept.
    pub(crate) directory: Directory,
    /// Where what is remembered of chats is kept.
    pub(crate) opinions: Opinions,
    /// The state directory, for the lists of what was answered and of who is paired.
    pub(crate) state: std::path::PathBuf,
    /// Where messages that are to be answered go …
    pub(crate) requests: Sender<Request>,
    /// … and what agents say comes from.
    pub(crate) told: Receiver<Told>,
    /// The way in to that, for what we say ourselves.
    pub(crate) tell: Sender<Told>,
    /// Carries out what people order.
    pub(crate) clerk: Clerk,
    /// Told, without a word, whenever the state has changed.
    pub(crate) changed: Sender<()>,
}

/// An account that runs until it is told to stop.
pub(crate) struct Account {
    asks: Sender<Ask>,
    settings: Rc<RefCell<Settings>>,
    view: View,
    calls: Calls,
    post: Sender<Posting>,
    tasks: Vec<Task<()>>,
    /// The pre-flight, which nobody waits for.
    report: Task<()>,
    /// What keeps the trail until the first of these is gone, which must be last.
    trail: (Sender<()>, Task<()>),
}

/// What an account remembers of its earlier lives.
struct Memory {
    ledger: Rc<RefCell<Ledger>>,
    log: (Journal, crate::core::journal::Memory),
    desk: Rc<Desk>,
    trail: (Sender<()>, Task<()>),
    deployed: commands::Kept,
    /// What was known of channels, and where more of it is kept.
    channels: (Option<Vec<u8>>, Shelf),
    /// What was said lately and thought of it, and where it is told that it has changed.
    chats: (opinions::Shared, Sender<()>),
    /// What keeps all that, and the list of the paired, until the account leaves.
    keepers: [Task<()>; 3],
}

/// Reads it, and begins to keep the trail.
fn remember(spawner: &Spawner, setup: &Setup, kept: &Kept) -> Result<Memory, StoreError> {
    let stem = stem(&setup.name);
    let (journal, mut told) = Journal::open(&setup.state, &stem)?;
    let desk = Rc::new(Desk::open(&setup.state, &stem, &setup.name)?);
    let mut trace = Trace::new(&setup.name, &path(&setup.name));
    setup.trail.read(&mut trace);
    let (mut ledger, changed) = Ledger::new(std::mem::take(&mut told.answered), trace);
    ledger.remember(kept.newest, kept.gap);
    let ledger = Rc::new(RefCell::new(ledger));
    let (open, over) = bounded(1);
    let keep = setup.trail.clone().run(ledger.clone(), changed, over);
    let trail = (open, spawner.spawn(Tier::Work, "discord trail", keep));
    let deployed = commands::Kept::new(&setup.state, &stem);
    let (known, (shelf, shelving)) = (setup.directory.read(), setup.directory.clone().open());
    let chats: opinions::Shared = Rc::new(RefCell::new(setup.opinions.read()));
    let (stirred, woken) = bounded(1);
    let opinions = setup.opinions.clone().run(chats.clone(), woken);
    let keepers = [
        spawner.spawn(Tier::Work, "discord opinions", opinions),
        spawner.spawn(Tier::Work, "discord pairing", desk.clone().tend()),
        spawner.spawn(Tier::Work, "discord channels", shelving.run()),
    ];
    let (log, channels, chats) = ((journal, told), (known, shelf), (chats, stirred));
    Ok(Memory { ledger, log, desk, trail, deployed, channels, chats, keepers })
}

/// Leaves out of the intents what is not switched on, if somebody is to ask.
async fn only_allowed(config: &mut Config, scout: Option<Calls>) {
    if let Some(scout) = scout
        && let Ok(application) = preflight::application(&scout).await
    {
        config.intents = Intents(config.intents).allowed_by(application.flags).0;
    }
}

/// Keeps the connection from here on.
async fn live(
    mut config: Config,
    scout: Option<Calls>,
    saved: Saved,
    mut port: GatewayPort,
    pace: Pace,
) {
    only_allowed(&mut config, scout).await;
    let mut machine = Gateway::new(config, saved, Rng::new(os_seed()));
    machine.handle(clock::now(), Input::Start { wall: clock::wall() });
    drive(&mut machine, &mut port, pace).await;
}

/// Makes the calls that are asked for from here on.
async fn rest_side(mut port: RestPort, pace: Pace) {
    let mut machine = Rest::new(os_seed());
    drive(&mut machine, &mut port, pace).await;
}

/// What runs beside the connection.
fn beside(
    spawner: &Spawner,
    rest: RestPort,
    (replies, catch_up): (Replies, CatchUp),
    commands: Commands,
    keeping: Keeping,
) -> [Task<()>; 5] {
    [
        spawner.spawn(Tier::Wire, "discord rest", rest_side(rest, spawner.pace())),
        spawner.spawn(Tier::Wire, "discord replies", replies.run()),
        spawner.spawn(Tier::Wire, "discord commands", commands.run()),
        spawner.spawn(Tier::Wire, "discord catch-up", catch_up.run()),
        spawner.spawn(Tier::Work, "discord session", keeping.run()),
    ]
}

/// The place of an account in the configuration.
fn path(account: &str) -> String {
    match account {
        "default" => "channels.discord".to_owned(),
        name => format!("channels.discord.accounts.{name}"),
    }
}

/// When something is due, and how often.
type Beats = (Rc<Cell<Option<Instant>>>, Rc<Cell<Option<Duration>>>);

/// What there is to see of an account. Cheap to clone.
#[derive(Clone)]
pub(crate) struct View {
    status: Rc<RefCell<Status>>,
    ledger: Rc<RefCell<Ledger>>,
    desk: Rc<Desk>,
    twin: Rc<RefCell<Twin>>,
    said: Said,
    /// When the connection wants to act next, and how often the server wanted a heartbeat last.
    beats: Beats,
    tallies: Tallied,
    rest: Rc<Cell<Counts>>,
    /// Our own user id; 0 before it is known.
    me: Rc<Cell<u64>>,
    net: Net,
    /// How the intent filter fares.
    judging: Judging,
}

/// What changes when a connection comes and goes.
pub(crate) struct Facts {
    /// How it is.
    pub(crate) status: health::Status,
    /// Connections that were lost since the start.
    pub(crate) losses: u64,
    /// How the last one ended, or the last try.
    pub(crate) cause: Option<String>,
    /// The close code of that.
    pub(crate) code: Option<u16>,
    /// How long the last outage lasted.
    pub(crate) recovered_in: Option<Duration>,
}

impl Account {
    /// Starts it.
    ///
    /// # Errors
    /// The state directory cannot be used.
    pub(crate) fn start(spawner: &Spawner, setup: Setup) -> Result<Account, StoreError> {
        let (kept, (calls, waiting)) = (setup.cells.read(), Calls::new());
        let Memory { ledger, log, desk, trail, deployed, channels, chats, keepers } =
            remember(spawner, &setup, &kept)?;
        let (status, twin) = (Rc::<RefCell<Status>>::default(), Rc::<RefCell<Twin>>::default());
        let beats = (Rc::new(Cell::new(None)), Rc::new(Cell::new(None)));
        let (net, http) = (setup.net.clone(), Client::new(&setup.net, Tier::Wire));
        let ((asks, asked), (doubt, doubts)) = (bounded(8), bounded(1));
        let rest_port = RestPort::new(http, setup.api, &setup.gateway.token, waiting, doubt);
        let counts = rest_port.counts.clone();
        let (keeper, keeping) = Keeper::new(setup.cells, kept.clone());
        let (settings, tallies) = (Rc::new(RefCell::new(setup.settings)), Tallied::default());
        let (orders, ordered) = bounded(limits::COMMANDS_AT_ONCE_MAX);
        let shared = Shared::new(&ledger, &settings, &calls, kept.me);
        let talk = Talk::new(&shared, log, (setup.requests, orders.clone()), setup.told);
        desk.speak_by(talk.post.clone());
        let doors = Doors {
            orders,
            desk: desk.clone(),
            spoken: RefCell::default(),
            memory: chats.0.clone(),
            stirred: chats.1,
            lobby: RefCell::new(Lobby::new(calls.clone())),
            room: talk.ends.room.clone(),
            board: setup.board.join(setup.name, &settings),
            settings: settings.clone(),
            me: kept.me,
            ledger: ledger.clone(),
            requests: talk.admit,
        };
        let tools = Tools {
            net: setup.net.clone(),
            calls: calls.clone(),
            meter: spawner.meter().clone(),
            doors,
            keeper,
            twin: twin.clone(),
            status: status.clone(),
            mask: Rng::new(os_seed()),
            changed: setup.changed,
            due: beats.0.clone(),
            interval: beats.1.clone(),
            tallies: tallies.clone(),
            talk: talk.ends,
            channels,
        };
        let (port, config) = (GatewayPort::new(tools, asked, doubts), setup.gateway);
        let report = preflight::report(calls.clone(), Intents(config.intents), ledger.clone());
        let scout = setup.only_allowed_intents.then(|| calls.clone());
        let (said, rest, me) = (talk.said, counts, shared.me);
        let judging = Judging::new(&settings, chats.0, config.intents);
        let view =
            View { status, ledger, desk, twin, said, beats, tallies, rest, me, net, judging };
        let helpers = (setup.clerk, setup.tell);
        let commands = Commands::new(ordered, &calls, helpers, &view, &settings, deployed);
        let gateway = live(config, scout, kept.saved, port, spawner.pace());
        let gateway = spawner.spawn(Tier::Pulse, "discord gateway", gateway);
        let report = spawner.spawn(Tier::Wire, "discord pre-flight", report);
        let said = (talk.replies, talk.catch_up);
        let others = beside(spawner, rest_port, said, commands, keeping);
        let tasks = [gateway].into_iter().chain(others).chain(keepers).collect();
        Ok(Account { asks, settings, view, calls, post: talk.post, tasks, report, trail })
    }

    /// Asks the connection for something.
    pub(crate) fn ask(&self, ask: Ask) {
        // It is asked a few times a day; a queue that is full has said enough.
        let _ = self.asks.try_send(ask);
    }

    /// Lets `settings` hold from the next message on.
    pub(crate) fn apply(&self, settings: Settings) {
        self.settings.replace(settings);
    }

    /// Asks the service whose bot the token is. The future does not borrow the account.
    pub(crate) fn probe(&self) -> impl Future<Output = Result<String, String>> + use<> {
        let calls = self.calls.clone();
        async move {
            let application = preflight::application(&calls).await;
            drop(calls);
            match application {
                Ok(application) => Ok(application.bot.map_or(application.id, |bot| bot.username)),
                Err(failure) => Err(format!("Discord gave no good answer: {failure:?}")),
            }
        }
    }

    /// Says something of our own accord, once for each `key`, and waits for its end. The future
    /// does not borrow the account.
    pub(crate) fn speak(
        &self,
        target: Target,
        answer: Answer,
        key: Box<str>,
    ) -> impl Future<Output = Result<Spoken, String>> + use<> {
        speak::speak(self.calls.clone(), self.post.clone(), target, answer, key)
    }

    /// The newest messages of a chat. The future does not borrow the account.
    pub(crate) fn read(
        &self,
        chat: u64,
        count: usize,
        since: Option<Wall>,
        deadline: Instant,
    ) -> impl Future<Output = Result<read::Read, String>> + use<> {
        read::read(self.calls.clone(), chat, (count, since), deadline)
    }

    /// Where a chat is: the server around it, and of a thread the channel. The future does not
    /// borrow the account.
    pub(crate) fn around(
        &self,
        chat: u64,
        deadline: Instant,
    ) -> impl Future<Output = Result<(Option<u64>, Option<u64>), String>> + use<> {
        read::around(self.calls.clone(), chat, deadline)
    }

    /// Writes something down about a message that is being answered.
    pub(crate) fn note(&self, chat: ChatId, id: u64, step: crate::core::trace::Step) {
        self.view.ledger.borrow_mut().note(chat, id, step);
    }

    /// The close code for which it is parked.
    pub(crate) fn parked(&self) -> Option<u16> {
        self.view.status.borrow().parked
    }

    /// What there is to see of it.
    pub(crate) fn view(&self) -> View {
        self.view.clone()
    }

    /// Leaves the connection in the way of `ask`, lets replies that are under way arrive, and ends.
    /// What is dropped half-way is still answered after the next start.
    pub(crate) async fn leave(self, ask: Ask) {
        self.ask(ask);
        let Account { tasks, asks, calls, report, view, trail: (keeps, trail), .. } = self;
        view.desk.close();
        // The REST side ends when nobody can ask it for anything any more.
        drop((asks, calls, report));
        for task in tasks {
            task.await;
        }
        drop(keeps);
        trail.await;
    }
}

impl View {
    /// What became of messages, the newest first.
    pub(crate) fn why(&self, query: Query) -> Vec<Story> {
        self.ledger.borrow().trace.why(query)
    }

    /// How often messages were dropped, by reason.
    pub(crate) fn drops(&self) -> Vec<Drops> {
        self.ledger.borrow().trace.drops_told()
    }

    /// What `/why` says in `chat`.
    pub(crate) fn why_here(&self, chat: ChatId) -> String {
        why::sentence(&self.ledger.borrow().trace, chat)
    }

    /// Who is paired, and who waits to be.
    pub(crate) fn pairing(&self) -> Value {
        self.desk.list()
    }

    /// Lets in whoever has the code that somebody typed.
    ///
    /// # Errors
    /// Nobody is let in.
    pub(crate) async fn approve(&self, typed: &str) -> Result<Paired, Wrong> {
        self.desk.approve(typed).await
    }

    /// Sends a paired person away. False if there is none with this number.
    pub(crate) async fn revoke(&self, author: u64) -> bool {
        self.desk.revoke(author).await
    }

    /// How it is, with its proof.
    pub(crate) fn vital(&self) -> Vital {
        let status = self.status.borrow();
        let word = match status.state {
            State::Disconnected => health::Status::Disconnected,
            State::Connecting => health::Status::Connecting,
            State::Connected => health::Status::Connected,
            State::Reconnecting => health::Status::Reconnecting,
            State::AuthRequired => health::Status::AuthRequired,
            State::Error => health::Status::Error,
        };
        // While it is away, the last known rhythm tells how old a proof may be.
        let interval = self.beats.1.get().unwrap_or(limits::HEARTBEAT_INTERVAL_MAX);
        let age_max = interval + limits::ACK_DEADLINE_MAX + limits::PROOF_SLACK;
        Vital { status: word, proof: status.proof, proof_age_max: age_max }
    }

    /// Whether what the connection was to do by now was done: the watchdog's question. An outage
    /// elsewhere does not change the answer.
    pub(crate) fn keeps_schedule(&self, now: Instant) -> bool {
        self.beats.0.get().is_none_or(|due| now.since(due) < limits::SCHEDULE_SLACK)
    }

    /// Whether it does what it should, as far as that can be seen from outside: it keeps its
    /// schedule, and does not take itself for connected without proof.
    pub(crate) fn is_well(&self, now: Instant) -> bool {
        let vital = self.vital();
        let is_deluded = vital.status == health::Status::Connected
            && vital.status(now) != health::Status::Connected;
        self.keeps_schedule(now) && !is_deluded
    }

    /// What the last try ran into, while the next one is waited for.
    pub(crate) fn waits_after(&self) -> Option<End> {
        let status = self.status.borrow();
        match (status.next_try, status.last_end) {
            (Some(_), Some(Cause::End(end))) => Some(end),
            _ => None,
        }
    }

    /// What changes when a connection comes and goes.
    pub(crate) fn facts(&self, now: Instant) -> Facts {
        let vital = self.vital();
        let status = self.status.borrow();
        Facts {
            status: vital.status(now),
            losses: status.counters.closes.total(),
            cause: status.last_end.map(|end| end.to_string()),
            code: status.last_end.map(Cause::code),
            recovered_in: status.recovered_in,
        }
    }

    /// How old its last proof of life is.
    pub(crate) fn proof_age(&self, now: Instant) -> Option<Duration> {
        self.status.borrow().proof.map(|proof| now.since(proof))
    }

    /// What a person has to do, if it can do nothing itself.
    pub(crate) fn cure(&self) -> Option<&'static str> {
        self.status.borrow().parked.and_then(cure)
    }

    /// When a message last came in.
    pub(crate) fn last_inbound(&self) -> Option<Wall> {
        self.ledger.borrow().trace.knocks().map(|knock| knock.line.at).max()
    }

    /// The last heartbeats, the oldest first.
    pub(crate) fn beats(&self) -> Vec<(Wall, Duration)> {
        self.tallies.borrow().beats.iter().copied().collect()
    }

    /// Ends by close code, since the start.
    pub(crate) fn closes(&self) -> Vec<(u16, u64)> {
        self.status.borrow().counters.closes.iter().collect()
    }

    /// All that `status` shows of it.
    pub(crate) fn status(&self, now: Instant) -> Value {
        let status = self.status.borrow();
        let ledger = self.ledger.borrow();
        let age = |at: Option<Instant>| at.map(|at| now.since(at).as_secs_f64());
        let (counters, rest) = (&status.counters, self.rest.get());
        let closes: serde_json::Map<String, Value> =
            counters.closes.iter().map(|(code, count)| (code.to_string(), count.into())).collect();
        let drops: serde_json::Map<String, Value> =
            ledger.trace.drops().map(|(_, name, count)| (name.into(), count.into())).collect();
        json!({
            "status": self.vital().status(now).name(),
            "me": Some(self.me.get()).filter(|&me| me != 0).map(|me| me.to_string()),
            "since": now.since(status.since).as_secs_f64(),
            "lastProofAge": age(status.proof),
            "heartbeat": {
                "intervalMs": status.interval.map(millis),
                "rttMs": status.rtt.map(millis),
                "sent": counters.beats.sent,
                "acked": counters.beats.acked,
                "lateMaxMs": millis(counters.beats.late_max),
            },
            "connects": counters.connects,
            "dials": counters.dials,
            "identifies": counters.identifies,
            "resumes": {
                "asked": counters.resumes.asked,
                "accepted": counters.resumes.accepted,
                "refused": counters.resumes.refused,
                "swallowed": counters.resumes.swallowed,
            },
            "identifyBudget": {
                "remaining": status.budget.map(|budget| budget.remaining),
                "total": status.budget.map(|budget| budget.total),
                "ownIn24h": status.identifies_of_day,
            },
            "disconnects": { "total": counters.closes.total(), "byCode": closes },
            "proxy": self.net.proxy().map(ToString::to_string),
            "anotherInstance": self.twin.borrow().suspicion(now).map(|sign| sign.to_string()),
            "dialsByRememberedAddress": self.net.by_memory(),
            "strikes": status.strikes,
            "failures": status.failures,
            "nextTryIn": status.next_try.map(|at| now.until(at).as_secs_f64()),
            "lastEnd": status.last_end.map(|end| end.to_string()),
            "parkedBy": status.parked,
            "cure": status.parked.and_then(cure),
            "recoveredIn": status.recovered_in.map(|span| span.as_secs_f64()),
            "rest": {
                "calls": rest.calls,
                "failed": rest.failed,
                "retried": rest.retried,
                "limited": rest.limited,
                "invalid": rest.invalid,
            },
            "events": {
                "delivered": counters.delivered,
                "duplicates": counters.duplicates,
                "unreadable": counters.unreadable,
            },
            "messages": self.said.messages(&ledger, &drops),
            "journal": self.said.journal(),
            "intentFilter": self.judging.status(),
        })
    }
}

fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}
