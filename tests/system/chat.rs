//! Talking to the agents by the control protocol, as a dashboard does it: what is told while it
//! goes on, what is kept of it, and what is left of it when something ends in the middle.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use async_tungstenite::tungstenite::Message;
use async_tungstenite::tungstenite::client::client_with_config;
use async_tungstenite::tungstenite::protocol::WebSocket;
use serde_json::{Value, json};

use crate::harness::{Gateway, PATIENCE, Sandbox, millis, pause, wait};

/// Does what the message says.
const PROGRAM: &str = r#"
IFS= read -r message || true
case $message in
*'"text":"hang'*) echo $$ > main.pid; sleep 600 ;;
*'"text":"once'*)
    case $message in *'"attempt":0'*) echo $$ > main.pid; sleep 600 ;; esac
    echo 'answered at last' ;;
*'"text":"fail'*) exit 7 ;;
*'"text":"slow'*) echo $$ > main.pid; sleep 1; echo once >> ran; echo slowly ;;
*'"text":"where'*) printf '%s' "$message" | sed 's/.*"session":"\([^"]*\)".*/\1/' ;;
*) printf 'said %s' "$(printf %s "$message" | sed 's/.*"text":"\([^"]*\)".*/\1/')" ;;
esac
"#;

/// A client that is connected, and remembers what it was told.
struct Client {
    socket: WebSocket<TcpStream>,
    events: Vec<Value>,
    count: u64,
}

impl Client {
    fn connect(gateway: &Gateway) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", gateway.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let (socket, _) = client_with_config("ws://localhost/", stream, None).unwrap();
        let mut client = Client { socket, events: Vec::new(), count: 0 };
        let hello = client.ask(
            "connect",
            &json!({
                "minProtocol": 4, "maxProtocol": 4, "role": "operator", "caps": [],
                "client": {
                    "id": "gateway-client", "version": "1", "platform": "x", "mode": "backend",
                },
                "scopes": ["operator.read", "operator.write", "operator.admin"],
                "auth": {"token": gateway.token()},
            }),
        );
        assert_eq!(hello["payload"]["type"], "hello-ok", "{hello}");
        client
    }

    fn next(&mut self) -> Value {
        loop {
            match self.socket.read().expect("a frame") {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(frame) => panic!("closed: {frame:?}"),
                _ => {}
            }
        }
    }

    /// Begins to ask; the number of the question.
    fn begin(&mut self, method: &str, params: &Value) -> String {
        self.count += 1;
        let id = self.count.to_string();
        let frame = json!({"type": "req", "id": id, "method": method, "params": params});
        self.socket.send(Message::text(frame.to_string())).unwrap();
        id
    }

    fn answer(&mut self, id: &str) -> Value {
        loop {
            let frame = self.next();
            if frame["type"] == "res" && frame["id"] == id {
                return frame;
            }
            self.events.push(frame);
        }
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        let id = self.begin(method, params);
        self.answer(&id)
    }

    /// What a question that is granted is answered.
    fn done(&mut self, method: &str, params: &Value) -> Value {
        let mut answer = self.ask(method, params);
        assert_eq!(answer["ok"], true, "{method}: {answer}");
        answer["payload"].take()
    }

    fn send(&mut self, session: &str, run: &str, text: &str) -> Value {
        let params = json!({"sessionKey": session, "message": text, "idempotencyKey": run});
        self.done("chat.send", &params)
    }

    /// Everything that was told of `run` to those who follow `event`, up to its end.
    fn story(&mut self, event: &str, run: &str) -> Vec<Value> {
        loop {
            let of_run =
                |frame: &&Value| frame["event"] == event && frame["payload"]["runId"] == run;
            let told: Vec<Value> =
                self.events.iter().filter(of_run).map(|frame| frame["payload"].clone()).collect();
            let is_over = told.last().is_some_and(|last| {
                let phase = last["data"]["phase"].as_str().unwrap_or_default();
                ["final", "aborted", "error"].iter().any(|state| last["state"] == *state)
                    || ["end", "error"].contains(&phase)
            });
            if is_over {
                for (at, payload) in told.iter().enumerate() {
                    assert_eq!(payload["seq"], at as u64 + 1, "{told:?}");
                }
                return told;
            }
            let frame = self.next();
            self.events.push(frame);
        }
    }

    /// What `run` says at its end.
    fn end(&mut self, run: &str) -> (String, String) {
        let last = self.story("chat", run).pop().unwrap();
        let text = last["message"]["content"][0]["text"].as_str().unwrap_or_default();
        (last["state"].as_str().unwrap().to_owned(), text.to_owned())
    }

    /// The roles and texts of a session, and how each answer ended.
    fn history(&mut self, session: &str) -> Vec<(String, String)> {
        let history = self.done("chat.history", &json!({"sessionKey": session, "limit": 100}));
        let messages = history["messages"].as_array().unwrap();
        let shown = |message: &Value| {
            let role = match message["stopReason"].as_str() {
                None | Some("stop") => message["role"].as_str().unwrap(),
                Some(other) => other,
            };
            let text = message["content"][0]["text"].as_str();
            let text = text.or(message["errorMessage"].as_str()).unwrap_or_default();
            (role.to_owned(), text.to_owned())
        };
        messages.iter().map(shown).collect()
    }
}

fn pairs(lines: &[(&str, &str)]) -> Vec<(String, String)> {
    lines.iter().map(|&(role, text)| (role.to_owned(), text.to_owned())).collect()
}

/// With an agent that is a program, in a directory of its own.
fn with_program(sandbox: &Sandbox) -> Gateway {
    Gateway::with(&sandbox.api, |dir, plan| {
        let work = dir.0.join("work");
        std::fs::create_dir(&work).unwrap();
        let command = ["sh", "-c", PROGRAM];
        let agent = json!({"kind": "exec", "command": command, "workspace": work, "timeout": 60});
        let config = json!({"agents": {"defaults": agent}});
        plan.env("BARNACLE_CONFIG", &dir.file("b.json5", &config.to_string()))
    })
}

fn pid(gateway: &Gateway) -> String {
    let path = gateway.dir.0.join("work/main.pid");
    let read = || std::fs::read_to_string(&path).ok().filter(|pid| pid.ends_with('\n'));
    let pid = wait("the program", PATIENCE, read).trim().to_owned();
    std::fs::remove_file(path).unwrap();
    pid
}

fn await_end(pid: &str) {
    let is_there = || Path::new(&format!("/proc/{pid}")).exists();
    wait("the end of the program", PATIENCE, || (!is_there()).then_some(()));
}

#[test]
fn a_chat_is_told_piece_by_piece_kept_and_asked_once_for_each_key() {
    let sandbox = Sandbox::start();
    let gateway = with_program(&sandbox);
    let mut client = Client::connect(&gateway);
    let started = client.send("main", "run-1", "hello");
    assert_eq!((&started["status"], &started["runId"]), (&json!("started"), &json!("run-1")));
    let told = client.story("chat", "run-1");
    let states: Vec<&str> = told.iter().filter_map(|told| told["state"].as_str()).collect();
    assert_eq!(states, ["delta", "final"]);
    assert_eq!(told[0]["deltaText"], "said hello");
    assert_eq!(told[1]["message"]["content"][0]["text"], "said hello");
    assert!(told.iter().all(|told| told["sessionKey"] == "agent:main:main"));
    let told = client.story("agent", "run-1");
    let streams: Vec<&str> = told.iter().filter_map(|told| told["stream"].as_str()).collect();
    assert_eq!(streams, ["lifecycle", "assistant", "lifecycle"]);
    let talk = pairs(&[("user", "hello"), ("assistant", "said hello")]);
    assert_eq!(client.history("agent:main:main"), talk);
    let again = client.send("main", "run-1", "hello");
    assert_eq!((&again["status"], &again["runId"]), (&json!("ok"), &json!("run-1")));
    assert_eq!(client.history("MAIN"), talk, "it was not asked twice");
    let list = client.done("sessions.list", &json!({}));
    assert_eq!(list["sessions"][0]["key"], "agent:main:main");
    let why = client.done("why", &json!({"last": 1, "account": "webchat"}));
    assert_eq!(why["stories"][0]["outcome"], "answered", "{why}");
    assert_eq!(client.send("main", "run-2", "fail")["status"], "started");
    assert_eq!(client.end("run-2").0, "error");
    assert_eq!(client.history("main")[3].0, "error");
    assert_eq!(client.send("main", "run-3", "/status")["status"], "started");
    assert!(client.end("run-3").1.contains("discord"), "orders are carried out");
    // Our own chat cannot be unwell, and monitors hear nothing of it.
    let detail = gateway.get("/health/detail", &[]).json();
    let channels: Vec<&String> = detail["channels"].as_object().unwrap().keys().collect();
    assert_eq!(channels, ["discord"]);
}

#[test]
fn what_is_aborted_ends_and_what_waits_behind_it_goes_on() {
    let sandbox = Sandbox::start();
    let gateway = with_program(&sandbox);
    let mut client = Client::connect(&gateway);
    client.send("s", "first", "hang");
    let program = pid(&gateway);
    client.send("s", "second", "hello");
    let third = client.send("s", "third", "hang");
    assert_eq!(third["queuedBehind"], 2, "that it waits is said: {third}");
    assert_eq!(client.send("s", "second", "hello")["status"], "in_flight");
    let other = json!({"sessionKey": "another", "runId": "first"});
    assert_eq!(client.ask("chat.abort", &other)["ok"], false);
    let aborted = client.done("chat.abort", &json!({"sessionKey": "s", "runId": "first"}));
    assert_eq!((&aborted["aborted"], &aborted["runIds"]), (&json!(true), &json!(["first"])));
    assert_eq!(client.end("first").0, "aborted");
    await_end(&program);
    assert_eq!(client.end("second"), ("final".into(), "said hello".into()));
    let program = pid(&gateway);
    let history = client.done("chat.history", &json!({"sessionKey": "s"}));
    assert_eq!(history["inFlightRun"]["runId"], "third");
    let many = json!({"sessionKey": "s"});
    assert_eq!(client.done("chat.abort", &many)["runIds"], json!(["third"]));
    await_end(&program);
    assert_eq!(client.done("chat.abort", &many)["aborted"], false);
    let roles: Vec<String> = client.history("s").into_iter().map(|(role, _)| role).collect();
    assert_eq!(roles, ["user", "user", "user", "aborted", "assistant", "aborted"]);
}

#[test]
fn so_many_messages_wait_in_a_session_and_further_ones_are_refused_aloud() {
    let sandbox = Sandbox::start();
    let gateway = with_program(&sandbox);
    let mut client = Client::connect(&gateway);
    client.send("s", "0", "hang");
    pid(&gateway);
    (1..=20).for_each(|n| assert_eq!(client.send("s", &n.to_string(), "hi")["status"], "started"));
    let params = json!({"sessionKey": "s", "message": "hi", "idempotencyKey": "21"});
    let refused = client.ask("chat.send", &params);
    assert_eq!(refused["error"]["code"], "UNAVAILABLE", "{refused}");
    assert_eq!(refused["error"]["retryable"], true);
    client.send("t", "22", "hi");
    assert_eq!(client.end("22").0, "final", "another session has room");
    let stop = client.send("s", "stop", "/stop");
    assert_eq!(stop["status"], "started", "an order is not kept waiting: {stop}");
    assert_eq!(client.end("20").0, "aborted");
}

#[test]
fn a_turn_that_a_crash_cut_short_is_answered_once_and_not_for_ever() {
    let sandbox = Sandbox::start();
    let mut gateway = with_program(&sandbox);
    let mut client = Client::connect(&gateway);
    client.send("main", "once", "once more");
    pid(&gateway);
    client.send("other", "never", "hang");
    pid(&gateway);
    gateway.again();
    pid(&gateway);
    let mut client = Client::connect(&gateway);
    let answered = || {
        let history = Client::connect(&gateway).history("main");
        (history.len() > 1).then_some(history)
    };
    let history = wait("the answer", PATIENCE, answered);
    let talk = pairs(&[("user", "once more"), ("assistant", "answered at last")]);
    assert_eq!(history, talk);
    assert_eq!(client.send("main", "once", "once more")["status"], "ok");
    // The other one hangs again, and is not begun a third time.
    gateway.again();
    let mut client = Client::connect(&gateway);
    let again = client.send("main", "once", "once more");
    assert_eq!(again["status"], "ok", "known over a restart");
    let params = json!({"sessionKey": "main", "message": "once more", "idempotencyKey": "once"});
    let answer = client.done("agent", &params);
    assert_eq!(answer["result"]["payloads"][0]["text"], "answered at last");
    assert_eq!(client.history("main"), talk);
    let history = client.done("chat.history", &json!({"sessionKey": "other"}));
    assert!(history["inFlightRun"].is_null(), "{history}");
    let other = client.history("other");
    assert_eq!((other.len(), &*other[1].0), (2, "error"), "{other:?}");
    assert!(other[1].1.contains("interrupted"));
}

#[test]
fn a_talk_on_discord_is_a_session_that_can_be_read_begun_anew_and_forgotten() {
    let sandbox = Sandbox::start();
    let gateway = with_program(&sandbox);
    gateway.await_channel("connected");
    let first = sandbox.answer(&sandbox.direct("ann", "where am I"));
    assert_eq!(sandbox.answer(&sandbox.direct("ann", "hello")), "said hello");
    let mut client = Client::connect(&gateway);
    let list = client.done("sessions.list", &json!({}));
    let row = &list["sessions"][0];
    let key = row["key"].as_str().unwrap();
    assert!(key.starts_with("agent:main:discord:direct:"), "{list}");
    assert_eq!((&row["displayName"], &row["channel"]), (&json!("ann"), &json!("discord")));
    assert_eq!(row["sessionId"], first.trim());
    let history = client.history(key);
    assert_eq!(history[2..], pairs(&[("user", "hello"), ("assistant", "said hello")]));
    // Begun anew, as by /new in the chat.
    let reset = client.done("sessions.reset", &json!({"key": key}));
    assert_eq!(client.history(key), []);
    let second = sandbox.answer(&sandbox.direct("ann", "where now"));
    assert_ne!(second, first);
    assert_eq!(reset["entry"]["sessionId"], second.trim());
    assert_eq!(client.history(key).len(), 2);
    // Asked by the control port, it is the same conversation.
    client.send(key, "run", "where else");
    assert_eq!(client.end("run").1.trim(), second.trim());
    assert_eq!(client.history(key).len(), 4);
    // And said there, if that is wished for.
    let deliver = json!({
        "message": "hello", "sessionKey": key, "idempotencyKey": "told", "deliver": true,
    });
    let id = client.begin("agent", &deliver);
    assert_eq!(client.answer(&id)["payload"]["status"], "accepted");
    let told = client.answer(&id);
    assert_eq!(told["payload"]["delivery"], json!({"ok": true, "error": null}), "{told}");
    let is_there = |message: &&Value| message["content"] == "said hello";
    assert_eq!(sandbox.state().messages().into_iter().filter(is_there).count(), 2);
    let nowhere = json!({"message": "hello", "idempotencyKey": "nowhere", "deliver": true});
    assert_eq!(client.ask("agent", &nowhere)["error"]["code"], "INVALID_REQUEST");
    let deleted = client.done("sessions.delete", &json!({"key": key}));
    assert_eq!(deleted, json!({"ok": true, "key": key, "deleted": true, "archived": []}));
    assert_eq!(client.done("sessions.list", &json!({}))["totalCount"], 0);
    let kept = std::fs::read(gateway.dir.0.join("state/transcripts")).unwrap();
    assert!(!kept.windows(5).any(|bytes| bytes == b"where"), "the words are gone from the file");
    assert_eq!(client.done("sessions.delete", &json!({"key": key}))["deleted"], false);
}

#[test]
fn a_thousand_sessions_cost_little_and_are_there_after_a_restart() {
    let sandbox = Sandbox::start();
    let mut gateway = Gateway::start(&sandbox.api);
    let mut client = Client::connect(&gateway);
    client.send("warm", "warm", "warm");
    client.end("warm");
    let before = gateway.run.memory_kib("VmRSS");
    for n in 0..1000 {
        let (session, run) = (format!("session-{n:04}"), format!("run-{n}"));
        client.send(&session, &run, &format!("hello {n}"));
        assert_eq!(client.end(&run).0, "final");
        client.events.clear();
    }
    let grown = gateway.run.memory_kib("VmRSS").saturating_sub(before);
    println!("a thousand sessions: {grown} KiB");
    assert!(grown < 8 * 1024, "{grown} KiB");
    gateway.again();
    let mut client = Client::connect(&gateway);
    let list = client.done("sessions.list", &json!({"limit": 5, "offset": 2}));
    assert_eq!(list["totalCount"], 1001);
    let keys = list["sessions"].as_array().unwrap().iter().map(|row| row["key"].clone());
    let expected = [997, 996, 995, 994, 993].map(|n| format!("agent:main:session-{n:04}"));
    assert_eq!(keys.collect::<Vec<_>>(), expected);
    assert_eq!((&list["hasMore"], &list["nextOffset"]), (&json!(true), &json!(7)));
    let talk = pairs(&[("user", "hello 500"), ("assistant", "hello 500")]);
    assert_eq!(client.history("session-0500"), talk);
    let everything = client.done("sessions.list", &json!({"limit": 100_000}));
    assert!(everything.to_string().len() < 300_000, "one answer has its bounds");
}

#[test]
fn what_makes_no_sense_is_refused_with_its_reason_and_changes_nothing() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::start(&sandbox.api);
    let mut client = Client::connect(&gateway);
    let long = "x".repeat(600);
    let huge = "x".repeat(100_000);
    let sent = |key: &str, message: &str, run: &str, more: Value| {
        let mut params = json!({"sessionKey": key, "message": message, "idempotencyKey": run});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        params
    };
    let plain = |key: &str, message: &str, run: &str| sent(key, message, run, json!({}));
    let mut bad = vec![
        ("chat.send", json!({}), "sessionKey"),
        ("chat.send", json!({"sessionKey": "main"}), "message"),
        ("chat.send", json!({"sessionKey": "main", "message": "hi"}), "idempotencyKey"),
        ("chat.send", plain("main", " ", "1"), "message"),
        ("chat.send", sent("main", "hi", "1", json!({"sessionKey": 7})), "sessionKey"),
        ("chat.send", plain("agent:", "hi", "1"), "malformed"),
        ("chat.send", plain(&long, "hi", "1"), "longer"),
        ("chat.send", plain("a\u{1b}b", "hi", "1"), "control"),
        ("chat.send", plain("main", &huge, "1"), "longer"),
        ("chat.send", plain("main", "a\0b", "1"), "null"),
        ("chat.send", plain("main", "hi", &long), "idempotencyKey"),
        ("chat.send", plain("agent:nobody:main", "hi", "1"), "no agent"),
        ("chat.send", sent("main", "hi", "1", json!({"attachments": [{}]})), "attachments"),
        ("chat.send", sent("main", "hi", "1", json!({"agentId": "nobody"})), "no agent"),
    ];
    bad.extend([
        ("chat.history", json!({}), "sessionKey"),
        ("chat.history", json!([]), "sessionKey"),
        ("chat.history", Value::Null, "sessionKey"),
        ("chat.abort", json!({}), "sessionKey"),
        ("chat.nothing", json!({}), "unknown method"),
        ("sessions.nothing", json!({}), "unknown method"),
        ("sessions.reset", json!({}), "key"),
        ("sessions.delete", json!({"key": ""}), "key"),
        ("sessions.preview", json!({"keys": []}), "keys"),
        ("agent", json!({"message": ""}), "message"),
        ("agent.wait", json!({}), "runId"),
    ]);
    for (method, params, why) in bad {
        let answer = client.ask(method, &params);
        let (code, text) = (&answer["error"]["code"], answer["error"]["message"].as_str());
        assert_eq!(*code, "INVALID_REQUEST", "{method}: {answer}");
        assert!(text.unwrap_or_default().contains(why), "{method}: {answer}");
    }
    let odd = json!({"limit": "many", "offset": -1, "activeMinutes": 1.5, "search": 7});
    assert_eq!(client.done("sessions.list", &odd)["totalCount"], 0, "nothing was begun");
    let most = json!({"sessionKey": "main", "limit": u64::MAX, "maxChars": u64::MAX});
    assert_eq!(client.done("chat.history", &most)["messages"], json!([]));
    let unknown = client.done("agent.wait", &json!({"runId": "none", "timeoutMs": u64::MAX}));
    assert_eq!(unknown["status"], "timeout");
}

