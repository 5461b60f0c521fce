//! Gateway intents and permissions by name, and the URL that invites a bot.
//!
//! The tables are Discord's ("Gateway", List of Intents; "Permissions"; "Application", Application
//! Flags). Names are read in any of the spellings that configurations use.

use std::fmt;

use crate::base::spell;

/// Where the switches of privileged intents are, in the portal's words.
pub const SWITCHES: &str = "developer portal (discord.com/developers/applications), the \
                            application, Bot, Privileged Gateway Intents";

/// One gateway intent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Intent {
    /// As Discord writes it, such as `GUILD_MESSAGES`.
    pub name: &'static str,
    /// The number of its bit.
    pub bit: u8,
    /// Of a privileged intent, the number of the application flag that says that the developer
    /// portal has it switched on; the flag after it says the same of an application in few servers.
    pub flag: Option<u8>,
}

const fn free(name: &'static str, bit: u8) -> Intent {
    Intent { name, bit, flag: None }
}

const fn privileged(name: &'static str, bit: u8, flag: u8) -> Intent {
    Intent { name, bit, flag: Some(flag) }
}

/// All intents, by their bits.
pub const INTENTS: &[Intent] = &[
    free("GUILDS", 0),
    privileged("GUILD_MEMBERS", 1, 14),
    free("GUILD_MODERATION", 2),
    free("GUILD_EXPRESSIONS", 3),
    free("GUILD_INTEGRATIONS", 4),
    free("GUILD_WEBHOOKS", 5),
    free("GUILD_INVITES", 6),
    free("GUILD_VOICE_STATES", 7),
    privileged("GUILD_PRESENCES", 8, 12),
    free("GUILD_MESSAGES", 9),
    free("GUILD_MESSAGE_REACTIONS", 10),
    free("GUILD_MESSAGE_TYPING", 11),
    free("DIRECT_MESSAGES", 12),
    free("DIRECT_MESSAGE_REACTIONS", 13),
    free("DIRECT_MESSAGE_TYPING", 14),
    privileged("MESSAGE_CONTENT", 15, 18),
    free("GUILD_SCHEDULED_EVENTS", 16),
    free("AUTO_MODERATION_CONFIGURATION", 20),
    free("AUTO_MODERATION_EXECUTION", 21),
    free("GUILD_MESSAGE_POLLS", 24),
    free("DIRECT_MESSAGE_POLLS", 25),
];

/// The bit of the intent without which messages that do not mention the bot come without text.
pub const MESSAGE_CONTENT: u32 = 1 << 15;

/// The bit of the intent by which reactions in servers are told.
pub const REACTIONS: u32 = 1 << 10;

/// A set of intents, as IDENTIFY sends it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Intents(pub u32);

/// A word that names no intent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnknownIntent<'a>(pub &'a str);

impl Intents {
    /// Servers and their channels, messages there and in private, and what they say.
    pub const DEFAULT: Intents = Intents(37_377);
    /// The default with members and reactions: what an agent among people makes use of.
    pub const AGENT_RECOMMENDED: Intents = Intents(Self::DEFAULT.0 | 1 << 1 | 1 << 10 | 1 << 13);

    /// The intents that `names` stand for together: `GUILD_MESSAGES`, `guildMessages` or
    /// `guild-messages`; the end of a name for all that end so (`reactions` for those in servers
    /// and in private), with or without its last S; `default` and `agent_recommended` for those
    /// sets.
    pub fn parse<'a>(
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Intents, UnknownIntent<'a>> {
        names.into_iter().try_fold(Intents(0), |set, name| Ok(Intents(set.0 | named(name)?.0)))
    }

    /// The intents in the set, by their bits.
    pub fn iter(self) -> impl Iterator<Item = &'static Intent> {
        INTENTS.iter().filter(move |intent| self.0 >> intent.bit & 1 == 1)
    }

    /// The set without the privileged intents that an application with these flags may not use:
    /// to ask for one of those costs the connection (4014).
    #[must_use]
    pub fn allowed_by(self, application_flags: u64) -> Intents {
        let denied = |intent: &&Intent| {
            intent.flag.is_some_and(|flag| application_flags & 0b11 << flag == 0)
        };
        Intents(self.iter().filter(denied).fold(self.0, |bits, intent| bits & !(1 << intent.bit)))
    }

    /// What the developer portal calls the switches of those that have one, with `and` between.
    #[must_use]
    pub fn switches(self) -> String {
        let names = self.iter().filter_map(|intent| {
            Some(match intent.name {
                "MESSAGE_CONTENT" => "\"Message Content Intent\"",
                "GUILD_MEMBERS" => "\"Server Members Intent\"",
                "GUILD_PRESENCES" => "\"Presence Intent\"",
                _ => return None,
            })
        });
        names.collect::<Vec<_>>().join(" and ")
    }

    /// What is in this set and not in `others`.
    #[must_use]
    pub fn without(self, others: Intents) -> Intents {
        Intents(self.0 & !others.0)
    }
}

