//! Other people's clients in our sandbox: what our bot talks to is what theirs talk to.
//!
//! They are installed by `tests/run`, or by hand:
//! `npm ci --ignore-scripts --no-audit --no-fund --prefix tests/system/peers`.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Gateway, Run, Sandbox};

/// The discord.js bot: it prints what it sees as lines of JSON.
struct Peer(Run);

impl Peer {
    fn start(sandbox: &Sandbox, role: &str, env: &[(&str, &str)]) -> Peer {
        let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/system/peers");
        let installed = room.join("node_modules/discord.js");
        assert!(installed.is_dir(), "discord.js is not installed: `tests/run system` does that");
        let mut command = Command::new("node");
        command.arg(room.join("discordjs.mjs")).arg(role).current_dir(&room);
        // It adds the version itself.
        command.env("DISCORD_API_URL", sandbox.api.trim_end_matches("/v10"));
        command.env("DISCORD_BOT_TOKEN", "peer.token").env("PEER_SECONDS", "60");
        command.envs(env.iter().copied());
        Peer(Run::of(command, format!("discord.js {role}")))
    }

    /// Waits for a line with `key`.
    fn told(&self, key: &str) -> Value {
        serde_json::from_str(&self.0.line(&format!("\"{key}\":"))).unwrap()
    }
}

#[test]
fn discord_js_sees_the_person_that_ours_sees_and_the_reply_of_ours() {
    let sandbox = Sandbox::start();
    let ours = Gateway::connected(&sandbox);
    let me = sandbox.state().bot()["id"].as_str().unwrap().to_owned();
    let mut peer = Peer::start(&sandbox, "watch", &[("PEER_EXPECT", "that was all")]);
    assert_eq!(peer.told("ready")["guilds"].as_array().map(Vec::len), Some(1));
    let asked = format!("<@{me}> good morning, both");
    let id = sandbox.say(&json!({"text": asked, "author": "ben"}));
    assert_eq!(sandbox.exactly_one_answer(&id), "good morning, both");
    sandbox.say(&json!({"text": "that was all", "author": "ben"}));
    let done = peer.told("done");
    assert_eq!((peer.0.code(), &done["done"]), (0, &json!(true)), "{done}");
    let [question, answer, _] = &done["seen"].as_array().unwrap()[..] else { panic!("{done}") };
    assert_eq!((&question["id"], &question["content"]), (&json!(id), &json!(asked)));
    assert_eq!((&question["bot"], &answer["bot"]), (&json!(false), &json!(true)));
    assert_eq!((&answer["author"], &answer["reference"]), (&json!(me), &json!(id)));
    assert_eq!(answer["content"], "good morning, both");
    assert_eq!(ours.status()["events"]["unreadable"], 0);
    assert_eq!(sandbox.state().0["violations"], json!([]));
}

#[test]
fn a_bot_by_discord_js_talks_with_ours_where_bots_are_let_in_and_only_when_it_names_ours() {
    let sandbox = Sandbox::start();
    let config = "{channels: {discord: {allowBots: 'mentions', groupPolicy: 'open', \
                  dmPolicy: 'open', requireMention: false}}}";
    let ours = Gateway::configured(&sandbox.api, config);
    ours.await_channel("connected");
    let me = sandbox.state().bot()["id"].as_str().unwrap().to_owned();
    let mut peer = Peer::start(&sandbox, "talk", &[("PEER_WITH", &me), ("PEER_ROUNDS", "5")]);
    let done = peer.told("done");
    assert_eq!((peer.0.code(), &done["done"]), (0, &json!(true)), "{done}");
    let seen = done["seen"].as_array().unwrap();
    let said: Vec<&str> = seen.iter().map(|message| message["content"].as_str().unwrap()).collect();
    let expected: Vec<String> = (1..=5)
        .flat_map(|round| [format!("<@{me}> round {round}"), format!("round {round}")])
        .collect();
    assert_eq!(said, expected, "each heard each other once, in turn");
    // What ours says is heard by ours too, and named nobody: that is where it ends.
    let drops = &ours.status()["messages"]["notAnswered"];
    assert_eq!((&drops["own"], &drops["bot"]), (&json!(5), &Value::Null), "{drops}");
    assert_eq!(sandbox.state().0["violations"], json!([]));
}

#[test]
fn discord_js_answers_people_in_the_sandbox_as_ours_does() {
    let sandbox = Sandbox::start();
    let mut peer = Peer::start(&sandbox, "echo", &[]);
    peer.told("ready");
    let id = sandbox.ask("hello");
    assert_eq!(sandbox.exactly_one_answer(&id), "echo: hello");
    sandbox.fault("drop", json!({}));
    peer.told("resumed");
    assert_eq!(sandbox.answer(&sandbox.direct("ann", "psst")), "echo: psst");
    peer.0.end_input();
    assert_eq!(peer.told("done")["done"], true);
    assert_eq!(peer.0.code(), 0);
    assert_eq!(sandbox.state().0["violations"], json!([]));
}
