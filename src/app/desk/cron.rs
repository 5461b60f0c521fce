//! `cron.*`: the scheduled jobs.

use std::rc::Rc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::text_of;
use crate::app::cron::book::Kept;
use crate::app::cron::{self, Fault as Amiss, Inner, tell};
use crate::app::house::House;
use crate::base::limits::TURN_ATTEMPTS_MAX;
use crate::base::text::{Plain, truncate};
use crate::control::{Answer, Call, at_once, unknown};
use crate::core::schedule::roster::{Push, Refused};
use crate::proto::control::{Fault, code};
use crate::rt::zones;

/// Jobs or runs of one answer: as many as OpenClaw gives.
const PAGE_MAX: usize = 200;
/// Runs, if nobody says how many.
const RUNS: usize = 50;

/// Answers `call`.
pub(super) fn answer(house: &Rc<House>, call: Call) -> Answer {
    let params = if call.params.is_null() { json!({}) } else { call.params };
    let verb = call.method.strip_prefix("cron.").unwrap_or_default().to_owned();
    match verb.as_str() {
        "list" => at_once(list(house, &params)),
        "status" => at_once(Ok(status(house))),
        "get" => at_once(get(house, &params)),
        "runs" => at_once(runs(house, &params)),
        "policy" => at_once(policy(house, &params)),
        "run" => at_once(run(house, &params)),
        "add" => Box::pin(add(house.clone(), params)),
        "update" => Box::pin(update(house.clone(), params)),
        "remove" => Box::pin(remove(house.clone(), params)),
        _ => at_once(Err(unknown(&call.method))),
    }
}

/// What can be asked of the list.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct ListParams {
    include_disabled: bool,
    limit: Option<usize>,
    offset: usize,
    query: String,
    enabled: Option<String>,
    schedule_kind: Option<String>,
    last_run_status: Option<String>,
    trigger: Option<String>,
    sort_by: Option<String>,
    sort_dir: Option<String>,
    agent_id: Option<String>,
    compact: bool,
    include_delivery_previews: Option<bool>,
}

fn list(house: &House, params: &Value) -> Result<Value, Fault> {
    let asked: ListParams = read("cron.list", params)?;
    let inner = house.cron.look();
    let usual = usual_agent(house);
    let ids = chosen(&inner, &asked, &usual)?;
    let revision = inner.revision(&ids);
    let (from, limit) = window("cron.list", asked.offset, asked.limit, ids.len())?;
    let page: Vec<&str> = ids.iter().skip(from).take(limit).copied().collect();
    let mut previews = Map::new();
    let mut jobs = Vec::new();
    for id in &page {
        let Some(kept) = inner.book.jobs.get(*id) else { continue };
        let mut job = inner.view(id, kept);
        if asked.compact {
            job = compact(&job);
            job["effectiveAgentId"] = kept.job.agent_id.as_deref().unwrap_or(&usual).into();
        } else {
            previews.insert((*id).to_owned(), tell::preview(kept.job.delivery.as_ref()));
        }
        jobs.push(job);
    }
    let mut answer = paged("jobs", &jobs, from, limit, ids.len());
    answer["snapshotRevision"] = revision.into();
    if !asked.compact && asked.include_delivery_previews != Some(false) {
        answer["deliveryPreviews"] = previews.into();
    }
    Ok(answer)
}

