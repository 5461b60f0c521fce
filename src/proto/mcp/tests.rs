use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn at(seconds: u64) -> Instant {
    Instant(seconds * SECOND)
}

fn drain(client: &mut Client) -> Vec<Output> {
    std::iter::from_fn(|| client.poll()).collect()
}

fn sent(outputs: &[Output]) -> Vec<Value> {
    let sent = outputs.iter().filter_map(|output| match output {
        Output::Send(message) => Some(serde_json::from_slice(message).unwrap()),
        _ => None,
    });
    sent.collect()
}

fn say(client: &mut Client, now: Instant, message: &Value) -> Vec<Output> {
    client.handle(now, Input::Message(message.to_string().as_bytes()));
    drain(client)
}

fn welcome(version: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 0, "result": {"protocolVersion": version,
        "capabilities": {"tools": {"listChanged": true}}, "serverInfo": {"name": "s"}}})
}

fn tool(name: &str) -> Value {
    json!({"name": name, "description": "does it", "inputSchema": {"type": "object"}})
}

/// A connection that knows the tool `echo`; its next request is number 2.
fn ready() -> Client {
    let mut client = Client::new(at(0), "1", true);
    drain(&mut client);
    say(&mut client, at(1), &welcome(VERSION));
    let tools = json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": [tool("echo")]}});
    let outputs = say(&mut client, at(1), &tools);
    assert!(matches!(&outputs[..], [Output::Tools(tools)] if tools[0].name == "echo"));
    client
}

fn call(client: &mut Client, number: u64, by: u64) -> Vec<Output> {
    let arguments = json!({"text": "hi"});
    client.handle(at(2), Input::Call { number, tool: "echo", arguments: &arguments, by: at(by) });
    drain(client)
}

fn result(id: u64, text: &str, is_error: bool) -> Value {
    let content = json!([{"type": "text", "text": text}, {"type": "image", "data": "AAAA"}]);
    json!({"jsonrpc": "2.0", "id": id, "result": {"content": content, "isError": is_error}})
}

#[test]
fn a_server_is_greeted_its_tools_are_learnt_and_called() {
    let mut client = Client::new(at(0), "1", true);
    let hello = sent(&drain(&mut client));
    assert_eq!(hello[0]["method"], "initialize");
    assert_eq!(hello[0]["params"]["protocolVersion"], VERSION);
    assert!(!client.is_ready());
    let outputs = sent(&say(&mut client, at(1), &welcome("2024-11-05")));
    assert_eq!(outputs[0]["method"], "notifications/initialized");
    assert_eq!((&outputs[1]["method"], &outputs[1]["id"]), (&json!("tools/list"), &json!(1)));
    assert_eq!(client.version(), "2024-11-05");
    let page = json!({"id": 1, "result": {"tools": [tool("a")], "nextCursor": "more"}});
    let outputs = sent(&say(&mut client, at(1), &page));
    assert_eq!(outputs[0]["params"]["cursor"], "more");
    let bad = json!({"name": "", "inputSchema": {}});
    let page = json!({"id": 2, "result": {"tools": [tool("b"), bad]}});
    let outputs = say(&mut client, at(1), &page);
    let Output::Tools(tools) = &outputs[0] else { panic!("{outputs:?}") };
    let names: Vec<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    assert_eq!((names, client.left_out()), (vec!["a", "b"], 1));
    let outputs = sent(&call(&mut client, 77, 60));
    assert_eq!(outputs[0]["params"], json!({"name": "echo", "arguments": {"text": "hi"}}));
    let outputs = say(&mut client, at(3), &result(3, "hello", false));
    let told = "hello\n[image, which is not shown]".to_owned();
    assert_eq!(outputs, [Output::Done { number: 77, outcome: Ok(told) }]);
    assert!(say(&mut client, at(3), &result(3, "again", false)).is_empty(), "it was answered");
}

