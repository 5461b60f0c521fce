//! The agent with providers of every sort, on loopback.

use std::net::TcpListener;

use serde_json::{Value, json};
use smol::Async;
use smol::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::core::budget::Limit;

use crate::rt::executor;
use crate::rt::net::NetOptions;
use crate::rt::store::tests::Scratch;

/// One that came without files.
fn request() -> Request {
    Request { attachments: Vec::new(), ..crate::agent::exec::tests::request() }
}

/// What a provider does with one request: the bytes that it answers, and whether it then goes on
/// and on without a word.
#[derive(Clone)]
pub(super) struct Play(pub(super) Vec<u8>, bool);

pub(super) fn http(head: &str, body: &str) -> Play {
    let length = body.len();
    let text = format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\n\r\n{body}");
    Play(text.into_bytes(), false)
}

/// A stream that says `words`, to its end or not.
fn stream(words: &[&str], is_whole: bool) -> Play {
    let mut text = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n".to_owned();
    for words in words {
        let chunk = json!({"choices": [{"delta": {"content": words}}]});
        let _ = write!(text, "data: {chunk}\n\n");
    }
    if is_whole {
        let usage = json!({"choices": [], "usage": {"prompt_tokens": 70, "completion_tokens": 30}});
        let end = json!({"choices": [{"delta": {}, "finish_reason": "stop"}]});
        let _ = write!(text, "data: {end}\n\ndata: {usage}\n\ndata: [DONE]\n\n");
    }
    Play(text.into_bytes(), false)
}

/// One question after another to models that do as `plays` says, each its own list; what is
/// answered, and what each model was asked.
fn ask(
    plays: Vec<Vec<Play>>,
    questions: usize,
    limits: Limits,
    deadline: Duration,
) -> (Vec<Result<Answer, Fault>>, Vec<Vec<String>>) {
    executor::run(move |spawner| async move {
        let state = Scratch::new();
        let mut voices = Vec::new();
        let seen = Rc::new(RefCell::new(vec![Vec::new(); plays.len()]));
        let mut servers = Vec::new();
        for (place, plays) in plays.into_iter().enumerate() {
            let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0)).unwrap();
            let address = listener.get_ref().local_addr().unwrap();
            voices.push(Voice {
                name: format!("p/m{place}"),
                dialect: Dialect::OpenAi,
                url: Secret::new(&format!("http://{address}/v1/")),
                key: Some(Secret::new("s3cret")),
                headers: vec![("X-Team".to_owned(), Secret::new("t"))],
                model: format!("m{place}"),
                window: None,
                price: Price { input: 1, cached: 0, output: 2 },
                sees: false,
            });
            let seen = seen.clone();
            servers.push(spawner.spawn(Tier::Wire, "provider", async move {
                let mut open = Vec::new();
                for Play(answer, is_open) in plays {
                    let mut stream = listener.accept().await.unwrap().0;
                    let asked = read(&mut stream).await;
                    seen.borrow_mut()[place].push(asked);
                    let _ = stream.write_all(&answer).await;
                    if !is_open {
                        let _ = stream.get_ref().shutdown(std::net::Shutdown::Both);
                    }
                    open.push(stream);
                }
                std::future::pending::<()>().await;
            }));
        }
        let net = Net::new(&spawner, &NetOptions::default()).unwrap();
        let setup = Setup {
            voices,
            system: "Be brief.".into(),
            tokens_max: 50,
            window: None,
            temperature: None,
            limits,
            tools: Toolbox::default(),
            rounds_max: 8,
            silence: None,
        };
        let model = Model::new(&net, setup, Rc::new(Purse::open(state.path())));
        let mut answers = Vec::new();
        for _ in 0..questions {
            let by = clock::now() + deadline;
            let answer =
                clock::timeout(by + deadline, model.answer(&request(), None, by, &|_: &str| {}))
                    .await;
            answers.push(answer.expect("the turn keeps its own deadline"));
        }
        let seen = seen.borrow().clone();
        (answers, seen)
    })
}

/// A request with its body.
pub(super) async fn read(stream: &mut Async<std::net::TcpStream>) -> String {
    let mut bytes = Vec::new();
    let mut missing = usize::MAX;
    while missing > 0 {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        bytes.push(byte[0]);
        missing -= 1;
        if bytes.ends_with(b"\r\n\r\n") && missing > usize::MAX / 2 {
            let head = String::from_utf8_lossy(&bytes).to_lowercase();
            let length = head.split("content-length: ").nth(1).expect("a length");
            missing = length.split("\r\n").next().unwrap().parse().unwrap();
        }
    }
    String::from_utf8(bytes).unwrap()
}

