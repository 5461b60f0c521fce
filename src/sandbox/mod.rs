//! A small Discord of our own: gateway and REST on loopback, good enough that public client
//! libraries log in to it, with faults that can be injected. `demo`, `drill` and `sandbox` are
//! its faces, and the system tests drive it through the last of them.
//!
//! The world and its sessions are pure; listeners and connections are tasks that share them.

pub mod certificate;
mod control;
mod faults;
mod files;
mod frames;
mod gateway;
mod journal;
mod model;
mod play;
mod rest;
mod session;
mod slash;
mod talk;
#[cfg(test)]
mod tests;
mod watch;
mod world;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_rustls::TlsAcceptor;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use smol::channel::{Receiver, Sender};
use smol::net::TcpListener;

pub use control::stdin;
pub use faults::{Args, Fault, Sees};
pub use files::Upload;
pub use journal::{Event, What};
pub use watch::{Verdict, Watch};

use crate::base::{Instant, Rng, limits};
use crate::rt::clock;
use crate::rt::executor::{Spawner, Tier};
use crate::rt::net::server;
use faults::{Deed, FAULTS, Kick, Order, Orders, Stage};
use gateway::Entrance;
use journal::Journal;
use world::{Draft, Posted, World};

/// How a sandbox is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Port of REST and of the controls; 0 for any that is free.
    pub port: u16,
    /// Port of the gateway; 0 for any that is free.
    pub gateway_port: u16,
    /// The host that its URLs name. It always listens on 127.0.0.1 alone.
    pub host: String,
    /// PEM files of a certificate chain and its key: then REST is https and the gateway wss.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// What HELLO says.
    pub heartbeat: Duration,
    /// How long a session may be offline.
    pub session_ttl: Duration,
    /// The least time between two IDENTIFYs of a bot; those in between are answered by op 9.
    pub identify_spacing: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            port: 0,
            gateway_port: 0,
            host: "127.0.0.1".to_owned(),
            tls: None,
            heartbeat: Duration::from_millis(41_250),
            session_ttl: Duration::from_secs(180),
            identify_spacing: Duration::from_secs(5),
        }
    }
}

/// Starts sandboxes.
#[derive(Clone, Copy, Debug)]
pub struct Sandbox;

impl Sandbox {
    /// Listens, and serves from then on.
    ///
    /// # Errors
    /// A port is taken, or the certificate or key cannot be used.
    pub async fn start(options: Options, spawner: &Spawner) -> io::Result<Handle> {
        let acceptor = options.tls.as_ref().map(acceptor).transpose()?;
        let rest = TcpListener::bind(("127.0.0.1", options.port)).await?;
        let main = TcpListener::bind(("127.0.0.1", options.gateway_port)).await?;
        let resume = TcpListener::bind(("127.0.0.1", 0)).await?;
        let url = |scheme: &str, listener: &TcpListener| -> io::Result<String> {
            let s = if options.tls.is_some() { "s" } else { "" };
            Ok(format!("{scheme}{s}://{}:{}", options.host, listener.local_addr()?.port()))
        };
        let urls = Urls {
            api: format!("{}/api", url("http", &rest)?),
            gateway: url("ws", &main)?,
            resume: url("ws", &resume)?,
        };
        let mut world = World::default();
        world.shelf.url = url("http", &rest)?;
        let shared = Rc::new(Shared {
            options,
            urls,
            spawner: spawner.clone(),
            orders: RefCell::default(),
            world: RefCell::new(world),
            journal: RefCell::default(),
            peers: RefCell::default(),
            connections: Cell::new(0),
            sessions: Cell::new(0),
            changes: RefCell::default(),
            rng: RefCell::new(Rng::new(1)),
            started: clock::now(),
        });
        for (listener, entrance) in [(main, Entrance::Main), (resume, Entrance::Resume)] {
            let task = gateway::listen(shared.clone(), listener, entrance, acceptor.clone());
            spawner.spawn(Tier::Wire, "sandbox", task).detach();
        }
        let door = match acceptor {
            Some(acceptor) => server::Door::Tls(rest, acceptor),
            None => server::Door::Tcp(rest),
        };
        let all = shared.clone();
        let allows = server::Limits { body_bytes: rest::BODY_BYTES_MAX, ..Default::default() };
        let server =
            server::serve(door, spawner, allows, move |request| rest::answer(all.clone(), request));
        Ok(Handle { shared, _server: Rc::new(server) })
    }
}

