//! The gateway's intents by name (Discord's documentation, "List of Intents").

use crate::base::spell;

/// What an agent needs to read and answer messages: guilds, guild messages, direct messages and
/// their content.
pub const DEFAULT: u32 = 37_377;
/// What `agent_recommended` adds where the application has it switched on: members, reactions.
pub const RECOMMENDED_EXTRA: u32 = 1 << 1 | 1 << 10 | 1 << 13;
/// Without this one, messages that do not mention the bot arrive without their text.
pub const MESSAGE_CONTENT: u32 = 1 << 15;

/// Every intent: its name, its bit, and whether it must be switched on in Discord's portal.
pub const TABLE: &[(&str, u32, bool)] = &[
    ("GUILDS", 1, false),
    ("GUILD_MEMBERS", 1 << 1, true),
    ("GUILD_MODERATION", 1 << 2, false),
    ("GUILD_EXPRESSIONS", 1 << 3, false),
    ("GUILD_INTEGRATIONS", 1 << 4, false),
    ("GUILD_WEBHOOKS", 1 << 5, false),
    ("GUILD_INVITES", 1 << 6, false),
    ("GUILD_VOICE_STATES", 1 << 7, false),
    ("GUILD_PRESENCES", 1 << 8, true),
    ("GUILD_MESSAGES", 1 << 9, false),
    ("GUILD_MESSAGE_REACTIONS", 1 << 10, false),
    ("GUILD_MESSAGE_TYPING", 1 << 11, false),
    ("DIRECT_MESSAGES", 1 << 12, false),
    ("DIRECT_MESSAGE_REACTIONS", 1 << 13, false),
    ("DIRECT_MESSAGE_TYPING", 1 << 14, false),
    ("MESSAGE_CONTENT", MESSAGE_CONTENT, true),
    ("GUILD_SCHEDULED_EVENTS", 1 << 16, false),
    ("AUTO_MODERATION_CONFIGURATION", 1 << 20, false),
    ("AUTO_MODERATION_EXECUTION", 1 << 21, false),
    ("GUILD_MESSAGE_POLLS", 1 << 24, false),
    ("DIRECT_MESSAGE_POLLS", 1 << 25, false),
];

/// Shorter names that other programs have for some.
const ALIASES: &[(&str, u32)] = &[
    ("members", 1 << 1),
    ("presence", 1 << 8),
    ("presences", 1 << 8),
    ("reactions", 1 << 10 | 1 << 13),
    ("voiceStates", 1 << 7),
];

/// The bits of the intent `name`, written in any style (`MESSAGE_CONTENT`, `messageContent`).
#[must_use]
pub fn bits(name: &str) -> Option<u32> {
    let listed = TABLE.iter().map(|&(name, bit, _)| (name, bit)).chain(ALIASES.iter().copied());
    listed.into_iter().find(|(known, _)| spell::same(known, name)).map(|(_, bits)| bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_what_its_names_say() {
        let names = ["guilds", "guildMessages", "DIRECT_MESSAGES", "message_content"];
        assert_eq!(names.iter().filter_map(|name| bits(name)).sum::<u32>(), DEFAULT);
        assert_eq!(bits("telepathy"), None);
    }

    #[test]
    fn every_intent_has_a_bit_of_its_own() {
        let all = TABLE.iter().fold(0_u32, |all, &(name, bit, _)| {
            assert!(bit.is_power_of_two() && all & bit == 0, "{name}");
            all | bit
        });
        assert_eq!(TABLE.iter().filter(|(_, _, privileged)| *privileged).count(), 3);
        assert_eq!(all & RECOMMENDED_EXTRA, RECOMMENDED_EXTRA);
    }
}
