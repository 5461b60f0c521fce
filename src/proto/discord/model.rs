//! What the gateway says, reduced to the fields that we read.
//!
//! The tokens of a message are followed through a small tree of known places (`Node`). What lies
//! at a known place goes into a buffer that is there from the start and serves every message; all
//! else is passed over, whatever its size. Discord promises no order of `op`, `s`, `t` and `d`, so
//! every field is collected first, and only then is said what the message was.

use crate::base::limits;
use crate::proto::json::{Capture, Fault, Sink, Token, Tokenizer};
use std::fmt;
use std::time::Duration;

use super::gateway::{Dispatch, Signal};

/// The events that anybody here tells apart.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Kind {
    /// READY
    Ready,
    /// RESUMED
    Resumed,
    /// `MESSAGE_CREATE`
    MessageCreate,
    /// `GUILD_CREATE`
    GuildCreate,
    /// `GUILD_DELETE`
    GuildDelete,
    /// `INTERACTION_CREATE`
    InteractionCreate,
    /// Any other, or no dispatch.
    #[default]
    Other,
}

/// A message that somebody wrote.
#[allow(clippy::struct_excessive_bools, reason = "independent facts about one message")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    /// Its id.
    pub id: u64,
    /// Where it was written.
    pub channel: u64,
    /// The server (guild) of that channel; `None` in a direct message.
    pub guild: Option<u64>,
    /// Who wrote it: a user, or a webhook.
    pub author: u64,
    /// What the author is shown as.
    pub author_name: &'a str,
    /// Whether a program wrote it: a bot or a webhook.
    pub from_bot: bool,
    /// Whether it mentions us or answers a message of ours.
    pub mentions_us: bool,
    /// The message that it answers.
    pub reply_to: Option<u64>,
    /// The message type (Discord's documentation, "Message Types"): 0 is a plain message, 19 a
    /// reply.
    pub kind: u32,
    /// What it says, or the beginning of that.
    pub text: &'a str,
    /// Whether `text` is only the beginning.
    pub text_cut: bool,
    /// What its sender gave to know it by.
    pub nonce: Option<&'a str>,
    /// Whether there is more than text: attachments, embeds, stickers, components, a poll. Tells a
    /// picture without words from content that Discord withholds.
    pub has_more: bool,
}

/// Reads the gateway messages of one connection, one after the other, in windows.
pub struct Decoder {
    tokenizer: Tokenizer,
    fields: Fields,
    fault: Option<Fault>,
}

impl Decoder {
    /// A decoder; the only allocation.
    #[must_use]
    pub fn new() -> Box<Self> {
        Box::new(Decoder {
            tokenizer: Tokenizer::new(),
            fields: Fields::new(),
            fault: Some(Fault::Unfinished),
        })
    }

    /// Tells who we are, so that mentions can be seen.
    pub fn set_me(&mut self, user_id: u64) {
        self.fields.me = Some(user_id);
    }

    /// A new gateway message begins; the last one is forgotten.
    pub fn begin(&mut self) {
        self.tokenizer.reset();
        self.fields.clear();
        self.fault = Some(Fault::Unfinished);
    }

    /// Takes in the next part of the message, cut anywhere. After a fault the rest is ignored.
    pub fn feed(&mut self, inflated: &[u8]) {
        // The tokenizer keeps its fault, and tells it again at the end.
        let _ = self.tokenizer.feed(inflated, &mut self.fields);
    }

    /// The message is complete, or was given up; the answers below hold until the next begins.
    pub fn end(&mut self) {
        self.fault = self.tokenizer.finish(&mut self.fields).err();
    }

