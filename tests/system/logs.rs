//! The story in lines: those that people grep for, and nothing that must not be in them.

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Dir, Gateway, PATIENCE, Plan, Run, Sandbox, Signal, binary, path_text, wait};

/// Runs a pipeline as people type it, `barnacle` being ours.
fn shell(gateway: &Gateway, script: &str) -> String {
    let mut command = Command::new("sh");
    let ours = format!("barnacle() {{ '{}' \"$@\"; }}\n{script}", path_text(&binary()));
    command.args(["-c", &ours]).env_clear().envs(&gateway.plan.env);
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command.env("BARNACLE_GATEWAY_PORT", gateway.port.to_string());
    let mut run = Run::of(command, script.to_owned());
    run.end_input();
    run.code();
    run.stdout()
}

/// A gateway at the usual log level that was closed with 1005 twice, refused a RESUME once, and
/// has been told to reconnect.
fn storied() -> (Sandbox, Gateway) {
    let sandbox = Sandbox::start();
    let gateway = Gateway::with(&sandbox.api, |_, plan| plan.level("info"));
    gateway.await_channel("connected");
    for (count, fault) in ["close-1005", "resume-close", "op7"].into_iter().enumerate() {
        sandbox.fault(fault, json!({"count": 1}));
        sandbox.until("RESUMED", PATIENCE, |state| {
            (state.number("/resumed") > count as u64).then_some(())
        });
        gateway.await_channel("connected");
    }
    (sandbox, gateway)
}

#[test]
fn the_pipelines_that_people_know_find_their_lines() {
    let (_sandbox, gateway) = storied();
    let story = shell(&gateway, r#"barnacle gateway logs | grep -i "resume\|1005\|websocket""#);
    for words in [
        "Attempting resume with backoff: ",
        "WebSocket connection closed with code 1005",
        "session resumed",
    ] {
        assert!(story.contains(words), "{words:?} is not in:\n{story}");
    }
    let attempts = story.lines().filter(|line| line.contains("Attempting resume with backoff: "));
    assert!(attempts.clone().count() >= 4 && attempts.into_iter().all(|line| line.ends_with("ms")));
    let closes = shell(&gateway, r#"barnacle logs | grep -c "closed with code 1005""#);
    assert_eq!(closes, "2\n");
    // Four connections were lost: closed, dropped for the refusal, refused, told to reconnect.
    let counted = shell(
        &gateway,
        r#"barnacle logs | grep -i "disconnect" | awk '{print $NF}' | sort | uniq -c | sort -rn"#,
    );
    assert_eq!(counted.split_whitespace().collect::<Vec<_>>(), ["4", "discord"], "{counted}");
    let last = shell(&gateway, r#"barnacle logs | grep -i "disconnect" | tail -20"#);
    assert_eq!(last.lines().count(), 4);
    let all = r#"barnacle logs | grep -i "channel\|connect\|disconnect\|reconnect""#;
    assert!(shell(&gateway, all).lines().count() >= 8);
    let watched = r#"barnacle logs | grep --line-buffered -E "connect|disconnect|reconnect|auth""#;
    assert!(shell(&gateway, watched).contains("connected: session resumed"));
    // The seed's cron job counts in a file; what standard error says is what a file gets.
    assert_eq!(gateway.run.count("Attempting resume"), 4);
}

#[test]
fn every_heartbeat_event_and_attempt_is_told_at_connection_debug() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    for line in ["connecting to identify", "HELLO, a heartbeat each 4s", "IDENTIFY, number 1"] {
        gateway.run.line(line);
    }
    gateway.run.line("heartbeat at sequence");
    gateway.run.line("heartbeat acknowledged after");
    sandbox.fault("drop", json!({}));
    gateway.run.line("Attempting resume with backoff");
    gateway.run.line("RESUME from sequence");
    assert!(gateway.run.line("listening").contains(" INFO  [gateway] "));
}

#[test]
fn logs_can_be_limited_filtered_and_read_by_programs() {
    let (_sandbox, gateway) = storied();
    let limited = gateway.cli(&["logs", "--limit", "3"]).stdout();
    assert_eq!(limited.lines().count(), 3);
    let grave = gateway.cli(&["logs", "--level", "warn"]).stdout();
    assert!(!grave.is_empty() && grave.lines().all(|line| line.contains(" WARN ")), "{grave}");
    let lines = gateway.cli(&["logs", "--json"]).stdout();
    let mut seen = 0;
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["seq"].as_u64() > Some(seen), "in order");
        seen = line["seq"].as_u64().unwrap();
        for key in ["at", "level", "target", "text"] {
            assert!(line[key].is_string(), "{line}");
        }
    }
    let plain = gateway.cli(&["logs"]).stdout();
    assert_eq!(plain.lines().count(), lines.lines().count());
    assert!(gateway.run.stderr().starts_with(&plain), "the same lines as on standard error");
    assert_eq!(gateway.cli(&["logs", "--level", "loud"]).code(), 64);
}

