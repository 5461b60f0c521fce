//! The sandbox as a client meets it, over loopback.

use std::future::Future;
use std::time::Duration;

use async_tungstenite::WebSocketStream;
use async_tungstenite::tungstenite::{Error, Message};
use async_tungstenite::{client_async, tungstenite};
use futures_rustls::TlsConnector;
use serde_json::{Value, json};
use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::TcpStream;
use smol::stream::StreamExt;

use super::*;
use crate::rt::executor::run;
use crate::rt::net::server::Io;

/// Nothing here takes so long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A client that shows everything as it comes.
struct Client {
    ws: WebSocketStream<Box<dyn Io>>,
    tcp: TcpStream,
    seq: u64,
}

/// What a client sees.
#[derive(Debug, PartialEq)]
enum Seen {
    /// A payload.
    Payload(Value),
    /// Text or bytes that are no payload.
    Odd(Message),
    /// A close frame; 1005 without a code.
    Closed(u16),
    /// The end without one, or what RFC 6455 forbids.
    Broken,
}

fn port(url: &str) -> u16 {
    url.trim_end_matches("/api").rsplit(':').next().and_then(|port| port.parse().ok()).unwrap()
}

impl Client {
    async fn dial(url: &str, query: &str) -> Result<Client, Box<Error>> {
        let tcp = TcpStream::connect(("127.0.0.1", port(url))).await.map_err(Error::Io)?;
        let url = format!("ws://localhost/?v=10&encoding=json{query}");
        let (ws, _) = client_async(url, Box::new(tcp.clone()) as Box<dyn Io>).await?;
        Ok(Client { ws, tcp, seq: 0 })
    }

    /// Dials, and sees HELLO.
    async fn new(handle: &Handle) -> Client {
        let mut client = Client::dial(&handle.urls().gateway, "").await.unwrap();
        let hello = client.payload().await;
        assert_eq!((&hello["op"], &hello["d"]["heartbeat_interval"]), (&json!(10), &json!(41_250)));
        client
    }

    /// Dials and identifies; sees READY and the guild. Gives the session's id.
    async fn identified(handle: &Handle) -> (Client, String) {
        let mut client = Client::new(handle).await;
        client.identify(json!({})).await;
        let ready = client.event("READY").await;
        client.event("GUILD_CREATE").await;
        (client, ready["session_id"].as_str().unwrap().to_owned())
    }

    async fn send(&mut self, payload: Value) {
        self.ws.send(Message::text(payload.to_string())).await.unwrap();
    }

    async fn identify(&mut self, changes: Value) {
        let mut data = json!({"token": "token", "intents": 37_377, "properties": {}});
        for (key, value) in changes.as_object().unwrap() {
            data[key] = value.clone();
        }
        self.send(json!({"op": 2, "d": data})).await;
    }

    async fn resume(&mut self, session: &str, seq: u64) {
        let data = json!({"token": "token", "session_id": session, "seq": seq});
        self.send(json!({"op": 6, "d": data})).await;
    }

    async fn seen(&mut self) -> Seen {
        loop {
            return match self.ws.next().await {
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                Some(Ok(Message::Close(frame))) => {
                    Seen::Closed(frame.map_or(1005, |frame| frame.code.into()))
                }
                Some(Ok(message)) => {
                    match serde_json::from_slice::<Value>(&message.clone().into_data()) {
                        Ok(payload) => Seen::Payload(payload),
                        Err(_) => Seen::Odd(message),
                    }
                }
                Some(Err(_)) | None => Seen::Broken,
            };
        }
    }

    async fn payload(&mut self) -> Value {
        match self.seen().await {
            Seen::Payload(payload) => {
                self.seq = payload["s"].as_u64().unwrap_or(self.seq);
                payload
            }
            other => panic!("{other:?}"),
        }
    }

    /// The next event, which is of this kind.
    async fn event(&mut self, kind: &str) -> Value {
        let mut payload = self.payload().await;
        assert_eq!(payload["t"], kind, "{payload}");
        payload["d"].take()
    }
}

/// Runs `test` against a sandbox in which IDENTIFYs need no time between them.
fn with<F: Future<Output = ()> + 'static>(test: impl FnOnce(Handle) -> F + 'static) {
    let options = Options { identify_spacing: Duration::ZERO, ..Options::default() };
    with_options(options, test);
}

