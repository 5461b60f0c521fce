//! A thousand chats, each with a conversation of its own with a language model: what is kept of
//! them is bounded, in memory and on the disk.

use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Gateway, PATIENCE, Sandbox, wait};
use crate::models::provider;

const CHATS: usize = 1000;
/// Said at once: fewer than are dealt with at a time.
const BATCH: usize = 50;
/// What may come on top while eight hundred chats are new, in KiB: some 10 KiB for each.
const GROWTH_KIB_MAX: u64 = 8 * 1024;
/// What may be kept on the disk, in bytes: some 8 KiB for each chat.
const STATE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// The bytes of all files below `dir`.
fn size(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(about) if about.is_dir() => size(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    };
    entries.map(of).sum()
}

/// The bytes of every file of the state, the largest first.
fn largest(dir: &Path) -> Vec<(u64, String)> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut all: Vec<(u64, String)> = entries
        .map(|entry| {
            let path = entry.path();
            let bytes =
                if path.is_dir() { size(&path) } else { entry.metadata().map_or(0, |m| m.len()) };
            (bytes, entry.file_name().to_string_lossy().into_owned())
        })
        .collect();
    all.sort_unstable_by(|a, b| b.cmp(a));
    all.truncate(6);
    all
}

#[test]
fn a_thousand_chats_stay_within_bounds_in_memory_and_on_the_disk() {
    let (sandbox, provider) = (Sandbox::start(), provider());
    let config = json!({
        "models": {"providers": {"here": {"baseUrl": provider.url(), "apiKey": "sk-thousand"}}},
        "agents": {"defaults": {"model": "here/first"}},
        "channels": {"discord": {"dmPolicy": "open"}},
    });
    let gateway = Gateway::with(&sandbox.api, |dir, plan| {
        plan.level("info").env("BARNACLE_CONFIG", &dir.file("b.json5", &config.to_string()))
    });
    gateway.await_channel("connected");
    let state = gateway.dir.0.join("state");
    let mut marks = Vec::new();
    for batch in 0..CHATS / BATCH {
        let chats = batch * BATCH..(batch + 1) * BATCH;
        let messages: Vec<Value> = chats
            .map(|chat| {
                let text = format!("hello from chat {chat}, {}", "and more ".repeat(10));
                json!({"direct": true, "author": format!("person-{chat}"), "text": text})
            })
            .collect();
        sandbox.post("many", &json!({"messages": messages}));
        let wanted = (batch + 1) * BATCH;
        wait("the answers of a batch", PATIENCE, || {
            let state = sandbox.state();
            let bots = state.messages().iter().filter(|m| m["bot"] == true).count();
            (bots >= wanted).then_some(())
        });
        marks.push((gateway.run.memory_kib("VmRSS"), size(&state)));
    }
    let (early, last) = (marks[CHATS / BATCH / 5 - 1], marks[marks.len() - 1]);
    println!(
        "KiB resident after 200 chats {}, after {CHATS} {} (most {}); state {} and {}; {:?}",
        early.0,
        last.0,
        gateway.run.memory_kib("VmHWM"),
        early.1,
        last.1,
        largest(&state),
    );
    let messages = sandbox.state();
    let answers = messages.messages().iter().filter(|m| m["bot"] == true).count();
    assert_eq!(answers, CHATS, "each once");
    assert!(last.0 <= early.0 + GROWTH_KIB_MAX, "{marks:?}");
    assert!(last.1 <= STATE_BYTES_MAX, "{marks:?}");
    // The first of all is still known by what it said.
    let id = sandbox.direct("person-0", "again");
    let answer = sandbox.answer(&id);
    assert!(answer.contains("heard again after 2"), "{answer}");
}
