//! Several bots in one process, each by itself; and whatever is stopped is stopped.

use serde_json::{Value, json};

use crate::harness::{Gateway, PATIENCE, Sandbox, Signal, wait};

/// Two accounts, `default` and `work`, on one sandbox.
fn two(sandbox: &Sandbox) -> Gateway {
    let config = "{channels: {discord: {accounts: {work: {token: 'the-token-of-work'}}}}}";
    let gateway = Gateway::configured(&sandbox.api, config);
    await_states(&gateway, &[("default", "connected"), ("work", "connected")]);
    gateway
}

fn account(gateway: &Gateway, name: &str) -> Value {
    let told = gateway.told("channels.status", &json!({}));
    let accounts = told["channelAccounts"]["discord"].as_array().unwrap();
    accounts.iter().find(|account| account["accountId"] == name).cloned().unwrap_or(Value::Null)
}

fn await_states(gateway: &Gateway, states: &[(&str, &str)]) {
    wait(&format!("{states:?}"), PATIENCE, || {
        let are_so = states.iter().all(|(name, state)| account(gateway, name)["state"] == *state);
        are_so.then_some(())
    });
}

/// The user id of an account's bot.
fn bot_of(gateway: &Gateway, name: &str) -> String {
    let status = gateway.told("status", &json!({}));
    let account = &status["channels"]["discord"]["accounts"][name];
    let me = account["me"].as_str();
    me.unwrap_or_else(|| panic!("who is {name}? {account}")).to_owned()
}

#[test]
fn each_account_answers_for_itself_and_a_parked_one_leaves_the_other_live() {
    let sandbox = Sandbox::start();
    let gateway = two(&sandbox);
    let (ours, theirs) = (bot_of(&gateway, "default"), bot_of(&gateway, "work"));
    assert_ne!(ours, theirs);
    let id = sandbox.say(&json!({"text": format!("<@{theirs}> hello, work")}));
    assert_eq!(sandbox.answer(&id), "hello, work");
    let bot: u64 = theirs.parse().unwrap();
    sandbox.fault("close-4014", json!({"bot": bot}));
    await_states(&gateway, &[("default", "connected"), ("work", "error")]);
    gateway.run.line("[discord/work]");
    let id = sandbox.say(&json!({"text": format!("<@{ours}> still there?")}));
    assert_eq!(sandbox.answer(&id), "still there?");
    // One is down, the other is not: the whole is degraded, and the channel as bad as its worst.
    let detail = gateway.get("/health/detail", &[]).json();
    assert_eq!(
        (&detail["status"], &detail["channels"]["discord"]),
        (&json!("degraded"), &json!("error"))
    );
    let shown = gateway.cli(&["status"]).stdout();
    assert!(shown.contains("discord/default") && shown.contains("discord/work"), "{shown}");
    // Restarted by hand it comes back; the other did not notice.
    gateway.told("channels.restart", &json!({"accountId": "work"}));
    await_states(&gateway, &[("work", "connected")]);
    assert_eq!(account(&gateway, "default")["reconnects"], 0);
    assert_eq!(sandbox.state().0["violations"], json!([]));
}

#[test]
fn what_is_stopped_stays_stopped_until_it_is_started() {
    let sandbox = Sandbox::start();
    let gateway = two(&sandbox);
    let theirs = bot_of(&gateway, "work");
    let mut stop = gateway.cli(&["channels", "stop", "discord", "--account", "work"]);
    assert_eq!(stop.code(), 0, "{}", stop.output());
    let is_gone = |state: &crate::harness::State| (state.0["sockets"]["open"] == 1).then_some(());
    sandbox.until("its socket to go", PATIENCE, is_gone);
    let unheard = sandbox.say(&json!({"text": format!("<@{theirs}> are you there?")}));
    for signal in [Signal::HUP, Signal::HUP] {
        gateway.run.signal(signal);
        assert_eq!(account(&gateway, "work")["state"], "disconnected");
    }
    assert_eq!(sandbox.state().answers(&unheard), []);
    let mut start = gateway.cli(&["channels", "start", "discord", "--account", "work"]);
    assert_eq!(start.code(), 0, "{}", start.output());
    await_states(&gateway, &[("work", "connected")]);
    let history = gateway.cli(&["channels", "history", "--account", "work"]).stdout();
    assert!(history.contains("it was told to leave"), "{history}");
}