/// The jobs that are meant, in the order that is wanted.
fn chosen<'i>(inner: &'i Inner, asked: &ListParams, usual: &str) -> Result<Vec<&'i str>, Fault> {
    let all = if asked.include_disabled { "all" } else { "enabled" };
    let enabled = word("enabled", asked.enabled.as_deref(), &["all", "enabled", "disabled"])?;
    let enabled = enabled.unwrap_or(all);
    let kinds = ["all", "at", "every", "cron", "on-exit", "stream"];
    let kind = word("scheduleKind", asked.schedule_kind.as_deref(), &kinds)?.unwrap_or("all");
    let statuses = ["all", "ok", "error", "skipped", "unknown"];
    let status = word("lastRunStatus", asked.last_run_status.as_deref(), &statuses)?;
    let triggers = ["all", "conditional", "unconditional"];
    let trigger = word("trigger", asked.trigger.as_deref(), &triggers)?;
    let orders = ["nextRunAtMs", "updatedAtMs", "name"];
    let order = word("sortBy", asked.sort_by.as_deref(), &orders)?.unwrap_or("nextRunAtMs");
    let is_down = word("sortDir", asked.sort_dir.as_deref(), &["asc", "desc"])? == Some("desc");
    let query = asked.query.trim().to_lowercase();
    let is_meant = |id: &str, kept: &Kept| {
        let job = &kept.job;
        let last = kept.tally.last.as_ref().map_or("unknown", |last| last.status.name());
        let agent = job.agent_id.as_deref().unwrap_or(usual);
        let said = [id, &job.name, job.description.as_deref().unwrap_or_default(), agent].join(" ");
        (enabled == "all" || (enabled == "enabled") == job.enabled)
            && (kind == "all" || kind == job.schedule.kind())
            && status.is_none_or(|status| status == "all" || status == last)
            && trigger != Some("conditional")
            && asked.agent_id.as_deref().is_none_or(|asked| asked == agent)
            && (query.is_empty() || said.to_lowercase().contains(&query))
    };
    let jobs = inner.book.jobs.iter().filter(|(id, kept)| is_meant(id, kept));
    let mut jobs: Vec<(&str, &Kept)> = jobs.map(|(id, kept)| (&**id, kept)).collect();
    let next = |id: &str| inner.roster.next(id).map_or(u64::MAX, |next| next.0);
    match order {
        "name" => jobs.sort_by_key(|(_, kept)| kept.job.name.to_lowercase()),
        "updatedAtMs" => jobs.sort_by_key(|(_, kept)| kept.updated),
        _ => jobs.sort_by_key(|(id, _)| next(id)),
    }
    if is_down {
        jobs.reverse();
    }
    Ok(jobs.into_iter().map(|(id, _)| id).collect())
}

fn compact(job: &Value) -> Value {
    let or_null = |key: &str| job["state"][key].clone();
    let mut short = json!({
        "scheduleKind": job["schedule"]["kind"],
        "nextRunAtMs": or_null("nextRunAtMs"),
        "lastRunAtMs": or_null("lastRunAtMs"),
        "lastRunStatus": or_null("lastRunStatus"),
        "lastRunError": or_null("lastError"),
    });
    for key in ["id", "name", "agentId", "updatedAtMs", "declarationKey", "displayName", "owner"] {
        if !job[key].is_null() {
            short[key] = job[key].clone();
        }
    }
    for key in ["enabled", "schedule"] {
        short[key] = job[key].clone();
    }
    for key in ["runningAtMs", "lastDelivered", "lastDeliveryStatus", "lastDeliveryError"] {
        if !job["state"][key].is_null() {
            short[key] = job["state"][key].clone();
        }
    }
    for (key, millis) in [("nextRunAt", "nextRunAtMs"), ("lastRunAt", "lastRunAtMs")] {
        let at = job["state"][millis].as_u64();
        short[key] = at.map(|at| crate::base::Wall(at).to_string()).into();
    }
    short
}

fn status(house: &House) -> Value {
    let inner = house.cron.look();
    let is_on = cron::is_on(house);
    let next = inner.roster.next_of_all().filter(|_| is_on).map(|next| next.0);
    let waits = cron::waits_for_clock();
    json!({
        "enabled": is_on,
        "triggersEnabled": false,
        "storePath": house.source.dirs.state.join("cron.log"),
        "storage": "log",
        "jobs": inner.book.jobs.len(),
        "running": inner.roster.running(),
        "nextWakeAtMs": next,
        "timeZone": zones::own_name(),
        "clock": if waits { "waiting for a sane clock" } else { "ok" },
        "problem": inner.book.broken(),
    })
}

fn get(house: &House, params: &Value) -> Result<Value, Fault> {
    let id = id_of("cron.get", params, &[])?;
    house.cron.look().job(&id).ok_or_else(|| {
        Fault::invalid(format!(
            "cron job not found: {}. List automations and retry with a current job id.",
            shown(&id)
        ))
        .with(json!({ "code": "CRON_JOB_NOT_FOUND", "jobId": id }))
    })
}

