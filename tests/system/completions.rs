//! The door for clients of another protocol: agents answer there like everywhere, in its words, and
//! whoever goes away ends the turn.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use serde_json::{Value, json};

use crate::attachments::provider;
use crate::harness::{Answer, Gateway, PATIENCE, Sandbox, http, wait};

fn gateway(sandbox: &Sandbox, more: &Value) -> Gateway {
    let mut config = more.clone();
    config["gateway"]["http"]["endpoints"]["chatCompletions"]["enabled"] = true.into();
    Gateway::configured(&sandbox.api, &config.to_string())
}

fn post(gateway: &Gateway, body: &Value, headers: &[(&str, &str)]) -> Answer {
    let bearer = format!("Bearer {}", gateway.token());
    let mut all = vec![("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
    all.extend(headers);
    http(gateway.port, "POST /v1/chat/completions", &all, Some(body)).expect("an answer")
}

fn asks(text: &str) -> Value {
    json!({"model": "barnacle", "messages": [{"role": "user", "content": text}]})
}

/// The events of a stream.
fn events(answer: &Answer) -> Vec<Value> {
    assert!(answer.head.contains("content-type: text/event-stream"), "{}", answer.head);
    assert!(answer.body.contains("data: [DONE]"), "{}", answer.body);
    let events = answer.body.lines().filter_map(|line| line.strip_prefix("data: "));
    events.filter_map(|event| serde_json::from_str(event).ok()).collect()
}

/// What a stream says.
fn words(events: &[Value]) -> String {
    let words = events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str());
    words.collect()
}

#[test]
fn the_door_is_closed_until_it_is_opened_and_asks_for_the_token() {
    let sandbox = Sandbox::start();
    let closed = Gateway::start(&sandbox.api);
    let answer = post(&closed, &asks("hi"), &[]);
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains("chatCompletions.enabled"), "{}", answer.body);
    drop(closed);
    let gateway = gateway(&sandbox, &json!({}));
    let ask = |key: &str| {
        let header = [("Authorization", key)];
        http(gateway.port, "POST /v1/chat/completions", &header, Some(&asks("hi"))).unwrap()
    };
    let refused = ask("Bearer wrong");
    assert_eq!(
        (refused.status, &refused.json()["error"]["code"]),
        (401, &json!("invalid_api_key"))
    );
    // Whoever guesses is locked out here as everywhere.
    let locked =
        wait("a lockout", PATIENCE, || Some(ask("Bearer wrong")).filter(|a| a.status == 429));
    assert_eq!(locked.json()["error"]["type"], "rate_limit_error");
    assert!(locked.head.contains("retry-after:"), "{}", locked.head);
}

#[test]
fn agents_are_models_and_answer_whole_or_in_pieces() {
    let sandbox = Sandbox::start();
    let agents = json!({"agents": {"entries": {
        "main": {"default": true}, "helper": {"command": ["echo", "helped"]},
    }}});
    let gateway = gateway(&sandbox, &agents);
    let bearer = format!("Bearer {}", gateway.token());
    let models = gateway.get("/v1/models", &[("Authorization", &bearer)]).json();
    let ids: Vec<&str> = models["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["barnacle", "barnacle/main", "barnacle/helper"]);
    let answer = post(&gateway, &asks("hello there"), &[]);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let body = answer.json();
    assert_eq!(body["choices"][0]["message"]["content"], "hello there");
    assert_eq!((&body["object"], &body["model"]), (&json!("chat.completion"), &json!("barnacle")));
    let mut stream = asks("piece by piece");
    stream["stream"] = true.into();
    stream["stream_options"] = json!({"include_usage": true});
    let events = events(&post(&gateway, &stream, &[]));
    assert_eq!(words(&events), "piece by piece");
    assert_eq!(events.last().unwrap()["usage"]["total_tokens"], 0);
    for (model, header, said) in [
        ("barnacle/helper", "", "helped"),
        ("openclaw:helper", "", "helped"),
        ("barnacle", "helper", "helped"),
    ] {
        let mut body = asks("x");
        body["model"] = model.into();
        let answer = post(&gateway, &body, &[("x-openclaw-agent-id", header)]);
        assert_eq!(answer.json()["choices"][0]["message"]["content"], said, "{model}");
    }
    let mut unknown = asks("x");
    unknown["model"] = "gpt-9".into();
    let answer = post(&gateway, &unknown, &[]);
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (404, &json!("model_not_found")));
    let answer = post(&gateway, &json!({"messages": 7}), &[]);
    assert_eq!(
        (answer.status, &answer.json()["error"]["type"]),
        (400, &json!("invalid_request_error"))
    );
    let story = gateway.cli(&["why"]).output();
    assert!(story.matches("by operator").count() > 4, "{story}");
}

