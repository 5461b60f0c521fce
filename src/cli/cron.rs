//! Scheduled jobs: looking at them, making and changing them, running them now.

mod make;
mod times;

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Call;
use super::client::{Client, Effect};
use super::parse::usage;
use super::print::{Printer, Shade, Spinner, remark};
use crate::base::text::Plain;
use crate::ops::exit::{Exit, Failure};
use crate::rt::clock;

pub(crate) use make::{add, edit};

/// As many jobs as one answer holds.
const PAGE: u64 = 200;
/// How often it is looked whether a run is over.
const LOOK: Duration = Duration::from_millis(500);
/// How long that is waited for.
const PATIENCE: Duration = Duration::from_secs(600);

/// `barnacle cron list`.
pub(crate) fn list(call: &mut Call<'_>) -> Result<(), Failure> {
    let mut params = json!({ "includeDisabled": call.parsed.has("all") });
    if let Some(agent) = call.parsed.text("agent") {
        params["agentId"] = agent.into();
    }
    let mut answer = all(&Client::new(call)?, params)?;
    for job in answer["jobs"].as_array_mut().into_iter().flatten() {
        job["status"] = status_of(job).into();
    }
    call.answer(&answer, table)
}

/// All pages in one answer. If the jobs change meanwhile, it is begun anew.
fn all(client: &Client, mut params: Value) -> Result<Value, Failure> {
    'anew: for _ in 0..4 {
        let (mut offset, mut jobs, mut first) = (0, Vec::new(), Value::Null);
        loop {
            params["limit"] = PAGE.into();
            params["offset"] = offset.into();
            let mut page = client.ask("cron.list", &params, Effect::Same)?;
            let previews = page["deliveryPreviews"].take();
            if let Some(some) = page["jobs"].as_array_mut() {
                jobs.append(some);
            }
            let next = page["nextOffset"].as_u64();
            if first.is_null() {
                first = page;
                first["deliveryPreviews"] = previews;
            } else if first["snapshotRevision"] != page["snapshotRevision"] {
                continue 'anew;
            } else if let (Some(known), Some(more)) =
                (first["deliveryPreviews"].as_object_mut(), previews.as_object())
            {
                known.extend(more.clone());
            }
            match next {
                Some(next) if next > offset => offset = next,
                _ => {
                    first["jobs"] = jobs.into();
                    first["hasMore"] = false.into();
                    first["nextOffset"] = Value::Null;
                    return Ok(first);
                }
            }
        }
    }
    Err(Failure::new(Exit::Unavailable, "the jobs change faster than they can be listed", ""))
}

/// A job's state in a word.
fn status_of(job: &Value) -> &str {
    let state = &job["state"];
    if state["runningAtMs"].is_u64() {
        return "running";
    }
    if job["enabled"] == false {
        return "disabled";
    }
    state["lastRunStatus"].as_str().unwrap_or("idle")
}

fn table(printer: &Printer, answer: &Value) -> String {
    let jobs = answer["jobs"].as_array().map(Vec::as_slice).unwrap_or_default();
    if jobs.is_empty() {
        return "no jobs; `barnacle cron add` makes one".to_owned();
    }
    let now = clock::wall().0;
    let heads = ["ID", "NAME", "SCHEDULE", "NEXT", "LAST", "STATUS", "AGENT"].map(str::to_owned);
    let rows = jobs.iter().map(|job| {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        [
            text(&job["id"]),
            shortened(&text(&job["name"]), 32),
            shortened(&times::schedule(&job["schedule"]), 36),
            times::relative(job["state"]["nextRunAtMs"].as_u64(), now),
            times::relative(job["state"]["lastRunAtMs"].as_u64(), now),
            label(job),
            job["agentId"].as_str().unwrap_or("(usual)").to_owned(),
        ]
        .map(|cell| Plain(&cell).to_string())
    });
    let rows: Vec<[String; 7]> = std::iter::once(heads).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..7).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for (at, row) in rows.iter().enumerate() {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let shade = match (at, column) {
                (0, _) => Some(Shade::Faint),
                (_, 5) => Some(shade(cell)),
                _ => None,
            };
            let padding = width - cell.chars().count();
            let _ = write!(out, "{}{:padding$}  ", printer.shade(shade, cell), "");
        }
        out.truncate(out.trim_end().len());
        out.push('\n');
    }
    out
}

