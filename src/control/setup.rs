//! First contact by the page `/setup`: a code for a cookie, and by the cookie one step after the
//! other. While there is nothing to set up there is nothing here, and once the token is handed
//! over only for whoever has begun.
//!
//! | path | who may | answer |
//! |---|---|---|
//! | `/setup` | whoever may see the page | the page |
//! | `/setup/state` | the same | the step; with the cookie, all that there is to see at it |
//! | `/setup/code` | the page | a code for a cookie |
//! | `/setup/token` | the page, with the cookie | tries a token, and puts it to use |
//! | `/setup/next` | the same | goes on to the next step |
//! | `/setup/switch` | the same | asks Discord for the intents that are off |
//! | `/setup/say` | the same | says something in a channel |
//!
//! A page of another site must not ask any of this on behalf of its reader: the host that is asked
//! must be named by an address or by a name that is this host's for sure, what is posted must come
//! from a page of that very host and be JSON, and the cookie goes along with nothing else.

use std::cell::{Cell, OnceCell, RefCell};
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::Pin;
use std::rc::Rc;

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use smol::channel::bounded;

use super::reception::{cookie, cookie_name, is_own_page};
use super::{json_answer, page};
use crate::base::text::Hex;
use crate::base::{Secret, limits};
use crate::core::setup::{Asked, Mark, Setup, Standing, Step, Tried};
use crate::rt::executor::{Spawner, Tier};
use crate::rt::net::here::host_name;
use crate::rt::net::server::{Request, Response};
use crate::rt::{clock, os_bytes};

/// Where all of it is.
pub(crate) const PATH: &str = "/setup";
/// What the cookie is called, with the port.
const COOKIE: &str = "barnacle-setup";
/// Bytes of what the browser keeps.
const COOKIE_BYTES: usize = 32;

/// What was asked for cannot be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Trouble {
    /// What is wrong, in a sentence.
    pub(crate) text: String,
    /// What helps; empty if nothing is known.
    pub(crate) cure: String,
}

/// What takes its time.
pub(crate) type Work = Pin<Box<dyn Future<Output = Result<Value, Trouble>>>>;

/// Does what the steps are about.
pub(crate) trait Host {
    /// Whether an account is wanted, and none has a token.
    fn is_needed(&self) -> bool;
    /// The control port, by which the page is reached in a safer way.
    fn port(&self) -> Option<u16>;
    /// What is shown at the host may have changed.
    fn changed(&self);
    /// Finds out whether Discord takes the token.
    fn check(&self, token: &Secret) -> Work;
    /// Keeps the token, and has it used from now on.
    fn keep(&self, token: &Secret) -> Work;
    /// What there is to see at a step.
    fn facts(&self, step: Step) -> Work;
    /// Asks Discord to switch on the intents that are off.
    fn switch_on(&self) -> Work;
    /// Says something in this channel.
    fn say(&self, channel: u64) -> Work;
}

/// See the module.
pub(crate) struct Front {
    setup: RefCell<Setup>,
    host: OnceCell<Box<dyn Host>>,
    spawner: Spawner,
    /// Whether a token is being tried.
    is_busy: Cell<bool>,
}

/// A way in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// The control port.
    Control,
    /// The port on the network that is only for this.
    Network,
}

