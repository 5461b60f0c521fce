//! First contact: a gateway without a token takes one from whoever has the code, and from nobody
//! else; and once it has one, there is nothing to be found.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::{Answer, Dir, Gateway, PATIENCE, Plan, Run, Sandbox, http, wait};

/// Nobody listens here.
const NOWHERE: &str = "http://127.0.0.1:1/api/v10";

/// A gateway without a token.
fn bare(api: &str, change: impl FnOnce(&Dir, Plan) -> Plan) -> Gateway {
    Gateway::with(api, |dir, plan| change(dir, plan.without("DISCORD_BOT_TOKEN").level("info")))
}

/// One that is open to the network, at a port that is free; that port.
fn on_the_network(api: &str) -> (Gateway, u16) {
    at_the_port(api, 0)
}

/// The same at the port `port`.
fn at_the_port(api: &str, port: u16) -> (Gateway, u16) {
    let config = format!("{{gateway: {{setup: 'lan', setupPort: {port}}}}}");
    let gateway = bare(api, |dir, plan| plan.env("BARNACLE_CONFIG", &dir.file("b.json5", &config)));
    let line = gateway.run.line("listening on the network, port ");
    let port = line.rsplit(' ').next().unwrap().parse().unwrap();
    (gateway, port)
}

fn contact(gateway: &Gateway) -> PathBuf {
    gateway.dir.0.join("run/barnacle/contact.txt")
}

/// What `barnacle setup` says.
fn told(gateway: &Gateway, args: &[&str]) -> Value {
    let mut run = gateway.cli(&[&["setup", "--json"], args].concat());
    assert_eq!(run.code(), 0, "{}", run.output());
    serde_json::from_str(&run.stdout()).unwrap()
}

fn code(gateway: &Gateway) -> String {
    told(gateway, &[])["code"].as_str().expect("a code").to_owned()
}

/// What the page posts, with a cookie if it has one.
fn post(port: u16, path: &str, cookie: &str, body: &Value) -> Answer {
    let origin = format!("http://127.0.0.1:{port}");
    let headers =
        [("Origin", origin.as_str()), ("Content-Type", "application/json"), ("Cookie", cookie)];
    http(port, &format!("POST /setup/{path}"), &headers, Some(body)).expect("an answer")
}

fn state(port: u16, cookie: &str) -> Answer {
    http(port, "GET /setup/state", &[("Cookie", cookie)], None).expect("an answer")
}

/// Types the right code; the cookie.
fn entered(gateway: &Gateway, port: u16) -> String {
    let answer = post(port, "code", "", &json!({ "code": code(gateway) }));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let cookie = answer.head.split_once("set-cookie: ").expect("a cookie").1;
    for word in ["httponly", "samesite=strict", "path=/setup", "max-age=1800"] {
        assert!(cookie.contains(word), "{cookie}");
    }
    cookie.split(';').next().unwrap().to_owned()
}

