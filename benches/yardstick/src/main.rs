//! What `benches/run` measures against, and what it measures apart from everything else.
//!
//! `yardstick floor` (with `PEER_URL` and `PEER_TOKEN`, as the peers have them) is the least that
//! any client can do: it reads from the socket and touches every byte.
//!
//! `yardstick events COUNT` takes so many messages from memory, compressed, through inflating,
//! decoding and judging: all that stands between the wire and a message that is to be answered.
//!
//! `yardstick intent COUNT` prints how many nanoseconds it takes to say whether a message is meant
//! for us and to remember it, over the labelled conversations.

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::TcpStream;

use barnacle::core::access::{self, Access, Known};
use barnacle::core::chat::{ChannelKind, ChatId, Inbound};
use barnacle::core::intent::{Filter, Memory};
use barnacle::proto::discord::model::Decoder;
use barnacle::proto::inflate::Inflater;
use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, compress_to_output, create_comp_flags_from_zip_params,
};

fn main() {
    let mut words = std::env::args().skip(1);
    match (words.next().as_deref(), words.next()) {
        (Some("floor"), None) => floor().expect("the gateway of PEER_URL is to be read from"),
        (Some("events"), Some(count)) => events(count.parse().expect("a count")),
        (Some("intent"), Some(count)) => intent(count.parse().expect("a count")),
        _ => eprintln!("yardstick floor, yardstick events COUNT, or yardstick intent COUNT"),
    }
}

/// Prints `ready`, then `messages N bytes B` after each full thousand; runs until it is ended.
fn floor() -> std::io::Result<()> {
    let variable = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("set {name}"));
    let (url, token) = (variable("PEER_URL"), variable("PEER_TOKEN"));
    let authority = url.trim_start_matches("ws://").trim_end_matches('/').to_owned();
    let mut socket = TcpStream::connect(authority.as_str())?;
    write!(
        socket,
        "GET /?v=10&encoding=json HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )?;
    let mut byte = [0; 1];
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let properties = r#"{"os":"linux","browser":"floor","device":"floor"}"#;
    let identify = format!(
        r#"{{"op":2,"d":{{"token":"{token}","intents":37377,"properties":{properties}}}}}"#
    );
    socket.write_all(&masked(identify.as_bytes()))?;
    println!("ready");
    let mut frames = Frames::default();
    let mut window = vec![0; 8 * 1024];
    let mut touched = 0_u64;
    loop {
        let count = socket.read(&mut window)?;
        if count == 0 {
            return Ok(());
        }
        touched += window[..count].iter().map(|&byte| u64::from(byte)).sum::<u64>();
        black_box(touched);
        frames.walk(&window[..count]);
    }
}

/// A text frame with a mask of zeros. `payload` is longer than 125 bytes.
fn masked(payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("a short payload");
    let mut frame = vec![0x81, 0x80 | 126];
    frame.extend(length.to_be_bytes());
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// Counts the frames of more than a thousand bytes, which are messages here.
#[derive(Default)]
struct Frames {
    header: Vec<u8>,
    left: usize,
    messages: u64,
    bytes: u64,
}

impl Frames {
    fn walk(&mut self, mut bytes: &[u8]) {
        loop {
            let skipped = self.left.min(bytes.len());
            bytes = &bytes[skipped..];
            self.left -= skipped;
            let Some((&byte, rest)) = bytes.split_first() else { return };
            bytes = rest;
            self.header.push(byte);
            if let Some(length) = length(&self.header) {
                self.header.clear();
                self.left = length;
                self.count(length as u64);
            }
        }
    }

    fn count(&mut self, length: u64) {
        if length < 1000 {
            return;
        }
        self.messages += 1;
        self.bytes += length;
        if self.messages.is_multiple_of(1000) {
            println!("messages {} bytes {}", self.messages, self.bytes);
        }
    }
}

/// What a frame's header says of its length, once it is whole.
fn length(header: &[u8]) -> Option<usize> {
    match *header {
        [_, 126, a, b] => Some(usize::from(u16::from_be_bytes([a, b]))),
        [_, 126 | 127, ..] if header.len() < 10 => None,
        [_, 127, ref long @ ..] => {
            Some(long.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte)))
        }
        [_, short] => Some(short.into()),
        _ => None,
    }
}

