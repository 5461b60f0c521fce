//! Long conversations with a provider that counts, refuses what is too long for it, and fails to
//! put things in short when it is told to.

use std::cell::RefCell;
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

use smol::Async;
use smol::io::AsyncWriteExt as _;

use super::super::tests::{http, read};
use super::super::{Setup, Voice};
use super::*;
use crate::agent::exec::tests::request;
use crate::agent::purse::Purse;
use crate::agent::store::Most;
use crate::agent::tools::Toolbox;
use crate::base::Secret;
use crate::core::answer::Answer;
use crate::core::budget::{Limits, Price};
use crate::core::turn::Fault;
use crate::proto::llm::Dialect;
use crate::rt::executor::{self, Tier};
use crate::rt::net::{Net, NetOptions};
use crate::rt::store::tests::Scratch;

/// What a provider is like.
#[derive(Clone, Copy)]
struct Nature {
    /// The longest question, in bytes of its body.
    bytes_max: usize,
    /// Whether it can put things in short.
    can_shorten: bool,
}

/// What has come of some turns.
struct Told {
    answers: Vec<Result<Answer, Fault>>,
    /// What was asked, in order.
    asked: Vec<String>,
    /// The transcript.
    lines: Vec<Line>,
}

const SHORT: &str = "they counted together";

/// An answer to a question of so many bytes, three of which make a token.
fn said(words: &str, asked: usize) -> Vec<u8> {
    let answer = serde_json::json!({
        "choices": [{"message": {"role": "assistant", "content": words}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": asked / 3, "completion_tokens": 5},
    });
    http("200 OK\r\nContent-Type: application/json", &answer.to_string()).0
}

fn is_summary(asked: &str) -> bool {
    asked.contains("You put the beginning of a chat")
}

/// An agent of this model.
fn setup(voice: Voice) -> Setup {
    Setup {
        voices: vec![voice],
        system: "Be brief.".into(),
        tokens_max: 100,
        window: None,
        temperature: None,
        limits: Limits::default(),
        tools: Toolbox::default(),
        rounds_max: 8,
        silence: None,
    }
}

/// Asks one question after another, each with its answer kept, of a model that is told to read
/// `window` tokens.
fn talk(nature: Nature, window: u64, questions: usize, bytes: usize) -> Told {
    executor::run(move |spawner| async move {
        let state = Scratch::new();
        let store = Store::open(&spawner, state.path());
        let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0)).unwrap();
        let address = listener.get_ref().local_addr().unwrap();
        let asked = Rc::new(RefCell::new(Vec::new()));
        let seen = asked.clone();
        let server = spawner.spawn(Tier::Wire, "provider", async move {
            loop {
                let mut stream_of = listener.accept().await.unwrap().0;
                let body = read(&mut stream_of).await;
                let too_long = r#"{"error": {"message": "maximum context length is 9 tokens"}}"#;
                let answer = match (body.len() > nature.bytes_max, is_summary(&body)) {
                    (true, _) => http("400 Bad Request", too_long).0,
                    (false, true) if nature.can_shorten => said(SHORT, body.len()),
                    (false, true) => http("500 Oops", "no").0,
                    (false, false) => said("yes", body.len()),
                };
                seen.borrow_mut().push(body);
                let _ = stream_of.write_all(&answer).await;
                let _ = stream_of.get_ref().shutdown(std::net::Shutdown::Both);
            }
        });
        let voice = Voice {
            name: "p/m".to_owned(),
            dialect: Dialect::OpenAi,
            url: Secret::new(&format!("http://{address}/v1")),
            key: None,
            headers: Vec::new(),
            model: "m".to_owned(),
            window: Some(window),
            sees: false,
            price: Price::default(),
        };
        let setup = setup(voice);
        let net = Net::new(&spawner, &NetOptions::default()).unwrap();
        let model = Model::new(&net, setup, Rc::new(Purse::open(state.path())));
        let mut answers = Vec::new();
        for number in 0..questions {
            let text = format!("number {number} {}", "x".repeat(bytes)).into();
            let request = Request { text, at: clock::wall(), ..request() };
            let by = clock::now() + Duration::from_secs(60);
            let answer = model.answer(&request, Some(&store), by, &|_: &str| {}).await;
            let person = request.person().unwrap();
            let header = Header::new(Key::of(&request), &Room::of(&request), "");
            let line = |who, text: &str| Line::new(clock::wall(), who, request.session, text);
            let lines = [
                line(Who::User, &request.text).by(person, "ann"),
                line(Who::Assistant, "yes").about(vec![person]),
            ];
            for line in lines {
                store.append(Said { header: header.clone(), line });
            }
            answers.push(answer);
        }
        let most = Most { conversation: request().session, lines: 10_000, bytes: usize::MAX };
        let lines = store.tail(Key::of(&request()), most).await.lines;
        drop(server);
        Told { answers, asked: asked.take(), lines }
    })
}

