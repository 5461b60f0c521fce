//! What the gateway says, reduced to the fields that we read.
//!
//! The tokens of a message are followed through a small tree of known places (`Node`). What lies
//! at a known place goes into a buffer that is there from the start and serves every message; all
//! else is passed over, whatever its size. Discord promises no order of `op`, `s`, `t` and `d`, so
//! every field is collected first, and only then is said what the message was.

mod file;
mod node;
mod reaction;

pub use self::file::File;
pub(super) use self::file::whole_seconds;
use self::node::Node;
pub use self::reaction::{Change, Reaction};
use super::places::Places;
use crate::base::limits;
use crate::proto::json::{Capture, Fault, Sink, Token, Tokenizer};
use std::fmt;
use std::time::Duration;

use super::gateway::{Dispatch, Signal};
pub use super::places::Place;

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
    /// `CHANNEL_CREATE`, `CHANNEL_UPDATE`, `THREAD_CREATE`, `THREAD_UPDATE`
    ChannelSet,
    /// `CHANNEL_DELETE`, `THREAD_DELETE`
    ChannelDelete,
    /// `INTERACTION_CREATE`
    InteractionCreate,
    /// `MESSAGE_REACTION_ADD`, and those that take reactions away.
    Reaction(Change),
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
    /// The author's roles in the guild, as many as are kept.
    pub roles: &'a [u64],
    /// Of a thread, the channel around it, as far as that is known.
    pub parent: Option<u64>,
    /// The name of the channel, or of the one around the thread, as far as that is known.
    pub channel_name: Option<&'a str>,
    /// Whether a program wrote it: a bot or a webhook.
    pub from_bot: bool,
    /// Whether it mentions us or answers a message of ours.
    pub mentions_us: bool,
    /// The users that it mentions, as many as are kept.
    pub mentions: &'a [u64],
    /// The message that it answers …
    pub reply_to: Option<u64>,
    /// … and who wrote that.
    pub reply_author: Option<u64>,
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
    /// The files that came with it, as many as are kept.
    pub files: &'a [File],
}

/// A slash command that somebody uses ("Receiving and Responding"). It has no `Debug`: the token
/// lets anybody answer in our name for a while.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Interaction<'a> {
    /// Its id.
    pub id: u64,
    /// What answers to it are sent with.
    pub token: &'a str,
    /// The application that it is meant for: ours.
    pub application: u64,
    /// The command's name.
    pub command: &'a str,
    /// The first option's value; empty if there is none.
    pub option: &'a str,
    /// Where it was used.
    pub channel: u64,
    /// The server (guild) of that channel; `None` in a direct message.
    pub guild: Option<u64>,
    /// Of a thread, the channel around it, as far as that is known.
    pub parent: Option<u64>,
    /// The name of the channel, or of the one around the thread, as far as that is known.
    pub channel_name: Option<&'a str>,
    /// Who used it.
    pub author: u64,
    /// What they are shown as.
    pub author_name: &'a str,
    /// Their roles in the guild, as many as are kept.
    pub roles: &'a [u64],
}

/// Reads the gateway messages of one connection, one after the other, in windows.
pub struct Decoder {
    tokenizer: Tokenizer,
    fields: Fields,
    fault: Option<Fault>,
}

