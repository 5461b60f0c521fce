//! Streams as the providers' documentation and their servers write them, whole and cut anywhere.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const ANTHROPIC: &str = include_str!("../../../tests/data/llm/anthropic_tool.sse");
const OPENAI: &str = include_str!("../../../tests/data/llm/openai_tool.sse");
const OLLAMA: &str = include_str!("../../../tests/data/llm/ollama_tools.sse");
const OPENROUTER: &str = include_str!("../../../tests/data/llm/openrouter_error.sse");

/// What is heard of `stream` when it comes in pieces of `window` bytes, and how it ends.
fn read(dialect: Dialect, stream: &[u8], window: usize) -> (String, Result<Reply, Trouble>) {
    let (mut decoder, mut heard) = (Decoder::new(dialect), String::new());
    for part in stream.chunks(window) {
        if let Err(trouble) = decoder.feed(part, &mut |words| heard.push_str(words)) {
            return (heard, Err(trouble));
        }
    }
    let reply = decoder.finish(&mut |words| heard.push_str(words));
    (heard, reply)
}

fn whole(dialect: Dialect, stream: &str) -> Reply {
    let (heard, reply) = read(dialect, stream.as_bytes(), stream.len());
    let reply = reply.expect("an answer");
    assert_eq!(heard, reply.text, "what is heard is what is said");
    reply
}

fn call(id: &str, name: &str, input: &str) -> Call {
    Call { id: id.into(), name: name.into(), input: input.into(), is_overlong: false }
}

