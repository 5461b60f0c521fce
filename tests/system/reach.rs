//! What agents may reach outside, and what they must not, whatever somebody talks them into: our
//! state, our configuration, our process, our socket, private addresses, and other people's notes.

use std::net::Shutdown;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::harness::{Gateway, PATIENCE, Run, Sandbox, binary, path_text, wait};
use crate::provider::{self, Provider};

/// Tries to get at everything that is not its own, and says what came of it.
const SNOOP: &str = r#"
see() { if "$@" > seen 2>&1; then echo "$1: open"; else echo "$1: shut"; fi; }
read -r message
echo own > own; see cat own
see ls "$STATE"
see cat "$STATE/gateway.token"
see cat "$CONFIG"
see cat "/proc/$PPID/environ"
see ls /proc/1/cwd
see ls /home
see kill -0 "$PPID"
see "$BIN" channels status
see cp own "$STATE/planted"
"#;

#[test]
fn a_confined_agent_sees_neither_our_state_nor_our_process_and_cannot_ask_us() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::with(&sandbox.api, |dir, plan| {
        let work = dir.0.join("work");
        std::fs::create_dir(&work).unwrap();
        let (state, file) = (path_text(&dir.0.join("state")), path_text(&dir.0.join("b.json5")));
        let bin = path_text(&binary());
        let config = json!({"agents": {"defaults": {
            "command": ["sh", "-c", SNOOP], "workspace": work, "confine": true,
            "readable": [bin],
            "env": {"STATE": state, "CONFIG": file, "BIN": bin, "BARNACLE_STATE_DIR": state},
        }}});
        let plan = plan.env("BARNACLE_STATE_DIR", &state);
        plan.env("BARNACLE_CONFIG", &dir.file("b.json5", &config.to_string()))
    });
    gateway.await_channel("connected");
    let answer = sandbox.answer(&sandbox.direct("7", "look around"));
    let lines: Vec<&str> = answer.lines().collect();
    assert_eq!(lines.first(), Some(&"cat: open"), "its own it has: {answer}");
    let is_shut = |line: &&str| line.ends_with(": shut");
    // Signals are Linux 6.12's; all else every kernel with Landlock keeps.
    let must: Vec<&&str> = lines.iter().skip(1).filter(|line| !line.starts_with("kill")).collect();
    assert!(must.len() == 8 && must.iter().all(|line| is_shut(line)), "{answer}");
    assert!(!gateway.dir.0.join("state/planted").exists());
}

#[test]
fn the_command_that_builds_the_walls_is_there_for_everybody() {
    let gone = |args: &[&str]| {
        let mut run = Run::start(args, &[("PATH", "/usr/bin:/bin"), ("HOME", "/")]);
        (run.code(), run.output())
    };
    let dir = crate::harness::Dir::new();
    let (own, other) = (dir.file("own", "o"), dir.file("other", "x"));
    let (code, said) = gone(&["confine", "--read", &own, "--", "cat", &own]);
    assert_eq!((code, said.as_str()), (0, "o\n"));
    assert_ne!(gone(&["confine", "--read", &own, "--", "cat", &other]).0, 0);
    let all = path_text(&dir.0);
    assert_eq!(gone(&["confine", "--read", &all, "--", "cat", &other]).0, 0);
    assert_ne!(gone(&["confine", "--read", &all, "--hide", &other, "--", "cat", &other]).0, 0);
    assert_eq!(gone(&["confine", "--", "sh", "-c", "exit 7"]).0, 7);
    assert_eq!(gone(&["confine", "--", "no-such-program"]).0, 65);
}

/// A model that calls the tool whose name and arguments the last message has, and then says what
/// the tool has given.
fn model(offered: Arc<Mutex<Vec<String>>>) -> String {
    let provider = Provider::start(move |_, body, out| {
        provider::tell(out, &answer(body, &offered))?;
        out.shutdown(Shutdown::Both)
    });
    provider.url()
}

