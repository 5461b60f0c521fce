//! `config.*`: the file as it may be shown, and changes to it. What is refused changes nothing;
//! what is written holds at once, as far as it can.

use std::path::PathBuf;
use std::rc::Rc;

use ring::digest::{SHA256, digest};
use serde_json::{Map, Value, json};

use super::process;
use crate::app::house::House;
use crate::base::text::Hex;
use crate::control::{Answer, Call, at_once, unknown};
use crate::ops::config::{self, KEYS, Kind, Mistake, Weight, Wish, path};
use crate::proto::control::{Fault, code};
use crate::rt::{blocking, clock};

/// Issues that are told in an answer's own words; all of them are in its details.
const TOLD_MAX: usize = 3;

/// The file as it stands there.
struct Snapshot {
    path: Option<PathBuf>,
    /// What it says, if there is one and it can be read.
    text: Option<String>,
    /// Why it cannot be read.
    fault: Option<String>,
}

pub(super) fn answer(house: &Rc<House>, call: &Call) -> Answer {
    let params = call.params.clone();
    match call.method.as_str() {
        "config.get" => at_once(Ok(get(house))),
        "config.schema" => at_once(Ok(schema())),
        "config.schema.lookup" => at_once(lookup(&params)),
        "config.reload" => at_once(process::reload(house)),
        "config.set" | "config.patch" | "config.apply" => {
            let (house, method) = (house.clone(), call.method.clone());
            Box::pin(async move { change(&house, &method, &params).await })
        }
        method => at_once(Err(unknown(method))),
    }
}

impl Snapshot {
    fn take(house: &House) -> Snapshot {
        let (env, asked) = (&house.source.env, house.source.file.as_deref());
        let found = config::find_file(env, asked).filter(|file| file.exists());
        let Some(file) = found else {
            return Snapshot { path: config::new_file(env, asked), text: None, fault: None };
        };
        match config::read_text(&file) {
            Ok(text) => Snapshot { path: Some(file), text: Some(text), fault: None },
            Err(broken) => Snapshot { path: Some(file), text: None, fault: Some(broken.text) },
        }
    }

    /// What tells this version from all others.
    fn hash(&self) -> Option<String> {
        let text = self.text.as_deref()?;
        Some(Hex(digest(&SHA256, text.as_bytes()).as_ref()).to_string())
    }
}

/// `config.get`, without secrets.
fn get(house: &House) -> Value {
    let snapshot = Snapshot::take(house);
    let text = snapshot.text.as_deref().unwrap_or_default();
    let parsed = config::parse(text, &house.source.env);
    let (mistakes, broken) = match parsed {
        Ok((_, mistakes)) => (mistakes, snapshot.fault.clone()),
        Err(fault) => (Vec::new(), Some(fault.text)),
    };
    let blotted = |text: &str| house.lines.blot(text.to_owned());
    let issue = |mistake: &Mistake| told(house, mistake);
    let tree = broken.is_none().then(|| config::parse_tree(text).ok()).flatten();
    let shown = tree.map(|root| config::blot(&[], root.owned()).json());
    // A secret that holds may stand in a comment as well.
    let raw = shown.as_ref().map(|_| blotted(&config::without_secrets(text)));
    let warnings: Vec<Value> =
        mistakes.iter().filter(|m| m.weight == Weight::Warning).map(issue).collect();
    let notes: Vec<Value> =
        mistakes.iter().filter(|m| m.weight == Weight::Note).map(issue).collect();
    let issues: Vec<Value> =
        broken.iter().map(|text| json!({ "path": "", "message": blotted(text) })).collect();
    let config = shown.clone().unwrap_or_else(|| json!({}));
    json!({
        "path": snapshot.path.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
        "exists": snapshot.text.is_some() || snapshot.fault.is_some(),
        "raw": raw,
        "parsed": shown,
        "sourceConfig": config,
        "resolved": config,
        "runtimeConfig": config,
        "config": config,
        "valid": broken.is_none(),
        "hash": snapshot.hash(),
        "issues": issues,
        "warnings": warnings,
        "legacyIssues": notes,
    })
}

