//! Whatever a server of tools sends and wherever the cuts: every call ends once, and what is
//! offered and told is within bounds.
#![no_main]

use barnacle::base::limits::{MCP_RESULT_BYTES_MAX, MCP_TOOLS_MAX};
use barnacle::base::{Instant, Machine};
use barnacle::proto::mcp::{Broken, Client, Input, Lines, Output};
use libfuzzer_sys::fuzz_target;

fn play(stream: &[u8], window: usize) -> Vec<Output> {
    let mut client = Client::new(Instant(0), "1", true);
    let (mut lines, mut outputs) = (Lines::default(), Vec::new());
    let hello = br#"{"id":0,"result":{"protocolVersion":"2025-06-18",
        "capabilities":{"tools":{}}}}"#;
    client.handle(Instant(1), Input::Message(hello));
    let arguments = serde_json::json!({});
    for number in 0..3 {
        let by = Instant(1000);
        client.handle(
            Instant(1),
            Input::Call { number, tool: "t", arguments: &arguments, by },
        );
    }
    for part in stream.chunks(window) {
        lines.feed(part, |line| client.handle(Instant(2), Input::Message(line)));
        outputs.extend(std::iter::from_fn(|| client.poll()));
    }
    client.expire(Instant(1000));
    client.break_off(Broken::Silent);
    outputs.extend(std::iter::from_fn(|| client.poll()));
    assert!(client.deadline().is_none());
    outputs
}

fuzz_target!(|input: &[u8]| {
    let Some((&first, stream)) = input.split_first() else { return };
    let outputs = play(stream, stream.len().max(1));
    let mut done = Vec::new();
    for output in &outputs {
        match output {
            Output::Done { number, outcome: Ok(text) | Err(text) } => {
                assert!(text.len() <= MCP_RESULT_BYTES_MAX + 100);
                done.push(*number);
            }
            Output::Tools(tools) => assert!(tools.len() <= MCP_TOOLS_MAX),
            _ => {}
        }
    }
    done.sort_unstable();
    assert_eq!(done, [0, 1, 2]);
    assert_eq!(play(stream, usize::from(first.max(1))), outputs);
});
