//! The configuration as clients of the control protocol read and change it.

use serde_json::{Value, json};

use crate::harness::{Gateway, Sandbox};

const SECRET: &str = "hunter2-hunter2";

/// With a file that has comments, secrets and a program in it.
fn gateway(sandbox: &Sandbox) -> Gateway {
    let text = [
        "{",
        "  // mine",
        "  channels: {discord: {dmPolicy: 'open'}},",
        "  agents: {entries: {",
        "    main: {kind: 'echo', env: {KEY: 'SECRET'}},",
        "    tool: {command: ['/bin/cat', '-']},",
        "  }},",
        "}",
        "",
    ];
    let text = text.join("\n").replace("SECRET", SECRET);
    let gateway = Gateway::configured(&sandbox.api, &text);
    gateway.await_channel("connected");
    gateway
}

fn file(gateway: &Gateway) -> String {
    std::fs::read_to_string(gateway.dir.0.join("b.json5")).unwrap()
}

fn get(gateway: &Gateway) -> Value {
    gateway.told("config.get", &json!({}))
}

/// Asks for a change of what the file says now.
fn change(gateway: &Gateway, method: &str, raw: &str) -> Result<Value, String> {
    let hash = get(gateway)["hash"].clone();
    gateway.rpc(method, &json!({"raw": raw, "baseHash": hash}))
}

#[test]
fn the_file_is_shown_in_every_form_without_a_secret() {
    let sandbox = Sandbox::start();
    let gateway = gateway(&sandbox);
    let shown = get(&gateway);
    assert!(!shown.to_string().contains(SECRET), "{shown:#}");
    assert_eq!((&shown["exists"], &shown["valid"]), (&json!(true), &json!(true)), "{shown:#}");
    assert!(shown["raw"].as_str().unwrap().contains("// mine"), "{shown:#}");
    for form in ["parsed", "config", "sourceConfig", "resolved"] {
        assert_eq!(shown[form]["agents"]["entries"]["main"]["env"]["KEY"], "***", "{form}");
    }
    assert_eq!(shown["issues"], json!([]), "{shown:#}");
    assert!(shown["path"].as_str().unwrap().ends_with("b.json5"), "{shown:#}");
    let schema = gateway.told("config.schema", &json!({}));
    assert_eq!(schema["uiHints"]["channels.discord.token"]["sensitive"], true);
    let place = gateway.told("config.schema.lookup", &json!({"path": "channels.discord"}));
    let keys = place["children"].as_array().unwrap();
    assert!(keys.iter().any(|child| child["key"] == "dmPolicy"), "{place:#}");
    assert!(gateway.rpc("config.schema.lookup", &json!({"path": "no.such"})).is_err());
}

#[test]
fn a_change_holds_at_once_and_keeps_comments_secrets_and_the_version_before() {
    let sandbox = Sandbox::start();
    let gateway = gateway(&sandbox);
    let before = file(&gateway);
    let patch = "{channels: {discord: {dmPolicy: 'disabled'}}}";
    let told = change(&gateway, "config.patch", patch).unwrap();
    assert_eq!(told["changedPaths"], json!(["channels.discord.dmPolicy"]), "{told:#}");
    assert!(!told.to_string().contains(SECRET), "{told:#}");
    let after = file(&gateway);
    assert_eq!(after, before.replace("'open'", "'disabled'"), "and nothing else");
    let backup = std::fs::read_to_string(gateway.dir.0.join("b.json5.bak")).unwrap();
    assert_eq!(backup, before);
    // It holds: nobody who writes directly is answered, and the connection stayed.
    assert_eq!(gateway.status()["messages"]["notAnswered"]["policy"], Value::Null);
    sandbox.direct("ann", "are you there?");
    gateway.run.line("ann");
    assert_eq!(sandbox.state().number("/identifies"), 1);
    // As a whole, with the blots that were shown.
    let shown = get(&gateway)["raw"].as_str().unwrap().to_owned();
    let whole = shown.replace("'disabled'", "'pairing'");
    change(&gateway, "config.set", &whole).unwrap();
    assert_eq!(file(&gateway), before.replace("'open'", "'pairing'"));
    let parsed = get(&gateway)["parsed"].to_string().replace("pairing", "open");
    let told = change(&gateway, "config.apply", &parsed).unwrap();
    assert_eq!((&told["ok"], &told["hash"]), (&json!(true), &get(&gateway)["hash"]));
    assert_eq!(file(&gateway), before, "plain JSON changes what it names, and keeps the comments");
    let told = change(&gateway, "config.patch", "{}").unwrap();
    assert_eq!(told["noop"], true);
}

#[test]
fn what_is_wrong_stale_or_not_for_the_wire_changes_nothing() {
    let sandbox = Sandbox::start();
    let gateway = gateway(&sandbox);
    let before = file(&gateway);
    for (raw, why) in [
        ("{channels: {discord: {dmPolicy: 'opem'}}}", "channels.discord.dmPolicy"),
        ("{channels: {discrod: {}}}", "did you mean"),
        ("{gateway: {bind: 'lan', auth: {mode: 'none'}}}", "gateway.auth.mode"),
        ("{agents: {entries: {tool: {command: ['/bin/sh']}}}}", "replacePaths"),
        ("{agents: {entries: {evil: {command: ['/bin/sh']}}}}", "never over the wire"),
        ("{agents: {entries: {main: {env: {LD_PRELOAD: 'x'}}}}}", "never over the wire"),
        ("{channels: {discord: {tokenFile: '/etc/shadow'}}}", "never over the wire"),
        ("{channels: {discord: {token: '***'}}}", "channels.discord.token"),
        ("{", "raw"),
    ] {
        let refusal = change(&gateway, "config.patch", raw).expect_err(raw);
        assert!(refusal.contains(why), "{raw}: {refusal}");
        assert!(!refusal.contains(SECRET), "{refusal}");
    }
    let set = "{agents: {entries: {tool: {command: ['/bin/sh']}}}}";
    assert!(change(&gateway, "config.set", set).expect_err("a program").contains("command"));
    let patch = "{channels: {discord: {dmPolicy: 'disabled'}}}";
    for params in [json!({"raw": patch}), json!({"raw": patch, "baseHash": "0".repeat(64)})] {
        let refusal = gateway.rpc("config.patch", &params).expect_err("stale");
        assert!(refusal.contains("re-run config.get"), "{refusal}");
    }
    assert!(gateway.rpc("config.set", &json!({"baseHash": "x"})).is_err());
    assert_eq!(file(&gateway), before);
    assert!(!gateway.dir.0.join("b.json5.bak").exists());
}
