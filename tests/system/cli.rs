//! The command line against a running gateway: by the socket, by the port, and when it is not
//! there.

use std::os::unix::fs::MetadataExt as _;

use serde_json::{Value, json};

use crate::harness::{Dir, Gateway, PATIENCE, Plan, Run, Sandbox, Signal, path_text, wait};

fn document(run: &Run) -> Value {
    serde_json::from_str(&run.stdout()).unwrap_or_else(|error| panic!("{error}: {}", run.output()))
}

#[test]
fn every_command_answers_people_and_programs() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    sandbox.answer(&sandbox.ask("hello"));
    sandbox.say(&json!({"text": "nobody is meant"}));
    wait("the trail", PATIENCE, || {
        let told = gateway.cli(&["why", "--json"]).stdout();
        told.contains("dropped").then_some(())
    });
    for (args, words) in [
        (&["status"][..], "discord  connected"),
        (&["gateway", "status"], "heartbeats at most"),
        (&["health"], "discord  connected"),
        (&["channels", "status"], "discord default  connected, proof of life"),
        (&["channels", "status", "--probe"], "discord default  connected"),
        (&["channels", "list"], "discord default  enabled, configured"),
        (&["channels", "history"], "discord default  connected"),
        (&["why"], "dropped in all"),
        (&["why", "--last", "5"], "answered"),
        (&["why", "--dropped"], "to change it: "),
        (&["gateway", "call", "health"], "\"defaultAgentId\""),
        (&["gateway", "call", "logs.tail", "--params", "{\"limit\": 1}"], "\"cursor\""),
        (&["agent", "--message", "are you there?"], "are you there?"),
        (&["channels", "restart", "discord"], "discord default  "),
    ] {
        let mut told = gateway.cli(args);
        assert_eq!(told.code(), 0, "{args:?}: {}", told.output());
        assert!(told.stdout().contains(words), "{words:?} is not in:\n{}", told.stdout());
        assert_eq!(told.stderr(), "", "{args:?}");
        gateway.await_channel("connected");
        let mut told = gateway.cli(&[args, &["--json"]].concat());
        assert_eq!(told.code(), 0, "{args:?}: {}", told.output());
        assert!(document(&told).is_object(), "{args:?}");
        gateway.await_channel("connected");
    }
    assert_eq!(gateway.cli(&["gateway", "call", "last-heartbeat"]).stdout(), "null\n");
}

#[test]
fn a_message_is_explained_by_its_number_and_by_its_link() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    let id = sandbox.say(&json!({"text": "nobody is meant"}));
    let story = wait("the story", PATIENCE, || {
        let mut told = gateway.cli(&["why", &id, "--json"]);
        (told.code() == 0).then(|| document(&told)["stories"][0].clone())
    });
    let link = story["link"].as_str().unwrap();
    let mut told = gateway.cli(&["why", link]);
    assert_eq!(told.code(), 0);
    assert!(told.stdout().contains(&id) && told.stdout().contains(" ms  "), "{}", told.stdout());
    let mut unknown = gateway.cli(&["why", "12345"]);
    assert_eq!(unknown.code(), 65, "{}", unknown.output());
    let mut odd = gateway.cli(&["why", "no number"]);
    assert_eq!(odd.code(), 65, "{}", odd.output());
    assert!(odd.stderr().contains("Copy Message"), "{}", odd.stderr());
}

#[test]
fn accounts_are_stopped_and_started_and_unknown_ones_named() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    assert_eq!(gateway.cli(&["channels", "stop", "discord", "--account", "default"]).code(), 0);
    gateway.await_channel("disconnected");
    assert_eq!(gateway.cli(&["channels", "start"]).code(), 0);
    gateway.await_channel("connected");
    for args in [&["channels", "stop", "--account", "nobody"][..], &["channels", "start", "irc"]] {
        let mut told = gateway.cli(args);
        assert_eq!(told.code(), 65, "{args:?}: {}", told.output());
        assert!(!told.stderr().is_empty());
    }
    let mut told = gateway.cli(&["gateway", "call", "no.such.method"]);
    assert_eq!(told.code(), 65);
    assert!(told.stderr().contains("unknown method: no.such.method"), "{}", told.stderr());
}

#[test]
fn the_socket_needs_no_token_and_the_port_does() {
    let sandbox = Sandbox::start();
    let mut gateway = Gateway::start(&sandbox.api);
    let socket = gateway.dir.0.join("state/barnacle.sock");
    let mode = std::fs::symlink_metadata(&socket).unwrap().mode();
    assert_eq!(mode & 0o777, 0o660);
    let port = gateway.port.to_string();
    let token = gateway.token();
    std::fs::remove_file(gateway.dir.0.join("state/gateway.token")).unwrap();
    assert_eq!(gateway.cli(&["health"]).code(), 0);
    let url = format!("unix:{}", path_text(&socket));
    assert_eq!(gateway.cli(&["health", "--url", &url]).code(), 0);
    for (args, words) in [
        (&["health", "--port", &port][..], "a token is needed"),
        (&["health", "--port", &port, "--token", "wrong"], "token mismatch"),
    ] {
        let mut refused = gateway.cli(args);
        assert_eq!(refused.code(), 77, "{args:?}: {}", refused.output());
        assert!(refused.stderr().contains(words), "{}", refused.stderr());
        assert!(refused.stderr().contains("--token"), "{}", refused.stderr());
    }
    assert_eq!(gateway.cli(&["health", "--port", &port, "--token", &token]).code(), 0);
    let url = format!("ws://127.0.0.1:{port}");
    assert_eq!(gateway.cli(&["health", "--url", &url, "--token", &token]).code(), 0);
    assert_eq!(gateway.stop(), 0);
    assert!(!socket.exists(), "gone with its process");
}

