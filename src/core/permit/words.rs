//! The words of permissions: which tools, where, and who asks.

use super::{To, is_operator};
use crate::core::chat::Request;

/// Tools that act in the asker's own chat, or for the asker alone.
pub const USUAL: [&str; 10] = [
    "reply_in_thread",
    "react",
    "read_channel_history",
    "send_message",
    "remind",
    "reminders",
    "forget_reminder",
    "memory_save",
    "memory_search",
    "memory_forget",
];

/// Names that stand for several tools, and OpenClaw's names for ours.
const GROUPS: [(&str, &[&str]); 14] = [
    ("group:messaging", &["reply_in_thread", "react", "read_channel_history", "send_message"]),
    ("group:automation", &["remind", "reminders", "forget_reminder"]),
    ("group:memory", &["memory_save", "memory_search", "memory_forget"]),
    ("group:web", &["http_fetch"]),
    ("group:runtime", &["run"]),
    ("group:fs", &[]),
    ("group:sessions", &[]),
    ("group:ui", &[]),
    ("message", &["reply_in_thread", "react", "read_channel_history", "send_message"]),
    ("cron", &["remind", "reminders", "forget_reminder"]),
    ("memory_get", &["memory_search"]),
    ("web_fetch", &["http_fetch"]),
    ("exec", &["run"]),
    ("bash", &["run"]),
];
/// What stands between a server of tools and the tool in its name.
const FOREIGN: &str = "__";

/// Some tools, and where they may act.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// A tool, a group of them, or the beginning of names before a `*`.
    name: Box<str>,
    /// Where.
    reach: Reach,
}

/// Where a tool may act.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// In the chat of who asks.
    Own,
    /// In this chat.
    Chat(u64),
    /// In direct messages with this person.
    Person(u64),
    /// In all chats of this server.
    Guild(u64),
    /// In all chats of the server where it is asked.
    SameGuild,
    /// Everywhere.
    Anywhere,
}

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Sender {
    /// Those who are not named.
    Any,
    /// This person.
    User(u64),
    /// Who has this role in the server where it is asked.
    Role(u64),
    /// Who runs us.
    Operator,
}

impl Entry {
    /// Reads `react`, `group:web`, `github__*`, `send_message(channel:7)`. `None` if it cannot be
    /// understood.
    #[must_use]
    pub fn parse(text: &str) -> Option<Entry> {
        let text = text.trim();
        let (name, reach) = match text.split_once('(') {
            None => (text, Reach::Own),
            Some((name, within)) => (name.trim(), Reach::parse(within.strip_suffix(')')?)?),
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-:.*".contains(c);
        let is_star_last = name.find('*').is_none_or(|at| at + 1 == name.len());
        let is_name = !name.is_empty() && name.chars().all(is_plain) && is_star_last;
        is_name.then(|| Entry { name: name.to_ascii_lowercase().into(), reach })
    }

    /// Whether it speaks of `tool`, wherever.
    #[must_use]
    pub fn names(&self, tool: &str) -> bool {
        if let Some(beginning) = self.name.strip_suffix('*') {
            return tool.to_ascii_lowercase().starts_with(beginning);
        }
        let group = GROUPS.iter().find(|(name, _)| *name == &*self.name);
        match (&*self.name, group) {
            ("group:plugins" | "bundle-mcp", _) => tool.contains(FOREIGN),
            (_, Some((_, tools))) => tools.contains(&tool),
            (name, None) => tool.eq_ignore_ascii_case(name),
        }
    }

    /// Whether it lets `tool` act at `to`, for the author of `request`.
    #[must_use]
    pub fn fits(&self, tool: &str, to: To, request: &Request) -> bool {
        self.names(tool) && self.reach.covers(to, request)
    }

    /// The same of one that denies: a name alone means it everywhere.
    #[must_use]
    pub fn forbids(&self, tool: &str, to: To, request: &Request) -> bool {
        self.names(tool) && (self.reach == Reach::Own || self.reach.covers(to, request))
    }

    /// What is written for tools: the name of one, of a group, or the beginning of names.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it lets tools act.
    #[must_use]
    pub fn reach(&self) -> Reach {
        self.reach
    }
}

impl Reach {
    fn parse(text: &str) -> Option<Reach> {
        let text = text.trim();
        let number = |text: &str| text.trim().parse().ok().filter(|&number: &u64| number != 0);
        Some(match text.split_once(':') {
            None if text == "*" => Reach::Anywhere,
            None if text == "guild" => Reach::SameGuild,
            Some(("channel", id)) => Reach::Chat(number(id)?),
            Some(("user", id)) => Reach::Person(number(id)?),
            Some(("guild", id)) => Reach::Guild(number(id)?),
            _ => return None,
        })
    }

