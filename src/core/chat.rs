//! Messages as every channel sees them.

use std::fmt;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::media::Lapse;
use super::person::Person;
use super::router::overheard::Words;
use crate::base::Wall;
use crate::base::limits::ATTACHMENTS_MAX;

/// The chat services.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelKind {
    /// Discord.
    Discord,
    /// Our own: what is typed on the dashboard, and what programs ask by the control port.
    WebChat,
}

/// Milliseconds from 1970 to 2015, from which ids count.
const ID_EPOCH: u64 = 1_420_070_400_000;
/// Bits of an id below those that tell the time.
const ID_BITS: u32 = 22;

impl ChannelKind {
    /// All of them.
    pub const ALL: [ChannelKind; 2] = [ChannelKind::Discord, ChannelKind::WebChat];

    /// The name that users know from configuration, logs and status pages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ChannelKind::Discord => "discord",
            ChannelKind::WebChat => "webchat",
        }
    }

    /// When message `id` was said, as far as its number tells: Discord's do (its documentation,
    /// "Snowflakes": milliseconds since 2015, above 22 bits of other things), and so do ours.
    #[must_use]
    pub fn said_at(self, id: u64) -> Wall {
        match self {
            ChannelKind::Discord | ChannelKind::WebChat => Wall((id >> ID_BITS) + ID_EPOCH),
        }
    }

    /// The first id that a message said at `at` can have.
    #[must_use]
    pub fn id_at(at: Wall) -> u64 {
        at.0.saturating_sub(ID_EPOCH) << ID_BITS
    }

    /// The byte that stands for it on disk; never given to another service.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            ChannelKind::Discord => 1,
            ChannelKind::WebChat => 2,
        }
    }

    /// The service that `code` stands for, if this version knows it.
    #[must_use]
    pub fn of_code(code: u8) -> Option<ChannelKind> {
        ChannelKind::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

impl fmt::Display for ChannelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One conversation: a DM, a group channel or a thread, by the service's own number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ChatId {
    /// The service it lives on.
    pub channel: ChannelKind,
    /// The service's number for it.
    pub id: u64,
}

impl fmt::Display for ChatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.channel, self.id)
    }
}

/// A file that came with a message, as its service describes it. What it really is, only its bytes
/// tell.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Attachment {
    /// Its name, without a path.
    pub name: Box<str>,
    /// Its type, such as `image/png`; empty if the service does not say.
    pub kind: Box<str>,
    /// How long it is.
    pub bytes: u64,
    /// Where it lies; empty if the address was too long to be one.
    pub url: Box<str>,
    /// How long it plays, if it is a voice note.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
    /// What was found in it, if it was looked at; never kept.
    #[serde(skip)]
    pub content: Option<Content>,
    /// Why it was not, if that failed.
    #[serde(skip)]
    pub lapse: Option<Lapse>,
    /// Whether what is spoken in it stands in the text.
    #[serde(skip)]
    pub is_heard: bool,
}

/// What is in a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// A picture.
    Picture {
        /// What it is, by its first bytes.
        kind: Box<str>,
        /// All of it.
        bytes: Rc<[u8]>,
    },
    /// Words.
    Text(Box<str>),
}

/// Ends of names of files that hold words, whatever their type is said to be.
const TEXTS: [&str; 18] = [
    ".txt", ".md", ".json", ".json5", ".csv", ".log", ".toml", ".yaml", ".yml", ".xml", ".html",
    ".py", ".rs", ".js", ".ts", ".c", ".sh", ".conf",
];

impl Attachment {
    /// Whether it is said to be something to be heard.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.seconds.is_some() || self.is_of("audio/")
    }

    /// Whether it is said to be a picture.
    #[must_use]
    pub fn is_picture(&self) -> bool {
        self.is_of("image/")
    }

    /// Whether it is said to be a text.
    #[must_use]
    pub fn is_text(&self) -> bool {
        let name = self.name.to_ascii_lowercase();
        self.is_of("text/")
            || self.is_of("application/json")
            || (self.kind.is_empty() || self.is_of("application/"))
                && TEXTS.iter().any(|end| name.ends_with(end))
    }

    /// Whether its type begins so, in whatever case.
    fn is_of(&self, family: &str) -> bool {
        self.kind.get(..family.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(family))
    }
}

