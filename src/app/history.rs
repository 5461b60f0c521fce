//! A connection's story, entry by entry: when it was lost and why, and when it was back.
//!
//! It outlives the process. Each change goes to the runtime directory, which is memory on most
//! hosts; to the disk only when the account leaves.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::base::limits::{HISTORY_BYTES_MAX, HISTORY_ENTRIES_MAX};
use crate::base::ring::Ring;
use crate::base::{Wall, text};
use crate::channels::discord::Facts;
use crate::core::health::Status;
use crate::ops::config::Dirs;
use crate::rt::store::{Cell, Content, Durability};

/// Of a cause, this much is kept.
const CAUSE_BYTES_MAX: usize = 120;

/// The last entries of one account.
#[derive(Default)]
pub(super) struct History {
    entries: Box<Ring<Entry, HISTORY_ENTRIES_MAX>>,
    /// What was last seen: the state, and how many connections had been lost.
    seen: Option<(Status, u64)>,
    /// Where it is kept: for the next process, and over a loss of power.
    hot: Option<Cell>,
    cold: Option<Cell>,
}

/// One change.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Entry {
    at: Wall,
    state: Status,
    /// Of a loss: how the connection ended, and the close code.
    cause: Option<String>,
    code: Option<u16>,
    /// Of a return: for how many milliseconds it was away.
    down_ms: Option<u64>,
}

impl History {
    /// What is remembered in these directories under names that begin with `stem`. Damage costs
    /// the story, and nothing else.
    pub(super) fn open(dirs: &Dirs, stem: &str) -> History {
        let cell = |dir| Cell::new(dir, &format!("{stem}.history"), HISTORY_BYTES_MAX);
        let (hot, cold) = (dirs.hot.as_deref().map(cell), cell(&dirs.state));
        let mut history = History { hot, cold: Some(cold), ..History::default() };
        let kept = [&history.hot, &history.cold].into_iter().flatten().find_map(|cell| {
            let Ok(Content::Whole(bytes)) = cell.read() else { return None };
            serde_json::from_slice::<Vec<Entry>>(&bytes).ok()
        });
        for entry in kept.unwrap_or_default() {
            history.entries.push(entry);
        }
        history
    }

    /// The account is started: what it counts begins anew.
    pub(super) fn begin(&mut self) {
        self.seen = None;
    }

    /// Takes in what there is to see now. What happened between two looks is one entry.
    pub(super) fn look(&mut self, facts: Facts, wall: Wall) {
        let (before, losses) = self.seen.unwrap_or((Status::Disconnected, 0));
        self.seen = Some((facts.status, facts.losses));
        if (facts.status, facts.losses) == (before, losses) {
            return;
        }
        let is_back = facts.status == Status::Connected;
        let is_lost = facts.losses > losses || (before == Status::Connected && !is_back);
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let cause = facts.cause.filter(|_| is_lost);
        self.entries.push(Entry {
            at: wall,
            state: facts.status,
            cause: cause.map(|cause| text::truncate(&cause, CAUSE_BYTES_MAX).to_owned()),
            code: facts.code.filter(|_| is_lost),
            down_ms: facts.recovered_in.filter(|_| is_back).map(millis),
        });
        self.keep(self.hot.as_ref(), Durability::Hot);
    }

    /// The account has left: the disk is told, too.
    pub(super) fn end(&mut self, wall: Wall) {
        if self.seen.take().is_some_and(|(status, _)| status != Status::Disconnected) {
            let (state, cause) = (Status::Disconnected, Some("it was told to leave".to_owned()));
            self.entries.push(Entry { at: wall, state, cause, code: None, down_ms: None });
            self.keep(self.hot.as_ref(), Durability::Hot);
        }
        self.keep(self.cold.as_ref(), Durability::Hot);
    }

    /// A story that cannot be kept is no reason to trouble anybody: the state directory says by
    /// other files that it is full.
    fn keep(&self, cell: Option<&Cell>, durability: Durability) {
        let entries: Vec<&Entry> = self.entries.iter().collect();
        if let (Some(cell), Ok(bytes)) = (cell, serde_json::to_vec(&entries)) {
            let _ = cell.write(&bytes, durability);
        }
    }

    /// The latest `limit` entries, the newest first.
    pub(super) fn latest(&self, account: &str, limit: usize) -> Vec<Value> {
        let shown = |entry: &Entry| {
            json!({
                "atMs": entry.at.0,
                "channel": "discord",
                "accountId": account,
                "state": entry.state.name(),
                "cause": entry.cause,
                "code": entry.code,
                "downMs": entry.down_ms,
            })
        };
        self.entries.iter().rev().take(limit).map(shown).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rt::store::tests::Scratch;

    fn facts(status: Status, losses: u64) -> Facts {
        let is_lost = losses > 0;
        Facts {
            status,
            losses,
            cause: is_lost.then(|| "the wire was cut".to_owned()),
            code: is_lost.then_some(1006),
            recovered_in: is_lost.then_some(Duration::from_millis(1500)),
        }
    }

    fn states(history: &History) -> Vec<String> {
        let word = |entry: Value| entry["state"].as_str().map(str::to_owned);
        history.latest("default", usize::MAX).into_iter().filter_map(word).collect()
    }

    #[test]
    fn each_change_is_an_entry_with_its_cause_and_sameness_is_none() {
        let mut history = History::default();
        for (at, (status, losses)) in [
            (Status::Connecting, 0),
            (Status::Connecting, 0),
            (Status::Connected, 0),
            (Status::Reconnecting, 1),
            (Status::Connected, 1),
            (Status::Connected, 1),
            // Lost and back again between two looks.
            (Status::Connected, 2),
        ]
        .into_iter()
        .enumerate()
        {
            history.look(facts(status, losses), Wall(at as u64));
        }
        let told = history.latest("work", 3);
        assert_eq!((&told[0]["code"], &told[0]["downMs"]), (&json!(1006), &json!(1500)));
        assert_eq!((&told[1]["code"], &told[1]["downMs"]), (&Value::Null, &json!(1500)));
        assert_eq!(told[2]["cause"], "the wire was cut");
        assert_eq!(told[2]["accountId"], "work");
        assert_eq!(
            states(&history),
            ["connected", "connected", "reconnecting", "connected", "connecting"]
        );
    }

    #[test]
    fn it_outlives_the_process_and_survives_damage() {
        let (state, hot) = (Scratch::new(), Scratch::new());
        let dirs = Dirs { state: state.path().into(), hot: Some(hot.path().into()) };
        let mut history = History::open(&dirs, "discord");
        history.look(facts(Status::Connected, 0), Wall(1));
        let killed = History::open(&dirs, "discord");
        assert_eq!(states(&killed), ["connected"], "kill -9 loses nothing");
        history.end(Wall(2));
        std::fs::write(hot.path().join("discord.history"), b"rubbish").unwrap();
        let after_a_power_cut = History::open(&dirs, "discord");
        assert_eq!(states(&after_a_power_cut), ["disconnected", "connected"]);
    }

    #[test]
    fn it_fits_where_it_is_kept_however_much_happens() {
        let state = Scratch::new();
        let dirs = Dirs { state: state.path().into(), hot: None };
        let mut history = History::open(&dirs, "discord");
        for losses in 1..1000 {
            let mut facts = facts(Status::Connected, losses);
            facts.cause = Some("\u{1f980}\"\\\n".repeat(100));
            history.look(facts, Wall(u64::MAX));
        }
        history.end(Wall(0));
        assert_eq!(states(&History::open(&dirs, "discord")).len(), HISTORY_ENTRIES_MAX);
    }
}