fn answer(body: &Value, offered: &Mutex<Vec<String>>) -> Value {
    let tools = body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names = tools.iter().map(|tool| tool["function"]["name"].as_str().unwrap().to_owned());
    *offered.lock().unwrap() = names.collect();
    let last = body["messages"].as_array().unwrap().last().unwrap();
    let text = match &last["content"] {
        Value::String(text) => text.clone(),
        parts => parts[0]["text"].as_str().unwrap_or_default().to_owned(),
    };
    let choice = if last["role"] == "tool" {
        json!({"message": {"content": format!("told: {text}")}, "finish_reason": "stop"})
    } else {
        let (name, arguments) = text.split_once(' ').unwrap_or((&text, "{}"));
        let function = json!({"name": name, "arguments": arguments});
        let call = json!({"id": "c1", "type": "function", "function": function});
        json!({"message": {"content": "", "tool_calls": [call]}, "finish_reason": "tool_calls"})
    };
    json!({ "choices": [choice] })
}

/// A gateway whose model has these keys at the top of the file, and what it was offered last.
fn with_model(keys: impl FnOnce(&str) -> Value) -> (Sandbox, Gateway, Arc<Mutex<Vec<String>>>) {
    let offered = Arc::default();
    let url = model(Arc::clone(&offered));
    let sandbox = Sandbox::start();
    let gateway = Gateway::with(&sandbox.api, |dir, plan| {
        let state = path_text(&dir.0.join("state"));
        let mut config = keys(&state);
        config["models"] = json!({"providers": {"here": {"baseUrl": url, "apiKey": "k-secret-k"}}});
        config["agents"] = json!({"defaults": {"model": "here/model"}});
        let plan = plan.env("BARNACLE_STATE_DIR", &state);
        plan.env("BARNACLE_CONFIG", &dir.file("b.json5", &config.to_string()))
    });
    gateway.await_channel("connected");
    (sandbox, gateway, offered)
}

fn asked(sandbox: &Sandbox, author: &str, tool: &str, arguments: &Value) -> String {
    sandbox.answer(&sandbox.direct(author, &format!("{tool} {arguments}")))
}

#[test]
fn notes_are_kept_for_who_made_them_and_nobody_else() {
    let (sandbox, mut gateway, _) = with_model(|_| json!({}));
    let note = json!({"text": "the code of the door is blue-sky"});
    assert_eq!(asked(&sandbox, "7", "memory_save", &note), "told: noted (1)");
    gateway.stop();
    gateway.again();
    gateway.await_channel("connected");
    let query = json!({"query": "DOOR code"});
    let found = asked(&sandbox, "7", "memory_search", &query);
    assert!(found.contains("blue-sky"), "{found}");
    let other = asked(&sandbox, "8", "memory_search", &query);
    assert!(other.contains("nothing is noted"), "{other}");
    let taken = asked(&sandbox, "8", "memory_forget", &json!({"id": 1}));
    assert!(!taken.contains("is forgotten"), "{taken}");
    let mut listed = gateway.cli(&["memory", "list"]);
    assert_eq!(listed.code(), 0);
    assert!(listed.stdout().contains("blue-sky"), "{}", listed.output());
    assert_eq!(gateway.cli(&["memory", "forget", "1"]).code(), 0);
    let mut listed = gateway.cli(&["memory", "list"]);
    assert_eq!(listed.code(), 0);
    assert!(listed.stdout().contains("nothing is noted"), "{}", listed.output());
}

/// A server of tools in Python, as somebody would write it.
const SERVER: &str = r#"
import json, os, sys
def tool(name): return {"name": name, "description": name, "inputSchema": {"type": "object"}}
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message: continue
    method, name = message["method"], message.get("params", {}).get("name")
    if method == "initialize":
        result = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                  "serverInfo": {"name": "toy", "version": "1"}}
    elif method == "tools/list":
        result = {"tools": [tool("add"), tool("snoop"), tool("die")]}
    elif name == "die": sys.exit(3)
    elif name == "snoop":
        try: text = open(os.environ["STATE"] + "/gateway.token").read()
        except OSError as error: text = "shut: " + error.strerror
        result = {"content": [{"type": "text", "text": text}]}
    else: result = {"content": [{"type": "text", "text": "two and two are four"}]}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"#;

