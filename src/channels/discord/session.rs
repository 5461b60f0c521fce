//! What must outlive the process: the session and its cursor, and what was answered.
//!
//! The cursor moves with every event, and an SD card should not feel that. It goes to the runtime
//! directory (memory, on most hosts), where `kill -9` cannot lose it, at most once a second; and
//! to the disk when a session begins, before an IDENTIFY is spent, at a slow beat, and at the end.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use serde::{Deserialize, Serialize};
use smol::channel::{Receiver, Sender, bounded};
use smol::future::or;

use crate::base::{Instant, limits};
use crate::core::dedup::{Answered, Mark};
use crate::proto::discord::gateway::{Saved, Urgency};
use crate::rt::store::{Bounds, Cell, Content, Durability, Log, StoreError};
use crate::rt::{blocking, clock};

/// What is written, and read at the next start.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The gateway machine's own.
    pub(crate) saved: Saved,
    /// Our user id, which RESUMED does not tell.
    pub(crate) me: u64,
}

/// Where it is written.
#[derive(Clone)]
pub(crate) struct Cells {
    hot: Cell,
    cold: Cell,
}

impl Cells {
    /// The cells in these two directories, which may be the same.
    pub(crate) fn new(runtime: &Path, state: &Path) -> Cells {
        Cells {
            hot: Cell::new(runtime, "discord.cursor", limits::SESSION_RECORD_BYTES_MAX),
            cold: Cell::new(state, "discord.session", limits::SESSION_RECORD_BYTES_MAX),
        }
    }

    /// What the last process kept: the hot copy is never older than the cold one. Damage costs the
    /// copy that has it, and is said.
    pub(crate) fn read(&self) -> Kept {
        for cell in [&self.hot, &self.cold] {
            match cell.read() {
                Ok(Content::Whole(bytes)) => match serde_json::from_slice(&bytes) {
                    Ok(kept) => return kept,
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
    pub(super) fn keep(&self, urgency: Urgency, saved: Saved, me: u64) {
        *self.kept.borrow_mut() = Kept { saved, me };
        if urgency == Urgency::Now {
            write(&self.cells.hot, &self.kept.borrow(), Durability::Hot);
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
                    hot_due.get_or_insert(now + limits::HOT_SAVE);
                }
                Wake::Keep(Urgency::Now) => {
                    self.cold().await;
                    cold_due = now + limits::COLD_SAVE;
                }
                Wake::Due => {
                    hot_due = None;
                    write(&self.cells.hot, &self.kept.borrow(), Durability::Hot);
                    if cold_due <= now {
                        self.cold().await;
                        cold_due = now + limits::COLD_SAVE;
                    }
                }
                Wake::Over => break,
            }
        }
        write(&self.cells.hot, &self.kept.borrow(), Durability::Hot);
        self.cold().await;
    }

    async fn woken(&self) -> Wake {
        self.wake.recv().await.map_or(Wake::Over, Wake::Keep)
    }

    /// Waiting for a card to write can take long: another thread does it.
    async fn cold(&self) {
        let (cell, kept) = (self.cells.cold.clone(), self.kept.borrow().clone());
        if blocking::run(move || write(&cell, &kept, Durability::Disk)).await.is_err() {
            write(&self.cells.cold, &self.kept.borrow(), Durability::Hot);
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

fn write(cell: &Cell, kept: &Kept, durability: Durability) {
    let written = serde_json::to_vec(kept)
        .map_err(|error| StoreError::Io(error.into()))
        .and_then(|bytes| cell.write(&bytes, durability));
    if let Err(error) = written {
        // The connection lives on; what is lost is the RESUME after a crash.
        log::warn!(target: "discord", "the session could not be kept: {error}");
    }
}

/// The log of what was answered.
pub(crate) struct AnsweredLog {
    log: Log,
    name: &'static str,
}

const ANSWERED_BOUNDS: Bounds =
    Bounds { record_bytes_max: 17, file_bytes_max: limits::ANSWERED_LOG_BYTES_MAX };

impl AnsweredLog {
    /// Opens it in `state`, and fills `answered` from it.
    ///
    /// # Errors
    /// The directory cannot be used.
    pub(crate) fn open(state: &Path, answered: &mut Answered) -> Result<AnsweredLog, StoreError> {
        let name = "discord.answered";
        let (log, found) = Log::open(state, name, ANSWERED_BOUNDS, |record| {
            if let Some(mark) = Mark::decode(record) {
                answered.mark(mark);
            }
        })?;
        if let Some(file) = &found.quarantined {
            log::warn!(
                target: "discord",
                "the list of answered messages was damaged; the rest was put aside as {}",
                file.display()
            );
        }
        Ok(AnsweredLog { log, name })
    }

    /// Appends `mark`. When the log has become long, it is made short again.
    pub(super) fn append(&mut self, mark: Mark, answered: &Answered) {
        let appended = match self.log.append(&mark.encode()) {
            Err(StoreError::Full) => {
                self.log.compact(answered.marks().into_iter().map(Mark::encode))
            }
            appended => appended,
        };
        if let Err(error) = appended {
            log::warn!(target: "discord", "{} could not be written: {error}", self.name);
        }
    }

    /// What [`Log::sync`] gives.
    pub(super) fn sync(&self) -> impl Future<Output = Result<(), StoreError>> + use<> {
        self.log.sync()
    }
}
