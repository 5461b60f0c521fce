//! The control protocol as clients meet it that are not ours: by the port and by the socket, well
//! behaved and hostile.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use async_tungstenite::tungstenite::client::client_with_config;
use async_tungstenite::tungstenite::protocol::WebSocket;
use async_tungstenite::tungstenite::{Error, Message};
use serde_json::{Value, json};

use crate::harness::{Gateway, PATIENCE, Sandbox, Signal, seconds};

/// Bytes either way.
pub(crate) trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

pub(crate) fn port(gateway: &Gateway) -> Box<dyn Wire> {
    let stream = TcpStream::connect(("127.0.0.1", gateway.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Box::new(stream)
}

pub(crate) fn socket(gateway: &Gateway) -> Box<dyn Wire> {
    let stream = UnixStream::connect(gateway.dir.0.join("state/barnacle.sock")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    Box::new(stream)
}

/// Both ways in.
const DOORS: [Door; 2] = [port, socket];

type Door = fn(&Gateway) -> Box<dyn Wire>;

pub(crate) struct Client(WebSocket<Box<dyn Wire>>);

impl Client {
    fn open(wire: Box<dyn Wire>) -> Client {
        let (socket, _) = client_with_config("ws://localhost/", wire, None).unwrap();
        let mut client = Client(socket);
        let challenge = client.next().unwrap();
        assert_eq!(challenge["event"], "connect.challenge");
        assert!(challenge["payload"]["nonce"].is_string() && challenge["seq"].is_null());
        client
    }

    /// One that has been let in.
    pub(crate) fn known(gateway: &Gateway, wire: Box<dyn Wire>) -> Client {
        let mut client = Client::open(wire);
        let answer = client.connect(&json!({"auth": {"token": gateway.token()}}));
        assert_eq!(answer["payload"]["type"], "hello-ok", "{answer}");
        client
    }

    fn connect(&mut self, more: &Value) -> Value {
        let mut params = json!({
            "minProtocol": 4, "maxProtocol": 4, "role": "operator", "caps": [],
            "client": {"id": "gateway-client", "version": "1", "platform": "x", "mode": "backend"},
            "scopes": ["operator.read", "operator.write", "operator.admin"],
        });
        for (key, value) in more.as_object().unwrap() {
            params[key] = value.clone();
        }
        self.ask("connect", &params)
    }

    pub(crate) fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.say(&json!({"type": "req", "id": "7", "method": method, "params": params}));
        loop {
            let frame = self.next().unwrap();
            if frame["type"] == "res" {
                return frame;
            }
        }
    }

    fn say(&mut self, frame: &Value) {
        self.send(Message::text(frame.to_string()));
    }

    fn send(&mut self, message: Message) {
        // A door may be shut while we still talk.
        let _ = self.0.send(message);
    }

    /// The next frame, or how the connection was closed.
    fn next(&mut self) -> Result<Value, (u16, String)> {
        loop {
            match self.0.read() {
                Ok(Message::Text(text)) => return Ok(serde_json::from_str(&text).unwrap()),
                Ok(Message::Close(Some(frame))) => {
                    return Err((frame.code.into(), frame.reason.to_string()));
                }
                Ok(Message::Close(None)) => return Err((1005, String::new())),
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!("nothing came");
                }
                Err(error) => return Err((1006, error.to_string())),
            }
        }
    }

    /// How the connection is closed, whatever comes before.
    fn closed(&mut self) -> (u16, String) {
        loop {
            if let Err(closed) = self.next() {
                return closed;
            }
        }
    }
}

#[test]
fn whoever_has_the_token_gets_in_and_is_told_what_there_is() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    for door in DOORS {
        let mut client = Client::open(door(&gateway));
        let hello = client.connect(&json!({"auth": {"token": gateway.token()}, "unknown": 1}));
        let payload = &hello["payload"];
        assert_eq!((&hello["ok"], &payload["protocol"]), (&json!(true), &json!(4)));
        for (pointer, kind) in [
            ("/server/version", "string"),
            ("/server/connId", "string"),
            ("/server/bootId", "string"),
            ("/features/methods/0", "string"),
            ("/features/events/0", "string"),
            ("/snapshot/presence", "array"),
            ("/snapshot/health", "object"),
            ("/snapshot/stateVersion/presence", "number"),
            ("/snapshot/uptimeMs", "number"),
            ("/policy/maxPayload", "number"),
            ("/policy/maxBufferedBytes", "number"),
            ("/policy/tickIntervalMs", "number"),
        ] {
            let value = payload.pointer(pointer).unwrap_or_else(|| panic!("{pointer}: {hello}"));
            let is = match kind {
                "string" => value.is_string(),
                "array" => value.is_array(),
                "object" => value.is_object(),
                _ => value.is_u64(),
            };
            assert!(is, "{pointer}: {value}");
        }
        assert_eq!(payload["auth"]["scopes"].as_array().unwrap().len(), 3);
        assert_eq!(client.ask("health", &json!({}))["payload"]["ok"], true);
        let present = client.ask("system-presence", &json!({}))["payload"].clone();
        assert_eq!((&present[0]["mode"], &present[1]), (&json!("gateway"), &Value::Null));
        // Nonsense after the hello is answered or passed over, and the connection goes on.
        client.send(Message::text("{"));
        let answer = client.ask("no.such.method", &json!({}));
        assert_eq!(answer["error"]["code"], "INVALID_REQUEST");
        client.say(&json!({"type": "req", "id": 5}));
        assert_eq!(client.next().unwrap()["id"], "invalid");
        assert_eq!(client.ask("connect", &json!({}))["ok"], false);
        assert_eq!(client.ask("status", &json!({}))["ok"], true);
    }
}

