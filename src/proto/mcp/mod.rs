//! The Model Context Protocol from the client's side (<https://modelcontextprotocol.io>, revision
//! 2025-06-18): greeting a server, learning its tools, calling them, over any transport.
//!
//! [`Client`] is told each message as it comes and gives those that are to be sent; [`Lines`] finds
//! messages in a stream of lines. What a server asks of us that we do not offer (our models, our
//! files, our users) is refused as the protocol has it. A server may send anything: each message
//! costs what is read of it, and what does not fit ends the connection with a cause.

mod wire;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use serde_json::{Value, json};

use crate::base::limits::{
    MCP_ABOUT_BYTES_MAX, MCP_CALLS_MAX, MCP_MESSAGE_BYTES_MAX, MCP_PAGES_MAX, MCP_PING_DEADLINE,
    MCP_PING_EVERY, MCP_RESULT_BYTES_MAX, MCP_SCHEMA_BYTES_MAX, MCP_START_DEADLINE, MCP_TOOLS_MAX,
};
use crate::base::text::{Plain, truncate};
use crate::base::{Instant, Machine};
use wire::{CallResult, Head, Id, ListResult, Welcome, read_result};

/// The revision that we speak …
pub const VERSION: &str = "2025-06-18";
/// … and those that we understand.
const VERSIONS: [&str; 4] = ["2025-11-25", VERSION, "2025-03-26", "2024-11-05"];
/// JSON-RPC's "method not found".
const NO_METHOD: i64 = -32601;
/// Of a server's words, this much is told.
const WORDS_BYTES_MAX: usize = 500;

/// What happens at a connection.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A message has come.
    Message(&'a [u8]),
    /// A tool is to be called; its end is told by this number.
    Call {
        /// The number; used once.
        number: u64,
        /// The tool, as the server calls it.
        tool: &'a str,
        /// Its arguments: an object.
        arguments: &'a Value,
        /// When the call has to be over.
        by: Instant,
    },
    /// Nobody waits for that call any more.
    Cancel(u64),
}

/// What is to be done.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Send this message.
    Send(Vec<u8>),
    /// The tools are these now.
    Tools(Vec<Offer>),
    /// A call is over.
    Done {
        /// Its number.
        number: u64,
        /// What it has given, or why it has failed.
        outcome: Result<String, String>,
    },
    /// The connection is of no use any more.
    Broken(Broken),
}

/// A tool that a server offers.
#[derive(Clone, PartialEq, Debug)]
pub struct Offer {
    /// What the server calls it.
    pub name: String,
    /// What it is for.
    pub about: String,
    /// The JSON schema of its arguments.
    pub schema: Value,
}

/// Why a connection is of no use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Broken {
    /// What it says is not the protocol.
    Garbage(&'static str),
    /// It speaks another revision.
    Version(String),
    /// It refuses to begin, in its own words.
    Refused(String),
    /// It does not answer.
    Silent,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Broken::Garbage(what) => write!(f, "what it says is no MCP: {what}"),
            Broken::Version(version) => {
                write!(f, "it speaks MCP {}, which is not understood here", Plain(version))
            }
            Broken::Refused(words) => write!(f, "it refuses: {}", Plain(words)),
            Broken::Silent => f.write_str("it does not answer"),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Client {
    phase: Phase,
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
    /// The tools of the pages that were read so far.
    page: Vec<Offer>,
    pages: usize,
    /// Whether they have to be read once more after this.
    is_stale: bool,
    has_tools: bool,
    /// Tools that cannot be offered.
    left_out: usize,
    /// When something was last heard.
    heard: Instant,
    pings: bool,
    version: String,
    outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Greeting,
    Ready,
    Over,
}

/// What an answer is waited for to.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    what: What,
    by: Instant,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    Welcome,
    List,
    Ping,
    Call(u64),
}