impl Decoder {
    /// A decoder, and what it remembers of channels; the only allocations.
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
        if self.fault.is_none() {
            self.fields.learn_channel();
        }
    }

    /// What is known of a channel or thread.
    #[must_use]
    pub fn place(&self, channel: u64) -> Option<Place<'_>> {
        self.fields.places.get(channel)
    }

    /// How often something was learned of channels that was not known.
    #[must_use]
    pub fn places_changes(&self) -> u64 {
        self.fields.places.changes()
    }

    /// All that is known of channels, to be kept over a restart.
    #[must_use]
    pub fn places(&self) -> Vec<u8> {
        self.fields.places.encode()
    }

    /// Takes in what an earlier life kept, as far as it can be read. True if that was all of it.
    pub fn restore_places(&mut self, bytes: &[u8]) -> bool {
        self.fields.places.restore(bytes)
    }

    /// Learns of a channel by another way than the gateway.
    pub fn learn(&mut self, channel: u64, name: &str, parent: Option<u64>) {
        self.fields.places.learn(channel, name, parent);
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
        let channel = fields.number(Node::Channel)?;
        let (parent, channel_name) = fields.around(channel);
        Some(Message {
            id: fields.number(Node::Id)?,
            channel,
            parent,
            channel_name,
            roles: &fields.roles,
            guild: fields.number(Node::Guild),
            author: fields.number(Node::AuthorId)?,
            author_name: fields.author_name(),
            from_bot: fields.bot || fields.number(Node::Webhook).is_some(),
            mentions_us: fields.mentions_us,
            mentions: &fields.mentions,
            reply_to: fields.number(Node::ReferenceId),
            reply_author: fields.number(Node::ReferencedAuthorId),
            kind: fields.number(Node::Type).and_then(|n| n.try_into().ok()).unwrap_or_default(),
            text: fields.content.as_str(),
            text_cut: fields.content.is_cut(),
            nonce: Some(fields.nonce.as_str()).filter(|nonce| !nonce.is_empty()),
            has_more: fields.has_more,
            files: &fields.files,
        })
    }

    /// The slash command that somebody used, if the event is one and was read to its end.
    #[must_use]
    pub fn interaction(&self) -> Option<Interaction<'_>> {
        let fields = &self.fields;
        let is_command = fields.number(Node::Type) == Some(APPLICATION_COMMAND);
        if self.fault.is_some() || self.kind() != Kind::InteractionCreate || !is_command {
            return None;
        }
        let channel = fields.number(Node::Channel)?;
        let (parent, channel_name) = fields.around(channel);
        let token = Some(&fields.token).filter(|token| !token.is_cut())?.as_str();
        Some(Interaction {
            id: fields.number(Node::Id)?,
            token: Some(token).filter(|token| !token.is_empty())?,
            application: fields.number(Node::Recipient)?,
            command: fields.command.as_str(),
            option: fields.option.as_str(),
            channel,
            guild: fields.number(Node::Guild),
            parent,
            channel_name,
            // In a guild the member has a user, elsewhere there is only a user.
            author: fields.number(Node::AuthorId).or(fields.number(Node::UserId))?,
            author_name: fields.author_name(),
            roles: &fields.roles,
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
            "CHANNEL_CREATE" | "CHANNEL_UPDATE" | "THREAD_CREATE" | "THREAD_UPDATE" => {
                Kind::ChannelSet
            }
            "CHANNEL_DELETE" | "THREAD_DELETE" => Kind::ChannelDelete,
            "INTERACTION_CREATE" => Kind::InteractionCreate,
            "MESSAGE_REACTION_ADD" => Kind::Reaction(Change::Added),
            "MESSAGE_REACTION_REMOVE" => Kind::Reaction(Change::Removed),
            "MESSAGE_REACTION_REMOVE_EMOJI" | "MESSAGE_REACTION_REMOVE_ALL" => {
                Kind::Reaction(Change::Cleared)
            }
            _ => Kind::Other,
        }
    }
}