#[test]
fn a_socket_that_was_left_behind_is_taken_and_a_live_one_is_not() {
    let sandbox = Sandbox::start();
    let mut gateway = Gateway::start(&sandbox.api);
    let socket = gateway.dir.0.join("state/barnacle.sock");
    gateway.run.kill();
    assert!(socket.exists(), "left behind");
    gateway.again();
    assert_eq!(gateway.cli(&["health"]).code(), 0);
    // A second one with the same state, and another bot.
    let mut second = gateway.plan.clone().env("DISCORD_BOT_TOKEN", "another.token").run();
    second.line("the control socket");
    second.line("listening on http://");
    let mut status = gateway.cli(&["status", "--json"]);
    assert_eq!(status.code(), 0);
    assert_eq!(document(&status)["pid"], gateway.run.pid());
    second.signal(Signal::TERM);
    assert_eq!(second.code(), 0);
    assert!(socket.exists(), "it was not the second one's to remove");
}

#[test]
fn a_gateway_that_is_not_there_is_waited_for_a_moment_and_then_named() {
    let dir = Dir::new();
    let plan = Plan::new(&dir, "http://127.0.0.1:1").env("BARNACLE_GATEWAY_PORT", "1");
    for args in
        [&["status"][..], &["channels", "restart"], &["restart"], &["why"], &["gateway", "stop"]]
    {
        let mut run = plan.beside(&[args, &["--timeout", "400"]].concat());
        assert_eq!(run.code(), 69, "{args:?}: {}", run.output());
        assert!(run.stderr().contains("no gateway runs on 127.0.0.1:1"), "{}", run.stderr());
        assert!(run.stderr().contains("barnacle gateway"), "{}", run.stderr());
        assert_eq!(run.stdout(), "");
    }
}

#[test]
fn a_restart_is_waited_for_and_told_as_it_was() {
    let sandbox = Sandbox::start();
    let mut gateway = Gateway::connected(&sandbox);
    let args = ["logs", "--follow", "--interval", "100"];
    let follower = gateway.plan.beside(&args);
    follower.line("connected: new session");
    let mut before = gateway.cli(&["status", "--json"]);
    assert_eq!(before.code(), 0);
    let before = document(&before);
    let mut told = gateway.cli(&["gateway", "restart", "--wait", "60s", "--json"]);
    assert_eq!(told.code(), 0, "{}\n{}", told.output(), gateway.run.output());
    let told = document(&told);
    assert_eq!(told["old"]["bootId"], before["bootId"]);
    assert_ne!(told["new"]["bootId"], before["bootId"]);
    assert!(told["readySeconds"].as_f64() >= told["seconds"].as_f64(), "{told}");
    let after = document(&gateway.cli(&["status", "--json"]));
    assert_eq!(after["bootId"], told["new"]["bootId"]);
    follower.line("the gateway is back");
    follower.line("connected: session resumed");
    assert_eq!(sandbox.state().number("/ready"), 1, "no new session was needed");
    let mut stopped = gateway.cli(&["gateway", "stop"]);
    assert_eq!(stopped.code(), 0, "{}", stopped.output());
    assert!(stopped.stdout().contains("has stopped"), "{}", stopped.output());
    assert_eq!(gateway.run.code(), 0);
}

#[test]
fn what_shells_and_man_read_is_printed_without_a_gateway() {
    for (args, words) in [
        (&["completion", "bash"][..], "-F _barnacle barnacle"),
        (&["completion", "zsh"], "#compdef barnacle"),
        (&["completion", "fish"], "complete -c barnacle"),
        (&["man"], ".TH BARNACLE 1"),
        (&["channels", "--help"], "channels restart [CHANNEL]"),
        (&["help", "channels", "restart"], "--account ID"),
    ] {
        let mut run = Run::start(args, &[]);
        assert_eq!(run.code(), 0, "{args:?}: {}", run.output());
        assert!(run.stdout().contains(words), "{args:?}: {}", run.stdout());
    }
    for (args, cure) in [
        (&["channels", "restrat"][..], "did you mean restart?"),
        (&["channels"], "status, list, history"),
        (&["restart", "--wait", "30"], "30s"),
        (&["message", "send", "--message", "x"], "--target is needed"),
        (&["gateway", "call", "health", "--params", "{"], "--params is no JSON"),
    ] {
        let mut run = Run::start(args, &[]);
        assert_eq!(run.code(), 64, "{args:?}: {}", run.output());
        assert!(run.stderr().contains(cure), "{args:?}: {}", run.stderr());
    }
}