fn is_listening(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[test]
fn from_the_code_to_a_connection_and_a_resume_after_a_restart() {
    let sandbox = Sandbox::start();
    let (mut gateway, port) = on_the_network(&sandbox.api);
    let file = contact(&gateway);
    let text = wait("what is written down", PATIENCE, || std::fs::read_to_string(&file).ok());
    let mode = std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o640, "{mode:o}");
    let dashed = text.lines().find_map(|line| line.strip_prefix("code: ")).expect("a code");
    assert_eq!(dashed.replace('-', ""), code(&gateway));
    assert!(text.contains(&format!(":{port}/setup")) && text.contains("ssh -N -L"), "{text}");
    assert_eq!(state(port, "").json()["step"], "code");
    let cookie = entered(&gateway, port);
    // One at a time, and the code is good once.
    let again = post(port, "code", "", &json!({ "code": dashed }));
    assert_eq!(again.status, 409, "{}", again.body);
    for path in ["token", "next", "switch", "say"] {
        assert_eq!(post(port, path, "barnacle-setup=x", &json!({})).status, 401, "{path}");
    }
    let wrong = post(port, "token", &cookie, &json!({ "token": "bad.token" }));
    assert_eq!(wrong.status, 422, "{}", wrong.body);
    assert!(wrong.body.contains("Reset Token") && !wrong.body.contains("bad.token"));
    let token = "setup.good.token";
    let right = post(port, "token", &cookie, &json!({ "token": format!(" Bot {token}\n") }));
    assert_eq!(right.status, 200, "{}", right.body);
    gateway.await_channel("connected");
    let kept = gateway.dir.0.join("state/discord-bot-token");
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), token);
    assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    wait("the code to be taken away", PATIENCE, || (!file.exists()).then_some(()));
    // For others there is nothing any more; whoever has begun goes on.
    assert_eq!(state(port, "").status, 404);
    assert_eq!(post(port, "code", "", &json!({ "code": dashed })).status, 404);
    walk(&sandbox, port, &cookie);
    wait("the port to close", PATIENCE, || (!is_listening(port)).then_some(()));
    assert_eq!(gateway.get("/setup", &[("Cookie", &cookie)]).status, 404);
    let output = gateway.run.output();
    assert!(!output.contains(dashed) && !output.contains(&dashed.replace('-', "")), "{output}");
    assert!(!output.contains(token) && !output.contains("bad.token"), "{output}");
    gateway.again();
    gateway.run.line("session resumed");
    let why = told(&gateway, &[])["why"].as_str().unwrap().to_owned();
    assert!(why.contains("first contact, ") && why.contains("discord-bot-token"), "{why}");
    let mut listed = gateway.cli(&["channels", "list"]);
    assert_eq!(listed.code(), 0);
    assert!(listed.stdout().contains("(token from first contact, "), "{}", listed.stdout());
    let mut doctor = gateway.cli(&["doctor", "--json"]);
    doctor.code();
    assert!(doctor.stdout().contains("from first contact, "), "{}", doctor.stdout());
    assert_eq!(sandbox.state().0["violations"], json!([]));
}

/// The steps after the token, as the page takes them.
fn walk(sandbox: &Sandbox, port: u16, cookie: &str) {
    let next = |from: &str| {
        let answer = post(port, "next", cookie, &json!({ "from": from }));
        assert_eq!((answer.status, answer.json()["ok"] == true), (200, true), "{from}");
    };
    let at = |step: &str| {
        let told = state(port, cookie).json();
        assert_eq!(told["step"], step, "{told}");
        told
    };
    let told = at("intents");
    assert_eq!(told["missing"], json!([]), "{told}");
    next("intents");
    assert_eq!(post(port, "next", cookie, &json!({ "from": "intents" })).json()["ok"], false);
    let told = at("invite");
    let invite = told["invite"].as_str().unwrap();
    assert!(invite.starts_with("https://discord.com/oauth2/authorize?client_id="), "{invite}");
    assert!(told["servers"].as_array().is_some_and(|servers| !servers.is_empty()), "{told}");
    next("invite");
    let told = at("test");
    assert_eq!(told["message"], Value::Null, "{told}");
    let channel = told["channels"][0]["id"].clone();
    let said = post(port, "say", cookie, &json!({ "channel": channel }));
    assert_eq!(said.status, 200, "{}", said.body);
    let id = sandbox.ask("are you there?");
    sandbox.answer(&id);
    wait("the message to be seen", PATIENCE, || {
        (at("test")["message"]["outcome"] == "answered").then_some(())
    });
    next("test");
}

#[test]
fn who_guesses_is_stopped_and_the_machine_itself_makes_another_code() {
    let gateway = bare(NOWHERE, |_, plan| plan);
    let port = gateway.port;
    let first = code(&gateway);
    let guess = |code: &str| post(port, "code", "", &json!({ "code": code })).status;
    assert_eq!(guess("ABC"), 400, "what is no code costs no try");
    let wrong = if first == "ZZZZZZZZ" { "YYYYYYYY" } else { "ZZZZZZZZ" };
    for n in 1..=5 {
        assert_eq!(guess(wrong), 401, "try {n}");
    }
    assert_eq!(guess(wrong), 429);
    assert_eq!(guess(&first), 429, "the right one is not looked at either");
    let text = std::fs::read_to_string(contact(&gateway)).unwrap();
    let text = if text.contains("locked: ") {
        text
    } else {
        wait("the guesses to be told", PATIENCE, || {
            let text = std::fs::read_to_string(contact(&gateway)).ok()?;
            text.contains("locked: ").then_some(text)
        })
    };
    assert!(text.contains("wrong codes: 5 from 127.0.0.1"), "{text}");
    let second = code(&gateway);
    assert_ne!(second, first);
    assert_eq!(guess(&first), 401);
    assert_eq!(guess(&second), 200);
    assert_eq!(gateway.run.count("a wrong code came from 127.0.0.1"), 6);
    // Asked for at the machine while somebody is at it: whoever that is has to begin again.
    let third = code(&gateway);
    assert!(third != second && guess(&third) == 200);
}

