//! First contact, beside the page: what is written down for the console, and the port on the
//! network, which is open only while there is something to set up.

mod card;
mod steps;

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::path::PathBuf;
use std::rc::Rc;

use serde_json::{Value, json};
use smol::channel::{Receiver, Sender, bounded};
use smol::future::or;
use smol::net::TcpListener;

use self::card::Card;
use self::steps::Steps;
use super::house::House;
use crate::base::{Instant, Wall, limits};
use crate::control::{Front, SETUP_PATH, Way, nothing};
use crate::core::setup::{Asked, Standing};
use crate::ops::config::{self, DEFAULT_ACCOUNT, Dirs, Setup};
use crate::ops::state;
use crate::proto::control::{Fault, code};
use crate::rt::clock;
use crate::rt::executor::Spawner;
use crate::rt::net::here::{addresses, host_name};
use crate::rt::net::server::{self, Door, Limits, Request, Response, Rest, Server};

/// Readable for our group, as the control socket is.
const FILE_MODE: u32 = 0o640;

/// See the module.
pub(super) struct Contact {
    pub(super) front: Rc<Front>,
    wake: (Sender<()>, Receiver<()>),
    file: Option<PathBuf>,
    /// What is written there, if anything is.
    written: RefCell<Option<String>>,
    /// The port on the network, while it is open.
    lan: Cell<Option<u16>>,
    /// What was last told as the time of a moment.
    told: Cell<Option<(Instant, Wall)>>,
}

impl Contact {
    pub(super) fn new(spawner: &Spawner, dirs: &Dirs) -> Rc<Contact> {
        Rc::new(Contact {
            front: Front::new(spawner),
            wake: bounded(1),
            file: dirs.hot.as_ref().map(|hot| hot.join(state::CONTACT)),
            written: RefCell::default(),
            lan: Cell::new(None),
            told: Cell::new(None),
        })
    }

    /// Something may have changed that it is about.
    pub(super) fn nudge(&self) {
        // One nudge that waits is enough.
        let _ = self.wake.0.try_send(());
    }

    /// Writes `text` down in place of what was, or takes it away.
    fn write(&self, text: Option<String>) {
        let Some(file) = &self.file else { return };
        if *self.written.borrow() == text {
            return;
        }
        let done = match &text {
            Some(text) => state::replace(file, text.as_bytes(), FILE_MODE),
            None => std::fs::remove_file(file),
        };
        if let (Err(error), Some(_)) = (done, &text) {
            log::warn!(target: "gateway", "{} cannot be written: {error}", file.display());
        }
        self.written.replace(text);
    }

    /// The process is on its way out: whoever comes now waits for the next one.
    pub(super) fn leave(&self) {
        self.write(None);
    }

    /// The time of `until`, told always the same unless the clock was set: what is written down
    /// would change with every look.
    fn wall_of(&self, until: Instant) -> Wall {
        let wall = clock::wall() + clock::now().until(until);
        let is_near = |told: Wall| told.since(wall).max(wall.since(told)) < limits::CLOCK_JUMP;
        match self.told.get() {
            Some((of, told)) if of == until && is_near(told) => told,
            _ => {
                self.told.set(Some((until, wall)));
                wall
            }
        }
    }

    /// Where the page is, for people.
    fn card(&self, house: &House) -> Card {
        let setup = self.front.setup();
        let at = |until| self.wall_of(until);
        let name = host_name();
        let lan = self.lan.get().map(|port| {
            let named = name.iter().map(|name| format!("{name}.local"));
            let hosts = named.chain(addresses().into_iter().map(|address| address.to_string()));
            let hosts = hosts.take(limits::SETUP_ADDRESSES_MAX);
            hosts.map(|host| format!("http://{host}:{port}{SETUP_PATH}")).collect()
        });
        Card {
            code: setup.code().map(|(code, until)| (code.to_string(), at(until))),
            taken_until: setup.session_until().map(at),
            lan: lan.unwrap_or_default(),
            local: house.reception.port(),
            host: name.unwrap_or_else(|| "THIS-HOST".to_owned()),
            is_spent: setup.is_spent(),
            guessers: setup.guessers().collect(),
        }
    }
}

/// Whether an account is wanted, and none has a token.
fn is_needed(house: &House) -> bool {
    let config = house.config();
    let lacks = config.accounts.iter().any(|account| account.enabled)
        && config.accounts.iter().all(|account| account.token.is_none());
    lacks && config.gateway.setup != Setup::Off && !house.draining.get()
}

/// From now on the page is served, as far as there is something to set up.
pub(super) fn open(house: &Rc<House>) {
    house.contact.front.open(Box::new(Steps::new(house)));
}