fn acceptor((chain, key): &(PathBuf, PathBuf)) -> io::Result<TlsAcceptor> {
    let chain = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(io::Error::other)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(io::Error::other)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Where a sandbox is to be found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Urls {
    /// For `DISCORD_API_URL`: clients add `/v10` and the route.
    pub api: String,
    /// What `GET /gateway/bot` names.
    pub gateway: String,
    /// What READY names for RESUME.
    pub resume: String,
}

/// What a person is to say.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Say {
    /// Name or id of a channel; `general` if empty.
    pub channel: String,
    /// To the bot directly, instead.
    pub direct: bool,
    /// Who says it; `ann` if empty.
    pub author: String,
    /// Whether that is another program.
    pub program: bool,
    /// What is said.
    pub text: String,
    /// Whether it begins by mentioning the bot.
    pub mention: bool,
    /// Which bot is meant: its id or name; the one that came last if empty.
    pub bot: String,
    /// The id of a message that it answers.
    pub reference: Option<u64>,
    /// Said in the thread of this name below the channel, which is opened if need be; in the
    /// channel itself if empty.
    pub thread: String,
    /// The author's roles from now on, unless `None`.
    pub roles: Option<Vec<u64>>,
    /// What is attached to it.
    pub files: Vec<Upload>,
}

/// What a flood is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flood {
    /// So many messages …
    pub count: u32,
    /// … of so many bytes of text …
    pub bytes: u64,
    /// … so many per second; 0 for as fast as they are taken.
    pub rate: u32,
}

/// A running sandbox. Cheap to clone; it runs on when the last handle is dropped, but REST stops.
#[derive(Clone, Debug)]
pub struct Handle {
    shared: Rc<Shared>,
    _server: Rc<server::Server>,
}

impl Handle {
    /// Where it is to be found.
    #[must_use]
    pub fn urls(&self) -> &Urls {
        &self.shared.urls
    }

    /// Arms the fault `name`, and plays it at once where it can be.
    ///
    /// # Errors
    /// There is no such fault, or too many are armed; for a person.
    pub fn inject(&self, name: &str, args: Args) -> Result<&'static Fault, String> {
        self.shared.inject(name, args)
    }

    /// Disarms all faults. What has been done to connections stays done.
    pub fn clear(&self) {
        self.shared.clear();
    }

    /// All events from now on.
    #[must_use]
    pub fn events(&self) -> Receiver<Event> {
        self.shared.journal.borrow_mut().listen()
    }

    /// A person says something. Gives the channel's and the message's id.
    ///
    /// # Errors
    /// There is no such channel or bot; for a person.
    pub fn say(&self, say: &Say) -> Result<(u64, u64), String> {
        self.shared.say(say)
    }

    /// What the message `id` in `channel` says, while it is remembered.
    #[must_use]
    pub fn text(&self, channel: u64, id: u64) -> Option<String> {
        let world = self.shared.world.borrow();
        world.message(channel, id).map(|message| message.content.clone())
    }

    /// Sends a flood of messages in `random` until it is through or the task is dropped.
    #[cfg(test)]
    pub fn flood(&self, flood: Flood) -> smol::Task<()> {
        let task = play::flood(self.shared.clone(), flood);
        self.shared.spawner.spawn(Tier::Wire, "sandbox", task)
    }

    /// Everything that is known, in JSON.
    #[must_use]
    #[cfg(test)]
    pub fn state(&self) -> String {
        control::state(&self.shared).to_string()
    }
}

/// The faults that `drill` can play, each with its promise.
#[must_use]
pub fn drills() -> &'static [Fault] {
    FAULTS
}

/// What a connection is told by others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Poke {
    /// Its session has events.
    Events,
    /// Play this.
    Play(Order),
}

/// A connection as others see it.
#[derive(Debug)]
struct Peer {
    pokes: Sender<Poke>,
    bot: Option<u64>,
    live: bool,
}

/// What all tasks of a sandbox share.
#[derive(Debug)]
struct Shared {
    options: Options,
    urls: Urls,
    spawner: Spawner,
    orders: RefCell<Orders>,
    world: RefCell<World>,
    journal: RefCell<Journal>,
    peers: RefCell<BTreeMap<u64, Peer>>,
    /// Connections so far.
    connections: Cell<u64>,
    /// Sessions so far.
    sessions: Cell<u64>,
    /// One for each listener: something about faults has changed.
    changes: RefCell<Vec<Sender<()>>>,
    /// Chance; the same in every run.
    rng: RefCell<Rng>,
    started: Instant,
}

impl Shared {
    /// Notes that something happened just now.
    fn note(&self, connection: u64, bot: Option<u64>, what: What) {
        let event = Event { at: clock::now(), bot, connection, what };
        self.journal.borrow_mut().note(event);
    }

