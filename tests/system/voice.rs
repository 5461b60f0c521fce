//! Voice notes are listened to, and answers are spoken: with endpoints good and bad, words are
//! never lost.

use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::attachments::{say, why};
use crate::harness::{Gateway, PATIENCE, Sandbox, wait};
use crate::provider::read_request;

/// The beginning of an Ogg stream; nobody here plays it.
pub(crate) const NOTE: &str = "T2dnUwACAAAAAAAAAAA=";
const KEY: &str = "sk-voice-do-not-show";

/// The head and the body of what it was asked.
type Asked = (String, Vec<u8>);

/// Listens and speaks as it is told.
pub(crate) struct Studio {
    port: u16,
    /// The heads and bodies of what it was asked.
    asked: Arc<Mutex<Vec<Asked>>>,
    /// What it hears next; nothing for a failure.
    hears: Arc<Mutex<Option<String>>>,
}

impl Studio {
    pub(crate) fn start(hears: &str) -> Studio {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let hears = Arc::new(Mutex::new(Some(hears.to_owned())));
        let studio = Studio { port, asked: Arc::default(), hears };
        let (seen, hears) = (studio.asked.clone(), studio.hears.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, seen, hears) = (stream.unwrap(), seen.clone(), hears.clone());
                std::thread::spawn(move || drop(serve(stream, &seen, &hears)));
            }
        });
        studio
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    fn heads(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(head, _)| head.to_ascii_lowercase()).collect()
    }

    fn last(&self) -> String {
        String::from_utf8_lossy(&self.asked.lock().unwrap().last().unwrap().1).into_owned()
    }
}

