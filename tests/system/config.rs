//! The configuration as its owner meets it: pasted from guides, begun, changed, taken over, broken.

use serde_json::{Value, json};

use crate::harness::{Dir, Gateway, Plan, Run, Sandbox, path_text};

/// What the guides for OpenClaw show, put together: sections of other channels, older names, and
/// values of theirs.
const GUIDE: &str = r#"
// ~/.config/openclaw/openclaw.json5
{
  "channels": {
    "whatsapp": {
      "enabled": true,
      "sessionPath": "/srv/openclaw/sessions/whatsapp",
      "keepAliveInterval": 30,
      "autoReconnect": true,
      "maxReconnectAttempts": 10,
      "reconnectInterval": 15
    },
    "telegram": { "enabled": true, "mode": "polling", "pollingInterval": 1000 },
    "discord": {
      "enabled": true,
      "token": "YOUR_BOT_TOKEN",
      "autoReconnect": true,
      "maxReconnectAttempts": 15,
      "reconnectInterval": 10,
      // Heartbeat interval (specified by Discord server, typically 41250ms)
      "heartbeatInterval": 41250
    }
  },
  "connection": {
    "autoReconnect": true,
    "backoff": { "initialDelay": 5000, "maxDelay": 300000, "multiplier": 2 },
    "healthCheck": { "enabled": true, "interval": 60000 },
    "keepAlive": { "enabled": true, "interval": 30000, "timeout": 10000 }
  }
}
"#;

/// The settings of the guide that shows them as code.
const CODE: &str = r#"{
  token: "${DISCORD_BOT_TOKEN}",
  intents: {
    message_content: true, guild_members: true, guild_messages: true, direct_messages: true,
  },
  log_level: "INFO",
  rate_limit: { enabled: true, strategy: "queue", max_queue_size: 50, burst_protection: true },
  reconnect: {
    enabled: true, max_retries: 10, backoff_base: 1.5, backoff_max: 60, resume_session: true,
    session_cache_ttl: 300,
  },
  tool_config: { async_tool_timeout: 120, heartbeat_priority: true },
  gateway_options: { tcp_keepalive: 30, compress: true },
  router: { strategy: "channel_assignment", dedup_window: 5 },
}
"#;

/// Runs a command with nothing but a home and these variables.
fn cli(dir: &Dir, args: &[&str], env: &[(&str, &str)]) -> Run {
    let home = path_text(&dir.0);
    let env: Vec<_> = env.iter().copied().chain([("HOME", home.as_str())]).collect();
    Run::start(args, &env)
}

/// What a command prints that ends with `code`.
fn said(dir: &Dir, args: &[&str], env: &[(&str, &str)], code: i32) -> String {
    let mut run = cli(dir, args, env);
    assert_eq!(run.code(), code, "{}", run.output());
    run.output()
}

fn read(dir: &Dir, name: &str) -> String {
    std::fs::read_to_string(dir.0.join(name)).unwrap()
}

/// What a gateway says of its configuration.
fn standing(gateway: &Gateway) -> Value {
    let mut run = gateway.cli(&["status", "--json"]);
    assert_eq!(run.code(), 0, "{}", run.output());
    let status: Value = serde_json::from_str(&run.stdout()).unwrap();
    status["config"].clone()
}

#[test]
fn what_guides_show_can_be_pasted() {
    let dir = Dir::new();
    let guide = dir.file("guide.json5", GUIDE);
    let mut run = cli(&dir, &["config", "check", &guide, "--json"], &[]);
    assert_eq!(run.code(), 78, "{}", run.output());
    let checked: Value = serde_json::from_str(&run.stdout()).unwrap();
    let mistakes = checked["mistakes"].as_array().unwrap();
    let grave: Vec<&Value> = mistakes.iter().filter(|m| m["weight"] == "warning").collect();
    assert_eq!(grave.len(), 1, "only the token is none: {grave:?}");
    assert_eq!(grave[0]["path"], "channels.discord.token");
    assert_eq!((&grave[0]["line"], &grave[0]["column"]), (&json!(16), &json!(7)));
    let named: Vec<&str> = mistakes.iter().filter_map(|m| m["path"].as_str()).collect();
    for path in ["channels.whatsapp", "channels.telegram", "connection.healthCheck"] {
        assert!(named.contains(&path), "{named:?}");
    }
    let code = dir.file("code.json5", CODE);
    let output = said(&dir, &["config", "check", &code], &[("DISCORD_BOT_TOKEN", "a.b.c")], 0);
    assert!(output.contains("heartbeat_priority") && output.contains("not needed"), "{output}");
}

