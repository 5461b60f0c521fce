//! What agents say, in every shape that they may say it.

use super::*;
use proptest::prelude::*;

fn say(text: &str) -> Wish {
    Wish::Say(text.to_owned())
}

fn program(output: &str) -> Vec<Wish> {
    of_program(output.as_bytes(), false).unwrap_or_else(|unread| panic!("{output}: {unread:?}"))
}

fn fault(result: Result<Vec<Wish>, Unread>) -> Fault {
    result.unwrap_err().fault
}

fn json(body: &str) -> Vec<Wish> {
    let read = of_endpoint(Some("application/json; charset=utf-8"), body.as_bytes());
    read.unwrap_or_else(|unread| panic!("{body}: {unread:?}"))
}

#[test]
fn a_program_may_simply_print() {
    assert_eq!(program("  Hello,\nworld! \n"), [say("Hello,\nworld!")]);
    assert_eq!(program(" \n"), [], "silence is an answer");
    assert_eq!(program("[1] is a footnote"), [say("[1] is a footnote")]);
    for text in
        [r#"{"a": 1}"#, "{not json}", "{}", "{\"text\": \"a\"}\nTraceback: no", "{\"text\":"]
    {
        assert_eq!(program(text), [say(text)], "what is not JSON of ours is text");
    }
}

#[test]
fn a_program_may_say_what_it_wants_done() {
    assert_eq!(program("{\n  \"text\": \"one\",\n  \"tokens\": {\"in\": 3}\n}\n"), [say("one")]);
    let lines = r#"
        {"typing": true}
        {"thread": "more"}
        {"text": "a"}
        {"file": {"name": "x.txt", "base64": "aGk="}}
        {"file": {"path": "out/plot.png"}}

        {"react": "👍"}"#;
    let bytes = Attachment { name: "x.txt".into(), from: Source::Bytes(b"hi".to_vec()) };
    let path = Attachment { name: String::new(), from: Source::Path("out/plot.png".into()) };
    let wishes = [
        Wish::Thread("more".into()),
        say("a"),
        Wish::Attach(bytes),
        Wish::Attach(path),
        Wish::React("👍".into()),
    ];
    assert_eq!(program(lines), wishes);
    assert_eq!(program(r#"{"type":"result","is_error":false,"result":"hi"}"#), [say("hi")]);
    assert_eq!(program(r#"{"text": null}"#), []);
    assert_eq!(program(r#"{"error": null, "text": "fine"}"#), [say("fine")]);
}

#[test]
fn what_a_program_says_wrongly_is_a_fault_and_no_text() {
    for output in [
        r#"{"text": 5}"#,
        r#"{"text": "a", "text": "b"}"#,
        r#"{"file": {"name": "x"}}"#,
        r#"{"file": {"base64": "!"}}"#,
        r#"{"react": ["a"]}"#,
        "nul \0",
    ] {
        assert_eq!(fault(of_program(output.as_bytes(), false)), Fault::Garbled, "{output}");
    }
    assert_eq!(fault(of_program(b"gr\xfc\xdfe", false)), Fault::Garbled);
    for output in [
        r#"{"error": "no credit"}"#,
        r#"{"error": {"message": "x"}}"#,
        r#"{"is_error": true, "result": "x"}"#,
    ] {
        assert_eq!(fault(of_program(output.as_bytes(), false)), Fault::Declined, "{output}");
    }
}

#[test]
fn what_was_cut_counts_up_to_the_cut() {
    assert_eq!(of_program("aé".as_bytes().split_at(2).0, true), Ok(vec![say("a")]));
    let lines = b"{\"text\": \"a\"}\n{\"text\": \"b";
    assert_eq!(of_program(lines, true), Ok(vec![say("a")]));
}

#[test]
fn endpoints_answer_in_the_words_of_their_makers() {
    for body in [
        r#"{"text": "hi", "id": 7}"#,
        r#"{"reply": "hi"}"#,
        r#"{"message": {"role": "assistant", "content": "hi"}}"#,
        r#"{"content": [{"type": "text", "text": "hi"}]}"#,
        r#"{"choices": [{"index": 0, "message": {"content": "hi"}}]}"#,
        r#"{"message": "", "output": "hi"}"#,
        r#"[{"text": "hi"}]"#,
        r#"{"acts": [{"text": "hi"}]}"#,
        r#""hi""#,
    ] {
        assert_eq!(json(body), [say("hi")], "{body}");
    }
    for body in ["{}", "null", "", "[]", r#"{"text": ""}"#] {
        assert_eq!(json(body), [], "{body}");
    }
    for body in [r#"{"ok": true}"#, "5", "{", "[1]", r#"{"text": {"a": 1}, "text": 3}"#] {
        let read = of_endpoint(Some("application/json"), body.as_bytes());
        assert_eq!(fault(read), Fault::Garbled, "{body}");
    }
    let both = [Wish::Thread("t".into()), say("a"), Wish::React("👍".into())];
    assert_eq!(json(r#"{"react": "👍", "text": "a", "thread": "t"}"#), both);
}

#[test]
fn the_type_says_how_an_endpoints_answer_is_read() {
    let read = |kind, body: &str| of_endpoint(kind, body.as_bytes());
    assert_eq!(read(Some("Text/Plain;charset=utf-8"), "hi"), Ok(vec![say("hi")]));
    assert_eq!(read(None, r#"{"text": "hi"}"#), Ok(vec![say("hi")]));
    assert_eq!(read(Some("application/problem+json"), r#"{"text": "hi"}"#), Ok(vec![say("hi")]));
    let lines = "{\"text\": \"a\"}\n{\"text\": \"b\"}\n";
    assert_eq!(read(Some("application/x-ndjson"), lines), Ok(vec![say("a"), say("b")]));
    assert_eq!(fault(read(Some("application/x-ndjson"), "hi")), Fault::Garbled);
    assert_eq!(fault(read(Some("text/html"), "<h1>Bad Gateway</h1>")), Fault::Garbled);
}

fn streamed(events: &[&str]) -> Result<Vec<Wish>, Unread> {
    let mut stream = Stream::default();
    for data in events {
        stream.hear("", data)?;
    }
    Ok(stream.finish())
}

#[test]
fn streams_are_put_together() {
    assert_eq!(streamed(&["Hel", "lo,", " you"]), Ok(vec![say("Hello, you")]));
    let deltas = [r#"{"delta": "a"}"#, r#"{"delta": {"text": "b"}}"#, r#"{"type": "ping"}"#];
    assert_eq!(streamed(&deltas), Ok(vec![say("ab")]));
    let openai = [
        r#"{"choices": [{"delta": {"role": "assistant"}}]}"#,
        r#"{"choices": [{"delta": {"content": "hi"}}]}"#,
        r#"{"choices": [{"delta": {}, "finish_reason": "stop"}]}"#,
        "[DONE]",
        "ignored",
    ];
    assert_eq!(streamed(&openai), Ok(vec![say("hi")]));
    let again = [r#"{"delta": "ab"}"#, r#"{"text": "ab"}"#];
    assert_eq!(streamed(&again), Ok(vec![say("ab")]), "a summary at the end is not said twice");
    let acts = [r#"{"react": "👍"}"#, r#""x""#, r#"{"thread": "t"}"#];
    let wishes = vec![Wish::Thread("t".into()), say("x"), Wish::React("👍".into())];
    assert_eq!(streamed(&acts), Ok(wishes));
    assert_eq!(fault(streamed(&[r#"{"error": "no"}"#])), Fault::Declined);
    assert_eq!(fault(streamed(&[r#"{"delta": 5}"#])), Fault::Garbled);
    let mut stream = Stream::default();
    assert_eq!(stream.hear("error", "overloaded").unwrap_err().fault, Fault::Declined);
}

#[test]
fn an_answer_is_bounded_and_says_what_was_cut() {
    let long = "é".repeat(AGENT_REPLY_CHARS_MAX + 7);
    let (words, left_out) = answer(vec![say(&long), say("more")], |_| None);
    assert_eq!(left_out, LeftOut { chars: 11, ..LeftOut::default() });
    assert!(words.words().ends_with("(cut here: 11 more characters)"));
    let many = vec![Wish::React("👍".into()); AGENT_ACTS_MAX + 3];
    assert_eq!(answer(many, |_| None).1.acts, 3);
    let file = || Wish::Attach(Attachment { name: "x".into(), from: Source::Bytes(Vec::new()) });
    let load = |attachment: Attachment| Some(File { name: attachment.name.into(), bytes: vec![] });
    let (one, left_out) = answer((0..12).map(|_| file()).collect(), load);
    assert_eq!(left_out.files, 12 - AGENT_FILES_MAX);
    assert_eq!(one.acts.len(), 1, "files go together");
    let (with_text, _) = answer(vec![say("a"), file()], load);
    let [Act::Say { text, files }] = &*with_text.acts else { panic!("{with_text:?}") };
    assert_eq!((&**text, files.len()), ("a", 1));
}

proptest! {
    #[test]
    fn a_text_that_is_printed_is_what_is_said(text in "[^\\x00{]{0,60}") {
        let said = program(&text);
        let trimmed = text.trim();
        prop_assert_eq!(said, if trimmed.is_empty() { vec![] } else { vec![say(trimmed)] });
    }

    #[test]
    fn what_is_said_in_json_is_what_was_meant(texts in proptest::collection::vec(".{1,20}", 1..5)) {
        let line = |text: &String| serde_json::json!({ "text": text }).to_string();
        let lines: Vec<String> = texts.iter().map(line).collect();
        let meant: Vec<Wish> = texts.iter().filter_map(|text| says(text)).collect();
        prop_assert_eq!(program(&lines.join("\n")), meant.clone());
        let array = format!("[{}]", lines.join(","));
        prop_assert_eq!(json(&array), meant);
    }

    #[test]
    fn nothing_makes_it_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..80),
        parts in proptest::collection::vec(prop_oneof![
            Just("{"), Just("}"), Just("\"text\""), Just(":"), Just("\"a\""), Just(","), Just("["),
            Just("]"), Just("null"), Just("\"file\""), Just("\"base64\""), Just("\n"), Just("1"),
        ], 0..30),
        was_cut: bool,
    ) {
        let text = parts.concat();
        for bytes in [&bytes[..], text.as_bytes()] {
            let _ = of_program(bytes, was_cut);
            for kind in ["application/json", "text/plain", "application/x-ndjson"] {
                let _ = of_endpoint(Some(kind), bytes);
            }
        }
        let _ = streamed(&[&text, "{\"delta\": \"x\"}"]);
    }
}