/// What one name stands for.
fn named(name: &str) -> Result<Intents, UnknownIntent<'_>> {
    let wanted = upper_snake(name);
    match wanted.as_str() {
        "DEFAULT" => return Ok(Intents::DEFAULT),
        "AGENT_RECOMMENDED" => return Ok(Intents::AGENT_RECOMMENDED),
        // What OpenClaw's files call it.
        "PRESENCE" => return named("GUILD_PRESENCES"),
        _ => {}
    }
    let is_meant = |intent: &&Intent| {
        let singular = intent.name.strip_suffix('S').unwrap_or(intent.name);
        let mut names = [intent.name, singular].into_iter();
        let before = names.find_map(|name| name.strip_suffix(wanted.as_str()));
        before.is_some_and(|before| before.is_empty() || before.ends_with('_'))
    };
    let bits = INTENTS.iter().filter(is_meant).fold(0, |bits, intent| bits | 1 << intent.bit);
    if wanted.is_empty() || bits == 0 { Err(UnknownIntent(name)) } else { Ok(Intents(bits)) }
}

/// `guildMessages`, `GuildMessages` and `guild-messages` as `GUILD_MESSAGES`.
fn upper_snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    let mut after_lower = false;
    for c in name.trim().chars() {
        if after_lower && c.is_ascii_uppercase() {
            snake.push('_');
        }
        after_lower = c.is_ascii_lowercase();
        snake.push(if matches!(c, '-' | ' ') { '_' } else { c.to_ascii_uppercase() });
    }
    snake
}

impl fmt::Display for Intents {
    /// The names, with commas between; bits that have none by their numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for bit in (0..u32::BITS).filter(|bit| self.0 >> bit & 1 == 1) {
            f.write_str(std::mem::replace(&mut comma, ", "))?;
            match INTENTS.iter().find(|intent| u32::from(intent.bit) == bit) {
                Some(intent) => f.write_str(intent.name)?,
                None => write!(f, "1<<{bit}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for UnknownIntent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no gateway intent", crate::base::text::Plain(self.0))
    }
}

/// A permission that we ask a server for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Permission {
    /// As Discord writes it.
    pub name: &'static str,
    /// The number of its bit.
    pub bit: u8,
    /// Whether nothing works without it.
    pub required: bool,
    /// What it is for.
    pub purpose: &'static str,
}

const fn permission(
    name: &'static str,
    bit: u8,
    required: bool,
    purpose: &'static str,
) -> Permission {
    Permission { name, bit, required, purpose }
}

/// The permissions that an invitation asks for, by their bits.
pub const PERMISSIONS: &[Permission] = &[
    permission("ADD_REACTIONS", 6, false, "mark a message as seen"),
    permission("VIEW_CHANNEL", 10, true, "receive what is said in a channel"),
    permission("SEND_MESSAGES", 11, true, "answer"),
    permission("EMBED_LINKS", 14, false, "let links in answers show what they lead to"),
    permission("ATTACH_FILES", 15, false, "answer with files"),
    permission("READ_MESSAGE_HISTORY", 16, true, "answer as a reply; read what was missed"),
    permission("CREATE_PUBLIC_THREADS", 35, false, "answer in a thread of its own"),
    permission("SEND_MESSAGES_IN_THREADS", 38, false, "answer within threads"),
];

/// The permissions without which nothing works.
pub const PERMISSIONS_MINIMAL: u64 = sum(true);
/// The permissions that all of our features want.
pub const PERMISSIONS_RECOMMENDED: u64 = sum(false);

const fn sum(required_only: bool) -> u64 {
    let (mut bits, mut rest) = (0, PERMISSIONS);
    while let [permission, others @ ..] = rest {
        if permission.required || !required_only {
            bits |= 1 << permission.bit;
        }
        rest = others;
    }
    bits
}

const _: () = assert!(PERMISSIONS_MINIMAL == 68_608);
const _: () = assert!(PERMISSIONS_RECOMMENDED == 309_237_763_136);