fn with_options<F: Future<Output = ()> + 'static>(
    options: Options,
    test: impl FnOnce(Handle) -> F + 'static,
) {
    run(|spawner| async move {
        let handle = Sandbox::start(options, &spawner).await.unwrap();
        let patience = clock::now() + PATIENCE;
        clock::timeout(patience, test(handle)).await.expect("the test hangs");
    });
}

/// One call of REST by the bot `token`: the status, the head and the body. 0 if there is no
/// answer.
async fn call(handle: &Handle, method: &str, path: &str, body: Value) -> (u16, String, Value) {
    call_as(handle, "token", method, path, body).await
}

async fn call_as(
    handle: &Handle,
    token: &str,
    method: &str,
    path: &str,
    body: Value,
) -> (u16, String, Value) {
    let mut tcp = TcpStream::connect(("127.0.0.1", port(&handle.urls().api))).await.unwrap();
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bot {token}\r\n\
         user-agent: DiscordBot (test, 1)\r\ncontent-type: application/json\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    tcp.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = tcp.read_to_string(&mut answer).await;
    let Some((head, body)) = answer.split_once("\r\n\r\n") else { return (0, answer, Value::Null) };
    let status = head.get(9..12).and_then(|status| status.parse().ok()).unwrap();
    (status, head.to_owned(), serde_json::from_str(body).unwrap_or_default())
}

async fn post(handle: &Handle, text: &str) -> (u16, String, Value) {
    let path = format!("/api/v10/channels/{}/messages", world::GENERAL);
    call(handle, "POST", &path, json!({"content": text})).await
}

fn state(handle: &Handle) -> Value {
    serde_json::from_str(&handle.state()).unwrap()
}

fn inject(handle: &Handle, name: &str) {
    inject_with(handle, name, Args::default());
}

fn inject_with(handle: &Handle, name: &str, args: Args) {
    handle.inject(name, args).unwrap();
}

fn say(handle: &Handle, text: &str) {
    handle.say(&Say { text: text.into(), ..Say::default() }).unwrap();
}

#[test]
fn a_bot_logs_in_hears_and_answers() {
    with(|handle| async move {
        let (mut client, _) = Client::identified(&handle).await;
        client.send(json!({"op": 1, "d": 2})).await;
        assert_eq!(client.payload().await["op"], 11);
        say(&handle, "hello");
        assert_eq!(client.event("MESSAGE_CREATE").await["content"], "hello");
        let (status, head, message) = post(&handle, "hi").await;
        assert_eq!((status, &message["content"]), (200, &json!("hi")));
        assert!(head.contains("x-ratelimit-remaining: 4"), "{head}");
        let own = client.event("MESSAGE_CREATE").await;
        assert_eq!((&own["id"], &own["author"]["bot"]), (&message["id"], &json!(true)));
        let bot = &state(&handle)["bots"][0];
        assert_eq!((&bot["identifies"], &bot["heartbeats"]["count"]), (&json!(1), &json!(1)));
    });
}

#[test]
fn a_session_is_resumed_with_what_was_missed() {
    with(|handle| async move {
        let (mut client, session) = Client::identified(&handle).await;
        inject(&handle, "drop");
        assert_eq!(client.seen().await, Seen::Broken);
        say(&handle, "missed");
        let mut again = Client::new(&handle).await;
        again.resume(&session, client.seq).await;
        assert_eq!(again.event("MESSAGE_CREATE").await["content"], "missed");
        again.event("RESUMED").await;
        let sockets = state(&handle)["bots"][0]["sockets"].clone();
        assert_eq!(sockets["accepted"], 2);
    });
}

#[test]
fn sessions_end_by_1000_but_not_by_4000() {
    with(|handle| async move {
        for (code, resumable) in [(4000_u16, true), (1000, false), (1001, false)] {
            let (mut client, session) = Client::identified(&handle).await;
            let frame = tungstenite::protocol::CloseFrame { code: code.into(), reason: "".into() };
            client.ws.close(Some(frame)).await.unwrap();
            assert_eq!(client.seen().await, Seen::Closed(code));
            let mut again = Client::new(&handle).await;
            again.resume(&session, client.seq).await;
            let answer = again.payload().await;
            if resumable {
                assert_eq!(answer["t"], "RESUMED");
            } else {
                assert_eq!((&answer["op"], &answer["d"]), (&json!(9), &json!(false)));
            }
        }
    });
}

