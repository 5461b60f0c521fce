//! Turns of language models as people see them: shown while they are written, joined or waited for
//! by what is said meanwhile, and answered once whatever ends the process.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Gateway, PATIENCE, Sandbox, State, millis, now, pause, seconds, wait};
use crate::provider::Provider;

/// How late a heartbeat may come on a machine that is busy with other tests, too.
const LATE_MAX: Duration = Duration::from_secs(1);
/// What an answer ends with that is not complete.
const MORE: &str = "\u{2026}";
/// Between two words of a slow answer.
const PACE: Duration = Duration::from_millis(40);

/// A provider that does what the last message says.
fn provider() -> Provider {
    Provider::start(|_, body, out| play(body, out))
}

/// The texts of a message, whatever form they have.
fn texts(message: &Value) -> Vec<String> {
    match &message["content"] {
        Value::String(text) => vec![text.clone()],
        Value::Array(parts) => {
            parts.iter().filter_map(|part| part["text"].as_str()).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// What people have said since the last answer, and whether a tool was asked.
fn question(body: &Value) -> (Vec<String>, bool) {
    let messages = body["messages"].as_array().cloned().unwrap_or_default();
    let is_answer =
        |message: &Value| message["role"] == "assistant" && message["tool_calls"].is_null();
    let from = messages.iter().rposition(is_answer).map_or(0, |at| at + 1);
    let since = messages.get(from..).unwrap_or_default();
    let said = since.iter().filter(|message| message["role"] == "user").flat_map(texts);
    (said.collect(), since.iter().any(|message| message["role"] == "tool"))
}

fn chunk(choice: &Value) -> String {
    format!("data: {}\n\n", json!({"choices": [choice]}))
}

fn play(body: &Value, mut out: &TcpStream) -> std::io::Result<()> {
    let (said, has_tool) = question(body);
    let all = said.join(" | ").replace('\n', " | ");
    let last = said.last().cloned().unwrap_or_default();
    let mut words = last.lines().last().unwrap_or_default().split_whitespace();
    let verb = words.next().unwrap_or_default().to_owned();
    let count: usize = words.next().and_then(|count| count.parse().ok()).unwrap_or(10);
    write!(out, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")?;
    let mut say = |word: &str| -> std::io::Result<()> {
        out.write_all(chunk(&json!({"delta": {"content": word}})).as_bytes())
    };
    let is_tool = said.iter().any(|text| text.starts_with("tool"));
    if is_tool && !has_tool {
        say("Let me look that up, which takes a moment or two. ")?;
        pause(millis(2000));
        let call = json!({"index": 0, "id": "c1", "type": "function",
            "function": {"name": "nothing_of_that_name", "arguments": "{}"}});
        out.write_all(chunk(&json!({"delta": {"tool_calls": [call]}})).as_bytes())?;
        let end = json!({"delta": {}, "finish_reason": "tool_calls"});
        write!(out, "{}data: [DONE]\n\n", chunk(&end))?;
        return out.shutdown(Shutdown::Both);
    }
    if matches!(verb.as_str(), "slow" | "hang" | "cut") {
        for at in 0..count {
            say(&format!("w{at} "))?;
            pause(PACE);
        }
    }
    match verb.as_str() {
        "cut" => return out.shutdown(Shutdown::Both),
        "hang" => {
            let mut out = out;
            let _ = out.read(&mut [0]);
            return Ok(());
        }
        _ => say(&format!("end of [{all}]"))?,
    }
    write!(out, "{}data: [DONE]\n\n", chunk(&json!({"delta": {}, "finish_reason": "stop"})))?;
    out.shutdown(Shutdown::Both)
}

/// A gateway whose agent asks the provider, with `more` in its file.
fn with(defaults: &Value, more: &Value) -> (Sandbox, Gateway, Provider) {
    let provider = provider();
    let sandbox = Sandbox::with(&["--heartbeat", "1000"]);
    let mut defaults = defaults.clone();
    defaults["model"] = "here/one".into();
    let url = provider.url();
    let mut config = json!({
        "models": {"providers": {"here": {"baseUrl": url, "apiKey": "sk-test"}}},
        "agents": {"defaults": defaults},
    });
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    let gateway = Gateway::configured(&sandbox.api, &config.to_string());
    gateway.await_channel("connected");
    (sandbox, gateway, provider)
}

/// What the bot says in answer to `id`, whatever it is.
fn said(state: &State, id: &str) -> Vec<String> {
    state.answers(id).into_iter().map(|(_, text)| text).collect()
}

/// Waits until something unfinished is said to `id`; what it is.
fn beginning(sandbox: &Sandbox, id: &str) -> String {
    sandbox.until("the beginning of an answer", PATIENCE, |state| {
        said(state, id).pop().filter(|text| text.ends_with(MORE))
    })
}

/// Waits until `count` messages answer `id`, none of which is unfinished.
fn whole(sandbox: &Sandbox, id: &str, count: usize) -> Vec<String> {
    let what = format!("a whole answer to {id}");
    sandbox.until(&what, PATIENCE, |state| {
        let said = said(state, id);
        (said.len() >= count && said.iter().all(|text| !text.ends_with(MORE))).then_some(said)
    });
    pause(millis(1500));
    said(&sandbox.state(), id)
}

#[test]
fn an_answer_is_shown_while_it_is_written_and_is_one_message_in_the_end() {
    let (sandbox, _gateway, _provider) = with(&json!({}), &json!({}));
    let id = sandbox.direct("7", "slow 90");
    let start = now();
    let begun = beginning(&sandbox, &id);
    assert!(begun.starts_with("w0 "), "{begun}");
    // While its text is not there yet, and longer than before after a while.
    let more = sandbox.until("more of it", PATIENCE, |state| {
        said(state, &id).pop().filter(|text| text.len() > begun.len())
    });
    assert!(more.ends_with(MORE) || start.elapsed() > PACE * 90, "{more}");
    let said = whole(&sandbox, &id, 1);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].ends_with("w89 end of [slow 90]"), "{said:?}");
    sandbox.state().assert_clean();
}

#[test]
fn what_is_too_long_for_one_message_goes_on_in_others() {
    let config = json!({"channels": {"discord": {"textChunkLimit": 100, "replyToMode": "all"}}});
    let (sandbox, _gateway, _provider) = with(&json!({}), &config);
    let id = sandbox.direct("7", "slow 60");
    let begun = beginning(&sandbox, &id);
    assert!(begun.len() <= 110, "{begun}");
    let said = whole(&sandbox, &id, 3);
    let all = said.join(" ");
    let words: Vec<String> = (0..60).map(|at| format!("w{at}")).collect();
    assert_eq!(all, format!("{} end of [slow 60]", words.join(" ")), "{said:?}");
}

#[test]
fn a_turn_that_breaks_off_says_so_after_what_it_had_said() {
    let (sandbox, gateway, _provider) = with(&json!({"timeout": 4}), &json!({}));
    for (text, end) in [("cut 40", "Sorry"), ("hang 40", "Sorry")] {
        let id = sandbox.direct("7", text);
        let said = whole(&sandbox, &id, 1);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with("w0 ") && said[0].contains(end), "{text}: {said:?}");
    }
    let id = sandbox.direct("7", "slow 100");
    beginning(&sandbox, &id);
    sandbox.direct("7", "/stop");
    let said = whole(&sandbox, &id, 1);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("w0 ") && said[0].ends_with("*(stopped)*"), "{said:?}");
    // Nobody is said to be typing any more.
    let typing = sandbox.state().after(0, "typing").len();
    pause(seconds(10));
    assert_eq!(sandbox.state().after(0, "typing").len(), typing);
    drop(gateway);
}

