//! `health`: the channels, the agents and the conversations, in the published form; and the event
//! that tells of it, when something has changed and at a slow beat.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Map, Value, json};

use crate::app::fleet::Seat;
use crate::app::house::House;
use crate::base::{Wall, limits};
use crate::control::{Answer, label};
use crate::core::health::{Report, Status};
use crate::ops::config::Config;
use crate::rt::clock;

/// Conversations that are shown of each agent.
const RECENT: usize = 5;

/// The published form, which has no place for anything else: it is part of each hello.
pub(in crate::app) fn snapshot(
    config: &Config,
    report: &Report,
    channels: &Value,
    recent: &Recent,
) -> Value {
    let names: Vec<&str> = report.channels.keys().copied().collect();
    let labels: Map<String, Value> =
        names.iter().map(|&name| (name.into(), label(name).into())).collect();
    let ids = config.agents.iter().map(|agent| agent.id.as_str());
    let agents: Vec<Value> =
        ids.clone().enumerate().map(|(at, id)| agent(id, at == 0, recent)).collect();
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
        "sessions": recent.json(None),
    })
}

/// The conversations, as they were when they were last looked at: a hello waits for no disk.
#[derive(Default)]
pub(in crate::app) struct Recent {
    /// Of each agent: how many, and the last ones, by their keys.
    agents: BTreeMap<String, (usize, Vec<(String, Wall)>)>,
}

impl Recent {
    /// Looks again.
    pub(in crate::app) async fn look(house: &House) {
        let store = house.fleet.borrow().store().clone();
        let mut recent = Recent::default();
        for summary in store.list().await {
            let key = &summary.header.key;
            let (count, last) = recent.agents.entry(key.agent().to_owned()).or_default();
            *count += 1;
            if last.len() < RECENT {
                last.push((key.as_str().to_owned(), summary.updated));
            }
        }
        house.recent.replace(recent);
    }

    /// Those of one agent, or all.
    fn json(&self, agent: Option<&str>) -> Value {
        let meant = self.agents.iter().filter(|(id, _)| agent.is_none_or(|agent| agent == *id));
        let (mut all, mut last) = (0, Vec::new());
        for (_, (count, some)) in meant {
            all += count;
            last.extend(some);
        }
        last.sort_by_key(|(_, updated)| std::cmp::Reverse(*updated));
        let now = clock::wall();
        let row = |(key, updated): &&(String, Wall)| {
            let age = crate::control::millis(now.since(*updated));
            json!({ "key": key, "updatedAt": updated.0, "age": age })
        };
        let rows: Vec<Value> = last.iter().take(RECENT).map(row).collect();
        json!({ "path": "memory", "count": all, "recent": rows })
    }
}

/// `health`: the same, and what we know besides.
pub(super) fn health(house: &Rc<House>) -> Answer {
    let house = house.clone();
    Box::pin(async move {
        Recent::look(&house).await;
        Ok(full(&house))
    })
}

fn full(house: &House) -> Value {
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

/// `status`: ours, and what OpenClaw's command line shows of it.
pub(super) fn status(house: &Rc<House>) -> Answer {
    let house = house.clone();
    Box::pin(async move {
        Recent::look(&house).await;
        let facts = house.facts();
        let (health, mut status) = (facts.health, facts.status);
        let (recent, config) = (house.recent.borrow(), house.config());
        let beat = |id: &str| json!({ "agentId": id, "enabled": false, "every": "disabled" });
        let by_agent = |id: &str| {
            let mut sessions = recent.json(Some(id));
            sessions["agentId"] = id.into();
            sessions
        };
        let ids = || config.agents.iter().map(|agent| agent.id.as_str());
        let mut sessions = recent.json(None);
        sessions["paths"] = json!([]);
        sessions["defaults"] = json!({ "model": null, "contextTokens": null });
        sessions["byAgent"] = ids().map(by_agent).collect();
        status["runtimeVersion"] = status["version"].clone();
        status["heartbeat"] = json!({
            "defaultAgentId": health["defaultAgentId"],
            "agents": ids().map(beat).collect::<Vec<_>>(),
        });
        let channels = facts.report.channels.iter();
        status["channelSummary"] =
            channels.map(|(name, status)| format!("{}: {status}", label(name))).collect();
        status["queuedSystemEvents"] = json!([]);
        status["sessions"] = sessions;
        Ok(status)
    })
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
fn agent(id: &str, is_default: bool, recent: &Recent) -> Value {
    json!({
        "agentId": id,
        "isDefault": is_default,
        "heartbeat": {
            "enabled": false, "every": "0m", "everyMs": null, "prompt": "", "target": "none",
            "ackMaxChars": 0,
        },
        "sessions": recent.json(Some(id)),
    })
}

/// Tells of the health now and then, if anybody listens: a client that shows it shows how old it
/// is.
pub(in crate::app) fn beat(house: &Rc<House>) {
    let beating = house.clone();
    house.work("health", async move {
        Recent::look(&beating).await;
        loop {
            clock::sleep_until(clock::now() + limits::CONTROL_HEALTH_BEAT).await;
            if beating.hub.members() > 0 {
                Recent::look(&beating).await;
                beating.tell_health();
            }
        }
    });
}