#[test]
fn rules_are_enforced_by_their_close_codes() {
    with(|handle| async move {
        for (code, changes) in [
            (4004, json!({"token": "bad"})),
            (4010, json!({"shard": [1, 1]})),
            (4013, json!({"intents": 1_u64 << 40})),
        ] {
            let mut client = Client::new(&handle).await;
            client.identify(changes).await;
            assert_eq!(client.seen().await, Seen::Closed(code));
        }
        for (code, payload) in [
            (4001, json!({"op": 99})),
            (4002, json!({"op": "?"})),
            (4002, json!({"op": 3, "d": "x".repeat(4096)})),
            (4005, json!({"op": 2, "d": {"token": "token", "intents": 0}})),
        ] {
            let (mut client, _) = Client::identified(&handle).await;
            client.send(payload).await;
            assert_eq!(client.seen().await, Seen::Closed(code));
        }
        let mut client = Client::new(&handle).await;
        client.send(json!({"op": 3, "d": {}})).await;
        assert_eq!(client.seen().await, Seen::Closed(4003), "not before IDENTIFY");
        let mut client = Client::new(&handle).await;
        for _ in 0..=limits::GATEWAY_SENDS_MAX {
            client.send(json!({"op": 1, "d": null})).await;
        }
        while let Seen::Payload(_) = client.seen().await {}
        let closed = state(&handle)["violations"].to_string();
        assert!(closed.contains("more than 120"), "{closed}");
    });
}

#[test]
fn identifies_need_time_between_them() {
    with_options(Options::default(), |handle| async move {
        let _first = Client::identified(&handle).await;
        let mut second = Client::new(&handle).await;
        second.identify(json!({})).await;
        assert_eq!(second.payload().await["op"], 9);
    });
}

#[test]
fn intents_that_the_portal_switched_off_are_4014() {
    with(|handle| async move {
        let path = "/api/v10/applications/@me";
        let (_, _, app) = call(&handle, "PATCH", path, json!({"flags": 0})).await;
        assert_eq!(app["flags"], 0);
        let mut client = Client::new(&handle).await;
        client.identify(json!({})).await;
        assert_eq!(client.seen().await, Seen::Closed(4014));
    });
}

#[test]
fn two_sockets_of_one_bot_are_seen() {
    with(|handle| async move {
        let (first, _) = Client::identified(&handle).await;
        drop(first);
        let (_second, _) = Client::identified(&handle).await;
        assert_eq!(state(&handle)["sockets"]["open_max"], 1, "one after the other");
        let (_third, _) = Client::identified(&handle).await;
        assert_eq!(state(&handle)["sockets"]["open_max"], 2);
        assert_eq!(state(&handle)["bots"][0]["sockets"]["open_max"], 2);
    });
}

#[test]
fn live_connections_end_as_faults_say() {
    with(|handle| async move {
        for (name, end) in [
            ("drop", Seen::Broken),
            ("reset", Seen::Broken),
            ("close", Seen::Closed(4000)),
            ("close-1005", Seen::Closed(1005)),
            ("close-4004", Seen::Closed(4004)),
            ("reserved-opcode", Seen::Broken),
            ("masked", Seen::Broken),
            ("huge-header", Seen::Broken),
        ] {
            let (mut client, _) = Client::identified(&handle).await;
            inject(&handle, name);
            assert_eq!(client.seen().await, end, "{name}");
        }
        let (mut client, _) = Client::identified(&handle).await;
        inject_with(&handle, "close", Args { code: Some(4009), ..Args::default() });
        assert_eq!(client.seen().await, Seen::Closed(4009));
    });
}

#[test]
fn live_connections_hear_what_faults_say() {
    with(|handle| async move {
        let op = |op: u64, data: Value| json!({"t": null, "s": null, "op": op, "d": data});
        for (name, payload) in [
            ("op7", op(7, Value::Null)),
            ("op9-false", op(9, json!(false))),
            ("op9-true", op(9, json!(true))),
            ("ask-beat", op(1, Value::Null)),
        ] {
            let (mut client, _) = Client::identified(&handle).await;
            inject(&handle, name);
            assert_eq!(client.payload().await, payload, "{name}");
        }
        let (mut client, _) = Client::identified(&handle).await;
        inject(&handle, "garbage-text");
        assert!(matches!(client.seen().await, Seen::Odd(Message::Text(_))));
        inject(&handle, "garbage-binary");
        assert!(matches!(client.seen().await, Seen::Odd(Message::Binary(_))));
        inject_with(&handle, "big-guild", Args { bytes: Some(1_000_000), ..Args::default() });
        assert_eq!(client.event("GUILD_CREATE").await["member_count"], 250_000);
        say(&handle, "still there");
        client.event("MESSAGE_CREATE").await;
        inject(&handle, "invalid-utf8");
        assert_eq!(client.seen().await, Seen::Broken);
    });
}

