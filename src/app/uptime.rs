//! The record of an account's ups and downs, kept: for the next process in the runtime directory,
//! over a loss of power on the disk, at a beat that a card does not feel.

use crate::base::limits::{UPTIME_BEAT, UPTIME_BYTES_MAX, UPTIME_COLD_BEAT};
use crate::base::{Instant, Wall};
use crate::core::uptime::{Kept, State, Uptime};
use crate::ops::config::Dirs;
use crate::rt::blocking;
use crate::rt::executor::{Spawner, Tier};
use crate::rt::store::{Cell, Content, Durability};

/// See the module.
pub(super) struct Record {
    spawner: Spawner,
    uptime: Uptime,
    hot: Option<Cell>,
    cold: Cell,
    /// What was last looked at.
    last: Option<(State, Box<str>)>,
    due: Instant,
    cold_due: Instant,
}

impl Record {
    /// Goes on from what is kept in these directories under names that begin with `stem`. Damage
    /// costs the record, and nothing else.
    pub(super) fn open(spawner: &Spawner, dirs: &Dirs, stem: &str) -> Record {
        let cell = |dir| Cell::new(dir, &format!("{stem}.uptime"), UPTIME_BYTES_MAX);
        let (hot, cold) = (dirs.hot.as_deref().map(cell), cell(&dirs.state));
        let kept = [hot.as_ref(), Some(&cold)].into_iter().flatten().find_map(|cell| {
            let Ok(Content::Whole(bytes)) = cell.read() else { return None };
            serde_json::from_slice::<Kept>(&bytes).ok()
        });
        Record {
            spawner: spawner.clone(),
            uptime: kept.map(Uptime::restore).unwrap_or_default(),
            hot,
            cold,
            last: None,
            due: Instant(0),
            cold_due: Instant(0),
        }
    }

    /// Things are so now.
    pub(super) fn look(&mut self, now: Instant, wall: Wall, state: State, cause: &str) {
        let last = self.last.replace((state, cause.into()));
        let is_news = last.is_none_or(|(before, why)| (before, &*why) != (state, cause));
        if !is_news && now < self.due {
            return;
        }
        self.uptime.look(now, wall, state, cause);
        self.due = now + UPTIME_BEAT;
        let Some(bytes) = self.bytes() else { return };
        // A record that cannot be kept is no reason to trouble anybody: the state directory says
        // by other files that it is full.
        if let Some(hot) = &self.hot {
            let _ = hot.write(&bytes, Durability::Hot);
        }
        if now >= self.cold_due {
            self.cold_due = now + UPTIME_COLD_BEAT;
            let cold = self.cold.clone();
            let write = async move {
                let _ = blocking::run(move || cold.write(&bytes, Durability::Disk)).await;
            };
            self.spawner.spawn(Tier::Work, "uptime", write).detach();
        }
    }

    /// When the next look is due, if nothing happens before.
    pub(super) fn deadline(&self) -> Instant {
        self.due
    }

    /// The process ends: both copies are brought up to date.
    pub(super) fn end(&mut self, now: Instant, wall: Wall) {
        if let Some((state, cause)) = &self.last {
            self.uptime.look(now, wall, *state, cause);
        }
        let Some(bytes) = self.bytes() else { return };
        for cell in [self.hot.as_ref(), Some(&self.cold)].into_iter().flatten() {
            let _ = cell.write(&bytes, Durability::Hot);
        }
    }

    fn bytes(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(&self.uptime.kept()?).ok()
    }

    /// The record as it is now: the time since the last look belongs to what was seen then.
    pub(super) fn until(&self, now: Instant, wall: Wall) -> Uptime {
        let mut uptime = self.uptime.clone();
        if let Some((state, cause)) = &self.last {
            uptime.look(now, wall, *state, cause);
        }
        uptime
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rt::executor;
    use crate::rt::store::tests::Scratch;

    const BEGIN: Wall = Wall(20_600 * 24 * 3_600_000);

    fn up(record: &Record, wall: Wall) -> u64 {
        record.uptime.last_days(wall).map(|day| u64::from(day.tally.up)).sum()
    }

    #[test]
    fn whoever_asks_between_two_looks_is_told_of_the_time_since_the_first() {
        executor::run(|spawner| async move {
            let state = Scratch::new();
            let dirs = Dirs { state: state.path().into(), hot: None };
            let mut record = Record::open(&spawner, &dirs, "discord");
            record.look(Instant(0), BEGIN, State::Up, "");
            let half = UPTIME_BEAT / 2;
            let now = record.until(Instant(0) + half, BEGIN + half);
            let told: u64 = now.last_days(BEGIN + half).map(|day| u64::from(day.tally.up)).sum();
            assert_eq!(u128::from(told), half.as_millis());
            assert_eq!(up(&record, BEGIN + half), 0, "and the record waits for its next look");
        });
    }

    #[test]
    fn it_outlives_a_killed_process_and_by_its_cold_copy_a_power_cut() {
        executor::run(|spawner| async move {
            let (state, hot) = (Scratch::new(), Scratch::new());
            let dirs = Dirs { state: state.path().into(), hot: Some(hot.path().into()) };
            let mut record = Record::open(&spawner, &dirs, "discord");
            record.look(Instant(0), BEGIN, State::Up, "");
            record.look(Instant(0) + UPTIME_BEAT, BEGIN + UPTIME_BEAT, State::Up, "");
            drop(record);
            let later = BEGIN + UPTIME_BEAT;
            let mut killed = Record::open(&spawner, &dirs, "discord");
            assert_eq!(up(&killed, later), 60_000);
            killed.end(Instant(0), later);
            std::fs::write(hot.path().join("discord.uptime"), "rubbish").expect("written");
            assert_eq!(up(&Record::open(&spawner, &dirs, "discord"), later), 60_000);
        });
    }

    #[test]
    fn sameness_is_written_at_a_beat_and_news_at_once() {
        executor::run(|spawner| async move {
            let (state, hot) = (Scratch::new(), Scratch::new());
            let dirs = Dirs { state: state.path().into(), hot: Some(hot.path().into()) };
            let mut record = Record::open(&spawner, &dirs, "discord");
            let kept = || std::fs::read(hot.path().join("discord.uptime")).expect("kept");
            record.look(Instant(0), BEGIN, State::Up, "");
            let first = kept();
            let second = std::time::Duration::from_secs(1);
            record.look(Instant(0) + second, BEGIN + second, State::Up, "");
            assert_eq!(kept(), first);
            record.look(Instant(0) + second * 2, BEGIN + second * 2, State::Down, "cut");
            assert_ne!(kept(), first);
            assert_eq!(record.deadline(), Instant(0) + second * 2 + UPTIME_BEAT);
        });
    }
}