#[test]
fn the_agent_answers_twice_and_the_second_time_for_who_asks_again() {
    let sandbox = Sandbox::start();
    let gateway = with_program(&sandbox);
    let mut client = Client::connect(&gateway);
    let params = json!({"message": "hello", "idempotencyKey": "k", "sessionKey": "agent:main:ops"});
    let id = client.begin("agent", &params);
    let accepted = client.answer(&id);
    assert_eq!(accepted["payload"]["status"], "accepted", "{accepted}");
    let done = client.answer(&id);
    assert_eq!(done["payload"]["result"]["payloads"][0]["text"], "said hello", "{done}");
    let again = client.done("agent", &params);
    assert_eq!(again["result"], done["payload"]["result"], "it is answered once, with the same");
    assert_eq!(client.done("agent.wait", &json!({"runId": "k"}))["status"], "ok");
    assert_eq!(client.history("ops").len(), 2);
    let slow = json!({"message": "hang", "idempotencyKey": "slow", "timeout": 1});
    let id = client.begin("agent", &slow);
    assert_eq!(client.answer(&id)["payload"]["status"], "accepted");
    let program = pid(&gateway);
    let wait = client.done("agent.wait", &json!({"runId": "slow", "timeoutMs": 1}));
    assert_eq!(wait["status"], "timeout");
    let late = client.answer(&id);
    assert_eq!(late["error"]["code"], "AGENT_TIMEOUT", "{late}");
    await_end(&program);
    let agents = client.done("agents.list", &json!({}));
    assert_eq!((&agents["defaultId"], &agents["mainKey"]), (&json!("main"), &json!("main")));
}

