//! Logging in on the page: a code for a cookie, and the cookie for a connection.
//!
//! The code comes from our command line to the browser in the fragment of a link, which no server
//! and no other page sees. What it is exchanged for is kept by the browser where no script can
//! read it, and goes back only with requests of our own page; a request with it is believed only if
//! its `Origin` is the very host that it asks.

use std::cell::{Cell as Flag, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;
use std::rc::Rc;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use smol::channel::{Receiver, Sender, bounded};

use super::json_answer;
use super::login::{Kept, Logins, Mark, Number};
use crate::base::text::Hex;
use crate::base::{Secret, limits};
use crate::rt::net::server::{Request, Response};
use crate::rt::store::{Cell, Content, Durability};
use crate::rt::{clock, os_bytes};

/// Bytes of a code: nobody guesses 128 bits in two minutes.
const CODE_BYTES: usize = 16;
/// Bytes of what a browser keeps.
const COOKIE_BYTES: usize = 32;
/// What it is called, with the port.
const COOKIE: &str = "barnacle";
/// What the file of the sessions is called.
const FILE: &str = "page.sessions";

/// Lets browsers in.
#[derive(Default)]
pub(crate) struct Reception {
    logins: RefCell<Logins>,
    /// Held for each session with a connection; dropped when the session ends, which ends those.
    guests: RefCell<BTreeMap<Number, Held>>,
    book: OnceCell<Book>,
    /// The port that we listen on, once we do.
    port: Flag<Option<u16>>,
}

/// A channel that never carries anything: what counts is its end.
type Held = (Sender<Infallible>, Receiver<Infallible>);

/// Where sessions outlive the process.
struct Book {
    cell: Cell,
    /// The digest of the gateway's token: another token ends all sessions.
    of: String,
}

/// What is in it.
#[derive(Serialize, Deserialize)]
struct Record {
    of: String,
    sessions: Vec<Kept>,
}

/// A connection by a session; dropping it says that it is over.
pub(crate) struct Visit {
    reception: Rc<Reception>,
    number: Number,
    ended: Receiver<Infallible>,
}

impl Reception {
    /// Goes on with the sessions of the process before, and keeps them in `dir` from now on.
    /// `token` is the gateway's.
    pub(crate) fn open(&self, dir: &Path, token: &Secret, port: Option<u16>) {
        self.port.set(port);
        let of = Hex(digest(&SHA256, token.expose().as_bytes()).as_ref()).to_string();
        let cell = Cell::new(dir, FILE, limits::LOGIN_RECORD_BYTES_MAX);
        let record = match cell.read() {
            Ok(Content::Whole(bytes)) => serde_json::from_slice::<Record>(&bytes).ok(),
            // Whoever was logged in logs in again.
            _ => None,
        };
        if let Some(record) = record.filter(|record| record.of == of) {
            self.logins.borrow_mut().restore(record.sessions, clock::now(), clock::wall());
        }
        // Opened once; a second time would change nothing.
        let _ = self.book.set(Book { cell, of });
    }

    /// The port that we listen on, if we do.
    pub(crate) fn port(&self) -> Option<u16> {
        self.port.get()
    }

    /// A code for one login.
    ///
    /// # Errors
    /// The operating system has no randomness.
    pub(crate) fn code(&self) -> std::io::Result<Secret> {
        let code = Hex(&os_bytes::<CODE_BYTES>()?).to_string();
        self.logins.borrow_mut().offer(mark(&code), clock::now());
        Ok(Secret::new(&code))
    }

    /// `POST /api/login`: a code for a cookie. `None` if the code is not good.
    pub(crate) fn login(&self, request: &Request) -> Option<Response> {
        let code = read_code(&request.body)?;
        let Ok(bytes) = os_bytes::<COOKIE_BYTES>() else {
            return Some(Response::json(503, r#"{"error":"there is no randomness to be had"}"#));
        };
        let cookie = Hex(&bytes).to_string();
        let is_good = self.logins.borrow_mut().redeem(&mark(&code), mark(&cookie), clock::now());
        if !is_good {
            return None;
        }
        log::info!(target: "control", "a browser has logged in{}", from(request));
        self.settle();
        let name = cookie_name(request, COOKIE);
        let set = format!("{name}={cookie}; Path=/; HttpOnly; SameSite=Strict");
        Some(json_answer(200, &json!({ "ok": true })).with("set-cookie", set))
    }

    /// `POST /api/logout`: ends the session, and every connection by it.
    pub(crate) fn logout(&self, request: &Request) -> Response {
        if let Some(cookie) = cookie(request, COOKIE) {
            self.logins.borrow_mut().end(&mark(cookie));
            log::info!(target: "control", "a browser has logged out{}", from(request));
            self.settle();
        }
        let name = cookie_name(request, COOKIE);
        let gone = format!("{name}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
        json_answer(200, &json!({ "ok": true })).with("set-cookie", gone)
    }

    /// Lets a connection in by its cookie, if it comes from our own page.
    pub(crate) fn visit(self: &Rc<Reception>, request: &Request) -> Option<Visit> {
        if !is_own_page(request) {
            return None;
        }
        let number =
            self.logins.borrow_mut().enter(&mark(cookie(request, COOKIE)?), clock::now())?;
        let ended = self.guests.borrow_mut().entry(number).or_insert_with(|| bounded(1)).1.clone();
        self.settle();
        Some(Visit { reception: self.clone(), number, ended })
    }

    /// Ends the connections of sessions that have ended, and writes down those that have not.
    fn settle(&self) {
        let logins = self.logins.borrow();
        self.guests.borrow_mut().retain(|number, _| logins.holds(*number));
        let Some(book) = self.book.get() else { return };
        let sessions = logins.kept(clock::now(), clock::wall());
        let record = Record { of: book.of.clone(), sessions };
        // What cannot be kept costs a login after the next start, and nothing else.
        if let Ok(bytes) = serde_json::to_vec(&record) {
            let _ = book.cell.write(&bytes, Durability::Hot);
        }
    }
}

impl Visit {
    /// Waits until the session ends.
    pub(crate) async fn ended(&self) {
        let _ = self.ended.recv().await;
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.reception.logins.borrow_mut().leave(self.number, clock::now());
        self.reception.settle();
    }
}

/// Whether the request was made by a page that this very host has served.
pub(super) fn is_own_page(request: &Request) -> bool {
    let authority = request.header("origin").and_then(|origin| origin.split_once("://"));
    match (authority, request.header("host")) {
        (Some((_, authority)), Some(host)) => authority.eq_ignore_ascii_case(host),
        _ => false,
    }
}

fn read_code(body: &[u8]) -> Option<String> {
    if body.len() > limits::LOGIN_BODY_BYTES_MAX {
        return None;
    }
    let body: Value = serde_json::from_slice(body).ok()?;
    body["code"].as_str().map(|code| code.trim().to_owned())
}

fn mark(secret: &str) -> Mark {
    let mut mark = [0; 32];
    mark.copy_from_slice(digest(&SHA256, secret.as_bytes()).as_ref());
    mark
}

/// What the cookie is called that begins with `name`. Browsers do not tell ports of one host apart,
/// and there may be gateways on several.
pub(super) fn cookie_name(request: &Request, name: &str) -> String {
    let port = request.header("host").and_then(|host| host.rsplit_once(':'));
    let port = port.and_then(|(_, port)| port.parse::<u16>().ok());
    port.map_or_else(|| name.to_owned(), |port| format!("{name}-{port}"))
}

/// The value of that cookie.
pub(super) fn cookie<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    let name = cookie_name(request, name);
    let pairs = request.header("cookie")?.split(';').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.trim(), value.trim())).find(|(key, _)| *key == name).map(|p| p.1)
}

fn from(request: &Request) -> String {
    request.peer.map_or_else(String::new, |peer| format!(" from {}", peer.ip()))
}
