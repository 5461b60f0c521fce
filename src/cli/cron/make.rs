//! Making a job and changing one, from the flags of the command line.

use serde_json::{Map, Value, json};

use super::super::Call;
use super::super::client::{Client, Effect};
use super::super::parse::{Parsed, usage};
use super::{id, named, times, warn_if_off};
use crate::base::text::Plain;
use crate::ops::exit::Failure;
use crate::rt::clock;

/// `barnacle cron add`.
pub(crate) fn add(call: &mut Call<'_>) -> Result<(), Failure> {
    let parsed = call.parsed;
    // As with OpenClaw: a schedule and a message may be written without flags.
    let has_schedule = ["at", "every", "cron"].iter().any(|flag| parsed.has(flag));
    let words = (parsed.word(0), parsed.word(1));
    let schedule = match words.0.filter(|_| !has_schedule) {
        Some(word) => positional(word, parsed)?,
        None => schedule(parsed)?.ok_or_else(|| {
            usage("when is it due?", "give one of --at, --every and --cron, or write it first")
        })?,
    };
    let payload = payload(parsed, words.1)?
        .ok_or_else(|| usage("what does it say?", "give --message or --system-event"))?;
    let is_event = payload["kind"] == "systemEvent";
    let name = parsed.text("name").or_else(|| words.0.filter(|_| has_schedule).map(str::to_owned));
    let name = name.unwrap_or_else(|| {
        let said = payload["message"].as_str().or(payload["text"].as_str()).unwrap_or_default();
        said.lines().next().unwrap_or_default().chars().take(60).collect()
    });
    let usual = if is_event { "main" } else { "isolated" };
    let mut params = json!({
        "name": name,
        "enabled": !parsed.has("disabled"),
        "schedule": schedule,
        "sessionTarget": parsed.text("session").unwrap_or_else(|| usual.to_owned()),
        "wakeMode": parsed.text("wake").unwrap_or_else(|| "now".to_owned()),
        "payload": payload,
    });
    put(&mut params, common(parsed)?);
    if let Some(key) = parsed.text("declaration-key") {
        params["declarationKey"] = key.into();
    }
    let delivery = match delivery(parsed)? {
        Some(mut delivery) => {
            if delivery["mode"].is_null() {
                delivery["mode"] = "announce".into();
            }
            Some(delivery)
        }
        None if is_event => None,
        None => Some(json!({ "mode": "announce", "channel": "last" })),
    };
    if let Some(delivery) = delivery {
        params["delivery"] = delivery;
    }
    let client = Client::new(call)?;
    // Under the same key a second one is the same job.
    let is_known = !params["declarationKey"].is_null();
    let effect = if is_known { Effect::Same } else { Effect::Twice };
    let answer = client.ask("cron.add", &params, effect)?;
    call.answer(&answer, |_, answer| {
        let job = if answer["job"].is_object() { &answer["job"] } else { answer };
        let next = times::relative(job["state"]["nextRunAtMs"].as_u64(), clock::wall().0);
        format!("added {}; next {next}", Plain(job["id"].as_str().unwrap_or("?")))
    })?;
    warn_if_off(&client);
    Ok(())
}

/// `barnacle cron edit`.
pub(crate) fn edit(call: &mut Call<'_>) -> Result<(), Failure> {
    let parsed = call.parsed;
    let client = Client::new(call)?;
    let id = id(&client, &named(call)?)?;
    let mut patch = json!({});
    for (flag, key) in [("name", "name"), ("session", "sessionTarget"), ("wake", "wakeMode")] {
        if let Some(text) = parsed.text(flag) {
            patch[key] = text.into();
        }
    }
    match (parsed.has("enable"), parsed.has("disable") || parsed.has("disabled")) {
        (true, true) => return Err(usage("--enable or --disable, not both", "")),
        (true, false) => patch["enabled"] = true.into(),
        (false, true) => patch["enabled"] = false.into(),
        (false, false) => {}
    }
    for (flag, key) in [
        ("clear-agent", "agentId"),
        ("clear-session-key", "sessionKey"),
        ("clear-display-name", "displayName"),
    ] {
        if parsed.has(flag) {
            patch[key] = Value::Null;
        }
    }
    match schedule(parsed)? {
        Some(schedule) => patch["schedule"] = schedule,
        None if parsed.has("tz") => patch["schedule"] = moved(&client, &id, parsed)?,
        None => {}
    }
    if let Some(payload) = payload(parsed, None)? {
        patch["payload"] = payload;
    } else if let Some(seconds) = parsed.number::<u32>("timeout-seconds")? {
        patch["payload"] = json!({ "kind": "agentTurn", "timeoutSeconds": seconds });
    }
    if let Some(delivery) = delivery(parsed)? {
        patch["delivery"] = delivery;
    }
    put(&mut patch, common(parsed)?);
    if patch.as_object().is_none_or(Map::is_empty) {
        return Err(usage("nothing is to be changed", "see `barnacle help cron edit`"));
    }
    let params = json!({ "id": id, "patch": patch });
    let answer = client.ask("cron.update", &params, Effect::Same)?;
    call.answer(&answer, |_, job| {
        let next = times::relative(job["state"]["nextRunAtMs"].as_u64(), clock::wall().0);
        format!("changed {}; next {next}", Plain(&id))
    })?;
    warn_if_off(&client);
    Ok(())
}