/// Every permission there is, by its bits ("Permissions", Bitwise Permission Flags).
const PERMISSION_NAMES: &[(&str, u8)] = &[
    ("CREATE_INSTANT_INVITE", 0),
    ("KICK_MEMBERS", 1),
    ("BAN_MEMBERS", 2),
    ("ADMINISTRATOR", 3),
    ("MANAGE_CHANNELS", 4),
    ("MANAGE_GUILD", 5),
    ("ADD_REACTIONS", 6),
    ("VIEW_AUDIT_LOG", 7),
    ("PRIORITY_SPEAKER", 8),
    ("STREAM", 9),
    ("VIEW_CHANNEL", 10),
    ("SEND_MESSAGES", 11),
    ("SEND_TTS_MESSAGES", 12),
    ("MANAGE_MESSAGES", 13),
    ("EMBED_LINKS", 14),
    ("ATTACH_FILES", 15),
    ("READ_MESSAGE_HISTORY", 16),
    ("MENTION_EVERYONE", 17),
    ("USE_EXTERNAL_EMOJIS", 18),
    ("VIEW_GUILD_INSIGHTS", 19),
    ("CONNECT", 20),
    ("SPEAK", 21),
    ("MUTE_MEMBERS", 22),
    ("DEAFEN_MEMBERS", 23),
    ("MOVE_MEMBERS", 24),
    ("USE_VAD", 25),
    ("CHANGE_NICKNAME", 26),
    ("MANAGE_NICKNAMES", 27),
    ("MANAGE_ROLES", 28),
    ("MANAGE_WEBHOOKS", 29),
    ("MANAGE_GUILD_EXPRESSIONS", 30),
    ("USE_APPLICATION_COMMANDS", 31),
    ("REQUEST_TO_SPEAK", 32),
    ("MANAGE_EVENTS", 33),
    ("MANAGE_THREADS", 34),
    ("CREATE_PUBLIC_THREADS", 35),
    ("CREATE_PRIVATE_THREADS", 36),
    ("USE_EXTERNAL_STICKERS", 37),
    ("SEND_MESSAGES_IN_THREADS", 38),
    ("USE_EMBEDDED_ACTIVITIES", 39),
    ("MODERATE_MEMBERS", 40),
    ("VIEW_CREATOR_MONETIZATION_ANALYTICS", 41),
    ("USE_SOUNDBOARD", 42),
    ("CREATE_GUILD_EXPRESSIONS", 43),
    ("CREATE_EVENTS", 44),
    ("USE_EXTERNAL_SOUNDS", 45),
    ("SEND_VOICE_MESSAGES", 46),
    ("SEND_POLLS", 49),
    ("USE_EXTERNAL_APPS", 50),
    ("PIN_MESSAGES", 51),
    ("BYPASS_SLOWMODE", 52),
];

/// The permissions that `text` stands for: `minimal`, `recommended`, their bits as a number, or
/// names with commas between, in any spelling, such as `SEND_MESSAGES,view-channel`.
///
/// # Errors
/// The word that names none, and the name that is nearest to it.
pub fn permissions(text: &str) -> Result<u64, (&str, Option<&'static str>)> {
    if let Ok(bits) = text.trim().parse() {
        return Ok(bits);
    }
    let words = text.split([',', ' ', '+', '|']).filter(|word| !word.trim().is_empty());
    if words.clone().next().is_none() {
        return Err((text, None));
    }
    words.into_iter().try_fold(0, |all, word| {
        let name = upper_snake(word);
        let bits = match name.as_str() {
            "MINIMAL" => Some(PERMISSIONS_MINIMAL),
            "RECOMMENDED" => Some(PERMISSIONS_RECOMMENDED),
            name => {
                let known = PERMISSION_NAMES.iter().find(|(known, _)| *known == name);
                known.map(|(_, bit)| 1 << bit)
            }
        };
        let nearest = || {
            let known = PERMISSION_NAMES.iter().map(|(known, _)| *known);
            spell::nearest(word, known.chain(["minimal", "recommended"]))
        };
        bits.map(|bits| all | bits).ok_or_else(|| (word, nearest()))
    })
}

