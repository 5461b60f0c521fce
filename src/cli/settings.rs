//! The configuration file: read, changed, examined.

use std::path::Path;

use serde_json::{Value, json};

use super::Call;
use super::client::Client;
use super::parse::usage;
use super::print::Shade;
use crate::app::settings::{self, Edited};
use crate::ops::config::{self, Mistake, Weight};
use crate::ops::exit::{Exit, Failure};
use crate::rt::clock;

/// See the table.
pub(crate) fn get(call: &mut Call<'_>) -> Result<(), Failure> {
    let shows_secrets = call.parsed.has("show-secrets");
    let value = settings::get(call.env, &call.common, call.parsed.word(0), shows_secrets)?;
    let text =
        if call.common.json { value.json().to_string() } else { config::edit::render(&value) };
    call.out.line(text)
}

/// See the table.
pub(crate) fn set(call: &mut Call<'_>) -> Result<(), Failure> {
    let (Some(path), Some(value)) = (call.parsed.word(0), call.parsed.word(1)) else {
        return Err(usage(
            "`config set` needs a path and a value",
            "see `barnacle help config set`",
        ));
    };
    let edited = settings::set(call.env, &call.common, path, value, call.parsed.has("force"))?;
    tell(call, &edited)
}

/// See the table.
pub(crate) fn unset(call: &mut Call<'_>) -> Result<(), Failure> {
    let Some(path) = call.parsed.word(0) else {
        return Err(usage("`config unset` needs a path", "see `barnacle help config unset`"));
    };
    let edited = settings::unset(call.env, &call.common, path, call.parsed.has("force"))?;
    tell(call, &edited)
}

/// What became of the file, and what a running gateway made of it.
pub(super) fn tell(call: &mut Call<'_>, edited: &Edited) -> Result<(), Failure> {
    let file = edited.file.display();
    let taken_up = if edited.is_changed { take_up(call) } else { None };
    if call.common.json {
        let remarks: Vec<Value> = edited.remarks.iter().map(Mistake::json).collect();
        let is_changed = edited.is_changed;
        return call.out.line(json!({
            "file": edited.file,
            "changed": is_changed,
            "remarks": remarks,
            "gateway": taken_up,
        }));
    }
    if !edited.is_changed {
        return call.out.line(format_args!("nothing to change in {file}"));
    }
    mistakes(call, &edited.remarks)?;
    call.out.line(format_args!("changed {file}"))?;
    let text = match &taken_up {
        Some(answer) => said(answer),
        None => "no gateway answers here: it holds from the next start".to_owned(),
    };
    let text = call.out.shade(None, &text);
    call.out.line(text)
}

/// Lets a running gateway read its files again; `None` if none answers.
fn take_up(call: &Call<'_>) -> Option<Value> {
    let client = Client::new(call).ok()?;
    let deadline = clock::now() + client.timeout;
    let mut connection = client.try_connect(deadline).ok()?;
    match connection.call("config.reload", &json!({}), deadline) {
        Ok(answer) => Some(answer),
        Err(trouble) => Some(json!({ "ok": false, "why": trouble.failure().to_string() })),
    }
}