#[test]
fn who_may_little_is_told_what_is_missing() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    let mut client = Client::open(port(&gateway));
    let scopes = json!({"auth": {"token": gateway.token()}, "scopes": ["operator.read", "x"]});
    assert_eq!(client.connect(&scopes)["payload"]["auth"]["scopes"], json!(["operator.read"]));
    assert_eq!(client.ask("status", &json!({}))["ok"], true);
    for method in ["gateway.stop", "no.such.method"] {
        let error = client.ask(method, &json!({}))["error"].clone();
        assert_eq!(error["code"], "FORBIDDEN", "{error}");
        assert_eq!(error["details"]["code"], "MISSING_SCOPE");
        assert_eq!(error["details"]["missingScope"], "operator.admin");
    }
    let mut tester = Client::open(port(&gateway));
    let test = json!({"auth": {"token": gateway.token()},
        "client": {"id": "test", "version": "1", "platform": "x", "mode": "test"}});
    assert_eq!(tester.connect(&test)["payload"]["auth"]["scopes"], json!([]));
    assert_eq!(tester.ask("health", &json!({}))["ok"], true);
    assert_eq!(tester.ask("status", &json!({}))["ok"], false);
}

#[test]
fn who_does_not_get_in_is_told_why_and_closed_by_the_table() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::start(&sandbox.api);
    let token = gateway.token();
    let old = json!({"minProtocol": 1, "maxProtocol": 3, "auth": {"token": token}});
    for (more, code, detail, close) in [
        (
            json!({"auth": {"token": "wrong"}}),
            "INVALID_REQUEST",
            json!("AUTH_TOKEN_MISMATCH"),
            1008,
        ),
        (json!({}), "NOT_PAIRED", json!("DEVICE_IDENTITY_REQUIRED"), 1008),
        (old, "INVALID_REQUEST", json!("PROTOCOL_MISMATCH"), 1002),
        (json!({"role": "king", "auth": {"token": token}}), "INVALID_REQUEST", json!(null), 1008),
        (json!({"client": 5}), "INVALID_REQUEST", json!(null), 1008),
    ] {
        let mut client = Client::open(port(&gateway));
        let error = client.connect(&more)["error"].clone();
        assert_eq!((&error["code"], &error["details"]["code"]), (&json!(code), &detail), "{more}");
        assert_eq!(client.closed().0, close, "{more}");
    }
    let mut client = Client::open(port(&gateway));
    assert_eq!(client.ask("health", &json!({}))["error"]["code"], "INVALID_REQUEST");
    assert_eq!(client.closed().0, 1008);
    for door in DOORS {
        for (garbage, close) in [
            (Message::text("{"), 1000),
            (Message::text("{}"), 1000),
            (Message::binary(vec![1, 2, 3]), 1000),
            (Message::text("x".repeat(65 * 1024)), 1009),
            (Message::text("x".repeat(2 * 1024 * 1024)), 1009),
        ] {
            let length = garbage.len();
            let mut client = Client::open(door(&gateway));
            client.send(garbage);
            let (code, reason) = client.closed();
            // A reset overtakes the close frame if we had more to say.
            let is_cut = code == 1006 && length > 1024 * 1024;
            assert!(code == close || is_cut, "{length} bytes: {code} {reason}");
        }
    }
}

