//! What a model is told of transcripts.

use super::*;
use crate::agent::exec::tests::request;
use crate::agent::store::Said;
use crate::core::person::Person;
use crate::core::transcript::{Header, Role as Who};
use crate::core::turn::Room;
use crate::rt::clock;
use crate::rt::executor;
use crate::rt::store::tests::Scratch;

fn text(text: &str) -> Part {
    Part::Text(text.into())
}

/// What is told of `lines` in the conversation of `request`, without the question.
fn told(request: Request, lines: Vec<Line>) -> Vec<Message> {
    executor::run(|spawner| async move {
        let state = Scratch::new();
        let store = Store::open(&spawner, state.path());
        let room = Room { account: request.account.clone(), chat: request.chat };
        let header = Header::new(Key::of(&request), &room, "");
        for line in lines {
            store.append(Said { header: header.clone(), line });
        }
        History::read(&request, Some(&store), 100_000, 100).await.messages()
    })
}

fn line(who: Who, words: &str) -> Line {
    Line::new(clock::wall(), who, request().session, words)
}

#[test]
fn the_conversation_so_far_is_told_and_no_other() {
    let lines = || {
        vec![
            line(Who::User, "one"),
            line(Who::Failed, "it was too slow"),
            line(Who::User, "two"),
            line(Who::Assistant, "to two"),
        ]
    };
    let expected = [
        Message { role: Role::User, parts: vec![text("one"), text("two")] },
        Message { role: Role::Assistant, parts: vec![text("to two")] },
    ];
    let direct = Request { guild: None, ..request() };
    assert_eq!(told(direct.clone(), lines()), expected);
    let later = Request { session: direct.session + 1, ..direct };
    assert_eq!(told(later, lines()), []);
}

#[test]
fn where_several_people_talk_each_is_named_and_of_older_lines_nobody_is() {
    let person = |id| Person { channel: ChannelKind::Discord, id };
    let lines = || {
        vec![
            line(Who::User, "from before"),
            line(Who::User, "hi").by(person(1), "ann\u{1b}[2J"),
            line(Who::Assistant, "hello").about(vec![person(1)]),
            line(Who::User, "me too").by(person(2), "bob"),
        ]
    };
    let guild = Request { guild: Some(9), ..request() };
    let messages = told(guild, lines());
    assert_eq!(messages[0].parts[0], text("from before"));
    let Part::Text(ann) = &messages[0].parts[1] else { panic!("{messages:?}") };
    assert!(ann.starts_with("ann") && ann.ends_with(": hi") && !ann.contains('\u{1b}'), "{ann}");
    assert_eq!(messages[2].parts, [text("bob: me too")]);
    let direct = Request { guild: None, session_key: None, ..request() };
    assert_eq!(told(direct.clone(), lines())[2].parts, [text("me too")]);
    // A session that several people's direct messages share.
    let shared = Request { session_key: Some("main".into()), ..direct };
    assert_eq!(told(shared, lines())[2].parts, [text("bob: me too")]);
}

#[test]
fn a_summary_and_that_something_is_left_out_are_told_first_and_a_long_line_is_cut() {
    let summary = Line { upto: 2, ..line(Who::Summary, "they met") };
    let long = "x".repeat(1000);
    let lines = vec![
        line(Who::User, "old"),
        line(Who::Assistant, "older answer"),
        line(Who::User, &long),
        summary,
        line(Who::Assistant, "hm"),
    ];
    let direct = Request { guild: None, ..request() };
    let messages = told(direct, lines);
    assert_eq!(messages.len(), 2, "{messages:?}");
    let Part::Text(first) = &messages[0].parts[0] else { panic!("{messages:?}") };
    assert!(first.contains("they met"), "{first}");
    let Part::Text(cut) = &messages[0].parts[1] else { panic!("{messages:?}") };
    assert!(cut.len() < 120 && cut.ends_with(" […]"), "{cut}");
    assert_eq!(messages[1].parts, [text("hm")]);
}
