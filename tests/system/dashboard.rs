//! The page, by a browser: Debian's Chromium clicks through it against the real gateway.
//!
//! What drives it is installed by `tests/run`, or by hand: Debian's `chromium`, and
//! `npm ci --ignore-scripts --no-audit --no-fund --prefix tests/system/peers`.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Dir, Gateway, PATIENCE, Plan, Run, Sandbox, http, wait};

/// Everybody is heard in servers; who writes directly is asked for a code.
const CONFIG: &str = "{channels: {discord: {groupPolicy: 'open'}}}";

/// A link of the command line's.
fn link(gateway: &Gateway) -> String {
    let mut run = gateway.cli(&["dashboard", "--no-open", "--json"]);
    assert_eq!(run.code(), 0, "{}", run.output());
    let told: Value = serde_json::from_str(&run.stdout()).unwrap();
    told["url"].as_str().unwrap().to_owned()
}

/// The browser, at what its script calls `role`.
fn browser(role: &str, gateway: &Gateway, sandbox: &Sandbox) -> Run {
    let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/system/peers");
    let installed = room.join("node_modules/playwright-core");
    assert!(installed.is_dir(), "playwright-core is not installed: `tests/run system` does that");
    let mut command = Command::new("node");
    command.arg(room.join("page.mjs")).arg(role).current_dir(&room);
    let control = sandbox.api.replace("/api/v10", "/_sandbox");
    command.env("PAGE_URL", link(gateway)).env("PAGE_SANDBOX", control);
    Run::of(command, format!("page.mjs {role}"))
}

/// Waits for the script's end; it must have found everything as it should be.
fn done(browser: &mut Run) {
    let line = browser.line("\"done\":");
    let told: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(told["done"], true, "{}\n{}", told["error"], browser.output());
    assert_eq!(browser.code(), 0);
}

#[test]
fn a_person_clicks_through_the_page() {
    let sandbox = Sandbox::start();
    let dir = Dir::new();
    let plan = Plan::new(&dir, &sandbox.api).env("BARNACLE_CONFIG", &dir.file("b.json5", CONFIG));
    let mut gateway = Gateway::of(plan, dir);
    gateway.await_channel("connected");
    let add = ["cron", "add", "--name", "greet", "--every", "1h", "--message", "good morning"];
    let mut added = gateway.cli(&[&add[..], &["--no-deliver"]].concat());
    assert_eq!(added.code(), 0, "{}", added.output());
    let mut browser = browser("tour", &gateway, &sandbox);
    browser.line("{\"want\":\"answer to may I?\"}");
    sandbox.until("an answer to the one who was let in", PATIENCE, |state| {
        let said = state
            .messages()
            .into_iter()
            .any(|message| message["bot"] == true && message["content"] == "may I?");
        said.then_some(())
    });
    browser.write("ok\n");
    browser.line("{\"want\":\"restart\"}");
    let mut restarted = gateway.cli(&["gateway", "restart", "--wait", "60s"]);
    assert_eq!(restarted.code(), 0, "{}", restarted.output());
    browser.write("ok\n");
    browser.line("{\"want\":\"stop\"}");
    assert_eq!(gateway.stop(), 0);
    browser.write("ok\n");
    browser.line("{\"want\":\"start\"}");
    gateway.plan = gateway.plan.clone().port(gateway.port);
    gateway.again();
    browser.write("ok\n");
    done(&mut browser);
    assert_eq!(sandbox.state().0["violations"], json!([]));
    // What lets people in is nobody's to read in the log.
    let said = gateway.run.output();
    assert!(!said.contains("login="), "{said}");
}

#[test]
fn the_page_fits_a_telephone_and_keeps_nobody_out() {
    let sandbox = Sandbox::start();
    let gateway = Gateway::configured(&sandbox.api, CONFIG);
    gateway.await_channel("connected");
    done(&mut browser("looks", &gateway, &sandbox));
}

