//! As a new user meets it: what is missing or wrong gives one clear line with the cure, and the
//! process ends or stays as decided.

use std::net::TcpListener;

use serde_json::json;

use crate::harness::{Dir, Gateway, Plan, Run, Sandbox, path_text, pause, seconds};

/// Nobody listens here.
const NOWHERE: &str = "http://127.0.0.1:1/api/v10";

/// It ends with `code`, says `words` in its only complaint, and a cure below it.
fn ends(mut run: Run, code: i32, words: &[&str]) {
    assert_eq!(run.code(), code, "{}", run.output());
    let complaint = run.stderr();
    let lines: Vec<&str> = complaint.lines().filter(|line| !line.contains(" INFO ")).collect();
    assert_eq!(lines.len(), 2, "what is wrong, and what to do about it: {complaint}");
    assert!(lines[0].starts_with("barnacle: ") && lines[1].starts_with("  "), "{complaint}");
    for word in words {
        assert!(complaint.contains(word), "{word:?} is not in: {complaint}");
    }
}

#[test]
fn a_port_in_use_is_named_and_ends_it_with_69() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let dir = Dir::new();
    let run = Plan::new(&dir, NOWHERE).port(port).run();
    ends(run, 69, &[&port.to_string(), "in use", "--port"]);
}

#[test]
fn a_state_directory_that_cannot_be_used_ends_it_with_73() {
    let dir = Dir::new();
    let file = dir.file("file", "");
    for place in [format!("{file}/state"), "/proc/barnacle".to_owned()] {
        let run = Plan::new(&dir, NOWHERE).env("BARNACLE_STATE_DIR", &place).run();
        ends(run, 73, &[&place, "BARNACLE_STATE_DIR"]);
    }
    let nowhere = Plan::new(&dir, NOWHERE).without("BARNACLE_STATE_DIR").without("HOME");
    ends(nowhere.without("XDG_RUNTIME_DIR").run(), 73, &["BARNACLE_STATE_DIR"]);
}

const BROKEN: &str = "{\n  logging: {level: \"info\"},\n  gateway: {port: }\n}\n";

#[test]
fn a_broken_configuration_is_named_by_line_and_column_and_ends_it_with_78() {
    let dir = Dir::new();
    let file = dir.file("broken.json5", BROKEN);
    let run = Plan::new(&dir, NOWHERE).env("BARNACLE_CONFIG", &file).run();
    ends(run, 78, &[&file, "line 3, column 19"]);
    let missing = path_text(&dir.0.join("missing.json5"));
    let run = Plan::new(&dir, NOWHERE).env("BARNACLE_CONFIG", &missing).run();
    ends(run, 78, &[&missing, "No such file"]);
}

#[test]
fn a_broken_configuration_boots_the_last_good_one_and_says_so() {
    let sandbox = Sandbox::start();
    let good = "{channels: {discord: {requireMention: false}}}";
    let mut gateway = Gateway::configured(&sandbox.api, good);
    gateway.await_channel("connected");
    assert_eq!(gateway.stop(), 0);
    gateway.dir.file("b.json5", BROKEN);
    gateway.again();
    gateway.await_channel("connected");
    let line = gateway.run.line(" ERROR [config] ");
    assert!(line.contains("line 3, column 19") && line.contains("last good"), "{line}");
    let id = sandbox.say(&json!({"text": "no mention, as was configured"}));
    sandbox.answer(&id);
}

#[test]
fn what_is_not_understood_in_a_configuration_warns_and_no_more() {
    let sandbox = Sandbox::start();
    let text = "{\n  chanels: {},\n  gateway: {prot: 1},\n  connection: {autoReconnect: 7},\n}";
    let gateway = Gateway::configured(&sandbox.api, text);
    gateway.await_channel("connected");
    for (key, hint) in [
        ("chanels (line 2, column 3)", "did you mean channels?"),
        ("gateway.prot (line 3, column 13)", "did you mean gateway.port?"),
        ("connection.autoReconnect (line 4, column 16)", "write"),
    ] {
        let line = gateway.run.line(key);
        assert!(line.contains(" WARN  [config] ") && line.contains(hint), "{line}");
    }
}

