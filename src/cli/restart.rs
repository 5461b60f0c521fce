//! The gateway process: stopped, restarted, called.

use std::time::Duration;

use serde_json::{Value, json};

use super::Call;
use super::client::{Client, Effect, Trouble};
use super::parse::usage;
use super::print::Spinner;
use crate::ops::exit::{Exit, Failure};
use crate::proto::control::Server;
use crate::rt::clock;

/// How long a restart may take, unless `--wait` says otherwise.
const WAIT: Duration = Duration::from_secs(30);
/// How often it is looked whether it is back.
const LOOK: Duration = Duration::from_millis(50);

/// `barnacle gateway call`.
pub(crate) fn call(call: &mut Call<'_>) -> Result<(), Failure> {
    let text = call.parsed.text("params").unwrap_or_else(|| "{}".into());
    let params = serde_json::from_str(&text)
        .map_err(|error| usage(format!("--params is no JSON: {error}"), ""))?;
    let method = call.parsed.word(0).unwrap_or_default();
    // What it does is not known here.
    let answer = Client::new(call)?.ask(method, &params, Effect::Twice)?;
    call.out.line(pretty(&answer))
}

/// JSON for people and programs alike.
pub(super) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// `barnacle gateway stop`.
pub(crate) fn stop(call: &mut Call<'_>) -> Result<(), Failure> {
    let client = Client::new(call)?;
    let deadline = clock::now() + client.timeout;
    let mut connection = client.connect()?;
    let old = connection.hello.server.clone();
    connection.call("gateway.stop", &json!({}), deadline).map_err(Trouble::failure)?;
    drop(connection);
    while clock::now() < deadline {
        match client.try_connect(deadline) {
            Ok(connection) if connection.hello.server.boot_id == old.boot_id => {}
            Ok(connection) => {
                let pid = connection.hello.server.pid;
                let text = format!("process {} has stopped, and process {pid} runs now", old.pid);
                let cure = "something keeps it running: stop the service there";
                return Err(Failure::new(Exit::Unavailable, text, cure));
            }
            Err(_) if !is_alive(old.pid) => {
                let answer = json!({ "ok": true, "pid": old.pid });
                return call.answer(&answer, |_, _| format!("process {} has stopped", old.pid));
            }
            Err(_) => {}
        }
        Spinner::pause(LOOK);
    }
    let text = format!("process {} has not stopped yet", old.pid);
    Err(Failure::new(Exit::Unavailable, text, "see its log, or raise --timeout"))
}

/// Whether there is such a process, and it has not ended; that of a gateway on another host is
/// taken for gone.
fn is_alive(pid: u32) -> bool {
    let stat = std::path::Path::new("/proc").join(pid.to_string()).join("stat");
    let stat = std::fs::read_to_string(stat).unwrap_or_default();
    // The name is in brackets and may hold anything; the state follows (proc(5)).
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
}

/// `barnacle gateway restart`.
pub(crate) fn restart(call: &mut Call<'_>) -> Result<(), Failure> {
    let client = Client::new(call)?;
    let wait = call.parsed.span("wait")?.unwrap_or(WAIT);
    let reason = call.parsed.text("reason").unwrap_or_else(|| "gateway.restart.safe".into());
    let params = json!({ "reason": reason, "fresh": call.parsed.has("fresh") });
    let mut connection = client.connect()?;
    let old = connection.hello.server.clone();
    let begun = clock::now();
    let deadline = begun + wait;
    let asked = connection.call("gateway.restart.request", &params, deadline);
    let answer = match asked {
        Ok(answer) => answer,
        // It may have gone before its answer was through: whether it is back says the rest.
        Err(Trouble::Away(_)) => Value::Null,
        Err(Trouble::Final(failure)) => return Err(failure),
    };
    if answer["ok"] == false {
        let why = answer["preflight"]["summary"].as_str().or(answer["status"].as_str());
        let text = format!("the gateway does not restart: {}", why.unwrap_or("?"));
        return Err(Failure::new(Exit::Refused, text, ""));
    }
    drop(connection);
    let mut back: Option<(Server, Duration)> = None;
    let mut failing = Value::Null;
    while clock::now() < deadline {
        if let Ok(mut connection) = client.try_connect(deadline) {
            let server = connection.hello.server.clone();
            if server.boot_id != old.boot_id {
                let (_, took) = back.get_or_insert((server.clone(), clock::now().since(begun)));
                let took = *took;
                let health = connection.call("health", &json!({}), deadline);
                if let Ok(health) = health {
                    if health["ready"] == true {
                        let ready = clock::now().since(begun);
                        return told(call, &old, &server, took, ready);
                    }
                    failing = health["failing"].clone();
                }
            }
        }
        Spinner::pause(LOOK);
    }
    let text = match &back {
        Some((server, took)) => {
            let names = failing.as_array().into_iter().flatten().filter_map(Value::as_str);
            let names: Vec<&str> = names.collect();
            format!(
                "the gateway is back as process {} after {:.1} s, but not ready: {}",
                server.pid,
                took.as_secs_f64(),
                names.join(", ")
            )
        }
        None => format!("the gateway (process {}) is not back after {wait:?}", old.pid),
    };
    Err(Failure::new(Exit::Unavailable, text, "see `barnacle status` and the gateway's log"))
}

fn told(
    call: &mut Call<'_>,
    old: &Server,
    new: &Server,
    took: Duration,
    ready: Duration,
) -> Result<(), Failure> {
    let named = |server: &Server| json!({ "pid": server.pid, "bootId": server.boot_id });
    let answer = json!({
        "ok": true,
        "old": named(old),
        "new": named(new),
        "seconds": took.as_secs_f64(),
        "readySeconds": ready.as_secs_f64(),
    });
    call.answer(&answer, |_, _| {
        format!(
            "restarted: process {} -> {}, boot {} -> {}; back after {:.1} s, ready after {:.1} s",
            old.pid,
            new.pid,
            old.boot_id,
            new.boot_id,
            took.as_secs_f64(),
            ready.as_secs_f64()
        )
    })
}