#[test]
fn a_tool_call_is_read_from_either_dialect() {
    let reply = whole(Dialect::Anthropic, ANTHROPIC);
    assert_eq!(reply.text, "Let me look at the weather: São Paulo.");
    assert_eq!(reply.calls, [call("toolu_01", "weather", r#"{"city": "São Paulo"}"#)]);
    assert_eq!((reply.stop, reply.model.as_deref()), (Stop::Calls, Some("claude-sonnet-4-5")));
    assert_eq!(reply.usage, Usage { input: 472, cached: 2048, output: 89 });

    let reply = whole(Dialect::OpenAi, OPENAI);
    assert_eq!(reply.text, "");
    let calls = [
        call("call_a", "weather", r#"{"city":"Bern"}"#),
        call("call_b", "weather", r#"{"city":"Basel"}"#),
    ];
    assert_eq!(reply.calls, calls);
    assert_eq!((reply.stop, reply.model.as_deref()), (Stop::Calls, Some("gpt-4o-mini")));
    assert_eq!(reply.usage, Usage { input: 20, cached: 64, output: 31 });
}

#[test]
fn servers_that_number_every_call_alike_or_give_objects_are_understood() {
    let reply = whole(Dialect::OpenAi, OLLAMA);
    let calls = [
        call("call_x1", "weather", r#"{"city":"Bern"}"#),
        call("call_x2", "time", r#"{"zone":"Europe/Zurich"}"#),
        call("call_2", "time", "{}"),
    ];
    assert_eq!(reply.calls, calls);
    assert_eq!(reply.stop, Stop::Calls, "though the server says that it is done");
}

#[test]
fn an_error_within_a_stream_is_the_end_and_what_came_before_was_heard() {
    let (heard, reply) = read(Dialect::OpenAi, OPENROUTER.as_bytes(), 7);
    assert_eq!(heard, "Half of");
    let trouble = reply.expect_err("no answer");
    assert_eq!(trouble.reason, Reason::Overloaded);
    assert_eq!(trouble.words, "Provider disconnected");
    let error = r#"data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}

"#;
    let (_, reply) = read(Dialect::Anthropic, error.as_bytes(), 3);
    assert_eq!(reply.map_err(|trouble| trouble.reason), Err(Reason::Overloaded));
}

#[test]
fn a_stream_that_is_cut_is_no_answer_wherever_it_was() {
    for (dialect, stream, end) in [
        (Dialect::Anthropic, ANTHROPIC, "data: {\"type\":\"message_stop\"}"),
        (Dialect::OpenAi, OPENAI, r#""finish_reason":"tool_calls"}]}"#),
    ] {
        let complete = stream.find(end).expect("its end") + end.len();
        for cut in 0..complete {
            let Some(part) = stream.as_bytes().get(..cut) else { continue };
            let reason = read(dialect, part, 64).1.map_err(|trouble| trouble.reason);
            assert!(
                matches!(reason, Err(Reason::Cut | Reason::Garbled)),
                "{cut} of {complete}: {reason:?}"
            );
        }
    }
}

#[test]
fn a_document_instead_of_a_stream_is_an_answer_too() {
    let body = json!({
        "model": "m", "stop_reason": "end_turn", "usage": {"input_tokens": 3, "output_tokens": 4},
        "content": [
            {"type": "thinking", "thinking": "hm"},
            {"type": "text", "text": "Good morning."},
            {"type": "tool_use", "id": "t", "name": "react", "input": {"emoji": "x"}},
        ],
    });
    let reply = Decoder::whole(Dialect::Anthropic, body.to_string().as_bytes()).expect("answer");
    assert_eq!((reply.text.as_str(), reply.usage.total()), ("Good morning.", 7));
    assert_eq!(reply.calls, [call("t", "react", r#"{"emoji":"x"}"#)]);
    let body = json!({"choices": [{"message": {"content": "Hello."}, "finish_reason": "length"}]});
    let reply = Decoder::whole(Dialect::OpenAi, body.to_string().as_bytes()).expect("answer");
    assert_eq!((reply.text.as_str(), reply.stop), ("Hello.", Stop::Length));
    for body in ["", "[]", "{\"choices\": 3}", "{}", "<html>", "{\"choices\":[]}"] {
        let reply = Decoder::whole(Dialect::OpenAi, body.as_bytes());
        assert!(reply.is_err(), "{body:?}");
        assert!(Decoder::whole(Dialect::Anthropic, body.as_bytes()).is_err(), "{body:?}");
    }
}

#[test]
fn values_of_the_wrong_kind_are_garbage_and_unknown_ones_are_borne() {
    for event in [
        r#"{"choices":"none"}"#,
        r#"{"choices":[{"delta":{"content":7}}]}"#,
        r#"{"choices":[{"delta":{"tool_calls":{}}}]}"#,
        r#"{"choices":[{"index":-1}]}"#,
        "nothing",
        "[1]",
    ] {
        let stream = format!("data: {event}\n\n");
        let reason = read(Dialect::OpenAi, stream.as_bytes(), 5).1.map_err(|t| t.reason);
        assert_eq!(reason, Err(Reason::Garbled), "{event}");
    }
    let stream = concat!(
        "event: new\ndata: {\"type\":\"new_thing\",\"x\":[1]}\n\n",
        "data: {\"type\":\"content_block_start\",\"index\":0,",
        "\"content_block\":{\"type\":\"odd\"}}\n\n",
        "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"odd\"}}\n\n",
        "data: {\"type\":\"message_stop\"}\n\n",
    );
    assert_eq!(whole(Dialect::Anthropic, stream).stop, Stop::Done);
}

#[test]
fn an_endless_stream_costs_no_more_than_its_bounds() {
    let chatter = format!("data: {{\"type\":\"ping\",\"x\":\"{}\"}}\n\n", "x".repeat(60_000));
    let words =
        "data: {\"choices\":[{\"delta\":{\"content\":\"wwwwwwwwwwwwwwwwwwwwwwwwww\"}}]}\n\n";
    let line = "y".repeat(100_000);
    for (dialect, piece) in
        [(Dialect::Anthropic, chatter.as_str()), (Dialect::OpenAi, words), (Dialect::OpenAi, &line)]
    {
        let mut decoder = Decoder::new(dialect);
        let mut fed = 0;
        let trouble = loop {
            fed += piece.len();
            assert!(fed < 3 * LLM_STREAM_BYTES_MAX, "it never ends");
            if let Err(trouble) = decoder.feed(piece.as_bytes(), &mut |_| {}) {
                break trouble;
            }
        };
        assert_eq!(trouble.reason, Reason::Endless);
        assert!(decoder.draft.text.len() <= LLM_TEXT_BYTES_MAX);
        assert_eq!(decoder.feed(b"more", &mut |_| {}), Err(trouble), "and stays so");
    }
}

#[test]
fn calls_and_their_arguments_are_bounded() {
    let delta = |index: usize, arguments: &str| {
        let call = json!({"index": index, "id": format!("c{index}"),
            "function": {"name": "t", "arguments": arguments}});
        format!("data: {}\n\n", json!({"choices": [{"delta": {"tool_calls": [call]}}]}))
    };
    let many: String = (0..=LLM_CALLS_MAX).map(|index| delta(index, "{}")).collect();
    let reason = read(Dialect::OpenAi, many.as_bytes(), 4096).1.map_err(|t| t.reason);
    assert_eq!(reason, Err(Reason::Endless));
    // Arguments that are too long are a matter between the model and its tool.
    let long = |at| delta(at, &"z".repeat(LLM_CALL_BYTES_MAX / 4));
    let end = json!({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]});
    let stream: String = (0..16).map(|_| long(0)).collect();
    let stream = format!("{stream}{}data: {end}\n\n", delta(1, "{}"));
    let calls = read(Dialect::OpenAi, stream.as_bytes(), 4096).1.unwrap().calls;
    let overlong = Call { is_overlong: true, ..call("c0", "t", "{}") };
    assert_eq!(calls, [overlong, call("c1", "t", "{}")]);
}

#[test]
fn refusals_by_http_are_told_apart_by_the_providers_words_before_the_status() {
    let cases = [
        (401, r#"{"error":{"message":"Incorrect API key","code":"invalid_api_key"}}"#, Reason::Key),
        (429, r#"{"error":{"message":"quota","code":"insufficient_quota"}}"#, Reason::Forbidden),
        (429, r#"{"error":{"type":"rate_limit_error","message":"slow"}}"#, Reason::Limited),
        (529, r#"{"type":"error","error":{"type":"overloaded_error"}}"#, Reason::Overloaded),
        (
            400,
            r#"{"error":{"type":"invalid_request_error","message":"prompt is too long: 9"}}"#,
            Reason::TooLong,
        ),
        (400, r#"{"error":{"code":"context_length_exceeded","type":"x"}}"#, Reason::TooLong),
        (404, r#"{"error":"model \"x\" not found, try pulling it first"}"#, Reason::Missing),
        (400, r#"{"error":{"type":"invalid_request_error","message":"odd"}}"#, Reason::Invalid),
        (502, "<html>Bad Gateway</html>", Reason::Overloaded),
        (403, "", Reason::Forbidden),
        (200, "", Reason::Garbled),
    ];
    for (status, body, reason) in cases {
        for dialect in [Dialect::Anthropic, Dialect::OpenAi] {
            let trouble = dialect.trouble(status, None, body.as_bytes());
            assert_eq!(trouble.reason, reason, "{status} {body}");
        }
    }
    let long = format!("{{\"error\":{{\"message\":\"{}\"}}}}", "m".repeat(5000));
    let trouble = Dialect::OpenAi.trouble(500, Some(Duration::from_secs(7)), long.as_bytes());
    assert_eq!((trouble.words.len(), trouble.wait), (300, Some(Duration::from_secs(7))));
}

fn conversation() -> Vec<Message> {
    let text = |text: &str| Part::Text(text.into());
    vec![
        Message {
            role: Role::User,
            parts: vec![
                text("What is this?"),
                Part::Image { kind: "image/png".into(), base64: "iVBO".into() },
            ],
        },
        Message {
            role: Role::Assistant,
            parts: vec![text("I shall look."), Part::Call(call("c1", "look", "{\"at\":1}"))],
        },
        Message {
            role: Role::User,
            parts: vec![
                Part::Outcome { call: "c1".into(), text: "no".into(), is_error: true },
                text("And now?"),
            ],
        },
    ]
}

fn asked(dialect: Dialect, messages: &[Message]) -> Value {
    let tool =
        Tool { name: "look".into(), about: "looks".into(), schema: json!({"type": "object"}) };
    let prompt = Prompt {
        model: "m",
        system: "Be kind.",
        messages,
        tools: &[tool],
        may_call: true,
        tokens_max: 100,
        temperature: Some(0.5),
    };
    serde_json::from_slice(&dialect.request(&prompt)).expect("JSON")
}

#[test]
fn a_conversation_is_written_as_each_dialect_has_it() {
    let mark = json!({"type": "ephemeral"});
    assert_eq!(
        asked(Dialect::Anthropic, &conversation()),
        json!({
            "model": "m", "max_tokens": 100, "stream": true, "temperature": 0.5,
            "system": [{"type": "text", "text": "Be kind.", "cache_control": mark}],
            "tools": [{"name": "look", "description": "looks", "input_schema": {"type": "object"}}],
            "messages": [
                {"role": "user", "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image",
                     "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
                ]},
                {"role": "assistant", "content": [
                    {"type": "text", "text": "I shall look."},
                    {"type": "tool_use", "id": "c1", "name": "look", "input": {"at": 1}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": "no", "is_error": true},
                    {"type": "text", "text": "And now?", "cache_control": mark},
                ]},
            ],
        })
    );
    assert_eq!(
        asked(Dialect::OpenAi, &conversation()),
        json!({
            "model": "m", "max_tokens": 100, "stream": true, "temperature": 0.5,
            "stream_options": {"include_usage": true},
            "tools": [{"type": "function", "function":
                {"name": "look", "description": "looks", "parameters": {"type": "object"}}}],
            "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}},
                ]},
                {"role": "assistant", "content": "I shall look.", "tool_calls": [
                    {"id": "c1", "type": "function",
                     "function": {"name": "look", "arguments": "{\"at\":1}"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "error: no"},
                {"role": "user", "content": "And now?"},
            ],
        })
    );
}

#[test]
fn arguments_that_are_no_object_are_given_back_as_they_were_said() {
    let said = |input: &str| {
        let parts = vec![Part::Call(call("c", "look", input))];
        let message = Message { role: Role::Assistant, parts };
        let body = asked(Dialect::Anthropic, &[message]);
        body["messages"][0]["content"][0]["input"].clone()
    };
    assert_eq!(said("{\"a\": 1}"), json!({"a": 1}));
    assert_eq!(said("{\"a\": "), json!({"unreadable": "{\"a\": "}));
    assert_eq!(said("[1]"), json!({"unreadable": "[1]"}));
}

proptest! {
    #[test]
    fn the_cuts_of_a_stream_mean_nothing(
        window in 1_usize..200,
        at in any::<prop::sample::Index>(),
    ) {
        for (dialect, stream) in [
            (Dialect::Anthropic, ANTHROPIC),
            (Dialect::OpenAi, OPENAI),
            (Dialect::OpenAi, OLLAMA),
            (Dialect::OpenAi, OPENROUTER),
        ] {
            let expected = read(dialect, stream.as_bytes(), stream.len());
            prop_assert_eq!(&read(dialect, stream.as_bytes(), window), &expected);
            // A byte that is another one costs an answer at most.
            let mut broken = stream.as_bytes().to_vec();
            let place = at.index(broken.len());
            broken[place] ^= 0x15;
            let whole = read(dialect, &broken, broken.len());
            prop_assert_eq!(read(dialect, &broken, window), whole);
        }
    }

    #[test]
    fn no_noise_is_an_answer_with_words(noise in prop::collection::vec(any::<u8>(), 0..400)) {
        for dialect in [Dialect::Anthropic, Dialect::OpenAi] {
            let (heard, reply) = read(dialect, &noise, 13);
            prop_assert!(heard.is_empty() && reply.is_err());
        }
    }
}
