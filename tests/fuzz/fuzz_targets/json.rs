//! Whatever the bytes and wherever the cuts: our tokenizer says what `serde_json` says.
#![no_main]

#[path = "../../json/oracle.rs"]
mod oracle;

use libfuzzer_sys::fuzz_target;

// The first byte says how many of the next are the sizes of windows; the rest is the document.
fuzz_target!(|input: &[u8]| {
    let Some((&count, rest)) = input.split_first() else { return };
    let (windows, document) = rest.split_at(usize::from(count % 8).min(rest.len()));
    oracle::compare(document, windows);
});
