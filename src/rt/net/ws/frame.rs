//! Frames of RFC 6455 as a stream: no frame is ever held, only its header and, of control frames,
//! up to 125 bytes. No I/O here: bytes in, steps out.

use crate::base::limits::{CONTROL_FRAME_BYTES_MAX, FRAME_BYTES_MAX, READ_CHUNK_BYTES};

/// What the next bytes mean.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Step<'a> {
    /// A message begins.
    Begin { binary: bool },
    /// Some more of it.
    Chunk(&'a [u8]),
    /// It is complete.
    End,
    /// A ping, to be answered with the same payload.
    Ping(&'a [u8]),
    /// A pong.
    Pong,
    /// A close frame: its code, 1005 if there is none, and the reason.
    Close(u16, &'a [u8]),
}

/// RFC 6455 7.4.1: the other side does not keep to the protocol.
pub(super) const PROTOCOL_ERROR: u16 = 1002;
/// RFC 6455 7.4.1: more than we take.
const TOO_BIG: u16 = 1009;
/// RFC 6455 7.4.1: stands for a close frame without a code.
const NO_CODE: u16 = 1005;

/// The longest header that a server may send: it must not mask.
const HEADER_BYTES_MAX: usize = 10;

const CONTINUATION: u8 = 0;
pub(super) const TEXT: u8 = 1;
const BINARY: u8 = 2;
pub(super) const CLOSE: u8 = 8;
const PING: u8 = 9;
pub(super) const PONG: u8 = 10;

/// Reads what a server sends.
#[derive(Debug, Default)]
pub(super) struct Frames {
    at: Place,
    /// Whether a message is under way, so that the next data frame must continue it.
    in_message: bool,
    header: heapless::Vec<u8, HEADER_BYTES_MAX>,
    control: heapless::Vec<u8, CONTROL_FRAME_BYTES_MAX>,
}

/// Where in a frame the reader is.
#[derive(Clone, Copy, Debug, Default)]
enum Place {
    #[default]
    Header,
    Data {
        left: u64,
        is_final: bool,
    },
    Control {
        opcode: u8,
        length: usize,
    },
}

impl Frames {
    /// Takes bytes off `input` until there is something to tell. `None`: more bytes are needed,
    /// and `input` is empty.
    ///
    /// # Errors
    /// The code to close with: the server has broken the protocol, and what follows means nothing.
    pub(super) fn step<'a, 'b: 'a>(
        &'a mut self,
        input: &mut &'b [u8],
    ) -> Result<Option<Step<'a>>, u16> {
        loop {
            match self.at {
                Place::Header => {
                    let Some(header) = self.read_header(input)? else { return Ok(None) };
                    if let Some(begin) = self.enter(&header)? {
                        return Ok(Some(begin));
                    }
                }
                Place::Data { left: 0, is_final } => {
                    self.at = Place::Header;
                    if is_final {
                        self.in_message = false;
                        return Ok(Some(Step::End));
                    }
                }
                Place::Data { .. } if input.is_empty() => return Ok(None),
                Place::Data { left, is_final } => {
                    let length = usize::try_from(left).unwrap_or(usize::MAX);
                    let chunk = take(input, length.min(READ_CHUNK_BYTES));
                    self.at = Place::Data { left: left - chunk.len() as u64, is_final };
                    return Ok(Some(Step::Chunk(chunk)));
                }
                Place::Control { opcode, length } => {
                    let chunk = take(input, length - self.control.len());
                    // The length was checked when the header was read.
                    let _ = self.control.extend_from_slice(chunk);
                    if self.control.len() < length {
                        return Ok(None);
                    }
                    self.at = Place::Header;
                    return control_step(opcode, &self.control).map(Some);
                }
            }
        }
    }

    /// Collects a header and takes it apart.
    fn read_header(&mut self, input: &mut &[u8]) -> Result<Option<Header>, u16> {
        while self.header.len() < self.header_bytes() {
            let [byte] = *take(input, 1) else { return Ok(None) };
            // No header is longer than what fits.
            let _ = self.header.push(byte);
        }
        let (first, second) = (self.header[0], self.header[1]);
        let (reserved, is_masked) = (first & 0x70, second & 0x80 != 0);
        if reserved != 0 || is_masked {
            return Err(PROTOCOL_ERROR);
        }
        let long = self.header[2..].iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte));
        let length = if second < 126 { second.into() } else { long };
        self.header.clear();
        Ok(Some(Header { opcode: first & 0x0f, is_final: first & 0x80 != 0, length }))
    }

    /// How long the header is, as far as can be told.
    fn header_bytes(&self) -> usize {
        match self.header.get(1) {
            Some(126) => 4,
            Some(127) => HEADER_BYTES_MAX,
            // With a mask it would be longer, but is refused.
            _ => 2,
        }
    }

    /// Goes from a header to what follows it, if it may be there at all.
    fn enter(&mut self, header: &Header) -> Result<Option<Step<'static>>, u16> {
        let Header { opcode, is_final, length } = *header;
        let starts = matches!(opcode, TEXT | BINARY);
        match opcode {
            CLOSE | PING | PONG => {
                let short = usize::try_from(length).ok().filter(|&n| n <= CONTROL_FRAME_BYTES_MAX);
                let length = short.filter(|_| is_final).ok_or(PROTOCOL_ERROR)?;
                self.control.clear();
                self.at = Place::Control { opcode, length };
                Ok(None)
            }
            TEXT | BINARY | CONTINUATION if starts == self.in_message => Err(PROTOCOL_ERROR),
            TEXT | BINARY | CONTINUATION => {
                if length > FRAME_BYTES_MAX {
                    return Err(TOO_BIG);
                }
                self.in_message = true;
                self.at = Place::Data { left: length, is_final };
                Ok(starts.then_some(Step::Begin { binary: opcode == BINARY }))
            }
            _ => Err(PROTOCOL_ERROR),
        }
    }
}