/// The expression that a job has, in another place.
fn moved(client: &Client, id: &str, parsed: &Parsed) -> Result<Value, Failure> {
    let mut schedule = super::job(client, id)?["schedule"].clone();
    if schedule["kind"] != "cron" {
        return Err(usage("--tz goes with an expression", "give --cron, too"));
    }
    schedule["tz"] = parsed.text("tz").into();
    Ok(schedule)
}

/// `every 10m`, `20m`, an expression, or a time.
fn positional(word: &str, parsed: &Parsed) -> Result<Value, Failure> {
    let lower = word.trim().to_ascii_lowercase();
    if let Some(span) = lower.strip_prefix("every ") {
        return every(span);
    }
    let is_expression = matches!(word.split_whitespace().count(), 5 | 6) || word.starts_with('@');
    if is_expression { Ok(expression(word, parsed)) } else { at(word, parsed) }
}

fn schedule(parsed: &Parsed) -> Result<Option<Value>, Failure> {
    let given = ["at", "every", "cron"].map(|flag| parsed.text(flag));
    if given.iter().flatten().count() > 1 {
        return Err(usage("one of --at, --every and --cron, not several", ""));
    }
    let [at_text, every_text, cron_text] = given;
    if let Some(text) = at_text {
        return at(&text, parsed).map(Some);
    }
    if let Some(text) = every_text {
        if parsed.has("tz") {
            return Err(usage("--tz goes with --cron or --at", ""));
        }
        return every(&text).map(Some);
    }
    Ok(cron_text.map(|text| expression(&text, parsed)))
}

fn at(text: &str, parsed: &Parsed) -> Result<Value, Failure> {
    let at = times::at(text, parsed.text("tz").as_deref(), clock::wall());
    let at = at.map_err(|why| usage(format!("--at \"{text}\": {why}"), ""))?;
    Ok(json!({ "kind": "at", "at": at }))
}

fn every(text: &str) -> Result<Value, Failure> {
    let every = times::duration(text)
        .ok_or_else(|| usage(format!("--every does not take \"{text}\""), "write 10m, 1h or 1d"))?;
    Ok(json!({ "kind": "every", "everyMs": every }))
}

fn expression(text: &str, parsed: &Parsed) -> Value {
    let mut schedule = json!({ "kind": "cron", "expr": text });
    if let Some(zone) = parsed.text("tz").filter(|zone| !zone.trim().is_empty()) {
        schedule["tz"] = zone.into();
    }
    schedule
}

fn payload(parsed: &Parsed, word: Option<&str>) -> Result<Option<Value>, Failure> {
    let message = parsed.text("message").or_else(|| word.map(str::to_owned));
    let event = parsed.text("system-event");
    match (message, event) {
        (Some(_), Some(_)) => Err(usage("--message or --system-event, not both", "")),
        (None, Some(text)) => Ok(Some(json!({ "kind": "systemEvent", "text": text }))),
        (None, None) => Ok(None),
        (Some(message), None) => {
            let mut payload = json!({ "kind": "agentTurn", "message": message });
            if let Some(seconds) = parsed.number::<u32>("timeout-seconds")? {
                payload["timeoutSeconds"] = seconds.into();
            }
            for flag in ["model", "thinking"] {
                if let Some(text) = parsed.text(flag) {
                    payload[flag] = text.into();
                }
            }
            Ok(Some(payload))
        }
    }
}

