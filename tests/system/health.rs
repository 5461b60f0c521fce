//! What monitors, scripts and our own command line are told, and who may ask.

use serde_json::{Value, json};

use crate::harness::{Gateway, PATIENCE, Sandbox, Signal, http, pause, seconds, wait};

fn connected() -> (Sandbox, Gateway) {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    (sandbox, gateway)
}

#[test]
fn liveness_startup_and_readiness_answer_under_both_names() {
    let (sandbox, gateway) = connected();
    for path in ["/health", "/healthz"] {
        let answer = gateway.get(path, &[]);
        assert_eq!((answer.status, answer.json()["ok"].clone()), (200, true.into()));
    }
    for path in ["/startup", "/startupz"] {
        let answer = gateway.get(path, &[]);
        assert_eq!(answer.status, 200);
        let body = answer.json();
        assert_eq!((&body["ok"], &body["status"]), (&json!(true), &json!("started")));
        assert!(body["version"].is_string() && body["uptimeMs"].is_u64());
    }
    for path in ["/ready", "/readyz"] {
        let answer = gateway.get(path, &[]);
        assert_eq!(answer.status, 200);
        let body = answer.json();
        assert_eq!((&body["ready"], &body["failing"]), (&json!(true), &json!([])));
    }
    sandbox.fault("refuse", json!({"cleared": true}));
    for path in ["/ready", "/readyz"] {
        wait("it to be not ready", PATIENCE, || {
            let answer = gateway.get(path, &[]);
            (answer.status == 503).then(|| assert_eq!(answer.json()["failing"], json!(["discord"])))
        });
    }
    // An outage elsewhere is no fault of the process.
    assert_eq!(gateway.get("/health", &[]).status, 200);
    assert_eq!(gateway.get("/startup", &[]).status, 200);
}

#[test]
fn health_detail_has_the_shape_that_scripts_know() {
    let (sandbox, gateway) = connected();
    let detail = || {
        let answer = gateway.get("/health/detail", &[]);
        assert_eq!(answer.status, 200, "always");
        assert!(answer.head.contains("application/json"), "{}", answer.head);
        answer.json()
    };
    assert_eq!(detail()["status"], "ok");
    assert!(detail()["uptime"].is_u64(), "whole seconds");
    assert_eq!(detail()["channels"], json!({"discord": "connected"}));
    sandbox.fault("refuse", json!({"cleared": true}));
    wait("the loss to show", PATIENCE, || {
        (detail()["channels"]["discord"] == "reconnecting").then_some(())
    });
    assert_eq!(detail()["status"], "degraded", "while the last proof is young");
    sandbox.clear();
    gateway.await_channel("connected");
    assert_eq!(detail()["status"], "ok");
}

#[test]
fn connected_rests_on_proof_of_life() {
    let (sandbox, gateway) = connected();
    let age = || gateway.status()["lastProofAge"].as_f64().unwrap();
    let rtt = || gateway.status()["heartbeat"]["rttMs"].as_f64();
    wait("an acknowledged heartbeat", PATIENCE, rtt);
    // A beat each 4 s keeps it young; silence of the people who write does not count.
    for _ in 0..8 {
        assert!(age() < 6.0, "the proof is {} s old", age());
        assert_eq!(gateway.channel(), "connected");
        pause(seconds(1));
    }
    sandbox.state().assert_clean();
}

