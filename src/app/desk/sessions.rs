//! `sessions.*` and `agents.list`: which conversations there are, and beginning or forgetting one.

use std::rc::Rc;

use serde_json::{Value, json};

use super::chat::{session, shown};
use super::{handed_on, text_of};
use crate::agent::store::{Most, Summary};
use crate::app::house::House;
use crate::base::limits;
use crate::control::{Answer, at_once, unknown};
use crate::core::session::{Key, Kind, MAIN};
use crate::proto::control::Fault;
use crate::rt::clock;

/// Keys of one `sessions.preview`.
const PREVIEWS_MAX: usize = 64;
/// Characters of a line in a preview, if nobody says how many.
const PREVIEW_CHARS: u64 = 240;
/// Lines of a preview, if nobody says how many.
const PREVIEW_LINES: u64 = 12;

/// `sessions.*`.
pub(super) fn sessions(house: &Rc<House>, verb: &str, params: &Value) -> Answer {
    let answer = match verb {
        "list" => Ok(list(house, params)),
        "reset" => reset(house, params),
        "delete" => delete(house, params),
        "preview" => preview(house, params),
        other => Err(unknown(&format!("sessions.{other}"))),
    };
    answer.unwrap_or_else(|fault| at_once(Err(fault)))
}

/// `agents.list`: the first is the one that answers where nobody is bound.
pub(super) fn agents(house: &House) -> Value {
    let config = house.config();
    let mut agents: Vec<Value> =
        config.agents.iter().map(|agent| json!({ "id": agent.id, "name": agent.id })).collect();
    if agents.is_empty() {
        agents.push(json!({ "id": MAIN, "name": MAIN }));
    }
    json!({
        "defaultId": agents[0]["id"],
        "mainKey": MAIN,
        "scope": "per-sender",
        "agents": agents,
    })
}

/// What of the sessions is asked for.
struct Filter {
    limit: usize,
    offset: usize,
    since: u64,
    agent: Option<String>,
    search: Option<String>,
    with_last: bool,
}

impl Filter {
    fn of(params: &Value) -> Filter {
        let size = |name: &str, usual: usize| {
            params[name].as_u64().map_or(usual, |n| usize::try_from(n).unwrap_or(usize::MAX))
        };
        let minutes = params["activeMinutes"].as_u64();
        let since = minutes
            .map_or(0, |minutes| clock::wall().0.saturating_sub(minutes.saturating_mul(60_000)));
        let small = |name: &str| text_of(params, &[name]).map(str::to_lowercase);
        Filter {
            limit: size("limit", limits::SESSIONS_LISTED).max(1),
            offset: size("offset", 0),
            since,
            agent: small("agentId"),
            search: small("search"),
            with_last: params["includeLastMessage"].as_bool().unwrap_or(false),
        }
    }

    fn is_meant(&self, summary: &Summary) -> bool {
        let key = &summary.header.key;
        let says = |search: &String| {
            key.as_str().contains(search.as_str())
                || summary.header.name.to_lowercase().contains(search.as_str())
        };
        summary.updated.0 >= self.since
            && self.agent.as_deref().is_none_or(|agent| agent == key.agent())
            && self.search.as_ref().is_none_or(says)
    }
}

/// `sessions.list`: all that are known, the one that spoke last first.
fn list(house: &Rc<House>, params: &Value) -> Answer {
    let filter = Filter::of(params);
    let house = house.clone();
    let store = house.fleet.borrow().store().clone();
    Box::pin(async move {
        let all: Vec<Summary> =
            store.list().await.into_iter().filter(|summary| filter.is_meant(summary)).collect();
        let total = all.len();
        let (mut rows, mut bytes) = (Vec::new(), 0);
        let desk = house.fleet.borrow().desk().clone();
        for summary in all.iter().skip(filter.offset).take(filter.limit) {
            let header = &summary.header;
            let conversation = desk.conversation(&header.key, &header.room()).await;
            let mut row = row(&house, summary, conversation);
            if filter.with_last {
                let key = summary.header.key.clone();
                let most = Most { conversation: summary.conversation, lines: 1, bytes: 1 };
                let last = store.tail(key, most).await.lines.pop();
                row["lastMessagePreview"] = last.map(|line| preview_of(&line.text)).into();
            }
            bytes += row.to_string().len();
            if bytes > limits::CHAT_HISTORY_BYTES_MAX {
                break;
            }
            rows.push(row);
        }
        let next = filter.offset.saturating_add(rows.len());
        let has_more = next < total;
        Ok(json!({
            "ts": clock::wall().0,
            "path": "memory",
            "count": rows.len(),
            "totalCount": total,
            "limitApplied": filter.limit,
            "offset": filter.offset,
            "nextOffset": has_more.then_some(next),
            "hasMore": has_more,
            "defaults": { "modelProvider": null, "model": null, "contextTokens": null },
            "sessions": rows,
        }))
    })
}

fn preview_of(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(120).collect()
}

