//! The names of sessions, as OpenClaw writes them.
//!
//! | written | is |
//! |---|---|
//! | `main`, or nothing | `agent:<default>:main` |
//! | `agent:<agent>:main` | the agent's main session |
//! | `agent:<agent>:discord:channel:<id>` | a channel or thread of a server |
//! | `agent:<agent>:discord:direct:<user>` | direct messages with a person |
//! | `agent:<agent>:discord:<account>:channel:<id>` | the same as another account hears it |
//! | `agent:<agent>:discord:channel:<id>:user:<user>` | what one person says in a channel |
//! | `agent:<agent>:direct:<user>` | direct messages with a person, on whatever service |
//! | `cron:<job>` | `agent:<default>:cron:<job>` |
//! | anything else, `x` | `agent:<default>:x` |
//!
//! Keys are compared without regard to the case of their letters, and so they are written small.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::chat::{ChannelKind, ChatId, Request};
use super::turn::Room;
use crate::base::hash::fnv1a;
use crate::base::limits::SESSION_KEY_BYTES_MAX;

/// The account of everything that is asked through no chat service.
pub const OWN_ACCOUNT: &str = "webchat";
/// The account that needs no name.
const USUAL_ACCOUNT: &str = "default";
/// What the main session of an agent is called.
pub const MAIN: &str = "main";

/// A session's name, in its one spelling.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Key(Box<str>);

/// Why a text is no key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadKey {
    /// It begins like the key of an agent's session, and names no agent or nothing after it.
    Malformed,
    /// Nobody's key is that long.
    TooLong,
    /// It has characters in it that are not to be seen.
    Unprintable,
}

impl fmt::Display for BadKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadKey::Malformed => f.write_str(
                "the session key is malformed: write main, agent:AGENT:NAME, or a name alone",
            ),
            BadKey::TooLong => {
                write!(f, "the session key is longer than {SESSION_KEY_BYTES_MAX} bytes")
            }
            BadKey::Unprintable => f.write_str("the session key has control characters in it"),
        }
    }
}

/// What a session is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind<'k> {
    /// The main session of its agent.
    Main,
    /// Direct messages with a person.
    Direct {
        /// The service.
        channel: ChannelKind,
        /// The account that hears them.
        account: &'k str,
        /// The person.
        user: u64,
    },
    /// A channel or a thread.
    Group {
        /// The service.
        channel: ChannelKind,
        /// The account that hears it.
        account: &'k str,
        /// Its number.
        id: u64,
    },
    /// What one person says in a channel.
    Member {
        /// The service.
        channel: ChannelKind,
        /// The account that hears it.
        account: &'k str,
        /// The channel's number.
        id: u64,
        /// The person.
        user: u64,
    },
    /// Direct messages with a person, on whatever service.
    Peer {
        /// The person.
        user: u64,
    },
    /// A scheduled job.
    Cron {
        /// Which.
        job: &'k str,
    },
    /// Whatever somebody called so.
    Other,
}

impl Kind<'_> {
    /// OpenClaw's word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Main | Kind::Direct { .. } | Kind::Peer { .. } | Kind::Other => "direct",
            Kind::Group { .. } | Kind::Member { .. } => "group",
            Kind::Cron { .. } => "cron",
        }
    }
}

/// Whose direct messages are one session (`session.dmScope`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DirectScope {
    /// All people's, with the agent's main session.
    Main,
    /// Each person's, on whatever service and account.
    Peer,
    /// Each person's on a service.
    ChannelPeer,
    /// Each person's with each account. Nobody sees what another one said.
    #[default]
    AccountChannelPeer,
}

/// Whose messages in a channel are one session (`session.groupScope`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum GroupScope {
    /// Everybody's there.
    #[default]
    Chat,
    /// Each person's there.
    Sender,
}

