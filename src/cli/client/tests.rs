use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

use async_tungstenite::tungstenite;
use async_tungstenite::tungstenite::protocol::CloseFrame;

use super::*;
use crate::proto::control::{Event, Response};

fn client(port: u16, timeout_ms: u64) -> Client {
    let env =
        Env::of(&[("BARNACLE_STATE_DIR", "/nonexistent"), ("OPENCLAW_GATEWAY_TOKEN", "s3cret")]);
    Client {
        env,
        file: None,
        port: Some(port),
        url: None,
        given: None,
        known: OnceCell::new(),
        settled: RefCell::default(),
        timeout: Duration::from_millis(timeout_ms),
    }
}

/// What a gateway of the test's own does with a connection.
#[derive(Clone, Copy, Debug)]
enum Play {
    /// Greets, and answers the next request with its own parameters.
    Serve,
    /// Closes at once with this code.
    Close(u16),
    /// Greets, takes the request, and closes with 1012.
    Swallow,
    /// Answers `connect` with this refusal.
    Refuse(&'static str, &'static str),
    /// Greets, and answers the next request that it cannot be done now.
    Later,
    /// Hangs up before the handshake is done.
    HangUp,
    /// Answers the handshake with this status.
    Http(u16),
    /// Says nothing until the client gives up.
    Silence,
    /// Does the handshake, and does not say the challenge.
    NoChallenge,
}

/// Plays these, one a connection; gives back every request that was asked.
fn gateway(plays: Vec<Play>) -> (u16, JoinHandle<Vec<Request>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let thread = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for play in plays {
            let (mut stream, _) = listener.accept().expect("a caller");
            match play {
                Play::HangUp => continue,
                Play::Http(status) => {
                    let mut head = [0; 1024];
                    let _ = stream.read(&mut head).expect("a handshake");
                    let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
                    stream.write_all(answer.as_bytes()).expect("written");
                    continue;
                }
                Play::Silence => {
                    while stream.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {}
                    continue;
                }
                _ => {}
            }
            let mut socket = tungstenite::accept(stream).expect("a handshake");
            serve(&mut socket, play, &mut asked);
            // Until the other side is done.
            while socket.read().is_ok() {}
        }
        asked
    });
    (port, thread)
}

fn serve(socket: &mut WebSocket<TcpStream>, play: Play, asked: &mut Vec<Request>) {
    let say = |socket: &mut WebSocket<TcpStream>, frame: Frame| {
        socket.send(Message::text(write(&frame))).expect("written");
    };
    let close = |socket: &mut WebSocket<TcpStream>, code: u16| {
        let frame = CloseFrame { code: code.into(), reason: "".into() };
        let _ = socket.close(Some(frame));
    };
    if let Play::Close(code) = play {
        let going = Event { event: "shutdown".into(), payload: None, seq: Some(1), state: None };
        say(socket, Frame::Event(going));
        return close(socket, code);
    }
    if let Play::NoChallenge = play {
        return;
    }
    let challenge =
        Event { event: "connect.challenge".into(), payload: None, seq: None, state: None };
    say(socket, Frame::Event(challenge));
    let mut next = |socket: &mut WebSocket<TcpStream>| {
        let text = socket.read().expect("a frame").into_text().expect("a text");
        let Ok(Frame::Req(request)) = read(&text) else { panic!("no request: {text}") };
        asked.push(request.clone());
        request
    };
    let connect = next(socket);
    if let Play::Refuse(code, reason) = play {
        let fault = Fault::new(code, "no").with(json!({ "code": reason }));
        say(socket, Frame::Res(Response::refused(&connect.id, fault)));
        return close(socket, 1008);
    }
    let hello = json!({"type": "hello-ok", "protocol": 4, "auth": {"role": "operator",
        "scopes": []}, "server": {"version": "1", "connId": "1", "bootId": "b", "pid": 7}});
    say(socket, Frame::Res(Response::done(&connect.id, hello)));
    let request = next(socket);
    match play {
        Play::Swallow => return close(socket, 1012),
        Play::Later => {
            let fault = Fault::later("on the way down", 500);
            return say(socket, Frame::Res(Response::refused(&request.id, fault)));
        }
        _ => {}
    }
    // An event and the answer to somebody else come in between.
    let tick = Event { event: "tick".into(), payload: None, seq: Some(1), state: None };
    say(socket, Frame::Event(tick));
    say(socket, Frame::Res(Response::done("other", json!(0))));
    say(
        socket,
        Frame::Res(Response::done(&request.id, json!({"status": "accepted", "runId": "r"}))),
    );
    say(socket, Frame::Res(Response::done(&request.id, request.params)));
}

#[test]
fn an_answer_is_asked_for_with_the_token_and_the_last_of_two_counts() {
    let (port, asked) = gateway(vec![Play::Serve]);
    let answer = client(port, 10_000).ask("echo", &json!({"a": 1}), Effect::Twice);
    assert_eq!(answer, Ok(json!({"a": 1})));
    let asked = asked.join().expect("served");
    assert_eq!(asked[0].params["auth"]["token"], "s3cret");
    assert_eq!((asked[0].params["client"]["id"].as_str(), asked.len()), (Some("cli"), 2));
}

