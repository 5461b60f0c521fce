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