#[test]
fn a_page_of_another_site_gets_nothing() {
    let gateway = bare(NOWHERE, |_, plan| plan);
    let (port, right) = (gateway.port, json!({ "code": code(&gateway) }));
    let own = format!("http://127.0.0.1:{port}");
    let ask = |headers: &[(&str, &str)], body: &Value| {
        http(port, "POST /setup/code", headers, Some(body)).expect("an answer").status
    };
    let json = ("Content-Type", "application/json");
    for origin in ["http://evil.example", "null", "http://127.0.0.1:1", "https://localhost"] {
        assert_eq!(ask(&[("Origin", origin), json], &right), 403, "{origin}");
    }
    assert_eq!(ask(&[json], &right), 403, "no origin at all");
    let text = ("Content-Type", "text/plain");
    assert_eq!(ask(&[("Origin", &own), text], &right), 415);
    assert_eq!(ask(&[("Origin", &own)], &right), 415);
    let large = json!({ "code": "x".repeat(5000) });
    assert_eq!(ask(&[("Origin", &own), json], &large), 413);
    // With a name of its own for our address, a page's origin would equal the host.
    let rebound = [("Host", "evil.example"), ("Origin", "http://evil.example"), json];
    assert_eq!(ask(&rebound, &right), 403);
    assert_eq!(gateway.get("/setup", &[("Host", "evil.example")]).status, 403);
    let page = gateway.get("/setup", &[("Host", "localhost")]);
    assert_eq!(page.status, 200);
    for word in ["default-src 'none'", "frame-ancestors 'none'", "x-frame-options: deny"] {
        assert!(page.head.contains(word), "{}", page.head);
    }
    assert_eq!(ask(&[("Origin", &own), json], &right), 200, "and none of it was a try");
}

#[test]
fn the_port_on_the_network_serves_nothing_else() {
    let (gateway, port) = on_the_network(NOWHERE);
    for path in ["/healthz", "/dashboard", "/api/status", "/metrics", "/v1/models", "/setups"] {
        let answer = http(port, &format!("GET {path}"), &[], None).expect("an answer");
        assert_eq!(answer.status, 404, "{path}");
    }
    assert_eq!(http(port, "GET /", &[], None).expect("an answer").status, 302);
    assert_eq!(state(port, "").json()["readable"], true);
    assert_eq!(state(gateway.port, "").json()["readable"], false);
}

#[test]
fn where_there_is_a_token_or_none_is_wanted_there_is_nothing() {
    let sandbox = Sandbox::start();
    let with = Gateway::with(&sandbox.api, |_, plan| plan.env("BARNACLE_SETUP", "lan"));
    with.await_channel("connected");
    let off = "{gateway: {setup: 'off'}}";
    let off = bare(NOWHERE, |dir, plan| plan.env("BARNACLE_CONFIG", &dir.file("b.json5", off)));
    let idle = "{channels: {discord: {enabled: false}}}";
    let idle = bare(NOWHERE, |dir, plan| plan.env("BARNACLE_CONFIG", &dir.file("b.json5", idle)));
    for (gateway, word) in [(&with, "DISCORD_BOT_TOKEN"), (&off, "off"), (&idle, "no account")] {
        for what in ["GET /setup", "GET /setup/state", "POST /setup/code"] {
            let headers = [("Content-Type", "application/json")];
            let answer = http(gateway.port, what, &headers, Some(&json!({})));
            assert_eq!(answer.expect("an answer").status, 404, "{word}: {what}");
        }
        assert!(!contact(gateway).exists(), "{word}");
        assert_eq!(gateway.run.count("first contact"), 0, "{}", gateway.run.output());
        let said = told(gateway, &[]);
        assert_eq!(said["open"], false, "{said}");
        assert!(said["why"].as_str().unwrap().contains(word), "{said}");
        let mut plain = gateway.cli(&["setup"]);
        assert_eq!(plain.code(), 0);
        assert!(plain.stdout().starts_with("There is nothing to set up: "), "{}", plain.stdout());
    }
    // A token that was not taken so is not replaced so.
    let said = told(&with, &["--again"]);
    assert!(said["why"].as_str().unwrap().contains("replace it there"), "{said}");
}