#[test]
fn a_stop_is_told_to_everybody_and_closes_with_1012() {
    let sandbox = Sandbox::start();
    let mut gateway = Gateway::connected(&sandbox);
    let mut clients: Vec<Client> = Vec::new();
    for door in DOORS {
        clients.push(Client::known(&gateway, door(&gateway)));
        clients.push(Client::open(door(&gateway)));
    }
    gateway.run.signal(Signal::TERM);
    for client in &mut clients {
        let event = client.next().unwrap();
        assert_eq!(event["event"], "shutdown", "{event}");
        assert_eq!(event["payload"]["reason"], "gateway restarting");
        assert!(event["payload"]["restartExpectedMs"].is_u64());
        assert_eq!(client.closed(), (1012, "service restart".to_owned()));
    }
    assert_eq!(gateway.run.code(), 0);
}

#[test]
fn a_crowd_of_hostile_clients_keeps_nobody_out_and_costs_little() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    let before = gateway.run.memory_kib("VmRSS");
    let mut members: Vec<Client> =
        DOORS.iter().map(|door| Client::known(&gateway, door(&gateway))).collect();
    let mut crowd: Vec<Box<dyn Wire>> = Vec::new();
    let mut strangers: Vec<Client> = Vec::new();
    for round in 0..40 {
        for door in DOORS {
            // Silent; half a head; half a handshake; and what no header ends.
            crowd.push(door(&gateway));
            for text in ["GET / HT", "GET / HTTP/1.1\r\nUpgrade: websocket\r\n", "\0\u{1}\u{2}"] {
                let mut wire = door(&gateway);
                let _ = wire.write_all(text.as_bytes());
                crowd.push(wire);
            }
            let mut wire = door(&gateway);
            let _ = wire.write_all(format!("GET /{}", "x".repeat(60_000)).as_bytes());
            crowd.push(wire);
            // Let in by HTTP and silent, or talkative, before the hello.
            let mut stranger = Client::open(door(&gateway));
            if round % 2 == 0 {
                stranger.send(Message::text("x".repeat(60_000)));
            }
            strangers.push(stranger);
        }
        // Those who were let in are served all the while, and so are those who come.
        for member in &mut members {
            assert_eq!(member.ask("health", &json!({}))["ok"], true);
        }
        if round % 8 == 0 {
            assert_eq!(gateway.get("/healthz", &[]).status, 200);
            for door in DOORS {
                let mut good = Client::known(&gateway, door(&gateway));
                assert_eq!(good.ask("status", &json!({}))["ok"], true);
            }
            assert_eq!(gateway.cli(&["health"]).code(), 0);
        }
    }
    let after = gateway.run.memory_kib("VmRSS");
    assert!(after < before + 24 * 1024, "from {before} KiB to {after} KiB");
    drop((crowd, strangers));
    assert_eq!(gateway.channel(), "connected");
    sandbox.state().assert_clean();
}

#[test]
fn a_client_that_asks_and_never_reads_is_bounded_and_others_are_served() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    let before = gateway.run.memory_kib("VmRSS");
    let stream = UnixStream::connect(gateway.dir.0.join("state/barnacle.sock")).unwrap();
    stream.set_write_timeout(Some(seconds(1))).unwrap();
    let mut greedy = Client::known(&gateway, Box::new(stream));
    let ask = json!({"type": "req", "id": "1", "method": "logs.tail", "params": {}}).to_string();
    for _ in 0..20_000 {
        if greedy.0.send(Message::text(ask.clone())).is_err() {
            break;
        }
    }
    let mut good = Client::known(&gateway, socket(&gateway));
    assert_eq!(good.ask("health", &json!({}))["ok"], true);
    let after = gateway.run.memory_kib("VmRSS");
    assert!(after < before + 24 * 1024, "from {before} KiB to {after} KiB");
}

