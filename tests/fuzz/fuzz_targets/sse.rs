//! Whatever the bytes and wherever the cuts: a stream of events says the same, within bounds.
#![no_main]

use barnacle::proto::sse::{Events, TooLong};
use libfuzzer_sys::fuzz_target;

const BYTES_MAX: usize = 64;

fn read(stream: &[u8], window: usize) -> (Vec<(String, String)>, Result<(), TooLong>) {
    let (mut events, mut heard) = (Events::new(BYTES_MAX), Vec::new());
    let mut each = |name: &str, data: &str| heard.push((name.to_owned(), data.to_owned()));
    let verdict = stream.chunks(window).try_for_each(|part| events.feed(part, &mut each));
    events.finish(&mut each);
    (heard, verdict)
}

fuzz_target!(|input: &[u8]| {
    let Some((&window, stream)) = input.split_first() else { return };
    let whole = read(stream, stream.len().max(1));
    // Bytes that are not UTF-8 become longer when they are shown.
    assert!(whole.0.iter().all(|(_, data)| data.len() <= 3 * BYTES_MAX));
    assert_eq!(read(stream, usize::from(window.max(1))), whole);
});