impl Client {
    /// A connection that begins now. With `pings` a silent server is asked whether it is there.
    #[must_use]
    pub fn new(now: Instant, program_version: &str, pings: bool) -> Client {
        let mut client = Client {
            phase: Phase::Greeting,
            next: 0,
            waiting: BTreeMap::new(),
            page: Vec::new(),
            pages: 0,
            is_stale: false,
            has_tools: false,
            left_out: 0,
            heard: now,
            pings,
            version: VERSION.to_owned(),
            outputs: VecDeque::new(),
        };
        let params = json!({
            "protocolVersion": VERSION, "capabilities": {},
            "clientInfo": {"name": "barnacle", "version": program_version},
        });
        client.request(now + MCP_START_DEADLINE, What::Welcome, "initialize", &params);
        client
    }

    /// Whether the greeting is over: calls may be made.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// The revision that was agreed on.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// How many tools could not be offered: too many, too large, or without a name.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    fn request(&mut self, by: Instant, what: What, method: &str, params: &Value) {
        let id = self.next;
        self.next += 1;
        self.waiting.insert(id, Waiting { what, by });
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.send(&message);
    }

    fn send(&mut self, message: &Value) {
        self.outputs.push_back(Output::Send(message.to_string().into_bytes()));
    }

    fn list(&mut self, now: Instant, cursor: Option<&str>) {
        let params = cursor.map_or_else(|| json!({}), |cursor| json!({ "cursor": cursor }));
        self.request(now + MCP_PING_DEADLINE, What::List, "tools/list", &params);
    }

    fn hear(&mut self, now: Instant, message: &[u8]) {
        let Ok(head) = serde_json::from_slice::<Head>(message) else {
            return self.break_off(Broken::Garbage("a message that is no JSON-RPC"));
        };
        self.heard = now;
        match (head.method, head.id) {
            (Some(method), Some(id)) => self.asked(&method, &id),
            (Some(method), None) => self.told(now, &method),
            (None, Some(id)) => {
                self.answered(now, &id, head.error.map(wire::Fault::words), message);
            }
            // An error that belongs to nothing: it did not understand something of ours.
            (None, None) => {}
        }
    }

    /// The server asks something of us.
    fn asked(&mut self, method: &str, id: &Id) {
        let answer = match method {
            "ping" => json!({"jsonrpc": "2.0", "id": id.json(), "result": {}}),
            other => {
                let words = format!("{} is not offered", truncate(other, WORDS_BYTES_MAX));
                let error = json!({"code": NO_METHOD, "message": words});
                json!({"jsonrpc": "2.0", "id": id.json(), "error": error})
            }
        };
        self.send(&answer);
    }

    /// The server tells us something.
    fn told(&mut self, now: Instant, method: &str) {
        if method != "notifications/tools/list_changed" || !self.has_tools || !self.is_ready() {
            return;
        }
        // However often it is told, one look is under way and one more follows.
        if self.waiting.values().any(|waiting| waiting.what == What::List) {
            self.is_stale = true;
        } else {
            self.list(now, None);
        }
    }

    fn answered(&mut self, now: Instant, id: &Id, error: Option<String>, message: &[u8]) {
        // What we do not wait for came late, or belongs to nobody.
        let Some(waiting) = id.number().and_then(|id| self.waiting.remove(&id)) else { return };
        match (waiting.what, error) {
            (What::Welcome | What::List, Some(words)) => self.break_off(Broken::Refused(words)),
            (What::Welcome, None) => self.welcomed(now, message),
            (What::List, None) => self.listed(now, message),
            // Even a refusal is a sign of life.
            (What::Ping, _) => {}
            (What::Call(number), Some(words)) => {
                self.outputs.push_back(Output::Done { number, outcome: Err(words) });
            }
            (What::Call(number), None) => {
                let outcome = match read_result::<CallResult>(message) {
                    Some(result) => result.outcome(MCP_RESULT_BYTES_MAX),
                    None => Err("what the tool gave back cannot be read".to_owned()),
                };
                self.outputs.push_back(Output::Done { number, outcome });
            }
        }
    }

    fn welcomed(&mut self, now: Instant, message: &[u8]) {
        let Some(welcome) = read_result::<Welcome>(message) else {
            return self.break_off(Broken::Garbage("its greeting"));
        };
        if !VERSIONS.contains(&welcome.version.as_str()) {
            let version = truncate(&welcome.version, WORDS_BYTES_MAX).to_owned();
            return self.break_off(Broken::Version(version));
        }
        self.version = welcome.version;
        self.phase = Phase::Ready;
        self.has_tools = welcome.has_tools;
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        if self.has_tools {
            self.list(now, None);
        } else {
            self.outputs.push_back(Output::Tools(Vec::new()));
        }
    }

    fn listed(&mut self, now: Instant, message: &[u8]) {
        // A list is as long as all tools that are taken, and not as long as a message.
        let most = MCP_TOOLS_MAX * MCP_SCHEMA_BYTES_MAX;
        let list = (message.len() <= most).then(|| read_result::<ListResult>(message)).flatten();
        let Some(list) = list else {
            return self.break_off(Broken::Garbage("its list of tools"));
        };
        if self.pages == 0 {
            self.left_out = 0;
        }
        self.pages += 1;
        self.left_out += list.tools.left_out;
        for tool in list.tools.items {
            match offer(tool) {
                Some(offer) if self.page.len() < MCP_TOOLS_MAX => self.page.push(offer),
                _ => self.left_out += 1,
            }
        }
        let cursor = list.cursor.filter(|cursor| !cursor.is_empty());
        if let Some(cursor) = cursor.filter(|_| self.pages < MCP_PAGES_MAX) {
            return self.list(now, Some(&cursor));
        }
        self.pages = 0;
        let tools = std::mem::take(&mut self.page);
        self.outputs.push_back(Output::Tools(tools));
        if std::mem::take(&mut self.is_stale) {
            self.list(now, None);
        }
    }

    fn call(&mut self, now: Instant, number: u64, tool: &str, arguments: &Value, by: Instant) {
        let calls = |waiting: &&Waiting| matches!(waiting.what, What::Call(_));
        let refused = match self.phase {
            Phase::Ready if by <= now => Some("there is no time left for it"),
            Phase::Ready if self.waiting.values().filter(calls).count() >= MCP_CALLS_MAX => {
                Some("too many of its tools are at work already")
            }
            Phase::Ready => None,
            Phase::Greeting | Phase::Over => Some("the server of this tool is not there"),
        };
        if let Some(words) = refused {
            let outcome = Err(words.to_owned());
            self.outputs.push_back(Output::Done { number, outcome });
            return;
        }
        let params = json!({"name": tool, "arguments": arguments});
        self.request(by, What::Call(number), "tools/call", &params);
    }

    /// Gives up the request `id`, and says so where that is of use.
    fn cancel(&mut self, id: u64, why: &str) {
        if let Some(Waiting { what: What::Call(_), .. }) = self.waiting.remove(&id) {
            let params = json!({"requestId": id, "reason": why});
            let method = "notifications/cancelled";
            self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
        }
    }

    /// The transport has ended, or the server is no use: every call is over.
    pub fn break_off(&mut self, why: Broken) {
        if self.phase == Phase::Over {
            return;
        }
        self.phase = Phase::Over;
        for (_, waiting) in std::mem::take(&mut self.waiting) {
            if let What::Call(number) = waiting.what {
                let outcome = Err("the server of this tool has broken off".to_owned());
                self.outputs.push_back(Output::Done { number, outcome });
            }
        }
        self.outputs.push_back(Output::Broken(why));
    }

    fn ping_due(&self) -> Option<Instant> {
        let is_asked = || self.waiting.values().any(|waiting| waiting.what == What::Ping);
        (self.pings && self.is_ready() && !is_asked()).then(|| self.heard + MCP_PING_EVERY)
    }
}