    /// What the gateway machine is to hear. Of an event that could not be read to its end, the
    /// number at least, if that was read.
    #[must_use]
    pub fn signal(&self) -> Signal<'_> {
        match (self.fields.number(Node::Op), self.fault) {
            (Some(0), _) => self
                .seq()
                .map_or(Signal::Unreadable, |seq| Signal::Dispatch { seq, event: self.event() }),
            (None, _) | (_, Some(_)) => Signal::Unreadable,
            (Some(1), None) => Signal::Beat,
            (Some(7), None) => Signal::Reconnect,
            (Some(9), None) => Signal::InvalidSession { resumable: self.fields.resumable },
            (Some(10), None) => {
                self.fields.number(Node::Interval).map_or(Signal::Unreadable, |interval_ms| {
                    Signal::Hello { interval: Duration::from_millis(interval_ms) }
                })
            }
            (Some(11), None) => Signal::Ack,
            (Some(op), None) => Signal::Unknown { op },
        }
    }

    fn event(&self) -> Dispatch<'_> {
        match self.kind() {
            Kind::Ready => self.ready().unwrap_or(Dispatch::Other),
            Kind::Resumed if self.fault.is_none() => Dispatch::Resumed,
            _ => Dispatch::Other,
        }
    }

    /// READY, if it says enough to RESUME by.
    fn ready(&self) -> Option<Dispatch<'_>> {
        let fields = &self.fields;
        let whole = self.fault.is_none() && !fields.session_id.is_cut();
        let session_id = Some(fields.session_id.as_str()).filter(|id| whole && !id.is_empty())?;
        let resume_url = if fields.resume_url.is_cut() { "" } else { fields.resume_url.as_str() };
        Some(Dispatch::Ready {
            session_id,
            resume_url,
            user: fields.number(Node::UserId)?,
            application: fields.number(Node::ApplicationId).unwrap_or_default(),
            flags: fields.number(Node::ApplicationFlags).unwrap_or_default(),
        })
    }

    /// The message that somebody wrote, if the event is one and was read to its end.
    #[must_use]
    pub fn message(&self) -> Option<Message<'_>> {
        if self.fault.is_some() || self.kind() != Kind::MessageCreate {
            return None;
        }
        let fields = &self.fields;
        let names = [&fields.global_name, &fields.username];
        let name = names.into_iter().map(Capture::as_str).find(|name| !name.is_empty());
        Some(Message {
            id: fields.number(Node::Id)?,
            channel: fields.number(Node::Channel)?,
            guild: fields.number(Node::Guild),
            author: fields.number(Node::AuthorId)?,
            author_name: name.unwrap_or_default(),
            from_bot: fields.bot || fields.number(Node::Webhook).is_some(),
            mentions_us: fields.mentions_us,
            reply_to: fields.number(Node::ReferenceId),
            kind: fields.number(Node::Type).and_then(|n| n.try_into().ok()).unwrap_or_default(),
            text: fields.content.as_str(),
            text_cut: fields.content.is_cut(),
            nonce: Some(fields.nonce.as_str()).filter(|nonce| !nonce.is_empty()),
            has_more: fields.has_more,
        })
    }

    /// Which event it was, even if it could not be read to its end.
    #[must_use]
    pub fn kind(&self) -> Kind {
        if self.fields.number(Node::Op) == Some(0) { self.fields.kind } else { Kind::Other }
    }

    /// The event's name as Discord wrote it; empty if it was no event.
    #[must_use]
    pub fn event_name(&self) -> &str {
        self.fields.event.as_str()
    }

    /// The event's number.
    #[must_use]
    pub fn seq(&self) -> Option<u64> {
        self.fields.number(Node::Seq)
    }

    /// Why the message could not be read to its end, if so.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder")
            .field("kind", &self.kind())
            .field("seq", &self.seq())
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

impl Kind {
    fn of(name: &str) -> Self {
        match name {
            "READY" => Kind::Ready,
            "RESUMED" => Kind::Resumed,
            "MESSAGE_CREATE" => Kind::MessageCreate,
            "GUILD_CREATE" => Kind::GuildCreate,
            "GUILD_DELETE" => Kind::GuildDelete,
            "INTERACTION_CREATE" => Kind::InteractionCreate,
            _ => Kind::Other,
        }
    }
}