    /// Does something with the world, and wakes the connections that have something to send.
    fn world<T>(&self, with: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.world.borrow_mut();
        let result = with(&mut world);
        for connection in world.sessions.take_wakes() {
            self.poke(connection, Poke::Events);
        }
        result
    }

    /// Tells a connection something. One whose queue is full has something to do anyway, and
    /// looks at its session before it waits again.
    fn poke(&self, connection: u64, poke: Poke) {
        if let Some(peer) = self.peers.borrow().get(&connection) {
            let _ = peer.pokes.try_send(poke);
        }
    }

    /// The fault that is due at `stage`, if any; noted as played.
    fn take(&self, connection: u64, stage: Stage, bot: Option<u64>) -> Option<Order> {
        self.take_in(connection, stage, bot, None)
    }

    /// The same for a call that concerns `channel`.
    fn take_in(
        &self,
        connection: u64,
        stage: Stage,
        bot: Option<u64>,
        channel: Option<u64>,
    ) -> Option<Order> {
        let order = self.orders.borrow_mut().take(clock::now(), stage, bot, channel)?;
        self.note(connection, bot, What::Played(order.fault.name));
        Some(order)
    }

    /// The fault that is armed for `stage`, left as it is.
    fn look(&self, stage: Stage) -> Option<Order> {
        self.orders.borrow().look(clock::now(), stage)
    }

