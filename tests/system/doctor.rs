//! The doctor beside the real binary: what is well is found well, and each trouble by its name.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::harness::{Dir, Gateway, Plan, Run, Sandbox, Signal};

/// Nobody listens here.
const NOWHERE: &str = "http://127.0.0.1:1/api/v10";

/// Runs the doctor in the environment of `plan`; its exit code and its document.
fn examine(plan: &Plan, port: u16, args: &[&str]) -> (i32, Value) {
    let port = port.to_string();
    let mut run = plan.beside(&[&["doctor", "--json", "--port", &port], args].concat());
    let code = run.code();
    let found = serde_json::from_str(&run.stdout());
    let found = found.unwrap_or_else(|error| panic!("{error}: {}", run.output()));
    assert!(!run.output().contains(plan.token()), "the token: {}", run.output());
    (code, found)
}

/// The finding called `name`, as `verdict: text -> cure`.
fn finding(found: &Value, name: &str) -> String {
    let checks = found["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == name);
    let check = check.unwrap_or_else(|| panic!("no {name} in {found:#}"));
    let field = |key: &str| check[key].as_str().unwrap_or("").to_owned();
    format!("{}: {} -> {}", field("verdict"), field("text"), field("cure"))
}

/// That the finding `name` has all `words` in it.
fn finds(found: &Value, name: &str, words: &[&str]) {
    let said = finding(found, name);
    for word in words {
        assert!(said.contains(word), "{word:?} is not in {name}: {said}");
    }
}

#[test]
fn a_bot_that_is_well_is_found_so_in_all_eight_points() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    let (code, found) = examine(&gateway.plan, gateway.port, &[]);
    assert_eq!((code, &found["ok"]), (0, &json!(true)), "{found:#}");
    finds(&found, "token", &["ok: valid, for"]);
    finds(&found, "intents", &["ok: GUILDS", "MESSAGE_CONTENT, all switched on"]);
    finds(&found, "invite", &["ok: in one server"]);
    finds(&found, "event-loop", &["heartbeats left at most"]);
    assert!(!finding(&found, "hosting").starts_with("fail"));
    finds(&found, "rate-limits", &["ok: ", "new sessions left today"]);
    finds(&found, "reach-api", &["ok: 127.0.0.1 is reached", "IPv4 "]);
    finds(&found, "reach-gateway", &["ok: 127.0.0.1 is reached"]);
    finds(&found, "instances", &["ok: one on this host", &gateway.run.pid().to_string()]);
    finds(&found, "clock", &["ok: right"]);
    finds(&found, "connection", &["ok: connected"]);
    finds(&found, "state-directory", &["can be written"]);
    finds(&found, "secrets", &["ok: "]);
    // For the eye there is a line for each.
    let shown = gateway.cli(&["doctor"]).stdout();
    let lines = shown.lines().filter(|line| line.starts_with("ok  ")).count();
    assert!(lines >= 10, "{shown}");
}

#[test]
fn without_a_gateway_all_else_is_still_looked_at() {
    let (sandbox, dir) = (Sandbox::start(), Dir::new());
    let (code, found) = examine(&Plan::new(&dir, &sandbox.api), 1, &[]);
    assert_eq!(code, 0, "{found:#}");
    finds(&found, "event-loop", &["skip: ", "no gateway runs on 127.0.0.1:1"]);
    finds(&found, "instances", &["ok: nothing on this host"]);
    finds(&found, "token", &["ok: valid"]);
    assert!(!dir.0.join("state").exists(), "looking changes nothing");
}

#[test]
fn each_trouble_is_named_with_its_cure_and_a_fitting_exit_code() {
    let (sandbox, dir) = (Sandbox::start(), Dir::new());
    let plan = Plan::new(&dir, &sandbox.api);
    let bad = plan.clone().env("DISCORD_BOT_TOKEN", "bad.token");
    let (code, found) = examine(&bad, 1, &[]);
    assert_eq!(code, 78);
    finds(&found, "token", &["fail: Discord refuses it", "Reset Token"]);
    let none = plan.clone().env("DISCORD_BOT_TOKEN", "");
    let mut run = none.beside(&["doctor", "--json", "--port", "1"]);
    assert_eq!(run.code(), 78);
    assert!(run.stdout().contains("set DISCORD_BOT_TOKEN"), "{}", run.output());
    let (code, found) = examine(&plan.clone().env("DISCORD_API_URL", NOWHERE), 1, &[]);
    assert_eq!(code, 69);
    finds(&found, "reach-api", &["fail: 127.0.0.1 is not reached: connection refused", "443"]);
    finds(&found, "token", &["skip: ", "not reached"]);
    let broken = dir.file("broken.json5", "{\n gateway: {port: }\n}");
    let (code, found) = examine(&plan.clone().env("BARNACLE_CONFIG", &broken), 1, &[]);
    assert_eq!(code, 78);
    finds(&found, "configuration", &["fail: ", "line 2, column 18", "does not start"]);
    let typo = dir.file("typo.json5", "{chanels: {}}");
    let (code, found) = examine(&plan.clone().env("BARNACLE_CONFIG", &typo), 1, &[]);
    assert_eq!(code, 0);
    finds(&found, "configuration", &["warn: ", "did you mean channels?"]);
    let (code, found) = examine(&plan.env("BARNACLE_STATE_DIR", &format!("{typo}/x")), 1, &[]);
    assert_eq!(code, 73);
    finds(&found, "state-directory", &["fail: ", "is not a directory", "BARNACLE_STATE_DIR"]);
}

