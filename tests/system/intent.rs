//! In an open channel, what is meant for the bot is answered, the rest is not, and why.

use serde_json::{Value, json};

use crate::harness::{Gateway, PATIENCE, Sandbox, Signal, wait};

fn config(filter: &Value) -> String {
    let discord = json!({"dmPolicy": "open", "groupPolicy": "open", "intentFilter": filter});
    json!({"channels": {"discord": discord}}).to_string()
}

/// The story of message `id`, once it has come to the doors.
fn story(gateway: &Gateway, id: &str) -> Value {
    wait(&format!("the story of {id}"), PATIENCE, || {
        let reply = gateway.told("why", &json!({"message": id}));
        reply["stories"].get(0).cloned()
    })
}

fn step<'s>(story: &'s Value, name: &str) -> Option<&'s Value> {
    story["steps"].as_array().unwrap().iter().find(|step| step["step"] == name)
}

#[test]
fn chatter_is_left_alone_and_who_means_the_bot_is_answered() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::configured(&sandbox.api, &config(&json!({"names": ["Barney"]})));
    gateway.await_channel("connected");
    let say = |author: &str, text: &str| sandbox.say(&json!({"text": text, "author": author}));
    let chatter = say("ann", "lol same");
    let told = story(&gateway, &chatter);
    assert_eq!(told["outcome"], "dropped", "{told}");
    let dropped = step(&told, "not_meant").unwrap_or_else(|| panic!("{told}"));
    assert_eq!(dropped["door"], "intent");
    let text = dropped["text"].as_str().unwrap();
    assert!(text.contains("its score is 0.") && text.contains("0.70 is asked for: "), "{text}");
    let cure = told["cure"].as_str().unwrap();
    assert!(cure.contains("channels.discord.intentFilter.respondThreshold"), "{cure}");
    // By name, and then without one: the conversation goes on.
    let asked = say("ben", "Barney, how do I list the open ports?");
    assert_eq!(sandbox.answer(&asked), "Barney, how do I list the open ports?");
    let told = story(&gateway, &asked);
    let meant = step(&told, "meant").unwrap_or_else(|| panic!("{told}"));
    assert!(meant["text"].as_str().unwrap().contains("by name"), "{meant}");
    let more = say("ben", "and how do I close one?");
    assert_eq!(sandbox.answer(&more), "and how do I close one?");
    // A mention is answered whatever is said, and a direct message is never judged.
    let mention = sandbox.say(&json!({"text": "lol", "author": "cid", "mention": true}));
    assert_eq!(sandbox.answer(&mention), "lol");
    let told = story(&gateway, &mention);
    let text = step(&told, "meant").unwrap()["text"].as_str().unwrap();
    assert!(text.starts_with("it mentions us, which is enough; its score is 0."), "{text}");
    let direct = sandbox.direct("dora", "lol");
    assert_eq!(sandbox.answer(&direct), "lol");
    assert!(step(&story(&gateway, &direct), "meant").is_none());
    let late = say("ann", "haha yes");
    assert_eq!(story(&gateway, &late)["outcome"], "dropped");
    assert_eq!(sandbox.state().answers(&chatter), []);
    let reply = gateway.told("why", &json!({"dropped": true}));
    let drops = reply["drops"].as_array().unwrap();
    let count = drops.iter().find(|drop| drop["reason"] == "not_meant").unwrap();
    assert_eq!(count["count"], 2);
    assert_eq!(
        gateway.run.count("is not answered: it is not meant for us"),
        1,
        "the log says it once"
    );
    sandbox.state().assert_clean();
}

/// The score in the story of message `id`, and the whole sentence about it.
fn scored(gateway: &Gateway, id: &str) -> (f64, String) {
    let told = story(gateway, id);
    let found = step(&told, "meant").or(step(&told, "not_meant"));
    let text = found.unwrap_or_else(|| panic!("{told}"))["text"].as_str().unwrap().to_owned();
    let (_, rest) = text.split_once("its score is ").unwrap();
    (rest[..4].parse().unwrap(), text)
}

