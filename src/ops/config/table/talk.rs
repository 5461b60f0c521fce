//! The keys of conversations.

use super::super::keys::{Key, Kind, key, later, like, moot};

/// A year.
const IDLE_MINUTES: Kind = Kind::Whole(1, 366 * 24 * 60);

/// See the module.
pub(super) const KEYS: &[Key] = &[
    key(
        "session.scope",
        Kind::Word(&["per-sender", "global"]),
        "per-sender",
        "global: all messages of an agent are one conversation",
    ),
    key(
        "session.dmScope",
        Kind::Word(&["main", "per-peer", "per-channel-peer", "per-account-channel-peer"]),
        "per-account-channel-peer (main in OpenClaw)",
        "whose direct messages are one conversation; with main everybody's are, so that each may \
         hear what another has said",
    ),
    key(
        "session.groupScope",
        Kind::Word(&["per-chat", "per-sender"]),
        "per-chat",
        "whether a channel is one conversation, or each person's there is one",
    ),
    key(
        "session.reset.mode",
        Kind::Word(&["daily", "idle", "off", "none"]),
        "off, or what atHour and idleMinutes say",
        "when a message begins another conversation by itself; daily heeds idleMinutes too",
    ),
    key("session.reset.atHour", Kind::Whole(0, 23), "4", "the hour at which a day begins"),
    key("session.reset.idleMinutes", IDLE_MINUTES, "none", "minutes without a word"),
    key("session.reset.timezone", Kind::Text, "this host's", "whose hour, as in Europe/Berlin"),
    key("session.idleMinutes", IDLE_MINUTES, "none", "older files' reset.idleMinutes"),
    like("session.resetByType.*", "session.reset", "of direct messages, group or thread alone"),
    like("session.resetByChannel.*", "session.reset", "of one service, which beats the type"),
    moot("session.resetTriggers", "/new and /reset begin another conversation"),
    moot("session.store", "sessions are kept in the state directory"),
    moot("session.mainKey", "it is called main"),
    later("session.identityLinks"),
    later("session.maintenance"),
    later("session.threadBindings"),
    later("session.sendPolicy"),
    later("session.agentToAgent"),
    later("session.typingIntervalSeconds"),
    later("session.typingMode"),
];
