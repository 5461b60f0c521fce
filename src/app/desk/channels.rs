//! `channels.*`: how the accounts are, what they went through, and telling them to go or come.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::text_of;
use crate::app::fleet::{NoSuchAccount, Seat, Verb};
use crate::app::house::House;
use crate::base::Instant;
use crate::channels::discord::View;
use crate::control::{Answer, at_once};
use crate::core::health::Status;
use crate::ops::config::Discord;
use crate::proto::control::Fault;
use crate::rt::clock;

/// How long the services are asked whether a token is good, if nobody says how long.
const PROBE: Duration = Duration::from_secs(10);
/// And at most.
const PROBE_MAX: Duration = Duration::from_secs(60);
/// Entries of a history, if nobody says how many.
const ENTRIES: u64 = 50;

/// `channels.status`: every account, as OpenClaw tells it, and with our words. With `probe` each
/// service is asked whether the token is good.
pub(super) fn status(house: &Rc<House>, params: &Value) -> Answer {
    let is_probe = params["probe"].as_bool().unwrap_or(false);
    let (seats, probes) = {
        let (fleet, now) = (house.fleet.borrow(), clock::now());
        let config = house.config();
        let source = |name: &str| {
            let has_token = |one: &&Discord| one.id == name && one.token.is_some();
            config.accounts.iter().find(has_token).map(|one| one.token_from.clone())
        };
        let told = |seat: Seat<'_>| {
            let mut told = account(&seat, now);
            if let Some(source) = source(seat.name) {
                told["tokenSource"] = source.into();
            }
            told
        };
        let seats: Vec<Value> = fleet.seats().map(told).collect();
        let probes: Vec<_> = if is_probe { fleet.probes() } else { Vec::new() };
        (seats, probes)
    };
    let ts = clock::wall().0;
    let patience = params["timeoutMs"].as_u64().map_or(PROBE, Duration::from_millis).min(PROBE_MAX);
    let deadline = clock::now() + patience;
    Box::pin(async move {
        let mut seats = seats;
        for (name, probe) in probes {
            let begun = clock::now();
            let mut told = match clock::timeout(deadline, probe).await {
                Some(Ok(bot)) => json!({ "ok": true, "bot": { "username": bot } }),
                Some(Err(text)) => json!({ "ok": false, "error": text }),
                None => json!({ "ok": false, "error": "there was no answer in time" }),
            };
            told["elapsedMs"] = crate::control::millis(clock::now().since(begun)).into();
            if let Some(seat) = seats.iter_mut().find(|seat| seat["accountId"] == *name) {
                seat["probe"] = told;
                seat["lastProbeAt"] = clock::wall().0.into();
            }
        }
        Ok(told(ts, &seats))
    })
}

/// The published form has no place for what a person should look at but in words; for programs, it
/// stands with the channel.
fn told(ts: u64, seats: &[Value]) -> Value {
    let issues: Vec<Value> = seats.iter().filter_map(issue).collect();
    let words: Vec<String> = issues
        .iter()
        .map(|issue| {
            let part = |key: &str| issue[key].as_str().unwrap_or_default();
            format!("discord {}: {}; {}", part("accountId"), part("message"), part("fix"))
        })
        .collect();
    let default = seats.first().and_then(|seat| seat["accountId"].as_str());
    let running = seats.iter().any(|seat| seat["running"] == true);
    let mut status = json!({
        "ts": ts,
        "channelOrder": ["discord"],
        "channelLabels": { "discord": "Discord" },
        "channelDefaultAccountId": {},
        "channels": {
            "discord": { "configured": !seats.is_empty(), "running": running, "issues": issues },
        },
        "channelAccounts": { "discord": seats },
        "warnings": words,
    });
    if let Some(default) = default {
        status["channelDefaultAccountId"]["discord"] = default.into();
    }
    status
}

fn account(seat: &Seat<'_>, now: Instant) -> Value {
    let facts = seat.view.as_ref().map(|view| view.facts(now));
    let is_connected = seat.status == Status::Connected;
    let error = match (&facts, seat.why) {
        (_, Some(why)) => Some(why.to_owned()),
        (Some(facts), None) if !is_connected => facts.cause.clone(),
        _ => None,
    };
    let mut value = json!({
        "accountId": seat.name,
        "enabled": seat.enabled,
        "configured": seat.configured,
        "running": seat.view.is_some(),
        "connected": is_connected,
        "state": seat.status.name(),
        "healthState": if is_connected { "healthy" } else { seat.status.name() },
        "lastError": error,
    });
    if let (Some(view), Some(facts)) = (&seat.view, &facts) {
        value["lastProofAgeMs"] = json!(view.proof_age(now).map(|age| age.as_millis()));
        value["lastDisconnect"] = json!({ "code": facts.code, "error": facts.cause });
        value["reconnects"] = json!(facts.losses);
        if let Some(cure) = view.cure() {
            value["cure"] = cure.into();
        }
        value["lastInboundAt"] = json!(view.last_inbound().map(|at| at.0));
    }
    value
}

