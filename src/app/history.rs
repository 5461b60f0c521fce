//! The connection's story, entry by entry: when it was lost and why, and when it was back.

use std::time::Duration;

use serde_json::{Value, json};

use crate::base::limits::HISTORY_ENTRIES_MAX;
use crate::base::ring::Ring;
use crate::base::{Instant, Wall};
use crate::channels::discord::View;
use crate::core::health::Status;

/// The last entries of one account.
#[derive(Debug, Default)]
pub(super) struct History {
    entries: Ring<Entry, HISTORY_ENTRIES_MAX>,
    /// What was last seen: the state, and how many connections had been lost.
    seen: Option<(Status, u64)>,
}

/// One change.
#[derive(Clone, Debug)]
struct Entry {
    at: Wall,
    state: Status,
    /// Of a loss: how the connection ended, and the close code.
    cause: Option<String>,
    code: Option<u16>,
    /// Of a return: how long it was away.
    down: Option<Duration>,
}

impl History {
    /// Takes in what there is to see now. What happened between two looks is one entry.
    pub(super) fn look(&mut self, view: &View, now: Instant, wall: Wall) {
        let facts = view.facts(now);
        let (before, losses) = self.seen.unwrap_or((Status::Disconnected, 0));
        self.seen = Some((facts.status, facts.losses));
        if (facts.status, facts.losses) == (before, losses) {
            return;
        }
        let is_back = facts.status == Status::Connected;
        let is_lost = facts.losses > losses || (before == Status::Connected && !is_back);
        let entry = Entry {
            at: wall,
            state: facts.status,
            cause: facts.cause.filter(|_| is_lost),
            code: facts.code.filter(|_| is_lost),
            down: facts.recovered_in.filter(|_| is_back && losses > 0 || is_back && is_lost),
        };
        self.entries.push(entry);
    }

    /// The latest `limit` entries, the newest first.
    pub(super) fn latest(&self, account: &str, limit: usize) -> Vec<Value> {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let shown = |entry: &Entry| {
            json!({
                "atMs": entry.at.0,
                "channel": "discord",
                "accountId": account,
                "state": entry.state.name(),
                "cause": entry.cause,
                "code": entry.code,
                "downMs": entry.down.map(millis),
            })
        };
        self.entries.iter().rev().take(limit).map(shown).collect()
    }
}
