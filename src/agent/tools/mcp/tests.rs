//! Servers good and bad, as programs and by HTTP.

use std::net::TcpListener;

use serde_json::json;
use smol::Async;
use smol::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::core::chat::sample;
use crate::proto::llm::Call;
use crate::rt::executor::{self, Spawner};
use crate::rt::net::NetOptions;

const PATIENCE: Duration = Duration::from_secs(60);

/// A server in a few lines of shell: it answers by the method and the number that it finds.
const SERVER: &str = r#"
gives() { echo "{\"jsonrpc\":\"2.0\",\"id\":$id,\"result\":$1}"; }
tool() { printf '{"name":"%s","inputSchema":{"type":"object"}}' "$1"; }
text() { gives "{\"content\":[{\"type\":\"text\",\"text\":\"$1\"}]}"; }
while IFS= read -r line; do
    id=$(printf %s "$line" | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
    case $line in
    *'"initialize"'*)
        gives '{"protocolVersion":"2025-06-18","capabilities":{"tools":{}}}' ;;
    *'"tools/list"'*)
        gives "{\"tools\":[$(tool 'say it'),$(tool die),$(tool flood)]}" ;;
    *'"die"'*) echo 'I am dying' >&2; exit 3 ;;
    *'"flood"'*) head -c 3000000 /dev/zero | tr '\0' x; echo; text 'after the flood' ;;
    *'"tools/call"'*) text "said $OWN" ;;
    esac
done
"#;

fn program(name: &str, script: &str) -> Setup {
    let env = [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("OWN", "own")];
    let way = Way::Program {
        command: ["sh", "-c", script].map(str::to_owned).into(),
        env: env.map(|(name, value)| (name.to_owned(), Secret::new(value))).into(),
        dir: "/".into(),
        walls: None,
    };
    Setup { name: name.to_owned(), way, deadline: PATIENCE }
}

fn start(spawner: &Spawner, setups: Vec<Setup>) -> Servers {
    let net = Net::new(spawner, &NetOptions::default()).unwrap();
    Servers::start(&net, "1", setups)
}

async fn wait(servers: &Servers, what: impl Fn(&[Status]) -> bool) {
    let until = clock::now() + PATIENCE;
    while !what(&servers.status()) {
        assert!(clock::now() < until, "waited in vain: {:?}", servers.status());
        clock::sleep(Duration::from_millis(5)).await;
    }
}

fn is_down(status: &Status, words: &str) -> bool {
    matches!(&status.state, State::Down(why) if why.contains(words))
}

async fn call(servers: &Servers, name: &str, span: Duration) -> Outcome {
    let request = sample::request(5, 100);
    let call = Call { name: name.into(), ..Call::default() };
    let by = clock::now() + span;
    servers.run(&Ask { request: &request, call: &call, ordinal: 0, by }, &json!({})).await
}

#[test]
fn a_program_is_called_and_started_again_when_it_has_died() {
    executor::run(|spawner| async move {
        let servers = start(&spawner, vec![program("toy", SERVER)]);
        wait(&servers, |all| all[0].state == State::Ready).await;
        let names: Vec<String> = servers.tools().iter().map(|tool| tool.name.to_string()).collect();
        assert_eq!(names, ["toy__say_it", "toy__die", "toy__flood"]);
        assert_eq!(call(&servers, "toy__say_it", PATIENCE).await.unwrap(), "said own");
        assert_eq!(call(&servers, "toy__flood", PATIENCE).await.unwrap(), "after the flood");
        assert!(call(&servers, "toy__nothing", PATIENCE).await.is_err());
        let died = call(&servers, "toy__die", PATIENCE).await.unwrap_err();
        assert!(died.contains("broken off"), "{died}");
        wait(&servers, |all| is_down(&all[0], "I am dying")).await;
        assert!(servers.tools().is_empty());
        wait(&servers, |all| all[0].state == State::Ready && all[0].starts == 2).await;
        assert_eq!(call(&servers, "toy__say_it", PATIENCE).await.unwrap(), "said own");
    });
}

#[test]
fn a_broken_server_costs_nobody_else_and_says_why() {
    executor::run(|spawner| async move {
        let mut absent = program("absent", "");
        if let Way::Program { command, .. } = &mut absent.way {
            *command = vec!["no-such-program".to_owned()];
        }
        let setups = vec![
            program("garbage", "head -c 100000 /dev/urandom; echo; sleep 600"),
            program("exits", "echo no licence >&2; exit 1"),
            program("floods", "while :; do echo '{\"method\":\"notifications/x\"}'; done"),
            absent,
            program("toy", SERVER),
        ];
        let servers = start(&spawner, setups);
        wait(&servers, |all| all[4].state == State::Ready).await;
        wait(&servers, |all| is_down(&all[0], "no MCP")).await;
        wait(&servers, |all| is_down(&all[1], "no licence")).await;
        wait(&servers, |all| is_down(&all[3], "no program no-such-program")).await;
        assert_eq!(servers.status()[2].state, State::Starting, "it never says hello");
        assert_eq!(call(&servers, "toy__say_it", PATIENCE).await.unwrap(), "said own");
        assert_eq!(servers.tools().len(), 3);
    });
}

