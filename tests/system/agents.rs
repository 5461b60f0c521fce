//! Agents that are programs or endpoints, good and bad: every message has an answer or an apology,
//! nothing of a program is left, and the heartbeats are on time throughout.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Gateway, PATIENCE, Sandbox, millis, wait};

/// How late a heartbeat may come on a machine that is busy with other tests, too.
const LATE_MAX: Duration = Duration::from_secs(1);

/// Does what the message says.
const PROGRAM: &str = r#"
IFS= read -r message || true
case $message in
*'"text":"hang'*)
    trap '' TERM
    setsid sh -c 'echo $$ > daemon.pid; exec env -i sleep 600' > /dev/null 2>&1 &
    sleep 600 &
    echo $! > child.pid
    while [ ! -s daemon.pid ]; do sleep 0.01; done
    echo $$ > main.pid
    sleep 600; sleep 600 ;;
*'"text":"burn'*) timeout 3 sh -c 'while :; do :; done'; echo burnt ;;
*'"text":"flood'*) head -c 100000000 /dev/zero | tr '\0' x ;;
*'"text":"garbage'*) head -c 2000 /dev/urandom; printf '\377' ;;
*'"text":"leave'*)
    setsid sh -c 'echo $$ > left.pid; exec sleep 600' > /dev/null 2>&1 &
    while [ ! -s left.pid ]; do sleep 0.01; done
    echo left ;;
*'"text":"fail'*) echo half of it; echo 'no such luck' >&2; exit 7 ;;
*'"text":"silence'*) ;;
*'"text":"react'*) echo '{"react": "👍"}'; echo '{"text": "reacted"}' ;;
*'"text":"env'*) env | cut -d= -f1 | sort | tr '\n' ' ' ;;
*'"text":"count'*)
    echo $(( $(cat running 2> /dev/null || echo 0) + 1 )) > running
    most=$(cat running); sleep 0.2
    echo $(( $(cat running) - 1 )) > running
    echo "$most at once" ;;
