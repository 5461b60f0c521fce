//! The one table of configuration keys: reading, unknown keys, guesses at typos and the manual
//! all follow from it.
//!
//! Names differ from OpenClaw's only where it has none. `_` and case do not count, so that
//! `max_retries` and `maxRetries` are one key.

use std::fmt;
use std::time::Duration;

use crate::base::spell;

/// One key, or one whole section that is not read yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    /// Dotted, from the top.
    pub(crate) path: &'static str,
    /// What may be written.
    pub(crate) kind: Kind,
    /// What holds if it is not written, in words.
    pub(crate) default: &'static str,
    /// What it means.
    pub(crate) doc: &'static str,
    /// Whether it has an effect.
    pub(crate) stand: Stand,
}

/// Whether a key has an effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stand {
    /// It does what its doc says.
    Works,
    /// Accepted, not yet applied; who writes it is warned.
    Later,
    /// Accepted, never needed; who writes it is told why (the doc).
    Moot,
}

/// What may be written for a key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// `true` or `false`.
    Flag,
    /// A whole number within these bounds.
    Whole(u64, u64),
    /// A number within these bounds.
    Number(f64, f64),
    /// A span of time within these bounds; a bare number counts the unit.
    Span(Unit, Duration, Duration),
    /// Any text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// What the words say; its reader judges it.
    Own(&'static str),
}

/// The unit of a bare number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unit {
    /// Milliseconds.
    Millis,
    /// Seconds.
    Seconds,
}

const POLICIES: Kind = Kind::Word(&["open", "allowlist", "pairing", "disabled"]);
/// A policy that is not written.
const UNSET: &str = "open, or allowlist if another key narrows who is answered";
const HOUR: Duration = Duration::from_secs(3600);
/// The kernel counts keepalive in whole seconds.
const KEEPALIVE: Kind = Kind::Span(Unit::Millis, Duration::from_secs(1), HOUR);
/// No delay may be so short that a lost server is hammered, or so long that nobody returns.
const DELAY_MS: Kind = Kind::Span(Unit::Millis, Duration::from_millis(100), HOUR);
const DELAY_S: Kind = Kind::Span(Unit::Seconds, Duration::from_millis(100), HOUR);
const TURN: Kind = Kind::Span(Unit::Seconds, Duration::from_secs(1), HOUR);
const GROWTH: Kind = Kind::Number(1.0, 10.0);
const ANYTHING: Kind = Kind::Own("anything");