fn serve(
    stream: TcpStream,
    seen: &Mutex<Vec<Asked>>,
    hears: &Mutex<Option<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut out = stream;
    while let Some((head, body)) = read_request(&mut reader)? {
        let is_speech = head.starts_with("POST /v1/audio/speech ");
        let is_asked = head.starts_with("POST /v1/audio/transcriptions ") || is_speech;
        seen.lock().unwrap().push((head, body));
        let words = hears.lock().unwrap().clone();
        let (status, answer) = match words {
            _ if !is_asked => ("404 Not Found", "{}".to_owned()),
            None => ("500 Broken", r#"{"error":{"message":"out of order"}}"#.to_owned()),
            Some(_) if is_speech => ("200 OK", "OggS and then sound".to_owned()),
            Some(words) => ("200 OK", json!({"text": format!(" {words}\n")}).to_string()),
        };
        write!(
            out,
            "HTTP/1.1 {status}\r\nContent-Type: x/y\r\nContent-Length: {}\r\n\r\n{answer}",
            answer.len()
        )?;
    }
    Ok(())
}

/// A gateway whose agent says back what it hears.
fn gateway(sandbox: &Sandbox, studio: &Studio, auto: &str, audio: &Value) -> Gateway {
    let mut audio = audio.clone();
    audio["baseUrl"] = studio.url().into();
    let config = json!({
        "tools": {"media": {"audio": audio}},
        "messages": {"tts": {"auto": auto, "maxTextLength": 100,
            "providers": {"home": {"baseUrl": studio.url(), "voice": "nova"}}}},
    });
    let gateway = Gateway::configured(&sandbox.api, &config.to_string());
    gateway.await_channel("connected");
    gateway
}

pub(crate) fn note() -> Value {
    json!({"name": "voice-message.ogg", "type": "audio/ogg", "base64": NOTE, "seconds": 2.2})
}

/// What is attached to the answer to `id`, once there is one with text.
pub(crate) fn attached(sandbox: &Sandbox, id: &str) -> Vec<Value> {
    sandbox.answer(id);
    let state = sandbox.state();
    let answers = state.messages().into_iter().filter(|message| message["reference"] == id);
    answers.flat_map(|answer| answer["attachments"].as_array().unwrap().clone()).collect()
}

#[test]
fn a_voice_note_is_heard_and_answered_by_voice_and_a_text_by_text() {
    let (sandbox, studio) = (Sandbox::start(), Studio::start("what is the tide?"));
    let audio = json!({"language": "en", "model": "whisper-1", "apiKey": KEY});
    let gateway = gateway(&sandbox, &studio, "inbound", &audio);
    let id = say(&sandbox, "", &json!([note()]));
    assert_eq!(sandbox.exactly_one_answer(&id), "[voice message] what is the tide?");
    let files = attached(&sandbox, &id);
    assert_eq!(files[0]["filename"], "answer.ogg", "{files:?}");
    assert_eq!(files[0]["size"], "OggS and then sound".len());
    let heads = studio.heads();
    assert!(heads[0].contains(&format!("authorization: bearer {KEY}")), "{heads:?}");
    assert!(heads[0].contains("content-type: multipart/form-data; boundary="), "{heads:?}");
    let form = String::from_utf8_lossy(&studio.asked.lock().unwrap()[0].1).into_owned();
    for part in
        ["whisper-1", "name=\"language\"\r\n\r\nen", "filename=\"voice-message.ogg\"", "OggS"]
    {
        assert!(form.contains(part), "{part}: {form}");
    }
    let spoken: Value = serde_json::from_str(&studio.last()).unwrap();
    assert_eq!((&spoken["voice"], &spoken["response_format"]), (&json!("nova"), &json!("opus")));
    assert_eq!(spoken["input"], "[voice message] what is the tide?");
    let story = why(&gateway, &id);
    assert!(story.contains("written down") && story.contains("spoken, too"), "{story}");
    // Who writes is answered in writing.
    let id = say(&sandbox, "and in writing?", &json!([]));
    assert_eq!(sandbox.exactly_one_answer(&id), "and in writing?");
    assert_eq!((attached(&sandbox, &id).len(), studio.heads().len()), (0, 2));
    assert!(!gateway.run.output().contains(KEY), "the key is in the log");
}

#[test]
fn whatever_fails_is_told_and_the_words_are_not_lost() {
    let (sandbox, studio) = (Sandbox::start(), Studio::start("x"));
    let gateway = gateway(&sandbox, &studio, "always", &json!({"maxSeconds": 60}));
    let long = json!({"name": "v.ogg", "type": "audio/ogg", "base64": NOTE, "seconds": 61});
    let id = say(&sandbox, "", &json!([long]));
    let answer = sandbox.exactly_one_answer(&id);
    assert!(answer.starts_with("Sorry") && answer.contains("too long for me"), "{answer}");
    assert!(why(&gateway, &id).contains("not understood: it is too long"));
    assert!(gateway.run.output().contains("a larger tools.media.audio.maxSeconds"));
    assert!(studio.heads().is_empty(), "nobody is asked about that");
    // No sound at all, whatever it says.
    let odd = json!({"name": "v.ogg", "type": "audio/ogg", "base64": "PGh0bWw+", "seconds": 1});
    let answer = sandbox.exactly_one_answer(&say(&sandbox, "", &json!([odd])));
    assert!(answer.starts_with("Sorry"), "{answer}");
    // With the endpoint out of order what is written is answered all the same, and in writing.
    *studio.hears.lock().unwrap() = None;
    let id = say(&sandbox, "well?", &json!([note()]));
    wait("both", PATIENCE, || {
        let said: Vec<String> =
            sandbox.state().answers(&id).into_iter().map(|(_, text)| text).collect();
        let said = said.join("\n");
        (said.contains("well?") && said.contains("Sorry, I could not listen")).then_some(())
    });
    let story = why(&gateway, &id);
    assert!(story.contains("refused with HTTP 500") && story.contains("not spoken"), "{story}");
    assert!(gateway.run.output().contains("out of order"), "what it says is in the log");
    let long = "word ".repeat(30);
    assert_eq!(sandbox.exactly_one_answer(&say(&sandbox, &long, &json!([]))), long.trim());
}

#[test]
fn who_listens_second_is_asked_when_the_first_fails() {
    let (sandbox, studio) = (Sandbox::start(), Studio::start("second"));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = json!({"tools": {"media": {"audio": {"models": [
        {"baseUrl": format!("http://127.0.0.1:{closed}/v1")},
        {"baseUrl": studio.url(), "model": "whisper-1"},
    ]}}}});
    let gateway = Gateway::configured(&sandbox.api, &config.to_string());
    gateway.await_channel("connected");
    let id = say(&sandbox, "", &json!([note()]));
    assert_eq!(sandbox.exactly_one_answer(&id), "[voice message] second");
    drop(gateway);
}
