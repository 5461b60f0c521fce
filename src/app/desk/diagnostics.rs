//! `diagnostics.stability`: what went wrong lately and what we take up now, in the form of
//! OpenClaw's own, which counts events of a process; ours are what the accounts went through.

use serde_json::{Map, Value, json};

use crate::app::house::House;
use crate::base::limits::HISTORY_ENTRIES_MAX;
use crate::proto::control::Fault;
use crate::rt::{clock, process};

/// Events of an answer, if nobody says how many.
const EVENTS: u64 = 50;
/// And at most.
const EVENTS_MAX: u64 = 1000;

pub(super) fn stability(house: &House, params: &Value) -> Result<Value, Fault> {
    let limit = number(params, "limit")?.unwrap_or(EVENTS);
    if !(1..=EVENTS_MAX).contains(&limit) {
        return Err(Fault::invalid(format!("limit must be between 1 and {EVENTS_MAX}")));
    }
    let since = number(params, "sinceSeq")?.unwrap_or(0);
    let kind = match &params["type"] {
        Value::Null => None,
        Value::String(kind) if !kind.trim().is_empty() => Some(kind.trim()),
        _ => return Err(Fault::invalid("type must be a non-empty string")),
    };
    let (records, capacity) = records(house);
    let memory = records.last().map(|sample| sample["memory"].clone()).unwrap_or_default();
    let is_meant = |record: &&Value| {
        kind.is_none_or(|kind| record["type"] == kind)
            && record["seq"].as_u64().is_some_and(|seq| seq > since)
    };
    let chosen: Vec<&Value> = records.iter().filter(is_meant).collect();
    let mut by_type: Map<String, Value> = Map::new();
    for record in &chosen {
        let kind = record["type"].as_str().unwrap_or_default();
        let count = by_type.get(kind).and_then(Value::as_u64).unwrap_or(0);
        by_type.insert(kind.to_owned(), (count + 1).into());
    }
    let skipped = chosen.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(json!({
        "generatedAt": clock::wall().to_string(),
        "capacity": capacity,
        "count": chosen.len(),
        "dropped": 0,
        "firstSeq": chosen.first().map(|record| &record["seq"]),
        "lastSeq": chosen.last().map(|record| &record["seq"]),
        "events": chosen[skipped..],
        "summary": {
            "byType": by_type,
            "memory": {
                "latest": memory,
                "maxRssBytes": process::memory("VmHWM"),
                "maxHeapUsedBytes": process::memory("VmHWM"),
                "pressureCount": 0,
            },
            "thread": house.facts().status["thread"],
        },
    }))
}

/// The stories of all accounts in the order of time, and a sample of this moment.
fn records(house: &House) -> (Vec<Value>, usize) {
    let fleet = house.fleet.borrow();
    let mut entries: Vec<Value> = Vec::new();
    let mut accounts = 0;
    for seat in fleet.seats() {
        accounts += 1;
        entries.extend(seat.history.latest(seat.name, HISTORY_ENTRIES_MAX));
    }
    entries.sort_by_key(|entry| entry["atMs"].as_u64());
    let mut records: Vec<Value> = Vec::new();
    for entry in entries {
        records.push(json!({
            "seq": records.len() + 1,
            "ts": entry["atMs"],
            "type": "channel.state",
            "channel": "discord",
            "accountId": entry["accountId"],
            "outcome": entry["state"],
            "reason": entry["cause"],
            "code": entry["code"],
            "durationMs": entry["downMs"],
        }));
    }
    let rss = process::memory("VmRSS");
    records.push(json!({
        "seq": records.len() + 1,
        "ts": clock::wall().0,
        "type": "diagnostic.memory.sample",
        "memory": {
            "rssBytes": rss, "heapTotalBytes": rss, "heapUsedBytes": rss,
            "externalBytes": 0, "arrayBuffersBytes": 0,
        },
    }));
    (records, accounts * HISTORY_ENTRIES_MAX + 1)
}

fn number(params: &Value, key: &str) -> Result<Option<u64>, Fault> {
    match &params[key] {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        value => {
            let of_text = || value.as_str().and_then(|text| text.parse().ok());
            let number = value.as_u64().or_else(of_text);
            let fault = || Fault::invalid(format!("{key} must be a non-negative integer"));
            number.map(Some).ok_or_else(fault)
        }
    }
}
