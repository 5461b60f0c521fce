//! Jobs and runs as OpenClaw's protocol shows them, and the event that tells of them.

use serde_json::{Map, Value, json};

use super::Inner;
use super::book::{Kept, Past, Status};
use crate::app::house::House;
use crate::base::hash::fnv1a;
use crate::core::schedule::job::{Delivery, Mode};

impl Inner {
    /// A job, as it is read.
    pub(in crate::app) fn job(&self, id: &str) -> Option<Value> {
        Some(self.view(id, self.book.jobs.get(id)?))
    }

    /// As above; of a job that has just gone, too.
    pub(in crate::app) fn view(&self, id: &str, kept: &Kept) -> Value {
        let mut job = definition(kept);
        let revision = revision(&job);
        job["id"] = id.into();
        job["createdAtMs"] = kept.created.0.into();
        job["updatedAtMs"] = kept.updated.0.into();
        job["configRevision"] = revision.into();
        let state = self.state(id, kept);
        for key in ["nextRunAtMs", "lastRunAtMs", "lastRunStatus", "lastDelivered"] {
            copy(&state, key, &mut job, key);
        }
        for key in ["lastDeliveryStatus", "lastDeliveryError", "deliverySuppressionReason"] {
            copy(&state, key, &mut job, key);
        }
        copy(&state, "lastError", &mut job, "lastRunError");
        job["state"] = state;
        job
    }

    fn state(&self, id: &str, kept: &Kept) -> Value {
        let mut state = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                state.insert(key.to_owned(), value);
            }
        };
        put("nextRunAtMs", self.roster.next(id).map(|next| next.0.into()));
        let running = self.roster.progress(id).and_then(|progress| progress.running);
        put("runningAtMs", running.map(|run| run.begun.0.into()));
        let tally = &kept.tally;
        put("consecutiveErrors", (tally.errors > 0).then(|| tally.errors.into()));
        put("consecutiveSkipped", (tally.skipped > 0).then(|| tally.skipped.into()));
        put("lastFailureAlertAtMs", tally.alerted.map(|at| at.0.into()));
        if let Some(last) = &tally.last {
            put("lastRunAtMs", Some(last.begun.unwrap_or(last.at).0.into()));
            put("lastRunStatus", Some(last.status.name().into()));
            put("lastStatus", Some(last.status.name().into()));
            put("lastError", last.error.clone().map(Value::from));
            put("lastDurationMs", last.took_ms.map(Value::from));
            if last.status != Status::Skipped {
                put("lastDelivered", Some(last.delivery.is_delivered().into()));
                put("lastDeliveryStatus", Some(last.delivery.arrival.name().into()));
                put("lastDeliveryError", last.delivery.error.clone().map(Value::from));
                put("deliverySuppressionReason", last.delivery.silent.clone().map(Value::from));
            }
        }
        state.into()
    }

    /// What changes when the list of jobs does.
    pub(in crate::app) fn revision(&self, ids: &[&str]) -> String {
        let text = ids.iter().filter_map(|id| {
            let kept = self.book.jobs.get(*id)?;
            Some(format!("{id} {} {:?};", kept.updated.0, self.roster.next(id)))
        });
        format!("{:016x}", fnv1a(text.collect::<String>().bytes()))
    }
}

/// What a person has said about a job, in OpenClaw's words only.
fn definition(kept: &Kept) -> Value {
    let mut job = serde_json::to_value(&kept.job).unwrap_or_default();
    if let Some(map) = job.as_object_mut() {
        map.remove("policy");
    }
    job
}

fn revision(definition: &Value) -> String {
    format!("{:016x}", fnv1a(definition.to_string().bytes()))
}

fn copy(from: &Value, key: &str, into: &mut Value, as_key: &str) {
    if !from[key].is_null() {
        into[as_key] = from[key].clone();
    }
}

/// A run, as it is listed.
pub(in crate::app) fn entry(past: &Past) -> Value {
    let mut entry = json!({
        "ts": past.at.0,
        "jobId": past.job,
        "jobName": past.name,
        "action": "finished",
        "status": past.status.name(),
        "completionStatus": if past.status == Status::Ok { "succeeded" } else { "failed" },
    });
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            entry[key] = value;
        }
    };
    put("runId", past.run.clone().map(Value::from));
    put("runAtMs", past.begun.or(past.due).map(|at| at.0.into()));
    put("durationMs", past.took_ms.map(Value::from));
    put("error", past.error.clone().map(Value::from));
    put("summary", past.summary.clone().map(Value::from));
    put("sessionKey", past.session.clone().map(Value::from));
    if past.lost.is_none() {
        put("delivered", Some(past.delivery.is_delivered().into()));
        put("deliveryStatus", Some(past.delivery.arrival.name().into()));
        put("deliveryError", past.delivery.error.clone().map(Value::from));
        put("deliverySuppressionReason", past.delivery.silent.clone().map(Value::from));
    }
    if let Some(to) = &past.delivery.to {
        let mut resolved = json!({ "channel": "discord", "to": to, "ok": true });
        if let Some(account) = &past.delivery.account {
            resolved["accountId"] = account.as_str().into();
        }
        let delivered = past.delivery.is_delivered();
        put("delivery", Some(json!({ "resolved": resolved, "delivered": delivered })));
    }
    entry
}

