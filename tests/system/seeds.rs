//! Scripts that people wrote for another gateway, letter by letter but for its name: a watchdog by
//! HTTP, one by the log, and what is typed to look at a channel. They work here, and those that
//! restart without need do no harm.

use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Dir, Gateway, PATIENCE, Run, Sandbox, binary, path_text, seconds, wait};

const WATCHDOG: &str = include_str!("seeds/channel-watchdog.sh");
const CRON: &str = include_str!("seeds/resume-loop.cron");
const PIPELINES: &str = include_str!("seeds/pipelines.sh");

/// A gateway that logs into the file which the scripts read, and a shell beside it.
fn gateway(sandbox: &Sandbox) -> Gateway {
    let gateway = Gateway::with(&sandbox.api, |dir, plan| {
        let file = path_text(&dir.0.join("log/barnacle/gateway.log"));
        let quick = "connection: {backoff: {initialDelay: 100, maxDelay: 300}}";
        let text = format!("{{logging: {{file: \"{file}\"}}, {quick}}}");
        plan.env("BARNACLE_CONFIG", &dir.file("b.json5", &text)).level("info")
    });
    names(&gateway.dir);
    gateway.await_channel("connected");
    gateway
}

/// The program, by both its names.
fn names(dir: &Dir) {
    std::fs::create_dir(dir.0.join("bin")).unwrap();
    for name in ["barnacle", "openclaw"] {
        symlink(binary(), dir.0.join("bin").join(name)).unwrap();
    }
}

/// Runs a script as cron does, to its end: its log files and its port are the test's own.
fn shell(gateway: &Gateway, shell: &str, script: &str) -> Run {
    let script = script
        .replace("/var/log/", &format!("{}/", path_text(&gateway.dir.0.join("log"))))
        .replace("localhost:18789", &format!("localhost:{}", gateway.port));
    let file = gateway.dir.file("script", &script);
    let mut command = Command::new(shell);
    command.arg(file).env_clear().envs(&gateway.plan.env);
    command.env("BARNACLE_GATEWAY_PORT", gateway.port.to_string());
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", path_text(&gateway.dir.0.join("bin")));
    command.env("PATH", path);
    let mut run = Run::of(command, script);
    run.end_input();
    run.exit(PATIENCE);
    run
}

fn boot(gateway: &Gateway) -> Value {
    gateway.told("status", &json!({}))["bootId"].clone()
}

/// Whether another answers than `before`; while it is being replaced, nobody may.
fn has_restarted(gateway: &Gateway, before: &Value) -> bool {
    gateway.rpc("status", &json!({})).is_ok_and(|status| status["bootId"] != *before)
}

/// What the watchdog has written down.
fn remarks(gateway: &Gateway) -> String {
    let file = gateway.dir.0.join("log/barnacle-watchdog.log");
    std::fs::read_to_string(file).unwrap_or_default()
}

#[test]
fn a_watchdog_that_asks_by_http_leaves_a_healthy_gateway_alone() {
    let sandbox = Sandbox::start();
    let gateway = gateway(&sandbox);
    let before = boot(&gateway);
    let run = shell(&gateway, "bash", WATCHDOG);
    assert_eq!((run.output(), remarks(&gateway)), (String::new(), String::new()));
    assert_eq!(boot(&gateway), before);
}

#[test]
fn a_watchdog_that_restarts_without_need_does_no_harm() {
    let sandbox = Sandbox::start();
    let gateway = gateway(&sandbox);
    // It waits for a channel that nobody has set up, each time again.
    let script = WATCHDOG.replace("(\"discord\")", "(\"discord\" \"telegram\")");
    for round in 1..=2 {
        let before = boot(&gateway);
        let id = sandbox.ask(&format!("before restart {round}"));
        let run = std::thread::scope(|scope| {
            let running = scope.spawn(|| shell(&gateway, "bash", &script));
            let during = sandbox.ask(&format!("during restart {round}"));
            let run = running.join().unwrap();
            sandbox.exactly_one_answer(&during);
            run
        });
        assert!(run.output().contains("restarted: process"), "{}", run.output());
        assert_eq!(remarks(&gateway).matches("telegram status abnormal: null").count(), round);
        assert_ne!(boot(&gateway), before);
        gateway.await_channel("connected");
        sandbox.exactly_one_answer(&id);
    }
    let state = sandbox.state();
    assert_eq!((state.number("/identifies"), state.number("/resumed")), (1, 2));
    state.assert_clean();
}

