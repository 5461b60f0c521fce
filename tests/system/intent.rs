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