#[test]
fn conversations_and_agents_are_listed_and_begun_anew_on_the_command_line() {
    let sandbox = Sandbox::start();
    let gateway = with_program(&sandbox);
    let document = |args: &[&str]| -> Value {
        let mut run = gateway.cli(&[args, &["--json"]].concat());
        assert_eq!(run.code(), 0, "{args:?}: {}", run.output());
        serde_json::from_str(&run.stdout()).unwrap()
    };
    assert!(gateway.cli(&["sessions"]).stdout().contains("nobody has talked"));
    let asked = |text: &str| {
        let args = ["agent", "--message", text, "--session-key", "agent:main:ops"];
        let mut run = gateway.cli(&args);
        assert_eq!(run.code(), 0, "{}", run.output());
        run.stdout().trim().to_owned()
    };
    let first = asked("where am I");
    assert_eq!(asked("where now"), first, "one conversation");
    assert!(gateway.cli(&["sessions", "list"]).stdout().contains("agent:main:ops"));
    let list = document(&["sessions", "--active", "60"]);
    assert_eq!((&list["totalCount"], &list["activeMinutes"]), (&json!(1), &json!(60)));
    assert_eq!(list["sessions"][0]["sessionId"], *first);
    assert_eq!(document(&["sessions", "reset", "agent:main:ops"])["ok"], true);
    assert_ne!(asked("where else"), first);
    let told = gateway.cli(&["sessions", "delete", "agent:main:ops", "nothing"]).stdout();
    assert!(told.contains("forgotten: agent:main:ops"), "{told}");
    assert!(told.contains("there is no session agent:main:nothing"), "{told}");
    assert_eq!(gateway.cli(&["sessions", "delete", "agent:"]).code(), 65);
    let agents = document(&["agents", "list", "--bindings"]);
    assert_eq!((&agents[0]["id"], &agents[0]["kind"]), (&json!("main"), &json!("exec")));
    assert!(gateway.cli(&["agents"]).stdout().contains("wherever no other is bound"));
}