/// A gateway whose `gateway.auth` says this, and the same with another `gateway.bind`.
fn guarded(sandbox: &Sandbox, gateway: &str) -> Gateway {
    Gateway::configured(&sandbox.api, &format!("{{gateway: {{{gateway}}}}}"))
}

#[test]
fn whoever_guesses_is_locked_out_on_every_way_in_by_the_port_and_never_by_the_socket() {
    let sandbox = Sandbox::start();
    let rules = "auth: {rateLimit: {maxAttempts: 4, windowMs: 60000, lockoutMs: 60000}}";
    let gateway = guarded(&sandbox, rules);
    let token = gateway.token();
    let guess = |guess: &str| {
        let bearer = format!("Bearer {guess}");
        gateway.get("/api/status", &[("Authorization", &bearer)])
    };
    // What shows nothing is no guess, and what is right takes back what was wrong before.
    for _ in 0..6 {
        assert_eq!(gateway.get("/api/status", &[]).status, 401);
    }
    for _ in 0..3 {
        assert_eq!(guess("wrong").status, 401);
    }
    assert_eq!(guess(&token).status, 200);
    for _ in 0..2 {
        assert_eq!(guess("hunter2").status, 401);
        let error = Client::open(port(&gateway)).connect(&json!({"auth": {"token": "hunter2"}}));
        assert_eq!(error["error"]["details"]["code"], "AUTH_TOKEN_MISMATCH");
    }
    // From here on the right one does not help either.
    let refused = guess(&token);
    assert_eq!(refused.status, 429, "{}", refused.body);
    let after = refused.head.split("retry-after: ").nth(1).and_then(|rest| rest.lines().next());
    assert!((1..=61).contains(&after.unwrap().parse::<u32>().unwrap()), "{}", refused.head);
    let mut client = Client::open(port(&gateway));
    let error = client.connect(&json!({"auth": {"token": token}}))["error"].clone();
    assert_eq!((&error["code"], &error["retryable"]), (&json!("INVALID_REQUEST"), &json!(true)));
    assert_eq!(error["details"]["code"], "AUTH_RATE_LIMITED");
    assert_eq!(error["details"]["recommendedNextStep"], "wait_then_retry");
    assert!((1..=60_000).contains(&error["retryAfterMs"].as_u64().unwrap()), "{error}");
    assert_eq!(client.closed().0, 1008);
    // What is open to everybody stays open, and whoever has the host has the gateway.
    assert_eq!(gateway.get("/healthz", &[]).status, 200);
    let mut ours = Client::open(socket(&gateway));
    assert_eq!(ours.connect(&json!({}))["payload"]["type"], "hello-ok");
    assert_eq!(gateway.cli(&["health"]).code(), 0);
    let log = gateway.run.output();
    assert_eq!(log.matches("wrong token too often").count(), 1, "{log}");
    assert!(!log.contains("hunter2") && !log.contains(&token), "{log}");
}

#[test]
fn a_password_opens_where_it_is_asked_for_and_the_token_does_not() {
    let sandbox = Sandbox::start();
    let gateway = guarded(&sandbox, "auth: {mode: 'password', password: 'open sesame'}");
    let hello = Client::open(port(&gateway)).connect(&json!({"auth": {"password": "open sesame"}}));
    assert_eq!(hello["payload"]["snapshot"]["authMode"], "password", "{hello}");
    // Clients that know only of tokens may send it as one.
    let hello = Client::open(port(&gateway)).connect(&json!({"auth": {"token": "open sesame"}}));
    assert_eq!(hello["ok"], true);
    for (auth, detail) in [
        (json!({"auth": {"password": "wrong"}}), "AUTH_PASSWORD_MISMATCH"),
        (json!({"device": {"id": "x"}}), "AUTH_PASSWORD_MISSING"),
        (json!({}), "DEVICE_IDENTITY_REQUIRED"),
    ] {
        let mut client = Client::open(port(&gateway));
        let error = client.connect(&auth)["error"].clone();
        assert_eq!(error["details"]["code"], detail, "{error}");
        assert_eq!(client.closed().0, 1008);
    }
    let bearer = [("Authorization", "Bearer open sesame")];
    assert_eq!(gateway.get("/api/status", &bearer).status, 200);
    assert_eq!(gateway.get("/api/status", &[("Authorization", "Bearer no")]).status, 401);
    let port = gateway.port.to_string();
    assert_eq!(gateway.cli(&["health", "--port", &port]).code(), 0, "by the port, not the socket");
    assert!(!gateway.run.output().contains("open sesame"));
}