#[test]
fn odd_wire_forms_carry_the_same_events() {
    with(|handle| async move {
        for name in ["fragments", "drip", "data-first", "jump"] {
            let (mut client, _) = Client::identified(&handle).await;
            let before = client.seq;
            inject(&handle, name);
            assert_eq!(client.event("MESSAGE_CREATE").await["content"], "what next?", "{name}");
            let step = if name == "jump" { 1001 } else { 1 };
            assert_eq!(client.seq, before + step, "{name}");
        }
        let (mut client, _) = Client::identified(&handle).await;
        inject(&handle, "duplicates");
        let (first, second) = (client.payload().await, client.payload().await);
        assert_eq!(first, second);
    });
}

#[test]
fn silence_is_silent_and_beats_go_unanswered() {
    with(|handle| async move {
        for name in ["no-ack", "half-frame", "black-hole"] {
            let (mut client, _) = Client::identified(&handle).await;
            inject(&handle, name);
            client.send(json!({"op": 1, "d": null})).await;
            let soon = clock::now() + Duration::from_millis(50);
            assert_eq!(clock::timeout(soon, client.seen()).await, None, "{name}");
        }
        let (mut client, _) = Client::identified(&handle).await;
        inject(&handle, "no-ack-events");
        client.send(json!({"op": 1, "d": null})).await;
        client.event("MESSAGE_CREATE").await;
        client.event("MESSAGE_CREATE").await;
    });
}

#[test]
fn handshakes_go_wrong_as_faults_say() {
    with(|handle| async move {
        inject(&handle, "op7-hello");
        let mut client = Client::dial(&handle.urls().gateway, "").await.unwrap();
        assert_eq!(client.payload().await["op"], 7);
        inject(&handle, "no-hello");
        let mut client = Client::dial(&handle.urls().gateway, "").await.unwrap();
        client.identify(json!({})).await;
        client.event("READY").await;
        inject(&handle, "identify-close");
        let mut client = Client::new(&handle).await;
        client.identify(json!({})).await;
        assert_eq!(client.seen().await, Seen::Closed(4004));
        inject(&handle, "no-ready");
        let mut client = Client::new(&handle).await;
        client.identify(json!({})).await;
        client.send(json!({"op": 1, "d": null})).await;
        assert_eq!(client.payload().await["op"], 11, "beats are answered, IDENTIFY is not");
        inject(&handle, "upgrade-502");
        let refused = Client::dial(&handle.urls().gateway, "").await.err().map(|error| *error);
        assert!(matches!(refused, Some(Error::Http(response)) if response.status() == 502));
    });
}

#[test]
fn every_resume_is_refused_until_cleared() {
    with(|handle| async move {
        for (name, seen) in [
            ("resume-close", Some(Seen::Closed(1005))),
            ("resume-drop", Some(Seen::Broken)),
            ("resume-op9-true", None),
            ("no-resumed", None),
        ] {
            let (mut client, session) = Client::identified(&handle).await;
            inject(&handle, name);
            assert_eq!(client.seen().await, Seen::Broken, "{name} kicks");
            for _ in 0..3 {
                let mut again = Client::new(&handle).await;
                again.resume(&session, client.seq).await;
                again.send(json!({"op": 1, "d": null})).await;
                match &seen {
                    Some(seen) => assert_eq!(&again.seen().await, seen, "{name}"),
                    None if name == "no-resumed" => assert_eq!(again.payload().await["op"], 11),
                    None => assert_eq!(again.payload().await["d"], true, "{name}"),
                }
            }
            handle.clear();
            let mut again = Client::new(&handle).await;
            again.resume(&session, client.seq).await;
            again.event("RESUMED").await;
        }
    });
}

#[test]
fn cycles_go_on_for_their_times() {
    with(|handle| async move {
        let (mut client, session) = Client::identified(&handle).await;
        inject_with(&handle, "resumed-drop", Args { count: Some(3), ..Args::default() });
        assert_eq!(client.seen().await, Seen::Broken);
        for _ in 0..2 {
            let mut again = Client::new(&handle).await;
            again.resume(&session, client.seq).await;
            again.event("RESUMED").await;
            assert_eq!(again.seen().await, Seen::Broken);
        }
        let mut again = Client::new(&handle).await;
        again.resume(&session, client.seq).await;
        again.event("RESUMED").await;
        say(&handle, "it holds");
        again.event("MESSAGE_CREATE").await;
    });
}

