//! The frames of the control protocol: OpenClaw's, version 4, as JSON texts over a WebSocket.
//!
//! A client asks (`req`), the gateway answers (`res`) and tells (`event`). Fields that we do not
//! know are passed over, so that either side may be newer than the other.

#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The version that is spoken.
pub const PROTOCOL: u32 = 4;
/// The oldest version that a client which only looks whether we live may speak.
pub const PROTOCOL_PROBE_MIN: u32 = 3;
/// Bytes of a request's id, a method's or an event's name: real ones have at most a few dozen.
pub const WORD_BYTES_MAX: usize = 256;
/// Scopes that a client may ask for; there are half a dozen.
pub const SCOPES_MAX: usize = 32;
/// The role of every client that we serve.
pub const ROLE: &str = "operator";

/// One frame.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Frame {
    /// A client asks.
    Req(Request),
    /// The gateway answers.
    Res(Response),
    /// The gateway tells.
    Event(Event),
}

/// What a client asks.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Request {
    /// Comes back with the answer.
    pub id: String,
    /// What to do.
    pub method: String,
    /// With what.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub params: Value,
}

/// The answer to a request. Some requests are answered twice: taken on, then done.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Response {
    /// The request's.
    pub id: String,
    /// Whether it was done.
    pub ok: bool,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
    /// Why it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
}

/// Something that happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Its name.
    pub event: String,
    /// What there is to say of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
    /// Counts from 1 on each connection; the challenge has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Which state the payload tells, if it tells one.
    #[serde(default, rename = "stateVersion", skip_serializing_if = "Option::is_none")]
    pub state: Option<StateVersion>,
}

/// How often the two states have changed that are told as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct StateVersion {
    /// Who is connected.
    pub presence: u64,
    /// How the channels are.
    pub health: u64,
}

/// Why a request was not done.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// One of [`code`]'s words.
    pub code: String,
    /// In words, with the cure.
    pub message: String,
    /// More, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
    /// Whether the same request may succeed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// How much later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// The codes of faults.
pub mod code {
    /// The request makes no sense, or names something that is not there.
    pub const INVALID_REQUEST: &str = "INVALID_REQUEST";
    /// The client has not said who it is.
    pub const NOT_PAIRED: &str = "NOT_PAIRED";
    /// The client may not do this.
    pub const FORBIDDEN: &str = "FORBIDDEN";
    /// Not now.
    pub const UNAVAILABLE: &str = "UNAVAILABLE";
    /// It took too long.
    pub const AGENT_TIMEOUT: &str = "AGENT_TIMEOUT";
}

/// The reasons of faults that programs tell apart, in `details.code`.
pub mod detail {
    /// Another token.
    pub const TOKEN_MISMATCH: &str = "AUTH_TOKEN_MISMATCH";
    /// No token, from a client that shows another proof.
    pub const TOKEN_MISSING: &str = "AUTH_TOKEN_MISSING";
    /// Another password.
    pub const PASSWORD_MISMATCH: &str = "AUTH_PASSWORD_MISMATCH";
    /// No password, from a client that shows another proof.
    pub const PASSWORD_MISSING: &str = "AUTH_PASSWORD_MISSING";
    /// Too many wrong ones.
    pub const RATE_LIMITED: &str = "AUTH_RATE_LIMITED";
    /// Neither token nor anything else.
    pub const IDENTITY_REQUIRED: &str = "DEVICE_IDENTITY_REQUIRED";
    /// No version in common.
    pub const PROTOCOL_MISMATCH: &str = "PROTOCOL_MISMATCH";
    /// The connection lacks a scope.
    pub const MISSING_SCOPE: &str = "MISSING_SCOPE";
}

/// The codes that connections are closed with.
pub mod close {
    /// In order; also after garbage or silence before a client has said who it is.
    pub const NORMAL: u16 = 1000;
    /// No version in common.
    pub const PROTOCOL: u16 = 1002;
    /// Not let in, or too slow.
    pub const POLICY: u16 = 1008;
    /// Too large.
    pub const TOO_LARGE: u16 = 1009;
    /// The gateway restarts.
    pub const RESTART: u16 = 1012;
    /// Try again later.
    pub const LATER: u16 = 1013;
}

/// The first request of each connection, `connect`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Connect {
    /// The oldest version that the client speaks.
    pub min_protocol: u32,
    /// The newest.
    pub max_protocol: u32,
    /// Who it is.
    pub client: Client,
    /// What it can do besides.
    #[serde(default)]
    pub caps: Vec<String>,
    /// What lets it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// The proof of an identity of its own, which is not asked for here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Value>,
    /// What it wants to be; an operator if it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// What it wants to do.
    #[serde(default)]
    pub scopes: Vec<String>,
}

/// Who a client is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    /// `cli`, `gateway-client` …
    pub id: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// The operating system.
    #[serde(default)]
    pub platform: String,
    /// `cli`, `backend`, `probe` …
    pub mode: String,
    /// A number of its own for this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// Its name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The kind of machine that it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_family: Option<String>,
}

/// What lets a client in.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Auth {
    /// The control port's token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The password, where that is asked for; either may stand in the other's place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// Neither is ever shown.
impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Auth(..)")
    }
}

