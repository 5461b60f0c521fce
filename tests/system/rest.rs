//! What Discord's REST refuses, and what that costs: the call, the chat for a while, nothing else.

use serde_json::json;

use crate::harness::{Gateway, PATIENCE, Sandbox, pause, seconds};

/// The ids of the sandbox's first two channels.
const GENERAL: &str = "900000000000000010";

/// Answers of REST with this status.
fn answered(sandbox: &Sandbox, status: &str) -> u64 {
    sandbox.state().0["rest"][status].as_u64().unwrap_or(0)
}

#[test]
fn a_closed_chat_costs_one_call_and_no_other_chat_anything() {
    for (fault, status) in [("rest-403", "403"), ("rest-403-access", "403"), ("rest-404", "404")] {
        let sandbox = Sandbox::start();
        let gateway = Gateway::connected(&sandbox);
        sandbox.fault(fault, json!({"cleared": true, "channel": GENERAL}));
        let lost: Vec<String> = (0..6).map(|n| sandbox.ask(&format!("{n}"))).collect();
        let other =
            sandbox.say(&json!({"text": "and here?", "channel": "random", "mention": true}));
        assert_eq!(sandbox.exactly_one_answer(&other), "and here?", "{fault}");
        sandbox.until("the refusal", PATIENCE, |_| (answered(&sandbox, status) > 0).then_some(()));
        pause(seconds(1));
        assert_eq!(answered(&sandbox, status), 1, "{fault}: each call costs an invalid request");
        let line = gateway.run.line("not tried again for");
        assert!(line.contains(GENERAL), "{line}");
        sandbox.clear();
        // The pause is over after a few seconds; what is said then is answered.
        pause(seconds(6));
        let id = sandbox.ask("again?");
        assert_eq!(sandbox.exactly_one_answer(&id), "again?", "{fault}");
        let state = sandbox.state();
        assert!(lost.iter().all(|id| state.answers(id).is_empty()), "{fault}: final is final");
        state.assert_clean();
    }
}

#[test]
fn a_refused_message_costs_only_itself() {
    let sandbox = Sandbox::start();
    let _gateway = Gateway::connected(&sandbox);
    sandbox.fault("rest-400", json!({}));
    let refused = sandbox.ask("odd");
    let next = sandbox.ask("plain");
    assert_eq!(sandbox.exactly_one_answer(&next), "plain");
    assert_eq!(sandbox.state().answers(&refused), []);
    sandbox.state().assert_clean();
}

#[test]
fn half_of_the_answers_cut_at_random_leave_each_message_once_and_in_order() {
    let sandbox = Sandbox::start();
    let _gateway = Gateway::connected(&sandbox);
    sandbox.fault("rest-cut-random", json!({"percent": 50}));
    let ids: Vec<(String, String)> = ["ann", "ben", "cleo"]
        .iter()
        .flat_map(|author| (0..3).map(move |n| (*author, format!("{author} {n}"))))
        .map(|(author, text)| (sandbox.direct(author, &text), text))
        .collect();
    for (id, text) in &ids {
        assert_eq!(&sandbox.exactly_one_answer(id), text);
    }
    let state = sandbox.state();
    assert!(!state.after(0, "deduplicated").is_empty(), "no answer was cut");
    for channel in state.0["channels"].as_array().unwrap() {
        let messages = channel["messages"].as_array().unwrap();
        let said = |bot: bool| -> Vec<&str> {
            let of = messages.iter().filter(|message| message["bot"] == bot);
            of.map(|message| message["content"].as_str().unwrap()).collect()
        };
        assert_eq!(said(true), said(false));
    }
    state.assert_clean();
}

#[test]
fn a_limit_that_is_not_ours_does_not_count_against_us() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    sandbox.fault("rest-429-shared", json!({"count": 3}));
    let id = sandbox.ask("slowly");
    assert_eq!(sandbox.exactly_one_answer(&id), "slowly");
    assert!(gateway.run.line("rate limited (shared)").contains("/messages"));
}