/// Where a job's answer goes, for people.
pub(in crate::app) fn preview(delivery: Option<&Delivery>) -> Value {
    let Some(delivery) = delivery.filter(|delivery| delivery.mode != Mode::None) else {
        return json!({ "label": "not requested", "detail": "not requested" });
    };
    let to = delivery.to.as_deref();
    if delivery.mode == Mode::Webhook {
        let place = super::deliver::place(to.unwrap_or_default());
        return json!({ "label": format!("webhook:{place}"), "detail": "webhook" });
    }
    let (label, detail) = match to {
        Some(to) => (format!("announce -> discord:{to}"), "explicit"),
        None => ("announce -> last".to_owned(), "the chat that was answered last"),
    };
    json!({ "label": label, "detail": detail })
}

/// A job was added, changed, or has begun to run.
pub(in crate::app) fn changed(house: &House, id: &str, action: &str) {
    let event = {
        let inner = house.cron.look();
        let Some(job) = inner.job(id) else { return };
        let mut event = json!({ "jobId": id, "action": action });
        if action == "started" {
            copy(&job["state"], "runningAtMs", &mut event, "runAtMs");
        }
        copy(&job, "nextRunAtMs", &mut event, "nextRunAtMs");
        event["job"] = public(job);
        event
    };
    house.hub.tell("cron", &event);
}

/// A job is gone.
pub(in crate::app) fn removed(house: &House, id: &str, kept: &Kept) {
    let job = public(house.cron.look().view(id, kept));
    house.hub.tell("cron", &json!({ "jobId": id, "action": "removed", "job": job }));
}

/// A run is over, or due instants were not run.
pub(in crate::app) fn finished(house: &House, past: &Past) {
    house.hub.tell("cron", &finish(house, past));
}

/// What is told of the end of a run, to clients and to webhooks.
pub(in crate::app) fn finish(house: &House, past: &Past) -> Value {
    let mut event = entry(past);
    if let Some(map) = event.as_object_mut() {
        map.remove("ts");
        map.remove("jobName");
    }
    if let Some(job) = house.cron.look().job(&past.job) {
        copy(&job, "nextRunAtMs", &mut event, "nextRunAtMs");
        event["job"] = public(job);
    }
    event
}

/// In an event a job is told without what a reader of lists gets besides.
fn public(mut job: Value) -> Value {
    const READ_ONLY: [&str; 9] = [
        "configRevision",
        "nextRunAtMs",
        "lastRunAtMs",
        "lastRunStatus",
        "lastRunError",
        "lastDelivered",
        "lastDeliveryStatus",
        "lastDeliveryError",
        "deliverySuppressionReason",
    ];
    if let Some(map) = job.as_object_mut() {
        map.retain(|key, _| !READ_ONLY.contains(&key.as_str()));
    }
    job
}

/// What a job has to do with `message`: the number of one that the bot said, or the name of a run.
/// In a sentence, and as it is listed.
pub(in crate::app) fn story(house: &House, message: &str) -> Option<(String, Value)> {
    let message = message.trim().trim_end_matches('/');
    let number: Option<u64> = message.rsplit('/').next().and_then(|last| last.parse().ok());
    let inner = house.cron.look();
    let is_it = |past: &&Past| {
        past.run.as_deref() == Some(message) || number.is_some() && past.delivery.message == number
    };
    let past = inner.book.runs.iter().rev().find(is_it)?;
    let due = past.due.map_or_else(|| "run by hand".to_owned(), |due| format!("due {due}"));
    let how = past.error.clone().unwrap_or_else(|| "it went well".to_owned());
    let (name, run) = (&past.name, past.run.as_deref().unwrap_or("-"));
    let to = past.delivery.to.as_deref().unwrap_or("nowhere");
    let arrival = past.delivery.arrival.name();
    let text = format!(
        "the job \"{name}\" ({}) has to do with it: {due}, run {run}; {how}; its answer went to \
         {to} ({arrival})",
        past.job
    );
    Some((text, entry(past)))
}