fn label(job: &Value) -> String {
    let status = status_of(job);
    let errors = job["state"]["consecutiveErrors"].as_u64().unwrap_or(0);
    let is_lost = status == "ok" && job["state"]["lastDeliveryStatus"] == "not-delivered";
    match status {
        "error" if errors > 1 => format!("error ({errors}x)"),
        "ok" if is_lost && job["state"]["deliverySuppressionReason"].is_null() => {
            "ok (not delivered)".to_owned()
        }
        status => status.to_owned(),
    }
}

fn shade(label: &str) -> Shade {
    match label.split(' ').next().unwrap_or_default() {
        "ok" => Shade::Good,
        "running" => Shade::Fair,
        "error" => Shade::Bad,
        _ => Shade::Faint,
    }
}

fn shortened(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    text.chars().take(chars_max - 1).chain(['…']).collect()
}

/// The job that is named by its id, or by a name that only one has.
fn job(client: &Client, named: &str) -> Result<Value, Failure> {
    let found = all(client, json!({ "includeDisabled": true }))?;
    let jobs = found["jobs"].as_array().map(Vec::as_slice).unwrap_or_default();
    if let Some(job) = jobs.iter().find(|job| job["id"] == named) {
        return Ok(job.clone());
    }
    let mut same = jobs.iter().filter(|job| job["name"] == named || is_start(&job["id"], named));
    match (same.next(), same.next()) {
        (Some(job), None) => Ok(job.clone()),
        (Some(_), Some(_)) => {
            let text = format!("several jobs are called \"{}\"", Plain(named));
            Err(Failure::new(Exit::Usage, text, "name one by its id: `barnacle cron list --all`"))
        }
        (None, _) => {
            let text = format!("there is no job \"{}\"", Plain(named));
            Err(Failure::new(Exit::Usage, text, "see `barnacle cron list --all`"))
        }
    }
}

/// The beginning of an id is enough, if it is no chance.
fn is_start(id: &Value, named: &str) -> bool {
    named.len() >= 4 && id.as_str().is_some_and(|id| id.starts_with(named))
}

fn id(client: &Client, named: &str) -> Result<String, Failure> {
    Ok(job(client, named)?["id"].as_str().unwrap_or_default().to_owned())
}

fn named(call: &Call<'_>) -> Result<String, Failure> {
    let (word, flag) = (call.parsed.word(0).map(str::to_owned), call.parsed.text("id"));
    match (word, flag) {
        (Some(word), Some(flag)) if word != flag => {
            Err(usage("two jobs are named, and one is meant", ""))
        }
        (Some(named), _) | (None, Some(named)) => Ok(named),
        (None, None) => Err(usage("which job?", "name one by its id: `barnacle cron list`")),
    }
}

/// `barnacle cron show`.
pub(crate) fn show(call: &mut Call<'_>) -> Result<(), Failure> {
    let client = Client::new(call)?;
    let mut job = job(&client, &named(call)?)?;
    job["status"] = status_of(&job).into();
    if call.common.json {
        return call.answer(&job, |_, _| String::new());
    }
    let policy = client.ask("cron.policy", &json!({ "id": job["id"] }), Effect::Same)?;
    let policy = policy["jobs"][job["id"].as_str().unwrap_or_default()].clone();
    call.answer(&job, |printer, job| story(printer, job, &policy))
}

