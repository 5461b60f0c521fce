//! `health`: the channels, the agents and the conversations, in the published form; and the event
//! that tells of it, when something has changed and at a slow beat.

use std::rc::Rc;

use serde_json::{Map, Value, json};

use crate::app::fleet::Seat;
use crate::app::house::House;
use crate::base::limits;
use crate::control::label;
use crate::core::health::{Report, Status};
use crate::ops::config::Config;
use crate::rt::clock;

/// The published form, which has no place for anything else: it is part of each hello.
pub(in crate::app) fn snapshot(config: &Config, report: &Report, channels: &Value) -> Value {
    let names: Vec<&str> = report.channels.keys().copied().collect();
    let labels: Map<String, Value> =
        names.iter().map(|&name| (name.into(), label(name).into())).collect();
    let ids = config.agents.iter().map(|agent| agent.id.as_str());
    let agents: Vec<Value> = ids.clone().enumerate().map(|(at, id)| agent(id, at == 0)).collect();
    json!({
        "ok": true,
        "ts": clock::wall().0,
        "durationMs": 0,
        "channels": channels,
        "channelOrder": names,
        "channelLabels": labels,
        "heartbeatSeconds": 0,
        "defaultAgentId": ids.clone().next().unwrap_or("main"),
        "agents": agents,
        "sessions": sessions(),
    })
}

/// What we know besides: whoever asks gets that too.
pub(super) fn health(house: &House) -> Value {
    let facts = house.facts();
    let failing: Vec<&str> = facts.report.failing().collect();
    let mut health = facts.health;
    health["ready"] = failing.is_empty().into();
    health["failing"] = json!(failing);
    health["detail"] = json!(facts.report);
    health["pid"] = std::process::id().into();
    health["bootId"] = house.hub.boot_id().into();
    health
}

/// Every account of the one channel there is, under the worst of them.
pub(in crate::app) fn channels<'a>(seats: impl Iterator<Item = Seat<'a>>) -> Value {
    let mut all = Map::new();
    let mut worst: Option<Value> = None;
    for seat in seats {
        let told = account(&seat);
        let is_worse = seat.enabled && seat.status != Status::Connected;
        if worst.is_none() || is_worse {
            worst = Some(told.clone());
        }
        all.insert(seat.name.to_owned(), told);
    }
    match worst {
        Some(mut channel) => {
            channel["accounts"] = all.into();
            json!({ "discord": channel })
        }
        None => json!({}),
    }
}

fn account(seat: &Seat<'_>) -> Value {
    let is_connected = seat.status == Status::Connected;
    let now = clock::now();
    let cause = || seat.view.as_ref().and_then(|view| view.facts(now).cause);
    let error = seat.why.map(str::to_owned).or_else(|| cause().filter(|_| !is_connected));
    let proof = seat.view.as_ref().and_then(|view| view.proof_age(now));
    let mut told = json!({
        "accountId": seat.name,
        "enabled": seat.enabled,
        "configured": seat.configured,
        "running": seat.view.is_some(),
        "connected": is_connected,
        // The word that OpenClaw's own command line knows for what is well; ours for the rest.
        "healthState": if is_connected { "healthy" } else { seat.status.name() },
        "status": seat.status.name(),
    });
    if let Some(error) = error {
        told["lastError"] = error.into();
    }
    if let Some(age) = proof {
        told["lastProofAgeMs"] = crate::control::millis(age).into();
    }
    told
}

/// An agent; none of ours wakes up by itself.
fn agent(id: &str, is_default: bool) -> Value {
    json!({
        "agentId": id,
        "isDefault": is_default,
        "heartbeat": {
            "enabled": false, "every": "0m", "everyMs": null, "prompt": "", "target": "none",
            "ackMaxChars": 0,
        },
        "sessions": sessions(),
    })
}

fn sessions() -> Value {
    json!({ "path": "memory", "count": 0, "recent": [] })
}

/// Tells of the health now and then, if anybody listens: a client that shows it shows how old it
/// is.
pub(in crate::app) fn beat(house: &Rc<House>) {
    let beating = house.clone();
    house.work("health", async move {
        loop {
            clock::sleep_until(clock::now() + limits::CONTROL_HEALTH_BEAT).await;
            beating.tell_health();
        }
    });
}