impl Machine for Client {
    type Input<'a> = Input<'a>;
    type Output = Output;

    fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            _ if self.phase == Phase::Over && !matches!(input, Input::Call { .. }) => {}
            Input::Message(message) => self.hear(now, message),
            Input::Call { number, tool, arguments, by } => {
                self.call(now, number, tool, arguments, by);
            }
            Input::Cancel(number) => {
                let is_it = |waiting: &Waiting| waiting.what == What::Call(number);
                let id = self.waiting.iter().find(|(_, w)| is_it(w)).map(|(&id, _)| id);
                if let Some(id) = id {
                    self.cancel(id, "nobody waits for it");
                }
            }
        }
    }

    fn expire(&mut self, now: Instant) {
        let late: Vec<u64> =
            self.waiting.iter().filter(|(_, w)| w.by <= now).map(|(&id, _)| id).collect();
        for id in late {
            match self.waiting.get(&id).map(|waiting| waiting.what) {
                Some(What::Call(number)) => {
                    self.cancel(id, "it took too long");
                    let outcome = Err("the tool took too long".to_owned());
                    self.outputs.push_back(Output::Done { number, outcome });
                }
                Some(What::Welcome | What::List | What::Ping) => self.break_off(Broken::Silent),
                None => {}
            }
        }
        if self.ping_due().is_some_and(|due| due <= now) {
            self.request(now + MCP_PING_DEADLINE, What::Ping, "ping", &json!({}));
        }
    }

    fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<Instant> {
        let waits = self.waiting.values().map(|waiting| waiting.by);
        waits.chain(self.ping_due()).min()
    }
}