#[test]
fn limits_that_the_gateway_met_are_told() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    sandbox.fault("rest-429", json!({"count": 2}));
    sandbox.answer(&sandbox.ask("hello"));
    let (code, found) = examine(&gateway.plan, gateway.port, &[]);
    assert_eq!(code, 0);
    finds(&found, "rate-limits", &["ok: calls were limited 2 times, and waited for"]);
}

#[test]
fn another_process_with_the_token_is_named() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    // As if another user ran it: it is there, and is not the one that is asked.
    let (code, found) = examine(&gateway.plan_beside(), 1, &[]);
    assert_eq!(code, 0);
    let pid = format!("process {}", gateway.run.pid());
    finds(&found, "instances", &["warn: ", &pid, "ps -fp"]);
}

#[test]
fn a_cut_connection_is_seen_by_what_the_gateway_says() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    sandbox.fault("refuse", json!({"cleared": true}));
    sandbox.fault("drop", json!({}));
    gateway.await_channel("reconnecting");
    let (code, found) = examine(&gateway.plan, gateway.port, &[]);
    assert_eq!(code, 69, "{found:#}");
    finds(&found, "connection", &["warn: reconnecting"]);
    finds(&found, "reach-api", &["ok: "]);
    finds(&found, "reach-gateway", &["fail: ", "connection refused"]);
}

#[test]
fn intents_that_are_off_are_told_by_the_portals_words_and_fixed_on_demand() {
    let sandbox = Sandbox::start();
    sandbox.fault("intents-off", json!({}));
    let gateway = Gateway::start(&sandbox.api);
    gateway.await_channel("error");
    let line = gateway.run.line("pre-flight: the intent MESSAGE_CONTENT");
    assert!(line.contains("\"Message Content Intent\"") && line.contains("doctor --fix"), "{line}");
    let (code, found) = examine(&gateway.plan, gateway.port, &[]);
    assert_eq!(code, 78);
    let words = ["fail: MESSAGE_CONTENT", "Privileged Gateway Intents", "barnacle doctor --fix"];
    finds(&found, "intents", &words);
    assert_eq!(found["fixed"], json!([]), "nothing is touched unasked");
    let (code, found) = examine(&gateway.plan, gateway.port, &["--fix"]);
    let said = found["fixed"][0].as_str().unwrap();
    assert!(said.starts_with("\"Message Content Intent\" is switched on"), "{said}");
    finds(&found, "intents", &["ok: "]);
    finds(&found, "connection", &["fail: error"]);
    assert_eq!(code, 69, "the gateway does not know yet");
    gateway.run.signal(Signal::USR1);
    gateway.await_channel("connected");
    let (code, found) = examine(&gateway.plan, gateway.port, &["--fix"]);
    assert_eq!((code, &found["fixed"]), (0, &json!([])));
}

#[test]
fn files_with_secrets_that_are_open_are_found_and_closed_on_demand() {
    let (sandbox, dir) = (Sandbox::start(), Dir::new());
    let file = dir.file("b.json5", "{channels: {discord: {token: \"in.the.file\"}}}");
    let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    let plan = Plan::new(&dir, &sandbox.api).env("BARNACLE_CONFIG", &file);
    let (code, found) = examine(&plan, 1, &[]);
    assert_eq!(code, 0);
    finds(&found, "secrets", &["warn: everybody", &file, "chmod o-rwx"]);
    let (_, found) = examine(&plan, 1, &["--fix"]);
    assert!(found["fixed"][0].as_str().unwrap().contains(&file), "{found:#}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
    finds(&found, "secrets", &["ok: "]);
    // What only names a variable is no secret.
    mode(0o644);
    fs::write(&file, "{channels: {discord: {token: \"${DISCORD_BOT_TOKEN}\"}}}").unwrap();
    finds(&examine(&plan, 1, &[]).1, "secrets", &["ok: "]);
}

/// The last line of a run that is done.
fn said(mut run: Run) -> (i32, String) {
    let code = run.code();
    (code, run.output())
}

#[test]
fn invitations_ask_for_what_they_are_told_to() {
    let (sandbox, dir) = (Sandbox::start(), Dir::new());
    let plan = Plan::new(&dir, &sandbox.api);
    let invite = |args: &[&str]| said(plan.beside(&[&["invite-url"], args].concat()));
    let id = ["--application", "42"];
    for (which, bits) in [("minimal", "68608"), ("recommended", "309237763136"), ("8", "8")] {
        let (code, link) = invite(&[&id[..], &["--permissions", which]].concat());
        assert_eq!(code, 0, "{link}");
        assert!(link.contains(&format!(
            "client_id=42&scope=bot+applications.commands&permissions={bits}\n"
        )));
    }
    let named = ["--permissions", "sendMessages,VIEW_CHANNEL", "--guild", "7"];
    let (_, link) = invite(&[&id[..], &named].concat());
    assert!(link.ends_with("&permissions=3072&guild_id=7\n"), "{link}");
    let (code, complaint) = invite(&[&id[..], &["--permissions", "SEND_MESAGES"]].concat());
    assert_eq!(code, 64);
    assert!(complaint.contains("did you mean SEND_MESSAGES?"), "{complaint}");
    let (code, complaint) = invite(&["--account", "work"]);
    assert_eq!(code, 64);
    assert!(complaint.contains("no account work") && complaint.contains("default"), "{complaint}");
    let (code, link) = invite(&[]);
    assert!(code == 0 && link.starts_with("https://discord.com/oauth2/authorize?client_id="));
}