async fn add(house: Rc<House>, params: Value) -> Result<Value, Fault> {
    let added = house.cron.add(&house, &params).await;
    let (id, is_new) = added.map_err(|why| amiss("cron.add", "", why))?;
    log::info!(target: "cron", "the job {id} was {}", if is_new { "added" } else { "replaced" });
    tell::changed(&house, &id, if is_new { "added" } else { "updated" });
    let (job, preview) = {
        let inner = house.cron.look();
        let kept = inner.book.jobs.get(&id);
        let preview = tell::preview(kept.and_then(|kept| kept.job.delivery.as_ref()));
        (inner.job(&id).unwrap_or_default(), preview)
    };
    if params["declarationKey"].is_null() {
        let mut job = job;
        job["deliveryPreview"] = preview;
        return Ok(job);
    }
    let mut answer = json!({ "created": is_new, "job": job, "deliveryPreview": preview });
    if !is_new {
        answer["updated"] = true.into();
    }
    Ok(answer)
}

async fn update(house: Rc<House>, params: Value) -> Result<Value, Fault> {
    const METHOD: &str = "cron.update";
    let id = id_of(METHOD, &params, &["patch", "expectedConfigRevision"])?;
    let patch = &params["patch"];
    let job = house.cron.look().job(&id).ok_or_else(|| not_found(&id))?;
    if let Some(expected) = params["expectedConfigRevision"].as_str()
        && job["configRevision"] != expected
    {
        let text = "cron job definition no longer matches the loaded version; review the latest \
                    version before retrying";
        return Err(Fault::invalid(text).with(json!({
            "code": "CRON_JOB_CHANGED",
            "expectedConfigRevision": expected,
            "actualConfigRevision": job["configRevision"],
        })));
    }
    house.cron.update(&house, &id, patch).await.map_err(|why| amiss(METHOD, &id, why))?;
    log::info!(target: "cron", "the job {id} was changed");
    tell::changed(&house, &id, "updated");
    house.cron.look().job(&id).ok_or_else(|| not_found(&id))
}

async fn remove(house: Rc<House>, params: Value) -> Result<Value, Fault> {
    let id = id_of("cron.remove", &params, &[])?;
    if !house.cron.look().book.jobs.contains_key(&*id) {
        return Err(not_found(&id));
    }
    let gone = house.cron.remove(&id).await.map_err(|why| amiss("cron.remove", &id, why))?;
    log::info!(target: "cron", "the job {id} was removed");
    tell::removed(&house, &id, &gone);
    Ok(json!({ "ok": true, "removed": true }))
}

fn run(house: &House, params: &Value) -> Result<Value, Fault> {
    const METHOD: &str = "cron.run";
    let id = id_of(METHOD, params, &["mode", "expectedProcessInstanceId"])?;
    let boot = house.hub.boot_id();
    if let Some(expected) = text_of(params, &["expectedProcessInstanceId"])
        && expected != boot
    {
        return Err(invalid(METHOD, "Gateway process changed after preflight"));
    }
    let modes = ["force", "due", "if-enabled"];
    let push = match word("mode", params["mode"].as_str(), &modes)? {
        Some("due") => Push::Due,
        Some("if-enabled") => Push::IfEnabled,
        _ => Push::Force,
    };
    let not = |reason: &str| {
        let mut answer = json!({ "ok": true, "ran": false, "reason": reason });
        answer["processInstanceId"] = boot.into();
        answer
    };
    match house.cron.push(house, &id, push) {
        Ok(run) => Ok(json!({
            "ok": true,
            "enqueued": true,
            "runId": run.id(&id),
            "processInstanceId": boot,
        })),
        Err(Refused::Unknown) => Err(not_found(&id)),
        Err(Refused::Running) => Ok(not("already-running")),
        Err(Refused::NotDue) => Ok(not("not-due")),
        Err(Refused::Disabled) => Ok(not("disabled")),
    }
}

