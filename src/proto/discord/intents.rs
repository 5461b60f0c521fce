//! Gateway intents and permissions by name, and the URL that invites a bot.

/// One gateway intent (Discord's documentation, "Gateway Intents").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Intent {
    /// As Discord writes it: `GUILD_MESSAGES`.
    pub name: &'static str,
    /// As discord.js and OpenClaw write it: `guildMessages`.
    pub camel: &'static str,
    /// Its bit's number.
    pub bit: u8,
    /// Whether the developer portal must allow it.
    pub privileged: bool,
}