#[test]
fn nothing_listens_while_a_fault_says_so() {
    with(|handle| async move {
        let (mut client, session) = Client::identified(&handle).await;
        inject(&handle, "resume-url-dead");
        assert_eq!(client.seen().await, Seen::Broken);
        assert!(refused(&handle.urls().resume).await);
        assert!(Client::dial(&handle.urls().gateway, "").await.is_ok());
        handle.clear();
        inject_with(&handle, "refuse", Args { cleared: true, ..Args::default() });
        assert!(refused(&handle.urls().gateway).await);
        handle.clear();
        let mut again = loop {
            match Client::dial(&handle.urls().resume, "").await {
                Ok(client) => break client,
                Err(_) => clock::sleep(Duration::from_millis(5)).await,
            }
        };
        again.payload().await;
        again.resume(&session, client.seq).await;
        again.event("RESUMED").await;
    });
}

/// Whether connections to `url` come to be refused: the listener's task needs its turn first.
async fn refused(url: &str) -> bool {
    for _ in 0..200 {
        if TcpStream::connect(("127.0.0.1", port(url))).await.is_err() {
            return true;
        }
        clock::sleep(Duration::from_millis(5)).await;
    }
    false
}

#[test]
fn a_stall_ends_and_what_was_said_early_is_heard() {
    with(|handle| async move {
        inject_with(&handle, "stall", Args { seconds: Some(1), ..Args::default() });
        let start = clock::now();
        let mut client = Client::dial(&handle.urls().gateway, "").await.unwrap();
        assert!(clock::now().since(start) >= Duration::from_secs(1));
        client.payload().await;
        handle.clear();
        inject(&handle, "resume-url-hang");
        let soon = clock::now() + Duration::from_millis(50);
        let hung = Client::dial(&handle.urls().resume, "");
        assert!(clock::timeout(soon, hung).await.is_none());
    });
}

#[test]
fn a_black_hole_ends_and_new_connections_get_through() {
    with(|handle| async move {
        let (mut client, session) = Client::identified(&handle).await;
        inject_with(&handle, "black-hole-all", Args { seconds: Some(1), ..Args::default() });
        let injected = clock::now();
        let mut again = Client::new(&handle).await;
        assert!(clock::now().since(injected) >= Duration::from_millis(950));
        client.send(json!({"op": 1, "d": null})).await;
        again.resume(&session, client.seq).await;
        again.event("RESUMED").await;
        let soon = clock::now() + Duration::from_millis(20);
        assert_eq!(clock::timeout(soon, client.seen()).await, None, "the old one stays silent");
    });
}

#[test]
fn after_op_9_a_session_is_resumed_on_the_same_connection() {
    with(|handle| async move {
        let (mut client, session) = Client::identified(&handle).await;
        inject(&handle, "op9-true");
        assert_eq!(client.payload().await["d"], true);
        client.resume(&session, 2).await;
        client.event("RESUMED").await;
    });
}

#[test]
fn the_budget_is_counted_and_can_be_spent() {
    with(|handle| async move {
        let _first = Client::identified(&handle).await;
        let path = "/api/v10/gateway/bot";
        let limit = |answer: Value| answer["session_start_limit"]["remaining"].as_u64();
        assert_eq!(limit(call(&handle, "GET", path, Value::Null).await.2), Some(999));
        inject(&handle, "identify-limit");
        let answer = call(&handle, "GET", path, Value::Null).await.2;
        assert!(answer["session_start_limit"]["reset_after"].as_u64() <= Some(20_000));
        assert_eq!(limit(answer), Some(0));
        let mut client = Client::new(&handle).await;
        client.identify(json!({})).await;
        assert_eq!(client.seen().await, Seen::Closed(4004));
        assert!(state(&handle)["violations"][0].as_str().unwrap().contains("none remaining"));
    });
}