/// Every key, in the order of the manual.
pub(crate) const KEYS: &[Key] = &[
    key("channels.discord.enabled", Kind::Flag, "true", "whether the account runs"),
    key("channels.discord.token", Kind::Text, "DISCORD_BOT_TOKEN", "the bot's token"),
    key(
        "channels.discord.accounts",
        Kind::Own("accounts by name, each with the keys of channels.discord"),
        "none",
        "only `default`, or else the first, is used for now; its keys beat the channel's",
    ),
    key("channels.discord.dmPolicy", POLICIES, UNSET, "whose direct messages are answered"),
    key("channels.discord.groupPolicy", POLICIES, UNSET, "whose mentions in servers are answered"),
    key(
        "channels.discord.allowFrom",
        Kind::Own("a list of user ids"),
        "nobody",
        "the users whom the policies allowlist and pairing admit; \"*\" admits everybody to DMs",
    ),
    key(
        "channels.discord.guilds",
        Kind::Own("servers by their ids, each with an object"),
        "none",
        "the servers that groupPolicy allowlist admits; what the object says is not yet applied",
    ),
    key(
        "channels.discord.requireMention",
        Kind::Flag,
        "true, or false where groupPolicy is open",
        "whether a message in a server is answered only if it names the bot",
    ),
    key(
        "channels.discord.dm.enabled",
        Kind::Flag,
        "true",
        "older files; false is dmPolicy disabled",
    ),
    key("channels.discord.dm.policy", POLICIES, UNSET, "older files' dmPolicy"),
    key("channels.discord.dm.allowFrom", Kind::Own("a list"), "nobody", "older files' allowFrom"),
    key("channels.defaults.groupPolicy", POLICIES, UNSET, "groupPolicy of every channel"),
    key(
        "channels.discord.intents",
        Kind::Own("a list of names, names with true or false, a number, or \"agent_recommended\""),
        "37377",
        "the gateway events that are asked for",
    ),
    key(
        "channels.discord.compress",
        Kind::Own("true, false, \"zlib-stream\" or \"zstd-stream\""),
        "true",
        "whether the gateway's stream is compressed; zstd-stream is served as zlib-stream",
    ),
    key(
        "channels.discord.tcpKeepalive",
        Kind::Own("seconds, true or false"),
        "30",
        "idle time before the first TCP keepalive probe",
    ),
    key("channels.discord.reconnect.enabled", Kind::Flag, "true", "the same as autoReconnect"),
    key(
        "channels.discord.reconnect.maxRetries",
        Kind::Whole(1, 1_000_000),
        "no bound",
        "after so many failures in a row: one try in 5 minutes and an alert, never the end",
    ),
    key("channels.discord.reconnect.backoffBase", GROWTH, "2", "by what the waits grow"),
    key("channels.discord.reconnect.backoffMax", DELAY_S, "60", "the longest wait"),
    key("channels.discord.reconnect.resumeSession", Kind::Flag, "true", "RESUME before IDENTIFY"),
    key(
        "channels.discord.reconnect.sessionCacheTtl",
        Kind::Span(Unit::Seconds, Duration::from_secs(1), Duration::from_hours(24)),
        "no bound",
        "offline for longer, the session is not resumed",
    ),
    key(
        "channels.discord.reconnect.resumeAttempts",
        Kind::Whole(1, 20),
        "3",
        "failed RESUMEs after which a fresh session is made",
    ),
    key(
        "channels.discord.autoReconnect",
        Kind::Flag,
        "true",
        "false: a lost connection is tried once in 5 minutes",
    ),
    key(
        "channels.discord.maxReconnectAttempts",
        Kind::Whole(1, 1_000_000),
        "no bound",
        "the same as reconnect.maxRetries",
    ),
    key(
        "channels.discord.reconnectInterval",
        DELAY_S,
        "1",
        "the longest second wait; later ones grow from it",
    ),
    moot("channels.discord.heartbeatInterval", "Discord names the interval at each connection"),
    later("channels.discord.allowBots"),
    later("channels.discord.replyToMode"),
    later("channels.discord.historyLimit"),
    later("channels.discord.dmHistoryLimit"),
    later("channels.discord.textChunkLimit"),
    later("channels.discord.mediaMaxMb"),
    key(
        "channels.discord.proxy",
        Kind::Text,
        "HTTPS_PROXY, ALL_PROXY",
        "an HTTP proxy, for gateway and REST: http://user:password@host:port",
    ),
    moot("channels.discord.healthMonitor", "health is the age of the last proof of life, always"),
    later("channels.telegram"),
    later("channels.whatsapp"),
    key("connection.autoReconnect", Kind::Flag, "true", "autoReconnect of every channel"),
    key("connection.backoff.initialDelay", DELAY_MS, "300", "the longest first wait"),
    key("connection.backoff.maxDelay", DELAY_MS, "60000", "the longest wait"),
    key("connection.backoff.multiplier", GROWTH, "2", "by what the waits grow"),
    moot("connection.healthCheck", "health is the age of the last proof of life, always"),
    key("connection.keepAlive.enabled", Kind::Flag, "true", "whether TCP keepalive is on"),
    key("connection.keepAlive.interval", KEEPALIVE, "30000", "idle time before probes"),
    key("connection.keepAlive.timeout", KEEPALIVE, "10000", "between probes"),
    key("gateway.port", Kind::Whole(0, 65_535), "18789", "the control port; 0: any that is free"),
    key("gateway.bind", Kind::Word(&["loopback", "lan"]), "loopback", "who may connect to it"),
    key("gateway.auth.mode", Kind::Word(&["token"]), "token", "how callers prove themselves"),
    key("gateway.auth.token", Kind::Text, "generated", "the token they show"),
    later("gateway.auth.password"),
    later("gateway.auth.rateLimit"),
    later("gateway.reload"),
    moot("gateway.mode", "the gateway runs where it is started"),
    key("agents.defaults.kind", Kind::Word(&["echo"]), "echo", "which agent answers"),
    key(
        "agents.defaults.cpuMs",
        Kind::Whole(0, 60_000),
        "0",
        "CPU milliseconds that echo burns on each message, to rehearse a busy agent",
    ),
    key("agents.defaults.timeout", TURN, "120", "the longest that an answer may take"),
    key(
        "agents.asyncToolTimeout",
        TURN,
        "120",
        "the same, where agents.defaults.timeout is not set",
    ),
    later("agents.defaults.model"),
    later("agents.defaults.workspace"),
    later("agents.entries"),
    later("agents.list"),
    key(
        "logging.level",
        Kind::Word(&[
            "silent",
            "off",
            "fatal",
            "error",
            "warn",
            "info",
            "debug",
            "connection-debug",
            "trace",
        ]),
        "info",
        "what is logged; connection-debug adds every heartbeat, event and attempt",
    ),
    later("logging.file"),
    key("net.caFile", Kind::Text, "none", "a PEM file of further certificate authorities"),
    later("bindings"),
    later("cron"),
    later("messages"),
    later("session"),
    later("tools"),
    moot("$schema", "the keys are checked without it"),
    moot("meta", "OpenClaw's own notes"),
    moot("wizard", "OpenClaw's own notes"),
];