/// A value that we know by its path, or [`Node::Other`]. Those that hold others are places.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Node {
    Other,
    /// Around the document.
    Outside,
    Envelope,
    Op,
    Seq,
    Event,
    Data,
    // Of HELLO and READY.
    Interval,
    SessionId,
    ResumeUrl,
    User,
    UserId,
    Application,
    ApplicationId,
    ApplicationFlags,
    // Of a message.
    Id,
    Channel,
    Guild,
    Type,
    Content,
    Nonce,
    Webhook,
    Author,
    AuthorId,
    Username,
    GlobalName,
    Bot,
    Mentions,
    Mention,
    MentionId,
    Reference,
    ReferenceId,
    Referenced,
    ReferencedAuthor,
    ReferencedAuthorId,
    /// A list of what a message may hold beside its text.
    Extras,
    Extra,
}

impl Node {
    const COUNT: usize = Node::Extra as usize + 1;

    /// What `key` leads to from here. Bytes are compared in place, texts by a call each.
    fn child(self, key: &[u8]) -> Node {
        match (self, key) {
            (Node::Data, _) => Node::in_data(key),
            (Node::Envelope, b"op") => Node::Op,
            (Node::Envelope, b"s") => Node::Seq,
            (Node::Envelope, b"t") => Node::Event,
            (Node::Envelope, b"d") => Node::Data,
            (Node::User, b"id") => Node::UserId,
            (Node::Application, b"id") => Node::ApplicationId,
            (Node::Application, b"flags") => Node::ApplicationFlags,
            (Node::Author, b"id") => Node::AuthorId,
            (Node::Author, b"username") => Node::Username,
            (Node::Author, b"global_name") => Node::GlobalName,
            (Node::Author, b"bot") => Node::Bot,
            (Node::Mention, b"id") => Node::MentionId,
            (Node::Reference, b"message_id") => Node::ReferenceId,
            (Node::Referenced, b"author") => Node::ReferencedAuthor,
            (Node::ReferencedAuthor, b"id") => Node::ReferencedAuthorId,
            _ => Node::Other,
        }
    }

    fn in_data(key: &[u8]) -> Node {
        match key {
            b"heartbeat_interval" => Node::Interval,
            b"session_id" => Node::SessionId,
            b"resume_gateway_url" => Node::ResumeUrl,
            b"user" => Node::User,
            b"application" => Node::Application,
            b"id" => Node::Id,
            b"channel_id" => Node::Channel,
            b"guild_id" => Node::Guild,
            b"type" => Node::Type,
            b"content" => Node::Content,
            b"nonce" => Node::Nonce,
            b"webhook_id" => Node::Webhook,
            b"author" => Node::Author,
            b"mentions" => Node::Mentions,
            b"message_reference" => Node::Reference,
            b"referenced_message" => Node::Referenced,
            b"attachments" | b"embeds" | b"components" | b"sticker_items"
            | b"message_snapshots" => Node::Extras,
            b"poll" => Node::Extra,
            _ => Node::Other,
        }
    }

    /// What the values of a list are.
    fn element(self) -> Node {
        match self {
            Node::Mentions => Node::Mention,
            Node::Extras => Node::Extra,
            _ => Node::Other,
        }
    }

    /// The place around this place.
    fn parent(self) -> Node {
        match self {
            Node::Data => Node::Envelope,
            Node::Mention => Node::Mentions,
            Node::ReferencedAuthor => Node::Referenced,
            Node::Envelope | Node::Outside => Node::Outside,
            _ => Node::Data,
        }
    }

    fn is_object(self) -> bool {
        matches!(
            self,
            Node::Envelope
                | Node::Data
                | Node::User
                | Node::Application
                | Node::Author
                | Node::Mention
                | Node::Reference
                | Node::Referenced
                | Node::ReferencedAuthor
        )
    }