#[test]
fn without_streaming_nothing_is_shown_before_it_is_whole() {
    let config = json!({"channels": {"discord": {"streaming": {"mode": "off"}}}});
    let (sandbox, _gateway, _provider) = with(&json!({}), &config);
    let id = sandbox.direct("7", "slow 50");
    let said = sandbox.answer(&id);
    assert!(said.ends_with("end of [slow 50]"), "{said}");
}

/// What `why` says of a message.
fn why(gateway: &Gateway, id: &str) -> String {
    gateway.cli(&["why", id]).output()
}

#[test]
fn a_model_that_works_hears_what_is_said_meanwhile_once() {
    let config = json!({"messages": {"queue": {"mode": "steer"}}});
    let (sandbox, gateway, provider) = with(&json!({}), &config);
    let first = sandbox.direct("7", "tool first");
    wait("the question", PATIENCE, || (provider.asked().len() == 1).then_some(()));
    let second = sandbox.direct("7", "and this");
    let answer = whole(&sandbox, &first, 1);
    assert_eq!(answer.len(), 1, "{answer:?}");
    assert!(answer[0].contains("end of [tool first | and this]"), "{answer:?}");
    assert!(said(&sandbox.state(), &second).is_empty());
    let story = why(&gateway, &second);
    assert!(story.contains("has heard it") && story.contains(&first), "{story}");
    // What comes too late for that has an answer of its own.
    let third = sandbox.direct("7", "slow 40");
    beginning(&sandbox, &third);
    let fourth = sandbox.direct("7", "too late");
    assert!(whole(&sandbox, &third, 1)[0].ends_with("end of [slow 40]"));
    let answer = whole(&sandbox, &fourth, 1);
    assert!(answer.len() == 1 && answer[0] == "end of [too late]", "{answer:?}");
}

#[test]
fn the_next_message_breaks_a_turn_off_where_it_may_and_is_answered_with_it() {
    let config = json!({"messages": {"queue": {"byChannel": {"discord": "interrupt"}}}});
    let (sandbox, gateway, _provider) = with(&json!({}), &config);
    let first = sandbox.direct("7", "slow 200");
    beginning(&sandbox, &first);
    let second = sandbox.direct("7", "rather this");
    let answer = whole(&sandbox, &second, 1);
    assert_eq!(answer, ["end of [slow 200 | rather this]"]);
    let left = whole(&sandbox, &first, 1);
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(left[0].ends_with("*(interrupted)*"), "{left:?}");
    let story = why(&gateway, &first);
    assert!(story.contains("broken off") && story.contains(&second), "{story}");
}

