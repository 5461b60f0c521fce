//! Whatever a client says: it is a frame or it is not, and a frame survives being written and read.
#![no_main]

use barnacle::proto::control::{Frame, read, read_connect, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(frame) = read(text) else { return };
    let again = read(&write(&frame)).expect("what was written is a frame");
    assert_eq!(write(&again), write(&frame));
    if let Frame::Req(request) = frame {
        let _ = read_connect(request.params);
    }
});