/// Where the owner of a server lets the bot in ("Bot Authorization Flow"); `guild` is the server
/// that is chosen beforehand.
#[must_use]
pub fn invite_url(application: u64, permissions: u64, guild: Option<u64>) -> String {
    let guild = guild.map_or_else(String::new, |guild| format!("&guild_id={guild}"));
    format!(
        "https://discord.com/oauth2/authorize?client_id={application}\
         &scope=bot+applications.commands&permissions={permissions}{guild}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_every_spelling() {
        for name in [
            "GUILD_MESSAGES",
            "guildMessages",
            "GuildMessages",
            "guild-messages",
            " guild_messages ",
        ] {
            assert_eq!(Intents::parse([name]), Ok(Intents(1 << 9)), "{name}");
        }
        assert_eq!(Intents::parse(["guilds", "messages", "content"]), Ok(Intents::DEFAULT));
        assert_eq!(Intents::parse(["reactions"]), Ok(Intents(1 << 10 | 1 << 13)));
        assert_eq!(Intents::parse(["presence", "guild"]), Ok(Intents(1 << 8 | 1)));
        assert_eq!(Intents::parse(["agent_recommended"]), Ok(Intents::AGENT_RECOMMENDED));
        assert_eq!(Intents::parse(["agentRecommended"]), Ok(Intents::AGENT_RECOMMENDED));
        for wrong in ["essages", "", "_", "S", "GUILD_MESSAG"] {
            assert_eq!(Intents::parse(["guilds", wrong]), Err(UnknownIntent(wrong)));
        }
        assert_eq!(UnknownIntent("x\n").to_string(), "`x\\n` is no gateway intent");
    }

    #[test]
    fn sets_are_printed_by_their_names_and_read_back() {
        let shown = Intents::DEFAULT.to_string();
        assert_eq!(shown, "GUILDS, GUILD_MESSAGES, DIRECT_MESSAGES, MESSAGE_CONTENT");
        assert_eq!(Intents::parse(shown.split(',')), Ok(Intents::DEFAULT));
        let all = INTENTS.iter().fold(0, |bits, intent| bits | 1 << intent.bit);
        assert_eq!(Intents::parse(Intents(all).to_string().split(", ")), Ok(Intents(all)));
        assert_eq!(Intents(1 << 31).to_string(), "1<<31");
        assert_eq!(Intents(0).to_string(), "");
    }

    #[test]
    fn the_table_is_in_order_and_names_no_bit_twice() {
        assert!(INTENTS.windows(2).all(|pair| pair[0].bit < pair[1].bit));
        assert!(PERMISSIONS.windows(2).all(|pair| pair[0].bit < pair[1].bit));
    }

    #[test]
    fn what_the_portal_has_switched_off_is_left_out() {
        let wanted = Intents::AGENT_RECOMMENDED;
        let without_privileged = wanted.allowed_by(0);
        assert_eq!(wanted.without(without_privileged), Intents(1 << 1 | 1 << 15));
        assert_eq!(wanted.allowed_by(1 << 19), Intents(wanted.0 & !(1 << 1)));
        assert_eq!(wanted.allowed_by(1 << 14 | 1 << 18), wanted);
        assert_eq!(wanted.allowed_by(1 << 12 | 1 << 16 | 1 << 17 | 1 << 20), without_privileged);
    }

    #[test]
    fn the_invitation_names_the_application_and_what_it_wants() {
        assert_eq!(
            invite_url(42, PERMISSIONS_MINIMAL, None),
            "https://discord.com/oauth2/authorize?client_id=42\
             &scope=bot+applications.commands&permissions=68608"
        );
        assert!(invite_url(42, 0, Some(7)).ends_with("&permissions=0&guild_id=7"));
    }

    #[test]
    fn every_privileged_intent_has_the_portals_name() {
        let privileged = INTENTS.iter().filter(|intent| intent.flag.is_some());
        for intent in privileged {
            assert!(Intents(1 << intent.bit).switches().ends_with(" Intent\""), "{}", intent.name);
        }
        assert_eq!(
            Intents::AGENT_RECOMMENDED.switches(),
            "\"Server Members Intent\" and \"Message Content Intent\""
        );
        assert_eq!(Intents(1).switches(), "");
    }

    #[test]
    fn permissions_are_words_numbers_and_names() {
        for (text, bits) in [
            ("minimal", 68_608),
            ("Recommended", 309_237_763_136),
            ("8", 8),
            ("SEND_MESSAGES", 1 << 11),
            ("sendMessages, view-channel", 1 << 11 | 1 << 10),
            ("minimal+PIN_MESSAGES", PERMISSIONS_MINIMAL | 1 << 51),
        ] {
            assert_eq!(permissions(text), Ok(bits), "{text}");
        }
        assert_eq!(permissions("SEND_MESAGES"), Err(("SEND_MESAGES", Some("SEND_MESSAGES"))));
        assert_eq!(permissions("minimum"), Err(("minimum", Some("minimal"))));
        assert_eq!(permissions("VIEW_CHANNEL,xyzzy"), Err(("xyzzy", None)));
        for empty in ["", " , "] {
            assert_eq!(permissions(empty), Err((empty, None)));
        }
        let in_order = PERMISSION_NAMES.windows(2).all(|pair| pair[0].1 < pair[1].1);
        assert!(in_order, "the table names no bit twice");
        let ours = PERMISSIONS.iter().map(|ours| (ours.name, ours.bit));
        assert!(ours.into_iter().all(|ours| PERMISSION_NAMES.contains(&ours)));
    }
}
