//! What must outlive the process: the session and its cursor.
//!
//! The cursor moves with every event, and an SD card should not feel that. It goes to the runtime
//! directory (memory, on most hosts), where `kill -9` cannot lose it, at most once a second; and
//! to the disk when a session begins, before an IDENTIFY is spent, at a slow beat, and at the end.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use smol::channel::{Receiver, Sender, bounded};
use smol::future::or;

use crate::base::text::Hex;
use crate::base::{Instant, Secret, limits};
use crate::proto::discord::gateway::{Saved, Urgency};
use crate::rt::store::{Cell, Content, Durability, StoreError};
use crate::rt::{blocking, clock};

/// What is written, and read at the next start.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The gateway machine's own.
    pub(crate) saved: Saved,
    /// Our user id, which RESUMED does not tell.
    pub(crate) me: u64,
    /// Whose session it is: another bot's would be resumed in vain, and its budget is not ours.
    #[serde(default)]
    of: String,
    /// The newest message that was dealt with or written down, over all chats.
    #[serde(default)]
    pub(crate) newest: u64,
    /// If the session before this one was lost: from which message on is still to be caught up.
    #[serde(default)]
    pub(crate) gap: Option<u64>,
}

/// Where it is written.
#[derive(Clone)]
pub(crate) struct Cells {
    hot: Place,
    cold: Place,
    /// How often the hot one is written.
    beat: Duration,
    /// The token's SHA-256, which does not give it away.
    of: String,
}

/// One of them.
#[derive(Clone)]
struct Place {
    cell: Cell,
    /// Whether the last write to its disk failed.
    failing: Arc<AtomicBool>,
}

impl Cells {
    /// The cells in these directories, their names beginning with `stem`. Without a directory for
    /// the runtime, both are in `state`, and the hot one is written less often.
    pub(crate) fn new(runtime: Option<&Path>, state: &Path, stem: &str, token: &Secret) -> Cells {
        let failing = Arc::<AtomicBool>::default();
        // What works on one disk says nothing of another; on the same one it does.
        let cold_failing = if runtime.is_some() { Arc::default() } else { failing.clone() };
        let place = |dir, name, failing| {
            let name = format!("{stem}.{name}");
            let cell = Cell::new(dir, &name, limits::SESSION_RECORD_BYTES_MAX);
            Place { cell, failing }
        };
        Cells {
            hot: place(runtime.unwrap_or(state), "cursor", failing),
            cold: place(state, "session", cold_failing),
            beat: if runtime.is_some() { limits::HOT_SAVE } else { limits::WARM_SAVE },
            of: Hex(digest(&SHA256, token.expose().as_bytes()).as_ref()).to_string(),
        }
    }

    /// What the last process kept: the hot copy is never older than the cold one. Damage costs the
    /// copy that has it, and is said.
    pub(crate) fn read(&self) -> Kept {
        for place in [&self.hot, &self.cold] {
            match place.cell.read() {
                Ok(Content::Whole(bytes)) => match serde_json::from_slice::<Kept>(&bytes) {
                    Ok(kept) if kept.of == self.of => return kept,
                    // Of another token, which was in use here before.
                    Ok(_) => {}
                    Err(error) => {
                        log::warn!(target: "discord", "a kept session cannot be read: {error}");
                    }
                },
                Ok(Content::Empty) => {}
                Ok(Content::Quarantined(file)) => log::warn!(
                    target: "discord",
                    "a kept session was damaged; it was put aside as {}",
                    file.display()
                ),
                Err(error) => {
                    log::warn!(target: "discord", "a kept session cannot be read: {error}");
                }
            }
        }
        Kept::default()
    }
}

/// Takes what is to be kept; [`Keeping`] writes it.
#[derive(Clone)]
pub(super) struct Keeper {
    kept: Rc<RefCell<Kept>>,
    cells: Cells,
    wake: Sender<Urgency>,
}

