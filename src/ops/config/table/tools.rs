//! The keys of tools and of who may have them used.

use super::super::keys::{Key, Kind, key, later, moot};

const TOOLS: Kind =
    Kind::Own("a list of tools: react, send_message(channel:ID), group:web, server__*, \"*\"");
const ASKERS: Kind = Kind::Own("a list of id:USER, role:ROLE, operator, or \"*\"");
const USUAL: &str = "what acts in the asker's own chat or for them alone";
const SENDERS: &str = "exactly these tools for id:USER, role:ROLE, operator, or \"*\" for the rest";

pub(super) const KEYS: &[Key] = &[
    key("tools.allow", TOOLS, USUAL, "exactly these tools may be used"),
    key("tools.alsoAllow", TOOLS, "none", "these as well"),
    key("tools.deny", TOOLS, "none", "never these; it wins, wherever it is said"),
    key("tools.toolsBySender.*.allow", TOOLS, "as for everybody", SENDERS),
    key("tools.toolsBySender.*.alsoAllow", TOOLS, "none", "these as well, for them"),
    key("tools.toolsBySender.*.deny", TOOLS, "none", "never these, for them"),
    key(
        "agents.defaults.tools.allow",
        TOOLS,
        "as tools say",
        "exactly these tools may be used by the agent",
    ),
    key("agents.defaults.tools.alsoAllow", TOOLS, "none", "these as well, by the agent"),
    key(
        "agents.defaults.tools.deny",
        TOOLS,
        "none",
        "never these, by the agent; it wins, wherever it is said",
    ),
    key("agents.defaults.tools.toolsBySender.*.allow", TOOLS, "as for everybody", SENDERS),
    key(
        "agents.defaults.tools.toolsBySender.*.alsoAllow",
        TOOLS,
        "none",
        "these as well, for them",
    ),
    key("agents.defaults.tools.toolsBySender.*.deny", TOOLS, "none", "never these, for them"),
    key(
        "agents.defaults.allowFrom",
        ASKERS,
        "everybody who is answered",
        "who may ask the agent; others are told that they may not",
    ),
    key(
        "channels.discord.guilds.*.tools.allow",
        TOOLS,
        "as tools and the agent say",
        "exactly these tools may be used in the server",
    ),
    key("channels.discord.guilds.*.tools.alsoAllow", TOOLS, "none", "these as well, in the server"),
    key(
        "channels.discord.guilds.*.tools.deny",
        TOOLS,
        "none",
        "never these, in the server; it wins, wherever it is said",
    ),
    key("channels.discord.guilds.*.toolsBySender.*.allow", TOOLS, "as for everybody", SENDERS),
    key(
        "channels.discord.guilds.*.toolsBySender.*.alsoAllow",
        TOOLS,
        "none",
        "these as well, for them",
    ),
    key("channels.discord.guilds.*.toolsBySender.*.deny", TOOLS, "none", "never these, for them"),
    key(
        "channels.discord.guilds.*.channels.*.tools.allow",
        TOOLS,
        "as the server says",
        "exactly these tools may be used in the channel",
    ),
    key(
        "channels.discord.guilds.*.channels.*.tools.alsoAllow",
        TOOLS,
        "none",
        "these as well, in the channel",
    ),
    key(
        "channels.discord.guilds.*.channels.*.tools.deny",
        TOOLS,
        "none",
        "never these, in the channel; it wins, wherever it is said",
    ),
    key(
        "channels.discord.guilds.*.channels.*.toolsBySender.*.allow",
        TOOLS,
        "as for everybody",
        SENDERS,
    ),
    key(
        "channels.discord.guilds.*.channels.*.toolsBySender.*.alsoAllow",
        TOOLS,
        "none",
        "these as well, for them",
    ),
    key(
        "channels.discord.guilds.*.channels.*.toolsBySender.*.deny",
        TOOLS,
        "none",
        "never these, for them",
    ),
    later("tools.byProvider"),
    later("tools.elevated"),
    later("tools.exec"),
    later("tools.fs"),
    later("tools.links"),
    later("tools.message"),
    later("tools.agentToAgent"),
    later("tools.sessions"),
    later("tools.sandbox"),
    later("tools.subagents"),
    later("tools.loopDetection"),
    later("tools.codeMode"),
    later("tools.experimental"),
    moot("tools.profile", "which tools there are is said by allow, alsoAllow and deny"),
    later("agents.defaults.tools.profile"),
    later("agents.defaults.tools.byProvider"),
    later("agents.defaults.tools.elevated"),
    later("agents.defaults.tools.exec"),
    later("agents.defaults.tools.fs"),
    later("agents.defaults.tools.sandbox"),
];