    fn is_list(self) -> bool {
        matches!(self, Node::Mentions | Node::Extras)
    }
}

/// The longest key, event name, or number in quotes that we know fits.
const WORD_BYTES_MAX: usize = 32;

/// What was read so far of a message.
#[allow(clippy::struct_excessive_bools, reason = "independent facts about one message")]
struct Fields {
    me: Option<u64>,
    /// Where we are …
    place: Node,
    /// … and what the next value there is.
    next: Node,
    /// How many objects and lists, one in the other, are being passed over.
    skipped: usize,
    /// The key, name or number in quotes at hand.
    word: Capture<WORD_BYTES_MAX>,

    numbers: [Option<u64>; Node::COUNT],
    kind: Kind,
    event: Capture<WORD_BYTES_MAX>,
    resumable: bool,
    bot: bool,
    mentions_us: bool,
    has_more: bool,
    session_id: Capture<{ limits::SESSION_ID_BYTES_MAX }>,
    resume_url: Capture<{ limits::RESUME_URL_BYTES_MAX }>,
    username: Capture<{ limits::NAME_BYTES_MAX }>,
    global_name: Capture<{ limits::NAME_BYTES_MAX }>,
    nonce: Capture<{ limits::NONCE_CHARS_MAX * 4 }>,
    content: Capture<{ limits::TEXT_BYTES_MAX }>,
}

impl Fields {
    fn new() -> Self {
        Fields {
            me: None,
            place: Node::Outside,
            next: Node::Envelope,
            skipped: 0,
            word: Capture::new(),
            numbers: [None; Node::COUNT],
            kind: Kind::Other,
            event: Capture::new(),
            resumable: false,
            bot: false,
            mentions_us: false,
            has_more: false,
            session_id: Capture::new(),
            resume_url: Capture::new(),
            username: Capture::new(),
            global_name: Capture::new(),
            nonce: Capture::new(),
            content: Capture::new(),
        }
    }

    /// Forgets the message, in place: this is too large to be moved about.
    fn clear(&mut self) {
        self.place = Node::Outside;
        self.next = Node::Envelope;
        self.skipped = 0;
        self.word.clear();
        self.numbers = [None; Node::COUNT];
        self.kind = Kind::Other;
        self.event.clear();
        self.resumable = false;
        self.bot = false;
        self.mentions_us = false;
        self.has_more = false;
        self.session_id.clear();
        self.resume_url.clear();
        self.username.clear();
        self.global_name.clear();
        self.nonce.clear();
        self.content.clear();
    }

    fn number(&self, node: Node) -> Option<u64> {
        self.numbers[node as usize]
    }

    fn enter(&mut self, known: bool) {
        self.has_more |= self.next == Node::Extra;
        if known {
            self.place = self.next;
            self.next = self.place.element();
        } else {
            self.skipped = 1;
        }
    }

    fn leave(&mut self) {
        self.place = self.place.parent();
        self.next = self.place.element();
    }

    fn read_text(&mut self, part: &str, last: bool) {
        match self.next {
            Node::Other => {}
            Node::Content => self.content.push(part, last),
            Node::SessionId => self.session_id.push(part, last),
            Node::ResumeUrl => self.resume_url.push(part, last),
            Node::Username => self.username.push(part, last),
            Node::GlobalName => self.global_name.push(part, last),
            Node::Nonce => self.nonce.push(part, last),
            Node::Event => {
                self.event.push(part, last);
                if last {
                    self.kind = Kind::of(self.event.as_str());
                }
            }
            // Snowflakes come in quotes, since JavaScript has no integers of 64 bits.
            _ => {
                if let Some(number) = self.word.join(part, last).map(|text| text.parse().ok()) {
                    self.read_number(number);
                }
            }
        }
    }