/// The type of interactions that are slash commands or context menus.
const APPLICATION_COMMAND: u64 = 2;
/// Types of channels that are threads ("Channel Types"): what is around them is a channel. Around
/// others it is a category.
const THREADS: [u64; 3] = [10, 11, 12];

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
    mentions: heapless::Vec<u64, { limits::MENTIONS_MAX }>,
    has_more: bool,
    session_id: Capture<{ limits::SESSION_ID_BYTES_MAX }>,
    resume_url: Capture<{ limits::RESUME_URL_BYTES_MAX }>,
    username: Capture<{ limits::NAME_BYTES_MAX }>,
    global_name: Capture<{ limits::NAME_BYTES_MAX }>,
    nonce: Capture<{ limits::NONCE_CHARS_MAX * 4 }>,
    roles: heapless::Vec<u64, { limits::ROLES_MAX }>,
    files: heapless::Vec<File, { limits::ATTACHMENTS_MAX }>,
    token: Capture<{ limits::INTERACTION_TOKEN_BYTES_MAX }>,
    command: Capture<{ limits::NAME_BYTES_MAX }>,
    option: Capture<{ limits::COMMAND_OPTION_BYTES_MAX }>,
    /// Whether the first option has been read.
    has_option: bool,
    /// The sign of a reaction: one without a number is a picture that everybody has.
    emoji: Capture<{ limits::EMOJI_BYTES_MAX }>,
    /// The name of the channel at hand.
    place_name: Capture<{ limits::PLACE_NAME_BYTES_MAX }>,
    /// Outlives the message.
    places: Places,
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
            mentions: heapless::Vec::new(),
            has_more: false,
            session_id: Capture::new(),
            resume_url: Capture::new(),
            username: Capture::new(),
            global_name: Capture::new(),
            nonce: Capture::new(),
            roles: heapless::Vec::new(),
            files: heapless::Vec::new(),
            token: Capture::new(),
            command: Capture::new(),
            option: Capture::new(),
            has_option: false,
            emoji: Capture::new(),
            place_name: Capture::new(),
            places: Places::new(),
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
        self.mentions.clear();
        self.has_more = false;
        self.session_id.clear();
        self.resume_url.clear();
        self.username.clear();
        self.global_name.clear();
        self.nonce.clear();
        self.roles.clear();
        self.files.clear();
        self.token.clear();
        self.command.clear();
        self.option.clear();
        self.has_option = false;
        self.emoji.clear();
        self.place_name.clear();
        self.content.clear();
    }

    fn number(&self, node: Node) -> Option<u64> {
        self.numbers[node as usize]
    }

    fn enter(&mut self, known: bool) {
        self.has_more |= matches!(self.next, Node::Extra | Node::File);
        // Further files than are kept are passed over.
        if known && (self.next != Node::File || self.files.push(File::new()).is_ok()) {
            self.place = self.next;
            if self.place == Node::OnePlace {
                self.place_name.clear();
                for node in [Node::PlaceId, Node::PlaceParent, Node::PlaceType] {
                    self.numbers[node as usize] = None;
                }
            }
            self.next = self.place.element();
        } else {
            self.skipped = 1;
        }
    }

    /// What is around `channel`, and the name that rules know it by.
    fn around(&self, channel: u64) -> (Option<u64>, Option<&str>) {
        let Some(place) = self.places.get(channel) else { return (None, None) };
        let named = match place.parent {
            Some(parent) => self.places.get(parent),
            None => Some(place),
        };
        let name = named.map(|named| named.name).filter(|name| !name.is_empty());
        (place.parent, name)
    }

    fn author_name(&self) -> &str {
        let names = [&self.global_name, &self.username];
        names.into_iter().map(Capture::as_str).find(|name| !name.is_empty()).unwrap_or_default()
    }

    /// The message was about one channel.
    fn learn_channel(&mut self) {
        let Some(id) = self.number(Node::Id) else { return };
        match self.kind {
            Kind::ChannelSet => {
                let (parent, kind) = (self.number(Node::Parent), self.number(Node::Type));
                self.learn(id, parent, kind);
            }
            Kind::ChannelDelete => self.places.forget(id),
            _ => {}
        }
    }

    fn learn(&mut self, id: u64, parent: Option<u64>, kind: Option<u64>) {
        let is_thread = kind.is_some_and(|kind| THREADS.contains(&kind));
        let name = if self.place_name.is_cut() { "" } else { self.place_name.as_str() };
        self.places.learn(id, name, parent.filter(|_| is_thread));
    }

    fn leave(&mut self) {
        if self.place == Node::OnePlace
            && let Some(id) = self.number(Node::PlaceId)
        {
            // A guild has thousands of them in one message: each is learnt as it ends.
            let (parent, kind) = (self.number(Node::PlaceParent), self.number(Node::PlaceType));
            self.learn(id, parent, kind);
        }
        if self.place == Node::CommandOption {
            self.has_option = true;
        }
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
            Node::Token => self.token.push(part, last),
            Node::CommandName => self.command.push(part, last),
            // Only the first is read.
            Node::OptionValue => {
                if !self.has_option {
                    self.option.push(part, last);
                }
            }
            Node::Name | Node::PlaceName => self.place_name.push(part, last),
            Node::FileName | Node::FileType | Node::FileUrl => {
                let Some(file) = self.files.last_mut() else { return };
                match self.next {
                    Node::FileName => file.name.push(part, last),
                    Node::FileType => file.kind.push(part, last),
                    _ => file.url.push(part, last),
                }
            }
            Node::EmojiName => self.emoji.push(part, last),
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
        if self.next == Node::MentionId
            && let Some(user) = number
        {
            // Those that find no room are named in the text, too.
            let _ = self.mentions.push(user);
        }
        if self.next == Node::Role
            && let Some(role) = number
        {
            // Those that find no room could only have let in who is refused now.
            let _ = self.roles.push(role);
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
            Token::Number(text) if matches!(self.next, Node::FileSize | Node::FileSeconds) => {
                let is_size = self.next == Node::FileSize;
                let Some(file) = self.files.last_mut() else { return };
                if is_size { file.read_bytes(text) } else { file.read_seconds(text) }
            }
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
            roles: message.roles,
            parent: None,
            channel_name: None,
            from_bot: false,
            mentions_us: true,
            mentions: message.mentions,
            reply_to: None,
            reply_author: message.reply_author,
            kind: 0,
            text: message.text,
            text_cut: false,
            nonce: Some("1389234501982347264"),
            has_more: false,
            files: &[],
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
        let [tide] = message.files else { panic!("{:?}", message.files) };
        assert_eq!((tide.name(), tide.kind(), tide.bytes()), ("tide.png", "image/png", 482_113));
        assert!(tide.url().ends_with("tide.png?ex=1&is=2&hm=3") && tide.seconds().is_none());
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
            roles: &[],
            parent: None,
            channel_name: None,
            from_bot: false,
            mentions_us: false,
            mentions: &[],
            reply_to: None,
            reply_author: None,
            kind: 0,
            text: "",
            text_cut: false,
            nonce: None,
            has_more: false,
            files: &[],
        };
        assert_eq!(decoder.message(), Some(expected));
        read(&mut decoder, r#"{"op":11}"#, 5);
        assert_eq!((decoder.signal(), decoder.message(), decoder.seq()), (Signal::Ack, None, None));
    }

    #[test]
    fn files_are_read_as_many_as_there_is_room_for_and_never_those_of_others() {
        let of = |files: &str| {
            let d = r#"{"id":"1","channel_id":"2","author":{"id":"3"},"attachments":FILES,
                "referenced_message":{"attachments":[{"filename":"other"}]}}"#;
            dispatch("MESSAGE_CREATE", &d.replace("FILES", files))
        };
        let voice = of(r#"[{"id":"9","filename":"voice-message.ogg","size":3021,
            "url":"https://cdn/x","proxy_url":"https://media/x","duration_secs":1.2,
            "waveform":"AAs=","content_type":"audio/ogg","flags":0}]"#);
        for window in [1, 7, 4096] {
            let decoder = decode_in(&voice, window);
            let message = decoder.message().unwrap();
            let [file] = message.files else { panic!("{:?}", message.files) };
            assert_eq!((file.name(), file.kind()), ("voice-message.ogg", "audio/ogg"));
            assert_eq!(
                (file.bytes(), file.seconds(), file.url()),
                (3021, Some(2), "https://cdn/x")
            );
            assert!(message.has_more);
        }
        let many = vec![r#"{"filename":"a","size":-1}"#; limits::ATTACHMENTS_MAX + 3].join(",");
        let decoder = decode(&of(&format!("[{many}]")));
        let message = decoder.message().unwrap();
        assert_eq!(message.files.len(), limits::ATTACHMENTS_MAX);
        assert_eq!(message.files[0].bytes(), u64::MAX, "what is no length is not fetched");
        let long = "x".repeat(limits::ATTACHMENT_URL_BYTES_MAX + 1);
        let odd = of(&format!(r#"[[1],"a",7,null,{{"url":"{long}","size":"8"}}]"#));
        let decoder = decode(&odd);
        let message = decoder.message().unwrap();
        let [file] = message.files else { panic!("{:?}", message.files) };
        assert_eq!((file.url(), file.bytes()), ("", 0));
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

    const COMMAND: &str = r#"{"id":"11","application_id":"6","type":2,"token":"sec.ret",
        "data":{"id":"1","name":"why","type":1,"options":[{"name":"id","type":3,"value":"42"},
        {"name":"x","value":"43"}]},"guild_id":"8","channel_id":"9","channel":{"id":"9","type":0,
        "name":"not read"},"member":{"user":{"id":"5","username":"ada","global_name":"Ada"},
        "roles":["3","4"]},"version":1}"#;

    #[test]
    fn a_slash_command_is_read_wherever_it_is_cut() {
        let document = dispatch("INTERACTION_CREATE", COMMAND);
        for window in (1..40).chain([1460]) {
            let decoder = decode_in(&document, window);
            let heard = decoder.interaction().unwrap();
            assert_eq!((heard.id, heard.application, heard.token), (11, 6, "sec.ret"));
            assert_eq!((heard.command, heard.option), ("why", "42"));
            assert_eq!((heard.channel, heard.guild), (9, Some(8)));
            assert_eq!((heard.author, heard.author_name, heard.roles), (5, "Ada", &[3, 4][..]));
            assert!(!format!("{decoder:?}").contains("sec.ret"));
        }
        let direct = r#"{"id":"11","application_id":"6","type":2,"token":"t","channel_id":"9",
            "data":{"name":"status"},"user":{"id":"5","username":"ada"}}"#;
        let decoder = decode(&dispatch("INTERACTION_CREATE", direct));
        let heard = decoder.interaction().unwrap();
        assert_eq!((heard.guild, heard.author, heard.author_name), (None, 5, "ada"));
        assert_eq!((heard.option, heard.roles), ("", &[][..]));
    }

    #[test]
    fn what_is_no_slash_command_of_ours_is_none() {
        let with = |from: &str, to: &str| {
            let document = dispatch("INTERACTION_CREATE", &COMMAND.replace(from, to));
            decode(&document).interaction().is_some()
        };
        assert!(with("", ""));
        assert!(!with(r#""type":2"#, r#""type":3"#), "a button");
        assert!(!with("sec.ret", ""));
        assert!(!with("sec.ret", &"x".repeat(limits::INTERACTION_TOKEN_BYTES_MAX + 1)));
        assert!(decode(&dispatch("MESSAGE_CREATE", COMMAND)).interaction().is_none());
    }

    #[test]
    fn channels_and_threads_are_known_by_what_was_heard_of_them() {
        let mut decoder = Decoder::new();
        let mut hear = |t: &str, d: &str, window: usize| {
            read(&mut decoder, &dispatch(t, d), window);
            let around = |id| decoder.place(id).map(|p| (p.name.to_owned(), p.parent));
            [around(10), around(20), around(30)]
        };
        let guild = r#"{"name":"Home","channels":[{"type":0,"id":"10","name":"general",
            "parent_id":"1","permission_overwrites":[{"id":"99","type":0}]},{"id":"77","type":4}],
            "threads":[{"id":"20","name":"t","type":11,"parent_id":"10",
            "thread_metadata":{"archived":false}}],"id":"8"}"#;
        let general = Some(("general".to_owned(), None));
        for window in [1, 7, 4096] {
            let known = hear("GUILD_CREATE", guild, window);
            assert_eq!(known, [general.clone(), Some(("t".into(), Some(10))), None]);
        }
        let made = r#"{"parent_id":"10","type":11,"name":"new","id":"30"}"#;
        assert_eq!(hear("THREAD_CREATE", made, 5)[2], Some(("new".into(), Some(10))));
        let renamed = r#"{"id":"10","type":0,"name":"lobby","parent_id":null}"#;
        assert_eq!(hear("CHANNEL_UPDATE", renamed, 5)[0], Some(("lobby".into(), None)));
        assert_eq!(hear("THREAD_DELETE", r#"{"id":"30","type":11}"#, 5)[2], None);
        hear("THREAD_LIST_SYNC", r#"{"threads":[{"id":"30","parent_id":"10","type":12}]}"#, 5);
        let message = r#"{"id":"1","channel_id":"30","author":{"id":"3"},
            "member":{"roles":["5","6"],"nick":null}}"#;
        hear("MESSAGE_CREATE", message, 5);
        let message = decoder.message().unwrap();
        assert_eq!((message.parent, message.channel_name), (Some(10), Some("lobby")));
        assert_eq!(message.roles, [5, 6]);
    }

    #[test]
    fn more_roles_than_are_kept_do_no_harm() {
        let roles: Vec<String> = (0..300).map(|role| format!("\"{role}\"")).collect();
        let d = format!(
            r#"{{"id":"1","channel_id":"2","author":{{"id":"3"}},"member":{{"roles":[{}]}}}}"#,
            roles.join(",")
        );
        let decoder = decode(&dispatch("MESSAGE_CREATE", &d));
        assert_eq!(decoder.message().unwrap().roles.len(), limits::ROLES_MAX);
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