/// Open descriptors and resident memory (KiB) of the gateway.
fn costs(gateway: &Gateway) -> (usize, u64) {
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", gateway.run.pid())).unwrap().count();
    (descriptors, gateway.run.memory_kib("VmRSS"))
}

#[test]
fn a_thousand_restarts_leave_one_socket_the_same_descriptors_and_the_same_memory() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    let restart = |count: usize| {
        for _ in 0..count {
            let told = gateway.told("channels.restart", &json!({"channel": "discord"}));
            assert_eq!(told["ok"], true);
        }
        gateway.await_channel("connected");
        sandbox.answer(&sandbox.ask(&format!("after {count}?")));
    };
    // What is made once and kept is made in the first of them.
    restart(100);
    let before = costs(&gateway);
    restart(900);
    let after = costs(&gateway);
    println!("descriptors {} -> {}, KiB {} -> {}", before.0, after.0, before.1, after.1);
    assert!(after.0 <= before.0 + 2, "descriptors: {before:?} {after:?}");
    // The rings of what has happened fill up meanwhile, and then stay as they are.
    assert!(after.1 <= before.1 + 2048, "memory: {before:?} {after:?}");
    let state = sandbox.state();
    assert_eq!(state.0["sockets"]["open"], 1);
    state.assert_clean();
    assert_eq!(state.number("/identifies"), 1, "and not one new session");
}

#[test]
fn a_message_is_sent_to_a_chat_and_to_a_person_once_for_each_key() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    let said = sandbox.ask("who are you?");
    sandbox.answer(&said);
    let story = gateway.told("why", &json!({"message": said}))["stories"][0].clone();
    let author = story["author"].as_str().unwrap();
    let file = gateway.dir.file("report.txt", "all is well\n");
    for (args, words) in [
        (
            vec!["--target", "channel:900000000000000010", "--message", "good morning"],
            "good morning",
        ),
        (vec!["--target", &format!("user:{author}"), "--message", "psst"], "psst"),
        (vec!["--target", "900000000000000010", "--message", "see", "--media", &file], "see"),
    ] {
        let mut run = gateway.cli(&[&["message", "send"][..], &args].concat());
        assert_eq!(run.code(), 0, "{}", run.output());
        assert!(run.stdout().contains("sent: "), "{}", run.stdout());
        let state = sandbox.state();
        let posted = state.messages().iter().filter(|m| m["content"] == words).count();
        assert_eq!(posted, 1, "{words}");
    }
    // The same key twice, and again after a crash.
    let once =
        json!({"to": "channel:900000000000000010", "message": "only once", "idempotencyKey": "k1"});
    gateway.told("send", &once);
    gateway.told("send", &once);
    let state = sandbox.state();
    assert_eq!(state.messages().iter().filter(|m| m["content"] == "only once").count(), 1);
    for (params, hint) in [
        (json!({"to": "#general", "message": "x"}), "channel:ID or user:ID"),
        (json!({"to": "7"}), "nothing to send"),
        (json!({"to": "7", "message": "x", "channel": "telegram"}), "there is: discord"),
        (json!({"to": "7", "message": "x", "accountId": "wrok"}), "there is: default"),
        (json!({"to": "7", "message": "x"}), "it was not sent"),
        (json!({"to": "user:7", "message": "x"}), "no user 7"),
    ] {
        let refused = gateway.rpc("send", &params).unwrap_err();
        assert!(refused.contains(hint), "{params}: {refused}");
    }
}

#[test]
fn a_restart_by_hand_is_the_same_process_with_the_same_session() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    let before = gateway.told("status", &json!({}));
    gateway.told("gateway.restart.request", &json!({"reason": "test"}));
    let boot = |value: &Value| value["bootId"].clone();
    let after = wait("another boot, connected", PATIENCE, || {
        // Who asks while it begins again waits for it.
        let mut run = gateway.cli(&["status", "--json"]);
        let told: Value = serde_json::from_str(&run.stdout()).unwrap_or(Value::Null);
        let is_back = told["channels"]["discord"]["status"] == "connected";
        (run.code() == 0 && is_back && boot(&told) != boot(&before)).then_some(told)
    });
    assert_eq!(before["pid"], after["pid"]);
    let state = sandbox.state();
    assert_eq!((state.number("/identifies"), state.number("/resumed")), (1, 1));
    state.assert_clean();
}
