//! Every message is answered or explained, and doing what the explanation says is enough.

use serde_json::{Map, Value, json};

use crate::harness::{Gateway, PATIENCE, Sandbox, Signal, pause, seconds, wait};

/// The story of message `id`, once it has come to the doors.
fn story(gateway: &Gateway, id: &str) -> Value {
    wait(&format!("the story of {id}"), PATIENCE, || {
        let reply = gateway.told("why", &json!({"message": id}));
        reply["stories"].get(0).cloned()
    })
}

fn config(discord: &Value) -> String {
    json!({"channels": {"discord": discord}}).to_string()
}

/// Does to the configuration of Discord what a cure says, and has it read again.
fn apply(gateway: &Gateway, discord: &mut Value, cure: &str) {
    let (path, value) = if let Some(rest) = cure.strip_prefix("add ") {
        let (entry, path) = rest.split_once(" to ").unwrap();
        (path, json!([serde_json::from_str::<Value>(entry).unwrap()]))
    } else {
        let (path, value) = cure.split_once(": ").unwrap();
        (path, serde_json::from_str(value).unwrap())
    };
    let keys = path.strip_prefix("channels.discord.").unwrap();
    let place = keys.split('.').fold(&mut *discord, |value, key| {
        if !value.is_object() {
            *value = Map::new().into();
        }
        &mut value[key.trim_matches('"')]
    });
    *place = value;
    gateway.dir.file("b.json5", &config(discord));
    let skip = gateway.run.length();
    gateway.run.signal(Signal::HUP);
    gateway.run.line_after(skip, "the configuration has changed");
}

#[test]
fn whoever_does_what_each_refusal_says_is_answered_in_the_end() {
    let sandbox = Sandbox::start();
    let mut discord = json!({"groupPolicy": "allowlist", "guilds": {"1": {}}});
    let gateway = Gateway::configured(&sandbox.api, &config(&discord));
    gateway.await_channel("connected");
    let mut reasons = Vec::new();
    let mut ask = |gateway: &Gateway, discord: &mut Value| {
        let id = sandbox.say(&json!({"text": "may I?", "author": "ann"}));
        let told = story(gateway, &id);
        let cure = told["cure"].as_str().map(str::to_owned);
        let cure = cure.unwrap_or_else(|| panic!("no cure: {told}"));
        reasons.push(told["steps"].as_array().unwrap().last().unwrap()["step"].clone());
        assert_eq!((&told["outcome"], &told["authorName"]), (&json!("dropped"), &json!("ann")));
        assert_eq!(sandbox.state().answers(&id), []);
        apply(gateway, discord, &cure);
        (told, cure)
    };
    let (told, _) = ask(&gateway, &mut discord);
    let (guild, chat) = (told["guild"].as_str().unwrap(), told["chat"].as_str().unwrap());
    // Now the server is listed, and closed further from within.
    discord["guilds"][guild] = json!({"channels": {"1": {}}, "users": ["1"]});
    gateway.dir.file("b.json5", &config(&discord));
    gateway.run.signal(Signal::HUP);
    wait("the new rules", PATIENCE, || {
        let id = sandbox.say(&json!({"text": "now?", "author": "ben"}));
        (story(&gateway, &id)["reason"] != told["reason"]).then_some(())
    });
    let (_, cure) = ask(&gateway, &mut discord);
    let channel = format!("channels.discord.guilds.\"{guild}\".channels.\"{chat}\".enabled: true");
    assert_eq!(cure, channel);
    let (_, cure) = ask(&gateway, &mut discord);
    assert!(cure.starts_with("add ") && cure.ends_with(&format!("guilds.\"{guild}\".users")));
    ask(&gateway, &mut discord);
    let id = sandbox.say(&json!({"text": "at last", "author": "ann"}));
    assert_eq!(sandbox.answer(&id), "at last");
    let expected = ["group_not_listed", "channel_not_listed", "author_not_listed", "not_mentioned"];
    assert_eq!(reasons, expected.map(Value::from));
    // Each reason was told in the log, too, once and with its line.
    for (line, count) in [("is not answered", 4), ("to change that: channels.discord", 3)] {
        assert_eq!(gateway.run.count(line), count, "{line}");
    }
    sandbox.state().assert_clean();
}

#[test]
fn rules_by_name_and_role_hold_in_a_channel_and_in_its_threads() {
    let sandbox = Sandbox::start();
    let rule = json!({"roles": ["77"], "requireMention": false});
    let discord = json!({"guilds": {"*": {"channels": {"#general": rule}}}});
    let gateway = Gateway::configured(&sandbox.api, &config(&discord));
    gateway.await_channel("connected");
    let said = |more: Value| {
        let mut fields = json!({"text": "anybody?"});
        fields.as_object_mut().unwrap().append(&mut more.as_object().unwrap().clone());
        sandbox.say(&fields)
    };
    let inside = said(json!({"author": "ann", "roles": "77", "thread": "a thread"}));
    assert_eq!(sandbox.answer(&inside), "anybody?");
    let without = story(&gateway, &said(json!({"author": "ben"})));
    assert_eq!((&without["outcome"], &without["chatName"]), (&json!("dropped"), &json!("general")));
    let cure = without["cure"].as_str().unwrap();
    assert!(
        cure.ends_with("to channels.discord.guilds.\"*\".channels.\"general\".users"),
        "{cure}"
    );
    let elsewhere = said(json!({"author": "ann", "roles": "77", "channel": "random"}));
    let elsewhere = story(&gateway, &elsewhere);
    assert!(elsewhere["reason"].as_str().unwrap().contains("channel that is not on the list"));
}