fn delivery(parsed: &Parsed) -> Result<Option<Value>, Failure> {
    let mut delivery = Map::new();
    let modes = [
        parsed.has("announce") || parsed.has("deliver"),
        parsed.has("no-deliver"),
        parsed.has("webhook"),
    ];
    if modes.iter().filter(|given| **given).count() > 1 {
        return Err(usage("one of --announce, --no-deliver and --webhook, not several", ""));
    }
    let mut put = |key: &str, value: Value| drop(delivery.insert(key.to_owned(), value));
    if let Some(mode) = ["announce", "none", "webhook"].iter().zip(modes).find(|(_, given)| *given)
    {
        put("mode", (*mode.0).into());
    }
    let to = parsed.text("webhook").or_else(|| parsed.text("to"));
    for (key, text) in
        [("to", to), ("channel", parsed.text("channel")), ("accountId", parsed.text("account"))]
    {
        if let Some(text) = text {
            put(key, text.into());
        }
    }
    if parsed.has("best-effort-deliver") {
        put("bestEffort", true.into());
    }
    Ok((!delivery.is_empty()).then(|| delivery.into()))
}

/// What is said in the same way of a new job and of an old one.
fn common(parsed: &Parsed) -> Result<Value, Failure> {
    let mut said = json!({});
    for (flag, key) in [
        ("description", "description"),
        ("display-name", "displayName"),
        ("agent", "agentId"),
        ("session-key", "sessionKey"),
    ] {
        if let Some(text) = parsed.text(flag) {
            said[key] = text.into();
        }
    }
    match (parsed.has("delete-after-run"), parsed.has("keep-after-run")) {
        (true, true) => {
            return Err(usage("--delete-after-run or --keep-after-run, not both", ""));
        }
        (true, false) => said["deleteAfterRun"] = true.into(),
        (false, true) => said["deleteAfterRun"] = false.into(),
        (false, false) => {}
    }
    if let Some(policy) = policy(parsed)? {
        said["policy"] = policy;
    }
    if let Some(alert) = alert(parsed)? {
        said["failureAlert"] = alert;
    }
    Ok(said)
}

fn policy(parsed: &Parsed) -> Result<Option<Value>, Failure> {
    let mut policy = json!({});
    if let Some(text) = parsed.text("missed") {
        let refused = || {
            let text = format!("--missed does not take \"{text}\"");
            usage(text, "write run, skip or window:10m")
        };
        match text.split_once(':') {
            None if matches!(text.as_str(), "run" | "skip") => {
                policy["missed"] = text.into();
                policy["windowMs"] = Value::Null;
            }
            Some(("window", span)) => {
                policy["missed"] = "window".into();
                policy["windowMs"] = times::duration(span).ok_or_else(refused)?.into();
            }
            _ => return Err(refused()),
        }
    }
    if let Some(text) = parsed.text("overlap") {
        policy["overlap"] = text.into();
    }
    Ok(policy.as_object().is_some_and(|map| !map.is_empty()).then_some(policy))
}

fn alert(parsed: &Parsed) -> Result<Option<Value>, Failure> {
    let mut alert = json!({});
    if let Some(after) = parsed.number::<u32>("failure-alert-after")? {
        alert["after"] = after.into();
    }
    for (flag, key) in [("failure-alert-channel", "channel"), ("failure-alert-to", "to")] {
        if let Some(text) = parsed.text(flag) {
            alert[key] = text.into();
        }
    }
    if let Some(text) = parsed.text("failure-alert-cooldown") {
        let span = times::duration(&text).ok_or_else(|| {
            usage(format!("--failure-alert-cooldown does not take \"{text}\""), "write 1h or 30m")
        })?;
        alert["cooldownMs"] = span.into();
    }
    let has_fields = alert.as_object().is_some_and(|map| !map.is_empty());
    match (parsed.has("no-failure-alert"), has_fields || parsed.has("failure-alert")) {
        (true, true) => Err(usage("--no-failure-alert stands alone", "")),
        (true, false) => Ok(Some(false.into())),
        (false, true) => Ok(Some(alert)),
        (false, false) => Ok(None),
    }
}

fn put(into: &mut Value, said: Value) {
    if let (Some(into), Value::Object(said)) = (into.as_object_mut(), said) {
        into.extend(said);
    }
}