/// What a gateway made of it.
fn said(answer: &Value) -> String {
    if let Some(why) = answer["why"].as_str() {
        return format!("the running gateway did not take it up: {why}");
    }
    let mut parts = Vec::new();
    for (key, what) in [
        ("added", "started"),
        ("restarted", "connected anew"),
        ("changed", "applied without a new connection"),
        ("removed", "stopped"),
    ] {
        let names: Vec<&str> =
            answer[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if !names.is_empty() {
            parts.push(format!("{what}: {}", names.join(", ")));
        }
    }
    if parts.is_empty() {
        return "the running gateway has read it; no account is affected".to_owned();
    }
    format!("the running gateway has taken it up ({})", parts.join("; "))
}

/// See the table.
pub(crate) fn check(call: &mut Call<'_>) -> Result<(), Failure> {
    let checked = settings::check(call.env, &call.common, call.parsed.word(0).map(Path::new));
    if call.common.json {
        call.out.line(checked.json())?;
    } else {
        mistakes(call, &checked.mistakes)?;
    }
    let file = checked.file.as_ref().map(|file| file.display().to_string());
    let file = file.unwrap_or_else(|| "no file; the defaults hold".to_owned());
    let grave = checked.mistakes.iter().filter(|m| m.weight == Weight::Warning).count();
    match &checked.broken {
        Some(broken) => {
            let cure = match settings::last_good(call.env) {
                Some(_) => "a gateway that starts now goes on with the last good copy",
                None => "a gateway cannot start with it, and there is no last good copy",
            };
            Err(Failure::new(Exit::Config, broken.to_string(), cure))
        }
        None if checked.is_fine() => {
            if call.common.json {
                Ok(())
            } else {
                call.out.line(format_args!("{file}: fine"))
            }
        }
        None => {
            let s = if grave == 1 { "" } else { "s" };
            let cure = "the gateway runs with it; what is wrong does nothing";
            Err(Failure::new(Exit::Config, format!("{file}: {grave} mistake{s}"), cure))
        }
    }
}

fn mistakes(call: &mut Call<'_>, mistakes: &[Mistake]) -> Result<(), Failure> {
    for mistake in mistakes {
        let (shade, word) = match mistake.weight {
            Weight::Warning => (Shade::Bad, "wrong"),
            Weight::Note => (Shade::Faint, "note"),
        };
        let word = call.out.shade(Some(shade), word);
        let text = call.out.shade(None, &mistake.to_string());
        call.out.line(format_args!("{word}  {text}"))?;
    }
    Ok(())
}

/// See the table.
pub(crate) fn init(call: &mut Call<'_>) -> Result<(), Failure> {
    let template = call.parsed.text("template").unwrap_or_else(|| "single".to_owned());
    let file = settings::init(call.env, &call.common, &template, call.parsed.has("force"))?;
    if call.common.json {
        return call.out.line(json!({ "file": file }));
    }
    call.out.line(format_args!("wrote {}; next: `barnacle config check`", file.display()))
}

/// See the table.
pub(crate) fn import(call: &mut Call<'_>) -> Result<(), Failure> {
    let from = call.parsed.word(0).map(Path::new);
    let (force, dry_run) = (call.parsed.has("force"), call.parsed.has("dry-run"));
    let import = settings::import(call.env, &call.common, from, force, dry_run)?;
    let imported = &import.imported;
    if call.common.json {
        let pairs = |pairs: &[(String, &'static str)]| {
            pairs.iter().map(|(path, why)| (path.clone(), Value::from(*why))).collect::<Value>()
        };
        return call.out.line(json!({
            "from": import.from,
            "to": import.to,
            "written": !dry_run,
            "taken": imported.taken,
            "left": pairs(&imported.left),
            "added": pairs(&imported.added),
            "notes": import.notes,
        }));
    }
    for path in &imported.taken {
        let path = call.out.shade(None, path);
        call.out.line(format_args!("taken over   {path}"))?;
    }
    for (path, default) in &imported.added {
        call.out.line(format_args!("added        {path}: \"{default}\", OpenClaw's default"))?;
    }
    for (path, reason) in &imported.left {
        let path = call.out.shade(None, path);
        call.out.line(format_args!("left out     {path}: {reason}"))?;
    }
    for note in &import.notes {
        let note = call.out.shade(None, note);
        call.out.line(format_args!("note         {note}"))?;
    }
    let (from, to) = (import.from.display(), import.to.display());
    if !dry_run {
        return call.out.line(format_args!("wrote {to} from {from}, which stays as it is"));
    }
    call.out.line(format_args!("\n{to} would be:\n"))?;
    for line in import.preview.lines() {
        let line = call.out.shade(None, line);
        call.out.line(line)?;
    }
    Ok(())
}

/// See the table.
pub(crate) fn schema(call: &mut Call<'_>) -> Result<(), Failure> {
    call.out.line(format_args!("{:#}", config::schema()))
}

/// See the table.
pub(crate) fn path(call: &mut Call<'_>) -> Result<(), Failure> {
    let (found, tried) = settings::files(call.env, &call.common);
    if call.common.json {
        return call.out.line(json!({ "file": found, "tried": tried }));
    }
    if let Some(file) = found {
        return call.out.line(file.display());
    }
    let tried: Vec<String> = tried.iter().map(|file| file.display().to_string()).collect();
    let text = format!("there is no configuration file ({})", tried.join(", "));
    let cure = "`barnacle config init` writes a first one; without one the defaults hold";
    Err(Failure::new(Exit::Usage, text, cure))
}