#[test]
fn an_agent_that_speaks_in_pieces_is_heard_in_pieces() {
    const PIECES: u64 = 6;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        for piece in 0..PIECES {
            stream.write_all(format!("data: {piece} \n\n").as_bytes()).unwrap();
            pause(millis(200));
        }
    });
    let sandbox = Sandbox::start();
    let agent = json!({"kind": "http", "url": url});
    let config = json!({"agents": {"defaults": agent}});
    let gateway = Gateway::configured(&sandbox.api, &config.to_string());
    let mut client = Client::connect(&gateway);
    client.send("main", "run", "count");
    let told = client.story("chat", "run");
    let deltas: Vec<&str> = told.iter().filter_map(|told| told["deltaText"].as_str()).collect();
    assert!(deltas.len() > 2, "{told:?}");
    assert_eq!(deltas.concat().trim(), "0 1 2 3 4 5");
    let last = told.last().unwrap();
    assert_eq!(last["message"]["content"][0]["text"], "0 1 2 3 4 5");
    assert_eq!(client.history("main")[1].1, "0 1 2 3 4 5", "one line of them all");
}

#[test]
fn what_is_being_answered_when_the_gateway_is_to_stop_is_answered_first() {
    let sandbox = Sandbox::start();
    let mut gateway = with_program(&sandbox);
    let mut client = Client::connect(&gateway);
    client.send("main", "run", "slow");
    pid(&gateway);
    assert_eq!(gateway.stop(), 0, "{}", gateway.run.output());
    let mode = std::fs::metadata(gateway.dir.0.join("state/transcripts")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(&mode.permissions());
    assert_eq!(mode & 0o777, 0o600, "nobody else reads what is said");
    gateway.again();
    let mut client = Client::connect(&gateway);
    assert_eq!(client.send("main", "run", "slow")["status"], "ok");
    assert_eq!(client.history("main"), pairs(&[("user", "slow"), ("assistant", "slowly")]));
    let ran = std::fs::read_to_string(gateway.dir.0.join("work/ran")).unwrap();
    assert_eq!(ran, "once\n");
}

#[test]
fn a_binding_of_our_own_chat_says_who_answers_there_and_others_are_named() {
    let sandbox = Sandbox::start();
    let speaks = |word: &str| json!({"kind": "exec", "command": ["echo", word]});
    let config = json!({
        "agents": {"entries": {"main": speaks("one"), "Helper": speaks("two")}},
        "bindings": [
            {"agentId": "main", "match": {"channel": "discord"}},
            {"agentId": "Helper", "match": {"channel": "webchat"}},
        ],
    });
    let gateway = Gateway::configured(&sandbox.api, &config.to_string());
    let mut client = Client::connect(&gateway);
    let mut asked = |session: &str| {
        let started = client.send(session, session, "who are you?");
        let key = started["sessionKey"].as_str().unwrap().to_owned();
        (key, client.end(session).1)
    };
    let answers = |key: &str, word: &str| (key.to_owned(), word.to_owned());
    assert_eq!(asked("main"), answers("agent:helper:main", "two"));
    assert_eq!(asked("agent:main:x"), answers("agent:main:x", "one"));
    assert_eq!(asked("agent:HELPER:x"), answers("agent:helper:x", "two"));
    let of_main = client.done("sessions.list", &json!({"agentId": "main"}));
    assert_eq!((&of_main["totalCount"], &of_main["count"]), (&json!(1), &json!(1)));
    let found = client.done("sessions.list", &json!({"search": "HELPER", "limit": 1}));
    assert_eq!((&found["totalCount"], &found["hasMore"]), (&json!(2), &json!(true)));
    let keys = json!({"keys": ["agent:main:x", "agent:main:nothing"], "maxChars": 20});
    let previews = client.done("sessions.preview", &keys);
    assert_eq!(previews["previews"][0]["items"][1], json!({"role": "assistant", "text": "one"}));
    assert_eq!(previews["previews"][1]["status"], "missing");
}
