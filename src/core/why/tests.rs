//! Questions as people put them, and the stories that they get.

use super::*;
use crate::core::access::{Found, Spot};
use crate::core::trace::tests::{knock, line};

fn about(text: &str) -> Option<Query> {
    let params = Params { message: Some(text.to_owned()), ..Params::default() };
    params.query().ok()
}

#[test]
fn a_message_is_named_by_number_or_link() {
    let of = |id, chat| Some(Query::Message { id, chat });
    assert_eq!(about("300"), of(300, None));
    assert_eq!(about("5/300"), of(300, Some(5)));
    assert_eq!(about("9/5/300"), of(300, Some(5)));
    for host in ["discord.com", "canary.discord.com", "ptb.discord.com", "discordapp.com"] {
        assert_eq!(about(&format!("https://{host}/channels/9/5/300")), of(300, Some(5)));
    }
    assert_eq!(about(" <https://www.discord.com/channels/@me/5/300/> "), of(300, Some(5)));
    assert_eq!(about("discord://discord.com/channels/9/5/300?x=1#y"), of(300, Some(5)));
    for wrong in [
        "",
        "x",
        "0",
        "-1",
        "/300",
        "x/5/300",
        "1/9/5/300",
        "300x",
        "https://discord.com/9/5/300",
        "https://discord.example/channels/9/5/300",
        "https://discord.com/channels/9/x/300",
        "99999999999999999999",
    ] {
        assert_eq!(about(wrong), None, "{wrong}");
    }
    let params = Params { message: Some("\u{1b}[31m?".into()), ..Params::default() };
    assert!(params.query().unwrap_err().to_string().contains("\\u{1b}"), "made harmless");
}

#[test]
fn the_last_ones_are_bounded() {
    let last = |last, dropped| Params { last, dropped, ..Params::default() }.query().unwrap();
    assert_eq!(last(None, false), Query::Last { count: 10, dropped: false });
    assert_eq!(last(Some(0), true), Query::Last { count: 1, dropped: true });
    assert_eq!(last(Some(usize::MAX), false), Query::Last { count: 100, dropped: false });
}

/// 1 was answered, 2 refused, 3 is ours, 4 waits, 5 failed with an apology.
fn trace() -> Trace {
    let mut trace = Trace::new("work", "channels.discord.accounts.work");
    let own = Step::Refused(Refusal::Own);
    let spot = Spot::Channel(Found::Own, Found::Named);
    for (at, id, step) in [
        (1000, 1, Step::Admitted),
        (2000, 2, Step::Refused(Refusal::NotMentioned(spot))),
        (3000, 3, own),
        (4000, 4, Step::Admitted),
        (5000, 5, Step::Admitted),
    ] {
        trace.knock(knock(at, id, step).called(Some("help")), Some("main"));
    }
    for (at, id, step) in [
        (1100, 1, Step::Started),
        (1900, 1, Step::Answered),
        (1950, 1, Step::Settled(Fate::Delivered)),
        (4500, 4, Step::Started),
        (5500, 5, Step::TooSlow),
        (5600, 5, Step::Settled(Fate::Delivered)),
    ] {
        trace.record(line(at, id, step));
    }
    trace
}

#[test]
fn the_story_of_an_answer_names_every_door() {
    let stories = trace().why(Query::Message { id: 1, chat: Some(5) });
    let [story] = &stories[..] else { panic!("{stories:?}") };
    let doors: Vec<&str> = story.steps.iter().map(|step| &*step.door).collect();
    assert_eq!(
        doors,
        [
            "received", "dedup", "access", "mention", "content", "route", "queue", "agent",
            "agent", "delivery"
        ]
    );
    assert_eq!((story.outcome, &*story.reason), (Outcome::Answered, "delivered"));
    assert_eq!(story.agent.as_deref(), Some("main"));
    assert_eq!(story.steps.last().unwrap().after_ms, 950);
    assert_eq!(story.link, "https://discord.com/channels/9/5/1");
    assert_eq!((&*story.account, &*story.author_name, story.bytes), ("work", "ann", 5));
    assert_eq!(trace().why(Query::Message { id: 1, chat: Some(6) }), []);
}

