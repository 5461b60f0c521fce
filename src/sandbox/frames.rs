//! WebSocket frames (RFC 6455) by hand: a library sends none that are broken on purpose.

use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;
use miniz_oxide::{MZError, MZFlush};
use smol::io::{AsyncRead, AsyncReadExt};

/// Opcodes.
pub const CONTINUATION: u8 = 0;
/// See [`CONTINUATION`].
pub const TEXT: u8 = 1;
/// See [`CONTINUATION`].
pub const BINARY: u8 = 2;
/// See [`CONTINUATION`].
pub const CLOSE: u8 = 8;
/// See [`CONTINUATION`].
pub const PING: u8 = 9;
/// See [`CONTINUATION`].
pub const PONG: u8 = 10;

/// What a client may send at once; far above Discord's 4096 bytes, which are judged elsewhere.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Appends a frame to `out`.
pub fn frame(out: &mut Vec<u8>, fin: bool, opcode: u8, payload: &[u8]) {
    out.push(u8::from(fin) << 7 | opcode);
    length(out, payload.len() as u64, 0);
    out.extend_from_slice(payload);
}

/// Appends a masked frame, as only a client may send it.
pub fn masked_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    const MASK: [u8; 4] = [1, 2, 3, 4];
    out.push(0x80 | opcode);
    length(out, payload.len() as u64, 0x80);
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

/// The header alone of a text frame of `claimed` bytes.
pub fn bare_header(out: &mut Vec<u8>, claimed: u64) {
    out.push(0x80 | TEXT);
    length(out, claimed, 0);
}

/// The seven bits of a length that say that two bytes follow, or eight.
const LENGTH_IN_2: u8 = 0x7e;
/// See [`LENGTH_IN_2`].
const LENGTH_IN_8: u8 = 0x7f;

fn length(out: &mut Vec<u8>, length: u64, mask_bit: u8) {
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..=125), _) => out.push(mask_bit | short),
        (_, Ok(medium)) => {
            out.push(mask_bit | LENGTH_IN_2);
            out.extend_from_slice(&medium.to_be_bytes());
        }
        _ => {
            out.push(mask_bit | LENGTH_IN_8);
            out.extend_from_slice(&length.to_be_bytes());
        }
    }
}

/// The payload of a close frame; 1005 stands for one without a code.
#[must_use]
pub fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    if code == 1005 {
        return Vec::new();
    }
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    payload
}

/// What came from a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Incoming {
    /// A whole message, text or binary.
    Message(Vec<u8>),
    /// A close frame; 1005 stands for one without a code.
    Close(u16),
    /// A ping, to be answered with the same payload.
    Ping(Vec<u8>),
    /// A pong.
    Pong,
    /// The stream ended, or broke the rules so badly that nothing more can be read.
    End,
}

/// Reads a client's frames. Futures of [`next`](Reader::next) may be dropped half-way.
#[derive(Debug, Default)]
pub struct Reader {
    raw: Vec<u8>,
    /// The message that is coming in fragments.
    message: Vec<u8>,
}

impl Reader {
    /// The next thing that `io` brings.
    pub async fn next(&mut self, io: &mut (impl AsyncRead + Unpin)) -> Incoming {
        let mut chunk = [0; 4096];
        loop {
            if let Some(incoming) = self.take() {
                return incoming;
            }
            match io.read(&mut chunk).await {
                Ok(count @ 1..) => self.raw.extend_from_slice(chunk.get(..count).unwrap_or(&[])),
                Ok(0) | Err(_) => return Incoming::End,
            }
        }
    }

    /// Takes what is complete out of the bytes read so far.
    fn take(&mut self) -> Option<Incoming> {
        loop {
            let (fin, opcode, payload) = match self.frame()? {
                Ok(frame) => frame,
                Err(Broken) => return Some(Incoming::End),
            };
            match opcode {
                CONTINUATION | TEXT | BINARY => {
                    self.message.extend(payload);
                    if self.message.len() > MESSAGE_BYTES_MAX {
                        return Some(Incoming::End);
                    }
                    if fin {
                        return Some(Incoming::Message(std::mem::take(&mut self.message)));
                    }
                }
                CLOSE => {
                    let code = payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
                    return Some(Incoming::Close(code));
                }
                PING => return Some(Incoming::Ping(payload)),
                PONG => return Some(Incoming::Pong),
                _ => return Some(Incoming::End),
            }
        }
    }

    /// One frame, unmasked; `None` if it is not complete.
    fn frame(&mut self) -> Option<Result<Frame, Broken>> {
        let (&first, &second) = (self.raw.first()?, self.raw.get(1)?);
        let (length, header) = match second & 0x7f {
            LENGTH_IN_2 => (u64::from(u16::from_be_bytes(*self.raw.get(2..)?.first_chunk()?)), 4),
            LENGTH_IN_8 => (u64::from_be_bytes(*self.raw.get(2..)?.first_chunk()?), 10),
            short => (u64::from(short), 2),
        };
        let is_masked = second & 0x80 != 0;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if !is_masked || length > MESSAGE_BYTES_MAX {
            return Some(Err(Broken));
        }
        let mask: [u8; 4] = *self.raw.get(header..)?.first_chunk()?;
        let body = self.raw.get(header + 4..header + 4 + length)?;
        let payload = body.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask);
        let payload = payload.collect();
        self.raw.drain(..header + 4 + length);
        Some(Ok((first & 0x80 != 0, first & 0x0f, payload)))
    }
}

