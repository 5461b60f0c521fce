//! Programs that a model may run, and what it may try with them. What walls do is tried with the
//! real binary (`tests/system/reach.rs`): they are built by it.

use super::*;
use crate::core::argv::{Kind, Slot};
use crate::core::chat::sample;
use crate::proto::llm::Call;
use crate::rt::executor;

fn program(name: &str, script: &str, args: Shape) -> Program {
    Program {
        name: name.to_owned(),
        command: ["sh", "-c", script, name].map(str::to_owned).into(),
        about: String::new(),
        args,
        takes_input: name == "reads",
        env: vec![
            ("PATH".to_owned(), Secret::new("/usr/local/bin:/usr/bin:/bin")),
            ("OWN".to_owned(), Secret::new("own value")),
        ],
        dir: "/".into(),
        deadline: Duration::from_secs(if name == "sleeps" { 1 } else { 60 }),
        walls: None,
    }
}

fn programs() -> Programs {
    let word = Slot {
        name: "word".to_owned(),
        about: String::new(),
        kind: Kind::Text(100),
        optional: false,
    };
    let mut absent = program("absent", "", Shape::None);
    absent.command = vec!["no-such-program".to_owned()];
    Programs::new(vec![
        program("says", "printf '%s|' \"$@\"", Shape::Any),
        program("one", "printf '%s' \"$1\"", Shape::Slots(vec![word])),
        program("reads", "cat", Shape::None),
        program("env", "env | cut -d= -f1 | sort | tr '\\n' ' '", Shape::None),
        program("fails", "echo half; echo no such luck >&2; exit 7", Shape::None),
        program("floods", "head -c 10000000 /dev/zero | tr '\\0' x", Shape::None),
        program("sleeps", "sleep 600", Shape::None),
        program("quiet", "", Shape::None),
        absent,
    ])
}

fn ran(arguments: Value) -> Outcome {
    executor::run(move |_| async move {
        let (request, call) = (sample::request(5, 100), Call::default());
        let by = clock::now() + Duration::from_secs(60);
        let ask = Ask { request: &request, call: &call, ordinal: 0, by };
        programs().run(&ask, &arguments).await
    })
}

#[test]
fn arguments_are_passed_as_they_are_and_no_shell_reads_them() {
    let args = ["$(id)", "a b", "; rm -rf /", "`x`", "", "-n", "é\n"];
    let told = ran(json!({"program": "says", "args": args})).unwrap();
    assert_eq!(told, format!("{}|", args.join("|")));
    assert_eq!(ran(json!({"program": "one", "args": ["$HOME"]})).unwrap(), "$HOME");
    assert_eq!(
        ran(json!({"program": "reads", "input": "what it reads"})).unwrap(),
        "what it reads"
    );
    assert_eq!(ran(json!({"program": "env"})).unwrap(), "BARNACLE_TURN OWN PATH PWD");
    assert_eq!(ran(json!({"program": "quiet"})).unwrap(), "quiet has printed nothing");
}

#[test]
fn what_does_not_fit_is_not_run() {
    for (arguments, said) in [
        (json!({}), "no program"),
        (json!({"program": "sh"}), "no program sh"),
        (json!({"program": "/bin/sh"}), "no program"),
        (json!({"program": "one"}), "word is missing"),
        (json!({"program": "one", "args": ["--help"]}), "may not begin with -"),
        (json!({"program": "one", "args": ["a", "b"]}), "1 arguments at most"),
        (json!({"program": "quiet", "args": ["x"]}), "takes no arguments"),
        (json!({"program": "says", "args": "x"}), "a list of texts"),
        (json!({"program": "says", "args": [7]}), "a list of texts"),
        (json!({"program": "quiet", "input": "x"}), "reads no input"),
        (json!({"program": "absent"}), "not installed"),
    ] {
        let refused = ran(arguments.clone()).unwrap_err();
        assert!(refused.contains(said), "{arguments}: {refused}");
    }
}

#[test]
fn what_fails_or_does_not_end_is_told_within_bounds() {
    let failed = ran(json!({"program": "fails"})).unwrap_err();
    assert_eq!(failed, "fails has failed (exit status 7)\nhalf\n\nOn standard error: no such luck");
    let flood = ran(json!({"program": "floods"})).unwrap();
    assert!(flood.len() < PROGRAM_OUTPUT_BYTES_MAX + 100 && flood.ends_with("were printed]"));
    let late = ran(json!({"program": "sleeps"})).unwrap_err();
    assert!(late.contains("did not end in time"), "{late}");
}

#[test]
fn the_model_is_told_what_there_is_and_nothing_where_there_is_nothing() {
    let tools = programs().tools();
    assert!(tools[0].about.contains("- one (args: [word (text)])"), "{}", tools[0].about);
    assert_eq!(tools[0].schema["properties"]["program"]["enum"][0], "says");
    assert!(Programs::new(Vec::new()).tools().is_empty());
}