    fn read_number(&mut self, number: Option<u64>) {
        self.numbers[self.next as usize] = number;
        if matches!(self.next, Node::MentionId | Node::ReferencedAuthorId) {
            self.mentions_us |= number.is_some() && number == self.me;
        }
    }
}

impl Sink for Fields {
    fn token(&mut self, token: Token<'_>) {
        if self.skipped > 0 {
            match token {
                Token::ObjectBegin | Token::ArrayBegin => self.skipped += 1,
                Token::ObjectEnd | Token::ArrayEnd => self.skipped -= 1,
                _ => {}
            }
            return;
        }
        match token {
            Token::Key { part, last } => {
                if let Some(key) = self.word.join(part, last) {
                    self.next = self.place.child(key.as_bytes());
                }
            }
            Token::Text { part, last } => self.read_text(part, last),
            Token::ObjectBegin => self.enter(self.next.is_object()),
            Token::ArrayBegin => self.enter(self.next.is_list()),
            Token::ObjectEnd | Token::ArrayEnd => self.leave(),
            // Older clients send a nonce as a number.
            Token::Number(text) if self.next == Node::Nonce => self.nonce.push(text, true),
            Token::Number(text) => self.read_number(text.parse().ok()),
            Token::Bool(value) if self.next == Node::Bot => self.bot = value,
            Token::Bool(value) if self.next == Node::Data => self.resumable = value,
            Token::Bool(_) | Token::Null => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: u64 = 1_098_765_432_109_876_543;
    const PLAIN: &str = include_str!("../../../tests/data/message_create.json");
    const REPLY: &str = include_str!("../../../tests/data/message_create_reply.json");

    fn decode(document: &str) -> Box<Decoder> {
        decode_in(document, document.len().max(1))
    }

    fn decode_in(document: &str, window: usize) -> Box<Decoder> {
        let mut decoder = Decoder::new();
        decoder.set_me(ME);
        read(&mut decoder, document, window);
        decoder
    }

    fn read(decoder: &mut Decoder, document: &str, window: usize) {
        decoder.begin();
        document.as_bytes().chunks(window).for_each(|part| decoder.feed(part));
        decoder.end();
    }

    fn dispatch(t: &str, d: &str) -> String {
        format!(r#"{{"t":"{t}","s":7,"op":0,"d":{d}}}"#)
    }

    #[test]
    fn a_message_is_read_and_nothing_else_of_it() {
        let decoder = decode(PLAIN);
        let message = decoder.message().unwrap();
        assert!(
            message
                .text
                .starts_with("<@1098765432109876543> good morning!\n\"Quoted\" \\ and a crab 🦀\n")
        );
        assert!(message.text.ends_with("so the tide comes in. "));
        let expected = Message {
            id: 1_389_234_503_417_823_332,
            channel: 1_090_000_000_000_000_007,
            guild: Some(1_090_000_000_000_000_001),
            author: 700_000_000_000_000_001,
            author_name: "Ada Löwe 🦁",
            from_bot: false,
            mentions_us: true,
            reply_to: None,
            kind: 0,
            text: message.text,
            text_cut: false,
            nonce: Some("1389234501982347264"),
            has_more: false,
        };
        assert_eq!(message, expected);
        assert_eq!(decoder.signal(), Signal::Dispatch { seq: 42, event: Dispatch::Other });
        assert_eq!(
            (decoder.kind(), decoder.seq(), decoder.fault()),
            (Kind::MessageCreate, Some(42), None)
        );
    }

    #[test]
    fn what_a_message_quotes_does_not_pass_for_its_own() {
        let decoder = decode(REPLY);
        let message = decoder.message().unwrap();
        assert!(message.text.starts_with("thanks! and tomorrow?\n"));
        assert_eq!(message.id, 1_389_234_503_417_823_332);
        assert_eq!((message.author, message.author_name), (700_000_000_000_000_001, "Ada Löwe 🦁"));
        assert_eq!((message.kind, message.reply_to), (19, Some(1_389_234_400_000_000_001)));
        assert!(!message.from_bot && message.has_more);
        assert!(message.mentions_us, "it answers a message of ours");
    }

    #[test]
    fn cuts_change_nothing() {
        for document in [PLAIN, REPLY] {
            let whole = decode(document);
            for window in (1..70).chain([1460, 2000]) {
                let cut = decode_in(document, window);
                assert_eq!((cut.signal(), cut.message()), (whole.signal(), whole.message()));
            }
        }
    }

    #[test]
    fn the_order_of_the_envelope_is_free() {
        let fields =
            [r#""t":"RESUMED""#, r#""s":9"#, r#""op":0"#, r#""d":{"op":1,"s":2,"t":"READY"}"#];
        for first in 0..4 {
            for step in [1, 3] {
                let order = [0, 1, 2, 3].map(|n| fields[(first + n * step) % 4]);
                let decoder = decode(&format!("{{{}}}", order.join(",")));
                assert_eq!(decoder.signal(), Signal::Dispatch { seq: 9, event: Dispatch::Resumed });
            }
        }
    }

    #[test]
    fn every_operation_is_heard() {
        let interval = Duration::from_millis(41_250);
        let heard = [
            (
                r#"{"t":null,"s":null,"op":10,"d":{"heartbeat_interval":41250,"_trace":["x"]}}"#,
                Signal::Hello { interval },
            ),
            (r#"{"op":10,"d":{}}"#, Signal::Unreadable),
            (r#"{"t":null,"s":null,"op":11,"d":null}"#, Signal::Ack),
            (r#"{"op":1,"d":null}"#, Signal::Beat),
            (r#"{"op":7,"d":null}"#, Signal::Reconnect),
            (r#"{"op":9,"d":true}"#, Signal::InvalidSession { resumable: true }),
            (r#"{"op":9,"d":false}"#, Signal::InvalidSession { resumable: false }),
            (r#"{"op":9}"#, Signal::InvalidSession { resumable: false }),
            (r#"{"op":99,"d":{}}"#, Signal::Unknown { op: 99 }),
            (r#"{"op":-1}"#, Signal::Unreadable),
            (r#"{"op":0,"t":"RESUMED"}"#, Signal::Unreadable),
            ("{}", Signal::Unreadable),
            (r#"[{"op":11}]"#, Signal::Unreadable),
            ("11", Signal::Unreadable),
            ("", Signal::Unreadable),
        ];
        for (document, signal) in heard {
            assert_eq!(decode(document).signal(), signal, "{document}");
        }
        assert_eq!(Decoder::new().signal(), Signal::Unreadable);
    }

    #[test]
    fn ready_gives_what_a_resume_needs() {
        let d = r#"{"v":10,"user":{"id":"5","username":"barnacle"},"session_id":"0f3a",
            "resume_gateway_url":"wss://gateway-us-east1-b.discord.gg",
            "guilds":[{"id":"8","unavailable":true}],"session_type":"normal",
            "application":{"id":"6","flags":565248},"shard":[0,1]}"#;
        let ready = Dispatch::Ready {
            session_id: "0f3a",
            resume_url: "wss://gateway-us-east1-b.discord.gg",
            user: 5,
            application: 6,
            flags: 565_248,
        };
        let decoder = decode(&dispatch("READY", d));
        assert_eq!(decoder.signal(), Signal::Dispatch { seq: 7, event: ready });
        assert_eq!(decoder.kind(), Kind::Ready);
        let without = decode(&dispatch("READY", r#"{"user":{"id":"5"}}"#));
        assert_eq!(without.signal(), Signal::Dispatch { seq: 7, event: Dispatch::Other });
        let long = "x".repeat(1000);
        let odd =
            format!(r#"{{"user":{{"id":"5"}},"session_id":"a","resume_gateway_url":"{long}"}}"#);
        let odd = decode(&dispatch("READY", &odd));
        assert!(matches!(
            odd.signal(),
            Signal::Dispatch {
                event: Dispatch::Ready { session_id: "a", resume_url: "", application: 0, .. },
                ..
            }
        ));
    }

    #[test]
    fn a_broken_event_still_has_its_number() {
        let seq_only = Signal::Dispatch { seq: 42, event: Dispatch::Other };
        for broken in [&PLAIN[..900], &PLAIN.replace("Ada", "\\x"), &PLAIN.replace("}}", "}]")] {
            let decoder = decode(broken);
            assert_eq!(decoder.signal(), seq_only);
            assert_eq!((decoder.kind(), decoder.message()), (Kind::MessageCreate, None));
            assert!(decoder.fault().is_some());
        }
        assert_eq!(decode(r#"{"t":"RESUMED","op":0,"s":4"#).signal(), Signal::Unreadable);
        assert_eq!(decode(r#"{"op":0,"s":42,"t":"RESUMED","d":"#).signal(), seq_only);
        assert_eq!(decode(r#"{"op":11"#).signal(), Signal::Unreadable);
        assert_eq!(decode(r#"{"op":11,,"#).signal(), Signal::Unreadable);
    }

    #[test]
    fn a_message_leaves_nothing_to_the_next() {
        let mut decoder = decode(REPLY);
        read(
            &mut decoder,
            &dispatch("MESSAGE_CREATE", r#"{"id":"1","channel_id":"2","author":{"id":"3"}}"#),
            5,
        );
        let expected = Message {
            id: 1,
            channel: 2,
            guild: None,
            author: 3,
            author_name: "",
            from_bot: false,
            mentions_us: false,
            reply_to: None,
            kind: 0,
            text: "",
            text_cut: false,
            nonce: None,
            has_more: false,
        };
        assert_eq!(decoder.message(), Some(expected));
        read(&mut decoder, r#"{"op":11}"#, 5);
        assert_eq!((decoder.signal(), decoder.message(), decoder.seq()), (Signal::Ack, None, None));
    }

    #[test]
    fn programs_are_told_from_people() {
        let message = |more: &str| {
            let d = format!(
                r#"{{"id":"1","channel_id":"2","author":{{"id":"3","username":"u"{more}}}"#
            );
            let decoder = decode(&dispatch("MESSAGE_CREATE", &d));
            decoder.message().map(|message| (message.from_bot, message.has_more))
        };
        assert_eq!(message("}"), Some((false, false)));
        assert_eq!(message(r#","bot":true}"#), Some((true, false)));
        assert_eq!(message(r#"},"webhook_id":"9""#), Some((true, false)));
        assert_eq!(message(r#"},"webhook_id":null,"poll":{"x":1}"#), Some((false, true)));
        assert_eq!(message(r#"},"sticker_items":[{"id":"1"}],"embeds":[]"#), Some((false, true)));
        assert_eq!(message(r#","bot":false},"embeds":[],"poll":null"#), Some((false, false)));
    }

    #[test]
    fn a_text_beyond_the_limit_is_cut_and_said_so() {
        let long = "🦀".repeat(limits::TEXT_BYTES_MAX);
        let d = format!(
            r#"{{"id":"1","channel_id":"2","author":{{"id":"3"}},"nonce":12,"content":"{long}"}}"#
        );
        let decoder = decode_in(&dispatch("MESSAGE_CREATE", &d), 1460);
        let message = decoder.message().unwrap();
        assert_eq!((message.text.len(), message.text_cut), (limits::TEXT_BYTES_MAX, true));
        assert_eq!(message.nonce, Some("12"));
    }

    #[test]
    fn others_are_not_us() {
        let other = PLAIN.replace(&ME.to_string(), "1098765432109876544");
        assert!(!decode(&other).message().unwrap().mentions_us);
        let mut unset = Decoder::new();
        read(&mut unset, PLAIN, 100);
        assert!(!unset.message().unwrap().mentions_us);
    }
}