#[test]
fn the_record_of_up_and_down_outlives_a_kill_and_knows_that_nobody_was_there() {
    let sandbox = Sandbox::start();
    let mut gateway = Gateway::connected(&sandbox);
    let uptime = |gateway: &Gateway| {
        let mut run = gateway.cli(&["channels", "uptime", "--json"]);
        assert_eq!(run.code(), 0, "{}", run.output());
        let told: Value = serde_json::from_str(&run.stdout()).unwrap();
        told["accounts"][0].clone()
    };
    let beats = |told: &Value| told["heartbeats"].as_array().map_or(0, Vec::len);
    wait("a heartbeat", PATIENCE, || (beats(&uptime(&gateway)) > 0).then_some(()));
    gateway.again();
    gateway.await_channel("connected");
    sandbox.fault("drop", json!({}));
    gateway.run.line("session resumed");
    let told = wait("the record of today", PATIENCE, || {
        let told = uptime(&gateway);
        let today = told["days"].as_array().unwrap().last().cloned()?;
        let (off, up) = (today["offMs"].as_u64()?, today["upMs"].as_u64()?);
        (off > 0 && up > 0).then_some(today)
    });
    let causes = told["causes"].to_string();
    assert!(causes.contains("the gateway was not running"), "{told}");
    let mut shown = gateway.cli(&["channels", "uptime"]);
    assert_eq!(shown.code(), 0);
    let lines = shown.stdout();
    assert!(lines.contains("discord default") && lines.contains("30 d  "), "{lines}");
    assert!(lines.contains("stopped or not running"), "{lines}");
}

/// What a browser sends with a form of a page of `origin`.
fn post(gateway: &Gateway, path: &str, origin: &str, more: &[(&str, &str)], body: &Value) -> u16 {
    let headers = [&[("Origin", origin), ("Content-Type", "application/json")], more].concat();
    http(gateway.port, &format!("POST {path}"), &headers, Some(body)).unwrap().status
}

#[test]
fn a_code_and_a_cookie_are_worth_nothing_from_another_page() {
    let gateway = Gateway::start("http://127.0.0.1:9/api/v10");
    let ours = format!("http://127.0.0.1:{}", gateway.port);
    let link = link(&gateway);
    assert!(link.starts_with(&format!("{ours}/#login=")), "{link}");
    let code = json!({ "code": link.split_once('=').unwrap().1 });
    for origin in ["http://evil.example", "http://localhost:1", "null", "http://127.0.0.1"] {
        assert_eq!(post(&gateway, "/api/login", origin, &[], &code), 403, "{origin}");
    }
    let headers = [("Origin", ours.as_str())];
    let answer = http(gateway.port, "POST /api/login", &headers, Some(&code)).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.head.contains("httponly; samesite=strict"), "{}", answer.head);
    let cookie = answer.head.split_once("set-cookie: ").unwrap().1;
    let cookie = cookie.split(';').next().unwrap().to_owned();
    assert_eq!(post(&gateway, "/api/login", &ours, &[], &code), 401, "a code is good once");
    for rubbish in [json!(null), json!({"code": 1}), json!({"code": "x".repeat(100_000)})] {
        assert_eq!(post(&gateway, "/api/login", &ours, &[], &rubbish), 401);
    }
    // By the cookie, only our own page is let in; another is not even given a socket.
    let upgrade = |origin: &str| {
        let headers = [
            ("Origin", origin),
            ("Cookie", cookie.as_str()),
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let mut stream = TcpStream::connect(("127.0.0.1", gateway.port)).unwrap();
        upgraded(&mut stream, gateway.port, &headers)
    };
    assert!(upgrade(&ours).contains("hello-ok"));
    for origin in ["http://127.0.0.1:1", "http://localhost:18789"] {
        assert!(!upgrade(origin).contains("hello-ok"), "{origin}");
    }
    assert!(upgrade("http://evil.example").starts_with("HTTP/1.1 403"));
    let with = [("Cookie", cookie.as_str())];
    assert_eq!(post(&gateway, "/api/logout", "http://evil.example", &with, &json!({})), 403);
    assert!(upgrade(&ours).contains("hello-ok"));
    assert_eq!(post(&gateway, "/api/logout", &ours, &with, &json!({})), 200);
    assert!(!upgrade(&ours).contains("hello-ok"));
}

