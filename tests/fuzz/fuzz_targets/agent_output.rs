//! Whatever an agent says: reading it never panics, and what is done about it is bounded.
#![no_main]

use barnacle::base::limits::{AGENT_ACTS_MAX, AGENT_REPLY_CHARS_MAX};
use barnacle::core::output::{Stream, Wish, answer, of_endpoint, of_program};
use libfuzzer_sys::fuzz_target;

fn check(wishes: Vec<Wish>) {
    let (answer, _) = answer(wishes, |_| None);
    // The note of what was cut comes on top.
    assert!(answer.acts.len() <= AGENT_ACTS_MAX + 1);
    assert!(answer.words().chars().count() <= AGENT_REPLY_CHARS_MAX + AGENT_ACTS_MAX + 100);
}

fuzz_target!(|input: &[u8]| {
    let Some((&how, bytes)) = input.split_first() else { return };
    let kinds = ["application/json", "application/x-ndjson", "text/plain", "text/html"];
    if let Ok(wishes) = of_program(bytes, how & 1 == 1) {
        check(wishes);
    }
    let kind = kinds.get(usize::from(how >> 1) % 5).copied();
    if let Ok(wishes) = of_endpoint(kind, bytes) {
        check(wishes);
    }
    let mut stream = Stream::default();
    let text = String::from_utf8_lossy(bytes);
    if text.split('\n').try_for_each(|data| stream.hear("", data)).is_ok() {
        check(stream.finish());
    }
});
