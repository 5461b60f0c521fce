//! Agents that are language models, with providers good and bad: every message has an answer or an
//! apology, the conversation is remembered, nothing costs more than it may, and the heartbeats are
//! on time throughout.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Gateway, PATIENCE, Sandbox, millis, wait};
use crate::provider::Provider;

/// How late a heartbeat may come on a machine that is busy with other tests, too.
const LATE_MAX: Duration = Duration::from_secs(1);
const KEY: &str = "sk-test-do-not-show";

/// A provider that does what the last message says.
pub(crate) fn provider() -> Provider {
    Provider::start(|_, body, out| {
        let last = body["messages"].as_array().unwrap().last().unwrap()["content"].clone();
        let last = last.as_str().unwrap_or_else(|| last[0]["text"].as_str().unwrap()).to_owned();
        play(&last, body, out)
    })
}

const STREAM: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";

fn play(last: &str, body: &Value, out: &mut TcpStream) -> std::io::Result<()> {
    let is_second = body["model"] == "second";
    let word = last.split_whitespace().next().unwrap_or_default();
    match word {
        "limited" if !is_second => {
            let body = r#"{"error": {"message": "slow down", "type": "rate_limit_error"}}"#;
            write!(
                out,
                "HTTP/1.1 429 Too Many\r\nRetry-After: 1\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        }
        "broken" if !is_second => {
            write!(out, "HTTP/1.1 502 Bad\r\nContent-Length: 4\r\n\r\noops")
        }
        "cut" if !is_second => {
            write!(out, "{STREAM}{}", said("Half of"))?;
            out.shutdown(std::net::Shutdown::Both)
        }
        "garbage" => write!(out, "{STREAM}data: {{]\n\n"),
        "types" => write!(out, "{STREAM}data: {{\"choices\": 7}}\n\n"),
        "endless" => loop {
            write!(out, "{STREAM}{}", said(&"word ".repeat(200)))?;
        },
        "line" => {
            write!(out, "{STREAM}data: ")?;
            out.write_all(&vec![b'x'; 10_000_000])
        }
        "hang" => {
            out.write_all(STREAM.as_bytes())?;
            let _ = out.read(&mut [0]);
            Ok(())
        }
        _ => {
            let count = body["messages"].as_array().unwrap().len();
            let answer =
                format!("{} heard {last} after {}", body["model"].as_str().unwrap(), count - 2);
            out.write_all(STREAM.as_bytes())?;
            for piece in answer.split_inclusive(' ') {
                out.write_all(said(piece).as_bytes())?;
            }
            let usage = json!({"choices": [], "usage":
                {"prompt_tokens": 40, "completion_tokens": 10}});
            let end = json!({"choices": [{"delta": {}, "finish_reason": "stop"}]});
            write!(out, "data: {end}\n\ndata: {usage}\n\ndata: [DONE]\n\n")?;
            out.shutdown(std::net::Shutdown::Both)
        }
    }
}

fn said(words: &str) -> String {
    format!("data: {}\n\n", json!({"choices": [{"delta": {"content": words}}]}))
}

/// A gateway whose agent asks the provider, first `first` and then `second`.
fn with_models(defaults: &Value) -> (Sandbox, Gateway, Provider) {
    let provider = provider();
    let sandbox = Sandbox::with(&["--heartbeat", "1000"]);
    let mut defaults = defaults.clone();
    defaults["model"] = json!({"primary": "here/first", "fallbacks": ["here/second"]});
    let config = json!({
        "models": {"providers": {"here": {"baseUrl": provider.url(), "apiKey": KEY,
            "models": [{"id": "first", "cost": {"input": 100, "output": 100}}]}}},
        "agents": {"defaults": defaults},
    });
    let gateway = Gateway::configured(&sandbox.api, &config.to_string());
    gateway.await_channel("connected");
    (sandbox, gateway, provider)
}

#[test]
fn a_conversation_is_remembered_over_a_restart_and_new_begins_another() {
    let (sandbox, mut gateway, provider) = with_models(&json!({"systemPrompt": "Be a parrot."}));
    let ask = |text: &str| sandbox.exactly_one_answer(&sandbox.direct("7", text));
    assert_eq!(ask("one"), "first heard one after 0");
    assert_eq!(ask("two"), "first heard two after 2");
    gateway.stop();
    gateway.again();
    gateway.await_channel("connected");
    assert_eq!(ask("three"), "first heard three after 4");
    let new = ask("/new");
    assert!(!new.is_empty());
    assert_eq!(ask("four"), "first heard four after 0");
    let asked = provider.asked();
    let head = &provider.heads()[0];
    assert!(head.contains(&format!("authorization: bearer {KEY}")), "{head}");
    let system = asked[0]["messages"][0]["content"].as_str().unwrap();
    assert!(system.starts_with("Be a parrot."), "{system}");
    let output = gateway.run.output();
    assert!(!output.contains(KEY), "the key is in the log: {output}");
}

#[test]
fn whatever_a_provider_does_there_is_an_answer_or_an_apology_and_the_heart_beats() {
    let (sandbox, gateway, _provider) = with_models(&json!({"timeout": 4}));
    for text in ["limited", "broken", "cut"] {
        let answer = sandbox.exactly_one_answer(&sandbox.direct("7", text));
        assert!(answer.starts_with("second heard"), "{text}: {answer}");
        // Until the first is fresh again.
        crate::harness::pause(millis(2100));
    }
    for text in ["garbage", "types", "endless", "line", "hang"] {
        let answer = sandbox.exactly_one_answer(&sandbox.direct("7", text));
        // What was seen of an answer before it grew too long is not taken back.
        let is_seen = text == "endless" && answer.starts_with("word");
        assert!(answer.starts_with("Sorry") || is_seen, "{text}: {answer}");
        // Both models rest, a little longer after each failure; the same words would be taken for
        // the same message.
        let mut tries = 0;
        wait("an answer", PATIENCE, || {
            tries += 1;
            let answer = sandbox.answer(&sandbox.direct("7", &format!("well {text} {tries}")));
            answer.contains("heard").then_some(())
        });
    }
    let late = millis(sandbox.state().number("/heartbeats/late_ms_max"));
    assert!(late < LATE_MAX, "heartbeats were {late:?} late");
    sandbox.state().assert_clean();
    // In a server the model is told who speaks.
    let answer = sandbox.answer(&sandbox.ask("hello"));
    assert!(answer.contains("heard ann: hello"), "{answer}");
    drop(gateway);
}

#[test]
fn what_may_be_spent_is_spent_and_no_more_over_a_restart_neither() {
    // The first costs 50 tokens at 100 for a million: 0.005 an answer.
    let budget = json!({"budget": {"day": {"money": 0.009}}});
    let (sandbox, mut gateway, provider) = with_models(&budget);
    let ask = |text: &str| sandbox.exactly_one_answer(&sandbox.direct("7", text));
    assert!(ask("one").contains("heard one"));
    assert!(ask("two").contains("heard two"));
    assert!(ask("three").contains("used up"));
    gateway.stop();
    gateway.again();
    gateway.await_channel("connected");
    assert!(ask("four").contains("used up"));
    assert_eq!(provider.asked().len(), 2);
}