/// Whether it is the last of its message, its opcode, and its payload.
type Frame = (bool, u8, Vec<u8>);

/// A frame that no client may send.
#[derive(Debug)]
struct Broken;

/// The compressor of one connection: zlib-stream, each message flushed so that it ends in
/// `00 00 ff ff`.
pub struct Deflater(Box<CompressorOxide>);

impl Default for Deflater {
    fn default() -> Deflater {
        const FASTEST: i32 = 1;
        const ZLIB_WINDOW_BITS: i32 = 15;
        let flags = create_comp_flags_from_zip_params(FASTEST, ZLIB_WINDOW_BITS, 0);
        Deflater(Box::new(CompressorOxide::new(flags)))
    }
}

impl Deflater {
    /// Appends `message`, compressed, to `out`.
    pub fn message(&mut self, mut message: &[u8], out: &mut Vec<u8>) {
        let mut chunk = [0; 4096];
        loop {
            let result = deflate(&mut self.0, message, &mut chunk, MZFlush::Sync);
            message = message.get(result.bytes_consumed..).unwrap_or(&[]);
            out.extend_from_slice(chunk.get(..result.bytes_written).unwrap_or(&[]));
            // A chunk that is not full was the last; the error says that there was nothing to do.
            let is_done = message.is_empty() && result.bytes_written < chunk.len();
            if is_done || matches!(result.status, Err(error) if error != MZError::Buf) {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use miniz_oxide::inflate::stream::{InflateState, inflate};

    use super::*;

    fn read_all(mut bytes: &[u8]) -> Vec<Incoming> {
        smol::block_on(async {
            let (mut reader, mut all) = (Reader::default(), Vec::new());
            loop {
                match reader.next(&mut bytes).await {
                    Incoming::End => return all,
                    incoming => all.push(incoming),
                }
            }
        })
    }

    #[test]
    fn lengths_of_all_three_forms_come_back() {
        for size in [0, 125, 126, 4096, 65_535, 65_536] {
            let (mut out, payload) = (Vec::new(), vec![7; size]);
            masked_frame(&mut out, TEXT, &payload);
            assert_eq!(read_all(&out), [Incoming::Message(payload)], "{size}");
        }
    }

    #[test]
    fn fragments_join_and_control_frames_come_between() {
        let mut out = Vec::new();
        masked_frame(&mut out, TEXT, b"he");
        out[0] &= 0x7f;
        masked_frame(&mut out, PING, b"!");
        masked_frame(&mut out, CONTINUATION, b"y");
        masked_frame(&mut out, CLOSE, &close_payload(4000, "bye"));
        let expected = [
            Incoming::Ping(b"!".to_vec()),
            Incoming::Message(b"hey".to_vec()),
            Incoming::Close(4000),
        ];
        assert_eq!(read_all(&out), expected);
    }

    #[test]
    fn what_no_client_may_send_ends_it() {
        let mut unmasked = Vec::new();
        frame(&mut unmasked, true, TEXT, b"x");
        let mut huge = Vec::new();
        bare_header(&mut huge, 1 << 40);
        huge[1] |= 0x80;
        for bytes in [unmasked, huge, vec![0x83, 0x80, 0, 0, 0, 0]] {
            assert_eq!(read_all(&bytes), []);
        }
    }

    #[test]
    fn a_close_without_a_code_is_1005() {
        assert_eq!(close_payload(1005, ""), Vec::<u8>::new());
        let mut out = Vec::new();
        masked_frame(&mut out, CLOSE, &[]);
        assert_eq!(read_all(&out), [Incoming::Close(1005)]);
    }

    #[test]
    fn each_compressed_message_inflates_by_itself_in_one_stream() {
        let (mut deflater, mut state) = (Deflater::default(), InflateState::new_boxed(zlib()));
        for message in [vec![b'a'; 10], (0..=250).cycle().take(100_000).collect()] {
            let mut wire = Vec::new();
            deflater.message(&message, &mut wire);
            assert!(wire.ends_with(&[0, 0, 0xff, 0xff]));
            let mut back = vec![0; message.len() + 1];
            let result = inflate(&mut state, &wire, &mut back, MZFlush::Sync);
            assert_eq!((result.bytes_consumed, result.bytes_written), (wire.len(), message.len()));
            back.truncate(message.len());
            assert_eq!(back, message);
        }
    }

    fn zlib() -> miniz_oxide::DataFormat {
        miniz_oxide::DataFormat::Zlib
    }
}