#[test]
fn without_authentication_the_port_is_for_this_host_only_or_not_at_all() {
    let sandbox = Sandbox::start();
    let open = guarded(&sandbox, "auth: {mode: 'none'}");
    assert_eq!(Client::open(port(&open)).connect(&json!({}))["payload"]["type"], "hello-ok");
    assert_eq!(open.get("/api/status", &[]).status, 200);
    for (name, value) in [("Origin", "https://evil.example"), ("Host", "evil.example")] {
        assert_eq!(open.get("/api/status", &[(name, value)]).status, 403);
    }
    for (text, cure) in [
        ("bind: 'lan', auth: {mode: 'none'}", "gateway.bind"),
        ("auth: {mode: 'password'}", "gateway.auth.password"),
    ] {
        let dir = crate::harness::Dir::new();
        let file = dir.file("b.json5", &format!("{{gateway: {{{text}}}}}"));
        let mut run =
            crate::harness::Plan::new(&dir, &sandbox.api).env("BARNACLE_CONFIG", &file).run();
        assert_eq!(run.code(), 78, "{text}: {}", run.output());
        assert!(run.output().contains(cure), "{text}: {}", run.output());
    }
}

#[test]
fn on_a_network_a_page_may_ask_the_gateway_that_it_came_from_and_no_other() {
    let sandbox = Sandbox::start();
    let gateway = guarded(&sandbox, "bind: 'lan'");
    let bearer = format!("Bearer {}", gateway.token());
    for (host, origin, status) in [
        ("pi.lan:18789", "http://pi.lan:18789", 200),
        ("pi.lan:18789", "http://pi.lan:8080", 403),
        ("pi.lan:18789", "https://evil.example", 403),
        ("pi.lan:18789", "null", 403),
    ] {
        let headers = [("Authorization", bearer.as_str()), ("Host", host), ("Origin", origin)];
        assert_eq!(gateway.get("/api/status", &headers).status, status, "{host} {origin}");
    }
}

#[test]
fn whoever_says_nothing_is_let_go_in_order() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::start(&sandbox.api);
    let mut silent: Vec<Client> = DOORS.iter().map(|door| Client::open(door(&gateway))).collect();
    for client in &mut silent {
        assert_eq!(client.closed(), (1000, String::new()));
    }
}

#[test]
fn a_message_with_a_key_is_sent_once_and_answered_twice() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    let channel = sandbox.state().0["channels"][0]["id"].as_str().unwrap().to_owned();
    let to = format!("channel:{channel}");
    let params = json!({"to": to, "message": "once", "idempotencyKey": "k1"});
    // The first client leaves as soon as it has asked.
    let mut hasty = Client::known(&gateway, port(&gateway));
    hasty.say(&json!({"type": "req", "id": "1", "method": "send", "params": params}));
    drop(hasty);
    let mut client = Client::known(&gateway, socket(&gateway));
    let first = client.ask("send", &params);
    let again = client.ask("send", &params);
    assert_eq!((&first["ok"], &first["payload"]), (&json!(true), &again["payload"]), "{first}");
    assert!(first["payload"]["messageId"].is_string(), "{first}");
    let other = json!({"to": to, "message": "once", "idempotencyKey": "k2"});
    assert_ne!(client.ask("send", &other)["payload"]["messageId"], first["payload"]["messageId"]);
    let state = sandbox.state();
    let said = state.messages().iter().filter(|message| message["content"] == "once").count();
    assert_eq!(said, 2, "{:#}", state.0["channels"]);
    // What made no sense may be asked again.
    let wrong = json!({"to": "nowhere", "message": "x", "idempotencyKey": "k3"});
    assert_eq!(client.ask("send", &wrong)["error"]["code"], "INVALID_REQUEST");
    let right = json!({"to": to, "message": "x", "idempotencyKey": "k3"});
    assert_eq!(client.ask("send", &right)["ok"], true);
}