    fn inject(self: &Rc<Shared>, name: &str, args: Args) -> Result<&'static Fault, String> {
        let fault =
            faults::find(name).ok_or_else(|| format!("no fault {name}; `help` lists them all"))?;
        let order = Order::new(clock::now(), fault, args);
        self.note(0, args.bot, What::Armed(fault.name));
        if play::at_once(self, order) {
            return Ok(fault);
        }
        self.orders.borrow_mut().arm(clock::now(), order)?;
        self.tell_listeners();
        match fault.kick {
            _ if args.kick == Some(false) => {}
            Kick::Drop => self.play_to_all(order.doing(Deed::Drop)),
            Kick::Renew => self.play_to_all(order.doing(Deed::Close(4007))),
            Kick::Deafen => self.play_to_all(order.doing(Deed::Deaf)),
            Kick::No if fault.stage == Stage::Live && self.is_any_live(args.bot) => {
                if let Some(order) = self.take(0, Stage::Live, args.bot) {
                    self.play_to_all(order);
                }
            }
            Kick::No => {}
        }
        Ok(fault)
    }

    fn clear(&self) {
        self.orders.borrow_mut().clear();
        self.tell_listeners();
    }

    fn tell_listeners(&self) {
        for listener in self.changes.borrow().iter() {
            let _ = listener.try_send(());
        }
    }

    fn is_any_live(&self, bot: Option<u64>) -> bool {
        let peers = self.peers.borrow();
        peers.values().any(|peer| peer.live && (bot.is_none() || peer.bot == bot))
    }

    fn play_to_all(&self, order: Order) {
        let peers = self.peers.borrow();
        let is_meant = |peer: &&Peer| {
            let is_one = order.args.bot.is_none() || peer.bot == order.args.bot;
            is_one && (peer.live || order.fault.kick != Kick::No)
        };
        for peer in peers.values().filter(is_meant) {
            let _ = peer.pokes.try_send(Poke::Play(order));
        }
    }

    /// Posts `draft` and notes it.
    fn post(&self, draft: Draft) -> Option<Posted> {
        let what = What::Posted {
            channel: draft.channel,
            id: 0,
            author: draft.author,
            by_bot: false,
            reference: draft.reference,
            nonce: draft.nonce.clone(),
        };
        let (author, fleeting) = (draft.author, draft.fleeting);
        let posted = self.world(|world| world.post(clock::wall(), draft))?;
        let is_bot = self.world.borrow().users.get(&author).is_some_and(|user| user.bot);
        let bot = is_bot.then_some(author);
        match (posted, what) {
            (Posted::Before(id), _) => self.note(0, bot, What::Deduplicated { id }),
            (Posted::New(id), What::Posted { channel, author, reference, nonce, .. })
                if !fleeting =>
            {
                let what = What::Posted { channel, id, author, by_bot: is_bot, reference, nonce };
                self.note(0, bot, what);
            }
            _ => {}
        }
        Some(posted)
    }

    /// See [`Handle::say`].
    fn say(&self, say: &Say) -> Result<(u64, u64), String> {
        let name = if say.author.is_empty() { "ann" } else { &say.author };
        let full = || "there are too many people or channels".to_owned();
        let author = self.world.borrow_mut().writer(name, say.program).ok_or_else(full)?;
        if let Some(roles) = &say.roles
            && let Some(user) = self.world.borrow_mut().users.get_mut(&author)
        {
            user.roles.clone_from(roles);
        }
        let bot = self.bot_called(&say.bot);
        let channel = self.place(say, author)?;
        let content =
            if say.mention { format!("<@{}> {}", bot?, say.text) } else { say.text.clone() };
        let (reference, files) = (say.reference, say.files.clone());
        let draft = Draft { channel, author, content, reference, files, ..Draft::default() };
        match self.post(draft) {
            Some(Posted::New(id) | Posted::Before(id)) => Ok((channel, id)),
            None => Err("no such channel".to_owned()),
        }
    }

    /// Where something is to be said.
    fn place(&self, say: &Say, author: u64) -> Result<u64, String> {
        let full = || "there are too many people or channels".to_owned();
        if say.direct {
            let bot = self.bot_called(&say.bot)?;
            let opened = self.world(|world| world.direct(clock::wall(), bot, author));
            return opened.ok_or_else(full);
        }
        let name = if say.channel.is_empty() { "general" } else { &say.channel };
        let found = self.world.borrow().channel_called(name);
        let channel = found.ok_or_else(|| format!("no channel {name}"))?;
        if say.thread.is_empty() {
            return Ok(channel);
        }
        let there = self.world.borrow().thread_called(channel, &say.thread);
        let open = || self.world(|world| world.thread(clock::wall(), channel, &say.thread, None));
        there.or_else(open).ok_or_else(full)
    }

    /// Somebody uses a slash command where `say` says; its text is the name, and what follows that
    /// the first option. Gives the interaction's id.
    fn slash(&self, say: &Say) -> Result<u64, String> {
        let full = || "there are too many people or channels".to_owned();
        let name = if say.author.is_empty() { "ann" } else { &say.author };
        let author = self.world.borrow_mut().person(name).ok_or_else(full)?;
        if let Some(roles) = &say.roles
            && let Some(user) = self.world.borrow_mut().users.get_mut(&author)
        {
            user.roles.clone_from(roles);
        }
        let bot = self.bot_called(&say.bot)?;
        let channel = self.place(say, author)?;
        let text = say.text.trim_start_matches('/');
        let (command, option) = text.split_once(' ').unwrap_or((text, ""));
        let (command, option) = (command.to_owned(), option.to_owned());
        let wanted = slash::Use { bot, author, channel, command, option };
        self.world(|world| world.use_command(clock::wall(), &wanted)).ok_or_else(full)
    }

    /// The author of `say` puts its text under `message`, or takes it away.
    fn react(&self, say: &Say, message: u64, on: bool) -> Result<(), String> {
        let name = if say.author.is_empty() { "ann" } else { &say.author };
        let full = || "there are too many people or channels".to_owned();
        let author = self.world.borrow_mut().person(name).ok_or_else(full)?;
        if say.text.is_empty() {
            return Err("which emoji?".to_owned());
        }
        let holds = |world: &World| {
            let mut places = world.channels.values();
            let place = places.find(|place| place.messages.iter().any(|it| it.id == message));
            place.map(|place| place.id)
        };
        let channel = holds(&self.world.borrow()).ok_or("no such message")?;
        let done = self.world(|world| world.react(author, channel, message, &say.text, on));
        done.ok_or_else(|| "no such message".to_owned())
    }

    /// The bot with this id or name; the one that identified last if `name` is empty.
    fn bot_called(&self, name: &str) -> Result<u64, String> {
        let world = self.world.borrow();
        let journal = self.journal.borrow();
        let last = journal.tallies().max_by_key(|(_, tally)| tally.identified_at);
        if name.is_empty() {
            return last.map(|(bot, _)| bot).ok_or_else(|| "no bot has come yet".to_owned());
        }
        let mut bots = world.users.values().filter(|user| user.bot);
        let found = bots.find(|user| user.name == name || user.id.to_string() == name);
        found.map(|user| user.id).ok_or_else(|| format!("no bot {name}"))
    }

    /// The number of one more connection.
    fn next_connection(&self) -> u64 {
        self.connections.set(self.connections.get() + 1);
        self.connections.get()
    }

    /// The number of one more session. No sandbox of another process gives the same.
    fn next_session(&self) -> u64 {
        self.sessions.set(self.sessions.get() + 1);
        u64::from(std::process::id()) << 32 | self.sessions.get()
    }

    /// How many connections there may still be.
    fn has_room(&self) -> bool {
        self.peers.borrow().len() < limits::SANDBOX_CONNECTIONS_MAX
    }
}