const PATIENCE: Duration = Duration::from_secs(60);

fn answered(plays: Vec<Vec<Play>>) -> (Result<Answer, Fault>, Vec<Vec<String>>) {
    let (mut answers, seen) = ask(plays, 1, Limits::default(), PATIENCE);
    (answers.remove(0), seen)
}

#[test]
fn the_model_is_asked_as_its_provider_wants_and_its_words_are_the_answer() {
    let (answer, seen) = answered(vec![vec![stream(&["Good", " morning."], true)]]);
    assert_eq!(answer, Ok(Answer::text("Good morning.")));
    let (head, body) = seen[0][0].split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(head.starts_with("post /v1/chat/completions http/1.1"), "{head}");
    assert!(head.contains("authorization: bearer s3cret") && head.contains("x-team: t"), "{head}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&body["model"], &body["stream"]), (&json!("m0"), &json!(true)));
    let system = body["messages"][0]["content"].as_str().unwrap();
    assert!(system.starts_with("Be brief."), "{system}");
    let text = request().text;
    assert!(body["messages"][1]["content"].as_str().unwrap().ends_with(&*text));
}

#[test]
fn whatever_a_provider_does_the_next_one_is_asked() {
    let limited = r#"{"error": {"message": "slow down", "type": "rate_limit_error"}}"#;
    for first in [
        http("429 Too Many Requests\r\nRetry-After: 3600", limited),
        http("500 Oh", "oh"),
        http("200 OK\r\nContent-Type: text/html", "<html>"),
        http("401 No", r#"{"error": {"code": "invalid_api_key"}}"#),
        stream(&["Half of"], false),
        stream(&[], false),
        Play(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {]\n\n".into(),
            true,
        ),
        Play(Vec::new(), false),
        Play(b"garbage\r\n\r\n".into(), false),
    ] {
        let shown = String::from_utf8_lossy(&first.0).into_owned();
        let (answer, seen) = answered(vec![vec![first], vec![stream(&["Here."], true)]]);
        assert_eq!(answer, Ok(Answer::text("Here.")), "{shown}");
        assert_eq!((seen[0].len(), seen[1].len()), (1, 1), "{shown}");
    }
}

#[test]
fn a_model_that_rests_is_not_asked_again_and_one_that_answers_is() {
    let slow = http("429 Too Many Requests\r\nRetry-After: 600", "{}");
    let here = || stream(&["Here."], true);
    let plays = vec![vec![slow], vec![here(), here(), here()]];
    let (answers, seen) = ask(plays, 3, Limits::default(), PATIENCE);
    assert!(answers.iter().all(|answer| *answer == Ok(Answer::text("Here."))), "{answers:?}");
    assert_eq!((seen[0].len(), seen[1].len()), (1, 3));
}

#[test]
fn a_document_is_an_answer_and_a_tool_that_is_not_there_is_told() {
    let document = json!({"choices": [{"message": {"content": "Whole."}}]});
    let call = json!({"choices": [{"finish_reason": "tool_calls", "message": {"tool_calls": [
        {"id": "c", "function": {"name": "rm", "arguments": "{}"}}]}}]});
    let json = "200 OK\r\nContent-Type: application/json";
    let plays = vec![http(json, &call.to_string()), http(json, &document.to_string())];
    let (answer, seen) = answered(vec![plays]);
    // It ends without a reason, so that it may have been cut.
    assert_eq!(answer, Err(Fault::Unreachable));
    assert!(seen[0][1].contains("there is no tool called rm"), "{}", seen[0][1]);
}

#[test]
fn silence_ends_at_the_turns_deadline_where_there_is_nobody_else() {
    let silent = Play(Vec::new(), true);
    let (answers, _) = ask(vec![vec![silent]], 1, Limits::default(), Duration::from_millis(300));
    assert_eq!(answers, [Err(Fault::TooSlow)]);
}

#[test]
fn what_is_used_up_is_refused_and_nobody_is_asked() {
    let here = || stream(&["Here."], true);
    let limits = Limits {
        chat: Limit { tokens: Some(150), money: None },
        all: Limit { tokens: None, money: Some(1000) },
    };
    let (answers, seen) = ask(vec![vec![here(), here(), here()]], 3, limits, PATIENCE);
    let said = Ok(Answer::text("Here."));
    assert_eq!(answers, [said.clone(), said, Err(Fault::Spent)]);
    assert_eq!(seen[0].len(), 2);
}
