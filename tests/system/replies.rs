//! What is said to the bot is answered: once, in order, whole, and only where it was meant.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Gateway, PATIENCE, Sandbox, State, pause, seconds};

/// Discord's limit on a message.
const CHARS_MAX: usize = 2000;

fn connected() -> (Sandbox, Gateway) {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    (sandbox, gateway)
}

/// Waits until the message after which all others must have been looked at is answered.
fn settle(sandbox: &Sandbox) {
    sandbox.answer(&sandbox.ask("that was all"));
    pause(seconds(1));
}

#[test]
fn mentions_and_direct_messages_are_answered_and_nothing_else() {
    let (sandbox, gateway) = connected();
    let mention = sandbox.ask("hello");
    let direct = sandbox.direct("ben", "psst");
    let between_people = sandbox.say(&json!({"text": "did you hear that?"}));
    let of_another = sandbox.say(&json!({"text": "<@123456789012345678> hello"}));
    settle(&sandbox);
    let state = sandbox.state();
    assert_eq!(state.answers(&mention)[0].1, "hello");
    assert_eq!(state.answers(&direct)[0].1, "psst");
    for id in [between_people, of_another] {
        assert_eq!(state.answers(&id), [], "that was not for us");
    }
    // Said once for each reason, with what it would take.
    let line = gateway.run.line("is not answered");
    assert!(line.contains("it does not name us"), "{line}");
    state.assert_clean();
}

#[test]
fn a_mention_without_words_and_a_reply_to_us_do_no_harm() {
    let (sandbox, mut gateway) = connected();
    let empty = sandbox.ask("");
    let first = sandbox.ask("say something");
    sandbox.answer(&first);
    let state = sandbox.state();
    let is_answer = |message: &&&Value| message["reference"] == first.as_str();
    let ours = state.messages().iter().find(is_answer).unwrap()["id"].clone();
    sandbox.say(&json!({"text": "thank you", "reference": ours}));
    settle(&sandbox);
    assert_eq!(sandbox.state().answers(&empty), []);
    assert!(gateway.run.is_running());
}

#[test]
fn bots_and_ourselves_are_ignored() {
    let (sandbox, gateway) = connected();
    // Another bot, logged in beside ours, names it, and answers everybody who names itself.
    let other = Gateway::connected(&sandbox);
    let bots: Vec<Value> = sandbox.state().0["bots"].as_array().unwrap().clone();
    let ids: Vec<&str> = bots.iter().map(|bot| bot["id"].as_str().unwrap()).collect();
    let text = format!("<@{}> and <@{}>, talk to each other", ids[0], ids[1]);
    let id = sandbox.say(&json!({"text": text}));
    sandbox
        .until("both to answer", PATIENCE, |state| (state.answers(&id).len() >= 2).then_some(()));
    // Each has now been named by the other, and has heard itself.
    pause(seconds(3));
    let state = sandbox.state();
    assert_eq!(state.answers(&id).len(), 2);
    let by_bots = state.messages().iter().filter(|message| message["bot"] == true).count();
    assert_eq!(by_bots, 2, "they talk to each other");
    for one in [&gateway, &other] {
        assert_eq!(one.status()["messages"]["notAnswered"]["own"], 1);
        assert_eq!(one.status()["messages"]["notAnswered"]["bot"], 1);
    }
}

#[test]
fn the_configuration_says_who_is_answered() {
    let sandbox = Sandbox::start();
    let discord = json!({"dmPolicy": "disabled", "groupPolicy": "open"});
    let config = json!({"channels": {"discord": discord}});
    let gateway = Gateway::configured(&sandbox.api, &config.to_string());
    gateway.await_channel("connected");
    let direct = sandbox.direct("ann", "psst");
    let group = sandbox.say(&json!({"text": "anybody?", "author": "ben"}));
    assert_eq!(sandbox.answer(&group), "anybody?");
    settle(&sandbox);
    assert_eq!(sandbox.state().answers(&direct), []);
    let line = gateway.run.line("is not answered");
    assert!(line.contains("direct messages are switched off"), "{line}");
    assert_eq!(gateway.status()["messages"]["notAnswered"]["dms_disabled"], 1);
}

#[test]
fn the_order_of_each_chat_is_kept() {
    let (sandbox, _gateway) = connected();
    let people = ["ann", "ben", "cleo"];
    let asked: Vec<(String, String, String)> = (0..8)
        .flat_map(|n| people.map(|author| (author, format!("{author} {n}"))))
        .map(|(author, text)| (author.to_owned(), sandbox.direct(author, &text), text))
        .collect();
    for (_, id, text) in &asked {
        assert_eq!(&sandbox.answer(id), text);
    }
    let state = sandbox.state();
    for channel in state.0["channels"].as_array().unwrap() {
        let messages = channel["messages"].as_array().unwrap();
        let said = |bot: bool| -> Vec<&str> {
            let of = messages.iter().filter(|message| message["bot"] == bot);
            of.map(|message| message["content"].as_str().unwrap()).collect()
        };
        assert_eq!(said(true), said(false), "answers follow in the order of the questions");
    }
    state.assert_clean();
}