#[test]
fn rest_goes_wrong_as_faults_say() {
    with(|handle| async move {
        for (name, status) in [
            ("rest-429", 429),
            ("rest-429-global", 429),
            ("rest-429-html", 429),
            ("rest-500", 500),
            ("rest-502", 502),
            ("rest-401", 401),
            ("rest-403", 403),
            ("rest-403-access", 403),
            ("rest-404", 404),
            ("rest-400", 400),
            ("rest-403-html", 403),
            ("rest-502-html", 502),
            ("rest-429-shared", 429),
        ] {
            inject_with(&handle, name, Args { count: Some(1), ..Args::default() });
            let (got, head, body) = post(&handle, name).await;
            assert_eq!(got, status, "{name}");
            let is_html = name.ends_with("html");
            assert_eq!(status == 429 || is_html, head.contains("retry-after: 1"), "{name}");
            assert_eq!(body["global"] == true, name == "rest-429-global");
            assert_eq!(body.is_null(), is_html, "{name}");
        }
        inject_with(&handle, "rest-429-bare", Args { count: Some(1), ..Args::default() });
        let (status, head, body) = post(&handle, "bare").await;
        assert_eq!((status, head.contains("retry-after")), (429, false));
        assert_eq!(body["retry_after"], 1.0);
        let elsewhere = Args { channel: Some(world::RANDOM), ..Args::default() };
        inject_with(&handle, "rest-404", elsewhere);
        inject_with(&handle, "rest-hang", Args { count: Some(1), ..Args::default() });
        let soon = clock::now() + Duration::from_millis(50);
        assert!(clock::timeout(soon, post(&handle, "hang")).await.is_none());
        inject_with(&handle, "rest-cut", Args { count: Some(1), ..Args::default() });
        assert_eq!(post(&handle, "cut").await.0, 0);
        let (_, _, history) = call(
            &handle,
            "GET",
            &format!("/api/v10/channels/{}/messages?limit=5", world::GENERAL),
            Value::Null,
        )
        .await;
        assert_eq!(history[0]["content"], "cut", "it was carried out");
        assert_eq!(history.as_array().map(Vec::len), Some(1), "and nothing else was");
    });
}

#[test]
fn rest_has_real_buckets_and_errors() {
    with(|handle| async move {
        for _ in 0..5 {
            assert_eq!(post(&handle, "one of five").await.0, 200);
        }
        let (status, head, body) = post(&handle, "one too many").await;
        assert_eq!((status, &body["global"]), (429, &json!(false)));
        assert!(head.contains("x-ratelimit-remaining: 0"), "{head}");
        let random = format!("/api/channels/{}/messages", world::RANDOM);
        for (body, code) in [
            (json!({"content": "x".repeat(2001)}), 50_035),
            (json!({"content": " "}), 50_006),
            (json!({"content": "x", "nonce": "y".repeat(26)}), 50_035),
            (json!({"content": "x", "message_reference": {"message_id": "7"}}), 50_035),
        ] {
            assert_eq!(call(&handle, "POST", &random, body).await.2["code"], code);
        }
        assert_eq!(call_as(&handle, "bad", "GET", "/api/users/@me", Value::Null).await.0, 401);
        assert_eq!(call(&handle, "GET", "/api/channels/7", Value::Null).await.2["code"], 10_003);
    });
}

#[test]
fn direct_messages_have_their_own_channel() {
    with(|handle| async move {
        let (mut client, _) = Client::identified(&handle).await;
        let say = Say { text: "psst".into(), direct: true, ..Say::default() };
        let (channel, _) = handle.say(&say).unwrap();
        let message = client.event("MESSAGE_CREATE").await;
        assert_eq!((&message["content"], &message["guild_id"]), (&json!("psst"), &Value::Null));
        let ann = &message["author"]["id"];
        let opened =
            call(&handle, "POST", "/api/users/@me/channels", json!({"recipient_id": ann})).await;
        assert_eq!(opened.2["id"], channel.to_string());
        let path = format!("/api/channels/{channel}/messages");
        assert_eq!(call(&handle, "POST", &path, json!({"content": "yes?"})).await.0, 200);
        assert_eq!(call_as(&handle, "other", "GET", &path, Value::Null).await.0, 403);
    });
}