    fn covers(self, to: To, request: &Request) -> bool {
        let (mut id, mut parent, mut guild) = (request.chat.id, request.parent, request.guild);
        match (self, to) {
            (Reach::Anywhere, _) => return true,
            (Reach::Own, to) => return to == To::Own,
            (Reach::Person(wanted), To::Person(id)) => return wanted == id,
            (Reach::Person(wanted), To::Own) => {
                return request.guild.is_none() && request.author == wanted;
            }
            (Reach::Person(_), To::Chat { .. }) | (_, To::Person(_)) => return false,
            (_, To::Chat { id: other, parent: around, guild: of }) => {
                (id, parent, guild) = (other, around, of);
            }
            (_, To::Own) => {}
        }
        match self {
            // A thread is like the channel that it hangs on.
            Reach::Chat(wanted) => wanted == id || Some(wanted) == parent,
            Reach::Guild(wanted) => guild == Some(wanted),
            _ => guild.is_some() && guild == request.guild,
        }
    }
}

impl Sender {
    /// Reads `id:7`, `user:7`, `7`, `role:7`, `operator`, `*`, and OpenClaw's `channel:discord:7`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Sender> {
        let text = text.trim();
        let number = |text: &str| text.parse().ok().filter(|&number: &u64| number != 0);
        if let Some(role) = text.strip_prefix("role:") {
            return number(role).map(Sender::Role);
        }
        match text {
            "*" => Some(Sender::Any),
            "operator" => Some(Sender::Operator),
            _ => {
                let prefixes = ["channel:discord:", "id:", "user:", "discord:"];
                let rest = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix));
                number(rest.unwrap_or(text)).map(Sender::User)
            }
        }
    }

    /// Whether the author of `request` is meant.
    #[must_use]
    pub fn is(&self, request: &Request) -> bool {
        let is_operator = is_operator(request);
        match *self {
            Sender::Any => true,
            Sender::Operator => is_operator,
            Sender::User(id) => !is_operator && request.author == id,
            Sender::Role(id) => {
                !is_operator && request.guild.is_some() && request.roles.contains(&id)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::chat::sample::request;

    #[test]
    fn entries_are_read_and_name_what_they_name() {
        for (text, tool, is_named) in [
            ("react", "react", true),
            ("React", "react", true),
            ("react", "reacted", false),
            ("*", "anything", true),
            ("github__*", "github__issue", true),
            ("github__*", "gitlab__issue", false),
            ("group:web", "http_fetch", true),
            ("group:web", "run", false),
            ("group:plugins", "x__y", true),
            ("group:plugins", "run", false),
            ("group:fs", "run", false),
            ("exec", "run", true),
            ("send_message(channel:7)", "send_message", true),
        ] {
            assert_eq!(Entry::parse(text).unwrap().names(tool), is_named, "{text} {tool}");
        }
        for odd in ["", "a b", "*x", "x(", "x(y)", "x(channel:)", "x(channel:0)", "(x)", "x(*", "é"]
        {
            assert_eq!(Entry::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_name_alone_is_for_the_own_chat_and_denies_everywhere() {
        // Somebody asks in chat 5 of server 9.
        let here = Request { guild: Some(9), author: 3, ..request(5, 100) };
        let chat = |id, guild| To::Chat { id, parent: None, guild };
        let (own, there) = (To::Own, chat(7, Some(9)));
        let thread = To::Chat { id: 70, parent: Some(7), guild: Some(9) };
        for (text, to, fits) in [
            ("x", own, true),
            ("x", there, false),
            ("x", To::Person(7), false),
            ("x(channel:7)", there, true),
            ("x(channel:7)", thread, true),
            ("x(channel:7)", own, false),
            ("x(channel:5)", own, true),
            ("x(channel:8)", there, false),
            ("x(channel:7)", To::Person(7), false),
            ("x(user:7)", To::Person(7), true),
            ("x(user:3)", own, false),
            ("x(user:7)", there, false),
            ("x(guild:9)", there, true),
            ("x(guild:9)", own, true),
            ("x(guild:9)", chat(7, None), false),
            ("x(guild:8)", there, false),
            ("x(guild)", there, true),
            ("x(guild)", own, true),
            ("x(guild)", chat(7, Some(8)), false),
            ("x(guild)", chat(7, None), false),
            ("x(*)", To::Person(1), true),
            ("x(*)", own, true),
        ] {
            let entry = Entry::parse(text).unwrap();
            assert_eq!(entry.fits("x", to, &here), fits, "{text} {to:?}");
            assert_eq!(entry.forbids("x", to, &here), fits || text == "x", "{text} {to:?}");
        }
        let direct = Request { guild: None, ..here };
        assert!(!Entry::parse("x(guild)").unwrap().fits("x", chat(7, None), &direct));
        assert!(Entry::parse("x(user:3)").unwrap().fits("x", own, &direct));
    }

    #[test]
    fn senders_are_read() {
        for (text, sender) in [
            ("*", Some(Sender::Any)),
            ("id:7", Some(Sender::User(7))),
            ("7", Some(Sender::User(7))),
            ("channel:discord:7", Some(Sender::User(7))),
            ("role:7", Some(Sender::Role(7))),
            ("operator", Some(Sender::Operator)),
            ("name:ann", None),
            ("username:ann", None),
            ("id:0", None),
            ("role:", None),
        ] {
            assert_eq!(Sender::parse(text), sender, "{text}");
        }
    }
}