/// What makes one session of several messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Scopes {
    /// Whether everything is one session, the agent's main one (`session.scope: global`).
    pub is_global: bool,
    /// Of direct messages.
    pub direct: DirectScope,
    /// Of channels.
    pub group: GroupScope,
}

impl Scopes {
    /// The key of the session that `request` belongs to, where that is not the usual one.
    #[must_use]
    pub fn key(self, request: &Request) -> Option<Key> {
        let Request { agent, chat, guild, author, .. } = request;
        let agent = agent.to_lowercase();
        let rest = match (guild, self.direct) {
            _ if self.is_global => MAIN.to_owned(),
            (Some(_), _) if self.group == GroupScope::Sender => {
                return Some(Key(format!("{}:user:{author}", Key::usual(request)).into()));
            }
            (None, DirectScope::Main) => MAIN.to_owned(),
            (None, DirectScope::Peer) => format!("direct:{author}"),
            (None, DirectScope::ChannelPeer) => format!("{}:direct:{author}", chat.channel),
            (None, DirectScope::AccountChannelPeer) | (Some(_), _) => return None,
        };
        Some(Key(format!("agent:{agent}:{rest}").into()))
    }
}

impl Key {
    /// The key that `text` means, where a key that names no agent is one of `agent`'s.
    ///
    /// # Errors
    /// It means none.
    pub fn read(text: &str, agent: &str) -> Result<Key, BadKey> {
        let text = text.trim();
        if text.chars().any(char::is_control) {
            return Err(BadKey::Unprintable);
        }
        let small = text.to_lowercase();
        let key = match small.strip_prefix("agent:").map(|rest| rest.split_once(':')) {
            Some(Some((own, rest))) if !own.trim().is_empty() && !rest.trim().is_empty() => small,
            Some(_) => return Err(BadKey::Malformed),
            None if small.is_empty() => format!("agent:{}:{MAIN}", agent.to_lowercase()),
            None => format!("agent:{}:{small}", agent.to_lowercase()),
        };
        if key.len() > SESSION_KEY_BYTES_MAX { Err(BadKey::TooLong) } else { Ok(Key(key.into())) }
    }

    /// The session that `request` belongs to: the one that it names, or that of its chat.
    #[must_use]
    pub fn of(request: &Request) -> Key {
        let Request { agent, session_key, .. } = request;
        let named = session_key.as_deref().and_then(|key| Key::read(key, agent).ok());
        named.unwrap_or_else(|| Key::usual(request))
    }

    /// The session of the chat of `request`, as nobody wants it otherwise.
    #[must_use]
    pub fn usual(request: &Request) -> Key {
        let Request { agent, account, chat, guild, author, .. } = request;
        let (kind, id) = if guild.is_some() { ("channel", chat.id) } else { ("direct", *author) };
        let account = match &**account {
            USUAL_ACCOUNT => String::new(),
            name => format!("{}:", name.to_lowercase()),
        };
        let agent = agent.to_lowercase();
        Key(format!("agent:{agent}:{}:{account}{kind}:{id}", chat.channel).into())
    }

    /// What its conversation of this number is called, by an agent's program as by a dashboard: the
    /// same text for as long as it is the same, from wherever something is said in it.
    #[must_use]
    pub fn session_id(&self, conversation: u32) -> String {
        format!("{}-{conversation}", self.as_str())
    }

    /// The agent that answers in it.
    #[must_use]
    pub fn agent(&self) -> &str {
        self.parts().0
    }