fn told(house: &House, mistake: &Mistake) -> Value {
    let cure = if mistake.cure.is_empty() { String::new() } else { format!("; {}", mistake.cure) };
    let message = house.lines.blot(format!("{}{cure}", mistake.text));
    json!({ "path": house.lines.blot(mistake.path.clone()), "message": message })
}

/// `config.set`, `config.patch` and `config.apply`.
async fn change(house: &Rc<House>, method: &str, params: &Value) -> Result<Value, Fault> {
    let Some(raw) = params["raw"].as_str().filter(|raw| !raw.trim().is_empty()) else {
        return Err(Fault::invalid(format!("invalid {method} params: raw (string) required")));
    };
    let snapshot = Snapshot::take(house);
    if let Some(fault) = &snapshot.fault {
        return Err(Fault::invalid(format!("the configuration cannot be read: {fault}")));
    }
    check_base(&snapshot, params)?;
    let Some(file) = snapshot.path.clone() else {
        return Err(Fault::invalid("there is no place for a file: HOME is not set"));
    };
    if config::is_openclaws(&house.source.env, &file) {
        let text = format!("{} is OpenClaw's own file", file.display());
        return Err(Fault::invalid(format!("{text}: `barnacle config import` makes one of ours")));
    }
    let replaced: Vec<String> = texts(&params["replacePaths"]);
    let wish = match method {
        "config.patch" => Wish::Patch(raw, &replaced),
        _ => Wish::Whole(raw),
    };
    let before = snapshot.text.clone().unwrap_or_default();
    let refused =
        |why: String| Fault::invalid(format!("invalid config: {}", house.lines.blot(why)));
    let fresh = config::rewrite(&before, wish).map_err(refused)?;
    check_news(house, &before, &fresh)?;
    if fresh == before && snapshot.text.is_some() {
        let mut answer = written(house, &file, &fresh);
        answer["noop"] = true.into();
        answer["changedPaths"] = json!([]);
        return Ok(answer);
    }
    let (to, old, new) = (file.clone(), snapshot.text.clone(), fresh.clone());
    let done = blocking::run(move || config::write(&to, old.as_deref(), &new)).await;
    match done {
        Ok(Ok(())) => {}
        Ok(Err(why)) => return Err(Fault::new(code::UNAVAILABLE, why)),
        Err(_) => return Err(Fault::later("too much is being written", 500)),
    }
    let mut answer = written(house, &file, &fresh);
    if method == "config.patch" {
        answer["changedPaths"] = json!(config::changed_paths(&before, &fresh));
    }
    answer["reload"] = process::reload(house)?;
    log::info!(target: "config", "{} was changed over the wire ({method})", file.display());
    Ok(answer)
}

/// Whoever changes a file must have seen what it says now.
fn check_base(snapshot: &Snapshot, params: &Value) -> Result<(), Fault> {
    let Some(hash) = snapshot.hash() else { return Ok(()) };
    match super::text_of(params, &["baseHash"]) {
        Some(base) if base == hash => Ok(()),
        Some(_) => {
            Err(Fault::invalid("config changed since last load; re-run config.get and retry"))
        }
        None => Err(Fault::invalid("config base hash required; re-run config.get and retry")),
    }
}