#[test]
fn every_mistake_is_told_at_once_with_its_place_and_cure() {
    let dir = Dir::new();
    let file = dir.file(
        "wrong.json5",
        "{\n  channels: {discord: {accounts: {work: {dmPolcy: 'open'}},\n    guilds: {'1': \
         {requireMenton: true}}, textChunkLimit: 5}},\n  chanels: {},\n}\n",
    );
    let output = said(&dir, &["config", "check", &file], &[], 78);
    for told in [
        "channels.discord.accounts.work.dmPolcy (line 2, column 42)",
        "did you mean channels.discord.accounts.work.dmPolicy?",
        "channels.discord.guilds.1.requireMenton (line 3",
        "did you mean channels.discord.guilds.1.requireMention?",
        "a whole number from 100 to 2000",
        "chanels (line 4, column 3)",
        "4 mistakes",
    ] {
        assert!(output.contains(told), "{told:?} is not in: {output}");
    }
}

#[test]
fn a_first_file_is_right_and_a_gateway_starts_with_it() {
    let dir = Dir::new();
    for template in ["multi", "single"] {
        let file = path_text(&dir.0.join(template).join("first.json5"));
        let init = ["config", "init", "--template", template, "--config", &file];
        said(&dir, &init, &[], 0);
        let again = said(&dir, &init, &[], 64);
        assert!(again.contains("there already") && again.contains("--force"), "{again}");
        said(&dir, &["config", "check", &file], &[], 0);
    }
    let sandbox = Sandbox::start();
    let file = path_text(&dir.0.join("single/first.json5"));
    let plan = Plan::new(&dir, &sandbox.api).env("BARNACLE_CONFIG", &file);
    let gateway = Gateway::of(plan, dir);
    gateway.await_channel("connected");
    assert_eq!(gateway.run.count(" WARN  [config] "), 0, "{}", gateway.run.output());
    let config = standing(&gateway);
    assert_eq!((&config["usingLastGood"], &config["file"]), (&json!(false), &json!(file)));
}