    /// What it is about.
    #[must_use]
    pub fn kind(&self) -> Kind<'_> {
        let rest = self.parts().1;
        if rest == MAIN {
            return Kind::Main;
        }
        if let Some(job) = rest.strip_prefix("cron:").filter(|job| !job.is_empty()) {
            return Kind::Cron { job };
        }
        if let Some(user) = rest.strip_prefix("direct:").and_then(|user| user.parse().ok()) {
            return Kind::Peer { user };
        }
        chat(rest).unwrap_or(Kind::Other)
    }

    /// The person whom it is with alone, by their number at their service; of one that is of all
    /// services, without the service.
    #[must_use]
    pub fn person(&self) -> Option<u64> {
        match self.kind() {
            Kind::Direct { user, .. } | Kind::Member { user, .. } | Kind::Peer { user } => {
                Some(user)
            }
            Kind::Main | Kind::Group { .. } | Kind::Cron { .. } | Kind::Other => None,
        }
    }

    /// Where its turns are taken, if that can be told by the key alone: of direct messages only
    /// the service knows the chat, and so they are looked up among the sessions that are known.
    #[must_use]
    pub fn room(&self) -> Room {
        if let Kind::Group { channel, account, id } | Kind::Member { channel, account, id, .. } =
            self.kind()
        {
            return Room { account: account.into(), chat: ChatId { channel, id } };
        }
        let id = fnv1a(self.0.bytes());
        Room { account: OWN_ACCOUNT.into(), chat: ChatId { channel: ChannelKind::WebChat, id } }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parts(&self) -> (&str, &str) {
        // It was made so.
        let rest = self.0.strip_prefix("agent:").unwrap_or(&self.0);
        rest.split_once(':').unwrap_or((rest, MAIN))
    }
}

/// The chat that the end of a key names, if it names one.
fn chat(rest: &str) -> Option<Kind<'_>> {
    let (service, rest) = rest.split_once(':')?;
    let channel = ChannelKind::ALL.into_iter().find(|channel| channel.name() == service)?;
    let (before, id) = rest.rsplit_once(':')?;
    let id = id.parse().ok()?;
    if let Some(within) = before.strip_suffix(":user")
        && let Some(Kind::Group { channel, account, id: at }) = group(channel, within)
    {
        return Some(Kind::Member { channel, account, id: at, user: id });
    }
    let (account, word) = before.rsplit_once(':').unwrap_or((USUAL_ACCOUNT, before));
    match word {
        "direct" => Some(Kind::Direct { channel, account, user: id }),
        "channel" => Some(Kind::Group { channel, account, id }),
        _ => None,
    }
}

