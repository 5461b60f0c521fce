//! Where the gateway is asked: the control port, and the Unix socket beside it.

use std::io;
use std::net::ToSocketAddrs as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::pin::Pin;
use std::rc::Rc;

use smol::future::zip;
use smol::net::TcpListener;

use super::completions::Completions;
use super::contact;
use super::desk::{Clerk, health};
use super::house::House;
use super::metrics;
use crate::base::{Secret, limits};
use crate::control::{Control, Gate, Lock, Rules};
use crate::ops::config::{Gateway, Mode};
use crate::ops::exit::{Exit, Failure};
use crate::ops::state;
use crate::rt::executor::Spawner;
use crate::rt::net::kept::Kept;
use crate::rt::net::server::{self, Door, Limits, Rest, Server};
use crate::rt::net::unix;
use crate::rt::notify::Notifier;

/// Readable and writable for us and our group.
const SOCKET_MODE: u32 = 0o660;

/// Where both may be kept for the next process.
const NAMES: [&str; 2] = ["control-port", "control-socket"];

/// Both, open.
pub(super) struct Ports {
    servers: Vec<Server>,
    doors: Vec<Door>,
    house: Rc<House>,
    name: Option<unix::Name>,
}

impl Ports {
    /// Opens both. Without the port we do not run; without the socket we do.
    ///
    /// Sockets that an earlier process has left are taken over, with the clients that wait in them;
    /// and the service manager keeps them for the next one.
    pub(super) fn open(
        spawner: &Spawner,
        house: &Rc<House>,
        mut kept: Kept,
        notifier: &Notifier,
    ) -> Result<Ports, Failure> {
        let gateway = house.config().gateway.clone();
        let lock = lock(house, &gateway)?;
        let host = if gateway.lan { "0.0.0.0" } else { "127.0.0.1" };
        let port = house.source.port.unwrap_or(gateway.port);
        let listener = listen(host, port, &mut kept).map_err(|error| {
            Failure::new(
                Exit::Unavailable,
                format!("the control port {host}:{port} cannot be used: {error}"),
                "another gateway may be running (`barnacle status`); or choose another --port",
            )
        })?;
        let address = listener.local_addr().ok();
        if let Some(address) = address {
            log::info!(target: "gateway", "listening on http://{address}");
        }
        let dirs = &house.source.dirs;
        let dir = dirs.hot.as_deref().unwrap_or(&dirs.state);
        // Another credential ends the logins of browsers.
        let nothing = Secret::new("");
        let secret = lock.secret().unwrap_or(&nothing);
        house.reception.open(dir, secret, address.map(|address| address.port()));
        let (facts, doorman, clerk) = (house.clone(), house.clone(), house.clone());
        let counted = house.clone();
        contact::open(house);
        let control = Rc::new(Control {
            gate: Gate::new(lock, rules(&gateway), !gateway.lan),
            facts: Rc::new(move || facts.facts()),
            metrics: Rc::new(move || metrics::families(&counted)),
            draining: Rc::new(move || doorman.draining.get()),
            hub: house.hub.clone(),
            desk: Rc::new(Clerk { house: clerk }),
            reception: house.reception.clone(),
            oracle: Box::new(Completions {
                house: house.clone(),
                spawner: spawner.clone(),
                slots: Rc::default(),
            }),
            front: house.contact.front.clone(),
            spawner: spawner.clone(),
        });
        health::beat(house);
        let (socket, name) = socket(house, &mut kept).unzip();
        let doors: Vec<Door> = [Some(Door::Tcp(listener)), socket].into_iter().flatten().collect();
        for (name, door) in NAMES.iter().zip(&doors) {
            // Another socket may be kept there, of another address.
            notifier.forget(name);
            if let Ok(socket) = door.socket() {
                notifier.keep(name, socket.as_fd());
            }
        }
        let servers = doors.iter().map(|door| serve(door.clone(), spawner, control.clone()));
        let servers = servers.collect();
        Ok(Ports { servers, doors, house: house.clone(), name })
    }

    /// Tells everybody who is connected that we go.
    pub(super) fn say_goodbye(&self) {
        self.house.hub.shut_down();
    }

    /// Accepts no more, and lets answers finish in bounded time. Both are left open for the next
    /// process; whoever connects meanwhile waits for it.
    pub(super) async fn leave(self) -> Vec<OwnedFd> {
        let sockets = self.doors.iter().filter_map(|door| door.socket().ok()).collect();
        stop(self.servers, Rest::Leave).await;
        if let Some(name) = self.name {
            name.leave();
        }
        sockets
    }

    /// Accepts no more, lets answers finish in bounded time, and closes both.
    pub(super) async fn close(self, notifier: &Notifier) {
        for name in NAMES {
            notifier.forget(name);
        }
        drop(self.doors);
        stop(self.servers, Rest::Serve).await;
    }
}

/// What callers are asked for. A port that would be open to everybody is not opened at all.
fn lock(house: &House, gateway: &Gateway) -> Result<Lock, Failure> {
    if let Some((text, cure)) = gateway.fault() {
        return Err(Failure::new(Exit::Config, text, cure));
    }
    let dirs = &house.source.dirs;
    let lock = match (gateway.mode, gateway.token.clone(), gateway.password.clone()) {
        (Mode::Open, ..) => Lock::Open,
        (Mode::Password, _, Some(password)) => Lock::Password(password),
        (_, Some(token), _) => Lock::Token(token),
        (_, None, _) => Lock::Token(state::gateway_token(dirs)?),
    };
    if let Some(secret) = lock.secret() {
        house.lines.hide(secret);
    }
    Ok(lock)
}

fn rules(gateway: &Gateway) -> Rules {
    let (attempts, window, lockout) = gateway.rate;
    Rules { attempts, window, lockout }
}

/// Both at the same time.
async fn stop(servers: Vec<Server>, rest: Rest) {
    let mut all: Pin<Box<dyn Future<Output = ()>>> = Box::pin(async {});
    for server in servers {
        all = Box::pin(async move {
            zip(all, server.stop(rest)).await;
        });
    }
    all.await;
}

fn listen(host: &str, port: u16, kept: &mut Kept) -> io::Result<TcpListener> {
    let address = (host, port).to_socket_addrs()?.next().ok_or(io::ErrorKind::NotFound)?;
    let listener = match kept.tcp(address) {
        Some(listener) => listener,
        None => std::net::TcpListener::bind(address)?,
    };
    rustix::net::listen(&listener, limits::LISTEN_BACKLOG)?;
    TcpListener::try_from(listener)
}

fn socket(house: &House, kept: &mut Kept) -> Option<(Door, unix::Name)> {
    let path = state::control_socket(&house.source.env, &house.source.dirs);
    let opened = match kept.unix(&path) {
        Some(listener) => unix::adopt(&path, listener),
        None => unix::bind(&path, SOCKET_MODE),
    };
    match opened {
        Ok((listener, name)) => {
            log::debug!(target: "gateway", "listening on {}", path.display());
            Some((Door::Unix(listener), name))
        }
        Err(error) => {
            log::warn!(
                target: "gateway",
                "the control socket {} cannot be used ({error}); the command line asks by the port",
                path.display()
            );
            None
        }
    }
}

fn serve(door: Door, spawner: &Spawner, control: Rc<Control>) -> Server {
    server::serve(door, spawner, Limits::default(), move |request| control.clone().serve(request))
}