#[test]
fn the_controls_are_at_hand_over_http() {
    with(|handle| async move {
        let (mut client, _) = Client::identified(&handle).await;
        let said = json!({"author": "zoe", "text": "hi", "mention": true, "channel": "random"});
        let (status, _, _) = call(&handle, "POST", "/_sandbox/say", said).await;
        assert_eq!(status, 200);
        let message = client.event("MESSAGE_CREATE").await;
        assert!(message["content"].as_str().unwrap().starts_with("<@"));
        let (_, _, state) = call(&handle, "GET", "/_sandbox/state", Value::Null).await;
        assert_eq!(state["channels"][1]["messages"][0]["author"], "zoe");
        let (status, _, body) =
            call(&handle, "POST", "/_sandbox/fault", json!({"name": "nonsense"})).await;
        assert_eq!((status, body["error"].is_string()), (400, true));
        let fault = json!({"name": "close", "code": 4009});
        assert_eq!(call(&handle, "POST", "/_sandbox/fault", fault).await.0, 200);
        assert_eq!(client.seen().await, Seen::Closed(4009));
        assert_eq!(call(&handle, "POST", "/_sandbox/clear", Value::Null).await.0, 200);
        assert_eq!(call(&handle, "GET", "/_sandbox/nothing", Value::Null).await.0, 404);
    });
}

#[test]
fn a_flood_arrives_whole_and_in_order() {
    with(|handle| async move {
        let (mut client, _) = Client::identified(&handle).await;
        let flood = Flood { count: 3000, bytes: 100, rate: 0 };
        let task = handle.flood(flood);
        let mut last = String::new();
        for _ in 0..flood.count {
            let message = client.event("MESSAGE_CREATE").await;
            let id = message["id"].as_str().unwrap().to_owned();
            assert!(id > last, "{id} after {last}");
            last = id;
        }
        task.await;
    });
}

#[test]
fn zlib_stream_is_one_stream() {
    with(|handle| async move {
        let url = &handle.urls().gateway;
        let mut client = Client::dial(url, "&compress=zlib-stream").await.unwrap();
        let mut state =
            miniz_oxide::inflate::stream::InflateState::new_boxed(miniz_oxide::DataFormat::Zlib);
        let mut next = |message: Seen| {
            let Seen::Odd(Message::Binary(bytes)) = message else { panic!("{message:?}") };
            let mut text = vec![0; 64 * 1024];
            let flush = miniz_oxide::MZFlush::Sync;
            let result =
                miniz_oxide::inflate::stream::inflate(&mut state, &bytes, &mut text, flush);
            serde_json::from_slice::<Value>(&text[..result.bytes_written]).unwrap()
        };
        assert_eq!(next(client.seen().await)["op"], 10);
        client.identify(json!({})).await;
        assert_eq!(next(client.seen().await)["t"], "READY");
        assert_eq!(next(client.seen().await)["t"], "GUILD_CREATE");
    });
}