/// Whether `path` is about this at all.
pub(crate) fn is_meant(path: &str) -> bool {
    path.strip_prefix(PATH).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Front {
    /// Closed, until there is a [`Host`].
    pub(crate) fn new(spawner: &Spawner) -> Rc<Front> {
        Rc::new(Front {
            setup: RefCell::default(),
            host: OnceCell::new(),
            spawner: spawner.clone(),
            is_busy: Cell::new(false),
        })
    }

    /// From now on `host` does what the steps are about.
    pub(crate) fn open(&self, host: Box<dyn Host>) {
        // It is opened once, when the ports are.
        let _ = self.host.set(host);
    }

    /// The machine, with everything done that is due.
    pub(crate) fn setup(&self) -> std::cell::Ref<'_, Setup> {
        if let (Some(host), Ok(chance)) = (self.host.get(), os_bytes::<8>()) {
            let (is_needed, chance) = (host.is_needed(), u64::from_ne_bytes(chance));
            self.setup.borrow_mut().look(clock::now(), is_needed, chance);
        }
        self.setup.borrow()
    }

    /// Somebody at the host wants the code. With `again`, although there is a token.
    ///
    /// # Errors
    /// There is no randomness to be had.
    pub(crate) fn ask(&self, again: bool) -> std::io::Result<Asked> {
        drop(self.setup());
        let chance = u64::from_ne_bytes(os_bytes::<8>()?);
        let asked = self.setup.borrow_mut().ask(clock::now(), again, chance);
        self.tell();
        Ok(asked)
    }

    fn tell(&self) {
        if let Some(host) = self.host.get() {
            host.changed();
        }
    }

    /// The answer to `request`, if there is anything here for whoever asks.
    pub(crate) async fn serve(self: Rc<Front>, request: Request, way: Way) -> Option<Response> {
        let standing = self.setup().standing(clock::now());
        if standing == Standing::Closed || !is_meant(&request.path) {
            return None;
        }
        // On the network it is called by that name (multicast DNS).
        let name = host_name().map(|name| format!("{name}.local"));
        if !is_known(request.header("host"), name.as_deref()) {
            let name = name.as_deref().unwrap_or("localhost");
            let text = format!("by this name nothing is answered: ask by the address, or {name}");
            return Some(refusal(403, &text, ""));
        }
        let mark = cookie(&request, COOKIE).map(mark_of);
        let step = mark.and_then(|mark| self.setup().enter(clock::now(), &mark));
        if standing == Standing::Finishing && step.is_none() {
            return None;
        }
        let answer = match (request.method.as_str(), request.path.as_str()) {
            ("GET" | "HEAD", PATH | "/setup/") => return Some(page::SETUP.answer(&request)),
            ("GET", "/setup/state") => self.state(standing, step, way).await,
            ("POST", path) => match posted(&request) {
                Err(refused) => refused,
                Ok(body) => self.post(path, &request, body, mark.zip(step)).await,
            },
            _ => refusal(405, "only GET is answered here, and what the page posts", ""),
        };
        Some(page::guarded(answer).with("cache-control", "no-store"))
    }

    async fn post(
        self: &Rc<Front>,
        path: &str,
        request: &Request,
        body: Value,
        session: Option<(Mark, Step)>,
    ) -> Response {
        if path == "/setup/code" {
            return self.enter(request, body["code"].as_str().unwrap_or_default());
        }
        let Some((mark, step)) = session else {
            let text = "this browser has not typed the code, or took longer than half an hour";
            return refusal(401, text, "type the code that holds now");
        };
        match path {
            "/setup/token" => self.take(mark, step, body).await,
            "/setup/next" => {
                let from = body["from"].as_str().and_then(Step::named);
                let is_done = from
                    .is_some_and(|from| self.setup.borrow_mut().passed(clock::now(), &mark, from));
                self.tell();
                json_answer(200, &json!({ "ok": is_done }))
            }
            "/setup/switch" if step > Step::Token => self.host(|host| host.switch_on()).await,
            "/setup/say" if step > Step::Token => {
                let channel = body["channel"].as_str().and_then(|id| id.parse().ok());
                match channel {
                    Some(channel) => self.host(|host| host.say(channel)).await,
                    None => refusal(400, "that is no channel", ""),
                }
            }
            _ => refusal(404, "there is nothing here", ""),
        }
    }

    /// What there is to see: for who has opened nothing, that a code is wanted.
    async fn state(&self, standing: Standing, step: Option<Step>, way: Way) -> Response {
        let now = clock::now();
        let is_plain = way == Way::Network;
        let port = self.host.get().and_then(|host| host.port());
        let Some(step) = step else {
            let until = self.setup().code().map(|(_, until)| now.until(until).as_secs());
            let is_taken = standing == Standing::Taken;
            let body = json!({
                "step": "code", "taken": is_taken, "readable": is_plain, "port": port,
                "secondsLeft": until,
            });
            return json_answer(200, &body);
        };
        let until = self.setup().session_until().map(|until| now.until(until).as_secs());
        let Some(host) = self.host.get() else { return refusal(503, "not yet", "") };
        let facts = host.facts(step).await;
        let mut body = facts
            .unwrap_or_else(|trouble| json!({ "trouble": trouble.text, "cure": trouble.cure }));
        body["step"] = step.name().into();
        body["readable"] = is_plain.into();
        body["port"] = port.into();
        body["secondsLeft"] = until.into();
        json_answer(200, &body)
    }

    /// A code for a cookie.
    fn enter(&self, request: &Request, typed: &str) -> Response {
        let Ok(bytes) = os_bytes::<COOKIE_BYTES>() else {
            return refusal(503, "there is no randomness to be had", "try again");
        };
        let cookie = Secret::new(&Hex(&bytes).to_string());
        let peer = request.peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.ip());
        let (now, mark) = (clock::now(), mark_of(cookie.expose()));
        let tried = self.setup.borrow_mut().attempt(now, peer, typed, mark);
        if !matches!(tried, Tried::Malformed) {
            self.tell();
        }
        let another = "`barnacle setup` on the machine makes another at once";
        match tried {
            Tried::Right => {
                log::info!(target: "control", "first contact: the right code came from {peer}");
                let set = format!(
                    "{}={}; Path={PATH}; Max-Age={}; HttpOnly; SameSite=Strict",
                    cookie_name(request, COOKIE),
                    cookie.expose(),
                    limits::SETUP_SESSION_TTL.as_secs(),
                );
                json_answer(200, &json!({ "ok": true })).with("set-cookie", set)
            }
            Tried::Wrong { left } => {
                log::warn!(target: "control", "first contact: a wrong code came from {peer}");
                let text = match left {
                    0 => "That is not the code, and no try is left.".to_owned(),
                    1 => "That is not the code. One try is left.".to_owned(),
                    left => format!("That is not the code. {left} tries are left."),
                };
                refusal(401, &text, if left == 0 { another } else { "" })
            }
            Tried::Malformed => {
                let text = "That is no code: it has 8 letters and digits, without I, O, 0 and 1.";
                refusal(400, text, "look at it again; this one did not count")
            }
            Tried::Spent { until } => {
                let seconds = now.until(until).as_secs() + 1;
                let text = format!(
                    "Too many wrong codes came: none is looked at for {} min, and then there is \
                     another.",
                    seconds.div_ceil(60)
                );
                refusal(429, &text, another).with("retry-after", seconds.to_string())
            }
            Tried::Taken => {
                let text = "Another browser has typed the code already.";
                refusal(409, text, "if that was not you, run `barnacle setup` on the machine")
            }
            Tried::Closed => refusal(404, "there is nothing here", ""),
        }
    }

    /// Tries a token and puts it to use, whether or not the browser waits for it.
    async fn take(self: &Rc<Front>, mark: Mark, step: Step, body: Value) -> Response {
        if step > Step::Token {
            return json_answer(200, &json!({ "ok": true }));
        }
        if self.is_busy.replace(true) {
            return refusal(409, "A token is being tried already.", "wait a moment");
        }
        let (front, (tell, told)) = (self.clone(), bounded(1));
        let work = async move {
            let answer = front.taken(mark, &body).await;
            front.is_busy.set(false);
            front.tell();
            let _ = tell.try_send(answer);
        };
        self.spawner.spawn(Tier::Work, "first contact", work).detach();
        told.recv().await.unwrap_or_else(|_| refusal(503, "the gateway is on its way down", ""))
    }

    async fn taken(&self, mark: Mark, body: &Value) -> Response {
        let typed = body["token"].as_str().unwrap_or_default().trim();
        let token = Secret::new(typed.strip_prefix("Bot ").unwrap_or(typed).trim());
        if let Some(text) = unlike(token.expose()) {
            let cure = "in the developer portal: the application, Bot, Reset Token, Copy";
            return refusal(400, &text, cure);
        }
        if !self.setup.borrow_mut().try_token(clock::now(), &mark) {
            let text = "So many tokens were tried that no more are.";
            return refusal(429, text, "run `barnacle setup` on the machine, and begin again");
        }
        let Some(host) = self.host.get() else { return refusal(503, "not yet", "") };
        let bot = match host.check(&token).await {
            Ok(bot) => bot,
            Err(Trouble { text, cure }) => return refusal(422, &text, &cure),
        };
        let holds = self.setup.borrow().enter(clock::now(), &mark).is_some();
        if !holds {
            return refusal(401, "That took too long.", "type the code that holds now");
        }
        if let Err(Trouble { text, cure }) = host.keep(&token).await {
            return refusal(500, &text, &cure);
        }
        // Nothing is between the two: whoever looks finds both done.
        if !self.setup.borrow_mut().settled(clock::now(), &mark) {
            return refusal(401, "The token is kept, but this took too long.", "");
        }
        json_answer(200, &json!({ "ok": true, "bot": bot }))
    }

    async fn host(&self, ask: impl FnOnce(&dyn Host) -> Work) -> Response {
        let Some(host) = self.host.get() else { return refusal(503, "not yet", "") };
        match ask(host.as_ref()).await {
            Ok(told) => json_answer(200, &told),
            Err(Trouble { text, cure }) => refusal(422, &text, &cure),
        }
    }
}

