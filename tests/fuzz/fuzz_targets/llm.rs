//! Whatever a provider sends and wherever the cuts: the answer is the same, within bounds.
#![no_main]

use barnacle::base::limits::{LLM_CALL_BYTES_MAX, LLM_CALLS_MAX, LLM_TEXT_BYTES_MAX};
use barnacle::proto::llm::{Decoder, Dialect, Reply, Trouble};
use libfuzzer_sys::fuzz_target;

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

fuzz_target!(|input: &[u8]| {
    let Some((&first, stream)) = input.split_first() else { return };
    let dialect = if first & 1 == 0 { Dialect::Anthropic } else { Dialect::OpenAi };
    let (heard, reply) = read(dialect, stream, stream.len().max(1));
    if let Ok(reply) = &reply {
        assert_eq!(heard, reply.text);
        assert!(reply.text.len() <= LLM_TEXT_BYTES_MAX && reply.calls.len() <= LLM_CALLS_MAX);
        assert!(reply.calls.iter().all(|call| call.input.len() <= LLM_CALL_BYTES_MAX));
        assert!(reply.calls.iter().all(|call| !call.name.is_empty() && !call.id.is_empty()));
    }
    assert_eq!(read(dialect, stream, usize::from(first.max(1))), (heard, reply));
    let _ = Decoder::whole(dialect, stream);
    let _ = dialect.trouble(500, None, stream);
});
