//! The close codes, as one table: what each means, what we do about it, what the person can do.
//!
//! Sources: Discord's documentation ("Opcodes and Status Codes", Gateway Close Event Codes), RFC
//! 6455 section 7.4.1 and IANA's registry of close codes. 1005 and 1006 never travel: they stand
//! for a close frame without a code, and for a stream that broke without a close frame.

use std::fmt;

use super::gateway::State;

/// What the program does after a close.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// The session may live: RESUME it.
    Resume,
    /// The session is probably dead: one RESUME, then IDENTIFY.
    ResumeOnce,
    /// We were too fast: RESUME, but not at once.
    ResumeLater,
    /// The session is dead: IDENTIFY.
    Identify,
    /// Trying again cannot help before somebody changes something: wait in this state.
    Park(State),
}

/// One row of the table.
#[derive(PartialEq, Eq, Debug)]
pub struct Close {
    /// The code; 0 in the row for codes that are not in the table.
    pub code: u16,
    /// What it means, as a phrase.
    pub meaning: &'static str,
    /// What the program does.
    pub action: Action,
    /// What the person should do; empty where there is nothing to do.
    pub advice: &'static str,
}

impl fmt::Display for Close {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.meaning)
    }
}

/// The row of `code`, or the one for unknown codes.
#[must_use]
pub fn of(code: u16) -> &'static Close {
    TABLE.iter().find(|row| row.code == code).unwrap_or(&UNKNOWN)
}

const fn row(code: u16, meaning: &'static str, action: Action, advice: &'static str) -> Close {
    Close { code, meaning, action, advice }
}

/// A code that nobody has documented: the session may well live.
pub static UNKNOWN: Close = row(0, "a code that is not documented", Action::Resume, "");

const OUR_BUG: &str = "Nothing for you to do; please report it, it is a bug in barnacle.";
const TOKEN: &str = "Copy the bot's token anew from https://discord.com/developers/applications \
    (Bot, Reset Token) into DISCORD_BOT_TOKEN or channels.discord.token.";
const SHARD: &str = "Correct channels.discord.shard: [id, count], the id below the count.";
const SHARDING: &str =
    "The bot is in too many servers for one connection: set channels.discord.shard.";
const UPDATE: &str = "Discord has retired this version of its gateway: install a newer barnacle.";
const INTENTS: &str = "Correct channels.discord.intents: its number has bits that do not exist.";
const PRIVILEGED: &str = "Switch on the privileged intents that are configured (most often Message \
    Content) at https://discord.com/developers/applications (Bot, Privileged Gateway Intents).";

/// Every code with a meaning of its own, by code.
pub static TABLE: [Close; 28] = [
    row(1000, "normal close", Action::ResumeOnce, ""),
    row(1001, "the server is going away", Action::ResumeOnce, ""),
    row(1002, "protocol error", Action::Resume, ""),
    row(1003, "data of a kind that is not accepted", Action::Resume, ""),
    row(1005, "closed without a code", Action::Resume, ""),
    row(1006, "broken off without a close frame", Action::Resume, ""),
    row(1007, "text that is not UTF-8", Action::Resume, ""),
    row(1008, "policy violation", Action::Resume, ""),
    row(1009, "message too big", Action::Resume, ""),
    row(1011, "error in the server", Action::Resume, ""),
    row(1012, "the service restarts", Action::Resume, ""),
    row(1013, "try again later", Action::ResumeLater, ""),
    row(1014, "bad gateway", Action::Resume, ""),
    row(4000, "unknown error", Action::Resume, ""),
    row(4001, "unknown opcode", Action::Resume, OUR_BUG),
    row(4002, "decode error", Action::Resume, OUR_BUG),
    row(4003, "not authenticated, or the session was invalidated", Action::Identify, ""),
    row(4004, "authentication failed", Action::Park(State::AuthRequired), TOKEN),
    row(4005, "already authenticated", Action::Identify, ""),
    row(4006, "invalid session", Action::Identify, ""),
    row(4007, "invalid sequence", Action::Identify, ""),
    row(4008, "rate limited", Action::ResumeLater, ""),
    row(4009, "session timed out", Action::Identify, ""),
    row(4010, "invalid shard", Action::Park(State::Error), SHARD),
    row(4011, "sharding required", Action::Park(State::Error), SHARDING),
    row(4012, "invalid API version", Action::Park(State::Error), UPDATE),
    row(4013, "invalid intents", Action::Park(State::Error), INTENTS),
    row(4014, "disallowed intents", Action::Park(State::Error), PRIVILEGED),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn codes_where(which: impl Fn(&Action) -> bool) -> Vec<u16> {
        TABLE.iter().filter(|row| which(&row.action)).map(|row| row.code).collect()
    }

    #[test]
    fn the_table_is_sorted_and_each_code_finds_its_row() {
        assert!(TABLE.is_sorted_by(|a, b| a.code < b.code));
        for row in &TABLE {
            assert_eq!(of(row.code), row);
        }
        for code in [0, 999, 1004, 3000, 4015, 4999, u16::MAX] {
            assert_eq!(of(code), &UNKNOWN, "{code}");
        }
    }

    #[test]
    fn every_documented_code_has_a_row() {
        for code in [1000, 1001, 1005, 1006, 1009, 1012].into_iter().chain(4000..=4014) {
            assert_eq!(of(code).code, code);
        }
    }

    #[test]
    fn only_what_discord_calls_final_parks() {
        let parks = codes_where(|action| matches!(action, Action::Park(_)));
        assert_eq!(parks, [4004, 4010, 4011, 4012, 4013, 4014]);
        let auth = codes_where(|action| *action == Action::Park(State::AuthRequired));
        assert_eq!(auth, [4004]);
    }

    #[test]
    fn dead_sessions_are_not_resumed() {
        let dead = codes_where(|action| *action == Action::Identify);
        assert_eq!(dead, [4003, 4005, 4006, 4007, 4009]);
        let dying = codes_where(|action| *action == Action::ResumeOnce);
        assert_eq!(dying, [1000, 1001]);
        assert_eq!(UNKNOWN.action, Action::Resume);
    }

    #[test]
    fn whoever_must_act_is_told_how_and_nobody_else_is() {
        for row in &TABLE {
            let must_act = matches!(row.action, Action::Park(_)) || row.advice == OUR_BUG;
            assert_eq!(!row.advice.is_empty(), must_act, "{}", row.code);
            assert!(!row.meaning.is_empty() && !row.meaning.ends_with('.'), "{}", row.code);
            // A line that contains the word counts as the end of a connection.
            assert!(!format!("{row} {}", row.advice).to_lowercase().contains("disconnect"));
        }
    }
}