#[test]
fn a_setting_is_changed_and_nothing_else_and_the_connection_stays() {
    let sandbox = Sandbox::start();
    let text = "// Our bot.\n{\n  channels: {\n    discord: {\n      requireMention: true, // be \
                quiet\n    },\n  },\n}\n";
    let mut gateway = Gateway::configured(&sandbox.api, text);
    gateway.await_channel("connected");
    let file = path_text(&gateway.dir.0.join("b.json5"));
    let set = |args: &[&str]| {
        let mut words = vec!["config"];
        words.extend(args);
        words.extend(["--config", &file]);
        let mut run = gateway.cli(&words);
        (run.code(), run.output())
    };
    let (code, output) = set(&["set", "channels.discord.requireMention", "false"]);
    assert!(code == 0 && output.contains("without a new connection: default"), "{output}");
    let expected = text.replace("requireMention: true", "requireMention: false");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
    assert_eq!(std::fs::read_to_string(format!("{file}.bak")).unwrap(), text);
    // Wrong values and typos are refused, and change nothing.
    for (path, value, cure) in [
        ("channels.discord.dmPolicy", "opne", "did you mean \"open\"?"),
        ("channels.discord.dmPolcy", "open", "did you mean channels.discord.dmPolicy?"),
        ("channels.discord.requireMention.x", "1", "true or false already"),
    ] {
        let (code, output) = set(&["set", path, value]);
        assert!(code != 0 && output.contains(cure), "{output}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
    let id = sandbox.say(&json!({"text": "no mention, as is allowed now"}));
    sandbox.answer(&id);
    assert_eq!(sandbox.state().connects(0), 1, "no connection was made anew");
    assert_eq!(set(&["unset", "channels.discord.requireMention"]).0, 0);
    let left = std::fs::read_to_string(&file).unwrap();
    assert!(left.contains("// be quiet") && !left.contains("requireMention"), "{left}");
    let (code, output) = set(&["get", "channels.discord.requireMention"]);
    assert!(code == 64 && output.contains("not set"), "{output}");
    assert_eq!(gateway.stop(), 0);
}

#[test]
fn openclaws_file_is_taken_over_and_stays_as_it_is() {
    let dir = Dir::new();
    std::fs::create_dir_all(dir.0.join(".openclaw")).unwrap();
    let theirs = "{\n  // ours\n  \"meta\": { \"x\": 1 },\n  \"channels\": {\n    \"discord\": { \
                  \"token\": \"hunter2.hunter2\", \"groupPolicy\": \"open\" }\n  },\n  \
                  \"gateway\": { \"auth\": { \"token\": \"${GATEWAY_TOKEN}\" } }\n}\n";
    dir.file(".openclaw/openclaw.json", theirs);
    dir.file(".openclaw/.env", "GATEWAY_TOKEN=hunter2\n");
    let output = said(&dir, &["config", "import", "--dry-run"], &[], 0);
    for told in
        ["taken over   channels.discord.token", "left out     meta", "GATEWAY_TOKEN is set in"]
    {
        assert!(output.contains(told), "{told:?} is not in: {output}");
    }
    assert!(output.contains("\"***\"") && !output.contains("hunter2"), "{output}");
    assert!(!dir.0.join(".config").exists(), "a dry run writes nothing");
    // Their file is read as it is, but not written to.
    let refused = said(&dir, &["config", "set", "channels.discord.dmPolicy", "open"], &[], 78);
    assert!(refused.contains("config import"), "{refused}");
    said(&dir, &["config", "import"], &[], 0);
    assert_eq!(read(&dir, ".openclaw/openclaw.json"), theirs);
    let ours = read(&dir, ".config/barnacle/barnacle.json5");
    assert!(ours.contains("// ours") && ours.contains("hunter2.hunter2"), "{ours}");
    assert!(ours.contains("\"${GATEWAY_TOKEN}\"") && !ours.contains("meta"), "{ours}");
    let output = said(&dir, &["config", "import"], &[], 64);
    assert!(output.contains("--force"), "{output}");
    let hidden = said(&dir, &["config", "get", "channels.discord.token"], &[], 0);
    assert!(hidden.contains("***") && !hidden.contains("hunter2"), "{hidden}");
    let shown = said(&dir, &["config", "get", "token", "--show-secrets"], &[], 64);
    assert!(!shown.contains("hunter2"), "{shown}");
    let args = ["config", "get", "channels.discord.token", "--show-secrets"];
    assert!(said(&dir, &args, &[], 0).contains("hunter2.hunter2"));
    let path = said(&dir, &["config", "path"], &[], 0);
    assert!(path.trim_end().ends_with(".config/barnacle/barnacle.json5"), "{path}");
}

#[test]
fn the_schema_for_editors_is_json() {
    let dir = Dir::new();
    let output = said(&dir, &["config", "schema"], &[], 0);
    let schema: Value = serde_json::from_str(&output).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

#[test]
fn the_status_says_when_the_last_good_file_holds() {
    let sandbox = Sandbox::start();
    let mut gateway = Gateway::configured(&sandbox.api, "{channels: {discord: {}}}");
    gateway.await_channel("connected");
    assert_eq!(gateway.stop(), 0);
    gateway.dir.file("b.json5", "{channels: {discord: {}");
    gateway.again();
    gateway.await_channel("connected");
    let config = standing(&gateway);
    assert_eq!(config["usingLastGood"], true, "{config}");
    assert!(config.to_string().contains("never closed"), "{config}");
}