/// A message that came in, as the port saw it: borrowed from the port's own buffers, so that one
/// which nobody will answer costs no memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact about the message by itself")]
pub struct Inbound<'a> {
    /// Where it was said.
    pub chat: ChatId,
    /// The service's number for the message; grows with time within a chat.
    pub id: u64,
    /// The place in the account's stream of events, for the cursor that must not move past it
    /// before the message is dealt with.
    pub seq: u64,
    /// The server or group around the chat, if there is one: `None` in a DM.
    pub guild: Option<u64>,
    /// Of a thread, the channel around it, as far as that is known.
    pub parent: Option<u64>,
    /// Who said it.
    pub author: u64,
    /// What the author is called.
    pub author_name: &'a str,
    /// The author's roles in the guild; at most
    /// [`ROLES_MAX`](crate::base::limits::ROLES_MAX) of them.
    pub roles: &'a [u64],
    /// Whether a program said it (bot account or webhook).
    pub from_bot: bool,
    /// Whether we said it ourselves.
    pub from_self: bool,
    /// Whether it names us: a mention, or an answer to one of our messages.
    pub mentions_us: bool,
    /// Who else is named, as far as the service tells: the users that it mentions, at most
    /// [`MENTIONS_MAX`](crate::base::limits::MENTIONS_MAX) of them.
    pub mentions: &'a [u64],
    /// The user whose mention the text began with, and was cut off.
    pub called: Option<u64>,
    /// The message that it answers, if it answers one …
    pub reply_to: Option<u64>,
    /// … and who said that, if it is known.
    pub reply_author: Option<u64>,
    /// Whether it was fetched afterwards, since we were away when it was said.
    pub late: bool,
    /// What was said; at most [`TEXT_BYTES_MAX`](crate::base::limits::TEXT_BYTES_MAX) bytes.
    pub text: &'a str,
    /// Whether some of the text did not fit.
    pub text_cut: bool,
    /// Whether there is more than text: attachments, embeds, stickers, a poll.
    pub has_more: bool,
    /// The files that came with it; at most
    /// [`ATTACHMENTS_MAX`](crate::base::limits::ATTACHMENTS_MAX) of them.
    pub attachments: &'a [Attachment],
}

/// A message that will be answered, on its way to an agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Request {
    /// The account that heard it.
    pub account: Box<str>,
    /// The agent that is to answer.
    pub agent: Box<str>,
    /// Where it was said.
    pub chat: ChatId,
    /// The service's number for the message.
    pub id: u64,
    /// Its place in the account's stream of events.
    pub seq: u64,
    /// The server or group around the chat; `None` in a DM.
    pub guild: Option<u64>,
    /// Of a thread, the channel around it, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u64>,
    /// Who said it.
    pub author: u64,
    /// What the author is called.
    pub author_name: Box<str>,
    /// The author's roles in the guild, as far as they are known.
    #[serde(default, skip_serializing_if = "<[u64]>::is_empty")]
    pub roles: Box<[u64]>,
    /// What was said.
    pub text: Box<str>,
    /// The message that it answers, if it answers one.
    pub reply_to: Option<u64>,
    /// When we received it.
    pub at: Wall,
    /// Whether it was said while we were away.
    pub late: bool,
    /// How often a turn was begun for it before, and cut short by the end of our process.
    pub attempt: u8,
    /// The conversation within the chat: `/new` begins another.
    pub session: u32,
    /// The key of its session, where that is not told by the chat: of what was asked through no
    /// chat service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_key: Option<Box<str>>,
    /// The files that came with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// What was said in the chat to others before, which the agent was not asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<Words>,
    /// Other messages that are answered together with it, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub along: Vec<Along>,
}

/// A message that goes along with another one into its turn.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Along {
    /// Its number.
    pub id: u64,
    /// Who said it; 0 if that is not known, as in what older versions wrote.
    #[serde(default)]
    pub author: u64,
    /// What its author is called.
    pub author_name: Box<str>,
    /// What was said.
    pub text: Box<str>,
    /// When we received it.
    pub at: Wall,
}

/// One of the messages that a turn answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spoken<'a> {
    /// Who said it, if it was somebody whom a service knows.
    pub person: Option<Person>,
    /// What they are called.
    pub name: &'a str,
    /// What was said.
    pub text: &'a str,
    /// When we received it.
    pub at: Wall,
}

impl Request {
    /// Who said it, if it was somebody whom a service knows.
    #[must_use]
    pub fn person(&self) -> Option<Person> {
        (self.author != 0).then_some(Person { channel: self.chat.channel, id: self.author })
    }