/// A message of 2.9 KB as Discord sends it, with guild, member, mention and embed.
const MESSAGE: &str = include_str!("../../../tests/data/message_create.json");
/// The bot that it mentions.
const ME: u64 = 1_098_765_432_109_876_543;
/// What is made ready beforehand, and then gone through again and again.
const BATCH: u64 = 500;

fn events(count: u64) {
    let packed = packed_messages();
    let (mut inflater, mut decoder) = (Inflater::new(), Decoder::new());
    let (access, mut admitted) = (Access::default(), 0);
    decoder.set_me(ME);
    for turn in 0..count {
        let at = turn % BATCH;
        if at == 0 {
            inflater.reset();
        }
        decoder.begin();
        for window in packed[usize::try_from(at).expect("a small number")].chunks(1024) {
            inflater.feed(window, &mut |plain| decoder.feed(plain)).expect("a zlib stream");
        }
        decoder.end();
        let (Some(message), Some(seq)) = (decoder.message(), decoder.seq()) else { continue };
        let inbound = Inbound {
            chat: ChatId { channel: ChannelKind::Discord, id: message.channel },
            id: message.id,
            seq,
            guild: message.guild,
            parent: message.parent,
            author: message.author,
            author_name: message.author_name,
            roles: message.roles,
            from_bot: message.from_bot,
            from_self: message.author == ME,
            mentions_us: message.mentions_us,
            reply_to: message.reply_to,
            late: false,
            text: message.text,
            text_cut: message.text_cut,
            has_more: message.has_more,
        };
        let known = Known { chat_name: message.channel_name, ..Known::default() };
        admitted += u64::from(access::judge(&access, black_box(&inbound), known).is_ok());
    }
    assert_eq!(admitted, count, "every one of them is to be answered");
}

/// One zlib stream, a sync flush after each message; no two are alike.
fn packed_messages() -> Vec<Vec<u8>> {
    let mut server = CompressorOxide::new(create_comp_flags_from_zip_params(6, 15, 0));
    let pack = |seq: u64| {
        let text = MESSAGE.replace("\"s\":42", &format!("\"s\":{seq}"));
        let mut packed = Vec::new();
        compress_to_output(&mut server, text.as_bytes(), TDEFLFlush::Sync, |part| {
            packed.extend_from_slice(part);
            true
        });
        packed
    };
    (1..=BATCH).map(pack).collect()
}

/// People's words, as they are labelled for training.
const TALK: [&str; 3] = [
    include_str!("../../../tests/data/intent/dev.tsv"),
    include_str!("../../../tests/data/intent/guild.tsv"),
    include_str!("../../../tests/data/intent/support.tsv"),
];

fn intent(count: u64) {
    let lines = TALK.iter().flat_map(|talk| talk.lines());
    let said: Vec<(&str, &str)> = lines
        .filter_map(|line| {
            let mut fields = line.split('\t');
            Some((fields.nth(1)?, fields.nth(2)?))
        })
        .collect();
    let (filter, mut memory, mut meant) = (Filter::default(), Memory::default(), 0);
    let began = std::time::Instant::now();
    for id in 0..count {
        let (who, text) = said[usize::try_from(id).expect("a small number") % said.len()];
        let inbound = Inbound {
            chat: ChatId { channel: ChannelKind::Discord, id: id % 100 },
            id: (id * 5000) << 22,
            seq: id,
            guild: Some(9),
            parent: None,
            author: who.len() as u64,
            author_name: who,
            roles: &[],
            from_bot: false,
            from_self: who == "barney",
            mentions_us: false,
            reply_to: None,
            late: false,
            text,
            text_cut: false,
            has_more: false,
        };
        let is_meant = filter.judge(&memory, black_box(&inbound)).is_ok();
        memory.hear(&inbound, is_meant);
        meant += u64::from(is_meant);
    }
    let spent = began.elapsed().as_nanos();
    println!("{}", spent / u128::from(count));
    assert!(meant > 0 && meant < count, "{meant} of {count}");
}