#[test]
fn a_token_that_was_revoked_is_replaced_when_the_machine_itself_asks() {
    let sandbox = Sandbox::start();
    let gateway = bare(&sandbox.api, |dir, plan| {
        std::fs::create_dir_all(dir.0.join("state")).unwrap();
        dir.file("state/discord-bot-token", "bad.token");
        plan
    });
    gateway.await_channel("auth_required");
    assert_eq!(gateway.get("/setup", &[]).status, 404, "nobody but the machine opens it again");
    assert_eq!(told(&gateway, &[])["open"], false);
    let code = told(&gateway, &["--again"])["code"].as_str().expect("a code").to_owned();
    let answer = post(gateway.port, "code", "", &json!({ "code": code }));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let cookie = answer.head.split_once("set-cookie: ").unwrap().1;
    let cookie = cookie.split(';').next().unwrap();
    let body = json!({ "token": "good.again.token" });
    assert_eq!(post(gateway.port, "token", cookie, &body).status, 200);
    gateway.await_channel("connected");
}

#[test]
fn without_a_network_the_page_says_what_is_wrong() {
    let gateway = bare(NOWHERE, |_, plan| plan);
    let cookie = entered(&gateway, gateway.port);
    let answer = post(gateway.port, "token", &cookie, &json!({ "token": "a.b.c" }));
    assert_eq!(answer.status, 422, "{}", answer.body);
    assert!(answer.body.contains("cannot be reached: connection refused"), "{}", answer.body);
    assert!(!gateway.dir.0.join("state/discord-bot-token").exists(), "nothing was kept");
    let number = post(gateway.port, "token", &cookie, &json!({ "token": "1234567890" }));
    assert!(number.status == 400 && number.body.contains("a number"), "{}", number.body);
}

#[test]
fn what_is_written_down_goes_with_the_process() {
    let mut gateway = bare(NOWHERE, |_, plan| plan);
    let file = contact(&gateway);
    wait("what is written down", PATIENCE, || file.exists().then_some(()));
    assert_eq!(gateway.stop(), 0);
    assert!(!file.exists());
}

#[test]
fn a_person_goes_through_the_page() {
    let sandbox = Sandbox::start();
    // It is the same after a restart.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (gateway, port) = at_the_port(&sandbox.api, free);
    let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/system/peers");
    let installed = room.join("node_modules/playwright-core");
    assert!(installed.is_dir(), "playwright-core is not installed: `tests/run system` does that");
    let mut command = Command::new("node");
    command.arg(room.join("setup.mjs")).current_dir(&room);
    command.env("PAGE_URL", format!("http://127.0.0.1:{port}/setup"));
    command.env("PAGE_SANDBOX", sandbox.api.replace("/api/v10", "/_sandbox"));
    let mut browser = Run::of(command, "setup.mjs".to_owned());
    browser.line("{\"want\":\"code\"}");
    browser.write(&format!("{}\n", code(&gateway)));
    browser.line("{\"want\":\"restart\"}");
    let before = gateway.run.length();
    // It cannot be ready without a token, and that is not waited for.
    gateway.cli(&["gateway", "restart", "--wait", "1s"]);
    gateway.run.line_after(before, "listening on the network");
    let skip = browser.length();
    browser.write("ok\n");
    browser.line_after(skip, "{\"want\":\"code\"}");
    let typed = code(&gateway);
    browser.write(&format!("{typed}\n"));
    browser.line("{\"want\":\"token\"}");
    browser.write("page.good.token\n");
    let line = browser.line("\"done\":");
    let told: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(told["done"], true, "{}\n{}", told["error"], browser.output());
    assert_eq!(browser.code(), 0);
    gateway.await_channel("connected");
    let said = gateway.run.output();
    assert!(!said.contains("page.good.token") && !said.contains(&typed), "{said}");
}