/// The id of the answer to `asked`.
fn answer_to(sandbox: &Sandbox, asked: &str) -> String {
    sandbox.answer(asked);
    let state = sandbox.state();
    let messages = state.messages();
    let answer = messages.iter().find(|message| message["reference"] == asked).unwrap();
    answer["id"].as_str().unwrap().to_owned()
}

/// What `status` says of the filter, once so many reactions counted, were taken back, and were
/// about nothing that was judged.
fn heard(gateway: &Gateway, counts: [u64; 3]) -> Value {
    wait(&format!("{counts:?} votes"), PATIENCE, || {
        let judging = find(&gateway.told("status", &json!({})), "intentFilter")?;
        let now = ["counted", "taken_back", "unjudged"].map(|name| judging["heard"][name].as_u64());
        (now == counts.map(Some)).then_some(judging)
    })
}

#[test]
fn what_people_dislike_is_not_answered_there_any_more_and_that_outlives_a_restart() {
    const ASKED: &str = "is it slow today?";
    const VOTES: &str = "reactions to our answers here (-0.45)";
    let sandbox = Sandbox::start();
    let filter = |threshold: f64| {
        let filter = json!({"respondThreshold": threshold, "learnFromReactions": true});
        config(&filter)
    };
    let mut gateway = Gateway::configured(&sandbox.api, &filter(0.0));
    gateway.await_channel("connected");
    let say = |channel: &str, author: &str, text: &str| {
        sandbox.say(&json!({"text": text, "author": author, "channel": channel}))
    };
    // The same is said in three channels; in one of them somebody dislikes the answers.
    let mut answers = Vec::new();
    for channel in ["here", "there", "elsewhere"] {
        sandbox.post("channel", &json!({"name": channel}));
        for text in ["one of them", "two of them", "three of them"] {
            let answer = answer_to(&sandbox, &say(channel, "ann", text));
            answers.extend(Some(answer).filter(|_| channel == "here"));
        }
    }
    let react = |message: &str, text: &str, off: bool| {
        let fields = json!({"message": message, "text": text, "author": "ann", "off": off});
        sandbox.post("react", &fields);
    };
    for answer in &answers {
        react(answer, "👎🏽", false);
    }
    // What people's reactions to one another say is no matter of ours.
    let chatter = say("here", "ann", "lol");
    sandbox.answer(&chatter);
    react(&chatter, "👎", false);
    let judging = heard(&gateway, [3, 0, 1]);
    assert_eq!((&judging["reactions"], &judging["chatsThatLean"]), (&json!("heard"), &json!(1)));
    for channel in ["there", "elsewhere"] {
        sandbox.answer(&say(channel, "ann", "lol"));
    }
    let asked = say("elsewhere", "ben", ASKED);
    let (score, text) = scored(&gateway, &asked);
    assert!(!text.contains("reactions"), "{text}");
    gateway.dir.file("b.json5", &filter(score - 0.01));
    let skip = gateway.run.length();
    gateway.run.signal(Signal::HUP);
    gateway.run.line_after(skip, "the configuration has changed");
    let dropped = say("here", "ben", ASKED);
    let told = story(&gateway, &dropped);
    assert_eq!(told["outcome"], "dropped", "{told}");
    assert!(scored(&gateway, &dropped).1.contains(VOTES), "{told}");
    assert_eq!(sandbox.answer(&say("there", "ben", ASKED)), ASKED, "other channels are as before");
    assert_eq!(gateway.stop(), 0);
    gateway.again();
    gateway.await_channel("connected");
    let dropped = say("here", "cid", ASKED);
    assert_eq!(story(&gateway, &dropped)["outcome"], "dropped");
    assert!(scored(&gateway, &dropped).1.contains(VOTES));
    assert!(!scored(&gateway, &say("there", "cid", ASKED)).1.contains("reactions"));
    heard(&gateway, [0, 0, 0]);
    for answer in &answers {
        react(answer, "👎🏽", true);
    }
    heard(&gateway, [0, 3, 0]);
    assert!(!scored(&gateway, &say("here", "dan", ASKED)).1.contains("reactions"));
    sandbox.state().assert_clean();
}