fn is_state(gateway: &Gateway, server: &str, state: &str) -> Option<Value> {
    let mut run = gateway.cli(&["mcp", "list", "--json"]);
    assert_eq!(run.code(), 0, "{}", run.output());
    let told: Value = serde_json::from_str(&run.stdout()).unwrap();
    let all = told["servers"].as_array().unwrap();
    all.iter().find(|one| one["name"] == server && one["state"] == state).cloned()
}

#[test]
fn tools_that_reach_outside_are_used_by_those_who_may_and_stay_within_their_walls() {
    let (sandbox, gateway, offered) = with_model(|state| {
        json!({
            "tools": {
                "alsoAllow": ["http_fetch", "run", "toy__*"],
                "web": {"fetch": {"allow": ["*", "http://localhost:1", "http://127.0.0.1:1"]}},
                "run": {"programs": {
                    "snoop": {"command": ["sh", "-c", "ls \"$1\"; env", "snoop"],
                        "parameters": [{"name": "where", "type": "string"}],
                        "env": {"OWN": "own-secret-own"}},
                }},
            },
            "mcp": {"servers": {
                "toy": {"command": "/usr/bin/python3", "args": ["-c", SERVER],
                    "env": {"STATE": state}},
                "broken": {"command": "false"},
            }},
        })
    });
    wait("the server", PATIENCE, || is_state(&gateway, "toy", "ready"));
    let broken = wait("the other", PATIENCE, || is_state(&gateway, "broken", "down"));
    assert!(broken["why"].as_str().unwrap().contains("exit status 1"), "{broken}");
    // Whatever is asked for, and however it is spelt, nothing on this machine is fetched.
    for url in [
        "http://localhost:1/",
        "http://127.0.0.1:1/",
        "https://localhost/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://2130706433/",
        "https://0x7f.1/",
        "http://169.254.169.254/",
        "file:///etc/passwd",
        "https://user@localhost/",
    ] {
        let said = asked(&sandbox, "7", "http_fetch", &json!({ "url": url }));
        assert!(said.starts_with("told: ") && !said.contains("HTTP 200"), "{url}: {said}");
        let is_refused =
            ["allowPrivate", "tools.web.fetch.allow", "no plain web address", "only https"];
        assert!(is_refused.iter().any(|words| said.contains(words)), "{url}: {said}");
    }
    let state = path_text(&gateway.dir.0.join("state"));
    let said = asked(&sandbox, "7", "run", &json!({"program": "snoop", "args": [state]}));
    assert!(said.contains("Permission denied") && !said.contains("gateway.token"), "{said}");
    assert!(!said.contains("BARNACLE_STATE_DIR") && !said.contains("own-secret-own"), "{said}");
    let said = asked(&sandbox, "7", "run", &json!({"program": "snoop", "args": ["--all"]}));
    assert!(said.contains("may not begin with -"), "{said}");
    let said = asked(&sandbox, "7", "toy__add", &json!({}));
    assert_eq!(said, "told: two and two are four");
    let said = asked(&sandbox, "7", "toy__snoop", &json!({}));
    assert!(said.starts_with("told: shut: Permission denied"), "{said}");
    asked(&sandbox, "7", "toy__die", &json!({}));
    let again = wait("the server again", PATIENCE, || is_state(&gateway, "toy", "ready"));
    assert!(again["starts"].as_u64().unwrap() > 1, "{again}");
    let offered = offered.lock().unwrap();
    assert!(offered.iter().any(|name| name == "toy__add"), "{offered:?}");
    assert!(!gateway.run.output().contains("own-secret-own"));
}

#[test]
fn nobody_reaches_outside_unless_the_file_says_who() {
    let (sandbox, _gateway, offered) = with_model(|_| {
        json!({"tools": {
            "web": {"fetch": {"allow": ["example.org"]}},
            "run": {"programs": {"id": {"command": ["id"]}}},
        }})
    });
    let said = asked(&sandbox, "7", "run", &json!({"program": "id"}));
    assert!(!said.contains("uid="), "{said}");
    let offered = offered.lock().unwrap();
    assert!(!offered.iter().any(|name| name == "run" || name == "http_fetch"), "{offered:?}");
}