/// A mistake that was not there before is refused, with its place and its cure.
fn check_news(house: &House, before: &str, fresh: &str) -> Result<(), Fault> {
    let env = &house.source.env;
    let known = config::parse(before, env).map(|(_, mistakes)| mistakes).unwrap_or_default();
    let refused = |text: String| Fault::invalid(format!("invalid config: {text}"));
    let (_, mistakes) =
        config::parse(fresh, env).map_err(|fault| refused(house.lines.blot(fault.text)))?;
    let is_new =
        |m: &&Mistake| !known.iter().any(|old| (&old.path, &old.text) == (&m.path, &m.text));
    let is_grave = |m: &&Mistake| m.weight == Weight::Warning && !m.is_about_a_variable();
    let issues: Vec<Value> =
        mistakes.iter().filter(is_new).filter(is_grave).map(|m| told(house, m)).collect();
    if issues.is_empty() {
        return Ok(());
    }
    let text = |issue: &Value| {
        let part = |key: &str| issue[key].as_str().unwrap_or_default().to_owned();
        format!("{}: {}", part("path"), part("message"))
    };
    let mut lines: Vec<String> = issues.iter().take(TOLD_MAX).map(text).collect();
    if issues.len() > TOLD_MAX {
        lines.push(format!("and {} more", issues.len() - TOLD_MAX));
    }
    Err(refused(lines.join("; ")).with(json!({ "issues": issues })))
}

/// What is said of a version that holds.
fn written(house: &House, file: &std::path::Path, text: &str) -> Value {
    let snapshot = Snapshot { path: None, text: Some(text.to_owned()), fault: None };
    // A secret that is new is hidden from now on, in the answer too.
    if let Ok((config, _)) = config::parse(text, &house.source.env) {
        config.secrets().iter().for_each(|secret| house.lines.hide(secret));
    }
    let tree = config::parse_tree(text).ok();
    json!({
        "ok": true,
        "path": file.display().to_string(),
        "hash": snapshot.hash(),
        "config": tree.map(|root| config::blot(&[], root.owned()).json()),
    })
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    list.map(str::to_owned).collect()
}

/// `config.schema`: what may be written, for editors.
fn schema() -> Value {
    let hint = |key: &config::Key| {
        let mut hint = json!({ "help": key.doc });
        if matches!(key.kind, Kind::Secret) {
            hint["sensitive"] = true.into();
        }
        (key.path.to_owned(), hint)
    };
    let hints: Map<String, Value> = KEYS.iter().map(hint).collect();
    json!({
        "schema": config::schema(),
        "uiHints": hints,
        "version": crate::ops::version(),
        "generatedAt": clock::wall().to_string(),
    })
}

/// `config.schema.lookup`: one place of it, and what is below.
fn lookup(params: &Value) -> Result<Value, Fault> {
    let not_found = || Fault::invalid("config schema path not found");
    let wanted = super::text_of(params, &["path"]).unwrap_or_default();
    let steps = path::parse(wanted).map_err(|_| not_found())?;
    let root = config::schema();
    let at = steps.iter().try_fold(&root, |at, step| child(&root, at, step));
    let at = resolved(&root, at.ok_or_else(not_found)?);
    let properties = at["properties"].as_object().into_iter().flatten();
    let children: Vec<Value> = properties
        .map(|(name, schema)| {
            let schema = resolved(&root, schema);
            let has_children = schema["properties"].is_object()
                || schema["additionalProperties"].is_object()
                || schema["items"].is_object();
            let path = if wanted.is_empty() { name.clone() } else { format!("{wanted}.{name}") };
            let mut child = json!({
                "key": name, "path": path, "required": false, "hasChildren": has_children,
            });
            if schema["type"].is_string() {
                child["type"] = schema["type"].clone();
            }
            child
        })
        .collect();
    let path = if wanted.is_empty() { "." } else { wanted };
    Ok(json!({ "path": path, "schema": at, "children": children }))
}

/// What a reference of the schema refers to.
fn resolved<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
    let target = schema["$ref"].as_str().and_then(|target| root.pointer(target.strip_prefix('#')?));
    target.unwrap_or(schema)
}

fn child<'s>(root: &'s Value, at: &'s Value, step: &config::Step<'_>) -> Option<&'s Value> {
    let at = resolved(root, at);
    let below = match step {
        config::Step::Index(_) => &at["items"],
        config::Step::Name(name) => {
            let own = &at["properties"][name.as_ref()];
            if own.is_null() { &at["additionalProperties"] } else { own }
        }
    };
    below.is_object().then_some(below)
}
