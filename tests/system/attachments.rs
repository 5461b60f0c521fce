//! What comes with messages besides words: agents hear of it, models that see are shown it, and
//! whatever is wrong with a file, the message is answered.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::harness::{Gateway, Sandbox};

/// A picture of one point (`GIF89a`).
const DOT: &str = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";

/// A provider that answers how many pictures and lines it was shown.
pub(crate) struct Provider {
    pub(crate) port: u16,
    /// What it was asked.
    pub(crate) asked: Arc<Mutex<Vec<Value>>>,
}

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

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// The parts of the last question.
    fn last(&self) -> Vec<Value> {
        let asked = self.asked.lock().unwrap();
        let content =
            asked.last().unwrap()["messages"].as_array().unwrap().last().unwrap()["content"]
                .clone();
        match content {
            Value::Array(parts) => parts,
            text => vec![json!({"type": "text", "text": text})],
        }
    }
}

/// Reads one request: its head and its body.
pub(crate) fn read_request(
    reader: &mut impl BufRead,
) -> std::io::Result<Option<(String, Vec<u8>)>> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some((head, body)))
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<Value>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut out = stream;
    while let Some((_, body)) = read_request(&mut reader)? {
        let body: Value = serde_json::from_slice(&body).unwrap();
        let count = body["messages"].as_array().unwrap().last().unwrap()["content"]
            .as_array()
            .map_or(0, |parts| parts.iter().filter(|part| part["type"] == "image_url").count());
        seen.lock().unwrap().push(body);
        let text = format!("I see {count} pictures");
        let answer = json!({"choices": [{"message": {"role": "assistant", "content": text},
            "finish_reason": "stop"}], "usage": {"prompt_tokens": 40, "completion_tokens": 10}})
        .to_string();
        write!(
            out,
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n\
             {answer}",
            answer.len()
        )?;
    }
    Ok(())
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
    let (sandbox, provider) = (Sandbox::start(), Provider::start());
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
    let parts = provider.last();
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
    let asked = provider.asked.lock().unwrap().last().unwrap().to_string();
    assert!(asked.contains("[image: dot.gif]") && !asked.contains(DOT), "{asked}");
}

#[test]
fn whatever_is_wrong_with_a_file_the_message_is_answered() {
    let (sandbox, provider) = (Sandbox::start(), Provider::start());
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
        let text = serde_json::to_string(&provider.last()).unwrap();
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
    let (sandbox, provider) = (Sandbox::start(), Provider::start());
    let gateway = Gateway::configured(&sandbox.api, &config(&provider, &json!(["text"])));
    gateway.await_channel("connected");
    let id = say(&sandbox, "look", &json!([png()]));
    assert_eq!(sandbox.exactly_one_answer(&id), "I see 0 pictures");
    let text = serde_json::to_string(&provider.last()).unwrap();
    assert!(text.contains("look") && text.contains("[image: dot.gif]"), "{text}");
    drop(gateway);
}