#[test]
fn a_call_that_takes_too_long_is_over_and_the_server_goes_on() {
    executor::run(|spawner| async move {
        let script = SERVER.replace("*'\"die\"'*)", "*'\"die\"'*) continue;; *never*)");
        let servers = start(&spawner, vec![program("toy", &script)]);
        wait(&servers, |all| all[0].state == State::Ready).await;
        let late = call(&servers, "toy__die", Duration::from_millis(200)).await.unwrap_err();
        assert!(late.contains("too long"), "{late}");
        assert_eq!(call(&servers, "toy__say_it", PATIENCE).await.unwrap(), "said own");
        assert_eq!(servers.status()[0].starts, 1);
    });
}

/// Answers every post by `play`, which is given its head and its message.
fn web(spawner: &Spawner, play: fn(&str, &Value) -> String) -> (String, Task<()>) {
    let listener = Async::<TcpListener>::bind(([127, 0, 0, 1], 0)).unwrap();
    let url = format!("http://{}/mcp", listener.get_ref().local_addr().unwrap());
    let server = spawner.spawn(Tier::Wire, "server", async move {
        loop {
            let mut stream = listener.accept().await.unwrap().0;
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).await.is_ok() {
                head.push(byte[0]);
            }
            let head = String::from_utf8_lossy(&head).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
            stream.read_exact(&mut body).await.unwrap();
            let message = serde_json::from_slice(&body).unwrap();
            let _ = stream.write_all(play(&head, &message).as_bytes()).await;
            let _ = stream.get_ref().shutdown(std::net::Shutdown::Both);
        }
    });
    (url, server)
}

fn play(head: &str, message: &Value) -> String {
    let id = &message["id"];
    let plain = |result: Value, more: &str| {
        let body = json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string();
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{more}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    assert!(
        head.contains("authorization: bearer t") && head.contains("text/event-stream"),
        "{head}"
    );
    let method = message["method"].as_str().unwrap();
    if method == "initialize" {
        let hello = json!({"protocolVersion": "2025-03-26", "capabilities": {"tools": {}}});
        return plain(hello, "Mcp-Session-Id: s-1\r\n");
    }
    let is_known =
        head.contains("mcp-session-id: s-1") && head.contains("mcp-protocol-version: 2025-03-26");
    assert!(is_known, "{head}");
    match (method, message["params"]["name"].as_str()) {
        ("notifications/initialized", _) => {
            "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".into()
        }
        ("tools/list", _) => {
            plain(json!({"tools": [{"name": "a"}, {"name": "b"}, {"name": "gone"}]}), "")
        }
        (_, Some("a")) => plain(json!({"content": [{"type": "text", "text": "plain"}]}), ""),
        (_, Some("b")) => {
            let result = json!({"id": id, "result": {"content": [{"text": "from a stream"}]}});
            format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: hello\n\n\
                 event: message\ndata: {{\"method\":\"notifications/progress\"}}\n\n\
                 data: {result}\n\n"
            )
        }
        _ => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".into(),
    }
}

#[test]
fn a_server_is_asked_by_http_and_greeted_again_when_it_has_forgotten_us() {
    executor::run(|spawner| async move {
        let (url, _server) = web(&spawner, play);
        let headers = vec![("Authorization".to_owned(), Secret::new("Bearer t"))];
        let way = Way::Http { url: Secret::new(&url), headers };
        let setup = Setup { name: "far".to_owned(), way, deadline: PATIENCE };
        let servers = start(&spawner, vec![setup]);
        wait(&servers, |all| all[0].state == State::Ready).await;
        assert_eq!(call(&servers, "far__a", PATIENCE).await.unwrap(), "plain");
        assert_eq!(call(&servers, "far__b", PATIENCE).await.unwrap(), "from a stream");
        assert!(call(&servers, "far__gone", PATIENCE).await.is_err());
        wait(&servers, |all| all[0].state == State::Ready && all[0].starts == 2).await;
        assert_eq!(call(&servers, "far__a", PATIENCE).await.unwrap(), "plain");
    });
}

#[test]
fn one_that_refuses_us_says_what_helps() {
    executor::run(|spawner| async move {
        let (url, _server) =
            web(&spawner, |_, _| "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n".to_owned());
        let way = Way::Http { url: Secret::new(&url), headers: Vec::new() };
        let servers =
            start(&spawner, vec![Setup { name: "far".to_owned(), way, deadline: PATIENCE }]);
        wait(&servers, |all| is_down(&all[0], "credentials")).await;
    });
}

#[test]
fn tools_have_names_that_providers_take_and_no_two_the_same() {
    let offer = |name: &str| Offer { name: name.into(), about: String::new(), schema: json!({}) };
    let long = "x".repeat(100);
    let offers = ["read file", "read.file", "read_file", &long, "ü", "read file"].map(offer).into();
    let known = named("files", offers);
    let names: Vec<&str> = known.iter().map(|known| &*known.tool.name).collect();
    assert_eq!(names[0], "files__read_file");
    assert_eq!(names[4], "files___");
    let is_good = |name: &&str| {
        name.len() <= MCP_TOOL_NAME_MAX
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    };
    assert!(names.iter().all(is_good), "{names:?}");
    let distinct: BTreeSet<&&str> = names.iter().collect();
    assert_eq!(distinct.len(), names.len());
    assert_eq!(known.iter().filter(|known| known.own == "read file").count(), 2);
}