/// The writing side.
pub(super) struct Keeping {
    kept: Rc<RefCell<Kept>>,
    cells: Cells,
    wake: Receiver<Urgency>,
}

impl Keeper {
    /// A pair that goes on from `kept`.
    pub(super) fn new(cells: Cells, kept: Kept) -> (Keeper, Keeping) {
        let kept = Rc::new(RefCell::new(kept));
        let (wake, woken) = bounded(1);
        let keeping = Keeping { kept: kept.clone(), cells: cells.clone(), wake: woken };
        (Keeper { kept, cells, wake }, keeping)
    }

    /// Keeps `saved`. What is urgent survives the end of this process when this returns, and is on
    /// its way to the disk.
    pub(super) fn keep(
        &self,
        urgency: Urgency,
        saved: Saved,
        me: u64,
        (newest, gap): (u64, Option<u64>),
    ) {
        *self.kept.borrow_mut() = Kept { saved, me, of: self.cells.of.clone(), newest, gap };
        if urgency == Urgency::Now {
            self.cells.hot.write(&self.kept.borrow(), Durability::Hot);
        }
        // A wake that is pending already is for this too, unless this one is more urgent.
        if self.wake.force_send(urgency).is_ok_and(|old| old == Some(Urgency::Now)) {
            let _ = self.wake.force_send(Urgency::Now);
        }
    }
}

impl Keeping {
    /// Writes until the [`Keeper`] is gone, and then once more. While nothing happens nothing is
    /// written, and the thread is not woken.
    pub(super) async fn run(self) {
        let (mut hot_due, mut cold_due) = (None, Instant(0));
        loop {
            let now = clock::now();
            match or(self.woken(), due(hot_due)).await {
                Wake::Keep(Urgency::Soon) => {
                    hot_due.get_or_insert(now + self.cells.beat);
                }
                Wake::Keep(Urgency::Now) => {
                    self.cold().await;
                    cold_due = now + limits::COLD_SAVE;
                }
                Wake::Due => {
                    hot_due = None;
                    self.cells.hot.write(&self.kept.borrow(), Durability::Hot);
                    if cold_due <= now {
                        self.cold().await;
                        cold_due = now + limits::COLD_SAVE;
                    }
                }
                Wake::Over => break,
            }
        }
        self.cells.hot.write(&self.kept.borrow(), Durability::Hot);
        self.cold().await;
    }

    async fn woken(&self) -> Wake {
        self.wake.recv().await.map_or(Wake::Over, Wake::Keep)
    }

    /// Waiting for a card to write can take long: another thread does it.
    async fn cold(&self) {
        let (cells, kept) = (self.cells.clone(), self.kept.borrow().clone());
        if blocking::run(move || cells.cold.write(&kept, Durability::Disk)).await.is_err() {
            self.cells.cold.write(&self.kept.borrow(), Durability::Hot);
        }
    }
}

/// What ended a wait.
enum Wake {
    Keep(Urgency),
    Due,
    Over,
}

async fn due(at: Option<Instant>) -> Wake {
    match at {
        Some(at) => clock::sleep_until(at).await,
        None => smol::future::pending().await,
    }
    Wake::Due
}

