//! What may be written in the configuration, and how a written key is found in the table: reading,
//! unknown keys, guesses at typos, the manual and the schema for editors all follow from it.
//!
//! Names differ from OpenClaw's only where it has none. `_` and case do not count, so that
//! `max_retries` and `maxRetries` are one key.
//!
//! In a path of the table, `*` stands for any name in an object (an account's, a server's), `#`
//! for any place in a list.

use std::fmt;
use std::time::Duration;

use super::index::Spot;
use super::path::Step;

pub(crate) use super::index::likes;
pub(crate) use super::table::KEYS;

/// One key, or one whole section that is not read.
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
    /// Accepted, not yet applied; who writes it is told.
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
    /// A text that nobody must see.
    Secret,
    /// One of these words.
    Word(&'static [&'static str]),
    /// What the words say; its reader judges it.
    Own(&'static str),
    /// The same as stands at that other path: a key, or the keys of a section.
    Like(&'static str),
    /// Anything, since nobody reads it.
    Any,
}

/// The unit of a bare number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unit {
    /// Milliseconds.
    Millis,
    /// Seconds.
    Seconds,
}

/// A key that works.
pub(super) const fn key(
    path: &'static str,
    kind: Kind,
    default: &'static str,
    doc: &'static str,
) -> Key {
    Key { path, kind, default, doc, stand: Stand::Works }
}

/// The same key, or section, at another place.
pub(super) const fn like(path: &'static str, target: &'static str, doc: &'static str) -> Key {
    Key { path, kind: Kind::Like(target), default: "", doc, stand: Stand::Works }
}

/// A key that is accepted and not yet applied.
pub(super) const fn later(path: &'static str) -> Key {
    Key { path, kind: Kind::Any, default: "", doc: "not yet applied", stand: Stand::Later }
}

/// A key that is accepted and never needed.
pub(super) const fn moot(path: &'static str, doc: &'static str) -> Key {
    Key { path, kind: Kind::Any, default: "", doc, stand: Stand::Moot }
}

/// The key at `path`, however it is spelt.
pub(crate) fn find(path: &[Step<'_>]) -> Option<&'static Key> {
    Spot::at(path).key()
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
            Kind::Secret => f.write_str("a text, best \"${VARIABLE}\""),
            Kind::Word(words) => {
                for (at, word) in words.iter().enumerate() {
                    let comma = if at == 0 { "" } else { ", " };
                    write!(f, "{comma}\"{word}\"")?;
                }
                Ok(())
            }
            Kind::Own(words) => f.write_str(words),
            Kind::Like(target) => write!(f, "as {target}"),
            Kind::Any => f.write_str("anything"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::path;
    use super::*;
    use crate::base::spell;

    #[test]
    fn no_key_is_named_twice_or_lies_within_another() {
        for (at, key) in KEYS.iter().enumerate() {
            for other in &KEYS[at + 1..] {
                assert!(!spell::same(key.path, other.path), "{}", key.path);
                let is_like = |key: &Key| matches!(key.kind, Kind::Like(_));
                let within = |outer: &Key, inner: &Key| {
                    inner.path.starts_with(&format!("{}.", outer.path)) && !is_like(outer)
                };
                assert!(!within(key, other) && !within(other, key), "{}", other.path);
            }
            let works = key.stand == Stand::Works && !matches!(key.kind, Kind::Like(_));
            assert!(!key.doc.is_empty() && works != key.default.is_empty(), "{}", key.path);
        }
    }

    #[test]
    fn what_is_like_another_has_that_other() {
        for (path, target) in likes() {
            let target = path::plain(target);
            let spot = Spot::at(&target);
            assert!(spot.key().is_some() || spot.is_section(), "{path}");
        }
    }

    #[test]
    fn spelling_does_not_matter_and_sections_know_their_names() {
        let found = |text: &str| find(&path::parse(text).expect(text)).map(|key| key.path);
        let max_retries = Some("channels.discord.reconnect.maxRetries");
        assert_eq!(found("channels.discord.reconnect.max_retries"), max_retries);
        assert_eq!(found("channels.discord.accounts.work.reconnect.maxRetries"), max_retries);
        assert_eq!(found("reconnect.MAX_RETRIES"), max_retries);
        assert_eq!(found("channels.discord.accounts.work.accounts.x.token"), None);
        assert_eq!(found("agents.list[3].kind"), Some("agents.defaults.kind"));
        assert_eq!(found("agents.list.kind"), None);
        let below = |text: &str| Spot::at(&path::plain(text)).names();
        assert!(below("connection").contains(&"backoff"));
        assert!(below("connection").contains(&"keepAlive"));
        assert!(below("").contains(&"gateway"));
        assert!(below("channels.discord.accounts.work.guilds.1").contains(&"requireMention"));
        assert_eq!(below("gateway.port").len() + below("nothing").len(), 0);
    }
}