fn story(printer: &Printer, job: &Value, policy: &Value) -> String {
    let now = clock::wall().0;
    let mut out = String::new();
    let mut say = |name: &str, text: &str| {
        if !text.is_empty() {
            let _ = writeln!(out, "{name:10}  {}", printer.shade(None, text));
        }
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    say("id", &text(&job["id"]));
    say("name", &text(&job["name"]));
    say("about", &text(&job["description"]));
    say("schedule", &times::schedule(&job["schedule"]));
    say("status", &label(job));
    let next = policy["nextRunsAtMs"].as_array().into_iter().flatten();
    let zone = job["schedule"]["tz"].as_str();
    let next = next.filter_map(Value::as_u64).map(|at| times::absolute(at, zone));
    let next: Vec<String> = next.collect();
    say("next", &next.join(", "));
    let window = policy["windowMs"].as_u64().map(|ms| format!(" of {}", times::span(ms)));
    let missed = format!("{}{}", text(&policy["missed"]), window.unwrap_or_default());
    say("if missed", &missed);
    say("if busy", &text(&policy["overlap"]));
    say("agent", job["agentId"].as_str().unwrap_or("(usual)"));
    say("session", &text(&job["sessionTarget"]));
    let payload = &job["payload"];
    say("says", payload["message"].as_str().or(payload["text"].as_str()).unwrap_or_default());
    let delivery = &job["delivery"];
    let to = delivery["to"].as_str().or(delivery["channel"].as_str()).unwrap_or_default();
    say("delivery", format!("{} {to}", text(&delivery["mode"])).trim());
    say("last", &times::relative(job["state"]["lastRunAtMs"].as_u64(), now));
    say("error", &text(&job["state"]["lastError"]));
    say("arrived", &text(&job["state"]["lastDeliveryStatus"]));
    say("why not", &text(&job["state"]["lastDeliveryError"]));
    out
}

/// `barnacle cron status`.
pub(crate) fn status(call: &mut Call<'_>) -> Result<(), Failure> {
    let answer = Client::new(call)?.ask("cron.status", &json!({}), Effect::Same)?;
    call.answer(&answer, |_, answer| {
        let next = times::relative(answer["nextWakeAtMs"].as_u64(), clock::wall().0);
        let is_on = if answer["enabled"] == true { "on" } else { "off (cron.enabled)" };
        let mut out = format!("jobs are {is_on}\njobs     {}\nnext     {next}", answer["jobs"]);
        let zone = answer["timeZone"].as_str().unwrap_or("UTC");
        let _ = write!(out, "\nzone     {}", Plain(zone));
        for key in ["clock", "problem"] {
            if let Some(text) = answer[key].as_str().filter(|text| *text != "ok") {
                let _ = write!(out, "\n{key:8} {}", Plain(text));
            }
        }
        out
    })
}

/// `barnacle cron rm`.
pub(crate) fn remove(call: &mut Call<'_>) -> Result<(), Failure> {
    let client = Client::new(call)?;
    let id = id(&client, &named(call)?)?;
    let answer = client.ask("cron.remove", &json!({ "id": id }), Effect::Twice)?;
    call.answer(&answer, |_, _| format!("removed {}", Plain(&id)))
}

/// `barnacle cron enable`.
pub(crate) fn enable(call: &mut Call<'_>) -> Result<(), Failure> {
    toggle(call, true)
}

/// `barnacle cron disable`.
pub(crate) fn disable(call: &mut Call<'_>) -> Result<(), Failure> {
    toggle(call, false)
}

fn toggle(call: &mut Call<'_>, is_on: bool) -> Result<(), Failure> {
    let client = Client::new(call)?;
    let id = id(&client, &named(call)?)?;
    let params = json!({ "id": id, "patch": { "enabled": is_on } });
    let answer = client.ask("cron.update", &params, Effect::Same)?;
    call.answer(&answer, |_, job| {
        let word = if is_on { "enabled" } else { "disabled" };
        let next = times::relative(job["state"]["nextRunAtMs"].as_u64(), clock::wall().0);
        format!("{word} {}; next {next}", Plain(&id))
    })
}

/// `barnacle cron runs`.
pub(crate) fn runs(call: &mut Call<'_>) -> Result<(), Failure> {
    let client = Client::new(call)?;
    let mut params = Map::new();
    // With no job named the runs of all are shown.
    if call.parsed.word(0).is_some() || call.parsed.has("id") {
        let named = named(call)?;
        // A job that is gone has runs, but no name any more.
        let id = id(&client, &named).unwrap_or(named);
        params.insert("id".into(), id.into());
    }
    params.insert("limit".into(), call.parsed.number("limit")?.unwrap_or(50_u64).into());
    if let Some(offset) = call.parsed.number::<u64>("offset")? {
        params.insert("offset".into(), offset.into());
    }
    for (flag, key) in [
        ("run-id", "runId"),
        ("status", "status"),
        ("delivery-status", "deliveryStatus"),
        ("query", "query"),
        ("sort", "sortDir"),
    ] {
        if let Some(text) = call.parsed.text(flag) {
            params.insert(key.to_owned(), text.into());
        }
    }
    let answer = client.ask("cron.runs", &params.into(), Effect::Same)?;
    call.answer(&answer, history)
}

fn history(printer: &Printer, answer: &Value) -> String {
    let entries = answer["entries"].as_array().map(Vec::as_slice).unwrap_or_default();
    if entries.is_empty() {
        return "nothing has run yet".to_owned();
    }
    let mut out = String::new();
    for entry in entries {
        let status = entry["status"].as_str().unwrap_or("?");
        let at = times::absolute(entry["ts"].as_u64().unwrap_or(0), None);
        let name = entry["jobName"].as_str().or(entry["jobId"].as_str()).unwrap_or("?");
        let status = printer.shade(Some(shade(status)), status);
        let _ = write!(out, "{at}  {status:7}  {}", Plain(name));
        if let Some(took) = entry["durationMs"].as_u64() {
            let _ = write!(out, ", {}", times::span(took));
        }
        if let Some(arrival) = entry["deliveryStatus"].as_str().filter(|a| *a != "not-requested") {
            let _ = write!(out, ", {}", Plain(arrival));
        }
        for key in ["error", "deliveryError", "summary"] {
            if let Some(text) = entry[key].as_str() {
                let _ = write!(out, "\n    {}", Plain(&shortened(text, 200)));
            }
        }
        out.push('\n');
    }
    out
}

/// `barnacle cron run`.
pub(crate) fn run(call: &mut Call<'_>) -> Result<(), Failure> {
    let client = Client::new(call)?;
    let id = id(&client, &named(call)?)?;
    let mode = if call.parsed.has("due") { "due" } else { "force" };
    let params = json!({ "id": id, "mode": mode });
    let mut answer = client.ask("cron.run", &params, Effect::Twice)?;
    let Some(run) = answer["runId"].as_str().map(str::to_owned) else {
        let reason = answer["reason"].as_str().unwrap_or("?").to_owned();
        if call.common.json {
            call.answer(&answer, |_, _| String::new())?;
        }
        return Err(Failure::new(Exit::Unavailable, format!("it was not run: {reason}"), ""));
    };
    if !call.parsed.has("wait") {
        return call.answer(&answer, |_, _| format!("runs as {}", Plain(&run)));
    }
    let patience = call.parsed.span("wait-timeout")?.unwrap_or(PATIENCE);
    let entry = wait(&client, &id, &run, patience)?;
    let is_ok = entry["status"] == "ok";
    answer["completed"] = true.into();
    answer["status"] = entry["status"].clone();
    answer["completionStatus"] = entry["completionStatus"].clone();
    answer["run"] = entry;
    call.answer(&answer, |printer, answer| {
        history(printer, &json!({ "entries": [answer["run"]] }))
    })?;
    let failed = || Failure::new(Exit::Unavailable, "the run did not go well", "");
    if is_ok { Ok(()) } else { Err(failed()) }
}

fn wait(client: &Client, id: &str, run: &str, patience: Duration) -> Result<Value, Failure> {
    let end = clock::now() + patience;
    let params = json!({ "id": id, "runId": run, "limit": 1 });
    loop {
        // Nothing is known of a job's first run while it goes on.
        let answer = client.ask("cron.runs", &params, Effect::Same)?;
        let entry = &answer["entries"][0];
        if entry["status"].is_string() {
            return Ok(entry.clone());
        }
        if clock::now() >= end {
            let text = format!("the run {} is not over yet", Plain(run));
            return Err(Failure::new(Exit::Unavailable, text, "see `barnacle cron runs`"));
        }
        Spinner::pause(LOOK.min(end.since(clock::now())));
    }
}

/// Says that nothing will run, where that is so.
fn warn_if_off(client: &Client) {
    if let Ok(status) = client.ask("cron.status", &json!({}), Effect::Same)
        && status["enabled"] == false
    {
        remark("jobs are switched off (cron.enabled is false): it will not run when it is due");
    }
}