/// What a person should look at, of an account that is not as it should be.
fn issue(seat: &Value) -> Option<Value> {
    let is_amiss = seat["enabled"] == true && seat["connected"] != true;
    is_amiss.then(|| {
        let message = seat["lastError"].as_str().unwrap_or("it is on its way");
        json!({
            "channel": "discord",
            "accountId": seat["accountId"],
            "kind": if seat["state"] == "auth_required" { "auth" } else { "runtime" },
            "message": message,
            "fix": seat["cure"].as_str().unwrap_or("see `barnacle doctor`"),
        })
    })
}

/// `channels.start`, `.stop` and `.restart`: the answer comes when it is done.
pub(super) fn command(house: &Rc<House>, verb: Verb, params: &Value) -> Answer {
    let chosen = match chosen(params) {
        Ok(chosen) => chosen,
        Err(fault) => return at_once(Err(fault)),
    };
    let verb = match (verb, params["fresh"].as_bool()) {
        (Verb::Restart, Some(true)) => Verb::Renew,
        (verb, _) => verb,
    };
    let done = house.fleet.borrow_mut().command(verb, chosen.as_deref());
    house.nudge();
    let house = house.clone();
    Box::pin(async move {
        done.map_err(|NoSuchAccount| unknown_account(&house, chosen.as_deref()))?.await;
        let fleet = house.fleet.borrow();
        let is_meant = |seat: &Seat<'_>| chosen.as_deref().is_none_or(|name| name == seat.name);
        let accounts: Vec<Value> = fleet
            .seats()
            .filter(is_meant)
            .map(|seat| {
                json!({
                    "channel": "discord",
                    "accountId": seat.name,
                    "state": seat.status.name(),
                    "why": seat.why,
                })
            })
            .collect();
        Ok(json!({ "ok": true, "accounts": accounts }))
    })
}

/// `channels.logout`: the account leaves for good, and its session with it: the next start begins
/// a new one.
pub(super) fn logout(house: &Rc<House>, params: &Value) -> Answer {
    if text_of(params, &["channel"]).is_none() {
        return at_once(Err(Fault::invalid("invalid channels.logout params: channel is missing")));
    }
    let chosen = match chosen(params) {
        Ok(chosen) => chosen,
        Err(fault) => return at_once(Err(fault)),
    };
    let (name, was_running) = {
        let fleet = house.fleet.borrow();
        let mut seats = fleet.seats();
        let is_meant = |seat: &Seat<'_>| chosen.as_deref().is_none_or(|name| name == seat.name);
        let Some(seat) = seats.find(is_meant) else {
            return at_once(Err(unknown_account(house, chosen.as_deref())));
        };
        (seat.name.to_owned(), seat.view.is_some())
    };
    let done = house.fleet.borrow_mut().command(Verb::Stop, Some(&name));
    house.nudge();
    let house = house.clone();
    Box::pin(async move {
        done.map_err(|NoSuchAccount| unknown_account(&house, Some(&name)))?.await;
        Ok(json!({
            "channel": "discord", "accountId": name, "cleared": was_running, "loggedOut": true,
        }))
    })
}

/// `channels.history`: the newest first, and how often each close code came.
pub(super) fn history(house: &House, params: &Value) -> Result<Value, Fault> {
    let chosen = chosen(params)?;
    let limit = params["limit"].as_u64().unwrap_or(ENTRIES);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let fleet = house.fleet.borrow();
    let is_meant = |seat: &Seat<'_>| chosen.as_deref().is_none_or(|name| name == seat.name);
    let mut entries = Vec::new();
    let mut disconnects = Map::new();
    for seat in fleet.seats().filter(is_meant) {
        entries.extend(seat.history.latest(seat.name, limit));
        let closes = seat.view.as_ref().map(View::closes).unwrap_or_default();
        let by_code: Map<String, Value> =
            closes.into_iter().map(|(code, count)| (code.to_string(), count.into())).collect();
        disconnects.insert(seat.name.to_owned(), by_code.into());
    }
    if let Some(name) = &chosen
        && disconnects.is_empty()
    {
        return Err(unknown_account(house, Some(name)));
    }
    entries.sort_by_key(|entry| std::cmp::Reverse(entry["atMs"].as_u64()));
    entries.truncate(limit);
    Ok(json!({ "entries": entries, "disconnects": disconnects }))
}

/// The account that is meant, if one is named; a channel that we do not have is a mistake.
pub(super) fn chosen(params: &Value) -> Result<Option<String>, Fault> {
    match text_of(params, &["channel"]) {
        None | Some("discord" | "all" | "last") => {}
        Some(other) => {
            let other: String = other.chars().take(40).collect();
            return Err(Fault::invalid(format!(
                "there is no channel \"{}\"; there is: discord",
                crate::base::text::Plain(&other)
            )));
        }
    }
    Ok(text_of(params, &["accountId", "account"]).map(str::to_owned))
}

/// The answer to one who named an account that is not there.
pub(super) fn unknown_account(house: &House, name: Option<&str>) -> Fault {
    let fleet = house.fleet.borrow();
    let names: Vec<&str> = fleet.seats().map(|seat| seat.name).collect();
    let name: String = name.unwrap_or_default().chars().take(40).collect();
    let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Fault::invalid(format!(
        "there is no account \"{}\"; there is: {known}",
        crate::base::text::Plain(&name)
    ))
}