*) printf 'said %s' "$(printf %s "$message" | sed 's/.*"text":"\([^"]*\)".*/\1/')" ;;
esac
"#;

/// With an agent of these keys; programs run in the directory `work` of the test's own.
fn with_agent(agent: impl FnOnce(&Path) -> Value) -> (Sandbox, Gateway) {
    let sandbox = Sandbox::with(&["--heartbeat", "1000"]);
    let gateway = Gateway::with(&sandbox.api, |dir, plan| {
        let work = dir.0.join("work");
        std::fs::create_dir(&work).unwrap();
        let config = json!({"agents": {"defaults": agent(&work)}});
        plan.env("BARNACLE_CONFIG", &dir.file("b.json5", &config.to_string()))
    });
    gateway.await_channel("connected");
    (sandbox, gateway)
}

fn with_program(timeout: u64) -> (Sandbox, Gateway) {
    with_agent(|work| {
        let command = ["sh", "-c", PROGRAM];
        json!({"kind": "exec", "command": command, "workspace": work, "timeout": timeout})
    })
}

fn assert_on_time(sandbox: &Sandbox) {
    let late = millis(sandbox.state().number("/heartbeats/late_ms_max"));
    assert!(late < LATE_MAX, "heartbeats were {late:?} late");
}

/// The number that a program has written of a process.
fn pid(gateway: &Gateway, name: &str) -> String {
    let path = gateway.dir.0.join("work").join(name);
    let read = || std::fs::read_to_string(&path).ok().filter(|pid| pid.ends_with('\n'));
    wait(name, PATIENCE, read).trim().to_owned()
}

fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

fn is_there(pid: &str) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn a_program_answers_each_message_and_every_failure_has_an_apology() {
    let (sandbox, gateway) = with_program(30);
    let asked = |author: &str, text: &str| sandbox.answer(&sandbox.direct(author, text));
    assert_eq!(asked("ann", "hello"), "said hello");
    assert_eq!(asked("ann", "react"), "reacted");
    assert_eq!(asked("ann", "env").trim(), "BARNACLE_TURN HOME LANG PATH PWD");
    let failed = asked("ann", "fail");
    assert!(failed.starts_with("Sorry") && !failed.contains("half"), "{failed}");
    gateway.run.line("no such luck");
    gateway.run.line("exit status 7");
    assert!(asked("ann", "garbage").starts_with("Sorry"));
    gateway.run.line("it is not UTF-8");
    let silent = sandbox.direct("ann", "silence");
    assert_eq!(asked("ann", "and now?"), "said and now?");
    assert_eq!(sandbox.state().answers(&silent), []);
    assert_on_time(&sandbox);
}

#[test]
fn a_program_that_hangs_ends_at_its_deadline_with_all_it_has_started() {
    let (sandbox, gateway) = with_program(2);
    let id = sandbox.direct("ann", "hang");
    let pids = ["main.pid", "child.pid", "daemon.pid"].map(|name| pid(&gateway, name));
    assert!(pids.iter().all(|pid| is_running(pid)));
    let next = sandbox.direct("ann", "still there?");
    assert!(sandbox.exactly_one_answer(&id).starts_with("Sorry, that took me too long"));
    assert_eq!(sandbox.answer(&next), "said still there?");
    // Those that lost their parents are ours, and have been cleared away too.
    wait("their end", PATIENCE, || (!pids.iter().any(|pid| is_there(pid))).then_some(()));
    assert_on_time(&sandbox);
}

#[test]
fn what_a_program_leaves_behind_does_not_stay() {
    let (sandbox, gateway) = with_program(30);
    assert_eq!(sandbox.answer(&sandbox.direct("ann", "leave")), "left");
    let left = pid(&gateway, "left.pid");
    wait("its end", PATIENCE, || (!is_there(&left)).then_some(()));
}

#[test]
fn a_program_does_not_outlive_the_gateway_even_a_killed_one() {
    let (sandbox, mut gateway) = with_program(60);
    sandbox.direct("ann", "hang");
    let pids = ["main.pid", "child.pid", "daemon.pid"].map(|name| pid(&gateway, name));
    gateway.run.kill();
    assert!(is_running(&pids[0]), "nobody was there to end it");
    for name in ["main.pid", "child.pid", "daemon.pid"] {
        std::fs::remove_file(gateway.dir.0.join("work").join(name)).unwrap();
    }
    gateway.again();
    gateway.run.line("that agents of an earlier run had left behind");
    wait("its end", PATIENCE, || (!is_running(&pids[0]) && !is_running(&pids[1])).then_some(()));
    // One that has thrown away the mark by which it is known, and whose gateway is gone, is not
    // found. It is the test's to end.
    let stray = pids[2].parse().ok().and_then(rustix::process::Pid::from_raw);
    let _ = rustix::process::kill_process(stray.unwrap(), rustix::process::Signal::KILL);
    gateway.await_channel("connected");
    sandbox.direct("ben", "hang");
    let pids = ["main.pid", "child.pid", "daemon.pid"].map(|name| pid(&gateway, name));
    gateway.stop();
    wait("their end", PATIENCE, || (!pids.iter().any(|pid| is_running(pid))).then_some(()));
}

#[test]
fn floods_and_burning_programs_hold_up_no_heartbeat_and_no_other_chat() {
    let (sandbox, gateway) = with_program(60);
    let burning: Vec<String> =
        ["ann", "ben", "cleo"].iter().map(|author| sandbox.direct(author, "burn")).collect();
    let flood = sandbox.direct("dave", "flood");
    let asked = sandbox.state().ms();
    let id = sandbox.direct("eve", "hello");
    let (at, text) = sandbox.until("an answer", PATIENCE, |state| state.answers(&id).pop());
    assert_eq!(text, "said hello");
    println!("beside a flood and three that burn: {} ms", at - asked);
    for id in burning {
        assert_eq!(sandbox.answer(&id), "burnt");
    }
    assert!(sandbox.answer(&flood).starts_with("xxx"));
    gateway.run.line("bytes more than are read");
    sandbox.until("the note of the cut", PATIENCE, |state| {
        let is_note = |message: &&&Value| {
            message["content"].as_str().is_some_and(|text| text.contains("(cut here"))
        };
        state.messages().iter().find(is_note).map(|_| ())
    });
    let memory = gateway.run.memory_kib("VmHWM");
    println!("memory at most {memory} KiB");
    assert!(memory < 60_000, "{memory} KiB");
    assert_on_time(&sandbox);
}

#[test]
fn chats_go_on_side_by_side_and_each_by_itself_one_by_one() {
    let (sandbox, _gateway) = with_program(30);
    let one: Vec<String> = (0..4).map(|n| sandbox.direct("ann", &format!("count {n}"))).collect();
    for id in &one {
        assert_eq!(sandbox.answer(id), "1 at once", "one turn per chat");
    }
    let many: Vec<String> =
        ["ben", "cleo", "dave"].iter().map(|author| sandbox.direct(author, "burn")).collect();
    let spans: Vec<u64> = many
        .iter()
        .map(|id| sandbox.until("an answer", PATIENCE, |state| state.answers(id).pop()).0)
        .collect();
    // One after the other they would take nine seconds.
    let spread = spans.iter().max().unwrap() - spans.iter().min().unwrap();
    assert!(spread < 3000, "{spread} ms between the first and the last");
}

#[test]
fn one_that_reads_nothing_and_one_that_is_not_there() {
    let (sandbox, _gateway) = with_agent(|_| json!({"command": ["echo", "fine"]}));
    assert_eq!(sandbox.answer(&sandbox.direct("ann", &"long ".repeat(500))), "fine");
    let (sandbox, gateway) = with_agent(|_| json!({"command": ["no-such-program"]}));
    assert!(sandbox.answer(&sandbox.direct("ann", "hello")).starts_with("Sorry"));
    gateway.run.line("no-such-program cannot be started");
}

/// An endpoint that does what the message says; it lives as long as the tests.
fn endpoint() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || serve(stream.unwrap()));
        }
    });
    url
}

