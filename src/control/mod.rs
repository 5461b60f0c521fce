//! The control port: what monitors, scripts and our own command line ask over HTTP.
//!
//! | path | who may | answer |
//! |---|---|---|
//! | `/health` `/healthz` | anybody | 200 while the process lives |
//! | `/startup` `/startupz` | anybody | 200 from the moment the port listens; 503 while it drains |
//! | `/ready` `/readyz` | anybody | 200 if every channel's last proof is young enough, else 503 |
//! | `/health/detail` | on loopback anybody, else with the token | always 200 |
//! | `/api/status`, `/api/logs` | with the token | JSON; log lines as JSON lines |
//!
//! Everything is read from snapshots: nothing here can make a channel better or worse.

mod auth;

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use smol::stream;

pub(crate) use auth::Gate;

use crate::core::health::Report;
use crate::rt::clock;
use crate::rt::log::{Line, Lines};
use crate::rt::net::server::{Body, Request, Response};

/// How often a follower of the log is given what is new.
const FOLLOW: Duration = Duration::from_millis(200);
/// Log lines that are sent if nobody says how many.
const LOG_LINES: usize = 200;

/// What the answers are made of, taken at the moment of the request.
pub(crate) struct Facts {
    /// The state of every channel, by the age of its last proof.
    pub(crate) report: Report,
    /// How long the process has run.
    pub(crate) uptime: Duration,
    /// All the rest that `status` shows.
    pub(crate) status: Value,
}

/// Answers requests.
pub(crate) struct Control {
    /// Who may ask what.
    pub(crate) gate: Gate,
    /// Takes a snapshot.
    pub(crate) facts: Rc<dyn Fn() -> Facts>,
    /// Whether the process is on its way out.
    pub(crate) draining: Rc<dyn Fn() -> bool>,
    /// The log's memory.
    pub(crate) lines: Lines,
}

impl Control {
    /// The answer to `request`.
    pub(crate) fn answer(&self, request: &Request) -> Response {
        if let Err(refusal) = self.gate.admits(request) {
            return refusal;
        }
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            return Response::json(405, r#"{"error":"only GET is answered here"}"#);
        }
        let authorized = || self.gate.authorized(request);
        match request.path.as_str() {
            "/health" | "/healthz" => Response::json(200, r#"{"ok":true,"status":"live"}"#),
            "/startup" | "/startupz" => self.startup(),
            "/ready" | "/readyz" => self.ready(),
            "/health/detail" if Gate::trusts(request) => self.detail(),
            "/health/detail" | "/api/status" | "/api/logs" if !authorized() => unauthorized(),
            "/health/detail" => self.detail(),
            "/api/status" => json_answer(200, &(self.facts)().status),
            "/api/logs" => self.logs(request),
            _ => Response::json(404, r#"{"error":"there is nothing here"}"#),
        }
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

    fn logs(&self, request: &Request) -> Response {
        let number = |key: &str| request.param(key).and_then(|value| value.parse::<u64>().ok());
        let limit =
            number("limit").map_or(LOG_LINES, |limit| limit.try_into().unwrap_or(LOG_LINES));
        let after = number("after").unwrap_or(0);
        let first = self.lines.after(after, limit);
        if request.param("follow").is_none_or(|value| value == "0") {
            let text: String = first.iter().map(line_json).collect();
            return Response { content_type: "application/x-ndjson", ..Response::text(200, &text) };
        }
        let seen = first.last().map_or(after, |line| line.seq);
        let (lines, draining) = (self.lines.clone(), self.draining.clone());
        let body = stream::unfold((Some(first), seen), move |(next, mut seen)| {
            let (lines, draining) = (lines.clone(), draining.clone());
            async move {
                if let Some(first) = next {
                    return Some((
                        first.iter().map(line_json).collect::<String>().into(),
                        (None, seen),
                    ));
                }
                loop {
                    clock::sleep(FOLLOW).await;
                    let fresh = lines.after(seen, usize::MAX);
                    if let Some(last) = fresh.last() {
                        seen = last.seq;
                        let text: String = fresh.iter().map(line_json).collect();
                        return Some((text.into_bytes(), (None, seen)));
                    }
                    // The end is said in order, not found out from a broken connection.
                    if draining() {
                        return None;
                    }
                }
            }
        });
        Response {
            content_type: "application/x-ndjson",
            body: Body::Stream(Box::pin(body)),
            ..Response::empty(200)
        }
    }
}

fn unauthorized() -> Response {
    let body = json!({
        "error": "a token is needed: Authorization: Bearer TOKEN, \
                  with the token that is in gateway.token in the state directory",
    });
    json_answer(401, &body).with("www-authenticate", "Bearer")
}

fn line_json(line: &Line) -> String {
    let line = json!({
        "seq": line.seq,
        "at": line.at.to_string(),
        "level": line.level.as_str().to_lowercase(),
        "target": line.target,
        "text": line.text,
    });
    format!("{line}\n")
}

fn json_answer(status: u16, body: &Value) -> Response {
    Response::json(status, body.to_string())
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
