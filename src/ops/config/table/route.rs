//! Which agent answers where, and how several get along.

use std::time::Duration;

use super::super::keys::{Key, Kind, Unit, key, like, moot};
use super::{DAY, ROLES};
use crate::base::limits;

pub(super) const KEYS: &[Key] = &[
    key("bindings.#.agentId", Kind::Text, "none", "the agent that answers where all below fits"),
    key("bindings.#.match.channel", Kind::Text, "every channel", "discord"),
    key(
        "bindings.#.match.accountId",
        Kind::Text,
        "the account default, if there is one of that name",
        "the account that heard the message; \"*\" is any",
    ),
    key(
        "bindings.#.match.peer.kind",
        Kind::Word(&["direct", "dm", "group", "channel", "thread"]),
        "any",
        "direct messages, or chats of servers: group, channel and thread are one kind",
    ),
    key(
        "bindings.#.match.peer.id",
        Kind::Own("a number, or \"*\""),
        "any",
        "a chat, or in DMs the person; \"*\" is every chat of that kind",
    ),
    key("bindings.#.match.guildId", Kind::Own("a number"), "any", "the server"),
    key("bindings.#.match.roles", ROLES, "any", "one of these roles is enough"),
    moot("bindings.#.match.teamId", "Discord has no teams"),
    moot("bindings.#.comment", "a note for people"),
    moot("bindings.#.type", "every binding is a route"),
    key(
        "router.strategy",
        Kind::Word(&["channel_assignment"]),
        "channel_assignment",
        "how agents share a server: by the channels that they are assigned to",
    ),
    key(
        "router.agents.#.agent",
        Kind::Text,
        "none",
        "an agent that is assigned to channels; where one is, only assigned agents answer there",
    ),
    key("router.agents.#.agentId", Kind::Text, "agent", "the same, as bindings write it"),
    key("router.agents.#.name", Kind::Text, "agent", "the same, as guides write it"),
    key(
        "router.agents.#.account",
        Kind::Text,
        "the account of the agent's name, the one bound to it, or the first",
        "the account by which it speaks",
    ),
    key(
        "router.agents.#.channels",
        Kind::Own("a list of channels by name or id, or \"*\" for all"),
        "all",
        "where it is assigned; threads belong to their channel",
    ),
    key(
        "router.agents.#.role",
        Kind::Word(&["active", "passive"]),
        "active",
        "whether it answers what is said there, or only listens and answers what calls it",
    ),
    key(
        "router.agents.#.triggers",
        Kind::Own("a list of words, \"word*\" or \"/command\""),
        "a mention, an answer to it, its name",
        "what else calls it",
    ),
    key(
        "router.agents.#.names",
        Kind::Own("a name, or a list of names"),
        "the agent's",
        "what else it is called",
    ),
    like("router.routes", "router.agents", "the same by another name"),
    like("router.assignments", "router.agents", "the same by another name"),
    key(
        "router.noSelfTalk",
        Kind::Flag,
        "true",
        "whether our agents leave each other's messages alone; with false, allowBots decides",
    ),
    key(
        "router.ignoreBotMessages",
        Kind::Flag,
        "allowBots decides",
        "true: no bot is answered anywhere; false: all are, where allowBots says nothing",
    ),
    key(
        "router.standIn",
        Kind::Span(Unit::Seconds, Duration::ZERO, DAY),
        "60",
        "how long an agent's account may be away until the next best agent answers in its place",
    ),
    key(
        "channels.discord.botLoopProtection.enabled",
        Kind::Flag,
        "true",
        "whether bots that answer each other are left after a while, until a person speaks",
    ),
    key(
        "channels.discord.botLoopProtection.maxEventsPerWindow",
        Kind::Whole(1, limits::LOOP_TURNS_MAX),
        "20",
        "answers to one bot in one channel within windowSeconds",
    ),
    key(
        "channels.discord.botLoopProtection.windowSeconds",
        Kind::Span(Unit::Seconds, Duration::from_secs(1), DAY),
        "60",
        "the time in which they count",
    ),
    key(
        "channels.discord.botLoopProtection.cooldownSeconds",
        Kind::Span(Unit::Seconds, Duration::from_secs(1), DAY),
        "60",
        "how long the bot is left, if no person speaks; four times longer at each further stop, a \
         day at most",
    ),
    key(
        "channels.discord.botLoopProtection.maxChainDepth",
        Kind::Whole(1, 1_000_000),
        "10",
        "messages of bots that answer each other without a person in between",
    ),
    key(
        "channels.discord.botLoopProtection.maxSlowTurns",
        Kind::Whole(1, limits::LOOP_TURNS_MAX),
        "20",
        "answers to one bot within slowWindow without a person in between",
    ),
    key(
        "channels.discord.botLoopProtection.slowWindow",
        Kind::Span(Unit::Seconds, Duration::from_mins(1), Duration::from_hours(24 * 7)),
        "6h",
        "the time in which they count",
    ),
    key(
        "channels.discord.historyLimit",
        Kind::Whole(0, limits::OVERHEARD_MESSAGES_MAX as u64),
        "20 where several agents share a server, or 0",
        "of how many messages of a channel that it was not asked an agent is told when it is",
    ),
    like(
        "channels.defaults.botLoopProtection",
        "channels.discord.botLoopProtection",
        "for every channel",
    ),
];