/// What can be asked of the runs.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct RunsParams {
    agent_id: Option<String>,
    scope: Option<String>,
    id: Option<String>,
    job_id: Option<String>,
    run_id: Option<String>,
    limit: Option<usize>,
    offset: usize,
    statuses: Option<Vec<String>>,
    status: Option<String>,
    delivery_statuses: Option<Vec<String>>,
    delivery_status: Option<String>,
    query: String,
    sort_dir: Option<String>,
}

fn runs(house: &House, params: &Value) -> Result<Value, Fault> {
    const METHOD: &str = "cron.runs";
    let asked: RunsParams = read(METHOD, params)?;
    let job = asked.id.as_deref().or(asked.job_id.as_deref()).map(str::trim);
    let scope = word("scope", asked.scope.as_deref(), &["job", "all"])?;
    if scope == Some("job") && job.is_none_or(str::is_empty) {
        return Err(invalid(METHOD, "missing id"));
    }
    let job = job.filter(|_| scope != Some("all"));
    let known = ["all", "ok", "error", "skipped"];
    let statuses = wanted("status", asked.status, asked.statuses, &known)?;
    let known = ["delivered", "not-delivered", "unknown", "not-requested"];
    let arrivals =
        wanted("deliveryStatus", asked.delivery_status, asked.delivery_statuses, &known)?;
    let is_up = word("sortDir", asked.sort_dir.as_deref(), &["asc", "desc"])? == Some("asc");
    let query = asked.query.trim().to_lowercase();
    let inner = house.cron.look();
    let usual = usual_agent(house);
    let agent_of = |id: &str| {
        let kept = inner.book.jobs.get(id);
        kept.map(|kept| kept.job.agent_id.clone().unwrap_or_else(|| usual.clone()))
    };
    let mut entries: Vec<Value> = inner
        .book
        .runs
        .iter()
        .filter(|past| job.is_none_or(|job| *past.job == *job))
        .filter(|past| asked.run_id.as_deref().is_none_or(|id| past.run.as_deref() == Some(id)))
        .filter(|past| statuses.is_empty() || has(&statuses, past.status.name()))
        .filter(|past| arrivals.is_empty() || has(&arrivals, past.delivery.arrival.name()))
        .filter(|past| asked.agent_id.is_none() || asked.agent_id == agent_of(&past.job))
        .filter(|past| {
            let said = [&past.summary, &past.error].into_iter().flatten();
            let said: Vec<&str> = said.map(String::as_str).chain([&*past.name]).collect();
            query.is_empty() || said.join(" ").to_lowercase().contains(&query)
        })
        .map(tell::entry)
        .collect();
    if let Some(job) = job
        && !inner.book.jobs.contains_key(job)
        && inner.book.runs.iter().all(|past| *past.job != *job)
    {
        return Err(not_found(job));
    }
    if !is_up {
        entries.reverse();
    }
    let total = entries.len();
    let (from, limit) = window(METHOD, asked.offset, asked.limit.or(Some(RUNS)), total)?;
    let page: Vec<Value> = entries.into_iter().skip(from).take(limit).collect();
    Ok(paged("entries", &page, from, limit, total))
}

/// What OpenClaw has no word for: what becomes of missed runs and of overlapping ones, of one job
/// or of all. `cron.add` and the patch of `cron.update` take the same under `policy`.
fn policy(house: &House, params: &Value) -> Result<Value, Fault> {
    let inner = house.cron.look();
    let one = text_of(params, &["id", "jobId"]);
    let is_meant = |id: &str| one.is_none_or(|one| one == id);
    let mut jobs = Map::new();
    for (id, kept) in inner.book.jobs.iter().filter(|(id, _)| is_meant(id)) {
        let mut policy = serde_json::to_value(&kept.job.policy).unwrap_or_default();
        let usual = cron::usual_missed(house);
        if policy["missed"].is_null() {
            policy["missed"] = usual.into();
        }
        if policy["overlap"].is_null() {
            policy["overlap"] = "skip".into();
        }
        let times = inner.roster.when(id).map(|when| {
            let from = inner.roster.next(id);
            let rest = std::iter::successors(from, |due| when.next(*due));
            rest.take(3).map(|due| due.0).collect::<Vec<_>>()
        });
        policy["nextRunsAtMs"] = times.into();
        jobs.insert(id.to_string(), policy);
    }
    match one {
        Some(one) if jobs.is_empty() => Err(not_found(one)),
        _ => Ok(json!({ "jobs": jobs, "attempts": TURN_ATTEMPTS_MAX })),
    }
}