#[test]
fn what_waited_has_one_answer_where_it_is_collected_and_bursts_are_one_message() {
    let config = json!({"messages": {"queue": {"mode": "collect"}}});
    let (sandbox, gateway, _provider) = with(&json!({}), &config);
    let first = sandbox.direct("7", "slow 40");
    beginning(&sandbox, &first);
    let ids = ["one", "two", "three"].map(|text| sandbox.direct("7", text));
    assert_eq!(whole(&sandbox, &ids[2], 1), ["end of [one | two | three]"]);
    for id in &ids[..2] {
        assert!(said(&sandbox.state(), id).is_empty());
        let story = why(&gateway, id);
        assert!(story.contains("waited with others") && story.contains(&ids[2]), "{story}");
    }
    drop(gateway);
    drop(sandbox);
    let config = json!({"messages": {"inbound": {"debounceMs": 1500}}});
    let (sandbox, gateway, _provider) = with(&json!({}), &config);
    let ids = ["one", "two", "three"].map(|text| sandbox.direct("7", text));
    let order = now();
    let status = sandbox.direct("7", "/status");
    sandbox.answer(&status);
    let took = order.elapsed();
    assert_eq!(whole(&sandbox, &ids[2], 1), ["end of [one | two | three]"]);
    println!("an order in the midst of a burst took {took:?}");
    assert!(why(&gateway, &ids[0]).contains("went on at once"));
}

/// Kills the process at moments of turns that follow from `seed`, each time with turns of several
/// chats under way, and looks at what is there in the end.
fn killed(seed: u64, rounds: u64, end: impl Fn(&mut Gateway)) {
    let (sandbox, mut gateway, _provider) = with(&json!({}), &json!({}));
    let mut ids = Vec::new();
    let mut state = seed;
    let mut random = |below: u64| {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for round in 0..rounds {
        for author in ["7", "8", "9"] {
            let verb = ["slow 25", "tool", "quick", "slow 60"][usize::try_from(random(4)).unwrap()];
            ids.push(sandbox.direct(author, &format!("{verb} {round}{author}")));
            pause(millis(random(250)));
        }
        pause(millis(random(2500)));
        end(&mut gateway);
        gateway.again();
    }
    for id in &ids {
        let what = format!("the answer to {id} after all");
        sandbox.until(&what, PATIENCE * 2, |state| {
            let said = said(state, id);
            (said.len() == 1 && !said[0].ends_with(MORE)).then_some(())
        });
    }
    pause(seconds(2));
    let state = sandbox.state();
    for id in &ids {
        let said = said(&state, id);
        assert_eq!(said.len(), 1, "{id}: {said:?}");
        let is_whole = said[0].contains("end of [") || said[0].contains("Sorry");
        assert!(is_whole && !said[0].ends_with(MORE), "{id}: {said:?}");
    }
    assert_eq!(state.0["violations"], json!([]));
}

#[test]
fn a_process_that_is_killed_at_any_moment_answers_each_message_once() {
    killed(0x5eed_1001, 6, |gateway| gateway.run.kill());
}

#[test]
fn a_process_that_is_told_to_end_in_mid_turn_answers_each_message_once() {
    killed(0x5eed_2002, 2, |gateway| {
        gateway.stop();
    });
}

#[test]
fn a_first_part_that_was_shown_before_the_power_went_is_completed_and_not_repeated() {
    let (sandbox, mut gateway, _provider) = with(&json!({}), &json!({}));
    let id = sandbox.direct("7", "slow 60");
    beginning(&sandbox, &id);
    gateway.again();
    // The same message goes on.
    let said = whole(&sandbox, &id, 1);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].ends_with("end of [slow 60]"), "{said:?}");
    // Twice more, and it is excused in the same place.
    let id = sandbox.direct("8", "hang 30");
    for _ in 0..2 {
        beginning(&sandbox, &id);
        pause(seconds(1));
        gateway.again();
    }
    let said = whole(&sandbox, &id, 1);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("broke down"), "{said:?}");
}

#[test]
fn heartbeats_are_on_time_while_models_talk_hang_and_are_shown() {
    let (sandbox, gateway, _provider) = with(&json!({"timeout": 8}), &json!({}));
    let ids: Vec<String> = (1..=6)
        .map(|author| {
            let verb = if author % 2 == 0 { "hang 60" } else { "slow 150" };
            sandbox.direct(&author.to_string(), verb)
        })
        .collect();
    for id in &ids {
        let said = whole(&sandbox, id, 1);
        assert_eq!(said.len(), 1, "{said:?}");
    }
    let late = millis(sandbox.state().number("/heartbeats/late_ms_max"));
    let own = gateway.status()["heartbeat"]["lateMaxMs"].as_f64().unwrap();
    let own = Duration::from_secs_f64(own / 1000.0);
    println!("{late:?} late at most; by our own count {own:?}");
    assert!(late < LATE_MAX && own < LATE_MAX);
    assert_eq!(sandbox.state().after(0, "resume").len(), 0);
    sandbox.state().assert_clean();
}
