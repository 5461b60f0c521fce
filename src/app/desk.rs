//! Who answers the methods of the control protocol.

mod channels;
mod chat;
mod config;
mod cron;
mod dashboard;
mod diagnostics;
pub(super) mod health;
mod outside;
mod person;
mod process;
mod sessions;
mod talk;
mod uptime;

use std::rc::Rc;

use serde_json::{Value, json};

use super::contact;
use super::fleet::Verb;
use super::house::House;
use super::stories;
use crate::base::limits;
use crate::control::{Answer, Call, Desk, at_once, unknown};
use crate::proto::control::Fault;
use crate::rt::log::{Line, Lines};

/// Answers by what the house knows and does.
pub(super) struct Clerk {
    pub(super) house: Rc<House>,
}

impl Desk for Clerk {
    fn call(&self, call: Call) -> Answer {
        if let Some(verb) = call.method.strip_prefix("pairing.") {
            return stories::pairing(&self.house, verb, &call.params);
        }
        if let Some(verb) = call.method.strip_prefix("person.") {
            return person::answer(&self.house, verb, &call.params);
        }
        if call.method.starts_with("config.") {
            return config::answer(&self.house, &call);
        }
        if call.method.starts_with("cron.") {
            return cron::answer(&self.house, call);
        }
        let house = &self.house;
        if let Some(verb) = call.method.strip_prefix("chat.") {
            return chat::chat(house, verb, &call.params);
        }
        if let Some(verb) = call.method.strip_prefix("sessions.") {
            return sessions::sessions(house, verb, &call.params);
        }
        if let Some(verb) = call.method.strip_prefix("memory.") {
            return outside::memory(house, verb, &call.params);
        }
        match call.method.as_str() {
            "health" => return health::health(house),
            "status" => return health::status(house),
            "channels.status" => return channels::status(house, &call.params),
            "channels.start" => return channels::command(house, Verb::Start, &call.params),
            "channels.stop" => return channels::command(house, Verb::Stop, &call.params),
            "channels.restart" => return channels::command(house, Verb::Restart, &call.params),
            "agent" => return chat::agent(house, call),
            "agent.wait" => return chat::wait(house, &call.params),
            "channels.logout" => return channels::logout(house, &call.params),
            "send" => return talk::send(house, &call.params),
            _ => {}
        }
        at_once(match call.method.as_str() {
            "logs.tail" => Ok(tail(&self.house.lines, &call.params)),
            "system-presence" => Ok(house.hub.presence()),
            "agents.list" => Ok(sessions::agents(house)),
            "mcp.list" => Ok(outside::servers(house)),
            "diagnostics.stability" => diagnostics::stability(house, &call.params),
            "why" => stories::why(&self.house, call.params),
            "last-heartbeat" => Ok(Value::Null),
            "channels.uptime" => uptime::uptime(house, &call.params),
            "channels.history" => channels::history(house, &call.params),
            "setup.code" => contact::code(house, &call.params),
            "dashboard.login" => dashboard::login(house),
            "gateway.restart.request" => process::restart(house, &call.params),
            "gateway.stop" => Ok(process::stop(house)),
            method => Err(unknown(method)),
        })
    }
}

/// What is done whether or not its client stays.
fn handed_on(house: &House, work: impl Future<Output = Result<Value, Fault>> + 'static) -> Answer {
    let (tell, told) = smol::channel::bounded(1);
    house.work("session", async move {
        let _ = tell.try_send(work.await);
    });
    let gone = || Fault::later("the gateway is on its way down", 1000);
    Box::pin(async move { told.recv().await.unwrap_or_else(|_| Err(gone())) })
}

/// The first of `keys` that holds a text.
fn text_of<'p>(params: &'p Value, keys: &[&str]) -> Option<&'p str> {
    let texts = keys.iter().filter_map(|key| params[*key].as_str());
    texts.map(str::trim).find(|text| !text.is_empty())
}

/// `logs.tail`: the latest lines, or those after the cursor of an earlier answer. A cursor of
/// another run of the gateway begins anew.
fn tail(lines: &Lines, params: &Value) -> Value {
    let number = |key: &str, usual: usize| {
        params[key].as_u64().map_or(usual, |n| usize::try_from(n).unwrap_or(usize::MAX))
    };
    let limit = number("limit", limits::CONTROL_LOG_LINES);
    let bytes_max = number("maxBytes", limits::CONTROL_LOG_BYTES_MAX);
    let bytes_max = bytes_max.min(limits::CONTROL_LOG_BYTES_MAX);
    let newest = lines.after(0, 1).first().map_or(0, |line| line.seq);
    let cursor = params["cursor"].as_u64().filter(|&cursor| cursor <= newest);
    let is_reset = cursor.is_none() && params["cursor"].is_u64();
    let mut texts = Vec::new();
    let (mut bytes, mut last) = (0, cursor.unwrap_or(newest));
    let fits = |text: &str, bytes: &mut usize| {
        *bytes += text.len();
        *bytes <= bytes_max
    };
    if let Some(cursor) = cursor {
        // Whoever follows gets what is oldest first, so as to miss nothing.
        for line in lines.after(cursor, usize::MAX).iter().take(limit) {
            let text = text(line);
            if !fits(&text, &mut bytes) {
                break;
            }
            last = line.seq;
            texts.push(text);
        }
    } else {
        let latest = lines.after(0, limit);
        texts.extend(latest.iter().rev().map(text).take_while(|text| fits(text, &mut bytes)));
        texts.reverse();
    }
    let is_cut = last < newest;
    json!({
        "file": "memory",
        "cursor": last,
        "size": newest,
        "lines": texts,
        "truncated": is_cut,
        "reset": is_reset,
    })
}

/// A line as OpenClaw's log has it, so that its own command line can read it.
fn text(line: &Line) -> String {
    let at = line.at.to_string();
    json!({
        "0": line.text,
        "_meta": {
            "logLevelName": line.level.as_str(),
            "name": json!({ "subsystem": line.target }).to_string(),
            "date": at,
        },
        "time": at,
        "seq": line.seq,
    })
    .to_string()
}
