//! What is remembered of conversations: whose they are, when they end, and that a long one fits.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::harness::{Gateway, PATIENCE, Sandbox, wait};

/// A provider that says how many messages it was told before the last, and puts in short what it
/// is to put in short.
pub(crate) struct Provider {
    port: u16,
    /// The bodies of what it was asked.
    asked: Arc<Mutex<Vec<Value>>>,
}

pub(crate) const SHORT: &str = "in short they counted";

impl Provider {
    pub(crate) fn start() -> Provider {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, seen) = (stream.unwrap(), seen.clone());
                std::thread::spawn(move || drop(serve(stream, &seen)));
            }
        });
        Provider { port, asked }
    }

    pub(crate) fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }

    /// A configuration with it as the only agent, and `more` at the top.
    pub(crate) fn config(&self, more: &Value) -> String {
        let mut config = json!({
            "models": {"providers": {"here": {
                "baseUrl": format!("http://127.0.0.1:{}/v1", self.port),
                "models": [{"id": "m", "contextWindow": 2048}],
            }}},
            "agents": {"defaults": {"model": "here/m", "maxTokens": 64}},
        });
        for (key, value) in more.as_object().unwrap() {
            config[key] = value.clone();
        }
        config.to_string()
    }
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<Value>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut out = stream;
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let body: Value = serde_json::from_slice(&body).unwrap();
        let said = answer(&body);
        seen.lock().unwrap().push(body);
        let answer = json!({
            "choices": [{"message": {"role": "assistant", "content": said},
                         "finish_reason": "stop"}],
            "usage": {"prompt_tokens": length / 3, "completion_tokens": 5},
        });
        let answer = answer.to_string();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json";
        write!(out, "{head}\r\nContent-Length: {}\r\n\r\n{answer}", answer.len())?;
    }
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
    let gateway = Gateway::configured(&sandbox.api, &provider.config(more));
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
    let provider = Provider::start();
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
        gateway.dir.file("b.json5", &provider.config(&json!({"session": {"dmScope": "main"}})));
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
    let provider = Provider::start();
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
    let provider = Provider::start();
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