#[test]
fn a_stranger_is_let_in_by_a_code_and_stays_in_over_a_crash() {
    let sandbox = Sandbox::start();
    let text = config(&json!({"dmPolicy": "pairing"}));
    let mut gateway = Gateway::configured(&sandbox.api, &text);
    gateway.await_channel("connected");
    let first = sandbox.direct("ann", "hello?");
    let said = |what: &str| {
        sandbox.until(what, PATIENCE, |state| {
            let messages = state.messages();
            let text = messages.iter().filter_map(|message| message["content"].as_str());
            text.rev().find(|text| text.contains(what)).map(str::to_owned)
        })
    };
    let invitation = said("pairing approve discord");
    let list = gateway.told("pairing.list", &json!({}));
    let code = list["requests"][0]["code"].as_str().unwrap();
    assert!(invitation.contains(code), "{invitation}");
    assert_eq!(list["requests"][0]["user"]["name"], "ann");
    assert_eq!(
        story(&gateway, &first)["steps"].as_array().unwrap().last().unwrap()["step"],
        "code_sent"
    );
    // What waits survives a crash.
    gateway.again();
    gateway.await_channel("connected");
    let wrong = gateway.rpc("pairing.approve", &json!({"code": "ABCDEFGH"}));
    assert!(wrong.unwrap_err().contains("nobody waits with that code"));
    let typed = format!("{}-{}", code[..4].to_lowercase(), &code[4..]);
    let approved = gateway.told("pairing.approve", &json!({"code": typed, "channel": "discord"}));
    assert_eq!(
        (&approved["user"]["name"], &approved["accountId"]),
        (&json!("ann"), &json!("default"))
    );
    said("You are paired");
    assert_eq!(sandbox.answer(&sandbox.direct("ann", "thank you")), "thank you");
    gateway.again();
    assert_eq!(sandbox.answer(&sandbox.direct("ann", "still there?")), "still there?");
    let user = gateway.told("pairing.list", &json!({}))["approved"][0]["user"]["id"].clone();
    gateway.told("pairing.revoke", &json!({"user": user}));
    assert!(gateway.rpc("pairing.revoke", &json!({"user": user})).is_err(), "once");
    let refused = sandbox.direct("ann", "and now?");
    assert_eq!(story(&gateway, &refused)["outcome"], "dropped");
    assert_eq!(sandbox.state().answers(&refused), []);
}

#[test]
fn the_trail_of_the_last_minute_is_there_after_a_crash() {
    let sandbox = Sandbox::start();
    let mut gateway = Gateway::connected(&sandbox);
    let answered = sandbox.ask("hello");
    sandbox.answer(&answered);
    let ignored = sandbox.say(&json!({"text": "talk among people"}));
    wait("the reply to be settled", PATIENCE, || {
        (story(&gateway, &answered)["outcome"] == "answered").then_some(())
    });
    story(&gateway, &ignored);
    // It is written every few seconds.
    let trail = gateway.dir.0.join("run/barnacle/discord.trail");
    let written = || std::fs::metadata(&trail).and_then(|file| file.modified()).ok();
    let before = written();
    sandbox.say(&json!({"text": "more of it"}));
    wait("the trail to be kept", PATIENCE, || (written() > before).then_some(()));
    let told = story(&gateway, &answered);
    gateway.again();
    assert_eq!(story(&gateway, &answered), told);
    let doors: Vec<&str> = told["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["door"].as_str().unwrap())
        .collect();
    for door in ["received", "dedup", "access", "mention", "route", "agent", "delivery"] {
        assert!(doors.contains(&door), "{doors:?}");
    }
    assert_eq!(story(&gateway, &ignored)["cure"], "channels.discord.requireMention: false");
    let dropped = gateway.told("why", &json!({"dropped": true, "last": 5}));
    let ids: Vec<&Value> =
        dropped["stories"].as_array().unwrap().iter().map(|story| &story["id"]).collect();
    assert!(ids.contains(&&json!(ignored)) && !ids.contains(&&json!(answered)));
    // After an orderly end the disk has it, without the runtime directory.
    assert_eq!(gateway.stop(), 0);
    std::fs::remove_file(&trail).unwrap();
    gateway.again();
    assert_eq!(story(&gateway, &answered), told);
}

#[test]
fn what_was_never_heard_is_said_with_what_that_can_mean() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    let link = "https://discord.com/channels/1/2/1290000000000000000";
    let reply = gateway.told("why", &json!({"message": link}));
    assert_eq!(reply["stories"], json!([]));
    let note = reply["note"].as_str().unwrap();
    assert!(note.contains("View Channel") && note.contains("2024-09-29"), "{note}");
    let nonsense = gateway.rpc("why", &json!({"message": "that one"})).unwrap_err();
    assert!(nonsense.contains("Copy Message Link"), "{nonsense}");
    let elsewhere = gateway.rpc("why", &json!({"account": "work"})).unwrap_err();
    assert!(elsewhere.contains("no account"), "{elsewhere}");
}

