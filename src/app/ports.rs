//! Where the gateway is asked: the control port, and the Unix socket beside it.

use std::rc::Rc;

use smol::net::TcpListener;

use super::desk::{Clerk, health};
use super::house::House;
use crate::base::Secret;
use crate::control::{Control, Gate, Lock, Rules};
use crate::ops::config::{Gateway, Mode};
use crate::ops::exit::{Exit, Failure};
use crate::ops::state;
use crate::rt::executor::Spawner;
use crate::rt::net::server::{self, Door, Limits, Server};
use crate::rt::net::unix;

/// Readable and writable for us and our group.
const SOCKET_MODE: u32 = 0o660;

/// Both, open.
pub(super) struct Ports {
    servers: Vec<Server>,
    house: Rc<House>,
    _name: Option<unix::Name>,
}

impl Ports {
    /// Opens both. Without the port we do not run; without the socket we do.
    pub(super) async fn open(spawner: &Spawner, house: &Rc<House>) -> Result<Ports, Failure> {
        let gateway = house.config().gateway.clone();
        let lock = lock(house, &gateway)?;
        let host = if gateway.lan { "0.0.0.0" } else { "127.0.0.1" };
        let port = house.source.port.unwrap_or(gateway.port);
        let listener = TcpListener::bind((host, port)).await.map_err(|error| {
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
        let control = Rc::new(Control {
            gate: Gate::new(lock, rules(&gateway), !gateway.lan),
            facts: Rc::new(move || facts.facts()),
            draining: Rc::new(move || doorman.draining.get()),
            hub: house.hub.clone(),
            desk: Rc::new(Clerk { house: clerk }),
            reception: house.reception.clone(),
            spawner: spawner.clone(),
        });
        health::beat(house);
        let (socket, name) = socket(house).unzip();
        let doors = [Some(Door::Tcp(listener)), socket].into_iter().flatten();
        let servers = doors.map(|door| serve(door, spawner, control.clone())).collect();
        Ok(Ports { servers, house: house.clone(), _name: name })
    }

    /// Tells everybody who is connected that we go.
    pub(super) fn say_goodbye(&self) {
        self.house.hub.shut_down();
    }

    /// Accepts no more, and lets answers finish in bounded time.
    pub(super) async fn close(self) {
        for server in self.servers {
            server.stop().await;
        }
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

fn socket(house: &House) -> Option<(Door, unix::Name)> {
    let path = state::control_socket(&house.source.env, &house.source.dirs);
    match unix::bind(&path, SOCKET_MODE) {
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
    server::serve(door, spawner, Limits::default(), move |request| {
        let answer = control.answer(&request);
        async move { answer }
    })
}
