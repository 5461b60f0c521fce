//! The control port and the control socket: what monitors, scripts, clients of OpenClaw's and our
//! own command line ask, over HTTP and over a WebSocket.
//!
//! | path | who may | answer |
//! |---|---|---|
//! | `/health` `/healthz` | anybody | 200 while the process lives |
//! | `/startup` `/startupz` | anybody | 200 from the moment the port listens; 503 while it drains |
//! | `/ready` `/readyz` | anybody | 200 if every channel's last proof is young enough, else 503 |
//! | `/health/detail` | on loopback anybody, else with the token | always 200 |
//! | `/metrics` `/api/diagnostics/prometheus` | the same | Prometheus's text format |
//! | `/api/status` | with the token, or ours | JSON |
//! | `/v1/models` `/v1/chat/completions` | the same, if it is switched on | as `OpenAI` |
//! | `/` `/dashboard` | anybody | the page, which asks for what follows |
//! | `/setup` and below | on loopback anybody, while no account has a token | see `setup` |
//! | `/api/login` `/api/logout` | with a code, or a cookie | a cookie, or its end |
//! | `/`, upgraded | with the token or a cookie, or ours | the control protocol |
//!
//! HTTP answers are read from snapshots: nothing there can make a channel better or worse. Through
//! the Unix socket, processes of our own user and of root are let in without a token.

mod answered;
mod auth;
mod completions;
mod desk;
mod hub;
mod lockout;
mod login;
mod metrics;
mod page;
mod presence;
mod reception;
mod session;
mod setup;

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use async_tungstenite::tungstenite::handshake::derive_accept_key;
use serde_json::{Value, json};

pub(crate) use auth::{Gate, Lock, Refusal};
pub(crate) use completions::{News, Oracle, Question, Turn};
pub(crate) use desk::{Answer, Call, Desk, at_once, unknown};
pub(crate) use hub::Hub;
pub(crate) use lockout::Rules;
#[cfg(test)]
pub(crate) use metrics::PREFIX as METRICS_PREFIX;
pub(crate) use metrics::{Family, Figure, Kind};
pub(crate) use reception::Reception;
pub(crate) use setup::{Front, Host, PATH as SETUP_PATH, Trouble, Way, Work};

use crate::core::health::Report;
use crate::rt::executor::Spawner;
use crate::rt::net::server::{Request, Response, Upgrade};

/// Where monitors look for figures, and where OpenClaw has them.
const METRICS: &str = "/metrics";
const METRICS_ALSO: &str = "/api/diagnostics/prometheus";

/// What the answers are made of, taken at the moment of the request.
pub(crate) struct Facts {
    /// The state of every channel, by the age of its last proof.
    pub(crate) report: Report,
    /// How long the process has run.
    pub(crate) uptime: Duration,
    /// All the rest that `status` shows.
    pub(crate) status: Value,
    /// The health as the protocol tells it.
    pub(crate) health: Value,
}

/// Answers requests.
pub(crate) struct Control {
    /// Who may ask what.
    pub(crate) gate: Gate,
    /// Takes a snapshot.
    pub(crate) facts: Rc<dyn Fn() -> Facts>,
    /// Takes the figures for monitors.
    pub(crate) metrics: Rc<dyn Fn() -> Vec<Family>>,
    /// Whether the process is on its way out.
    pub(crate) draining: Rc<dyn Fn() -> bool>,
    /// Everybody who is connected.
    pub(crate) hub: Rc<Hub>,
    /// Answers the methods of the protocol.
    pub(crate) desk: Rc<dyn Desk>,
    /// Lets browsers in.
    pub(crate) reception: Rc<Reception>,
    /// Asks agents for clients of `OpenAI`'s.
    pub(crate) oracle: Box<dyn Oracle>,
    /// Takes the first token.
    pub(crate) front: Rc<Front>,
    /// Where answers are worked on.
    pub(crate) spawner: Spawner,
}

/// The way that a client came in by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Door {
    /// Whether that is enough.
    pub(crate) is_trusted: bool,
    /// Where it comes from, if by the port.
    pub(crate) peer: Option<IpAddr>,
}

impl Control {
    /// The answer to `request`, which may take its time. Dropped, nobody wants it any more.
    pub(crate) async fn serve(self: Rc<Control>, request: Request) -> Response {
        if setup::is_meant(&request.path) && Gate::trusts(&request) {
            let answer = self.front.clone().serve(request, Way::Control).await;
            return answer.unwrap_or_else(nothing);
        }
        if completions::is_meant(&request.path) {
            return self.complete(request).await;
        }
        self.answer(&request)
    }