#[test]
fn everything_speaks_tls_with_a_certificate() {
    let dir = std::env::temp_dir().join(format!("barnacle-sandbox-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (chain, key) = (dir.join("cert.pem"), dir.join("key.pem"));
    std::fs::write(&chain, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let options =
        Options { tls: Some((chain, key)), host: "localhost".to_owned(), ..Options::default() };
    with_options(options, move |handle| async move {
        assert!(handle.urls().gateway.starts_with("wss://localhost:"));
        let tcp = TcpStream::connect(("127.0.0.1", port(&handle.urls().gateway))).await.unwrap();
        let name = "localhost".try_into().unwrap();
        let tls = connector.connect(name, tcp.clone()).await.unwrap();
        let io: Box<dyn Io> = Box::new(tls);
        let (ws, _) = client_async("ws://localhost/?v=10", io).await.unwrap();
        let mut client = Client { ws, tcp, seq: 0 };
        assert_eq!(client.payload().await["op"], 10);
        client.identify(json!({})).await;
        let ready = client.event("READY").await;
        assert!(ready["resume_gateway_url"].as_str().unwrap().starts_with("wss://"));
        client.event("GUILD_CREATE").await;
        inject(&handle, "drop");
        assert_eq!(client.seen().await, Seen::Broken);
    });
    let _ = std::fs::remove_dir_all(dir);
}

#[test]
fn events_tell_what_happens() {
    with(|handle| async move {
        let events = handle.events();
        let (mut client, _) = Client::identified(&handle).await;
        inject(&handle, "drop");
        client.seen().await;
        let mut names = Vec::new();
        while let Ok(event) = events.try_recv() {
            names.push(event.what.name());
        }
        let expected = ["connected", "hello", "identify", "ready", "armed", "played", "closed"];
        assert_eq!(names, expected);
        let _ = client.tcp.shutdown(std::net::Shutdown::Both);
    });
}

#[test]
fn threads_reactions_files_and_commands_are_taken_and_remembered() {
    with(|handle| async move {
        let (mut client, _) = Client::identified(&handle).await;
        let (_, id) = handle.say(&Say { text: "hi".into(), ..Say::default() }).unwrap();
        client.event("MESSAGE_CREATE").await;
        let message = format!("/api/channels/{}/messages/{id}", world::GENERAL);
        let threads = format!("{message}/threads");
        let (status, _, thread) = call(&handle, "POST", &threads, json!({"name": "more"})).await;
        assert_eq!((status, &thread["id"]), (201, &json!(id.to_string())));
        client.event("THREAD_CREATE").await;
        let again = call(&handle, "POST", &threads, json!({"name": "more"})).await;
        assert_eq!((again.0, &again.2["code"]), (400, &json!(160_004)));
        let react = |emoji: &str| format!("{message}/reactions/{emoji}/@me");
        let (status, ..) = call(&handle, "PUT", &react("%F0%9F%A6%80"), Value::Null).await;
        assert_eq!(status, 204);
        let (.., refused) = call(&handle, "PUT", &react("crab"), Value::Null).await;
        assert_eq!(refused["code"], 10_014);
        let me = call(&handle, "GET", "/api/users/@me", Value::Null).await.2;
        let commands = format!("/api/applications/{}/commands", me["id"].as_str().unwrap());
        let why = json!([{"name": "why", "description": "why"}]);
        assert_eq!(call(&handle, "PUT", &commands, why.clone()).await.0, 200);
        assert_eq!(call(&handle, "GET", &commands, Value::Null).await.2, why);
        let guilds = call(&handle, "GET", "/api/users/@me/guilds", Value::Null).await.2;
        assert_eq!(guilds[0]["id"], world::GUILD.to_string());
        let general = &state(&handle)["channels"][0]["messages"][0];
        assert_eq!(general["reactions"], json!(["\u{1f980}"]));
    });
}

#[test]
fn a_slash_command_is_heard_answered_and_seen() {
    with(|handle| async move {
        let (mut client, _) = Client::identified(&handle).await;
        let slash = json!({"text": "why 42", "author": "zoe", "roles": "5,6"});
        assert_eq!(call(&handle, "POST", "/_sandbox/slash", slash).await.0, 200);
        let heard = client.event("INTERACTION_CREATE").await;
        assert_eq!(heard["data"]["name"], "why");
        assert_eq!(heard["data"]["options"][0]["value"], "42");
        assert_eq!(heard["member"]["roles"], json!(["5", "6"]));
        let text = |key: &str| heard[key].as_str().unwrap();
        let (id, token) = (text("id"), text("token"));
        let path = format!("/api/interactions/{id}/{token}/callback");
        let deferred = json!({"type": 5, "data": {"flags": 64}});
        assert_eq!(call_as(&handle, "bad", "POST", &path, deferred).await.0, 204);
        let path = format!("/api/webhooks/{}/{token}/messages/@original", text("application_id"));
        let (status, ..) = call_as(&handle, "bad", "PATCH", &path, json!({"content": "so"})).await;
        assert_eq!(status, 200);
        let seen = &state(&handle)["slash"]["interactions"][0];
        assert_eq!((&seen["content"], &seen["ephemeral"]), (&json!("so"), &json!(true)));
    });
}

#[test]
fn roles_threads_and_further_channels_are_said_with_a_message() {
    with(|handle| async move {
        let (mut client, _) = Client::identified(&handle).await;
        let made = call(&handle, "POST", "/_sandbox/channel", json!({"name": "support"})).await;
        assert_eq!(client.event("CHANNEL_CREATE").await["name"], "support");
        let said = json!({"text": "hi", "channel": "support", "thread": "t", "roles": "7"});
        assert_eq!(call(&handle, "POST", "/_sandbox/say", said.clone()).await.0, 200);
        let thread = client.event("THREAD_CREATE").await;
        assert_eq!((&thread["name"], &thread["parent_id"]), (&json!("t"), &made.2["channel"]));
        let message = client.event("MESSAGE_CREATE").await;
        assert_eq!(message["channel_id"], thread["id"]);
        assert_eq!(message["member"]["roles"], json!(["7"]));
        call(&handle, "POST", "/_sandbox/say", said).await;
        assert_eq!(client.event("MESSAGE_CREATE").await["channel_id"], thread["id"]);
    });
}
