//! Discord's zlib-stream ("Gateway", Transport Compression): one inflate context for a whole
//! connection, each message ended by a sync flush.
//!
//! The decoder writes into a ring of 32 KiB, the reach of DEFLATE's back references (RFC 1951), and
//! hands out what it wrote straight from there: nothing is copied, and nothing is allocated after
//! [`Inflater::new`]. The stream never ends, so its Adler-32 is never seen; TLS vouches for the
//! bytes.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_HAS_MORE_INPUT, TINFL_FLAG_IGNORE_ADLER32, TINFL_FLAG_PARSE_ZLIB_HEADER,
};
use miniz_oxide::inflate::core::{DecompressorOxide, TINFL_LZ_DICT_SIZE, decompress};

const FLAGS: u32 =
    TINFL_FLAG_PARSE_ZLIB_HEADER | TINFL_FLAG_HAS_MORE_INPUT | TINFL_FLAG_IGNORE_ADLER32;

/// What a sync flush leaves at the end of a message: an empty stored block (RFC 1951 3.2.4).
const FLUSH: u32 = 0x0000_ffff;

/// The stream is no zlib stream, is damaged, or has ended, which Discord's never does. What follows
/// cannot be read any more: only a new connection helps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Corrupt;

/// The inflate context of one connection.
pub struct Inflater {
    decoder: DecompressorOxide,
    ring: Box<[u8]>,
    at: usize,
    tail: u32,
    corrupt: bool,
}

impl Inflater {
    /// A context for a new connection: about 43 KB, allocated here and never again.
    #[must_use]
    pub fn new() -> Box<Self> {
        Box::new(Inflater {
            decoder: DecompressorOxide::new(),
            ring: vec![0; TINFL_LZ_DICT_SIZE].into(),
            at: 0,
            tail: 0,
            corrupt: false,
        })
    }

    /// Forgets everything, for the next connection.
    pub fn reset(&mut self) {
        self.decoder.init();
        self.at = 0;
        self.tail = 0;
        self.corrupt = false;
    }

    /// Inflates the beginning of `input`, takes it off, and gives what came of it: at most 32 KiB,
    /// so that the caller may look at the time between two steps. An empty `input` together with an
    /// empty answer means that all of it is out.
    pub fn step(&mut self, input: &mut &[u8]) -> Result<&[u8], Corrupt> {
        if self.corrupt {
            return Err(Corrupt);
        }
        let from = self.at;
        let (status, read, written) =
            decompress(&mut self.decoder, input, &mut self.ring, from, FLAGS);
        let (taken, rest) = input.split_at_checked(read).ok_or(Corrupt)?;
        *input = rest;
        for &byte in taken.get(taken.len().saturating_sub(4)..).unwrap_or(taken) {
            self.tail = self.tail << 8 | u32::from(byte);
        }
        self.at = (from + written) % TINFL_LZ_DICT_SIZE;
        self.corrupt = !matches!(
            status,
            TINFLStatus::NeedsMoreInput
                | TINFLStatus::HasMoreOutput
                | TINFLStatus::FailedCannotMakeProgress
        );
        if self.corrupt {
            return Err(Corrupt);
        }
        Ok(self.ring.get(from..from + written).unwrap_or_default())
    }

    /// Inflates all of `input` into windows of at most 32 KiB, and gives how many bytes came out.
    ///
    /// At worst that is some thousand times the length of `input`: whoever caps what a message may
    /// inflate to adds up these counts, and feeds small inputs.
    pub fn feed(&mut self, mut input: &[u8], out: &mut dyn FnMut(&[u8])) -> Result<u64, Corrupt> {
        let mut total = 0;
        loop {
            let window = self.step(&mut input)?;
            if window.is_empty() && input.is_empty() {
                return Ok(total);
            }
            total += window.len() as u64;
            out(window);
        }
    }

    /// Whether what was fed so far ends with a sync flush, as a whole message does.
    #[must_use]
    pub fn at_message_end(&self) -> bool {
        self.tail == FLUSH
    }
}