fn usual_agent(house: &House) -> String {
    house.config().agents.first().map_or_else(|| "main".to_owned(), |agent| agent.id.clone())
}

fn read<'p, T: Deserialize<'p>>(method: &str, params: &'p Value) -> Result<T, Fault> {
    T::deserialize(params).map_err(|error| {
        let text: String = error.to_string().chars().take(200).collect();
        invalid(method, &Plain(&text).to_string())
    })
}

fn invalid(method: &str, why: &str) -> Fault {
    Fault::invalid(format!("invalid {method} params: {why}"))
}

fn not_found(id: &str) -> Fault {
    let text = format!(
        "Automation not found: {}. List automations and retry with a current job id.",
        shown(id)
    );
    Fault::invalid(text).with(json!({ "code": "CRON_JOB_NOT_FOUND", "jobId": id }))
}

fn amiss(method: &str, id: &str, why: Amiss) -> Fault {
    match why {
        Amiss::Unknown => not_found(id),
        Amiss::Invalid(why) => invalid(method, &why),
        Amiss::Unkept(why) => {
            let text = format!("the job cannot be kept ({why}); nothing was changed");
            Fault::new(code::UNAVAILABLE, text)
        }
    }
}

fn shown(id: &str) -> String {
    Plain(truncate(id, 80)).to_string()
}

/// The job that is meant; besides it there may be the keys of `others`, and no more.
fn id_of(method: &str, params: &Value, others: &[&str]) -> Result<Box<str>, Fault> {
    let id = text_of(params, &["id", "jobId"]).ok_or_else(|| invalid(method, "missing id"))?;
    let keys = params.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
    let mut strange = keys.filter(|key| !["id", "jobId"].contains(key) && !others.contains(key));
    match strange.next() {
        Some(key) => Err(invalid(method, &format!("unexpected property '{}'", shown(key)))),
        None => Ok(id.into()),
    }
}

/// One of these words.
fn word<'w>(key: &str, said: Option<&'w str>, known: &[&'w str]) -> Result<Option<&'w str>, Fault> {
    match said {
        Some(word) if !known.contains(&word) => {
            Err(Fault::invalid(format!("{key} must be one of {}", known.join(", "))))
        }
        said => Ok(said),
    }
}

/// The words that are wanted; none at all wants everything.
fn wanted(
    key: &str,
    one: Option<String>,
    several: Option<Vec<String>>,
    known: &[&str],
) -> Result<Vec<String>, Fault> {
    let all: Vec<String> = several.unwrap_or_default().into_iter().chain(one).collect();
    if all.len() > known.len() {
        return Err(Fault::invalid(format!("{key}: too many are named")));
    }
    for said in &all {
        word(key, Some(said), known)?;
    }
    Ok(if all.iter().any(|said| said == "all") { Vec::new() } else { all })
}

fn has(words: &[String], word: &str) -> bool {
    words.iter().any(|known| known == word)
}

/// From where on how many are given.
fn window(
    method: &str,
    offset: usize,
    limit: Option<usize>,
    total: usize,
) -> Result<(usize, usize), Fault> {
    let limit = limit.unwrap_or(total.clamp(50, PAGE_MAX));
    if !(1..=PAGE_MAX).contains(&limit) {
        return Err(invalid(method, &format!("limit must be from 1 to {PAGE_MAX}")));
    }
    Ok((offset.min(total), limit))
}

fn paged(key: &str, items: &[Value], from: usize, limit: usize, total: usize) -> Value {
    let next = from + items.len();
    let has_more = next < total;
    json!({
        (key): items,
        "total": total,
        "offset": from,
        "limit": limit,
        "hasMore": has_more,
        "nextOffset": has_more.then_some(next),
    })
}