/// The answer to `connect`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello {
    /// `hello-ok`.
    pub r#type: String,
    /// The version that is spoken from now on.
    pub protocol: u32,
    /// Who we are.
    pub server: Server,
    /// What we can do.
    #[serde(default)]
    pub features: Features,
    /// How things are.
    #[serde(default)]
    pub snapshot: Value,
    /// What the client may do.
    pub auth: Granted,
    /// What the client must keep to.
    #[serde(default)]
    pub policy: Value,
}

/// The gateway.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Server {
    /// Its version.
    pub version: String,
    /// The connection's number.
    pub conn_id: String,
    /// Another one at each start. OpenClaw's own gateway has none.
    #[serde(default)]
    pub boot_id: String,
    /// The process. The published form of the hello has no place for it here: see [`read_hello`].
    #[serde(default, skip_serializing)]
    pub pid: u32,
}

/// What the gateway can do.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Features {
    /// What may be asked.
    pub methods: Vec<String>,
    /// What is told.
    pub events: Vec<String>,
}

/// What a client may do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Granted {
    /// Its role.
    pub role: String,
    /// Its scopes.
    pub scopes: Vec<String>,
}

/// Why a text is no frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Garbled {
    /// It is not even JSON.
    NotJson,
    /// It is JSON, but no frame; in words, why.
    NotFrame(String),
}

/// Reads a frame.
///
/// # Errors
/// It is none.
pub fn read(text: &str) -> Result<Frame, Garbled> {
    let value: Value = serde_json::from_str(text).map_err(|_| Garbled::NotJson)?;
    let frame: Frame =
        serde_json::from_value(value).map_err(|error| Garbled::NotFrame(error.to_string()))?;
    let words: [&str; 2] = match &frame {
        Frame::Req(request) => [&request.id, &request.method],
        Frame::Res(response) => [&response.id, ""],
        Frame::Event(event) => [&event.event, ""],
    };
    if words.iter().any(|word| word.len() > WORD_BYTES_MAX) {
        return Err(Garbled::NotFrame("an id or a name is too long".into()));
    }
    if matches!(&frame, Frame::Req(request) if request.id.is_empty() || request.method.is_empty()) {
        return Err(Garbled::NotFrame("a request needs an id and a method".into()));
    }
    Ok(frame)
}

/// Writes a frame.
#[must_use]
pub fn write(frame: &Frame) -> String {
    // Maps have text keys and numbers are finite, so that there is nothing to fail.
    serde_json::to_string(frame).unwrap_or_default()
}

/// What stands before the number of the process, among the tags of the gateway's own presence.
const PID_TAG: &str = "pid:";

/// The tag that tells the number of the gateway's process.
#[must_use]
pub fn pid_tag(pid: u32) -> String {
    format!("{PID_TAG}{pid}")
}

/// Reads the answer to `connect`; the process is told in the gateway's own presence.
///
/// # Errors
/// It is none.
pub fn read_hello(payload: Value) -> Result<Hello, String> {
    let mut hello: Hello = serde_json::from_value(payload).map_err(|error| error.to_string())?;
    let tags = hello.snapshot["presence"].as_array().into_iter().flatten();
    let mut tags = tags.flat_map(|entry| entry["tags"].as_array().into_iter().flatten());
    let pid = tags.find_map(|tag| tag.as_str()?.strip_prefix(PID_TAG)?.parse().ok());
    hello.server.pid = pid.unwrap_or(hello.server.pid);
    Ok(hello)
}

/// Reads the parameters of `connect`.
///
/// # Errors
/// In words, what is wrong with them.
pub fn read_connect(params: Value) -> Result<Connect, String> {
    let connect: Connect = serde_json::from_value(params).map_err(|error| error.to_string())?;
    let Client { id, version, platform, mode, .. } = &connect.client;
    let Client { instance_id, display_name, device_family, .. } = &connect.client;
    let lengths = [id, version, platform, mode]
        .into_iter()
        .chain([instance_id, display_name, device_family].into_iter().flatten())
        .chain(&connect.scopes)
        .map(String::len);
    if connect.scopes.len() > SCOPES_MAX || lengths.max() > Some(WORD_BYTES_MAX) {
        return Err("a word is too long, or there are too many scopes".into());
    }
    Ok(connect)
}

impl Response {
    /// It was done, and this came of it.
    #[must_use]
    pub fn done(id: &str, payload: Value) -> Response {
        Response { id: id.to_owned(), ok: true, payload: Some(payload), error: None }
    }

    /// It was not done.
    #[must_use]
    pub fn refused(id: &str, fault: Fault) -> Response {
        Response { id: id.to_owned(), ok: false, payload: None, error: Some(fault) }
    }
}

impl Fault {
    /// A fault with a code of [`code`] and words.
    #[must_use]
    pub fn new(code: &str, message: impl Into<String>) -> Fault {
        Fault {
            code: code.to_owned(),
            message: message.into(),
            details: None,
            retryable: None,
            retry_after_ms: None,
        }
    }

    /// The request makes no sense.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Fault {
        Fault::new(code::INVALID_REQUEST, message)
    }

    /// Not now; the same may succeed in `retry_after_ms`.
    #[must_use]
    pub fn later(message: impl Into<String>, retry_after_ms: u64) -> Fault {
        let (retryable, retry_after_ms) = (Some(true), Some(retry_after_ms));
        Fault { retryable, retry_after_ms, ..Fault::new(code::UNAVAILABLE, message) }
    }

    /// With details for programs.
    #[must_use]
    pub fn with(self, details: Value) -> Fault {
        Fault { details: Some(details), ..self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