#[test]
fn without_a_token_it_stays_up_and_says_so_once() {
    let dir = Dir::new();
    let plan = Plan::new(&dir, NOWHERE).without("DISCORD_BOT_TOKEN").level("info");
    let mut gateway = Gateway::of(plan, dir);
    gateway.await_channel("auth_required");
    // Longer than the token is looked for again.
    pause(seconds(6));
    assert!(gateway.run.is_running());
    let output = gateway.run.output();
    // And where one can be handed over.
    assert_eq!(output.lines().count(), 3, "{output}");
    assert_eq!(gateway.run.count("`barnacle setup`"), 1, "{output}");
    let line = gateway.run.line(" ERROR [discord] ");
    assert!(line.contains("no bot token") && line.contains("set DISCORD_BOT_TOKEN"), "{line}");
}

#[test]
fn a_wrong_token_is_one_clear_error_and_heals_when_its_file_changes() {
    let sandbox = Sandbox::start();
    let dir = Dir::new();
    let file = dir.file("token", "bad.token\n");
    let plan = Plan::new(&dir, &sandbox.api).without("DISCORD_BOT_TOKEN").level("info");
    let mut gateway = Gateway::of(plan.env("DISCORD_BOT_TOKEN_FILE", &file), dir);
    gateway.await_channel("auth_required");
    let line = gateway.run.line(" ERROR [discord] ");
    assert!(line.contains("authentication failed") && line.contains("Reset Token"), "{line}");
    // Longer than the file is looked at again.
    pause(seconds(6));
    assert!(gateway.run.is_running());
    assert_eq!(gateway.run.count(" ERROR "), 1, "{}", gateway.run.output());
    assert_eq!(gateway.run.count(" WARN "), 0, "{}", gateway.run.output());
    assert!(sandbox.state().connects(0) <= 2);
    gateway.dir.file("token", "good.token\n");
    gateway.await_channel("connected");
    let id = sandbox.ask("are you there?");
    sandbox.answer(&id);
}

#[test]
fn without_a_network_it_stays_up_and_says_what_is_wrong() {
    let dir = Dir::new();
    let mut gateway = Gateway::of(Plan::new(&dir, NOWHERE).level("info"), dir);
    gateway.run.line(" WARN  [discord] cannot connect: connection refused");
    assert_eq!(gateway.channel(), "connecting");
    assert_eq!(gateway.get("/ready", &[]).status, 503);
    assert_eq!(gateway.get("/health", &[]).status, 200);
    assert_eq!(gateway.stop(), 0);
}

#[test]
fn a_network_that_comes_later_is_found() {
    let sandbox = Sandbox::start();
    sandbox.fault("refuse", json!({"seconds": 8}));
    let gateway = Gateway::start(&sandbox.api);
    gateway.run.line("cannot connect");
    gateway.await_channel("connected");
    sandbox.state().assert_clean();
}

#[test]
fn an_intent_that_the_portal_refuses_is_named_with_the_switch() {
    let sandbox = Sandbox::start();
    sandbox.fault("intents-off", json!({}));
    let gateway = Gateway::start(&sandbox.api);
    gateway.await_channel("error");
    let warning = gateway.run.line("MESSAGE_CONTENT");
    assert!(warning.contains("Privileged Gateway Intents"), "{warning}");
    let parked = gateway.run.line("parked");
    assert!(parked.contains("4014"), "{parked}");
}

#[test]
fn plain_http_leaves_this_host_for_nobody() {
    let dir = Dir::new();
    let gateway = Gateway::of(Plan::new(&dir, "http://192.0.2.1/api/v10"), dir);
    gateway.run.line("cannot connect");
    assert_eq!(gateway.channel(), "connecting");
    let token = gateway.plan.token().to_owned();
    assert!(!gateway.run.output().contains(&token));
}