const fn key(path: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Key {
    Key { path, kind, default, doc, stand: Stand::Works }
}

const fn later(path: &'static str) -> Key {
    Key { path, kind: ANYTHING, default: "", doc: "not yet applied", stand: Stand::Later }
}

const fn moot(path: &'static str, doc: &'static str) -> Key {
    Key { path, kind: ANYTHING, default: "", doc, stand: Stand::Moot }
}

/// The key at `path`, however it is spelt.
pub(crate) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| spell::same(key.path, path))
}

/// The names that may stand directly below the section `path` ("" is the top); none if it is not
/// a section.
pub(crate) fn names_below(path: &str) -> impl Iterator<Item = &'static str> {
    let depth = if path.is_empty() { 0 } else { path.split('.').count() };
    KEYS.iter().filter_map(move |key| {
        let mut segments = key.path.split('.');
        let inside = path
            .split('.')
            .take(depth)
            .all(|segment| segments.next().is_some_and(|of_key| spell::same(of_key, segment)));
        segments.next().filter(|_| inside)
    })
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Flag => f.write_str("true or false"),
            Kind::Whole(least, most) => write!(f, "a whole number from {least} to {most}"),
            Kind::Number(least, most) => write!(f, "a number from {least} to {most}"),
            Kind::Span(unit, least, most) => {
                let unit = match unit {
                    Unit::Millis => "milliseconds",
                    Unit::Seconds => "seconds",
                };
                write!(f, "{unit}, or a text like \"30s\", from {least:?} to {most:?}")
            }
            Kind::Text => f.write_str("a text"),
            Kind::Word(words) => {
                for (at, word) in words.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    write!(f, "{comma}\"{word}\"")?;
                }
                Ok(())
            }
            Kind::Own(words) => f.write_str(words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_named_twice_or_lies_within_another() {
        for (at, key) in KEYS.iter().enumerate() {
            for other in &KEYS[at + 1..] {
                assert!(!spell::same(key.path, other.path), "{}", key.path);
                let (a, b) = (format!("{}.", key.path), format!("{}.", other.path));
                assert!(!a.starts_with(&b) && !b.starts_with(&a), "{a} {b}");
            }
            assert!(!key.doc.is_empty() && (key.stand != Stand::Works || !key.default.is_empty()));
        }
    }

    #[test]
    fn spelling_does_not_matter_and_sections_know_their_names() {
        let found = find("channels.discord.reconnect.max_retries").map(|key| key.path);
        assert_eq!(found, Some("channels.discord.reconnect.maxRetries"));
        let below: Vec<&str> = names_below("connection").collect();
        assert!(below.contains(&"backoff") && below.contains(&"keepAlive"));
        assert!(names_below("").any(|name| name == "gateway"));
        assert_eq!(names_below("gateway.port").count() + names_below("nothing").count(), 0);
    }
}