fn refusal(status: u16, text: &str, cure: &str) -> Response {
    json_answer(status, &json!({ "error": text, "cure": cure }))
}

fn mark_of(cookie: &str) -> Mark {
    let mut mark = [0; 32];
    mark.copy_from_slice(digest(&SHA256, cookie.as_bytes()).as_ref());
    mark
}

/// What the page has posted, if it was the page.
fn posted(request: &Request) -> Result<Value, Response> {
    if !is_own_page(request) {
        return Err(refusal(403, "only the page itself may ask this", ""));
    }
    let kind = request.header("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(refusal(415, "this is not JSON", ""));
    }
    if request.body.len() > limits::SETUP_BODY_BYTES_MAX {
        return Err(refusal(413, "that is too long", ""));
    }
    serde_json::from_slice(&request.body).map_err(|_| refusal(400, "this is not JSON", ""))
}

/// Whether `host`, with or without a port, is a name that nobody else can have given this host: an
/// address, `localhost`, or its own name on the network.
fn is_known(host: Option<&str>, name: Option<&str>) -> bool {
    let Some(host) = host else { return false };
    let host = match host.strip_prefix('[') {
        Some(v6) => return v6.split(']').next().is_some_and(|v6| v6.parse::<IpAddr>().is_ok()),
        None => host.split(':').next().unwrap_or(host),
    };
    let host = host.strip_suffix('.').unwrap_or(host);
    host.parse::<IpAddr>().is_ok()
        || host.eq_ignore_ascii_case("localhost")
        || name.is_some_and(|name| host.eq_ignore_ascii_case(name))
}

