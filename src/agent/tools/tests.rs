use std::collections::BTreeMap;

use super::*;
use crate::core::answer::Answer;
use crate::core::chat::sample;
use crate::rt::executor;

fn call(name: &str, input: &str) -> Call {
    Call { name: name.into(), input: input.into(), ..Call::default() }
}

fn toolbox() -> Toolbox {
    let families = vec![Family::Chat(Chat::default())];
    Toolbox::new(families, Rc::default(), Rc::new(|text| text.replace("s3cret", "***")))
}

/// What comes of `calls` of one round, in whatever order they end, and the answer that says `text`.
fn works(calls: &[Call], text: &str) -> (Vec<Outcome>, Answer) {
    let (calls, text) = (calls.to_vec(), text.to_owned());
    executor::run(move |_| async move {
        let (toolbox, request) = (toolbox(), sample::request(5, 100));
        let by = clock::now() + Duration::from_secs(60);
        let mut work = Work::new(&toolbox, &request, by);
        let count = calls.len();
        calls.into_iter().enumerate().for_each(|(number, call)| work.begin(number, call));
        let mut outcomes = BTreeMap::new();
        while outcomes.len() < count {
            let (number, outcome) = work.next().await;
            outcomes.insert(number, outcome);
        }
        (outcomes.into_values().collect(), work.answer(text))
    })
}

#[test]
fn what_tools_do_in_the_chat_comes_before_the_words_in_the_order_of_the_calls() {
    let calls = [
        call("react", r#"{"emoji":"👍"}"#),
        call("reply_in_thread", r#"{"name":"plans"}"#),
        call("reply_in_thread", r#"{"name":"again"}"#),
        call("react", r#"{"emoji":"x:1","message_id":"77"}"#),
    ];
    let (outcomes, answer) = works(&calls, "here");
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let said = Answer::text("here").acts.remove(0);
    let acts = [
        Act::React { to: None, emoji: "👍".into() },
        Act::Thread { name: "plans".into() },
        Act::React { to: Some(77), emoji: "x:1".into() },
        said,
    ];
    assert_eq!(answer.acts, acts);
}

#[test]
fn calls_that_make_no_sense_are_told_and_do_nothing() {
    let overlong = Call { is_overlong: true, ..call("react", "{}") };
    let calls = [
        call("rm -rf \u{1b}[2J", "{}"),
        call("react", "nonsense"),
        call("react", r#"{"emoji":7}"#),
        call("react", r#"{"emoji":"x","message_id":"that one"}"#),
        call("reply_in_thread", "{}"),
        overlong,
    ];
    let (outcomes, answer) = works(&calls, "");
    assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
    assert!(!outcomes[0].clone().unwrap_err().contains('\u{1b}'));
    assert_eq!(answer.acts, []);
}

#[test]
fn more_calls_than_a_turn_may_make_fail_and_none_is_lost() {
    let many = vec![call("react", r#"{"emoji":"x"}"#); 100];
    let (outcomes, _) = works(&many, "");
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 48);
}

#[test]
fn what_is_too_long_is_cut_with_a_count() {
    assert_eq!(cut("short".into()), "short");
    let long = cut("ä".repeat(TOOL_OUTPUT_BYTES_MAX));
    let left_out = format!("[{TOOL_OUTPUT_BYTES_MAX} more bytes were left out]");
    assert!(long.ends_with(&left_out), "{}", &long[long.len() - 60..]);
}
