//! Orders: slash commands, and the same words as plain messages.

use serde_json::{Value, json};

use crate::harness::{Gateway, PATIENCE, Sandbox, State, pause, seconds};

/// Discord waits so long for a first answer.
const FIRST_ANSWER_MS: u64 = 3000;

/// The interaction `id`, as the sandbox saw it answered.
fn seen(state: &State, id: &str) -> Option<Value> {
    let all = state.0["slash"]["interactions"].as_array().unwrap();
    let one = all.iter().find(|one| one["id"] == id)?;
    one["content"].is_string().then(|| one.clone())
}

/// Somebody uses a slash command; how it was answered.
fn slash(sandbox: &Sandbox, fields: &Value) -> Value {
    let id = sandbox.post("slash", fields)["id"].as_str().unwrap().to_owned();
    sandbox.until("an answer to the command", PATIENCE, |state| seen(state, &id))
}

fn deployed(state: &State) -> u64 {
    let commands = state.0["slash"]["commands"].as_object().unwrap();
    commands.values().map(|one| one["deployed"].as_u64().unwrap()).sum()
}

fn await_deployment(sandbox: &Sandbox) {
    sandbox.until("the deployment", PATIENCE, |state| (deployed(state) > 0).then_some(()));
}

#[test]
fn a_slash_command_is_deferred_in_time_answered_and_seen_by_one() {
    let sandbox = Sandbox::start();
    let config = json!({"agents": {"defaults": {"cpuMs": 4000}}});
    let gateway = Gateway::configured(&sandbox.api, &config.to_string());
    gateway.await_channel("connected");
    // Somebody keeps it busy meanwhile.
    let asked = sandbox.ask("think hard");
    for (text, words) in [("status", "connected"), ("why", "think hard"), ("new", "new")] {
        let answer = slash(&sandbox, &json!({"text": text}));
        let content = answer["content"].as_str().unwrap();
        assert!(text == "why" || content.contains(words), "{text}: {content}");
        assert!(text != "why" || content.contains("is being answered"), "{text}: {content}");
        assert_eq!((&answer["type"], &answer["ephemeral"]), (&json!(5), &json!(true)));
        assert!(answer["answeredMs"].as_u64().unwrap() < FIRST_ANSWER_MS, "{answer}");
    }
    sandbox.exactly_one_answer(&asked);
    sandbox.state().assert_clean();
    let token = gateway.run.output().lines().filter(|line| line.contains("interaction-")).count();
    assert_eq!(token, 0, "the interaction's token is a secret");
}

#[test]
fn stop_ends_what_runs_by_a_command_or_a_word() {
    let sandbox = Sandbox::start();
    let config = json!({"agents": {"defaults": {"cpuMs": 30_000, "timeout": 60}}});
    let gateway = Gateway::configured(&sandbox.api, &config.to_string());
    gateway.await_channel("connected");
    let nothing = slash(&sandbox, &json!({"text": "stop"}));
    assert!(nothing["content"].as_str().unwrap().contains("nothing to stop"), "{nothing}");
    let long = sandbox.ask("think for half a minute");
    // Typing is the only call here that is answered by 204 and no slash command's.
    let typing = |state: &State| (state.0["rest"]["204"].as_u64() > Some(1)).then_some(());
    sandbox.until("the turn", PATIENCE, typing);
    let stopped = slash(&sandbox, &json!({"text": "stop"}));
    assert_eq!(stopped["content"], "Stopped.");
    sandbox.ask("and again");
    pause(seconds(1));
    let stop = sandbox.ask("/stop");
    assert_eq!(sandbox.exactly_one_answer(&stop), "Stopped.");
    assert_eq!(sandbox.state().answers(&long), []);
}

#[test]
fn who_is_not_answered_may_not_order_either() {
    let sandbox = Sandbox::start();
    let discord = json!({"groupPolicy": "disabled", "dmPolicy": "open", "allowFrom": ["*"]});
    let config = json!({"channels": {"discord": discord}});
    let gateway = Gateway::configured(&sandbox.api, &config.to_string());
    gateway.await_channel("connected");
    let refused = slash(&sandbox, &json!({"text": "status", "author": "zoe"}));
    let content = refused["content"].as_str().unwrap();
    assert!(content.contains("no orders") && content.contains("switched off"), "{content}");
    let direct = slash(&sandbox, &json!({"text": "status", "direct": true}));
    assert!(direct["content"].as_str().unwrap().contains("connected"), "{direct}");
}

#[test]
fn words_of_command_in_a_message_are_orders_when_they_are_all_it_says() {
    let sandbox = Sandbox::start();
    let _gateway = Gateway::connected(&sandbox);
    let first = sandbox.ask("hello");
    sandbox.answer(&first);
    let status = sandbox.ask("/status");
    assert!(sandbox.exactly_one_answer(&status).starts_with("connected"));
    let why = sandbox.ask(&format!("/why {first}"));
    assert!(sandbox.exactly_one_answer(&why).contains("was answered"));
    let question = sandbox.ask("/why is the sky blue?");
    assert_eq!(sandbox.exactly_one_answer(&question), "/why is the sky blue?");
}

#[test]
fn commands_are_deployed_once_however_often_it_starts() {
    let sandbox = Sandbox::start();
    let mut gateway = Gateway::connected(&sandbox);
    await_deployment(&sandbox);
    gateway.run.line("the slash commands are deployed");
    gateway.stop();
    gateway.again();
    gateway.await_channel("connected");
    // A new session, which asks for it again.
    let ms = sandbox.fault("close-4007", json!({}));
    sandbox.recovery(ms, "ready", seconds(10));
    gateway.run.line("the slash commands are deployed as they are");
    sandbox.answer(&sandbox.ask("still there?"));
    assert_eq!(deployed(&sandbox.state()), 1);
    let names: Vec<Value> = sandbox.state().0["slash"]["commands"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|one| one["commands"].as_array().unwrap().clone())
        .map(|command| command["name"].clone())
        .collect();
    assert_eq!(names, ["status", "why", "new", "reset", "compact", "stop"]);
}

#[test]
fn commands_that_are_switched_off_are_never_deployed() {
    let sandbox = Sandbox::start();
    let config = json!({"channels": {"discord": {"commands": {"native": false}}}});
    let gateway = Gateway::configured(&sandbox.api, &config.to_string());
    gateway.await_channel("connected");
    sandbox.answer(&sandbox.ask("hello"));
    pause(seconds(1));
    assert_eq!(deployed(&sandbox.state()), 0);
}

#[test]
fn another_instance_is_reported_and_not_fought() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    sandbox.answer(&sandbox.ask("are you alone?"));
    sandbox.fault("twin", json!({}));
    pause(seconds(2));
    assert_eq!(gateway.status()["anotherInstance"], Value::Null, "one message proves nothing");
    // What comes within half a minute is one sign; the next one is another.
    pause(seconds(30));
    sandbox.fault("twin", json!({}));
    let line = gateway.run.line("another instance seems to run this bot");
    assert!(line.contains("WARN") && line.contains("reset the token"), "{line}");
    assert!(gateway.status()["anotherInstance"].is_string());
    let id = sandbox.ask("and now?");
    assert_eq!(sandbox.exactly_one_answer(&id), "and now?");
    sandbox.state().assert_clean();
}