#[test]
fn a_gateway_that_restarts_is_asked_again() {
    let closes = [Play::Close(1000), Play::Close(1012), Play::Close(1013), Play::Swallow];
    for play in closes.into_iter().chain([Play::Later, Play::HangUp, Play::Http(503)]) {
        let (port, asked) = gateway(vec![play, play, Play::Serve]);
        let answer = client(port, 10_000).ask("echo", &json!(5), Effect::Same);
        assert_eq!(answer, Ok(json!(5)), "{play:?}");
        assert!(asked.join().expect("served").last().is_some_and(|last| last.method == "echo"));
    }
}

#[test]
fn a_gateway_that_says_nothing_is_asked_again() {
    for play in [Play::Silence, Play::NoChallenge] {
        let (port, asked) = gateway(vec![play, Play::Serve]);
        let answer = client(port, 60_000).ask("echo", &json!(5), Effect::Same);
        assert_eq!(answer, Ok(json!(5)), "{play:?}");
        assert_eq!(asked.join().expect("served").len(), 2);
    }
}

#[test]
fn one_that_is_not_there_is_asked_again() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("bound").port();
    drop(free);
    let begun = clock::now();
    let refused = client(port, 60_000).ask("echo", &json!(5), Effect::Same).expect_err("nobody");
    assert_eq!(refused.exit, Exit::Unavailable);
    assert!(clock::now().since(begun) >= RETRIES.iter().sum::<Duration>(), "after the fifth try");
}

#[test]
fn what_has_an_effect_is_asked_again_if_nothing_was_done() {
    for play in [Play::Close(1012), Play::Later, Play::HangUp, Play::Http(503)] {
        let (port, asked) = gateway(vec![play, Play::Serve]);
        let answer = client(port, 10_000).ask("send", &json!(5), Effect::Twice);
        assert_eq!(answer, Ok(json!(5)), "{play:?}");
        asked.join().expect("served");
    }
}

#[test]
fn what_has_an_effect_is_asked_once() {
    let (port, asked) = gateway(vec![Play::Swallow]);
    let failure = client(port, 10_000).ask("send", &json!(5), Effect::Twice).expect_err("lost");
    assert!(failure.to_string().contains("not known"), "{failure}");
    assert_eq!(asked.join().expect("served").len(), 2);
}

#[test]
fn a_refused_credential_is_refused_once() {
    for (code, reason) in
        [("INVALID_REQUEST", "AUTH_TOKEN_MISMATCH"), ("NOT_PAIRED", "DEVICE_IDENTITY_REQUIRED")]
    {
        let (port, asked) = gateway(vec![Play::Refuse(code, reason)]);
        let failure = client(port, 10_000).ask("health", &json!({}), Effect::Same);
        let failure = failure.expect_err("refused");
        assert_eq!(failure.exit, Exit::Denied);
        assert!(failure.cure.contains("--token"), "{failure}");
        assert!(!failure.to_string().contains("s3cret"));
        assert_eq!(asked.join().expect("served").len(), 1);
    }
}

#[test]
fn every_way_to_get_no_answer_has_its_cure() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("bound").port();
    // Nobody accepts, but the kernel does.
    let late = client(port, 100).ask("health", &json!({}), Effect::Same).expect_err("silent");
    assert!(late.text.contains("within 100ms"), "{late}");
    drop(free);
    let refused = client(port, 100).ask("health", &json!({}), Effect::Same).expect_err("nobody");
    assert_eq!(refused.exit, Exit::Unavailable);
    assert!(refused.to_string().contains("barnacle gateway"), "{refused}");
}

#[test]
fn what_is_no_gateway_is_called_so() {
    for answer in ["SSH-2.0-OpenSSH\r\n\r\n", "HTTP/1.1 404 Not Found\r\n\r\n"] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a caller");
            let mut head = [0; 64];
            let _ = stream.read(&mut head);
            let _ = stream.write_all(answer.as_bytes());
        });
        let failure = client(port, 10_000).ask("health", &json!({}), Effect::Same);
        assert!(failure.expect_err("no gateway").cure.contains("a barnacle gateway"));
        thread.join().expect("served");
    }
}

#[test]
fn a_gateway_that_was_found_is_not_looked_for_elsewhere() {
    let (port, asked) = gateway(vec![Play::Serve]);
    let client = client(port, 400);
    assert_eq!(client.ask("echo", &json!(5), Effect::Same), Ok(json!(5)));
    asked.join().expect("served");
    let elsewhere = Client { port: Some(port ^ 1), ..client };
    let failure = elsewhere.ask("echo", &json!(5), Effect::Same).expect_err("it is gone");
    assert!(failure.text.contains(&format!("127.0.0.1:{port}")), "{failure}");
}

#[test]
fn urls_name_a_port_or_a_socket() {
    let name = |url| place_of(url).map(|place| place.name()).ok();
    assert_eq!(name("ws://127.0.0.1:1234/x").as_deref(), Some("127.0.0.1:1234"));
    assert_eq!(name("http://pi.local").as_deref(), Some("pi.local:18789"));
    assert_eq!(
        name("unix:/run/barnacle/barnacle.sock").as_deref(),
        Some("/run/barnacle/barnacle.sock")
    );
    assert_eq!((name("wss://x"), name("x"), name("ws://")), (None, None, None));
}