#[test]
fn the_api_asks_for_the_token_and_the_probes_do_not() {
    let (_sandbox, gateway) = connected();
    let bearer = format!("Bearer {}", gateway.token());
    let asked = |path: &str, headers: &[(&str, &str)]| gateway.get(path, headers).status;
    for path in ["/api/status"] {
        let refused = gateway.get(path, &[]);
        assert_eq!(refused.status, 401);
        assert!(refused.body.contains("gateway.token") && refused.head.contains("bearer"));
        for wrong in ["Bearer", "Bearer x", "Basic eDp4", &bearer.to_lowercase()] {
            assert_eq!(asked(path, &[("Authorization", wrong)]), 401, "{wrong}");
        }
        assert_eq!(asked(path, &[("Authorization", &bearer)]), 200);
    }
    for path in ["/api", "/api/nothing", "/metric", "/../etc/passwd"] {
        assert_eq!(asked(path, &[("Authorization", &bearer)]), 404, "{path}");
    }
    let file = gateway.dir.0.join("state/gateway.token");
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(file).unwrap());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn browsers_that_ask_for_other_sites_are_refused() {
    let (_sandbox, gateway) = connected();
    let bearer = format!("Bearer {}", gateway.token());
    let foreign = [
        ("Host", "evil.example"),
        ("Host", "localhost.evil.example"),
        ("Host", "192.0.2.1:18789"),
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
    ];
    for header in foreign {
        for path in ["/health", "/health/detail", "/api/status"] {
            let answer = gateway.get(path, &[header, ("Authorization", &bearer)]);
            assert_eq!(answer.status, 403, "{header:?} {path}");
        }
    }
    let port = gateway.port;
    let ours = [
        ("Host", format!("localhost:{port}")),
        ("Host", format!("[::1]:{port}")),
        ("Origin", format!("http://127.0.0.1:{port}")),
    ];
    for (name, value) in &ours {
        let answer = gateway.get("/api/status", &[(name, value), ("Authorization", &bearer)]);
        assert_eq!(answer.status, 200, "{name}: {value}");
    }
    let posted = http(port, "POST /health/detail", &[], Some(&json!({}))).unwrap();
    assert_eq!(posted.status, 405);
}

#[test]
fn while_it_drains_it_is_alive_and_not_ready() {
    let sandbox = Sandbox::start();
    let config = json!({"agents": {"defaults": {"cpuMs": 3000}}});
    let mut gateway = Gateway::configured(&sandbox.api, &config.to_string());
    gateway.await_channel("connected");
    sandbox.ask("take your time");
    gateway.run.line("the agent is at work");
    gateway.run.signal(Signal::TERM);
    gateway.run.line("stopping");
    assert_eq!(gateway.get("/health", &[]).status, 200);
    assert_eq!(gateway.get("/ready", &[]).status, 503);
    let startup = gateway.get("/startup", &[]);
    assert_eq!((startup.status, startup.json()["status"].clone()), (503, "draining".into()));
    assert_eq!(gateway.run.code(), 0);
}

#[test]
fn status_and_health_tell_people_and_programs() {
    let (_sandbox, gateway) = connected();
    let status = gateway.cli(&["status"]);
    assert!(status.output().contains("discord") && status.output().contains("connected"));
    assert!(status.output().contains(&format!("process {}", gateway.run.pid())));
    let mut status = gateway.cli(&["status", "--json"]);
    assert_eq!(status.code(), 0);
    let told: Value = serde_json::from_str(&status.stdout()).unwrap();
    assert_eq!(told["pid"], gateway.run.pid());
    let discord = &told["channels"]["discord"]["accounts"]["default"];
    assert_eq!((&discord["status"], &discord["identifies"]), (&json!("connected"), &json!(1)));
    assert_eq!(discord["heartbeat"]["intervalMs"], 4000.0);
    assert!(told["thread"]["tasks"].as_array().is_some_and(|tasks| !tasks.is_empty()));
    // OpenClaw's words for the same.
    assert!(gateway.cli(&["gateway", "status"]).output().contains("connected"));
    let health = gateway.cli(&["health"]).output();
    assert!(health.contains("status") && health.contains("ok"), "{health}");
    let health = gateway.cli(&["health", "--json"]).stdout();
    let told: Value = serde_json::from_str(&health).unwrap();
    assert_eq!(told["channels"]["discord"], "connected");
}

#[test]
fn what_is_asked_of_a_gateway_that_is_not_there_ends_with_69_and_the_cure() {
    let (_sandbox, mut gateway) = connected();
    let port = gateway.port.to_string();
    gateway.stop();
    for command in ["status", "health", "logs"] {
        let mut run = gateway.cli(&[command, "--port", &port]);
        assert_eq!(run.code(), 69);
        let said = run.stderr();
        assert!(said.contains("no gateway runs on") && said.contains("barnacle gateway"), "{said}");
    }
}
