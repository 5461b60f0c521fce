//! Whatever the bytes and wherever the cuts: inflating neither panics nor hangs, and says the same.
#![no_main]

use barnacle::proto::inflate::{Corrupt, Inflater};
use libfuzzer_sys::fuzz_target;

/// Far more than a few bytes can inflate to, unless something runs for ever.
const BYTES_MAX: usize = 64 * 1024 * 1024;

fn inflate(input: &[u8], window: usize) -> (Vec<u8>, Result<(), Corrupt>) {
    let (mut inflater, mut plain) = (Inflater::new(), Vec::new());
    for part in input.chunks(window) {
        let fed = inflater.feed(part, &mut |bytes| plain.extend_from_slice(bytes));
        assert!(plain.len() < BYTES_MAX);
        if let Err(corrupt) = fed {
            return (plain, Err(corrupt));
        }
    }
    (plain, Ok(()))
}

fuzz_target!(|input: &[u8]| {
    let Some((&window, input)) = input.split_first() else { return };
    let (whole, verdict) = inflate(input, input.len().max(1));
    let (cut, cut_verdict) = inflate(input, usize::from(window.max(1)));
    assert_eq!(verdict, cut_verdict);
    // Of a damaged stream, smaller windows may show more before the damage is met.
    assert!(if verdict.is_ok() { whole == cut } else { cut.starts_with(&whole) });
});