impl Place {
    /// Writes, and says when that begins to fail and when it works again: the connection lives on
    /// meanwhile, and what is lost is the RESUME after a crash.
    fn write(&self, kept: &Kept, durability: Durability) {
        let written = serde_json::to_vec(kept)
            .map_err(|error| StoreError::Io(error.into()))
            .and_then(|bytes| self.cell.write(&bytes, durability));
        let failed_before = self.failing.swap(written.is_err(), Ordering::Relaxed);
        match written {
            Err(error) if !failed_before => log::warn!(
                target: "discord",
                "the session cannot be kept, and would be lost in a crash: {error}"
            ),
            Ok(()) if failed_before => log::info!(target: "discord", "the session is kept again"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Wall;
    use crate::proto::discord::gateway::{Session, SessionId};
    use crate::rt::executor::{self, Tier};
    use crate::rt::store::tests::Scratch;

    fn saved(seq: u64) -> Saved {
        let id = SessionId::try_from("s").unwrap();
        let session = Some(Session { id, resume_url: None, seq, at: Wall(1) });
        Saved { session, ..Saved::default() }
    }

    fn seq(kept: &Kept) -> Option<u64> {
        kept.saved.session.as_ref().map(|session| session.seq)
    }

    fn kept(cells: &Cells, seq: u64) -> Kept {
        Kept { saved: saved(seq), me: 7, of: cells.of.clone(), newest: seq, gap: None }
    }

    fn cells(runtime: &Path, state: &Path, token: &str) -> Cells {
        Cells::new(Some(runtime), state, "discord", &Secret::new(token))
    }

    #[test]
    fn the_session_of_another_token_is_none_of_ours() {
        let (runtime, state) = (Scratch::new(), Scratch::new());
        let ours = cells(runtime.path(), state.path(), "ours");
        ours.hot.write(&kept(&ours, 5), Durability::Hot);
        let theirs = cells(runtime.path(), state.path(), "theirs");
        assert_eq!((seq(&ours.read()), seq(&theirs.read())), (Some(5), None));
    }

    #[test]
    fn the_hot_copy_is_read_before_the_cold_one_and_damage_costs_one_only() {
        let (runtime, state) = (Scratch::new(), Scratch::new());
        let cells = cells(runtime.path(), state.path(), "token");
        assert_eq!(seq(&cells.read()), None);
        cells.cold.write(&kept(&cells, 3), Durability::Disk);
        assert_eq!(seq(&cells.read()), Some(3));
        cells.hot.write(&kept(&cells, 5), Durability::Hot);
        assert_eq!((seq(&cells.read()), cells.read().me), (Some(5), 7));
        std::fs::write(runtime.path().join("discord.cursor"), b"rubbish").unwrap();
        assert_eq!(seq(&cells.read()), Some(3));
        std::fs::write(state.path().join("discord.session"), b"rubbish").unwrap();
        assert_eq!(seq(&cells.read()), None);
    }

    #[test]
    fn what_is_urgent_is_kept_when_the_call_returns_and_all_is_at_the_end() {
        let (runtime, state) = (Scratch::new(), Scratch::new());
        let cells = cells(runtime.path(), state.path(), "token");
        let look = cells.clone();
        executor::run(move |spawner| async move {
            let (keeper, keeping) = Keeper::new(cells, Kept::default());
            let keeping = spawner.spawn(Tier::Work, "session", keeping.run());
            keeper.keep(Urgency::Now, saved(1), 7, (1, None));
            assert_eq!(seq(&look.read()), Some(1), "nobody had to wait for this");
            keeper.keep(Urgency::Soon, saved(2), 7, (2, None));
            drop(keeper);
            keeping.await;
            assert_eq!(seq(&look.read()), Some(2));
            std::fs::remove_file(runtime.path().join("discord.cursor")).unwrap();
            assert_eq!(seq(&look.read()), Some(2), "the disk has it too");
        });
    }

    #[test]
    fn a_full_disk_says_nothing_of_another() {
        let (runtime, state) = (Scratch::new(), Scratch::new());
        let gone = state.path().join("gone");
        let cells = cells(runtime.path(), &gone, "token");
        cells.cold.write(&kept(&cells, 1), Durability::Hot);
        cells.hot.write(&kept(&cells, 1), Durability::Hot);
        let failing = |place: &Place| place.failing.load(Ordering::Relaxed);
        assert!(failing(&cells.cold) && !failing(&cells.hot));
        std::fs::create_dir(&gone).unwrap();
        cells.cold.write(&kept(&cells, 1), Durability::Hot);
        assert!(!failing(&cells.cold));
    }
}