/// The channel that `text`, behind the name of its service, names.
fn group(channel: ChannelKind, text: &str) -> Option<Kind<'_>> {
    let (before, id) = text.rsplit_once(':')?;
    let account = match before {
        "channel" => USUAL_ACCOUNT,
        before => before.strip_suffix(":channel")?,
    };
    Some(Kind::Group { channel, account, id: id.parse().ok()? })
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::chat::sample::request;

    fn read(text: &str) -> String {
        Key::read(text, "Main").map_or_else(|bad| format!("{bad:?}"), |key| key.to_string())
    }

    #[test]
    fn keys_are_read_as_people_and_programs_write_them() {
        for (text, key) in [
            ("", "agent:main:main"),
            (" main ", "agent:main:main"),
            ("MAIN", "agent:main:main"),
            ("agent:Ops:Incident-42", "agent:ops:incident-42"),
            ("incident-42", "agent:main:incident-42"),
            ("cron:nightly", "agent:main:cron:nightly"),
            ("agent:ops:discord:channel:7", "agent:ops:discord:channel:7"),
            ("discord:direct:7", "agent:main:discord:direct:7"),
            ("agent:", "Malformed"),
            ("agent:ops", "Malformed"),
            ("agent:ops:", "Malformed"),
            ("agent::main", "Malformed"),
            ("a\u{1b}[2J", "Unprintable"),
            ("a\nb", "Unprintable"),
        ] {
            assert_eq!(read(text), key, "{text:?}");
        }
        assert_eq!(read(&"x".repeat(SESSION_KEY_BYTES_MAX)), "TooLong");
    }

    #[test]
    fn a_chat_has_a_key_of_its_own_and_the_key_leads_back_to_it() {
        let group = Request { guild: Some(9), ..request(5, 1) };
        let direct = request(6, 1);
        let work = |request: Request| Request { account: "Work".into(), ..request };
        for (request, key, room) in [
            (group.clone(), "agent:main:discord:channel:5", Some(("default", 5))),
            (direct.clone(), "agent:main:discord:direct:1", None),
            (work(group), "agent:main:discord:work:channel:5", Some(("work", 5))),
            (work(direct), "agent:main:discord:work:direct:1", None),
        ] {
            let made = Key::of(&request);
            assert_eq!(made.as_str(), key);
            assert_eq!(Key::read(key, "another"), Ok(made.clone()));
            assert_eq!(made.agent(), "main");
            let own = made.room();
            if let Some((account, id)) = room {
                assert_eq!((&*own.account, own.chat.id), (account, id));
                assert_eq!(made.kind().name(), "group");
            } else {
                assert_eq!(own.chat.channel, ChannelKind::WebChat);
                assert!(matches!(made.kind(), Kind::Direct { user: 1, .. }));
            }
        }
    }

    #[test]
    fn scopes_put_together_what_belongs_together_and_nothing_else() {
        let ann = request(6, 1);
        let group = Request { guild: Some(9), ..request(5, 1) };
        let direct = |direct| Scopes { direct, ..Scopes::default() };
        let key = |scopes: Scopes, request: &Request| {
            let key = scopes.key(request).unwrap_or_else(|| Key::of(request));
            assert_eq!(Key::read(key.as_str(), "another"), Ok(key.clone()));
            key.as_str().to_owned()
        };
        let work = Request { account: "work".into(), ..ann.clone() };
        for (scope, own, theirs) in [
            (DirectScope::Main, "agent:main:main", "agent:main:main"),
            (DirectScope::Peer, "agent:main:direct:1", "agent:main:direct:1"),
            (
                DirectScope::ChannelPeer,
                "agent:main:discord:direct:1",
                "agent:main:discord:direct:1",
            ),
            (
                DirectScope::AccountChannelPeer,
                "agent:main:discord:direct:1",
                "agent:main:discord:work:direct:1",
            ),
        ] {
            assert_eq!(key(direct(scope), &ann), own, "{scope:?}");
            assert_eq!(key(direct(scope), &work), theirs, "{scope:?}");
            assert_eq!(key(direct(scope), &group), "agent:main:discord:channel:5", "{scope:?}");
        }
        let sender = Scopes { group: GroupScope::Sender, ..Scopes::default() };
        assert_eq!(key(sender, &group), "agent:main:discord:channel:5:user:1");
        assert_eq!(key(sender, &ann), "agent:main:discord:direct:1");
        let of_work = Request { account: "work".into(), ..group.clone() };
        let made = sender.key(&of_work).expect("of the sender");
        let channel = ChannelKind::Discord;
        let member = Kind::Member { channel, account: "work", id: 5, user: 1 };
        assert_eq!((made.kind(), made.room().chat.id, made.person()), (member, 5, Some(1)));
        let global = Scopes { is_global: true, ..Scopes::default() };
        assert_eq!((key(global, &ann), key(global, &group)), (MAIN_KEY.into(), MAIN_KEY.into()));
    }

    const MAIN_KEY: &str = "agent:main:main";

    #[test]
    fn what_names_its_session_is_of_that_and_each_session_is_a_room() {
        let named = |key: &str| Request { session_key: Some(key.into()), ..request(5, 1) };
        assert_eq!(Key::of(&named("main")).as_str(), "agent:main:main");
        let cron = Key::of(&named("cron:nightly"));
        assert_eq!(cron.kind(), Kind::Cron { job: "nightly" });
        assert_ne!(cron.room(), Key::of(&named("cron:daily")).room());
        assert_eq!(cron.room(), Key::of(&named("agent:main:CRON:nightly")).room());
        let odd = Key::of(&named("agent:"));
        assert_eq!(odd.as_str(), "agent:main:discord:direct:1", "rather than none");
    }
}