#[test]
fn a_server_and_a_channel_have_thresholds_of_their_own() {
    const GUILD: &str = "900000000000000001";
    let sandbox = Sandbox::start();
    let channels = json!({
        "random": {"intentFilter": false},
        "strict": {"intentFilter": {"respondThreshold": 1, "alwaysRespondToMentions": false}},
        "*": {},
    });
    let guild = json!({"intentFilter": {"respondThreshold": 0.0}, "channels": channels});
    let discord = json!({
        "groupPolicy": "open", "intentFilter": {"respondThreshold": 0.9}, "guilds": {GUILD: guild},
    });
    let text = json!({"channels": {"discord": discord}}).to_string();
    let gateway = Gateway::configured(&sandbox.api, &text);
    gateway.await_channel("connected");
    sandbox.post("channel", &json!({"name": "strict"}));
    let say = |channel: &str, mention: bool| {
        let author = if mention { "ben" } else { "ann" };
        let text = if mention { "nice" } else { "lol" };
        sandbox
            .say(&json!({"text": text, "author": author, "channel": channel, "mention": mention}))
    };
    let everywhere = say("general", false);
    assert_eq!(sandbox.answer(&everywhere), "lol");
    let (_, text) = scored(&gateway, &everywhere);
    assert!(text.contains("0.00 is asked for"), "{text}");
    let unasked = say("random", false);
    assert_eq!(sandbox.answer(&unasked), "lol");
    assert!(step(&story(&gateway, &unasked), "meant").is_none(), "it is not asked there");
    for mention in [false, true] {
        let told = story(&gateway, &say("strict", mention));
        assert_eq!(told["outcome"], "dropped", "{told}");
        let cure = told["cure"].as_str().unwrap();
        let line = format!("guilds.\"{GUILD}\".channels.\"strict\".intentFilter.respondThreshold");
        assert!(cure.contains(&line), "{cure}");
    }
    sandbox.state().assert_clean();
}

/// The value of the first key called `name`, however deep it lies.
fn find(value: &Value, name: &str) -> Option<Value> {
    match value {
        Value::Object(map) => {
            let own = map.get(name).cloned();
            own.or_else(|| map.values().find_map(|value| find(value, name)))
        }
        Value::Array(list) => list.iter().find_map(|value| find(value, name)),
        _ => None,
    }
}

#[test]
fn it_knows_its_own_name_before_it_has_said_a_word() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::configured(&sandbox.api, &config(&json!({})));
    gateway.await_channel("connected");
    // The sandbox calls its bots `bot-` and a number; the first word is what people say.
    gateway.run.line("the token is valid, for bot-");
    let asked = sandbox.say(&json!({"text": "Bot, list the open ports", "author": "ann"}));
    assert_eq!(sandbox.answer(&asked), "Bot, list the open ports");
    let told = story(&gateway, &asked);
    assert!(step(&told, "meant").unwrap()["text"].as_str().unwrap().contains("by name"), "{told}");
}

#[test]
fn another_threshold_holds_from_the_next_message_on() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::configured(&sandbox.api, &config(&json!({"enabled": true})));
    gateway.await_channel("connected");
    let say = |text: &str| sandbox.say(&json!({"text": text, "author": "ann"}));
    assert_eq!(story(&gateway, &say("nice one"))["outcome"], "dropped");
    let apply = |filter: &Value| {
        gateway.dir.file("b.json5", &config(filter));
        let skip = gateway.run.length();
        gateway.run.signal(Signal::HUP);
        gateway.run.line_after(skip, "the configuration has changed");
    };
    apply(&json!({"respond_threshold": 0.0}));
    assert_eq!(sandbox.answer(&say("nice two")), "nice two");
    apply(&json!({"respond_threshold": 1, "always_respond_to_mentions": false}));
    let strict = sandbox.say(&json!({"text": "nice three", "author": "ann", "mention": true}));
    assert_eq!(story(&gateway, &strict)["outcome"], "dropped");
    apply(&json!({"enabled": false}));
    assert_eq!(sandbox.answer(&say("nice four")), "nice four");
    sandbox.state().assert_clean();
}