#[test]
fn a_long_reply_is_split_at_2000_characters_and_loses_nothing() {
    let (sandbox, _gateway) = connected();
    let words: Vec<String> = (0..700).map(|n| format!("wörd{n}")).collect();
    let text = words.join(" ");
    assert!(text.chars().count() > 2 * CHARS_MAX);
    let id = sandbox.direct("ann", &text);
    let parts = |state: &State| -> Vec<String> {
        let by_bot = |message: &&&Value| message["bot"] == true;
        let messages = state.messages();
        let parts = messages.iter().filter(by_bot);
        parts.map(|message| message["content"].as_str().unwrap().to_owned()).collect()
    };
    let whole = sandbox.until("all parts", PATIENCE, |state| {
        let parts = parts(state);
        (parts.iter().flat_map(|part| part.split_whitespace()).count() == words.len())
            .then_some(parts)
    });
    assert!(whole.len() >= 3 && whole.iter().all(|part| part.chars().count() <= CHARS_MAX));
    let said: Vec<&str> = whole.iter().flat_map(|part| part.split_whitespace()).collect();
    assert_eq!(said, words, "in order, no word cut or lost");
    // The first part points at the question; the others follow it.
    assert_eq!(sandbox.state().answers(&id).len(), 1);
    let state = sandbox.state();
    let nonces: BTreeSet<&str> =
        state.messages().iter().filter_map(|message| message["nonce"].as_str()).collect();
    assert_eq!(nonces.len(), whole.len(), "each part has a nonce of its own");
}

#[test]
fn whatever_rest_does_a_message_is_answered_exactly_once() {
    let faults = [
        ("rest-500", json!({"count": 3})),
        ("rest-502", json!({"count": 1})),
        ("rest-hang", json!({})),
        ("rest-cut", json!({"count": 3})),
        ("rest-429", json!({"count": 2})),
        ("rest-429-global", json!({"count": 1})),
        ("rest-429-html", json!({"count": 1})),
        ("rest-429-shared", json!({"count": 2})),
        ("rest-429-bare", json!({"count": 2})),
        ("rest-403-html", json!({"count": 1})),
        ("rest-502-html", json!({"count": 2})),
        ("rest-401", json!({"count": 1})),
    ];
    std::thread::scope(|scope| {
        for (fault, args) in faults {
            scope.spawn(move || {
                let (sandbox, _gateway) = connected();
                sandbox.fault(fault, args);
                let id = sandbox.ask(fault);
                assert_eq!(sandbox.exactly_one_answer(&id), fault);
                let state = sandbox.state();
                // That the server itself knew the second copy is what made it one.
                let copies = state.after(0, "deduplicated").len();
                assert_eq!(copies > 0, fault == "rest-cut", "{copies} copies");
                state.assert_clean();
            });
        }
    });
}

#[test]
fn one_chat_that_hangs_holds_up_no_other() {
    let (sandbox, _gateway) = connected();
    sandbox.fault("rest-hang", json!({}));
    let stuck = sandbox.direct("ann", "into the void");
    sandbox.until("the fault", PATIENCE, |state| state.after(0, "played").pop());
    let asked = sandbox.state().ms();
    let other = sandbox.direct("ben", "and me?");
    let (at, _) = sandbox.until("ben's answer", PATIENCE, |state| state.answers(&other).pop());
    assert!(at - asked < 4000, "it took {} ms", at - asked);
    // The call that hangs is given up after 15 s, and made again.
    sandbox.exactly_one_answer(&stuck);
}

#[test]
fn a_chat_sees_that_somebody_is_at_work() {
    let sandbox = Sandbox::start();
    let config = json!({"agents": {"defaults": {"cpuMs": 2000}}});
    let gateway = Gateway::configured(&sandbox.api, &config.to_string());
    gateway.await_channel("connected");
    let no_content = || sandbox.state().0["rest"]["204"].as_u64().unwrap_or(0);
    let before = no_content();
    let id = sandbox.ask("hm?");
    // Typing is the only call of ours that is answered by 204.
    sandbox.until("a sign of typing", PATIENCE, |state| {
        (state.0["rest"]["204"].as_u64() > Some(before)).then_some(())
    });
    assert_eq!(sandbox.state().answers(&id), [], "before the answer");
    sandbox.exactly_one_answer(&id);
}

#[test]
fn an_agent_that_takes_too_long_is_excused_and_the_next_turn_comes() {
    let sandbox = Sandbox::start();
    let config = json!({"agents": {"defaults": {"cpuMs": 4000, "timeout": 1}}});
    let gateway = Gateway::configured(&sandbox.api, &config.to_string());
    gateway.await_channel("connected");
    let id = sandbox.ask("what is the question?");
    let answer = sandbox.exactly_one_answer(&id);
    assert!(!answer.contains("question") && !answer.is_empty(), "{answer}");
    gateway.run.line("the agent took too long");
}

#[test]
fn too_many_messages_at_once_are_counted_and_the_rest_answered() {
    let sandbox = Sandbox::start();
    let config = json!({"agents": {"defaults": {"cpuMs": 200}}});
    let gateway = Gateway::configured(&sandbox.api, &config.to_string());
    gateway.await_channel("connected");
    let ids: Vec<String> = (0..40).map(|n| sandbox.direct("ann", &format!("{n}"))).collect();
    gateway.run.line("too many messages are waiting");
    let dropped = || gateway.status()["messages"]["notAnswered"]["busy"].as_u64().unwrap();
    sandbox.until("each to be answered or counted", PATIENCE, |state| {
        let answered = ids.iter().filter(|id| state.answers(id).len() == 1).count();
        (answered as u64 + dropped() == ids.len() as u64).then_some(())
    });
    assert!(dropped() > 0);
}
