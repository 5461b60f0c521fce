//! Whatever a gateway message holds: the decoder never panics, cuts do not matter, and what was
//! read before leaves no trace.
#![no_main]

use barnacle::proto::discord::model::Decoder;
use libfuzzer_sys::fuzz_target;

const MESSAGE: &[u8] = include_bytes!("../../data/message_create_reply.json");

fn decode(decoder: &mut Decoder, document: &[u8], window: usize) {
    decoder.begin();
    document.chunks(window).for_each(|part| decoder.feed(part));
    decoder.end();
}

// Two bytes say where a real message is cut open, one how much goes; the rest is put in there. From
// 0x8000 on, the rest is the whole document.
fuzz_target!(|input: &[u8]| {
    let Some((&[high, low, gone, window], bytes)) = input.split_first_chunk() else { return };
    let at = usize::from(u16::from_be_bytes([high, low]));
    let document = if at < 0x8000 {
        let (before, after) = MESSAGE.split_at(at % MESSAGE.len());
        [before, bytes, &after[usize::from(gone).min(after.len())..]].concat()
    } else {
        bytes.to_vec()
    };
    let (mut whole, mut cut) = (Decoder::new(), Decoder::new());
    whole.set_me(1_098_765_432_109_876_543);
    cut.set_me(1_098_765_432_109_876_543);
    decode(&mut cut, MESSAGE, 1000);
    decode(&mut cut, &document, usize::from(window.max(1)));
    decode(&mut whole, &document, document.len().max(1));
    assert_eq!(whole.signal(), cut.signal());
    assert_eq!(whole.message(), cut.message());
    assert_eq!(whole.fault(), cut.fault());
});