#[test]
fn the_same_words_within_five_seconds_are_answered_once() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    let first = sandbox.direct("ann", "are you there?");
    let again = sandbox.direct("ann", "are you there?");
    let other = sandbox.direct("ben", "are you there?");
    assert_eq!(sandbox.answer(&first), "are you there?");
    assert_eq!(sandbox.answer(&other), "are you there?");
    assert_eq!(
        story(&gateway, &again)["steps"].as_array().unwrap().last().unwrap()["step"],
        "repeated"
    );
    pause(seconds(1));
    assert_eq!(sandbox.state().answers(&again), []);
}

#[test]
fn rules_by_name_and_around_threads_hold_after_every_kind_of_restart() {
    let sandbox = Sandbox::start();
    let rule = json!({"requireMention": false});
    let discord = json!({"guilds": {"*": {"channels": {"#general": rule}}}});
    let mut gateway = Gateway::configured(&sandbox.api, &config(&discord));
    gateway.await_channel("connected");
    let hears = |when: &str| {
        let fields = json!({"text": when, "author": "ann", "thread": "a thread"});
        let inside = sandbox.say(&fields);
        let outside = sandbox.say(&json!({"text": when, "author": "ben"}));
        assert_eq!(sandbox.answer(&inside), when, "in the thread");
        assert_eq!(sandbox.answer(&outside), when, "in the channel");
    };
    let live = |count: u64| {
        let what = format!("live for the time {count}");
        sandbox.until(&what, PATIENCE, |state| (state.number("/resumed") >= count).then_some(()));
    };
    hears("at first");
    gateway.stop();
    gateway.again();
    live(1);
    hears("after an orderly end");
    gateway.again();
    live(2);
    hears("after a crash");
    gateway.told("gateway.restart.request", &json!({"reason": "test"}));
    live(3);
    hears("after it restarted itself");
    // Nothing is known any more: it is asked for.
    gateway.run.kill();
    for dir in ["run/barnacle", "state"] {
        std::fs::remove_file(gateway.dir.0.join(dir).join("discord.places")).unwrap();
    }
    gateway.again();
    live(4);
    hears("with the file gone");
    gateway.run.kill();
    std::fs::write(gateway.dir.0.join("run/barnacle/discord.places"), "rubbish").unwrap();
    gateway.again();
    live(5);
    hears("with the file damaged");
    let elsewhere = sandbox.say(&json!({"text": "there?", "channel": "random"}));
    let elsewhere = story(&gateway, &elsewhere);
    assert!(elsewhere["reason"].as_str().unwrap().contains("channel that is not on the list"));
    assert_eq!(sandbox.state().number("/identifies"), 1, "all of these were resumed");
    sandbox.state().assert_clean();
}

#[test]
fn what_was_said_meanwhile_is_judged_by_its_authors_roles() {
    let sandbox = Sandbox::start();
    let discord = json!({"guilds": {"*": {"roles": ["77"], "requireMention": false}}});
    let mut gateway = Gateway::configured(&sandbox.api, &config(&discord));
    gateway.await_channel("connected");
    let said = |text: &str, author: &str, roles: &str| {
        sandbox.say(&json!({"text": text, "author": author, "roles": roles}))
    };
    assert_eq!(sandbox.answer(&said("hello", "ann", "77")), "hello");
    pause(seconds(2));
    gateway.run.kill();
    sandbox.fault("resume-op9-false", json!({"cleared": true, "kick": false}));
    let without = said("may I?", "ben", "78");
    let with = said("and I?", "ann", "77");
    gateway.again();
    assert_eq!(sandbox.exactly_one_answer(&with), "and I?");
    assert_eq!(sandbox.state().answers(&without), []);
    let told = story(&gateway, &without);
    let reason = told["reason"].as_str().unwrap();
    assert!(reason.contains("one of the roles"), "{told}");
    sandbox.state().assert_clean();
}

#[test]
fn an_order_by_word_outlives_a_crash_and_is_answered_once() {
    let sandbox = Sandbox::start();
    let mut gateway = Gateway::connected(&sandbox);
    sandbox.answer(&sandbox.direct("ann", "hello"));
    let mut orders = Vec::new();
    for round in 0..10_u64 {
        orders.push(sandbox.direct(&format!("person-{round}"), "/new"));
        pause(crate::harness::millis(round * 7));
        gateway.again();
    }
    gateway.await_channel("connected");
    for order in &orders {
        sandbox.exactly_one_answer(order);
    }
    sandbox.state().assert_clean();
}
