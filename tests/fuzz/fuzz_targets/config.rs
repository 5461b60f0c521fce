//! Whatever a configuration file holds: it is read in bounded time, never panics, and an edit of
//! it never breaks it.
#![no_main]

use libfuzzer_sys::fuzz_target;

// The first byte says how many of the next are a path; the rest is the file.
fuzz_target!(|input: &[u8]| {
    let Some((&count, rest)) = input.split_first() else { return };
    let (path, file) = rest.split_at(usize::from(count).min(rest.len()));
    barnacle::fuzz_configuration(path, file);
});