/// For as long as the process runs.
pub(super) async fn drive(house: Rc<House>) {
    let contact = house.contact.clone();
    // One that was killed may have left something there.
    if let Some(file) = &contact.file {
        let _ = std::fs::remove_file(file);
    }
    let (mut server, mut is_told, mut is_missed) = (None, false, false);
    while !house.draining.get() {
        let standing = contact.front.setup().standing(clock::now());
        let is_live = standing != Standing::Closed;
        if is_live && server.is_none() && house.config().gateway.setup == Setup::Lan {
            server = listen(&house, &mut is_missed).await;
        }
        if !is_live && let Some(server) = server.take() {
            contact.lan.set(None);
            Server::stop(server, Rest::Serve).await;
            log::info!(target: "gateway", "first contact: the port on the network is closed");
        }
        let shows = matches!(standing, Standing::Open | Standing::Taken);
        let card = shows.then(|| contact.card(&house));
        if let Some(card) = &card
            && !std::mem::replace(&mut is_told, true)
        {
            let place = contact.file.as_ref().map(|file| file.display().to_string());
            log::info!(target: "gateway", "{}", card.line(place.as_deref()));
        }
        contact.write(card.map(|card| card.text()));
        wait(&contact, is_live).await;
    }
}

/// Until something may have changed, or something is due.
async fn wait(contact: &Contact, is_live: bool) {
    let nudged = async {
        let _ = contact.wake.1.recv().await;
    };
    let due = contact.front.setup().deadline();
    let timer = async {
        // Addresses come and go without a word.
        let look = is_live.then(|| clock::now() + limits::SETUP_LOOK);
        match due.into_iter().chain(look).min() {
            Some(due) => clock::sleep_until(due).await,
            None => smol::future::pending().await,
        }
    };
    or(nudged, timer).await;
}

/// Opens the port on the network, for nothing but this page.
async fn listen(house: &Rc<House>, is_missed: &mut bool) -> Option<Server> {
    let port = house.config().gateway.setup_port;
    let listener = match TcpListener::bind(("0.0.0.0", port)).await {
        Ok(listener) => listener,
        Err(error) => {
            // It is tried again every few seconds, and said once.
            if !std::mem::replace(is_missed, true) {
                log::warn!(
                    target: "gateway",
                    "first contact: the port {port} (gateway.setupPort) cannot be opened: {error}"
                );
            }
            return None;
        }
    };
    *is_missed = false;
    let port = listener.local_addr().map_or(port, |address| address.port());
    house.contact.lan.set(Some(port));
    log::info!(target: "gateway", "first contact: listening on the network, port {port}");
    let limits = Limits {
        connections: limits::SETUP_CONNECTIONS_MAX,
        body_bytes: limits::SETUP_BODY_BYTES_MAX,
        ..Limits::default()
    };
    let front = house.contact.front.clone();
    let answer = move |request: Request| {
        let front = front.clone();
        async move {
            // Whoever types no path means the page.
            if request.path == "/" && request.method == "GET" {
                return Response::empty(302).with("location", SETUP_PATH);
            }
            front.serve(request, Way::Network).await.unwrap_or_else(nothing)
        }
    };
    Some(server::serve(Door::Tcp(listener), house.spawner(), limits, answer))
}

/// `setup.code`: the code and where it is to be typed, for whoever is at the host.
pub(super) fn code(house: &House, params: &Value) -> Result<Value, Fault> {
    let again = params["again"] == true;
    if let Some(why) = refused(house, again) {
        return Ok(json!({ "open": false, "why": why }));
    }
    let contact = &house.contact;
    let asked = contact.front.ask(again).map_err(|error| {
        Fault::new(code::UNAVAILABLE, format!("there is no randomness to be had: {error}"))
    })?;
    match asked {
        Asked::Good => {
            let mut told = contact.card(house).json();
            told["open"] = true.into();
            Ok(told)
        }
        Asked::Later(wait) => {
            let minutes = wait.as_secs().div_ceil(60);
            let text = format!("so many codes were made that the next has to wait {minutes} min");
            let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            Err(Fault::later(text, wait_ms))
        }
        Asked::Finishing => {
            let why = "the token is there, and a browser goes through the rest";
            Ok(json!({ "open": false, "why": why }))
        }
        Asked::Closed => {
            let config = house.config();
            let with = config.accounts.iter().find(|account| account.token.is_some());
            let why = match with {
                Some(account) => format!(
                    "the account {} has a token (from {}); --again replaces one that first contact \
                     has taken",
                    account.id, account.token_from
                ),
                None => "no account is enabled".to_owned(),
            };
            Ok(json!({ "open": false, "why": why }))
        }
    }
}

/// Why there is no page, whatever the machine says.
fn refused(house: &House, again: bool) -> Option<String> {
    let config = house.config();
    if config.gateway.setup == Setup::Off {
        return Some("gateway.setup is \"off\"".to_owned());
    }
    let mut with = config.accounts.iter().filter(|account| account.token.is_some());
    let taken = config::taken_token(&house.source.dirs);
    let other = with.find(|account| account.id != DEFAULT_ACCOUNT || account.token != taken)?;
    again.then(|| {
        format!(
            "the token of the account {} comes from {}: replace it there",
            other.id, other.token_from
        )
    })
}

/// Wrong codes, and who has sent them.
type Guessers = Vec<(IpAddr, u8)>;
/// A time that is told to people.
type Until = Wall;
