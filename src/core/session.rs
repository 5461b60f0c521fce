//! The names of sessions, as OpenClaw writes them.
//!
//! | written | is |
//! |---|---|
//! | `main`, or nothing | `agent:<default>:main` |
//! | `agent:<agent>:main` | the agent's main session |
//! | `agent:<agent>:discord:channel:<id>` | a channel or thread of a server |
//! | `agent:<agent>:discord:direct:<user>` | direct messages with a person |
//! | `agent:<agent>:discord:<account>:channel:<id>` | the same as another account hears it |
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
            Kind::Main | Kind::Direct { .. } | Kind::Other => "direct",
            Kind::Group { .. } => "group",
            Kind::Cron { .. } => "cron",
        }
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
        let Request { agent, account, chat, guild, author, session_key, .. } = request;
        if let Some(key) = session_key.as_deref().and_then(|key| Key::read(key, agent).ok()) {
            return key;
        }
        let (kind, id) = if guild.is_some() { ("channel", chat.id) } else { ("direct", *author) };
        let account = match &**account {
            USUAL_ACCOUNT => String::new(),
            name => format!("{}:", name.to_lowercase()),
        };
        let agent = agent.to_lowercase();
        Key(format!("agent:{agent}:{}:{account}{kind}:{id}", chat.channel).into())
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
        chat(rest).unwrap_or(Kind::Other)
    }

    /// Where its turns are taken, if that can be told by the key alone: of direct messages only
    /// the service knows the chat, and so they are looked up among the sessions that are known.
    #[must_use]
    pub fn room(&self) -> Room {
        if let Kind::Group { channel, account, id } = self.kind() {
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
    let (account, word) = before.rsplit_once(':').unwrap_or((USUAL_ACCOUNT, before));
    match word {
        "direct" => Some(Kind::Direct { channel, account, user: id }),
        "channel" => Some(Kind::Group { channel, account, id }),
        _ => None,
    }
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