fn all_answered(told: &Told) -> bool {
    told.answers.iter().all(|answer| *answer == Ok(Answer::text("yes")))
}

#[test]
fn a_long_conversation_is_put_in_short_and_the_newest_is_told_in_its_words() {
    let nature = Nature { bytes_max: 100_000, can_shorten: true };
    let told = talk(nature, 2048, 60, 200);
    assert!(all_answered(&told));
    let (short, plain): (Vec<&String>, Vec<&String>) =
        told.asked.iter().partition(|asked| is_summary(asked));
    assert!((2..30).contains(&short.len()), "{} summaries", short.len());
    let last = plain.last().unwrap();
    assert!(last.contains(SHORT) && last.contains("number 59") && last.contains("number 58"));
    assert!(!last.contains("number 5 "), "{last}");
    assert!(plain.iter().all(|asked| asked.len() < 9000), "it stays short");
    let summary = told.lines.iter().rfind(|line| line.role == Who::Summary).unwrap();
    assert_eq!((&*summary.text, summary.people.len()), (SHORT, 1));
    assert!(short.last().unwrap().contains(SHORT), "a summary goes on from the one before");
}

#[test]
fn what_the_provider_finds_too_long_is_shortened_and_asked_once_more() {
    // It reads far less than the file says.
    let nature = Nature { bytes_max: 6000, can_shorten: true };
    let told = talk(nature, 100_000, 40, 200);
    assert!(all_answered(&told), "{:?}", told.answers);
    let refused = told.asked.iter().filter(|asked| asked.len() > 6000).count();
    assert!((1..10).contains(&refused), "it learns: {refused}");
}

#[test]
fn a_question_that_is_too_long_by_itself_is_excused_in_words_that_help() {
    let nature = Nature { bytes_max: 2000, can_shorten: true };
    let told = talk(nature, 16_384, 1, 5000);
    assert_eq!(told.answers, [Err(Fault::Overlong)]);
    assert!(Fault::Overlong.apology().contains("/new"));
    assert_eq!(told.asked.len(), 2, "once more, and not for ever");
}

#[test]
fn without_a_summary_the_oldest_is_left_out_and_the_model_is_told_so() {
    let nature = Nature { bytes_max: 100_000, can_shorten: false };
    let told = talk(nature, 2048, 40, 200);
    assert!(all_answered(&told), "{:?}", told.answers);
    let short = told.asked.iter().filter(|asked| is_summary(asked)).count();
    assert_eq!(short, 1, "it is not tried at every turn");
    let last = told.asked.last().unwrap();
    assert!(last.contains("older messages are left out") && last.contains("number 39"), "{last}");
    assert!(told.lines.iter().all(|line| line.role != Who::Summary));
    assert_eq!(told.lines.len(), 80, "nothing of it is lost");
}

#[test]
fn many_peoples_words_are_forgotten_with_any_of_them() {
    let channel = crate::core::chat::ChannelKind::Discord;
    let people = |count| (1..=count).map(|id| Person { channel, id }).collect::<Vec<_>>();
    let request = request();
    assert_eq!(known_people(people(3), false, &request).len(), 3);
    for (people, nameless) in [(people(100), false), (people(3), true)] {
        let known = known_people(people, nameless, &request);
        let line = Line::new(clock::wall(), Who::Summary, 0, "s").about(known);
        assert!(line.is_of_anybody());
    }
}
