//! What comes with messages besides words: agents hear of it, models that see are shown it, and
//! whatever is wrong with a file, the message is answered.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::harness::{Gateway, Sandbox};
use crate::provider::{self, Provider};

/// A picture of one point (`GIF89a`).
const DOT: &str = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";

/// A provider that answers how many pictures it was shown.
pub(crate) fn provider() -> Provider {
    Provider::start(|_, body, out| {
        let count = body["messages"].as_array().unwrap().last().unwrap()["content"]
            .as_array()
            .map_or(0, |parts| parts.iter().filter(|part| part["type"] == "image_url").count());
        provider::tell(out, &provider::said(&format!("I see {count} pictures"), 40, 10))
    })
}

/// The parts of the last question.
fn last(provider: &Provider) -> Vec<Value> {
    let asked = provider.asked();
    let messages = asked.last().unwrap()["messages"].as_array().unwrap();
    match messages.last().unwrap()["content"].clone() {
        Value::Array(parts) => parts,
        text => vec![json!({"type": "text", "text": text})],
    }
}

fn config(provider: &Provider, input: &Value) -> String {
    json!({
        "models": {"providers": {"here": {"baseUrl": provider.url(),
            "models": [{"id": "m", "input": input}]}}},
        "agents": {"defaults": {"model": "here/m"}},
    })
    .to_string()
}

/// Says something directly, with `files`; the message's id.
pub(crate) fn say(sandbox: &Sandbox, text: &str, files: &Value) -> String {
    let said = json!({"direct": true, "text": text, "files": files});
    sandbox.post("say", &said)["id"].as_str().unwrap().to_owned()
}

/// The steps that `why` tells of a message.
pub(crate) fn why(gateway: &Gateway, id: &str) -> String {
    gateway.cli(&["why", id]).output()
}

fn png() -> Value {
    json!({"name": "dot.gif", "type": "image/gif", "base64": DOT})
}

#[test]
fn a_program_is_told_of_files_and_a_picture_alone_is_a_message() {
    let sandbox = Sandbox::start();
    let script = r#"printf 'got %s' "$(sed 's/.*"name":"\([^"]*\)".*/\1/')""#;
    let config = json!({"agents": {"defaults": {"command": ["sh", "-c", script]}}}).to_string();
    let gateway = Gateway::configured(&sandbox.api, &config);
    gateway.await_channel("connected");
    let id = say(&sandbox, "", &json!([png()]));
    assert_eq!(sandbox.exactly_one_answer(&id), "got dot.gif");
    drop(gateway);
}

#[test]
fn a_model_that_sees_is_shown_pictures_and_texts_and_told_what_it_is_not_shown() {
    let (sandbox, provider) = (Sandbox::start(), provider());
    let gateway = Gateway::configured(&sandbox.api, &config(&provider, &json!(["text", "image"])));
    gateway.await_channel("connected");
    let files = json!([
        png(),
        {"name": "notes.txt", "type": "text/plain; charset=utf-8", "base64": "c2V2ZW4gc2VhbHM="},
        {"name": "zip.zip", "type": "application/zip", "base64": "UEsDBA=="},
        {"name": "no.png", "type": "image/png", "base64": "PHN2Zz4="},
        {"name": "gone.png", "type": "image/png", "base64": DOT, "manners": "gone"},
    ]);
    let id = say(&sandbox, "what is that?", &files);
    assert_eq!(sandbox.exactly_one_answer(&id), "I see 1 pictures");
    let parts = last(&provider);
    let url = parts.iter().find_map(|part| part["image_url"]["url"].as_str()).unwrap();
    assert_eq!(url, format!("data:image/gif;base64,{DOT}"));
    let text = serde_json::to_string(&parts).unwrap();
    for said in [
        "what is that?",
        "[image: dot.gif]",
        "[file: notes.txt]\\nseven seals",
        "[file: zip.zip]",
        "[image: no.png; not looked at: it makes no sense]",
        "[image: gone.png; not looked at: it is not there any more]",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    let story = why(&gateway, &id);
    assert!(story.contains("a file was not looked at: it is not there any more"), "{story}");
    // What was said before is remembered without its pictures.
    let id = say(&sandbox, "and before?", &json!([]));
    assert_eq!(sandbox.exactly_one_answer(&id), "I see 0 pictures");
    let asked = provider.asked().last().unwrap().to_string();
    assert!(asked.contains("[image: dot.gif]") && !asked.contains(DOT), "{asked}");
}

#[test]
fn whatever_is_wrong_with_a_file_the_message_is_answered() {
    let (sandbox, provider) = (Sandbox::start(), provider());
    // Nobody may be asked there: whoever connects is counted.
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = elsewhere.local_addr().unwrap().port();
    let gateway = Gateway::configured(&sandbox.api, &config(&provider, &json!(["text", "image"])));
    gateway.await_channel("connected");
    for (file, told) in [
        (json!({"url": format!("http://127.0.0.1:{port}/a.png")}), "does not lie where"),
        (json!({"url": "https://cdn.discordapp.com.evil.example/a.png"}), "does not lie where"),
        (json!({"url": "x".repeat(5000)}), "does not lie where"),
        (json!({"size": 3_000_000_000_u64}), "too large"),
        (json!({"size": 7}), "too large"),
        (json!({"base64": ""}), "nothing in it"),
    ] {
        let mut all = png();
        for (key, value) in file.as_object().unwrap() {
            all[key] = value.clone();
        }
        let id = say(&sandbox, "", &json!([all]));
        assert_eq!(sandbox.exactly_one_answer(&id), "I see 0 pictures", "{file}");
        let text = serde_json::to_string(&last(&provider)).unwrap();
        assert!(text.contains("[image: dot.gif; not looked at:") && text.contains(told), "{text}");
        assert!(why(&gateway, &id).contains(told), "{file}");
    }
    elsewhere.set_nonblocking(true).unwrap();
    assert!(elsewhere.accept().is_err(), "a foreign address was asked");
    let metrics =
        gateway.get("/metrics", &[("Authorization", &format!("Bearer {}", gateway.token()))]);
    assert!(metrics.body.contains("file_unread"), "{}", metrics.body);
}

#[test]
fn a_model_without_eyes_is_told_in_a_line() {
    let (sandbox, provider) = (Sandbox::start(), provider());
    let gateway = Gateway::configured(&sandbox.api, &config(&provider, &json!(["text"])));
    gateway.await_channel("connected");
    let id = say(&sandbox, "look", &json!([png()]));
    assert_eq!(sandbox.exactly_one_answer(&id), "I see 0 pictures");
    let text = serde_json::to_string(&last(&provider)).unwrap();
    assert!(text.contains("look") && text.contains("[image: dot.gif]"), "{text}");
    drop(gateway);
}