#[test]
fn whoever_is_connected_hears_of_others_and_of_each_channel() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::connected(&sandbox);
    let mut watcher = Client::known(&gateway, port(&gateway));
    let mut page = Client::open(port(&gateway));
    let seen = json!({"auth": {"token": gateway.token()}, "client": {"id": "webchat",
        "displayName": "the page", "version": "1", "platform": "web", "mode": "webchat"}});
    let hello = page.connect(&seen)["payload"]["snapshot"].clone();
    assert_eq!(hello["presence"].as_array().map(Vec::len), Some(2), "{hello}");
    let came = watcher.next().unwrap();
    assert_eq!(
        (&came["event"], &came["stateVersion"]["presence"]),
        (&json!("presence"), &json!(1))
    );
    assert_eq!(came["payload"]["presence"][1]["host"], "the page", "{came}");
    drop(page);
    assert_eq!(watcher.next().unwrap()["payload"]["presence"].as_array().map(Vec::len), Some(1));
    watcher.say(&json!({"type": "req", "id": "out", "method": "channels.logout",
        "params": {"channel": "discord"}}));
    let (mut answer, mut is_told) = (Value::Null, false);
    while answer.is_null() || !is_told {
        let frame = watcher.next().unwrap();
        if frame["id"] == "out" {
            answer = frame["payload"].clone();
        } else if frame["event"] == "health" {
            assert!(frame["stateVersion"]["health"].as_u64() >= Some(1), "{frame}");
            let account = &frame["payload"]["channels"]["discord"]["accounts"]["default"];
            is_told = account["connected"] == false;
        }
    }
    let expected = json!({"channel": "discord", "accountId": "default", "cleared": true,
        "loggedOut": true});
    assert_eq!(answer, expected);
    assert_eq!(watcher.ask("channels.start", &json!({"channel": "discord"}))["ok"], true);
    gateway.await_channel("connected");
    assert_eq!(sandbox.state().number("/identifies"), 2, "the session was forgotten");
    let probe = |client: &mut Client, params: &Value| {
        let answer = client.ask("channels.status", params);
        answer["payload"]["channelAccounts"]["discord"][0]["probe"].clone()
    };
    let good = probe(&mut watcher, &json!({"probe": true}));
    assert!(good["ok"] == true && good["bot"]["username"].is_string(), "{good}");
    let late = probe(&mut watcher, &json!({"probe": true, "timeoutMs": 0}));
    assert_eq!(late["error"], "there was no answer in time", "{late}");
    assert_eq!(probe(&mut watcher, &json!({})), Value::Null);
    let figures = watcher.ask("diagnostics.stability", &json!({"limit": 3}))["payload"].clone();
    assert_eq!(figures["events"].as_array().map(Vec::len), Some(3), "{figures:#}");
    assert!(figures["summary"]["memory"]["latest"]["rssBytes"].as_u64() > Some(1_000_000));
    assert!(figures["summary"]["byType"]["channel.state"].as_u64() >= Some(2), "{figures:#}");
    for odd in [json!({"limit": 0}), json!({"limit": 5000}), json!({"type": ""})] {
        assert_eq!(watcher.ask("diagnostics.stability", &odd)["ok"], false, "{odd}");
    }
}

#[test]
fn when_every_place_is_taken_whoever_comes_is_told_to_come_later() {
    const PLACES: usize = 32;
    let sandbox = Sandbox::start();
    let gateway = Gateway::start(&sandbox.api);
    let mut members: Vec<Client> =
        (0..PLACES).map(|_| Client::known(&gateway, socket(&gateway))).collect();
    let mut late = Client::open(socket(&gateway));
    let error = late.connect(&json!({}))["error"].clone();
    assert_eq!((&error["code"], &error["retryable"]), (&json!("UNAVAILABLE"), &json!(true)));
    assert_eq!(late.closed().0, 1013);
    assert_eq!(members[0].ask("health", &json!({}))["ok"], true);
    // One leaves, and there is a place.
    drop(members.pop());
    crate::harness::wait("a place", PATIENCE, || {
        let mut next = Client::open(socket(&gateway));
        (next.connect(&json!({}))["ok"] == true).then_some(())
    });
}

#[test]
fn a_foreign_page_does_not_even_get_a_websocket() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::start(&sandbox.api);
    let upgrade = |origin: &str| {
        let headers = [
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Origin", origin),
        ];
        gateway.get("/", &headers).status
    };
    for origin in ["https://evil.example", "null", "http://127.0.0.1.evil.example"] {
        assert_eq!(upgrade(origin), 403, "{origin}");
    }
}