impl std::fmt::Debug for Inflater {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflater").field("corrupt", &self.corrupt).finish_non_exhaustive()
    }
}

impl std::fmt::Display for Corrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the compressed stream is damaged")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use miniz_oxide::deflate::core::{
        CompressorOxide, TDEFLFlush, compress_to_output, create_comp_flags_from_zip_params,
    };

    /// A server's side: each call is one message, ended by a sync flush.
    struct Deflater(CompressorOxide);

    impl Deflater {
        fn new() -> Self {
            Deflater(CompressorOxide::new(create_comp_flags_from_zip_params(6, 15, 0)))
        }

        fn message(&mut self, text: &[u8]) -> Vec<u8> {
            self.flush(text, TDEFLFlush::Sync)
        }

        fn flush(&mut self, text: &[u8], flush: TDEFLFlush) -> Vec<u8> {
            let mut packed = Vec::new();
            compress_to_output(&mut self.0, text, flush, |part| {
                packed.extend_from_slice(part);
                true
            });
            packed
        }
    }

    fn inflate(inflater: &mut Inflater, packed: &[u8], window: usize) -> Result<Vec<u8>, Corrupt> {
        let mut plain = Vec::new();
        for part in packed.chunks(window) {
            let before = plain.len();
            let count = inflater.feed(part, &mut |bytes| plain.extend_from_slice(bytes))?;
            assert_eq!(count, (plain.len() - before) as u64);
        }
        Ok(plain)
    }

    #[test]
    fn messages_share_one_context_and_come_whole_at_their_flush() {
        for window in [1, 7, 1460, 1 << 20] {
            let (mut server, mut client) = (Deflater::new(), Inflater::new());
            for n in 0..20 {
                let text = format!("{{\"op\":0,\"s\":{n},\"d\":\"{}\"}}", "ab c".repeat(n * 1500));
                let packed = server.message(text.as_bytes());
                assert!(packed.ends_with(&[0, 0, 255, 255]));
                assert_eq!(inflate(&mut client, &packed, window).unwrap(), text.as_bytes());
                assert!(client.at_message_end());
            }
        }
    }

    #[test]
    fn a_message_is_not_over_before_its_flush() {
        let packed = Deflater::new().message(b"hello");
        let mut client = Inflater::new();
        assert!(!client.at_message_end());
        inflate(&mut client, &packed[..packed.len() - 1], 64).unwrap();
        assert!(!client.at_message_end());
        inflate(&mut client, &packed[packed.len() - 1..], 64).unwrap();
        assert!(client.at_message_end());
    }

    #[test]
    fn a_bomb_comes_in_windows() {
        let packed = Deflater::new().message(&vec![b'x'; 50 << 20]);
        let (mut client, mut rest, mut total) = (Inflater::new(), packed.as_slice(), 0);
        loop {
            let window = client.step(&mut rest).unwrap();
            assert!(window.len() <= 32 * 1024);
            total += window.len();
            if window.is_empty() && rest.is_empty() {
                break;
            }
        }
        assert_eq!(total, 50 << 20);
    }

    #[test]
    fn damage_is_told_and_stays_until_reset() {
        let mut client = Inflater::new();
        assert_eq!(inflate(&mut client, b"no zlib stream", 3), Err(Corrupt));
        let packed = Deflater::new().message(b"hello");
        assert_eq!(inflate(&mut client, &packed, 64), Err(Corrupt));
        client.reset();
        assert_eq!(inflate(&mut client, &packed, 64).unwrap(), b"hello");
    }

    #[test]
    fn a_stream_that_ends_is_damage() {
        let packed = Deflater::new().flush(b"hello", TDEFLFlush::Finish);
        assert_eq!(inflate(&mut Inflater::new(), &packed, 64), Err(Corrupt));
    }

    #[test]
    fn any_bit_flipped_gives_an_error_or_other_bytes_but_never_hangs() {
        let packed = Deflater::new().message(&b"the quick brown fox ".repeat(40));
        for bit in 0..packed.len() * 8 {
            let mut damaged = packed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let _ = inflate(&mut Inflater::new(), &damaged, 5);
        }
    }
}