#[test]
fn logs_follow_what_happens_also_over_a_restart() {
    let sandbox = Sandbox::start();
    let mut gateway = Gateway::connected(&sandbox);
    let args = ["logs", "--follow", "--interval", "100", "--timeout", "1000"];
    let mut follower = gateway.plan.beside(&args);
    follower.line("connected: new session");
    let skip = follower.length();
    sandbox.fault("close-1005", json!({}));
    follower.line_after(skip, "WebSocket connection closed with code 1005");
    follower.line_after(skip, "connected: session resumed");
    let skip = follower.length();
    let old = gateway.run.pid();
    gateway.run.signal(Signal::TERM);
    follower.line_after(skip, "the gateway is away; waiting for it");
    assert_eq!(gateway.run.code(), 0);
    gateway.again();
    assert_ne!(gateway.run.pid(), old);
    follower.line_after(skip, &format!("the gateway is back, as process {}", gateway.run.pid()));
    follower.line_after(skip, "listening on http://");
    follower.line_after(skip, "connected: session resumed");
    assert!(follower.is_running());
    assert_eq!(gateway.stop(), 0);
    assert_eq!(follower.code(), 69);
    assert!(follower.stderr().contains("the gateway has stopped"), "{}", follower.stderr());
}

/// Looks like a bot's token, and like nothing else that is ever printed.
const TOKEN: &str = "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs";

#[test]
fn no_secret_is_ever_printed() {
    let sandbox = Sandbox::start();
    // A token that was pasted into wrong places, too.
    let text = format!(
        "{{\n channels: {{discord: {{compress: \"{TOKEN}\", intents: \"{TOKEN}\",\n \
         \"{TOKEN}\": true}}}},\n gateway: {{auth: {{token: \"{TOKEN}-control\"}}}}\n}}"
    );
    let mut gateway = Gateway::with(&sandbox.api, |dir, plan| {
        let plan = plan.env("BARNACLE_CONFIG", &dir.file("b.json5", &text));
        plan.env("DISCORD_BOT_TOKEN", TOKEN).level("discord=trace,trace")
    });
    gateway.await_channel("connected");
    let mut printed = String::new();
    for fault in ["rest-500", "rest-cut", "rest-401", "garbage-text", "masked"] {
        sandbox.fault(fault, json!({}));
        sandbox.answer(&sandbox.ask(fault));
        gateway.await_channel("connected");
    }
    sandbox.fault("op9-false", json!({}));
    sandbox.until("a new session", PATIENCE, |state| (state.number("/ready") > 1).then_some(()));
    // A person who knows it says it.
    sandbox.direct("mallory", &format!("your token is {TOKEN}"));
    for args in [&["status", "--json"][..], &["status"], &["logs"], &["logs", "--json"]] {
        printed += &gateway.cli(args).output();
    }
    sandbox.fault("identify-close", json!({"code": 4004}));
    gateway.await_channel("auth_required");
    printed += &gateway.cli(&["invite-url"]).output();
    gateway.stop();
    // What is broken is shown by its place alone.
    let broken = format!("{{channels: {{discord: {{token: \"{TOKEN}\n");
    let file = gateway.dir.file("broken.json5", &broken);
    let args = ["gateway", "--config", &file, "--port", "0"];
    let mut run = gateway.plan.clone().env("BARNACLE_STATE_DIR", &file).beside(&args);
    run.exit(PATIENCE);
    printed += &run.output();
    printed += &gateway.run.output();
    assert!(printed.lines().count() > 100, "{printed}");
    let tail = &TOKEN[TOKEN.len() - 20..];
    let shown: Vec<&str> = printed.lines().filter(|line| line.contains(tail)).collect();
    assert!(shown.is_empty(), "printed: {shown:#?}");
}

#[test]
fn control_characters_from_outside_never_reach_the_terminal() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::with(&sandbox.api, |_, plan| plan.level("trace"));
    gateway.await_channel("connected");
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[2J\r\n\u{9b}31m\u{202e}x\u{0}";
    let said = sandbox.say(&json!({"author": evil, "text": evil, "mention": true}));
    sandbox.answer(&said);
    sandbox.say(&json!({"author": evil, "text": evil}));
    let id = sandbox.direct(evil, evil);
    sandbox.answer(&id);
    let mut printed = gateway.run.output();
    for args in [&["logs"][..], &["status"], &["health"], &["logs", "--json"]] {
        printed += &gateway.cli(args).output();
    }
    let raw = printed.chars().find(|&c| (c.is_control() && c != '\n') || c == '\u{202e}');
    assert_eq!(raw, None, "{printed:?}");
}

#[test]
fn journald_is_given_priorities_and_no_times() {
    let sandbox = Sandbox::start();
    let dir = Dir::new();
    // A file in the place of the journal: systemd names its device and inode.
    let journal = dir.0.join("journal");
    let file = std::fs::File::create(&journal).unwrap();
    let meta = file.metadata().unwrap();
    let (device, inode) = {
        use std::os::unix::fs::MetadataExt as _;
        (meta.dev(), meta.ino())
    };
    let plan = Plan::new(&dir, &sandbox.api)
        .env("JOURNAL_STREAM", &format!("{device}:{inode}"))
        .env("DISCORD_BOT_TOKEN", "bad.token");
    let mut run = plan.with_stderr(file);
    let lines = wait("the journal", PATIENCE, || {
        let text = std::fs::read_to_string(&journal).unwrap();
        text.contains("parked").then_some(text)
    });
    run.signal(Signal::TERM);
    run.exit(PATIENCE);
    assert!(lines.lines().all(|line| line.starts_with('<')), "{lines}");
    assert!(lines.contains("<6>[gateway] listening on") && lines.contains("<3>[discord] parked"));
}
