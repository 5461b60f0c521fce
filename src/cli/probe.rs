//! Looks at a running gateway from outside: whether it can be reached, how steadily it runs, what
//! a report about it needs.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::Call;
use super::client::{Client, Effect, Trouble};
use super::parse::usage;
use super::print::Spinner;
use super::show;
use crate::app;
use crate::base::text::Plain;
use crate::ops::backup;
use crate::ops::config::{self, Dirs};
use crate::ops::exit::{Exit, Failure};
use crate::ops::options::Doctor;
use crate::rt::clock;

/// See the table.
pub(crate) fn probe(call: &mut Call<'_>) -> Result<(), Failure> {
    let client = Client::new(call)?;
    let begun = clock::now();
    let deadline = begun + client.timeout;
    let mut connection = client.connect()?;
    let connected = clock::now().since(begun);
    let server = connection.hello.server.clone();
    let scopes = connection.hello.auth.scopes.clone();
    let asked = clock::now();
    let health = connection.call("health", &json!({}), deadline).map_err(Trouble::failure)?;
    let answered = clock::now().since(asked);
    let millis = |span: std::time::Duration| span.as_secs_f64() * 1000.0;
    let answer = json!({
        "ok": true,
        "version": server.version,
        "pid": server.pid,
        "bootId": server.boot_id,
        "scopes": scopes,
        "ready": health["ready"],
        "failing": health["failing"],
        "connectMs": millis(connected),
        "answerMs": millis(answered),
    });
    call.answer(&answer, |_, _| {
        let ready = match health["failing"].as_array().filter(|list| !list.is_empty()) {
            Some(failing) => {
                let names = failing.iter().filter_map(Value::as_str).collect::<Vec<_>>();
                format!("not ready: {}", Plain(&names.join(", ")))
            }
            None => "ready".to_owned(),
        };
        format!(
            "barnacle {}, process {}: {ready}\nconnected in {:.1} ms, answered in {:.1} ms; \
             may: {}",
            Plain(&server.version),
            server.pid,
            millis(connected),
            millis(answered),
            Plain(&scopes.join(" "))
        )
    })
}

/// See the table.
pub(crate) fn stability(call: &mut Call<'_>) -> Result<(), Failure> {
    let mut params = json!({ "limit": call.parsed.number::<u32>("limit")?.unwrap_or(25) });
    if let Some(kind) = call.parsed.text("type") {
        params["type"] = kind.into();
    }
    if let Some(seq) = call.parsed.number::<u64>("since-seq")? {
        params["sinceSeq"] = seq.into();
    }
    let answer = Client::new(call)?.ask("diagnostics.stability", &params, Effect::Same)?;
    call.answer(&answer, show::tree)
}

/// See the table.
pub(crate) fn diagnostics(call: &mut Call<'_>) -> Result<(), Failure> {
    if call.parsed.word(0) != Some("export") {
        return Err(usage("`gateway diagnostics` needs another word: export", ""));
    }
    let output = target(call);
    let client = Client::new(call)?;
    let ask = |method: &str, params: Value| {
        client
            .ask(method, &params, Effect::Same)
            .unwrap_or_else(|failure| json!({ "unavailable": failure.to_string() }))
    };
    let lines: u32 = call.parsed.number("log-lines")?.unwrap_or(5000);
    let bytes: u64 = call.parsed.number("log-bytes")?.unwrap_or(1_000_000);
    let status = ask("status", json!({}));
    let running = match &status["unavailable"] {
        Value::String(why) => Err(why.clone()),
        _ => Ok(status.clone()),
    };
    let options = Doctor { common: call.common.clone(), fix: false };
    let examine = || app::doctor(call.env, &options, running);
    let findings = Spinner::during("examining the set-up", examine);
    let report = json!({
        "about": "a report on a barnacle; secrets are blotted out, ids of chats are not",
        "version": crate::ops::version(),
        "at": clock::wall().to_string(),
        "host": host(),
        "status": status,
        "health": ask("health", json!({})),
        "channels": ask("channels.status", json!({})),
        "history": ask("channels.history", json!({ "limit": 200 })),
        "stability": ask("diagnostics.stability", json!({ "limit": 200 })),
        "doctor": findings.json(),
        "config": config_text(call),
        "log": ask("logs.tail", json!({ "limit": lines, "maxBytes": bytes }))["lines"],
    });
    let text = app::audit::without_secrets(call.env, &call.common, &format!("{report:#}\n"));
    backup::write_new(&output, text.as_bytes()).map_err(|error| {
        let text = format!("{} cannot be written: {error}", output.display());
        Failure::new(Exit::State, text, "--output names another file")
    })?;
    let answer = json!({ "file": output, "bytes": text.len() });
    call.answer(&answer, |_, _| {
        let file = output.display().to_string();
        format!(
            "wrote {}; tokens and passwords are blotted out of it, look through it nevertheless \
             before you give it away: names of servers and ids of chats are in it",
            Plain(&file)
        )
    })
}

fn host() -> Value {
    let host = rustix::system::uname();
    let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
    json!({
        "system": text(host.sysname()),
        "release": text(host.release()),
        "machine": text(host.machine()),
    })
}

fn target(call: &Call<'_>) -> PathBuf {
    let name = backup::usual_name().replace("barnacle-backup", "barnacle-diagnostics");
    let name = name.replace(".tar.gz", ".json");
    match call.parsed.path("output") {
        None => name.into(),
        Some(path) if path.is_dir() => path.join(name),
        Some(path) => path,
    }
}

/// The configuration without secrets and without comments, where old ones often stand; nothing if
/// it cannot be read.
fn config_text(call: &Call<'_>) -> Option<Value> {
    let file = config::find_file(call.env, call.common.config.as_deref())?;
    let last_good = || config::read_text(&config::last_good_file(&Dirs::of(call.env)?.state)).ok();
    let text = config::read_text(&file).ok().or_else(last_good)?;
    let root = config::parse_tree(&text).ok()?;
    let mut value = config::blot(&[], root.owned()).json();
    blot_hidden(&mut value, false);
    Some(value)
}

/// What is handed to programs and endpoints under names of the writer's own: any of it may be a
/// secret.
fn blot_hidden(value: &mut Value, is_hidden: bool) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let is_own = matches!(name.as_str(), "env" | "headers" | "command");
                blot_hidden(value, is_hidden || is_own);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| blot_hidden(value, is_hidden)),
        Value::String(text) if is_hidden => "***".clone_into(text),
        Value::String(text) => {
            if text.contains("://")
                && let Some(at) = text.find('?')
            {
                text.truncate(at);
                text.push_str("?***");
            }
        }
        _ => {}
    }
}