#[test]
fn a_watchdog_that_finds_a_channel_down_restarts_it_and_it_recovers() {
    let sandbox = Sandbox::start();
    let gateway = gateway(&sandbox);
    let before = boot(&gateway);
    sandbox.fault("refuse", json!({"cleared": true}));
    gateway.await_channel("reconnecting");
    let run = std::thread::scope(|scope| {
        let running = scope.spawn(|| shell(&gateway, "bash", WATCHDOG));
        wait("a restart", PATIENCE, || has_restarted(&gateway, &before).then_some(()));
        sandbox.clear();
        running.join().unwrap()
    });
    assert!(remarks(&gateway).contains("discord status abnormal: reconnecting"));
    assert!(run.output().contains("restarted: process"), "{}", run.output());
    gateway.await_channel("connected");
    sandbox.answer(&sandbox.ask("are you back?"));
    assert_eq!(sandbox.state().number("/identifies"), 1);
}

#[test]
fn a_watchdog_that_finds_nobody_is_told_so() {
    let sandbox = Sandbox::start();
    let mut gateway = gateway(&sandbox);
    assert_eq!(gateway.stop(), 0);
    let run = shell(&gateway, "bash", WATCHDOG);
    assert!(remarks(&gateway).contains("barnacle service unavailable"));
    assert!(run.stderr().contains("no gateway runs on"), "{}", run.output());
}

#[test]
fn a_cron_line_that_counts_resumes_restarts_once_and_not_for_ever() {
    let sandbox = Sandbox::start();
    let gateway = gateway(&sandbox);
    let before = boot(&gateway);
    let line = CRON.lines().last().unwrap();
    let command = line.split_once("* * * * ").unwrap().1;
    shell(&gateway, "sh", command);
    assert_eq!(boot(&gateway), before, "there is nothing to restart for");
    // A loop that ends only when the network is back.
    sandbox.fault("refuse", json!({"cleared": true}));
    wait("a loop", PATIENCE, || (gateway.run.count("Attempting resume") > 10).then_some(()));
    let run = std::thread::scope(|scope| {
        let running = scope.spawn(|| shell(&gateway, "sh", command));
        wait("a restart", PATIENCE, || has_restarted(&gateway, &before).then_some(()));
        sandbox.clear();
        running.join().unwrap()
    });
    assert!(run.output().contains("restarted: process"), "{}", run.output());
    let after = boot(&gateway);
    assert_ne!(after, before);
    gateway.await_channel("connected");
    shell(&gateway, "sh", command);
    assert_eq!(boot(&gateway), after, "the lines that it counts were put away");
    assert_eq!(sandbox.state().number("/identifies"), 1);
}

#[test]
fn what_people_type_to_look_at_a_channel_finds_what_they_look_for() {
    let sandbox = Sandbox::start();
    let gateway = gateway(&sandbox);
    let at = sandbox.fault("close-1005", json!({}));
    sandbox.recovery(at, "resumed", seconds(60));
    gateway.await_channel("connected");
    let lines: Vec<&str> = PIPELINES.split("\n\n").collect();
    let found: Vec<String> = lines
        .iter()
        .map(|line| {
            let run = shell(&gateway, "bash", line);
            assert!(!run.stdout().is_empty(), "{line}: {}", run.output());
            run.stdout()
        })
        .collect();
    assert!(found[0].contains("WebSocket connection closed with code 1005"), "{}", found[0]);
    assert!(found[0].contains("Attempting resume with backoff: "), "{}", found[0]);
    assert!(found[1].contains("connected: session resumed"), "{}", found[1]);
    assert!(found[2].contains("connected: new session"), "{}", found[2]);
    assert!(found[3].lines().all(|line| line.ends_with("discord")), "{}", found[3]);
    assert_eq!(found[4].split_whitespace().last(), Some("discord"), "counted: {}", found[4]);
    let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_eq!(json(&found[5]), json!({"discord": "connected"}));
    let detail = json(&found[6]);
    assert_eq!(detail["channels"]["discord"], "connected");
    assert!(detail["uptime"].is_u64() && detail["status"].is_string(), "{detail}");
}

#[test]
fn under_the_other_name_the_same_words_do_the_same() {
    let sandbox = Sandbox::start();
    let gateway = gateway(&sandbox);
    for (words, answer) in [
        ("openclaw --version", "barnacle "),
        ("openclaw logs", "connected: new session"),
        // What it finds is a matter of chance: numbers of bots may have a 1005 in them.
        ("openclaw gateway logs | grep -i 'resume\\|1005\\|websocket' || echo none", ""),
        ("openclaw channels status", "discord"),
        ("openclaw status", "discord"),
        ("openclaw health", "discord"),
        ("openclaw cron list", "job"),
        ("openclaw doctor || true", "token"),
        ("openclaw gateway restart", "restarted: process"),
        ("openclaw restart", "restarted: process"),
        ("sleep 3 | timeout 2 openclaw logs --follow || true", "connected: session resumed"),
    ] {
        let run = shell(&gateway, "bash", words);
        assert!(run.output().contains(answer), "{words}: {}", run.output());
        assert!(!run.output().contains("there is no command"), "{words}: {}", run.output());
        gateway.await_channel("connected");
    }
    assert_eq!(sandbox.state().0["violations"], json!([]));
}
