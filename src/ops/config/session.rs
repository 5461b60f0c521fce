//! `session`: what makes one conversation of several messages, and when it is over.

use jiff::tz::TimeZone;

use super::read::Reader;
use super::{Discord, Weight};
use crate::core::reset::Rule;
use crate::core::session::{DirectScope, GroupScope, Scopes};
use crate::rt::zones;

const MODE: &str = "session.reset.mode";
const AT_HOUR: &str = "session.reset.atHour";
const IDLE: &str = "session.reset.idleMinutes";
const ZONE: &str = "session.reset.timezone";
const BY_TYPE: &str = "session.resetByType";
const BY_CHANNEL: &str = "session.resetByChannel";

/// What the file says of sessions.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Session {
    /// What makes one session of several messages.
    pub(crate) scopes: Scopes,
    /// When a conversation is over, where nothing else holds.
    pub(crate) reset: Rule,
    /// The same of direct messages …
    pub(crate) direct: Option<Rule>,
    /// … of channels …
    pub(crate) group: Option<Rule>,
    /// … and of threads.
    pub(crate) thread: Option<Rule>,
    /// The same of a service.
    pub(crate) discord: Option<Rule>,
    /// The accounts in which a new thread begins with what was said around it.
    pub(crate) inherit: Vec<String>,
}

/// What the file says of it.
pub(super) fn session(read: &mut Reader<'_, '_>, accounts: &[Discord]) -> Session {
    let mut session = Session {
        scopes: Scopes {
            is_global: read.word("session.scope") == Some("global"),
            direct: match read.word("session.dmScope") {
                Some("main") => DirectScope::Main,
                Some("per-peer") => DirectScope::Peer,
                Some("per-channel-peer") => DirectScope::ChannelPeer,
                _ => DirectScope::AccountChannelPeer,
            },
            group: match read.word("session.groupScope") {
                Some("per-sender") => GroupScope::Sender,
                _ => GroupScope::Chat,
            },
        },
        reset: reset(read),
        inherit: accounts
            .iter()
            .filter(|account| account.inherits_threads)
            .map(|account| account.id.clone())
            .collect(),
        ..Session::default()
    };
    let by_type = read.entries(BY_TYPE).into_iter().map(|entry| ("session.resetByType.*", entry));
    let by_channel = read.entries(BY_CHANNEL);
    let by_channel = by_channel.into_iter().map(|entry| ("session.resetByChannel.*", entry));
    for (pattern, entry) in by_type.chain(by_channel).collect::<Vec<_>>() {
        let rule = read.within(pattern, &entry, reset);
        match entry.key().trim() {
            "direct" | "dm" => session.direct = Some(rule),
            "group" | "channel" => session.group = Some(rule),
            "thread" => session.thread = Some(rule),
            "discord" => session.discord = Some(rule),
            _ => {
                let text = "nothing here is of that kind, so this holds for nothing";
                read.note_at(Weight::Note, &entry, text, "direct, group, thread; or discord");
            }
        }
    }
    session
}

/// When a conversation is over, as the entry that is being read says.
fn reset(read: &mut Reader<'_, '_>) -> Rule {
    let mode = read.word(MODE);
    let hour = read.whole(AT_HOUR).and_then(|hour| i8::try_from(hour).ok());
    let idle = read.whole(IDLE).or_else(|| read.whole("session.idleMinutes"));
    let idle = idle.map(|minutes| std::time::Duration::from_secs(minutes.saturating_mul(60)));
    let name = read.text(ZONE);
    let zone = zones::find(name.as_deref()).unwrap_or_else(|why| {
        read.note(Weight::Warning, ZONE, &why, "");
        TimeZone::system()
    });
    let (is_daily, is_idle) = match mode {
        Some("daily") => (true, true),
        Some("idle") => (false, true),
        Some(_) => (false, false),
        // Whoever says when means that it is to happen.
        None => (hour.is_some(), idle.is_some()),
    };
    if mode == Some("idle") && idle.is_none() {
        let text = "it is not said after how many minutes, so no conversation ends";
        read.note(Weight::Warning, MODE, text, "write idleMinutes");
    }
    Rule { at_hour: is_daily.then(|| hour.unwrap_or(4)), idle: idle.filter(|_| is_idle), zone }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ops::config::env::Env;
    use crate::ops::config::{Config, Mistake, parse};

    fn read(text: &str) -> (Config, Vec<Mistake>) {
        parse(text, &Env::of(&[])).expect("a file")
    }

    #[test]
    fn nothing_ends_and_nobody_sees_what_another_said_unless_the_file_says_so() {
        let session = read("{}").0.session;
        assert_eq!(session.scopes, Scopes::default());
        assert!(session.reset.is_off() && session.inherit.is_empty());
    }

    #[test]
    fn files_of_openclaw_are_understood() {
        let text = r#"{
            session: {
                scope: "per-sender", dmScope: "per-peer",
                reset: {mode: "daily", atHour: 5, idleMinutes: 120, timezone: "Europe/Berlin"},
                resetByType: {
                    thread: {mode: "idle", idleMinutes: 30},
                    dm: {mode: "none"},
                },
                resetByChannel: {discord: {atHour: 6}, telegram: {mode: "off"}},
            },
            channels: {discord: {accounts: {
                one: {token: "${A}", thread: {inheritParent: true}}, two: {token: "${B}"},
            }}},
        }"#;
        let (config, mistakes) = read(text);
        let said: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert!(said.iter().all(|said| !said.contains("session.") || said.contains("telegram")));
        let session = config.session;
        assert_eq!(session.scopes.direct, DirectScope::Peer);
        let minutes = |count| Some(Duration::from_mins(count));
        assert_eq!((session.reset.at_hour, session.reset.idle), (Some(5), minutes(120)));
        assert_eq!(session.reset.zone.iana_name(), Some("Europe/Berlin"));
        let thread = session.thread.expect("of threads");
        assert_eq!((thread.at_hour, thread.idle), (None, minutes(30)));
        assert!(session.direct.expect("of direct messages").is_off());
        let discord = session.discord.expect("of discord");
        assert_eq!((discord.at_hour, discord.idle), (Some(6), minutes(120)));
        assert_eq!(session.inherit, ["one"]);
    }

    #[test]
    fn what_cannot_be_meant_is_said() {
        for (text, said) in [
            (r#"{session: {reset: {mode: "idle"}}}"#, "idleMinutes"),
            (r"{session: {reset: {atHour: 24}}}", "session.reset.atHour"),
            (r#"{session: {reset: {timezone: "Berlin"}}}"#, "Europe/Berlin"),
            (r#"{session: {dmScope: "everybody"}}"#, "session.dmScope"),
        ] {
            let (_, mistakes) = read(text);
            let is_said = mistakes.iter().any(|mistake| mistake.to_string().contains(said));
            assert!(is_said, "{text}: {mistakes:?}");
        }
    }
}