#[test]
fn what_fails_fails_by_itself_and_late_calls_are_cancelled() {
    let mut client = ready();
    call(&mut client, 1, 60);
    let outputs = say(&mut client, at(3), &result(2, "no such file", true));
    let told = "no such file\n[image, which is not shown]".to_owned();
    assert_eq!(outputs, [Output::Done { number: 1, outcome: Err(told) }]);
    call(&mut client, 2, 60);
    let error = json!({"id": "3", "error": {"code": -32602, "message": "bad arguments"}});
    let outputs = say(&mut client, at(3), &error);
    assert_eq!(outputs, [Output::Done { number: 2, outcome: Err("bad arguments".into()) }]);
    call(&mut client, 3, 10);
    assert_eq!(client.deadline(), Some(at(10)));
    client.expire(at(10));
    let outputs = drain(&mut client);
    assert_eq!(sent(&outputs)[0]["params"]["requestId"], 4);
    assert!(matches!(&outputs[1], Output::Done { number: 3, outcome: Err(_) }), "{outputs:?}");
    assert!(say(&mut client, at(11), &result(4, "late", false)).is_empty());
    call(&mut client, 4, 60);
    client.handle(at(12), Input::Cancel(4));
    assert_eq!(sent(&drain(&mut client))[0]["method"], "notifications/cancelled");
    client.break_off(Broken::Silent);
    drain(&mut client);
    assert!(matches!(&call(&mut client, 5, 60)[..], [Output::Done { number: 5, outcome: Err(_) }]));
}

#[test]
fn what_a_server_asks_of_us_is_refused_and_pings_are_answered() {
    let mut client = ready();
    for method in ["sampling/createMessage", "roots/list", "elicitation/create", "x"] {
        let asked = json!({"jsonrpc": "2.0", "id": "q", "method": method, "params": {}});
        let outputs = sent(&say(&mut client, at(2), &asked));
        assert_eq!(outputs[0]["error"]["code"], NO_METHOD);
        assert_eq!(outputs[0]["id"], "q");
    }
    let ping = json!({"jsonrpc": "2.0", "id": -7, "method": "ping"});
    assert_eq!(sent(&say(&mut client, at(2), &ping))[0]["result"], json!({}));
    assert!(say(&mut client, at(2), &json!({"method": "notifications/message"})).is_empty());
    assert!(say(&mut client, at(2), &json!({"jsonrpc": "2.0"})).is_empty());
}

#[test]
fn changed_tools_are_looked_at_once_more_however_often_it_is_said() {
    let mut client = ready();
    let changed = json!({"method": "notifications/tools/list_changed"});
    assert_eq!(sent(&say(&mut client, at(2), &changed)).len(), 1);
    for _ in 0..100 {
        assert!(say(&mut client, at(2), &changed).is_empty());
    }
    let page = json!({"id": 2, "result": {"tools": [tool("new")]}});
    let outputs = say(&mut client, at(3), &page);
    assert!(matches!(&outputs[0], Output::Tools(tools) if tools[0].name == "new"));
    assert_eq!(sent(&outputs).len(), 1, "once for all that was said meanwhile");
}

#[test]
fn a_server_that_is_silent_is_asked_and_then_given_up() {
    let mut client = Client::new(at(0), "1", true);
    drain(&mut client);
    assert_eq!(client.deadline(), Some(Instant(0) + MCP_START_DEADLINE));
    client.expire(Instant(0) + MCP_START_DEADLINE);
    assert_eq!(drain(&mut client), [Output::Broken(Broken::Silent)]);
    let mut client = ready();
    call(&mut client, 9, 1_000_000);
    let due = at(1) + MCP_PING_EVERY;
    assert_eq!(client.deadline(), Some(due));
    client.expire(due);
    assert_eq!(sent(&drain(&mut client))[0]["method"], "ping");
    say(&mut client, due, &json!({"id": 3, "result": {}}));
    let due = due + MCP_PING_EVERY;
    client.expire(due);
    drain(&mut client);
    client.expire(due + MCP_PING_DEADLINE);
    let outputs = drain(&mut client);
    assert!(matches!(&outputs[0], Output::Done { number: 9, outcome: Err(_) }), "{outputs:?}");
    assert_eq!(outputs[1], Output::Broken(Broken::Silent));
}

#[test]
fn what_is_no_mcp_ends_it_with_a_cause() {
    for text in ["", "hello", "[]", "{", "7", r#"{"id": {}}"#, r#"{"id": 0, "result": 7}"#] {
        let mut client = Client::new(at(0), "1", true);
        drain(&mut client);
        client.handle(at(1), Input::Message(text.as_bytes()));
        assert!(matches!(&drain(&mut client)[..], [Output::Broken(Broken::Garbage(_))]), "{text}");
    }
    let mut client = Client::new(at(0), "1", true);
    drain(&mut client);
    let outputs = say(&mut client, at(1), &welcome("1999-01-01"));
    assert_eq!(outputs, [Output::Broken(Broken::Version("1999-01-01".into()))]);
    let mut client = Client::new(at(0), "1", true);
    drain(&mut client);
    let no = json!({"id": 0, "error": {"code": 1, "message": "not you"}});
    assert_eq!(say(&mut client, at(1), &no), [Output::Broken(Broken::Refused("not you".into()))]);
}

