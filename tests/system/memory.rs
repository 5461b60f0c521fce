//! What is remembered of conversations: whose they are, when they end, and that a long one fits.

use serde_json::{Value, json};

use crate::harness::{Gateway, PATIENCE, Sandbox, wait};
use crate::provider::{self, Provider};

pub(crate) const SHORT: &str = "in short they counted";

/// A provider that says how many messages it was told before the last, and puts in short what it
/// is to put in short.
pub(crate) fn provider() -> Provider {
    Provider::start(|_, body, out| {
        provider::tell(out, &provider::said(&answer(body), body.to_string().len() / 3, 5))
    })
}

/// A configuration with it as the only agent, and `more` at the top.
pub(crate) fn config(provider: &Provider, more: &Value) -> String {
    let mut config = json!({
        "models": {"providers": {"here": {
            "baseUrl": provider.url(),
            "models": [{"id": "m", "contextWindow": 2048}],
        }}},
        "agents": {"defaults": {"model": "here/m", "maxTokens": 64}},
    });
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    config.to_string()
}

pub(crate) fn is_summary(body: &Value) -> bool {
    body["messages"][0]["content"].as_str().is_some_and(|text| text.starts_with("You put"))
}

fn answer(body: &Value) -> String {
    if is_summary(body) {
        return SHORT.to_owned();
    }
    let messages = body["messages"].as_array().unwrap();
    let last = messages.last().unwrap()["content"].clone();
    let last = last.as_str().unwrap_or_else(|| last[0]["text"].as_str().unwrap()).to_owned();
    let first = last.split_whitespace().take(3).collect::<Vec<_>>().join(" ");
    format!("heard {first} after {}", messages.len() - 2)
}

fn gateway(provider: &Provider, more: &Value) -> (Sandbox, Gateway) {
    let sandbox = Sandbox::start();
    let gateway = Gateway::configured(&sandbox.api, &config(provider, more));
    gateway.await_channel("connected");
    (sandbox, gateway)
}

fn keys(gateway: &Gateway) -> Vec<String> {
    let listed = gateway.cli(&["sessions", "--json"]);
    let listed: Value = serde_json::from_str(&listed.stdout()).unwrap();
    let rows = listed["sessions"].as_array().unwrap();
    rows.iter().map(|row| row["key"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn whose_conversation_it_is_the_file_says_and_orders_are_about_that_one() {
    let provider = provider();
    let (sandbox, mut gateway) =
        gateway(&provider, &json!({"session": {"groupScope": "per-sender"}}));
    let say = |author: &str, text: &str| {
        let fields = json!({"text": text, "mention": true, "author": author});
        sandbox.answer(&sandbox.say(&fields))
    };
    assert!(say("7", "one").ends_with("after 0"));
    assert!(say("8", "one").ends_with("after 0"), "another person's");
    assert!(say("7", "two").ends_with("after 2"));
    assert!(say("8", "/new").contains("new conversation"));
    assert!(say("8", "two").ends_with("after 0"));
    assert!(say("7", "three").ends_with("after 4"), "this one went on");
    let status = say("7", "/status");
    assert!(status.contains(":user:7") && status.contains("here/m"), "{status}");
    assert!(say("8", "/status").contains("somebody asked for it"));
    assert!(keys(&gateway).iter().all(|key| key.contains(":user:")), "{:?}", keys(&gateway));
    gateway.stop();
    // The direct messages of two people in one.
    let file =
        gateway.dir.file("b.json5", &config(&provider, &json!({"session": {"dmScope": "main"}})));
    assert!(!file.is_empty());
    gateway.again();
    gateway.await_channel("connected");
    let direct = |author: &str, text: &str| sandbox.answer(&sandbox.direct(author, text));
    assert!(direct("7", "alpha").ends_with("after 0"));
    let heard = direct("8", "beta");
    assert!(heard.ends_with("after 2"), "{heard}");
    let told = provider.asked().pop().unwrap()["messages"].to_string();
    assert!(told.contains(": alpha") && told.contains(": beta"), "each is named: {told}");
    assert!(keys(&gateway).contains(&"agent:main:main".to_owned()));
}

#[test]
fn a_long_conversation_is_put_in_short_and_goes_on_over_a_restart() {
    let provider = provider();
    let (sandbox, mut gateway) = gateway(&provider, &json!({}));
    let words = "word ".repeat(60);
    for number in 0..16 {
        let text = format!("number {number} {words}");
        let answer = sandbox.answer(&sandbox.direct("7", &text));
        assert!(answer.starts_with(&format!("heard number {number}")), "{answer}");
    }
    let (short, plain): (Vec<Value>, Vec<Value>) =
        provider.asked().into_iter().partition(is_summary);
    assert!(!short.is_empty(), "nothing was put in short");
    let told = plain.last().unwrap()["messages"].to_string();
    assert!(told.contains(SHORT) && told.contains("number 15") && !told.contains("number 1 "));
    gateway.run.kill();
    gateway.again();
    gateway.await_channel("connected");
    sandbox.answer(&sandbox.direct("7", "and now?"));
    let told = provider.asked().pop().unwrap()["messages"].to_string();
    assert!(told.contains(SHORT) && told.contains("number 14"), "{told}");
    let said = sandbox.answer(&sandbox.direct("7", "/compact"));
    assert!(said.contains("in short now"), "{said}");
    sandbox.answer(&sandbox.direct("7", "still there?"));
    let after = provider.asked().pop().unwrap()["messages"].to_string();
    assert!(after.len() < told.len() && after.contains(SHORT), "{after}");
    let status = sandbox.answer(&sandbox.direct("7", "/status"));
    assert!(status.contains(" % of the"), "{status}");
}

#[test]
fn a_conversation_that_was_silent_is_over_and_why_says_so() {
    let provider = provider();
    let reset = json!({"session": {"reset": {"mode": "idle", "idleMinutes": 1}}});
    let (sandbox, gateway) = gateway(&provider, &reset);
    assert!(sandbox.answer(&sandbox.direct("7", "one")).ends_with("after 0"));
    assert!(sandbox.answer(&sandbox.direct("7", "two")).ends_with("after 2"));
    // A minute passes.
    crate::harness::pause(crate::harness::seconds(62));
    let asked = sandbox.direct("7", "three");
    assert!(sandbox.answer(&asked).ends_with("after 0"));
    let why = wait("the story", PATIENCE, || {
        let why = gateway.cli(&["why", &asked]).stdout();
        why.contains("a new conversation began").then_some(why)
    });
    assert!(why.contains("nobody had said anything for a while"), "{why}");
    let status = sandbox.answer(&sandbox.direct("7", "/status"));
    assert!(status.contains("nobody had said anything for a while"), "{status}");
}