    /// Takes `other`, and what goes along with that, along.
    pub fn take_along(&mut self, other: &Request) {
        let Request { id, author, author_name, text, at, along, attachments, .. } = other.clone();
        let one = Along { id, author, author_name, text, at };
        if !self.along.iter().any(|known| known.id == id) {
            self.attachments.extend(attachments);
            self.attachments.truncate(ATTACHMENTS_MAX);
        }
        for one in along.into_iter().chain([one]) {
            let at = self.along.partition_point(|known| known.id < one.id);
            if self.along.get(at).is_none_or(|known| known.id != one.id) {
                self.along.insert(at, one);
            }
        }
    }

    /// All that is asked: who, what and when, the oldest first.
    pub fn said(&self) -> impl Iterator<Item = Spoken<'_>> {
        self.said_as(&self.text)
    }

    /// The same, with `own` for the text of the message that is answered.
    pub fn said_as<'a>(&'a self, own: &'a str) -> impl Iterator<Item = Spoken<'a>> {
        let (person, name, at) = (self.person(), &*self.author_name, self.at);
        let own = std::iter::once(Spoken { person, name, text: own, at });
        let spoken = |along: &'a Along| {
            let Along { author, author_name: name, text, at, .. } = along;
            let known = Person { channel: self.chat.channel, id: *author };
            // Whom nobody knows any more has most likely gone on speaking.
            let person = if *author == 0 { self.person() } else { Some(known) };
            Spoken { person, name, text, at: *at }
        };
        let at = self.along.partition_point(|along| along.id < self.id);
        let (before, after) = self.along.split_at(at);
        before.iter().map(spoken).chain(own).chain(after.iter().map(spoken))
    }

    /// All that is asked, in lines.
    #[must_use]
    pub fn words(&self) -> String {
        self.said().map(|spoken| spoken.text).collect::<Vec<_>>().join("\n")
    }

    /// Takes `inbound`, heard by `account` and to be answered by `agent`, out of its port's
    /// buffers.
    #[must_use]
    pub fn of(inbound: &Inbound<'_>, account: &str, agent: &str, at: Wall) -> Request {
        Request {
            account: account.into(),
            agent: agent.into(),
            chat: inbound.chat,
            id: inbound.id,
            seq: inbound.seq,
            guild: inbound.guild,
            parent: inbound.parent,
            author: inbound.author,
            author_name: inbound.author_name.into(),
            roles: inbound.roles.into(),
            text: inbound.text.into(),
            reply_to: inbound.reply_to,
            at,
            late: inbound.late,
            attempt: 0,
            session: 0,
            session_key: None,
            attachments: inbound.attachments.to_vec(),
            context: Vec::new(),
            along: Vec::new(),
        }
    }
}

/// Messages for tests, of which each names only what it is about.
#[cfg(test)]
pub(crate) mod sample {
    use super::{ChannelKind, ChatId, Inbound, Request};
    use crate::base::Wall;

    /// The chat on Discord with this number.
    pub(crate) fn chat(id: u64) -> ChatId {
        ChatId { channel: ChannelKind::Discord, id }
    }

    /// Message 100 in chat 5 of server 9, said by user 7.
    pub(crate) fn inbound() -> Inbound<'static> {
        Inbound {
            chat: chat(5),
            id: 100,
            seq: 1,
            guild: Some(9),
            parent: None,
            author: 7,
            author_name: "ann",
            roles: &[],
            from_bot: false,
            from_self: false,
            mentions_us: false,
            mentions: &[],
            called: None,
            reply_to: None,
            reply_author: None,
            late: false,
            text: "hello",
            text_cut: false,
            has_more: false,
            attachments: &[],
        }
    }

    /// Direct message `id` in chat `to`, for the agent `main`.
    pub(crate) fn request(to: u64, id: u64) -> Request {
        Request {
            account: "default".into(),
            agent: "main".into(),
            chat: chat(to),
            id,
            seq: id,
            guild: None,
            parent: None,
            author: 1,
            author_name: "ann".into(),
            roles: Box::default(),
            text: format!("text {id}").into(),
            reply_to: None,
            at: Wall(0),
            late: false,
            attempt: 0,
            session: 0,
            session_key: None,
            attachments: Vec::new(),
            context: Vec::new(),
            along: Vec::new(),
        }
    }
}
