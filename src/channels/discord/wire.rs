//! From WebSocket messages to what the gateway said: inflate, then decode, in windows.
//!
//! A gateway message under zlib-stream may span several WebSocket messages; it ends with the one
//! that ends with a sync flush (Discord's documentation, "Gateway", Transport Compression).

use crate::base::{End, limits};
use crate::proto::discord::model::Decoder;
use crate::proto::inflate::Inflater;
use crate::rt::net::ws::Payload;

/// RFC 6455 7.4.1: the data is not what it was announced to be.
const INCONSISTENT_DATA: u16 = 1007;

/// The buffers of a connection, kept from one to the next.
pub(super) struct Wire {
    pub(super) decoder: Box<Decoder>,
    inflater: Box<Inflater>,
    stage: Stage,
    /// Whether this WebSocket message is compressed.
    binary: bool,
    /// What the gateway message has come to so far, inflated.
    bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No gateway message has begun.
    Between,
    /// One has.
    Within,
    /// One has ended, and was not taken yet.
    Complete,
    /// The compressed stream is damaged.
    Broken,
}

impl Wire {
    pub(super) fn new() -> Wire {
        Wire {
            decoder: Decoder::new(),
            inflater: Inflater::new(),
            stage: Stage::Between,
            binary: false,
            bytes: 0,
        }
    }

    /// Forgets the old connection.
    pub(super) fn reset(&mut self) {
        self.inflater.reset();
        self.stage = Stage::Between;
    }

    /// Whether a gateway message is complete since the last call; it is in the decoder until the
    /// next one begins.
    ///
    /// # Errors
    /// The stream cannot be read any further.
    pub(super) fn take(&mut self) -> Result<bool, End> {
        match self.stage {
            Stage::Complete => {
                self.stage = Stage::Between;
                Ok(true)
            }
            Stage::Between | Stage::Within => Ok(false),
            Stage::Broken => Err(End::Garbage(INCONSISTENT_DATA)),
        }
    }
}

/// Gives `decoder` the next part of a message that has come to `total` bytes: what is over the cap
/// is read to its end and forgotten, since closing would only bring the same message again.
fn decode(decoder: &mut Decoder, total: &mut u64, inflated: &[u8]) {
    *total = total.saturating_add(inflated.len() as u64);
    if *total <= limits::MESSAGE_BYTES_MAX {
        decoder.feed(inflated);
    }
}

impl Payload for Wire {
    fn begin(&mut self, binary: bool) {
        self.binary = binary;
        if matches!(self.stage, Stage::Between | Stage::Complete) {
            self.stage = Stage::Within;
            self.bytes = 0;
            self.decoder.begin();
        }
    }

    fn chunk(&mut self, bytes: &[u8]) {
        if self.stage != Stage::Within {
            return;
        }
        let Wire { decoder, inflater, bytes: total, .. } = self;
        if !self.binary {
            decode(decoder, total, bytes);
        } else if inflater.feed(bytes, &mut |window| decode(decoder, total, window)).is_err() {
            self.stage = Stage::Broken;
        }
    }

    fn end(&mut self) {
        if self.stage == Stage::Within && (!self.binary || self.inflater.at_message_end()) {
            self.decoder.end();
            self.stage = Stage::Complete;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::discord::gateway::Signal;
    use miniz_oxide::deflate::core::{
        CompressorOxide, TDEFLFlush, compress_to_output, create_comp_flags_from_zip_params,
    };

    const ACK: &[u8] = br#"{"op":11}"#;
    const BEAT: &[u8] = br#"{"op":1,"d":null}"#;

    fn deflater() -> CompressorOxide {
        CompressorOxide::new(create_comp_flags_from_zip_params(6, 15, 0))
    }

    fn deflate(deflater: &mut CompressorOxide, text: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        compress_to_output(deflater, text, TDEFLFlush::Sync, |part| {
            packed.extend_from_slice(part);
            true
        });
        packed
    }

    /// One WebSocket message; whether a gateway message is complete with it.
    fn frame(wire: &mut Wire, binary: bool, bytes: &[u8]) -> Result<bool, End> {
        wire.begin(binary);
        bytes.chunks(3).for_each(|chunk| wire.chunk(chunk));
        wire.end();
        wire.take()
    }

    #[test]
    fn a_compressed_message_may_span_several_of_the_socket() {
        let (mut wire, mut deflater) = (Wire::new(), deflater());
        let packed = deflate(&mut deflater, ACK);
        let (first, rest) = packed.split_at(packed.len() / 2);
        assert_eq!(frame(&mut wire, true, first), Ok(false));
        assert_eq!(frame(&mut wire, true, &[]), Ok(false), "an empty piece");
        assert_eq!(frame(&mut wire, true, rest), Ok(true));
        assert_eq!(wire.decoder.signal(), Signal::Ack);
        assert_eq!(wire.take(), Ok(false), "it is taken once");
        let packed = deflate(&mut deflater, BEAT);
        assert_eq!(frame(&mut wire, true, &packed), Ok(true));
        assert_eq!(wire.decoder.signal(), Signal::Beat);
    }

    #[test]
    fn text_is_read_beside_what_is_compressed() {
        let (mut wire, mut deflater) = (Wire::new(), deflater());
        for _ in 0..2 {
            assert_eq!(frame(&mut wire, false, BEAT), Ok(true));
            assert_eq!(wire.decoder.signal(), Signal::Beat);
            assert_eq!(frame(&mut wire, true, &deflate(&mut deflater, ACK)), Ok(true));
            assert_eq!(wire.decoder.signal(), Signal::Ack);
        }
    }

    #[test]
    fn a_damaged_stream_stays_so_until_the_next_connection() {
        let mut wire = Wire::new();
        let broken = Err(End::Garbage(INCONSISTENT_DATA));
        assert_eq!(frame(&mut wire, true, b"this is not zlib"), broken);
        assert_eq!(frame(&mut wire, true, &deflate(&mut deflater(), ACK)), broken);
        wire.reset();
        assert_eq!(frame(&mut wire, true, &deflate(&mut deflater(), ACK)), Ok(true));
        assert_eq!(wire.decoder.signal(), Signal::Ack);
    }

    #[test]
    fn what_the_end_of_a_connection_cut_off_is_forgotten() {
        let mut wire = Wire::new();
        let packed = deflate(&mut deflater(), BEAT);
        wire.begin(true);
        wire.chunk(&packed[..packed.len() / 2]);
        wire.reset();
        assert_eq!(wire.take(), Ok(false));
        assert_eq!(frame(&mut wire, false, ACK), Ok(true));
        assert_eq!(wire.decoder.signal(), Signal::Ack);
    }

    #[test]
    fn over_the_cap_the_rest_is_forgotten_and_the_number_counted() {
        let mut wire = Wire::new();
        wire.begin(false);
        wire.chunk(br#"{"t":"GUILD_CREATE","s":9,"op":0,"d":{"name":""#);
        // As if the cap had just been reached: inflating that much would take a test too long.
        wire.bytes = limits::MESSAGE_BYTES_MAX;
        wire.chunk(br#""}}"#);
        wire.end();
        assert_eq!(wire.take(), Ok(true));
        assert!(matches!(wire.decoder.signal(), Signal::Dispatch { seq: 9, .. }));
        assert_eq!(frame(&mut wire, false, ACK), Ok(true), "the next one has a count of its own");
        assert_eq!(wire.decoder.signal(), Signal::Ack);
    }
}