#[test]
fn the_story_of_a_refusal_ends_at_its_door_with_the_line_that_would_change_it() {
    let told = trace().why(Query::Message { id: 2, chat: None }).remove(0);
    let doors: Vec<&str> = told.steps.iter().map(|step| &*step.door).collect();
    assert_eq!(doors, ["received", "dedup", "access", "mention"]);
    assert_eq!(told.outcome, Outcome::Dropped);
    let cure =
        "channels.discord.accounts.work.guilds.\"9\".channels.\"help\".requireMention: false";
    assert_eq!(told.cure.as_deref(), Some(cure));
    assert_eq!(told.steps.last().unwrap().cure, told.cure);
    assert_eq!(told.chat_name.as_deref(), Some("help"));
}

#[test]
fn the_last_ones_come_newest_first_without_our_own() {
    let ids = |count, dropped| -> Vec<String> {
        let stories = trace().why(Query::Last { count, dropped });
        stories.into_iter().map(|story| story.id).collect()
    };
    assert_eq!(ids(10, false), ["5", "4", "2", "1"]);
    assert_eq!(ids(2, false), ["5", "4"]);
    assert_eq!(ids(10, true), ["2"]);
}

#[test]
fn what_waits_and_what_ended_in_an_apology_say_so() {
    let story = |id| trace().why(Query::Message { id, chat: None }).remove(0);
    assert_eq!((story(4).outcome, &*story(4).reason), (Outcome::Waiting, "the agent is at work"));
    let sorry = "the agent took too long; an apology was sent";
    assert_eq!((story(5).outcome, &*story(5).reason), (Outcome::Answered, sorry));
}

#[test]
fn a_message_that_came_twice_is_one_story_and_no_drop() {
    let mut trace = trace();
    trace.knock(knock(6000, 1, Step::Duplicate), None);
    let stories = trace.why(Query::Message { id: 1, chat: None });
    assert_eq!((stories.len(), stories[0].outcome), (1, Outcome::Answered));
    assert_eq!(stories[0].steps.last().unwrap().text, "the service sent it before");
}

#[test]
fn what_was_not_heard_is_said_with_what_that_can_mean() {
    let now = Wall(1_774_085_213_589);
    let id = (now.0 - 1_420_070_400_000 - 60_000) << 22;
    let note = |query| reply(query, now, Vec::new(), Vec::new()).note.unwrap();
    let unknown = note(Query::Message { id, chat: None });
    for word in ["View Channel", "GUILD_MESSAGES", "away", "2026-03-21T09:25:53"] {
        assert!(unknown.contains(word), "{unknown}");
    }
    assert!(note(Query::Message { id: u64::MAX, chat: None }).contains("digit"));
    assert!(note(Query::Last { count: 1, dropped: true }).contains("nothing was dropped"));
    let full = trace().why(Query::Last { count: 9, dropped: false });
    let reply = reply(Query::Last { count: 2, dropped: false }, now, full, trace().drops_told());
    assert_eq!((reply.stories.len(), reply.note), (2, None));
    assert!(reply.drops.iter().any(|drop| drop.reason == "not_mentioned" && drop.count == 1));
}

#[test]
fn a_chat_can_be_told_of_its_own_last_message() {
    let chat = knock(0, 0, Step::Admitted).line.chat;
    let said = sentence(&trace(), chat);
    assert!(said.contains("channels/9/5/5") && said.contains("an apology was sent"), "{said}");
    let mut refused = Trace::default();
    refused.knock(knock(1, 1, Step::Refused(Refusal::GroupNotListed)), None);
    let said = sentence(&refused, chat);
    assert!(said.contains("was not answered") && said.contains("guilds.\"9\": {}"), "{said}");
    assert!(sentence(&Trace::default(), chat).contains("not heard"));
}

#[test]
fn it_goes_over_the_wire_and_back() {
    let stories = trace().why(Query::Last { count: 9, dropped: false });
    let reply = reply(Query::Last { count: 9, dropped: false }, Wall(0), stories, Vec::new());
    let json = serde_json::to_string(&reply).unwrap();
    assert!(json.contains("\"authorName\":\"ann\"") && json.contains("\"afterMs\":950"), "{json}");
    assert_eq!(serde_json::from_str::<Reply>(&json).unwrap(), reply);
}