#[test]
fn a_user_has_a_conversation_and_who_names_none_has_a_new_one_each_time() {
    let (sandbox, provider) = (Sandbox::start(), provider());
    let gateway = gateway(
        &sandbox,
        &json!({
            "models": {"providers": {"here": {"baseUrl": provider.url(),
                "models": [{"id": "m", "input": ["text", "image"],
                            "cost": {"input": 100, "output": 100}}]}}},
            "agents": {"defaults": {"model": "here/m", "budget": {"day": {"money": 0.019}}}},
        }),
    );
    let ask = |text: &str, user: Option<&str>| {
        let mut body = asks(text);
        if let Some(user) = user {
            body["user"] = user.into();
        }
        post(&gateway, &body, &[])
    };
    let heard = || provider.asked().last().unwrap()["messages"].to_string();
    let first = ask("my name is ann", Some("ann@example.org")).json();
    assert_eq!(first["usage"]["total_tokens"], 50, "{first}");
    ask("what is it?", Some("ann@example.org"));
    assert!(heard().contains("my name is ann"), "{}", heard());
    ask("and mine?", None);
    assert!(!heard().contains("my name is ann"), "{}", heard());
    let dot = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";
    let look = json!({"messages": [{"role": "user", "content": [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": dot}}]}]});
    let seen = post(&gateway, &look, &[]).json();
    assert_eq!(seen["choices"][0]["message"]["content"], "I see 1 pictures", "{seen}");
    assert!(!heard().contains("and mine?"), "{}", heard());
    // What may be spent is spent here, too.
    let spent = ask("one more?", None);
    assert_eq!((spent.status, &spent.json()["error"]["code"]), (429, &json!("insufficient_quota")));
    assert!(spent.head.contains("x-should-retry: false"), "{}", spent.head);
}

#[test]
fn who_goes_away_ends_the_turn() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::with(&sandbox.api, |dir, plan| {
        let work = dir.0.join("work");
        std::fs::create_dir(&work).unwrap();
        let config = json!({
            "gateway": {"http": {"endpoints": {"chatCompletions": {"enabled": true}}}},
            "agents": {"defaults": {"workspace": work, "command":
                ["sh", "-c", "echo $$ > new && mv new pid; exec sleep 600"]}},
        });
        plan.env("BARNACLE_CONFIG", &dir.file("b.json5", &config.to_string()))
    });
    let file = gateway.dir.0.join("work/pid");
    for is_stream in [false, true] {
        let mut body = asks("sleep");
        body["stream"] = is_stream.into();
        let body = body.to_string();
        let mut client = TcpStream::connect(("127.0.0.1", gateway.port)).unwrap();
        write!(
            client,
            "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            gateway.token(),
            body.len()
        )
        .unwrap();
        let pid = wait("the program", PATIENCE, || std::fs::read_to_string(&file).ok());
        std::fs::remove_file(&file).unwrap();
        let process = Path::new("/proc").join(pid.trim());
        assert!(process.exists());
        drop(client);
        wait("its end", PATIENCE, || (!process.exists()).then_some(()));
    }
    wait("a story", PATIENCE, || {
        gateway.cli(&["why"]).output().contains("a person has stopped it").then_some(())
    });
}

#[test]
fn what_is_too_large_or_cut_is_no_question() {
    let sandbox = Sandbox::start();
    let gateway = gateway(&sandbox, &json!({}));
    let answer = post(&gateway, &asks(&"x".repeat(40_000)), &[]);
    assert_eq!(answer.json()["error"]["code"], "context_length_exceeded");
    let answer = post(&gateway, &asks(&"x".repeat(1_100_000)), &[]);
    assert_eq!(answer.status, 413);
    let mut client = TcpStream::connect(("127.0.0.1", gateway.port)).unwrap();
    write!(
        client,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {}\r\n\
         Content-Length: 100\r\n\r\n{{\"messages\"",
        gateway.token()
    )
    .unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    let _ = client.read_to_end(&mut rest);
    assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
    assert_eq!(post(&gateway, &asks("still there?"), &[]).status, 200);
}