/// Goes over to the protocol and asks to be let in, without a token; what comes of it.
fn upgraded(stream: &mut TcpStream, port: u16, headers: &[(&str, &str)]) -> String {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut head = format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n");
    for (name, value) in headers {
        let _ = write!(head, "{name}: {value}\r\n");
    }
    let connect = json!({ "type": "req", "id": "1", "method": "connect", "params": {
        "minProtocol": 4, "maxProtocol": 4, "role": "operator", "scopes": ["operator.admin"],
        "client": { "id": "openclaw-control-ui", "version": "1", "platform": "web", "mode": "ui" },
    }});
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    let answer = until(stream, "\r\n\r\n");
    if !answer.starts_with("HTTP/1.1 101") {
        return answer;
    }
    // A masked text frame (RFC 6455 5.2) whose mask changes nothing.
    let text = connect.to_string();
    let length = u16::try_from(text.len()).unwrap().to_be_bytes();
    let frame = [&[0x81, 0xfe][..], &length, &[0; 4], text.as_bytes()].concat();
    let _ = stream.write_all(&frame);
    until(stream, "\"res\"")
}

/// Reads until `needle` was said, or the other side has ended.
fn until(stream: &mut TcpStream, needle: &str) -> String {
    let mut heard = Vec::new();
    let mut some = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut some) {
        heard.extend_from_slice(&some[..count]);
        if String::from_utf8_lossy(&heard).contains(needle) {
            break;
        }
    }
    String::from_utf8_lossy(&heard).into_owned()
}

#[test]
fn whoever_guesses_at_codes_is_locked_out_and_told_for_how_long() {
    let gateway = Gateway::start("http://127.0.0.1:9/api/v10");
    let ours = format!("http://127.0.0.1:{}", gateway.port);
    let link = link(&gateway);
    let guess = |code: &str| post(&gateway, "/api/login", &ours, &[], &json!({ "code": code }));
    let refused = (0..100).map(|n| guess(&n.to_string())).find(|status| *status != 401);
    assert_eq!(refused, Some(429), "somebody may guess for ever");
    let code = link.split_once('=').unwrap().1;
    assert_eq!(guess(code), 429, "a right one is not looked at either");
    gateway.run.line("has shown a wrong code for the page too often");
}

#[test]
fn the_page_comes_packed_or_plain_and_may_load_nothing() {
    let gateway = Gateway::start("http://127.0.0.1:9/api/v10");
    let plain = gateway.get("/", &[]);
    assert_eq!(plain.status, 200);
    assert!(plain.body.starts_with("<!doctype html>"));
    let policy = plain.head.lines().find(|line| line.starts_with("content-security-policy:"));
    let policy = policy.expect("a policy");
    for word in ["default-src 'none'", "frame-ancestors 'none'", "trusted-types 'none'"] {
        assert!(policy.contains(word), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for word in ["nosniff", "no-referrer", "x-frame-options: deny"] {
        assert!(plain.head.contains(word), "{}", plain.head);
    }
    let packed = gateway.get("/dashboard", &[("Accept-Encoding", "br, gzip;q=0.8")]);
    assert!(packed.head.contains("content-encoding: gzip"), "{}", packed.head);
    let tag = plain.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
    assert_eq!(gateway.get("/", &[("If-None-Match", &tag)]).status, 304);
    let framed = gateway.get("/", &[("Host", "evil.example")]);
    assert_eq!(framed.status, 403, "another name for this host is nobody's");
}
