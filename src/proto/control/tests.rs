use proptest::prelude::*;
use serde_json::json;

use super::*;

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,4}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn frame() -> impl Strategy<Value = Frame> {
    let word = ".{1,12}";
    prop_oneof![
        (word, word, value()).prop_map(|(id, method, params)| Frame::Req(Request {
            id,
            method,
            params
        })),
        (word, value()).prop_map(|(id, payload)| Frame::Res(Response::done(&id, payload))),
        (word, word, word, any::<bool>()).prop_map(|(id, code, message, soon)| {
            let fault = if soon { Fault::later(message, 5) } else { Fault::new(&code, message) };
            Frame::Res(Response::refused(&id, fault))
        }),
        (word, value(), any::<Option<u64>>()).prop_map(|(event, payload, seq)| {
            let state = seq.map(|seq| StateVersion { presence: seq, health: 1 });
            Frame::Event(Event { event, payload: Some(payload), seq, state })
        }),
    ]
}

/// A missing payload and one that is null are the same to JSON.
fn same(a: &Frame, b: &Frame) -> bool {
    write(a) == write(b)
        || match (a, b) {
            (Frame::Res(a), Frame::Res(b)) => {
                a.payload.clone().unwrap_or_default() == b.payload.clone().unwrap_or_default()
            }
            (Frame::Event(a), Frame::Event(b)) => {
                a.payload.clone().unwrap_or_default() == b.payload.clone().unwrap_or_default()
            }
            _ => false,
        }
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_it_was(frame in frame()) {
        let read = read(&write(&frame));
        prop_assert!(read.is_ok_and(|read| same(&read, &frame)));
    }

    #[test]
    fn unknown_fields_are_passed_over(frame in frame(), more in value()) {
        let mut value: Value = serde_json::from_str(&write(&frame)).expect("JSON");
        value["x-unknown"] = more;
        let read = read(&value.to_string());
        prop_assert!(read.is_ok_and(|read| same(&read, &frame)));
    }

    #[test]
    fn no_text_is_too_odd_to_be_judged(text in ".{0,64}") {
        let _ = read(&text);
    }

    #[test]
    fn no_connect_is_too_odd_to_be_judged(params in value()) {
        let _ = read_connect(params);
    }
}

#[test]
fn frames_look_as_openclaws_do() {
    let request = json!({"type": "req", "id": "1:a", "method": "health"});
    assert_eq!(
        read(&request.to_string()),
        Ok(Frame::Req(Request { id: "1:a".into(), method: "health".into(), params: Value::Null }))
    );
    let fault = Fault::later("gateway starting", 500).with(json!({"reason": "startup-sidecars"}));
    let written = write(&Frame::Res(Response::refused("1", fault)));
    let expected = json!({"type": "res", "id": "1", "ok": false, "error": {
        "code": "UNAVAILABLE", "message": "gateway starting", "retryable": true,
        "retryAfterMs": 500, "details": {"reason": "startup-sidecars"}}});
    assert_eq!(serde_json::from_str::<Value>(&written).expect("JSON"), expected);
    let challenge =
        Event { event: "connect.challenge".into(), payload: None, seq: None, state: None };
    assert_eq!(write(&Frame::Event(challenge)), r#"{"type":"event","event":"connect.challenge"}"#);
}

#[test]
fn the_process_is_told_in_the_presence_of_the_gateway_itself() {
    let payload = json!({
        "type": "hello-ok", "protocol": 4, "server": {"version": "1", "connId": "c", "bootId": "b"},
        "snapshot": {"presence": [{"ts": 1}, {"ts": 1, "tags": ["x", pid_tag(77)]}]},
        "auth": {"role": "operator", "scopes": []},
    });
    let hello = read_hello(payload.clone()).expect("a hello");
    assert_eq!(hello.server.pid, 77);
    let written = serde_json::to_value(&hello.server).expect("JSON");
    assert_eq!(written, payload["server"], "the published form of it has no such field");
}

#[test]
fn what_is_no_frame_is_named() {
    assert_eq!(read("{"), Err(Garbled::NotJson));
    for odd in [
        json!(null),
        json!([]),
        json!({"type": "req"}),
        json!({"type": "hello"}),
        json!({"type": "req", "id": 1, "method": "x"}),
        json!({"type": "req", "id": "", "method": "x"}),
        json!({"type": "req", "id": "x".repeat(WORD_BYTES_MAX + 1), "method": "x"}),
    ] {
        assert!(matches!(read(&odd.to_string()), Err(Garbled::NotFrame(_))), "{odd}");
    }
    // Nesting is the JSON reader's to bound.
    assert_eq!(read(&"[".repeat(100_000)), Err(Garbled::NotJson));
}

#[test]
fn a_connect_may_be_short_and_must_be_bounded() {
    let least = json!({"minProtocol": 4, "maxProtocol": 4, "client": {"id": "cli", "mode": "cli"}});
    assert!(read_connect(least.clone()).is_ok_and(|connect| connect.auth.is_none()));
    let mut secret = least.clone();
    secret["auth"] = json!({"token": "hunter2"});
    assert!(!format!("{:?}", read_connect(secret)).contains("hunter2"));
    let mut wide = least;
    wide["scopes"] = json!(vec!["operator.read"; SCOPES_MAX + 1]);
    assert!(read_connect(wide).is_err());
    assert!(read_connect(json!({"minProtocol": -1})).is_err());
}