/// A session as OpenClaw lists it.
fn row(house: &House, summary: &Summary, conversation: u32) -> Value {
    let Summary { header, updated, .. } = summary;
    let key = &header.key;
    let (channel, chat_type) = match key.kind() {
        Kind::Direct { channel, .. } => (channel.name(), "direct"),
        Kind::Group { channel, .. } | Kind::Member { channel, .. } => (channel.name(), "channel"),
        Kind::Main | Kind::Peer { .. } | Kind::Cron { .. } | Kind::Other => {
            (header.chat.channel.name(), "direct")
        }
    };
    let is_running = !house.webchat.under_way(key).is_empty();
    json!({
        "key": key.as_str(),
        "kind": key.kind().name(),
        "agentId": key.agent(),
        "channel": channel,
        "chatType": chat_type,
        "accountId": header.account,
        "displayName": display_name(key, &header.name),
        "updatedAt": updated.0,
        "lastInteractionAt": updated.0,
        "sessionId": key.session_id(conversation),
        "hasActiveRun": is_running,
        "archived": false,
    })
}

fn display_name(key: &Key, name: &str) -> String {
    if !name.is_empty() {
        return name.to_owned();
    }
    match key.kind() {
        Kind::Main => MAIN.to_owned(),
        Kind::Group { channel, id, .. } => format!("{channel}:#{id}"),
        Kind::Member { channel, id, user, .. } => format!("{channel}:#{id} {user}"),
        Kind::Direct { channel, user, .. } => format!("{channel}:{user}"),
        Kind::Peer { user } => user.to_string(),
        Kind::Cron { job } => format!("cron: {job}"),
        Kind::Other => {
            let rest = key.as_str().splitn(3, ':').nth(2);
            rest.unwrap_or(key.as_str()).to_owned()
        }
    }
}

fn named(house: &House, params: &Value, of: &str) -> Result<Key, Fault> {
    let keys = ["key", "sessionKey"];
    if text_of(params, &keys).is_none() {
        return Err(Fault::invalid(format!("{of}: `key` is missing")));
    }
    session(house, params, &keys).map(|(key, _)| key)
}

/// `sessions.reset`: another conversation begins there, as `/new` does it in the chat.
fn reset(house: &Rc<House>, params: &Value) -> Result<Answer, Fault> {
    let key = named(house, params, "sessions.reset")?;
    let webchat = house.webchat.clone();
    Ok(handed_on(house, async move {
        let number = webchat.renew(&key).await;
        let entry = json!({ "sessionId": key.session_id(number), "updatedAt": clock::wall().0 });
        Ok(json!({ "ok": true, "key": key.as_str(), "entry": entry }))
    }))
}

/// `sessions.delete`: what was said there is forgotten.
fn delete(house: &Rc<House>, params: &Value) -> Result<Answer, Fault> {
    let key = named(house, params, "sessions.delete")?;
    if params["deleteTranscript"] == false {
        let text = "sessions.delete: a session here is its transcript; `sessions.reset` begins a \
                    new one and keeps the old words";
        return Err(Fault::invalid(text));
    }
    let webchat = house.webchat.clone();
    Ok(handed_on(house, async move {
        let deleted = webchat.forget(&key).await;
        Ok(json!({ "ok": true, "key": key.as_str(), "deleted": deleted, "archived": [] }))
    }))
}

/// `sessions.preview`: the last lines of some sessions.
fn preview(house: &Rc<House>, params: &Value) -> Result<Answer, Fault> {
    let keys = params["keys"].as_array().map(Vec::as_slice).unwrap_or_default();
    if keys.is_empty() || keys.len() > PREVIEWS_MAX {
        let text = format!("sessions.preview: `keys` holds 1 to {PREVIEWS_MAX} session keys");
        return Err(Fault::invalid(text));
    }
    let read = |key: &Value| {
        let named = json!({ "key": key });
        Ok((key.clone(), session(house, &named, &["key"])?.0))
    };
    let keys = keys.iter().map(read).collect::<Result<Vec<_>, Fault>>()?;
    let size = |name: &str, usual: u64| {
        usize::try_from(params[name].as_u64().unwrap_or(usual)).unwrap_or(usize::MAX)
    };
    let (lines, chars) =
        (size("limit", PREVIEW_LINES).clamp(1, 50), size("maxChars", PREVIEW_CHARS));
    let store = house.fleet.borrow().store().clone();
    let desk = house.fleet.borrow().desk().clone();
    Ok(Box::pin(async move {
        let (mut previews, mut left) = (Vec::new(), limits::CHAT_HISTORY_BYTES_MAX);
        for (written, key) in keys {
            let Some(known) = store.find(key.clone()).await else {
                previews.push(json!({ "key": written, "status": "missing", "items": [] }));
                continue;
            };
            let conversation = desk.conversation(&key, &known.header.room()).await;
            let most = Most { conversation, lines, bytes: left / 8 };
            let tail = store.tail(key, most).await;
            let items: Vec<Value> =
                tail.lines.iter().map(|line| item(&shown(line, chars))).collect();
            left = left.saturating_sub(Value::from(items.clone()).to_string().len());
            let status = if items.is_empty() { "empty" } else { "ok" };
            previews.push(json!({ "key": written, "status": status, "items": items }));
        }
        Ok(json!({ "ts": clock::wall().0, "previews": previews }))
    }))
}

fn item(message: &Value) -> Value {
    let text = message["content"][0]["text"].as_str().or(message["errorMessage"].as_str());
    json!({ "role": message["role"], "text": text.unwrap_or_default() })
}