/// What a frame begins with.
struct Header {
    opcode: u8,
    is_final: bool,
    length: u64,
}

/// What a whole control frame means.
fn control_step(opcode: u8, payload: &[u8]) -> Result<Step<'_>, u16> {
    match (opcode, payload) {
        (PING, _) => Ok(Step::Ping(payload)),
        (PONG, _) => Ok(Step::Pong),
        (_, []) => Ok(Step::Close(NO_CODE, &[])),
        (_, [a, b, reason @ ..]) => match u16::from_be_bytes([*a, *b]) {
            // RFC 6455 7.4: those that may be on the wire; IANA has added 1012 to 1014.
            code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => Ok(Step::Close(code, reason)),
            _ => Err(PROTOCOL_ERROR),
        },
        (_, [_]) => Err(PROTOCOL_ERROR),
    }
}

/// Takes up to `count` bytes off the front.
fn take<'a>(input: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (front, rest) = input.split_at(count.min(input.len()));
    *input = rest;
    front
}

/// What [`push_masked`] puts before a payload at most.
pub(super) const HEADER_SENT_BYTES: usize = 8;

/// Appends a frame as a client must send it: whole and masked. `payload` has at most 65,535 bytes.
pub(super) fn push_masked(out: &mut Vec<u8>, opcode: u8, payload: &[u8], mask: [u8; 4]) {
    out.push(0x80 | opcode);
    match u8::try_from(payload.len()) {
        Ok(length) if length < 126 => out.push(0x80 | length),
        _ => {
            let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
            out.push(0x80 | 0x7e);
            out.extend(length.to_be_bytes());
        }
    }
    out.extend(mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Rng;
    use proptest::prelude::*;

    /// A frame as a server sends it.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            length @ 0..126 => bytes.push(u8::try_from(length).unwrap()),
            length @ 126..65_536 => {
                bytes.push(126);
                bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            length => {
                bytes.push(127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend(payload);
        bytes
    }

    /// What a reader heard.
    #[derive(Clone, PartialEq, Debug)]
    enum Heard {
        Message(bool, Vec<u8>),
        Ping(Vec<u8>),
        Pong,
        Close(u16, Vec<u8>),
        Refused(u16),
    }

    /// Feeds `parts` to a reader, one after the other.
    fn hear<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Vec<Heard> {
        let (mut frames, mut heard, mut message) = (Frames::default(), Vec::new(), None);
        for mut part in parts {
            loop {
                match frames.step(&mut part) {
                    Ok(Some(Step::Begin { binary })) => {
                        assert_eq!(message.replace((binary, Vec::new())), None);
                    }
                    Ok(Some(Step::Chunk(chunk))) => {
                        assert!(!chunk.is_empty() && chunk.len() <= READ_CHUNK_BYTES);
                        message.as_mut().unwrap().1.extend_from_slice(chunk);
                    }
                    Ok(Some(Step::End)) => {
                        let (binary, bytes) = message.take().unwrap();
                        heard.push(Heard::Message(binary, bytes));
                    }
                    Ok(Some(Step::Ping(payload))) => heard.push(Heard::Ping(payload.to_vec())),
                    Ok(Some(Step::Pong)) => heard.push(Heard::Pong),
                    Ok(Some(Step::Close(code, reason))) => {
                        heard.push(Heard::Close(code, reason.to_vec()));
                    }
                    Ok(None) => {
                        assert!(part.is_empty());
                        break;
                    }
                    Err(code) => {
                        heard.push(Heard::Refused(code));
                        return heard;
                    }
                }
            }
        }
        heard
    }

    fn refused(bytes: &[u8]) -> bool {
        hear([bytes]) == [Heard::Refused(PROTOCOL_ERROR)]
    }

    #[test]
    fn messages_of_all_lengths_arrive() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 200_000] {
            let payload: Vec<u8> = (0..=255).cycle().take(length).collect();
            let bytes = frame(0x80 | BINARY, &payload);
            assert_eq!(hear([&bytes[..]]), [Heard::Message(true, payload)], "{length}");
        }
    }

    #[test]
    fn fragments_are_one_message_and_control_frames_go_between() {
        let bytes = [
            frame(TEXT, b"one "),
            frame(0x80 | PING, b"?"),
            frame(CONTINUATION, b""),
            frame(0x80 | PONG, b""),
            frame(0x80 | CONTINUATION, b"two"),
            frame(0x80 | CLOSE, b"\x0f\xa4bye"),
        ]
        .concat();
        let message = Heard::Message(false, b"one two".to_vec());
        let close = Heard::Close(4004, b"bye".to_vec());
        assert_eq!(hear([&bytes[..]]), [Heard::Ping(b"?".to_vec()), Heard::Pong, message, close]);
    }

    #[test]
    fn what_breaks_the_rules_is_refused() {
        for opcode in (3..8).chain(11..16) {
            assert!(refused(&frame(0x80 | opcode, b"")), "reserved opcode {opcode}");
        }
        for bit in [0x40, 0x20, 0x10] {
            assert!(refused(&frame(0x80 | bit | TEXT, b"")), "reserved bit {bit}");
        }
        assert!(refused(&[0x80 | TEXT, 0x80]), "a mask");
        assert!(refused(&frame(PING, b"")), "a fragmented ping");
        assert!(refused(&frame(0x80 | PING, &[0; 126])), "a long ping");
        assert!(refused(&frame(0x80 | CONTINUATION, b"")), "a continuation of nothing");
        assert!(refused(&[frame(TEXT, b""), frame(TEXT, b"")].concat()), "a message in another");
    }

    #[test]
    fn a_frame_that_claims_too_much_is_refused_by_its_header() {
        for length in [FRAME_BYTES_MAX + 1, 1 << 40, u64::MAX] {
            let header = [&[0x80 | BINARY, 127][..], &length.to_be_bytes()].concat();
            assert_eq!(hear([&header[..]]), [Heard::Refused(TOO_BIG)]);
        }
        let header = [&[0x80 | BINARY, 127][..], &FRAME_BYTES_MAX.to_be_bytes()].concat();
        assert_eq!(hear([&header[..]]), [], "the largest is not");
    }

    #[test]
    fn close_codes_are_those_that_may_be_sent() {
        assert_eq!(hear([&frame(0x80 | CLOSE, b"")[..]]), [Heard::Close(NO_CODE, vec![])]);
        assert!(refused(&frame(0x80 | CLOSE, b"\x03")), "half a code");
        for code in [0_u16, 999, 1004, 1005, 1006, 1015, 2999, 5000, u16::MAX] {
            assert!(refused(&frame(0x80 | CLOSE, &code.to_be_bytes())), "{code}");
        }
        for code in [1000_u16, 1001, 1012, 3000, 4000, 4014] {
            let bytes = frame(0x80 | CLOSE, &code.to_be_bytes());
            assert_eq!(hear([&bytes[..]]), [Heard::Close(code, vec![])]);
        }
    }

    #[test]
    fn what_we_send_is_what_the_library_reads() {
        use async_tungstenite::tungstenite::protocol::frame::FrameHeader;
        for length in [0, 1, 125, 126, 4096] {
            let (payload, mut out) = (vec![0xa5; length], Vec::new());
            push_masked(&mut out, TEXT, &payload, [1, 2, 3, 4]);
            let mut cursor = std::io::Cursor::new(&out);
            let (header, claimed) = FrameHeader::parse(&mut cursor).unwrap().unwrap();
            assert_eq!((header.mask, claimed), (Some([1, 2, 3, 4]), length as u64));
            let at = usize::try_from(cursor.position()).unwrap();
            let mask = [1, 2, 3, 4].iter().cycle();
            let unmasked: Vec<u8> = out[at..].iter().zip(mask).map(|(a, b)| a ^ b).collect();
            assert_eq!(unmasked, payload);
        }
    }

    /// Frames that keep to the rules, mostly.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let payload = prop::collection::vec(any::<u8>(), 0..300);
        let first = prop_oneof![
            Just(0x81),
            Just(0x82),
            Just(0x01),
            Just(0x80),
            Just(0x00),
            Just(0x89),
            Just(0x8a),
            Just(0x88)
        ];
        prop::collection::vec(
            (first, payload).prop_map(|(first, payload)| frame(first, &payload)),
            0..8,
        )
        .prop_map(|frames| frames.concat())
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(bytes in stream(), seed in any::<u64>()) {
            let whole = hear([&bytes[..]]);
            prop_assert_eq!(&hear(bytes.chunks(1)), &whole);
            let (mut rng, mut rest, mut parts) = (Rng::new(seed), &bytes[..], Vec::new());
            while !rest.is_empty() {
                let length = usize::try_from(rng.below(40)).unwrap();
                parts.push(take(&mut rest, length));
            }
            prop_assert_eq!(&hear(parts), &whole);
        }

        #[test]
        fn any_bytes_are_read_to_an_end(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
            hear([&bytes[..]]);
        }
    }
}