/// A hang-up of the other side ends it.
fn serve(mut stream: TcpStream) -> Option<()> {
    let mut request = Vec::new();
    let mut byte = [0; 1];
    // The document's last key is its time.
    while !request.ends_with(b"Z\"}") {
        stream.read_exact(&mut byte).ok()?;
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).ok()?;
    assert!(request.to_lowercase().contains("x-key: hush-hush"), "{request}");
    let text = request.rsplit_once("\"text\":\"")?.1.split('"').next()?;
    let whole = |kind: &str, body: &str| {
        let length = body.len();
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        )
    };
    let stream_head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
    let answer = match text {
        "json" => whole("application/json", r#"{"reply": "from json"}"#),
        "text" => whole("text/plain", "from text"),
        "stream" => {
            let pieces = "data: {\"delta\": \"from \"}\n\ndata: {\"delta\": \"stream\"}\n\n";
            format!("{stream_head}{pieces}data: [DONE]\n\n")
        }
        "cut" => "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 99\r\n\r\nhal"
            .to_owned(),
        "types" => whole("application/json", r#"{"text": [1, {"a": true}]}"#),
        "page" => whole("text/html", "<h1>Welcome</h1>"),
        "line" => {
            whole("application/json", &format!("{{\"text\": \"{}\"}}", "x".repeat(10_000_000)))
        }
        "endless" => {
            stream.write_all(stream_head.as_bytes()).ok()?;
            loop {
                stream.write_all(b"data: more and more\n\n").ok()?;
            }
        }
        "silent" => {
            stream.write_all(stream_head.as_bytes()).ok()?;
            let _ = stream.read(&mut byte);
            return None;
        }
        _ => "HTTP/1.1 500 Oh\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhush!".to_owned(),
    };
    stream.write_all(answer.as_bytes()).ok()
}

#[test]
fn an_endpoint_answers_and_whatever_it_does_instead_has_an_apology() {
    let url = endpoint();
    let (sandbox, mut gateway) = with_agent(
        |_| json!({"kind": "http", "url": url, "headers": {"X-Key": "hush-hush"}, "timeout": 5}),
    );
    for text in ["json", "text", "stream"] {
        assert_eq!(sandbox.answer(&sandbox.direct("ann", text)), format!("from {text}"));
    }
    let people = ["ann", "ben", "cleo", "dave", "eve", "finn", "gus"];
    let bad = ["cut", "types", "page", "line", "endless", "silent", "error"];
    let ids: Vec<(&str, String)> =
        people.iter().zip(bad).map(|(author, text)| (text, sandbox.direct(author, text))).collect();
    for (text, id) in ids {
        let answer = sandbox.exactly_one_answer(&id);
        assert!(answer.starts_with("Sorry"), "{text}: {answer}");
    }
    assert_eq!(sandbox.answer(&sandbox.direct("ann", "json")), "from json", "it goes on");
    assert_on_time(&sandbox);
    assert!(gateway.run.memory_kib("VmHWM") < 60_000);
    gateway.stop();
    assert_eq!(gateway.run.count("hush-hush"), 0, "headers are secrets");
}
