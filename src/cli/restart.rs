//! The gateway process: stopped, restarted, called.

use std::time::Duration;

use serde_json::{Value, json};

use super::Call;
use super::client::{Client, Effect, Trouble};
use super::parse::usage;
use super::print::Spinner;
use crate::base::Instant;
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

/// What came of asking for a restart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// It is ours.
    Ours,
    /// One was under way already.
    Joined,
    /// The gateway went before it had answered: one or the other.
    Either,
}

/// The gateway after a restart.
struct Back {
    server: Server,
    /// From the question to the first hello.
    took: Duration,
    /// And until every channel was up.
    ready: Duration,
}

/// `barnacle gateway restart`.
///
/// It is done when a gateway with another boot id answers and is ready; nothing else is success.
pub(crate) fn restart(call: &mut Call<'_>) -> Result<(), Failure> {
    let client = Client::new(call)?;
    let wait = call.parsed.span("wait")?.unwrap_or(WAIT);
    let reason = call.parsed.text("reason").unwrap_or_else(|| "gateway.restart.safe".into());
    let fresh = call.parsed.has("fresh");
    let params = json!({ "reason": reason, "fresh": fresh });
    let mut connection = client.connect()?;
    let old = connection.hello.server.clone();
    let begun = clock::now();
    let deadline = begun + wait;
    let asked = match connection.call("gateway.restart.request", &params, deadline) {
        Ok(answer) if answer["ok"] == false => {
            let why = answer["preflight"]["summary"].as_str().or(answer["status"].as_str());
            let text = format!("the gateway does not restart: {}", why.unwrap_or("?"));
            return Err(Failure::new(Exit::Refused, text, ""));
        }
        Ok(_) => Asked::Ours,
        Err(Trouble::Away(_)) if fresh => {
            let text = "the gateway restarts already, and keeps its session";
            return Err(Failure::new(Exit::Refused, text, "ask again when it is back"));
        }
        Err(Trouble::Away(_)) => Asked::Joined,
        Err(Trouble::Lost(_)) => Asked::Either,
        Err(Trouble::Final(failure)) => return Err(failure),
    };
    drop(connection);
    let back = wait_for_another(&client, &old, begun, wait)?;
    if fresh && asked == Asked::Either {
        let text = format!(
            "the gateway is back as process {}, but it may have kept its session",
            back.server.pid
        );
        let cure = "see `barnacle channels history`, or ask again";
        return Err(Failure::new(Exit::Unavailable, text, cure));
    }
    told(call, &old, &back, asked == Asked::Joined)
}

/// Waits until a gateway other than `old` answers, and says that it is ready.
fn wait_for_another(
    client: &Client,
    old: &Server,
    begun: Instant,
    wait: Duration,
) -> Result<Back, Failure> {
    let deadline = begun + wait;
    let mut back: Option<(Server, Duration)> = None;
    let mut failing = Value::Null;
    while clock::now() < deadline {
        if let Ok(mut connection) = client.try_connect(deadline)
            && connection.hello.server.boot_id != old.boot_id
        {
            let server = connection.hello.server.clone();
            let took = clock::now().since(begun);
            let (_, took) = back.get_or_insert((server.clone(), took));
            let took = *took;
            if let Ok(health) = connection.call("health", &json!({}), deadline) {
                if health["ready"] == true {
                    return Ok(Back { server, took, ready: clock::now().since(begun) });
                }
                failing = health["failing"].clone();
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

fn told(call: &mut Call<'_>, old: &Server, back: &Back, joined: bool) -> Result<(), Failure> {
    let named = |server: &Server| json!({ "pid": server.pid, "bootId": server.boot_id });
    let Back { server: new, took, ready } = back;
    let answer = json!({
        "ok": true,
        "joined": joined,
        "old": named(old),
        "new": named(new),
        "seconds": took.as_secs_f64(),
        "readySeconds": ready.as_secs_f64(),
    });
    call.answer(&answer, |_, _| {
        let word = if joined { "restarted, as was asked before" } else { "restarted" };
        format!(
            "{word}: process {} -> {}, boot {} -> {}; back after {:.1} s, ready after {:.1} s",
            old.pid,
            new.pid,
            old.boot_id,
            new.boot_id,
            took.as_secs_f64(),
            ready.as_secs_f64()
        )
    })
}