#[test]
fn many_and_large_tools_are_left_out_and_counted() {
    let mut client = ready();
    say(&mut client, at(2), &json!({"method": "notifications/tools/list_changed"}));
    let mut tools: Vec<Value> = (0..MCP_TOOLS_MAX + 5).map(|n| tool(&format!("t{n}"))).collect();
    tools[0]["inputSchema"] = json!({"x": "y".repeat(MCP_SCHEMA_BYTES_MAX)});
    tools[1]["inputSchema"] = json!(7);
    let outputs = say(&mut client, at(2), &json!({"id": 2, "result": {"tools": tools}}));
    let Output::Tools(tools) = &outputs[0] else { panic!("{outputs:?}") };
    assert_eq!((tools.len(), client.left_out()), (MCP_TOOLS_MAX - 1, 6));
    assert_eq!(tools[0].schema, json!({"type": "object"}));
    // Pages without end.
    say(&mut client, at(2), &json!({"method": "notifications/tools/list_changed"}));
    let mut pages = 0;
    loop {
        let id = 3 + pages;
        let page = json!({"id": id, "result": {"tools": [], "nextCursor": "again"}});
        pages += 1;
        if matches!(&say(&mut client, at(2), &page)[..], [Output::Tools(_)]) {
            break;
        }
    }
    assert_eq!(pages, MCP_PAGES_MAX);
    // Calls without end, and a result of a million items.
    let outcomes: Vec<Output> =
        (0..=MCP_CALLS_MAX as u64).flat_map(|n| call(&mut client, n, 60)).collect();
    assert_eq!(outcomes.iter().filter(|o| matches!(o, Output::Done { .. })).count(), 1);
    let id = 3 + pages;
    let flood =
        format!(r#"{{"id": {id}, "result": {{"content": [{}]}}}}"#, vec!["{}"; 100_000].join(","));
    client.handle(at(3), Input::Message(flood.as_bytes()));
    let outputs = drain(&mut client);
    assert!(
        matches!(&outputs[..], [Output::Done { outcome: Ok(text), .. }] if text.len() < 20_000)
    );
}

#[test]
fn lines_are_found_wherever_they_are_cut_and_endless_ones_are_left_out() {
    let mut lines = Lines::default();
    let mut heard = Vec::new();
    let stream =
        [b"one\r\n\n  \n", &vec![b'x'; MCP_MESSAGE_BYTES_MAX + 1][..], b"\ntwo\nthr"].concat();
    for part in stream.chunks(100_000) {
        lines.feed(part, |line| heard.push(line.to_vec()));
    }
    assert_eq!((heard, lines.left_out), (vec![b"one".to_vec(), b"two".to_vec()], 1));
}

proptest! {
    #[test]
    fn any_stream_is_survived_and_every_call_ends_once(
        parts in proptest::collection::vec(prop_oneof![
            Just(r#"{"jsonrpc":"2.0","#.to_owned()), Just(r#""id":"#.to_owned()),
            (0_u8..6).prop_map(|n: u8| n.to_string()),
            Just(r#","result":{"tools":[]}}"#.to_owned()),
            Just(r#","result":{"content":[]}}"#.to_owned()), Just("\n".to_owned()),
            Just(r#","error":{}}"#.to_owned()), Just(r#""method":"ping"}"#.to_owned()),
            Just(welcome(VERSION).to_string()), Just("{}".to_owned()), "[ -~]{0,5}",
        ], 0..40),
        window in 1_usize..50,
    ) {
        let mut client = ready();
        let mut done = Vec::new();
        for number in 0..3 {
            call(&mut client, number, 60);
        }
        let mut lines = Lines::default();
        for part in parts.concat().as_bytes().chunks(window) {
            lines.feed(part, |line| client.handle(at(3), Input::Message(line)));
        }
        client.expire(at(60));
        client.break_off(Broken::Silent);
        for output in drain(&mut client) {
            if let Output::Done { number, .. } = output {
                done.push(number);
            }
        }
        done.sort_unstable();
        prop_assert_eq!(done, [0, 1, 2]);
        prop_assert_eq!(client.deadline(), None);
    }
}