/// What is wrong with a token that none can be, in words; Discord need not be asked about it.
fn unlike(token: &str) -> Option<String> {
    let text = if token.is_empty() {
        "There is nothing in the field."
    } else if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        "That has characters in it that no token has: was more copied than the token?"
    } else if token.bytes().all(|byte| byte.is_ascii_digit()) {
        "That is a number: the application's id, perhaps. A token is longer, with dots in it."
    } else if !token.contains('.') {
        "A token has dots in it: this may be the client secret, or the public key."
    } else {
        return None;
    };
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_surely_ours_are_answered() {
        let known = |host| is_known(Some(host), Some("barnacle.local"));
        for host in [
            "127.0.0.1:18789",
            "192.168.1.17:18790",
            "[::1]:1",
            "[fe80::1]",
            "localhost:1",
            "LOCALHOST",
            "Barnacle.local:18790",
            "barnacle.local.",
        ] {
            assert!(known(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:18790",
            "barnacle",
            "barnacle.local.evil.example",
            "",
            ":",
        ] {
            assert!(!known(host), "{host}");
        }
        assert!(!is_known(None, Some("barnacle.local")) && !is_known(Some("x.local"), None));
    }

    #[test]
    fn what_was_copied_in_place_of_the_token_is_known() {
        for (typed, word) in [
            ("", "nothing"),
            ("123456789012345678", "number"),
            ("abcdefghijklmnopqrstuvwxyz", "secret"),
            ("a.b c", "characters"),
            ("a.b.ü", "characters"),
        ] {
            assert!(unlike(typed).is_some_and(|text| text.contains(word)), "{typed}");
        }
        assert_eq!(unlike("MTIz.GaBcDe.abc"), None);
    }

    #[test]
    fn only_paths_of_the_page_are_meant() {
        assert!(is_meant("/setup") && is_meant("/setup/") && is_meant("/setup/code"));
        assert!(!is_meant("/setups") && !is_meant("/") && !is_meant("/api/setup"));
    }
}