    /// The answer to a request that is answered at once.
    fn answer(self: &Rc<Control>, request: &Request) -> Response {
        if let Err(refusal) = self.gate.admits(request) {
            return refusal;
        }
        if let Some(answer) = self.page(request) {
            return answer;
        }
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            return Response::json(405, r#"{"error":"only GET is answered here"}"#);
        }
        let authorized = || self.gate.authorized(request).map_err(|refusal| self.refuse(refusal));
        match request.path.as_str() {
            "/" if is_upgrade(request) => self.upgrade(request),
            "/health" | "/healthz" => Response::json(200, r#"{"ok":true,"status":"live"}"#),
            "/startup" | "/startupz" => self.startup(),
            "/ready" | "/readyz" => self.ready(),
            "/health/detail" if Gate::trusts(request) => self.detail(),
            "/health/detail" => authorized().map_or_else(|no| no, |()| self.detail()),
            METRICS | METRICS_ALSO if Gate::trusts(request) => self.figures(),
            METRICS | METRICS_ALSO => authorized().map_or_else(|no| no, |()| self.figures()),
            "/api/status" => {
                authorized().map_or_else(|no| no, |()| json_answer(200, &(self.facts)().status))
            }
            _ => nothing(),
        }
    }

    /// The page, and what it posts.
    fn page(&self, request: &Request) -> Option<Response> {
        match (request.method.as_str(), request.path.as_str()) {
            ("GET" | "HEAD", "/" | "/dashboard" | "/dashboard/") if !is_upgrade(request) => {
                Some(page::DASHBOARD.answer(request))
            }
            ("POST", "/api/login" | "/api/logout") if !reception::is_own_page(request) => {
                Some(Response::json(403, r#"{"error":"only the page itself may ask this"}"#))
            }
            ("POST", "/api/login") => Some(self.log_in(request)),
            ("POST", "/api/logout") => Some(page::guarded(self.reception.logout(request))),
            _ => None,
        }
    }

    fn log_in(&self, request: &Request) -> Response {
        let refused = || {
            let body = json!({
                "error": "this link was used already, or is too old: \
                          `barnacle dashboard` makes a new one",
            });
            json_answer(401, &body)
        };
        let peer = request.peer.map(|peer| peer.ip());
        if let Err(refusal) = self.gate.listens_to(peer) {
            return page::guarded(self.refuse(refusal));
        }
        let answer = self.reception.login(request);
        self.gate.note(peer, answer.is_some(), "code for the page");
        page::guarded(answer.unwrap_or_else(refused))
    }

    /// Goes over to the control protocol.
    fn upgrade(self: &Rc<Control>, request: &Request) -> Response {
        let key = request.header("sec-websocket-key").unwrap_or_default();
        if key.is_empty() || request.header("sec-websocket-version") != Some("13") {
            let body = r#"{"error":"this is no WebSocket handshake that we know"}"#;
            return Response::json(426, body).with("sec-websocket-version", "13");
        }
        let peer = request.peer.map(|peer| peer.ip().to_canonical());
        let visit = self.reception.visit(request);
        let door = Door { is_trusted: self.gate.is_ours(request) || visit.is_some(), peer };
        let control = self.clone();
        let serve: Upgrade = Box::new(move |stream| {
            Box::pin(async move {
                let served = session::serve(control, stream, door);
                match visit {
                    Some(visit) => smol::future::or(visit.ended(), served).await,
                    None => served.await,
                }
            })
        });
        Response { upgrade: Some(serve), ..Response::empty(101) }
            .with("connection", "Upgrade")
            .with("upgrade", "websocket")
            .with("sec-websocket-accept", derive_accept_key(key.as_bytes()))
    }

    /// The answer to one who is not let in.
    fn refuse(&self, refusal: Refusal) -> Response {
        if let Refusal::Locked(left) = refusal {
            let seconds = left.as_secs() + 1;
            let text = "too many wrong credentials from this address: none is looked at";
            let body = json!({ "error": text, "retryAfterMs": millis(left) });
            return json_answer(429, &body).with("retry-after", seconds.to_string());
        }
        let place = if self.gate.wants_password() {
            "with the password of gateway.auth.password"
        } else {
            "with the token that is in gateway.token in the state directory"
        };
        let error = format!("a {0} is needed: Authorization: Bearer SECRET, {place}", self.gate);
        json_answer(401, &json!({ "error": error })).with("www-authenticate", "Bearer")
    }

    fn figures(&self) -> Response {
        let text = metrics::render(&(self.metrics)());
        Response { content_type: metrics::CONTENT_TYPE, ..Response::json(200, text) }
    }

    fn startup(&self) -> Response {
        let (facts, draining) = ((self.facts)(), (self.draining)());
        let status = if draining { "draining" } else { "started" };
        let body = json!({
            "ok": !draining,
            "status": status,
            "version": env!("CARGO_PKG_VERSION"),
            "uptimeMs": millis(facts.uptime),
        });
        json_answer(if draining { 503 } else { 200 }, &body)
    }

    fn ready(&self) -> Response {
        let facts = (self.facts)();
        let failing: Vec<&str> = facts.report.failing().collect();
        let ready = failing.is_empty() && !(self.draining)();
        let body = json!({ "ready": ready, "failing": failing, "uptimeMs": millis(facts.uptime) });
        json_answer(if ready { 200 } else { 503 }, &body)
    }

    fn detail(&self) -> Response {
        let facts = (self.facts)();
        Response::json(200, facts.report.json())
    }
}

/// What is said where nothing is.
pub(crate) fn nothing() -> Response {
    Response::json(404, r#"{"error":"there is nothing here"}"#)
}

/// A channel's name for people.
pub(crate) fn label(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect()
}

fn is_upgrade(request: &Request) -> bool {
    let asked = request.header("upgrade");
    asked.is_some_and(|asked| asked.eq_ignore_ascii_case("websocket"))
}

fn json_answer(status: u16, body: &Value) -> Response {
    Response::json(status, body.to_string())
}

/// Whole milliseconds.
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