/// Whether `message` is the answer to the request `id`.
#[must_use]
pub fn is_answer(message: &[u8], id: u64) -> bool {
    let head = serde_json::from_slice::<Head>(message).ok();
    head.is_some_and(|head| {
        head.method.is_none() && head.id.is_some_and(|i| i.number() == Some(id))
    })
}

/// The number of the request `message`, if it is one.
#[must_use]
pub fn request_id(message: &[u8]) -> Option<u64> {
    let head = serde_json::from_slice::<Head>(message).ok()?;
    head.method.and(head.id)?.number()
}

/// The message by which request `id` has failed, for a transport that knows why no other came.
#[must_use]
pub fn failure(id: u64, words: &str) -> Vec<u8> {
    let error = json!({"code": 0, "message": words});
    json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string().into_bytes()
}

/// A tool as it can be offered; nothing if it cannot.
fn offer(tool: wire::Tool) -> Option<Offer> {
    let wire::Tool { name, description, title, schema } = tool;
    let is_large = || schema.to_string().len() > MCP_SCHEMA_BYTES_MAX;
    if name.is_empty() || name.len() > WORDS_BYTES_MAX || is_large() {
        return None;
    }
    let about = description.or(title).unwrap_or_default();
    let about = truncate(about.trim(), MCP_ABOUT_BYTES_MAX).to_owned();
    let schema = if schema.is_object() { schema } else { json!({"type": "object"}) };
    Some(Offer { name, about, schema })
}

/// Finds the messages in a stream of lines, as servers that are programs send them.
#[derive(Debug, Default)]
pub struct Lines {
    line: Vec<u8>,
    is_too_long: bool,
    /// Lines that were longer than is read.
    pub left_out: u64,
}

impl Lines {
    /// Reads the next part of the stream; `each` hears every line that is whole and not empty.
    pub fn feed(&mut self, part: &[u8], mut each: impl FnMut(&[u8])) {
        for piece in part.split_inclusive(|&byte| byte == b'\n') {
            let (text, is_whole) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            if !self.is_too_long && self.line.len() + text.len() <= MCP_MESSAGE_BYTES_MAX {
                self.line.extend_from_slice(text);
            } else {
                self.is_too_long = true;
                self.line = Vec::new();
            }
            if is_whole {
                let line = std::mem::take(&mut self.line);
                if std::mem::take(&mut self.is_too_long) {
                    self.left_out += 1;
                } else if !line.trim_ascii().is_empty() {
                    each(line.trim_ascii());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
